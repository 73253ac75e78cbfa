//! When a peer does not take a payload as it is: another format, or smaller parts, or both.
//!
//! The payload is made v0.4 once more, split by traces, and sent part by part. What does not arrive and may
//! another time stays queued: the rest of the payload, from the first part that did not arrive on. A peer
//! that refuses ever smaller parts refuses everything, so it is not asked again and again.

use super::booking::{Bytes, Loss};
use super::dispatch::{Dispatcher, Run, Toward, fate_of};
use super::response::{AgentResponse, DroppedP0, LeftOut};
use super::target::Target;
use crate::account::{Counts, Effort, Entry, Fate, Later, Outcome, Past, Verdict};
use crate::convert::Workspace;
use crate::destination::split::{self, Piece};
use crate::destination::{Limit, Reply};
use crate::error::{Error, ErrorKind};
use crate::trace::describe;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After so many requests in a row that were too large, whatever their size, splitting is no help.
const REFUSALS: u32 = 8;
/// When a peer that refused everything is asked again.
const LATER: Duration = Duration::from_secs(60);

/// What became of one part.
struct PartVerdict {
    verdict: Verdict<Reply>,
    size: usize,
    lost_in_conversion: u64,
}

impl Dispatcher {
    /// Sends a payload that was refused as it is.
    #[cold]
    pub(super) fn fall_back(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        (target, way): Toward<'_>,
        mut entry: Entry<'_>,
        run: &Run,
        refusal: Error,
    ) -> Verdict<AgentResponse> {
        let mut way = Arc::clone(way);
        entry.note(Effort { requests: u64::from(refusal.attempts()), ..Effort::default() });
        let mut sum = Sum { attempts: refusal.attempts(), ..Sum::default() };
        let is_too_large = refusal.kind() == ErrorKind::PayloadTooLarge;
        let mut refusals = u32::from(is_too_large && refusal.attempts() > 0);
        if !is_too_large {
            way = self.format_refused(target, &way, &refusal);
        }
        let plan = match run.queued {
            Some(Past { staged: true, .. }) => way.plan.only_encoding().for_splitting(),
            _ => way.plan.for_splitting(),
        };
        let prepared = match ws.prepare(&plan, payload, &way.metadata) {
            Ok(prepared) => prepared,
            Err(error) => {
                let outcome = &Outcome::default();
                let loss = Loss { error, outcome, of: run.bytes(payload), size: 0, traces: 0 };
                return Verdict::Lost(self.lose(target, entry, run, loss));
            }
        };
        let (body, outcome) = (prepared.body, prepared.outcome);
        let mut dropped = run.p0(&outcome);
        let pieces = split::pieces(body);
        if pieces.len() < 2 && refusals > 0 {
            // The peer has refused this very trace; there is nothing to take away from it.
            let error = self.name_the_offender((target, &way), refusal, body);
            let (size, traces) = (body.len(), pieces.len() as u64);
            let loss = Loss { error, outcome: &outcome, of: Bytes::V04(body), size, traces };
            return Verdict::Lost(self.lose(target, entry, run, loss));
        }
        sum.left_out = LeftOut::from(&outcome);
        entry.part(&outcome, Counts::default(), Fate::Sent, Effort::default());
        let share = Share { bytes: entry.rest().bytes, of: split::bytes(&pieces).max(1) };

        let limit = way.offer.max_bytes.min(target.destination.largest(0, run.started));
        let mut parts: VecDeque<Range<usize>> = target.destination.split(&pieces, limit).into();
        if parts.is_empty() {
            parts.push_back(0..0);
        }
        let mut out = Vec::new();
        let mut converter = Workspace::default();
        while let Some(part) = parts.pop_front() {
            let chunks = pieces.get(part.clone()).unwrap_or(&[]);
            split::write(body, chunks, &mut out);
            let PartVerdict { verdict, size, lost_in_conversion } =
                self.send_part((target, &way), &mut converter, &out, chunks, dropped, run);
            let error = match verdict {
                Verdict::Sent(reply) => {
                    refusals = 0;
                    let whole = (chunks.len() as u64, split::spans(chunks));
                    let (traces, spans) = self.book_rejected(&mut entry, &reply, whole);
                    let all = if parts.is_empty() { entry.rest() } else { share.counts(chunks) };
                    let counts =
                        Counts { traces: all.traces.min(traces), spans: all.spans.min(spans), ..all };
                    let conversion = Outcome { lost_in_conversion, ..Outcome::default() };
                    self.arrived(target, &way, &reply, size, chunks.len() as u64, run);
                    entry.part(&conversion, counts, fate_of(&reply), run.effort(&reply, size));
                    dropped = DroppedP0::default();
                    sum.sent(reply, chunks);
                    continue;
                }
                Verdict::OtherFormat(error) => {
                    sum.asked(&mut entry, &error);
                    way = self.format_refused(target, &way, &error);
                    parts.push_front(part);
                    continue;
                }
                Verdict::TooLarge(error) => {
                    refusals += u32::from(error.attempts() > 0);
                    if refusals >= REFUSALS {
                        sum.asked(&mut entry, &error);
                        target.destination.forget_refusals();
                        let left = pieces.get(part.start..).unwrap_or(&[]);
                        let error = refuses_everything(
                            target,
                            (refusals, size),
                            left.len(),
                            &error,
                            self.clock.now(),
                        );
                        let later = self.keep_rest(run, (body, left), dropped, &error);
                        return self.end(target, entry, run, (body, left), error, later, sum);
                    }
                    if let Some((first, second)) = split::halve(&pieces, &part) {
                        sum.asked(&mut entry, &error);
                        parts.push_front(second);
                        parts.push_front(first);
                        continue;
                    }
                    self.name_the_offender((target, &way), error, &out)
                }
                Verdict::Later(later) if run.queued.is_some() => {
                    sum.asked(&mut entry, &later.error);
                    self.note_failure(target, &later.error, run.started);
                    let left = pieces.get(part.start..).unwrap_or(&[]);
                    let later = self.keep_rest(run, (body, left), dropped, &later.error);
                    let error = Error::new(ErrorKind::Internal, "a payload that is kept was given up");
                    return self.end(target, entry, run, (body, left), error, later, sum);
                }
                Verdict::Later(later) => later.error,
                Verdict::Lost(error) | Verdict::Unreadable(error) => error,
            };
            let counts = if parts.is_empty() { entry.rest() } else { share.counts(chunks) };
            let conversion = Outcome { lost_in_conversion, ..Outcome::default() };
            let traces = chunks.len() as u64;
            let loss = Loss { error, outcome: &conversion, of: Bytes::V04(&out), size, traces };
            let reason = self.book_loss(target, counts, run, &loss);
            entry.part(&conversion, counts, Fate::Dropped(reason), run.loss_effort(&loss.error));
            sum.lost(loss.error, chunks);
        }
        entry.settle(&Outcome::default(), Fate::Sent, Effort::default());
        sum.into_verdict()
    }

