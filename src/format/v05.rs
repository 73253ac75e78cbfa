//! v0.5 out: `[strings, chunks]`; a span is twelve values, texts are numbers of the string table.
//!
//! Order of a span: service, name, resource, trace id, span id, parent id, start, duration, error, meta, metrics, type.
//! Texts are numbered in the order service, name, resource, meta, links and events, metric keys, type; number 0 is "".
//! Links and events have no place of their own and go into `meta` as `_dd.span_links` and `events`, unless the tracer
//! has put them there itself; `meta_struct` cannot be carried and is counted. The upper half of a 128-bit trace id
//! stays in
//! `_dd.p.tid`.

use super::both::MetaKeys;
use super::code::Code;
use super::out::Out;
use super::strings::{Interned, StringTable};
use super::{Lost, json};
use crate::error::Error;
use crate::msgpack::reader;
use crate::settings::Metadata;
use crate::trace::{ChunkState, Payload, Span, Text, flag};

/// Puts a v0.5 body together from the batches of one payload. The payload must carry no edits: where scan or stages
/// changed text, the changed v0.4 body is made first and scanned again.
#[derive(Debug, Default)]
pub struct Encoder {
    table: StringTable,
    /// The strings, with room for the head before them; at the end the body behind them.
    strings: Out,
    /// Where the strings end.
    end: usize,
    body: Out,
    top_level: Option<Code>,
    chunks: u32,
    spans: u64,
    lost: Lost,
}

impl Encoder {
    /// Starts a body; what the last one held is gone.
    pub fn begin(&mut self) {
        self.table.clear();
        self.strings.clear();
        self.strings.bytes(&[0; HEAD_ROOM]);
        self.strings.room(1);
        self.strings.byte(0xa0);
        self.end = 0;
        self.body.clear();
        self.top_level = None;
        self.chunks = 0;
        self.spans = 0;
        self.lost = Lost::default();
    }

    /// Adds the chunks of `payload` that are kept.
    pub fn add(&mut self, payload: &Payload<'_>) {
        for chunk in payload.chunks() {
            if chunk.state != ChunkState::Kept {
                continue;
            }
            self.chunks += 1;
            self.spans += u64::from(chunk.len - chunk.dropped);
            self.body.room(8);
            self.body.array_head(chunk.len - chunk.dropped);
            for span in payload.chunk_spans(chunk) {
                if span.flags & flag::DROPPED == 0 {
                    self.span(payload, span);
                }
            }
        }
    }

    /// Ends the body and gives it.
    pub fn finish(&mut self) -> &[u8] {
        let start = self.assemble();
        self.strings.written().get(start..).unwrap_or(&[])
    }

    /// Puts the body behind the strings; gives where all of it starts.
    fn assemble(&mut self) -> usize {
        if self.end == 0 {
            self.end = self.strings.len();
        }
        self.table.release();
        self.strings.truncate(self.end);
        self.strings.reserve_exact(2048 + self.body.len());
        self.strings.room(16);
        self.strings.array_head(self.chunks);
        self.strings.bytes(self.body.written());
        let texts = self.table.len();
        self.strings.put_before(HEAD_ROOM, |out| {
            out.byte(0x92);
            out.array_head(texts);
        })
    }

    /// Chunks and spans added since [`Encoder::begin`].
    pub fn counts(&self) -> (u32, u64) {
        (self.chunks, self.spans)
    }

    /// What this payload held that v0.5 cannot carry.
    pub fn lost(&self) -> Lost {
        self.lost
    }

    /// Bytes of memory that the encoder holds.
    pub fn capacity_bytes(&self) -> usize {
        self.table.capacity_bytes() + self.strings.capacity_bytes() + self.body.capacity_bytes()
    }

    fn span(&mut self, payload: &Payload<'_>, span: &Span) {
        let buf = payload.bytes;
        let tags = span.meta.len as usize * 10 + span.metrics.len as usize * 14;
        self.body.room(160 + tags.min((span.end - span.at) as usize * 2 + 1024));
        self.body.byte(0x9c);
        for text in [span.service, span.name, span.resource] {
            let code = self.view(buf, text);
            self.body.code(code);
        }
        self.body.uint(span.trace_id);
        self.body.uint(span.span_id);
        self.body.uint(span.parent_id);
        self.body.int(span.start);
        self.body.int(span.duration);
        self.body.int(i64::from(span.error));
        let extra = span.links.at | span.events.at | span.meta_struct.at != 0;
        if extra {
            self.meta_with_extras(buf, span)
        } else {
            self.meta(buf, span, 0)
        };
        self.metrics(buf, span);
        let code = self.view(buf, span.kind);
        self.body.code(code);
    }

