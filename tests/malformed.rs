//! What the agent would refuse, under each policy: FAIL names the place, DROP loses the chunk and no more,
//! REPAIR sends what is left. The repaired body is read by code that is not ours, and must be one that the
//! agent accepts.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::{Counts, DropReason};
use data_pipeline::trace::{Arena, ChunkState, Interest, OnMalformed, Payload, Scanner};
use data_pipeline::{ErrorKind, TraceExporter, format::v04};
use msgpack::*;
use rmpv::Value;
use support::{Listen, ScriptedAgent};

enum Left {
    /// The span that goes out instead.
    Span(Bytes),
    /// Nothing: the chunk is dropped.
    Nothing,
}

struct Case {
    name: &'static str,
    span: Bytes,
    /// What stands before the bad bytes, and these: together they occur once.
    before: Bytes,
    bad: Bytes,
    /// The place without trace and span, and the reason.
    says: [&'static str; 2],
    left: Left,
}

fn cases() -> Vec<Case> {
    use Left::*;
    let mut all = Vec::new();
    let mut add = |name, span, before: Bytes, bad: Bytes, place, why, left| {
        all.push(Case { name, span, before, bad, says: [place, why], left });
    };
    // A field of the span with a bad value.
    let field = |key: &str, v: &Bytes| span_with(key, v.clone());
    let without = |key: &str| Span(map(fields().into_iter().filter(|(k, _)| *k != s(key))));
    let metrics = |v: Option<Bytes>| {
        let mut all = vec![e("a", int(1)), e("b", f64_(2.0))];
        all.extend(v.map(|v| e("k", v)));
        span_with("metrics", map(all))
    };
    let meta = |v: Option<Bytes>| {
        let mut all = vec![e("a", s("1"))];
        all.extend(v.map(|v| e("k", v)));
        all.push(e("b", s("2")));
        span_with("meta", map(all))
    };
    const NUMBER: &str = "where a number belongs";
    const STRING: &str = "where a string belongs";
    const INTEGER: &str = "where an integer belongs";
    for (name, v, why, left) in [
        (
            "a float32 in metrics",
            f32_(0.25),
            "found a 32-bit float where a 64-bit float or an integer belongs",
            Some(f64_(0.25)),
        ),
        ("a float32 NaN in metrics", f32_(f32::NAN), "found a 32-bit float", Some(f64_(f64::NAN))),
        ("a bool in metrics", bool_(true), "found a boolean where a number belongs", None),
        ("a string in metrics", s("12"), "found a string where a number belongs", None),
        ("a map in metrics", map([e("x", int(1))]), NUMBER, None),
        ("an ext in metrics", ext(), "found an extension", None),
    ] {
        add(name, metrics(Some(v.clone())), s("k"), v, "metrics[\"k\"]", why, Span(metrics(left)));
    }
    for (name, v, why) in [
        ("an int in meta", int(5), "found an unsigned integer where a string belongs"),
        ("an ext in meta", ext(), "found an extension where a string belongs"),
        ("a float in meta", f64_(1.0), STRING),
        ("a list in meta", array([array([s("x")])]), STRING),
    ] {
        add(name, meta(Some(v.clone())), s("k"), v, "meta[\"k\"]", why, Span(meta(None)));
    }
    for (name, key, v, why, left) in [
        (
            "service int",
            "service",
            int(77),
            "found an unsigned integer where a string belongs",
            without("service"),
        ),
        ("type as a map", "type", map([]), STRING, without("type")),
        (
            "trace id as an integral float",
            "trace_id",
            f64_(12.0),
            "found a 64-bit float where an integer belongs",
            Span(field("trace_id", &int(12))),
        ),
        (
            "trace id as 2^63 in a float",
            "trace_id",
            f64_(9_223_372_036_854_775_808.0),
            INTEGER,
            Span(field("trace_id", &u64_(1 << 63))),
        ),
        ("trace id as a fraction", "trace_id", f64_(1.5), INTEGER, Nothing),
        ("trace id as a negative float", "trace_id", f64_(-1.0), INTEGER, Nothing),
        ("trace id as string", "trace_id", s("123"), "found a string where an integer belongs", Nothing),
        ("span id as 2^64 in a float", "span_id", f64_(18_446_744_073_709_551_616.0), INTEGER, Nothing),
        ("parent id as NaN", "parent_id", f64_(f64::NAN), INTEGER, Nothing),
        ("start above 2^63-1", "start", u64_(1 << 63), "the number is not at most 2^63-1", without("start")),
        (
            "start as an integral float",
            "start",
            f64_(1.7e18),
            INTEGER,
            Span(field("start", &int(1_700_000_000_000_000_000))),
        ),
        ("start as a fraction", "start", f64_(0.5), INTEGER, without("start")),
        ("start as infinity", "start", f64_(f64::INFINITY), INTEGER, without("start")),
        ("start as text", "start", s("now"), INTEGER, without("start")),
        (
            "duration 2^64-1",
            "duration",
            u64_(u64::MAX),
            "the number is not at most 2^63-1",
            without("duration"),
        ),
        (
            "duration as a negative float",
            "duration",
            f32_(-3.0),
            "found a 32-bit float",
            Span(field("duration", &int(-3))),
        ),
        (
            "error as bool",
            "error",
            bool_(true),
            "found a boolean where an integer belongs",
            Span(field("error", &int(1))),
        ),
        ("error as float", "error", f64_(1.0), INTEGER, Span(field("error", &int(1)))),
        ("error 2^31", "error", u64_(1 << 31), "the number is not within 32 bits", without("error")),
        ("error as 2^31 in a float", "error", f64_(2_147_483_648.0), INTEGER, without("error")),
        ("meta as a list", "meta", array([]), "found an array where a map belongs", without("meta")),
        ("metrics as a string", "metrics", s("m"), "found a string where a map belongs", without("metrics")),
        ("meta_struct nil", "meta_struct", nil(), "found nil where a map belongs", Span(good_span())),
        ("span_links nil", "span_links", nil(), "found nil where an array belongs", Span(good_span())),
        ("span_events nil", "span_events", nil(), "found nil where an array belongs", Span(good_span())),
        (
            "span_links as a map",
            "span_links",
            map([]),
            "found a map where an array belongs",
            Span(good_span()),
        ),
    ] {
        add(name, field(key, &v), s(key), v, key, why, left);
    }
    // Keys that are none.
    for (name, key, why) in [
        ("a span key that is int", int(5), "found an unsigned integer where a key belongs"),
        ("a span key that is nil", nil(), "found nil where a key belongs"),
        ("a span key that is a map", map([e("a", int(1))]), "found a map where a key belongs"),
    ] {
        let mut entries = fields();
        entries.insert(3, (key.clone(), s("the bad one")));
        add(name, map(entries), s("GET /cart"), key, "", why, Span(good_span()));
    }
    let bad_key =
        |key: &str, k: Bytes, v: Bytes| span_with(key, map([e("a", v.clone()), (k, v.clone()), e("b", v)]));
    for (name, key, v) in
        [("an int as meta key", "meta", s("v")), ("an int as metrics key", "metrics", int(1))]
    {
        let left = span_with(key, map([e("a", v.clone()), e("b", v.clone())]));
        add(
            name,
            bad_key(key, int(-77), v.clone()),
            [s("a"), v].concat(),
            int(-77),
            key,
            "found a signed integer where a key belongs",
            Span(left),
        );
    }
    // The parts that are rarer.
    let with = |key: &str, v: Bytes| span_with(key, v);
    let structs = |v: Option<Entry>| with("meta_struct", map([e("a", bin(b"1"))].into_iter().chain(v)));
    for (name, v) in [
        ("a meta_struct value that is a map", map([])),
        ("a meta_struct value that is a string", s("x")),
        ("a meta_struct value that is nil", nil()),
    ] {
        add(
            name,
            structs(Some(e("k", v.clone()))),
            s("k"),
            v,
            "meta_struct[\"k\"]",
            "where binary belongs",
            Span(structs(None)),
        );
    }
    let ids = || vec![e("trace_id", u64_(1)), e("span_id", u64_(2))];
    let link = |v: Option<Entry>| with("span_links", array([map(ids()), map(ids().into_iter().chain(v))]));
    for (name, key, v, why, left) in [
        ("link flags below 0", "flags", int(-1), "the number is not from 0 to 2^32-1", None),
        ("link flags above 2^32-1", "flags", u64_(1 << 32), "the number is not from 0 to 2^32-1", None),
        ("link flags nil", "flags", nil(), INTEGER, None),
        ("link flags as float", "flags", f64_(1.0), INTEGER, Some(int(1))),
        ("an upper link id below 0", "trace_id_high", int(-1), "the number is not 0 or more", None),
        ("a link's state as binary", "tracestate", bin(b"x"), "found binary where a string belongs", None),
        ("a link's state nil", "tracestate", nil(), STRING, None),
        ("link attributes nil", "attributes", nil(), "found nil where a map belongs", None),
        ("link attributes as a list", "attributes", array([]), "where a map belongs", None),
    ] {
        let span = link(Some(e(key, v.clone())));
        add(name, span, s(key), v, "span_links", why, Span(link(left.map(|v| e(key, v)))));
    }
    add(
        "a link trace id as bytes",
        with("span_links", array([map([e("span_id", u64_(2)), e("trace_id", bin(&[1; 16]))])])),
        s("trace_id"),
        bin(&[1; 16]),
        "span_links",
        "found binary where an integer belongs",
        Span(with("span_links", array([map([e("span_id", u64_(2))])]))),
    );
    let link_attribute =
        |bad: Option<Entry>| link(Some(e("attributes", map([e("fine", s("v"))].into_iter().chain(bad)))));
    add(
        "a link attribute that is not a string",
        link_attribute(Some(e("n", int(3)))),
        s("n"),
        int(3),
        "span_links",
        STRING,
        Span(link_attribute(None)),
    );
    add(
        "a link attribute key that is binary",
        link_attribute(Some((bin(b"n"), s("v")))),
        s("v"),
        bin(b"n"),
        "span_links",
        "found binary where a string belongs",
        Span(link_attribute(None)),
    );
    add(
        "a link that is no map",
        with("span_links", array([map(ids()), int(7)])),
        [s("span_id"), u64_(2)].concat(),
        int(7),
        "span_links",
        "where a map belongs",
        Span(good_span()),
    );
    add(
        "a link key that is nil",
        link(Some((nil(), s("v")))),
        u64_(2),
        nil(),
        "span_links",
        "found nil where a key belongs",
        Span(link(None)),
    );
    let event = |entries: Vec<Entry>| {
        with("span_events", array([map([e("name", s("ev"))].into_iter().chain(entries))]))
    };
    for (name, v, why, left) in [
        (
            "an event time as an integral float",
            f64_(1.7e18),
            INTEGER,
            vec![e("time_unix_nano", int(1_700_000_000_000_000_000))],
        ),
        ("an event time as a fraction", f64_(0.5), INTEGER, vec![]),
        ("an event time below 0", int(-4), "the number is not 0 or more", vec![]),
        ("an event time nil", nil(), INTEGER, vec![]),
    ] {
        add(
            name,
            event(vec![e("time_unix_nano", v.clone())]),
            s("time_unix_nano"),
            v,
            "span_events",
            why,
            Span(event(left)),
        );
    }
    add(
        "an event name that is int",
        event(vec![e("name", int(9))]),
        s("name"),
        int(9),
        "span_events",
        STRING,
        Span(event(vec![])),
    );
    let attribute = |bad: Option<Bytes>| {
        let good = e("fine", map([e("type", int(0)), e("string_value", s("v"))]));
        event(vec![e("attributes", map([good].into_iter().chain(bad.map(|v| e("bad", v)))))])
    };
    let typed = |t: i64, key: &str, v: Bytes| map([e("type", int(t)), e(key, v)]);
    for (name, value, before, bad, why) in [
        (
            "an array_value that is a list",
            typed(4, "array_value", array([])),
            s("array_value"),
            array([]),
            "where a map with values belongs",
        ),
        ("an attribute that is a string", s("plain"), s("bad"), s("plain"), "where a map belongs"),
        ("a string_value nil", typed(0, "string_value", nil()), s("string_value"), nil(), STRING),
        ("a string_value binary", typed(0, "string_value", bin(b"b")), s("string_value"), bin(b"b"), STRING),
        (
            "a bool_value that is int",
            typed(1, "bool_value", int(1)),
            s("bool_value"),
            int(1),
            "where a boolean belongs",
        ),
        (
            "an int_value that is a float",
            typed(2, "int_value", f64_(1.0)),
            s("int_value"),
            f64_(1.0),
            INTEGER,
        ),
        (
            "an int_value above 2^63-1",
            typed(2, "int_value", u64_(1 << 63)),
            s("int_value"),
            u64_(1 << 63),
            "at most 2^63-1",
        ),
        (
            "a double_value that is int",
            typed(3, "double_value", int(1)),
            s("double_value"),
            int(1),
            "where a float belongs",
        ),
        ("a type that is a string", map([e("type", s("0"))]), s("type"), s("0"), INTEGER),
        (
            "a type beyond 32 bits",
            map([e("type", u64_(1 << 40))]),
            s("type"),
            u64_(1 << 40),
            "within 32 bits",
        ),
        (
            "a bad element of an array",
            typed(4, "array_value", map([e("values", array([typed(2, "int_value", s("x"))]))])),
            s("int_value"),
            s("x"),
            INTEGER,
        ),
        (
            "a bad element of an array in an array",
            typed(
                4,
                "array_value",
                map([e("values", array([typed(4, "array_value", map([e("values", array([s("deep")]))]))]))]),
            ),
            s("values"),
            [&[0x91][..], &s("deep")].concat(),
            "where a map belongs",
        ),
    ] {
        let at = if name.ends_with("in an array") { [before, vec![0x91]].concat() } else { before };
        let bad = if name.ends_with("in an array") { s("deep") } else { bad };
        add(name, attribute(Some(value)), at, bad, "span_events", why, Span(attribute(None)));
    }
    add(
        "event attributes nil",
        event(vec![e("attributes", nil())]),
        s("attributes"),
        nil(),
        "span_events",
        "found nil where a map belongs",
        Span(event(vec![])),
    );
    add(
        "an event that is no map",
        with("span_events", array([s("ev")])),
        [s("span_events"), vec![0x91]].concat(),
        s("ev"),
        "span_events",
        "where a map belongs",
        Span(good_span()),
    );
    // A span that is none.
    add(
        "a span that is a list",
        array([int(1)]),
        vec![],
        array([int(1)]),
        "",
        "found an array where a span (a map) belongs",
        Nothing,
    );
    add(
        "a span that is a string",
        s("not a span at all"),
        vec![],
        s("not a span at all"),
        "",
        "found a string where a span (a map) belongs",
        Nothing,
    );
    all
}

/// Three chunks; the second span of the second one is the bad one.
fn around(span: &[u8]) -> Bytes {
    let others = |n| array([span_with("span_id", int(n)), span_with("resource", s("another"))]);
    array([others(1), array([good_span(), span.to_vec()]), others(3)])
}

fn expected(left: &Left) -> Value {
    let others = |n| array([span_with("span_id", int(n)), span_with("resource", s("another"))]);
    decode(&match left {
        Left::Span(span) => array([others(1), array([good_span(), span.clone()]), others(3)]),
        Left::Nothing => array([others(1), others(3)]),
    })
}

/// NaN is not equal to itself, so values are compared as text.
fn shown(v: &Value) -> String {
    format!("{v:?}")
}

fn find(haystack: &[u8], needle: &[u8]) -> Vec<usize> {
    (0..haystack.len()).filter(|i| haystack[*i..].starts_with(needle)).collect()
}

#[test]
fn the_test_s_own_reader_refuses_each_case() {
    for case in cases() {
        assert!(agent_accepts(&around(&case.span)).is_err(), "{}", case.name);
        if let Left::Span(left) = &case.left {
            assert_eq!(agent_accepts(&around(left)), Ok(()), "{}", case.name);
        }
    }
}

#[test]
fn fail_names_trace_span_key_and_offset() {
    let mut arena = Arena::new();
    for case in cases() {
        let body = around(&case.span);
        let error = Payload::scan(&body, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap_err();
        let needle = [&case.before[..], &case.bad].concat();
        let places = find(&body, &needle);
        let offset =
            places.last().unwrap_or_else(|| panic!("{}: not in the body", case.name)) + case.before.len();
        let [key, why] = case.says;
        let comma = if key.is_empty() { "" } else { ", " };
        let place = format!("trace 1, span 1, {key}{comma}");
        assert_eq!(error.kind(), ErrorKind::MalformedPayload, "{}: {error}", case.name);
        assert!(error.message().starts_with(&place), "{}: {error}", case.name);
        assert!(
            error.message().contains(&format!("offset {offset}: ")),
            "{}: {error}, not {offset}",
            case.name
        );
        assert!(error.message().contains(why), "{}: {error}", case.name);
    }
}

#[test]
fn drop_loses_the_chunk_and_counts_it() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for case in cases() {
        let exporter =
            TraceExporter::builder().url(&agent.url).on_malformed(OnMalformed::Drop).build().unwrap();
        let body = around(&case.span);
        let response = exporter.send(&body).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!((response.traces, response.spans), (2, 4), "{}", case.name);
        let got = agent.requests().pop().unwrap();
        assert_eq!(shown(&decode(&got.body)), shown(&expected(&Left::Nothing)), "{}", case.name);
        assert_eq!(got.header("x-datadog-trace-count"), Some("2"), "{}", case.name);
        let m = exporter.metrics();
        let lost = m.dropped_for(DropReason::Malformed);
        assert_eq!((lost.traces, lost.spans, m.repaired), (1, 2, 0), "{}", case.name);
        assert_eq!(
            (m.received.traces, m.received.spans, m.received.bytes),
            (3, 6, body.len() as u64),
            "{}",
            case.name
        );
        assert_eq!(m.received, m.accounted_for(), "{}", case.name);
    }
}

#[test]
fn repair_sends_what_is_left_and_the_agent_accepts_it() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for case in cases() {
        let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
        let body = around(&case.span);
        let response = exporter.send(&body).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let got = agent.requests().pop().unwrap().body;
        assert_eq!(agent_accepts(&got), Ok(()), "{}", case.name);
        assert_eq!(shown(&decode(&got)), shown(&expected(&case.left)), "{}", case.name);
        let m = exporter.metrics();
        let dropped = m.dropped_for(DropReason::Malformed);
        match case.left {
            Left::Span(_) => {
                assert_eq!((response.traces, m.repaired, dropped.traces), (3, 1, 0), "{}", case.name)
            }
            Left::Nothing => {
                assert_eq!((response.traces, m.repaired, dropped.traces), (2, 0, 1), "{}", case.name)
            }
        }
        assert_eq!(m.received, m.accounted_for(), "{}", case.name);
    }
}

