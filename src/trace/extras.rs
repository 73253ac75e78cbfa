//! The rarer parts of a v0.4 span: `meta_struct`, `span_links`, `span_events`. Checked as the agent checks them, so
//! that one bad event does not lose the payload.
//!
//! The agent has two decoders of v0.4, the classic one and the one that converts (the default from 7.84). What either
//! refuses is refused here, since nobody knows which one will read the payload: a nil `flags`, binary `tracestate`.
//! Struct keys are text or binary, never nil; elements of a list may be nil.

use super::malformed::{Fault, Fixer, Why};
use crate::msgpack::reader::{self, Bad};

type End = Result<usize, Fault>;

/// Faults in one list that are repaired: what has more is no list of a tracer, and a repair takes more memory than the
/// link.
const MAX_FAULTS: u64 = 1000;

/// Arrays in arrays of an event attribute; the agent refuses deeper ones.
const MAX_DEPTH: u32 = 64;

/// A map of text to binary.
pub(super) fn meta_struct(fix: &mut Fixer<'_>, p: usize) -> End {
    let (n, mut q) = reader::map_head(fix.buf, p).map_err(|b| Fault::new(p, b, "a map"))?;
    for _ in 0..n {
        let entry = q;
        // The keys of this map are text of the payload, so nil is empty text here.
        q = match reader::text(fix.buf, q) {
            Ok((_, at)) => at,
            Err(bad) => {
                q = fix.remove_entry(p, entry, Fault::new(q, bad, "a key"))?;
                continue;
            }
        };
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
        b"trace_id" | b"span_id" => id_or_drop(fix, map, entry, q),
        b"trace_id_high" => int_or_drop(fix, map, entry, q, u64::MAX),
        b"flags" => int_or_drop(fix, map, entry, q, u64::from(u32::MAX)),
        b"tracestate" => string_or_drop(fix, map, entry, q),
        b"attributes" => attributes(fix, map, entry, q, string_or_drop),
        _ => skip(fix, q),
    })
}

/// An array of events, each a map.
pub(super) fn events(fix: &mut Fixer<'_>, p: usize) -> End {
    list(fix, p, |fix, map, entry, key, q| match key {
        b"time_unix_nano" => int_or_drop(fix, map, entry, q, u64::MAX),
        b"name" => match reader::text(fix.buf, q) {
            Ok((_, end)) => Ok(end),
            Err(bad) => fix.remove_entry(map, entry, Fault::new(q, bad, "a string")),
        },
        b"attributes" => attributes(fix, map, entry, q, |fix, map, entry, q| match typed(fix.buf, q, 0) {
            Ok(end) => Ok(end),
            Err(fault) => fix.remove_entry(map, entry, fault),
        }),
        _ => skip(fix, q),
    })
}

