//! What becomes of payloads when an agent misbehaves, and what the account says of it.

#![allow(clippy::unwrap_used)]
#![cfg(unix)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::DropReason;
use data_pipeline::{Builder, ErrorKind, TraceExporter};
use msgpack::*;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, answer, ok, patient, say, socket_path};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A directory for a spool; gone at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("dp-delivery-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn exporter(agent: &ScriptedAgent) -> Builder {
    TraceExporter::builder().url(&agent.url).discovery(false)
}

fn named(resource: &str) -> Vec<u8> {
    payload([span_with("resource", s(resource))])
}

fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + patient(Duration::from_secs(30));
    while !what() {
        assert!(Instant::now() < end, "it did not come to that");
        std::thread::sleep(ms(2));
    }
}

fn is_closed(exporter: &TraceExporter) {
    let m = exporter.metrics();
    assert_eq!(m.received, m.accounted_for(), "{m:?}");
}

fn log(exporter: &TraceExporter) -> String {
    exporter.take_log_lines().into_iter().map(|line| line.text + "\n").collect()
}

#[test]
fn an_agent_that_wants_to_be_left_alone_is_left_alone() {
    for spooled in [false, true] {
        let step = Step::Say(answer(429, &[("Retry-After", "3600")], b"slow down"));
        let agent = ScriptedAgent::start(Listen::Tcp, std::iter::repeat_n(step, 10_000));
        let dir = Dir::new(if spooled { "storm" } else { "calm" });
        let builder = exporter(&agent).batch_age(ms(1));
        let e = if spooled { builder.spool(dir.path(), 8 << 20) } else { builder }.build().unwrap();
        e.offer(&named("one")).unwrap();
        until(|| !agent.requests().is_empty());
        std::thread::sleep(ms(300));
        assert_eq!((agent.requests().len(), e.metrics().requests), (1, 1), "spool: {spooled}");
        let m = e.metrics();
        if spooled {
            assert_eq!((m.queued.traces, m.dropped_total().traces), (1, 0));
        } else {
            // It may not be tried again within `asyncBudget`.
            assert_eq!(m.dropped_for(DropReason::Overloaded).traces, 1);
        }
        is_closed(&e);
        e.close_within(ms(50));
    }
}

#[test]
fn retries_from_the_spool_keep_their_account() {
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Stall, Step::Stall]);
    let dir = Dir::new("account");
    let e = exporter(&agent)
        .send_timeout(ms(200))
        .send_budget(ms(200))
        .async_budget(ms(200))
        .batch_age(ms(1))
        .spool(dir.path(), 8 << 20)
        .build()
        .unwrap();
    e.offer(&named("one")).unwrap();
    let (mut spans, mut requests) = (0, 0);
    until(|| {
        let m = e.metrics();
        assert_eq!(m.received, m.accounted_for());
        m.sent.traces == 1
    });
    for _ in 0..3 {
        let m = e.metrics();
        assert!(m.received.spans >= spans && m.requests >= requests);
        (spans, requests) = (m.received.spans, m.requests);
    }
    let m = e.metrics();
    assert_eq!(m.requests as usize, agent.requests().len(), "{m:?}");
    assert_eq!((m.received.spans, m.sent.spans, m.possibly_duplicated, m.possibly_arrived), (1, 1, 1, 0));
}

#[test]
fn received_never_goes_backwards() {
    let agent = ScriptedAgent::start(Listen::Tcp, std::iter::repeat_n(Step::Stall, 50));
    let dir = Dir::new("backwards");
    let e = exporter(&agent)
        .send_timeout(ms(50))
        .send_budget(ms(50))
        .async_budget(ms(50))
        .batch_age(ms(1))
        .spool(dir.path(), 8 << 20)
        .build()
        .unwrap();
    e.offer(&named("one")).unwrap();
    e.offer(&named("two")).unwrap();
    let end = Instant::now() + ms(600);
    let mut seen = 0;
    while Instant::now() < end {
        let spans = e.metrics().received.spans;
        assert!(spans >= seen, "{spans} after {seen}");
        seen = spans;
        std::thread::yield_now();
    }
    e.close_within(ms(50));
    is_closed(&e);
}

