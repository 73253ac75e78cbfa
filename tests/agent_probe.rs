//! Agents without `/info`: which endpoint takes traces is tried as the Java tracer does, and an agent that has only
//! v0.3 gets the bytes of v0.4 there.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::settings::OutputFormat;
use data_pipeline::{Builder, TraceExporter};
use msgpack::*;
use serde_json::Value;
use std::time::{Duration, Instant};
use support::{Recorded, ScriptedAgent, TRANSPORTS, patient, say};

const LIMIT: Duration = Duration::from_secs(30);
const V03: &str = "/v0.3/traces";
const V04: &str = "/v0.4/traces";

/// An agent without `/info` that lacks these endpoints.
fn agent(lacks: &[&str]) -> ScriptedAgent {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    agent.lacks(lacks);
    agent
}

fn toward(agent: &ScriptedAgent) -> Builder {
    TraceExporter::builder().url(&agent.url).send_budget(patient(Duration::from_secs(2)))
}

/// One trace of two spans.
fn payload() -> Vec<u8> {
    array([array([good_span(), good_span()])])
}

fn paths(requests: &[Recorded]) -> Vec<&str> {
    requests.iter().map(|r| r.head.split(' ').nth(1).unwrap()).collect()
}

fn explain(e: &TraceExporter) -> Value {
    serde_json::from_str(&e.explain()).unwrap()
}

#[test]
fn the_request_that_tries_an_endpoint_is_these_bytes() {
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, []);
        agent.lacks(&[V04]);
        let e = TraceExporter::builder()
            .url(&agent.url)
            .language("java")
            .tracer_version("1.2.3")
            .header("X-Mine", "a")
            .test_session_token("tok")
            .build()
            .unwrap();
        assert!(e.await_agent(LIMIT).unwrap().is_none(), "it has no /info");
        let seen = agent.probes();
        assert_eq!(paths(&seen), [V04, V03]);
        let host = agent.url.strip_prefix("http://").unwrap_or("localhost");
        for request in &seen {
            let mut lines: Vec<&str> = request.head.split("\r\n").skip(1).collect();
            lines.sort_unstable();
            let host = format!("host: {host}");
            let wanted = [
                "content-length: 3",
                "content-type: application/msgpack",
                "datadog-meta-lang: java",
                "datadog-meta-tracer-version: 1.2.3",
                &host,
                "x-datadog-test-session-token: tok",
                "x-mine: a",
            ];
            assert_eq!(lines, wanted);
            assert!(request.head.starts_with("PUT /v0.") && request.body == [0x92, 0x90, 0x90]);
        }
        assert_eq!(agent.connections(), 1, "on one connection, after that for /info");
        assert_eq!((agent.info_requests(), agent.request_count()), (1, 0));
        assert_eq!(e.metrics(), Default::default(), "no payload of anybody");
    }
}

#[test]
fn endpoints_are_tried_in_the_order_of_the_java_tracer() {
    let v1 = "/v1.0/traces";
    let v05 = "/v0.5/traces";
    let format = |format: OutputFormat| move |b: Builder| b.output_format(format);
    type Set = Box<dyn Fn(Builder) -> Builder>;
    let cases: [(Set, &[&str], &[&str]); 6] = [
        (Box::new(format(OutputFormat::V04)), &[], &[V04]),
        (Box::new(format(OutputFormat::V05)), &[v05], &[v05, V04]),
        (Box::new(format(OutputFormat::V05)), &[], &[v05]),
        (Box::new(format(OutputFormat::V1)), &[v1, V04], &[v1, V04, V03]),
        (Box::new(|b| b.output_format(OutputFormat::AUTO)), &[V04], &[V04, V03]),
        (Box::new(format(OutputFormat::V1)), &[v1, V04, V03], &[v1, V04, V03]),
    ];
    for (set, lacks, tried) in cases {
        let agent = agent(lacks);
        let e = set(toward(&agent)).build().unwrap();
        e.await_agent(LIMIT).unwrap();
        let probes = agent.probes();
        assert_eq!(paths(&probes), tried);
        for probe in probes {
            let is_v1 = probe.head.contains(v1);
            assert_eq!(probe.body, if is_v1 { &[0x80][..] } else { &[0x92, 0x90, 0x90] });
        }
        // What was found is what payloads go to.
        if lacks.len() < tried.len() {
            e.send(&payload()).unwrap();
            assert_eq!(paths(&agent.requests()), [tried[tried.len() - 1]]);
        }
    }
}

