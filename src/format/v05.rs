//! v0.5 out: `[strings, chunks]`; a span is twelve values, texts are numbers of the string table.
//!
//! Order of a span: service, name, resource, trace id, span id, parent id, start, duration, error, meta, metrics, type.
//! Texts are numbered in the order service, name, resource, meta, links and events, metric keys, type; number 0 is "".
//! Links and events have no place of their own and go into `meta` as `_dd.span_links` and `events`, unless the tracer has
//! put them there itself; `meta_struct` cannot be carried and is counted. The upper half of a 128-bit trace id stays in
//! `_dd.p.tid`.

use super::out::Out;
use super::strings::{Code, Interned, StringTable};
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
    strings: Out,
    body: Out,
    out: Out,
    json: String,
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
        self.strings.room(1);
        self.strings.byte(0xa0);
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
        self.out.clear();
        self.out.room(16 + self.strings.len() + self.body.len());
        self.out.byte(0x92);
        self.out.array_head(self.table.len());
        self.out.bytes(self.strings.written());
        self.out.array_head(self.chunks);
        self.out.bytes(self.body.written());
        self.out.written()
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
        self.table.capacity_bytes()
            + self.strings.capacity_bytes()
            + self.body.capacity_bytes()
            + self.out.capacity_bytes()
    }

    fn span(&mut self, payload: &Payload<'_>, span: &Span) {
        let buf = payload.bytes;
        self.body.room(160 + span.meta.len as usize * 10 + span.metrics.len as usize * 14);
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
            p = self.string(buf, p);
            p = self.string(buf, p);
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
        self.lost.meta_structs += u64::from(holds_entries(buf, span.meta_struct.at as usize));
        let has = |key: &[u8]| super::meta_has(buf, span, key);
        let links =
            span.links.at != 0 && !has(b"_dd.span_links") && holds_entries(buf, span.links.at as usize);
        let events = span.events.at != 0 && !has(b"events") && holds_entries(buf, span.events.at as usize);
        self.meta(buf, span, u32::from(links) + u32::from(events));
        for (there, key, at, write) in [
            (links, &b"_dd.span_links"[..], span.links.at, json::links as fn(&[u8], usize, &mut String) -> _),
            (events, b"events", span.events.at, json::events),
        ] {
            if there {
                let mut text = std::mem::take(&mut self.json);
                text.clear();
                // The scan has checked what this reads; an error leaves the text as far as it came.
                let _ = write(buf, at as usize, &mut text);
                for part in [key, text.as_bytes()] {
                    let code = own_text(&mut self.table, &mut self.strings, buf, part);
                    self.body.code(code);
                }
                self.json = text;
            }
        }
    }

    #[inline(always)]
    fn metrics(&mut self, buf: &[u8], span: &Span) {
        let mark = span.flags & flag::ADD_TOP_LEVEL != 0;
        self.body.map_head(span.metrics.len + u32::from(mark));
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
            p = self.string(buf, p);
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
        Ok(self.finish())
    }

    fn capacity_bytes(&self) -> usize {
        self.capacity_bytes()
    }
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

fn add(strings: &mut Out, src: &[u8], at: usize, len: usize) {
    strings.room(len + 8);
    strings.str_head(len);
    strings.copy(src, at, len);
}

fn holds_entries(buf: &[u8], at: usize) -> bool {
    let entries = || match buf.get(at) {
        Some(0x80..=0x8f | 0xde | 0xdf) => reader::map_head(buf, at).map_or(0, |(n, _)| n),
        _ => reader::array_head(buf, at).map_or(0, |(n, _)| n),
    };
    at != 0 && entries() > 0
}