#[test]
fn every_pair_of_faults_in_one_span_is_repaired() {
    // Two bad things in one payload: edits must not disturb each other.
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
    let cases: Vec<Case> = cases().into_iter().filter(|c| matches!(c.left, Left::Span(_))).collect();
    for a in &cases {
        for b in cases.iter().rev().step_by(3) {
            let left = |c: &Case| match &c.left {
                Left::Span(span) => span.clone(),
                Left::Nothing => vec![],
            };
            exporter.send(&array([array([a.span.clone(), b.span.clone(), a.span.clone()])])).unwrap();
            let got = agent.requests().pop().unwrap().body;
            let want = array([array([left(a), left(b), left(a)])]);
            assert_eq!(shown(&decode(&got)), shown(&decode(&want)), "{} and {}", a.name, b.name);
        }
    }
}

#[test]
fn a_span_full_of_faults_is_repaired_entry_by_entry() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).compute_top_level(true).build().unwrap();
    let bad = map([
        e("service", s("shop")),
        (int(1), int(2)),
        e("start", f64_(5.0)),
        e("meta", map([e("a", int(1)), e("b", s("kept")), e("c", bool_(false)), (int(3), s("x"))])),
        e("metrics", map([e("x", f32_(1.5)), e("y", s("no")), e("z", int(3))])),
        e(
            "span_links",
            array([map([
                e("flags", int(-1)),
                e("attributes", map([e("n", int(1)), e("t", s("v"))])),
                e("tracestate", nil()),
            ])]),
        ),
        e("resource", int(4)),
    ]);
    let want = |top: bool| {
        let mut metrics = vec![e("x", f64_(1.5)), e("z", int(3))];
        if top {
            metrics.insert(0, e("_top_level", int(1)));
        }
        map([
            e("service", s("shop")),
            e("start", int(5)),
            e("meta", map([e("b", s("kept"))])),
            e("metrics", map(metrics)),
            e("span_links", array([map([e("attributes", map([e("t", s("v"))]))])])),
        ])
    };
    exporter.send(&array([array([bad])])).unwrap();
    let got = agent.requests().pop().unwrap().body;
    assert_eq!(shown(&decode(&got)), shown(&decode(&array([array([want(true)])]))));
    assert_eq!(exporter.metrics().repaired, 11);
}

