//! A span of the arena as the rules of `normalize` and `obfuscate` see it: read where it stands in the payload,
//! changed by edits. What no rule changes costs a look; a change costs its own text in the side buffer and an edit.

use super::access::{Entries, Field, NumberVerdict, Scalar, ScalarVerdict, SpanAccess, Tag, Verdict};
use super::arena::{Edit, Hit, MapView, SIDE, Span, Text, With, flag};
use super::changes::{Changes, Entry, Place, head_before};
use super::keys::Slot;
use crate::msgpack::{reader, writer};

/// A hit of this number is none any more.
const NO_HIT: u16 = u16::MAX;

/// One span under the rules. Its tags must be the first keys of the scan's interest, in the order of [`Tag::ALL`],
/// and the scan must have looked for cards.
#[derive(Debug)]
pub struct Spliced<'b, 's> {
    pub(super) changes: Changes<'b, 's>,
    pub(super) span: &'s mut Span,
    hits: &'s mut [Hit],
    /// The tags that the span has, a bit for each.
    tags: u32,
}

impl<'b, 's> Spliced<'b, 's> {
    /// A span, its hits, and where its changes go: `edits` holds the scan's repairs of this span.
    #[inline]
    pub(crate) fn new(
        bytes: &'b [u8],
        span: &'s mut Span,
        hits: &'s mut [Hit],
        side: &'s mut Vec<u8>,
        edits: &'s mut Vec<Edit>,
    ) -> Self {
        let tags = hits.iter().filter(|h| h.key < 32).fold(0, |tags, h| tags | 1 << h.key);
        let mut spliced = Self { changes: Changes { bytes, side, edits, known: 0 }, span, hits, tags };
        if spliced.span.flags & flag::REPEATED != 0 {
            spliced.drop_earlier();
        }
        spliced
    }

