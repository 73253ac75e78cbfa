//! The fault matrix (`make faults`): an exporter under every fault an agent can show, on TCP and on a Unix socket. One
//! table: fault, transport, traces received, sent, arrived and dropped by reason, how long the sends and `close` took.
//!
//! For every row: the account is closed, what counts as sent has arrived, what was lost has the reason that the fault
//! explains, `close` keeps its limit, and after it the exporter serves the next send when the fault was a passing one.
//! Not played: a clock that jumps (only the monotonic clock is read), a missing permission when root runs the tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

#[path = "support/agent_process.rs"]
mod agent_process;
#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use agent_process::{Agent, address};
use data_pipeline::account::DropReason::{self, *};
use data_pipeline::settings::OutputFormat;
use data_pipeline::{Builder, TraceExporter};
use msgpack::*;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, TRANSPORTS, answer, ok, patient, say, socket_path};

/// Where nothing shall run into a limit.
const LONG: Duration = Duration::from_secs(60);
const CLOSE_LIMIT: Duration = Duration::from_millis(800 + 50);
/// What a busy machine may add to a limit.
fn slack() -> Duration {
    patient(Duration::from_millis(700))
}

/// What must become of the payload that meets the fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Sent,
    Lost(DropReason),
}
use Fate::{Lost, Sent};

#[derive(Debug)]
struct Row {
    fault: String,
    transport: &'static str,
    received: u64,
    sent: u64,
    arrived: u64,
    dropped: String,
    twice: u64,
    ms: u128,
    close_ms: u128,
}

fn transport(listen: Listen) -> &'static str {
    match listen {
        Listen::Tcp => "tcp",
        Listen::Unix => "unix",
    }
}

fn raw(text: &str) -> Step {
    Step::Say(text.as_bytes().to_vec())
}

fn body() -> Vec<u8> {
    array([array([good_span(), good_span()]), array([good_span()])])
}

/// Traces in the requests that the agent has read in full.
fn arrived(agent: &ScriptedAgent) -> u64 {
    let requests = agent.requests();
    let full = requests.iter().filter(|r| {
        let length = r.header("content-length").and_then(|l| l.parse::<usize>().ok());
        r.head.starts_with("PUT /v") && length == Some(r.body.len())
    });
    full.map(|r| r.header("x-datadog-trace-count").and_then(|c| c.parse::<u64>().ok()).unwrap_or(0)).sum()
}

/// The row of an exporter at its end; checks what holds for every fault.
fn finish(fault: &str, transport: &'static str, e: &TraceExporter, arrived: u64, took: Duration) -> Row {
    let open = e.metrics();
    assert_eq!(open.received, open.accounted_for(), "{fault}: {open:#?}");
    let started = Instant::now();
    let report = e.close();
    let close = started.elapsed();
    assert!(close <= CLOSE_LIMIT + slack(), "{fault}: close took {close:?}");
    let m = report.metrics;
    assert_eq!(m.received, m.accounted_for(), "{fault}: {m:#?}");
    let by_reason: Vec<_> = DropReason::ALL
        .iter()
        .filter(|r| m.dropped_for(**r).traces > 0)
        .map(|r| format!("{} {}", r.name(), m.dropped_for(*r).traces))
        .collect();
    assert!(m.sent.traces <= arrived, "{fault}: {} sent, {arrived} arrived", m.sent.traces);
    Row {
        fault: fault.to_owned(),
        transport,
        received: m.received.traces,
        sent: m.sent.traces,
        arrived,
        dropped: by_reason.join(", "),
        twice: m.possibly_duplicated,
        ms: took.as_millis(),
        close_ms: close.as_millis(),
    }
}

fn builder(url: &str) -> Builder {
    TraceExporter::builder()
        .url(url)
        .connect_timeout(Duration::from_millis(300))
        .send_timeout(Duration::from_millis(400))
        .send_budget(Duration::from_millis(1500))
}

/// A fault that the agent shows `times` times, then it works.
struct Case {
    name: &'static str,
    step: Step,
    times: usize,
    fate: Fate,
}

fn case(name: &'static str, step: Step, times: usize, fate: Fate) -> Case {
    Case { name, step, times, fate }
}

