//! Percent escapes of URLs by the rules of Go's `net/url`: which bytes each part may hold, decoding, encoding.

use std::borrow::Cow;

/// A part of a URL that has its own set of plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Path,
    Fragment,
    Host,
}

const PATH: u8 = 1;
const FRAGMENT: u8 = 2;
const HOST: u8 = 4;
/// Is not escaped when a path or fragment is written anew, unless it stood there.
const LENIENT: u8 = 8;

static PLAIN: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = match i as u8 {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => PATH | FRAGMENT | HOST,
            b'$' | b'&' | b'+' | b',' | b':' | b';' | b'=' => PATH | FRAGMENT | HOST | LENIENT,
            b'@' => PATH | FRAGMENT | LENIENT,
            b'/' => PATH | FRAGMENT,
            b'?' => FRAGMENT,
            b'!' | b'(' | b')' | b'*' => FRAGMENT | HOST | LENIENT,
            b'\'' | b'[' | b']' => HOST | LENIENT,
            b'"' | b'<' | b'>' => HOST,
            b'%' => LENIENT,
            _ => 0,
        };
        i += 1;
    }
    table
};

impl Part {
    #[inline]
    fn bit(self) -> u8 {
        match self {
            Part::Path => PATH,
            Part::Fragment => FRAGMENT,
            Part::Host => HOST,
        }
    }
}

/// Whether a byte may stand in a part without an escape.
#[inline]
pub(super) fn is_plain(b: u8, part: Part) -> bool {
    PLAIN[usize::from(b)] & part.bit() != 0
}

/// Whether a path or fragment may stand as it is (its escapes are well-formed already).
#[inline]
pub(super) fn is_escaped(text: &[u8], part: Part) -> bool {
    let fine = part.bit() | LENIENT;
    text.iter().all(|&b| PLAIN[usize::from(b)] & fine != 0)
}

/// Appends a decoded text, escaped.
pub(super) fn escape(text: &[u8], part: Part, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let plain = part.bit();
    if part == Part::Path && text == b"*" {
        out.push(b'*');
        return;
    }
    for &b in text {
        if PLAIN[usize::from(b)] & plain != 0 {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
}

/// The decoded text; `None` for a percent sign without two hexadecimal digits behind it.
pub(super) fn unescape(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = memchr::memchr(b'%', text) else { return Some(Cow::Borrowed(text)) };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(text.get(..first)?);
    let mut at = first;
    while let Some(&b) = text.get(at) {
        if b == b'%' {
            out.push(byte_at(text, at)?);
            at += 3;
        } else {
            out.push(b);
            at += 1;
        }
    }
    Some(Cow::Owned(out))
}

/// The byte that the escape at `at` stands for.
fn byte_at(text: &[u8], at: usize) -> Option<u8> {
    let digit = |i: usize| text.get(at + i).and_then(|&b| char::from(b).to_digit(16));
    u8::try_from(digit(1)? << 4 | digit(2)?).ok()
}

/// Decodes a host: only bytes beyond ASCII and the percent sign may be escaped, and only some ASCII may stand in it.
pub(super) fn unescape_host(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    check_host(text, |escaped| escaped >= 0x80 || escaped == b'%').then(|| unescape(text)).flatten()
}

/// Decodes what stands between brackets. In a zone, behind `%25`, whatever may stand in a host may be escaped, and a
/// space.
pub(super) fn unescape_bracketed(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let zone_at = memchr::memmem::find(text, b"%25").unwrap_or(text.len());
    let (address, zone) = text.split_at(zone_at);
    let zone_byte = |b: u8| b == b'%' || b == b' ' || PLAIN[usize::from(b)] & HOST != 0;
    if !check_host(zone, zone_byte) {
        return None;
    }
    let address = unescape_host(address)?;
    if zone.is_empty() {
        return Some(address);
    }
    let mut out = address.into_owned();
    out.extend_from_slice(&unescape(zone)?);
    Some(Cow::Owned(out))
}

fn check_host(text: &[u8], may_escape: impl Fn(u8) -> bool) -> bool {
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        if b == b'%' {
            if !byte_at(text, at).is_some_and(&may_escape) {
                return false;
            }
            at += 3;
        } else if b >= 0x80 || PLAIN[usize::from(b)] & HOST != 0 {
            at += 1;
        } else {
            return false;
        }
    }
    true
}

/// Writes a checked host: decoded and escaped anew.
pub(super) fn push_host(host: &[u8], bracketed: bool, out: &mut Vec<u8>) {
    if host.iter().all(|&b| PLAIN[usize::from(b)] & HOST != 0) {
        out.extend_from_slice(host);
    } else if !bracketed {
        escape(&unescape_host(host).unwrap_or_default(), Part::Host, out);
    } else if let Some((address, port)) = super::http::bracketed_parts(host) {
        out.push(b'[');
        escape(&address, Part::Host, out);
        out.push(b']');
        out.extend_from_slice(port);
    }
}
