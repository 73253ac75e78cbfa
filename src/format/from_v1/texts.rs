//! The texts of a v1 payload: ranges of the input, by number.
//!
//! Texts are collected wherever they stand, also in fields that are not known, since later numbers count on it; a text that
//! comes twice has one number, as with the agent.

use super::{Read, bad};
use crate::msgpack::reader::{self, Bad};
use crate::trace::Fault;
use std::hash::{BuildHasher, Hasher};

/// The string table: where each text stands.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) places: Vec<Str>,
    /// Numbers of the texts by hash: the upper half of a slot is of the hash, the lower half the number. 0: free.
    pub(super) slots: Vec<u64>,
    pub(super) hasher: foldhash::fast::RandomState,
}

/// A text with its head, as a range of the input, and which of the keys that matter it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Str {
    pub(super) at: u32,
    pub(super) len: u32,
    pub(super) key: u8,
}

/// Keys that are looked for among the attributes; the number is the bit in `seen`, 0 is any other key.
pub(super) const ENV: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const COMPONENT: u8 = 3;
pub(super) const KIND: u8 = 4;
pub(super) const TID: u8 = 5;
pub(super) const ORIGIN: u8 = 6;
pub(super) const MECHANISM: u8 = 7;
pub(super) const PRIORITY: u8 = 8;
pub(super) const HOSTNAME: u8 = 9;

pub(super) fn key_number(text: &[u8]) -> u8 {
    match text {
        b"env" => ENV,
        b"version" => VERSION,
        b"component" => COMPONENT,
        b"span.kind" => KIND,
        b"_dd.p.tid" => TID,
        b"_dd.origin" => ORIGIN,
        b"_dd.p.dm" => MECHANISM,
        b"_sampling_priority_v1" => PRIORITY,
        b"_dd.hostname" => HOSTNAME,
        _ => 0,
    }
}

/// `""` as it stands in no input: length 0 means that it is written, not copied.
pub(super) const EMPTY: Str = Str { at: 0, len: 0, key: 0 };

impl Texts {
    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
        self.places.clear();
        self.places.push(EMPTY);
    }

    /// Gives a text its number, unless it has one.
    pub(super) fn add(&mut self, buf: &[u8], text: &[u8], place: Str) {
        if text.is_empty() {
            return;
        }
        if self.places.len() * 2 > self.slots.len() {
            self.grow(buf);
        }
        let mask = self.slots.len() - 1;
        let hash = self.hash(text);
        let tag = hash & !0xffff_ffff;
        let mut at = hash as usize & mask;
        while let Some(&slot) = self.slots.get(at)
            && slot != 0
        {
            if slot & !0xffff_ffff == tag
                && self.places.get(slot as u32 as usize).is_some_and(|known| known.content(buf) == text)
            {
                return;
            }
            at = (at + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = tag | self.places.len() as u64;
        }
        self.places.push(place);
    }

    pub(super) fn hash(&self, text: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text);
        hasher.finish()
    }

    #[cold]
    pub(super) fn grow(&mut self, buf: &[u8]) {
        let size = (self.slots.len() * 2).max(1024);
        self.slots.clear();
        self.slots.resize(size, 0);
        for number in 1..self.places.len() {
            let Some(place) = self.places.get(number) else { break };
            let hash = self.hash(place.content(buf));
            let mut at = hash as usize & (size - 1);
            while self.slots.get(at).is_some_and(|slot| *slot != 0) {
                at = (at + 1) & (size - 1);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = hash & !0xffff_ffff | number as u64;
            }
        }
    }

    /// The text at `p`: a number of an earlier one, or itself. Gives the position behind it.
    #[inline(always)]
    pub(super) fn read(&mut self, buf: &[u8], p: usize) -> Read<(Str, usize)> {
        let head = buf.get(p).copied().unwrap_or(0xc1);
        let (number, end) = match head {
            0..=0x7f => (usize::from(head), p + 1),
            0xcd => match buf.get(p + 1..p + 3) {
                Some(&[a, b]) => (usize::from(a) << 8 | usize::from(b), p + 3),
                _ => return Err(Fault::new(p, Bad::Truncated, "")),
            },
            0xcc => match buf.get(p + 1) {
                Some(&a) => (usize::from(a), p + 2),
                None => return Err(Fault::new(p, Bad::Truncated, "")),
            },
            _ => return self.odd(buf, p),
        };
        match self.places.get(number) {
            Some(&text) => Ok((text, end)),
            None => Err(unknown_number(p)),
        }
    }

    #[inline(never)]
    pub(super) fn odd(&mut self, buf: &[u8], p: usize) -> Read<(Str, usize)> {
        match buf.get(p) {
            None => Err(Fault::new(p, Bad::Truncated, "")),
            Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6) => {
                let (text, end) = reader::text(buf, p).map_err(bad(p, "a string or the number of one"))?;
                let place = Str { at: p as u32, len: (end - p) as u32, key: key_number(text) };
                self.add(buf, text, place);
                Ok((place, end))
            }
            Some(0xc0) => Ok((EMPTY, p + 1)),
            Some(_) => {
                let (number, end) =
                    reader::int_bits(buf, p).map_err(bad(p, "a string or the number of one"))?;
                let text = usize::try_from(number).ok().and_then(|n| self.places.get(n));
                text.map(|&text| (text, end)).ok_or(unknown_number(p))
            }
        }
    }

    /// Passes a value of any kind and collects its texts.
    pub(super) fn pass(&mut self, buf: &[u8], mut p: usize) -> Read<usize> {
        let mut open = 1usize;
        while open > 0 {
            open -= 1;
            match buf.get(p) {
                Some(0x80..=0x8f | 0xde | 0xdf) => {
                    let (n, q) = reader::map_head(buf, p).map_err(bad(p, "a map"))?;
                    open += 2 * n as usize;
                    p = q;
                }
                Some(0x90..=0x9f | 0xdc | 0xdd) => {
                    let (n, q) = reader::array_head(buf, p).map_err(bad(p, "an array"))?;
                    open += n as usize;
                    p = q;
                }
                Some(0xa0..=0xbf | 0xd9..=0xdb) => p = self.odd(buf, p)?.1,
                _ => p = reader::skip(buf, p).map_err(bad(p, "a value"))?,
            }
            if open > buf.len().saturating_sub(p) {
                return Err(Fault::new(p, Bad::Truncated, ""));
            }
        }
        Ok(p)
    }
}

#[cold]
pub(super) fn unknown_number(at: usize) -> Fault {
    Fault::new(at, Bad::Type, "the number of a string that came before")
}

impl Str {
    /// The text as it stands in the input, with its head.
    pub(super) fn raw(self, buf: &[u8]) -> &[u8] {
        match self.len {
            0 => &[0xa0],
            len => buf.get(self.at as usize..(self.at + len) as usize).unwrap_or(&[0xa0]),
        }
    }

    /// The text alone.
    pub(super) fn content(self, buf: &[u8]) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        reader::text(buf, self.at as usize).map_or(&[], |(text, _)| text)
    }
}
