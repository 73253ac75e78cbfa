//! Keys of spans that were met before: most spans of a service differ only in ids and times, so the key that one gave
//! is the key of the next. What a key is made of is compared byte by byte; where all of it is the same, nothing is
//! written, hashed or looked up again.
//!
//! A span is described by pieces: its four texts, the values of the recognised tags that a key looks at, and the values
//! of configured tags. A word made of the pieces' lengths and ends says where to look; it need not be good, since
//! everything is compared. A span with more pieces, a longer one, or a value of an unusual kind is not described: its
//! key is written as ever.

use super::key::fold;
use crate::trace::{Arena, Text};
use wide::u8x16;

/// A span has no more pieces.
const PIECES: usize = 32;
/// A piece is shorter.
const TOO_LONG: u32 = 4096;
/// A description has one of two places, which are taken over by whoever comes last.
const PLACES: usize = 1024;
/// So much is remembered; then nothing new until all is forgotten.
const MOST_BYTES: usize = 512 << 10;
/// Compared at once.
const LOAD: usize = 32;
/// After so many spans it is seen whether remembering is of use,
const TRIAL: u32 = 4096;
/// and if it is not, so many are let pass until the next trial.
const PAUSE: u32 = 16 * TRIAL;

/// A value of a span: where it stands (with [`crate::trace::SIDE`], in the arena's side buffer), its length, and whose
/// it is.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    at: u32,
    /// Length, and number of the configured tag above it.
    tag: u32,
}

/// What a key is made of.
#[derive(Debug, Default)]
pub(super) struct Described {
    pieces: [Piece; PIECES],
    count: usize,
    /// Which recognised tags there are, and what else a key depends on.
    facts: u64,
    word: u64,
    /// Something is unusual: one bit above the largest length, or higher.
    lengths: u32,
}

/// Where a value can be read. Most batches have no side buffer, and need not ask for each value.
#[inline(always)]
fn value<'a, const SIDED: bool>(bytes: &'a [u8], arena: &'a Arena, at: u32) -> (&'a [u8], usize) {
    if SIDED { arena.value(bytes, at) } else { (bytes, at as usize) }
}

/// The eight bytes at `at`.
#[inline(always)]
fn load(from: &[u8], at: usize) -> u64 {
    let word = from.get(at..).and_then(|rest| rest.first_chunk::<8>());
    word.map_or(0, |b| u64::from_le_bytes(*b))
}

impl Described {
    #[inline(always)]
    pub(super) fn begin(&mut self, facts: u64) {
        self.count = 0;
        self.facts = facts;
        self.word = facts;
        self.lengths = 0;
    }

    #[inline(always)]
    fn push(&mut self, at: u32, tag: u32) {
        if let Some(piece) = self.pieces.get_mut(self.count % PIECES) {
            *piece = Piece { at, tag };
        }
        self.count += 1;
    }

    /// The next piece, a text.
    #[inline(always)]
    pub(super) fn add_text(&mut self, text: Text) {
        self.lengths |= text.len;
        self.word = self.word.rotate_left(7) ^ u64::from(text.len);
        self.push(text.at, text.len);
    }

    /// The next piece, a text by which spans differ most.
    #[inline(always)]
    pub(super) fn add_main_text<const SIDED: bool>(&mut self, bytes: &[u8], arena: &Arena, text: Text) {
        let (from, at) = value::<SIDED>(bytes, arena, text.at);
        let len = text.len as usize;
        // Before a short one stands its key, which is always the same; behind it anything.
        let mut ends = load(from, (at + len).wrapping_sub(8));
        if len > 8 {
            ends =
                ends.wrapping_add(load(from, at)).wrapping_add(load(from, at + len / 2 - 4).rotate_left(32));
        }
        self.word = self.word.rotate_left(7) ^ ends;
        self.add_text(text);
    }

