//! The groups of one time bucket, within the cardinality limits (`spec/reference-behaviour.md` 4.5, 4.6).
//!
//! A key that is known is added to, whatever the limits say: all its fields are known then. Only for a new one the
//! fields with a limit of their own are looked at, and a value too many becomes `tracer_blocked_value`; when the bucket
//! itself is full the span goes to the overflow group. So no span is lost to a limit.

use super::key::{Blocked, Key, KeyWriter, Seed};
use super::sketch::Sketch;
pub use crate::settings::StatsLimits;
use hashbrown::HashTable;

/// Spans that lost a part of their key to a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collapsed {
    /// Spans in the overflow group.
    pub whole_key: u64,
    /// By which fields were blocked together: bit 0 resource, 1 HTTP endpoint, 2 peer tags, 3 additional tags.
    pub fields: [u64; 16],
}

impl Collapsed {
    /// The names of the fields, by their bit.
    pub const FIELDS: [&'static str; 4] =
        ["resource", "http_endpoint", "peer_tags", "additional_metric_tags"];

    /// Adds what another one has.
    pub(crate) fn add(&mut self, other: &Self) {
        self.whole_key += other.whole_key;
        self.fields.iter_mut().zip(other.fields).for_each(|(n, more)| *n += more);
    }

    /// Spans that lost something; one that lost fields and then its whole key counts twice, as in the reference.
    pub fn total(&self) -> u64 {
        self.whole_key + self.fields.iter().sum::<u64>()
    }
}

/// Durations of the spans of a group that went well, or of those that did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) sketch: Sketch,
    /// Sum in ns, at most `u64::MAX`.
    pub(crate) sum: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Cell {
    #[inline]
    fn add(&mut self, ns: u64) {
        let first = self.sketch.count() == 0;
        self.min = if first { ns } else { self.min.min(ns) };
        self.max = self.max.max(ns);
        self.sum = self.sum.saturating_add(ns);
        self.sketch.add(ns);
    }

    fn merge(&mut self, other: &Cell) {
        if other.sketch.count() == 0 {
            return;
        }
        let first = self.sketch.count() == 0;
        self.min = if first { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.sketch.merge(&other.sketch);
    }
}

/// What is known of all spans with one key.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    hash: u64,
    pub(crate) key: Box<[u8]>,
    pub(crate) top_level: u64,
    pub(crate) ok: Cell,
    /// None while no span had an error.
    pub(crate) errors: Option<Box<Cell>>,
}

impl Group {
    fn new(hash: u64, key: &[u8]) -> Self {
        Self { hash, key: key.into(), top_level: 0, ok: Cell::default(), errors: None }
    }

    #[inline]
    fn add(&mut self, span: Sample) {
        self.top_level += u64::from(span.top_level);
        if span.error {
            self.errors.get_or_insert_default().add(span.duration);
        } else {
            self.ok.add(span.duration);
        }
    }

    fn merge(&mut self, other: &Group) {
        self.top_level += other.top_level;
        self.ok.merge(&other.ok);
        if let Some(errors) = &other.errors {
            self.errors.get_or_insert_default().merge(errors);
        }
    }

    /// Spans with an error.
    pub(crate) fn error_hits(&self) -> u64 {
        self.errors.as_ref().map_or(0, |c| c.sketch.count())
    }

    /// Spans.
    pub(crate) fn hits(&self) -> u64 {
        self.ok.sketch.count() + self.error_hits()
    }

    /// Sum of all durations in ns; beyond 2^53 (104 days) as a 64-bit float holds it, since the agent adds floats.
    pub(crate) fn duration(&self) -> u64 {
        self.ok.sum.saturating_add(self.errors.as_ref().map_or(0, |c| c.sum)) as f64 as u64
    }

    pub(crate) fn key(&self) -> Key<'_> {
        Key(&self.key)
    }

    fn heap_bytes(&self) -> usize {
        let errors = self.errors.as_ref().map_or(0, |c| size_of::<Cell>() + c.sketch.heap_bytes());
        self.key.len() + self.ok.sketch.heap_bytes() + errors
    }
}

/// What a span adds to its group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) duration: u64,
    pub(crate) error: bool,
    pub(crate) top_level: bool,
}

/// The groups of the spans that ended within one stretch of time.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Its beginning in ns since 1970.
    pub(crate) start: u64,
    pub(crate) groups: Vec<Group>,
    places: HashTable<u32>,
    /// Hashes of the values seen, in the order of [`Key::limited`].
    distinct: [HashTable<u64>; 4],
}

/// What the buckets of one concentrator share.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) limits: StatsLimits,
    pub(crate) seed: Seed,
    pub(crate) collapsed: Collapsed,
    scratch: KeyWriter,
}

impl Bounds {
    pub(crate) fn new(limits: StatsLimits, seed: Seed) -> Self {
        Self { limits, seed, ..Self::default() }
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        self.seed.hash(bytes)
    }
}

