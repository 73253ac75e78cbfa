//! A span as plain values that can be compared: of a repeated key the last value counts, numbers are compared by their
//! bits (NaN equals itself), JSON inside a tag by what it says and not by how it is written.

use std::collections::BTreeMap;

use libdd_trace_utils::span::v04::SpanSlice;

use crate::libdd::Traces;

pub type Chunks = Vec<Vec<Span>>;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub resource: String,
    pub kind: String,
    pub ids: [u64; 3],
    pub start: i64,
    pub duration: i64,
    pub error: i32,
    pub meta: BTreeMap<String, String>,
    /// Bits of the values.
    pub metrics: BTreeMap<String, u64>,
    pub meta_struct: BTreeMap<String, Vec<u8>>,
    pub links: Vec<String>,
    pub events: Vec<String>,
}

pub fn chunks(traces: &Traces<'_>) -> Chunks {
    traces.iter().map(|trace| trace.iter().map(span).collect()).collect()
}

fn span(s: &SpanSlice<'_>) -> Span {
    Span {
        service: s.service.to_string(),
        name: s.name.to_string(),
        resource: s.resource.to_string(),
        kind: s.r#type.to_string(),
        ids: [s.trace_id as u64, s.span_id, s.parent_id],
        start: s.start,
        duration: s.duration,
        error: s.error,
        meta: s.meta.iter().map(|(key, value)| (key.to_string(), tag(key, value))).collect(),
        metrics: s.metrics.iter().map(|(key, value)| (key.to_string(), value.to_bits())).collect(),
        meta_struct: s.meta_struct.iter().map(|(key, value)| (key.to_string(), value.to_vec())).collect(),
        links: s
            .span_links
            .iter()
            .map(|l| {
                let attributes: BTreeMap<_, _> = l.attributes.iter().collect();
                let ids = (l.trace_id, l.trace_id_high, l.span_id);
                format!("{ids:?} {:?} {} {attributes:?}", l.tracestate, l.flags)
            })
            .collect(),
        events: s
            .span_events
            .iter()
            .map(|e| {
                let attributes: BTreeMap<_, _> = e.attributes.iter().collect();
                format!("{} {:?} {attributes:?}", e.time_unix_nano, e.name)
            })
            .collect(),
    }
}

/// Links and events travel as JSON in these two tags where a format has no field for them.
fn tag(key: &str, value: &str) -> String {
    if key != "_dd.span_links" && key != "events" {
        return value.to_owned();
    }
    match serde_json::from_str::<serde_json::Value>(value) {
        Ok(json) => json.to_string(),
        Err(_) => value.to_owned(),
    }
}

/// The first place where two payloads differ, in words; `None` if they are equal.
pub fn difference(ours: &Chunks, theirs: &Chunks) -> Option<String> {
    if ours.len() != theirs.len() {
        return Some(format!("{} chunks of ours, {} of theirs", ours.len(), theirs.len()));
    }
    for (c, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if ours.len() != theirs.len() {
            return Some(format!("chunk {c}: {} spans of ours, {} of theirs", ours.len(), theirs.len()));
        }
        for (s, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            if ours != theirs {
                return Some(format!("chunk {c}, span {s}:\n ours   {ours:?}\n theirs {theirs:?}"));
            }
        }
    }
    None
}
