//! The stage that does what the agent would: normalize each span, obfuscate it, cut what is too long, apply the caller's
//! replace rules, in this order. A chunk that the agent would refuse is refused here.
//!
//! The rules are in `normalize` and `obfuscate`; here they meet the arena. A span that nothing changes costs the look of
//! the rules, a span that changes costs itself.

use crate::normalize::{Counts, Normalizer, Reason, Refusal, duplicate_ids};
use crate::obfuscate::{Obfuscator, Scratch};
use crate::trace::{Arena, Chunk, ChunkState, Edit, Interest, Payload, Spliced, Tag, flag, span_range};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which of the rules apply.
#[derive(Clone, Debug)]
pub struct Rewriter {
    normalizer: Option<Normalizer>,
    obfuscator: Option<Arc<Obfuscator>>,
}

/// The memory of one payload's way through the stage, and what it has counted.
#[derive(Debug, Default)]
pub struct Memory {
    /// Changes by the agent's reasons.
    pub counts: Counts,
    /// Why a chunk was refused, the first one of the payload.
    pub refusal: Option<Refusal>,
    scratch: Vec<u8>,
    obfuscation: Option<Scratch>,
    /// The edits of one span.
    edits: Vec<Edit>,
    /// The repairs of a batch.
    repairs: Vec<Edit>,
    ids: Vec<u64>,
}

impl Memory {
    /// Forgets what was counted.
    pub fn begin(&mut self) {
        self.counts = Counts::default();
        self.refusal = None;
    }
}

impl Rewriter {
    /// `None` if there is nothing to do.
    pub fn new(normalizer: Option<Normalizer>, obfuscator: Option<Arc<Obfuscator>>) -> Option<Self> {
        (normalizer.is_some() || obfuscator.is_some()).then_some(Self { normalizer, obfuscator })
    }

    /// The keys that the scan must recognise. Nobody may have asked for others before.
    #[must_use]
    pub fn interest(mut interest: Interest) -> Interest {
        for tag in Tag::ALL {
            interest.meta_key(tag.key());
        }
        interest
    }

    /// Changes the spans of the chunks that are still kept.
    pub fn apply(&self, payload: &mut Payload<'_>, memory: &mut Memory) {
        let (bytes, arena) = (payload.bytes, &mut *payload.arena);
        memory.repairs.clear();
        if !arena.edits.is_empty() {
            // The rules must see what the scan has repaired; each span takes its own.
            arena.sort_edits();
            std::mem::swap(&mut memory.repairs, &mut arena.edits);
        }
        if memory.obfuscation.is_none() {
            memory.obfuscation = self.obfuscator.as_ref().map(|o| o.scratch());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
        let mut repairs = 0;
        for i in 0..arena.chunks.len() {
            let Some(chunk) = arena.chunks.get(i).copied() else { return };
            if chunk.state != ChunkState::Kept {
                continue;
            }
            if let Err(refusal) = self.chunk(bytes, arena, &chunk, memory, &mut repairs, now)
                && let Some(chunk) = arena.chunks.get_mut(i)
            {
                chunk.state = ChunkState::Refused;
                memory.refusal.get_or_insert(refusal);
            }
        }
    }

    fn chunk(
        &self,
        bytes: &[u8],
        arena: &mut Arena,
        chunk: &Chunk,
        memory: &mut Memory,
        repairs: &mut usize,
        now: i64,
    ) -> Result<(), Refusal> {
        let Memory { counts, scratch, obfuscation, edits, ids, .. } = memory;
        let spans = span_range(chunk);
        if self.normalizer.is_some() && spans.is_empty() {
            return Err(Refusal::EmptyTrace);
        }
        let Arena { spans: all, hits, side, edits: done, .. } = arena;
        ids.clear();
        let mut trace: Option<(u64, Option<&[u8]>)> = None;
        let mut refusal = Ok(());
        for span in all.get_mut(spans).unwrap_or(&mut []) {
            edits.clear();
            if span.flags & flag::EDITED != 0 {
                take(&memory.repairs, repairs, (span.at, span.end), edits);
            }
            let first = span.hits_at as usize;
            let hits = hits.get_mut(first..first + span.hits_len as usize).unwrap_or(&mut []);
            let mut spliced = Spliced::new(bytes, span, hits, side, edits);
            if let Some(normalizer) = &self.normalizer {
                let high = spliced.scanned_tag(Tag::TraceIdHigh);
                let id = spliced.span.trace_id;
                let (low, trace_high) = *trace.get_or_insert((id, high));
                let foreign = low != id || high.zip(trace_high).is_some_and(|(a, b)| a != b);
                refusal = match foreign {
                    true => Err(Refusal::ForeignSpan),
                    false => normalizer.span(&mut spliced, now, counts, scratch),
                };
                if refusal.is_err() {
                    break;
                }
                ids.push(spliced.span.span_id);
            }
            if let (Some(obfuscator), Some(memory)) = (&self.obfuscator, obfuscation.as_mut()) {
                obfuscator.span(&mut spliced, memory);
            }
            if let Some(normalizer) = &self.normalizer {
                normalizer.truncate(&mut spliced, scratch);
            }
            if let (Some(obfuscator), Some(memory)) = (&self.obfuscator, obfuscation.as_mut()) {
                obfuscator.replace(&mut spliced, memory);
            }
            if !edits.is_empty() {
                span.flags |= flag::EDITED;
                done.extend_from_slice(edits);
            }
        }
        let duplicates = duplicate_ids(ids);
        if duplicates > 0 {
            counts.add_many(Reason::DuplicateSpanId, duplicates);
        }
        refusal
    }
}

/// Moves the edits of one span from all repairs, which are sorted, to its own.
#[cold]
fn take(repairs: &[Edit], from: &mut usize, (at, end): (u32, u32), edits: &mut Vec<Edit>) {
    let ahead = repairs.get(*from..).unwrap_or(&[]);
    // What is put in at the end of a span belongs to it: its last map may be empty.
    let before = |place: u32| move |e: &Edit| e.at < place || (e.at == place && e.end == place);
    let first = ahead.partition_point(before(at));
    let last = ahead.partition_point(before(end));
    edits.extend_from_slice(ahead.get(first..last).unwrap_or(&[]));
    *from += last;
}
