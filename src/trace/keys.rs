//! Which keys of `meta` and `metrics` the scan shall recognise while it passes them.
//!
//! A stage that needs a key says so once ([`Interest`]); the scan then leaves the place of the key's value in the span.
//! Keys that the pipeline knows have a fixed [`Slot`]; keys that come from settings (peer tags, tags to obfuscate) are
//! numbered, and their places stand in the span's list of hits.
//!
//! Recognising costs one 8-byte load at the key's head (its length and up to seven characters), one multiplication and
//! one look into a small filter; a key that nobody asked for ends there. A key is compared in full before it counts.

/// Keys with a fixed place in each span. The order is free; `META` and `METRICS` below say where each one lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // each name is the key it stands for, see `META` and `METRICS`
pub enum Slot {
    SpanKind,
    HttpStatusText,
    HttpMethod,
    HttpEndpoint,
    HttpRoute,
    ServiceSource,
    Origin,
    BaseService,
    GrpcText0,
    GrpcText1,
    GrpcText2,
    GrpcText3,
    GrpcText4,
    RpcSystem,
    RpcSystemName,
    HttpResponseText,
    Env,
    Version,
    Component,
    TraceIdHigh,
    DecisionMaker,
    Hostname,
    GitCommit,
    ApmMode,
    SamplingPriority,
    SpanSamplingMechanism,
    AnalyticsRate,
    TracerTopLevel,
    TopLevel,
    Measured,
    PartialVersion,
    HttpStatusNumber,
    GrpcNumber0,
    GrpcNumber1,
    GrpcNumber2,
    GrpcNumber3,
    GrpcNumber4,
    HttpResponseNumber,
}

/// How many slots a span has.
pub(crate) const SLOTS: usize = 38;

/// The slots whose key stands in `meta`.
pub(crate) const META: [(Slot, &[u8]); 24] = [
    (Slot::SpanKind, b"span.kind"),
    (Slot::HttpStatusText, b"http.status_code"),
    (Slot::HttpMethod, b"http.method"),
    (Slot::HttpEndpoint, b"http.endpoint"),
    (Slot::HttpRoute, b"http.route"),
    (Slot::ServiceSource, b"_dd.svc_src"),
    (Slot::Origin, b"_dd.origin"),
    (Slot::BaseService, b"_dd.base_service"),
    (Slot::GrpcText0, b"rpc.grpc.status_code"),
    (Slot::GrpcText1, b"grpc.code"),
    (Slot::GrpcText2, b"rpc.grpc.status.code"),
    (Slot::GrpcText3, b"grpc.status.code"),
    (Slot::GrpcText4, b"rpc.response.status_code"),
    (Slot::RpcSystem, b"rpc.system"),
    (Slot::RpcSystemName, b"rpc.system.name"),
    (Slot::HttpResponseText, b"http.response.status_code"),
    (Slot::Env, b"env"),
    (Slot::Version, b"version"),
    (Slot::Component, b"component"),
    (Slot::TraceIdHigh, b"_dd.p.tid"),
    (Slot::DecisionMaker, b"_dd.p.dm"),
    (Slot::Hostname, b"_dd.hostname"),
    (Slot::GitCommit, b"_dd.git.commit.sha"),
    (Slot::ApmMode, b"_dd.apm_mode"),
];

/// The slots whose key stands in `metrics`.
pub(crate) const METRICS: [(Slot, &[u8]); 14] = [
    (Slot::SamplingPriority, b"_sampling_priority_v1"),
    (Slot::SpanSamplingMechanism, b"_dd.span_sampling.mechanism"),
    (Slot::AnalyticsRate, b"_dd1.sr.eausr"),
    (Slot::TracerTopLevel, b"_dd.top_level"),
    (Slot::TopLevel, b"_top_level"),
    (Slot::Measured, b"_dd.measured"),
    (Slot::PartialVersion, b"_dd.partial_version"),
    (Slot::HttpStatusNumber, b"http.status_code"),
    (Slot::GrpcNumber0, b"rpc.grpc.status_code"),
    (Slot::GrpcNumber1, b"grpc.code"),
    (Slot::GrpcNumber2, b"rpc.grpc.status.code"),
    (Slot::GrpcNumber3, b"grpc.status.code"),
    (Slot::GrpcNumber4, b"rpc.response.status_code"),
    (Slot::HttpResponseNumber, b"http.response.status_code"),
];

