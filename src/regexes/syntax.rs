//! Reads a pattern as Go's `regexp/syntax` reads it (flags `Perl`) and makes of it what the regex engine takes.
//!
//! There is no other reader behind this one, so what a pattern means stands here: `^`, `$` and `.` by the flags that
//! hold where they stand, Perl's classes are ASCII, case is folded by Go's tables. The order of the checks is Go's, so
//! that a pattern is refused where Go refuses it.

use super::class;
use super::set::Set;
use super::{BadPattern, too_large};
use regex_syntax::hir::{Capture, Dot, Hir, Look, Repetition};

/// What is nested more deeply is refused. Go takes a thousand levels; the engine's compiler is recursive, and patterns
/// of `/info` are compiled on a thread whose stack is small.
pub(super) const MAX_NESTING: u32 = 100;
/// The product of nested counts, and each of them, is at most this.
const MAX_REPEAT: u32 = 1000;

/// The least that a part of a pattern and a range of characters take once they are compiled. So what is read has the
/// same limit as what is compiled of it.
const PART_BYTES: usize = 24;
const RANGE_BYTES: usize = 8;

/// A pattern that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) hir: Hir,
    /// Names of the groups, the whole match first.
    pub(super) names: Vec<Option<String>>,
}

/// Why reading ended.
#[derive(Debug)]
pub(super) enum Stop {
    Bad(BadPattern),
    /// It would take more than the limit.
    TooLarge,
}

impl From<BadPattern> for Stop {
    fn from(bad: BadPattern) -> Self {
        Self::Bad(bad)
    }
}

impl Stop {
    /// In words; `limit` is the one that reading had.
    pub(super) fn said(self, limit: usize) -> BadPattern {
        match self {
            Self::Bad(bad) => bad,
            Self::TooLarge => BadPattern::whole(too_large(limit)),
        }
    }
}

/// Reads a pattern that may take so many bytes once it is compiled.
pub(super) fn read(pattern: &str, limit: usize) -> Result<Read, Stop> {
    let mut reader = Reader::new(pattern, limit);
    while let Some(c) = reader.peek() {
        reader.token(c)?;
    }
    reader.finish()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    /// `i`
    fold: bool,
    /// `m`
    lines: bool,
    /// `s`
    dot_newline: bool,
    /// `U`
    lazy: bool,
}

/// What the last thing that can be repeated was.
#[derive(Clone, Copy, Debug)]
struct Atom {
    /// The largest product of nested counts within it.
    repeats: u32,
    height: u32,
}

/// How often something may come.
#[derive(Clone, Copy, Debug)]
struct Counts {
    min: u32,
    max: Option<u32>,
    /// Whether it was written in braces.
    braces: bool,
}

/// A group that is open; the outermost is the pattern.
#[derive(Debug, Default)]
struct Group {
    /// Its number, if it captures.
    capture: Option<u32>,
    /// The flags to go back to.
    flags: Flags,
    /// Whole alternatives.
    branches: Vec<Hir>,
    /// The one that is being read, but for the characters at its end.
    parts: Vec<Hir>,
    /// These.
    text: String,
    atom: Option<Atom>,
    repeats: u32,
    height: u32,
}

impl Group {
    fn new(flags: Flags, capture: Option<u32>) -> Self {
        Self { flags, capture, repeats: 1, height: 1, ..Self::default() }
    }

    fn push(&mut self, part: Hir) {
        self.end_text();
        self.parts.push(part);
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.parts.push(Hir::literal(std::mem::take(&mut self.text).into_bytes()));
        }
    }

    /// The last part, which is to be repeated.
    fn pop(&mut self) -> Hir {
        let last = self.text.pop();
        self.end_text();
        match last {
            Some(c) => Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.parts.pop().unwrap_or_else(Hir::empty),
        }
    }

    fn end_branch(&mut self) {
        self.end_text();
        self.branches.push(Hir::concat(std::mem::take(&mut self.parts)));
        self.atom = None;
    }

    fn whole(mut self) -> Hir {
        self.end_branch();
        let sub = Hir::alternation(self.branches);
        match self.capture {
            // Groups are told by their numbers: Go has names that the crate has not.
            Some(index) => Hir::capture(Capture { index, name: None, sub: Box::new(sub) }),
            None => sub,
        }
    }
}

struct Reader<'p> {
    pattern: &'p str,
    /// Where the next token begins.
    at: usize,
    names: Vec<Option<String>>,
    flags: Flags,
    /// The innermost last; never without the pattern itself.
    groups: Vec<Group>,
    /// Whether the last token was a repetition.
    after_repetition: bool,
    /// How many bytes it may still take.
    room: usize,
}

impl<'p> Reader<'p> {
    fn new(pattern: &'p str, limit: usize) -> Self {
        Self {
            pattern,
            at: 0,
            names: vec![None],
            flags: Flags::default(),
            groups: vec![Group::new(Flags::default(), None)],
            after_repetition: false,
            room: limit,
        }
    }

