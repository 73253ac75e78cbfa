//! Operation names, by the rule for metric names: a letter first, then letters, digits, `_` and `.`; at most 100 bytes.
//!
//! From the agent: an empty name, or one without any letter of ASCII, becomes `unnamed_operation`.

use super::{swar, truncate};
use crate::account::normalization::{Counts, Reason};
use crate::trace::Verdict;
use wide::u8x16;

/// What an operation without a usable name is called.
pub const UNNAMED: &[u8] = b"unnamed_operation";

const MAX_BYTES: usize = 100;

/// Normalizes an operation name (also the attribute `link.name` of a span link).
pub fn name(text: &[u8], counts: &mut Counts, out: &mut Vec<u8>) -> Verdict {
    if is_normal(text) {
        return Verdict::Keep;
    }
    let (verdict, reason) = repair(text, out);
    if let Some(reason) = reason {
        counts.add(reason);
    }
    verdict
}

/// The same for a name that the agent repairs without counting it.
pub(crate) fn name_uncounted(text: &[u8], out: &mut Vec<u8>) -> Verdict {
    if is_normal(text) { Verdict::Keep } else { repair(text, out).0 }
}

const ALPHA: u8 = 1;
const DIGIT: u8 = 2;
const DOT: u8 = 4;
const UNDERSCORE: u8 = 8;

static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut i = 0;
    while i < 256 {
        class[i] = match i as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => ALPHA,
            b'0'..=b'9' => DIGIT,
            b'.' => DOT,
            b'_' => UNDERSCORE,
            _ => 0,
        };
        i += 1;
    }
    class
};

#[inline]
fn class(b: u8) -> u8 {
    CLASS[usize::from(b)]
}

/// Whether every byte may stand where it does: no `_` before `_` or `.`.
#[inline]
fn is_valid(text: &[u8]) -> bool {
    swar::none_wrong(text, |bytes| {
        let (underscore, dot) = (bytes.simd_eq(u8x16::splat(b'_')), bytes.simd_eq(u8x16::splat(b'.')));
        let alpha = swar::range(bytes | u8x16::splat(0x20), b'a', b'z');
        let known = alpha | swar::range(bytes, b'0', b'9') | underscore | dot;
        !known.to_bitmask() | underscore.to_bitmask() << 1 & (underscore | dot).to_bitmask()
    })
}

#[inline]
fn is_normal(text: &[u8]) -> bool {
    let (Some(&first), Some(&last)) = (text.first(), text.last()) else { return false };
    text.len() <= MAX_BYTES && first.is_ascii_alphabetic() && last != b'_' && is_valid(text)
}

#[cold]
fn repair(text: &[u8], out: &mut Vec<u8>) -> (Verdict, Option<Reason>) {
    let unnamed = |out: &mut Vec<u8>, reason| {
        out.extend_from_slice(UNNAMED);
        (Verdict::Replace, Some(reason))
    };
    if text.is_empty() {
        return unnamed(out, Reason::SpanNameEmpty);
    }
    let cut = truncate::text(text, MAX_BYTES);
    let reason = (cut.len() < text.len()).then_some(Reason::SpanNameTruncate);
    let Some(first) = cut.iter().position(|&b| class(b) == ALPHA) else {
        return unnamed(out, Reason::SpanNameInvalid);
    };
    let rest = cut.get(first..).unwrap_or(&[]);
    if is_valid(rest) {
        out.extend_from_slice(rest.strip_suffix(b"_").unwrap_or(rest));
    } else {
        rewrite(rest, out);
    }
    (Verdict::Replace, reason)
}

/// Writes a name that begins with a letter. Once there is anything to repair, `_` after `.` goes too.
fn rewrite(text: &[u8], out: &mut Vec<u8>) {
    let mut before = 0;
    for &b in text {
        let class = class(b);
        match (class, before) {
            (ALPHA | DIGIT, _) => out.push(b),
            (DOT, UNDERSCORE) => {
                out.pop();
                out.push(b'.');
            }
            (DOT, _) => out.push(b'.'),
            (_, DOT | UNDERSCORE) => continue,
            _ => out.push(b'_'),
        }
        before = if class == 0 { UNDERSCORE } else { class };
    }
    if before == UNDERSCORE {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (String, Counts) {
        let (mut counts, mut out) = (Counts::default(), Vec::new());
        let verdict = name(text.as_bytes(), &mut counts, &mut out);
        (if verdict == Verdict::Keep { text.into() } else { String::from_utf8(out).unwrap() }, counts)
    }

    #[test]
    fn repairs_only_what_is_wrong() {
        for (text, expected) in [
            ("web.request", "web.request"),
            ("a--b", "a_b"),
            ("a..b", "a..b"),
            ("a._b", "a._b"),
            ("a._b!c", "a.b_c"),
            ("a_.b", "a.b"),
            ("_9a", "a"),
            ("a_", "a"),
            ("a__", "a"),
            ("a é", "a"),
        ] {
            assert_eq!(of(text).0, expected, "{text}");
        }
    }

    #[test]
    fn counts_why() {
        for (text, reason) in [
            ("", Some(Reason::SpanNameEmpty)),
            ("123", Some(Reason::SpanNameInvalid)),
            (&"a".repeat(101), Some(Reason::SpanNameTruncate)),
            ("a b", None),
        ] {
            let (out, counts) = of(text);
            assert_eq!(counts.total(), u64::from(reason.is_some()), "{text}");
            assert!(reason.is_none_or(|r| counts.get(r) == 1), "{text}");
            assert!(out.len() <= 100);
        }
    }
}
