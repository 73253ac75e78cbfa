//! Payloads from a seed, for recording: what tracers write, what they should not write, and bytes that are
//! damaged. Shares no code with the library and no random number generator with anybody, so that a seed means
//! the same for ever.

#![allow(dead_code, unreachable_pub, missing_docs)]

use super::msgpack::*;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// What a payload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As a tracer writes it.
    Plain,
    /// Values that rules of obfuscation, normalization, stats and sampling look at.
    Rules,
    /// Odd but acceptable: nil, other widths, doubled and unknown keys, links, events, text that is not
    /// UTF-8.
    Odd,
    /// Odd, with bytes changed, left out or cut off.
    Damaged,
}

pub const KINDS: [Kind; 4] = [Kind::Plain, Kind::Rules, Kind::Odd, Kind::Damaged];

/// A v0.4 payload.
pub fn payload(kind: Kind, r: &mut Random) -> Bytes {
    let chunks: Vec<Bytes> = (0..r.below(5)).map(|_| chunk(kind, r)).collect();
    let bytes = array(chunks);
    if kind == Kind::Damaged { damaged(bytes, r) } else { bytes }
}

/// A few bytes changed, left out or cut off.
pub fn damaged(mut bytes: Bytes, r: &mut Random) -> Bytes {
    for _ in 0..=r.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = r.below(bytes.len() as u64) as usize;
        match r.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, r.next() as u8),
            3 => bytes[at] = *r.pick(&[&0xc0, &0xc1, &0x90, &0x80, &0xca, &0xcb, &0xdf, &0xdd, &0xff]),
            4 => bytes[at] ^= 1 << r.below(8),
            5 => bytes.extend([0xc0, 0x01]),
            _ => bytes[at] = r.next() as u8,
        }
    }
    bytes
}

fn chunk(kind: Kind, r: &mut Random) -> Bytes {
    let trace_id = r.next();
    let spans = if kind != Kind::Plain && r.once_in(12) { 0 } else { 1 + r.below(6) };
    let mut ids = vec![0];
    let chunk: Vec<Bytes> = (0..spans)
        .map(|n| {
            ids.push(r.next() >> 1 | 1);
            let parent = if n == 0 {
                0
            } else {
                ids[r.below(ids.len() as u64 - 1) as usize + 1 - usize::from(n == 1)]
            };
            let parent = if kind != Kind::Plain && r.once_in(9) { r.next() } else { parent };
            span(kind, trace_id, ids[ids.len() - 1], parent, n == 0, r)
        })
        .collect();
    array(chunk)
}

const SERVICES: [&str; 7] = ["shop", "shop-web", "redis", "Orders Service", "", "9lives", "päivä"];
const NAMES: [&str; 8] = [
    "servlet.request",
    "postgresql.query",
    "redis.query",
    "http.request",
    "grpc.client",
    "",
    "a b",
    "Über.fall-1",
];
const TYPES: [&str; 10] =
    ["web", "sql", "redis", "http", "memcached", "elasticsearch", "mongodb", "rpc", "", "valkey"];
const RESOURCES: [&str; 10] = [
    "GET /api/v1/users/42",
    "SELECT a, b FROM t WHERE id = 42 AND name = 'it''s' -- why",
    "INSERT INTO t VALUES (1, 'x', $tag$secret$tag$), (2, NULL, 0x1F)",
    "SET session:77 secret\nGET k",
    "select * from \"Users\" where a in (1,2,3) limit 10",
    "GET /healthz",
    "",
    "set key 0 0 5\r\nvalue\r\n",
    "UPDATE t SET a = 'unfinished",
    "/grpc.Service/Method",
];
const ENVS: [&str; 4] = ["prod", "staging", "Prod Eu!", ""];

