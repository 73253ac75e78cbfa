//! The spool: what the queue cannot hold, on disk, oldest first; it outlives the process.
//!
//! A directory ([`directory`]) holds segments `SEQUENCE.seg` ([`segment`], [`record`]), a file `position` that says how
//! far they are done with, and `lock`. Segments are appended to only by the process that began them.
//!
//! - **An error is not damage.** What cannot be read for want of descriptors, memory or rights stays, and is tried
//!   again. Only what was read and is wrong is given up, record by record, and counted.
//! - **What nobody has looked at** (`Segment::known_to`) is behind damage, or could not be opened. It is looked at a
//!   bounded step at a time when its turn comes, so nothing that holds the spool takes long.
//! - **At least once.** The position is written after delivery: a killed process sends its last batch again. A record
//!   that is done before one that stands in front of it is marked in its head.
//! - **Not durable against a power cut.** Nothing waits for the disk; the system's page cache survives the process.

mod checksum;
mod record;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use record::{Meta, Record};

use crate::account::Counts;
use crate::directory::Directory;
use crate::trace::sort::heap_sort;
use crate::transport::retry;
use record::{HEAD, SEGMENT_HEAD};
use segment::{Found, Opened, Segment};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A segment is closed when it has grown to this.
const SEGMENT: u64 = 4 << 20;
const LEAST_SEGMENT: u64 = 128 << 10;
/// A new segment's name may be somebody else's file.
const NAME_TRIES: u64 = 64;
/// More is not said at once.
const MOST_NOTES: usize = 4;
const START: u64 = SEGMENT_HEAD as u64;

/// The spool of one exporter.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    max_bytes: u64,
    /// Nothing while it is released, or lost.
    open: Option<(Directory, File)>,
    released: bool,
    segments: VecDeque<Segment>,
    /// The last segment is ours to append to.
    writes: bool,
    next_seq: u64,
    /// Of the first segment: everything before is done; everything before was taken.
    done_to: u64,
    taken_to: u64,
    taken: Vec<Slot>,
    /// What is known better than the disk of records that were taken before: nothing is to be done for one, or this is
    /// what stands in the account for it.
    known: BTreeMap<u64, Option<Meta>>,
    /// The place where something damaged begins that is being skipped.
    in_gap: bool,
    changes: Changes,
    damaged: u64,
}

/// A record that was taken.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Its segment, which may have gone meanwhile.
    seq: u64,
    at: u64,
    head: record::Head,
}

/// What [`Spool::take_records`] gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Records(Vec<Record>),
    /// It has nothing.
    Nothing,
    /// It was busy with something damaged; ask again.
    NotYet,
}

/// What became of a record that was taken.
#[derive(Debug)]
pub(super) enum Left {
    /// It has met its fate.
    Done,
    /// It is to be taken again.
    Again(Record),
    /// This is left of it.
    Rest(Record),
}

/// Why something could not be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PushError {
    /// The limit is reached.
    Full,
    /// The disk says no.
    Io(String),
}

/// What it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Records that wait, as far as they were counted.
    pub(crate) payloads: u64,
    pub(crate) counts: Counts,
    /// On disk, all told.
    pub(crate) disk_bytes: u64,
    /// Records that could not be read.
    pub(crate) damaged: u64,
    /// There is something that nobody has looked at.
    pub(crate) unknown: bool,
}

impl Held {
    /// Whether there is anything to take.
    pub(crate) fn waits(&self) -> bool {
        self.payloads > 0 || self.unknown
    }
}

/// What the account must hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// What lay there and cannot be had any more.
    pub(crate) lost: Counts,
    pub(crate) lost_payloads: u64,
    /// What lies there and was not known of.
    pub(crate) found: Counts,
    pub(crate) found_payloads: u64,
    /// For people.
    pub(crate) notes: Vec<String>,
}

impl Changes {
    fn lose(&mut self, payloads: u64, counts: Counts) {
        self.lost_payloads += payloads;
        self.lost = self.lost.plus(counts);
    }

    fn note(&mut self, text: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text);
        }
    }
}

impl Spool {
    /// Opens a directory, making it if need be, and counts what earlier processes have left.
    ///
    /// # Errors
    /// Why it cannot be used, for a person.
    pub(crate) fn open(path: &Path, max_bytes: u64) -> Result<Self, String> {
        let mut spool = Self {
            // Without a slash at its end, behind which a link would be followed.
            path: path.components().collect(),
            max_bytes,
            open: None,
            released: false,
            segments: VecDeque::new(),
            writes: false,
            next_seq: 0,
            done_to: START,
            taken_to: START,
            taken: Vec::new(),
            known: BTreeMap::new(),
            in_gap: false,
            changes: Changes::default(),
            damaged: 0,
        };
        spool.attach()?;
        spool.changes = Changes::default();
        Ok(spool)
    }