    /// What is left of a queued payload, to be tried another time. `None`: it does not come from the queue.
    fn keep_rest(
        &self,
        run: &Run,
        (body, left): (&[u8], &[Piece]),
        dropped: DroppedP0,
        error: &Error,
    ) -> Option<Box<Later>> {
        let past = run.queued?;
        let mut rest = Vec::new();
        split::write(body, left, &mut rest);
        let possibly_arrived = past.possibly_arrived || error.possibly_arrived();
        Some(Box::new(Later {
            past: Past { counted: run.counted, staged: true, possibly_arrived },
            dropped,
            rest: Some(rest),
            ..*Later::whole(error.clone())
        }))
    }

    /// The rest of a payload stays queued, or is given up.
    #[allow(clippy::too_many_arguments)] // two callers
    fn end(
        &self,
        target: &Target,
        mut entry: Entry<'_>,
        run: &Run,
        (body, left): (&[u8], &[Piece]),
        error: Error,
        later: Option<Box<Later>>,
        mut sum: Sum,
    ) -> Verdict<AgentResponse> {
        if let Some(mut later) = later {
            later.counts = entry.leave_queued();
            return Verdict::Later(later);
        }
        let counts = entry.rest();
        let mut first = Vec::new();
        split::write(body, left.get(..1).unwrap_or(&[]), &mut first);
        let (none, traces) = (Outcome::default(), left.len() as u64);
        // Its requests are counted already.
        let error = error.with_attempts(0);
        let loss = Loss { error, outcome: &none, of: Bytes::V04(&first), size: 0, traces };
        let reason = self.book_loss(target, counts, run, &loss);
        entry.part(&none, counts, Fate::Dropped(reason), run.loss_effort(&loss.error));
        sum.lost(loss.error, left);
        sum.into_verdict()
    }

    /// Sends one part of a split payload.
    fn send_part(
        &self,
        (target, way): Toward<'_>,
        converter: &mut Workspace,
        v04: &[u8],
        chunks: &[Piece],
        dropped: DroppedP0,
        run: &Run,
    ) -> PartVerdict {
        let mut lost_in_conversion = 0;
        let body = if !way.plan.encodes_parts() {
            v04
        } else {
            match converter.prepare(&way.plan.only_encoding(), v04, &way.metadata) {
                Ok(prepared) => {
                    lost_in_conversion = prepared.outcome.lost_in_conversion;
                    prepared.body
                }
                Err(error) => {
                    return PartVerdict {
                        verdict: Verdict::Lost(error),
                        size: v04.len(),
                        lost_in_conversion,
                    };
                }
            }
        };
        let size = body.len();
        let verdict = if run.is_over() && size <= way.offer.max_bytes {
            let text = format!(
                "the payload had to be split, and after its first parts nothing was left of {} ms (`{}`)",
                run.budget.as_millis(),
                run.knob
            );
            Verdict::Later(Later::whole(Error::new(ErrorKind::TimedOut, text)))
        } else {
            // A single trace is for the peer to refuse, whatever was learned.
            let learned =
                if chunks.len() > 1 { target.destination.largest(size, run.started) } else { usize::MAX };
            let limit = way.offer.max_bytes.min(learned);
            self.post((target, way), body, limit, chunks.len() as u64, dropped, run)
        };
        PartVerdict { verdict, size, lost_in_conversion }
    }

