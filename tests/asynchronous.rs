//! The asynchronous interface against a scripted agent: what is offered arrives or is counted, whatever happens.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::{Counts, DropReason};
use data_pipeline::settings::Overflow;
use data_pipeline::trace::OnMalformed;
use data_pipeline::{Builder, ErrorKind, TraceExporter};
use msgpack::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Hold, Listen, Recorded, ScriptedAgent, Step, TRANSPORTS, ok, patient, say, socket_path};

const LONG: Duration = Duration::from_secs(20);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn exporter(agent: &ScriptedAgent) -> Builder {
    TraceExporter::builder().url(&agent.url).discovery(false)
}

/// A payload of one trace whose span has this resource.
fn named(resource: &str, priority: i64, error: i64) -> Vec<u8> {
    let mut span = fields();
    for (key, value) in &mut span {
        if *key == s("resource") {
            *value = s(resource);
        } else if *key == s("metrics") {
            *value = map([e("_sampling_priority_v1", int(priority))]);
        } else if *key == s("error") {
            *value = int(error);
        }
    }
    payload([map(span)])
}

/// Resources that arrived, in their order.
fn resources(agent: &ScriptedAgent) -> Vec<String> {
    resources_of(&agent.requests())
}

fn resources_of(requests: &[Recorded]) -> Vec<String> {
    let mut out = Vec::new();
    for request in requests {
        for chunk in decode(&request.body).as_array().unwrap() {
            for span in chunk.as_array().unwrap() {
                out.push(span["resource"].as_str().unwrap().to_owned());
            }
        }
    }
    out
}

fn closed_account(exporter: &TraceExporter) {
    let m = exporter.metrics();
    assert_eq!(m.received, m.accounted_for(), "{m:#?}");
}

fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter(|t| std::fs::read_to_string(t.path().join("comm")).is_ok_and(|c| c.trim() == name)).count()
}

#[test]
fn small_payloads_travel_together_and_arrive_in_their_order() {
    for transport in TRANSPORTS {
        let agent = ScriptedAgent::start(*transport, []);
        let exporter = exporter(&agent).batch_age(Duration::from_secs(60)).build().unwrap();
        for i in 0..500 {
            exporter.offer(&named(&format!("r{i}"), 1, 0)).unwrap();
        }
        let queued = exporter.metrics();
        assert_eq!(queued.received.traces, 500);
        let report = exporter.flush(LONG);
        assert!(report.complete, "{report:?}");
        assert_eq!((report.sent.traces, report.pending), (500, Counts::default()));
        assert_eq!(resources(&agent), (0..500).map(|i| format!("r{i}")).collect::<Vec<_>>());
        assert!(agent.requests().len() <= 3, "{} requests", agent.requests().len());
        let m = exporter.metrics();
        assert_eq!((m.payloads, m.sent.traces, m.sent.spans), (500, 500, 500));
        assert_eq!(m.sent.bytes, m.received.bytes);
        closed_account(&exporter);
    }
}

#[test]
fn a_batch_goes_by_age_and_by_size_without_anybody_asking() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = exporter(&agent).batch_age(ms(30)).build().unwrap();
    exporter.offer(&named("young", 1, 0)).unwrap();
    agent.await_requests(1);
    drop(exporter);
    let exporter =
        self::exporter(&agent).batch_age(Duration::from_secs(60)).batch_bytes(2000).build().unwrap();
    for i in 0..10 {
        exporter.offer(&named(&format!("{i}"), 1, 0)).unwrap();
    }
    agent.await_requests(2);
}

#[test]
fn whoever_waits_for_an_answer_gets_it_without_waiting_for_a_batch() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = exporter(&agent).batch_age(Duration::from_secs(60)).build().unwrap();
    let started = Instant::now();
    let response = exporter.send_async(&named("r", 1, 0)).wait(LONG).unwrap().unwrap();
    assert!(started.elapsed() < patient(Duration::from_secs(2)));
    assert_eq!((response.status(), response.traces, response.spans), (200, 1, 1));
    assert!(response.body().starts_with(b"{\"rate_by_service\""));
}

