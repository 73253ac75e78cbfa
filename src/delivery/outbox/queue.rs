//! The queue between threads that offer and the senders: bounded in bytes and payloads, first in first out.
//!
//! **What it promises.** Every payload that was offered is in the account at once and leaves it once: taken by a sender,
//! refused, evicted, or dropped at close. The bound holds for all that the queue answers for: payloads that wait, those
//! that a sender has taken and not settled, and buffers kept for reuse.
//!
//! **What it costs.** `offer` takes the lock twice for some dozen instructions; the copy is made between, into a buffer
//! that was used before. Shedding (`shed.rs`) reads payloads under the lock, and each only once.
//!
//! Nothing here starts a thread or knows an agent: see `courier`.

use super::parcel::{Batch, Completion, Parcel};
use super::shed::shed;
use super::spool::{Held, PushError, Record, Spool};
use crate::account::{Account, Counts, DropReason};
use crate::delivery::response::DroppedP0;
use crate::error::{Error, ErrorKind};
use crate::msgpack::reader;
use crate::settings::{Overflow, QueueSettings};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A sender that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(1);
/// Smaller buffers are not worth keeping: the allocator has them at hand.
const KEEP_FROM: usize = 32 << 10;
/// More buffers are not kept.
const KEPT: usize = 64;

/// The queue of one exporter.
pub(crate) struct Queue {
    pub(crate) settings: QueueSettings,
    account: Arc<Account>,
    /// Whether payloads say how many traces they have, and may be merged: only v0.4 does.
    v04: bool,
    state: Mutex<State>,
    /// What does not fit goes there. Gone once the exporter is closed. Never locked while `state` is.
    spool: Mutex<Option<Spool>>,
    /// Something is due.
    work: Condvar,
    /// There may be room.
    room: Condvar,
    /// A batch is settled, or a sender has ended.
    settled: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Open,
    /// Takes payloads, gives none.
    Suspended,
    /// Takes none, gives the rest.
    Closing,
    /// Takes none, gives none.
    Closed,
}

#[derive(Default)]
struct State {
    mode: Mode,
    parcels: VecDeque<Parcel>,
    /// Bytes of `parcels`.
    bytes: usize,
    /// Room of payloads that are being copied, or on their way.
    held: usize,
    held_bytes: usize,
    /// Buffers to be used again, and their bytes.
    kept: Vec<Vec<u8>>,
    kept_bytes: usize,
    next_seq: u64,
    /// Everything before this one is due.
    due_before: u64,
    /// The first of each batch on its way.
    out: Vec<u64>,
    senders: usize,
    /// Senders that wait for something to do.
    resting: usize,
    refused: u64,
    evicted: u64,
    /// There is a spool; it holds something; a sender has taken of it; it is its turn.
    has_spool: bool,
    spool_waits: bool,
    spool_busy: bool,
    spool_turn: bool,
}

/// What became of an offer, and what the caller must do about it, outside the lock.
#[derive(Default)]
pub(crate) struct Offering {
    /// Why it was not taken.
    pub(crate) refused: Option<Error>,
    /// What had to go for it, or was refused.
    pub(crate) lost: Counts,
    /// Who waited for what had to go.
    pub(crate) evicted: Vec<Completion>,
    /// A sender must be started.
    pub(crate) wants_sender: bool,
}

/// How the queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatus {
    /// Payloads that wait or are on their way.
    pub payloads: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Age of the oldest that waits.
    pub oldest: Duration,
    /// Payloads refused since the start.
    pub refused: u64,
    /// Payloads evicted since the start, whole or in part.
    pub evicted: u64,
    /// Sender threads.
    pub senders: u64,
}

/// What Java or C copies into a buffer of ours.
pub(crate) struct Offer<'a> {
    pub(crate) size: usize,
    /// The first bytes of the payload, five if it has them: the number of traces.
    pub(crate) head: &'a [u8],
    pub(crate) dropped: DroppedP0,
    pub(crate) done: Option<Completion>,
}

