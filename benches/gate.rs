//! The hot rows of `benches/peers`, ours alone, for counting instructions: `scripts/gate.py` runs each under
//! callgrind and compares with `benches/gate.txt`.
//!
//! usage: gate PAYLOADS ROW       prints `ITEMS`: how many spans, lines or values one call works through
//!        gate --list             prints the rows
//!
//! A row is called twice to warm up, then once inside [`measured`], the only function in which callgrind
//! counts. What the rows are made of is `benches/peers/src/ours.rs`, shared with the benchmark: the one place
//! that knows the library's inside.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[allow(dead_code, unreachable_pub, missing_docs)]
#[path = "peers/src/ours.rs"]
mod ours;
#[allow(dead_code, unreachable_pub, missing_docs)]
#[path = "peers/src/peer_tags.rs"]
mod peer_tags;

use data_pipeline::format::{from_v1, from_v05};
use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::{CreditCards, ObfuscationConfig, Obfuscator, TextKind};
use data_pipeline::rewrite::Rewriter;
use data_pipeline::settings::OtherFormat;
use data_pipeline::stats::Sketch;
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload as Scanned, Slot};
use ours::{Engine, Rules, Stats, obfuscator};
use peer_tags::PEER_TAGS;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;

/// One call of a row.
type Work = Box<dyn FnMut()>;
/// Makes the row's work, and says how many items a call has.
type Make = fn(&Path) -> (Work, usize);

