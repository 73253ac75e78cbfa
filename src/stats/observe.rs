//! What the stage takes from a payload: which spans count, their keys, their times. It works on the spans of one batch
//! after the top-level stage and before the p0 drop, without a lock and without an allocation; the records it leaves in
//! [`Pending`] are counted by [`super::Concentrator::commit`], once a payload.
//!
//! A span counts if it is top level, measured, or of an eligible kind, and is no partial snapshot
//! (`spec/reference-behaviour.md` 4.2). Times are cut as the agent cuts them before it counts: a duration that is
//! negative, or that ends beyond the largest i64, or that begins before 1970, is 0. A span that begins before the year
//! 2000 ended now, or, with [`Clock::Replay`], when it says, but not before 1970.

use super::concentrator::{Clock, Concentrator};
use super::key::{BLOCKED, Facts, KeyWriter, Root, Seed, Text};
use super::pending::{Pending, RECALLED, Record};
use super::place::{Kind, Place, lower_word, place, slot_place};
use super::recall::{Described, Recalled};
use super::resources::{self, Known, MAX_NAME, Resources};
use super::status;
use crate::trace::{Arena, ChunkState, Hit, Interest, Payload, SIDE, Slot, Span, Verdict, flag, is_marked};

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
    Slot::GrpcText4,
    Slot::RpcSystem,
    Slot::RpcSystemName,
    Slot::HttpResponseText,
    Slot::TracerTopLevel,
    Slot::TopLevel,
    Slot::Measured,
    Slot::PartialVersion,
    Slot::HttpStatusNumber,
    Slot::GrpcNumber0,
    Slot::GrpcNumber1,
    Slot::GrpcNumber2,
    Slot::GrpcNumber3,
    Slot::GrpcNumber4,
    Slot::HttpResponseNumber,
];

/// Kinds that count when the agent names none.
pub const DEFAULT_KINDS: [&str; 4] = ["server", "client", "producer", "consumer"];
/// So many additional tags are used; what is beyond is left out.
pub const MAX_ADDITIONAL: usize = 4;
/// Characters of an additional tag's value.
const MAX_ADDITIONAL_CHARS: usize = 200;
/// So many spans are recorded before it is looked whether that is much.
const SPANS_AT_ONCE: usize = 512;
/// The agent takes no earlier start for true.
const YEAR_2000_NS: i64 = 946_684_800_000_000_000;
/// More peer tags are not asked for.
const MAX_PEERS: usize = 20_000;
/// The number of the tag that describes an internal span's peer, whatever tags are asked for; beyond all of those.
const BASE_SERVICE: u16 = u16::MAX;

/// Takes the addresses out of a peer tag's value (`spec/reference-behaviour.md` 6.9).
pub type Quantize = fn(&[u8], &mut Vec<u8>) -> Verdict;

