//! The way of one payload, top-down in [`Dispatcher::send_payload`]: pipeline, request, what the answer makes
//! of it, account.
//!
//! What is tried when a body is refused as it is stands in [`fallback`](super::fallback), what is told of
//! fates in [`booking`](super::booking), what runs beside sends in [`dialogue`](super::dialogue), beginning
//! and end in [`life`](super::life).
//!
//! An answer that began as a success and then broke off, or cannot be read, counts as sent: the peer has
//! taken the payload, only its words are lost (a web page is no such answer). A request that was written
//! whole and never answered counts as dropped, and as `possibly_arrived`.

use super::booking::{Bytes, Loss};
use super::dialogue::Timers;
use super::life::Life;
use super::live::Live;
use super::outbox::queue::{self, Queue};
use super::presence::Admitted;
use super::response::{AgentResponse, DroppedP0, LeftOut, SendOptions};
use super::target::{Grounds, Target, Targets};
use super::tasks::Tasks;
use super::watch::Watch;
use super::way::Way;
use crate::account::{Account, Counts, DropReason, Effort, Entry, Fate, Later, Outcome, Past, Verdict};
use crate::convert::Workspace;
use crate::destination::{Reply, Request};
use crate::error::{Error, ErrorKind};
use crate::settings::{Config, Metadata};
use crate::stats::Concentrator;
use crate::time::Clock;
use crate::transport::http::QUEUED;
use crate::transport::outlet::Outlet;
use parking_lot::{Mutex, RwLock};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often what is queued looks whether its peer is back.
const PATIENCE: Duration = Duration::from_millis(20);
/// With less time left a body is not sent.
const LEAST_TIME: Duration = Duration::from_millis(20);

/// Everything that one exporter knows while it delivers.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(super) me: Weak<Self>,
    /// The settings that it was made with; those that cannot change are read here.
    pub(crate) config: Arc<Config>,
    /// The settings in force.
    pub(super) live: RwLock<Arc<Live>>,
    /// Held while they change.
    pub(super) changing: Mutex<()>,
    /// Who sends; another one after `resume`, since the process is another one then.
    pub(super) metadata: RwLock<Arc<Metadata>>,
    pub(crate) account: Arc<Account>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) targets: Targets,
    /// What every body passes on its way out.
    pub(crate) outlet: Arc<Outlet>,
    /// Where spans are counted while stats are on.
    pub(crate) concentrator: Option<Arc<Concentrator>>,
    pub(super) watch: Arc<dyn Watch>,
    /// Held while stats are sent.
    pub(super) stats_turn: Mutex<()>,
    pub(super) tasks: Tasks,
    pub(super) timers: Mutex<Timers>,
    pub(super) life: Mutex<Life>,
    pub(crate) clock: Clock,
    pub(super) empty: Arc<[u8]>,
}

/// Where a payload goes.
pub(super) type Toward<'a> = (&'a Arc<Target>, &'a Arc<Way>);

/// One send in progress.
pub(super) struct Run {
    pub(super) started: Instant,
    pub(super) end: Instant,
    /// How long it may take, and the setting that says so.
    pub(super) budget: Duration,
    pub(super) knob: &'static str,
    pub(super) dropped: DroppedP0,
    /// The payload's spans were counted, here or by the tracer, so nobody must count them again.
    pub(super) counted: bool,
    /// It comes from the queue; this is what it has behind it.
    pub(super) queued: Option<Past>,
    pub(super) clock: Clock,
    /// How often it has gone to another destination, the requests made before, and whether one of them was written
    /// whole.
    pub(super) turns: usize,
    pub(super) attempts: u32,
    pub(super) possibly_arrived: bool,
}

/// What has become of a payload at one destination.
#[allow(clippy::large_enum_variant)] // one a send, and never kept
enum Step<'a> {
    Done(Verdict<AgentResponse>),
    /// It is to go to this one.
    Elsewhere(Arc<Target>, Entry<'a>),
}

