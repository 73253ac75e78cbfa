//! v0.5 in: checked and passed on as it is, or rewritten as v0.4, which scan and stages read.
//!
//! A body is two parts: the texts, and chunks of spans of exactly twelve numbers, two of them maps: service, name,
//! resource, trace id, span id, parent id, start, duration, error, meta, metrics, type. Accepted is what the agent
//! accepts: integers of any width, bytes behind the body, text of any encoding and binary text; refused are other
//! lengths than twelve, numbers of texts that are not there, and values of other types.
//!
//! Rewriting copies: a text is a range of the input with its msgpack head, a number keeps its bytes, keys are
//! constants.

use super::from_v1::Decoded;
use super::list::Checked;
use super::out::Out;
use crate::error::{Error, ErrorKind};
use crate::msgpack::reader::{self, Bad};
use crate::trace::{Fault, OnMalformed, Place};

/// Reads v0.5 payloads; keeps its memory for the next one.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Where each text stands, with its head: offset and length.
    texts: Vec<(u32, u32)>,
    out: Out,
}

type Read<T> = Result<T, Fault>;

fn bad(at: usize, expected: &'static str) -> impl Fn(Bad) -> Fault {
    move |bad| Fault::new(at, bad, expected)
}

const INDEX: &str = "the number of a string of the table";
const ID: &str = "an integer";
const METRIC: &str = "a number";

/// Checks a payload that goes on as it is: its structure, every type, every number of a text. Allocates nothing.
///
/// # Errors
/// The first fault with its place.
pub fn check(buf: &[u8]) -> Result<Checked, Error> {
    let mut place = Place::default();
    check_all(buf, &mut place).map_err(|fault| fault.into_error(buf, &place))
}

fn check_all(buf: &[u8], place: &mut Place) -> Read<Checked> {
    let (count, mut p) = outer(buf)?;
    // Nearly always the first text is the only empty one.
    let (mut first_is_empty, mut others_are) = (false, false);
    for number in 0..count {
        let end = text_end(buf, p)?;
        if end - p <= 5 && reader::text(buf, p).is_ok_and(|(text, _)| text.is_empty()) {
            *(if number == 0 { &mut first_is_empty } else { &mut others_are }) = true;
        }
        p = end;
    }
    let limit = u64::from(count);
    let (chunks, mut p) = reader::array_head(buf, p).map_err(bad(p, "an array of traces"))?;
    let mut found = Checked { chunks, ..Checked::default() };
    for chunk in 0..chunks {
        *place = Place { chunk: Some(chunk), ..Place::default() };
        let (spans, first) = reader::array_head(buf, p).map_err(bad(p, "an array of spans"))?;
        p = first;
        for span in 0..spans {
            place.span = Some(span);
            let (service, end) = check_span(buf, p, limit)?;
            found.without_service += u64::from(others_are | (first_is_empty & (service == 0)));
            p = end;
        }
        found.spans += u64::from(spans);
    }
    Ok(found)
}

#[inline(always)]
fn check_span(buf: &[u8], p: usize, limit: u64) -> Read<(usize, usize)> {
    let (service, mut p) = index(buf, twelve(buf, p)?, limit)?;
    for _ in 0..2 {
        p = index(buf, p, limit)?.1;
    }
    for _ in 0..3 {
        p = integer(buf, p)?;
    }
    p = time(buf, p)?;
    p = time(buf, p)?;
    p = error_code(buf, p)?;
    let (n, first) = reader::map_head(buf, p).map_err(bad(p, "a map"))?;
    p = first;
    for _ in 0..n {
        p = index(buf, p, limit)?.1;
        p = index(buf, p, limit)?.1;
    }
    let (n, first) = reader::map_head(buf, p).map_err(bad(p, "a map"))?;
    p = first;
    for _ in 0..n {
        p = index(buf, p, limit)?.1;
        p = metric(buf, p)?;
    }
    Ok((service, index(buf, p, limit)?.1))
}

