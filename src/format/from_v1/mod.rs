//! v1 in: rewritten as v0.4, which scan and stages read.
//!
//! One pass. A text is a range of the input with its msgpack head, so that writing it is one copy.
//!
//! | v1 | v0.4 |
//! |---|---|
//! | attributes: text, bool | `meta` (`true`, `false`) |
//! | attributes: double, int | `metrics` |
//! | attributes: bytes | `meta_struct` |
//! | attributes: arrays, lists of pairs | dotted keys, `tags.0`, `user.name` |
//! | env, version, component, kind of a span | `meta`, unless an attribute of that name is there |
//! | trace id, upper half | `_dd.p.tid` of the chunk's first span, unless a span of the chunk has it |
//! | priority, origin, mechanism of a chunk | `_sampling_priority_v1`, `_dd.origin`, `_dd.p.dm`, likewise |
//! | env, host name, version of the payload | `env`, `_dd.hostname`, `version` of each chunk's first span, likewise |
//! | attributes of chunk and payload | of each chunk's first span, whose own come after them and count |
//!
//! Not carried, since v0.4 has no place for it in the body: container id, language, its version, the tracer's version
//! and the runtime id. Those are headers there and come from the settings. A start or duration above 2^63-1 becomes
//! that and is counted.

mod extras;
mod firsts;
mod span;
mod texts;

use super::out::Out;
use crate::error::Error;
use crate::msgpack::reader::{self, Bad};
use crate::trace::{Fault, OnMalformed, Place};
use firsts::{First, Pieces};
use span::SpanParts;
use texts::{EMPTY, Str, Texts};

/// Containers inside containers that an attribute may have.
const MAX_DEPTH: u32 = 32;

/// What was read, and the v0.4 body that it makes.
#[derive(Debug, Default)]
pub struct Decoded<'d> {
    /// The payload as v0.4; nothing malformed is in it.
    pub v04: &'d [u8],
    /// Chunks and spans in the body.
    pub chunks: u32,
    /// See `chunks`.
    pub spans: u64,
    /// Chunks that were left out because they cannot be read.
    pub malformed_chunks: u32,
    /// Their spans, as far as they say how many.
    pub malformed_spans: u64,
    /// Their bytes.
    pub malformed_bytes: u64,
    /// Spans whose start or duration did not fit.
    pub clamped_times: u64,
    /// Spans whose service is not there or empty.
    pub without_service: u64,
    /// The first thing that was wrong, with its place.
    pub first_fault: Option<Error>,
}

/// Reads v1 payloads; keeps its memory for the next one.
#[derive(Debug, Default)]
pub struct Decoder {
    texts: Texts,
    out: Out,
    span: SpanParts,
    /// Pieces that are put into first spans: entries of `meta` and `metrics`.
    side: Out,
    firsts: Vec<First>,
    /// A first span could not be noted for want of memory.
    firsts_failed: bool,
}

/// State of one payload's way.
struct Run<'b> {
    buf: &'b [u8],
    policy: OnMalformed,
    place: Place,
    chunks: u32,
    spans: u64,
    /// Chunks, spans, bytes.
    malformed: (u32, u64, u64),
    clamped: u64,
    without_service: u64,
    first_fault: Option<Error>,
}

/// What the payload says beside its chunks.
#[derive(Default)]
struct PayloadFacts {
    env: Str,
    hostname: Str,
    version: Str,
    /// The attributes.
    pieces: Pieces,
}

/// What a chunk says beside its spans.
struct ChunkFacts {
    priority: Option<i64>,
    origin: Str,
    mechanism: u64,
    trace_id: Option<(u64, u64)>,
    dropped: bool,
}

