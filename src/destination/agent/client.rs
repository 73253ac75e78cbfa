//! The agent as the rest of the crate sees it: send traces, post stats, read `/info`, shut down.
//!
//! A [`Client`] is thread-safe and blocking; how a body gets there is [`Http`]'s matter, what an answer means
//! `response`'s.

use super::headers::{Headers, PerSend};
use super::info::Info;
use super::peer::detected;
use super::probe;
use super::response::{self, Memory, Reply};
use crate::destination::TelemetryMessage;
use crate::error::Error;
use crate::settings::{AgentUrl, Config};
use crate::transport::exchange::{Answer, Exchange};
use crate::transport::http::{Delivered, Http, Post};
use crate::transport::outlet::Outlet;
use crate::transport::{TlsReport, fault, retry};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderMap, Method, Uri};

/// Endpoints whose address is put together once.
const KNOWN_PATHS: [&str; 6] =
    ["/v0.4/traces", "/v0.5/traces", "/v1.0/traces", "/v0.3/traces", "/v0.6/stats", "/info"];

/// What the agent passes on to Datadog's intake of telemetry.
pub(super) const TELEMETRY_PROXY: &str = "/telemetry/proxy/";

/// One send of traces.
#[derive(Clone, Debug)]
pub struct TraceRequest<'a> {
    /// Endpoint, for instance `/v0.4/traces`.
    pub path: &'a str,
    /// The encoded payload.
    pub body: &'a [u8],
    /// Chunks in `body`.
    pub trace_count: u64,
    /// Chunks that sampling dropped before encoding, ours and those the tracer reports.
    pub dropped_p0_traces: u64,
    /// Spans that sampling dropped before encoding.
    pub dropped_p0_spans: u64,
    /// Stats were computed on this side.
    pub computed_stats: bool,
    /// Top-level spans were marked on this side.
    pub computed_top_level: bool,
    /// How long the send may take, repetitions and waiting included.
    pub budget: Duration,
    /// The setting that says so.
    pub knob: &'static str,
}

