//! Instrumentation telemetry and our own losses, from end to end: what a peer gets, when, and what it costs if it does
//! not.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::DroppedP0;
use data_pipeline::{Builder, Destination, LogTarget, TraceExporter};
use msgpack::*;
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use support::{Listen, Recorded, ScriptedAgent, Step, TRANSPORTS, answer, patient, say};

const PROXY: &str = "POST /telemetry/proxy/api/v2/apmtelemetry HTTP/1.1";
/// So long that only `close` sends.
const LONG: Duration = Duration::from_secs(3600);

fn agent() -> ScriptedAgent {
    ScriptedAgent::start(Listen::Tcp, [])
}

fn toward(agent: &ScriptedAgent) -> Builder {
    TraceExporter::builder()
        .url(&agent.url)
        .discovery(false)
        .service("shop")
        .env("prod")
        .version("1.2")
        .language("java")
        .language_version("21")
        .tracer_version("0.9")
        .runtime_id("rid")
        .hostname("here")
}

fn two_traces() -> Vec<u8> {
    array([array([good_span(), good_span()]), array([good_span()])])
}

/// The messages among these requests.
fn messages(requests: &[Recorded]) -> Vec<(&Recorded, Value)> {
    let is_telemetry = |r: &&Recorded| r.head.contains("/apmtelemetry ");
    requests.iter().filter(is_telemetry).map(|r| (r, serde_json::from_slice(&r.body).unwrap())).collect()
}

/// The counts of a message, `name{tags}=value`, sorted.
fn counts(message: &Value) -> Vec<String> {
    let batch = message["payload"].as_array().unwrap();
    let metrics = batch.iter().find(|part| part["request_type"] == "generate-metrics");
    let series = metrics.map(|part| part["payload"]["series"].as_array().unwrap().clone());
    let mut all: Vec<String> = series.unwrap_or_default().iter().map(count).collect();
    all.sort();
    all
}

fn count(serie: &Value) -> String {
    assert_eq!(
        (&serie["namespace"], &serie["type"], &serie["common"]),
        (&json!("tracers"), &json!("count"), &json!(true))
    );
    let tags: Vec<&str> = serie["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    let points = serie["points"].as_array().unwrap();
    assert_eq!(points.len(), 1);
    assert!(points[0][0].as_u64().unwrap() > 1_700_000_000);
    format!("{}{{{}}}={}", serie["metric"].as_str().unwrap(), tags.join(","), points[0][1])
}

fn explained(e: &TraceExporter) -> Value {
    serde_json::from_str::<Value>(&e.explain()).unwrap()["telemetry"].clone()
}

#[test]
fn the_message_has_the_references_shape_and_names() {
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, [say(200, "{}"), say(400, "no"), say(202, "")]);
        let e = toward(&agent)
            .telemetry(LONG)
            .telemetry_debug(true)
            .telemetry_session_id("s")
            .telemetry_root_session_id("s")
            .telemetry_parent_session_id("p")
            .test_session_token("tok")
            .build()
            .unwrap();
        e.send(&two_traces()).unwrap();
        e.send(&two_traces()).unwrap_err();
        let bytes = two_traces().len();
        e.close();
        let requests = agent.stop();
        let [(request, message)] = &messages(&requests)[..] else { panic!("one message") };
        assert!(request.head.starts_with(PROXY), "{}", request.head);
        for (name, value) in [
            ("content-type", "application/json"),
            ("dd-telemetry-request-type", "message-batch"),
            ("dd-telemetry-api-version", "v2"),
            ("dd-client-library-language", "java"),
            ("dd-client-library-version", "0.9"),
            ("dd-telemetry-debug-enabled", "true"),
            ("dd-session-id", "s"),
            ("dd-parent-session-id", "p"),
            ("x-datadog-test-session-token", "tok"),
        ] {
            assert_eq!(request.header(name), Some(value), "{name}");
        }
        assert_eq!(request.header("dd-root-session-id"), None, "it is that of the session");
        for (key, value) in [
            ("api_version", json!("v2")),
            ("runtime_id", json!("rid")),
            ("seq_id", json!(1)),
            ("request_type", json!("message-batch")),
            (
                "application",
                json!({"service_name": "shop", "service_version": "1.2", "env": "prod", "language_name": "java",
                    "language_version": "21", "tracer_version": "0.9"}),
            ),
            (
                "host",
                json!({"hostname": "here", "os": std::env::consts::OS, "architecture": std::env::consts::ARCH}),
            ),
        ] {
            assert_eq!(message[key], value, "{key}");
        }
        assert!(message["tracer_time"].as_u64().unwrap() > 1_700_000_000);
        let us = "src_library:data-pipeline";
        let mut expected = [
            format!("trace_api.requests{{{us}}}=2.0"),
            format!("trace_api.errors{{{us},type:status_code}}=1.0"),
            format!("trace_api.responses{{{us},status_code:200}}=1.0"),
            format!("trace_api.responses{{{us},status_code:400}}=1.0"),
            format!("trace_chunks_sent{{{us}}}=2.0"),
            format!("trace_chunks_dropped{{{us},reason:send_failure}}=2.0"),
            "spans_enqueued_for_serialization{}=6.0".to_owned(),
            "spans_dropped{reason:api_error}=3.0".to_owned(),
            format!("datadog.tracer.exporter.dropped.traces{{{us},reason:refused}}=2.0"),
            format!("datadog.tracer.exporter.dropped.spans{{{us},reason:refused}}=3.0"),
        ];
        expected.sort();
        assert_eq!(counts(message), expected);
        let sketches = &message["payload"][1];
        assert_eq!(sketches["request_type"], "sketches");
        let sketch = &sketches["payload"]["series"][0];
        assert_eq!(
            (&sketch["metric"], &sketch["type"], &sketch["tags"], &sketch["interval"]),
            (&json!("trace_api.bytes"), &json!("distribution"), &json!([us]), &json!(3600))
        );
        assert!(sketch["sketch_b64"].as_str().unwrap().len() > 20 && bytes > 0);
    }
}

