//! The opponents: what the reference's crates do for the same job, put together as its own exporter does.

use libdd_ddsketch::DDSketch;
use libdd_trace_protobuf::pb;
use libdd_trace_stats::span_concentrator::{SpanConcentrator, default_stats_eligible_span_kinds};
use libdd_trace_utils::agentless_encoder;
use libdd_trace_utils::msgpack_decoder;
use libdd_trace_utils::msgpack_encoder;
use libdd_trace_utils::otlp_encoder::{self, OtlpResourceInfo};
use libdd_trace_utils::span::span_pool::PooledChunks;
use libdd_trace_utils::span::trace_utils::{compute_top_level_span, drop_chunks};
use libdd_trace_utils::span::v04::SpanSlice;
use libdd_trace_utils::trace_utils::convert_trace_chunks_v04_to_v05;
use libdd_trace_utils::tracer_metadata::TracerMetadata;
use libdd_trace_utils::tracer_payload::TraceChunks;

pub type Traces<'a> = Vec<Vec<SpanSlice<'a>>>;

pub fn decode_v04(bytes: &[u8]) -> Traces<'_> {
    msgpack_decoder::v04::from_slice(bytes).expect("libdd reads v0.4").0
}

/// Whether the reference takes such a body at all.
pub fn reads_v04(bytes: &[u8]) -> bool {
    msgpack_decoder::v04::from_slice(bytes).is_ok()
}

pub fn decode_v05(bytes: &[u8]) -> Traces<'_> {
    msgpack_decoder::v05::from_slice(bytes).expect("libdd reads v0.5").0
}

pub fn encode_v04(traces: &Traces<'_>, room: usize) -> Vec<u8> {
    msgpack_encoder::v04::to_vec_with_capacity_from_v04(traces, room as u32)
}

pub fn encode_v05(traces: &Traces<'_>) -> Vec<u8> {
    match convert_trace_chunks_v04_to_v05(traces).expect("libdd converts to v0.5") {
        TraceChunks::V05(payload) => rmp_serde::to_vec(&payload).expect("libdd writes v0.5"),
        _ => unreachable!("asked for v0.5"),
    }
}

pub fn encode_v1(traces: &Traces<'_>, room: usize) -> Vec<u8> {
    msgpack_encoder::v1::to_vec_with_capacity_from_v04(traces, room as u32, &TracerMetadata::default())
}

pub fn otlp(traces: &Traces<'_>, json: bool) -> Vec<u8> {
    let request = otlp_encoder::map_traces_to_otlp(traces, &OtlpResourceInfo::default(), false);
    match json {
        true => otlp_encoder::encode_otlp_json(&request).expect("libdd writes OTLP JSON"),
        false => otlp_encoder::encode_otlp_protobuf(&request),
    }
}

pub fn intake(traces: &Traces<'_>) -> Vec<u8> {
    agentless_encoder::encode_payload(traces, &TracerMetadata::default(), false).expect("libdd writes JSON")
}

pub fn v1_to_v04(bytes: &[u8], room: usize) -> Vec<u8> {
    let (payload, _) = msgpack_decoder::v1::from_slice(bytes).expect("libdd reads v1");
    msgpack_encoder::v04::to_vec_with_capacity_from_v1(&payload, room as u32)
}

/// Top level, p0 drop and the removal of repeated keys, in the order of the reference's exporter. It has no tag filters
/// for this path, so its figure leaves them out.
pub fn stages(mut traces: Traces<'_>) -> Traces<'_> {
    for trace in &mut traces {
        compute_top_level_span(trace);
    }
    drop_p0(traces)
}

pub fn drop_p0(traces: Traces<'_>) -> Traces<'_> {
    let mut pooled = PooledChunks::unpooled(traces);
    drop_chunks(&mut pooled);
    let mut traces = pooled.into_chunks();
    traces.iter_mut().flatten().for_each(|span| span.dedup());
    traces
}

/// A concentrator whose clock starts at the epoch, so that every span keeps its own bucket.
pub fn concentrator(peer_tags: &[&str]) -> SpanConcentrator {
    SpanConcentrator::new(
        std::time::Duration::from_secs(10),
        std::time::SystemTime::UNIX_EPOCH,
        default_stats_eligible_span_kinds(),
        peer_tags.iter().map(|tag| (*tag).to_owned()).collect(),
        None,
        Vec::new(),
    )
}

pub fn add_all(concentrator: &mut SpanConcentrator, traces: &Traces<'_>) {
    traces.iter().flatten().for_each(|span| concentrator.add_span(span));
}

pub fn sketch(values: &[f64]) -> DDSketch {
    let mut sketch = DDSketch::default();
    add_values(&mut sketch, values);
    sketch
}

pub fn add_values(sketch: &mut DDSketch, values: &[f64]) {
    for value in values {
        sketch.add(*value).expect("a positive duration fits a sketch");
    }
}

/// The spans in the form that the reference's normalizer takes.
pub fn owned(traces: &Traces<'_>) -> Vec<Vec<pb::Span>> {
    let span = |s: &SpanSlice<'_>| pb::Span {
        service: s.service.to_string(),
        name: s.name.to_string(),
        resource: s.resource.to_string(),
        trace_id: s.trace_id as u64,
        span_id: s.span_id,
        parent_id: s.parent_id,
        start: s.start,
        duration: s.duration,
        error: s.error,
        meta: s.meta.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        metrics: s.metrics.iter().map(|(k, v)| (k.to_string(), *v)).collect(),
        r#type: s.r#type.to_string(),
        ..Default::default()
    };
    traces.iter().map(|trace| trace.iter().map(span).collect()).collect()
}
