//! Raw Redis commands in their usual form, a block of 64 bytes at a time: where spaces, line ends and quotes stand is
//! known at once, so nothing goes byte by byte. A line that is unusual (escapes, runs of spaces, a quote in its name,
//! bytes that are not printable ASCII, no end within the block) ends the run; [`super::redis`] goes on from there.

use super::lanes;
use super::redis::{Arguments, Asks, NEVER, Shown, Stride, stride_of_word, values_of_word};
use crate::normalize::swar;
use wide::{i8x16, u8x16};

const BLOCK: usize = 64;
/// Copies move so much at a time, and may read and write beyond what they are for.
const STEP: usize = 32;
/// What a block may become.
const ROOM: usize = BLOCK + STEP;
/// The longest name that is looked up here.
const LONGEST_NAME: usize = 16;

/// What was done with the lines at the front of a text.
pub(super) struct Done {
    /// Bytes of the text that are dealt with, the line end behind the last one included.
    pub(super) bytes: usize,
    /// Whether an argument was hidden.
    pub(super) changed: bool,
}

/// Appends the lines at the front of a trimmed text as they are shown.
pub(super) fn front(text: &[u8], out: &mut Vec<u8>) -> Done {
    let mut done = Done { bytes: 0, changed: false };
    while let Some(rest) = text.get(done.bytes..).filter(|rest| !rest.is_empty()) {
        // The room is written in place, and what is left of it taken back: its length is no question to ask.
        let start = out.len();
        out.extend_from_slice(&[0; ROOM]);
        let Some(room) = out.get_mut(start..).and_then(|room| room.first_chunk_mut()) else { break };
        let mut window = Window::new(rest, room);
        let read = window.lines(&mut done.changed);
        let written = window.written;
        out.truncate(start + written);
        done.bytes += read;
        if read == 0 {
            break;
        }
    }
    done
}

/// Without the lowest `n` places; [`NEVER`] leaves none.
#[inline(always)]
fn without(mut places: u64, n: u8) -> u64 {
    for i in 0..NEVER - 1 {
        places &= if i < n { places.wrapping_sub(1) } else { u64::MAX };
    }
    if n == NEVER { 0 } else { places }
}

struct Window<'o> {
    text: [u8; BLOCK + STEP],
    /// Bytes of the text in it.
    len: usize,
    /// Places of separators (the end of the text counts as a line end), quotes, and of what makes a line unusual.
    spaces: u64,
    ends: u64,
    quotes: u64,
    unusual: u64,
    out: &'o mut [u8; ROOM],
    written: usize,
}

impl<'o> Window<'o> {
    #[inline(always)]
    fn new(rest: &[u8], out: &'o mut [u8; ROOM]) -> Self {
        let block = lanes::block(rest);
        let mut text = [0; BLOCK + STEP];
        for (to, part) in text.as_chunks_mut::<16>().0.iter_mut().zip(block) {
            *to = part.to_array();
        }
        let len = rest.len().min(BLOCK);
        let inside = lanes::below(len);
        let is = |b: u8| move |bytes: u8x16| bytes.simd_eq(u8x16::splat(b));
        let mut spaces = lanes::places(&block, is(b' ')) & inside;
        let mut ends = lanes::places(&block, is(b'\n')) & inside;
        let special = |bytes: u8x16| {
            let control_or_beyond_ascii =
                bytes.cast_signed().simd_lt(i8x16::splat(b' ' as i8)).cast_unsigned();
            control_or_beyond_ascii | is(b'"')(bytes) | is(b'\\')(bytes)
        };
        let mut unusual = lanes::places(&block, special) & inside & !ends;
        let mut quotes = 0;
        if unusual != 0 {
            quotes = lanes::places(&block, is(b'"'));
            let quoted = lanes::between_pairs(quotes);
            // A line end in quotes is unusual.
            unusual = unusual & !quotes | ends & quoted;
            (spaces, ends) = (spaces & !quoted, ends & !quoted);
        }
        let separators = spaces | ends;
        unusual |= separators & (separators << 1 | 1);
        Self {
            text,
            len,
            spaces,
            ends: ends | !inside & inside.wrapping_add(1),
            quotes,
            unusual,
            out,
            written: 0,
        }
    }

