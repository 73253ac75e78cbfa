//! The entries of `meta` and `metrics`: keys that a stage asked for are noted, values are checked.
//!
//! One loop for both maps; [`Kind`] says what differs, and each of its functions becomes a part of the loop.

use super::super::arena::{Hit, MapView, Span, flag};
use super::super::keys::{Found, Interest, KeyTable, META_SLOTS, METRICS_SLOTS, WORD_MASK, word_of};
use super::super::malformed::{Fault, Fixer};
use super::word;
use crate::msgpack::reader::{self, Bad};

/// What tells one map of a span from the other.
pub(super) trait Kind {
    /// The slots that its keys fill.
    const SLOTS: u64;

    /// The keys to look for.
    fn keys(interest: &Interest) -> &KeyTable;

    /// Where the span keeps it.
    fn view(span: &mut Span) -> &mut MapView;

    /// Makes the hits of an earlier map of this kind void.
    fn forget_hits(span: &Span, hits: &mut Vec<Hit>);

    /// The position behind a value of one of the usual forms.
    fn usual(buf: &[u8], p: usize, keys: &KeyTable, flags: &mut u32) -> Option<usize>;

    /// The position behind a value of any other form; what is none is repaired or left out with its entry.
    fn odd(
        buf: &[u8],
        p: usize,
        map: usize,
        pair: usize,
        fix: &mut Fixer<'_>,
        flags: &mut u32,
    ) -> Result<usize, Fault>;

    /// Whether the entry with this value was kept.
    fn stays(buf: &[u8], value_at: usize) -> bool;
}

/// Texts.
pub(super) struct Meta;

/// Numbers.
pub(super) struct Metrics;

impl Kind for Meta {
    const SLOTS: u64 = META_SLOTS;

    fn keys(interest: &Interest) -> &KeyTable {
        &interest.meta
    }

    #[inline(always)]
    fn view(span: &mut Span) -> &mut MapView {
        &mut span.meta
    }

    #[inline(always)]
    fn forget_hits(span: &Span, hits: &mut Vec<Hit>) {
        // All hits of a span are of its `meta`.
        hits.truncate(span.hits_at as usize);
    }

