//! A text where it stands, and the two questions that encoders of text formats ask of it: is it ASCII, and can it stand
//! in JSON as it is? Both look at 32 bytes at once, which are being copied anyway.

use crate::trace::{MapView, Text};
use wide::i8x16;

/// Bytes of a payload, or of a table of our own, that are meant as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'b> {
    pub(super) buf: &'b [u8],
    pub(super) at: usize,
    pub(super) len: usize,
}

impl<'b> Source<'b> {
    #[inline(always)]
    pub(super) fn new(buf: &'b [u8], at: usize, len: usize) -> Self {
        Self { buf, at, len }
    }

    /// A text of a span.
    #[inline(always)]
    pub(super) fn of(buf: &'b [u8], text: Text) -> Self {
        Self { buf, at: text.at as usize, len: text.len as usize }
    }

    /// The whole of `buf`.
    pub(super) fn whole(buf: &'b [u8]) -> Self {
        Self { buf, at: 0, len: buf.len() }
    }

    #[inline(always)]
    pub(super) fn bytes(self) -> &'b [u8] {
        self.buf.get(self.at..self.at + self.len).unwrap_or(&[])
    }

    /// Whether it is ASCII; cheap where it is short.
    #[inline(always)]
    pub(super) fn is_ascii(self) -> bool {
        match self.block() {
            Some(block) => ascii_bits(block) & self.mask() == 0,
            None => self.bytes().is_ascii(),
        }
    }

    /// Whether it is ASCII without anything that JSON escapes.
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        match self.block() {
            Some(block) => odd_bits(block) & self.mask() == 0,
            None => self.is_plain_in_parts(),
        }
    }

    fn is_plain_in_parts(self) -> bool {
        let (blocks, rest) = self.bytes().as_chunks::<16>();
        blocks.iter().all(|block| odd(i8x16::new(block.map(|b| b as i8))).to_bitmask() == 0)
            && rest.iter().all(|b| is_plain(*b))
    }

    #[inline(always)]
    fn mask(self) -> u32 {
        ((1u64 << self.len) - 1) as u32
    }

    /// The 32 bytes from its first on, if it is no longer than that.
    #[inline(always)]
    fn block(self) -> Option<&'b [u8; 32]> {
        let block = self.buf.get(self.at..)?.first_chunk()?;
        if self.len > 32 { None } else { Some(block) }
    }
}

/// The first bits are those of the first bytes: which of them are not ASCII.
#[inline(always)]
pub(super) fn ascii_bits(block: &[u8; 32]) -> u32 {
    bits(block, |half| half)
}

/// Which of them cannot stand in JSON as they are.
#[inline(always)]
pub(super) fn odd_bits(block: &[u8; 32]) -> u32 {
    bits(block, odd)
}

#[inline(always)]
fn bits(block: &[u8; 32], of: impl Fn(i8x16) -> i8x16) -> u32 {
    let (halves, _) = block.as_chunks::<16>();
    let half = |i: usize| halves.get(i).map_or(0, |half| of(signed(half)).to_bitmask());
    half(0) | half(1) << 16
}

#[inline(always)]
fn signed(bytes: &[u8; 16]) -> i8x16 {
    i8x16::new(bytes.map(|b| b as i8))
}

/// Which of 16 bytes of UTF-8 JSON escapes.
#[inline(always)]
pub(super) fn escape_bits(block: &[u8; 16]) -> u32 {
    let block = signed(block);
    odd(block).to_bitmask() & !block.to_bitmask()
}

/// Whether all texts of a map of texts are ASCII: its heads are the only bytes that are not. A text of 128 bytes or
/// more has a second such byte in its head, so this may be `false` where they are.
pub(super) fn all_ascii(buf: &[u8], map: MapView) -> bool {
    // What is negative is not ASCII.
    count(buf, map, |block| block.simd_lt(i8x16::ZERO)) == 2 * u64::from(map.len)
}

