//! A span as one JSON object with the names of v0.4, for the intake and for log lines: what both have in common is
//! written here, what differs is theirs.

use super::keys::{self, Losers, Seen};
use super::numbers::{Number, number};
use super::out::Out;
use super::parts::{self, Value};
use super::source::Source;
use super::string_at;
use crate::msgpack::reader;
use crate::trace::{Span, flag};

/// Writes the maps of spans; keeps its memory for the next.
#[derive(Debug, Default)]
pub(super) struct Maps {
    seen: Seen,
    losers: Losers,
}

/// What a format writes beside the entries of a map, and which of them the span says itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extra<'e> {
    pub(super) key: &'static [u8],
    /// As JSON; empty: nothing is written.
    pub(super) json: &'e [u8],
}

/// A value that JSON cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsayable;

impl Maps {
    /// Looks whether a key of the span comes twice; [`Maps::meta`] and [`Maps::metrics`] leave out what does not
    /// count.
    #[inline(always)]
    pub(super) fn begin(&mut self, buf: &[u8], span: &Span) {
        self.losers.clear();
        self.seen.begin();
        let mut suspicious = false;
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            let (at, len) = string_at(buf, p);
            suspicious |= self.seen.repeats(keys::word(buf, at, len), buf, at, len);
            let (at, len) = string_at(buf, at + len);
            p = at + len;
        }
        p = span.metrics.first as usize;
        for _ in 0..span.metrics.len {
            let (at, len) = string_at(buf, p);
            suspicious |= self.seen.repeats(keys::word(buf, at, len), buf, at, len);
            p = number(buf, at + len).1;
        }
        if span.meta_struct.at != 0 {
            suspicious |= self.struct_repeats(buf, span);
        }
        if suspicious {
            self.losers.find(buf, span, std::iter::empty());
        }
    }

    #[cold]
    fn struct_repeats(&mut self, buf: &[u8], span: &Span) -> bool {
        let map = keys::meta_struct(buf, span);
        let (mut p, mut suspicious) = (map.first as usize, false);
        for _ in 0..map.len {
            let (at, len) = string_at(buf, p);
            suspicious |= self.seen.repeats(keys::word(buf, at, len), buf, at, len);
            p = reader::skip(buf, at + len).unwrap_or(buf.len());
        }
        suspicious
    }

    fn counts(&self, at: usize) -> bool {
        self.losers.is_empty() || !self.losers.has(at)
    }

    /// The texts, and behind them `extras` that the span does not say itself. Gives whether anything was written.
    #[inline(always)]
    pub(super) fn meta(&self, out: &mut Out, buf: &[u8], span: &Span, extras: &[Extra<'_>]) -> bool {
        let start = out.len();
        let mut own = 0u32;
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            let (at, len) = string_at(buf, p);
            let (value_at, value_len) = string_at(buf, at + len);
            p = value_at + value_len;
            if !self.counts(at) {
                continue;
            }
            let key = Source::new(buf, at, len);
            own |= said(extras, key);
            out.json_text(key);
            out.byte(b':');
            out.json_text(Source::new(buf, value_at, value_len));
            out.byte(b',');
        }
        add(out, extras, own);
        out.drop_comma();
        out.len() > start
    }

    /// The numbers, and behind them `extras` that the span does not say itself. What is not finite is left out; gives
    /// whether anything was written, and whether something was left out. `plain`: a key whose integers have no `.0`.
    #[inline(always)]
    pub(super) fn metrics(
        &self,
        out: &mut Out,
        buf: &[u8],
        span: &Span,
        (extras, plain): (&[Extra<'_>], &[u8]),
    ) -> (bool, bool) {
        let (start, mut lost, mut own) = (out.len(), false, 0u32);
        let mut p = span.metrics.first as usize;
        for _ in 0..span.metrics.len {
            let (at, len) = string_at(buf, p);
            let (value, end) = number(buf, at + len);
            p = end;
            if !self.counts(at) {
                continue;
            }
            let key = Source::new(buf, at, len);
            own |= said(extras, key);
            match value {
                Number::Double(v) if !v.is_finite() => {
                    lost = true;
                    continue;
                }
                _ => {}
            }
            out.json_text(key);
            out.byte(b':');
            match value {
                Number::Int(v) => {
                    out.signed(v);
                    if key.len != plain.len() || key.bytes() != plain {
                        out.piece(b".0");
                    }
                }
                Number::Double(v) => out.json_number(v),
            }
            out.byte(b',');
        }
        if span.flags & flag::ADD_TOP_LEVEL != 0 {
            out.piece(b"\"_top_level\":1");
            if plain.is_empty() {
                out.piece(b".0");
            }
            out.byte(b',');
        }
        add(out, extras, own);
        out.drop_comma();
        (out.len() > start, lost)
    }

    /// `meta_struct` as natural JSON. What cannot be said is left out with its key; gives whether anything was
    /// written and whether something was left out.
    pub(super) fn structs(&self, out: &mut Out, buf: &[u8], span: &Span) -> (bool, bool) {
        let map = keys::meta_struct(buf, span);
        let (start, mut lost) = (out.len(), false);
        let mut p = map.first as usize;
        for _ in 0..map.len {
            let (at, len) = string_at(buf, p);
            let value = parts::text(buf, at + len);
            p = reader::skip(buf, at + len).unwrap_or(buf.len());
            if !self.counts(at) {
                continue;
            }
            let before = out.len();
            out.room(16);
            out.json_text(Source::new(buf, at, len));
            out.byte(b':');
            match natural(out, value, 0, 0) {
                Ok(end) if end == value.len() => out.byte(b','),
                _ => {
                    out.truncate(before);
                    lost = true;
                }
            }
        }
        out.drop_comma();
        (out.len() > start, lost)
    }

    /// Bytes of memory held.
    pub(super) fn capacity_bytes(&self) -> usize {
        size_of::<Seen>() + self.losers.capacity_bytes()
    }
}

/// The bit of the extra that has this key.
#[inline(always)]
fn said(extras: &[Extra<'_>], key: Source<'_>) -> u32 {
    let mut bits = 0;
    for (i, extra) in extras.iter().enumerate() {
        if extra.key.len() == key.len && extra.key == key.bytes() {
            bits |= 1 << i;
        }
    }
    bits
}

fn add(out: &mut Out, extras: &[Extra<'_>], own: u32) {
    for (i, extra) in extras.iter().enumerate() {
        if own & 1 << i == 0 && !extra.json.is_empty() {
            out.room(64);
            out.json_text(Source::whole(extra.key));
            out.byte(b':');
            out.bytes(extra.json);
            out.byte(b',');
        }
    }
}

/// `span_links` and `span_events` behind other fields, where there are some; `hex` as for [`links`].
pub(super) fn lists(out: &mut Out, buf: &[u8], span: &Span, hex: bool) {
    if super::holds_entries(buf, span.links.at) {
        out.bytes(b",\"span_links\":[");
        links(out, buf, span, hex);
        out.byte(b']');
    }
    if super::holds_entries(buf, span.events.at) {
        out.bytes(b",\"span_events\":[");
        events(out, buf, span);
        out.byte(b']');
    }
}

/// Links of the span, as objects; `hex`: ids in hex digits, the trace id whole, else numbers as in v0.4.
fn links(out: &mut Out, buf: &[u8], span: &Span, hex: bool) {
    for at in parts::elements(buf, span.links.at as usize) {
        let link = parts::link(buf, at);
        out.room(256);
        if hex {
            out.piece(b"{\"trace_id\":\"");
            out.hex(link.high);
            out.hex(link.low);
            out.piece(b"\",\"span_id\":\"");
            out.hex(link.span);
            out.byte(b'"');
        } else {
            out.piece(b"{\"trace_id\":");
            out.decimal(link.low);
            out.piece(b",\"trace_id_high\":");
            out.decimal(link.high);
            out.piece(b",\"span_id\":");
            out.decimal(link.span);
        }
        let mut attributes = parts::attributes(buf, link.attributes).peekable();
        if attributes.peek().is_some() {
            out.piece(b",\"attributes\":{");
            for (key, at) in attributes {
                out.json_text(Source::whole(key));
                out.byte(b':');
                out.json_text(Source::whole(parts::text(buf, at)));
                out.byte(b',');
            }
            out.drop_comma();
            out.byte(b'}');
        }
        if !link.state.is_empty() {
            out.piece(b",\"tracestate\":");
            out.json_text(Source::whole(link.state));
        }
        if link.flags != 0 {
            out.piece(b",\"flags\":");
            out.decimal(u64::from(link.flags));
        }
        out.piece(b"},");
    }
    out.drop_comma();
}

/// Events of the span, as objects with typed attributes, the shape of v0.4.
fn events(out: &mut Out, buf: &[u8], span: &Span) {
    for at in parts::elements(buf, span.events.at as usize) {
        let event = parts::event(buf, at);
        out.room(256);
        out.piece(b"{\"time_unix_nano\":");
        out.decimal(event.time);
        out.piece(b",\"name\":");
        out.json_text(Source::whole(event.name));
        let mut attributes = parts::attributes(buf, event.attributes).peekable();
        if attributes.peek().is_some() {
            out.piece(b",\"attributes\":{");
            for (key, at) in attributes {
                out.json_text(Source::whole(key));
                out.byte(b':');
                typed(out, buf, at);
                out.byte(b',');
            }
            out.drop_comma();
            out.byte(b'}');
        }
        out.piece(b"},");
    }
    out.drop_comma();
}

/// A typed value. The scan allows no deep ones. JSON has no word for what is not finite: it becomes null.
fn typed(out: &mut Out, buf: &[u8], at: usize) {
    out.room(64);
    match parts::value(buf, at) {
        Value::Text(text) => {
            out.piece(b"{\"type\":0,\"string_value\":");
            out.json_text(Source::whole(text));
        }
        Value::Bool(true) => out.piece(b"{\"type\":1,\"bool_value\":true"),
        Value::Bool(false) => out.piece(b"{\"type\":1,\"bool_value\":false"),
        Value::Int(v) => {
            out.piece(b"{\"type\":2,\"int_value\":");
            out.signed(v);
        }
        Value::Double(v) => {
            out.piece(b"{\"type\":3,\"double_value\":");
            out.json_number(v);
        }
        Value::Array(values) => {
            out.piece(b"{\"type\":4,\"array_value\":");
            out.piece(b"{\"values\":[");
            for at in values.into_iter().flat_map(|p| parts::elements(buf, p)) {
                typed(out, buf, at);
                out.byte(b',');
            }
            out.drop_comma();
            out.piece(b"]}");
        }
    }
    out.byte(b'}');
}

/// Containers in containers; deeper ones are no data of a tracer.
const MAX_DEPTH: u32 = 64;

/// Any msgpack value as natural JSON; gives the position behind it. Binary is base64; keys that are no text,
/// extensions and numbers that are not finite cannot be said.
fn natural(out: &mut Out, buf: &[u8], p: usize, depth: u32) -> Result<usize, Unsayable> {
    let marker = *buf.get(p).ok_or(Unsayable)?;
    out.room(64);
    match marker {
        0xc0 => {
            out.piece(b"null");
            Ok(p + 1)
        }
        0xc2 => {
            out.piece(b"false");
            Ok(p + 1)
        }
        0xc3 => {
            out.piece(b"true");
            Ok(p + 1)
        }
        0xa0..=0xbf | 0xd9..=0xdb => {
            let (text, end) = reader::text(buf, p).map_err(|_| Unsayable)?;
            out.json_text(Source::whole(text));
            Ok(end)
        }
        0xc4..=0xc6 => {
            let (bytes, end) = reader::text(buf, p).map_err(|_| Unsayable)?;
            out.byte(b'"');
            out.base64(bytes);
            out.byte(b'"');
            Ok(end)
        }
        0xcf => {
            let (v, end) = reader::int_bits(buf, p).map_err(|_| Unsayable)?;
            out.decimal(v);
            Ok(end)
        }
        0xca | 0xcb => {
            let (v, end) = reader::number(buf, p).map_err(|_| Unsayable)?;
            if !v.is_finite() {
                return Err(Unsayable);
            }
            out.json_number(v);
            Ok(end)
        }
        _ if depth == MAX_DEPTH => Err(Unsayable),
        0x90..=0x9f | 0xdc | 0xdd => {
            let (n, mut q) = reader::array_head(buf, p).map_err(|_| Unsayable)?;
            out.byte(b'[');
            for _ in 0..n {
                q = natural(out, buf, q, depth + 1)?;
                out.byte(b',');
            }
            if n > 0 {
                out.drop_comma();
            }
            out.byte(b']');
            Ok(q)
        }
        0x80..=0x8f | 0xde | 0xdf => {
            let (n, mut q) = reader::map_head(buf, p).map_err(|_| Unsayable)?;
            out.byte(b'{');
            for _ in 0..n {
                // A key that is a number is written as text, as JSON has no other keys.
                match reader::text(buf, q) {
                    Ok((key, at)) => {
                        out.json_text(Source::whole(key));
                        q = at;
                    }
                    Err(_) => {
                        let (key, at) = reader::int(buf, q).map_err(|_| Unsayable)?;
                        out.byte(b'"');
                        out.signed(key);
                        out.byte(b'"');
                        q = at;
                    }
                }
                out.byte(b':');
                q = natural(out, buf, q, depth + 1)?;
                out.byte(b',');
            }
            if n > 0 {
                out.drop_comma();
            }
            out.byte(b'}');
            Ok(q)
        }
        _ => {
            let (v, end) = reader::int(buf, p).map_err(|_| Unsayable)?;
            out.signed(v);
            Ok(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn msgpack_becomes_natural_json_or_nothing() {
        for (bytes, json) in [
            (
                &[0x82, 0xa1, b'a', 0x93, 1, 0xc0, 0xc3, 0x05, 0xa1, b'"'][..],
                r#"{"a":[1,null,true],"5":"\""}"#,
            ),
            (&[0x90], "[]"),
            (&[0x80], "{}"),
            (&[0xc4, 2, 0xff, 0xfe], "\"//4=\""),
            (&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "18446744073709551615"),
            (&[0xd0, 0x80], "-128"),
            (&[0xca, 0x3f, 0x80, 0, 0], "1.0"),
        ] {
            let mut out = Out::default();
            assert_eq!(natural(&mut out, bytes, 0, 0), Ok(bytes.len()));
            assert_eq!(std::str::from_utf8(out.written()).unwrap(), json);
        }
        let deep = vec![0x91; 100];
        for bad in
            [&[0x92, 1][..], &[0xc1], &[0xd4, 1, 2], &[0x81, 0xc3, 1], &[0xca, 0x7f, 0xc0, 0, 0], &deep]
        {
            assert_eq!(natural(&mut Out::default(), bad, 0, 0), Err(Unsayable), "{bad:x?}");
        }
    }
}
