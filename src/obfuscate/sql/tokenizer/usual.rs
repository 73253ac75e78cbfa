//! The usual tokens of a statement, found in 64 bytes at a time: names, quoted ones too, literals, `( ) , = . * + < >`.
//!
//! Where names, digits, spaces and quotes stand in a [`Window`] is known at once, so no token is walked byte by byte.
//! What kind of literal comes next cannot be foretold, and each wrong guess costs as much as reading a token. So nobody
//! asks: literals and the commas between them are one run, which ends at the first character that is in no such run
//! ([`Window::values_end`]); of all of them one `?` shows. Inside of several lists the parentheses belong to it, too.
//!
//! Whatever is not usual is left to [`Scanner`], which holds the whole rule: other characters, escapes, long names, a
//! name in lists of lists, and everything under options that change names.

use super::{Kind, Scanner};
use crate::normalize::swar::range;
use crate::obfuscate::lanes;
use crate::obfuscate::sql::grouping::State;
use crate::obfuscate::sql::keywords::{pack_short, packed_short};
use wide::u8x16;

/// Bytes that are looked at together.
const BLOCK: usize = 64;
/// The longest name; so much is copied of each.
const NAME: usize = 32;
/// A name at the end of a block is copied, too.
const WINDOW: usize = BLOCK + NAME;
/// What a block may become: at most two bytes for each, and the copy of a name behind them.
const ROOM: usize = 2 * BLOCK + NAME + 1;
/// With so many bytes left in a block, a literal that does not end there is left to the whole rule.
const ENOUGH: usize = 32;
/// For fewer bytes a look at a whole block does not pay.
const FEW: usize = 16;

/// What a token may be by its first byte.
const UNUSUAL: u8 = 0;
const WORD: u8 = 1;
const DIGIT: u8 = 2;
const MINUS: u8 = 3;
const DOLLAR: u8 = 4;
const QUOTE: u8 = 5;
const COMMA: u8 = 6;
const OPEN: u8 = 7;
const CLOSE: u8 = 8;
const SYMBOL: u8 = 9;
const PLACEHOLDER: u8 = 10;
const NAME_QUOTE: u8 = 11;
const ANGLE: u8 = 12;
const PERCENT: u8 = 13;
const STAR_JOINS: u8 = SYMBOL | JOINS;
/// Bit: behind a name, it may belong to it.
const JOINS: u8 = 0x80;
const DOLLAR_JOINS: u8 = DOLLAR | JOINS;

static CLASS: [u8; 256] = {
    let mut table = [UNUSUAL; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match b as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => WORD,
            b'0'..=b'9' => DIGIT,
            b'-' => MINUS,
            b'$' => DOLLAR_JOINS,
            b'\'' => QUOTE,
            b',' => COMMA,
            b'(' => OPEN,
            b')' => CLOSE,
            b'=' | b'+' | b'.' => SYMBOL,
            b'*' => STAR_JOINS,
            b'"' | b'`' => NAME_QUOTE,
            b'<' | b'>' => ANGLE,
            b'%' => PERCENT,
            b'?' => PLACEHOLDER,
            b'@' | b'#' | 0x80.. => UNUSUAL | JOINS,
            _ => UNUSUAL,
        };
        b += 1;
    }
    table
};

/// How long a word with this first letter is that is more than a name, or 0: AS, NULL, TRUE, FALSE, SAVEPOINT. There is
/// one for each letter.
static LENGTH: [u8; 256] = {
    let mut table = [0; 256];
    let words = [(b'a', 2), (b'n', 4), (b't', 4), (b'f', 5), (b's', 9)];
    let mut i = 0;
    while i < words.len() {
        table[words[i].0 as usize] = words[i].1;
        table[words[i].0.to_ascii_uppercase() as usize] = words[i].1;
        i += 1;
    }
    table
};

/// The end of a statement, filled up so that a window may begin at any of its places.
pub(super) struct Tail {
    base: usize,
    text: [u8; 2 * WINDOW],
}

