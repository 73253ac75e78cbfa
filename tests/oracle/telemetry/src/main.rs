//! What the reference's telemetry posts of the same numbers as ours: prints both messages as JSON, without what a clock
//! or a sketch's bytes make different, and fails where their shapes differ.
//!
//! Ours comes from an exporter that sends one payload and loses another; the reference's from its own worker, fed with
//! the points that `libdd-data-pipeline` would add for the same. Both post to a listener of this program.

use libdd_common::tag::Tag;
use libdd_telemetry::data::metrics::{MetricNamespace, MetricType};
use libdd_telemetry::worker::{TelemetryWorkerBuilder, TelemetryWorkerFlavor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Two traces of one span each, which leave as they came.
const PAYLOAD: &[u8] = b"\x92\
    \x91\x84\xa7service\xa4shop\xa8trace_id\x01\xa7span_id\x02\xa4name\xa2op\
    \x91\x84\xa7service\xa4shop\xa8trace_id\x02\xa7span_id\x03\xa4name\xa2op";

/// A request: its head and its body.
type Request = (String, Vec<u8>);

/// A peer that answers with these statuses in turn, then 200, and hands on what it gets.
fn peer(statuses: Vec<u16>) -> (String, Receiver<Request>) {
    let door = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", door.local_addr().expect("its address"));
    let (out, requests) = channel();
    let statuses = std::sync::Arc::new(std::sync::Mutex::new(statuses));
    std::thread::spawn(move || {
        for mut stream in door.incoming().flatten() {
            let (out, statuses) = (out.clone(), statuses.clone());
            std::thread::spawn(move || {
                let mut input = Vec::new();
                let mut buffer = vec![0; 65_536];
                loop {
                    while let Some(end) = input.windows(4).position(|w| w == b"\r\n\r\n") {
                        let head = String::from_utf8_lossy(&input[..end]).to_ascii_lowercase();
                        let length = head.lines().find_map(|l| l.strip_prefix("content-length:"));
                        let length = length.map_or(0, |l| l.trim().parse::<usize>().expect("a length"));
                        if input.len() < end + 4 + length {
                            break;
                        }
                        let body = input[end + 4..end + 4 + length].to_vec();
                        input.drain(..end + 4 + length);
                        let mut statuses = statuses.lock().expect("no panic");
                        let is_traces = head.contains("/traces ");
                        let status = if is_traces && !statuses.is_empty() { statuses.remove(0) } else { 200 };
                        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
                        let _ = stream.write_all(answer.as_bytes());
                        let _ = out.send((head, body));
                    }
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(n) => input.extend_from_slice(&buffer[..n]),
                    }
                }
            });
        }
    });
    (url, requests)
}

/// The first message of telemetry among the requests.
fn message(requests: &Receiver<Request>) -> (String, Value) {
    loop {
        let (head, body) = requests.recv_timeout(Duration::from_secs(30)).expect("a message");
        if head.contains("/apmtelemetry ") {
            return (head, serde_json::from_slice(&body).expect("JSON"));
        }
    }
}

fn ours() -> (String, Value) {
    let (url, requests) = peer(vec![200, 400]);
    let exporter = data_pipeline::TraceExporter::builder()
        .url(url)
        .discovery(false)
        .service("shop")
        .version("1.2")
        .env("prod")
        .language("java")
        .language_version("21")
        .tracer_version("0.9")
        .runtime_id("rid")
        .hostname("here")
        .telemetry(Duration::from_secs(10))
        .telemetry_session_id("s")
        .telemetry_parent_session_id("p")
        .build()
        .expect("an exporter");
    exporter.send(PAYLOAD).expect("sent");
    exporter.send(PAYLOAD).expect_err("refused");
    exporter.close();
    message(&requests)
}

