//! The output of the agent's tokenizer: appends short texts to a reused buffer, each behind a space.
//!
//! Most tokens are shorter than 16 bytes, and a call of `memcpy` costs more than the copy. The buffer is therefore kept
//! longer than what is written, and short texts are copied as one block of 16 bytes, of which only a part counts.

use super::chars::{digits_end, digits_start};

/// Appends to a vector whose tail is spare room while the writer lives; [`Writer::finish`] cuts it.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    end: usize,
}

const BLOCK: usize = 16;
/// Room beyond what is expected.
const SPARE: usize = 192;

impl<'o> Writer<'o> {
    /// Starts behind what `out` holds, with room for about `expected` bytes.
    pub(super) fn new(out: &'o mut Vec<u8>, expected: usize) -> Self {
        let start = out.len();
        out.resize(start + expected + SPARE, 0);
        Writer { out, start, end: start }
    }

    /// The room behind what is written, if there is that much.
    #[inline(always)]
    pub(super) fn room<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.out.get_mut(self.end..).and_then(|room| room.first_chunk_mut())
    }

    /// So many bytes of the room were written.
    #[inline(always)]
    pub(super) fn wrote(&mut self, count: usize) {
        self.end += count;
    }

    /// Whether nothing was written yet.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Ends the writing: the vector holds exactly what was written.
    pub(super) fn finish(self) {
        self.out.truncate(self.end);
    }

    /// Takes everything back.
    pub(super) fn discard(self) {
        self.out.truncate(self.start);
    }

    /// Writes `src[from..to]` behind a space (none at the very start).
    #[inline(always)]
    pub(super) fn word(&mut self, src: &[u8], from: usize, to: usize) {
        let length = to - from;
        if length <= BLOCK
            && let Some(block) = src.get(from..from + BLOCK)
            && let Some(room) = self.out.get_mut(self.end..self.end + BLOCK + 1)
        {
            room[0] = b' ';
            let skip = usize::from(self.end != self.start);
            room[skip..skip + BLOCK].copy_from_slice(block);
            self.end += length + skip;
            return;
        }
        self.spaced(&src[from..to]);
    }

    /// Writes one byte behind a space (none at the very start).
    #[inline(always)]
    pub(super) fn symbol(&mut self, b: u8) {
        let skip = usize::from(self.end != self.start);
        if let Some(room) = self.out.get_mut(self.end..self.end + 2) {
            room[0] = b' ';
            room[skip] = b;
            self.end += 1 + skip;
        } else {
            self.spaced(&[b]);
        }
    }

    /// Writes `text` behind a space (none at the very start).
    #[inline(never)]
    pub(super) fn spaced(&mut self, text: &[u8]) {
        if self.end != self.start {
            self.tight(b" ");
        }
        self.tight(text);
    }

    /// Writes `name` with each run of digits as one `?`.
    pub(super) fn without_digits(&mut self, name: &[u8]) {
        let mut at = 0;
        while at < name.len() {
            let digits = digits_end(name, at);
            let to = if digits > at { digits } else { digits_start(name, at) };
            self.tight(if digits > at { b"?" } else { &name[at..to] });
            at = to;
        }
    }

    /// Writes `text` as it is.
    pub(super) fn tight(&mut self, text: &[u8]) {
        let end = self.end + text.len();
        if end > self.out.len() {
            // Doubling keeps the cost of growing linear.
            self.out.resize(end + end / 2 + SPARE, 0);
        }
        self.out[self.end..end].copy_from_slice(text);
        self.end = end;
    }
}
