//! One payload in the queue, and a batch of them on its way.

use super::accounting::Counts;
use super::queue::Queue;
use super::response::{AgentResponse, DroppedP0};
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
    /// Its spans were counted by stats before; it comes from the spool.
    pub(crate) counted: bool,
    /// It comes from the spool, which waits to hear of its fate.
    pub(crate) spooled: bool,
}

impl Parcel {
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
    pub(super) queue: &'q Queue,
    pub(crate) parcels: Vec<Parcel>,
    pub(super) first: u64,
    pub(super) bytes: usize,
    pub(super) count: usize,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for parcel in &mut self.parcels {
            if parcel.declared != Counts::default() {
                self.queue.lose(parcel);
            }
            parcel.complete(Err(Error::new(
                ErrorKind::Internal,
                "the payload was lost by a defect of this library",
            )));
        }
        self.queue.settle(self);
    }
}