#[test]
fn a_map_that_is_left_out_does_not_hide_the_one_before_it() {
    // metrics twice, the second one no map: the mark belongs into the first.
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder()
        .url(&agent.url)
        .compute_top_level(true)
        .reject_tag("env:prod")
        .build()
        .unwrap();
    let twice = |meta: Bytes, env: &str| {
        map([
            e("name", s("op")),
            e("start", int(5)),
            e("metrics", map([e("m", int(1))])),
            e("meta", map([e("env", s(env))])),
            e("metrics", s("bad")),
            e("meta", meta),
            e("start", s("bad")),
        ])
    };
    exporter.send(&payload([twice(int(5), "dev")])).unwrap();
    let got = agent.requests().pop().unwrap().body;
    let want = payload([map([
        e("name", s("op")),
        e("start", int(5)),
        e("metrics", map([e("_top_level", int(1)), e("m", int(1))])),
        e("meta", map([e("env", s("dev"))])),
    ])]);
    assert_eq!(shown(&decode(&got)), shown(&decode(&want)));
    // And a filter still sees the tags of the first.
    assert_eq!(exporter.send(&payload([twice(int(5), "prod")])).unwrap().traces, 0);
    assert_eq!(exporter.metrics().filtered.traces, 1);
}

#[test]
fn a_nil_map_after_a_full_one_empties_it() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).compute_top_level(true).build().unwrap();
    let span = map([e("metrics", map([e("_top_level", int(1))])), e("metrics", nil())]);
    exporter.send(&payload([span])).unwrap();
    let want =
        map([e("metrics", map([e("_top_level", int(1))])), e("metrics", map([e("_top_level", int(1))]))]);
    assert_eq!(shown(&decode(&agent.requests().pop().unwrap().body)), shown(&decode(&payload([want]))));
}

