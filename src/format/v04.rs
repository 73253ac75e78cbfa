//! v0.4 out: the input's byte ranges with the changed pieces spliced in.
//!
//! A chunk that no stage touched is part of one bulk copy with its neighbours. A dropped chunk or span is a range left
//! out; a span that gets `_top_level` costs the head of its `metrics` map and twelve bytes; other changes are the edits
//! that scan and stages left in the arena. No span is encoded again because another one changed.

use super::Lost;
use crate::error::Error;
use crate::msgpack::writer;
use crate::settings::Metadata;
use crate::trace::{ChunkState, Edit, Payload, Span, With, flag};

/// Room before the body: the outer head goes there once the number of chunks is known. 64 bytes, because a bulk copy
/// whose destination lies a few bytes above the source's place in its page is many times slower on some processors.
const HEAD_ROOM: usize = 64;

/// Room kept behind every piece: for the head of a map, a key and a mark.
const SPARE: usize = 64;

/// The metric `_top_level` = 1 as an entry of `metrics`.
const TOP_LEVEL: &[u8; 12] = b"\xaa_top_level\x01";

/// Puts a v0.4 body together from the batches of one payload.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    chunks: u32,
    spans: u64,
    /// There was no memory for a piece, which is missing.
    failed: bool,
}

impl Encoder {
    /// Starts a body; what the last one held is gone.
    pub fn begin(&mut self) {
        self.out.clear();
        self.out.resize(HEAD_ROOM, 0);
        self.chunks = 0;
        self.spans = 0;
        self.failed = false;
    }

    /// Adds the chunks of `payload` that are kept.
    pub fn add(&mut self, payload: &mut Payload<'_>) {
        self.failed |= !settle_marks(payload);
        payload.arena.sort_edits();
        self.make_room(payload);
        let mut splice = Splice {
            bytes: payload.bytes,
            side: &payload.arena.side,
            edits: &payload.arena.edits,
            out: &mut self.out,
            failed: &mut self.failed,
            from: 0,
            to: 0,
        };
        for chunk in payload.chunks() {
            if chunk.state != ChunkState::Kept {
                continue;
            }
            self.chunks += 1;
            self.spans += u64::from(chunk.len - chunk.dropped);
            splice.start(chunk.at as usize);
            if chunk.dropped > 0 {
                // What is pending of the chunk before stands before this chunk's new head.
                splice.flush();
                if splice.room(0) {
                    writer::array_head(splice.out, chunk.len - chunk.dropped);
                }
                let first = payload.chunk_spans(chunk).first().map_or(chunk.end, |s| s.at);
                splice.from = first as usize;
            }
            for span in payload.chunk_spans(chunk) {
                if span.flags & CHANGED != 0 {
                    splice.span(span);
                }
            }
            splice.to = chunk.end as usize;
        }
        splice.flush();
    }

    /// Little is added to most payloads, so room for all of one is made at once, if as much of it is kept as of the
    /// first batch; where more is needed, by half. Doubling would end at up to twice of it.
    fn make_room(&mut self, payload: &Payload<'_>) {
        let kept = payload.chunks().iter().filter(|c| c.state == ChunkState::Kept);
        let kept = kept.map(|c| (c.end - c.at) as usize).sum::<usize>();
        let batch = kept + payload.spans().len() * 32 + SPARE;
        if self.out.capacity() - self.out.len() >= batch {
            return;
        }
        let (from, to) = match payload.chunks() {
            [first, .., last] | [first @ last] => (first.at as usize, last.end as usize),
            [] => return,
        };
        let rest = payload.bytes.len().saturating_sub(from);
        let expected = (rest as u64 * kept as u64 / (to - from).max(1) as u64) as usize;
        let more = if self.out.len() == HEAD_ROOM { expected + expected / 16 } else { self.out.len() / 2 };
        if self.out.try_reserve_exact(batch.max(more)).is_err() && self.out.try_reserve_exact(batch).is_err()
        {
            self.failed = true;
        }
    }

    /// Ends the body and gives it.
    pub fn finish(&mut self) -> &[u8] {
        // Written behind the body first, then moved to its place before it: the head's width is the writer's affair.
        let end = self.out.len();
        if self.out.try_reserve(HEAD_ROOM).is_err() {
            self.failed = true;
            return &[];
        }
        writer::array_head(&mut self.out, self.chunks);
        let start = HEAD_ROOM - (self.out.len() - end);
        self.out.copy_within(end.., start);
        self.out.truncate(end);
        self.out.get(start..).unwrap_or(&[])
    }

    /// Says that a piece is missing for want of memory.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Chunks and spans added since [`Encoder::begin`].
    pub fn counts(&self) -> (u32, u64) {
        (self.chunks, self.spans)
    }

    /// Bytes of memory that the encoder holds.
    pub fn capacity_bytes(&self) -> usize {
        self.out.capacity()
    }
}

impl super::Encoder for Encoder {
    fn begin(&mut self, _metadata: &Metadata) {
        self.begin();
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        self.add(batch);
    }

    fn counts(&self) -> (u32, u64) {
        self.counts()
    }

    fn lost(&self) -> Lost {
        Lost::default()
    }

    fn finish(&mut self, _source: &[u8], _metadata: &Metadata) -> Result<&[u8], Error> {
        if self.failed {
            return Err(Error::out_of_memory("the payload as v0.4"));
        }
        Ok(self.finish())
    }

    fn capacity_bytes(&self) -> usize {
        self.capacity_bytes()
    }
}

const CHANGED: u32 = flag::DROPPED | flag::ADD_TOP_LEVEL | flag::EDITED;

