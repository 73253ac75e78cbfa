//! Splitting a payload that is larger than a peer takes: where its chunks begin and end, and which go together.

use crate::msgpack::{reader, writer};
use std::ops::Range;

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

/// The first chunk of a v0.4 body.
pub(crate) fn first(body: &[u8]) -> Option<Piece> {
    let (count, at) = reader::array_head(body, 0).ok()?;
    let spans = reader::array_head(body, at).map_or(0, |(n, _)| n);
    let end = reader::skip(body, at).ok()?;
    (count > 0).then_some(Piece { at, end, spans })
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
    fn nonsense_has_no_chunks() {
        for bad in [&b""[..], &[0xdd, 0xff, 0xff, 0xff, 0xff], &[0x91], &[0xc0], &[0x92, 0x90]] {
            assert!(pieces(bad).len() <= 1);
        }
    }
}
