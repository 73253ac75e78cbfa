//! Payloads as tracers might write them: keys in any order or missing, integers of any width, headers wider
//! than needed, text of every length class and script, repeated keys, links, events and binary values.
//! Everything here is readable by both sides; what only one side tolerates has its own tests.

use proptest::collection::vec;
use proptest::prelude::*;

/// A msgpack value with the freedom that writers have.
#[derive(Debug, Clone)]
pub enum Value {
    Nil,
    Bool(bool),
    /// A number and the least width in bytes that it is written with (0: a fixint if it fits).
    Int(i128, u8),
    Float(f64),
    /// `true`: a header of 32 bits.
    Text(String, bool),
    Binary(Vec<u8>),
    List(Vec<Value>, bool),
    Map(Vec<(Value, Value)>, bool),
}

/// A v0.4 payload of up to `chunks` chunks.
pub fn payload(chunks: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(chunk(), 0..=chunks).prop_map(|chunks| encode(&Value::List(chunks, false)))
}

/// A chunk: spans of one trace that may be one another's parents, most of them of few services.
fn chunk() -> impl Strategy<Value = Value> {
    (any::<u64>(), priority(), vec(span(), 0..6), any::<bool>()).prop_map(
        |(trace_id, priority, spans, wide)| {
            let ids: Vec<u64> = spans.iter().map(|s| s.id).collect();
            let spans =
                spans.into_iter().enumerate().map(|(i, s)| s.value(trace_id, &ids, i, priority)).collect();
            Value::List(spans, wide)
        },
    )
}

fn priority() -> impl Strategy<Value = Option<i8>> {
    prop_oneof![Just(None), Just(Some(-1)), Just(Some(0)), Just(Some(1)), Just(Some(2))]
}

/// What a span is before it has a place in its chunk.
#[derive(Debug, Clone)]
struct Draft {
    id: u64,
    parent: u8,
    fields: Vec<(&'static str, Value)>,
    metrics: Vec<(Value, Value)>,
    order: u64,
    wide: bool,
}

impl Draft {
    fn value(mut self, trace_id: u64, ids: &[u64], index: usize, priority: Option<i8>) -> Value {
        let width = if self.wide { 8 } else { 0 };
        let parent = match self.parent {
            0 => 0,
            1 => 77, // a span that is not in the chunk
            n => ids[n as usize % ids.len()],
        };
        self.fields.push(("trace_id", Value::Int(trace_id.into(), width)));
        self.fields.push(("span_id", Value::Int(self.id.into(), width)));
        self.fields.push(("parent_id", Value::Int(parent.into(), width)));
        if let (Some(priority), 0) = (priority, index) {
            let key = Value::Text("_sampling_priority_v1".to_owned(), self.wide);
            self.metrics.push((key, Value::Float(priority.into())));
        }
        self.fields.push(("metrics", Value::Map(self.metrics, self.wide)));
        // Any order: turned and, half of the time, reversed.
        let turn = self.order as usize % self.fields.len();
        self.fields.rotate_left(turn);
        if self.order & (1 << 40) != 0 {
            self.fields.reverse();
        }
        let fields = self.fields.into_iter().map(|(k, v)| (Value::Text(k.to_owned(), false), v)).collect();
        Value::Map(fields, self.wide)
    }
}

const YEAR_2020: i64 = 1_577_836_800_000_000_000;

// Errors are 0 or 1: of other numbers the reference takes no notice where it drops p0 chunks, the agent does.
prop_compose! {
    fn span()(
        id in 1..=u64::MAX, parent in 0u8..8, order in any::<u64>(), wide in prop::bool::weighted(0.2),
        service in optional(service()), name in optional(text()), resource in optional(text()),
        kind in optional(prop_oneof![text(), Just(Value::Text("web".into(), false)), Just(Value::Nil)]),
        start in optional((prop_oneof![3 => YEAR_2020..YEAR_2020 + (1i64 << 56), 1 => 0..i64::MAX], 0u8..9).prop_map(|(n, w)| Value::Int(n.into(), w))),
        duration in optional((prop_oneof![3 => 0..1i64 << 36, 1 => 0..i64::MAX / 4], 0u8..9).prop_map(|(n, w)| Value::Int(n.into(), w))),
        error in optional((0i32..2, 0u8..9).prop_map(|(n, w)| Value::Int(n.into(), w))),
        meta in optional(vec((meta_key(), text()), 0..20)),
        metrics in vec((metric_key(), number()), 0..20),
        meta_struct in prop::option::weighted(0.1, vec((text(), vec(any::<u8>(), 0..40).prop_map(Value::Binary)), 0..3)),
        links in prop::option::weighted(0.1, vec(link(), 0..3)),
        events in prop::option::weighted(0.1, vec(event(), 0..3)),
    ) -> Draft {
        let mut fields = Vec::new();
        let texts = [("service", service), ("name", name), ("resource", resource), ("type", kind)];
        for (key, value) in texts.into_iter().chain([("start", start), ("duration", duration), ("error", error)]) {
            fields.extend(value.map(|value| (key, value)));
        }
        fields.extend(meta.map(|entries| ("meta", Value::Map(entries, wide))));
        fields.extend(meta_struct.map(|entries| ("meta_struct", Value::Map(entries, wide))));
        fields.extend(links.map(|links| ("span_links", Value::List(links, wide))));
        fields.extend(events.map(|events| ("span_events", Value::List(events, wide))));
        Draft { id, parent, fields, metrics, order, wide }
    }
}

fn optional<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.9, of)
}

