//! Numbers of texts, found by the text: eight bytes a slot and nothing of the text itself. For tables that may grow as
//! large as a payload; where speed counts, `strings.rs` looks the first texts up in a way of its own.
//!
//! A slot holds 32 bits of the text's hash and its number plus one. The hash is seeded: texts come from traffic.
//! Memory is asked for; where there is none, nothing more is taken up and [`TextIndex::failed`] says so.

use std::hash::{BuildHasher, Hasher};

#[derive(Debug, Default)]
pub(super) struct TextIndex {
    slots: Vec<u64>,
    used: usize,
    hasher: foldhash::fast::RandomState,
    failed: bool,
}

const FIRST_SIZE: usize = 1024;

/// Slots that `clear` keeps; more would have to be emptied for each payload.
const KEPT: usize = 1 << 14;

impl TextIndex {
    pub(super) fn clear(&mut self) {
        if self.slots.len() > KEPT {
            self.slots = Vec::new();
        }
        if self.used > 0 {
            self.slots.fill(0);
        }
        self.used = 0;
        self.failed = false;
    }

    /// Gives its memory back.
    pub(super) fn release(&mut self) {
        self.slots = Vec::new();
        self.used = 0;
    }

    /// Whether a text could not be taken up for want of memory.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }

    /// The number of `text`, or `Err(next)` after it was taken up as number `next`. `known` gives the text of a number.
    pub(super) fn find_or_add<'t>(
        &mut self,
        text: &[u8],
        next: u32,
        known: impl Fn(u32) -> &'t [u8],
    ) -> Result<u32, u32> {
        // At most three of four slots are full.
        if (self.used + 1) * 4 > self.slots.len() * 3 && !self.grow() {
            return Err(next);
        }
        let hash = self.hash(text);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(&slot) = self.slots.get(at)
            && slot != 0
        {
            let number = (slot as u32).wrapping_sub(1);
            if (slot >> 32) as u32 == hash && known(number) == text {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = u64::from(hash) << 32 | u64::from(next.wrapping_add(1));
            self.used += 1;
        }
        Err(next)
    }

    #[inline]
    fn hash(&self, text: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text);
        (hasher.finish() >> 32) as u32
    }

    #[cold]
    fn grow(&mut self) -> bool {
        let size = (self.slots.len() * 2).max(FIRST_SIZE);
        let mut slots: Vec<u64> = Vec::new();
        if self.failed || slots.try_reserve_exact(size).is_err() {
            self.failed = true;
            return false;
        }
        slots.resize(size, 0);
        for slot in std::mem::take(&mut self.slots).into_iter().filter(|slot| *slot != 0) {
            let mut at = (slot >> 32) as usize & (size - 1);
            while slots.get(at).is_some_and(|taken| *taken != 0) {
                at = (at + 1) & (size - 1);
            }
            if let Some(free) = slots.get_mut(at) {
                *free = slot;
            }
        }
        self.slots = slots;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_again_while_it_grows() {
        let many = if cfg!(miri) { 300 } else { 20_000 };
        let texts: Vec<String> = (0..many).map(|i| format!("text {i}")).collect();
        let mut index = TextIndex::default();
        for round in 0..2 {
            let known = |n: u32| texts[n as usize].as_bytes();
            for (i, text) in texts.iter().enumerate() {
                assert_eq!(index.find_or_add(text.as_bytes(), i as u32, known), Err(i as u32), "{round}");
            }
            for (i, text) in texts.iter().enumerate() {
                assert_eq!(index.find_or_add(text.as_bytes(), 99_999, known), Ok(i as u32));
            }
            assert!(!index.failed());
            index.clear();
        }
    }
}