impl Queue {
    /// # Errors
    /// `INVALID_CONFIGURATION` if the spool cannot be opened.
    pub(crate) fn new(settings: QueueSettings, account: Arc<Account>, v04: bool) -> Result<Self, Error> {
        let spool = settings.spool.as_ref().map(|(dir, bytes)| Spool::open(dir, *bytes)).transpose()?;
        let held = spool.as_ref().map(Spool::held).unwrap_or_default();
        account.inherit(held.payloads, held.counts);
        let state = State { has_spool: spool.is_some(), spool_waits: held.payloads > 0, ..State::default() };
        Ok(Self {
            settings,
            account,
            v04,
            state: Mutex::new(state),
            spool: Mutex::new(spool),
            work: Condvar::new(),
            room: Condvar::new(),
            settled: Condvar::new(),
        })
    }

    /// Takes a payload if there is room, or makes room as the policy says. `fill` copies it.
    ///
    /// # Errors
    /// What `fill` says; the payload was not offered then.
    pub(crate) fn offer<E>(
        &self,
        mut offer: Offer<'_>,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Offering, E> {
        let mut offering = Offering::default();
        let declared = Counts { traces: self.traces(&offer), spans: 0, bytes: offer.size as u64 };
        let mut state = self.state.lock();
        // Whoever waits for an answer does not wait for an agent that may be back tomorrow.
        if state.has_spool
            && offer.done.is_none()
            && state.mode < Mode::Closing
            && !self.fits(&state, offer.size)
        {
            drop(state);
            return self.offer_to_spool(offer.size, declared, offer.dropped, fill);
        }
        if let Err(error) = self.make_room(&mut state, &offer, &mut offering) {
            state.refused += 1;
            drop(state);
            self.refuse(error, declared, offer.done.take(), &mut offering);
            return Ok(offering);
        }
        state.held += 1;
        state.held_bytes += offer.size;
        let buffer = state.buffer(offer.size);
        drop(state);

        let filled = sized(buffer, offer.size).map(|mut buffer| fill(&mut buffer).map(|()| buffer));

        let mut state = self.state.lock();
        state.held -= 1;
        state.held_bytes -= offer.size;
        let payload = match filled {
            Some(Ok(payload)) if state.mode < Mode::Closing => payload,
            Some(Err(error)) => return Err(error),
            filled => {
                drop(state);
                let error = if filled.is_some() { closed() } else { no_memory(offer.size) };
                self.refuse(error, declared, offer.done.take(), &mut offering);
                return Ok(offering);
            }
        };
        self.account.enqueue(declared);
        let parcel = Parcel {
            payload,
            declared,
            dropped: offer.dropped,
            offered: Instant::now(),
            seq: state.next_seq,
            done: offer.done,
            values: None,
            counted: false,
        };
        self.push(&mut state, parcel, &mut offering);
        Ok(offering)
    }

