//! https: what can be wrong with a certificate, on either side, each in a sentence that names the setting; and what
//! goes right. The certificates are made by openssl when the tests begin.

#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/tls.rs"]
mod tls;

use data_pipeline::{Builder, Error, ErrorKind, TraceExporter};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, answer, ok};
use tls::{Door, file};

/// One trace of one span without fields.
const PAYLOAD: &[u8] = &[0x91, 0x91, 0x80];

fn agent() -> ScriptedAgent {
    ScriptedAgent::start(Listen::Tcp, [])
}

fn behind(door: Door, agent: &ScriptedAgent) -> SocketAddr {
    door.open(SocketAddr::from(([127, 0, 0, 1], agent.port)))
}

fn builder(url: String) -> Builder {
    TraceExporter::builder()
        .url(url)
        .discovery(false)
        .ca_file(file("ca.pem"))
        .connect_timeout(support::patient(Duration::from_secs(5)))
        .send_budget(support::patient(Duration::from_secs(5)))
}

fn send(builder: Builder) -> Result<(), Error> {
    builder.build()?.send(PAYLOAD).map(drop)
}

/// The sentence of a send that fails at once, and is not tried again.
fn fault(builder: Builder) -> String {
    let error = send(builder).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::TlsFailed, 1), "{error}");
    error.message().to_owned()
}

/// The address of somebody who says this to everybody, and hangs up.
fn talker(said: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(said);
        }
    });
    url
}

#[test]
fn a_payload_goes_under_tls_and_later_connections_resume() {
    for only_1_2 in [false, true] {
        let agent = agent();
        let at = behind(Door { only_1_2, ..Door::with("right") }, &agent);
        let big: Vec<u8> = std::iter::once(0x91).chain([0x91, 0x81, 0xa1, b'x']).collect::<Vec<_>>();
        let big = [&big[..], &[0xc6, 0, 0x20, 0, 0], &vec![7; 0x20_0000]].concat();
        let e = builder(format!("https://localhost:{}", at.port())).max_idle_connections(0).build().unwrap();
        for _ in 0..3 {
            e.send(PAYLOAD).unwrap();
        }
        e.send(&big).unwrap();
        let explained: serde_json::Value = serde_json::from_str(&e.explain()).unwrap();
        let tls = &explained["agent"]["tls"];
        assert_eq!((&tls["handshakes"], &tls["resumed"]), (&4.into(), &3.into()), "{tls}");
        e.close();
        let requests = agent.stop();
        assert_eq!((requests.len(), &requests[3].body), (4, &big));
    }
}

