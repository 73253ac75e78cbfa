//! Peers of bad manners (`make faults`): answers that no agent gives, and an `/info` that says whatever hurts. Adds to
//! the fault matrix of `faults.rs` what is not a fault of the way but malice, or another program behind the port.
//!
//! For every manner: the account is closed, each call keeps its limit, the payload has the fate that the table says,
//! and an exporter that met it sends to an honest agent on the same connection or the next.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::{Builder, TraceExporter};
use msgpack::*;
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, TRANSPORTS, answer, ok, patient, say};

/// What becomes of a payload that meets the manner each time, and of one after it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The agent said that it has it: an answer that is odd is still one.
    Sent,
    /// What was said is no answer, or a refusal.
    Lost,
}
use Fate::{Lost, Sent};

const BUDGET: Duration = Duration::from_millis(600);
const CLOSE: Duration = Duration::from_millis(850);

fn slack() -> Duration {
    patient(Duration::from_millis(700))
}

fn body() -> Vec<u8> {
    array([array([good_span(), good_span()]), array([good_span()])])
}

fn builder(url: &str) -> Builder {
    TraceExporter::builder()
        .url(url)
        .connect_timeout(Duration::from_millis(300))
        .send_timeout(Duration::from_millis(300))
        .send_budget(BUDGET)
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn keep(text: &[u8]) -> Step {
    Step::Say(text.to_vec())
}

fn end(text: &[u8]) -> Step {
    Step::SayAndClose(text.to_vec())
}

/// 200 with these headers and the body `{}`.
fn with(headers: &str) -> Step {
    keep(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 2\r\n\r\n{{}}").as_bytes())
}

fn rates(body: &[u8]) -> Step {
    Step::Say(answer(200, &[("Content-Type", "application/json")], body))
}

fn answers() -> Vec<(&'static str, Step, Fate)> {
    let many_headers: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let million: String = (0..1000).map(|n| format!("x-{n}: y\r\n")).collect();
    let version = |size: usize| format!("Datadog-Rates-Payload-Version: {}\r\n", "v".repeat(size));
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const LAST: &[u8] = b"2\r\n{}\r\n0\r\n";
    let mut list: Vec<(&'static str, Step, Fate)> = vec![
        // Heads.
        ("200 headers", with(&many_headers), Sent),
        ("a million headers", Step::Flood(b"HTTP/1.1 200 OK\r\n".to_vec(), million.into_bytes(), 1000), Sent),
        ("an endless header line", Step::Flood(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'a'; 1 << 16], 2000), Lost),
        ("an endless status line", Step::Flood(b"HTTP/1.1 200 ".to_vec(), vec![b'a'; 1 << 16], 2000), Lost),
        ("100 without end", Step::Flood(vec![], b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100), 20_000), Lost),
        ("102 without end", Step::Flood(vec![], b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100), 20_000), Lost),
        ("103, then 200", Step::Say(bytes(&[b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", &ok()])), Sent),
        ("101", keep(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), Lost),
        ("a folded header", keep(b"HTTP/1.1 200 OK\r\nX-A: b\r\n  c\r\nContent-Length: 2\r\n\r\n{}"), Lost),
        ("NUL in a header's name", with("X-\0A: b\r\n"), Lost),
        ("NUL in a header's value", with("Datadog-Agent-State: b\0c\r\n"), Lost),
        (
            "headers that are no text",
            keep(b"HTTP/1.1 200 OK\r\nDatadog-Agent-State: \xff\xfe\r\nDatadog-Container-Tags-Hash: \xc3\xa9\r\n\
                Datadog-Rates-Payload-Version: \xff\r\nContent-Length: 2\r\n\r\n{}"),
            Sent,
        ),
        ("a rates version of 5,000 bytes", with(&version(5000)), Sent),
        ("a rates version of 60,000 bytes", with(&version(60_000)), Sent),
        ("line feeds alone", keep(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), Sent),
        ("status abc", end(b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}"), Lost),
        ("status 99", end(b"HTTP/1.1 99 OK\r\nContent-Length: 2\r\n\r\n{}"), Lost),
        ("status 1000", end(b"HTTP/1.1 1000 OK\r\nContent-Length: 2\r\n\r\n{}"), Lost),
        ("status 000", end(b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\n{}"), Lost),
        ("status 999", say(999, "{}"), Lost),
        ("204 with a body", say(204, "{}"), Sent),
        ("304", keep(b"HTTP/1.1 304 Not Modified\r\n\r\n"), Lost),
        ("the preface of HTTP/2", end(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Lost),
        ("HTTP/0.9", end(b"{}"), Lost),
        ("HTTP/1.0", end(b"HTTP/1.0 200 OK\r\n\r\n{}"), Sent),
        ("HTTP/3.0", end(b"HTTP/3.0 200 OK\r\n\r\n{}"), Lost),
        ("a TLS alert", end(b"\x15\x03\x01\x00\x02\x02\x46"), Lost),
        ("noise", end(&b"\x9e\x01\x7f\r\n\xfe:".repeat(10_000)), Lost),
        // Lengths and chunks.
        ("a long chunk extension", Step::Flood(bytes(&[CHUNKED, b"2;"]), b"a=b;".repeat(16_384), 500), Sent),
        ("a chunk extension", Step::Say(bytes(&[CHUNKED, b"2;foo=bar\r\n{}\r\n0\r\n\r\n"])), Sent),
        ("a chunk of 2^64-1 bytes", end(&bytes(&[CHUNKED, b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n"])), Sent),
        ("a chunk of more", end(&bytes(&[CHUNKED, b"fffffffffffffffffffffffff\r\n{}\r\n0\r\n\r\n"])), Sent),
        ("a chunk of -2 bytes", end(&bytes(&[CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n"])), Sent),
        ("trailers without end", Step::Flood(bytes(&[CHUNKED, LAST]), b"x: y\r\n".repeat(10_000), 300), Sent),
        ("chunks of one byte without end", Step::Flood(CHUNKED.to_vec(), b"1\r\n \r\n".repeat(1000), 20_000), Sent),
        ("a length of -5", end(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"), Lost),
        ("a length twice", with("Content-Length: 2\r\n"), Sent),
        ("two lengths", with("Content-Length: 3\r\n"), Lost),
        ("a list of lengths", keep(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}"), Sent),
        (
            "a length and chunks",
            keep(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Sent,
        ),
        ("a length of 2^64 and more", end(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\n{}"), Lost),
        ("a length of 2^63-1", end(b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n{}"), Sent),
        ("an encoding that is none", end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: banana\r\n\r\n{}"), Sent),
        // Bodies.
        ("rates twice", rates(br#"{"rate_by_service":{"a":1,"a":2},"rate_by_service":{"b":1}}"#), Sent),
        ("rates that are no numbers", rates(br#"{"rate_by_service":{"a":NaN,"b":1e400,"c":-1,"d":"x"}}"#), Sent),
        ("rates in a million brackets", rates(&bytes(&[&b"[".repeat(1 << 20), &b"]".repeat(1 << 20)])), Sent),
        ("rates that are no text", rates(b"{\"rate_by_service\":{\"\xff\xfe\":1}}"), Sent),
        ("50 MB behind the rates", rates(&bytes(&[b"{\"rate_by_service\":{}", &vec![b' '; 50_000_000], b"}"])), Sent),
        ("a web page", Step::Say(answer(200, &[("Content-Type", "text/html")], b"<html>")), Lost),
        // Refusals.
        ("503, later in a thousand years", Step::Say(answer(503, &[("Retry-After", &"9".repeat(30))], b"")), Lost),
        ("429, later at once", Step::Say(answer(429, &[("Retry-After", "0")], b"")), Lost),
        ("429, a second ago", Step::Say(answer(429, &[("Retry-After", "-1")], b"")), Lost),
        ("302 to itself", Step::Say(answer(302, &[("Location", "/v0.4/traces")], b"")), Lost),
        ("307 with a password", Step::Say(answer(307, &[("Location", "http://user:s3cret@127.0.0.1:1/")], b"")), Lost),
        ("400 with control characters", say(400, &"\u{1b}[2J\u{7}\r\nfake log line \0".repeat(1000)), Lost),
        ("413 always", say(413, ""), Lost),
        // Ends.
        ("200, then noise", Step::Say(bytes(&[&ok(), &b"GARBAGE".repeat(1000)])), Sent),
        ("200 and half closed", Step::SayAndHalfClose(ok()), Sent),
        ("413 before the body, closed", Step::Early(answer(413, &[], b"")), Lost),
        ("200 before the body", Step::EarlyAndStall(ok()), Sent),
    ];
    for n in [1, 9, 15, 17, 30] {
        list.push(("a reset inside the head", Step::SayAndReset(ok()[..n].to_vec()), Lost));
    }
    list
}

fn infos() -> Vec<(&'static str, Vec<u8>)> {
    let with = |more: &str| {
        format!(
            r#"{{"version":"7.70.0","endpoints":["/v0.4/traces","/v0.5/traces","/v1.0/traces","/v0.6/stats"],
                "client_drop_p0s":true,"obfuscation_version":1{more}}}"#
        )
        .into_bytes()
    };
    let list = |n: usize, item: &dyn Fn(usize) -> String| {
        (0..n).map(|i| format!("\"{}\"", item(i))).collect::<Vec<_>>().join(",")
    };
    let limit = |value: &str| with(&format!(r#","config":{{"max_request_bytes":{value}}}"#));
    vec![
        ("100,000 endpoints", with(&format!(r#","endpoints":[{}]"#, list(100_000, &|i| format!("/x/{i}"))))),
        ("250,000 peer tags", with(&format!(r#","peer_tags":[{}]"#, list(250_000, &|i| format!("tag.{i}"))))),
        ("peer tags of 1 MB", with(&format!(r#","peer_tags":[{}]"#, list(3, &|_| "x".repeat(1_000_000))))),
        (
            "200,000 kinds",
            with(&format!(r#","span_kinds_stats_computed":[{}]"#, list(200_000, &|i| format!("k{i}")))),
        ),
        (
            "100,000 maps in maps",
            bytes(&[b"{\"config\":", &b"{\"a\":".repeat(100_000), b"1", &b"}".repeat(100_001)]),
        ),
        ("120 arrays in arrays", bytes(&[b"{\"config\":", &b"[".repeat(120), b"1", &b"]".repeat(120), b"}"])),
        (
            "20,000 big regexes",
            with(&format!(
                r#","ignore_resources":[{}]"#,
                list(20_000, &|i| format!("([a-z]{{90}}){{90}}x{i}"))
            )),
        ),
        (
            "600 big regexes",
            with(&format!(r#","ignore_resources":[{}]"#, list(600, &|i| format!("([a-z]{{90}}){{90}}x{i}")))),
        ),
        (
            "150,000 regexes",
            with(&format!(r#","ignore_resources":[{}]"#, list(150_000, &|i| format!("a{i}")))),
        ),
        (
            "regexes that backtrack",
            with(r#","ignore_resources":["(a*)*b","(a|aa)+$","(.*)*x","([a-z]+)*[0-9]"]"#),
        ),
        (
            "200,000 filters",
            with(&format!(r#","filter_tags":{{"reject":[{}]}}"#, list(200_000, &|i| format!("k{i}:v")))),
        ),
        ("a limit of 0", limit("0")),
        ("a limit of 1", limit("1")),
        ("a limit of -1", limit("-1")),
        ("a limit of 2^63", limit("9223372036854775808")),
        ("a limit of 2^64-1", limit("18446744073709551615")),
        ("a limit of 1e400", limit("1e400")),
        ("NaN", b"{\"version\":\"7\",\"config\":{\"target_tps\":NaN}}".to_vec()),
        (
            "every key twice",
            br#"{"endpoints":["/a"],"endpoints":["/v1.0/traces"],"version":"1","version":"2"}"#.to_vec(),
        ),
        ("no text", b"{\"version\":\"\xff\xfe\"}".to_vec()),
        ("50 MB", bytes(&[b"{\"version\":\"", &vec![b'x'; 50_000_000], b"\"}"])),
        ("3 MB of flags", with(&format!(r#","feature_flags":[{}]"#, list(700_000, &|_| "f".to_owned())))),
    ]
}

struct Row {
    manner: String,
    over: Listen,
    sent: u64,
    lost: u64,
    ms: u128,
    close_ms: u128,
}

fn closed(manner: &str, over: Listen, e: &TraceExporter, took: Duration) -> Row {
    let text = e.explain();
    assert!(!text.contains("s3cret"), "{manner}: {text}");
    for line in e.take_log_lines() {
        let bad = line.text.chars().find(|c| c.is_control());
        assert!(bad.is_none() && !line.text.contains("s3cret"), "{manner}: {:?}", line.text);
    }
    let started = Instant::now();
    let m = e.close().metrics;
    let close = started.elapsed();
    assert!(close <= CLOSE + slack(), "{manner} {over:?}: close took {close:?}");
    assert_eq!(m.received, m.accounted_for(), "{manner} {over:?}: {m:#?}");
    Row {
        manner: manner.to_owned(),
        over,
        sent: m.sent.traces,
        lost: m.dropped_total().traces,
        ms: took.as_millis(),
        close_ms: close.as_millis(),
    }
}

/// A send and an offer that meet the manner each time, then an honest agent at the same address.
fn play((manner, step, fate): &(&'static str, Step, Fate), over: Listen) -> Row {
    let agent = ScriptedAgent::start(over, std::iter::repeat_n(step.clone(), 200));
    // What arrives in the end has the time that a slow machine needs for 50 MB; what never does is given up soon.
    let (budget, timeout) = match fate {
        Sent => (patient(BUDGET), patient(Duration::from_millis(300))),
        Lost => (BUDGET, Duration::from_millis(300)),
    };
    let builder = builder(&agent.url).send_timeout(timeout).send_budget(budget).async_budget(budget);
    let e = builder.discovery(false).build().unwrap();
    let started = Instant::now();
    let result = e.send(&body());
    let took = started.elapsed();
    assert!(took <= budget + slack(), "{manner} {over:?}: a send took {took:?}");
    let got = if result.is_ok() { Sent } else { Lost };
    assert_eq!(got, *fate, "{manner} {over:?}: {result:?}");
    if let Err(error) = &result {
        assert!(!error.message().contains("s3cret"), "{manner}: {error}");
        assert!(!error.message().chars().any(|c| c.is_control()), "{manner}: {error:?}");
    }
    e.offer(&body()).unwrap();
    e.flush(budget + slack());
    let m = e.metrics();
    assert_eq!(m.received, m.accounted_for(), "{manner} {over:?}");
    let row = closed(manner, over, &e, took);
    // An exporter that was told nonsense once goes on.
    let agent = ScriptedAgent::start(over, [step.clone()]);
    let (short, wide) = (patient(Duration::from_millis(300)), patient(Duration::from_secs(5)));
    let e = self::builder(&agent.url).send_timeout(short).send_budget(wide).discovery(false).build().unwrap();
    let _ = e.send(&body());
    e.send(&body()).unwrap_or_else(|error| panic!("{manner} {over:?}: the send after it: {error}"));
    closed(manner, over, &e, took);
    row
}

/// Whatever `/info` says: it is bounded, nothing waits for it beyond its limit, and traces arrive.
fn play_info((manner, info): &(&'static str, Vec<u8>), over: Listen) -> Row {
    let manner = format!("/info: {manner}");
    let agent = ScriptedAgent::start(over, []);
    agent.set_info([Step::Say(answer(200, &[], info))]);
    let wide = patient(Duration::from_secs(5));
    let builder = builder(&agent.url).send_timeout(wide).send_budget(wide);
    let e = builder.compute_stats(Duration::from_secs(10)).agent_filters(true).build().unwrap();
    let limit = Duration::from_millis(300);
    let mut longest = Duration::ZERO;
    let mut timed = |what: &str, call: &mut dyn FnMut()| {
        let started = Instant::now();
        call();
        let took = started.elapsed();
        assert!(took <= limit + slack(), "{manner} {over:?}: {what} took {took:?}");
        longest = longest.max(took);
    };
    timed("await_agent", &mut || drop(e.await_agent(limit)));
    for _ in 0..3 {
        timed("agent_info", &mut || drop(e.agent_info()));
        timed("explain", &mut || drop(e.explain()));
        timed("state", &mut || drop(e.state()));
        timed("send", &mut || {
            let result = e.send(&body());
            // Where a peer says that it takes one byte, nothing fits.
            let fits = !manner.contains("a limit of 1");
            assert!(result.is_ok() || !fits, "{manner} {over:?}: {result:?}");
        });
    }
    closed(&manner, over, &e, longest)
}

#[test]
fn bad_manners_are_survived_and_every_trace_accounted_for() {
    type Job = Box<dyn FnOnce() -> Row + Send>;
    let mut jobs: Vec<Job> = Vec::new();
    for &over in TRANSPORTS {
        for case in answers() {
            jobs.push(Box::new(move || play(&case, over)));
        }
        for case in infos() {
            jobs.push(Box::new(move || play_info(&case, over)));
        }
    }
    let jobs = std::sync::Mutex::new(jobs);
    let rows = std::sync::Mutex::new(Vec::new());
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|s| {
        for _ in 0..10 {
            s.spawn(|| {
                loop {
                    let Some(job) = jobs.lock().unwrap().pop() else { return };
                    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)) {
                        Ok(row) => rows.lock().unwrap().push(row),
                        Err(why) => wrong.lock().unwrap().extend(why.downcast_ref::<String>().cloned()),
                    }
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by(|a, b| (a.over as u8, &a.manner).cmp(&(b.over as u8, &b.manner)));
    println!("{:<40} {:<5} {:>5} {:>5} {:>6} {:>6}", "manner", "over", "sent", "lost", "ms", "close");
    for r in &rows {
        let over = format!("{:?}", r.over).to_lowercase();
        println!("{:<40} {over:<5} {:>5} {:>5} {:>6} {:>6}", r.manner, r.sent, r.lost, r.ms, r.close_ms);
    }
    println!("{} manners, nothing unexplained", rows.len());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
