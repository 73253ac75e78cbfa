//! Peer tags as they stand in keys, found by the value of the span: an address that was taken out of a value once need
//! not be searched in it again, nor a tag be put together again. There are far fewer peers than spans.

use super::key::fold;

/// A value has one of two places, which are taken over by whoever comes last. There are many more places than a service
/// has peers: three values that share two places would be looked up in vain again and again.
const PLACES: usize = 1024;
/// Longer values are not remembered.
const LONGEST: usize = 250;
/// When the texts have grown so large, all is forgotten.
const MOST_BYTES: usize = 64 << 10;
/// Behind the last text, so that a copy of fixed size stays within.
const SURPLUS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Memo {
    places: Vec<Place>,
    /// Of each place: the value, then the tag.
    texts: Vec<u8>,
    used: usize,
    served: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    low: u64,
    high: u64,
    at: u32,
    tag_len: u32,
    peer: u16,
    len: u16,
}

impl Memo {
    /// Forgets everything if it was made for another list of tags.
    #[inline]
    pub(super) fn serve(&mut self, id: u64) {
        if self.served != id {
            self.served = id;
            self.forget();
        }
    }

    #[cold]
    fn forget(&mut self) {
        self.places.clear();
        self.places.resize(PLACES, Place::default());
        self.texts.clear();
        self.texts.resize(SURPLUS, 0);
        self.used = 0;
    }

    /// The first and the last eight bytes, which together with the length are all of up to sixteen.
    #[inline(always)]
    fn words(src: &[u8], at: usize, len: usize) -> Option<(u64, u64)> {
        let load = |at: usize| Some(u64::from_le_bytes(*src.get(at..)?.first_chunk::<8>()?));
        match len {
            0 => None,
            1..8 => match load(at) {
                Some(word) => Some((word & ((1 << (8 * len)) - 1), 0)),
                // The last value of a payload.
                None => Some((src.get(at..at + len)?.iter().rev().fold(0, |w, b| w << 8 | u64::from(*b)), 0)),
            },
            8..=LONGEST => Some((load(at)?, load(at + len - 8)?)),
            _ => None,
        }
    }

    #[inline(always)]
    fn index(peer: u16, len: usize, (low, high): (u64, u64)) -> usize {
        let mixed = fold(low ^ u64::from(peer) << 40, high ^ 0x9e37_79b9_7f4a_7c15 ^ len as u64);
        (mixed ^ mixed >> 32) as usize % PLACES
    }

    /// The tag of the peer tag number `peer` with the value `src[at..at + len]`, as a part of a text.
    #[inline(always)]
    pub(super) fn find(&self, peer: u16, src: &[u8], at: usize, len: usize) -> Option<(&[u8], usize, usize)> {
        let words = Self::words(src, at, len)?;
        let index = Self::index(peer, len, words);
        for index in [index, index ^ 1] {
            let place = self.places.get(index)?;
            let value_at = place.at as usize;
            if (place.low, place.high, place.peer, usize::from(place.len)) == (words.0, words.1, peer, len)
                && (len <= 16 || self.texts.get(value_at..value_at + len) == src.get(at..at + len))
            {
                return Some((&self.texts, value_at + len, place.tag_len as usize));
            }
        }
        None
    }

    /// Remembers what [`Memo::find`] did not know.
    pub(super) fn remember(&mut self, peer: u16, value: &[u8], tag: &[u8]) {
        let words = Self::words(value, 0, value.len());
        let Some(words) = words else { return };
        if self.used + value.len() + tag.len() > MOST_BYTES {
            self.forget();
        }
        let at = self.used;
        self.texts.truncate(at);
        self.texts.extend_from_slice(value);
        self.texts.extend_from_slice(tag);
        self.used = self.texts.len();
        self.texts.resize(self.used + SURPLUS, 0);
        // Who came last has the first of two places, who was there before the second.
        let index = Self::index(peer, value.len(), words);
        if let Some(known) = self.places.get(index).copied()
            && let Some(second) = self.places.get_mut(index ^ 1)
        {
            *second = known;
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Place {
                low: words.0,
                high: words.1,
                at: at as u32,
                tag_len: tag.len() as u32,
                peer,
                len: value.len() as u16,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_by_its_peer_and_all_of_its_value() {
        let mut memo = Memo::default();
        memo.serve(1);
        let values = [
            "",
            "a",
            "ab",
            "abcdefg",
            "abcdefgh",
            "abcdefghi",
            &"x".repeat(16),
            &"y".repeat(40),
            &"z".repeat(251),
        ];
        for (i, value) in values.iter().enumerate() {
            memo.remember(i as u16, value.as_bytes(), format!("tag {value}").as_bytes());
        }
        let mut found = 0;
        for (i, value) in values.iter().enumerate() {
            let src = format!("__{value}________");
            for peer in 0..values.len() as u16 {
                if let Some((from, at, len)) = memo.find(peer, src.as_bytes(), 2, value.len()) {
                    assert_eq!(
                        (usize::from(peer), &from[at..at + len]),
                        (i, format!("tag {value}").as_bytes())
                    );
                    found += 1;
                }
            }
            let mut other = src.into_bytes();
            if value.len() > 16 {
                other[2 + 10] = b'!';
                assert!(memo.find(i as u16, &other, 2, value.len()).is_none(), "same ends, another middle");
            }
        }
        assert!((5..=7).contains(&found), "{found}: the empty one and the long one are not kept");
        memo.serve(2);
        assert!(memo.find(1, b"a_______", 0, 1).is_none());
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut memo = Memo::default();
        memo.serve(1);
        for i in 0..10_000u32 {
            memo.remember(1, format!("host-{i}.example.com").as_bytes(), &[b'x'; 60]);
        }
        assert!(memo.texts.len() <= MOST_BYTES + SURPLUS);
    }
}
