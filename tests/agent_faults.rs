//! The client against an agent that misbehaves, on every transport: what is tried again, what is an error and
//! which, how long it may take, and what is known about the payload afterwards.

#![allow(clippy::unwrap_used)]

mod support;

use data_pipeline::destination::agent::{Client, Reply, TraceRequest};
use data_pipeline::settings::{Config, RawConfig};
use data_pipeline::{Error, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
#[cfg(unix)]
use support::socket_path;
use support::{Listen, ScriptedAgent, Step, TRANSPORTS, answer, ok, patient, say};

const BODY: &[u8] = b"\x91\x91\x80";

fn client_with(url: &str, change: impl FnOnce(&mut RawConfig)) -> Client {
    let mut raw = RawConfig::default();
    raw.url = Some(url.to_owned());
    raw.connect_timeout = Some(Duration::from_millis(500));
    raw.send_timeout = Some(Duration::from_millis(300));
    change(&mut raw);
    Client::new(&Config::new(raw).unwrap()).unwrap()
}

fn client(url: &str) -> Client {
    client_with(url, |_| {})
}

fn send(client: &Client, body: &[u8], budget_ms: u64) -> Result<Reply, Error> {
    client.send(&TraceRequest {
        path: "/v0.4/traces",
        body,
        trace_count: 1,
        dropped_p0_traces: 0,
        dropped_p0_spans: 0,
        computed_stats: false,
        computed_top_level: false,
        budget: Duration::from_millis(budget_ms),
        knob: "sendBudget",
    })
}

fn slow_head() -> Vec<u8> {
    [raw("HTTP/1.1 200 OK\r\nX: "), vec![b'a'; 10_000]].concat()
}

fn raw(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// A fault once, then an agent in order: (name, step, attempts, possibly duplicated, requests seen).
#[test]
fn a_passing_fault_is_survived() {
    // A TCP peer that closes at once may have read everything, for all that can be seen here.
    let cases: Vec<(&str, Step, u32, bool)> = vec![
        ("408", say(408, ""), 2, false),
        ("429", say(429, r#"{"rate_by_service":{}}"#), 2, false),
        ("500", say(500, "oops"), 2, false),
        ("502", say(502, ""), 2, false),
        ("503", say(503, ""), 2, false),
        ("504", say(504, ""), 2, false),
        ("closed after accept", Step::CloseAfterAccept, 2, false),
        ("reset after the body", Step::ResetAfterBody, 2, true),
        ("closed after the body", Step::CloseAfterBody, 2, true),
        ("no answer", Step::Stall, 2, true),
        ("half a status line, then closed", Step::SayAndClose(raw("HTTP/1.1 2")), 2, true),
        ("half a head, then closed", Step::SayAndClose(raw("HTTP/1.1 200 OK\r\nContent-Le")), 2, true),
        ("half a head, then reset", Step::SayAndReset(raw("HTTP/1.1 200 OK\r\nContent-Le")), 2, true),
        ("half a head, then nothing", Step::Dribble(raw("HTTP/1.1 200"), Duration::from_millis(60)), 2, true),
        (
            "503 with half a body",
            Step::SayAndClose(raw("HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\nabc")),
            2,
            false,
        ),
    ];
    for &transport in TRANSPORTS {
        for (name, step, attempts, duplicated) in &cases {
            let agent = ScriptedAgent::start(transport, [step.clone()]);
            // Only some of them make us wait; no other attempt shall end because the machine is slow.
            let waits = matches!(step, Step::Stall | Step::Dribble(..));
            let timeout = patient(Duration::from_millis(if waits { 75 } else { 1000 }));
            let client = client_with(&agent.url, |raw| raw.send_timeout = Some(timeout));
            let reply = send(&client, BODY, patient(Duration::from_secs(5)).as_millis() as u64)
                .unwrap_or_else(|e| panic!("{name} on {transport:?}: {e}"));
            assert_eq!((reply.status, reply.attempts), (200, *attempts), "{name} on {transport:?}");
            if !matches!(step, Step::CloseAfterAccept) {
                assert_eq!(reply.possibly_duplicated, *duplicated, "{name} on {transport:?}");
            }
            let seen = agent.requests();
            assert!(seen.iter().all(|r| r.body == BODY), "{name} on {transport:?}");
        }
    }
}

/// What can't succeed is said at once: (name, step, kind, status, possibly arrived, words).
#[test]
fn a_lasting_fault_is_named_at_once_and_the_exporter_goes_on() {
    type Case = (&'static str, Step, ErrorKind, Option<u16>, bool, &'static str);
    let refused = |status: u16| (say(status, "no"), ErrorKind::HttpStatus, Some(status), false);
    let mut cases: Vec<Case> = Vec::new();
    for (name, status, words) in [
        ("101", 101, "101"),
        ("301", 301, "redirects are not followed"),
        ("304", 304, "304"),
        ("400", 400, "could not read"),
        ("401", 401, "`header`"),
        ("403", 403, "`url`"),
        ("404", 404, "`url`"),
        ("405", 405, "no such endpoint"),
        ("415", 415, "msgpack"),
        ("501", 501, "501"),
        ("600", 600, "600"),
    ] {
        let (step, kind, status, arrived) = refused(status);
        let step = if name == "304" || name == "101" {
            Step::SayAndClose(answer(status.unwrap(), &[], b""))
        } else {
            step
        };
        cases.push((name, step, kind, status, arrived, words));
    }
    let invalid = ErrorKind::InvalidResponse;
    cases.extend([
        ("413", say(413, "too big"), ErrorKind::PayloadTooLarge, Some(413), false, "max_payload_size"),
        ("a web page", say(200, "<!DOCTYPE html><p>hi"), invalid, Some(200), false, "web page"),
        ("not HTTP", Step::SayAndClose(raw("SSH-2.0-OpenSSH_9.6\r\n\r\n")), invalid, None, true, "`url`"),
        ("not HTTP at all", Step::SayAndClose(vec![0; 300]), invalid, None, true, "`url`"),
        (
            "broken chunks",
            Step::SayAndClose(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n")),
            invalid,
            Some(200),
            true,
            "cannot be used",
        ),
        (
            "chunks that break off",
            Step::SayAndClose(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")),
            invalid,
            Some(200),
            true,
            "in the middle",
        ),
        (
            "half a body",
            Step::SayAndClose(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"rate")),
            invalid,
            Some(200),
            true,
            "in the middle",
        ),
        (
            "half a body, then reset",
            Step::SayAndReset(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"rate")),
            invalid,
            Some(200),
            true,
            "in the middle",
        ),
        ("a 100 MB body", Step::Huge(100_000_000), invalid, Some(200), true, "larger than"),
        ("100 MB in chunks", Step::HugeChunked(100_000_000), invalid, Some(200), true, "larger than"),
        (
            "an endless head",
            Step::SayAndClose([raw("HTTP/1.1 200 OK\r\nX: "), vec![b'a'; 300_000]].concat()),
            invalid,
            None,
            true,
            "too long",
        ),
        (
            "a negative length",
            Step::SayAndClose(raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")),
            invalid,
            None,
            true,
            "cannot be used",
        ),
    ]);
    for &transport in TRANSPORTS {
        for (name, step, kind, status, arrived, words) in &cases {
            let agent = ScriptedAgent::start(transport, [step.clone()]);
            let client = client(&agent.url);
            let started = Instant::now();
            let e = send(&client, BODY, 5000).expect_err(name);
            assert_eq!(
                (e.kind(), e.status(), e.attempts(), e.possibly_arrived()),
                (*kind, *status, 1, *arrived),
                "{name} on {transport:?}: {e}"
            );
            assert!(e.message().contains(words), "{name}: {e}");
            assert!(e.message().len() < 1000, "{name}: {e}");
            assert!(started.elapsed() < patient(Duration::from_secs(1)), "{name}: {:?}", started.elapsed());
            assert_eq!(agent.requests().len(), 1, "{name} on {transport:?}");
            let next = send(&client, BODY, 5000).unwrap_or_else(|e| panic!("after {name}: {e}"));
            assert_eq!((next.status, next.attempts), (200, 1), "after {name} on {transport:?}");
        }
    }
}

#[test]
fn odd_but_valid_answers_are_successes() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n1;x=y\r\n\n\r\n0\r\nT: r\r\n\r\n";
    let cases: Vec<(&str, Step, &[u8])> = vec![
        ("empty 200", say(200, ""), b""),
        ("202", say(202, "OK\n"), b"OK\n"),
        ("204", Step::Say(raw("HTTP/1.1 204 No Content\r\n\r\n")), b""),
        ("a 200 that tells of an error", say(200, r#"{"error":"x"}"#), br#"{"error":"x"}"#),
        ("chunks", Step::Say(raw(chunked)), b"OK\n"),
        ("no length", Step::SayAndClose(raw("HTTP/1.1 200 OK\r\n\r\nOK\n")), b"OK\n"),
        ("HTTP/1.0", Step::SayAndClose(raw("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK")), b"OK"),
        ("100, 102, 103 first", Step::Say([raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n"), answer(200, &[], b"OK")].concat()), b"OK"),
        ("gzip nobody asked for", Step::Say(answer(200, &[("Content-Encoding", "gzip")], &[0x1f, 0x8b, 8, 0])), b""),
        ("byte by byte", Step::Dribble(answer(200, &[], b"OK"), Duration::from_millis(1)), b"OK"),
        ("bare line feeds", Step::Say(raw("HTTP/1.1 200 OK\nContent-Length: 2\n\nOK")), b"OK"),
    ];
    for &transport in TRANSPORTS {
        for (name, step, body) in &cases {
            let agent = ScriptedAgent::start(transport, [step.clone()]);
            let client = client(&agent.url);
            let reply = send(&client, BODY, 2000).unwrap_or_else(|e| panic!("{name} on {transport:?}: {e}"));
            assert_eq!((&*reply.body, reply.attempts), (*body, 1), "{name} on {transport:?}");
            send(&client, BODY, 2000).unwrap_or_else(|e| panic!("after {name} on {transport:?}: {e}"));
        }
    }
}

#[test]
fn a_second_answer_on_the_connection_is_not_taken_for_the_next_ones() {
    for &transport in TRANSPORTS {
        for pause in [0, 30] {
            let two = [answer(200, &[], b"first"), answer(200, &[], b"stray")].concat();
            let agent = ScriptedAgent::start(transport, [Step::Say(two), say(200, "second")]);
            let client = client(&agent.url);
            assert_eq!(&*send(&client, BODY, 2000).unwrap().body, b"first");
            std::thread::sleep(Duration::from_millis(pause));
            assert_eq!(&*send(&client, BODY, 2000).unwrap().body, b"second", "{transport:?}");
            assert_eq!(agent.connections(), 2);
        }
    }
}

#[test]
fn a_connection_that_died_while_idle_costs_nothing() {
    for &transport in TRANSPORTS {
        let agent =
            ScriptedAgent::start(transport, vec![Step::SayAndCloseLater(ok(), Duration::from_millis(20)); 3]);
        let client = client(&agent.url);
        for n in 1..=3 {
            let reply = send(&client, BODY, 2000).unwrap();
            assert_eq!((reply.attempts, reply.possibly_duplicated), (1, false));
            agent.await_closed_later(n);
        }
        assert_eq!(agent.requests().len(), 3);
    }
}

/// The agent closes in the moment in which the request is written: no probe can see that.
#[test]
fn a_kept_connection_that_fails_before_an_answer_is_replaced_at_once() {
    for &transport in TRANSPORTS {
        for step in [Step::CloseAfterBody, Step::ResetAfterBody] {
            let agent = ScriptedAgent::start(transport, [Step::Say(ok()), step]);
            let client = client(&agent.url);
            send(&client, BODY, 2000).unwrap();
            let reply = send(&client, BODY, 2000).unwrap();
            assert_eq!(reply.attempts, 1, "not counted, so not waited for either");
            assert!(reply.possibly_duplicated, "but honest");
            assert_eq!(agent.requests().len(), 3);
        }
    }
}

#[test]
fn an_answer_before_the_whole_body_was_read_is_heard() {
    let big = vec![7u8; 8_000_000];
    for &transport in TRANSPORTS {
        for step in
            [Step::Early(answer(413, &[], b"too big")), Step::EarlyAndStall(answer(413, &[], b"too big"))]
        {
            let agent = ScriptedAgent::start(transport, [step.clone()]);
            let client = client_with(&agent.url, |raw| raw.send_timeout = Some(Duration::from_millis(5000)));
            let started = Instant::now();
            let e = send(&client, &big, 5000).unwrap_err();
            assert_eq!(e.status(), Some(413), "{step:?} on {transport:?}: {e}");
            assert!(!e.possibly_arrived());
            assert!(started.elapsed() < patient(Duration::from_secs(1)), "{:?}", started.elapsed());
            assert_eq!(send(&client, BODY, 2000).unwrap().attempts, 1);
        }
    }
}

#[test]
fn a_reset_in_the_body_is_tried_again_and_is_no_duplicate() {
    let big = vec![7u8; 8_000_000];
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, [Step::ResetInBody]);
        let client = client_with(&agent.url, |raw| raw.send_timeout = Some(Duration::from_millis(5000)));
        let reply = send(&client, &big, 8000).unwrap();
        assert_eq!((reply.attempts, reply.possibly_duplicated), (2, false), "{transport:?}");
    }
}

/// Every way of being slow ends at the limits, not at the agent's leisure.
#[test]
fn time_limits_hold_for_every_kind_of_slowness() {
    let big = vec![7u8; 16_000_000];
    let drip = Duration::from_millis(20);
    let long = raw("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
    let chunked = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (body, chunks) = (vec![b'x'; 10_000], b"1\r\nx\r\n".repeat(10_000));
    let pause = Duration::from_millis(1);
    let cases: Vec<(&str, Step, &[u8], Option<u16>)> = vec![
        ("never answers", Step::Stall, BODY, None),
        ("never reads", Step::StallReading, &big, None),
        ("reads a little at a time", Step::Sip(4096, drip), &big, None),
        ("reads more at a time", Step::Sip(16_384, drip), &big, None),
        ("reads much at a time", Step::Sip(65_536, drip), &big, None),
        ("head byte by byte", Step::Dribble(slow_head(), drip), BODY, None),
        (
            "informational answers without end",
            Step::Dribble(b"HTTP/1.1 100 C\r\n\r\n".repeat(1000), Duration::from_millis(1)),
            BODY,
            None,
        ),
        ("body byte by byte", Step::SayAndDribble(long, body, pause), BODY, Some(200)),
        ("chunks one by one", Step::SayAndDribble(chunked, chunks, pause), BODY, Some(200)),
    ];
    for &transport in TRANSPORTS {
        for (name, step, body, status) in &cases {
            let agent = ScriptedAgent::start(transport, vec![step.clone(); 50]);
            let client = client(&agent.url);
            let started = Instant::now();
            let e = send(&client, body, 1000).unwrap_err();
            let took = started.elapsed();
            assert_eq!(
                (e.kind(), e.status()),
                (ErrorKind::TimedOut, *status),
                "{name} on {transport:?}: {e}"
            );
            assert!(
                took < Duration::from_secs(1) + patient(Duration::from_millis(500)),
                "{name} on {transport:?}: {took:?}"
            );
            assert!(
                e.message().contains("`sendTimeout`") || e.message().contains("`sendBudget`"),
                "{name}: {e}"
            );
            if status.is_none() {
                assert!(e.attempts() >= 2, "{name}: {}", e.attempts());
            }
        }
    }
}

#[test]
fn retry_after_is_honoured_or_the_send_ends() {
    let wait = |value: &str| Step::Say(answer(429, &[("Retry-After", value)], b""));
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, [wait("1")]);
        let started = Instant::now();
        assert_eq!(send(&client(&agent.url), BODY, 5000).unwrap().attempts, 2);
        assert!(started.elapsed() >= Duration::from_secs(1));

        let agent = ScriptedAgent::start(transport, [wait("3600")]);
        let started = Instant::now();
        let e = send(&client(&agent.url), BODY, 5000).unwrap_err();
        assert_eq!((e.status(), e.attempts()), (Some(429), 1));
        assert!(started.elapsed() < patient(Duration::from_millis(500)));

        for absurd in ["-1", "1e9", "99999999999999999999", "tomorrow", ""] {
            let agent = ScriptedAgent::start(transport, [wait(absurd)]);
            assert_eq!(send(&client(&agent.url), BODY, 5000).unwrap().attempts, 2, "{absurd}");
        }
    }
}

#[test]
fn an_agent_in_trouble_uses_up_the_budget_and_no_more() {
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, vec![say(503, "starting"); 1000]);
        let started = Instant::now();
        let e = send(&client(&agent.url), BODY, 1000).unwrap_err();
        let took = started.elapsed();
        let limit = Duration::from_secs(1);
        assert!(took > limit / 2 && took < limit + patient(Duration::from_millis(500)), "{took:?}");
        assert_eq!((e.kind(), e.status()), (ErrorKind::HttpStatus, Some(503)));
        assert_eq!(e.attempts() as usize, agent.requests().len());
        assert!(e.attempts() >= 3 && e.message().contains("`sendBudget`"), "{e}");
    }
}

#[test]
fn an_agent_that_comes_up_later_gets_the_payload() {
    #[cfg(unix)]
    let path = socket_path();
    let port = ScriptedAgent::start(Listen::Tcp, []).port;
    for (url, later) in [
        (format!("http://127.0.0.1:{port}"), None::<std::path::PathBuf>),
        #[cfg(unix)]
        (format!("unix://{}", path.display()), Some(path.clone())),
    ] {
        let starter = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(400));
            let agent = match later {
                #[cfg(unix)]
                Some(path) => ScriptedAgent::unix(path, []),
                _ => ScriptedAgent::tcp(port, []),
            };
            agent.await_requests(1);
            agent.requests().len()
        });
        let reply = send(&client(&url), BODY, 8000).unwrap();
        assert!(reply.attempts > 1 && !reply.possibly_duplicated);
        assert_eq!(starter.join().unwrap(), 1);
    }
}

#[test]
fn each_way_of_not_connecting_has_its_own_sentence() {
    let nobody = ScriptedAgent::start(Listen::Tcp, []).port;
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut cases = vec![
        (format!("http://127.0.0.1:{nobody}"), ErrorKind::ConnectionRefused, "nobody listens"),
        ("http://no-such-host.invalid:8126".to_owned(), ErrorKind::NameNotResolved, "no-such-host.invalid"),
    ];
    #[cfg(unix)]
    let _keep = {
        use std::os::unix::fs::PermissionsExt;
        let url = |p: &std::path::Path| format!("unix://{}", p.display());
        let dir = std::env::temp_dir();
        let file = socket_path();
        std::fs::write(&file, b"x").unwrap();
        let datagram = socket_path();
        let d = std::os::unix::net::UnixDatagram::bind(&datagram).unwrap();
        let left_over = socket_path();
        drop(std::os::unix::net::UnixListener::bind(&left_over).unwrap());
        let denied = socket_path();
        let l = std::os::unix::net::UnixListener::bind(&denied).unwrap();
        std::fs::set_permissions(&denied, std::fs::Permissions::from_mode(0o000)).unwrap();
        cases.extend([
            (url(&socket_path()), ErrorKind::SocketMissing, "does not exist"),
            (url(&file.join("x")), ErrorKind::SocketMissing, "does not exist"),
            (url(&dir), ErrorKind::SocketWrongType, "not a Unix stream socket"),
            (url(&file), ErrorKind::SocketWrongType, "not a Unix stream socket"),
            (url(&datagram), ErrorKind::SocketWrongType, "not a Unix stream socket"),
            (url(&left_over), ErrorKind::ConnectionRefused, "left over"),
        ]);
        // Root may open everything.
        if std::os::unix::net::UnixStream::connect(&denied).is_err() {
            cases.push((url(&denied), ErrorKind::SocketDenied, "permission"));
        }
        (d, l)
    };
    for (url, kind, words) in cases {
        let e = send(&client(&url), BODY, 300).unwrap_err();
        assert_eq!(e.kind(), kind, "{url}: {e}");
        assert!(e.message().contains(words) && e.message().contains("url"), "{e}");
        assert!(e.attempts() >= 1 && !e.possibly_arrived());
    }
}

#[test]
fn a_url_that_cannot_be_used_is_refused_when_the_client_is_made() {
    for url in ["http://h:1/a\"b<c", r"windows:\\.\pipe\x"] {
        let mut raw = RawConfig::default();
        raw.url = Some(url.to_owned());
        if let Ok(config) = Config::new(raw) {
            if let Err(e) = Client::new(&config) {
                assert_eq!(e.kind(), ErrorKind::InvalidUrl);
            } else {
                assert!(cfg!(windows) || !url.starts_with("windows"));
            }
        }
    }
}

/// A stopped agent whose queue of connections is full: Linux lets a Unix connect block and drops a TCP one's
/// packets.
#[cfg(target_os = "linux")]
#[test]
fn connecting_to_a_full_queue_ends_at_the_limit_and_at_a_shutdown() {
    use socket2::{Domain, SockAddr, Socket, Type};
    let path = socket_path();
    for (domain, address) in [
        (Domain::UNIX, SockAddr::unix(&path).unwrap()),
        (Domain::IPV4, SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))),
    ] {
        let listener = Socket::new(domain, Type::STREAM, None).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting: Vec<Socket> = (0..4)
            .map(|_| {
                let s = Socket::new(domain, Type::STREAM, None).unwrap();
                s.set_nonblocking(true).unwrap();
                let _ = s.connect(&address);
                s
            })
            .collect();
        let url = match address.as_socket() {
            Some(tcp) => format!("http://{tcp}"),
            None => format!("unix://{}", path.display()),
        };
        let client = client_with(&url, |raw| raw.connect_timeout = Some(Duration::from_millis(100)));
        let started = Instant::now();
        let e = send(&client, BODY, 1000).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TimedOut, "{e}");
        assert!(e.attempts() > 1, "{url}: {}", e.attempts());
        let most = Duration::from_secs(1) + patient(Duration::from_millis(500));
        assert!(started.elapsed() < most, "{:?}", started.elapsed());

        let client =
            Arc::new(client_with(&url, |raw| raw.connect_timeout = Some(Duration::from_millis(20_000))));
        let sender = {
            let client = Arc::clone(&client);
            std::thread::spawn(move || send(&client, BODY, 25_000).unwrap_err())
        };
        std::thread::sleep(Duration::from_millis(150));
        assert!(!sender.is_finished(), "{url}: nothing to interrupt");
        let started = Instant::now();
        client.shutdown();
        assert_eq!(sender.join().unwrap().kind(), ErrorKind::Closed);
        assert!(started.elapsed() < patient(Duration::from_millis(500)), "{url}: {:?}", started.elapsed());
        drop(waiting);
    }
    let _ = std::fs::remove_file(path);
}

