// Made by `scripts/face_numbers.py` from src/face/numbers.txt. Change the list, not this file.

//! The layout of the numbers that cross.

use super::numbers::{Numbers, millis};
use crate::account::Metrics;
use crate::asynchronous::FlushReport;
use crate::delivery::outbox::queue::QueueStatus;
use crate::delivery::response::LeftOut;

/// The numbers of `account`, in the order of the list.
pub(crate) fn account(m: &Metrics, memory: u64, queue: &QueueStatus) -> Vec<i64> {
    let mut out = Numbers(Vec::with_capacity(96));
    out.one(m.payloads);
    out.counts(m.received);
    out.counts(m.sent);
    out.counts(m.filtered);
    out.counts(m.sampled_out);
    out.counts(m.queued);
    out.one(m.possibly_duplicated);
    out.one(m.repaired);
    out.one(m.requests);
    out.one(m.body_bytes);
    out.one(m.lost_in_conversion);
    out.one(memory);
    out.one(m.possibly_arrived);
    out.one(m.unread.payloads);
    out.one(m.unread.traces);
    out.one(m.unread.bytes);
    out.counts(m.spooled);
    out.one(queue.payloads);
    out.one(queue.bytes);
    out.one(millis(queue.oldest));
    out.one(queue.refused);
    out.one(queue.evicted);
    out.one(queue.senders);
    out.one(m.wire_bytes);
    out.one(millis(queue.pace_wait));
    out.reasons(m.dropped);
    out.changes(m.normalized);
    out.0
}

/// The numbers of `flush`, in the order of the list.
pub(crate) fn flush(r: &FlushReport) -> Vec<i64> {
    let mut out = Numbers(Vec::with_capacity(96));
    out.one(u64::from(r.complete));
    out.counts(r.sent);
    out.counts(r.pending);
    out.counts(r.left_out);
    out.reasons(r.dropped);
    out.0
}

/// The numbers of `left_out`, in the order of the list.
pub(crate) fn left_out(l: &LeftOut) -> Vec<i64> {
    let mut out = Numbers(Vec::with_capacity(96));
    out.counts(l.filtered);
    out.counts(l.sampled_out);
    out.counts(l.malformed);
    out.counts(l.invalid);
    out.one(l.repaired);
    out.0
}
