//! JSON queries and plans (MongoDB, Elasticsearch, OpenSearch, SQL plans): keys stay, every value becomes `"?"`.
//!
//! Values of some keys may be kept whole, and values of others are passed to a transformer (SQL obfuscation). White
//! space goes. Several documents may follow each other. What is not JSON ends the output with `...`, so that nothing
//! behind the error is ever sent. One pass, no recursion; memory grows with the nesting by one bit a level.

use crate::normalize::swar;
use crate::normalize::unicode;
use crate::trace::Verdict;
use hashbrown::HashSet;
use std::borrow::Cow;
use std::ops::Range;
use wide::u8x16;

type Keys = HashSet<Vec<u8>, foldhash::fast::RandomState>;

/// Writes what stands for a value: from the value's text (unquoted where it is a string) to the output.
pub type Transform<'t> = &'t mut dyn FnMut(&[u8], &mut Vec<u8>);

/// Hides the values of JSON documents.
#[derive(Clone, Debug, Default)]
pub struct Json {
    keep: Keys,
    transform: Keys,
}

impl Json {
    /// `keep`: keys whose values stay, whole trees included. `transform`: keys whose next value, if it is a literal,
    /// goes through the transformer. Keys are compared as they stand in the text, without quotes.
    pub fn new<K: AsRef<[u8]>, T: AsRef<[u8]>>(keep: &[K], transform: &[T]) -> Self {
        Self {
            keep: keep.iter().map(|k| k.as_ref().to_vec()).collect(),
            transform: transform.iter().map(|k| k.as_ref().to_vec()).collect(),
        }
    }

    /// Hides the values of `text`. What the transformer writes is put between quotes and not escaped again.
    pub fn obfuscate(&self, text: &[u8], transform: Transform<'_>, out: &mut Vec<u8>) -> Verdict {
        let start = out.len();
        let mut run = Run {
            rules: self,
            text,
            at: 0,
            out,
            open: Nesting::default(),
            wiped: false,
            kept_depth: None,
            transforming: false,
            pending: 0..0,
        };
        if !text.is_empty() && run.documents(transform).is_err() {
            out.extend_from_slice(b"...");
        }
        if out.get(start..) == Some(text) {
            out.truncate(start);
            return Verdict::Keep;
        }
        Verdict::Replace
    }
}

/// What is open at a place of the text: one bit a level, set for an object.
#[derive(Default)]
struct Nesting {
    depth: usize,
    first: u64,
    more: Vec<u64>,
}

impl Nesting {
    #[inline]
    fn push(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.depth += 1;
        let word = match word {
            0 => &mut self.first,
            n => {
                if self.more.len() < n {
                    self.more.push(0);
                }
                match self.more.get_mut(n - 1) {
                    Some(word) => word,
                    None => return,
                }
            }
        };
        *word = *word & !(1 << bit) | u64::from(object) << bit;
    }

    /// Whether the innermost is an object; `None` at the top.
    #[inline]
    fn in_object(&self) -> Option<bool> {
        let level = self.depth.checked_sub(1)?;
        let word = match level / 64 {
            0 => self.first,
            n => *self.more.get(n - 1)?,
        };
        Some(word >> (level % 64) & 1 == 1)
    }
}

/// The text is not JSON from here on, or ends too early.
struct Broken;

struct Run<'r> {
    rules: &'r Json,
    text: &'r [u8],
    at: usize,
    out: &'r mut Vec<u8>,
    open: Nesting,
    /// `"?"` was written for the current value.
    wiped: bool,
    /// Values deeper than this are kept.
    kept_depth: Option<usize>,
    /// The next literal goes to the transformer.
    transforming: bool,
    /// Where that literal stands.
    pending: Range<usize>,
}

