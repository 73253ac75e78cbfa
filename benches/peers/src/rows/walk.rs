//! Group `main`: the walk against its two witnesses, and the scan against the walk.

use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload as Scanned, Slot};

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::payloads::{Payload, Payloads};
use crate::walk::{walk_c, walk_rmp};

/// Payloads whose own walk somebody asks for.
const WALKED: [&str; 10] = [
    "web_100x10",
    "web_100x10_p0",
    "web_1x1",
    "web_1000x10",
    "web_1x1000",
    "long_strings",
    "non_ascii",
    "random_maps",
    "random_keys",
    "wide_headers",
];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    for name in WALKED {
        bench.run_walk(&payloads.v04(name), vec![("walk_c", walk_c), ("rmp", walk_rmp)]);
        scan(bench, &payloads.v04(name));
    }
}

/// Keys that a pipeline with stages looks for; a plain forward looks for none.
const FIVE: [Slot; 5] =
    [Slot::SpanKind, Slot::Origin, Slot::SamplingPriority, Slot::Measured, Slot::TracerTopLevel];

fn scan(bench: &mut Bench, payload: &Payload) {
    for (name, interest) in [("scan", Interest::none().slots(&FIVE)), ("scan_no_keys", Interest::none())] {
        let mut arena = Arena::new();
        let scan = |arena: &mut Arena| {
            let scanned = Scanned::scan(&payload.bytes, arena, &interest, OnMalformed::Repair);
            scanned.expect("the payload is well formed").spans().len()
        };
        assert_eq!(scan(&mut arena), payload.spans);
        let case = Case::per_span(name, payload).ours(|| scan(&mut arena)).cold(|| scan(&mut Arena::new()));
        bench.run(case.against("libdd", || libdd::decode_v04(&payload.bytes)));
    }
}
