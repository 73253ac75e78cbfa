//! A door of TLS in front of a scripted agent: it shakes hands and passes the plain bytes on. Certificates come from
//! `tests/fixtures/tls/make.sh`, once for a run of the tests.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A file that `make.sh` has made.
pub fn file(name: &str) -> String {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("dp-tls-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/make.sh");
        let status = Command::new("sh").arg(script).arg(&dir).status().expect("sh and openssl");
        assert!(status.success(), "the certificates could not be made");
        dir
    });
    dir.join(name).display().to_string()
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file(name)).unwrap().map(Result::unwrap).collect()
}

/// How the door behaves.
#[derive(Clone, Copy, Default)]
pub struct Door {
    /// The file of its certificate, without `.pem`.
    pub certificate: &'static str,
    pub wants_client: bool,
    pub only_1_2: bool,
    pub only_h2: bool,
}

impl Door {
    pub fn with(certificate: &'static str) -> Self {
        Self { certificate, ..Self::default() }
    }

    /// Opens a port and passes on to `agent`, for as long as the process lives.
    pub fn open(self, agent: SocketAddr) -> SocketAddr {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[&rustls::SupportedProtocolVersion] =
            if self.only_1_2 { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = if self.wants_client {
            let mut roots = RootCertStore::empty();
            certificates("ca.pem").into_iter().for_each(|c| roots.add(c).unwrap());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(file(&format!("{}.key", self.certificate))).unwrap();
        let chain = certificates(&format!("{}.pem", self.certificate));
        let mut config = builder.with_single_cert(chain, key).unwrap();
        if self.only_h2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let config = Arc::clone(&config);
                std::thread::spawn(move || pass(stream, config, agent));
            }
        });
        address
    }
}

/// One connection, both ways on one thread.
fn pass(stream: TcpStream, config: Arc<ServerConfig>, agent: SocketAddr) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut outside = StreamOwned::new(connection, stream);
    if outside.conn.complete_io(&mut outside.sock).is_err() {
        // An alert of ours is on its way; who closes at once takes it back.
        let _ = outside.sock.shutdown(std::net::Shutdown::Write);
        let _ = outside.sock.read(&mut [0; 64]);
        return;
    }
    let Ok(mut inside) = TcpStream::connect(agent) else { return };
    let tick = Some(Duration::from_millis(2));
    outside.sock.set_read_timeout(tick).unwrap();
    inside.set_read_timeout(tick).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let quiet = |e: &std::io::Error| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    loop {
        match outside.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => inside.write_all(&buffer[..n]).unwrap_or_default(),
            Err(e) if quiet(&e) => {}
            Err(_) => return,
        }
        match inside.read(&mut buffer) {
            Ok(0) => {
                outside.conn.send_close_notify();
                let _ = outside.flush();
                return;
            }
            Ok(n) => {
                if outside.write_all(&buffer[..n]).and_then(|()| outside.flush()).is_err() {
                    return;
                }
            }
            Err(e) if quiet(&e) => {}
            Err(_) => return,
        }
    }
}