    #[inline(always)]
    fn view(&mut self, buf: &[u8], text: Text) -> Code {
        self.text(buf, text.at as usize, text.len as usize)
    }

    /// The number of a text of the payload, which goes into the strings if it is new.
    #[inline(always)]
    fn text(&mut self, buf: &[u8], at: usize, len: usize) -> Code {
        match self.table.intern(buf, at, len) {
            Interned::Known(code) => code,
            Interned::New(code) => {
                add(&mut self.strings, buf, at, len);
                code
            }
            Interned::NewOwned(code, range) => {
                add(&mut self.strings, self.table.owned(range.clone()), 0, range.len());
                code
            }
        }
    }

    #[inline(always)]
    fn meta(&mut self, buf: &[u8], span: &Span, more: u32) {
        self.body.map_head(span.meta.len + more);
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            let (at, len) = super::string_at(buf, p);
            let key = self.text(buf, at, len);
            if !key.is_meta_key() {
                self.table.set_meta_key(buf, at, len);
            }
            self.body.code(key);
            p = self.string(buf, at + len);
        }
    }

    /// Writes the number of the string at `p`.
    #[inline(always)]
    fn string(&mut self, buf: &[u8], p: usize) -> usize {
        let (at, len) = super::string_at(buf, p);
        let code = self.text(buf, at, len);
        self.body.code(code);
        at + len
    }

    #[cold]
    fn meta_with_extras(&mut self, buf: &[u8], span: &Span) {
        self.lost.meta_structs += u64::from(super::holds_entries(buf, span.meta_struct.at));
        let has = |key: &[u8]| super::meta_has(buf, span, key);
        let links = span.links.at != 0 && !has(b"_dd.span_links") && super::holds_entries(buf, span.links.at);
        let events = span.events.at != 0 && !has(b"events") && super::holds_entries(buf, span.events.at);
        self.meta(buf, span, u32::from(links) + u32::from(events));
        for (there, key, at, write) in [
            (links, &b"_dd.span_links"[..], span.links.at, json::links as fn(&[u8], usize, &mut Out) -> _),
            (events, b"events", span.events.at, json::events),
        ] {
            if there {
                let code = own_text(&mut self.table, &mut self.strings, buf, key);
                self.body.code(code);
                // The scan has checked what this reads; an error leaves the text as far as it came.
                let code = self.long_text(buf, |out| {
                    let _ = write(buf, at as usize, out);
                });
                self.body.code(code);
            }
        }
    }

    /// The number of a text that is written where the strings end: it may be large, and is copied nowhere.
    fn long_text(&mut self, buf: &[u8], write: impl FnOnce(&mut Out)) -> Code {
        const HEAD: usize = 5;
        let start = self.strings.len();
        self.strings.bytes(&[0; HEAD]);
        write(&mut self.strings);
        let len = self.strings.len() - start - HEAD;
        if len <= ONCE {
            let mut text = [0; ONCE];
            let written = self.strings.written().get(start + HEAD..).unwrap_or(&[]);
            let Some(text) = text.get_mut(..written.len()) else { return Code::EMPTY };
            text.copy_from_slice(written);
            self.strings.truncate(start);
            return own_text(&mut self.table, &mut self.strings, buf, text);
        }
        let body = start + HEAD;
        self.strings.room(16);
        self.strings.str_head(len);
        let head = self.strings.len() - body - len;
        // The head was written behind the text; text and head change places.
        let mut bytes = [0; HEAD];
        if let (Some(to), Some(from)) = (bytes.get_mut(..head), self.strings.written().get(body + len..)) {
            to.copy_from_slice(from);
        }
        self.strings.patch(start, &bytes);
        self.strings.shift(body, len, start + head);
        self.strings.truncate(start + head + len);
        self.table.number_of_its_own()
    }

    #[inline(always)]
    fn metrics(&mut self, buf: &[u8], span: &Span) {
        let start = self.body.len();
        if !self.metrics_but(buf, span, None) {
            // Some keys may be those of texts too, which come behind and count.
            let texts = MetaKeys::of(buf, span);
            self.body.truncate(start);
            self.metrics_but(buf, span, Some(&texts));
        }
    }

    /// Writes the metrics without those that are in `texts`. Without `texts` it stops where a key may be the key of a
    /// text, and says so.
    #[inline(always)]
    fn metrics_but(&mut self, buf: &[u8], span: &Span, texts: Option<&MetaKeys<'_>>) -> bool {
        let behind = span.meta.at > span.metrics.at && texts.is_none();
        let lost = texts.map_or(0, |texts| lost_metrics(buf, span, texts));
        let mark = span.flags & flag::ADD_TOP_LEVEL != 0;
        self.body.map_head(span.metrics.len - lost + u32::from(mark));
        if mark {
            let code = match self.top_level {
                Some(code) => code,
                None => {
                    *self.top_level.insert(own_text(&mut self.table, &mut self.strings, buf, b"_top_level"))
                }
            };
            self.body.code(code);
            self.body.nine(0xcb, 1f64.to_bits());
        }
        let mut p = span.metrics.first as usize;
        for _ in 0..span.metrics.len {
            let (at, len) = super::string_at(buf, p);
            p = at + len;
            if lost > 0 && texts.is_some_and(|texts| texts.value_of(buf, (at, len)).is_some()) {
                p = reader::skip(buf, p).unwrap_or(buf.len());
                continue;
            }
            let key = self.text(buf, at, len);
            if behind && key.is_meta_key() {
                return false;
            }
            self.body.code(key);
            // A number as it is; nil, which the table form does not know, is 0.
            let end = match buf.get(p) {
                Some(0xcb) => p + 9,
                Some(0..=0x7f | 0xe0..=0xff) => p + 1,
                Some(0xc0) => {
                    self.body.byte(0);
                    p += 1;
                    continue;
                }
                _ => reader::skip(buf, p).unwrap_or(buf.len()),
            };
            self.body.copy(buf, p, end - p);
            p = end;
        }
        true
    }
}

