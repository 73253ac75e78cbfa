//! What senders do: take a batch out of the queue, merge it, send it, tell whoever waits.
//!
//! Senders are native threads that start when something is offered and end when nothing was for a while. They hold their
//! exporter only while they deliver for it. A payload that cannot be read does not spoil its batch: each goes alone then.

use super::accounting::{Counts, DropReason};
use super::dispatch::{Dispatcher, Held, HeldResult, HeldState};
use super::parcel::{Batch, Completion, Parcel};
use super::queue::{Offer, Offering, Queue, evicted};
use super::response::DroppedP0;
use crate::convert::Workspace;
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
        }
    }

    /// Sends a batch; all of it is settled then.
    fn deliver(&self, ws: &mut Workspace, merged: &mut Vec<u8>, batch: &mut Batch<'_>) {
        let budget = self.config.queue.budget;
        let now = Instant::now();
        let expired = |p: &Parcel| !p.spooled && p.offered + budget <= now;
        for parcel in batch.parcels.iter_mut().filter(|p| expired(p)) {
            let why = Error::new(
                ErrorKind::TimedOut,
                format!("the payload waited in the queue for {} ms (`asyncBudget`)", budget.as_millis()),
            );
            self.lost_in_queue(&why, parcel.declared);
            self.queue.drop_parcel(parcel, &why);
        }
        let mut together: Vec<&mut Parcel> = Vec::new();
        for parcel in batch.parcels.iter_mut().filter(|p| p.declared != Counts::default()) {
            if traces_of(&parcel.payload).is_some() {
                together.push(parcel);
            } else {
                self.deliver_alone(ws, parcel);
            }
        }
        if let [one] = together.as_mut_slice() {
            return self.deliver_alone(ws, one);
        }
        if together.is_empty() || self.deliver_together(ws, merged, &mut together) {
            return;
        }
        for parcel in together {
            self.deliver_alone(ws, parcel);
        }
    }

    fn deliver_alone(&self, ws: &mut Workspace, parcel: &mut Parcel) {
        let declared = std::mem::take(&mut parcel.declared);
        let held = Held {
            declared,
            end: parcel.offered + self.config.queue.budget,
            counted: parcel.counted,
            state: HeldState::default(),
        };
        match self.process_held(ws, &parcel.payload, parcel.dropped, held) {
            HeldResult::Settled(result) => parcel.complete(result),
            HeldResult::Unread(error) => {
                parcel.declared = declared;
                self.lost_in_queue(&error, declared);
                self.queue.drop_parcel(parcel, &error);
            }
            HeldResult::Later { found, counted } => {
                self.queue.put_back(Parcel {
                    payload: std::mem::take(&mut parcel.payload),
                    declared: found,
                    done: parcel.done.take(),
                    values: None,
                    counted,
                    ..*parcel
                });
            }
        }
    }

    /// Whether they could be read. What is merged shares one answer, with the counts of the whole.
    fn deliver_together(
        &self,
        ws: &mut Workspace,
        merged: &mut Vec<u8>,
        parcels: &mut [&mut Parcel],
    ) -> bool {
        merge(parcels, merged);
        let mut held = Held {
            declared: Counts::default(),
            end: Instant::now(),
            counted: false,
            state: HeldState::default(),
        };
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
        match self.process_held(ws, merged, dropped, held) {
            HeldResult::Settled(result) => {
                parcels.iter_mut().filter(|p| p.done.is_some()).for_each(|p| p.complete(result.clone()));
            }
            HeldResult::Unread(_) => {
                for (parcel, declared) in parcels.iter_mut().zip(declared) {
                    parcel.declared = declared;
                }
                return false;
            }
            HeldResult::Later { found, counted } => {
                self.put_back_merged(merged, parcels, dropped, found, counted)
            }
        }
        true
    }

    /// What was merged stays so.
    fn put_back_merged(
        &self,
        merged: &mut Vec<u8>,
        parcels: &mut [&mut Parcel],
        dropped: DroppedP0,
        found: Counts,
        counted: bool,
    ) {
        let waiting: Vec<Completion> = parcels.iter_mut().filter_map(|p| p.done.take()).collect();
        let done: Completion =
            Box::new(move |result| waiting.into_iter().for_each(|done| done(result.clone())));
        let Some(first) = parcels.first() else { return };
        self.queue.put_back(Parcel {
            payload: std::mem::take(merged),
            declared: found,
            dropped,
            done: Some(done),
            values: None,
            counted,
            ..**first
        });
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
