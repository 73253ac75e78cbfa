//! Independent readers of the three formats into one plain model, on `rmpv` values: strict where a format has rules.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

use super::msgpack::lossy;
use rmpv::Value;
use std::collections::{BTreeMap, HashMap};

/// A span as far as every format can carry it. Of a key in `meta` and `metrics` the last on the wire counts. Numbers
/// of metrics as bits, so that NaN equals itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub resource: String,
    pub kind: String,
    pub trace_id: u64,
    pub span_id: u64,
    pub parent_id: u64,
    pub start: i64,
    pub duration: i64,
    pub error: i32,
    pub meta: BTreeMap<String, String>,
    pub metrics: BTreeMap<String, u64>,
    pub meta_struct: BTreeMap<String, Vec<u8>>,
    pub links: Vec<Link>,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    pub trace_id: u128,
    pub span_id: u64,
    pub attributes: BTreeMap<String, String>,
    pub state: String,
    pub flags: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    pub time: u64,
    pub name: String,
    pub attributes: BTreeMap<String, Attribute>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Text(String),
    Bool(bool),
    Int(i64),
    Double(u64),
    Array(Vec<Attribute>),
}

/// Nil spans are `None`.
pub type Chunks = Vec<Vec<Option<Span>>>;

fn bits(v: f64) -> u64 {
    v.to_bits()
}

fn number(v: &Value) -> f64 {
    match v {
        Value::Nil => 0.0,
        Value::F64(f) => *f,
        Value::F32(f) => f64::from(*f),
        Value::Integer(_) => v.as_i64().map_or_else(|| v.as_u64().unwrap() as f64, |i| i as f64),
        other => panic!("not a number: {other}"),
    }
}

/// The 64 bits of an integer; nil is 0.
fn id(v: &Value) -> u64 {
    if v.is_nil() { 0 } else { v.as_u64().unwrap_or_else(|| v.as_i64().unwrap() as u64) }
}

fn text(v: &Value) -> String {
    lossy(v).unwrap()
}

fn pairs(v: &Value) -> impl Iterator<Item = (String, &Value)> {
    v.as_map().map(Vec::as_slice).unwrap_or(&[]).iter().map(|(k, v)| (text(k), v))
}

/// Reads a v0.4 body that the agent accepts, as the agent reads it.
pub fn v04(body: &[u8]) -> Chunks {
    let value = super::msgpack::decode(body);
    let chunk = |c: &Value| c.as_array().unwrap().iter().map(v04_span).collect();
    value.as_array().unwrap().iter().map(chunk).collect()
}

fn v04_span(v: &Value) -> Option<Span> {
    if v.is_nil() {
        return None;
    }
    let mut s = Span::default();
    let mut numbers_count = true;
    for (key, v) in pairs(v) {
        let int = || if v.is_nil() { 0 } else { v.as_i64().unwrap() };
        match key.as_str() {
            "service" => s.service = text(v),
            "name" => s.name = text(v),
            "resource" => s.resource = text(v),
            "type" => s.kind = text(v),
            "trace_id" => s.trace_id = id(v),
            "span_id" => s.span_id = id(v),
            "parent_id" => s.parent_id = id(v),
            "start" => s.start = int(),
            "duration" => s.duration = int(),
            "error" => s.error = int() as i32,
            "meta" => {
                s.meta = pairs(v).map(|(k, v)| (k, text(v))).collect();
                numbers_count = false;
            }
            "metrics" => {
                s.metrics = pairs(v).map(|(k, v)| (k, bits(number(v)))).collect();
                numbers_count = true;
            }
            "meta_struct" => {
                s.meta_struct = pairs(v).map(|(k, v)| (k, v.as_slice().unwrap().to_vec())).collect()
            }
            "span_links" => {
                s.links = v.as_array().unwrap().iter().filter(|v| !v.is_nil()).map(v04_link).collect()
            }
            "span_events" => {
                s.events = v.as_array().unwrap().iter().filter(|v| !v.is_nil()).map(v04_event).collect()
            }
            _ => {}
        }
    }
    let Span { meta, metrics, .. } = &mut s;
    if numbers_count {
        meta.retain(|k, _| !metrics.contains_key(k));
    } else {
        metrics.retain(|k, _| !meta.contains_key(k));
    }
    Some(s)
}

