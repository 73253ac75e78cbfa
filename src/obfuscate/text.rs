//! White space and upper case as Go's `strings` package sees them in text that need not be UTF-8.

use crate::normalize::unicode;

/// Whether a character is white space. What is not UTF-8 is not.
pub(super) fn is_space(c: Option<char>) -> bool {
    c.is_some_and(char::is_whitespace)
}

/// Cuts white space off both ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let is_dark = |b: Option<&u8>| b.is_some_and(u8::is_ascii_graphic);
    if is_dark(text.first()) && is_dark(text.last()) {
        return text;
    }
    trim_end(trim_start(text))
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    loop {
        let (c, width) = unicode::decode(text);
        match text.get(width..) {
            Some(rest) if is_space(c) => text = rest,
            _ => return text,
        }
    }
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let Some(&last) = text.last() {
        // A character ends here: its first byte is at most three bytes back.
        let width = (1..=4.min(text.len()))
            .find(|w| text.get(text.len() - w).is_some_and(|b| b & 0xc0 != 0x80))
            .filter(|_| last >= 0x80)
            .unwrap_or(1);
        let at = text.len() - width;
        let (c, read) = unicode::decode(text.get(at..).unwrap_or(&[]));
        if read != width || !is_space(c) {
            break;
        }
        text = text.get(..at).unwrap_or(&[]);
    }
    text
}

/// The words of a text: what white space separates.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = trim_start(rest);
        if rest.is_empty() {
            return None;
        }
        let mut at = 0;
        while let Some(tail) = rest.get(at..).filter(|t| !t.is_empty()) {
            let (c, width) = unicode::decode(tail);
            if is_space(c) {
                break;
            }
            at += width;
        }
        let (word, tail) = rest.split_at_checked(at)?;
        rest = tail;
        Some(word)
    })
}

/// Appends the upper-case form; beyond ASCII, bytes that are not UTF-8 become U+FFFD.
pub(super) fn push_upper(text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.iter().map(u8::to_ascii_uppercase));
        return;
    }
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let (c, width) = unicode::decode(rest);
        let c = c.map_or(char::REPLACEMENT_CHARACTER, unicode::to_upper);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        at += width;
    }
}

/// Whether the upper-case form of `text` is `upper`, which is ASCII.
#[inline]
pub(super) fn upper_is(text: &[u8], upper: &[u8]) -> bool {
    text.eq_ignore_ascii_case(upper) || (!text.is_ascii() && upper_is_slow(text, upper))
}

#[cold]
fn upper_is_slow(text: &[u8], upper: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|t| t.chars().map(unicode::to_upper).eq(upper.iter().map(|&b| char::from(b))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_white_space_of_unicode_and_nothing_else() {
        for (text, expected) in [
            (&b" \t\r\n\x0b\x0c a b \n"[..], &b"a b"[..]),
            ("\u{85}\u{a0}\u{3000}x\u{2028}\u{1680}".as_bytes(), b"x"),
            (b"\xff x \xe3\x80", b"\xff x \xe3\x80"),
            (b"x\x80\x80\x80\x80", b"x\x80\x80\x80\x80"),
            (b"   ", b""),
            (b"", b""),
        ] {
            assert_eq!(trim(text), expected);
        }
    }

    #[test]
    fn words_are_separated_by_white_space() {
        assert_eq!(words(" a\u{a0}b\tc ".as_bytes()).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert_eq!(words(b"  ").count(), 0);
    }

    #[test]
    fn upper_case_is_that_of_go() {
        let mut out = Vec::new();
        push_upper("aé\u{16e80}ß".as_bytes(), &mut out);
        push_upper(b"\xffz", &mut out);
        assert_eq!(out, "AÉ\u{16e80}ß\u{fffd}Z".as_bytes());
        assert!(upper_is("ſet".as_bytes(), b"SET"));
        assert!(!upper_is(b"s\xff", b"SET"));
    }
}
