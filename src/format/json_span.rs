//! A span as one JSON object with the names of v0.4, for the intake and for log lines: what both have in common is
//! written here, what differs is theirs.

use super::json_out::decimal;
use super::keys::{self, Keys, Losers, Seen, Words};
use super::numbers::{Number, number};
use super::out::Out;
use super::pairs::{NumberPair, Pair};
use super::parts::{self, Value};
use super::source::{self, Source};
use super::string_at;
use crate::msgpack::reader;
use crate::trace::{Span, flag};

/// Writes the maps of spans; keeps its memory for the next. A span is begun, its maps are written, and where a key of
/// one of them may have come twice ([`Maps::suspects`]) it is written once more behind [`Maps::look`], without what
/// does not count.
#[derive(Debug, Default)]
pub(super) struct Maps {
    seen: Seen,
    losers: Losers,
    suspicious: bool,
    /// The losers of this span are known.
    looked: bool,
}

/// What a format writes into a map beside its entries, unless the span says it itself: under each key this JSON; empty
/// ones are not written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extras<'e, const N: usize> {
    pub(super) keys: &'static Keys<N>,
    pub(super) json: [&'e [u8]; N],
}

/// Nothing beside the entries.
pub(super) const NONE: Extras<'_, 0> = Extras { keys: &Keys::new([]), json: [] };

/// A value that JSON cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsayable;

impl Maps {
    /// Another span.
    #[inline(always)]
    pub(super) fn begin(&mut self, buf: &[u8], span: &Span) {
        self.losers.clear();
        (self.suspicious, self.looked) = (false, false);
        if span.meta_struct.at != 0 {
            self.struct_keys(buf, span);
        }
    }

    #[cold]
    fn struct_keys(&mut self, buf: &[u8], span: &Span) {
        self.seen.begin();
        let map = keys::meta_struct(buf, span);
        let mut p = map.first as usize;
        for _ in 0..map.len {
            let (at, len) = string_at(buf, p);
            self.suspicious |= self.seen.repeats(Words::at(buf, at, len).hash());
            p = reader::skip(buf, at + len).unwrap_or(buf.len());
        }
    }

    /// Whether a key of a map may have come twice, so that the span must be written again.
    pub(super) fn suspects(&self) -> bool {
        self.suspicious && !self.looked
    }

    /// Looks which entries of the span do not count.
    #[cold]
    pub(super) fn look(&mut self, buf: &[u8], span: &Span) {
        self.looked = true;
        self.losers.find_in_each(buf, span);
    }

    fn counts(&self, at: usize) -> bool {
        self.losers.is_empty() || !self.losers.has(at)
    }

    /// The texts, and behind them `extras` that the span does not say itself. Gives whether anything was written.
    ///
    /// Nearly all entries are short pairs without anything to escape: they go through windows of fixed size.
    #[inline(always)]
    pub(super) fn meta<const N: usize>(
        &mut self,
        out: &mut Out,
        buf: &[u8],
        span: &Span,
        extras: &Extras<'_, N>,
    ) -> bool {
        let start = out.len();
        self.seen.begin();
        let plain = !self.looked && source::all_plain(buf, span.meta);
        let mut own = 0u32;
        let mut p = span.meta.first as usize;
        for _ in 0..span.meta.len {
            if !self.looked
                && let Some(pair) = Pair::at(buf, p)
                && (plain || pair.is_plain())
                && let Some(to) = out.window::<104>()
            {
                let (key, value) = (pair.key_len(), pair.value_len());
                let words = pair.words();
                let hash = words.hash();
                self.suspicious |= self.seen.repeats(hash);
                own |= extras.said(words, hash, Source::new(buf, p + 1, key));
                to[0] = b'"';
                to[1..33].copy_from_slice(pair.key());
                to[1 + key..4 + key].copy_from_slice(b"\":\"");
                to[4 + key..36 + key].copy_from_slice(pair.value());
                if value > 32 {
                    to[36 + key..68 + key].copy_from_slice(pair.rest());
                }
                to[4 + key + value..6 + key + value].copy_from_slice(b"\",");
                out.advance(6 + key + value);
                p += pair.len();
            } else {
                let (end, words) = self.text(out, buf, p);
                if let Some(words) = words {
                    let (at, len) = string_at(buf, p);
                    own |= extras.said(words, words.hash(), Source::new(buf, at, len));
                }
                p = end;
            }
        }
        extras.add(out, own);
        out.drop_comma();
        out.len() > start
    }