    /// The queue is full and the agent perhaps away.
    #[cold]
    fn offer_to_spool<E>(
        &self,
        size: usize,
        declared: Counts,
        dropped: DroppedP0,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Offering, E> {
        let mut offering = Offering::default();
        let Some(mut payload) = sized(Vec::new(), size) else {
            self.refuse(no_memory(size), declared, None, &mut offering);
            return Ok(offering);
        };
        fill(&mut payload)?;
        self.account.enqueue(declared);
        let record = Record { payload, counts: declared, dropped, counted: false };
        match self.to_spool(&record) {
            Ok(()) => offering.wants_sender = self.wants_sender(),
            Err(error) => {
                self.state.lock().refused += 1;
                self.account.drop_queued(declared, 0, DropReason::QueueFull);
                offering.lost = declared;
                offering.refused = Some(error);
            }
        }
        Ok(offering)
    }

    /// Puts what is in the account into the spool.
    ///
    /// # Errors
    /// `QUEUE_FULL` if it has no room, the disk says no, or it is gone.
    pub(crate) fn to_spool(&self, record: &Record) -> Result<(), Error> {
        let refused = |why: &str| {
            Error::new(
                ErrorKind::QueueFull,
                format!("the queue is full and the spool takes no more: {why} (`queueBytes`, `spool`)"),
            )
        };
        let mut spool = self.spool.lock();
        match spool.as_mut().map(|spool| spool.push(record)) {
            Some(Ok(())) => self.account.spool(record.counts, false),
            Some(Err(PushError::Full)) => return Err(refused("its limit is reached")),
            Some(Err(PushError::Io(why))) => return Err(refused(&why)),
            None => return Err(closed()),
        }
        drop(spool);
        let mut state = self.state.lock();
        state.spool_waits = true;
        if state.resting > 0 {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Whether what cannot be delivered now can be kept for later.
    pub(crate) fn has_spool(&self) -> bool {
        self.state.lock().has_spool
    }

    fn wants_sender(&self) -> bool {
        let state = self.state.lock();
        state.senders == 0 && matches!(state.mode, Mode::Open)
    }

    fn push(&self, state: &mut State, parcel: Parcel, offering: &mut Offering) {
        let seq = parcel.seq;
        let was_empty = state.parcels.is_empty();
        state.next_seq = seq + 1;
        if parcel.done.is_some() {
            state.due_before = state.next_seq;
        }
        state.bytes += parcel.payload.len();
        state.parcels.push_back(parcel);
        if self.settings.overflow == Overflow::Shed {
            self.shed(state, offering);
            if state.parcels.back().is_none_or(|p| p.seq != seq) {
                offering.refused = Some(evicted());
            }
        }
        let due = self.is_due(state, None);
        if (due || was_empty) && state.resting > 0 {
            self.work.notify_one();
        }
        offering.wants_sender = state.mode != Mode::Suspended
            && (state.senders == 0 || due && state.resting == 0 && state.senders < self.settings.senders);
    }

    /// Traces that a payload declares. Nobody looks into other formats for that.
    fn traces(&self, offer: &Offer<'_>) -> u64 {
        let head = if self.v04 { reader::array_head_of(offer.head, 0, offer.size).ok() } else { None };
        head.map_or(0, |(n, _)| u64::from(n))
    }

    fn fits(&self, state: &State, size: usize) -> bool {
        state.parcels.len() + state.held < self.settings.payloads
            && state.bytes + state.held_bytes + size <= self.settings.bytes
    }

    fn make_room(
        &self,
        state: &mut MutexGuard<'_, State>,
        offer: &Offer<'_>,
        offering: &mut Offering,
    ) -> Result<(), Error> {
        if offer.size > self.settings.bytes {
            return Err(Error::new(
                ErrorKind::QueueFull,
                format!(
                    "a payload of {} bytes; the queue takes {} (`queueBytes`)",
                    offer.size, self.settings.bytes
                ),
            ));
        }
        let end = Instant::now() + self.settings.block_wait;
        loop {
            if state.mode >= Mode::Closing {
                return Err(closed());
            }
            if self.fits(state, offer.size) {
                break;
            }
            match self.settings.overflow {
                Overflow::DropNewest => return Err(self.full(state)),
                Overflow::DropOldest => match state.parcels.pop_front() {
                    Some(parcel) => self.evict(state, parcel, offering),
                    None => return Err(self.full(state)),
                },
                Overflow::Block => {
                    if self.room.wait_until(state, end).timed_out() {
                        return Err(self.full(state));
                    }
                }
                // Room is made once it is known what this one is worth.
                Overflow::Shed => break,
            }
        }
        // Buffers kept for reuse must not exceed the bound either.
        while state.bytes + state.held_bytes + offer.size + state.kept_bytes > self.settings.bytes {
            let Some(i) =
                state.kept.iter().position(|b| b.capacity() < offer.size).or(state.kept.len().checked_sub(2))
            else {
                break;
            };
            let buffer = state.kept.swap_remove(i);
            state.kept_bytes -= buffer.capacity();
        }
        Ok(())
    }

    fn full(&self, state: &State) -> Error {
        let (payloads, bytes) = (state.parcels.len() + state.held, state.bytes + state.held_bytes);
        Error::new(
            ErrorKind::QueueFull,
            format!(
                "the queue is full: {payloads} of {} payloads, {bytes} of {} bytes (`queuePayloads`, `queueBytes`, \
                 `overflow`)",
                self.settings.payloads, self.settings.bytes
            ),
        )
    }

    fn refuse(&self, error: Error, declared: Counts, done: Option<Completion>, offering: &mut Offering) {
        self.account.enqueue(declared);
        self.account.drop_queued(declared, 0, DropReason::of(error.kind(), None));
        offering.lost = offering.lost.plus(declared);
        if let Some(done) = done {
            done(Err(error.clone()));
        }
        offering.refused = Some(error);
    }

    fn evict(&self, state: &mut State, mut parcel: Parcel, offering: &mut Offering) {
        state.bytes -= parcel.payload.len();
        state.evicted += 1;
        self.account.drop_queued(parcel.declared, 0, DropReason::Evicted);
        offering.lost = offering.lost.plus(parcel.declared);
        offering.evicted.extend(parcel.done.take());
        state.keep(parcel.payload, self.settings.bytes);
    }

    fn shed(&self, state: &mut State, offering: &mut Offering) {
        let bytes = (state.bytes + state.held_bytes).saturating_sub(self.settings.bytes);
        let payloads = (state.parcels.len() + state.held).saturating_sub(self.settings.payloads);
        if bytes == 0 && payloads == 0 {
            return;
        }
        let gone = shed(&mut state.parcels, bytes, payloads);
        state.bytes = state.parcels.iter().map(|p| p.payload.len()).sum();
        state.evicted += gone.payloads.max(1);
        self.account.drop_queued(Counts { spans: 0, ..gone.counts }, gone.counts.spans, DropReason::Evicted);
        offering.lost = offering.lost.plus(gone.counts);
        offering.evicted.extend(gone.waiting);
    }

    /// Whether the first payloads should go. With `now` they also go by age.
    fn is_due(&self, state: &State, now: Option<Instant>) -> bool {
        let Some(first) = state.parcels.front() else { return false };
        state.bytes >= self.settings.batch_bytes.min(self.settings.bytes / 2)
            || 2 * state.parcels.len() >= self.settings.payloads
            || first.seq < state.due_before
            || state.mode == Mode::Closing
            || now.is_some_and(|now| now >= first.offered + self.settings.batch_age)
    }

    /// The next batch; waits until one is due. `None`: the sender shall end.
    pub(crate) fn take(&self) -> Option<Batch<'_>> {
        let mut state = self.state.lock();
        let idle_since = Instant::now();
        loop {
            let now = Instant::now();
            let gives = matches!(state.mode, Mode::Open | Mode::Closing);
            let due = gives && self.is_due(&state, Some(now));
            // The spool takes turns with the queue. Who closes has no time for it.
            if state.mode == Mode::Open
                && state.spool_waits
                && !state.spool_busy
                && (state.spool_turn || !due)
            {
                state.spool_busy = true;
                state.spool_turn = false;
                drop(state);
                if let Some(batch) = self.take_from_spool() {
                    return Some(batch);
                }
                state = self.state.lock();
                continue;
            }
            if due {
                state.spool_turn = true;
                return Some(self.cut(&mut state));
            }
            let until = match state.parcels.front() {
                Some(first) if gives => first.offered + self.settings.batch_age,
                _ => idle_since + IDLE,
            };
            if !gives || (state.parcels.is_empty() && (now >= until || state.mode == Mode::Closing)) {
                self.end_sender(&mut state);
                return None;
            }
            state.resting += 1;
            self.work.wait_until(&mut state, until);
            state.resting -= 1;
        }
    }

    fn take_from_spool(&self) -> Option<Batch<'_>> {
        let mut batch = self.batch();
        let mut spool = self.spool.lock();
        let (records, lost) = match spool.as_mut() {
            Some(spool) => (spool.take(self.settings.batch_bytes), spool.lost()),
            None => (Vec::new(), Counts::default()),
        };
        if lost != Counts::default() {
            self.account.spool(lost, true);
            self.account.drop_queued(lost, 0, DropReason::SpoolDamaged);
        }
        // What is put into the spool from here on must not be overlooked.
        let mut state = self.state.lock();
        drop(spool);
        batch.first = state.next_seq;
        for mut record in records {
            batch.bytes += record.payload.len();
            batch.parcels.push(Parcel {
                payload: std::mem::take(&mut record.payload),
                declared: record.counts,
                dropped: record.dropped,
                offered: Instant::now(),
                seq: batch.first,
                done: None,
                values: None,
                counted: record.counted,
            });
            batch.records.push(record);
        }
        batch.count = batch.parcels.len();
        if batch.count == 0 {
            state.spool_busy = false;
            state.spool_waits = false;
            return None;
        }
        state.held += batch.count;
        state.held_bytes += batch.bytes;
        state.out.push(batch.first);
        Some(batch)
    }

    /// Whether the account says of a batch from the spool that it lies on disk; not while it is delivered.
    pub(crate) fn lies_on_disk(&self, batch: &mut Batch<'_>, lies: bool) {
        if batch.set_out == lies {
            batch.set_out = !lies;
            batch.records.iter().for_each(|r| self.account.spool(r.counts, !lies));
        }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            queue: self,
            parcels: Vec::new(),
            first: 0,
            bytes: 0,
            count: 0,
            records: Vec::new(),
            set_out: false,
            later: false,
        }
    }