impl Run<'_> {
    fn documents(&mut self, transform: Transform<'_>) -> Result<(), Broken> {
        let plain = self.rules.keep.is_empty() && self.rules.transform.is_empty();
        loop {
            self.value()?;
            if self.open.depth > 0 && plain {
                self.members::<true>(transform)?;
            } else if self.open.depth > 0 {
                self.members::<false>(transform)?;
            }
            // At the top white space stays: it separates documents.
            while let Some(b @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
                self.out.push(b);
                self.at += 1;
            }
            if self.peek().is_none() {
                return Ok(());
            }
        }
    }

    /// Goes on behind the first bracket of a document until it is closed. `PLAIN`: there are no keys with rules.
    #[inline(always)]
    fn members<const PLAIN: bool>(&mut self, transform: Transform<'_>) -> Result<(), Broken> {
        let mut first = true; // nothing but the opening bracket yet
        while let Some(object) = self.open.in_object() {
            let b = self.next_token()?;
            let close = if object { b'}' } else { b']' };
            if b == close {
                self.at += 1;
                self.end_value::<PLAIN>(b, transform);
                self.open.depth -= 1;
                first = false;
                continue;
            }
            if !first {
                if b != b',' {
                    return Err(Broken);
                }
                self.at += 1;
                self.end_value::<PLAIN>(b, transform);
            }
            first = self.run::<PLAIN>(object)?;
        }
        Ok(())
    }

    /// A member, and those behind it up to one that is not a literal with a comma right behind. Says whether the last
    /// of them is an opening bracket.
    #[inline(always)]
    fn run<const PLAIN: bool>(&mut self, object: bool) -> Result<bool, Broken> {
        loop {
            if object {
                self.key::<PLAIN>()?;
            }
            let b = self.next_token()?;
            if !PLAIN || matches!(b, b'{' | b'[') {
                let depth = self.open.depth;
                self.value()?;
                return Ok(self.open.depth > depth);
            }
            let result = self.literal(b)?;
            if result.is_err() || self.peek() != Some(b',') {
                self.out.extend_from_slice(b"\"?\"");
                return result.map(|()| false);
            }
            self.at += 1;
            self.out.extend_from_slice(b"\"?\",");
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is not white space. Most stand behind one space or none.
    #[inline(always)]
    fn next_token(&mut self) -> Result<u8, Broken> {
        match self.text.get(self.at..) {
            Some(&[b, ..]) if b > b' ' => Ok(b),
            Some(&[b' ', b, ..]) if b > b' ' => {
                self.at += 1;
                Ok(b)
            }
            _ => self.far_token(),
        }
    }

    #[inline(never)]
    fn far_token(&mut self) -> Result<u8, Broken> {
        while let Some(b) = self.peek() {
            if !matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(b);
            }
            self.at += 1;
        }
        Err(Broken)
    }

    /// A key and its colon.
    #[inline(always)]
    fn key<const PLAIN: bool>(&mut self) -> Result<(), Broken> {
        if self.next_token()? != b'"' {
            return Err(Broken);
        }
        let start = self.at;
        if PLAIN
            && let Some(text) = self.text.get(start..).and_then(|rest| rest.first_chunk::<SHORT>())
            && let Some(length) = short_string(text)
            && text.get(length) == Some(&b':')
        {
            // As one block, of which only a part counts: a call of `memcpy` costs more than the copy.
            let end = self.out.len() + length + 1;
            self.out.extend_from_slice(text);
            self.out.truncate(end);
            self.at += length + 1;
            return Ok(());
        }
        self.any_key(start)
    }

    #[inline(never)]
    fn any_key(&mut self, start: usize) -> Result<(), Broken> {
        let result = self.skip_string();
        let key = self.text.get(start..self.at).unwrap_or(&[]);
        self.out.extend_from_slice(key);
        result?;
        if self.next_token()? != b':' {
            return Err(Broken);
        }
        self.at += 1;
        self.out.push(b':');
        if self.rules.keep.is_empty() && self.rules.transform.is_empty() {
            return Ok(());
        }
        let name = trim_quotes(key);
        if self.kept_depth.is_none() && self.rules.keep.contains(name) {
            self.kept_depth = Some(self.open.depth);
        } else if self.rules.transform.contains(name) {
            self.transforming = true;
        }
        Ok(())
    }

    /// Steps over a literal whose first byte is `b`, which ends in an error if it is none; stays at the byte that is
    /// wrong, if one of the others is.
    #[inline(always)]
    fn literal(&mut self, b: u8) -> Result<Result<(), Broken>, Broken> {
        Ok(match b {
            b'"' => self.skip_string(),
            b'-' | b'0'..=b'9' => self.skip_number(),
            b't' => self.skip_word(b"true"),
            b'f' => self.skip_word(b"false"),
            b'n' => self.skip_word(b"null"),
            _ => return Err(Broken),
        })
    }

    /// A literal, or the bracket that opens an array or object.
    #[inline(never)]
    fn value(&mut self) -> Result<(), Broken> {
        let b = self.next_token()?;
        if let b'{' | b'[' = b {
            self.at += 1;
            self.out.push(b);
            self.open.push(b == b'{');
            self.wiped = false;
            self.transforming = false;
            return Ok(());
        }
        let start = self.at;
        let result = self.literal(b)?;
        if self.transforming {
            // Written when the value's end is seen; a document that breaks off before shows nothing of it.
            self.pending = start..self.at;
        } else if self.kept_depth.is_some() {
            self.out.extend_from_slice(self.text.get(start..self.at).unwrap_or(&[]));
        } else if !self.wiped {
            self.out.extend_from_slice(b"\"?\"");
            self.wiped = true;
        }
        result
    }

    /// A comma or closing bracket: the value before it is complete.
    #[inline(always)]
    fn end_value<const PLAIN: bool>(&mut self, b: u8, transform: &mut dyn FnMut(&[u8], &mut Vec<u8>)) {
        self.wiped = false;
        if !PLAIN && self.transforming | self.kept_depth.is_some() {
            self.end_special(transform);
        }
        self.out.push(b);
    }

    /// The same for a value that was kept, or that goes to the transformer.
    #[inline(never)]
    fn end_special(&mut self, transform: &mut dyn FnMut(&[u8], &mut Vec<u8>)) {
        if self.transforming {
            self.transforming = false;
            let literal = self.text.get(self.pending.clone()).unwrap_or(&[]);
            self.out.push(b'"');
            transform(&unquote(literal), self.out);
            self.out.push(b'"');
        } else if self.kept_depth.is_some_and(|kept| self.open.depth <= kept) {
            self.kept_depth = None;
        }
    }

    /// Steps over a string; stays at the byte that is wrong.
    #[inline(always)]
    fn skip_string(&mut self) -> Result<(), Broken> {
        if let Some(text) = self.text.get(self.at..).and_then(|rest| rest.first_chunk::<SHORT>())
            && let Some(length) = short_string(text)
        {
            self.at += length;
            return Ok(());
        }
        self.skip_long_string()
    }

    #[inline(never)]
    fn skip_long_string(&mut self) -> Result<(), Broken> {
        let mut at = self.at + 1;
        loop {
            while let Some(word) = self.text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
                match swar::first_below_or_of(u64::from_le_bytes(*word), 0x20, *b"\"\\") {
                    None => at += 8,
                    Some(behind) => {
                        at += behind;
                        break;
                    }
                }
            }
            while self.text.get(at).is_some_and(|b| !IN_STRING[usize::from(*b)]) {
                at += 1;
            }
            match self.text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(());
                }
                Some(b'\\') => match self.escape(at) {
                    Ok(next) => at = next,
                    Err(wrong) => {
                        self.at = wrong;
                        return Err(Broken);
                    }
                },
                _ => {
                    self.at = at;
                    return Err(Broken);
                }
            }
        }
    }

    /// Steps over an escape; says where it goes on, or which byte is wrong.
    fn escape(&self, at: usize) -> Result<usize, usize> {
        match self.text.get(at + 1) {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => Ok(at + 2),
            Some(b'u') => {
                let digits = self.text.get(at + 2..).unwrap_or(&[]);
                match digits.iter().take(4).position(|b| !b.is_ascii_hexdigit()) {
                    Some(n) => Err(at + 2 + n),
                    None if digits.len() < 4 => Err(self.text.len()),
                    None => Ok(at + 6),
                }
            }
            _ => Err(at + 1),
        }
    }

    /// Steps over a number; stays at the byte that is wrong.
    #[inline(always)]
    fn skip_number(&mut self) -> Result<(), Broken> {
        let (end, is_whole) = number_end(self.text, self.at);
        self.at = end;
        if is_whole { Ok(()) } else { Err(Broken) }
    }

    /// Steps over a word whose first letter is there; stays at the byte that is wrong.
    #[inline(always)]
    fn skip_word(&mut self, word: &[u8]) -> Result<(), Broken> {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.at += rest.iter().zip(word).take_while(|(there, wanted)| there == wanted).count();
        Err(Broken)
    }
}

