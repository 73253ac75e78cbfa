//! The spans of a payload, told to an encoding one attribute after another: one pass, no object tree.
//!
//! What is known only at the end of a span (kind, status, state) is told there, and what only the chunk knows (the
//! upper half of the trace id) is put into the spans that were written before: neither encoding cares about the
//! order of fields.

use super::super::keys::{self, Losers, Seen};
use super::super::numbers::{Number, number, number_of};
use super::super::parts::{self, Event, Link};
use super::super::source::Source;
use super::super::{Lost, string_at};
use super::{Options, resource};
use crate::error::Error;
use crate::msgpack::reader;
use crate::settings::Metadata;
use crate::trace::{Chunk, ChunkState, Payload, Span, flag};
use std::fmt;
use std::sync::Arc;

/// An encoding: how what a span is becomes bytes.
pub(super) trait Sink: Default + fmt::Debug + Send {
    /// What the format is called, for messages.
    const NAME: &'static str;

    /// Starts a body with these attributes of the resource; empty ones are left out.
    fn begin(&mut self, resource: &[(&str, &str)]);

    /// Starts a span; `size` is how many entries it has and how many bytes it took.
    fn open(&mut self, span: &Opening<'_>, size: (usize, usize));

    /// A text of the span under a key of our own.
    fn own_text(&mut self, key: Own, value: Source<'_>);

    /// A text. The key is a text of the payload, as everywhere here.
    fn text(&mut self, key: Source<'_>, value: Source<'_>);

    /// An integer.
    fn int(&mut self, key: Source<'_>, value: i64);

    /// A number that is no integer, or none at all.
    fn double(&mut self, key: Source<'_>, value: f64);

    /// Bytes.
    fn bytes(&mut self, key: Source<'_>, value: &[u8]);

    /// Takes back the attributes of this span.
    fn restart(&mut self);

    /// Ends the attributes and the fields of a span; links and events follow.
    fn fields(&mut self, end: &Ending<'_>);

    /// The links of a span, at least one.
    fn links<'b>(&mut self, buf: &'b [u8], links: impl Iterator<Item = Link<'b>>);

    /// The events of a span, at least one.
    fn events<'b>(&mut self, buf: &'b [u8], events: impl Iterator<Item = Event<'b>>);

    /// Ends a span. Gives the place of the upper half of its trace id.
    fn close(&mut self) -> usize;

    /// Writes the upper half of a trace id there.
    fn set_high(&mut self, place: usize, high: u64);

    /// Ends the body and gives it; `None`: there was no memory for it.
    fn finish(&mut self) -> Option<&[u8]>;

    /// Bytes of memory held.
    fn capacity_bytes(&self) -> usize;
}

/// What a span begins with.
#[derive(Debug)]
pub(super) struct Opening<'b> {
    /// Upper half of the trace id, as far as it is known.
    pub(super) high: u64,
    pub(super) low: u64,
    pub(super) id: u64,
    /// 0: none.
    pub(super) parent: u64,
    pub(super) name: Source<'b>,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What is known of a span at its end.
#[derive(Debug)]
pub(super) struct Ending<'b> {
    pub(super) kind: u8,
    pub(super) state: &'b [u8],
    /// The message, of an error.
    pub(super) error: Option<&'b [u8]>,
    pub(super) sampled: bool,
    /// Attributes left out.
    pub(super) dropped: u32,
}

/// Keys of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Service,
    Operation,
    Type,
    Resource,
}

impl Own {
    pub(super) const ALL: [Own; 4] = [Own::Service, Own::Operation, Own::Type, Own::Resource];

    pub(super) const fn key(self) -> &'static str {
        match self {
            Own::Service => "service.name",
            Own::Operation => "operation.name",
            Own::Type => "span.type",
            Own::Resource => "resource.name",
        }
    }
}

/// Puts an OTLP body together from the batches of one payload, which must carry no edits.
#[derive(Debug)]
pub(super) struct Encoder<S> {
    options: Arc<Options>,
    sink: S,
    seen: Seen,
    losers: Losers,
    /// Places of the upper half of the trace id in spans that were written before it was known.
    open: Vec<usize>,
    service: Vec<u8>,
    chunks: u32,
    spans: u64,
    lost: Lost,
}

const SPAN_KIND: &[u8] = b"span.kind";
const TRACE_ID_HIGH: &[u8] = b"_dd.p.tid";
const ERROR_MSG: &[u8] = b"error.msg";
const ERROR_MESSAGE: &[u8] = b"error.message";
const TRACE_STATE: &[u8] = b"tracestate";
/// The resource says it; on a span it would be told twice.
const EXPORT: &[u8] = b"_dd.sdk.otlp_export";
const PRIORITY: &[u8] = b"_sampling_priority_v1";
const TOP_LEVEL: &[u8] = b"_top_level";

const fn first(key: &[u8]) -> u64 {
    let (mut word, mut i) = (0, 0);
    while i < 8 && i < key.len() {
        word |= (key[i] as u64) << (8 * i);
        i += 1;
    }
    word
}

const FIRST_OF_SPAN_KIND: u64 = first(SPAN_KIND);
const FIRST_OF_TRACE_ID_HIGH: u64 = first(TRACE_ID_HIGH);
const FIRST_OF_ERROR_MSG: u64 = first(ERROR_MSG);
const FIRST_OF_ERROR_MESSAGE: u64 = first(ERROR_MESSAGE);
const FIRST_OF_TRACE_STATE: u64 = first(TRACE_STATE);
const FIRST_OF_EXPORT: u64 = first(EXPORT);

/// What the attributes of a span say of the span itself: places of values, 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    kind: usize,
    state: usize,
    error_msg: usize,
    error_message: usize,
    high: usize,
    priority: usize,
    dropped: u32,
    /// A key may have come twice.
    suspicious: bool,
}

impl<S: Sink> Encoder<S> {
    pub(super) fn new(options: Arc<Options>) -> Self {
        Self {
            options,
            sink: S::default(),
            seen: Seen::default(),
            losers: Losers::default(),
            open: Vec::new(),
            service: Vec::new(),
            chunks: 0,
            spans: 0,
            lost: Lost::default(),
        }
    }

    fn chunk(&mut self, payload: &Payload<'_>, chunk: &Chunk) {
        let buf = payload.bytes;
        let (mut high, mut known) = (0, false);
        self.open.clear();
        // With OpenTelemetry's semantics a trace is sampled or not, as its first span with a priority says.
        let sampled = self.options.open_telemetry_semantics.then(|| {
            let spans = payload.chunk_spans(chunk).iter();
            let mut priorities = spans.filter_map(|span| number_of(buf, span.metrics, PRIORITY));
            priorities.next().is_some_and(|priority| priority > 0.0)
        });
        for span in payload.chunk_spans(chunk) {
            if span.flags & (flag::DROPPED | flag::NIL) != 0 {
                continue;
            }
            self.spans += 1;
            let (place, said) = self.span(buf, span, high, sampled);
            if known {
                continue;
            }
            self.open.push(place);
            if let Some(found) = hex(parts::text(buf, said.high)).filter(|_| said.high != 0) {
                (high, known) = (found, true);
                for place in self.open.drain(..) {
                    self.sink.set_high(place, high);
                }
            }
        }
    }

    #[inline]
    fn span(&mut self, buf: &[u8], span: &Span, high: u64, sampled: Option<bool>) -> (usize, Said) {
        let end = span.start.saturating_add(span.duration);
        let overflows = span.start.checked_add(span.duration).is_none();
        self.lost.clamped_times += u64::from(span.start < 0 || end < 0 || overflows);
        let opening = Opening {
            high,
            low: span.trace_id,
            id: span.span_id,
            parent: span.parent_id,
            name: Source::of(buf, span.resource),
            start: span.start.max(0) as u64,
            end: end.max(0) as u64,
        };
        let entries = (span.meta.len + span.metrics.len) as usize + 8;
        self.sink.open(&opening, (entries, (span.end - span.at) as usize));
        let mut said = self.attributes(buf, span, None);
        if said.suspicious {
            self.sink.restart();
            let mut losers = std::mem::take(&mut self.losers);
            losers.find(buf, span, self.own(buf, span).map(|(own, _)| own.key()));
            said = self.attributes(buf, span, Some(&losers));
            self.losers = losers;
        }
        let kind = match said.kind {
            0 => kind_of_type(Source::of(buf, span.kind).bytes()),
            at => kind_of_tag(parts::text(buf, at)),
        };
        let text = |at: usize| if at == 0 { &[][..] } else { parts::text(buf, at) };
        let message = if said.error_msg != 0 { said.error_msg } else { said.error_message };
        self.sink.fields(&Ending {
            kind,
            state: text(said.state),
            error: (span.error != 0).then(|| text(message)),
            sampled: sampled
                .unwrap_or_else(|| said.priority != 0 && number(buf, said.priority).0.as_double() >= 1.0),
            dropped: said.dropped,
        });
        if span.links.at | span.events.at != 0 {
            self.lists(buf, span);
        }
        (self.sink.close(), said)
    }

    #[cold]
    fn lists(&mut self, buf: &[u8], span: &Span) {
        let elements = |at: u32| parts::elements(buf, at as usize);
        if span.links.at != 0 && elements(span.links.at).next().is_some() {
            self.sink.links(buf, elements(span.links.at).map(|at| parts::link(buf, at)));
        }
        if span.events.at != 0 && elements(span.events.at).next().is_some() {
            self.sink.events(buf, elements(span.events.at).map(|at| parts::event(buf, at)));
        }
    }

    /// Our own attributes of a span, with their values.
    #[inline(always)]
    fn own<'b>(
        &self,
        buf: &'b [u8],
        span: &Span,
    ) -> impl Iterator<Item = (Own, Source<'b>)> + Clone + use<'b, S> {
        let values = [span.service, span.name, span.kind, span.resource].map(|text| Source::of(buf, text));
        let same = values[0].bytes() == self.service;
        let on = !self.options.open_telemetry_semantics;
        let all = Own::ALL.into_iter().zip(values);
        all.filter(move |(own, value)| on && value.len > 0 && !(*own == Own::Service && same))
    }

    /// Tells all attributes of a span. Without `losers` it only looks whether a key may have come twice, and says
    /// so; with them it leaves out what they name.
    #[inline(always)]
    fn attributes(&mut self, buf: &[u8], span: &Span, losers: Option<&Losers>) -> Said {
        let mut said = Said::default();
        let mut left = self.options.max_attributes.unwrap_or(u32::MAX);
        let semantics = self.options.open_telemetry_semantics;
        self.seen.begin();
        for (own, value) in self.own(buf, span) {
            if losers.is_none() {
                let key = own.key().as_bytes();
                self.seen.repeats(first(key), key, 0, key.len());
            }
            if left == 0 {
                said.dropped += 1;
                continue;
            }
            left -= 1;
            self.sink.own_text(own, value);
        }
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            let (at, len) = string_at(buf, p);
            let (value_at, value_len) = string_at(buf, at + len);
            let place = at + len;
            p = value_at + value_len;
            let word = keys::word(buf, at, len);
            match losers {
                None => said.suspicious |= self.seen.repeats(word, buf, at, len),
                Some(losers) if losers.has(at) => continue,
                Some(_) => {}
            }
            let key = Source::new(buf, at, len);
            if matches!(len, 9 | 10 | 13 | 19) {
                match word {
                    FIRST_OF_SPAN_KIND if key.bytes() == SPAN_KIND => {
                        said.kind = place;
                        if semantics {
                            continue;
                        }
                    }
                    FIRST_OF_TRACE_ID_HIGH if key.bytes() == TRACE_ID_HIGH => said.high = place,
                    FIRST_OF_ERROR_MSG if key.bytes() == ERROR_MSG => {
                        said.error_msg = place;
                        if semantics {
                            continue;
                        }
                    }
                    FIRST_OF_ERROR_MESSAGE if key.bytes() == ERROR_MESSAGE => {
                        said.error_message = place;
                        if semantics {
                            continue;
                        }
                    }
                    FIRST_OF_TRACE_STATE if key.bytes() == TRACE_STATE => said.state = place,
                    FIRST_OF_EXPORT if key.bytes() == EXPORT => continue,
                    _ => {}
                }
            }
            if left == 0 {
                said.dropped += 1;
                continue;
            }
            left -= 1;
            self.sink.text(key, Source::new(buf, value_at, value_len));
        }
        p = span.metrics.first as usize;
        for _ in 0..span.metrics.len {
            let (at, len) = string_at(buf, p);
            let place = at + len;
            let (value, end) = number(buf, place);
            p = end;
            match losers {
                None => said.suspicious |= self.seen.repeats(keys::word(buf, at, len), buf, at, len),
                Some(losers) if losers.has(at) => continue,
                Some(_) => {}
            }
            let key = Source::new(buf, at, len);
            if len == PRIORITY.len() && key.bytes() == PRIORITY {
                said.priority = place;
            }
            if left == 0 {
                said.dropped += 1;
                continue;
            }
            left -= 1;
            match value {
                Number::Int(v) => self.sink.int(key, v),
                // OTLP's integers are for what is one.
                Number::Double(0.0) => self.sink.int(key, 0),
                Number::Double(v) => self.sink.double(key, v),
            }
        }
        if span.flags & flag::ADD_TOP_LEVEL != 0 {
            if left == 0 {
                said.dropped += 1;
            } else {
                left -= 1;
                self.sink.int(Source::whole(TOP_LEVEL), 1);
            }
        }
        if span.meta_struct.at != 0 {
            self.structs(buf, span, losers, (left, &mut said));
        }
        said
    }

    #[cold]
    fn structs(
        &mut self,
        buf: &[u8],
        span: &Span,
        losers: Option<&Losers>,
        (mut left, said): (u32, &mut Said),
    ) {
        let map = keys::meta_struct(buf, span);
        let mut p = map.first as usize;
        for _ in 0..map.len {
            let (at, len) = string_at(buf, p);
            let value = parts::text(buf, at + len);
            p = reader::skip(buf, at + len).unwrap_or(buf.len());
            match losers {
                None => said.suspicious |= self.seen.repeats(keys::word(buf, at, len), buf, at, len),
                Some(losers) if losers.has(at) => continue,
                Some(_) => {}
            }
            if left == 0 {
                said.dropped += 1;
                continue;
            }
            left -= 1;
            self.sink.bytes(Source::new(buf, at, len), value);
        }
    }
}

impl<S: Sink> super::super::Encoder for Encoder<S> {
    fn begin(&mut self, metadata: &Metadata) {
        self.sink.begin(&resource(metadata, &self.options));
        self.service.clear();
        self.service.extend_from_slice(metadata.service.as_bytes());
        (self.chunks, self.spans, self.lost) = (0, 0, Lost::default());
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        for chunk in batch.chunks().iter().filter(|chunk| chunk.state == ChunkState::Kept) {
            self.chunks += 1;
            self.chunk(batch, chunk);
        }
    }

