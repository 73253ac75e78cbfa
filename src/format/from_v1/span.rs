//! One span: its fields in any order, its attributes by type.

use super::super::out::Out;
use super::firsts::{First, Pieces};
use super::texts::{COMPONENT, ENV, KIND, META_KEYS, Str, Texts, VERSION};
use super::{Decoder, MAX_DEPTH, Read, Run, bad, id, keep};
use crate::msgpack::reader::{self, Bad};
use crate::trace::Fault;
use std::collections::HashMap;

/// Parts of one span that are written one after the other but read in any order.
#[derive(Debug, Default)]
pub(super) struct SpanParts {
    pub(super) meta: Out,
    pub(super) metas: u32,
    pub(super) metrics: Out,
    pub(super) metric_count: u32,
    pub(super) structs: Out,
    pub(super) struct_count: u32,
    pub(super) links: Out,
    pub(super) events: Out,
    /// Key of an attribute inside a container.
    pub(super) path: Vec<u8>,
}

/// The fields of one span that are not attributes.
#[derive(Default)]
pub(super) struct SpanFields {
    pub(super) service: Str,
    pub(super) name: Str,
    pub(super) resource: Str,
    pub(super) kind: Str,
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) start: u64,
    pub(super) duration: u64,
    pub(super) error: bool,
    /// env, version, component.
    pub(super) promoted: [Str; 3],
    pub(super) kind_number: u64,
}

impl Decoder {
    pub(super) fn span(
        &mut self,
        run: &mut Run<'_>,
        at: usize,
        trace_id: u64,
        first: &mut First,
        is_first: bool,
    ) -> Read<usize> {
        let buf = run.buf;
        let (n, mut p) = reader::map_head(buf, at).map_err(bad(at, "a span (a map)"))?;
        let mut f = SpanFields::default();
        let mut seen = 0;
        self.span.rewind();
        for _ in 0..n {
            let Some(&key) = buf.get(p) else { return Err(Fault::new(p, Bad::Truncated, "")) };
            let v = p + 1;
            p = match key {
                1 => keep(self.texts.read(buf, v)?, &mut f.service),
                2 => keep(self.texts.read(buf, v)?, &mut f.name),
                3 => keep(self.texts.read(buf, v)?, &mut f.resource),
                4 => id(buf, v, &mut f.span_id)?,
                5 => id(buf, v, &mut f.parent_id)?,
                6 => id(buf, v, &mut f.start)?,
                7 => id(buf, v, &mut f.duration)?,
                8 => match buf.get(v) {
                    Some(&b @ (0xc2 | 0xc3)) => {
                        f.error = b == 0xc3;
                        v + 1
                    }
                    Some(0xc0) => v + 1,
                    Some(_) => return Err(Fault::new(v, Bad::Type, "a boolean")),
                    None => return Err(Fault::new(v, Bad::Truncated, "")),
                },
                9 => {
                    let (keys, end) = self.span.attributes(&mut self.texts, buf, v)?;
                    seen |= keys;
                    end
                }
                10 => keep(self.texts.read(buf, v)?, &mut f.kind),
                11 => self.span.all_links(&mut self.texts, buf, v)?,
                12 => self.span.all_events(&mut self.texts, buf, v)?,
                13 => keep(self.texts.read(buf, v)?, &mut f.promoted[0]),
                14 => keep(self.texts.read(buf, v)?, &mut f.promoted[1]),
                15 => keep(self.texts.read(buf, v)?, &mut f.promoted[2]),
                16 => id(buf, v, &mut f.kind_number)?,
                0x11..=0x7f => self.texts.pass(buf, v)?,
                _ => {
                    let (_, at) = reader::int_bits(buf, p).map_err(bad(p, "a key (an integer)"))?;
                    self.texts.pass(buf, at)?
                }
            };
        }
        if f.start > i64::MAX as u64 || f.duration > i64::MAX as u64 {
            f.start = f.start.min(i64::MAX as u64);
            f.duration = f.duration.min(i64::MAX as u64);
            run.clamped += 1;
        }
        run.without_service += u64::from(f.service.is_empty(buf));
        self.span.promoted(buf, &f, seen);
        // Env, version and the like are settled here; only what is left to the payload matters later.
        let has = |key: u8, there: bool| u32::from(there) << key;
        first.seen |= seen | has(ENV, f.promoted[0].len > 1) | has(VERSION, f.promoted[1].len > 1);
        self.write(buf, &f, trace_id, first, is_first);
        Ok(p)
    }

