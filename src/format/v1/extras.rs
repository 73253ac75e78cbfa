//! Links and events of a span.

use super::super::code::Code;
use super::super::json::field;
use super::{ARRAY, BOOL, DOUBLE, Encoder, INT, STRING};
use crate::msgpack::reader::{self, Bad};

impl Encoder {
    #[cold]
    pub(super) fn links(&mut self, buf: &[u8], p: usize) -> Result<(), Bad> {
        self.out.array_head(list_len(buf, p as u32));
        let (n, mut p) = reader::array_head(buf, p)?;
        for _ in 0..n {
            if buf.get(p) == Some(&0xc0) {
                p += 1;
                continue;
            }
            let find = |key: &[u8]| field(buf, p, key);
            let int = |key| find(key).and_then(|at| reader::int_bits(buf, at).ok()).map_or(0, |(v, _)| v);
            let (span_id, flags) = (int(b"span_id"), int(b"flags"));
            let state =
                find(b"tracestate").filter(|at| reader::text(buf, *at).is_ok_and(|(t, _)| !t.is_empty()));
            let attributes =
                find(b"attributes").and_then(|at| reader::map_head(buf, at).ok()).filter(|(n, _)| *n > 0);
            self.out.room(128);
            self.out.map_head(
                1 + u32::from(span_id != 0)
                    + u32::from(attributes.is_some())
                    + u32::from(state.is_some())
                    + u32::from(flags != 0),
            );
            self.out.word(u64::from_le_bytes([1, 0xc4, 16, 0, 0, 0, 0, 0]), 3);
            self.out.word(int(b"trace_id_high").swap_bytes(), 8);
            self.out.word(int(b"trace_id").swap_bytes(), 8);
            if span_id != 0 {
                self.out.byte(2);
                self.out.nine(0xcf, span_id);
            }
            if let Some((n, mut q)) = attributes {
                self.out.byte(3);
                self.out.array_head(n * 3);
                for _ in 0..n {
                    q = self.string(buf, q);
                    self.out.byte(STRING);
                    q = self.string(buf, q);
                }
            }
            if let Some(at) = state {
                self.out.byte(4);
                self.string(buf, at);
            }
            if flags != 0 {
                self.out.byte(5);
                self.out.uint(flags);
            }
            p = reader::skip(buf, p)?;
        }
        Ok(())
    }

    #[cold]
    pub(super) fn events(&mut self, buf: &[u8], p: usize) -> Result<(), Bad> {
        self.out.array_head(list_len(buf, p as u32));
        let (n, mut p) = reader::array_head(buf, p)?;
        for _ in 0..n {
            if buf.get(p) == Some(&0xc0) {
                p += 1;
                continue;
            }
            let find = |key: &[u8]| field(buf, p, key);
            let time =
                find(b"time_unix_nano").and_then(|at| reader::int_bits(buf, at).ok()).map_or(0, |(v, _)| v);
            let attributes = match find(b"attributes") {
                Some(at) => Some((live_entries(buf, at)?.count() as u32, at)).filter(|(n, _)| *n > 0),
                None => None,
            };
            self.out.room(128);
            self.out.map_head(2 + u32::from(attributes.is_some()));
            self.out.byte(1);
            self.out.nine(0xcf, time);
            self.out.byte(2);
            match find(b"name") {
                Some(at) => drop(self.string(buf, at)),
                None => self.out.code(Code::EMPTY),
            }
            if let Some((n, at)) = attributes {
                self.out.byte(3);
                self.out.array_head(n * 3);
                for (key_at, value_at) in live_entries(buf, at)? {
                    self.string(buf, key_at);
                    self.attribute(buf, value_at)?;
                }
            }
            p = reader::skip(buf, p)?;
        }
        Ok(())
    }

    /// Type and value of one typed attribute of an event.
    pub(super) fn attribute(&mut self, buf: &[u8], p: usize) -> Result<(), Bad> {
        let find = |key: &[u8]| field(buf, p, key);
        let kind = find(b"type").and_then(|at| reader::int(buf, at).ok()).map_or(0, |(v, _)| v);
        self.out.room(64);
        match kind {
            1 => {
                self.out.byte(BOOL);
                let set = find(b"bool_value").and_then(|at| buf.get(at)) == Some(&0xc3);
                self.out.byte(0xc2 | u8::from(set));
            }
            2 => {
                self.out.byte(INT);
                let v = find(b"int_value").and_then(|at| reader::int(buf, at).ok()).map_or(0, |(v, _)| v);
                self.out.int(v);
            }
            3 => {
                self.out.byte(DOUBLE);
                let v =
                    find(b"double_value").and_then(|at| reader::number(buf, at).ok()).map_or(0.0, |(v, _)| v);
                self.out.nine(0xcb, v.to_bits());
            }
            4 => {
                self.out.byte(ARRAY);
                let values = find(b"array_value").and_then(|at| field(buf, at, b"values"));
                let (n, mut q) = values.map_or(Ok((0, 0)), |at| reader::array_head(buf, at))?;
                self.out.array_head(values.map_or(0, |at| list_len(buf, at as u32)) * 2);
                // As deep as the scan allows, which is not deep.
                for _ in 0..n {
                    if buf.get(q) == Some(&0xc0) {
                        q += 1;
                        continue;
                    }
                    self.attribute(buf, q)?;
                    q = reader::skip(buf, q)?;
                }
            }
            _ => {
                self.out.byte(STRING);
                match find(b"string_value") {
                    Some(at) => drop(self.string(buf, at)),
                    None => self.out.code(Code::EMPTY),
                }
            }
        }
        Ok(())
    }
}

/// How many elements of a list are not nil: the agent leaves out those that are.
pub(super) fn list_len(buf: &[u8], at: u32) -> u32 {
    if at == 0 {
        return 0;
    }
    let Ok((n, mut p)) = reader::array_head(buf, at as usize) else { return 0 };
    let mut live = 0;
    for _ in 0..n {
        live += u32::from(buf.get(p) != Some(&0xc0));
        let Ok(end) = reader::skip(buf, p) else { break };
        p = end;
    }
    live
}

/// Places of key and value of a map's entries whose value is not nil.
fn live_entries(buf: &[u8], at: usize) -> Result<impl Iterator<Item = (usize, usize)>, Bad> {
    let (n, mut p) = reader::map_head(buf, at)?;
    let entries = (0..n).map_while(move |_| {
        let value_at = reader::skip(buf, p).ok()?;
        let key_at = std::mem::replace(&mut p, reader::skip(buf, value_at).ok()?);
        Some((key_at, value_at))
    });
    Ok(entries.filter(|(_, value_at)| buf.get(*value_at) != Some(&0xc0)))
}
