//! The rules for a whole chunk: which are refused, and what a chunk says of its trace (priority, origin, decision
//! maker).

use super::span::Normalizer;
use crate::account::normalization::{Counts, Reason, Refusal};
use crate::trace::sort::heap_sort;
use crate::trace::{SpanAccess, Tag};

/// What a chunk carries beside its spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkTags {
    /// Sampling priority: the root's, else that of the first span that has one.
    pub priority: Option<i32>,
    /// `_dd.origin` of the root; empty for none.
    pub origin: Vec<u8>,
    /// `_dd.p.dm` of the first span that has it.
    pub decision_maker: Option<Vec<u8>>,
}

impl Normalizer {
    /// Repairs the spans of a chunk.
    ///
    /// # Errors
    /// A [`Refusal`]; the chunk must not be sent then. Spans before the one that was refused are already repaired.
    pub fn chunk<S: SpanAccess>(
        &self,
        spans: &mut [S],
        now_ns: i64,
        counts: &mut Counts,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut trace = TraceId::of(spans.first().ok_or(Refusal::EmptyTrace)?);
        let mut refusal = Ok(());
        let mut ids = Vec::new();
        for span in spans.iter_mut() {
            refusal = match trace.is_of(span) {
                true => self.span(span, now_ns, counts, scratch),
                false => Err(Refusal::ForeignSpan),
            };
            if refusal.is_err() {
                break;
            }
            ids.push(span.span_id());
        }
        let duplicates = duplicate_ids(&mut ids);
        if duplicates > 0 {
            counts.add_many(Reason::DuplicateSpanId, duplicates);
        }
        refusal
    }
}

/// The trace of a chunk's first span. The upper half counts only where both spans carry it, since tracers write it on
/// one span of a chunk.
struct TraceId {
    low: u64,
    high: Option<Vec<u8>>,
}

impl TraceId {
    fn of<S: SpanAccess>(span: &S) -> Self {
        Self { low: span.trace_id(), high: span.tag(Tag::TraceIdHigh).map(<[u8]>::to_vec) }
    }

    fn is_of<S: SpanAccess>(&mut self, span: &S) -> bool {
        self.low == span.trace_id()
            && match (&self.high, span.tag(Tag::TraceIdHigh)) {
                (Some(ours), Some(theirs)) => ours == theirs,
                _ => true,
            }
    }
}

/// How many ids have been there before.
pub(crate) fn duplicate_ids(ids: &mut [u64]) -> u64 {
    // A set of bits tells most small chunks that there are none; a large one, or one that is not sure, is sorted.
    let mut seen = [0u64; 64];
    let new = |id: &u64| {
        let place = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        let (word, bit) = (&mut seen[place as usize & 63], 1 << (place >> 6));
        let new = *word & bit == 0;
        *word |= bit;
        new
    };
    if ids.len() <= 32 && ids.iter().all(new) {
        return 0;
    }
    heap_sort(ids, |a, b| a < b);
    ids.windows(2).filter(|w| w[0] == w[1]).count() as u64
}

/// The span that stands for the trace: the last one without a parent, else the first whose parent is not in the chunk,
/// else the last. `None` for an empty chunk.
pub fn root<S: SpanAccess>(spans: &[S]) -> Option<usize> {
    if let Some(root) = spans.iter().rposition(|s| s.parent_id() == 0) {
        return Some(root);
    }
    let mut ids: Vec<u64> = spans.iter().map(S::span_id).collect();
    heap_sort(&mut ids, |a, b| a < b);
    spans.iter().position(|s| ids.binary_search(&s.parent_id()).is_err()).or(spans.len().checked_sub(1))
}

/// What the chunk carries beside its spans.
pub fn tags<S: SpanAccess>(spans: &[S]) -> ChunkTags {
    let Some(root) = root(spans).and_then(|at| spans.get(at)) else { return ChunkTags::default() };
    let priority = root.sampling_priority().or_else(|| spans.iter().find_map(S::sampling_priority));
    ChunkTags {
        priority: priority.map(to_i32),
        origin: root.tag(Tag::Origin).unwrap_or(&[]).to_vec(),
        decision_maker: spans.iter().find_map(|s| s.tag(Tag::DecisionMaker)).map(<[u8]>::to_vec),
    }
}

/// Truncates towards 0; what does not fit becomes the smallest number, as the agent's processor does it.
fn to_i32(n: f64) -> i32 {
    if n > -2_147_483_649.0 && n < 2_147_483_648.0 { n as i32 } else { i32::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::SpanFields;

    fn span(trace_id: u64, span_id: u64, parent_id: u64) -> SpanFields {
        SpanFields {
            trace_id,
            span_id,
            parent_id,
            service: b"svc".into(),
            name: b"op".into(),
            resource: b"res".into(),
            start: i64::MAX / 2,
            ..SpanFields::default()
        }
    }

    fn run(spans: &mut [SpanFields]) -> (Result<(), Refusal>, Counts) {
        let mut counts = Counts::default();
        (Normalizer::new(b"java").chunk(spans, 1, &mut counts, &mut Vec::new()), counts)
    }

    #[test]
    fn refuses_what_cannot_be_repaired() {
        assert_eq!(run(&mut []).0, Err(Refusal::EmptyTrace));
        assert_eq!(run(&mut [span(0, 1, 0)]).0, Err(Refusal::TraceIdZero));
        assert_eq!(run(&mut [span(1, 1, 0), span(1, 0, 0)]).0, Err(Refusal::SpanIdZero));
        assert_eq!(run(&mut [span(1, 1, 0), span(2, 2, 0)]).0, Err(Refusal::ForeignSpan));
        let high = |v: &[u8]| SpanFields { meta: vec![(b"_dd.p.tid".to_vec(), v.to_vec())], ..span(1, 1, 0) };
        assert_eq!(run(&mut [high(b"a"), high(b"b")]).0, Err(Refusal::ForeignSpan));
        assert_eq!(run(&mut [high(b"a"), span(1, 2, 0)]).0, Ok(()));
    }

    #[test]
    fn counts_ids_that_come_again() {
        let (result, counts) = run(&mut [span(1, 7, 0), span(1, 7, 0), span(1, 7, 0), span(1, 8, 0)]);
        assert_eq!(result, Ok(()));
        assert_eq!(counts.get(Reason::DuplicateSpanId), 2);
        assert_eq!(counts.total(), 2);
    }

    #[test]
    fn a_span_that_is_its_own_trace_has_no_parent() {
        let mut spans = [span(7, 7, 7)];
        assert_eq!(run(&mut spans).0, Ok(()));
        assert_eq!(spans[0].parent_id, 0);
    }

    #[test]
    fn the_root_speaks_first() {
        let mut a = span(1, 1, 9);
        a.metrics.push((b"_sampling_priority_v1".to_vec(), 2.9));
        a.meta.push((b"_dd.origin".to_vec(), b"rum".to_vec()));
        a.meta.push((b"_dd.p.dm".to_vec(), b"-3".to_vec()));
        let b = span(1, 2, 1);
        let spans = [b, a];
        assert_eq!(root(&spans), Some(1));
        let expected =
            ChunkTags { priority: Some(2), origin: b"rum".to_vec(), decision_maker: Some(b"-3".to_vec()) };
        assert_eq!(tags(&spans), expected);
    }
}
