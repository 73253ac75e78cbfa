//! v0.4 to the JSON of the intake and to log lines: every captured payload and 500 generated ones, field by field what
//! the input was; lines within their limit; what JSON cannot say is left out and counted.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/captured.rs"]
mod captured;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/msgpack.rs"]
mod msgpack;
#[path = "support/otlp.rs"]
mod otlp;

use captured::captured;
use data_pipeline::convert::{Conversion, Converted, convert, convert_to};
use data_pipeline::format;
use data_pipeline::settings::{InputFormat, Metadata, OtherFormat, OutputFormat};
use generate::{Kind, Random};
use msgpack::*;
use otlp::{bits, entries, get, list, text_of};
use rmpv::Value as Mp;
use serde_json::{Map, Value, json};

fn v04() -> Conversion {
    Conversion { to: OutputFormat::V04, from: InputFormat::V04, ..Conversion::default() }
}

fn to_other(payload: &[u8], format: OtherFormat) -> Converted {
    convert_to(payload, &format.into(), &v04(), &Metadata::default()).unwrap()
}

fn traces(body: &[u8]) -> Vec<Value> {
    let whole: Value = serde_json::from_slice(body).expect("it is JSON");
    assert_eq!(whole.as_object().unwrap().len(), 1);
    whole["traces"].as_array().unwrap().clone()
}

/// The maps of a span as they must be: the last of a key counts, in each map by itself. Gives also whether there is
/// anything in `meta_struct`.
fn maps(span: &Mp) -> (Map<String, Value>, Map<String, Value>, bool) {
    let (mut meta, mut metrics) = (Map::new(), Map::new());
    for (name, value) in entries(span, "meta") {
        meta.insert(lossy(name).unwrap(), json!(lossy(value).unwrap()));
    }
    for (name, value) in entries(span, "metrics") {
        // What is not finite has become null.
        metrics.insert(lossy(name).unwrap(), json!(value.as_f64().unwrap_or(0.0)));
    }
    metrics.retain(|_, value| value.is_f64());
    (meta, metrics, entries(span, "meta_struct").next().is_some())
}

/// Numbers to fourteen digits: the parser that reads them here is not exact beyond.
fn numbers<'v>(entries: impl IntoIterator<Item = (&'v String, &'v Value)>) -> Map<String, Value> {
    let digits = |value: &Value| json!(format!("{:.13e}", value.as_f64().unwrap()));
    entries.into_iter().map(|(key, value)| (key.clone(), digits(value))).collect()
}

fn id(span: &Mp, key: &str) -> String {
    format!("{:016x}", bits(get(span, key)))
}

/// What both formats say in the same way.
fn check_fields(name: &str, got: &Value, span: &Mp) {
    for key in ["trace_id", "span_id", "parent_id"] {
        assert_eq!(got[key], id(span, key), "{name} {key}");
    }
    for key in ["name", "service"] {
        assert_eq!(got[key], text_of(span, key), "{name} {key}");
    }
    let kind = text_of(span, "type");
    assert_eq!(got["type"].as_str().unwrap_or(""), kind, "{name} type");
    assert_eq!(got.get("type").is_some(), !kind.is_empty());
    for key in ["error", "duration"] {
        assert_eq!(got[key].as_i64(), Some(bits(get(span, key)) as i64), "{name} {key}");
    }
    let events = got["span_events"].as_array().cloned().unwrap_or_default();
    assert_eq!(events.len(), list(span, "span_events").count(), "{name}");
    for (got, event) in events.iter().zip(list(span, "span_events")) {
        assert_eq!(got["time_unix_nano"].as_u64(), Some(bits(get(event, "time_unix_nano"))));
        assert_eq!(got["name"], text_of(event, "name"));
    }
    let links = got["span_links"].as_array().cloned().unwrap_or_default();
    assert_eq!(links.len(), list(span, "span_links").count(), "{name}");
    for (got, link) in links.iter().zip(list(span, "span_links")) {
        assert_eq!(got["tracestate"].as_str().unwrap_or(""), text_of(link, "tracestate"));
        let mut attributes = Map::new();
        for (key, value) in entries(link, "attributes") {
            attributes.insert(lossy(key).unwrap(), json!(lossy(value).unwrap()));
        }
        assert_eq!(got["attributes"].as_object().cloned().unwrap_or_default(), attributes, "{name}");
        assert_eq!(got["flags"].as_u64().unwrap_or(0), bits(get(link, "flags")) & 0x7fff_ffff);
    }
}

