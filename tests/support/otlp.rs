//! OTLP traces read by code of our own that is strict where the collector is lenient (UTF-8, padded lengths), and
//! what a v0.4 payload must become: both as one JSON form, so that encodings are compared with the input and with
//! each other.
//!
//! A span is `{trace, span, parent, state, name, kind, start, end, attributes, status, flags, links, events,
//! dropped}`, attributes an object of `{s|i|d|b|x|a: value}`, numbers as text.

#![allow(dead_code, unreachable_pub, missing_docs)]

use super::msgpack::lossy;
use rmpv::Value as Mp;
use serde_json::{Map, Value, json};

/// A field of a message: number, wire type, and its value or bytes.
struct Field<'b> {
    number: u64,
    value: u64,
    bytes: &'b [u8],
    wire: u64,
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut v, mut shift) = (0u64, 0);
    loop {
        let (b, rest) = bytes.split_first().expect("a varint ends");
        *bytes = rest;
        assert!(shift < 70, "a varint has ten bytes at most");
        v |= u64::from(b & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if b & 0x80 == 0 {
            assert!(*b != 0 || shift == 7, "a varint is padded");
            return v;
        }
    }
}

fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (number, wire) = (key >> 3, key & 7);
        let mut take = |n: usize| {
            let (taken, rest) = bytes.split_at(n);
            bytes = rest;
            taken
        };
        let (value, taken) = match wire {
            0 => (varint(&mut bytes), &[][..]),
            1 => (u64::from_le_bytes(take(8).try_into().unwrap()), &[][..]),
            2 => {
                let len = varint(&mut bytes) as usize;
                let (taken, rest) = bytes.split_at(len);
                bytes = rest;
                (0, taken)
            }
            5 => (u64::from(u32::from_le_bytes(take(4).try_into().unwrap())), &[][..]),
            other => panic!("wire type {other}"),
        };
        all.push(Field { number, value, bytes: taken, wire });
    }
    all
}

