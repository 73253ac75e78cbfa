//! In steady state nothing is allocated a payload: scan, v0.4 forward, stages with v0.4 out, normalization and obfuscation
//! with v0.4 out, v0.5 and v1.
//!
//! Excepted: native span links and events on their way to v0.5 (JSON) and v1, and text
//! that is not UTF-8 where a format demands it, and URLs with letters beyond ASCII.

#![allow(clippy::unwrap_used)]

#[path = "support/alloc.rs"]
mod alloc;
#[path = "support/msgpack.rs"]
mod msgpack;

use data_pipeline::config::Metadata;
use data_pipeline::format::{v1, v04, v05};
use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::rewrite::{Memory, Rewriter};
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
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Scan,
    Forward,
    Stages,
    Rewritten,
    ToV05,
    ToV1,
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
            interest: Rewriter::interest(Interest::none())
                .slots(v1::V1_SLOTS)
                .slots(P0_SLOTS)
                .slots(TOP_LEVEL_SLOTS),
            metadata: Metadata { language: "java".into(), runtime_id: "r".into(), ..Metadata::default() },
        }
    }

    fn run(&mut self, way: Way, bytes: &[u8]) -> usize {
        self.v04.begin();
        self.v05.begin();
        self.v1.begin();
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
            }
        }
        match way {
            Way::Scan => 1,
            Way::Forward | Way::Stages | Way::Rewritten => self.v04.finish().len(),
            Way::ToV05 => self.v05.finish().len(),
            Way::ToV1 => self.v1.finish(bytes, &self.metadata).len(),
        }
    }
}

/// Traces as a web service sends them, with sampled-out ones between, chunks of up to 150 spans, long and non-ASCII text.
fn web() -> Bytes {
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
    array((0..40).map(|c| array((0..if c == 7 { 150 } else { 1 + c % 12 }).map(|i| span(c, i)))))
}

fn fixture(name: &str) -> Bytes {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    std::fs::read(root.join(format!("{name}.msgpack"))).unwrap()
}

#[test]
fn nothing_is_allocated_in_steady_state() {
    let mut bench = Bench::new();
    let mut payloads = vec![("web", web())];
    // Real ones of every tracer that hold no native links or events.
    for name in ["java/004", "java/013", "python/003", "python/001", "node/001", "cpp/001", "go/009"] {
        payloads.push((name, fixture(name)));
    }
    for way in [Way::Scan, Way::Forward, Way::Stages, Way::Rewritten, Way::ToV05, Way::ToV1] {
        for (name, bytes) in &payloads {
            // The first rounds grow what stays.
            for _ in 0..2 {
                bench.run(way, bytes);
            }
            let mut out = 0;
            let n = alloc::allocations(|| {
                for _ in 0..10 {
                    out += bench.run(way, bytes);
                }
            });
            assert!(out > 0);
            assert_eq!(n, 0, "{way:?} of {name}");
        }
    }
}

#[test]
fn the_counter_counts() {
    let mut kept = Vec::new();
    assert_eq!(alloc::allocations(|| kept.push(1u8)), 1);
    assert!(alloc::peak_bytes(|| kept.extend([0; 5000])) >= 4_900);
}