/// What the stage looks at. Made anew when the agent says something new of itself.
#[derive(Clone, Debug)]
pub struct Rules {
    kinds: Vec<u64>,
    /// Kinds of more than eight bytes.
    long_kinds: Vec<Box<[u8]>>,
    /// By the number that the scan gives a configured key: what it is.
    roles: Vec<Role>,
    /// `key:` of each peer tag, in their order.
    peers: Vec<Box<[u8]>>,
    /// `key:` of each additional tag, sorted.
    additional: Vec<Box<[u8]>>,
    quantize: Quantize,
    /// How resources are obfuscated and cut; `None`: they stay as the spans have them.
    resources: Option<Resources>,
    /// The number that the scan gives `db.type`, when resources are obfuscated.
    db_type: Option<u16>,
    seed: Seed,
    clock: Clock,
    /// Tells one list of tags from another.
    id: u64,
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
        let mut rules = Self {
            kinds: Vec::new(),
            long_kinds: Vec::new(),
            roles: Vec::new(),
            peers: Vec::new(),
            additional: Vec::new(),
            quantize,
            resources: None,
            db_type: None,
            seed: concentrator.seed(),
            clock: concentrator.clock(),
            id: Seed::default().hash(&[]),
        };
        let named = kinds.iter().map(String::as_str);
        let default: &[&str] = if kinds.is_empty() { &DEFAULT_KINDS } else { &[] };
        for kind in named.chain(default.iter().copied()) {
            match lower_word(Place { from: kind.as_bytes(), at: 0, len: kind.len() }) {
                0 => rules.long_kinds.push(kind.as_bytes().into()),
                word => rules.kinds.push(word),
            }
        }
        for key in peers.take(MAX_PEERS) {
            let next = rules.peers.len() as u16 + 1;
            let Some(role) = rules.role(&key, interest) else { break };
            if role.peer == 0 {
                role.peer = next;
                rules.peers.push(format!("{key}:").into_bytes().into());
            }
        }
        let mut sorted: Vec<&String> = Vec::new();
        for key in additional {
            if let Err(at) = sorted.binary_search(&key) {
                sorted.insert(at, key);
            }
        }
        for key in sorted.into_iter().take(MAX_ADDITIONAL) {
            let next = rules.additional.len() as u16 + 1;
            let Some(role) = rules.role(key, interest) else { break };
            role.additional = next;
            rules.additional.push(format!("{key}:").into_bytes().into());
        }
        rules
    }

    /// The same, but resources are obfuscated and cut as was agreed. Call it before the scan.
    #[must_use]
    pub fn with_resources(mut self, resources: Resources, interest: &mut Interest) -> Self {
        self.db_type = resources.obfuscate.as_ref().and_then(|_| interest.meta_key(b"db.type"));
        self.resources = Some(resources);
        self
    }

    /// Whether keys say that their resources are as agreed.
    pub fn agreed(&self) -> bool {
        self.resources.is_some()
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
        pending.memo.serve(self.id);
        pending.known.serve(self.id);
        // Without tags a key is written as fast as a span is described.
        let recalls = (!self.peers.is_empty() || self.resources.is_some())
            && pending.recall.serve(self.id, !pending.is_empty());
        for chunk in payload.chunks() {
            if chunk.state() != ChunkState::Kept {
                continue;
            }
            for spans in payload.chunk_spans(chunk).chunks(SPANS_AT_ONCE) {
                for span in spans {
                    if recalls {
                        self.span::<true>(payload.bytes, payload.arena, span, pending);
                    } else {
                        self.span::<false>(payload.bytes, payload.arena, span, pending);
                    }
                }
                if let Some(concentrator) = early.filter(|_| pending.is_much()) {
                    concentrator.commit(pending);
                }
            }
        }
    }

    #[inline(always)]
    fn span<const RECALLS: bool>(&self, bytes: &[u8], arena: &Arena, span: &Span, pending: &mut Pending) {
        let top_level = span.flags & flag::IS_TOP_LEVEL != 0
            || span.present & MARKS != 0 && is_marked(bytes, arena, span);
        let kind = Kind::of(slot_place(bytes, arena, span, Slot::SpanKind));
        let counts = top_level
            || arena.slot_number(bytes, span, Slot::Measured) == Some(1.0)
            || self.counts_kind(kind);
        if !counts || arena.slot_number(bytes, span, Slot::PartialVersion).is_some_and(|v| v >= 0.0) {
            return;
        }
        pending.seen += 1;
        if pending.seen <= pending.done {
            return;
        }
        let possible = 0..=i64::MAX.wrapping_sub(span.start);
        let duration = if possible.contains(&span.duration) { span.duration } else { 0 };
        let end = if span.start < YEAR_2000_NS && self.clock == Clock::Wall {
            u64::MAX
        } else {
            span.start.saturating_add(duration).max(0) as u64
        };
        let mut record = Record {
            hash: 0,
            key_at: 0,
            key_len: 0,
            end,
            duration: duration as u64,
            error: span.error != 0,
            top_level,
        };
        let described = RECALLS && pending.recall.is_on();
        if described {
            let known = if arena.side.is_empty() {
                self.known_key::<false>(bytes, arena, span, kind, pending)
            } else {
                self.known_key::<true>(bytes, arena, span, kind, pending)
            };
            if let Some(key) = known {
                (record.hash, record.key_at, record.key_len) = (key.hash, key.at | RECALLED, key.len);
                pending.records.push(record);
                return;
            }
        }
        let range = if RECALLS {
            self.key_apart(bytes, arena, span, kind, pending)
        } else {
            self.key(bytes, arena, span, kind, pending)
        };
        let key = pending.keys.written().get(range.clone()).unwrap_or(&[]);
        record.hash = self.seed.hash(key);
        (record.key_at, record.key_len) = (range.start as u32, range.len() as u32);
        pending.records.push(record);
        if described {
            pending.recall.remember(bytes, arena, &pending.described, key, record.hash);
        }
    }

    /// The key, if a span with everything that [`Self::key`] looks at was met before.
    #[inline(always)]
    fn known_key<const SIDED: bool>(
        &self,
        bytes: &[u8],
        arena: &Arena,
        span: &Span,
        kind: Kind<'_>,
        pending: &mut Pending,
    ) -> Option<Recalled> {
        self.describe::<SIDED>(bytes, arena, span, kind, &mut pending.described);
        pending.recall.find::<SIDED>(bytes, arena, &pending.described)
    }

    /// Everything of a span that [`Self::key`] looks at.
    #[inline(always)]
    fn describe<const SIDED: bool>(
        &self,
        bytes: &[u8],
        arena: &Arena,
        span: &Span,
        kind: Kind<'_>,
        described: &mut Described,
    ) {
        let mut tags = span.present & KEY;
        described.begin(tags | u64::from(span.parent_id == 0) << ROOT_BIT);
        described.add_text(span.service);
        described.add_main_text::<SIDED>(bytes, arena, span.name);
        described.add_main_text::<SIDED>(bytes, arena, span.resource);
        described.add_text(span.kind);
        while tags != 0 {
            let at = span.slots.get(tags.trailing_zeros() as usize).copied().unwrap_or(0);
            described.add_value::<SIDED>(bytes, arena, at, 0);
            tags &= tags - 1;
        }
        let has_peers = kind.has_peers();
        if span.hits_len == 0 || !has_peers && self.additional.is_empty() && self.db_type.is_none() {
            return;
        }
        for hit in hits(arena, span) {
            let role = self.roles.get(usize::from(hit.key)).copied().unwrap_or_default();
            if has_peers && role.peer > 0 || role.additional > 0 || self.db_type == Some(hit.key) {
                described.add_value::<SIDED>(bytes, arena, hit.value_at, hit.key + 1);
            }
        }
    }

    /// The same, where it is rare.
    #[inline(never)]
    fn key_apart(
        &self,
        bytes: &[u8],
        arena: &Arena,
        span: &Span,
        kind: Kind<'_>,
        pending: &mut Pending,
    ) -> std::ops::Range<usize> {
        self.key(bytes, arena, span, kind, pending)
    }

    /// Writes the key of a span.
    #[inline(always)]
    fn key(
        &self,
        bytes: &[u8],
        arena: &Arena,
        span: &Span,
        kind: Kind<'_>,
        pending: &mut Pending,
    ) -> std::ops::Range<usize> {
        let w = &mut pending.keys;
        w.begin();
        // One by one: a loop would look up each length again.
        let field = |w: &mut KeyWriter, which, text: crate::trace::Text| {
            let from = if text.at & SIDE == 0 { bytes } else { &arena.side };
            w.text(which, from, (text.at & !SIDE) as usize, text.len as usize);
        };
        match &self.resources {
            None => {
                field(w, Text::Service, span.service);
                field(w, Text::Name, span.name);
                field(w, Text::Resource, span.resource);
                field(w, Text::Type, span.kind);
            }
            Some(agreed) => self.agreed_texts(agreed, bytes, arena, span, w, &mut pending.known),
        }
        w.text(Text::SpanKind, kind.text.from, kind.text.at, kind.text.len);
        let slot = |slot| slot_place(bytes, arena, span, slot);
        if span.present & HTTP != 0 {
            let method = slot(Slot::HttpMethod);
            w.text(Text::HttpMethod, method.from, method.at, method.len);
            let mut endpoint = slot(Slot::HttpEndpoint);
            if endpoint.len == 0 {
                endpoint = slot(Slot::HttpRoute);
            }
            w.text(Text::HttpEndpoint, endpoint.from, endpoint.at, endpoint.len);
        }
        if span.has(Slot::ServiceSource) {
            let source = slot(Slot::ServiceSource);
            w.text(Text::ServiceSource, source.from, source.at, source.len);
        }
        if span.hits_len > 0 || span.has(Slot::BaseService) {
            self.tags(bytes, arena, span, kind, pending);
        }
        let facts = Facts {
            http_status: match span.present & STATUS {
                0 => 0,
                STATUS_TEXT => status::usual_http(slot(Slot::HttpStatusText).text())
                    .unwrap_or_else(|| status::http(bytes, arena, span)),
                _ => status::http(bytes, arena, span),
            },
            grpc: if span.present & GRPC != 0 { status::grpc(bytes, arena, span) } else { None },
            synthetics: span.has(Slot::Origin) && slot(Slot::Origin).text().starts_with(b"synthetics"),
            root: if span.parent_id == 0 { Root::Yes } else { Root::No },
            agreed: self.agreed(),
        };
        pending.keys.end(facts)
    }

    /// Service, name, resource and type of a span whose resource is to be as agreed: obfuscated, then cut.
    fn agreed_texts(
        &self,
        agreed: &Resources,
        bytes: &[u8],
        arena: &Arena,
        span: &Span,
        w: &mut KeyWriter,
        known: &mut Known,
    ) {
        let name = |w: &mut KeyWriter, which, text: crate::trace::Text| {
            let len = resources::cut(arena.text(bytes, text), MAX_NAME);
            let from = if text.at & SIDE == 0 { bytes } else { &arena.side };
            w.text(which, from, (text.at & !SIDE) as usize, len);
        };
        name(w, Text::Service, span.service);
        name(w, Text::Name, span.name);
        let mut resource = arena.text(bytes, span.resource);
        let span_type = arena.text(bytes, span.kind);
        if let Some(by) = &agreed.obfuscate
            && let Some(grammar) = resources::grammar(span_type)
            && !resource.is_empty()
        {
            let db_type = self.db_type.map_or(&[][..], |number| hit(bytes, arena, span, number));
            let kind = (grammar, span_type);
            if let Some(new) = known.resource(&**by, &self.seed, kind, resource, db_type) {
                resource = new;
            }
        }
        w.text(Text::Resource, resource, 0, resources::cut(resource, agreed.max_bytes));
        name(w, Text::Type, span.kind);
    }

    /// Whether spans of this kind count.
    #[inline]
    fn counts_kind(&self, kind: Kind<'_>) -> bool {
        match kind.word {
            0 => {
                kind.text.len > 8 && self.long_kinds.iter().any(|k| k.eq_ignore_ascii_case(kind.text.text()))
            }
            word => self.kinds.contains(&word),
        }
    }

    fn tags(&self, bytes: &[u8], arena: &Arena, span: &Span, kind: Kind<'_>, pending: &mut Pending) {
        let has_peers = kind.has_peers();
        if !has_peers && self.additional.is_empty() {
            return self.base_service(bytes, arena, span, kind, pending);
        }
        let hits = hits(arena, span);
        let mut additional = [0u32; MAX_ADDITIONAL];
        pending.found.clear();
        for hit in hits {
            let role = self.roles.get(usize::from(hit.key)).copied().unwrap_or_default();
            // With one key twice the last counts.
            if let Some(at) = additional.get_mut(usize::from(role.additional).wrapping_sub(1)) {
                *at = hit.value_at;
            }
            if has_peers && role.peer > 0 {
                put(&mut pending.found, role.peer, hit.value_at);
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
            for i in 0..pending.found.len() {
                let Some(&(peer, at)) = pending.found.get(i) else { break };
                self.peer(peer, place(bytes, arena, at), pending);
            }
        } else {
            self.base_service(bytes, arena, span, kind, pending);
        }
    }

    /// The one peer tag of a span that talks to no peer.
    fn base_service(&self, bytes: &[u8], arena: &Arena, span: &Span, kind: Kind<'_>, pending: &mut Pending) {
        if !kind.is_internal() || self.peers.is_empty() {
            return;
        }
        let base = slot_place(bytes, arena, span, Slot::BaseService);
        if base.len > 0 {
            self.peer(BASE_SERVICE, base, pending);
        }
    }

    /// A peer tag, as it stands in keys since it was found for the first time.
    #[inline(always)]
    fn peer(&self, peer: u16, value: Place<'_>, pending: &mut Pending) {
        match pending.memo.find(peer, value.from, value.at, value.len) {
            Some((from, at, len)) => pending.keys.known_tag(from, at, len),
            None => self.peer_tag(peer, value.text(), pending),
        }
    }

    #[inline(never)]
    fn peer_tag(&self, peer: u16, value: &[u8], pending: &mut Pending) {
        // An empty one says nothing of a peer, and the memo knows no empty one.
        if value.is_empty() {
            return;
        }
        let prefix = match peer {
            BASE_SERVICE => &b"_dd.base_service:"[..],
            _ => self.peers.get(usize::from(peer) - 1).map_or(&b""[..], |p| p),
        };
        let start = pending.keys.len();
        pending.scratch.clear();
        match (self.quantize)(value, &mut pending.scratch) {
            Verdict::Replace => pending.keys.tag(prefix, &pending.scratch),
            _ => pending.keys.tag(prefix, value),
        }
        pending.memo.remember(peer, value, pending.keys.since(start));
    }
}

