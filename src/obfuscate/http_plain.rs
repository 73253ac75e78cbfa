//! The short way for URLs that need no escaping: `http(s)://[user@]host[:port]/path?query#fragment` in plain ASCII.
//!
//! Nearly every URL of a web server is one. What is kept is copied in as few pieces as there are; a URL that loses
//! nothing is not copied at all. Anything unusual is left to the full reading in `http`.

use super::http::UrlOptions;
use super::url_escape::{Part, is_plain};
use crate::trace::Verdict;

/// `None`: the URL needs the full reading; nothing was written then.
pub(super) fn url(url: &[u8], options: UrlOptions, out: &mut Vec<u8>) -> Option<Verdict> {
    let authority = if url.starts_with(b"http://") {
        7
    } else if url.starts_with(b"https://") {
        8
    } else {
        return None;
    };
    let rest = url.get(authority..)?;
    let host_end =
        authority + rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let user_end = user_end(url.get(authority..host_end)?)?;
    let tail = url.get(host_end..)?;
    let path_len = tail.iter().position(|&b| !is_plain(b, Part::Path)).unwrap_or(tail.len());
    let path_end = host_end + path_len;
    let (query_end, fragment) = match url.get(path_end) {
        None => (path_end, &b""[..]),
        Some(b'?') => query_and_fragment(url, path_end)?,
        Some(b'#') => (path_end, url.get(path_end + 1..).filter(|f| !f.is_empty())?),
        Some(_) => return None,
    };
    if !fragment.iter().all(|&b| is_plain(b, Part::Fragment)) {
        return None;
    }
    let any_option = options.remove_query_string || options.remove_path_digits;
    if any_option && memchr::memmem::find(url, b"REDACTED").is_some() {
        return None;
    }
    let mut kept = Kept { url, from: 0, out };
    if user_end > 0 {
        kept.drop(authority, authority + user_end, b"");
    }
    if options.remove_path_digits {
        hide_segments(&mut kept, host_end, path_end);
    }
    if options.remove_query_string && query_end > path_end + 1 {
        kept.drop(path_end + 1, query_end, b"");
    }
    Some(kept.finish())
}

/// How many bytes of the authority name a user, `@` included. Checks the rest, which must be a host.
#[inline]
fn user_end(authority: &[u8]) -> Option<usize> {
    let user_end = match memchr::memrchr(b'@', authority) {
        None => 0,
        Some(at) => {
            let user = authority.get(..at)?;
            if !user
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'~'))
            {
                return None;
            }
            at + 1
        }
    };
    let host = authority.get(user_end..)?;
    let name_len = host.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')));
    let fine = match name_len {
        None => !host.is_empty(),
        Some(at) => {
            at > 0 && host.get(at) == Some(&b':') && host.get(at + 1..)?.iter().all(u8::is_ascii_digit)
        }
    };
    fine.then_some(user_end)
}

/// Where the query that begins at `at` ends, and the fragment behind it.
#[inline]
fn query_and_fragment(url: &[u8], at: usize) -> Option<(usize, &[u8])> {
    let tail = url.get(at + 1..)?;
    let len = tail.iter().position(|&b| b == b'#' || b < b' ' || b == 0x7f).unwrap_or(tail.len());
    let end = at + 1 + len;
    match url.get(end) {
        None => Some((end, b"")),
        Some(b'#') => Some((end, url.get(end + 1..).filter(|f| !f.is_empty())?)),
        Some(_) => None,
    }
}

/// Replaces every segment of the path `at..end` that has a digit.
#[inline]
fn hide_segments(kept: &mut Kept<'_>, at: usize, end: usize) {
    let (mut segment, mut digits) = (at, false);
    let path = kept.url.get(at..end).unwrap_or(&[]);
    for (i, b) in path.iter().enumerate() {
        if *b == b'/' {
            if digits {
                kept.drop(segment, at + i, b"?");
            }
            (segment, digits) = (at + i + 1, false);
        }
        digits |= b.is_ascii_digit();
    }
    if digits {
        kept.drop(segment, end, b"?");
    }
}

/// Copies what is kept of the URL, in runs.
struct Kept<'k> {
    url: &'k [u8],
    from: usize,
    out: &'k mut Vec<u8>,
}

impl Kept<'_> {
    #[inline]
    fn drop(&mut self, at: usize, end: usize, instead: &[u8]) {
        self.out.extend_from_slice(self.url.get(self.from..at).unwrap_or(&[]));
        self.out.extend_from_slice(instead);
        self.from = end;
    }

    fn finish(self) -> Verdict {
        if self.from == 0 {
            return Verdict::Keep;
        }
        self.out.extend_from_slice(self.url.get(self.from..).unwrap_or(&[]));
        Verdict::Replace
    }
}