#[test]
fn a_mark_that_a_repair_leaves_out_does_not_hide_the_one_that_stays() {
    // `_top_level` twice, the second one no number; and once as a float of 32 bits that is not 1.
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).compute_top_level(true).build().unwrap();
    for (metrics, want) in [
        (vec![e("_top_level", int(1)), e("_top_level", s("x"))], vec![e("_top_level", int(1))]),
        (vec![e("_top_level", int(0)), e("_top_level", s("x"))], vec![e("_top_level", int(1))]),
        (vec![e("_top_level", f32_(0.5)), e("a", int(2))], vec![e("_top_level", int(1)), e("a", int(2))]),
        (vec![e("_top_level", s("x"))], vec![e("_top_level", int(1))]),
    ] {
        exporter.send(&payload([span_with("metrics", map(metrics))])).unwrap();
        let got = agent.requests().pop().unwrap().body;
        assert_eq!(shown(&decode(&got)), shown(&decode(&payload([span_with("metrics", map(want))]))));
    }
}

#[test]
fn a_mark_finds_its_place_in_an_empty_map_at_the_end_of_a_repaired_span() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).compute_top_level(true).build().unwrap();
    for last in [map([]), nil(), vec![0xde, 0, 0]] {
        let span = |service: Bytes, metrics: Bytes| {
            map([e("name", s("op")), e("service", service), e("metrics", metrics)])
        };
        let bad = span(int(5), last);
        exporter.send(&payload([bad.clone(), bad.clone(), good_span(), bad])).unwrap();
        let mended = map([e("name", s("op")), e("metrics", map([e("_top_level", int(1))]))]);
        let marks = [e("_top_level", int(1)), e("_sampling_priority_v1", int(1)), e("m", f64_(0.5))];
        let good = span_with("metrics", map(marks));
        let want = payload([mended.clone(), mended.clone(), good, mended]);
        assert_eq!(shown(&decode(&agent.requests().pop().unwrap().body)), shown(&decode(&want)));
    }
}

