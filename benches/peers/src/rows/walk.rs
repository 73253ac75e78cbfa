//! Group `main`: the walk against its two witnesses, and the scan against the walk.

use crate::measure::Bench;
use crate::payloads::Payloads;
use crate::walk::{walk_c, walk_rmp};

/// Payloads whose own walk somebody asks for.
const WALKED: [&str; 10] = [
    "web_100x10", "web_100x10_p0", "web_1x1", "web_1000x10", "web_1x1000", "long_strings", "non_ascii", "random_maps",
    "random_keys", "wide_headers",
];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    for name in WALKED {
        bench.run_walk(&payloads.v04(name), vec![("walk_c", walk_c), ("rmp", walk_rmp)]);
    }
}
