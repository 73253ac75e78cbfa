//! What a rejected trace says of itself when only a part of it is kept.
//!
//! v0.4 and v0.5 have no place for what holds for a whole chunk: tracers write it on the first span. When that one is
//! left out, the first span that stays takes it over, so that the agent makes of the part what it would have made of
//! all: it reads each of these tags from the last span that has it, the priority from the root, else from the last
//! span that has one (agent 7.85). Every output format is written from the same spans then.

use super::access::{Entries, SpanAccess, Verdict};
use super::arena::{Arena, Edit, Span, flag, sort_edits};
use super::keys::Slot;
use super::spliced::Spliced;
use crate::msgpack::reader;
use std::ops::Range;

/// Tags that hold for the chunk, or through it for the payload.
const TAGS: [&[u8]; 9] = [
    b"_dd.p.tid",
    b"_dd.p.dm",
    b"_dd.origin",
    b"env",
    b"version",
    b"language",
    b"_dd.hostname",
    b"_dd.git.commit.sha",
    b"_dd.apm_mode",
];
const PRIORITY: &[u8] = b"_sampling_priority_v1";

/// Memory of the work, used again for the next chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handover {
    /// Values of [`TAGS`], one behind another.
    texts: Vec<u8>,
    scratch: Vec<u8>,
    /// The edits of the span at hand.
    edits: Vec<Edit>,
}

impl Handover {
    pub(super) fn capacity_bytes(&self) -> usize {
        self.texts.capacity() + self.scratch.capacity() + self.edits.capacity() * size_of::<Edit>()
    }
}

/// What the spans of a chunk say of it.
#[derive(Default)]
struct Said {
    /// Where the last value of each tag stands in [`Handover::texts`].
    tags: [Option<(usize, usize)>; TAGS.len()],
    /// Whether the first span that stays has the tag itself.
    own: [bool; TAGS.len()],
    priority: Option<f64>,
    /// That of the last span without a parent, when there was one to be seen.
    root_priority: Option<f64>,
}

/// Gives the first span that stays what the chunk says. The spans that go are marked already.
#[cold]
pub(super) fn hand_over(bytes: &[u8], arena: &mut Arena, chunk: Range<usize>) {
    let mut memory = std::mem::take(&mut arena.handover);
    memory.texts.clear();
    arena.sort_edits();
    give(bytes, arena, chunk, &mut memory);
    arena.handover = memory;
}

fn give(bytes: &[u8], arena: &mut Arena, chunk: Range<usize>, memory: &mut Handover) {
    const GONE: u32 = flag::DROPPED | flag::NIL;
    let Handover { texts, scratch, edits } = memory;
    let (mut said, mut heir) = (Said::default(), None);
    for i in chunk.clone() {
        let Some(span) = arena.spans.get(i) else { return };
        if span.flags & flag::NIL != 0 {
            continue;
        }
        let is_heir = heir.is_none() && span.flags & GONE == 0;
        if is_heir {
            heir = Some(i);
        }
        if span.flags & (flag::EDITED | flag::REPEATED) == 0 {
            let priority = arena.slot_number(bytes, span, Slot::SamplingPriority);
            said.read_plain(bytes, span, priority, is_heir, texts);
            continue;
        }
        with_span(bytes, arena, edits, i, |span| said.read(span, is_heir, texts, scratch));
    }
    let Some(heir) = heir else { return };
    let missing = || {
        let all = TAGS.iter().zip(said.tags).zip(said.own);
        all.filter(|(_, own)| !own).filter_map(|((key, place), _)| {
            let (from, to) = place?;
            Some((*key, texts.get(from..to)?))
        })
    };
    for i in heir..chunk.end {
        let Some(flags) = arena.spans.get(i).map(|span| span.flags) else { return };
        if flags & GONE != 0 {
            continue;
        }
        with_span(bytes, arena, edits, i, |span| {
            // A span that stays may say another priority than the chunk has; it must not become the chunk's.
            if let Some(priority) = said.priority
                && span.sampling_priority().map_or(i == heir, |own| own as i32 != priority as i32)
            {
                span.set_number(PRIORITY, priority);
            }
            if i == heir {
                span.add_new_tags(missing);
            }
        });
    }
}

