//! Normalization and obfuscation of payloads against the same rules on owned spans (`tests/vectors.rs`
//! compares those with the agent's answers): generated spans, odd on the wire too, must come out the same
//! both ways.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;

use data_pipeline::format::v04;
use data_pipeline::normalize::{Counts, Normalizer};
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::rewrite::{Memory, Rewriter};
use data_pipeline::trace::{
    Arena, Attribute, ChunkState, Event, Interest, OnMalformed, Payload, SpanFields, TOP_LEVEL_SLOTS,
    TopLevel,
};
use msgpack::*;
use rmpv::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const JAN_2026_NS: i64 = 1_767_225_600_000_000_000;

/// What becomes of a chunk: `None` if it is refused.
fn through_the_arena(body: &[u8], rewriter: &Rewriter) -> (Vec<u8>, Option<Vec<SpanFields>>, Counts) {
    let mut arena = Arena::new();
    let interest = Rewriter::interest(Interest::none()).slots(TOP_LEVEL_SLOTS);
    let mut payload = Payload::scan(body, &mut arena, &interest, OnMalformed::Repair).unwrap();
    let mut memory = Memory::default();
    rewriter.apply(&mut payload, &mut memory);
    TopLevel { mark: true }.apply(&mut payload);
    let refused = payload.chunks()[0].state() != ChunkState::Kept;
    let mut encoder = v04::Encoder::default();
    encoder.begin();
    encoder.add(&mut payload);
    let out = encoder.finish().to_vec();
    let value = rmpv::decode::read_value(&mut &out[..]).unwrap();
    let spans =
        value.as_array().unwrap().first().map(|chunk| chunk.as_array().unwrap().iter().map(read).collect());
    assert_eq!(refused, spans.is_none());
    (out, spans, memory.counts)
}

/// The same on owned spans.
fn by_fields(
    body: &[u8],
    normalizer: Option<&Normalizer>,
    config: Option<&ObfuscationConfig>,
) -> (Option<Vec<SpanFields>>, Counts) {
    let value = rmpv::decode::read_value(&mut &body[..]).unwrap();
    let mut spans: Vec<SpanFields> = value[0].as_array().unwrap().iter().map(read).collect();
    let (mut counts, mut scratch) = (Counts::default(), Vec::new());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    if let Some(normalizer) = normalizer
        && normalizer.chunk(&mut spans, now, &mut counts, &mut scratch).is_err()
    {
        return (None, counts);
    }
    let obfuscator = config.map(|config| Obfuscator::new(config).unwrap());
    let mut work = obfuscator.as_ref().map(Obfuscator::scratch).unwrap_or_default();
    for span in &mut spans {
        if let Some(obfuscator) = &obfuscator {
            obfuscator.span(span, &mut work);
        }
        if let Some(normalizer) = normalizer {
            normalizer.truncate(span, &mut scratch);
        }
        if let Some(obfuscator) = &obfuscator {
            obfuscator.replace(span, &mut work);
        }
    }
    (Some(spans), counts)
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(s) => s.as_bytes().to_vec(),
        Value::Binary(b) => b.clone(),
        _ => Vec::new(),
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Binary(_) | Value::Nil)
}

fn signed(value: &Value) -> i64 {
    let float = || value.as_f64().map(|n| n as i64);
    value.as_i64().or_else(|| value.as_u64().map(|n| n as i64)).or_else(float).unwrap_or(0)
}

