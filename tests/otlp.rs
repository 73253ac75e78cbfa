//! v0.4 to OTLP: every captured payload and 500 generated ones, in protobuf and JSON, field by field what the input
//! was; both encodings say the same; odd input does no harm.

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
use data_pipeline::format::otlp::{Options, encoding};
use data_pipeline::settings::{InputFormat, Metadata, OtherFormat, OtlpEncoding, OutputFormat};
use generate::{Kind, Random};
use msgpack::*;
use serde_json::json;

fn v04() -> Conversion {
    Conversion { to: OutputFormat::V04, from: InputFormat::V04, ..Conversion::default() }
}

fn to_other(payload: &[u8], format: OtherFormat) -> Converted {
    convert_to(payload, &format.into(), &v04(), &Metadata::default()).unwrap()
}

/// Checks one payload in both encodings against what it is once it is repaired.
fn check(name: &str, payload: &[u8]) -> usize {
    let Ok(made) = convert(payload, &v04()) else {
        assert!(
            convert_to(payload, &OtherFormat::OtlpProto.into(), &v04(), &Metadata::default()).is_err(),
            "{name}"
        );
        return 0;
    };
    let expected = otlp::expected(&decode(&made.body), "");
    let protobuf = to_other(payload, OtherFormat::OtlpProto);
    let json = to_other(payload, OtherFormat::OtlpJson);
    assert_eq!(protobuf.spans, expected.len() as u64, "{name}");
    for (encoding, (resource, spans)) in
        [("protobuf", otlp::from_protobuf(&protobuf.body)), ("JSON", otlp::from_json(&json.body))]
    {
        assert_eq!(resource["telemetry.sdk.name"], json!({ "s": "datadog" }));
        assert_eq!(resource["_dd.sdk.otlp_export"], json!({ "s": "true" }));
        assert_eq!(spans.len(), expected.len(), "{name} {encoding}");
        for (i, (got, want)) in spans.iter().zip(&expected).enumerate() {
            assert_eq!(got, want, "{name} {encoding} span {i}");
        }
    }
    expected.len()
}

#[test]
fn every_captured_payload_arrives_in_every_field() {
    let spans: usize = captured().iter().map(|(name, bytes)| check(name, bytes)).sum();
    assert!(spans > 1000, "{spans}");
}

#[test]
fn generated_payloads_arrive_in_every_field() {
    for kind in [Kind::Plain, Kind::Rules, Kind::Odd, Kind::Damaged] {
        for seed in 0..125 {
            let payload = generate::payload(kind, &mut Random(seed * 7919 + kind as u64));
            check(&format!("{kind:?} {seed}"), &payload);
        }
    }
}

fn both(payload: &[u8], options: Options, metadata: &Metadata) -> Vec<serde_json::Value> {
    let format = |encoding| data_pipeline::format::otlp::encoding(Options { encoding, ..options });
    let made = |encoding| convert_to(payload, &format(encoding), &v04(), metadata).unwrap().body;
    let protobuf = otlp::from_protobuf(&made(OtlpEncoding::Protobuf));
    let json = otlp::from_json(&made(OtlpEncoding::Json));
    assert_eq!(protobuf, json);
    protobuf.1
}

#[test]
fn the_resource_says_who_sends_and_spans_of_the_same_service_do_not() {
    let metadata = Metadata {
        service: "shop".into(),
        env: "prod".into(),
        version: "1.2".into(),
        language: "java".into(),
        tracer_version: "9".into(),
        runtime_id: "r".into(),
        ..Metadata::default()
    };
    let payload = payload([good_span(), span_with("service", s("other"))]);
    let format = encoding(Options { stats_computed: true, ..Options::default() });
    let body = convert_to(&payload, &format, &v04(), &metadata).unwrap().body;
    let (resource, spans) = otlp::from_protobuf(&body);
    let pairs: Vec<String> =
        resource.iter().map(|(key, value)| format!("{key}={}", value["s"].as_str().unwrap())).collect();
    for pair in [
        "service.name=shop",
        "deployment.environment.name=prod",
        "service.version=1.2",
        "telemetry.sdk.name=datadog",
        "telemetry.sdk.language=java",
        "telemetry.sdk.version=9",
        "runtime-id=r",
        "_dd.stats_computed=true",
        "_dd.sdk.otlp_export=true",
        "datadog.sdk.semantics=datadog",
    ] {
        assert!(pairs.iter().any(|known| known == pair), "{pair}: {pairs:?}");
    }
    assert_eq!(pairs.len(), 10);
    assert_eq!(spans[0]["attributes"].get("service.name"), None);
    assert_eq!(spans[1]["attributes"]["service.name"], json!({ "s": "other" }));
    assert_eq!(spans[0]["attributes"]["operation.name"], json!({ "s": "web.request" }));
}

