//! Conversions of what is written twice or is no text, and what settings and the peer say about it. Each case failed
//! once.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
#[path = "support/wire.rs"]
mod wire;

use data_pipeline::convert::{Conversion, Converted, convert, convert_to};
use data_pipeline::format::{self, Encoding};
use data_pipeline::settings::{InputFormat, Metadata, OutputFormat};
use msgpack::*;
use rmpv::Value;

fn to(format: OutputFormat, from: InputFormat, body: &[u8]) -> Vec<u8> {
    convert(body, &Conversion { from, to: format, ..Conversion::default() }).unwrap().body
}

/// The maps of the first span of a v0.4 body, as the agent reads them: one map, the last on the wire counts.
fn tags(v04: &[u8]) -> Vec<(String, Value)> {
    let body = decode(v04);
    let span = body.as_array().unwrap()[0].as_array().unwrap()[0].as_map().unwrap().clone();
    let mut tags: Vec<(String, Value)> = Vec::new();
    for (key, value) in span {
        if let (Some("meta" | "metrics"), Some(map)) = (key.as_str(), value.as_map()) {
            for (key, value) in map {
                let key = lossy(key).unwrap();
                tags.retain(|(known, _)| *known != key);
                tags.push((key, value.clone()));
            }
        }
    }
    tags
}

fn tag(v04: &[u8], key: &str) -> Option<Value> {
    tags(v04).into_iter().find(|(k, _)| k == key).map(|(_, v)| v)
}

/// A span with both maps, in this order.
fn span_of(maps: [(&str, Bytes); 2]) -> Bytes {
    let fields = [e("service", s("a")), e("name", s("n")), e("trace_id", vec![1]), e("span_id", vec![1])];
    let maps = maps.into_iter().map(|(key, value)| e(key, value));
    payload([map(fields.into_iter().chain(maps))])
}

#[test]
fn of_a_key_in_meta_and_metrics_the_last_on_the_wire_counts_in_every_format() {
    let meta = || ("meta", map([e("other", s("x")), e("k", s("text"))]));
    let metrics = || ("metrics", map([e("k", f64_(6.0)), e("n", f64_(1.0))]));
    let plain = payload([map([e("service", s("b")), e("meta", map([e("q", s("t"))]))])]);
    for (v04, want) in [
        (span_of([meta(), metrics()]), Value::F64(6.0)),
        (span_of([metrics(), meta()]), Value::from("text")),
        // The same span after one that has the key in only one of the two.
        ([&[0x92], &plain[1..], &span_of([metrics(), meta()])[1..]].concat(), Value::from("text")),
    ] {
        let second = |body: Vec<u8>| -> Bytes {
            // The span in question is the last.
            let body = decode(&body);
            let last = body.as_array().unwrap().last().unwrap().clone();
            let mut out = vec![0x91];
            rmpv::encode::write_value(&mut out, &last).unwrap();
            out
        };
        assert_eq!(tag(&second(v04.clone()), "k"), Some(want.clone()), "the case itself");
        let v05 = to(OutputFormat::V05, InputFormat::V04, &v04);
        let v1 = to(OutputFormat::V1, InputFormat::V04, &v04);
        for (name, from, body) in [("v0.5", InputFormat::V05, &v05), ("v1", InputFormat::V1, &v1)] {
            let back = second(to(OutputFormat::V04, from, body));
            assert_eq!(tag(&back, "k"), Some(want.clone()), "{name}");
            assert_eq!(tag(&back, "n"), Some(Value::F64(1.0)), "{name}");
            assert_eq!(tag(&back, "other"), Some(Value::from("x")), "{name}");
        }
        let across = to(OutputFormat::V1, InputFormat::V05, &v05);
        assert_eq!(tag(&second(to(OutputFormat::V04, InputFormat::V1, &across)), "k"), Some(want), "both");
    }
}