    /// Takes the directory. What is there and not known yet is counted.
    fn attach(&mut self) -> Result<(), String> {
        let directory = Directory::open(&self.path)?;
        let position =
            directory.open_or_make("position").map_err(|e| format!("it cannot be written to: {e}"))?;
        let files = directory.files().map_err(|e| format!("it cannot be read: {e}"))?;
        let mut found: Vec<(u64, u64)> =
            files.into_iter().filter_map(|(name, size)| Some((segment::seq_of(&name)?, size))).collect();
        heap_sort(&mut found, |a, b| a < b);
        let mut bytes = [0; 24];
        let n = segment::read_at(&position, &mut bytes, 0).unwrap_or(0);
        let (first, from) = record::read_position(bytes.get(..n).unwrap_or(&[])).unwrap_or((0, START));
        // A number that was used must not come again: what is behind the position is taken for done.
        self.next_seq = self.next_seq.max(first);
        let known = self.segments.back().map(|s| s.seq);
        for (seq, size) in found.into_iter().filter(|(seq, _)| known.is_none_or(|known| *seq > known)) {
            let mut segment = Segment::found(seq, size);
            let from = if seq == first { from.clamp(START, size.max(START)) } else { START };
            segment.known_to = from;
            match segment.open(&directory) {
                // Somebody else's.
                Ok(Opened::Foreign) => continue,
                Ok(Opened::Ours) if seq >= first => {
                    let _ = segment.survey(from);
                    segment.close();
                    if segment.records == 0 && segment.known_to >= size {
                        directory.remove(&segment::name(seq));
                        continue;
                    }
                }
                Ok(_) => {
                    directory.remove(&segment::name(seq));
                    continue;
                }
                // What cannot be read now is looked at when its turn comes.
                Err(_) => {}
            }
            if self.segments.is_empty() {
                (self.done_to, self.taken_to) = (from, from);
            }
            self.next_seq = self.next_seq.max(seq.saturating_add(1));
            self.changes.found = self.changes.found.plus(segment.rest);
            self.changes.found_payloads += segment.records;
            self.segments.push_back(segment);
        }
        self.open = Some((directory, position));
        Ok(())
    }

    /// Appends a payload.
    ///
    /// # Errors
    /// It is not there then, and nothing else is harmed.
    pub(super) fn push(&mut self, record: &Record) -> Result<(), PushError> {
        self.make_sure_it_is_ours().map_err(PushError::Io)?;
        let size = (HEAD + record.payload.len()) as u64;
        let used: u64 = self.segments.iter().map(|s| s.size).sum();
        let head = if self.has_room_in_segment(size) { 0 } else { START };
        if used.saturating_add(size + head) > self.max_bytes || u32::try_from(record.payload.len()).is_err() {
            return Err(PushError::Full);
        }
        if head > 0 {
            self.begin_segment().map_err(|e| PushError::Io(e.to_string()))?;
        }
        let Some(segment) = self.segments.back_mut() else {
            return Err(PushError::Io("there is no segment".to_owned()));
        };
        segment.append(record).map_err(|(e, torn)| {
            // What is torn must not stand before what comes next.
            self.writes &= !torn;
            PushError::Io(e.to_string())
        })
    }