#[test]
fn an_agent_with_only_v03_gets_the_same_bytes_there() {
    let agent = agent(&[V04]);
    let e = toward(&agent).build().unwrap();
    e.await_agent(LIMIT).unwrap();
    e.send(&payload()).unwrap();
    let seen = agent.requests();
    assert_eq!(paths(&seen), [V03]);
    assert_eq!(
        (seen[0].body.as_slice(), seen[0].header("x-datadog-trace-count")),
        (&payload()[..], Some("1"))
    );

    let info = e.agent_info().unwrap();
    assert!(info.is_probed() && info.offers(V03) && !info.offers_stats());
    assert_eq!((&*info.raw, info.fields.version.as_str()), (r#"{"endpoints":["/v0.3/traces"]}"#, ""));
    let all = explain(&e);
    let told = &all["agent"]["info"];
    assert_eq!((&told["known"], &told["absent"]), (&Value::from(false), &Value::from(true)));
    assert_eq!(told["found_by_trying"], V03);
    assert!(told["last_error"]["message"].as_str().unwrap().contains("it takes traces at /v0.3/traces"));
    assert!(all["format"]["why"].as_str().unwrap().contains("only /v0.3/traces"), "{}", all["format"]);
    let lines: Vec<String> = e.take_log_lines().into_iter().map(|line| line.text).collect();
    assert!(lines.iter().any(|l| l.contains("/info") && l.contains(V03)), "{lines:?}");
    assert_eq!(e.close().metrics.sent.traces, 1);
}

#[test]
fn an_agent_without_info_gets_the_bytes_that_came() {
    let event = map([e("time_unix_nano", int(7)), e("name", s("boom"))]);
    let payload = array([array([span_with("span_events", array([event]))])]);
    for (endpoint, lacks) in [(V04, &[][..]), (V03, &[V04])] {
        let agent = agent(lacks);
        let exporter = toward(&agent).build().unwrap();
        exporter.await_agent(LIMIT).unwrap();
        exporter.send(&payload).unwrap();
        let seen = agent.requests();
        assert_eq!((paths(&seen), &seen[0].body), (vec![endpoint], &payload));
    }
}

#[test]
fn a_first_send_never_waits_and_finds_v03_by_itself() {
    for status in [404, 405, 415] {
        // The exporter asks nobody, so that only the send can find out.
        let agent = ScriptedAgent::start(TRANSPORTS[0], [say(status, "no")]);
        let e = toward(&agent).discovery(false).build().unwrap();
        let response = e.send(&payload()).unwrap();
        assert_eq!((response.status(), response.attempts()), (200, 2));
        e.send(&payload()).unwrap();
        let seen = agent.requests();
        assert_eq!(paths(&seen), [V04, V03, V03], "{status}: and it is remembered");
        assert!(seen.iter().all(|r| r.body == payload()));
        assert!(
            agent.probes().is_empty() && agent.info_requests() == 0,
            "without discovery nothing is tried"
        );
        let m = e.close().metrics;
        assert_eq!((m.sent.traces, m.requests, m.dropped_total().traces), (2, 3, 0));
    }
}

#[test]
fn where_no_endpoint_takes_traces_each_is_tried_once_and_the_loss_is_a_refusal() {
    let agent = agent(&[V04, V03]);
    let e = toward(&agent).discovery(false).build().unwrap();
    let error = e.send(&payload()).unwrap_err();
    assert_eq!((error.status(), error.attempts()), (Some(404), 3), "{error}");
    assert!(error.message().contains("check the path prefix in `url`"), "{error}");
    assert_eq!(e.send(&payload()).unwrap_err().attempts(), 1);
    assert_eq!(paths(&agent.requests()), [V04, V03, V04, V04]);
    // The agent gets its endpoint (its APM is switched on).
    agent.lacks(&[]);
    e.send(&payload()).unwrap();
    let m = e.close().metrics;
    assert_eq!((m.received, m.sent.traces, m.dropped_total().traces), (m.accounted_for(), 1, 2));
}

#[test]
fn an_agent_that_gets_another_one_in_its_place_is_followed() {
    let agent = agent(&[V04]);
    let e = toward(&agent).build().unwrap();
    e.await_agent(LIMIT).unwrap();
    e.send(&payload()).unwrap();
    // Only v0.4 from now on, and nobody has said so.
    agent.lacks(&[V03]);
    assert_eq!(e.send(&payload()).unwrap().attempts(), 2);
    assert_eq!(paths(&agent.requests()), [V03, V03, V04]);
    // What the refusal says is looked after.
    let until = Instant::now() + patient(LIMIT);
    while explain(&e)["agent"]["info"]["found_by_trying"] != V04 {
        assert!(Instant::now() < until, "{}", explain(&e)["agent"]);
        std::thread::sleep(Duration::from_millis(20));
    }
    e.send(&payload()).unwrap();
    assert_eq!(paths(&agent.requests())[3..], [V04]);
    // And one that says what it is, is believed.
    agent.set_info([say(200, r#"{"version":"7.70.0","endpoints":["/v0.4/traces"]}"#)]);
    e.fetch_info(LIMIT).unwrap();
    assert_eq!(e.agent_info().unwrap().fields.version, "7.70.0");
    assert!(explain(&e)["agent"]["info"]["found_by_trying"].is_null());
}

#[test]
fn an_agent_that_lists_what_it_has_is_not_tried() {
    let agent = agent(&[]);
    agent.set_info([say(200, r#"{"version":"6.0.0","endpoints":["/v0.3/traces"]}"#)]);
    let e = toward(&agent).build().unwrap();
    assert!(e.await_agent(LIMIT).unwrap().is_some());
    e.send(&payload()).unwrap();
    assert_eq!(paths(&agent.requests()), [V03]);
    assert!(agent.probes().is_empty());
    // One that lists nothing for traces is.
    agent.set_info([say(200, r#"{"version":"6.0.1","endpoints":["/v0.6/stats"]}"#)]);
    agent.lacks(&[V04]);
    e.fetch_info(LIMIT).unwrap();
    assert_eq!(paths(&agent.probes()), [V04, V03]);
    e.send(&payload()).unwrap();
    assert_eq!(paths(&agent.requests()), [V03, V03]);
}

#[test]
fn stats_stay_off_and_nothing_is_dropped() {
    let agent = agent(&[]);
    let e = toward(&agent).compute_stats(Duration::from_secs(10)).drop_p0(true).build().unwrap();
    e.await_agent(LIMIT).unwrap();
    e.send(&payload()).unwrap();
    let all = explain(&e);
    assert_eq!(all["stats"]["on"], false);
    assert!(all["stats"]["why"].as_str().unwrap().contains("without /info"), "{}", all["stats"]);
    let m = e.close().metrics;
    assert_eq!((m.sent.traces, m.sampled_out.traces), (1, 0));
    let seen = agent.stop();
    assert_eq!(paths(&seen), [V04]);
    assert_eq!(seen[0].header("datadog-client-computed-stats"), None);
}

#[test]
fn an_agent_that_does_not_answer_what_tries_it_holds_up_nobody() {
    // `/info` is answered, and then nothing any more.
    let agent = ScriptedAgent::start(TRANSPORTS[0], [say(404, "no"), support::Step::Stall]).info_in_script();
    let e = toward(&agent).send_timeout(Duration::from_millis(300)).build().unwrap();
    agent.await_requests(2);
    let started = Instant::now();
    e.send(&payload()).unwrap();
    assert!(started.elapsed() < patient(Duration::from_millis(200)));
    let until = Instant::now() + patient(LIMIT);
    while explain(&e)["agent"]["info"]["last_error"]["kind"] != "TIMED_OUT" {
        assert!(Instant::now() < until, "{}", explain(&e)["agent"]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let started = Instant::now();
    e.close();
    assert!(started.elapsed() < patient(Duration::from_secs(1)));
}
