//! The rarer parts of a v0.4 span: `meta_struct`, `span_links`, `span_events`. Checked as the agent checks them, so that
//! one bad event does not lose the payload.

use super::malformed::{Fault, Fixer};
use crate::msgpack::reader::{self, Bad};

type End = Result<usize, Fault>;

/// A map of text to binary.
pub(super) fn meta_struct(fix: &mut Fixer<'_>, p: usize) -> End {
    let (n, mut q) = reader::map_head(fix.buf, p).map_err(|b| Fault::new(p, b, "a map"))?;
    for _ in 0..n {
        let entry = q;
        q = key(fix, q)?.1;
        q = match reader::bin_head(fix.buf, q) {
            Ok((start, len)) if start + len <= fix.buf.len() => start + len,
            Ok(_) => return Err(Fault::new(q, Bad::Truncated, "binary")),
            Err(bad) => fix.remove_entry(p, entry, Fault::new(q, bad, "binary"))?,
        };
    }
    Ok(q)
}

/// An array of links, each a map.
pub(super) fn links(fix: &mut Fixer<'_>, p: usize) -> End {
    list(fix, p, |fix, map, entry, key, q| match key {
        b"trace_id" | b"trace_id_high" | b"span_id" => int_or_drop(fix, map, entry, q, 0..=u64::MAX as i128),
        b"flags" => int_or_drop(fix, map, entry, q, 0..=u32::MAX as i128),
        b"tracestate" => text_or_drop(fix, map, entry, q),
        b"attributes" => text_map(fix, map, entry, q),
        _ => skip(fix, q),
    })
}

/// An array of events, each a map.
pub(super) fn events(fix: &mut Fixer<'_>, p: usize) -> End {
    list(fix, p, |fix, map, entry, key, q| match key {
        b"time_unix_nano" => int_or_drop(fix, map, entry, q, 0..=u64::MAX as i128),
        b"name" => text_or_drop(fix, map, entry, q),
        b"attributes" => attributes(fix, map, entry, q),
        _ => skip(fix, q),
    })
}

