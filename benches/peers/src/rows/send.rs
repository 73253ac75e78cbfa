//! Group `main`: a whole send over loopback against a bare POST of the same bytes on a kept connection, and against
//! one by somebody who reads the payload once before, while the peer waits and its core may go to sleep.

use std::hint::black_box;

use data_pipeline::TraceExporter;

use crate::measure::{Bench, Case};
use crate::payloads::Payloads;
use crate::sink;
use crate::walk::walk;

const BODIES: [&str; 5] = ["web_100x10", "body_20k", "body_60k", "body_200k", "web_1x1"];

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let url = sink::start().expect("loopback has a free port");
    let post_url = format!("{url}/v0.4/traces");
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let exporter = TraceExporter::builder().url(&url).build().expect("the URL is good");
    for name in BODIES {
        let payload = payloads.v04(name);
        let count = payload.traces.to_string();
        let post = || {
            let mut response = agent
                .post(&post_url)
                .header("Content-Type", "application/msgpack")
                .header("X-Datadog-Trace-Count", &count)
                .send(payload.bytes.as_slice())
                .expect("the sink answers");
            response.body_mut().read_to_string().expect("the answer is text")
        };
        bench.run_absolute(
            Case::per_item("send_tcp", &payload, "us", 1.0)
                .ours(|| {
                    let response = exporter.send(&payload.bytes).expect("the sink answers");
                    assert_eq!((response.status(), response.spans as usize), (200, payload.spans));
                })
                .against("raw_post", &post)
                .against("walk_then_post", || {
                    black_box(walk(black_box(&payload.bytes)));
                    post()
                }),
        );
    }
}
