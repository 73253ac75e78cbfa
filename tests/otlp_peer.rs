//! What we send as OTLP, as the OpenTelemetry Collector's own receiver decodes it: every captured payload and 500
//! generated ones, in protobuf and JSON, plain, compressed, under TLS and with a certificate of ours, field by field
//! what the input was; and what its answers become. The program is named in `OTLP_PEER` (`scripts/oracle.sh otlp`
//! builds it: its options and what it writes stand in `scripts/otlp_peer.py`); without it the tests say that they were
//! left out.
#![cfg(all(feature = "tls", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/captured.rs"]
mod captured;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/msgpack.rs"]
mod msgpack;
#[path = "support/otlp.rs"]
mod otlp;
#[path = "support/tls.rs"]
mod tls;

use captured::captured;
use data_pipeline::convert::{Conversion, convert};
use data_pipeline::settings::{InputFormat, OutputFormat};
use data_pipeline::{Compression, Destination, DropReason, OtlpDestination, OtlpEncoding, TraceExporter};
use generate::{KINDS, Random};
use msgpack::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// The receiver, and the file to which it writes what it takes, a line of JSON a request.
struct Peer {
    process: Child,
    address: String,
    file: String,
}

impl Peer {
    /// `None` if there is no such program.
    fn start(name: &str, options: &[&str]) -> Option<Self> {
        let Ok(program) = std::env::var("OTLP_PEER") else {
            println!("left out: OTLP_PEER does not name the collector's receiver");
            return None;
        };
        let file = std::env::temp_dir().join(format!("dp-otlp-peer-{name}-{}", std::process::id()));
        let file = file.display().to_string();
        let _ = std::fs::remove_file(&file);
        let mut process = Command::new(program)
            .args(["-listen", "127.0.0.1:0", "-out", &file])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("OTLP_PEER starts");
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim().strip_prefix("listening ").expect("its first line").to_owned();
        Some(Self { process, address, file })
    }

