//! A span that owns its fields: for tools, tests and everything else that does not come from an arena.

use super::access::{Entries, Field, NumberVerdict, Scalar, ScalarVerdict, SpanAccess, Tag, Verdict};

/// Text by key, in the order given.
pub type Tags = Vec<(Vec<u8>, Vec<u8>)>;

/// An attribute of a span event.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// Text, as bytes.
    Text(Vec<u8>),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Values of the kinds above.
    Array(Vec<Attribute>),
}

/// A span event: something that happened at one time of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// When, in ns since 1970.
    pub time_ns: u64,
    /// What.
    pub name: Vec<u8>,
    /// Its attributes.
    pub attributes: Vec<(Vec<u8>, Attribute)>,
}

/// A span that owns its fields.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // the names of the v0.4 format
pub struct SpanFields {
    pub trace_id: u64,
    pub span_id: u64,
    pub parent_id: u64,
    pub start: i64,
    pub duration: i64,
    pub error: i32,
    pub service: Vec<u8>,
    pub name: Vec<u8>,
    pub resource: Vec<u8>,
    pub span_type: Vec<u8>,
    pub meta: Tags,
    pub metrics: Vec<(Vec<u8>, f64)>,
    /// The attributes of each span link.
    pub links: Vec<Tags>,
    pub events: Vec<Event>,
}

impl SpanFields {
    /// A tag of `meta` by key.
    pub fn meta(&self, key: &[u8]) -> Option<&[u8]> {
        self.meta.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_slice())
    }

    /// A number of `metrics` by key.
    pub fn metric(&self, key: &[u8]) -> Option<f64> {
        self.metrics.iter().rev().find(|(k, _)| k == key).map(|(_, v)| *v)
    }

    fn field_mut(&mut self, field: Field) -> &mut Vec<u8> {
        match field {
            Field::Service => &mut self.service,
            Field::Name => &mut self.name,
            Field::Resource => &mut self.resource,
            Field::Type => &mut self.span_type,
        }
    }
}

fn set(text: &mut Vec<u8>, to: &[u8]) {
    text.clear();
    text.extend_from_slice(to);
}

fn map_tags<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(
    tags: &mut Tags,
    scratch: &mut Vec<u8>,
    rule: &mut F,
) {
    tags.retain_mut(|(key, value)| {
        scratch.clear();
        match rule(key, value, scratch) {
            Verdict::Keep => true,
            Verdict::Replace => {
                set(value, scratch);
                true
            }
            Verdict::Remove => false,
        }
    });
}

/// Renames the keys of a map; a new key that another entry has takes that one's place.
fn map_keys<V, F: FnMut(&[u8], &mut Vec<u8>) -> Verdict>(
    entries: &mut Vec<(Vec<u8>, V)>,
    scratch: &mut Vec<u8>,
    mut rule: F,
) {
    let mut i = 0;
    while let Some((key, _)) = entries.get_mut(i) {
        scratch.clear();
        match rule(key, scratch) {
            Verdict::Keep => i += 1,
            Verdict::Remove => {
                entries.remove(i);
            }
            Verdict::Replace => {
                set(key, scratch);
                match entries.iter().enumerate().position(|(j, (k, _))| j != i && k == scratch) {
                    Some(other) => {
                        entries.remove(other);
                        i += usize::from(other > i);
                    }
                    None => i += 1,
                }
            }
        }
    }
}

