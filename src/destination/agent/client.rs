//! The agent as the rest of the crate sees it: send traces, post stats, read `/info`, shut down.
//!
//! A [`Client`] is thread-safe and blocking. No lock is held while a request runs; concurrent requests open connections
//! of their own. What is tried again and when is `retry`'s matter, what an answer means `response`'s.

use super::headers::{Headers, PerSend};
use super::info::Info;
use super::peer::detected;
use super::response::{self, Memory, Reply};
use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Config};
use crate::transport::exchange::{Answer, Exchange, Failure};
use crate::transport::gate::Gate;
use crate::transport::retry::{self, Schedule};
use crate::transport::{AgentConnector, Call, NoLookup, PAGE, closed, fault};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use ureq::http::{HeaderMap, Method, Uri};

/// Endpoints whose address is put together once.
const KNOWN_PATHS: [&str; 5] = ["/v0.4/traces", "/v0.5/traces", "/v1.0/traces", "/v0.6/stats", "/info"];

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
    http: ureq::Agent,
    gate: Arc<Gate>,
    address: Arc<str>,
    base: String,
    known: [(&'static str, Uri); KNOWN_PATHS.len()],
    headers: Headers,
    memory: Memory,
    connect_timeout: Duration,
    send_timeout: Duration,
    max_idle: usize,
}

impl Client {
    /// A client for the agent of `config`. Opens nothing and waits for nothing.
    ///
    /// # Errors
    /// `INVALID_URL` if the URL cannot be used in a request or not on this operating system.
    pub fn new(config: &Config) -> Result<Self, Error> {
        check_url(&config.url)?;
        let gate = Arc::new(Gate::default());
        let base = match &config.url {
            AgentUrl::Http { prefix, .. } => format!("http://{}{prefix}", config.url.host_header()),
            _ => "http://localhost".to_owned(),
        };
        let mut known = KNOWN_PATHS.map(|path| (path, Uri::default()));
        for (path, uri) in &mut known {
            *uri = uri_of(&base, path)?;
        }
        let idle = config.max_idle_connections;
        let settings = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .max_idle_age(config.max_idle_age)
            .build();
        let connector = AgentConnector::new(&config.url, Arc::clone(&gate));
        Ok(Self {
            http: ureq::Agent::with_parts(settings, connector, NoLookup),
            gate,
            address: config.url.to_string().into(),
            base,
            known,
            headers: Headers::new(config, &detected(config)),
            memory: Memory::default(),
            connect_timeout: config.connect_timeout,
            send_timeout: config.send_timeout,
            max_idle: idle,
        })
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

    /// Reads `/info` once.
    ///
    /// # Errors
    /// Any transport error; `HTTP_STATUS` for anything but 200 (404: the agent has no `/info`); `INVALID_RESPONSE` if
    /// it is not a JSON object.
    pub fn fetch_info(&self, limit: Duration) -> Result<Info, Error> {
        let path = "/info";
        let deadline = Instant::now() + limit;
        let mut stale = 0;
        loop {
            let call =
                Call::new(deadline, limit, "sendTimeout", self.connect_timeout, self.headers.size(), 0);
            let uri = self.uri(path)?;
            let exchange =
                Exchange { method: Method::GET, uri: &uri, headers: self.headers.for_info(), body: &[] };
            match exchange.run(&self.http, call, &self.address) {
                Ok(answer) if answer.status() == 200 => {
                    return Info::parse(answer.body(), &answer.parts.headers).map_err(|why| {
                        fault::answer(&format!("{}{path}", self.address), &why).with_status(200)
                    });
                }
                Ok(answer) => return Err(self.refusal("GET /info", &answer)),
                Err(_) if self.gate.is_closed() => return Err(closed()),
                Err(failure) if failure.stale && stale <= self.max_idle => stale += 1,
                Err(failure) => return Err(failure.error),
            }
        }
    }

    /// Waits a moment; `false` at once if the client was shut down.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        self.gate.wait_until(Instant::now() + time, || false);
        !self.gate.is_closed()
    }

    /// Ends everything: requests in flight, waits and name lookups are interrupted and fail with `CLOSED`, idle
    /// connections are closed, later calls fail at once. Idempotent.
    pub fn shutdown(&self) {
        self.gate.close();
        self.http.clone().shutdown();
    }

    /// The agent's state as its last answer to a send told it, a refusal included: another one than that of the known
    /// [`Info`] means that `/info` should be read again.
    pub fn agent_state(&self) -> Option<Arc<str>> {
        self.memory.agent_state()
    }

    /// The agent's address, as messages show it.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn deliver(
        &self,
        method: Method,
        path: &str,
        headers: impl Fn() -> HeaderMap,
        body: &[u8],
        (budget, knob): (Duration, &'static str),
    ) -> Result<Reply, Error> {
        let uri = self.uri(path)?;
        let started = Instant::now();
        let end = started + budget;
        let mut tries = Tries::default();
        loop {
            if self.gate.is_closed() {
                return Err(closed()
                    .with_attempts(tries.attempts)
                    .with_possibly_arrived(tries.possibly_arrived));
            }
            let exchange = Exchange { method: method.clone(), uri: &uri, headers: headers(), body };
            let outcome = exchange.run(&self.http, self.call(end, (budget, knob), body), &self.address);
            let (error, retry_after) = match outcome {
                Ok(answer) if answer.parts.status.is_success() => {
                    tries.attempts += 1;
                    return self.success(&answer, &tries);
                }
                Ok(answer) => {
                    tries.attempts += 1;
                    let status = answer.status();
                    self.memory.note(&answer.parts.headers);
                    let wait = answer.parts.headers.get("retry-after");
                    let wait = wait.and_then(|v| retry::retry_after(v.as_bytes(), SystemTime::now()));
                    let what = format!("{method} {path}");
                    let error = self.refusal(&what, &answer);
                    (error.with_temporary(retry::repeats_status(status)), wait)
                }
                Err(failure) => {
                    tries.possibly_arrived |= failure.possibly_arrived;
                    // Each kept connection can be stale once; what fails on a new one is no matter of age.
                    if failure.stale && tries.stale <= self.max_idle && !self.gate.is_closed() {
                        tries.stale += 1;
                        continue;
                    }
                    tries.attempts += 1;
                    let repeats = repeats(&failure);
                    (with_status(failure.error, failure.status).with_temporary(repeats), None)
                }
            };
            // A trace twice is a nuisance; stats twice are a wrong count.
            let repeat = error.is_temporary() && (method != Method::POST || !tries.possibly_arrived);
            let now = Instant::now();
            let wait = if repeat { tries.schedule(end).next(now, retry_after) } else { None };
            match wait {
                Some(wait) if !self.gate.is_closed() => self.gate.wait_until(now + wait, || false),
                _ if self.gate.is_closed() => {}
                _ => {
                    let error = error.with_retry_at(retry_after.map(|wait| now + wait));
                    return Err(tries.give_up(error, repeat, (budget, knob)));
                }
            }
        }
    }

    fn success(&self, answer: &Answer, tries: &Tries) -> Result<Reply, Error> {
        let (headers, mut body) = (&answer.parts.headers, answer.body());
        if headers.contains_key("content-encoding") {
            // Nobody asked for an encoding. The payload was taken; what it was answered with cannot be read.
            body = &[];
        } else if response::is_web_page(headers, body) {
            return Err(fault::answer(&self.address, "it is a web page")
                .with_status(answer.status())
                .with_attempts(tries.attempts));
        }
        let mut reply = self.memory.reply(answer.status(), headers, body);
        reply.attempts = tries.attempts;
        reply.possibly_duplicated = tries.possibly_arrived;
        Ok(reply)
    }

    fn call(&self, end: Instant, (budget, name): (Duration, &'static str), body: &[u8]) -> Call {
        let by_timeout = Instant::now() + self.send_timeout;
        let (deadline, limit, knob) = if by_timeout < end {
            (by_timeout, self.send_timeout, "sendTimeout")
        } else {
            (end, budget, name)
        };
        let size = self.headers.size() + body.len();
        Call::new(deadline, limit, knob, self.connect_timeout, size, body.as_ptr().addr() % PAGE)
    }

    fn refusal(&self, what: &str, answer: &Answer) -> Error {
        response::refusal(&self.address, what, answer.status(), &answer.parts.headers, answer.body())
    }

    fn uri(&self, path: &str) -> Result<Uri, Error> {
        match self.known.iter().find(|(known, _)| *known == path) {
            Some((_, uri)) => Ok(uri.clone()),
            None => uri_of(&self.base, path),
        }
    }
}

/// What happened to one send so far.
#[derive(Debug, Default)]
struct Tries {
    attempts: u32,
    stale: usize,
    possibly_arrived: bool,
    schedule: Option<Schedule>,
}

impl Tries {
    /// Made when first needed: a send that succeeds at once draws no random number.
    fn schedule(&mut self, end: Instant) -> &mut Schedule {
        self.schedule.get_or_insert_with(|| Schedule::new(end, retry::seed()))
    }

    /// What could have been tried again was ended by the budget, after the first attempt as after the tenth;
    /// so the message names the setting.
    fn give_up(&self, error: Error, repeatable: bool, (budget, knob): (Duration, &str)) -> Error {
        let named = error.message().contains(knob);
        let times = match self.attempts {
            0 | 1 if named => None,
            0 | 1 => Some("once".to_owned()),
            n => Some(format!("{n} times")),
        };
        let error = match times.filter(|_| repeatable) {
            Some(times) => {
                error.note(&format!("; tried {times} within {} ms (`{knob}`)", budget.as_millis()))
            }
            None => error,
        };
        error.with_attempts(self.attempts).with_possibly_arrived(self.possibly_arrived)
    }
}

fn repeats(failure: &Failure) -> bool {
    match failure.status {
        // A success was on its way: sending again would only make a duplicate.
        Some(status) => retry::repeats_status(status),
        None => failure.broke_off || retry::repeats_kind(failure.error.kind()),
    }
}

fn with_status(error: Error, status: Option<u16>) -> Error {
    match status {
        Some(status) => error.with_status(status),
        None => error,
    }
}

fn uri_of(base: &str, path: &str) -> Result<Uri, Error> {
    format!("{base}{path}").parse().map_err(|e| {
        Error::new(ErrorKind::InvalidUrl, format!("url: it cannot stand in a request for {path} ({e})"))
    })
}

fn check_url(url: &AgentUrl) -> Result<(), Error> {
    let usable = match url {
        AgentUrl::Http { .. } => true,
        AgentUrl::Unix { .. } => cfg!(unix),
        AgentUrl::Pipe { .. } => cfg!(windows),
    };
    if usable {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidUrl, format!("url: {url} cannot be used on this operating system")))
}