fn v04_link(v: &Value) -> Link {
    let mut link = Link::default();
    let (mut high, mut low) = (0, 0);
    for (key, v) in pairs(v) {
        match key.as_str() {
            "trace_id" => low = id(v),
            "trace_id_high" => high = id(v),
            "span_id" => link.span_id = id(v),
            "flags" => link.flags = id(v),
            "tracestate" => link.state = text(v),
            "attributes" => link.attributes = pairs(v).map(|(k, v)| (k, text(v))).collect(),
            _ => {}
        }
    }
    link.trace_id = u128::from(high) << 64 | u128::from(low);
    link
}

fn v04_event(v: &Value) -> Event {
    let mut event = Event::default();
    for (key, v) in pairs(v) {
        match key.as_str() {
            "time_unix_nano" => event.time = id(v),
            "name" => event.name = text(v),
            "attributes" => {
                // The agent's converting decoder leaves out what is nil.
                event.attributes =
                    pairs(v).filter(|(_, v)| !v.is_nil()).map(|(k, v)| (k, v04_attribute(v))).collect();
            }
            _ => {}
        }
    }
    event
}

fn v04_attribute(v: &Value) -> Attribute {
    let all: HashMap<String, &Value> = pairs(v).collect();
    let get = |key: &str| all.get(key).copied();
    match get("type").map_or(0, |t| t.as_i64().unwrap()) {
        1 => Attribute::Bool(get("bool_value").is_some_and(|v| v.as_bool().unwrap())),
        2 => Attribute::Int(get("int_value").map_or(0, |v| v.as_i64().unwrap())),
        3 => Attribute::Double(bits(get("double_value").map_or(0.0, number))),
        4 => {
            let values = get("array_value").and_then(|v| pairs(v).filter(|(k, _)| k == "values").last());
            let values = values.map_or(&[][..], |(_, v)| v.as_array().unwrap());
            Attribute::Array(values.iter().filter(|v| !v.is_nil()).map(v04_attribute).collect())
        }
        _ => Attribute::Text(get("string_value").map(text).unwrap_or_default()),
    }
}

/// Reads a v0.5 body: `[strings, chunks]`, twelve values a span, every number of a text inside the table.
pub fn v05(body: &[u8]) -> (Vec<String>, Vec<Vec<Span>>) {
    let mut rest = body;
    let value = rmpv::decode::read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "bytes behind the body");
    let [table, chunks] = &value.as_array().unwrap()[..] else { panic!("not two parts") };
    let table: Vec<String> =
        table.as_array().unwrap().iter().map(|v| v.as_str().expect("UTF-8").to_owned()).collect();
    assert_eq!(table[0], "", "number 0 is the empty text");
    let distinct: std::collections::HashSet<&String> = table.iter().collect();
    assert_eq!(distinct.len(), table.len(), "a text twice in the table");
    let string = |v: &Value| table[v.as_u64().expect("a number of a text") as usize].clone();
    let span = |v: &Value| {
        let v = v.as_array().unwrap();
        assert_eq!(v.len(), 12);
        let metric = |v: &Value| {
            assert!(matches!(v, Value::F64(_)) || v.is_i64() || v.is_u64(), "metric {v}");
            bits(number(v))
        };
        let metrics: BTreeMap<String, u64> =
            v[10].as_map().unwrap().iter().map(|(k, v)| (string(k), metric(v))).collect();
        let meta = v[9].as_map().unwrap().iter().map(|(k, v)| (string(k), string(v)));
        Span {
            service: string(&v[0]),
            name: string(&v[1]),
            resource: string(&v[2]),
            trace_id: v[3].as_u64().unwrap(),
            span_id: v[4].as_u64().unwrap(),
            parent_id: v[5].as_u64().unwrap(),
            start: v[6].as_i64().unwrap(),
            duration: v[7].as_i64().unwrap(),
            error: v[8].as_i64().unwrap().try_into().unwrap(),
            meta: meta.filter(|(k, _)| !metrics.contains_key(k)).collect(),
            metrics,
            kind: string(&v[11]),
            ..Span::default()
        }
    };
    let chunks = chunks.as_array().unwrap();
    let chunks = chunks.iter().map(|c| c.as_array().unwrap().iter().map(span).collect()).collect();
    (table, chunks)
}

