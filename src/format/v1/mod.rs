//! v1 out: maps with small integer keys; a text is written where it first occurs and by its number afterwards.
//!
//! What arrives at the intake must not depend on the wire format, so the promotion follows the agent's own conversion
//! of v0.4 (measured): every meta entry stays an attribute, also the promoted `env`, `version`,
//! `component`, `span.kind` and `_dd.p.tid`; a chunk has its last span's trace id, the last `_dd.p.tid`, `_dd.origin`
//! and `_dd.p.dm`; its priority is that of the root, else the last one; the payload has the last `env`, `version`,
//! `_dd.hostname`, `_dd.git.commit.sha` and `_dd.apm_mode`, where the settings say nothing. A nil span is left out.
//! Process tags of the settings are an attribute of the payload, unless its first span says some.
//!
//! Write order: payload 11, 3, 4, 5, 6, 2, 7, 8, 9, 10; chunk 6, 4, 2, 1, 7; span 1, 2, 3, 4, 6, 5, 7, 8, 10, 9, 11 to
//! 16. Start and duration are unsigned here: a negative one becomes 0 and is counted.

mod extras;
mod promoted;

use super::Lost;
use super::both::MetaKeys;
use super::code::Code;
use super::out::Out;
use super::strings::{Interned, StringTable};
use crate::error::Error;
use crate::msgpack::reader;
use crate::settings::Metadata;
use crate::trace::{ChunkState, Payload, Span, Text, flag};
use extras::list_len;
use promoted::{COMPONENT, CONSUMER, ENV, Found, Origin, PRIORITY, Promoted, SERVER, SPAN_KIND, VERSION};

const STRING: u8 = 1;
const BOOL: u8 = 2;
const DOUBLE: u8 = 3;
const INT: u8 = 4;
const BYTES: u8 = 5;
const ARRAY: u8 = 6;

/// Puts a v1 body together from the batches of one payload. The payload must carry no edits: where scan or stages
/// changed text, the changed v0.4 body is made first and scanned again.
#[derive(Debug, Default)]
pub struct Encoder {
    table: StringTable,
    out: Out,
    chunks: u32,
    spans: u64,
    lost: Lost,
    promoted: Promoted,
    /// The settings' process tags belong into the payload: no span says some.
    process_tags: bool,
    top_level: Option<Code>,
    found: Found,
}

/// Tags of the process: of the payload here, on its first span in v0.4.
const PROCESS_TAGS: &[u8] = b"_dd.tags.process";

/// Room before the chunks: payload head, key 11, and the array's head.
const HEAD_ROOM: usize = 64;

impl Encoder {
    /// Starts a body; what the last one held is gone.
    pub fn begin(&mut self) {
        self.table.clear();
        self.out.clear();
        self.out.room(HEAD_ROOM);
        self.out.bytes(&[0; HEAD_ROOM]);
        self.chunks = 0;
        self.spans = 0;
        self.lost = Lost::default();
        self.promoted = Promoted::default();
        self.process_tags = true;
        self.top_level = None;
    }

    /// Adds the chunks of `payload` that are kept.
    pub fn add(&mut self, payload: &Payload<'_>) {
        for chunk in payload.chunks() {
            if chunk.state != ChunkState::Kept {
                continue;
            }
            let spans = payload.chunk_spans(chunk);
            if self.chunks == 0
                && let Some(span) = spans.first()
            {
                self.process_tags = !super::meta_has(payload.bytes, span, PROCESS_TAGS);
            }
            let left_out = spans.iter().filter(|s| s.flags & (flag::DROPPED | flag::NIL) != 0).count() as u32;
            self.chunks += 1;
            self.spans += u64::from(chunk.len - left_out);
            self.out.room(64);
            // What the spans say is put in behind them.
            let head = self.out.len();
            self.out.word(u64::from_le_bytes([0x83, 6, 0xc4, 16, 0, 0, 0, 0]), 4);
            let id = self.out.widen(16) - 16;
            self.out.byte(4);
            self.out.array_head(chunk.len - left_out);
            let mut facts = Origin::default();
            for span in spans {
                // What a span that was left out said of the chunk, the first that stays says now.
                if span.flags & (flag::NIL | flag::DROPPED) != 0 {
                    continue;
                }
                self.found.present = 0;
                self.found.priority_at = 0;
                self.span(payload.bytes, span);
                facts.add(payload.bytes, span, &self.found);
            }
            self.promoted.update(&facts.promoted);
            let id_bytes = u128::from(facts.trace_id_high) << 64 | u128::from(facts.trace_id);
            self.out.patch(id, &id_bytes.to_be_bytes());
            let entries = 3 + u8::from(facts.origin.len > 0) + u8::from(facts.mechanism != 0);
            self.out.patch(head, &[0x80 | entries]);
            self.out.room(64);
            if facts.origin.len > 0 {
                self.view(payload.bytes, 2, facts.origin);
            }
            // Also when there is none: a chunk without this key has priority 0 to the agent, which drops it.
            self.out.byte(1);
            self.out.int(i64::from(facts.priority));
            if facts.mechanism != 0 {
                self.out.byte(7);
                self.out.uint(u64::from(facts.mechanism));
            }
        }
    }