#[test]
fn a_filter_reads_past_keys_that_are_left_out() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).require_tag("env:prod").build().unwrap();
    for meta in [
        map([(int(1), s("x")), e("env", s("prod"))]),
        map([e("env", s("prod")), (array([]), s("x"))]),
        map([e("x", int(1)), e("env", s("prod"))]),
        map([e("env", s("prod")), e("env", int(1))]),
    ] {
        assert_eq!(
            exporter.send(&payload([span_with("meta", meta.clone())])).unwrap().traces,
            1,
            "{meta:x?}"
        );
    }
}

#[test]
fn repairs_of_a_chunk_that_is_lost_all_the_same_are_not_counted() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
    let lost = array([span_with("error", bool_(true)), span_with("trace_id", s("x"))]);
    exporter.send(&array([lost, array([span_with("error", bool_(true))])])).unwrap();
    let m = exporter.metrics();
    assert_eq!((m.repaired, m.dropped_for(DropReason::Malformed).traces, m.sent.traces), (1, 1, 1));
}

#[test]
fn the_byte_that_msgpack_never_uses_is_malformed_not_truncated() {
    let body = around(&span_with("metrics", map([e("k", vec![0xc1]), e("l", int(1))])));
    let mut arena = Arena::new();
    for policy in [OnMalformed::Fail, OnMalformed::Repair] {
        let at = find(&body, &[s("k"), vec![0xc1]].concat())[0] + 2;
        let says = match Payload::scan(&body, &mut arena, &Interest::none(), policy) {
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::MalformedPayload);
                e.message().to_owned()
            }
            Ok(payload) => {
                let states: Vec<_> = payload.chunks().iter().map(|c| c.state()).collect();
                // Where the value ends nobody knows, so neither where the next chunk begins.
                assert_eq!(states, [ChunkState::Kept, ChunkState::Malformed, ChunkState::Malformed]);
                assert_eq!(payload.repairs().0, 0);
                payload.repairs().1.unwrap().to_owned()
            }
        };
        assert_eq!(
            says,
            format!(
                "trace 1, span 1, metrics[\"k\"], offset {at}: found the byte c1, which msgpack never uses where a number belongs"
            )
        );
    }
}