#[test]
fn ten_thousand_futures_complete_each_with_its_own_answer() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = exporter(&agent).queue_payloads(20_000).build().unwrap();
    let pending: Vec<_> = (0..10_000).map(|i| exporter.send_async(&named(&format!("{i}"), 1, 0))).collect();
    for p in &pending {
        assert_eq!(p.wait(LONG).unwrap().unwrap().status(), 200);
    }
    assert_eq!(exporter.metrics().sent.traces, 10_000);
    closed_account(&exporter);
}

#[test]
fn a_payload_that_cannot_be_read_loses_nothing_but_itself() {
    for policy in [OnMalformed::Repair, OnMalformed::Drop, OnMalformed::Fail] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        let exporter = exporter(&agent).on_malformed(policy).build().unwrap();
        let good = named("good", 1, 0);
        let mut truncated = named("cut", 1, 0);
        truncated.truncate(40);
        let trailing = [named("trailing", 1, 0), vec![0xc1]].concat();
        let wrong = payload([span_with("duration", s("long"))]);
        let mut answers = Vec::new();
        for bytes in
            [&good, &truncated, &b"no msgpack"[..].to_vec(), &good, &wrong, &trailing, &vec![], &good]
        {
            answers.push(exporter.send_async(bytes));
        }
        let kinds: Vec<_> = answers.iter().map(|a| a.wait(LONG).unwrap().err().map(|e| e.kind())).collect();
        assert_eq!([&kinds[0], &kinds[3], &kinds[7]], [&None; 3], "{policy:?} {kinds:?}");
        assert!(kinds[1].is_some() && kinds[2].is_some() && kinds[6].is_some(), "{policy:?} {kinds:?}");
        assert_eq!(kinds[5], None, "bytes behind a payload are the agent's to ignore");
        let arrived = resources(&agent);
        assert_eq!(arrived.iter().filter(|r| *r == "good").count(), 3, "{policy:?}");
        closed_account(&exporter);
        assert_eq!(exporter.metrics().queued, Counts::default());
    }
}

#[test]
fn each_policy_keeps_what_it_says() {
    // Room for ten; twenty of one size are offered while the sender is stuck with the first.
    let offers: Vec<(String, i64, i64)> = (0..20)
        .map(|i| match i % 4 {
            0 => (format!("drop-{i:02}"), 0, 0),
            1 => (format!("keep-{i:02}"), 1, 0),
            2 => (format!("user-{i:02}"), 2, 0),
            _ => (format!("erro-{i:02}"), 1, 1),
        })
        .collect();
    let size = named("drop-00", 1, 0).len() as u64;
    for (policy, kept) in [
        (Overflow::DropNewest, &["drop-00", "keep-01", "user-02", "erro-03"][..]),
        (Overflow::DropOldest, &["drop-16", "keep-17", "user-18", "erro-19"]),
        (
            Overflow::Shed,
            &[
                "user-02", "erro-03", "user-06", "erro-07", "user-10", "erro-11", "user-14", "user-18",
                "erro-19",
            ],
        ),
    ] {
        let hold = Hold::default();
        let agent = ScriptedAgent::start(Listen::Tcp, [Step::Held(hold.clone(), ok())]);
        let exporter = exporter(&agent)
            .queue_bytes(64 << 10)
            .queue_payloads(11)
            .overflow(policy)
            .batch_bytes(0)
            .build()
            .unwrap();
        exporter.offer(&named("first-0", 1, 0)).unwrap();
        agent.await_requests(1);
        let mut refused = 0;
        for (name, priority, error) in &offers {
            refused += u64::from(exporter.offer(&named(name, *priority, *error)).is_err());
        }
        closed_account(&exporter);
        hold.release();
        assert!(exporter.flush(LONG).complete);
        let arrived = resources(&agent);
        for name in kept {
            assert!(arrived.iter().any(|r| r == name), "{policy:?}: {name} is missing in {arrived:?}");
        }
        assert_eq!(arrived.len(), 11, "{policy:?}: {arrived:?}");
        let m = exporter.metrics();
        assert_eq!(m.received.traces, 21);
        let (full, evicted) = (m.dropped_for(DropReason::QueueFull), m.dropped_for(DropReason::Evicted));
        match policy {
            Overflow::DropNewest => assert_eq!((full.traces, evicted.traces, refused), (10, 0, 10)),
            _ => assert_eq!((full.traces, evicted.traces), (0, 10)),
        }
        if policy == Overflow::Shed {
            assert!(arrived.iter().all(|r| !r.starts_with("drop")), "{arrived:?}");
            assert_eq!(evicted.bytes / size, 10);
        }
        closed_account(&exporter);
        let status = exporter.queue();
        assert_eq!(status.refused + status.evicted, 10, "{status:?}");
    }
}

