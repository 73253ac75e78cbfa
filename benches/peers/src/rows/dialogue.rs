//! Group `dialogue`: what discovery, the account and the watch over the agent cost a send.
//!
//! On: an exporter that knows the agent's `/info` and listens to its state. Off: the same scan and the same client, and
//! nothing around them.

use data_pipeline::TraceExporter;
use data_pipeline::destination::agent::{Client, TraceRequest};
use data_pipeline::settings::{Config, RawConfig};
use std::time::Duration;

use crate::measure::{Bench, Case};
use crate::ours::Engine;
use crate::payloads::Payloads;
use crate::sink;

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let url = sink::start().expect("loopback has a free port");
    let exporter = TraceExporter::builder().url(&url).build().expect("the URL is good");
    exporter.await_agent(Duration::from_secs(5)).expect("the sink has /info");
    let mut raw = RawConfig::default();
    raw.url = Some(url);
    let client = Client::new(&Config::new(raw).expect("the URL is good")).expect("the URL is good");
    for name in ["web_100x10", "web_1x1"] {
        let payload = payloads.v04(name);
        let mut engine = Engine::forward();
        let off = || {
            let request = TraceRequest {
                path: "/v0.4/traces",
                body: engine.run_forward(&payload.bytes),
                trace_count: payload.traces as u64,
                dropped_p0_traces: 0,
                dropped_p0_spans: 0,
                computed_stats: false,
                computed_top_level: false,
                budget: Duration::from_secs(10),
                knob: "sendBudget",
            };
            client.send(&request).expect("the sink answers").status
        };
        bench.run_absolute(
            Case::per_item("send_tcp_dialogue", &payload, "us", 1.0)
                .ours(|| {
                    let response = exporter.send(&payload.bytes).expect("the sink answers");
                    assert_eq!((response.status(), response.spans as usize), (200, payload.spans));
                })
                .against("off", off),
        );
    }
}
