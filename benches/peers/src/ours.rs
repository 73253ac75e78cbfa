//! Our side, put together by the public API as the exporter does it: everything that one payload leaves behind is kept
//! for the next.

use data_pipeline::format::{Encoder, v1, v04, v05};
use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::quantize_peer_addresses;
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::rewrite::{Memory, Rewriter, each_span};
use data_pipeline::settings::{Metadata, OtherFormat};
use data_pipeline::stats::{self, Clock, Concentrator, Pending, STATS_SLOTS, StatsLimits};
use data_pipeline::trace::{
    Arena, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Payload, Scanner, SpanAccess,
    TOP_LEVEL_SLOTS, TopLevel, Verdict, drop_p0,
};
use std::sync::Arc;

/// Spans worked through at a time, as in the exporter.
const BATCH: usize = 128;

/// What an exporter keeps between payloads.
#[derive(Default)]
pub struct Engine {
    arena: Arena,
    interest: Interest,
    v04: v04::Encoder,
    v05: v05::Encoder,
    v1: v1::Encoder,
    metadata: Metadata,
    filters: Filters,
    rewriter: Option<Rewriter>,
    memory: Memory,
    other: Option<Box<dyn Encoder>>,
}

impl Engine {
    /// A format for a peer that is no agent.
    pub fn to(format: OtherFormat) -> Self {
        let other = Some(data_pipeline::format::other(format).encoder());
        Self { interest: Interest::none(), other, ..Self::default() }
    }

    /// Scan, checks, pass through: the output is the input.
    pub fn forward() -> Self {
        Self::default()
    }

    /// One rule that requires a tag (all chunks have it) and one that rejects one (none has it), top level, p0 drop.
    pub fn stages() -> Self {
        let rules = FilterRules {
            require: vec!["env:production".to_owned()],
            reject: vec!["http.route:/internal/probe".to_owned()],
            ..FilterRules::default()
        };
        let (filters, bad) = Filters::new(&rules);
        assert!(bad.is_empty(), "{bad:?}");
        Self { interest: Interest::none().slots(TOP_LEVEL_SLOTS).slots(P0_SLOTS), filters, ..Self::default() }
    }

    /// Normalization and obfuscation between the filters and top level.
    pub fn obfuscated() -> Self {
        let keys = Rewriter::interest(Interest::none());
        Self {
            interest: keys.slots(TOP_LEVEL_SLOTS).slots(P0_SLOTS),
            rewriter: Rewriter::new(Some(Normalizer::new(b"java")), Some(obfuscator())),
            ..Self::default()
        }
    }

    pub fn to_v05() -> Self {
        Self::default()
    }

    pub fn to_v1() -> Self {
        Self { interest: Interest::none(), ..Self::default() }
    }

    pub fn run_forward<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut spans = 0;
        batches(bytes, &mut self.arena, &self.interest, |payload| spans += payload.spans().len());
        std::hint::black_box(spans);
        bytes
    }

    pub fn run_stages(&mut self, bytes: &[u8]) -> &[u8] {
        self.v04.begin();
        batches(bytes, &mut self.arena, &self.interest, |payload| {
            self.filters.apply(payload);
            if let Some(rewriter) = &self.rewriter {
                rewriter.apply(payload, &mut self.memory);
            }
            TopLevel { mark: true }.apply(payload);
            drop_p0(payload);
            self.v04.add(payload);
        });
        self.v04.finish()
    }

    pub fn run_to_v05(&mut self, bytes: &[u8]) -> &[u8] {
        self.v05.begin();
        batches(bytes, &mut self.arena, &self.interest, |payload| self.v05.add(payload));
        self.v05.finish()
    }

    pub fn run_to_other(&mut self, bytes: &[u8]) -> &[u8] {
        let encoder = self.other.as_mut().expect("an engine for another format");
        encoder.begin(&self.metadata);
        batches(bytes, &mut self.arena, &self.interest, |payload| encoder.add(payload));
        encoder.finish(bytes, &self.metadata).expect("there is memory")
    }

    pub fn run_to_v1(&mut self, bytes: &[u8]) -> &[u8] {
        self.v1.begin();
        batches(bytes, &mut self.arena, &self.interest, |payload| self.v1.add(payload));
        self.v1.finish(bytes, &self.metadata)
    }
}