impl Decoder {
    /// Rewrites a payload.
    ///
    /// # Errors
    /// With [`OnMalformed::Fail`] the first fault with its place; else only if nothing can be read.
    pub fn to_v04<'d>(&'d mut self, buf: &[u8], policy: OnMalformed) -> Result<Decoded<'d>, Error> {
        let mut run = Run {
            buf,
            policy,
            place: Place::default(),
            chunks: 0,
            spans: 0,
            malformed: (0, 0, 0),
            clamped: 0,
            without_service: 0,
            first_fault: None,
        };
        self.texts.clear(buf.len());
        self.out.clear();
        self.side.clear();
        self.span.clear();
        self.firsts.clear();
        self.firsts_failed = false;
        let mut facts = PayloadFacts::default();
        if buf.len() >= 1 << 31 {
            let text = format!("a payload of {} bytes; the limit is 2 GiB", buf.len());
            return Err(Error::new(crate::error::ErrorKind::PayloadTooLarge, text));
        }
        self.out.room(64);
        self.out.bytes(&[0; HEAD_ROOM]);
        if let Err(fault) = self.payload(&mut run, &mut facts) {
            let error = fault.into_error(buf, &run.place);
            if policy == OnMalformed::Fail || run.chunks == 0 {
                return Err(error);
            }
            run.first_fault.get_or_insert(error);
        }
        if run.chunks == 0
            && run.malformed.0 > 0
            && let Some(error) = run.first_fault
        {
            return Err(error);
        }
        let chunks = run.chunks;
        let start = self.out.put_before(HEAD_ROOM, |out| out.array_head(chunks));
        let failed = self.texts.failed() || self.span.failed() || self.firsts_failed;
        self.texts.release();
        self.span.release();
        self.repeated_is_bearable(buf, &facts)?;
        self.chunk_pieces(buf, &facts);
        let pieces = &facts.pieces;
        if pieces.metas + pieces.metric_count > 0 || self.firsts.iter().any(|f| f.of_payload.metas > 0) {
            self.put_in(pieces);
        }
        if failed || self.out.failed() || self.side.failed() {
            return Err(Error::out_of_memory("the payload as v0.4"));
        }
        let v04 = self.out.written().get(start..).unwrap_or(&[]);
        Ok(Decoded {
            v04,
            chunks: run.chunks,
            spans: run.spans,
            malformed_chunks: run.malformed.0,
            malformed_spans: run.malformed.1,
            malformed_bytes: run.malformed.2,
            clamped_times: run.clamped,
            without_service: run.without_service,
            first_fault: run.first_fault,
        })
    }

    /// Bytes of memory held.
    pub fn capacity_bytes(&self) -> usize {
        let s = &self.span;
        let outs = [&self.out, &s.meta, &s.metrics, &s.structs, &s.links, &s.events];
        outs.iter().map(|o| o.capacity_bytes()).sum::<usize>()
            + self.texts.capacity_bytes()
            + self.firsts.capacity() * size_of::<First>()
            + self.side.capacity_bytes()
    }

    fn payload(&mut self, run: &mut Run<'_>, facts: &mut PayloadFacts) -> Read<()> {
        let buf = run.buf;
        let (n, mut p) = reader::map_head(buf, 0).map_err(bad(0, "a v1 payload (a map)"))?;
        for _ in 0..n {
            let (key, at) = reader::int_bits(buf, p).map_err(bad(p, "a key (an integer)"))?;
            p = match key {
                11 => self.chunks(run, at)?,
                7 => keep(self.texts.read(buf, at)?, &mut facts.env),
                8 => keep(self.texts.read(buf, at)?, &mut facts.hostname),
                9 => keep(self.texts.read(buf, at)?, &mut facts.version),
                2..=6 => self.texts.read(buf, at)?.1,
                10 => {
                    self.span.rewind();
                    let (_, end) = self.span.attributes(&mut self.texts, buf, at)?;
                    facts.pieces = self.span.to_side(&mut self.side);
                    end
                }
                _ => self.texts.pass(buf, at)?,
            };
        }
        Ok(())
    }

    fn chunks(&mut self, run: &mut Run<'_>, at: usize) -> Read<usize> {
        let (n, mut p) = reader::array_head(run.buf, at).map_err(bad(at, "an array of chunks"))?;
        for i in 0..n {
            run.place = Place { chunk: Some(i), ..Place::default() };
            let mark = (self.out.len(), self.firsts.len(), self.side.len());
            let before = run.spans;
            match self.chunk(run, p) {
                Ok(end) => {
                    run.chunks += 1;
                    p = end;
                }
                Err(fault) if run.policy == OnMalformed::Fail => return Err(fault),
                Err(fault) => {
                    let error = fault.into_error(run.buf, &run.place);
                    run.first_fault.get_or_insert(error);
                    self.out.truncate(mark.0);
                    self.firsts.truncate(mark.1);
                    self.side.truncate(mark.2);
                    run.spans = before;
                    run.malformed.0 += 1;
                    run.malformed.1 += spans_of(run.buf, p);
                    // Texts that were collected before the fault are known by now and keep their numbers.
                    let end = self.texts.pass(run.buf, p).unwrap_or(run.buf.len());
                    run.malformed.2 += (end - p) as u64;
                    if end == run.buf.len() && i + 1 < n {
                        run.malformed.0 += n - i - 1;
                        run.place = Place::default();
                        return Ok(end);
                    }
                    p = end;
                }
            }
        }
        run.place = Place::default();
        Ok(p)
    }

    fn chunk(&mut self, run: &mut Run<'_>, at: usize) -> Read<usize> {
        let buf = run.buf;
        let (n, mut p) = reader::map_head(buf, at).map_err(bad(at, "a chunk (a map)"))?;
        let mut facts =
            ChunkFacts { priority: None, origin: EMPTY, mechanism: 0, trace_id: None, dropped: false };
        let mut first = First::default();
        let side = self.side.len();
        let mut pieces = Pieces::default();
        let mut spans = None;
        // Where trace ids stand that were written before the chunk's was known.
        let mut late: Option<(usize, usize)> = None;
        for _ in 0..n {
            let (key, at) = reader::int_bits(buf, p).map_err(bad(p, "a key (an integer)"))?;
            p = match key {
                1 => {
                    let (v, end) = reader::int(buf, at).map_err(bad(at, "a priority (an integer)"))?;
                    facts.priority = Some(v);
                    end
                }
                2 => keep(self.texts.read(buf, at)?, &mut facts.origin),
                3 => {
                    self.span.rewind();
                    let (_, end) = self.span.attributes(&mut self.texts, buf, at)?;
                    pieces = self.span.to_side(&mut self.side);
                    end
                }
                4 if spans.is_none() => {
                    let start = self.out.len();
                    let low = facts.trace_id.map_or(0, |(_, low)| low);
                    let (count, end) = self.spans(run, at, low, &mut first)?;
                    spans = Some(count);
                    if facts.trace_id.is_none() {
                        late = Some((start, self.out.len()));
                    }
                    end
                }
                5 => {
                    facts.dropped = buf.get(at) == Some(&0xc3);
                    reader::skip(buf, at).map_err(bad(at, "a boolean"))?
                }
                6 => {
                    let (id, end) = trace_id(buf, at)?;
                    facts.trace_id = Some(id);
                    end
                }
                7 => {
                    let (v, end) = reader::int_bits(buf, at).map_err(bad(at, "a mechanism (an integer)"))?;
                    facts.mechanism = v;
                    end
                }
                _ => self.texts.pass(buf, at)?,
            };
        }
        let Some((high, low)) = facts.trace_id else {
            return Err(Fault::new(at, Bad::Type, "a chunk with a trace id (key 6)"));
        };
        let Some(count) = spans else {
            return Err(Fault::new(at, Bad::Type, "a chunk with spans (key 4)"));
        };
        if let Some((from, to)) = late {
            patch_trace_ids(&mut self.out, from, to, low);
        }
        run.spans += count;
        if count > 0 {
            self.chunk_entries(buf, &facts, high, first.seen, &mut pieces);
            self.put_in_chunk(&pieces, &mut first);
            let more = (self.firsts.len() / 4).max(64);
            let full = self.firsts.len() == self.firsts.capacity();
            match full && self.firsts.try_reserve_exact(more).is_err() {
                true => self.firsts_failed = true,
                false => self.firsts.push(first),
            }
        }
        self.side.truncate(side);
        Ok(p)
    }

    fn spans(
        &mut self,
        run: &mut Run<'_>,
        at: usize,
        trace_id: u64,
        first: &mut First,
    ) -> Read<(u64, usize)> {
        let (n, mut p) = reader::array_head(run.buf, at).map_err(bad(at, "an array of spans"))?;
        self.out.room(16);
        self.out.array_head(n);
        for i in 0..n {
            run.place.span = Some(i);
            run.place.span_at = p;
            p = self.span(run, p, trace_id, first, i == 0)?;
        }
        run.place.span = None;
        Ok((u64::from(n), p))
    }
}

