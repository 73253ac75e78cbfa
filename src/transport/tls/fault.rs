//! What goes wrong under TLS, in a sentence that names the knob.

use crate::error::{Error, ErrorKind};
use rustls::{
    AlertDescription as Alert, CertificateError as C, Error as E, InvalidMessage, PeerIncompatible,
};
use std::io;
use std::time::Duration;

/// An error of ours that came through an input or output error.
pub(super) fn ours(e: &io::Error) -> Option<Error> {
    super::super::fault::ours(e)
}

/// A defect in how TLS is set up here.
pub(super) fn set_up(e: &E) -> Error {
    Error::new(ErrorKind::Internal, format!("TLS could not be set up: {e}"))
}

fn failed(text: String) -> Error {
    Error::new(ErrorKind::TlsFailed, text)
}

/// The server asks for a certificate and gets none.
pub(super) fn certificate_required(address: &str) -> Error {
    failed(format!(
        "{address} wants to see a certificate of ours and closes without one: set `clientCertificate`"
    ))
}

/// What comes before a handshake has ended is not TLS.
pub(super) fn not_tls(address: &str, first: &[u8]) -> Option<Error> {
    let plain = first.starts_with(b"HTTP/") || first.starts_with(b"<");
    plain.then(|| {
        failed(format!(
            "{address} speaks plain HTTP at this port, not TLS: write http:// in `url`, or name the port for https"
        ))
    })
}

/// The connection failed while hands were shaken.
pub(super) fn handshake(address: &str, e: &io::Error, limit: Duration, knob: &str, lacks: bool) -> Error {
    use io::ErrorKind as K;
    match e.kind() {
        K::TimedOut | K::WouldBlock => Error::new(
            ErrorKind::TimedOut,
            format!(
                "{address} took the connection but said nothing of TLS within {} ms (`{knob}`): is it the port for \
                 https? (`url`)",
                limit.as_millis()
            ),
        ),
        _ if lacks => certificate_required(address),
        K::UnexpectedEof | K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted => Error::new(
            ErrorKind::ConnectionReset,
            format!("{address} closed the connection while TLS began: is it the port for https? (`url`)"),
        ),
        _ => Error::new(ErrorKind::Io, format!("TLS with {address} could not begin: {e}")),
    }
}

/// What TLS itself says. `lacks`: the server has asked for a certificate that we do not have.
pub(super) fn tls(address: &str, e: &E, lacks: bool) -> Error {
    match e {
        E::InvalidCertificate(why) => failed(certificate(address, why)),
        E::NoCertificatesPresented => {
            failed(format!("{address} showed no certificate: its own set-up says more"))
        }
        E::AlertReceived(Alert::CertificateRequired) => certificate_required(address),
        E::AlertReceived(Alert::HandshakeFailure | Alert::BadCertificate) if lacks => {
            certificate_required(address)
        }
        E::AlertReceived(alert) => failed(alerted(address, *alert)),
        E::InvalidMessage(InvalidMessage::InvalidContentType) => {
            failed(format!("what {address} says at this port is not TLS: is it the port for https? (`url`)"))
        }
        E::NoApplicationProtocol => failed(format!(
            "{address} does not speak HTTP/1.1 at this port (a gRPC port perhaps): name the one for HTTP in `url`"
        )),
        E::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig) => failed(format!(
            "{address} speaks no TLS newer than 1.1, and 1.2 is the oldest that is spoken here: `url` must name a \
             server with 1.2 or 1.3"
        )),
        other => failed(format!("TLS with {address} failed: {other} (`url`, `caFile`)")),
    }
}

fn certificate(address: &str, why: &C) -> String {
    match why {
        C::Expired => {
            format!("the certificate of {address} has expired: renew it there, or see the clock here")
        }
        C::ExpiredContext { time, not_after } => format!(
            "the certificate of {address} expired {} ago: renew it there, or see the clock here",
            distance(time.as_secs(), not_after.as_secs())
        ),
        C::NotValidYet => {
            format!(
                "the certificate of {address} is not valid yet: see the clock here, or the certificate there"
            )
        }
        C::NotValidYetContext { time, not_before } => format!(
            "the certificate of {address} is not valid for another {}: see the clock here, or the certificate there",
            distance(not_before.as_secs(), time.as_secs())
        ),
        C::UnknownIssuer => format!(
            "nobody who is trusted here has issued the certificate of {address}: name the authority's certificate in \
             `caFile`, or add it to the JVM's trust store (`javax.net.ssl.trustStore`)"
        ),
        C::NotValidForName => {
            format!("the certificate of {address} is for another host: `url` must name one that it has")
        }
        C::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().take(5).map(|name| plain(name)).collect();
            let names = match names.len() {
                0 => "no host name at all (a subject alone is not enough)".to_owned(),
                _ => names.join(", "),
            };
            format!(
                "the certificate of {address} is not for {}: it has {names}; `url` must name one of these",
                expected.to_str()
            )
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => format!(
            "the certificate of {address} is not one for servers: the server must have one with the purpose serverAuth"
        ),
        C::BadEncoding => format!("the certificate of {address} cannot be read (`url`)"),
        C::BadSignature => format!(
            "the certificate of {address} is not signed by the authority it names: `caFile` perhaps holds an older one \
             of the same name"
        ),
        C::Revoked => format!("the certificate of {address} was revoked: the server needs another one"),
        other => {
            let text = format!("{other}");
            if text.contains("CaUsedAsEndEntity") {
                return format!(
                    "the certificate of {address} is one of an authority (CA:TRUE), with which a server cannot vouch \
                     for itself: give the server one of its own, and name the authority's in `caFile`"
                );
            }
            format!("the certificate of {address} cannot be accepted: {text} (`caFile`)")
        }
    }
}

fn alerted(address: &str, alert: Alert) -> String {
    let ours = match alert {
        Alert::CertificateExpired => "it has expired",
        Alert::UnknownCA => "the server does not trust who issued it",
        Alert::CertificateRevoked => "it was revoked",
        Alert::BadCertificate | Alert::UnsupportedCertificate | Alert::CertificateUnknown => {
            "the server cannot use it"
        }
        Alert::AccessDenied => "the server knows it and lets it in nowhere",
        _ => "",
    };
    if !ours.is_empty() {
        return format!("{address} refuses our certificate ({alert:?}): {ours} (`clientCertificate`)");
    }
    match alert {
        Alert::UnrecognisedName => {
            format!(
                "{address} does not know itself by this name: `url` must name the host as its certificate does"
            )
        }
        Alert::NoApplicationProtocol => format!(
            "{address} does not speak HTTP/1.1 at this port (a gRPC port perhaps): name the one for HTTP in `url`"
        ),
        Alert::ProtocolVersion => {
            format!("{address} speaks neither TLS 1.2 nor 1.3: `url` must name a server that does")
        }
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            format!("{address} and this library have no kind of encryption in common: see the ciphers there")
        }
        other => format!("{address} ended TLS with the alert {other:?} (`url`, `clientCertificate`)"),
    }
}

/// A name out of a certificate, as a person writes it.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"').chars().filter(|c| !c.is_control()).take(100).collect()
}

fn distance(later: u64, earlier: u64) -> String {
    let seconds = later.saturating_sub(earlier);
    match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
