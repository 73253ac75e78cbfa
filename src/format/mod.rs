//! One file a wire format. What goes out has one shape, an [`Encoder`] that takes the batches of one payload in order
//! and gives the body; what comes in is rewritten as v0.4, which the scan reads ([`Decoders`]). `list.rs` lists both.
//!
//! | format | endpoint | body |
//! |---|---|---|
//! | [`v04`] | `/v0.4/traces` | array of chunks, each an array of spans, each a map of text keys |
//! | [`v05`] | `/v0.5/traces` | a string table and arrays of twelve numbers |
//! | [`v1`] | `/v1.0/traces` | maps of small integer keys, strings written once and then by number |
//! | [`otlp`] | `/v1/traces` | OTLP, protobuf or JSON |
//! | `intake` | `/api/v2/spans` | JSON for Datadog's intake without an agent |
//! | `log_lines` | | JSON lines |
//!
//! A pipeline of one's own: scan, stages, encode. The keys that the stages look at must be known to the scan.
//!
//! ```
//! use data_pipeline::format::{v04, v05};
//! use data_pipeline::trace::{
//!     Arena, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Payload, TOP_LEVEL_SLOTS, TopLevel, drop_p0,
//! };
//!
//! // [[{"name": "op", "resource": "GET /"}], [{"name": "op", "resource": "GET /health"}]]
//! let bytes = b"\x92\x91\x82\xa4name\xa2op\xa8resource\xa5GET /\x91\x82\xa4name\xa2op\xa8resource\xabGET /health";
//! let mut rules = FilterRules::default();
//! rules.add("ignore:/health$")?;
//! let (filters, unusable) = Filters::new(&rules);
//! assert!(unusable.is_empty());
//!
//! let mut arena = Arena::new();
//! let interest = Interest::none().slots(TOP_LEVEL_SLOTS).slots(P0_SLOTS);
//! let mut payload = Payload::scan(bytes, &mut arena, &interest, OnMalformed::Repair)?;
//! filters.apply(&mut payload);
//! TopLevel { mark: true }.apply(&mut payload);
//! drop_p0(&mut payload);
//!
//! let mut same_format = v04::Encoder::default();
//! same_format.begin();
//! same_format.add(&mut payload);
//! assert_eq!(same_format.finish()[..2], [0x91, 0x91]); // One trace is left.
//! assert!(same_format.finish().windows(10).any(|w| w == b"_top_level"));
//!
//! let mut other_format = v05::Encoder::default();
//! other_format.begin();
//! other_format.add(&payload);
//! assert_eq!(other_format.counts(), (1, 1));
//! # Ok::<(), data_pipeline::Error>(())
//! ```

mod both;
mod code;
mod declared;
mod detect;
mod encoder;
pub mod from_v05;
pub mod from_v1;
mod intake;
pub(crate) mod json;
mod json_out;
mod json_span;
mod keys;
mod list;
mod log_lines;
mod numbers;
pub mod otlp;
mod out;
mod pairs;
mod parts;
mod source;
mod strings;
mod text_index;
pub mod v04;
mod v04_events;
pub mod v05;
pub mod v1;

pub(crate) use declared::declared_traces;
pub use detect::detect;
pub use encoder::{Encoder, Encoders, Encoding, Lost};
/// Writes [`SCANNED`] with the changes of scan and stages done.
pub use v04::Encoder as Splicer;

pub use list::{
    Checked, Decoders, SCANNED, encoding, intake, log_lines, other, scanned, scanned_without_events,
};

use crate::msgpack::reader;
use crate::trace::Span;

/// Whether `meta` has this key. For the few spans that need to know; the scan's slots serve the rest.
pub(crate) fn meta_has(buf: &[u8], span: &Span, key: &[u8]) -> bool {
    let mut p = span.meta.first as usize;
    for _ in 0..span.meta.len {
        let Ok((k, at)) = reader::text(buf, p) else { return false };
        if k == key {
            return true;
        }
        let Ok(end) = reader::skip(buf, at) else { return false };
        p = end;
    }
    false
}

/// Whether the array or map of a span at `at` has entries; 0 is none.
pub(crate) fn holds_entries(buf: &[u8], at: u32) -> bool {
    let p = at as usize;
    let entries = || match buf.get(p) {
        Some(0x80..=0x8f | 0xde | 0xdf) => reader::map_head(buf, p).map_or(0, |(n, _)| n),
        _ => reader::array_head(buf, p).map_or(0, |(n, _)| n),
    };
    at != 0 && entries() > 0
}

/// Place and length of the string at `p`; their sum is the position behind it. The scan has checked it.
#[inline(always)]
pub(crate) fn string_at(buf: &[u8], p: usize) -> (usize, usize) {
    match buf.get(p..p + 2) {
        Some(&[b, _]) if b & 0xe0 == 0xa0 => (p + 1, usize::from(b & 0x1f)),
        Some(&[0xd9, len]) => (p + 2, usize::from(len)),
        _ => odd_string(buf, p),
    }
}

/// Text behind a longer head, binary, or nil. Gives place and length so that place + length is the position behind.
#[inline(never)]
fn odd_string(buf: &[u8], p: usize) -> (usize, usize) {
    match reader::text(buf, p) {
        Ok((text, end)) => (end - text.len(), text.len()),
        Err(_) => (buf.len(), 0),
    }
}
