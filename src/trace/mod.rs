//! What a payload, a chunk and a span are: borrowed views in a reused arena.
//!
//! [`Payload::scan`] makes one pass over the bytes of a v0.4 payload. The stages (`filter`, `top_level`, `sampling`,
//! and the rooms `normalize`, `obfuscate`, `stats`) then work on the views, and an encoder of `format` writes what is
//! left.
//!
//! ```
//! use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload};
//!
//! let bytes = [0x91, 0x91, 0x81, 0xa4, b'n', b'a', b'm', b'e', 0xa2, b'o', b'p']; // [[{"name": "op"}]]
//! let mut arena = Arena::new();
//! let payload = Payload::scan(&bytes, &mut arena, &Interest::none(), OnMalformed::Fail)?;
//! let span = &payload.spans()[0];
//! assert_eq!(payload.name(span), b"op");
//! # Ok::<(), data_pipeline::Error>(())
//! ```

mod access;
mod arena;
mod changes;
mod describe;
mod extras;
mod fields;
mod filter;
mod handover;
mod keys;
mod malformed;
mod sampling;
mod scan;
pub(crate) mod sort;
mod spliced;
mod spliced_lists;
mod spliced_maps;
mod top_level;
mod worth;

pub use crate::settings::{FilterRules, OnMalformed};
pub use access::{Entries, Field, NumberVerdict, Scalar, ScalarVerdict, SpanAccess, Tag, Verdict};
pub use arena::{Arena, Chunk, ChunkState, Span};
pub(crate) use describe::{describe, describe_chunk};
pub use fields::{Attribute, Event, SpanFields, Tags};
pub use filter::{Filters, NormalizeEnv};
pub(crate) use keys::WORD_MASK;
pub use keys::{Interest, Slot};

pub(crate) use malformed::{Fault, Place};
pub use sampling::{P0_SLOTS, SampledOut, drop_p0};
pub use scan::Scanner;
pub(crate) use top_level::is_marked;
pub use top_level::{TOP_LEVEL_SLOTS, TopLevel};

#[allow(unused_imports)] // stages and encoders
pub(crate) use arena::{Edit, Hit, MapView, Range, SIDE, Text, With, flag};
pub use spliced::Spliced;
pub(crate) use worth::{Valued, Worth, worths};

/// A scanned payload: the bytes, and what the arena knows of them.
#[derive(Debug)]
pub struct Payload<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) arena: &'a mut Arena,
}

impl<'a> Payload<'a> {
    /// The batch that [`Scanner::fill`] has left in `arena`; `bytes` is what the scanner reads.
    pub fn new(bytes: &'a [u8], arena: &'a mut Arena) -> Self {
        Self { bytes, arena }
    }

    /// The spans of all chunks that could be read, in their order.
    pub fn spans(&self) -> &[Span] {
        self.arena.spans.get(..self.arena.span_count).unwrap_or(&[])
    }

    /// The chunks, in their order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.arena.chunks
    }

    /// The spans of one chunk; none for a malformed one.
    pub fn chunk_spans(&self, chunk: &Chunk) -> &[Span] {
        self.arena.spans.get(span_range(chunk)).unwrap_or(&[])
    }

    /// Whether a repair or a stage has changed bytes of the payload, beyond dropping spans and marking them top level.
    pub fn has_edits(&self) -> bool {
        !self.arena.edits.is_empty()
    }

    /// Whether a stage had no memory for its changes: the batch must not go out.
    pub fn has_failed(&self) -> bool {
        self.arena.failed
    }

    /// The span's service, as bytes: text is not always UTF-8.
    pub fn service(&self, span: &Span) -> &[u8] {
        self.arena.text(self.bytes, span.service)
    }

    /// The span's (operation) name.
    pub fn name(&self, span: &Span) -> &[u8] {
        self.arena.text(self.bytes, span.name)
    }

    /// The span's resource.
    pub fn resource(&self, span: &Span) -> &[u8] {
        self.arena.text(self.bytes, span.resource)
    }

    /// The span's type.
    pub fn span_type(&self, span: &Span) -> &[u8] {
        self.arena.text(self.bytes, span.kind)
    }

    /// How many repairs the scan has made, and the place of the first.
    pub fn repairs(&self) -> (u64, Option<&str>) {
        (self.arena.repairs.count, self.arena.repairs.first.as_deref())
    }
}

/// Indices of a chunk's spans in the arena.
pub(crate) fn span_range(chunk: &Chunk) -> std::ops::Range<usize> {
    if chunk.state == ChunkState::Malformed {
        0..0
    } else {
        chunk.first as usize..(chunk.first + chunk.len) as usize
    }
}