fn service() -> impl Strategy<Value = Value> {
    prop_oneof![4 => "[a-c]", 1 => ".{0,40}"].prop_map(|s| Value::Text(s, false))
}

/// Text of every header class.
fn text() -> impl Strategy<Value = Value> {
    let of_length = prop_oneof![
        6 => ".{0,24}",
        2 => "[ -~]{20,60}",
        1 => "[a-z]{250,262}",
        1 => Just(format!("{}\u{1f6d2}", "x".repeat(65_530))),
    ];
    (of_length, prop::bool::weighted(0.1)).prop_map(|(text, wide)| Value::Text(text, wide))
}

fn meta_key() -> impl Strategy<Value = Value> {
    let known = prop::sample::select(vec![
        "env",
        "version",
        "component",
        "span.kind",
        "_dd.origin",
        "_dd.p.dm",
        "language",
        "http.status_code",
        "",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 3 => "[a-z.]{1,20}", 1 => ".{0,8}"]
        .prop_map(|key| Value::Text(key, false))
}

/// Never a key that meta has too: which of the two an attribute of v1 becomes depends on the order of the
/// span's fields.
fn metric_key() -> impl Strategy<Value = Value> {
    let known = prop::sample::select(vec![
        "_dd.measured",
        "_dd.top_level",
        "_dd.agent_psr",
        "_dd.span_sampling.mechanism",
        "_dd1.sr.eausr",
        "peer.port",
    ]);
    prop_oneof![2 => known.prop_map(str::to_owned), 3 => "n[.][a-z.]{1,20}"]
        .prop_map(|key| Value::Text(key, false))
}

fn number() -> impl Strategy<Value = Value> {
    let special =
        prop::sample::select(vec![0.0, -0.0, 1.0, 8.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324]);
    prop_oneof![
        2 => any::<f64>().prop_map(Value::Float),
        1 => special.prop_map(Value::Float),
        1 => (-1_000_000i64..1_000_000, 0u8..9).prop_map(|(n, w)| Value::Int(n.into(), w)),
        // Beyond 2^53 a double is not exact; both sides must round the same way.
        1 => any::<u32>().prop_map(|n| Value::Int(n.into(), 8)),
    ]
}

fn named(pairs: Vec<(&str, Value)>) -> Value {
    Value::Map(pairs.into_iter().map(|(k, v)| (Value::Text(k.to_owned(), false), v)).collect(), false)
}

prop_compose! {
    fn link()(
        trace_id in any::<u64>(), high in any::<u64>(), span_id in any::<u64>(), flags in prop::option::of(0u32..3),
        state in prop::option::of("[a-z=,]{0,20}"), attributes in vec(("[a-z.]{1,12}", "[ -~]{0,20}"), 0..3),
    ) -> Value {
        let id = |n: u64| Value::Int(n.into(), 0);
        let mut pairs = vec![("trace_id", id(trace_id)), ("trace_id_high", id(high)), ("span_id", id(span_id))];
        pairs.extend(flags.map(|flags| ("flags", id(flags.into()))));
        pairs.extend(state.map(|state| ("tracestate", Value::Text(state, false))));
        // Distinct keys: which of two equal ones counts is nowhere said for links.
        let attributes: std::collections::BTreeMap<_, _> = attributes.into_iter().collect();
        let attributes = attributes.into_iter().map(|(k, v)| (Value::Text(k, false), Value::Text(v, false))).collect();
        pairs.push(("attributes", Value::Map(attributes, false)));
        named(pairs)
    }
}

prop_compose! {
    fn event()(
        time in 0..u64::MAX / 2, name in "[ -~]{0,12}", attributes in vec(("[a-z.]{1,12}", attribute()), 0..4),
    ) -> Value {
        let attributes: std::collections::BTreeMap<_, _> = attributes.into_iter().collect();
        let attributes = attributes.into_iter().map(|(k, v)| (Value::Text(k, false), v)).collect();
        named(vec![
            ("time_unix_nano", Value::Int(time.into(), 0)),
            ("name", Value::Text(name, false)),
            ("attributes", Value::Map(attributes, false)),
        ])
    }
}

/// A value of an event's attribute: one of four types, or a list of one type (the reference reads no mixed
/// lists).
fn attribute() -> impl Strategy<Value = Value> {
    let list = (0usize..4).prop_flat_map(|kind| vec(single(kind), 0..3)).prop_map(|values| {
        let values = Value::List(values, false);
        named(vec![("type", Value::Int(4, 0)), ("array_value", named(vec![("values", values)]))])
    });
    prop_oneof![4 => (0usize..4).prop_flat_map(single), 1 => list]
}

fn single(kind: usize) -> BoxedStrategy<Value> {
    let of = move |key, value| named(vec![("type", Value::Int(kind as i128, 0)), (key, value)]);
    match kind {
        0 => "[ -~]{0,20}".prop_map(move |s| of("string_value", Value::Text(s, false))).boxed(),
        1 => any::<bool>().prop_map(move |b| of("bool_value", Value::Bool(b))).boxed(),
        2 => any::<i32>().prop_map(move |n| of("int_value", Value::Int(n.into(), 0))).boxed(),
        _ => (-1e9..1e9f64).prop_map(move |f| of("double_value", Value::Float(f))).boxed(),
    }
}

/// The bytes of a value.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value);
    out
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => out.push(0xc0),
        Value::Bool(b) => out.push(0xc2 + u8::from(*b)),
        Value::Int(n, width) => write_int(out, *n, *width),
        Value::Float(f) => {
            out.push(0xcb);
            out.extend(f.to_be_bytes());
        }
        Value::Text(text, wide) => {
            head(out, text.len(), *wide, (0xa0, 32), &[(0xd9, 1), (0xda, 2), (0xdb, 4)]);
            out.extend(text.as_bytes());
        }
        Value::Binary(bytes) => {
            head(out, bytes.len(), false, (0, 0), &[(0xc4, 1), (0xc5, 2), (0xc6, 4)]);
            out.extend(bytes);
        }
        Value::List(values, wide) => {
            head(out, values.len(), *wide, (0x90, 16), &[(0xdc, 2), (0xdd, 4)]);
            values.iter().for_each(|value| write(out, value));
        }
        Value::Map(pairs, wide) => {
            head(out, pairs.len(), *wide, (0x80, 16), &[(0xde, 2), (0xdf, 4)]);
            for (key, value) in pairs {
                write(out, key);
                write(out, value);
            }
        }
    }
}

