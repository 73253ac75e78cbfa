//! Categories, scripts and folding of case, as Go's package `unicode` has them.
//!
//! The tables (`unicode_tables.rs`) are a few bytes a run of characters, nine kilobytes together; those of the regex
//! crates, of another Unicode version, would be 335. They are read from their beginning each time a pattern names a
//! class: some microseconds, when a pattern is compiled.

use super::set::Set;
use super::unicode_tables::{CATEGORIES, CATEGORY_ALIASES, CATEGORY_CODES, FOLDS, SCRIPT_NAMES, SCRIPTS};

/// The characters of the category or script of this name, which is in lower case and without separators. `None` if Go
/// does not know it.
pub(super) fn named(name: &str) -> Option<Set> {
    match name {
        "any" => return Some(Set::all()),
        "ascii" => return Some(Set::of(&[(0, 0x7f)])),
        "assigned" => {
            let mut assigned = categories("cn")?;
            assigned.negate();
            return Some(assigned);
        }
        _ => {}
    }
    let alias = |pair: &'static str| pair.split_once('=').filter(|(alias, _)| *alias == name);
    let code = CATEGORY_ALIASES.split(' ').find_map(alias).map_or(name, |(_, code)| code);
    categories(code).or_else(|| script(name))
}

/// By a code of one letter or two.
fn categories(code: &str) -> Option<Set> {
    let is_meant = |known: &str| match code {
        "lc" => matches!(known, "ll" | "lt" | "lu"),
        _ => known == code || (code.len() == 1 && known.starts_with(code)),
    };
    let mut wanted = 0_u32;
    for (number, known) in CATEGORY_CODES.split(' ').enumerate() {
        wanted |= u32::from(is_meant(known)) << number;
    }
    if wanted == 0 {
        return None;
    }
    let (mut bytes, mut set, mut from) = (CATEGORIES.iter(), Set::default(), 0);
    while let Some(head) = bytes.next() {
        let length = match head >> 5 {
            7 => 8 + number(&mut bytes),
            short => 1 + u32::from(short),
        };
        if wanted >> (head & 31) & 1 == 1 {
            set.add(from, from + length - 1);
        }
        from += length;
    }
    set.tidy();
    Some(set)
}

fn script(name: &str) -> Option<Set> {
    let wanted = 1 + SCRIPT_NAMES.split(' ').position(|known| known == name)?;
    let (mut bytes, mut set, mut from) = (SCRIPTS.iter(), Set::default(), 0);
    while let Some(script) = bytes.next() {
        let length = number(&mut bytes);
        if usize::from(*script) == wanted {
            set.add(from, from + length - 1);
        }
        from += length;
    }
    set.tidy();
    Some(set)
}

/// Characters that differ from others by case only: `count` of them, `stride` apart, each with its counterpart `delta`
/// further. Of characters that are alike the smallest leads to every other one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    pub(super) start: u32,
    pub(super) count: u32,
    pub(super) stride: u32,
    pub(super) delta: i32,
}

impl Fold {
    /// The pairs: the smallest character, and another one.
    pub(super) fn pairs(self) -> impl Iterator<Item = (u32, u32)> {
        (0..self.count).map(move |i| {
            let smallest = self.start + i * self.stride;
            (smallest, smallest.wrapping_add_signed(self.delta))
        })
    }

    /// How far behind the first of them the last one is.
    pub(super) fn extent(self) -> u32 {
        (self.count - 1) * self.stride
    }

    /// The counterpart of the first one.
    pub(super) fn counterpart(self) -> u32 {
        self.start.wrapping_add_signed(self.delta)
    }
}

/// All of them.
pub(super) fn folds() -> impl Iterator<Item = Fold> {
    let (mut bytes, mut start) = (FOLDS.iter(), 0);
    std::iter::from_fn(move || {
        if bytes.len() == 0 {
            return None;
        }
        start += number(&mut bytes);
        let size = number(&mut bytes);
        let delta = number(&mut bytes);
        // The sign is the lowest bit.
        let delta = (delta >> 1) as i32 ^ -((delta & 1) as i32);
        Some(Fold { start, count: 1 + (size >> 1), stride: 1 + (size & 1), delta })
    })
}

/// A number in LEB128.
fn number(bytes: &mut std::slice::Iter<'_, u8>) -> u32 {
    let (mut value, mut shift) = (0, 0);
    for byte in bytes {
        value |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
