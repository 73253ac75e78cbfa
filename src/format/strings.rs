//! A string table: each distinct text of a payload gets one number. v0.5 writes the table once, v1 writes a text where it
//! first occurs.
//!
//! A payload has some 34 texts a span and most are old and short, so a look-up must not touch them: a slot holds the
//! first 16 bytes, zero-filled, which together with the length makes equality exact up to 16 bytes. Longer texts are
//! found by both ends and the middle and compared in full. Slots hold the number as its msgpack bytes, ready to be
//! stored. A generation number stands in for clearing.
//!
//! Texts come from traffic. Places are seeded, and a text that does not find its place within [`PROBES`] goes on at a
//! place that depends on all of it, so that long texts with equal ends cost no more than others.

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
const GENERATIONS: u64 = 0xfff << 40;

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

/// The number of a text as msgpack bytes (lowest byte first) with their count in the highest byte, and the text's [`mark_of`]
/// in four bits below that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Code(pub(super) u64);

impl Code {
    /// The empty text is number 0 in every format.
    pub(super) const EMPTY: Code = Code(1 << 56);

    pub(super) fn of(id: u32) -> Self {
        let (width, bytes) = match id {
            0..=0x7f => (1, u64::from(id)),
            0x80..=0xff => (2, 0xcc | u64::from(id) << 8),
            0x100..=0xffff => (3, 0xcd | u64::from((id as u16).swap_bytes()) << 8),
            _ => (5, 0xce | u64::from(id.swap_bytes()) << 8),
        };
        Self(width << 56 | bytes)
    }

