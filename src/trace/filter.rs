//! Trace filters: the agent's own (`filter_tags`, `filter_tags_regex`, `ignore_resources` of `/info`) and the caller's.
//!
//! A chunk is judged by its root: the last span without a parent, else the last span whose parent is not in the chunk,
//! else the last span. First a resource (or name, if there is none) that is ignored, then tags that reject, then tags
//! that are required, literal ones before regexes. A rule is `KEY` or `KEY:VALUE`, cut at the first colon and
//! trimmed; a rule without a key or with a regex that cannot be read is left out and reported. Only `meta` is looked
//! at.

use super::arena::{Arena, ChunkState, Span};
use super::{Payload, span_range};
use crate::error::{Error, ErrorKind};
use crate::msgpack::reader;
use crate::regexes::{self, Budget, Pattern};
use crate::settings::FilterRules;

/// Rules ready to use.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    ignore: Vec<Pattern>,
    /// Rules about tags, those that reject first, so that one walk over the root's tags serves them all.
    tags: Vec<Rule>,
    /// How many of `tags` reject.
    rejecting: usize,
    normalize_env: Option<NormalizeEnv>,
}

/// What the agent makes of the tag `env` before it compares.
pub type NormalizeEnv = fn(&[u8]) -> Vec<u8>;

#[derive(Clone, Debug)]
struct Rule {
    key: Vec<u8>,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Any,
    Is(Vec<u8>),
    Matches(Pattern),
}

/// The most rules that are named when they cannot be used.
const NAMED: usize = 20;

impl Filters {
    /// Reads the rules. Those that cannot be used are left out; the second value says which, and why.
    pub fn new(rules: &FilterRules) -> (Self, Vec<String>) {
        Self::within(rules, Budget::unbounded())
    }

    /// As [`new`](Self::new), for rules of a peer: so many, and so large once compiled. Of those that cannot be used
    /// no more than twenty are named.
    pub fn within(rules: &FilterRules, budget: Budget) -> (Self, Vec<String>) {
        let mut reader = Reader { budget, bad: Vec::new(), unnamed: 0 };
        let mut filters = Self::default();
        reader.tags("filter_tags.reject", &rules.reject, false, &mut filters.tags);
        reader.tags("filter_tags_regex.reject", &rules.reject_regex, true, &mut filters.tags);
        filters.rejecting = filters.tags.len();
        reader.tags("filter_tags.require", &rules.require, false, &mut filters.tags);
        reader.tags("filter_tags_regex.require", &rules.require_regex, true, &mut filters.tags);
        reader.list("ignore_resources", &rules.ignore_resources, |budget, text| {
            filters.ignore.push(budget.compile(text).map_err(|e| e.to_string())?);
            Ok(())
        });
        let Reader { mut bad, unnamed, .. } = reader;
        if unnamed > 0 {
            bad.push(format!("{unnamed} more rules are left out"));
        }
        (filters, bad)
    }

