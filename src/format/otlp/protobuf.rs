//! OTLP in protobuf, written in one pass. The length of an attribute is arithmetic on the lengths of key and value;
//! a span reserves two bytes for its own, which nearly every span needs; the heads of the whole go before the spans
//! at the end. Text is UTF-8: what is ASCII is copied, the rest is looked at and repaired.

use super::super::numbers::Number;
use super::super::out::Out;
use super::super::pairs::{NumberPair, Pair};
use super::super::parts::{self, Event, Link, Value};
use super::super::source::{self, Source};
use super::SCOPE;
use super::walk::{Ending, Opening, Own, Sink};
use crate::msgpack::text;
use crate::trace::MapView;
use std::borrow::Cow;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Protobuf {
    out: Out,
    /// The resource with its head, until it goes before the spans.
    resource: Out,
    /// Where the span begins, and where its attributes do.
    span: usize,
    attributes: usize,
}

/// Room before the spans for the heads of the whole, beside the resource.
const HEADS: usize = 128;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

const fn tag(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

impl Sink for Protobuf {
    const NAME: &'static str = "the payload as OTLP protobuf";

    fn begin(&mut self, resource: &[(&str, &str)]) {
        self.resource.clear();
        self.resource.room(64);
        nested(&mut self.resource, tag(1, BYTES), |out| {
            for (key, value) in resource.iter().filter(|(_, value)| !value.is_empty()) {
                any_text(out, tag(1, BYTES), key.as_bytes(), value.as_bytes());
            }
        });
        self.out.clear();
        self.out.widen(self.resource.len() + HEADS);
    }

    #[inline(always)]
    fn open(&mut self, span: &Opening<'_>, (entries, size): (usize, usize)) {
        let out = &mut self.out;
        out.room(160 + size + (entries * 18).min(size * 4 + 1024));
        self.span = out.len();
        out.word(u64::from(tag(2, BYTES)), 3);
        out.word(u64::from_le_bytes([tag(1, BYTES), 16, 0, 0, 0, 0, 0, 0]), 2);
        out.word(span.high.swap_bytes(), 8);
        out.word(span.low.swap_bytes(), 8);
        out.word(u64::from_le_bytes([tag(2, BYTES), 8, 0, 0, 0, 0, 0, 0]), 2);
        out.word(span.id.swap_bytes(), 8);
        if span.parent != 0 {
            out.word(u64::from_le_bytes([tag(4, BYTES), 8, 0, 0, 0, 0, 0, 0]), 2);
            out.word(span.parent.swap_bytes(), 8);
        }
        if span.name.len > 0 {
            if span.name.len < 128 && span.name.is_ascii() {
                out.word(u64::from(tag(5, BYTES)) | (span.name.len as u64) << 8, 2);
                out.copy(span.name.buf, span.name.at, span.name.len);
            } else {
                text_field(out, tag(5, BYTES), span.name.bytes());
            }
        }
        for (field, time) in [(7, span.start), (8, span.end)] {
            if time != 0 {
                out.byte(tag(field, FIXED64));
                out.word(time, 8);
            }
        }
        self.attributes = out.len();
    }

    #[inline(always)]
    fn copies(buf: &[u8], map: MapView) -> bool {
        source::all_ascii(buf, map)
    }

    #[inline(always)]
    fn copies_pair(pair: &Pair<'_>) -> bool {
        pair.is_ascii()
    }

    #[inline(always)]
    fn copies_key(pair: &NumberPair<'_>) -> bool {
        pair.is_ascii()
    }

    #[inline(always)]
    fn pair(&mut self, pair: &Pair<'_>) -> bool {
        let Some(to) = self.out.window::<104>() else { return false };
        let (key, value) = (pair.key_len(), pair.value_len());
        let (key_head, value_head) = ((key + value + 6) as u32, (value + 2) as u32);
        let head = |outer: u8, len: u32, inner: usize| {
            (u32::from(outer) | len << 8 | u32::from(tag(1, BYTES)) << 16 | (inner as u32) << 24)
                .to_le_bytes()
        };
        to[..4].copy_from_slice(&head(tag(9, BYTES), key_head, key));
        to[4..36].copy_from_slice(pair.key());
        to[4 + key..8 + key].copy_from_slice(&head(tag(2, BYTES), value_head, value));
        to[8 + key..40 + key].copy_from_slice(pair.value());
        if value > 32 {
            to[40 + key..72 + key].copy_from_slice(pair.rest());
        }
        self.out.advance(8 + key + value);
        true
    }

    #[inline(always)]
    fn number(&mut self, pair: &NumberPair<'_>) -> bool {
        let Some(to) = self.out.window::<64>() else { return false };
        let key = pair.key_len();
        // What stands behind the marker of the value, and how long that is.
        let (marker, bits, width) = match pair.value.as_it_is() {
            Number::Double(v) => (tag(4, FIXED64), v.to_bits(), 8),
            Number::Int(v) => {
                let (bits, width) = short_varint(v as u64);
                if width > 4 {
                    return false;
                }
                (tag(3, VARINT), bits, width)
            }
        };
        let head = u32::from(tag(9, BYTES)) | ((key + width + 5) as u32) << 8;
        let head = head | u32::from(tag(1, BYTES)) << 16 | (key as u32) << 24;
        to[..4].copy_from_slice(&head.to_le_bytes());
        to[4..36].copy_from_slice(pair.key());
        let head = u32::from(tag(2, BYTES)) | (width as u32 + 1) << 8 | u32::from(marker) << 16;
        to[4 + key..8 + key].copy_from_slice(&head.to_le_bytes());
        to[7 + key..15 + key].copy_from_slice(&bits.to_le_bytes());
        self.out.advance(7 + key + width);
        true
    }

    #[inline(always)]
    fn own_text(&mut self, key: Own, value: Source<'_>) {
        // Tag and length of the attribute, then its key with its head.
        const HEADS: [([u8; 16], usize); 4] = {
            let mut heads = [([0; 16], 0); 4];
            let mut i = 0;
            while i < 4 {
                let key = Own::ALL[i].key().as_bytes();
                heads[i].0[0] = tag(1, BYTES);
                heads[i].0[1] = key.len() as u8;
                let mut k = 0;
                while k < key.len() {
                    heads[i].0[2 + k] = key[k];
                    k += 1;
                }
                heads[i].1 = key.len();
                i += 1;
            }
            heads
        };
        let (head, len) = &HEADS[key as usize];
        if len + value.len < 122 && value.is_ascii() {
            let out = &mut self.out;
            out.word(u64::from(tag(9, BYTES)) | ((len + value.len + 6) as u64) << 8, 2);
            out.fixed(head, len + 2);
            text_value(out, value);
        } else {
            any_text(&mut self.out, tag(9, BYTES), key.key().as_bytes(), value.bytes());
        }
    }

    fn text(&mut self, key: Source<'_>, value: Source<'_>) {
        if key.len + value.len < 122 && key.is_ascii() && value.is_ascii() {
            key_head(&mut self.out, key, value.len + 4);
            text_value(&mut self.out, value);
        } else {
            any_text(&mut self.out, tag(9, BYTES), key.bytes(), value.bytes());
        }
    }

    fn int(&mut self, key: Source<'_>, value: i64) {
        let width = varint_len(value as u64);
        if key.len < 100 && key.is_ascii() {
            let out = &mut self.out;
            key_head(out, key, width + 3);
            out.word(u64::from(tag(2, BYTES)) | (width as u64 + 1) << 8 | u64::from(tag(3, VARINT)) << 16, 3);
            varint(out, value as u64);
        } else {
            odd_key(&mut self.out, key.bytes(), |out| {
                out.byte(tag(3, VARINT));
                varint(out, value as u64);
            });
        }
    }

    fn double(&mut self, key: Source<'_>, value: f64) {
        if key.len < 100 && key.is_ascii() {
            let out = &mut self.out;
            key_head(out, key, 11);
            out.word(u64::from(tag(2, BYTES)) | 9 << 8 | u64::from(tag(4, FIXED64)) << 16, 3);
            out.word(value.to_bits(), 8);
        } else {
            odd_key(&mut self.out, key.bytes(), |out| {
                out.byte(tag(4, FIXED64));
                out.word(value.to_bits(), 8);
            });
        }
    }

    fn bytes(&mut self, key: Source<'_>, value: &[u8]) {
        odd_key(&mut self.out, key.bytes(), |out| bytes_field(out, tag(7, BYTES), value));
    }

    fn restart(&mut self) {
        self.out.truncate(self.attributes);
    }

    #[inline(always)]
    fn fields(&mut self, end: &Ending<'_>) {
        let out = &mut self.out;
        out.room(64);
        if end.kind != 0 {
            out.word(u64::from(tag(6, VARINT)) | u64::from(end.kind) << 8, 2);
        }
        if end.sampled {
            // Field 16, a fixed word of four bytes.
            out.word(u64::from_le_bytes([0x85, 1, 1, 0, 0, 0, 0, 0]), 6);
        }
        if end.dropped != 0 {
            out.byte(tag(10, VARINT));
            varint(out, u64::from(end.dropped));
        }
        if !end.state.is_empty() {
            text_field(out, tag(3, BYTES), end.state);
        }
        if let Some(message) = end.error {
            nested(out, tag(15, BYTES), |out| {
                if !message.is_empty() {
                    text_field(out, tag(2, BYTES), message);
                }
                out.word(u64::from(tag(3, VARINT)) | 2 << 8, 2);
            });
        }
    }

    fn links<'b>(&mut self, buf: &'b [u8], links: impl Iterator<Item = Link<'b>>) {
        for link in links {
            self.out.room(128);
            nested(&mut self.out, tag(13, BYTES), |out| {
                out.word(u64::from_le_bytes([tag(1, BYTES), 16, 0, 0, 0, 0, 0, 0]), 2);
                out.word(link.high.swap_bytes(), 8);
                out.word(link.low.swap_bytes(), 8);
                out.word(u64::from_le_bytes([tag(2, BYTES), 8, 0, 0, 0, 0, 0, 0]), 2);
                out.word(link.span.swap_bytes(), 8);
                if !link.state.is_empty() {
                    text_field(out, tag(3, BYTES), link.state);
                }
                for (key, at) in parts::attributes(buf, link.attributes) {
                    any_text(out, tag(4, BYTES), key, parts::text(buf, at));
                }
                if link.flags != 0 {
                    out.byte(tag(6, FIXED32));
                    out.word(u64::from(link.flags), 4);
                }
            });
        }
    }

    fn events<'b>(&mut self, buf: &'b [u8], events: impl Iterator<Item = Event<'b>>) {
        for event in events {
            self.out.room(128);
            nested(&mut self.out, tag(11, BYTES), |out| {
                if event.time != 0 {
                    out.byte(tag(1, FIXED64));
                    out.word(event.time, 8);
                }
                if !event.name.is_empty() {
                    text_field(out, tag(2, BYTES), event.name);
                }
                for (key, at) in parts::attributes(buf, event.attributes) {
                    nested(out, tag(3, BYTES), |out| {
                        text_field(out, tag(1, BYTES), key);
                        nested(out, tag(2, BYTES), |out| any_value(out, buf, at));
                    });
                }
            });
        }
    }

    #[inline(always)]
    fn close(&mut self) -> usize {
        let len = self.out.len() - self.span - 3;
        if (0x80..0x4000).contains(&len) {
            self.out.patch(self.span + 1, &[len as u8 | 0x80, (len >> 7) as u8]);
        } else {
            place_length(&mut self.out, self.span + 1, 2);
        }
        // Behind tag and length of the span, and those of the id.
        self.span + 1 + varint_len(len as u64) + 2
    }

    fn set_high(&mut self, place: usize, high: u64) {
        self.out.patch(place, &high.to_be_bytes());
    }

    fn finish(&mut self) -> Option<&[u8]> {
        let spans_at = self.resource.len() + HEADS;
        let spans = self.out.len() - spans_at;
        // ScopeSpans: its scope, and the spans that stand there already.
        let mut scope = [0; 64];
        let mut scope_len = 0;
        let mut push = |bytes: &[u8]| {
            if let Some(to) = scope.get_mut(scope_len..scope_len + bytes.len()) {
                to.copy_from_slice(bytes);
                scope_len += bytes.len();
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        push(&[tag(1, BYTES), (SCOPE.len() + version.len() + 4) as u8, tag(1, BYTES), SCOPE.len() as u8]);
        push(SCOPE.as_bytes());
        push(&[tag(2, BYTES), version.len() as u8]);
        push(version.as_bytes());
        let scope = scope.get(..scope_len)?;
        let resource = std::mem::take(&mut self.resource);
        let scope_spans = scope.len() + spans;
        let whole = resource.len() + 1 + varint_len(scope_spans as u64) + scope_spans;
        let start = self.out.put_before(spans_at, |out| {
            out.byte(tag(1, BYTES));
            varint(out, whole as u64);
            out.append(&resource);
            out.byte(tag(2, BYTES));
            varint(out, scope_spans as u64);
            out.bytes(scope);
        });
        self.resource = resource;
        if self.out.failed() { None } else { self.out.written().get(start..) }
    }

    fn capacity_bytes(&self) -> usize {
        self.out.capacity_bytes() + self.resource.capacity_bytes()
    }
}

/// Head of an attribute of a span and its key, which is short and ASCII; `rest` bytes follow.
#[inline(always)]
fn key_head(out: &mut Out, key: Source<'_>, rest: usize) {
    let len = key.len as u64;
    let head = u64::from(tag(9, BYTES)) | (len + 2 + rest as u64) << 8;
    out.word(head | u64::from(tag(1, BYTES)) << 16 | len << 24, 4);
    out.copy(key.buf, key.at, key.len);
}

/// The value of an attribute, a text that is short and ASCII.
#[inline(always)]
fn text_value(out: &mut Out, value: Source<'_>) {
    let len = value.len as u64;
    let head = u64::from(tag(2, BYTES)) | (len + 2) << 8;
    out.word(head | u64::from(tag(1, BYTES)) << 16 | len << 24, 4);
    out.copy(value.buf, value.at, value.len);
}

/// An attribute of any length, under this tag.
#[inline(never)]
fn any_text(out: &mut Out, tag_of: u8, key: &[u8], value: &[u8]) {
    let (key, value) = (utf8(key), utf8(value));
    let field = |len: usize| 1 + varint_len(len as u64) + len;
    let any = field(value.len());
    out.room(64);
    out.byte(tag_of);
    varint(out, (field(key.len()) + field(any)) as u64);
    bytes_field(out, tag(1, BYTES), &key);
    out.byte(tag(2, BYTES));
    varint(out, any as u64);
    bytes_field(out, tag(1, BYTES), &value);
}

/// An attribute of a span with a key of any kind; `value` writes its value.
#[inline(never)]
fn odd_key(out: &mut Out, key: &[u8], value: impl FnOnce(&mut Out)) {
    out.room(64);
    nested(out, tag(9, BYTES), |out| {
        text_field(out, tag(1, BYTES), key);
        nested(out, tag(2, BYTES), value);
    });
}

/// A typed value. The scan allows no deep ones.
fn any_value(out: &mut Out, buf: &[u8], at: usize) {
    out.room(32);
    match parts::value(buf, at) {
        Value::Text(text) => text_field(out, tag(1, BYTES), text),
        Value::Bool(set) => out.word(u64::from(tag(2, VARINT)) | u64::from(set) << 8, 2),
        Value::Int(v) => {
            out.byte(tag(3, VARINT));
            varint(out, v as u64);
        }
        Value::Double(v) => {
            out.byte(tag(4, FIXED64));
            out.word(v.to_bits(), 8);
        }
        Value::Array(values) => nested(out, tag(5, BYTES), |out| {
            for at in values.into_iter().flat_map(|p| parts::elements(buf, p)) {
                nested(out, tag(1, BYTES), |out| any_value(out, buf, at));
            }
        }),
    }
}

/// A message within a message; one byte is left for its length, which is moved where that is not enough.
fn nested(out: &mut Out, tag: u8, write: impl FnOnce(&mut Out)) {
    out.room(16);
    out.byte(tag);
    let at = out.len();
    out.byte(0);
    write(out);
    place_length(out, at, 1);
}

/// Writes the length of what begins `left` bytes behind `at` there, and moves it if the length is of another width.
#[inline(never)]
fn place_length(out: &mut Out, at: usize, left: usize) {
    let len = out.len() - at - left;
    let width = varint_len(len as u64);
    if width != left {
        if width > left {
            out.widen(width - left);
        }
        out.shift(at + left, len, at + width);
        out.truncate(at + width + len);
    }
    let mut bytes = [0; 10];
    let (mut rest, mut n) = (len, 0);
    for byte in &mut bytes {
        *byte = rest as u8 & 0x7f;
        rest >>= 7;
        n += 1;
        if rest == 0 {
            break;
        }
        *byte |= 0x80;
    }
    out.patch(at, bytes.get(..n).unwrap_or(&[]));
}

/// A text of any kind under a tag.
fn text_field(out: &mut Out, tag: u8, text: &[u8]) {
    bytes_field(out, tag, &utf8(text));
}

fn bytes_field(out: &mut Out, tag: u8, bytes: &[u8]) {
    out.room(16);
    out.byte(tag);
    varint(out, bytes.len() as u64);
    out.bytes(bytes);
}

/// The text as protobuf takes it.
fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
        Cow::Borrowed(bytes)
    } else {
        Cow::Owned(text::repaired(bytes))
    }
}