    fn name_the_offender(&self, (target, way): Toward<'_>, error: Error, body: &[u8]) -> Error {
        let (bytes, address) = (way.offer.max_bytes, target.destination.address());
        let said = match (error.status(), way.offer.limit) {
            (Some(status), _) => format!("{address} answered {status}"),
            (None, Limit::Peer) => format!("{address} takes {bytes} bytes (config.max_request_bytes)"),
            (None, Limit::Setting) => format!("a request may have {bytes} bytes (`maxRequestBytes`)"),
            (None, Limit::Default) => format!("{address} takes {bytes} bytes as its kind does"),
        };
        let text = format!(
            "a trace of {} bytes was dropped, since {said}: {}; knob: {}",
            body.len(),
            describe(body),
            target.destination.size_knob()
        );
        let named = Error::new(ErrorKind::PayloadTooLarge, text).with_attempts(error.attempts());
        error.status().map_or(named.clone(), |status| named.with_status(status))
    }
}

/// A peer that takes nothing however small.
fn refuses_everything(
    target: &Target,
    (refusals, size): (u32, usize),
    left: usize,
    refusal: &Error,
    now: Instant,
) -> Error {
    let text = format!(
        "{refusals} requests in a row were too large for {}, the last one of {size} bytes: it refuses everything, so \
         {left} traces were not tried; the next payload is tried whole again (is it the right address? knob: {}); {}",
        target.destination.address(),
        target.destination.size_knob(),
        refusal.message()
    );
    let error = Error::new(ErrorKind::PayloadTooLarge, text).with_temporary(true);
    let error = error.with_retry_at(Some(now + LATER));
    refusal.status().map_or(error.clone(), |status| error.with_status(status))
}

/// Bytes of the input, shared out to parts by their size.
struct Share {
    bytes: u64,
    of: usize,
}

impl Share {
    fn counts(&self, chunks: &[Piece]) -> Counts {
        Counts {
            traces: chunks.len() as u64,
            spans: split::spans(chunks),
            bytes: (u128::from(self.bytes) * split::bytes(chunks) as u128 / self.of as u128) as u64,
        }
    }
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
    left_out: LeftOut,
    reply: Option<Reply>,
    error: Option<Error>,
}

impl Sum {
    /// Requests that decided nothing.
    fn asked(&mut self, entry: &mut Entry<'_>, error: &Error) {
        entry.note(Effort { requests: u64::from(error.attempts()), ..Effort::default() });
        self.attempts += error.attempts();
    }

    fn sent(&mut self, reply: Reply, chunks: &[Piece]) {
        self.attempts += reply.attempts;
        self.traces += chunks.len() as u64;
        self.spans += split::spans(chunks);
        self.rates_changed |= reply.rates_changed;
        self.possibly_duplicated |= reply.possibly_duplicated;
        self.reply = Some(reply);
    }

    fn lost(&mut self, error: Error, chunks: &[Piece]) {
        self.attempts += error.attempts();
        self.failed_traces += chunks.len() as u64;
        self.error.get_or_insert(error);
    }

    /// A success only if every part was one; else the first error, saying how much got through.
    fn into_verdict(self) -> Verdict<AgentResponse> {
        match (self.error, self.reply) {
            (None, Some(mut reply)) => {
                reply.attempts = self.attempts;
                reply.rates_changed = self.rates_changed;
                reply.possibly_duplicated = self.possibly_duplicated;
                let (traces, spans, left_out) = (self.traces, self.spans, self.left_out);
                Verdict::Sent(AgentResponse { reply, traces, spans, left_out })
            }
            (Some(error), _) if self.traces > 0 => {
                let all = self.traces + self.failed_traces;
                let error = error.note(&format!("; {} of {all} traces were sent", self.traces));
                Verdict::Lost(error.with_attempts(self.attempts))
            }
            (Some(error), _) => Verdict::Lost(error.with_attempts(self.attempts)),
            (None, None) => Verdict::Lost(Error::new(ErrorKind::Internal, "a split payload had no parts")),
        }
    }
}
