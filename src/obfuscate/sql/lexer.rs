//! The lexer of the SQL modes: cuts a statement into the tokens that go-sqllexer 0.2.4 would find.
//!
//! It takes any bytes and never fails. A NUL where a token may start ends the statement, as there. Characters are read
//! byte by byte in most places, so a token may end inside of a character that is not ASCII.
//!
//! One difference on purpose, when literals are to be hidden: where an unterminated `$` or quote makes the Go lexer
//! give up and pass the rest on untouched, the rest is read on or hidden if there is a literal in it.

use super::chars::{
    self, byte, decode, digits_end, hex_end, is_ascii_letter, is_digit, is_letter, is_number,
};
use super::config::Dialect;
use super::keywords::{self, Word};

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Unterminated; the rest of the statement.
    Error,
    Space,
    String,
    Number,
    Name,
    QuotedName,
    Operator,
    Comment,
    Punctuation,
    /// `$func$ ... $func$`.
    DollarFunction,
    Positional,
    Bind,
    Function,
    Unknown,
    Command,
    Keyword,
    JsonOperator,
    Boolean,
    Null,
    Alias,
}

/// A token: `src[from..to]`.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Of names: whether there are digits in it.
    pub(super) has_digits: bool,
    /// Of quoted names: whether it could do without quotes (a letter, then letters and digits).
    pub(super) is_simple: bool,
}

