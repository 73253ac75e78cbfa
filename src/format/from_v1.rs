//! v1 in: rewritten as v0.4, which scan and stages read.
//!
//! One pass. A text is a range of the input with its msgpack head, so that writing it is one copy; the string table is a
//! list of such ranges. Texts are collected wherever they stand, also in fields that are not known, since later numbers
//! count on it; a text that comes twice has one number, as with the agent.
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
//! Not carried, since v0.4 has no place for it in the body: container id, language, its version, the tracer's version and
//! the runtime id. Those are headers there and come from the settings. A start or duration above 2^63-1 becomes that and
//! is counted.
//!
//! What belongs to a chunk stands behind its spans, what belongs to the payload behind its chunks. The head of a first
//! span's maps is therefore wide enough for any count; the entries are put in at the end of the chunk, while it is in the cache,
//! and those of the payload at its end, only when there are any.

use super::out::Out;
use crate::error::Error;
use crate::msgpack::reader::{self, Bad};
use crate::msgpack::writer;
use crate::trace::{Fault, OnMalformed, Place};
use std::hash::{BuildHasher, Hasher};

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
    side: Vec<u8>,
    firsts: Vec<First>,
}

/// The string table: where each text stands.
#[derive(Debug, Default)]
struct Texts {
    places: Vec<Str>,
    /// Numbers of the texts by hash: the upper half of a slot is of the hash, the lower half the number. 0: free.
    slots: Vec<u64>,
    hasher: foldhash::fast::RandomState,
}

/// A text with its head, as a range of the input, and which of the keys that matter it is.
#[derive(Clone, Copy, Debug, Default)]
struct Str {
    at: u32,
    len: u32,
    key: u8,
}

/// Parts of one span that are written one after the other but read in any order.
#[derive(Debug, Default)]
struct SpanParts {
    meta: Out,
    metas: u32,
    metrics: Out,
    metric_count: u32,
    structs: Out,
    struct_count: u32,
    links: Out,
    events: Out,
    /// Key of an attribute inside a container.
    path: Vec<u8>,
}

/// The first span of a chunk: where the heads of its maps stand in the output, and how many entries they have.
#[derive(Clone, Debug, Default)]
struct First {
    metrics_at: usize,
    metrics: u32,
    meta_at: usize,
    metas: u32,
    /// Bytes of the chunk's entries at the front of `meta`.
    of_chunk: usize,
    /// What the payload's fields put behind those.
    of_payload: Pieces,
    /// Keys that some span of the chunk has.
    seen: u32,
}

/// Entries that are to be put in: ranges of `side`, and how many entries.
#[derive(Clone, Debug, Default)]
struct Pieces {
    meta: std::ops::Range<usize>,
    metas: u32,
    metrics: std::ops::Range<usize>,
    metric_count: u32,
}

/// Opens gaps in what is written, from its end to its start, so that each byte moves once.
struct Gaps<'o> {
    out: &'o mut Out,
    /// What stands behind here has moved to behind `write`.
    read: usize,
    write: usize,
}

impl<'o> Gaps<'o> {
    /// Gaps of `more` bytes in all.
    fn new(out: &'o mut Out, more: usize) -> Self {
        let read = out.len();
        let write = out.widen(more);
        Self { out, read, write }
    }

    /// Moves what stands from `at` on.
    fn keep_from(&mut self, at: usize) {
        let len = self.read.saturating_sub(at);
        self.write -= len;
        self.out.shift(at, len, self.write);
        self.read = at;
    }

    /// Fills a gap.
    fn put(&mut self, bytes: &[u8]) {
        self.write -= bytes.len();
        self.out.patch(self.write, bytes);
    }

    /// Moves a wide map head and sets its count.
    fn head(&mut self, count: u32) {
        self.put(&count.to_be_bytes());
        self.put(&[0xdf]);
        self.read -= 5;
    }
}

/// Keys that are looked for among the attributes; the number is the bit in `seen`, 0 is any other key.
const ENV: u8 = 1;
const VERSION: u8 = 2;
const COMPONENT: u8 = 3;
const KIND: u8 = 4;
const TID: u8 = 5;
const ORIGIN: u8 = 6;
const MECHANISM: u8 = 7;
const PRIORITY: u8 = 8;
const HOSTNAME: u8 = 9;

fn key_number(text: &[u8]) -> u8 {
    match text {
        b"env" => ENV,
        b"version" => VERSION,
        b"component" => COMPONENT,
        b"span.kind" => KIND,
        b"_dd.p.tid" => TID,
        b"_dd.origin" => ORIGIN,
        b"_dd.p.dm" => MECHANISM,
        b"_sampling_priority_v1" => PRIORITY,
        b"_dd.hostname" => HOSTNAME,
        _ => 0,
    }
}

/// `""` as it stands in no input: length 0 means that it is written, not copied.
const EMPTY: Str = Str { at: 0, len: 0, key: 0 };

type Read<T> = Result<T, Fault>;

fn bad(at: usize, expected: &'static str) -> impl Fn(Bad) -> Fault {
    move |bad| Fault::new(at, bad, expected)
}