#[test]
fn shedding_takes_single_traces_out_of_large_payloads() {
    let hold = Hold::default();
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Held(hold.clone(), ok())]);
    let exporter =
        exporter(&agent).queue_bytes(64 << 10).overflow(Overflow::Shed).batch_bytes(0).build().unwrap();
    exporter.offer(&named("first", 1, 0)).unwrap();
    agent.await_requests(1);
    // Ten payloads of ten traces each, of about 1 KiB a trace: some 36 KiB too much.
    let chunk = |name: String, priority| {
        let mut span = fields();
        span.push(e("padding", s(&"x".repeat(900))));
        for (key, value) in &mut span {
            if *key == s("resource") {
                *value = s(&name);
            } else if *key == s("metrics") {
                *value = map([e("_sampling_priority_v1", int(priority))]);
            }
        }
        array([map(span)])
    };
    for p in 0..10 {
        let chunks =
            (0..10).map(|c| chunk(format!("{}-{p}{c}", if c % 2 == 0 { "no" } else { "yes" }), c % 2));
        exporter.offer(&array(chunks)).unwrap();
    }
    let m = exporter.metrics();
    let evicted = m.dropped_for(DropReason::Evicted);
    assert!((35..60).contains(&evicted.traces), "{evicted:?}");
    assert_eq!(evicted.spans, evicted.traces, "what was looked at is counted in spans too");
    hold.release();
    assert!(exporter.flush(LONG).complete);
    let arrived = resources(&agent);
    assert_eq!(arrived.iter().filter(|r| r.starts_with("yes")).count(), 50, "{arrived:?}");
    assert_eq!(arrived.len() as u64 + evicted.traces, 101);
    closed_account(&exporter);
}

#[test]
fn blocking_waits_for_room_and_gives_up_in_time() {
    let hold = Hold::default();
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Held(hold.clone(), ok()), Step::Stall]);
    let exporter = exporter(&agent)
        .queue_payloads(1)
        .overflow(Overflow::Block)
        .block_wait(ms(2000))
        .batch_age(Duration::ZERO)
        .build()
        .unwrap();
    exporter.offer(&named("a", 1, 0)).unwrap();
    let started = Instant::now();
    let releasing = std::thread::spawn(move || {
        std::thread::sleep(ms(200));
        hold.release();
    });
    exporter.offer(&named("b", 1, 0)).unwrap();
    assert!(started.elapsed() >= ms(200), "it waited for the first to be sent");
    releasing.join().unwrap();
    let started = Instant::now();
    let error = exporter.offer(&named("c", 1, 0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueFull);
    assert!((ms(1990)..ms(2000) + patient(ms(1000))).contains(&started.elapsed()), "{:?}", started.elapsed());
    closed_account(&exporter);
}

#[test]
fn an_agent_that_restarts_costs_no_trace() {
    let path = socket_path();
    let mut arrived = 0;
    let exporter = TraceExporter::builder()
        .url(format!("unix://{}", path.display()))
        .discovery(false)
        .send_timeout(ms(500))
        .build()
        .unwrap();
    let mut offered = 0;
    for round in 0..3 {
        let agent = ScriptedAgent::unix(path.clone(), []);
        let end = Instant::now() + ms(300);
        while Instant::now() < end {
            exporter.offer(&named("r", 1, 0)).unwrap();
            offered += 1;
            std::thread::sleep(ms(1));
        }
        if round == 2 {
            assert!(exporter.flush(LONG).complete);
        }
        // What is answered until the agent is gone has arrived.
        arrived += resources_of(&agent.stop()).len();
        if round < 2 {
            for _ in 0..100 {
                exporter.offer(&named("r", 1, 0)).unwrap();
                offered += 1;
                std::thread::sleep(ms(2));
            }
        }
    }
    let m = exporter.metrics();
    assert_eq!(m.sent.traces, offered, "{m:?}");
    // What was cut off while it was answered may have come twice.
    assert!(arrived as u64 >= offered, "{arrived} of {offered}");
    closed_account(&exporter);
}