    /// Ends the body and gives it. `bytes` is the payload that was added; the caller's settings come before what the
    /// spans say.
    pub fn finish(&mut self, bytes: &[u8], metadata: &Metadata) -> &[u8] {
        let start = self.assemble(bytes, metadata);
        self.out.written().get(start..).unwrap_or(&[])
    }

    /// Puts what stands beside the chunks behind them; gives where all of it starts.
    fn assemble(&mut self, bytes: &[u8], metadata: &Metadata) -> usize {
        let p = self.promoted;
        let texts: [(u8, &str, Text); 8] = [
            (3, &metadata.language, Text::default()),
            (4, &metadata.language_version, Text::default()),
            (5, &metadata.tracer_version, Text::default()),
            (6, &metadata.runtime_id, Text::default()),
            (2, &metadata.container_id, Text::default()),
            (7, &metadata.env, p.env),
            (8, &metadata.hostname, p.hostname),
            (9, &metadata.version, p.version),
        ];
        let mut entries = 1;
        self.out.room(512);
        for (key, own, span) in texts {
            entries += u32::from(self.field(bytes, key, own, span));
        }
        let commit = !metadata.git_commit_sha.is_empty() || p.git_commit.len > 0;
        let process_tags = if self.process_tags { metadata.process_tags.as_str() } else { "" };
        let attributes =
            u32::from(p.apm_mode.len > 0) + u32::from(commit) + u32::from(!process_tags.is_empty());
        if attributes > 0 {
            entries += 1;
            self.out.byte(10);
            self.out.array_head(attributes * 3);
            for (key, own, span) in [
                (&b"_dd.apm_mode"[..], "", p.apm_mode),
                (b"_dd.git.commit.sha", metadata.git_commit_sha.as_str(), p.git_commit),
                (PROCESS_TAGS, process_tags, Text::default()),
            ] {
                if !own.is_empty() || span.len > 0 {
                    self.own(bytes, key);
                    if own.is_empty() {
                        self.view(bytes, STRING, span);
                    } else {
                        self.out.byte(STRING);
                        self.own(bytes, own.as_bytes());
                    }
                }
            }
        }
        let chunks = self.chunks;
        self.table.release();
        self.out.put_before(HEAD_ROOM, |h| {
            h.map_head(entries);
            h.byte(11);
            h.array_head(chunks);
        })
    }

    /// Chunks and spans added since [`Encoder::begin`]. Nil spans are left out and not counted.
    pub fn counts(&self) -> (u32, u64) {
        (self.chunks, self.spans)
    }

    /// What this payload held that v1 cannot carry.
    pub fn lost(&self) -> Lost {
        self.lost
    }

    /// Bytes of memory that the encoder holds.
    pub fn capacity_bytes(&self) -> usize {
        self.table.capacity_bytes() + self.out.capacity_bytes()
    }

