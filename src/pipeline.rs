//! The pipeline: one payload through every stage that is switched on. The order reads top-down in [`Workspace::stages`].
//!
//! A payload is worked through in batches of some hundred spans, so that the arena stays in the processor's cache:
//! scan, stages, output, next batch. With default settings nothing can change, so the first pass only checks and counts;
//! the input itself is the body then. Memory belongs to the [`Workspace`] and is used again.

use crate::agreed::{self, Terms};
use crate::config::{Config, Metadata, OutputFormat, RawConfig, StatsSettings};
use crate::convert::{Conversion, InputFormat};
use crate::delivery::accounting::{Counts, Outcome};
use crate::error::{Error, ErrorKind};
use crate::format::{Lost, v1, v04, v05};
use crate::normalize::{self, Normalizer, Refusal};
use crate::obfuscate::{self, Obfuscator};
use crate::rewrite::{Memory, Rewriter};
use crate::stats::{Concentrator, Pending, Rules, STATS_SLOTS, StatsReport};
use crate::trace::{
    Arena, ChunkState, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Payload, Scanner, Slot,
    TOP_LEVEL_SLOTS, TopLevel, Verdict, drop_p0,
};
use std::sync::Arc;

/// Spans worked through at a time.
const BATCH: usize = 128;
/// An arena that grew beyond this for one unusual payload is given back.
const KEEP_BYTES: usize = 8 << 20;

/// Which stages run, for one output format.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) input: InputFormat,
    pub(crate) format: OutputFormat,
    pub(crate) on_malformed: OnMalformed,
    pub(crate) filters: Filters,
    /// Normalization and obfuscation.
    pub(crate) rewriter: Option<Rewriter>,
    /// Whether top-level spans are looked for, and then whether they get the mark.
    pub(crate) top_level: Option<TopLevel>,
    pub(crate) drop_p0: bool,
    /// Where spans are counted. A plan for a payload that was counted before has none.
    pub(crate) stats: Option<StatsStage>,
    interest: Interest,
}

/// The stats stage: what is read of a span, and where it is counted.
#[derive(Clone, Debug)]
pub(crate) struct StatsStage {
    pub(crate) rules: Rules,
    concentrator: Arc<Concentrator>,
}

/// What stats follow from: the settings, and what the agent says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats<'a> {
    pub(crate) settings: &'a StatsSettings,
    pub(crate) concentrator: &'a Arc<Concentrator>,
    /// Peer tags that the agent names.
    pub(crate) peer_tags: &'a [String],
    /// Kinds that the agent names.
    pub(crate) kinds: &'a [String],
    /// How the agent wants resources, if it leaves that to us.
    pub(crate) terms: Option<Terms<'a>>,
}

impl Stats<'_> {
    fn stage(&self, obfuscator: Option<&Obfuscator>, interest: &mut Interest) -> StatsStage {
        let peers = self.peer_tags.iter().chain(&self.settings.peer_tags).cloned();
        let additional = &self.settings.additional_metric_tags;
        let quantize = obfuscate::quantize_peer_addresses;
        let mut rules = Rules::new(self.concentrator, self.kinds, peers, additional, quantize, interest);
        if let Some(resources) = self.terms.and_then(|terms| agreed::resources(terms, obfuscator)) {
            rules = rules.with_resources(resources, interest);
        }
        StatsStage { rules, concentrator: Arc::clone(self.concentrator) }
    }
}

impl Plan {
    /// The stages that `config` asks for when the payload goes out as `format`.
    pub(crate) fn new(config: &Config, format: OutputFormat, stats: Option<&Stats<'_>>) -> Self {
        let input = config.input_format;
        let converts = format != OutputFormat::V04 && !input.is(format);
        let mark =
            !config.client_computed_top_level && (config.compute_top_level || converts || stats.is_some());
        let normalizer = config.normalize.then(|| Normalizer::new(config.metadata.language.as_bytes()));
        let rewriter = Rewriter::new(normalizer, config.obfuscator.clone());
        let mut interest =
            if rewriter.is_some() { Rewriter::interest(Interest::none()) } else { Interest::none() };
        let stats = stats.map(|stats| stats.stage(config.obfuscator.as_deref(), &mut interest));
        if stats.is_some() {
            interest = interest.slots(STATS_SLOTS);
        }
        let drop_p0 = config.drop_p0.unwrap_or(stats.is_some());
        let plan = Self::with(input, format, mark, drop_p0, interest);
        let filters = filters(&config.filters).0;
        Self { on_malformed: config.on_malformed, filters, rewriter, stats, ..plan }
    }