    /// The value of a tag as it stood in the input when the span was scanned.
    #[inline]
    pub(crate) fn scanned_tag(&self, tag: Tag) -> Option<&'b [u8]> {
        let bytes = self.changes.bytes;
        self.hit(tag).and_then(|at| reader::text(bytes, at as usize).ok()).map(|(text, _)| text)
    }

    #[inline]
    fn hit(&self, tag: Tag) -> Option<Place> {
        if self.tags & (1 << tag as u32) == 0 {
            return None;
        }
        self.hits.iter().rev().find(|h| h.key == tag as u16).map(|h| h.value_at)
    }

    /// Of a key that comes twice only the last one counts, so the others need not go out.
    #[cold]
    fn drop_earlier(&mut self) {
        const KEYS: [&[u8]; 15] = [
            b"service",
            b"name",
            b"resource",
            b"type",
            b"meta",
            b"metrics",
            b"meta_struct",
            b"span_links",
            b"span_events",
            b"trace_id",
            b"span_id",
            b"parent_id",
            b"start",
            b"duration",
            b"error",
        ];
        let at = self.span.at;
        let Ok((n, first)) = reader::map_head(self.changes.bytes, at as usize) else { return };
        let mut last = [0; KEYS.len()];
        let known = |changes: &Changes<'_, '_>, entry: &Entry| {
            let key = changes.text(entry.key)?;
            KEYS.iter().position(|k| *k == key)
        };
        self.changes.begin();
        let mut walk = self.changes.walk(first, n);
        while let Some(entry) = self.changes.next(&mut walk) {
            if let Some(place) = known(&self.changes, &entry).and_then(|k| last.get_mut(k)) {
                *place = entry.at;
            }
        }
        let (mut walk, mut left_out) = (self.changes.walk(first, n), 0);
        while let Some(entry) = self.changes.next(&mut walk) {
            let latest = known(&self.changes, &entry).and_then(|k| last.get(k));
            if latest.is_some_and(|at| *at != entry.at) {
                self.changes.leave_out(&entry);
                left_out += 1;
            }
        }
        self.changes.count(at, -left_out);
    }

    fn text(&self, text: Text) -> &[u8] {
        let (from, at) = self.changes.read(text.at);
        from.get(at..at + text.len as usize).unwrap_or(&[])
    }

    #[cold]
    fn write_field(&mut self, field: Field, to: &[u8]) {
        let (key, old): (&[u8], Text) = match field {
            Field::Service => (b"service", self.span.service),
            Field::Name => (b"name", self.span.name),
            Field::Resource => (b"resource", self.span.resource),
            Field::Type => (b"type", self.span.kind),
        };
        let place = if old.at & SIDE != 0 {
            self.write_again(old.at & !SIDE, key, to)
        } else if old.at == 0 {
            self.insert_field(key, |out| writer::str(out, to))
        } else {
            let at = old.at - head_before(self.changes.bytes, old.at, old.len);
            let side_at = self.changes.side.len() as u32;
            writer::str(self.changes.side, to);
            let len = self.changes.side.len() as u32 - side_at;
            let with = With::Side { at: side_at, len };
            self.changes.edits.push(Edit { at, end: old.at + old.len, with });
            Some(SIDE | side_at)
        };
        // The text stands at the end of the side buffer.
        let Some(_) = place else { return };
        let text = Text { at: SIDE | (self.changes.side.len() - to.len()) as u32, len: to.len() as u32 };
        *match field {
            Field::Service => &mut self.span.service,
            Field::Name => &mut self.span.name,
            Field::Resource => &mut self.span.resource,
            Field::Type => &mut self.span.kind,
        } = text;
    }

    /// A field that is in the side buffer already: replaced or put in.
    fn write_again(&mut self, text_at: u32, key: &[u8], to: &[u8]) -> Option<Place> {
        let holds = |e: &&mut Edit| match e.with {
            With::Side { at, len } => at < text_at && text_at <= at + len,
            With::MapHead(_) => false,
        };
        let edit = self.changes.edits.iter_mut().find(holds)?;
        let side_at = self.changes.side.len();
        if edit.at == edit.end {
            writer::str(self.changes.side, key);
        }
        let value_at = self.changes.side.len();
        writer::str(self.changes.side, to);
        let len = (self.changes.side.len() - side_at) as u32;
        edit.with = With::Side { at: side_at as u32, len };
        Some(SIDE | value_at as u32)
    }

    /// A field that the span does not have.
    fn insert_field(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) -> Option<Place> {
        let (_, first) = reader::map_head(self.changes.bytes, self.span.at as usize).ok()?;
        let side_at = self.changes.side.len();
        writer::str(self.changes.side, key);
        let value_at = self.changes.side.len();
        value(self.changes.side);
        self.changes.insert((self.span.at, first as u32), 1, side_at);
        Some(SIDE | value_at as u32)
    }

    /// Sets a number of the span.
    #[cold]
    fn write_number(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        let Ok((n, first)) = reader::map_head(self.changes.bytes, self.span.at as usize) else { return };
        self.changes.begin();
        let mut walk = self.changes.walk(first, n);
        let mut last = None;
        while let Some(entry) = self.changes.next(&mut walk) {
            if self.changes.text(entry.key) == Some(key) {
                last = Some(entry);
            }
        }
        match last {
            Some(entry) => {
                let side_at = self.changes.side.len();
                value(self.changes.side);
                self.changes.replace(&entry, side_at);
            }
            None => {
                self.insert_field(key, value);
            }
        }
    }

    /// The value at `place` now stands at `to`: slots that point to it do too.
    fn slots_moved(&mut self, place: Place, to: Place) {
        for slot in self.span.slots.iter_mut().filter(|at| **at == place) {
            *slot = to;
        }
    }

    fn slots_lost(&mut self, place: Place) {
        for (i, _) in self.span.slots.iter().enumerate().filter(|(_, at)| **at == place) {
            self.span.present &= !(1 << i);
        }
    }

    /// The hit that points to the value of `entry`, by index. Hits come in the order of the entries: `cursor` goes
    /// along with them, so every entry must be asked for.
    pub(super) fn hit_of(&self, entry: &Entry, cursor: &mut usize) -> Option<usize> {
        let behind = |h: &Hit| h.key == NO_HIT || (h.value_at & SIDE == 0 && h.value_at < entry.value_at);
        while self.hits.get(*cursor).is_some_and(behind) {
            *cursor += 1;
        }
        let at = *cursor;
        let found = self.hits.get(at).is_some_and(|h| h.value_at == entry.value);
        *cursor += usize::from(found);
        found.then_some(at)
    }

    /// The value of an entry of `meta` or `metrics` now stands at `to`.
    pub(super) fn moved(&mut self, entry: &Entry, hit: Option<usize>, to: Place) {
        if let Some(hit) = hit.and_then(|at| self.hits.get_mut(at)) {
            hit.value_at = to;
        }
        self.slots_moved(entry.value, to);
    }

    /// An entry of `meta` or `metrics` is gone.
    pub(super) fn lost(&mut self, entry: &Entry, hit: Option<usize>) {
        if let Some(hit) = hit.and_then(|at| self.hits.get_mut(at)) {
            // Its tag's bit stays: another entry may have the same key, and a search that finds none does no harm.
            hit.key = NO_HIT;
        }
        self.slots_lost(entry.value);
    }

    pub(super) fn view(&self, of: Entries) -> MapView {
        match of {
            Entries::Meta => self.span.meta,
            Entries::Metrics => self.span.metrics,
        }
    }
}