#[test]
fn a_kept_connection_is_used_again() {
    let agent = agent();
    let at = behind(Door::with("right"), &agent);
    let e = builder(format!("https://127.0.0.1:{}/prefix", at.port())).build().unwrap();
    for _ in 0..5 {
        e.send(PAYLOAD).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    let explained: serde_json::Value = serde_json::from_str(&e.explain()).unwrap();
    assert_eq!(explained["agent"]["tls"]["handshakes"], 1);
    assert!(agent.stop()[4].head.starts_with("PUT /prefix/v0.4/traces "));
}

#[test]
fn every_fault_of_a_certificate_is_a_sentence_with_its_knob() {
    for (certificate, words) in [
        ("expired", &["expired", "days ago", "renew it there"][..]),
        ("early", &["not valid for another", "clock"]),
        ("wrong-host", &["not for localhost", "another.example", "`url`"]),
        ("no-name", &["not for localhost", "no host name at all", "`url`"]),
        ("unknown", &["nobody who is trusted here", "`caFile`", "javax.net.ssl.trustStore"]),
        ("for-clients", &["not one for servers"]),
        ("self-signed", &["`caFile`"]),
    ] {
        let agent = agent();
        let at = behind(Door::with(certificate), &agent);
        let url = format!("https://localhost:{}", at.port());
        let text = fault(builder(url.clone()));
        assert!(text.contains(&url), "{text}");
        for word in words {
            assert!(text.contains(word), "{certificate}: {text}");
        }
        assert_eq!(agent.request_count(), 0);
    }
    let agent = agent();
    let at = behind(Door::with("self-signed"), &agent);
    let url = format!("https://localhost:{}", at.port());
    let text = fault(builder(url).ca_file(file("self-signed.pem")));
    assert!(text.contains("one of an authority (CA:TRUE)"), "{text}");
}

#[test]
fn a_server_may_want_to_see_who_we_are() {
    for only_1_2 in [false, true] {
        let agent = agent();
        let at = behind(Door { wants_client: true, only_1_2, ..Door::with("right") }, &agent);
        let url = format!("https://localhost:{}", at.port());
        let text = fault(builder(url.clone()));
        assert!(
            text.contains("wants to see a certificate of ours") && text.contains("`clientCertificate`"),
            "{text}"
        );

        let own = builder(url.clone()).client_certificate(file("client.pem"), file("client.key"));
        send(own).unwrap();
        let strange =
            builder(url).client_certificate(file("stranger-client.pem"), file("stranger-client.key"));
        let text = fault(strange);
        assert!(text.contains("refuses our certificate") && text.contains("`clientCertificate`"), "{text}");
        assert_eq!(agent.request_count(), 1);
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_when_the_exporter_is_built() {
    let url = || "https://localhost:1".to_owned();
    let certificate = |cert: &str, key: &str| builder(url()).client_certificate(file(cert), file(key));
    for (builder, words) in [
        (builder(url()).ca_file("/no/such/file"), &["caFile is \"/no/such/file\"; it cannot be read"][..]),
        (builder(url()).ca_file(file("ca.key")), &["caFile", "no certificate in PEM or DER"]),
        (builder(url()).ca_file(file("ca.cnf")), &["caFile", "no certificate"]),
        (
            certificate("client.pem", "right.key"),
            &["clientCertificate", "does not belong to the certificate"],
        ),
        (certificate("client.pem", "client-locked.key"), &["clientCertificate", "locked by a password"]),
        (certificate("client.pem", "client.pem"), &["clientCertificate", "no private key"]),
        (certificate("client.key", "client.key"), &["clientCertificate", "no certificate"]),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        for word in words {
            assert!(error.message().contains(word), "{error}");
        }
    }
}

#[test]
fn nobody_to_trust_is_said_when_the_exporter_is_built() {
    let error = TraceExporter::builder().url("https://localhost:1").build().unwrap_err();
    assert!(error.message().starts_with("caFile: https needs authorities to trust"), "{error}");
}

#[test]
fn http_and_https_that_do_not_meet_are_told_apart() {
    let text = fault(builder(talker(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    assert!(
        text.contains("plain HTTP at this port, not TLS: write http://") && text.contains("`url`"),
        "{text}"
    );

    let agent = agent();
    let at = behind(Door::with("right"), &agent);
    let text = fault(builder(format!("http://127.0.0.1:{}", at.port())));
    assert!(text.contains("speaks TLS at this port, not plain HTTP: write https:// in `url`"), "{text}");

    // Servers of Go and nginx answer in plain HTTP what they were sent in plain HTTP.
    let words = b"Client sent an HTTP request to an HTTPS server.\n";
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::Say(answer(400, &[], words))]);
    let error = send(builder(agent.url.clone())).unwrap_err();
    assert!(error.message().contains("write https:// in `url`"), "{error}");
}

#[test]
fn a_port_for_grpc_says_so() {
    let agent = agent();
    let at = behind(Door { only_h2: true, ..Door::with("right") }, &agent);
    let text = fault(builder(format!("https://localhost:{}", at.port())));
    assert!(text.contains("does not speak HTTP/1.1"), "{text}");
}

#[test]
fn who_says_nothing_of_tls_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let started = Instant::now();
    let limit = Duration::from_millis(200);
    let error = send(builder(url).connect_timeout(limit).send_budget(limit)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.message().contains("said nothing of TLS within"), "{error}");
    assert!(started.elapsed() < support::patient(Duration::from_secs(3)));
}

#[test]
fn who_hangs_up_or_talks_nonsense_is_tried_again_or_named() {
    for (said, kind) in
        [(&b""[..], ErrorKind::ConnectionReset), (b"SSH-2.0-OpenSSH\r\n", ErrorKind::TlsFailed)]
    {
        let error = send(builder(talker(said)).send_budget(Duration::from_millis(300))).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains("`url`"), "{error}");
    }
}

#[test]
fn an_answer_that_comes_before_all_is_read_is_heard() {
    let too_large = answer(413, &[], b"no");
    let agent = ScriptedAgent::start(Listen::Tcp, [Step::EarlyAndStall(too_large)]);
    let at = behind(Door::with("right"), &agent);
    let e = builder(format!("https://localhost:{}", at.port())).build().unwrap();
    let big = [&[0x91, 0x91, 0x81, 0xa1, b'x', 0xc6, 1, 0, 0, 0][..], &vec![7; 0x100_0000]].concat();
    let error = e.send(&big).unwrap_err();
    assert_eq!(error.status(), Some(413), "{error}");
    drop(ok());
}
