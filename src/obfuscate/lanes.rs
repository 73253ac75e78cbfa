//! Where bytes stand in a block of 64, as bits: the lowest bit is the first byte.

use crate::normalize::swar;
use wide::u8x16;

/// A block.
pub(super) type Block = [u8x16; 4];

/// The first bytes of a text as a block; what it is too short for is 0. It never goes through memory in parts, since
/// a load that spans two stores waits for both. How long a text is cannot be foretold, so that is asked once.
#[inline(always)]
pub(super) fn block(text: &[u8]) -> Block {
    let (parts, rest) = text.as_chunks::<16>();
    let tail = || {
        let word = match (parts, text.last_chunk::<16>()) {
            ([], _) => swar::word(text).unwrap_or(0),
            (_, Some(_)) if rest.is_empty() => 0,
            (_, Some(last)) => u128::from_le_bytes(*last) >> (8 * (16 - rest.len())),
            (_, None) => 0,
        };
        u8x16::new(word.to_le_bytes())
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| parts.get(i).map_or(u8x16::ZERO, |part| u8x16::new(*part)));
    match parts.len() {
        0 => [tail(), b, c, d],
        1 => [a, tail(), c, d],
        2 => [a, b, tail(), d],
        3 => [a, b, c, tail()],
        _ => [a, b, c, d],
    }
}

/// The places where the highest bit of what `marks` makes of the bytes is set.
#[inline(always)]
pub(super) fn places(block: &Block, marks: impl Fn(u8x16) -> u8x16) -> u64 {
    let [a, b, c, d] = block.map(|part| u64::from(marks(part).to_bitmask()));
    a | b << 16 | c << 32 | d << 48
}

/// Bits from 0 to below `n`, at most 64.
#[inline(always)]
pub(super) fn below(n: usize) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

/// For each place, whether an odd number of bits is set up to it.
#[inline(always)]
pub(super) fn between_pairs(mut bits: u64) -> u64 {
    for by in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << by;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use wide::i8x16;

    #[test]
    fn every_byte_is_found_in_every_place() {
        for b in 0..=255u8 {
            for at in 0..64 {
                let mut text = [b'a'; 64];
                text[at] = b;
                let block = block(&text);
                let bit = |is: bool| u64::from(is) << at;
                assert_eq!(places(&block, |c| c.simd_eq(u8x16::splat(b'"'))), bit(b == b'"'), "{b} at {at}");
                assert_eq!(
                    places(&block, |c| c.cast_signed().simd_lt(i8x16::splat(0x20)).cast_unsigned()),
                    bit(!(0x20..0x80).contains(&b)),
                    "{b} at {at}"
                );
            }
        }
    }

    #[test]
    fn a_block_is_the_front_of_any_text() {
        let text: Vec<u8> = (1..=100).collect();
        for len in 1..=text.len() {
            let mut expected = [0; 64];
            expected[..len.min(64)].copy_from_slice(&text[..len.min(64)]);
            let found = block(&text[..len]).map(u8x16::to_array);
            assert_eq!(found.as_flattened(), expected.as_slice(), "{len}");
        }
    }

    #[test]
    fn pairs_enclose() {
        assert_eq!(between_pairs(0b1000_0100_1001), 0b0111_1100_0111 & 0x7ff);
        assert_eq!(between_pairs(1 << 60), 0xf << 60);
        assert_eq!((below(0), below(3), below(64)), (0, 7, u64::MAX));
    }
}