#[test]
fn what_is_no_payload_is_refused_whole() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for policy in [OnMalformed::Fail, OnMalformed::Drop, OnMalformed::Repair] {
        let exporter = TraceExporter::builder().url(&agent.url).on_malformed(policy).build().unwrap();
        let cases: [(&[u8], ErrorKind, &str); 8] = [
            (&[0xc0], ErrorKind::MalformedPayload, "offset 0: found nil where an array of traces belongs"),
            (&[0x80], ErrorKind::MalformedPayload, "offset 0: found a map where an array of traces belongs"),
            (&[0x05], ErrorKind::MalformedPayload, "found an unsigned integer"),
            (b"<html>", ErrorKind::MalformedPayload, "found an unsigned integer"),
            (&[], ErrorKind::TruncatedPayload, "offset 0: the payload ends (0 bytes)"),
            (
                &[0xdd, 0xff, 0xff, 0xff, 0xff],
                ErrorKind::TruncatedPayload,
                "offset 0: the payload ends (5 bytes)",
            ),
            (&[0xdd, 0xff, 0xff], ErrorKind::TruncatedPayload, "offset 0: the payload ends (3 bytes)"),
            (
                &[0x91, 0xc0],
                ErrorKind::MalformedPayload,
                "trace 0, offset 1: found nil where an array of spans belongs",
            ),
        ];
        for (body, kind, says) in cases {
            let error = exporter.send(body).unwrap_err();
            assert_eq!(error.kind(), kind, "{body:x?}");
            assert!(error.message().contains(says), "{error}");
        }
        assert_eq!(exporter.metrics().received, exporter.metrics().accounted_for());
        exporter.send(&around(&good_span())).unwrap();
    }
    assert_eq!(agent.requests().len(), 3);
}

