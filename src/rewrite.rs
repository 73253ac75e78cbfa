//! The stage that does what the agent would: normalize each span, obfuscate it, cut what is too long, apply the
//! caller's replace rules, in this order. A chunk that the agent would refuse is refused here.
//!
//! The rules are in `normalize` and `obfuscate`; here they meet the arena. A span that nothing changes costs the look
//! of the rules, a span that changes costs itself.

use crate::normalize::{Counts, Normalizer, Reason, Refusal, duplicate_ids};
use crate::obfuscate::{Obfuscator, Scratch};
use crate::trace::{Arena, ChunkState, Edit, Interest, Payload, SpanAccess, Spliced, Tag, flag, span_range};
use std::collections::TryReserveError;
use std::ops::Range;
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
    edits: Edits,
    ids: Vec<u64>,
}

impl Memory {
    /// Forgets what was counted.
    pub fn begin(&mut self) {
        self.counts = Counts::default();
        self.refusal = None;
        if let Some(scratch) = &mut self.obfuscation {
            scratch.begin();
        }
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
        interest.cards()
    }

    /// Changes the spans of the chunks that are still kept.
    pub fn apply(&self, payload: &mut Payload<'_>, memory: &mut Memory) {
        if memory.obfuscation.is_none() {
            memory.obfuscation = self.obfuscator.as_ref().map(|o| o.scratch());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
        let Memory { counts, refusal, scratch, obfuscation, ids, edits, .. } = memory;
        each_chunk(payload, edits, |spans| {
            let refused = self.chunk(spans, counts, scratch, obfuscation.as_mut(), ids, now);
            if let Err(why) = refused {
                refusal.get_or_insert(why);
            }
            refused.is_ok()
        });
    }

    fn chunk(
        &self,
        mut spans: ChunkSpans<'_, '_>,
        counts: &mut Counts,
        scratch: &mut Vec<u8>,
        mut obfuscation: Option<&mut Scratch>,
        ids: &mut Vec<u64>,
        now: i64,
    ) -> Result<(), Refusal> {
        if self.normalizer.is_some() && spans.is_empty() {
            return Err(Refusal::EmptyTrace);
        }
        ids.clear();
        let mut trace: Option<(u64, Option<&[u8]>)> = None;
        let mut refusal = Ok(());
        spans.each(|span| {
            if let Some(normalizer) = &self.normalizer {
                let (id, high) = (span.trace_id(), span.scanned_tag(Tag::TraceIdHigh));
                let (low, trace_high) = *trace.get_or_insert((id, high));
                let foreign = low != id || high.zip(trace_high).is_some_and(|(a, b)| a != b);
                refusal = match foreign {
                    true => Err(Refusal::ForeignSpan),
                    false => normalizer.span(span, now, counts, scratch),
                };
                if refusal.is_err() {
                    return false;
                }
                ids.push(span.span_id());
            }
            if let (Some(obfuscator), Some(memory)) = (&self.obfuscator, obfuscation.as_deref_mut()) {
                obfuscator.span(span, memory);
            }
            if let Some(normalizer) = &self.normalizer {
                normalizer.truncate(span, scratch);
            }
            if let (Some(obfuscator), Some(memory)) = (&self.obfuscator, obfuscation.as_deref_mut()) {
                obfuscator.replace(span, memory);
            }
            true
        });
        let duplicates = duplicate_ids(ids);
        if duplicates > 0 {
            counts.add_many(Reason::DuplicateSpanId, duplicates);
        }
        refusal
    }
}

/// Gives `rule` every span of the chunks that are still kept.
pub fn each_span<'b>(
    payload: &mut Payload<'b>,
    memory: &mut Memory,
    mut rule: impl FnMut(&mut Spliced<'b, '_>),
) {
    each_chunk(payload, &mut memory.edits, |mut spans| {
        spans.each(|span| {
            rule(span);
            true
        });
        true
    });
}

/// The edits of a batch and of a span.
#[derive(Debug, Default)]
struct Edits {
    span: Vec<Edit>,
    /// The scan's repairs, sorted; those before `taken` belong to spans that are done.
    repairs: Vec<Edit>,
    taken: usize,
}