/// A payload out of the queue or the spool, or several merged into one.
pub(super) struct Queued {
    /// What stands in the account for it.
    pub(super) counts: Counts,
    /// What the tracer dropped beside it.
    pub(super) dropped: DroppedP0,
    /// What it has behind it.
    pub(super) past: Past,
    /// How long it may be tried.
    pub(super) end: Instant,
}

impl Dispatcher {
    /// Takes one payload all the way, on the caller's thread.
    pub(crate) fn process(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        options: SendOptions,
    ) -> Result<AgentResponse, Error> {
        self.process_since(self.clock.now(), ws, payload, options)
    }

    /// As [`Dispatcher::process`], for a send that began earlier.
    pub(crate) fn process_since(
        &self,
        started: Instant,
        ws: &mut Workspace,
        payload: &[u8],
        options: SendOptions,
    ) -> Result<AgentResponse, Error> {
        let budget = self.live().config.send_budget;
        let run = &mut Run {
            started,
            end: started + budget,
            budget,
            knob: "sendBudget",
            dropped: options.dropped,
            counted: options.client_computed_stats,
            queued: None,
            clock: self.clock.clone(),
            turns: 0,
            attempts: 0,
            possibly_arrived: false,
        };
        match self.send_payload(ws, payload, run, None) {
            Verdict::Sent(response) => Ok(response),
            Verdict::Later(later) => Err(later.error),
            Verdict::Lost(e) | Verdict::Unreadable(e) | Verdict::OtherFormat(e) | Verdict::TooLarge(e) => {
                Err(e)
            }
        }
    }

    /// Takes queued payloads, perhaps merged into one, all the way. The account knows of what is sent or lost; what is
    /// unreadable or to be tried later is `queued` still.
    pub(super) fn process_queued(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        queued: Queued,
    ) -> Verdict<AgentResponse> {
        let (started, end) = (self.clock.now(), queued.end);
        let run = &mut Run {
            started,
            end,
            budget: end.saturating_duration_since(started),
            knob: QUEUED,
            dropped: queued.dropped,
            counted: false,
            queued: Some(queued.past),
            clock: self.clock.clone(),
            turns: 0,
            attempts: 0,
            possibly_arrived: false,
        };
        self.send_payload(ws, payload, run, Some(self.account.set_out(queued.counts)))
    }

