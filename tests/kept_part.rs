//! The part of a rejected trace that is kept: what its first span said of the whole goes out with the first span that
//! stays, the same in every format. The cases of `fixtures/cases/p0`, and the neighbours.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;

use data_pipeline::convert::{Conversion, convert};
use msgpack::*;
use rmpv::Value;
use std::collections::BTreeMap;

fn through(body: &[u8], to: &str) -> Vec<u8> {
    let to = format!("to={to}");
    let wanted = Conversion::read(["drop-p0", to.as_str()].into_iter()).unwrap();
    convert(body, &wanted).unwrap().body
}

type Span = (u64, BTreeMap<String, String>, BTreeMap<String, f64>);

/// Id, tags and numbers of the spans that are left, read as v0.4.
fn kept(body: &[u8]) -> Vec<Span> {
    let value = rmpv::decode::read_value(&mut &body[..]).unwrap();
    let span = |span: &Value| {
        let entries = |name: &str| span[name].as_map().cloned().unwrap_or_default();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let mut keys: Vec<_> = span.as_map().unwrap().iter().map(|(k, _)| text(k)).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "a field comes twice: {span}");
        let meta = entries("meta").iter().map(|(k, v)| (text(k), text(v))).collect();
        let metrics = entries("metrics").iter().map(|(k, v)| (text(k), v.as_f64().unwrap())).collect();
        (span["span_id"].as_u64().unwrap(), meta, metrics)
    };
    value.as_array().unwrap().iter().flat_map(|chunk| chunk.as_array().unwrap().iter().map(span)).collect()
}

/// What v0.4 keeps, checked against the other formats: they say the same once they are v0.4 again.
fn kept_everywhere(body: &[u8]) -> Vec<Span> {
    let ours = kept(&through(body, "v0.4"));
    for (to, from) in [("v0.5", "from=v0.5"), ("v1", "from=v1")] {
        let back = convert(&through(body, to), &Conversion::read([from, "to=v0.4"].into_iter()).unwrap())
            .unwrap()
            .body;
        let mut back = kept(&back);
        for (_, meta, _) in &mut back {
            // v1 has a kind for every span.
            meta.remove("span.kind");
        }
        let mut ours = ours.clone();
        for (_, meta, _) in &mut ours {
            meta.remove("span.kind");
        }
        assert_eq!(back, ours, "{to}");
    }
    ours
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("tests/fixtures/cases/p0/{name}.mp")).unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn the_first_span_that_stays_says_what_the_first_one_said() {
    for (name, id, number) in [
        ("p0_fragment_single", 11, ("_dd.span_sampling.mechanism", 8.0)),
        ("p0_fragment_analysed", 21, ("_dd1.sr.eausr", 1.0)),
    ] {
        let spans = kept_everywhere(&fixture(name));
        let said = tags(&[
            ("component", "x"),
            ("_dd.origin", "synthetics"),
            ("_dd.p.dm", "-4"),
            ("_dd.p.tid", "640cfd8d00000000"),
            ("env", "prod"),
            ("version", "1.2"),
        ]);
        let numbers =
            BTreeMap::from([("_sampling_priority_v1".to_owned(), 0.0), (number.0.to_owned(), number.1)]);
        assert_eq!(spans, [(id, said, numbers)], "{name}");
    }
}

/// A span with a parent (0: none), its tags and numbers; no map at all where there is nothing in it.
fn span(id: i64, parent: i64, meta: &[(&str, &str)], metrics: &[(&str, f64)]) -> Bytes {
    let mut entries = vec![
        e("service", s("shop")),
        e("name", s("op")),
        e("resource", s("r")),
        e("trace_id", int(7)),
        e("span_id", int(id)),
        e("parent_id", int(parent)),
        e("start", int(1_767_225_600_000_000_000)),
        e("duration", int(10)),
    ];
    if !meta.is_empty() {
        entries.push(e("meta", map(meta.iter().map(|(k, v)| e(k, s(v))))));
    }
    if !metrics.is_empty() {
        entries.push(e("metrics", map(metrics.iter().map(|(k, v)| e(k, f64_(*v))))));
    }
    map(entries)
}

const P0: (&str, f64) = ("_sampling_priority_v1", 0.0);
const SINGLE: (&str, f64) = ("_dd.span_sampling.mechanism", 8.0);

#[test]
fn of_several_the_value_that_the_agent_reads_goes_over() {
    // The last span's tag, but not over the heir's own; the root's priority, also where a span that stays says another.
    let body = array([array([
        span(1, 0, &[("env", "a"), ("_dd.p.dm", "-1"), ("language", "java")], &[P0]),
        span(2, 1, &[("_dd.p.dm", "-3"), ("version", "9")], &[("_sampling_priority_v1", 2.0)]),
        span(3, 1, &[("env", "own")], &[SINGLE, ("_sampling_priority_v1", 1.0)]),
        span(4, 1, &[("version", "8")], &[SINGLE, ("_sampling_priority_v1", 1.0)]),
        span(5, 1, &[("_dd.origin", "lambda")], &[]),
    ])]);
    let spans = kept_everywhere(&body);
    let said = [
        ("env", "own"),
        ("_dd.p.dm", "-3"),
        ("version", "8"),
        ("language", "java"),
        ("_dd.origin", "lambda"),
    ];
    assert_eq!((spans[0].0, &spans[0].1), (3, &tags(&said)));
    assert_eq!((spans[1].0, &spans[1].1), (4, &tags(&[("version", "8")])));
    assert!(spans.iter().all(|(_, _, numbers)| numbers["_sampling_priority_v1"] == 0.0), "{spans:?}");
}

#[test]
fn nothing_is_moved_where_the_first_span_stays_or_all_stay() {
    let first = span(1, 0, &[("env", "a")], &[P0, SINGLE]);
    let whole =
        array([array([first.clone(), span(2, 1, &[("env", "b")], &[("_sampling_priority_v1", 0.0)])])]);
    assert_eq!(through(&whole, "v0.4"), array([array([first])]));
    let mut failed = span(2, 1, &[], &[]);
    failed[0] += 1;
    failed.extend(b"\xa5error\x01");
    let error = array([array([span(1, 0, &[("env", "a")], &[P0]), failed])]);
    assert_eq!(through(&error, "v0.4"), error);
}

#[test]
fn a_span_without_maps_and_with_a_mark_gets_each_map_once() {
    // An analysed span has a number, so only `meta` can be missing; the mark of a top-level span comes on top.
    let body = array([
        array([span(1, 0, &[("env", "a")], &[P0]), span(2, 99, &[], &[SINGLE])]),
        array([span(3, 0, &[], &[P0]), span(4, 99, &[], &[SINGLE])]),
    ]);
    let wanted = Conversion::read(["drop-p0", "top-level", "to=v0.4"].into_iter()).unwrap();
    let spans = kept(&convert(&body, &wanted).unwrap().body);
    assert_eq!(spans[0].1, tags(&[("env", "a")]));
    for (_, _, numbers) in &spans {
        let names: Vec<_> = numbers.keys().map(String::as_str).collect();
        assert_eq!(names, ["_dd.span_sampling.mechanism", "_sampling_priority_v1", "_top_level"]);
    }
}
