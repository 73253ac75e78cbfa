//! Keys that a span has twice, for formats that have each once: in one list (OTLP) or in JSON objects. Nearly no
//! span has a key twice, so a small set of hashes only raises the suspicion; who is right is found out in the cold.

use super::string_at;
use crate::msgpack::{reader, text};
use crate::trace::sort::heap_sort;
use crate::trace::{MapView, Span};
use std::borrow::Cow;

/// Hashes of the keys of one span. A slot counts only with the span's stamp, so that nothing has to be cleared.
#[derive(Debug)]
pub(super) struct Seen {
    /// Stamp in the upper half, a part of the hash in the lower one.
    slots: Box<[u32; SLOTS]>,
    stamp: u32,
    count: usize,
}

const SLOTS: usize = 2048;
/// Spans with more keys are looked at in the cold.
const MOST: usize = 1024;

impl Default for Seen {
    fn default() -> Self {
        Self { slots: Box::new([0; SLOTS]), stamp: 0, count: 0 }
    }
}

impl Seen {
    /// Another span.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.count = 0;
        self.stamp = self.stamp.wrapping_add(1 << 16);
        if self.stamp == 0 {
            self.slots.fill(0);
            self.stamp = 1 << 16;
        }
    }

    /// Whether the key may be there already. `first` is its [`word`].
    #[inline(always)]
    pub(super) fn repeats(&mut self, first: u64, buf: &[u8], at: usize, len: usize) -> bool {
        let last = match buf.get((at + len).saturating_sub(8)..at + len) {
            Some(last) if len > 8 => u64::from_le_bytes(last.try_into().unwrap_or_default()),
            _ => 0,
        };
        let mixed =
            (first ^ last.rotate_left(29)).wrapping_add(len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = mixed ^ mixed >> 32;
        let entry = self.stamp | (hash >> 11) as u32 & 0xffff;
        let mut i = (hash >> 48) as usize % SLOTS;
        self.count += 1;
        if self.count > MOST {
            return true;
        }
        loop {
            let Some(slot) = self.slots.get_mut(i) else { return true };
            if (*slot ^ entry) >> 16 != 0 {
                *slot = entry;
                return false;
            }
            if *slot == entry {
                return true;
            }
            i = (i + 1) % SLOTS;
        }
    }
}

/// The first eight bytes of a key, missing ones as zeros.
#[inline(always)]
pub(super) fn word(buf: &[u8], at: usize, len: usize) -> u64 {
    const MASK: [u64; 9] =
        [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, 0xff_ffff_ffff, 0xffff_ffff_ffff, 0xff_ffff_ffff_ffff, !0];
    match buf.get(at..at + 8) {
        Some(word) => u64::from_le_bytes(word.try_into().unwrap_or_default()) & MASK[len.min(8)],
        None => {
            let mut word = [0; 8];
            let text = buf.get(at..at + len).unwrap_or(&[]);
            word.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        }
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

    /// Finds those of a span. `own`: keys that we write ourselves, which count.
    #[cold]
    pub(super) fn find<'o>(&mut self, buf: &[u8], span: &Span, own: impl Iterator<Item = &'o str> + Clone) {
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
        heap_sort(&mut self.keys, |a, b| text(a).cmp(&text(b)).then(a.0.cmp(&b.0)).is_lt());
        for (i, key) in self.keys.iter().enumerate() {
            let this = text(key);
            let again = self.keys.get(i + 1).is_some_and(|next| text(next) == this);
            if again || own.clone().any(|own| own.as_bytes() == &*this) {
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
        for round in 0..70_000 {
            seen.begin();
            let some = if round % 1000 == 0 { &keys[..] } else { &keys[..3] };
            let mut repeats =
                |key: &str| seen.repeats(word(key.as_bytes(), 0, key.len()), key.as_bytes(), 0, key.len());
            suspected += some.iter().filter(|key| repeats(key)).count();
            assert!(some.iter().take(3).all(|key| repeats(key)), "{round}");
        }
        // Keys that are alike at both ends may be taken for one; these differ in three places from the end.
        assert!(suspected < 200, "{suspected}");
    }
}
