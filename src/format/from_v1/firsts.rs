//! What belongs to a chunk stands behind its spans, what belongs to the payload behind its chunks: it is put into the
//! first span of each chunk when it is known.
//!
//! The heads of a first span's maps are wide enough for any count. The entries of a chunk are put in at its end, while
//! it is in the cache, and those of the payload at its end, only when there are any.

use super::super::out::Out;
use super::texts::{ENV, HOSTNAME, MECHANISM, ORIGIN, PRIORITY, TID, VERSION};
use super::{ChunkFacts, Decoder, PayloadFacts};
use crate::error::{Error, ErrorKind};

/// The first span of a chunk: where the heads of its maps stand in the output, and how many entries they have.
#[derive(Clone, Debug, Default)]
pub(super) struct First {
    pub(super) metrics_at: usize,
    pub(super) metrics: u32,
    pub(super) meta_at: usize,
    pub(super) metas: u32,
    /// Bytes of the chunk's entries at the front of `meta`.
    pub(super) of_chunk: usize,
    /// What the payload's fields put behind those.
    pub(super) of_payload: Pieces,
    /// Keys that some span of the chunk has.
    pub(super) seen: u32,
}

/// Entries that are to be put in: ranges of `side`, and how many entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    pub(super) meta: std::ops::Range<usize>,
    pub(super) metas: u32,
    pub(super) metrics: std::ops::Range<usize>,
    pub(super) metric_count: u32,
}

/// Opens gaps in what is written, from its end to its start, so that each byte moves once.
pub(super) struct Gaps<'o> {
    pub(super) out: &'o mut Out,
    /// What stands behind here has moved to behind `write`.
    pub(super) read: usize,
    pub(super) write: usize,
}

impl<'o> Gaps<'o> {
    /// Gaps of `more` bytes in all.
    pub(super) fn new(out: &'o mut Out, more: usize) -> Self {
        let read = out.len();
        let write = out.widen(more);
        Self { out, read, write }
    }

    /// Moves what stands from `at` on.
    pub(super) fn keep_from(&mut self, at: usize) {
        let len = self.read.saturating_sub(at);
        self.write -= len;
        self.out.shift(at, len, self.write);
        self.read = at;
    }

    /// Fills a gap.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.write -= bytes.len();
        self.out.patch(self.write, bytes);
    }

    /// Moves a wide map head and sets its count.
    pub(super) fn head(&mut self, count: u32) {
        self.put(&count.to_be_bytes());
        self.put(&[0xdf]);
        self.read -= 5;
    }
}

impl Decoder {
    /// Puts the chunk's entries before those of its first span, which count.
    pub(super) fn put_in_chunk(&mut self, pieces: &Pieces, first: &mut First) {
        if pieces.metas + pieces.metric_count == 0 {
            return;
        }
        let piece = |range: &std::ops::Range<usize>| self.side.written().get(range.clone()).unwrap_or(&[]);
        let (meta, metrics) = (piece(&pieces.meta), piece(&pieces.metrics));
        first.metas = first.metas.saturating_add(pieces.metas);
        first.metrics = first.metrics.saturating_add(pieces.metric_count);
        let mut gaps = Gaps::new(&mut self.out, meta.len() + metrics.len());
        gaps.keep_from(first.meta_at + 5);
        gaps.put(meta);
        gaps.head(first.metas);
        gaps.keep_from(first.metrics_at + 5);
        gaps.put(metrics);
        gaps.head(first.metrics);
        first.meta_at += metrics.len();
        first.of_chunk = meta.len();
    }

