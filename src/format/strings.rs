//! A string table: each distinct text of a payload gets one number. v0.5 writes the table once, v1 writes a text where
//! it first occurs.
//!
//! A payload has some 34 texts a span and most are old and short, so a look-up must not touch them: a slot holds the
//! first 16 bytes, zero-filled, which together with the length makes equality exact up to 16 bytes. Longer texts are
//! found by both ends and the middle and compared in full. Slots hold the number as its msgpack bytes, ready to be
//! stored. A generation number stands in for clearing.
//!
//! Texts come from traffic. Places are seeded, and a text that does not find its place within [`PROBES`] goes on at a
//! place that depends on all of it, so that long texts with equal ends cost no more than others.
//!
//! A slot is larger than many texts. The table therefore ends at [`LAST_SIZE`]; texts beyond it, which only unusual
//! payloads have, are found through a [`TextIndex`], which costs a fourth. Memory is asked for: where there is none,
//! texts are numbered 0 and [`StringTable::failed`] says so.

use super::code::{Code, META_KEY, mark};
use super::text_index::TextIndex;
use crate::msgpack::text;
use std::hash::{BuildHasher, Hasher};

/// Text is UTF-8 in these formats. What is not becomes U+FFFD, once a distinct text.
#[derive(Debug)]
pub(super) struct StringTable {
    slots: Vec<Slot>,
    mask: usize,
    used: usize,
    /// In the bits of a slot's tag, so that a comparison needs no shift.
    generation: u64,
    next_id: u32,
    seed: u64,
    hasher: foldhash::quality::RandomState,
    /// Texts that do not stand in the payload: repaired ones and our own.
    owned: Vec<u8>,
    /// Texts that came when the slots were full.
    more: More,
    failed: bool,
}

/// Texts beyond the slots.
#[derive(Debug, Default)]
struct More {
    index: TextIndex,
    /// Where each stands (as in a slot), its length and its number.
    places: Vec<(u32, u32, u32)>,
}

/// Half a cache line, so that a look-up touches one line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
struct Slot {
    lo: u64,
    hi: u64,
    /// A [`Code`], and the generation in bits that a code does not use.
    tag: u64,
    at: u32,
    len: u32,
}

/// The lowest bit of the generation in a tag, and all of them.
const GENERATION: u64 = 1 << 40;
const GENERATIONS: u64 = 0x7ff << 40;

impl Slot {
    /// Whether it was filled since the table was cleared.
    #[inline(always)]
    fn is_of(&self, generation: u64) -> bool {
        (self.tag ^ generation) & GENERATIONS == 0
    }

    #[inline(always)]
    fn code(&self) -> Code {
        Code(self.tag & !GENERATIONS)
    }
}

/// In `Slot::at`: the text stands in `owned`.
const OWNED: u32 = 1 << 31;
const PROBES: usize = 24;
const FIRST_SIZE: usize = 1024;
/// Slots at most, half of which are used: 1 MiB.
const LAST_SIZE: usize = 1 << 15;
/// Bytes of own texts that are kept for the next payload.
const KEPT_OWNED: usize = 1 << 20;

/// A text's number, and where the text stands if it is new.
pub(super) enum Interned {
    Known(Code),
    /// New; its text is the one that was asked for.
    New(Code),
    /// New; its text is this range of [`StringTable::owned`].
    NewOwned(Code, std::ops::Range<usize>),
}

impl More {
    fn clear(&mut self) {
        self.index.clear();
        self.places.clear();
    }

    fn capacity_bytes(&self) -> usize {
        self.index.capacity_bytes() + self.places.capacity() * size_of::<(u32, u32, u32)>()
    }
}

impl Default for StringTable {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); FIRST_SIZE],
            mask: FIRST_SIZE - 1,
            used: 0,
            generation: GENERATION,
            next_id: 1,
            seed: std::collections::hash_map::RandomState::new().build_hasher().finish(),
            hasher: foldhash::quality::RandomState::default(),
            owned: Vec::new(),
            more: More::default(),
            failed: false,
        }
    }
}

/// Masks that keep the first `n` of 16 bytes, as two words.
const MASKS: [(u64, u64); 17] = {
    let mut m = [(0, 0); 17];
    let mut n = 0;
    while n <= 16 {
        m[n] = (
            if n >= 8 { u64::MAX } else { (1 << (n * 8)) - 1 },
            if n <= 8 {
                0
            } else if n == 16 {
                u64::MAX
            } else {
                (1 << ((n - 8) * 8)) - 1
            },
        );
        n += 1;
    }
    m
};