#[test]
fn the_rest_of_a_split_payload_goes_back_like_any_other() {
    let steps = [Step::Say(ok()), Step::Stall];
    let agent = ScriptedAgent::start(Listen::Tcp, steps);
    let dir = Dir::new("split");
    let e = exporter(&agent)
        .max_request_bytes(1500)
        .send_timeout(ms(300))
        .send_budget(ms(300))
        .async_budget(ms(400))
        .batch_age(ms(50))
        .spool(dir.path(), 8 << 20)
        .build()
        .unwrap();
    let answers: Vec<_> = (0..40).map(|i| e.send_async(&named(&format!("{i}")))).collect();
    until(|| e.metrics().sent.traces == 40);
    let m = e.metrics();
    assert_eq!((m.dropped_total().traces, m.queued.traces, m.sent.spans), (0, 0, 40));
    is_closed(&e);
    let mut arrived: Vec<String> = Vec::new();
    for request in agent.requests() {
        for chunk in decode(&request.body).as_array().unwrap() {
            arrived.push(chunk[0]["resource"].as_str().unwrap().to_owned());
        }
    }
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived.len(), 40);
    // Whoever waits hears something, once; a sender tells it a moment after it has counted.
    assert!(answers.iter().all(|answer| answer.wait(ms(5000)).is_some()));
}

#[test]
fn an_agent_that_refuses_everything_is_asked_a_few_times() {
    let refusal = Step::Say(answer(413, &[], b""));
    let agent = ScriptedAgent::start(Listen::Tcp, std::iter::repeat_n(refusal, 100_000));
    let e = exporter(&agent).build().unwrap();
    let many = array((0..1000).map(|i| array([span_with("resource", s(&format!("{i}")))])));
    for round in 0..3 {
        let before = agent.requests().len();
        let error = e.send(&many).unwrap_err();
        let requests = agent.requests().len() - before;
        assert!(requests <= 10, "round {round}: {requests}");
        assert_eq!(agent.requests()[before].body.len(), many.len(), "the whole is tried again");
        assert_eq!(error.kind(), ErrorKind::PayloadTooLarge);
        assert!(error.message().contains("refuses everything"), "{error}");
        assert_eq!(error.attempts() as usize, requests);
    }
    assert_eq!(e.metrics().dropped_for(DropReason::PayloadTooLarge).traces, 3000);
    is_closed(&e);
}

#[test]
fn a_single_trace_that_is_too_large_costs_only_itself() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let e = exporter(&agent).max_request_bytes(4096).build().unwrap();
    let big = span_with("resource", s(&"x".repeat(5000)));
    let many =
        array((0..20).map(|i| {
            array([if i == 7 { big.clone() } else { span_with("resource", s(&format!("GET /{i}"))) }])
        }));
    let error = e.send(&many).unwrap_err();
    assert!(error.message().contains("19 of 20 traces were sent"), "{error}");
    assert_eq!(e.metrics().sent.traces, 19);
    is_closed(&e);
}

#[test]
fn an_answer_that_is_too_much_for_us_is_a_success_all_the_same() {
    let many: String = (0..200).map(|i| format!("x-{i}: y\r\n")).collect();
    let headers = format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 2\r\n\r\n{{}}");
    let version = "v".repeat(5000);
    let rates = br#"{"rate_by_service":{}}"#;
    let long = answer(200, &[("Datadog-Rates-Payload-Version", version.as_str())], rates);
    let early = format!("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{headers}");
    for (name, step) in [
        ("200 headers", Step::Say(headers.clone().into_bytes())),
        ("a long version", Step::Say(long)),
        ("early hints, then 200 headers", Step::Say(early.into_bytes())),
    ] {
        let agent = ScriptedAgent::start(Listen::Tcp, [step.clone(), step]);
        let e = exporter(&agent).build().unwrap();
        for _ in 0..3 {
            let response = e.send(&named("x")).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((response.status(), response.traces, response.attempts()), (200, 1, 1), "{name}");
        }
        let m = e.metrics();
        assert_eq!((m.sent.traces, m.possibly_duplicated, agent.requests().len()), (3, 0, 3), "{name}");
        is_closed(&e);
    }
    // What is refused so is refused.
    let refusal = headers.replace("200 OK", "400 X").into_bytes();
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Say(refusal)]);
    let e = exporter(&agent).build().unwrap();
    assert_eq!(e.send(&named("x")).unwrap_err().status(), Some(400));
    assert_eq!(agent.requests().len(), 1);
}

