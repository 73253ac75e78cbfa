//! The account: `received = sent + dropped{reason} + filtered + sampled_out + queued`, true in every
//! snapshot: in traces and bytes for everything, in spans for what was read. What was dropped unread is
//! counted under `unread` as well.
//!
//! A payload enters once ([`Account::enter`], as queued) and leaves once ([`Entry::settle`]); both are one
//! step under one lock, so no snapshot sees a payload half way; one that had to be split leaves part by part,
//! each in one step. Bytes are bytes of the input. A payload that could not be read enters and leaves as
//! dropped. A chunk kept in part is `sent` as a trace, its dropped spans are `sampled_out`.

pub mod normalization;
mod verdict;

pub use verdict::{DroppedP0, Later, Past, Verdict};

use crate::error::{Error, ErrorKind};
use parking_lot::Mutex;

/// Traces, spans and bytes of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Chunks.
    pub traces: u64,
    /// Spans.
    pub spans: u64,
    /// Bytes of the input.
    pub bytes: u64,
}

impl Counts {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            traces: self.traces + other.traces,
            spans: self.spans + other.spans,
            bytes: self.bytes + other.bytes,
        }
    }

    /// More than any payload has.
    const ALL: Counts = Counts { traces: u64::MAX, spans: u64::MAX, bytes: u64::MAX };

    /// The smaller of each.
    #[must_use]
    pub fn at_most(self, other: Counts) -> Counts {
        Counts {
            traces: self.traces.min(other.traces),
            spans: self.spans.min(other.spans),
            bytes: self.bytes.min(other.bytes),
        }
    }

    /// What is left without `other`, at least nothing.
    #[must_use]
    pub fn minus(self, other: Counts) -> Counts {
        Counts {
            traces: self.traces.saturating_sub(other.traces),
            spans: self.spans.saturating_sub(other.spans),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

macro_rules! reasons {
    ($( $(#[$doc:meta])* $name:ident = $text:literal; )*) => {
        /// Why something was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DropReason { $( $(#[$doc])* $name, )* }

        impl DropReason {
            /// Every reason, in the order of the account.
            pub const ALL: [DropReason; [$( $text, )*].len()] = [ $( DropReason::$name, )* ];

            /// The name in metrics and messages.
            pub const fn name(self) -> &'static str {
                match self { $( DropReason::$name => $text, )* }
            }
        }
    };
}

reasons! {
    /// The payload, or a chunk of it, could not be read. Knob: `onMalformed`.
    Malformed = "malformed";
    /// Larger than the agent takes.
    PayloadTooLarge = "payload_too_large";
    /// The agent refused it (a status that no repetition can change).
    Refused = "refused";
    /// The agent was there but did not take it in time (429, 5xx). Knob: `sendBudget`.
    Overloaded = "overloaded";
    /// The agent could not be reached. Knob: `url`.
    Unreachable = "unreachable";
    /// A time limit passed. Knobs: `sendTimeout`, `sendBudget`.
    TimedOut = "timed_out";
    /// Refused at once because the agent has been away. Knob: `sendBudget`.
    AgentDown = "agent_down";
    /// The queue was full. Knobs: `queueBytes`, `overflow`.
    QueueFull = "queue_full";
    /// Taken out of the queue to make room.
    Evicted = "evicted";
    /// The exporter was closed. Knob: `closeTimeout`.
    Closed = "closed";
    /// The exporter was collected without having been closed.
    Forgotten = "forgotten";
    /// A defect of this library.
    Internal = "internal";
    /// Normalization refused the trace as the agent would: an id is 0, its spans are of several traces, it has none.
    InvalidTrace = "invalid_trace";
    /// What lay on disk could not be read. Knob: `spool`.
    SpoolDamaged = "spool_damaged";
    /// There was no memory for it.
    OutOfMemory = "out_of_memory";
    /// The host goes on without the native library; only Java says so. Knob: `withoutLibrary`.
    NoLibrary = "no_library";
    /// The peer took the request and rejected these spans of it (OTLP's partial success); they are not sent again.
    RejectedByPeer = "rejected_by_peer";
    /// It would have been sent, and was not, since the caller only wants to see what would be. Knob: `dryRun`.
    DryRun = "dry_run";
}

impl DropReason {
    /// The reason that stands for an error.
    pub fn of_error(error: &Error) -> Self {
        Self::of(error.kind(), error.status())
    }

    /// The reason that stands for an error; `status` is the agent's answer, if there was one.
    pub fn of(kind: ErrorKind, status: Option<u16>) -> Self {
        match kind {
            ErrorKind::MalformedPayload | ErrorKind::TruncatedPayload => Self::Malformed,
            ErrorKind::PayloadTooLarge => Self::PayloadTooLarge,
            ErrorKind::HttpStatus => match status {
                Some(413) => Self::PayloadTooLarge,
                Some(408 | 429 | 500..) => Self::Overloaded,
                _ => Self::Refused,
            },
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::AgentDown => Self::AgentDown,
            ErrorKind::QueueFull => Self::QueueFull,
            ErrorKind::Evicted => Self::Evicted,
            ErrorKind::Closed => Self::Closed,
            ErrorKind::OutOfMemory => Self::OutOfMemory,
            ErrorKind::ConnectionRefused
            | ErrorKind::NameNotResolved
            | ErrorKind::Unreachable
            | ErrorKind::SocketMissing
            | ErrorKind::SocketDenied
            | ErrorKind::SocketWrongType
            | ErrorKind::ConnectionReset
            | ErrorKind::InvalidResponse
            | ErrorKind::InvalidUrl
            | ErrorKind::TlsFailed
            | ErrorKind::ProxyRefused
            | ErrorKind::Io => Self::Unreachable,
            _ => Self::Internal,
        }
    }
}

/// A snapshot of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Payloads that entered.
    pub payloads: u64,
    /// All that entered.
    pub received: Counts,
    /// What the agent accepted.
    pub sent: Counts,
    /// What trace filters rejected.
    pub filtered: Counts,
    /// What sampling dropped.
    pub sampled_out: Counts,
    /// What is on its way, or waits for it.
    pub queued: Counts,
    /// What of `queued` lies on disk.
    pub spooled: Counts,
    /// What was dropped, by the index of the reason in [`DropReason::ALL`].
    pub dropped: [Counts; DropReason::ALL.len()],
    /// What of `dropped` nobody has read: how many spans it had is not known, and no figure has them.
    pub unread: Unread,
    /// Payloads that were accepted after an earlier attempt had got no answer, so that the agent may have them twice.
    pub possibly_duplicated: u64,
    /// Payloads that count as dropped although the agent may have them: written whole, and never answered.
    pub possibly_arrived: u64,
    /// Values of payloads that were repaired. Knob: `onMalformed`.
    pub repaired: u64,
    /// Requests made for traces.
    pub requests: u64,
    /// Bytes of request bodies that the agent accepted.
    pub body_bytes: u64,
    /// Bytes of request bodies that went out, stats included, as they were on the way: compressed, and each as often as
    /// it was sent.
    pub wire_bytes: u64,
    /// Spans that the output format could not carry whole (`meta_struct` in v0.5, negative times in v1, NaN in JSON).
    pub lost_in_conversion: u64,
    /// Changes that normalization has made, by the agent's reasons.
    pub normalized: normalization::Counts,
}

/// Payloads that were dropped before anybody had read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Payloads.
    pub payloads: u64,
    /// Traces that they declared.
    pub traces: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Unread {
    fn add(&mut self, payloads: u64, counts: Counts) {
        self.payloads += payloads;
        self.traces += counts.traces;
        self.bytes += counts.bytes;
    }
}

impl Metrics {
    /// What was dropped for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> Counts {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// What was dropped for any reason.
    pub fn dropped_total(&self) -> Counts {
        self.dropped.iter().fold(Counts::default(), |sum, c| sum.plus(*c))
    }

    /// `sent + dropped + filtered + sampled_out + queued`: what `received` must be.
    pub fn accounted_for(&self) -> Counts {
        self.sent.plus(self.dropped_total()).plus(self.filtered).plus(self.sampled_out).plus(self.queued)
    }
}

/// The account of one exporter.
#[derive(Debug, Default)]
pub struct Account {
    metrics: Mutex<Metrics>,
}

/// How a payload left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What trace filters rejected.
    pub filtered: Counts,
    /// What sampling dropped.
    pub sampled_out: Counts,
    /// Chunks that could not be read.
    pub malformed: Counts,
    /// Chunks that normalization refused.
    pub refused: Counts,
    /// What the output format had no room for.
    pub too_large: Counts,
    /// Values repaired.
    pub repaired: u64,
    /// Spans that the output format could not carry whole.
    pub lost_in_conversion: u64,
    /// Changes that normalization has made.
    pub normalized: normalization::Counts,
}

impl Outcome {
    /// What the stages took out, whatever becomes of the rest.
    pub fn taken_out(&self) -> Counts {
        self.filtered.plus(self.sampled_out).plus(self.malformed).plus(self.refused).plus(self.too_large)
    }
}

/// What became of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The agent has it (or nothing was left to send).
    Sent,
    /// It was dropped.
    Dropped(DropReason),
}

