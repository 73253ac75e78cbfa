//! A text where it stands, and the two questions that encoders of text formats ask of it: is it ASCII, and can it stand
//! in JSON as it is? Both look at 32 bytes at once, which are being copied anyway.

use crate::trace::Text;
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
            Some([a, b]) => (a.to_bitmask() | b.to_bitmask() << 16) & self.mask() == 0,
            None => self.bytes().is_ascii(),
        }
    }

    /// Whether it is ASCII without anything that JSON escapes.
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        match self.block() {
            Some([a, b]) => (odd(a).to_bitmask() | odd(b).to_bitmask() << 16) & self.mask() == 0,
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
    fn block(self) -> Option<[i8x16; 2]> {
        let bytes: &[u8; 32] = self.buf.get(self.at..self.at + 32)?.try_into().ok()?;
        if self.len > 32 {
            return None;
        }
        let (halves, _) = bytes.as_chunks::<16>();
        let half = |i: usize| halves.get(i).map_or(i8x16::ZERO, |half| i8x16::new(half.map(|b| b as i8)));
        Some([half(0), half(1)])
    }
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
                for b in 0..=255u8 {
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
}