    /// These rules and those of `other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (mine, theirs) = (self.tags.split_at(self.rejecting), other.tags.split_at(other.rejecting));
        Self {
            ignore: [&self.ignore[..], &other.ignore].concat(),
            tags: [mine.0, theirs.0, mine.1, theirs.1].concat(),
            rejecting: self.rejecting + other.rejecting,
            normalize_env: self.normalize_env.or(other.normalize_env),
        }
    }

    /// Whether every rule can be used. (Rules of the agent may be wrong and are then left out; the caller's must be
    /// right.)
    ///
    /// # Errors
    /// `InvalidConfiguration`; the message names the setter and the rule.
    pub fn check(rules: &FilterRules) -> Result<(), Error> {
        for (setter, rules, regex) in rules.lists() {
            for rule in rules {
                let checked = match (setter, FilterRules::split(rule), regex) {
                    ("ignoreResource", ..) => regexes::check(rule),
                    (_, Ok((_, Some(value))), true) => regexes::check(value),
                    (_, read, _) => read.map(drop).map_err(str::to_owned),
                };
                checked.map_err(|why| {
                    let text = format!("{setter}: the rule {rule:?} cannot be used: {why}");
                    Error::new(ErrorKind::InvalidConfiguration, text)
                })?;
            }
        }
        Ok(())
    }

    /// Compares the tag `env` after this normalization, as the agent does.
    #[must_use]
    pub fn normalizing_env(mut self, normalize: NormalizeEnv) -> Self {
        self.normalize_env = Some(normalize);
        self
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ignore.is_empty() && self.tags.is_empty()
    }

    /// Marks the chunks that the rules reject. Gives how many traces and spans those are.
    pub fn apply(&self, payload: &mut Payload<'_>) -> (u64, u64) {
        let (mut traces, mut spans) = (0, 0);
        if self.is_empty() {
            return (0, 0);
        }
        let (bytes, arena) = (payload.bytes, &mut *payload.arena);
        for i in 0..arena.chunks.len() {
            let chunk = arena.chunks[i];
            let members = arena.spans.get(span_range(&chunk)).unwrap_or(&[]);
            if chunk.state != ChunkState::Kept || members.is_empty() {
                continue;
            }
            if !self.keeps(bytes, arena, root(members)) {
                traces += 1;
                spans += u64::from(chunk.len);
                arena.chunks[i].state = ChunkState::Filtered;
            }
        }
        (traces, spans)
    }

    fn keeps(&self, bytes: &[u8], arena: &Arena, root: &Span) -> bool {
        if !self.ignore.is_empty() {
            let resource = arena.text(bytes, root.resource);
            let subject = if resource.is_empty() { arena.text(bytes, root.name) } else { resource };
            if self.ignore.iter().any(|r| r.is_match(subject)) {
                return false;
            }
        }
        let mut first = 0;
        for rules in self.tags.chunks(AT_ONCE) {
            for (i, (rule, value)) in rules.iter().zip(values(bytes, root, rules)).enumerate() {
                let matches = value.is_some_and(|value| self.matches(rule, value));
                let rejects = first + i < self.rejecting;
                if matches == rejects {
                    return false;
                }
            }
            first += rules.len();
        }
        true
    }

    fn matches(&self, rule: &Rule, value: &[u8]) -> bool {
        if rule.key == b"http.status_code" && !is_http_status(value) {
            return false;
        }
        if rule.key == b"env"
            && let Some(normalize) = self.normalize_env
        {
            return rule.value.accepts(&normalize(value));
        }
        rule.value.accepts(value)
    }
}

/// Reads lists of rules and remembers what could not be used.
struct Reader {
    budget: Budget,
    bad: Vec<String>,
    unnamed: usize,
}

impl Reader {
    fn tags(&mut self, list: &str, rules: &[String], regex: bool, into: &mut Vec<Rule>) {
        self.list(list, rules, |budget, text| {
            let (key, value) = FilterRules::split(text)?;
            let value = match value {
                None => Value::Any,
                Some(v) if regex => Value::Matches(budget.compile(v).map_err(|e| e.to_string())?),
                Some(v) => Value::Is(v.as_bytes().to_vec()),
            };
            into.push(Rule { key: key.as_bytes().to_vec(), value });
            Ok(())
        });
    }

    fn list(
        &mut self,
        list: &str,
        rules: &[String],
        mut read: impl FnMut(&mut Budget, &str) -> Result<(), String>,
    ) {
        for (i, text) in rules.iter().enumerate() {
            let within = self.budget.rule().map_err(|e| e.to_string());
            let over = within.is_err();
            let Err(why) = within.and_then(|()| read(&mut self.budget, text)) else { continue };
            if self.bad.len() < NAMED {
                let shown: String = text.chars().take(100).collect();
                self.bad.push(format!("{list}: the rule {shown:?} is left out: {why}"));
            } else {
                self.unnamed += 1;
            }
            if over {
                // The others fare no better.
                self.unnamed += rules.len() - i - 1;
                return;
            }
        }
    }
}

