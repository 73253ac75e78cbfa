//! OTLP, the intake's JSON and log lines beside those of the reference's own encoders, of the same payloads: captured
//! ones and generated ones.
//!
//! Known differences, each with its reason:
//! - A span of more than 128 attributes or events: the reference cuts them, which loses real data; no protocol asks for
//!   it. Here the rest of such a span is compared.
//! - A key in several maps of a span: the reference writes it as often, OTLP wants keys once; ours keeps what comes last.
//! - NaN and infinities as OTLP in JSON: the reference writes `null`, for which a collector refuses the whole request.
//! - A metric of 2^63: the reference writes 2^63-1.
//! - A trace id whose upper half stands in `_dd.p.tid` with a sign: Rust's reader of numbers takes it, the agent not.
//! - The intake: links and events are fields of the span in ours, text in `meta` in the reference (see
//!   `src/format/intake.rs`); beside `spans` a chunk has nothing.
//! - A metric that is not finite: `null` in a log line of the reference, left out (and counted) in ours.
//! - A value of `meta_struct` that JSON cannot say: ours leaves that value out, the reference the payload, or it makes
//!   something of its beginning. Bytes are base64 in ours and a list of numbers in the reference, and so is text that is
//!   not UTF-8, which ours repairs; an extension is left out, and in the reference a list of its type and bytes.

use data_pipeline::msgpack::reader;
use data_pipeline::settings::Metadata;
use data_pipeline_oracle::{fixtures, generate, libdd, ours};
use libdd_trace_protobuf::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest as Request;
use libdd_trace_protobuf::opentelemetry::proto::common::v1::any_value::Value as Any;
use libdd_trace_protobuf::opentelemetry::proto::common::v1::{AnyValue, KeyValue};
use libdd_trace_protobuf::opentelemetry::proto::trace::v1::Span;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many attributes and events a span of the reference has.
const MOST: usize = 128;

/// The longest log line, its end included.
const LINE: usize = 256 << 10;

