//! What the stage takes from a payload: which spans count, their keys, their times. It works on the spans of one batch
//! after the top-level stage and before the p0 drop, without a lock and without an allocation; the records it leaves in
//! [`Pending`] are counted by [`super::Concentrator::commit`], once a payload.
//!
//! A span counts if it is top level, measured, or of an eligible kind, and is no partial snapshot
//! (`spec/reference-behaviour.md` 4.2). Times are clamped: a negative duration is 0, an end is within 0 and the largest
//! i64.

use super::concentrator::Concentrator;
use super::grpc;
use super::key::{BLOCKED, Facts, KeyWriter, Root, Text};
use crate::msgpack::reader;
use crate::trace::{Arena, ChunkState, Interest, Payload, SIDE, Slot, Span, Verdict, flag, is_marked};
use std::hash::{BuildHasher, Hasher};

/// Keys that the scan must recognise for this stage, beside the configured tags.
pub const STATS_SLOTS: &[Slot] = &[
    Slot::SpanKind,
    Slot::HttpStatusText,
    Slot::HttpMethod,
    Slot::HttpEndpoint,
    Slot::HttpRoute,
    Slot::ServiceSource,
    Slot::Origin,
    Slot::BaseService,
    Slot::GrpcText0,
    Slot::GrpcText1,
    Slot::GrpcText2,
    Slot::GrpcText3,
    Slot::TracerTopLevel,
    Slot::TopLevel,
    Slot::Measured,
    Slot::PartialVersion,
    Slot::HttpStatusNumber,
    Slot::GrpcNumber0,
    Slot::GrpcNumber1,
    Slot::GrpcNumber2,
    Slot::GrpcNumber3,
];

const GRPC_TEXTS: [Slot; 4] = [Slot::GrpcText0, Slot::GrpcText1, Slot::GrpcText2, Slot::GrpcText3];
const GRPC_NUMBERS: [Slot; 4] = [Slot::GrpcNumber0, Slot::GrpcNumber1, Slot::GrpcNumber2, Slot::GrpcNumber3];

/// Kinds that count when the agent names none.
pub const DEFAULT_KINDS: [&str; 4] = ["server", "client", "producer", "consumer"];
/// So many additional tags are used; what is beyond is left out.
pub const MAX_ADDITIONAL: usize = 4;
/// Characters of an additional tag's value.
const MAX_ADDITIONAL_CHARS: usize = 200;
/// More peer tags are not asked for.
const MAX_PEERS: usize = 20_000;

/// Takes the addresses out of a peer tag's value (`spec/reference-behaviour.md` 6.9).
pub type Quantize = fn(&[u8], &mut Vec<u8>) -> Verdict;

/// What the stage looks at. Made anew when the agent says something new of itself.
#[derive(Clone, Debug)]
pub struct Rules {
    kinds: Vec<Box<[u8]>>,
    /// By the number that the scan gives a configured key: what it is.
    roles: Vec<Role>,
    /// `key:` of each peer tag, in their order.
    peers: Vec<Box<[u8]>>,
    /// `key:` of each additional tag, sorted.
    additional: Vec<Box<[u8]>>,
    quantize: Quantize,
    hasher: foldhash::fast::RandomState,
}

/// One more than the index; 0: it is none.
#[derive(Clone, Copy, Debug, Default)]
struct Role {
    peer: u16,
    additional: u16,
}

impl Rules {
    /// The rules for these kinds (none: [`DEFAULT_KINDS`]), peer tags and additional tags, to fill a [`Pending`] for
    /// `concentrator`. `interest` learns the configured keys; [`STATS_SLOTS`] come beside them.
    pub fn new(
        concentrator: &Concentrator,
        kinds: &[String],
        peers: impl Iterator<Item = String>,
        additional: &[String],
        quantize: Quantize,
        interest: &mut Interest,
    ) -> Self {
        let lower = |kind: &str| kind.to_ascii_lowercase().into_bytes().into_boxed_slice();
        let mut rules = Self {
            kinds: if kinds.is_empty() {
                DEFAULT_KINDS.map(lower).into()
            } else {
                kinds.iter().map(|k| lower(k)).collect()
            },
            roles: Vec::new(),
            peers: Vec::new(),
            additional: Vec::new(),
            quantize,
            hasher: concentrator.hasher(),
        };
        for key in peers.take(MAX_PEERS) {
            let next = rules.peers.len() as u16 + 1;
            let Some(role) = rules.role(&key, interest) else { break };
            if role.peer == 0 {
                role.peer = next;
                rules.peers.push(format!("{key}:").into_bytes().into());
            }
        }
        let mut sorted: Vec<&String> = additional.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        for key in sorted.into_iter().take(MAX_ADDITIONAL) {
            let next = rules.additional.len() as u16 + 1;
            let Some(role) = rules.role(key, interest) else { break };
            role.additional = next;
            rules.additional.push(format!("{key}:").into_bytes().into());
        }
        rules
    }

