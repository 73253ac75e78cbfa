//! The way of one payload, top-down in [`Dispatcher::process`]: pipeline, request, what is tried when the agent refuses,
//! account. And beside it the dialogue with the agent: what it offers, whether it is there.
//!
//! An answer that began as a success and then broke off, or cannot be read, counts as sent: the agent has taken the
//! payload, only its words are lost (a web page is no such answer). A request that was written whole and never answered
//! counts as dropped, and as `possibly_arrived`.

use super::course::{Course, Courses};
use super::errands::{ERRANDS, Errand, Errands, Runner};
use super::outbox::queue::{self, Queue};
use super::response::{AgentResponse, DroppedP0};
use super::split::{self, Learned, Piece};
use crate::account::{Account, Counts, DropReason, Effort, Entry, Fate, Outcome};
use crate::convert::Workspace;
use crate::delivery::discovery::Discovery;
use crate::delivery::presence::{Admitted, Presence};
use crate::destination::agent::{Client, Info, Reply, TraceRequest};
use crate::error::{Error, ErrorKind};
use crate::health::dogstatsd::{self, Sent, Statsd};
use crate::health::journal::{Journal, Severity, Topic};
use crate::pipeline::Prepared;
use crate::settings::InputFormat;
use crate::settings::{Config, OutputFormat};
use crate::time::{self, Duty, Ticket};
use crate::trace::describe;
use crate::transport::retry;
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

/// A request for `/info` takes no longer.
const INFO_LIMIT: Duration = Duration::from_secs(3);
/// With less time left a part of a split payload is not tried.
const LEAST_TIME: Duration = Duration::from_millis(20);
/// How long a suspension waits for senders that it has interrupted.
const SUSPEND_GRACE: Duration = Duration::from_millis(200);
/// How often what is queued looks whether the agent is back.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a shutdown waits for an errand that it has interrupted.
const ERRAND_GRACE: Duration = Duration::from_millis(30);

/// Everything that one exporter knows while it delivers.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    me: Weak<Self>,
    pub(crate) config: Config,
    /// Another one after `resume`.
    client: RwLock<Arc<Client>>,
    /// The agent's address, as messages show it.
    pub(crate) address: Arc<str>,
    pub(crate) account: Arc<Account>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) courses: Courses,
    pub(crate) discovery: Discovery,
    pub(crate) presence: Presence,
    pub(crate) journal: Journal,
    pub(crate) learned: Learned,
    pub(crate) statsd: Option<Statsd>,
    /// Held while stats are sent.
    pub(super) stats_turn: Mutex<()>,
    errands: Errands,
    timers: Mutex<Timers>,
    empty: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct Timers {
    at: [Option<Instant>; ERRANDS.len()],
    ticket: Option<Ticket>,
    closed: bool,
}

/// One send in progress.
struct Run {
    started: Instant,
    end: Instant,
    /// How long it may take, and the setting that says so.
    budget: Duration,
    knob: &'static str,
    dropped: DroppedP0,
    /// The payload's spans were counted, so the agent must not count them.
    counted: bool,
    /// It comes from the queue.
    held: Option<Held>,
}

/// Queued payloads on their way.
pub(super) struct Held {
    /// What stands in the account for them.
    pub(super) declared: Counts,
    /// How long they may be tried.
    pub(super) end: Instant,
    /// Stats have counted their spans before.
    pub(super) counted: bool,
    pub(super) state: HeldState,
}

/// What became of queued payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HeldState {
    /// The account says what.
    #[default]
    Settled,
    /// They could not be read.
    Unread,
    /// They are to be tried later.
    Later,
}

/// As [`HeldState`], with what goes with it.
pub(super) enum HeldResult {
    /// Delivered or dropped.
    Settled(Result<AgentResponse, Error>),
    /// Not settled: each has to be tried alone.
    Unread(Error),
    /// Not settled: to be tried later, and whether stats have counted them.
    Later { error: Error, counted: bool },
}