impl Decoder {
    /// Rewrites a payload as v0.4.
    ///
    /// # Errors
    /// With [`OnMalformed::Fail`] the first fault with its place; else only if nothing can be read.
    pub fn to_v04<'d>(&'d mut self, buf: &[u8], policy: OnMalformed) -> Result<Decoded<'d>, Error> {
        if buf.len() >= 1 << 31 {
            let text = format!("a payload of {} bytes; the limit is 2 GiB", buf.len());
            return Err(Error::new(ErrorKind::PayloadTooLarge, text));
        }
        let mut place = Place::default();
        let fail = |fault: Fault, place: &Place| fault.into_error(buf, place);
        let at = self.table(buf).map_err(|fault| fail(fault, &place))?;
        let (chunks, mut p) =
            reader::array_head(buf, at).map_err(|b| fail(Fault::new(at, b, "an array of traces"), &place))?;
        let mut found = Decoded::default();
        self.out.clear();
        self.out.room(HEAD_ROOM);
        self.out.bytes(&[0; HEAD_ROOM]);
        for chunk in 0..chunks {
            place = Place { chunk: Some(chunk), ..Place::default() };
            let before = self.out.len();
            match self.chunk(buf, p, &mut place) {
                Ok((spans, end)) => {
                    found.chunks += 1;
                    found.spans += u64::from(spans);
                    p = end;
                }
                Err(fault) if policy == OnMalformed::Fail => return Err(fail(fault, &place)),
                Err(fault) => {
                    found.first_fault.get_or_insert_with(|| fail(fault, &place));
                    self.out.truncate(before);
                    found.malformed_chunks += 1;
                    found.malformed_spans += reader::array_head(buf, p).map_or(0, |(n, _)| u64::from(n));
                    let Ok(end) = reader::skip(buf, p) else {
                        // Nothing behind it can be found.
                        found.malformed_bytes += (buf.len() - p.min(buf.len())) as u64;
                        found.malformed_chunks += chunks - chunk - 1;
                        break;
                    };
                    found.malformed_bytes += (end - p) as u64;
                    p = end;
                }
            }
        }
        if found.chunks == 0
            && let Some(error) = found.first_fault
        {
            return Err(error);
        }
        let chunks = found.chunks;
        let start = self.out.put_before(HEAD_ROOM, |out| out.array_head(chunks));
        Ok(Decoded { v04: self.out.written().get(start..).unwrap_or(&[]), ..found })
    }

    /// Bytes of memory held.
    pub fn capacity_bytes(&self) -> usize {
        self.texts.capacity() * size_of::<(u32, u32)>() + self.out.capacity_bytes()
    }

    fn table(&mut self, buf: &[u8]) -> Read<usize> {
        let (count, mut p) = outer(buf)?;
        self.texts.clear();
        for _ in 0..count {
            let end = text_end(buf, p)?;
            self.texts.push((p as u32, (end - p) as u32));
            p = end;
        }
        Ok(p)
    }

    fn chunk(&mut self, buf: &[u8], at: usize, place: &mut Place) -> Read<(u32, usize)> {
        let (spans, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array of spans"))?;
        self.out.room(16);
        self.out.array_head(spans);
        for span in 0..spans {
            place.span = Some(span);
            p = self.span(buf, p)?;
        }
        Ok((spans, p))
    }

    #[inline(always)]
    fn span(&mut self, buf: &[u8], p: usize) -> Read<usize> {
        let mut p = twelve(buf, p)?;
        self.out.room(512);
        self.out.fixed(b"\x8c\xa7service\0\0\0\0\0\0\0", 9);
        p = self.text(buf, p)?;
        self.out.fixed(b"\xa4name\0\0\0\0\0\0\0\0\0\0\0", 5);
        p = self.text(buf, p)?;
        self.out.fixed(b"\xa8resource\0\0\0\0\0\0\0", 9);
        p = self.text(buf, p)?;
        self.out.fixed(b"\xa8trace_id\0\0\0\0\0\0\0", 9);
        p = self.number(buf, p, integer)?;
        self.out.fixed(b"\xa7span_id\0\0\0\0\0\0\0\0", 8);
        p = self.number(buf, p, integer)?;
        self.out.fixed(b"\xa9parent_id\0\0\0\0\0\0", 10);
        p = self.number(buf, p, integer)?;
        self.out.fixed(b"\xa5start\0\0\0\0\0\0\0\0\0\0", 6);
        p = self.number(buf, p, time)?;
        self.out.fixed(b"\xa8duration\0\0\0\0\0\0\0", 9);
        p = self.number(buf, p, time)?;
        self.out.fixed(b"\xa5error\0\0\0\0\0\0\0\0\0\0", 6);
        p = self.number(buf, p, error_code)?;
        let (n, first) = reader::map_head(buf, p).map_err(bad(p, "a map"))?;
        p = first;
        self.out.room(256 + 72 * (n as usize).min(64));
        self.out.fixed(b"\xa4meta\0\0\0\0\0\0\0\0\0\0\0", 5);
        self.out.map_head(n);
        for _ in 0..n {
            p = self.text(buf, p)?;
            p = self.text(buf, p)?;
        }
        let (n, first) = reader::map_head(buf, p).map_err(bad(p, "a map"))?;
        p = first;
        self.out.room(128 + 48 * (n as usize).min(64));
        self.out.fixed(b"\xa7metrics\0\0\0\0\0\0\0\0", 8);
        self.out.map_head(n);
        for _ in 0..n {
            p = self.text(buf, p)?;
            p = self.number(buf, p, metric)?;
        }
        self.out.room(128);
        self.out.fixed(b"\xa4type\0\0\0\0\0\0\0\0\0\0\0", 5);
        self.text(buf, p)
    }

    /// Copies the text whose number stands at `p`.
    #[inline(always)]
    fn text(&mut self, buf: &[u8], p: usize) -> Read<usize> {
        let (number, end) = index(buf, p, self.texts.len() as u64)?;
        let Some(&(at, len)) = self.texts.get(number) else { return Err(Fault::new(p, Bad::Type, INDEX)) };
        self.out.copy(buf, at as usize, len as usize);
        Ok(end)
    }

    #[inline(always)]
    fn number(&mut self, buf: &[u8], p: usize, end: impl Fn(&[u8], usize) -> Read<usize>) -> Read<usize> {
        let end = end(buf, p)?;
        self.out.copy(buf, p, end - p);
        Ok(end)
    }
}