/// Bits for the lengths of the keys of [`TAGS`].
const LENGTHS: u32 = {
    let (mut bits, mut i) = (0, 0);
    while i < TAGS.len() {
        bits |= 1 << TAGS[i].len();
        i += 1;
    }
    bits
};

impl Said {
    /// What a span says that stands in the payload as it goes out.
    fn read_plain(
        &mut self,
        bytes: &[u8],
        span: &Span,
        priority: Option<f64>,
        is_heir: bool,
        texts: &mut Vec<u8>,
    ) {
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            // The scan has read them.
            let Some((key, at)) = text_at(bytes, p) else { break };
            let Some((text, end)) = text_at(bytes, at) else { break };
            p = end;
            if key.len() < 32 && LENGTHS >> key.len() & 1 != 0 {
                self.tag(key, text, is_heir, texts);
            }
        }
        self.priority(priority, span.parent_id == 0);
    }

    #[inline]
    fn tag(&mut self, key: &[u8], text: &[u8], is_heir: bool, texts: &mut Vec<u8>) {
        if let Some(i) = TAGS.iter().position(|tag| *tag == key)
            && let (Some(value), Some(own)) = (self.tags.get_mut(i), self.own.get_mut(i))
        {
            let from = texts.len();
            texts.extend_from_slice(text);
            *value = Some((from, texts.len()));
            *own |= is_heir;
        }
    }

    fn priority(&mut self, of_span: Option<f64>, is_root: bool) {
        self.priority = of_span.or(self.priority);
        if is_root && self.priority.is_some() {
            self.root_priority = self.priority;
        }
        self.priority = self.root_priority.or(self.priority);
    }

    /// What a span with changes says.
    fn read(
        &mut self,
        span: &mut Spliced<'_, '_>,
        is_heir: bool,
        texts: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) {
        span.each_text(span.view(Entries::Meta), scratch, &mut |key, buf, at, _| {
            if let Ok((text, _)) = reader::text(buf, at) {
                self.tag(key, text, is_heir, texts);
            }
            Verdict::Keep
        });
        self.priority(span.sampling_priority(), span.parent_id() == 0);
    }
}

/// The text at `p`, and the position behind it.
#[inline(always)]
fn text_at(bytes: &[u8], p: usize) -> Option<(&[u8], usize)> {
    match bytes.get(p) {
        Some(b) if b & 0xe0 == 0xa0 => {
            let end = p + 1 + usize::from(b & 0x1f);
            bytes.get(p + 1..end).map(|text| (text, end))
        }
        _ => reader::text(bytes, p).ok(),
    }
}

/// Gives `work` one span with its edits, and takes them back. The arena's edits are sorted before and after.
fn with_span(
    bytes: &[u8],
    arena: &mut Arena,
    own: &mut Vec<Edit>,
    i: usize,
    work: impl FnOnce(&mut Spliced<'_, '_>),
) {
    let Arena { spans, hits, side, edits, .. } = arena;
    let Some(span) = spans.get_mut(i) else { return };
    // What is put in at the end of a span belongs to it: its last map may be empty.
    let before = |place: u32| move |e: &Edit| e.at < place || (e.at == place && e.end == place);
    let first = edits.partition_point(before(span.at));
    let last = if span.flags & flag::EDITED == 0 { first } else { edits.partition_point(before(span.end)) };
    own.clear();
    own.extend(edits.drain(first..last));
    let hits_at = span.hits_at as usize;
    let hits = hits.get_mut(hits_at..hits_at + span.hits_len as usize).unwrap_or(&mut []);
    work(&mut Spliced::new(bytes, span, hits, side, own));
    if !own.is_empty() {
        span.flags |= flag::EDITED;
        sort_edits(own);
        edits.splice(first..first, own.drain(..));
    }
}
