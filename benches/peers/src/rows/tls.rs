//! Group `beyond`: a whole send by TLS, beside the same send without and beside a bare POST by rustls on a kept
//! connection. The sink shakes hands by the same crate, on the cores that are not measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use data_pipeline::TraceExporter;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use crate::measure::{Bench, Case};
use crate::payloads::{Payload, Payloads};
use crate::sink;

const BODIES: [&str; 3] = ["web_100x10", "body_200k", "web_1x1"];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let folder = std::env::temp_dir().join(format!("dp-bench-tls-{}", std::process::id()));
    let result = certificates(&folder).map(|()| rows(bench, payloads, &folder));
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(reason) = result {
        eprintln!("bench: no rows of TLS: {reason}");
    }
}

/// An authority and a server's certificate, by the script that the tests use.
fn certificates(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tls/make.sh");
    match Command::new("sh").arg(script).arg(folder).status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{script} with openssl made no certificates: {other:?}")),
    }
}

fn rows(bench: &mut Bench, payloads: &Payloads, folder: &Path) {
    let ca = folder.join("ca.pem");
    let plain = sink::start().expect("loopback has a free port");
    let secure = sink::start_tls(server(folder)).expect("loopback has a free port");
    let by_tls = TraceExporter::builder()
        .url(&secure)
        .ca_file(ca.display().to_string())
        .build()
        .expect("the URL and the authority are good");
    let by_tcp = TraceExporter::builder().url(&plain).build().expect("the URL is good");
    let client = client(&ca);
    for name in BODIES {
        let payload = payloads.v04(name);
        let mut kept = Bare::connect(&secure, &client);
        bench.run_absolute(
            Case::per_item("send_tls", &payload, "us", 1.0)
                .ours(|| sent(&by_tls, &payload))
                .against("raw_tls", || kept.post(&payload))
                .against("send_tcp", || sent(&by_tcp, &payload)),
        );
    }
}

fn sent(exporter: &TraceExporter, payload: &Payload) {
    let response = exporter.send(&payload.bytes).expect("the sink answers");
    assert_eq!((response.status(), response.spans as usize), (200, payload.spans));
}

fn chain(file: &Path) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_file_iter(file).expect("the script wrote it");
    all.map(|c| c.expect("it is a certificate")).collect()
}

fn server(folder: &Path) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_file(folder.join("right.key")).expect("the script wrote it");
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(chain(&folder.join("right.pem")), key)
        .expect("key and certificate belong together")
}

fn client(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(ca) {
        roots.add(certificate).expect("it is an authority");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The least that a client by TLS does: head and body into the connection, the answer out of it.
struct Bare {
    stream: StreamOwned<ClientConnection, TcpStream>,
    head: String,
    answer: Vec<u8>,
}

impl Bare {
    fn connect(url: &str, config: &Arc<ClientConfig>) -> Self {
        let address = url.trim_start_matches("https://");
        let socket = TcpStream::connect(address).expect("the sink listens");
        socket.set_nodelay(true).expect("it is a socket");
        let name = ServerName::try_from("127.0.0.1").expect("it is an address");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("the settings are good");
        let head =
            format!("POST /v0.4/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/msgpack\r\n");
        Self { stream: StreamOwned::new(connection, socket), head, answer: vec![0; 4096] }
    }

    fn post(&mut self, payload: &Payload) {
        let (traces, length) = (payload.traces, payload.bytes.len());
        let head =
            format!("{}X-Datadog-Trace-Count: {traces}\r\nContent-Length: {length}\r\n\r\n", self.head);
        self.stream.write_all(head.as_bytes()).expect("the sink reads");
        self.stream.write_all(&payload.bytes).expect("the sink reads");
        self.stream.flush().expect("the sink reads");
        let mut filled = 0;
        // The sink's answers end with the end of their JSON, in one line.
        while !self.answer[..filled].ends_with(b"}\n") {
            let read = self.stream.read(&mut self.answer[filled..]).expect("the sink answers");
            assert!(read > 0, "the sink closed");
            filled += read;
        }
    }
}