#[test]
fn a_number_behind_a_text_counts_in_what_comes_from_v1() {
    // Attributes of a span: k is a text, then a number, then (in the second case) a text again.
    let attributes = |triples: &[(&str, u8, Bytes)]| {
        let all: Vec<Bytes> =
            triples.iter().flat_map(|(k, kind, v)| [s(k), vec![*kind], v.clone()]).collect();
        array(all)
    };
    let v1 = |attributes: Bytes| {
        let span = [vec![0x83, 4, 1, 2], s("n"), vec![9], attributes].concat();
        let chunk = [vec![0x82, 6], bin(&[1; 16]), vec![4, 0x91], span].concat();
        [vec![0x81, 11, 0x91], chunk].concat()
    };
    let text = |t: &str| ("k", 1, s(t));
    for (list, want) in [
        (vec![text("a"), ("k", 3, f64_(2.0))], Value::F64(2.0)),
        (vec![text("a"), ("k", 4, vec![7])], Value::from(7)),
        (vec![("k", 2, vec![0xc3]), ("k", 3, f64_(2.0))], Value::F64(2.0)),
        (vec![text("a"), ("k", 3, f64_(2.0)), text("b")], Value::from("b")),
        (vec![("k", 3, f64_(2.0)), text("b")], Value::from("b")),
        (vec![("k", 3, f64_(2.0)), ("x", 1, s("y"))], Value::F64(2.0)),
    ] {
        let body = to(OutputFormat::V04, InputFormat::V1, &v1(attributes(&list)));
        assert_eq!(tag(&body, "k"), Some(want), "{list:?}");
    }
}

#[test]
fn every_byte_that_is_no_text_becomes_one_mark() {
    let bad = text_of(b"a\xe6\x97");
    let link =
        map([e("trace_id", vec![1]), e("span_id", vec![2]), e("attributes", map([(s("l"), bad.clone())]))]);
    let typed = map([e("type", vec![0]), e("string_value", bad.clone())]);
    let event =
        map([e("time_unix_nano", vec![1]), e("name", bad.clone()), e("attributes", map([(s("e"), typed)]))]);
    let span = map([
        e("service", bad.clone()),
        e("name", s("n")),
        e("trace_id", vec![1]),
        e("span_id", vec![1]),
        e("meta", map([(bad.clone(), bad.clone()), e("v", bad.clone())])),
        e("span_links", array([link])),
        e("span_events", array([event])),
    ]);
    let v04 = payload([span]);
    let want = "a\u{fffd}\u{fffd}";
    let v05 = to(OutputFormat::V05, InputFormat::V04, &v04);
    let v1 = to(OutputFormat::V1, InputFormat::V04, &v04);
    for (from, body) in [(InputFormat::V05, &v05), (InputFormat::V1, &v1)] {
        let back = to(OutputFormat::V04, from, body);
        assert_eq!(tag(&back, "v"), Some(Value::from(want)), "{from:?}");
        assert_eq!(tag(&back, want), Some(Value::from(want)), "{from:?}");
        assert!(String::from_utf8_lossy(&back).contains("a\u{fffd}\u{fffd}"));
        assert!(!String::from_utf8_lossy(&back).contains("a\u{fffd}\""), "{from:?}: one mark for two bytes");
    }
    let events = tag(&to(OutputFormat::V04, InputFormat::V05, &v05), "events").unwrap();
    assert!(events.as_str().unwrap().contains(&format!("\"name\":\"{want}\"")), "{events}");
    assert!(events.as_str().unwrap().contains(&format!("\"e\":\"{want}\"")), "{events}");
}

fn without_events(body: &[u8], wanted: &Conversion) -> Converted {
    convert_to(body, &format::scanned_without_events(), wanted, &Metadata::default()).unwrap()
}