/// A v1 payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct V1 {
    pub fields: BTreeMap<u64, String>,
    pub attributes: BTreeMap<String, String>,
    pub chunks: Vec<V1Chunk>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct V1Chunk {
    pub trace_id: u128,
    pub priority: Option<i64>,
    pub origin: String,
    pub mechanism: u64,
    pub spans: Vec<V1Span>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct V1Span {
    /// Ids of the trace are the chunk's; texts, numbers, attributes.
    pub span: Span,
    pub env: String,
    pub version: String,
    pub component: String,
    pub span_kind: u64,
}

/// Strings as they stream by: each distinct one literally once, then by number; "" is always number 0.
struct Strings {
    seen: Vec<String>,
    literal: std::collections::HashSet<String>,
}

impl Strings {
    fn read(&mut self, v: &Value) -> String {
        match v {
            Value::String(s) => {
                let s = s.as_str().expect("UTF-8").to_owned();
                assert!(self.literal.insert(s.clone()), "{s:?} is written a second time");
                self.seen.push(s.clone());
                s
            }
            Value::Integer(_) => {
                let n = v.as_u64().unwrap() as usize;
                self.seen.get(n).unwrap_or_else(|| panic!("number {n} of {} texts", self.seen.len())).clone()
            }
            other => panic!("not a text: {other}"),
        }
    }
}

/// Reads a v1 body strictly: known keys only, each once, empty fields left out, unsigned times.
pub fn v1(body: &[u8]) -> V1 {
    let mut rest = body;
    let value = rmpv::decode::read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "bytes behind the body");
    let mut strings = Strings { seen: vec![String::new()], literal: [String::new()].into_iter().collect() };
    let mut out = V1::default();
    for (key, v) in keyed(&value) {
        match key {
            2..=9 => {
                out.fields.insert(key, strings.read(v));
            }
            10 => {
                for (k, a) in triplets(&mut strings, v) {
                    let Attribute::Text(text) = (match a {
                        Typed::Plain(a) => a,
                        Typed::Bytes(_) => panic!("bytes in the payload's attributes"),
                    }) else {
                        panic!("not text")
                    };
                    out.attributes.insert(k, text);
                }
            }
            11 => out.chunks = v.as_array().unwrap().iter().map(|c| v1_chunk(&mut strings, c)).collect(),
            other => panic!("payload key {other}"),
        }
    }
    out
}

fn keyed(v: &Value) -> Vec<(u64, &Value)> {
    let all: Vec<(u64, &Value)> = v.as_map().unwrap().iter().map(|(k, v)| (k.as_u64().unwrap(), v)).collect();
    let distinct: std::collections::HashSet<u64> = all.iter().map(|(k, _)| *k).collect();
    assert_eq!(distinct.len(), all.len(), "a key twice");
    all
}

enum Typed {
    Plain(Attribute),
    Bytes(Vec<u8>),
}

fn typed(strings: &mut Strings, kind: &Value, v: &Value) -> Typed {
    Typed::Plain(match kind.as_u64().unwrap() {
        1 => Attribute::Text(strings.read(v)),
        2 => Attribute::Bool(v.as_bool().unwrap()),
        3 => Attribute::Double(bits(if let Value::F64(f) = v { *f } else { panic!("a double: {v}") })),
        4 => Attribute::Int(v.as_i64().unwrap()),
        5 => {
            let Value::Binary(bytes) = v else { panic!("bytes: {v}") };
            return Typed::Bytes(bytes.clone());
        }
        6 => {
            let items = v.as_array().unwrap();
            assert!(items.len().is_multiple_of(2));
            let item = |pair: &[Value]| match typed(strings, &pair[0], &pair[1]) {
                Typed::Plain(a) => a,
                Typed::Bytes(_) => panic!("bytes in an array"),
            };
            Attribute::Array(items.chunks(2).map(item).collect())
        }
        other => panic!("attribute type {other}"),
    })
}

fn triplets(strings: &mut Strings, v: &Value) -> Vec<(String, Typed)> {
    let items = v.as_array().unwrap();
    assert!(!items.is_empty() && items.len().is_multiple_of(3), "{} items", items.len());
    items
        .chunks(3)
        .map(|t| {
            let key = strings.read(&t[0]);
            (key, typed(strings, &t[1], &t[2]))
        })
        .collect()
}