/// Room before the body for its head.
const HEAD_ROOM: usize = 64;

/// Reads the head of the body and of the table: how many texts, and where the first stands.
fn outer(buf: &[u8]) -> Read<(u32, usize)> {
    let (n, p) = reader::array_head(buf, 0).map_err(bad(0, "a v0.5 payload (an array of two)"))?;
    if n != 2 {
        return Err(Fault::new(0, Bad::Type, "a v0.5 payload (an array of two)"));
    }
    reader::array_head(buf, p).map_err(bad(p, "an array of strings"))
}

/// The position behind the text at `p`.
#[inline(always)]
fn text_end(buf: &[u8], p: usize) -> Read<usize> {
    if let Some(&b) = buf.get(p)
        && b & 0xe0 == 0xa0
        && p + 1 + usize::from(b & 0x1f) <= buf.len()
    {
        return Ok(p + 1 + usize::from(b & 0x1f));
    }
    reader::text(buf, p).map(|(_, end)| end).map_err(bad(p, "a string"))
}

#[inline(always)]
fn twelve(buf: &[u8], p: usize) -> Read<usize> {
    if buf.get(p) == Some(&0x9c) {
        return Ok(p + 1);
    }
    match reader::array_head(buf, p).map_err(bad(p, "a span (an array of twelve)"))? {
        (12, end) => Ok(end),
        _ => Err(Fault::new(p, Bad::Type, "a span (an array of twelve)")),
    }
}

