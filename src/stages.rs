//! The stages of the pipeline, for a pipeline of one's own: scan, filter, rewrite, mark top level, count, drop p0,
//! encode.
//!
//! An exporter does all of this by itself; these are its parts, for tools that work on payloads. A payload is bytes
//! and an [`Arena`] of what one pass has found in them; a stage changes what the arena says, and an encoder writes
//! what is left. The keys that stages look at must be known to the scan, by an [`Interest`].
//!
//! ```
//! use data_pipeline::stages::{
//!     Arena, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Payload, TOP_LEVEL_SLOTS, TopLevel, drop_p0, v04,
//! v05, };
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
//!
//! A format of one's own is an [`Encoder`] in an [`Encoding`]; [`convert_to`](crate::convert_to) takes it, and does
//! all the stages of a conversion.

pub use crate::account::normalization::{Counts as NormalizationCounts, Reason};
pub use crate::format::{
    Checked, Decoders, Encoder, Encoders, Encoding, Lost, SCANNED, detect, encoding, from_v1, from_v05,
    scanned, scanned_without_events, v1, v04, v05,
};
pub use crate::normalize::{Normalizer, Refusal};
pub use crate::obfuscate::{ObfuscationConfig, Obfuscator};
pub use crate::rewrite::{Memory, Rewriter, each_span};
pub use crate::settings::{FilterRules, OnMalformed};
pub use crate::stats::{Concentrator, Pending, Rules, STATS_SLOTS};
pub use crate::trace::{
    Arena, Chunk, ChunkState, Entries, Field, Filters, Interest, NumberVerdict, P0_SLOTS, Payload,
    SampledOut, Scalar, ScalarVerdict, Scanner, Slot, Span, SpanAccess, SpanFields, Spliced, TOP_LEVEL_SLOTS,
    Tag, TopLevel, Verdict, drop_p0,
};
