//! Redis and Valkey commands: the resource is reduced to the commands' names, the raw command loses the arguments that
//! hold values.
//!
//! Which arguments hold values is the agent's table. Commands that it does not list keep theirs.

use super::{redis_lines, text};
use crate::normalize::swar;
use crate::trace::Verdict;
use std::ops::Range;

/// Most commands of a resource.
const MAX_COMMANDS: usize = 3;
/// How tracers mark a command that they have cut.
const CUT_MARK: &[u8] = b"...";

/// Reduces a resource to its first three commands' names, in upper case: `get k\nset k v` becomes `GET SET`.
pub fn quantize(resource: &[u8], out: &mut Vec<u8>) -> Verdict {
    let start = out.len();
    let (mut commands, mut cut) = (0, false);
    for line in resource.split(|&b| b == b'\n') {
        if commands == MAX_COMMANDS {
            break;
        }
        let mut words = line.split(|&b| b == b' ').filter(|w| !w.is_empty());
        let Some(command) = words.next() else { continue };
        if command.ends_with(CUT_MARK) {
            cut = true;
            continue;
        }
        let before = out.len();
        if before > start {
            out.push(b' ');
        }
        let at = out.len();
        text::push_upper(command, out);
        if out.get(at..).is_some_and(has_sub_command)
            && let Some(sub) = words.next()
        {
            if sub.ends_with(CUT_MARK) {
                out.truncate(before);
                cut = true;
                continue;
            }
            out.push(b' ');
            text::push_upper(sub, out);
        }
        commands += 1;
        cut = false;
    }
    if commands == MAX_COMMANDS || cut {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(CUT_MARK);
    }
    unless_equal(resource, start, out)
}

fn has_sub_command(command: &[u8]) -> bool {
    matches!(command, b"CLIENT" | b"CLUSTER" | b"COMMAND" | b"CONFIG" | b"DEBUG" | b"SCRIPT")
}

/// Replaces the arguments of a raw command that hold values by `?`. Several commands stand on lines of their own.
pub fn raw_command(commands: &[u8], out: &mut Vec<u8>) -> Verdict {
    let trimmed = text::trim(commands);
    if trimmed.is_empty() {
        return if commands.is_empty() { Verdict::Keep } else { Verdict::Replace };
    }
    let start = out.len();
    let done = redis_lines::front(trimmed, out);
    let rest = match trimmed.get(done.bytes..) {
        Some(rest) if !rest.is_empty() => rest,
        _ if done.changed || trimmed.len() != commands.len() => return Verdict::Replace,
        _ => {
            out.truncate(start);
            return Verdict::Keep;
        }
    };
    match slowly(rest, out) {
        Verdict::Keep if done.bytes == 0 && trimmed.len() == commands.len() => return Verdict::Keep,
        Verdict::Keep if !done.changed && trimmed.len() == commands.len() => {
            out.truncate(start);
            return Verdict::Keep;
        }
        Verdict::Keep => out.extend_from_slice(rest),
        _ => {}
    }
    Verdict::Replace
}

/// Commands of any form, at the begin of a line.
fn slowly(trimmed: &[u8], out: &mut Vec<u8>) -> Verdict {
    let mut kept = Kept::new(trimmed, out);
    let mut tokens = Tokens { text: trimmed, at: 0, in_command: false };
    let mut arguments = Arguments::none();
    while let Some((is_name, token)) = tokens.next() {
        if is_name {
            arguments = Arguments::of(trimmed.get(token.clone()).unwrap_or(&[]));
            kept.keep(b'\n', token);
        } else {
            match arguments.next(trimmed.get(token.clone()).unwrap_or(&[])) {
                Shown::Kept => kept.keep(b' ', token),
                Shown::Hidden => kept.hide(b' ', token),
                Shown::Not => {}
            }
        }
    }
    kept.finish()
}

/// Copies tokens in runs: what stands in the text as it shall stand in the output is not copied until it has to be.
struct Kept<'k> {
    text: &'k [u8],
    run: Range<usize>,
    first: bool,
    changed: bool,
    out: &'k mut Vec<u8>,
}

impl<'k> Kept<'k> {
    fn new(text: &'k [u8], out: &'k mut Vec<u8>) -> Self {
        Self { text, run: 0..0, first: true, changed: false, out }
    }

    /// Begins a token at `start`, with a separator before it unless it is the first.
    #[inline]
    fn begin(&mut self, separator: u8, start: usize) {
        let follows = if self.first {
            start == 0
        } else {
            self.run.end + 1 == start && self.text.get(self.run.end) == Some(&separator)
        };
        if !follows {
            self.flush();
            if !self.first {
                self.out.push(separator);
            }
            self.run = start..start;
        }
        self.first = false;
    }

