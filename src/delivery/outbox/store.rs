//! Where payloads wait: in memory ([`Line`](super::line::Line)) or on disk ([`Spool`](super::spool::Spool)). Whoever
//! takes from one, and brings back what could not be delivered, need not know which it is.

use super::parcel::Parcel;
use super::spool::{self, Spool};
use std::io;
use std::time::Instant;

/// What gives payloads out in their order, one batch at a time of each that was settled, and takes back what is left.
pub(super) trait Store {
    /// The next payloads that travel together.
    ///
    /// # Errors
    /// It cannot be had now, and is not lost.
    fn take(&mut self, limits: &Limits) -> io::Result<Taken>;

    /// What became of the payloads of a batch, each in its turn.
    fn settle(&mut self, batch: Vec<Left>);
}

/// How much travels together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    /// Whether payloads can be merged at all.
    pub(super) merges: bool,
    /// Only payloads that were offered before.
    pub(super) offered_before: Option<Instant>,
    pub(super) now: Instant,
}

/// What [`Store::take`] gives.
pub(super) enum Taken {
    Parcels(Vec<Parcel>),
    /// It has nothing.
    Nothing,
    /// Ask again.
    NotYet,
}

/// What became of a payload that was taken.
pub(super) enum Left {
    /// It has met its fate.
    Done,
    /// It is to be taken again.
    Again(Parcel),
    /// So is what is left of it.
    Rest(Parcel),
}

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Memory,
    Disk,
}

impl Store for Spool {
    fn take(&mut self, limits: &Limits) -> io::Result<Taken> {
        Ok(match self.take_records(limits.bytes)? {
            spool::Taken::Records(records) => Taken::Parcels(
                records.into_iter().map(|record| Parcel::new(record, limits.now, 0, None)).collect(),
            ),
            spool::Taken::Nothing => Taken::Nothing,
            spool::Taken::NotYet => Taken::NotYet,
        })
    }

    fn settle(&mut self, batch: Vec<Left>) {
        let left = batch.into_iter().map(|left| match left {
            Left::Done => spool::Left::Done,
            Left::Again(parcel) => spool::Left::Again(parcel.record),
            Left::Rest(parcel) => spool::Left::Rest(parcel.record),
        });
        self.settle_records(left.collect());
    }
}
