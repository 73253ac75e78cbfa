//! A peer over HTTP that is no agent: constant headers, one address a kind of body, what answers of it mean in general.
//! What they mean to one kind of peer, it says itself.

use super::learned::Learned;
use super::{Asked, Limit, Reply, Request, TelemetryMessage, was_taken};
use crate::account::{Later, Verdict};
use crate::destination::agent::response::{is_web_page, words};
use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Compression, Config};
use crate::transport::exchange::Answer;
use crate::transport::http::{Delivered, Http, Post};
use crate::transport::outlet::Outlet;
use crate::transport::{TlsReport, fault};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::header::{CONTENT_ENCODING, LOCATION};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// One address of a peer.
#[derive(Debug)]
pub(super) struct Endpoint {
    config: Arc<Config>,
    url: AgentUrl,
    path: &'static str,
    compression: Compression,
    outlet: Arc<Outlet>,
    /// Another one after [`Endpoint::reopen`].
    http: RwLock<Arc<Http>>,
    address: Arc<str>,
    uri: Uri,
    headers: HeaderMap,
    head_size: usize,
    pub(super) learned: Learned,
}

/// One body for it.
struct Body<'a> {
    bytes: &'a [u8],
    budget: Duration,
    knob: &'static str,
    /// Whether the peer may get it twice.
    may_repeat: bool,
    /// What an answer asks for, by its status.
    advice: &'a dyn Fn(u16) -> String,
}

