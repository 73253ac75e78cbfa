//! The spool in an exporter: what the queue cannot hold while the agent is away arrives later, from a later process if
//! need be.

#![allow(clippy::unwrap_used)]
#![cfg(unix)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::{Counts, DropReason};
use data_pipeline::{Builder, ErrorKind, TraceExporter};
use msgpack::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{ScriptedAgent, Step, answer, ok, socket_path};

const LONG: Duration = Duration::from_secs(30);

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("dp-spool-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An exporter whose queue holds next to nothing.
fn exporter(socket: &Path, dir: &Path) -> Builder {
    TraceExporter::builder()
        .url(format!("unix://{}", socket.display()))
        .discovery(false)
        .queue_payloads(10)
        .send_timeout(Duration::from_millis(500))
        .send_budget(Duration::from_millis(500))
        .async_budget(Duration::from_millis(500))
        .spool(dir.to_str().unwrap(), 8 << 20)
}

fn named(resource: &str) -> Vec<u8> {
    payload([span_with("resource", s(resource))])
}

fn arrived(agent: &ScriptedAgent) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for request in agent.requests() {
        for chunk in decode(&request.body).as_array().unwrap() {
            let resource = chunk[0]["resource"].as_str().unwrap().to_owned();
            *out.entry(resource).or_insert(0) += 1;
        }
    }
    out
}

fn closed_account(exporter: &TraceExporter) {
    let m = exporter.metrics();
    assert_eq!(m.received, m.accounted_for(), "{m:#?}");
    assert!(m.queued.traces >= m.spooled.traces);
}

