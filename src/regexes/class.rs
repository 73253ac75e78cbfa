//! Sets of characters: brackets, escapes, classes by name.

use super::BadPattern;
use std::fmt::Write;

/// A set that no character is in.
pub(super) const NOTHING: &str = r"[^\x00-\x{10FFFF}]";

/// A set that every character is in.
const EVERYTHING: &str = r"[\x00-\x{10FFFF}]";

/// General categories by the names that Go knows, without case and separators; other names are scripts.
#[rustfmt::skip]
const CATEGORIES: [&str; 78] = [
    "c", "cc", "cf", "cn", "co", "l", "lc", "ll", "lm", "lo", "lt", "lu", "m", "mc", "me", "mn", "n", "nd", "nl", "no",
    "p", "pc", "pd", "pe", "pf", "pi", "po", "ps", "s", "sc", "sk", "sm", "so", "z", "zl", "zp", "zs",
    "casedletter", "closepunctuation", "combiningmark", "connectorpunctuation", "control", "currencysymbol",
    "dashpunctuation", "decimalnumber", "enclosingmark", "finalpunctuation", "format", "initialpunctuation", "letter",
    "letternumber", "lineseparator", "lowercaseletter", "mark", "mathsymbol", "modifierletter", "modifiersymbol",
    "nonspacingmark", "number", "openpunctuation", "other", "otherletter", "othernumber", "otherpunctuation",
    "othersymbol", "paragraphseparator", "privateuse", "punctuation", "separator", "spaceseparator", "spacingmark",
    "symbol", "titlecaseletter", "unassigned", "uppercaseletter", "cntrl", "digit", "punct",
];

/// Four letters are the code of a script to the crate, which Go does not know; these are names.
const SHORT_SCRIPTS: [&str; 9] = ["ahom", "cham", "kawi", "lisu", "miao", "modi", "newa", "thai", "toto"];

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// One character as it matches itself, also within a class.
pub(super) fn literal(c: char) -> String {
    match c {
        c if c.is_ascii_alphanumeric() || !c.is_ascii() => c.to_string(),
        // Escaped by number: a backslash before a sign may mean something.
        c => format!(r"\x{:02X}", c as u32),
    }
}

/// The class whose first bracket ends at `at`: in the crate's syntax, and where it ends.
pub(super) fn bracketed(pattern: &str, at: usize) -> Result<(String, usize), BadPattern> {
    let rest = |p: usize| pattern.get(p..).unwrap_or("");
    let mut p = at;
    let negated = rest(p).starts_with('^');
    p += usize::from(negated);
    let mut items = String::new();
    let begin = p;
    loop {
        let text = rest(p);
        if text.starts_with(']') && p > begin {
            p += 1;
            break;
        }
        if text.len() > 2
            && let Some(named) = text.strip_prefix("[:")
            && let Some((name, _)) = named.split_once(":]")
        {
            let bare = name.strip_prefix('^').unwrap_or(name);
            if !POSIX.contains(&bare) {
                return Err(BadPattern::new("unknown class of characters", p));
            }
            // A set of its own: the crate folds its case before it takes the complement, as Go does.
            let _ = write!(items, "[[:{name}:]]");
            p += name.len() + 4;
            continue;
        }
        if text.starts_with('\\')
            && let Some((set, end)) = set(pattern, p + 1)?
        {
            items.push_str(&set);
            p = end;
            continue;
        }
        let from = p;
        let (low, end) = one(pattern, p, at)?;
        p = end;
        let mut high = low;
        let behind = rest(p);
        if behind.len() >= 2 && behind.starts_with('-') && !behind.starts_with("-]") {
            (high, p) = one(pattern, p + 1, at)?;
            if high < low {
                return Err(BadPattern::new("a range whose end is before its beginning", from));
            }
        }
        range(low, high, &mut items);
    }
    let class = match (items.is_empty(), negated) {
        // Only surrogates, which no text has.
        (true, false) => NOTHING.to_owned(),
        (true, true) => EVERYTHING.to_owned(),
        (false, true) => format!("[^{items}]"),
        (false, false) => format!("[{items}]"),
    };
    Ok((class, p))
}

/// A character of a class; `open` is where the class begins.
fn one(pattern: &str, at: usize, open: usize) -> Result<(u32, usize), BadPattern> {
    match pattern.get(at..).unwrap_or("").chars().next() {
        None => Err(BadPattern::new("missing closing ]", open - 1)),
        Some('\\') => code_point(pattern, at + 1),
        Some(c) => Ok((c as u32, at + c.len_utf8())),
    }
}

