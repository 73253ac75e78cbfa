//! Group `stats`: the concentrator alone, the whole way with it, and the sketch.

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::ours::Stats;
use crate::payloads::{Payload, Payloads};
use crate::peer_tags::PEER_TAGS;
use data_pipeline::stats::Sketch;
use std::sync::Arc;
use std::time::Instant;

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let web = payloads.v04("web_100x10");
    bench.run_walk(&web, Vec::new());
    let mut decoded = libdd::decode_v04(&web.bytes);
    // Both sides count top-level spans, found outside of the measurement.
    for trace in &mut decoded {
        libdd_trace_utils::span::trace_utils::compute_top_level_span(trace);
    }
    for (name, tags) in [("stats_only", &[][..]), ("stats_only_43_peer_tags", &PEER_TAGS)] {
        let mut ours = Stats::new(tags);
        ours.scan(&web.bytes);
        let mut theirs = libdd::concentrator(tags);
        bench.run(
            Case::per_span(name, &web)
                .ours(|| ours.add(&web.bytes))
                .against("libdd", || libdd::add_all(&mut theirs, &decoded)),
        );
    }
    whole(bench, &web);
    sketch(bench, &web);
    threads(bench, &web);
    memory(bench);
}

/// How much of the scaling of the bare walk two threads reach that count into the same buckets: the best of ten rounds,
/// since a round in which the machine does something else says nothing.
fn threads(bench: &mut Bench, payload: &Payload) {
    let bytes = payload.bytes.as_slice();
    let first = Stats::new(&PEER_TAGS);
    let second = Stats::sharing(Arc::clone(first.concentrator()), &PEER_TAGS);
    let mut both = [first, second];
    let walk = |_: &mut Stats| {
        std::hint::black_box(crate::walk::walk(std::hint::black_box(bytes)));
    };
    let stages = |stats: &mut Stats| {
        std::hint::black_box(stats.run_v04(bytes).len());
    };
    let best = (0..10).map(|_| scaling(&mut both, 400, stages) / scaling(&mut both, 1000, walk));
    bench.fact("stats_threads", &payload.name, "of the walk's scaling", best.fold(0.0, f64::max));
}

/// Two threads' work in a time over one thread's.
fn scaling(both: &mut [Stats; 2], calls: usize, work: impl Fn(&mut Stats) + Sync) -> f64 {
    let work = &work;
    let run = move |stats: &mut Stats| (0..calls).for_each(|_| work(stats));
    run(&mut both[0]);
    let start = Instant::now();
    run(&mut both[0]);
    let alone = start.elapsed();
    let start = Instant::now();
    std::thread::scope(|scope| {
        both.iter_mut().for_each(|stats| drop(scope.spawn(move || run(stats))));
    });
    2.0 * alone.as_secs_f64() / start.elapsed().as_secs_f64()
}

/// What groups take, with all that it takes to count them: 7,000 groups, and a flood of a million resources.
fn memory(bench: &mut Bench) {
    let many = traces(1000, |i, n| (format!("shop-{n}"), format!("GET /{i}")));
    let mut groups = 0;
    let bytes = crate::alloc::peak_bytes(|| {
        let mut stats = Stats::new(&[]);
        (0..7).for_each(|n| count(&mut stats, &many(n)));
        groups = stats.concentrator().report().rows.len();
    });
    assert_eq!(groups, 7000);
    bench.fact("stats_memory_7000_groups", "generated", "bytes", bytes as f64);
    let flood = traces(1000, |i, n| ("shop".to_owned(), format!("GET /{n}/{i}")));
    let mut collapsed = 0;
    let bytes = crate::alloc::peak_bytes(|| {
        let mut stats = Stats::new(&[]);
        (0..1000).for_each(|n| count(&mut stats, &flood(n)));
        let report = stats.concentrator().report();
        assert_eq!(report.counted, 1_000_000);
        collapsed = report.collapsed.total();
    });
    assert!(collapsed >= 1_000_000 - 1024, "{collapsed}");
    bench.fact("stats_memory_flood", "generated", "bytes", bytes as f64);
}

fn count(stats: &mut Stats, bytes: &[u8]) {
    std::hint::black_box(stats.run_v04(bytes));
}

/// Makes the n-th payload of so many traces of one span, each with a service and a resource.
fn traces(count: usize, of: impl Fn(usize, usize) -> (String, String)) -> impl Fn(usize) -> Vec<u8> {
    move |n| {
        let mut out = vec![0xdc, (count >> 8) as u8, count as u8];
        let text = |out: &mut Vec<u8>, text: &str| {
            out.extend_from_slice(&[0xd9, text.len() as u8]);
            out.extend_from_slice(text.as_bytes());
        };
        for i in 0..count {
            let (service, resource) = of(i, n);
            out.extend_from_slice(&[0x91, 0x87]);
            for (key, value) in [("service", &*service), ("name", "web"), ("resource", &*resource)] {
                text(&mut out, key);
                text(&mut out, value);
            }
            for (key, value) in [("trace_id", 1), ("span_id", 1), ("start", 1), ("duration", 7)] {
                text(&mut out, key);
                out.push(value);
            }
        }
        out
    }
}

/// Top level, stats with 43 peer tags, p0 drop, output.
fn whole(bench: &mut Bench, payload: &Payload) {
    whole_v04(bench, payload);
    let bytes = payload.bytes.as_slice();
    let mut theirs = staged(bytes);
    let mut ours = Stats::new(&PEER_TAGS);
    bench.run(
        Case::per_span("v05_whole", payload)
            .ours(|| ours.run_v05(bytes).len())
            .against("libdd", move || libdd::encode_v05(&theirs())),
    );
}

/// The same with v0.4 out.
pub fn whole_v04(bench: &mut Bench, payload: &Payload) {
    let (bytes, room) = (payload.bytes.as_slice(), payload.bytes.len());
    let mut theirs = staged(bytes);
    let mut ours = Stats::new(&PEER_TAGS);
    bench.run(
        Case::per_span("v04_whole", payload)
            .ours(|| ours.run_v04(bytes).len())
            .against("libdd", move || libdd::encode_v04(&theirs(), room)),
    );
}

/// The reference's stages up to its encoders.
fn staged<'a>(bytes: &'a [u8]) -> impl FnMut() -> libdd::Traces<'a> {
    let mut concentrator = libdd::concentrator(&PEER_TAGS);
    move || {
        let mut traces = libdd::decode_v04(bytes);
        for trace in &mut traces {
            libdd_trace_utils::span::trace_utils::compute_top_level_span(trace);
        }
        libdd::add_all(&mut concentrator, &traces);
        libdd::drop_p0(traces)
    }
}

/// Durations of the payload's spans, so values as they come, into one sketch.
fn sketch(bench: &mut Bench, payload: &Payload) {
    let values: Vec<f64> =
        libdd::decode_v04(&payload.bytes).iter().flatten().map(|span| span.duration as f64).collect();
    let durations: Vec<u64> = values.iter().map(|v| *v as u64).collect();
    let mut theirs = libdd::sketch(&values);
    let mut ours = Sketch::default();
    bench.run(
        Case::per_item("sketch_insert", payload, "ns/value", values.len() as f64)
            .ours(|| durations.iter().for_each(|ns| ours.add(*ns)))
            .against("libdd", || libdd::add_values(&mut theirs, &values)),
    );
}
