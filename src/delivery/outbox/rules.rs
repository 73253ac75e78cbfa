//! What the queue does and when, without locks, threads and clock: every question comes with the time.
//!
//! - **The bound holds for all that the queue answers for**: payloads that wait, those that a sender has taken, buffers
//!   kept for reuse.
//! - **A batch is due** by its size, its age, or because somebody waits for it.
//! - **Disk and memory take turns**, while both have something. Who closes has no time for the disk.
//! - **Whoever was told to come later waits** ([`Rules::hold_off`]) if what waits can wait on disk.
//! - **Nothing goes faster than its pace** ([`Rules::paced`]), not even while the queue is closed; what has waited too
//!   long is given up all the same.

use super::line::{Gone, Line};
use super::parcel::Parcel;
use super::store::{Limits, Origin};
use crate::settings::{Overflow, QueueSettings};
use std::time::{Duration, Instant};

/// A sender that has had nothing to do for so long ends.
pub(super) const IDLE: Duration = Duration::from_secs(1);
/// Smaller buffers are not worth keeping: the allocator has them at hand.
const KEEP_FROM: usize = 32 << 10;
/// More buffers are not kept.
const KEPT: usize = 64;
/// What was taken from the disk and came back rests so long; twice as long each further time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    #[default]
    Open,
    /// Takes payloads, gives none.
    Suspended,
    /// Takes none, gives the rest.
    Closing,
    /// Takes none, gives none.
    Closed,
}

/// The state of one queue.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) mode: Mode,
    pub(super) line: Line,
    /// Payloads, and room, of what is being copied or on its way.
    held: usize,
    held_room: usize,
    /// Buffers to be used again, and their bytes.
    kept: Vec<Vec<u8>>,
    kept_bytes: usize,
    next_seq: u64,
    /// Everything before this one is due.
    due_before: u64,
    /// The first of each batch on its way.
    out: Vec<(Origin, u64)>,
    senders: usize,
    /// Senders that wait for something to do.
    pub(super) resting: usize,
    pub(super) refused: u64,
    pub(super) evicted: u64,
    pub(super) disk: Disk,
    /// Nothing that can wait is tried before.
    hold_off: Option<Instant>,
    /// Nothing goes before: so much has gone (`maxBytesPerSecond`).
    pub(super) paced: Option<Instant>,
}

/// What is known of the spool.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// There is one.
    pub(super) there: bool,
    /// It holds something that is not on its way.
    pub(super) holds: bool,
    /// Something of it is on its way.
    pub(super) busy: bool,
    /// It is its turn.
    turn: bool,
    not_before: Option<Instant>,
    failures: u32,
    /// It could not be read the last time.
    pub(super) unreadable: bool,
    /// It is to be closed once nothing is on its way any more.
    pub(super) leaving: bool,
}

/// What a sender does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Take(Origin),
    /// Look again then, or when something has changed.
    Wait(Instant),
    End,
}

/// Whether there is room for a payload.
pub(super) enum Admission {
    /// Room is reserved; the buffer may be empty.
    Room(Vec<u8>),
    /// It goes to disk.
    Disk,
    /// There may be room later.
    Wait,
    Full,
    TooLarge,
    Closed,
}

/// Where what could not be delivered waits for a better time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Where it came from.
    Here,
    OnDisk,
    Nowhere,
}

/// What is to be done when a payload was pushed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A sender that waits must look.
    pub(super) wake: bool,
    /// A sender must be started.
    pub(super) start: bool,
}

impl Rules {
    /// Reserves room for a payload. `can_spool`: it may go to disk instead. What has to go for it comes in `evicted`.
    pub(super) fn admit(
        &mut self,
        settings: &QueueSettings,
        size: usize,
        can_spool: bool,
        evicted: &mut Vec<Parcel>,
    ) -> Admission {
        if self.mode >= Mode::Closing {
            return Admission::Closed;
        }
        if size > settings.bytes {
            return Admission::TooLarge;
        }
        while !self.fits(settings, size) {
            if can_spool && self.disk.there {
                return Admission::Disk;
            }
            match settings.overflow {
                Overflow::DropNewest => return Admission::Full,
                Overflow::DropOldest => match self.line.pop_first() {
                    Some(parcel) => {
                        self.evicted += 1;
                        evicted.push(parcel);
                    }
                    None => return Admission::Full,
                },
                Overflow::Block => return Admission::Wait,
                // Room is made once it is known what this one is worth.
                Overflow::Shed => break,
            }
        }
        Admission::Room(self.reserve(settings, size))
    }

    fn fits(&self, settings: &QueueSettings, size: usize) -> bool {
        self.line.len() + self.held < settings.payloads && self.bytes() + size <= settings.bytes
    }

    /// Bytes that wait or are on their way.
    pub(super) fn bytes(&self) -> usize {
        self.line.room() + self.held_room
    }

