//! The queue seen from the senders: batches out and back, and how it ends.

use super::parcel::{Batch, Parcel, defect};
use super::queue::{Queue, closed, kept};
use super::rules::{Keep, Mode, Next, Rules};
use super::spool::Record;
use super::store::{Left, Limits, Origin, Store, Taken};
use crate::account::{Counts, DropReason};
use crate::error::Error;
use parking_lot::MutexGuard;
use std::time::{Duration, Instant};

/// How often what lies on disk looks whether the agent is back.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a spool that cannot be read rests.
const UNREADABLE: Duration = Duration::from_secs(1);

/// What could not be delivered, nor kept.
pub(crate) struct Loss {
    pub(crate) error: Error,
    pub(crate) counts: Counts,
    /// The first payload of it.
    pub(crate) first: Record,
}

impl Queue {
    /// The next batch; waits until one is due. `None`: the sender shall end. What lies on disk is left there while the
    /// agent is away.
    pub(crate) fn take(&self, is_agent_there: impl Fn() -> bool) -> Option<Batch<'_>> {
        let idle_since = self.clock.now();
        let mut rules = self.rules.lock();
        loop {
            let now = self.clock.now();
            rules.paced = self.outlet.pace.ready_at(now);
            match rules.next(&self.settings, now, idle_since) {
                Next::Take(Origin::Memory) => {
                    let limits = rules.limits(&self.settings, self.is_scanned_format(), now);
                    if let Ok(Taken::Parcels(parcels)) = rules.line.take(&limits) {
                        return Some(self.batch(&mut rules, Origin::Memory, parcels));
                    }
                }
                Next::Take(Origin::Disk) => {
                    drop(rules);
                    let there = is_agent_there();
                    let batch = there.then(|| self.take_from_disk(now)).flatten();
                    if batch.is_some() {
                        return batch;
                    }
                    if !there {
                        let mut rules = self.rules.lock();
                        rules.disk.busy = false;
                        rules.rest_disk(now + PATIENCE);
                    }
                    self.close_disk_if_leaving();
                    self.settled.notify_all();
                    rules = self.rules.lock();
                }
                Next::Wait(until) => {
                    rules.resting += 1;
                    self.clock.wait(&self.work, &mut rules, until);
                    rules.resting -= 1;
                }
                Next::End => {
                    rules.end_sender();
                    self.settled.notify_all();
                    return None;
                }
            }
        }
    }

    fn take_from_disk(&self, now: Instant) -> Option<Batch<'_>> {
        let limits = Limits {
            bytes: self.settings.batch_bytes,
            merges: self.is_scanned_format(),
            offered_before: None,
            now,
        };
        let mut disk = self.disk.lock();
        let taken = disk.as_mut().map_or(Ok(Taken::Nothing), |spool| spool.take(&limits));
        if let Some(spool) = disk.as_mut() {
            self.hear(spool.changes());
        }
        let waits = disk.as_ref().is_some_and(|spool| spool.held().waits());
        // What is put there from here on must not be overlooked.
        let mut rules = self.rules.lock();
        drop(disk);
        rules.disk.holds = waits;
        let was_unreadable = std::mem::replace(&mut rules.disk.unreadable, taken.is_err());
        match taken {
            Ok(Taken::Parcels(parcels)) => {
                parcels.iter().for_each(|p| self.account.spool(p.record.meta.counts, true));
                return Some(self.batch(&mut rules, Origin::Disk, parcels));
            }
            Ok(Taken::Nothing) => rules.disk.holds = false,
            Ok(Taken::NotYet) => {}
            Err(e) => {
                rules.rest_disk(now + UNREADABLE);
                if !was_unreadable {
                    let text = format!(
                        "the spool cannot be read now; what lies there stays and is tried again: {e}"
                    );
                    self.trouble(Counts::default(), text);
                }
            }
        }
        rules.disk.busy = false;
        None
    }

    fn batch(&self, rules: &mut Rules, origin: Origin, mut parcels: Vec<Parcel>) -> Batch<'_> {
        let (first, room) = rules.set_out(origin, &mut parcels);
        let count = parcels.len();
        Batch { queue: self, origin, parcels, first, room, count }
    }

    /// A batch is over: what could not be delivered waits for a better time, its room is free, its buffers can be used
    /// again. Gives what was lost, and why.
    pub(crate) fn settle(&self, mut batch: Batch<'_>) -> Vec<Loss> {
        self.settle_batch(&mut batch)
    }

    pub(super) fn settle_batch(&self, batch: &mut Batch<'_>) -> Vec<Loss> {
        let keep = self.rules.lock().keep(batch.origin);
        let (mut lost, mut left, mut buffers) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed: Option<Option<Instant>> = None;
        for mut parcel in batch.parcels.drain(..) {
            let again = self.decide(&mut parcel, keep, &mut failed, &mut lost);
            match again {
                Some(true) => left.push(Left::Rest(parcel)),
                Some(false) => left.push(Left::Again(parcel)),
                None => {
                    left.push(Left::Done);
                    buffers.push(parcel.record.payload);
                }
            }
        }
        let mut late = Vec::new();
        let mut rules = match batch.origin {
            Origin::Memory => {
                let mut rules = self.rules.lock();
                if rules.mode == Mode::Closed {
                    late = left;
                } else {
                    rules.line.settle(left);
                }
                rules
            }
            Origin::Disk => self.back_to_disk(left),
        };
        rules.tried(failed, self.clock.now());
        rules.came_back(batch.origin, batch.first, std::mem::take(&mut batch.count), batch.room);
        buffers.into_iter().for_each(|buffer| rules.keep_buffer(buffer, &self.settings));
        drop(rules);
        // Closed meanwhile: they go where all went that waited then.
        for left in late {
            if let Left::Again(parcel) | Left::Rest(parcel) = left {
                let gone = self.leave(parcel, DropReason::Closed);
                lost.extend(gone.map(|first| Loss { error: closed(), counts: first.meta.counts, first }));
            }
        }
        self.close_disk_if_leaving();
        self.room.notify_all();
        self.settled.notify_all();
        self.work.notify_one();
        lost
    }

    /// What becomes of a payload of a batch: again, with `true` only what is left of it, or nothing more.
    fn decide(
        &self,
        parcel: &mut Parcel,
        keep: Keep,
        failed: &mut Option<Option<Instant>>,
        lost: &mut Vec<Loss>,
    ) -> Option<bool> {
        let counts = parcel.record.meta.counts;
        let Some((error, rest)) = parcel.waits().map(|(error, rest)| (error.clone(), rest)) else {
            if parcel.is_open() {
                self.account.drop_queued(counts, DropReason::Internal);
                parcel.settle(|| Err(defect()));
                lost.push(Loss { error: defect(), counts, first: std::mem::take(&mut parcel.record) });
            }
            return None;
        };
        *failed = Some(error.retry_at().max(failed.flatten()));
        if keep == Keep::Here {
            parcel.reopen();
            return Some(rest);
        }
        if keep == Keep::OnDisk && self.to_disk(&parcel.record).is_ok() {
            parcel.settle(|| Err(kept(&error)));
        } else {
            self.drop_parcel(parcel, &error);
            // Those that travelled together are lost together.
            match lost.last_mut().filter(|last| last.error == error) {
                Some(last) => last.counts = last.counts.plus(counts),
                None => lost.push(Loss { error, counts, first: std::mem::take(&mut parcel.record) }),
            }
        }
        None
    }

    fn back_to_disk(&self, left: Vec<Left>) -> MutexGuard<'_, Rules> {
        let mut disk = self.disk.lock();
        for left in &left {
            if let Left::Again(parcel) | Left::Rest(parcel) = left {
                self.account.spool(parcel.record.meta.counts, false);
            }
        }
        if let Some(spool) = disk.as_mut() {
            spool.settle(left);
            self.hear(spool.changes());
        }
        let waits = disk.as_ref().is_some_and(|spool| spool.held().waits());
        let mut rules = self.rules.lock();
        (rules.disk.busy, rules.disk.holds) = (false, waits);
        rules
    }

    /// Takes no more payloads; what waits is due.
    pub(crate) fn begin_close(&self) {
        let mut rules = self.rules.lock();
        rules.mode = rules.mode.max(Mode::Closing);
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Gives no more payloads: what waits goes to disk or is dropped, and whoever waits for it hears why.
    /// Gives what is lost, and the first payload of it.
    pub(crate) fn abandon(&self, reason: DropReason) -> Option<(Counts, Record)> {
        let mut rules = self.rules.lock();
        rules.mode = Mode::Closed;
        let rest = rules.line.drain();
        drop(rules);
        self.work.notify_all();
        self.room.notify_all();
        self.settled.notify_all();
        rest.fold(None, |lost: Option<(Counts, Record)>, parcel| match (lost, self.leave(parcel, reason)) {
            (Some((lost, first)), Some(record)) => Some((lost.plus(record.meta.counts), first)),
            (None, record) => record.map(|record| (record.meta.counts, record)),
            (lost, None) => lost,
        })
    }

    /// A payload that nobody will take any more goes to disk, or is lost: then it is given.
    fn leave(&self, mut parcel: Parcel, reason: DropReason) -> Option<Record> {
        if self.to_disk(&parcel.record).is_ok() {
            parcel.settle(|| Err(closed().note("; it is kept in the spool")));
            return None;
        }
        self.account.drop_queued(parcel.record.meta.counts, reason);
        parcel.settle(|| Err(closed()));
        Some(parcel.record)
    }

    /// Leaves the spool to whoever comes next, once no sender brings anything back any more.
    pub(crate) fn close_disk(&self) {
        self.rules.lock().disk.leaving = true;
        self.close_disk_if_leaving();
    }

    fn close_disk_if_leaving(&self) {
        let mut disk = self.disk.lock();
        let mut rules = self.rules.lock();
        if !rules.is_out_empty() {
            return;
        }
        if rules.disk.leaving {
            rules.disk.there = false;
            *disk = None;
        } else if rules.mode == Mode::Suspended
            && let Some(spool) = disk.as_mut()
        {
            spool.release();
        }
    }

    /// Gives no payloads until [`Queue::resume`]; waits up to `end` for senders to end, and closes the spool's files.
    /// Whether all senders have ended.
    pub(crate) fn suspend(&self, end: Instant) -> bool {
        let mut rules = self.rules.lock();
        if rules.mode == Mode::Open {
            rules.mode = Mode::Suspended;
        }
        drop(rules);
        self.work.notify_all();
        let ended = self.wait_senders(end);
        self.close_disk_if_leaving();
        ended
    }

    /// Gives payloads again; whether a sender must be started.
    pub(crate) fn resume(&self) -> bool {
        let mut disk = self.disk.lock();
        if self.rules.lock().mode != Mode::Suspended {
            return false;
        }
        if let Some(spool) = disk.as_mut() {
            spool.attach_again();
            self.hear(spool.changes());
        }
        let waits = disk.as_ref().is_some_and(|spool| spool.held().waits());
        let mut rules = self.rules.lock();
        rules.disk.holds |= waits;
        rules.resume(self.clock.now())
    }
}
