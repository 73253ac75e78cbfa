//! Stats as OTLP metrics, in JSON: one delta histogram of durations, `traces.span.sdk.metrics.duration`
//! (`spec/reference-behaviour.md` 1.16). Only the encoder: the way to an OTLP endpoint is not in this room.
//!
//! Count, sum, least and greatest are exact; the buckets come from the sketch, each bin counted where its value lies.

use super::bucket::{Cell, Group};
use super::concentrator::Part;
use super::grpc;
use super::key::{Root, Text};
use super::sketch::value_of;
use crate::config::Metadata;
use serde_json::{Value, json};

/// Upper bounds of the histogram in seconds; what is above the last has a bucket of its own.
const BOUNDS: [f64; 16] =
    [0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0];

/// The request of these parts.
pub(crate) fn encode(parts: &[Part], bucket_ns: u64, metadata: &Metadata, tracer_tags: &[String]) -> Value {
    let mut points = Vec::new();
    for part in parts {
        let times = (part.start, part.start.saturating_add(bucket_ns));
        for group in &part.groups {
            let mut add = |cell: &Cell, failed: bool| {
                if cell.sketch.count() > 0 {
                    points.push(point(group, cell, failed, times, metadata));
                }
            };
            add(&group.ok, false);
            if let Some(errors) = &group.errors {
                add(errors, true);
            }
        }
    }
    json!({ "resourceMetrics": [{
        "resource": { "attributes": resource(metadata, tracer_tags) },
        "scopeMetrics": [{
            "scope": { "name": "data-pipeline", "version": env!("CARGO_PKG_VERSION") },
            "metrics": [{
                "name": "traces.span.sdk.metrics.duration",
                "unit": "s",
                "histogram": { "aggregationTemporality": 1, "dataPoints": points },
            }],
        }],
    }] })
}

fn point(group: &Group, cell: &Cell, failed: bool, (start, end): (u64, u64), metadata: &Metadata) -> Value {
    let seconds = |ns: u64| ns as f64 / 1e9;
    json!({
        "attributes": attributes(group, failed, metadata),
        "startTimeUnixNano": start.to_string(),
        "timeUnixNano": end.to_string(),
        "count": cell.sketch.count().to_string(),
        "sum": seconds(cell.sum),
        "min": seconds(cell.min),
        "max": seconds(cell.max),
        "explicitBounds": BOUNDS,
        "bucketCounts": counts(cell).map(|n| n.to_string()),
    })
}

fn counts(cell: &Cell) -> [u64; BOUNDS.len() + 1] {
    let mut counts = [0; BOUNDS.len() + 1];
    let mut add = |seconds: f64, n: u64| {
        let at = BOUNDS.iter().position(|bound| *bound >= seconds).unwrap_or(BOUNDS.len());
        if let Some(count) = counts.get_mut(at) {
            *count += n;
        }
    };
    add(0.0, cell.sketch.zeros());
    let (first, bins) = cell.sketch.contiguous();
    for (at, n) in bins.into_iter().enumerate().filter(|(_, n)| *n > 0) {
        add(value_of(first + at as i32) / 1e9, n);
    }
    counts
}

fn attributes(group: &Group, failed: bool, metadata: &Metadata) -> Vec<Value> {
    let key = group.key();
    let facts = key.facts();
    let mut out = Attributes::default();
    let lossy = |which| String::from_utf8_lossy(key.text(which)).into_owned();
    let service = lossy(Text::Service);
    out.text("service.name", if service.is_empty() { &metadata.service } else { &service });
    out.text("status.code", if failed { "STATUS_CODE_ERROR" } else { "STATUS_CODE_OK" });
    let kind = match lossy(Text::SpanKind).to_ascii_lowercase().as_str() {
        "server" => "SPAN_KIND_SERVER",
        "client" => "SPAN_KIND_CLIENT",
        "producer" => "SPAN_KIND_PRODUCER",
        "consumer" => "SPAN_KIND_CONSUMER",
        _ => "SPAN_KIND_INTERNAL",
    };
    out.text("span.kind", kind);
    out.text("span.name", &lossy(Text::Resource));
    out.present("http.request.method", &lossy(Text::HttpMethod));
    out.present("http.route", &lossy(Text::HttpEndpoint));
    if let Some(code) = facts.grpc {
        let name = grpc::name(code).map_or_else(|| code.to_string(), str::to_owned);
        out.text("rpc.response.status_code", &name);
    }
    if facts.http_status != 0 {
        out.push("http.response.status_code", json!({ "intValue": facts.http_status.to_string() }));
    }
    out.text("datadog.operation.name", &lossy(Text::Name));
    out.present("datadog.span.type", &lossy(Text::Type));
    out.present("datadog.svc_src", &lossy(Text::ServiceSource));
    if facts.synthetics {
        out.text("datadog.origin", "synthetics");
    }
    if facts.root != Root::NotSet {
        out.push("datadog.is_trace_root", json!({ "boolValue": facts.root == Root::Yes }));
    }
    let top_level = group.hits() > 0 && group.top_level == group.hits();
    out.push("datadog.span.top_level", json!({ "boolValue": top_level }));
    let tag = |tag: &[u8]| String::from_utf8_lossy(tag).into_owned();
    out.list("datadog.peer_tags", key.peers().map(tag).collect());
    for text in key.additional().map(tag) {
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        if !out.names.iter().any(|known| known == name) {
            out.text(name, value);
        }
    }
    out.values
}

fn resource(metadata: &Metadata, tracer_tags: &[String]) -> Vec<Value> {
    let mut out = Attributes::default();
    for (name, value) in [
        ("service.name", &metadata.service),
        ("service.version", &metadata.version),
        ("deployment.environment.name", &metadata.env),
        ("host.name", &metadata.hostname),
    ] {
        out.present(name, value);
    }
    out.text("telemetry.sdk.name", "datadog");
    out.present("telemetry.sdk.language", &metadata.language);
    out.present("telemetry.sdk.version", &metadata.tracer_version);
    out.present("datadog.runtime_id", &metadata.runtime_id);
    let process = metadata.process_tags.split(',').map(|tag| tag.trim().to_owned());
    out.list("datadog.process_tags", process.filter(|tag| !tag.is_empty()).collect());
    out.list("datadog.tracer_tags", tracer_tags.to_vec());
    out.values
}

/// Attributes in their order.
#[derive(Default)]
struct Attributes {
    names: Vec<String>,
    values: Vec<Value>,
}

impl Attributes {
    fn push(&mut self, name: &str, value: Value) {
        self.names.push(name.to_owned());
        self.values.push(json!({ "key": name, "value": value }));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.push(name, json!({ "stringValue": value }));
    }

    fn present(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    fn list(&mut self, name: &str, values: Vec<String>) {
        if !values.is_empty() {
            let values: Vec<_> = values.iter().map(|v| json!({ "stringValue": v })).collect();
            self.push(name, json!({ "arrayValue": { "values": values } }));
        }
    }
}
