//! Which spans are top level: the root, a span whose parent is in another chunk, or one whose parent belongs to another
//! service. The agent marks them with the metric `_top_level` = 1 and counts them in its stats; a tracer that did it
//! itself has written `_dd.top_level`.
//!
//! Of several spans with one id the last counts, as with the agent.

use super::arena::{Arena, Edit, Span, With, flag, push_edit};
use super::{Payload, Slot, span_range};
use std::ops::Range;

/// Keys that the scan must recognise for this stage.
pub const TOP_LEVEL_SLOTS: &[Slot] = &[Slot::TopLevel, Slot::TracerTopLevel];

/// Up to this many spans a chunk is searched span by span.
const LINEAR: usize = 64;

/// Finds top-level spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopLevel {
    /// Whether the output gets the mark `_top_level`; otherwise the payload only knows it.
    pub mark: bool,
}

impl TopLevel {
    /// Looks at every span of the chunks that are still kept.
    pub fn apply(self, payload: &mut Payload<'_>) {
        for i in 0..payload.arena.chunks.len() {
            let chunk = payload.arena.chunks[i];
            if chunk.state == super::ChunkState::Kept {
                self.chunk(payload.bytes, payload.arena, span_range(&chunk));
            }
        }
    }

    fn chunk(self, bytes: &[u8], arena: &mut Arena, range: Range<usize>) {
        let table = range.len() > LINEAR;
        if table {
            build_table(arena, &range);
        }
        let mut last_parent = usize::MAX;
        for i in range.clone() {
            let Some(span) = arena.spans.get(i) else { return };
            let parent_id = span.parent_id;
            let top = parent_id == 0 || {
                let known = arena.spans.get(last_parent).is_some_and(|p| p.span_id == parent_id);
                let parent = if known {
                    Some(last_parent)
                } else if table {
                    look_up(arena, parent_id)
                } else {
                    let chunk = arena.spans.get(range.clone()).unwrap_or(&[]);
                    chunk.iter().rposition(|s| s.span_id == parent_id).map(|at| range.start + at)
                };
                match parent.and_then(|at| arena.spans.get(at).map(|p| (at, p))) {
                    None => true,
                    Some((at, parent)) => {
                        last_parent = at;
                        parent.service != span.service
                            && arena.text(bytes, parent.service) != arena.text(bytes, span.service)
                    }
                }
            };
            self.settle(bytes, arena, i, top);
        }
    }

    #[inline(always)]
    fn settle(self, bytes: &[u8], arena: &mut Arena, i: usize, top: bool) {
        let Some(span) = arena.spans.get(i) else { return };
        let marked = span.present & MARKS != 0 && is_marked(bytes, arena, span);
        let missing = top && self.mark && !span.has(Slot::TopLevel);
        let wrong =
            top && self.mark && !missing && arena.slot_number(bytes, span, Slot::TopLevel) != Some(1.0);
        if wrong {
            rewrite_mark(bytes, arena, i);
        }
        let Some(span) = arena.spans.get_mut(i) else { return };
        if top || marked {
            span.flags |= flag::IS_TOP_LEVEL;
        }
        if missing && span.flags & flag::NIL == 0 {
            span.flags |= flag::ADD_TOP_LEVEL;
        }
    }
}

const MARKS: u64 = 1 << Slot::TopLevel as u64 | 1 << Slot::TracerTopLevel as u64;

/// Whether the tracer or somebody before us has marked the span.
pub(crate) fn is_marked(bytes: &[u8], arena: &Arena, span: &Span) -> bool {
    arena.slot_number(bytes, span, Slot::TracerTopLevel) == Some(1.0)
        || arena.slot_number(bytes, span, Slot::TopLevel) == Some(1.0)
}

/// `_top_level` is there with another value than 1.
#[cold]
fn rewrite_mark(bytes: &[u8], arena: &mut Arena, i: usize) {
    let Some(span) = arena.spans.get_mut(i) else { return };
    let Some(at) = span.slot(Slot::TopLevel) else { return };
    let Ok(end) = crate::msgpack::reader::skip(bytes, at) else { return };
    span.flags |= flag::EDITED;
    let side_at = arena.side.len() as u32;
    let edit = Edit { at: at as u32, end: end as u32, with: With::Side { at: side_at, len: 1 } };
    if arena.side.try_reserve(1).is_err() || push_edit(&mut arena.edits, edit).is_err() {
        arena.failed = true;
        return;
    }
    arena.side.push(1);
}

const FREE: u32 = u32::MAX;

fn slot_of(id: u64, mask: usize, seed: u64) -> usize {
    ((id ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask
}

/// Fills the arena's id table: the last span with an id wins.
fn build_table(arena: &mut Arena, range: &Range<usize>) {
    let size = (range.len() * 2).next_power_of_two();
    arena.ids.clear();
    if arena.ids.try_reserve(size).is_err() {
        arena.failed = true;
        return;
    }
    arena.ids.resize(size, FREE);
    let mask = size - 1;
    for i in range.clone() {
        let Some(id) = arena.spans.get(i).map(|s| s.span_id) else { return };
        let mut at = slot_of(id, mask, arena.seed);
        while let Some(&taken) = arena.ids.get(at) {
            if taken == FREE || arena.spans.get(taken as usize).is_some_and(|s| s.span_id == id) {
                break;
            }
            at = (at + 1) & mask;
        }
        if let Some(slot) = arena.ids.get_mut(at) {
            *slot = i as u32;
        }
    }
}

fn look_up(arena: &Arena, id: u64) -> Option<usize> {
    let mask = arena.ids.len().checked_sub(1)?;
    let mut at = slot_of(id, mask, arena.seed);
    loop {
        let taken = *arena.ids.get(at)?;
        if taken == FREE {
            return None;
        }
        if arena.spans.get(taken as usize)?.span_id == id {
            return Some(taken as usize);
        }
        at = (at + 1) & mask;
    }
}
