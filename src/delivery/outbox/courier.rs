//! What senders do: take a batch, merge it, send it, tell whoever waits.
//!
//! Senders are native threads that start when something is offered and end when nothing was for a while. They hold
//! their exporter only while they deliver for it. A payload that cannot be read does not spoil its batch: each goes
//! alone then. What could not be delivered now goes back to where it waits ([`Queue::settle`]); a sender need not know
//! where that is.

use super::batches::Loss;
use super::parcel::{Batch, First, Parcel};
use super::queue::{Offer, Offering, Queue, closed, evicted};
use super::spool::{Meta, Record};
use crate::account::{Counts, DropReason, Later, Verdict};
use crate::convert::Workspace;
use crate::delivery::booking::{Bytes, named};
use crate::delivery::dispatch::{Dispatcher, Queued};
use crate::delivery::response::AgentResponse;
use crate::delivery::watch::{Body, Event, Severity};
use crate::error::{Error, ErrorKind};
use crate::msgpack::{reader, writer};
use crate::threads;
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
        if offer.size == 0 {
            return Ok(self.offer_nothing(offer));
        }
        let offering = self.queue.offer(offer, &|reason| self.watch.names(reason), fill)?;
        if offering.wants_sender {
            self.start_senders();
        }
        Ok(self.report(offering))
    }

    /// An empty payload is read at once: it says and counts what `send` does.
    #[cold]
    fn offer_nothing(&self, offer: Offer<'_>) -> Result<(), Error> {
        let result = self.process(&mut Workspace::default(), &[], offer.options);
        if let Some(done) = offer.done {
            done(result.clone());
        }
        result.map(drop)
    }

    fn report(&self, offering: Offering) -> Result<(), Error> {
        if offering.lost != Counts::default() || offering.refused.is_some() || !offering.evicted.is_empty() {
            let why = offering.refused.clone().unwrap_or_else(evicted);
            let first = || offering.first.as_ref().and_then(|first| self.first_of(first));
            self.lost_in_queue(&why, offering.lost, &first);
            for done in offering.evicted {
                done(Err(why.clone()));
            }
            self.report_troubles();
        }
        offering.refused.map_or(Ok(()), Err)
    }

    #[cold]
    fn lost_in_queue(&self, why: &Error, lost: Counts, first: &dyn Fn() -> Option<String>) {
        self.notify_loss(DropReason::of_error(why), lost, why.message(), first);
    }

    /// The first trace of what the queue has lost.
    fn first_of(&self, first: &First) -> Option<String> {
        match &first.only {
            Some(range) => named(first.record.payload.get(range.clone()).unwrap_or(&[])),
            None => self.first_queued(&first.record),
        }
    }

    /// The first trace of a payload that was queued.
    pub(in crate::delivery) fn first_queued(&self, record: &Record) -> Option<String> {
        let payload = &record.payload[..];
        self.first_trace(if record.meta.past.staged { Bytes::V04(payload) } else { Bytes::Input(payload) })
    }

    /// What a sender could not deliver, and nobody keeps.
    #[cold]
    fn report_loss(&self, loss: &Loss) {
        let Loss { error, counts, first } = loss;
        let reason = DropReason::of_error(error);
        self.notify_loss(reason, *counts, error.message(), &|| self.first_queued(first));
        if error.attempts() > 0 {
            let body = Body {
                traces: counts.traces,
                bytes: counts.bytes,
                requests: u64::from(error.attempts()),
                status: error.status().unwrap_or_default(),
                started: self.clock.now(),
            };
            self.notify(Event::NotDelivered(body, error, reason));
        }
    }

    /// Leaves what lies on disk to the next exporter, and says so; whether nothing does.
    pub(crate) fn leave_spool(&self) -> bool {
        let (holds, held) = (self.queue.spool_holds(), self.queue.spooled().unwrap_or_default());
        self.queue.close_disk();
        if holds {
            let text = format!(
                "closed; {} payloads ({} traces, {} bytes) stay in the spool, for the next exporter on its directory",
                held.payloads, held.counts.traces, held.counts.bytes
            );
            self.say(Severity::Info, text);
        }
        !holds
    }

    fn report_troubles(&self) {
        for (lost, text) in self.queue.troubles() {
            if lost == Counts::default() {
                self.say(Severity::Warning, text);
            } else {
                self.notify_loss(DropReason::SpoolDamaged, lost, &text, &|| None);
            }
        }
    }

    /// Starts as many senders as the queue wants.
    pub(crate) fn start_senders(self: &Arc<Self>) {
        while self.queue.claim_sender() {
            let (queue, weak) = (Arc::clone(&self.queue), Arc::downgrade(self));
            // What a payload needs is on the heap; stages and ureq were seen to use less than a quarter of this.
            if threads::start("dp-sender", 512 * 1024, move || work(&queue, &weak)).is_err() {
                self.queue.not_started();
                return;
            }
            self.notify(Event::SenderStarted);
        }
    }

    /// Sends a batch. What could not be delivered now says so in its parcel.
    fn deliver(&self, ws: &mut Workspace, merged: &mut Vec<u8>, batch: &mut Batch<'_>) {
        self.expire(batch);
        let mut together: Vec<(&mut Parcel, u64)> = Vec::new();
        for parcel in batch.parcels.iter_mut().filter(|p| p.is_open()) {
            match spans_of(&parcel.record.payload).filter(|_| parcel.can_be_merged()) {
                Some(spans) => together.push((parcel, spans)),
                None => self.deliver_alone(ws, parcel),
            }
        }
        if together.len() < 2
            || !merge(&together, merged)
            || !self.deliver_together(ws, merged, &mut together)
        {
            together.into_iter().for_each(|(parcel, _)| self.deliver_alone(ws, parcel));
        }
    }

    /// What has waited too long is not tried any more.
    fn expire(&self, batch: &mut Batch<'_>) {
        let (budget, now) = (self.config.queue.budget, self.clock.now());
        for parcel in batch.parcels.iter_mut().filter(|p| p.offered + budget <= now) {
            parcel.wait(Error::new(
                ErrorKind::TimedOut,
                format!("the payload waited in the queue for {} ms (`asyncBudget`)", budget.as_millis()),
            ));
        }
    }

    fn deliver_alone(&self, ws: &mut Workspace, parcel: &mut Parcel) {
        // From here on the account's entry answers for it.
        let meta = parcel.record.meta;
        parcel.record.meta.counts = Counts::default();
        let end = parcel.offered + self.config.queue.budget;
        match self.try_queued(ws, &parcel.record.payload, meta, end) {
            Verdict::Sent(response) => parcel.settle(|| Ok(response)),
            Verdict::Later(later) => parcel.try_later(*later),
            Verdict::Unreadable(error) => {
                parcel.record.meta = meta;
                self.lost_in_queue(&error, meta.counts, &|| self.first_queued(&parcel.record));
                self.queue.drop_parcel(parcel, &error);
            }
            Verdict::Lost(error) | Verdict::OtherFormat(error) | Verdict::TooLarge(error) => {
                parcel.settle(|| Err(error));
            }
        }
    }

    /// Sends payloads as one; whether that can be read. They share one answer, with the counts of the whole.
    fn deliver_together(
        &self,
        ws: &mut Workspace,
        merged: &[u8],
        parcels: &mut [(&mut Parcel, u64)],
    ) -> bool {
        let mut whole = Meta::default();
        let mut end = self.clock.now();
        let mut counts = Vec::with_capacity(parcels.len());
        for (parcel, _) in parcels.iter_mut() {
            let meta = &mut parcel.record.meta;
            whole.counts = whole.counts.plus(meta.counts);
            whole.dropped = whole.dropped.plus(meta.dropped.traces, meta.dropped.spans);
            whole.past.possibly_arrived |= meta.past.possibly_arrived;
            end = end.max(parcel.offered + self.config.queue.budget);
            counts.push(std::mem::take(&mut meta.counts));
        }
        match self.try_queued(ws, merged, whole, end) {
            Verdict::Sent(response) => {
                parcels.iter_mut().for_each(|(parcel, _)| parcel.settle(|| Ok(response.clone())));
            }
            Verdict::Lost(error) | Verdict::OtherFormat(error) | Verdict::TooLarge(error) => {
                parcels.iter_mut().for_each(|(parcel, _)| parcel.settle(|| Err(error.clone())));
            }
            Verdict::Later(later) if later.rest.is_some() => keep_rest(parcels, *later),
            Verdict::Later(later) => keep_each(parcels, &counts, &later),
            Verdict::Unreadable(_) => {
                for ((parcel, _), counts) in parcels.iter_mut().zip(counts) {
                    parcel.record.meta.counts = counts;
                }
                return false;
            }
        }
        true
    }

    /// One try with queued payloads, perhaps merged into one. `meta`: what stands in the account for them.
    fn try_queued(
        &self,
        ws: &mut Workspace,
        payload: &[u8],
        meta: Meta,
        end: Instant,
    ) -> Verdict<AgentResponse> {
        let Meta { counts, dropped, past, .. } = meta;
        self.process_queued(ws, payload, Queued { counts, dropped, past, end })
    }
}

