//! The one pass over a v0.4 payload: checks its structure, counts traces and spans, and fills the arena.
//!
//! Accepts what the Go agent's own v0.4 decoder accepts (measured with hand-made bodies, `spec/agents.md` 4.10): nil and
//! binary for text, nil maps, any integer width, unknown and repeated keys (the last one counts), missing keys, a nil
//! span, bytes behind the payload. What that decoder refuses goes to [`OnMalformed`].
//!
//! **Speed.** The pass is one chain of dependent loads: head, length, next head. The common shapes (short text, the keys
//! of a span) are therefore compared as one 8-byte word each, so that the next position hangs on a predicted branch; all
//! else is in cold functions. Nothing is allocated once the arena has grown.

use super::arena::{Arena, Chunk, ChunkState, Hit, MapView, Range, Span, Text, flag};
use super::keys::{Found, Interest, KeyTable, META_SLOTS, METRICS_SLOTS, WORD_MASK, word_of};
use super::malformed::{Fault, Fixer, Place, Repairs, Why};
use super::{Payload, extras};
use crate::error::{Error, ErrorKind};
use crate::msgpack::reader::{self, Bad};
use crate::settings::OnMalformed;

/// Reads a payload chunk by chunk into an arena, in batches that stay in the processor's cache.
#[derive(Debug)]
pub struct Scanner<'a> {
    buf: &'a [u8],
    pos: usize,
    policy: OnMalformed,
    chunks: u32,
    done: u32,
}

impl<'a> Scanner<'a> {
    /// Reads the payload's outer head.
    ///
    /// # Errors
    /// `MALFORMED_PAYLOAD` if the payload is not an array, `TRUNCATED_PAYLOAD` if it is empty or declares more traces than
    /// it has bytes, `PAYLOAD_TOO_LARGE` from 2 GiB on.
    pub fn new(buf: &'a [u8], policy: OnMalformed) -> Result<Self, Error> {
        if buf.len() >= super::arena::SIDE as usize {
            return Err(Error::new(
                ErrorKind::PayloadTooLarge,
                format!("a payload of {} bytes; the limit is 2 GiB", buf.len()),
            ));
        }
        let (chunks, pos) = reader::array_head(buf, 0)
            .map_err(|bad| Fault::new(0, bad, "an array of traces").into_error(buf, &Place::default()))?;
        Ok(Self { buf, pos, policy, chunks, done: 0 })
    }

    /// How many traces the payload declares.
    pub fn trace_count(&self) -> u32 {
        self.chunks
    }

    /// Position behind the last trace read.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// The payload as far as the last [`Scanner::fill`] has put it into `arena`.
    pub fn payload<'p>(&self, arena: &'p mut Arena) -> Payload<'p>
    where
        'a: 'p,
    {
        Payload::new(self.buf, arena)
    }

    /// Whether all traces were read.
    pub fn is_done(&self) -> bool {
        self.done == self.chunks
    }

    /// Fills `arena` with the next traces, until it holds `span_limit` spans (or as many traces: they may be empty) or the
    /// payload ends. At least one trace is read if one is left.
    ///
    /// # Errors
    /// With [`OnMalformed::Fail`]: the first fault, with its place. Else none: faulty chunks have the state
    /// [`ChunkState::Malformed`].
    pub fn fill(&mut self, arena: &mut Arena, interest: &Interest, span_limit: usize) -> Result<(), Error> {
        arena.clear();
        while self.done < self.chunks && arena.span_count < span_limit && arena.chunks.len() < span_limit {
            let first = arena.span_count;
            let mark = (arena.hits.len(), arena.edits.len(), arena.side.len());
            let repairs = arena.repairs.count;
            let at = self.pos;
            let mut place = Place { chunk: Some(self.done), ..Place::default() };
            let state = match chunk(self.buf, at, arena, interest, self.policy, &mut place) {
                Ok(end) => {
                    self.pos = end;
                    ChunkState::Kept
                }
                Err(fault) => {
                    if self.policy == OnMalformed::Fail {
                        return Err(fault.into_error(self.buf, &place));
                    }
                    arena.span_count = first;
                    arena.hits.truncate(mark.0);
                    arena.edits.truncate(mark.1);
                    arena.side.truncate(mark.2);
                    arena.repairs.count = repairs;
                    self.give_up(fault, &place, &mut arena.repairs);
                    ChunkState::Malformed
                }
            };
            let len = match state {
                ChunkState::Kept => (arena.span_count - first) as u32,
                // The spans of a chunk that cannot be read are those that it declares.
                _ => reader::array_head(self.buf, at).map_or(0, |(n, _)| n),
            };
            arena.chunks.push(Chunk {
                at: at as u32,
                end: self.pos as u32,
                first: first as u32,
                len,
                dropped: 0,
                state,
            });
            self.done += 1;
        }
        Ok(())
    }

    /// Moves behind a chunk that cannot be read; if its end cannot be found, the rest of the payload cannot be read.
    #[cold]
    fn give_up(&mut self, fault: Fault, place: &Place, repairs: &mut Repairs) {
        if repairs.first.is_none() {
            repairs.first = Some(fault.into_error(self.buf, place).message().to_owned());
        }
        self.pos = reader::skip(self.buf, self.pos).unwrap_or(self.buf.len());
    }
}

