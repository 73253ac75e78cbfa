//! A scripted agent on loopback, over TCP or a Unix socket: it records the raw requests and answers, or
//! misbehaves, step by step as told. Each request takes the next step of the script; when there is none, the
//! agent answers 200.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

#[cfg(unix)]
use socket2::SockAddr;
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where the agent listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp,
    #[cfg(unix)]
    Unix,
}

/// Every transport that can be played here.
pub const TRANSPORTS: &[Listen] = &[
    Listen::Tcp,
    #[cfg(unix)]
    Listen::Unix,
];

/// What to do with one request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Read the request, answer these bytes, keep the connection.
    Say(Vec<u8>),
    /// The same, then close.
    SayAndClose(Vec<u8>),
    /// The same, then close after a while, so that the connection dies while it is idle.
    SayAndCloseLater(Vec<u8>, Duration),
    /// Read the request, answer byte by byte with pauses.
    Dribble(Vec<u8>, Duration),
    /// The same, but the first bytes come at once.
    SayAndDribble(Vec<u8>, Vec<u8>, Duration),
    /// Wait, then answer.
    Late(Duration, Vec<u8>),
    /// Answer when the test says so: what happens meanwhile does not depend on how fast the machine is.
    Held(Hold, Vec<u8>),
    /// Answer when only the head was read, leave the body unread, close.
    Early(Vec<u8>),
    /// The same, but neither read on nor close.
    EarlyAndStall(Vec<u8>),
    /// Close as soon as the connection is accepted.
    CloseAfterAccept,
    /// Reset when the head and a little of the body was read.
    ResetInBody,
    /// Read the request, then reset.
    ResetAfterBody,
    /// Read the request, then close without a word.
    CloseAfterBody,
    /// Read the request and never answer.
    Stall,
    /// Read nothing at all.
    StallReading,
    /// Read so many bytes, pause, read as many again, and never answer.
    Sip(usize, Duration),
    /// A 200 with a body of so many bytes.
    Huge(u64),
    /// The same, but chunked.
    HugeChunked(u64),
    /// Say these bytes, then reset.
    SayAndReset(Vec<u8>),
    /// Say the first bytes, then the second so many times or until nobody listens any more, then close.
    Flood(Vec<u8>, Vec<u8>, usize),
    /// Say these bytes, end our half of the connection, and stay.
    SayAndHalfClose(Vec<u8>),
}

/// Holds an answer back until [`Hold::release`].
#[derive(Clone, Debug, Default)]
pub struct Hold(Arc<AtomicBool>);

