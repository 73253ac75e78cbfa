//! The agent's own SQL tokenizer: one pass over the bytes of a statement, each token handed to [`Grouping`].
//!
//! It takes a statement that is UTF-8 and knows no dialect. What no token starts with, and what is not terminated, is a
//! refusal. The rules, oddities included (`->` is a value and `>`, `#` swallows the character behind it, `-.` the one
//! behind that), are those of the agent 7.85.2 as it answers; where it would show the text of a string, we do not.

use super::SqlConfig;
use super::chars::{self, byte, decode, is_blank, is_digit, is_letter, quote_or_backslash};
use super::ends::{dollar_quoted_end, fraction_end, is_name_letter, number_end};
use super::grouping::{Grouping, Kind};
use super::keywords::{pack, pack_short, packed, packed_short};
use super::writer::Writer;
use usual::{Tail, Window};

mod usual;

/// Why nothing was written: unreadable. Another reading of backslashes may help if one was seen in quotes.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) saw_backslash: bool,
}

/// How a statement is read where its text does not say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// A backslash in quotes is itself.
    pub(super) literal_backslashes: bool,
    /// Double quotes hold text, not a name.
    pub(super) quoted_text: bool,
}

/// How deep `$func$` bodies are looked into; a deeper one is hidden as a whole.
const DEEPEST: u8 = 3;

/// The longest keyword (SAVEPOINT, INSERT ...) with its letters in two bytes where Go allows that.
const LONGEST_FOLDED: usize = 12;

/// Appends the obfuscated `src` to `out`, or leaves `out` as it was.
pub(super) fn run(
    src: &[u8],
    config: &SqlConfig,
    reading: Reading,
    name: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    nested(src, config, reading, 0, name, out)
}

fn nested(
    src: &[u8],
    config: &SqlConfig,
    reading: Reading,
    depth: u8,
    name: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    reading_by(|scanner| scanner.scan(), src, config, reading, depth, name, out)
}

#[inline(always)]
fn reading_by(
    scan: impl Fn(&mut Scanner<'_, '_>) -> Result<(), Refused>,
    src: &[u8],
    config: &SqlConfig,
    reading: Reading,
    depth: u8,
    name: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let grouping = Grouping::new(config, Writer::new(out, src.len() + src.len() / 4));
    let mut scanner = Scanner {
        src,
        at: 0,
        literal_backslashes: reading.literal_backslashes,
        quoted_text: reading.quoted_text,
        saw_backslash: false,
        braces: 0,
        depth,
        config,
        name,
        tail: Tail::of(src),
        grouping,
    };
    let outcome = scan(&mut scanner);
    let saw_backslash = scanner.saw_backslash;
    let written = scanner.grouping.into_writer();
    if outcome.is_err() || written.is_empty() {
        written.discard();
        return Err(Refused { saw_backslash });
    }
    written.finish();
    Ok(())
}

struct Scanner<'a, 'o> {
    src: &'a [u8],
    at: usize,
    literal_backslashes: bool,
    quoted_text: bool,
    saw_backslash: bool,
    /// Open braces of a statement that starts with one, as JDBC escapes do.
    braces: u32,
    depth: u8,
    config: &'a SqlConfig,
    name: &'a mut Vec<u8>,
    tail: Tail,
    grouping: Grouping<'o>,
}

/// Where a quoted text ends, and whether its content must be unescaped to be shown.
struct Quoted {
    content: (usize, usize),
    is_escaped: bool,
}

impl Scanner<'_, '_> {
    fn scan(&mut self) -> Result<(), Refused> {
        let mut window = Window::default();
        loop {
            self.usual(&mut window);
            if !self.token()? {
                return Ok(());
            }
        }
    }

    /// Reads any token; says whether there was one.
    #[inline(always)]
    fn token(&mut self) -> Result<bool, Refused> {
        let src = self.src;
        // One NUL in front of a token is overlooked, but not at the very start.
        if byte(src, self.at) == 0 && self.at > 0 && self.at < src.len() {
            self.at += 1;
        }
        while self.at < src.len() && chars::is_space(src[self.at]) {
            self.at += 1;
        }
        let Some(&first) = src.get(self.at) else {
            return Ok(false);
        };
        match first {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@' => self.word()?,
            b',' => {
                self.at += 1;
                self.grouping.comma()?;
            }
            b'(' => {
                self.at += 1;
                self.grouping.open()?;
            }
            b')' => {
                self.at += 1;
                self.grouping.close()?;
            }
            b'\'' => self.string()?,
            b'0'..=b'9' => self.number()?,
            // These are no rarer in lists of values; another jump for them would be guessed wrong as often as
            // this one.
            b'?' => self.value(self.at + 1)?,
            b'$' => self.dollar(byte(src, self.at + 1))?,
            b'-' => self.minus(byte(src, self.at + 1))?,
            b'=' => self.symbol(Kind::Equals, 1)?,
            _ => self.rare(first)?,
        }
        Ok(true)
    }