#[test]
fn a_socket_that_cannot_be_fails_at_once() {
    let dir = Dir::new("loop");
    std::fs::create_dir_all(&dir.0).unwrap();
    let (a, b) = (dir.0.join("a"), dir.0.join("b"));
    std::os::unix::fs::symlink(&a, &b).unwrap();
    std::os::unix::fs::symlink(&b, &a).unwrap();
    for (url, word) in [
        (format!("unix://{}/{}", dir.path(), "x".repeat(200)), "too long"),
        (format!("unix://{}", a.display()), "circle"),
    ] {
        let e = TraceExporter::builder().url(&url).discovery(false).build().unwrap();
        let error = e.send(&named("x")).unwrap_err();
        assert!(error.message().contains(word) && error.message().contains("`url`"), "{error}");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::InvalidUrl, 1));
        assert_eq!(e.metrics().dropped_for(DropReason::Unreachable).traces, 1);
    }
}

#[test]
fn a_response_says_what_was_left_out() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let e = exporter(&agent).ignore_resource("^health$").build().unwrap();
    let odd = span_with("type", array([]));
    let chunks = [named("a"), named("health")].map(|p| p[1..].to_vec());
    let three = [vec![0x93], chunks.concat(), array([odd])].concat();
    let response = e.send(&three).unwrap();
    assert_eq!((response.traces, response.left_out.filtered.traces), (2, 1));
    assert_eq!((response.left_out.repaired, response.left_out.malformed.traces), (1, 0));
    assert_eq!(response.left_out.sampled_out.traces, 0);
}

#[test]
fn what_was_dropped_unread_is_counted_as_such() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let e = exporter(&agent).build().unwrap();
    e.send(b"\x91\xff").unwrap_err();
    e.send(b"").unwrap_err();
    e.offer(b"").unwrap_err();
    let m = e.metrics();
    assert_eq!((m.unread.payloads, m.unread.traces, m.unread.bytes), (3, 1, 2), "{m:?}");
    e.close();
    e.send(&named("late")).unwrap_err();
    assert_eq!(e.metrics().unread.payloads, 4);
    is_closed(&e);
}

#[test]
fn the_line_about_a_dropped_trace_names_it() {
    let agent = ScriptedAgent::start(Listen::Tcp, [say(400, "no"), say(400, "no"), say(400, "no")]);
    let span = map([e2("service", "shop"), e2("resource", "GET /cart"), e2("name", "web")]);
    let one = payload([span.clone(), span]);
    let size = one.len() - 1;
    for input in ["V04", "V05", "V1"] {
        let to = match input {
            "V05" => data_pipeline::settings::OutputFormat::V05,
            "V1" => data_pipeline::settings::OutputFormat::V1,
            _ => data_pipeline::settings::OutputFormat::V04,
        };
        let wanted = data_pipeline::convert::Conversion { to, ..Default::default() };
        let body = data_pipeline::convert::convert(&one, &wanted).unwrap().body;
        let e = exporter(&agent).input_format(input.parse_input()).build().unwrap();
        e.send(&body).unwrap_err();
        let text = log(&e);
        assert!(text.contains("service \"shop\", resource \"GET /cart\", 2 spans"), "{input}: {text}");
        assert!(text.contains(" bytes"), "{text}");
        if input == "V04" {
            assert!(text.contains(&format!("{size} bytes")), "{size}: {text}");
        }
    }
}

trait ParseInput {
    fn parse_input(&self) -> data_pipeline::settings::InputFormat;
}

impl ParseInput for &str {
    fn parse_input(&self) -> data_pipeline::settings::InputFormat {
        data_pipeline::settings::InputFormat::ALL.iter().find(|(name, _)| name == self).unwrap().1
    }
}

