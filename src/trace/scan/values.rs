//! The values of a span's fixed fields, each in its usual forms at once and in all others behind a call.

use super::super::arena::{Range, Text};
use super::super::extras;
use super::super::malformed::{Fault, Fixer};
use crate::msgpack::reader::{self, Bad};

#[inline(always)]
pub(super) fn text_value(
    buf: &[u8],
    entry: usize,
    p: usize,
    text: &mut Text,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    if let Some(&b) = buf.get(p)
        && b & 0xe0 == 0xa0
    {
        let len = u32::from(b & 0x1f);
        *text = Text { at: p as u32 + 1, len };
        return Ok(p + 1 + len as usize);
    }
    if let Some(&[0xd9, len]) = buf.get(p..p + 2) {
        *text = Text { at: p as u32 + 2, len: u32::from(len) };
        return Ok(p + 2 + usize::from(len));
    }
    odd_text(buf, entry, p, text, map, fix)
}

#[inline(never)]
pub(super) fn odd_text(
    buf: &[u8],
    entry: usize,
    p: usize,
    text: &mut Text,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    match reader::text(buf, p) {
        Ok((t, end)) => {
            *text = Text { at: (end - t.len()) as u32, len: t.len() as u32 };
            Ok(end)
        }
        Err(bad) => fix.remove_entry(map, entry, Fault::new(p, bad, "a string")),
    }
}

/// The forms in which nearly all integers come: one byte, or a head and eight bytes. Bits and position behind.
#[inline(always)]
pub(super) fn usual_int(buf: &[u8], p: usize) -> Option<(u64, usize)> {
    let head = *buf.get(p)?;
    if head == 0xcf || head == 0xd3 {
        let bytes = buf.get(p + 1..p + 9)?.try_into().ok()?;
        return Some((u64::from_be_bytes(bytes), p + 9));
    }
    (head <= 0x7f).then_some((u64::from(head), p + 1))
}

#[inline(always)]
pub(super) fn id_value(buf: &[u8], p: usize, id: &mut u64, fix: &mut Fixer<'_>) -> Result<usize, Fault> {
    if let Some((bits, end)) = usual_int(buf, p) {
        *id = bits;
        return Ok(end);
    }
    match reader::int_bits(buf, p) {
        Ok((bits, end)) => {
            *id = bits;
            Ok(end)
        }
        Err(bad) => odd_id(buf, p, id, bad, fix),
    }
}

#[cold]
pub(super) fn odd_id(
    buf: &[u8],
    p: usize,
    id: &mut u64,
    bad: Bad,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    *id = 0;
    if buf.get(p) == Some(&0xc0) {
        return Ok(p + 1);
    }
    let fault = Fault::new(p, bad, "an integer");
    // A span without its ids is worth nothing, so here there is no leaving out: repaired or the chunk is lost.
    match fix.integer(p, fault, 0..=i128::from(u64::MAX))? {
        Some((bits, end)) => {
            *id = bits as u64;
            Ok(end)
        }
        None => Err(fault),
    }
}

#[inline(always)]
pub(super) fn time_value(
    buf: &[u8],
    entry: usize,
    p: usize,
    v: &mut i64,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    if let Some((bits, end)) = usual_int(buf, p)
        && bits <= i64::MAX as u64
    {
        *v = bits as i64;
        return Ok(end);
    }
    match reader::int(buf, p) {
        Ok((t, end)) => {
            *v = t;
            Ok(end)
        }
        Err(bad) => odd_time(buf, entry, p, v, map, bad, fix),
    }
}

#[cold]
pub(super) fn odd_time(
    buf: &[u8],
    entry: usize,
    p: usize,
    v: &mut i64,
    map: usize,
    bad: Bad,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    if buf.get(p) == Some(&0xc0) {
        *v = 0;
        return Ok(p + 1);
    }
    let fault = Fault::new(p, bad, if bad == Bad::Range { "at most 2^63-1" } else { "an integer" });
    match fix.integer(p, fault, i128::from(i64::MIN)..=i128::from(i64::MAX))? {
        Some((t, end)) => {
            *v = t;
            Ok(end)
        }
        None => fix.remove_entry(map, entry, fault),
    }
}

#[inline(always)]
pub(super) fn error_value(
    buf: &[u8],
    entry: usize,
    p: usize,
    v: &mut i32,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    if let Some(&e @ 0..=0x7f) = buf.get(p) {
        *v = i32::from(e);
        return Ok(p + 1);
    }
    match reader::int(buf, p) {
        Ok((e, end)) if i32::try_from(e).is_ok() => {
            *v = e as i32;
            Ok(end)
        }
        other => odd_error(buf, entry, p, v, map, other.err().unwrap_or(Bad::Range), fix),
    }
}

#[cold]
pub(super) fn odd_error(
    buf: &[u8],
    entry: usize,
    p: usize,
    v: &mut i32,
    map: usize,
    bad: Bad,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    if buf.get(p) == Some(&0xc0) {
        *v = 0;
        return Ok(p + 1);
    }
    let fault = Fault::new(p, bad, if bad == Bad::Range { "within 32 bits" } else { "an integer" });
    match fix.integer(p, fault, i128::from(i32::MIN)..=i128::from(i32::MAX))? {
        Some((e, end)) => {
            *v = e as i32;
            Ok(end)
        }
        None => fix.remove_entry(map, entry, fault),
    }
}

pub(super) enum Extra {
    MetaStruct,
    Links,
    Events,
}

#[inline(never)]
pub(super) fn extra(
    buf: &[u8],
    entry: usize,
    p: usize,
    range: &mut Range,
    map: usize,
    fix: &mut Fixer<'_>,
    which: Extra,
) -> Result<usize, Fault> {
    let (family, expected) = match which {
        Extra::MetaStruct => (reader::map_head(buf, p).err(), "a map"),
        Extra::Links | Extra::Events => (reader::array_head(buf, p).err(), "an array"),
    };
    if let Some(bad) = family {
        return fix.remove_entry(map, entry, Fault::new(p, bad, expected));
    }
    let mark = fix.mark();
    let end = match which {
        Extra::MetaStruct => extras::meta_struct(fix, p),
        Extra::Links => extras::links(fix, p),
        Extra::Events => extras::events(fix, p),
    };
    match end {
        Ok(end) => {
            *range = Range { at: p as u32, end: end as u32 };
            Ok(end)
        }
        // An element of the list is no map, or too much is wrong with it: the list is left out.
        Err(fault) => {
            fix.take_back(mark);
            fix.remove_entry(map, entry, fault)
        }
    }
}
