//! Keys of spans: those that an encoder knows, and those that a span has twice, for formats that have each once: in one
//! list (OTLP) or in JSON objects. Nearly no span has a key twice, so a small set of hashes only raises the suspicion;
//! who is right is found out in the cold.

use super::source::Source;
use super::string_at;
use crate::msgpack::{reader, text};
use crate::trace::sort::heap_sort;
use crate::trace::{MapView, Span, WORD_MASK};
use std::borrow::Cow;

/// A key as two words: its head (with its length) and its first seven bytes, and its last eight bytes, which of a key
/// of up to seven are the first word again. Up to fifteen bytes they are all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Words {
    /// Of a key that stands anywhere.
    pub(super) const fn of(key: &[u8]) -> Self {
        let (mut first, mut last, mut i) = ((0xa0 | key.len()) as u64 & 0xff, 0, 0);
        if key.len() >= 32 {
            first = 0xff;
        }
        while i < 7 && i < key.len() {
            first |= (key[i] as u64) << (8 * (i + 1));
            i += 1;
        }
        i = 0;
        while i < 8 && i < key.len() {
            last |= (key[key.len() - 1 - i] as u64) << (8 * (7 - i));
            i += 1;
        }
        Self { first, last: if key.len() < 8 { first } else { last } }
    }

    /// Of a key of the payload.
    #[inline(always)]
    pub(super) fn at(buf: &[u8], at: usize, len: usize) -> Self {
        let word = |at: usize| {
            let bytes = buf.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map(|bytes| u64::from_le_bytes(*bytes))
        };
        let head = if len < 32 { 0xa0 | len as u64 } else { 0xff };
        match word(at.wrapping_sub(1)) {
            Some(before) => {
                let first = (before & !0xff | head) & WORD_MASK[len.min(31)];
                let last = if len < 8 { None } else { word(at + len - 8) };
                Self { first, last: last.unwrap_or(first) }
            }
            None => Self::of(buf.get(at..at + len).unwrap_or(&[])),
        }
    }

    #[inline(always)]
    pub(super) const fn hash(self) -> u64 {
        let mixed = (self.first ^ self.last.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 32
    }
}

/// A few keys that an encoder looks for among all of a span: one bit of a word says of nearly all others that they are
/// none of them.
#[derive(Debug)]
pub(super) struct Keys<const N: usize> {
    texts: [&'static [u8]; N],
    words: [Words; N],
    filter: u64,
}

impl<const N: usize> Keys<N> {
    pub(super) const fn new(texts: [&'static [u8]; N]) -> Self {
        let (mut words, mut filter, mut i) = ([Words { first: 0, last: 0 }; N], 0, 0);
        while i < N {
            words[i] = Words::of(texts[i]);
            filter |= 1 << (words[i].hash() & 63);
            i += 1;
        }
        Self { texts, words, filter }
    }

    /// Which of them a key is; `hash` is the one of its words.
    #[inline(always)]
    pub(super) fn find(&self, words: Words, hash: u64, key: Source<'_>) -> Option<usize> {
        let may_be = self.filter >> (hash & 63) & 1 != 0;
        if may_be { search(&self.words, &self.texts, words, key) } else { None }
    }

    pub(super) fn text(&self, i: usize) -> &'static [u8] {
        self.texts.get(i).copied().unwrap_or(&[])
    }
}

#[inline(never)]
fn search(all: &[Words], texts: &[&[u8]], words: Words, key: Source<'_>) -> Option<usize> {
    let i = all.iter().position(|known| *known == words)?;
    (key.len < 16 || texts.get(i) == Some(&key.bytes())).then_some(i)
}

/// Hashes of the keys of one span, or of one map. A slot counts only with the stamp of that, so that nothing has to be
/// cleared.
#[derive(Debug)]
pub(super) struct Seen {
    /// Stamp in the upper half, a part of the hash in the lower one.
    slots: Box<[u32; SLOTS]>,
    stamp: u32,
}

const SLOTS: usize = 2048;
/// Where the place of a key and this many behind it are taken, the span has so many keys that it is looked at in the
/// cold.
const PROBES: usize = 64;

impl Default for Seen {
    fn default() -> Self {
        Self { slots: Box::new([0; SLOTS]), stamp: 0 }
    }
}

impl Seen {
    /// Another span, or map.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.stamp = self.stamp.wrapping_add(1 << 16);
        if self.stamp == 0 {
            self.slots.fill(0);
            self.stamp = 1 << 16;
        }
    }

    /// Whether the key with this hash of its [`Words`] may be there already.
    #[inline(always)]
    pub(super) fn repeats(&mut self, hash: u64) -> bool {
        let entry = self.stamp | (hash >> 11) as u32 & 0xffff;
        let i = (hash >> 48) as usize % SLOTS;
        let slot = &mut self.slots[i];
        if (*slot ^ entry) >> 16 != 0 {
            *slot = entry;
            return false;
        }
        self.repeats_behind(i, entry)
    }

    /// The same where the place of the key is taken.
    #[inline(never)]
    fn repeats_behind(&mut self, i: usize, entry: u32) -> bool {
        for i in i..i + PROBES {
            let slot = &mut self.slots[i % SLOTS];
            if *slot == entry {
                return true;
            }
            if (*slot ^ entry) >> 16 != 0 {
                *slot = entry;
                return false;
            }
        }
        true
    }
}

