//! Splitting a payload that is larger than the agent takes: where its chunks begin and end, which go together, and what
//! has been learned of the agent's limit.

use crate::msgpack::{reader, writer};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A learned limit is tried again after this; a proxy's 413 need not last.
const FORGET: Duration = Duration::from_secs(300);

/// One chunk of a v0.4 body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    at: usize,
    end: usize,
    spans: u32,
}

/// The chunks of a v0.4 body that we have made or checked. Ends early at what cannot be read, which does not happen.
pub(crate) fn pieces(body: &[u8]) -> Vec<Piece> {
    let Ok((count, mut at)) = reader::array_head(body, 0) else { return Vec::new() };
    // A chunk takes a byte at least: what is declared beyond that is not there.
    let mut pieces = Vec::with_capacity((count as usize).min(body.len()));
    for _ in 0..count {
        // A nil chunk is an empty one.
        let spans = reader::array_head(body, at).map_or(0, |(n, _)| n);
        let Ok(end) = reader::skip(body, at) else { break };
        pieces.push(Piece { at, end, spans });
        at = end;
    }
    pieces
}

/// Spans in these chunks.
pub(crate) fn spans(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|p| u64::from(p.spans)).sum()
}

/// Bytes of these chunks.
pub(crate) fn bytes(pieces: &[Piece]) -> usize {
    pieces.first().zip(pieces.last()).map_or(0, |(first, last)| last.end - first.at)
}

/// Writes the v0.4 body of some chunks that follow one another.
pub(crate) fn write(body: &[u8], pieces: &[Piece], out: &mut Vec<u8>) {
    out.clear();
    writer::array_head(out, pieces.len() as u32);
    if let (Some(first), Some(last)) = (pieces.first(), pieces.last()) {
        out.extend_from_slice(body.get(first.at..last.end).unwrap_or(&[]));
    }
}

/// Packs chunks, in their order, into parts of at most `limit` bytes; a chunk that is larger is a part of its own.
pub(crate) fn pack(pieces: &[Piece], limit: usize) -> Vec<Range<usize>> {
    const HEAD: usize = 5;
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut filled = 0;
    for (i, piece) in pieces.iter().enumerate() {
        let size = piece.end - piece.at;
        match parts.last_mut() {
            Some(part) if filled + size <= limit => {
                part.end = i + 1;
                filled += size;
            }
            _ => {
                parts.push(i..i + 1);
                filled = HEAD + size;
            }
        }
    }
    parts
}

/// Two parts of about the same size in bytes; `None` for a single chunk.
pub(crate) fn halve(pieces: &[Piece], part: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let all = pieces.get(part.clone()).filter(|all| all.len() > 1)?;
    let middle = all.first()?.at + bytes(all) / 2;
    let first = all.iter().take_while(|p| p.end <= middle).count().clamp(1, all.len() - 1);
    Some((part.start..part.start + first, part.start + first..part.end))
}

/// What 413 has taught us. Only ever makes parts smaller; whether a single chunk is too large, the agent says itself.
#[derive(Debug)]
pub(crate) struct Learned {
    /// No request should be larger; `usize::MAX` when nothing was learned.
    target: AtomicUsize,
    since: Mutex<Option<Instant>>,
}

impl Default for Learned {
    fn default() -> Self {
        Self { target: AtomicUsize::new(usize::MAX), since: Mutex::new(None) }
    }
}

impl Learned {
    /// How large a request should be at most.
    #[inline]
    pub(crate) fn target(&self) -> usize {
        self.target.load(Ordering::Relaxed)
    }

    /// As [`Learned::target`], forgetting what is old. For requests that are larger than that.
    #[cold]
    pub(crate) fn target_at(&self, now: Instant) -> usize {
        let mut since = self.since.lock();
        if since.is_some_and(|at| now.saturating_duration_since(at) >= FORGET) {
            *since = None;
            self.target.store(usize::MAX, Ordering::Relaxed);
        }
        self.target()
    }

    /// The agent refused a request of `size` bytes. The limit lies somewhere below; half is tried next.
    #[cold]
    pub(crate) fn refused(&self, size: usize, now: Instant) {
        *self.since.lock() = Some(now);
        self.target.fetch_min(size / 2, Ordering::Relaxed);
    }

    /// The agent took a request of `size` bytes.
    #[inline]
    pub(crate) fn accepted(&self, size: usize) {
        if size > self.target() {
            self.target.fetch_max(size, Ordering::Relaxed);
        }
    }

    /// The agent says something new of itself.
    pub(crate) fn forget(&self) {
        *self.since.lock() = None;
        self.target.store(usize::MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks of so many bytes, each of one span that is a bin.
    fn body(sizes: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        writer::array_head(&mut out, sizes.len() as u32);
        for size in sizes {
            out.push(0x91);
            writer::bin(&mut out, &vec![0; size - 3]);
        }
        out
    }

    #[test]
    fn parts_hold_every_chunk_once_and_in_order() {
        let sizes: Vec<usize> = (0..200).map(|n| 10 + (n * 37) % 90).collect();
        let whole = body(&sizes);
        let pieces = pieces(&whole);
        assert_eq!(pieces.len(), 200);
        assert_eq!((spans(&pieces), bytes(&pieces)), (200, whole.len() - 3));
        for limit in [1, 50, 100, 333, 5000, usize::MAX] {
            let parts = pack(&pieces, limit);
            let (mut next, mut again, mut part_body) = (0, Vec::new(), Vec::new());
            for part in &parts {
                assert_eq!(part.start, next);
                next = part.end;
                write(&whole, &pieces[part.clone()], &mut part_body);
                assert!(part_body.len() <= limit || part.len() == 1);
                let (n, at) = reader::array_head(&part_body, 0).unwrap();
                assert_eq!(n as usize, part.len());
                again.extend_from_slice(&part_body[at..]);
            }
            assert_eq!(next, 200);
            assert_eq!(again, whole[3..]);
        }
    }

    #[test]
    fn halves_are_about_equal_in_bytes_and_never_empty() {
        for sizes in [&[10, 10][..], &[90, 10, 10, 10], &[10, 10, 10, 90], &[10; 9]] {
            let whole = body(sizes);
            let pieces = pieces(&whole);
            let (a, b) = halve(&pieces, &(0..sizes.len())).unwrap();
            assert!(
                !a.is_empty() && !b.is_empty() && a.start == 0 && a.end == b.start && b.end == sizes.len()
            );
        }
        let whole = body(&[10, 10]);
        assert_eq!(halve(&pieces(&whole), &(1..2)), None);
    }

    #[test]
    fn a_limit_is_learned_raised_and_forgotten() {
        let (l, now) = (Learned::default(), Instant::now());
        assert_eq!(l.target_at(now), usize::MAX);
        l.refused(1000, now);
        l.refused(5000, now);
        assert_eq!(l.target(), 500);
        l.accepted(400);
        l.accepted(700);
        assert_eq!(l.target_at(now + FORGET / 2), 700);
        assert_eq!(l.target_at(now + FORGET), usize::MAX);
    }

    #[test]
    fn nonsense_has_no_chunks() {
        for bad in [&b""[..], &[0xdd, 0xff, 0xff, 0xff, 0xff], &[0x91], &[0xc0], &[0x92, 0x90]] {
            assert!(pieces(bad).len() <= 1);
        }
    }
}
