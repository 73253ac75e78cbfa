//! Formats for peers that are no agents, with our v0.4 to v0.5 beside them, which the rules measure them by.

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::ours::Engine;
use crate::payloads::Payloads;
use data_pipeline::settings::OtherFormat;

type Theirs = fn(&libdd::Traces<'_>) -> Vec<u8>;

const ROWS: [(&str, OtherFormat, Theirs); 3] = [
    ("v04_to_otlp_proto", OtherFormat::OtlpProto, |traces| libdd::otlp(traces, false)),
    ("v04_to_otlp_json", OtherFormat::OtlpJson, |traces| libdd::otlp(traces, true)),
    ("v04_to_intake", OtherFormat::Intake, libdd::intake),
];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let payload = payloads.v04("web_100x10");
    let bytes = &payload.bytes;
    let mut v05 = Engine::to_v05();
    for (name, format, theirs) in ROWS {
        let mut engine = Engine::to(format);
        bench.run(
            Case::per_span(name, &payload)
                .ours(|| engine.run_to_other(bytes).len())
                .cold(|| Engine::to(format).run_to_other(bytes).len())
                .against("libdd", || theirs(&libdd::decode_v04(bytes)))
                .against("v04_to_v05", || v05.run_to_v05(bytes).len()),
        );
    }
}
