//! Patterns as Go's `regexp` reads them: `tests/fixtures/regexes/go.jsonl` holds its answers, written by
//! `tests/oracle/go/regexes`. `REGEX_ANSWERS` names a larger file of them.

use data_pipeline::regexes::{self, Budget, Pattern, Template};
use serde_json::Value;

const LIMIT: usize = regexes::MAX_REPLACED_BYTES;

fn replaced(pattern: &Pattern, text: &[u8], by: &str, limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match pattern.replace(text, &Template::new(by, pattern), limit, &mut out) {
        true => out,
        false => text.to_vec(),
    }
}

/// `None` where the answer is Go's.
fn differs(answer: &Value) -> Option<String> {
    let text_of = |name: &str| answer[name].as_str().unwrap_or("");
    let pattern = match (Pattern::new(text_of("pattern")), answer["refused"].as_bool()) {
        (Ok(_), Some(true)) => return Some("is taken".to_owned()),
        (Err(_), Some(true)) => return None,
        (Err(e), _) => return Some(format!("is refused: {e}")),
        (Ok(pattern), _) => pattern,
    };
    let text = text_of("text").as_bytes();
    if pattern.is_match(text) != answer["match"].as_bool().unwrap_or(false) {
        return Some("matches otherwise".to_owned());
    }
    let output = replaced(&pattern, text, text_of("repl"), LIMIT);
    (output != text_of("output").as_bytes()).then(|| String::from_utf8_lossy(&output).into_owned())
}

#[test]
fn patterns_mean_what_they_mean_to_go() {
    let path = std::env::var("REGEX_ANSWERS").unwrap_or("tests/fixtures/regexes/go.jsonl".to_owned());
    let answers = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    for line in answers.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        wrong.extend(differs(&answer).map(|ours| format!("{line}\n  ours: {ours:?}")));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), answers.lines().count(), wrong.join("\n"));
}

#[test]
fn a_text_that_is_no_utf_8_is_matched_as_the_agent_repairs_it() {
    let pattern = Pattern::new(r"[^\x00-\x7f]").unwrap();
    assert_eq!(replaced(&pattern, b"a\xe2\x82b", "?", LIMIT), b"a??b");
    assert!(Pattern::new("^.\u{fffd}$").unwrap().is_match(b"a\xff"));
    // Nothing matches: not a byte changes.
    assert_eq!(replaced(&Pattern::new("x").unwrap(), b"a\xff", "?", LIMIT), b"a\xff");
}

#[test]
fn what_a_replacement_writes_has_a_limit() {
    let pattern = Pattern::new("(?s)(.*)").unwrap();
    let text = "é".repeat(20);
    for limit in 0..200 {
        let out = replaced(&pattern, text.as_bytes(), &"$1".repeat(16), limit);
        assert!(
            out.len() <= limit.max(text.len()) && out.len() + 1 >= limit.min(16 * 40),
            "{limit}: {}",
            out.len()
        );
        assert!(std::str::from_utf8(&out).is_ok(), "{limit}");
    }
    let each = Pattern::new("a").unwrap();
    assert_eq!(replaced(&each, b"aaaaaaaaaaab", "xyz", 20), b"xyzxyzxyzxyzxyzxyzxy");
    assert_eq!(replaced(&each, b"aaaa", "", 0), b"");
}

#[test]
fn what_compiled_patterns_take_has_a_limit() {
    let mut budget = Budget::new(3, 1 << 20);
    assert!(budget.compile("^GET /[a-z]+$").is_ok());
    let left = budget.bytes;
    assert!(left > 1000 << 10, "a small one costs little: {left}");
    let error = budget.compile(r"(?:\pL{100}){3}").unwrap_err().to_string();
    assert!(error.contains("once compiled"), "{error}");
    // Nor may many that are too large cost more than the bound.
    let refused =
        (0..100).take_while(|i| budget.compile(&format!(r"(?:\pL{{100}}){{3}}{i}")).is_err()).count();
    assert_eq!((refused, budget.compile("a").is_err()), (100, true), "{budget:?}");
    let mut budget = Budget::new(3, 1 << 20);
    let taken = (0..10_000).take_while(|i| budget.compile(&format!("a{i}")).is_ok()).count();
    assert!((100..1_000).contains(&taken), "{taken}");
    assert!((0..3).all(|_| budget.rule().is_ok()) && budget.rule().is_err());
    // Of the caller a pattern may be larger, but not beyond all bounds.
    assert!(Pattern::new("(?:[a-z]{30}){30}").is_ok());
    let huge = format!("(?:{})", r"\pL{1000}|".repeat(1_000));
    assert!(regexes::check(&huge).unwrap_err().contains("once compiled"));
}

#[test]
fn a_pattern_has_its_limit_already_while_it_is_read() {
    // Three bytes name 650 ranges; what is repeated no time at all is never compiled.
    for long in [r"\pL", r"\pL{0}", r"[^\pL\p{Greek}]{0}", "(?i:k){0}", "(?:){0}"] {
        let error = regexes::check(&long.repeat(500_000)).unwrap_err();
        assert!(error.contains("once compiled"), "{long}: {error}");
    }
    // A class may name one set as often as it likes: it stays one set.
    assert!(Pattern::new(&format!("[{}]", r"\pL".repeat(1_000))).unwrap().is_match("é".as_bytes()));
}

#[test]
fn deep_nesting_is_compiled_on_the_stack_of_an_errand() {
    let small = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
        for (open, close) in [("(", ")"), ("(", ")*"), ("(?:b|", ")+?"), ("(?i:b", "c){1,2}")] {
            let nested = |n: usize| format!("{}a{}", open.repeat(n), close.repeat(n));
            let deepest = (1..1_000).rev().find(|n| regexes::check(&nested(*n)).is_ok()).unwrap();
            assert!(deepest >= 9, "{deepest} of {open}{close}");
            Pattern::new(&nested(deepest)).unwrap().is_match(b"aa");
        }
    });
    small.unwrap().join().unwrap();
}

#[test]
fn an_error_names_the_place_and_not_the_pattern() {
    for (pattern, why) in [
        ("secret(", "missing closing ) at byte 7"),
        ("secret)", "unexpected ) at byte 6"),
        ("secret[a", "missing closing ] at byte 6"),
        ("secret**", "a repetition of a repetition at byte 7"),
        ("secret{1001}", "invalid repeat count at byte 6"),
        (r"secret\u00e9", "invalid escape sequence at byte 6"),
        (r"secret\p{Secret}", "unknown class of characters at byte 6"),
        (r"secret\p{Grek}", "unknown class of characters at byte 6"),
    ] {
        assert_eq!(regexes::check(pattern), Err(why.to_owned()), "{pattern}");
    }
}