impl Texts {
    fn clear(&mut self) {
        self.slots.fill(0);
        self.places.clear();
        self.places.push(EMPTY);
    }

    /// Gives a text its number, unless it has one.
    fn add(&mut self, buf: &[u8], text: &[u8], place: Str) {
        if text.is_empty() {
            return;
        }
        if self.places.len() * 2 > self.slots.len() {
            self.grow(buf);
        }
        let mask = self.slots.len() - 1;
        let hash = self.hash(text);
        let tag = hash & !0xffff_ffff;
        let mut at = hash as usize & mask;
        while let Some(&slot) = self.slots.get(at)
            && slot != 0
        {
            if slot & !0xffff_ffff == tag
                && self.places.get(slot as u32 as usize).is_some_and(|known| known.content(buf) == text)
            {
                return;
            }
            at = (at + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = tag | self.places.len() as u64;
        }
        self.places.push(place);
    }

    fn hash(&self, text: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text);
        hasher.finish()
    }

    #[cold]
    fn grow(&mut self, buf: &[u8]) {
        let size = (self.slots.len() * 2).max(1024);
        self.slots.clear();
        self.slots.resize(size, 0);
        for number in 1..self.places.len() {
            let Some(place) = self.places.get(number) else { break };
            let hash = self.hash(place.content(buf));
            let mut at = hash as usize & (size - 1);
            while self.slots.get(at).is_some_and(|slot| *slot != 0) {
                at = (at + 1) & (size - 1);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = hash & !0xffff_ffff | number as u64;
            }
        }
    }

    /// The text at `p`: a number of an earlier one, or itself. Gives the position behind it.
    #[inline(always)]
    fn read(&mut self, buf: &[u8], p: usize) -> Read<(Str, usize)> {
        let head = buf.get(p).copied().unwrap_or(0xc1);
        let (number, end) = match head {
            0..=0x7f => (usize::from(head), p + 1),
            0xcd => match buf.get(p + 1..p + 3) {
                Some(&[a, b]) => (usize::from(a) << 8 | usize::from(b), p + 3),
                _ => return Err(Fault::new(p, Bad::Truncated, "")),
            },
            0xcc => match buf.get(p + 1) {
                Some(&a) => (usize::from(a), p + 2),
                None => return Err(Fault::new(p, Bad::Truncated, "")),
            },
            _ => return self.odd(buf, p),
        };
        match self.places.get(number) {
            Some(&text) => Ok((text, end)),
            None => Err(unknown_number(p)),
        }
    }

    #[inline(never)]
    fn odd(&mut self, buf: &[u8], p: usize) -> Read<(Str, usize)> {
        match buf.get(p) {
            None => Err(Fault::new(p, Bad::Truncated, "")),
            Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6) => {
                let (text, end) = reader::text(buf, p).map_err(bad(p, "a string or the number of one"))?;
                let place = Str { at: p as u32, len: (end - p) as u32, key: key_number(text) };
                self.add(buf, text, place);
                Ok((place, end))
            }
            Some(0xc0) => Ok((EMPTY, p + 1)),
            Some(_) => {
                let (number, end) =
                    reader::int_bits(buf, p).map_err(bad(p, "a string or the number of one"))?;
                let text = usize::try_from(number).ok().and_then(|n| self.places.get(n));
                text.map(|&text| (text, end)).ok_or(unknown_number(p))
            }
        }
    }

    /// Passes a value of any kind and collects its texts.
    fn pass(&mut self, buf: &[u8], mut p: usize) -> Read<usize> {
        let mut open = 1usize;
        while open > 0 {
            open -= 1;
            match buf.get(p) {
                Some(0x80..=0x8f | 0xde | 0xdf) => {
                    let (n, q) = reader::map_head(buf, p).map_err(bad(p, "a map"))?;
                    open += 2 * n as usize;
                    p = q;
                }
                Some(0x90..=0x9f | 0xdc | 0xdd) => {
                    let (n, q) = reader::array_head(buf, p).map_err(bad(p, "an array"))?;
                    open += n as usize;
                    p = q;
                }
                Some(0xa0..=0xbf | 0xd9..=0xdb) => p = self.odd(buf, p)?.1,
                _ => p = reader::skip(buf, p).map_err(bad(p, "a value"))?,
            }
            if open > buf.len().saturating_sub(p) {
                return Err(Fault::new(p, Bad::Truncated, ""));
            }
        }
        Ok(p)
    }
}

