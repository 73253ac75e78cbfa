//! Stats as OTLP metrics, in JSON: one delta histogram of durations, `traces.span.sdk.metrics.duration`
//! (`spec/reference-behaviour.md` 1.16). Only the encoder: the way to an OTLP endpoint is not in this room.
//!
//! Count, sum, least and greatest are exact; the buckets come from the sketch, each bin counted where its value lies.

use super::bucket::{Cell, Group};
use super::concentrator::Part;
use super::key::{Root, Text};
use super::sketch::value_of;
use super::status;
use crate::object::object;
use crate::settings::Metadata;
use serde_json::Value;

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
    object! { "resourceMetrics": vec![object! {
        "resource": object! { "attributes": resource(metadata, tracer_tags) },
        "scopeMetrics": vec![object! {
            "scope": object! { "name": "data-pipeline", "version": env!("CARGO_PKG_VERSION") },
            "metrics": vec![object! {
                "name": "traces.span.sdk.metrics.duration",
                "unit": "s",
                "histogram": object! { "aggregationTemporality": 1, "dataPoints": points },
            }],
        }],
    }] }
}

fn point(group: &Group, cell: &Cell, failed: bool, (start, end): (u64, u64), metadata: &Metadata) -> Value {
    let seconds = |ns: u64| ns as f64 / 1e9;
    object! {
        "attributes": attributes(group, failed, metadata),
        "startTimeUnixNano": start.to_string(),
        "timeUnixNano": end.to_string(),
        "count": cell.sketch.count().to_string(),
        "sum": seconds(cell.sum),
        "min": seconds(cell.min),
        "max": seconds(cell.max),
        "explicitBounds": BOUNDS.to_vec(),
        "bucketCounts": counts(cell).map(|n| n.to_string()).to_vec(),
    }
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
        let name = status::grpc_name(code).map_or_else(|| code.to_string(), str::to_owned);
        out.text("rpc.response.status_code", &name);
    }
    if facts.http_status != 0 {
        out.push("http.response.status_code", object! { "intValue": facts.http_status.to_string() });
    }
    out.text("datadog.operation.name", &lossy(Text::Name));
    out.present("datadog.span.type", &lossy(Text::Type));
    out.present("datadog.svc_src", &lossy(Text::ServiceSource));
    if facts.synthetics {
        out.text("datadog.origin", "synthetics");
    }
    if facts.root != Root::NotSet {
        out.push("datadog.is_trace_root", object! { "boolValue": facts.root == Root::Yes });
    }
    let top_level = group.hits() > 0 && group.top_level == group.hits();
    out.push("datadog.span.top_level", object! { "boolValue": top_level });
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
        self.values.push(object! { "key": name, "value": value });
    }

    fn text(&mut self, name: &str, value: &str) {
        self.push(name, object! { "stringValue": value });
    }

    fn present(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    fn list(&mut self, name: &str, values: Vec<String>) {
        if !values.is_empty() {
            let values: Vec<_> = values.into_iter().map(|v| object! { "stringValue": v }).collect();
            self.push(name, object! { "arrayValue": object! { "values": values } });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::StatsLimits;
    use super::super::concentrator::{Clock, Concentrator};
    use super::super::observe::{Rules, STATS_SLOTS};
    use super::super::pending::Pending;
    use super::*;
    use crate::trace::{Arena, Interest, OnMalformed, Payload, TOP_LEVEL_SLOTS, TopLevel, Verdict};
    use serde_json::json;
    use std::time::Duration;

    /// One span of 3 ms and one error of 20 s, both with every tag that becomes an attribute.
    fn payload() -> Vec<u8> {
        use crate::msgpack::writer as w;
        let mut out = Vec::new();
        w::array_head(&mut out, 2);
        for (duration, error) in [(3_000_000i64, 0i64), (20_000_000_000, 1)] {
            w::array_head(&mut out, 1);
            w::map_head(&mut out, 8);
            for (key, value) in [("service", "shop"), ("name", "op"), ("resource", "GET /a"), ("type", "web")]
            {
                w::str(&mut out, key.as_bytes());
                w::str(&mut out, value.as_bytes());
            }
            for (key, value) in
                [("start", 1_700_000_005_000_000_000 - duration), ("duration", duration), ("error", error)]
            {
                w::str(&mut out, key.as_bytes());
                w::int(&mut out, value);
            }
            w::str(&mut out, b"meta");
            let meta = [
                ("span.kind", "client"),
                ("http.method", "GET"),
                ("http.route", "/a"),
                ("http.status_code", "503"),
                ("grpc.code", "NOT_FOUND"),
                ("_dd.origin", "synthetics-browser"),
                ("out.host", "db"),
                ("region", "eu:1"),
                ("span.name", "mine"),
            ];
            w::map_head(&mut out, meta.len() as u32);
            for (key, value) in meta {
                w::str(&mut out, key.as_bytes());
                w::str(&mut out, value.as_bytes());
            }
        }
        out
    }

    #[test]
    fn a_group_becomes_a_point_for_what_went_well_and_one_for_errors() {
        let concentrator = Concentrator::new(Duration::from_secs(10), StatsLimits::default(), Clock::Replay);
        let mut interest = Interest::none().slots(STATS_SLOTS).slots(TOP_LEVEL_SLOTS);
        let peers = ["out.host".to_owned()].into_iter();
        let more = ["region".to_owned(), "span.name".to_owned()];
        let rules = Rules::new(&concentrator, &[], peers, &more, |_, _| Verdict::Keep, &mut interest);
        let (mut arena, mut pending, bytes) = (Arena::new(), Pending::default(), payload());
        let mut payload = Payload::scan(&bytes, &mut arena, &interest, OnMalformed::Fail).unwrap();
        TopLevel { mark: false }.apply(&mut payload);
        pending.begin();
        rules.observe(&payload, &mut pending, None);
        concentrator.commit(&mut pending);
        let metadata = Metadata {
            service: "process".into(),
            env: "prod".into(),
            process_tags: "a:b, c:d".into(),
            ..Metadata::default()
        };
        let text = concentrator.flush_otlp(true, &metadata, &["t:1".to_owned()]).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let all = &json["resourceMetrics"][0];
        let names = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|a| a["key"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            names(&all["resource"]["attributes"]),
            [
                "service.name",
                "deployment.environment.name",
                "telemetry.sdk.name",
                "datadog.process_tags",
                "datadog.tracer_tags"
            ]
        );
        let metric = &all["scopeMetrics"][0]["metrics"][0];
        assert_eq!(metric["name"], "traces.span.sdk.metrics.duration");
        assert_eq!(
            (&metric["unit"], &metric["histogram"]["aggregationTemporality"]),
            (&json!("s"), &json!(1))
        );
        let mut points = metric["histogram"]["dataPoints"].as_array().unwrap().clone();
        assert_eq!(points.len(), 2);
        points.sort_by_key(|p| p["sum"].as_f64().unwrap() as u64);
        for (point, at, sum, status) in
            [(&points[0], 1, 0.003, "STATUS_CODE_OK"), (&points[1], 16, 20.0, "STATUS_CODE_ERROR")]
        {
            assert_eq!(point["count"], "1");
            assert_eq!(point["startTimeUnixNano"], "1700000000000000000");
            assert_eq!(point["timeUnixNano"], "1700000010000000000");
            for key in ["sum", "min", "max"] {
                assert_eq!(point[key], json!(sum), "{key}");
            }
            let counts: Vec<_> = point["bucketCounts"].as_array().unwrap().iter().collect();
            assert_eq!((counts.len(), counts[at]), (17, &json!("1")));
            assert_eq!(
                names(&point["attributes"]),
                [
                    "service.name",
                    "status.code",
                    "span.kind",
                    "span.name",
                    "http.request.method",
                    "http.route",
                    "rpc.response.status_code",
                    "http.response.status_code",
                    "datadog.operation.name",
                    "datadog.span.type",
                    "datadog.origin",
                    "datadog.is_trace_root",
                    "datadog.span.top_level",
                    "datadog.peer_tags",
                    "region"
                ]
            );
            let value = |i: usize| &point["attributes"][i]["value"];
            assert_eq!(value(1)["stringValue"], status);
            assert_eq!(value(2)["stringValue"], "SPAN_KIND_CLIENT");
            assert_eq!(value(6)["stringValue"], "NOT_FOUND");
            assert_eq!(value(7)["intValue"], "503");
            assert_eq!(value(13)["arrayValue"]["values"][0]["stringValue"], "out.host:db");
            assert_eq!(value(14)["stringValue"], "eu:1");
        }
        assert_eq!(concentrator.flush_otlp(true, &metadata, &[]), None);
    }
}
