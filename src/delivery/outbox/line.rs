//! The payloads that wait in memory, in their order. No locks, no clock.
//!
//! When the queue is full and `overflow` is SHED, the traces worth least go ([`Line::shed`]). What each payload is
//! worth is read once; an index by worth finds the next one to go in O(log n), however many wait.

use super::parcel::{Completion, First, Parcel};
use super::spool::Record;
use super::store::{Left, Limits, Store, Taken};
use crate::account::Counts;
use crate::format::{SCANNED, detect};
use crate::msgpack::writer;
use crate::trace::{Valued, Worth, worths};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What waits in memory.
#[derive(Default)]
pub(super) struct Line {
    /// Each on the heap: the map's nodes are little more than half full, since all comes in at their end.
    parcels: BTreeMap<u64, Box<Parcel>>,
    /// Room that they take.
    room: usize,
    /// There once something had to go.
    ranks: Option<Ranks>,
}

/// Which payload has what worth, by its number.
#[derive(Default)]
struct Ranks {
    /// Nobody has looked.
    unread: BTreeSet<u64>,
    /// It has a trace of this worth.
    has: [BTreeSet<u64>; Worth::ALL.len()],
    /// It has none that is worth more.
    most: [BTreeSet<u64>; Worth::ALL.len()],
}

/// What had to go.
#[derive(Default)]
pub(super) struct Gone {
    /// Traces, counted spans and bytes.
    pub(super) counts: Counts,
    /// Payloads of which nothing is left, and who waits for them.
    pub(super) payloads: u64,
    pub(super) waiting: Vec<Completion>,
    /// Of them those that nobody could read, with their traces and bytes.
    pub(super) unread: (u64, Counts),
    /// The first of it.
    pub(super) first: Option<First>,
}

impl Line {
    /// Puts a payload where its number says.
    pub(super) fn insert(&mut self, parcel: Parcel) {
        self.room += parcel.room();
        if let Some(ranks) = &mut self.ranks {
            ranks.insert(&parcel);
        }
        self.parcels.insert(parcel.seq, Box::new(parcel));
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<&Parcel> {
        self.parcels.first_key_value().map(|(_, parcel)| &**parcel)
    }

    pub(super) fn pop_first(&mut self) -> Option<Parcel> {
        let seq = self.first()?.seq;
        self.remove(seq)
    }

    pub(super) fn contains(&self, seq: u64) -> bool {
        self.parcels.contains_key(&seq)
    }

    fn remove(&mut self, seq: u64) -> Option<Parcel> {
        let parcel = *self.parcels.remove(&seq)?;
        self.room -= parcel.room();
        if let Some(ranks) = &mut self.ranks {
            ranks.remove(&parcel);
        }
        if self.parcels.is_empty() {
            self.ranks = None;
        }
        Some(parcel)
    }

    /// All of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> + use<> {
        std::mem::take(self).parcels.into_values().map(|parcel| *parcel)
    }

    /// Each of them, to change anything but its payload.
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Parcel> {
        self.parcels.values_mut().map(|parcel| &mut **parcel)
    }

    pub(super) fn len(&self) -> usize {
        self.parcels.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Bytes of memory.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Gives up traces until at most `room` bytes and `payloads` are left: the least worth first, of equal worth the
    /// oldest. A payload loses single traces; it goes when nothing is left, or when payloads are too many.
    pub(super) fn shed(&mut self, room: usize, payloads: usize) -> Gone {
        let mut gone = Gone::default();
        if self.room <= room && self.len() <= payloads {
            return gone;
        }
        self.read_worth();
        for worth in 0..Worth::ALL.len() {
            while self.len() > payloads {
                let Some(seq) = self.ranks.as_ref().and_then(|r| r.most.get(worth)?.first().copied()) else {
                    break;
                };
                self.remove(seq).into_iter().for_each(|parcel| gone.take_all(parcel));
            }
            while self.room > room {
                let Some(seq) = self.ranks.as_ref().and_then(|r| r.has.get(worth)?.first().copied()) else {
                    break;
                };
                let Some(mut parcel) = self.remove(seq) else { break };
                let too_much = self.room + parcel.room() - room;
                if gone.take_some(&mut parcel, Worth::ALL[worth], too_much) {
                    gone.take_all(parcel);
                } else {
                    // The last one of all may have been it.
                    self.ranks.get_or_insert_default();
                    self.insert(parcel);
                }
            }
        }
        gone
    }

    /// Reads what nobody has looked at yet.
    fn read_worth(&mut self) {
        let Self { parcels, ranks, .. } = self;
        let ranks = ranks
            .get_or_insert_with(|| Ranks { unread: parcels.keys().copied().collect(), ..Ranks::default() });
        for seq in std::mem::take(&mut ranks.unread) {
            if let Some(parcel) = parcels.get_mut(&seq) {
                parcel.read_worth();
                ranks.insert(parcel);
            }
        }
    }
}

impl Store for Line {
    fn take(&mut self, limits: &Limits) -> io::Result<Taken> {
        let mut parcels: Vec<Parcel> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.first() {
            let size = next.record.payload.len();
            let alone = !limits.merges || !next.can_be_merged() || size > limits.bytes;
            let too_young = limits.offered_before.is_some_and(|before| next.offered > before);
            if !parcels.is_empty() && (alone || too_young || bytes + size > limits.bytes) {
                break;
            }
            bytes += size;
            parcels.extend(self.pop_first());
            if alone {
                break;
            }
        }
        Ok(if parcels.is_empty() { Taken::Nothing } else { Taken::Parcels(parcels) })
    }

