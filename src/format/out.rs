//! An output buffer for encoders: room is made once a span, then every piece is one store of fixed size whose surplus
//! the next piece overwrites. A `Vec` would check its capacity for each byte.

use super::code::Code;

#[derive(Debug, Default)]
pub(super) struct Out {
    buf: Vec<u8>,
    pos: usize,
    /// There was no memory for more. What is written from then on goes nowhere, and nobody may read it.
    failed: bool,
}

/// Every store may touch this many bytes, so `room` adds it.
const SURPLUS: usize = 160;
/// A first buffer. Where every byte of it takes its time it is small.
const LEAST_SIZE: usize = if cfg!(miri) { 64 } else { 4096 };

impl Out {
    pub(super) fn clear(&mut self) {
        self.pos = 0;
        self.failed = false;
    }

    /// Begins again within one payload: what has failed stays failed.
    #[inline(always)]
    pub(super) fn rewind(&mut self) {
        self.pos = 0;
    }

    /// Whether something is missing for want of memory.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Gives its memory back.
    pub(super) fn release(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.pos
    }

    pub(super) fn written(&self) -> &[u8] {
        self.buf.get(..self.pos).unwrap_or(&[])
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.buf.capacity()
    }

    /// Takes back what was written behind `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.pos = self.pos.min(len);
    }

    /// Writes over what was written at `at`.
    pub(super) fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.buf.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }

    /// Makes what is written `more` bytes longer and gives its new length.
    pub(super) fn widen(&mut self, more: usize) -> usize {
        self.room(more);
        self.pos += more;
        self.pos
    }

    /// Moves `len` bytes of what was written. Nothing happens where they are not: memory has failed then.
    pub(super) fn shift(&mut self, from: usize, len: usize, to: usize) {
        if from + len <= self.buf.len() && to + len <= self.buf.len() {
            self.buf.copy_within(from..from + len, to);
        }
    }

    /// The next `N` bytes, for several stores after one look at the bounds; [`Out::advance`] says how many of them
    /// count. `N` is at most the surplus; none where nobody has made room.
    #[inline(always)]
    pub(super) fn window<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        const { assert!(N <= SURPLUS) }
        self.buf.get_mut(self.pos..)?.first_chunk_mut()
    }

    /// So many bytes of the window were written.
    #[inline(always)]
    pub(super) fn advance(&mut self, len: usize) {
        self.pos += len;
    }

    /// The first `len` of 16 bytes, in one store.
    #[inline(always)]
    pub(super) fn fixed(&mut self, bytes: &[u8; 16], len: usize) {
        match self.buf.get_mut(self.pos..self.pos + 16) {
            Some(to) => to.copy_from_slice(bytes),
            None => self.late(bytes),
        }
        self.pos += len;
    }

    /// The first `LEN` of 16 bytes and a number behind them, highest byte first, in one place.
    #[inline(always)]
    pub(super) fn fixed_and_word<const LEN: usize>(&mut self, bytes: &[u8; 16], v: u64) {
        let write = |to: &mut [u8; 24]| {
            to[..16].copy_from_slice(bytes);
            to[LEN..LEN + 8].copy_from_slice(&v.to_be_bytes());
        };
        match self.buf.get_mut(self.pos..self.pos + 24).and_then(|to| to.try_into().ok()) {
            Some(to) => write(to),
            None => {
                let mut both = [0; 24];
                write(&mut both);
                self.late(&both);
            }
        }
        self.pos += LEN + 8;
    }

    /// The first `len` of 32 bytes, in one store.
    #[inline(always)]
    pub(super) fn block(&mut self, bytes: &[u8; 32], len: usize) {
        match self.buf.get_mut(self.pos..self.pos + 32) {
            Some(to) => to.copy_from_slice(bytes),
            None => self.late(bytes),
        }
        self.pos += len;
    }

    /// Makes room for the last `n` bytes, and not for more behind them.
    pub(super) fn reserve_exact(&mut self, n: usize) {
        if self.buf.len() < self.pos + n + SURPLUS && !self.failed {
            self.failed = !self.resize(self.pos + n + SURPLUS);
        }
    }

    /// Makes room for `n` more bytes.
    #[inline(always)]
    pub(super) fn room(&mut self, n: usize) {
        if self.buf.len() < self.pos + n + SURPLUS {
            self.grow(n);
        }
    }

    #[cold]
    fn grow(&mut self, n: usize) {
        // Large ones by a fourth, so that a first payload does not hold twice what it needs.
        let more = if self.buf.len() < 1 << 20 { self.buf.len() } else { self.buf.len() / 4 };
        let least = self.pos + n + SURPLUS;
        let size = least.max(self.buf.len() + more).max(LEAST_SIZE);
        if self.failed || !(self.resize(size) || self.resize(least)) {
            self.failed = true;
        }
    }

    fn resize(&mut self, size: usize) -> bool {
        let there = self.buf.try_reserve_exact(size.saturating_sub(self.buf.len())).is_ok();
        if there && size > self.buf.len() {
            self.buf.resize(size, 0);
        }
        there
    }

    /// Up to eight bytes, lowest first.
    #[inline(always)]
    pub(super) fn word(&mut self, word: u64, width: usize) {
        match self.buf.get_mut(self.pos..self.pos + 8) {
            Some(to) => to.copy_from_slice(&word.to_le_bytes()),
            None => self.late(&word.to_le_bytes()),
        }
        self.pos += width;
    }

    /// A store for which nobody has made room: `room` is a hint for speed, not a condition.
    #[cold]
    fn late(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        if let Some(to) = self.buf.get_mut(self.pos..self.pos + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }

    #[inline(always)]
    pub(super) fn code(&mut self, code: Code) {
        self.word(code.0, code.width());
    }

    /// A byte and a number behind it.
    #[inline(always)]
    pub(super) fn byte_and_code(&mut self, b: u8, code: Code) {
        self.word(code.0 << 8 | u64::from(b), code.width() + 1);
    }

    /// A number and a byte behind it.
    #[inline(always)]
    pub(super) fn code_and(&mut self, code: Code, b: u8) {
        let width = code.width();
        self.word(code.0 & 0xff_ffff_ffff | u64::from(b) << (8 * width), width + 1);
    }

    #[inline(always)]
    pub(super) fn byte(&mut self, b: u8) {
        match self.buf.get_mut(self.pos) {
            Some(to) => *to = b,
            None => self.late(&[b]),
        }
        self.pos += 1;
    }

    /// A marker and eight bytes, highest first.
    #[inline(always)]
    pub(super) fn nine(&mut self, marker: u8, v: u64) {
        self.byte(marker);
        self.word(v.swap_bytes(), 8);
    }

    #[inline(always)]
    pub(super) fn uint(&mut self, v: u64) {
        if v <= 0x7f {
            self.byte(v as u8);
        } else if v > 0xffff_ffff {
            self.nine(0xcf, v);
        } else {
            let (marker, width) = match v {
                0..=0xff => (0xcc, 1),
                0x100..=0xffff => (0xcd, 2),
                _ => (0xce, 4),
            };
            self.word(marker | (v << (64 - 8 * width)).swap_bytes() << 8, 1 + width);
        }
    }

    pub(super) fn int(&mut self, v: i64) {
        match v {
            0.. => self.uint(v as u64),
            -32..=-1 => self.byte(v as u8),
            _ => self.nine(0xd3, v as u64),
        }
    }

    /// An integer in its shortest form.
    pub(super) fn short_int(&mut self, v: i64) {
        match v {
            -128..=-33 => self.word(0xd0 | u64::from(v as u8) << 8, 2),
            -32768..=-129 => self.word(0xd1 | u64::from((v as u16).swap_bytes()) << 8, 3),
            -2_147_483_648..=-32769 => self.word(0xd2 | u64::from((v as u32).swap_bytes()) << 8, 5),
            _ => self.int(v),
        }
    }

    /// A short text of our own with its head; makes its own room.
    pub(super) fn key(&mut self, text: &[u8]) {
        self.room(16 + text.len());
        self.str_head(text.len());
        self.bytes(text);
    }

    /// All of another buffer.
    #[inline(always)]
    pub(super) fn append(&mut self, other: &Out) {
        self.failed |= other.failed;
        self.bytes(other.written());
    }

    /// Writes what was written in a range once more.
    pub(super) fn repeat(&mut self, range: std::ops::Range<usize>) {
        let (from, len) = (range.start, range.len());
        self.room(len);
        self.shift(from, len, self.pos);
        self.pos += len;
    }

    /// `src[at..at + len]`, one store when it is short.
    #[inline(always)]
    pub(super) fn copy(&mut self, src: &[u8], at: usize, len: usize) {
        if len <= 32
            && let Some(from) = src.get(at..at + 32)
            && let Some(to) = self.buf.get_mut(self.pos..self.pos + 32)
        {
            to.copy_from_slice(from);
            self.pos += len;
        } else {
            self.copy_any(src.get(at..at + len).unwrap_or(&[]));
        }
    }

    #[inline]
    fn copy_any(&mut self, from: &[u8]) {
        // What was reserved for the rest of the span stays reserved.
        self.room(from.len() + 1024);
        if let Some(to) = self.buf.get_mut(self.pos..self.pos + from.len()) {
            to.copy_from_slice(from);
        }
        self.pos += from.len();
    }

    /// Bytes of any length; makes its own room.
    #[inline]
    pub(super) fn bytes(&mut self, from: &[u8]) {
        self.copy_any(from);
    }

    /// Writes a head that ends where `room` bytes of head room end, and gives the position where it starts.
    pub(super) fn put_before(&mut self, room: usize, write: impl FnOnce(&mut Self)) -> usize {
        // Written at the end first, then moved: its width is known only then.
        let end = self.pos;
        self.room(room);
        write(self);
        let start = room.saturating_sub(self.pos - end);
        self.shift(end, self.pos - end, start);
        self.pos = end;
        start
    }

    #[inline]
    pub(super) fn map_head(&mut self, n: u32) {
        self.head(0x80, 0xde, n);
    }

    #[inline]
    pub(super) fn array_head(&mut self, n: u32) {
        self.head(0x90, 0xdc, n);
    }

    #[inline(always)]
    fn head(&mut self, fix: u8, marker16: u8, n: u32) {
        let (word, width) = match n {
            0..=15 => (u64::from(fix) | u64::from(n), 1),
            16..=0xffff => (u64::from(marker16) | u64::from((n as u16).swap_bytes()) << 8, 3),
            _ => ((u64::from(marker16) + 1) | (u64::from(n.swap_bytes()) << 8), 5),
        };
        self.word(word, width);
    }

    /// The head of a string of `len` bytes.
    #[inline(always)]
    pub(super) fn str_head(&mut self, len: usize) {
        let n = len as u64;
        let (word, width) = match len {
            0..=31 => (0xa0 | n, 1),
            32..=0xff => (0xd9 | n << 8, 2),
            0x100..=0xffff => (0xda | u64::from((len as u16).swap_bytes()) << 8, 3),
            _ => (0xdb | u64::from((len as u32).swap_bytes()) << 8, 5),
        };
        self.word(word, width);
    }
}