#[test]
fn a_shutdown_interrupts_whatever_a_send_is_doing() {
    let (big, small): (Arc<[u8]>, Arc<[u8]>) = (Arc::from(vec![7u8; 16_000_000]), Arc::from(BODY));
    let waits = |name: &'static str, script: Vec<Step>, body: &Arc<[u8]>| (name, script, Arc::clone(body));
    for &transport in TRANSPORTS {
        for (name, script, body) in [
            waits("waiting for an answer", vec![Step::Stall], &small),
            waits("writing", vec![Step::StallReading], &big),
            waits("reading an answer", vec![Step::Dribble(slow_head(), Duration::from_millis(5))], &small),
            waits("backing off", vec![Step::Say(answer(429, &[("Retry-After", "20")], b""))], &small),
        ] {
            let agent = ScriptedAgent::start(transport, script);
            let client = Arc::new(client_with(&agent.url, |raw| {
                raw.send_timeout = Some(Duration::from_millis(30_000))
            }));
            let sender = {
                let client = Arc::clone(&client);
                std::thread::spawn(move || send(&client, &body, 30_000).unwrap_err())
            };
            std::thread::sleep(Duration::from_millis(150));
            let started = Instant::now();
            client.shutdown();
            let e = sender.join().unwrap();
            assert_eq!(e.kind(), ErrorKind::Closed, "{name} on {transport:?}: {e}");
            assert!(
                started.elapsed() < patient(Duration::from_millis(500)),
                "{name}: {:?}",
                started.elapsed()
            );
            assert_eq!(send(&client, BODY, 1000).unwrap_err().kind(), ErrorKind::Closed);
            client.shutdown();
        }
    }
}

