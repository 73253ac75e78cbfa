//! v0.4, v0.5 and v1 out, read back by independent decoders and compared with what the input says.

#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod agent;
mod support {
    #[path = "msgpack.rs"]
    pub mod msgpack;
    #[path = "wire.rs"]
    pub mod wire;
}

use agent::{Listen, ScriptedAgent};
use data_pipeline::TraceExporter;
use data_pipeline::format::{Lost, from_v1, from_v05, v1, v04, v05};
use data_pipeline::settings::{Metadata, OutputFormat};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload, Scanner};
use std::collections::BTreeMap;
use support::msgpack::*;
use support::wire::{self, Attribute, Chunks, Event, Link, Span, V1, V1Chunk, V1Span};

/// The encoders of one test, used for many payloads.
#[derive(Default)]
struct Encoders {
    arena: Arena,
    v04: v04::Encoder,
    v05: v05::Encoder,
    v1: v1::Encoder,
}

impl Encoders {
    /// All three bodies of a payload, worked through in batches of `limit` spans.
    fn encode(&mut self, bytes: &[u8], limit: usize) -> [Vec<u8>; 3] {
        self.v04.begin();
        self.v05.begin();
        self.v1.begin();
        let interest = Interest::none();
        let mut scanner = Scanner::new(bytes, OnMalformed::Fail).unwrap();
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &interest, limit).unwrap_or_else(|e| panic!("{e}"));
            let mut payload = scanner.payload(&mut self.arena);
            self.v05.add(&payload);
            self.v1.add(&payload);
            self.v04.add(&mut payload);
        }
        [
            self.v04.finish().to_vec(),
            self.v05.finish().to_vec(),
            self.v1.finish(bytes, &Metadata::default()).to_vec(),
        ]
    }
}

/// What v0.5 makes of a span: links and events as JSON in meta, unless the tracer has put them there itself.
fn as_v05(span: &Span) -> (Span, BTreeMap<&'static str, serde_json::Value>) {
    let mut out = Span { links: vec![], events: vec![], meta_struct: BTreeMap::new(), ..span.clone() };
    let mut json = BTreeMap::new();
    if !span.links.is_empty() && !span.meta.contains_key("_dd.span_links") {
        json.insert("_dd.span_links", span.links.iter().map(link_json).collect());
    }
    if !span.events.is_empty() && !span.meta.contains_key("events") {
        json.insert("events", span.events.iter().map(event_json).collect());
    }
    out.meta.retain(|k, _| !json.contains_key(k.as_str()));
    (out, json)
}

fn link_json(link: &Link) -> serde_json::Value {
    let mut out = serde_json::Map::new();
    out.insert("trace_id".into(), format!("{:032x}", link.trace_id).into());
    out.insert("span_id".into(), format!("{:016x}", link.span_id).into());
    if !link.state.is_empty() {
        out.insert("tracestate".into(), link.state.clone().into());
    }
    if !link.attributes.is_empty() {
        let all = link.attributes.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        out.insert("attributes".into(), serde_json::Value::Object(all));
    }
    if link.flags != 0 {
        out.insert("flags".into(), (link.flags & 0x7fff_ffff).into());
    }
    out.into()
}

fn event_json(event: &Event) -> serde_json::Value {
    let attributes: serde_json::Map<_, _> =
        event.attributes.iter().map(|(k, v)| (k.clone(), attribute_json(v))).collect();
    serde_json::json!({"time_unix_nano": event.time, "name": event.name, "attributes": attributes})
}

fn attribute_json(a: &Attribute) -> serde_json::Value {
    match a {
        Attribute::Text(t) => t.clone().into(),
        Attribute::Bool(b) => (*b).into(),
        Attribute::Int(i) => (*i).into(),
        Attribute::Double(bits) => f64::from_bits(*bits).into(),
        Attribute::Array(all) => all.iter().map(attribute_json).collect(),
    }
}

/// What v1 makes of a payload: the promotion of the agent's own conversion of v0.4.
fn as_v1(chunks: &Chunks) -> V1 {
    let mut out = V1::default();
    let mut put = |key: u64, text: &str| {
        if !text.is_empty() {
            out.fields.insert(key, text.to_owned());
        }
    };
    let mut attributes = BTreeMap::new();
    for chunk in chunks {
        let last = |key: &str| chunk.iter().flatten().filter_map(|s| s.meta.get(key)).next_back();
        put(7, last("env").map_or("", String::as_str));
        put(8, last("_dd.hostname").map_or("", String::as_str));
        put(9, last("version").map_or("", String::as_str));
        for key in ["_dd.apm_mode", "_dd.git.commit.sha"] {
            if let Some(text) = last(key).filter(|t| !t.is_empty()) {
                attributes.insert(key.to_owned(), text.clone());
            }
        }
    }
    out.attributes = attributes;
    out.chunks = chunks.iter().map(|c| chunk_as_v1(c)).collect();
    out
}