    fn cut(&self, state: &mut State) -> Batch<'_> {
        let mut batch = self.batch();
        while let Some(next) = state.parcels.front() {
            let size = next.payload.len();
            let alone = !self.v04 || next.counted || self.settings.batch_bytes < size;
            if !batch.parcels.is_empty() && (alone || batch.bytes + size > self.settings.batch_bytes) {
                break;
            }
            let Some(parcel) = state.parcels.pop_front() else { break };
            if batch.parcels.is_empty() {
                batch.first = parcel.seq;
            }
            batch.bytes += size;
            batch.parcels.push(parcel);
            if alone {
                break;
            }
        }
        batch.count = batch.parcels.len();
        state.bytes -= batch.bytes;
        state.held += batch.count;
        state.held_bytes += batch.bytes;
        state.out.push(batch.first);
        batch
    }

    /// A batch has met its fate: its room is free, its buffers can be used again.
    pub(in crate::delivery) fn settle(&self, batch: &mut Batch<'_>) {
        let mut spool = (!batch.records.is_empty()).then(|| self.spool.lock());
        if let Some(spool) = spool.as_deref_mut().and_then(Option::as_mut) {
            if batch.later {
                spool.put_back(&batch.records);
                self.lies_on_disk(batch, true);
            } else {
                spool.confirm();
            }
        }
        let mut state = self.state.lock();
        if let Some(spool) = spool {
            state.spool_busy = false;
            state.spool_waits = spool.as_ref().is_some_and(|s| s.held().payloads > 0);
        }
        state.held -= batch.count;
        state.held_bytes -= batch.bytes;
        if let Some(i) = state.out.iter().position(|first| *first == batch.first) {
            state.out.swap_remove(i);
        }
        for parcel in batch.parcels.drain(..) {
            state.keep(parcel.payload, self.settings.bytes);
        }
        drop(state);
        self.room.notify_all();
        self.settled.notify_all();
    }

    /// A payload that nobody has settled.
    pub(in crate::delivery) fn lose(&self, parcel: &mut Parcel, reason: DropReason) {
        self.account.drop_queued(std::mem::take(&mut parcel.declared), 0, reason);
    }

    /// Drops a payload that a sender has taken and that never sets out.
    pub(crate) fn drop_parcel(&self, parcel: &mut Parcel, error: &Error) {
        let declared = std::mem::take(&mut parcel.declared);
        self.account.drop_queued(declared, 0, DropReason::of(error.kind(), None));
        parcel.complete(Err(error.clone()));
    }

    /// Whether one more sender may be started; the caller must do it, or say [`Queue::not_started`].
    pub(crate) fn claim_sender(&self) -> bool {
        let mut state = self.state.lock();
        let wanted = state.mode != Mode::Suspended
            && (!state.parcels.is_empty() || state.spool_waits && state.mode == Mode::Open);
        let free = state.senders == 0 || state.resting == 0 && state.senders < self.settings.senders;
        let claimed = wanted && free;
        state.senders += usize::from(claimed);
        claimed
    }

    /// The system had no thread. The next offer tries again.
    pub(crate) fn not_started(&self) {
        let mut state = self.state.lock();
        self.end_sender(&mut state);
    }

    fn end_sender(&self, state: &mut State) {
        state.senders -= 1;
        if state.senders == 0 {
            state.kept.clear();
            state.kept.shrink_to_fit();
            state.kept_bytes = 0;
            if state.parcels.is_empty() {
                state.parcels = VecDeque::new();
            }
        }
        self.settled.notify_all();
    }

    /// Makes everything that waits due at once. Gives the mark that [`Queue::wait_settled`] takes.
    pub(crate) fn hurry(&self) -> u64 {
        let mut state = self.state.lock();
        state.due_before = state.next_seq;
        self.work.notify_all();
        state.next_seq
    }

    /// Waits until everything before `mark` is settled; whether that came to be.
    pub(crate) fn wait_settled(&self, mark: u64, end: Instant) -> bool {
        let mut state = self.state.lock();
        loop {
            let waits = state.parcels.front().is_some_and(|p| p.seq < mark);
            if !waits && state.out.iter().all(|first| *first >= mark) {
                return true;
            }
            if state.mode == Mode::Closed || self.settled.wait_until(&mut state, end).timed_out() {
                return false;
            }
        }
    }

    /// Takes no more payloads; what waits is due.
    pub(crate) fn begin_close(&self) {
        let mut state = self.state.lock();
        if state.mode < Mode::Closing {
            state.mode = Mode::Closing;
        }
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Gives no more payloads: what waits is dropped, and whoever waits for it hears why.
    pub(crate) fn abandon(&self, reason: DropReason) -> Counts {
        let mut state = self.state.lock();
        state.mode = Mode::Closed;
        let rest = std::mem::take(&mut state.parcels);
        state.bytes = 0;
        drop(state);
        self.work.notify_all();
        self.room.notify_all();
        self.settled.notify_all();
        let mut lost = Counts::default();
        for mut parcel in rest {
            let record = parcel.record();
            if self.to_spool(&record).is_ok() {
                parcel.complete(Err(closed().note("; it is kept in the spool")));
                continue;
            }
            lost = lost.plus(parcel.declared);
            self.lose(&mut parcel, reason);
            parcel.complete(Err(closed()));
        }
        lost
    }

    /// Leaves the spool to whoever comes next.
    pub(crate) fn close_spool(&self) {
        self.state.lock().has_spool = false;
        *self.spool.lock() = None;
    }

    /// Whether something lies in the spool, or is on its way from there.
    pub(crate) fn spool_holds(&self) -> bool {
        let state = self.state.lock();
        state.spool_waits || state.spool_busy
    }

    /// What the spool holds, if there is one.
    pub(crate) fn spooled(&self) -> Option<Held> {
        self.spool.lock().as_ref().map(Spool::held)
    }

    /// Gives no payloads until [`Queue::resume`]; waits up to `end` for senders to end. Whether they have.
    pub(crate) fn suspend(&self, end: Instant) -> bool {
        let mut state = self.state.lock();
        if state.mode == Mode::Open {
            state.mode = Mode::Suspended;
        }
        self.work.notify_all();
        self.wait_ended(state, end)
    }

    /// Whether it gives no payloads for the time being.
    pub(crate) fn is_suspended(&self) -> bool {
        self.state.lock().mode == Mode::Suspended
    }

    /// What of a batch is open comes back, before all others.
    pub(crate) fn put_back(&self, batch: &mut Batch<'_>) {
        let mut state = self.state.lock();
        if state.mode == Mode::Closed {
            return;
        }
        for mut parcel in batch.parcels.drain(..).rev() {
            if parcel.is_open() {
                parcel.values = None;
                state.bytes += parcel.payload.len();
                state.parcels.push_front(parcel);
            }
        }
    }

    /// Gives payloads again; whether a sender must be started.
    pub(crate) fn resume(&self) -> bool {
        let mut state = self.state.lock();
        if state.mode == Mode::Suspended {
            state.mode = Mode::Open;
        }
        !state.parcels.is_empty() || state.spool_waits
    }

    /// Waits until no sender runs.
    pub(crate) fn wait_senders(&self, end: Instant) -> bool {
        self.wait_ended(self.state.lock(), end)
    }

    fn wait_ended(&self, mut state: MutexGuard<'_, State>, end: Instant) -> bool {
        while state.senders > 0 {
            if self.settled.wait_until(&mut state, end).timed_out() {
                return state.senders == 0;
            }
        }
        true
    }

    /// How it stands.
    pub(crate) fn status(&self) -> QueueStatus {
        let state = self.state.lock();
        QueueStatus {
            payloads: (state.parcels.len() + state.held) as u64,
            bytes: (state.bytes + state.held_bytes) as u64,
            oldest: state.parcels.front().map_or(Duration::ZERO, |p| p.offered.elapsed()),
            refused: state.refused,
            evicted: state.evicted,
            senders: state.senders as u64,
        }
    }

    /// Bytes of memory held for payloads.
    pub(crate) fn memory_bytes(&self) -> usize {
        let state = self.state.lock();
        state.bytes + state.held_bytes + state.kept_bytes
    }
}