fn spans_of(chunk: &Mp) -> Vec<&Mp> {
    chunk.as_array().into_iter().flatten().filter(|span| !span.is_nil()).collect()
}

fn check_intake(name: &str, v04: &Mp, made: &Converted) {
    let chunks = v04.as_array().unwrap();
    let got = traces(&made.body);
    assert_eq!(got.len(), chunks.len(), "{name}");
    for (got, chunk) in got.iter().zip(chunks) {
        assert_eq!(
            got.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["spans"],
            "nothing beside the spans"
        );
        let spans = spans_of(chunk);
        assert_eq!(got["spans"].as_array().unwrap().len(), spans.len());
        for (i, (got, span)) in got["spans"].as_array().unwrap().iter().zip(spans).enumerate() {
            check_fields(name, got, span);
            let resource = Some(text_of(span, "resource")).filter(|r| !r.is_empty());
            assert_eq!(got["resource"], resource.unwrap_or_else(|| text_of(span, "name")), "{name}");
            assert_eq!(got["start"].as_i64(), Some((bits(get(span, "start")) as i64).max(0)), "{name}");
            let (mut meta, mut metrics, _) = maps(span);
            if i == 0 {
                meta.entry("_dd.compute_stats").or_insert(json!("1"));
            }
            if bits(get(span, "parent_id")) == 0 {
                metrics.entry("_trace_root").or_insert(json!(1.0));
            }
            assert_eq!(got["meta"], Value::Object(meta), "{name}");
            assert_eq!(
                numbers(got["metrics"].as_object().into_iter().flatten()),
                numbers(&metrics),
                "{name}"
            );
            for (got, link) in
                got["span_links"].as_array().into_iter().flatten().zip(list(span, "span_links"))
            {
                let trace = id(link, "trace_id_high") + &id(link, "trace_id");
                assert_eq!((&got["trace_id"], &got["span_id"]), (&json!(trace), &json!(id(link, "span_id"))));
            }
        }
    }
}

fn check_log(name: &str, v04: &Mp, made: &Converted) {
    let spans: Vec<&Mp> = v04.as_array().unwrap().iter().flat_map(spans_of).collect();
    let text = std::str::from_utf8(&made.body).unwrap();
    assert_eq!(text.is_empty(), spans.is_empty());
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut got = Vec::new();
    for line in text.lines() {
        assert!(line.len() < 262_144, "{name}");
        let traces = traces(line.as_bytes());
        assert_eq!(traces.len(), 1);
        got.extend(traces[0].as_array().unwrap().clone());
    }
    assert_eq!(got.len(), spans.len(), "{name}");
    for (got, span) in got.iter().zip(spans) {
        check_fields(name, got, span);
        assert_eq!(got["resource"], text_of(span, "resource"));
        assert_eq!(got["start"].as_i64(), Some(bits(get(span, "start")) as i64));
        let (meta, metrics, _) = maps(span);
        assert_eq!(got["meta"].as_object().cloned().unwrap_or_default(), meta, "{name}");
        assert_eq!(numbers(got["metrics"].as_object().into_iter().flatten()), numbers(&metrics), "{name}");
        assert!(got.get("meta_struct").is_none());
    }
}

fn check(name: &str, payload: &[u8]) {
    let Ok(made) = convert(payload, &v04()) else { return };
    let v04 = decode(&made.body);
    check_intake(name, &v04, &to_other(payload, OtherFormat::Intake));
    check_log(name, &v04, &to_other(payload, OtherFormat::Log));
}

#[test]
fn every_captured_payload_arrives_in_every_field() {
    captured().iter().for_each(|(name, bytes)| check(name, bytes));
}

#[test]
fn generated_payloads_arrive_in_every_field() {
    for kind in [Kind::Plain, Kind::Rules, Kind::Odd, Kind::Damaged] {
        for seed in 0..125 {
            let payload = generate::payload(kind, &mut Random(seed * 104_729 + kind as u64));
            check(&format!("{kind:?} {seed}"), &payload);
        }
    }
}

