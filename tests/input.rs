//! Every pair of formats through the exporter and through `convert`; damaged payloads of every format; what a native v1
//! tracer sends.

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
use data_pipeline::convert::{Conversion, convert};
use data_pipeline::format::detect;
use data_pipeline::settings::InputFormat;
use data_pipeline::settings::OutputFormat;
use data_pipeline::trace::{FilterRules, OnMalformed};
use data_pipeline::{ErrorKind, TraceExporter};
use support::msgpack::*;
use support::wire;

const OUTPUTS: [OutputFormat; 3] = [OutputFormat::V04, OutputFormat::V05, OutputFormat::V1];

fn to(body: &[u8], to: OutputFormat) -> Bytes {
    convert(body, &Conversion { from: InputFormat::Auto, to, ..Conversion::default() }).unwrap().body
}

fn input_of(format: OutputFormat) -> InputFormat {
    match format {
        OutputFormat::V04 => InputFormat::V04,
        OutputFormat::V05 => InputFormat::V05,
        OutputFormat::V1 => InputFormat::V1,
    }
}

fn fixtures() -> Vec<(String, Bytes)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let mut all = Vec::new();
    for dir in std::fs::read_dir(root).unwrap().flatten().filter(|d| d.path().is_dir()) {
        for file in std::fs::read_dir(dir.path()).unwrap().flatten() {
            if file.path().extension().is_some_and(|e| e == "msgpack") {
                all.push((file.path().display().to_string(), std::fs::read(file.path()).unwrap()));
            }
        }
    }
    assert!(all.len() > 40);
    all
}

/// A few spans with everything a span can have.
fn rich() -> Bytes {
    let link = map([
        e("trace_id", u64_(1)),
        e("trace_id_high", u64_(2)),
        e("span_id", u64_(3)),
        e("attributes", map([e("k", s("v"))])),
        e("tracestate", s("a=b")),
        e("flags", int(1)),
    ]);
    let event = map([
        e("time_unix_nano", u64_(7)),
        e("name", s("ev")),
        e("attributes", map([e("n", map([e("type", int(2)), e("int_value", int(-5))]))])),
    ]);
    let span = |id: u64, more: Vec<Entry>| {
        let mut all = vec![
            e("service", s("shop")),
            e("name", s("op")),
            e("resource", s("GET /")),
            e("trace_id", u64_(77)),
            e("span_id", u64_(id)),
            e("parent_id", u64_(id - 1)),
            e("start", int(1_700_000_000_000_000_000)),
            e("duration", int(5)),
            e("error", int(1)),
            e("meta", map([e("env", s("prod")), e("span.kind", s("server")), e("k", s("v"))])),
            e("metrics", map([e("m", f64_(1.5)), e("_sampling_priority_v1", f64_(1.0))])),
            e("type", s("web")),
        ];
        all.extend(more);
        map(all)
    };
    let full = vec![e("span_links", array([link])), e("span_events", array([event]))];
    array([array([span(1, full), span(2, vec![])]), array([span(1, vec![])])])
}

#[test]
fn every_pair_of_formats_is_the_same_spans() {
    let mut bodies = fixtures();
    bodies.push(("rich".to_owned(), rich()));
    for (name, v04) in bodies {
        let inputs = OUTPUTS.map(|f| (f, to(&v04, f)));
        for (from, body) in &inputs {
            if v04 != [0x90] && v04.len() > 2 {
                assert_eq!(detect(body), input_of(*from), "{name}");
            }
            for target in OUTPUTS {
                let out = to(body, target);
                // Once more through the same format changes nothing.
                assert_eq!(to(&out, target), out, "{name}: {from:?} to {target:?}");
                if *from == target {
                    assert_eq!(&out, body, "{name}: {from:?} unchanged");
                }
                if target == OutputFormat::V04 {
                    assert_eq!(agent_accepts(&out), Ok(()), "{name}: {from:?}");
                }
            }
        }
    }
}

#[test]
fn an_exporter_takes_every_format() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for from in OUTPUTS {
        let body = to(&rich(), from);
        for output in OUTPUTS {
            for input in [input_of(from), InputFormat::Auto] {
                let e = TraceExporter::builder().url(&agent.url).input_format(input).output_format(output);
                let e = e.discovery(false).build().unwrap();
                let response = e.send(&body).unwrap();
                assert_eq!((response.traces, response.spans), (2, 3), "{from:?} to {output:?}");
                let got = agent.requests().pop().unwrap();
                assert!(got.head.starts_with(&format!("PUT {} ", output.path())));
                let claimed = got.header("datadog-client-computed-top-level").is_some();
                let marked = got.body.windows(10).any(|w| w == b"_top_level");
                assert_eq!(claimed, marked, "{from:?} as {input:?} to {output:?}");
                if input == input_of(output) {
                    assert_eq!(got.body, body, "what need not change goes on as it came");
                }
                let m = e.metrics();
                assert_eq!(m.received, m.accounted_for());
                assert_eq!((m.received.traces, m.sent.spans, m.received.bytes), (2, 3, body.len() as u64));
            }
        }
    }
}