impl<'a> Payload<'a> {
    /// Scans a whole v0.4 payload into `arena`, recognising the keys of `interest`.
    ///
    /// # Errors
    /// As [`Scanner::new`] and [`Scanner::fill`].
    pub fn scan(
        bytes: &'a [u8],
        arena: &'a mut Arena,
        interest: &Interest,
        policy: OnMalformed,
    ) -> Result<Self, Error> {
        let mut scanner = Scanner::new(bytes, policy)?;
        scanner.fill(arena, interest, usize::MAX)?;
        Ok(Self::new(bytes, arena))
    }
}

fn chunk(
    buf: &[u8],
    p: usize,
    arena: &mut Arena,
    interest: &Interest,
    policy: OnMalformed,
    place: &mut Place,
) -> Result<usize, Fault> {
    let (n, mut p) = reader::array_head(buf, p).map_err(|bad| Fault::new(p, bad, "an array of spans"))?;
    let Arena { spans, span_count, hits, edits, side, repairs, .. } = arena;
    for i in 0..n {
        place.span = Some(i);
        place.span_at = p;
        if *span_count == spans.len() {
            grow(spans, buf.len()).map_err(|why| Fault { at: p, why })?;
        }
        let Some(span) = spans.get_mut(*span_count) else { return Err(Fault { at: p, why: Why::Truncated }) };
        span.clear();
        span.hits_at = hits.len() as u32;
        span.at = p as u32;
        let edits_before = edits.len();
        let mut fix = Fixer { buf, policy, place: *place, edits, side, repairs };
        p = read_span(buf, p, span, hits, interest, &mut fix)?;
        if p > buf.len() {
            return Err(Fault { at: buf.len(), why: Why::Truncated });
        }
        span.end = p as u32;
        span.hits_len = hits.len() as u32 - span.hits_at;
        if edits.len() != edits_before {
            span.flags |= flag::EDITED;
        }
        *span_count += 1;
    }
    Ok(p)
}

/// A span of the arena is larger than a span of one byte on the wire, which the agent takes. A chunk of nothing but such
/// spans would turn a payload into three hundred times its memory, so there is a limit that no real payload comes near:
/// ids alone make a span of twenty bytes.
const MEMORY_PER_BYTE: usize = 12;
const MEMORY_FREE: usize = 512 << 10;

#[cold]
fn grow(spans: &mut Vec<Span>, payload: usize) -> Result<(), Why> {
    let most = (payload * MEMORY_PER_BYTE + MEMORY_FREE) / size_of::<Span>();
    if spans.len() >= most {
        return Err(Why::Expected("a trace of fewer spans for its size"));
    }
    if spans.len() == spans.capacity() {
        let more = spans.len().max(64).min(most - spans.len());
        spans.reserve_exact(more);
    }
    spans.push(Span::EMPTY);
    Ok(())
}

const fn key(text: &[u8]) -> u64 {
    let mut w = 0xa0 | text.len() as u64;
    let mut i = 0;
    while i < text.len() && i < 7 {
        w |= (text[i] as u64) << (8 * (i + 1));
        i += 1;
    }
    w
}