fn spans(request: Request) -> Vec<Span> {
    request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

/// Of a key that comes twice the last value, in the order of keys.
fn by_key(all: &mut Vec<KeyValue>) {
    let last: BTreeMap<String, Option<AnyValue>> = all.drain(..).map(|kv| (kv.key, kv.value)).collect();
    all.extend(last.into_iter().map(|(key, value)| KeyValue { key, value, ..KeyValue::default() }));
}

/// Spans in a form that can be compared: NaN by its bits, 2^63 as the reference has it.
fn plain(mut span: Span, cut: bool) -> String {
    by_key(&mut span.attributes);
    // What is all zero need not be written.
    span.status.get_or_insert_default();
    span.events.iter_mut().for_each(|e| by_key(&mut e.attributes));
    span.links.iter_mut().for_each(|l| by_key(&mut l.attributes));
    for attribute in &mut span.attributes {
        let value = attribute.value.as_mut().and_then(|v| v.value.as_mut());
        if let Some(any @ Any::DoubleValue(_)) = value
            && matches!(any, Any::DoubleValue(v) if *v == 9_223_372_036_854_775_808.0)
        {
            *any = Any::IntValue(i64::MAX);
        }
    }
    if cut {
        span.attributes.clear();
        span.events.clear();
        (span.dropped_attributes_count, span.dropped_events_count) = (0, 0);
    }
    format!("{span:?}")
}

fn is_cut(span: &Span) -> bool {
    span.dropped_attributes_count + span.dropped_events_count > 0 || span.attributes.len() >= MOST
}

/// Whether a key stands in several maps; what such a span says of itself depends on the order of the maps.
fn has_doubled_keys(span: &Span) -> bool {
    let mut keys: Vec<&str> = span.attributes.iter().map(|kv| kv.key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// The first difference, and how many spans were compared.
fn otlp(bytes: &[u8]) -> Result<usize, String> {
    let traces = libdd::decode_v04(bytes)?;
    if traces.iter().flatten().any(|span| span.start.checked_add(span.duration).is_none()) {
        // The reference overflows.
        return Ok(0);
    }
    let theirs = libdd::otlp(&traces, "oracle");
    let metadata = Metadata { service: "oracle".to_owned(), ..Metadata::default() };
    let body = ours::beyond(bytes, "otlp-proto", &metadata)?;
    let ours_json: Value = serde_json::from_slice(&ours::beyond(bytes, "otlp-json", &metadata)?)
        .map_err(|e| format!("our JSON: {e}"))?;
    let request = Request::decode(&body[..]).map_err(|e| format!("our protobuf: {e}"))?;
    let resource = |r: &Request| {
        let mut all = r.resource_spans[0].resource.clone().unwrap_or_default().attributes;
        all.retain(|kv| !kv.key.starts_with("telemetry.sdk."));
        by_key(&mut all);
        all
    };
    if !theirs.resource_spans[0].scope_spans[0].spans.is_empty() && resource(&request) != resource(&theirs) {
        return Err(format!("resource: {:?}\n{:?}", resource(&request), resource(&theirs)));
    }
    let their_json: Value = serde_json::from_slice(&libdd::otlp_json(&theirs)?).map_err(|e| e.to_string())?;
    let (ours, theirs) = (spans(request), spans(theirs));
    if ours.len() != theirs.len() {
        return Err(format!("{} spans, {} of theirs", ours.len(), theirs.len()));
    }
    let (our_spans, their_spans) = (json_spans(&ours_json), json_spans(&their_json));
    for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        if has_doubled_keys(b) {
            continue;
        }
        let cut = is_cut(b);
        let (a, b) = (plain(a.clone(), cut), plain(b.clone(), cut));
        if a != b {
            return Err(format!("span {i}:\n{a}\n{b}"));
        }
        if b.contains("NaN") || b.contains("inf)") || b.contains("9223372036854775807") || cut {
            continue;
        }
        let (a, b) = (json_plain(our_spans[i].clone()), json_plain(their_spans[i].clone()));
        if a != b {
            return Err(format!("JSON, span {i}: {}", apart(&a, &b)));
        }
    }
    Ok(ours.len())
}

fn json_spans(request: &Value) -> Vec<Value> {
    request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().cloned().unwrap_or_default()
}

/// OTLP in JSON in one form: attributes by key, what is zero or empty left out, numbers as what they are worth.
fn json_plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut out = Map::new();
            for (key, value) in fields {
                let value = match (key.as_str(), value) {
                    ("attributes", Value::Array(all)) => {
                        let pairs = all.into_iter().map(|mut a| {
                            let key = a["key"].as_str().unwrap_or_default().to_owned();
                            (key, json_plain(a["value"].take()))
                        });
                        Value::Object(pairs.collect())
                    }
                    ("doubleValue", v) => json!(v.as_f64().map(|v| format!("{v:.13e}"))),
                    ("stringValue" | "bytesValue" | "intValue" | "boolValue", v) => v,
                    (_, v) => json_plain(v),
                };
                let is_none = match &value {
                    Value::Null => true,
                    Value::Number(n) => n.as_f64() == Some(0.0),
                    Value::String(s) => s.is_empty() || s == "0",
                    Value::Array(all) => all.is_empty(),
                    Value::Object(all) => all.is_empty(),
                    Value::Bool(_) => false,
                };
                if !is_none || ["stringValue", "intValue", "doubleValue"].contains(&key.as_str()) {
                    out.insert(key, value);
                }
            }
            Value::Object(out)
        }
        Value::Array(all) => Value::Array(all.into_iter().map(json_plain).collect()),
        other => other,
    }
}

/// A span of the intake or of a log line without links and events, which are compared as OTLP; numbers by fourteen
/// digits.
fn json_span(mut span: Value) -> Value {
    for place in ["/meta", ""] {
        if let Some(fields) = span.pointer_mut(place).and_then(Value::as_object_mut) {
            fields.retain(|key, _| {
                !["_dd.span_links", "events", "span_links", "span_events"].contains(&key.as_str())
            });
        }
    }
    if let Some(metrics) = span.pointer_mut("/metrics").and_then(Value::as_object_mut) {
        metrics.retain(|_, value| !value.is_null());
    }
    for place in ["meta", "metrics", "meta_struct"] {
        if span[place].as_object().is_none_or(Map::is_empty) {
            span.as_object_mut().map(|fields| fields.remove(place));
        }
    }
    for value in
        span.pointer_mut("/metrics").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
    {
        // The reader of JSON here is not exact beyond.
        *value = json!(format!("{:.13e}", value.as_f64().unwrap_or(f64::NAN)));
    }
    span
}

/// The fields in which two objects differ, and within these the first places in which their texts do.
fn apart(a: &Value, b: &Value) -> String {
    let keys = a.as_object().into_iter().chain(b.as_object()).flat_map(Map::keys);
    let fields = keys.filter(|key| a[key.as_str()] != b[key.as_str()]).map(|key| {
        let (a, b) = (a[key.as_str()].to_string(), b[key.as_str()].to_string());
        let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count().saturating_sub(20);
        let part = |text: &str| text.chars().skip(same).take(120).collect::<String>();
        format!("{key}: {} | {}", part(&a), part(&b))
    });
    fields.collect::<Vec<_>>().join("\n")
}