#[test]
fn it_is_sent_once_an_interval_and_only_when_something_has_happened() {
    let agent = agent();
    let e = toward(&agent).telemetry(Duration::from_millis(100)).build().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert!(agent.requests().is_empty(), "nothing has happened");
    e.send(&two_traces()).unwrap();
    agent.await_requests(2);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(agent.request_count(), 2, "and nothing since");
    e.send(&two_traces()).unwrap();
    agent.await_requests(4);
    e.close();
    let requests = agent.stop();
    let all = messages(&requests);
    assert_eq!(all.iter().map(|(_, m)| m["seq_id"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for (_, message) in &all {
        assert!(counts(message).contains(&"trace_chunks_sent{src_library:data-pipeline}=2.0".to_owned()));
    }
}

#[test]
fn without_the_setting_nothing_goes_out() {
    let agent = agent();
    let e = toward(&agent).build().unwrap();
    e.send(&two_traces()).unwrap();
    assert!(explained(&e).is_null());
    e.close();
    assert_eq!(agent.stop().len(), 1);
}

#[test]
fn what_did_not_arrive_is_told_the_next_time_and_what_may_have_is_not() {
    let agent = ScriptedAgent::start(
        Listen::Tcp,
        [
            say(200, "{}"),
            say(404, "no such proxy"),
            // On a connection of its own nothing is a matter of age.
            Step::SayAndClose(answer(200, &[], b"{}")),
            Step::CloseAfterBody,
        ],
    );
    let interval = patient(Duration::from_millis(400));
    let e = toward(&agent).telemetry(interval).build().unwrap();
    e.send(&two_traces()).unwrap();
    agent.await_requests(2);
    let until = Instant::now() + patient(Duration::from_secs(5));
    while explained(&e)["messages_failed"] != 1 {
        assert!(Instant::now() < until, "{}", explained(&e));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(explained(&e)["last_error"]["status"], 404);
    e.send(&two_traces()).unwrap();
    agent.await_requests(4);
    std::thread::sleep(interval / 4);
    let m = e.close().metrics;
    assert_eq!((m.sent.traces, m.dropped_total().traces), (4, 0), "no trace pays for it");
    let requests = agent.stop();
    let all = messages(&requests);
    let sent = |n: u64| format!("trace_chunks_sent{{src_library:data-pipeline}}={n}.0");
    assert_eq!(all.len(), 2, "what may have arrived is not told again");
    assert!(counts(&all[0].1).contains(&sent(2)), "{:?}", counts(&all[0].1));
    assert!(counts(&all[1].1).contains(&sent(4)), "{:?}", counts(&all[1].1));
}

#[test]
fn a_peer_that_does_not_answer_it_holds_up_neither_a_send_nor_close() {
    let agent = ScriptedAgent::start(Listen::Tcp, [say(200, "{}"), Step::Stall]);
    let e = toward(&agent)
        .telemetry(Duration::from_millis(100))
        .send_timeout(Duration::from_secs(30))
        .close_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    e.send(&two_traces()).unwrap();
    agent.await_requests(2);
    let started = Instant::now();
    e.send(&two_traces()).unwrap();
    assert!(started.elapsed() < patient(Duration::from_millis(200)));
    let started = Instant::now();
    assert!(e.close().complete);
    assert!(started.elapsed() < patient(Duration::from_millis(500)));
}

#[test]
fn an_agent_that_lists_no_proxy_is_not_asked() {
    let agent = agent();
    agent.set_info([say(200, r#"{"version":"7.70.0","endpoints":["/v0.4/traces"]}"#)]);
    let e = toward(&agent).discovery(true).telemetry(LONG).build().unwrap();
    e.await_agent(patient(Duration::from_secs(5))).unwrap();
    e.send(&two_traces()).unwrap();
    e.close();
    assert!(explained(&e)["last_error"]["message"].as_str().unwrap().contains("lists no /telemetry/proxy/"));
    assert_eq!(agent.stop().len(), 1);
}

#[test]
fn the_intake_takes_it_with_the_key_and_others_take_none() {
    let key = "0123456789abcdef0123456789abcdef";
    let peer = agent();
    let e = TraceExporter::builder()
        .destination(Destination::intake("datadoghq.com", key).url(&peer.url))
        .telemetry(LONG)
        .build()
        .unwrap();
    e.send(&two_traces()).unwrap();
    e.close();
    let requests = peer.stop();
    let [(request, message)] = &messages(&requests)[..] else { panic!("one message") };
    assert!(request.head.starts_with("POST /api/v2/apmtelemetry HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("dd-api-key"), Some(key));
    assert_eq!(request.header("dd-telemetry-request-type"), Some("message-batch"));
    assert!(counts(message).contains(&"trace_chunks_sent{src_library:data-pipeline}=2.0".to_owned()));

    for none in [Destination::otlp("http://h:1").into(), Destination::from(Destination::log(LogTarget::Host))]
    {
        let builder = TraceExporter::builder().destination(none).telemetry(LONG);
        let error = builder.build().unwrap_err();
        assert!(error.message().contains("telemetry has no effect with OTLP and log lines"), "{error}");
    }
}

/// Lines that a listener of health metrics has got, each without what all have in common.
fn lines(listener: &UdpSocket) -> Vec<String> {
    let mut buffer = [0; 65_536];
    let mut all = Vec::new();
    while let Ok(n) = listener.recv(&mut buffer) {
        let text = std::str::from_utf8(&buffer[..n]).unwrap();
        all.extend(text.lines().map(|line| line.trim_start_matches("datadog.tracer.exporter.").to_owned()));
    }
    all
}

#[test]
fn own_losses_go_with_the_health_metrics_by_reason_those_of_close_too() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let agent = ScriptedAgent::start(Listen::Tcp, [say(400, "no"), Step::Stall]);
    let e = toward(&agent)
        .dogstatsd(format!("udp://{}", listener.local_addr().unwrap()))
        .queue_payloads(2)
        .queue_bytes(1 << 20)
        .batch_bytes(0)
        .close_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    e.send(&two_traces()).unwrap_err();
    e.send(&[0x91, 0xc1]).unwrap_err();
    // One is sent and never answered, one waits, one finds no room.
    e.offer(&two_traces()).unwrap();
    agent.await_requests(2);
    e.offer(&two_traces()).unwrap();
    e.offer(&two_traces()).unwrap_err();
    let m = e.close().metrics;
    let dropped = m.dropped_total();
    let told = lines(&listener);
    let sum = |name: &str| -> u64 {
        let values = told.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        values.map(|value| value.split('|').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!((sum("dropped.traces"), sum("dropped.spans")), (dropped.traces, dropped.spans), "{told:#?}");
    let tag = format!("|c|#data_pipeline_version:{}", env!("CARGO_PKG_VERSION"));
    for line in [
        format!("dropped.traces:2{tag},reason:refused"),
        format!("dropped.spans:3{tag},reason:refused"),
        format!("dropped.traces:1{tag},reason:malformed"),
        format!("dropped.traces:2{tag},reason:queue_full"),
    ] {
        assert!(told.contains(&line), "{line} in {told:#?}");
    }
    assert!(told.iter().any(|line| line.starts_with("dropped.traces:") && line.ends_with("reason:closed")));
}

#[test]
fn own_losses_are_never_told_as_sampling() {
    let agent = ScriptedAgent::start(Listen::Tcp, [say(400, "no"), say(200, "{}"), say(200, "{}")]);
    let e = toward(&agent).telemetry(LONG).build().unwrap();
    e.send(&two_traces()).unwrap_err();
    e.send(&[0x91, 0xc1]).unwrap_err();
    e.send(&two_traces()).unwrap();
    // What the tracer has sampled out is, and alone.
    e.send_with(&two_traces(), DroppedP0 { traces: 5, spans: 7 }).unwrap();
    let requests = agent.requests();
    let told = |n: usize| {
        ["traces", "spans"].map(|what| requests[n].header(&format!("datadog-client-dropped-p0-{what}")))
    };
    assert_eq!(told(1), [None, None]);
    assert_eq!(told(2), [Some("5"), Some("7")]);
    e.close();
    let requests = agent.stop();
    let (_, message) = &messages(&requests)[0];
    let counts = counts(message);
    assert!(!counts.iter().any(|count| count.contains("p0_drop")), "{counts:?}");
    assert!(counts.iter().any(|count| count.contains("reason:malformed}=1.0")), "{counts:?}");
}