    /// The stages of a conversion without an exporter.
    pub(crate) fn of_conversion(wanted: &Conversion) -> Result<Self, Error> {
        let (filters, bad) = filters(&wanted.filters);
        if let Some(why) = bad.into_iter().next() {
            return Err(Error::new(ErrorKind::InvalidConfiguration, why.replace(" is left out:", ":")));
        }
        let plan = Self::with(wanted.from, wanted.to, wanted.top_level, wanted.drop_p0, Interest::none());
        Ok(Self { on_malformed: wanted.on_malformed, filters, ..plan })
    }

    fn with(input: InputFormat, format: OutputFormat, mark: bool, drop_p0: bool, interest: Interest) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        if mark {
            slots.extend(TOP_LEVEL_SLOTS);
        }
        if drop_p0 {
            slots.extend(P0_SLOTS);
        }
        Self {
            input,
            format,
            on_malformed: OnMalformed::default(),
            filters: Filters::default(),
            top_level: mark.then_some(TopLevel { mark: true }),
            rewriter: None,
            drop_p0,
            stats: None,
            interest: interest.slots(&slots),
        }
    }

    /// The same stages for a payload whose spans were counted before.
    pub(crate) fn without_stats(&self) -> Self {
        Self { stats: None, ..self.clone() }
    }

    /// Whether nothing is to be done to a well-formed payload that comes in this format.
    pub(crate) fn passes(&self, format: OutputFormat) -> bool {
        self.format == format
            && self.filters.is_empty()
            && self.rewriter.is_none()
            && self.top_level.is_none()
            && self.stats.is_none()
            && !self.drop_p0
    }
}

/// The filters of these rules, and the rules that cannot be used. `env` is compared as the agent would have written it.
pub(crate) fn filters(rules: &FilterRules) -> (Filters, Vec<String>) {
    let (filters, unusable) = Filters::new(rules);
    let normalized = |value: &[u8]| {
        let mut out = Vec::new();
        match normalize::tag_value(value, &mut out) {
            Verdict::Keep => value.to_vec(),
            Verdict::Replace | Verdict::Remove => out,
        }
    };
    (filters.normalizing_env(normalized), unusable)
}

/// What is left of a payload, ready to send.
#[derive(Debug)]
pub(crate) struct Prepared<'w> {
    pub(crate) body: &'w [u8],
    /// All of the input.
    pub(crate) received: Counts,
    /// Chunks and spans in the body.
    pub(crate) traces: u64,
    pub(crate) spans: u64,
    pub(crate) outcome: Outcome,
    /// Place and reason of the first fault that was repaired or dropped.
    pub(crate) first_fault: Option<String>,
    /// Why normalization refused a chunk, the first one.
    pub(crate) refusal: Option<Refusal>,
}

/// The memory of one payload's way; used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    arena: Arena,
    v04: v04::Encoder,
    v05: v05::Encoder,
    v1: v1::Encoder,
    rewriting: Memory,
    pending: Pending,
}

/// What one pass over the payload has found.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    received: Counts,
    outcome: Outcome,
    /// The body differs from the input in more than the stages' marks.
    edited: bool,
}

