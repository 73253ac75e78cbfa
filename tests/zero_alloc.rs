//! In steady state nothing is allocated a payload: scan, v0.4 forward, stages with v0.4 out, normalization
//! and obfuscation with v0.4 out, every pair of the formats v0.4, v0.5 and v1, and OTLP, the intake and log lines.
//!
//! Excepted: native span links and events on their way to v0.5 (JSON) and v1, and text
//! that is not UTF-8 where a format demands it, and URLs with letters beyond ASCII.
//!
//! And with nothing to reuse: what is passed through takes at most 1.5 times its bytes of memory, what is
//! written anew 3 times, its output included.

#![allow(clippy::unwrap_used)]

#[path = "support/alloc.rs"]
mod alloc;
#[path = "support/msgpack.rs"]
mod msgpack;

use data_pipeline::convert::{Conversion, convert};
use data_pipeline::format::{Encoder, from_v1, from_v05, other, v1, v04, v05};
use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::rewrite::{Memory, Rewriter};
use data_pipeline::settings::{Metadata, OtherFormat, OutputFormat};
use data_pipeline::trace::{
    Arena, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Scanner, TOP_LEVEL_SLOTS, TopLevel, drop_p0,
};
use msgpack::*;
use std::sync::Arc;

#[global_allocator]
static COUNTING: alloc::Counting = alloc::Counting;

/// What a payload needs, kept between payloads.
struct Bench {
    arena: Arena,
    v04: v04::Encoder,
    v05: v05::Encoder,
    v1: v1::Encoder,
    filters: Filters,
    interest: Interest,
    metadata: Metadata,
    rewriter: Rewriter,
    memory: Memory,
    from_v05: from_v05::Decoder,
    from_v1: from_v1::Decoder,
    others: Vec<(OtherFormat, Box<dyn Encoder>)>,
}

/// What is done to a v0.4 payload, or to its v0.4 form.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Scan,
    Forward,
    Stages,
    Rewritten,
    ToV05,
    ToV1,
    To(OtherFormat),
}

const WAYS: [Way; 10] = [
    Way::Scan,
    Way::Forward,
    Way::Stages,
    Way::Rewritten,
    Way::ToV05,
    Way::ToV1,
    Way::To(OtherFormat::OtlpProto),
    Way::To(OtherFormat::OtlpJson),
    Way::To(OtherFormat::Intake),
    Way::To(OtherFormat::Log),
];

/// The format of what comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    V04,
    V05,
    V1,
}

impl Bench {
    fn new() -> Self {
        let rules = FilterRules {
            require: vec!["env".into()],
            reject: vec!["http.url:nowhere".into()],
            ignore_resources: vec!["^never$".into()],
            ..FilterRules::default()
        };
        Self {
            arena: Arena::new(),
            v04: v04::Encoder::default(),
            v05: v05::Encoder::default(),
            v1: v1::Encoder::default(),
            filters: Filters::new(&rules).0,
            rewriter: Rewriter::new(
                Some(Normalizer::new(b"java")),
                Some(Arc::new(Obfuscator::new(&ObfuscationConfig::agent()).unwrap())),
            )
            .unwrap(),
            memory: Memory::default(),
            interest: Rewriter::interest(Interest::none()).slots(P0_SLOTS).slots(TOP_LEVEL_SLOTS),
            metadata: Metadata { language: "java".into(), runtime_id: "r".into(), ..Metadata::default() },
            from_v05: from_v05::Decoder::default(),
            from_v1: from_v1::Decoder::default(),
            others: OtherFormat::NAMES.map(|(_, format)| (format, other(format).encoder())).into(),
        }
    }