/// A string of so many bytes is found and copied as one block, its quotes and what is behind it included.
const SHORT: usize = 32;

/// How long the string at the begin of `text` is, quotes included, if it is short and has no escapes.
#[inline(always)]
fn short_string(text: &[u8; SHORT]) -> Option<usize> {
    let inside = u8x16::new(*text.get(1..)?.first_chunk()?);
    let quotes = inside.simd_eq(u8x16::splat(b'"'));
    let others = inside.simd_eq(u8x16::splat(b'\\')) | inside.simd_lt(u8x16::splat(b' '));
    let quote = quotes.to_bitmask();
    let before = quote.wrapping_sub(1) & !quote;
    (quote != 0 && others.to_bitmask() & before == 0).then(|| quote.trailing_zeros() as usize + 2)
}

/// Where the number at `at` ends, and whether it is one; else the place of the byte that is wrong.
fn number_end(text: &[u8], mut at: usize) -> (usize, bool) {
    let is = |at: usize, b: u8| text.get(at) == Some(&b);
    let digits = |mut at: usize| {
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    at += usize::from(is(at, b'-'));
    let end = if text.get(at) == Some(&b'0') { at + 1 } else { digits(at) };
    if end == at {
        return (at, false);
    }
    at = end;
    if is(at, b'.') {
        at += 1;
        let end = digits(at);
        if end == at {
            return (at, false);
        }
        at = end;
    }
    if is(at, b'e') || is(at, b'E') {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        let end = digits(at);
        return (end, end > at);
    }
    (at, true)
}

/// The bytes at which the inside of a string is interrupted.
static IN_STRING: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = i < 0x20 || i == b'"' as usize || i == b'\\' as usize;
        i += 1;
    }
    table
};