const SERVICE: u64 = key(b"service");
const NAME: u64 = key(b"name");
const RESOURCE: u64 = key(b"resource");
const TRACE_ID: u64 = key(b"trace_id");
const SPAN_ID: u64 = key(b"span_id");
const PARENT_ID: u64 = key(b"parent_id");
const START: u64 = key(b"start");
const DURATION: u64 = key(b"duration");
const ERROR: u64 = key(b"error");
const META: u64 = key(b"meta");
const METRICS: u64 = key(b"metrics");
const TYPE: u64 = key(b"type");
const META_STRUCT: u64 = key(b"meta_struct");
const SPAN_LINKS: u64 = key(b"span_links");
const SPAN_EVENTS: u64 = key(b"span_events");
const FIVE: u64 = (1 << 40) - 1;
const SIX: u64 = (1 << 48) - 1;

/// Eight bytes at `p`, little endian; zeros stand for what lies behind the buffer.
#[inline(always)]
fn word(buf: &[u8], p: usize) -> u64 {
    match buf.get(p..p + 8).and_then(|b| b.try_into().ok()) {
        Some(b) => u64::from_le_bytes(b),
        None => word_at_end(buf, p),
    }
}

#[cold]
fn word_at_end(buf: &[u8], p: usize) -> u64 {
    let mut w = [0; 8];
    for (to, from) in w.iter_mut().zip(buf.get(p..).unwrap_or(&[])) {
        *to = *from;
    }
    u64::from_le_bytes(w)
}

/// Whether the rest of a key longer than seven characters is as expected.
#[inline(always)]
fn tail<const N: usize>(buf: &[u8], p: usize, want: &[u8; N]) -> bool {
    buf.get(p + 8..p + 8 + N).is_some_and(|b| b == want)
}