    fn settle(&mut self, batch: Vec<Left>) {
        for left in batch {
            match left {
                Left::Done => {}
                // Their numbers bring them before all that was offered later.
                Left::Again(parcel) | Left::Rest(parcel) => self.insert(parcel),
            }
        }
    }
}

impl Parcel {
    /// Looks what its traces are worth. A payload whose traces cannot be told apart is one thing of middling worth.
    pub(super) fn read_worth(&mut self) {
        let payload = &self.record.payload;
        self.values.get_or_insert_with(|| {
            // The parts of a payload in another format are no traces.
            let values = if detect(payload) == SCANNED { worths(payload) } else { None };
            values.unwrap_or_else(|| vec![Valued { at: 0, end: payload.len(), spans: 0, worth: Worth::Kept }])
        });
    }
}

impl Ranks {
    fn insert(&mut self, parcel: &Parcel) {
        let Some(values) = &parcel.values else {
            self.unread.insert(parcel.seq);
            return;
        };
        for value in values {
            self.has[value.worth as usize].insert(parcel.seq);
        }
        // A payload without traces is worth nothing.
        let most = values.iter().map(|v| v.worth as usize).max().unwrap_or(0);
        self.most[most].insert(parcel.seq);
    }

    fn remove(&mut self, parcel: &Parcel) {
        self.unread.remove(&parcel.seq);
        if parcel.values.is_some() {
            for set in self.has.iter_mut().chain(&mut self.most) {
                set.remove(&parcel.seq);
            }
        }
    }
}

impl Gone {
    fn take_all(&mut self, mut parcel: Parcel) {
        let spans = parcel.values.iter().flatten().map(|v| u64::from(v.spans)).sum();
        let counts = parcel.record.meta.counts;
        let counts = Counts { spans: counts.spans.max(spans), ..counts };
        self.counts = self.counts.plus(counts);
        self.payloads += 1;
        if counts.spans == 0 && counts != Counts::default() {
            self.unread = (self.unread.0 + 1, self.unread.1.plus(counts));
        }
        self.waiting.extend(parcel.done.take());
        self.first.get_or_insert_with(|| parcel.record.into());
    }