fn text(field: &Field<'_>) -> String {
    assert_eq!(field.wire, 2);
    std::str::from_utf8(field.bytes).expect("text is UTF-8").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The resource's attributes and the spans of a request in protobuf.
pub fn from_protobuf(body: &[u8]) -> (Map<String, Value>, Vec<Value>) {
    let (mut resource, mut spans) = (Map::new(), Vec::new());
    for resource_spans in fields(body) {
        assert_eq!((resource_spans.number, resource_spans.wire), (1, 2));
        for field in fields(resource_spans.bytes) {
            match field.number {
                1 => fields(field.bytes).iter().for_each(|f| attribute(f, &mut resource)),
                2 => {
                    for field in fields(field.bytes) {
                        match field.number {
                            1 => assert_eq!(text(&fields(field.bytes)[0]), "data-pipeline"),
                            2 => spans.push(span(field.bytes)),
                            other => panic!("field {other} of ScopeSpans"),
                        }
                    }
                }
                other => panic!("field {other} of ResourceSpans"),
            }
        }
    }
    (resource, spans)
}

fn attribute(field: &Field<'_>, to: &mut Map<String, Value>) {
    let [key, value] = &fields(field.bytes)[..] else { panic!("a key and a value") };
    assert_eq!((key.number, value.number), (1, 2));
    let before = to.insert(text(key), any(value.bytes));
    assert_eq!(before, None, "{} comes twice", text(key));
}

fn any(bytes: &[u8]) -> Value {
    let all = fields(bytes);
    let [field] = &all[..] else { panic!("a value has one field") };
    match field.number {
        1 => json!({ "s": text(field) }),
        2 => json!({ "b": field.value != 0 }),
        3 => json!({ "i": (field.value as i64).to_string() }),
        4 => double(f64::from_bits(field.value)),
        5 => json!({ "a": fields(field.bytes).iter().map(|f| any(f.bytes)).collect::<Vec<_>>() }),
        7 => json!({ "x": hex(field.bytes) }),
        other => panic!("field {other} of AnyValue"),
    }
}

fn double(v: f64) -> Value {
    json!({ "d": if v.is_nan() { "NaN".to_owned() } else { format!("{v:?}") } })
}

fn span(bytes: &[u8]) -> Value {
    let mut it = Parts::default();
    for field in fields(bytes) {
        match field.number {
            1 => it.trace = hex(field.bytes),
            2 => it.span = hex(field.bytes),
            3 => it.state = text(&field),
            4 => it.parent = hex(field.bytes),
            5 => it.name = text(&field),
            6 => it.kind = field.value,
            7 => it.start = field.value,
            8 => it.end = field.value,
            9 => attribute(&field, &mut it.attributes),
            10 => it.dropped = field.value,
            11 => {
                let (mut time, mut name, mut attributes) = (0, String::new(), Map::new());
                for field in fields(field.bytes) {
                    match field.number {
                        1 => time = field.value,
                        2 => name = text(&field),
                        3 => attribute(&field, &mut attributes),
                        other => panic!("field {other} of Event"),
                    }
                }
                it.events.push(json!({ "time": time.to_string(), "name": name, "attributes": attributes }));
            }
            13 => {
                let (mut trace, mut id, mut state, mut flags) =
                    (String::new(), String::new(), String::new(), 0);
                let mut attributes = Map::new();
                for field in fields(field.bytes) {
                    match field.number {
                        1 => trace = hex(field.bytes),
                        2 => id = hex(field.bytes),
                        3 => state = text(&field),
                        4 => attribute(&field, &mut attributes),
                        6 => flags = field.value,
                        other => panic!("field {other} of Link"),
                    }
                }
                it.links.push(link(trace, id, state, attributes, flags));
            }
            15 => {
                for field in fields(field.bytes) {
                    match field.number {
                        2 => it.message = text(&field),
                        3 => it.code = field.value,
                        other => panic!("field {other} of Status"),
                    }
                }
            }
            16 => it.flags = field.value,
            other => panic!("field {other} of Span"),
        }
    }
    it.value()
}

fn link(trace: String, span: String, state: String, attributes: Map<String, Value>, flags: u64) -> Value {
    json!({ "trace": trace, "span": span, "state": state, "attributes": attributes, "flags": flags })
}

#[derive(Default)]
struct Parts {
    trace: String,
    span: String,
    parent: String,
    state: String,
    name: String,
    kind: u64,
    start: u64,
    end: u64,
    attributes: Map<String, Value>,
    code: u64,
    message: String,
    flags: u64,
    links: Vec<Value>,
    events: Vec<Value>,
    dropped: u64,
}

impl Parts {
    fn value(self) -> Value {
        json!({
            "trace": self.trace, "span": self.span, "parent": self.parent, "state": self.state, "name": self.name,
            "kind": self.kind, "start": self.start.to_string(), "end": self.end.to_string(),
            "attributes": self.attributes, "status": [self.code, self.message], "flags": self.flags,
            "links": self.links, "events": self.events, "dropped": self.dropped,
        })
    }
}

/// The same of a request in JSON.
pub fn from_json(body: &[u8]) -> (Map<String, Value>, Vec<Value>) {
    let whole: Value = serde_json::from_slice(body).expect("it is JSON");
    let resource_spans = &whole["resourceSpans"][0];
    let scope_spans = &resource_spans["scopeSpans"][0];
    assert_eq!(scope_spans["scope"]["name"], "data-pipeline");
    let spans = scope_spans["spans"].as_array().unwrap();
    (json_attributes(&resource_spans["resource"]["attributes"]), spans.iter().map(json_span).collect())
}

fn json_attributes(list: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    for one in list.as_array().into_iter().flatten() {
        let key = one["key"].as_str().unwrap().to_owned();
        assert_eq!(all.insert(key, json_any(&one["value"])), None);
    }
    all
}

fn json_any(v: &Value) -> Value {
    let (kind, value) = v.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "stringValue" => json!({ "s": value.as_str().unwrap() }),
        "boolValue" => json!({ "b": value.as_bool().unwrap() }),
        "intValue" => json!({ "i": value.as_str().unwrap().parse::<i64>().unwrap().to_string() }),
        "doubleValue" => match value.as_str() {
            Some("NaN") => double(f64::NAN),
            Some("Infinity") => double(f64::INFINITY),
            Some("-Infinity") => double(f64::NEG_INFINITY),
            _ => double(value.as_f64().unwrap()),
        },
        "bytesValue" => json!({ "x": hex(&base64(value.as_str().unwrap())) }),
        "arrayValue" => {
            json!({ "a": value["values"].as_array().unwrap().iter().map(json_any).collect::<Vec<_>>() })
        }
        other => panic!("{other}"),
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
    assert_eq!(text.len() % 4, 0);
    for b in text.bytes().filter(|b| *b != b'=') {
        bits = bits << 6 | digits.iter().position(|d| *d == b).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

fn json_span(v: &Value) -> Value {
    let text = |key: &str| v[key].as_str().unwrap_or("").to_owned();
    let number = |v: &Value| v.as_u64().unwrap_or(0);
    let list = |key: &str| v[key].as_array().cloned().unwrap_or_default();
    let time = |v: &Value| v.as_str().unwrap().parse::<u64>().unwrap();
    Parts {
        trace: text("traceId"),
        span: text("spanId"),
        parent: text("parentSpanId"),
        state: text("traceState"),
        name: text("name"),
        kind: number(&v["kind"]),
        start: time(&v["startTimeUnixNano"]),
        end: time(&v["endTimeUnixNano"]),
        attributes: json_attributes(&v["attributes"]),
        code: number(&v["status"]["code"]),
        message: v["status"]["message"].as_str().unwrap_or("").to_owned(),
        flags: number(&v["flags"]),
        links: list("links")
            .iter()
            .map(|l| {
                let text = |key: &str| l[key].as_str().unwrap_or("").to_owned();
                let attributes = json_attributes(&l["attributes"]);
                link(text("traceId"), text("spanId"), text("traceState"), attributes, number(&l["flags"]))
            })
            .collect(),
        events: list("events")
            .iter()
            .map(|e| {
                let attributes = json_attributes(&e["attributes"]);
                json!({ "time": time(&e["timeUnixNano"]).to_string(), "name": e["name"], "attributes": attributes })
            })
            .collect(),
        dropped: number(&v["droppedAttributesCount"]),
    }
    .value()
}

/// The last value of a key.
pub fn get<'v>(map: &'v Mp, key: &str) -> Option<&'v Mp> {
    let entries = map.as_map()?;
    entries
        .iter()
        .rev()
        .find(|(k, _)| lossy(k).as_deref() == Some(key))
        .map(|(_, v)| v)
        .filter(|v| !v.is_nil())
}

/// The text of a field of the span; empty if it is not there.
pub fn text_of(map: &Mp, key: &str) -> String {
    get(map, key).and_then(lossy).unwrap_or_default()
}

/// An integer of any sign, as its bits.
pub fn bits(v: Option<&Mp>) -> u64 {
    v.map_or(0, |v| v.as_u64().or_else(|| v.as_i64().map(|v| v as u64)).unwrap_or(0))
}

pub fn entries<'v>(span: &'v Mp, key: &str) -> impl Iterator<Item = &'v (Mp, Mp)> {
    get(span, key).and_then(Mp::as_map).into_iter().flatten()
}