fn list(
    fix: &mut Fixer<'_>,
    p: usize,
    mut value: impl FnMut(&mut Fixer<'_>, usize, usize, &[u8], usize) -> End,
) -> End {
    let (n, mut q) = reader::array_head(fix.buf, p).map_err(|b| Fault::new(p, b, "an array"))?;
    for _ in 0..n {
        let map = q;
        let (entries, first) = reader::map_head(fix.buf, q).map_err(|b| Fault::new(q, b, "a map"))?;
        q = first;
        for _ in 0..entries {
            let entry = q;
            let buf = fix.buf;
            let (range, at) = key(fix, q)?;
            q = value(fix, map, entry, &buf[range], at)?;
        }
    }
    Ok(q)
}

/// A key, as the range of its text, and the position of its value.
fn key(fix: &Fixer<'_>, p: usize) -> Result<(std::ops::Range<usize>, usize), Fault> {
    let (text, q) = reader::text(fix.buf, p).map_err(|b| Fault::new(p, b, "a key"))?;
    Ok((q - text.len()..q, q))
}

fn skip(fix: &Fixer<'_>, p: usize) -> End {
    reader::skip(fix.buf, p).map_err(|b| Fault::new(p, b, "a value"))
}

fn int_or_drop(
    fix: &mut Fixer<'_>,
    map: usize,
    entry: usize,
    p: usize,
    range: std::ops::RangeInclusive<i128>,
) -> End {
    let signed = range.contains(&-1);
    let unsigned_64 = *range.end() == i128::from(u64::MAX);
    let bad = match reader::int_bits(fix.buf, p) {
        Ok((bits, q)) => {
            let marker = fix.buf.get(p).copied().unwrap_or(0);
            let v = if marker == 0xcf { i128::from(bits) } else { i128::from(bits as i64) };
            // Ids may be negative on the wire (-1 for 2^64-1): the agent takes their bits. Flags and times may not.
            if range.contains(&v) || (unsigned_64 && !signed && is_id(fix, entry)) {
                return Ok(q);
            }
            Bad::Range
        }
        Err(Bad::Type) if fix.buf.get(p) == Some(&0xc0) => return Ok(p + 1),
        Err(bad) => bad,
    };
    let fault = Fault::new(p, bad, "an integer in its range");
    match fix.integer(p, fault, range)? {
        Some((_, q)) => Ok(q),
        None => fix.remove_entry(map, entry, fault),
    }
}

fn is_id(fix: &Fixer<'_>, entry: usize) -> bool {
    matches!(reader::text(fix.buf, entry), Ok((b"trace_id" | b"trace_id_high" | b"span_id", _)))
}

fn text_or_drop(fix: &mut Fixer<'_>, map: usize, entry: usize, p: usize) -> End {
    match reader::text(fix.buf, p) {
        Ok((_, q)) => Ok(q),
        Err(bad) => fix.remove_entry(map, entry, Fault::new(p, bad, "a string")),
    }
}

/// A map of text to text.
fn text_map(fix: &mut Fixer<'_>, outer: usize, outer_entry: usize, p: usize) -> End {
    let (n, mut q) = match reader::map_head(fix.buf, p) {
        Ok(head) => head,
        Err(Bad::Type) if fix.buf.get(p) == Some(&0xc0) => return Ok(p + 1),
        Err(bad) => return fix.remove_entry(outer, outer_entry, Fault::new(p, bad, "a map")),
    };
    for _ in 0..n {
        let entry = q;
        q = key(fix, q)?.1;
        q = text_or_drop(fix, p, entry, q)?;
    }
    Ok(q)
}

/// The attributes of an event: each value a map of `type` and one value.
fn attributes(fix: &mut Fixer<'_>, outer: usize, outer_entry: usize, p: usize) -> End {
    let (n, mut q) = match reader::map_head(fix.buf, p) {
        Ok(head) => head,
        Err(Bad::Type) if fix.buf.get(p) == Some(&0xc0) => return Ok(p + 1),
        Err(bad) => return fix.remove_entry(outer, outer_entry, Fault::new(p, bad, "a map")),
    };
    for _ in 0..n {
        let entry = q;
        q = key(fix, q)?.1;
        q = match attribute_value(fix.buf, q, true) {
            Ok(end) => end,
            Err(fault) => fix.remove_entry(p, entry, fault)?,
        };
    }
    Ok(q)
}

/// `{type: 0..4, string_value | bool_value | int_value | double_value | array_value: …}`; nothing is repaired inside.
fn attribute_value(buf: &[u8], p: usize, array_allowed: bool) -> End {
    if buf.get(p) == Some(&0xc0) {
        return Ok(p + 1);
    }
    let (n, mut q) = reader::map_head(buf, p).map_err(|b| Fault::new(p, b, "a map"))?;
    for _ in 0..n {
        let (key, at) = reader::text(buf, q).map_err(|b| Fault::new(q, b, "a key"))?;
        q = match key {
            b"type" => {
                reader::int(buf, at).map(|(_, end)| end).map_err(|b| Fault::new(at, b, "an integer"))?
            }
            b"string_value" => {
                reader::text(buf, at).map(|(_, end)| end).map_err(|b| Fault::new(at, b, "a string"))?
            }
            b"bool_value" => match buf.get(at) {
                Some(0xc2 | 0xc3 | 0xc0) => at + 1,
                _ => return Err(Fault::new(at, Bad::Type, "a boolean")),
            },
            b"int_value" => {
                reader::int(buf, at).map(|(_, end)| end).map_err(|b| Fault::new(at, b, "an integer"))?
            }
            b"double_value" => match buf.get(at) {
                Some(0xca) => return Err(Fault::new(at, Bad::Type, "a 64-bit float")),
                _ => {
                    reader::number(buf, at).map(|(_, end)| end).map_err(|b| Fault::new(at, b, "a number"))?
                }
            },
            b"array_value" if array_allowed => array_value(buf, at)?,
            _ => reader::skip(buf, at).map_err(|b| Fault::new(at, b, "a value"))?,
        };
    }
    Ok(q)
}

/// `{values: [attribute value, …]}`.
fn array_value(buf: &[u8], p: usize) -> End {
    if buf.get(p) == Some(&0xc0) {
        return Ok(p + 1);
    }
    let (n, mut q) = reader::map_head(buf, p).map_err(|b| Fault::new(p, b, "a map with values"))?;
    for _ in 0..n {
        let (key, at) = reader::text(buf, q).map_err(|b| Fault::new(q, b, "a key"))?;
        if key != b"values" {
            q = reader::skip(buf, at).map_err(|b| Fault::new(at, b, "a value"))?;
            continue;
        }
        let (len, mut item) = reader::array_head(buf, at).map_err(|b| Fault::new(at, b, "an array"))?;
        for _ in 0..len {
            item = attribute_value(buf, item, false)?;
        }
        q = item;
    }
    Ok(q)
}