    /// A token of `length` bytes that is nothing but itself.
    fn symbol(&mut self, kind: Kind, length: usize) -> Result<(), Refused> {
        let from = self.at;
        self.at += length;
        self.grouping.symbol(kind, self.src, from, self.at)
    }

    /// A token of `length` bytes that may be dropped.
    fn droppable(&mut self, kind: Kind, length: usize) -> Result<(), Refused> {
        let from = self.at;
        self.at += length;
        self.grouping.push(kind, &self.src[from..self.at])
    }

    /// Everything that does not make up the bulk of a statement.
    fn rare(&mut self, first: u8) -> Result<(), Refused> {
        let next = byte(self.src, self.at + 1);
        match first {
            b'.' if is_digit(next) => self.number(),
            b'"' if self.quoted_text => {
                self.at += 1;
                self.quoted(b'"')?;
                self.grouping.literal()
            }
            b'"' => self.quoted_name(b'"', Kind::DoubleQuoted),
            b'`' => self.quoted_name(b'`', Kind::Name),
            b'/' if next == b'/' => self.line_comment(self.at + 2),
            b'/' if next == b'*' => self.block_comment(),
            // The character behind a `#` belongs to the comment even if it is the end of the line.
            b'#' => self.line_comment(self.at + 1 + decode(self.src, self.at + 1).1),
            b'[' => self.symbol(Kind::OpenBracket, 1),
            b']' => self.symbol(Kind::CloseBracket, 1),
            b';' => self.droppable(Kind::Semicolon, 1),
            b'*' | b'+' | b'.' | b'/' | b'&' | b'|' | b'^' => self.symbol(Kind::Other, 1),
            b'<' | b'>' | b'!' | b'~' => self.operator(first, next),
            b':' => self.colon(),
            b'%' => self.percent(next),
            b'{' => self.brace(),
            b'}' if self.braces > 0 => {
                self.braces -= 1;
                self.symbol(Kind::Other, 1)
            }
            0x80.. => self.other_script(),
            _ => Err(Refused::default()),
        }
    }

    /// A name or keyword; the first character is known to start one.
    #[inline(always)]
    fn word(&mut self) -> Result<(), Refused> {
        let from = self.at;
        let to = chars::word_end(self.src, from + 1);
        if byte(self.src, to) >= 0x80 {
            return self.long_word(from, to);
        }
        self.at = to;
        match keyword(self.src, from, to) {
            Kind::Value => self.grouping.value(&self.src[from..to]),
            kind => self.grouping.name(kind, self.src, from, to),
        }
    }

    /// A name that may go on behind `to` with characters that are not ASCII.
    #[inline(never)]
    fn long_word(&mut self, from: usize, mut to: usize) -> Result<(), Refused> {
        loop {
            to = chars::word_end(self.src, to);
            let (c, length) = decode(self.src, to);
            if c < 0x80 || !is_letter(c) {
                break;
            }
            to += length;
        }
        self.at = to;
        let text = &self.src[from..to];
        // Go's upper case of these two is an ASCII letter, so they can be part of a keyword.
        let folds = |text: &str| text.len() <= LONGEST_FOLDED && text.contains(['ı', 'ſ']);
        let kind = match std::str::from_utf8(text) {
            Ok(text) if text.is_ascii() => keyword(self.src, from, to),
            Ok(text) if folds(text) => {
                let folded = text.replace('ı', "i").replace('ſ', "s");
                keyword(folded.as_bytes(), 0, folded.len())
            }
            _ => Kind::Name,
        };
        self.grouping.push(kind, text)
    }

