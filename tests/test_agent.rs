//! What we send, as `ddapm-test-agent` reads it with its checks on: every captured payload, as v0.4, v0.5 and
//! v1, over TCP and over a Unix socket. `scripts/with_test_agent.py cargo test --test test_agent` starts the
//! agent and names it in `TEST_AGENT_URL` and `TEST_AGENT_SOCKET`; without these the test says that it was
//! left out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use data_pipeline::settings::OutputFormat;
use data_pipeline::{Destination, OtlpEncoding, TraceExporter};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Bodies that this agent refuses although the real one takes them (see the fixtures' README), and in which
/// formats.
fn refused(name: &str, format: OutputFormat) -> bool {
    match name {
        // A false attribute of an event without `bool_value`: passed on untouched as v0.4.
        "go/006" => format == OutputFormat::V04,
        // Text that is not UTF-8: untouched in v0.4, U+FFFD elsewhere.
        "go/010" => format == OutputFormat::V04,
        // A list of an event's attribute that holds a double and an integer.
        "node/003" => format == OutputFormat::V04,
        _ => false,
    }
}

#[test]
fn takes_every_captured_payload_in_every_format() {
    let (Ok(url), Ok(socket)) = (std::env::var("TEST_AGENT_URL"), std::env::var("TEST_AGENT_SOCKET")) else {
        println!("left out: no TEST_AGENT_URL and TEST_AGENT_SOCKET (scripts/with_test_agent.py sets them)");
        return;
    };
    let mut failures = Vec::new();
    let mut sent = 0;
    for (transport, address) in [("tcp", url.clone()), ("uds", format!("unix://{socket}"))] {
        for (format_name, format) in
            [("v04", OutputFormat::V04), ("v05", OutputFormat::V05), ("v1", OutputFormat::V1)]
        {
            for (name, bytes) in fixtures() {
                let token = format!("{transport}-{format_name}-{}", name.replace('/', "-"));
                get(&url, &format!("/test/session/start?test_session_token={token}"));
                let exporter = TraceExporter::builder()
                    .url(&address)
                    .output_format(format)
                    .language("java")
                    .tracer_version("1.0.0")
                    .test_session_token(&token)
                    .build()
                    .unwrap();
                let answer = exporter.send(&bytes);
                sent += 1;
                match answer {
                    Err(error) if refused(&name, format) => {
                        assert_eq!(error.status(), Some(400), "{token}: {error}")
                    }
                    Err(error) => failures.push(format!("{token}: {error}")),
                    Ok(_) if refused(&name, format) => {
                        failures.push(format!("{token}: taken, so the list is old"))
                    }
                    // Nothing to send, so nothing was sent.
                    Ok(answer) if answer.traces == 0 => assert_eq!(answer.attempts(), 0, "{token}"),
                    Ok(answer) => failures.extend(arrived(&url, &token, answer.spans).err()),
                }
                get(&url, &format!("/test/session/clear?test_session_token={token}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {sent}:\n{}", failures.len(), failures.join("\n"));
    println!("{sent} payloads sent");
}

#[test]
fn takes_stats_and_has_every_span_once() {
    let Ok(url) = std::env::var("TEST_AGENT_URL") else {
        println!("left out: no TEST_AGENT_URL");
        return;
    };
    let token = "stats";
    get(&url, &format!("/test/session/start?test_session_token={token}"));
    let second = std::time::Duration::from_secs(1);
    let exporter = TraceExporter::builder()
        .url(&url)
        .env("prod")
        .language("java")
        .tracer_version("1.0.0")
        .test_session_token(token)
        .compute_stats(10 * second)
        .close_timeout(5 * second)
        .build()
        .unwrap();
    exporter.await_agent(5 * second).unwrap();
    for (name, bytes) in fixtures() {
        if !refused(&name, OutputFormat::V04) {
            exporter.send(&bytes).unwrap();
        }
    }
    assert!(exporter.flush_stats(5 * second));
    let report = exporter.stats().unwrap();
    exporter.close();
    let text = get(&url, &format!("/test/session/stats?test_session_token={token}"));
    let bodies: Value = serde_json::from_str(&text).unwrap();
    let of = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let groups = bodies.as_array().into_iter().flatten().flat_map(|body| of(body, "Stats"));
    let hits: u64 = groups.flat_map(|bucket| of(&bucket, "Stats")).filter_map(|g| g["Hits"].as_u64()).sum();
    assert_eq!((report.sent, report.lost), (report.counted, 0));
    assert_eq!(hits, report.counted, "{}", &text[..text.len().min(500)]);
    println!("{hits} hits in stats");
}

#[test]
fn takes_telemetry_and_shows_it() {
    let Ok(url) = std::env::var("TEST_AGENT_URL") else {
        println!("left out: no TEST_AGENT_URL");
        return;
    };
    let token = "telemetry";
    get(&url, &format!("/test/session/start?test_session_token={token}"));
    let minute = std::time::Duration::from_secs(60);
    let exporter = TraceExporter::builder()
        .url(&url)
        .service("shop")
        .env("prod")
        .language("java")
        .language_version("21")
        .tracer_version("1.0.0")
        .test_session_token(token)
        .telemetry(minute)
        .close_timeout(minute)
        .build()
        .unwrap();
    // One that lists its proxy, and one of which nothing is known yet, are told alike.
    exporter.await_agent(minute).unwrap();
    let (_, bytes) = fixtures().into_iter().find(|(name, _)| !refused(name, OutputFormat::V04)).unwrap();
    let traces = exporter.send(&bytes).unwrap().traces;
    exporter.close();
    let text = get(&url, &format!("/test/session/apmtelemetry?test_session_token={token}"));
    let events: Value = serde_json::from_str(&text).unwrap();
    let parts: Vec<&Value> = events.as_array().unwrap().iter().collect();
    let all = serde_json::to_string(&parts).unwrap();
    assert!(all.contains("generate-metrics") && all.contains("sketches") && all.contains("shop"), "{text}");
    assert!(all.contains("trace_chunks_sent") && traces > 0, "{text}");
    println!("{} events of telemetry", parts.len());
}

#[test]
fn takes_every_captured_payload_as_otlp_in_both_encodings() {
    let Ok(url) = std::env::var("TEST_AGENT_OTLP") else {
        println!("left out: no TEST_AGENT_OTLP (scripts/with_test_agent.py sets it)");
        return;
    };
    for (encoding, resources, scopes) in [
        (OtlpEncoding::Protobuf, "resource_spans", "scope_spans"),
        (OtlpEncoding::Json, "resourceSpans", "scopeSpans"),
    ] {
        let token = format!("otlp-{encoding:?}");
        let exporter = TraceExporter::builder()
            .destination(Destination::otlp(&url).encoding(encoding))
            .test_session_token(&*token)
            .normalize(false)
            .drop_p0(false)
            .build()
            .unwrap();
        let sent: u64 = fixtures().iter().map(|(_, bytes)| exporter.send(bytes).unwrap().spans).sum();
        let text = get(&url, &format!("/test/session/traces?test_session_token={token}"));
        let requests: Value = serde_json::from_str(&text.replace(": NaN", ": 0")).unwrap();
        let decoded: usize = requests
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|request| request[resources].as_array().unwrap())
            .flat_map(|resource| resource[scopes].as_array().unwrap())
            .map(|scope| scope["spans"].as_array().map_or(0, Vec::len))
            .sum();
        assert_eq!(decoded as u64, sent, "{encoding:?}");
        assert!(sent > 2000, "{sent}");
        println!("{sent} spans as OTLP, {encoding:?}");
    }
}

/// The agent decoded as many spans as we sent, each of them once.
fn arrived(url: &str, token: &str, spans: u64) -> Result<(), String> {
    let text = get(url, &format!("/test/session/traces?test_session_token={token}"));
    // The agent writes Python's JSON, which has numbers that JSON has not.
    let text = text.replace(": NaN", ": 0").replace(": Infinity", ": 0").replace(": -Infinity", ": 0");
    let traces: Value = serde_json::from_str(&text).map_err(|e| format!("{token}: {e}: {text}"))?;
    let ids: Vec<String> = traces
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|trace| trace.as_array().cloned().unwrap_or_default())
        .map(|span| format!("{} {}", span["trace_id"], span["span_id"]))
        .collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    if ids.len() as u64 != spans || distinct.len() != ids.len() {
        return Err(format!(
            "{token}: {spans} spans sent, {} decoded, {} distinct",
            ids.len(),
            distinct.len()
        ));
    }
    Ok(())
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&root).unwrap().flatten().filter(|f| f.path().is_dir()) {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten().map(|f| f.path()) {
            if file.extension().is_some_and(|e| e == "msgpack") {
                let name = file.strip_prefix(&root).unwrap().with_extension("");
                found.push((name.to_string_lossy().into_owned(), std::fs::read(&file).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 40, "only {} captured payloads", found.len());
    found
}

fn get(url: &str, path: &str) -> String {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
    agent.get(format!("{url}{path}")).call().unwrap().body_mut().read_to_string().unwrap()
}