/// Reads a span as the agent's decoder does: what has a wrong type is left out, of a key that comes twice the
/// last counts.
fn read(span: &Value) -> SpanFields {
    let mut fields = SpanFields::default();
    let none = Vec::new();
    for (key, value) in span.as_map().unwrap_or(&none) {
        let key = bytes_of(key);
        let text = match key.as_slice() {
            b"service" => Some(&mut fields.service),
            b"name" => Some(&mut fields.name),
            b"resource" => Some(&mut fields.resource),
            b"type" => Some(&mut fields.span_type),
            _ => None,
        };
        match (text, key.as_slice()) {
            (Some(text), _) if is_text(value) => *text = bytes_of(value),
            (Some(_), _) => {}
            (_, b"trace_id") => fields.trace_id = signed(value) as u64,
            (_, b"span_id") => fields.span_id = signed(value) as u64,
            (_, b"parent_id") => fields.parent_id = signed(value) as u64,
            (_, b"start") => fields.start = signed(value),
            (_, b"duration") => fields.duration = signed(value),
            (_, b"error") => fields.error = signed(value) as i32,
            (_, b"meta") => {
                fields.meta.clear();
                for (k, v) in entries(value).iter().filter(|(_, v)| is_text(v)) {
                    fields.meta.retain(|(key, _)| *key != bytes_of(k));
                    fields.meta.push((bytes_of(k), bytes_of(v)));
                }
            }
            (_, b"metrics") => {
                fields.metrics = entries(value)
                    .iter()
                    .filter(|(_, v)| v.is_number() || v.is_nil())
                    .map(|(k, v)| (bytes_of(k), v.as_f64().unwrap_or(0.0)))
                    .collect();
            }
            (_, b"span_links") => {
                let links = value.as_array().unwrap().iter();
                fields.links = links
                    .map(|link| {
                        let attributes = entries(link).iter().find(|(k, _)| bytes_of(k) == b"attributes");
                        attributes.map_or(Vec::new(), |(_, a)| {
                            entries(a).iter().map(|(k, v)| (bytes_of(k), bytes_of(v))).collect()
                        })
                    })
                    .collect();
            }
            (_, b"span_events") => fields.events = value.as_array().unwrap().iter().map(event).collect(),
            _ => {}
        }
    }
    fields
}

fn entries(value: &Value) -> &[(Value, Value)] {
    value.as_map().map_or(&[], Vec::as_slice)
}

fn field<'v>(map: &'v Value, key: &str) -> Option<&'v Value> {
    entries(map).iter().rev().find(|(k, _)| bytes_of(k) == key.as_bytes()).map(|(_, v)| v)
}

fn event(value: &Value) -> Event {
    let attributes = field(value, "attributes").map_or(&[][..], entries);
    Event {
        time_ns: 0,
        name: Vec::new(),
        attributes: attributes.iter().map(|(k, v)| (bytes_of(k), attribute(v))).collect(),
    }
}

fn attribute(value: &Value) -> Attribute {
    match field(value, "type").map_or(0, signed) {
        0 => Attribute::Text(field(value, "string_value").map_or(Vec::new(), bytes_of)),
        1 => Attribute::Bool(field(value, "bool_value").and_then(Value::as_bool).unwrap_or(false)),
        2 => Attribute::Int(field(value, "int_value").map_or(0, signed)),
        3 => Attribute::Double(field(value, "double_value").and_then(Value::as_f64).unwrap_or(0.0)),
        _ => {
            let values = field(value, "array_value").and_then(|a| field(a, "values"));
            Attribute::Array(values.unwrap().as_array().unwrap().iter().map(attribute).collect())
        }
    }
}

/// A span in the form that compares: of a key that comes twice the last counts, marks of other stages do not.
fn plain(span: &SpanFields) -> String {
    let text = |t: &Vec<u8>| t.escape_ascii().to_string();
    let meta: BTreeMap<_, _> = span.meta.iter().map(|(k, v)| (text(k), text(v))).collect();
    let mut metrics: BTreeMap<_, _> = span.metrics.iter().map(|(k, v)| (text(k), v)).collect();
    metrics.remove("_top_level");
    let start = if span.start > JAN_2026_NS + 1_000_000 { 0 } else { span.start };
    let fields = [&span.service, &span.name, &span.resource, &span.span_type].map(text);
    let ids = (span.trace_id, span.span_id, span.parent_id);
    let rest = (&span.links, &span.events);
    format!("{ids:?} {start} {} {} {fields:?} {meta:?} {metrics:?} {rest:?}", span.duration, span.error)
}