    #[inline]
    fn keep(&mut self, separator: u8, token: Range<usize>) {
        self.begin(separator, token.start);
        self.run.end = token.end;
    }

    #[inline]
    fn hide(&mut self, separator: u8, token: Range<usize>) {
        self.begin(separator, token.start);
        self.run.end = token.start;
        self.flush();
        self.out.push(b'?');
        self.run = token.end..token.end;
    }

    #[inline]
    fn flush(&mut self) {
        self.out.extend_from_slice(self.text.get(self.run.clone()).unwrap_or(&[]));
        self.changed = true;
    }

    fn finish(mut self) -> Verdict {
        if !self.changed && self.run == (0..self.text.len()) {
            return Verdict::Keep;
        }
        self.flush();
        Verdict::Replace
    }
}

/// Replaces everything behind a command by one `?`; a few commands keep their sub-commands.
pub fn remove_all(command: &[u8], out: &mut Vec<u8>) -> Verdict {
    let start = out.len();
    let mut words = text::words(command).peekable();
    if let Some(name) = words.next() {
        out.extend_from_slice(name);
        if let Some(first) = words.peek() {
            out.push(b' ');
            if text::upper_is(name, b"CONFIG")
                && is_one_of(first, &[b"GET", b"SET", b"RESETSTAT", b"REWRITE"])
            {
                out.extend_from_slice(first);
                out.push(b' ');
            }
            out.push(b'?');
            if text::upper_is(name, b"BITFIELD") {
                for sub in words.filter(|w| is_one_of(w, &[b"SET", b"GET", b"INCRBY"])) {
                    out.push(b' ');
                    out.extend_from_slice(sub);
                    out.extend_from_slice(b" ?");
                }
            }
        }
    }
    unless_equal(command, start, out)
}

fn is_one_of(word: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|name| text::upper_is(word, name))
}

fn unless_equal(before: &[u8], start: usize, out: &mut Vec<u8>) -> Verdict {
    if out.get(start..) == Some(before) {
        out.truncate(start);
        return Verdict::Keep;
    }
    Verdict::Replace
}

/// Splits raw commands: the name ends at a space or a line end, arguments at spaces and line ends outside quotes.
struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    in_command: bool,
}

impl Tokens<'_> {
    /// The next token, and whether it is a command's name.
    #[inline]
    fn next(&mut self) -> Option<(bool, Range<usize>)> {
        if self.in_command {
            let start = self.at;
            let end = argument_end(self.text, start);
            self.step_over(end);
            return Some((false, start..end));
        }
        // Lines that are empty or hold spaces only have no command.
        while let Some(b @ (b' ' | b'\n')) = self.text.get(self.at) {
            self.at += 1;
            if *b == b' ' {
                self.skip_spaces();
            }
        }
        let start = self.at;
        let rest = self.text.get(start..).filter(|r| !r.is_empty())?;
        let word =
            rest.first_chunk::<8>().and_then(|word| swar::first_of(u64::from_le_bytes(*word), *b" \n"));
        let slow = || rest.iter().position(|b| matches!(b, b' ' | b'\n')).unwrap_or(rest.len());
        let end = start + word.unwrap_or_else(slow);
        self.step_over(end);
        Some((true, start..end))
    }

    /// Goes on behind a token, to the next argument or the next command.
    #[inline]
    fn step_over(&mut self, end: usize) {
        self.at = end + 1;
        self.in_command = false;
        if self.text.get(end) == Some(&b' ') {
            self.skip_spaces();
            if self.text.get(self.at) == Some(&b'\n') {
                self.at += 1;
            } else {
                self.in_command = self.at < self.text.len();
            }
        }
    }

    #[inline]
    fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }
}

/// Where the argument at `start` ends. Inside quotes, spaces and line ends belong to it; a backslash takes a quote's
/// meaning.
#[inline]
fn argument_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    // Eight bytes at a time up to the first that matters; most arguments have no quotes.
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        match swar::first_of(u64::from_le_bytes(*word), *b" \n\"\\") {
            None => at += 8,
            Some(behind) => {
                at += behind;
                break;
            }
        }
    }
    let (mut quoted, mut escaped) = (false, false);
    while let Some(&b) = text.get(at) {
        match b {
            b'\\' => {
                escaped = !escaped;
                at += 1;
                continue;
            }
            b'"' if !escaped => quoted = !quoted,
            b' ' | b'\n' if !quoted => return at,
            _ => {}
        }
        escaped = false;
        at += 1;
    }
    at
}
/// Which arguments of a command hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    None,
    /// All of them, shown as one `?`.
    All,
    /// All but the first, shown as one `?`.
    AfterFirst,
    /// One, counted from 0.
    Nth(u32),
    /// The first given here (from 0) and every so many after it.
    Every(u32, u32),
    /// `CONFIG SET parameter value`
    Config,
    /// The third after `SET`.
    Bitfield,
    /// Every second after the options.
    Zadd,
}

