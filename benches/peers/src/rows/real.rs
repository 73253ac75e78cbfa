//! Group `real`: traces that seven real tracers sent, passed on and taken the whole way.

use super::{stats, wire};
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
        bench.run_walk(&payload, Vec::new());
        wire::forward(bench, &payload);
        stats::whole_v04(bench, &payload);
    }
}
