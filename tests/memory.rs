//! Hostile payloads cost memory in proportion to their bytes: less than 16 times the input and 1 MiB, nothing
//! from declared sizes. A conversion can make a body that is much larger than its input (an empty trace is 1
//! byte in v0.4 and 23 in v1, an empty link 78 bytes of JSON in v0.5); it may take eight times that besides.

#![allow(clippy::unwrap_used)]

#[path = "support/alloc.rs"]
mod alloc;
#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::TraceExporter;
use data_pipeline::convert::{Conversion, convert};
use data_pipeline::settings::{InputFormat, OutputFormat};
use msgpack::*;
use std::time::Duration;
use support::{Listen, ScriptedAgent, say};

#[global_allocator]
static COUNTING: alloc::Counting = alloc::Counting;

const N: usize = 1 << 20;

fn head(marker: u8, n: usize) -> Bytes {
    [&[marker][..], &(n as u32).to_be_bytes()].concat()
}

/// The smallest things in the greatest number.
fn swarms() -> Vec<(&'static str, Bytes)> {
    let one_span = |key: &str, value: Bytes| [&[0x91, 0x91, 0x81][..], &s(key), &value].concat();
    let wide =
        |marker: u8, entry: &[u8]| [head(marker, N / entry.len()), entry.repeat(N / entry.len())].concat();
    vec![
        ("empty chunks", wide(0xdd, &[0x90])),
        ("nil chunks", wide(0xdd, &[0xc0])),
        ("nil spans", [vec![0x91], wide(0xdd, &[0xc0])].concat()),
        ("empty spans", [vec![0x91], wide(0xdd, &[0x80])].concat()),
        ("spans of four bytes", [vec![0x91], wide(0xdd, &[0x81, 0xa1, b'x', 0])].concat()),
        ("chunks of one empty span", wide(0xdd, &[0x91, 0x80])),
        ("chunks of one nil span", wide(0xdd, &[0x91, 0xc0])),
        ("bad metrics", one_span("metrics", wide(0xdf, &[0xa0, 0xc3]))),
        ("bad meta", one_span("meta", wide(0xdf, &[0xa0, 0xc3]))),
        ("floats of 32 bits", one_span("metrics", wide(0xdf, &[0xa0, 0xca, 0x3f, 0x80, 0, 0]))),
        ("bad keys", one_span("meta", wide(0xdf, &[0, 0xa0]))),
        ("bad spans keys", [vec![0x91, 0x91], wide(0xdf, &[0, 0])].concat()),
        ("links", one_span("span_links", wide(0xdd, &[0x80]))),
        ("bad links", one_span("span_links", wide(0xdd, &[0x81, 0xa0, 0]))),
        (
            "bad link flags",
            one_span("span_links", wide(0xdd, &[[0x81].to_vec(), s("flags"), vec![0xff]].concat())),
        ),
        ("events", one_span("span_events", wide(0xdd, &[0xc0]))),
        ("a deep value", one_span("other", vec![0x91; N])),
        ("empty tags", one_span("meta", wide(0xdf, &[0xa0, 0xa0]))),
    ]
}

/// Sizes that nobody has.
fn lies() -> Vec<(&'static str, Bytes)> {
    let lie = |marker: u8| [&[marker, 0xff, 0xff, 0xff, 0xf0][..], &[0x01; 64]].concat();
    vec![
        ("chunks", lie(0xdd)),
        ("spans", [vec![0x91], lie(0xdd)].concat()),
        ("keys", [vec![0x91, 0x91], lie(0xdf)].concat()),
        ("tags", [vec![0x91, 0x91, 0x81], s("meta"), lie(0xdf)].concat()),
        ("text", [vec![0x91, 0x91, 0x81], s("service"), lie(0xdb)].concat()),
        ("binary", [vec![0x91, 0x91, 0x81], s("meta_struct"), vec![0x81, 0xa0], lie(0xc6)].concat()),
        ("links", [vec![0x91, 0x91, 0x81], s("span_links"), lie(0xdd)].concat()),
    ]
}

/// The most memory of one send with a new exporter.
fn peak(agent: &ScriptedAgent, format: OutputFormat, body: &[u8]) -> u64 {
    alloc::peak_bytes(|| {
        let builder = TraceExporter::builder().url(&agent.url).output_format(format).compute_top_level(true);
        // Large bodies on a slow machine.
        let builder = builder.send_timeout(Duration::from_secs(120)).send_budget(Duration::from_secs(240));
        let exporter = builder.build().unwrap();
        exporter.await_agent(Duration::from_secs(5)).unwrap();
        let _ = exporter.send(body);
        let m = exporter.metrics();
        assert_eq!(m.received, m.accounted_for());
    })
}