/// The spans of a v0.4 payload that an agent accepts, as OTLP must have them; `service` is the resource's.
pub fn expected(v04: &Mp, service: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for chunk in v04.as_array().unwrap() {
        let spans: Vec<&Mp> = chunk.as_array().into_iter().flatten().filter(|span| !span.is_nil()).collect();
        let high = spans.iter().find_map(|span| {
            let tid = get(get(span, "meta")?, "_dd.p.tid").and_then(lossy)?;
            let is_hex = !tid.is_empty() && tid.bytes().all(|b| b.is_ascii_hexdigit());
            if is_hex { u64::from_str_radix(&tid, 16).ok() } else { None }
        });
        all.extend(spans.into_iter().map(|span| expected_span(span, high.unwrap_or(0), service)));
    }
    all
}

fn expected_span(span: &Mp, high: u64, service: &str) -> Value {
    let id = |key: &str| bits(get(span, key));
    let (start, duration) = (id("start") as i64, id("duration") as i64);
    let mut attributes = Map::new();
    // What comes later counts; the maps stand in the order of the wire.
    for (key, map) in span.as_map().unwrap() {
        let key = lossy(key).unwrap();
        let counts = get(span, &key).is_some_and(|last| std::ptr::eq(last, map));
        if !["meta", "metrics", "meta_struct"].contains(&key.as_str()) || !counts {
            continue;
        }
        for (name, value) in map.as_map().unwrap() {
            let value = match key.as_str() {
                "meta" => json!({ "s": lossy(value).unwrap() }),
                "metrics" => metric(value),
                _ => json!({ "x": hex(value.as_slice().unwrap()) }),
            };
            attributes.insert(lossy(name).unwrap(), value);
        }
    }
    let export = attributes.get("_dd.sdk.otlp_export").is_some_and(|v| v.get("s").is_some());
    if export {
        attributes.remove("_dd.sdk.otlp_export");
    }
    // What is said of the span itself comes from texts that count.
    let said = |key: &str| attributes.get(key).and_then(|v| v["s"].as_str()).map(str::to_owned);
    let kind = match said("span.kind") {
        Some(tag) => kind_of(&tag, 0),
        None => match text_of(span, "type").to_ascii_lowercase().as_str() {
            "web" | "http" => 2,
            other => kind_of(other, 1),
        },
    };
    let error = id("error") != 0;
    let message = said("error.msg").or_else(|| said("error.message")).unwrap_or_default();
    let priority = attributes.get("_sampling_priority_v1").filter(|v| v.get("s").is_none());
    let priority =
        priority.and_then(|v| v["i"].as_str().or(v["d"].as_str())).map(|v| v.parse::<f64>().unwrap());
    let state = said("tracestate").unwrap_or_default();
    for (key, field) in [
        ("service.name", "service"),
        ("operation.name", "name"),
        ("span.type", "type"),
        ("resource.name", "resource"),
    ] {
        let value = text_of(span, field);
        if !(value.is_empty() || key == "service.name" && value == service) {
            attributes.insert(key.to_owned(), json!({ "s": value }));
        }
    }
    Parts {
        trace: format!("{high:016x}{:016x}", id("trace_id")),
        span: format!("{:016x}", id("span_id")),
        parent: if id("parent_id") == 0 { String::new() } else { format!("{:016x}", id("parent_id")) },
        state,
        name: text_of(span, "resource"),
        kind,
        start: start.max(0) as u64,
        end: start.saturating_add(duration).max(0) as u64,
        attributes,
        code: if error { 2 } else { 0 },
        message: if error { message } else { String::new() },
        flags: u64::from(priority.is_some_and(|p| p >= 1.0)),
        links: list(span, "span_links").map(expected_link).collect(),
        events: list(span, "span_events").map(expected_event).collect(),
        dropped: 0,
    }
    .value()
}

