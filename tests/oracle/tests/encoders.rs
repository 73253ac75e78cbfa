//! What our encoders and stages write reads, with the reference's decoders, as what the reference's own
//! write.
//!
//! Known differences, each with its reason:
//! - v0.5, a span with links (events) in both places, natively and as JSON in meta (Go): ours keeps what the
//!   tracer wrote, the reference lets its own text win.
//! - v1: what chunk and payload take over from their spans is, in ours, what the agent's own conversion takes
//!   (the last one that has it); the reference takes the first or nothing. Left out here and judged at the
//!   agent (`agent_compare.py`), on captured and on generated payloads.
//! - v1: a list in an event's attribute: the reference writes it so that it reads back half of it, or
//!   nothing.
//! - v1: a negative start is 0 in ours, the present time in the reference.

use data_pipeline_oracle::model::{self, Chunks};
use data_pipeline_oracle::{fixtures, generate, libdd, ours};
use proptest::prelude::*;

/// The reference's spans without native links and events that meta has as well.
fn once(mut traces: libdd::Traces<'_>) -> libdd::Traces<'_> {
    for span in traces.iter_mut().flatten() {
        if span.meta.get("_dd.span_links").is_some() {
            span.span_links.clear();
        }
        if span.meta.get("events").is_some() {
            span.span_events.clear();
        }
    }
    traces
}

/// The reference's spans with times that v1 can carry.
fn clamped(mut traces: libdd::Traces<'_>) -> libdd::Traces<'_> {
    for span in traces.iter_mut().flatten() {
        span.start = span.start.max(0);
        span.duration = span.duration.max(0);
    }
    traces
}

/// Without what v1 keeps by chunk and by payload.
fn by_span(mut chunks: Chunks) -> Chunks {
    for span in chunks.iter_mut().flatten() {
        for key in ["_dd.origin", "_dd.p.dm", "_dd.p.tid", "env", "version"] {
            span.meta.remove(key);
        }
        span.metrics.remove("_sampling_priority_v1");
        span.ids[0] = 0;
    }
    chunks
}

fn has_lists(bytes: &[u8]) -> bool {
    use libdd_trace_utils::span::v04::AttributeAnyValue::Array;
    let traces = libdd::decode_v04(bytes).unwrap_or_default();
    let mut values = traces.iter().flatten().flat_map(|s| &s.span_events).flat_map(|e| e.attributes.values());
    values.any(|value| matches!(value, Array(_)))
}

type Encode = fn(&[u8]) -> Result<Chunks, String>;

fn v04_of(bytes: &[u8]) -> Result<Chunks, String> {
    libdd::decode_v04(bytes).map(|traces| model::chunks(&traces))
}

fn v05_of(bytes: &[u8]) -> Result<Chunks, String> {
    libdd::decode_v05(bytes).map(|traces| model::chunks(&traces))
}

/// The pairs that are compared: what ours gives, what theirs gives, both read by the reference.
const PAIRS: [(&str, Encode, Encode); 4] = [
    ("v0.4", |b| v04_of(&ours::repaired(b)?), v04_of),
    (
        "v0.4 with top level and p0 drop",
        |b| v04_of(&ours::stages(b)?.0),
        |b| {
            let mut traces = libdd::decode_v04(b)?;
            libdd::top_level(&mut traces);
            Ok(model::chunks(&libdd::drop_p0(traces).0))
        },
    ),
    ("v0.5", |b| v05_of(&ours::to_v05(b)?), |b| v05_of(&libdd::encode_v05(&once(libdd::decode_v04(b)?))?)),
    (
        "v1",
        |b| v04_of(&libdd::v1_to_v04(&ours::to_v1(b)?)?).map(by_span),
        |b| v04_of(&libdd::v1_to_v04(&libdd::encode_v1(&clamped(libdd::decode_v04(b)?)))?).map(by_span),
    ),
];

/// The reference reads a payload at all; what it refuses is the agent oracle's.
fn readable(bytes: &[u8]) -> bool {
    libdd::decode_v04(bytes).is_ok()
}

#[test]
fn real_payloads_read_the_same() {
    let mut failures = Vec::new();
    let mut compared = 0;
    for fixture in fixtures::all().iter().filter(|f| readable(&f.bytes)) {
        for (name, ours, theirs) in PAIRS {
            compared += 1;
            match (ours(&fixture.bytes), theirs(&fixture.bytes)) {
                _ if name == "v1" && has_lists(&fixture.bytes) => compared -= 1,
                (Ok(ours), Ok(theirs)) => {
                    failures.extend(
                        model::difference(&ours, &theirs).map(|d| format!("{} {name}: {d}", fixture.name)),
                    );
                }
                (ours, theirs) => {
                    failures.push(format!("{} {name}: {:?} {:?}", fixture.name, ours.err(), theirs.err()))
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {compared}\n{}",
        failures.len(),
        failures[..failures.len().min(5)].join("\n")
    );
    assert!(compared >= 155, "only {compared} comparisons");
}

/// Nothing is changed by a pass that has nothing to do, to the byte.
#[test]
fn an_unchanged_payload_keeps_its_bytes() {
    for fixture in fixtures::all().iter().filter(|f| f.name != "node/003" && f.name != "node/004") {
        let out = ours::repaired(&fixture.bytes).unwrap();
        // The outer head may become narrower; the chunks must not change.
        let body = |b: &[u8]| {
            b[if b[0] == 0xdd {
                5
            } else if b[0] == 0xdc {
                3
            } else {
                1
            }..]
                .to_vec()
        };
        assert!(body(&out) == body(&fixture.bytes), "{} changes", fixture.name);
    }
}

#[test]
fn both_count_the_same_p0_drops() {
    let mut dropped = 0;
    for fixture in fixtures::all().iter().filter(|f| readable(&f.bytes)) {
        let (_, ours) = ours::stages(&fixture.bytes).unwrap();
        let (_, traces, spans) = libdd::drop_p0(libdd::decode_v04(&fixture.bytes).unwrap());
        assert_eq!((ours.traces, ours.spans), (traces as u64, spans as u64), "{}", fixture.name);
        dropped += traces;
    }
    assert!(dropped > 0, "no captured payload has a p0 chunk: the test shows nothing");
}

fn check(index: usize, bytes: &[u8]) -> Result<(), TestCaseError> {
    let (name, ours, theirs) = PAIRS[index];
    if name == "v1" && has_lists(bytes) {
        return Ok(());
    }
    let theirs = theirs(bytes).map_err(|e| TestCaseError::fail(format!("{name}, theirs: {e}")))?;
    let ours = ours(bytes).map_err(|e| TestCaseError::fail(format!("{name}, ours: {e}")))?;
    match model::difference(&ours, &theirs) {
        None => Ok(()),
        Some(difference) => Err(TestCaseError::fail(format!("{name}: {difference}"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_payloads_read_the_same_as_v04(bytes in generate::payload(4)) {
        check(0, &bytes)?;
    }

    #[test]
    fn generated_payloads_read_the_same_after_stages(bytes in generate::payload(4)) {
        check(1, &bytes)?;
    }

    #[test]
    fn generated_payloads_read_the_same_as_v05(bytes in generate::payload(4)) {
        check(2, &bytes)?;
    }

    #[test]
    fn generated_payloads_read_the_same_as_v1(bytes in generate::payload(4)) {
        check(3, &bytes)?;
    }
}