const MANY: usize = 1000;

fn scripted_cases() -> Vec<Case> {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let mut cases = vec![
        case("closed after accept, once", Step::CloseAfterAccept, 1, Sent),
        case("reset in the body, once", Step::ResetInBody, 1, Sent),
        case("reset after the body, once", Step::ResetAfterBody, 1, Sent),
        case("closed after the body, always", Step::CloseAfterBody, MANY, Lost(Unreachable)),
        case("reset in the body, always", Step::ResetInBody, MANY, Lost(Unreachable)),
        case("never answers", Step::Stall, MANY, Lost(TimedOut)),
        case("reads nothing", Step::StallReading, MANY, Lost(TimedOut)),
        case("half a response", Step::SayAndClose(ok()[..20].to_vec()), 1, Sent),
        case("half a body", Step::SayAndClose(ok()[..ok().len() - 9].to_vec()), 1, Sent),
        case("slow response", Step::Dribble(ok(), Duration::from_millis(2)), 1, Sent),
        case("very slow response", Step::Dribble(ok(), Duration::from_millis(90)), MANY, Lost(TimedOut)),
        case("100 before 200", Step::Say([&b"HTTP/1.1 100 Continue\r\n\r\n"[..], &ok()].concat()), 1, Sent),
        case("200 with an error body", say(200, "internal error"), 1, Sent),
        case("301", Step::Say(answer(301, &[("Location", "http://127.0.0.1:9/")], b"")), MANY, Lost(Refused)),
        case("chunked answer", raw(chunked), 1, Sent),
        case(
            "broken chunks",
            Step::SayAndClose(chunked.replace("2\r\n{}", "zz\r\n{}").into_bytes()),
            1,
            Sent,
        ),
        case(
            "gzip answer",
            Step::Say(answer(200, &[("Content-Encoding", "gzip")], b"\x1f\x8b\x08")),
            1,
            Sent,
        ),
        case("no content length", Step::SayAndClose(b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec()), 1, Sent),
        case("100 MB answer", Step::Huge(100_000_000), 1, Sent),
        case("100 MB chunked answer", Step::HugeChunked(100_000_000), 1, Sent),
        case("two answers to one request", Step::Say([ok(), ok()].concat()), 1, Sent),
        case("garbage", Step::SayAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), MANY, Lost(Unreachable)),
        case("closed while idle", Step::SayAndCloseLater(ok(), Duration::from_millis(30)), 1, Sent),
        case("answers before the body is read", Step::Early(answer(503, &[], b"")), 1, Sent),
    ];
    for status in [408, 429, 500, 502, 503, 504] {
        cases.push(case("passing", say(status, "no"), 1, Sent));
        cases.push(case("lasting", say(status, "no"), MANY, Lost(Overloaded)));
    }
    for status in [400, 401, 403, 404, 405, 415] {
        cases.push(case("lasting", say(status, "no"), MANY, Lost(Refused)));
    }
    cases.push(case("lasting", say(413, "no"), MANY, Lost(PayloadTooLarge)));
    cases
}

/// The status that a case is about, for its name.
fn full_name(case: &Case) -> String {
    match &case.step {
        Step::Say(bytes) if matches!(case.name, "passing" | "lasting") => {
            format!("{} {}", String::from_utf8_lossy(&bytes[9..12]), case.name)
        }
        _ => case.name.to_owned(),
    }
}