#[test]
fn chunks_before_a_truncation_are_sent() {
    let chunks =
        [array([good_span()]), array([good_span(), span_with("span_id", int(7))]), array([good_span()])];
    let whole = array(chunks.clone());
    let ends: Vec<usize> = (0..=3).map(|n| 1 + chunks[..n].concat().len()).collect();
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for cut in 1..whole.len() {
        let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
        let complete = ends.iter().filter(|end| **end <= cut).count() - 1;
        let before = agent.requests().len();
        match exporter.send(&whole[..cut]) {
            // No chunk is whole, or the rest is too short for the number of chunks declared.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TruncatedPayload, "{cut}: {error}");
                assert!(error.message().contains("offset "), "{cut}: {error}");
                assert_eq!(complete, 0, "{cut}");
                assert_eq!(agent.requests().len(), before);
            }
            Ok(response) => {
                assert_eq!(response.traces, complete as u64, "{cut}");
                let got = agent.requests().pop().unwrap().body;
                assert_eq!(decode(&got), decode(&array(chunks[..complete].to_vec())), "{cut}");
            }
        }
        let m = exporter.metrics();
        assert_eq!(m.received, m.accounted_for(), "{cut}");
        assert_eq!(m.received.bytes, cut as u64, "{cut}");
        assert_eq!(m.sent.traces, complete as u64, "{cut}");
    }
}

#[test]
fn a_real_payload_cut_at_any_byte_fails_with_its_place_or_is_repaired() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let mut arena = Arena::new();
    let mut encoder = v04::Encoder::default();
    for file in ["go/006", "python/005", "java/015", "node/002"] {
        let bytes = std::fs::read(dir.join(format!("{file}.msgpack"))).unwrap();
        for cut in 0..bytes.len() {
            let part = &bytes[..cut];
            let error = Payload::scan(part, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TruncatedPayload, "{file} cut at {cut}: {error}");
            assert!(error.message().contains(&format!("({cut} bytes)")), "{file}: {error}");
            let Ok(mut payload) = Payload::scan(part, &mut arena, &Interest::none(), OnMalformed::Repair)
            else {
                continue;
            };
            let kept = payload.chunks().iter().filter(|c| c.state() == ChunkState::Kept).count();
            encoder.begin();
            encoder.add(&mut payload);
            if cut % 97 == 0 {
                assert_eq!(agent_accepts(encoder.finish()), Ok(()), "{file} cut at {cut}");
                assert_eq!(decode(encoder.finish()).as_array().unwrap().len(), kept);
            }
        }
    }
}

/// Bodies that declare more than they hold, at every level.
fn hostile() -> Vec<Bytes> {
    let heads: [&[u8]; 8] = [
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, 1],
        &[0xdd, 0x7f, 0xff, 0xff, 0xff],
        &[0xdc, 0xff, 0xff],
        &[0xde, 0xff, 0xff],
    ];
    let mut all = Vec::new();
    for head in heads {
        all.push(head.to_vec());
        all.push([&[0x91][..], head].concat());
        all.push([&[0x91, 0x91][..], head].concat());
        all.push([&[0x91, 0x91, 0x81][..], head].concat());
        for key in [
            "service",
            "trace_id",
            "start",
            "error",
            "meta",
            "metrics",
            "meta_struct",
            "span_links",
            "span_events",
            "other",
        ] {
            all.push([&[0x91, 0x91, 0x81][..], &s(key), head].concat());
            for inner in [
                &[0x81][..],
                &[0x81, 0xa1, b'k'],
                &[0x91, 0x81],
                &[0x91, 0x81, 0xaa, b'a', b't', b't', b'r', b'i', b'b', b'u', b't', b'e', b's'],
                &[0x91],
            ] {
                all.push([&[0x91, 0x91, 0x81][..], &s(key), inner, head].concat());
                // With something behind it, so that small sizes could be believed.
                all.push([&[0x91, 0x91, 0x81][..], &s(key), inner, head, &[0x01; 300]].concat());
            }
        }
    }
    all
}