#[test]
fn a_peer_that_reads_no_events_gets_them_as_text() {
    let event = || map([e("time_unix_nano", vec![5]), e("name", s("e1"))]);
    let events = || ("span_events", array([event()]));
    let json = r#"[{"time_unix_nano":5,"name":"e1","attributes":{}}]"#;
    let unread = |body: &[u8]| {
        let got = without_events(body, &Conversion::default());
        assert_eq!(agent_accepts(&got.body), Ok(()));
        let text = String::from_utf8_lossy(&got.body).into_owned();
        assert!(!text.contains("span_events"), "{text}");
        got.body
    };
    for meta in [map([e("a", s("b"))]), map([]), nil()] {
        let got = unread(&span_of([("meta", meta), events()]));
        assert_eq!(tag(&got, "events"), Some(Value::from(json)));
    }
    // Without meta, and the maps the other way round.
    let got = unread(&span_of([events(), ("metrics", map([e("x", f64_(1.0))]))]));
    assert_eq!((tag(&got, "events"), tag(&got, "x")), (Some(Value::from(json)), Some(Value::F64(1.0))));
    // What the tracer has written itself stays.
    let got = unread(&span_of([("meta", map([e("events", s("mine"))])), events()]));
    assert_eq!(tag(&got, "events"), Some(Value::from("mine")));
    // No events: no text, and a list that says nothing goes too.
    let got = unread(&span_of([("meta", map([])), ("span_events", array([]))]));
    assert_eq!(tag(&got, "events"), None);
    // What has none is forwarded as it is.
    let plain = span_of([("meta", map([e("a", s("b"))])), ("metrics", map([]))]);
    assert_eq!(without_events(&plain, &Conversion::default()).body, plain);
    // Faults of events are repaired before they become text, also beside a mark and a filter.
    let faulty = map([e("time_unix_nano", f64_(7.0)), e("name", s("e2")), e("attributes", vec![1])]);
    let odd = span_of([("meta", map([e("a", vec![1])])), ("span_events", array([event(), faulty]))]);
    let wanted = Conversion { top_level: true, ..Conversion::default() };
    let got = without_events(&odd, &wanted);
    assert!(got.outcome.repaired > 0);
    let text = tag(&got.body, "events").unwrap();
    assert!(text.as_str().unwrap().contains(r#"{"time_unix_nano":7,"name":"e2","attributes":{}}"#), "{text}");
    assert_eq!(tag(&got.body, "_top_level"), Some(Value::from(1)));
    // From other formats likewise.
    let v1 = to(OutputFormat::V1, InputFormat::V04, &span_of([("meta", map([])), events()]));
    let got = without_events(&v1, &Conversion { from: InputFormat::V1, ..Conversion::default() });
    assert_eq!(tag(&got.body, "events"), Some(Value::from(json)));
}

#[test]
fn process_tags_are_the_payloads_in_v1() {
    let metadata = Metadata { process_tags: "a:b".into(), ..Metadata::default() };
    let v1 = |body: &[u8]| {
        let got =
            convert_to(body, &Encoding::from(OutputFormat::V1), &Conversion::default(), &metadata).unwrap();
        let back = to(OutputFormat::V04, InputFormat::V1, &got.body);
        tag(&back, "_dd.tags.process")
    };
    let span = |value: Option<&str>| {
        let tags = value.map(|v| e("_dd.tags.process", s(v)));
        span_of([("meta", map(tags)), ("metrics", map([]))])
    };
    assert_eq!(v1(&span(None)), Some(Value::from("a:b")));
    assert_eq!(v1(&span(Some("own:1"))), Some(Value::from("own:1")));
}

#[test]
fn attributes_of_a_payload_do_not_multiply_without_limit() {
    // 3,000 chunks, and one text of 100 KB that each of them would get.
    let chunk = [vec![0x82, 6], bin(&[1; 16]), vec![4, 0x91, 0x81, 4, 1]].concat();
    let long = text_of(&[b'x'; 100_000]);
    let body = [vec![0x82, 7], long, vec![11, 0xdd, 0, 0, 11, 184], chunk.repeat(3000)].concat();
    let error = convert(&body, &Conversion { from: InputFormat::V1, ..Conversion::default() }).unwrap_err();
    assert_eq!(error.kind(), data_pipeline::ErrorKind::PayloadTooLarge, "{error}");
    // The key of a list stands before each of its entries.
    let nested = |entries: usize| {
        let one = [s("a"), vec![1], s("")].concat();
        let list = [vec![0xdd], ((entries * 3) as u32).to_be_bytes().to_vec(), one.repeat(entries)].concat();
        let attributes = [vec![0x93], text_of(&[b'k'; 60_000]), vec![7], list].concat();
        let span = [vec![0x82, 4, 1, 9], attributes].concat();
        [vec![0x81, 11, 0x91, 0x82, 6], bin(&[1; 16]), vec![4, 0x91], span].concat()
    };
    let from_v1 = Conversion { from: InputFormat::V1, ..Conversion::default() };
    assert!(convert(&nested(3), &from_v1).is_ok());
    let error = convert(&nested(3000), &from_v1).unwrap_err();
    assert!(error.message().contains("a container with a shorter key"), "{error}");
}
