//! The JSON text of span links and span events, for formats that have no place of their own for them. Tracers write the
//! same into `meta` (`_dd.span_links`, `events`), so the agent and the intake read it.
//!
//! Shapes: a link is `{"trace_id": 32 hex, "span_id": 16 hex, "tracestate"?, "attributes"?, "flags"?}` (bit 31 of the
//! flags only says that they are set and is masked); an event is `{"time_unix_nano", "name", "attributes"}` with
//! natural JSON types. Attributes are sorted by key.

use crate::msgpack::reader::{self, Bad};
use crate::trace::sort::heap_sort;
use std::fmt::Write;

/// Links of the array at `p`.
pub(crate) fn links(buf: &[u8], p: usize, out: &mut impl Write) -> Result<(), Bad> {
    list(buf, p, out, |buf, map, out| {
        let (mut low, mut high, mut span, mut flags) = (0, 0, 0, 0);
        let (mut state, mut attributes): (&[u8], _) = (&[], None);
        for (key, at) in Fields::of(buf, map)? {
            match key {
                b"trace_id" => low = int(buf, at),
                b"trace_id_high" => high = int(buf, at),
                b"span_id" => span = int(buf, at),
                b"flags" => flags = int(buf, at),
                b"tracestate" => state = reader::text(buf, at)?.0,
                b"attributes" => attributes = Some(at),
                _ => {}
            }
        }
        let _ = write!(out, "{{\"trace_id\":\"{high:016x}{low:016x}\",\"span_id\":\"{span:016x}\"");
        if !state.is_empty() {
            push(out, ",\"tracestate\":");
            text(out, state);
        }
        if let Some(at) = attributes {
            sorted_map(buf, at, out, |buf, at, out| {
                text(out, reader::text(buf, at).map_or(&[][..], |(t, _)| t));
            })?;
        }
        if flags != 0 {
            let _ = write!(out, ",\"flags\":{}", flags & 0x7fff_ffff);
        }
        push(out, "}");
        Ok(())
    })
}

/// Events of the array at `p`.
pub(crate) fn events(buf: &[u8], p: usize, out: &mut impl Write) -> Result<(), Bad> {
    list(buf, p, out, |buf, map, out| {
        let (mut time, mut name, mut attributes): (u64, &[u8], _) = (0, &[], None);
        for (key, at) in Fields::of(buf, map)? {
            match key {
                b"time_unix_nano" => time = int(buf, at),
                b"name" => name = reader::text(buf, at)?.0,
                b"attributes" => attributes = Some(at),
                _ => {}
            }
        }
        let _ = write!(out, "{{\"time_unix_nano\":{time},\"name\":");
        text(out, name);
        // Always there, as the agent writes it, also when it is empty.
        let some = match attributes {
            Some(at) => sorted_map(buf, at, out, attribute)?,
            None => false,
        };
        push(out, if some { "}" } else { ",\"attributes\":{}}" });
        Ok(())
    })
}

/// What is written cannot fail here; an output that cannot take it says so itself.
fn push(out: &mut impl Write, text: &str) {
    let _ = out.write_str(text);
}

fn list<W: Write>(
    buf: &[u8],
    p: usize,
    out: &mut W,
    one: impl Fn(&[u8], usize, &mut W) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let (n, mut p) = reader::array_head(buf, p)?;
    push(out, "[");
    let mut first = true;
    for _ in 0..n {
        // The agent leaves out what is nil, here and below.
        if buf.get(p) == Some(&0xc0) {
            p += 1;
            continue;
        }
        if !std::mem::take(&mut first) {
            push(out, ",");
        }
        one(buf, p, out)?;
        p = reader::skip(buf, p)?;
    }
    push(out, "]");
    Ok(())
}

/// The entries of a map: each key, and where its value stands. Ends at the first that cannot be read.
pub(crate) struct Fields<'b> {
    buf: &'b [u8],
    at: usize,
    left: u32,
}

