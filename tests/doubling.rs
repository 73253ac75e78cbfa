//! Time grows with the size of a payload and no faster, whatever repeats in it: stage by stage and format by format.
//! Eight times the payload may take three times as long as eight payloads; a quadratic cost takes eight times as long.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;

use data_pipeline::PayloadStats;
use data_pipeline::convert::{Conversion, convert};
use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::rewrite::{Memory, Rewriter};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload};
use msgpack::*;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SMALL: usize = 2_000;
const TIMES: usize = 8;

/// What repeats so many times in one payload.
type Shape = (&'static str, fn(usize) -> Bytes);

fn one(entries: Vec<Entry>) -> Bytes {
    array([array([map(entries)])])
}

fn of_span(more: Vec<Entry>) -> Bytes {
    let mut entries = vec![
        e("trace_id", int(7)),
        e("span_id", int(1)),
        e("parent_id", int(0)),
        e("service", s("My Shop")),
        e("name", s("web.request")),
        e("resource", s("SELECT 'x'")),
        e("type", s("sql")),
        e("start", int(1_767_225_600_000_000_000)),
        e("duration", int(10)),
    ];
    entries.extend(more);
    one(entries)
}

fn times(n: usize, entry: impl Fn(usize) -> Entry) -> Vec<Entry> {
    (0..n).map(entry).collect()
}

fn event(attributes: Vec<Entry>) -> Bytes {
    map([e("time_unix_nano", int(1)), e("name", s("e")), e("attributes", map(attributes))])
}

fn typed(text: &str) -> Bytes {
    map([e("type", int(0)), e("string_value", s(text))])
}

const SHAPES: [Shape; 17] = [
    ("a field", |n| one(times(n, |_| e("name", s("a-b"))))),
    ("two fields in turn", |n| one(times(n, |i| e(["name", "service"][i % 2], s("A-B"))))),
    ("a number of the span", |n| one(times(n, |_| e("start", int(-1))))),
    ("meta", |n| one(times(n, |_| e("meta", map([e("env", s("A B"))]))))),
    ("metrics", |n| one(times(n, |_| e("metrics", map([e("m", int(1))]))))),
    ("a tag", |n| of_span(vec![e("meta", map(times(n, |_| e("db.statement", s("SELECT 'x'")))))])),
    ("a tag that is cut", |n| of_span(vec![e("meta", map(times(n, |_| e("http.status_code", s("x")))))])),
    ("tags", |n| of_span(vec![e("meta", map(times(n, |i| e(&format!("k{i}"), s("4111111111111111")))))])),
    ("long keys", |n| {
        of_span(vec![e("meta", map(times(n / 8, |i| e(&format!("{}{i}", "k".repeat(210)), s("v")))))])
    }),
    ("a number", |n| of_span(vec![e("metrics", map(times(n, |_| e("_sampling_priority_v1", int(2)))))])),
    ("numbers", |n| of_span(vec![e("metrics", map(times(n, |i| e(&format!("k{i}"), int(4)))))])),
    ("keys of both maps", |n| {
        let keys = |value: Bytes| map(times(n, move |i| e(&format!("k{i}"), value.clone())));
        of_span(vec![e("metrics", keys(int(4))), e("meta", keys(s("v")))])
    }),
    ("spans", |n| array([array((0..n).map(|i| span_with("span_id", int(i as i64 + 1))))])),
    ("chunks", |n| array((0..n).map(|_| array([good_span()])))),
    ("links", |n| {
        let link = || {
            map([e("trace_id", int(1)), e("span_id", int(2)), e("attributes", map([e("link.name", s("A"))]))])
        };
        of_span(vec![e("span_links", array((0..n).map(|_| link())))])
    }),
    ("a link's attribute", |n| {
        let link = map([e("span_id", int(2)), e("attributes", map(times(n, |_| e("link.name", s("-")))))]);
        of_span(vec![e("span_links", array([link]))])
    }),
    ("an event's attribute", |n| {
        of_span(vec![e("span_events", array([event(times(n, |_| e("card", typed("4111111111111111"))))]))])
    }),
];

fn rewritten(body: &[u8], rewriter: &Rewriter) {
    let mut arena = Arena::new();
    let interest = Rewriter::interest(Interest::none());
    let mut payload = Payload::scan(body, &mut arena, &interest, OnMalformed::Repair).unwrap();
    let mut memory = Memory::default();
    memory.begin();
    rewriter.apply(&mut payload, &mut memory);
    let mut encoder = data_pipeline::format::v04::Encoder::default();
    encoder.begin();
    encoder.add(&mut payload);
    encoder.finish();
}

fn converted(body: &[u8], words: &[&str]) -> Bytes {
    convert(body, &Conversion::read(words.iter().copied()).unwrap()).unwrap().body
}

/// What this thread has computed so far: what else the machine does does not count.
fn computed() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.and_then(|text| text.split(' ').next()?.parse().ok());
    ns.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
/// One at a time: they share the processor's caches otherwise.
static TURN: Mutex<()> = Mutex::new(());

/// The least of three measurements of so many runs.
fn least(runs: usize, work: impl Fn()) -> Duration {
    let measure = |_| {
        let began = computed();
        (0..runs).for_each(|_| work());
        computed() - began
    };
    (0..3).map(measure).min().unwrap()
}

/// Eight runs over a payload beside one over a payload eight times as large.
fn grows_evenly(stage: &str, prepare: impl Fn(&[u8]) -> Bytes, work: impl Fn(&[u8])) {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let mut bad = Vec::new();
    for (what, shape) in SHAPES {
        let (small, large) = (prepare(&shape(SMALL)), prepare(&shape(SMALL * TIMES)));
        let measure = || (least(TIMES, || work(&small)), least(1, || work(&large)));
        let uneven = |(small, large): (Duration, Duration)| large > small * 3 + Duration::from_millis(20);
        // Measured again before it is believed.
        if uneven(measure()) && uneven(measure()) {
            let (small, large) = measure();
            bad.push(format!("{stage}, {what}: {small:?} became {large:?}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// The payload as it is.
fn same(body: &[u8]) -> Bytes {
    body.to_vec()
}

#[test]
fn normalize() {
    let rewriter = Rewriter::new(Some(Normalizer::new(b"java")), None).unwrap();
    grows_evenly("normalize", same, |body| rewritten(body, &rewriter));
}

#[test]
fn obfuscate() {
    let json =
        r#"{"http": {"query_string_regexp": "token"}, "sql_exec_plan": {"enabled": true, "tags": ["k1"]}}"#;
    let rewriter = Rewriter::new(
        None,
        Some(Arc::new(Obfuscator::new(&ObfuscationConfig::from_json(json).unwrap()).unwrap())),
    );
    let rewriter = rewriter.unwrap();
    grows_evenly("obfuscate", same, |body| rewritten(body, &rewriter));
}

#[test]
fn both_and_replace_rules() {
    let mut config = ObfuscationConfig::agent();
    let rule = |name: &str, pattern: &str, repl: &str| data_pipeline::obfuscate::ReplaceRule {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        repl: repl.to_owned(),
    };
    // The second makes tags of numbers.
    config.replace_tags = vec![rule("*", "[Ax]", "yy"), rule("*", "4", "four"), rule("*", "y", "z")];
    let obfuscator = Arc::new(Obfuscator::new(&config).unwrap());
    let rewriter = Rewriter::new(Some(Normalizer::new(b"java")), Some(obfuscator)).unwrap();
    grows_evenly("all rules", same, |body| rewritten(body, &rewriter));
}

#[test]
fn top_level_p0_filters_and_every_output() {
    for to in ["to=v0.4", "to=v0.5", "to=v1"] {
        let words = ["top-level", "drop-p0", "filter=reject:k:dev", "filter=ignore:^x", to];
        grows_evenly(to, same, |body| drop(converted(body, &words)));
    }
}

#[test]
fn every_input() {
    for format in ["v0.5", "v1"] {
        let (to, from) = (format!("to={format}"), format!("from={format}"));
        let prepare = |body: &[u8]| converted(body, &[&to]);
        grows_evenly(&from, prepare, |body| drop(converted(body, &[&from, "to=v0.4"])));
    }
}

#[test]
fn stats() {
    grows_evenly("stats", same, |body| {
        // What a stage refuses is refused in time too.
        let _ = PayloadStats::new(true, true).unwrap().add(body);
    });
}

#[test]
fn part_of_a_rejected_trace() {
    grows_evenly("kept part", same, |body| {
        let mut whole = body.to_vec();
        // The chunk of `body` behind a rejected one whose last span stays.
        let p0 = map([e("span_id", int(1)), e("metrics", map([e("_sampling_priority_v1", int(0))]))]);
        let kept = map([e("span_id", int(2)), e("metrics", map([e("_dd.span_sampling.mechanism", int(8))]))]);
        let n = body.len() / 100;
        whole.splice(0..0, array([array((0..n).map(|_| p0.clone()).chain([kept]))]));
        converted(&whole[..whole.len() - body.len()], &["drop-p0", "to=v0.4"]);
    });
}
