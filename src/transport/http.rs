//! A peer over HTTP: one connection pool, one gate, and how a body gets there. What is tried again and when is
//! [`retry`]'s matter; what an answer means, whose it is says.
//!
//! [`Http`] is thread-safe and blocking. No lock is held while a request runs; concurrent requests open connections of
//! their own.

use super::capture::Capture;
use super::capture::record::{Fate, Record};
use super::compress::Compressor;
use super::exchange::{Answer, Exchange, Failure};
use super::gate::Gate;
use super::outlet::Outlet;
use super::retry::{self, Schedule};
use super::secrets::Secrets;
use super::{Call, Connections, NoLookup, TlsReport, closed};
use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Compression, Config};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use ureq::http::header::CONTENT_ENCODING;
use ureq::http::{HeaderMap, HeaderValue, Method, Uri};

/// The time limit of what waits for its turn: the queue, the spool.
pub(crate) const QUEUED: &str = "asyncBudget";

/// One peer.
#[derive(Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    gate: Arc<Gate>,
    address: Arc<str>,
    base: String,
    /// The path that the address has.
    prefix: String,
    outlet: Arc<Outlet>,
    connect_timeout: Duration,
    send_timeout: Duration,
    max_idle: usize,
    /// It is no agent.
    beyond: bool,
    /// Nobody prefers this peer any more.
    retired: AtomicBool,
    compressor: Option<Compressor>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<super::tls::Tls>>,
}

/// A body on its way to a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) body: &'a [u8],
    /// Roughly how many bytes the head has.
    pub(crate) head_size: usize,
    /// How long it may take, repetitions and waiting included, and the setting that says so.
    pub(crate) budget: Duration,
    pub(crate) knob: &'static str,
    /// Whether it may be sent again although the peer may have it: a trace twice is a nuisance, stats twice are
    /// a wrong count.
    pub(crate) may_repeat: bool,
    /// Statuses that may turn into a success.
    pub(crate) repeats: fn(u16) -> bool,
}

/// A success.
pub(crate) struct Delivered {
    pub(crate) answer: Answer,
    /// Requests made; a repetition on a connection that had gone stale does not count.
    pub(crate) attempts: u32,
    /// An earlier attempt was written whole and got no answer.
    pub(crate) possibly_duplicated: bool,
}

impl Http {
    /// The agent at `url`: never through a proxy, bodies as they are. Opens nothing and waits for nothing. Bodies go
    /// out by `outlet`.
    ///
    /// # Errors
    /// `INVALID_URL` if the URL cannot be used on this operating system, or by this build; `INVALID_CONFIGURATION` if
    /// what TLS needs cannot be used.
    pub(crate) fn new(url: &AgentUrl, config: &Config, outlet: &Arc<Outlet>) -> Result<Self, Error> {
        Self::with(url, config, outlet, false, None)
    }

    /// A peer that is no agent, at `url`: through the proxy if there is one, bodies compressed.
    ///
    /// # Errors
    /// As [`Http::new`]; `INVALID_CONFIGURATION` if this build cannot compress so.
    pub(crate) fn beyond(
        url: &AgentUrl,
        config: &Config,
        outlet: &Arc<Outlet>,
        compression: Compression,
    ) -> Result<Self, Error> {
        Self::with(url, config, outlet, true, Compressor::new(compression)?)
    }