/// The number of a text, below `limit`, and the position behind it.
#[inline(always)]
fn index(buf: &[u8], p: usize, limit: u64) -> Read<(usize, usize)> {
    let (number, end) = match buf.get(p) {
        Some(&b @ 0..=0x7f) => (u64::from(b), p + 1),
        Some(0xcd) => match buf.get(p + 1..p + 3) {
            Some(&[a, b]) => (u64::from(a) << 8 | u64::from(b), p + 3),
            _ => return Err(Fault::new(p, Bad::Truncated, INDEX)),
        },
        Some(0xcc) => match buf.get(p + 1) {
            Some(&a) => (u64::from(a), p + 2),
            None => return Err(Fault::new(p, Bad::Truncated, INDEX)),
        },
        _ => odd_index(buf, p)?,
    };
    if number < limit { Ok((number as usize, end)) } else { Err(Fault::new(p, Bad::Type, INDEX)) }
}

#[inline(never)]
fn odd_index(buf: &[u8], p: usize) -> Read<(u64, usize)> {
    reader::int_bits(buf, p).map_err(bad(p, INDEX))
}

/// The position behind an integer.
#[inline(always)]
fn integer(buf: &[u8], p: usize) -> Read<usize> {
    match buf.get(p) {
        Some(0xcf | 0xd3) if p + 9 <= buf.len() => Ok(p + 9),
        Some(0..=0x7f) => Ok(p + 1),
        _ => odd_integer(buf, p),
    }
}

#[inline(never)]
fn odd_integer(buf: &[u8], p: usize) -> Read<usize> {
    if buf.get(p) == Some(&0xc0) {
        return Ok(p + 1);
    }
    reader::int_bits(buf, p).map(|(_, end)| end).map_err(bad(p, ID))
}

/// The position behind an integer of at most 2^63-1.
#[inline(always)]
fn time(buf: &[u8], p: usize) -> Read<usize> {
    match buf.get(p..p + 2) {
        Some(&[0xcf, high]) if high < 0x80 && p + 9 <= buf.len() => Ok(p + 9),
        Some(&[0xd3, _]) if p + 9 <= buf.len() => Ok(p + 9),
        _ => odd_time(buf, p),
    }
}

#[inline(never)]
fn odd_time(buf: &[u8], p: usize) -> Read<usize> {
    if buf.get(p) == Some(&0xc0) {
        return Ok(p + 1);
    }
    reader::int(buf, p)
        .map(|(_, end)| end)
        .map_err(|b| Fault::new(p, b, if b == Bad::Range { "at most 2^63-1" } else { ID }))
}

/// The position behind an integer of 32 bits.
#[inline(always)]
fn error_code(buf: &[u8], p: usize) -> Read<usize> {
    if let Some(0..=0x7f | 0xc0) = buf.get(p) {
        return Ok(p + 1);
    }
    match reader::int(buf, p).map_err(bad(p, ID))? {
        (v, end) if i32::try_from(v).is_ok() => Ok(end),
        _ => Err(Fault::new(p, Bad::Range, "within 32 bits")),
    }
}

/// The position behind a number that v0.4 takes as well.
#[inline(always)]
fn metric(buf: &[u8], p: usize) -> Read<usize> {
    match buf.get(p) {
        Some(0xcb) if p + 9 <= buf.len() => Ok(p + 9),
        Some(0xca) => Err(Fault::new(p, Bad::Type, "a 64-bit float or an integer")),
        Some(0xc0) => Ok(p + 1),
        _ => reader::int_bits(buf, p).map(|(_, end)| end).map_err(bad(p, METRIC)),
    }
}
