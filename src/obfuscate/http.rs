//! URLs: user and password always go; the query and path segments with digits on request.
//!
//! The text is read and written the way Go's `net/url` does it, so that what changes is what the agent would have
//! changed: the scheme becomes lower case, text that needs escapes gets them. What `net/url` refuses becomes `?` with
//! an option on; without one it stays, unless it may hold a password.

use super::http_plain;
use super::url_escape::{Part, escape, is_escaped, push_host, unescape};
use crate::trace::Verdict;
use std::borrow::Cow;

/// What goes besides user and password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UrlOptions {
    /// The query; a `?` shows that there was one.
    pub remove_query_string: bool,
    /// Path segments that have a digit; each becomes `?`.
    pub remove_path_digits: bool,
}

/// Obfuscates the tag `http.url`.
pub fn url(url: &[u8], options: UrlOptions, out: &mut Vec<u8>) -> Verdict {
    if let Some(verdict) = http_plain::url(url, options, out) {
        return verdict;
    }
    let start = out.len();
    let any_option = options.remove_query_string || options.remove_path_digits;
    match Parsed::of(url) {
        Some(parsed) => {
            parsed.write(options, out);
            if any_option {
                fill_placeholders(start, out);
            }
        }
        None => {
            out.truncate(start);
            if !any_option && !may_hold_password(url) {
                return Verdict::Keep;
            }
            out.push(b'?');
        }
    }
    if out.get(start..) == Some(url) {
        out.truncate(start);
        return Verdict::Keep;
    }
    Verdict::Replace
}

/// A URL that `net/url` reads: slices of the text.
struct Parsed<'u> {
    scheme: &'u [u8],
    /// What follows a scheme without a slash.
    opaque: &'u [u8],
    /// Host and port, without user and password. `None`: there is no `//` part.
    host: Option<Host<'u>>,
    path: &'u [u8],
    /// Whether a lone `?` ends the URL.
    force_query: bool,
    query: &'u [u8],
    fragment: &'u [u8],
}

struct Host<'u> {
    text: &'u [u8],
    bracketed: bool,
}

impl<'u> Parsed<'u> {
    fn of(url: &'u [u8]) -> Option<Self> {
        let (url, fragment) = cut(url, b'#').unwrap_or((url, b""));
        if url.iter().any(|&b| b < b' ' || b == 0x7f) || unescape(fragment).is_none() {
            return None;
        }
        let mut parsed = Self {
            scheme: b"",
            opaque: b"",
            host: None,
            path: b"",
            force_query: false,
            query: b"",
            fragment,
        };
        let (scheme, mut rest) = split_scheme(url)?;
        parsed.scheme = scheme;
        match cut(rest, b'?') {
            Some((before, b"")) => {
                parsed.force_query = true;
                rest = before;
            }
            Some((before, query)) => {
                parsed.query = query;
                rest = before;
            }
            None => {}
        }
        if !rest.starts_with(b"/") {
            if !scheme.is_empty() {
                parsed.opaque = rest;
                return Some(parsed);
            }
            if first_segment(rest).contains(&b':') {
                return None;
            }
        }
        if rest.starts_with(b"//") && (!scheme.is_empty() || !rest.starts_with(b"///")) {
            let after = rest.get(2..)?;
            let (authority, path) = after.split_at(memchr::memchr(b'/', after).unwrap_or(after.len()));
            parsed.host = Some(host_of(scheme, authority)?);
            rest = path;
        }
        unescape(rest)?;
        parsed.path = rest;
        Some(parsed)
    }

    fn write(&self, options: UrlOptions, out: &mut Vec<u8>) {
        let start = out.len();
        if !self.scheme.is_empty() {
            out.extend(self.scheme.iter().map(u8::to_ascii_lowercase));
            out.push(b':');
        }
        if self.opaque.is_empty() {
            let has_host = self.host.as_ref().is_some_and(|h| !h.text.is_empty());
            if let Some(host) = &self.host
                && (has_host || (!self.scheme.is_empty() && !self.path.is_empty()))
            {
                out.extend_from_slice(b"//");
                push_host(host.text, host.bracketed, out);
            }
            self.write_path(start, has_host, options.remove_path_digits, out);
        } else {
            write_opaque(self.scheme, self.opaque, out);
        }
        if self.force_query || !self.query.is_empty() {
            out.push(b'?');
            if !options.remove_query_string {
                out.extend_from_slice(self.query);
            }
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            write_part(self.fragment, Part::Fragment, out);
        }
    }

    fn write_path(&self, start: usize, has_host: bool, remove_digits: bool, out: &mut Vec<u8>) {
        let at = out.len();
        match without_digits(self.path).filter(|_| remove_digits) {
            Some(path) => {
                if has_host && !path.starts_with(b"/") {
                    out.push(b'/');
                }
                escape(&path, Part::Path, out);
            }
            None => write_part(self.path, Part::Path, out),
        }
        // A first segment with a colon would read as a scheme.
        let path = out.get(at..).unwrap_or(&[]);
        if at == start && first_segment(path).contains(&b':') {
            out.splice(at..at, *b"./");
        }
    }
}