fn play(case: &Case, listen: Listen) -> Row {
    let name = full_name(case);
    let agent = ScriptedAgent::start(listen, std::iter::repeat_n(case.step.clone(), case.times));
    let e = builder(&agent.url).discovery(false).build().unwrap();
    let started = Instant::now();
    let result = e.send(&body());
    let took = started.elapsed();
    assert!(took <= Duration::from_millis(1500) + slack(), "{name} {listen:?}: a send took {took:?}");
    let m = e.metrics();
    // Where a transport cannot tell one way of not answering from another, a near reason does as well.
    let near = |want: DropReason| {
        let also: &[DropReason] = match want {
            Unreachable => &[Unreachable, TimedOut, Refused],
            TimedOut => &[TimedOut, Unreachable],
            _ => &[],
        };
        m.dropped_for(want).traces
            + also.iter().filter(|r| **r != want).map(|r| m.dropped_for(*r).traces).sum::<u64>()
    };
    match case.fate {
        Sent => assert_eq!(m.sent.traces, 2, "{name} {listen:?}: {result:?}"),
        Lost(reason) => assert_eq!(near(reason), 2, "{name} {listen:?}: {result:?} {m:#?}"),
    }
    if case.fate == Sent {
        if matches!(case.step, Step::SayAndCloseLater(..)) {
            agent.await_closed_later(1);
        }
        e.send(&body()).unwrap_or_else(|error| panic!("{name} {listen:?}: the next send: {error}"));
    }
    let row = finish(&name, transport(listen), &e, arrived(&agent), took);
    assert_eq!(row.received, if case.fate == Sent { 4 } else { 2 });
    row
}

/// `close` while a send meets the fault.
fn play_closing(case: &Case, listen: Listen) -> Row {
    let name = format!("close during: {}", full_name(case));
    let agent = ScriptedAgent::start(listen, std::iter::repeat_n(case.step.clone(), case.times));
    let e = Arc::new(builder(&agent.url).discovery(false).build().unwrap());
    let sends: Vec<_> = (0..3)
        .map(|_| {
            let e = Arc::clone(&e);
            std::thread::spawn(move || e.send(&body()).is_ok())
        })
        .collect();
    std::thread::sleep(Duration::from_millis(40));
    let started = Instant::now();
    let report = e.close();
    let close = started.elapsed();
    assert!(close <= CLOSE_LIMIT + slack(), "{name}: {close:?}");
    let m = report.metrics;
    assert_eq!(m.received, m.accounted_for(), "{name}");
    let done = sends.into_iter().filter(|s| !s.is_finished()).count();
    let mut row = finish(&name, transport(listen), &e, arrived(&agent), started.elapsed());
    row.close_ms = close.as_millis();
    assert!(done == 0 || report.complete || started.elapsed() < CLOSE_LIMIT + slack(), "{name}");
    row
}

/// The same faults for what is queued: offers that nobody waits for, and futures.
fn play_queued(case: &Case, listen: Listen) -> Row {
    let name = format!("queued: {}", full_name(case));
    let agent = ScriptedAgent::start(listen, std::iter::repeat_n(case.step.clone(), case.times));
    let e = builder(&agent.url).async_budget(Duration::from_millis(1500)).discovery(false).build().unwrap();
    let started = Instant::now();
    e.offer(&body()).unwrap();
    let future = e.send_async(&body());
    let early = e.metrics();
    let report = e.flush(Duration::from_millis(1500) + slack());
    let took = started.elapsed();
    assert!(report.complete, "{name} {listen:?}: {report:?} after {took:?}");
    let result = future.wait(Duration::ZERO).expect("a flush that is complete leaves no future");
    let m = e.metrics();
    match case.fate {
        Sent => assert_eq!(m.sent.traces, 4, "{name} {listen:?}: {result:?}"),
        Lost(_) => assert_eq!(m.dropped_total().traces, 4, "{name} {listen:?}: {result:?} {m:#?}"),
    }
    assert_eq!(result.is_ok(), case.fate == Sent, "{name}");
    // A flush tells of what is done while it lasts. A sender may have been faster, even than the look before it.
    let told = report.sent.traces + report.dropped_total().traces;
    let before = early.sent.traces + early.dropped_total().traces;
    let all = m.sent.traces + m.dropped_total().traces;
    assert!(told <= all - before, "{name}: {told} told of {all}, {before} of them before");
    if told == all {
        assert_eq!((report.sent, report.dropped), (m.sent, m.dropped), "{name}: a flush tells the truth");
    }
    finish(&name, transport(listen), &e, arrived(&agent), took)
}