/// Writes a range without the surrogates in it.
fn range(low: u32, high: u32, out: &mut String) {
    for (low, high) in [(low, high.min(0xd7ff)), (low.max(0xe000), high)] {
        if low == high {
            let _ = write!(out, r"\x{{{low:X}}}");
        } else if low < high {
            let _ = write!(out, r"\x{{{low:X}}}-\x{{{high:X}}}");
        }
    }
}

/// The set that the escape at `at`, behind its backslash, stands for: `\d` and its like, `\p`. `None` if it is a
/// character.
pub(super) fn set(pattern: &str, at: usize) -> Result<Option<(String, usize)>, BadPattern> {
    let text = pattern.get(at..).unwrap_or("");
    let perl = match text.as_bytes().first() {
        Some(b'd') => "[0-9]",
        Some(b'D') => "[^0-9]",
        Some(b'w') => "[0-9A-Za-z_]",
        Some(b'W') => "[^0-9A-Za-z_]",
        Some(b's') => r"[\t\n\x0C\r ]",
        Some(b'S') => r"[^\t\n\x0C\r ]",
        Some(b'p' | b'P') => return named(pattern, at).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((perl.to_owned(), at + 1)))
}

/// `pL`, `P{Greek}`, `p{^Lu}`.
fn named(pattern: &str, at: usize) -> Result<(String, usize), BadPattern> {
    let unknown = || BadPattern::new("unknown class of characters", at - 1);
    let text = pattern.get(at..).unwrap_or("");
    let rest = text.get(1..).unwrap_or("");
    let (name, end) = match rest.strip_prefix('{') {
        Some(inner) => {
            let (name, _) = inner.split_once('}').ok_or_else(unknown)?;
            (name, at + name.len() + 3)
        }
        None => {
            let letter = rest.chars().next().ok_or_else(unknown)?.len_utf8();
            (rest.get(..letter).unwrap_or(""), at + 1 + letter)
        }
    };
    let bare = name.strip_prefix('^').unwrap_or(name);
    let negated = text.starts_with('P') != (bare.len() < name.len());
    // As Go since 1.25: case and separators do not matter. Older ones ask for the exact name, which is taken too.
    let canonical: String =
        bare.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    let is_code = canonical.len() == 4 && canonical != "mark" && !SHORT_SCRIPTS.contains(&canonical.as_str());
    if canonical.is_empty()
        || !canonical.bytes().all(|b| b.is_ascii_lowercase())
        || canonical.starts_with("is")
        || is_code
    {
        return Err(unknown());
    }
    let property = match canonical.as_str() {
        // Text has no surrogates.
        "cs" | "surrogate" if negated => return Ok((EVERYTHING.to_owned(), end)),
        "cs" | "surrogate" => return Ok((NOTHING.to_owned(), end)),
        "any" | "ascii" | "assigned" => "",
        name if CATEGORIES.contains(&name) => "gc=",
        _ => "sc=",
    };
    Ok((format!(r"\{}{{{property}{canonical}}}", if negated { 'P' } else { 'p' }), end))
}

/// The character that the escape at `at`, behind its backslash, stands for, and where it ends. It may be a surrogate.
pub(super) fn code_point(pattern: &str, at: usize) -> Result<(u32, usize), BadPattern> {
    let bad = || BadPattern::new("invalid escape sequence", at - 1);
    let text = pattern.get(at..).unwrap_or("");
    let Some(c) = text.chars().next() else {
        return Err(BadPattern::new("a backslash at the end", at - 1));
    };
    let code = match c {
        '0'..='7' => {
            let len = 1 + text.bytes().skip(1).take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
            // A single digit above 0 would be a reference to a group, which Go has not.
            if c != '0' && len == 1 {
                return Err(bad());
            }
            let digits = text.get(..len).unwrap_or("");
            return Ok((u32::from_str_radix(digits, 8).map_err(|_| bad())?, at + len));
        }
        'x' => return hexadecimal(text, at).ok_or_else(bad),
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c as u32,
        _ => return Err(bad()),
    };
    Ok((code, at + 1))
}

/// `x41` and `x{1F600}`.
fn hexadecimal(text: &str, at: usize) -> Option<(u32, usize)> {
    let digits = match text.get(1..)?.strip_prefix('{') {
        Some(inner) => inner.split_once('}')?.0,
        None => return Some((hex(text.get(1..3)?)?, at + 3)),
    };
    let code = hex(digits)?;
    (code <= char::MAX as u32).then_some((code, at + digits.len() + 3))
}

fn hex(digits: &str) -> Option<u32> {
    // `from_str_radix` would take a sign.
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let significant = digits.trim_start_matches('0');
    match significant.is_empty() {
        true => plain.then_some(0),
        false => u32::from_str_radix(significant, 16).ok().filter(|_| plain),
    }
}