#[cold]
fn unknown_number(at: usize) -> Fault {
    Fault::new(at, Bad::Type, "the number of a string that came before")
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
            first_fault: None,
        };
        self.texts.clear();
        self.out.clear();
        self.side.clear();
        self.firsts.clear();
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
        self.chunk_pieces(buf, &facts);
        let pieces = &facts.pieces;
        if pieces.metas + pieces.metric_count > 0 || self.firsts.iter().any(|f| f.of_payload.metas > 0) {
            self.put_in(pieces);
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
            first_fault: run.first_fault,
        })
    }

    /// Bytes of memory held.
    pub fn capacity_bytes(&self) -> usize {
        let s = &self.span;
        let outs = [&self.out, &s.meta, &s.metrics, &s.structs, &s.links, &s.events];
        outs.iter().map(|o| o.capacity_bytes()).sum::<usize>()
            + self.texts.slots.capacity() * size_of::<u64>()
            + self.texts.places.capacity() * size_of::<Str>()
            + self.firsts.capacity() * size_of::<First>()
            + self.side.capacity()
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
                    self.span.clear();
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
                    self.span.clear();
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
            self.firsts.push(first);
        }
        self.side.truncate(side);
        Ok(p)
    }

    /// Puts the chunk's entries before those of its first span, which count.
    fn put_in_chunk(&mut self, pieces: &Pieces, first: &mut First) {
        if pieces.metas + pieces.metric_count == 0 {
            return;
        }
        let piece = |range: &std::ops::Range<usize>| self.side.get(range.clone()).unwrap_or(&[]);
        let (meta, metrics) = (piece(&pieces.meta), piece(&pieces.metrics));
        first.metas = first.metas.saturating_add(pieces.metas);
        first.metrics = first.metrics.saturating_add(pieces.metric_count);
        let mut gaps = Gaps::new(&mut self.out, meta.len() + metrics.len());
        gaps.keep_from(first.meta_at + 5);
        gaps.put(meta);
        gaps.head(first.metas);
        gaps.keep_from(first.metrics_at + 5);
        gaps.put(metrics);
        gaps.head(first.metrics);
        first.meta_at += metrics.len();
        first.of_chunk = meta.len();
    }

    /// What the chunk says of its spans, as entries of the first one.
    fn chunk_entries(&mut self, buf: &[u8], facts: &ChunkFacts, high: u64, seen: u32, pieces: &mut Pieces) {
        let missing = |key: u8| seen & (1 << key) == 0;
        // The chunk's attributes stand at the end of `side`, metrics behind meta; what is added goes behind each.
        let priority = match facts.priority {
            Some(p) if facts.dropped && p > 0 => Some(-1),
            None if facts.dropped => Some(-1),
            other => other.filter(|p| *p != i64::from(i8::MIN)),
        };
        if let Some(priority) = priority.filter(|_| missing(PRIORITY)) {
            let start = self.side.len();
            self.side.extend_from_within(pieces.metrics.clone());
            writer::str(&mut self.side, b"_sampling_priority_v1");
            writer::int(&mut self.side, priority);
            pieces.metrics = start..self.side.len();
            pieces.metric_count += 1;
        }
        let tid = high != 0 && missing(TID);
        let origin = facts.origin.len > 1 && missing(ORIGIN);
        let mechanism = facts.mechanism != 0 && missing(MECHANISM);
        if tid || origin || mechanism {
            let start = self.side.len();
            self.side.extend_from_within(pieces.meta.clone());
            if tid {
                writer::str(&mut self.side, b"_dd.p.tid");
                self.side.push(0xa0 | 16);
                self.side.extend((0..16).rev().map(|i| b"0123456789abcdef"[(high >> (4 * i)) as usize & 15]));
            }
            if origin {
                writer::str(&mut self.side, b"_dd.origin");
                self.side.extend_from_slice(facts.origin.raw(buf));
            }
            if mechanism {
                writer::str(&mut self.side, b"_dd.p.dm");
                // Of 20 digits at most; one in practice.
                let mut digits = [b'-'; 21];
                let (mut at, mut rest) = (21, facts.mechanism);
                while rest > 0 {
                    at -= 1;
                    digits[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                writer::str(&mut self.side, digits.get(at - 1..).unwrap_or(&[]));
            }
            pieces.meta = start..self.side.len();
            pieces.metas += u32::from(tid) + u32::from(origin) + u32::from(mechanism);
        }
    }

    /// What the payload says, for the chunks none of whose spans say it.
    fn chunk_pieces(&mut self, buf: &[u8], facts: &PayloadFacts) {
        for (key, name, text) in [
            (ENV, &b"env"[..], facts.env),
            (VERSION, b"version", facts.version),
            (HOSTNAME, b"_dd.hostname", facts.hostname),
        ] {
            if text.len <= 1 {
                continue;
            }
            for first in &mut self.firsts {
                if first.seen & (1 << key) == 0 {
                    let start = self.side.len();
                    self.side.extend_from_within(first.of_payload.meta.clone());
                    writer::str(&mut self.side, name);
                    self.side.extend_from_slice(text.raw(buf));
                    first.of_payload.meta = start..self.side.len();
                    first.of_payload.metas += 1;
                }
            }
        }
    }

    /// Puts in what the payload says: its attributes before all others, its fields behind what the chunk says.
    fn put_in(&mut self, all: &Pieces) {
        let piece = |range: &std::ops::Range<usize>| self.side.get(range.clone()).unwrap_or(&[]);
        let (meta, metrics) = (piece(&all.meta), piece(&all.metrics));
        let more = |first: &First| meta.len() + metrics.len() + first.of_payload.meta.len();
        let mut gaps = Gaps::new(&mut self.out, self.firsts.iter().map(more).sum());
        for first in self.firsts.iter().rev() {
            let own = &first.of_payload;
            gaps.keep_from(first.meta_at + 5 + first.of_chunk);
            gaps.put(piece(&own.meta));
            gaps.keep_from(first.meta_at + 5);
            gaps.put(meta);
            gaps.head(first.metas.saturating_add(all.metas + own.metas));
            gaps.keep_from(first.metrics_at + 5);
            gaps.put(metrics);
            gaps.head(first.metrics.saturating_add(all.metric_count));
        }
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

    fn span(
        &mut self,
        run: &mut Run<'_>,
        at: usize,
        trace_id: u64,
        first: &mut First,
        is_first: bool,
    ) -> Read<usize> {
        let buf = run.buf;
        let (n, mut p) = reader::map_head(buf, at).map_err(bad(at, "a span (a map)"))?;
        let mut f = SpanFields::default();
        let mut seen = 0;
        self.span.clear();
        for _ in 0..n {
            let Some(&key) = buf.get(p) else { return Err(Fault::new(p, Bad::Truncated, "")) };
            let v = p + 1;
            p = match key {
                1 => keep(self.texts.read(buf, v)?, &mut f.service),
                2 => keep(self.texts.read(buf, v)?, &mut f.name),
                3 => keep(self.texts.read(buf, v)?, &mut f.resource),
                4 => id(buf, v, &mut f.span_id)?,
                5 => id(buf, v, &mut f.parent_id)?,
                6 => id(buf, v, &mut f.start)?,
                7 => id(buf, v, &mut f.duration)?,
                8 => match buf.get(v) {
                    Some(&b @ (0xc2 | 0xc3)) => {
                        f.error = b == 0xc3;
                        v + 1
                    }
                    Some(0xc0) => v + 1,
                    Some(_) => return Err(Fault::new(v, Bad::Type, "a boolean")),
                    None => return Err(Fault::new(v, Bad::Truncated, "")),
                },
                9 => {
                    let (keys, end) = self.span.attributes(&mut self.texts, buf, v)?;
                    seen |= keys;
                    end
                }
                10 => keep(self.texts.read(buf, v)?, &mut f.kind),
                11 => self.span.all_links(&mut self.texts, buf, v)?,
                12 => self.span.all_events(&mut self.texts, buf, v)?,
                13 => keep(self.texts.read(buf, v)?, &mut f.promoted[0]),
                14 => keep(self.texts.read(buf, v)?, &mut f.promoted[1]),
                15 => keep(self.texts.read(buf, v)?, &mut f.promoted[2]),
                16 => id(buf, v, &mut f.kind_number)?,
                0x11..=0x7f => self.texts.pass(buf, v)?,
                _ => {
                    let (_, at) = reader::int_bits(buf, p).map_err(bad(p, "a key (an integer)"))?;
                    self.texts.pass(buf, at)?
                }
            };
        }
        if f.start > i64::MAX as u64 || f.duration > i64::MAX as u64 {
            f.start = f.start.min(i64::MAX as u64);
            f.duration = f.duration.min(i64::MAX as u64);
            run.clamped += 1;
        }
        self.span.promoted(buf, &f, seen);
        // Env, version and the like are settled here; only what is left to the payload matters later.
        let has = |key: u8, there: bool| u32::from(there) << key;
        first.seen |= seen | has(ENV, f.promoted[0].len > 1) | has(VERSION, f.promoted[1].len > 1);
        self.write(buf, &f, trace_id, first, is_first);
        Ok(p)
    }

    fn write(&mut self, buf: &[u8], f: &SpanFields, trace_id: u64, first: &mut First, is_first: bool) {
        let (out, s) = (&mut self.out, &self.span);
        let parts = [&s.meta, &s.metrics, &s.structs, &s.links, &s.events];
        let texts = f.service.len + f.name.len + f.resource.len + f.kind.len;
        out.room(512 + texts as usize + parts.iter().map(|o| o.len()).sum::<usize>());
        let entries = 9
            + u32::from(f.kind.len > 0)
            + u32::from(is_first || s.metric_count > 0)
            + u32::from(is_first || s.metas > 0)
            + u32::from(s.struct_count > 0)
            + u32::from(s.links.len() > 0)
            + u32::from(s.events.len() > 0);
        out.map_head(entries);
        out.fixed(b"\xa7service\0\0\0\0\0\0\0\0", 8);
        out.text(buf, f.service);
        out.fixed(b"\xa4name\0\0\0\0\0\0\0\0\0\0\0", 5);
        out.text(buf, f.name);
        out.fixed(b"\xa8resource\0\0\0\0\0\0\0", 9);
        out.text(buf, f.resource);
        out.fixed(b"\xa8trace_id\xcf\0\0\0\0\0\0", 10);
        out.word(trace_id.swap_bytes(), 8);
        out.fixed(b"\xa7span_id\xcf\0\0\0\0\0\0\0", 9);
        out.word(f.span_id.swap_bytes(), 8);
        out.fixed(b"\xa9parent_id\xcf\0\0\0\0\0", 11);
        out.word(f.parent_id.swap_bytes(), 8);
        out.fixed(b"\xa5start\xcf\0\0\0\0\0\0\0\0\0", 7);
        out.word(f.start.swap_bytes(), 8);
        out.fixed(b"\xa8duration\xcf\0\0\0\0\0\0", 10);
        out.word(f.duration.swap_bytes(), 8);
        if f.kind.len > 0 {
            out.fixed(b"\xa4type\0\0\0\0\0\0\0\0\0\0\0", 5);
            out.text(buf, f.kind);
        }
        out.fixed(b"\xa5error\0\0\0\0\0\0\0\0\0\0", 6);
        out.byte(u8::from(f.error));
        if is_first || s.metric_count > 0 {
            out.fixed(b"\xa7metrics\0\0\0\0\0\0\0\0", 8);
            if is_first {
                (first.metrics_at, first.metrics) = (out.len(), s.metric_count);
                out.wide_map_head(s.metric_count);
            } else {
                out.map_head(s.metric_count);
            }
            out.append(&s.metrics);
        }
        if is_first || s.metas > 0 {
            out.fixed(b"\xa4meta\0\0\0\0\0\0\0\0\0\0\0", 5);
            if is_first {
                (first.meta_at, first.metas) = (out.len(), s.metas);
                out.wide_map_head(s.metas);
            } else {
                out.map_head(s.metas);
            }
            out.append(&s.meta);
        }
        if s.struct_count > 0 {
            out.bytes(b"\xabmeta_struct");
            out.map_head(s.struct_count);
            out.append(&s.structs);
        }
        if s.links.len() > 0 {
            out.bytes(b"\xaaspan_links");
            out.append(&s.links);
        }
        if s.events.len() > 0 {
            out.bytes(b"\xabspan_events");
            out.append(&s.events);
        }
    }
}

/// Room before the body for its head.
const HEAD_ROOM: usize = 64;

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
    first_fault: Option<Error>,
}

/// The fields of one span that are not attributes.
#[derive(Default)]
struct SpanFields {
    service: Str,
    name: Str,
    resource: Str,
    kind: Str,
    span_id: u64,
    parent_id: u64,
    start: u64,
    duration: u64,
    error: bool,
    /// env, version, component.
    promoted: [Str; 3],
    kind_number: u64,
}

impl Str {
    /// The text as it stands in the input, with its head.
    fn raw(self, buf: &[u8]) -> &[u8] {
        match self.len {
            0 => &[0xa0],
            len => buf.get(self.at as usize..(self.at + len) as usize).unwrap_or(&[0xa0]),
        }
    }

    /// The text alone.
    fn content(self, buf: &[u8]) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        reader::text(buf, self.at as usize).map_or(&[], |(text, _)| text)
    }
}

