//! Where health metrics go: `udp://host:port` or `unix:///path` (a datagram socket).

use super::check;
use crate::error::{Error, ErrorKind};
use std::fmt;
use std::path::PathBuf;

/// A checked DogStatsD address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsdUrl {
    /// UDP. Without a port, the agent's `/info` says it, else 8125.
    Udp {
        /// Host name or address, without brackets.
        host: String,
        /// UDP port.
        port: Option<u16>,
    },
    /// A Unix datagram socket.
    Unix {
        /// Absolute path.
        path: PathBuf,
    },
}

impl StatsdUrl {
    /// The forms, for people.
    pub(super) const FORMS: &'static str = "udp://host:port or unix:///path/to/socket";

    /// Reads one of the forms.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` with the reason.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let given = check::statsd_url("dogstatsd", Some(text))?;
        given.ok_or_else(|| Error::new(ErrorKind::InvalidConfiguration, "dogstatsd: it is empty"))
    }

    /// As [`parse`](Self::parse), with the bare reason.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let refuse = Err;
        let unix = ["unix://", "unixgram://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
        if let Some(path) = unix {
            return match path {
                _ if !cfg!(unix) => refuse("this operating system has no Unix datagram sockets"),
                p if p.starts_with('/') && !p.contains('\0') => Ok(Self::Unix { path: PathBuf::from(p) }),
                _ => refuse("a Unix socket needs an absolute path, so three slashes"),
            };
        }
        let authority = match text.split_once("://") {
            Some(("udp", rest)) => rest,
            Some(_) => return refuse("the scheme is unknown"),
            None => return refuse("the scheme is missing"),
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => match v6.split_once(']') {
                Some((host, rest)) => (host, rest.strip_prefix(':')),
                None => return refuse("the address in brackets does not end"),
            },
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b)) {
            return refuse("the host is missing or has characters that no host name has");
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return refuse("the port must be 1 to 65535"),
        };
        Ok(Self::Udp { host: host.to_owned(), port })
    }
}

impl fmt::Display for StatsdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp { host, port } => {
                let brackets = host.contains(':');
                write!(
                    f,
                    "udp://{}{host}{}",
                    if brackets { "[" } else { "" },
                    if brackets { "]" } else { "" }
                )?;
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
            Self::Unix { path } => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [
            ("udp://localhost:8125", "udp://localhost:8125"),
            ("udp://10.0.0.1", "udp://10.0.0.1"),
            ("udp://[::1]:9", "udp://[::1]:9"),
            #[cfg(unix)]
            ("unix:///var/run/datadog/dsd.socket", "unix:///var/run/datadog/dsd.socket"),
            #[cfg(unix)]
            ("unixgram:///s", "unix:///s"),
        ] {
            assert_eq!(StatsdUrl::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "http://h:1",
            "localhost:8125",
            "udp://",
            "udp://h:0",
            "udp://h:x",
            "unix://relative",
            "udp://a b:1",
            "udp://[::1",
        ] {
            let e = StatsdUrl::parse(text).unwrap_err();
            assert!(e.message().contains("dogstatsd"), "{e}");
        }
    }
}