/// Figures of the requests made for a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Requests made.
    pub requests: u64,
    /// Bytes of the body that was accepted.
    pub body_bytes: u64,
    /// An attempt was written whole and got no answer: the agent may have the payload twice, or although it counts as
    /// dropped.
    pub possibly_arrived: bool,
}

impl Account {
    /// A payload enters. It is queued until the entry is settled.
    pub fn enter(&self, counts: Counts) -> Entry<'_> {
        let mut m = self.metrics.lock();
        m.payloads += 1;
        m.received = m.received.plus(counts);
        m.queued = m.queued.plus(counts);
        Entry { account: self, rest: counts }
    }

    /// A payload enters the queue. Its traces and bytes are known, its spans when a sender has looked.
    pub(crate) fn enqueue(&self, counts: Counts) {
        let mut m = self.metrics.lock();
        m.payloads += 1;
        m.received = m.received.plus(counts);
        m.queued = m.queued.plus(counts);
    }

    /// Queued payloads set out.
    pub(crate) fn set_out(&self, declared: Counts) -> Entry<'_> {
        Entry { account: self, rest: declared }
    }

    /// What was queued is dropped before it set out: a payload, of which somebody may have counted the spans before.
    pub(crate) fn drop_queued(&self, declared: Counts, reason: DropReason) {
        // What an entry answers for is not here any more.
        let unread = declared.spans == 0 && declared != Counts::default();
        self.drop_read(declared, 0, if unread { (1, declared) } else { (0, Counts::default()) }, reason);
    }

    /// As [`Account::drop_queued`], of several payloads, perhaps parts of them. `spans` have been counted just now;
    /// `unread` are payloads of it that nobody could read.
    pub(crate) fn drop_read(
        &self,
        declared: Counts,
        spans: u64,
        (payloads, unread): (u64, Counts),
        reason: DropReason,
    ) {
        let mut m = self.metrics.lock();
        m.queued = m.queued.minus(declared);
        m.received.spans += spans;
        m.unread.add(payloads, unread);
        add(&mut m, reason, Counts { spans: declared.spans + spans, ..declared });
    }

    /// As [`Account::drop_queued`], for several payloads that nobody has read.
    pub(crate) fn drop_unread(&self, payloads: u64, declared: Counts, reason: DropReason) {
        let mut m = self.metrics.lock();
        m.queued = m.queued.minus(declared);
        m.unread.add(payloads, declared);
        add(&mut m, reason, declared);
    }

    /// A payload enters and leaves at once: nobody could read it, or nobody tried.
    pub(crate) fn refuse(&self, counts: Counts, reason: DropReason) {
        let mut m = self.metrics.lock();
        m.payloads += 1;
        m.received = m.received.plus(counts);
        m.unread.add(1, counts);
        add(&mut m, reason, counts);
    }

    /// An earlier process has left these on disk.
    pub(crate) fn inherit(&self, payloads: u64, counts: Counts) {
        let mut m = self.metrics.lock();
        m.payloads += payloads;
        m.received = m.received.plus(counts);
        m.queued = m.queued.plus(counts);
        m.spooled = m.spooled.plus(counts);
    }

    /// Queued payloads go to disk, or (`back`) come from there. They stay queued.
    pub(crate) fn spool(&self, counts: Counts, back: bool) {
        let mut m = self.metrics.lock();
        m.spooled = if back { m.spooled.minus(counts) } else { m.spooled.plus(counts) };
    }

    /// The account as it stands.
    pub fn snapshot(&self) -> Metrics {
        self.metrics.lock().clone()
    }
}

