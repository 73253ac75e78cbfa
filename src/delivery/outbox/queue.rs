//! The queue between threads that offer and the senders: what the rules ([`rules`](super::rules)) say, done with locks.
//!
//! **What it promises.** Every payload that was offered is in the account at once and leaves it once: taken by a
//! sender, refused, evicted, or dropped at close.
//!
//! **What it costs.** `offer` takes the lock twice for some dozen instructions; the copy is made between, into a buffer
//! that was used before. Shedding reads a payload once, before the lock is taken. A payload that is refused is copied,
//! too, if its first bytes do not say how many traces it has (all formats but v0.4), or its loss is to be told by name.
//!
//! Batches out and back, and how it ends: `batches`. Nothing here starts a thread or knows an agent: see `courier`.
//! Locks are taken in this order: disk, rules.

use super::line::Gone;
use super::parcel::{Completion, First, Parcel};
use super::rules::{Admission, Mode, Rules};
use super::spool::{Changes, Held, Meta, PushError, Record, Spool};
use crate::account::{Account, Counts, DropReason, Effort, Fate, Outcome, Past};
use crate::delivery::response::SendOptions;
use crate::error::{Error, ErrorKind};
use crate::format::{SCANNED, declared_traces};
use crate::memory;
use crate::msgpack::reader;
use crate::settings::{InputFormat, Overflow, QueueSettings};
use crate::time::Clock;
use crate::transport::outlet::Outlet;
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More troubles are not kept for the next who asks.
const MOST_TROUBLES: usize = 16;

/// The queue of one exporter.
pub(crate) struct Queue {
    pub(crate) settings: QueueSettings,
    pub(super) clock: Clock,
    pub(super) account: Arc<Account>,
    /// What payloads are in.
    format: InputFormat,
    /// How fast payloads may go.
    pub(super) outlet: Arc<Outlet>,
    pub(super) rules: Mutex<Rules>,
    /// What does not fit goes there. Gone once the exporter is closed.
    pub(super) disk: Mutex<Option<Spool>>,
    /// What a person must hear of, and what was lost by it.
    troubles: Mutex<Vec<(Counts, String)>>,
    /// Something is due.
    pub(super) work: Condvar,
    /// There may be room.
    pub(super) room: Condvar,
    /// A batch is settled, or a sender has ended.
    pub(super) settled: Condvar,
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
    /// The first of what is lost, if somebody wants its name.
    pub(crate) first: Option<First>,
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
    /// How long it is until something may go again (`maxBytesPerSecond`).
    pub pace_wait: Duration,
}

/// Whether somebody wants to know what is lost for this reason by name.
pub(crate) type Names<'n> = &'n dyn Fn(DropReason) -> bool;

/// What Java or C copies into a buffer of ours.
pub(crate) struct Offer<'a> {
    pub(crate) size: usize,
    /// The first bytes of the payload, five if it has them: the number of traces.
    pub(crate) head: &'a [u8],
    pub(crate) options: SendOptions,
    pub(crate) done: Option<Completion>,
}