impl Tail {
    pub(super) fn of(src: &[u8]) -> Self {
        let base = src.len().saturating_sub(WINDOW);
        let mut text = [0; 2 * WINDOW];
        let end = src.get(base..).unwrap_or_default();
        text[..end.len()].copy_from_slice(end);
        Tail { base, text }
    }

    /// The bytes of a window at `base`.
    #[inline(always)]
    fn window<'w>(&'w self, src: &'w [u8], base: usize) -> Option<&'w [u8; WINDOW]> {
        let inside = src.get(base..).and_then(|tail| tail.first_chunk());
        inside.or_else(|| self.text.get(base.wrapping_sub(self.base)..)?.first_chunk())
    }
}

/// A block of a statement; the lowest bit is the byte at `base`.
#[derive(Default)]
pub(super) struct Window {
    base: usize,
    /// Whether the block was looked at.
    is_read: bool,
    /// Where names end: no letter, digit, `_` or `.`.
    not_names: u64,
    digits: u64,
    not_spaces: u64,
    values: Option<Values>,
}

/// What only lists of values ask for.
#[derive(Clone, Copy)]
struct Values {
    quotes: u64,
    /// What is a part of a number if a digit follows: `-`, `$` and `.`.
    leads: u64,
    parens: u64,
    /// What is in no list of values, unless it is quoted.
    others: u64,
    /// What is in no number that begins with `0x`.
    not_hex: u64,
    has_backslash: bool,
}

fn is(bytes: u8x16, b: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(b))
}

impl Window {
    #[inline(always)]
    fn read(base: usize, text: &[u8; WINDOW]) -> Self {
        let block = lanes::block(text);
        let names = |bytes: u8x16| {
            range(bytes | u8x16::splat(0x20), b'a', b'z')
                | range(bytes, b'0', b'9')
                | is(bytes, b'_')
                | is(bytes, b'.')
        };
        Window {
            base,
            is_read: true,
            not_names: !lanes::places(&block, names),
            digits: lanes::places(&block, |bytes| range(bytes, b'0', b'9')),
            not_spaces: !lanes::places(&block, |bytes| range(bytes, b'\t', b'\r') | is(bytes, b' ')),
            values: None,
        }
    }

    /// Once for a block: most have no list of values.
    #[inline(never)]
    fn read_values(&mut self, text: &[u8; WINDOW]) -> Values {
        let block = lanes::block(text);
        let quotes = lanes::places(&block, |bytes| is(bytes, b'\''));
        let leads = lanes::places(&block, |bytes| is(bytes, b'-') | is(bytes, b'$') | is(bytes, b'.'));
        let parens = lanes::places(&block, |bytes| is(bytes, b'(') | is(bytes, b')'));
        let separators = lanes::places(&block, |bytes| is(bytes, b',') | is(bytes, b'?'));
        let hex = lanes::places(&block, |bytes| range(bytes | u8x16::splat(0x20), b'a', b'f'));
        let inside = !self.not_names | !self.not_spaces | quotes | leads | parens | separators;
        let values = Values {
            quotes,
            leads,
            parens,
            others: !inside | leads & !(self.digits >> 1),
            not_hex: !(hex | self.digits),
            has_backslash: lanes::places(&block, |bytes| is(bytes, b'\\')) != 0,
        };
        self.values = Some(values);
        values
    }