    fn role(&mut self, key: &str, interest: &mut Interest) -> Option<&mut Role> {
        let number = usize::from(interest.meta_key(key.as_bytes())?);
        if self.roles.len() <= number {
            self.roles.resize(number + 1, Role::default());
        }
        self.roles.get_mut(number)
    }

    /// Records the spans of a batch that count. With `early` they may be counted there when many have come together, so
    /// that a large payload does not take memory by its size.
    pub fn observe(&self, payload: &Payload<'_>, pending: &mut Pending, early: Option<&Concentrator>) {
        for chunk in payload.chunks() {
            if chunk.state() != ChunkState::Kept {
                continue;
            }
            for spans in payload.chunk_spans(chunk).chunks(SPANS_AT_ONCE) {
                for span in spans {
                    self.span(payload.bytes, payload.arena, span, pending);
                }
                if let Some(concentrator) = early.filter(|_| pending.is_much()) {
                    concentrator.commit(pending);
                }
            }
        }
    }

    #[inline]
    fn span(&self, bytes: &[u8], arena: &Arena, span: &Span, pending: &mut Pending) {
        let top_level = span.flags & flag::IS_TOP_LEVEL != 0
            || span.present & MARKS != 0 && is_marked(bytes, arena, span);
        let kind = slot_place(bytes, arena, span, Slot::SpanKind);
        let kind_text = kind.text();
        let counts = top_level
            || arena.slot_number(bytes, span, Slot::Measured) == Some(1.0)
            || (!kind_text.is_empty() && self.kinds.iter().any(|k| k.eq_ignore_ascii_case(kind_text)));
        if !counts || arena.slot_number(bytes, span, Slot::PartialVersion).is_some_and(|v| v >= 0.0) {
            return;
        }
        pending.seen += 1;
        if pending.seen <= pending.done {
            return;
        }
        let duration = span.duration.max(0);
        let end = span.start.saturating_add(duration).max(0) as u64;
        let range = self.key(bytes, arena, span, kind, pending);
        let key = pending.keys.written().get(range.clone()).unwrap_or(&[]);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        pending.records.push(Record {
            hash: hasher.finish(),
            key_at: range.start as u32,
            key_len: range.len() as u32,
            end,
            duration: duration as u64,
            error: span.error != 0,
            top_level,
        });
    }

    #[inline]
    fn key(
        &self,
        bytes: &[u8],
        arena: &Arena,
        span: &Span,
        kind: Place<'_>,
        pending: &mut Pending,
    ) -> std::ops::Range<usize> {
        let w = &mut pending.keys;
        w.begin();
        for (which, text) in [
            (Text::Service, span.service),
            (Text::Name, span.name),
            (Text::Resource, span.resource),
            (Text::Type, span.kind),
        ] {
            let from = if text.at & SIDE == 0 { bytes } else { &arena.side };
            w.text(which, from, (text.at & !SIDE) as usize, text.len as usize);
        }
        let slot = |slot| slot_place(bytes, arena, span, slot);
        let mut endpoint = slot(Slot::HttpEndpoint);
        if endpoint.len == 0 {
            endpoint = slot(Slot::HttpRoute);
        }
        for (which, place) in [
            (Text::SpanKind, kind),
            (Text::HttpMethod, slot(Slot::HttpMethod)),
            (Text::HttpEndpoint, endpoint),
            (Text::ServiceSource, slot(Slot::ServiceSource)),
        ] {
            w.text(which, place.from, place.at, place.len);
        }
        if span.hits_len > 0 || span.has(Slot::BaseService) {
            self.tags(bytes, arena, span, kind.text(), pending);
        }
        let facts = Facts {
            http_status: http_status(bytes, arena, span),
            grpc: if span.present & GRPC != 0 { grpc_status(bytes, arena, span) } else { None },
            synthetics: slot(Slot::Origin).text().starts_with(b"synthetics"),
            root: if span.parent_id == 0 { Root::Yes } else { Root::No },
        };
        pending.keys.end(facts)
    }

