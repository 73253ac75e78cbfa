//! OTLP in JSON, by the rules of the protocol: lower camel case, ids in hex, 64-bit integers as text, bytes in
//! base64, enums as numbers, what is zero or empty left out. NaN and infinities are text; a receiver refuses null,
//! and all of the payload with it.

use super::super::json_out::{decimal, hex};
use super::super::numbers::Number;
use super::super::out::Out;
use super::super::pairs::{NumberPair, Pair};
use super::super::parts::{self, Event, Link, Value};
use super::super::source::{self, Source};
use super::SCOPE;
use super::walk::{Ending, Opening, Own, Sink};
use crate::trace::MapView;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Json {
    out: Out,
    /// Where the span's trace id begins, and its attributes.
    id: usize,
    attributes: usize,
    closed: bool,
}

impl Sink for Json {
    const NAME: &'static str = "the payload as OTLP JSON";

    fn begin(&mut self, resource: &[(&str, &str)]) {
        let out = &mut self.out;
        self.closed = false;
        out.clear();
        out.bytes(b"{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
        for (key, value) in resource.iter().filter(|(_, value)| !value.is_empty()) {
            text(out, Source::whole(key.as_bytes()), Source::whole(value.as_bytes()));
        }
        out.drop_comma();
        out.bytes(b"]},\"scopeSpans\":[{\"scope\":{\"name\":");
        out.json_text(Source::whole(SCOPE.as_bytes()));
        out.bytes(b",\"version\":");
        out.json_text(Source::whole(env!("CARGO_PKG_VERSION").as_bytes()));
        out.bytes(b"},\"spans\":[");
    }

    #[inline(always)]
    fn open(&mut self, span: &Opening<'_>, (entries, size): (usize, usize)) {
        let out = &mut self.out;
        out.room(512 + size + (entries * 64).min(size * 8 + 1024));
        out.piece(b"{\"traceId\":\"");
        self.id = out.len();
        out.hex(span.high);
        out.hex(span.low);
        out.piece(b"\",\"spanId\":\"");
        out.hex(span.id);
        out.piece(b"\",");
        if span.parent != 0 {
            out.piece(b"\"parentSpanId\":\"");
            out.hex(span.parent);
            out.piece(b"\",");
        }
        if span.name.len > 0 {
            out.piece(b"\"name\":");
            out.json_text(span.name);
            out.byte(b',');
        }
        out.piece(b"\"startTimeUnixNano\":\"");
        out.decimal(span.start);
        out.piece(b"\",\"endTimeUnixNano\":\"");
        out.decimal(span.end);
        out.piece(b"\",\"attributes\":[");
        self.attributes = out.len();
    }

    #[inline(always)]
    fn copies(buf: &[u8], map: MapView) -> bool {
        source::all_plain(buf, map)
    }

    #[inline(always)]
    fn copies_pair(pair: &Pair<'_>) -> bool {
        pair.is_plain()
    }

    #[inline(always)]
    fn copies_key(pair: &NumberPair<'_>) -> bool {
        pair.is_plain()
    }

    #[inline(always)]
    fn pair(&mut self, pair: &Pair<'_>) -> bool {
        const HEAD: &[u8; 8] = b"{\"key\":\"";
        const MIDDLE: &[u8; 26] = b"\",\"value\":{\"stringValue\":\"";
        const END: &[u8; 4] = b"\"}},";
        let Some(to) = self.out.window::<136>() else { return false };
        let (key, value) = (pair.key_len(), pair.value_len());
        to[..8].copy_from_slice(HEAD);
        to[8..40].copy_from_slice(pair.key());
        to[8 + key..34 + key].copy_from_slice(MIDDLE);
        to[34 + key..66 + key].copy_from_slice(pair.value());
        if value > 32 {
            to[66 + key..98 + key].copy_from_slice(pair.rest());
        }
        to[34 + key + value..38 + key + value].copy_from_slice(END);
        self.out.advance(38 + key + value);
        true
    }

    #[inline(always)]
    fn number(&mut self, pair: &NumberPair<'_>) -> bool {
        const HEAD: &[u8; 8] = b"{\"key\":\"";
        const MIDDLE: &[u8; 23] = b"\",\"value\":{\"intValue\":\"";
        const END: &[u8; 4] = b"\"}},";
        let Number::Int(v) = pair.value.as_it_is() else { return false };
        let (Ok(v), Some(to)) = (u64::try_from(v), self.out.window::<104>()) else { return false };
        let key = pair.key_len();
        to[..8].copy_from_slice(HEAD);
        to[8..40].copy_from_slice(pair.key());
        to[8 + key..31 + key].copy_from_slice(MIDDLE);
        let Some(digits) = to[31 + key..].first_chunk_mut() else { return false };
        let width = decimal(v, digits);
        let Some(end) = to[31 + key..].get_mut(width..width + 4) else { return false };
        end.copy_from_slice(END);
        self.out.advance(35 + key + width);
        true
    }

    #[inline(always)]
    fn own_text(&mut self, key: Own, value: Source<'_>) {
        let key = key.key().as_bytes();
        text(&mut self.out, Source::whole(key), value);
    }

    fn text(&mut self, key: Source<'_>, value: Source<'_>) {
        text(&mut self.out, key, value);
    }

    fn int(&mut self, key: Source<'_>, value: i64) {
        let out = &mut self.out;
        out.piece(b"{\"key\":");
        out.json_text(key);
        out.piece(b",\"value\":{\"intValue\":\"");
        out.signed(value);
        out.piece(b"\"}},");
    }

    fn double(&mut self, key: Source<'_>, value: f64) {
        let out = &mut self.out;
        out.piece(b"{\"key\":");
        out.json_text(key);
        out.piece(b",\"value\":{\"doubleValue\":");
        double(out, value);
        out.piece(b"}},");
    }

    fn bytes(&mut self, key: Source<'_>, value: &[u8]) {
        let out = &mut self.out;
        out.piece(b"{\"key\":");
        out.json_text(key);
        out.piece(b",\"value\":{\"bytesValue\":\"");
        out.base64(value);
        out.piece(b"\"}},");
    }

    fn restart(&mut self) {
        self.out.truncate(self.attributes);
    }

    #[inline(always)]
    fn fields(&mut self, end: &Ending<'_>) {
        let out = &mut self.out;
        out.drop_comma();
        out.room(128);
        out.piece(b"],\"kind\":");
        out.byte(b'0' + end.kind);
        if end.sampled {
            out.piece(b",\"flags\":1");
        }
        if end.dropped != 0 {
            out.piece(b",\"droppedAttributesCount\":");
            out.decimal(u64::from(end.dropped));
        }
        if !end.state.is_empty() {
            out.piece(b",\"traceState\":");
            out.json_text(Source::whole(end.state));
        }
        if let Some(message) = end.error {
            out.piece(b",\"status\":{\"code\":2");
            if !message.is_empty() {
                out.piece(b",\"message\":");
                out.json_text(Source::whole(message));
            }
            out.byte(b'}');
        }
    }

    fn links<'b>(&mut self, buf: &'b [u8], links: impl Iterator<Item = Link<'b>>) {
        let out = &mut self.out;
        out.bytes(b",\"links\":[");
        for link in links {
            out.room(256);
            out.piece(b"{\"traceId\":\"");
            out.hex(link.high);
            out.hex(link.low);
            out.piece(b"\",\"spanId\":\"");
            out.hex(link.span);
            out.byte(b'"');
            if !link.state.is_empty() {
                out.piece(b",\"traceState\":");
                out.json_text(Source::whole(link.state));
            }
            let mut attributes = parts::attributes(buf, link.attributes).peekable();
            if attributes.peek().is_some() {
                out.piece(b",\"attributes\":[");
                for (key, at) in attributes {
                    text(out, Source::whole(key), Source::whole(parts::text(buf, at)));
                }
                out.drop_comma();
                out.byte(b']');
            }
            if link.flags != 0 {
                out.piece(b",\"flags\":");
                out.decimal(u64::from(link.flags));
            }
            out.piece(b"},");
        }
        out.drop_comma();
        out.byte(b']');
    }