fn map_attribute<F: FnMut(&[u8], Scalar<'_>, &mut Vec<u8>) -> ScalarVerdict>(
    key: &[u8],
    value: &mut Attribute,
    scratch: &mut Vec<u8>,
    rule: &mut F,
) {
    scratch.clear();
    let verdict = match value {
        Attribute::Text(t) => rule(key, Scalar::Text(t), scratch),
        Attribute::Bool(b) => rule(key, Scalar::Bool(*b), scratch),
        Attribute::Int(i) => rule(key, Scalar::Int(*i), scratch),
        Attribute::Double(d) => rule(key, Scalar::Double(*d), scratch),
        // The format has no arrays in arrays; one level is all there is.
        Attribute::Array(elements) => {
            for element in elements.iter_mut().filter(|e| !matches!(e, Attribute::Array(_))) {
                map_attribute(key, element, scratch, rule);
            }
            return;
        }
    };
    *value = match verdict {
        ScalarVerdict::Keep => return,
        ScalarVerdict::Text => Attribute::Text(scratch.clone()),
        ScalarVerdict::Int(i) => Attribute::Int(i),
        ScalarVerdict::Double(d) => Attribute::Double(d),
        ScalarVerdict::Bool(b) => Attribute::Bool(b),
    };
}

impl SpanAccess for SpanFields {
    fn trace_id(&self) -> u64 {
        self.trace_id
    }
    fn span_id(&self) -> u64 {
        self.span_id
    }
    fn parent_id(&self) -> u64 {
        self.parent_id
    }
    fn set_parent_id(&mut self, id: u64) {
        self.parent_id = id;
    }
    fn start_ns(&self) -> i64 {
        self.start
    }
    fn set_start_ns(&mut self, start_ns: i64) {
        self.start = start_ns;
    }
    fn duration_ns(&self) -> i64 {
        self.duration
    }
    fn set_duration_ns(&mut self, duration_ns: i64) {
        self.duration = duration_ns;
    }
    fn sampling_priority(&self) -> Option<f64> {
        self.metric(b"_sampling_priority_v1")
    }

    fn field(&self, field: Field) -> &[u8] {
        match field {
            Field::Service => &self.service,
            Field::Name => &self.name,
            Field::Resource => &self.resource,
            Field::Type => &self.span_type,
        }
    }
    fn set_field(&mut self, field: Field, text: &[u8]) {
        set(self.field_mut(field), text);
    }

    fn tag(&self, tag: Tag) -> Option<&[u8]> {
        self.meta(tag.key())
    }
    fn set_tag(&mut self, tag: Tag, text: &[u8]) {
        for (_, value) in self.meta.iter_mut().filter(|(k, _)| k == tag.key()) {
            set(value, text);
        }
    }
    fn remove_tag(&mut self, tag: Tag) {
        self.meta.retain(|(k, _)| k != tag.key());
    }
    fn may_be_long(&self, key_limit: usize, value_limit: usize) -> bool {
        self.meta.iter().any(|(k, v)| k.len() > key_limit || v.len() > value_limit)
            || self.metrics.iter().any(|(k, _)| k.len() > key_limit)
    }

    fn each_tag<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        map_tags(&mut self.meta, scratch, &mut rule);
    }

    fn each_metric<F: FnMut(&[u8], f64, &mut Vec<u8>) -> NumberVerdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        let meta = &mut self.meta;
        self.metrics.retain_mut(|(key, number)| {
            scratch.clear();
            match rule(key, *number, scratch) {
                NumberVerdict::Keep => true,
                NumberVerdict::Set(n) => {
                    *number = n;
                    true
                }
                NumberVerdict::Text => {
                    meta.retain(|(k, _)| k != key);
                    meta.push((key.clone(), scratch.clone()));
                    false
                }
            }
        });
    }

    fn each_key<F: FnMut(&[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        of: Entries,
        scratch: &mut Vec<u8>,
        rule: F,
    ) {
        match of {
            Entries::Meta => map_keys(&mut self.meta, scratch, rule),
            Entries::Metrics => map_keys(&mut self.metrics, scratch, rule),
        }
    }

    fn each_link_attribute<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        for link in &mut self.links {
            map_tags(link, scratch, &mut rule);
        }
    }

    fn each_event_attribute<F: FnMut(&[u8], Scalar<'_>, &mut Vec<u8>) -> ScalarVerdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        for event in &mut self.events {
            for (key, value) in &mut event.attributes {
                map_attribute(key, value, scratch, &mut rule);
            }
        }
    }
}
