//! The long run of the asynchronous interface (`make soak MINUTES=5`), each part in a process of its own:
//!
//! - `soak flapping SECONDS`: an agent that comes and goes, four threads that offer and one that sends. The
//!   account must be closed at every look, memory flat within 10 % after the first fifth (at least 10 s), and
//!   no thread left after `close`.
//! - `soak black-hole SECONDS`: an agent that takes connections and never answers, offers at full speed.
//!   Memory must not grow by more than the queue's bound and 8 MB.
//! - `soak away SECONDS [SPOOL]`: an agent that is gone for so long under 2,000 spans/s; with a spool, and
//!   without one if the time is within the budget, nothing may be lost.
//! - `soak agent PORT|hole`: the agent that the others start.

#![allow(clippy::unwrap_used)]

use data_pipeline::TraceExporter;
use data_pipeline::account::{Counts, DropReason};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seconds = |text: &str| Duration::from_secs(text.parse().unwrap());
    match words[..] {
        ["agent", "hole"] => hole(),
        ["agent", port] => agent(port.parse().unwrap()),
        ["flapping", time] => flapping(seconds(time)),
        ["black-hole", time] => black_hole(seconds(time)),
        ["away", time] => away(seconds(time), None),
        ["away", time, spool] => away(seconds(time), Some(spool)),
        _ => panic!("usage: soak flapping SECONDS | black-hole SECONDS | away SECONDS [SPOOL]"),
    }
}

// The agent.

fn agent(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

fn hole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let kept: Vec<_> = listener.incoming().collect();
    drop(kept);
}

fn serve(stream: TcpStream) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut requests = BufReader::with_capacity(256 * 1024, stream);
    let mut line = String::new();
    loop {
        let mut length = 0_u64;
        loop {
            line.clear();
            if requests.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        std::io::copy(&mut (&mut requests).take(length), &mut std::io::sink()).ok()?;
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok()?;
    }
}

struct Agent(Child);

impl Agent {
    /// Starts one on a port, 0 for a free one; gives the port.
    fn start(port: &str) -> (Self, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["agent", port])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line.trim().to_owned())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// What is looked at.

fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn our_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = |t: &std::fs::DirEntry| {
        std::fs::read_to_string(t.path().join("comm")).is_ok_and(|c| c.starts_with("dp-"))
    };
    tasks.filter(named).count()
}

/// A payload of one trace with so many spans.
fn payload(spans: u8) -> Vec<u8> {
    let mut out = vec![0x91, 0xdc, 0, spans];
    for id in 1..=spans {
        out.extend_from_slice(
            b"\x86\xa7service\xa4shop\xa4name\xa3web\xa8resource\xa9GET /cart\xa8trace_id\x07",
        );
        out.extend_from_slice(&[b"\xa7span_id\xcc"[..].to_vec(), vec![id]].concat());
        out.extend_from_slice(b"\xa4meta\x81\xa4path\xd9\x40");
        out.extend_from_slice(&[b'p'; 0x40]);
    }
    out
}