    fn events<'b>(&mut self, buf: &'b [u8], events: impl Iterator<Item = Event<'b>>) {
        let out = &mut self.out;
        out.bytes(b",\"events\":[");
        for event in events {
            out.room(256);
            out.piece(b"{\"timeUnixNano\":\"");
            out.decimal(event.time);
            out.piece(b"\",\"name\":");
            out.json_text(Source::whole(event.name));
            let mut attributes = parts::attributes(buf, event.attributes).peekable();
            if attributes.peek().is_some() {
                out.piece(b",\"attributes\":[");
                for (key, at) in attributes {
                    out.room(64);
                    out.piece(b"{\"key\":");
                    out.json_text(Source::whole(key));
                    out.piece(b",\"value\":");
                    value(out, buf, at);
                    out.piece(b"},");
                }
                out.drop_comma();
                out.byte(b']');
            }
            out.piece(b"},");
        }
        out.drop_comma();
        out.byte(b']');
    }

    #[inline(always)]
    fn close(&mut self) -> usize {
        self.out.piece(b"},");
        self.id
    }

    fn set_high(&mut self, place: usize, high: u64) {
        self.out.patch(place, &hex(high));
    }

    fn finish(&mut self) -> Option<&[u8]> {
        if !std::mem::replace(&mut self.closed, true) {
            self.out.drop_comma();
            self.out.bytes(b"]}]}]}");
        }
        if self.out.failed() { None } else { Some(self.out.written()) }
    }

    fn capacity_bytes(&self) -> usize {
        self.out.capacity_bytes()
    }
}

#[inline(always)]
fn text(out: &mut Out, key: Source<'_>, value: Source<'_>) {
    out.piece(b"{\"key\":");
    out.json_text(key);
    out.piece(b",\"value\":{\"stringValue\":");
    out.json_text(value);
    out.piece(b"}},");
}

/// A typed value. The scan allows no deep ones.
fn value(out: &mut Out, buf: &[u8], at: usize) {
    out.room(64);
    match parts::value(buf, at) {
        Value::Text(text) => {
            out.piece(b"{\"stringValue\":");
            out.json_text(Source::whole(text));
        }
        Value::Bool(true) => out.piece(b"{\"boolValue\":true"),
        Value::Bool(false) => out.piece(b"{\"boolValue\":false"),
        Value::Int(v) => {
            out.piece(b"{\"intValue\":\"");
            out.signed(v);
            out.byte(b'"');
        }
        Value::Double(v) => {
            out.piece(b"{\"doubleValue\":");
            double(out, v);
        }
        Value::Array(values) => {
            out.piece(b"{\"arrayValue\":{\"values\":[");
            for at in values.into_iter().flat_map(|p| parts::elements(buf, p)) {
                value(out, buf, at);
                out.byte(b',');
            }
            out.drop_comma();
            out.piece(b"]}");
        }
    }
    out.byte(b'}');
}

fn double(out: &mut Out, v: f64) {
    if v.is_finite() {
        out.json_number(v);
    } else if v.is_nan() {
        out.piece(b"\"NaN\"");
    } else if v > 0.0 {
        out.piece(b"\"Infinity\"");
    } else {
        out.piece(b"\"-Infinity\"");
    }
}