    /// Where the literals and commas at `at` end, and the parentheses if they are `hidden`; `at` if there are none.
    /// Behind the place is a token of another kind, or one that the block does not hold as a whole.
    #[inline(always)]
    fn values_end(&mut self, text: &[u8; WINDOW], at: usize, hidden: bool) -> usize {
        let values = match self.values {
            Some(values) => values,
            None => self.read_values(text),
        };
        if values.has_backslash {
            return at;
        }
        let here = u64::MAX << at;
        let quotes = values.quotes & here;
        // A quote that is doubled is read as the end of one text and the begin of another, which comes to the same.
        let quoted = lanes::between_pairs(quotes);
        let plain = here & !quoted & !quotes;
        let names = !self.not_names & plain;
        let mut stops = (values.others | if hidden { 0 } else { values.parens }) & plain;
        let cut_text = last_of(quotes) & (quoted as i64 >> 63) as u64;
        // A name or number that may go on in the next block, with its sign.
        let cut_name = if names >> 63 == 0 { 0 } else { self.run_start(values.leads, at, 63) };
        stops |= cut_text | cut_name;
        let mut end = stops.trailing_zeros() as usize;
        if names & stops & stops.wrapping_neg() != 0 {
            // A dot with no digit behind it: the number before it goes on.
            end = self.run_start(values.leads, at, end).trailing_zeros() as usize;
        }
        let mut letters = names & !self.digits & !values.leads & lanes::below(end);
        while letters != 0 {
            let first_letter = letters.trailing_zeros() as usize;
            let to = first(self.not_names, first_letter);
            if !self.is_value(values, text, first_letter, to) {
                end = self.run_start(values.leads, at, first_letter).trailing_zeros() as usize;
                break;
            }
            letters &= !lanes::below(to);
        }
        // Spaces belong to the token behind them.
        let end = BLOCK - (self.not_spaces & here & lanes::below(end)).leading_zeros() as usize;
        end.max(at)
    }

    /// The bit where the name or number begins that `inside` is in, or its sign.
    #[inline(always)]
    fn run_start(&self, leads: u64, at: usize, inside: usize) -> u64 {
        let before = self.not_names & lanes::below(inside) & (u64::MAX << at);
        let start = if before == 0 { 1 << at } else { last_of(before) << 1 };
        let sign = start >> 1 & leads & (u64::MAX << at);
        if sign != 0 { sign } else { start }
    }

    /// Whether the run of letters and digits with that first letter and end is NULL, TRUE, FALSE, or `0x` and digits.
    #[inline(always)]
    fn is_value(&self, values: Values, text: &[u8; WINDOW], first_letter: usize, to: usize) -> bool {
        let byte = |at: usize| text[at % BLOCK];
        let before = lanes::below(first_letter) & !(lanes::below(first_letter) >> 1);
        if byte(first_letter) | 0x20 == b'x' {
            let others = values.not_hex & lanes::below(to) & !lanes::below(first_letter + 1);
            let starts = before == 1 || before != 0 && self.not_names & (before >> 1) != 0;
            return starts && first_letter > 0 && byte(first_letter - 1) == b'0' && others == 0;
        }
        let starts = before == 0 || self.not_names & before != 0;
        starts && is_value(text, first_letter, to - first_letter) && CLASS[byte(to) as usize] & JOINS == 0
    }
}

/// The highest bit.
#[inline(always)]
fn last_of(bits: u64) -> u64 {
    if bits == 0 { 0 } else { 1 << (63 - bits.leading_zeros()) }
}

/// The place in the block of the first of `marks` at or behind `at`, which is in it; or more than any.
#[inline(always)]
fn first(marks: u64, at: usize) -> usize {
    at + marks.wrapping_shr(at as u32).trailing_zeros() as usize
}

/// NULL, TRUE or FALSE.
#[inline(always)]
fn is_value(text: &[u8], at: usize, length: usize) -> bool {
    const NULL: u64 = pack_short("null");
    const TRUE: u64 = pack_short("true");
    const FALSE: u64 = pack_short("false");
    match length {
        4 => matches!(packed_short(text, at, 4), NULL | TRUE),
        5 => packed_short(text, at, 5) == FALSE,
        _ => false,
    }
}

#[inline(always)]
fn is_as(text: &[u8], at: usize) -> bool {
    const AS: u64 = pack_short("as");
    packed_short(text, at, 2) == AS
}

/// What ends the reading of a block.
enum Stop {
    /// The token behind this place of the block may go on in the next one.
    Cut(usize),
    /// The token behind this place is not usual.
    Unusual(usize),
}

