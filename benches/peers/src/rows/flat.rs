//! Group `flat`: what a span costs in a payload of up to 100,000 spans, against the same work on payloads of 100 spans.
//! The ratio is 1 where the cost does not grow; 0.87 is 15 % more, 0.67 half as much again. Needs the big payload
//! (`scripts/bench.sh --big`), else it says so.

use crate::measure::{Bench, Case};
use crate::ours::Engine;
use crate::payloads::Payloads;

type Run = fn(&mut Engine, &[u8]) -> usize;

const ROWS: [(&str, fn() -> Engine, Run); 4] = [
    ("flat_v04_forward", Engine::forward, |engine, bytes| engine.run_forward(bytes).len()),
    ("flat_v04_stages", Engine::stages, |engine, bytes| engine.run_stages(bytes).len()),
    ("flat_v04_to_v05", Engine::to_v05, |engine, bytes| engine.run_to_v05(bytes).len()),
    ("flat_v04_to_v1", Engine::to_v1, |engine, bytes| engine.run_to_v1(bytes).len()),
];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    if !payloads.has("web_10000x10") {
        println!("flat: no payload web_10000x10; scripts/bench.sh --big makes it");
        return;
    }
    let big = payloads.v04("web_10000x10");
    let small = big.first(10);
    for traces in [100, 1_000, 10_000] {
        let payload = big.first(traces);
        bench.run_walk(&payload, Vec::new());
        for (name, engine, run) in ROWS {
            let (mut here, mut there) = (engine(), engine());
            bench.run(Case::per_span(name, &payload).ours(|| run(&mut here, &payload.bytes)).against(
                "spans_100",
                || {
                    for _ in 0..payload.spans / small.spans {
                        run(&mut there, &small.bytes);
                    }
                },
            ));
        }
    }
}