/// Cuts one statement.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    src: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// Whether literals are to be hidden, so that unterminated things must not hide them from us.
    is_masking: bool,
    /// Only tags that a server would take open a text: others were looked for in vain often enough.
    plain_dollars: bool,
    /// How many bytes were looked through in vain.
    in_vain: usize,
    /// Up to here it is known that a literal follows.
    literal_at: usize,
    /// Quotes of names are ordinary characters.
    plain_quotes: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(src: &'a [u8], dialect: Dialect, is_masking: bool) -> Self {
        Lexer {
            src,
            at: 0,
            dialect,
            is_masking,
            plain_dollars: false,
            in_vain: 0,
            literal_at: 0,
            plain_quotes: false,
        }
    }

    /// The next token, or none at the end.
    pub(super) fn next(&mut self) -> Option<Token> {
        let from = self.at;
        let (first, next) = (byte(self.src, from), byte(self.src, from + 1));
        if first == 0 {
            return None;
        }
        let is = |dialect| self.dialect == dialect;
        let kind = match first {
            b' ' | b'\t' | b'\n' | b'\r' => {
                while matches!(byte(self.src, self.at), b' ' | b'\t' | b'\n' | b'\r') {
                    self.at += 1;
                }
                Kind::Space
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => return Some(self.word()),
            b'"' if self.dialect.has_quoted_text() => self.string(b'"'),
            b'"' if !self.plain_quotes => return Some(self.quoted_name(b'"')),
            b'\'' => self.string(b'\''),
            b'-' if next == b'-' => self.line_comment(2),
            b'/' if next == b'*' => self.block_comment(),
            b'+' | b'-' if is_digit(next) || next == b'.' => {
                self.at = decimal_end(self.src, from + 1);
                Kind::Number
            }
            b'0'..=b'9' => {
                self.at = number_end(self.src, from);
                Kind::Number
            }
            b'*' => self.take(1, Kind::Operator),
            b'$' if is_digit(next) => {
                self.at = digits_end(self.src, from + 2);
                Kind::Positional
            }
            b'$' if is(Dialect::SqlServer) && self.is_letter_at(from + 1) => return Some(self.word()),
            b'$' => return Some(self.dollar()),
            b':' if is(Dialect::Oracle) && self.is_alphanumeric_at(from + 1) => self.parameter(2, Kind::Bind),
            b'`' if is(Dialect::MySql) && !self.plain_quotes => return Some(self.quoted_name(b'`')),
            b'#' if is(Dialect::SqlServer) => return Some(self.word()),
            b'#' if is(Dialect::MySql) => self.line_comment(1),
            b'@' if next == b'@' && self.is_alphanumeric_at(from + 2) => self.parameter(2, Kind::Unknown),
            b'@' if next == b'@' => self.take(2, Kind::JsonOperator),
            b'@' if self.is_alphanumeric_at(from + 1) => {
                if is(Dialect::Snowflake) {
                    return Some(self.word());
                }
                self.parameter(2, Kind::Bind)
            }
            b'@' if next == b'?' || next == b'>' => self.take(2, Kind::JsonOperator),
            _ if is_operator(first) => self.operator(first, next),
            b'[' if is(Dialect::SqlServer) && !self.plain_quotes => return Some(self.quoted_name(b'[')),
            _ if is_punctuation(first) => self.take(1, Kind::Punctuation),
            _ => {
                let (c, length) = decode(self.src, from);
                if c >= 0x80 && is_letter(c) {
                    return Some(self.foreign_name());
                }
                self.take(length, Kind::Unknown)
            }
        };
        Some(self.token(kind, from))
    }

    fn token(&self, kind: Kind, from: usize) -> Token {
        Token { kind, from, to: self.at, has_digits: false, is_simple: false }
    }

    fn take(&mut self, length: usize, kind: Kind) -> Kind {
        self.at += length;
        kind
    }

    fn is_letter_at(&self, at: usize) -> bool {
        let (c, _) = decode(self.src, at);
        c == u32::from(b'_') || is_letter(c)
    }

    fn is_alphanumeric_at(&self, at: usize) -> bool {
        let (c, _) = decode(self.src, at);
        c == u32::from(b'_') || is_letter(c) || is_number(c)
    }

    /// A keyword, function or name that starts with an ASCII character.
    fn word(&mut self) -> Token {
        let from = self.at;
        let letters = chars::letters_end(self.src, from);
        let (after, next) = (byte(self.src, letters), byte(self.src, letters + 1));
        let ends_keyword = matches!(after, 0 | b' ' | b'\t' | b'\n' | b'\r')
            || is_punctuation(after)
            || (after == b'/' && next == b'*');
        if ends_keyword && let Some(word) = keywords::word(self.src, from, letters) {
            self.at = letters;
            let kind = match word {
                Word::Command => Kind::Command,
                Word::Keyword => Kind::Keyword,
                Word::Boolean => Kind::Boolean,
                Word::Null => Kind::Null,
                Word::Alias => Kind::Alias,
            };
            return self.token(kind, from);
        }
        self.at = letters;
        let has_digits = self.rest_of_name();
        let kind = if byte(self.src, self.at) == b'(' { Kind::Function } else { Kind::Name };
        Token { has_digits, ..self.token(kind, from) }
    }

    /// A name that starts with a letter above ASCII: never a keyword or a function.
    fn foreign_name(&mut self) -> Token {
        let from = self.at;
        let has_digits = self.rest_of_name();
        Token { has_digits, ..self.token(Kind::Name, from) }
    }

    /// Moves behind the name and says whether there are digits in this part of it.
    fn rest_of_name(&mut self) -> bool {
        let from = self.at;
        loop {
            self.at = chars::name_end(self.src, self.at);
            let (c, length) = decode(self.src, self.at);
            if c < 0x80 || !is_letter(c) {
                return self.src[from..self.at].iter().any(|&b| is_digit(b));
            }
            self.at += length;
        }
    }

    /// A quoted text; without its closing quote it goes to the end.
    fn string(&mut self, quote: u8) -> Kind {
        let escapes = !matches!(self.dialect, Dialect::SqlServer | Dialect::Oracle);
        self.at += 1;
        loop {
            match byte(self.src, self.at) {
                b'\\' if escapes => {
                    // A NUL cannot be escaped: it ends the statement.
                    self.at += 1;
                    if byte(self.src, self.at) == 0 {
                        return Kind::String;
                    }
                    self.at += 1;
                }
                0 => return Kind::String,
                b => {
                    self.at += 1;
                    if b == quote {
                        return Kind::String;
                    }
                }
            }
        }
    }

    /// `"a"`, `` `a` `` or `[a]`; `"a"."b"` is one name.
    fn quoted_name(&mut self, open: u8) -> Token {
        let from = self.at;
        let close = if open == b'[' { b']' } else { open };
        let (mut has_digits, mut is_simple, mut is_first) = (false, true, true);
        self.at += 1;
        loop {
            let (c, length) = decode(self.src, self.at);
            if c == u32::from(close) {
                if byte(self.src, self.at + 1) == b'.' && byte(self.src, self.at + 2) == open {
                    is_simple = false;
                    self.at += 3;
                    continue;
                }
                self.at += 1;
                is_simple &= !is_first;
                return Token { has_digits, is_simple, ..self.token(Kind::QuotedName, from) };
            }
            if c == 0 {
                return self.unterminated_name(from);
            }
            has_digits |= (0x30..=0x39).contains(&c);
            let is_good = c == u32::from(b'_') || is_letter(c) || (!is_first && is_number(c));
            is_simple &= is_good;
            is_first = false;
            self.at += length;
        }
    }

    fn unterminated_name(&mut self, from: usize) -> Token {
        let is_hiding = self.is_masking && self.has_literal_behind(from + 1, true);
        self.token(if is_hiding { Kind::String } else { Kind::Error }, from)
    }

    fn line_comment(&mut self, mark: usize) -> Kind {
        let from = self.at + mark;
        self.at = memchr::memchr2(b'\n', 0, &self.src[from..]).map_or(self.src.len(), |n| from + n);
        Kind::Comment
    }

    fn block_comment(&mut self) -> Kind {
        self.at += 2;
        loop {
            match byte(self.src, self.at) {
                0 => return Kind::Error,
                b'*' if byte(self.src, self.at + 1) == b'/' => return self.take(2, Kind::Comment),
                _ => self.at += 1,
            }
        }
    }

    fn parameter(&mut self, mark: usize, kind: Kind) -> Kind {
        self.at += mark;
        while self.is_alphanumeric_at(self.at) {
            self.at += 1;
        }
        kind
    }

    fn operator(&mut self, first: u8, next: u8) -> Kind {
        let third = byte(self.src, self.at + 2);
        match (first, next) {
            (b'-' | b'#', b'>') if third == b'>' => return self.take(3, Kind::JsonOperator),
            (b'-' | b'#', b'>') | (b'#', b'-') | (b'?', b'|' | b'&') | (b'<', b'@') => {
                return self.take(2, Kind::JsonOperator);
            }
            _ => {}
        }
        let mut last = first;
        self.at += 1;
        loop {
            let b = byte(self.src, self.at);
            if !is_operator(b) || (last == b'=' && matches!(b, b'?' | b'@')) {
                return Kind::Operator;
            }
            last = b;
            self.at += 1;
        }
    }

    /// `$tag$ ... $tag$`; the tag may be anything up to the next `$`. The Go lexer gives up where the tag does not come
    /// again, and shows what follows; when literals are to be hidden, what follows is read on.
    fn dollar(&mut self) -> Token {
        let (src, from) = (self.src, self.at);
        let tag_end = memchr::memchr(b'$', &src[from + 1..]).map_or(src.len(), |n| from + 1 + n + 1);
        // What a server takes for a tag.
        let is_tag = tag_end > from + 1
            && src[tag_end - 1] == b'$'
            && src[from + 1..tag_end - 1].iter().all(|&b| is_ascii_letter(b) || is_digit(b) || b >= 0x80);
        if self.plain_dollars && !is_tag {
            return self.lone_dollar();
        }
        // Go compares the low bytes of the tag's characters with the bytes of the text.
        let tag = &src[from..tag_end];
        let is_ascii = tag.is_ascii();
        let folded = if is_ascii { Vec::new() } else { low_bytes(tag) };
        let tag = if is_ascii { tag } else { &folded };
        let end = memchr::memmem::find(&src[tag_end..], tag).map(|n| tag_end + n + tag.len());
        // What no server takes for a tag may pair with a dollar that belongs to another literal, if there are more.
        let is_doubtful =
            |end: usize| self.is_masking && !is_tag && memchr::memchr(b'$', &src[end..]).is_some();
        if let Some(end) = end.filter(|end| !is_doubtful(*end)) {
            self.at = end;
            let is_function = is_ascii && tag == b"$func$";
            return self.token(if is_function { Kind::DollarFunction } else { Kind::String }, from);
        }
        if self.is_masking && is_tag {
            // An unterminated literal.
            self.at = src.len();
            return self.token(Kind::String, from);
        }
        if self.is_masking && self.has_literal_behind(from + 1, false) {
            // Each search reads to the end, so there may not be many of them.
            self.in_vain += src.len() - from;
            self.plain_dollars = self.in_vain > 16 * src.len();
            return self.lone_dollar();
        }
        self.at = src.len();
        self.token(Kind::Error, from)
    }

    /// A `$` that opens nothing: part of a name, or by itself.
    fn lone_dollar(&mut self) -> Token {
        if self.is_letter_at(self.at + 1) {
            return self.word();
        }
        let from = self.at;
        self.at += 1;
        self.token(Kind::Unknown, from)
    }

    /// Whether anything behind `at` would be hidden if it were read on. What was found is remembered, so the
    /// statement is read once more at most, however often this is asked.
    fn has_literal_behind(&mut self, at: usize, plain_quotes: bool) -> bool {
        if at <= self.literal_at {
            return true;
        }
        let mut rest = Lexer { at, plain_dollars: true, plain_quotes, ..self.clone() };
        while let Some(token) = rest.next() {
            if matches!(token.kind, Kind::String | Kind::Number | Kind::DollarFunction) {
                self.literal_at = token.from;
                return true;
            }
        }
        false
    }
}