impl Values {
    /// The same as the first argument hidden and the distance to the next, for a loop that asks no questions.
    const fn stride(self) -> Stride {
        let (first, step) = match self {
            Self::None => (NEVER, NEVER),
            Self::All => (0, 0),
            Self::AfterFirst => (1, 0),
            Self::Nth(n) => (n as u8, NEVER),
            Self::Every(first, step) => (first as u8, step as u8),
            Self::Config | Self::Bitfield => (NEVER, NEVER),
            Self::Zadd => (2, 2),
        };
        let asks = match self {
            Self::Config | Self::Bitfield => Asks::Always,
            Self::Zadd => Asks::WithOptions,
            _ => Asks::Never,
        };
        Stride { first, step, asks }
    }
}

/// No argument, or no other one.
pub(super) const NEVER: u8 = 4;

/// Which arguments are hidden, at most [`NEVER`] each; with a `step` of 0 all from the first on as one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stride {
    pub(super) first: u8,
    pub(super) step: u8,
    pub(super) asks: Asks,
}

/// Whether it depends on the arguments which are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Never,
    /// If there are options before the first score.
    WithOptions,
    Always,
}

/// What becomes of an argument.
pub(super) enum Shown {
    Kept,
    Hidden,
    /// One `?` before it stands for it too.
    Not,
}

/// Goes through the arguments of one command.
pub(super) struct Arguments {
    values: Values,
    seen: u32,
    /// `BITFIELD`: index of the last `SET`; `ZADD`: index of the first score. 0 is none.
    mark: u32,
}

impl Arguments {
    fn none() -> Self {
        Self { values: Values::None, seen: 0, mark: 0 }
    }

    fn of(command: &[u8]) -> Self {
        Self::with(values_of(command))
    }

    pub(super) fn with(values: Values) -> Self {
        Self { values, ..Self::none() }
    }

    #[inline]
    pub(super) fn next(&mut self, argument: &[u8]) -> Shown {
        let i = self.seen;
        self.seen = self.seen.saturating_add(1);
        let hide = match self.values {
            Values::None => false,
            Values::All if i > 0 => return Shown::Not,
            Values::AfterFirst if i > 1 => return Shown::Not,
            Values::All => true,
            Values::AfterFirst => i == 1,
            Values::Nth(n) => i == n,
            Values::Every(first, step) => i >= first && (i - first).is_multiple_of(step),
            Values::Config => {
                let set = i == 0 && text::upper_is(argument, b"SET");
                self.values = if set { Values::Nth(2) } else { Values::None };
                false
            }
            Values::Bitfield => self.is_bitfield_value(i, argument),
            Values::Zadd => self.is_zadd_member(i, argument),
        };
        if hide && argument != b"?" { Shown::Hidden } else { Shown::Kept }
    }

    fn is_bitfield_value(&mut self, i: u32, argument: &[u8]) -> bool {
        if text::upper_is(argument, b"SET") {
            self.mark = i;
        }
        let value = self.mark > 0 && i - self.mark == 3;
        if value {
            self.values = Values::None; // only one is hidden
        }
        value
    }

    fn is_zadd_member(&mut self, i: u32, argument: &[u8]) -> bool {
        if self.mark == 0 {
            if i > 0 && !matches!(argument, b"NX" | b"XX" | b"CH" | b"INCR") {
                self.mark = i;
            }
            return false;
        }
        !(i - self.mark).is_multiple_of(2)
    }
}

#[inline]
fn values_of(command: &[u8]) -> Values {
    let Some(word) = swar::upper_word(command) else { return values_of_unusual(command) };
    // A NUL at the end would read as no byte at all.
    if word & NOT_ASCII != 0 || command.last() == Some(&0) {
        return values_of_unusual(command);
    }
    values_of_word(word)
}

/// By a name in upper case, as [`swar::upper_word`] gives it.
#[inline]
pub(super) fn values_of_word(word: u128) -> Values {
    let slot = slot_of(word);
    if COMMANDS.words[slot] == word { COMMANDS.values[slot] } else { Values::None }
}

/// The same as a stride.
#[inline(always)]
pub(super) fn stride_of_word(word: u128) -> Stride {
    let slot = slot_of(word);
    let is_known = COMMANDS.words[slot] == word;
    COMMANDS.strides[if is_known { slot } else { SLOTS }]
}