fn trim_quotes(mut key: &[u8]) -> &[u8] {
    while let Some(rest) = key.strip_prefix(b"\"") {
        key = rest;
    }
    while let Some(rest) = key.strip_suffix(b"\"") {
        key = rest;
    }
    key
}

/// The text of a literal. As with the agent, a literal that Go would not read as a quoted string (a number, an escaped
/// slash, half a surrogate pair) is taken as it stands, quotes included.
fn unquote(literal: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = literal.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")) else {
        return Cow::Borrowed(literal);
    };
    if !inner.contains(&b'\\') {
        return match String::from_utf8_lossy(inner) {
            Cow::Borrowed(_) => Cow::Borrowed(inner),
            Cow::Owned(_) => Cow::Owned(lossy_bytewise(inner)),
        };
    }
    match unescape(inner) {
        Some(text) => Cow::Owned(text),
        None => Cow::Borrowed(literal),
    }
}

/// Every single byte that is not UTF-8 becomes U+FFFD.
fn lossy_bytewise(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let (c, width) = unicode::decode(rest);
        push_char(c.unwrap_or(char::REPLACEMENT_CHARACTER), &mut out);
        at += width;
    }
    out
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        if rest.first() != Some(&b'\\') {
            let (c, width) = unicode::decode(rest);
            push_char(c.unwrap_or(char::REPLACEMENT_CHARACTER), &mut out);
            at += width;
            continue;
        }
        out.push(match rest.get(1)? {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b @ (b'"' | b'\\') => *b,
            b'u' => {
                let digits = std::str::from_utf8(rest.get(2..6)?).ok()?;
                push_char(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, &mut out);
                at += 6;
                continue;
            }
            _ => return None,
        });
        at += 2;
    }
    Some(out)
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests;