#[test]
fn what_is_too_old_is_dropped_and_says_so() {
    let exporter = TraceExporter::builder()
        .url(format!("unix://{}", socket_path().display()))
        .async_budget(ms(200))
        .discovery(false)
        .build()
        .unwrap();
    let pending: Vec<_> = (0..20).map(|_| exporter.send_async(&named("r", 1, 0))).collect();
    for p in pending {
        let error = p.wait(LONG).unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::SocketMissing | ErrorKind::TimedOut), "{error}");
        assert!(error.message().contains("asyncBudget"), "{error}");
    }
    assert_eq!(exporter.metrics().dropped_total().traces, 20);
    closed_account(&exporter);
    assert!(exporter.take_log_lines().iter().any(|l| l.text.contains("asyncBudget")));
}

/// Too short for a second attempt: the budget ended it all the same, and the message says so.
#[test]
fn a_budget_of_one_attempt_is_named_too() {
    let url = format!("unix://{}", socket_path().display());
    let build = |b: Builder| b.url(&url).discovery(false).build().unwrap();
    let exporter = build(TraceExporter::builder().async_budget(ms(15)));
    let error = exporter.send_async(&named("r", 1, 0)).wait(LONG).unwrap().unwrap_err();
    assert!(error.message().contains("`asyncBudget`"), "{error}");
    let exporter = build(TraceExporter::builder().send_budget(ms(15)));
    let error = exporter.send(&named("r", 1, 0)).unwrap_err();
    assert!(error.message().contains("`sendBudget`"), "{error}");
    assert_eq!(error.message().matches("sendBudget").count(), 1, "{error}");
}

#[test]
fn flush_tells_the_truth() {
    let agent = ScriptedAgent::start(Listen::Tcp, [say(400, "no"), Step::Stall]);
    let exporter = exporter(&agent).build().unwrap();
    exporter.offer(&named("refused", 1, 0)).unwrap();
    let report = exporter.flush(LONG);
    assert!(report.complete);
    assert_eq!((report.sent.traces, report.dropped_total().traces), (0, 1));
    assert_eq!(report.dropped[DropReason::Refused as usize].traces, 1);
    exporter.offer(&named("stuck", 1, 0)).unwrap();
    let started = Instant::now();
    let report = exporter.flush(ms(150));
    assert!((ms(140)..ms(150) + patient(ms(500))).contains(&started.elapsed()));
    assert!(!report.complete);
    assert_eq!((report.sent.traces, report.pending.traces), (0, 1));
    assert_eq!(report.dropped_total(), Counts::default());
}

#[test]
fn close_is_bounded_and_every_future_completes() {
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Stall]);
    let exporter = Arc::new(exporter(&agent).close_timeout(ms(200)).build().unwrap());
    let first = exporter.send_async(&named("stuck", 1, 0));
    agent.await_requests(1);
    let pending: Vec<_> = (0..100).map(|i| exporter.send_async(&named(&format!("{i}"), 1, 0))).collect();
    let started = Instant::now();
    let report = exporter.close();
    assert!(started.elapsed() < ms(200) + patient(ms(500)), "{:?}", started.elapsed());
    assert!(!report.complete);
    for p in [first].iter().chain(&pending) {
        let error = p.wait(LONG).expect("it completes").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
    let m = exporter.metrics();
    assert_eq!(m.dropped_for(DropReason::Closed).traces, 101, "{m:?}");
    closed_account(&exporter);
    assert_eq!(exporter.offer(&named("late", 1, 0)).unwrap_err().kind(), ErrorKind::Closed);
    closed_account(&exporter);
    assert!(exporter.close().metrics.queued == Counts::default());
}

#[test]
fn close_sends_what_is_queued_if_there_is_time() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = exporter(&agent).batch_age(Duration::from_secs(60)).close_timeout(LONG).build().unwrap();
    for i in 0..50 {
        exporter.offer(&named(&format!("{i}"), 1, 0)).unwrap();
    }
    let report = exporter.close();
    assert!(report.complete);
    assert_eq!(report.metrics.sent.traces, 50);
}

