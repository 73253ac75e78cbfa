//! The spans of a payload, told to an encoding one attribute after another: one pass, no object tree.
//!
//! What is known only at the end of a span (kind, status, state) is told there, and what only the chunk knows (the
//! upper half of the trace id) is put into the spans that were written before: neither encoding cares about the
//! order of fields.

use super::super::keys::{self, Keys, Losers, Seen, Words};
use super::super::numbers::{Number, number, number_of};
use super::super::pairs::{NumberPair, Pair};
use super::super::parts::{self, Event, Link};
use super::super::source::Source;
use super::super::{Lost, string_at};
use super::kinds::{kind_of_tag, kind_of_type};
use super::{Options, resource};
use crate::error::Error;
use crate::msgpack::reader;
use crate::settings::Metadata;
use crate::trace::{Chunk, ChunkState, MapView, Payload, Span, flag};
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

    /// Whether [`Sink::pair`] may copy all texts of this map as they are.
    fn copies(buf: &[u8], map: MapView) -> bool;

    /// Whether it may copy this one.
    fn copies_pair(pair: &Pair<'_>) -> bool;

    /// The same for the key of [`Sink::number`].
    fn copies_key(pair: &NumberPair<'_>) -> bool;

    /// A short text that can be copied as it is. Gives whether there was room: else it was not written.
    fn pair(&mut self, pair: &Pair<'_>) -> bool;

    /// A number under a short key that can be copied as it is. Gives whether there was room.
    fn number(&mut self, pair: &NumberPair<'_>) -> bool;

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

/// Keys of `meta` that say something of the span itself, and our own, which count where both are there.
const KNOWN: Keys<10> = Keys::new([
    b"span.kind",
    b"_dd.p.tid",
    b"error.msg",
    b"error.message",
    b"tracestate",
    b"_dd.sdk.otlp_export",
    Own::Service.key().as_bytes(),
    Own::Operation.key().as_bytes(),
    Own::Type.key().as_bytes(),
    Own::Resource.key().as_bytes(),
]);
const SPAN_KIND: usize = 0;
const TRACE_ID_HIGH: usize = 1;
const ERROR_MSG: usize = 2;
const ERROR_MESSAGE: usize = 3;
const TRACE_STATE: usize = 4;
/// The resource says it; on a span it would be told twice.
const EXPORT: usize = 5;
/// The first of our own.
const OWN: usize = 6;

/// The same for `metrics`.
const KNOWN_NUMBERS: Keys<5> = Keys::new([
    PRIORITY,
    Own::Service.key().as_bytes(),
    Own::Operation.key().as_bytes(),
    Own::Type.key().as_bytes(),
    Own::Resource.key().as_bytes(),
]);
const PRIORITY: &[u8] = b"_sampling_priority_v1";
const TOP_LEVEL: &[u8] = b"_top_level";

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
    /// How many attributes there is room for.
    left: u32,
    /// Those of our own that were told, a bit each.
    own: u32,
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
            let own = Own::ALL.into_iter().filter(|own| said.own >> *own as u32 & 1 != 0);
            losers.find(buf, span, own.map(Own::key));
            said = self.attributes(buf, span, Some(&losers));
            self.losers = losers;
        }
        let kind = match said.kind {
            0 => kind_of_type(Source::of(buf, span.kind).bytes()),
            at => {
                let (at, len) = string_at(buf, at);
                kind_of_tag(Source::new(buf, at, len).bytes())
            }
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

    /// Our own attributes of a span, with their values: empty ones are not told.
    #[inline(always)]
    fn own<'b>(&self, buf: &'b [u8], span: &Span) -> [(Own, Source<'b>); 4] {
        let none = Source::whole(&[]);
        if self.options.open_telemetry_semantics {
            return Own::ALL.map(|own| (own, none));
        }
        let service = Source::of(buf, span.service);
        [
            (Own::Service, if service.bytes() == self.service { none } else { service }),
            (Own::Operation, Source::of(buf, span.name)),
            (Own::Type, Source::of(buf, span.kind)),
            (Own::Resource, Source::of(buf, span.resource)),
        ]
    }

    /// Tells all attributes of a span. Without `losers` it also looks whether a key may have come twice, and says so;
    /// with them it leaves out what they name.
    ///
    /// Nearly all entries are short pairs, which are read and written through windows of fixed size where the sink can
    /// copy them; the others, and all where attributes may have to be left out, are told one by one.
    #[inline(never)]
    fn attributes(&mut self, buf: &[u8], span: &Span, losers: Option<&Losers>) -> Said {
        let limit = self.options.max_attributes.unwrap_or(u32::MAX);
        let mut said = Said { left: limit, ..Said::default() };
        self.seen.begin();
        for (own, value) in self.own(buf, span) {
            if value.len > 0 && said.takes() {
                self.sink.own_text(own, value);
            }
            said.own |= u32::from(value.len > 0) << own as u32;
        }
        let entries = u64::from(span.meta.len) + u64::from(span.metrics.len) + 5;
        let all_fit = limit == u32::MAX || span.meta_struct.at == 0 && entries <= u64::from(limit);
        let quick = losers.is_none() && all_fit;
        let copies = quick && S::copies(buf, span.meta);
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            if quick
                && let Some(pair) = Pair::at(buf, p)
                && (copies || S::copies_pair(&pair))
            {
                let (words, at) = (pair.words(), p + 1);
                let hash = words.hash();
                said.suspicious |= self.seen.repeats(hash);
                let known = KNOWN.find(words, hash, Source::new(buf, at, pair.key_len()));
                let end = p + pair.len();
                if known.is_some_and(|known| self.skips(&mut said, known, at + pair.key_len()))
                    || self.sink.pair(&pair)
                {
                    p = end;
                    continue;
                }
                self.told_text(buf, (at, pair.key_len()), (end - pair.value_len(), pair.value_len()));
                p = end;
            } else {
                p = self.text(buf, p, losers, &mut said);
            }
        }
        p = span.metrics.first as usize;
        for _ in 0..span.metrics.len {
            if quick
                && let Some(pair) = NumberPair::at(buf, p)
                && S::copies_key(&pair)
            {
                let words = pair.words();
                let hash = words.hash();
                said.suspicious |= self.seen.repeats(hash);
                let key = Source::new(buf, p + 1, pair.key_len());
                if let Some(known) = KNOWN_NUMBERS.find(words, hash, key) {
                    said.number(known, p + 1 + pair.key_len());
                }
                if !self.sink.number(&pair) {
                    self.told(key, pair.value);
                }
                p += pair.len;
            } else {
                p = self.odd_number(buf, p, losers, &mut said);
            }
        }
        if span.flags & flag::ADD_TOP_LEVEL != 0 && said.takes() {
            self.sink.int(Source::whole(TOP_LEVEL), 1);
        }
        if span.meta_struct.at != 0 {
            self.structs(buf, span, losers, &mut said);
        }
        said
    }

    /// An entry of `meta` of any kind; gives where the next one begins.
    #[inline(never)]
    fn text(&mut self, buf: &[u8], p: usize, losers: Option<&Losers>, said: &mut Said) -> usize {
        let (at, len) = string_at(buf, p);
        let (value_at, value_len) = string_at(buf, at + len);
        let end = value_at + value_len;
        let (key, words) = (Source::new(buf, at, len), Words::at(buf, at, len));
        match losers {
            None => said.suspicious |= self.seen.repeats(words.hash()),
            Some(losers) if losers.has(at) => return end,
            Some(_) => {}
        }
        let known = KNOWN.find(words, words.hash(), key);
        if !known.is_some_and(|known| self.skips(said, known, at + len)) && said.takes() {
            self.told_text(buf, (at, len), (value_at, value_len));
        }
        end
    }

    #[inline(never)]
    fn told_text(&mut self, buf: &[u8], key: (usize, usize), value: (usize, usize)) {
        self.sink.text(Source::new(buf, key.0, key.1), Source::new(buf, value.0, value.1));
    }

    /// Keeps what a known key says, whose value stands at `place`. Gives whether it is no attribute.
    fn skips(&self, said: &mut Said, known: usize, place: usize) -> bool {
        let semantics = self.options.open_telemetry_semantics;
        match known {
            SPAN_KIND => said.kind = place,
            ERROR_MSG => said.error_msg = place,
            ERROR_MESSAGE => said.error_message = place,
            TRACE_ID_HIGH => said.high = place,
            TRACE_STATE => said.state = place,
            EXPORT => return true,
            own => said.suspicious |= said.own >> (own - OWN) & 1 != 0,
        }
        semantics && matches!(known, SPAN_KIND | ERROR_MSG | ERROR_MESSAGE)
    }

    /// An entry of `metrics` of any kind; gives where the next one begins.
    #[inline(never)]
    fn odd_number(&mut self, buf: &[u8], p: usize, losers: Option<&Losers>, said: &mut Said) -> usize {
        let (at, len) = string_at(buf, p);
        let (value, end) = number(buf, at + len);
        let (key, words) = (Source::new(buf, at, len), Words::at(buf, at, len));
        match losers {
            None => said.suspicious |= self.seen.repeats(words.hash()),
            Some(losers) if losers.has(at) => return end,
            Some(_) => {}
        }
        if let Some(known) = KNOWN_NUMBERS.find(words, words.hash(), key) {
            said.number(known, at + len);
        }
        if said.takes() {
            self.told(key, value);
        }
        end
    }

    #[inline(never)]
    fn told(&mut self, key: Source<'_>, value: Number) {
        match value.as_it_is() {
            Number::Int(v) => self.sink.int(key, v),
            Number::Double(v) => self.sink.double(key, v),
        }
    }

    #[cold]
    fn structs(&mut self, buf: &[u8], span: &Span, losers: Option<&Losers>, said: &mut Said) {
        let map = keys::meta_struct(buf, span);
        let mut p = map.first as usize;
        for _ in 0..map.len {
            let (at, len) = string_at(buf, p);
            let value = parts::text(buf, at + len);
            p = reader::skip(buf, at + len).unwrap_or(buf.len());
            let (key, words) = (Source::new(buf, at, len), Words::at(buf, at, len));
            match losers {
                None => said.suspicious |= self.seen.repeats(words.hash()),
                Some(losers) if losers.has(at) => continue,
                Some(_) => {}
            }
            if let Some(known) = KNOWN_NUMBERS.find(words, words.hash(), key).filter(|known| *known > 0) {
                said.number(known, 0);
            }
            if said.takes() {
                self.sink.bytes(key, value);
            }
        }
    }
}

impl Said {
    /// Whether there is room for another attribute.
    #[inline(always)]
    fn takes(&mut self) -> bool {
        let takes = self.left > 0;
        self.left -= u32::from(takes);
        self.dropped += u32::from(!takes);
        takes
    }

    /// Keeps what a known key of `metrics` says, whose value stands at `place`.
    fn number(&mut self, known: usize, place: usize) {
        match known {
            0 => self.priority = place,
            own => self.suspicious |= self.own >> (own - 1) & 1 != 0,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_half_of_a_trace_id_is_hex_digits() {
        assert_eq!(hex(b"640cfd8d00000000"), Some(0x640c_fd8d_0000_0000));
        for bad in [&b""[..], b"+1", b"xyz", b"11112222333344445"] {
            assert_eq!(hex(bad), None);
        }
    }
}
