//! Characters as the agent sees them: decoding that takes one byte at a time of what is not UTF-8, and the classes and
//! case mappings of Go's `unicode` package, which differ from those of Rust's standard library.

use super::unicode_tables::{DIGITS, LETTERS, TO_LOWER, TO_UPPER};
use std::cmp::Ordering;

/// The first character of `bytes` and how many bytes it takes; `None` and 1 where they are not UTF-8.
///
/// `bytes` must not be empty; an empty slice gives `(None, 1)`.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    let width = match bytes.first() {
        Some(&b) if b < 0x80 => return (Some(char::from(b)), 1),
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return (None, 1),
    };
    match bytes.get(..width).and_then(|b| std::str::from_utf8(b).ok()).and_then(|s| s.chars().next()) {
        Some(c) => (Some(c), width),
        None => (None, 1),
    }
}

/// Whether the character, beyond ASCII, is a letter (category L).
pub(crate) fn is_letter(c: char) -> bool {
    within(&LETTERS, c)
}

/// Whether the character, beyond ASCII, is a decimal digit (category Nd).
pub(crate) fn is_digit(c: char) -> bool {
    within(&DIGITS, c)
}

/// The lower-case form of an upper-case letter beyond ASCII if it takes as many bytes, else the character itself.
pub(crate) fn to_lower_same_width(c: char) -> char {
    mapped(&TO_LOWER, c)
}

/// The simple upper-case form of a character.
pub(crate) fn to_upper(c: char) -> char {
    if c.is_ascii() { c.to_ascii_uppercase() } else { mapped(&TO_UPPER, c) }
}

fn within(table: &[(u32, u32)], c: char) -> bool {
    let c = u32::from(c);
    table.binary_search_by(|&(first, last)| compare(first, last, c)).is_ok()
}

fn mapped(table: &[(u32, u32, u32, i32)], c: char) -> char {
    let code = u32::from(c);
    let run = table.binary_search_by(|&(first, last, ..)| compare(first, last, code));
    match run.ok().and_then(|i| table.get(i)) {
        Some(&(first, _, step, difference)) if (code - first).is_multiple_of(step) => {
            code.checked_add_signed(difference).and_then(char::from_u32).unwrap_or(c)
        }
        _ => c,
    }
}

fn compare(first: u32, last: u32, c: u32) -> Ordering {
    if last < c {
        Ordering::Less
    } else if first > c {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_classes_are_those_of_go() {
        assert_eq!(to_upper('ß'), 'ß');
        assert_eq!(to_upper('ſ'), 'S');
        assert_eq!(to_upper('ı'), 'I');
        assert_eq!(to_upper('ÿ'), 'Ÿ');
        assert_eq!(to_upper('ა'), 'Ა');
        assert_eq!(to_lower_same_width('É'), 'é');
        assert_eq!(to_lower_same_width('Ω'), 'ω');
        assert_eq!(to_lower_same_width('İ'), 'İ', "i would be shorter");
        assert_eq!(to_lower_same_width('ǅ'), 'ǅ', "title case is not upper case");
        assert!(is_letter('日') && is_letter('ª') && !is_letter('٣') && !is_letter('²'));
        assert!(is_digit('٣') && !is_digit('²') && !is_digit('Ⅳ'));
    }

    #[test]
    fn tables_are_sorted_and_disjoint() {
        assert!(LETTERS.windows(2).all(|w| w[0].1 < w[1].0));
        assert!(DIGITS.windows(2).all(|w| w[0].1 < w[1].0));
        assert!(TO_LOWER.windows(2).all(|w| w[0].1 < w[1].0));
        assert!(TO_UPPER.windows(2).all(|w| w[0].1 < w[1].0));
    }

    #[test]
    fn what_is_not_utf8_is_taken_byte_by_byte() {
        assert_eq!(decode(b"\xff\xfe"), (None, 1));
        assert_eq!(decode(b"\xe6\x97"), (None, 1));
        assert_eq!(decode(b"\xed\xa0\x80"), (None, 1), "a surrogate");
        assert_eq!(decode("日x".as_bytes()), (Some('日'), 3));
        assert_eq!(decode(b""), (None, 1));
    }
}
