//! The facade against a scripted agent: headers, empty payloads, closing, the fallback from v1, and an account that is
//! closed whatever happens.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::{Counts, DropReason};
use data_pipeline::settings::OutputFormat;
use data_pipeline::trace::OnMalformed;
use data_pipeline::{DroppedP0, ErrorKind, SendOptions, TraceExporter};
use msgpack::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, TRANSPORTS, answer, ok, patient, say};

fn closed_account(exporter: &TraceExporter) {
    let m = exporter.metrics();
    assert_eq!(m.received, m.accounted_for(), "{m:#?}");
    assert_eq!(m.queued, Counts::default());
}

#[test]
fn headers_are_those_that_were_given() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder()
        .url(&agent.url)
        .language("java")
        .language_version("21")
        .language_interpreter("OpenJDK")
        .language_vendor("Debian")
        .tracer_version("1.2.3")
        .container_id("cid")
        .entity_id("ci-1")
        .external_env("it-false")
        .test_session_token("token")
        .client_computed_stats(true)
        .client_computed_top_level(true)
        .header("X-Mine", "yes")
        .build()
        .unwrap();
    exporter.send_with(&payload([good_span()]), DroppedP0 { traces: 3, spans: 8 }).unwrap();
    let got = agent.requests().pop().unwrap();
    assert!(got.head.starts_with("PUT /v0.4/traces HTTP/1.1\r\n"), "{}", got.head);
    for (name, value) in [
        ("content-type", "application/msgpack"),
        ("datadog-meta-lang", "java"),
        ("datadog-meta-lang-version", "21"),
        ("datadog-meta-lang-interpreter", "OpenJDK"),
        ("datadog-meta-lang-interpreter-vendor", "Debian"),
        ("datadog-meta-tracer-version", "1.2.3"),
        ("datadog-container-id", "cid"),
        ("datadog-entity-id", "ci-1"),
        ("datadog-external-env", "it-false"),
        ("x-datadog-test-session-token", "token"),
        ("datadog-client-computed-stats", "true"),
        ("datadog-client-computed-top-level", "true"),
        ("datadog-client-dropped-p0-traces", "3"),
        ("datadog-client-dropped-p0-spans", "8"),
        ("datadog-send-real-http-status", "1"),
        ("x-datadog-trace-count", "1"),
        ("x-mine", "yes"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
}

#[test]
fn what_the_tracer_says_of_one_payload_is_said_of_that_one_alone() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).senders(1).build().unwrap();
    let counted = SendOptions { client_computed_stats: true, ..SendOptions::default() };
    let both = SendOptions { dropped: DroppedP0 { traces: 1, spans: 2 }, ..counted };
    let span = payload([good_span()]);
    exporter.send_with(&span, counted).unwrap();
    exporter.send(&span).unwrap();
    // In the queue, too: what differs does not travel together.
    exporter.offer_with(&span, both).unwrap();
    exporter.offer(&span).unwrap();
    exporter.offer(&span).unwrap();
    assert!(exporter.flush(Duration::from_secs(20)).complete);
    exporter.send_async_with(&span, both).wait(Duration::from_secs(20)).unwrap().unwrap();
    let mut traces = [0, 0];
    for request in agent.requests().iter().filter(|r| r.head.contains("/traces ")) {
        let said = request.header("datadog-client-computed-stats") == Some("true");
        traces[usize::from(said)] += request.header("x-datadog-trace-count").unwrap().parse::<u64>().unwrap();
        let dropped = request.header("datadog-client-dropped-p0-spans");
        assert!(dropped.is_none() || said && dropped == Some("2"));
    }
    assert_eq!(traces, [3, 3]);
    closed_account(&exporter);
}

#[test]
fn what_was_not_given_is_not_said() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
    exporter.send(&payload([good_span()])).unwrap();
    let head = agent.requests().pop().unwrap().head.to_ascii_lowercase();
    for name in
        ["datadog-meta", "container", "entity", "external", "computed", "dropped", "session", "user-agent"]
    {
        assert!(!head.contains(name), "{name} in {head}");
    }
}

