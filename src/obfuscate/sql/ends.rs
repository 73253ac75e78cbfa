//! Where numbers and dollar-quoted texts end, as the agent's own tokenizer finds it.

use super::chars::{byte, decode, digits_end, hex_end, is_letter};

/// Where the text ends that `delimiter` closes; what is in between goes to `body`.
///
/// The agent compares the low byte of each character with the delimiter's bytes, and does not look at a character again
/// that broke off a partial match.
pub(super) fn dollar_quoted_end(
    src: &[u8],
    from: usize,
    delimiter: &[u8],
    mut body: Option<&mut Vec<u8>>,
) -> Option<usize> {
    let (mut at, mut matched) = (from, 0);
    while at < src.len() {
        let (c, length) = decode(src, at);
        at += length;
        if c as u8 == delimiter[matched] {
            matched += 1;
            if matched == delimiter.len() {
                return Some(at);
            }
            continue;
        }
        if let Some(body) = body.as_deref_mut() {
            body.extend_from_slice(&delimiter[..matched]);
            body.extend_from_slice(&src[at - length..at]);
        }
        matched = 0;
    }
    None
}

pub(super) fn is_name_letter(c: u32) -> bool {
    is_letter(c) || matches!(u8::try_from(c), Ok(b'_' | b'@' | b'#'))
}

/// Where the number at `at` ends, which may be none at all.
#[inline]
pub(super) fn number_end(src: &[u8], at: usize) -> usize {
    if byte(src, at) == b'0' && byte(src, at + 1) | 0x20 == b'x' {
        return hex_end(src, at + 2);
    }
    let digits = digits_end(src, at);
    if byte(src, digits) == b'.' { fraction_end(src, digits + 1) } else { exponent_end(src, digits) }
}

pub(super) fn fraction_end(src: &[u8], at: usize) -> usize {
    exponent_end(src, digits_end(src, at))
}

#[inline]
fn exponent_end(src: &[u8], at: usize) -> usize {
    if byte(src, at) | 0x20 != b'e' {
        return at;
    }
    let sign = usize::from(matches!(byte(src, at + 1), b'+' | b'-'));
    digits_end(src, at + 1 + sign)
}