fn chunk_as_v1(chunk: &[Option<Span>]) -> V1Chunk {
    let mut out = V1Chunk::default();
    let (mut high, mut low) = (0u64, 0);
    let (mut priority, mut root) = (-128i64, None);
    for span in chunk.iter().flatten() {
        low = span.trace_id;
        let plain = |t: &&String| !t.starts_with('+');
        if let Some(h) =
            span.meta.get("_dd.p.tid").filter(plain).and_then(|t| u64::from_str_radix(t, 16).ok())
        {
            high = h;
        }
        if let Some(origin) = span.meta.get("_dd.origin") {
            out.origin.clone_from(origin);
        }
        if let Some(dm) = span.meta.get("_dd.p.dm") {
            let digits = dm.strip_prefix('-').unwrap_or(dm);
            if let Ok(n) = digits.parse::<u32>()
                && !digits.starts_with('+')
            {
                out.mechanism = n.into();
            }
        }
        if let Some(p) = span.metrics.get("_sampling_priority_v1") {
            priority = i64::from(f64::from_bits(*p) as i32);
        }
        if span.parent_id == 0 && priority != -128 {
            root = Some(priority);
        } else if let Some(root) = root {
            priority = root;
        }
        let text = |key: &str| span.meta.get(key).cloned().unwrap_or_default();
        out.spans.push(V1Span {
            span: Span {
                trace_id: 0,
                start: span.start.max(0),
                duration: span.duration.max(0),
                error: i32::from(span.error != 0),
                ..span.clone()
            },
            env: text("env"),
            version: text("version"),
            component: text("component"),
            span_kind: match text("span.kind").as_str() {
                "server" => 2,
                "client" => 3,
                "producer" => 4,
                "consumer" => 5,
                _ => 1,
            },
        });
    }
    // A chunk without one says so: without the key the agent would take it for 0.
    out.priority = Some(priority);
    out.trace_id = u128::from(high) << 64 | u128::from(low);
    out
}

/// Checks all three bodies of one payload.
fn check(encoders: &mut Encoders, name: &str, bytes: &[u8]) {
    let chunks = wire::v04(bytes);
    for limit in [256, 1] {
        let [four, five, one] = encoders.encode(bytes, limit);
        assert_eq!(wire::v04(&four), chunks, "{name}: v0.4");
        assert_eq!(agent_accepts(&four), Ok(()), "{name}: v0.4");
        check_v05(name, &five, &chunks);
        check_v1(name, &one, as_v1(&chunks));
        let checked = from_v05::check(&five).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut decoder = from_v05::Decoder::default();
        for _ in 0..2 {
            let back = decoder.to_v04(&five, OnMalformed::Fail).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((back.chunks, back.spans), (checked.chunks, checked.spans), "{name}");
            assert_eq!(agent_accepts(back.v04), Ok(()), "{name}: v0.5 to v0.4");
            let got: Vec<Vec<_>> = wire::v04(back.v04)
                .into_iter()
                .map(|c| c.into_iter().map(Option::unwrap).collect())
                .collect();
            assert_eq!(got, wire::v05(&five).1, "{name}: v0.5 to v0.4");
        }
        let mut decoder = from_v1::Decoder::default();
        for _ in 0..2 {
            let back = decoder.to_v04(&one, OnMalformed::Fail).unwrap_or_else(|e| panic!("{name}: {e}"));
            let want = back_from_v1(&chunks);
            let spans: usize = want.iter().map(Vec::len).sum();
            assert_eq!((back.chunks as usize, back.spans as usize), (want.len(), spans), "{name}");
            assert_eq!(agent_accepts(back.v04), Ok(()), "{name}: v1 to v0.4");
            assert_eq!(wire::v04(back.v04), want, "{name}: v1 to v0.4");
        }
    }
}

/// What comes back of a v0.4 payload that was v1 in between: the documented differences and no other.
fn back_from_v1(chunks: &Chunks) -> Chunks {
    let as_v1 = as_v1(chunks);
    let mut out = Vec::new();
    for (chunk, v1) in chunks.iter().zip(&as_v1.chunks) {
        let has = |key: &str| chunk.iter().flatten().any(|s| s.meta.contains_key(key));
        let mut spans: Vec<Option<Span>> = Vec::new();
        for span in chunk.iter().flatten() {
            let mut span = Span {
                trace_id: v1.trace_id as u64,
                start: span.start.max(0),
                duration: span.duration.max(0),
                error: i32::from(span.error != 0),
                ..span.clone()
            };
            span.meta.entry("span.kind".into()).or_insert_with(|| "internal".into());
            if spans.is_empty() {
                for (key, field) in [("env", 7), ("_dd.hostname", 8), ("version", 9)] {
                    if let Some(text) = as_v1.fields.get(&field).filter(|_| !has(key)) {
                        span.meta.insert(key.into(), text.clone());
                    }
                }
                for (key, text) in &as_v1.attributes {
                    span.meta.entry(key.clone()).or_insert_with(|| text.clone());
                }
            }
            spans.push(Some(span));
        }
        out.push(spans);
    }
    out
}

fn check_v05(name: &str, body: &[u8], chunks: &Chunks) {
    let (_, got) = wire::v05(body);
    assert_eq!(got.len(), chunks.len(), "{name}: v0.5");
    for (got, want) in got.iter().zip(chunks) {
        assert_eq!(got.len(), want.len(), "{name}: v0.5");
        for (got, want) in got.iter().zip(want) {
            let (want, json) = as_v05(&want.clone().unwrap_or_default());
            let mut got = got.clone();
            for (key, want) in json {
                let text = got.meta.remove(key).unwrap_or_else(|| panic!("{name}: no {key}"));
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(json, want, "{name}: {key}");
            }
            assert_eq!(got, want, "{name}: v0.5");
        }
    }
}