#[test]
fn hostile_sizes_are_refused_under_every_policy_and_the_next_payload_is_served() {
    let mut arena = Arena::new();
    for body in hostile() {
        for policy in [OnMalformed::Fail, OnMalformed::Drop, OnMalformed::Repair] {
            if let Ok(payload) = Payload::scan(&body, &mut arena, &Interest::none(), policy) {
                assert!(policy != OnMalformed::Fail || agent_accepts(&body).is_ok(), "{body:x?}");
                assert!(payload.spans().len() <= body.len());
            }
            let good = around(&good_span());
            Payload::scan(&good, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap();
        }
    }
}

#[test]
fn nesting_costs_no_stack() {
    let deep = |head: &[u8], n: usize| [head.repeat(n), vec![0xc0]].concat();
    let mut arena = Arena::new();
    for (name, value) in [
        ("lists", deep(&[0x91], 1 << 20)),
        ("maps", deep(&[0x81, 0xa1, b'k'], 1 << 20)),
        ("maps as keys", deep(&[0x81], 1 << 20)),
    ] {
        for key in ["other", "service", "meta", "metrics", "meta_struct", "span_links", "span_events"] {
            let body = payload([span_with(key, value.clone())]);
            for policy in [OnMalformed::Fail, OnMalformed::Repair] {
                let _ = Payload::scan(&body, &mut arena, &Interest::none(), policy).map(|p| p.spans().len());
            }
            let _ = name;
        }
    }
    // The attribute arrays that the agent takes 64 deep.
    let nested = |depth: usize| {
        let mut v = map([e("type", int(2)), e("int_value", int(7))]);
        for _ in 0..depth {
            v = map([e("type", int(4)), e("array_value", map([e("values", array([v]))]))]);
        }
        let event = map([e("name", s("ev")), e("attributes", map([e("k", v)]))]);
        payload([span_with("span_events", array([event]))])
    };
    for (depth, good) in [(1, true), (64, true), (65, false), (3_000, false)] {
        let body = nested(depth);
        // The test's own reader is recursive.
        assert!(depth > 100 || agent_accepts(&body).is_ok() == good, "{depth}");
        let scan = Payload::scan(&body, &mut arena, &Interest::none(), OnMalformed::Fail);
        assert_eq!(scan.is_ok(), good, "{depth}: {:?}", scan.err());
    }
}

/// Repairs in a payload of some megabytes take time in proportion: an entry must not cost a look at the
/// others.
#[test]
fn a_payload_full_of_faults_is_repaired_in_linear_time() {
    let bodies = [
        ("one map", payload([span_with("metrics", map((0..400_000).map(|_| e("k", bool_(true)))))])),
        (
            "a map a span",
            payload((0..60_000).map(|_| span_with("metrics", map([e("k", f32_(1.0)), e("l", bool_(true))])))),
        ),
        ("alternating", {
            let pair = || [e("name", int(5)), e("attributes", map([e("k", int(1))]))];
            payload([span_with("span_events", array([map((0..50_000).flat_map(|_| pair()))]))])
        }),
    ];
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).compute_top_level(true).build().unwrap();
    for (name, body) in bodies {
        let started = std::time::Instant::now();
        exporter.send(&body).unwrap();
        let took = started.elapsed();
        assert!(took < support::patient(std::time::Duration::from_secs(4)), "{name}: {took:?}");
        assert_eq!(agent_accepts(&agent.requests().pop().unwrap().body), Ok(()), "{name}");
    }
}

#[test]
fn batches_make_no_difference() {
    let mut chunks = Vec::new();
    for (i, case) in cases().into_iter().enumerate() {
        chunks.push(array((0..i % 7).map(|_| good_span()).chain([case.span])));
    }
    let body = array(chunks);
    for policy in [OnMalformed::Drop, OnMalformed::Repair] {
        let bodies: Vec<Bytes> = [1, 2, 5, 256, usize::MAX]
            .into_iter()
            .map(|limit| {
                let mut arena = Arena::new();
                let mut encoder = v04::Encoder::default();
                encoder.begin();
                let mut scanner = Scanner::new(&body, policy).unwrap();
                while !scanner.is_done() {
                    scanner.fill(&mut arena, &Interest::none(), limit).unwrap();
                    encoder.add(&mut scanner.payload(&mut arena));
                }
                encoder.finish().to_vec()
            })
            .collect();
        assert!(bodies.windows(2).all(|w| w[0] == w[1]));
        assert_eq!(agent_accepts(&bodies[0]), Ok(()));
    }
}

#[test]
fn nothing_is_sent_when_nothing_is_left() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for policy in [OnMalformed::Drop, OnMalformed::Repair] {
        let exporter = TraceExporter::builder().url(&agent.url).on_malformed(policy).build().unwrap();
        let body = payload([span_with("trace_id", s("x"))]);
        let error = exporter.send(&body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MalformedPayload);
        assert!(error.message().starts_with("trace 0, span 0, trace_id, offset "), "{error}");
        let m = exporter.metrics();
        assert_eq!(
            m.dropped_for(DropReason::Malformed),
            Counts { traces: 1, spans: m.received.spans, bytes: body.len() as u64 }
        );
        assert_eq!(m.received, m.accounted_for());
    }
    assert_eq!(agent.requests().len(), 0);
}

/// For scripts/fuzz.sh.
#[test]
#[ignore = "writes files"]
fn writes_fuzz_seeds() {
    let dir = std::path::PathBuf::from(std::env::var("FUZZ_SEEDS").unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    for (i, case) in cases().into_iter().enumerate() {
        std::fs::write(dir.join(format!("malformed-{i}")), payload([case.span])).unwrap();
    }
}
