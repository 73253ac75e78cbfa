//! Tags as the backend stores them: lower case, letters, digits and `: . / -`; everything else becomes `_`, runs of it
//! one `_`, none at the end; at most 200 characters.
//!
//! A full tag (`key:value`) must also begin with a letter or `:`; a value alone may begin with anything. The rule is
//! the agent's (`NormalizeTag`, `NormalizeTagValue`), its limits too: reading stops after 200 characters or about 400
//! bytes.

use super::{swar, unicode};
use crate::trace::Verdict;
use wide::u8x16;

/// Most characters of a tag.
const MAX_CHARS: usize = 200;
/// Where reading stops even if most of what was read was cut out.
const MAX_READ_BYTES: usize = 400;

/// Normalizes a whole tag, `key:value`.
pub fn tag(text: &[u8], out: &mut Vec<u8>) -> Verdict {
    let starts_well = text.first().is_none_or(|&b| may_begin(char::from(b)) && b.is_ascii());
    if starts_well && is_normal(text) { Verdict::Keep } else { rewrite(text, true, out) }
}

/// Normalizes the value of a tag (`env`, a service): what it begins with is not restricted.
pub fn tag_value(text: &[u8], out: &mut Vec<u8>) -> Verdict {
    if is_normal(text) { Verdict::Keep } else { rewrite(text, false, out) }
}

/// Whether an ASCII text needs no change: what may stand anywhere, and `_` between two of these or first. The usual
/// case.
#[inline]
pub(crate) fn is_normal(text: &[u8]) -> bool {
    text.len() <= MAX_CHARS
        && text.last() != Some(&b'_')
        && swar::none_wrong(text, |bytes| {
            let underscore = bytes.simd_eq(u8x16::splat(b'_'));
            // `-`, `.`, `/`, the digits and `:` follow one another.
            let known = swar::range(bytes, b'-', b':') | swar::range(bytes, b'a', b'z') | underscore;
            let underscore = underscore.to_bitmask();
            !known.to_bitmask() | underscore & underscore << 1
        })
}

#[cold]
fn rewrite(text: &[u8], cut_leading: bool, out: &mut Vec<u8>) -> Verdict {
    let start = out.len();
    let (mut at, mut chars, mut gap) = (0, 0, false);
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let (c, width) = unicode::decode(rest);
        let c = c.map(lower);
        if c.is_some_and(|c| stays(c) && (chars > 0 || !cut_leading || may_begin(c))) {
            if gap {
                out.push(b'_');
                gap = false;
            }
            let mut utf8 = [0; 4];
            out.extend_from_slice(c.map_or(&[][..], |c| c.encode_utf8(&mut utf8).as_bytes()));
            chars += 1;
        } else if chars > 0 || !cut_leading {
            gap = true;
            chars += 1;
        }
        at += width;
        if at >= MAX_READ_BYTES || chars >= MAX_CHARS {
            break;
        }
    }
    if out.get(start..) == Some(text) {
        out.truncate(start);
        return Verdict::Keep;
    }
    Verdict::Replace
}

fn lower(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { unicode::to_lower_same_width(c) }
}

fn stays(c: char) -> bool {
    may_begin(c) || matches!(c, '0'..='9' | '.' | '/' | '-') || (!c.is_ascii() && unicode::is_digit(c))
}

fn may_begin(c: char) -> bool {
    matches!(c, 'a'..='z' | ':') || (!c.is_ascii() && unicode::is_letter(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rule: fn(&[u8], &mut Vec<u8>) -> Verdict, text: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        match rule(text, &mut out) {
            Verdict::Replace => out.split_off(6),
            verdict => {
                assert_eq!((verdict, out.as_slice()), (Verdict::Keep, &b"before"[..]));
                text.to_vec()
            }
        }
    }

    #[test]
    fn a_value_may_begin_with_what_a_tag_may_not() {
        for (text, whole, value) in [
            ("9Lives", "lives", "9lives"),
            ("_A b", "a_b", "_a_b"),
            ("!!", "", ""),
            ("a__b", "a_b", "a_b"),
            ("a_", "a", "a"),
            ("_a", "a", "_a"),
            ("é日\u{fffd}٣", "é日_٣", "é日_٣"),
            ("ÀB", "àb", "àb"),
        ] {
            assert_eq!(of(tag, text.as_bytes()), whole.as_bytes(), "{text}");
            assert_eq!(of(tag_value, text.as_bytes()), value.as_bytes(), "{text}");
        }
    }

    #[test]
    fn reads_at_most_two_hundred_characters() {
        assert_eq!(of(tag_value, &[b'a'; 300]).len(), 200);
        assert_eq!(of(tag_value, "é".repeat(300).as_bytes()).len(), 400);
        assert_eq!(of(tag, &[&[b'!'; 399][..], b"ab"].concat()), b"a");
    }

    #[test]
    fn normal_text_is_not_touched() {
        let mut out = Vec::new();
        assert_eq!(tag_value(b"my-service.v2/x:y_z", &mut out), Verdict::Keep);
        assert_eq!(out.capacity(), 0);
    }
}