impl Workspace {
    /// Takes a payload through the pipeline.
    ///
    /// # Errors
    /// `MALFORMED_PAYLOAD` or `TRUNCATED_PAYLOAD` with the place: what cannot be read at all, or the first fault when
    /// faults fail the payload, or when nothing is left of it.
    pub(crate) fn prepare<'w>(
        &'w mut self,
        plan: &Plan,
        bytes: &'w [u8],
        metadata: &Metadata,
    ) -> Result<Prepared<'w>, Error> {
        self.arena.repairs = Default::default();
        if plan.passes(OutputFormat::V04) {
            let tally = self.check(plan, bytes)?;
            if !tally.edited {
                return Ok(self.prepared(bytes, tally, (tally.received.traces, tally.received.spans)));
            }
        }
        self.arena.repairs = Default::default();
        self.pending.begin();
        let (tally, lost) = self.convert(plan, bytes)?;
        if let Some(stats) = &plan.stats {
            stats.concentrator.commit(&mut self.pending);
        }
        let (body, traces, spans): (&[u8], u32, u64) = match plan.format {
            OutputFormat::V04 => {
                let (t, s) = self.v04.counts();
                (self.v04.finish(), t, s)
            }
            OutputFormat::V05 => {
                let (t, s) = self.v05.counts();
                (self.v05.finish(), t, s)
            }
            OutputFormat::V1 => {
                let (t, s) = self.v1.counts();
                let source = if tally.edited { self.v04.finish() } else { bytes };
                (self.v1.finish(source, metadata), t, s)
            }
        };
        let mut tally = tally;
        tally.outcome.lost_in_conversion = lost.meta_structs + lost.clamped_times;
        tally.outcome.repaired = self.arena.repairs.count;
        tally.outcome.normalized = self.rewriting.counts;
        let first_fault = self.arena.repairs.first.take();
        Ok(Prepared {
            body,
            received: tally.received,
            traces: u64::from(traces),
            spans,
            outcome: tally.outcome,
            first_fault,
            refusal: self.rewriting.refusal,
        })
    }

    fn prepared<'w>(&'w mut self, body: &'w [u8], tally: Tally, (traces, spans): (u64, u64)) -> Prepared<'w> {
        let (received, outcome) = (tally.received, tally.outcome);
        Prepared { body, received, traces, spans, outcome, first_fault: None, refusal: None }
    }

    /// The stages, in their order, on one batch.
    fn stages(plan: &Plan, payload: &mut Payload<'_>, rewriting: &mut Memory, pending: &mut Pending) {
        plan.filters.apply(payload);
        if let Some(rewriter) = &plan.rewriter {
            rewriter.apply(payload, rewriting);
        }
        if let Some(top_level) = plan.top_level {
            top_level.apply(payload);
        }
        if let Some(stats) = &plan.stats {
            // With FAIL nothing counts before all of the payload is known to be good.
            let early = (plan.on_malformed != OnMalformed::Fail).then_some(&*stats.concentrator);
            stats.rules.observe(payload, pending, early);
        }
        if plan.drop_p0 {
            drop_p0(payload);
        }
    }

    /// Checks and counts; stops at the first thing that would change the payload.
    fn check(&mut self, plan: &Plan, bytes: &[u8]) -> Result<Tally, Error> {
        let mut scanner = Scanner::new(bytes, plan.on_malformed)?;
        let mut tally = Tally::default();
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &plan.interest, BATCH)?;
            tally.add(&self.arena);
            if tally.edited {
                return Ok(tally);
            }
        }
        tally.received.bytes = bytes.len() as u64;
        Ok(tally)
    }

    /// Scan, stages, output, batch by batch.
    fn convert(&mut self, plan: &Plan, bytes: &[u8]) -> Result<(Tally, Lost), Error> {
        let mut tally = Tally::default();
        let mut scanner = Scanner::new(bytes, plan.on_malformed)?;
        self.rewriting.begin();
        match plan.format {
            OutputFormat::V04 => self.v04.begin(),
            OutputFormat::V05 => self.v05.begin(),
            OutputFormat::V1 => self.v1.begin(),
        }
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &plan.interest, BATCH)?;
            let mut payload = Payload::new(bytes, &mut self.arena);
            Self::stages(plan, &mut payload, &mut self.rewriting, &mut self.pending);
            match plan.format {
                OutputFormat::V04 => self.v04.add(&mut payload),
                // Only v0.4 is written by splicing; the others need the changes done first.
                _ if payload.has_edits() => return self.convert_in_two_steps(plan, bytes),
                OutputFormat::V05 => self.v05.add(&payload),
                OutputFormat::V1 => self.v1.add(&payload),
            }
            tally.add(&self.arena);
        }
        tally.finish(bytes, &self.arena)?;
        // `edited` tells the caller which bytes the texts stand in; here it is the input.
        tally.edited = false;
        Ok((tally, self.lost(plan.format)))
    }

    /// First the changed v0.4 body, then its conversion.
    #[cold]
    fn convert_in_two_steps(&mut self, plan: &Plan, bytes: &[u8]) -> Result<(Tally, Lost), Error> {
        self.arena.repairs = Default::default();
        self.pending.restart();
        let mut tally = Tally::default();
        let mut scanner = Scanner::new(bytes, plan.on_malformed)?;
        self.rewriting.begin();
        self.v04.begin();
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &plan.interest, BATCH)?;
            let mut payload = Payload::new(bytes, &mut self.arena);
            Self::stages(plan, &mut payload, &mut self.rewriting, &mut self.pending);
            self.v04.add(&mut payload);
            tally.add(&self.arena);
        }
        tally.finish(bytes, &self.arena)?;
        let repairs = std::mem::take(&mut self.arena.repairs);
        match plan.format {
            OutputFormat::V05 => self.v05.begin(),
            _ => self.v1.begin(),
        }
        let changed = self.v04.finish();
        let mut scanner = Scanner::new(changed, OnMalformed::Fail)?;
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &plan.interest, BATCH)?;
            let payload = Payload::new(changed, &mut self.arena);
            match plan.format {
                OutputFormat::V05 => self.v05.add(&payload),
                _ => self.v1.add(&payload),
            }
        }
        self.arena.repairs = repairs;
        tally.edited = true;
        Ok((tally, self.lost(plan.format)))
    }

    fn lost(&self, format: OutputFormat) -> Lost {
        match format {
            OutputFormat::V04 => Lost::default(),
            OutputFormat::V05 => self.v05.lost(),
            OutputFormat::V1 => self.v1.lost(),
        }
    }

    /// Bytes of memory held.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.arena.capacity_bytes()
            + self.pending.capacity_bytes()
            + self.v04.capacity_bytes()
            + self.v05.capacity_bytes()
            + self.v1.capacity_bytes()
    }

    /// Gives memory back after an unusually large payload.
    pub(crate) fn trim(&mut self) {
        if self.capacity_bytes() > KEEP_BYTES {
            *self = Self::default();
        }
    }
}

