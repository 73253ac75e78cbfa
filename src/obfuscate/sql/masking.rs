//! Hiding the literals of the SQL modes: what go-sqllexer's obfuscator does with each token.
//!
//! [`mask`] is the mode `obfuscate_only`: every token as it is, spaces and comments included, literals as `?`. The mode
//! that normalizes as well asks [`Masking`] token by token.

use super::chars;
use super::config::{Dialect, SqlConfig};
use super::keywords::{equals_folded, is_extract_field};
use super::lexer::{Kind, Lexer, Token};
use super::{Scratch, normalizer};

/// Appends the masked `src` to `out`.
pub(super) fn mask(src: &[u8], dialect: Dialect, config: &SqlConfig, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let start = out.len();
    mask_into(src, dialect, config, &mut scratch.name, out);
    normalizer::trim(out, start);
}

fn mask_into(src: &[u8], dialect: Dialect, config: &SqlConfig, name: &mut Vec<u8>, out: &mut Vec<u8>) {
    let mut lexer = Lexer::new(src, dialect, true);
    let mut masking = Masking::new(config, dialect);
    while let Some(token) = lexer.next() {
        match masking.mask(&token, src, name) {
            Masked::Kept => out.extend_from_slice(&src[token.from..token.to]),
            Masked::Hidden => out.push(b'?'),
            Masked::Changed => out.extend_from_slice(name),
        }
    }
}

/// What became of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Masked {
    Kept,
    /// A `?` stands for it.
    Hidden,
    /// Its text is in the buffer that was lent.
    Changed,
}

/// Decides token by token; remembers what the rules ask about earlier tokens.
pub(super) struct Masking<'c> {
    config: &'c SqlConfig,
    dialect: Dialect,
    is_after_json_operator: bool,
    extract: Extract,
}

/// How far an `EXTRACT(field` has been seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extract {
    No,
    Function,
    Parenthesis,
}

impl<'c> Masking<'c> {
    pub(super) fn new(config: &'c SqlConfig, dialect: Dialect) -> Self {
        Masking { config, dialect, is_after_json_operator: false, extract: Extract::No }
    }

    /// What is to be written for `token`; a changed text goes to `name`.
    pub(super) fn mask(&mut self, token: &Token, src: &[u8], name: &mut Vec<u8>) -> Masked {
        if matches!(token.kind, Kind::Space | Kind::Comment) {
            return Masked::Kept;
        }
        let text = &src[token.from..token.to];
        let masked = self.masked(token, text, name);
        self.is_after_json_operator = token.kind == Kind::JsonOperator;
        self.extract = match (self.extract, token.kind) {
            (_, Kind::Function) if equals_folded(text, b"EXTRACT") => Extract::Function,
            (Extract::Function, Kind::Punctuation) if text == b"(" => Extract::Parenthesis,
            _ => Extract::No,
        };
        masked
    }

    fn masked(&mut self, token: &Token, text: &[u8], name: &mut Vec<u8>) -> Masked {
        let config = self.config;
        let is_hidden = match token.kind {
            Kind::Number | Kind::String => !(config.keep_json_path && self.is_after_json_operator),
            Kind::DollarFunction if config.dollar_quoted_func => {
                self.mask_function(text, name);
                return Masked::Changed;
            }
            Kind::DollarFunction => true,
            Kind::Positional => !config.keep_positional_parameter,
            Kind::Bind => config.replace_bind_parameter,
            Kind::Boolean => !config.keep_boolean,
            Kind::Null => !config.keep_null,
            Kind::Name if self.extract == Extract::Parenthesis && is_extract_field(text) => true,
            Kind::Name | Kind::QuotedName if config.replace_digits && token.has_digits => {
                replace_digits(text, name);
                return Masked::Changed;
            }
            _ => false,
        };
        if is_hidden { Masked::Hidden } else { Masked::Kept }
    }

    /// The text between `$func$` and `$func$`, masked and trimmed, in `body` with its delimiters. There is no such
    /// text within it: the first `$func$` behind the opening one ends it.
    fn mask_function(&self, text: &[u8], body: &mut Vec<u8>) {
        let inner = text.get(DELIMITER.len()..text.len() - DELIMITER.len()).unwrap_or_default();
        let mut name = Vec::new();
        body.clear();
        body.extend_from_slice(DELIMITER);
        mask_into(inner, self.dialect, self.config, &mut name, body);
        normalizer::trim(body, DELIMITER.len());
        body.extend_from_slice(DELIMITER);
    }
}

/// What embraces a function's body.
pub(super) const DELIMITER: &[u8] = b"$func$";

/// `text` in `name`, each run of digits as one `?`. Go walks over characters, so what is not UTF-8 is replaced.
fn replace_digits(text: &[u8], name: &mut Vec<u8>) {
    name.clear();
    let mut at = 0;
    while at < text.len() {
        let digits = chars::digits_end(text, at);
        if digits > at {
            name.push(b'?');
            at = digits;
        } else {
            at += push_character(text, at, name);
        }
    }
}

/// Appends the character at `at` as Go writes it back, and returns its length in `text`.
pub(super) fn push_character(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let (c, length) = chars::decode(text, at);
    if c == chars::REPLACEMENT {
        out.extend_from_slice("\u{FFFD}".as_bytes());
    } else {
        out.extend_from_slice(&text[at..at + length]);
    }
    length
}
