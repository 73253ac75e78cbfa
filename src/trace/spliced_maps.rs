//! The maps of a [`Spliced`] span when something in them changes: tags, numbers, keys, the tags that numbers become.
//!
//! All of it is for spans that a rule changes, so it is written once, not once a rule, and may allocate for what is
//! rare.

use super::access::{Entries, NumberVerdict, Verdict};
use super::arena::{MapView, With, flag};
use super::changes::Entry;
use super::spliced::{Spliced, ValueRule};
use crate::msgpack::{reader, writer};
use hashbrown::HashMap;

type Keys<'k> = HashMap<&'k [u8], u32, foldhash::fast::RandomState>;

/// How the bytes begin that bring a span its first tags.
const META: &[u8] = b"\xa4meta";

/// A rule for one number.
pub(super) type NumberRule<'r> = dyn FnMut(&[u8], f64, &mut Vec<u8>) -> NumberVerdict + 'r;

impl Spliced<'_, '_> {
    /// Asks `rule` about the tags of `view`, a part of `meta` up to its end, and about those that came later.
    #[cold]
    pub(super) fn each_text(&mut self, view: MapView, scratch: &mut Vec<u8>, rule: &mut ValueRule<'_>) {
        self.changes.begin();
        let (mut walk, mut cursor, mut left_out) = (self.changes.walk(view.first as usize, view.len), 0, 0);
        while let Some(entry) = self.changes.next(&mut walk) {
            let hit = self.hit_of(&entry, &mut cursor);
            match self.ask(&entry, scratch, rule) {
                Verdict::Keep => {}
                Verdict::Replace => {
                    let place = self.changes.replace_text(&entry, scratch);
                    self.moved(&entry, hit, place);
                }
                Verdict::Remove => {
                    self.changes.leave_out(&entry);
                    left_out += 1;
                    self.lost(&entry, hit);
                }
            }
        }
        self.changes.count(view.at, -left_out);
        self.each_added_text(scratch, rule);
    }

    pub(super) fn ask(&self, entry: &Entry, scratch: &mut Vec<u8>, rule: &mut ValueRule<'_>) -> Verdict {
        scratch.clear();
        let (buf, at) = self.changes.read(entry.value);
        self.changes.text(entry.key).map_or(Verdict::Keep, |key| rule(key, buf, at, scratch))
    }

    /// Asks `rule` about every number of `metrics`.
    #[cold]
    pub(super) fn each_number(&mut self, scratch: &mut Vec<u8>, rule: &mut NumberRule<'_>) {
        let view = self.view(Entries::Metrics);
        self.changes.begin();
        let mut walk = self.changes.walk(view.first as usize, view.len);
        let mut added: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        while let Some(entry) = self.changes.next(&mut walk) {
            scratch.clear();
            let (buf, at) = self.changes.read(entry.value);
            let number = reader::number(buf, at).map_or(0.0, |(n, _)| n);
            let Some(key) = self.changes.text(entry.key) else { continue };
            match rule(key, number, scratch) {
                NumberVerdict::Keep => {}
                NumberVerdict::Set(n) => {
                    let side_at = self.changes.side.len();
                    writer::f64(self.changes.side, n);
                    let place = self.changes.replace(&entry, side_at);
                    self.moved(&entry, None, place);
                }
                NumberVerdict::Text => {
                    added.push((key.to_vec(), scratch.clone()));
                    self.changes.leave_out(&entry);
                    self.lost(&entry, None);
                }
            }
        }
        if !added.is_empty() {
            self.changes.count(view.at, -(added.len() as i32));
            self.add_tags(&added, scratch);
        }
    }

    /// Gives the span a number, in the place of the one that it has by this key.
    pub(super) fn set_number(&mut self, key: &[u8], number: f64) {
        let view = self.view(Entries::Metrics);
        self.changes.begin();
        let (mut walk, mut found) = (self.changes.walk(view.first as usize, view.len), false);
        while let Some(entry) = self.changes.next(&mut walk) {
            if self.changes.text(entry.key) == Some(key) {
                let side_at = self.changes.side.len();
                writer::f64(self.changes.side, number);
                let place = self.changes.replace(&entry, side_at);
                self.moved(&entry, None, place);
                found = true;
            }
        }
        if found {
            return;
        }
        let side_at = self.changes.side.len();
        if view.at == 0 {
            // The span's first number: the mark of a top-level span would bring the same map once more.
            let mark = self.span.flags & flag::ADD_TOP_LEVEL != 0;
            self.changes.side.extend_from_slice(b"\xa7metrics");
            writer::map_head(self.changes.side, 1 + u32::from(mark));
            if mark {
                self.span.flags &= !flag::ADD_TOP_LEVEL;
                self.changes.side.extend_from_slice(b"\xaa_top_level\x01");
            }
        }
        writer::str(self.changes.side, key);
        writer::f64(self.changes.side, number);
        if view.at != 0 {
            self.changes.insert((view.at, view.first), 1, side_at);
        } else if let Ok((_, first)) = reader::map_head(self.changes.bytes, self.span.at as usize) {
            self.changes.insert((self.span.at, first as u32), 1, side_at);
        }
    }

    /// Gives the span tags, in the place of those that it has by these keys.
    pub(super) fn add_tags(&mut self, added: &[(Vec<u8>, Vec<u8>)], scratch: &mut Vec<u8>) {
        let last: Keys<'_> = added.iter().zip(0..).map(|((key, _), i)| (key.as_slice(), i)).collect();
        let same = |key: &[u8]| if last.contains_key(key) { Verdict::Remove } else { Verdict::Keep };
        self.each_text(self.view(Entries::Meta), scratch, &mut |key, _, _, _| same(key));
        self.add_new_tags(|| {
            let added = added.iter().zip(0..).filter(|((key, _), i)| last.get(key.as_slice()) == Some(i));
            added.map(|((key, text), _)| (key.as_slice(), text.as_slice()))
        });
    }