impl Tally {
    /// Counts the chunks of one batch by what the stages have made of them.
    fn add(&mut self, arena: &Arena) {
        self.edited |= !arena.edits.is_empty();
        for chunk in &arena.chunks {
            let all =
                Counts { traces: 1, spans: u64::from(chunk.len), bytes: u64::from(chunk.end - chunk.at) };
            self.received = self.received.plus(all);
            let o = &mut self.outcome;
            match chunk.state {
                ChunkState::Kept => o.sampled_out.spans += u64::from(chunk.dropped),
                ChunkState::Filtered => o.filtered = o.filtered.plus(all),
                ChunkState::SampledOut => o.sampled_out = o.sampled_out.plus(all),
                ChunkState::Refused => o.refused = o.refused.plus(all),
                ChunkState::Malformed => {
                    o.malformed = o.malformed.plus(all);
                    self.edited = true;
                }
            }
        }
    }

    /// The payload is through. All of it malformed is an error, since there is nothing to answer with.
    fn finish(&mut self, bytes: &[u8], arena: &Arena) -> Result<(), Error> {
        if self.received.traces > 0 && self.outcome.malformed.traces == self.received.traces {
            let why = arena.repairs.first.as_deref().unwrap_or("no trace could be read");
            let kind = if why.contains("the payload ends") {
                ErrorKind::TruncatedPayload
            } else {
                ErrorKind::MalformedPayload
            };
            return Err(Error::new(kind, why.to_owned()));
        }
        self.received.bytes = bytes.len() as u64;
        Ok(())
    }
}

/// Stats of payloads (msgpack v0.4) without an exporter: for tools.
#[derive(Debug)]
pub struct PayloadStats {
    plan: Plan,
    concentrator: Arc<Concentrator>,
    workspace: Workspace,
}

impl PayloadStats {
    /// `now`: spans that ended long ago are counted in the current bucket, as an exporter does it; else every span in the
    /// bucket in which it ended. `obfuscate`: resources as they would be agreed with an agent.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(now: bool, obfuscate: bool) -> Result<Self, Error> {
        let raw = RawConfig {
            compute_stats_ms: Some(10_000),
            stats_replay: !now,
            on_malformed: Some("FAIL".to_owned()),
            ..RawConfig::default()
        };
        let config = Config::new(raw)?;
        let Some(settings) = &config.stats else {
            return Err(Error::new(ErrorKind::Internal, "stats are not computed"));
        };
        let concentrator = Arc::new(Concentrator::new(settings.bucket, settings.limits, settings.clock));
        let terms = obfuscate.then(Terms::default);
        let stats = Stats { settings, concentrator: &concentrator, peer_tags: &[], kinds: &[], terms };
        let plan = Plan::new(&config, OutputFormat::V04, Some(&stats));
        Ok(Self { plan, concentrator, workspace: Workspace::default() })
    }

    /// Counts the spans of a payload.
    ///
    /// # Errors
    /// `MALFORMED_PAYLOAD` or `TRUNCATED_PAYLOAD` with the place; nothing of it is counted then.
    pub fn add(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.workspace.prepare(&self.plan, payload, &Metadata::default()).map(drop)
    }

    /// What was counted so far.
    pub fn report(&self) -> StatsReport {
        self.concentrator.report()
    }
}
