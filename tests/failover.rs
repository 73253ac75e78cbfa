//! Two destinations: what the first does not take goes to the second, whole and once, and back when the first answers.

#![allow(clippy::unwrap_used)]

mod support;

use data_pipeline::{Builder, Destination, ErrorKind, Metrics, TraceExporter};
use serde_json::Value;
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, patient, say};

/// One trace of one span without fields.
const PAYLOAD: &[u8] = &[0x91, 0x91, 0x80];

fn agent() -> ScriptedAgent {
    ScriptedAgent::start(Listen::Tcp, [])
}

/// A port at which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn two(first: &str, second: &str) -> Builder {
    TraceExporter::builder()
        .destinations(Destination::agent(first), [Destination::agent(second)])
        .send_budget(patient(Duration::from_millis(600)))
}

fn taken(e: &TraceExporter) -> Vec<u64> {
    let all: Value = serde_json::from_str(&e.explain()).unwrap();
    let all = all["destinations"].as_array().unwrap().clone();
    all.iter().map(|one| one["taken"]["traces"].as_u64().unwrap()).collect()
}

fn balanced(m: &Metrics, sent: u64) {
    assert_eq!((m.received, m.sent.traces), (m.accounted_for(), sent), "{m:?}");
    assert_eq!(m.dropped_total().traces, 0);
}

#[test]
fn what_the_first_does_not_take_goes_to_the_second_in_the_same_call() {
    let second = agent();
    let e = two(&nobody(), &second.url).build().unwrap();
    let response = e.send(PAYLOAD).unwrap();
    assert!(response.attempts() > 1 && response.status() == 200);
    // From now on at once.
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(e.send(PAYLOAD).unwrap().attempts(), 1);
    }
    assert!(started.elapsed() < patient(Duration::from_millis(500)));
    assert_eq!(taken(&e), [0, 21]);
    let lines: Vec<String> = e.take_log_lines().into_iter().map(|line| line.text).collect();
    assert!(lines.iter().any(|l| l.contains("counts as gone, payloads go to")), "{lines:?}");
    let m = e.close().metrics;
    balanced(&m, 21);
    assert!(m.requests > 21 && m.possibly_duplicated == 0);
    assert_eq!(second.stop().len(), 21);
}

#[test]
fn and_back_to_the_first_when_it_answers() {
    let (port, second) = {
        let first = agent();
        (first.port, agent())
    };
    let e = two(&format!("http://127.0.0.1:{port}"), &second.url).build().unwrap();
    e.send(PAYLOAD).unwrap();
    let first = ScriptedAgent::tcp(port, []);
    let end = Instant::now() + Duration::from_secs(60);
    let mut sent = 1;
    while taken(&e)[0] == 0 && Instant::now() < end {
        e.send(PAYLOAD).unwrap();
        sent += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    e.send(PAYLOAD).unwrap();
    assert_eq!(taken(&e)[0], 2);
    balanced(&e.close().metrics, sent + 1);
    assert_eq!(first.stop().len() + second.stop().len(), sent as usize + 1);
}

#[test]
fn what_waits_in_the_queue_goes_the_same_ways() {
    let second = agent();
    let e = two(&nobody(), &second.url).batch_bytes(0).build().unwrap();
    for _ in 0..50 {
        e.offer(PAYLOAD).unwrap();
    }
    assert!(e.flush(Duration::from_secs(60)).complete);
    assert_eq!(taken(&e), [0, 50]);
    balanced(&e.close().metrics, 50);
    assert_eq!(second.stop().len(), 50);
}

#[test]
fn a_first_that_is_overloaded_or_not_for_us_is_no_dead_end() {
    for steps in [vec![say(503, "busy"); 200], vec![Step::CloseAfterAccept; 200]] {
        let (first, second) = (ScriptedAgent::start(Listen::Tcp, steps), agent());
        let e = two(&first.url, &second.url).build().unwrap();
        e.send(PAYLOAD).unwrap();
        assert_eq!(taken(&e), [0, 1]);
        balanced(&e.close().metrics, 1);
    }
    let second = agent();
    let e = two("unix:///no/such/socket", &second.url).build().unwrap();
    e.send(PAYLOAD).unwrap();
    balanced(&e.close().metrics, 1);
}

#[test]
fn what_was_perhaps_taken_is_counted_as_perhaps_twice() {
    let steps = vec![Step::CloseAfterBody; 200];
    let (first, second) = (ScriptedAgent::start(Listen::Tcp, steps), agent());
    let e = two(&first.url, &second.url).discovery(false).build().unwrap();
    e.send(PAYLOAD).unwrap();
    let m = e.close().metrics;
    balanced(&m, 1);
    assert_eq!(m.possibly_duplicated, 1);
}

#[test]
fn a_refusal_is_a_refusal_and_goes_nowhere_else() {
    let (first, second) = (ScriptedAgent::start(Listen::Tcp, [say(400, "no")]), agent());
    let e = two(&first.url, &second.url).build().unwrap();
    assert_eq!(e.send(PAYLOAD).unwrap_err().status(), Some(400));
    e.close();
    assert_eq!(second.stop().len(), 0);
}

#[test]
fn with_nobody_there_the_loss_is_one_loss() {
    let e = two(&nobody(), &nobody()).build().unwrap();
    for _ in 0..3 {
        let error = e.send(PAYLOAD).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::AgentDown), "{error}");
    }
    let m = e.close().metrics;
    assert_eq!((m.received, m.received.traces, m.dropped_total().traces), (m.accounted_for(), 3, 3));
}