impl Dispatcher {
    /// Opens nothing and waits for nothing; asks for `/info` on a thread of its own.
    pub(crate) fn new(config: Config) -> Result<Arc<Self>, Error> {
        let client = Client::new(&config)?;
        let account = Arc::new(Account::default());
        let v04 = config.input_format == InputFormat::V04;
        let queue = Arc::new(Queue::new(config.queue.clone(), Arc::clone(&account), v04)?);
        let dispatcher = Arc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            address: client.address().into(),
            client: RwLock::new(Arc::new(client)),
            queue,
            account,
            courses: Courses::new(&config),
            discovery: Discovery::default(),
            presence: Presence::default(),
            journal: Journal::default(),
            learned: Learned::default(),
            statsd: config.dogstatsd.clone().map(Statsd::new),
            stats_turn: Mutex::default(),
            errands: Errands::default(),
            timers: Mutex::default(),
            empty: Arc::from(&[][..]),
            config,
        });
        if dispatcher.config.discovery {
            Errands::want(&dispatcher, Errand::Info);
        }
        // What an earlier process has left.
        dispatcher.start_senders();
        Ok(dispatcher)
    }

    /// Takes one payload all the way, on the caller's thread.
    pub(crate) fn process(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        dropped: DroppedP0,
    ) -> Result<AgentResponse, Error> {
        self.process_since(Instant::now(), ws, payload, dropped)
    }

    /// As [`Dispatcher::process`], for a send that began earlier.
    pub(crate) fn process_since(
        &self,
        started: Instant,
        ws: &mut Workspace,
        payload: &[u8],
        dropped: DroppedP0,
    ) -> Result<AgentResponse, Error> {
        let budget = self.config.send_budget;
        let run = &mut Run {
            started,
            end: started + budget,
            budget,
            knob: "sendBudget",
            dropped,
            counted: false,
            held: None,
        };
        self.take_all_the_way(ws, payload, run)
    }

    /// Takes queued payloads, perhaps merged into one, all the way.
    pub(super) fn process_held(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        dropped: DroppedP0,
        held: Held,
    ) -> HeldResult {
        let started = Instant::now();
        let end = held.end;
        let run = &mut Run {
            started,
            end,
            budget: end.saturating_duration_since(started),
            knob: "asyncBudget",
            dropped,
            counted: false,
            held: Some(held),
        };
        let result = self.take_all_the_way(ws, payload, run);
        match (result, run.held.take()) {
            (Err(error), Some(held)) => match held.state {
                HeldState::Settled => HeldResult::Settled(Err(error)),
                HeldState::Unread => HeldResult::Unread(error),
                HeldState::Later => HeldResult::Later { error, counted: run.counted },
            },
            (result, _) => HeldResult::Settled(result),
        }
    }

    fn take_all_the_way(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        run: &mut Run,
    ) -> Result<AgentResponse, Error> {
        let started = run.started;
        let course = self.courses.current();
        let uncounted;
        let mut plan = &course.plan;
        run.counted = plan.stats.is_some();
        if run.held.as_ref().is_some_and(|held| held.counted) {
            uncounted = plan.without_stats();
            plan = &uncounted;
            run.counted = true;
        }
        let counted = run.counted;
        let mut entry = run.held.as_ref().map(|held| self.account.set_out(held.declared));
        let prepared = match ws.prepare(plan, payload, &self.config.metadata) {
            Ok(prepared) => prepared,
            Err(error) => {
                let (Some(held), Some(entry)) = (&mut run.held, entry.take()) else {
                    return Err(self.refuse(payload, error));
                };
                held.state = HeldState::Unread;
                entry.take_back();
                return Err(error);
            }
        };
        let entry = match entry {
            None => self.account.enter(prepared.received),
            Some(mut entry) => {
                entry.reveal(Counts { bytes: entry.rest().bytes, ..prepared.received });
                entry
            }
        };
        self.notice(&prepared, started);
        let (p0_traces, p0_spans) = run.p0(&prepared.outcome);
        let (traces, spans, size, outcome) =
            (prepared.traces, prepared.spans, prepared.body.len(), prepared.outcome);
        if traces == 0 && p0_traces == 0 && p0_spans == 0 {
            entry.settle(&outcome, Fate::Sent, Effort::default());
            return Ok(AgentResponse { reply: self.no_reply(), traces: 0, spans: 0 });
        }
        let admitted = match self.admit(run) {
            Ok(admitted) => admitted,
            Err(error) if run.held.is_some() && self.tries_later(&error) => {
                if let Some(held) = &mut run.held {
                    held.state = HeldState::Later;
                }
                entry.take_back();
                return Err(error);
            }
            Err(error) => return Err(self.lose(entry, &outcome, error, run, size, traces)),
        };
        let result = if size <= self.largest(&course, size, started) {
            let left = run.left();
            self.post(&course, prepared.body, traces, (p0_traces, p0_spans), counted, (left, run.knob))
        } else {
            // As if the agent had said so, but without asking it.
            Err(Error::new(ErrorKind::PayloadTooLarge, "the payload is larger than the agent takes"))
        };
        let result = match result {
            Ok(reply) => {
                self.arrived(&course, &reply, size, traces, started);
                entry.settle(&outcome, Fate::Sent, effort(&reply, size));
                Ok(AgentResponse { reply, traces, spans })
            }
            Err(error)
                if is_format_refusal(&course, &error) || error.kind() == ErrorKind::PayloadTooLarge =>
            {
                self.otherwise(ws, payload, &course, entry, run, error, size)
            }
            Err(error) => match &mut run.held {
                Some(held) if self.tries_later(&error) => {
                    self.note_failure(&error, run.started);
                    held.state = HeldState::Later;
                    entry.take_back();
                    Err(error)
                }
                _ => Err(self.lose(entry, &outcome, error, run, size, traces)),
            },
        };
        drop(admitted);
        result
    }

    /// The agent does not take the payload as it is: another format, or smaller parts, or both.
    #[cold]
    #[allow(clippy::too_many_arguments)] // one caller
    fn otherwise(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        course: &Arc<Course>,
        mut entry: Entry<'_>,
        run: &Run,
        error: Error,
        size: usize,
    ) -> Result<AgentResponse, Error> {
        let mut course = Arc::clone(course);
        entry.note(Effort { requests: u64::from(error.attempts()), ..Effort::default() });
        let mut sum = Sum { attempts: error.attempts(), ..Sum::default() };
        if error.kind() == ErrorKind::PayloadTooLarge {
            self.too_large(&error, size);
        } else {
            course = self.refused_format(&course);
        }
        let prepared = match ws.prepare(&course.stages_to_v04(), payload, &self.config.metadata) {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.lose(entry, &Outcome::default(), error, run, size, 0)),
        };
        let (body, mut p0) = (prepared.body, run.p0(&prepared.outcome));
        let pieces = split::pieces(body);
        if pieces.len() < 2 && error.kind() == ErrorKind::PayloadTooLarge && error.attempts() > 0 {
            // The agent has refused this very trace; there is nothing to take away from it.
            let outcome = prepared.outcome;
            let error = self.name_the_offender(&course, error, body);
            return Err(self.lose(entry, &outcome, error, run, size, pieces.len() as u64));
        }
        let total = split::bytes(&pieces).max(1);
        entry.part(&prepared.outcome, Counts::default(), Fate::Sent, Effort::default());
        let input_bytes = entry.rest().bytes;

        let mut parts: VecDeque<Range<usize>> = split::pack(&pieces, self.target(&course)).into();
        if parts.is_empty() {
            parts.push_back(0..0);
        }
        let mut out = Vec::new();
        let mut converter = Workspace::default();
        while let Some(part) = parts.pop_front() {
            let chunks = pieces.get(part.clone()).unwrap_or(&[]);
            split::write(body, chunks, &mut out);
            let outcome = self.part(&course, &mut converter, &out, chunks, p0, run);
            let lost = outcome.lost;
            match outcome.result {
                Err(error) if is_format_refusal(&course, &error) => {
                    entry.note(Effort { requests: u64::from(error.attempts()), ..Effort::default() });
                    sum.attempts += error.attempts();
                    course = self.refused_format(&course);
                    parts.push_front(part);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::PayloadTooLarge => {
                    self.too_large(&error, outcome.size);
                    if let Some((first, second)) = split::halve(&pieces, &part) {
                        entry.note(Effort { requests: u64::from(error.attempts()), ..Effort::default() });
                        sum.attempts += error.attempts();
                        parts.push_front(second);
                        parts.push_front(first);
                        continue;
                    }
                    let error = self.name_the_offender(&course, error, &out);
                    sum.add(Err(error), chunks);
                }
                result => sum.add(result, chunks),
            }
            // This part has met its fate.
            let counts = Counts {
                traces: chunks.len() as u64,
                spans: split::spans(chunks),
                bytes: (input_bytes as u128 * split::bytes(chunks) as u128 / total as u128) as u64,
            };
            let counts = if parts.is_empty() { entry.rest() } else { counts };
            let conversion = Outcome { lost_in_conversion: lost, ..Outcome::default() };
            match &sum.last {
                Some(Ok(reply)) => {
                    p0 = (0, 0);
                    self.arrived(&course, reply, outcome.size, chunks.len() as u64, run.started);
                    entry.part(&conversion, counts, Fate::Sent, effort(reply, outcome.size));
                }
                Some(Err(error)) => {
                    let reason = self.book_loss(error, counts, run, outcome.size, chunks.len() as u64);
                    entry.part(&conversion, counts, Fate::Dropped(reason), loss_effort(error));
                }
                None => {}
            }
        }
        entry.settle(&Outcome::default(), Fate::Sent, Effort::default());
        sum.into_result()
    }

    /// Sends one part of a split payload.
    fn part(
        &self,
        course: &Course,
        converter: &mut Workspace,
        v04: &[u8],
        chunks: &[Piece],
        p0: (u64, u64),
        run: &Run,
    ) -> PartOutcome {
        let mut lost = 0;
        let body = if !course.plan.encodes_parts() {
            v04
        } else {
            match converter.prepare(&course.conversion(&self.config), v04, &self.config.metadata) {
                Ok(prepared) => {
                    lost = prepared.outcome.lost_in_conversion;
                    prepared.body
                }
                Err(error) => return PartOutcome { result: Err(error), size: v04.len(), lost },
            }
        };
        let size = body.len();
        let left = run.left();
        let result = if size > course.max_bytes {
            Err(Error::new(ErrorKind::PayloadTooLarge, ""))
        } else if left < LEAST_TIME {
            let text = format!(
                "the payload had to be split, and after its first parts nothing was left of {} ms (`{}`)",
                run.budget.as_millis(),
                run.knob
            );
            Err(Error::new(ErrorKind::TimedOut, text))
        } else {
            self.post(course, body, chunks.len() as u64, p0, run.counted, (left, run.knob))
        };
        PartOutcome { result, size, lost }
    }

    fn post(
        &self,
        course: &Course,
        body: &[u8],
        traces: u64,
        p0: (u64, u64),
        counted: bool,
        (budget, knob): (Duration, &'static str),
    ) -> Result<Reply, Error> {
        let request = TraceRequest {
            path: course.format.path(),
            body,
            trace_count: traces,
            dropped_p0_traces: p0.0,
            dropped_p0_spans: p0.1,
            computed_stats: self.config.client_computed_stats || counted,
            computed_top_level: self.config.client_computed_top_level
                || course.plan.top_level.is_some_and(|t| t.mark),
            budget,
            knob,
        };
        match self.client().send(&request) {
            Err(error) if was_taken(&error) => {
                self.presence.remember(&error);
                Ok(Reply {
                    status: error.status().unwrap_or(200),
                    attempts: error.attempts(),
                    possibly_duplicated: error.attempts() > 1,
                    ..self.no_reply()
                })
            }
            result => result,
        }
    }

    /// Whether what failed so is kept for later.
    fn tries_later(&self, error: &Error) -> bool {
        let closed = error.kind() == ErrorKind::Closed;
        if !self.queue.has_spool() {
            return closed && self.queue.is_suspended();
        }
        match error.status() {
            Some(status) => retry::repeats_status(status),
            None => closed || error.kind() == ErrorKind::AgentDown || retry::repeats_kind(error.kind()),
        }
    }

    /// Whether the agent is to be tried. What is queued waits for it.
    fn admit(&self, run: &Run) -> Result<Admitted<'_>, Error> {
        loop {
            match self.presence.admit(&self.address) {
                Err(error) if run.held.is_some() && Instant::now() < run.end => {
                    if !self.queue.waits_for_agent() || !self.client().pause(PATIENCE) {
                        return Err(if self.queue.is_suspended() { queue::closed() } else { error });
                    }
                }
                result => return result,
            }
        }
    }

    /// The client of the moment.
    #[inline]
    pub(super) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read())
    }

    /// How large a request may be. `size` is what one is about to have.
    #[inline]
    fn largest(&self, course: &Course, size: usize, now: Instant) -> usize {
        let learned = self.learned.target();
        let learned = if size > learned { self.learned.target_at(now) } else { learned };
        learned.min(course.max_bytes)
    }

    /// How large the parts of a v0.4 body should be.
    fn target(&self, course: &Course) -> usize {
        self.learned.target().min(course.max_bytes)
    }

    /// A request was refused as too large; one that was not even tried teaches nothing.
    fn too_large(&self, error: &Error, size: usize) {
        if error.attempts() > 0 {
            self.learned.refused(size, Instant::now());
        }
    }

    fn name_the_offender(&self, course: &Course, error: Error, body: &[u8]) -> Error {
        let said = match error.status() {
            Some(status) => format!("the agent answered {status}"),
            None if course.max_is_the_agents => {
                format!("the agent takes {} bytes (config.max_request_bytes)", course.max_bytes)
            }
            None if self.config.max_request_bytes == Some(course.max_bytes) => {
                format!("a request may have {} bytes (`maxRequestBytes`)", course.max_bytes)
            }
            None => format!("an agent takes {} bytes", course.max_bytes),
        };
        let text = format!(
            "a trace of {} bytes was dropped, since {said}: {}; knob: apm_config.max_payload_size of the agent, or fewer \
             spans a trace",
            body.len(),
            describe(body)
        );
        let named = Error::new(ErrorKind::PayloadTooLarge, text).with_attempts(error.attempts());
        error.status().map_or(named.clone(), |status| named.with_status(status))
    }

    fn refused_format(&self, course: &Arc<Course>) -> Arc<Course> {
        // What the agent offers is not what was thought.
        if self.config.discovery {
            self.arrange(Errand::Info, Instant::now() + Duration::from_secs(1));
        }
        let instead = self.courses.refused(&self.config, course);
        let text = format!(
            "the agent answered 404 to {}; {} is used instead (knob: `outputFormat`)",
            course.format.path(),
            instead.format.path()
        );
        self.journal.note(Severity::Info, text);
        instead
    }

    /// The agent has taken a request.
    #[inline]
    fn arrived(&self, course: &Course, reply: &Reply, size: usize, traces: u64, started: Instant) {
        self.presence.succeeded();
        self.journal.delivered(Instant::now);
        self.learned.accepted(size);
        if let Some(statsd) = &self.statsd {
            let sent = Sent {
                traces,
                body_bytes: size as u64,
                requests: u64::from(reply.attempts),
                took: started.elapsed(),
                failure: None,
            };
            self.tell(statsd.sent(&sent));
        }
        let known = course.info.as_ref().map(|info| &info.state_hash);
        match &reply.agent_state {
            Some(state) if known != Some(state) => self.saw_state(state),
            Some(_) => {}
            None if known.is_none() && self.discovery.has_missed() => self.saw_agent(),
            None => {}
        }
    }

    #[cold]
    fn saw_state(&self, state: &Arc<str>) {
        if self.config.discovery
            && let Some(at) = self.discovery.saw_state(state, Instant::now())
        {
            self.arrange(Errand::Info, at);
        }
    }

    #[cold]
    fn saw_agent(&self) {
        if self.config.discovery
            && let Some(at) = self.discovery.saw_agent(Instant::now())
        {
            self.arrange(Errand::Info, at);
        }
    }

    /// What the pipeline found in a payload.
    fn notice(&self, prepared: &Prepared<'_>, now: Instant) {
        let outcome = &prepared.outcome;
        if outcome.repaired > 0 || outcome.malformed.traces > 0 {
            let place = prepared.first_fault.as_deref().unwrap_or("place unknown");
            if outcome.malformed.traces > 0 {
                self.journal.trouble(Topic::Input, outcome.malformed, place, now);
            } else {
                self.journal.trouble(Topic::Repaired, Counts::default(), place, now);
            }
        }
        if let Some(refusal) = prepared.refusal {
            self.journal.trouble(Topic::Invalid, outcome.refused, refusal.label(), now);
        }
        if let Some(statsd) = &self.statsd {
            self.tell(statsd.read(Some(prepared.received)));
        }
    }

    /// Counts a payload that did not even start its way.
    #[cold]
    pub(crate) fn refuse(&self, payload: &[u8], error: Error) -> Error {
        let traces = crate::msgpack::reader::array_head(payload, 0).map_or(0, |(n, _)| u64::from(n));
        let counts = Counts { traces, spans: 0, bytes: payload.len() as u64 };
        let entry = self.account.enter(counts);
        let reason = DropReason::of(error.kind(), None);
        self.journal.trouble(Topic::of(reason), counts, error.message(), Instant::now());
        if let Some(statsd) = self.statsd.as_ref().filter(|_| reason == DropReason::Malformed) {
            self.tell(statsd.read(None));
        }
        entry.settle(&Outcome::default(), Fate::Dropped(reason), Effort::default());
        error
    }

    /// All that is left of a payload is lost.
    #[cold]
    fn lose(
        &self,
        entry: Entry<'_>,
        outcome: &Outcome,
        error: Error,
        run: &Run,
        size: usize,
        traces: u64,
    ) -> Error {
        let gone = entry.rest().minus(outcome.taken_out());
        let reason = self.book_loss(&error, gone, run, size, traces);
        entry.settle(outcome, Fate::Dropped(reason), loss_effort(&error));
        error
    }

    /// The agent did not do what was asked.
    fn note_failure(&self, error: &Error, started: Instant) {
        if error.kind() != ErrorKind::PayloadTooLarge && error.kind() != ErrorKind::AgentDown {
            let now = Instant::now();
            let probe = self.presence.failed(error, now - started, self.config.send_budget, now);
            if let Some(at) = probe {
                self.arrange(Errand::Probe, at);
            }
        }
    }

    /// Everything about a loss but the account.
    fn book_loss(&self, error: &Error, lost: Counts, run: &Run, size: usize, traces: u64) -> DropReason {
        let now = Instant::now();
        let reason = DropReason::of(error.kind(), error.status());
        self.note_failure(error, run.started);
        self.journal.trouble(Topic::of(reason), lost, error.message(), now);
        if let Some(statsd) = &self.statsd {
            let sent = Sent {
                traces,
                body_bytes: size as u64,
                requests: u64::from(error.attempts()),
                took: now - run.started,
                failure: Some((error, reason)),
            };
            self.tell(statsd.sent(&sent));
        }
        // A refusal names the agent's state too.
        if error.status().is_some()
            && let Some(state) = self.client().agent_state()
        {
            self.saw_state(&state);
        }
        reason
    }

    pub(super) fn tell(&self, first: bool) {
        if first {
            self.arrange(Errand::Health, Instant::now() + dogstatsd::INTERVAL);
        }
    }

    /// A reply without a request.
    pub(crate) fn no_reply(&self) -> Reply {
        Reply {
            status: 0,
            body: Arc::clone(&self.empty),
            rates: None,
            rates_changed: false,
            container_tags_hash: None,
            agent_state: None,
            attempts: 0,
            possibly_duplicated: false,
        }
    }

    /// Asks the agent what it offers, now and on this thread.
    pub(crate) fn fetch_info(&self, limit: Duration) -> Result<Info, Error> {
        let (now, began) = (Instant::now(), SystemTime::now());
        self.discovery.begin(now);
        let result = self.client().fetch_info(limit);
        self.presence.discovered(result.as_ref().err(), began);
        if let Err(error) = &result
            && error.kind() == ErrorKind::Closed
        {
            return result;
        }
        // Regexes of a peer take what time they take: nobody may wait for a lock meanwhile.
        let filters = result.as_ref().ok().filter(|info| !self.discovery.knows(info));
        let filters = match filters {
            Some(info) => self.courses.filters(&self.config, info),
            None => Arc::clone(&self.courses.current().filters),
        };
        let next = self.discovery.record(result.clone(), Instant::now(), |info| {
            let before = self.courses.current();
            let course = self.courses.informed(&self.config, info.clone(), filters);
            if course.max_bytes != before.max_bytes {
                self.learned.forget();
            }
            for why in course.filters.unusable.iter().filter(|why| !before.filters.unusable.contains(why)) {
                self.journal.note(Severity::Warning, format!("of the agent's trace filters, {why}"));
            }
            self.arrange_stats(true);
        });
        if self.config.discovery {
            self.timers.lock().at[Errand::Info as usize] = None;
            self.arrange(Errand::Info, next);
        }
        result
    }

    /// Waits until the agent is known. `Ok(None)`: it is there, but has no `/info`.
    pub(crate) fn await_agent(&self, limit: Duration) -> Result<Option<Info>, Error> {
        if self.discovery.info().is_none() {
            self.arrange(Errand::Info, Instant::now());
        }
        self.discovery.wait(limit)
    }

    /// Has an errand done at `at`, or earlier if that is arranged already.
    pub(super) fn arrange(&self, errand: Errand, at: Instant) {
        let mut timers = self.timers.lock();
        if timers.closed || timers.at[errand as usize].is_some_and(|known| known <= at) {
            return;
        }
        timers.at[errand as usize] = Some(at);
        match &timers.ticket {
            Some(ticket) => ticket.call_by(at),
            None => {
                let me: Weak<dyn Duty> = self.me.clone();
                timers.ticket = Some(time::register(me, Some(at)));
            }
        }
    }

    /// Ends the dialogue: what runs is interrupted, what waits ends.
    pub(crate) fn shutdown(&self) {
        let ticket = {
            let mut timers = self.timers.lock();
            timers.closed = true;
            timers.ticket.take()
        };
        drop(ticket);
        self.discovery.close();
        self.client().shutdown();
        self.errands.close(Instant::now() + ERRAND_GRACE);
        if let Some(concentrator) = &self.courses.concentrator {
            self.lose_stats(concentrator);
        }
        if let Some(statsd) = &self.statsd {
            statsd.flush_last();
        }
    }

    /// What waits in the queue is dropped.
    pub(crate) fn close_queue(&self, reason: DropReason) {
        let lost = self.queue.abandon(reason);
        if lost != Counts::default() {
            let text = "the exporter was closed before what was queued could be sent";
            self.journal.trouble(Topic::Closing, lost, text, Instant::now());
        }
    }

    /// Ends every thread and closes every connection, so that the process can be frozen.
    pub(crate) fn suspend(&self, end: Instant) {
        let idle = self.queue.suspend(end);
        let ticket = {
            let mut timers = self.timers.lock();
            timers.closed = true;
            timers.ticket.take()
        };
        drop(ticket);
        self.errands.close(end);
        self.client().shutdown();
        if !idle {
            // What was interrupted goes back into the queue.
            self.queue.suspend(Instant::now() + SUSPEND_GRACE);
        }
        self.errands.close(Instant::now() + ERRAND_GRACE);
    }

    /// As at the beginning: new connections, the container's id and `/info` read again.
    pub(crate) fn resume(self: &Arc<Self>) -> Result<(), Error> {
        let client = Client::new(&self.config)?;
        {
            let mut timers = self.timers.lock();
            if !timers.closed || self.discovery.is_closed() {
                return Ok(());
            }
            timers.closed = false;
            timers.at = Default::default();
        }
        *self.client.write() = Arc::new(client);
        self.errands.reopen();
        self.presence.forget();
        if self.config.discovery {
            Errands::want(self, Errand::Info);
        }
        self.arrange_stats(false);
        if self.queue.resume() {
            self.start_senders();
        }
        Ok(())
    }

    fn statsd_port(&self) -> Option<u16> {
        let info = self.courses.current().info.as_ref().map(|i| i.fields.config.statsd_port);
        info.filter(|port| *port > 0)
    }

    /// Address of health metrics, lines sent, lines lost.
    pub(crate) fn statsd_status(&self) -> Option<(String, u64, u64)> {
        self.statsd.as_ref().map(|s| s.status(self.statsd_port()))
    }
}