    /// The next piece, the value at `at` with its head: a text or a number. Anything else is unusual.
    #[inline(always)]
    pub(super) fn add_value<const SIDED: bool>(&mut self, bytes: &[u8], arena: &Arena, at: u32, tag: u16) {
        let (from, place) = value::<SIDED>(bytes, arena, at);
        let len = match from.get(place) {
            Some(&head) if head & 0xe0 == 0xa0 => usize::from(head & 0x1f) + 1,
            _ => value_len(from, place),
        };
        self.lengths |= len as u32;
        self.word = self.word.rotate_left(7) ^ load(from, (place + len).wrapping_sub(8));
        self.push(at, len as u32 | u32::from(tag) << 16);
    }

    #[inline(always)]
    fn pieces(&self) -> Option<&[Piece]> {
        if self.lengths < TOO_LONG { self.pieces.get(..self.count) } else { None }
    }

    #[inline(always)]
    fn place(&self) -> (u64, usize) {
        let word = fold(self.word, 0x9e37_79b9_7f4a_7c15 ^ self.count as u64);
        (word, word as usize % PLACES)
    }
}

/// Length of a value that is no short text; [`TOO_LONG`] for an unusual one.
#[inline(never)]
fn value_len(from: &[u8], place: usize) -> usize {
    match from.get(place) {
        Some(0..=0x7f | 0xe0..=0xff) => 1,
        Some(0xcc) => 2,
        Some(0xcd) => 3,
        Some(0xcb | 0xcf) => 9,
        Some(0xd9) => usize::from(from.get(place + 1).copied().unwrap_or(0)) + 2,
        _ => TOO_LONG as usize,
    }
}

/// A key that was written for a described span.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    word: u64,
    facts: u64,
    hash: u64,
    /// Where its pieces begin in `known`, and how many there are.
    at: u32,
    count: u32,
    /// Where its long pieces stand in `texts`, one after another.
    long_at: u32,
    key_at: u32,
    key_len: u32,
}

/// A piece that is known: its first bytes, and which of them count.
#[derive(Clone, Copy, Debug)]
struct Known {
    text: [u8x16; 2],
    mask: [u8x16; 2],
    tag: u32,
}

/// A key that [`Recall`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recalled {
    pub(super) hash: u64,
    pub(super) at: u32,
    pub(super) len: u32,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Recall {
    entries: Vec<Entry>,
    known: Vec<Known>,
    /// Long pieces, and keys.
    texts: Vec<u8>,
    served: u64,
    full: bool,
    looked: u32,
    found: u32,
    pause: u32,
}

/// The length in a tag.
#[inline(always)]
fn len(tag: u32) -> usize {
    (tag & 0xffff) as usize
}

/// The two halves of what is compared at once.
#[inline(always)]
fn halves(from: &[u8], at: usize) -> Option<[u8x16; 2]> {
    let both = from.get(at..at + LOAD)?.as_chunks::<16>().0;
    match both {
        [a, b] => Some([u8x16::new(*a), u8x16::new(*b)]),
        _ => None,
    }
}

impl Recall {
    /// Forgets everything if it was made for another list of tags, or is full, unless keys of it are in use. Whether it
    /// serves that list.
    #[inline]
    pub(super) fn serve(&mut self, id: u64, in_use: bool) -> bool {
        if (self.served != id || self.full) && !in_use {
            self.served = id;
            self.forget();
        }
        self.served == id
    }

    #[cold]
    fn forget(&mut self) {
        self.entries.clear();
        self.entries.resize(PLACES, Entry::default());
        self.known.clear();
        self.texts.clear();
        self.full = false;
    }