/// `close` while queued payloads meet the fault: every future completes, with an answer or the reason.
fn play_queued_closing(case: &Case, listen: Listen) -> Row {
    let name = format!("close during: queued: {}", full_name(case));
    let agent = ScriptedAgent::start(listen, std::iter::repeat_n(case.step.clone(), case.times));
    let e = builder(&agent.url).batch_bytes(0).discovery(false).build().unwrap();
    let futures: Vec<_> = (0..10).map(|_| e.send_async(&body())).collect();
    std::thread::sleep(Duration::from_millis(40));
    let started = Instant::now();
    let row = finish(&name, transport(listen), &e, 20, started.elapsed());
    let sent = futures.iter().filter(|f| f.wait(Duration::ZERO).expect("it completes").is_ok()).count();
    assert_eq!(2 * sent as u64, row.sent, "{name}");
    Row { arrived: arrived(&agent), ..row }
}

/// 4 threads that together send 2,000 spans a second, one span a payload of 10, for `time`.
fn load(e: &Arc<TraceExporter>, time: Duration) -> Vec<std::thread::JoinHandle<()>> {
    let payload = Arc::new(array([array((0..10).map(|_| good_span()))]));
    (0..4)
        .map(|_| {
            let (e, payload) = (Arc::clone(e), Arc::clone(&payload));
            std::thread::spawn(move || {
                let until = Instant::now() + time;
                let mut next = Instant::now();
                while Instant::now() < until {
                    let _ = e.send(&payload);
                    next += Duration::from_millis(20);
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                    next = next.max(Instant::now());
                }
            })
        })
        .collect()
}

fn absent_then_up(listen: Listen) -> Row {
    let (address, url) = address(listen);
    let e = TraceExporter::builder().url(url).build().unwrap();
    let agent = {
        let address = address.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(5));
            Agent::start(&address)
        })
    };
    let started = Instant::now();
    e.send(&body()).expect("the agent came inside the budget");
    let took = started.elapsed();
    let arrived = agent.join().unwrap().kill().traces;
    finish("absent at start, up after 5 s", transport(listen), &e, arrived, took)
}

fn restarted_under_load(listen: Listen) -> Row {
    let (address, url) = address(listen);
    let first = Agent::start(&address);
    let e = Arc::new(TraceExporter::builder().url(url).build().unwrap());
    let started = Instant::now();
    let threads = load(&e, Duration::from_secs(9));
    std::thread::sleep(Duration::from_secs(2));
    let before = first.kill().traces;
    std::thread::sleep(Duration::from_secs(5));
    let second = Agent::start(&address);
    for thread in threads {
        thread.join().unwrap();
    }
    let took = started.elapsed();
    let m = e.metrics();
    assert_eq!(m.dropped_total().traces, 0, "nothing is lost inside the budget: {m:#?}");
    let arrived = before + second.kill().traces;
    finish("killed under load, down 5 s", transport(listen), &e, arrived, took)
}

/// The agent is away for 10 s while 2,000 spans a second are offered; with the default settings nothing is lost.
fn restarted_under_offers(listen: Listen) -> Row {
    let (address, url) = address(listen);
    let first = Agent::start(&address);
    let e = Arc::new(TraceExporter::builder().url(url).build().unwrap());
    let started = Instant::now();
    let payload = array([array((0..10).map(|_| good_span()))]);
    let (mut before, mut agent) = (0, Some(first));
    let mut next = Instant::now();
    while started.elapsed() < Duration::from_secs(13) {
        e.offer(&payload).unwrap();
        next += Duration::from_millis(5);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let at = started.elapsed().as_secs();
        if at < 12 && agent.is_some() && at >= 2 {
            before = agent.take().map_or(0, |agent| agent.kill().traces);
        } else if at >= 12 && agent.is_none() {
            agent = Some(Agent::start(&address));
        }
    }
    let report = e.flush(Duration::from_secs(20));
    let took = started.elapsed();
    assert!(report.complete, "{report:?}");
    let m = e.metrics();
    assert_eq!((m.dropped_total().traces, m.sent), (0, m.received), "nothing is lost: {m:#?}");
    let arrived = before + agent.map_or(0, |agent| agent.kill().traces);
    finish("queued: killed under load, down 10 s", transport(listen), &e, arrived, took)
}

