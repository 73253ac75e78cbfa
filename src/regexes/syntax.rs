//! Reads a pattern as Go's `regexp/syntax` reads it (flags `Perl`) and writes it in the syntax of the `regex` crate.
//!
//! What is written does not rely on how the two languages agree: `^`, `$` and `.` are spelt out by the flags that hold
//! where they stand, literals are escaped one by one, Perl's classes are ASCII. Only case folding is left to the crate.
//! The order of the checks is Go's, so that a pattern is refused where Go refuses it.

use super::BadPattern;
use super::class;

/// What is nested more deeply is refused. Go takes a thousand levels; the crate's compiler is recursive, and patterns
/// of
/// `/info` are compiled on a thread whose stack is small.
pub(super) const MAX_NESTING: u32 = 100;
/// The product of nested counts, and each of them, is at most this.
const MAX_REPEAT: u32 = 1000;

/// A pattern in the crate's syntax.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) pattern: String,
    /// Names of the groups, the whole match first.
    pub(super) names: Vec<Option<String>>,
}

/// Rewrites a pattern.
pub(super) fn translate(pattern: &str) -> Result<Translated, BadPattern> {
    let mut reader = Reader::new(pattern);
    while let Some(c) = reader.peek() {
        reader.token(c)?;
    }
    reader.finish()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Where it begins in the output.
    at: usize,
    /// Whether it ends with a repetition, so that another one needs a group around it.
    repeated: bool,
    /// The largest product of nested counts within it.
    repeats: u32,
    height: u32,
}

/// A group that is open; the outermost is the pattern.
#[derive(Debug)]
struct Group {
    /// Where it begins in the output.
    at: usize,
    flags: Flags,
    /// Whether the crate folds case at this point of the output.
    folding: bool,
    atom: Option<Atom>,
    repeats: u32,
    height: u32,
}

struct Reader<'p> {
    pattern: &'p str,
    /// Where the next token begins.
    at: usize,
    out: String,
    names: Vec<Option<String>>,
    flags: Flags,
    /// Whether the crate folds case where the output ends.
    folding: bool,
    groups: Vec<Group>,
    /// Whether the last token was a repetition.
    after_repetition: bool,
}

impl<'p> Reader<'p> {
    fn new(pattern: &'p str) -> Self {
        let flags = Flags { fold: false, lines: false, dot_newline: false, lazy: false };
        let whole = Group { at: 0, flags, folding: false, atom: None, repeats: 1, height: 1 };
        Self {
            pattern,
            at: 0,
            out: String::with_capacity(pattern.len() + 16),
            names: vec![None],
            flags,
            folding: false,
            groups: vec![whole],
            after_repetition: false,
        }
    }

    fn rest(&self) -> &'p str {
        self.pattern.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bad<T>(&self, what: &'static str) -> Result<T, BadPattern> {
        Err(BadPattern::new(what, self.at))
    }

    fn token(&mut self, c: char) -> Result<(), BadPattern> {
        let repeats = match c {
            '(' => return self.open(),
            '*' | '+' | '?' => Some((c.to_string(), 1, 1)),
            '{' => self.counts()?,
            _ => None,
        };
        if let Some((operator, len, count)) = repeats {
            return self.repeat(&operator, len, count);
        }
        self.after_repetition = false;
        self.at += c.len_utf8();
        match c {
            '|' => {
                self.out.push('|');
                self.close_branch();
            }
            ')' => return self.close(),
            '^' => self.atom(if self.flags.lines { "(?m:^)" } else { r"\A" }),
            '$' => self.atom(if self.flags.lines { "(?m:$)" } else { r"\z" }),
            '.' => self.atom(if self.flags.dot_newline { "(?s:.)" } else { r"[^\n]" }),
            '[' => {
                let (class, end) = class::bracketed(self.pattern, self.at)?;
                self.at = end;
                self.atom(&class);
            }
            '\\' => return self.escape(),
            _ => self.literal(c),
        }
        Ok(())
    }

    /// A thing that can be repeated.
    fn atom(&mut self, text: &str) {
        if self.folding != self.flags.fold {
            self.out.push_str(if self.flags.fold { "(?i)" } else { "(?-i)" });
            self.folding = self.flags.fold;
        }
        let at = self.out.len();
        self.out.push_str(text);
        self.put(Atom { at, repeated: false, repeats: 1, height: 1 });
    }

    fn literal(&mut self, c: char) {
        self.atom(&class::literal(c));
    }

    fn put(&mut self, atom: Atom) {
        if let Some(group) = self.groups.last_mut() {
            group.repeats = group.repeats.max(atom.repeats);
            group.height = group.height.max(atom.height);
            group.atom = Some(atom);
        }
    }

    fn close_branch(&mut self) {
        if let Some(group) = self.groups.last_mut() {
            group.atom = None;
        }
    }

    /// The numbers in braces at this place: what to write, how long they are, the larger one. `None` if the brace is a
    /// literal.
    fn counts(&self) -> Result<Option<(String, usize, u32)>, BadPattern> {
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
        let operator = match max {
            None => format!("{{{min},}}"),
            Some(max) if max == min => format!("{{{min}}}"),
            Some(max) => format!("{{{min},{max}}}"),
        };
        Ok(Some((operator, text.len() - rest.len(), max.unwrap_or(min))))
    }

