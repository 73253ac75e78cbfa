//! A map that grows: entries as msgpack, one after another, so that it is done when the last one is there.
//!
//! A key that comes again replaces its value. Whether it may have come is one bit of 1,024; only then are the
//! entries looked through.

use super::common::CharSlice;
use super::error::Fault;
use crate::msgpack::{reader, writer};
use std::mem::MaybeUninit;

/// More memory than this is not kept for the next span.
const KEEP_BYTES: usize = 64 << 10;

/// The entries of a map.
#[derive(Debug, Default)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    count: u32,
    seen: [u64; SEEN],
}

/// Words of bits for the keys that may be there.
const SEEN: usize = 16;

impl Entries {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Starts again, with the memory that is there.
    pub(super) fn clear(&mut self) {
        recycle(&mut self.bytes);
        (self.count, self.seen) = (0, [0; SEEN]);
    }

    /// One more entry; `value` writes its value, of at most `size` bytes.
    #[inline]
    pub(super) fn put(
        &mut self,
        key: &[u8],
        size: usize,
        value: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Fault> {
        room(&mut self.bytes, key.len().saturating_add(size).saturating_add(5))?;
        self.replaces(key, self.bytes.len());
        writer::str(&mut self.bytes, key);
        value(&mut self.bytes);
        Ok(())
    }

    /// The same for a key whose text is not known to be UTF-8. `value` gives whether all is well, else nothing changes.
    #[inline]
    pub(super) fn put_checked(
        &mut self,
        key: &CharSlice,
        size: usize,
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let bytes = key.bytes()?;
        room(&mut self.bytes, bytes.len().saturating_add(size).saturating_add(5 + 2 * SHORT))?;
        let before = self.bytes.len();
        if let Err(fault) = put_text(&mut self.bytes, key).and_then(|()| value(&mut self.bytes)) {
            self.bytes.truncate(before);
            return Err(fault);
        }
        self.replaces(bytes, before);
        Ok(())
    }

    /// One more entry, in place of one before `end` that has its key.
    #[inline]
    fn replaces(&mut self, key: &[u8], end: usize) {
        let bit = bit(key);
        let seen = &mut self.seen[usize::from(bit >> 6) % SEEN];
        let mask = 1 << (bit & 63);
        let may_be_there = *seen & mask != 0;
        *seen |= mask;
        self.count += 1;
        if may_be_there {
            self.remove(key, end);
        }
    }

    #[cold]
    fn remove(&mut self, key: &[u8], end_of_others: usize) {
        let mut at = 0;
        while at < end_of_others {
            let Ok((known, value)) = reader::text(&self.bytes, at) else { return };
            let Ok(end) = reader::skip(&self.bytes, value) else { return };
            if known == key {
                self.bytes.drain(at..end);
                self.count -= 1;
                return;
            }
            at = end;
        }
    }

    /// Writes the entry `name` with this map, if it has entries, and gives how many entries that are.
    #[inline]
    pub(super) fn write_to(&self, name: &[u8], out: &mut Vec<u8>) {
        if self.count > 0 {
            writer::str(out, name);
            writer::map_head(out, self.count);
            out.extend_from_slice(&self.bytes);
        }
    }
}

/// A text of the caller's with its head, for which there is room. After an error it may stand there.
#[inline]
pub(super) fn put_text(out: &mut Vec<u8>, text: &CharSlice) -> Result<(), Fault> {
    let bytes = text.bytes()?;
    let is_ascii = put_short(out, bytes).unwrap_or_else(|| {
        writer::str(out, bytes);
        false
    });
    if is_ascii { Ok(()) } else { text.text().map(|_| ()) }
}

/// Room that [`put_short`] takes for one text.
const SHORT: usize = 33;

/// A text of up to 31 bytes, if there is [`SHORT`] room; gives whether it is ASCII: the words that are copied are
/// looked at, the first ones and the last ones, which may share bytes.
#[inline]
fn put_short(out: &mut Vec<u8>, text: &[u8]) -> Option<bool> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (start, len) = (out.len(), text.len());
    let to: &mut [MaybeUninit<u8>; SHORT] = out.spare_capacity_mut().first_chunk_mut()?;
    let all = match len {
        0 => 0,
        1..=3 => {
            let (first, middle, last) = (text[0], text[len / 2], text[len - 1]);
            to[1].write(first);
            to[1 + len / 2].write(middle);
            to[len].write(last);
            u64::from(first | middle | last)
        }
        4..=7 => {
            let [a, b] = both(to, text.first_chunk::<4>()?, text.last_chunk::<4>()?, len);
            u64::from(u32::from_ne_bytes(a) | u32::from_ne_bytes(b))
        }
        8..=15 => {
            let [a, b] = both(to, text.first_chunk::<8>()?, text.last_chunk::<8>()?, len);
            u64::from_ne_bytes(a) | u64::from_ne_bytes(b)
        }
        16..=31 => {
            let [a, b] = both(to, text.first_chunk::<16>()?, text.last_chunk::<16>()?, len);
            let all = u128::from_ne_bytes(a) | u128::from_ne_bytes(b);
            all as u64 | (all >> 64) as u64
        }
        _ => return None,
    };
    to[0].write(0xa0 | len as u8);
    // SAFETY: `to` is the room behind the vector's end, so the capacity reaches; its first byte and the `len` behind it
    // were written above: the words from the front and those from the end together cover every byte.
    unsafe { out.set_len(start + 1 + len) };
    Some(all & HIGH == 0)
}

