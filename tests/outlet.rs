//! What every body passes on its way out, on the wire: captures hold what was received, byte for byte, and no key; a
//! dry run does everything but send; the queue keeps its pace, and no limit of time suffers from it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/generate.rs"]
mod generate;
#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::{
    Builder, Compression, Counts, Destination, DropReason, ErrorKind, LogTarget, Metrics, OtlpEncoding,
    OutputFormat, TraceExporter,
};
use generate::{Kind, Random};
use msgpack::*;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Listen, Recorded, ScriptedAgent, Step, answer, patient, say};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "s3cret-of-the-caller";
const SECOND: Duration = Duration::from_secs(1);
const STATS: &str =
    r#"{"version":"7.70.0","endpoints":["/v0.4/traces","/v0.6/stats"],"client_drop_p0s":true}"#;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        Self(std::env::temp_dir().join(format!("dp-outlet-{}-{n}", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// What was captured, in its order.
    fn read(&self) -> Vec<Captured> {
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|e| e == "capture"));
        names.sort();
        names.iter().map(|path| Captured::read(path)).collect()
    }

    /// Those that have a body.
    fn bodies(&self) -> Vec<Captured> {
        self.read().into_iter().filter(|it| !it.head[0].starts_with("GET ")).collect()
    }

    fn has_anywhere(&self, secret: &str) -> bool {
        std::fs::read_dir(&self.0).unwrap().any(|entry| {
            let file = std::fs::read(entry.unwrap().path()).unwrap();
            file.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A captured request, read by the words of the format alone.
#[derive(Debug)]
struct Captured {
    about: HashMap<String, String>,
    head: Vec<String>,
    answer: Vec<String>,
    said: Vec<u8>,
    body: Vec<u8>,
}

impl Captured {
    fn read(path: &Path) -> Self {
        let file = std::fs::read(path).unwrap();
        let end = file.windows(2).position(|w| w == b"\n\n").expect("lines end");
        let lines = std::str::from_utf8(&file[..end]).unwrap();
        assert_eq!(lines.lines().next(), Some("data-pipeline capture 1"));
        let about: HashMap<String, String> = lines
            .lines()
            .skip(1)
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut at = end + 2;
        let mut part = |name: &str| {
            let from = at;
            let size: usize = about[name].parse().unwrap();
            at = from + size + 1;
            file[from..from + size].to_vec()
        };
        let (head, answer) = (part("request-head-bytes"), part("answer-head-bytes"));
        let said = part("answer-body-bytes");
        let body = part("body-bytes");
        assert_eq!(at, file.len() + 1, "the body ends the file");
        let fate = path.file_stem().unwrap().to_str().unwrap().split_once('-').unwrap().1.to_owned();
        assert_eq!(fate, about["fate"]);
        let lines = |part: Vec<u8>| String::from_utf8(part).unwrap().lines().map(str::to_owned).collect();
        Self { head: lines(head), answer: lines(answer), about, said, body }
    }

    fn fate(&self) -> &str {
        &self.about["fate"]
    }

    fn masked(&self) -> Vec<&str> {
        self.about.get("masked").map_or(Vec::new(), |names| names.split(", ").collect())
    }

    /// The same request as it arrived: method and path, every header but the masked ones, every byte of the body.
    fn is(&self, request: &Recorded) {
        assert!(self.body == request.body, "the body");
        let mut lines = request.head.lines();
        assert_eq!(Some(self.head[0].as_str()), lines.next());
        let shown = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            let name = name.to_ascii_lowercase();
            let masked = self.masked().contains(&name.as_str());
            (name, if masked { "***".to_owned() } else { value.trim().to_owned() })
        };
        let mut sent: Vec<_> = lines.map(shown).collect();
        let mut kept: Vec<_> = self.head[1..].iter().map(|line| shown(line)).collect();
        sent.sort();
        kept.sort();
        assert_eq!(kept, sent);
    }
}

fn accepted(fate: &str) -> bool {
    fate == "accepted"
}

fn peer(script: impl IntoIterator<Item = Step>) -> ScriptedAgent {
    ScriptedAgent::start(Listen::Tcp, script)
}

fn explained(e: &TraceExporter) -> Value {
    serde_json::from_str(&e.explain()).unwrap()
}

fn closed(e: &TraceExporter) -> Metrics {
    let m = e.close().metrics;
    assert_eq!(m.received, m.accounted_for());
    m
}

/// Ways out that tests take one after the other.
fn ways(url: &str) -> Vec<(&'static str, Builder)> {
    let builder = |to: Destination| TraceExporter::builder().destination(to);
    let agent = |format| TraceExporter::builder().url(url).discovery(false).output_format(format);
    let otlp = |encoding, way| builder(Destination::otlp(url).encoding(encoding).compression(way).into());
    let intake = |way| builder(Destination::intake("datadoghq.com", KEY).url(url).compression(way).into());
    vec![
        ("v0.4", agent(OutputFormat::V04)),
        ("v0.5", agent(OutputFormat::V05)),
        ("v1", agent(OutputFormat::V1)),
        ("OTLP, protobuf", otlp(OtlpEncoding::Protobuf, Compression::None)),
        ("OTLP, protobuf, gzip", otlp(OtlpEncoding::Protobuf, Compression::Gzip)),
        ("OTLP, protobuf, zstd", otlp(OtlpEncoding::Protobuf, Compression::Zstd)),
        ("OTLP, JSON", otlp(OtlpEncoding::Json, Compression::None)),
        ("OTLP, JSON, gzip", otlp(OtlpEncoding::Json, Compression::Gzip)),
        ("intake", intake(Compression::None)),
        ("intake, zstd", intake(Compression::Zstd)),
    ]
}

#[test]
fn what_is_captured_is_what_was_received_for_every_format_and_compression() {
    let seed = 20_261_126;
    println!("seed {seed}");
    let mut random = Random(seed);
    let peer = peer([]);
    let mut seen = 0;
    for (name, builder) in ways(&peer.url) {
        let dir = Dir::new();
        let e = builder
            .capture(dir.path(), 64 << 20)
            .header("x-team", SECRET)
            .service("process")
            .send_budget(20 * SECOND)
            .build()
            .unwrap();
        for i in 0..12 {
            let payload = generate::payload([Kind::Plain, Kind::Rules, Kind::Odd][i % 3], &mut random);
            if i % 2 == 0 {
                let _ = e.send(&payload);
            } else {
                e.offer(&payload).unwrap();
                assert!(e.flush(20 * SECOND).complete);
            }
        }
        closed(&e);
        let requests = peer.requests().split_off(seen);
        seen += requests.len();
        let bodies = dir.bodies();
        assert_eq!(bodies.len(), requests.len(), "{name}");
        assert!(bodies.len() > 5, "{name}");
        for (captured, request) in bodies.iter().zip(&requests) {
            captured.is(request);
            assert!(accepted(captured.fate()), "{name}");
            assert_eq!(captured.answer[0], "HTTP/1.1 200");
            assert!(!captured.said.is_empty());
            assert!(captured.masked().contains(&"x-team"));
        }
        assert!(!dir.has_anywhere(KEY) && !dir.has_anywhere(SECRET), "{name}");
        let stands = explained(&e)["capture"].clone();
        assert_eq!((&stands["written"], &stands["failures"]), (&bodies.len().into(), &0.into()), "{stands}");
    }
}

#[test]
fn stats_log_lines_and_questions_are_captured_too() {
    let (agent, dir) = (peer([]), Dir::new());
    agent.set_info([say(200, STATS)]);
    let e = TraceExporter::builder()
        .url(&agent.url)
        .compute_stats(10 * SECOND)
        .close_timeout(20 * SECOND)
        .capture(dir.path(), 8 << 20)
        .build()
        .unwrap();
    e.await_agent(20 * SECOND).unwrap();
    e.send(&payload([good_span()])).unwrap();
    closed(&e);
    let captured = dir.read();
    assert!(captured[0].head[0].starts_with("GET /info ") && captured[0].said == STATS.as_bytes());
    let stats = captured.iter().find(|it| it.head[0].starts_with("POST /v0.6/stats ")).unwrap();
    stats.is(agent.requests().iter().find(|r| r.head.starts_with("POST /v0.6/stats")).unwrap());

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (lines, dir) = (Lines::default(), Dir::new());
    let to = Destination::log(LogTarget::writer(lines.clone()));
    let e = TraceExporter::builder().destination(to).capture(dir.path(), 8 << 20).build().unwrap();
    e.send(&payload([good_span()])).unwrap();
    closed(&e);
    let [written] = &dir.read()[..] else { panic!("one") };
    assert_eq!(written.head, ["WRITE lines HTTP/1.1", &format!("content-length: {}", written.body.len())]);
    assert!(!written.body.is_empty() && written.body == *lines.0.lock().unwrap());
}

#[test]
fn answers_failures_and_repetitions_say_what_they_are() {
    let wait = Step::Say(answer(503, &[("Retry-After", "0")], b"later"));
    let (agent, dir) = (peer([wait, say(413, "too large"), Step::CloseAfterBody]), Dir::new());
    let e = TraceExporter::builder()
        .url(&agent.url)
        .discovery(false)
        .capture(dir.path(), 8 << 20)
        .send_budget(20 * SECOND)
        .build()
        .unwrap();
    let two = array([array([good_span()]), array([good_span()])]);
    e.send(&two).unwrap();
    closed(&e);
    let all = dir.read();
    let fates: Vec<&str> = all.iter().map(Captured::fate).collect();
    assert_eq!(fates, ["repeated", "refused", "repeated", "accepted", "accepted"]);
    assert_eq!((all[0].answer[0].as_str(), &all[0].said[..]), ("HTTP/1.1 503", &b"later"[..]));
    assert_eq!((all[1].answer[0].as_str(), &all[1].about["attempt"][..]), ("HTTP/1.1 413", "2"));
    assert!(all[2].answer.is_empty() && all[2].about["failure"].contains("before it had answered"));
    for (captured, request) in all.iter().zip(agent.requests()) {
        captured.is(&request);
    }
}

#[test]
fn no_key_is_in_any_file_wherever_it_comes_from() {
    let echo = format!("the key {KEY} is unknown, and {SECRET} too");
    let headers = [("X-Echo", KEY), ("Set-Cookie", SECRET), ("Location", "http://x/s3cret-of-the-caller")];
    let refusal = Step::Say(answer(403, &headers, echo.as_bytes()));
    let script = std::iter::repeat_n(refusal, 20);
    let peer = ScriptedAgent::start(Listen::Tcp, script).info_in_script();
    let prefix = format!("{}/{SECRET}", peer.url);
    let bearer = format!("Bearer {SECRET}");
    for to in [
        Destination::from(Destination::agent(&prefix)),
        Destination::otlp(format!("{prefix}/v1/traces")).header("Authorization", &bearer).into(),
        Destination::otlp(&prefix).header("api-key", KEY).into(),
        Destination::datadog_otlp("datadoghq.eu", KEY).url(&peer.url).into(),
        Destination::intake("datadoghq.com", KEY).url(&prefix).into(),
    ] {
        let dir = Dir::new();
        let e = TraceExporter::builder()
            .destination(to)
            .test_session_token(SECRET)
            .header("Proxy-Authorization", &bearer)
            .header("Cookie", KEY)
            .capture(dir.path(), 8 << 20)
            .build()
            .unwrap();
        let error = e.send(&payload([good_span()])).unwrap_err();
        closed(&e);
        for told in [error.to_string(), e.explain(), format!("{:?}", e.take_log_lines())] {
            assert!(!told.contains(KEY) && !told.contains(SECRET), "{told}");
        }
        let bodies = dir.bodies();
        let [one] = &bodies[..] else { panic!("one: {bodies:?}") };
        assert_eq!(one.fate(), "refused");
        assert!(!dir.has_anywhere(KEY) && !dir.has_anywhere(SECRET), "{one:?}");
        let names = one.masked();
        assert!(names.contains(&"cookie") && names.contains(&"x-datadog-test-session-token"), "{names:?}");
        assert!(String::from_utf8_lossy(&one.said).contains("***"), "{one:?}");
        let path = one.head[0].split(' ').nth(1).unwrap();
        assert!(path == "/v1/traces" || path.starts_with("***"), "{path}");
    }
}

#[test]
fn what_was_refused_outlives_what_was_taken_and_the_bound_holds() {
    let (agent, dir) = (peer([say(400, "no")]), Dir::new());
    let e = TraceExporter::builder()
        .url(&agent.url)
        .discovery(false)
        .capture(dir.path(), 1 << 20)
        .build()
        .unwrap();
    let large = payload([span_with("resource", s(&"x".repeat(100_000)))]);
    let _ = e.send(&payload([good_span()]));
    for _ in 0..30 {
        e.send(&large).unwrap();
    }
    closed(&e);
    let kept = dir.read();
    assert_eq!(kept[0].fate(), "refused");
    assert!(kept.len() > 5 && kept[1..].iter().all(|it| accepted(it.fate())));
    let bytes: usize = kept.iter().map(|it| it.body.len()).sum();
    assert!(bytes < 1 << 20, "{bytes}");
    assert_eq!(kept.last().unwrap().about["number"], "30");
}

#[test]
#[cfg(unix)]
fn a_directory_that_cannot_be_used_is_said_at_build_and_one_that_fails_later_costs_no_trace() {
    let agent = peer([]);
    let build =
        |path: &str| TraceExporter::builder().url(&agent.url).discovery(false).capture(path, 1 << 20).build();
    let (dir, link) = (Dir::new(), Dir::new());
    let e = build(dir.path()).unwrap();
    let error = build(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    assert!(error.message().starts_with("capture: ") && error.message().contains("another"), "{error}");
    std::os::unix::fs::symlink(&dir.0, &link.0).unwrap();
    assert!(build(link.path()).unwrap_err().message().contains("link"));
    std::fs::remove_file(&link.0).unwrap();
    std::fs::write(&link.0, b"").unwrap();
    assert!(build(link.path()).unwrap_err().message().contains("no directory"));
    std::fs::remove_file(&link.0).unwrap();

    e.send(&payload([good_span()])).unwrap();
    std::fs::remove_dir_all(&dir.0).unwrap();
    for _ in 0..5 {
        e.send(&payload([good_span()])).unwrap();
    }
    let stands = explained(&e)["capture"].clone();
    assert_eq!((&stands["written"], &stands["failures"]), (&1.into(), &5.into()), "{stands}");
    assert!(stands["last_failure"].as_str().unwrap().contains("vanished"));
    let lines: Vec<String> = e.take_log_lines().into_iter().map(|line| line.text).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("could not be captured")).count(), 1, "{lines:?}");
    assert_eq!(closed(&e).sent.traces, 6);
    assert_eq!(build(dir.path()).unwrap().close().metrics.payloads, 0, "free again");
}

#[test]
fn a_capture_begins_ends_and_changes_while_the_exporter_lives() {
    let (agent, one, two) = (peer([]), Dir::new(), Dir::new());
    let e = TraceExporter::builder().url(&agent.url).discovery(false).build().unwrap();
    let send = || e.send(&payload([good_span()])).unwrap();
    send();
    e.reconfigure(|b| b.capture(one.path(), 1 << 20)).unwrap();
    send();
    e.reconfigure(|b| b.capture(one.path(), 2 << 20)).unwrap();
    send();
    let error = e.reconfigure(|b| b.capture("/dev/null", 1 << 20)).unwrap_err();
    assert!(error.message().contains("no directory"), "{error}");
    e.reconfigure(|b| b.capture(two.path(), 1 << 20)).unwrap();
    send();
    assert_eq!((one.read().len(), two.read().len()), (2, 1));
    e.suspend(SECOND);
    assert!(TraceExporter::builder().capture(two.path(), 1 << 20).build().is_ok(), "given back");
    e.resume().unwrap();
    send();
    assert_eq!(two.read().len(), 2);
    assert_eq!(closed(&e).sent.traces, 5);
}

#[test]
fn a_dry_run_makes_the_same_bodies_and_sends_none() {
    let real = peer([]);
    let nobody = peer([]);
    let mut random = Random(7);
    let payloads: Vec<Bytes> = (0..9)
        .map(|i| generate::payload([Kind::Plain, Kind::Rules, Kind::Odd][i % 3], &mut random))
        .collect();
    let mut seen = 0;
    for ((name, wet), (_, dry)) in ways(&real.url).into_iter().zip(ways(&nobody.url)) {
        let dir = Dir::new();
        let wet = wet.service("process").runtime_id("r").drop_p0(true).build().unwrap();
        let dry =
            dry.service("process").runtime_id("r").drop_p0(true).dry_run(true).capture(dir.path(), 64 << 20);
        let dry = dry.build().unwrap();
        for (i, payload) in payloads.iter().enumerate() {
            let sent = wet.send(payload).unwrap();
            if i % 3 == 2 {
                dry.offer(payload).unwrap();
                assert!(dry.flush(20 * SECOND).complete);
                continue;
            }
            let response = dry.send(payload).unwrap();
            assert_eq!((response.status(), response.reply.attempts), (0, 0), "{name}");
            assert_eq!((response.traces, response.spans), (sent.traces, sent.spans), "{name}");
            assert_eq!(response.left_out, sent.left_out, "{name}");
        }
        let (dry_bodies, dry_bytes) =
            (explained(&dry)["dry_run"]["bodies"].clone(), explained(&dry)["dry_run"]["bytes"].clone());
        let (wet, dry) = (closed(&wet), closed(&dry));
        let requests = real.requests().split_off(seen);
        seen += requests.len();
        let bodies = dir.bodies();
        assert!(bodies.iter().all(|it| it.fate() == "dry" && it.answer.is_empty()));
        assert_eq!(bodies.len(), requests.len(), "{name}");
        // The same traces, compressed the same way, make the same bytes.
        assert!(bodies.iter().zip(&requests).all(|(it, request)| it.body == request.body), "{name}");
        assert_eq!(dry.dropped_for(DropReason::DryRun), wet.sent, "{name}");
        assert_eq!((dry.sent, dry.requests, dry.body_bytes, dry.wire_bytes), (Counts::default(), 0, 0, 0));
        assert_eq!(
            (dry.filtered, dry.sampled_out, dry.received),
            (wet.filtered, wet.sampled_out, wet.received)
        );
        assert_eq!((dry_bodies, dry_bytes), (bodies.len().into(), wet.wire_bytes.into()), "{name}");
    }
    assert_eq!(nobody.stop().len(), 0, "nothing was sent");
}

#[test]
fn a_dry_run_splits_what_is_too_large_counts_stats_and_ends_when_it_is_told() {
    let (agent, dir) = (peer([]), Dir::new());
    agent.set_info([say(200, STATS)]);
    let e = TraceExporter::builder()
        .url(&agent.url)
        .compute_stats(10 * SECOND)
        .max_request_bytes(1024)
        .dry_run(true)
        .capture(dir.path(), 8 << 20)
        .build()
        .unwrap();
    e.await_agent(20 * SECOND).unwrap();
    let many = array((0..40).map(|_| array([good_span()])));
    assert_eq!(e.send(&many).unwrap().traces, 40);
    assert!(e.flush_stats(20 * SECOND), "nothing that should have gone is left");
    let stats = e.stats().unwrap();
    assert_eq!((stats.sent, stats.waiting), (0, 0), "{stats:?}");
    assert_eq!(e.metrics().dropped_for(DropReason::DryRun).traces, 40);
    let bodies = dir.bodies();
    assert!(bodies.len() > 3 && bodies.last().unwrap().head[0].starts_with("POST /v0.6/stats"));
    let lines: Vec<String> = e.take_log_lines().into_iter().map(|line| line.text).collect();
    assert!(lines.iter().any(|line| line.contains("a dry run")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("lost") || line.contains("dropped")), "{lines:?}");
    e.reconfigure(|b| b.dry_run(false)).unwrap();
    assert!(e.send(&payload([good_span()])).unwrap().status() == 200);
    assert_eq!(closed(&e).sent.traces, 1);
    assert_eq!(agent.requests().iter().filter(|r| r.head.contains("/traces")).count(), 1);
    let spooled = TraceExporter::builder().dry_run(true).spool("/tmp/x", 1 << 20).build().unwrap_err();
    assert!(spooled.message().contains("dryRun has no effect with spool"), "{spooled}");
}

fn bulky(bytes: usize) -> Bytes {
    payload([span_with("resource", s(&"x".repeat(bytes)))])
}

#[test]
fn a_backlog_drains_at_its_pace_and_what_is_sent_at_once_is_counted_and_not_held() {
    let agent = peer([]);
    let e = TraceExporter::builder()
        .url(&agent.url)
        .discovery(false)
        .batch_bytes(0)
        .senders(2)
        .max_bytes_per_second(100_000)
        .build()
        .unwrap();
    let started = Instant::now();
    for _ in 0..20 {
        e.offer(&bulky(20_000)).unwrap();
    }
    assert!(e.flush(patient(30 * SECOND)).complete);
    // 400 KB: a second's worth for nothing, and the last ones are not waited for.
    assert!(started.elapsed() >= Duration::from_millis(2400), "{:?}", started.elapsed());
    let started = Instant::now();
    for _ in 0..20 {
        e.send(&bulky(20_000)).unwrap();
    }
    assert!(started.elapsed() < patient(SECOND), "{:?}", started.elapsed());
    let waits = explained(&e)["bandwidth"].clone();
    assert!(waits["queue_waits_ms"].as_u64().unwrap() > 1000, "{waits}");
    assert_eq!(waits["bytes_per_second"], 100_000);
    assert!(e.queue().pace_wait > SECOND);
    e.offer(&bulky(10)).unwrap();
    assert!(!e.flush(Duration::from_millis(300)).complete, "it waits for what was sent at once");
    // Another rate, and it goes.
    e.reconfigure(|b| b.max_bytes_per_second(1 << 30)).unwrap();
    assert!(e.flush(patient(10 * SECOND)).complete);
    let m = closed(&e);
    assert_eq!(m.sent.traces, 41);
    assert_eq!(m.wire_bytes, agent.requests().iter().map(|r| r.body.len() as u64).sum::<u64>());
}

#[test]
fn close_flush_and_whoever_waits_keep_their_limits_whatever_the_pace() {
    let agent = peer([]);
    let build = || {
        TraceExporter::builder()
            .url(&agent.url)
            .discovery(false)
            .batch_bytes(0)
            .async_budget(Duration::from_millis(700))
            .max_bytes_per_second(1024)
    };
    let e = build().build().unwrap();
    e.send(&bulky(50_000)).unwrap();
    let started = Instant::now();
    let pending = e.send_async(&bulky(10));
    let error = pending.wait(patient(20 * SECOND)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(started.elapsed() < patient(2 * SECOND));
    let started = Instant::now();
    e.offer(&bulky(10)).unwrap();
    assert!(!e.flush(Duration::from_millis(100)).complete);
    e.close_within(Duration::from_millis(200));
    assert!(started.elapsed() < patient(SECOND), "{:?}", started.elapsed());
    let m = closed(&e);
    let gone = m.dropped_for(DropReason::Closed).traces + m.dropped_for(DropReason::TimedOut).traces;
    assert_eq!((m.sent.traces, gone), (1, 2));
    // With a spool nothing is lost.
    let dir = Dir::new();
    let e = build().spool(dir.path(), 8 << 20).build().unwrap();
    e.send(&bulky(50_000)).unwrap();
    for _ in 0..5 {
        e.offer(&bulky(100)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(900));
    e.close_within(Duration::from_millis(100));
    let m = closed(&e);
    assert_eq!((m.sent.traces, m.spooled.traces, m.dropped_total().traces), (1, 5, 0), "{m:#?}");
}
