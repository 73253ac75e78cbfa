//! What senders do: take a batch out of the queue, merge it, send it, tell whoever waits.
//!
//! Senders are native threads that start when something is offered and end when nothing was for a while. They hold their
//! exporter only while they deliver for it. A payload that cannot be read does not spoil its batch: each goes alone then.

use super::parcel::{Batch, Parcel};
use super::queue::{Offer, Offering, Queue, evicted};
use super::spool::Record;
use crate::account::{Counts, DropReason};
use crate::convert::Workspace;
use crate::delivery::dispatch::{Dispatcher, Held, HeldResult, HeldState};
use crate::delivery::response::DroppedP0;
use crate::error::{Error, ErrorKind};
use crate::health::journal::Topic;
use crate::msgpack::{reader, writer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

impl Dispatcher {
    /// Puts a payload into the queue. `fill` copies it.
    ///
    /// # Errors
    /// What `fill` says (`Err`); why it was not taken (`Ok(Err)`).
    pub(crate) fn offer<E>(
        self: &Arc<Self>,
        offer: Offer<'_>,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Result<(), Error>, E> {
        let offering = self.queue.offer(offer, fill)?;
        if offering.wants_sender {
            self.start_senders();
        }
        Ok(self.heed(offering))
    }

    fn heed(&self, offering: Offering) -> Result<(), Error> {
        if offering.lost != Counts::default() {
            let why = offering.refused.clone().unwrap_or_else(evicted);
            self.lost_in_queue(&why, offering.lost);
            for done in offering.evicted {
                done(Err(why.clone()));
            }
        }
        offering.refused.map_or(Ok(()), Err)
    }

    #[cold]
    fn lost_in_queue(&self, why: &Error, lost: Counts) {
        let topic = Topic::of(DropReason::of(why.kind(), None));
        self.journal.trouble(topic, lost, why.message(), Instant::now());
    }

    /// Starts as many senders as the queue wants.
    pub(crate) fn start_senders(self: &Arc<Self>) {
        while self.queue.claim_sender() {
            let (queue, weak) = (Arc::clone(&self.queue), Arc::downgrade(self));
            // What a payload needs is on the heap; stages and ureq were seen to use less than a quarter of this.
            let thread = std::thread::Builder::new().name("dp-sender".to_owned()).stack_size(512 * 1024);
            if thread.spawn(move || work(&queue, &weak)).is_err() {
                self.queue.not_started();
                return;
            }
            self.tell(self.statsd.is_some());
        }
    }

    /// Sends a batch. What is not settled then is in the queue or in the spool again.
    fn deliver(&self, ws: &mut Workspace, merged: &mut Vec<u8>, batch: &mut Batch<'_>) {
        if batch.is_from_spool() && !self.is_agent_there() {
            batch.later = true;
            return;
        }
        self.queue.lies_on_disk(batch, false);
        self.expire(batch);
        let mut why = None;
        let mut together: Vec<&mut Parcel> = Vec::new();
        for parcel in batch.parcels.iter_mut().filter(|p| p.is_open()) {
            if !parcel.counted && traces_of(&parcel.payload).is_some() {
                together.push(parcel);
            } else {
                self.deliver_alone(ws, parcel, &mut why);
            }
        }
        if together.len() < 2 || self.are_unread_together(ws, merged, &mut together, &mut why) {
            together.into_iter().filter(|p| p.is_open()).for_each(|p| self.deliver_alone(ws, p, &mut why));
        }
        if let Some(error) = why {
            self.keep(batch, &error);
        }
    }

    /// What has waited too long, and cannot be kept on disk, is dropped.
    fn expire(&self, batch: &mut Batch<'_>) {
        let (budget, now) = (self.config.queue.budget, Instant::now());
        for parcel in batch.parcels.iter_mut().filter(|p| p.offered + budget <= now) {
            if self.keep_on_disk(parcel) {
                continue;
            }
            let why = Error::new(
                ErrorKind::TimedOut,
                format!("the payload waited in the queue for {} ms (`asyncBudget`)", budget.as_millis()),
            );
            self.lost_in_queue(&why, parcel.declared);
            self.queue.drop_parcel(parcel, &why);
        }
    }

    fn deliver_alone(&self, ws: &mut Workspace, parcel: &mut Parcel, why: &mut Option<Error>) {
        let declared = std::mem::take(&mut parcel.declared);
        let end = parcel.offered + self.config.queue.budget;
        let held = Held { declared, end, counted: parcel.counted, state: HeldState::default() };
        match self.process_held(ws, &parcel.payload, parcel.dropped, held) {
            HeldResult::Settled(result) => parcel.complete(result),
            HeldResult::Unread(error) => {
                parcel.declared = declared;
                self.lost_in_queue(&error, declared);
                self.queue.drop_parcel(parcel, &error);
            }
            HeldResult::Later { error, counted } => {
                parcel.declared = declared;
                parcel.counted |= counted;
                *why = Some(error);
            }
        }
    }

    /// Sends payloads as one; whether that cannot be read. They share one answer, with the counts of the whole.
    fn are_unread_together(
        &self,
        ws: &mut Workspace,
        merged: &mut Vec<u8>,
        parcels: &mut [&mut Parcel],
        why: &mut Option<Error>,
    ) -> bool {
        merge(parcels, merged);
        let end = Instant::now();
        let mut held = Held { declared: Counts::default(), end, counted: false, state: HeldState::default() };
        let mut dropped = DroppedP0::default();
        // From here on the account's entry answers for all of them.
        let mut declared = Vec::with_capacity(parcels.len());
        for parcel in parcels.iter_mut() {
            held.declared = held.declared.plus(parcel.declared);
            held.end = held.end.max(parcel.offered + self.config.queue.budget);
            dropped.traces = dropped.traces.saturating_add(parcel.dropped.traces);
            dropped.spans = dropped.spans.saturating_add(parcel.dropped.spans);
            declared.push(std::mem::take(&mut parcel.declared));
        }
        let (unread, counted) = match self.process_held(ws, merged, dropped, held) {
            HeldResult::Settled(result) => {
                parcels.iter_mut().filter(|p| p.done.is_some()).for_each(|p| p.complete(result.clone()));
                return false;
            }
            HeldResult::Unread(_) => (true, false),
            HeldResult::Later { error, counted } => {
                *why = Some(error);
                (false, counted)
            }
        };
        for (parcel, declared) in parcels.iter_mut().zip(declared) {
            parcel.declared = declared;
            parcel.counted |= counted;
        }
        unread
    }

    /// What could not be delivered for this reason waits for a better time.
    fn keep(&self, batch: &mut Batch<'_>, why: &Error) {
        if self.queue.is_suspended() && !batch.is_from_spool() {
            return self.queue.put_back(batch);
        }
        let as_it_was = |(p, r): (&Parcel, &Record)| p.is_open() && p.counted == r.counted;
        if batch.is_from_spool() && batch.parcels.iter().zip(&batch.records).all(as_it_was) {
            batch.later = true;
            return;
        }
        for parcel in batch.parcels.iter_mut().filter(|p| p.is_open()) {
            if !self.keep_on_disk(parcel) {
                self.lost_in_queue(why, parcel.declared);
                self.queue.drop_parcel(parcel, why);
            }
        }
    }

    /// Puts a payload into the spool; whether there is one that takes it.
    fn keep_on_disk(&self, parcel: &mut Parcel) -> bool {
        if !self.queue.has_spool() {
            return false;
        }
        let record = parcel.record();
        let kept = self.queue.to_spool(&record).is_ok();
        parcel.payload = record.payload;
        if kept {
            parcel.declared = Counts::default();
            parcel.complete(Err(Error::new(
                ErrorKind::AgentDown,
                "the agent was away for longer than `asyncBudget`; the payload is kept in the spool and sent later",
            )));
        }
        kept
    }
}

/// One sender's life.
fn work(queue: &Queue, weak: &Weak<Dispatcher>) {
    let mut ws = Workspace::default();
    let mut merged = Vec::new();
    while let Some(mut batch) = queue.take() {
        let Some(dispatcher) = weak.upgrade() else { continue };
        // A panic ends one batch, which the account then calls an internal loss.
        let _ = catch_unwind(AssertUnwindSafe(|| dispatcher.deliver(&mut ws, &mut merged, &mut batch)));
        drop(batch);
        ws.trim();
    }
}

/// How many traces a v0.4 payload has; `None` if it does not end where they do.
fn traces_of(payload: &[u8]) -> Option<u32> {
    let (traces, mut at) = reader::array_head(payload, 0).ok()?;
    for _ in 0..traces {
        at = reader::skip(payload, at).ok()?;
    }
    (at == payload.len()).then_some(traces)
}

/// Payloads as one: their traces, one after the other.
fn merge(parcels: &[&mut Parcel], out: &mut Vec<u8>) {
    let heads = parcels.iter().map(|p| reader::array_head(&p.payload, 0).unwrap_or((0, p.payload.len())));
    let traces: u32 = heads.clone().map(|(n, _)| n).sum();
    out.clear();
    writer::array_head(out, traces);
    for (parcel, (_, at)) in parcels.iter().zip(heads) {
        out.extend_from_slice(parcel.payload.get(at..).unwrap_or(&[]));
    }
}