    pub(super) fn write(
        &mut self,
        buf: &[u8],
        f: &SpanFields,
        trace_id: u64,
        first: &mut First,
        is_first: bool,
    ) {
        let (out, s) = (&mut self.out, &self.span);
        let parts = [&s.meta, &s.metrics, &s.structs, &s.links, &s.events];
        let texts = f.service.len + f.name.len + f.resource.len + f.kind.len;
        out.room(512 + texts as usize + parts.iter().map(|o| o.len()).sum::<usize>());
        let entries = 9
            + u32::from(f.kind.len > 0)
            + u32::from(is_first || s.metric_count > 0)
            + u32::from(is_first || s.metas > 0)
            + u32::from(s.struct_count > 0)
            + u32::from(s.links.len() > 0)
            + u32::from(s.events.len() > 0);
        out.map_head(entries);
        out.fixed(b"\xa7service\0\0\0\0\0\0\0\0", 8);
        out.text(buf, f.service);
        out.fixed(b"\xa4name\0\0\0\0\0\0\0\0\0\0\0", 5);
        out.text(buf, f.name);
        out.fixed(b"\xa8resource\0\0\0\0\0\0\0", 9);
        out.text(buf, f.resource);
        out.fixed_and_word::<10>(b"\xa8trace_id\xcf\0\0\0\0\0\0", trace_id);
        out.fixed_and_word::<9>(b"\xa7span_id\xcf\0\0\0\0\0\0\0", f.span_id);
        out.fixed_and_word::<11>(b"\xa9parent_id\xcf\0\0\0\0\0", f.parent_id);
        out.fixed_and_word::<7>(b"\xa5start\xcf\0\0\0\0\0\0\0\0\0", f.start);
        out.fixed_and_word::<10>(b"\xa8duration\xcf\0\0\0\0\0\0", f.duration);
        if f.kind.len > 0 {
            out.fixed(b"\xa4type\0\0\0\0\0\0\0\0\0\0\0", 5);
            out.text(buf, f.kind);
        }
        out.fixed(b"\xa5error\0\0\0\0\0\0\0\0\0\0", 6);
        out.byte(u8::from(f.error));
        if is_first || s.metric_count > 0 {
            out.fixed(b"\xa7metrics\0\0\0\0\0\0\0\0", 8);
            if is_first {
                (first.metrics_at, first.metrics) = (out.len(), s.metric_count);
                out.wide_map_head(s.metric_count);
            } else {
                out.map_head(s.metric_count);
            }
            out.bytes(s.metrics.written());
        }
        if is_first || s.metas > 0 {
            out.fixed(b"\xa4meta\0\0\0\0\0\0\0\0\0\0\0", 5);
            if is_first {
                (first.meta_at, first.metas) = (out.len(), s.metas);
                out.wide_map_head(s.metas);
            } else {
                out.map_head(s.metas);
            }
            out.bytes(s.meta.written());
        }
        if s.struct_count > 0 {
            out.bytes(b"\xabmeta_struct");
            out.map_head(s.struct_count);
            out.bytes(s.structs.written());
        }
        if s.links.len() > 0 {
            out.bytes(b"\xaaspan_links");
            out.bytes(s.links.written());
        }
        if s.events.len() > 0 {
            out.bytes(b"\xabspan_events");
            out.bytes(s.events.written());
        }
    }
}

impl Out {
    /// A text of the input with its head.
    #[inline(always)]
    pub(super) fn text(&mut self, buf: &[u8], text: Str) {
        if text.len == 0 {
            self.byte(0xa0);
        } else {
            self.copy(buf, text.at as usize, text.len as usize);
        }
    }

    /// A map head that any count fits in.
    pub(super) fn wide_map_head(&mut self, n: u32) {
        self.word(0xdf | u64::from(n.swap_bytes()) << 8, 5);
    }
}

impl SpanParts {
    /// For a new payload.
    pub(super) fn clear(&mut self) {
        for out in [&mut self.meta, &mut self.metrics, &mut self.structs, &mut self.links, &mut self.events] {
            out.clear();
        }
        self.rewind();
    }

    /// For another span of the payload: what has failed stays failed.
    #[inline(always)]
    pub(super) fn rewind(&mut self) {
        self.meta.rewind();
        self.metrics.rewind();
        self.structs.rewind();
        self.links.rewind();
        self.events.rewind();
        (self.metas, self.metric_count, self.struct_count) = (0, 0, 0);
    }

    /// Whether something is missing for want of memory.
    pub(super) fn failed(&self) -> bool {
        [&self.meta, &self.metrics, &self.structs, &self.links, &self.events].iter().any(|out| out.failed())
    }

    /// Gives back what only an unusual span needs.
    pub(super) fn release(&mut self) {
        for out in [&mut self.meta, &mut self.metrics, &mut self.structs, &mut self.links, &mut self.events] {
            if out.capacity_bytes() > 1 << 20 {
                out.release();
            }
        }
    }