impl Duty for Dispatcher {
    fn due(&self, now: Instant) -> Option<Instant> {
        let me = self.me.upgrade()?;
        let mut due = [false; ERRANDS.len()];
        let next = {
            let mut timers = self.timers.lock();
            for (slot, due) in timers.at.iter_mut().zip(&mut due) {
                *due = slot.is_some_and(|at| at <= now);
                if *due {
                    *slot = None;
                }
            }
            timers.at.iter().flatten().min().copied()
        };
        for errand in ERRANDS {
            if due[errand as usize] {
                Errands::want(&me, errand);
            }
        }
        next
    }
}

impl Runner for Dispatcher {
    fn run(self: Arc<Self>, errand: Errand) {
        let limit = INFO_LIMIT.min(self.config.send_timeout);
        match errand {
            Errand::Info => drop(self.fetch_info(limit)),
            Errand::Probe => {
                if self.presence.begin_probe(Instant::now()) {
                    let result = self.client().fetch_info(limit);
                    let next = self.presence.probed(result.as_ref().err(), Instant::now());
                    if let Some(at) = next {
                        self.arrange(Errand::Probe, at);
                    }
                    // Whatever it missed while the agent was away.
                    if result.is_ok() && self.config.discovery {
                        self.arrange(Errand::Info, Instant::now());
                    }
                }
            }
            Errand::Stats => self.stats_errand(),
            Errand::Health => {
                if let Some(statsd) = &self.statsd {
                    let queue = self.queue.status();
                    statsd.queue(&queue);
                    statsd.flush(self.statsd_port());
                    // While the agent is away nothing else would come back here.
                    self.tell(queue.payloads > 0);
                }
            }
        }
    }