#[inline(always)]
fn load(b: &[u8], p: usize) -> u64 {
    match b.get(p..p + 8).and_then(|b| b.try_into().ok()) {
        Some(b) => u64::from_le_bytes(b),
        None => 0,
    }
}

#[cold]
fn load_at_end(src: &[u8], at: usize, len: usize) -> (u64, u64) {
    let mut w = [0; 16];
    for (to, from) in w.iter_mut().zip(src.get(at..at + len).unwrap_or(&[])) {
        *to = *from;
    }
    (load(&w, 0), load(&w, 8))
}

impl StringTable {
    /// Forgets every text but "".
    pub(super) fn clear(&mut self) {
        self.generation += GENERATION;
        if self.generation > GENERATIONS {
            self.slots.fill(Slot::default());
            self.generation = GENERATION;
        }
        self.used = 0;
        self.next_id = 1;
        self.owned.clear();
        self.more.clear();
        self.failed = false;
    }

    /// Whether a text has no number for want of memory.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Gives back what only an unusual payload needs, once its texts are written.
    pub(super) fn release(&mut self) {
        if self.slots.len() == LAST_SIZE || self.owned.capacity() > KEPT_OWNED {
            let failed = self.failed;
            *self = Self { next_id: self.next_id, ..Self::default() };
            self.failed = failed;
        }
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.owned.capacity() + self.more.capacity_bytes()
    }

    /// Says of a text that was looked up that it is the key of a text.
    #[cold]
    pub(super) fn set_meta_key(&mut self, src: &[u8], at: usize, len: usize) {
        if len == 0 {
            return;
        }
        let (lo, hi, hash) = self.words(src, at, len);
        let mut place = hash as usize & self.mask;
        let mut probes = 0;
        while let Some(slot) = self.slots.get(place).filter(|slot| slot.is_of(self.generation)) {
            if slot.lo == lo
                && slot.hi == hi
                && slot.len == len as u32
                && (len <= 16 || self.same(slot, src, at, len))
            {
                if let Some(slot) = self.slots.get_mut(place) {
                    slot.tag |= META_KEY;
                }
                return;
            }
            probes += 1;
            place = self.next_place(place, probes, src.get(at..at + len).unwrap_or(&[]));
        }
    }

    /// Where a text is looked for that was not found at `place`, after so many places.
    #[inline]
    fn next_place(&self, place: usize, probes: usize, text: &[u8]) -> usize {
        if probes == PROBES {
            self.hasher.hash_one(text) as usize & self.mask
        } else {
            (place + 1) & self.mask
        }
    }

    /// How many distinct texts there are, "" included.
    pub(super) fn len(&self) -> u32 {
        self.next_id
    }

    pub(super) fn owned(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.owned.get(range).unwrap_or(&[])
    }

    /// The number of the text `src[at..at + len]`. Of one payload, `src` is always the same.
    #[inline(always)]
    pub(super) fn intern(&mut self, src: &[u8], at: usize, len: usize) -> Interned {
        if len == 0 {
            return Interned::Known(Code::EMPTY);
        }
        let (lo, hi, hash) = self.words(src, at, len);
        let mut place = hash as usize & self.mask;
        // The first place decides nearly always.
        if let Some(slot) = self.slots.get(place)
            && slot.is_of(self.generation)
            && slot.lo == lo
            && slot.hi == hi
            && slot.len == len as u32
            && (len <= 16 || self.same(slot, src, at, len))
        {
            return Interned::Known(slot.code());
        }
        self.search(src, at, len, lo, hi, &mut place)
    }

    #[inline(always)]
    fn words(&self, src: &[u8], at: usize, len: usize) -> (u64, u64, u64) {
        const K: u64 = 0x9e37_79b9_7f4a_7c15;
        let fold = |a: u64, b: u64| {
            let m = u128::from(a) * u128::from(b);
            (m as u64) ^ (m >> 64) as u64
        };
        if len <= 16 {
            let (lo, hi) = if at + 16 <= src.len() {
                let (ml, mh) = MASKS[len];
                (load(src, at) & ml, load(src, at + 8) & mh)
            } else {
                load_at_end(src, at, len)
            };
            (lo, hi, fold(lo ^ self.seed, hi ^ K ^ (len as u64) << 32))
        } else {
            let (lo, hi) = (load(src, at), load(src, at + len - 8));
            let middle = load(src, at + len / 2 - 4);
            (lo, hi, fold(lo ^ self.seed ^ middle.rotate_left(23), hi ^ K ^ (len as u64) << 32))
        }
    }