    fn rest(&self) -> &'p str {
        self.pattern.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bad<T>(&self, what: &'static str) -> Result<T, Stop> {
        Err(BadPattern::new(what, self.at).into())
    }

    fn token(&mut self, c: char) -> Result<(), Stop> {
        let counts = |min, max| Some((Counts { min, max, braces: false }, 1));
        let repeats = match c {
            '(' => return self.open(),
            '*' => counts(0, None),
            '+' => counts(1, None),
            '?' => counts(0, Some(1)),
            '{' => self.counts()?,
            _ => None,
        };
        if let Some((counts, len)) = repeats {
            return self.repeat(counts, len);
        }
        self.after_repetition = false;
        self.at += c.len_utf8();
        match c {
            '|' => {
                self.group().end_branch();
                self.take(PART_BYTES)
            }
            ')' => self.close(),
            '^' => self.part(Hir::look(if self.flags.lines { Look::StartLF } else { Look::Start })),
            '$' => self.part(Hir::look(if self.flags.lines { Look::EndLF } else { Look::End })),
            '.' if self.flags.dot_newline => self.part(Hir::dot(Dot::AnyChar)),
            '.' => self.part(Hir::dot(Dot::AnyCharExceptLF)),
            '[' => {
                let (class, end) = class::bracketed(self.pattern, self.at, self.flags.fold)?;
                self.at = end;
                self.set(&class)
            }
            '\\' => self.escape(),
            _ => self.literal(c),
        }
    }

