//! A map that grows: entries as msgpack, one after another, so that it is done when the last one is there.
//!
//! A key that comes again replaces its value. Whether it may have come is one bit of 256; only then are the
//! entries looked through.

use super::error::Fault;
use crate::msgpack::{reader, writer};

/// More memory than this is not kept for the next span.
const KEEP_BYTES: usize = 64 << 10;

/// The entries of a map.
#[derive(Debug, Default)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    count: u32,
    seen: [u64; 4],
}

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
        (self.count, self.seen) = (0, [0; 4]);
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
        let bit = bit(key);
        let seen = &mut self.seen[usize::from(bit >> 6)];
        let mask = 1 << (bit & 63);
        let may_be_there = *seen & mask != 0;
        *seen |= mask;
        if may_be_there {
            self.remove(key);
        }
        self.count += 1;
        writer::str(&mut self.bytes, key);
        value(&mut self.bytes);
        Ok(())
    }

    #[cold]
    fn remove(&mut self, key: &[u8]) {
        let mut at = 0;
        while at < self.bytes.len() {
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

/// One bit of 256. Keys of the same length with the same first, middle and last byte share it.
#[inline]
fn bit(key: &[u8]) -> u8 {
    let (first, last) = (key.first().copied().unwrap_or(0), key.last().copied().unwrap_or(0));
    let middle = key.get(key.len() / 2).copied().unwrap_or(0);
    let mixed = u32::from_le_bytes([first, middle, last, key.len() as u8]).wrapping_mul(0x9e37_79b1);
    (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b).to_be_bytes()[0]
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
}
