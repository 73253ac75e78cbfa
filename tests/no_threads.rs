//! A system that has no thread when an exporter is built: `build` succeeds, sends work, and what needs a thread (asking
//! the agent, stats) is begun as soon as there is one. The test runs itself again under `ulimit -v`: a thread cannot be
//! started where no address space is left for its stack.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::TraceExporter;
use msgpack::*;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, patient, say};

const CAPABLE: &str = r#"{"version":"7.70.0","endpoints":["/v0.4/traces","/v0.6/stats"],"client_drop_p0s":true,
    "peer_tags":[],"span_kinds_stats_computed":["server"]}"#;
const SOON: Duration = Duration::from_secs(10);

fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("dp-")).collect()
}

/// All address space but what is too small for a thread.
fn take_all() -> Vec<Vec<u8>> {
    let mut taken: Vec<Vec<u8>> = Vec::with_capacity(4096);
    for size in [4 << 20, 1 << 20, 256 << 10, 160 << 10] {
        loop {
            let mut block = Vec::new();
            if block.try_reserve_exact(size).is_err() {
                break;
            }
            taken.push(block);
        }
    }
    taken
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + patient(SOON);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn child(url: &str) {
    // What a build allocates in small pieces is there.
    let small: Vec<Vec<u8>> = (0..32).map(|_| Vec::with_capacity(60_000)).collect();
    let taken = take_all();
    drop(small);
    let spawned = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {}).is_ok();
    let built = TraceExporter::builder().url(url).compute_stats(Duration::from_secs(1)).build();
    let running = threads();
    drop(taken);
    assert!(!spawned, "the limit leaves room for a thread: the test shows nothing");
    let exporter = built.unwrap();
    assert_eq!(running, [""; 0]);
    // The agent is there, and so are threads.
    exporter.send(&payload([good_span()])).unwrap();
    until("the agent is asked", || exporter.agent_info().is_some());
    until("stats are counted", || {
        exporter.send(&payload([good_span()])).unwrap();
        exporter.stats().is_some_and(|stats| stats.counted > 0)
    });
    until("stats are sent", || exporter.stats().is_some_and(|stats| stats.sent > 0));
    println!("all was begun");
}

#[test]
fn what_could_not_be_begun_at_build_is_begun_later() {
    if let Ok(url) = std::env::var("NO_THREADS") {
        return child(&url);
    }
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    agent.set_info([say(200, CAPABLE)]);
    let script = "ulimit -v 600000; exec \"$0\" --exact --nocapture --test-threads 1 \"$@\"";
    let out = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg("what_could_not_be_begun_at_build_is_begun_later")
        .env("NO_THREADS", &agent.url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("all was begun"), "{}\n{said}", out.status);
    let posts = agent.requests().into_iter().filter(|r| r.head.starts_with("POST /v0.6/stats ")).count();
    assert!(posts > 0);
}