    #[inline]
    fn same(&self, slot: &Slot, src: &[u8], at: usize, len: usize) -> bool {
        let there = (slot.at & !OWNED) as usize;
        let from = if slot.at & OWNED == 0 { src } else { &self.owned };
        from.get(there..there + len) == src.get(at..at + len)
    }

    #[inline(never)]
    fn search(&mut self, src: &[u8], at: usize, len: usize, lo: u64, hi: u64, place: &mut usize) -> Interned {
        let mut probes = 0;
        loop {
            let Some(slot) = self.slots.get(*place) else { return Interned::Known(Code::EMPTY) };
            if !slot.is_of(self.generation) {
                break;
            }
            if slot.lo == lo
                && slot.hi == hi
                && slot.len == len as u32
                && (len <= 16 || self.same(slot, src, at, len))
            {
                return Interned::Known(slot.code());
            }
            probes += 1;
            *place = self.next_place(*place, probes, src.get(at..at + len).unwrap_or(&[]));
        }
        self.insert(src, at, len, lo, hi, *place)
    }

    fn insert(&mut self, src: &[u8], at: usize, len: usize, lo: u64, hi: u64, place: usize) -> Interned {
        let text = src.get(at..at + len).unwrap_or(&[]);
        if !is_utf8(text) {
            return self.repaired(src, at, len);
        }
        if self.is_full() {
            return self.intern_more(src, at as u32, len);
        }
        let code = Code(Code::of(self.next_id).0 | (mark(lo, text) as u64) << 52);
        self.next_id += 1;
        self.put(self.slot(lo, hi, code, at as u32, len as u32), place);
        if self.used * 2 > self.mask {
            self.grow(src);
        }
        Interned::New(code)
    }

    /// Whether the slots take no more texts: there are as many as there may be, or no memory for more.
    fn is_full(&self) -> bool {
        self.used * 2 > self.mask
    }

    /// The number of a text for which there is no slot; `at` as in one.
    #[cold]
    fn intern_more(&mut self, src: &[u8], at: u32, len: usize) -> Interned {
        let Self { owned, more: More { index, places }, .. } = self;
        let text_at = |at: u32, len: usize| {
            let from = if at & OWNED == 0 { src } else { owned.as_slice() };
            let at = (at & !OWNED) as usize;
            from.get(at..at + len).unwrap_or(&[])
        };
        let text = text_at(at, len);
        // Nobody asks of these whether they are keys of texts: they may be.
        let first = load_at_end(text, 0, text.len().min(8)).0;
        let code = |id: u32| Code(Code::of(id).0 | (mark(first, text) as u64) << 52 | META_KEY);
        let next = places.len() as u32;
        let found = index.find_or_add(text, next, |n| {
            places.get(n as usize).map_or(&[], |(at, len, _)| text_at(*at, *len as usize))
        });
        if let Ok(n) = found {
            return Interned::Known(places.get(n as usize).map_or(Code::EMPTY, |(_, _, id)| code(*id)));
        }
        let full = places.len() == places.capacity();
        if self.failed
            || index.failed()
            || full && places.try_reserve_exact((places.len() / 4).max(1024)).is_err()
        {
            self.failed = true;
            return Interned::Known(Code::EMPTY);
        }
        let code = code(self.next_id);
        places.push((at, len as u32, self.next_id));
        self.next_id += 1;
        if at & OWNED == 0 {
            Interned::New(code)
        } else {
            let at = (at & !OWNED) as usize;
            Interned::NewOwned(code, at..at + len)
        }
    }

    fn slot(&self, lo: u64, hi: u64, code: Code, at: u32, len: u32) -> Slot {
        Slot { lo, hi, tag: code.0 | self.generation, at, len }
    }

    fn put(&mut self, slot: Slot, place: usize) {
        if let Some(free) = self.slots.get_mut(place) {
            *free = slot;
            self.used += 1;
        }
    }

    /// A text that is not UTF-8 has the number of its repaired form.
    #[cold]
    fn repaired(&mut self, src: &[u8], at: usize, len: usize) -> Interned {
        let bytes = src.get(at..at + len).unwrap_or(&[]);
        let start = self.owned.len();
        let longest = bytes.utf8_chunks().map(|c| c.valid().len() + 3 * c.invalid().len()).sum();
        if !self.reserve_owned(longest) {
            return Interned::Known(Code::EMPTY);
        }
        text::repair(bytes, |piece| self.owned.extend_from_slice(piece));
        // Several texts may have this form: each of them may be the key of a text.
        let interned = self.intern_tail(src, start, META_KEY);
        let (Interned::Known(code) | Interned::New(code) | Interned::NewOwned(code, _)) = &interned;
        if !self.is_full() {
            let (lo, hi, hash) = self.words(src, at, len);
            let slot = self.slot(lo, hi, Code(code.0 | META_KEY), at as u32, len as u32);
            let place = self.free_place(hash, bytes);
            self.put(slot, place);
            if self.used * 2 > self.mask {
                self.grow(src);
            }
        }
        interned
    }