/// What is added to a group.
#[derive(Clone, Copy)]
enum What<'a> {
    Span(Sample),
    Group(&'a Group),
}

impl What<'_> {
    fn hits(self) -> u64 {
        match self {
            What::Span(_) => 1,
            What::Group(group) => group.hits(),
        }
    }
}

impl Bucket {
    pub(crate) fn new(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    /// Counts a span. `hash` is that of `key`.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, key: &[u8], span: Sample, bounds: &mut Bounds) {
        match self.find(hash, key) {
            Some(group) => group.add(span),
            None => self.add_unknown(hash, key, What::Span(span), bounds),
        }
    }

    /// Adds a group of another bucket of the same time.
    pub(crate) fn merge(&mut self, other: Group, bounds: &mut Bounds) {
        match self.find(other.hash, &other.key) {
            Some(group) => group.merge(&other),
            None => self.add_unknown(other.hash, &other.key, What::Group(&other), bounds),
        }
    }

    #[inline]
    fn find(&mut self, hash: u64, key: &[u8]) -> Option<&mut Group> {
        let groups = &self.groups;
        let same = |at: &u32| groups.get(*at as usize).is_some_and(|g| g.hash == hash && *g.key == *key);
        let at = *self.places.find(hash, same)?;
        self.groups.get_mut(at as usize)
    }

    #[cold]
    fn add_unknown(&mut self, hash: u64, key: &[u8], what: What<'_>, bounds: &mut Bounds) {
        let fields = self.over_limit(Key(key), bounds);
        if fields == 0 {
            return self.add_within(hash, key, what, bounds);
        }
        if let Some(count) = bounds.collapsed.fields.get_mut(usize::from(fields)) {
            *count += what.hits();
        }
        let blocked = Blocked {
            resource: fields & 1 != 0,
            http_endpoint: fields & 2 != 0,
            peers: fields & 4 != 0,
            additional: fields & 8 != 0,
            all: false,
        };
        self.add_blocked(Key(key), blocked, what, bounds);
    }

    /// Which fields have a value too many, as bits. Values for which there is room are known from now on.
    fn over_limit(&mut self, key: Key<'_>, bounds: &Bounds) -> u8 {
        let l = bounds.limits;
        let limits = [l.resource, l.http_endpoint, l.peer_tags, l.additional_tags];
        let mut over = 0;
        for (i, ((value, seen), limit)) in
            key.limited().into_iter().zip(&mut self.distinct).zip(limits).enumerate()
        {
            let hash = bounds.hash(value);
            if seen.find(hash, |known| *known == hash).is_some() {
                continue;
            }
            if seen.len() >= limit as usize {
                over |= 1 << i;
            } else {
                seen.insert_unique(hash, hash, |hash| *hash);
            }
        }
        over
    }

    fn add_blocked(&mut self, key: Key<'_>, blocked: Blocked, what: What<'_>, bounds: &mut Bounds) {
        let mut scratch = std::mem::take(&mut bounds.scratch);
        scratch.clear();
        let range = key.blocked(blocked, &mut scratch);
        let key = scratch.written().get(range).unwrap_or(&[]);
        let hash = bounds.hash(key);
        if blocked.all {
            self.add_to(hash, key, what);
        } else {
            self.add_within(hash, key, what, bounds);
        }
        // A key of 100 KB is not kept.
        if scratch.capacity_bytes() <= 64 << 10 {
            bounds.scratch = scratch;
        }
    }

    /// Adds to a known group, or makes a new one while there is room, or else adds to the overflow group.
    fn add_within(&mut self, hash: u64, key: &[u8], what: What<'_>, bounds: &mut Bounds) {
        if self.groups.len() < bounds.limits.whole_key as usize || self.find(hash, key).is_some() {
            return self.add_to(hash, key, what);
        }
        bounds.collapsed.whole_key += what.hits();
        let all = Blocked { all: true, ..Blocked::default() };
        self.add_blocked(Key(key), all, what, bounds);
    }

    fn add_to(&mut self, hash: u64, key: &[u8], what: What<'_>) {
        if self.find(hash, key).is_none() {
            let at = self.groups.len() as u32;
            self.groups.push(Group::new(hash, key));
            let groups = &self.groups;
            self.places.insert_unique(hash, at, |at| groups.get(*at as usize).map_or(0, |g| g.hash));
        }
        match (self.find(hash, key), what) {
            (Some(group), What::Span(span)) => group.add(span),
            (Some(group), What::Group(other)) => group.merge(other),
            (None, _) => {}
        }
    }

    /// Spans in it.
    pub(crate) fn hits(&self) -> u64 {
        self.groups.iter().map(Group::hits).sum()
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Group>()
            + self.groups.iter().map(Group::heap_bytes).sum::<usize>()
            + self.places.allocation_size()
            + self.distinct.iter().map(HashTable::allocation_size).sum::<usize>()
    }
}