/// A payload on its way. One that is forgotten (a panic) leaves as dropped for an internal reason.
#[derive(Debug)]
pub struct Entry<'a> {
    account: &'a Account,
    rest: Counts,
}

impl Entry<'_> {
    /// What is still on its way.
    pub fn rest(&self) -> Counts {
        self.rest
    }

    /// What queued payloads really hold takes the place of what they declare.
    pub(crate) fn reveal(&mut self, found: Counts) {
        let mut m = self.account.metrics.lock();
        m.received = m.received.minus(self.rest).plus(found);
        m.queued = m.queued.minus(self.rest).plus(found);
        self.rest = found;
    }

    /// What is left stays queued; gives it.
    pub(crate) fn leave_queued(mut self) -> Counts {
        std::mem::take(&mut self.rest)
    }

    /// The payload leaves: parts as `outcome` says, the rest by its `fate`.
    pub fn settle(mut self, outcome: &Outcome, fate: Fate, effort: Effort) {
        self.leave(outcome, Counts::ALL, fate, effort);
    }

    /// A part leaves: what `outcome` says, and `counts` by its `fate`. The rest stays on its way.
    pub fn part(&mut self, outcome: &Outcome, counts: Counts, fate: Fate, effort: Effort) {
        self.leave(outcome, counts, fate, effort);
    }

    /// Books what takes nothing away: figures of requests that decided nothing.
    pub fn note(&mut self, effort: Effort) {
        self.leave(&Outcome::default(), Counts::default(), Fate::Sent, effort);
    }

    fn leave(&mut self, outcome: &Outcome, counts: Counts, fate: Fate, effort: Effort) {
        let mut m = self.account.metrics.lock();
        let staged = outcome.taken_out();
        let gone = counts.at_most(self.rest.minus(staged));
        m.queued = m.queued.minus(staged.plus(gone));
        self.rest = self.rest.minus(staged.plus(gone));
        m.filtered = m.filtered.plus(outcome.filtered);
        m.sampled_out = m.sampled_out.plus(outcome.sampled_out);
        add(&mut m, DropReason::Malformed, outcome.malformed);
        add(&mut m, DropReason::InvalidTrace, outcome.refused);
        add(&mut m, DropReason::PayloadTooLarge, outcome.too_large);
        match fate {
            Fate::Sent => m.sent = m.sent.plus(gone),
            Fate::Dropped(reason) => add(&mut m, reason, gone),
        }
        m.repaired += outcome.repaired;
        m.lost_in_conversion += outcome.lost_in_conversion;
        m.normalized.merge(&outcome.normalized);
        m.requests += effort.requests;
        m.body_bytes += effort.body_bytes;
        match fate {
            Fate::Sent => m.possibly_duplicated += u64::from(effort.possibly_arrived),
            Fate::Dropped(_) => m.possibly_arrived += u64::from(effort.possibly_arrived),
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if self.rest != Counts::default() {
            self.leave(
                &Outcome::default(),
                Counts::ALL,
                Fate::Dropped(DropReason::Internal),
                Effort::default(),
            );
        }
    }
}