    /// A payload of any format; `None` as the way is v0.5 and v1 passed on or, where they are the target,
    /// read only.
    fn run_from(&mut self, from: From, way: Option<Way>, bytes: &[u8]) -> usize {
        let policy = OnMalformed::Repair;
        let (mut v05, mut v1) = (std::mem::take(&mut self.from_v05), std::mem::take(&mut self.from_v1));
        let v04 = match from {
            From::V04 => bytes,
            From::V05 if way.is_none() => {
                assert!(from_v05::check(bytes).unwrap().spans > 0);
                bytes
            }
            From::V05 => v05.to_v04(bytes, policy).unwrap().v04,
            From::V1 => v1.to_v04(bytes, policy).unwrap().v04,
        };
        let n = way.map_or(v04.len(), |way| self.run(way, v04));
        (self.from_v05, self.from_v1) = (v05, v1);
        n
    }

    fn run(&mut self, way: Way, bytes: &[u8]) -> usize {
        self.v04.begin();
        self.v05.begin();
        self.v1.begin();
        self.others.iter_mut().for_each(|(_, encoder)| encoder.begin(&self.metadata));
        let mut scanner = Scanner::new(bytes, OnMalformed::Repair).unwrap();
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &self.interest, 256).unwrap();
            let mut payload = scanner.payload(&mut self.arena);
            match way {
                Way::Scan => {}
                Way::Forward => self.v04.add(&mut payload),
                Way::Stages => {
                    self.filters.apply(&mut payload);
                    TopLevel { mark: true }.apply(&mut payload);
                    drop_p0(&mut payload);
                    self.v04.add(&mut payload);
                }
                Way::Rewritten => {
                    self.rewriter.apply(&mut payload, &mut self.memory);
                    TopLevel { mark: true }.apply(&mut payload);
                    self.v04.add(&mut payload);
                }
                Way::ToV05 | Way::ToV1 => {
                    TopLevel { mark: true }.apply(&mut payload);
                    if way == Way::ToV05 { self.v05.add(&payload) } else { self.v1.add(&payload) }
                }
                Way::To(format) => {
                    TopLevel { mark: true }.apply(&mut payload);
                    let (_, encoder) = self.others.iter_mut().find(|(known, _)| *known == format).unwrap();
                    encoder.add(&mut payload);
                }
            }
        }
        match way {
            Way::Scan => 1,
            Way::Forward | Way::Stages | Way::Rewritten => self.v04.finish().len(),
            Way::ToV05 => self.v05.finish().len(),
            Way::ToV1 => self.v1.finish(bytes, &self.metadata).len(),
            Way::To(format) => {
                let (_, encoder) = self.others.iter_mut().find(|(known, _)| *known == format).unwrap();
                encoder.finish(bytes, &self.metadata).unwrap().len()
            }
        }
    }
}

