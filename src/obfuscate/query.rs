//! The query of `http.url` by a pattern, as tracers redact it (`DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP`): what the
//! pattern matches becomes `<redacted>`. A match that ends within a key hides the value of that key instead, so a
//! list of names (`(?i)token|password`) will do. What comes before `?` and behind `#` stays.

use crate::error::{Error, ErrorKind};
use crate::regexes::Pattern;
use crate::trace::Verdict;

/// What stands for a secret.
const REDACTED: &[u8] = b"<redacted>";

/// A pattern for queries.
#[derive(Clone, Debug)]
pub(super) struct QueryRedaction {
    pattern: Pattern,
}

impl QueryRedaction {
    /// `None` for an empty pattern.
    pub(super) fn new(pattern: &str) -> Result<Option<Self>, Error> {
        if pattern.is_empty() {
            return Ok(None);
        }
        let pattern = Pattern::new(pattern).map_err(|why| {
            Error::new(ErrorKind::InvalidConfiguration, format!("http.query_string_regexp: {why}"))
        })?;
        Ok(Some(Self { pattern }))
    }

    /// Redacts the query of a URL.
    pub(super) fn url(&self, url: &[u8], out: &mut Vec<u8>) -> Verdict {
        let start = out.len();
        let end = memchr::memchr(b'#', url).unwrap_or(url.len());
        let Some(mark) = memchr::memchr(b'?', url.get(..end).unwrap_or(url)) else { return Verdict::Keep };
        let (before, rest) = url.split_at(mark + 1);
        let (query, fragment) = rest.split_at(end - mark - 1);
        out.extend_from_slice(before);
        if !self.query(&String::from_utf8_lossy(query), out) {
            out.truncate(start);
            return Verdict::Keep;
        }
        out.extend_from_slice(fragment);
        Verdict::Replace
    }

    /// As [`url`](Self::url), on what another rule made of `text`: its verdict, and what stands in `out` from `start`
    /// on.
    pub(super) fn then(&self, text: &[u8], verdict: Verdict, start: usize, out: &mut Vec<u8>) -> Verdict {
        if verdict != Verdict::Replace {
            return self.url(text, out);
        }
        let before = out.split_off(start);
        if self.url(&before, out) == Verdict::Keep {
            out.extend_from_slice(&before);
        }
        Verdict::Replace
    }

    /// Appends the query; gives whether anything in it was replaced.
    fn query(&self, query: &str, out: &mut Vec<u8>) -> bool {
        // Where the pair ends that begins, or is, at a place.
        let pair_end = |from: usize| {
            let rest = query.get(from..).unwrap_or("");
            rest.find(['&', ';']).map_or(query.len(), |n| from + n)
        };
        let (mut done, mut from, mut changed) = (0, 0, false);
        let (mut pair, mut end) = (0, pair_end(0));
        while let Some(found) = self.pattern.find_from(query, from) {
            if found.is_empty() {
                let width =
                    query.get(found.end..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
                from = found.end + width;
                continue;
            }
            while end < found.start {
                (pair, end) = (end + 1, pair_end(end + 1));
            }
            let equals = query.get(pair..end).and_then(|pair| pair.find('='));
            let value = equals.map_or(end, |n| pair + n + 1);
            // The whole match is in the key of a pair that has a value: that goes.
            let hidden = if found.end < value && value < end { value..end } else { found.clone() };
            if hidden.start >= done {
                out.extend_from_slice(query.get(done..hidden.start).unwrap_or("").as_bytes());
                out.extend_from_slice(REDACTED);
                (done, changed) = (hidden.end, true);
            }
            from = done.max(found.end);
        }
        out.extend_from_slice(query.get(done..).unwrap_or("").as_bytes());
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_by_the_names_of_their_keys_or_by_what_matches() {
        let by_name = "(?i)token|pass";
        // What tracers have by default, shortened.
        let by_pair = r"(?i)(?:token|pass)(?:\s|%20)*(?:=|%3D)[^&]+|bearer(?:\s|%20)+[a-z0-9._-]+";
        for (pattern, url, expected) in [
            (by_name, "http://h/p?a=1&Token=x&b=2#token=y", "http://h/p?a=1&Token=<redacted>&b=2#token=y"),
            (by_name, "/token?a=1", "/token?a=1"),
            (by_name, "?mytoken2=x;pass=y", "?mytoken2=<redacted>;pass=<redacted>"),
            (by_name, "?q=token", "?q=<redacted>"),
            (by_name, "?token=&a", "?<redacted>=&a"),
            (by_name, "?token", "?<redacted>"),
            (by_name, "?tokentoken=token&x", "?tokentoken=<redacted>&x"),
            (by_pair, "?a=1&token=x&b=2", "?a=1&<redacted>&b=2"),
            (by_pair, "?h=Bearer%20abc.def&b", "?h=<redacted>&b"),
            ("x*", "?axxb=1", "?axxb=<redacted>"),
            (by_name, "no query", "no query"),
            (by_name, "?é=1&token=é", "?é=1&token=<redacted>"),
        ] {
            let query = QueryRedaction::new(pattern).unwrap().unwrap();
            let mut out = Vec::new();
            let text = match query.url(url.as_bytes(), &mut out) {
                Verdict::Replace => String::from_utf8(out).unwrap(),
                _ => url.to_owned(),
            };
            assert_eq!(text, expected, "{pattern} on {url}");
        }
        assert!(QueryRedaction::new("").unwrap().is_none());
        let error = QueryRedaction::new("secret(").unwrap_err();
        assert_eq!(error.message(), "http.query_string_regexp: missing closing ) at byte 7");
    }
}