impl Endpoint {
    /// Opens nothing and waits for nothing. `path` comes behind that of the URL.
    ///
    /// # Errors
    /// `INVALID_URL`, `INVALID_CONFIGURATION` if this build cannot reach it or not compress so.
    pub(super) fn new(
        config: Arc<Config>,
        (url, path): (&AgentUrl, &'static str),
        compression: Compression,
        headers: HeaderMap,
        outlet: &Arc<Outlet>,
    ) -> Result<Self, Error> {
        let http = Http::beyond(url, &config, outlet, compression)?;
        let uri = http.uri(path)?;
        let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
        let head_size = 256 + headers.iter().map(size).sum::<usize>();
        Ok(Self {
            address: Arc::clone(http.address()),
            http: RwLock::new(Arc::new(http)),
            url: url.clone(),
            outlet: Arc::clone(outlet),
            config,
            path,
            compression,
            uri,
            headers,
            head_size,
            learned: Learned::default(),
        })
    }

    fn http(&self) -> Arc<Http> {
        Arc::clone(&self.http.read())
    }

    pub(super) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Sends traces. `advice` says what an answer asks for, by its status; `more` adds headers of this body; `reply`
    /// reads what the peer says of a body that it took.
    pub(super) fn send(
        &self,
        request: &Request<'_>,
        advice: &dyn Fn(u16) -> String,
        more: impl Fn(&mut HeaderMap),
        reply: impl FnOnce(&Delivered) -> Reply,
    ) -> Verdict<Reply> {
        let (bytes, budget, knob) = (request.body, request.budget, request.knob);
        match self.post(&Body { bytes, budget, knob, may_repeat: true, advice }, more) {
            Ok(None) => Verdict::Sent(Reply::dry()),
            Ok(Some(delivered)) => {
                self.learned.accepted(bytes.len());
                Verdict::Sent(reply(&delivered))
            }
            Err(error) if was_taken(&error) => Verdict::Sent(Reply::unread(error)),
            Err(error) => self.verdict(error, bytes.len()),
        }
    }

    /// Sends stats, once: sending again must not count spans twice.
    pub(super) fn send_stats(
        &self,
        bytes: &[u8],
        budget: Duration,
        advice: &dyn Fn(u16) -> String,
    ) -> Verdict<()> {
        self.send_once(&Body { bytes, budget, knob: "sendBudget", may_repeat: false, advice }, |_| {})
    }

    /// Sends a message of telemetry, once.
    pub(super) fn send_telemetry(
        &self,
        message: &TelemetryMessage,
        budget: Duration,
        advice: &dyn Fn(u16) -> String,
    ) -> Verdict<()> {
        let body = Body { bytes: &message.body, budget, knob: "telemetry", may_repeat: false, advice };
        self.send_once(&body, |headers| {
            message.headers.iter().for_each(|(name, value)| insert(headers, name, value));
        })
    }

    fn send_once(&self, body: &Body<'_>, more: impl Fn(&mut HeaderMap)) -> Verdict<()> {
        match self.post(body, more) {
            Ok(_) => Verdict::Sent(()),
            Err(error) if was_taken(&error) => Verdict::Sent(()),
            Err(error) if error.possibly_arrived() || !may_come_later(&error) => Verdict::Lost(error),
            Err(error) => Verdict::Later(Later::whole(error)),
        }
    }

    /// Posts a body, again and again within its time where that can help; `more` adds headers of this one.
    ///
    /// # Errors
    /// What the last attempt ran into. A success that is a web page is none. `None`: nothing was sent (a dry run).
    fn post(&self, body: &Body<'_>, more: impl Fn(&mut HeaderMap)) -> Result<Option<Delivered>, Error> {
        let post = Post {
            method: &Method::POST,
            uri: &self.uri,
            body: body.bytes,
            head_size: self.head_size,
            budget: body.budget,
            knob: body.knob,
            may_repeat: body.may_repeat,
            repeats: |status| matches!(status, 429 | 502 | 503 | 504),
        };
        let headers = || {
            let mut headers = self.headers.clone();
            more(&mut headers);
            headers
        };
        let delivered = self.http().deliver(post, headers, |answer| self.refusal(answer, body.advice))?;
        let Some(delivered) = delivered else { return Ok(None) };
        let answer = &delivered.answer;
        if !answer.parts.headers.contains_key(CONTENT_ENCODING)
            && is_web_page(&answer.parts.headers, answer.body())
        {
            return Err(fault::answer(&self.address, "it is a web page: check the URL of `destination`")
                .with_status(answer.status())
                .with_attempts(delivered.attempts));
        }
        Ok(Some(delivered))
    }

    /// The error of an answer that is no success: status, the peer's own words, and what to do about it.
    fn refusal(&self, answer: &Answer, advice: &dyn Fn(u16) -> String) -> Error {
        let status = answer.status();
        let mut text = format!("{} answered {status} to {}", self.address, self.what());
        if let Some(location) = answer.parts.headers.get(LOCATION).filter(|_| (300..400).contains(&status)) {
            text.push_str(" with location ");
            text.push_str(&crate::settings::shown::url(&words(location.as_bytes())));
        }
        let said = if answer.parts.headers.contains_key(CONTENT_ENCODING) {
            String::new()
        } else {
            words(&readable(answer.body()))
        };
        if !said.is_empty() {
            text.push_str(&format!(": \"{said}\""));
        }
        text.push_str("; ");
        match status {
            300..=399 => text.push_str("redirects are not followed: `destination` must name the peer itself"),
            _ => text.push_str(&advice(status)),
        }
        let kind = if status == 413 { ErrorKind::PayloadTooLarge } else { ErrorKind::HttpStatus };
        Error::new(kind, text).with_status(status)
    }

    /// What was asked, by the path that is ours; that of the URL may be a secret.
    fn what(&self) -> String {
        if self.path.is_empty() { "the request".to_owned() } else { format!("POST {}", self.path) }
    }

    /// What a failed send of traces means.
    fn verdict<T>(&self, error: Error, size: usize) -> Verdict<T> {
        if error.kind() == ErrorKind::PayloadTooLarge {
            self.learned.refused(size, Instant::now());
            Verdict::TooLarge(error)
        } else if may_come_later(&error) {
            Verdict::Later(Later::whole(error))
        } else {
            Verdict::Lost(error)
        }
    }

    /// The largest request: the caller's limit or that of such peers.
    pub(super) fn limit(&self, theirs: usize) -> (usize, Limit) {
        match self.config.max_request_bytes {
            Some(ours) if ours <= theirs => (ours, Limit::Setting),
            _ => (theirs, Limit::Default),
        }
    }

    /// How large a body may be by experience.
    pub(super) fn largest(&self, size: usize, now: Instant) -> usize {
        let learned = self.learned.target();
        if size > learned { self.learned.target_at(now) } else { learned }
    }

    /// Whether anybody answers, whatever he says: such peers say nothing of themselves.
    pub(super) fn ask(&self, limit: Duration) -> Asked {
        match self.http().get(&self.uri, HeaderMap::new, self.head_size, limit) {
            Ok(answer) => {
                let text = format!("{} answers, and has nothing to say of itself", self.address);
                Asked::Nothing(Error::new(ErrorKind::HttpStatus, text).with_status(answer.status()))
            }
            Err(error) => Asked::Failed(error),
        }
    }

    pub(super) fn pause(&self, time: Duration) -> bool {
        self.http().pause(time)
    }

    pub(super) fn tls(&self) -> Option<TlsReport> {
        self.http().tls()
    }

    pub(super) fn retire(&self) {
        self.http().retire();
    }

    pub(super) fn close(&self) {
        self.http().shutdown();
    }

    pub(super) fn reopen(&self) -> Result<(), Error> {
        let http = Arc::new(Http::beyond(&self.url, &self.config, &self.outlet, self.compression)?);
        *self.http.write() = http;
        Ok(())
    }
}

/// The text of an answer: of a message in protobuf what can be read.
fn readable(body: &[u8]) -> Vec<u8> {
    body.iter().map(|b| if b.is_ascii_control() || *b >= 0x80 { b' ' } else { *b }).collect()
}

/// Adds a header, unless its value is empty.
pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

/// Adds the caller's headers; one that he names twice is there twice.
pub(super) fn insert_own<'h>(headers: &mut HeaderMap, own: impl Iterator<Item = (&'h str, &'h str)>) {
    let mut known = Vec::new();
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            if known.contains(&name) {
                headers.append(name, value);
            } else {
                known.push(name.clone());
                headers.insert(name, value);
            }
        }
    }
}

/// Whether what failed may arrive later.
fn may_come_later(error: &Error) -> bool {
    error.is_temporary() || error.kind() == ErrorKind::Closed
}