    fn requests(&self) -> Vec<Value> {
        let lines = std::fs::read_to_string(&self.file).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The collector leaves out what is zero or empty; `otlp::from_json` wants times and lists.
fn filled(mut body: Value) -> Value {
    fn values(v: &mut Value) {
        match v {
            Value::Object(fields) => {
                if let Some(Value::Object(array)) = fields.get_mut("arrayValue") {
                    array.entry("values").or_insert_with(|| json!([]));
                }
                if fields.contains_key("value") {
                    fields.entry("key").or_insert_with(|| json!(""));
                }
                fields.values_mut().for_each(values);
            }
            Value::Array(all) => all.iter_mut().for_each(values),
            _ => {}
        }
    }
    values(&mut body);
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array_mut().into_iter().flatten() {
        let span = span.as_object_mut().unwrap();
        for time in ["startTimeUnixNano", "endTimeUnixNano"] {
            span.entry(time).or_insert_with(|| json!("0"));
        }
        for event in span.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
            let event = event.as_object_mut().unwrap();
            event.entry("timeUnixNano").or_insert_with(|| json!("0"));
            event.entry("name").or_insert_with(|| json!(""));
        }
    }
    body
}

/// An id of zeros is none to the collector.
fn without_zero_ids(span: &mut Value) {
    for id in ["trace", "span", "parent"] {
        if span[id].as_str().is_some_and(|text| text.bytes().all(|b| b == b'0')) {
            span[id] = json!("");
        }
    }
    for link in span.get_mut("links").and_then(Value::as_array_mut).into_iter().flatten() {
        without_zero_ids(link);
    }
}

/// Payloads with the spans that they must become.
fn payloads() -> Vec<(String, Vec<u8>, Vec<Value>)> {
    let mut all = captured();
    for kind in KINDS {
        for seed in 0..200 {
            let payload = generate::payload(kind, &mut Random(seed * 104_729 + kind as u64));
            all.push((format!("{kind:?} {seed}"), payload));
        }
    }
    let v04 = Conversion { to: OutputFormat::V04, from: InputFormat::V04, ..Conversion::default() };
    all.into_iter()
        .filter_map(|(name, payload)| {
            // What cannot be read goes nowhere; what was repaired goes as it then is.
            let made = convert(&payload, &v04).ok()?;
            let mut spans = otlp::expected(&decode(&made.body), "oracle");
            spans.iter_mut().for_each(without_zero_ids);
            (!spans.is_empty()).then_some((name, payload, spans))
        })
        .collect()
}

fn exporter(to: OtlpDestination, under_tls: bool, client: bool) -> TraceExporter {
    let builder = TraceExporter::builder()
        .destination(to)
        .service("oracle")
        .normalize(false)
        .obfuscate(false)
        .drop_p0(false)
        .client_computed_top_level(true)
        .send_budget(20 * SECOND);
    let builder = if under_tls { builder.ca_file(tls::file("ca.pem")) } else { builder };
    match client {
        true => builder.client_certificate(tls::file("client.pem"), tls::file("client.key")).build(),
        false => builder.build(),
    }
    .unwrap()
}

#[test]
fn the_collector_reads_what_the_input_was() {
    let (certificate, key, authority) = (tls::file("right.pem"), tls::file("right.key"), tls::file("ca.pem"));
    let under_tls = ["-cert", &certificate, "-key", &key];
    let with_client = ["-cert", &certificate, "-key", &key, "-client-ca", &authority];
    let ways: [(&str, Compression, &[&str]); 5] = [
        ("plain", Compression::None, &[]),
        ("gzip", Compression::Gzip, &[]),
        ("zstd", Compression::Zstd, &[]),
        ("tls", Compression::Zstd, &under_tls),
        ("client certificate", Compression::None, &with_client),
    ];
    let payloads = payloads();
    assert!(payloads.len() > 540, "500 generated ones among {}", payloads.len());
    for (way, compression, options) in ways {
        for encoding in [OtlpEncoding::Protobuf, OtlpEncoding::Json] {
            let Some(peer) = Peer::start(&format!("{}-{encoding:?}", way.replace(' ', "-")), options) else {
                return;
            };
            let scheme = if options.is_empty() { "http" } else { "https" };
            let to = Destination::otlp(format!("{scheme}://{}", peer.address)).encoding(encoding);
            let e = exporter(to.compression(compression), !options.is_empty(), options.len() > 4);
            for (name, payload, spans) in &payloads {
                let response = e.send(payload).unwrap_or_else(|e| panic!("{name} {way} {encoding:?}: {e}"));
                assert_eq!(response.spans, spans.len() as u64, "{name}");
            }
            let metrics = e.close().metrics;
            assert_eq!(
                metrics.received.spans,
                metrics.sent.spans + metrics.dropped.iter().map(|d| d.spans).sum::<u64>()
            );
            let requests = peer.requests();
            assert_eq!(requests.len(), payloads.len(), "{way} {encoding:?}");
            let mut compared = 0;
            for ((name, _, want), request) in payloads.iter().zip(requests) {
                let (resource, mut got) =
                    otlp::from_json(filled(request["body"].clone()).to_string().as_bytes());
                got.iter_mut().for_each(without_zero_ids);
                assert_eq!(resource["service.name"], json!({ "s": "oracle" }));
                assert_eq!(got.len(), want.len(), "{name} {way} {encoding:?}");
                for (i, (got, want)) in got.iter().zip(want).enumerate() {
                    assert_eq!(got, want, "{name} {way} {encoding:?} span {i}");
                }
                compared += got.len();
            }
            println!(
                "{way}, {encoding:?}: {} payloads, {compared} spans, equal to the input",
                payloads.len()
            );
        }
    }
}

#[test]
fn its_answers_are_heard() {
    let one = captured().swap_remove(0).1;
    for encoding in [OtlpEncoding::Protobuf, OtlpEncoding::Json] {
        let name = format!("answers-{encoding:?}");
        let Some(peer) = Peer::start(&name, &["-answers", "429:1,ok,503:1,ok,503,ok,400,partial:1,ok"])
        else {
            return;
        };
        let to = Destination::otlp(format!("http://{}", peer.address)).encoding(encoding);
        let e = exporter(to, false, false);
        for waits in [SECOND, SECOND, Duration::ZERO] {
            let started = Instant::now();
            let response = e.send(&one).unwrap();
            assert_eq!((response.reply.attempts, response.status()), (2, 200));
            assert!(started.elapsed() >= waits, "Retry-After is honoured");
        }
        let error = e.send(&one).unwrap_err();
        assert_eq!((error.status(), error.attempts()), (Some(400), 1));
        assert!(error.message().contains("told to answer 400"), "{error}");
        let before = e.metrics();
        let response = e.send(&one).unwrap();
        let after = e.metrics();
        assert_eq!(after.requests - before.requests, 1, "a partial success is not sent again");
        assert_eq!(after.dropped_for(DropReason::RejectedByPeer).spans, 1);
        assert!(e.explain().contains("the peer rejects some"), "{}", e.explain());
        assert_eq!(e.send(&one).unwrap().spans, response.spans + 1);
        let m = e.close().metrics;
        assert_eq!(m.received, m.accounted_for());
    }
}

#[test]
fn it_reads_our_trace_metrics_alike_in_both_encodings() {
    let mut seen = Vec::new();
    for encoding in [OtlpEncoding::Protobuf, OtlpEncoding::Json] {
        let Some(peer) = Peer::start(&format!("metrics-{encoding:?}"), &[]) else { return };
        let to = Destination::otlp(format!("http://{}", peer.address)).encoding(encoding);
        let e = TraceExporter::builder()
            .destination(to)
            .service("oracle")
            .runtime_id("r-1")
            .compute_stats(10 * SECOND)
            .stats_replay(true)
            .build()
            .unwrap();
        for (_, payload) in captured() {
            let _ = e.send(&payload);
        }
        assert!(e.flush_stats(30 * SECOND));
        let counted = e.stats().unwrap().counted;
        let bodies: Vec<Value> = peer
            .requests()
            .into_iter()
            .filter(|r| r["signal"] == "metrics")
            .map(|r| r["body"].clone())
            .collect();
        let mut points: Vec<Value> = Vec::new();
        for metric in
            bodies.iter().flat_map(|b| list(b, "resourceMetrics")).flat_map(|r| list(r, "scopeMetrics"))
        {
            for metric in list(metric, "metrics") {
                let of = ["histogram", "exponentialHistogram", "sum", "gauge"]
                    .into_iter()
                    .find(|k| metric.get(k).is_some());
                points.extend(
                    list(&metric[of.expect("a kind of metric")], "dataPoints")
                        .map(|p| json!([metric["name"], p])),
                );
            }
        }
        let hits: u64 = points.iter().filter_map(|p| p[1]["count"].as_str()?.parse::<u64>().ok()).sum();
        assert_eq!(hits, counted, "each span that was counted is in one histogram");
        points.sort_by_key(Value::to_string);
        println!("{encoding:?}: {} points, {hits} spans", points.len());
        seen.push(points);
    }
    assert!(!seen[0].is_empty() && seen[0] == seen[1]);
}

fn list<'v>(v: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    v[key].as_array().into_iter().flatten()
}