const fn mask(keys: &[(Slot, &[u8])]) -> u64 {
    let (mut m, mut i) = (0, 0);
    while i < keys.len() {
        m |= 1 << keys[i].0 as u64;
        i += 1;
    }
    m
}

/// The bits of the slots of `meta`.
pub(crate) const META_SLOTS: u64 = mask(&META);
/// The bits of the slots of `metrics`.
pub(crate) const METRICS_SLOTS: u64 = mask(&METRICS);

/// What a recognised key is: a slot, or the number of a configured key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Slot(u8),
    Hit(u16),
    /// A key that is both: a configured key that also has a slot.
    Both(u8, u16),
}

/// The keys that the scan recognises. Built when an exporter is built or when the agent's `/info` changes.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    pub(crate) meta: KeyTable,
    pub(crate) metrics: KeyTable,
    hits: u16,
}

impl Interest {
    /// Nothing at all: the scan counts and checks only.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds fixed keys.
    #[must_use]
    pub fn slots(mut self, slots: &[Slot]) -> Self {
        for &slot in slots {
            for (known, key) in META {
                if known == slot {
                    self.meta.add(key, Found::Slot(slot as u8));
                }
            }
            for (known, key) in METRICS {
                if known == slot {
                    self.metrics.add(key, Found::Slot(slot as u8));
                }
            }
        }
        self
    }

    /// Marks spans that have a value in `meta` which may be a card number, so that the others need not be walked for
    /// it: the scan passes every value anyway.
    #[must_use]
    pub fn cards(mut self) -> Self {
        self.meta.cards = true;
        self
    }

    /// Adds a configured key of `meta` and gives its number; the same key twice has one number. At most 65,000 keys are
    /// taken, `None` after that.
    pub fn meta_key(&mut self, key: &[u8]) -> Option<u16> {
        match self.meta.get(key) {
            Some(Found::Hit(n) | Found::Both(_, n)) => return Some(n),
            _ if self.hits == 65_000 => return None,
            _ => {}
        }
        let number = self.hits;
        self.meta.add(key, Found::Hit(number));
        self.hits += 1;
        Some(number)
    }
}

/// Masks for the part of an 8-byte load that belongs to a fixstr key of this length, head byte included.
pub(crate) const WORD_MASK: [u64; 32] = {
    let mut m = [u64::MAX; 32];
    let mut len = 0;
    while len < 7 {
        m[len] = (1 << ((len + 1) * 8)) - 1;
        len += 1;
    }
    m
};

/// The first eight bytes of `key` in its smallest msgpack form, missing ones as zeros.
pub(crate) fn word_of(key: &[u8]) -> u64 {
    let mut w = [0u8; 8];
    let start = if key.len() < 32 {
        w[0] = 0xa0 | key.len() as u8;
        1
    } else {
        w[0] = 0xd9;
        w[1] = key.len() as u8;
        2
    };
    for (to, from) in w[start..].iter_mut().zip(key) {
        *to = *from;
    }
    u64::from_le_bytes(w)
}

const FILTER_BITS: u32 = 9;

#[derive(Clone, Debug)]
pub(crate) struct KeyTable {
    /// Whether values that begin as a card number may are marked.
    pub(crate) cards: bool,
    /// For each hash: 0 or 1 + the index of the first entry of its chain.
    filter: [u16; 1 << FILTER_BITS],
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    word: u64,
    /// The last eight bytes of a key that has as many.
    last: u64,
    key: Box<[u8]>,
    found: Found,
    /// 0 or 1 + the index of the next entry of the chain.
    next: u16,
}