/// A span that has edits and gets a mark: the mark becomes an edit too, so that one way handles both. Whether there was
/// memory for that.
fn settle_marks(payload: &mut Payload<'_>) -> bool {
    let arena = &mut *payload.arena;
    if arena.edits.is_empty() {
        return true;
    }
    arena.sort_edits();
    let sorted = arena.edits.len();
    for span in arena.spans.get_mut(..arena.span_count).unwrap_or(&mut []) {
        const BOTH: u32 = flag::ADD_TOP_LEVEL | flag::EDITED;
        if span.flags & BOTH != BOTH {
            continue;
        }
        span.flags &= !flag::ADD_TOP_LEVEL;
        let (map_at, first, text): (u32, u32, &[u8]) = match span.metrics.at {
            0 => (span.at, 0, b"\xa7metrics\x81\xaa_top_level\x01"),
            at => (at, span.metrics.first, TOP_LEVEL),
        };
        let (count, first) = match crate::msgpack::reader::map_head(payload.bytes, map_at as usize) {
            Ok((n, q)) => (n, q as u32),
            Err(_) => (0, first),
        };
        let side_at = arena.side.len() as u32;
        if arena.side.try_reserve(text.len()).is_err() || arena.edits.try_reserve(2).is_err() {
            return false;
        }
        arena.side.extend_from_slice(text);
        // Before a head's edit at its place stands only what is put in there, at the end of the span before. Each span
        // adds its own, so the others need not be looked at.
        let place = arena.edits.get(..sorted).unwrap_or(&[]).partition_point(|e| e.at < map_at);
        let known = arena.edits.get_mut(..sorted).and_then(|known| known.get_mut(place..)).unwrap_or(&mut []);
        let head = known.iter_mut().take_while(|e| e.at == map_at).find(|e| e.end != map_at);
        if let Some(Edit { with: With::MapHead(n), .. }) = head {
            *n += 1;
        } else {
            arena.edits.push(Edit { at: map_at, end: first, with: With::MapHead(count + 1) });
        }
        arena.edits.push(Edit {
            at: first,
            end: first,
            with: With::Side { at: side_at, len: text.len() as u32 },
        });
    }
    true
}

/// Copies ranges of the input, with what is to stand between them.
struct Splice<'s> {
    bytes: &'s [u8],
    side: &'s [u8],
    /// Edits that are still ahead.
    edits: &'s [Edit],
    out: &'s mut Vec<u8>,
    failed: &'s mut bool,
    /// The range that is read but not written yet.
    from: usize,
    to: usize,
}

impl Splice<'_> {
    /// Goes on at `at`, which may directly follow what was read.
    #[inline(always)]
    fn start(&mut self, at: usize) {
        if self.to != at {
            self.flush();
            self.from = at;
        }
        self.to = at;
    }

    /// Writes the pending range and `at` becomes the start of the next.
    #[inline(always)]
    fn cut(&mut self, at: usize, next: usize) {
        self.put(self.bytes.get(self.from..at).unwrap_or(&[]));
        self.from = next;
    }

    /// Writes bytes; behind them is room for a head and a mark.
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        if self.room(bytes.len()) {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Whether so many bytes, and a head and a mark behind them, find room.
    #[inline(always)]
    fn room(&mut self, bytes: usize) -> bool {
        self.out.capacity() - self.out.len() >= bytes + SPARE || self.grow(bytes)
    }

    /// Writes the head of a map and a few bytes behind it.
    #[inline(always)]
    fn head(&mut self, n: u32, behind: &[u8]) {
        if self.room(0) {
            writer::map_head(self.out, n);
            self.out.extend_from_slice(behind);
        }
    }

    #[cold]
    fn grow(&mut self, bytes: usize) -> bool {
        *self.failed |= self.out.try_reserve(bytes + SPARE).is_err();
        !*self.failed
    }

    fn flush(&mut self) {
        self.cut(self.to, self.to);
    }

    #[inline(always)]
    fn span(&mut self, span: &Span) {
        if span.flags & flag::DROPPED != 0 {
            self.cut(span.at as usize, span.end as usize);
        } else if span.flags & flag::EDITED != 0 {
            self.edited(span);
        } else if span.metrics.at != 0 {
            self.cut(span.metrics.at as usize, span.metrics.first as usize);
            self.head(span.metrics.len + 1, TOP_LEVEL);
        } else {
            self.no_metrics(span);
        }
    }

    #[cold]
    fn no_metrics(&mut self, span: &Span) {
        let Ok((n, first)) = crate::msgpack::reader::map_head(self.bytes, span.at as usize) else { return };
        self.cut(span.at as usize, first);
        self.head(n + 1, b"\xa7metrics\x81\xaa_top_level\x01");
    }

    fn edited(&mut self, span: &Span) {
        // What is put in at a place belongs to the span that ends there: its last map may be empty.
        let before = |place: u32| move |e: &Edit| e.at < place || (e.at == place && e.end == place);
        let ahead = self.edits.partition_point(before(span.at));
        let end = self.edits.partition_point(before(span.end));
        let edits = self.edits.get(ahead..end).unwrap_or(&[]);
        self.edits = self.edits.get(end..).unwrap_or(&[]);
        for edit in edits {
            // An edit inside a range that an earlier one has left out is void.
            if (edit.at as usize) < self.from {
                continue;
            }
            self.cut(edit.at as usize, edit.end as usize);
            match edit.with {
                With::MapHead(n) => self.head(n, b""),
                With::Side { at, len } => {
                    self.put(self.side.get(at as usize..(at + len) as usize).unwrap_or(&[]));
                }
            }
        }
    }
}