/// Random choices from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn pick<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.roll(of.len())]
    }

    /// One in so many.
    fn rarely(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    /// Text in one of its forms on the wire.
    fn text(&mut self, text: &[u8]) -> Bytes {
        let n = text.len();
        match self.roll(30) {
            0 => bin(text),
            1 => [&[0xdb][..], &(n as u32).to_be_bytes(), text].concat(),
            2 if n < 0x1_0000 => [&[0xda][..], &(n as u16).to_be_bytes(), text].concat(),
            3 if n < 0x100 => [&[0xd9, n as u8], text].concat(),
            4 if n == 0 => nil(),
            _ => text_of(text),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let long = "x".repeat(25_010);
        let texts = [
            "4111 1111 1111 1111",
            "4111111111111111",
            "select * from t where a = 'secret'",
            "SET key secret\nGET key",
            r#"{"a": "secret", "b": [1, 2]}"#,
            "http://user:secret@host/path/1?q=secret",
            "set a 0 0 3\r\nsecret",
            "200",
            "999",
            "Prod_ENV!",
            "-1",
            "",
            "é日本",
            "10.0.0.1",
            "at a\n at b",
        ];
        if self.rarely(60) {
            return long.into_bytes();
        }
        if self.rarely(40) {
            return b"caf\xe9 \xff".to_vec();
        }
        self.pick(&texts).as_bytes().to_vec()
    }

    fn key(&mut self) -> Vec<u8> {
        let long = ["k".repeat(250), "k".repeat(251), "a".repeat(40), "_dd.".to_owned() + &"x".repeat(250)];
        if self.rarely(10) {
            return self.pick(&long.each_ref().map(String::as_str)).as_bytes().to_vec();
        }
        let keys = [
            "env",
            "peer.service",
            "_dd.base_service",
            "http.status_code",
            "http.url",
            "db.type",
            "sql.query",
            "db.statement",
            "db.query.text",
            "redis.raw_command",
            "valkey.raw_command",
            "memcached.command",
            "mongodb.query",
            "elasticsearch.body",
            "opensearch.body",
            "error.stack",
            "card",
            "other",
            "_dd.p.tid",
            "count",
            "m",
        ];
        self.pick(&keys).as_bytes().to_vec()
    }

    fn meta(&mut self) -> Bytes {
        let n = self.roll(9);
        let mut all = Vec::new();
        for _ in 0..n {
            let key = self.key();
            let value = if key == b"_dd.p.tid" { b"640cfd8d00000000".to_vec() } else { self.value() };
            let value = if self.rarely(25) { int(5) } else { self.text(&value) };
            all.push((self.text(&key), value));
        }
        if n == 0 && self.rarely(2) { nil() } else { map(all) }
    }

    fn metrics(&mut self) -> Bytes {
        let n = self.roll(4);
        let (mut all, mut used) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let key = match self.roll(4) {
                0 => b"m".to_vec(),
                1 => b"count".to_vec(),
                2 => b"_top_level".to_vec(),
                _ => self.key(),
            };
            let value = match self.roll(8) {
                0 => f32_(2.5),
                1 => nil(),
                2 => s("no number"),
                3 => int(-3),
                _ => f64_(self.roll(50) as f64),
            };
            if !used.contains(&key) {
                all.push((self.text(&key), value));
                used.push(key);
            }
        }
        if n == 0 && self.rarely(2) { nil() } else { map(all) }
    }

    fn links(&mut self) -> Bytes {
        let n = self.roll(3);
        array((0..n).map(|_| {
            let attributes = map([(s("link.name"), s("Odd Name!")), (s("x"), s("4111111111111111"))]);
            map([e("trace_id", int(1)), e("attributes", attributes)])
        }))
    }

    fn events(&mut self) -> Bytes {
        let n = self.roll(3);
        let mut events = Vec::new();
        for _ in 0..n {
            let mut attributes = Vec::new();
            for _ in 0..self.roll(4) {
                let array_of = array((0..3).map(|_| self.scalar()).collect::<Vec<_>>());
                let value = match self.rarely(4) {
                    true => map([e("type", int(4)), e("array_value", map([e("values", array_of)]))]),
                    false => self.scalar(),
                };
                attributes.push((text_of(&self.key()), value));
            }
            events.push(map([
                e("name", s("e")),
                e("time_unix_nano", int(1)),
                e("attributes", map(attributes)),
            ]));
        }
        array(events)
    }

    fn scalar(&mut self) -> Bytes {
        match self.roll(5) {
            0 => map([e("type", int(1)), e("bool_value", bool_(true))]),
            1 => map([e("int_value", int(4_111_111_111_111_111)), e("type", int(2))]),
            2 => map([e("type", int(3)), e("double_value", f64_(4.5))]),
            _ => map([e("type", int(0)), e("string_value", text_of(&self.value()))]),
        }
    }

    fn span(&mut self, trace_id: i64) -> Bytes {
        let mut entries = Vec::new();
        let types = [
            "sql",
            "cassandra",
            "redis",
            "valkey",
            "memcached",
            "mongodb",
            "elasticsearch",
            "opensearch",
            "web",
            "http",
            "",
        ];
        let names = ["op", "Odd Name", "", "9", "a__b"];
        for (key, choices) in [
            ("service", &["shop", "My Service!", "", "é"][..]),
            ("name", &names),
            ("resource", &["GET /", "", "select 'secret' from a", "SET k secret"]),
            ("type", &types),
        ] {
            let value = self.pick(choices).as_bytes().to_vec();
            let value = if self.rarely(40) { int(3) } else { self.text(&value) };
            if !self.rarely(12) {
                entries.push((self.text(key.as_bytes()), value));
            }
        }
        let id = if self.rarely(60) { 0 } else { 1 + self.roll(6) as i64 };
        entries.push(e("trace_id", int(if self.rarely(80) { 9 } else { trace_id })));
        entries.push(e("span_id", int(id)));
        entries.push(e("parent_id", int(self.roll(8) as i64)));
        if !self.rarely(10) {
            entries.push(e("start", int(if self.rarely(10) { 5 } else { JAN_2026_NS })));
        }
        let duration = [int(10), int(-5), int(i64::MAX), f64_(7.0)];
        entries.push(e("duration", duration[self.roll(4)].clone()));
        if !self.rarely(5) {
            entries.push(e("meta", self.meta()));
        }
        if !self.rarely(3) {
            entries.push(e("metrics", self.metrics()));
        }
        if self.rarely(3) {
            entries.push(e("span_links", self.links()));
        }
        if self.rarely(3) {
            entries.push(e("span_events", self.events()));
        }
        if self.rarely(8) {
            let again = [e("meta", self.meta()), e("metrics", self.metrics()), e("resource", s("secret"))];
            entries.insert(self.roll(entries.len()), again[self.roll(3)].clone());
        }
        if self.rarely(10) {
            entries.reverse();
        }
        map(entries)
    }
}

