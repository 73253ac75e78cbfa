//! Our scan and the reference's v0.4 decoder read the same spans.

use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload};
use data_pipeline_oracle::model::{self, Chunks, Span};
use data_pipeline_oracle::{fixtures, generate, libdd};
use proptest::prelude::*;

/// The fields that the scan hands out, in the model's form.
fn scanned(bytes: &[u8]) -> Result<Chunks, String> {
    let mut arena = Arena::new();
    let payload =
        Payload::scan(bytes, &mut arena, &Interest::none(), OnMalformed::Fail).map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let span = |s: &data_pipeline::trace::Span| Span {
        service: text(payload.service(s)),
        name: text(payload.name(s)),
        resource: text(payload.resource(s)),
        kind: text(payload.span_type(s)),
        ids: [s.trace_id(), s.span_id(), s.parent_id()],
        start: s.start_ns(),
        duration: s.duration_ns(),
        error: s.error(),
        ..Span::default()
    };
    Ok(payload.chunks().iter().map(|c| payload.chunk_spans(c).iter().map(span).collect()).collect())
}

/// The reference's spans without what the scan leaves in its place.
fn decoded(bytes: &[u8]) -> Result<Chunks, String> {
    let mut chunks = model::chunks(&libdd::decode_v04(bytes)?);
    for s in chunks.iter_mut().flatten() {
        let read = std::mem::take(s);
        *s = Span {
            meta: Default::default(),
            metrics: Default::default(),
            meta_struct: Default::default(),
            links: Vec::new(),
            events: Vec::new(),
            ..read
        };
    }
    Ok(chunks)
}

#[test]
fn reads_the_real_payloads_as_the_reference_does() {
    let mut compared = 0;
    for fixture in fixtures::all() {
        // The reference refuses a few (text that is not UTF-8); the agent's answers cover those.
        let Ok(theirs) = decoded(&fixture.bytes) else { continue };
        let ours = match scanned(&fixture.bytes) {
            Ok(ours) => ours,
            // The two that the agent refuses too: a float as an event's time, text in the metrics.
            Err(e) if fixture.name == "node/003" || fixture.name == "node/004" => {
                println!("{}: {e}", fixture.name);
                continue;
            }
            Err(e) => panic!("{}: {e}", fixture.name),
        };
        assert_eq!(model::difference(&ours, &theirs), None, "{}", fixture.name);
        compared += 1;
    }
    println!("{compared} payloads compared");
    assert!(compared >= 40, "only {compared} payloads could be compared");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_generated_payloads_as_the_reference_does(bytes in generate::payload(4)) {
        let theirs = decoded(&bytes).map_err(TestCaseError::fail)?;
        let ours = scanned(&bytes).map_err(TestCaseError::fail)?;
        prop_assert_eq!(model::difference(&ours, &theirs), None);
    }
}
