//! One payload that waits, and a batch of them on its way.

use super::queue::Queue;
use super::spool::Record;
use super::store::Origin;
use crate::account::Later;
use crate::delivery::response::AgentResponse;
use crate::error::{Error, ErrorKind};
use crate::trace::Valued;
use std::ops::Range;
use std::time::Instant;

/// The first of what is lost, to be named.
pub(crate) struct First {
    pub(crate) record: Record,
    /// Only this trace of it is lost.
    pub(crate) only: Option<Range<usize>>,
}

impl From<Record> for First {
    fn from(record: Record) -> Self {
        Self { record, only: None }
    }
}

/// Called once with what became of a payload, on a thread of ours or the one that offered it. Must not block.
pub(crate) type Completion = Box<dyn FnOnce(Result<AgentResponse, Error>) + Send>;

/// A payload that waits.
pub(crate) struct Parcel {
    /// The payload, and what stands in the account for it.
    pub(crate) record: Record,
    /// Since when it is tried.
    pub(crate) offered: Instant,
    pub(crate) seq: u64,
    pub(crate) done: Option<Completion>,
    /// Its traces and their worth, once somebody has looked.
    pub(super) values: Option<Vec<Valued>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody has decided.
    Open,
    /// It could not be delivered now: why, and whether only a part of it is left.
    Later { error: Box<Error>, rest: bool },
    /// The account has heard of its fate.
    Settled,
}

impl Parcel {
    pub(super) fn new(record: Record, offered: Instant, seq: u64, done: Option<Completion>) -> Self {
        Self { record, offered, seq, done, values: None, state: State::Open }
    }

    /// Bytes of memory that it takes.
    pub(super) fn room(&self) -> usize {
        self.record.payload.capacity()
    }

    /// Whether it can travel with others: what has a past of its own goes alone.
    pub(super) fn can_be_merged(&self) -> bool {
        let past = self.record.meta.past;
        !past.counted && !past.staged
    }

    /// Whether it is still to be tried in this batch.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// It could not be delivered now.
    pub(crate) fn wait(&mut self, error: Error) {
        self.state = State::Later { error: Box::new(error), rest: false };
    }

    /// As [`Parcel::wait`], with what the try has taught.
    pub(crate) fn try_later(&mut self, later: Later) {
        let Later { error, counts, past, dropped, rest } = later;
        let meta = &mut self.record.meta;
        (meta.counts, meta.past, meta.dropped) = (counts, past, dropped);
        let rest = rest.map(|payload| self.record.payload = payload).is_some();
        self.values = None;
        self.state = State::Later { error: Box::new(error), rest };
    }

    /// Why it waits for another time, and whether only a part of it is left.
    pub(super) fn waits(&self) -> Option<(&Error, bool)> {
        match &self.state {
            State::Later { error, rest } => Some((error, *rest)),
            State::Open | State::Settled => None,
        }
    }

    /// It is to be tried as if nobody had.
    pub(super) fn reopen(&mut self) {
        self.state = State::Open;
    }

    /// The account knows its fate: whoever waits hears of it.
    pub(crate) fn settle(&mut self, result: impl FnOnce() -> Result<AgentResponse, Error>) {
        self.state = State::Settled;
        if let Some(done) = self.done.take() {
            done(result());
        }
    }
}

/// Payloads that one sender has taken. They keep their room until the batch is settled; what nobody has decided on by
/// then (a panic) is dropped for an internal reason.
pub(crate) struct Batch<'q> {
    pub(super) queue: &'q Queue,
    pub(super) origin: Origin,
    pub(crate) parcels: Vec<Parcel>,
    /// The number of its first.
    pub(super) first: u64,
    /// Room and payloads that the queue holds for it.
    pub(super) room: usize,
    pub(super) count: usize,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // It was settled if there is nothing left.
        if self.count > 0 {
            self.queue.settle_batch(self);
        }
    }
}

/// What a payload gets that a panic has cost.
pub(super) fn defect() -> Error {
    Error::new(ErrorKind::Internal, "the payload was lost by a defect of this library")
}
