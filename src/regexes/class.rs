//! Characters and classes of characters as a pattern writes them: escapes, brackets, classes by name.

use super::BadPattern;
use super::set::Set;
use super::unicode;

/// A set that is named, before a sign that turns it round.
type Ranges = &'static [(u32, u32)];

const DIGIT: Ranges = &[(0x30, 0x39)];
const WORD: Ranges = &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)];

const POSIX: [(&str, Ranges); 14] = [
    ("alnum", &[(0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)]),
    ("alpha", &[(0x41, 0x5a), (0x61, 0x7a)]),
    ("ascii", &[(0, 0x7f)]),
    ("blank", &[(0x09, 0x09), (0x20, 0x20)]),
    ("cntrl", &[(0, 0x1f), (0x7f, 0x7f)]),
    ("digit", DIGIT),
    ("graph", &[(0x21, 0x7e)]),
    ("lower", &[(0x61, 0x7a)]),
    ("print", &[(0x20, 0x7e)]),
    ("punct", &[(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e)]),
    ("space", &[(0x09, 0x0d), (0x20, 0x20)]),
    ("upper", &[(0x41, 0x5a)]),
    ("word", WORD),
    ("xdigit", &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)]),
];

/// So many ranges are gathered before those that overlap are joined.
const MANY: usize = 4096;

/// The class whose first bracket ends at `at`, and where it ends. With `fold` case does not matter.
pub(super) fn bracketed(pattern: &str, at: usize, fold: bool) -> Result<(Set, usize), BadPattern> {
    let rest = |p: usize| pattern.get(p..).unwrap_or("");
    let mut p = at;
    let negated = rest(p).starts_with('^');
    p += usize::from(negated);
    let mut class = Set::default();
    let begin = p;
    loop {
        if class.len() > MANY {
            class.tidy();
        }
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
            let Some((_, ranges)) = POSIX.iter().find(|(known, _)| *known == bare) else {
                return Err(BadPattern::new("unknown class of characters", p));
            };
            class.add_all(&ready(Set::of(ranges), bare.len() < name.len(), fold));
            p += name.len() + 4;
            continue;
        }
        if text.starts_with('\\')
            && let Some((set, end)) = set(pattern, p + 1, fold)?
        {
            class.add_all(&set);
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
        class.add(low, high);
    }
    class.tidy();
    Ok((ready(class, negated, fold), p))
}

/// Case first, then the complement, as Go does: `(?i)[^k]` has no K either.
fn ready(mut set: Set, negated: bool, fold: bool) -> Set {
    if fold {
        set.fold();
    }
    if negated {
        set.negate();
    }
    set
}

/// What one character matches.
pub(super) fn folded(c: char) -> Set {
    let mut set = Set::single(c);
    // Of ASCII only k and s are alike to others: the Kelvin sign, the long s.
    match c {
        'A'..='Z' | 'a'..='z' if !matches!(c, 'K' | 'k' | 'S' | 's') => {
            set.add(u32::from(c) ^ 0x20, u32::from(c) ^ 0x20);
            set.tidy();
        }
        c if c.is_ascii() && !c.is_ascii_alphabetic() => {}
        _ => set.fold(),
    }
    set
}

/// A character of a class; `open` is where the class begins.
fn one(pattern: &str, at: usize, open: usize) -> Result<(u32, usize), BadPattern> {
    match pattern.get(at..).unwrap_or("").chars().next() {
        None => Err(BadPattern::new("missing closing ]", open - 1)),
        Some('\\') => code_point(pattern, at + 1),
        Some(c) => Ok((c as u32, at + c.len_utf8())),
    }
}

/// The set that the escape at `at`, behind its backslash, stands for: `\d` and its like, `\p`. `None` if it is a
/// character.
pub(super) fn set(pattern: &str, at: usize, fold: bool) -> Result<Option<(Set, usize)>, BadPattern> {
    let text = pattern.get(at..).unwrap_or("");
    let Some(letter) = text.bytes().next() else { return Ok(None) };
    let ranges = match letter.to_ascii_lowercase() {
        b'd' => DIGIT,
        b'w' => WORD,
        b's' => &[(0x09, 0x0a), (0x0c, 0x0d), (0x20, 0x20)],
        b'p' => return named(pattern, at, fold).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((ready(Set::of(ranges), letter.is_ascii_uppercase(), fold), at + 1)))
}

/// `pL`, `P{Greek}`, `p{^Lu}`.
fn named(pattern: &str, at: usize, fold: bool) -> Result<(Set, usize), BadPattern> {
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
    let set = unicode::named(&canonical).ok_or_else(unknown)?;
    Ok((ready(set, negated, fold), end))
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
