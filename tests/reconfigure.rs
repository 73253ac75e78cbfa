//! Settings that change while the exporter lives: where payloads go and what they say of themselves changes with the
//! next send; queue, account and what is fixed stay.

#![allow(clippy::unwrap_used)]

mod support;

use data_pipeline::{ErrorKind, TraceExporter};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use support::{Hold, Listen, ScriptedAgent, Step, ok};

/// One trace of one span without fields.
const PAYLOAD: &[u8] = &[0x91, 0x91, 0x80];

fn agent() -> ScriptedAgent {
    ScriptedAgent::start(Listen::Tcp, [])
}

fn explained(e: &TraceExporter) -> Value {
    serde_json::from_str(&e.explain()).unwrap()
}

#[test]
fn destination_and_headers_change_with_the_next_send_and_the_account_lives_on() {
    let (one, two) = (agent(), agent());
    let e =
        TraceExporter::builder().url(&one.url).header("x-key", "old").header("x-other", "o").build().unwrap();
    e.send(PAYLOAD).unwrap();
    e.reconfigure(|b| b.url(&two.url).header("X-Key", "new").service("shop")).unwrap();
    e.send(PAYLOAD).unwrap();
    e.reconfigure(|b| b.env("prod")).unwrap();
    e.send(PAYLOAD).unwrap();
    let all = explained(&e);
    assert_eq!(all["reconfigured"]["times"], 2);
    assert_eq!(all["reconfigured"]["last"], serde_json::json!(["env"]));
    assert_eq!(all["configuration"]["service"]["value"], "shop");
    assert_eq!(all["destinations"][0]["taken"]["traces"], 2);
    let lines: Vec<String> = e.take_log_lines().into_iter().map(|line| line.text).collect();
    assert!(
        lines.iter().any(|l| l.starts_with("settings have changed: ") && l.contains("header")),
        "{lines:?}"
    );
    let m = e.close().metrics;
    assert_eq!((m.received, m.sent.traces), (m.accounted_for(), 3));
    let (one, two) = (one.stop(), two.stop());
    assert_eq!((one.len(), two.len()), (1, 2));
    assert_eq!((one[0].header("x-key"), two[0].header("x-key")), (Some("old"), Some("new")));
    assert_eq!(two[0].header("x-other"), Some("o"));
}

#[test]
fn what_cannot_change_is_named_and_nothing_has_changed_then() {
    let one = agent();
    let e = TraceExporter::builder().url(&one.url).build().unwrap();
    let error = e.reconfigure(|b| b.env("prod").queue_bytes(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    assert!(error.message().starts_with("queueBytes: it cannot change"), "{error}");
    let error = e.reconfigure(|b| b.env("prod").url("ftp://x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidUrl);
    let error = e.reconfigure(|b| b.env("prod").ignore_resource("(")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    e.reconfigure(|b| b).unwrap();
    assert_eq!((e.config().metadata.env.as_str(), &explained(&e)["reconfigured"]["times"]), ("", &0.into()));
    e.send(PAYLOAD).unwrap();
    e.close();
    assert_eq!(e.reconfigure(|b| b.env("x")).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_send_that_has_begun_ends_where_it_began() {
    let hold = Hold::default();
    let (one, two) = (ScriptedAgent::start(Listen::Tcp, [Step::Held(hold.clone(), ok())]), agent());
    let e = Arc::new(TraceExporter::builder().url(&one.url).discovery(false).build().unwrap());
    let sender = {
        let e = Arc::clone(&e);
        std::thread::spawn(move || e.send(PAYLOAD).map(drop))
    };
    one.await_requests(1);
    e.reconfigure(|b| b.url(&two.url)).unwrap();
    e.send(PAYLOAD).unwrap();
    hold.release();
    sender.join().unwrap().unwrap();
    assert_eq!(e.close().metrics.sent.traces, 2);
    assert_eq!(two.stop().len(), 1);
}

#[test]
fn what_waits_in_the_queue_goes_where_the_settings_say_now() {
    let two = agent();
    let e =
        TraceExporter::builder().url("http://127.0.0.1:9").discovery(false).batch_bytes(0).build().unwrap();
    for _ in 0..10 {
        e.offer(PAYLOAD).unwrap();
    }
    e.reconfigure(|b| b.url(&two.url)).unwrap();
    assert!(e.flush(Duration::from_secs(60)).complete);
    let m = e.close().metrics;
    assert_eq!((m.received, m.sent.traces), (m.accounted_for(), 10));
}
