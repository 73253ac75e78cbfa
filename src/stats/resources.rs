//! Resources of groups, as they were agreed with the agent: obfuscated and cut here instead of there
//! (`spec/reference-behaviour.md` 4.9). Resources of one kind are few as a rule, so what was obfuscated once is
//! remembered.

use super::key::{Seed, fold};
use crate::trace::Verdict;
use std::fmt::Debug;
use std::sync::Arc;

/// Bytes of a resource, and with the agent's flag `big_resource`.
pub const MAX_RESOURCE: usize = 5000;
#[allow(missing_docs)]
pub const MAX_BIG_RESOURCE: usize = 15_000;
/// Bytes of service, name and type.
pub(super) const MAX_NAME: usize = 100;

/// Statements are remembered in so many places,
const PLACES: usize = 512;
/// up to this length,
const LONGEST: usize = 4096;
/// and until all of them take so much.
const MOST_BYTES: usize = 256 << 10;

/// Takes what is secret out of the resource of a span, by the span's type and `db.type`.
pub trait Obfuscate: Debug + Send + Sync {
    /// Appends the text that takes the resource's place, if it changes.
    fn resource(&self, span_type: &[u8], resource: &[u8], db_type: &[u8], out: &mut Vec<u8>) -> Verdict;
}

/// What was agreed: groups whose resources went through it say so in their key.
#[derive(Clone, Debug)]
pub struct Resources {
    /// `None`: the spans' resources were obfuscated in this way before.
    pub obfuscate: Option<Arc<dyn Obfuscate>>,
    /// Bytes of a resource; the rest is cut off.
    pub max_bytes: usize,
}

/// Whose resources are obfuscated at all, as a number that tells one grammar from the other.
#[inline]
pub(super) fn grammar(span_type: &[u8]) -> Option<u64> {
    match span_type {
        b"sql" | b"cassandra" => Some(1),
        b"redis" | b"valkey" => Some(2),
        _ => None,
    }
}

/// The length of the longest beginning of `text` that has at most `most` bytes and ends between characters.
#[inline]
pub(super) fn cut(text: &[u8], most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    // A character has at most four bytes; what has more of this kind is none.
    let inside = |at: &usize| text.get(*at).is_some_and(|b| b & 0xc0 == 0x80);
    (most.saturating_sub(3)..=most).rev().find(|at| !inside(at)).unwrap_or(most)
}

/// Resources that were obfuscated before, by all that their obfuscation depends on.
#[derive(Debug, Default)]
pub(super) struct Known {
    served: u64,
    places: Vec<Place>,
    /// Of each place: `db.type`, the resource, what became of it.
    texts: Vec<u8>,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    at: u32,
    dialect_len: u32,
    resource_len: u32,
    /// 0: the resource stays as it is.
    new_len: u32,
}