    fn errands(&self) -> &Errands {
        &self.errands
    }
}

impl Run {
    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Chunks and spans that sampling dropped, here and at the tracer.
    fn p0(&self, outcome: &Outcome) -> (u64, u64) {
        let sampled = outcome.sampled_out;
        (self.dropped.traces.saturating_add(sampled.traces), self.dropped.spans.saturating_add(sampled.spans))
    }
}

struct PartOutcome {
    result: Result<Reply, Error>,
    size: usize,
    lost: u64,
}

/// The parts of one payload put together again.
#[derive(Default)]
struct Sum {
    traces: u64,
    spans: u64,
    attempts: u32,
    failed_traces: u64,
    rates_changed: bool,
    possibly_duplicated: bool,
    last: Option<Result<Reply, Error>>,
    reply: Option<Reply>,
    error: Option<Error>,
}

impl Sum {
    fn add(&mut self, result: Result<Reply, Error>, chunks: &[Piece]) {
        match &result {
            Ok(reply) => {
                self.attempts += reply.attempts;
                self.traces += chunks.len() as u64;
                self.spans += split::spans(chunks);
                self.rates_changed |= reply.rates_changed;
                self.possibly_duplicated |= reply.possibly_duplicated;
                self.reply = Some(reply.clone());
            }
            Err(error) => {
                self.attempts += error.attempts();
                self.failed_traces += chunks.len() as u64;
                self.error.get_or_insert_with(|| error.clone());
            }
        }
        self.last = Some(result);
    }