impl<'b> Fields<'b> {
    /// Of the map at `p`; nil is an empty one.
    pub(crate) fn of(buf: &'b [u8], p: usize) -> Result<Self, Bad> {
        if buf.get(p) == Some(&0xc0) {
            return Ok(Self { buf, at: p + 1, left: 0 });
        }
        reader::map_head(buf, p).map(|(left, at)| Self { buf, at, left })
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (&'b [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (key, at) = reader::text(self.buf, self.at).ok()?;
        self.at = reader::skip(self.buf, at).ok()?;
        Some((key, at))
    }
}

/// Where the value of a key stands in the map at `p`; of several the last.
pub(crate) fn field(buf: &[u8], p: usize, key: &[u8]) -> Option<usize> {
    Fields::of(buf, p).ok()?.filter(|(k, _)| *k == key).last().map(|(_, at)| at)
}

/// The attributes at `p`, sorted; whether there are any. Nothing is written if there are none.
fn sorted_map<W: Write>(
    buf: &[u8],
    p: usize,
    out: &mut W,
    value: impl Fn(&[u8], usize, &mut W),
) -> Result<bool, Bad> {
    let fields = Fields::of(buf, p)?;
    let mut all: Vec<(u32, u32)> = Vec::new();
    // As many as the map really has: each is at least two bytes. Without memory for them none is written.
    if all.try_reserve_exact(fields.left as usize).is_err() {
        return Ok(false);
    }
    let mut key_at = fields.at;
    for (_, at) in fields {
        all.push((key_at as u32, at as u32));
        key_at = reader::skip(buf, at)?;
    }
    let key = |at: u32| reader::text(buf, at as usize).map_or(&[][..], |(key, _)| key);
    // Of a key that comes twice the last one counts.
    heap_sort(&mut all, |a, b| key(a.0).cmp(key(b.0)).then(b.1.cmp(&a.1)).is_lt());
    all.dedup_by_key(|(at, _)| key(*at));
    all.retain(|(_, value)| buf.get(*value as usize) != Some(&0xc0));
    if all.is_empty() {
        return Ok(false);
    }
    push(out, ",\"attributes\":{");
    for (i, (key_at, at)) in all.into_iter().enumerate() {
        if i > 0 {
            push(out, ",");
        }
        text(out, key(key_at));
        push(out, ":");
        value(buf, at as usize, out);
    }
    push(out, "}");
    Ok(true)
}

/// One typed attribute as natural JSON; without a value it is its type's zero, as the agent reads it.
fn attribute(buf: &[u8], p: usize, out: &mut impl Write) {
    if Fields::of(buf, p).is_err() {
        return push(out, "null");
    }
    let kind = field(buf, p, b"type").map_or(0, |at| int(buf, at));
    let value = |name: &[u8]| field(buf, p, name);
    match kind {
        1 => {
            let set = value(b"bool_value").and_then(|at| buf.get(at)) == Some(&0xc3);
            push(out, if set { "true" } else { "false" });
        }
        2 => {
            let v = value(b"int_value").and_then(|at| reader::int(buf, at).ok()).map_or(0, |(v, _)| v);
            let _ = write!(out, "{v}");
        }
        3 => number(
            out,
            value(b"double_value").and_then(|at| reader::number(buf, at).ok()).map_or(0.0, |(v, _)| v),
        ),
        4 => {
            push(out, "[");
            let values = value(b"array_value").and_then(|at| field(buf, at, b"values"));
            if let Some((n, mut p)) = values.and_then(|at| reader::array_head(buf, at).ok()) {
                let mut first = true;
                for _ in 0..n {
                    if buf.get(p) == Some(&0xc0) {
                        p += 1;
                        continue;
                    }
                    if !std::mem::take(&mut first) {
                        push(out, ",");
                    }
                    // As deep as the scan allows, which is not deep.
                    attribute(buf, p, out);
                    let Ok(end) = reader::skip(buf, p) else { break };
                    p = end;
                }
            }
            push(out, "]");
        }
        // Text, and what the agent does not know either.
        _ => text(
            out,
            value(b"string_value").and_then(|at| reader::text(buf, at).ok()).map_or(&[][..], |(t, _)| t),
        ),
    }
}

/// A number; NaN and infinities have no JSON form and become null.
pub(crate) fn number(out: &mut impl Write, v: f64) {
    if !v.is_finite() {
        push(out, "null");
    } else if v.fract() == 0.0 && v.abs() < 1e15 {
        let _ = write!(out, "{v:.1}");
    } else {
        let _ = write!(out, "{v:?}");
    }
}

fn int(buf: &[u8], p: usize) -> u64 {
    reader::int_bits(buf, p).map_or(0, |(v, _)| v)
}

/// A JSON string; a byte that is not UTF-8 becomes U+FFFD.
pub(crate) fn text(out: &mut impl Write, bytes: &[u8]) {
    push(out, "\"");
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
            push(out, rest.get(..at).unwrap_or(""));
            match rest.as_bytes().get(at) {
                Some(b'"') => push(out, "\\\""),
                Some(b'\\') => push(out, "\\\\"),
                Some(b'\n') => push(out, "\\n"),
                Some(b'\r') => push(out, "\\r"),
                Some(b'\t') => push(out, "\\t"),
                other => {
                    let _ = write!(out, "\\u{:04x}", other.copied().unwrap_or(0));
                }
            }
            rest = rest.get(at + 1..).unwrap_or("");
        }
        push(out, rest);
        for _ in chunk.invalid() {
            push(out, "\u{fffd}");
        }
    }
    push(out, "\"");
}
