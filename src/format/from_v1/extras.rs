//! Links and events of a span.

use super::super::out::Out;
use super::span::SpanParts;
use super::texts::{EMPTY, Texts};
use super::{MAX_DEPTH, Read, bad, id, keep, trace_id};
use crate::msgpack::reader::{self, Bad};
use crate::msgpack::text;
use crate::trace::Fault;

impl SpanParts {
    #[cold]
    pub(super) fn all_links(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
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

    pub(super) fn link(&mut self, texts: &mut Texts, buf: &[u8], at: usize, out: &mut Out) -> Read<usize> {
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
            out.append(&attributes.bytes);
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
    pub(super) fn all_events(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
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

pub(super) fn event(texts: &mut Texts, buf: &[u8], at: usize, out: &mut Out) -> Read<usize> {
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
        out.append(&attributes.bytes);
    }
    Ok(p)
}

/// Attributes of a link or an event as entries of a v0.4 map.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) bytes: Out,
    pub(super) count: u32,
}

impl Attributes {
    /// A link's: all values as text, containers as dotted keys.
    pub(super) fn read_texts(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
        self.triplets(texts, buf, at, &mut Vec::new(), MAX_DEPTH, false)
    }

    /// An event's: with their types, lists of pairs as dotted keys.
    pub(super) fn read_typed(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<usize> {
        self.triplets(texts, buf, at, &mut Vec::new(), MAX_DEPTH, true)
    }

    pub(super) fn triplets(
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
            texts.spend(before, p)?;
            let (key, at) = texts.read(buf, p)?;
            path.extend_from_slice(key.content(buf));
            p = self.entry(texts, buf, at, path, depth, typed)?;
            path.truncate(before);
        }
        Ok(p)
    }

    pub(super) fn entry(
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
                texts.spend(before, p)?;
                path.push(b'.');
                path.extend_from_slice(i.to_string().as_bytes());
                p = self.entry(texts, buf, p, path, depth - 1, typed)?;
                path.truncate(before);
            }
            return Ok(p);
        }
        self.bytes.key(path);
        self.count += 1;
        if typed { self.typed(texts, buf, p, depth) } else { self.plain(texts, buf, kind, at) }
    }

    /// A value as text.
    pub(super) fn plain(&mut self, texts: &mut Texts, buf: &[u8], kind: u64, at: usize) -> Read<usize> {
        let (text, end) = match kind {
            1 => {
                let (value, end) = texts.read(buf, at)?;
                self.bytes.bytes(value.raw(buf));
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
                self.bytes.key(&text::repaired(bytes));
                return Ok(end);
            }
            _ => return Err(Fault::new(at, Bad::Type, "a value of type 1 to 7")),
        };
        self.bytes.key(text.as_bytes());
        Ok(end)
    }

    /// Type and value at `p` as v0.4 writes an event's: `{type, string_value | ...}`.
    pub(super) fn typed(&mut self, texts: &mut Texts, buf: &[u8], p: usize, depth: u32) -> Read<usize> {
        let (kind, at) = reader::int_bits(buf, p).map_err(bad(p, "the type of an attribute"))?;
        if depth == 0 {
            return Err(Fault::new(p, Bad::Type, "an attribute of fewer levels"));
        }
        let out = &mut self.bytes;
        let mut begin = |kind: u8, name: &str| {
            out.room(64);
            out.map_head(2);
            out.key(b"type");
            out.byte(kind);
            out.key(name.as_bytes());
        };
        Ok(match kind {
            1 => {
                begin(0, "string_value");
                let (value, end) = texts.read(buf, at)?;
                self.bytes.bytes(value.raw(buf));
                end
            }
            2 => {
                begin(1, "bool_value");
                let (v, end) = boolean(buf, at)?;
                self.bytes.byte(0xc2 | u8::from(v));
                end
            }
            3 => {
                begin(3, "double_value");
                let (v, end) = reader::number(buf, at).map_err(bad(at, "a 64-bit float"))?;
                self.bytes.nine(0xcb, v.to_bits());
                end
            }
            4 => {
                begin(2, "int_value");
                let (v, end) = reader::int(buf, at).map_err(bad(at, "an integer"))?;
                self.bytes.short_int(v);
                end
            }
            5 => {
                begin(0, "string_value");
                let (bytes, end) = reader::text(buf, at).map_err(bad(at, "binary"))?;
                self.bytes.key(&text::repaired(bytes));
                end
            }
            6 => {
                begin(4, "array_value");
                let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array"))?;
                if n % 2 != 0 {
                    return Err(Fault::new(at, Bad::Type, "an array of whole entries"));
                }
                self.bytes.room(64);
                self.bytes.map_head(1);
                self.bytes.key(b"values");
                self.bytes.array_head(n / 2);
                for _ in 0..n / 2 {
                    p = self.typed(texts, buf, p, depth - 1)?;
                }
                p
            }
            _ => return Err(Fault::new(p, Bad::Type, "the type of an attribute (1 to 7)")),
        })
    }
}

pub(super) fn boolean(buf: &[u8], p: usize) -> Read<(bool, usize)> {
    match buf.get(p) {
        Some(&b @ (0xc2 | 0xc3)) => Ok((b == 0xc3, p + 1)),
        Some(_) => Err(Fault::new(p, Bad::Type, "a boolean")),
        None => Err(Fault::new(p, Bad::Truncated, "")),
    }
}