    #[inline(always)]
    pub(super) fn width(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// The text's [`mark_of`].
    #[inline(always)]
    pub(super) fn mark(self) -> usize {
        (self.0 >> 52) as usize & 15
    }
}

/// Texts that encoders look out for. Asked once a distinct text, they cost nothing where they come again: the place of a text
/// in this list, plus 1, comes with its number.
pub(super) const MARKED: [&[u8]; 15] = [
    b"env",
    b"version",
    b"component",
    b"span.kind",
    b"_dd.p.tid",
    b"_dd.p.dm",
    b"_dd.origin",
    b"_dd.hostname",
    b"_dd.git.commit.sha",
    b"_dd.apm_mode",
    b"_sampling_priority_v1",
    b"server",
    b"client",
    b"producer",
    b"consumer",
];

/// The mark of each hash of a text's first eight bytes; 0 is none.
const MARKS: [u8; 64] = {
    let mut marks = [0; 64];
    let mut i = 0;
    while i < MARKED.len() {
        let (mut first, mut k) = (0, 0);
        while k < MARKED[i].len() && k < 8 {
            first |= (MARKED[i][k] as u64) << (8 * k);
            k += 1;
        }
        assert!(marks[mark_place(first)] == 0, "two of these texts have one place: take another factor");
        marks[mark_place(first)] = i as u8 + 1;
        i += 1;
    }
    marks
};

/// Found by trying: no two of the texts have one place.
const MARK_FACTOR: u64 = 0xcd61_3e30_d8f1_6adf;

const fn mark_place(first: u64) -> usize {
    (first.wrapping_mul(MARK_FACTOR) >> 58) as usize
}

/// The place of `text` in [`MARKED`], plus 1; else 0. `first` is its first eight bytes, missing ones as zeros.
#[inline(always)]
fn mark(first: u64, text: &[u8]) -> usize {
    let mark = usize::from(MARKS[mark_place(first)]);
    if mark != 0 && *text == *MARKED[mark - 1] { mark } else { 0 }
}

/// A text's number, and where the text stands if it is new.
pub(super) enum Interned {
    Known(Code),
    /// New; its text is the one that was asked for.
    New(Code),
    /// New; its text is this range of [`StringTable::owned`].
    NewOwned(Code, std::ops::Range<usize>),
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
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.owned.capacity()
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
            *place = if probes == PROBES {
                self.hasher.hash_one(src.get(at..at + len)) as usize & self.mask
            } else {
                (*place + 1) & self.mask
            };
        }
        self.insert(src, at, len, lo, hi, *place)
    }

    fn insert(&mut self, src: &[u8], at: usize, len: usize, lo: u64, hi: u64, place: usize) -> Interned {
        let text = src.get(at..at + len).unwrap_or(&[]);
        if !is_utf8(text) {
            return self.repaired(src, at, len);
        }
        let code = Code(Code::of(self.next_id).0 | (mark(lo, text) as u64) << 52);
        self.next_id += 1;
        self.put(self.slot(lo, hi, code, at as u32, len as u32), place);
        if self.used * 2 > self.mask {
            self.grow(src);
        }
        Interned::New(code)
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
        let text = String::from_utf8_lossy(src.get(at..at + len).unwrap_or(&[])).into_owned();
        let interned = self.intern_owned(text.as_bytes(), src);
        let (Interned::Known(code) | Interned::New(code) | Interned::NewOwned(code, _)) = &interned;
        let (lo, hi, hash) = self.words(src, at, len);
        let slot = self.slot(lo, hi, *code, at as u32, len as u32);
        let place = self.free_place(hash, src.get(at..at + len).unwrap_or(&[]));
        self.put(slot, place);
        if self.used * 2 > self.mask {
            self.grow(src);
        }
        interned
    }

    /// The number of a text that does not stand in the payload; `src` is the payload.
    #[cold]
    pub(super) fn intern_owned(&mut self, text: &[u8], src: &[u8]) -> Interned {
        if text.is_empty() {
            return Interned::Known(Code::EMPTY);
        }
        // A scratch copy of `text` with room behind it, so that words are read the same way everywhere.
        let start = self.owned.len();
        self.owned.extend_from_slice(text);
        let (lo, hi, hash) = self.words(text, 0, text.len());
        let mut place = hash as usize & self.mask;
        let mut probes = 0;
        loop {
            let Some(slot) = self.slots.get(place) else { return Interned::Known(Code::EMPTY) };
            if !slot.is_of(self.generation) {
                break;
            }
            if slot.lo == lo && slot.hi == hi && slot.len == text.len() as u32 {
                let there = (slot.at & !OWNED) as usize;
                let from = if slot.at & OWNED == 0 { src } else { &self.owned };
                if text.len() <= 16 || from.get(there..there + text.len()) == Some(text) {
                    let code = slot.code();
                    self.owned.truncate(start);
                    return Interned::Known(code);
                }
            }
            probes += 1;
            place = if probes == PROBES {
                self.hasher.hash_one(Some(text)) as usize & self.mask
            } else {
                (place + 1) & self.mask
            };
        }
        let code = Code::of(self.next_id);
        self.next_id += 1;
        let len = text.len() as u32;
        self.put(self.slot(lo, hi, code, start as u32 | OWNED, len), place);
        if self.used * 2 > self.mask {
            self.grow(src);
        }
        Interned::NewOwned(code, start..start + text.len())
    }

    fn free_place(&self, hash: u64, text: &[u8]) -> usize {
        let mut place = hash as usize & self.mask;
        let mut probes = 0;
        while self.slots.get(place).is_some_and(|s| s.is_of(self.generation)) {
            probes += 1;
            place = if probes == PROBES {
                self.hasher.hash_one(Some(text)) as usize & self.mask
            } else {
                (place + 1) & self.mask
            };
        }
        place
    }

    #[cold]
    fn grow(&mut self, src: &[u8]) {
        let size = self.slots.len() * 2;
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
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
mod tests {
    use super::*;

    fn number(t: &mut StringTable, src: &[u8], at: usize, len: usize) -> (u64, bool) {
        match t.intern(src, at, len) {
            Interned::Known(c) => (c.0, false),
            Interned::New(c) | Interned::NewOwned(c, _) => (c.0, true),
        }
    }

    #[test]
    fn equal_texts_have_one_number_whatever_their_length_and_place() {
        let mut t = StringTable::default();
        let mut src = Vec::new();
        for len in 0..200usize {
            src.extend((0..len).map(|i| b'a' + (i % 7) as u8));
        }
        let twice = [src.clone(), src.clone()].concat();
        let mut at = 0;
        for len in 0..200 {
            let first = number(&mut t, &twice, at, len);
            let again = number(&mut t, &twice, at + src.len(), len);
            assert_eq!((first.0, first.1, again.1), (again.0, len > 0, false), "{len}");
            at += len;
        }
        assert_eq!(t.len(), 200);
    }

    #[test]
    fn ten_thousand_texts_survive_growth_and_a_cleared_table_knows_none() {
        let mut src = Vec::new();
        let places: Vec<_> = (0..10_000)
            .map(|i| {
                let text = format!("some prefix that is long {i:05} and a long end too");
                let at = src.len();
                src.extend_from_slice(text.as_bytes());
                (at, text.len())
            })
            .collect();
        let mut t = StringTable::default();
        for round in 0..3 {
            let codes: Vec<_> = places.iter().map(|&(at, len)| number(&mut t, &src, at, len)).collect();
            assert!(codes.iter().all(|c| c.1), "round {round}");
            for (&(at, len), code) in places.iter().zip(&codes) {
                assert_eq!(number(&mut t, &src, at, len), (code.0, false));
            }
            t.clear();
        }
    }

    #[test]
    fn texts_that_are_not_utf8_share_the_number_of_their_repaired_form() {
        let mut t = StringTable::default();
        let src = b"a\xffb a\xfeb a\xef\xbf\xbdb";
        let first = number(&mut t, src, 0, 3);
        assert!(first.1);
        assert_eq!(number(&mut t, src, 4, 3), (first.0, false));
        assert_eq!(number(&mut t, src, 8, 5), (first.0, false));
        assert_eq!(number(&mut t, src, 0, 3), (first.0, false));
    }

    #[test]
    fn marked_texts_have_their_marks_and_no_others_do() {
        let mut t = StringTable::default();
        let others: [&[u8]; 5] = [b"environment", b"_dd.p.ti", b"_dd.p.tidy", b"_sampling_priority_v2", b"x"];
        for round in 0..5000 {
            for (i, text) in MARKED.iter().chain(&others).enumerate() {
                let src = [text, &b"################"[..]].concat();
                let want = if i < MARKED.len() { i + 1 } else { 0 };
                // Twice: new and known. The table knows texts by place, so each source is a payload of its own.
                let Interned::New(new) = t.intern(&src, 0, text.len()) else { panic!("{round}: {text:?}") };
                let Interned::Known(known) = t.intern(&src, 0, text.len()) else { panic!("{text:?}") };
                assert_eq!((new, new.mark()), (known, want), "{text:?}");
                t.clear();
            }
        }
    }

    #[test]
    fn numbers_take_their_smallest_form() {
        for (id, bytes) in [
            (0u32, &[0][..]),
            (127, &[127]),
            (128, &[0xcc, 128]),
            (256, &[0xcd, 1, 0]),
            (70_000, &[0xce, 0, 1, 0x11, 0x70]),
        ] {
            let c = Code::of(id);
            assert_eq!(&c.0.to_le_bytes()[..c.width()], bytes);
        }
    }
}