impl Known {
    /// Forgets everything if it was made under other rules.
    #[inline]
    pub(super) fn serve(&mut self, id: u64) {
        if self.served != id {
            self.served = id;
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.places.clear();
        self.texts.clear();
    }

    /// The resource as it is agreed; `None`: it stays.
    pub(super) fn resource(
        &mut self,
        by: &dyn Obfuscate,
        seed: &Seed,
        (grammar, span_type): (u64, &[u8]),
        resource: &[u8],
        db_type: &[u8],
    ) -> Option<&[u8]> {
        let hash = fold(seed.hash(resource) ^ grammar, seed.hash(db_type) | 1) | 1;
        let at = (hash >> 32) as usize % PLACES;
        let known = self.places.get(at).copied().unwrap_or_default();
        if known.hash == hash && self.is(known, resource, db_type) {
            let from = (known.at + known.dialect_len + known.resource_len) as usize;
            return (known.new_len > 0).then(|| self.texts.get(from..from + known.new_len as usize))?;
        }
        self.scratch.clear();
        if by.resource(span_type, resource, db_type, &mut self.scratch) != Verdict::Replace {
            self.scratch.clear();
        } else if self.scratch.is_empty() {
            return Some(&[]);
        }
        self.remember(at, hash, resource, db_type);
        (!self.scratch.is_empty()).then_some(&self.scratch)
    }

    fn is(&self, place: Place, resource: &[u8], db_type: &[u8]) -> bool {
        let at = place.at as usize;
        let middle = at + place.dialect_len as usize;
        self.texts.get(at..middle) == Some(db_type)
            && self.texts.get(middle..middle + place.resource_len as usize) == Some(resource)
    }

    /// What stands in the scratch became of the resource.
    fn remember(&mut self, at: usize, hash: u64, resource: &[u8], db_type: &[u8]) {
        let bytes = db_type.len() + resource.len() + self.scratch.len();
        if bytes > LONGEST {
            return;
        }
        if self.places.is_empty() || self.texts.len() + bytes > MOST_BYTES {
            self.forget();
            self.places.resize(PLACES, Place::default());
        }
        if let Some(place) = self.places.get_mut(at) {
            *place = Place {
                hash,
                at: self.texts.len() as u32,
                dialect_len: db_type.len() as u32,
                resource_len: resource.len() as u32,
                new_len: self.scratch.len() as u32,
            };
            self.texts.extend_from_slice(db_type);
            self.texts.extend_from_slice(resource);
            self.texts.extend_from_slice(&self.scratch);
        }
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>() + self.texts.capacity() + self.scratch.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Writes type, dialect and resource; leaves what begins with `=`; empties what begins with `-`.
    #[derive(Debug, Default)]
    struct Shouting(AtomicUsize);

    impl Obfuscate for Shouting {
        fn resource(&self, span_type: &[u8], resource: &[u8], db_type: &[u8], out: &mut Vec<u8>) -> Verdict {
            self.0.fetch_add(1, Ordering::Relaxed);
            match resource.first() {
                Some(b'=') => return Verdict::Keep,
                Some(b'-') => return Verdict::Replace,
                _ => {}
            }
            for part in [span_type, db_type, resource] {
                out.extend_from_slice(&part.to_ascii_uppercase());
            }
            Verdict::Replace
        }
    }

    #[test]
    fn a_resource_is_obfuscated_once_for_each_thing_it_depends_on() {
        let (by, seed, mut known) = (Shouting::default(), Seed::default(), Known::default());
        let mut calls = 0;
        for round in 0..2 {
            for (span_type, resource, dialect, expected) in [
                ("sql", "a", "", Some("SQLA")),
                ("sql", "a", "b", Some("SQLBA")),
                ("sql", "ab", "", Some("SQLAB")),
                ("redis", "a", "", Some("REDISA")),
                ("redis", "=a", "", None),
                ("sql", "", "a", Some("SQLA")),
                ("redis", "-", "", Some("")),
            ] {
                let kind = (grammar(span_type.as_bytes()).unwrap(), span_type.as_bytes());
                let new = known.resource(&by, &seed, kind, resource.as_bytes(), dialect.as_bytes());
                assert_eq!(new, expected.map(str::as_bytes), "{span_type} {resource} {dialect}");
            }
            // What becomes nothing is rare and not remembered; two may have one place.
            calls = by.0.load(Ordering::Relaxed) - calls;
            assert!(if round == 0 { calls == 7 } else { (1..=5).contains(&calls) }, "{calls}");
        }
    }

    #[test]
    fn memory_is_bounded_and_other_rules_begin_anew() {
        let (by, seed, mut known) = (Shouting::default(), Seed::default(), Known::default());
        for i in 0..5_000 {
            let resource = format!("{i} {}", "x".repeat(i));
            let expected = format!("SQL{}", resource.to_ascii_uppercase());
            let new = known.resource(&by, &seed, (1, b"sql"), resource.as_bytes(), b"");
            assert_eq!(new, Some(expected.as_bytes()));
            assert!(known.texts.len() <= MOST_BYTES);
        }
        known.serve(1);
        assert!(known.texts.is_empty());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        for (text, most, len) in [
            ("abc", 3, 3),
            ("abc", 2, 2),
            ("aé", 2, 1),
            ("aéb", 3, 3),
            ("𝄞𝄞", 7, 4),
            ("𝄞", 0, 0),
            ("𝄞", 3, 0),
        ] {
            assert_eq!(cut(text.as_bytes(), most), len, "{text} {most}");
        }
        assert_eq!(cut(&[0x80; 200], 100), 100, "no character at all");
    }
}
