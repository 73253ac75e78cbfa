//! Destinations that are no agent, from end to end against a scripted peer: what goes out, what an answer means,
//! what the account says, and that no key is shown.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
#[path = "support/otlp.rs"]
mod otlp;
mod support;

use data_pipeline::{
    AgentDestination, Builder, Compression, Destination, DropReason, ErrorKind, LogTarget, OtlpEncoding,
    OutputFormat, TraceExporter,
};
use msgpack::*;
use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, answer, say};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SECOND: Duration = Duration::from_secs(1);

fn peer(script: impl IntoIterator<Item = Step>) -> ScriptedAgent {
    ScriptedAgent::start(Listen::Tcp, script).info_in_script()
}

fn builder(to: impl Into<Destination>) -> Builder {
    TraceExporter::builder().destination(to).service("process").language("java").send_budget(20 * SECOND)
}

fn closed(exporter: &TraceExporter) -> data_pipeline::Metrics {
    let m = exporter.close().metrics;
    assert_eq!(m.received, m.accounted_for());
    m
}

fn ok() -> Step {
    Step::Say(answer(200, &[("Content-Type", "application/x-protobuf")], b""))
}

#[test]
fn otlp_goes_where_the_url_says_in_either_encoding() {
    for (path, encoding, content) in [
        ("", OtlpEncoding::Protobuf, "application/x-protobuf"),
        ("/own/path", OtlpEncoding::Json, "application/json"),
    ] {
        let peer = peer([say(202, "")]);
        let to = Destination::otlp(format!("{}{path}", peer.url)).encoding(encoding).header("x-team", "shop");
        let e = builder(to).header("x-all", "1").build().unwrap();
        let response = e.send(&payload([good_span(), good_span()])).unwrap();
        assert_eq!((response.status(), response.traces, response.spans), (202, 1, 2));
        let [request] = &peer.requests()[..] else { panic!("no question before, one request") };
        let expected = if path.is_empty() { "POST /v1/traces " } else { "POST /own/path " };
        assert!(request.head.starts_with(expected), "{}", request.head);
        for (name, value) in [("content-type", content), ("x-team", "shop"), ("x-all", "1")] {
            assert_eq!(request.header(name), Some(value), "{}", request.head);
        }
        let (resource, spans) = match encoding {
            OtlpEncoding::Json => otlp::from_json(&request.body),
            _ => otlp::from_protobuf(&request.body),
        };
        assert_eq!((resource["service.name"]["s"].as_str(), spans.len()), (Some("process"), 2));
        let m = closed(&e);
        assert_eq!((m.sent.traces, m.sent.spans, m.requests), (1, 2, 1));
    }
}