/// A path segment with digits, while the URL is written: the escaping leaves it alone, and text of the URL itself that
/// reads the same is replaced too, as the agent does.
const PLACEHOLDER: &[u8] = b"/REDACTED/";

/// The decoded path with placeholders for segments that have a digit; `None` if none has.
fn without_digits(path: &[u8]) -> Option<Vec<u8>> {
    if !path.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let path = unescape(path)?;
    if !path.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let mut out = Vec::with_capacity(path.len() + PLACEHOLDER.len());
    for (i, segment) in path.split(|&b| b == b'/').enumerate() {
        if i > 0 {
            out.push(b'/');
        }
        let digits = segment.iter().any(u8::is_ascii_digit);
        out.extend_from_slice(if digits { PLACEHOLDER } else { segment });
    }
    Some(out)
}

fn fill_placeholders(start: usize, out: &mut Vec<u8>) {
    let written = out.get(start..).unwrap_or(&[]);
    let finder = memchr::memmem::Finder::new(PLACEHOLDER);
    if finder.find(written).is_none() {
        return;
    }
    let mut filled = Vec::with_capacity(written.len());
    let mut from = 0;
    for at in finder.find_iter(written) {
        filled.extend_from_slice(written.get(from..at).unwrap_or(&[]));
        filled.push(b'?');
        from = at + PLACEHOLDER.len();
    }
    filled.extend_from_slice(written.get(from..).unwrap_or(&[]));
    out.truncate(start);
    out.extend_from_slice(&filled);
}

/// Writes a path or fragment: as it stands if it could have been written so, else decoded and escaped anew.
fn write_part(text: &[u8], part: Part, out: &mut Vec<u8>) {
    if text == b"%2A" && part == Part::Path {
        out.push(b'*'); // the one path that is not escaped again
    } else if is_escaped(text, part) {
        out.extend_from_slice(text);
    } else {
        escape(&unescape(text).unwrap_or_default(), part, out);
    }
}

/// Text behind `scheme:` without a slash stands as it is, but what reads like user and password in it goes: `net/url`
/// does not see it there, and the agent lets it through.
fn write_opaque(scheme: &[u8], opaque: &[u8], out: &mut Vec<u8>) {
    const WITH_AT: [&[u8]; 9] =
        [b"mailto", b"sip", b"sips", b"xmpp", b"acct", b"news", b"mid", b"cid", b"im"];
    let behind_slashes = memchr::memmem::find(opaque, b"//").map_or(0, |at| at + 2);
    for inner in [0, behind_slashes] {
        let (before, rest) = opaque.split_at(inner);
        let user = memchr::memrchr(b'@', first_segment(rest)).map(|at| rest.split_at(at));
        if let Some((user, host)) = user
            && !is_nobody(Some(user))
            && !WITH_AT.iter().any(|s| scheme.eq_ignore_ascii_case(s))
        {
            out.extend_from_slice(before);
            out.extend_from_slice(host.get(1..).unwrap_or(&[]));
            return;
        }
    }
    out.extend_from_slice(opaque);
}

/// Whether a text that is no URL may still hold a password: an `@` at its beginning, in what stands behind `//`, or
/// behind something that should have been a port.
fn may_hold_password(url: &[u8]) -> bool {
    let behind_slashes = memchr::memmem::find(url, b"//").map_or(0, |at| at + 2);
    [0, behind_slashes].iter().any(|&from| url.get(from..).is_some_and(names_somebody))
}

fn names_somebody(text: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', text) else { return false };
    let end = text.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(text.len());
    let authority = text.get(..end).unwrap_or(&[]);
    if at < end {
        return !is_nobody(memchr::memrchr(b'@', authority).and_then(|last| authority.get(..last)));
    }
    memchr::memchr(b':', authority)
        .is_some_and(|colon| authority.get(colon + 1..).is_some_and(|p| !p.iter().all(u8::is_ascii_digit)))
}

/// Whether what stands before an `@` names nobody.
fn is_nobody(user: Option<&[u8]>) -> bool {
    user.is_none_or(|u| u.iter().all(|b| matches!(b, b':' | b'@')))
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let i = memchr::memchr(at, text)?;
    Some((text.get(..i)?, text.get(i + 1..)?))
}

fn first_segment(path: &[u8]) -> &[u8] {
    cut(path, b'/').map_or(path, |(first, _)| first)
}

/// Splits `scheme:rest`; the scheme is empty if there is none, `None` if there is a colon without a scheme.
fn split_scheme(url: &[u8]) -> Option<(&[u8], &[u8])> {
    for (i, &b) in url.iter().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return None,
            b':' => return Some((url.get(..i)?, url.get(i + 1..)?)),
            _ => break,
        }
    }
    Some((b"", url))
}

