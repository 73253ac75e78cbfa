//! The arena: what one pass over a payload leaves behind, in memory that is used again for the next payload.
//!
//! Nothing is owned: a span is numbers and byte ranges. Text that a stage has replaced stands in the arena's side
//! buffer; a range says itself where it points ([`Text`]). Output is the input's ranges with [`Edit`]s spliced in.

use super::keys::{SLOTS, Slot};
use crate::msgpack::reader;
use std::cmp::Reverse;
use std::collections::TryReserveError;

/// Text of a span: a range of the payload, or of the arena's side buffer where a stage replaced it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

/// Set in [`Text::at`] when the text stands in the side buffer. Payloads are therefore limited to 2 GiB.
pub(crate) const SIDE: u32 = 1 << 31;

/// A map of the payload: its head, its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapView {
    /// Offset of the map's head; 0 when the span has no such map (or a nil one).
    pub(crate) at: u32,
    /// Offset of the first key.
    pub(crate) first: u32,
    /// Offset behind the last value.
    pub(crate) end: u32,
    /// Number of entries.
    pub(crate) len: u32,
}

/// A value of the payload, head included; `0..0` when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) at: u32,
    pub(crate) end: u32,
}

/// Facts about a span.
pub(crate) mod flag {
    /// The span is nil; the agent takes it for an empty one.
    pub(crate) const NIL: u32 = 1;
    /// This stage found the span to be top level and it is not marked: output adds `_top_level`.
    pub(crate) const ADD_TOP_LEVEL: u32 = 1 << 1;
    /// The span is left out of the output (sampled out of a chunk that is kept in part).
    pub(crate) const DROPPED: u32 = 1 << 2;
    /// A repair or a stage changed the span: edits lie inside its range.
    pub(crate) const EDITED: u32 = 1 << 3;
    /// The span is top level, by the tracer's mark or by ours.
    pub(crate) const IS_TOP_LEVEL: u32 = 1 << 4;
    /// A key of the span may stand there twice; the last one counts.
    pub(crate) const REPEATED: u32 = 1 << 5;
    /// A key of `meta` or `metrics` is longer than most: rules that cut long ones look at this span.
    pub(crate) const LONG_KEY: u32 = 1 << 6;
    /// A value of `meta` begins as a card number may; only set where the scan was asked to look.
    pub(crate) const LIKE_CARD: u32 = 1 << 7;
}

/// One span: its fixed fields as numbers, its text as ranges, and where the recognised keys stand.
#[derive(Clone, Debug)]
pub struct Span {
    pub(crate) at: u32,
    pub(crate) end: u32,
    pub(crate) flags: u32,
    pub(crate) error: i32,
    pub(crate) trace_id: u64,
    pub(crate) span_id: u64,
    pub(crate) parent_id: u64,
    pub(crate) start: i64,
    pub(crate) duration: i64,
    pub(crate) service: Text,
    pub(crate) name: Text,
    pub(crate) resource: Text,
    pub(crate) kind: Text,
    pub(crate) meta: MapView,
    pub(crate) metrics: MapView,
    pub(crate) meta_struct: Range,
    pub(crate) links: Range,
    pub(crate) events: Range,
    /// Which of `slots` are set.
    pub(crate) present: u64,
    /// First of this span's hits, and how many.
    pub(crate) hits_at: u32,
    pub(crate) hits_len: u32,
    /// Offsets of the values of recognised keys.
    pub(crate) slots: [u32; SLOTS],
}

impl Span {
    pub(crate) const EMPTY: Span = Span {
        at: 0,
        end: 0,
        flags: 0,
        error: 0,
        trace_id: 0,
        span_id: 0,
        parent_id: 0,
        start: 0,
        duration: 0,
        service: Text { at: 0, len: 0 },
        name: Text { at: 0, len: 0 },
        resource: Text { at: 0, len: 0 },
        kind: Text { at: 0, len: 0 },
        meta: MapView { at: 0, first: 0, end: 0, len: 0 },
        metrics: MapView { at: 0, first: 0, end: 0, len: 0 },
        meta_struct: Range { at: 0, end: 0 },
        links: Range { at: 0, end: 0 },
        events: Range { at: 0, end: 0 },
        present: 0,
        hits_at: 0,
        hits_len: 0,
        slots: [0; SLOTS],
    };

