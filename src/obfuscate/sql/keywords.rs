//! Keywords, found by packing a word's lower-cased letters into one number: no loop, no table in memory.

/// The letters of a word of at most 16 bytes as one number, upper and lower case alike.
///
/// Setting bit 5 maps only the two cases of a letter onto a lower-case letter, so no other byte can imitate one.
#[inline]
pub(super) fn packed(src: &[u8], from: usize, to: usize) -> u128 {
    let length = to - from;
    let word = match src.get(from..from + 16).and_then(|block| block.try_into().ok()) {
        Some(block) => u128::from_le_bytes(block),
        None => {
            let mut block = [0; 16];
            block[..length].copy_from_slice(&src[from..to]);
            u128::from_le_bytes(block)
        }
    };
    let unused = 8 * (16 - length as u32);
    (word | CASE) & (u128::MAX >> unused)
}

/// [`packed`] for words of at most 8 bytes.
#[inline(always)]
pub(super) fn packed_short(src: &[u8], from: usize, length: usize) -> u64 {
    let word = match src.get(from..from + 8).and_then(|block| block.try_into().ok()) {
        Some(block) => u64::from_le_bytes(block),
        None => {
            let mut block = [0; 8];
            block[..length].copy_from_slice(&src[from..from + length]);
            u64::from_le_bytes(block)
        }
    };
    (word | CASE as u64) & (u64::MAX >> (64 - 8 * length))
}

/// [`packed_short`] of a constant.
pub(super) const fn pack_short(word: &str) -> u64 {
    pack(word) as u64
}

const CASE: u128 = 0x2020_2020_2020_2020_2020_2020_2020_2020;

/// [`packed`] of a constant.
pub(super) const fn pack(word: &str) -> u128 {
    let (bytes, mut number, mut i) = (word.as_bytes(), 0, 0);
    while i < bytes.len() {
        number |= ((bytes[i] | 0x20) as u128) << (8 * i);
        i += 1;
    }
    number
}

/// What go-sqllexer takes a word for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Starts a statement or a part of one; keeps a leading expression in parentheses from being dropped.
    Command,
    Keyword,
    Boolean,
    Null,
    /// AS.
    Alias,
}

/// Makes one function out of lists of words; a word is compared as one number.
macro_rules! words {
    ($($kind:ident: $($word:ident)+;)+) => {
        /// What the word of letters and `_` in `src[from..to]` is in go-sqllexer, if it is anything.
        pub(super) fn word(src: &[u8], from: usize, to: usize) -> Option<Word> {
            $($(#[allow(non_upper_case_globals)] const $word: u128 = pack(stringify!($word));)+)+
            if !(2..=LONGEST).contains(&(to - from)) {
                return None;
            }
            match packed(src, from, to) {
                $($($word)|+ => Some(Word::$kind),)+
                _ => None,
            }
        }
    };
}

/// STRAIGHT_JOIN.
const LONGEST: usize = 13;

words! {
    Command: SELECT INSERT UPDATE DELETE CREATE ALTER DROP JOIN GRANT REVOKE COMMIT BEGIN TRUNCATE MERGE EXECUTE EXEC
        EXPLAIN STRAIGHT_JOIN USE CLONE VACUUM;
    Keyword: ADD ALL AND ANY ASC BETWEEN BY CASE CHECK COLUMN CONSTRAINT DATABASE DECLARE DEFAULT DESC DISTINCT ELSE
        END ESCAPE EXISTS FOREIGN FROM GROUP HAVING IN INDEX INNER INTO IS KEY LATERAL LEFT LIKE LIMIT NOT ON OR ORDER
        OUT OUTER PRIMARY PROCEDURE PROC REPLACE RETURNS RIGHT ROLLBACK ROWNUM SET SOME TABLE TOP UNION UNIQUE VALUES
        VIEW WHERE CUBE ROLLUP LITERAL WINDOW ANALYZE ILIKE USING ASSERTION DOMAIN CLUSTER COPY PLPGSQL TRIGGER
        TEMPORARY UNLOGGED RECURSIVE RETURNING OFFSET OF SKIP IF ONLY WITH;
    Boolean: TRUE FALSE;
    Null: NULL;
    Alias: AS;
}

/// The fields of a point in time that `EXTRACT(field FROM ...)` may name.
const EXTRACT_FIELDS: [&str; 22] = [
    "CENTURY",
    "DAY",
    "DECADE",
    "DOW",
    "DOY",
    "EPOCH",
    "HOUR",
    "ISODOW",
    "ISOYEAR",
    "JULIAN",
    "MICROSECONDS",
    "MILLENNIUM",
    "MILLISECONDS",
    "MINUTE",
    "MONTH",
    "QUARTER",
    "SECOND",
    "TIMEZONE",
    "TIMEZONE_HOUR",
    "TIMEZONE_MINUTE",
    "WEEK",
    "YEAR",
];

/// Whether `name` is a field that EXTRACT knows, in any case.
pub(super) fn is_extract_field(name: &[u8]) -> bool {
    EXTRACT_FIELDS.iter().any(|field| equals_folded(name, field.as_bytes()))
}

/// Whether `name` is the upper-case `word` in any case. As in Go, two letters above ASCII fold to S and K.
pub(super) fn equals_folded(name: &[u8], word: &[u8]) -> bool {
    let mut rest = name;
    for &letter in word {
        rest = match (rest, letter) {
            ([first, tail @ ..], _) if first.to_ascii_uppercase() == letter => tail,
            ([0xC5, 0xBF, tail @ ..], b'S') => tail,
            ([0xE2, 0x84, 0xAA, tail @ ..], b'K') => tail,
            _ => return false,
        };
    }
    rest.is_empty()
}
