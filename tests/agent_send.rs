//! The client against an agent that behaves: bytes of the request, connections, rates, stats and `/info`.

#![allow(clippy::unwrap_used)]

mod support;

use data_pipeline::ErrorKind;
use data_pipeline::destination::agent::{Client, TraceRequest};
use data_pipeline::settings::{Config, RawConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{ScriptedAgent, Step, TRANSPORTS, answer, ok, say};

fn config(url: &str) -> RawConfig {
    let mut raw = RawConfig::default();
    raw.url = Some(url.to_owned());
    raw
}

fn client(url: &str) -> Client {
    Client::new(&Config::new(config(url)).unwrap()).unwrap()
}

fn request(body: &[u8]) -> TraceRequest<'_> {
    TraceRequest {
        path: "/v0.4/traces",
        body,
        trace_count: 3,
        dropped_p0_traces: 0,
        dropped_p0_spans: 0,
        computed_stats: false,
        computed_top_level: false,
        budget: Duration::from_secs(5),
        knob: "sendBudget",
    }
}

#[test]
fn a_request_is_these_bytes_and_arrives_in_one_piece() {
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, []);
        let mut raw = config(&agent.url);
        raw.language = Some("java".into());
        raw.language_version = Some("21".into());
        raw.tracer_version = Some("1.2.3".into());
        raw.container_id = Some("cid".into());
        raw.header = vec![("X-Mine".into(), "caf\u{e9}".into())];
        let client = Client::new(&Config::new(raw).unwrap()).unwrap();
        let body = b"\x91\x90";
        for _ in 0..2 {
            let reply = client.send(&request(body)).unwrap();
            assert_eq!((reply.status, reply.attempts, reply.possibly_duplicated), (200, 1, false));
        }
        let host = agent.url.strip_prefix("http://").unwrap_or("localhost");
        let seen = agent.requests();
        let lines: Vec<&str> = seen[0].head.split("\r\n").collect();
        assert_eq!(lines[0], "PUT /v0.4/traces HTTP/1.1");
        let mut rest: Vec<String> = lines[1..].iter().map(|l| (*l).to_owned()).collect();
        rest.sort();
        let mut wanted = vec![
            format!("host: {host}"),
            "content-length: 2".into(),
            "content-type: application/msgpack".into(),
            "datadog-container-id: cid".into(),
            "datadog-meta-lang: java".into(),
            "datadog-meta-lang-version: 21".into(),
            "datadog-meta-tracer-version: 1.2.3".into(),
            "datadog-rates-payload-version: 0".into(),
            "datadog-send-real-http-status: 1".into(),
            "x-datadog-trace-count: 3".into(),
            "x-mine: caf\u{e9}".into(),
        ];
        wanted.sort();
        assert_eq!(rest, wanted);
        for r in &seen {
            assert_eq!(r.body, body);
            assert_eq!(
                r.first_read,
                r.head.len() + 4 + body.len(),
                "head and body came apart on {transport:?}"
            );
        }
        assert_eq!(agent.connections(), 1, "the connection is kept");
    }
}

#[test]
fn bodies_of_every_size_arrive_unchanged() {
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, []);
        let client = client(&agent.url);
        for size in [0usize, 1, 700, 4096, 65_536, 262_144, 262_145, 1_000_000, 5_000_000] {
            let body: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            client.send(&request(&body)).unwrap();
            let seen = agent.requests();
            assert!(seen.last().unwrap().body == body, "{size} bytes on {transport:?}");
        }
        assert_eq!(agent.connections(), 1);
    }
}

#[test]
fn what_a_send_says_goes_into_headers() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    let client = client(&agent.url);
    let send = TraceRequest {
        dropped_p0_traces: 4,
        dropped_p0_spans: 9,
        computed_stats: true,
        computed_top_level: true,
        ..request(b"\x90")
    };
    client.send(&send).unwrap();
    let seen = &agent.requests()[0];
    for (name, value) in [
        ("datadog-client-dropped-p0-traces", "4"),
        ("datadog-client-dropped-p0-spans", "9"),
        ("datadog-client-computed-stats", "true"),
        ("datadog-client-computed-top-level", "true"),
        ("x-datadog-trace-count", "3"),
    ] {
        assert_eq!(seen.header(name), Some(value));
    }
}

