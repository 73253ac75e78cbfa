//! The address of an HTTP proxy: `http://user:password@host:port`.

use super::AgentUrl;
use std::fmt;

/// A checked proxy. Shown without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `user:password`, as it stands in the URL but for what was escaped there.
    credentials: Option<String>,
}

impl ProxyUrl {
    /// The form, for people.
    pub(super) const FORMS: &'static str = "http://user:password@host:port";

    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("the scheme is missing")?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(
                "a proxy is spoken to in plain HTTP (what is sent through it is encrypted all the same)",
            );
        }
        if scheme.to_ascii_lowercase().starts_with("socks") {
            return Err("SOCKS is not spoken; name a proxy that knows CONNECT");
        }
        // A password may hold any character, so what stands before the last @ is all of it.
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let credentials = user.map(unescaped).transpose()?;
        if credentials.as_ref().is_some_and(|text| !text.contains(':')) {
            return Err("what stands before the @ is user:password");
        }
        match AgentUrl::read(&format!("{scheme}://{address}"))? {
            AgentUrl::Http { host, port, prefix, .. } if prefix.is_empty() => {
                Ok(Self { host, port, credentials })
            }
            AgentUrl::Http { .. } => Err("a proxy has no path"),
            _ => Err("it must be http"),
        }
    }

    /// `user:password`, for the request.
    pub(crate) fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }
}

/// Resolves `%40` and the like.
fn unescaped(text: &str) -> Result<String, &'static str> {
    const BAD: &str = "user and password have characters that cannot stand there";
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| {
            let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
            u8::from_str_radix(digits, 16).ok()
        });
        match escaped {
            Some(Some(byte)) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or(&[]);
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    let text = String::from_utf8(out).map_err(|_| BAD)?;
    if text.chars().any(char::is_control) { Err(BAD) } else { Ok(text) }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.credentials.is_some() { "***@" } else { "" };
        match self.host.contains(':') {
            true => write!(f, "http://{user}[{}]:{}", self.host, self.port),
            false => write!(f, "http://{user}{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_read_and_never_shown() {
        for (text, shown, credentials) in [
            ("http://proxy:3128", "http://proxy:3128", None),
            ("HTTP://proxy/", "http://proxy:80", None),
            ("http://me:s3c%40r%3aet@proxy:3128", "http://***@proxy:3128", Some("me:s3c@r:et")),
            ("http://me:s3c@ret@[::1]:1", "http://***@[::1]:1", Some("me:s3c@ret")),
            ("http://me:100%@proxy:1", "http://***@proxy:1", Some("me:100%")),
        ] {
            let url = ProxyUrl::read(text).unwrap();
            assert_eq!((url.to_string().as_str(), url.credentials()), (shown, credentials));
            assert!(!format!("{url:?}").contains("s3c"));
        }
        for (text, why) in [
            ("proxy:3128", "scheme"),
            ("https://proxy:3128", "plain HTTP"),
            ("socks5://proxy:1080", "SOCKS"),
            ("http://me@proxy:1", "user:password"),
            ("http://proxy:1/path", "path"),
            ("http://me:a%0d%0ab@proxy:1", "characters"),
            ("http://:1", "host"),
        ] {
            assert!(ProxyUrl::read(text).unwrap_err().contains(why), "{text}");
        }
    }
}
