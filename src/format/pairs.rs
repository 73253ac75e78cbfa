//! Entries of `meta` and `metrics` as nearly all are: a key of at most 31 bytes and a value of at most 63. Such an
//! entry is read out of one window of fixed size, so that one look at the bounds is enough for all of it. What is not
//! so, or stands at the very end of a payload, is read by [`super::string_at`] and [`super::numbers`].

use super::keys::Words;
use super::numbers::{self, Number};
use super::source::{ascii_bits, odd_bits};
use crate::trace::WORD_MASK;

/// A key and a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'b> {
    /// From the head of the key on.
    window: &'b [u8; 128],
    key_len: usize,
    /// Where the value begins.
    value_at: usize,
    value_len: usize,
}

impl<'b> Pair<'b> {
    /// The pair at `p`, if it is short.
    #[inline(always)]
    pub(super) fn at(buf: &'b [u8], p: usize) -> Option<Self> {
        let window: &[u8; 128] = buf.get(p..)?.first_chunk()?;
        let key_len = usize::from(window[0] ^ 0xa0);
        if key_len >= 32 {
            return None;
        }
        let (mut value_at, mut value_len) = (2 + key_len, usize::from(window[1 + key_len] ^ 0xa0));
        if value_len >= 32 {
            // Behind a marker of its own.
            if value_len != 0xd9 ^ 0xa0 {
                return None;
            }
            (value_at, value_len) = (3 + key_len, usize::from(window[2 + key_len]));
            if value_len >= 64 {
                return None;
            }
        }
        Some(Self { window, key_len, value_at, value_len })
    }

    /// Below 32.
    #[inline(always)]
    pub(super) fn key_len(&self) -> usize {
        self.key_len & 31
    }

    /// Below 64.
    #[inline(always)]
    pub(super) fn value_len(&self) -> usize {
        self.value_len & 63
    }

    /// How many bytes it takes, heads included.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.value_at + self.value_len
    }

    /// The key, and what stands behind it.
    #[inline(always)]
    pub(super) fn key(&self) -> &'b [u8; 32] {
        block(self.window, 1)
    }

    /// The first 32 bytes of the value, or all of it and what stands behind it.
    #[inline(always)]
    pub(super) fn value(&self) -> &'b [u8; 32] {
        block(self.window, self.value_at)
    }

    /// The same from the 33rd on.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'b [u8; 32] {
        block(self.window, self.value_at + 32)
    }

    #[inline(always)]
    pub(super) fn words(&self) -> Words {
        words(self.window, self.key_len())
    }

    /// Whether both are ASCII.
    #[inline(always)]
    pub(super) fn is_ascii(&self) -> bool {
        self.has_none(ascii_bits)
    }

    /// Whether both can stand in JSON as they are.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        self.has_none(odd_bits)
    }

    #[inline(always)]
    fn has_none(&self, bits: impl Fn(&[u8; 32]) -> u32) -> bool {
        let len = self.value_len();
        bits(self.key()) & mask(self.key_len()) | bits(self.value()) & mask(len.min(32)) == 0
            && (len <= 32 || bits(self.rest()) & mask(len - 32) == 0)
    }
}

/// A key and a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberPair<'b> {
    /// From the head of the key on.
    window: &'b [u8; 48],
    key_len: usize,
    pub(super) value: Number,
    /// How many bytes it takes, head included.
    pub(super) len: usize,
}

impl<'b> NumberPair<'b> {
    /// The pair at `p`, if its key is short and its number of a usual kind.
    #[inline(always)]
    pub(super) fn at(buf: &'b [u8], p: usize) -> Option<Self> {
        let window: &[u8; 48] = buf.get(p..)?.first_chunk()?;
        let key_len = usize::from(window[0] ^ 0xa0);
        if key_len >= 32 {
            return None;
        }
        let (value, width) = numbers::usual(window[1 + key_len..].first_chunk()?)?;
        Some(Self { window, key_len, value, len: 1 + key_len + width })
    }

    /// Below 32.
    #[inline(always)]
    pub(super) fn key_len(&self) -> usize {
        self.key_len & 31
    }

    /// The key, and what stands behind it.
    #[inline(always)]
    pub(super) fn key(&self) -> &'b [u8; 32] {
        block(self.window, 1)
    }

    #[inline(always)]
    pub(super) fn words(&self) -> Words {
        words(self.window, self.key_len())
    }

    /// Whether the key is ASCII.
    #[inline(always)]
    pub(super) fn is_ascii(&self) -> bool {
        ascii_bits(self.key()) & mask(self.key_len()) == 0
    }

    /// Whether the key can stand in JSON as it is.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        odd_bits(self.key()) & mask(self.key_len()) == 0
    }
}

