//! Msgpack by hand: small builders for payloads that no tracer writes, and a strict reader of v0.4 bodies.
//!
//! The strict reader accepts exactly what both v0.4 decoders of the Go agent accept (the classic and the
//! converting one); it works on `rmpv` values and shares no code with the library.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

use rmpv::Value;

/// A msgpack value, already encoded.
pub type Bytes = Vec<u8>;
/// A map entry: key and value, both encoded, so that keys can be of any type.
pub type Entry = (Bytes, Bytes);

pub const NIL: &[u8] = &[0xc0];

pub fn nil() -> Bytes {
    NIL.to_vec()
}

pub fn s(text: &str) -> Bytes {
    text_of(text.as_bytes())
}

/// A string whose bytes need not be UTF-8.
pub fn text_of(bytes: &[u8]) -> Bytes {
    let n = bytes.len();
    let head: Bytes = match n {
        0..=31 => vec![0xa0 | n as u8],
        32..=0xff => vec![0xd9, n as u8],
        0x100..=0xffff => vec![0xda, (n >> 8) as u8, n as u8],
        _ => [&[0xdb][..], &(n as u32).to_be_bytes()].concat(),
    };
    [head, bytes.to_vec()].concat()
}

pub fn bin(bytes: &[u8]) -> Bytes {
    [&[0xc6][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

pub fn u64_(v: u64) -> Bytes {
    [&[0xcf][..], &v.to_be_bytes()].concat()
}

pub fn i64_(v: i64) -> Bytes {
    [&[0xd3][..], &v.to_be_bytes()].concat()
}

/// The smallest form.
pub fn int(v: i64) -> Bytes {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &Value::from(v)).unwrap();
    out
}

pub fn f64_(v: f64) -> Bytes {
    [&[0xcb][..], &v.to_bits().to_be_bytes()].concat()
}

pub fn f32_(v: f32) -> Bytes {
    [&[0xca][..], &v.to_bits().to_be_bytes()].concat()
}

pub fn bool_(v: bool) -> Bytes {
    vec![if v { 0xc3 } else { 0xc2 }]
}

/// An extension of one byte.
pub fn ext() -> Bytes {
    vec![0xd4, 1, 7]
}

pub fn array(items: impl IntoIterator<Item = Bytes>) -> Bytes {
    let items: Vec<Bytes> = items.into_iter().collect();
    [head(0x90, 0xdc, items.len()), items.concat()].concat()
}

pub fn map(entries: impl IntoIterator<Item = Entry>) -> Bytes {
    let entries: Vec<Bytes> = entries.into_iter().map(|(k, v)| [k, v].concat()).collect();
    [head(0x80, 0xde, entries.len()), entries.concat()].concat()
}

fn head(fix: u8, wide: u8, n: usize) -> Bytes {
    match n {
        0..=15 => vec![fix | n as u8],
        16..=0xffff => vec![wide, (n >> 8) as u8, n as u8],
        _ => [&[wide + 1][..], &(n as u32).to_be_bytes()].concat(),
    }
}

/// An entry with a text key.
pub fn e(key: &str, value: Bytes) -> Entry {
    (s(key), value)
}

/// The fields of a span that is in order.
pub fn fields() -> Vec<Entry> {
    vec![
        e("service", s("shop")),
        e("name", s("web.request")),
        e("resource", s("GET /cart")),
        e("trace_id", u64_(0x0102_0304_0506_0708)),
        e("span_id", u64_(11)),
        e("parent_id", u64_(0)),
        e("start", i64_(1_700_000_000_000_000_000)),
        e("duration", i64_(1_000)),
        e("error", int(0)),
        e("meta", map([e("env", s("prod")), e("http.method", s("GET"))])),
        e("metrics", map([e("_sampling_priority_v1", int(1)), e("m", f64_(0.5))])),
        e("type", s("web")),
    ]
}

/// A good span in which `key` has this value instead (or besides, when a good span lacks it).
pub fn span_with(key: &str, value: Bytes) -> Bytes {
    let mut all = fields();
    match all.iter_mut().find(|(k, _)| *k == s(key)) {
        Some((_, v)) => *v = value,
        None => all.push(e(key, value)),
    }
    map(all)
}

pub fn good_span() -> Bytes {
    map(fields())
}

/// A payload of one chunk with these spans.
pub fn payload(spans: impl IntoIterator<Item = Bytes>) -> Bytes {
    array([array(spans)])
}

/// Reads the one value that `bytes` begins with.
pub fn decode(bytes: &[u8]) -> Value {
    rmpv::decode::read_value(&mut &bytes[..]).unwrap()
}

/// The text of a string or binary value; what is not UTF-8 becomes U+FFFD.
pub fn lossy(v: &Value) -> Option<String> {
    match v {
        Value::String(t) => Some(repaired(t.as_bytes())),
        Value::Binary(b) => Some(repaired(b)),
        Value::Nil => Some(String::new()),
        _ => None,
    }
}

/// Each byte that is no text as one U+FFFD, as the agent writes it.
fn repaired(bytes: &[u8]) -> String {
    let chunk = |c: std::str::Utf8Chunk<'_>| c.valid().to_owned() + &"\u{fffd}".repeat(c.invalid().len());
    bytes.utf8_chunks().map(chunk).collect()
}

/// What the agent would say to this v0.4 body.
pub fn agent_accepts(body: &[u8]) -> Result<(), String> {
    let mut rest = body;
    no_reserved_byte(body)?;
    let value = rmpv::decode::read_value_with_max_depth(&mut rest, 100_000).map_err(|e| e.to_string())?;
    for (i, chunk) in list(&value)?.iter().enumerate() {
        for (j, span) in list(chunk)?.iter().enumerate() {
            span_is_accepted(span).map_err(|why| format!("trace {i}, span {j}: {why}"))?;
        }
    }
    Ok(())
}

/// `rmpv` takes the byte c1, which msgpack never uses, for nil. The agent refuses it.
fn no_reserved_byte(body: &[u8]) -> Result<(), String> {
    let at = |p: usize| body.get(p).copied().map(usize::from).ok_or("the end");
    let be = |p: usize, n: usize| (p..p + n).try_fold(0usize, |v, p| Ok::<_, &str>(v << 8 | at(p)?));
    let (mut p, mut open) = (0, 1usize);
    while open > 0 {
        open -= 1;
        let b = at(p)?;
        let (size, children) = match b {
            0xc1 => return Err(format!("the byte c1 at {p}")),
            0x80..=0x8f => (1, 2 * (b & 15)),
            0x90..=0x9f => (1, b & 15),
            0xa0..=0xbf => (1 + (b & 31), 0),
            0xc4 | 0xd9 => (2 + be(p + 1, 1)?, 0),
            0xc5 | 0xda => (3 + be(p + 1, 2)?, 0),
            0xc6 | 0xdb => (5 + be(p + 1, 4)?, 0),
            0xc7 => (3 + be(p + 1, 1)?, 0),
            0xc8 => (4 + be(p + 1, 2)?, 0),
            0xc9 => (6 + be(p + 1, 4)?, 0),
            0xcc | 0xd0 => (2, 0),
            0xcd | 0xd1 => (3, 0),
            0xca | 0xce | 0xd2 => (5, 0),
            0xcb | 0xcf | 0xd3 => (9, 0),
            0xd4..=0xd8 => (2 + (1 << (b - 0xd4)), 0),
            0xdc => (3, be(p + 1, 2)?),
            0xdd => (5, be(p + 1, 4)?),
            0xde => (3, 2 * be(p + 1, 2)?),
            0xdf => (5, 2 * be(p + 1, 4)?),
            _ => (1, 0),
        };
        p += size;
        open += children;
    }
    Ok(())
}

type Verdict = Result<(), String>;

fn no(what: &str, v: &Value) -> String {
    format!("{what}: {v}")
}

fn list(v: &Value) -> Result<&Vec<Value>, String> {
    v.as_array().ok_or_else(|| no("not an array", v))
}

fn entries(v: &Value) -> Result<&Vec<(Value, Value)>, String> {
    v.as_map().ok_or_else(|| no("not a map", v))
}

/// A struct key: a string or binary, never nil.
fn field(v: &Value) -> Result<String, String> {
    if v.is_nil() { Err(no("key", v)) } else { lossy(v).ok_or_else(|| no("key", v)) }
}

/// Text as in the span's own fields: nil and binary are fine.
fn text(v: &Value) -> Verdict {
    lossy(v).map(drop).ok_or_else(|| no("text", v))
}

/// Text in links and attributes: a string only.
fn string(v: &Value) -> Verdict {
    if matches!(v, Value::String(_)) { Ok(()) } else { Err(no("string", v)) }
}

fn ok_if(good: bool, what: &str, v: &Value) -> Verdict {
    if good { Ok(()) } else { Err(no(what, v)) }
}

fn span_is_accepted(span: &Value) -> Verdict {
    if span.is_nil() {
        return Ok(());
    }
    for (key, v) in entries(span)? {
        let key = field(key)?;
        let verdict = match key.as_str() {
            "service" | "name" | "resource" | "type" => text(v),
            "trace_id" | "span_id" | "parent_id" => ok_if(v.is_nil() || v.is_i64() || v.is_u64(), "id", v),
            "start" | "duration" => ok_if(v.is_nil() || v.is_i64(), "time", v),
            "error" => ok_if(v.is_nil() || v.as_i64().is_some_and(|e| i32::try_from(e).is_ok()), "error", v),
            "meta" => each(v, true, text, text),
            "metrics" => each(v, true, text, |v| {
                ok_if(v.is_nil() || v.is_i64() || v.is_u64() || matches!(v, Value::F64(_)), "number", v)
            }),
            "meta_struct" => each(v, false, text, |v| ok_if(matches!(v, Value::Binary(_)), "binary", v)),
            "span_links" => list(v)?.iter().try_for_each(link),
            "span_events" => list(v)?.iter().try_for_each(event),
            _ => Ok(()),
        };
        verdict.map_err(|why| format!("{key}: {why}"))?;
    }
    Ok(())
}

fn each(
    v: &Value,
    nil_allowed: bool,
    key: impl Fn(&Value) -> Verdict,
    value: impl Fn(&Value) -> Verdict,
) -> Verdict {
    if nil_allowed && v.is_nil() {
        return Ok(());
    }
    entries(v)?.iter().try_for_each(|(k, v)| {
        key(k)?;
        value(v)
    })
}

fn link(v: &Value) -> Verdict {
    if v.is_nil() {
        return Ok(());
    }
    for (key, v) in entries(v)? {
        match field(key)?.as_str() {
            "trace_id" | "span_id" => ok_if(v.is_nil() || v.is_i64() || v.is_u64(), "id", v)?,
            "trace_id_high" => ok_if(v.is_u64(), "upper id", v)?,
            "flags" => ok_if(v.as_u64().is_some_and(|f| u32::try_from(f).is_ok()), "flags", v)?,
            "tracestate" => string(v)?,
            "attributes" => each(v, false, string, string)?,
            _ => {}
        }
    }
    Ok(())
}

fn event(v: &Value) -> Verdict {
    if v.is_nil() {
        return Ok(());
    }
    for (key, v) in entries(v)? {
        match field(key)?.as_str() {
            "time_unix_nano" => ok_if(v.is_u64(), "time", v)?,
            "name" => text(v)?,
            "attributes" => each(v, false, string, |v| attribute(v, 0))?,
            _ => {}
        }
    }
    Ok(())
}

fn attribute(v: &Value, depth: u32) -> Verdict {
    if v.is_nil() {
        return Ok(());
    }
    ok_if(depth <= 64, "nested too deep", &Value::Nil)?;
    for (key, v) in entries(v)? {
        match field(key)?.as_str() {
            "type" => ok_if(v.as_i64().is_some_and(|t| i32::try_from(t).is_ok()), "type", v)?,
            "string_value" => string(v)?,
            "bool_value" => ok_if(v.is_bool(), "bool", v)?,
            "int_value" => ok_if(v.is_i64(), "int", v)?,
            "double_value" => ok_if(v.is_f64() || v.is_f32(), "double", v)?,
            "array_value" if !v.is_nil() => {
                for (key, v) in entries(v)? {
                    if field(key)? == "values" {
                        list(v)?.iter().try_for_each(|item| attribute(item, depth + 1))?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}