impl Value {
    fn accepts(&self, value: &[u8]) -> bool {
        match self {
            Value::Any => true,
            Value::Is(want) => want == value,
            Value::Matches(regex) => regex.is_match(value),
        }
    }
}

/// The root of a chunk that has at least one span.
pub(crate) fn root(spans: &[Span]) -> &Span {
    let no_parent = spans.iter().rev().find(|s| s.parent_id == 0);
    no_parent.or_else(|| foreign(spans)).unwrap_or(&spans[spans.len() - 1])
}

/// The last span whose parent is in another chunk.
fn foreign(spans: &[Span]) -> Option<&Span> {
    if spans.len() <= 64 {
        return spans.iter().rev().find(|s| !spans.iter().any(|p| p.span_id == s.parent_id));
    }
    // Rare: a large chunk without a root. Span by span it would cost the square of its size.
    let ids: std::collections::HashSet<u64> = spans.iter().map(|s| s.span_id).collect();
    spans.iter().rev().find(|s| !ids.contains(&s.parent_id))
}

/// How many rules one walk over the tags serves.
const AT_ONCE: usize = 8;

/// The values of the rules' tags in `meta`; of several the last one.
fn values<'b>(bytes: &'b [u8], span: &Span, rules: &[Rule]) -> [Option<&'b [u8]>; AT_ONCE] {
    let mut found = [None; AT_ONCE];
    let mut p = span.meta.first as usize;
    for _ in 0..span.meta.len {
        // A key or a value that is no text is one that a repair leaves out.
        let key = short_text(bytes, p).or_else(|| reader::text(bytes, p).ok());
        let Some(value_at) = key.map(|(_, at)| at).or_else(|| reader::skip(bytes, p).ok()) else { break };
        match short_text(bytes, value_at).map_or_else(|| reader::text(bytes, value_at), Ok) {
            Ok((value, end)) => {
                if let Some((key, _)) = key {
                    for (rule, found) in rules.iter().zip(&mut found) {
                        // The length first: it tells most keys apart.
                        if rule.key.len() == key.len() && rule.key == key {
                            *found = Some(value);
                        }
                    }
                }
                p = end;
            }
            Err(_) => match reader::skip(bytes, value_at) {
                Ok(end) => p = end,
                Err(_) => break,
            },
        }
    }
    found
}

/// Text of up to 31 bytes in its smallest form, and the position behind it.
#[inline(always)]
fn short_text(bytes: &[u8], p: usize) -> Option<(&[u8], usize)> {
    let head = *bytes.get(p)?;
    let end = p + 1 + usize::from(head & 0x1f);
    if head & 0xe0 == 0xa0 { Some((bytes.get(p + 1..end)?, end)) } else { None }
}