    fn with(
        url: &AgentUrl,
        config: &Config,
        outlet: &Arc<Outlet>,
        beyond: bool,
        compressor: Option<Compressor>,
    ) -> Result<Self, Error> {
        let gate = Arc::new(Gate::default());
        let connections = Connections::new(url, config, beyond, Arc::clone(&gate))?;
        #[cfg(feature = "tls")]
        let tls = connections.tls.clone();
        let base = match url {
            // What ureq is told is always http: what encrypts stands below it.
            AgentUrl::Http { prefix, .. } => format!("http://{}{prefix}", url.host_header()),
            _ => "http://localhost".to_owned(),
        };
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
        Ok(Self {
            agent: ureq::Agent::with_parts(settings, connections, NoLookup),
            gate,
            address: url.to_string().into(),
            base,
            prefix: url.prefix().to_owned(),
            outlet: Arc::clone(outlet),
            connect_timeout: config.connect_timeout,
            send_timeout: config.send_timeout,
            max_idle: idle,
            beyond,
            retired: AtomicBool::new(false),
            compressor,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// Its address, as messages show it.
    pub(crate) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// The whole address of an endpoint.
    ///
    /// # Errors
    /// `INVALID_URL` if it cannot stand in a request.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, Error> {
        format!("{}{path}", self.base).parse().map_err(|e| {
            Error::new(ErrorKind::InvalidUrl, format!("url: it cannot stand in a request for {path} ({e})"))
        })
    }

    /// How TLS has gone, if it is spoken.
    pub(crate) fn tls(&self) -> Option<TlsReport> {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().map(|tls| tls.report());
        #[cfg(not(feature = "tls"))]
        None
    }

    /// Whether it was shut down.
    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    /// Waits a moment; `false` at once if it was shut down.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        self.gate.wait_until(Instant::now() + time, || false);
        !self.gate.is_closed()
    }

    /// Ends everything: requests in flight, waits and name lookups are interrupted and fail with `CLOSED`, idle
    /// connections are closed, later calls fail at once. Idempotent.
    pub(crate) fn shutdown(&self) {
        self.gate.close();
        self.agent.clone().shutdown();
    }

    /// What runs may end; nothing is tried again.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.gate.notify();
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Asks once, without a body; again only where a kept connection turns out dead.
    ///
    /// # Errors
    /// Any transport error. A refusal is an answer.
    pub(crate) fn get(
        &self,
        uri: &Uri,
        headers: impl Fn() -> HeaderMap,
        head_size: usize,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let exchange = || Exchange { method: Method::GET, uri, headers: headers(), body: &[] };
        self.once(exchange, head_size, limit)
    }

    /// Makes one small request; again only where a kept connection turns out dead.
    ///
    /// # Errors
    /// Any transport error. A refusal is an answer.
    pub(crate) fn once<'a>(
        &self,
        exchange: impl Fn() -> Exchange<'a>,
        head_size: usize,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let deadline = Instant::now() + limit;
        let mut stale = 0;
        loop {
            let call = Call::new(deadline, limit, "sendTimeout", self.connect_timeout, (head_size, 0));
            let request = exchange();
            let note = self.note(&request.method, request.uri, &request.headers, request.body);
            match request.run(&self.agent, call, &self.address) {
                Ok(mut answer) => {
                    if !answer.parts.status.is_success() {
                        self.hide(&mut answer, &exchange().headers);
                    }
                    self.keep(note.as_deref(), 1, false, Ok(&answer));
                    return Ok(answer);
                }
                Err(_) if self.is_closed() => return Err(closed()),
                Err(failure) if failure.stale && stale <= self.max_idle => stale += 1,
                Err(failure) => return Err(self.as_theirs(failure.error)),
            }
        }
    }

    /// Sends a body, repeated within its budget where that can help. `headers` are asked for each attempt;
    /// `refusal` makes an error of an answer that is no success. `None`: nothing was sent, since this is a dry run.
    ///
    /// # Errors
    /// What the last attempt ran into, with the number of attempts. `possibly_arrived` says whether the peer may have
    /// the body nevertheless.
    pub(crate) fn deliver(
        &self,
        post: Post<'_>,
        headers: impl Fn() -> HeaderMap,
        refusal: impl Fn(&Answer) -> Error,
    ) -> Result<Option<Delivered>, Error> {
        let compressed = self.compressor.as_ref().and_then(|c| Some((c, c.compress(post.body)?)));
        let result = match &compressed {
            None => self.repeat(post, headers, refusal),
            Some((compressor, packed)) => {
                let encoding = HeaderValue::from_static(compressor.name());
                let headers = || {
                    let mut headers = headers();
                    headers.insert(CONTENT_ENCODING, encoding.clone());
                    headers
                };
                self.repeat(Post { body: packed.bytes(), ..post }, headers, refusal)
            }
        };
        if let Some((compressor, packed)) = compressed {
            compressor.done(packed);
        }
        result
    }