    fn span(&mut self, buf: &[u8], span: &Span) {
        // Enough for common texts; a span of many tiny ones does not need that much.
        let texts = (span.meta.len as usize * 2 + span.metrics.len as usize) * 44;
        self.out.room(256 + texts.min((span.end - span.at) as usize * 2 + 1024));
        let mark = span.flags & flag::ADD_TOP_LEVEL != 0;
        let structs = if span.meta_struct.at == 0 {
            None
        } else {
            reader::map_head(buf, span.meta_struct.at as usize).ok().filter(|(n, _)| *n > 0)
        };
        let attributes = span.meta.len + span.metrics.len + u32::from(mark) + structs.map_or(0, |(n, _)| n);
        let links = list_len(buf, span.links.at);
        let events = list_len(buf, span.events.at);
        let mut entries = 4
            + u32::from(span.service.len > 0)
            + u32::from(span.resource.len > 0)
            + u32::from(span.parent_id != 0)
            + u32::from(span.duration > 0)
            + u32::from(span.error != 0)
            + u32::from(span.kind.len > 0)
            + u32::from(attributes > 0)
            + u32::from(links > 0)
            + u32::from(events > 0);
        // How many entries there are is known when the attributes are written.
        let head = self.out.len();
        self.out.byte(0x80);
        for (key, text) in [(1, span.service), (2, span.name), (3, span.resource)] {
            // The name also when it is empty: not every agent takes a span without one.
            if text.len > 0 || key == 2 {
                self.view(buf, key, text);
            }
        }
        if span.start < 0 || span.duration < 0 {
            self.lost.clamped_times += 1;
        }
        self.out.word(u64::from_le_bytes([4, 0xcf, 0, 0, 0, 0, 0, 0]), 2);
        self.out.word(span.span_id.swap_bytes(), 8);
        self.out.word(u64::from_le_bytes([6, 0xcf, 0, 0, 0, 0, 0, 0]), 2);
        self.out.word((span.start.max(0) as u64).swap_bytes(), 8);
        if span.parent_id != 0 {
            self.out.word(u64::from_le_bytes([5, 0xcf, 0, 0, 0, 0, 0, 0]), 2);
            self.out.word(span.parent_id.swap_bytes(), 8);
        }
        if span.duration > 0 {
            self.out.word(u64::from_le_bytes([7, 0xcf, 0, 0, 0, 0, 0, 0]), 2);
            self.out.word((span.duration as u64).swap_bytes(), 8);
        }
        if span.error != 0 {
            self.out.word(u64::from_le_bytes([8, 0xc3, 0, 0, 0, 0, 0, 0]), 2);
        }
        if span.kind.len > 0 {
            self.view(buf, 10, span.kind);
        }
        if attributes > 0 {
            self.out.byte(9);
            self.out.array_head(attributes * 3);
            self.attributes(buf, span, mark, structs);
        }
        if links > 0 {
            self.out.byte(11);
            // The scan has checked what this reads, here and below: an error cannot happen.
            let _ = self.links(buf, span.links.at as usize);
        }
        if events > 0 {
            self.out.byte(12);
            let _ = self.events(buf, span.events.at as usize);
        }
        self.out.room(128);
        for (key, mark) in [(13, ENV), (14, VERSION), (15, COMPONENT)] {
            if let Some((_, code)) = self.found.get(mark) {
                entries += 1;
                self.out.byte_and_code(key, code);
            }
        }
        let kind = match self.found.get(SPAN_KIND).map(|(_, code)| code.mark()) {
            Some(mark @ SERVER..=CONSUMER) => (mark - SERVER + 2) as u64,
            _ => 1,
        };
        self.out.word(16 | kind << 8, 2);
        if entries <= 15 {
            self.out.patch(head, &[0x80 | entries as u8]);
        } else {
            self.widen_head(head, entries);
        }
    }

    /// A span that has everything: its head does not fit in the byte that was left for it.
    #[cold]
    fn widen_head(&mut self, head: usize, entries: u32) {
        let len = self.out.len() - head - 1;
        self.out.widen(2);
        self.out.shift(head + 1, len, head + 3);
        self.out.patch(head, &[0xde, (entries >> 8) as u8, entries as u8]);
    }