impl Scanner<'_, '_> {
    /// Reads the usual tokens at `self.at`, and stays behind the last one.
    pub(super) fn usual(&mut self, window: &mut Window) {
        if !self.grouping.is_usual() {
            return;
        }
        let keep_alias = self.grouping.keep_alias;
        let mut is_read = window.is_read && self.at - window.base < BLOCK;
        loop {
            if !is_read && self.src.len() - self.at < FEW {
                return;
            }
            let base = if is_read { window.base } else { self.at };
            let (Some(text), Some(room)) = (self.tail.window(self.src, base), self.grouping.out.room())
            else {
                return;
            };
            if !is_read {
                *window = Window::read(base, text);
            }
            let (stop, written) = block(
                window,
                text,
                self.at - base,
                keep_alias,
                self.quoted_text,
                &mut self.grouping.state,
                room,
            );
            self.grouping.out.wrote(written);
            let (Stop::Cut(from) | Stop::Unusual(from)) = stop;
            self.at = base + from;
            if from == 0 || matches!(stop, Stop::Unusual(_)) {
                return;
            }
            is_read = false;
        }
    }
}

/// Reads the usual tokens of a block from `at` on; also says how much it wrote.
#[inline(always)]
fn block(
    window: &mut Window,
    text: &[u8; WINDOW],
    mut at: usize,
    keep_alias: bool,
    quoted_text: bool,
    state: &mut State,
    room: &mut [u8; ROOM],
) -> (Stop, usize) {
    let State { mut values, mut lists, mut last } = *state;
    let mut end = 0;
    let byte = |at: usize| text[at % BLOCK];
    let stop = loop {
        let behind = at;
        if at >= BLOCK {
            break Stop::Cut(behind);
        }
        at = first(window.not_spaces, at);
        if at >= BLOCK {
            break Stop::Cut(behind);
        }
        let start = at;
        let b = byte(start);
        let class = CLASS[b as usize];
        match class {
            WORD => {
                at = first(window.not_names, start);
                let length = at - start;
                if at >= BLOCK {
                    break Stop::Cut(behind);
                }
                if length > NAME || CLASS[byte(at) as usize] & JOINS != 0 {
                    break Stop::Unusual(behind);
                }
                if length == LENGTH[b as usize] as usize {
                    if is_value(text, start, length) {
                        literal(&mut values, &mut lists, &mut last, room, &mut end);
                        continue;
                    }
                    if length == 2 && is_as(text, start) {
                        // Not shown, and neither is the name behind it.
                        let name = first(window.not_spaces, at);
                        let to = if name < BLOCK { first(window.not_names, name) } else { BLOCK };
                        if to >= BLOCK {
                            break Stop::Cut(behind);
                        }
                        let is_name =
                            CLASS[byte(name) as usize] == WORD && CLASS[byte(to) as usize] & JOINS == 0;
                        if keep_alias || lists > 1 || !is_name {
                            break Stop::Unusual(behind);
                        }
                        (values, lists, last) = (0, 0, Kind::Dropped);
                        at = to;
                        continue;
                    }
                    if length == 9 {
                        break Stop::Unusual(behind);
                    }
                }
                if lists > 1 {
                    break Stop::Unusual(behind);
                }
                (values, lists, last) = (0, 0, Kind::Name);
                copy(text, start, length, room, &mut end);
            }
            DIGIT | MINUS | DOLLAR_JOINS | QUOTE | PLACEHOLDER => {
                let hidden = lists + u32::from(last == Kind::Open) > 1;
                at = window.values_end(text, start, hidden);
                if at == start {
                    break if start + ENOUGH > BLOCK { Stop::Cut(behind) } else { Stop::Unusual(behind) };
                }
                literal(&mut values, &mut lists, &mut last, room, &mut end);
                if byte(at - 1) == b'(' {
                    last = Kind::GroupedOpen;
                }
            }
            COMMA if values > 0 => {
                at = window.values_end(text, start, lists > 1).max(start + 1);
                last = if byte(at - 1) == b'(' { Kind::GroupedOpen } else { Kind::Grouped };
            }
            COMMA => {
                at += 1;
                room[end % (2 * BLOCK)] = b',';
                end += usize::from(lists <= 1);
                last = if lists > 1 { Kind::Grouped } else { Kind::Comma };
            }
            OPEN => {
                at += 1;
                symbol(b'(', lists == 0, room, &mut end);
                last = if lists == 0 { Kind::Open } else { Kind::GroupedOpen };
                lists = if lists == 0 { 0 } else { 2 };
            }
            CLOSE => {
                at += 1;
                symbol(b')', lists <= 1, room, &mut end);
                last = if lists <= 1 { Kind::Close } else { Kind::Grouped };
            }
            SYMBOL | STAR_JOINS if lists <= 1 => {
                if b == b'.' && text[start + 1].is_ascii_digit() {
                    break Stop::Unusual(behind);
                }
                at += 1;
                symbol(b, true, room, &mut end);
                (values, lists, last) = (0, 0, if b == b'=' { Kind::Equals } else { Kind::Other });
            }
            ANGLE if lists <= 1 => {
                let (next, third) = (text[start + 1], text[start + 2]);
                let length = if next == b'=' || (b == b'<' && next == b'>') { 2 } else { 1 };
                if start + length >= BLOCK {
                    break Stop::Cut(behind);
                }
                if b == b'<' && next == b'=' && third == b'>' {
                    break Stop::Unusual(behind);
                }
                at += length;
                copy(text, start, length, room, &mut end);
                (values, lists, last) = (0, 0, Kind::Other);
            }
            // A name without escapes, and not of spaces.
            NAME_QUOTE if lists <= 1 && (b == b'`' || !quoted_text && last != Kind::Equals) => {
                let to =
                    start + 1 + (window.not_names.wrapping_shr(start as u32) >> 1).trailing_zeros() as usize;
                if to >= BLOCK {
                    break Stop::Cut(behind);
                }
                let length = to - start - 1;
                if byte(to) != b || text[to + 1] == b || length == 0 || length > NAME {
                    break Stop::Unusual(behind);
                }
                at = to + 1;
                copy(text, start + 1, length, room, &mut end);
                (values, lists, last) = (0, 0, if b == b'`' { Kind::Name } else { Kind::DoubleQuoted });
            }
            // `%s`
            PERCENT if CLASS[text[start + 1] as usize] == WORD => {
                at += 2;
                literal(&mut values, &mut lists, &mut last, room, &mut end);
            }
            _ => break Stop::Unusual(behind),
        }
    };
    *state = State { values, lists, last };
    (stop, end)
}

