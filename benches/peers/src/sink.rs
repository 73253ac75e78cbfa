//! A small agent on loopback for the network rows: reads each request to its end, throws it away, answers 200 with the
//! body of an agent that has no rates. It runs on the cores that the bench does not measure on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"rate_by_service\":{}}\n";

/// What it offers, for exporters that ask; the hash is of this text.
const INFO: &str =
    "{\"version\":\"7.99.0\",\"endpoints\":[\"/v0.4/traces\"],\"config\":{\"max_request_bytes\":26214400}}";

/// Starts the sink and gives its base URL. Its threads end with the process.
pub fn start() -> std::io::Result<String> {
    listen("http", serve)
}

/// The same behind TLS.
pub fn start_tls(config: ServerConfig) -> std::io::Result<String> {
    let config = Arc::new(config);
    listen("https", move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
        serve(StreamOwned::new(connection, stream))
    })
}

fn listen<R>(
    scheme: &str,
    serve: impl Fn(TcpStream) -> R + Clone + Send + 'static,
) -> std::io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("{scheme}://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        crate::pin::to_others();
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                crate::pin::to_others();
                if stream.set_nodelay(true).is_ok() {
                    serve(stream);
                }
            });
        }
    });
    Ok(url)
}

/// Serves one connection until the peer closes it or sends what is no request.
fn serve(stream: impl Read + Write) -> Option<()> {
    let mut requests = BufReader::with_capacity(256 * 1024, stream);
    let mut line = String::new();
    loop {
        let mut length = 0u64;
        let mut asks = None;
        loop {
            line.clear();
            if requests.read_line(&mut line).ok()? == 0 {
                return None;
            }
            asks.get_or_insert_with(|| line.starts_with("GET /info "));
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().ok()?;
                }
            }
        }
        std::io::copy(&mut (&mut requests).take(length), &mut std::io::sink()).ok()?;
        if asks == Some(true) {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{INFO}", INFO.len());
            requests.get_mut().write_all(head.as_bytes()).ok()?;
        } else {
            requests.get_mut().write_all(ANSWER).ok()?;
        }
        requests.get_mut().flush().ok()?;
    }
}