const ROWS: [(&str, Make); 25] = [
    ("scan", |f| scan(f, &FIVE)),
    ("scan_no_keys", |f| scan(f, &[])),
    ("v04_forward", |f| engine(f, "web_100x10", Engine::forward(), |e, b| e.run_forward(b).len())),
    ("v04_stages", |f| engine(f, "web_100x10", Engine::stages(), |e, b| e.run_stages(b).len())),
    ("v04_stages_p0", |f| engine(f, "web_100x10_p0", Engine::stages(), |e, b| e.run_stages(b).len())),
    ("v04_to_v05", |f| engine(f, "web_100x10", Engine::to_v05(), |e, b| e.run_to_v05(b).len())),
    ("v04_to_v1", |f| engine(f, "web_100x10", Engine::to_v1(), |e, b| e.run_to_v1(b).len())),
    ("v04_to_otlp_proto", |f| other(f, OtherFormat::OtlpProto)),
    ("v04_to_otlp_json", |f| other(f, OtherFormat::OtlpJson)),
    ("v04_to_intake", |f| other(f, OtherFormat::Intake)),
    ("v05_to_v05", v05_to_v05),
    ("v05_to_v04", v05_to_v04),
    ("v1_to_v04", v1_to_v04),
    ("stats_only", |f| stats_only(f, &[])),
    ("stats_only_43_peer_tags", |f| stats_only(f, &PEER_TAGS)),
    ("v04_whole", |f| stats(f, |stats, b| stats.run_v04(b).len())),
    ("v05_whole", |f| stats(f, |stats, b| stats.run_v05(b).len())),
    ("v04_whole_obfuscated", |f| engine(f, "web_100x10", Engine::obfuscated(), |e, b| e.run_stages(b).len())),
    ("sketch_insert", sketch),
    ("sql", |f| texts(f, "sql", TextKind::Sql, false)),
    ("redis", |f| texts(f, "redis", TextKind::Redis, false)),
    ("json", |f| texts(f, "json", TextKind::Mongo, false)),
    ("url", |f| texts(f, "url", TextKind::Http, true)),
    ("cards", cards),
    ("normalize", normalize),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [folder, name] = &arguments[..] else {
        ROWS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let Some((_, make)) = ROWS.iter().find(|(row, _)| row == name) else {
        eprintln!("gate: no row {name}");
        return ExitCode::FAILURE;
    };
    let (mut work, items) = make(Path::new(folder));
    work();
    work();
    measured(&mut work);
    println!("{items}");
    ExitCode::SUCCESS
}

/// Callgrind counts what happens in here.
#[inline(never)]
fn measured(work: &mut Work) {
    work();
}

/// Keys that a pipeline with stages looks for.
const FIVE: [Slot; 5] =
    [Slot::SpanKind, Slot::Origin, Slot::SamplingPriority, Slot::Measured, Slot::TracerTopLevel];

fn read(folder: &Path, name: &str) -> &'static [u8] {
    let path = folder.join(format!("{name}.msgpack"));
    Vec::leak(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// Spans of a v0.4 payload.
fn spans_of(bytes: &[u8]) -> usize {
    let mut arena = Arena::new();
    Scanned::scan(bytes, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap().spans().len()
}

fn other(folder: &Path, format: OtherFormat) -> (Work, usize) {
    engine(folder, "web_100x10", Engine::to(format), |e, b| e.run_to_other(b).len())
}

fn scan(folder: &Path, slots: &[Slot]) -> (Work, usize) {
    let bytes = read(folder, "web_100x10");
    let (mut arena, interest) = (Arena::new(), Interest::none().slots(slots));
    let work = move || {
        let scanned = Scanned::scan(black_box(bytes), &mut arena, &interest, OnMalformed::Repair);
        black_box(scanned.unwrap().spans().len());
    };
    (Box::new(work), spans_of(bytes))
}

fn engine(
    folder: &Path,
    payload: &str,
    mut engine: Engine,
    run: fn(&mut Engine, &[u8]) -> usize,
) -> (Work, usize) {
    let bytes = read(folder, payload);
    let work = move || {
        black_box(run(&mut engine, black_box(bytes)));
    };
    (Box::new(work), spans_of(bytes))
}

fn v05_to_v05(folder: &Path) -> (Work, usize) {
    let bytes = read(folder, "web_100x10_v05");
    let spans = from_v05::check(bytes).unwrap().spans as usize;
    (Box::new(move || drop(black_box(from_v05::check(black_box(bytes))))), spans)
}

fn v05_to_v04(folder: &Path) -> (Work, usize) {
    let bytes = read(folder, "web_100x10_v05");
    let mut decoder = from_v05::Decoder::default();
    let work = move || {
        black_box(decoder.to_v04(black_box(bytes), OnMalformed::Fail).unwrap().v04.len());
    };
    (Box::new(work), from_v05::check(bytes).unwrap().spans as usize)
}

/// From what our own encoder makes of the payload.
fn v1_to_v04(folder: &Path) -> (Work, usize) {
    let v04 = read(folder, "web_100x10");
    let bytes: &[u8] = Vec::leak(Engine::to_v1().run_to_v1(v04).to_vec());
    let mut decoder = from_v1::Decoder::default();
    let work = move || {
        black_box(decoder.to_v04(black_box(bytes), OnMalformed::Fail).unwrap().v04.len());
    };
    (Box::new(work), spans_of(v04))
}

fn stats_only(folder: &Path, peer_tags: &[&str]) -> (Work, usize) {
    let bytes = read(folder, "web_100x10");
    let mut stats = Stats::new(peer_tags);
    stats.scan(bytes);
    (Box::new(move || stats.add(black_box(bytes))), spans_of(bytes))
}

fn stats(folder: &Path, run: fn(&mut Stats, &[u8]) -> usize) -> (Work, usize) {
    let bytes = read(folder, "web_100x10");
    let mut stats = Stats::new(&PEER_TAGS);
    let work = move || {
        black_box(run(&mut stats, black_box(bytes)));
    };
    (Box::new(work), spans_of(bytes))
}

/// Durations of the payload's spans.
fn sketch(folder: &Path) -> (Work, usize) {
    let bytes = read(folder, "web_100x10");
    let mut arena = Arena::new();
    let scanned = Scanned::scan(bytes, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap();
    let durations: Vec<u64> = scanned.spans().iter().map(|span| span.duration_ns() as u64).collect();
    let (count, mut sketch) = (durations.len(), Sketch::default());
    (Box::new(move || durations.iter().for_each(|ns| sketch.add(*ns))), count)
}

/// The lines of a corpus, each into one buffer that is emptied before.
fn texts(folder: &Path, corpus: &str, kind: TextKind, all: bool) -> (Work, usize) {
    let path = folder.join(format!("{corpus}_corpus.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["text"].as_str().unwrap_or_default().to_owned()
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    let count = lines.len();
    let rules = if all { Obfuscator::new(&ObfuscationConfig::all()).unwrap().into() } else { obfuscator() };
    let (mut scratch, mut out) = (rules.scratch(), Vec::new());
    let work = move || {
        for line in &lines {
            out.clear();
            let verdict = rules.text(kind, black_box(line.as_bytes()), b"", &mut scratch, &mut out);
            let _ = black_box((verdict, &out));
        }
    };
    (Box::new(work), count)
}

/// Every meta value, none of which looks like a card.
fn cards(folder: &Path) -> (Work, usize) {
    let bytes = read(folder, "web_100x10");
    let (cards, mut rules) = (CreditCards::new(false, &[] as &[&str]), Rules::new(bytes));
    let work =
        move || assert!(!rules.each_tag(black_box(bytes), |key, value, out| cards.tag(key, value, out)));
    (Box::new(work), spans_of(bytes))
}

/// Spans that nothing changes.
fn normalize(folder: &Path) -> (Work, usize) {
    let bytes = read(folder, "web_100x10");
    let rewriter = Rewriter::new(Some(Normalizer::new(b"java")), None).unwrap();
    let mut rules = Rules::new(bytes);
    let work = move || assert!(!rules.apply(black_box(bytes), &rewriter));
    (Box::new(work), spans_of(bytes))
}