/// Writes a name behind a space.
#[inline(always)]
fn copy(text: &[u8; WINDOW], from: usize, length: usize, room: &mut [u8; ROOM], end: &mut usize) {
    let (from, to) = (from % BLOCK, *end % (2 * BLOCK));
    room[to] = b' ';
    room[to + 1..to + 1 + NAME].copy_from_slice(&text[from..from + NAME]);
    *end += 1 + length;
}

/// Writes `b` behind a space, if it shows.
#[inline(always)]
fn symbol(b: u8, shows: bool, room: &mut [u8; ROOM], end: &mut usize) {
    let to = *end % (2 * BLOCK);
    (room[to], room[to + 1]) = (b' ', b);
    *end += 2 * usize::from(shows);
}

/// A literal: only the first of several shows.
#[inline(always)]
fn literal(values: &mut u32, lists: &mut u32, last: &mut Kind, room: &mut [u8; ROOM], end: &mut usize) {
    *lists += u32::from(*last == Kind::Open);
    *last = Kind::Grouped;
    symbol(b'?', *values == 0, room, end);
    *values = 1;
}

#[cfg(test)]
mod tests {
    use crate::obfuscate::sql::SqlConfig;
    use crate::obfuscate::sql::tokenizer::{Reading, Scanner, reading_by};

