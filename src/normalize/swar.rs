//! Eight or sixteen bytes at a time: which of them are in a range. Text that is fine as it is must cost next to
//! nothing, and a loop byte by byte also costs a wrong guess about its end.

use wide::u8x16;

/// The highest bit of every byte.
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;
const ONES: u64 = 0x0101_0101_0101_0101;

/// Marks the bytes from `first` to `last`, both below 0x80. The highest bits of the bytes do not count.
#[inline(always)]
pub(crate) fn within(word: u64, first: u8, last: u8) -> u64 {
    let word = word & !HIGH;
    (word + ONES * u64::from(0x80 - first)) & !(word + ONES * u64::from(0x7f - last)) & HIGH
}

/// Whether `wrong` finds nothing in a text. It gets sixteen bytes at a time and marks those that may not stand where
/// they do; the lowest bit is the first byte, and those above the sixteenth do not count. A shorter text is filled up
/// with 0, whose marks do not count either.
#[inline(always)]
pub(crate) fn none_wrong(text: &[u8], wrong: impl Fn(u8x16) -> u32) -> bool {
    let len = text.len();
    let Some(last) = text.last_chunk::<16>() else {
        let bytes = u8x16::new(word(text).unwrap_or(0).to_le_bytes());
        return wrong(bytes) & ((1 << len) - 1) == 0;
    };
    // They overlap by at least one byte, so that every pair of neighbours stands in one of them.
    let mut at = 0;
    while let Some(bytes) = text.get(at..len - 1).and_then(|rest| rest.first_chunk::<16>()) {
        if wrong(u8x16::new(*bytes)) & 0xffff != 0 {
            return false;
        }
        at += 15;
    }
    wrong(u8x16::new(*last)) & 0xffff == 0
}

/// Which of sixteen bytes are in a range.
#[inline(always)]
pub(crate) fn range(bytes: u8x16, first: u8, last: u8) -> u8x16 {
    (bytes - u8x16::splat(first)).simd_le(u8x16::splat(last - first))
}

/// Where the first byte of `word` stands that is one of `of`.
#[inline(always)]
pub(crate) fn first_of<const N: usize>(word: u64, of: [u8; N]) -> Option<usize> {
    first_below_or_of(word, 0, of)
}

/// Where the first byte of `word` stands that is less than `below`, which is at most 0x80, or one of `of`.
#[inline(always)]
pub(crate) fn first_below_or_of<const N: usize>(word: u64, below: u8, of: [u8; N]) -> Option<usize> {
    // A borrow may mark a byte wrongly, but only above one that is marked rightly.
    let mut marks = if below == 0 { 0 } else { word.wrapping_sub(ONES * u64::from(below)) & !word };
    for b in of {
        let zero = word ^ (ONES * u64::from(b));
        marks |= zero.wrapping_sub(ONES) & !zero;
    }
    let marks = marks & HIGH;
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

/// A text of up to sixteen bytes as a number, its first byte the lowest, letters of ASCII in upper case. `None` for a
/// text that is empty or longer.
#[inline(always)]
pub(crate) fn upper_word(text: &[u8]) -> Option<u128> {
    let upper = |word: u64| word - (within(word, b'a', b'z') & !word) / 4;
    let word = word(text)?;
    Some(u128::from(upper(word as u64)) | u128::from(upper((word >> 64) as u64)) << 64)
}

/// A text of one to sixteen bytes as a number, its first byte the lowest.
#[inline(always)]
pub(crate) fn word(text: &[u8]) -> Option<u128> {
    let len = text.len();
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) if len <= 16 => {
            let [first, last] = [first, last].map(|c| u128::from(u64::from_le_bytes(*c)));
            Some(first | last << (8 * (len - 8)))
        }
        (None, _) if len > 0 => Some(u128::from(short(text))),
        _ => None,
    }
}

/// A text of one to seven bytes.
#[inline(always)]
fn short(text: &[u8]) -> u64 {
    let len = text.len();
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => {
            let byte = |at: usize| u64::from(text.get(at).copied().unwrap_or(0)) << (8 * at);
            byte(0) | byte(1) | byte(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_every_pair_of_neighbours_is_looked_at() {
        let wrong_pair = |bytes: u8x16| {
            let mark = bytes.simd_eq(u8x16::splat(b'_')).to_bitmask();
            mark & mark << 1
        };
        let beyond = |bytes: u8x16| !range(bytes, b'A', b'_').to_bitmask();
        for len in 1..=70 {
            let fine = vec![b'A'; len];
            assert!(none_wrong(&fine, wrong_pair) && none_wrong(&fine, beyond), "{len}");
            for at in 0..len {
                for b in [b'A' - 1, b'_' + 1, 0, 0xff] {
                    let mut text = fine.clone();
                    text[at] = b;
                    assert!(!none_wrong(&text, beyond), "{b} at {at} of {len}");
                }
                if at > 0 {
                    let mut text = fine.clone();
                    text[at] = b'_';
                    assert!(none_wrong(&text, wrong_pair), "{at} of {len}");
                    text[at - 1] = b'_';
                    assert!(!none_wrong(&text, wrong_pair), "{at} of {len}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_some_bytes_is_found() {
        assert_eq!(first_of(u64::from_le_bytes(*b"abc d\"e "), [b' ', b'"']), Some(3));
        assert_eq!(first_of(u64::from_le_bytes(*b"abcdefg!"), *b"!x"), Some(7));
        assert_eq!(first_of(u64::from_le_bytes(*b"abcdefgh"), *b"!x"), None);
        for b in 0..=255u8 {
            for at in 0..8 {
                let mut text = *b"abcdefgh";
                text[at] = b;
                let found = first_below_or_of(u64::from_le_bytes(text), 0x20, *b"\"\\");
                assert_eq!(found, (b < 0x20 || b == b'"' || b == b'\\').then_some(at), "{b:#x}");
            }
        }
    }

    #[test]
    fn a_word_is_its_text_in_upper_case() {
        for text in [
            "a",
            "Ab",
            "xYz",
            "geta",
            "{get}",
            "setnxe",
            "psetex9",
            "bitfield",
            "zrevrange",
            "_0123456789abcde",
        ] {
            let mut bytes = text.to_ascii_uppercase().into_bytes();
            bytes.resize(16, 0);
            assert_eq!(upper_word(text.as_bytes()).unwrap().to_le_bytes(), *bytes, "{text}");
        }
        let beyond = [b'a', 0xe1, 0xfa, b'z'];
        assert_eq!(upper_word(&beyond).unwrap().to_le_bytes()[..5], [b'A', 0xe1, 0xfa, b'Z', 0]);
        assert_eq!((upper_word(b""), upper_word(&[b'a'; 17])), (None, None));
    }

    #[test]
    fn ranges_are_exact() {
        for b in 0..0x80u8 {
            let word = u64::from_le_bytes([b'.', b, b'9', b, b'z', b, 0, 0x7f]);
            let found = within(word, b'-', b':').to_le_bytes();
            assert_eq!(found[1] != 0, (b'-'..=b':').contains(&b));
            assert_eq!((found[0], found[2], found[4], found[6], found[7]), (0x80, 0x80, 0, 0, 0));
        }
    }
}
