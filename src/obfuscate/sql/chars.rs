//! Characters: classes of bytes, decoding of one character, and what Go takes for a letter, a number or a space.
//!
//! Both families of rules read characters through Go's `unicode` package, so its tables decide, not Rust's.

use super::letters::{LETTERS, NUMBERS};
use crate::normalize::swar::{HIGH, range, within};
use wide::u8x16;

/// What stands for a character that cannot be decoded.
pub(super) const REPLACEMENT: u32 = 0xFFFD;

const SPACE: u8 = 1;
const DIGIT: u8 = 2;
const HEX: u8 = 4;
const LETTER: u8 = 8;
const WORD: u8 = 16;
const NAME: u8 = 32;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        if matches!(c, b' ' | b'\t' | b'\n' | 0x0B | 0x0C | b'\r') {
            table[b] |= SPACE;
        }
        if c.is_ascii_digit() {
            table[b] |= DIGIT | WORD | NAME;
        }
        if c.is_ascii_hexdigit() {
            table[b] |= HEX;
        }
        if c.is_ascii_alphabetic() || c == b'_' {
            table[b] |= LETTER | WORD | NAME;
        }
        if matches!(c, b'@' | b'#' | b'.' | b'*' | b'$') {
            table[b] |= WORD;
        }
        if matches!(c, b'"' | b'.' | b'?' | b'$' | b'#' | b'/' | b'@' | b'!') {
            table[b] |= NAME;
        }
        b += 1;
    }
    table
}

/// An ASCII space as Go's `unicode.IsSpace` has it.
#[inline]
pub(super) fn is_space(b: u8) -> bool {
    CLASS[b as usize] & SPACE != 0
}

/// `0` to `9`.
#[inline]
pub(super) fn is_digit(b: u8) -> bool {
    b.is_ascii_digit()
}

/// An ASCII letter or `_`.
#[inline]
pub(super) fn is_ascii_letter(b: u8) -> bool {
    CLASS[b as usize] & LETTER != 0
}

/// Where the run of digits at `at` ends.
#[inline]
pub(super) fn digits_end(src: &[u8], at: usize) -> usize {
    wide_run_end(src, at, DIGIT, |word| within(word, b'0', b'9'))
}

/// Where the next digit at or after `at` is, or the end.
pub(super) fn digits_start(src: &[u8], at: usize) -> usize {
    let tail = src.get(at..).unwrap_or_default();
    tail.iter().position(|&b| is_digit(b)).map_or(src.len(), |n| at + n)
}

/// Where the run of hexadecimal digits at `at` ends.
pub(super) fn hex_end(src: &[u8], at: usize) -> usize {
    wide_run_end(src, at, HEX, |word| {
        within(word, b'0', b'9') | within(word | 0x2020_2020_2020_2020, b'a', b'f')
    })
}

/// Where the run of ASCII letters and `_` at `at` ends.
#[inline]
pub(super) fn letters_end(src: &[u8], at: usize) -> usize {
    run_end(src, at, LETTER)
}

/// Where the ASCII part of a name in the agent's tokenizer ends: letters, digits and `_ @ # . * $`.
#[inline(always)]
pub(super) fn word_end(src: &[u8], at: usize) -> usize {
    let Some(bytes) = src.get(at..).and_then(|tail| tail.first_chunk::<16>()) else {
        return run_end(src, at, WORD);
    };
    let bytes = u8x16::new(*bytes);
    let usual = range(bytes | u8x16::splat(0x20), b'a', b'z')
        | range(bytes, b'0', b'9')
        | bytes.simd_eq(u8x16::splat(b'_'))
        | bytes.simd_eq(u8x16::splat(b'.'));
    let end = at + (!usual.to_bitmask()).trailing_zeros() as usize;
    if CLASS[byte(src, end) as usize] & WORD == 0 { end } else { run_end(src, end, WORD) }
}