fn until(mut what: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !what() {
        assert!(Instant::now() < end, "it does not come to be");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_agent_that_is_away_for_long_costs_nothing() {
    let (socket, dir) = (socket_path(), Dir::new("away"));
    let exporter = exporter(&socket, &dir.0).build().unwrap();
    for i in 0..400 {
        exporter.offer(&named(&format!("{i}"))).unwrap();
        if i % 100 == 0 {
            // Longer than any budget.
            std::thread::sleep(Duration::from_millis(700));
        }
        closed_account(&exporter);
    }
    until(|| exporter.metrics().spooled.traces > 380);
    let report = exporter.flush(Duration::from_millis(50));
    assert!(!report.complete && report.pending.traces == 400, "{report:?}");
    let agent = ScriptedAgent::unix(socket, []);
    until(|| exporter.metrics().sent.traces == 400);
    let m = exporter.metrics();
    assert_eq!((m.queued, m.spooled, m.dropped_total()), Default::default());
    assert_eq!(m.received.spans, 400);
    closed_account(&exporter);
    assert_eq!(arrived(&agent).len(), 400);
    assert!(agent.requests().len() < 60, "what is small travels together: {}", agent.requests().len());
    assert!(exporter.explain().contains("\"disk_bytes\":0"), "{}", exporter.explain());
}

#[test]
fn what_is_left_at_close_is_sent_by_the_next_process() {
    let (socket, dir) = (socket_path(), Dir::new("close"));
    let first = exporter(&socket, &dir.0).queue_payloads(1000).build().unwrap();
    for i in 0..50 {
        first.offer(&named(&format!("{i}"))).unwrap();
    }
    let waiting = first.send_async(&named("future"));
    let second = exporter(&socket, &dir.0).build().unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InvalidConfiguration);
    let report = first.close_within(Duration::from_millis(100));
    assert!(!report.complete);
    assert_eq!(report.metrics.spooled.traces, 51, "{:?}", report.metrics);
    assert_eq!(report.metrics.received, report.metrics.accounted_for());
    let error = waiting.wait(LONG).unwrap().unwrap_err();
    assert!(error.message().contains("kept in the spool"), "{error}");
    let agent = ScriptedAgent::unix(socket.clone(), []);
    let second = exporter(&socket, &dir.0).build().unwrap();
    until(|| second.metrics().sent.traces == 51);
    assert_eq!(second.metrics().queued, Counts::default());
    closed_account(&second);
    assert_eq!(arrived(&agent).len(), 51);
}

#[test]
fn a_flush_is_not_complete_while_something_from_the_spool_is_on_its_way() {
    let (socket, dir) = (socket_path(), Dir::new("flush"));
    let first = exporter(&socket, &dir.0).build().unwrap();
    for i in 0..20 {
        first.offer(&named(&format!("{i}"))).unwrap();
    }
    first.close_within(Duration::ZERO);
    let agent = ScriptedAgent::unix(socket.clone(), [Step::Late(Duration::from_millis(300), ok())]);
    let second = exporter(&socket, &dir.0).build().unwrap();
    agent.await_requests(1);
    let report = second.flush(Duration::from_millis(50));
    assert!(!report.complete && report.pending.traces == 20, "{report:?}");
    until(|| second.metrics().sent.traces == 20);
    until(|| second.flush(Duration::from_millis(50)).complete);
}

#[test]
fn stats_count_what_comes_from_the_spool_once() {
    let (socket, dir) = (socket_path(), Dir::new("stats"));
    let info = r#"{"endpoints":["/v0.4/traces","/v0.6/stats"],"client_drop_p0s":true}"#;
    let agent = ScriptedAgent::unix(socket.clone(), []);
    agent.set_info([support::say(200, info)]);
    let bucket = Duration::from_secs(600);
    let exporter = exporter(&socket, &dir.0).discovery(true).compute_stats(bucket).build().unwrap();
    exporter.await_agent(LONG).unwrap();
    drop(agent);
    for i in 0..40 {
        exporter.offer(&named(&format!("{i}"))).unwrap();
        if i % 5 == 0 {
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    until(|| exporter.metrics().spooled.traces >= 35);
    let agent = ScriptedAgent::unix(socket, []);
    agent.set_info([support::say(200, info)]);
    until(|| exporter.metrics().sent.traces == 40);
    assert_eq!(exporter.stats().unwrap().counted, 40);
    closed_account(&exporter);
}

#[test]
fn a_full_spool_refuses_and_says_so() {
    let (socket, dir) = (socket_path(), Dir::new("full"));
    let exporter = exporter(&socket, &dir.0).spool(dir.0.to_str().unwrap(), 1 << 20).build().unwrap();
    let large = payload([span_with("resource", s(&"x".repeat(100_000)))]);
    let refused = (0..40).filter(|_| exporter.offer(&large).is_err()).count();
    assert!((15..30).contains(&refused), "{refused}");
    assert_eq!(exporter.metrics().dropped_for(DropReason::QueueFull).traces, refused as u64);
    closed_account(&exporter);
    exporter.close();
    let disk: u64 = std::fs::read_dir(&dir.0).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(disk <= (1 << 20) + 100, "{disk}");
}

#[test]
fn what_is_damaged_is_counted() {
    let (socket, dir) = (socket_path(), Dir::new("damaged"));
    let first = exporter(&socket, &dir.0).build().unwrap();
    for i in 0..30 {
        first.offer(&named(&format!("{i}"))).unwrap();
    }
    first.close_within(Duration::ZERO);
    let segment = std::fs::read_dir(&dir.0).unwrap().map(|e| e.unwrap().path());
    let segment = segment.filter(|p| p.extension().is_some_and(|e| e == "seg")).min().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let agent = ScriptedAgent::unix(socket.clone(), []);
    let second = exporter(&socket, &dir.0).build().unwrap();
    until(|| second.metrics().queued == Counts::default());
    let m = second.metrics();
    assert_eq!((m.sent.traces, m.dropped_for(DropReason::SpoolDamaged).traces), (29, 1), "{m:?}");
    closed_account(&second);
    assert_eq!(arrived(&agent).len(), 29);
}

/// Runs as a process of its own: offers until it is killed, and prints each number that was taken.
#[test]
#[ignore = "the process that another test kills"]
fn a_process_that_is_killed() {
    let (Ok(socket), Ok(dir)) = (std::env::var("SPOOL_SOCKET"), std::env::var("SPOOL_DIR")) else { return };
    let exporter = exporter(Path::new(&socket), Path::new(&dir)).build().unwrap();
    for i in 0.. {
        if exporter.offer(&named(&format!("{i}"))).is_ok() && exporter.metrics().spooled.traces > 0 {
            use std::io::Write;
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "\ntaken {i}").and_then(|()| out.flush());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn after_a_kill_at_most_the_last_record_and_the_queue_are_lost() {
    use std::io::{BufRead, BufReader};
    let (socket, dir) = (socket_path(), Dir::new("killed"));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_killed", "--ignored", "--nocapture"])
        .env("SPOOL_SOCKET", &socket)
        .env("SPOOL_DIR", &dir.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut taken = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        if let Some(n) = line.strip_prefix("taken ") {
            taken.push(n.parse::<u64>().unwrap());
            if taken.len() == 300 {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    let agent = ScriptedAgent::unix(socket.clone(), []);
    let exporter = exporter(&socket, &dir.0).build().unwrap();
    until(|| exporter.metrics().queued == Counts::default());
    let arrived = arrived(&agent);
    let missing: Vec<_> = taken.iter().filter(|n| !arrived.contains_key(&n.to_string())).collect();
    // Ten payloads and what was on its way were in memory only; everything else was on disk.
    assert!(missing.len() <= 21, "{} of {} are missing: {missing:?}", missing.len(), taken.len());
    assert!(arrived.len() >= 280, "{}", arrived.len());
    assert_eq!(exporter.metrics().dropped_total(), Counts::default());
    closed_account(&exporter);
}

#[test]
fn close_waits_for_no_agent_that_is_away() {
    let (socket, dir) = (socket_path(), Dir::new("away-close"));
    let first = exporter(&socket, &dir.0).async_budget(LONG).build().unwrap();
    let _ = first.send(&named("finds out"));
    for i in 0..20 {
        first.offer(&named(&format!("{i}"))).unwrap();
    }
    for round in 0..2 {
        let exporter = if round == 0 {
            None
        } else {
            Some(exporter(&socket, &dir.0).async_budget(LONG).build().unwrap())
        };
        let exporter = exporter.as_ref().unwrap_or(&first);
        let _ = exporter.send(&named("finds out"));
        let started = Instant::now();
        let report = exporter.close_within(LONG);
        assert!(started.elapsed() < support::patient(Duration::from_secs(2)), "{:?}", started.elapsed());
        assert!(!report.complete, "it says that something is left");
        assert_eq!(report.metrics.spooled.traces, 20, "round {round}: {:?}", report.metrics);
        closed_account(exporter);
    }
}

/// What is left at close is on disk every time, also if a sender comes late.
#[test]
fn what_is_left_at_close_is_on_disk_every_time() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
        })
        .collect();
    for round in 0..60 {
        let (socket, dir) = (socket_path(), Dir::new("race"));
        let build = || {
            TraceExporter::builder()
                .url(format!("unix://{}", socket.display()))
                .batch_age(Duration::from_millis(1))
                .spool(dir.0.to_str().unwrap(), 4 << 20)
                .build()
                .unwrap()
        };
        let exporter = build();
        for _ in 0..20 {
            exporter.offer(&named("x")).unwrap();
        }
        std::thread::sleep(Duration::from_millis(round % 4));
        let report = exporter.close_within(Duration::ZERO);
        assert_eq!(report.metrics.spooled.traces, 20, "round {round}: {:?}", report.metrics);
        drop(exporter);
        let again = build();
        assert_eq!(again.metrics().received.traces, 20, "round {round}");
        assert_eq!(again.close_within(Duration::ZERO).metrics.spooled.traces, 20, "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|b| b.join().unwrap());
}

#[test]
fn flush_waits_until_the_spool_is_empty() {
    let (socket, dir) = (socket_path(), Dir::new("drain"));
    let first = exporter(&socket, &dir.0).build().unwrap();
    for i in 0..20 {
        first.offer(&named(&format!("{i}"))).unwrap();
    }
    first.close_within(Duration::ZERO);
    let late = (0..20).map(|_| Step::Late(Duration::from_millis(40), ok()));
    let agent = ScriptedAgent::unix(socket.clone(), late);
    let second = exporter(&socket, &dir.0).batch_bytes(1).build().unwrap();
    let report = second.flush(LONG);
    assert!(report.complete && report.pending == Counts::default(), "{report:?}");
    assert_eq!((second.metrics().sent.traces, agent.requests().len()), (20, 20));
}

#[test]
#[cfg(target_os = "linux")]
fn suspended_it_has_no_file_of_the_spool_open() {
    let (socket, dir) = (socket_path(), Dir::new("suspended"));
    let exporter = exporter(&socket, &dir.0).build().unwrap();
    for i in 0..30 {
        exporter.offer(&named(&format!("{i}"))).unwrap();
    }
    let open = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        files.filter_map(|f| std::fs::read_link(f.path()).ok()).filter(|p| p.starts_with(&dir.0)).count()
    };
    assert!(open() > 0);
    let report = exporter.suspend(Duration::from_millis(50));
    assert_eq!((open(), report.pending.traces), (0, 30), "{report:?}");
    closed_account(&exporter);
    let agent = ScriptedAgent::unix(socket, []);
    exporter.resume().unwrap();
    assert!(exporter.flush(LONG).complete);
    assert_eq!((exporter.metrics().sent.traces, arrived(&agent).len()), (30, 30));
    closed_account(&exporter);
}

#[test]
fn a_directory_that_others_may_enter_is_refused_and_the_error_says_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new("open");
    std::fs::create_dir(&dir.0).unwrap();
    std::fs::set_permissions(&dir.0, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = exporter(&socket_path(), &dir.0).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    assert!(error.message().contains("755") && error.message().contains("chmod 700"), "{error}");
    assert!(exporter(&socket_path(), &dir.0.join("below")).build().is_ok());
}

/// Runs as a process of its own that may open few files.
#[test]
#[ignore = "another test starts it with few descriptors"]
fn a_process_without_descriptors() {
    let (Ok(socket), Ok(dir)) = (std::env::var("SPOOL_SOCKET"), std::env::var("SPOOL_DIR")) else { return };
    let (socket, dir) = (Path::new(&socket), Path::new(&dir));
    let first = exporter(socket, dir).build().unwrap();
    let large = payload([span_with("resource", s(&"x".repeat(100_000)))]);
    for _ in 0..50 {
        first.offer(&large).unwrap();
    }
    first.close_within(Duration::ZERO);
    let second = exporter(socket, dir).build().unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    std::thread::sleep(Duration::from_millis(1500));
    let m = second.metrics();
    assert_eq!((m.queued.traces, m.dropped_total()), (50, Counts::default()), "{m:?}");
    drop(taken);
    let agent = ScriptedAgent::unix(socket.to_owned(), []);
    until(|| second.metrics().sent.traces == 50);
    assert!(!agent.requests().is_empty());
    closed_account(&second);
    println!("nothing was lost");
}

#[test]
fn a_process_that_runs_out_of_descriptors_loses_nothing() {
    let (socket, dir) = (socket_path(), Dir::new("descriptors"));
    let test = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact a_process_without_descriptors --ignored --nocapture"])
        .arg(test)
        .env("SPOOL_SOCKET", &socket)
        .env("SPOOL_DIR", &dir.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("nothing was lost"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_long_retry_after_makes_no_storm() {
    let dir = Dir::new("storm");
    let busy = Step::Say(answer(429, &[("Retry-After", "3600")], b"slow down"));
    let agent = ScriptedAgent::start(support::Listen::Tcp, std::iter::repeat_n(busy, 10_000));
    let exporter = TraceExporter::builder()
        .url(&agent.url)
        .discovery(false)
        .batch_age(Duration::from_millis(10))
        .spool(dir.0.to_str().unwrap(), 8 << 20)
        .build()
        .unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1500) {
        exporter.offer(&named("one")).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    // What waits is not tried again before, and what is offered meanwhile waits, too. It was 8,513 in 3 s.
    assert!(agent.requests().len() <= 2, "{} requests", agent.requests().len());
    assert_eq!(exporter.metrics().dropped_total(), Counts::default());
    closed_account(&exporter);
    let report = exporter.close_within(Duration::from_millis(300));
    assert_eq!(report.metrics.spooled, report.metrics.queued);
}

/// What a look at the account finds must never be less than the look before.
#[test]
fn what_is_tried_again_keeps_its_account() {
    let dir = Dir::new("again");
    let ms = Duration::from_millis;
    let agent = ScriptedAgent::start(support::Listen::Tcp, [Step::Stall, Step::Stall, Step::Stall]);
    let exporter = TraceExporter::builder()
        .url(&agent.url)
        .discovery(false)
        .send_timeout(ms(300))
        .send_budget(ms(300))
        .async_budget(ms(300))
        .spool(dir.0.to_str().unwrap(), 8 << 20)
        .build()
        .unwrap();
    exporter.offer(&named("one")).unwrap();
    let mut before = exporter.metrics();
    until(|| {
        let m = exporter.metrics();
        assert!(m.received.spans >= before.received.spans, "{m:?} after {before:?}");
        assert!(m.requests >= before.requests && m.payloads == 1);
        assert_eq!(m.received, m.accounted_for());
        before = m;
        before.sent.traces == 1
    });
    // Each try was written whole and not answered: the agent may have it several times, and that is said.
    assert_eq!(before.requests, agent.requests().len() as u64, "{before:?}");
    assert_eq!((before.possibly_duplicated, before.possibly_arrived), (1, 0), "{before:?}");
    assert_eq!((before.sent.spans, before.queued), (1, Counts::default()));
}

#[test]
fn the_rest_of_a_split_payload_waits_like_any_other() {
    let dir = Dir::new("split");
    let ms = Duration::from_millis;
    let script = [Step::Say(ok())].into_iter().chain((0..6).map(|_| Step::Stall));
    let agent = ScriptedAgent::start(support::Listen::Tcp, script);
    let exporter = TraceExporter::builder()
        .url(&agent.url)
        .discovery(false)
        .send_timeout(ms(300))
        .send_budget(ms(300))
        .async_budget(ms(600))
        .batch_age(ms(100))
        .max_request_bytes(2000)
        .spool(dir.0.to_str().unwrap(), 8 << 20)
        .build()
        .unwrap();
    for i in 0..40 {
        exporter.offer(&named(&format!("{i}"))).unwrap();
    }
    until(|| exporter.metrics().sent.traces == 40);
    closed_account(&exporter);
    let m = exporter.metrics();
    assert_eq!((m.dropped_total(), m.queued), (Counts::default(), Counts::default()), "{m:?}");
    assert_eq!(arrived(&agent).len(), 40);
}