/// Room before the body for its head.
const HEAD_ROOM: usize = 64;

type Read<T> = Result<T, Fault>;

fn bad(at: usize, expected: &'static str) -> impl Fn(Bad) -> Fault {
    move |bad| Fault::new(at, bad, expected)
}

#[inline(always)]
fn keep((text, end): (Str, usize), place: &mut Str) -> usize {
    *place = text;
    end
}

/// An unsigned number; a signed one keeps its bits.
#[inline(always)]
fn id(buf: &[u8], p: usize, v: &mut u64) -> Read<usize> {
    if buf.get(p) == Some(&0xcf)
        && let Some(bytes) = buf.get(p + 1..p + 9).and_then(|b| b.try_into().ok())
    {
        *v = u64::from_be_bytes(bytes);
        return Ok(p + 9);
    }
    if buf.get(p) == Some(&0xc0) {
        *v = 0;
        return Ok(p + 1);
    }
    let (bits, end) = reader::int_bits(buf, p).map_err(bad(p, "an integer"))?;
    *v = bits;
    Ok(end)
}

/// Upper and lower half of a trace id.
fn trace_id(buf: &[u8], p: usize) -> Read<((u64, u64), usize)> {
    let (bytes, end) = match buf.get(p) {
        Some(0xc4..=0xc6) => reader::text(buf, p).map_err(bad(p, "a trace id of 16 bytes"))?,
        _ => return Err(Fault::new(p, Bad::Type, "a trace id of 16 bytes")),
    };
    match <[u8; 16]>::try_from(bytes) {
        Ok(b) => {
            let id = u128::from_be_bytes(b);
            Ok((((id >> 64) as u64, id as u64), end))
        }
        Err(_) => Err(Fault::new(p, Bad::Type, "a trace id of 16 bytes")),
    }
}

/// The trace id came behind the spans: it is put into those that were written.
#[cold]
fn patch_trace_ids(out: &mut Out, from: usize, to: usize, id: u64) {
    let mut places = Vec::new();
    let body = out.written();
    let Ok((n, mut p)) = reader::array_head(body, from) else { return };
    for _ in 0..n {
        // Service, name and resource stand before it, each with its key.
        let Ok((_, mut q)) = reader::map_head(body, p) else { return };
        for _ in 0..6 {
            q = reader::skip(body, q).unwrap_or(to);
        }
        places.push(q + 10);
        p = reader::skip(body, p).unwrap_or(to);
    }
    for at in places {
        out.patch(at, &id.to_be_bytes());
    }
}

/// How many spans a chunk that could not be read says it has.
#[cold]
fn spans_of(buf: &[u8], at: usize) -> u64 {
    let Ok((n, mut p)) = reader::map_head(buf, at) else { return 0 };
    for _ in 0..n {
        let Ok((key, v)) = reader::int_bits(buf, p) else { return 0 };
        if key == 4 {
            return reader::array_head(buf, v).map_or(0, |(n, _)| u64::from(n));
        }
        let Ok(end) = reader::skip(buf, v) else { return 0 };
        p = end;
    }
    0
}
