//! One payload through the stages of its plan. Their order reads top-down in [`Workspace::stages`].
//!
//! A payload is worked through in batches of some hundred spans, so that the arena stays in the processor's cache:
//! scan, stages, output, next batch. With default settings nothing can change, so the first pass only checks and
//! counts; the input itself is the body then. Memory belongs to the [`Workspace`] and is used again.

use super::Plan;
use crate::account::{Counts, Outcome};
use crate::error::{Error, ErrorKind};
use crate::format::{self, Encoders, Splicer};
use crate::normalize::Refusal;
use crate::rewrite::Memory;
use crate::settings::{Metadata, OnMalformed};
use crate::stats::Pending;
use crate::trace::{Arena, ChunkState, Payload, Scanner, drop_p0};

/// Spans worked through at a time.
const BATCH: usize = 128;
/// An arena that grew beyond this for one unusual payload is given back.
const KEEP_BYTES: usize = 8 << 20;

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
    /// The bytes of that chunk, and of the first that could not be read.
    pub(crate) first_refused: &'w [u8],
    pub(crate) first_malformed: &'w [u8],
}

/// The memory of one payload's way; used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    arena: Arena,
    encoders: Encoders,
    /// For encoders that take no edits: the payload with its changes.
    changed: Splicer,
    rewriting: Memory,
    pending: Pending,
}

/// What one pass over the payload has found.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    received: Counts,
    outcome: Outcome,
    /// Where the first chunk stands that normalization refused, and the first that could not be read.
    first_refused: (u32, u32),
    first_malformed: (u32, u32),
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
        if plan.passes(format::SCANNED) {
            let tally = self.check(plan, bytes)?;
            if !tally.edited {
                return Ok(self.prepared(bytes, tally, (tally.received.traces, tally.received.spans)));
            }
        }
        self.arena.repairs = Default::default();
        self.pending.begin();
        let mut tally = self.encode(plan, bytes, metadata)?;
        if let Some(stats) = &plan.stats {
            stats.concentrator.commit(&mut self.pending);
        }
        let source = if tally.edited { self.changed.finish() } else { bytes };
        let encoder = self.encoders.of(&plan.format);
        let (traces, spans) = encoder.counts();
        let lost = encoder.lost();
        tally.outcome.lost_in_conversion = lost.spans();
        tally.outcome.too_large = lost.too_large;
        let body = encoder.finish(source, metadata)?;
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
            first_refused: chunk_of(bytes, tally.first_refused),
            first_malformed: chunk_of(bytes, tally.first_malformed),
        })
    }

    fn prepared<'w>(&'w mut self, body: &'w [u8], tally: Tally, (traces, spans): (u64, u64)) -> Prepared<'w> {
        let (received, outcome) = (tally.received, tally.outcome);
        Prepared {
            body,
            received,
            traces,
            spans,
            outcome,
            first_fault: None,
            refusal: None,
            first_refused: &[],
            first_malformed: &[],
        }
    }

    /// The stages, in their order, on one batch.
    fn stages(plan: &Plan, payload: &mut Payload<'_>, rewriting: &mut Memory, pending: &mut Pending) {
        plan.filters.apply(payload);
        plan.completion.apply(payload, rewriting);
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
            let batch = Payload::new(bytes, &mut self.arena);
            tally.edited |= !plan.format.leaves(&batch) || plan.completion.lacks(&batch);
            if tally.edited {
                return Ok(tally);
            }
        }
        tally.received.bytes = bytes.len() as u64;
        Ok(tally)
    }

    /// Scan, stages, output, batch by batch.
    fn encode(&mut self, plan: &Plan, bytes: &[u8], metadata: &Metadata) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let mut scanner = Scanner::new(bytes, plan.on_malformed)?;
        self.rewriting.begin();
        let encoder = self.encoders.of(&plan.format);
        encoder.begin(metadata);
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &plan.interest, BATCH)?;
            let mut payload = Payload::new(bytes, &mut self.arena);
            Self::stages(plan, &mut payload, &mut self.rewriting, &mut self.pending);
            if payload.has_failed() {
                return Err(no_memory(bytes));
            }
            if !plan.format.takes(&payload) {
                return self.encode_in_two_steps(plan, bytes, metadata);
            }
            encoder.add(&mut payload);
            tally.add(&self.arena);
        }
        tally.finish(bytes, &self.arena)?;
        // `edited` tells the caller which bytes the texts stand in; here it is the input.
        tally.edited = false;
        Ok(tally)
    }

    /// First the changed payload in the form that the scan reads, then its conversion.
    #[cold]
    fn encode_in_two_steps(
        &mut self,
        plan: &Plan,
        bytes: &[u8],
        metadata: &Metadata,
    ) -> Result<Tally, Error> {
        self.arena.repairs = Default::default();
        self.pending.restart();
        let mut tally = Tally::default();
        let mut scanner = Scanner::new(bytes, plan.on_malformed)?;
        self.rewriting.begin();
        self.changed.begin();
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &plan.interest, BATCH)?;
            let mut payload = Payload::new(bytes, &mut self.arena);
            Self::stages(plan, &mut payload, &mut self.rewriting, &mut self.pending);
            if payload.has_failed() {
                return Err(no_memory(bytes));
            }
            self.changed.add(&mut payload);
            tally.add(&self.arena);
        }
        tally.finish(bytes, &self.arena)?;
        let repairs = std::mem::take(&mut self.arena.repairs);
        let encoder = self.encoders.of(&plan.format);
        encoder.begin(metadata);
        let changed = format::Encoder::finish(&mut self.changed, bytes, metadata)?;
        let mut scanner = Scanner::new(changed, OnMalformed::Fail)?;
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &plan.interest, BATCH)?;
            encoder.add(&mut Payload::new(changed, &mut self.arena));
        }
        self.arena.repairs = repairs;
        tally.edited = true;
        Ok(tally)
    }

    /// Bytes of memory held.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.arena.capacity_bytes()
            + self.pending.capacity_bytes()
            + self.changed.capacity_bytes()
            + self.encoders.capacity_bytes()
    }

    /// Gives memory back after an unusually large payload.
    pub(crate) fn trim(&mut self) {
        if self.capacity_bytes() > KEEP_BYTES {
            *self = Self::default();
        }
    }
}

/// The bytes of a chunk.
fn chunk_of(bytes: &[u8], (at, end): (u32, u32)) -> &[u8] {
    bytes.get(at as usize..end as usize).unwrap_or(&[])
}

#[cold]
fn no_memory(bytes: &[u8]) -> Error {
    Error::out_of_memory(&format!("the changes to a payload of {} bytes", bytes.len()))
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
                ChunkState::Refused => {
                    if o.refused.traces == 0 {
                        self.first_refused = (chunk.at, chunk.end);
                    }
                    o.refused = o.refused.plus(all);
                }
                ChunkState::Malformed => {
                    if o.malformed.traces == 0 {
                        self.first_malformed = (chunk.at, chunk.end);
                    }
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