/// A few hundred spans at a time, so that the arena stays in the processor's cache.
fn batches(bytes: &[u8], arena: &mut Arena, interest: &Interest, mut work: impl FnMut(&mut Payload<'_>)) {
    let mut scanner = Scanner::new(bytes, OnMalformed::Repair).expect("the payload is well formed");
    while !scanner.is_done() {
        scanner.fill(arena, interest, BATCH).expect("the payload is well formed");
        work(&mut Payload::new(bytes, arena));
    }
}

/// The rules alone, on spans that are scanned: what they cost where nothing changes.
pub struct Rules {
    arena: Arena,
    memory: Memory,
}

impl Rules {
    pub fn new(bytes: &[u8]) -> Self {
        let mut arena = Arena::new();
        let interest = Rewriter::interest(Interest::none());
        let payload = Payload::scan(bytes, &mut arena, &interest, OnMalformed::Repair);
        payload.expect("the payload is well formed");
        Self { arena, memory: Memory::default() }
    }

    /// Every span through `rewriter`; gives the number of changes, which must be none for a second call to be the same.
    pub fn apply(&mut self, bytes: &[u8], rewriter: &Rewriter) -> bool {
        let mut payload = Payload::new(bytes, &mut self.arena);
        rewriter.apply(&mut payload, &mut self.memory);
        payload.has_edits()
    }

    /// Every tag of every span through `rule`.
    pub fn each_tag(
        &mut self,
        bytes: &[u8],
        mut rule: impl FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict,
    ) -> bool {
        let mut payload = Payload::new(bytes, &mut self.arena);
        let mut scratch = Vec::new();
        each_span(&mut payload, &mut self.memory, |span| span.each_tag(&mut scratch, &mut rule));
        payload.has_edits()
    }
}

/// The settings of a packaged agent.
pub fn obfuscator() -> Arc<Obfuscator> {
    Arc::new(Obfuscator::new(&ObfuscationConfig::agent()).expect("the defaults are right"))
}

/// Our concentrator with everything around it. Its clock keeps every span in its own bucket, as the opponent's does.
pub struct Stats {
    arena: Arena,
    interest: Interest,
    pending: Pending,
    concentrator: Arc<Concentrator>,
    rules: stats::Rules,
    v04: v04::Encoder,
    v05: v05::Encoder,
}

impl Stats {
    pub fn new(peer_tags: &[&str]) -> Self {
        let ten = std::time::Duration::from_secs(10);
        Self::sharing(Arc::new(Concentrator::new(ten, StatsLimits::default(), Clock::Replay)), peer_tags)
    }

    /// For one of several threads that count into the same buckets.
    pub fn sharing(concentrator: Arc<Concentrator>, peer_tags: &[&str]) -> Self {
        let mut interest = Interest::none().slots(TOP_LEVEL_SLOTS).slots(P0_SLOTS).slots(STATS_SLOTS);
        let peers = peer_tags.iter().map(|tag| (*tag).to_owned());
        let rules = stats::Rules::new(&concentrator, &[], peers, &[], quantize_peer_addresses, &mut interest);
        Self {
            arena: Arena::new(),
            interest,
            pending: Pending::default(),
            concentrator,
            rules,
            v04: v04::Encoder::default(),
            v05: v05::Encoder::default(),
        }
    }

    pub fn concentrator(&self) -> &Arc<Concentrator> {
        &self.concentrator
    }

    /// Scans a payload, so that [`Stats::add`] can count it again and again.
    pub fn scan(&mut self, bytes: &[u8]) {
        let mut payload = Payload::scan(bytes, &mut self.arena, &self.interest, OnMalformed::Repair)
            .expect("the payload is well formed");
        TopLevel { mark: true }.apply(&mut payload);
    }

    /// The stage alone.
    pub fn add(&mut self, bytes: &[u8]) {
        self.pending.begin();
        self.rules.observe(&Payload::new(bytes, &mut self.arena), &mut self.pending, None);
        self.concentrator.commit(&mut self.pending);
    }

    /// Scan, top level, stats, p0 drop, v0.4 out.
    pub fn run_v04(&mut self, bytes: &[u8]) -> &[u8] {
        self.v04.begin();
        self.pending.begin();
        batches(bytes, &mut self.arena, &self.interest, |payload| {
            TopLevel { mark: true }.apply(payload);
            self.rules.observe(payload, &mut self.pending, Some(&self.concentrator));
            drop_p0(payload);
            self.v04.add(payload);
        });
        self.concentrator.commit(&mut self.pending);
        self.v04.finish()
    }

    /// The same with v0.5 out.
    pub fn run_v05(&mut self, bytes: &[u8]) -> &[u8] {
        self.v05.begin();
        self.pending.begin();
        batches(bytes, &mut self.arena, &self.interest, |payload| {
            TopLevel { mark: true }.apply(payload);
            self.rules.observe(payload, &mut self.pending, Some(&self.concentrator));
            drop_p0(payload);
            self.v05.add(payload);
        });
        self.concentrator.commit(&mut self.pending);
        self.v05.finish()
    }
}
