//! The caller's own rules: a tag (or `*`, or `resource.name`), a pattern, a replacement. The form is that of
//! `DD_APM_REPLACE_TAGS`: `[{"name": "http.url", "pattern": "token/(.*)", "repl": "?"}]`.
//!
//! `*` means every tag, number and event attribute whose key does not begin with `_`, and the resource. A number whose
//! text is none afterwards becomes a tag. Rules apply in their order, after truncation, so nothing else bounds what
//! they write: one text grows to 64 KiB, the texts of one payload by 8 MiB together. What is beyond is left out.

use crate::error::{Error, ErrorKind};
use crate::regexes::{self, Pattern, Template};
use crate::trace::{Field, NumberVerdict, Scalar, ScalarVerdict, SpanAccess, Verdict};
use serde::Serialize;
use std::io::Write;

/// One rule as the caller writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplaceRule {
    /// The tag's key, `*` for everything, `resource.name` for the resource.
    pub name: String,
    /// A regular expression in Go's syntax.
    pub pattern: String,
    /// What takes the place of each match; `$1`, `${1}` and `${name}` stand for groups.
    pub repl: String,
}

/// Rules ready to use.
#[derive(Clone, Debug, Default)]
pub struct Replacer {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    target: Target,
    pattern: Pattern,
    replacement: Template,
}

/// By how many bytes the rules may make the texts of one payload longer.
pub const MAX_GROWTH: usize = 8 << 20;

/// How many bytes more the texts of a payload may take.
#[derive(Clone, Copy, Debug)]
pub struct Growth(usize);

impl Default for Growth {
    fn default() -> Self {
        Self(MAX_GROWTH)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Everything,
    Resource,
    Tag(Vec<u8>),
}

impl Replacer {
    /// Compiles rules.
    ///
    /// # Errors
    /// `InvalidConfiguration` for a pattern that cannot be used; it names the rule and shows neither pattern nor
    /// replacement, which may say what is to be hidden. None of the rules applies then.
    pub fn new(rules: &[ReplaceRule]) -> Result<Self, Error> {
        let mut compiled = Self::default();
        for (i, rule) in rules.iter().enumerate() {
            let pattern = Pattern::new(&rule.pattern).map_err(|e| {
                let what = format!("replace_tags[{i}] ({:?}): its pattern cannot be used: {e}", rule.name);
                Error::new(ErrorKind::InvalidConfiguration, what)
            })?;
            let target = match rule.name.as_str() {
                "*" => Target::Everything,
                "resource.name" => Target::Resource,
                name => Target::Tag(name.into()),
            };
            let replacement = Template::new(&rule.repl, &pattern);
            compiled.rules.push(Rule { target, pattern, replacement });
        }
        Ok(compiled)
    }

    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules to one span; what its texts grow by is taken from `growth`.
    pub fn span<S: SpanAccess>(&self, span: &mut S, growth: &mut Growth, scratch: &mut Vec<u8>) {
        for rule in &self.rules {
            if rule.target != Target::Resource {
                span.each_tag(scratch, |key, value, out| match rule.wants(key) {
                    true => rule.text(value, growth, out),
                    false => Verdict::Keep,
                });
                span.each_metric(scratch, |key, number, out| match rule.wants(key) {
                    true => rule.number(number, growth, out),
                    false => NumberVerdict::Keep,
                });
                span.each_event_attribute(scratch, |key, value, out| match rule.wants(key) {
                    true => rule.scalar(value, growth, out),
                    false => ScalarVerdict::Keep,
                });
            }
            if rule.is_for_resource() {
                scratch.clear();
                if rule.text(span.field(Field::Resource), growth, scratch) == Verdict::Replace {
                    span.set_field(Field::Resource, scratch);
                }
            }
        }
    }

    /// Applies the rules to the resource of a stats group.
    pub fn stats_resource(&self, resource: &[u8], out: &mut Vec<u8>) -> Verdict {
        let mut text: Option<Vec<u8>> = None;
        let growth = &mut Growth::default();
        for rule in self.rules.iter().filter(|r| r.is_for_resource()) {
            let mut next = Vec::new();
            if rule.text(text.as_deref().unwrap_or(resource), growth, &mut next) == Verdict::Replace {
                text = Some(next);
            }
        }
        match text {
            Some(text) if text != resource => {
                out.extend_from_slice(&text);
                Verdict::Replace
            }
            _ => Verdict::Keep,
        }
    }
}

impl Rule {
    fn wants(&self, key: &[u8]) -> bool {
        match &self.target {
            Target::Everything => !key.starts_with(b"_"),
            Target::Resource => false,
            Target::Tag(name) => key == name,
        }
    }

    fn is_for_resource(&self) -> bool {
        matches!(self.target, Target::Everything | Target::Resource)
    }

    fn text(&self, text: &[u8], growth: &mut Growth, out: &mut Vec<u8>) -> Verdict {
        let start = out.len();
        let limit = text.len().saturating_add(growth.0).min(regexes::MAX_REPLACED_BYTES);
        if !self.pattern.replace(text, &self.replacement, limit, out) {
            return Verdict::Keep;
        }
        growth.0 -= (out.len() - start).saturating_sub(text.len());
        Verdict::Replace
    }

    fn number(&self, number: f64, growth: &mut Growth, out: &mut Vec<u8>) -> NumberVerdict {
        let before = decimal(number);
        if self.text(&before, growth, out) == Verdict::Keep {
            return NumberVerdict::Keep;
        }
        match parse_double(out) {
            Some(n) => NumberVerdict::Set(n),
            None => NumberVerdict::Text,
        }
    }