fn read_span(
    buf: &[u8],
    p0: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    interest: &Interest,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    let (n, mut p) = match reader::map_head(buf, p0) {
        Ok(head) => head,
        Err(Bad::Type) if buf.get(p0) == Some(&0xc0) => {
            span.flags |= flag::NIL;
            return Ok(p0 + 1);
        }
        Err(bad) => return Err(Fault::new(p0, bad, "a span (a map)")),
    };
    // The keys in the order in which most tracers write them: one comparison a key while it holds.
    let mut left = n;
    macro_rules! next {
        ($is:expr, $read:expr) => {
            if left > 0 && $is(word(buf, p)) {
                p = $read(p)?;
                left -= 1;
            }
        };
    }
    next!(|w| w == SERVICE, |p| text_value(buf, p, p + 8, &mut span.service, p0, fix));
    next!(|w| w & FIVE == NAME, |p| text_value(buf, p, p + 5, &mut span.name, p0, fix));
    next!(|w| w == RESOURCE && tail(buf, p, b"e"), |p| text_value(
        buf,
        p,
        p + 9,
        &mut span.resource,
        p0,
        fix
    ));
    next!(|w| w == TRACE_ID && tail(buf, p, b"d"), |p| id_value(buf, p + 9, &mut span.trace_id, fix));
    next!(|w| w == SPAN_ID, |p| id_value(buf, p + 8, &mut span.span_id, fix));
    next!(|w| w == PARENT_ID && tail(buf, p, b"id"), |p| id_value(buf, p + 10, &mut span.parent_id, fix));
    next!(|w| w & SIX == START, |p| time_value(buf, p, p + 6, &mut span.start, p0, fix));
    next!(|w| w == DURATION && tail(buf, p, b"n"), |p| time_value(
        buf,
        p,
        p + 9,
        &mut span.duration,
        p0,
        fix
    ));
    next!(|w| w & FIVE == TYPE, |p| text_value(buf, p, p + 5, &mut span.kind, p0, fix));
    next!(|w| w & SIX == ERROR, |p| error_value(buf, p, p + 6, &mut span.error, p0, fix));
    next!(|w| w == METRICS, |p| metrics(buf, p, p + 8, span, hits, &interest.metrics, p0, fix));
    next!(|w| w & FIVE == META, |p| meta(buf, p, p + 5, span, hits, &interest.meta, p0, fix));
    // Only from here on can a key come twice.
    for _ in 0..left {
        let w = word(buf, p);
        let entry = p;
        if w == SERVICE {
            span.again(span.service.at);
            p = text_value(buf, entry, p + 8, &mut span.service, p0, fix)?;
        } else if w & FIVE == NAME {
            span.again(span.name.at);
            p = text_value(buf, entry, p + 5, &mut span.name, p0, fix)?;
        } else if w == RESOURCE && tail(buf, p, b"e") {
            span.again(span.resource.at);
            p = text_value(buf, entry, p + 9, &mut span.resource, p0, fix)?;
        } else if w == TRACE_ID && tail(buf, p, b"d") {
            p = id_value(buf, p + 9, &mut span.trace_id, fix)?;
        } else if w == SPAN_ID {
            p = id_value(buf, p + 8, &mut span.span_id, fix)?;
        } else if w == PARENT_ID && tail(buf, p, b"id") {
            p = id_value(buf, p + 10, &mut span.parent_id, fix)?;
        } else if w & SIX == START {
            p = time_value(buf, entry, p + 6, &mut span.start, p0, fix)?;
        } else if w == DURATION && tail(buf, p, b"n") {
            p = time_value(buf, entry, p + 9, &mut span.duration, p0, fix)?;
        } else if w & SIX == ERROR {
            p = error_value(buf, entry, p + 6, &mut span.error, p0, fix)?;
        } else if w & FIVE == META {
            span.again(span.meta.at);
            p = meta(buf, entry, p + 5, span, hits, &interest.meta, p0, fix)?;
        } else if w == METRICS {
            span.again(span.metrics.at);
            p = metrics(buf, entry, p + 8, span, hits, &interest.metrics, p0, fix)?;
        } else if w & FIVE == TYPE {
            span.again(span.kind.at);
            p = text_value(buf, entry, p + 5, &mut span.kind, p0, fix)?;
        } else if w == META_STRUCT && tail(buf, p, b"ruct") {
            span.again(span.meta_struct.at);
            p = extra(buf, entry, p + 12, &mut span.meta_struct, p0, fix, Extra::MetaStruct)?;
        } else if w == SPAN_LINKS && tail(buf, p, b"nks") {
            span.again(span.links.at);
            p = extra(buf, entry, p + 11, &mut span.links, p0, fix, Extra::Links)?;
        } else if w == SPAN_EVENTS && tail(buf, p, b"ents") {
            span.again(span.events.at);
            p = extra(buf, entry, p + 12, &mut span.events, p0, fix, Extra::Events)?;
        } else {
            p = odd_key(buf, entry, span, hits, interest, p0, fix)?;
        }
    }
    Ok(p)
}

/// A key that is not in its smallest form, is binary, or is none that we know.
#[cold]
#[inline(never)]
fn odd_key(
    buf: &[u8],
    entry: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    interest: &Interest,
    p0: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    let (key, p) = match (buf.get(entry), reader::text(buf, entry)) {
        (Some(0xc0), _) => return fix.remove_entry(p0, entry, Fault::new(entry, Bad::Type, "a key")),
        (_, Ok(key)) => key,
        (_, Err(bad)) => return fix.remove_entry(p0, entry, Fault::new(entry, bad, "a key")),
    };
    // Odd enough to be looked at twice: any of these keys may have been there before.
    span.flags |= flag::REPEATED;
    match key {
        b"service" => text_value(buf, entry, p, &mut span.service, p0, fix),
        b"name" => text_value(buf, entry, p, &mut span.name, p0, fix),
        b"resource" => text_value(buf, entry, p, &mut span.resource, p0, fix),
        b"type" => text_value(buf, entry, p, &mut span.kind, p0, fix),
        b"trace_id" => id_value(buf, p, &mut span.trace_id, fix),
        b"span_id" => id_value(buf, p, &mut span.span_id, fix),
        b"parent_id" => id_value(buf, p, &mut span.parent_id, fix),
        b"start" => time_value(buf, entry, p, &mut span.start, p0, fix),
        b"duration" => time_value(buf, entry, p, &mut span.duration, p0, fix),
        b"error" => error_value(buf, entry, p, &mut span.error, p0, fix),
        b"meta" => meta(buf, entry, p, span, hits, &interest.meta, p0, fix),
        b"metrics" => metrics(buf, entry, p, span, hits, &interest.metrics, p0, fix),
        b"meta_struct" => extra(buf, entry, p, &mut span.meta_struct, p0, fix, Extra::MetaStruct),
        b"span_links" => extra(buf, entry, p, &mut span.links, p0, fix, Extra::Links),
        b"span_events" => extra(buf, entry, p, &mut span.events, p0, fix, Extra::Events),
        _ => reader::skip(buf, p).map_err(|bad| Fault::new(p, bad, "a value")),
    }
}