/// Where the keys stand whose entries do not count, since the same key comes again; keeps its memory for the next span.
#[derive(Debug, Default)]
pub(super) struct Losers {
    /// Keys of the span by text, and those that are alike in the order of the wire.
    keys: Vec<(u32, u32)>,
    places: Vec<u32>,
}

impl Losers {
    /// None.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }

    /// Whether the entry whose key stands there does not count.
    pub(super) fn has(&self, at: usize) -> bool {
        self.places.binary_search(&(at as u32)).is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Finds those of a span whose maps become one list. `own`: keys that we write ourselves, which count.
    #[cold]
    pub(super) fn find<'o>(&mut self, buf: &[u8], span: &Span, own: impl Iterator<Item = &'o str> + Clone) {
        self.find_where(buf, span, |key| own.clone().any(|own| own.as_bytes() == key), |_, _| true);
    }

    /// Finds those of a span whose maps stay apart, so that a key counts in each of them.
    #[cold]
    pub(super) fn find_in_each(&mut self, buf: &[u8], span: &Span) {
        let maps = [span.meta, span.metrics, meta_struct(buf, span)];
        let map_of = |at| maps.iter().position(|map| (map.first..map.end).contains(&at));
        self.find_where(buf, span, |_| false, |a, b| map_of(a) == map_of(b));
    }

    fn find_where(
        &mut self,
        buf: &[u8],
        span: &Span,
        is_ours: impl Fn(&[u8]) -> bool,
        meet: impl Fn(u32, u32) -> bool,
    ) {
        self.keys.clear();
        self.places.clear();
        for map in [span.meta, span.metrics, meta_struct(buf, span)] {
            let mut p = map.first as usize;
            for _ in 0..map.len {
                let (at, len) = string_at(buf, p);
                self.keys.push((at as u32, len as u32));
                p = reader::skip(buf, at + len).unwrap_or(buf.len());
            }
        }
        let text = |key: &(u32, u32)| as_it_goes_out(buf, key.0 as usize, key.1 as usize);
        // Alike keys stand in the order of the wire, so those of a map stand together.
        heap_sort(&mut self.keys, |a, b| text(a).cmp(&text(b)).then(a.0.cmp(&b.0)).is_lt());
        for (i, key) in self.keys.iter().enumerate() {
            let this = text(key);
            let again = self.keys.get(i + 1).is_some_and(|next| text(next) == this && meet(key.0, next.0));
            if again || is_ours(&this) {
                self.places.push(key.0);
            }
        }
        heap_sort(&mut self.places, |a, b| a < b);
    }

    /// Bytes of memory held.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.keys.capacity() * 8 + self.places.capacity() * 4
    }
}

/// A key as text: two that differ only in bytes that are no text are one.
fn as_it_goes_out(buf: &[u8], at: usize, len: usize) -> Cow<'_, [u8]> {
    let bytes = buf.get(at..at + len).unwrap_or(&[]);
    if std::str::from_utf8(bytes).is_ok() { Cow::Borrowed(bytes) } else { Cow::Owned(text::repaired(bytes)) }
}

/// The view of `meta_struct`, which the scan does not make.
pub(super) fn meta_struct(buf: &[u8], span: &Span) -> MapView {
    match reader::map_head(buf, span.meta_struct.at as usize) {
        Ok((len, first)) if span.meta_struct.at != 0 => {
            MapView { at: span.meta_struct.at, first: first as u32, end: span.meta_struct.end, len }
        }
        _ => MapView::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_again_is_suspected_and_another_hardly_ever() {
        let mut seen = Seen::default();
        let keys: Vec<String> = (0..200).map(|i| format!("http.request.headers.x-{i}.value")).collect();
        let mut suspected = 0;
        // More spans than there are stamps.
        for round in 0..if cfg!(miri) { 50 } else { 70_000 } {
            seen.begin();
            let some = if round % 1000 == 0 { &keys[..] } else { &keys[..3] };
            let mut repeats = |key: &str| seen.repeats(Words::of(key.as_bytes()).hash());
            suspected += some.iter().filter(|key| repeats(key)).count();
            assert!(some.iter().take(3).all(|key| repeats(key)), "{round}");
        }
        // Keys that are alike at both ends may be taken for one; these differ in three places from the end.
        assert!(suspected < 200, "{suspected}");
    }

    #[test]
    fn words_are_the_same_wherever_a_key_stands() {
        for len in 0..70 {
            let key: Vec<u8> = (0..len).map(|i| b'a' + i % 26).collect();
            for (before, behind) in [(0, 0), (1, 0), (3, 8), (1, 100)] {
                let buf = [&vec![0xd9; before][..], &key, &vec![0xff; behind]].concat();
                assert_eq!(Words::at(&buf, before, key.len()), Words::of(&key), "{len} {before} {behind}");
            }
        }
    }

    #[test]
    fn known_keys_are_found_and_no_other() {
        const KNOWN: [&[u8]; 5] = [b"env", b"span.kind", b"_dd.compute_stats", b"_sampling_priority_v1", b""];
        const KEYS: Keys<5> = Keys::new(KNOWN);
        let find = |key: &[u8]| KEYS.find(Words::of(key), Words::of(key).hash(), Source::whole(key));
        for (i, key) in KNOWN.iter().enumerate() {
            assert_eq!(find(key), Some(i));
            assert_eq!(KEYS.text(i), *key);
        }
        for other in [&b"en"[..], b"span.kine", b"_dd.computX_stats", b"_sampling_Xriority_v1", b"x"] {
            assert_eq!(find(other), None);
        }
    }
}