/// Tags that some rule looks at, with values it acts on.
const RULES: [(&str, &str); 34] = [
    ("http.url", "https://u:p@example.com/a/1234/b?token=secret&x=1#f"),
    ("http.url", "http://[::1]:80/%zz?a"),
    ("http.status_code", "200"),
    ("http.status_code", "500"),
    ("http.status_code", "teapot"),
    ("http.method", "GET"),
    ("http.endpoint", "/api/{id}"),
    ("http.route", "/internal/probe"),
    ("redis.raw_command", "AUTH user password"),
    ("redis.raw_command", "ZADD k 1 a 2 b"),
    ("valkey.raw_command", "SET k v EX 1"),
    ("memcached.command", "set key 0 0 5\r\nvalue"),
    ("mongodb.query", "{\"find\":\"users\",\"filter\":{\"email\":\"a@b.c\",\"n\":[1,2]}}"),
    ("elasticsearch.body", "{\"query\":{\"match\":{\"title\":\"secret\"}}}"),
    ("opensearch.body", "{\"a\":{\"b\":\"c\"}"),
    ("sql.query", "SELECT 1 FROM t WHERE pw = 'x'"),
    ("db.statement", "DELETE FROM t WHERE id = 9"),
    ("card", "4111 1111 1111 1111"),
    ("note", "37828224631000"),
    ("peer.service", "10.1.2.3"),
    ("peer.hostname", "ip-10-1-2-3.ec2.internal"),
    ("out.host", "pg.example.com"),
    ("db.instance", "shop"),
    ("_dd.base_service", "monolith"),
    ("span.kind", "client"),
    ("span.kind", "server"),
    ("span.kind", "producer"),
    ("_dd.origin", "synthetics"),
    ("rpc.grpc.status_code", "5"),
    ("grpc.code", "NOT_FOUND"),
    ("_dd.p.tid", "66a1b2c300000000"),
    ("_dd.p.dm", "-4"),
    ("version", "1.2.3"),
    ("component", "jdbc"),
];
const METRICS: [(&str, f64); 12] = [
    ("_sampling_priority_v1", 1.0),
    ("_sampling_priority_v1", 0.0),
    ("_sampling_priority_v1", -1.0),
    ("_sampling_priority_v1", 2.0),
    ("_dd.top_level", 1.0),
    ("_dd.measured", 1.0),
    ("_top_level", 1.0),
    ("_dd.partial_version", 1.0),
    ("_dd.span_sampling.mechanism", 8.0),
    ("_dd1.sr.eausr", 1.0),
    ("http.status_code", 404.0),
    ("rpc.grpc.status_code", 13.0),
];
const START: u64 = 1_787_000_000_000_000_000;

fn span(kind: Kind, trace_id: u64, id: u64, parent: u64, root: bool, r: &mut Random) -> Bytes {
    let plain = kind == Kind::Plain;
    let odd = matches!(kind, Kind::Odd | Kind::Damaged);
    let mut meta: Vec<Entry> =
        vec![e("env", s(r.pick(if plain { &ENVS[..2] } else { &ENVS }))), e("language", s("jvm"))];
    let mut metrics: Vec<Entry> = vec![e("thread.id", int(r.below(300) as i64))];
    for _ in 0..r.below(if plain { 4 } else { 10 }) {
        let (key, value) = RULES[r.below(RULES.len() as u64) as usize];
        let known = meta.iter().any(|(k, _)| *k == s(key));
        if odd || !known {
            let value = if odd && r.once_in(8) { "" } else { value };
            meta.push(e(key, s(value)));
        }
    }
    if root || r.once_in(4) {
        let (key, value) = METRICS[r.below(4) as usize];
        metrics.push(e(key, if r.once_in(2) { f64_(value) } else { int(value as i64) }));
    }
    for _ in 0..r.below(3) {
        let (key, value) = METRICS[4 + r.below(8) as usize];
        if odd || !metrics.iter().any(|(k, _)| *k == s(key)) {
            metrics.push(e(key, f64_(value)));
        }
    }
    if r.once_in(5) {
        let long = "x".repeat(r.below(6000) as usize);
        meta.push(e(if r.once_in(9) { &long } else { "error.stack" }, s(&long)));
    }
    let start = if plain { START + r.below(1 << 33) } else { START + r.below(1 << 45) };
    let mut fields: Vec<Entry> = vec![
        e("service", s(r.pick(if plain { &SERVICES[..3] } else { &SERVICES }))),
        e("name", s(r.pick(if plain { &NAMES[..5] } else { &NAMES }))),
        e("resource", s(r.pick(&RESOURCES))),
        e("trace_id", u64_(trace_id)),
        e("span_id", u64_(id)),
        e("parent_id", u64_(parent)),
        e("start", int(start as i64)),
        e("duration", int(r.below(1 << 30) as i64)),
        e("type", s(r.pick(&TYPES))),
        e("error", int(i64::from(r.once_in(6)))),
    ];
    if odd {
        oddities(&mut fields, &mut meta, &mut metrics, r);
    }
    fields.push(e("metrics", map(metrics)));
    fields.push(e("meta", map(meta)));
    if odd && r.once_in(2) {
        let (a, b) = (r.below(fields.len() as u64) as usize, r.below(fields.len() as u64) as usize);
        fields.swap(a, b);
    }
    map(fields)
}

