//! Group `wire`: forward, stages and the conversions, against the reference's decoders and encoders.

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::payloads::{Payload, Payloads};

/// Payloads of every row; the rules judge some of the pairs, the rest is printed.
const PAYLOADS: [&str; 8] = [
    "web_100x10", "web_1x1", "web_1000x10", "long_strings", "non_ascii", "random_maps", "random_keys", "wide_headers",
];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    for name in PAYLOADS {
        let v04 = payloads.v04(name);
        bench.run_walk(&v04, Vec::new());
        from_v04(bench, &v04);
        let v05 = payloads.v05(name);
        from_v05(bench, &v04, &v05.bytes);
        let v1 = libdd::encode_v1(&libdd::decode_v04(&v04.bytes), 0);
        from_v1(bench, &v04, &v1);
    }
    let p0 = payloads.v04("web_100x10_p0");
    bench.run_walk(&p0, Vec::new());
    stages(bench, &p0);
}

fn from_v04(bench: &mut Bench, payload: &Payload) {
    let (bytes, room) = (&payload.bytes, payload.bytes.len());
    bench.run(Case::per_span("v04_decode", payload).against("libdd", || libdd::decode_v04(bytes)));
    bench.run(
        Case::per_span("v04_forward", payload)
            .against("libdd", || libdd::encode_v04(&libdd::decode_v04(bytes), room)),
    );
    bench.run(
        Case::per_span("v04_to_v05", payload).against("libdd", || libdd::encode_v05(&libdd::decode_v04(bytes))),
    );
    bench.run(
        Case::per_span("v04_to_v1", payload)
            .against("libdd", || libdd::encode_v1(&libdd::decode_v04(bytes), room)),
    );
}

fn stages(bench: &mut Bench, payload: &Payload) {
    let (bytes, room) = (&payload.bytes, payload.bytes.len());
    bench.run(
        Case::per_span("v04_stages", payload)
            .against("libdd", || libdd::encode_v04(&libdd::stages(libdd::decode_v04(bytes)), room)),
    );
}

fn from_v05(bench: &mut Bench, payload: &Payload, v05: &[u8]) {
    let room = payload.bytes.len();
    bench.run(
        Case::per_span("v05_to_v05", payload).against("libdd", || libdd::encode_v05(&libdd::decode_v05(v05))),
    );
    bench.run(
        Case::per_span("v05_to_v04", payload)
            .against("libdd", || libdd::encode_v04(&libdd::decode_v05(v05), room)),
    );
}

fn from_v1(bench: &mut Bench, payload: &Payload, v1: &[u8]) {
    let room = payload.bytes.len();
    bench.run(Case::per_span("v1_to_v04", payload).against("libdd", || libdd::v1_to_v04(v1, room)));
}