    /// Takes of the room.
    fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        self.room = self.room.checked_sub(bytes).ok_or(Stop::TooLarge)?;
        Ok(())
    }

    /// The group that is being read.
    fn group(&mut self) -> &mut Group {
        if self.groups.is_empty() {
            self.groups.push(Group::new(self.flags, None));
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    /// A thing that can be repeated.
    fn part(&mut self, part: Hir) -> Result<(), Stop> {
        self.take(PART_BYTES)?;
        self.group().push(part);
        self.put(Atom { repeats: 1, height: 1 });
        Ok(())
    }

    fn set(&mut self, set: &Set) -> Result<(), Stop> {
        self.take(RANGE_BYTES * set.len())?;
        self.part(set.hir())
    }

    fn literal(&mut self, c: char) -> Result<(), Stop> {
        if self.flags.fold {
            let folded = class::folded(c);
            if folded != Set::single(c) {
                return self.set(&folded);
            }
        }
        self.take(PART_BYTES * c.len_utf8())?;
        self.group().text.push(c);
        self.put(Atom { repeats: 1, height: 1 });
        Ok(())
    }

    fn put(&mut self, atom: Atom) {
        let group = self.group();
        group.repeats = group.repeats.max(atom.repeats);
        group.height = group.height.max(atom.height);
        group.atom = Some(atom);
    }

    /// The numbers in braces at this place, and how long they are. `None` if the brace is a literal.
    fn counts(&self) -> Result<Option<(Counts, usize)>, Stop> {
        let text = self.rest();
        let Some((min, rest)) = text.get(1..).and_then(number) else { return Ok(None) };
        let (max, rest) = match rest.strip_prefix(',') {
            None => (Some(min), rest),
            Some(rest) if rest.starts_with('}') => (None, rest),
            Some(rest) => match number(rest) {
                Some((max, rest)) => (Some(max), rest),
                None => return Ok(None),
            },
        };
        let Some(rest) = rest.strip_prefix('}') else { return Ok(None) };
        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
            return self.bad("invalid repeat count");
        }
        Ok(Some((Counts { min, max, braces: true }, text.len() - rest.len())))
    }

    /// Repeats the last atom; the operator is `len` bytes long.
    fn repeat(&mut self, counts: Counts, len: usize) -> Result<(), Stop> {
        let lazy = self.rest().get(len..).is_some_and(|after| after.starts_with('?'));
        if self.after_repetition {
            return self.bad("a repetition of a repetition");
        }
        let Some(atom) = self.group().atom else {
            return self.bad("nothing to repeat");
        };
        let mut repeats = atom.repeats;
        if counts.braces {
            let most = counts.max.unwrap_or(counts.min);
            // Go does not look into what is repeated no time at all.
            repeats = if counts.max == Some(0) { 1 } else { repeats.saturating_mul(most.max(1)) };
            if most >= 2 && repeats > MAX_REPEAT {
                return self.bad("invalid repeat count");
            }
        }
        let height = atom.height + 1;
        if height > MAX_NESTING {
            return self.bad("nested too deeply");
        }
        self.take(PART_BYTES)?;
        let greedy = lazy == self.flags.lazy;
        let group = self.group();
        let sub = Box::new(group.pop());
        group.push(Hir::repetition(Repetition { min: counts.min, max: counts.max, greedy, sub }));
        self.at += len + usize::from(lazy);
        self.put(Atom { repeats, height });
        self.after_repetition = true;
        Ok(())
    }

    fn open(&mut self) -> Result<(), Stop> {
        self.after_repetition = false;
        let text = self.rest();
        if !text.starts_with("(?") {
            return self.begin(1, true, None);
        }
        for prefix in ["(?P<", "(?<"] {
            let Some(named) = text.strip_prefix(prefix).filter(|named| !named.is_empty()) else { continue };
            let name = named.split_once('>').map(|(name, _)| name);
            let valid = |name: &&str| {
                !name.is_empty() && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
            };
            let Some(name) = name.filter(valid) else { return self.bad("invalid name of a group") };
            return self.begin(prefix.len() + name.len() + 1, true, Some(name.to_owned()));
        }
        self.set_flags()
    }

    /// `(?i)`, `(?i-s:` and the like.
    fn set_flags(&mut self) -> Result<(), Stop> {
        let mut flags = self.flags;
        let (mut on, mut seen) = (true, false);
        for (i, c) in self.rest().bytes().enumerate().skip(2) {
            match c {
                b'i' => flags.fold = on,
                b'm' => flags.lines = on,
                b's' => flags.dot_newline = on,
                b'U' => flags.lazy = on,
                b'-' if on => (on, seen) = (false, false),
                b':' if on || seen => {
                    self.begin(i + 1, false, None)?;
                    self.flags = flags;
                    return Ok(());
                }
                b')' if on || seen => {
                    self.flags = flags;
                    self.at += i + 1;
                    return Ok(());
                }
                _ => break,
            }
            seen |= c != b'-';
        }
        self.bad("invalid or unsupported group")
    }

    fn begin(&mut self, len: usize, captures: bool, name: Option<String>) -> Result<(), Stop> {
        if self.groups.len() > MAX_NESTING as usize {
            return self.bad("nested too deeply");
        }
        self.take(PART_BYTES)?;
        let capture = captures.then_some(self.names.len() as u32);
        self.groups.push(Group::new(self.flags, capture));
        self.at += len;
        if captures {
            self.names.push(name);
        }
        Ok(())
    }

    /// The end of a group, behind its parenthesis.
    fn close(&mut self) -> Result<(), Stop> {
        if self.groups.len() < 2 {
            return Err(BadPattern::new("unexpected )", self.at - 1).into());
        }
        let Some(group) = self.groups.pop() else { return Ok(()) };
        self.flags = group.flags;
        let (repeats, height) = (group.repeats, group.height + 1);
        if height > MAX_NESTING {
            return self.bad("nested too deeply");
        }
        self.group().push(group.whole());
        self.put(Atom { repeats, height });
        Ok(())
    }

    /// What a backslash begins; it is read already.
    fn escape(&mut self) -> Result<(), Stop> {
        let Some(c) = self.peek() else {
            return Err(BadPattern::new("a backslash at the end", self.at - 1).into());
        };
        let assertion = match c {
            'A' => Look::Start,
            'b' => Look::WordAscii,
            'B' => Look::WordAsciiNegate,
            'z' => Look::End,
            'Q' => return self.quoted(),
            _ => return self.escaped(),
        };
        self.at += 1;
        self.part(Hir::look(assertion))
    }

    /// What stands behind `\Q`, as it is.
    fn quoted(&mut self) -> Result<(), Stop> {
        let quoted = self.rest().get(1..).unwrap_or("");
        let (quoted, end) = match quoted.split_once(r"\E") {
            Some((quoted, _)) => (quoted, 3 + quoted.len()),
            None => (quoted, 1 + quoted.len()),
        };
        for c in quoted.chars() {
            self.literal(c)?;
        }
        self.at += end;
        Ok(())
    }

    /// A class or a character.
    fn escaped(&mut self) -> Result<(), Stop> {
        if let Some((set, end)) = class::set(self.pattern, self.at, self.flags.fold)? {
            self.at = end;
            return self.set(&set);
        }
        let (code, end) = class::code_point(self.pattern, self.at)?;
        self.at = end;
        match char::from_u32(code) {
            Some(c) => self.literal(c),
            // A surrogate, which no text has.
            None => self.part(Hir::fail()),
        }
    }

    fn finish(mut self) -> Result<Read, Stop> {
        match (self.groups.pop(), self.groups.is_empty()) {
            (Some(pattern), true) => Ok(Read { hir: pattern.whole(), names: self.names }),
            _ => Err(BadPattern::new("missing closing )", self.pattern.len()).into()),
        }
    }
}

/// A number without leading zero, and what follows; one that is too large is larger than every limit.
fn number(text: &str) -> Option<(u32, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(len);
    if digits.is_empty() || (len > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