impl super::Encoder for Encoder {
    fn begin(&mut self, _metadata: &Metadata) {
        self.begin();
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        self.add(batch);
    }

    fn counts(&self) -> (u32, u64) {
        self.counts()
    }

    fn lost(&self) -> Lost {
        self.lost()
    }

    fn finish(&mut self, _source: &[u8], _metadata: &Metadata) -> Result<&[u8], Error> {
        let start = self.assemble();
        if self.table.failed() || self.strings.failed() || self.body.failed() {
            return Err(Error::out_of_memory("the payload as v0.5"));
        }
        Ok(self.strings.written().get(start..).unwrap_or(&[]))
    }

    fn capacity_bytes(&self) -> usize {
        self.capacity_bytes()
    }
}

/// How many metrics of a span have the key of a text.
#[cold]
fn lost_metrics(buf: &[u8], span: &Span, texts: &MetaKeys<'_>) -> u32 {
    let mut lost = 0;
    let mut p = span.metrics.first as usize;
    for _ in 0..span.metrics.len {
        let (at, len) = super::string_at(buf, p);
        lost += u32::from(texts.value_of(buf, (at, len)).is_some());
        p = reader::skip(buf, at + len).unwrap_or(buf.len());
    }
    lost
}

/// The number of a text that does not stand in the payload.
#[cold]
fn own_text(table: &mut StringTable, strings: &mut Out, buf: &[u8], text: &[u8]) -> Code {
    match table.intern_owned(text, buf) {
        Interned::Known(code) => code,
        Interned::New(code) | Interned::NewOwned(code, _) => {
            add(strings, text, 0, text.len());
            code
        }
    }
}

/// Room before the strings for the head of the body.
const HEAD_ROOM: usize = 64;

/// Texts of links and events up to this length are looked for among the texts of the payload.
const ONCE: usize = 1024;

fn add(strings: &mut Out, src: &[u8], at: usize, len: usize) {
    strings.room(len + 8);
    strings.str_head(len);
    strings.copy(src, at, len);
}
