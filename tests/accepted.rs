//! What the real agent accepts is accepted, and goes out as the same bytes: the "accepted" list of hand-made
//! bodies that both v0.4 decoders of the Go agent were asked about, and what their code accepts besides.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::TraceExporter;
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload};
use msgpack::*;
use support::{Listen, ScriptedAgent};

/// Each body and its name.
fn cases() -> Vec<(&'static str, Bytes)> {
    let metrics = |v: Bytes| {
        payload([span_with("metrics", map([e("before", int(1)), e("k", v), e("after", f64_(2.0))]))])
    };
    let meta =
        |k: Bytes, v: Bytes| payload([span_with("meta", map([e("a", s("b")), (k, v), e("y", s("z"))]))]);
    let field = |key: &str, v: Bytes| payload([good_span(), span_with(key, v)]);
    let without = |key: &str| payload([map(fields().into_iter().filter(|(k, _)| *k != s(key)))]);
    let more = |entries: Vec<Entry>| payload([map(fields().into_iter().chain(entries))]);
    let link = |entries: Vec<Entry>| field("span_links", array([map(entries)]));
    let event = |attributes: Vec<Entry>| {
        let attributes = map(attributes);
        let event = map([e("time_unix_nano", u64_(5)), e("name", s("ev")), e("attributes", attributes)]);
        field("span_events", array([event]))
    };
    let ids = || vec![e("trace_id", u64_(1)), e("span_id", u64_(2))];
    let mut all = vec![
        ("metrics: nil value", metrics(nil())),
        ("metrics: 2^64-1", metrics(u64_(u64::MAX))),
        ("metrics: NaN", metrics(f64_(f64::NAN))),
        ("metrics: infinity", metrics(f64_(f64::NEG_INFINITY))),
        ("metrics: nil key", payload([span_with("metrics", map([(nil(), int(1))]))])),
        ("metrics: bin key", payload([span_with("metrics", map([(bin(b"k"), int(1))]))])),
        ("meta: nil value", meta(s("k"), nil())),
        ("meta: bin value", meta(s("k"), bin(b"v"))),
        ("meta: bin key", meta(bin(b"k"), s("v"))),
        ("meta: nil key", meta(nil(), s("v"))),
        ("meta: key not UTF-8", meta(text_of(b"\xff"), s("v"))),
        ("meta: value of 70,000 bytes", meta(s("k"), text_of(&[b'x'; 70_000]))),
        ("meta: key of 300 bytes", meta(text_of(&[b'k'; 300]), s("v"))),
        ("meta: key twice", meta(s("a"), s("again"))),
        ("meta nil", field("meta", nil())),
        ("metrics nil", field("metrics", nil())),
        ("service nil", field("service", nil())),
        ("service bin", field("service", bin(b"shop"))),
        ("service not UTF-8", field("service", text_of(b"caf\xe9"))),
        ("type nil", field("type", nil())),
        ("parent nil", field("parent_id", nil())),
        ("trace id nil", field("trace_id", nil())),
        ("start nil", field("start", nil())),
        ("duration nil", field("duration", nil())),
        ("error nil", field("error", nil())),
        ("trace id -1", field("trace_id", i64_(-1))),
        ("span id as small negative", field("span_id", int(-1))),
        ("start -1", field("start", i64_(-1))),
        ("start as uint64", field("start", u64_(i64::MAX as u64))),
        ("duration negative", field("duration", int(-5))),
        ("error -1", field("error", int(-1))),
        ("error 2^31-1", field("error", u64_(i32::MAX as u64))),
        ("error -2^31", field("error", i64_(i64::from(i32::MIN)))),
        ("an unknown span key", field("unknown", map([(int(1), array([nil(), ext()]))]))),
        ("a nil span", payload([good_span(), nil(), good_span()])),
        ("only a nil span", payload([nil()])),
        ("an empty span", payload([map([])])),
        ("several trace ids in a chunk", payload([good_span(), span_with("trace_id", int(9))])),
        ("a span key twice", more(vec![e("service", s("other"))])),
        ("meta twice", more(vec![e("meta", map([e("only", s("this"))]))])),
        ("metrics twice, the second nil", more(vec![e("metrics", nil())])),
        ("a span key as bin", more(vec![(bin(b"service"), s("other"))])),
        ("meta under a bin key", more(vec![(bin(b"meta"), map([e("x", s("y"))]))])),
        ("an unknown link key", link([ids(), vec![e("other", array([int(1)]))]].concat())),
        (
            "a link with everything",
            link(
                [
                    ids(),
                    vec![
                        e("trace_id_high", u64_(u64::MAX)),
                        e("attributes", map([e("k", s("v"))])),
                        e("tracestate", s("dd=s:1")),
                        e("flags", u64_(0x8000_0001)),
                    ],
                ]
                .concat(),
            ),
        ),
        ("a link id -1 and a nil one", link(vec![e("trace_id", int(-1)), e("span_id", nil())])),
        ("an empty link", link(vec![])),
        ("a nil link", field("span_links", array([nil(), map(ids())]))),
        ("no links", field("span_links", array([]))),
        ("a nil event", field("span_events", array([nil()]))),
        ("an empty event", field("span_events", array([map([])]))),
        ("an event name nil", field("span_events", array([map([e("name", nil())])]))),
        ("an event name bin", field("span_events", array([map([e("name", bin(b"n"))])]))),
        ("an unknown event key", field("span_events", array([map([e("zzz", map([]))])]))),
        ("an event attribute without a value", event(vec![e("k", map([e("type", int(1))]))])),
        (
            "an event attribute of an unknown type",
            event(vec![e("k", map([e("type", int(9)), e("x", int(1))]))]),
        ),
        ("a nil event attribute", event(vec![e("k", nil())])),
        ("an empty event attribute", event(vec![e("k", map([]))])),
        (
            "event attributes of every type",
            event(vec![
                e("s", map([e("type", int(0)), e("string_value", s("v"))])),
                e("b", map([e("type", int(1)), e("bool_value", bool_(true))])),
                e("i", map([e("type", int(2)), e("int_value", i64_(-9))])),
                e("d", map([e("type", int(3)), e("double_value", f64_(1.5))])),
                e("f", map([e("type", int(3)), e("double_value", f32_(1.5))])),
                e(
                    "a",
                    map([
                        e("type", int(4)),
                        e(
                            "array_value",
                            map([e(
                                "values",
                                array([map([e("type", int(0)), e("string_value", s("x"))]), nil()]),
                            )]),
                        ),
                    ]),
                ),
                e("n", map([e("type", int(4)), e("array_value", nil())])),
            ]),
        ),
        ("meta_struct empty", field("meta_struct", map([]))),
        ("meta_struct with bin", field("meta_struct", map([e("k", bin(&[0xff, 0xc1])), (nil(), bin(b""))]))),
        ("bytes after the end", [payload([good_span()]), b"and more \xc1".to_vec()].concat()),
        ("an empty chunk", array([array([]), array([good_span()])])),
        ("only empty chunks", array([array([]), array([])])),
        ("16 chunks", array((0..16).map(|_| array([good_span()])))),
        ("span keys with wide headers", {
            let wide = |t: &str| [&[0xdb][..], &(t.len() as u32).to_be_bytes(), t.as_bytes()].concat();
            payload([[
                &[0xdf, 0, 0, 0, 4][..],
                &wide("name"),
                &wide("op"),
                &wide("meta"),
                &[0xdf, 0, 0, 0, 1],
                &wide("env"),
                &wide("prod"),
                &wide("metrics"),
                &[0xdf, 0, 0, 0, 0],
                &wide("span_links"),
                &[0xdd, 0, 0, 0, 0],
            ]
            .concat()])
        }),
    ];
    for key in [
        "service",
        "name",
        "resource",
        "trace_id",
        "span_id",
        "parent_id",
        "start",
        "duration",
        "error",
        "meta",
        "metrics",
        "type",
    ] {
        all.push((key, without(key)));
    }
    for (i, form) in [
        &[0x05][..],
        &[0xcc, 5],
        &[0xcd, 0, 5],
        &[0xce, 0, 0, 0, 5],
        &[0xd0, 5],
        &[0xd1, 0, 5],
        &[0xd2, 0, 0, 0, 5],
    ]
    .into_iter()
    .enumerate()
    {
        let name = ["fixint", "uint8", "uint16", "uint32", "int8", "int16", "int32"][i];
        for key in ["trace_id", "start", "duration", "error"] {
            all.push((name, field(key, form.to_vec())));
        }
        all.push((name, metrics(form.to_vec())));
    }
    all
}