    /// Gives the span tags that it does not have yet.
    pub(super) fn add_new_tags<'t, I>(&mut self, added: impl Fn() -> I)
    where
        I: Iterator<Item = (&'t [u8], &'t [u8])>,
    {
        if added().next().is_none() {
            return;
        }
        let (count, side_at) = (added().count() as u32, self.changes.side.len());
        let meta = self.view(Entries::Meta);
        let before = self.added().next();
        if meta.at == 0 {
            let before = before.map_or(0, |(_, n, _, _)| n);
            self.changes.side.extend_from_slice(META);
            writer::map_head(self.changes.side, before + count);
        }
        for (key, text) in added() {
            writer::str(self.changes.side, key);
            writer::str(self.changes.side, text);
        }
        if meta.at != 0 {
            self.changes.insert((meta.at, meta.first), count as i32, side_at);
        } else if let Some((edit, _, from, to)) = before {
            // The map that was put in for earlier ones gets these too.
            self.changes.side.extend_from_within(from..to);
            let len = (self.changes.side.len() - side_at) as u32;
            if let Some(edit) = self.changes.edits.get_mut(edit) {
                edit.with = With::Side { at: side_at as u32, len };
            }
        } else if let Ok((_, first)) = reader::map_head(self.changes.bytes, self.span.at as usize) {
            self.changes.insert((self.span.at, first as u32), 1, side_at);
        }
    }

    /// The edits that bring tags: index, number of tags (0 where the map has its own head), range in the side buffer.
    fn added(&self) -> impl Iterator<Item = (usize, u32, usize, usize)> {
        let meta = self.span.meta;
        let in_place = self.changes.edits.iter().enumerate().filter(|(_, e)| e.at == e.end);
        in_place.filter_map(move |(i, edit)| {
            let With::Side { at, len } = edit.with else { return None };
            let (at, end) = (at as usize, (at + len) as usize);
            if meta.at != 0 {
                return (edit.at == meta.first).then_some((i, 0, at, end));
            }
            let map_at = at + META.len();
            let (n, first) = reader::map_head(self.changes.side, map_at).ok()?;
            (self.changes.side.get(at..map_at) == Some(META)).then_some((i, n, first, end))
        })
    }

    /// Asks `rule` about the tags that numbers have become.
    fn each_added_text(&mut self, scratch: &mut Vec<u8>, rule: &mut ValueRule<'_>) {
        let mut from = 0;
        loop {
            let next = self.added().find(|(edit, ..)| *edit >= from);
            let Some((edit, n, start, end)) = next else { return };
            from = edit + 1;
            let (mut left, mut all, mut p) = (0u32, 0u32, start);
            let mut tags = Vec::new();
            while p < end {
                let side = self.changes.side.as_slice();
                let Ok((key, value_at)) = reader::text(side, p) else { break };
                let Ok((text, next)) = reader::text(side, value_at) else { break };
                scratch.clear();
                let verdict = rule(key, side, value_at, scratch);
                all += 1;
                if verdict != Verdict::Remove {
                    left += 1;
                    writer::str(&mut tags, key);
                    writer::str(&mut tags, if verdict == Verdict::Keep { text } else { scratch });
                }
                p = next;
            }
            let side_at = self.changes.side.len();
            if n != 0 {
                self.changes.side.extend_from_slice(META);
                writer::map_head(self.changes.side, left);
            } else {
                self.changes.count(self.span.meta.at, left as i32 - all as i32);
            }
            self.changes.side.extend_from_slice(&tags);
            let len = (self.changes.side.len() - side_at) as u32;
            if let Some(edit) = self.changes.edits.get_mut(edit) {
                edit.with = With::Side { at: side_at as u32, len };
            }
        }
    }

    /// Asks `rule` about every key. Of entries that come to have one key, the last that was renamed stays.
    #[cold]
    pub(super) fn rename(
        &mut self,
        of: Entries,
        scratch: &mut Vec<u8>,
        rule: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> Verdict,
    ) {
        let view = self.view(of);
        let mut renamed: Vec<(u32, Vec<u8>)> = Vec::new();
        self.changes.begin();
        let mut walk = self.changes.walk(view.first as usize, view.len);
        while let Some(entry) = self.changes.next(&mut walk) {
            scratch.clear();
            if self.changes.text(entry.key).is_some_and(|key| rule(key, scratch) == Verdict::Replace) {
                renamed.push((entry.at, scratch.clone()));
            }
        }
        if renamed.is_empty() {
            return;
        }
        let last: Keys<'_> = renamed.iter().map(|(at, key)| (key.as_slice(), *at)).collect();
        let mut ahead = renamed.iter().peekable();
        let (mut walk, mut cursor, mut left_out) = (self.changes.walk(view.first as usize, view.len), 0, 0);
        while let Some(entry) = self.changes.next(&mut walk) {
            let hit = self.hit_of(&entry, &mut cursor);
            let new = ahead.next_if(|(at, _)| *at == entry.at).map(|(_, key)| key.as_slice());
            let key = new.or_else(|| self.changes.text(entry.key));
            match (key.and_then(|key| last.get(key)), new) {
                (Some(at), Some(key)) if *at == entry.at => self.changes.rename(&entry, key),
                (Some(_), _) => {
                    self.changes.leave_out(&entry);
                    left_out += 1;
                    self.lost(&entry, hit);
                }
                (None, _) => {}
            }
        }
        self.changes.count(view.at, -left_out);
    }
}