fn e2(key: &str, value: &str) -> Entry {
    e(key, s(value))
}

const CAPABLE: &str =
    r#"{"version":"7.70.0","endpoints":["/v0.4/traces","/v0.6/stats"],"client_drop_p0s":true}"#;

#[test]
fn health_metrics_go_on_after_a_snapshot_and_to_the_port_of_info_at_close() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(patient(ms(5000)))).unwrap();
    let port = udp.local_addr().unwrap().port();
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    agent.set_info([say(200, &format!(r#"{{"version":"7.70.0","config":{{"statsd_port":{port}}}}}"#))]);
    let e = TraceExporter::builder().url(&agent.url).dogstatsd("udp://127.0.0.1").build().unwrap();
    e.await_agent(patient(ms(5000))).unwrap();
    e.send(&named("a")).unwrap();
    e.suspend(ms(500));
    e.resume().unwrap();
    e.send(&named("b")).unwrap();
    // Long before ten seconds are over.
    e.close();
    let mut text = String::new();
    let mut buffer = [0; 4000];
    while text.matches("transport.traces.successful").count() < 2 {
        let n = udp.recv(&mut buffer).unwrap();
        text += std::str::from_utf8(&buffer[..n]).unwrap();
        text.push('\n');
    }
}

#[test]
fn a_restored_process_has_another_runtime_id_unless_the_caller_set_one() {
    for set in [None, Some("mine")] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        agent.set_info([say(200, CAPABLE), say(200, CAPABLE), say(200, CAPABLE)]);
        let builder = TraceExporter::builder().url(&agent.url).compute_stats(ms(10_000));
        let builder = match set {
            Some(id) => builder.runtime_id(id),
            None => builder,
        };
        let e = builder.build().unwrap();
        e.await_agent(patient(ms(5000))).unwrap();
        e.send(&named("a")).unwrap();
        assert!(e.flush_stats(patient(ms(5000))));
        e.suspend(ms(500));
        e.resume().unwrap();
        e.send(&named("b")).unwrap();
        assert!(e.flush_stats(patient(ms(5000))));
        let ids: Vec<String> = agent
            .requests()
            .iter()
            .filter(|r| r.head.contains("/v0.6/stats"))
            .map(|r| decode(&r.body)["RuntimeID"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 2);
        assert_eq!(ids[0] == ids[1], set.is_some(), "{ids:?}");
    }
}

#[test]
fn resume_and_info_do_not_lock_each_other_out() {
    let info = |n: u32| say(200, &CAPABLE.replace("7.70.0", &format!("7.70.{n}")));
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    agent.set_info((0..2000).map(info));
    let builder = TraceExporter::builder().url(&agent.url).agent_filters(true);
    let e = Arc::new(builder.compute_stats(ms(10_000)).build().unwrap());
    e.await_agent(patient(ms(5000))).unwrap();
    let (stop, fetched) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asking = {
        let (e, stop, fetched) = (Arc::clone(&e), Arc::clone(&stop), Arc::clone(&fetched));
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                fetched.fetch_add(u64::from(e.fetch_info(ms(3000)).is_ok()), Ordering::SeqCst);
            }
        })
    };
    for i in 0..60 {
        std::thread::sleep(ms(i % 7));
        e.suspend(Duration::ZERO);
        e.resume().unwrap();
        assert!(e.agent_info().is_some());
    }
    until(|| fetched.load(Ordering::SeqCst) > 0);
    stop.store(true, Ordering::SeqCst);
    asking.join().unwrap();
    e.send(&named("after all")).unwrap();
    e.close();
    assert_eq!(e.resume().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn an_agent_behind_a_missing_socket_is_found_when_it_comes() {
    let path = socket_path();
    let e = TraceExporter::builder()
        .url(format!("unix://{}", path.display()))
        .async_budget(patient(ms(10_000)))
        .build()
        .unwrap();
    e.offer(&named("early")).unwrap();
    let agent = ScriptedAgent::unix(path, []);
    until(|| e.metrics().sent.traces == 1);
    assert_eq!(agent.requests().len(), 1);
}
