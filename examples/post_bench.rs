//! What a send costs beside a bare ureq POST of the same bytes on a kept connection, on loopback.
//!
//! `cargo run --release --example post_bench [rounds]`. Three ways take turns in short blocks against the
//! same server; printed is the time of an undisturbed block (the 10th percentile), and bare / ours (above 1:
//! ours is faster).

#![allow(clippy::unwrap_used)]

use data_pipeline::destination::agent::{Client, TraceRequest};
use data_pipeline::settings::{Config, RawConfig};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const SIZES: [usize; 5] = [734, 20_000, 60_000, 200_000, 618_000];
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDatadog-Agent-State: \
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\nContent-Length: 39\r\n\r\n\
{\"rate_by_service\":{\"service:,env:\":1}}";

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(41);
    let url = serve(TcpListener::bind("127.0.0.1:0").unwrap());
    #[cfg(unix)]
    let unix_url = {
        let path = std::env::temp_dir().join(format!("post-bench-{}.sock", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for s in listener.incoming().flatten() {
                std::thread::spawn(move || answer(s));
            }
        });
        format!("unix://{}", path.display())
    };

    println!(
        "{:>8} {:>11} {:>11} {:>11} {:>11} {:>8}",
        "bytes", "floor us", "bare us", "ours us", "unix us", "bare/ours"
    );
    for size in SIZES {
        let body = vec![0xa5u8; size];
        let mut floor = Floor::new(&url, size);
        let bare = bare_agent();
        let bare_url = format!("{url}/v0.4/traces");
        let ours = client(&url);
        #[cfg(unix)]
        let unix = client(&unix_url);
        let mut times: [Vec<f64>; 4] = Default::default();
        for _ in 0..rounds {
            times[0].push(block(|| floor.post(&body)));
            times[1].push(block(|| {
                let mut response =
                    bare.post(&bare_url).content_type("application/msgpack").send(&body[..]).unwrap();
                assert_eq!(response.body_mut().read_to_vec().unwrap().len(), 39);
            }));
            times[2].push(block(|| send(&ours, &body)));
            #[cfg(unix)]
            times[3].push(block(|| send(&unix, &body)));
        }
        let [floor, bare, ours, unix] = times.map(quiet);
        println!("{size:>8} {floor:>11.1} {bare:>11.1} {ours:>11.1} {unix:>11.1} {:>9.2}", bare / ours);
    }
    #[cfg(unix)]
    let _ = std::fs::remove_file(unix_url.trim_start_matches("unix://"));
}

/// Microseconds a call, over some 10 ms of calls.
fn block(mut f: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut calls = 0;
    while started.elapsed() < Duration::from_millis(10) {
        f();
        calls += 1;
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

/// The time of an undisturbed block. On a busy machine the median says how busy it is.
fn quiet(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 10).copied().unwrap_or(f64::NAN)
}

fn bare_agent() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into()
}

fn client(url: &str) -> Client {
    let mut raw = RawConfig::default();
    raw.url = Some(url.to_owned());
    raw.language = Some("java".to_owned());
    raw.language_version = Some("21.0.4".to_owned());
    raw.language_interpreter = Some("OpenJDK 64-Bit Server VM".to_owned());
    raw.tracer_version = Some("1.50.0".to_owned());
    Client::new(&Config::new(raw).unwrap()).unwrap()
}

fn send(client: &Client, body: &[u8]) {
    let reply = client
        .send(&TraceRequest {
            path: "/v0.4/traces",
            body,
            trace_count: 1,
            dropped_p0_traces: 0,
            dropped_p0_spans: 0,
            computed_stats: false,
            computed_top_level: false,
            budget: Duration::from_secs(10),
            knob: "sendBudget",
        })
        .unwrap();
    assert_eq!(reply.body.len(), 39);
}

/// A plain kept socket, one write, one read.
struct Floor {
    socket: TcpStream,
    head: Vec<u8>,
    out: Vec<u8>,
}

impl Floor {
    fn new(url: &str, size: usize) -> Self {
        let address = url.trim_start_matches("http://");
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        let head = format!(
            "POST /v0.4/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/msgpack\r\n\
             Content-Length: {size}\r\n\r\n"
        );
        Self { socket, head: head.into_bytes(), out: Vec::new() }
    }

    fn post(&mut self, body: &[u8]) {
        self.out.clear();
        self.out.extend_from_slice(&self.head);
        self.out.extend_from_slice(body);
        self.socket.write_all(&self.out).unwrap();
        let mut buffer = [0; 1024];
        let n = self.socket.read(&mut buffer).unwrap();
        assert!(n == ANSWER.len());
    }
}

fn serve(listener: TcpListener) -> String {
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for s in listener.incoming().flatten() {
            s.set_nodelay(true).unwrap();
            std::thread::spawn(move || answer(s));
        }
    });
    url
}

fn answer(mut s: impl Read + Write) {
    let mut buffer = vec![0u8; 1 << 20];
    let mut have = 0;
    loop {
        let end = loop {
            if let Some(at) = buffer[..have.min(4096)].windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&buffer[..at]).to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
                break at + 4 + length.unwrap_or(0);
            }
            match s.read(&mut buffer[have..]) {
                Ok(n) if n > 0 => have += n,
                _ => return,
            }
        };
        while have < end {
            match s.read(&mut buffer[have..]) {
                Ok(n) if n > 0 => have += n,
                _ => return,
            }
        }
        have = 0;
        if s.write_all(ANSWER).is_err() {
            return;
        }
    }
}