fn is_http_status(value: &[u8]) -> bool {
    matches!(value, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Arena, Interest, OnMalformed};

    /// A chunk of a child without tags and a root with these.
    fn chunk(meta: &[(&str, &str)]) -> Vec<u8> {
        let mut out = vec![0x91, 0x92, 0x82];
        out.extend(b"\xa9parent_id\x07\xa7span_id\x09");
        out.extend(b"\x83\xa7span_id\x07\xa8resource\xa8GET /one\xa4meta");
        out.push(0x80 | meta.len() as u8);
        for text in meta.iter().flat_map(|(key, value)| [key, value]) {
            out.extend(rmp_serde::to_vec(text).unwrap());
        }
        out
    }

    fn kept(rules: &FilterRules, meta: &[(&str, &str)]) -> bool {
        let (filters, bad) = Filters::new(rules);
        assert!(bad.is_empty(), "{bad:?}");
        let (bytes, mut arena) = (chunk(meta), Arena::new());
        let mut payload = Payload::scan(&bytes, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap();
        let counts = filters.apply(&mut payload);
        let kept = payload.chunks()[0].state() == ChunkState::Kept;
        assert_eq!(counts, if kept { (0, 0) } else { (1, 2) });
        kept
    }

    #[test]
    fn the_roots_tags_decide() {
        type Tags<'t> = &'t [(&'t str, &'t str)];
        let many = if cfg!(miri) { 3 } else { 300 };
        let long = "x".repeat(many);
        let (so_many, more) = (format!("a:x{{{many}}}"), format!("a:x{{{}}}", many + 1));
        // reject, reject by regex, require, require by regex; the root's tags; whether the chunk is kept.
        let cases: &[([&str; 4], Tags<'_>, bool)] = &[
            (["", "", "", ""], &[], true),
            (["a", "", "", ""], &[], true),
            (["a", "", "", ""], &[("a", "anything")], false),
            (["a:1", "", "", ""], &[("a", "2")], true),
            (["a:1", "", "", ""], &[("a", "1")], false),
            // Of a tag that comes twice the last one counts.
            (["a:1", "", "", ""], &[("a", "1"), ("a", "2")], true),
            (["a:1", "", "", ""], &[("a", "2"), ("b", "3"), ("a", "1")], false),
            (["", "", "a:1", ""], &[], false),
            (["", "", "a:1", ""], &[("a", "1")], true),
            (["", "", "a:1 b", ""], &[("a", "1")], false),
            (["", "", "a:1 b", ""], &[("b", ""), ("a", "1")], true),
            (["b", "", "a:1", ""], &[("b", ""), ("a", "1")], false),
            (["", "a:^1+$", "", ""], &[("a", "111")], false),
            (["", "a:^1+$", "", ""], &[("a", "112")], true),
            (["", "", "", &so_many], &[("a", &long)], true),
            (["", "", "", &more], &[("a", &long)], false),
            (["http.status_code", "", "", ""], &[("http.status_code", "200")], false),
            (["http.status_code", "", "", ""], &[("http.status_code", "no number")], true),
            // More rules than one walk over the tags serves.
            (["a b c d e f g h", "", "i j k", ""], &[("i", ""), ("j", ""), ("k", "")], true),
            (["a b c d e f g h", "", "i j k", ""], &[("i", ""), ("j", "")], false),
            (["a b c d e f g h i", "", "", ""], &[("i", "")], false),
        ];
        for (rules, meta, want) in cases {
            let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
            let rules = FilterRules {
                reject: list(rules[0]),
                reject_regex: list(rules[1]),
                require: list(rules[2]),
                require_regex: list(rules[3]),
                ignore_resources: Vec::new(),
            };
            assert_eq!(kept(&rules, meta), *want, "{rules:?} on {meta:?}");
        }
    }

    #[test]
    fn rules_of_a_command_line_go_to_their_lists() {
        let mut rules = FilterRules::default();
        for rule in ["require:a", "reject:b:1:2", "require~:c:^x", "reject~:d", "ignore:^GET /h:1"] {
            rules.add(rule).unwrap();
        }
        let one = |rule: &str| vec![rule.to_owned()];
        let want = FilterRules {
            require: one("a"),
            reject: one("b:1:2"),
            require_regex: one("c:^x"),
            reject_regex: one("d"),
            ignore_resources: one("^GET /h:1"),
        };
        assert_eq!(rules, want);
        for rule in ["", "require", "require:", "reject~: ", "require ~:a", "keep:a", "Require:a"] {
            let e = rules.add(rule).unwrap_err();
            assert!(e.message().starts_with(&format!("the rule {rule:?} is none of ")), "{e}");
        }
        assert_eq!(rules, want);
    }

    #[test]
    fn a_resource_that_is_ignored_goes_before_all_tags() {
        let rules =
            |text: &str| FilterRules { ignore_resources: vec![text.to_owned()], ..FilterRules::default() };
        assert!(!kept(&rules("^GET /o"), &[]));
        assert!(kept(&rules("^GET /two"), &[]));
    }

    #[test]
    fn rules_that_cannot_be_read_are_named_and_left_out() {
        let rules = FilterRules {
            reject: vec![":x".to_owned()],
            require_regex: vec!["a:(".to_owned()],
            ..FilterRules::default()
        };
        let (filters, bad) = Filters::new(&rules);
        assert!(filters.is_empty());
        assert_eq!(bad.len(), 2, "{bad:?}");
    }
}
