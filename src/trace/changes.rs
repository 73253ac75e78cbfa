//! The changes of one span: the edits that rules have made so far, and maps as they are with them.
//!
//! A rule must see what an earlier one has written. The input stays as it is, so a map is walked over its bytes in
//! the input with the span's edits beside it; both are sorted by place, so the walk stays linear. A span without
//! edits pays nothing.

use super::arena::{Edit, SIDE, With, sort_edits};
use crate::msgpack::{reader, writer};

/// Where a msgpack value stands: in the input, or with [`SIDE`] in the side buffer.
pub(super) type Place = u32;

/// One span's edits, repairs of the scan included.
#[derive(Debug)]
pub(super) struct Changes<'b, 'c> {
    pub(super) bytes: &'b [u8],
    pub(super) side: &'c mut Vec<u8>,
    pub(super) edits: &'c mut Vec<Edit>,
    /// So many edits are sorted; later ones were made during the pass that runs, at places it has left behind.
    pub(super) known: usize,
}

/// An entry of a map as it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Place of the key.
    pub(super) key: Place,
    /// Place of the value.
    pub(super) value: Place,
    /// Offsets in the input: the key, the value, the end of the value.
    pub(super) at: u32,
    pub(super) value_at: u32,
    pub(super) end: u32,
    /// The edit that holds the value, if one does.
    edit: usize,
}

/// [`Entry::edit`] of a value that stands in the input.
const NONE: usize = usize::MAX;

/// Goes through the entries of a map (or the values of an array) of the input.
#[derive(Debug)]
pub(super) struct Walk {
    at: usize,
    left: u32,
    /// Edits before this one lie before `at`.
    cursor: usize,
}

impl Changes<'_, '_> {
    /// Where the value at `place` can be read.
    #[inline]
    pub(super) fn read(&self, place: Place) -> (&[u8], usize) {
        let from = if place & SIDE == 0 { self.bytes } else { self.side.as_slice() };
        (from, (place & !SIDE) as usize)
    }

    /// The text at `place`; none if it is no text.
    #[inline]
    pub(super) fn text(&self, place: Place) -> Option<&[u8]> {
        let (from, at) = self.read(place);
        reader::text(from, at).ok().map(|(text, _)| text)
    }

    /// Begins a pass over the span: what earlier ones have changed is seen from now on.
    pub(super) fn begin(&mut self) {
        sort_edits(self.edits);
        self.known = self.edits.len();
    }

    /// Starts a walk over `len` entries (or elements) from `first` on.
    pub(super) fn walk(&self, first: usize, len: u32) -> Walk {
        let known = self.edits.get(..self.known).unwrap_or(&[]);
        Walk { at: first, left: len, cursor: known.partition_point(|e| (e.at as usize) < first) }
    }

    /// The next entry that is still there.
    pub(super) fn next(&self, walk: &mut Walk) -> Option<Entry> {
        while walk.left > 0 {
            walk.left -= 1;
            let value_at = reader::skip(self.bytes, walk.at).ok()?;
            let entry = self.entry(walk, value_at)?;
            if entry.is_some() {
                return entry;
            }
        }
        None
    }

    /// The next element of an array: an entry without a key.
    pub(super) fn next_element(&self, walk: &mut Walk) -> Option<Entry> {
        walk.left = walk.left.checked_sub(1)?;
        let value_at = walk.at;
        self.entry(walk, value_at)?
    }

    #[allow(clippy::option_option)] // no more entries, one that is gone, one that is there
    fn entry(&self, walk: &mut Walk, value_at: usize) -> Option<Option<Entry>> {
        let (at, end) = (walk.at as u32, reader::skip(self.bytes, value_at).ok()? as u32);
        let value_at = value_at as u32;
        walk.at = end as usize;
        let mut entry = Entry { key: at, value: value_at, at, value_at, end, edit: NONE };
        let mut gone = false;
        while let Some(edit) = self.edits.get(..self.known).and_then(|known| known.get(walk.cursor)) {
            if edit.at > value_at {
                break;
            }
            if let With::Side { at: side, len } = edit.with {
                match (edit.at, edit.end) {
                    // The scan leaves out neighbours by one edit.
                    (from, to) if from <= at && end < to && len == 0 => {
                        gone = true;
                        break;
                    }
                    (from, to) if from <= at && to == end && len == 0 => gone = true,
                    (from, to) if from == value_at && to == end => {
                        entry.value = SIDE | side;
                        entry.edit = walk.cursor;
                    }
                    (from, to) if from == at && to == value_at && from != to => entry.key = SIDE | side,
                    _ => {}
                }
            }
            walk.cursor += 1;
        }
        Some((!gone).then_some(entry))
    }

    /// Puts what the side buffer holds from `side_at` on in the place of an entry's value.
    pub(super) fn replace(&mut self, entry: &Entry, side_at: usize) -> Place {
        let with = With::Side { at: side_at as u32, len: (self.side.len() - side_at) as u32 };
        match self.edits.get_mut(entry.edit) {
            Some(edit) => edit.with = with,
            None => self.edits.push(Edit { at: entry.value_at, end: entry.end, with }),
        }
        SIDE | side_at as u32
    }