    /// A character above ASCII: a space, or a letter that starts a name.
    fn other_script(&mut self) -> Result<(), Refused> {
        let (c, length) = decode(self.src, self.at);
        if is_blank(c) {
            self.at += length;
            return self.after_blank();
        }
        if is_letter(c) { self.long_word(self.at, self.at + length) } else { Err(Refused::default()) }
    }

    /// Spaces go on: a NUL here is not in front of a token, and is refused.
    fn after_blank(&mut self) -> Result<(), Refused> {
        loop {
            let (c, length) = decode(self.src, self.at);
            if length == 0 || !is_blank(c) {
                let is_nul = length == 1 && c == 0;
                return if is_nul { Err(Refused::default()) } else { Ok(()) };
            }
            self.at += length;
        }
    }

    fn number(&mut self) -> Result<(), Refused> {
        self.at = number_end(self.src, self.at);
        self.grouping.literal()
    }

    /// A `?`, a parameter, NULL ...: hidden.
    fn value(&mut self, to: usize) -> Result<(), Refused> {
        let from = self.at;
        self.at = to;
        self.grouping.value(&self.src[from..to])
    }

    fn string(&mut self) -> Result<(), Refused> {
        self.at += 1;
        self.quoted(b'\'')?;
        self.grouping.literal()
    }

    /// Moves behind the quoted text whose opening quote has been passed.
    #[inline(always)]
    fn quoted(&mut self, quote: u8) -> Result<Quoted, Refused> {
        let src = self.src;
        let from = self.at;
        let mut at = from;
        let mut is_escaped = false;
        loop {
            at = quote_or_backslash(src, at, quote);
            match src.get(at) {
                Some(b'\\') => {
                    self.saw_backslash = true;
                    if self.literal_backslashes {
                        at += 1;
                    } else {
                        // The character behind it is plain text; its length does not matter to the search.
                        is_escaped = true;
                        at += 2;
                        if at > src.len() {
                            return Err(Refused::default());
                        }
                    }
                }
                Some(_) if src.get(at + 1) == Some(&quote) => {
                    is_escaped = true;
                    at += 2;
                }
                Some(_) => {
                    self.at = at + 1;
                    return Ok(Quoted { content: (from, at), is_escaped });
                }
                None => return Err(Refused::default()),
            }
        }
    }

    /// The text between the quotes, in `self.name`; two quotes if there is nothing but spaces between them.
    fn unquote(&mut self, quoted: &Quoted, quote: u8) {
        let content = &self.src[quoted.content.0..quoted.content.1];
        self.name.clear();
        if quoted.is_escaped {
            let mut at = 0;
            while at < content.len() {
                let is_escape = content[at] == quote || (content[at] == b'\\' && !self.literal_backslashes);
                at += usize::from(is_escape);
                self.name.extend(content.get(at));
                at += 1;
            }
        } else {
            self.name.extend_from_slice(content);
        }
        if chars::is_all_blank(self.name) {
            self.name.clear();
            self.name.extend_from_slice(&[quote, quote]);
        }
    }

    fn quoted_name(&mut self, quote: u8, kind: Kind) -> Result<(), Refused> {
        self.at += 1;
        let quoted = self.quoted(quote)?;
        self.unquote(&quoted, quote);
        self.grouping.push(kind, self.name)
    }

    fn line_comment(&mut self, text: usize) -> Result<(), Refused> {
        let tail = self.src.get(text..).unwrap_or_default();
        let to = memchr::memchr(b'\n', tail).map_or(self.src.len(), |n| text + n + 1);
        self.comment(to)
    }

    fn block_comment(&mut self) -> Result<(), Refused> {
        let tail = &self.src[self.at + 2..];
        let end = memchr::memmem::find(tail, b"*/").ok_or_else(Refused::default)?;
        self.comment(self.at + 2 + end + 2)
    }

    fn comment(&mut self, to: usize) -> Result<(), Refused> {
        let text = &self.src[self.at..to];
        self.at = to;
        if self.config.keep_comments {
            self.name.clear();
            super::push_comment(text, self.name);
            self.grouping.comment(self.name);
            return Ok(());
        }
        self.grouping.push(Kind::Comment, text)
    }

    fn reading(&self) -> Reading {
        Reading { literal_backslashes: self.literal_backslashes, quoted_text: self.quoted_text }
    }