fn stopped(listen: Listen) -> Row {
    let (address, url) = address(listen);
    let agent = Agent::start(&address);
    let e = TraceExporter::builder().url(url).send_budget(Duration::from_secs(20)).build().unwrap();
    e.send(&body()).unwrap();
    agent.signal("-STOP");
    let started = Instant::now();
    let result = std::thread::scope(|s| {
        let send = s.spawn(|| e.send(&body()));
        std::thread::sleep(Duration::from_secs(10));
        agent.signal("-CONT");
        send.join().unwrap()
    });
    let took = started.elapsed();
    assert!(result.is_ok(), "{result:?}");
    let arrived = agent.kill().traces;
    finish("stopped for 10 s", transport(listen), &e, arrived, took)
}

/// Addresses where no agent can be; each loses the payload with a sentence of its own.
fn addresses() -> Vec<Row> {
    let directory = std::env::temp_dir();
    let datagram = socket_path();
    let _socket = std::os::unix::net::UnixDatagram::bind(&datagram).unwrap();
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut sentences = Vec::new();
    let mut rows = Vec::new();
    for (name, transport, url) in [
        ("nobody listens", "tcp", format!("http://{refused}")),
        ("a name that does not exist", "tcp", "http://no-such-host.invalid:8126".to_owned()),
        ("socket path missing", "unix", format!("unix://{}", socket_path().display())),
        ("socket path is a directory", "unix", format!("unix://{}", directory.display())),
        ("socket is a datagram socket", "unix", format!("unix://{}", datagram.display())),
    ] {
        let e = builder(&url).discovery(false).build().unwrap();
        let started = Instant::now();
        let error = e.send(&body()).unwrap_err();
        let took = started.elapsed();
        assert!(took <= Duration::from_millis(1500) + patient(Duration::from_secs(2)), "{name}: {took:?}");
        sentences.push(error.to_string());
        let m = e.metrics();
        assert_eq!(m.dropped_for(Unreachable).traces + m.dropped_for(TimedOut).traces, 2, "{name}: {error}");
        rows.push(finish(name, transport, &e, 0, took));
        // The budget was spent in vain: the next one fails at once.
        if took >= Duration::from_millis(1000) {
            let again = builder(&url).discovery(false).build().unwrap();
            let _ = again.send(&body());
            let started = Instant::now();
            let _ = again.send(&body());
            assert!(started.elapsed() < took, "{name}: an agent that is gone costs every send its budget");
        }
    }
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), 5, "a sentence each: {sentences:#?}");
    let _ = std::fs::remove_file(datagram);
    rows
}