impl Entry {
    /// Whether the key at `at`, whose word is this entry's, is this entry's to its end. The word holds the length and
    /// seven characters, so with the last eight bytes a key of up to fifteen is compared in full.
    #[inline(always)]
    fn ends_like(&self, buf: &[u8], at: usize, len: usize) -> bool {
        match len {
            0..=7 => true,
            8..=15 => last_eight(buf.get(at..at + len).unwrap_or(&[])) == self.last,
            _ => buf.get(at..at + len) == Some(&*self.key),
        }
    }
}

#[inline(always)]
fn last_eight(text: &[u8]) -> u64 {
    text.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Default for KeyTable {
    fn default() -> Self {
        Self { cards: false, filter: [0; 1 << FILTER_BITS], entries: Vec::new() }
    }
}

impl KeyTable {
    #[inline(always)]
    fn slot_of(word: u64) -> usize {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)) as usize
    }

    /// Whether nobody asked for a key.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What `key` is; `word` is [`word_of`] it. The common answer, none, costs one load.
    #[inline(always)]
    pub(crate) fn find(
        &self,
        word: u64,
        key: impl FnOnce() -> Option<usize>,
        buf: &[u8],
        len: usize,
    ) -> Option<Found> {
        let first = self.filter[Self::slot_of(word)];
        if first == 0 {
            return None;
        }
        let at = key()?;
        let entry = self.entries.get(usize::from(first) - 1)?;
        if entry.word == word && entry.ends_like(buf, at, len) {
            return Some(entry.found);
        }
        self.chain(entry.next, word, buf.get(at..)?.get(..len)?)
    }

    #[inline(never)]
    fn chain(&self, mut at: u16, word: u64, key: &[u8]) -> Option<Found> {
        while at != 0 {
            let e = self.entries.get(usize::from(at) - 1)?;
            if e.word == word && *e.key == *key {
                return Some(e.found);
            }
            at = e.next;
        }
        None
    }

    fn get(&self, key: &[u8]) -> Option<Found> {
        let word = word_of(key);
        self.chain(self.filter[Self::slot_of(word)], word, key)
    }

    fn add(&mut self, key: &[u8], found: Found) {
        let word = word_of(key);
        let slot = Self::slot_of(word);
        if let Some(e) = self.entries.iter_mut().find(|e| *e.key == *key) {
            e.found = match (e.found, found) {
                (Found::Slot(s), Found::Hit(h)) | (Found::Hit(h), Found::Slot(s)) => Found::Both(s, h),
                (old, _) => old,
            };
            return;
        }
        self.entries.push(Entry {
            word,
            last: last_eight(key),
            key: key.into(),
            found,
            next: self.filter[slot],
        });
        self.filter[slot] = self.entries.len() as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_exactly_one_key() {
        let mut seen = [0; SLOTS];
        for (slot, _) in META.iter().chain(&METRICS) {
            seen[*slot as usize] += 1;
        }
        assert_eq!(seen, [1; SLOTS]);
    }

    #[test]
    fn finds_what_was_added_and_nothing_else() {
        let mut interest = Interest::none().slots(&[Slot::SpanKind, Slot::Env, Slot::GrpcText0]);
        let long = [b'k'; 200];
        let numbers: Vec<_> =
            [&b"out.host"[..], b"span.kind", b"", b"rpc.grpc.status_codf", &long, b"out.host"]
                .iter()
                .map(|k| interest.meta_key(k).unwrap())
                .collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 0]);
        let t = &interest.meta;
        assert_eq!(t.get(b"env"), Some(Found::Slot(Slot::Env as u8)));
        assert_eq!(t.get(b"span.kind"), Some(Found::Both(Slot::SpanKind as u8, 1)));
        assert_eq!(t.get(&long), Some(Found::Hit(4)));
        assert_eq!(t.get(b""), Some(Found::Hit(2)));
        assert_eq!(t.get(b"rpc.grpc.status.code"), None);
        assert_eq!(t.get(b"en"), None);
        assert_eq!(interest.metrics.get(b"span.kind"), None);
    }
}