#[inline(always)]
fn varint_len(v: u64) -> usize {
    ((64 - (v | 1).leading_zeros() as usize) * 9 + 64) / 64
}

/// A number as varint, if it takes up to four bytes, and how many it takes.
#[inline(always)]
fn short_varint(v: u64) -> (u64, usize) {
    if v < 0x80 {
        return (v, 1);
    }
    let width = varint_len(v);
    let spread = v & 0x7f | (v & 0x3f80) << 1 | (v & 0x1f_c000) << 2 | (v & 0xfe0_0000) << 3;
    let more = 0x0080_8080u64.checked_shr(8 * (4 - width as u32 % 5)).unwrap_or(0);
    (spread | more, width)
}

#[inline(always)]
fn varint(out: &mut Out, mut v: u64) {
    while v >= 0x80 {
        out.byte(v as u8 | 0x80);
        v >>= 7;
    }
    out.byte(v as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_their_least_width() {
        for shift in (0..64).step_by(if cfg!(miri) { 9 } else { 1 }) {
            for v in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Out::default();
                varint(&mut out, v);
                assert_eq!(out.len(), varint_len(v), "{v}");
                let (bits, width) = short_varint(v);
                assert_eq!(width, out.len());
                if width <= 4 {
                    assert_eq!(bits.to_le_bytes()[..width], *out.written());
                }
            }
        }
    }

    #[test]
    fn a_length_finds_its_place_whatever_its_width() {
        for len in [0, 1, 127, 128, 16_383, 16_384, if cfg!(miri) { 2 } else { 2_097_152 }] {
            let mut out = Out::default();
            nested(&mut out, 0x0a, |out| out.bytes(&vec![7; len]));
            let mut want = Out::default();
            bytes_field(&mut want, 0x0a, &vec![7; len]);
            assert_eq!(out.written(), want.written(), "{len}");
        }
    }
}