/// Nothing of merged payloads has arrived: each waits for another time. `counts` are what the account had for each.
fn keep_each(parcels: &mut [(&mut Parcel, u64)], counts: &[Counts], later: &Later) {
    // What was counted meanwhile is shared out as it stands in the payloads; the sum is the account's.
    let before = counts.iter().fold(Counts::default(), |sum, c| sum.plus(*c));
    let mut found = later.counts.minus(before);
    let last = parcels.len().saturating_sub(1);
    for (i, ((parcel, spans), counts)) in parcels.iter_mut().zip(counts).enumerate() {
        let share = Counts { spans: (*spans).min(found.spans), ..Counts::default() };
        let share = if i == last { found } else { share };
        found = found.minus(share);
        let (past, dropped) = (later.past, parcel.record.meta.dropped);
        let (error, counts) = (later.error.clone(), counts.plus(share));
        parcel.try_later(Later { error, counts, past, dropped, rest: None });
    }
}

/// A part of merged payloads has arrived. What is left cannot be told apart any more: it is one payload from here on,
/// and whoever waits for one of them waits for it.
fn keep_rest(parcels: &mut [(&mut Parcel, u64)], later: Later) {
    let waiting: Vec<_> = parcels.iter_mut().filter_map(|(parcel, _)| parcel.done.take()).collect();
    let mut parcels = parcels.iter_mut().map(|(parcel, _)| parcel);
    let Some(first) = parcels.next() else { return };
    if !waiting.is_empty() {
        first.done = Some(Box::new(move |result| waiting.into_iter().for_each(|done| done(result.clone()))));
    }
    let error = later.error.clone();
    first.try_later(later);
    parcels.for_each(|parcel| parcel.settle(|| Err(error.clone())));
}