    pub(super) fn payloads(&self) -> usize {
        self.line.len() + self.held
    }

    /// Bytes of memory, kept buffers included.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes() + self.kept_bytes
    }

    pub(super) fn senders(&self) -> usize {
        self.senders
    }

    fn reserve(&mut self, settings: &QueueSettings, size: usize) -> Vec<u8> {
        let left = settings.bytes.saturating_sub(self.bytes());
        let fits = |b: &Vec<u8>| (size..=(size + size / 4).min(left)).contains(&b.capacity());
        let buffer = match self.kept.iter().rposition(fits) {
            Some(i) if size >= KEEP_FROM => {
                let buffer = self.kept.swap_remove(i);
                self.kept_bytes -= buffer.capacity();
                buffer
            }
            _ => Vec::new(),
        };
        self.held += 1;
        self.held_room += buffer.capacity().max(size);
        while self.memory_bytes() > settings.bytes
            && let Some(buffer) = self.kept.pop()
        {
            self.kept_bytes -= buffer.capacity();
        }
        buffer
    }

    /// Room is not needed after all.
    pub(super) fn give_up(&mut self, room: usize) {
        self.held -= 1;
        self.held_room -= room;
    }

    /// The number of the next payload.
    pub(super) fn number(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// A payload waits. `room` was reserved for it.
    pub(super) fn push(&mut self, settings: &QueueSettings, parcel: Parcel, room: usize) -> Gone {
        self.give_up(room);
        if parcel.done.is_some() {
            self.due_before = parcel.seq + 1;
        }
        self.line.insert(parcel);
        if settings.overflow != Overflow::Shed {
            return Gone::default();
        }
        let gone = self
            .line
            .shed(settings.bytes.saturating_sub(self.held_room), settings.payloads.saturating_sub(self.held));
        let shed = gone.payloads > 0 || gone.counts.bytes > 0;
        self.evicted += if shed { gone.payloads.max(1) } else { 0 };
        gone
    }

    /// What a payload that was pushed makes necessary. `was_empty`: nothing waited before.
    pub(super) fn wanted(&self, settings: &QueueSettings, was_empty: bool, now: Instant) -> Wanted {
        let due = self.is_due(settings, now);
        let more = due && self.resting == 0 && self.senders < settings.senders;
        Wanted {
            wake: (due || was_empty) && self.resting > 0,
            start: self.mode != Mode::Suspended && (self.senders == 0 || more),
        }
    }

    /// Until when nothing goes, if anything is in the way.
    fn held_until(&self, now: Instant) -> Option<Instant> {
        let asked = self.hold_off.filter(|_| self.disk.there && self.mode == Mode::Open);
        asked.max(self.paced).filter(|until| *until > now)
    }

    /// Whether the first payloads should go.
    fn is_due(&self, settings: &QueueSettings, now: Instant) -> bool {
        let Some(first) = self.line.first() else { return false };
        if self.held_until(now).is_some() {
            return first.offered + settings.budget <= now;
        }
        if self.mode == Mode::Closing {
            return true;
        }
        self.line.room() >= settings.batch_bytes.min(settings.bytes / 2)
            || 2 * self.line.len() >= settings.payloads
            || first.seq < self.due_before
            || now >= first.offered + settings.batch_age
    }

    /// What a sender does now that has had nothing to do since `idle_since`.
    pub(super) fn next(&mut self, settings: &QueueSettings, now: Instant, idle_since: Instant) -> Next {
        if matches!(self.mode, Mode::Suspended | Mode::Closed) {
            return Next::End;
        }
        let due = self.is_due(settings, now);
        let disk_at = self.disk_at(now);
        if disk_at.is_some_and(|at| at <= now) && (self.disk.turn || !due) {
            (self.disk.busy, self.disk.turn) = (true, false);
            return Next::Take(Origin::Disk);
        }
        if due {
            self.disk.turn = true;
            return Next::Take(Origin::Memory);
        }
        let line_at = self.line.first().map(|first| match self.held_until(now) {
            Some(until) => until.min(first.offered + settings.budget),
            None => first.offered + settings.batch_age,
        });
        match [line_at, disk_at].into_iter().flatten().min() {
            Some(at) => Next::Wait(at),
            None if self.mode == Mode::Closing || now >= idle_since + IDLE => Next::End,
            None => Next::Wait(idle_since + IDLE),
        }
    }

    /// When the next batch may be taken from the disk.
    fn disk_at(&self, now: Instant) -> Option<Instant> {
        let ready = self.mode == Mode::Open && self.disk.holds && !self.disk.busy;
        let held = self.disk.not_before.max(self.hold_off).max(self.paced);
        ready.then(|| held.map_or(now, |until| until.max(now)))
    }

    /// How much of the line goes together now.
    pub(super) fn limits(&self, settings: &QueueSettings, merges: bool, now: Instant) -> Limits {
        let expired = self.held_until(now).and_then(|_| now.checked_sub(settings.budget));
        Limits { bytes: settings.batch_bytes, merges, offered_before: expired, now }
    }

    /// Payloads are on their way. Gives the number of the first, and their room.
    pub(super) fn set_out(&mut self, origin: Origin, parcels: &mut [Parcel]) -> (u64, usize) {
        let first = match origin {
            Origin::Memory => parcels.first().map_or(self.next_seq, |p| p.seq),
            Origin::Disk => self.number(),
        };
        let room = parcels.iter().map(Parcel::room).sum();
        self.held += parcels.len();
        self.held_room += room;
        self.out.push((origin, first));
        (first, room)
    }

    /// They have met their fate, or are back.
    pub(super) fn came_back(&mut self, origin: Origin, first: u64, count: usize, room: usize) {
        self.held -= count;
        self.held_room -= room;
        if let Some(i) = self.out.iter().position(|out| *out == (origin, first)) {
            self.out.swap_remove(i);
        }
    }

    /// Nothing is on its way.
    pub(super) fn is_out_empty(&self) -> bool {
        self.out.is_empty() && !self.disk.busy
    }

    /// Where what could not be delivered waits for a better time.
    pub(super) fn keep(&self, origin: Origin) -> Keep {
        match origin {
            Origin::Disk => Keep::Here,
            Origin::Memory if self.mode == Mode::Suspended => Keep::Here,
            Origin::Memory if self.disk.there => Keep::OnDisk,
            Origin::Memory => Keep::Nowhere,
        }
    }

    /// The disk rests until then.
    pub(super) fn rest_disk(&mut self, until: Instant) {
        self.disk.not_before = Some(until);
    }

    /// A batch failed, or went well (`None`). `retry_at`: the peer said when to come back.
    pub(super) fn tried(&mut self, failed: Option<Option<Instant>>, now: Instant) {
        let Some(retry_at) = failed else {
            self.disk.failures = 0;
            self.disk.not_before = None;
            return;
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << self.disk.failures.min(16)).min(LONGEST_PAUSE);
        self.disk.failures += 1;
        self.disk.not_before = Some(now + pause);
        self.hold_off = retry_at.max(self.hold_off);
    }

    /// Whether one more sender may be started; the caller must do it, or say that there is none.
    pub(super) fn claim_sender(&mut self, settings: &QueueSettings) -> bool {
        let wanted = self.mode != Mode::Suspended
            && (!self.line.is_empty() || self.disk.holds && self.mode == Mode::Open);
        let free = self.senders == 0 || self.resting == 0 && self.senders < settings.senders;
        let claimed = wanted && free;
        self.senders += usize::from(claimed);
        claimed
    }

    /// A sender has ended, or was not started.
    pub(super) fn end_sender(&mut self) {
        self.senders -= 1;
        if self.senders == 0 {
            (self.kept, self.kept_bytes) = (Vec::new(), 0);
        }
    }

    /// Keeps a buffer for reuse, within the bound.
    pub(super) fn keep_buffer(&mut self, buffer: Vec<u8>, settings: &QueueSettings) {
        let size = buffer.capacity();
        let fits = self.memory_bytes() + size <= settings.bytes;
        if size >= KEEP_FROM && self.kept.len() < KEPT && fits && self.senders > 0 {
            self.kept_bytes += size;
            self.kept.push(buffer);
        }
    }

    /// Makes everything that waits due. Gives a mark for [`Rules::is_settled`].
    pub(super) fn hurry(&mut self) -> u64 {
        self.due_before = self.next_seq;
        self.next_seq
    }

    /// Whether everything in memory before the mark is settled.
    pub(super) fn is_settled(&self, mark: u64) -> bool {
        let waits = self.line.first().is_some_and(|p| p.seq < mark);
        !waits && !self.out.iter().any(|(origin, first)| *origin == Origin::Memory && *first < mark)
    }

    /// Gives payloads again. What waited over a snapshot is tried as long as what is new. Whether a sender must be
    /// started.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        if self.mode != Mode::Suspended {
            return false;
        }
        self.mode = Mode::Open;
        self.line.each().for_each(|parcel| parcel.offered = now);
        (self.disk.not_before, self.hold_off, self.disk.failures) = (None, None, 0);
        !self.line.is_empty() || self.disk.holds
    }

    /// Whether what is taken may wait for a peer that is away. Who closes, and can keep it on disk, does not.
    pub(super) fn waits_for_peer(&self) -> bool {
        match self.mode {
            Mode::Open => true,
            Mode::Closing => !self.disk.there,
            Mode::Suspended | Mode::Closed => false,
        }
    }
}

#[cfg(test)]
mod tests;