/// Answers with bytes changed, left out and doubled: whatever comes back, it comes back in time and without a
/// panic.
#[test]
fn no_answer_makes_the_client_panic_or_hang() {
    let seeds = [
        ok(),
        answer(429, &[("Retry-After", "0"), ("Datadog-Agent-State", "x")], b"{}"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody"),
    ];
    let seed = data_pipeline::transport::retry::seed();
    println!("seed {seed}");
    let mut state = seed | 1;
    let mut random = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n
    };
    let mut script = Vec::new();
    for i in 0..400 {
        let mut bytes = seeds[i % seeds.len()].clone();
        for _ in 0..=random(4) {
            if bytes.len() < 2 {
                break;
            }
            let at = random(bytes.len());
            match random(5) {
                0 => bytes[at] = random(256) as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, b"\r\n 0:;,-9\0\xff"[random(11)]),
                _ => bytes.extend_from_within(at..),
            }
        }
        script.push(Step::SayAndClose(bytes));
    }
    let agent = ScriptedAgent::start(*TRANSPORTS.last().unwrap(), script);
    let client = client(&agent.url);
    while agent.requests().len() < 400 {
        let started = Instant::now();
        let _ = send(&client, BODY, 25);
        assert!(started.elapsed() < patient(Duration::from_secs(1)), "seed {seed}: {:?}", started.elapsed());
    }
    assert_eq!(send(&client, BODY, 2000).unwrap().status, 200);
}