    fn send_payload<'a>(
        &'a self,
        ws: &mut Workspace,
        payload: &[u8],
        run: &mut Run,
        mut entry: Option<Entry<'a>>,
    ) -> Verdict<AgentResponse> {
        let mut target = self.targets.current();
        loop {
            match self.send_toward(ws, payload, &target, run, entry) {
                Step::Done(verdict) => return verdict,
                Step::Elsewhere(other, on_its_way) => {
                    target = other;
                    entry = Some(on_its_way);
                }
            }
        }
    }

    /// Prepares a payload for one destination and sends it there.
    fn send_toward<'a>(
        &'a self,
        ws: &mut Workspace,
        payload: &[u8],
        target: &Arc<Target>,
        run: &mut Run,
        entry: Option<Entry<'a>>,
    ) -> Step<'a> {
        let way = target.way();
        let past = run.queued.unwrap_or_default();
        let other;
        let plan = if past.staged {
            other = way.plan.only_encoding();
            &other
        } else if way.plan.stats.is_some() && (past.counted || run.counted) {
            other = way.plan.without_stats();
            &other
        } else {
            &way.plan
        };
        run.counted |= past.counted || plan.stats.is_some();
        let prepared = match ws.prepare(plan, payload, &way.metadata) {
            Ok(prepared) => prepared,
            Err(error) => {
                return Step::Done(match entry {
                    None => Verdict::Lost(self.refuse(payload, error)),
                    Some(entry) if run.turns > 0 => {
                        let outcome = &Outcome::default();
                        let loss = Loss { error, outcome, of: run.bytes(payload), size: 0, traces: 0 };
                        Verdict::Lost(self.lose(target, entry, run, loss))
                    }
                    Some(entry) => {
                        entry.leave_queued();
                        Verdict::Unreadable(error)
                    }
                });
            }
        };
        let mut entry = match entry {
            None => self.account.enter(prepared.received),
            Some(mut entry) => {
                entry.reveal(Counts { bytes: entry.rest().bytes, ..prepared.received });
                entry
            }
        };
        if run.turns == 0 {
            self.notice(&prepared);
        }
        let dropped = run.p0(&prepared.outcome);
        let (traces, spans, size, outcome) =
            (prepared.traces, prepared.spans, prepared.body.len(), prepared.outcome);
        let left_out = LeftOut::from(&outcome);
        if traces == 0 && dropped == DroppedP0::default() {
            entry.settle(&outcome, Fate::Sent, Effort::default());
            let reply = self.no_reply();
            return Step::Done(Verdict::Sent(AgentResponse { reply, traces: 0, spans: 0, left_out }));
        }
        let admitted = match self.admit(target, run) {
            Ok(admitted) => admitted,
            Err(error) => {
                if let Some(other) = self.instead(target, run, &error, &mut entry) {
                    return Step::Elsewhere(other, entry);
                }
                let loss = Loss { error, outcome: &outcome, of: run.bytes(payload), size, traces };
                return Step::Done(self.not_now(target, entry, run, loss));
            }
        };
        let limit = way.offer.max_bytes.min(target.destination.largest(size, run.started));
        let verdict = self.post((target, &way), prepared.body, limit, traces, dropped, run);
        let verdict = match verdict {
            Verdict::Sent(mut reply) => {
                self.arrived(target, &way, &reply, size, traces, run);
                let mut entry = entry;
                let (traces, spans) = self.book_rejected(&mut entry, &reply, (traces, spans));
                entry.settle(&outcome, fate_of(&reply), run.effort(&reply, size));
                reply.attempts += run.attempts;
                Verdict::Sent(AgentResponse { reply, traces, spans, left_out })
            }
            Verdict::OtherFormat(error) | Verdict::TooLarge(error) => {
                self.fall_back(ws, payload, (target, &way), entry, run, error)
            }
            Verdict::Later(later) => {
                if let Some(other) = self.instead(target, run, &later.error, &mut entry) {
                    return Step::Elsewhere(other, entry);
                }
                let of = run.bytes(payload);
                let loss = Loss { error: later.error, outcome: &outcome, of, size, traces };
                self.not_now(target, entry, run, loss)
            }
            Verdict::Lost(error) | Verdict::Unreadable(error) => {
                if let Some(other) = self.instead(target, run, &error, &mut entry) {
                    return Step::Elsewhere(other, entry);
                }
                let loss = Loss { error, outcome: &outcome, of: run.bytes(payload), size, traces };
                Verdict::Lost(self.lose(target, entry, run, loss))
            }
        };
        drop(admitted);
        Step::Done(verdict)
    }

    /// Sends one body, if it is not larger than `limit`, and says what became of it.
    pub(super) fn post(
        &self,
        (target, way): Toward<'_>,
        body: &[u8],
        limit: usize,
        traces: u64,
        dropped: DroppedP0,
        run: &Run,
    ) -> Verdict<Reply> {
        if body.len() > limit {
            // As if the peer had said so, but without asking it.
            let text = format!("the payload is larger than {} takes", target.destination.address());
            return Verdict::TooLarge(Error::new(ErrorKind::PayloadTooLarge, text));
        }
        let live = self.live();
        let verdict = target.destination.send(&Request {
            offer: &way.offer,
            body,
            traces,
            dropped,
            computed_stats: live.config.client_computed_stats || run.counted,
            computed_top_level: live.config.client_computed_top_level
                || way.plan.top_level.is_some_and(|t| t.mark),
            budget: self.share(target, run),
            knob: run.knob,
        });
        if let Verdict::Sent(Reply { fault: Some(error), .. }) = &verdict {
            target.presence.remember(error);
        }
        self.tell_of_capture();
        verdict
    }

    /// What did not arrive and may another time: it stays queued if it comes from there, else it is lost.
    #[cold]
    fn not_now(
        &self,
        target: &Target,
        mut entry: Entry<'_>,
        run: &Run,
        loss: Loss<'_>,
    ) -> Verdict<AgentResponse> {
        let Some(past) = run.queued else {
            return Verdict::Lost(self.lose(target, entry, run, loss));
        };
        let error = loss.error;
        self.note_failure(target, &error, run.started);
        entry.note(Effort { requests: u64::from(error.attempts()), ..Effort::default() });
        Verdict::Later(Box::new(Later {
            past: Past {
                counted: run.counted,
                possibly_arrived: run.has_arrived_before() || error.possibly_arrived(),
                ..past
            },
            error,
            counts: entry.leave_queued(),
            dropped: run.dropped,
            rest: None,
        }))
    }

    /// Whether the peer is to be tried. What is queued waits for it.
    fn admit<'t>(&self, target: &'t Arc<Target>, run: &Run) -> Result<Admitted<'t>, Error> {
        loop {
            match target.presence.admit(target.destination.address()) {
                Err(error) if self.targets.has_replaced(target) => return Err(error),
                Err(error) if run.queued.is_some() && self.clock.now() < run.end => {
                    if !self.queue.waits_for_agent() || !target.destination.pause(PATIENCE) {
                        return Err(if self.queue.is_suspended() { queue::closed() } else { error });
                    }
                }
                result => return result,
            }
        }
    }

    /// Whether there is somebody to send to.
    pub(super) fn is_peer_there(&self) -> bool {
        !self.targets.current().presence.is_down()
    }

    /// What ways are made from.
    pub(super) fn grounds<'a>(&'a self, live: &'a Live, metadata: &'a Arc<Metadata>) -> Grounds<'a> {
        let concentrator = self.concentrator.as_ref();
        Grounds { config: &live.config, metadata, compiled: &live.compiled, concentrator }
    }

    /// A reply without a request.
    pub(crate) fn no_reply(&self) -> Reply {
        Reply::without_words(0, 0, Arc::clone(&self.empty))
    }
}