fn oddities(fields: &mut Vec<Entry>, meta: &mut Vec<Entry>, metrics: &mut Vec<Entry>, r: &mut Random) {
    for _ in 0..r.below(4) {
        let at = r.below(fields.len() as u64) as usize;
        match r.below(16) {
            0 => fields[at].1 = nil(),
            1 => fields[0].1 = bin(b"shop"),
            2 => fields[2].1 = text_of(b"bad \xff\xfe utf\xc3"),
            3 => fields.push(e("unknown", array([int(1), map([e("a", nil())])]))),
            4 => fields.push(fields[at].clone()),
            5 => drop(fields.remove(at)),
            6 => fields.push(e("span_links", links(r))),
            7 => fields.push(e("span_events", events(r))),
            8 => {
                fields.push(e("meta_struct", map([e("appsec", bin(b"\x81\xa1a\x01")), e("empty", bin(b""))])))
            }
            9 => meta.push((s("tag"), text_of(b"\xe9t\xe9 \xf0\x9f"))),
            10 => meta.push(e("nothing", nil())),
            11 => metrics.push(e(
                "odd",
                r.pick(&[&f32_(0.1), &f64_(f64::NAN), &u64_(u64::MAX), &i64_(i64::MIN)]).clone(),
            )),
            12 => meta.push(e("_dd.span_links", s("[]"))),
            13 => {
                fields[at].1 =
                    r.pick(&[&f64_(3.0), &i64_(-5), &bool_(true), &u64_(u64::MAX), &s("7")]).clone()
            }
            14 => meta.push((s("_dd.p.tid"), s("nonsense"))),
            _ => metrics.push(e("_sampling_priority_v1", f64_(0.0))),
        }
    }
}

fn links(r: &mut Random) -> Bytes {
    let link = |r: &mut Random| {
        let mut all = vec![e("trace_id", u64_(r.next())), e("span_id", u64_(r.next()))];
        if r.once_in(2) {
            all.push(e("trace_id_high", u64_(r.next())));
            all.push(e("attributes", map([e("a", s("1")), e("b", s("zwei"))])));
        }
        if r.once_in(3) {
            all.push(e("tracestate", s("dd=s:1")));
            all.push(e("flags", int(r.below(3) as i64)));
        }
        map(all)
    };
    array((0..r.below(3)).map(|_| link(r)).collect::<Vec<_>>())
}

fn events(r: &mut Random) -> Bytes {
    let attribute = |r: &mut Random| match r.below(5) {
        0 => map([e("type", int(0)), e("string_value", s("text"))]),
        1 => map([e("type", int(1)), e("bool_value", bool_(true))]),
        2 => map([e("type", int(2)), e("int_value", int(-7))]),
        3 => map([e("type", int(3)), e("double_value", f64_(2.5))]),
        _ => {
            let item = map([e("type", int(0)), e("string_value", s("x"))]);
            map([e("type", int(4)), e("array_value", map([e("values", array([item]))]))])
        }
    };
    let event = |r: &mut Random| {
        let name = r.pick(&["exception", "retry", ""]);
        let attributes: Vec<Entry> = ["k", "l"].iter().map(|key| e(key, attribute(r))).collect();
        map([
            e("time_unix_nano", u64_(START + r.below(1 << 40))),
            e("name", s(name)),
            e("attributes", map(attributes)),
        ])
    };
    array((0..r.below(3)).map(|_| event(r)).collect::<Vec<_>>())
}