/// Puts a peer tag where its order wants it. Of two with one key the later counts.
#[inline]
fn put(found: &mut Vec<(u16, u32)>, peer: u16, value_at: u32) {
    if found.last().is_none_or(|last| last.0 < peer) {
        return found.push((peer, value_at));
    }
    // Few, as a rule, and nearly in order.
    let at = found.iter().rposition(|known| known.0 <= peer).map_or(0, |at| at + 1);
    match at.checked_sub(1).and_then(|before| found.get_mut(before)) {
        Some(same) if same.0 == peer => same.1 = value_at,
        _ => found.insert(at, (peer, value_at)),
    }
}

const fn mask(slots: &[Slot]) -> u64 {
    let (mut m, mut i) = (0, 0);
    while i < slots.len() {
        m |= 1 << slots[i] as u64;
        i += 1;
    }
    m
}

const MARKS: u64 = mask(&[Slot::TopLevel, Slot::TracerTopLevel]);
const HTTP: u64 = mask(&[Slot::HttpMethod, Slot::HttpEndpoint, Slot::HttpRoute]);
const STATUS_TEXT: u64 = mask(&[Slot::HttpStatusText]);
const STATUS: u64 =
    mask(&[Slot::HttpStatusText, Slot::HttpStatusNumber, Slot::HttpResponseText, Slot::HttpResponseNumber]);