fn configs() -> Vec<Option<ObfuscationConfig>> {
    let rules = r#"{"http": {"remove_query_string": true}, "remove_stack_traces": true, "replace_tags": [
        {"name": "*", "pattern": "1|secret", "repl": "~"},
        {"name": "count", "pattern": "^(\\d)$", "repl": "n$1"},
        {"name": "m", "pattern": "2", "repl": "3"},
        {"name": "resource.name", "pattern": "G", "repl": ""},
        {"name": "*", "pattern": "n", "repl": "N"}]}"#;
    vec![
        None,
        Some(ObfuscationConfig::off()),
        Some(ObfuscationConfig::agent()),
        Some(ObfuscationConfig::all()),
        Some(ObfuscationConfig::from_json(rules).unwrap()),
    ]
}

#[test]
fn spans_of_a_payload_come_out_as_owned_spans_do() {
    let configs = configs();
    let rewriters: Vec<_> = configs
        .iter()
        .flat_map(|config| {
            let obfuscator = config.as_ref().map(|c| Arc::new(Obfuscator::new(c).unwrap()));
            [None, Some(Normalizer::new(b"java"))]
                .map(|n| Rewriter::new(n.clone(), obfuscator.clone()).map(|r| (config.clone(), n, r)))
        })
        .flatten()
        .collect();
    assert_eq!(rewriters.len(), 9);
    let (mut refused, mut changed) = (0, 0);
    for seed in 1..=6_000u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let n = 1 + dice.roll(3);
        let body = array([array((0..n).map(|_| dice.span(7)).collect::<Vec<_>>())]);
        let (config, normalizer, rewriter) = &rewriters[seed as usize % rewriters.len()];
        let (out, ours, counts) = through_the_arena(&body, rewriter);
        let (expected, expected_counts) = by_fields(&body, normalizer.as_ref(), config.as_ref());
        let ours_plain: Option<Vec<_>> = ours.as_ref().map(|spans| spans.iter().map(plain).collect());
        let expected_plain: Option<Vec<_>> = expected.as_ref().map(|spans| spans.iter().map(plain).collect());
        assert!(
            ours_plain == expected_plain,
            "seed {seed} ({}, normalize {})\n ours     {ours_plain:#?}\n expected {expected_plain:#?}\n in {}",
            config.is_some(),
            normalizer.is_some(),
            body.escape_ascii()
        );
        assert_eq!(counts, expected_counts, "seed {seed}");
        refused += usize::from(ours.is_none());
        changed += usize::from(out != body);
    }
    assert!(refused > 100 && changed > 2_000, "{refused} refused, {changed} changed");
}

