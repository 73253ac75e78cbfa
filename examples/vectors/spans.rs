//! Whole spans and chunks: what the agent (the v0.4 way) sends on for them.
//!
//! Normalize, obfuscate, truncate are this library's. So that answers are comparable with an agent's, this
//! file adds what the agent does around them: the root's client rate, and its samplers, which keep what
//! priority or an error says.

use data_pipeline::normalize::{self, Counts, Normalizer};
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::trace::SpanFields;
use serde_json::{Map, Value, json};

/// The clock of these answers (2026); in them, text stands for what was repaired from it.
const NOW_NS: i64 = 1_780_000_000_000_000_000;

/// The agent's number for "no priority".
const NO_PRIORITY: i32 = -128;

/// Answers one span: it is a chunk of its own.
pub(crate) fn span(case: &Value, config: &ObfuscationConfig) -> Value {
    let input = case.get("input").unwrap_or(&Value::Null);
    let span = process(std::slice::from_ref(input), config).and_then(|chunk| chunk.spans.into_iter().next());
    json!({ "output": span })
}

/// Answers a chunk.
pub(crate) fn chunk(case: &Value, config: &ObfuscationConfig) -> Value {
    let spans = case.get("input").and_then(Value::as_array).map(Vec::as_slice).unwrap_or(&[]);
    let output = process(spans, config).map(|chunk| {
        json!({
            "priority": chunk.priority,
            "origin": chunk.origin,
            "spans": chunk.spans,
            "tags": chunk.decision_maker.map(|dm| json!({ "_dd.p.dm": dm })),
            "dropped_trace": false,
        })
    });
    json!({ "output": output })
}

struct Processed {
    spans: Vec<Value>,
    priority: i32,
    origin: String,
    decision_maker: Option<String>,
}

/// `None`: the agent drops the chunk.
fn process(spans: &[Value], config: &ObfuscationConfig) -> Option<Processed> {
    let mut spans: Vec<SpanFields> = spans.iter().map(read).collect();
    let (mut counts, mut scratch) = (Counts::default(), Vec::new());
    let normalizer = Normalizer::new(b"java");
    let repaired: Vec<bool> = spans.iter().map(|s| s.start < normalize::YEAR_2000_NS).collect();
    normalizer.chunk(&mut spans, NOW_NS, &mut counts, &mut scratch).ok()?;
    let tags = normalize::tags(&spans);
    let root = normalize::root(&spans)?;
    let obfuscator = Obfuscator::new(config).ok()?;
    let mut work = obfuscator.scratch();
    for span in &mut spans {
        obfuscator.span(span, &mut work);
        normalizer.truncate(span, &mut scratch);
    }
    set_client_rate(spans.get_mut(root)?);
    let mut priority = tags.priority.unwrap_or(NO_PRIORITY);
    let kept = is_kept(priority, &mut spans, root);
    let written = spans.iter().zip(repaired);
    let spans: Vec<Value> = if kept {
        written.map(|(span, repaired)| write(span, repaired)).collect()
    } else {
        // Spans that the tracer sampled on their own stay without their trace.
        priority = 2;
        let sampled = written.filter(|(s, _)| s.metric(b"_dd.span_sampling.mechanism").is_some());
        sampled.map(|(span, repaired)| write(span, repaired)).collect()
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (!spans.is_empty()).then(|| Processed {
        spans,
        priority,
        origin: text(tags.origin),
        decision_maker: tags.decision_maker.map(text),
    })
}

/// What the agent's samplers make of a chunk, with room for everything: they keep what the tracer wants kept
/// (the priority counts in eight bits), traces without a priority, and traces with an error unless they were
/// dropped for good. The last two also ask the root's `_sample_rate`.
fn is_kept(priority: i32, spans: &mut [SpanFields], root: usize) -> bool {
    let has_error = spans.iter().any(|s| s.error != 0);
    let Some(root) = spans.get_mut(root) else { return false };
    if priority == NO_PRIORITY {
        if sampled_by_rate(root) {
            return true;
        }
    } else if matches!(priority as i8, 1 | 2) {
        return true;
    } else if (priority as i8) < 0 {
        return false;
    }
    let kept = has_error && sampled_by_rate(root);
    if kept {
        root.metrics.push((b"_dd.errors_sr".into(), 1.0));
    }
    kept
}

fn sampled_by_rate(root: &SpanFields) -> bool {
    let rate = root.metric(b"_sample_rate").unwrap_or(1.0);
    rate >= 1.0 || root.trace_id.wrapping_mul(1_111_111_111_111_111_111) < (rate * u64::MAX as f64) as u64
}

/// The root says which part of its traces the tracer had sent.
fn set_client_rate(root: &mut SpanFields) {
    let rate = root.metric(b"_sample_rate").unwrap_or(1.0);
    root.metrics.retain(|(key, _)| key != b"_dd1.sr.rcusr");
    if rate < 1.0 {
        root.metrics.push((b"_dd1.sr.rcusr".into(), rate));
    }
}

fn read(span: &Value) -> SpanFields {
    let unsigned =
        |key: &str| span.get(key).map_or(0, |v| v.as_u64().unwrap_or_else(|| v.as_i64().unwrap_or(0) as u64));
    let signed = |key: &str| span.get(key).and_then(Value::as_i64).unwrap_or(0);
    let text = |key: &str| span.get(key).and_then(Value::as_str).unwrap_or("").as_bytes().to_vec();
    let entries = |key: &str| span.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    SpanFields {
        trace_id: unsigned("trace_id"),
        span_id: unsigned("span_id"),
        parent_id: unsigned("parent_id"),
        start: signed("start"),
        duration: signed("duration"),
        error: signed("error") as i32,
        service: text("service"),
        name: text("name"),
        resource: text("resource"),
        span_type: text("type"),
        meta: entries("meta")
            .into_iter()
            .map(|(key, value)| (key.into_bytes(), value.as_str().unwrap_or("").into()))
            .collect(),
        metrics: entries("metrics")
            .into_iter()
            .map(|(key, value)| (key.into_bytes(), value.as_f64().unwrap_or(0.0)))
            .collect(),
        ..SpanFields::default()
    }
}

fn write(span: &SpanFields, repaired: bool) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let meta: Map<String, Value> = span.meta.iter().map(|(k, v)| (text(k), text(v).into())).collect();
    let metrics: Map<String, Value> = span.metrics.iter().map(|(k, v)| (text(k), json!(v))).collect();
    let start = match repaired {
        false => json!(span.start),
        // A clock is not read to the millisecond: only long durations show.
        true if NOW_NS - span.start < 3_600_000_000_000 => json!("now"),
        true => json!("now-duration"),
    };
    json!({
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "start": start,
        "duration": span.duration,
        "error": span.error,
        "service": text(&span.service),
        "name": text(&span.name),
        "resource": text(&span.resource),
        "type": text(&span.span_type),
        "meta": meta,
        "metrics": metrics,
    })
}
