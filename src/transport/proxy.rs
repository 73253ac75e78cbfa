//! A way through an HTTP proxy: `CONNECT host:port`, and what was said afterwards belongs to the peer behind it.

use super::call::Until;
use super::lookup::Lookup;
use super::wire::Stream;
use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Config, ProxyUrl};
use std::io::{self, IoSlice};
use std::sync::Arc;

/// A head of more than this is no answer to CONNECT.
const LONGEST_HEAD: usize = 16 * 1024;

/// How connections to one peer go through a proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) lookup: Arc<Lookup>,
    pub(super) port: u16,
    /// As messages show it.
    pub(super) address: Arc<str>,
    request: Vec<u8>,
    peer: String,
    has_password: bool,
}

impl Proxy {
    /// The proxy for this peer, if the settings have one and the peer is not one of those that are asked without.
    pub(super) fn of(config: &Config, url: &AgentUrl) -> Option<Self> {
        let AgentUrl::Http { host, port, .. } = url else { return None };
        let proxy = config.proxy.as_ref().filter(|_| !is_excepted(&config.no_proxy, host, *port))?;
        Some(Self::new(proxy, url))
    }

    fn new(proxy: &ProxyUrl, url: &AgentUrl) -> Self {
        let peer = url.host_header();
        let mut request = format!("CONNECT {peer} HTTP/1.1\r\nHost: {peer}\r\n");
        if let Some(credentials) = proxy.credentials() {
            request.push_str("Proxy-Authorization: Basic ");
            base64(credentials.as_bytes(), &mut request);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Self {
            lookup: Lookup::new(&proxy.host, "proxy"),
            port: proxy.port,
            address: format!("the proxy {proxy}").into(),
            request: request.into_bytes(),
            peer,
            has_password: proxy.credentials().is_some(),
        }
    }

    /// Asks the proxy, over a connection to it that was just opened, to let us through.
    pub(super) fn pass(&self, stream: &mut impl Stream, until: Until) -> Result<(), Error> {
        self.talk(stream, until).map_err(|e| {
            super::fault::ours(&e).unwrap_or_else(|| match e.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => self.error(
                    ErrorKind::TimedOut,
                    format!(
                        "did not open the way to {} within {} ms (`{}`)",
                        self.peer,
                        until.1.as_millis(),
                        until.2
                    ),
                ),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    self.error(
                        ErrorKind::ConnectionReset,
                        format!("closed the connection when it was asked for {}: is it a proxy?", self.peer),
                    )
                }
                _ => self.error(ErrorKind::Io, format!("failed: {e}")),
            })
        })
    }

    fn talk(&self, stream: &mut impl Stream, (deadline, ..): Until) -> io::Result<()> {
        let mut rest = self.request.as_slice();
        while !rest.is_empty() {
            let n = stream.write(&[IoSlice::new(rest)], deadline)?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(n..).unwrap_or(&[]);
        }
        // Byte by byte: what follows the head is the peer's. It is read once a connection.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte, deadline)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            head.extend_from_slice(&byte);
            let is_http = b"HTTP/1.".starts_with(head.get(..7).unwrap_or(&head));
            if !is_http || head.len() > LONGEST_HEAD {
                let why = format!("does not answer as a proxy when it is asked for {}", self.peer);
                return Err(io::Error::other(self.error(ErrorKind::InvalidResponse, why)));
            }
        }
        let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| digits.parse::<u16>().ok()) {
            Some(200..=299) => Ok(()),
            status => Err(io::Error::other(self.refusal(status.unwrap_or(0), &head))),
        }
    }

    fn refusal(&self, status: u16, head: &[u8]) -> Error {
        let line = head.split(|b| *b == b'\r').next().unwrap_or(&[]);
        let line: String =
            String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).take(100).collect();
        let advice = match status {
            407 if self.has_password => "it does not know this user and password",
            407 => "it wants user and password, http://user:password@host:port",
            403 | 405 => "it may not let anybody through to this host or port: `noProxy` goes around it",
            502..=504 => "it cannot reach the host itself",
            _ => "its own log says more",
        };
        let kind =
            if (502..=504).contains(&status) { ErrorKind::Unreachable } else { ErrorKind::ProxyRefused };
        self.error(kind, format!("answered {line:?} when it was asked for {}: {advice}", self.peer))
    }

    fn error(&self, kind: ErrorKind, what: String) -> Error {
        Error::new(kind, format!("{} {what} (`proxy`)", self.address))
    }
}

/// Whether a host is asked without the proxy.
fn is_excepted(list: &str, host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let entry =
            match entry.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']')) {
                Some((name, digits)) if digits.parse() == Ok(port) => name.to_owned(),
                Some((_, digits)) if digits.parse::<u16>().is_ok() => return false,
                _ => entry,
            };
        let entry = entry.trim_matches(['[', ']']);
        let suffix = entry.strip_prefix("*.").or(entry.strip_prefix('.'));
        entry == "*" || entry == host || suffix.is_some_and(|s| host == s || host.ends_with(&format!(".{s}")))
    })
}

/// Adds bytes as RFC 4648 says.
pub(crate) fn base64(bytes: &[u8], out: &mut String) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if i <= three.len() { char::from(letter) } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_excepted_by_name_suffix_address_and_port() {
        for (list, host, excepted) in [
            ("", "a.b", false),
            ("a.b", "a.b", true),
            ("A.b", "a.B", true),
            ("x, .b", "a.b", true),
            (".b", "b", true),
            (".b", "ab", false),
            ("*.b c", "a.b", true),
            ("*", "a", true),
            ("a.b:443", "a.b", true),
            ("a.b:80", "a.b", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("[::1]:443", "::1", true),
            ("::1", "::1", true),
        ] {
            assert_eq!(is_excepted(list, host, 443), excepted, "{list:?} {host}");
        }
    }

    #[test]
    fn credentials_are_written_as_rfc_4648_says() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("a:b\u{ff}", "YTpiw78=")]
        {
            let mut out = String::new();
            base64(text.as_bytes(), &mut out);
            assert_eq!(out, expected);
        }
    }
}