/// One sender's life.
fn work(queue: &Queue, weak: &Weak<Dispatcher>) {
    let mut ws = Workspace::default();
    let mut merged = Vec::new();
    let is_agent_there = || weak.upgrade().is_none_or(|d| d.is_peer_there());
    while let Some(mut batch) = queue.take(is_agent_there) {
        let Some(dispatcher) = weak.upgrade() else {
            batch.parcels.iter_mut().for_each(|parcel| parcel.wait(closed()));
            continue;
        };
        // A panic ends one batch, which the account then calls an internal loss.
        let _ = catch_unwind(AssertUnwindSafe(|| dispatcher.deliver(&mut ws, &mut merged, &mut batch)));
        queue.settle(batch).iter().for_each(|loss| dispatcher.report_loss(loss));
        dispatcher.report_troubles();
        ws.trim();
    }
}

/// How many spans a v0.4 payload has; `None` if it does not end where they do.
fn spans_of(payload: &[u8]) -> Option<u64> {
    let (traces, mut at) = reader::array_head(payload, 0).ok()?;
    let mut sum = 0;
    for _ in 0..traces {
        sum += reader::array_head(payload, at).map_or(0, |(spans, _)| u64::from(spans));
        at = reader::skip(payload, at).ok()?;
    }
    (at == payload.len()).then_some(sum)
}

/// Payloads as one: their traces, one after the other. Whether there is memory for it.
fn merge(parcels: &[(&mut Parcel, u64)], out: &mut Vec<u8>) -> bool {
    let payloads = parcels.iter().map(|(parcel, _)| &parcel.record.payload);
    let size = payloads.clone().map(Vec::len).sum::<usize>() + 5;
    out.clear();
    if out.try_reserve(size).is_err() {
        return false;
    }
    let heads = payloads.clone().map(|p| reader::array_head(p, 0).unwrap_or((0, p.len())));
    writer::array_head(out, heads.clone().map(|(n, _)| n).sum());
    for (payload, (_, at)) in payloads.zip(heads) {
        out.extend_from_slice(payload.get(at..).unwrap_or(&[]));
    }
    true
}