    fn repeat(
        &self,
        post: Post<'_>,
        headers: impl Fn() -> HeaderMap,
        refusal: impl Fn(&Answer) -> Error,
    ) -> Result<Option<Delivered>, Error> {
        if self.outlet.is_dry() {
            self.hold_back(&post, headers);
            return Ok(None);
        }
        let end = Instant::now() + post.budget;
        let mut tries = Tries::default();
        loop {
            if self.is_closed() {
                return Err(closed()
                    .with_attempts(tries.attempts)
                    .with_possibly_arrived(tries.possibly_arrived));
            }
            let head = headers();
            let note = self.note(post.method, post.uri, &head, post.body);
            self.outlet.passes(post.body.len(), post.knob == QUEUED);
            let exchange =
                Exchange { method: post.method.clone(), uri: post.uri, headers: head, body: post.body };
            let began = Instant::now();
            let outcome = exchange.run(&self.agent, self.call(began, end, &post), &self.address);
            let attempt = tries.attempts + 1;
            let mut refused = None;
            let (error, retry_after) = match outcome {
                Ok(answer) if answer.parts.status.is_success() => {
                    self.keep(note.as_deref(), attempt, false, Ok(&answer));
                    let possibly_duplicated = tries.possibly_arrived;
                    return Ok(Some(Delivered { answer, attempts: attempt, possibly_duplicated }));
                }
                Ok(mut answer) => {
                    tries.attempts += 1;
                    self.hide(&mut answer, &headers());
                    let wait = answer.parts.headers.get("retry-after");
                    let wait = wait.and_then(|v| retry::retry_after(v.as_bytes(), SystemTime::now()));
                    let error = refusal(&answer).with_temporary((post.repeats)(answer.status()));
                    refused = note.is_some().then_some(answer);
                    (error, wait)
                }
                Err(failure) => {
                    tries.possibly_arrived |= failure.possibly_arrived;
                    // Each kept connection can be stale once; what fails on a new one is no matter of age.
                    if failure.stale && tries.stale <= self.max_idle && !self.is_closed() {
                        tries.stale += 1;
                        self.keep(note.as_deref(), attempt, true, Err(&failure.error));
                        continue;
                    }
                    tries.attempts += 1;
                    let repeats = repeats(&failure, post.repeats);
                    let error = self.as_theirs(with_status(failure.error, failure.status));
                    (error.with_temporary(repeats), None)
                }
            };
            let repeat = error.is_temporary() && (post.may_repeat || !tries.possibly_arrived);
            let now = Instant::now();
            let wait =
                if repeat && !self.is_retired() { tries.schedule(end).next(now, retry_after) } else { None };
            self.keep(note.as_deref(), attempt, wait.is_some(), refused.as_ref().ok_or(&error));
            match wait {
                Some(wait) if !self.is_closed() => {
                    self.gate.wait_until(now + wait, || self.is_retired());
                    if self.is_retired() {
                        return Err(tries.give_up(error, false, (post.budget, post.knob)));
                    }
                    // On a busy machine one sleeps longer than one meant to.
                    if !self.is_closed() && !retry::is_worth_while(Instant::now(), end) {
                        return Err(tries.give_up(error, repeat, (post.budget, post.knob)));
                    }
                    if error.status().is_some() || error.kind() != ErrorKind::TimedOut {
                        tries.told = Some(error);
                    }
                }
                _ if self.is_closed() => {}
                _ => {
                    let error =
                        if self.is_cut_short(began, end, &post) { tries.last_word(error) } else { error };
                    let error = error.with_retry_at(retry_after.map(|wait| now + wait));
                    return Err(tries.give_up(error, repeat, (post.budget, post.knob)));
                }
            }
        }
    }

    /// What opens connections speaks of the agent and its `url`; of another peer the setting is `destination`.
    fn as_theirs(&self, error: Error) -> Error {
        if !self.beyond {
            return error;
        }
        let known = error.message();
        let told = known.replace("`url`", "`destination`").replace("is the agent running", "is it running");
        error.with_message(told)
    }

    /// A refusal may repeat a key; nobody shall read it in an error.
    #[cold]
    fn hide(&self, answer: &mut Answer, headers: &HeaderMap) {
        let mut secrets = Secrets::of(headers);
        secrets.add_path(&self.prefix);
        if let Some(body) = secrets.hidden(answer.body()) {
            answer.set_body(body);
        }
    }