impl std::fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::{reader, writer};

    #[test]
    fn writes_what_the_plain_writer_writes() {
        let mut out = Out::default();
        let mut want = Vec::new();
        for shift in 0..64 {
            for v in [1u64 << shift, (1u64 << shift) - 1] {
                out.room(64);
                out.uint(v);
                writer::uint(&mut want, v);
                out.map_head(v as u32);
                writer::map_head(&mut want, v as u32);
                out.array_head(v as u32);
                writer::array_head(&mut want, v as u32);
                out.str_head(v as u32 as usize);
                writer::str_head(&mut want, v as u32 as usize);
            }
        }
        assert_eq!(out.written(), want);
        for v in [i64::MIN, -2_147_483_649, -2_147_483_648, -32769, -32768, -129, -128, -33, -32, -1, 0, 300]
        {
            let (mut out, mut want) = (Out::default(), Vec::new());
            out.short_int(v);
            writer::int(&mut want, v);
            assert_eq!(out.written(), want);
        }
        for v in [0i64, -1, -32, -33, i64::MIN] {
            let mut out = Out::default();
            out.room(9);
            out.int(v);
            assert_eq!(reader::int(out.written(), 0), Ok((v, out.len())));
        }
    }

    #[test]
    fn copies_short_and_long_texts_wherever_they_stand() {
        let src: Vec<u8> = (0..100).collect();
        let mut out = Out::default();
        let mut want = Vec::new();
        for (at, len) in [(0, 0), (0, 32), (68, 32), (69, 31), (99, 1), (0, 100), (100, 0)] {
            out.room(len);
            out.copy(&src, at, len);
            want.extend_from_slice(&src[at..at + len]);
        }
        assert_eq!(out.written(), want);
    }
}
