//! Links, events and attribute values of a payload, read where they stand, for encoders that write them one by one.

use super::json::{Fields, field};
use crate::msgpack::reader;
use std::collections::HashMap;

/// A span link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link<'b> {
    pub(super) high: u64,
    pub(super) low: u64,
    pub(super) span: u64,
    pub(super) state: &'b [u8],
    /// Without bit 31, which only says that they are set.
    pub(super) flags: u32,
    /// Where its attributes stand: texts.
    pub(super) attributes: Option<usize>,
}

/// A span event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Event<'b> {
    pub(super) time: u64,
    pub(super) name: &'b [u8],
    /// Where its attributes stand: typed values.
    pub(super) attributes: Option<usize>,
}

/// A typed value. One without a value is its type's zero, as the agent reads it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'b> {
    Text(&'b [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// The place of its elements, if there are any.
    Array(Option<usize>),
}

/// Where the elements of the array at `p` stand; nil ones are left out, as the agent does.
pub(super) fn elements(buf: &[u8], p: usize) -> impl Iterator<Item = usize> {
    let (mut left, mut p) = reader::array_head(buf, p).unwrap_or((0, 0));
    std::iter::from_fn(move || {
        loop {
            left = left.checked_sub(1)?;
            let at = p;
            p = reader::skip(buf, p).ok()?;
            if buf.get(at) != Some(&0xc0) {
                return Some(at);
            }
        }
    })
}

/// The link that is the map at `p`. The scan has checked it.
pub(super) fn link(buf: &[u8], p: usize) -> Link<'_> {
    let mut link = Link::default();
    for (key, at) in Fields::of(buf, p).into_iter().flatten() {
        match key {
            b"trace_id" => link.low = int(buf, at),
            b"trace_id_high" => link.high = int(buf, at),
            b"span_id" => link.span = int(buf, at),
            b"flags" => link.flags = int(buf, at) as u32 & 0x7fff_ffff,
            b"tracestate" => link.state = text(buf, at),
            b"attributes" => link.attributes = Some(at),
            _ => {}
        }
    }
    link
}

/// The event that is the map at `p`. The scan has checked it.
pub(super) fn event(buf: &[u8], p: usize) -> Event<'_> {
    let mut event = Event::default();
    for (key, at) in Fields::of(buf, p).into_iter().flatten() {
        match key {
            b"time_unix_nano" => event.time = int(buf, at),
            b"name" => event.name = text(buf, at),
            b"attributes" => event.attributes = Some(at),
            _ => {}
        }
    }
    event
}

/// The typed value at `p`.
pub(super) fn value(buf: &[u8], p: usize) -> Value<'_> {
    let find = |name: &[u8]| field(buf, p, name);
    match find(b"type").map_or(0, |at| int(buf, at)) {
        1 => Value::Bool(find(b"bool_value").and_then(|at| buf.get(at)) == Some(&0xc3)),
        2 => Value::Int(find(b"int_value").and_then(|at| reader::int(buf, at).ok()).map_or(0, |(v, _)| v)),
        3 => {
            let number = find(b"double_value").and_then(|at| reader::number(buf, at).ok());
            Value::Double(number.map_or(0.0, |(v, _)| v))
        }
        4 => Value::Array(find(b"array_value").and_then(|at| field(buf, at, b"values"))),
        // Text, and what the agent does not know either.
        _ => Value::Text(find(b"string_value").map_or(&[], |at| text(buf, at))),
    }
}

/// The attributes of the map at `p`: each key, and where its value stands. Of a key that comes twice the last one
/// counts; values that are nil are left out.
pub(super) fn attributes(buf: &[u8], p: Option<usize>) -> impl Iterator<Item = (&[u8], usize)> {
    const FEW: usize = 16;
    let all = move || p.and_then(|p| Fields::of(buf, p).ok()).into_iter().flatten();
    let many: Option<HashMap<&[u8], usize>> = (all().take(FEW + 1).count() > FEW).then(|| all().collect());
    all().enumerate().filter_map(move |(i, (key, at))| {
        let counts = match &many {
            Some(last) => last.get(key) == Some(&at),
            None => all().skip(i + 1).all(|(later, _)| later != key),
        };
        (counts && buf.get(at) != Some(&0xc0)).then_some((key, at))
    })
}

pub(super) fn text(buf: &[u8], at: usize) -> &[u8] {
    reader::text(buf, at).map_or(&[], |(text, _)| text)
}

fn int(buf: &[u8], at: usize) -> u64 {
    reader::int_bits(buf, at).map_or(0, |(v, _)| v)
}