    fn tags(&self, bytes: &[u8], arena: &Arena, span: &Span, kind: &[u8], pending: &mut Pending) {
        let has_peers =
            [&b"client"[..], b"producer", b"consumer"].iter().any(|k| k.eq_ignore_ascii_case(kind));
        let hits =
            arena.hits.get(span.hits_at as usize..(span.hits_at + span.hits_len) as usize).unwrap_or(&[]);
        let mut additional = [0u32; MAX_ADDITIONAL];
        pending.found.clear();
        for hit in hits {
            let role = self.roles.get(usize::from(hit.key)).copied().unwrap_or_default();
            // With one key twice the last counts.
            if let Some(at) = additional.get_mut(usize::from(role.additional).wrapping_sub(1)) {
                *at = hit.value_at;
            }
            if has_peers && role.peer > 0 {
                pending.found.push((role.peer, hit.value_at));
            }
        }
        for (prefix, &at) in self.additional.iter().zip(&additional) {
            let value = if at == 0 { &[] } else { place(bytes, arena, at).text() };
            if !value.is_empty() {
                let long = value.len() > MAX_ADDITIONAL_CHARS
                    && String::from_utf8_lossy(value).chars().nth(MAX_ADDITIONAL_CHARS).is_some();
                pending.keys.additional(prefix, if long { BLOCKED } else { value });
            }
        }
        if has_peers {
            if !pending.found.is_sorted() {
                pending.found.sort_unstable();
            }
            for i in 0..pending.found.len() {
                let Some(&(peer, at)) = pending.found.get(i) else { break };
                if pending.found.get(i + 1).is_some_and(|next| next.0 == peer) {
                    continue;
                }
                let prefix = self.peers.get(usize::from(peer) - 1).map_or(&b""[..], |p| p);
                let value = place(bytes, arena, at).text();
                if pending.memo.stays(value) {
                    pending.keys.tag(prefix, value);
                } else {
                    self.quantized(prefix, value, pending);
                }
            }
        } else if !self.peers.is_empty() && (kind.is_empty() || kind.eq_ignore_ascii_case(b"internal")) {
            let base = slot_place(bytes, arena, span, Slot::BaseService).text();
            if !base.is_empty() {
                pending.keys.tag(b"_dd.base_service:", base);
            }
        }
    }

    #[inline(never)]
    fn quantized(&self, prefix: &[u8], value: &[u8], pending: &mut Pending) {
        pending.scratch.clear();
        match (self.quantize)(value, &mut pending.scratch) {
            Verdict::Replace => pending.keys.tag(prefix, &pending.scratch),
            _ => {
                pending.memo.remember(value);
                pending.keys.tag(prefix, value);
            }
        }
    }
}

const fn mask(slots: &[Slot]) -> u32 {
    let (mut m, mut i) = (0, 0);
    while i < slots.len() {
        m |= 1 << slots[i] as u32;
        i += 1;
    }
    m
}

const MARKS: u32 = mask(&[Slot::TopLevel, Slot::TracerTopLevel]);
const GRPC: u32 = mask(&GRPC_TEXTS) | mask(&GRPC_NUMBERS);

/// A text: `from[at..at + len]`. Whoever copies it may copy more than its length.
#[derive(Clone, Copy)]
struct Place<'a> {
    from: &'a [u8],
    at: usize,
    len: usize,
}

impl<'a> Place<'a> {
    #[inline(always)]
    fn text(self) -> &'a [u8] {
        self.from.get(self.at..self.at + self.len).unwrap_or(&[])
    }
}

/// The text whose head stands at `at`, in the payload or where a stage has replaced it.
#[inline(always)]
fn place<'a>(bytes: &'a [u8], arena: &'a Arena, at: u32) -> Place<'a> {
    let (from, at) = arena.value(bytes, at);
    match from.get(at) {
        Some(&b) if b & 0xe0 == 0xa0 => Place { from, at: at + 1, len: usize::from(b & 0x1f) },
        _ => match reader::text(from, at) {
            Ok((text, end)) => Place { from, at: end - text.len(), len: text.len() },
            Err(_) => Place { from, at: 0, len: 0 },
        },
    }
}

/// The text of a recognised tag; empty if the span has none.
#[inline(always)]
fn slot_place<'a>(bytes: &'a [u8], arena: &'a Arena, span: &Span, slot: Slot) -> Place<'a> {
    match span.slot(slot) {
        Some(at) => place(bytes, arena, at as u32),
        None => Place { from: bytes, at: 0, len: 0 },
    }
}

