//! The agent's limits of text, cut at the border of a character.
//!
//! Truncating comes after obfuscation: what is cut first could no longer be parsed, and would leak or be refused.

use crate::trace::Verdict;

/// Most bytes of a resource.
pub const RESOURCE: usize = 5_000;
/// Most bytes of a span's type.
pub const TYPE: usize = 100;
/// Most bytes of a key of `meta` or `metrics`; `...` is added to one that was cut.
pub const KEY: usize = 200;
/// Most bytes of a value of `meta`; `...` is added to one that was cut.
pub const VALUE: usize = 25_000;

const CUT_MARK: &[u8] = b"...";

/// The longest prefix of at most `limit` bytes that does not end inside a character.
///
/// Like the agent it looks at the last four bytes only: the prefix is fine when its last 4, 3, 2 or 1 bytes are UTF-8.
#[inline]
pub fn text(text: &[u8], limit: usize) -> &[u8] {
    if text.len() <= limit { text } else { cut(text, limit) }
}

#[cold]
fn cut(text: &[u8], limit: usize) -> &[u8] {
    let mut prefix = text.get(..limit).unwrap_or(text);
    while !prefix.is_empty() {
        let ends_well = (1..=prefix.len().min(4))
            .any(|n| prefix.get(prefix.len() - n..).is_some_and(|tail| std::str::from_utf8(tail).is_ok()));
        if ends_well {
            break;
        }
        prefix = prefix.get(..prefix.len() - 1).unwrap_or(&[]);
    }
    prefix
}

/// Cuts a resource to `limit` bytes ([`RESOURCE`] unless the agent has its feature `big_resource`).
pub fn resource(resource: &[u8], limit: usize, out: &mut Vec<u8>) -> Verdict {
    plain(resource, limit, out)
}

/// Cuts a span's type.
pub fn span_type(span_type: &[u8], out: &mut Vec<u8>) -> Verdict {
    plain(span_type, TYPE, out)
}

/// Cuts a key of `meta`; structured tags are left alone.
pub fn meta_key(key: &[u8], out: &mut Vec<u8>) -> Verdict {
    if key.len() <= KEY || is_structured(key) { Verdict::Keep } else { marked(key, KEY, out) }
}

/// Cuts a value of `meta`; structured tags are left alone.
pub fn meta_value(key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Verdict {
    if value.len() <= VALUE || is_structured(key) { Verdict::Keep } else { marked(value, VALUE, out) }
}

/// Cuts a key of `metrics`.
pub fn metrics_key(key: &[u8], out: &mut Vec<u8>) -> Verdict {
    if key.len() <= KEY { Verdict::Keep } else { marked(key, KEY, out) }
}

/// Structured tags carry a document whose format their key names; half a document is worth nothing.
fn is_structured(key: &[u8]) -> bool {
    key.starts_with(b"_dd.")
        && (key.ends_with(b".json") || key.ends_with(b".msgpack") || key.ends_with(b".protobuf"))
}

fn plain(value: &[u8], limit: usize, out: &mut Vec<u8>) -> Verdict {
    if value.len() <= limit {
        return Verdict::Keep;
    }
    out.extend_from_slice(text(value, limit));
    Verdict::Replace
}

fn marked(value: &[u8], limit: usize, out: &mut Vec<u8>) -> Verdict {
    out.extend_from_slice(text(value, limit));
    out.extend_from_slice(CUT_MARK);
    Verdict::Replace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_ends_inside_a_character() {
        for (s, limit, expected) in [
            ("télé", 5, "tél"),
            ("télé", 2, "t"),
            ("肋", 2, ""),
            ("🠠a", 4, "🠠"),
            ("abc", 0, ""),
            ("abc", 9, "abc"),
        ] {
            assert_eq!(text(s.as_bytes(), limit), expected.as_bytes());
        }
        assert_eq!(text(b"a\xff\xff\xff\xff\xff\xff", 6), b"a", "what is not UTF-8 at the end is cut off");
    }

    #[test]
    fn structured_tags_are_not_cut() {
        let (mut out, long) = (Vec::new(), vec![b'v'; VALUE + 1]);
        assert_eq!(meta_value(b"_dd.appsec.json", &long, &mut out), Verdict::Keep);
        assert_eq!(meta_value(b"appsec.json", &long, &mut out), Verdict::Replace);
        assert_eq!(out.len(), VALUE + 3);
    }
}