#[test]
fn memory_stays_in_proportion_to_the_input() {
    let mut over = Vec::new();
    for (name, body) in swarms().into_iter().chain(lies()) {
        for format in [OutputFormat::V04, OutputFormat::V05, OutputFormat::V1] {
            let agent = ScriptedAgent::start(Listen::Tcp, []);
            // Nothing is split, so that the request says how large the output was.
            let takes_all = r#"{"endpoints":["/v0.4/traces","/v0.5/traces","/v1.0/traces"],
                "config":{"max_request_bytes":4000000000}}"#;
            agent.set_info([say(200, takes_all)]);
            let used = peak(&agent, format, &body);
            let sent = agent.requests().pop().map_or(0, |r| r.body.len() as u64);
            let output = if format == OutputFormat::V04 { 0 } else { 8 * sent };
            let limit = 16 * body.len() as u64 + output + (1 << 20);
            if used > limit {
                over.push(format!("{name} as {format:?}: {:.1} times", used as f64 / body.len() as f64));
            }
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

/// Lists and maps in which every second entry is one that no agent takes, and spans with many tags.
fn heavy() -> Vec<(String, Bytes)> {
    let one_span = |key: &str, value: Bytes| [&[0x91, 0x91, 0x81][..], &s(key), &value].concat();
    let wide = |marker: u8, count: usize, each: &dyn Fn(usize) -> Bytes| {
        [head(marker, count), (0..count).flat_map(each).collect()].concat()
    };
    let mut all = Vec::new();
    for (name, list, element) in [
        ("links without a map", "span_links", map([(s("trace_id"), vec![1]), (s("attributes"), vec![1])])),
        ("links whose flags are none", "span_links", map([(s("flags"), vec![0xff])])),
        ("links whose trace is a text", "span_links", map([(s("trace_id"), s("a"))])),
        ("links whose tag is a number", "span_links", map([(s("attributes"), map([(s("a"), vec![1])]))])),
        ("links whose key is a number", "span_links", vec![0x81, 0, 0]),
        ("links with an unknown key", "span_links", vec![0x81, 0xa0, 0]),
        ("events whose time is a text", "span_events", map([(s("time_unix_nano"), s("a"))])),
        (
            "events whose time is a float",
            "span_events",
            map([(s("time_unix_nano"), vec![0xca, 0x3f, 0x80, 0, 0])]),
        ),
        ("events whose tag is a number", "span_events", map([(s("attributes"), map([(s("a"), vec![1])]))])),
        ("events whose key is a number", "span_events", vec![0x81, 0, 0]),
        (
            "events with odd types",
            "span_events",
            map([(s("attributes"), map([(s("a"), map([(s("type"), s("x"))]))]))]),
        ),
        ("events", "span_events", map([(s("name"), s("a")), (s("time_unix_nano"), vec![1])])),
        ("links", "span_links", map([(s("trace_id"), vec![1]), (s("span_id"), vec![1])])),
    ] {
        all.push((name.to_owned(), one_span(list, wide(0xdd, N / element.len(), &|_| element.clone()))));
    }
    for count in [1000, 400_000] {
        let key = |i: usize| s(&format!("tag.{i}"));
        let n = |i: usize| s(&format!("{i}"));
        let texts = wide(0xdf, count, &|i| [key(i), n(i)].concat());
        let numbers = wide(0xdf, count, &|i| [key(i), f64_(i as f64)].concat());
        let small = wide(0xdf, count, &|i| [key(i), vec![1]].concat());
        let alike = wide(0xdf, count, &|_| [s("a"), s("")].concat());
        all.push((format!("{count} texts"), one_span("meta", texts)));
        all.push((format!("{count} numbers"), one_span("metrics", numbers)));
        all.push((format!("{count} small numbers"), one_span("metrics", small)));
        all.push((format!("{count} alike"), one_span("meta", alike)));
    }
    all
}

#[test]
fn a_conversion_takes_less_than_eight_times_its_payload() {
    let mut over = Vec::new();
    let mut measure = |name: &str, from: InputFormat, body: &[u8]| {
        for to in [OutputFormat::V04, OutputFormat::V05, OutputFormat::V1] {
            let mut output = 0;
            let wanted = Conversion { from, to, top_level: true, ..Conversion::default() };
            let used = alloc::peak_bytes(|| output = convert(body, &wanted).map_or(0, |c| c.body.len()));
            let times = |n: usize| n as f64 / body.len() as f64;
            let line = format!(
                "{name}, {from:?} to {to:?}: {:.1} times, output {:.1}",
                times(used as usize),
                times(output)
            );
            println!("{line}");
            // The string tables of a small payload.
            let free = 3 << 19;
            if used > 8 * body.len().max(output) as u64 + free {
                over.push(line);
            }
        }
    };
    for (name, body) in heavy() {
        measure(&name, InputFormat::V04, &body);
        for (from, to) in [(InputFormat::V05, OutputFormat::V05), (InputFormat::V1, OutputFormat::V1)] {
            if let Ok(converted) = convert(&body, &Conversion { to, ..Conversion::default() }) {
                measure(&name, from, &converted.body);
            }
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}