    fn reserve_owned(&mut self, more: usize) -> bool {
        if self.owned.try_reserve(more).is_err() {
            self.failed = true;
        }
        !self.failed
    }

    /// The number of a text that does not stand in the payload; `src` is the payload.
    #[cold]
    pub(super) fn intern_owned(&mut self, text: &[u8], src: &[u8]) -> Interned {
        if text.is_empty() {
            return Interned::Known(Code::EMPTY);
        }
        let start = self.owned.len();
        if !self.reserve_owned(text.len()) {
            return Interned::Known(Code::EMPTY);
        }
        self.owned.extend_from_slice(text);
        self.intern_tail(src, start, 0)
    }

    /// The next number, for a text that is written but looked up by nobody: it is long and will not come again.
    #[cold]
    pub(super) fn number_of_its_own(&mut self) -> Code {
        let code = Code::of(self.next_id);
        self.next_id += 1;
        code
    }

    /// The number of the own text that begins at `start`; if it is known, the text is taken away again. `flags` are
    /// added to its code.
    fn intern_tail(&mut self, src: &[u8], start: usize, flags: u64) -> Interned {
        let text = self.owned.get(start..).unwrap_or(&[]);
        let len = text.len();
        let (lo, hi, hash) = self.words(text, 0, len);
        let mut place = hash as usize & self.mask;
        let mut probes = 0;
        while let Some(slot) = self.slots.get(place).filter(|slot| slot.is_of(self.generation)) {
            if slot.lo == lo && slot.hi == hi && slot.len == len as u32 {
                let there = (slot.at & !OWNED) as usize;
                let from = if slot.at & OWNED == 0 { src } else { &self.owned };
                if len <= 16 || from.get(there..there + len) == Some(text) {
                    let code = slot.code();
                    if let Some(slot) = self.slots.get_mut(place) {
                        slot.tag |= flags;
                    }
                    self.owned.truncate(start);
                    return Interned::Known(code);
                }
            }
            probes += 1;
            place = self.next_place(place, probes, text);
        }
        if self.is_full() {
            let interned = self.intern_more(src, start as u32 | OWNED, len);
            if let Interned::Known(_) = interned {
                self.owned.truncate(start);
            }
            return interned;
        }
        let code = Code(Code::of(self.next_id).0 | flags);
        self.next_id += 1;
        self.put(self.slot(lo, hi, code, start as u32 | OWNED, len as u32), place);
        if self.used * 2 > self.mask {
            self.grow(src);
        }
        Interned::NewOwned(code, start..start + len)
    }

    fn free_place(&self, hash: u64, text: &[u8]) -> usize {
        let mut place = hash as usize & self.mask;
        let mut probes = 0;
        while self.slots.get(place).is_some_and(|s| s.is_of(self.generation)) {
            probes += 1;
            place = self.next_place(place, probes, text);
        }
        place
    }

    #[cold]
    fn grow(&mut self, src: &[u8]) {
        let size = self.slots.len() * 2;
        if size > LAST_SIZE {
            return;
        }
        let mut slots: Vec<Slot> = Vec::new();
        if slots.try_reserve_exact(size).is_err() {
            self.failed = true;
            return;
        }
        slots.resize(size, Slot::default());
        let old = std::mem::replace(&mut self.slots, slots);
        self.mask = size - 1;
        self.used = 0;
        for slot in old {
            if !slot.is_of(self.generation) {
                continue;
            }
            let at = (slot.at & !OWNED) as usize;
            let owned = std::mem::take(&mut self.owned);
            let from = if slot.at & OWNED == 0 { src } else { &owned };
            let (_, _, hash) = self.words(from, at, slot.len as usize);
            let place = self.free_place(hash, from.get(at..at + slot.len as usize).unwrap_or(&[]));
            self.owned = owned;
            self.put(slot, place);
        }
    }
}

/// Eight bytes at a time while they are ASCII, std's check for the rest.
fn is_utf8(text: &[u8]) -> bool {
    let mut chunks = text.chunks_exact(8);
    let ascii = chunks
        .by_ref()
        .all(|c| c.try_into().is_ok_and(|c| u64::from_le_bytes(c) & 0x8080_8080_8080_8080 == 0));
    (ascii && chunks.remainder().is_ascii()) || std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
#[path = "strings_tests.rs"]
mod tests;
