//! Sets of characters, as ranges. What is in them are numbers: a surrogate may be named in a pattern, but no text has
//! it.

use super::unicode;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir};
use std::collections::BinaryHeap;

const LAST: u32 = char::MAX as u32;

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// Both ends belong to a range. After [`Self::tidy`] they are in order and do not touch.
    ranges: Vec<(u32, u32)>,
}

impl Set {
    pub(super) fn all() -> Self {
        Self::of(&[(0, LAST)])
    }

    /// Ranges that are in order already.
    pub(super) fn of(ranges: &[(u32, u32)]) -> Self {
        Self { ranges: ranges.to_vec() }
    }

    pub(super) fn single(c: char) -> Self {
        Self::of(&[(c as u32, c as u32)])
    }

    /// How many ranges it is made of.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Adds a range. Whoever asks for anything afterwards calls [`Self::tidy`] first.
    pub(super) fn add(&mut self, low: u32, high: u32) {
        self.ranges.push((low, high));
    }

    /// Adds what is in another one, as [`Self::add`] does.
    pub(super) fn add_all(&mut self, other: &Self) {
        self.ranges.extend_from_slice(&other.ranges);
    }

    /// Brings the ranges into order and joins those that touch.
    pub(super) fn tidy(&mut self) {
        // Std's own sort of such pairs is 25 KB of code.
        self.ranges = BinaryHeap::from(std::mem::take(&mut self.ranges)).into_sorted_vec();
        self.ranges.dedup_by(|next, before| {
            let joined = next.0 <= before.1.saturating_add(1);
            if joined {
                before.1 = before.1.max(next.1);
            }
            joined
        });
    }

    /// The characters that are not in it.
    pub(super) fn negate(&mut self) {
        let mut rest = Vec::with_capacity(self.ranges.len() + 1);
        let mut from = 0;
        for (low, high) in &self.ranges {
            if *low > from {
                rest.push((from, low - 1));
            }
            from = high + 1;
        }
        if from <= LAST {
            rest.push((from, LAST));
        }
        self.ranges = rest;
    }

    /// Adds what differs by case only.
    pub(super) fn fold(&mut self) {
        // First the smallest of those that are alike, then all that these lead to.
        let mut smallest = Vec::new();
        for fold in unicode::folds().filter(|fold| self.meets(fold.counterpart(), fold.extent())) {
            smallest
                .extend(fold.pairs().filter(|(_, other)| self.has(*other)).map(|(least, _)| (least, least)));
        }
        self.ranges.append(&mut smallest);
        self.tidy();
        let mut others = Vec::new();
        for fold in unicode::folds().filter(|fold| self.meets(fold.start, fold.extent())) {
            others
                .extend(fold.pairs().filter(|(least, _)| self.has(*least)).map(|(_, other)| (other, other)));
        }
        self.ranges.append(&mut others);
        self.tidy();
    }

    fn has(&self, c: u32) -> bool {
        self.meets(c, 0)
    }

    /// Whether one of the characters from `low` on, `extent` of them behind it, is in the set.
    fn meets(&self, low: u32, extent: u32) -> bool {
        let behind = self.ranges.partition_point(|range| range.1 < low);
        self.ranges.get(behind).is_some_and(|range| range.0 <= low + extent)
    }

    /// What the regex engine takes.
    pub(super) fn hir(&self) -> Hir {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        for (low, high) in &self.ranges {
            for (low, high) in [(*low, (*high).min(0xd7ff)), ((*low).max(0xe000), *high)] {
                if let (true, Some(low), Some(high)) =
                    (low <= high, char::from_u32(low), char::from_u32(high))
                {
                    ranges.push(ClassUnicodeRange::new(low, high));
                }
            }
        }
        Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
    }
}