    /// Copies `meta` and `metrics` to the end of `side`.
    pub(super) fn to_side(&self, side: &mut Out) -> Pieces {
        let mut copy = |from: &Out| {
            let start = side.len();
            side.append(from);
            start..side.len()
        };
        Pieces {
            meta: copy(&self.meta),
            metas: self.metas,
            metrics: copy(&self.metrics),
            metric_count: self.metric_count,
        }
    }

    /// Reads a flat list of key, type, value. Gives which of the keys that matter are there, and the position behind.
    pub(super) fn attributes(&mut self, texts: &mut Texts, buf: &[u8], at: usize) -> Read<(u32, usize)> {
        let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array of attributes"))?;
        if n % 3 != 0 {
            return Err(Fault::new(at, Bad::Type, "an array of attributes (key, type, value)"));
        }
        // Keys of texts, and of all else; what is no number is never beside a text of its key.
        let (mut of_texts, mut of_numbers) = (0, 0);
        // Enough for common texts; longer ones make their own room.
        self.meta.room(24 * (n as usize).min(1024));
        self.metrics.room(16 * (n as usize).min(1024));
        for _ in 0..n / 3 {
            let (key, at) = texts.read(buf, p)?;
            match buf.get(at) {
                Some(1) => {
                    of_texts |= key.seen();
                    let (value, end) = texts.read(buf, at + 1)?;
                    self.meta.text(buf, key);
                    self.meta.text(buf, value);
                    self.metas += 1;
                    p = end;
                }
                Some(3) if buf.get(at + 1) == Some(&0xcb) && at + 10 <= buf.len() => {
                    of_numbers |= key.seen();
                    self.metrics.text(buf, key);
                    self.metrics.copy(buf, at + 1, 9);
                    self.metric_count += 1;
                    p = at + 10;
                }
                kind => {
                    match kind {
                        Some(2) => of_texts |= key.seen(),
                        Some(3 | 4) => of_numbers |= key.seen(),
                        _ => of_numbers |= (key.seen() | key.seen() >> 16) & !META_KEYS,
                    }
                    let mut path = std::mem::take(&mut self.path);
                    path.clear();
                    path.extend_from_slice(key.content(buf));
                    let end = self.value(texts, buf, at, &mut path, MAX_DEPTH);
                    self.path = path;
                    p = end?;
                }
            }
        }
        let is_settled = of_texts & !META_KEYS == 0 && of_numbers & META_KEYS == 0;
        if !is_settled && note_keys(texts, buf, at, n / 3) {
            self.drop_beaten(texts, buf, at, n / 3);
        }
        let seen = of_texts | of_numbers;
        Ok(((seen | seen >> 16) & !META_KEYS & !1, p))
    }

    /// Of a text and a number with one key the last counts. In v0.4 `meta` comes behind `metrics`, so a text stays
    /// only if no number came behind it.
    #[cold]
    fn drop_beaten(&mut self, texts: &mut Texts, buf: &[u8], at: usize, n: u32) {
        let mut is_number: HashMap<&[u8], bool> = HashMap::new();
        let Ok((_, mut p)) = reader::array_head(buf, at) else { return };
        for _ in 0..n {
            let (Ok((key, at)), true) = (texts.read(buf, p), is_number.try_reserve(1).is_ok()) else {
                return;
            };
            match buf.get(at) {
                Some(1 | 2) => drop(is_number.insert(key.content(buf), false)),
                Some(3 | 4) => drop(is_number.insert(key.content(buf), true)),
                _ => {}
            }
            let Ok(end) = reader::skip(buf, at + 1) else { return };
            p = end;
        }
        if self.meta.failed() {
            return;
        }
        let all = std::mem::take(&mut self.meta);
        let (written, mut p) = (all.written(), 0);
        self.metas = 0;
        while let Ok((key, value)) = reader::text(written, p) {
            let Ok(end) = reader::skip(written, value) else { break };
            if is_number.get(key) != Some(&true) {
                self.meta.bytes(written.get(p..end).unwrap_or(&[]));
                self.metas += 1;
            }
            p = end;
        }
    }