fn plain(all: Vec<(String, Typed)>) -> BTreeMap<String, Attribute> {
    let plain = |t| match t {
        Typed::Plain(a) => a,
        Typed::Bytes(_) => panic!("bytes"),
    };
    all.into_iter().map(|(k, t)| (k, plain(t))).collect()
}

fn sixteen(v: &Value) -> u128 {
    let Value::Binary(b) = v else { panic!("a trace id: {v}") };
    u128::from_be_bytes(b[..].try_into().expect("16 bytes"))
}

fn v1_chunk(strings: &mut Strings, v: &Value) -> V1Chunk {
    let mut out = V1Chunk::default();
    let all = keyed(v);
    assert!(
        all.iter().any(|(k, _)| *k == 4) && all.iter().any(|(k, _)| *k == 6),
        "a chunk without spans or id"
    );
    for (key, v) in all {
        match key {
            1 => out.priority = Some(v.as_i64().unwrap()),
            2 => out.origin = strings.read(v),
            4 => out.spans = v.as_array().unwrap().iter().map(|s| v1_span(strings, s)).collect(),
            6 => out.trace_id = sixteen(v),
            7 => out.mechanism = v.as_u64().unwrap(),
            other => panic!("chunk key {other}"),
        }
    }
    out
}

fn v1_span(strings: &mut Strings, v: &Value) -> V1Span {
    let mut out = V1Span::default();
    let all = keyed(v);
    for must in [4, 6, 16] {
        assert!(all.iter().any(|(k, _)| *k == must), "a span without key {must}");
    }
    for (key, v) in all {
        let s = &mut out.span;
        match key {
            1 => s.service = strings.read(v),
            2 => s.name = strings.read(v),
            3 => s.resource = strings.read(v),
            4 => s.span_id = v.as_u64().unwrap(),
            5 => s.parent_id = v.as_u64().unwrap(),
            6 => s.start = v.as_u64().unwrap() as i64,
            7 => s.duration = v.as_u64().unwrap() as i64,
            8 => s.error = i32::from(v.as_bool().unwrap()),
            9 => {
                for (k, t) in triplets(strings, v) {
                    match t {
                        Typed::Plain(Attribute::Text(t)) => {
                            s.metrics.remove(&k);
                            s.meta.insert(k, t);
                        }
                        Typed::Plain(Attribute::Double(d)) => {
                            s.meta.remove(&k);
                            s.metrics.insert(k, d);
                        }
                        Typed::Bytes(b) => drop(s.meta_struct.insert(k, b)),
                        Typed::Plain(other) => panic!("a span's attribute {other:?}"),
                    }
                }
            }
            10 => s.kind = strings.read(v),
            11 => s.links = v.as_array().unwrap().iter().map(|l| v1_link(strings, l)).collect(),
            12 => s.events = v.as_array().unwrap().iter().map(|e| v1_event(strings, e)).collect(),
            13 => out.env = strings.read(v),
            14 => out.version = strings.read(v),
            15 => out.component = strings.read(v),
            16 => out.span_kind = v.as_u64().unwrap(),
            other => panic!("span key {other}"),
        }
    }
    out
}

fn v1_link(strings: &mut Strings, v: &Value) -> Link {
    let mut out = Link::default();
    for (key, v) in keyed(v) {
        match key {
            1 => out.trace_id = sixteen(v),
            2 => out.span_id = v.as_u64().unwrap(),
            3 => {
                let text = |a| if let Attribute::Text(t) = a { t } else { panic!("{a:?}") };
                out.attributes = plain(triplets(strings, v)).into_iter().map(|(k, a)| (k, text(a))).collect();
            }
            4 => out.state = strings.read(v),
            5 => out.flags = v.as_u64().unwrap(),
            other => panic!("link key {other}"),
        }
    }
    out
}

fn v1_event(strings: &mut Strings, v: &Value) -> Event {
    let mut out = Event::default();
    for (key, v) in keyed(v) {
        match key {
            1 => out.time = v.as_u64().unwrap(),
            2 => out.name = strings.read(v),
            3 => out.attributes = plain(triplets(strings, v)),
            other => panic!("event key {other}"),
        }
    }
    out
}