#[test]
fn top_level_is_claimed_by_header_when_it_was_computed() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for (compute, client, format, claimed) in [
        (false, false, OutputFormat::V04, false),
        (true, false, OutputFormat::V04, true),
        (false, true, OutputFormat::V04, true),
        (false, false, OutputFormat::V05, true),
        (false, false, OutputFormat::V1, true),
    ] {
        let builder = TraceExporter::builder().url(&agent.url).output_format(format);
        let exporter = builder.compute_top_level(compute).client_computed_top_level(client).build().unwrap();
        exporter.send(&payload([good_span()])).unwrap();
        let got = agent.requests().pop().unwrap();
        assert_eq!(got.header("datadog-client-computed-top-level").is_some(), claimed, "{format:?}");
        let marked = got.body.windows(10).any(|w| w == b"_top_level");
        assert_eq!(marked, claimed && !client, "never when the tracer did it");
    }
}

#[test]
fn an_empty_list_needs_no_request_unless_dropped_traces_are_to_be_told() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for format in [OutputFormat::V04, OutputFormat::V05, OutputFormat::V1] {
        let exporter = TraceExporter::builder().url(&agent.url).output_format(format).build().unwrap();
        for empty in [&[0x90][..], &[0xdc, 0, 0], &[0xdd, 0, 0, 0, 0], &[0x90, 1, 2, 3]] {
            let before = agent.requests().len();
            let response = exporter.send(empty).unwrap();
            assert_eq!((response.status(), response.attempts(), response.traces), (0, 0, 0));
            assert_eq!(agent.requests().len(), before);
            for dropped in [DroppedP0 { traces: 1, spans: 0 }, DroppedP0 { traces: 0, spans: 2 }] {
                let response = exporter.send_with(empty, dropped).unwrap();
                assert_eq!((response.status(), response.attempts(), response.traces), (200, 1, 0));
                let got = agent.requests().pop().unwrap();
                assert_eq!(got.header("x-datadog-trace-count"), Some("0"));
                let said = |name| got.header(name).map_or(0, |v| v.parse().unwrap());
                let counts =
                    (said("datadog-client-dropped-p0-traces"), said("datadog-client-dropped-p0-spans"));
                assert_eq!(counts, (dropped.traces, dropped.spans));
            }
        }
        closed_account(&exporter);
        assert_eq!(exporter.metrics().payloads, 12);
    }
}

#[test]
fn what_filters_leave_nothing_of_needs_no_request() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).reject_tag("env").build().unwrap();
    let body = array([array([good_span(), good_span()]), array([good_span()])]);
    let response = exporter.send(&body).unwrap();
    assert_eq!((response.status(), response.traces, response.spans), (0, 0, 0));
    let m = exporter.metrics();
    assert_eq!((m.filtered.traces, m.filtered.spans, m.requests, m.body_bytes), (2, 3, 0, 0));
    closed_account(&exporter);
    assert!(agent.requests().is_empty());
    // The rest goes out without the rejected ones.
    let body = array([array([good_span()]), array([span_with("meta", map([]))]), array([good_span()])]);
    assert_eq!(exporter.send(&body).unwrap().traces, 1);
    assert_eq!(agent.requests()[0].body, payload([span_with("meta", map([]))]));
}

#[test]
fn a_closed_exporter_says_so_and_counts() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
    assert!(!exporter.is_closed());
    let report = exporter.close();
    assert!(report.complete && exporter.is_closed());
    let error = exporter.send(&payload([good_span()])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(exporter.metrics().dropped_for(DropReason::Closed).traces, 1);
    closed_account(&exporter);
    assert!(exporter.close().complete, "closing again is fine");
    assert!(agent.requests().is_empty());
}