#[test]
fn senders_end_when_idle_and_start_again() {
    // This binary's other tests have senders too, so this one looks at its own.
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = exporter(&agent).senders(3).build().unwrap();
    assert_eq!(exporter.queue().senders, 0, "none before anything was offered");
    for _ in 0..2 {
        exporter.send_async(&named("r", 1, 0)).wait(LONG).unwrap().unwrap();
        assert!(exporter.queue().senders >= 1);
        let end = Instant::now() + patient(Duration::from_secs(10));
        while exporter.queue().senders > 0 {
            assert!(Instant::now() < end, "a sender does not end");
            std::thread::sleep(ms(20));
        }
    }
    assert!(threads("dp-sender") < 50);
}

#[test]
fn a_slow_post_does_not_stop_other_senders() {
    let hold = Hold::default();
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Held(hold.clone(), ok())]);
    let exporter = exporter(&agent).senders(2).build().unwrap();
    let slow = exporter.send_async(&named("slow", 1, 0));
    agent.await_requests(1);
    for _ in 0..20 {
        exporter.send_async(&named("fast", 1, 0)).wait(LONG).unwrap().unwrap();
    }
    assert!(slow.wait(Duration::ZERO).is_none());
    hold.release();
    slow.wait(LONG).unwrap().unwrap();
}

#[test]
fn suspended_it_holds_what_is_offered_and_has_no_thread_and_no_connection() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = Arc::new(exporter(&agent).send_budget(Duration::from_secs(5)).build().unwrap());
    exporter.offer(&named("before", 1, 0)).unwrap();
    let report = exporter.suspend(LONG);
    assert!(report.complete);
    assert_eq!(resources(&agent), ["before"]);
    assert_eq!(exporter.queue().senders, 0);
    let port = agent.port;
    let open = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let ours = open.lines().filter(|l| {
        let mut words = l.split_whitespace().skip(2);
        words.next().is_some_and(|remote| remote.ends_with(&format!(":{port:04X}")))
            && words.next() == Some("01")
    });
    assert_eq!(ours.count(), 0, "no connection to the agent");
    let waiting = exporter.send_async(&named("meanwhile", 1, 0));
    let sync = {
        let exporter = Arc::clone(&exporter);
        std::thread::spawn(move || exporter.send(&named("sync", 1, 0)))
    };
    std::thread::sleep(ms(100));
    assert!(waiting.wait(Duration::ZERO).is_none());
    assert_eq!(resources(&agent).len(), 1);
    closed_account(&exporter);
    exporter.resume().unwrap();
    waiting.wait(LONG).unwrap().unwrap();
    sync.join().unwrap().unwrap();
    let mut arrived = resources(&agent);
    arrived.sort();
    assert_eq!(arrived, ["before", "meanwhile", "sync"]);
    closed_account(&exporter);
}

#[test]
fn a_request_that_a_suspension_interrupts_goes_back_into_the_queue() {
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Stall]);
    let exporter = exporter(&agent).build().unwrap();
    let one = exporter.send_async(&named("one", 1, 0));
    agent.await_requests(1);
    let report = exporter.suspend(ms(100));
    assert!(!report.complete);
    assert_eq!(report.pending.traces, 1, "{report:?}");
    assert!(one.wait(Duration::ZERO).is_none());
    exporter.resume().unwrap();
    one.wait(LONG).unwrap().unwrap();
    assert_eq!(exporter.metrics().sent.traces, 1);
    closed_account(&exporter);
}

