//! One payload in the queue, and a batch of them on its way.

use super::queue::Queue;
use super::spool::Record;
use crate::account::{Counts, DropReason};
use crate::delivery::response::{AgentResponse, DroppedP0};
use crate::error::{Error, ErrorKind};
use crate::trace::Valued;
use std::time::Instant;

/// Called once with what became of a payload, on a thread of ours or the one that offered it. Must not block.
pub(crate) type Completion = Box<dyn FnOnce(Result<AgentResponse, Error>) + Send>;

/// A payload that waits.
pub(crate) struct Parcel {
    pub(crate) payload: Vec<u8>,
    /// What stands in the account for it: traces and bytes. Nothing once the account has heard of its fate.
    pub(crate) declared: Counts,
    /// What the tracer has dropped itself.
    pub(crate) dropped: DroppedP0,
    pub(crate) offered: Instant,
    pub(crate) seq: u64,
    pub(crate) done: Option<Completion>,
    /// Its traces and their worth, once somebody has looked.
    pub(crate) values: Option<Vec<Valued>>,
    /// Its spans were counted by stats before.
    pub(crate) counted: bool,
}

impl Parcel {
    /// As the spool keeps it.
    pub(crate) fn record(&mut self) -> Record {
        Record {
            payload: std::mem::take(&mut self.payload),
            counts: self.declared,
            dropped: self.dropped,
            counted: self.counted,
        }
    }

    /// Whether its fate is open.
    pub(crate) fn is_open(&self) -> bool {
        self.declared != Counts::default()
    }

    /// Tells whoever waits.
    pub(crate) fn complete(&mut self, result: Result<AgentResponse, Error>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

/// Payloads that one sender has taken out of the queue. They keep their room there until the batch is dropped; what
/// nobody has settled by then (a panic) is dropped for an internal reason.
pub(crate) struct Batch<'q> {
    pub(in crate::delivery) queue: &'q Queue,
    pub(crate) parcels: Vec<Parcel>,
    pub(in crate::delivery) first: u64,
    pub(in crate::delivery) bytes: usize,
    pub(in crate::delivery) count: usize,
    /// What they are in the spool, if they come from there; it waits to hear of their fate.
    pub(in crate::delivery) records: Vec<Record>,
    /// The account takes them for on their way, not for lying on disk.
    pub(in crate::delivery) set_out: bool,
    /// They stay in the spool.
    pub(in crate::delivery) later: bool,
}

impl Batch<'_> {
    /// Whether it comes from the spool.
    pub(crate) fn is_from_spool(&self) -> bool {
        !self.records.is_empty()
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for parcel in self.parcels.iter_mut().filter(|_| !self.later) {
            if parcel.is_open() {
                self.queue.lose(parcel, DropReason::Internal);
            }
            parcel.complete(Err(Error::new(
                ErrorKind::Internal,
                "the payload was lost by a defect of this library",
            )));
        }
        self.queue.settle(self);
    }
}