    fn minus(&mut self, next: u8) -> Result<(), Refused> {
        let src = self.src;
        let third = src.get(self.at + 2);
        match next {
            b'-' => self.line_comment(self.at + 2),
            // Taken for a number without digits.
            b'>' => {
                self.at += 1;
                self.grouping.literal()
            }
            b'0'..=b'9' => {
                self.at += 1;
                self.number()
            }
            b'.' => match third {
                Some(b'0'..=b'9') => {
                    self.at += 1;
                    self.number()
                }
                None => self.symbol(Kind::Other, 1),
                // Here the agent would swallow the quote, and take what was quoted for code and the reverse.
                Some(b'\'' | b'"') => Err(Refused::default()),
                Some(b'$') if !is_digit(byte(src, self.at + 3)) => Err(Refused::default()),
                Some(_) => self.swallow(),
            },
            _ => self.symbol(Kind::Other, 1),
        }
    }

    /// `-.` before anything but a digit: the dot is read twice, the second time in place of the last byte of the
    /// character behind it. That is how the agent reads it, and nothing of a literal can show.
    fn swallow(&mut self) -> Result<(), Refused> {
        let from = self.at;
        let dot = from + 1 + decode(self.src, from + 2).1;
        self.grouping.symbol(Kind::Other, self.src, from, dot)?;
        if is_digit(byte(self.src, dot + 1)) {
            self.at = fraction_end(self.src, dot + 1);
            return self.grouping.literal();
        }
        self.at = dot + 1;
        self.grouping.symbol(Kind::Other, self.src, dot, dot + 1)
    }

    fn operator(&mut self, first: u8, next: u8) -> Result<(), Refused> {
        let third = byte(self.src, self.at + 2);
        let length = match (first, next, third) {
            (b'<', b'=', b'>') | (b'!', b'~', b'*') => 3,
            (b'<', b'>' | b'=', _) | (b'>', b'=', _) | (b'~', b'*', _) | (b'!', b'=' | b'~', _) => 2,
            (b'!', ..) => {
                let (c, _) = decode(self.src, self.at + 1);
                let may_follow = matches!(next, b'(' | b'`' | b'\'' | b'"' | b'+' | b'-') || is_digit(next);
                if !may_follow && !is_blank(c) && !is_name_letter(c) {
                    return Err(Refused::default());
                }
                1
            }
            _ => 1,
        };
        self.symbol(Kind::Other, length)
    }

    /// `::`, `:=`, `:name`, and the colon by itself before a space, `]` or `$`.
    fn colon(&mut self) -> Result<(), Refused> {
        let (c, _) = decode(self.src, self.at + 1);
        match u8::try_from(c).unwrap_or(0x80) {
            b':' => self.symbol(Kind::Other, 2),
            b'=' | b']' | b'$' => self.symbol(Kind::Colon, 1),
            _ if is_blank(c) => self.symbol(Kind::Colon, 1),
            _ => {
                let mut to = self.at + 1;
                loop {
                    let (c, length) = decode(self.src, to);
                    let is_first = to == self.at + 1;
                    let goes_on = is_name_letter(c) || (0x30..=0x39).contains(&c) || (c == 0x2E && !is_first);
                    if !goes_on {
                        if is_first {
                            return Err(Refused::default());
                        }
                        return self.symbol(Kind::Other, to - self.at);
                    }
                    to += length;
                }
            }
        }
    }

    /// `%s`, `%(name)s`, or the operator.
    fn percent(&mut self, next: u8) -> Result<(), Refused> {
        if next == b'(' {
            let tail = &self.src[self.at + 2..];
            let after = self.at + 2 + memchr::memchr(b')', tail).ok_or_else(Refused::default)? + 1;
            let (c, length) = decode(self.src, after);
            return if is_name_letter(c) { self.value(after + length) } else { Err(Refused::default()) };
        }
        let (c, length) = decode(self.src, self.at + 1);
        if is_name_letter(c) { self.value(self.at + 1 + length) } else { self.symbol(Kind::Other, 1) }
    }

    fn brace(&mut self) -> Result<(), Refused> {
        // Only the first brace of a statement, and those inside of it, are shown. A first character of more than one
        // byte behind the brace hides it, by the way the agent counts.
        let leads = self.at == 0 && byte(self.src, 1) < 0x80;
        if leads || self.braces > 0 {
            self.braces += 1;
            return self.symbol(Kind::Other, 1);
        }
        let end = memchr::memchr(b'}', &self.src[self.at..]).ok_or_else(Refused::default)?;
        // What is in the braces may be anything, so it is hidden even where a table's name is expected.
        self.at += end + 1;
        self.grouping.literal()
    }