/// `value` reads one value; it is given the head of the map, the start of the entry, the key and the value's place.
fn list(
    fix: &mut Fixer<'_>,
    p: usize,
    mut value: impl FnMut(&mut Fixer<'_>, usize, usize, &[u8], usize) -> End,
) -> End {
    let buf = fix.buf;
    let (n, mut q) = reader::array_head(buf, p).map_err(|b| Fault::new(p, b, "an array"))?;
    let before = fix.repairs.count;
    for _ in 0..n {
        let map = q;
        if fix.repairs.count - before > MAX_FAULTS {
            return Err(Fault { at: q, why: Why::Expected("a list with fewer faults") });
        }
        if buf.get(q) == Some(&0xc0) {
            q += 1;
            continue;
        }
        let (entries, first) = reader::map_head(buf, q).map_err(|b| Fault::new(q, b, "a map"))?;
        q = first;
        for _ in 0..entries {
            q = match field(buf, q) {
                Ok((key, at)) => value(fix, map, q, key, at)?,
                Err(fault) => fix.remove_entry(map, q, fault)?,
            };
        }
    }
    Ok(q)
}

/// The key of a struct, and the position of its value.
fn field(buf: &[u8], p: usize) -> Result<(&[u8], usize), Fault> {
    match reader::text(buf, p) {
        Ok(_) if buf.get(p) == Some(&0xc0) => Err(Fault::new(p, Bad::Type, "a key")),
        read => read.map_err(|b| Fault::new(p, b, "a key")),
    }
}

/// A string proper: neither nil nor binary.
fn string(buf: &[u8], p: usize) -> End {
    match reader::str_head(buf, p) {
        Ok((start, len)) if start + len <= buf.len() => Ok(start + len),
        Ok(_) => Err(Fault { at: p, why: Why::Truncated }),
        Err(bad) => Err(Fault::new(p, bad, "a string")),
    }
}

fn skip(fix: &Fixer<'_>, p: usize) -> End {
    reader::skip(fix.buf, p).map_err(|b| Fault::new(p, b, "a value"))
}

/// An id: nil, or an integer of any sign (-1 is 2^64-1).
fn id_or_drop(fix: &mut Fixer<'_>, map: usize, entry: usize, p: usize) -> End {
    match reader::int_bits(fix.buf, p) {
        Ok((_, q)) => Ok(q),
        Err(Bad::Type) if fix.buf.get(p) == Some(&0xc0) => Ok(p + 1),
        Err(bad) => integer(fix, map, entry, Fault::new(p, bad, "an integer"), u64::MAX),
    }
}

/// An integer from 0 to `max`, not nil.
fn int_or_drop(fix: &mut Fixer<'_>, map: usize, entry: usize, p: usize, max: u64) -> End {
    let bad = match reader::int_bits(fix.buf, p) {
        Ok((bits, q)) => {
            let negative = fix.buf.get(p) != Some(&0xcf) && (bits as i64) < 0;
            if !negative && bits <= max {
                return Ok(q);
            }
            Bad::Range
        }
        Err(bad) => bad,
    };
    let expected = match (bad, max == u64::MAX) {
        (Bad::Range, true) => "0 or more",
        (Bad::Range, false) => "from 0 to 2^32-1",
        _ => "an integer",
    };
    integer(fix, map, entry, Fault::new(p, bad, expected), max)
}

fn integer(fix: &mut Fixer<'_>, map: usize, entry: usize, fault: Fault, max: u64) -> End {
    match fix.integer(fault.at, fault, 0..=i128::from(max))? {
        Some((_, q)) => Ok(q),
        None => fix.remove_entry(map, entry, fault),
    }
}

fn string_or_drop(fix: &mut Fixer<'_>, map: usize, entry: usize, p: usize) -> End {
    match string(fix.buf, p) {
        Ok(q) => Ok(q),
        Err(fault) => fix.remove_entry(map, entry, fault),
    }
}

/// A map of strings to what `value` reads.
fn attributes(
    fix: &mut Fixer<'_>,
    outer: usize,
    outer_entry: usize,
    p: usize,
    mut value: impl FnMut(&mut Fixer<'_>, usize, usize, usize) -> End,
) -> End {
    let (n, mut q) = match reader::map_head(fix.buf, p) {
        Ok(head) => head,
        Err(bad) => return fix.remove_entry(outer, outer_entry, Fault::new(p, bad, "a map")),
    };
    for _ in 0..n {
        q = match string(fix.buf, q) {
            Ok(at) => value(fix, p, q, at)?,
            Err(fault) => fix.remove_entry(p, q, fault)?,
        };
    }
    Ok(q)
}

/// `{type: 0..4, string_value | bool_value | int_value | double_value | array_value: …}`; nothing is repaired inside.
fn typed(buf: &[u8], p: usize, depth: u32) -> End {
    if buf.get(p) == Some(&0xc0) {
        return Ok(p + 1);
    }
    if depth > MAX_DEPTH {
        return Err(Fault { at: p, why: Why::Expected("an array less deep than 64 levels") });
    }
    let (n, mut q) = reader::map_head(buf, p).map_err(|b| Fault::new(p, b, "a map"))?;
    for _ in 0..n {
        let (key, at) = field(buf, q)?;
        q = match key {
            b"type" => match reader::int(buf, at) {
                Ok((kind, end)) if i32::try_from(kind).is_ok() => end,
                Ok(_) => return Err(Fault::new(at, Bad::Range, "within 32 bits")),
                Err(bad) => return Err(Fault::new(at, bad, "an integer")),
            },
            b"string_value" => string(buf, at)?,
            b"bool_value" => match buf.get(at) {
                Some(0xc2 | 0xc3) => at + 1,
                _ => return Err(Fault::new(at, Bad::Type, "a boolean")),
            },
            b"int_value" => match reader::int(buf, at) {
                Ok((_, end)) => end,
                Err(Bad::Range) => return Err(Fault::new(at, Bad::Range, "at most 2^63-1")),
                Err(bad) => return Err(Fault::new(at, bad, "an integer")),
            },
            b"double_value" => match buf.get(at) {
                Some(0xca | 0xcb) => skip_value(buf, at)?,
                _ => return Err(Fault::new(at, Bad::Type, "a float")),
            },
            b"array_value" => array_value(buf, at, depth)?,
            _ => skip_value(buf, at)?,
        };
    }
    Ok(q)
}

fn skip_value(buf: &[u8], p: usize) -> End {
    reader::skip(buf, p).map_err(|b| Fault::new(p, b, "a value"))
}

/// `{values: [attribute value, …]}`.
fn array_value(buf: &[u8], p: usize, depth: u32) -> End {
    if buf.get(p) == Some(&0xc0) {
        return Ok(p + 1);
    }
    let (n, mut q) = reader::map_head(buf, p).map_err(|b| Fault::new(p, b, "a map with values"))?;
    for _ in 0..n {
        let (key, at) = field(buf, q)?;
        if key != b"values" {
            q = skip_value(buf, at)?;
            continue;
        }
        let (len, mut item) = reader::array_head(buf, at).map_err(|b| Fault::new(at, b, "an array"))?;
        for _ in 0..len {
            item = typed(buf, item, depth + 1)?;
        }
        q = item;
    }
    Ok(q)
}
