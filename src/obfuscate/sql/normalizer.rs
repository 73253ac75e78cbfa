//! Normalizing of the SQL modes: one space between tokens, no comments, no aliases, one `?` for a list of them.
//!
//! What go-sqllexer's normalizer does, its slips included: a leading expression in parentheses that is no statement is
//! dropped, and what belongs to it may then be left in front. With masking on, [`Masking`] sees each token first.

use super::chars;
use super::config::{Dialect, SqlConfig, SqlMode};
use super::lexer::{Kind, Lexer, Token};
use super::masking::{DELIMITER, Masked, Masking, push_character};
use super::{Scratch, SqlConfig as Options};

/// Appends the normalized (and, in that mode, masked) `src` to `out`.
pub(super) fn normalize(
    src: &[u8],
    dialect: Dialect,
    config: &Options,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let is_masking = config.obfuscation_mode == Some(SqlMode::ObfuscateAndNormalize);
    let masking = is_masking.then(|| Masking::new(config, dialect));
    run(src, dialect, config, masking, 0, scratch, out);
}

/// How deep function bodies are normalized; a deeper one stays as it is. There is one within another only where a
/// statement was put together to have it.
const DEEPEST: u8 = 4;

fn run(
    src: &[u8],
    dialect: Dialect,
    config: &SqlConfig,
    mut masking: Option<Masking>,
    depth: u8,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    scratch.head.clear();
    let Scratch { name, bare, head } = scratch;
    let mut normalizer = Normalizer::new(config, out, head);
    let mut lexer = Lexer::new(src, dialect, masking.is_some());
    while let Some(token) = lexer.next() {
        if matches!(token.kind, Kind::Space | Kind::Comment) {
            if token.kind == Kind::Comment && config.keep_comments {
                normalizer.comment(&src[token.from..token.to]);
            }
            continue;
        }
        let masked = masking.as_mut().map_or(Masked::Kept, |masking| masking.mask(&token, src, name));
        let mut text = match masked {
            Masked::Kept => &src[token.from..token.to],
            Masked::Hidden => b"?",
            Masked::Changed => name.as_slice(),
        };
        if token.kind == Kind::QuotedName && normalizer.strips(&token, text) {
            strip_quotes(text, bare);
            text = bare;
        } else if token.kind == Kind::DollarFunction && masked != Masked::Hidden && depth < DEEPEST {
            normalize_function(text, config, depth, bare);
            text = bare;
        }
        normalizer.push(token.kind, text);
    }
    normalizer.end();
    if !config.keep_trailing_semicolon && out.len() > start && out.last() == Some(&b';') {
        out.pop();
    }
    trim(out, start);
}

/// A function's body is normalized without a dialect, and not masked again.
fn normalize_function(text: &[u8], config: &SqlConfig, depth: u8, body: &mut Vec<u8>) {
    let inner = text.get(DELIMITER.len()..text.len() - DELIMITER.len()).unwrap_or_default();
    let mut normalized = DELIMITER.to_vec();
    run(inner, Dialect::Generic, config, None, depth + 1, &mut Scratch::default(), &mut normalized);
    normalized.extend_from_slice(DELIMITER);
    *body = normalized;
}

/// What the rules ask about the token before.
#[derive(Clone, Copy)]
struct Last {
    kind: Kind,
    /// Its text if it is one byte, else 0.
    single: u8,
    /// Whether it is longer than a byte and ends with a dot.
    ends_with_dot: bool,
}

struct Normalizer<'a, 'o> {
    config: &'a SqlConfig,
    out: &'o mut Vec<u8>,
    start: usize,
    /// The leading expression in parentheses.
    head: &'o mut Vec<u8>,
    leading: Leading,
    has_command: bool,
    parentheses: u32,
    last: Option<Last>,
    /// The text of the AS before.
    alias: [u8; 2],
    /// Whether values are being grouped.
    in_list: bool,
    /// What was in front of a colon, if a colon was written last.
    before_colon: Option<Option<Kind>>,
}

/// Where we are in the leading expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leading {
    /// Nothing was read yet.
    Unknown,
    Inside,
    /// Its closing parenthesis was read, and nothing after it.
    Closed,
    Past,
}

impl<'a, 'o> Normalizer<'a, 'o> {
    fn new(config: &'a SqlConfig, out: &'o mut Vec<u8>, head: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Normalizer {
            config,
            out,
            start,
            head,
            leading: Leading::Unknown,
            has_command: false,
            parentheses: 0,
            last: None,
            alias: *b"AS",
            in_list: false,
            before_colon: None,
        }
    }

    /// Takes one token that is neither space nor comment.
    fn push(&mut self, kind: Kind, text: &[u8]) {
        self.write(kind, text);
        let single = if let [b] = text { *b } else { 0 };
        let ends_with_dot = text.len() > 1 && text.last() == Some(&b'.');
        if let (Kind::Alias, &[a, s]) = (kind, text) {
            self.alias = [a, s];
        }
        self.last = Some(Last { kind, single, ends_with_dot });
    }

    /// Writes a comment that stays; no rule sees it.
    fn comment(&mut self, text: &[u8]) {
        let to = if self.leading == Leading::Inside { &mut *self.head } else { &mut *self.out };
        if !to.is_empty() {
            to.push(b' ');
        }
        super::push_comment(text, to);
    }