fn closed(exporter: &TraceExporter) {
    let m = exporter.metrics();
    assert_eq!(m.received, m.accounted_for(), "{m:#?}");
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn flapping(time: Duration) {
    let (first, port) = Agent::start("0");
    let exporter = Arc::new(
        TraceExporter::builder()
            .url(format!("http://127.0.0.1:{port}"))
            .queue_bytes(4 << 20)
            .overflow(data_pipeline::settings::Overflow::Shed)
            .send_budget(Duration::from_secs(2))
            .build()
            .unwrap(),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for n in 0..5 {
        let (exporter, stop) = (Arc::clone(&exporter), Arc::clone(&stop));
        threads.push(std::thread::spawn(move || {
            let bytes = payload(if n == 0 { 200 } else { 10 });
            while !stop.load(Ordering::Relaxed) {
                // The result is in the account.
                let _ = if n == 4 { exporter.send(&bytes).map(drop) } else { exporter.offer(&bytes) };
                std::thread::sleep(Duration::from_micros(500));
            }
        }));
    }
    let started = Instant::now();
    let mut agent = Some(first);
    // The agent has been gone twice by then.
    let settled = (time / 5).max(Duration::from_secs(10));
    let (mut early, mut late) = (0, 0);
    let mut turn = 0_u32;
    while started.elapsed() < time {
        std::thread::sleep(Duration::from_millis(500));
        closed(&exporter);
        let now = rss();
        if started.elapsed() < settled {
            early = early.max(now);
        } else {
            late = late.max(now);
        }
        turn += 1;
        // 3 s there, 2 s gone.
        match turn % 10 {
            6 => agent = None,
            0 => agent = Some(Agent::start(&port).0),
            _ => {}
        }
    }
    if agent.is_none() {
        agent = Some(Agent::start(&port).0);
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|t| t.join().unwrap());
    let flush = exporter.flush(Duration::from_secs(20));
    assert!(flush.complete, "{flush:?}");
    let m = exporter.close().metrics;
    drop(agent);
    assert_eq!(m.received, m.accounted_for());
    assert_eq!(m.queued, Counts::default());
    std::thread::sleep(Duration::from_millis(300));
    let dropped: Vec<_> = DropReason::ALL
        .iter()
        .filter(|r| m.dropped_for(**r).traces > 0)
        .map(|r| format!("{} {}", r.name(), m.dropped_for(*r).traces))
        .collect();
    println!(
        "soak flapping {} s: received {}, sent {}, dropped [{}]; memory {:.1} MB in the first {} s, {:.1} MB after; \
         threads left {}",
        time.as_secs(),
        m.received.traces,
        m.sent.traces,
        dropped.join(", "),
        mb(early),
        settled.as_secs(),
        mb(late),
        our_threads()
    );
    assert!(late as f64 <= 1.1 * early as f64, "memory grows");
    assert_eq!(our_threads(), 0, "a thread is left");
}

fn black_hole(time: Duration) {
    let (agent, port) = Agent::start("hole");
    let bound = 32 << 20;
    for size in [10, 250] {
        let before = rss();
        let exporter = TraceExporter::builder()
            .url(format!("http://127.0.0.1:{port}"))
            .queue_bytes(bound)
            .build()
            .unwrap();
        let bytes = payload(size);
        let (mut most, mut offers) = (0, 0_u64);
        let started = Instant::now();
        while started.elapsed() < time / 2 {
            for _ in 0..1000 {
                let _ = exporter.offer(&bytes);
                offers += 1;
            }
            most = most.max(rss());
        }
        closed(&exporter);
        println!(
            "soak black-hole {} s, payloads of {} bytes: {offers} offers; memory {:.1} MB before, {:.1} MB at \
             most (bound {:.1} + 8 MB)",
            time.as_secs() / 2,
            bytes.len(),
            mb(before),
            mb(most),
            mb(bound)
        );
        assert!(most <= before + bound + 8_000_000, "memory exceeds the bound");
        exporter.close();
    }
    drop(agent);
}

fn away(time: Duration, spool: Option<&str>) {
    let (first, port) = Agent::start("0");
    let mut builder = TraceExporter::builder().url(format!("http://127.0.0.1:{port}"));
    if let Some(dir) = spool {
        builder = builder.spool(dir, 256 << 20);
    }
    let exporter = builder.build().unwrap();
    let bytes = payload(10);
    let started = Instant::now();
    let (mut next, mut agent) = (started, Some(first));
    let (down, up) = (Duration::from_secs(2), Duration::from_secs(2) + time);
    while started.elapsed() < up + Duration::from_secs(2) {
        let _ = exporter.offer(&bytes);
        next += Duration::from_millis(5);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        if agent.is_some() && (down..up).contains(&started.elapsed()) {
            agent = None;
        } else if agent.is_none() && started.elapsed() >= up {
            agent = Some(Agent::start(&port).0);
        }
    }
    let end = Instant::now() + Duration::from_secs(60);
    while exporter.metrics().queued != Counts::default() && Instant::now() < end {
        exporter.flush(Duration::from_secs(1));
    }
    let m = exporter.close().metrics;
    println!(
        "soak away {} s{}: {} traces ({} spans) offered, {} sent, {} dropped, {} left",
        time.as_secs(),
        if spool.is_some() { " with a spool" } else { "" },
        m.received.traces,
        m.received.spans,
        m.sent.traces,
        m.dropped_total().traces,
        m.queued.traces
    );
    assert_eq!(m.sent, m.received, "something is lost");
}