impl SpanAccess for Spliced<'_, '_> {
    fn trace_id(&self) -> u64 {
        self.span.trace_id
    }
    fn span_id(&self) -> u64 {
        self.span.span_id
    }
    fn parent_id(&self) -> u64 {
        self.span.parent_id
    }
    fn set_parent_id(&mut self, id: u64) {
        self.span.parent_id = id;
        self.write_number(b"parent_id", |out| writer::uint(out, id));
    }
    fn start_ns(&self) -> i64 {
        self.span.start
    }
    fn set_start_ns(&mut self, start_ns: i64) {
        self.span.start = start_ns;
        self.write_number(b"start", |out| writer::int(out, start_ns));
    }
    fn duration_ns(&self) -> i64 {
        self.span.duration
    }
    fn set_duration_ns(&mut self, duration_ns: i64) {
        self.span.duration = duration_ns;
        self.write_number(b"duration", |out| writer::int(out, duration_ns));
    }
    fn sampling_priority(&self) -> Option<f64> {
        let place = self.span.slot(Slot::SamplingPriority)?;
        let (from, at) = self.changes.read(place as u32);
        Some(reader::number(from, at).map_or(0.0, |(n, _)| n))
    }

    #[inline]
    fn field(&self, field: Field) -> &[u8] {
        self.text(match field {
            Field::Service => self.span.service,
            Field::Name => self.span.name,
            Field::Resource => self.span.resource,
            Field::Type => self.span.kind,
        })
    }
    fn set_field(&mut self, field: Field, text: &[u8]) {
        self.write_field(field, text);
    }

    #[inline]
    fn tag(&self, tag: Tag) -> Option<&[u8]> {
        let place = self.hit(tag)?;
        let (from, at) = self.changes.read(place);
        short_text(from, at).map(|(text, _)| text)
    }
    fn set_tag(&mut self, tag: Tag, text: &[u8]) {
        // A key that comes again and again has one new text for all.
        let side_at = self.changes.side.len() as u32;
        writer::str(self.changes.side, text);
        let len = self.changes.side.len() as u32 - side_at;
        let with = With::Side { at: side_at, len };
        // Those that have a new text already share one place, so their edits are looked for once.
        let mut before = None;
        for i in 0..self.hits.len() {
            let Some(hit) = self.hits.get_mut(i).filter(|h| h.key == tag as u16) else { continue };
            let place = std::mem::replace(&mut hit.value_at, SIDE | side_at);
            if place & SIDE == 0 {
                let end = reader::skip(self.changes.bytes, place as usize).unwrap_or(place as usize);
                self.changes.edits.push(Edit { at: place, end: end as u32, with });
            } else if before != Some(place) {
                before = Some(place);
                for edit in self.changes.edits.iter_mut().filter(|e| holds(e, place)) {
                    edit.with = with;
                }
            }
            self.slots_moved(place, SIDE | side_at);
        }
    }
    fn remove_tag(&mut self, tag: Tag) {
        let (mut ranges, mut before) = (Vec::new(), None);
        for i in 0..self.hits.len() {
            let Some(hit) = self.hits.get_mut(i).filter(|h| h.key == tag as u16) else { continue };
            let place = hit.value_at;
            hit.key = NO_HIT;
            if place & SIDE == 0 {
                let end = reader::skip(self.changes.bytes, place as usize).unwrap_or(place as usize);
                ranges.push((place, end as u32));
            } else if before != Some(place) {
                before = Some(place);
                let edits = self.changes.edits.iter().filter(|e| holds(e, place));
                ranges.extend(edits.map(|e| (e.at, e.end)));
            }
            self.slots_lost(place);
        }
        let left_out = ranges.len() as i32;
        for (value_at, end) in ranges {
            let len = tag.key().len() as u32;
            let at = value_at - len - head_before(self.changes.bytes, value_at - len, len);
            self.changes.edits.push(Edit { at, end, with: With::Side { at: 0, len: 0 } });
        }
        self.changes.count(self.span.meta.at, -left_out);
    }
    #[inline]
    fn may_hold_card(&self) -> bool {
        self.span.flags & flag::LIKE_CARD != 0 || !self.changes.edits.is_empty()
    }
    #[inline]
    fn may_be_long(&self, key_limit: usize, value_limit: usize) -> bool {
        let (meta, metrics) = (self.span.meta, self.span.metrics);
        let over = |e: &Edit| matches!(e.with, With::Side { len, .. } if len as usize > value_limit);
        (self.span.flags & flag::LONG_KEY != 0
            && (meta.end - meta.at).max(metrics.end - metrics.at) as usize > key_limit)
            || (meta.end - meta.first) as usize > value_limit
            || self.changes.edits.iter().any(over)
    }