    /// Takes traces of this worth until `bytes` are reached; whether nothing is left then.
    fn take_some(&mut self, parcel: &mut Parcel, worth: Worth, bytes: usize) -> bool {
        let values = parcel.values.as_deref().unwrap_or(&[]);
        let mut lost = Counts::default();
        let goes = |v: &Valued, lost: &mut Counts| {
            let goes = v.worth == worth && (lost.bytes as usize) < bytes;
            if goes {
                let size = (v.end - v.at) as u64;
                *lost = lost.plus(Counts { traces: 1, spans: u64::from(v.spans), bytes: size });
            }
            goes
        };
        let mut kept: Vec<Valued> = values.iter().filter(|v| !goes(v, &mut lost)).copied().collect();
        let rest = kept.iter().map(|v| v.end - v.at).sum::<usize>();
        let mut payload = Vec::new();
        let head = [0, 16, 1 << 16].iter().rposition(|n| kept.len() >= *n).map_or(1, |i| 2 * i + 1);
        if kept.is_empty() || payload.try_reserve_exact(head + rest).is_err() {
            return true;
        }
        writer::array_head(&mut payload, kept.len() as u32);
        for value in &mut kept {
            let at = payload.len();
            payload.extend_from_slice(parcel.record.payload.get(value.at..value.end).unwrap_or(&[]));
            (value.at, value.end) = (at, payload.len());
        }
        let whole = std::mem::replace(&mut parcel.record.payload, payload);
        let only = values.iter().find(|v| v.worth == worth).map(|v| v.at..v.end);
        let record = Record { payload: whole, meta: parcel.record.meta };
        self.first.get_or_insert(First { record, only });
        parcel.values = Some(kept);
        // Spans that nobody has counted yet are not in the account.
        let counts = &mut parcel.record.meta.counts;
        let spans = lost.spans.min(counts.spans);
        *counts = counts.minus(Counts { spans, ..lost });
        self.counts = self.counts.plus(lost);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::outbox::spool::{Meta, Record};
    use crate::msgpack::reader;
    use std::time::Instant;

    /// A payload of traces with these priorities, some hundred bytes each.
    fn parcel(seq: u64, priorities: &[i8]) -> Parcel {
        let mut payload = Vec::new();
        writer::array_head(&mut payload, priorities.len() as u32);
        for p in priorities {
            payload.extend_from_slice(b"\x91\x82\xa8resource\xd9\x64");
            payload.extend_from_slice(&[b'x'; 100]);
            payload.extend_from_slice(b"\xa7metrics\x81\xb5_sampling_priority_v1");
            payload.push(*p as u8);
        }
        payload.shrink_to_fit();
        let counts = Counts { traces: priorities.len() as u64, spans: 0, bytes: payload.len() as u64 };
        Parcel::new(Record { payload, meta: Meta { counts, ..Meta::default() } }, Instant::now(), seq, None)
    }

    fn line(parcels: impl IntoIterator<Item = Parcel>) -> Line {
        let mut line = Line::default();
        parcels.into_iter().for_each(|p| line.insert(p));
        line
    }

    fn numbers(line: &Line) -> Vec<u64> {
        line.parcels.keys().copied().collect()
    }

    #[test]
    fn the_least_worth_goes_first_and_what_is_left_is_a_payload() {
        let mut line = line([parcel(0, &[1, 2, 0]), parcel(1, &[0, 0]), parcel(2, &[2, 1, -1])]);
        let size = (line.first().unwrap().record.payload.len() - 1) / 3;
        let all: u64 = line.parcels.values().map(|p| p.record.meta.counts.bytes).sum();
        let room = line.room();
        let gone = line.shed(room - 3 * size, usize::MAX);
        assert_eq!((gone.counts.traces, gone.counts.spans, gone.payloads), (3, 3, 1));
        let traces =
            |line: &Line| line.parcels.values().map(|p| p.record.meta.counts.traces).collect::<Vec<_>>();
        assert_eq!(traces(&line), [2, 3]);
        let room = line.room();
        let gone_too = line.shed(room - size - 1, usize::MAX);
        assert_eq!(
            gone_too.counts.traces, 2,
            "the last one that was sampled out and the oldest that was kept"
        );
        for p in line.parcels.values() {
            let (n, _) = reader::array_head(&p.record.payload, 0).unwrap();
            assert_eq!(u64::from(n), p.record.meta.counts.traces);
            assert_eq!(worths(&p.record.payload).as_deref(), p.values.as_deref());
        }
        let left: u64 = line.parcels.values().map(|p| p.record.meta.counts.bytes).sum();
        assert_eq!(left + gone.counts.bytes + gone_too.counts.bytes, all);
        let last = line.shed(0, usize::MAX);
        assert_eq!((last.counts.traces, last.payloads, line.len(), line.room()), (3, 2, 0, 0));
    }

    #[test]
    fn too_many_payloads_lose_whole_ones_and_what_cannot_be_read_is_of_middling_worth() {
        let mut odd = parcel(1, &[1]);
        odd.record.payload = b"no msgpack".to_vec();
        let mut line = line([parcel(0, &[2]), odd, parcel(2, &[1, 0]), parcel(3, &[0])]);
        assert_eq!(line.shed(usize::MAX, 3).payloads, 1);
        assert_eq!(numbers(&line), [0, 1, 2]);
        assert_eq!(line.shed(usize::MAX, 2).payloads, 1);
        assert_eq!(numbers(&line), [0, 2], "of equal worth the oldest goes");
    }

    #[test]
    fn a_full_line_sheds_in_the_same_steps_however_long_it_is() {
        // Every other one is worth more, so a scan from the front would pass over thousands.
        for n in [100_u64, 10_000] {
            let mut line = line((0..n).map(|seq| parcel(seq, &[if seq < n / 2 { 2 } else { 1 }])));
            line.shed(usize::MAX, line.len() - 1);
            for seq in n..n + 50 {
                line.insert(parcel(seq, &[1]));
                let gone = line.shed(usize::MAX, line.len() - 1);
                assert_eq!((gone.payloads, line.contains(seq - n / 2 + 1)), (1, false));
            }
        }
    }

    #[test]
    fn what_comes_back_stands_before_what_came_later() {
        let mut line = line([parcel(0, &[1]), parcel(1, &[1]), parcel(2, &[1])]);
        let limits = Limits { bytes: 300, merges: true, offered_before: None, now: Instant::now() };
        let Ok(Taken::Parcels(taken)) = line.take(&limits) else { panic!("nothing") };
        assert_eq!((taken.len(), numbers(&line)), (2, vec![2]));
        line.settle(taken.into_iter().map(Left::Again).collect());
        assert_eq!(numbers(&line), [0, 1, 2]);
        let Ok(Taken::Parcels(taken)) = line.take(&Limits { merges: false, ..limits }) else {
            panic!("nothing")
        };
        assert_eq!(taken.len(), 1);
    }
}
