//! Dropping what sampling says to drop: chunks of priority 0 and below ("p0") that client-side stats have counted.
//!
//! The rule, chunk by chunk: a span with an error keeps the chunk; else the first span that carries
//! `_sampling_priority_v1` decides, and no such span or a value above 0 keeps it; else only spans stay that were
//! sampled on their own (`_dd.span_sampling.mechanism` = 8) or analysed (`_dd1.sr.eausr`). An empty chunk is kept. What
//! the chunk says of itself goes over to the first span that stays.

use super::arena::{ChunkState, flag};
use super::handover::hand_over;
use super::{Payload, Slot, span_range};

/// Keys that the scan must recognise for this stage.
pub const P0_SLOTS: &[Slot] = &[Slot::SamplingPriority, Slot::SpanSamplingMechanism, Slot::AnalyticsRate];

/// What the stage has left out: whole chunks, and spans (those of whole chunks included).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampledOut {
    /// Chunks of which nothing is left.
    pub traces: u64,
    /// Spans left out.
    pub spans: u64,
}

/// Drops p0 chunks and spans of a payload. A chunk that is kept in part is not counted as a trace.
pub fn drop_p0(payload: &mut Payload<'_>) -> SampledOut {
    let mut out = SampledOut::default();
    let (bytes, arena) = (payload.bytes, &mut *payload.arena);
    for i in 0..arena.chunks.len() {
        let chunk = arena.chunks[i];
        let range = span_range(&chunk);
        if chunk.state != ChunkState::Kept || range.is_empty() {
            continue;
        }
        let spans = arena.spans.get(range.clone()).unwrap_or(&[]);
        if spans.iter().any(|s| s.error != 0) {
            continue;
        }
        let priority = spans.iter().find(|s| s.has(Slot::SamplingPriority));
        let priority = priority.and_then(|s| arena.slot_number(bytes, s, Slot::SamplingPriority));
        if !priority.is_some_and(|p| p <= 0.0) {
            continue;
        }
        let mut dropped = 0;
        for i in range.clone() {
            let Some(span) = arena.spans.get(i) else { break };
            let single = arena.slot_number(bytes, span, Slot::SpanSamplingMechanism) == Some(8.0);
            if single || span.has(Slot::AnalyticsRate) {
                continue;
            }
            dropped += 1;
            if let Some(span) = arena.spans.get_mut(i) {
                span.flags |= flag::DROPPED;
            }
        }
        out.spans += u64::from(dropped);
        let Some(chunk) = arena.chunks.get_mut(i) else { break };
        chunk.dropped = dropped;
        if dropped == chunk.len {
            chunk.state = ChunkState::SampledOut;
            out.traces += 1;
        } else if dropped > 0 {
            hand_over(bytes, arena, range);
        }
    }
    out
}
