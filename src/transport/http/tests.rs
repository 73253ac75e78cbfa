//! Peers beyond the agent: bodies compressed, and the way through a proxy.

use super::*;
use crate::settings::RawConfig;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// A server that answers 200 to one request a connection. Gives what it has read.
fn server() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let request = request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            let _ = tell.send(request);
        }
    });
    (address, told)
}

/// Reads a head and what it announces.
fn request(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        let n = stream.read(&mut buffer).unwrap_or(0);
        all.extend_from_slice(&buffer[..n]);
        let Some(end) = memchr::memmem::find(&all, b"\r\n\r\n") else {
            if n == 0 {
                return all;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if n == 0 || all.len() >= end + 4 + length.parse::<usize>().unwrap() {
            return all;
        }
    }
}

/// What a proxy does with everybody.
#[derive(Clone, Copy)]
enum Manner {
    Pass,
    Say(&'static [u8]),
    Hang,
    HangUp,
}

fn proxy(manner: Manner) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = request(&mut stream);
            let target = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            let _ = tell.send(head);
            match manner {
                Manner::HangUp => {}
                Manner::Hang => kept.push(stream),
                Manner::Say(words) => drop(stream.write_all(words)),
                Manner::Pass => {
                    stream.write_all(b"HTTP/1.1 200 Connection established\r\nvia: us\r\n\r\n").unwrap();
                    let mut peer = TcpStream::connect(target).unwrap();
                    let (mut from, mut to) = (stream.try_clone().unwrap(), peer.try_clone().unwrap());
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                    let _ = std::io::copy(&mut peer, &mut stream);
                }
            }
        }
    });
    (address, told)
}

fn config(change: impl FnOnce(&mut RawConfig)) -> Config {
    let mut raw = RawConfig { connect_timeout: Some(Duration::from_secs(10)), ..RawConfig::default() };
    change(&mut raw);
    Config::new(raw).unwrap()
}

fn send(http: &Http, body: &[u8]) -> Result<Delivered, Error> {
    deliver(http, body, Duration::from_millis(400))
}

fn deliver(http: &Http, body: &[u8], budget: Duration) -> Result<Delivered, Error> {
    let post = Post {
        method: &Method::POST,
        uri: &http.uri("/x").unwrap(),
        body,
        head_size: 100,
        budget,
        knob: "sendBudget",
        may_repeat: true,
        repeats: retry::repeats_status,
    };
    let refusal = |answer: &Answer| Error::new(ErrorKind::HttpStatus, "refused").with_status(answer.status());
    http.deliver(post, HeaderMap::new, refusal).map(Option::unwrap)
}

fn url(address: SocketAddr) -> AgentUrl {
    AgentUrl::parse(&format!("http://{address}")).unwrap()
}

#[cfg(feature = "full")]
#[test]
fn a_compressed_body_says_how_and_small_ones_go_as_they_are() {
    let body = vec![b'x'; 100_000];
    for (way, name) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let (address, told) = server();
        let http = Http::beyond(&url(address), &config(|_| ()), &Arc::default(), way).unwrap();
        send(&http, &body).unwrap();
        let request = told.recv().unwrap();
        let at = memchr::memmem::find(&request, b"\r\n\r\n").unwrap();
        let head = String::from_utf8(request[..at].to_vec()).unwrap().to_lowercase();
        assert!(head.contains(&format!("content-encoding: {name}")), "{head}");
        let packed = &request[at + 4..];
        assert!(packed.len() < 2_000);
        let plain = match way {
            Compression::Zstd => zrip::decompress(packed).unwrap(),
            _ => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
                plain
            }
        };
        assert!(plain == body);
        send(&http, b"small").unwrap();
        let request = told.recv().unwrap();
        assert!(request.ends_with(b"\r\n\r\nsmall") && memchr::memmem::find(&request, b"ncoding").is_none());
    }
}