    /// Makes a used span empty again. The slots keep old offsets: `present` says that they do not count.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.flags = 0;
        self.error = 0;
        self.trace_id = 0;
        self.span_id = 0;
        self.parent_id = 0;
        self.start = 0;
        self.duration = 0;
        self.service = Text::default();
        self.name = Text::default();
        self.resource = Text::default();
        self.kind = Text::default();
        self.meta = MapView::default();
        self.metrics = MapView::default();
        self.meta_struct = Range::default();
        self.links = Range::default();
        self.events = Range::default();
        self.present = 0;
        self.hits_len = 0;
    }

    /// A key comes whose last value stood at `before`, if it was there before.
    #[inline(always)]
    pub(crate) fn again(&mut self, before: u32) {
        if before != 0 {
            self.flags |= flag::REPEATED;
        }
    }

    /// Lower 64 bits of the trace id.
    pub fn trace_id(&self) -> u64 {
        self.trace_id
    }

    /// Span id.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Parent's span id; 0 for a root.
    pub fn parent_id(&self) -> u64 {
        self.parent_id
    }

    /// Start in ns since 1970; may be negative.
    pub fn start_ns(&self) -> i64 {
        self.start
    }

    /// Duration in ns; may be negative when a clock was set back.
    pub fn duration_ns(&self) -> i64 {
        self.duration
    }

    /// The error field; anything but 0 is an error.
    pub fn error(&self) -> i32 {
        self.error
    }

    /// Whether the span is top level, as far as a stage has looked.
    pub fn is_top_level(&self) -> bool {
        self.flags & flag::IS_TOP_LEVEL != 0
    }

    /// Whether the span says no service.
    pub(crate) fn has_no_service(&self) -> bool {
        self.service.len == 0 && self.flags & flag::NIL == 0
    }

    /// Whether the span has native span events.
    pub fn has_events(&self) -> bool {
        self.events.at != 0
    }

    /// Whether the span is left out of the output.
    pub fn is_dropped(&self) -> bool {
        self.flags & flag::DROPPED != 0
    }

    /// Offset of the value of a recognised key.
    #[inline(always)]
    pub(crate) fn slot(&self, slot: Slot) -> Option<usize> {
        if self.present & (1 << slot as u64) != 0 { Some(self.slots[slot as usize] as usize) } else { None }
    }

    /// Whether a recognised key is there, whatever its value.
    #[inline(always)]
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.present & (1 << slot as u64) != 0
    }
}

/// What becomes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// It goes out (perhaps without some of its spans).
    Kept,
    /// A trace filter rejected it.
    Filtered,
    /// Sampling dropped it.
    SampledOut,
    /// It could not be read or repaired.
    Malformed,
    /// Normalization refused it, as the agent would: ids that are 0, spans of several traces, no spans.
    Refused,
}

/// The spans of one trace that were sent together.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    pub(crate) at: u32,
    pub(crate) end: u32,
    /// Index of the first span in the arena.
    pub(crate) first: u32,
    pub(crate) len: u32,
    /// Spans that a stage left out.
    pub(crate) dropped: u32,
    pub(crate) state: ChunkState,
}

impl Chunk {
    /// What becomes of it.
    pub fn state(&self) -> ChunkState {
        self.state
    }

    /// How many spans it has, dropped ones included.
    pub fn span_count(&self) -> usize {
        self.len as usize
    }
}

/// A configured key that the scan passed: its number and the offset of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) key: u16,
    pub(crate) value_at: u32,
}

/// What stands in the output instead of a range of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    /// Bytes of the side buffer; none to leave the range out.
    Side { at: u32, len: u32 },
    /// The head of a map with this many entries.
    MapHead(u32),
}

/// One change of the output: the input's bytes `at..end` become `with`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) at: u32,
    pub(crate) end: u32,
    pub(crate) with: With,
}