/// The host of an authority, checked; user and password are checked and left out.
fn host_of<'u>(scheme: &[u8], authority: &'u [u8]) -> Option<Host<'u>> {
    let (user, host) = match memchr::memrchr(b'@', authority) {
        Some(at) => (authority.get(..at)?, authority.get(at + 1..)?),
        None => (&b""[..], authority),
    };
    let host = check_host(scheme, host)?;
    let valid = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.'
                    | b'_'
                    | b':'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
                    | b'%'
                    | b'@'
            )
    };
    if !user.iter().all(valid) || unescape(user).is_none() {
        return None;
    }
    // The name and the password are unescaped apart, so an escape cannot span the colon.
    if let Some((name, password)) = cut(user, b':')
        && (unescape(name).is_none() || unescape(password).is_none())
    {
        return None;
    }
    Some(host)
}

fn check_host<'u>(scheme: &[u8], host: &'u [u8]) -> Option<Host<'u>> {
    match memchr::memrchr(b'[', host) {
        Some(0) => return check_bracketed(host),
        Some(_) => return None,
        None => {}
    }
    let http = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let colon = if http { memchr::memchr(b':', host) } else { memchr::memrchr(b':', host) };
    if colon.is_some_and(|at| !host.get(at..).is_some_and(is_port)) {
        return None;
    }
    super::url_escape::unescape_host(host)?;
    Some(Host { text: host, bracketed: false })
}

/// `[IPv6]`, with a zone behind `%25` and a port if it has them.
fn check_bracketed(host: &[u8]) -> Option<Host<'_>> {
    let close = memchr::memrchr(b']', host)?;
    let port = host.get(close + 1..)?;
    if !port.is_empty() && !is_port(port) {
        return None;
    }
    let address = super::url_escape::unescape_bracketed(host.get(1..close)?)?;
    (address.contains(&b':') && super::ip::is_ipv6(&address)).then_some(Host { text: host, bracketed: true })
}

fn is_port(text: &[u8]) -> bool {
    text.strip_prefix(b":").is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// Used by the writer of hosts.
pub(super) fn bracketed_parts(host: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let close = memchr::memrchr(b']', host)?;
    Some((super::url_escape::unescape_bracketed(host.get(1..close)?)?, host.get(close + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, options: UrlOptions) -> String {
        let mut out = b"x".to_vec();
        match url(text.as_bytes(), options, &mut out) {
            Verdict::Keep => {
                assert_eq!(out, b"x");
                text.into()
            }
            _ => String::from_utf8(out.split_off(1)).unwrap(),
        }
    }

    const NONE: UrlOptions = UrlOptions { remove_query_string: false, remove_path_digits: false };
    const ALL: UrlOptions = UrlOptions { remove_query_string: true, remove_path_digits: true };

    #[test]
    fn user_and_password_always_go() {
        for (text, expected) in [
            ("http://u:p@h/a", "http://h/a"),
            ("http://u:p@w@h:80/a", "http://h:80/a"),
            ("//u@/p", "/p"),
            ("http://é:p@h/a", "?"),
            ("http://u:p/w@h/a", "?"),
            ("1u:pw@h/x", "?"),
            ("http::pw@//#%", "?"),
            ("http:u:p@h/x@y", "http:h/x@y"),
            ("http::pw@//", "http://"),
            ("jdbc:mysql://u:p@h/x", "jdbc:mysql://h/x"),
            ("mailto:a@b", "mailto:a@b"),
            ("http://h`/a@b", "http://h`/a@b"),
        ] {
            assert_eq!(of(text, NONE), expected, "{text}");
        }
    }

    #[test]
    fn query_and_digits_go_on_request() {
        for (text, none, all) in [
            ("http://h/a/1?b=c", "http://h/a/1?b=c", "http://h/a/??"),
            ("http://h/a%20b/%31?", "http://h/a%20b/%31?", "http://h/a%20b/??"),
            ("1/2", "1/2", "?/?"),
            ("/1", "/1", "/?"),
            ("http://h:80x/1", "http://h:80x/1", "?"),
            ("HTTP://h/é#é", "http://h/%C3%A9#%C3%A9", "http://h/%C3%A9#%C3%A9"),
            ("*", "*", "*"),
            ("%2A", "*", "*"),
            ("%2a", "%2a", "%2a"),
            ("a%3Ab/1", "a%3Ab/1", "./a:b/?"),
            ("http:", "http:", "http:"),
            ("http://", "http:", "http:"),
            ("http:///p", "http:///p", "http:///p"),
            ("http:/p", "http:/p", "http:/p"),
            ("///p", "///p", "///p"),
            ("http://[::1%25en0]:80/", "http://[::1%25en0]:80/", "http://[::1%25en0]:80/"),
            ("http://[1.2.3.4]/", "http://[1.2.3.4]/", "?"),
            ("", "", ""),
        ] {
            assert_eq!(of(text, NONE), none, "{text}");
            assert_eq!(of(text, ALL), all, "{text}");
        }
    }
}
