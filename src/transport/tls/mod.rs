//! TLS between socket and wire: rustls with ring. Which authorities are trusted says [`trust`]; what goes wrong is
//! put into words by [`fault`]; [`stream`] is a connection.

mod fault;
mod stream;

pub(super) use stream::TlsStream;

use super::{TlsReport, trust};
use crate::error::{Error, ErrorKind};
use crate::settings::Config;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WebPkiServerVerifier, danger};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How one peer is spoken to under TLS. Sessions are remembered, so that a later connection resumes.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    identity: Arc<Identity>,
    handshakes: AtomicU64,
    resumed: AtomicU64,
}

/// Our own certificate, if there is one, and whether the server has asked for it.
#[derive(Debug)]
struct Identity {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    /// Always, so that we hear of it when the server asks for one.
    fn has_certs(&self) -> bool {
        true
    }
}

impl Tls {
    /// TLS with `host`. Reads the files that the settings name.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` naming the setting if a file cannot be used or nobody is trusted.
    pub(crate) fn new(host: &str, config: &Config) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let own = match &config.client_certificate {
            Some((chain, key)) => Some(Arc::new(own_certificate(chain, key, &provider)?)),
            None => None,
        };
        let identity = Arc::new(Identity { key: own, asked: AtomicBool::new(false) });
        let verifier = verifier(trusted(config.ca_file.as_deref())?, &provider)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| fault::set_up(&e))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::clone(&identity) as Arc<dyn ResolvesClientCert>);
        // A port that speaks nothing but HTTP/2 says so then, instead of what looks like noise.
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let text = format!("url: {host:?} is no name that a certificate can have");
            Error::new(ErrorKind::InvalidUrl, text)
        })?;
        Ok(Self {
            config: Arc::new(client),
            name,
            identity,
            handshakes: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
        })
    }

    /// How it has gone so far.
    pub(crate) fn report(&self) -> TlsReport {
        TlsReport {
            handshakes: self.handshakes.load(Ordering::Relaxed),
            resumed: self.resumed.load(Ordering::Relaxed),
            asked: self.identity.asked.load(Ordering::Relaxed),
        }
    }

    /// The server has asked for a certificate that we do not have.
    fn lacks_certificate(&self) -> bool {
        self.identity.key.is_none() && self.identity.asked.load(Ordering::Relaxed)
    }

    fn shook_hands(&self, resumed: bool) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
        self.resumed.fetch_add(u64::from(resumed), Ordering::Relaxed);
    }
}

/// Whom to trust: the host's authorities, and those of the caller's file.
fn trusted(ca_file: Option<&str>) -> Result<Arc<RootCertStore>, Error> {
    let known = trust::store();
    let Some(file) = ca_file else { return Ok(known) };
    let mut all = RootCertStore::clone(&known);
    let refused = |why: &str| config_error("caFile", file, why);
    let bytes = read("caFile", file)?;
    let found = certificates(&bytes).map_err(|why| refused(&why))?;
    for certificate in &found {
        all.add(certificate.clone())
            .map_err(|e| refused(&format!("it holds a certificate that cannot be read ({e})")))?;
    }
    Ok(Arc::new(all))
}

fn verifier(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn danger::ServerCertVerifier>, Error> {
    if roots.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidConfiguration,
            "caFile: https needs authorities to trust, and there are none: name a file of theirs (a JVM hands over its \
             own, `javax.net.ssl.trustStore` and `trustStorePassword`)",
        ));
    }
    let made = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    made.map(|made| made as Arc<dyn ServerCertVerifier>).map_err(|e| {
        Error::new(ErrorKind::InvalidConfiguration, format!("caFile: its authorities cannot be used ({e})"))
    })
}

fn own_certificate(chain: &str, key: &str, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let name = "clientCertificate";
    let bytes = read(name, chain)?;
    let certificates = certificates(&bytes).map_err(|why| config_error(name, chain, &why))?;
    let pem = read(name, key)?;
    let key_of = |pem: &[u8]| PrivateKeyDer::from_pem_slice(pem).ok();
    let parsed = key_of(&pem).ok_or_else(|| {
        let encrypted = memchr::memmem::find(&pem, b"ENCRYPTED").is_some();
        let why = if encrypted {
            "the key is locked by a password; write it without (openssl pkey -in KEY -out PLAIN)"
        } else {
            "it holds no private key in PEM"
        };
        config_error(name, key, why)
    })?;
    let signing = provider.key_provider.load_private_key(parsed).map_err(|e| {
        config_error(name, key, &format!("its private key is of a kind that cannot be used ({e})"))
    })?;
    let certified = CertifiedKey::new(certificates, signing);
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(config_error(name, key, &format!("the key does not belong to the certificate in {chain:?}")))
        }
        _ => Ok(certified),
    }
}

/// The certificates of a file: PEM, or a single one in DER.
fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if bytes.first() == Some(&0x30) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err("it holds no certificate in PEM or DER".to_owned()),
        Ok(found) => Ok(found),
        Err(e) => Err(format!("its PEM cannot be read ({e})")),
    }
}

/// More than any file of certificates has.
const LARGEST_FILE: u64 = 16 << 20;

fn read(setting: &str, file: &str) -> Result<Vec<u8>, Error> {
    let path = Path::new(file);
    let refused = |why: String| config_error(setting, file, &why);
    let size = std::fs::metadata(path).map_err(|e| refused(format!("it cannot be read ({e})")))?.len();
    if size > LARGEST_FILE {
        return Err(refused(format!("it has {size} bytes, more than any file of certificates")));
    }
    std::fs::read(path).map_err(|e| refused(format!("it cannot be read ({e})")))
}

fn config_error(setting: &str, file: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, format!("{setting} is {file:?}; {why}"))
}
