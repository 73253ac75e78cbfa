//! The one pass over a v0.4 payload: checks its structure, counts traces and spans, and fills the arena.
//!
//! Accepts what the Go agent's own v0.4 decoder accepts (measured with hand-made bodies): nil and
//! binary for text, nil maps, any integer width, unknown and repeated keys (the last one counts), missing keys, a nil
//! span, bytes behind the payload. What that decoder refuses goes to [`OnMalformed`].
//!
//! **Speed.** The pass is one chain of dependent loads: head, length, next head. The common shapes (short text, the
//! keys of a span) are therefore compared as one 8-byte word each, so that the next position hangs on a predicted
//! branch; all else is in cold functions. Nothing is allocated once the arena has grown.

mod pairs;
mod values;

use super::Payload;
use super::arena::{Arena, Chunk, ChunkState, Hit, Span, flag};
use super::keys::Interest;
use super::malformed::{Fault, Fixer, Place, Repairs, Why};
use crate::error::{Error, ErrorKind};
use crate::msgpack::reader::{self, Bad};
use crate::settings::OnMalformed;
use pairs::{Meta, Metrics, map};
use values::{Extra, error_value, extra, id_value, text_value, time_value};

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
    /// `MALFORMED_PAYLOAD` if the payload is not an array, `TRUNCATED_PAYLOAD` if it is empty or declares more traces
    /// than it has bytes, `PAYLOAD_TOO_LARGE` from 2 GiB on.
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

    /// Fills `arena` with the next traces, until it holds `span_limit` spans (or as many traces: they may be empty) or
    /// the payload ends. At least one trace is read if one is left.
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
                    if self.policy == OnMalformed::Fail || fault.why == Why::OutOfMemory {
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
            if arena.chunks.try_reserve(1).is_err() {
                return Err(Fault::out_of_memory(at).into_error(self.buf, &place));
            }
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

/// A span of the arena is larger than a span of one byte on the wire, which the agent takes. A chunk of nothing but
/// such spans would turn a payload into three hundred times its memory, so there is a limit that no real payload comes
/// near: ids, times and a name alone make a span of seventy bytes.
const MEMORY_PER_BYTE: usize = 10;
const MEMORY_FREE: usize = 512 << 10;

#[cold]
fn grow(spans: &mut Vec<Span>, payload: usize) -> Result<(), Why> {
    let most = (payload * MEMORY_PER_BYTE + MEMORY_FREE) / size_of::<Span>();
    if spans.len() >= most {
        return Err(Why::Expected("a trace of fewer spans for its size"));
    }
    if spans.len() == spans.capacity() {
        let more = spans.len().max(64).min(most - spans.len());
        spans.try_reserve_exact(more).map_err(|_| Why::OutOfMemory)?;
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
    next!(|w| w == METRICS, |p| map::<Metrics>(buf, p, p + 8, span, hits, interest, p0, fix));
    next!(|w| w & FIVE == META, |p| map::<Meta>(buf, p, p + 5, span, hits, interest, p0, fix));
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
            p = map::<Meta>(buf, entry, p + 5, span, hits, interest, p0, fix)?;
        } else if w == METRICS {
            span.again(span.metrics.at);
            p = map::<Metrics>(buf, entry, p + 8, span, hits, interest, p0, fix)?;
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
        b"meta" => map::<Meta>(buf, entry, p, span, hits, interest, p0, fix),
        b"metrics" => map::<Metrics>(buf, entry, p, span, hits, interest, p0, fix),
        b"meta_struct" => extra(buf, entry, p, &mut span.meta_struct, p0, fix, Extra::MetaStruct),
        b"span_links" => extra(buf, entry, p, &mut span.links, p0, fix, Extra::Links),
        b"span_events" => extra(buf, entry, p, &mut span.events, p0, fix, Extra::Events),
        _ => reader::skip(buf, p).map_err(|bad| Fault::new(p, bad, "a value")),
    }
}