#[test]
fn what_a_partial_success_rejects_is_lost_and_never_sent_again() {
    let json = ("Content-Type", "application/json");
    let protobuf = ("Content-Type", "application/x-protobuf");
    for (header, body, rejected) in [
        (json, &br#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no time"}}"#[..], 1),
        (protobuf, b"\x0a\x0b\x08\x01\x12\x07no time", 1),
        (protobuf, b"\x0a\x0b\x08\x63\x12\x07no time", 2),
    ] {
        let peer = peer([Step::Say(answer(200, &[header], body))]);
        let e = builder(Destination::otlp(&peer.url)).build().unwrap();
        let response = e.send(&payload([good_span(), good_span()])).unwrap();
        assert_eq!(response.spans, 2 - rejected);
        assert!(e.explain().contains("no time"), "{}", e.explain());
        let m = closed(&e);
        assert_eq!(m.dropped_for(DropReason::RejectedByPeer).spans, rejected);
        assert_eq!(m.dropped_for(DropReason::RejectedByPeer).traces, rejected / 2);
        assert_eq!((m.sent.spans, peer.request_count()), (2 - rejected, 1));
    }
}

#[test]
fn only_429_502_503_and_504_are_tried_again() {
    for status in [429, 502, 503, 504] {
        let peer = peer([say(status, "wait"), ok()]);
        let e = builder(Destination::otlp(&peer.url)).build().unwrap();
        assert_eq!(e.send(&payload([good_span()])).unwrap().reply.attempts, 2, "{status}");
    }
    for status in [400, 401, 403, 404, 405, 408, 415, 422, 500, 501, 301] {
        let peer = peer([say(status, "never")]);
        let e = builder(Destination::otlp(&peer.url)).build().unwrap();
        let error = e.send(&payload([good_span()])).unwrap_err();
        assert_eq!((error.status(), peer.request_count()), (Some(status), 1), "{error}");
        assert!(
            error.message().contains(&format!("answered {status} to the request: \"never\"; ")),
            "{error}"
        );
        assert_eq!(closed(&e).sent.traces, 0);
    }
}

#[test]
fn a_receiver_is_given_the_time_it_asks_for() {
    let wait = Step::Say(answer(503, &[("Retry-After", "1")], b""));
    let peer = peer([wait, ok()]);
    let e = builder(Destination::otlp(&peer.url)).build().unwrap();
    let started = Instant::now();
    e.send(&payload([good_span()])).unwrap();
    assert!(started.elapsed() >= SECOND);
}

#[test]
fn what_is_too_large_goes_in_parts() {
    let peer = peer([say(413, "")]);
    let e = builder(Destination::otlp(&peer.url)).build().unwrap();
    let three = array([array([good_span()]), array([good_span()]), array([good_span()])]);
    assert_eq!(e.send(&three).unwrap().traces, 3);
    let requests = peer.requests();
    let spans: usize = requests[1..].iter().map(|r| otlp::from_protobuf(&r.body).1.len()).sum();
    assert!(requests.len() > 2 && spans == 3, "{}", requests.len());
    assert_eq!(closed(&e).sent.traces, 3);
}

#[test]
fn odd_answers_are_a_sentence_each() {
    let html = ("Content-Type", "text/html");
    for (step, word) in [
        (Step::Say(answer(200, &[html], b"<html>hello</html>")), "web page"),
        (
            Step::Say(answer(302, &[("Location", "http://u:s3cret@x/s3cret")], b"")),
            "redirects are not followed",
        ),
    ] {
        let peer = peer([step]);
        let e = builder(Destination::otlp(&peer.url)).send_budget(Duration::from_millis(50)).build().unwrap();
        let error = e.send(&payload([good_span()])).unwrap_err();
        assert!(error.message().contains(word) && !error.message().contains("s3cret"), "{error}");
    }
    for (headers, body) in [
        (&[("Content-Type", "application/json")][..], &b"garbage"[..]),
        (&[("Content-Type", "application/json"), ("Content-Encoding", "gzip")], b"\x1f\x8b"),
    ] {
        let peer = peer([Step::Say(answer(200, headers, body))]);
        let e = builder(Destination::otlp(&peer.url)).build().unwrap();
        assert_eq!(e.send(&payload([good_span()])).unwrap().traces, 1, "it was taken");
    }
}

#[test]
fn rejected_traces_stay_here_and_spans_are_obfuscated_unless_told_otherwise() {
    let p0 = map(fields().into_iter().map(|(key, value)| {
        if key == s("metrics") { (key, map([e("_sampling_priority_v1", int(-1))])) } else { (key, value) }
    }));
    let sql = map(fields().into_iter().map(|(key, value)| match () {
        () if key == s("type") => (key, s("sql")),
        () if key == s("resource") => (key, s("SELECT 42")),
        () => (key, value),
    }));
    let both = array([array([p0]), array([sql])]);
    for (to_log, kept) in [(false, 1), (true, 2)] {
        let peer = peer([]);
        let lines = Lines::default();
        let to = if to_log {
            Destination::from(Destination::log(LogTarget::writer(lines.clone())))
        } else {
            Destination::otlp(&peer.url).into()
        };
        let e = builder(to).build().unwrap();
        let response = e.send(&both).unwrap();
        assert_eq!((response.traces, response.left_out.sampled_out.traces), (kept, 2 - kept));
        let text = match to_log {
            true => String::from_utf8(lines.0.lock().unwrap().concat()).unwrap(),
            false => otlp::from_protobuf(&peer.requests()[0].body).1.last().unwrap()["name"].to_string(),
        };
        assert!(text.contains("SELECT ?"), "{text}");
    }
    let peer = peer([]);
    let e = builder(Destination::otlp(&peer.url)).obfuscate(false).drop_p0(false).build().unwrap();
    assert_eq!(e.send(&both).unwrap().traces, 2);
    let spans = otlp::from_protobuf(&peer.requests()[0].body).1;
    assert_eq!(spans[1]["name"], "SELECT 42");
}

#[test]
fn datadogs_otlp_intake_wants_a_key_and_a_mapping() {
    let peer = peer([say(202, ""), say(403, "no")]);
    let to = Destination::datadog_otlp("datadoghq.eu", KEY).url(&peer.url);
    let e = builder(to).build().unwrap();
    assert_eq!(e.send(&payload([good_span()])).unwrap().status(), 202);
    let request = &peer.requests()[0];
    assert_eq!(request.header("dd-api-key"), Some(KEY));
    assert_eq!(request.header("dd-otel-span-mapping"), Some(r#"{"span_name_as_resource_name":false}"#));
    assert_eq!(request.header("compute_stats"), Some("true"));
    let error = e.send(&payload([good_span()])).unwrap_err();
    assert!(error.message().contains("datadoghq.eu") && error.message().contains("***cdef"), "{error}");
    assert!(!error.message().contains(KEY) && !e.explain().contains(KEY));
    assert!(e.explain().contains("3200000"), "{}", e.explain());
}

#[test]
fn the_intake_gets_strict_json_and_its_refusals_name_site_and_key() {
    let peer = peer([say(202, ""), say(403, "Forbidden"), say(401, ""), say(404, "")]);
    let to = Destination::intake("us5.datadoghq.com", KEY).url(&peer.url).compression(Compression::None);
    let e = builder(to).language_version("17").tracer_version("1.2").build().unwrap();
    let two = array([array([good_span()]), array([good_span()])]);
    assert_eq!(e.send(&two).unwrap().traces, 2);
    let request = &peer.requests()[0];
    assert!(request.head.starts_with("POST /api/v2/spans "), "{}", request.head);
    for (name, value) in [
        ("dd-api-key", KEY),
        ("content-type", "application/json"),
        ("datadog-meta-lang", "java"),
        ("datadog-meta-lang-version", "17"),
        ("datadog-meta-tracer-version", "1.2"),
        ("x-datadog-trace-count", "2"),
    ] {
        assert_eq!(request.header(name), Some(value), "{}", request.head);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let span = &body["traces"][1]["spans"][0];
    assert_eq!(
        (&span["trace_id"], &span["meta"]["_dd.compute_stats"]),
        (&"0102030405060708".into(), &"1".into())
    );
    assert_eq!(
        (span["metrics"]["_trace_root"].as_i64(), span["metrics"]["_top_level"].as_i64()),
        (Some(1), Some(1))
    );
    for word in ["***cdef", "***cdef", "check the site"] {
        let error = e.send(&payload([good_span()])).unwrap_err();
        assert!(error.message().contains("us5.datadoghq.com") && error.message().contains(word), "{error}");
        assert!(!error.message().contains(KEY), "{error}");
    }
    assert!(!e.explain().contains(KEY) && !format!("{:?}", e.config()).contains(KEY));
    let lines: Vec<String> = e.take_log_lines().into_iter().map(|line| format!("{line:?}")).collect();
    assert!(!lines.concat().contains(KEY));
    assert_eq!(closed(&e).dropped_for(DropReason::Refused).traces, 3);
}

#[test]
fn stats_go_as_otlp_metrics_or_to_the_intake() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    let recent = payload([span_with("start", i64_(now - 1000))]);
    for encoding in [OtlpEncoding::Protobuf, OtlpEncoding::Json] {
        let peer = peer([]);
        let to = Destination::otlp(&peer.url).encoding(encoding);
        let e = builder(to).compute_stats(10 * SECOND).build().unwrap();
        e.send(&recent).unwrap();
        assert!(e.flush_stats(20 * SECOND));
        let requests = peer.requests();
        assert_eq!(requests[0].header("datadog-client-computed-stats"), Some("yes"));
        let request = requests.iter().find(|r| r.head.starts_with("POST /v1/metrics ")).expect("metrics");
        let text = String::from_utf8_lossy(&request.body).into_owned();
        for word in
            ["traces.span.sdk.metrics.duration", "GET /cart", "SPAN_KIND_INTERNAL", "telemetry.sdk.name"]
        {
            assert!(text.contains(word), "{text}");
        }
        let is_json = serde_json::from_slice::<Value>(&request.body).is_ok();
        assert_eq!(is_json, encoding == OtlpEncoding::Json);
        assert_eq!(e.stats().unwrap().sent, 1);
    }
    let peer = peer([]);
    let to = Destination::intake("datadoghq.com", KEY).url(&peer.url).compression(Compression::None);
    let e = builder(to).compute_stats(10 * SECOND).build().unwrap();
    e.send(&recent).unwrap();
    assert!(e.flush_stats(20 * SECOND));
    let requests = peer.requests();
    assert!(!String::from_utf8_lossy(&requests[0].body).contains("_dd.compute_stats"));
    let stats = requests.iter().find(|r| r.head.starts_with("POST /api/v0.2/stats ")).expect("stats");
    assert_eq!(stats.header("dd-api-key"), Some(KEY));
    let body = decode(&stats.body);
    let names: Vec<_> = body.as_map().unwrap().iter().map(|(key, _)| key.as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["AgentHostname", "AgentEnv", "Stats", "AgentVersion", "ClientComputed", "SplitPayload"]
    );
}

#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_lines_are_one_write_each_and_the_account_counts() {
    let lines = Lines::default();
    let large = span_with("meta", map([e("k", s(&"v".repeat(2000)))]));
    let to = Destination::log(LogTarget::writer(lines.clone())).max_line_bytes(1024);
    let e = builder(to).build().unwrap();
    let all = array([array((0..6).map(|_| good_span())), array([large])]);
    let response = e.send(&all).unwrap();
    assert_eq!((response.traces, response.spans), (1, 6));
    let written = lines.0.lock().unwrap().clone();
    assert!(written.len() > 1, "more than one line");
    for line in &written {
        assert!(line.ends_with(b"]]}\n") && line.len() <= 1024);
        serde_json::from_slice::<Value>(line).unwrap();
    }
    let m = closed(&e);
    assert_eq!((m.sent.traces, m.dropped_for(DropReason::PayloadTooLarge).traces), (1, 1));
}

#[test]
fn a_log_file_is_appended_to_and_one_that_cannot_be_written_is_named() {
    let path = std::env::temp_dir().join(format!("dp-log-{}", std::process::id()));
    std::fs::write(&path, "before\n").unwrap();
    let e = builder(Destination::log(LogTarget::File(path.clone()))).build().unwrap();
    e.offer(&payload([good_span()])).unwrap();
    assert!(e.flush(20 * SECOND).complete);
    closed(&e);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\n{\"traces\":[[{") && text.lines().count() == 2, "{text}");
    std::fs::remove_file(&path).unwrap();
    let e = builder(Destination::log(LogTarget::File("/no/such/folder/x".into()))).build().unwrap();
    let error = e.send(&payload([good_span()])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.message().contains("/no/such/folder/x") && error.message().contains("destination"),
        "{error}"
    );
}

#[test]
fn url_is_short_for_an_agent_and_the_two_do_not_go_together() {
    let agent = peer([]);
    let to: AgentDestination = Destination::agent(&agent.url);
    let e = TraceExporter::builder().destination(to.clone()).discovery(false).build().unwrap();
    e.send(&payload([good_span()])).unwrap();
    assert!(agent.requests()[0].head.starts_with("PUT /v0.4/traces "));
    let refused = |builder: Builder| builder.build().unwrap_err().message().to_owned();
    let message = refused(TraceExporter::builder().url("http://h:1").destination(to));
    assert!(message.starts_with("url has no effect with destination"), "{message}");
    let otlp = || builder(Destination::otlp("http://h:1"));
    let log = builder(Destination::log(LogTarget::Stdout));
    for (builder, message) in [
        (otlp().output_format(OutputFormat::V1), "outputFormat has no effect with"),
        (otlp().agent_filters(true), "agentFilters has no effect with"),
        (log.compute_stats(10 * SECOND), "computeStats has no effect with"),
    ] {
        let why = refused(builder);
        assert!(why.starts_with(message), "{why}");
    }
}

#[test]
fn a_receiver_that_is_gone_is_found_again() {
    let e = builder(Destination::otlp("http://127.0.0.1:9")).async_budget(30 * SECOND);
    let e = e.send_budget(Duration::from_millis(100)).build().unwrap();
    let error = e.send(&payload([good_span()])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(e.await_agent(Duration::from_millis(50)).is_err());
    let there = peer([say(405, "")]);
    let e = builder(Destination::otlp(&there.url)).build().unwrap();
    assert_eq!(e.await_agent(20 * SECOND).unwrap().map(|_| ()), None, "it has nothing to say of itself");
}