/// What `/info` may say without being true or readable; traces arrive all the same.
fn lying_info(listen: Listen) -> Vec<Row> {
    let everything = r#"{"endpoints":["/v0.4/traces","/v0.5/traces","/v1.0/traces"],"version":"9"}"#;
    let huge = format!(r#"{{"endpoints":[{}"/v0.4/traces"]}}"#, r#""/x","#.repeat(300_000));
    let cases: Vec<(&str, Vec<Step>, usize)> = vec![
        ("/info lists v1, the agent answers 404", vec![say(200, everything)], 1),
        ("/info is no JSON", vec![say(200, "<html>")], 0),
        ("/info is huge", vec![say(200, &huge)], 0),
        ("/info never answers", vec![Step::Stall], 0),
        ("/info says max_request_bytes 1", vec![say(200, r#"{"config":{"max_request_bytes":100000}}"#)], 0),
        ("/info changes all the time", vec![say(200, everything), say(200, "{}"), say(404, "")], 0),
    ];
    let mut rows = Vec::new();
    for (name, info, not_found) in cases {
        let agent =
            ScriptedAgent::start(listen, std::iter::repeat_n(say(404, "404 page not found"), not_found));
        agent.set_info(info);
        let e = builder(&agent.url).output_format(OutputFormat::AUTO).build().unwrap();
        let _ = e.await_agent(Duration::from_millis(300));
        let started = Instant::now();
        for _ in 0..5 {
            e.send(&body()).unwrap_or_else(|error| panic!("{name} {listen:?}: {error}"));
        }
        rows.push(finish(name, transport(listen), &e, arrived(&agent), started.elapsed()));
    }
    rows
}

fn v1_refused(listen: Listen) -> Row {
    let agent = ScriptedAgent::start(listen, [say(404, "404 page not found")]);
    let e = builder(&agent.url).output_format(OutputFormat::V1).discovery(false).build().unwrap();
    let started = Instant::now();
    e.send(&body()).unwrap();
    finish("404 to v1, then v0.4", transport(listen), &e, arrived(&agent), started.elapsed())
}

/// 413 until the request is small enough: split by halves, everything arrives.
fn too_large_then_split(listen: Listen) -> Row {
    let agent = ScriptedAgent::start(listen, [say(413, ""), say(413, "")]);
    let e = builder(&agent.url).discovery(false).build().unwrap();
    let started = Instant::now();
    let many = array((0..8).map(|_| array([good_span()])));
    e.send(&many).unwrap();
    assert_eq!(e.metrics().sent.traces, 8);
    finish("413, then split by halves", transport(listen), &e, arrived(&agent), started.elapsed())
}

fn sixty_four_exporters(listen: Listen) -> Row {
    let agent = ScriptedAgent::start(listen, []);
    let exporters: Vec<_> =
        (0..64).map(|_| builder(&agent.url).send_timeout(LONG).send_budget(LONG).build().unwrap()).collect();
    let started = Instant::now();
    std::thread::scope(|s| {
        for e in &exporters {
            s.spawn(move || (0..5).for_each(|_| drop(e.send(&body()).unwrap())));
        }
    });
    let took = started.elapsed();
    let mut rows: Vec<_> = exporters
        .iter()
        .map(|e| finish("64 exporters", transport(listen), e, arrived(&agent), took))
        .collect();
    let mut sum = rows.pop().unwrap();
    for row in rows {
        sum.received += row.received;
        sum.sent += row.sent;
        sum.close_ms = sum.close_ms.max(row.close_ms);
    }
    assert_eq!((sum.sent, sum.received, sum.arrived), (640, 640, 640));
    sum
}

#[test]
fn every_fault_is_survived_and_every_trace_accounted_for() {
    type Job = Box<dyn FnOnce() -> Vec<Row> + Send>;
    let mut jobs: Vec<Job> = Vec::new();
    for &listen in TRANSPORTS {
        jobs.push(Box::new(move || vec![restarted_under_load(listen)]));
        jobs.push(Box::new(move || vec![restarted_under_offers(listen)]));
        jobs.push(Box::new(move || vec![stopped(listen)]));
        jobs.push(Box::new(move || vec![absent_then_up(listen)]));
        jobs.push(Box::new(move || vec![sixty_four_exporters(listen)]));
        jobs.push(Box::new(move || lying_info(listen)));
        jobs.push(Box::new(move || vec![v1_refused(listen), too_large_then_split(listen)]));
        for case in scripted_cases() {
            jobs.push(Box::new(move || vec![play(&case, listen)]));
        }
        for case in scripted_cases() {
            jobs.push(Box::new(move || vec![play_closing(&case, listen)]));
        }
        for case in scripted_cases() {
            jobs.push(Box::new(move || vec![play_queued(&case, listen)]));
        }
        for case in scripted_cases() {
            jobs.push(Box::new(move || vec![play_queued_closing(&case, listen)]));
        }
    }
    jobs.push(Box::new(addresses));
    jobs.reverse();
    let (jobs, rows) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    std::thread::scope(|s| {
        for _ in 0..10 {
            s.spawn(|| {
                loop {
                    let Some(job) = jobs.lock().unwrap().pop() else { return };
                    let made = job();
                    rows.lock().unwrap().extend(made);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by(|a, b| {
        (a.fault.starts_with("close d"), a.transport, &a.fault).cmp(&(
            b.fault.starts_with("close d"),
            b.transport,
            &b.fault,
        ))
    });
    let mut table = format!(
        "{:<48} {:<5} {:>8} {:>6} {:>8} {:<22} {:>6} {:>6} {:>6}\n",
        "fault", "over", "received", "sent", "arrived", "dropped", "twice", "ms", "close"
    );
    for r in &rows {
        table += &format!(
            "{:<48} {:<5} {:>8} {:>6} {:>8} {:<22} {:>6} {:>6} {:>6}\n",
            r.fault, r.transport, r.received, r.sent, r.arrived, r.dropped, r.twice, r.ms, r.close_ms
        );
    }
    println!("{table}{} faults, nothing unexplained", rows.len());
}