impl Hold {
    pub fn release(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// How long something may take that a quiet machine does within `limit`: so many times as long. Four times,
/// or what `TEST_SLOWNESS` says.
pub fn patient(limit: Duration) -> Duration {
    let factor = std::env::var("TEST_SLOWNESS").ok().and_then(|text| text.parse::<u32>().ok());
    limit * factor.unwrap_or(4).max(1)
}

/// Byte by byte; whether all went out.
fn dribble(io: &mut impl Write, shared: &Shared, bytes: &[u8], pause: Duration) -> bool {
    bytes.iter().all(|byte| {
        let goes_on = !shared.stop.load(Ordering::SeqCst) && io.write_all(&[*byte]).is_ok();
        std::thread::sleep(pause);
        goes_on
    })
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// Request line and headers, without the empty line.
    pub head: String,
    pub body: Vec<u8>,
    /// How much the first read of the request gave.
    pub first_read: usize,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|l| {
            let (n, v) = l.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }
}

/// A complete answer with a length.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\n");
    for (n, v) in headers {
        out += &format!("{n}: {v}\r\n");
    }
    out += &format!("Content-Length: {}\r\n\r\n", body.len());
    [out.as_bytes(), body].concat()
}

pub fn ok() -> Vec<u8> {
    answer(200, &[("Content-Type", "application/json")], br#"{"rate_by_service":{"service:,env:":1}}"#)
}

pub fn say(status: u16, body: &str) -> Step {
    Step::Say(answer(status, &[], body.as_bytes()))
}

struct Shared {
    script: Mutex<VecDeque<Step>>,
    /// What `GET /info` is answered, the last step again and again; nothing: 404. `None`: it takes part in
    /// the script.
    info: Mutex<Option<VecDeque<Step>>>,
    info_requests: AtomicUsize,
    /// Payloads without traces that try an endpoint, unless `/info` takes part in the script.
    probes: Mutex<Vec<Recorded>>,
    /// Paths that are answered 404 whatever the script says.
    lacks: Mutex<Vec<String>>,
    requests: Mutex<Vec<Recorded>>,
    open: Mutex<Vec<Arc<Socket>>>,
    connections: AtomicUsize,
    closed_later: AtomicUsize,
    announces: AtomicBool,
    stop: AtomicBool,
}

pub struct ScriptedAgent {
    shared: Arc<Shared>,
    listener: Arc<Socket>,
    acceptor: Option<JoinHandle<()>>,
    pub url: String,
    path: Option<PathBuf>,
    pub port: u16,
}

impl ScriptedAgent {
    pub fn start(listen: Listen, script: impl IntoIterator<Item = Step>) -> Self {
        match listen {
            Listen::Tcp => Self::tcp(0, script),
            #[cfg(unix)]
            Listen::Unix => Self::unix(socket_path(), script),
        }
    }

    pub fn tcp(port: u16, script: impl IntoIterator<Item = Step>) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
        let port = listener.local_addr().unwrap().as_socket().unwrap().port();
        Self::run(listener, format!("http://127.0.0.1:{port}"), None, port, script)
    }

    #[cfg(unix)]
    pub fn unix(path: PathBuf, script: impl IntoIterator<Item = Step>) -> Self {
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        Self::run(listener, format!("unix://{}", path.display()), Some(path), 0, script)
    }

    fn run(
        listener: Socket,
        url: String,
        path: Option<PathBuf>,
        port: u16,
        script: impl IntoIterator<Item = Step>,
    ) -> Self {
        listener.listen(128).unwrap();
        let listener = Arc::new(listener);
        let shared = Arc::new(Shared {
            script: Mutex::new(script.into_iter().collect()),
            info: Mutex::new(Some(VecDeque::new())),
            info_requests: AtomicUsize::new(0),
            probes: Mutex::default(),
            lacks: Mutex::default(),
            requests: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            closed_later: AtomicUsize::new(0),
            announces: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let acceptor = {
            let (shared, listener) = (Arc::clone(&shared), Arc::clone(&listener));
            std::thread::spawn(move || accept(&shared, &listener))
        };
        Self { shared, listener, acceptor: Some(acceptor), url, path, port }
    }

    pub fn push(&self, step: Step) {
        self.shared.script.lock().unwrap().push_back(step);
    }

    /// `GET /info` takes steps of the script and is recorded, like any request. Otherwise an exporter's own
    /// questions would come between those of the test.
    pub fn info_in_script(self) -> Self {
        *self.shared.info.lock().unwrap() = None;
        self
    }

    /// What `GET /info` is answered from now on; the last step stays.
    pub fn set_info(&self, steps: impl IntoIterator<Item = Step>) {
        *self.shared.info.lock().unwrap() = Some(steps.into_iter().collect());
    }

    /// These endpoints are answered 404 from now on.
    pub fn lacks(&self, paths: &[&str]) {
        *self.shared.lacks.lock().unwrap() = paths.iter().map(|path| (*path).to_owned()).collect();
    }

    /// The requests that have tried an endpoint.
    pub fn probes(&self) -> Vec<Recorded> {
        self.shared.probes.lock().unwrap().clone()
    }

    /// Prints `arrived N ID…`, the traces of each request and their ids, before it is answered.
    pub fn announce(&self) {
        self.shared.announces.store(true, Ordering::SeqCst);
    }

    /// How often `/info` was asked for, if it is not in the script.
    pub fn info_requests(&self) -> usize {
        self.shared.info_requests.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub fn request_count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests were read.
    pub fn await_requests(&self, n: usize) {
        let until = Instant::now() + patient(Duration::from_secs(10));
        while self.shared.requests.lock().unwrap().len() < n {
            assert!(Instant::now() < until, "the agent saw no {n} requests");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl ScriptedAgent {
    /// Waits until so many connections were closed by [`Step::SayAndCloseLater`].
    pub fn await_closed_later(&self, n: usize) {
        let until = Instant::now() + patient(Duration::from_secs(10));
        while self.shared.closed_later.load(Ordering::SeqCst) < n {
            assert!(Instant::now() < until, "the agent closed no {n} connections");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops, then gives all that was read: whatever was answered is among it.
    pub fn stop(self) -> Vec<Recorded> {
        let shared = Arc::clone(&self.shared);
        drop(self);
        let requests = shared.requests.lock().unwrap();
        requests.clone()
    }
}

impl Drop for ScriptedAgent {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Ends the accept on Linux; elsewhere the connection below does.
        let _ = self.listener.shutdown(Shutdown::Both);
        if !cfg!(target_os = "linux")
            && let Ok(address) = self.listener.local_addr()
            && let Ok(s) = Socket::new(address.domain(), Type::STREAM, None)
        {
            let _ = s.connect(&address);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for socket in self.shared.open.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A path that no other test uses.
pub fn socket_path() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let n = NEXT.fetch_add(1, Ordering::SeqCst);
    std::env::temp_dir().join(format!("dp-{}-{n}.sock", std::process::id()))
}

fn accept(shared: &Arc<Shared>, listener: &Socket) {
    while let Ok((socket, _)) = listener.accept() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        let socket = Arc::new(socket);
        let close = {
            let mut script = shared.script.lock().unwrap();
            let close = matches!(script.front(), Some(Step::CloseAfterAccept));
            if close {
                script.pop_front();
            }
            close
        };
        if close {
            continue;
        }
        shared.open.lock().unwrap().push(Arc::clone(&socket));
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            serve(&shared, &socket, number);
            // The list of open sockets holds one reference; without it this was the last, and the socket
            // closes.
            shared.open.lock().unwrap().retain(|s| !Arc::ptr_eq(s, &socket));
        });
    }
}

/// The id of each trace in v0.4, JSON of OTLP or JSON of the intake, if its traces have one span each.
fn trace_ids(body: &[u8]) -> Vec<u64> {
    if body.starts_with(b"{") {
        let text = String::from_utf8_lossy(body).replace("\"trace_id\":", "\"traceId\":");
        let hex = text.split("\"traceId\":\"").skip(1).filter_map(|rest| rest.split('"').next());
        return hex
            .map(|hex| u64::from_str_radix(&hex[hex.len().saturating_sub(16)..], 16).unwrap())
            .collect();
    }
    let id = |trace: &rmpv::Value| {
        let span = trace.as_array()?.first()?.as_map()?;
        span.iter().find(|(key, _)| key.as_str() == Some("trace_id"))?.1.as_u64()
    };
    let traces = rmpv::decode::read_value(&mut &body[..]).ok();
    traces.and_then(|all| Some(all.as_array()?.iter().filter_map(id).collect())).unwrap_or_default()
}

/// Whether a request carries no traces, to find out what is at its endpoint.
fn tries(request: &Recorded) -> bool {
    let is_empty = request.body == [0x92, 0x90, 0x90] || request.body == [0x80];
    is_empty && request.head.starts_with("PUT ") && request.header("x-datadog-trace-count").is_none()
}

/// The step for the next `/info`.
fn next_info(steps: &mut VecDeque<Step>) -> Step {
    match steps.len() {
        0 => say(404, "404 page not found"),
        1 => steps[0].clone(),
        _ => steps.pop_front().unwrap(),
    }
}

/// Answers the requests of one connection until it ends.
fn serve(shared: &Shared, socket: &Socket, number: usize) {
    let _ = socket.set_tcp_nodelay(true);
    let mut io = socket;
    let mut input = Vec::new();
    loop {
        // What stands at the front may ask not to read everything.
        let front = shared.script.lock().unwrap().front().cloned();
        let mut first_read = 0;
        let mut buffer = vec![0; 1 << 20];
        let mut part = front.as_ref().is_some_and(in_part);
        let mut taken = None;
        if matches!(front, Some(Step::StallReading)) {
            shared.script.lock().unwrap().pop_front();
            return stall(shared);
        }
        if let Some(&Step::Sip(bytes, pause)) = front.as_ref() {
            shared.script.lock().unwrap().pop_front();
            buffer.truncate(bytes);
            while !shared.stop.load(Ordering::SeqCst) && io.read(&mut buffer).is_ok_and(|n| n > 0) {
                std::thread::sleep(pause);
            }
            return;
        }
        if part {
            buffer.truncate(64);
        }
        let (head_end, length) = loop {
            if let Some(end) = find(&input, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&input[..end]).to_string();
                let length = head
                    .lines()
                    .find_map(|l| {
                        l.to_ascii_lowercase()
                            .strip_prefix("content-length:")
                            .map(|v| v.trim().parse().unwrap())
                    })
                    .unwrap_or(0usize);
                if part {
                    // Another connection may have taken the step meanwhile.
                    let mut script = shared.script.lock().unwrap();
                    part = script.front().is_some_and(in_part);
                    taken = part.then(|| script.pop_front()).flatten();
                    buffer.resize(1 << 20, 0);
                }
                if part || input.len() >= end + 4 + length {
                    break (end, length);
                }
            }
            match io.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    if first_read == 0 {
                        first_read = n;
                    }
                    input.extend_from_slice(&buffer[..n]);
                }
            }
        };
        let body_end = (head_end + 4 + length).min(input.len());
        let is_info =
            input.starts_with(b"GET ") && find(&input[..head_end.min(200)], b"/info HTTP").is_some();
        let mut apart = is_info.then(|| shared.info.lock().unwrap().as_mut().map(next_info)).flatten();
        let recorded = Recorded {
            connection: number,
            head: String::from_utf8_lossy(&input[..head_end]).into_owned(),
            body: input[head_end + 4..body_end].to_vec(),
            first_read,
        };
        let path = recorded.head.split(' ').nth(1).unwrap_or("").to_owned();
        let missing = shared.lacks.lock().unwrap().contains(&path).then(|| say(404, "404 page not found"));
        if apart.is_some() {
            shared.info_requests.fetch_add(1, Ordering::SeqCst);
        } else if shared.info.lock().unwrap().is_some() && tries(&recorded) {
            shared.probes.lock().unwrap().push(recorded);
            apart = missing.or_else(|| Some(Step::Say(ok())));
        } else {
            apart = missing;
            if shared.announces.load(Ordering::SeqCst) {
                let count = recorded.header("x-datadog-trace-count").unwrap_or("0");
                let ids: String = trace_ids(&recorded.body).iter().map(|id| format!(" {id}")).collect();
                println!("arrived {count}{ids}");
            }
            shared.requests.lock().unwrap().push(recorded);
        }
        input.drain(..body_end);

        let step = match apart.or(taken) {
            Some(step) => step,
            None => shared.script.lock().unwrap().pop_front().unwrap_or_else(|| Step::Say(ok())),
        };
        match step {
            Step::Say(bytes) => drop(io.write_all(&bytes)),
            Step::SayAndClose(bytes) => {
                let _ = io.write_all(&bytes);
                return;
            }
            Step::SayAndCloseLater(bytes, pause) => {
                let _ = io.write_all(&bytes);
                std::thread::sleep(pause);
                let _ = socket.shutdown(Shutdown::Both);
                shared.closed_later.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Step::Dribble(bytes, pause) => {
                if !dribble(&mut io, shared, &bytes, pause) {
                    return;
                }
            }
            Step::SayAndDribble(first, bytes, pause) => {
                if io.write_all(&first).is_err() || !dribble(&mut io, shared, &bytes, pause) {
                    return;
                }
            }
            Step::Late(pause, bytes) => {
                std::thread::sleep(pause);
                let _ = io.write_all(&bytes);
            }
            Step::Held(hold, bytes) => {
                while !hold.0.load(Ordering::SeqCst) && !shared.stop.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                let _ = io.write_all(&bytes);
            }
            Step::Early(bytes) => {
                let _ = io.write_all(&bytes);
                return;
            }
            Step::EarlyAndStall(bytes) => {
                let _ = io.write_all(&bytes);
                return stall(shared);
            }
            Step::ResetInBody | Step::ResetAfterBody => return reset(socket),
            Step::SayAndReset(bytes) => {
                let _ = io.write_all(&bytes);
                std::thread::sleep(Duration::from_millis(50));
                return reset(socket);
            }
            Step::Flood(first, piece, times) => {
                let mut go_on = io.write_all(&first).is_ok();
                for _ in 0..times {
                    go_on = go_on && !shared.stop.load(Ordering::SeqCst) && io.write_all(&piece).is_ok();
                }
                return;
            }
            Step::SayAndHalfClose(bytes) => {
                let _ = io.write_all(&bytes);
                let _ = socket.shutdown(Shutdown::Write);
                return stall(shared);
            }
            Step::CloseAfterBody | Step::CloseAfterAccept => return,
            Step::Stall | Step::StallReading | Step::Sip(..) => return stall(shared),
            Step::Huge(n) => {
                let _ = io.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n").as_bytes());
                let piece = vec![b' '; 64 * 1024];
                let mut left = n as usize;
                while left > 0 {
                    let part = left.min(piece.len());
                    if io.write_all(&piece[..part]).is_err() {
                        return;
                    }
                    left -= part;
                }
            }
            Step::HugeChunked(n) => {
                let _ = io.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                let piece = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
                for _ in 0..n / 0x10000 {
                    if io.write_all(&piece).is_err() {
                        return;
                    }
                }
                let _ = io.write_all(b"0\r\n\r\n");
            }
        }
    }
}

/// Closes with a reset: TCP by a linger time of zero. A Unix socket resets when there is something unread,
/// which the steps that read only a part see to; otherwise it just closes.
fn reset(socket: &Socket) {
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// Whether a step is taken when only a part of the request was read.
fn in_part(step: &Step) -> bool {
    matches!(step, Step::Early(_) | Step::EarlyAndStall(_) | Step::ResetInBody)
}

fn stall(shared: &Shared) {
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}