    /// Repeats the last atom; the operator is `len` bytes long.
    fn repeat(&mut self, operator: &str, len: usize, count: u32) -> Result<(), BadPattern> {
        let lazy = self.rest().get(len..).is_some_and(|after| after.starts_with('?'));
        if self.after_repetition {
            return self.bad("a repetition of a repetition");
        }
        let Some(atom) = self.groups.last_mut().and_then(|group| group.atom) else {
            return self.bad("nothing to repeat");
        };
        let mut repeats = atom.repeats;
        if operator.starts_with('{') {
            // Go does not look into what is repeated no time at all.
            repeats = if operator == "{0}" { 1 } else { repeats.saturating_mul(count.max(1)) };
            if count >= 2 && repeats > MAX_REPEAT {
                return self.bad("invalid repeat count");
            }
        }
        let height = atom.height + 1;
        if height > MAX_NESTING {
            return self.bad("nested too deeply");
        }
        if atom.repeated {
            self.out.insert_str(atom.at, "(?:");
            self.out.push(')');
        }
        self.out.push_str(operator);
        if lazy != self.flags.lazy {
            self.out.push('?');
        }
        self.at += len + usize::from(lazy);
        self.put(Atom { at: atom.at, repeated: true, repeats, height });
        self.after_repetition = true;
        Ok(())
    }

    fn open(&mut self) -> Result<(), BadPattern> {
        self.after_repetition = false;
        let text = self.rest();
        if !text.starts_with("(?") {
            return self.group(1, true, None);
        }
        for prefix in ["(?P<", "(?<"] {
            let Some(named) = text.strip_prefix(prefix).filter(|named| !named.is_empty()) else { continue };
            let name = named.split_once('>').map(|(name, _)| name);
            let valid = |name: &&str| {
                !name.is_empty() && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
            };
            let Some(name) = name.filter(valid) else { return self.bad("invalid name of a group") };
            return self.group(prefix.len() + name.len() + 1, true, Some(name.to_owned()));
        }
        self.set_flags()
    }

    /// `(?i)`, `(?i-s:` and the like.
    fn set_flags(&mut self) -> Result<(), BadPattern> {
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
                    self.group(i + 1, false, None)?;
                    self.flags = flags;
                    return Ok(());
                }
                b')' if on || seen => {
                    // Written when the next atom needs it: a repetition may still belong to the one before.
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

    fn group(&mut self, len: usize, captures: bool, name: Option<String>) -> Result<(), BadPattern> {
        if self.groups.len() > MAX_NESTING as usize {
            return self.bad("nested too deeply");
        }
        let group = Group {
            at: self.out.len(),
            flags: self.flags,
            folding: self.folding,
            atom: None,
            repeats: 1,
            height: 1,
        };
        self.groups.push(group);
        self.at += len;
        if captures {
            self.names.push(name);
        }
        // Groups are told by their numbers: Go has names that the crate has not.
        self.out.push_str(if captures { "(" } else { "(?:" });
        Ok(())
    }

    /// The end of a group, behind its parenthesis.
    fn close(&mut self) -> Result<(), BadPattern> {
        if self.groups.len() < 2 {
            return Err(BadPattern::new("unexpected )", self.at - 1));
        }
        let Some(group) = self.groups.pop() else { return Ok(()) };
        self.out.push(')');
        self.flags = group.flags;
        self.folding = group.folding;
        let height = group.height + 1;
        if height > MAX_NESTING {
            return self.bad("nested too deeply");
        }
        self.put(Atom { at: group.at, repeated: false, repeats: group.repeats, height });
        Ok(())
    }

    /// What a backslash begins; it is read already.
    fn escape(&mut self) -> Result<(), BadPattern> {
        let Some(c) = self.peek() else {
            return Err(BadPattern::new("a backslash at the end", self.at - 1));
        };
        let assertion = match c {
            'A' => r"\A",
            'b' => r"(?-u:\b)",
            'B' => r"(?-u:\B)",
            'z' => r"\z",
            'Q' => {
                let quoted = self.rest().get(1..).unwrap_or("");
                let (quoted, end) = match quoted.split_once(r"\E") {
                    Some((quoted, _)) => (quoted, 3 + quoted.len()),
                    None => (quoted, 1 + quoted.len()),
                };
                quoted.chars().for_each(|c| self.literal(c));
                self.at += end;
                return Ok(());
            }
            _ => "",
        };
        if !assertion.is_empty() {
            self.at += 1;
            self.atom(assertion);
            return Ok(());
        }
        if let Some((set, end)) = class::set(self.pattern, self.at)? {
            self.at = end;
            self.atom(&set);
            return Ok(());
        }
        let (code, end) = class::code_point(self.pattern, self.at)?;
        self.at = end;
        match char::from_u32(code) {
            Some(c) => self.literal(c),
            None => self.atom(class::NOTHING),
        }
        Ok(())
    }

    fn finish(self) -> Result<Translated, BadPattern> {
        if self.groups.len() > 1 {
            return Err(BadPattern::new("missing closing )", self.pattern.len()));
        }
        Ok(Translated { pattern: self.out, names: self.names })
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