#[test]
fn long_headers_arrive_whole() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    for length in [4_000, 60_000, 200_000] {
        let value = "v".repeat(length);
        let mut config = config(&agent.url);
        config.header.push(("x-long".to_owned(), value.clone()));
        let client = Client::new(&Config::new(config).unwrap()).unwrap();
        client.send(&request(&[0x90; 70_000])).unwrap();
        assert!(agent.requests().last().unwrap().header("x-long") == Some(&value), "{length}");
    }
}

#[test]
fn a_path_prefix_is_kept() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    client(&format!("{}/behind/proxy/", agent.url)).send(&request(b"\x90")).unwrap();
    assert!(agent.requests()[0].head.starts_with("PUT /behind/proxy/v0.4/traces HTTP/1.1\r\n"));
}

#[test]
fn a_name_is_looked_up_and_every_address_tried() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    // localhost is often ::1 first, where nobody listens.
    client(&format!("http://localhost:{}", agent.port)).send(&request(b"\x90")).unwrap();
}

#[test]
fn rates_are_reported_when_they_change() {
    let rates = |v: &str, r: &str| {
        let body = format!("{{\"rate_by_service\":{{\"service:,env:\":{r}}}}}");
        Step::Say(answer(200, &[("Datadog-Rates-Payload-Version", v)], body.as_bytes()))
    };
    let same = || Step::Say(answer(200, &[("Datadog-Rates-Payload-Version", "a")], b"{}"));
    let script = [rates("a", "1"), same(), same(), say(200, ""), rates("b", "0.5")];
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, script.clone());
        let client = client(&agent.url);
        let replies: Vec<_> = (0..5).map(|_| client.send(&request(b"\x90")).unwrap()).collect();
        let changed: Vec<bool> = replies.iter().map(|r| r.rates_changed).collect();
        assert_eq!(changed, [true, false, false, false, true]);
        assert!(Arc::ptr_eq(&replies[1].body, &replies[2].body), "an equal body is shared");
        assert!(replies[3].body.is_empty());
        assert!(Arc::ptr_eq(replies[0].rates.as_ref().unwrap(), replies[3].rates.as_ref().unwrap()));
        let sent: Vec<_> = agent
            .requests()
            .iter()
            .map(|r| r.header("datadog-rates-payload-version").unwrap().to_owned())
            .collect();
        assert_eq!(sent, ["0", "a", "a", "a", "a"]);
    }
}

#[test]
fn the_agents_state_is_known_after_a_refusal_too() {
    let refusal = answer(400, &[("Datadog-Agent-State", "two")], b"");
    let good = answer(200, &[("Datadog-Agent-State", "one")], b"");
    let agent = ScriptedAgent::start(TRANSPORTS[0], [Step::Say(good), Step::Say(refusal)]);
    let client = client(&agent.url);
    assert_eq!(client.agent_state(), None);
    assert_eq!(client.send(&request(b"\x90")).unwrap().agent_state.as_deref(), Some("one"));
    client.send(&request(b"\x90")).unwrap_err();
    assert_eq!(client.agent_state().as_deref(), Some("two"));
}

#[test]
fn concurrent_sends_do_not_wait_for_each_other_and_one_connection_is_kept() {
    for &transport in TRANSPORTS {
        // Long enough for all to start while the first is not answered yet.
        let late = Step::Late(Duration::from_secs(1), ok());
        let agent = ScriptedAgent::start(transport, vec![late; 8]);
        let client = Arc::new(client(&agent.url));
        let started = Instant::now();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let client = Arc::clone(&client);
                std::thread::spawn(move || client.send(&request(b"\x90")).unwrap())
            })
            .collect();
        for t in threads {
            t.join().unwrap();
        }
        assert!(started.elapsed() < support::patient(Duration::from_millis(1500)), "{:?}", started.elapsed());
        assert_eq!(agent.connections(), 8);
        for _ in 0..5 {
            client.send(&request(b"\x90")).unwrap();
        }
        assert_eq!(agent.connections(), 8, "the one kept connection serves what comes one by one");
    }
}