    fn has_room_in_segment(&self, size: u64) -> bool {
        let limit = (self.max_bytes / 16).clamp(LEAST_SEGMENT, SEGMENT);
        self.writes && self.segments.back().is_some_and(|s| s.size + size <= limit.max(size + START))
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let Some((directory, _)) = &self.open else { return Err(io::Error::from(io::ErrorKind::NotFound)) };
        let last = self.next_seq.saturating_add(NAME_TRIES);
        let segment = loop {
            match Segment::make(directory, self.next_seq, retry::seed()) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && self.next_seq < last => {
                    self.next_seq += 1;
                }
                made => break made?,
            }
        };
        // Only the first and the last one are open.
        if self.segments.len() > 1
            && let Some(before) = self.segments.back_mut()
        {
            before.close();
        }
        self.next_seq = segment.seq.saturating_add(1);
        self.segments.push_back(segment);
        self.writes = true;
        Ok(())
    }

    /// That the directory is still there, and what we append to is in it. If not, what lay there is lost, and a new
    /// start is tried.
    fn make_sure_it_is_ours(&mut self) -> Result<(), String> {
        if self.released {
            return Err("the exporter is suspended".to_owned());
        }
        let ours = self.open.as_ref().map(|(directory, _)| {
            let there = !self.writes || self.segments.back().is_some_and(|s| s.is_there(directory));
            (directory.is_ours(), there)
        });
        match ours {
            Some((true, true)) => return Ok(()),
            // One file was removed. The others are found missing when their turn comes.
            Some((true, false)) => {
                self.lose_last();
                return Ok(());
            }
            Some(_) => {
                while self.segments.back().is_some() {
                    self.lose_last();
                }
                self.changes.note(format!(
                    "the spool's directory {} has vanished, or was replaced; what lay there is lost",
                    self.path.display()
                ));
                self.open = None;
            }
            None => {}
        }
        self.attach()
    }

    /// The last segment has vanished.
    fn lose_last(&mut self) {
        let Some(segment) = self.segments.pop_back() else { return };
        self.changes.lose(segment.records, segment.rest);
        self.damaged += segment.records;
        self.writes = false;
        if self.segments.is_empty() {
            self.start_of_first();
        }
    }

    /// The oldest records, up to so many bytes of payload but at least one. What was taken before must have been
    /// settled.
    ///
    /// # Errors
    /// The system has no descriptor, memory or right for it now. Nothing is changed.
    pub(super) fn take_records(&mut self, max_bytes: usize) -> io::Result<Taken> {
        if self.open.is_none() && !self.released && !self.segments.is_empty() {
            self.attach().map_err(io::Error::other)?;
        }
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        loop {
            let room = match max_bytes.checked_sub(bytes) {
                _ if records.is_empty() => None,
                None => return Ok(Taken::Records(records)),
                room => room,
            };
            match self.next(room) {
                Ok(Next::Record(record)) => {
                    bytes += record.payload.len();
                    records.push(record);
                }
                Ok(_) | Err(_) if !records.is_empty() => return Ok(Taken::Records(records)),
                Ok(Next::Gap) => return Ok(Taken::NotYet),
                Ok(_) => return Ok(Taken::Nothing),
                Err(e) => return Err(e),
            }
        }
    }

    /// The next record, if it has at most `room` bytes.
    fn next(&mut self, room: Option<usize>) -> io::Result<Next> {
        loop {
            let Some((directory, _)) = &self.open else { return Ok(Next::Nothing) };
            let Some(first) = self.segments.front_mut() else { return Ok(Next::Nothing) };
            let at = self.taken_to;
            match first.open(directory) {
                Ok(Opened::Ours) if at + HEAD as u64 <= first.size => {}
                Ok(_) if !self.taken.is_empty() => return Ok(Next::Nothing),
                Ok(Opened::Ours | Opened::Torn) => {
                    self.drop_first(true);
                    continue;
                }
                Ok(Opened::Foreign) => {
                    self.drop_first(false);
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound && self.taken.is_empty() => {
                    self.changes.note(format!("a file of the spool {} has vanished", self.path.display()));
                    self.drop_first(false);
                    continue;
                }
                Err(e) => return Err(e),
            }
            let head = match first.at(at, self.max_bytes)? {
                Found::Record(head) => head,
                Found::Nothing if !self.taken.is_empty() => return Ok(Next::Nothing),
                Found::Nothing => {
                    self.taken_to = first.search(at + 1)?;
                    self.done_to = self.taken_to;
                    if !std::mem::replace(&mut self.in_gap, true) {
                        // One that was counted is counted as damaged when its segment is done.
                        self.damaged += u64::from(at >= first.known_to);
                        self.changes.note(format!(
                            "the spool {} has something damaged, at byte {at} of {}; it is skipped",
                            self.path.display(),
                            segment::name(first.seq)
                        ));
                    }
                    return Ok(Next::Gap);
                }
            };
            self.in_gap = false;
            let end = head.end(at);
            let (done, meta) = match self.known.get(&at) {
                Some(None) => (true, head.meta),
                Some(Some(meta)) => (false, *meta),
                None => (head.done, head.meta),
            };
            if at >= first.known_to {
                first.known_to = end;
                if !done {
                    first.records += 1;
                    first.rest = first.rest.plus(meta.counts);
                    self.changes.found = self.changes.found.plus(meta.counts);
                    self.changes.found_payloads += 1;
                }
            }
            if done {
                self.skip(at, end);
                continue;
            }
            if room.is_some_and(|room| head.size as usize > room) {
                return Ok(Next::Nothing);
            }
            let payload = first.payload(at, &head)?;
            first.records = first.records.saturating_sub(1);
            first.rest = first.rest.minus(meta.counts);
            let Some(payload) = payload else {
                self.changes.lose(1, meta.counts);
                self.damaged += 1;
                self.skip(at, end);
                continue;
            };
            self.taken.push(Slot { seq: first.seq, at, head });
            self.taken_to = end;
            return Ok(Next::Record(Record { payload, meta }));
        }
    }

    /// Nothing is to be done for the record at `at`.
    fn skip(&mut self, at: u64, end: u64) {
        self.taken_to = end;
        if self.taken.is_empty() {
            self.known.remove(&at);
            self.done_to = end;
        } else {
            self.known.insert(at, None);
        }
    }

    /// The first segment is done. What it still owes is lost.
    fn drop_first(&mut self, remove: bool) {
        let Some(first) = self.segments.pop_front() else { return };
        self.changes.lose(first.records, first.rest);
        self.damaged += first.records;
        if let Some((directory, _)) = self.open.as_ref().filter(|_| remove) {
            directory.remove(&segment::name(first.seq));
        }
        self.writes &= !self.segments.is_empty();
        self.start_of_first();
        self.write_position();
    }

    fn start_of_first(&mut self) {
        (self.done_to, self.taken_to, self.in_gap) = (START, START, false);
        self.known.clear();
    }

    /// What became of the records that were taken, each in its turn.
    pub(super) fn settle_records(&mut self, left: Vec<Left>) {
        let taken = std::mem::take(&mut self.taken);
        let mut all_done = true;
        for (slot, left) in taken.iter().zip(left) {
            let here = self.segments.front().is_some_and(|first| first.seq == slot.seq);
            let again = match left {
                Left::Done => None,
                Left::Again(record) if here => Some(record.meta),
                Left::Again(record) => {
                    // Its file is gone.
                    self.append_or_lose(&record);
                    None
                }
                // The whole is sent again where there is no room for what is left of it.
                Left::Rest(record) => {
                    let mut meta = record.meta;
                    (meta.past.possibly_arrived, meta.past.staged) = (true, slot.head.meta.past.staged);
                    self.push(&record).is_err().then_some(meta)
                }
            };
            if here {
                self.put_back(slot, again, all_done);
                all_done &= again.is_none();
            }
        }
        self.taken_to = self.done_to;
        let done =
            self.segments.front().is_some_and(|first| first.records == 0 && self.done_to >= first.size);
        if done {
            self.drop_first(true);
        } else {
            self.write_position();
        }
    }

    /// A record is done with (`None`), or to be taken again. `leads`: all before it are done.
    fn put_back(&mut self, slot: &Slot, again: Option<Meta>, leads: bool) {
        let Some(first) = self.segments.front_mut() else { return };
        let mut head = slot.head;
        match again {
            Some(meta) => {
                first.records += 1;
                first.rest = first.rest.plus(meta.counts);
                head.meta = meta;
                self.known.insert(slot.at, Some(meta));
            }
            None => {
                self.known.remove(&slot.at);
                if leads {
                    self.done_to = head.end(slot.at);
                    return;
                }
                self.known.insert(slot.at, None);
                head.done = true;
            }
        }
        if head != slot.head {
            // For a later process; this one knows.
            let _ = first.rewrite(slot.at, &head);
        }
    }

    fn append_or_lose(&mut self, record: &Record) {
        if self.push(record).is_err() {
            self.changes.lose(1, record.meta.counts);
            self.damaged += 1;
        }
    }

    fn write_position(&mut self) {
        let seq = self.segments.front().map_or(self.next_seq, |s| s.seq);
        if let Some((_, file)) = &self.open {
            // If the disk says no, something is sent twice after a restart, and nothing is lost.
            let _ = segment::write_at(file, &record::position(seq, self.done_to), 0);
        }
    }

    /// What it holds: what was pushed and is neither taken nor done.
    pub(crate) fn held(&self) -> Held {
        let mut held = Held { damaged: self.damaged, ..Held::default() };
        for segment in &self.segments {
            held.payloads += segment.records;
            held.counts = held.counts.plus(segment.rest);
            held.disk_bytes += segment.size;
            held.unknown |= segment.known_to < segment.size;
        }
        held
    }

    /// What the account has not heard of yet.
    pub(super) fn changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Closes every file until [`Spool::attach_again`], so that the process can be frozen.
    pub(crate) fn release(&mut self) {
        self.released = true;
        self.writes = false;
        self.open = None;
        self.segments.iter_mut().for_each(Segment::close);
    }

    /// Goes on after [`Spool::release`]. If that does not work now, whoever wants something of it tries again.
    pub(crate) fn attach_again(&mut self) {
        if std::mem::take(&mut self.released)
            && let Err(why) = self.attach()
        {
            self.changes.note(format!("the spool {} cannot be used: {why}", self.path.display()));
        }
    }
}

/// What [`Spool::next`] gives.
enum Next {
    Record(Record),
    /// Nothing more, or nothing that fits.
    Nothing,
    /// It is on its way over something damaged.
    Gap,
}
