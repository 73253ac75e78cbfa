//! Texts of a span where they stand, in the payload or where a stage has replaced them, without a copy; and
//! `span.kind`, the text that decides what becomes of the others.

use crate::msgpack::reader;
use crate::trace::{Arena, Slot, Span};

/// A text: `from[at..at + len]`. Whoever copies it may copy more than its length.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) from: &'a [u8],
    pub(super) at: usize,
    pub(super) len: usize,
}

impl<'a> Place<'a> {
    #[inline(always)]
    pub(super) fn text(self) -> &'a [u8] {
        self.from.get(self.at..self.at + self.len).unwrap_or(&[])
    }
}

/// The text whose head stands at `at`, in the payload or where a stage has replaced it.
#[inline(always)]
pub(super) fn place<'a>(bytes: &'a [u8], arena: &'a Arena, at: u32) -> Place<'a> {
    let (from, at) = arena.value(bytes, at);
    match from.get(at) {
        Some(&b) if b & 0xe0 == 0xa0 => Place { from, at: at + 1, len: usize::from(b & 0x1f) },
        _ => match reader::text(from, at) {
            Ok((text, end)) => Place { from, at: end - text.len(), len: text.len() },
            Err(_) => Place { from, at: 0, len: 0 },
        },
    }
}

/// The text of a recognised tag; empty if the span has none.
#[inline(always)]
pub(super) fn slot_place<'a>(bytes: &'a [u8], arena: &'a Arena, span: &Span, slot: Slot) -> Place<'a> {
    match span.slot(slot) {
        Some(at) => place(bytes, arena, at as u32),
        None => Place { from: bytes, at: 0, len: 0 },
    }
}

/// `span.kind`, as it stands there and in lower case.
#[derive(Clone, Copy)]
pub(super) struct Kind<'a> {
    pub(super) text: Place<'a>,
    /// Up to eight bytes, letters in lower case; 0 for longer ones and for none. A word tells its length, since no byte
    /// of it is 0.
    pub(super) word: u64,
}

impl<'a> Kind<'a> {
    #[inline(always)]
    pub(super) fn of(text: Place<'a>) -> Self {
        Self { text, word: lower_word(text) }
    }

    /// Spans of this kind talk to a peer.
    #[inline(always)]
    pub(super) fn has_peers(self) -> bool {
        [*b"client\0\0", *b"producer", *b"consumer"].map(u64::from_le_bytes).contains(&self.word)
    }

    #[inline(always)]
    pub(super) fn is_internal(self) -> bool {
        self.text.len == 0 || self.word == u64::from_le_bytes(*b"internal")
    }
}

/// The word of a kind: letters in lower case.
#[inline(always)]
pub(super) fn lower_word(text: Place<'_>) -> u64 {
    // Of all bytes only the two cases of a letter become that letter, and none becomes 0.
    const LOWER: u64 = 0x2020_2020_2020_2020;
    const BEYOND_ASCII: u64 = 0x8080_8080_8080_8080;
    if text.len == 0 {
        return 0;
    }
    if text.len > 8 {
        return odd_word(text);
    }
    let word = match text.from.get(text.at..).and_then(|b| b.first_chunk::<8>()) {
        Some(word) => u64::from_le_bytes(*word),
        None => text.text().iter().rev().fold(0, |w, b| w << 8 | u64::from(*b)),
    };
    let letters = (word | LOWER) & u64::MAX >> (64 - 8 * text.len);
    if letters & BEYOND_ASCII != 0 { odd_word(text) } else { letters }
}

/// Go's lower case of a capital i with a dot is `i`, the only letter beyond ASCII that becomes one of a kind's.
#[cold]
fn odd_word(text: Place<'_>) -> u64 {
    let mut word = [0; 8];
    let mut rest = text.text();
    for letter in &mut word {
        rest = match rest {
            [] => break,
            [0xc4, 0xb0, tail @ ..] => {
                *letter = b'i';
                tail
            }
            [ascii @ 0..0x80, tail @ ..] => {
                *letter = ascii | 0x20;
                tail
            }
            _ => return 0,
        };
    }
    if rest.is_empty() { u64::from_le_bytes(word) } else { 0 }
}