/// The spans of one chunk.
struct ChunkSpans<'b, 'a> {
    bytes: &'b [u8],
    arena: &'a mut Arena,
    spans: Range<usize>,
    edits: &'a mut Edits,
}

/// Gives `work` the chunks that are still kept; it says which of them stay so.
fn each_chunk<'b>(
    payload: &mut Payload<'b>,
    edits: &mut Edits,
    mut work: impl FnMut(ChunkSpans<'b, '_>) -> bool,
) {
    let (bytes, arena) = (payload.bytes, &mut *payload.arena);
    edits.repairs.clear();
    edits.taken = 0;
    if !arena.edits.is_empty() {
        // The rules must see what the scan has repaired; each span takes its own.
        arena.sort_edits();
        std::mem::swap(&mut edits.repairs, &mut arena.edits);
    }
    for i in 0..arena.chunks.len() {
        let Some(chunk) = arena.chunks.get(i).copied() else { return };
        if chunk.state != ChunkState::Kept {
            continue;
        }
        let spans = span_range(&chunk);
        if !work(ChunkSpans { bytes, arena: &mut *arena, spans, edits: &mut *edits })
            && let Some(chunk) = arena.chunks.get_mut(i)
        {
            chunk.state = ChunkState::Refused;
        }
    }
}

impl<'b> ChunkSpans<'b, '_> {
    fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Gives `rule` the spans in their order, until it says no.
    #[inline]
    fn each(&mut self, mut rule: impl FnMut(&mut Spliced<'b, '_>) -> bool) {
        let Arena { spans, hits, side, edits: done, failed, .. } = &mut *self.arena;
        let mut sure = (0, 0);
        for span in spans.get_mut(self.spans.clone()).unwrap_or(&mut []) {
            let own = &mut self.edits.span;
            own.clear();
            // What a span may need is asked for before its rules run, which cannot say that it is not there. What was
            // there for a span that did not use it is there for the next one, if that is no larger.
            let (bytes, entries) = (span.end - span.at, span.meta.len + span.metrics.len);
            if bytes > sure.0 || entries > sure.1 {
                let (text, edits) = (bytes as usize + 4096, 2 * entries as usize + 64);
                let there = own.capacity() >= edits
                    && done.capacity() - done.len() >= edits
                    && side.capacity() - side.len() >= text;
                if !there && ask([own, done], edits, side, text).is_err() {
                    *failed = true;
                    break;
                }
                sure = (bytes, entries);
            }
            if span.flags & flag::EDITED != 0 {
                self.edits.take(span.at, span.end);
                *failed |= self.edits.span.try_reserve(2 * entries as usize + 64).is_err();
                if *failed {
                    break;
                }
            }
            let first = span.hits_at as usize;
            let hits = hits.get_mut(first..first + span.hits_len as usize).unwrap_or(&mut []);
            let written = side.len();
            let mut spliced = Spliced::new(self.bytes, span, hits, side, &mut self.edits.span);
            let go_on = rule(&mut spliced);
            if !self.edits.span.is_empty() {
                span.flags |= flag::EDITED;
                done.extend_from_slice(&self.edits.span);
                sure = (0, 0);
            } else {
                debug_assert_eq!(side.len(), written, "text without an edit");
            }
            if !go_on {
                break;
            }
        }
    }
}

/// Asks for the memory that a span may need. What was asked for stays, so this is seldom.
#[cold]
fn ask(
    lists: [&mut Vec<Edit>; 2],
    edits: usize,
    side: &mut Vec<u8>,
    text: usize,
) -> Result<(), TryReserveError> {
    side.try_reserve(text)?;
    lists.into_iter().try_for_each(|list| list.try_reserve(edits))
}

impl Edits {
    /// Makes the repairs of one span its edits.
    #[cold]
    fn take(&mut self, at: u32, end: u32) {
        let ahead = self.repairs.get(self.taken..).unwrap_or(&[]);
        // What is put in at the end of a span belongs to it: its last map may be empty.
        let before = |place: u32| move |e: &Edit| e.at < place || (e.at == place && e.end == place);
        let first = ahead.partition_point(before(at));
        let last = ahead.partition_point(before(end));
        self.span.extend_from_slice(ahead.get(first..last).unwrap_or(&[]));
        self.taken += last;
    }
}