    /// Shows the usual lines at the front; gives how many bytes they have.
    #[inline(always)]
    fn lines(&mut self, changed: &mut bool) -> usize {
        // What stands from `run` to the place that is looked at is shown as it is.
        let (mut at, mut run) = (0, 0);
        while at < self.len {
            let left = self.ends & !lanes::below(at);
            if left == 0 {
                break;
            }
            let end = left.trailing_zeros() as usize;
            let line = lanes::below(end) & !lanes::below(at);
            let spaces = self.spaces & line;
            let name_end = if spaces == 0 { end } else { spaces.trailing_zeros() as usize };
            let name = lanes::below(name_end) & !lanes::below(at);
            // The line end belongs to the line: one that follows a space is unusual.
            if (self.unusual & (line | left & left.wrapping_neg())) | (self.quotes & name) != 0
                || name_end - at > LONGEST_NAME
            {
                break;
            }
            self.arguments(self.name(at, name_end - at), spaces, end, &mut run, changed);
            at = end + 1;
        }
        let read = at.min(self.len);
        self.copy(run, read);
        read
    }

    /// A name in upper case, as a number.
    #[inline(always)]
    fn name(&self, at: usize, len: usize) -> u128 {
        let part = |at: usize| {
            let bytes = self.text.get(at..).and_then(|t| t.first_chunk::<8>());
            bytes.map_or(0, |b| u64::from_le_bytes(*b))
        };
        let upper = |word: u64| u128::from(word - swar::within(word, b'a', b'z') / 4);
        let word = upper(part(at)) | upper(part(at + 8)) << 64;
        word & (u128::MAX >> (8 * (16 - len)))
    }

    /// Hides what of the arguments holds values. A space stands before each of them.
    #[inline(always)]
    fn arguments(&mut self, name: u128, all: u64, end: usize, run: &mut usize, changed: &mut bool) {
        let Stride { first, step, asks } = stride_of_word(name);
        if asks != Asks::Never && (asks == Asks::Always || self.has_option(all)) {
            return self.asking(name, all, end, run, changed);
        }
        let goes_on = if step == 0 { 0 } else { u64::MAX };
        let next = |spaces: u64| (spaces.trailing_zeros() as usize).min(end);
        let mut spaces = without(all, first);
        while spaces != 0 {
            let start = next(spaces) + 1;
            self.hide(start, next(spaces & spaces.wrapping_sub(1) & goes_on), run, changed);
            spaces = without(spaces, step) & goes_on;
        }
    }

    /// Whether an option may stand behind the key.
    #[inline(always)]
    fn has_option(&self, spaces: u64) -> bool {
        let second = without(spaces, 1);
        let at = if second == 0 { 0 } else { second.trailing_zeros() as usize + 1 };
        self.text.get(at).is_some_and(u8::is_ascii_uppercase)
    }

    /// The same for a command that depends on its arguments.
    #[cold]
    fn asking(&mut self, name: u128, mut spaces: u64, end: usize, run: &mut usize, changed: &mut bool) {
        let mut arguments = Arguments::with(values_of_word(name));
        while spaces != 0 {
            let start = spaces.trailing_zeros() as usize + 1;
            spaces &= spaces - 1;
            let behind = if spaces == 0 { end } else { spaces.trailing_zeros() as usize };
            let argument = self.text.get(start..behind).unwrap_or(&[]);
            if let Shown::Hidden = arguments.next(argument) {
                self.hide(start, behind, run, changed);
            }
        }
    }

    #[inline(always)]
    fn hide(&mut self, start: usize, end: usize, run: &mut usize, changed: &mut bool) {
        self.copy(*run, start);
        if let Some(to) = self.out.get_mut(self.written) {
            *to = b'?';
        }
        self.written += 1;
        *run = end;
        *changed |= end - start != 1 || self.text.get(start) != Some(&b'?');
    }

    #[inline(always)]
    fn copy(&mut self, from: usize, to: usize) {
        let (mut from, mut at) = (from, self.written);
        self.written += to - from;
        while from < to {
            let source = self.text.get(from..).and_then(|t| t.first_chunk::<STEP>());
            let target = self.out.get_mut(at..).and_then(|t| t.first_chunk_mut::<STEP>());
            if let (Some(source), Some(target)) = (source, target) {
                *target = *source;
            }
            from += STEP;
            at += STEP;
        }
    }
}