fn metric(value: &Mp) -> Value {
    match value {
        Mp::Nil => json!({ "i": "0" }),
        Mp::Integer(_) if value.as_i64().is_some() => json!({ "i": value.as_i64().unwrap().to_string() }),
        _ => {
            let v = value.as_f64().unwrap();
            let fits =
                v.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v);
            if fits { json!({ "i": (v as i64).to_string() }) } else { double(v) }
        }
    }
}

fn kind_of(tag: &str, otherwise: u64) -> u64 {
    match tag.to_ascii_lowercase().as_str() {
        "internal" => 1,
        "server" => 2,
        "client" => 3,
        "producer" => 4,
        "consumer" => 5,
        _ => otherwise,
    }
}

pub fn list<'v>(span: &'v Mp, key: &str) -> impl Iterator<Item = &'v Mp> {
    get(span, key).and_then(Mp::as_array).into_iter().flatten().filter(|v| !v.is_nil())
}

fn expected_link(v: &Mp) -> Value {
    let id = |key: &str| bits(get(v, key));
    let mut attributes = Map::new();
    for (key, value) in entries(v, "attributes") {
        attributes.insert(lossy(key).unwrap(), json!({ "s": lossy(value).unwrap() }));
    }
    link(
        format!("{:016x}{:016x}", id("trace_id_high"), id("trace_id")),
        format!("{:016x}", id("span_id")),
        text_of(v, "tracestate"),
        attributes,
        id("flags") & 0x7fff_ffff,
    )
}

fn expected_event(v: &Mp) -> Value {
    let mut attributes = Map::new();
    for (key, value) in entries(v, "attributes") {
        let key = lossy(key).unwrap();
        if value.is_nil() {
            attributes.remove(&key);
        } else {
            attributes.insert(key, typed(value));
        }
    }
    json!({
        "time": bits(get(v, "time_unix_nano")).to_string(),
        "name": text_of(v, "name"),
        "attributes": attributes,
    })
}

fn typed(v: &Mp) -> Value {
    match bits(get(v, "type")) {
        1 => json!({ "b": get(v, "bool_value").and_then(Mp::as_bool).unwrap_or(false) }),
        2 => json!({ "i": (bits(get(v, "int_value")) as i64).to_string() }),
        3 => double(get(v, "double_value").and_then(Mp::as_f64).unwrap_or(0.0)),
        4 => {
            let values =
                get(v, "array_value").map(|array| list(array, "values").map(typed).collect::<Vec<_>>());
            json!({ "a": values.unwrap_or_default() })
        }
        _ => json!({ "s": get(v, "string_value").and_then(lossy).unwrap_or_default() }),
    }
}