const GRPC: u64 = mask(&[
    Slot::GrpcText0,
    Slot::GrpcText1,
    Slot::GrpcText2,
    Slot::GrpcText3,
    Slot::GrpcText4,
    Slot::GrpcNumber0,
    Slot::GrpcNumber1,
    Slot::GrpcNumber2,
    Slot::GrpcNumber3,
    Slot::GrpcNumber4,
]);

/// What keys look at.
const KEY: u64 = HTTP
    | STATUS
    | GRPC
    | mask(&[
        Slot::SpanKind,
        Slot::ServiceSource,
        Slot::Origin,
        Slot::BaseService,
        Slot::RpcSystem,
        Slot::RpcSystemName,
    ]);
/// Beside the bits of slots: the span is the root of its trace.
const ROOT_BIT: u32 = 63;
const _: () = assert!(KEY >> ROOT_BIT == 0);

/// Configured tags of a span.
#[inline(always)]
fn hits<'a>(arena: &'a Arena, span: &Span) -> &'a [Hit] {
    arena.hits.get(span.hits_at as usize..(span.hits_at + span.hits_len) as usize).unwrap_or(&[])
}

/// The text of a configured tag. With one key twice the last counts.
fn hit<'a>(bytes: &'a [u8], arena: &'a Arena, span: &Span, number: u16) -> &'a [u8] {
    let found = hits(arena, span).iter().rfind(|hit| hit.key == number);
    found.map_or(&[], |hit| place(bytes, arena, hit.value_at).text())
}
