//! The captured payloads of seven tracers (tests/fixtures/traces): what the Go agent accepts arrives byte for byte, the
//! two that it refuses get an error with the place, or are repaired.

#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod agent;
mod support {
    #[path = "msgpack.rs"]
    pub mod msgpack;
}

use agent::{ScriptedAgent, TRANSPORTS};
use data_pipeline::trace::OnMalformed;
use data_pipeline::{ErrorKind, TraceExporter};
use rmpv::Value;
use std::path::PathBuf;
use support::msgpack::{agent_accepts, decode};

/// What the README of the fixtures says of one file.
struct Real {
    name: String,
    bytes: Vec<u8>,
    traces: u64,
    spans: u64,
    accepted: bool,
}

fn real_payloads() -> Vec<Real> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let mut all = Vec::new();
    for line in readme.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').to_owned();
        let Ok(bytes) = std::fs::read(root.join(format!("{name}.msgpack"))) else { continue };
        assert_eq!(cells[3].parse::<usize>().unwrap(), bytes.len(), "{name}");
        let (traces, spans) = (cells[4].parse().unwrap(), cells[5].parse().unwrap());
        all.push(Real { name, bytes, traces, spans, accepted: line.contains("| accepts |") });
    }
    assert_eq!(all.len(), 46);
    assert_eq!(all.iter().filter(|r| !r.accepted).count(), 2);
    all
}

#[test]
fn the_test_s_own_reader_agrees_with_the_agent() {
    for real in real_payloads() {
        assert_eq!(agent_accepts(&real.bytes).is_ok(), real.accepted, "{}", real.name);
    }
}

#[test]
fn every_payload_that_the_agent_accepts_arrives_byte_for_byte() {
    for &transport in TRANSPORTS {
        for policy in [OnMalformed::Fail, OnMalformed::Repair] {
            let agent = ScriptedAgent::start(transport, []);
            let builder = TraceExporter::builder().url(&agent.url).on_malformed(policy);
            let exporter = builder.discovery(false).build().unwrap();
            let mut sent = (0, 0, 0);
            let mut requests = 0;
            for real in real_payloads().into_iter().filter(|r| r.accepted) {
                let response = exporter.send(&real.bytes).unwrap_or_else(|e| panic!("{}: {e}", real.name));
                assert_eq!((response.traces, response.spans), (real.traces, real.spans), "{}", real.name);
                if real.name == "go/005" {
                    assert_eq!(
                        (response.status(), response.attempts()),
                        (0, 0),
                        "an empty list needs no request"
                    );
                    assert_eq!(agent.requests().len(), requests);
                } else {
                    requests += 1;
                    assert_eq!((response.status(), response.attempts()), (200, 1), "{}", real.name);
                    let got = agent.requests().pop().unwrap();
                    assert!(got.body == real.bytes, "{}: other bytes arrived on {transport:?}", real.name);
                    let count = real.traces.to_string();
                    assert_eq!(got.header("x-datadog-trace-count"), Some(count.as_str()), "{}", real.name);
                }
                sent = (sent.0 + real.traces, sent.1 + real.spans, sent.2 + real.bytes.len() as u64);
            }
            assert_eq!(agent.requests().len(), requests);
            assert_eq!(agent.connections(), 1, "the connection is kept");
            let m = exporter.metrics();
            assert_eq!((m.sent.traces, m.sent.spans, m.sent.bytes), sent);
            assert_eq!(m.received, m.accounted_for());
            assert_eq!((m.repaired, m.requests), (0, requests as u64));
        }
    }
}

#[test]
fn the_two_that_the_agent_refuses_get_an_error_with_the_place() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    let exporter = TraceExporter::builder().url(&agent.url).on_malformed(OnMalformed::Fail).build().unwrap();
    let want = [
        (
            "node/003",
            "trace 6, span 6, span_events, offset ",
            "found a 64-bit float where an integer belongs",
        ),
        ("node/004", "trace 7, span 6, metrics[\"bytes\"], offset ", "found a string where a number belongs"),
    ];
    for real in real_payloads().into_iter().filter(|r| !r.accepted) {
        let (_, place, why) = want.iter().find(|w| w.0 == real.name).unwrap();
        let error = exporter.send(&real.bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MalformedPayload);
        assert!(error.message().starts_with(place), "{}: {error}", real.name);
        assert!(error.message().contains(why), "{}: {error}", real.name);
    }
    assert_eq!(agent.requests().len(), 0);
    let m = exporter.metrics();
    assert_eq!(m.received, m.accounted_for());
    assert_eq!(m.dropped_total(), m.received);
}

/// What the two payloads should be: event times as integers, the buffer's metric left out.
fn mended(v: &Value) -> (Value, u64) {
    let mut n = 0;
    let chunks = v.as_array().unwrap().iter().map(|chunk| {
        Value::Array(chunk.as_array().unwrap().iter().map(|span| mended_span(span, &mut n)).collect())
    });
    (Value::Array(chunks.collect()), n)
}

fn mended_span(span: &Value, n: &mut u64) -> Value {
    let mut entries = span.as_map().unwrap().clone();
    for (key, value) in &mut entries {
        match (key.as_str(), value) {
            (Some("metrics"), Value::Map(metrics)) => {
                let before = metrics.len();
                metrics.retain(|(_, v)| !matches!(v, Value::String(_)));
                *n += (before - metrics.len()) as u64;
            }
            (Some("span_events"), Value::Array(events)) => {
                for event in events.iter_mut() {
                    let Value::Map(event) = event else { continue };
                    for (key, value) in event {
                        if key.as_str() == Some("time_unix_nano")
                            && let Value::F64(time) = value
                        {
                            assert_eq!(time.fract(), 0.0);
                            *value = Value::from(*time as u64);
                            *n += 1;
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Value::Map(entries)
}

#[test]
fn the_two_that_the_agent_refuses_arrive_repaired() {
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, []);
        for real in real_payloads().into_iter().filter(|r| !r.accepted) {
            let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
            let response = exporter.send(&real.bytes).unwrap();
            assert_eq!((response.traces, response.spans), (real.traces, real.spans), "{}", real.name);
            let got = agent.requests().pop().unwrap().body;
            assert_eq!(agent_accepts(&got), Ok(()), "{}", real.name);
            let (want, repairs) = mended(&decode(&real.bytes));
            assert!(decode(&got) == want, "{}", real.name);
            let m = exporter.metrics();
            assert_eq!((m.repaired, m.sent.traces), (repairs, real.traces), "{}", real.name);
            assert!(repairs > 0);
            assert_eq!(m.received, m.accounted_for());
        }
    }
}

#[test]
fn dropping_loses_only_the_chunks_that_have_faults() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    for real in real_payloads().into_iter().filter(|r| !r.accepted) {
        let exporter =
            TraceExporter::builder().url(&agent.url).on_malformed(OnMalformed::Drop).build().unwrap();
        let response = exporter.send(&real.bytes).unwrap();
        let all = decode(&real.bytes);
        let good: Vec<Value> = all
            .as_array()
            .unwrap()
            .iter()
            .filter(|chunk| mended(&Value::Array(vec![(*chunk).clone()])).1 == 0)
            .cloned()
            .collect();
        assert_eq!(response.traces, good.len() as u64);
        assert!(decode(&agent.requests().pop().unwrap().body) == Value::Array(good), "{}", real.name);
        let m = exporter.metrics();
        assert_eq!((m.received.traces, m.received.spans), (real.traces, real.spans));
        assert_eq!(m.received, m.accounted_for());
    }
}