/// Traces as a web service sends them, with sampled-out ones between, chunks of up to 150 spans, long and
/// non-ASCII text.
fn web(chunks: usize) -> Bytes {
    let span = |chunk: usize, i: usize| {
        let text = format!("GET /users/{i}/\u{e4}\u{4e16} {}", "long ".repeat(i % 40));
        map([
            e("service", s(if i.is_multiple_of(3) { "shop" } else { "db" })),
            e("name", s("web.request")),
            e("resource", s(&text)),
            e("trace_id", u64_(chunk as u64)),
            e("span_id", u64_((chunk * 1000 + i + 1) as u64)),
            e("parent_id", u64_(if i == 0 { 0 } else { (chunk * 1000 + i) as u64 })),
            e("start", i64_(1_700_000_000_000_000_000)),
            e("duration", int(-3)),
            e("error", int(0)),
            e(
                "meta",
                map([
                    e("env", s("prod")),
                    e("http.url", s(&format!("http://user:pw@host/users/{i}?a=b"))),
                    e("_dd.p.tid", s("640cfd8d00000000")),
                    e("nil", nil()),
                    e("redis.raw_command", s("SET key secret")),
                    e("sql.query", s("select * from t where a = 'it''s'")),
                    e("mongodb.query", s(r#"{"a": [1, {"b": "c"}]}"#)),
                    e("card", s("4111 1111 1111 1111")),
                ]),
            ),
            e(
                "metrics",
                map([
                    e("_sampling_priority_v1", int((chunk % 2) as i64)),
                    e("m", f64_(0.5)),
                    e("n", int(-1)),
                ]),
            ),
            e("type", s(["sql", "redis", "web", "mongodb", ""][i % 5])),
            e("meta_struct", map([e("k", bin(b"xx"))])),
        ])
    };
    array((0..chunks).map(|c| array((0..if c == 7 { 150 } else { 1 + c % 12 }).map(|i| span(c, i)))))
}

fn fixture(name: &str) -> Bytes {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    std::fs::read(root.join(format!("{name}.msgpack"))).unwrap()
}

#[test]
fn nothing_is_allocated_in_steady_state() {
    let mut bench = Bench::new();
    let mut payloads = vec![("web", web(40))];
    // Real ones of every tracer that hold no native links or events.
    for name in ["java/004", "java/013", "python/003", "python/001", "node/001", "cpp/001", "go/009"] {
        payloads.push((name, fixture(name)));
    }
    for (name, bytes) in &payloads {
        let v05 = converted(bytes, OutputFormat::V05);
        let v1 = converted(bytes, OutputFormat::V1);
        for (from, bytes) in [(From::V04, bytes), (From::V05, &v05), (From::V1, &v1)] {
            for way in [None].into_iter().chain(WAYS.map(Some)) {
                // The first rounds grow what stays.
                for _ in 0..2 {
                    bench.run_from(from, way, bytes);
                }
                let mut out = 0;
                let n = alloc::allocations(|| {
                    for _ in 0..10 {
                        out += bench.run_from(from, way, bytes);
                    }
                });
                assert!(out > 0);
                assert_eq!(n, 0, "{from:?} {way:?} of {name}");
            }
        }
    }
}

fn converted(bytes: &[u8], to: OutputFormat) -> Bytes {
    let made = convert(bytes, &Conversion { to, ..Conversion::default() }).unwrap();
    assert!(made.spans > 0);
    made.body
}

#[test]
fn a_first_payload_takes_memory_in_proportion() {
    // Large enough that what is there before the first span does not count.
    let web = web(800);
    let clean = convert(&web, &Conversion::default()).unwrap().body;
    let v05 = converted(&web, OutputFormat::V05);
    let v1 = converted(&web, OutputFormat::V1);
    // The whole way of a well-formed payload that nothing is done to; `convert` gives a copy of the body.
    let peak = alloc::peak_bytes(|| assert_eq!(convert(&clean, &Conversion::default()).unwrap().body, clean));
    assert!(peak as f64 <= 2.5 * clean.len() as f64, "{peak} bytes for {}", clean.len());
    let mut over = Vec::new();
    for (from, bytes) in [(From::V04, &web), (From::V05, &v05), (From::V1, &v1)] {
        for way in [None].into_iter().chain(WAYS.map(Some)) {
            if way == Some(Way::Rewritten) {
                // Obfuscation keeps tables of its own.
                continue;
            }
            let mut bench = Bench::new();
            let mut made = 0;
            let peak = alloc::peak_bytes(|| made = bench.run_from(from, way, bytes));
            // v1 is read into v0.4 to check it.
            let passed = matches!((from, way), (From::V04, None | Some(Way::Scan)) | (From::V05, None));
            // Both ends of a conversion count: a v0.5 or v1 payload is a third of what is made of it.
            // JSON of OTLP is longer than any of them.
            let beyond = if matches!(way, Some(Way::To(_))) { made } else { 0 };
            let (limit, whole) =
                if passed { (1.5, bytes.len()) } else { (3.0, web.len().max(bytes.len()).max(beyond)) };
            let times = peak as f64 / whole as f64;
            if times > limit {
                over.push(format!("{from:?} {way:?}: {times:.2} times"));
            }
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

#[test]
fn the_counter_counts() {
    let mut kept = Vec::new();
    assert_eq!(alloc::allocations(|| kept.push(1u8)), 1);
    assert!(alloc::peak_bytes(|| kept.extend([0; 5000])) >= 4_900);
}