#[test]
fn what_nothing_changes_stays_byte_for_byte() {
    let span = map([
        e("service", s("shop")),
        e("name", s("op")),
        e("resource", s("GET /")),
        e("trace_id", u64_(7)),
        e("span_id", u64_(1)),
        e("parent_id", int(0)),
        e("start", i64_(JAN_2026_NS)),
        e("duration", int(10)),
        e("type", s("web")),
        e("metrics", map([e("_top_level", f64_(1.0))])),
        e("meta", map([e("env", s("prod")), e("http.url", s("http://host/"))])),
    ]);
    let body = array([array([span])]);
    let obfuscator = Arc::new(Obfuscator::new(&ObfuscationConfig::all()).unwrap());
    let rewriter = Rewriter::new(Some(Normalizer::new(b"java")), Some(obfuscator)).unwrap();
    let (out, _, counts) = through_the_arena(&body, &rewriter);
    assert_eq!((out, counts.total()), (body, 0));
}

#[test]
fn a_tag_put_in_at_the_end_of_a_span_leaves_the_next_ones_head_alone() {
    // The first span's nil map is its last byte; the second begins there, loses an entry and gets a mark.
    let first = map([
        e("trace_id", int(7)),
        e("span_id", int(1)),
        e("metrics", map([e("m", f64_(18.0))])),
        e("meta", nil()),
    ]);
    let second = map([
        e("resource", s("secret")),
        e("trace_id", int(7)),
        e("span_id", int(2)),
        e("resource", s("again")),
    ]);
    let body = array([array([first, second])]);
    let rule = r#"{"replace_tags": [{"name": "*", "pattern": "1", "repl": "~"}]}"#;
    let config = ObfuscationConfig::from_json(rule).unwrap();
    let rewriter = Rewriter::new(None, Some(Arc::new(Obfuscator::new(&config).unwrap()))).unwrap();
    let spans = through_the_arena(&body, &rewriter).1.unwrap();
    assert_eq!(spans[0].meta(b"m"), Some(&b"~8"[..]));
    assert_eq!((spans[1].resource.as_slice(), spans[1].metric(b"_top_level")), (&b"again"[..], Some(1.0)));
}
