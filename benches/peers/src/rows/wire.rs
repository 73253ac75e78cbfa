//! Group `wire`: forward, stages and the conversions, against the reference's decoders and encoders.

use data_pipeline::format::{from_v1, from_v05};
use data_pipeline::trace::OnMalformed;

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::ours::Engine;
use crate::payloads::{Payload, Payloads};

/// Payloads of every row; the rules judge some of the pairs, the rest is printed.
const PAYLOADS: [&str; 8] = [
    "web_100x10",
    "web_1x1",
    "web_1000x10",
    "long_strings",
    "non_ascii",
    "random_maps",
    "random_keys",
    "wide_headers",
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
    for name in ["web_100x10_p0", "web_100x10"] {
        let payload = payloads.v04(name);
        bench.run_walk(&payload, Vec::new());
        stages(bench, &payload);
    }
}

/// Read and passed on.
pub fn forward(bench: &mut Bench, payload: &Payload) {
    let (bytes, room) = (&payload.bytes, payload.bytes.len());
    let mut engine = Engine::forward();
    bench.run(
        Case::per_span("v04_forward", payload)
            .ours(|| engine.run_forward(bytes).len())
            .cold(|| Engine::forward().run_forward(bytes).len())
            .against("libdd", || libdd::encode_v04(&libdd::decode_v04(bytes), room)),
    );
}

fn from_v04(bench: &mut Bench, payload: &Payload) {
    forward(bench, payload);
    let (bytes, room) = (&payload.bytes, payload.bytes.len());
    let mut engine = Engine::to_v05();
    bench.run(
        Case::per_span("v04_to_v05", payload)
            .ours(|| engine.run_to_v05(bytes).len())
            .cold(|| Engine::to_v05().run_to_v05(bytes).len())
            .against("libdd", || libdd::encode_v05(&libdd::decode_v04(bytes))),
    );
    let mut engine = Engine::to_v1();
    bench.run(
        Case::per_span("v04_to_v1", payload)
            .ours(|| engine.run_to_v1(bytes).len())
            .cold(|| Engine::to_v1().run_to_v1(bytes).len())
            .against("libdd", || libdd::encode_v1(&libdd::decode_v04(bytes), room)),
    );
}

fn stages(bench: &mut Bench, payload: &Payload) {
    let (bytes, room) = (&payload.bytes, payload.bytes.len());
    let mut engine = Engine::stages();
    same_spans(engine.run_stages(bytes), &libdd::encode_v04(&libdd::stages(libdd::decode_v04(bytes)), room));
    bench.run(
        Case::per_span("v04_stages", payload)
            .ours(|| engine.run_stages(bytes).len())
            .cold(|| Engine::stages().run_stages(bytes).len())
            .against("libdd", || libdd::encode_v04(&libdd::stages(libdd::decode_v04(bytes)), room)),
    );
}

/// A figure counts only if the work was done: both outputs hold the same chunks with the same number of spans.
fn same_spans(ours: &[u8], theirs: &[u8]) {
    let counts = |bytes: &[u8]| libdd::decode_v04(bytes).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(counts(ours), counts(theirs));
}

fn from_v05(bench: &mut Bench, payload: &Payload, v05: &[u8]) {
    let room = payload.bytes.len();
    let check = || from_v05::check(v05).expect("the payload is well formed").spans as usize;
    bench.run(
        Case::per_span("v05_to_v05", payload)
            .ours(check)
            .cold(check)
            .against("libdd", || libdd::encode_v05(&libdd::decode_v05(v05))),
    );
    let mut decoder = from_v05::Decoder::default();
    let rewrite =
        |d: &mut from_v05::Decoder| d.to_v04(v05, OnMalformed::Fail).expect("it is well formed").v04.len();
    same_spans(
        from_v05::Decoder::default().to_v04(v05, OnMalformed::Fail).expect("it is well formed").v04,
        &libdd::encode_v04(&libdd::decode_v05(v05), room),
    );
    bench.run(
        Case::per_span("v05_to_v04", payload)
            .ours(|| rewrite(&mut decoder))
            .cold(|| rewrite(&mut from_v05::Decoder::default()))
            .against("libdd", || libdd::encode_v04(&libdd::decode_v05(v05), room)),
    );
}

fn from_v1(bench: &mut Bench, payload: &Payload, v1: &[u8]) {
    let room = payload.bytes.len();
    let mut decoder = from_v1::Decoder::default();
    let rewrite =
        |d: &mut from_v1::Decoder| d.to_v04(v1, OnMalformed::Fail).expect("it is well formed").v04.len();
    bench.run(
        Case::per_span("v1_to_v04", payload)
            .ours(|| rewrite(&mut decoder))
            .cold(|| rewrite(&mut from_v1::Decoder::default()))
            .against("libdd", || libdd::v1_to_v04(v1, room)),
    );
}