/// The one long name, and names with letters beyond ASCII whose upper-case form is in it (`ſet` is `SET`).
#[cold]
fn values_of_unusual(command: &[u8]) -> Values {
    if command.len() > 3 * LONGEST.0.len() {
        return Values::None;
    }
    let mut upper = Vec::with_capacity(command.len());
    text::push_upper(command, &mut upper);
    match upper.is_ascii() {
        true if upper == LONGEST.0 => LONGEST.1,
        true if upper.len() <= 16 && upper.last() != Some(&0) && !upper.is_empty() => values_of(&upper),
        _ => Values::None,
    }
}

const NOT_ASCII: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;

/// A name of the table as a number, as [`swar::upper_word`] gives it. Names of different length differ, since no byte
/// of a name counts as 0.
const fn word_of(command: &[u8]) -> Option<u128> {
    if command.len() > 16 {
        return None;
    }
    let (mut word, mut i) = (0u128, 0);
    while i < command.len() {
        word |= (command[i] as u128) << (8 * i);
        i += 1;
    }
    Some(word)
}

const SLOTS: usize = 128;

/// No two names of the table have the same: the factor was searched for, and the table is not built otherwise.
#[inline]
const fn slot_of(word: u128) -> usize {
    let folded = word as u64 ^ ((word >> 64) as u64).rotate_left(31);
    (folded.wrapping_mul(0x8731_16f0_3579_c67f) >> 57) as usize
}

/// The one name that does not fit into a number.
const LONGEST: (&[u8], Values) = (b"GEORADIUSBYMEMBER", Values::Nth(1));

const NAMES: [(&str, Values); 41] = [
    ("ACL", Values::AfterFirst),
    ("APPEND", Values::Nth(1)),
    ("AUTH", Values::All),
    ("BITFIELD", Values::Bitfield),
    ("CONFIG", Values::Config),
    ("GEOADD", Values::Every(3, 3)),
    ("GEODIST", Values::AfterFirst),
    ("GEOHASH", Values::AfterFirst),
    ("GEOPOS", Values::AfterFirst),
    ("GETSET", Values::Nth(1)),
    ("HELLO", Values::All),
    ("HMSET", Values::Every(2, 2)),
    ("HSET", Values::Every(2, 2)),
    ("HSETNX", Values::Nth(2)),
    ("LINSERT", Values::Nth(3)),
    ("LPUSH", Values::AfterFirst),
    ("LPUSHX", Values::Nth(1)),
    ("LREM", Values::Nth(2)),
    ("LSET", Values::Nth(2)),
    ("MIGRATE", Values::All),
    ("MSET", Values::Every(1, 2)),
    ("MSETNX", Values::Every(1, 2)),
    ("PSETEX", Values::Nth(2)),
    ("RESTORE", Values::Nth(2)),
    ("RPUSH", Values::AfterFirst),
    ("RPUSHX", Values::Nth(1)),
    ("SADD", Values::AfterFirst),
    ("SET", Values::Nth(1)),
    ("SETBIT", Values::Nth(2)),
    ("SETEX", Values::Nth(2)),
    ("SETNX", Values::Nth(1)),
    ("SETRANGE", Values::Nth(2)),
    ("SISMEMBER", Values::Nth(1)),
    ("SMOVE", Values::Nth(2)),
    ("SREM", Values::AfterFirst),
    ("ZADD", Values::Zadd),
    ("ZINCRBY", Values::Nth(2)),
    ("ZRANK", Values::Nth(1)),
    ("ZREM", Values::AfterFirst),
    ("ZREVRANK", Values::Nth(1)),
    ("ZSCORE", Values::Nth(1)),
];

struct Commands {
    words: [u128; SLOTS],
    values: [Values; SLOTS],
    /// The last one is that of commands that are not listed.
    strides: [Stride; SLOTS + 1],
}

/// The names by their hash.
static COMMANDS: Commands = {
    let mut table = Commands {
        words: [0; SLOTS],
        values: [Values::None; SLOTS],
        strides: [Values::None.stride(); SLOTS + 1],
    };
    let mut n = 0;
    while n < NAMES.len() {
        let word = match word_of(NAMES[n].0.as_bytes()) {
            Some(word) => word,
            None => panic!("a name of more than 16 characters"),
        };
        let slot = slot_of(word);
        assert!(table.words[slot] == 0, "two names in one place: search for another factor");
        table.words[slot] = word;
        table.values[slot] = NAMES[n].1;
        table.strides[slot] = NAMES[n].1.stride();
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests;