    /// What a capture will need of a request, if there is one.
    #[inline]
    fn note<'a>(
        &self,
        method: &Method,
        uri: &'a Uri,
        headers: &HeaderMap,
        body: &'a [u8],
    ) -> Option<Box<Note<'a>>> {
        let capture = self.outlet.capture()?;
        let (method, headers) = (method.clone(), headers.clone());
        Some(Box::new(Note {
            capture,
            method,
            uri,
            headers,
            body,
            began: SystemTime::now(),
            started: Instant::now(),
        }))
    }

    /// A request is over. `again`: the body is sent once more.
    #[inline]
    fn keep(&self, note: Option<&Note<'_>>, attempt: u32, again: bool, outcome: Result<&Answer, &Error>) {
        let Some(note) = note else { return };
        let fate = match outcome {
            _ if again => Fate::Repeated,
            Ok(answer) if answer.parts.status.is_success() => Fate::Accepted,
            Ok(_) => Fate::Refused,
            Err(_) => Fate::Failed,
        };
        self.write(note, attempt, fate, outcome.ok(), outcome.err());
    }

    #[cold]
    fn write(
        &self,
        note: &Note<'_>,
        attempt: u32,
        fate: Fate,
        answer: Option<&Answer>,
        failure: Option<&Error>,
    ) {
        let record = Record {
            peer: &self.address,
            method: &note.method,
            path: (note.uri.path_and_query().map_or("/", |path| path.as_str()), &self.prefix),
            host: note.uri.authority().map_or("", |host| host.as_str()),
            headers: &note.headers,
            body: note.body,
            began: note.began,
            took: note.started.elapsed(),
            attempt,
            fate,
            answer,
            failure,
        };
        self.outlet.keep(&note.capture, &record);
    }

    /// A dry run: the body is counted and captured as if it had gone out.
    #[cold]
    fn hold_back(&self, post: &Post<'_>, headers: impl Fn() -> HeaderMap) {
        self.outlet.holds_back(post.body.len(), post.knob == QUEUED);
        if let Some(note) = self.note(post.method, post.uri, &headers(), post.body) {
            self.write(&note, 0, Fate::Dry, None, None);
        }
    }

    fn call(&self, began: Instant, end: Instant, post: &Post<'_>) -> Call {
        let by_timeout = began + self.send_timeout;
        let (deadline, limit, knob) = if by_timeout < end {
            (by_timeout, self.send_timeout, "sendTimeout")
        } else {
            (end, post.budget, post.knob)
        };
        Call::new(deadline, limit, knob, self.connect_timeout, (post.head_size, post.body.len()))
    }

    /// Whether the end of the budget left an attempt less than half the time that one has otherwise.
    fn is_cut_short(&self, began: Instant, end: Instant, post: &Post<'_>) -> bool {
        end.saturating_duration_since(began) < self.send_timeout.min(post.budget) / 2
    }
}

/// A request, for who keeps it.
struct Note<'a> {
    capture: Arc<Capture>,
    method: Method,
    uri: &'a Uri,
    headers: HeaderMap,
    body: &'a [u8],
    began: SystemTime,
    started: Instant,
}

/// What happened to one body so far.
#[derive(Debug, Default)]
struct Tries {
    attempts: u32,
    stale: usize,
    possibly_arrived: bool,
    /// What the peer has said last, or what was found out of it: that there is no such name, that nobody listens.
    told: Option<Error>,
    schedule: Option<Schedule>,
}

impl Tries {
    /// Made when first needed: a body that arrives at once draws no random number.
    fn schedule(&mut self, end: Instant) -> &mut Schedule {
        self.schedule.get_or_insert_with(|| Schedule::new(end, retry::seed()))
    }

    /// That no answer came to an attempt which the budget cut short says little of the peer: what is known from before
    /// says more.
    fn last_word(&mut self, error: Error) -> Error {
        let unheard = error.kind() == ErrorKind::TimedOut && error.status().is_none();
        match self.told.take() {
            Some(told) if unheard => told.note("; the last attempt had no time left for an answer"),
            _ => error,
        }
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

fn repeats(failure: &Failure, repeats_status: fn(u16) -> bool) -> bool {
    match failure.status {
        // A success was on its way: sending again would only make a duplicate.
        Some(status) => repeats_status(status),
        None => failure.broke_off || failure.error.is_temporary(),
    }
}

fn with_status(error: Error, status: Option<u16>) -> Error {
    match status {
        Some(status) => error.with_status(status),
        None => error,
    }
}

#[cfg(test)]
mod tests;