    /// An expression that nothing followed stays.
    fn end(&mut self) {
        if matches!(self.leading, Leading::Inside | Leading::Closed) {
            self.out.extend_from_slice(self.head);
        }
    }

    fn write(&mut self, kind: Kind, text: &[u8]) {
        let single = if let [b] = text { *b } else { 0 };
        match self.leading {
            Leading::Unknown if kind == Kind::Punctuation && single == b'(' => {
                self.leading = Leading::Inside;
                self.parentheses = 1;
                self.head.push(b'(');
                return;
            }
            Leading::Unknown => self.leading = Leading::Past,
            Leading::Closed => {
                // A statement in parentheses stays, a list of parameters goes.
                if self.has_command {
                    self.out.extend_from_slice(self.head);
                }
                self.leading = Leading::Past;
            }
            Leading::Inside | Leading::Past => {}
        }
        if !self.config.keep_sql_alias {
            if kind == Kind::Alias {
                return;
            }
            if self.last.is_some_and(|last| last.kind == Kind::Alias) {
                if is_name(kind) {
                    return;
                }
                // Not an alias, as in `WITH x AS (`.
                self.space(kind, single, false);
                self.out.extend_from_slice(&self.alias);
            }
        }
        if self.is_repeated(single) {
            return;
        }
        let is_inside = self.leading == Leading::Inside;
        self.space(kind, single, is_inside);
        if is_inside {
            self.head.extend_from_slice(text);
            self.has_command |= kind == Kind::Command;
            if kind == Kind::Punctuation && single == b'(' {
                self.parentheses += 1;
            } else if kind == Kind::Punctuation && single == b')' {
                self.parentheses -= 1;
                if self.parentheses == 0 {
                    self.leading = Leading::Closed;
                }
            }
        } else {
            self.out.extend_from_slice(text);
        }
        self.before_colon = (single == b':').then(|| self.last.map(|last| last.kind));
    }

    /// Whether the token is dropped as one more of a list of values.
    fn is_repeated(&mut self, single: u8) -> bool {
        let Some(last) = self.last else {
            return false;
        };
        if single == b'?' {
            if matches!(last.single, b'(' | b'[') {
                self.in_list = true;
            } else if last.single == b',' && self.in_list {
                return true;
            }
        }
        if last.single == b'?' && single == b',' && self.in_list {
            return true;
        }
        if self.in_list && matches!(single, b')' | b']') {
            self.in_list = false;
        } else if self.in_list && single != b'?' && last.single == b',' {
            // Not a value after all: the comma that may have been dropped comes back.
            self.out.push(b',');
        }
        false
    }

    /// Writes the space in front of a token, if there is one.
    fn space(&mut self, kind: Kind, single: u8, is_inside: bool) {
        if let Some(last) = self.last {
            let opened = last.kind == Kind::Function || matches!(last.single, b'(' | b'[');
            if self.config.remove_space_between_parentheses && opened {
                return;
            }
            if last.ends_with_dot && is_name(kind) {
                return;
            }
            // `:name` is a parameter, unless a name in front of the colon makes it a label or a path.
            let is_parameter = last.single == b':'
                && is_name(kind)
                && self.before_colon.is_some_and(|before| !before.is_some_and(is_name));
            if is_parameter || (last.single == b':' && single == b'=') {
                return;
            }
        }
        if self.config.remove_space_between_parentheses && matches!(single, b')' | b']') {
            return;
        }
        if matches!(single, b',' | b';') {
            return;
        }
        if is_inside {
            self.head.push(b' ');
        } else if self.out.len() > self.start {
            // At the start it would only be trimmed again.
            self.out.push(b' ');
        }
    }

    /// Whether the quotes of a quoted name go.
    fn strips(&self, token: &Token, text: &[u8]) -> bool {
        let is_alias = self.last.is_some_and(|last| last.kind == Kind::Alias);
        !self.config.keep_identifier_quotation
            && (token.is_simple || !is_alias)
            && !text.iter().any(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
    }
}

fn is_name(kind: Kind) -> bool {
    matches!(kind, Kind::Name | Kind::QuotedName)
}

/// `text` without any of the quotes of names, in `bare`.
fn strip_quotes(text: &[u8], bare: &mut Vec<u8>) {
    bare.clear();
    let mut at = 0;
    while at < text.len() {
        if matches!(text[at], b'"' | b'[' | b']' | b'`') {
            at += 1;
        } else {
            at += push_character(text, at, bare);
        }
    }
}

/// Removes what Go takes for spaces from both ends of `out[start..]`.
pub(super) fn trim(out: &mut Vec<u8>, start: usize) {
    let text = &out[start..];
    let mut from = 0;
    while from < text.len() {
        let (c, length) = chars::decode(text, from);
        if !chars::is_blank(c) {
            break;
        }
        from += length;
    }
    let mut to = text.len();
    while to > from {
        let length = last_character(&text[from..to]);
        if !chars::is_blank(chars::decode(&text[..to], to - length).0) {
            break;
        }
        to -= length;
    }
    out.truncate(start + to);
    out.drain(start..start + from);
}

/// The length of the last character.
fn last_character(text: &[u8]) -> usize {
    (2..=text.len().min(4)).find(|n| chars::decode(text, text.len() - n).1 == *n).unwrap_or(1)
}
