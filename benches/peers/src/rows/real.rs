//! Group `real`: traces that seven real tracers sent, passed on and taken the whole way.
//!
//! The reference refuses some that agents take (an event attribute of Go that is false has no value key); both sides
//! work on the others, and the row `refused_traces` says how many were left out.

use super::{stats, wire};
use crate::libdd;
use crate::measure::Bench;
use crate::payloads::Payloads;

const PAYLOADS: [&str; 8] = [
    "real_java",
    "real_go",
    "real_python",
    "real_python_2",
    "real_node",
    "real_rust",
    "real_cpp",
    "real_mix",
];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    for name in PAYLOADS {
        let payload = payloads.v04(name);
        let all = payload.traces;
        let payload = payload.only(libdd::reads_v04);
        bench.fact("refused_traces", name, "traces", (all - payload.traces) as f64);
        bench.run_walk(&payload, Vec::new());
        wire::forward(bench, &payload);
        stats::whole_v04(bench, &payload);
    }
}