/// Writes the first and the last bytes of a text of `len` bytes behind its head.
#[inline(always)]
fn both<const N: usize>(
    to: &mut [MaybeUninit<u8>; SHORT],
    first: &[u8; N],
    last: &[u8; N],
    len: usize,
) -> [[u8; N]; 2] {
    to[1..1 + N].iter_mut().zip(first).for_each(|(to, from)| *to = MaybeUninit::new(*from));
    to[1 + len - N..1 + len].iter_mut().zip(last).for_each(|(to, from)| *to = MaybeUninit::new(*from));
    [*first, *last]
}

/// One bit of 1,024. Keys of the same length with the same first, middle and last byte share it.
#[inline]
fn bit(key: &[u8]) -> u16 {
    let (first, last) = (key.first().copied().unwrap_or(0), key.last().copied().unwrap_or(0));
    let middle = key.get(key.len() / 2).copied().unwrap_or(0);
    let mixed = u32::from_le_bytes([first, middle, last, key.len() as u8]).wrapping_mul(0x9e37_79b1);
    ((mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) >> 22) as u16
}

/// Makes room for so many bytes more, or says that there is no memory.
#[inline]
pub(super) fn room(bytes: &mut Vec<u8>, more: usize) -> Result<(), Fault> {
    bytes.try_reserve(more).map_err(|_| Fault::no_memory())
}

/// Empties a buffer; what one unusual span made it grow to is given back.
#[inline]
pub(super) fn recycle(bytes: &mut Vec<u8>) {
    if bytes.capacity() > KEEP_BYTES {
        *bytes = Vec::new();
    } else {
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_holds() {
        let mut entries = Entries::default();
        for round in 0..3 {
            for key in 0..200 {
                let value = format!("{round}:{key}");
                let put = |out: &mut Vec<u8>| writer::str(out, value.as_bytes());
                entries.put(format!("key{key}").as_bytes(), value.len() + 5, put).unwrap();
            }
        }
        let mut out = vec![0x81];
        entries.write_to(b"meta", &mut out);
        let value = rmpv::decode::read_value(&mut &out[..]).unwrap();
        let map = value.as_map().unwrap()[0].1.as_map().unwrap().to_vec();
        assert_eq!(map.len(), 200);
        for (key, value) in map {
            assert_eq!(
                value.as_str().unwrap(),
                format!("2:{}", key.as_str().unwrap().trim_start_matches("key"))
            );
        }
        entries.clear();
        assert!(entries.count() == 0 && entries.bytes().is_empty());
    }

    #[test]
    fn texts_of_all_lengths_are_copied_and_looked_at() {
        for len in 0..70 {
            let mut text: Vec<u8> = (0..len).map(|i| b'a' + i % 26).collect();
            let mut entries = Entries::default();
            let put = |entries: &mut Entries, text: &[u8]| {
                let text = CharSlice::of_bytes(text);
                entries.put_checked(&text, 80, |out| put_text(out, &text))
            };
            put(&mut entries, &text).unwrap();
            let mut want = Vec::new();
            writer::str(&mut want, &text);
            writer::str(&mut want, &text);
            assert_eq!((entries.bytes(), entries.count()), (&want[..], 1));
            // What is no text changes nothing, wherever it stands.
            for at in 0..text.len() {
                let was = std::mem::replace(&mut text[at], 0xff);
                assert!(put(&mut entries, &text).is_err(), "{len} {at}");
                assert_eq!((entries.bytes(), entries.count()), (&want[..], 1));
                text[at] = was;
            }
            // A key that is there gets the new value, at the end.
            put(&mut entries, b"other").unwrap();
            put(&mut entries, &text).unwrap();
            assert_eq!(entries.count(), 2);
            assert!(entries.bytes().ends_with(&want));
        }
    }
}