    fn scalar(&self, value: Scalar<'_>, growth: &mut Growth, out: &mut Vec<u8>) -> ScalarVerdict {
        let before = match value {
            Scalar::Text(text) => {
                return match self.text(text, growth, out) {
                    Verdict::Keep => ScalarVerdict::Keep,
                    _ => ScalarVerdict::Text,
                };
            }
            Scalar::Int(i) => i.to_string().into_bytes(),
            Scalar::Double(d) => decimal(d),
            Scalar::Bool(b) => b.to_string().into_bytes(),
        };
        if self.text(&before, growth, out) == Verdict::Keep {
            out.extend_from_slice(&before);
        }
        // The type follows the text, also where the text has not changed: 2.0 reads as 2.
        match std::str::from_utf8(out).ok().and_then(|t| t.parse().ok()) {
            Some(i) => ScalarVerdict::Int(i),
            None => match (parse_double(out), out.as_slice()) {
                (Some(d), _) => ScalarVerdict::Double(d),
                (None, b"true") => ScalarVerdict::Bool(true),
                (None, b"false") => ScalarVerdict::Bool(false),
                (None, _) => ScalarVerdict::Text,
            },
        }
    }
}

/// A number without exponent, in as few digits as tell it apart.
fn decimal(number: f64) -> Vec<u8> {
    let mut text = Vec::with_capacity(24);
    // Writing to memory does not fail.
    let _ = match number {
        f64::INFINITY => text.write_all(b"+Inf"),
        f64::NEG_INFINITY => text.write_all(b"-Inf"),
        n => write!(text, "{n}"),
    };
    text
}

/// Reads a number; one that is too large to be told from infinity is none.
fn parse_double(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: f64 = text.parse().ok()?;
    let says_infinity = text.bytes().any(|b| b.eq_ignore_ascii_case(&b'n'));
    (number.is_finite() || number.is_nan() || says_infinity).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Attribute, Event, SpanFields};

    fn rules(rules: &[(&str, &str, &str)]) -> Replacer {
        let rules: Vec<_> = rules
            .iter()
            .map(|(name, pattern, repl)| ReplaceRule {
                name: (*name).into(),
                pattern: (*pattern).into(),
                repl: (*repl).into(),
            })
            .collect();
        Replacer::new(&rules).unwrap()
    }

    fn span() -> SpanFields {
        SpanFields {
            resource: b"GET /token/abc".into(),
            meta: vec![
                (b"http.url".into(), b"/token/abc".into()),
                (b"_hidden".into(), b"token".into()),
                (b"other".into(), b"token".into()),
            ],
            metrics: vec![(b"count".into(), 42.0), (b"_m".into(), 42.0)],
            events: vec![Event {
                attributes: vec![
                    (b"n".into(), Attribute::Int(42)),
                    (
                        b"a".into(),
                        Attribute::Array(vec![Attribute::Text(b"token".into()), Attribute::Double(2.5)]),
                    ),
                ],
                ..Event::default()
            }],
            ..SpanFields::default()
        }
    }

    #[test]
    fn a_rule_for_everything_leaves_hidden_keys_alone() {
        let mut s = span();
        rules(&[("*", "token|4", "?")]).span(&mut s, &mut Growth::default(), &mut Vec::new());
        assert_eq!(s.resource, b"GET /?/abc");
        assert_eq!(s.meta(b"http.url"), Some(&b"/?/abc"[..]));
        assert_eq!(s.meta(b"_hidden"), Some(&b"token"[..]));
        assert_eq!(s.meta(b"count"), Some(&b"?2"[..]), "no number any more");
        assert_eq!((s.metric(b"count"), s.metric(b"_m")), (None, Some(42.0)));
        assert_eq!(s.events[0].attributes[0].1, Attribute::Text(b"?2".into()));
        let array = Attribute::Array(vec![Attribute::Text(b"?".into()), Attribute::Double(2.5)]);
        assert_eq!(s.events[0].attributes[1].1, array);
    }

    #[test]
    fn a_rule_for_one_tag_or_the_resource_touches_nothing_else() {
        let mut s = span();
        let replacer = rules(&[
            ("http.url", "token/(.*)", "t/${1}$1x-$1"),
            ("resource.name", "abc$", ""),
            ("count", "4", "5"),
        ]);
        replacer.span(&mut s, &mut Growth::default(), &mut Vec::new());
        assert_eq!(s.meta(b"http.url"), Some(&b"/t/abc-abc"[..]), "$1x names a group that is not there");
        assert_eq!(s.resource, b"GET /token/");
        assert_eq!(s.meta(b"other"), Some(&b"token"[..]));
        assert_eq!(s.metric(b"count"), Some(52.0));
        let mut out = Vec::new();
        assert_eq!(replacer.stats_resource(b"abc", &mut out), Verdict::Replace);
        assert!(out.is_empty());
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_an_error_with_its_rule() {
        let rule = ReplaceRule { name: "a".into(), pattern: "(".into(), repl: String::new() };
        let error = Replacer::new(&[rule]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(
            error.message().starts_with("replace_tags[0] (\"a\"): its pattern cannot be used: missing"),
            "{error}"
        );
    }

    #[test]
    fn matches_are_those_of_go() {
        let rule = &rules(&[("*", "a*", "x")]).rules[0];
        let mut out = Vec::new();
        assert_eq!(rule.text(b"baaac", &mut Growth::default(), &mut out), Verdict::Replace);
        assert_eq!(out, b"xbxcx");
        let all = &rules(&[("error.stack", "(?s).*", "?")]).rules[0];
        for text in [&b"at a\nat b"[..], b""] {
            let mut out = Vec::new();
            assert_eq!(all.text(text, &mut Growth::default(), &mut out), Verdict::Replace);
            assert_eq!(out, b"?");
        }
    }
}