impl Out {
    /// A text of the input with its head.
    #[inline(always)]
    fn text(&mut self, buf: &[u8], text: Str) {
        if text.len == 0 {
            self.byte(0xa0);
        } else {
            self.copy(buf, text.at as usize, text.len as usize);
        }
    }

    /// All of another buffer.
    #[inline(always)]
    fn append(&mut self, other: &Out) {
        self.bytes(other.written());
    }

    /// A map head that any count fits in.
    fn wide_map_head(&mut self, n: u32) {
        self.word(0xdf | u64::from(n.swap_bytes()) << 8, 5);
    }
}

impl SpanParts {
    #[inline(always)]
    fn clear(&mut self) {
        self.meta.clear();
        self.metrics.clear();
        self.structs.clear();
        self.links.clear();
        self.events.clear();
        (self.metas, self.metric_count, self.struct_count) = (0, 0, 0);
    }

    /// Copies `meta` and `metrics` to the end of `side`.
    fn to_side(&self, side: &mut Vec<u8>) -> Pieces {
        let mut copy = |from: &Out| {
            let start = side.len();
            side.extend_from_slice(from.written());
            start..side.len()
        };
        Pieces {
            meta: copy(&self.meta),
            metas: self.metas,
            metrics: copy(&self.metrics),
            metric_count: self.metric_count,
        }
    }

