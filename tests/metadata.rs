//! What settings say of the process reaches every output where a payload does not say it itself.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::TraceExporter;
use data_pipeline::convert::{Conversion, convert};
use data_pipeline::settings::{InputFormat, OutputFormat};
use msgpack::*;
use support::{Listen, ScriptedAgent, say};

/// A payload of two traces; the second one's span says this of its service.
fn traces(service: Option<Bytes>) -> Bytes {
    let span = |service: Option<Bytes>| {
        let service = service.map(|value| (s("service"), value));
        map(service.into_iter().chain([
            e("name", s("op")),
            e("resource", s("GET /")),
            e("trace_id", vec![1]),
            e("span_id", vec![2]),
            e("meta", map([e("k", s("v"))])),
        ]))
    };
    array([array([span(Some(s("own")))]), array([span(service)])])
}

/// The services of the spans that arrive at an agent, and the request's body.
fn arrive(input: InputFormat, output: OutputFormat, service: &str, body: &[u8]) -> (Vec<String>, Bytes) {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    agent.set_info([say(
        200,
        r#"{"endpoints":["/v0.4/traces","/v0.5/traces","/v1.0/traces"],"span_events":true}"#,
    )]);
    let builder = TraceExporter::builder().url(&agent.url).input_format(input).output_format(output);
    let exporter = builder.service(service).build().unwrap();
    exporter.await_agent(std::time::Duration::from_secs(5)).unwrap();
    exporter.send(body).unwrap();
    let sent = agent.requests().pop().unwrap().body;
    let back = convert(&sent, &Conversion { from: InputFormat::Auto, ..Conversion::default() }).unwrap().body;
    let services = decode(&back)
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|chunk| chunk.as_array().unwrap().clone())
        .map(|span| {
            let fields = span.as_map().unwrap().clone();
            let of = |key: &str| fields.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v.clone());
            of("service").and_then(|v| lossy(&v)).unwrap_or_default()
        })
        .collect();
    (services, sent)
}

#[test]
fn a_span_without_a_service_gets_that_of_the_settings_in_every_format() {
    use InputFormat as In;
    use OutputFormat as Out;
    for (name, without) in
        [("none", None), ("empty", Some(s(""))), ("nil", Some(nil())), ("binary", Some(bin(b"")))]
    {
        let v04 = traces(without);
        let as_v05 = convert(&v04, &Conversion { to: Out::V05, ..Conversion::default() }).unwrap().body;
        let as_v1 = convert(&v04, &Conversion { to: Out::V1, ..Conversion::default() }).unwrap().body;
        for (input, body) in [(In::V04, &v04), (In::V05, &as_v05), (In::V1, &as_v1)] {
            for output in [Out::V04, Out::V05, Out::V1] {
                let (got, _) = arrive(input, output, "settings", body);
                assert_eq!(got, ["own", "settings"], "{name}: {input:?} to {output:?}");
            }
        }
        let (got, _) = arrive(In::V04, Out::V04, "", &v04);
        assert_eq!(got, ["own", ""], "{name}, nothing set");
    }
}

#[test]
fn a_payload_whose_spans_all_have_services_goes_out_as_the_same_bytes() {
    let whole = traces(Some(s("b")));
    for (input, output) in [
        (InputFormat::V04, OutputFormat::V04),
        (InputFormat::V05, OutputFormat::V05),
        (InputFormat::V1, OutputFormat::V1),
    ] {
        let body = convert(&whole, &Conversion { to: output, ..Conversion::default() }).unwrap().body;
        let (got, sent) = arrive(input, output, "settings", &body);
        assert_eq!((got, sent), (vec!["own".to_owned(), "b".to_owned()], body), "{input:?}");
    }
}