/// Number before text; what is neither is 0.
#[inline]
fn http_status(bytes: &[u8], arena: &Arena, span: &Span) -> u32 {
    if let Some(v) = arena.slot_number(bytes, span, Slot::HttpStatusNumber) {
        return v as u32;
    }
    grpc::number(slot_place(bytes, arena, span, Slot::HttpStatusText).text()).unwrap_or(0)
}

#[cold]
fn grpc_status(bytes: &[u8], arena: &Arena, span: &Span) -> Option<u8> {
    let mut texts =
        GRPC_TEXTS.into_iter().filter_map(|slot| grpc::of_text(slot_place(bytes, arena, span, slot).text()));
    let numbers = GRPC_NUMBERS.into_iter();
    let mut numbers = numbers.filter_map(|slot| grpc::of_number(arena.slot_number(bytes, span, slot)?));
    texts.next().or_else(|| numbers.next())
}

/// One span that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) hash: u64,
    key_at: u32,
    key_len: u32,
    pub(crate) end: u64,
    pub(crate) duration: u64,
    pub(crate) error: bool,
    pub(crate) top_level: bool,
}

/// Spans of one payload that are recorded and not counted yet. Its memory is used again for the next payload.
#[derive(Debug, Default)]
pub struct Pending {
    records: Vec<Record>,
    keys: KeyWriter,
    /// Peer tags of one span: their place in the order, and where the value is.
    found: Vec<(u16, u32)>,
    scratch: Vec<u8>,
    memo: Memo,
    /// Spans that count, met in this pass, and how many of them are counted already (in this pass or one before).
    seen: u64,
    done: u64,
}

/// A payload that records more than this is counted in parts.
const MANY_BYTES: usize = 512 << 10;
/// So many spans are recorded before that is looked at.
const SPANS_AT_ONCE: usize = 512;

impl Pending {
    /// A new payload.
    pub fn begin(&mut self) {
        self.restart();
        self.done = 0;
    }

    /// The same payload again, from its first chunk. What was counted is not counted twice.
    pub(crate) fn restart(&mut self) {
        self.records.clear();
        self.keys.clear();
        self.seen = 0;
    }

    /// Whether it is time to count what has come together.
    pub(crate) fn is_much(&self) -> bool {
        self.keys.len() + self.records.len() * size_of::<Record>() > MANY_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records with their keys.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&Record, &[u8])> {
        let keys = self.keys.written();
        self.records.iter().map(move |r| {
            let at = r.key_at as usize;
            (r, keys.get(at..at + r.key_len as usize).unwrap_or(&[]))
        })
    }

    /// What was recorded has been counted.
    pub(crate) fn counted(&mut self) {
        self.done = self.done.max(self.seen);
        self.records.clear();
        self.keys.clear();
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record>() + self.keys.capacity_bytes()
    }
}

/// Values of peer tags that hold no address, so that they need not be searched again. A place is taken over by whoever
/// comes last.
#[derive(Debug)]
struct Memo {
    places: Box<[[u8; MEMO_BYTES]]>,
}

/// Longer values are not remembered.
const MEMO_BYTES: usize = 32;
const MEMO_PLACES: usize = 256;

impl Default for Memo {
    fn default() -> Self {
        Self { places: vec![[0; MEMO_BYTES]; MEMO_PLACES].into() }
    }
}

impl Memo {
    /// A value shorter than a place, filled up with its length: no two values look the same.
    #[inline]
    fn padded(value: &[u8]) -> Option<([u8; MEMO_BYTES], usize)> {
        if value.is_empty() || value.len() >= MEMO_BYTES {
            return None;
        }
        let mut place = [value.len() as u8; MEMO_BYTES];
        place.get_mut(..value.len())?.copy_from_slice(value);
        let word = |at: usize| place[at..at + 8].iter().rev().fold(0u64, |w, b| w << 8 | u64::from(*b));
        let mix = (word(0) ^ word(8).rotate_left(29) ^ word(16).rotate_left(43))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(value.len() as u64);
        Some((place, (mix >> 56) as usize % MEMO_PLACES))
    }

    #[inline]
    fn stays(&self, value: &[u8]) -> bool {
        Self::padded(value).is_some_and(|(padded, at)| self.places.get(at) == Some(&padded))
    }

    fn remember(&mut self, value: &[u8]) {
        if let Some((padded, at)) = Self::padded(value)
            && let Some(place) = self.places.get_mut(at)
        {
            *place = padded;
        }
    }
}