    /// Reads a flat list of key, type, value. Gives which of the keys that matter are there, and the position behind.
    fn attributes(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<(u32, usize)> {
        let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array of attributes"))?;
        if n % 3 != 0 {
            return Err(Fault::new(at, Bad::Type, "an array of attributes (key, type, value)"));
        }
        let mut seen = 0;
        // Enough for common texts; longer ones make their own room.
        self.meta.room(24 * (n as usize).min(1024));
        self.metrics.room(16 * (n as usize).min(1024));
        for _ in 0..n / 3 {
            let (key, at) = texts.read(buf, p)?;
            seen |= 1 << key.key;
            match buf.get(at) {
                Some(1) => {
                    let (value, end) = texts.read(buf, at + 1)?;
                    self.meta.text(buf, key);
                    self.meta.text(buf, value);
                    self.metas += 1;
                    p = end;
                }
                Some(3) if buf.get(at + 1) == Some(&0xcb) && at + 10 <= buf.len() => {
                    self.metrics.text(buf, key);
                    self.metrics.copy(buf, at + 1, 9);
                    self.metric_count += 1;
                    p = at + 10;
                }
                _ => {
                    let mut path = std::mem::take(&mut self.path);
                    path.clear();
                    path.extend_from_slice(key.content(buf));
                    let end = self.value(texts, buf, at, &mut path, MAX_DEPTH);
                    self.path = path;
                    p = end?;
                }
            }
        }
        Ok((seen & !1, p))
    }

    /// Type and value at `p`, of the attribute whose key is `path`.
    #[cold]
    fn value(
        &mut self,
        texts: &mut Texts,
        buf: &[u8],
        p: usize,
        path: &mut Vec<u8>,
        depth: u32,
    ) -> Read<usize> {
        let (kind, at) = reader::int_bits(buf, p).map_err(bad(p, "the type of an attribute"))?;
        Ok(match kind {
            1 => {
                let (value, end) = texts.read(buf, at)?;
                self.meta.key(path);
                self.meta.bytes(value.raw(buf));
                self.metas += 1;
                end
            }
            2 => {
                let text: &[u8] = match buf.get(at) {
                    Some(0xc3) => b"\xa4true",
                    Some(0xc2) => b"\xa5false",
                    Some(_) => return Err(Fault::new(at, Bad::Type, "a boolean")),
                    None => return Err(Fault::new(at, Bad::Truncated, "")),
                };
                self.meta.key(path);
                self.meta.bytes(text);
                self.metas += 1;
                at + 1
            }
            3 | 4 => {
                let end = if kind == 3 {
                    match buf.get(at) {
                        Some(0xcb) => reader::number(buf, at).map_err(bad(at, "a 64-bit float"))?.1,
                        Some(_) => return Err(Fault::new(at, Bad::Type, "a 64-bit float")),
                        None => return Err(Fault::new(at, Bad::Truncated, "")),
                    }
                } else {
                    reader::int_bits(buf, at).map_err(bad(at, "an integer"))?.1
                };
                self.metrics.key(path);
                self.metrics.bytes(buf.get(at..end).unwrap_or(&[0]));
                self.metric_count += 1;
                end
            }
            5 => {
                if !matches!(buf.get(at), Some(0xc4..=0xc6)) {
                    return Err(Fault::new(at, Bad::Type, "binary"));
                }
                let end = reader::skip(buf, at).map_err(bad(at, "binary"))?;
                self.structs.key(path);
                self.structs.bytes(buf.get(at..end).unwrap_or(&[0xc0]));
                self.struct_count += 1;
                end
            }
            6 | 7 => {
                if depth == 0 {
                    return Err(Fault::new(p, Bad::Type, "an attribute of fewer levels"));
                }
                let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array"))?;
                let step = if kind == 6 { 2 } else { 3 };
                if n % step != 0 {
                    return Err(Fault::new(at, Bad::Type, "an array of whole entries"));
                }
                let before = path.len();
                for i in 0..n / step {
                    path.push(b'.');
                    if kind == 6 {
                        path.extend_from_slice(i.to_string().as_bytes());
                    } else {
                        let (key, at) = texts.read(buf, p)?;
                        path.extend_from_slice(key.content(buf));
                        p = at;
                    }
                    p = self.value(texts, buf, p, path, depth - 1)?;
                    path.truncate(before);
                }
                p
            }
            _ => return Err(Fault::new(p, Bad::Type, "the type of an attribute (1 to 7)")),
        })
    }

    /// Env, version, component and kind, where no attribute says them.
    #[inline(always)]
    fn promoted(&mut self, buf: &[u8], f: &SpanFields, seen: u32) {
        const KINDS: [(&[u8; 16], usize); 5] = [
            (b"\xa8internal\0\0\0\0\0\0\0", 9),
            (b"\xa6server\0\0\0\0\0\0\0\0\0", 7),
            (b"\xa6client\0\0\0\0\0\0\0\0\0", 7),
            (b"\xa8producer\0\0\0\0\0\0\0", 9),
            (b"\xa8consumer\0\0\0\0\0\0\0", 9),
        ];
        const NAMES: [(&[u8; 16], usize, u8); 3] = [
            (b"\xa3env\0\0\0\0\0\0\0\0\0\0\0\0", 4, ENV),
            (b"\xa7version\0\0\0\0\0\0\0\0", 8, VERSION),
            (b"\xa9component\0\0\0\0\0\0", 10, COMPONENT),
        ];
        let out = &mut self.meta;
        out.room(256);
        if seen & (1 << KIND) == 0
            && let Some((kind, len)) = (f.kind_number as usize).checked_sub(1).and_then(|k| KINDS.get(k))
        {
            out.fixed(b"\xa9span.kind\0\0\0\0\0\0", 10);
            out.fixed(kind, *len);
            self.metas += 1;
        }
        for ((name, len, key), &text) in NAMES.into_iter().zip(&f.promoted) {
            if text.len > 0 && seen & (1 << key) == 0 {
                out.fixed(name, len);
                out.text(buf, text);
                self.metas += 1;
            }
        }
    }

    #[cold]
    fn all_links(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
        let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array of links"))?;
        let mut out = std::mem::take(&mut self.links);
        out.clear();
        out.room(16);
        out.array_head(n);
        for _ in 0..n {
            p = self.link(texts, buf, p, &mut out)?;
        }
        if n == 0 {
            out.clear();
        }
        self.links = out;
        Ok(p)
    }

    fn link(&mut self, texts: &mut Texts, buf: &[u8], at: usize, out: &mut Out) -> Read<usize> {
        let (n, mut p) = reader::map_head(buf, at).map_err(bad(at, "a link (a map)"))?;
        let (mut ids, mut span_id, mut flags, mut state) = ((0, 0), 0, 0, EMPTY);
        let mut attributes = Attributes::default();
        for _ in 0..n {
            let (key, v) = reader::int_bits(buf, p).map_err(bad(p, "a key (an integer)"))?;
            p = match key {
                1 => {
                    let (id, end) = trace_id(buf, v)?;
                    ids = id;
                    end
                }
                2 => id(buf, v, &mut span_id)?,
                3 => attributes.read_texts(texts, buf, v)?,
                4 => keep(texts.read(buf, v)?, &mut state),
                5 => id(buf, v, &mut flags)?,
                _ => texts.pass(buf, v)?,
            };
        }
        let flags = u32::try_from(flags).map_err(|_| Fault::new(at, Bad::Range, "within 32 bits"))?;
        out.room(256);
        let optional = [attributes.count > 0, state.len > 1, flags != 0];
        out.map_head(3 + optional.iter().map(|b| u32::from(*b)).sum::<u32>());
        for (key, id) in [("trace_id", ids.1), ("trace_id_high", ids.0), ("span_id", span_id)] {
            out.key(key.as_bytes());
            out.nine(0xcf, id);
        }
        if attributes.count > 0 {
            out.key(b"attributes");
            out.map_head(attributes.count);
            out.bytes(&attributes.bytes);
        }
        out.room(64);
        if state.len > 1 {
            out.key(b"tracestate");
            out.bytes(state.raw(buf));
        }
        if flags != 0 {
            out.key(b"flags");
            out.uint(u64::from(flags));
        }
        Ok(p)
    }

    #[cold]
    fn all_events(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
        let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array of events"))?;
        let mut out = std::mem::take(&mut self.events);
        out.clear();
        out.room(16);
        out.array_head(n);
        for _ in 0..n {
            p = event(texts, buf, p, &mut out)?;
        }
        if n == 0 {
            out.clear();
        }
        self.events = out;
        Ok(p)
    }
}

fn event(texts: &mut Texts, buf: &[u8], at: usize, out: &mut Out) -> Read<usize> {
    let (n, mut p) = reader::map_head(buf, at).map_err(bad(at, "an event (a map)"))?;
    let (mut time, mut name) = (0, EMPTY);
    let mut attributes = Attributes::default();
    for _ in 0..n {
        let (key, v) = reader::int_bits(buf, p).map_err(bad(p, "a key (an integer)"))?;
        p = match key {
            1 => id(buf, v, &mut time)?,
            2 => keep(texts.read(buf, v)?, &mut name),
            3 => attributes.read_typed(texts, buf, v)?,
            _ => texts.pass(buf, v)?,
        };
    }
    out.room(128);
    out.map_head(2 + u32::from(attributes.count > 0));
    out.key(b"time_unix_nano");
    out.nine(0xcf, time);
    out.key(b"name");
    out.bytes(name.raw(buf));
    if attributes.count > 0 {
        out.key(b"attributes");
        out.map_head(attributes.count);
        out.bytes(&attributes.bytes);
    }
    Ok(p)
}

/// Attributes of a link or an event as entries of a v0.4 map.
#[derive(Default)]
struct Attributes {
    bytes: Vec<u8>,
    count: u32,
}

impl Attributes {
    /// A link's: all values as text, containers as dotted keys.
    fn read_texts(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
        self.triplets(texts, buf, at, &mut Vec::new(), MAX_DEPTH, false)
    }