#[test]
fn close_during_a_stalled_send_is_bounded_and_idempotent() {
    for &transport in TRANSPORTS {
        for (step, limit) in [
            (Step::Stall, 800u64),
            (Step::StallReading, 200),
            (Step::Stall, 0),
            (Step::EarlyAndStall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_vec()), 100),
            (say(503, "later"), 100),
        ] {
            let script = std::iter::repeat_n(step.clone(), 100);
            let agent = ScriptedAgent::start(transport, script);
            let builder =
                TraceExporter::builder().url(&agent.url).close_timeout(Duration::from_millis(limit));
            let exporter = Arc::new(builder.build().unwrap());
            let sends: Vec<_> = (0..3)
                .map(|_| {
                    let exporter = Arc::clone(&exporter);
                    std::thread::spawn(move || exporter.send(&payload([good_span()])))
                })
                .collect();
            while exporter.metrics().queued.traces < 3 {
                std::thread::yield_now();
            }
            let started = Instant::now();
            let report = exporter.close();
            let took = started.elapsed();
            let most = Duration::from_millis(limit) + patient(Duration::from_millis(50));
            assert!(took < most, "{step:?}: {took:?}");
            assert!(!report.complete || !matches!(step, Step::Stall));
            for send in sends {
                assert_eq!(send.join().unwrap().unwrap_err().kind(), ErrorKind::Closed, "{step:?}");
            }
            closed_account(&exporter);
            assert_eq!(exporter.metrics().dropped_for(DropReason::Closed).traces, 3);
            let started = Instant::now();
            exporter.close();
            assert!(started.elapsed() < patient(Duration::from_millis(50)));
        }
    }
}

#[test]
fn limits_beyond_all_clocks_are_limits_too() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    agent.set_info([say(200, "{}")]);
    let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
    assert!(exporter.fetch_info(Duration::MAX).is_ok());
    assert!(exporter.close_within(Duration::MAX).complete);
}

#[test]
fn close_waits_for_sends_that_are_done_in_time() {
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Late(Duration::from_millis(200), ok())]);
    let builder = TraceExporter::builder().url(&agent.url).close_timeout(Duration::from_secs(20));
    let exporter = Arc::new(builder.build().unwrap());
    let send = {
        let exporter = Arc::clone(&exporter);
        std::thread::spawn(move || exporter.send(&payload([good_span()])))
    };
    agent.await_requests(1);
    let report = exporter.close();
    assert!(report.complete);
    assert_eq!(report.metrics.sent.traces, 1);
    assert_eq!(send.join().unwrap().unwrap().status(), 200);
}

#[test]
fn an_agent_without_v1_gets_v04_in_the_same_call() {
    let body = array([array([good_span(), good_span()]), array([good_span()])]);
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, [say(404, "404 page not found")]);
        let exporter =
            TraceExporter::builder().url(&agent.url).output_format(OutputFormat::V1).build().unwrap();
        let response = exporter.send(&body).unwrap();
        assert_eq!((response.status(), response.traces, response.spans, response.attempts()), (200, 2, 3, 2));
        let got = agent.requests();
        assert!(got[0].head.starts_with("PUT /v1.0/traces ") && got[0].body[0] & 0xf0 == 0x80);
        assert!(got[1].head.starts_with("PUT /v0.4/traces ") && got[1].body == body);
        let m = exporter.metrics();
        assert_eq!((m.payloads, m.requests), (1, 2));
        assert_eq!((m.received.traces, m.sent.traces, m.sent.spans), (2, 2, 3));
        assert_eq!(m.body_bytes, body.len() as u64);
        closed_account(&exporter);
        // Later sends do not ask again.
        exporter.send(&body).unwrap();
        assert!(agent.requests()[2].head.starts_with("PUT /v0.4/traces "));
    }
}