#[test]
fn without_idle_connections_every_send_opens_its_own() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    let mut raw = config(&agent.url);
    raw.max_idle_connections = Some(0);
    let client = Client::new(&Config::new(raw).unwrap()).unwrap();
    for _ in 0..3 {
        client.send(&request(b"\x90")).unwrap();
    }
    assert_eq!(agent.connections(), 3);
}

#[test]
fn an_idle_connection_is_not_used_beyond_its_age() {
    let agent = ScriptedAgent::start(TRANSPORTS[0], []);
    let mut raw = config(&agent.url);
    raw.max_idle_age = Some(Duration::from_millis(50));
    let client = Client::new(&Config::new(raw).unwrap()).unwrap();
    client.send(&request(b"\x90")).unwrap();
    std::thread::sleep(Duration::from_millis(120));
    client.send(&request(b"\x90")).unwrap();
    assert_eq!(agent.connections(), 2);
}

#[test]
fn stats_are_posted_and_say_whether_resources_are_obfuscated() {
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(transport, [say(200, ""), say(200, "")]);
        let client = client(&agent.url);
        client.post_stats(b"\x80", None, Duration::from_secs(1)).unwrap();
        client.post_stats(b"\x80", Some(1), Duration::from_secs(1)).unwrap();
        let seen = agent.requests();
        assert!(seen[0].head.starts_with("POST /v0.6/stats HTTP/1.1\r\n"));
        assert_eq!(seen[0].header("datadog-obfuscation-version"), None);
        assert_eq!(seen[1].header("datadog-obfuscation-version"), Some("1"));
        assert_eq!(seen[1].header("content-type"), Some("application/msgpack"));
    }
}

#[test]
fn info_is_read_with_the_callers_headers() {
    let body = br#"{"version":"7.85.2","endpoints":["/v0.4/traces","/info"],"config":{"max_request_bytes":26214400}}"#;
    for &transport in TRANSPORTS {
        let agent = ScriptedAgent::start(
            transport,
            [Step::Say(answer(200, &[("Datadog-Container-Tags-Hash", "h")], body))],
        )
        .info_in_script();
        let mut raw = config(&agent.url);
        raw.header = vec![("X-Mine".into(), "v".into())];
        raw.test_session_token = Some("tok".into());
        let client = Client::new(&Config::new(raw).unwrap()).unwrap();
        let info = client.fetch_info(Duration::from_secs(1)).unwrap();
        assert_eq!(info.fields.version, "7.85.2");
        assert_eq!(info.max_request_bytes(), Some(26_214_400));
        assert_eq!(info.container_tags_hash.as_deref(), Some("h"));
        let seen = &agent.requests()[0];
        assert!(seen.head.starts_with("GET /info HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.header("x-mine"), Some("v"));
        assert_eq!(seen.header("x-datadog-test-session-token"), Some("tok"));
        assert_eq!((seen.header("content-type"), seen.header("content-length")), (None, None));
    }
}

#[test]
fn only_a_200_with_json_is_information() {
    for (step, kind, status) in [
        (say(404, "404 page not found"), ErrorKind::HttpStatus, Some(404)),
        (say(500, "{}"), ErrorKind::HttpStatus, Some(500)),
        (say(204, ""), ErrorKind::HttpStatus, Some(204)),
        (say(200, "<html>"), ErrorKind::InvalidResponse, Some(200)),
        (say(200, ""), ErrorKind::InvalidResponse, Some(200)),
        (Step::Huge(100_000_000), ErrorKind::InvalidResponse, None),
        (Step::Stall, ErrorKind::TimedOut, None),
    ] {
        let agent = ScriptedAgent::start(TRANSPORTS[0], [step]).info_in_script();
        let e = client(&agent.url).fetch_info(Duration::from_millis(300)).unwrap_err();
        assert_eq!((e.kind(), e.status()), (kind, status), "{e}");
    }
}
