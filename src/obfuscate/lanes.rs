//! Where bytes stand in a block of 64, as bits: the lowest bit is the first byte.

use crate::normalize::swar;

/// A block.
pub(super) type Block = [u8; 64];

/// The first bytes of a text as a block; what it is too short for is 0. It is put together from whole stores, since a load
/// that spans two stores waits for both.
#[inline(always)]
pub(super) fn block(text: &[u8]) -> Block {
    let (whole, tail) = text.as_chunks::<16>();
    let mut block = [0; 64];
    let mut parts = block.as_chunks_mut::<16>().0.iter_mut();
    for (chunk, part) in whole.iter().zip(parts.by_ref()) {
        *part = *chunk;
    }
    if let Some(part) = parts.next().filter(|_| !tail.is_empty()) {
        let tail = match text.last_chunk::<16>() {
            Some(last) => u128::from_le_bytes(*last) >> (8 * (16 - tail.len())),
            None => swar::word(tail).unwrap_or(0),
        };
        *part = tail.to_le_bytes();
    }
    block
}

/// The places of bytes of a kind. What is asked of each byte must be simple enough for vectors.
#[inline(always)]
pub(super) fn places(block: &Block, is: impl Fn(u8) -> bool) -> u64 {
    let marks = block.map(|b| u8::from(is(b)));
    let mut bits = [0; 8];
    for (bits, eight) in bits.iter_mut().zip(marks.as_chunks::<8>().0) {
        let mut word = u64::from_le_bytes(*eight);
        for by in [7, 14, 28] {
            word |= word >> by;
        }
        *bits = word as u8;
    }
    u64::from_le_bytes(bits)
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

    #[test]
    fn every_byte_is_found_in_every_place() {
        for b in 0..=255u8 {
            for at in 0..64 {
                let mut block = [b'a'; 64];
                block[at] = b;
                let bit = |is: bool| u64::from(is) << at;
                assert_eq!(places(&block, |c| c == b'"'), bit(b == b'"'), "{b} at {at}");
                assert_eq!(
                    places(&block, |c| (c as i8) < 0x20),
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
            assert_eq!(block(&text[..len]), expected, "{len}");
        }
    }

    #[test]
    fn pairs_enclose() {
        assert_eq!(between_pairs(0b1000_0100_1001), 0b0111_1100_0111 & 0x7ff);
        assert_eq!(between_pairs(1 << 60), 0xf << 60);
        assert_eq!((below(0), below(3), below(64)), (0, 7, u64::MAX));
    }
}