impl State {
    /// A used buffer that fits well, or an empty one.
    fn buffer(&mut self, size: usize) -> Vec<u8> {
        let fits = |b: &Vec<u8>| b.capacity() >= size && b.capacity() / 4 <= size;
        match self.kept.iter().rposition(fits) {
            Some(i) if size >= KEEP_FROM => {
                let buffer = self.kept.swap_remove(i);
                self.kept_bytes -= buffer.capacity();
                buffer
            }
            _ => Vec::new(),
        }
    }

    /// Keeps a buffer for reuse, within the bound.
    fn keep(&mut self, buffer: Vec<u8>, bound: usize) {
        let size = buffer.capacity();
        let all = self.bytes + self.held_bytes + self.kept_bytes + size;
        if size >= KEEP_FROM && self.kept.len() < KEPT && all <= bound && self.senders > 0 {
            self.kept_bytes += size;
            self.kept.push(buffer);
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.status()).finish()
    }
}

impl PartialOrd for Mode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (*self as u8).partial_cmp(&(*other as u8))
    }
}

/// A buffer of exactly this size; its content is anything. `None`: there is no memory for it.
fn sized(mut buffer: Vec<u8>, size: usize) -> Option<Vec<u8>> {
    buffer.truncate(size);
    buffer.try_reserve_exact(size - buffer.len()).ok()?;
    buffer.resize(size, 0);
    Some(buffer)
}

fn no_memory(size: usize) -> Error {
    Error::new(ErrorKind::QueueFull, format!("there is no native memory for a payload of {size} bytes"))
}

pub(in crate::delivery) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the exporter was closed before the payload could be delivered (`closeTimeout`)",
    )
}

pub(crate) fn evicted() -> Error {
    Error::new(
        ErrorKind::Evicted,
        "the payload had to make room in the full queue (`queueBytes`, `overflow`)",
    )
}
