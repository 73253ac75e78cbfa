//! Regular expressions of the agent's world: Go's `regexp`, which is RE2, on the engine of the `regex` crate.
//!
//! Filters of `/info` and of the builder, replace rules and the `DD_APM_*` variables are written for the agent. Here is
//! the one place that knows what they mean. [`syntax`] reads a pattern as Go 1.26 does and makes of it what the engine
//! takes ([`regex_syntax::hir`]); what Go refuses is refused, with the place. Both take linear time. The crate's own
//! reader of patterns, and its tables of Unicode, are not in the library.
//!
//! A text that is not UTF-8 is matched as the agent sees it: one U+FFFD in place of each bad byte.

mod budget;
mod class;
mod set;
mod syntax;
mod template;
mod unicode;
mod unicode_tables;

pub use budget::Budget;
pub use template::Template;

use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;
use regex_automata::{Input, meta};
use regex_syntax::hir::Hir;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The most that one pattern of the caller may take once it is compiled.
pub const MAX_PATTERN_BYTES: usize = 10 << 20;
/// The most that one text may grow to by one replacement; a text that was longer may stay as long.
pub const MAX_REPLACED_BYTES: usize = 64 << 10;

/// A pattern ready to use.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Names of the groups, the whole match first.
    names: Vec<Option<String>>,
}

/// Why a pattern cannot be used. The text does not show the pattern, which may hold what is to be hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern {
    what: Cow<'static, str>,
    at: Option<usize>,
}

impl BadPattern {
    fn new(what: impl Into<Cow<'static, str>>, at: usize) -> Self {
        Self { what: what.into(), at: Some(at) }
    }

    /// Not because of one place.
    fn whole(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), at: None }
    }
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{} at byte {at}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Pattern {
    /// Compiles a pattern in Go's syntax.
    ///
    /// # Errors
    /// What Go's `regexp.Compile` refuses, and what takes more than [`MAX_PATTERN_BYTES`].
    pub fn new(pattern: &str) -> Result<Self, BadPattern> {
        let read = syntax::read(pattern, MAX_PATTERN_BYTES).map_err(|stop| stop.said(MAX_PATTERN_BYTES))?;
        match compile(&read.hir, MAX_PATTERN_BYTES)? {
            Some(regex) => Ok(Self { regex, names: read.names }),
            None => Err(BadPattern::whole(too_large(MAX_PATTERN_BYTES))),
        }
    }

    /// Whether the text has a match.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(repaired(text).as_ref())
    }

    /// The first match at or behind `from`.
    pub fn find_from(&self, text: &str, from: usize) -> Option<Range<usize>> {
        if from > text.len() {
            None
        } else {
            self.regex.find(Input::new(text).range(from..)).map(|found| found.range())
        }
    }

    /// Like [`Self::find_from`]; `groups` are told only if they are asked for, which takes longer.
    fn search(&self, text: &str, from: usize, asked: bool, groups: &mut Captures) -> Option<Range<usize>> {
        if !asked {
            return self.find_from(text, from);
        }
        self.regex.search_captures(&Input::new(text).range(from..), groups);
        groups.get_match().map(|found| found.range())
    }

    /// Writes `text` with every match replaced, as Go's `ReplaceAllString` does. The output ends at `limit` bytes, or
    /// at the text's own length if that is more; what is beyond is left out. Gives whether the text has changed; else
    /// nothing was written.
    pub fn replace(&self, text: &[u8], by: &Template, limit: usize, out: &mut Vec<u8>) -> bool {
        let whole = repaired(text);
        let start = out.len();
        let room = start.saturating_add(limit.max(text.len()));
        let mut groups = self.regex.create_captures();
        // Up to where the text is written, and where the next search begins.
        let (mut done, mut from) = (0, 0);
        while from <= whole.len() && out.len() <= room {
            let Some(found) = self.search(&whole, from, by.has_groups(), &mut groups) else {
                break;
            };
            out.extend_from_slice(whole.get(done..found.start).unwrap_or("").as_bytes());
            // An empty match right behind another one is none.
            if found.end > done || found.start == 0 {
                by.write(&whole, &groups, room.saturating_sub(out.len()), out);
            }
            done = found.end;
            let width = whole.get(from..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
            from = done.max(from + width);
        }
        if from == 0 {
            // No match at all: the bytes stay what they were, also where they are no UTF-8.
            return false;
        }
        out.extend_from_slice(whole.get(done..).unwrap_or("").as_bytes());
        cut(out, room);
        if out.get(start..) == Some(text) {
            out.truncate(start);
            return false;
        }
        true
    }
}

/// Whether a pattern can be used, and if not, why. For setters, which check at once.
///
/// # Errors
/// As [`Pattern::new`], in words.
pub fn check(pattern: &str) -> Result<(), String> {
    Pattern::new(pattern).map(drop).map_err(|e| e.to_string())
}

/// `None` if the compiled pattern is larger than `limit` bytes.
fn compile(pattern: &Hir, limit: usize) -> Result<Option<Regex>, BadPattern> {
    let config = meta::Config::new().nfa_size_limit(Some(limit));
    match meta::Builder::new().configure(config).build_from_hir(pattern) {
        Ok(regex) => Ok(Some(regex)),
        Err(e) if e.size_limit().is_some() => Ok(None),
        Err(_) => Err(BadPattern::whole("it has more groups than can be counted")),
    }
}

fn too_large(limit: usize) -> Cow<'static, str> {
    format!("it takes more than {limit} bytes once compiled").into()
}

/// Ends at `end` bytes at most, and not within a character.
fn cut(out: &mut Vec<u8>, end: usize) {
    if out.len() <= end {
        return;
    }
    let mut end = end;
    while end > 0 && out.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
        end -= 1;
    }
    out.truncate(end);
}

/// The text with U+FFFD in place of each byte that is not UTF-8.
fn repaired(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut whole = String::with_capacity(text.len() + 16);
            for part in text.utf8_chunks() {
                whole.push_str(part.valid());
                whole.extend(part.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            }
            Cow::Owned(whole)
        }
    }
}
