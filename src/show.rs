//! A payload for people and scripts: one JSON object a span.

use crate::error::Error;
use crate::format::{Decoders, json};
use crate::msgpack::reader;
use crate::settings::InputFormat;
use crate::trace::{Arena, Interest, OnMalformed, Payload, Span};
use std::fmt::Write;

/// Appends one JSON object a span and line of a payload of any format: `trace` (its index), `trace_id`, `span_id`,
/// `parent_id` (as decimal text: they exceed what JSON numbers hold), `service`, `name`, `resource`, `type`, `start`,
/// `duration`, `error`, `meta`, `metrics`, and `meta_struct` (names and sizes), `span_links`, `span_events` where there
/// are some.
///
/// ```
/// let payload = b"\x91\x91\x83\xa8trace_id\x01\xa7span_id\x02\xa4name\xa2op";
/// let mut lines = String::new();
/// data_pipeline::json_lines(payload, &mut lines)?;
/// assert!(lines.contains(r#""name":"op""#));
/// # Ok::<(), data_pipeline::Error>(())
/// ```
///
/// # Errors
/// `MALFORMED_PAYLOAD` or `TRUNCATED_PAYLOAD` with the place.
pub fn json_lines(payload: &[u8], out: &mut String) -> Result<(), Error> {
    let mut decoders = Decoders::default();
    let decoded = decoders.decode(InputFormat::Auto, payload, OnMalformed::Fail)?;
    let payload = decoded.map_or(payload, |decoded| decoded.v04);
    let mut arena = Arena::new();
    let payload = Payload::scan(payload, &mut arena, &Interest::none(), OnMalformed::Fail)?;
    for (index, chunk) in payload.chunks().iter().enumerate() {
        for span in payload.chunk_spans(chunk) {
            line(&payload, index, span, out);
        }
    }
    Ok(())
}

fn line(payload: &Payload<'_>, trace: usize, span: &Span, out: &mut String) {
    let buf = payload.bytes;
    let _ = write!(
        out,
        "{{\"trace\":{trace},\"trace_id\":\"{}\",\"span_id\":\"{}\",\"parent_id\":\"{}\"",
        span.trace_id(),
        span.span_id(),
        span.parent_id()
    );
    for (key, text) in [
        ("service", payload.service(span)),
        ("name", payload.name(span)),
        ("resource", payload.resource(span)),
        ("type", payload.span_type(span)),
    ] {
        let _ = write!(out, ",\"{key}\":");
        json::text(out, text);
    }
    let _ = write!(
        out,
        ",\"start\":{},\"duration\":{},\"error\":{},\"meta\":{{",
        span.start_ns(),
        span.duration_ns(),
        span.error()
    );
    map(buf, span.meta.first, span.meta.len, out, |buf, at, out| {
        json::text(out, reader::text(buf, at).map_or(&[][..], |(t, _)| t));
    });
    out.push_str("},\"metrics\":{");
    map(buf, span.metrics.first, span.metrics.len, out, |buf, at, out| {
        json::number(out, reader::number(buf, at).map_or(0.0, |(v, _)| v));
    });
    out.push('}');
    if let Ok((n, first)) = reader::map_head(buf, span.meta_struct.at as usize)
        && span.meta_struct.at != 0
        && n > 0
    {
        out.push_str(",\"meta_struct\":{");
        map(buf, first as u32, n, out, |buf, at, out| {
            let _ = write!(out, "{}", reader::bin_head(buf, at).map_or(0, |(_, len)| len));
        });
        out.push('}');
    }
    // What these read was checked by the scan.
    if span.links.at != 0 {
        out.push_str(",\"span_links\":");
        let _ = json::links(buf, span.links.at as usize, out);
    }
    if span.events.at != 0 {
        out.push_str(",\"span_events\":");
        let _ = json::events(buf, span.events.at as usize, out);
    }
    out.push_str("}\n");
}

/// The entries of a map, each key once: of several the last counts, as with the agent.
fn map(buf: &[u8], first: u32, n: u32, out: &mut String, value: impl Fn(&[u8], usize, &mut String)) {
    let mut entries: Vec<(&[u8], usize)> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let mut p = first as usize;
    for _ in 0..n {
        let Ok((key, at)) = reader::text(buf, p) else { break };
        match index.get(key) {
            Some(&i) => entries[i] = (key, at),
            None => {
                index.insert(key, entries.len());
                entries.push((key, at));
            }
        }
        let Ok(end) = reader::skip(buf, at) else { break };
        p = end;
    }
    for (i, (key, at)) in entries.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        json::text(out, key);
        out.push(':');
        value(buf, at, out);
    }
}