impl Queue {
    /// # Errors
    /// `INVALID_CONFIGURATION` if the spool cannot be opened.
    pub(crate) fn new(
        settings: QueueSettings,
        account: Arc<Account>,
        format: InputFormat,
        clock: Clock,
        outlet: Arc<Outlet>,
    ) -> Result<Self, Error> {
        let open = |(dir, bytes): &(PathBuf, u64)| {
            Spool::open(dir, *bytes).map_err(|why| {
                Error::new(ErrorKind::InvalidConfiguration, format!("spool: {}: {why}", dir.display()))
            })
        };
        let spool = settings.spool.as_ref().map(open).transpose()?;
        let held = spool.as_ref().map(Spool::held).unwrap_or_default();
        account.inherit(held.payloads, held.counts);
        let mut rules = Rules::default();
        (rules.disk.there, rules.disk.holds) = (spool.is_some(), held.waits());
        Ok(Self {
            settings,
            clock,
            account,
            format,
            outlet,
            rules: Mutex::new(rules),
            disk: Mutex::new(spool),
            troubles: Mutex::default(),
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
        offer: Offer<'_>,
        names: Names<'_>,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Offering, E> {
        let mut offering = Offering::default();
        let size = offer.size;
        let buffer = match self.admit(&offer, names, &mut offering) {
            Ok(Some(buffer)) => buffer,
            Ok(None) => return self.offer_to_disk(offer, fill),
            Err(error) => return self.refuse_uncopied(error, offer, names, fill, offering),
        };
        let room = buffer.capacity().max(size);
        let filled = sized(buffer, size).map(|mut buffer| fill(&mut buffer).map(|()| buffer));

        let payload = match filled {
            Some(Ok(payload)) => payload,
            Some(Err(error)) => {
                self.rules.lock().give_up(room);
                return Err(error);
            }
            None => {
                self.rules.lock().give_up(room);
                self.refuse(no_memory(size), self.declared_by_head(&offer), offer.done, &mut offering);
                return Ok(offering);
            }
        };
        let record = self.record(payload, offer.options);
        let mut parcel = Parcel::new(record, self.clock.now(), 0, offer.done);
        if self.settings.overflow == Overflow::Shed && self.is_crowded(size) {
            parcel.read_worth();
        }
        self.push(parcel, room, &mut offering);
        Ok(offering)
    }

    /// A payload as it waits.
    fn record(&self, payload: Vec<u8>, options: SendOptions) -> Record {
        let traces = declared_traces(self.format, &payload);
        let counts = Counts { traces, spans: 0, bytes: payload.len() as u64 };
        let past = Past { counted: options.client_computed_stats, ..Past::default() };
        Record { payload, meta: Meta { counts, dropped: options.dropped, past } }
    }

    /// Reserves room; `None`: on disk.
    fn admit(
        &self,
        offer: &Offer<'_>,
        names: Names<'_>,
        offering: &mut Offering,
    ) -> Result<Option<Vec<u8>>, Error> {
        // Whoever waits for an answer does not wait for an agent that may be back tomorrow.
        let can_spool = offer.done.is_none();
        if memory::is_short() {
            return Err(no_memory(offer.size));
        }
        let mut evicted = Vec::new();
        let mut rules = self.rules.lock();
        let end = self.clock.now() + self.settings.block_wait;
        let error = loop {
            match rules.admit(&self.settings, offer.size, can_spool, &mut evicted) {
                Admission::Room(buffer) => {
                    evicted.into_iter().for_each(|parcel| self.evict(&mut rules, parcel, names, offering));
                    return Ok(Some(buffer));
                }
                Admission::Disk => return Ok(None),
                Admission::Wait if !self.clock.wait(&self.room, &mut rules, end) => {}
                Admission::Wait | Admission::Full => break self.full(&rules),
                Admission::TooLarge => break too_large(offer.size, &self.settings),
                Admission::Closed => break closed(),
            }
        };
        evicted.into_iter().for_each(|parcel| self.evict(&mut rules, parcel, names, offering));
        rules.refused += 1;
        Err(error)
    }

    /// Whether something will have to go soon, so that it pays to know what a payload is worth.
    fn is_crowded(&self, size: usize) -> bool {
        let rules = self.rules.lock();
        2 * (rules.bytes() + size) > self.settings.bytes || 2 * rules.payloads() > self.settings.payloads
    }

    fn push(&self, mut parcel: Parcel, room: usize, offering: &mut Offering) {
        let counts = parcel.record.meta.counts;
        let mut rules = self.rules.lock();
        if rules.mode >= Mode::Closing {
            rules.give_up(room);
            drop(rules);
            self.refuse(closed(), counts, parcel.done.take(), offering);
            offering.first.get_or_insert_with(|| parcel.record.into());
            return;
        }
        self.account.enqueue(counts);
        let seq = rules.number();
        parcel.seq = seq;
        let was_empty = rules.line.is_empty();
        let gone = rules.push(&self.settings, parcel, room);
        if self.settings.overflow == Overflow::Shed {
            self.forget(gone, offering);
            if !rules.line.contains(seq) {
                offering.refused = Some(evicted());
            }
        }
        let wanted = rules.wanted(&self.settings, was_empty, self.clock.now());
        if wanted.wake {
            self.work.notify_one();
        }
        offering.wants_sender = wanted.start;
    }

    /// The queue is full and the agent perhaps away.
    #[cold]
    fn offer_to_disk<E>(
        &self,
        offer: Offer<'_>,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Offering, E> {
        let mut offering = Offering::default();
        let Some(mut payload) = sized(Vec::new(), offer.size) else {
            self.refuse(no_memory(offer.size), self.declared_by_head(&offer), None, &mut offering);
            return Ok(offering);
        };
        fill(&mut payload)?;
        let record = self.record(payload, offer.options);
        let counts = record.meta.counts;
        self.account.enqueue(counts);
        match self.to_disk(&record) {
            Ok(()) => {
                let rules = self.rules.lock();
                offering.wants_sender = rules.senders() == 0 && rules.mode == Mode::Open;
            }
            Err(error) => {
                self.rules.lock().refused += 1;
                self.account.drop_queued(counts, DropReason::QueueFull);
                offering.lost = counts;
                offering.refused = Some(error);
                offering.first = Some(record.into());
            }
        }
        Ok(offering)
    }

    /// Puts what is in the account on disk.
    ///
    /// # Errors
    /// `QUEUE_FULL` if there is no room, or the disk says no; `CLOSED` if there is none.
    pub(super) fn to_disk(&self, record: &Record) -> Result<(), Error> {
        let refused = |why: &str| {
            Error::new(
                ErrorKind::QueueFull,
                format!("the queue is full and the spool takes no more: {why} (`queueBytes`, `spool`)"),
            )
        };
        let mut disk = self.disk.lock();
        let Some(spool) = disk.as_mut() else { return Err(closed()) };
        let pushed = spool.push(record);
        if pushed.is_ok() {
            self.account.spool(record.meta.counts, false);
        }
        self.hear(spool.changes());
        let mut rules = self.rules.lock();
        drop(disk);
        match pushed {
            Ok(()) => {
                rules.disk.holds = true;
                if rules.resting > 0 {
                    self.work.notify_one();
                }
                Ok(())
            }
            Err(PushError::Full) => Err(refused("its limit is reached")),
            Err(PushError::Io(why)) => Err(refused(&why)),
        }
    }

    /// The account hears what has changed on disk, and a person later.
    pub(super) fn hear(&self, changes: Changes) {
        let Changes { lost, lost_payloads, found, found_payloads, notes } = changes;
        if found_payloads > 0 {
            self.account.inherit(found_payloads, found);
        }
        if lost != Counts::default() {
            self.account.spool(lost, true);
            self.account.drop_unread(lost_payloads, lost, DropReason::SpoolDamaged);
            self.trouble(lost, "what lay in the spool cannot be read any more".to_owned());
        }
        notes.into_iter().for_each(|note| self.trouble(Counts::default(), note));
    }

    pub(super) fn trouble(&self, lost: Counts, text: String) {
        let mut troubles = self.troubles.lock();
        if troubles.len() < MOST_TROUBLES {
            troubles.push((lost, text));
        }
    }

    /// What a person must hear of, once.
    pub(crate) fn troubles(&self) -> Vec<(Counts, String)> {
        std::mem::take(&mut *self.troubles.lock())
    }

    /// Whether what cannot be delivered now can be kept for later.
    pub(crate) fn has_spool(&self) -> bool {
        self.rules.lock().disk.there
    }

    /// Whether it gives no payloads for the time being.
    pub(crate) fn is_suspended(&self) -> bool {
        self.rules.lock().mode == Mode::Suspended
    }

    /// Whether what was taken shall wait for an agent that is away.
    pub(crate) fn waits_for_agent(&self) -> bool {
        self.rules.lock().waits_for_peer()
    }

    /// Whether payloads may be merged, and say in their first bytes how many traces they have.
    pub(super) fn is_scanned_format(&self) -> bool {
        self.format == SCANNED
    }

    /// What the first bytes of a payload say of it.
    fn declared_by_head(&self, offer: &Offer<'_>) -> Counts {
        let says = self.is_scanned_format();
        let head = if says { reader::array_head_of(offer.head, 0, offer.size).ok() } else { None };
        Counts { traces: head.map_or(0, |(n, _)| u64::from(n)), spans: 0, bytes: offer.size as u64 }
    }

    /// Refuses a payload that nobody has copied yet. That is done after all where more than its first bytes is needed.
    #[cold]
    fn refuse_uncopied<E>(
        &self,
        error: Error,
        offer: Offer<'_>,
        names: Names<'_>,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
        mut offering: Offering,
    ) -> Result<Offering, E> {
        let by_name = offering.first.is_none() && names(DropReason::of_error(&error));
        let is_needed = by_name || !self.is_scanned_format();
        let copy = if is_needed { sized(Vec::new(), offer.size) } else { None };
        let mut counts = self.declared_by_head(&offer);
        if let Some(mut payload) = copy {
            fill(&mut payload)?;
            let record = self.record(payload, offer.options);
            counts = record.meta.counts;
            offering.first = offering.first.or_else(|| by_name.then(|| record.into()));
        }
        self.refuse(error, counts, offer.done, &mut offering);
        Ok(offering)
    }

    fn full(&self, rules: &Rules) -> Error {
        Error::new(
            ErrorKind::QueueFull,
            format!(
                "the queue is full: {} of {} payloads, {} of {} bytes (`queuePayloads`, `queueBytes`, `overflow`)",
                rules.payloads(),
                self.settings.payloads,
                rules.bytes(),
                self.settings.bytes
            ),
        )
    }

    fn refuse(&self, error: Error, declared: Counts, done: Option<Completion>, offering: &mut Offering) {
        self.account.enqueue(declared);
        self.account.drop_queued(declared, DropReason::of_error(&error));
        offering.lost = offering.lost.plus(declared);
        if let Some(done) = done {
            done(Err(error.clone()));
        }
        offering.refused = Some(error);
    }

    fn evict(&self, rules: &mut Rules, mut parcel: Parcel, names: Names<'_>, offering: &mut Offering) {
        let counts = parcel.record.meta.counts;
        self.account.drop_queued(counts, DropReason::Evicted);
        offering.lost = offering.lost.plus(counts);
        offering.evicted.extend(parcel.done.take());
        if offering.first.is_none() && names(DropReason::Evicted) {
            offering.first = Some(parcel.record.into());
        } else {
            rules.keep_buffer(parcel.record.payload, &self.settings);
        }
    }

    /// What was shed leaves the account.
    fn forget(&self, gone: Gone, offering: &mut Offering) {
        if gone.counts != Counts::default() || gone.payloads > 0 {
            let counts = Counts { spans: 0, ..gone.counts };
            self.account.drop_read(counts, gone.counts.spans, gone.unread, DropReason::Evicted);
            offering.lost = offering.lost.plus(gone.counts);
            offering.first = offering.first.take().or(gone.first);
            offering.evicted.extend(gone.waiting);
        }
    }

    /// Drops a payload that a sender has taken: whoever waits for it hears why.
    pub(crate) fn drop_parcel(&self, parcel: &mut Parcel, error: &Error) {
        let Meta { counts, past, .. } = parcel.record.meta;
        let reason = DropReason::of_error(error);
        if past.possibly_arrived {
            let effort = Effort { possibly_arrived: true, ..Effort::default() };
            self.account.set_out(counts).settle(&Outcome::default(), Fate::Dropped(reason), effort);
        } else {
            self.account.drop_queued(counts, reason);
        }
        parcel.settle(|| Err(error.clone()));
    }

    /// Whether one more sender may be started; the caller must do it, or say [`Queue::not_started`].
    pub(crate) fn claim_sender(&self) -> bool {
        self.rules.lock().claim_sender(&self.settings)
    }

    /// The system had no thread. The next offer tries again.
    pub(crate) fn not_started(&self) {
        self.rules.lock().end_sender();
        self.settled.notify_all();
    }

    /// Senders that wait ask again whether something may go.
    pub(crate) fn look_again(&self) {
        // Under the lock: nobody is between asking and waiting.
        let _rules = self.rules.lock();
        self.work.notify_all();
    }

    /// Makes everything that waits due at once. Gives the mark that [`Queue::wait_settled`] takes.
    pub(crate) fn hurry(&self) -> u64 {
        let mut rules = self.rules.lock();
        self.work.notify_all();
        rules.hurry()
    }

    /// Waits until everything in memory before `mark` is settled; whether that came to be.
    pub(crate) fn wait_settled(&self, mark: u64, end: Instant) -> bool {
        self.wait(end, |rules| rules.is_settled(mark))
    }

    /// Waits until nothing lies on disk or is on its way from there; whether that came to be.
    pub(crate) fn wait_drained(&self, end: Instant) -> bool {
        self.wait(end, |rules| !rules.disk.holds && !rules.disk.busy)
    }

    /// Waits until no sender has anything in its hands.
    pub(crate) fn wait_batches(&self, end: Instant) -> bool {
        self.wait(end, Rules::is_out_empty)
    }

    /// Waits until no sender runs.
    pub(crate) fn wait_senders(&self, end: Instant) -> bool {
        self.wait(end, |rules| rules.senders() == 0)
    }

    pub(super) fn wait(&self, end: Instant, done: impl Fn(&Rules) -> bool) -> bool {
        let mut rules = self.rules.lock();
        while !done(&rules) {
            if self.clock.wait(&self.settled, &mut rules, end) {
                return done(&rules);
            }
        }
        true
    }

    /// Whether something lies on disk, or is on its way from there.
    pub(crate) fn spool_holds(&self) -> bool {
        let rules = self.rules.lock();
        rules.disk.holds || rules.disk.busy
    }

    /// What the spool holds, if there is one.
    pub(crate) fn spooled(&self) -> Option<Held> {
        self.disk.lock().as_ref().map(Spool::held)
    }

    /// How it stands.
    pub(crate) fn status(&self) -> QueueStatus {
        let (rules, now) = (self.rules.lock(), self.clock.now());
        QueueStatus {
            payloads: rules.payloads() as u64,
            bytes: rules.bytes() as u64,
            oldest: rules
                .line
                .first()
                .map_or(Duration::ZERO, |first| now.saturating_duration_since(first.offered)),
            refused: rules.refused,
            evicted: rules.evicted,
            senders: rules.senders() as u64,
            pace_wait: self.outlet.pace.ready_at(now).map_or(Duration::ZERO, |at| at - now),
        }
    }

    /// Bytes of memory held for payloads.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.rules.lock().memory_bytes()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.status()).finish()
    }
}

/// A buffer of exactly this size; its content is anything. `None`: there is no memory for it.
pub(super) fn sized(mut buffer: Vec<u8>, size: usize) -> Option<Vec<u8>> {
    buffer.truncate(size);
    buffer.try_reserve_exact(size - buffer.len()).ok()?;
    buffer.resize(size, 0);
    Some(buffer)
}

pub(super) fn no_memory(size: usize) -> Error {
    Error::new(ErrorKind::OutOfMemory, format!("there is no native memory for a payload of {size} bytes"))
}

fn too_large(size: usize, settings: &QueueSettings) -> Error {
    let text = format!("a payload of {size} bytes; the queue takes {} (`queueBytes`)", settings.bytes);
    Error::new(ErrorKind::QueueFull, text)
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

/// What whoever waits hears of a payload that goes to disk.
pub(super) fn kept(why: &Error) -> Error {
    let text = format!(
        "the payload could not be delivered and is kept in the spool, to be sent later: {}",
        why.message()
    );
    Error::new(ErrorKind::AgentDown, text)
}