/// Where the ASCII part of a name in go-sqllexer ends: letters, digits and `_ " . ? $ # / @ !`.
#[inline]
pub(super) fn name_end(src: &[u8], at: usize) -> usize {
    run_end(src, at, NAME)
}

/// The same eight bytes at a time, where nothing can foretell how long a run is; `marks` knows the class's ASCII.
#[inline(always)]
fn wide_run_end(src: &[u8], mut at: usize, class: u8, marks: impl Fn(u64) -> u64) -> usize {
    while let Some(chunk) = src.get(at..).and_then(|tail| tail.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let others = (!marks(word) | word) & HIGH;
        if others != 0 {
            return at + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    run_end(src, at, class)
}

#[inline(always)]
fn run_end(src: &[u8], at: usize, class: u8) -> usize {
    let tail = src.get(at..).unwrap_or_default();
    match tail.iter().position(|&b| CLASS[b as usize] & class == 0) {
        Some(n) => at + n,
        None => src.len(),
    }
}

/// The byte at `at`, or 0 behind the end.
#[inline]
pub(super) fn byte(src: &[u8], at: usize) -> u8 {
    src.get(at).copied().unwrap_or(0)
}

/// The character at `at` and its length in bytes; [`REPLACEMENT`] and 1 for what is not UTF-8, 0 and 0 behind the end.
pub(super) fn decode(src: &[u8], at: usize) -> (u32, usize) {
    let tail = src.get(at..).unwrap_or_default();
    let Some(&first) = tail.first() else {
        return (0, 0);
    };
    let length = match first {
        0..0x80 => return (u32::from(first), 1),
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return (REPLACEMENT, 1),
    };
    let text = tail.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.and_then(|text| text.chars().next()) {
        Some(c) => (c as u32, length),
        None => (REPLACEMENT, 1),
    }
}

/// Go's `unicode.IsLetter`.
pub(super) fn is_letter(c: u32) -> bool {
    if c < 0x80 { (c as u8).is_ascii_alphabetic() } else { holds(LETTERS, c) }
}

/// Go's `unicode.IsNumber`.
pub(super) fn is_number(c: u32) -> bool {
    if c < 0x80 { (c as u8).is_ascii_digit() } else { holds(NUMBERS, c) }
}

/// Go's `unicode.IsSpace`.
pub(super) fn is_blank(c: u32) -> bool {
    match c {
        0..0x80 => is_space(c as u8),
        0x85 | 0xA0 | 0x1680 | 0x2000..=0x200A | 0x2028 | 0x2029 | 0x202F | 0x205F | 0x3000 => true,
        _ => false,
    }
}

fn holds(ranges: &[(u32, u32)], c: u32) -> bool {
    let after = ranges.partition_point(|&(low, _)| low <= c);
    after > 0 && c <= ranges[after - 1].1
}

/// Whether there is nothing but spaces in `text` (or nothing at all).
pub(super) fn is_all_blank(text: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        let (c, length) = decode(text, at);
        if !is_blank(c) {
            return false;
        }
        at += length;
    }
    true
}

/// The first `needle` or backslash at or after `at`, or the end. Eight bytes at a time: quoted texts are too short for
/// a vectorised search to pay off.
#[inline]
pub(super) fn quote_or_backslash(src: &[u8], mut at: usize, needle: u8) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let quotes = ONES * u64::from(needle);
    let slashes = ONES * u64::from(b'\\');
    while let Some(chunk) = src.get(at..at + 8) {
        let Ok(chunk) = chunk.try_into() else { break };
        let word = u64::from_le_bytes(chunk);
        let (a, b) = (word ^ quotes, word ^ slashes);
        // The lowest flagged byte is exact: borrows only travel upwards.
        let found = ((a.wrapping_sub(ONES) & !a) | (b.wrapping_sub(ONES) & !b)) & HIGHS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < src.len() && src[at] != needle && src[at] != b'\\' {
        at += 1;
    }
    at
}