fn difference(ours: Vec<Value>, theirs: Vec<Value>) -> Result<usize, String> {
    if ours.len() != theirs.len() {
        return Err(format!("{} spans, {} of theirs", ours.len(), theirs.len()));
    }
    let count = ours.len();
    for (i, (a, b)) in ours.into_iter().zip(theirs).enumerate() {
        let (a, b) = (json_span(a), json_span(b));
        if a != b {
            return Err(format!("span {i}: {}", apart(&a, &b)));
        }
    }
    Ok(count)
}

/// Of a key that comes twice the last value counts, finite or not; the reference may write the one before it.
fn without_infinite(spans: &mut [Value], traces: &libdd::Traces<'_>) {
    for (span, from) in spans.iter_mut().zip(traces.iter().flatten()) {
        if let Some(metrics) = span.pointer_mut("/metrics").and_then(Value::as_object_mut) {
            metrics.retain(|key, _| from.metrics.get(key.as_str()).is_none_or(|v| v.is_finite()));
        }
    }
}

/// Whether every value of `meta_struct` is a map, as tracers write it: of broken ones, bytes and extensions each makes
/// something else (see the list above).
fn all_plain(traces: &libdd::Traces<'_>) -> bool {
    let is_map =
        |v: &[u8]| matches!(v.first(), Some(0x80..=0x8f | 0xde | 0xdf)) && reader::skip(v, 0) == Ok(v.len());
    traces.iter().flatten().flat_map(|span| span.meta_struct.iter()).all(|(_, v)| is_map(v))
}

fn intake(bytes: &[u8]) -> Result<usize, String> {
    let spans = |body: &[u8]| -> Result<Vec<Value>, String> {
        let mut body: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let chunks = body["traces"].as_array_mut().ok_or("no traces")?;
        Ok(chunks
            .iter_mut()
            .flat_map(|c| c["spans"].take().as_array().cloned().unwrap_or_default())
            .collect())
    };
    let traces = libdd::decode_v04(bytes)?;
    let Ok(theirs) = libdd::intake(&traces) else { return Ok(0) };
    let mut theirs = spans(&theirs)?;
    without_infinite(&mut theirs, &traces);
    let mut ours = spans(&ours::beyond(bytes, "intake", &Metadata::default())?)?;
    if !all_plain(&traces) {
        for span in ours.iter_mut().chain(&mut theirs) {
            span.as_object_mut().map(|fields| fields.remove("meta_struct"));
        }
    }
    difference(ours, theirs)
}

fn log_lines(bytes: &[u8]) -> Result<usize, String> {
    let spans = |lines: &[u8]| -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            if line.len() >= LINE {
                return Err(format!("a line of {} bytes", line.len()));
            }
            let line: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
            all.extend(line["traces"][0].as_array().cloned().unwrap_or_default());
        }
        Ok(all)
    };
    if bytes.len() > LINE / 2 {
        // Whether a span fits depends on how its numbers are written.
        return Ok(0);
    }
    let traces = libdd::decode_v04(bytes)?;
    let mut theirs = spans(&libdd::log_lines(&traces, LINE)?)?;
    without_infinite(&mut theirs, &traces);
    let ours = ours::beyond(bytes, "log", &Metadata::default())?;
    difference(spans(&ours)?, theirs)
}

/// How a payload is compared.
type Compare = fn(&[u8]) -> Result<usize, String>;

const ALL: [(&str, Compare); 3] = [("OTLP", otlp), ("intake", intake), ("log lines", log_lines)];

#[test]
fn captured_payloads_are_the_same() {
    for (name, compare) in ALL {
        let (mut compared, mut failures) = (0, Vec::new());
        for fixture in fixtures::all().iter().filter(|f| libdd::decode_v04(&f.bytes).is_ok()) {
            match compare(&fixture.bytes) {
                Ok(spans) => compared += spans,
                Err(why) => failures.push(format!("{} as {name}: {why}", fixture.name)),
            }
        }
        println!("{name}: {compared} spans compared");
        assert!(failures.is_empty(), "{}\n{}", failures.len(), failures[..failures.len().min(3)].join("\n"));
        assert!(compared > 2000, "only {compared} spans");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_payloads_are_the_same(bytes in generate::payload(4)) {
        for (name, compare) in ALL {
            if let Err(why) = compare(&bytes) {
                prop_assert!(false, "{name}: {why}");
            }
        }
    }
}