    /// What the chunk says of its spans, as entries of the first one.
    pub(super) fn chunk_entries(
        &mut self,
        buf: &[u8],
        facts: &ChunkFacts,
        high: u64,
        seen: u32,
        pieces: &mut Pieces,
    ) {
        let missing = |key: u8| seen & (1 << key) == 0;
        // The chunk's attributes stand at the end of `side`, metrics behind meta; what is added goes behind each.
        let priority = match facts.priority {
            Some(p) if facts.dropped && p > 0 => Some(-1),
            None if facts.dropped => Some(-1),
            other => other.filter(|p| *p != i64::from(i8::MIN)),
        };
        if let Some(priority) = priority.filter(|_| missing(PRIORITY)) {
            let start = self.side.len();
            self.side.repeat(pieces.metrics.clone());
            self.side.room(64);
            self.side.key(b"_sampling_priority_v1");
            self.side.short_int(priority);
            pieces.metrics = start..self.side.len();
            pieces.metric_count += 1;
        }
        let tid = high != 0 && missing(TID);
        let origin = facts.origin.len > 1 && missing(ORIGIN);
        let mechanism = facts.mechanism != 0 && missing(MECHANISM);
        if tid || origin || mechanism {
            let start = self.side.len();
            self.side.repeat(pieces.meta.clone());
            self.side.room(128);
            if tid {
                self.side.key(b"_dd.p.tid");
                self.side.byte(0xa0 | 16);
                for i in (0..16).rev() {
                    self.side.byte(b"0123456789abcdef"[(high >> (4 * i)) as usize & 15]);
                }
            }
            if origin {
                self.side.key(b"_dd.origin");
                self.side.bytes(facts.origin.raw(buf));
            }
            if mechanism {
                self.side.key(b"_dd.p.dm");
                // Of 20 digits at most; one in practice.
                let mut digits = [b'-'; 21];
                let (mut at, mut rest) = (21, facts.mechanism);
                while rest > 0 {
                    at -= 1;
                    digits[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                self.side.key(digits.get(at - 1..).unwrap_or(&[]));
            }
            pieces.meta = start..self.side.len();
            pieces.metas += u32::from(tid) + u32::from(origin) + u32::from(mechanism);
        }
    }

    /// What belongs to the payload is written once a chunk. A payload whose few bytes would become very many is
    /// refused.
    ///
    /// # Errors
    /// `PAYLOAD_TOO_LARGE`.
    pub(super) fn repeated_is_bearable(&self, buf: &[u8], facts: &PayloadFacts) -> Result<(), Error> {
        let fields =
            [facts.env, facts.version, facts.hostname].iter().map(|text| text.len as usize).sum::<usize>();
        let each = fields + facts.pieces.meta.len() + facts.pieces.metrics.len();
        let all = each.saturating_mul(self.firsts.len());
        if all <= 4 * buf.len() + (1 << 20) {
            return Ok(());
        }
        let chunks = self.firsts.len();
        let text =
            format!("attributes of the payload, {each} bytes, would be written into each of {chunks} traces");
        Err(Error::new(ErrorKind::PayloadTooLarge, text))
    }

    /// What the payload says, for the chunks none of whose spans say it.
    pub(super) fn chunk_pieces(&mut self, buf: &[u8], facts: &PayloadFacts) {
        for (key, name, text) in [
            (ENV, &b"env"[..], facts.env),
            (VERSION, b"version", facts.version),
            (HOSTNAME, b"_dd.hostname", facts.hostname),
        ] {
            if text.len <= 1 {
                continue;
            }
            for first in &mut self.firsts {
                if first.seen & (1 << key) == 0 {
                    let start = self.side.len();
                    self.side.repeat(first.of_payload.meta.clone());
                    self.side.key(name);
                    self.side.bytes(text.raw(buf));
                    first.of_payload.meta = start..self.side.len();
                    first.of_payload.metas += 1;
                }
            }
        }
    }

    /// Puts in what the payload says: its attributes before all others, its fields behind what the chunk says.
    pub(super) fn put_in(&mut self, all: &Pieces) {
        let piece = |range: &std::ops::Range<usize>| self.side.written().get(range.clone()).unwrap_or(&[]);
        let (meta, metrics) = (piece(&all.meta), piece(&all.metrics));
        let more = |first: &First| meta.len() + metrics.len() + first.of_payload.meta.len();
        let mut gaps = Gaps::new(&mut self.out, self.firsts.iter().map(more).sum());
        for first in self.firsts.iter().rev() {
            let own = &first.of_payload;
            gaps.keep_from(first.meta_at + 5 + first.of_chunk);
            gaps.put(piece(&own.meta));
            gaps.keep_from(first.meta_at + 5);
            gaps.put(meta);
            gaps.head(first.metas.saturating_add(all.metas + own.metas));
            gaps.keep_from(first.metrics_at + 5);
            gaps.put(metrics);
            gaps.head(first.metrics.saturating_add(all.metric_count));
        }
    }
}
