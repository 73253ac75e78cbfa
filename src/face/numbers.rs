//! Numbers on their way to another language: a list of `i64`, whose layout `numbers.txt` gives.

pub(crate) use super::layout::{account, flush, left_out};
use crate::account::{Counts, DropReason};
use crate::normalize::{Counts as Changes, Reason};
use std::time::Duration;

/// The numbers so far.
pub(super) struct Numbers(pub(super) Vec<i64>);

impl Numbers {
    pub(super) fn one(&mut self, number: u64) {
        self.0.push(i64::try_from(number).unwrap_or(i64::MAX));
    }

    pub(super) fn counts(&mut self, counts: Counts) {
        [counts.traces, counts.spans, counts.bytes].into_iter().for_each(|n| self.one(n));
    }

    /// Reason by reason.
    pub(super) fn reasons(&mut self, dropped: [Counts; DropReason::ALL.len()]) {
        dropped.into_iter().for_each(|counts| self.counts(counts));
    }

    /// Reason by reason.
    pub(super) fn changes(&mut self, normalized: Changes) {
        Reason::ALL.into_iter().for_each(|reason| self.one(normalized.get(reason)));
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