#[inline(always)]
fn text_value(
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
fn odd_text(
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
fn usual_int(buf: &[u8], p: usize) -> Option<(u64, usize)> {
    let head = *buf.get(p)?;
    if head == 0xcf || head == 0xd3 {
        let bytes = buf.get(p + 1..p + 9)?.try_into().ok()?;
        return Some((u64::from_be_bytes(bytes), p + 9));
    }
    (head <= 0x7f).then_some((u64::from(head), p + 1))
}

#[inline(always)]
fn id_value(buf: &[u8], p: usize, id: &mut u64, fix: &mut Fixer<'_>) -> Result<usize, Fault> {
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
fn odd_id(buf: &[u8], p: usize, id: &mut u64, bad: Bad, fix: &mut Fixer<'_>) -> Result<usize, Fault> {
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
fn time_value(
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
fn odd_time(
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
fn error_value(
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
fn odd_error(
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

enum Extra {
    MetaStruct,
    Links,
    Events,
}

#[inline(never)]
fn extra(
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
        // An element of the list is no map: the list is left out.
        Err(fault) => fix.remove_entry(map, entry, fault),
    }
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

#[allow(clippy::too_many_arguments)] // two callers, both in this file
#[inline(always)]
fn meta(
    buf: &[u8],
    entry: usize,
    at: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    keys: &KeyTable,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    if keys.is_empty() {
        meta_pairs::<false>(buf, entry, at, span, hits, keys, map, fix)
    } else {
        meta_pairs::<true>(buf, entry, at, span, hits, keys, map, fix)
    }
}

/// `LOOK`: whether there are keys to recognise; a pass that only checks is spared the question at each key.
#[allow(clippy::too_many_arguments)] // one caller
#[inline(never)]
fn meta_pairs<const LOOK: bool>(
    buf: &[u8],
    entry: usize,
    at: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    keys: &KeyTable,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    let (n, first) = match open_map(buf, entry, at, map, fix)? {
        Opened::Map(n, first) => (n, first),
        Opened::Nil => {
            forget(span, META_SLOTS);
            hits.truncate(span.hits_at as usize);
            span.meta = nil_map(at);
            return Ok(at + 1);
        }
        // The span keeps the map that it may have had before.
        Opened::LeftOut(end) => return Ok(end),
    };
    forget(span, META_SLOTS);
    hits.truncate(span.hits_at as usize);
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
            note(found, p, span, hits);
        }
        match buf.get(p) {
            Some(&b) if b & 0xe0 == 0xa0 => {
                if keys.cards {
                    span.flags |= like_card(buf, p + 1, b & 0x1f);
                }
                p += 1 + (b & 0x1f) as usize;
            }
            Some(0xd9) if p + 1 < buf.len() => {
                if keys.cards {
                    span.flags |= like_card(buf, p + 2, buf[p + 1]);
                }
                p += 2 + usize::from(buf[p + 1]);
            }
            _ => {
                span.flags |= flag::LIKE_CARD;
                p = odd_meta_value(buf, p, at, pair, fix)?;
            }
        }
    }
    span.meta = MapView { at: at as u32, first: first as u32, end: p as u32, len: n };
    if fix.edits.len() != before.1 {
        forget(span, META_SLOTS);
        hits.truncate(before.0);
        note_again(buf, span.meta, keys, |buf, at| reader::text(buf, at).is_ok(), span, hits);
    }
    Ok(p)
}

/// The mark for a text that is long enough for a card number and begins like one, without a branch on its bytes.
#[inline(always)]
fn like_card(buf: &[u8], text_at: usize, len: u8) -> u32 {
    let first = buf.get(text_at).copied().unwrap_or(0);
    let begins = first.wrapping_sub(b'0') < 10 || first == b' ' || first == b'-';
    u32::from(begins & (len >= 12)) * flag::LIKE_CARD
}

#[inline(never)]
fn odd_meta_value(
    buf: &[u8],
    p: usize,
    map: usize,
    pair: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    match reader::text(buf, p) {
        Ok((_, end)) => Ok(end),
        Err(bad) => fix.remove_entry(map, pair, Fault::new(p, bad, "a string")),
    }
}

#[allow(clippy::too_many_arguments)] // two callers, both in this file
#[inline(always)]
fn metrics(
    buf: &[u8],
    entry: usize,
    at: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    keys: &KeyTable,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    if keys.is_empty() {
        metrics_pairs::<false>(buf, entry, at, span, hits, keys, map, fix)
    } else {
        metrics_pairs::<true>(buf, entry, at, span, hits, keys, map, fix)
    }
}

/// `LOOK`: whether there are keys to recognise; a pass that only checks is spared the question at each key.
#[allow(clippy::too_many_arguments)] // one caller
#[inline(never)]
fn metrics_pairs<const LOOK: bool>(
    buf: &[u8],
    entry: usize,
    at: usize,
    span: &mut Span,
    hits: &mut Vec<Hit>,
    keys: &KeyTable,
    map: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    let (n, first) = match open_map(buf, entry, at, map, fix)? {
        Opened::Map(n, first) => (n, first),
        Opened::Nil => {
            forget(span, METRICS_SLOTS);
            span.metrics = nil_map(at);
            return Ok(at + 1);
        }
        // The span keeps the map that it may have had before.
        Opened::LeftOut(end) => return Ok(end),
    };
    forget(span, METRICS_SLOTS);
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
            note(found, p, span, hits);
        }
        match buf.get(p) {
            Some(0xcb | 0xcf | 0xd3) => p += 9,
            Some(0x00..=0x7f | 0xe0..=0xff | 0xc0) => p += 1,
            Some(0xcc | 0xd0) => p += 2,
            Some(0xcd | 0xd1) => p += 3,
            Some(0xce | 0xd2) => p += 5,
            _ => p = odd_metric_value(buf, p, at, pair, fix)?,
        }
    }
    span.metrics = MapView { at: at as u32, first: first as u32, end: p as u32, len: n };
    if fix.edits.len() != before.1 {
        forget(span, METRICS_SLOTS);
        hits.truncate(before.0);
        note_again(
            buf,
            span.metrics,
            keys,
            |buf, at| buf.get(at) == Some(&0xc0) || reader::number(buf, at).is_ok(),
            span,
            hits,
        );
    }
    Ok(p)
}

#[inline(never)]
fn odd_metric_value(
    buf: &[u8],
    p: usize,
    map: usize,
    pair: usize,
    fix: &mut Fixer<'_>,
) -> Result<usize, Fault> {
    match buf.get(p) {
        Some(0xca) => fix.widen(p, Fault::new(p, Bad::Type, "a 64-bit float or an integer")),
        _ => match reader::int_bits(buf, p) {
            Ok((_, end)) => Ok(end),
            Err(bad) => fix.remove_entry(map, pair, Fault::new(p, bad, "a number")),
        },
    }
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
fn note(found: Found, value_at: usize, span: &mut Span, hits: &mut Vec<Hit>) {
    let value_at = value_at as u32;
    match found {
        Found::Slot(slot) => set_slot(span, slot, value_at),
        Found::Hit(key) => hits.push(Hit { key, value_at }),
        Found::Both(slot, key) => {
            set_slot(span, slot, value_at);
            hits.push(Hit { key, value_at });
        }
    }
}

#[inline(always)]
fn set_slot(span: &mut Span, slot: u8, value_at: u32) {
    let slot = slot as usize % super::keys::SLOTS;
    span.slots[slot] = value_at;
    span.present |= 1 << slot;
}

/// Notes the keys of a repaired map again: a key whose value was left out may have noted its place, over one that stays.
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
            note(found, value_at, span, hits);
        }
        let Ok(end) = reader::skip(buf, value_at) else { return };
        p = end;
    }
}

/// A map that comes twice in a span counts as its last occurrence: the first one's keys are forgotten.
#[inline(always)]
fn forget(span: &mut Span, slots: u32) {
    span.present &= !slots;
}