    /// An entry of any kind; gives where the next one begins, and the words of the key if the entry counts.
    #[inline(never)]
    fn text(&mut self, out: &mut Out, buf: &[u8], p: usize) -> (usize, Option<Words>) {
        let (at, len) = string_at(buf, p);
        let (value_at, value_len) = string_at(buf, at + len);
        let words = Words::at(buf, at, len);
        if self.looked {
            if !self.counts(at) {
                return (value_at + value_len, None);
            }
        } else {
            self.suspicious |= self.seen.repeats(words.hash());
        }
        out.json_text(Source::new(buf, at, len));
        out.byte(b':');
        out.json_text(Source::new(buf, value_at, value_len));
        out.byte(b',');
        (value_at + value_len, Some(words))
    }

    /// The numbers, and behind them `extras` that the span does not say itself. What is not finite is left out; gives
    /// whether anything was written, and whether something was left out. `plain`: a key whose integers have no `.0`.
    #[inline(always)]
    pub(super) fn metrics<const N: usize>(
        &mut self,
        out: &mut Out,
        buf: &[u8],
        span: &Span,
        (extras, plain): (&Extras<'_, N>, &[u8]),
    ) -> (bool, bool) {
        let (start, mut lost, mut own) = (out.len(), false, 0u32);
        let bare = Words::of(plain);
        self.seen.begin();
        let mut p = span.metrics.first as usize;
        for _ in 0..span.metrics.len {
            if !self.looked
                && let Some(pair) = NumberPair::at(buf, p)
                && pair.is_plain()
                && let Number::Int(v @ 0..) = pair.value
                && let Some(to) = out.window::<72>()
            {
                let key = pair.key_len();
                let words = pair.words();
                let hash = words.hash();
                self.suspicious |= self.seen.repeats(hash);
                own |= extras.said(words, hash, Source::new(buf, p + 1, key));
                to[0] = b'"';
                to[1..33].copy_from_slice(pair.key());
                to[1 + key..3 + key].copy_from_slice(b"\":");
                let digits = to[3 + key..].first_chunk_mut().map_or(0, |to| decimal(v as u64, to));
                // Keys with equal words that have more than fifteen bytes may differ; this one is shorter.
                let point = if words == bare { 0 } else { 2 };
                if let Some(to) = to.get_mut(3 + key + digits..6 + key + digits) {
                    to.copy_from_slice(if point == 0 { b",  " } else { b".0," });
                }
                out.advance(4 + key + digits + point);
                p += pair.len;
            } else {
                let (end, words, left_out) = self.number(out, buf, p, bare);
                lost |= left_out;
                if let Some(words) = words {
                    let (at, len) = string_at(buf, p);
                    own |= extras.said(words, words.hash(), Source::new(buf, at, len));
                }
                p = end;
            }
        }
        if span.flags & flag::ADD_TOP_LEVEL != 0 {
            out.piece(b"\"_top_level\":1");
            if plain.is_empty() {
                out.piece(b".0");
            }
            out.byte(b',');
        }
        extras.add(out, own);
        out.drop_comma();
        (out.len() > start, lost)
    }

    /// An entry of any kind; gives where the next one begins, the words of the key if the entry counts, and whether it
    /// was left out.
    #[inline(never)]
    fn number(&mut self, out: &mut Out, buf: &[u8], p: usize, bare: Words) -> (usize, Option<Words>, bool) {
        let (at, len) = string_at(buf, p);
        let (value, end) = number(buf, at + len);
        let words = Words::at(buf, at, len);
        if self.looked {
            if !self.counts(at) {
                return (end, None, false);
            }
        } else {
            self.suspicious |= self.seen.repeats(words.hash());
        }
        if matches!(value, Number::Double(v) if !v.is_finite()) {
            return (end, Some(words), true);
        }
        out.json_text(Source::new(buf, at, len));
        out.byte(b':');
        match value {
            Number::Int(v) => {
                out.signed(v);
                if words != bare {
                    out.piece(b".0");
                }
            }
            Number::Double(v) => out.json_number(v),
        }
        out.byte(b',');
        (end, Some(words), false)
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

impl<const N: usize> Extras<'_, N> {
    /// The bit of the one that has this key.
    #[inline(always)]
    fn said(&self, words: Words, hash: u64, key: Source<'_>) -> u32 {
        self.keys.find(words, hash, key).map_or(0, |i| 1 << i)
    }

    #[inline(always)]
    fn add(&self, out: &mut Out, own: u32) {
        for (i, json) in self.json.iter().enumerate() {
            if own & 1 << i == 0 && !json.is_empty() {
                add(out, self.keys.text(i), json);
            }
        }
    }
}

#[inline(never)]
fn add(out: &mut Out, key: &[u8], json: &[u8]) {
    out.room(64);
    out.json_text(Source::whole(key));
    out.byte(b':');
    out.bytes(json);
    out.byte(b',');
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