#[test]
fn other_refusals_do_not_give_up_v1() {
    for status in [400, 413, 415, 403] {
        let agent = ScriptedAgent::start(Listen::Tcp, [say(status, "no")]);
        let exporter =
            TraceExporter::builder().url(&agent.url).output_format(OutputFormat::V1).build().unwrap();
        assert_eq!(exporter.send(&payload([good_span()])).unwrap_err().status(), Some(status));
        exporter.send(&payload([good_span()])).unwrap();
        assert!(agent.requests()[1].head.starts_with("PUT /v1.0/traces "));
        closed_account(&exporter);
    }
}

#[test]
fn the_fallback_shares_the_budget_and_counts_what_it_ran_into() {
    let agent = ScriptedAgent::start(
        Listen::Tcp,
        [Step::Late(Duration::from_secs(1), answer(404, &[], b"")), Step::Stall],
    );
    let builder = TraceExporter::builder().url(&agent.url).output_format(OutputFormat::V1);
    let exporter = builder.send_budget(Duration::from_secs(2)).build().unwrap();
    let started = Instant::now();
    let error = exporter.send(&payload([good_span()])).unwrap_err();
    let took = started.elapsed();
    // A budget for each of the two would be three seconds.
    assert!(took < Duration::from_millis(2900), "{took:?}");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::TimedOut, 2));
    let m = exporter.metrics();
    assert_eq!((m.dropped_for(DropReason::TimedOut).traces, m.requests), (1, 2));
    closed_account(&exporter);
}

/// Every send of many threads gets through although all run into the 404 at once, and a body goes where its format
/// belongs.
#[test]
fn concurrent_sends_survive_the_404() {
    for pause in [0, 1, 150, 150] {
        let late = Step::Late(Duration::from_millis(pause), answer(404, &[], b""));
        let agent = ScriptedAgent::start(Listen::Tcp, std::iter::repeat_n(late, 6));
        let exporter =
            TraceExporter::builder().url(&agent.url).output_format(OutputFormat::V1).build().unwrap();
        let body = payload([good_span()]);
        let barrier = std::sync::Barrier::new(6);
        let arrived = AtomicUsize::new(0);
        std::thread::scope(|s| {
            for _ in 0..6 {
                s.spawn(|| {
                    barrier.wait();
                    arrived.fetch_add(usize::from(exporter.send(&body).is_ok()), Ordering::Relaxed);
                });
            }
        });
        let got = agent.requests();
        for got in &got {
            let one = got.head.starts_with("PUT /v1.0/traces ");
            assert_eq!(one, got.body[0] & 0xf0 == 0x80, "{}", got.head);
        }
        if pause == 150 {
            // All six were on their way when the first answer came.
            assert_eq!((arrived.into_inner(), got.len()), (6, 12));
        }
        closed_account(&exporter);
    }
}

/// A small generator whose seed a failure names.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        use std::hash::{BuildHasher, Hasher};
        std::collections::hash_map::RandomState::new().build_hasher().finish() | 1
    });
    println!("SEED={seed}");
    seed
}