    /// `$1`, `$?`, or `$tag$ ... $tag$`.
    fn dollar(&mut self, next: u8) -> Result<(), Refused> {
        if is_digit(next) {
            return self.value(number_end(self.src, self.at + 1));
        }
        if next == b'?' {
            return self.value(self.at + 2);
        }
        self.at += 1;
        let quoted = self.quoted(b'$')?;
        self.unquote(&quoted, b'$');
        if self.name.as_slice() != b"$$" {
            self.name.insert(0, b'$');
            self.name.push(b'$');
        }
        if self.config.dollar_quoted_func && self.name.as_slice() == b"$func$" {
            return self.function_body();
        }
        // The agent takes anything up to the next `$` for a tag. What a server does not take for one may have been no
        // tag at all, and then the dollars behind it open and close the wrong things.
        let tag = &self.src[quoted.content.0..quoted.content.1];
        let is_tag = tag.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80);
        self.at = dollar_quoted_end(self.src, self.at, self.name, None).ok_or_else(Refused::default)?;
        if !is_tag && memchr::memchr(b'$', &self.src[self.at..]).is_some() {
            // Final: read with backslashes the other way the statement might pass, its quotes inside out.
            self.saw_backslash = false;
            return Err(Refused::default());
        }
        self.grouping.literal()
    }

    /// The text up to the next `$func$` is a statement of its own.
    fn function_body(&mut self) -> Result<(), Refused> {
        let mut body = Vec::new();
        let end = dollar_quoted_end(self.src, self.at, b"$func$", Some(&mut body));
        self.at = end.ok_or_else(Refused::default)?;
        let mut shown = b"$func$".to_vec();
        let is_readable = self.depth < DEEPEST
            && nested(&body, self.config, self.reading(), self.depth + 1, self.name, &mut shown).is_ok();
        if !is_readable {
            return self.grouping.literal();
        }
        shown.extend_from_slice(b"$func$");
        self.grouping.push(Kind::Other, &shown)
    }
}

/// What the word `src[from..to]` is.
#[inline(always)]
fn keyword(src: &[u8], from: usize, to: usize) -> Kind {
    const AS: u64 = pack_short("as");
    const NULL: u64 = pack_short("null");
    const TRUE: u64 = pack_short("true");
    const FROM: u64 = pack_short("from");
    const DROP: u64 = pack_short("drop");
    const INTO: u64 = pack_short("into");
    const JOIN: u64 = pack_short("join");
    const FALSE: u64 = pack_short("false");
    const LIMIT: u64 = pack_short("limit");
    const ALTER: u64 = pack_short("alter");
    const GRANT: u64 = pack_short("grant");
    const BEGIN: u64 = pack_short("begin");
    const CREATE: u64 = pack_short("create");
    const REVOKE: u64 = pack_short("revoke");
    const COMMIT: u64 = pack_short("commit");
    const SELECT: u64 = pack_short("select");
    const UPDATE: u64 = pack_short("update");
    const DELETE: u64 = pack_short("delete");
    const INSERT: u64 = pack_short("insert");
    const TRUNCATE: u64 = pack_short("truncate");
    const SAVEPOINT: u128 = pack("savepoint");
    match to - from {
        2 if packed_short(src, from, 2) == AS => Kind::As,
        4 => match packed_short(src, from, 4) {
            NULL | TRUE => Kind::Value,
            FROM => Kind::From,
            INTO => Kind::Into,
            JOIN => Kind::Join,
            DROP => Kind::Keyword,
            _ => Kind::Name,
        },
        5 => match packed_short(src, from, 5) {
            FALSE => Kind::Value,
            LIMIT | ALTER | GRANT | BEGIN => Kind::Keyword,
            _ => Kind::Name,
        },
        6 => match packed_short(src, from, 6) {
            SELECT => Kind::Select,
            UPDATE => Kind::Update,
            DELETE => Kind::Delete,
            CREATE | REVOKE | COMMIT | INSERT => Kind::Keyword,
            _ => Kind::Name,
        },
        8 if packed_short(src, from, 8) == TRUNCATE => Kind::Keyword,
        9 if packed(src, from, to) == SAVEPOINT => Kind::Savepoint,
        _ => Kind::Name,
    }
}
