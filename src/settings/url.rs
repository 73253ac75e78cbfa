//! An address: `http://host:port/prefix` or `https://…`, `unix:///path`, `windows:\\.\pipe\name`.

use super::check;
use crate::error::Error;
use std::fmt;
use std::path::PathBuf;

/// A checked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentUrl {
    /// HTTP over TCP. `prefix` is empty or starts with `/` and does not end with one.
    Http {
        /// Whether it is https.
        tls: bool,
        /// Host name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
        /// Path put before every endpoint.
        prefix: String,
    },
    /// HTTP over a Unix stream socket.
    Unix {
        /// Absolute path of the socket file.
        path: PathBuf,
    },
    /// HTTP over a Windows named pipe.
    Pipe {
        /// Full name, `\\.\pipe\…`.
        name: String,
    },
}

impl AgentUrl {
    /// The forms, for people.
    pub(super) const FORMS: &'static str =
        r"http://host:port, https://host:port, unix:///path/to/socket or windows:\\.\pipe\name";

    /// Reads one of the forms.
    ///
    /// # Errors
    /// `INVALID_URL` with the reason. A URL with user, query or fragment is refused: the agent takes none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(check::agent_url("url", Some(text))?.unwrap_or_default())
    }

    /// As [`parse`](Self::parse), with the bare reason.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let refuse = Err;
        if let Some(path) = text.strip_prefix("unix://") {
            return if !path.starts_with('/') {
                refuse("a Unix socket needs an absolute path, so three slashes after 'unix:'")
            } else if path.contains('\0') {
                refuse("the path has a NUL")
            } else {
                Ok(Self::Unix { path: PathBuf::from(path) })
            };
        }
        if let Some(name) = text.strip_prefix("windows:") {
            return if name.starts_with(r"\\.\pipe\") && name.len() > 9 {
                Ok(Self::Pipe { name: name.to_owned() })
            } else {
                refuse("a named pipe is written windows:\\\\.\\pipe\\name")
            };
        }
        let (tls, rest) = match (strip_scheme(text, "http"), strip_scheme(text, "https")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) if text.is_empty() => return refuse("it is empty"),
            (None, None) => return refuse("the scheme is missing or unknown"),
        };
        if text.bytes().any(|b| b <= 0x20 || b >= 0x7f) {
            return refuse("it has spaces, control characters or non-ASCII characters");
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if path.contains(['?', '#']) {
            return refuse("query and fragment have no meaning here");
        }
        if authority.contains('@') {
            return refuse("user and password have no meaning here");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => match v6.split_once(']') {
                Some((h, p)) if h.parse::<std::net::Ipv6Addr>().is_ok() => {
                    (h, p.strip_prefix(':').or(p.is_empty().then_some("")))
                }
                Some((h, _)) if h.contains('%') => {
                    return refuse(
                        "an IPv6 address with a zone (%...) cannot be used: name one without, or a host",
                    );
                }
                _ => return refuse("the IPv6 address in brackets cannot be read"),
            },
            None => match authority.split_once(':') {
                Some((h, p)) => (h, Some(p)),
                None => (authority, Some("")),
            },
        };
        if host.is_empty() {
            return refuse("the host is missing");
        }
        if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b)) {
            return refuse("the host has characters that no host name has");
        }
        let port = match port {
            Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(p) if p.bytes().all(|b| b.is_ascii_digit()) => match p.parse::<u16>() {
                Ok(n) if n > 0 => n,
                _ => return refuse("the port must be 1 to 65535"),
            },
            _ => return refuse("the port must be 1 to 65535"),
        };
        Ok(Self::Http { tls, host: host.to_owned(), port, prefix: path.trim_end_matches('/').to_owned() })
    }

    /// What goes before an endpoint's path.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Http { prefix, .. } => prefix,
            _ => "",
        }
    }

    /// `http` or `https`; also for what is no URL of HTTP, since requests are HTTP there as well.
    pub fn scheme(&self) -> &'static str {
        if matches!(self, Self::Http { tls: true, .. }) { "https" } else { "http" }
    }

    /// The same host with another path. `None` for what has no path of its own.
    pub(crate) fn with_path(&self, path: &str) -> Option<Self> {
        match self {
            Self::Http { tls, host, port, .. } => {
                Some(Self::Http { tls: *tls, host: host.clone(), port: *port, prefix: path.to_owned() })
            }
            _ => None,
        }
    }

    /// The `Host` header.
    pub fn host_header(&self) -> String {
        match self {
            Self::Http { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Http { host, port, .. } => format!("{host}:{port}"),
            _ => "localhost".to_owned(),
        }
    }
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_once("://")?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

impl Default for AgentUrl {
    fn default() -> Self {
        Self::Http { tls: false, host: "127.0.0.1".to_owned(), port: 8126, prefix: String::new() }
    }
}

/// Without the path that is put before endpoints: it may be a secret.
impl fmt::Display for AgentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { prefix, .. } => {
                let path = if prefix.is_empty() { "" } else { "/***" };
                write!(f, "{}://{}{path}", self.scheme(), self.host_header())
            }
            Self::Unix { path } => write!(f, "unix://{}", path.display()),
            Self::Pipe { name } => write!(f, "windows:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn reads_every_form() {
        for (text, shown, host, prefix) in [
            ("http://127.0.0.1:8126", "http://127.0.0.1:8126", "127.0.0.1:8126", ""),
            ("HTTP://agent", "http://agent:80", "agent:80", ""),
            ("https://agent/x", "https://agent:443/***", "agent:443", "/x"),
            ("http://[::1]:8126/", "http://[::1]:8126", "[::1]:8126", ""),
            ("http://h:1/foo/", "http://h:1/***", "h:1", "/foo"),
            ("unix:///var/run/datadog/apm.socket", "unix:///var/run/datadog/apm.socket", "localhost", ""),
            (r"windows:\\.\pipe\datadog", r"windows:\\.\pipe\datadog", "localhost", ""),
        ] {
            let url = AgentUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.host_header(), host);
            assert_eq!(url.prefix(), prefix);
        }
    }

    #[test]
    fn refuses_the_rest_with_a_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("127.0.0.1:8126", "scheme"),
            ("ftp://agent", "scheme"),
            ("http://", "host"),
            ("http://:8126", "host"),
            ("http://agent:0", "port"),
            ("http://agent:65536", "port"),
            ("http://agent:80x", "port"),
            ("http://[::1:80", "IPv6"),
            ("http://[fe80::1%eth0]:8126", "zone"),
            ("http://[fe80::1%25eth0]:8126", "zone"),
            ("http://a b:80", "spaces"),
            ("http://u:p@agent:80", "user"),
            ("http://agent:80/?q", "query"),
            ("unix://relative", "absolute"),
            ("unix://", "absolute"),
            ("windows:pipe", "named pipe"),
        ] {
            let e = AgentUrl::parse(text).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidUrl);
            assert!(e.message().contains(reason), "{text}: {e}");
        }
    }
}