    fn counts(&self) -> (u32, u64) {
        (self.chunks, self.spans)
    }

    fn lost(&self) -> Lost {
        self.lost
    }

    fn finish(&mut self, _source: &[u8], _metadata: &Metadata) -> Result<&[u8], Error> {
        self.sink.finish().ok_or_else(|| Error::out_of_memory(S::NAME))
    }

    fn capacity_bytes(&self) -> usize {
        self.sink.capacity_bytes()
            + self.open.capacity() * size_of::<usize>()
            + self.losers.capacity_bytes()
            + size_of::<Seen>()
    }
}

/// A number of up to sixteen hex digits.
fn hex(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let is_hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex { u64::from_str_radix(text, 16).ok() } else { None }
}

const UNSPECIFIED: u8 = 0;
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;

fn kind_of_tag(tag: &[u8]) -> u8 {
    let is = |name: &[u8]| tag.eq_ignore_ascii_case(name);
    match tag.len() {
        6 if is(b"server") => SERVER,
        6 if is(b"client") => CLIENT,
        8 if is(b"internal") => INTERNAL,
        8 if is(b"producer") => PRODUCER,
        8 if is(b"consumer") => CONSUMER,
        _ => UNSPECIFIED,
    }
}

fn kind_of_type(kind: &[u8]) -> u8 {
    let is = |name: &[u8]| kind.eq_ignore_ascii_case(name);
    match kind_of_tag(kind) {
        UNSPECIFIED if is(b"web") || is(b"http") => SERVER,
        UNSPECIFIED => INTERNAL,
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_from_the_tag_else_from_the_type() {
        for (tag, kind) in [("SERVER", 2), ("Client", 3), ("internal", 1), ("web", 0), ("", 0)] {
            assert_eq!(kind_of_tag(tag.as_bytes()), kind, "{tag}");
        }
        for (name, kind) in [("web", 2), ("HTTP", 2), ("sql", 1), ("", 1), ("consumer", 5), ("internal", 1)] {
            assert_eq!(kind_of_type(name.as_bytes()), kind, "{name}");
        }
        assert_eq!(hex(b"640cfd8d00000000"), Some(0x640c_fd8d_0000_0000));
        for bad in [&b""[..], b"+1", b"xyz", b"11112222333344445"] {
            assert_eq!(hex(bad), None);
        }
    }
}