fn check_v1(name: &str, body: &[u8], mut want: V1) {
    // A nil span is left out, as the agent does.
    for chunk in &mut want.chunks {
        chunk.spans.retain(|s| *s != V1Span::default());
    }
    assert_eq!(wire::v1(body), want, "{name}: v1");
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let mut all = Vec::new();
    for dir in std::fs::read_dir(root).unwrap().flatten().filter(|d| d.path().is_dir()) {
        for file in std::fs::read_dir(dir.path()).unwrap().flatten() {
            let path = file.path();
            if path.extension().is_some_and(|e| e == "msgpack") {
                let tracer = dir.file_name().to_string_lossy().into_owned();
                let name = format!("{tracer}/{}", path.file_stem().unwrap().to_string_lossy());
                all.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn real_payloads_are_the_same_spans_in_every_format() {
    let mut encoders = Encoders::default();
    let all = fixtures();
    assert!(all.len() > 40);
    for (name, bytes) in all {
        if !["node/003", "node/004"].contains(&name.as_str()) {
            check(&mut encoders, &name, &bytes);
        }
    }
}

/// Appendix A of the reference's behaviour.
fn worked() -> Bytes {
    payload([map([
        e("service", s("svc")),
        e("name", s("op")),
        e("resource", s("res")),
        e("trace_id", u64_(1)),
        e("span_id", u64_(2)),
        e("start", i64_(1000)),
        e("duration", int(500)),
        e("error", int(1)),
        e(
            "meta",
            map([e("env", s("prod")), e("http.method", s("GET")), e("_dd.p.tid", s("640cfd8d00000000"))]),
        ),
        e("metrics", map([e("_sampling_priority_v1", f64_(1.0))])),
        e("type", s("web")),
    ])])
}

#[test]
fn the_worked_example_in_bytes() {
    let input = worked();
    assert_eq!(input.len(), 212);
    let [four, five, _] = Encoders::default().encode(&input, 256);
    assert_eq!(four, input);
    let strings = [
        "",
        "svc",
        "op",
        "res",
        "env",
        "prod",
        "http.method",
        "GET",
        "_dd.p.tid",
        "640cfd8d00000000",
        "_sampling_priority_v1",
        "web",
    ];
    let span: &[u8] = &[
        0x91, 0x91, 0x9c, 1, 2, 3, 1, 2, 0, 0xcd, 0x03, 0xe8, 0xcd, 0x01, 0xf4, 1, 0x83, 4, 5, 6, 7, 8, 9,
        0x81, 10, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 11,
    ];
    let want = [vec![0x92], array(strings.map(s)), span.to_vec()].concat();
    assert_eq!(want.len(), 127);
    assert_eq!(five, want);

    // v1 keeps `env` and `_dd.p.tid` as attributes too, so the reference's 151 bytes become these.
    let mut encoder = v1::Encoder::default();
    let mut arena = Arena::new();
    let scanned = Payload::scan(&input, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap();
    encoder.begin();
    encoder.add(&scanned);
    let metadata = Metadata { language: "java".into(), tracer_version: "1.0".into(), ..Metadata::default() };
    let id = |key: u8, v: u64| [vec![key], u64_(v)].concat();
    let attributes = [
        vec![0x9c],
        // env -> 5, prod -> 6, http.method -> 7, GET -> 8
        s("env"),
        vec![1],
        s("prod"),
        s("http.method"),
        vec![1],
        s("GET"),
        // -> 9, 10
        s("_dd.p.tid"),
        vec![1],
        s("640cfd8d00000000"),
        // -> 11
        s("_sampling_priority_v1"),
        vec![3],
        f64_(1.0),
    ]
    .concat();
    let span = [
        vec![0x8b, 1],
        s("svc"),
        vec![2],
        s("op"),
        vec![3],
        s("res"),
        id(4, 2),
        id(6, 1000),
        id(7, 500),
        vec![8, 0xc3, 10],
        s("web"),
        vec![9],
        attributes,
        vec![13, 6, 16, 1],
    ]
    .concat();
    let want = [
        vec![0x84, 11, 0x91, 0x83, 6, 0xc4, 16, 0x64, 0x0c, 0xfd, 0x8d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        vec![4, 0x91],
        span,
        vec![1, 1],
        vec![3],
        s("java"),
        vec![5],
        s("1.0"),
        vec![7, 6],
    ]
    .concat();
    assert_eq!(encoder.finish(&input, &metadata), want);
}

/// A span with everything, and text that is not UTF-8 in every place.
fn not_utf8() -> Bytes {
    let bad = |t: &str| text_of(&[t.as_bytes(), b"\xff\xc3"].concat());
    let long =
        || text_of(&[&b"a text of more than sixteen bytes "[..], b"\xed\xa0\x80", b" and more"].concat());
    let attributes = map([(bad("k"), map([e("type", int(0)), e("string_value", bad("v"))]))]);
    payload([map([
        e("service", bad("s")),
        e("name", bad("n")),
        e("resource", long()),
        e("type", bin(b"\xff")),
        e("trace_id", int(1)),
        e("span_id", int(2)),
        e(
            "meta",
            map([(bad("k"), bad("v")), (bin(b"\xf0\x9f"), long()), e("dup", bad("s")), e("nil", nil())]),
        ),
        e("metrics", map([(bad("m"), int(-7)), e("n", nil())])),
        e("meta_struct", map([(bad("ms"), bin(b"\xff\x00"))])),
        e(
            "span_links",
            array([map([e("tracestate", bad("t")), e("attributes", map([(bad("a"), bad("b"))]))])]),
        ),
        e("span_events", array([map([e("name", bad("ev")), e("attributes", attributes)])])),
    ])])
}

#[test]
fn text_that_is_not_utf8_is_repaired_where_text_must_be_utf8_and_untouched_in_v04() {
    let input = not_utf8();
    let mut encoders = Encoders::default();
    check(&mut encoders, "not UTF-8", &input);
    let [four, five, one] = encoders.encode(&input, 256);
    assert_eq!(four, input);
    let (_, chunks) = wire::v05(&five);
    assert_eq!(chunks[0][0].service, "s\u{fffd}\u{fffd}");
    assert_eq!(wire::v1(&one).chunks[0].spans[0].span.name, "n\u{fffd}\u{fffd}");
}

#[test]
fn links_events_and_binary_values_of_every_shape() {
    let typed = |t: i64, key: &str, v: Bytes| map([e("type", int(t)), e(key, v)]);
    let list = |all: Vec<Bytes>| typed(4, "array_value", map([e("values", array(all))]));
    let attributes = map([
        e("text", typed(0, "string_value", s("v"))),
        e("empty", typed(0, "string_value", s(""))),
        e("yes", typed(1, "bool_value", bool_(true))),
        e("no", map([e("type", int(1))])),
        e("int", typed(2, "int_value", i64_(i64::MIN))),
        e("double", typed(3, "double_value", f64_(-0.125))),
        e("float", typed(3, "double_value", f32_(0.5))),
        e("list", list(vec![typed(0, "string_value", s("x")), nil(), typed(0, "string_value", s("y"))])),
        e("lists", list(vec![list(vec![typed(2, "int_value", int(1))]), list(vec![])])),
        e("nil list", typed(4, "array_value", nil())),
        e("nil", nil()),
        e("nothing", map([])),
        e("unknown", map([e("type", int(9)), e("string_value", s("kept"))])),
        e(
            "type twice",
            map([e("type", int(2)), e("int_value", int(5)), e("type", int(0)), e("string_value", s("last"))]),
        ),
    ]);
    let events = array([
        nil(),
        map([e("time_unix_nano", u64_(u64::MAX)), e("name", s("ev")), e("attributes", attributes)]),
        map([]),
        map([e("name", nil()), e("attributes", map([])), e("other", ext())]),
    ]);
    let links = array([
        map([
            e("trace_id", u64_(u64::MAX)),
            e("trace_id_high", u64_(7)),
            e("span_id", int(-1)),
            e("attributes", map([e("b", s("2")), e("a", s("1")), e("b", s("3"))])),
            e("tracestate", s("dd=\"s\"\n\t\u{1}")),
            e("flags", u64_(0x8000_0001)),
        ]),
        nil(),
        map([e("flags", u64_(0x8000_0000)), e("attributes", map([]))]),
    ]);
    let mut encoders = Encoders::default();
    let all = vec![
        e("span_links", links.clone()),
        e("span_events", events.clone()),
        e("meta_struct", map([e("a", bin(&[0x81])), e("b", bin(&vec![7; 70_000]))])),
    ];
    check(&mut encoders, "all", &payload([map(fields().into_iter().chain(all)), good_span()]));
    // What the tracer has put into meta itself stays, and is not written twice.
    let own = |k: &str| span_with("meta", map([e(k, s("the tracer's own"))]));
    for key in ["_dd.span_links", "events"] {
        let mut span = own(key);
        span[0] += 2; // two more entries in a map of fewer than 14
        let span = [span, s("span_links"), links.clone(), s("span_events"), events.clone()].concat();
        check(&mut encoders, key, &payload([span]));
    }
    check(
        &mut encoders,
        "empty lists",
        &payload([map(fields().into_iter().chain([
            e("span_links", array([])),
            e("span_events", array([])),
            e("meta_struct", map([])),
        ]))]),
    );
    assert_eq!(encoders.v05.lost(), Lost::default());
}

#[test]
fn promotion_follows_the_agent_s_own_conversion() {
    let span = |parent: i64, meta: Vec<Entry>, metrics: Vec<Entry>| {
        map([
            e("trace_id", int(9)),
            e("span_id", int(parent + 1)),
            e("parent_id", int(parent)),
            e("meta", map(meta)),
            e("metrics", map(metrics)),
        ])
    };
    let p = |v: Bytes| vec![e("_sampling_priority_v1", v)];
    let mut encoders = Encoders::default();
    for (name, spans) in [
        ("the root's priority", vec![span(0, vec![], p(int(2))), span(1, vec![], p(int(-1)))]),
        ("the root comes last", vec![span(1, vec![], p(int(0))), span(0, vec![], p(int(1)))]),
        ("no root: the last", vec![span(1, vec![], p(int(0))), span(2, vec![], p(f64_(1.9)))]),
        ("two roots", vec![span(0, vec![], p(int(1))), span(0, vec![], p(int(2))), span(0, vec![], vec![])]),
        ("no priority", vec![span(0, vec![], vec![]), span(1, vec![], vec![])]),
        (
            "a root without one behind one that has",
            vec![span(1, vec![], p(int(-1))), span(0, vec![], vec![]), span(2, vec![], p(int(5)))],
        ),
        ("priority beyond 32 bits, NaN, the agent's none", vec![span(0, vec![], p(f64_(1e300)))]),
        ("NaN", vec![span(0, vec![], p(f64_(f64::NAN)))]),
        ("minus 128", vec![span(0, vec![], p(int(-128))), span(1, vec![], p(int(3)))]),
        (
            "origin and mechanism: the last",
            vec![
                span(0, vec![e("_dd.origin", s("rum")), e("_dd.p.dm", s("-3"))], vec![]),
                span(1, vec![e("_dd.origin", s("lambda")), e("_dd.p.dm", s("4"))], vec![]),
            ],
        ),
        (
            "bad mechanisms",
            vec![
                span(0, vec![e("_dd.p.dm", s("-5"))], vec![]),
                span(1, vec![e("_dd.p.dm", s("--7"))], vec![]),
                span(1, vec![e("_dd.p.dm", s("+7"))], vec![]),
                span(1, vec![e("_dd.p.dm", s("4294967296"))], vec![]),
                span(1, vec![e("_dd.p.dm", s(""))], vec![]),
            ],
        ),
        (
            "bad upper halves",
            vec![
                span(0, vec![e("_dd.p.tid", s("640cfd8d00000000"))], vec![]),
                span(1, vec![e("_dd.p.tid", s("xyz"))], vec![]),
                span(1, vec![e("_dd.p.tid", s("640cfd8d000000001"))], vec![]),
                span(1, vec![e("_dd.p.tid", s("+1"))], vec![]),
                span(1, vec![e("_dd.p.tid", s(""))], vec![]),
            ],
        ),
        ("upper-case hex", vec![span(0, vec![e("_dd.p.tid", s("ABCDEF"))], vec![])]),
        (
            "kinds",
            ["server", "client", "producer", "consumer", "internal", "Server", ""]
                .into_iter()
                .map(|k| {
                    span(
                        0,
                        vec![
                            e("span.kind", s(k)),
                            e("component", s("c")),
                            e("version", s("")),
                            e("env", s("e")),
                        ],
                        vec![],
                    )
                })
                .collect(),
        ),
        (
            "payload fields",
            vec![
                span(
                    0,
                    vec![
                        e("env", s("first")),
                        e("version", s("1")),
                        e("_dd.hostname", s("h")),
                        e("_dd.git.commit.sha", s("sha")),
                        e("_dd.apm_mode", s("edge")),
                    ],
                    vec![],
                ),
                span(1, vec![e("env", s("last")), e("env", s("very last")), e("version", nil())], vec![]),
            ],
        ),
        ("a nil span between", vec![span(0, vec![e("env", s("x"))], p(int(1))), nil()]),
    ] {
        check(&mut encoders, name, &payload(spans.clone()));
        // An empty text in a later chunk does not hide an earlier one.
        let later =
            span(0, ["env", "version", "_dd.hostname", "_dd.apm_mode"].map(|k| e(k, s(""))).to_vec(), vec![]);
        check(&mut encoders, name, &array([array(spans), array([later]), array([])]));
    }
}

#[test]
fn promoted_keys_are_found_wherever_and_however_they_stand() {
    let mut encoders = Encoders::default();
    let everything = |meta: Vec<Entry>, metrics: Vec<Entry>| {
        map([
            e("service", s("env")),
            e("name", s("server")),
            e("resource", s("_dd.p.tid")),
            e("trace_id", u64_(7)),
            e("span_id", u64_(8)),
            e("parent_id", u64_(9)),
            e("start", i64_(10)),
            e("duration", i64_(11)),
            e("error", int(1)),
            e("meta", map(meta)),
            e("metrics", map(metrics)),
            e("type", s("version")),
            e("span_links", array([map([e("trace_id", u64_(1)), e("span_id", u64_(2))])])),
            e("span_events", array([map([e("name", s("consumer")), e("time_unix_nano", u64_(3))])])),
        ])
    };
    let texts = || vec![e("env", s("span.kind")), e("version", s("env")), e("component", s("component"))];
    let kind = |kind: &str| vec![e("span.kind", s(kind)), e("server", s("client"))];
    let wide = |key: &str| [&[0xd9, key.len() as u8][..], key.as_bytes()].concat();
    let binary = |key: &str| [&[0xc4, key.len() as u8][..], key.as_bytes()].concat();
    let spans = [
        // All sixteen keys of a span, so that its head takes three bytes; and a small one behind it.
        everything([texts(), kind("producer")].concat(), vec![]),
        everything(vec![], vec![]),
        // Keys of meta as keys of metrics, and the other way round, are no such keys.
        everything(
            vec![e("_sampling_priority_v1", s("2"))],
            vec![e("_dd.p.dm", int(1)), e("_dd.p.tid", int(1))],
        ),
        everything(kind("consumer"), vec![e("_sampling_priority_v1", f64_(2.0)), e("_dd.origin", int(1))]),
        // Other heads of the same texts.
        everything(
            vec![
                (wide("_dd.origin"), binary("rum")),
                (binary("span.kind"), wide("server")),
                (wide("_dd.p.dm"), s("-4")),
                e("_dd.hostname", s("h")),
            ],
            vec![(wide("_sampling_priority_v1"), int(-1))],
        ),
        everything(kind("Client"), vec![]),
        everything(
            vec![e("_dd.p.tid", s("12ab")), e("_dd.git.commit.sha", s("c")), e("_dd.apm_mode", s(""))],
            vec![],
        ),
        everything(vec![e("_dd.p.tid", s("nonsense")), e("env", s("")), e("version", nil())], vec![]),
    ];
    for limit in 1..=spans.len() {
        let chunks: Vec<_> = spans.chunks(limit).map(|c| array(c.to_vec())).collect();
        check(&mut encoders, &format!("{limit} spans a chunk"), &array(chunks));
    }
    for span in &spans {
        check(&mut encoders, "one span", &array([array([span.clone()])]));
    }
}

#[test]
fn settings_come_before_what_spans_say() {
    let input =
        payload([span_with("meta", map([e("env", s("span's")), e("_dd.git.commit.sha", s("span's"))]))]);
    let mut encoder = v1::Encoder::default();
    let mut arena = Arena::new();
    let metadata = Metadata {
        language: "java".into(),
        language_version: "21".into(),
        tracer_version: "1.2".into(),
        runtime_id: "rid".into(),
        container_id: "cid".into(),
        env: "ours".into(),
        hostname: "host".into(),
        version: "v".into(),
        git_commit_sha: "ours".into(),
        ..Metadata::default()
    };
    encoder.begin();
    encoder.add(&Payload::scan(&input, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap());
    let got = wire::v1(encoder.finish(&input, &metadata));
    let want =
        [(2, "cid"), (3, "java"), (4, "21"), (5, "1.2"), (6, "rid"), (7, "ours"), (8, "host"), (9, "v")];
    assert_eq!(got.fields, want.into_iter().map(|(k, v)| (k, v.to_owned())).collect());
    assert_eq!(got.attributes.get("_dd.git.commit.sha").unwrap(), "ours");
    assert_eq!(got.chunks[0].spans[0].env, "span's");
}

#[test]
fn more_than_65536_distinct_strings_and_again_with_the_same_encoder() {
    let mut encoders = Encoders::default();
    for round in 0..2 {
        let spans = (0..900).map(|i| {
            let meta = (0..80).map(|j| {
                e(&format!("key {round} {i} {j}"), s(&format!("a value longer than sixteen {i} {j}")))
            });
            span_with("meta", map(meta))
        });
        let input = array(spans.collect::<Vec<_>>().chunks(9).map(|c| array(c.to_vec())));
        let [_, five, one] = encoders.encode(&input, 256);
        let (table, _) = wire::v05(&five);
        assert!(table.len() > 131_072);
        assert_eq!(wire::v1(&one).chunks.len(), 100);
        check(&mut encoders, "many strings", &input);
    }
}

#[test]
fn strings_that_look_alike_stay_apart() {
    // Equal first and last eight bytes, equal middles, zeros, prefixes: what a table by hash could confuse.
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for len in 0..40 {
        texts.push(vec![0; len]);
        texts.push(vec![b'a'; len]);
        texts.push([vec![b'a'; len], vec![0]].concat());
    }
    for i in 0..500u32 {
        texts.push(
            [&b"12345678"[..], &[b'.'; 30], format!("{i:08}").as_bytes(), &[b'.'; 30], b"87654321"].concat(),
        );
        texts.push([&b"12345678"[..], format!("{i:06}").as_bytes(), &[b'-'; 31], b"87654321"].concat());
    }
    let entries: Vec<Entry> = texts.iter().map(|t| (text_of(t), text_of(t))).collect();
    check(&mut Encoders::default(), "alike", &payload([span_with("meta", map(entries)), good_span()]));
}

#[test]
fn empty_text_is_number_zero_everywhere() {
    let span = map([
        e("service", s("")),
        e("name", nil()),
        e("resource", bin(b"")),
        e("type", s("")),
        e("trace_id", int(1)),
        e("meta", map([(s(""), s("")), (nil(), nil()), e("env", s("")), e("component", nil())])),
        e("metrics", map([(s(""), f64_(0.0))])),
    ]);
    let input = payload([span]);
    let mut encoders = Encoders::default();
    check(&mut encoders, "empty", &input);
    let [_, five, _] = encoders.encode(&input, 256);
    assert_eq!(wire::v05(&five).0, ["", "env", "component"]);
}

#[test]
fn negative_times_are_clamped_in_v1_and_counted_once_a_span() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let spans = [
        map([e("trace_id", int(1)), e("start", int(-1)), e("duration", int(-1))]),
        map([e("trace_id", int(1)), e("start", int(5)), e("duration", i64_(i64::MIN))]),
        map([e("trace_id", int(1)), e("start", i64_(i64::MIN)), e("duration", int(5))]),
        map([e("trace_id", int(1)), e("start", i64_(i64::MAX)), e("duration", i64_(i64::MAX))]),
    ];
    let input = payload(spans);
    for (format, lost) in [(OutputFormat::V04, 0), (OutputFormat::V05, 0), (OutputFormat::V1, 3)] {
        let exporter = TraceExporter::builder().url(&agent.url).output_format(format).build().unwrap();
        exporter.send(&input).unwrap();
        assert_eq!(exporter.metrics().lost_in_conversion, lost, "{format:?}");
    }
    check(&mut Encoders::default(), "times", &input);
}

#[test]
fn what_v05_cannot_carry_is_counted() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let with = |n: usize| span_with("meta_struct", map((0..n).map(|i| e(&format!("k{i}"), bin(b"x")))));
    let input = payload([with(0), with(1), with(20), good_span()]);
    for (format, lost) in [(OutputFormat::V05, 2), (OutputFormat::V1, 0)] {
        let exporter = TraceExporter::builder().url(&agent.url).output_format(format).build().unwrap();
        exporter.send(&input).unwrap();
        assert_eq!(exporter.metrics().lost_in_conversion, lost, "{format:?}");
    }
}

/// Repaired payloads in the other formats: the repaired v0.4 body, converted.
#[test]
fn repaired_payloads_are_converted_as_they_were_repaired() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let bad = map([
        e("service", s("shop")),
        e("name", int(1)),
        e("trace_id", f64_(77.0)),
        e("span_id", int(5)),
        e("start", f64_(9.0)),
        e(
            "meta",
            map([e("a", int(1)), e("env", s("prod")), e("_dd.p.tid", s("640cfd8d00000000")), e("b", ext())]),
        ),
        e("metrics", map([e("x", f32_(1.5)), e("y", s("no"))])),
        e("span_links", array([map([e("span_id", int(3)), e("flags", int(-1))])])),
    ]);
    let good = map([
        e("service", s("shop")),
        e("trace_id", int(77)),
        e("span_id", int(5)),
        e("start", int(9)),
        e("meta", map([e("env", s("prod")), e("_dd.p.tid", s("640cfd8d00000000"))])),
        e("metrics", map([e("_top_level", int(1)), e("x", f64_(1.5))])),
        e("span_links", array([map([e("span_id", int(3))])])),
    ]);
    let lost = || array([span_with("trace_id", s("x"))]);
    // More than one batch, the bad ones in the second.
    let other = || span_with("metrics", map([e("_top_level", int(1))]));
    let many = array((0..300).map(|_| other()));
    let input = array([many.clone(), array([bad.clone()]), lost(), array([other(), bad])]);
    let want = array([many, array([good.clone()]), array([other(), good])]);
    let chunks = wire::v04(&want);
    for format in [OutputFormat::V04, OutputFormat::V05, OutputFormat::V1] {
        let builder = TraceExporter::builder().url(&agent.url).output_format(format).runtime_id("r");
        let exporter = builder.compute_top_level(true).build().unwrap();
        let response = exporter.send(&input).unwrap();
        assert_eq!((response.traces, response.spans), (3, 303), "{format:?}");
        let got = agent.requests().pop().unwrap();
        assert!(got.head.contains(format.path()), "{}", got.head);
        match format {
            OutputFormat::V04 => assert_eq!(wire::v04(&got.body), chunks),
            OutputFormat::V05 => {
                let (_, mut got) = wire::v05(&got.body);
                let links = got[1][0].meta.remove("_dd.span_links").unwrap();
                assert!(links.contains("0000000000000003"), "{links}");
                got[2][1].meta.remove("_dd.span_links").unwrap();
                let plain = |s: &Option<Span>| Span { links: vec![], ..s.clone().unwrap() };
                let want: Vec<Vec<Span>> = chunks.iter().map(|c| c.iter().map(plain).collect()).collect();
                assert_eq!(got, want);
            }
            OutputFormat::V1 => {
                let mut want = as_v1(&chunks);
                want.fields.insert(6, "r".into());
                assert_eq!(wire::v1(&got.body), want);
            }
        }
        let m = exporter.metrics();
        assert_eq!((m.repaired, m.sent.traces), (16, 3), "{format:?}");
        assert_eq!(m.received, m.accounted_for());
    }
}

/// Chunks and spans that stages leave out, in all three formats.
#[test]
fn dropped_chunks_and_spans_leave_no_trace_in_any_format() {
    use data_pipeline::trace::{FilterRules, Filters, P0_SLOTS, drop_p0};
    let span = |n: i64, priority: Option<i64>, keep: Option<&str>, text: &str| {
        let mut metrics: Vec<Entry> =
            priority.map(|p| e("_sampling_priority_v1", int(p))).into_iter().collect();
        match keep {
            Some("single") => metrics.push(e("_dd.span_sampling.mechanism", int(8))),
            Some(_) => metrics.push(e("_dd1.sr.eausr", int(1))),
            None => {}
        }
        map([
            e("trace_id", int(1)),
            e("span_id", int(n)),
            e("parent_id", int(n - 1)),
            e("resource", s(text)),
            e("meta", map([e("k", s(text))])),
            e("metrics", map(metrics)),
        ])
    };
    let kept = || array([span(1, Some(1), None, "kept"), span(2, None, None, "kept too")]);
    let gone = || array([span(1, Some(0), None, "gone"), span(2, None, None, "gone")]);
    let part = || {
        array([
            span(1, Some(0), None, "first gone"),
            // It says the priority itself, so nothing has to go over to it (`tests/kept_part.rs` shows what does).
            span(2, Some(0), Some("single"), "single"),
            span(3, None, None, "middle gone"),
            span(4, None, Some("analysed"), "analysed"),
            span(5, None, None, "last gone"),
        ])
    };
    let rest =
        || array([span(2, Some(0), Some("single"), "single"), span(4, None, Some("analysed"), "analysed")]);
    let reject = || array([span(1, Some(1), None, "rejected")]);
    let orders: [(Vec<Bytes>, Vec<Bytes>); 6] = [
        (vec![kept(), part(), kept()], vec![kept(), rest(), kept()]),
        (vec![part(), part()], vec![rest(), rest()]),
        (vec![gone(), kept(), gone(), gone(), kept()], vec![kept(), kept()]),
        (vec![reject(), part(), reject(), gone()], vec![rest()]),
        (vec![kept(), reject(), kept(), part(), gone(), part()], vec![kept(), kept(), rest(), rest()]),
        (vec![gone(), reject()], vec![]),
    ];
    let rules = FilterRules { reject: vec!["k:rejected".into()], ..FilterRules::default() };
    let (filters, bad) = Filters::new(&rules);
    assert!(bad.is_empty());
    let interest = Interest::none().slots(P0_SLOTS);
    for (input, want) in orders {
        let input = array(input);
        let want = array(want);
        for limit in [1, 3, 256] {
            let mut all = Encoders::default();
            all.v04.begin();
            all.v05.begin();
            all.v1.begin();
            let mut scanner = Scanner::new(&input, OnMalformed::Fail).unwrap();
            while !scanner.is_done() {
                scanner.fill(&mut all.arena, &interest, limit).unwrap();
                let mut payload = scanner.payload(&mut all.arena);
                filters.apply(&mut payload);
                drop_p0(&mut payload);
                all.v05.add(&payload);
                all.v1.add(&payload);
                all.v04.add(&mut payload);
            }
            let chunks = wire::v04(&want);
            assert_eq!(all.v04.finish(), want, "v0.4");
            let counts = (chunks.len() as u32, chunks.iter().map(Vec::len).sum::<usize>() as u64);
            assert_eq!([all.v04.counts(), all.v05.counts(), all.v1.counts()], [counts; 3]);
            let (table, got) = wire::v05(all.v05.finish());
            assert!(!table.iter().any(|t| t.contains("gone") || t.contains("rejected")), "{table:?}");
            assert_eq!(
                got,
                chunks.iter().map(|c| c.iter().flatten().cloned().collect::<Vec<_>>()).collect::<Vec<_>>()
            );
            let one = wire::v1(all.v1.finish(&input, &Metadata::default()));
            let spans: Vec<Vec<V1Span>> = one.chunks.into_iter().map(|c| c.spans).collect();
            assert_eq!(spans, as_v1(&chunks).chunks.into_iter().map(|c| c.spans).collect::<Vec<_>>());
        }
    }
}

/// A small generator whose seed a failure names.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// Damage in real payloads, through the whole exporter: what the stages and repairs leave is the same in every format.
#[test]
fn damaged_real_payloads_are_the_same_spans_in_every_format() {
    use std::hash::{BuildHasher, Hasher};
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok());
    let seed =
        seed.unwrap_or_else(|| std::collections::hash_map::RandomState::new().build_hasher().finish() | 1);
    println!("SEED={seed}");
    let mut random = Random(seed);
    let all = fixtures();
    let (mut compared, mut repaired) = (0, 0);
    for round in 0..600 {
        let (name, bytes) = &all[random.below(all.len())];
        if bytes.len() > 35_000 || bytes.len() < 100 {
            continue;
        }
        let mut bytes = bytes.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            // Bytes that are heads do more than others.
            bytes[at] = [0xc0, 0xc2, 0xca, 0xcb, 0x80, 0x90, 0xa0, 0x01, 0xff, random.below(256) as u8]
                [random.below(10)];
        }
        let name = format!("{name}, round {round}");
        let top_level = random.below(2) == 0;
        let rule = ["env", "service", "language"][random.below(3)];
        let send = |format: OutputFormat| {
            let agent = ScriptedAgent::start(Listen::Tcp, []);
            let builder = TraceExporter::builder().url(&agent.url).output_format(format).reject_tag(rule);
            // A conversion marks top-level spans by itself; the others are told to or not.
            let builder = builder.compute_top_level(top_level).runtime_id("r");
            let exporter = builder.client_computed_top_level(!top_level).build().unwrap();
            let result = exporter.send(&bytes).map(|r| (r.traces, agent.requests().pop().map(|r| r.body)));
            let m = exporter.metrics();
            assert_eq!(m.received, m.accounted_for(), "{name}");
            (result.map_err(|e| e.to_string()), m.repaired)
        };
        let (four, repairs) = send(OutputFormat::V04);
        for format in [OutputFormat::V05, OutputFormat::V1] {
            let (other, again) = send(format);
            assert_eq!(repairs, again, "{name}");
            match (&four, &other) {
                (Err(a), Err(b)) => assert_eq!(a, b, "{name}"),
                (Ok((0, None)), Ok((0, None))) => {}
                (Ok((n, Some(four))), Ok((m, Some(other)))) => {
                    assert_eq!(n, m, "{name}");
                    assert_eq!(agent_accepts(four), Ok(()), "{name}");
                    let chunks = wire::v04(four);
                    if format == OutputFormat::V05 {
                        check_v05(&name, other, &chunks);
                    } else {
                        let mut want = as_v1(&chunks);
                        want.fields.insert(6, "r".into());
                        check_v1(&name, other, want);
                    }
                    compared += 1;
                    repaired += u32::from(repairs > 0);
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
    println!("{compared} compared, {repaired} of them repaired");
    assert!(compared > 50 && repaired > 10);
}