/// Many threads and a seed: whatever the order, the account is closed at every moment and every future completes once.
#[test]
fn random_interleavings_lose_nothing() {
    for seed in 0..12_u64 {
        let script = (0..60).map(|i| match (seed + i) % 7 {
            0 => say(503, "busy"),
            1 => Step::CloseAfterBody,
            2 => Step::Late(ms(5), ok()),
            3 => say(400, "no"),
            _ => Step::Say(ok()),
        });
        let agent = ScriptedAgent::start(Listen::Tcp, script);
        let policy = Overflow::ALL[seed as usize % 4].1;
        let builder = exporter(&agent)
            .queue_payloads(8 + seed as u32)
            .queue_bytes(64 << 10)
            .overflow(policy)
            .senders(1 + seed as u32 % 3)
            .batch_age(ms(seed % 4));
        let builder = if policy == Overflow::Block { builder.block_wait(ms(3)) } else { builder };
        let exporter = Arc::new(builder.build().unwrap());
        let completed = Arc::new(AtomicU64::new(0));
        let workers: Vec<_> = (0..4_u64)
            .map(|t| {
                let (exporter, completed) = (Arc::clone(&exporter), Arc::clone(&completed));
                std::thread::spawn(move || {
                    let mut random = seed * 97 + t * 31 + 1;
                    let mut pending = Vec::new();
                    for _ in 0..120 {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let bytes =
                            named(&format!("{t}"), (random >> 40) as i64 % 3, (random >> 50) as i64 % 2);
                        match (random >> 33) % 10 {
                            0..=4 => drop(exporter.offer(&bytes)),
                            5..=7 => pending.push(exporter.send_async(&bytes)),
                            8 => drop(exporter.send(&bytes)),
                            _ => drop(exporter.flush(ms(2))),
                        }
                        let m = exporter.metrics();
                        assert_eq!(m.received, m.accounted_for(), "seed {seed}: {m:?}");
                    }
                    for p in pending {
                        p.wait(LONG).expect("each completes").map(drop).unwrap_or_default();
                        completed.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        if seed % 3 == 0 {
            std::thread::sleep(ms(20));
            exporter.close();
        }
        for w in workers {
            w.join().unwrap();
        }
        exporter.close();
        let m = exporter.metrics();
        assert_eq!(m.received, m.accounted_for(), "seed {seed}");
        assert_eq!(m.queued, Counts::default(), "seed {seed}");
        let mut reasons = BTreeMap::new();
        for reason in DropReason::ALL {
            if m.dropped_for(reason).traces > 0 {
                reasons.insert(reason.name(), m.dropped_for(reason).traces);
            }
        }
        assert!(!reasons.contains_key("internal"), "seed {seed}: {reasons:?}");
    }
}

#[test]
fn an_empty_payload_says_and_counts_the_same_however_it_comes() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let mut seen = Vec::new();
    for way in 0..4 {
        let exporter = exporter(&agent).build().unwrap();
        let error = match way {
            0 => exporter.send(b"").unwrap_err(),
            1 => exporter.offer(b"").unwrap_err(),
            2 => exporter.send_async(b"").wait(LONG).unwrap().unwrap_err(),
            _ => exporter.send_in_background(b"").wait(LONG).unwrap().unwrap_err(),
        };
        assert!(exporter.flush(LONG).complete);
        let m = exporter.metrics();
        closed_account(&exporter);
        seen.push((
            error.kind(),
            error.message().to_owned(),
            m.payloads,
            m.dropped,
            exporter.take_log_lines().len(),
        ));
    }
    assert!(seen.iter().all(|s| *s == seen[0]), "{seen:#?}");
    assert_eq!((seen[0].0, seen[0].2), (ErrorKind::TruncatedPayload, 1));
}

#[test]
fn what_is_queued_over_a_snapshot_is_tried_afterwards() {
    let path = socket_path();
    let exporter = TraceExporter::builder()
        .url(format!("unix://{}", path.display()))
        .discovery(false)
        .async_budget(ms(300))
        .build()
        .unwrap();
    exporter.suspend(Duration::ZERO);
    for i in 0..10 {
        exporter.offer(&named(&format!("{i}"), 1, 0)).unwrap();
    }
    // The process is frozen for longer than the budget.
    std::thread::sleep(ms(500));
    let agent = ScriptedAgent::unix(path, []);
    exporter.resume().unwrap();
    assert!(exporter.flush(LONG).complete);
    assert_eq!((exporter.metrics().sent.traces, agent.requests().len()), (10, 1), "{:?}", exporter.metrics());
    closed_account(&exporter);
}

#[test]
fn resume_and_close_at_once_end_closed() {
    for round in 0..30 {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        let exporter = Arc::new(exporter(&agent).build().unwrap());
        exporter.suspend(Duration::ZERO);
        exporter.offer(&named("r", 1, 0)).unwrap();
        let resume = {
            let exporter = Arc::clone(&exporter);
            std::thread::spawn(move || exporter.resume())
        };
        if round % 2 == 0 {
            std::thread::yield_now();
        }
        exporter.close_within(ms(50));
        let _ = resume.join().unwrap();
        assert_eq!(exporter.offer(&named("late", 1, 0)).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(exporter.send(&named("late", 1, 0)).unwrap_err().kind(), ErrorKind::Closed);
        closed_account(&exporter);
        assert_eq!(exporter.metrics().queued, Counts::default(), "round {round}");
    }
}

#[test]
fn buffers_kept_for_reuse_count_into_the_bound() {
    let bound = 32 << 20;
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Say(ok()), Step::Stall]);
    let exporter = exporter(&agent).queue_bytes(bound).queue_payloads(100_000).build().unwrap();
    exporter.offer(&named(&"x".repeat(20 << 20), 1, 0)).unwrap();
    assert_eq!(exporter.flush(LONG).sent.traces, 1);
    let small = named(&"y".repeat(40 << 10), 1, 0);
    while exporter.offer(&small).is_ok() {
        // What a sender merges is beside the queue.
        assert!(exporter.memory_bytes() as u64 <= bound + (2 << 20), "{}", exporter.memory_bytes());
    }
    assert!(exporter.queue().bytes > bound - (1 << 20), "{:?}", exporter.queue());
}

#[test]
fn shedding_from_a_long_queue_is_not_slower_than_dropping_the_oldest() {
    let one = named("x", 1, 0);
    let full = |policy| {
        let agent = ScriptedAgent::start(Listen::Tcp, [Step::StallReading]);
        let exporter =
            exporter(&agent).overflow(policy).queue_payloads(32_000).batch_bytes(1).build().unwrap();
        (0..32_010).for_each(|_| drop(exporter.offer(&one)));
        let started = Instant::now();
        (0..300).for_each(|_| drop(exporter.offer(&one)));
        let took = started.elapsed();
        exporter.close_within(Duration::ZERO);
        took
    };
    // It took 600 ms when every offer looked at all of them.
    let (oldest, shed) = (full(Overflow::DropOldest), full(Overflow::Shed));
    assert!(shed < 10 * oldest + ms(100), "DROP_OLDEST {oldest:?}, SHED {shed:?}");
}

#[test]
fn a_thousand_sends_in_the_background_hold_no_thread_and_none_is_refused() {
    let agent = ScriptedAgent::start(Listen::Tcp, (0..1000).map(|_| Step::Late(ms(50), ok())));
    let exporter = exporter(&agent).queue_payloads(1).queue_bytes(64 << 10).build().unwrap();
    let started = Instant::now();
    let pending: Vec<_> =
        (0..1000).map(|i| exporter.send_in_background(&named(&format!("{i}"), 1, 0))).collect();
    assert!(started.elapsed() < support::patient(ms(500)), "{:?}", started.elapsed());
    for p in pending {
        let response = p.wait(LONG).unwrap().unwrap();
        assert_eq!(
            (response.traces, response.spans, response.attempts()),
            (1, 1, 1),
            "each has its own answer"
        );
    }
    // One after the other it would be 50 s.
    assert!(started.elapsed() < support::patient(Duration::from_secs(5)), "{:?}", started.elapsed());
    assert_eq!((exporter.metrics().sent.traces, agent.requests().len()), (1000, 1000));
    closed_account(&exporter);
    assert_eq!(exporter.memory_bytes(), 0);
}

#[test]
fn a_send_in_the_background_is_a_send() {
    let steps = [say(400, "no"), Step::Late(ms(200), ok()), Step::Stall];
    let agent = ScriptedAgent::start(Listen::Tcp, steps);
    let exporter = Arc::new(exporter(&agent).send_budget(ms(2000)).build().unwrap());
    let send = |name: &str| exporter.send_in_background(&named(name, 1, 0));
    assert_eq!(send("refused").wait(LONG).unwrap().unwrap_err().status(), Some(400));
    assert_eq!(exporter.metrics().dropped_for(DropReason::Refused).traces, 1);
    // A suspension waits for it, and holds what comes.
    let late = send("late");
    agent.await_requests(2);
    let report = exporter.suspend(LONG);
    assert!(report.complete && late.wait(Duration::ZERO).unwrap().is_ok());
    let waiting = send("waiting");
    std::thread::sleep(ms(50));
    assert_eq!((agent.requests().len(), waiting.wait(Duration::ZERO).is_none()), (2, true));
    exporter.resume().unwrap();
    agent.await_requests(3);
    // So does close, up to its limit.
    let started = Instant::now();
    let report = exporter.close_within(ms(100));
    assert!(!report.complete && started.elapsed() < support::patient(ms(1000)));
    assert_eq!(waiting.wait(LONG).unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(send("after").wait(LONG).unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(exporter.metrics().dropped_for(DropReason::Closed).traces, 2);
    closed_account(&exporter);
}
