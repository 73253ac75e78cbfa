//! Trace filters: the agent's own (`filter_tags`, `filter_tags_regex`, `ignore_resources` of `/info`) and the caller's.
//!
//! A chunk is judged by its root: the last span without a parent, else the last span whose parent is not in the chunk,
//! else the last span. First a resource (or name, if there is none) that is ignored, then tags that reject, then tags
//! that are required, literal ones before regexes. A rule is `KEY` or `KEY:VALUE`, cut at the first colon and trimmed; a
//! rule without a key or with a regex that cannot be read is left out and reported. Only `meta` is looked at.

use super::arena::{Arena, ChunkState, Span};
use super::{Payload, span_range};
use crate::msgpack::reader;
use regex::Regex;

/// Rules as text, as `/info` or the caller gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterRules {
    /// Every one of these tags must be there.
    pub require: Vec<String>,
    /// None of these tags may be there.
    pub reject: Vec<String>,
    /// As `require`, the value a regex.
    pub require_regex: Vec<String>,
    /// As `reject`, the value a regex.
    pub reject_regex: Vec<String>,
    /// Regexes of resources to leave out.
    pub ignore_resources: Vec<String>,
}

impl FilterRules {
    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// These rules and those of `other`.
    pub fn extend(&mut self, other: &FilterRules) {
        self.require.extend_from_slice(&other.require);
        self.reject.extend_from_slice(&other.reject);
        self.require_regex.extend_from_slice(&other.require_regex);
        self.reject_regex.extend_from_slice(&other.reject_regex);
        self.ignore_resources.extend_from_slice(&other.ignore_resources);
    }
}

/// Rules ready to use.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    ignore: Vec<Regex>,
    reject: Vec<Rule>,
    require: Vec<Rule>,
    normalize_env: Option<fn(&[u8]) -> Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Rule {
    key: Vec<u8>,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Any,
    Is(Vec<u8>),
    Matches(Regex),
}

impl Filters {
    /// Reads the rules. Those that cannot be used are left out; the second value says which, and why.
    pub fn new(rules: &FilterRules) -> (Self, Vec<String>) {
        let mut bad = Vec::new();
        let mut read = |rules: &[String], regex: bool, into: &mut Vec<Rule>| {
            for text in rules {
                match Rule::read(text, regex) {
                    Ok(rule) => into.push(rule),
                    Err(why) => bad.push(format!("filter {text:?} is left out: {why}")),
                }
            }
        };
        let mut filters = Self::default();
        read(&rules.reject, false, &mut filters.reject);
        read(&rules.reject_regex, true, &mut filters.reject);
        read(&rules.require, false, &mut filters.require);
        read(&rules.require_regex, true, &mut filters.require);
        for text in &rules.ignore_resources {
            match Regex::new(text) {
                Ok(regex) => filters.ignore.push(regex),
                Err(e) => bad.push(format!("ignore_resources {text:?} is left out: {e}")),
            }
        }
        (filters, bad)
    }

    /// Compares the tag `env` after this normalization, as the agent does.
    #[must_use]
    pub fn normalizing_env(mut self, normalize: fn(&[u8]) -> Vec<u8>) -> Self {
        self.normalize_env = Some(normalize);
        self
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ignore.is_empty() && self.reject.is_empty() && self.require.is_empty()
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
            let subject = String::from_utf8_lossy(subject);
            if self.ignore.iter().any(|r| r.is_match(&subject)) {
                return false;
            }
        }
        !self.reject.iter().any(|r| self.matches(r, bytes, root))
            && self.require.iter().all(|r| self.matches(r, bytes, root))
    }

    fn matches(&self, rule: &Rule, bytes: &[u8], root: &Span) -> bool {
        let Some(value) = tag(bytes, root, &rule.key) else { return false };
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

impl Rule {
    fn read(text: &str, regex: bool) -> Result<Self, String> {
        let whole = text.trim();
        let (key, value) = match whole.split_once(':') {
            Some((key, value)) if !value.trim().is_empty() => (key.trim(), Some(value.trim())),
            _ => (whole, None),
        };
        if key.is_empty() {
            return Err("it has no key".to_owned());
        }
        let value = match value {
            None => Value::Any,
            Some(v) if regex => Value::Matches(Regex::new(v).map_err(|e| e.to_string())?),
            Some(v) => Value::Is(v.as_bytes().to_vec()),
        };
        Ok(Self { key: key.as_bytes().to_vec(), value })
    }
}

impl Value {
    fn accepts(&self, value: &[u8]) -> bool {
        match self {
            Value::Any => true,
            Value::Is(want) => want == value,
            Value::Matches(regex) => regex.is_match(&String::from_utf8_lossy(value)),
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

/// The value of a tag in `meta`; the last one of several.
fn tag<'b>(bytes: &'b [u8], span: &Span, key: &[u8]) -> Option<&'b [u8]> {
    let mut found = None;
    let mut p = span.meta.first as usize;
    for _ in 0..span.meta.len {
        // A key or value that is no text is one that a repair leaves out.
        let k = reader::text(bytes, p).map(|(k, _)| k);
        let value_at = reader::skip(bytes, p).ok()?;
        let value = reader::text(bytes, value_at);
        if k == Ok(key)
            && let Ok((v, _)) = value
        {
            found = Some(v);
        }
        p = value.map_or_else(|_| reader::skip(bytes, value_at), |(_, end)| Ok(end)).ok()?;
    }
    found
}

fn is_http_status(value: &[u8]) -> bool {
    matches!(value, [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'])
}