    #[inline]
    fn each_tag<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        let view = self.span.meta;
        if !self.changes.edits.is_empty() {
            return self.each_text(view, scratch, &mut text_rule(&mut rule));
        }
        // The usual span: nothing has changed, and nothing will.
        let bytes = self.changes.bytes;
        let mut rest = bytes.get(view.first as usize..).unwrap_or(&[]);
        let mut left = view.len;
        while left > 0 {
            let Some((key, behind)) = first_text(rest) else { return };
            let Some((value, behind)) = first_text(behind) else { return };
            scratch.clear();
            if rule(key, value, scratch) != Verdict::Keep {
                // Asked once more, together with all that follow.
                let rest = MapView { first: (bytes.len() - rest.len()) as u32, len: left, ..view };
                return self.each_text(rest, scratch, &mut text_rule(&mut rule));
            }
            (rest, left) = (behind, left - 1);
        }
    }

    fn each_metric<F: FnMut(&[u8], f64, &mut Vec<u8>) -> NumberVerdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        self.each_number(scratch, &mut rule);
    }

    fn each_key<F: FnMut(&[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        of: Entries,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        self.rename(of, scratch, &mut rule);
    }

    fn each_link_attribute<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        if self.span.links.at != 0 {
            self.links(scratch, &mut text_rule(&mut rule));
        }
    }

    fn each_event_attribute<F: FnMut(&[u8], Scalar<'_>, &mut Vec<u8>) -> ScalarVerdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        mut rule: F,
    ) {
        if self.span.events.at != 0 {
            self.events(scratch, &mut rule);
        }
    }
}

/// Whether an edit puts in the value that stands at `place` of the side buffer.
fn holds(edit: &Edit, place: Place) -> bool {
    matches!(edit.with, With::Side { at, len } if at == place & !SIDE && len > 0)
}

/// Says what a rule makes of the value at a position.
pub(super) type ValueRule<'r> = dyn FnMut(&[u8], &[u8], usize, &mut Vec<u8>) -> Verdict + 'r;

/// A rule for text as one for values.
fn text_rule<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(
    rule: &mut F,
) -> impl FnMut(&[u8], &[u8], usize, &mut Vec<u8>) -> Verdict {
    |key, buf, at, out| match reader::text(buf, at) {
        Ok((text, _)) => rule(key, text, out),
        Err(_) => Verdict::Keep,
    }
}

/// Text and the position behind it.
#[inline(always)]
fn short_text(bytes: &[u8], p: usize) -> Option<(&[u8], usize)> {
    let head = *bytes.get(p)?;
    if head & 0xe0 == 0xa0 {
        let end = p + 1 + usize::from(head & 0x1f);
        return Some((bytes.get(p + 1..end)?, end));
    }
    reader::text(bytes, p).ok()
}

/// The text that bytes begin with, and the bytes behind it.
#[inline(always)]
fn first_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    if head & 0xe0 == 0xa0 {
        return rest.split_at_checked(usize::from(head & 0x1f));
    }
    let (text, end) = reader::text(bytes, 0).ok()?;
    Some((text, bytes.get(end..)?))
}
