//! The other processes of the Java benchmark (`scripts/bench_java.sh`): the agent on loopback that everybody
//! sends to, and the senders that Java is compared with.
//!
//! - `java_bench_peer agent`: prints its URL and serves until stdin ends. It reads each request to its end,
//!   throws it away and answers 200 with the same body; below `/alternate` with one body and another in turn,
//!   below `/slow` after 2 ms. It has an `/info`, takes OTLP, and names its state, as agents do: a peer that misses
//!   that header asks for `/info` after every payload.
//! - `java_bench_peer send URL`: reads lines `WHO FILE CALLS` and answers each with the nanoseconds that the
//!   calls took, after one that is not counted. WHO is `rust` (our exporter), `raw_post` (a bare ureq POST on
//!   a kept connection) or `plain_socket` (a kept socket with one write and one read: the floor).

#![allow(clippy::unwrap_used)]

use data_pipeline::TraceExporter;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const SAME: &str = r#"{"rate_by_service":{"service:,env:":1}}"#;
const INFO: &str = r#"{"version":"7.70.0","endpoints":["/v0.4/traces"],"client_drop_p0s":false}"#;
const OTHER: &str = r#"{"rate_by_service":{"service:,env:":0}}"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["agent"] => agent(),
        ["send", url] => send(url),
        _ => panic!("usage: java_bench_peer agent | send URL"),
    }
}

fn agent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// Serves one connection until the peer closes it or sends what is no request.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let answer = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDatadog-Agent-State: 1\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    // Nothing is protobuf's success of OTLP.
    let (answers, info, otlp) = ([answer(SAME), answer(OTHER)], answer(INFO), answer(""));
    let mut out = stream.try_clone().ok()?;
    let mut requests = BufReader::with_capacity(256 * 1024, stream);
    let mut line = String::new();
    let mut served = 0;
    loop {
        let (mut length, mut first, mut alternate, mut slow) = (0u64, true, false, false);
        let mut fixed = None;
        loop {
            line.clear();
            if requests.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if first {
                (first, alternate) = (false, line.contains(" /alternate/"));
                slow = line.contains(" /slow/");
                fixed = match line.split(' ').nth(1) {
                    Some("/info") => Some(&info),
                    Some("/v1/traces") => Some(&otlp),
                    _ => None,
                };
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
        if slow {
            std::thread::sleep(Duration::from_millis(2));
        }
        let text = fixed.unwrap_or(&answers[if alternate { served % 2 } else { 0 }]);
        out.write_all(text.as_bytes()).ok()?;
        served += 1;
    }
}

fn send(url: &str) {
    let exporter = TraceExporter::builder().url(url).language("java").build().unwrap();
    let bare: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let post_url = format!("{url}/v0.4/traces");
    let mut plain = Plain::new(url);
    let mut payloads: HashMap<String, Vec<u8>> = HashMap::new();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let [who, file, calls] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line:?} is no order")
        };
        let body: &[u8] = payloads.entry(file.to_owned()).or_insert_with(|| std::fs::read(file).unwrap());
        let once: &mut dyn FnMut() = match who {
            "rust" => &mut || assert_eq!(exporter.send(body).unwrap().status(), 200),
            "raw_post" => &mut || {
                let mut response =
                    bare.post(&post_url).content_type("application/msgpack").send(body).unwrap();
                assert_eq!(response.body_mut().read_to_vec().unwrap().len(), SAME.len());
            },
            "plain_socket" => &mut || plain.post(body),
            _ => panic!("nobody is called {who}"),
        };
        once();
        let started = Instant::now();
        for _ in 0..calls.parse::<u32>().unwrap() {
            once();
        }
        println!("{}", started.elapsed().as_nanos());
    }
}

/// A kept socket: header and body in one write, the answer in one read.
struct Plain {
    socket: TcpStream,
    address: String,
    out: Vec<u8>,
}

impl Plain {
    fn new(url: &str) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        let socket = TcpStream::connect(&address).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, address, out: Vec::new() }
    }

    fn post(&mut self, body: &[u8]) {
        self.out.clear();
        write!(
            self.out,
            "POST /v0.4/traces HTTP/1.1\r\nHost: {}\r\nContent-Type: application/msgpack\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        )
        .unwrap();
        self.out.extend_from_slice(body);
        self.socket.write_all(&self.out).unwrap();
        let mut answer = [0; 1024];
        let n = self.socket.read(&mut answer).unwrap();
        assert!(answer[..n].ends_with(SAME.as_bytes()));
    }
}
