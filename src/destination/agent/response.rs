//! What the agent answered, and the memory of its last answer.
//!
//! An agent says the same thing most of the time. What is equal to the last answer is shared with it, so that
//! nothing is allocated and a caller sees by pointer that nothing is new. Rates are remembered apart from the
//! body: an agent that was told the version we know answers `{}`, and an empty body is a success too; neither
//! erases what is known.

use super::headers::{AGENT_STATE, RATES_VERSION, TAGS_HASH};
pub use crate::destination::Reply;
use crate::error::{Error, ErrorKind};
use crate::settings::shown;
use parking_lot::Mutex;
use std::sync::Arc;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

/// A longer value is not remembered: it would have to go into every request. Those of agents have 64
/// characters at most.
const MAX_VALUE: usize = 256;

/// The last answer.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    body: Arc<[u8]>,
    rates: Option<Arc<[u8]>>,
    rates_version: HeaderValue,
    container_tags_hash: Option<Arc<str>>,
    agent_state: Option<Arc<str>>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            body: Arc::from(&[][..]),
            rates: None,
            // No agent has this version, but without one it would not tell us its own.
            rates_version: HeaderValue::from_static("0"),
            container_tags_hash: None,
            agent_state: None,
        }
    }
}

impl Memory {
    /// The version of the rates we know, for the next request.
    pub(super) fn rates_version(&self) -> HeaderValue {
        self.known.lock().rates_version.clone()
    }

    /// The agent's state as the last answer told it.
    pub(super) fn agent_state(&self) -> Option<Arc<str>> {
        self.known.lock().agent_state.clone()
    }

    /// Remembers what an answer that is no success says about the agent.
    pub(super) fn note(&self, headers: &HeaderMap) {
        share(&mut self.known.lock().agent_state, headers, &AGENT_STATE);
    }