/// A header: `fix` is (code, first length that does not fit), the rest (code, bytes of length).
fn head(out: &mut Vec<u8>, length: usize, wide: bool, fix: (u8, usize), classes: &[(u8, usize)]) {
    if !wide && length < fix.1 {
        out.push(fix.0 | length as u8);
        return;
    }
    let fits = |bytes: usize| bytes == 4 || length < 1 << (8 * bytes);
    let widest = classes.len() - 1;
    let (code, bytes) = *classes.iter().find(|(_, bytes)| !wide && fits(*bytes)).unwrap_or(&classes[widest]);
    out.push(code);
    out.extend(&(length as u32).to_be_bytes()[4 - bytes..]);
}

fn write_int(out: &mut Vec<u8>, n: i128, width: u8) {
    if width == 0 && (-32..128).contains(&n) {
        out.push(n as i8 as u8);
        return;
    }
    for (step, bytes) in [1u8, 2, 4, 8].into_iter().enumerate() {
        let bits = 8 * u32::from(bytes);
        if bytes < width {
            continue;
        }
        if n >= 0 && n < 1i128 << bits {
            out.push(0xcc + step as u8);
        } else if n < 0 && n >= -(1i128 << (bits - 1)) {
            out.push(0xd0 + step as u8);
        } else {
            continue;
        }
        out.extend(&n.to_be_bytes()[16 - usize::from(bytes)..]);
        return;
    }
}