    /// Puts text in the place of an entry's value.
    pub(super) fn replace_text(&mut self, entry: &Entry, text: &[u8]) -> Place {
        let side_at = self.side.len();
        writer::str(self.side, text);
        self.replace(entry, side_at)
    }

    /// Gives an entry another key.
    pub(super) fn rename(&mut self, entry: &Entry, key: &[u8]) {
        let side_at = self.side.len();
        writer::str(self.side, key);
        let with = With::Side { at: side_at as u32, len: (self.side.len() - side_at) as u32 };
        // Keys are renamed once, when long ones are cut.
        self.edits.push(Edit { at: entry.at, end: entry.value_at, with });
    }

    /// Leaves an entry out; [`count`](Self::count) must follow.
    pub(super) fn leave_out(&mut self, entry: &Entry) {
        let gone = Edit { at: entry.at, end: entry.end, with: With::Side { at: 0, len: 0 } };
        // Of two edits for one place only the first would count, and a new key is one.
        let renamed = |e: &&mut Edit| e.at == entry.at && e.end == entry.value_at;
        let new_key = if entry.key & SIDE == 0 { None } else { self.edits.iter_mut().find(renamed) };
        match new_key {
            Some(edit) => *edit = gone,
            None => self.edits.push(gone),
        }
    }

    /// The map at `map_at` has so many entries more.
    pub(super) fn count(&mut self, map_at: u32, more: i32) {
        if more == 0 {
            return;
        }
        for edit in self.edits.iter_mut().filter(|e| e.at == map_at) {
            if let With::MapHead(n) = &mut edit.with {
                *n = n.saturating_add_signed(more);
                return;
            }
        }
        self.head(map_at, more);
    }

    /// As [`count`](Self::count), once for each of many maps in the pass that runs: only what earlier passes did is
    /// looked at.
    pub(super) fn count_in_pass(&mut self, map_at: u32, more: i32) {
        if more == 0 {
            return;
        }
        let known = self.edits.get_mut(..self.known).unwrap_or(&mut []);
        let from = known.partition_point(|e| e.at < map_at);
        let here = known.get_mut(from..).unwrap_or(&mut []).iter_mut().take_while(|e| e.at == map_at);
        for edit in here {
            if let With::MapHead(n) = &mut edit.with {
                *n = n.saturating_add_signed(more);
                return;
            }
        }
        self.head(map_at, more);
    }

    fn head(&mut self, map_at: u32, more: i32) {
        // A nil map counts as an empty one; its byte makes room for the head.
        let (n, first) = reader::map_head(self.bytes, map_at as usize).unwrap_or((0, map_at as usize + 1));
        let with = With::MapHead(n.saturating_add_signed(more));
        self.edits.push(Edit { at: map_at, end: first as u32, with });
    }

    /// Adds what the side buffer holds from `side_at` on as `n` entries at the head of the map at `map_at`.
    pub(super) fn insert(&mut self, (map_at, first): (u32, u32), n: i32, side_at: usize) {
        self.count(map_at, n);
        let with = With::Side { at: side_at as u32, len: (self.side.len() - side_at) as u32 };
        self.edits.push(Edit { at: first, end: first, with });
    }
}

/// How long the head of a text is that stands before `at`. It is one of a few forms, and each tells itself from the
/// others by the text's length.
pub(super) fn head_before(bytes: &[u8], at: u32, len: u32) -> u32 {
    let back = |n: u32| at.checked_sub(n).and_then(|p| bytes.get(p as usize)).copied().unwrap_or(0);
    if back(1) == 0xc0 && len == 0 || len < 32 && back(1) == 0xa0 | len as u8 {
        1
    } else if len < 0x100 && matches!(back(2), 0xd9 | 0xc4) {
        2
    } else if len < 0x1_0000 && matches!(back(3), 0xda | 0xc5) {
        3
    } else {
        5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_texts_head_is_found_from_its_text() {
        for len in [0usize, 1, 5, 31, 32, 200, 217, 255, 256, 0xc4, 0xd9, 0xd900, 65535, 65536] {
            let text = vec![0xa5; len];
            let l = len as u32;
            let mut forms: Vec<Vec<u8>> =
                vec![[&[0xdb], &l.to_be_bytes()[..]].concat(), [&[0xc6], &l.to_be_bytes()[..]].concat()];
            if len < 0x1_0000 {
                forms.push([&[0xda], &(l as u16).to_be_bytes()[..]].concat());
                forms.push([&[0xc5], &(l as u16).to_be_bytes()[..]].concat());
            }
            if len < 0x100 {
                forms.push(vec![0xd9, l as u8]);
                forms.push(vec![0xc4, l as u8]);
            }
            if len < 32 {
                forms.push(vec![0xa0 | l as u8]);
            }
            if len == 0 {
                forms.push(vec![0xc0]);
            }
            for head in forms {
                for before in [&[0xd9, 0xda, 0xc5][..], &[0, 0, 0], &[0xa0, 0xc4, 0xdb]] {
                    let bytes = [before, &head, &text].concat();
                    let at = (before.len() + head.len()) as u32;
                    assert_eq!(head_before(&bytes, at, l), head.len() as u32, "{len} {head:x?} {before:x?}");
                }
            }
        }
    }
}