    /// Type and value at `p`, of the attribute whose key is `path`.
    #[cold]
    pub(super) fn value(
        &mut self,
        texts: &mut Texts,
        buf: &[u8],
        p: usize,
        path: &mut Vec<u8>,
        depth: u32,
    ) -> Read<usize> {
        let (kind, at) = reader::int_bits(buf, p).map_err(bad(p, "the type of an attribute"))?;
        Ok(match kind {
            1 => {
                let (value, end) = texts.read(buf, at)?;
                self.meta.key(path);
                self.meta.bytes(value.raw(buf));
                self.metas += 1;
                end
            }
            2 => {
                let text: &[u8] = match buf.get(at) {
                    Some(0xc3) => b"\xa4true",
                    Some(0xc2) => b"\xa5false",
                    Some(_) => return Err(Fault::new(at, Bad::Type, "a boolean")),
                    None => return Err(Fault::new(at, Bad::Truncated, "")),
                };
                self.meta.key(path);
                self.meta.bytes(text);
                self.metas += 1;
                at + 1
            }
            3 | 4 => {
                let end = if kind == 3 {
                    match buf.get(at) {
                        Some(0xcb) => reader::number(buf, at).map_err(bad(at, "a 64-bit float"))?.1,
                        Some(_) => return Err(Fault::new(at, Bad::Type, "a 64-bit float")),
                        None => return Err(Fault::new(at, Bad::Truncated, "")),
                    }
                } else {
                    reader::int_bits(buf, at).map_err(bad(at, "an integer"))?.1
                };
                self.metrics.key(path);
                self.metrics.bytes(buf.get(at..end).unwrap_or(&[0]));
                self.metric_count += 1;
                end
            }
            5 => {
                if !matches!(buf.get(at), Some(0xc4..=0xc6)) {
                    return Err(Fault::new(at, Bad::Type, "binary"));
                }
                let end = reader::skip(buf, at).map_err(bad(at, "binary"))?;
                self.structs.key(path);
                self.structs.bytes(buf.get(at..end).unwrap_or(&[0xc0]));
                self.struct_count += 1;
                end
            }
            6 | 7 => {
                if depth == 0 {
                    return Err(Fault::new(p, Bad::Type, "an attribute of fewer levels"));
                }
                let (n, mut p) = reader::array_head(buf, at).map_err(bad(at, "an array"))?;
                let step = if kind == 6 { 2 } else { 3 };
                if n % step != 0 {
                    return Err(Fault::new(at, Bad::Type, "an array of whole entries"));
                }
                let before = path.len();
                for i in 0..n / step {
                    texts.spend(path.len(), p)?;
                    path.push(b'.');
                    if kind == 6 {
                        path.extend_from_slice(i.to_string().as_bytes());
                    } else {
                        let (key, at) = texts.read(buf, p)?;
                        path.extend_from_slice(key.content(buf));
                        p = at;
                    }
                    p = self.value(texts, buf, p, path, depth - 1)?;
                    path.truncate(before);
                }
                p
            }
            _ => return Err(Fault::new(p, Bad::Type, "the type of an attribute (1 to 7)")),
        })
    }

    /// Env, version, component and kind, where no attribute says them.
    #[inline(always)]
    pub(super) fn promoted(&mut self, buf: &[u8], f: &SpanFields, seen: u32) {
        const KINDS: [(&[u8; 16], usize); 5] = [
            (b"\xa8internal\0\0\0\0\0\0\0", 9),
            (b"\xa6server\0\0\0\0\0\0\0\0\0", 7),
            (b"\xa6client\0\0\0\0\0\0\0\0\0", 7),
            (b"\xa8producer\0\0\0\0\0\0\0", 9),
            (b"\xa8consumer\0\0\0\0\0\0\0", 9),
        ];
        const NAMES: [(&[u8; 16], usize, u8); 3] = [
            (b"\xa3env\0\0\0\0\0\0\0\0\0\0\0\0", 4, ENV),
            (b"\xa7version\0\0\0\0\0\0\0\0", 8, VERSION),
            (b"\xa9component\0\0\0\0\0\0", 10, COMPONENT),
        ];
        let out = &mut self.meta;
        out.room(256);
        if seen & (1 << KIND) == 0
            && let Some((kind, len)) = (f.kind_number as usize).checked_sub(1).and_then(|k| KINDS.get(k))
        {
            out.fixed(b"\xa9span.kind\0\0\0\0\0\0", 10);
            out.fixed(kind, *len);
            self.metas += 1;
        }
        for ((name, len, key), &text) in NAMES.into_iter().zip(&f.promoted) {
            if text.len > 0 && seen & (1 << key) == 0 {
                out.fixed(name, len);
                out.text(buf, text);
                self.metas += 1;
            }
        }
    }
}

/// Notes which texts are keys of texts, so that later spans know them, and says whether a number of this span has such
/// a key. The attributes were read before.
#[cold]
fn note_keys(texts: &mut Texts, buf: &[u8], at: usize, n: u32) -> bool {
    let mut has_number = false;
    for of_numbers in [false, true] {
        let Ok((_, mut p)) = reader::array_head(buf, at) else { return false };
        for _ in 0..n {
            let Ok((key, at)) = texts.read(buf, p) else { return false };
            match buf.get(at) {
                Some(1 | 2) if !of_numbers && !key.is_meta_key() => texts.set_meta_key(buf, p),
                Some(3 | 4) if of_numbers => has_number |= key.is_meta_key(),
                _ => {}
            }
            let Ok(end) = reader::skip(buf, at + 1) else { return has_number };
            p = end;
        }
    }
    has_number
}