#[test]
fn stages_work_on_every_format_and_the_account_is_in_bytes_of_the_input() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for from in OUTPUTS {
        let body = to(&rich(), from);
        let e = TraceExporter::builder().url(&agent.url).input_format(input_of(from)).reject_tag("k:v");
        let e = e.discovery(false).build().unwrap();
        e.send(&body).unwrap();
        let m = e.metrics();
        assert_eq!((m.filtered.traces, m.filtered.spans), (2, 3), "{from:?}");
        assert_eq!(m.received, m.accounted_for(), "{from:?}: {m:#?}");
        let wanted = Conversion {
            from: input_of(from),
            filters: FilterRules { require: vec!["nowhere".into()], ..FilterRules::default() },
            ..Conversion::default()
        };
        let none = convert(&body, &wanted).unwrap();
        assert_eq!((none.traces, none.outcome.filtered.traces), (0, 2));
    }
}

/// Cut anywhere, any byte changed: an error with a place or fewer traces, never a panic, and the account closed.
#[test]
fn damage_is_survived_in_every_format() {
    for from in OUTPUTS {
        let body = to(&rich(), from);
        for policy in [OnMalformed::Repair, OnMalformed::Drop, OnMalformed::Fail] {
            for target in OUTPUTS {
                let wanted = Conversion {
                    from: input_of(from),
                    to: target,
                    on_malformed: policy,
                    ..Conversion::default()
                };
                let mut damaged = Vec::new();
                for cut in 0..body.len() {
                    damaged.push(body[..cut].to_vec());
                }
                for at in 0..body.len() {
                    for v in
                        [0x00, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc3, 0xcb, 0xcf, 0xdb, 0xdd, 0xdf, 0xff]
                    {
                        let mut other = body.clone();
                        other[at] = v;
                        damaged.push(other);
                    }
                }
                for bytes in damaged {
                    match convert(&bytes, &wanted) {
                        Ok(c) => {
                            let o = c.outcome;
                            let left = c.received.spans - o.malformed.spans.min(c.received.spans);
                            assert!(c.spans <= left, "{from:?} {target:?} {c:?}");
                            assert_eq!(c.traces + o.malformed.traces, c.received.traces);
                            if target == OutputFormat::V04 && policy != OnMalformed::Fail && from != target {
                                assert_eq!(agent_accepts(&c.body), Ok(()), "{from:?} {bytes:x?}");
                            }
                        }
                        Err(error) => {
                            assert!(error.message().contains("offset"), "{error}");
                            assert!(matches!(
                                error.kind(),
                                ErrorKind::MalformedPayload | ErrorKind::TruncatedPayload
                            ));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_fault_costs_its_chunk_and_no_other() {
    // Three chunks; the second has a span id that is text.
    let chunk = |id: Bytes| array([map([e("trace_id", u64_(1)), e("span_id", id), e("name", s("op"))])]);
    let good = array([chunk(u64_(5)), chunk(u64_(6)), chunk(u64_(7))]);
    for from in [OutputFormat::V05, OutputFormat::V1] {
        let mut body = to(&good, from);
        let at = body.windows(9).position(|w| w == [0xcf, 0, 0, 0, 0, 0, 0, 0, 6]);
        match at {
            Some(at) => body[at] = 0xcb,
            None => {
                // v0.5 writes small numbers as one byte: [.., trace id 1, span id 6, ..].
                let at = body.windows(2).rposition(|w| w == [1, 6]).unwrap();
                body[at + 1] = 0xc3;
            }
        }
        let wanted = Conversion { from: input_of(from), ..Conversion::default() };
        let out = convert(&body, &wanted).unwrap();
        assert_eq!((out.traces, out.spans, out.outcome.malformed.traces), (2, 2, 1), "{from:?}");
        assert!(out.first_fault.unwrap().starts_with("trace 1, span 0, offset "));
        let ids: Vec<_> = wire::v04(&out.body).iter().map(|c| c[0].as_ref().unwrap().span_id).collect();
        assert_eq!(ids, [5, 7]);
        let wanted = Conversion { on_malformed: OnMalformed::Fail, ..wanted };
        assert_eq!(convert(&body, &wanted).unwrap_err().kind(), ErrorKind::MalformedPayload);
    }
}

/// Fields in another order than ours, facts of chunk and payload behind the spans, typed attributes, numbers of strings
/// from fields that nobody knows.
#[test]
fn a_native_v1_payload_becomes_v04() {
    let text = |t: &str| s(t);
    let trace_id = [&[0xc4u8, 16][..], &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 4]].concat();
    let keyed = |entries: Vec<(u8, Bytes)>| {
        let mut out = vec![0x80 | entries.len() as u8];
        for (key, value) in entries {
            out.push(key);
            out.extend(value);
        }
        out
    };
    let attributes = array([
        text("flag"),
        int(2),
        bool_(true),
        text("ratio"),
        int(3),
        f64_(0.5),
        text("count"),
        int(4),
        int(-3),
        text("blob"),
        int(5),
        bin(b"\x81\xa1a\x01"),
        text("list"),
        int(6),
        array([int(1), text("x"), int(6), array([int(4), int(2)])]),
        text("user"),
        int(7),
        array([text("name"), int(1), text("bob")]),
    ]);
    let span = keyed(vec![
        (99, array([text("svc"), text("never used before")])),
        (4, u64_(31)),
        (1, int(1)),
        (2, text("op")),
        (9, attributes),
        (16, int(2)),
        (6, int(1000)),
        (7, int(10)),
        (8, bool_(true)),
        (13, text("prod")),
        (3, int(2)),
    ]);
    let other = keyed(vec![(4, u64_(32)), (5, u64_(31)), (2, text("op2")), (6, int(1))]);
    let chunk = keyed(vec![
        (4, array([span, other])),
        (2, text("lambda")),
        (1, int(2)),
        (7, int(4)),
        (3, array([text("team"), int(1), text("core"), text("w"), int(4), int(8)])),
        (6, trace_id),
    ]);
    let body = keyed(vec![
        (3, text("java")),
        (11, array([chunk])),
        (8, text("host")),
        (9, text("1.2")),
        (10, array([text("p"), int(1), text("q")])),
    ]);
    let out = convert(&body, &Conversion { from: InputFormat::Auto, ..Conversion::default() }).unwrap();
    let chunks = wire::v04(&out.body);
    let first = chunks[0][0].clone().unwrap();
    let meta: Vec<_> = first.meta.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        meta,
        [
            ("_dd.hostname", "host"),
            ("_dd.origin", "lambda"),
            ("_dd.p.dm", "-4"),
            ("_dd.p.tid", "0000000000000009"),
            ("env", "prod"),
            ("flag", "true"),
            ("list.0", "x"),
            ("p", "q"),
            ("span.kind", "server"),
            ("team", "core"),
            ("user.name", "bob"),
            ("version", "1.2"),
        ]
    );
    let metrics: Vec<_> = first.metrics.iter().map(|(k, v)| (k.as_str(), f64::from_bits(*v))).collect();
    assert_eq!(
        metrics,
        [("_sampling_priority_v1", 2.0), ("count", -3.0), ("list.1.0", 2.0), ("ratio", 0.5), ("w", 8.0)]
    );
    assert_eq!((first.service.as_str(), first.name.as_str(), first.resource.as_str()), ("java", "op", "svc"));
    assert_eq!((first.trace_id, first.span_id, first.error, first.duration), (4, 31, 1, 10));
    assert_eq!(first.meta_struct.len(), 1);
    let second = chunks[0][1].clone().unwrap();
    assert_eq!((second.trace_id, second.parent_id, second.name.as_str()), (4, 31, "op2"));
    assert!(second.meta.is_empty() && second.metrics.is_empty());
}

#[test]
fn hostile_v1_and_v05_end_with_a_place() {
    let deep = {
        let mut v = vec![0x81, 10, 0x93, 0xa1, b'k'];
        for _ in 0..5000 {
            v.extend([6, 0x92]);
        }
        v
    };
    for (name, body) in [
        ("no such string", vec![0x81, 7, 5]),
        ("a number that is its own", vec![0x81, 3, 1]),
        ("2^32 declared chunks", vec![0x81, 11, 0xdd, 0xff, 0xff, 0xff, 0xff]),
        ("2^32 declared entries", vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        ("a bomb", deep),
        ("2^32 strings", vec![0x92, 0xdd, 0xff, 0xff, 0xff, 0xff, 0xa0]),
        ("index out of range", [&[0x92, 0x91, 0xa0, 0x91, 0x91, 0x9c, 1][..], &[0; 11]].concat()),
        ("thirteen fields", [&[0x92, 0x91, 0xa0, 0x91, 0x91, 0x9d][..], &[0; 13]].concat()),
    ] {
        let wanted = Conversion { from: InputFormat::Auto, ..Conversion::default() };
        let error = convert(&body, &wanted).unwrap_err();
        assert!(error.message().contains("offset"), "{name}: {error}");
    }
}

/// Payloads of v0.5 and v1 for the fuzzer to start from.
#[test]
#[ignore = "writes files for scripts/fuzz.sh"]
fn writes_fuzz_seeds() {
    let Ok(seeds) = std::env::var("FUZZ_SEEDS") else { return };
    for (format, name) in [(OutputFormat::V05, "v05_in"), (OutputFormat::V1, "v1_in")] {
        let dir = format!("{seeds}_{name}");
        std::fs::create_dir_all(&dir).unwrap();
        let all = fixtures().into_iter().map(|f| f.1).filter(|b| b.len() < 8000).chain([rich()]);
        for (i, v04) in all.enumerate() {
            std::fs::write(format!("{dir}/{i}"), to(&v04, format)).unwrap();
        }
    }
}