#[test]
fn what_goes_through_a_proxy_says_so_and_what_is_excepted_does_not() {
    let (address, told) = server();
    let (through, asked) = proxy(Manner::Pass);
    let proxied = config(|raw| raw.proxy = Some(format!("http://me:s3cret@{through}")));
    let http = Http::beyond(&url(address), &proxied, &Arc::default(), Compression::None).unwrap();
    send(&http, b"hello").unwrap();
    assert!(told.recv().unwrap().ends_with(b"hello"));
    let head = String::from_utf8(asked.recv().unwrap()).unwrap();
    assert!(head.starts_with(&format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n")), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6czNjcmV0\r\n"), "{head}");

    // An agent is never asked through it, nor who is excepted.
    send(&Http::new(&url(address), &proxied, &Arc::default()).unwrap(), b"agent").unwrap();
    let excepted = config(|raw| {
        raw.proxy = Some(format!("http://{through}"));
        raw.no_proxy = Some("example.org, 127.0.0.1".to_owned());
    });
    send(&Http::beyond(&url(address), &excepted, &Arc::default(), Compression::None).unwrap(), b"around")
        .unwrap();
    assert!(asked.try_recv().is_err());
}

#[test]
fn a_proxy_that_refuses_or_hangs_is_named_with_the_setting() {
    for (manner, kind, words) in [
        (Manner::Say(b"HTTP/1.1 407 Who\r\n\r\n"), ErrorKind::ProxyRefused, "does not know this user"),
        (Manner::Say(b"HTTP/1.1 403 No\r\n\r\n"), ErrorKind::ProxyRefused, "`noProxy`"),
        (Manner::Say(b"HTTP/1.1 502 Bad\r\n\r\n"), ErrorKind::Unreachable, "cannot reach the host"),
        (Manner::Say(b"SSH-2.0\r\n\r\n"), ErrorKind::InvalidResponse, "does not answer as a proxy"),
        (Manner::Say(b"HTTP/1.1 abc\r\n\r\n"), ErrorKind::ProxyRefused, "its own log"),
        (Manner::HangUp, ErrorKind::ConnectionReset, "is it a proxy?"),
        (Manner::Hang, ErrorKind::TimedOut, "did not open the way"),
    ] {
        let (through, _asked) = proxy(manner);
        let config = config(|raw| {
            raw.proxy = Some(format!("http://me:s3cret@{through}"));
            raw.connect_timeout = Some(Duration::from_millis(300));
        });
        let peer = AgentUrl::parse("http://peer.example:4318").unwrap();
        let error = send(&Http::beyond(&peer, &config, &Arc::default(), Compression::None).unwrap(), b"x")
            .err()
            .unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.message();
        assert!(text.contains(words) && text.contains("`proxy`"), "{text}");
        assert!(text.contains("peer.example:4318") && !text.contains("s3cret"), "{text}");
    }
    // Nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = config(|raw| raw.proxy = Some(format!("http://{free}")));
    let peer = AgentUrl::parse("http://peer.example:4318").unwrap();
    let error =
        send(&Http::beyond(&peer, &config, &Arc::default(), Compression::None).unwrap(), b"x").err().unwrap();
    assert!(error.message().contains("`proxy`"), "{error}");
}

/// What an agent says last counts, not that there was no time left to hear it once more.
#[test]
fn an_attempt_that_the_budget_cuts_short_has_not_the_last_word() {
    for (limit, kind) in [(1100, ErrorKind::HttpStatus), (4000, ErrorKind::TimedOut)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = Http::new(&url(listener.local_addr().unwrap()), &config(|_| {}), &Arc::default()).unwrap();
        let peer = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            request(&mut first);
            first.write_all(b"HTTP/1.1 503 No\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n").unwrap();
            // The second one is never answered. On a busy machine it may not even come.
            request(&mut first);
            first
        });
        let e = deliver(&http, b"body", Duration::from_millis(limit)).err().unwrap();
        assert_eq!(e.kind(), kind, "{limit}: {e}");
        assert_eq!(
            e.message().contains("no time left"),
            kind == ErrorKind::HttpStatus && e.attempts() > 1,
            "{e}"
        );
        assert!(e.message().contains(&format!("within {limit} ms (`sendBudget`)")), "{e}");
        http.shutdown();
        drop(peer.join());
    }
}