    #[inline(always)]
    fn attributes(&mut self, buf: &[u8], span: &Span, mark: bool, structs: Option<(u32, usize)>) {
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            let (key, value_at) = self.key(buf, p, STRING);
            let key_at = p;
            let (at, len) = super::string_at(buf, value_at);
            let code = self.text(buf, at, len);
            p = at + len;
            if !key.is_plain_meta_key() {
                if key.mark() != 0 {
                    self.found.set(key.mark(), at, len, code);
                }
                if !key.is_meta_key() {
                    let (at, len) = super::string_at(buf, key_at);
                    self.table.set_meta_key(buf, at, len);
                }
            }
        }
        if mark {
            match self.top_level {
                Some(code) => self.out.code(code),
                None => self.first_mark(buf),
            }
            self.out.byte(DOUBLE);
            self.out.nine(0xcb, 1f64.to_bits());
        }
        let mut p = span.metrics.first as usize;
        let behind = span.meta.at > span.metrics.at;
        let mut texts = None;
        for _ in 0..span.metrics.len {
            let (key, value_at) = self.key(buf, p, DOUBLE);
            if !key.is_plain() {
                if behind
                    && key.is_meta_key()
                    && let Some(at) = texts
                        .get_or_insert_with(|| MetaKeys::of(buf, span))
                        .value_of(buf, super::string_at(buf, p))
                {
                    // The text comes behind and counts: it is written in the place of the number.
                    self.out.truncate(self.out.len() - 1);
                    self.out.byte(STRING);
                    self.string(buf, at);
                    p = reader::skip(buf, value_at).unwrap_or(buf.len());
                    continue;
                }
                if key.mark() == PRIORITY {
                    self.found.priority_at = value_at;
                }
            }
            p = value_at;
            if buf.get(p) == Some(&0xcb) {
                self.out.copy(buf, p, 9);
                p += 9;
            } else {
                // nil counts as 0, as with the agent.
                let (v, end) = reader::number(buf, p).unwrap_or((0.0, p + 1));
                self.out.nine(0xcb, v.to_bits());
                p = end;
            }
        }
        if let Some((n, mut p)) = structs {
            for _ in 0..n {
                p = self.string(buf, p);
                self.out.byte(BYTES);
                let end = reader::skip(buf, p).unwrap_or(buf.len());
                self.out.bytes(buf.get(p..end).unwrap_or(&[]));
                p = end;
            }
        }
    }

    #[cold]
    fn first_mark(&mut self, buf: &[u8]) {
        const KEY: &[u8] = b"_top_level";
        self.own(buf, KEY);
        if let Interned::Known(code) = self.table.intern_owned(KEY, buf) {
            self.top_level = Some(code);
        }
    }

    fn field(&mut self, bytes: &[u8], key: u8, own: &str, span: Text) -> bool {
        if own.is_empty() && span.len == 0 {
            return false;
        }
        self.out.room(64);
        if own.is_empty() {
            self.view(bytes, key, span)
        } else {
            self.out.byte(key);
            self.own(bytes, own.as_bytes())
        }
        true
    }

    /// Writes a small key and a text, or its number.
    #[inline(always)]
    fn view(&mut self, buf: &[u8], key: u8, text: Text) {
        let (at, len) = (text.at as usize, text.len as usize);
        match self.table.intern(buf, at, len) {
            Interned::Known(code) => self.out.byte_and_code(key, code),
            new => {
                self.out.byte(key);
                self.new_text(buf, at, len, new);
            }
        }
    }

    /// Writes a text of the payload, or its number; gives the number.
    #[inline(always)]
    fn text(&mut self, buf: &[u8], at: usize, len: usize) -> Code {
        match self.table.intern(buf, at, len) {
            Interned::Known(code) => {
                self.out.code(code);
                code
            }
            new => self.new_text(buf, at, len, new),
        }
    }

    #[inline(never)]
    fn new_text(&mut self, buf: &[u8], at: usize, len: usize, new: Interned) -> Code {
        match new {
            Interned::NewOwned(code, range) => {
                self.out.str_head(range.len());
                self.out.bytes(self.table.owned(range));
                code
            }
            Interned::New(code) | Interned::Known(code) => {
                self.out.str_head(len);
                self.out.copy(buf, at, len);
                code
            }
        }
    }

    /// Writes a text that does not stand in the payload, or its number.
    #[cold]
    fn own(&mut self, buf: &[u8], text: &[u8]) {
        match self.table.intern_owned(text, buf) {
            Interned::Known(code) => self.out.code(code),
            Interned::New(_) | Interned::NewOwned(..) => {
                self.out.room(text.len() + 8);
                self.out.str_head(text.len());
                self.out.bytes(text);
            }
        }
    }

    /// Writes an attribute's key and the type of its value in one store; gives the key's number and the value's place.
    #[inline(always)]
    fn key(&mut self, buf: &[u8], p: usize, kind: u8) -> (Code, usize) {
        let (at, len) = super::string_at(buf, p);
        let code = match self.table.intern(buf, at, len) {
            Interned::Known(code) => {
                self.out.code_and(code, kind);
                code
            }
            new => {
                let code = self.new_text(buf, at, len, new);
                self.out.byte(kind);
                code
            }
        };
        (code, at + len)
    }

    /// Writes the string at `p`, which may be binary or nil; gives the position behind it.
    #[inline(always)]
    fn string(&mut self, buf: &[u8], p: usize) -> usize {
        let (at, len) = super::string_at(buf, p);
        self.text(buf, at, len);
        at + len
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

    fn finish(&mut self, source: &[u8], metadata: &Metadata) -> Result<&[u8], Error> {
        let failed = self.table.failed();
        let start = self.assemble(source, metadata);
        if failed || self.table.failed() || self.out.failed() {
            return Err(Error::out_of_memory("the payload as v1"));
        }
        Ok(self.out.written().get(start..).unwrap_or(&[]))
    }

    fn capacity_bytes(&self) -> usize {
        self.capacity_bytes()
    }
}