/// Adds an edit; the list grows by a fourth.
#[cold]
pub(crate) fn push_edit(edits: &mut Vec<Edit>, edit: Edit) -> Result<(), TryReserveError> {
    if edits.len() == edits.capacity() {
        edits.try_reserve_exact((edits.len() / 4).max(64))?;
    }
    edits.push(edit);
    Ok(())
}

/// The reused memory of scans. One arena serves one payload at a time.
#[derive(Debug)]
pub struct Arena {
    pub(crate) spans: Vec<Span>,
    pub(crate) span_count: usize,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) hits: Vec<Hit>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) side: Vec<u8>,
    pub(crate) repairs: super::malformed::Repairs,
    /// A stage had no memory for what it had to write: what is left of the batch is not what it should be.
    pub(crate) failed: bool,
    /// Scratch of the top-level stage: a hash table of span ids, for chunks too large for a linear search.
    pub(crate) ids: Vec<u32>,
    pub(crate) handover: super::handover::Handover,
    /// Makes the place of an id in `ids` unpredictable: ids come from traffic.
    pub(crate) seed: u64,
}

impl Default for Arena {
    fn default() -> Self {
        use std::hash::{BuildHasher, Hasher};
        Self {
            spans: Vec::new(),
            span_count: 0,
            chunks: Vec::new(),
            hits: Vec::new(),
            edits: Vec::new(),
            side: Vec::new(),
            repairs: super::malformed::Repairs::default(),
            failed: false,
            ids: Vec::new(),
            handover: super::handover::Handover::default(),
            seed: std::collections::hash_map::RandomState::new().build_hasher().finish(),
        }
    }
}

impl Arena {
    /// An empty arena; it grows with the first payloads and then stays.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn clear(&mut self) {
        self.span_count = 0;
        self.chunks.clear();
        self.hits.clear();
        self.edits.clear();
        self.side.clear();
        self.repairs.heads.clear();
        self.failed = false;
    }

    /// Bytes of memory that the arena holds.
    pub fn capacity_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>()
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.hits.capacity() * size_of::<Hit>()
            + self.edits.capacity() * size_of::<Edit>()
            + self.side.capacity()
            + self.ids.capacity() * size_of::<u32>()
            + self.handover.capacity_bytes()
    }

    /// Gives memory back that exceeds what `limit_bytes` of arena need; for after an unusually large payload.
    pub fn shrink_to(&mut self, limit_bytes: usize) {
        if self.capacity_bytes() > limit_bytes {
            *self = Self::default();
        }
    }

    #[inline(always)]
    pub(crate) fn text<'t>(&'t self, bytes: &'t [u8], text: Text) -> &'t [u8] {
        let at = (text.at & !SIDE) as usize;
        let from = if text.at & SIDE == 0 { bytes } else { &self.side };
        from.get(at..at + text.len as usize).unwrap_or(&[])
    }

    /// Where the value of a slot or a hit can be read: a stage may have put another into the side buffer.
    #[inline(always)]
    pub(crate) fn value<'t>(&'t self, bytes: &'t [u8], place: u32) -> (&'t [u8], usize) {
        let from = if place & SIDE == 0 { bytes } else { &self.side };
        (from, (place & !SIDE) as usize)
    }

    /// The number behind a recognised key of `metrics`; nil counts as 0, as with the agent.
    #[inline(always)]
    pub(crate) fn slot_number(&self, bytes: &[u8], span: &Span, slot: Slot) -> Option<f64> {
        span.slot(slot).map(|at| {
            let (from, at) = self.value(bytes, at as u32);
            reader::number(from, at).map_or(0.0, |(v, _)| v)
        })
    }

    /// Sorts the edits, see [`sort_edits`].
    pub(crate) fn sort_edits(&mut self) {
        sort_edits(&mut self.edits);
    }
}

/// Puts edits into the order of their places; of two for one place the later comes first and counts. Scan and stages
/// push them nearly sorted.
pub(crate) fn sort_edits(edits: &mut [Edit]) {
    let key = |e: &Edit| (e.at, e.end, Reverse(if let With::Side { at, .. } = e.with { at } else { 0 }));
    if !edits.is_sorted_by_key(key) {
        edits.sort_unstable_by_key(key);
    }
}