/// Talks to one agent.
#[derive(Debug)]
pub struct Client {
    http: Http,
    known: [(&'static str, Uri); KNOWN_PATHS.len()],
    headers: Headers,
    memory: Memory,
}

impl Client {
    /// A client for the agent of `url`. Opens nothing and waits for nothing.
    ///
    /// # Errors
    /// As [`Client::at`].
    pub fn new(config: &Config) -> Result<Self, Error> {
        Self::at(config, &config.url, &Arc::default())
    }

    /// A client for the agent at this address, whose bodies go out by `outlet`.
    ///
    /// # Errors
    /// `INVALID_URL` if the URL cannot be used in a request or not on this operating system.
    pub(crate) fn at(config: &Config, url: &AgentUrl, outlet: &Arc<Outlet>) -> Result<Self, Error> {
        let http = Http::new(url, config, outlet)?;
        let mut known = KNOWN_PATHS.map(|path| (path, Uri::default()));
        for (path, uri) in &mut known {
            *uri = http.uri(path)?;
        }
        Ok(Self { http, known, headers: Headers::new(config, &detected(config)), memory: Memory::default() })
    }

    /// Sends traces: `PUT`, repeated within the budget where that can help.
    ///
    /// # Errors
    /// What the last attempt ran into, with the number of attempts. `possibly_arrived` says whether the agent may have
    /// the payload nevertheless.
    pub fn send(&self, request: &TraceRequest<'_>) -> Result<Reply, Error> {
        let headers = || {
            self.headers.for_traces(&PerSend {
                trace_count: request.trace_count,
                dropped_p0_traces: request.dropped_p0_traces,
                dropped_p0_spans: request.dropped_p0_spans,
                computed_stats: request.computed_stats,
                computed_top_level: request.computed_top_level,
                rates_version: Some(self.memory.rates_version()),
            })
        };
        self.deliver(Method::PUT, request.path, headers, request.body, (request.budget, request.knob))
    }

    /// Posts a stats payload to `/v0.6/stats`. `obfuscation_version` says that we obfuscated its resources.
    ///
    /// # Errors
    /// As [`Client::send`]; where `possibly_arrived` is false, the groups may be merged into the next payload.
    pub fn post_stats(
        &self,
        body: &[u8],
        obfuscation_version: Option<u32>,
        budget: Duration,
    ) -> Result<Reply, Error> {
        let headers = || self.headers.for_stats(obfuscation_version);
        self.deliver(Method::POST, "/v0.6/stats", headers, body, (budget, "sendBudget"))
    }

    /// Posts a message of telemetry, which the agent passes on.
    ///
    /// # Errors
    /// As [`Client::post_stats`].
    pub(super) fn post_telemetry(
        &self,
        message: &TelemetryMessage,
        budget: Duration,
    ) -> Result<Reply, Error> {
        let path = format!("{TELEMETRY_PROXY}api/v2/apmtelemetry");
        let headers = || self.headers.for_telemetry(message);
        self.deliver(Method::POST, &path, headers, &message.body, (budget, "telemetry"))
    }

    /// Reads `/info` once.
    ///
    /// # Errors
    /// Any transport error; `HTTP_STATUS` for anything but 200 (404: the agent has no `/info`); `INVALID_RESPONSE` if
    /// it is not a JSON object.
    pub fn fetch_info(&self, limit: Duration) -> Result<Info, Error> {
        let path = "/info";
        let answer =
            self.http.get(&self.uri(path)?, || self.headers.for_info(), self.headers.size(), limit)?;
        if answer.status() != 200 {
            return Err(self.refusal("GET /info", &answer));
        }
        Info::parse(answer.body(), &answer.parts.headers)
            .map_err(|why| fault::answer(&format!("{}{path}", self.address()), &why).with_status(200))
    }

    /// Sends a payload without traces to an endpoint, once. Gives the status, and what it means as a refusal.
    ///
    /// # Errors
    /// Any transport error.
    pub(super) fn try_endpoint(&self, path: &str, limit: Duration) -> Result<(u16, Error), Error> {
        let uri = self.uri(path)?;
        let exchange = || Exchange {
            method: Method::PUT,
            uri: &uri,
            headers: self.headers.for_trying(),
            body: probe::body(path),
        };
        let answer = self.http.once(exchange, self.headers.size(), limit)?;
        Ok((answer.status(), self.refusal(&format!("PUT {path}"), &answer)))
    }

    /// How TLS has gone, if it is spoken.
    pub(super) fn tls(&self) -> Option<TlsReport> {
        self.http.tls()
    }

    /// Waits a moment; `false` at once if the client was shut down.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        self.http.pause(time)
    }

    /// What runs may end; nothing is tried again.
    pub(super) fn retire(&self) {
        self.http.retire();
    }

    /// Ends everything: requests in flight, waits and name lookups are interrupted and fail with `CLOSED`, idle
    /// connections are closed, later calls fail at once. Idempotent.
    pub fn shutdown(&self) {
        self.http.shutdown();
    }

    /// The agent's state as its last answer to a send told it, a refusal included: another one than that of the known
    /// [`Info`] means that `/info` should be read again.
    pub fn agent_state(&self) -> Option<Arc<str>> {
        self.memory.agent_state()
    }

    /// The agent's address, as messages show it.
    pub fn address(&self) -> &str {
        self.http.address()
    }

    fn deliver(
        &self,
        method: Method,
        path: &str,
        headers: impl Fn() -> HeaderMap,
        body: &[u8],
        (budget, knob): (Duration, &'static str),
    ) -> Result<Reply, Error> {
        let post = Post {
            method: &method,
            uri: &self.uri(path)?,
            body,
            head_size: self.headers.size(),
            budget,
            knob,
            may_repeat: method != Method::POST,
            repeats: retry::repeats_status,
        };
        let refusal = |answer: &Answer| {
            self.memory.note(&answer.parts.headers);
            self.refusal(&format!("{method} {path}"), answer)
        };
        self.http
            .deliver(post, headers, refusal)?
            .map_or_else(|| Ok(Reply::dry()), |done| self.success(&done))
    }

    fn success(&self, delivered: &Delivered) -> Result<Reply, Error> {
        let answer = &delivered.answer;
        let (headers, mut body) = (&answer.parts.headers, answer.body());
        if headers.contains_key("content-encoding") {
            // Nobody asked for an encoding. The payload was taken; what it was answered with cannot be read.
            body = &[];
        } else if response::is_web_page(headers, body) {
            return Err(fault::answer(self.address(), "it is a web page")
                .with_status(answer.status())
                .with_attempts(delivered.attempts));
        }
        let mut reply = self.memory.reply(answer.status(), headers, body);
        reply.attempts = delivered.attempts;
        reply.possibly_duplicated = delivered.possibly_duplicated;
        Ok(reply)
    }

    fn refusal(&self, what: &str, answer: &Answer) -> Error {
        response::refusal(self.address(), what, answer.status(), &answer.parts.headers, answer.body())
    }

    fn uri(&self, path: &str) -> Result<Uri, Error> {
        match self.known.iter().find(|(known, _)| *known == path) {
            Some((_, uri)) => Ok(uri.clone()),
            None => self.http.uri(path),
        }
    }
}