#[test]
fn opentelemetry_semantics_leave_out_what_only_datadog_knows() {
    let meta = [
        e("span.kind", s("Server")),
        e("error.message", s("boom")),
        e("error.msg", s("bang")),
        e("k", s("v")),
    ];
    let span = map([
        e("service", s("shop")),
        e("name", s("op")),
        e("resource", s("GET /")),
        e("type", s("web")),
        e("error", int(1)),
        e("meta", map(meta)),
    ]);
    let sampled = span_with("metrics", map([e("_sampling_priority_v1", int(2))]));
    let options = Options { open_telemetry_semantics: true, ..Options::default() };
    let spans = both(&payload([span.clone(), sampled]), options, &Metadata::default());
    assert_eq!(spans[0]["attributes"], json!({ "k": { "s": "v" } }));
    assert_eq!((&spans[0]["kind"], &spans[0]["status"]), (&json!(2), &json!([2, "bang"])));
    assert_eq!((&spans[0]["flags"], &spans[1]["flags"]), (&json!(1), &json!(1)), "one decision a trace");
    let spans = both(&payload([span]), Options::default(), &Metadata::default());
    assert_eq!(spans[0]["attributes"].as_object().unwrap().len(), 8);
    assert_eq!(spans[0]["flags"], 0);
}

#[test]
fn a_limit_of_attributes_counts_what_it_leaves_out() {
    let many = map((0..300).map(|i| e(&format!("key {i}"), s("v"))));
    let payload = payload([span_with("meta", many)]);
    let options = Options { max_attributes: Some(128), ..Options::default() };
    let spans = both(&payload, options, &Metadata::default());
    assert_eq!(spans[0]["attributes"].as_object().unwrap().len(), 128);
    // Four of our own and two metrics.
    assert_eq!(spans[0]["dropped"], 300 + 4 + 2 - 128);
    let spans = both(&payload, Options::default(), &Metadata::default());
    assert_eq!(spans[0]["attributes"].as_object().unwrap().len(), 306);
}

#[test]
fn numbers_that_are_none_are_told_apart_and_times_do_not_overflow() {
    let metrics = map([
        e("nan", f64_(f64::NAN)),
        e("up", f64_(f64::INFINITY)),
        e("down", f64_(f64::NEG_INFINITY)),
        e("big", f64_(9_223_372_036_854_775_808.0)),
        e("whole", f64_(7.0)),
    ]);
    let mut odd = fields();
    odd.retain(|(key, _)| ![s("metrics"), s("start"), s("duration")].contains(key));
    odd.extend([e("metrics", metrics), e("start", i64_(i64::MAX)), e("duration", i64_(i64::MAX))]);
    let before = span_with("start", i64_(-5));
    let spans = both(&payload([map(odd), before]), Options::default(), &Metadata::default());
    let attributes = &spans[0]["attributes"];
    for (key, value) in [
        ("nan", json!({ "d": "NaN" })),
        ("up", json!({ "d": "inf" })),
        ("down", json!({ "d": "-inf" })),
        ("big", json!({ "d": "9.223372036854776e18" })),
        ("whole", json!({ "i": "7" })),
    ] {
        assert_eq!(attributes[key], value, "{key}");
    }
    assert_eq!(
        (&spans[0]["start"], &spans[0]["end"]),
        (&json!(i64::MAX.to_string()), &json!(i64::MAX.to_string()))
    );
    assert_eq!((&spans[1]["start"], &spans[1]["end"]), (&json!("0"), &json!("995")));
}

#[test]
fn a_key_that_comes_twice_counts_once_whatever_map_it_stands_in() {
    let span = map([
        e("name", s("op")),
        e("resource", s("r")),
        e("metrics", map([e("a", int(1)), e("b", int(2)), e("b", int(3))])),
        e("meta", map([e("a", s("x")), e("operation.name", s("mine")), e("c", s("1")), e("c", s("2"))])),
        e("meta_struct", map([e("c", bin(b"\x01"))])),
    ]);
    let spans = both(&payload([span]), Options::default(), &Metadata::default());
    assert_eq!(
        spans[0]["attributes"],
        json!({
            "a": { "s": "x" }, "b": { "i": "3" }, "c": { "x": "01" },
            "operation.name": { "s": "op" }, "resource.name": { "s": "r" },
        })
    );
}

#[test]
fn all_spans_of_a_trace_have_the_upper_half_of_its_id() {
    let with = span_with("meta", map([e("_dd.p.tid", s("640cfd8d00000001"))]));
    let id = || e("trace_id", u64_(0x0102_0304_0506_0708));
    // The length of a short span and of a long one has another width than that of most.
    let long = map([id(), e("resource", s(&"r".repeat(20_000)))]);
    let all = [good_span(), map([id()]), long, with, good_span()];
    let spans = both(&payload(all), Options::default(), &Metadata::default());
    assert!(spans.iter().all(|span| span["trace"] == "640cfd8d000000010102030405060708"), "{spans:?}");
}

#[test]
fn what_is_large_is_written_as_what_is_small() {
    let long = "x".repeat(10 << 20);
    let links = array((0..100_000).map(|i| map([e("trace_id", u64_(i + 1)), e("span_id", u64_(1))])));
    let tags = map((0..1_000_000).map(|i| e(&format!("k{i}"), s(""))));
    for (span, links, attributes) in [
        (span_with("meta", map([e("long", s(&long))])), 0, 7),
        (span_with("span_links", links), 100_000, 8),
        (span_with("meta", tags), 0, 1_000_006),
    ] {
        let spans = both(&payload([span]), Options::default(), &Metadata::default());
        assert_eq!(spans[0]["links"].as_array().unwrap().len(), links);
        assert_eq!(spans[0]["attributes"].as_object().unwrap().len(), attributes);
    }
}