/// The low byte of each character.
fn low_bytes(text: &[u8]) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        let (c, length) = decode(text, at);
        bytes.push(c as u8);
        at += length;
    }
    bytes
}

/// Where a number that starts with a digit ends.
fn number_end(src: &[u8], at: usize) -> usize {
    match (byte(src, at), byte(src, at + 1)) {
        (b'0', b'x' | b'X') => hex_end(src, at + 2),
        (b'0', b'0'..=b'7') => {
            let tail = &src[at..];
            tail.iter().position(|b| !matches!(b, b'0'..=b'7')).map_or(src.len(), |n| at + n)
        }
        _ => decimal_end(src, at + 1),
    }
}

/// Digits, dots and exponents in any order and number.
fn decimal_end(src: &[u8], mut at: usize) -> usize {
    loop {
        match byte(src, at) {
            b'0'..=b'9' | b'.' => at += 1,
            b'e' | b'E' => at += 1 + usize::from(matches!(byte(src, at + 1), b'+' | b'-')),
            _ => return at,
        }
    }
}

fn is_operator(b: u8) -> bool {
    matches!(
        b,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'='
            | b'<'
            | b'>'
            | b'!'
            | b'&'
            | b'|'
            | b'^'
            | b'%'
            | b'~'
            | b'?'
            | b'@'
            | b':'
            | b'#'
    )
}

fn is_punctuation(b: u8) -> bool {
    matches!(b, b'(' | b')' | b',' | b';' | b'.' | b':' | b'[' | b']' | b'{' | b'}')
}
