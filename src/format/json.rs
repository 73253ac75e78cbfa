//! The JSON text of span links and span events, for formats that have no place of their own for them. Tracers write the
//! same into `meta` (`_dd.span_links`, `events`), so the agent and the intake read it.
//!
//! Shapes: a link is `{"trace_id": 32 hex, "span_id": 16 hex, "tracestate"?, "attributes"?, "flags"?}` (bit 31 of the flags
//! only says that they are set and is masked); an event is `{"time_unix_nano", "name", "attributes"}` with natural JSON
//! types. Attributes are sorted by key.

use crate::msgpack::reader::{self, Bad};
use std::fmt::Write;

/// Links of the array at `p`.
pub(crate) fn links(buf: &[u8], p: usize, out: &mut String) -> Result<(), Bad> {
    list(buf, p, out, |buf, entries, out| {
        let (mut low, mut high, mut span, mut flags) = (0, 0, 0, 0);
        let (mut state, mut attributes): (&[u8], _) = (&[], None);
        for (key, at) in entries {
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
            out.push_str(",\"tracestate\":");
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
        out.push('}');
        Ok(())
    })
}

/// Events of the array at `p`.
pub(crate) fn events(buf: &[u8], p: usize, out: &mut String) -> Result<(), Bad> {
    list(buf, p, out, |buf, entries, out| {
        let (mut time, mut name, mut attributes): (u64, &[u8], _) = (0, &[], None);
        for (key, at) in entries {
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
        let before = out.len();
        if let Some(at) = attributes {
            sorted_map(buf, at, out, attribute)?;
        }
        if out.len() == before {
            out.push_str(",\"attributes\":{}");
        }
        out.push('}');
        Ok(())
    })
}

type Entries<'b> = Vec<(&'b [u8], usize)>;

fn list(
    buf: &[u8],
    p: usize,
    out: &mut String,
    one: impl Fn(&[u8], Entries<'_>, &mut String) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let (n, mut p) = reader::array_head(buf, p)?;
    out.push('[');
    let mut first = true;
    for _ in 0..n {
        // The agent leaves out what is nil, here and below.
        if buf.get(p) == Some(&0xc0) {
            p += 1;
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        let (map, end) = entries(buf, p)?;
        one(buf, map, out)?;
        p = end;
    }
    out.push(']');
    Ok(())
}

/// Keys of the map at `p` with the places of their values, and the position behind the map.
pub(crate) fn entries(buf: &[u8], p: usize) -> Result<(Entries<'_>, usize), Bad> {
    if buf.get(p) == Some(&0xc0) {
        return Ok((Vec::new(), p + 1));
    }
    let (n, mut p) = reader::map_head(buf, p)?;
    let mut all = Vec::new();
    for _ in 0..n {
        let (key, at) = reader::text(buf, p)?;
        all.push((key, at));
        p = reader::skip(buf, at)?;
    }
    Ok((all, p))
}

fn sorted_map(
    buf: &[u8],
    p: usize,
    out: &mut String,
    value: impl Fn(&[u8], usize, &mut String),
) -> Result<(), Bad> {
    let (mut all, _) = entries(buf, p)?;
    // Of a key that comes twice the last one counts.
    all.sort_unstable_by_key(|(key, at)| (*key, std::cmp::Reverse(*at)));
    all.dedup_by_key(|(key, _)| *key);
    all.retain(|(_, at)| buf.get(*at) != Some(&0xc0));
    if all.is_empty() {
        return Ok(());
    }
    out.push_str(",\"attributes\":{");
    for (i, (key, at)) in all.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        text(out, key);
        out.push(':');
        value(buf, at, out);
    }
    out.push('}');
    Ok(())
}

/// One typed attribute as natural JSON; without a value it is its type's zero, as the agent reads it.
fn attribute(buf: &[u8], p: usize, out: &mut String) {
    let Ok((all, _)) = entries(buf, p) else { return out.push_str("null") };
    let kind = all.iter().rev().find(|(k, _)| *k == b"type").map_or(0, |(_, at)| int(buf, *at));
    let value = |name: &[u8]| all.iter().rev().find(|(k, _)| *k == name).map(|(_, at)| *at);
    match kind {
        1 => out.push_str(if value(b"bool_value").and_then(|at| buf.get(at)) == Some(&0xc3) {
            "true"
        } else {
            "false"
        }),
        2 => {
            let _ = write!(
                out,
                "{}",
                value(b"int_value").and_then(|at| reader::int(buf, at).ok()).map_or(0, |(v, _)| v)
            );
        }
        3 => number(
            out,
            value(b"double_value").and_then(|at| reader::number(buf, at).ok()).map_or(0.0, |(v, _)| v),
        ),
        4 => {
            out.push('[');
            let values = value(b"array_value")
                .and_then(|at| entries(buf, at).ok())
                .and_then(|(map, _)| map.iter().rev().find(|(k, _)| *k == b"values").map(|(_, at)| *at));
            if let Some((n, mut p)) = values.and_then(|at| reader::array_head(buf, at).ok()) {
                let mut first = true;
                for _ in 0..n {
                    if buf.get(p) == Some(&0xc0) {
                        p += 1;
                        continue;
                    }
                    if !std::mem::take(&mut first) {
                        out.push(',');
                    }
                    // As deep as the scan allows, which is not deep.
                    attribute(buf, p, out);
                    let Ok(end) = reader::skip(buf, p) else { break };
                    p = end;
                }
            }
            out.push(']');
        }
        // Text, and what the agent does not know either.
        _ => text(
            out,
            value(b"string_value").and_then(|at| reader::text(buf, at).ok()).map_or(&[][..], |(t, _)| t),
        ),
    }
}

/// A number; NaN and infinities have no JSON form and become null.
pub(crate) fn number(out: &mut String, v: f64) {
    if !v.is_finite() {
        out.push_str("null");
    } else if v.fract() == 0.0 && v.abs() < 1e15 {
        let _ = write!(out, "{v:.1}");
    } else {
        let _ = write!(out, "{v:?}");
    }
}

fn int(buf: &[u8], p: usize) -> u64 {
    reader::int_bits(buf, p).map_or(0, |(v, _)| v)
}

/// A JSON string; what is not UTF-8 becomes U+FFFD.
pub(crate) fn text(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if (c as u32) < 0x20 => {
                    let _ = write!(out, "\\u{:04x}", c as u32);
                }
                c => out.push(c),
            }
        }
        if !chunk.invalid().is_empty() {
            out.push('\u{fffd}');
        }
    }
    out.push('"');
}