#[test]
fn the_test_s_own_reader_knows_the_agent_s_rules() {
    for (name, body) in cases() {
        // The reader of values cannot say "bytes follow", which is what one case is about.
        assert_eq!(agent_accepts(&body), Ok(()), "{name}");
    }
}

#[test]
fn what_the_agent_accepts_passes_the_scan_under_every_policy() {
    let mut arena = Arena::new();
    for (name, body) in cases() {
        for policy in [OnMalformed::Fail, OnMalformed::Drop, OnMalformed::Repair] {
            let payload = Payload::scan(&body, &mut arena, &Interest::none(), policy);
            let payload = payload.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(payload.repairs(), (0, None), "{name}");
            assert!(!payload.has_edits(), "{name}");
            let kept = payload.chunks().iter().all(|c| c.state() == data_pipeline::trace::ChunkState::Kept);
            assert!(kept, "{name}: {policy:?}");
        }
    }
}

#[test]
fn what_the_agent_accepts_arrives_as_the_same_bytes() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).on_malformed(OnMalformed::Fail).build().unwrap();
    let mut traces = 0;
    for (name, body) in cases() {
        let response = exporter.send(&body).unwrap_or_else(|e| panic!("{name}: {e}"));
        traces += response.traces;
        let got = agent.requests().pop().unwrap();
        assert!(got.body == body, "{name}: other bytes arrived");
        assert_eq!(got.header("x-datadog-trace-count"), Some(response.traces.to_string().as_str()), "{name}");
    }
    let m = exporter.metrics();
    assert_eq!(m.received, m.accounted_for());
    assert_eq!((m.sent.traces, m.repaired), (traces, 0));
}

#[test]
fn the_last_of_repeated_keys_counts() {
    let mut arena = Arena::new();
    let body = payload([map(fields().into_iter().chain([
        e("service", s("last")),
        e("start", int(7)),
        e("error", nil()),
    ]))]);
    let payload = Payload::scan(&body, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap();
    let span = &payload.spans()[0];
    assert_eq!((payload.service(span), span.start_ns(), span.error()), (&b"last"[..], 7, 0));
}

/// For scripts/fuzz.sh.
#[test]
#[ignore = "writes files"]
fn writes_fuzz_seeds() {
    let dir = std::path::PathBuf::from(std::env::var("FUZZ_SEEDS").unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    for (i, (_, body)) in cases().into_iter().enumerate() {
        std::fs::write(dir.join(format!("accepted-{i}")), body).unwrap();
    }
}