/// What became of a body that nobody refused.
pub(super) fn fate_of(reply: &Reply) -> Fate {
    if reply.is_dry { Fate::Dropped(DropReason::DryRun) } else { Fate::Sent }
}

impl Run {
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(self.clock.now())
    }

    /// Whether the time is over.
    pub(super) fn is_over(&self) -> bool {
        self.left() < LEAST_TIME
    }

    /// What a payload of this run is in.
    pub(super) fn bytes<'p>(&self, payload: &'p [u8]) -> Bytes<'p> {
        let staged = self.queued.is_some_and(|past| past.staged);
        if staged { Bytes::V04(payload) } else { Bytes::Input(payload) }
    }

    /// Chunks and spans that sampling dropped, here and at the tracer.
    pub(super) fn p0(&self, outcome: &Outcome) -> DroppedP0 {
        self.dropped.plus(outcome.sampled_out.traces, outcome.sampled_out.spans)
    }

    fn has_arrived_before(&self) -> bool {
        self.possibly_arrived || self.queued.is_some_and(|past| past.possibly_arrived)
    }

    /// The figures of a body that was taken.
    pub(super) fn effort(&self, reply: &Reply, size: usize) -> Effort {
        if reply.is_dry {
            return Effort::default();
        }
        Effort {
            requests: u64::from(reply.attempts),
            body_bytes: size as u64,
            possibly_arrived: reply.possibly_duplicated || self.has_arrived_before(),
        }
    }

    /// The figures of a body that is given up.
    pub(super) fn loss_effort(&self, error: &Error) -> Effort {
        Effort {
            requests: u64::from(error.attempts()),
            body_bytes: 0,
            possibly_arrived: error.possibly_arrived() || self.has_arrived_before(),
        }
    }
}