fn theirs() -> (String, Value) {
    let (url, requests) = peer(Vec::new());
    let text = |t: &str| t.to_owned();
    let mut builder =
        TelemetryWorkerBuilder::new(text("here"), text("shop"), text("java"), text("21"), text("0.9"));
    builder.flavor = TelemetryWorkerFlavor::MetricsLogs;
    builder.runtime_id = Some(text("rid"));
    builder.application.env = Some(text("prod"));
    builder.application.service_version = Some(text("1.2"));
    builder.config.telemetry_heartbeat_interval = Duration::from_secs(60);
    builder.config.session_id = Some(text("s"));
    builder.config.parent_session_id = Some(text("p"));
    let endpoint =
        libdd_telemetry::config::TelemetryEndpoint { url: Some(url), timeout_ms: 3000, ..Default::default() };
    builder.config.set_endpoint(endpoint).expect("an endpoint");
    let worker = builder.run::<libdd_capabilities_impl::NativeCapabilities>().expect("a worker");
    worker.send_start().expect("a start");
    let tag = |key: &str, value: &str| Tag::new(key, value).expect("a tag");
    let us = || vec![tag("src_library", "data-pipeline")];
    let with = |key: &str, value: &str| [us(), vec![tag(key, value)]].concat();
    for (name, tags, value) in [
        ("trace_api.requests", us(), 2.0),
        ("trace_api.errors", with("type", "status_code"), 1.0),
        ("trace_api.responses", with("status_code", "200"), 1.0),
        ("trace_api.responses", with("status_code", "400"), 1.0),
        ("trace_chunks_sent", us(), 2.0),
        ("trace_chunks_dropped", with("reason", "send_failure"), 2.0),
        ("spans_enqueued_for_serialization", Vec::new(), 4.0),
        ("spans_dropped", vec![tag("reason", "api_error")], 2.0),
    ] {
        let key = worker.register_metric_context(
            text(name),
            tags,
            MetricType::Count,
            true,
            MetricNamespace::Tracers,
        );
        worker.add_point(value, &key, Vec::new()).expect("a point");
    }
    let key = worker.register_metric_context(
        text("trace_api.bytes"),
        us(),
        MetricType::Distribution,
        true,
        MetricNamespace::Tracers,
    );
    worker.add_point(PAYLOAD.len() as f64, &key, Vec::new()).expect("a point");
    worker.send_stop().expect("a stop");
    worker.wait_for_shutdown();
    message(&requests)
}

/// The headers of telemetry, by name.
fn headers(head: &str) -> BTreeMap<String, String> {
    let all = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    all.filter(|(name, _)| name.starts_with("dd-") || *name == "content-type")
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// A message without what differs by nature: times, the host's own details, and our losses by `DropReason`.
fn comparable(mut message: Value) -> Value {
    let all = message.as_object_mut().expect("an object");
    assert!(all["tracer_time"].as_u64().is_some());
    all.insert("tracer_time".to_owned(), Value::Null);
    let host = all["host"].as_object().expect("a host");
    let hostname: Map<String, Value> =
        [("hostname".to_owned(), host["hostname"].clone())].into_iter().collect();
    all.insert("host".to_owned(), hostname.into());
    for part in all["payload"].as_array_mut().expect("a batch") {
        let series = part["payload"]["series"].as_array_mut().expect("series");
        series.retain(|serie| !serie["metric"].as_str().expect("a name").starts_with("datadog.tracer."));
        for serie in series.iter_mut() {
            for point in serie.get_mut("points").and_then(Value::as_array_mut).into_iter().flatten() {
                assert!(point[0].as_u64().is_some_and(|at| at > 1_700_000_000), "{point}");
                point[0] = Value::Null;
            }
            // Theirs begins with the tags of the point, which are none here.
            let mut tags: Vec<Value> = serie["tags"].as_array().expect("tags").clone();
            tags.sort_by_key(Value::to_string);
            serie["tags"] = tags.into();
        }
        series.sort_by_key(Value::to_string);
    }
    message
}

fn main() {
    let ((our_head, ours), (their_head, theirs)) = (ours(), theirs());
    let request_line = |head: &str| head.lines().next().unwrap_or("").to_owned();
    assert_eq!(request_line(&our_head), request_line(&their_head));
    assert_eq!(headers(&our_head), headers(&their_head), "headers");
    let (ours, theirs) = (comparable(ours), comparable(theirs));
    println!("{}", serde_json::to_string_pretty(&ours).expect("JSON"));
    assert_eq!(ours, theirs);
    println!("telemetry: the same headers and the same message as libdd-telemetry");
}
