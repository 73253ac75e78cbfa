//! The reference: its decoders, its stages and its encoders, in the order in which its exporter uses them.

use libdd_trace_protobuf::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use libdd_trace_utils::agentless_encoder;
use libdd_trace_utils::json_log_encoder;
use libdd_trace_utils::msgpack_decoder;
use libdd_trace_utils::msgpack_encoder;
use libdd_trace_utils::otlp_encoder::{OtlpResourceInfo, encode_otlp_json, map_traces_to_otlp};
use libdd_trace_utils::span::span_pool::PooledChunks;
use libdd_trace_utils::span::trace_utils::{compute_top_level_span, drop_chunks};
use libdd_trace_utils::span::v04::SpanSlice;
use libdd_trace_utils::trace_utils::convert_trace_chunks_v04_to_v05;
use libdd_trace_utils::tracer_metadata::TracerMetadata;
use libdd_trace_utils::tracer_payload::TraceChunks;

pub type Traces<'a> = Vec<Vec<SpanSlice<'a>>>;

pub fn decode_v04(bytes: &[u8]) -> Result<Traces<'_>, String> {
    msgpack_decoder::v04::from_slice(bytes).map(|(traces, _)| traces).map_err(|e| e.to_string())
}

pub fn decode_v05(bytes: &[u8]) -> Result<Traces<'_>, String> {
    msgpack_decoder::v05::from_slice(bytes).map(|(traces, _)| traces).map_err(|e| e.to_string())
}

/// A v1 payload as v0.4 bytes, which [`decode_v04`] reads.
pub fn v1_to_v04(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (payload, _) = msgpack_decoder::v1::from_slice(bytes).map_err(|e| e.to_string())?;
    Ok(msgpack_encoder::v04::to_vec_from_v1(&payload))
}

pub fn encode_v04(traces: &Traces<'_>) -> Vec<u8> {
    msgpack_encoder::v04::to_vec_from_v04(traces)
}

pub fn encode_v05(traces: &Traces<'_>) -> Result<Vec<u8>, String> {
    match convert_trace_chunks_v04_to_v05(traces).map_err(|e| e.to_string())? {
        TraceChunks::V05(payload) => rmp_serde::to_vec(&payload).map_err(|e| e.to_string()),
        _ => Err("asked for v0.5".to_owned()),
    }
}

pub fn encode_v1(traces: &Traces<'_>) -> Vec<u8> {
    msgpack_encoder::v1::to_vec_from_v04(traces, &TracerMetadata::default())
}

/// The request as its own types, for a process of this service.
pub fn otlp(traces: &Traces<'_>, service: &str) -> ExportTraceServiceRequest {
    let mut info = OtlpResourceInfo::default();
    info.service = service.to_owned();
    map_traces_to_otlp(traces, &info, false)
}

pub fn otlp_json(request: &ExportTraceServiceRequest) -> Result<Vec<u8>, String> {
    encode_otlp_json(request).map_err(|e| e.to_string())
}

pub fn intake(traces: &Traces<'_>) -> Result<Vec<u8>, String> {
    agentless_encoder::encode_payload(traces, &TracerMetadata::default(), false).map_err(|e| e.to_string())
}

/// Lines of at most so many bytes.
pub fn log_lines(traces: &Traces<'_>, most: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    json_log_encoder::encode_traces(traces, &mut out, most).map(|_| out).map_err(|e| e.to_string())
}

pub fn top_level(traces: &mut Traces<'_>) {
    traces.iter_mut().for_each(|trace| compute_top_level_span(trace));
}

/// What is left, and how many traces and spans were dropped.
pub fn drop_p0(traces: Traces<'_>) -> (Traces<'_>, usize, usize) {
    let mut pooled = PooledChunks::unpooled(traces);
    let dropped = drop_chunks(&mut pooled);
    (pooled.into_chunks(), dropped.dropped_p0_traces, dropped.dropped_p0_spans)
}