    /// An event's: with their types, lists of pairs as dotted keys.
    fn read_typed(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
        self.triplets(texts, buf, at, &mut Vec::new(), MAX_DEPTH, true)
    }

    fn triplets(
        &mut self,
        texts: &mut Texts,
        buf: &[u8],
        at: usize,
        path: &mut Vec<u8>,
        depth: u32,
        typed: bool,
    ) -> Read<usize> {
        let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array of attributes"))?;
        if n % 3 != 0 {
            return Err(Fault::new(at, Bad::Type, "an array of attributes (key, type, value)"));
        }
        let before = path.len();
        for _ in 0..n / 3 {
            let (key, at) = texts.read(buf, p)?;
            path.extend_from_slice(key.content(buf));
            p = self.entry(texts, buf, at, path, depth, typed)?;
            path.truncate(before);
        }
        Ok(p)
    }

    fn entry(
        &mut self,
        texts: &mut Texts,
        buf: &[u8],
        p: usize,
        path: &mut Vec<u8>,
        depth: u32,
        typed: bool,
    ) -> Read<usize> {
        let (kind, at) = reader::int_bits(buf, p).map_err(bad(p, "the type of an attribute"))?;
        if depth == 0 {
            return Err(Fault::new(p, Bad::Type, "an attribute of fewer levels"));
        }
        if kind == 7 {
            path.push(b'.');
            return self.triplets(texts, buf, at, path, depth - 1, typed);
        }
        if kind == 6 && !typed {
            let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array"))?;
            if n % 2 != 0 {
                return Err(Fault::new(at, Bad::Type, "an array of whole entries"));
            }
            let before = path.len();
            for i in 0..n / 2 {
                path.push(b'.');
                path.extend_from_slice(i.to_string().as_bytes());
                p = self.entry(texts, buf, p, path, depth - 1, typed)?;
                path.truncate(before);
            }
            return Ok(p);
        }
        writer::str(&mut self.bytes, path);
        self.count += 1;
        if typed { self.typed(texts, buf, p, depth) } else { self.plain(texts, buf, kind, at) }
    }