#[test]
fn a_key_that_stands_in_two_maps_counts_in_both() {
    let span =
        span_with("meta", map([e("http.status_code", s("500")), e("twice", s("a")), e("twice", s("b"))]));
    let fields = decode(&span);
    let mut all: Vec<(Mp, Mp)> = fields.as_map().unwrap().clone();
    all.retain(|(key, _)| key.as_str() != Some("metrics") && key.as_str() != Some("meta_struct"));
    all.push((Mp::from("metrics"), Mp::Map(vec![(Mp::from("http.status_code"), Mp::from(500.0))])));
    let raw = Mp::Binary(vec![7]);
    all.push((Mp::from("meta_struct"), Mp::Map(vec![(Mp::from("http.status_code"), raw)])));
    let mut payload = vec![0x91, 0x91];
    rmpv::encode::write_value(&mut payload, &Mp::Map(all)).unwrap();
    for format in [OtherFormat::Intake, OtherFormat::Log] {
        let made = to_other(&payload, format);
        let whole: Value = serde_json::from_slice(&made.body).unwrap();
        let span = match format {
            OtherFormat::Intake => &whole["traces"][0]["spans"][0],
            _ => &whole["traces"][0][0],
        };
        assert_eq!((&span["meta"]["http.status_code"], &span["meta"]["twice"]), (&"500".into(), &"b".into()));
        assert_eq!(span["metrics"]["http.status_code"], 500.0);
        if format == OtherFormat::Intake {
            assert_eq!(span["meta_struct"]["http.status_code"], 7);
        }
    }
}

#[test]
fn a_value_that_json_cannot_say_is_left_out_alone_and_counted() {
    let structs = map([
        e("good", bin(&map([e("a", array([int(1), nil(), bool_(true)]))]))),
        e("cut", bin(b"\x92\x01")),
        e("more", bin(b"\x01\x02")),
    ]);
    let metrics =
        map([e("nan", f64_(f64::NAN)), e("m", f64_(0.5)), e("_top_level", f64_(1.0)), e("n", f64_(2.0))]);
    let mut odd = fields();
    odd.retain(|(key, _)| *key != s("metrics"));
    odd.extend([e("meta_struct", structs), e("metrics", metrics)]);
    let payload = payload([map(odd), good_span()]);
    let made = to_other(&payload, OtherFormat::Intake);
    let span = &traces(&made.body)[0]["spans"][0];
    assert_eq!(span["meta_struct"], json!({ "good": { "a": [1, null, true] } }));
    assert_eq!(span["metrics"].to_string(), r#"{"_top_level":1,"_trace_root":1,"m":0.5,"n":2.0}"#);
    assert_eq!(made.outcome.lost_in_conversion, 2, "a struct and a number");
    let made = to_other(&payload, OtherFormat::Log);
    assert_eq!(made.outcome.lost_in_conversion, 2);
    assert!(String::from_utf8_lossy(&made.body).contains(r#""_top_level":1.0"#));
}

#[test]
fn what_the_settings_say_goes_where_the_spans_say_nothing() {
    let metadata =
        Metadata { env: "stage".into(), version: "7".into(), hostname: "h\"1".into(), ..Metadata::default() };
    let spans = [good_span(), span_with("meta", map([e("version", s("8"))]))];
    let body = convert_to(&payload(spans), &format::intake(true), &v04(), &metadata).unwrap().body;
    let spans = traces(&body)[0]["spans"].clone();
    let first = json!({ "env": "prod", "http.method": "GET", "version": "7", "_dd.hostname": "h\"1" });
    assert_eq!(spans[0]["meta"], first, "no _dd.compute_stats: stats are computed here");
    assert_eq!(spans[1]["meta"], json!({ "env": "stage", "version": "8" }));
}

#[test]
fn lines_are_filled_and_a_span_that_fits_none_is_left_out() {
    let span = |n: usize| span_with("meta", map([e("k", s(&"v".repeat(n)))]));
    let chunks =
        [array([span(10), span(3000), span(20)]), array([span(5000)]), array([span(700), span(700)])];
    let payload = array(chunks);
    for most in [1024, 1500, 2000, 2500, 100_000] {
        let format = format::log_lines(most);
        let made = convert_to(&payload, &format, &v04(), &Metadata::default()).unwrap();
        let text = String::from_utf8(made.body.clone()).unwrap();
        let spans: usize = text
            .lines()
            .map(|line| {
                assert!(line.len() < most, "{} {most}", line.len());
                traces(line.as_bytes())[0].as_array().unwrap().len()
            })
            .sum();
        let left = if most < 10_000 { (2, 4, 1) } else { (3, 6, 0) };
        assert_eq!((made.traces, made.spans, made.outcome.too_large.traces), left, "{most}");
        assert_eq!(spans as u64 + made.outcome.too_large.spans, 6);
    }
}
