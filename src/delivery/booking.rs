//! What is told of fates: to the account, to whoever watches, and to what is known of the peer.

use super::dispatch::{Dispatcher, Run};
use super::target::Target;
use super::tasks::{Task, Tasks};
use super::watch::{Body, Event, Severity};
use super::way::Way;
use crate::account::{Counts, DropReason, Effort, Entry, Fate, Outcome};
use crate::convert::Workspace;
use crate::destination::{Reply, split};
use crate::error::{Error, ErrorKind};
use crate::format::declared_traces;
use crate::pipeline::{Plan, Prepared};
use crate::trace::{describe, describe_chunk};
use std::time::Instant;

/// A payload, or a part of one, that is lost.
pub(super) struct Loss<'a> {
    pub(super) error: Error,
    /// What the stages took out of it before.
    pub(super) outcome: &'a Outcome,
    pub(super) of: Bytes<'a>,
    /// What would have been sent.
    pub(super) size: usize,
    pub(super) traces: u64,
}

/// Where the traces of a loss can be read.
#[derive(Clone, Copy)]
pub(super) enum Bytes<'a> {
    /// As the tracer handed them over.
    Input(&'a [u8]),
    /// A v0.4 payload that we made.
    V04(&'a [u8]),
}

impl Dispatcher {
    /// A capture that fails says so once.
    #[inline]
    pub(super) fn tell_of_capture(&self) {
        if let Some(text) = self.outlet.trouble() {
            self.say(Severity::Warning, text);
        }
    }

    /// The peer has taken a request, or would have been sent it in a dry run.
    #[inline]
    pub(super) fn arrived(
        &self,
        target: &Target,
        way: &Way,
        reply: &Reply,
        size: usize,
        traces: u64,
        run: &Run,
    ) {
        if reply.is_dry {
            return;
        }
        target.taken.add(reply.attempts, traces, size as u64);
        if target.presence.succeeded() {
            self.is_back(target);
        }
        self.notify(Event::Delivered(Body {
            traces,
            bytes: size as u64,
            requests: u64::from(reply.attempts),
            status: reply.status,
            started: run.started,
        }));
        let known = way.offer.state.as_ref();
        match &reply.agent_state {
            Some(state) if known != Some(state) => self.saw_state(target, state),
            Some(_) => {}
            None if known.is_none() && target.discovery.has_missed() => self.saw_peer(target),
            None => {}
        }
        if self.tasks.is_stuck() {
            self.unstick();
        }
    }

    /// The system had no thread for something; perhaps it has one now.
    #[cold]
    fn unstick(&self) {
        if let Some(me) = self.me.upgrade() {
            Tasks::unstick(&me);
        }
        self.keep_time();
    }

    /// What the pipeline found in a payload.
    pub(super) fn notice(&self, prepared: &Prepared<'_>) {
        let outcome = &prepared.outcome;
        if outcome.repaired > 0 || outcome.malformed.traces > 0 {
            let place = prepared.first_fault.as_deref().unwrap_or("place unknown");
            if outcome.malformed.traces > 0 {
                let first = || named(prepared.first_malformed);
                self.notify_loss(DropReason::Malformed, outcome.malformed, place, &first);
            } else {
                self.notify(Event::Repaired(place));
            }
        }
        if let Some(refusal) = prepared.refusal {
            let first = || named(prepared.first_refused);
            self.notify_loss(DropReason::InvalidTrace, outcome.refused, refusal.label(), &first);
        }
        self.notify(Event::Read(prepared.received));
    }

    /// Counts a payload that did not even start its way.
    #[cold]
    pub(crate) fn refuse(&self, payload: &[u8], error: Error) -> Error {
        let traces = declared_traces(self.config.input_format, payload);
        let counts = Counts { traces, spans: 0, bytes: payload.len() as u64 };
        self.refuse_counted(counts, error, &|| self.first_trace(Bytes::Input(payload)))
    }

    /// As [`Dispatcher::refuse`], a payload of this size that there is no memory for.
    #[cold]
    pub(crate) fn refuse_unseen(&self, size: usize, error: Error) -> Error {
        self.refuse_counted(Counts { bytes: size as u64, ..Counts::default() }, error, &|| None)
    }

    fn refuse_counted(&self, counts: Counts, error: Error, first: &dyn Fn() -> Option<String>) -> Error {
        let reason = DropReason::of_error(&error);
        self.account.refuse(counts, reason);
        self.notify_loss(reason, counts, error.message(), first);
        if reason == DropReason::Malformed {
            self.notify(Event::Unread);
        }
        error
    }

    /// A panic has cost a payload, and its entry has told the account.
    #[cold]
    pub(super) fn tell_of_defect(&self, payload: &[u8]) {
        let counts = Counts {
            traces: declared_traces(self.config.input_format, payload),
            spans: 0,
            bytes: payload.len() as u64,
        };
        let why = "the payload was lost by a defect of this library";
        self.notify_loss(DropReason::Internal, counts, why, &|| self.first_trace(Bytes::Input(payload)));
    }

    /// All that is left of a payload is lost.
    #[cold]
    pub(super) fn lose(&self, target: &Target, entry: Entry<'_>, run: &Run, loss: Loss<'_>) -> Error {
        let gone = entry.rest().minus(loss.outcome.taken_out());
        let reason = self.book_loss(target, gone, run, &loss);
        entry.settle(loss.outcome, Fate::Dropped(reason), run.loss_effort(&loss.error));
        loss.error
    }

    /// The peer has taken a request and rejected spans of it, which are lost. Gives what is left of traces and spans.
    pub(super) fn book_rejected(
        &self,
        entry: &mut Entry<'_>,
        reply: &Reply,
        (traces, spans): (u64, u64),
    ) -> (u64, u64) {
        let rejected = reply.rejected_spans.min(spans);
        if rejected == 0 {
            return (traces, spans);
        }
        // Which traces they were of is not said: a trace is gone when all are.
        let gone = if rejected == spans { traces } else { 0 };
        let counts = Counts { traces: gone, spans: rejected, bytes: 0 };
        let reason = DropReason::RejectedByPeer;
        entry.part(&Outcome::default(), counts, Fate::Dropped(reason), Effort::default());
        let why = reply.fault.as_ref().map_or("the peer rejected them", Error::message);
        self.notify_loss(reason, counts, why, &|| None);
        (traces - gone, spans - rejected)
    }

    /// The peer did not do what was asked.
    pub(super) fn note_failure(&self, target: &Target, error: &Error, started: Instant) {
        if error.kind() != ErrorKind::PayloadTooLarge && error.kind() != ErrorKind::AgentDown {
            let took = self.clock.now().saturating_duration_since(started);
            if let Some(at) = target.presence.failed(error, took, self.live().config.send_budget) {
                self.arrange(Task::Probe, at);
            }
        }
    }

    /// Everything about a loss but the account.
    pub(super) fn book_loss(&self, target: &Target, lost: Counts, run: &Run, loss: &Loss<'_>) -> DropReason {
        let error = &loss.error;
        let reason = DropReason::of_error(error);
        self.note_failure(target, error, run.started);
        self.notify_loss(reason, lost, error.message(), &|| self.first_trace(loss.of));
        let body = Body {
            traces: loss.traces,
            bytes: loss.size as u64,
            requests: u64::from(error.attempts()),
            status: error.status().unwrap_or_default(),
            started: run.started,
        };
        self.notify(Event::NotDelivered(body, error, reason));
        // A refusal names the peer's state too.
        if error.status().is_some()
            && let Some(state) = target.destination.last_state()
        {
            self.saw_state(target, &state);
        }
        reason
    }

    /// Tells of what is gone. `first` names the first trace of it, and is asked only if somebody wants to know.
    #[cold]
    pub(super) fn notify_loss(
        &self,
        reason: DropReason,
        counts: Counts,
        why: &str,
        first: &dyn Fn() -> Option<String>,
    ) {
        self.notify(Event::Lost { reason, counts, why, first });
    }

    /// A line that stands for itself.
    pub(super) fn say(&self, severity: Severity, text: String) {
        self.notify(Event::Note(severity, text));
    }

    pub(super) fn notify(&self, event: Event<'_>) {
        let wanted = self.watch.notify(event);
        self.arrange_watch(wanted);
    }

    /// The first trace of a payload, for people: service, resource, spans, bytes.
    #[cold]
    pub(super) fn first_trace(&self, of: Bytes<'_>) -> Option<String> {
        let mut ws = Workspace::default();
        let v04 = match of {
            Bytes::V04(v04) => v04,
            Bytes::Input(payload) => {
                let way = self.targets.current().way();
                match Plan::is_scannable(payload) {
                    true => payload,
                    false => ws.prepare(&way.plan.reading(), payload, &way.metadata).ok()?.body,
                }
            }
        };
        let first = split::first(v04)?;
        Some(format!("{}, {} bytes", describe(v04), split::bytes(&[first])))
    }
}

/// A chunk for people, if there is one.
pub(super) fn named(chunk: &[u8]) -> Option<String> {
    (!chunk.is_empty()).then(|| describe_chunk(chunk))
}