#[inline(always)]
fn mask(len: usize) -> u32 {
    ((1u64 << len) - 1) as u32
}

/// 32 bytes of a window; a place that is not in it, which no caller has, gives its first ones.
#[inline(always)]
fn block<const N: usize>(window: &[u8; N], at: usize) -> &[u8; 32] {
    const NONE: &[u8; 32] = &[0; 32];
    window.get(at..).and_then(<[u8]>::first_chunk).unwrap_or(NONE)
}

/// The words of the key whose head is the first byte of the window.
#[inline(always)]
fn words<const N: usize>(window: &[u8; N], len: usize) -> Words {
    let word = |at: usize| {
        let bytes = window.get(at..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; 8]);
        u64::from_le_bytes(*bytes)
    };
    let mask = WORD_MASK[len];
    Words { first: word(0) & mask, last: word(len.max(7) - 7) & mask }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::super::string_at;
    use super::*;

    #[test]
    fn short_pairs_are_read_as_the_long_way_reads_them() {
        for key_len in 0..40usize {
            for value_len in [0, 1, 7, 8, 15, 30, 31, 32, 33, 62, 63, 64, 200] {
                let text = |len: usize, first: u8| -> Vec<u8> {
                    let head = if len < 32 { vec![0xa0 | len as u8] } else { vec![0xd9, len as u8] };
                    head.into_iter().chain((0..len).map(|i| first + i as u8 % 40)).collect()
                };
                let entry = [text(key_len, b'0'), text(value_len, b'0')].concat();
                let buf = [&b"x"[..], &entry, &[0xff; 128]].concat();
                let pair = Pair::at(&buf, 1);
                assert_eq!(pair.is_some(), key_len < 32 && value_len < 64);
                assert!(Pair::at(&buf[..entry.len() + 1], 1).is_none());
                let Some(pair) = pair else { continue };
                assert_eq!(pair.len(), entry.len());
                let (at, len) = string_at(&buf, 1);
                assert_eq!(pair.key()[..pair.key_len()], buf[at..at + len]);
                assert_eq!(pair.words(), Words::at(&buf, at, len));
                assert_eq!(pair.words(), Words::of(&buf[at..at + len]));
                let (at, len) = string_at(&buf, at + len);
                assert_eq!([*pair.value(), *pair.rest()].concat()[..pair.value_len()], buf[at..at + len]);
                assert!(pair.is_ascii() && pair.is_plain());
                for odd in [1, key_len, at - 1, at + len - 1] {
                    let mut other = buf.clone();
                    other[odd] =
                        if (1 + 1..1 + 1 + key_len).contains(&odd) || odd >= at { b'"' } else { continue };
                    assert!(!Pair::at(&other, 1).unwrap().is_plain(), "{key_len} {value_len} {odd}");
                }
            }
        }
    }

    #[test]
    fn a_byte_that_is_odd_is_seen_in_key_and_value() {
        for (b, ascii, plain) in
            [(b'"', true, false), (b'\\', true, false), (0x1f, true, false), (0x80, false, false)]
        {
            for at in [2, 3, 6, 7] {
                let mut buf = b"\xa3abc\xa3abc".to_vec();
                buf.resize(140, 0xff);
                buf.insert(0, 0xff);
                buf[at] = b;
                let pair = Pair::at(&buf, 1).unwrap();
                assert_eq!((pair.is_ascii(), pair.is_plain()), (ascii, plain), "{b} at {at}");
                assert_eq!(Source::new(&buf, 2, 3).is_plain() && Source::new(&buf, 6, 3).is_plain(), plain);
            }
        }
    }

    #[test]
    fn numbers_are_read_as_the_long_way_reads_them() {
        for value in [
            &[0x05][..],
            &[0x7f],
            &[0xff],
            &[0xe0],
            &[0xc0],
            &[0xcc, 0xff],
            &[0xcd, 0x80, 1],
            &[0xce, 0xff, 0, 0, 1],
            &[0xcf, 0x7f, 0, 0, 0, 0, 0, 0, 1],
            &[0xcf, 0xff, 0, 0, 0, 0, 0, 0, 1],
            &[0xd0, 0x80],
            &[0xd1, 0x80, 0],
            &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
            &[0xca, 0x3f, 0x80, 0, 0],
            &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
            &[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0],
            &[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
        ] {
            let buf = [&b"\xa3key"[..], value, &[0xc1; 48]].concat();
            let want = numbers::number(&buf, 4);
            assert_eq!(want.1, 4 + value.len());
            if let Some(pair) = NumberPair::at(&buf, 0) {
                assert_eq!((pair.value, pair.len), want, "{value:x?}");
                assert_eq!(pair.key()[..pair.key_len()], *b"key");
            }
        }
    }
}
