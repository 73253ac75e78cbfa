//! What a trace is worth when not all can be kept: the order in which a full queue gives them up.

use super::{Arena, Interest, OnMalformed, Scanner, Slot, span_range};

/// What a trace is worth, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Sampling rejected it (priority 0 or below), or it cannot be read.
    SampledOut,
    /// Sampling kept it (priority 1), or nobody has decided.
    Kept,
    /// It has an error, or the user keeps it (priority 2 or above).
    Wanted,
}

impl Worth {
    pub(crate) const ALL: [Worth; 3] = [Worth::SampledOut, Worth::Kept, Worth::Wanted];
}

/// One trace of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Valued {
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) spans: u32,
    pub(crate) worth: Worth,
}

/// The traces of a v0.4 payload with what each is worth. `None` for a payload that cannot be read to its end.
pub(crate) fn worths(bytes: &[u8]) -> Option<Vec<Valued>> {
    let interest = Interest::none().slots(&[Slot::SamplingPriority]);
    let mut arena = Arena::new();
    let mut scanner = Scanner::new(bytes, OnMalformed::Drop).ok()?;
    let mut out = Vec::new();
    while !scanner.is_done() {
        scanner.fill(&mut arena, &interest, 256).ok()?;
        for chunk in &arena.chunks {
            let spans = arena.spans.get(span_range(chunk)).unwrap_or(&[]);
            let priority = spans.iter().find(|s| s.has(Slot::SamplingPriority));
            let priority = priority.and_then(|s| arena.slot_number(bytes, s, Slot::SamplingPriority));
            let worth = if spans.iter().any(|s| s.error != 0) || priority.is_some_and(|p| p >= 2.0) {
                Worth::Wanted
            } else if spans.is_empty() || priority.is_some_and(|p| p <= 0.0) {
                Worth::SampledOut
            } else {
                Worth::Kept
            };
            out.push(Valued { at: chunk.at as usize, end: chunk.end as usize, spans: chunk.len, worth });
        }
    }
    (scanner.position() == bytes.len()).then_some(out)
}