#[test]
fn the_account_is_closed_whatever_happens() {
    let mut random = Random(seed());
    for round in 0..300 {
        let script: Vec<Step> = (0..random.below(4))
            .map(|_| match random.below(10) {
                0 => say(400, "bad"),
                1 => say(404, "no"),
                2 => say(413, "too large"),
                3 => say(429, "slow down"),
                4 => say(503, "later"),
                5 => Step::ResetAfterBody,
                6 => Step::CloseAfterBody,
                7 => Step::CloseAfterAccept,
                8 => Step::Say(b"<html>".to_vec()),
                _ => Step::Say(ok()),
            })
            .collect();
        let shown = format!("{script:?}");
        let agent = ScriptedAgent::start(Listen::Tcp, script);
        let format = [OutputFormat::V04, OutputFormat::V05, OutputFormat::V1][random.below(3) as usize];
        let policy = [OnMalformed::Fail, OnMalformed::Drop, OnMalformed::Repair][random.below(3) as usize];
        let mut builder = TraceExporter::builder()
            .url(&agent.url)
            .output_format(format)
            .on_malformed(policy)
            .compute_top_level(random.below(2) == 0)
            .send_budget(Duration::from_millis(1 + random.below(40)));
        if random.below(2) == 0 {
            builder = builder.reject_tag("drop:me");
        }
        let exporter = builder.build().unwrap();
        let (mut payloads, mut bytes) = (0, 0);
        for _ in 0..1 + random.below(4) {
            let span = |random: &mut Random| match random.below(8) {
                0 => span_with("error", bool_(true)),
                1 => span_with("trace_id", s("bad")),
                2 => span_with("meta", map([e("drop", s("me"))])),
                3 => span_with("metrics", map([e("x", s("y"))])),
                4 => span_with("start", int(-1)),
                _ => good_span(),
            };
            let chunks = (0..random.below(5)).map(|_| {
                let spans = random.below(4);
                (0..spans).map(|_| span(&mut random)).collect::<Vec<_>>()
            });
            let mut body = array(chunks.collect::<Vec<_>>().into_iter().map(array));
            if random.below(5) == 0 {
                body.truncate(random.below(body.len() as u64 + 1) as usize);
            }
            if random.below(20) == 0 {
                exporter.close();
            }
            payloads += 1;
            bytes += body.len() as u64;
            let _ = exporter.send(&body);
            let m = exporter.metrics();
            assert_eq!(
                m.received,
                m.accounted_for(),
                "round {round}, {format:?}, {policy:?}, {shown}: {m:#?}"
            );
            assert_eq!((m.queued, m.payloads, m.received.bytes), (Counts::default(), payloads, bytes));
            assert_eq!(m.dropped_for(DropReason::Internal), Counts::default());
        }
    }
}

#[test]
fn eight_threads_send_while_others_close() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let body = array([array([good_span(), good_span()]), array([span_with("error", bool_(true))])]);
    let round = AtomicUsize::new(0);
    let (sent, refused, other) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    const ROUNDS: usize = 2_000;
    std::thread::scope(|s| {
        // Two groups, each round an exporter of its own: eight threads send and two close.
        for group in 0..2u64 {
            let (agent, body, round) = (&agent, &body, &round);
            let (sent, refused, other) = (&sent, &refused, &other);
            s.spawn(move || {
                while round.fetch_add(1, Ordering::Relaxed) < ROUNDS {
                    let format = if group == 0 { OutputFormat::V04 } else { OutputFormat::V1 };
                    let builder = TraceExporter::builder().url(&agent.url).output_format(format);
                    let exporter = builder.close_timeout(Duration::from_millis(group * 5)).build().unwrap();
                    std::thread::scope(|s| {
                        for thread in 0..10 {
                            let (exporter, body) = (&exporter, &body);
                            s.spawn(move || {
                                if thread >= 8 {
                                    exporter.close();
                                    return;
                                }
                                match exporter.send(body) {
                                    Ok(r) => {
                                        assert_eq!((r.status(), r.traces, r.spans), (200, 2, 3));
                                        sent.fetch_add(1, Ordering::Relaxed);
                                    }
                                    Err(e) if e.kind() == ErrorKind::Closed => {
                                        refused.fetch_add(1, Ordering::Relaxed);
                                    }
                                    Err(e) => {
                                        eprintln!("{e}");
                                        other.fetch_add(1, Ordering::Relaxed);
                                    }
                                }
                            });
                        }
                    });
                    exporter.close();
                    let m = exporter.metrics();
                    assert_eq!(m.received, m.accounted_for());
                    assert_eq!((m.payloads, m.received.traces, m.queued), (8, 16, Counts::default()));
                }
            });
        }
    });
    let (sent, refused, other) = (sent.into_inner(), refused.into_inner(), other.into_inner());
    println!("{sent} sent, {refused} refused as closed, {other} otherwise");
    assert_eq!(other, 0);
    assert!(sent + refused == 8 * ROUNDS as u64 && refused > 0);
}