    /// A value as text.
    fn plain(&mut self, texts: &mut Texts, buf: &[u8], kind: u64, at: usize) -> Read<usize> {
        let (text, end) = match kind {
            1 => {
                let (value, end) = texts.read(buf, at)?;
                self.bytes.extend_from_slice(value.raw(buf));
                return Ok(end);
            }
            2 => {
                let (v, end) = boolean(buf, at)?;
                (v.to_string(), end)
            }
            3 => {
                let (v, end) = reader::number(buf, at).map_err(bad(at, "a 64-bit float"))?;
                (v.to_string(), end)
            }
            4 => {
                let (v, end) = reader::int(buf, at).map_err(bad(at, "an integer"))?;
                (v.to_string(), end)
            }
            5 => {
                let (bytes, end) = reader::text(buf, at).map_err(bad(at, "binary"))?;
                (String::from_utf8_lossy(bytes).into_owned(), end)
            }
            _ => return Err(Fault::new(at, Bad::Type, "a value of type 1 to 7")),
        };
        writer::str(&mut self.bytes, text.as_bytes());
        Ok(end)
    }

    /// Type and value at `p` as v0.4 writes an event's: `{type, string_value | ...}`.
    fn typed(&mut self, texts: &mut Texts, buf: &[u8], p: usize, depth: u32) -> Read<usize> {
        let (kind, at) = reader::int_bits(buf, p).map_err(bad(p, "the type of an attribute"))?;
        if depth == 0 {
            return Err(Fault::new(p, Bad::Type, "an attribute of fewer levels"));
        }
        let out = &mut self.bytes;
        let mut begin = |kind: u8, name: &str| {
            writer::map_head(out, 2);
            writer::str(out, b"type");
            out.push(kind);
            writer::str(out, name.as_bytes());
        };
        Ok(match kind {
            1 => {
                begin(0, "string_value");
                let (value, end) = texts.read(buf, at)?;
                self.bytes.extend_from_slice(value.raw(buf));
                end
            }
            2 => {
                begin(1, "bool_value");
                let (v, end) = boolean(buf, at)?;
                writer::bool(&mut self.bytes, v);
                end
            }
            3 => {
                begin(3, "double_value");
                let (v, end) = reader::number(buf, at).map_err(bad(at, "a 64-bit float"))?;
                writer::f64(&mut self.bytes, v);
                end
            }
            4 => {
                begin(2, "int_value");
                let (v, end) = reader::int(buf, at).map_err(bad(at, "an integer"))?;
                writer::int(&mut self.bytes, v);
                end
            }
            5 => {
                begin(0, "string_value");
                let (bytes, end) = reader::text(buf, at).map_err(bad(at, "binary"))?;
                writer::str(&mut self.bytes, String::from_utf8_lossy(bytes).as_bytes());
                end
            }
            6 => {
                begin(4, "array_value");
                let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array"))?;
                if n % 2 != 0 {
                    return Err(Fault::new(at, Bad::Type, "an array of whole entries"));
                }
                writer::map_head(&mut self.bytes, 1);
                writer::str(&mut self.bytes, b"values");
                writer::array_head(&mut self.bytes, n / 2);
                for _ in 0..n / 2 {
                    p = self.typed(texts, buf, p, depth - 1)?;
                }
                p
            }
            _ => return Err(Fault::new(p, Bad::Type, "the type of an attribute (1 to 7)")),
        })
    }
}

impl Out {
    /// A short text of our own with its head; makes its own room.
    fn key(&mut self, text: &[u8]) {
        self.room(16 + text.len());
        self.str_head(text.len());
        self.bytes(text);
    }
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

fn boolean(buf: &[u8], p: usize) -> Read<(bool, usize)> {
    match buf.get(p) {
        Some(&b @ (0xc2 | 0xc3)) => Ok((b == 0xc3, p + 1)),
        Some(_) => Err(Fault::new(p, Bad::Type, "a boolean")),
        None => Err(Fault::new(p, Bad::Truncated, "")),
    }
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
