//! Group `stats`: the concentrator alone, the whole way with it, and the sketch.

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::ours::Stats;
use crate::payloads::{Payload, Payloads};
use crate::peer_tags::PEER_TAGS;
use data_pipeline::stats::Sketch;

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
}

/// Top level, stats with 43 peer tags, p0 drop, output.
fn whole(bench: &mut Bench, payload: &Payload) {
    let (bytes, room) = (&payload.bytes, payload.bytes.len());
    let mut concentrator = libdd::concentrator(&PEER_TAGS);
    let mut staged = move || {
        let mut traces = libdd::decode_v04(bytes);
        for trace in &mut traces {
            libdd_trace_utils::span::trace_utils::compute_top_level_span(trace);
        }
        libdd::add_all(&mut concentrator, &traces);
        libdd::drop_p0(traces)
    };
    let mut staged_for_v05 = staged.clone();
    let mut ours = Stats::new(&PEER_TAGS);
    bench.run(
        Case::per_span("v04_whole", payload)
            .ours(|| ours.run_v04(bytes).len())
            .against("libdd", move || libdd::encode_v04(&staged(), room)),
    );
    let mut ours = Stats::new(&PEER_TAGS);
    bench.run(
        Case::per_span("v05_whole", payload)
            .ours(|| ours.run_v05(bytes).len())
            .against("libdd", move || libdd::encode_v05(&staged_for_v05())),
    );
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