    /// The statement with and without this file's help.
    fn both(sql: &str, config: &SqlConfig, reading: Reading) -> [Option<Vec<u8>>; 2] {
        let read = |usual: bool| {
            let scan = |scanner: &mut Scanner<'_, '_>| {
                if usual {
                    return scanner.scan();
                }
                while scanner.token()? {}
                Ok(())
            };
            let mut out = Vec::new();
            let done = reading_by(scan, sql.as_bytes(), config, reading, 0, &mut Vec::new(), &mut out);
            done.ok().map(|()| out)
        };
        [read(true), read(false)]
    }

    /// Parts that mean something to this file, alone or beside each other.
    const PARTS: &str = "1|12|0x1f|0xZ|0x|00x1|1.5|1.|1..2|.5|-5|- 5|-|->|-.|-0x1f|$1|$0x1|$|1e5|1e+5|?|?1|1?|'a'|\
        'it''s'|'a\\'b'|'a\\|'|''|'a'b|a'b'|'a'1|NULL|null|true|FALSE|Nullx|NULL*|null.x|AS|as b|AS AS|AS NULL|\
        AS (|AS [a]|AS \"x\"|as b@|SAVEPOINT|SELECT|FROM|UPDATE|INTO|JOIN|DELETE|a|b.c|t0.id|_1|1a|x#|@x|x@y|x|X1|\
        a_name_of_thirty_two_characters_|a_name_of_more_than_thirty_two_characters|now()|\"q\"|`q`|[|]|*|+|/|--c\n|\
        /*c*/|#|<=|!|::|:a|:=|%s|{|}|;|\n|\t|\0|\x01|\u{a0}|é|ſ|, |,|(|)|), (|IN (|VALUES (|=|= |NULL, 0x1|\
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10|'x', 'y', 'z'|(1, 2), (3, 4)|\
        'a text that is longer than half of what is looked at together, and than the whole of it, too'";

    #[test]
    fn a_statement_reads_the_same_with_and_without_blocks() {
        let parts: Vec<&str> = PARTS.split('|').collect();
        let mut below = crate::obfuscate::dice();
        let mut read = 0;
        for round in 0..60_000 {
            // Few different parts in each, so that most statements can be read to their end.
            let few: Vec<&str> = (0..1 + below(8)).map(|_| parts[below(parts.len())]).collect();
            let glue = [" ", "", ", "][below(3)];
            let mut sql = "SELECT ".to_owned();
            for _ in 0..below(60) {
                sql.push_str(few[below(few.len())]);
                sql.push_str(glue);
            }
            let config = SqlConfig {
                keep_sql_alias: below(8) == 0,
                table_names: below(8) == 0,
                replace_digits: below(8) == 0,
                ..SqlConfig::default()
            };
            let reading = Reading { literal_backslashes: below(2) == 0, quoted_text: below(4) == 0 };
            let [blocks, tokens] = both(&sql, &config, reading);
            assert_eq!(blocks, tokens, "round {round}: {sql:?}");
            read += usize::from(tokens.is_some());
        }
        assert!(read > 20_000, "{read}");
    }

    #[test]
    fn where_a_block_ends_does_not_matter() {
        let reading = Reading { literal_backslashes: false, quoted_text: false };
        let config = SqlConfig::default();
        let long = "abcdefghijklmnopqrstuvwxyz".repeat(3);
        for tail in [
            "x IN (1, -2.5, 0x1f, 'it''s', NULL, $3, ?) AND b = true",
            "a AS b, c AS d FROM t1 WHERE x.y = 'text' AND z IN (1)",
            "INTO t (a, b) VALUES (1, 'x'), (2, now()), (3, NULL) -- end",
            "1 , 2 , 3 ) , ( 'x' , 'y' ) , ( - 5 , $ 1 , 1. , .5 , 1e5",
        ] {
            for spaces in 0..130 {
                let sql = format!("SELECT {} {tail}", " ".repeat(spaces));
                let [blocks, tokens] = both(&sql, &config, reading);
                assert_eq!(blocks, tokens, "{sql}");
                let sql = format!("SELECT {long}{} {tail}", &long[..spaces % long.len()]);
                let [blocks, tokens] = both(&sql, &config, reading);
                assert_eq!(blocks, tokens, "{sql}");
            }
        }
    }
}