/// Whether all texts of a map of texts can stand in JSON as they are; it may be `false` where they can, since the
/// length of a text of 32 bytes or more is a byte too.
pub(super) fn all_plain(buf: &[u8], map: MapView) -> bool {
    count(buf, map, odd) == 2 * u64::from(map.len)
}

/// How many bytes of the entries of a map are of this kind. Each text has a head that is.
#[inline(always)]
fn count(buf: &[u8], map: MapView, of: impl Fn(i8x16) -> i8x16) -> u64 {
    let all = buf.get(map.first as usize..map.end as usize).unwrap_or(&[]);
    let (blocks, rest) = all.as_chunks::<16>();
    let mut found = 0;
    // A lane counts up to 127.
    for blocks in blocks.chunks(127) {
        let mut lanes = i8x16::ZERO;
        for block in blocks {
            lanes -= of(signed(block));
        }
        found += lanes.to_array().iter().map(|lane| u64::from(*lane as u8)).sum::<u64>();
    }
    let mut last = [b'a'; 16];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    found + u64::from(of(signed(&last)).to_bitmask().count_ones())
}

/// Where a byte cannot stand in JSON as it is. Bytes beyond ASCII are negative here.
#[inline(always)]
fn odd(block: i8x16) -> i8x16 {
    block.simd_lt(i8x16::splat(0x20))
        | block.simd_eq(i8x16::splat(b'"' as i8))
        | block.simd_eq(i8x16::splat(b'\\' as i8))
}

/// The same for one byte.
pub(super) fn is_plain(b: u8) -> bool {
    (0x20..0x80).contains(&b) && b != b'"' && b != b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_in_every_place_of_short_and_long_texts() {
        for len in [1, 7, 8, 15, 16, 17, 31, 32, 33, 48, 100] {
            for room in [0, 64] {
                for b in (0..=255u8).step_by(if cfg!(miri) { 17 } else { 1 }) {
                    let mut buf = vec![b'a'; 3 + len + room];
                    // What stands around the text has no say.
                    buf[2] = 0xff;
                    buf[3 + len..].fill(0xff);
                    buf[3 + (usize::from(b) * 7) % len] = b;
                    let text = Source::new(&buf, 3, len);
                    assert_eq!(text.is_ascii(), b < 0x80, "{b} {len} {room}");
                    assert_eq!(text.is_plain(), is_plain(b), "{b} {len} {room}");
                }
            }
        }
        let none = Source::new(&[0xff; 40], 1, 0);
        assert!(none.is_ascii() && none.is_plain());
    }

    #[test]
    fn the_texts_of_a_map_are_looked_at_together() {
        let map = |texts: &[&[u8]]| {
            let mut buf = vec![0xff; 5];
            for text in texts {
                match text.len() {
                    0..32 => buf.push(0xa0 | text.len() as u8),
                    len => buf.extend([0xd9, len as u8]),
                }
                buf.extend_from_slice(text);
            }
            let view = MapView { at: 4, first: 5, end: buf.len() as u32, len: texts.len() as u32 / 2 };
            buf.extend([0xff; 3]);
            (all_ascii(&buf, view), all_plain(&buf, view))
        };
        let long = [b'l'; 127];
        assert_eq!(map(&[]), (true, true));
        for n in 1..300 {
            let mut texts: Vec<&[u8]> = [&b"key"[..], b"value", b"", &long].repeat(n);
            assert_eq!(map(&texts), (true, true), "{n}");
            for (odd, ascii) in [(&b"a\\"[..], true), (b"\"", true), (b"\n.", true), ("aé".as_bytes(), false)]
            {
                texts[(n * 7) % (4 * n)] = odd;
                assert_eq!(map(&texts), (ascii, false), "{n} {odd:x?}");
            }
        }
        assert_eq!(map(&[b"key", &[b'l'; 34]]), (true, false));
        assert_eq!(map(&[b"key", &[b'l'; 128]]), (false, false));
    }
}
