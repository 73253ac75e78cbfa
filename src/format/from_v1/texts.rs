//! The texts of a v1 payload: ranges of the input, by number.
//!
//! Texts are collected wherever they stand, also in fields that are not known, since later numbers count on it; a text
//! that comes twice has one number, as with the agent.

use super::super::text_index::TextIndex;
use super::{Read, bad};
use crate::msgpack::reader::{self, Bad};
use crate::trace::Fault;

/// The string table: where each text stands.
#[derive(Debug, Default)]
pub(super) struct Texts {
    places: Vec<Str>,
    index: TextIndex,
    failed: bool,
    /// How many bytes the keys of attributes in containers may have that are still to come.
    nested: usize,
}

/// A text with its head, as a range of the input, and which of the keys that matter it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Str {
    pub(super) at: u32,
    pub(super) len: u32,
    pub(super) key: u8,
}

/// In [`Str::key`]: it is the key of a text in some span, and a number with this key may stand beside one. As a bit of
/// [`Str::seen`] such a key is 16 places higher.
const META_KEY: u8 = 0x10;

/// The bits of [`Str::seen`] of keys that are known as keys of texts.
pub(super) const META_KEYS: u32 = 0xffff_0000;

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
pub(super) const EMPTY: Str = Str { at: 0, len: 0, key: META_KEY };

/// Bytes that keys of attributes in containers may have in any payload.
const NESTED_FREE: usize = 64 << 10;

/// Bytes of memory that are kept for the next payload.
const KEPT: usize = 1 << 20;

impl Texts {
    /// Forgets the texts, for a payload of so many bytes.
    pub(super) fn clear(&mut self, payload: usize) {
        self.nested = 4 * payload + NESTED_FREE;
        self.index.clear();
        self.places.clear();
        self.places.push(EMPTY);
        self.failed = false;
    }

    /// Containers repeat their key in front of each of their attributes; what that may cost a payload is limited.
    pub(super) fn spend(&mut self, bytes: usize, at: usize) -> Read<()> {
        match self.nested.checked_sub(bytes) {
            Some(rest) => self.nested = rest,
            None => return Err(Fault::new(at, Bad::Type, "a container with a shorter key")),
        }
        Ok(())
    }

    /// Gives back what only an unusual payload needs.
    pub(super) fn release(&mut self) {
        if self.capacity_bytes() > KEPT {
            self.index.release();
            self.places = Vec::new();
        }
    }

    /// Whether a text has no number for want of memory.
    pub(super) fn failed(&self) -> bool {
        self.failed || self.index.failed()
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.index.capacity_bytes() + self.places.capacity() * size_of::<Str>()
    }

    /// Gives a text its number, unless it has one.
    fn add(&mut self, buf: &[u8], text: &[u8], place: Str) -> Str {
        if text.is_empty() {
            return place;
        }
        let (places, next) = (&self.places, self.places.len() as u32);
        let known = |n: u32| places.get(n as usize).map_or(&[][..], |known| known.content(buf));
        if let Ok(n) = self.index.find_or_add(text, next, known) {
            let flag = self.places.get(n as usize).map_or(0, |known| known.key & META_KEY);
            return Str { key: place.key | flag, ..place };
        }
        if self.places.len() == self.places.capacity() {
            let more = (self.places.len() / 4).max(256);
            if self.places.try_reserve_exact(more).is_err() {
                self.failed = true;
                return place;
            }
        }
        self.places.push(place);
        place
    }

    /// Says of the text at `p`, which was read before, that it is the key of a text.
    #[cold]
    pub(super) fn set_meta_key(&mut self, buf: &[u8], p: usize) {
        let number = match reader::text(buf, p) {
            Ok((text, _)) => {
                let (places, next) = (&self.places, self.places.len() as u32);
                let known = |n: u32| places.get(n as usize).map_or(&[][..], |known| known.content(buf));
                self.index.find_or_add(text, next, known).unwrap_or(next) as usize
            }
            Err(_) => reader::int_bits(buf, p).map_or(0, |(n, _)| n as usize),
        };
        if let Some(place) = self.places.get_mut(number) {
            place.key |= META_KEY;
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
                let key = key_number(text);
                let place = Str { at: p as u32, len: (end - p) as u32, key };
                Ok((self.add(buf, text, place), end))
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
    /// Whether [`Texts::set_meta_key`] was called for it.
    #[inline(always)]
    pub(super) fn is_meta_key(self) -> bool {
        self.key & META_KEY != 0
    }

    /// The bit of the key that it is, bit 0 for any other.
    #[inline(always)]
    pub(super) fn seen(self) -> u32 {
        1u32.wrapping_shl(u32::from(self.key))
    }

    /// The text as it stands in the input, with its head.
    pub(super) fn raw(self, buf: &[u8]) -> &[u8] {
        match self.len {
            0 => &[0xa0],
            len => buf.get(self.at as usize..(self.at + len) as usize).unwrap_or(&[0xa0]),
        }
    }

    /// Whether there is no text, or one without a character.
    #[inline(always)]
    pub(super) fn is_empty(self, buf: &[u8]) -> bool {
        // A longer one has more than a head; most short ones say so by their first byte.
        self.len <= 5
            && !matches!(buf.get(self.at as usize), Some(0xa1..=0xbf) if self.len > 0)
            && self.content(buf).is_empty()
    }

    /// The text alone.
    pub(super) fn content(self, buf: &[u8]) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        reader::text(buf, self.at as usize).map_or(&[], |(text, _)| text)
    }
}