fn add(m: &mut Metrics, reason: DropReason, counts: Counts) {
    if let Some(dropped) = m.dropped.get_mut(reason as usize) {
        *dropped = dropped.plus(counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(traces: u64, spans: u64, bytes: u64) -> Counts {
        Counts { traces, spans, bytes }
    }

    #[test]
    fn every_way_out_keeps_the_account_closed() {
        let account = Account::default();
        let first = account.enter(counts(10, 100, 1000));
        assert_eq!(account.snapshot().received, account.snapshot().accounted_for());
        let outcome = Outcome {
            filtered: counts(1, 10, 100),
            sampled_out: counts(2, 25, 200),
            malformed: counts(1, 5, 50),
            ..Outcome::default()
        };
        first.settle(&outcome, Fate::Sent, Effort { requests: 1, body_bytes: 650, possibly_arrived: false });
        account.enter(counts(3, 3, 3)).settle(
            &Outcome::default(),
            Fate::Dropped(DropReason::TimedOut),
            Effort::default(),
        );
        drop(account.enter(counts(7, 7, 7)));
        let m = account.snapshot();
        assert_eq!(m.received, m.accounted_for());
        assert_eq!(m.sent, counts(6, 60, 650));
        assert_eq!(m.dropped_for(DropReason::TimedOut), counts(3, 3, 3));
        assert_eq!(m.dropped_for(DropReason::Internal), counts(7, 7, 7));
        assert_eq!(m.queued, Counts::default());
    }

    #[test]
    fn a_split_payload_leaves_part_by_part_and_every_snapshot_is_closed() {
        let account = Account::default();
        let mut entry = account.enter(counts(10, 100, 1000));
        let closed = || assert_eq!(account.snapshot().received, account.snapshot().accounted_for());
        entry.part(
            &Outcome { malformed: counts(1, 0, 10), ..Outcome::default() },
            counts(4, 40, 400),
            Fate::Sent,
            Effort::default(),
        );
        closed();
        assert_eq!(entry.rest(), counts(5, 60, 590));
        entry.part(
            &Outcome::default(),
            counts(2, 50, 900),
            Fate::Dropped(DropReason::PayloadTooLarge),
            Effort { possibly_arrived: true, ..Effort::default() },
        );
        closed();
        entry.note(Effort { requests: 3, ..Effort::default() });
        entry.settle(&Outcome::default(), Fate::Sent, Effort { possibly_arrived: true, ..Effort::default() });
        closed();
        let m = account.snapshot();
        assert_eq!((m.sent, m.queued), (counts(7, 50, 400), Counts::default()));
        assert_eq!(m.dropped_for(DropReason::PayloadTooLarge), counts(2, 50, 590));
        assert_eq!((m.possibly_arrived, m.possibly_duplicated, m.requests), (1, 1, 3));
    }

    #[test]
    fn reasons_have_distinct_names_and_their_index() {
        for (i, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
        }
        let names: std::collections::HashSet<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
    }
}