    #[inline(always)]
    fn usual(buf: &[u8], p: usize, keys: &KeyTable, flags: &mut u32) -> Option<usize> {
        match buf.get(p) {
            Some(&b) if b & 0xe0 == 0xa0 => {
                if keys.cards {
                    *flags |= like_card(buf, p + 1, b & 0x1f);
                }
                Some(p + 1 + (b & 0x1f) as usize)
            }
            Some(0xd9) if p + 1 < buf.len() => {
                if keys.cards {
                    *flags |= like_card(buf, p + 2, buf[p + 1]);
                }
                Some(p + 2 + usize::from(buf[p + 1]))
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn odd(
        buf: &[u8],
        p: usize,
        map: usize,
        pair: usize,
        fix: &mut Fixer<'_>,
        flags: &mut u32,
    ) -> Result<usize, Fault> {
        *flags |= flag::LIKE_CARD;
        match reader::text(buf, p) {
            Ok((_, end)) => Ok(end),
            Err(bad) => fix.remove_entry(map, pair, Fault::new(p, bad, "a string")),
        }
    }

    fn stays(buf: &[u8], value_at: usize) -> bool {
        reader::text(buf, value_at).is_ok()
    }
}

impl Kind for Metrics {
    const SLOTS: u64 = METRICS_SLOTS;

    fn keys(interest: &Interest) -> &KeyTable {
        &interest.metrics
    }

    #[inline(always)]
    fn view(span: &mut Span) -> &mut MapView {
        &mut span.metrics
    }

    #[inline(always)]
    fn forget_hits(_: &Span, _: &mut Vec<Hit>) {}

    #[inline(always)]
    fn usual(buf: &[u8], p: usize, _: &KeyTable, _: &mut u32) -> Option<usize> {
        match buf.get(p) {
            Some(0xcb | 0xcf | 0xd3) => Some(p + 9),
            Some(0x00..=0x7f | 0xe0..=0xff | 0xc0) => Some(p + 1),
            Some(0xcc | 0xd0) => Some(p + 2),
            Some(0xcd | 0xd1) => Some(p + 3),
            Some(0xce | 0xd2) => Some(p + 5),
            _ => None,
        }
    }

    #[inline(never)]
    fn odd(
        buf: &[u8],
        p: usize,
        map: usize,
        pair: usize,
        fix: &mut Fixer<'_>,
        _: &mut u32,
    ) -> Result<usize, Fault> {
        match buf.get(p) {
            Some(0xca) => fix.widen(p, Fault::new(p, Bad::Type, "a 64-bit float or an integer")),
            _ => match reader::int_bits(buf, p) {
                Ok((_, end)) => Ok(end),
                Err(bad) => fix.remove_entry(map, pair, Fault::new(p, bad, "a number")),
            },
        }
    }

    fn stays(buf: &[u8], value_at: usize) -> bool {
        buf.get(value_at) == Some(&0xc0) || reader::number(buf, value_at).is_ok()
    }
}

/// Reads the map whose key is at `entry` and whose head is at `at`, of the span whose head is at `outer`.
#[allow(clippy::too_many_arguments)] // the scan's own
#[inline(always)]
pub(super) fn map<K: Kind>(
    buf: &[u8],
    entry: usize,
    at: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    interest: &Interest,
    outer: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    let keys = K::keys(interest);
    if keys.is_empty() {
        pairs::<K, false>(buf, entry, at, span, hits, keys, outer, fix)
    } else {
        pairs::<K, true>(buf, entry, at, span, hits, keys, outer, fix)
    }
}

/// `LOOK`: whether there are keys to recognise; a pass that only checks is spared the question at each key.
#[allow(clippy::too_many_arguments)] // one caller
#[inline(never)]
fn pairs<K: Kind, const LOOK: bool>(
    buf: &[u8],
    entry: usize,
    at: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    keys: &KeyTable,
    outer: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    let (n, first) = match open_map(buf, entry, at, outer, fix)? {
        Opened::Map(n, first) => (n, first),
        Opened::Nil => {
            forget(span, K::SLOTS);
            K::forget_hits(span, hits);
            *K::view(span) = nil_map(at);
            return Ok(at + 1);
        }
        // The span keeps the map that it may have had before.
        Opened::LeftOut(end) => return Ok(end),
    };
    forget(span, K::SLOTS);
    K::forget_hits(span, hits);
    let before = (hits.len(), fix.edits.len());
    let mut p = first;
    for _ in 0..n {
        let pair = p;
        let (w, key_at, len) = match map_key::<LOOK>(buf, p, &mut span.flags) {
            Ok(key) => key,
            Err(bad) => {
                p = fix.remove_entry(at, pair, Fault::new(p, bad, "a key"))?;
                continue;
            }
        };
        p = key_at + len;
        if LOOK && let Some(found) = keys.find(w, || Some(key_at), buf, len) {
            note(found, p, span, hits)?;
        }
        p = match K::usual(buf, p, keys, &mut span.flags) {
            Some(end) => end,
            None => K::odd(buf, p, at, pair, fix, &mut span.flags)?,
        };
    }
    *K::view(span) = MapView { at: at as u32, first: first as u32, end: p as u32, len: n };
    if fix.edits.len() != before.1 {
        forget(span, K::SLOTS);
        hits.truncate(before.0);
        let view = *K::view(span);
        note_again(buf, view, keys, K::stays, span, hits);
    }
    Ok(p)
}

/// Keys that are longer are looked at by rules that cut them; they cut at 200 bytes.
const LONG_KEY: usize = 150;

/// Reads a key: its word for the table, where its text starts, its length.
#[inline(always)]
fn map_key<const LOOK: bool>(buf: &[u8], p: usize, flags: &mut u32) -> Result<(u64, usize, usize), Bad> {
    // The next position hangs on the head alone: a load of one byte never lies across two cache lines.
    let head = buf.get(p).copied().unwrap_or(0);
    let len = usize::from(head & 0x1f);
    if head & 0xe0 == 0xa0 {
        Ok((if LOOK { word(buf, p) & WORD_MASK[len] } else { 0 }, p + 1, len))
    } else {
        let key = odd_map_key(buf, p)?;
        if key.2 > LONG_KEY {
            *flags |= flag::LONG_KEY;
        }
        Ok(key)
    }
}

#[inline(never)]
fn odd_map_key(buf: &[u8], p: usize) -> Result<(u64, usize, usize), Bad> {
    // Nil is an empty key here: the agent reads these keys as it reads text.
    let (text, end) = reader::text(buf, p)?;
    Ok((word_of(text), end - text.len(), text.len()))
}

/// The mark for a text that is long enough for a card number and begins like one, without a branch on its bytes.
#[inline(always)]
fn like_card(buf: &[u8], text_at: usize, len: u8) -> u32 {
    let first = buf.get(text_at).copied().unwrap_or(0);
    let begins = first.wrapping_sub(b'0') < 10 || first == b' ' || first == b'-';
    u32::from(begins & (len >= 12)) * flag::LIKE_CARD
}

/// What stands where `meta` or `metrics` should.
enum Opened {
    /// Number of entries, position of the first.
    Map(u32, usize),
    Nil,
    /// No map: the entry is left out. Position behind it.
    LeftOut(usize),
}

/// Reads the head of `meta` or `metrics`.
#[inline(always)]
fn open_map(buf: &[u8], entry: usize, at: usize, map: usize, fix: &mut Fixer<'_>) -> Result<Opened, Fault> {
    match reader::map_head(buf, at) {
        Ok((n, first)) => Ok(Opened::Map(n, first)),
        Err(Bad::Type) if buf.get(at) == Some(&0xc0) => Ok(Opened::Nil),
        Err(bad) => fix.remove_entry(map, entry, Fault::new(at, bad, "a map")).map(Opened::LeftOut),
    }
}

/// A nil map keeps its place, so that an entry can be put there.
#[cold]
fn nil_map(at: usize) -> MapView {
    let at = at as u32;
    MapView { at, first: at + 1, end: at + 1, len: 0 }
}

#[inline(always)]
fn note(found: Found, value_at: usize, span: &mut Span, hits: &mut Vec<Hit>) -> Result<(), Fault> {
    let value_at = value_at as u32;
    match found {
        Found::Slot(slot) => set_slot(span, slot, value_at),
        Found::Hit(key) => push_hit(hits, Hit { key, value_at })?,
        Found::Both(slot, key) => {
            set_slot(span, slot, value_at);
            push_hit(hits, Hit { key, value_at })?;
        }
    }
    Ok(())
}

#[inline(always)]
fn push_hit(hits: &mut Vec<Hit>, hit: Hit) -> Result<(), Fault> {
    if hits.len() == hits.capacity() {
        hits.try_reserve(1).map_err(|_| Fault::out_of_memory(hit.value_at as usize))?;
    }
    hits.push(hit);
    Ok(())
}

#[inline(always)]
fn set_slot(span: &mut Span, slot: u8, value_at: u32) {
    if let Some(place) = span.slots.get_mut(usize::from(slot)) {
        *place = value_at;
        span.present |= 1 << slot;
    }
}

/// Notes the keys of a repaired map again: a key whose value was left out may have noted its place, over one that
/// stays.
#[cold]
fn note_again(
    buf: &[u8],
    view: MapView,
    keys: &KeyTable,
    stays: impl Fn(&[u8], usize) -> bool,
    span: &mut Span,
    hits: &mut Vec<Hit>,
) {
    let mut p = view.first as usize;
    for _ in 0..view.len {
        let key = map_key::<true>(buf, p, &mut span.flags);
        let Ok(value_at) = reader::skip(buf, p) else { return };
        if let Ok((w, key_at, len)) = key
            && stays(buf, value_at)
            && let Some(found) = keys.find(w, || Some(key_at), buf, len)
        {
            // There are no more hits than before the repairs, so there is room for them.
            let _ = note(found, value_at, span, hits);
        }
        let Ok(end) = reader::skip(buf, value_at) else { return };
        p = end;
    }
}

/// A map that comes twice in a span counts as its last occurrence: the first one's keys are forgotten.
#[inline(always)]
fn forget(span: &mut Span, slots: u64) {
    span.present &= !slots;
}