    /// Turns a success into a reply and remembers it.
    pub(super) fn reply(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Reply {
        let carries_rates = memchr::memmem::find(body, b"\"rate_by_service\"").is_some();
        let version = headers.get(RATES_VERSION);

        let mut known = self.known.lock();
        if *known.body != *body {
            known.body = Arc::from(body);
        }
        let news = carries_rates && known.rates.as_deref() != Some(body);
        if news {
            known.rates = Some(Arc::clone(&known.body));
        }
        // A version without rates that we know would have the next request answered `{}` although we know none.
        let version = version.filter(|v| carries_rates && v.len() <= MAX_VALUE);
        if let Some(version) = version.filter(|v| **v != known.rates_version) {
            known.rates_version = version.clone();
        }
        share(&mut known.agent_state, headers, &AGENT_STATE);
        share(&mut known.container_tags_hash, headers, &TAGS_HASH);
        Reply {
            status,
            body: Arc::clone(&known.body),
            rates: known.rates.clone(),
            rates_changed: news,
            container_tags_hash: known.container_tags_hash.clone(),
            agent_state: known.agent_state.clone(),
            attempts: 1,
            possibly_duplicated: false,
            rejected_spans: 0,
            is_dry: false,
            fault: None,
        }
    }
}

/// Makes `known` the value of the header if there is one; an absent header takes nothing away.
fn share(known: &mut Option<Arc<str>>, headers: &HeaderMap, name: &HeaderName) {
    if let Some(value) = headers.get(name).filter(|v| v.len() <= MAX_VALUE).and_then(|v| v.to_str().ok())
        && known.as_deref() != Some(value)
    {
        *known = Some(Arc::from(value));
    }
}

/// So much of what the agent says goes into an error message.
const MAX_WORDS: usize = 300;

/// The error of an answer that is not a success: status, the agent's own words, and what to do about it.
pub(super) fn refusal(address: &str, what: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    let advice = match status {
        300..=399 => "redirects are not followed: `url` must name the agent itself",
        400 if words(body).contains("HTTPS") => "it speaks TLS at this port: write https:// in `url`",
        400 => "the agent could not read the payload",
        401 | 403 => {
            "an agent asks for no credentials, so something in front of it does: check `url` and `header`"
        }
        404 | 405 => {
            "it has no such endpoint: check the path prefix in `url`, or the agent is too old or has APM switched off"
        }
        408 => {
            "the body did not arrive in the agent's own time limit (apm_config.receiver_timeout, 5 s by default)"
        }
        413 => "the payload is larger than the agent takes (apm_config.max_payload_size, 25 MiB by default)",
        415 => "it does not take msgpack at this endpoint: check `url`",
        429 => "the agent is overloaded: give it more CPU or apm_config.decoders, or send less",
        500..=599 => "the agent, or a proxy in front of it, is in trouble: its own log says more",
        _ => "that is no answer an agent gives: check `url`",
    };
    let mut text = format!("{address} answered {status} to {what}");
    if let Some(location) = headers.get("location").filter(|_| (300..400).contains(&status)) {
        text.push_str(" with location ");
        match location.as_bytes().first() {
            // The path of a URL may be a secret.
            Some(b'/') => text.push_str("of another path"),
            _ => text.push_str(&shown::url(&words(location.as_bytes()))),
        }
    }
    let said = words(body);
    if !said.is_empty() {
        text.push_str(": \"");
        text.push_str(&said);
        text.push('"');
    }
    text.push_str("; ");
    text.push_str(advice);
    let kind = if status == 413 { ErrorKind::PayloadTooLarge } else { ErrorKind::HttpStatus };
    Error::new(kind, text).with_status(status)
}

/// One line of readable text, cut.
pub(in crate::destination) fn words(bytes: &[u8]) -> String {
    let cut = bytes.get(..MAX_WORDS * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(cut);
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(MAX_WORDS) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None if cut.len() < bytes.len() => line + "...",
        None => line,
    }
}

/// Whether a body is a web page, which no agent sends.
pub(in crate::destination) fn is_web_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers
        .get("content-type")
        .is_some_and(|v| v.as_bytes().get(..9).is_some_and(|t| t.eq_ignore_ascii_case(b"text/html")));
    declared || body.trim_ascii_start().first() == Some(&b'<')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
    }

    const RATES: &[u8] = br#"{"rate_by_service":{"service:,env:":1}}"#;

    #[test]
    fn rates_are_news_once_and_then_shared() {
        let memory = Memory::default();
        assert_eq!(memory.rates_version(), "0");
        let v1 = headers(&[("datadog-rates-payload-version", "v1"), ("datadog-agent-state", "s")]);
        let first = memory.reply(200, &v1, RATES);
        assert!(first.rates_changed);
        assert_eq!(memory.rates_version(), "v1");
        let second = memory.reply(200, &v1, b"{}");
        let third = memory.reply(200, &v1, b"{}");
        assert!(!second.rates_changed && !third.rates_changed);
        assert_eq!(&*second.body, b"{}");
        assert!(Arc::ptr_eq(&second.body, &third.body));
        assert!(Arc::ptr_eq(second.rates.as_ref().unwrap(), first.rates.as_ref().unwrap()));
        assert!(Arc::ptr_eq(second.agent_state.as_ref().unwrap(), first.agent_state.as_ref().unwrap()));
        assert_eq!(memory.rates_version(), "v1");
    }

    #[test]
    fn an_agent_without_versions_is_compared_by_its_words() {
        let memory = Memory::default();
        let none = HeaderMap::new();
        assert!(memory.reply(200, &none, RATES).rates_changed);
        assert!(!memory.reply(200, &none, RATES).rates_changed);
        for nothing in [&b""[..], b"OK\n", b"{}"] {
            let reply = memory.reply(200, &none, nothing);
            assert!(!reply.rates_changed);
            assert_eq!(reply.rates.as_deref(), Some(RATES));
        }
        assert!(!memory.reply(200, &none, RATES).rates_changed);
        let other = br#"{"rate_by_service":{"service:,env:":0.5}}"#;
        assert!(memory.reply(200, &none, other).rates_changed);
    }

    #[test]
    fn a_version_that_came_without_rates_is_not_taken_for_known() {
        let memory = Memory::default();
        memory.reply(200, &headers(&[("datadog-rates-payload-version", "v9")]), b"{}");
        assert_eq!(memory.rates_version(), "0");
    }

    #[test]
    fn what_is_too_long_to_be_sent_back_is_not_remembered() {
        let memory = Memory::default();
        let long = "v".repeat(5000);
        let headers = headers(&[("datadog-rates-payload-version", &long), ("datadog-agent-state", &long)]);
        let reply = memory.reply(200, &headers, RATES);
        assert!(reply.rates_changed && reply.agent_state.is_none());
        assert_eq!(memory.rates_version(), "0");
    }

    #[test]
    fn a_refusal_names_status_words_and_what_to_do() {
        let e = refusal("http://h:1", "PUT /v0.4/traces", 400, &HeaderMap::new(), b"cannot\tdecode:\r\n EOF");
        assert_eq!(
            e.message(),
            "http://h:1 answered 400 to PUT /v0.4/traces: \"cannot decode: EOF\"; the agent could not read the payload"
        );
        assert_eq!((e.kind(), e.status()), (ErrorKind::HttpStatus, Some(400)));
        let e = refusal("a", "b", 413, &HeaderMap::new(), &vec![b'x'; 100_000]);
        assert_eq!(e.kind(), ErrorKind::PayloadTooLarge);
        assert!(e.message().len() < 600 && e.message().contains("xxx..."), "{e}");
        let location = headers(&[("location", "http://u:s3cret@other/?key=s3cret")]);
        let e = refusal("a", "b", 301, &location, b"");
        assert!(e.message().contains("location http://***@other/***; redirects"), "{e}");
        assert!(e.message().contains("`url`"), "{e}");
        refusal("a", "b", 500, &HeaderMap::new(), &[0xff; 2000]);
        for (location, shown) in [
            ("http://me:s3cret@other:8126/s3cret?key=s3cret", "http://***@other:8126/***;"),
            ("https://s3cret@s3cret@other/?s3cret", "https://***@other/***;"),
            ("/s3cret", "of another path;"),
        ] {
            let e = refusal("a", "b", 307, &headers(&[("location", location)]), b"");
            assert!(e.message().contains(shown) && !e.message().contains("s3cret"), "{e}");
        }
    }

    #[test]
    fn knows_a_web_page() {
        assert!(is_web_page(&HeaderMap::new(), b" \n<!DOCTYPE html>"));
        assert!(is_web_page(&headers(&[("content-type", "Text/HTML; charset=utf-8")]), b"hello"));
        assert!(!is_web_page(&headers(&[("content-type", "text/plain")]), b"OK\n"));
        assert!(!is_web_page(&HeaderMap::new(), b""));
    }
}