    /// A success only if every part was one; else the first error, saying how much got through.
    fn into_result(self) -> Result<AgentResponse, Error> {
        match (self.error, self.reply) {
            (None, Some(mut reply)) => {
                reply.attempts = self.attempts;
                reply.rates_changed = self.rates_changed;
                reply.possibly_duplicated = self.possibly_duplicated;
                Ok(AgentResponse { reply, traces: self.traces, spans: self.spans })
            }
            (Some(error), _) if self.traces > 0 => {
                let all = self.traces + self.failed_traces;
                Err(error
                    .note(&format!("; {} of {all} traces were sent", self.traces))
                    .with_attempts(self.attempts))
            }
            (Some(error), _) => Err(error.with_attempts(self.attempts)),
            (None, None) => Err(Error::new(ErrorKind::Internal, "a split payload had no parts")),
        }
    }
}

fn is_format_refusal(course: &Course, error: &Error) -> bool {
    course.format != OutputFormat::V04 && error.status() == Some(404)
}

/// Whether a failure is only one of reading the agent's words after it had said yes.
fn was_taken(error: &Error) -> bool {
    error.possibly_arrived() && error.status().is_some_and(|s| (200..300).contains(&s))
}

fn effort(reply: &Reply, size: usize) -> Effort {
    Effort {
        requests: u64::from(reply.attempts),
        body_bytes: size as u64,
        possibly_arrived: reply.possibly_duplicated,
    }
}

fn loss_effort(error: &Error) -> Effort {
    Effort {
        requests: u64::from(error.attempts()),
        body_bytes: 0,
        possibly_arrived: error.possibly_arrived(),
    }
}