    /// Whether it is of use now to describe spans.
    #[inline(always)]
    pub(super) fn is_on(&mut self) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        true
    }

    /// The keys.
    pub(super) fn texts(&self) -> &[u8] {
        &self.texts
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.known.capacity() * size_of::<Known>()
            + self.texts.capacity()
    }

    /// The key of the span that is described.
    #[inline(always)]
    pub(super) fn find<const SIDED: bool>(
        &mut self,
        bytes: &[u8],
        arena: &Arena,
        span: &Described,
    ) -> Option<Recalled> {
        self.looked += 1;
        if self.looked == TRIAL {
            self.judge();
        }
        let pieces = span.pieces()?;
        let (word, place) = span.place();
        for place in [place, place ^ 1] {
            let entry = self.entries.get(place)?;
            if entry.word == word
                && entry.facts == span.facts
                && entry.count as usize == pieces.len()
                && self.is_same::<SIDED>(entry, bytes, arena, pieces)
            {
                self.found += 1;
                return Some(Recalled { hash: entry.hash, at: entry.key_at, len: entry.key_len });
            }
        }
        None
    }

    #[cold]
    fn judge(&mut self) {
        // A key that is written anyway costs a third more when it is described first.
        if self.found < TRIAL / 2 {
            self.pause = PAUSE;
        }
        (self.looked, self.found) = (0, 0);
    }

    #[inline(always)]
    fn is_same<const SIDED: bool>(
        &self,
        entry: &Entry,
        bytes: &[u8],
        arena: &Arena,
        pieces: &[Piece],
    ) -> bool {
        let at = entry.at as usize;
        let Some(known) = self.known.get(at..at + pieces.len()) else { return false };
        let mut differs = u8x16::ZERO;
        let mut long_at = entry.long_at as usize;
        for (piece, known) in pieces.iter().zip(known) {
            if piece.tag != known.tag {
                return false;
            }
            let (from, at) = value::<SIDED>(bytes, arena, piece.at);
            if let Some(here) = halves(from, at) {
                differs |=
                    (here[0] & known.mask[0] ^ known.text[0]) | (here[1] & known.mask[1] ^ known.text[1]);
                if len(piece.tag) <= LOAD {
                    continue;
                }
            }
            // A long one, or one at the very end of a payload.
            let end = long_at + len(piece.tag);
            if len(piece.tag) <= LOAD || self.texts.get(long_at..end) != from.get(at..at + len(piece.tag)) {
                return false;
            }
            long_at = end;
        }
        differs == u8x16::ZERO
    }

    /// Remembers the key that was written for a span which [`Recall::find`] did not know.
    #[inline(never)]
    pub(super) fn remember(&mut self, bytes: &[u8], arena: &Arena, span: &Described, key: &[u8], hash: u64) {
        let Some(pieces) = span.pieces() else { return };
        let all = pieces.iter().map(|piece| len(piece.tag)).sum::<usize>() + key.len();
        if self.texts.len() + all + self.known.len() * size_of::<Known>() > MOST_BYTES {
            self.full = true;
            return;
        }
        let (at, long_at) = (self.known.len() as u32, self.texts.len() as u32);
        for piece in pieces {
            let (from, at) = arena.value(bytes, piece.at);
            let text = from.get(at..at + len(piece.tag)).unwrap_or(&[]);
            if text.len() > LOAD {
                self.texts.extend_from_slice(text);
            }
            let (mut first, mut mask) = ([0; LOAD], [0; LOAD]);
            for ((first, mask), byte) in first.iter_mut().zip(&mut mask).zip(text) {
                (*first, *mask) = (*byte, 0xff);
            }
            if let (Some(text), Some(mask)) = (halves(&first, 0), halves(&mask, 0)) {
                self.known.push(Known { text, mask, tag: piece.tag });
            }
        }
        let key_at = self.texts.len() as u32;
        self.texts.extend_from_slice(key);
        let (word, place) = span.place();
        // Who came last has the first of two places, who was there before the second.
        if let Some(before) = self.entries.get(place).copied()
            && let Some(second) = self.entries.get_mut(place ^ 1)
        {
            *second = before;
        }
        if let Some(entry) = self.entries.get_mut(place) {
            let (count, key_len) = (pieces.len() as u32, key.len() as u32);
            *entry = Entry { word, facts: span.facts, hash, at, count, long_at, key_at, key_len };
        }
    }
}
