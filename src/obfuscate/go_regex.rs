//! Go's regular expressions in the syntax of the `regex` crate.
//!
//! Replace rules are written for the agent, whose `regexp` package is RE2: `\d`, `\w`, `\s` and `\b` mean ASCII, `[` and
//! `&&` are ordinary inside a class, `\Q...\E` quotes. The crate means Unicode, knows set operations, has no quotes. Both
//! take linear time.

/// Rewrites a pattern. What has no counterpart stays and is refused when the pattern is compiled.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\\' => escape(rest, false, &mut out),
            '[' => class(rest, &mut out),
            _ => {
                out.push(c);
                rest.get(c.len_utf8()..).unwrap_or("")
            }
        };
    }
    out
}

/// Writes the escape at the beginning of `text`; gives what follows.
fn escape<'p>(text: &'p str, in_class: bool, out: &mut String) -> &'p str {
    let Some(c) = text.chars().nth(1) else {
        out.push('\\');
        return "";
    };
    let rest = text.get(1 + c.len_utf8()..).unwrap_or("");
    match (c, in_class) {
        ('d', _) => out.push_str("[0-9]"),
        ('D', _) => out.push_str("[^0-9]"),
        ('w', _) => out.push_str("[0-9A-Za-z_]"),
        ('W', _) => out.push_str("[^0-9A-Za-z_]"),
        ('s', _) => out.push_str(r"[\t\n\x0c\r ]"),
        ('S', _) => out.push_str(r"[^\t\n\x0c\r ]"),
        ('b', false) => out.push_str(r"(?-u:\b)"),
        ('B', false) => out.push_str(r"(?-u:\B)"),
        ('C', false) => out.push_str("(?s-u:.)"),
        ('Q', false) => {
            let (quoted, after) = rest.split_once(r"\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            return after;
        }
        ('0'..='7', _) => return octal(c, rest, out),
        _ => {
            out.push('\\');
            out.push(c);
        }
    }
    rest
}

/// `\123` and `\0` are octal in Go; a single digit above 0 is a back reference, which neither side has.
fn octal<'p>(first: char, rest: &'p str, out: &mut String) -> &'p str {
    let more = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
    if first != '0' && more == 0 {
        out.push('\\');
        out.push(first);
        return rest;
    }
    let (digits, after) = rest.split_at(more);
    let code = digits.bytes().fold(first as u32 - '0' as u32, |n, b| n * 8 + u32::from(b - b'0'));
    out.push_str(&format!(r"\x{{{code:x}}}"));
    after
}

/// Writes the class at the beginning of `text`; gives what follows.
fn class<'p>(text: &'p str, out: &mut String) -> &'p str {
    out.push('[');
    let mut rest = text.get(1..).unwrap_or("");
    if let Some(negated) = rest.strip_prefix('^') {
        out.push('^');
        rest = negated;
    }
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        if c == ']' && !first {
            out.push(']');
            return rest.get(1..).unwrap_or("");
        }
        first = false;
        if c == '\\' {
            rest = escape(rest, true, out);
            continue;
        }
        if c == '['
            && rest.starts_with("[:")
            && let Some(end) = rest.find(":]")
        {
            let (named, after) = rest.split_at(end + 2);
            out.push_str(named);
            rest = after;
            continue;
        }
        // Set operations of the crate are doubled signs; `-` between two characters is a range in both.
        if matches!(c, '[' | ']' | '&' | '~') || (c == '-' && rest.starts_with("--")) {
            out.push('\\');
        }
        out.push(c);
        rest = rest.get(c.len_utf8()..).unwrap_or("");
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_what_go_means() {
        for (pattern, text, expected) in [
            (r"\d", "1٣", "x٣"),
            (r"\w+", "aé_", "xéx"),
            (r"[\w.]+", "a.é", "xé"),
            (r"[^\d]", "1é", "1x"),
            (r"\s", "\u{b} \u{a0}", "\u{b}x\u{a0}"),
            (r"\bb", "éb", "éx"),
            (r"[[]", "[a", "xa"),
            (r"[]a]", "]ab", "xxb"),
            (r"[a&&b]", "a&b", "xxx"),
            (r"[[:alpha:]]+", "ab1", "x1"),
            (r"\Qa.b\E.", "a.bc", "x"),
            (r"\101", "A", "x"),
            (r"(?i)É", "é", "x"),
            (r"(?s).*", "a\nb", "x"),
            (r"\pL", "é1", "x1"),
        ] {
            let regex = regex::bytes::Regex::new(&translate(pattern)).unwrap();
            assert_eq!(regex.replace_all(text.as_bytes(), &b"x"[..]), expected.as_bytes(), "{pattern}");
        }
    }
}
