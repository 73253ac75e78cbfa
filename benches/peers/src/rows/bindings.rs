//! Group `bindings`: spans that a tracer builds in native memory, through the functions of the C face, until they are
//! one payload in v0.4. The opponent makes the same spans in the reference's own structures, each text copied into one
//! of its owned ones, as its C interface does, and encodes them.

use libdd_tinybytes::BytesString;
use libdd_trace_utils::msgpack_encoder;
use libdd_trace_utils::span::v04::{SpanBytes, SpanSlice};

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::payloads::Payloads;

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let web = payloads.v04("web_100x10");
    let source = libdd::decode_v04(&web.bytes);
    let room = web.bytes.len() + web.bytes.len() / 8;
    let ours = || assert!(c::build(&source) > web.bytes.len() / 2);
    bench.run(Case::per_span("spans_built", &web).ours(ours).against("libdd", || {
        let traces: Vec<Vec<SpanBytes>> =
            source.iter().map(|trace| trace.iter().map(owned).collect()).collect();
        std::hint::black_box(msgpack_encoder::v04::to_vec_with_capacity_from_v04(&traces, room as u32));
    }));
}

/// A span of the reference's, with texts of its own.
fn owned(span: &SpanSlice<'_>) -> SpanBytes {
    let text = |text: &str| BytesString::from_string(text.to_owned());
    SpanBytes {
        service: text(&span.service),
        name: text(&span.name),
        resource: text(&span.resource),
        r#type: text(&span.r#type),
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_id: span.parent_id,
        start: span.start,
        duration: span.duration,
        error: span.error,
        meta: span.meta.iter().map(|(key, value)| (text(key), text(value))).collect::<Vec<_>>().into(),
        metrics: span.metrics.iter().map(|(key, value)| (text(key), *value)).collect::<Vec<_>>().into(),
        ..SpanBytes::default()
    }
}

/// What a program in C sees of our library.
mod c {
    use libdd_trace_utils::span::v04::SpanSlice;
    use std::ffi::c_void;
    use std::ptr::null_mut;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Slice {
        ptr: *const u8,
        len: usize,
    }

    #[repr(C)]
    struct Fields {
        texts: [Slice; 4],
        ids: [u64; 4],
        times: [i64; 2],
        error: i32,
    }

    type Handle = *mut c_void;
    type Error = *mut c_void;

    unsafe extern "C" {
        safe fn ddog_tracer_span_new(out: &mut Handle, fields: &Fields) -> Error;
        safe fn ddog_tracer_span_set_meta(span: Handle, key: Slice, value: Slice) -> Error;
        safe fn ddog_tracer_span_set_metric(span: Handle, key: Slice, value: f64) -> Error;
        safe fn ddog_tracer_trace_chunks_new(capacity: usize, out: &mut Handle) -> Error;
        safe fn ddog_tracer_trace_chunks_begin_chunk(chunks: Handle, capacity: usize) -> Error;
        safe fn ddog_tracer_trace_chunks_push_span(chunks: Handle, span: Handle) -> Error;
        safe fn ddog_tracer_trace_chunks_free(chunks: Handle);
        safe fn dp_trace_chunks_payload(chunks: Handle) -> Slice;
    }

    fn slice(text: &str) -> Slice {
        Slice { ptr: text.as_ptr(), len: text.len() }
    }

    fn ok(error: Error) {
        assert!(error.is_null(), "a function of the C face failed");
    }

    /// Builds the spans; the size of the payload that they are.
    pub fn build(traces: &[Vec<SpanSlice<'_>>]) -> usize {
        let mut chunks = null_mut();
        ok(ddog_tracer_trace_chunks_new(traces.len(), &mut chunks));
        for trace in traces {
            ok(ddog_tracer_trace_chunks_begin_chunk(chunks, trace.len()));
            for span in trace {
                let fields = Fields {
                    texts: [
                        slice(&span.service),
                        slice(&span.name),
                        slice(&span.resource),
                        slice(&span.r#type),
                    ],
                    ids: [span.trace_id as u64, (span.trace_id >> 64) as u64, span.span_id, span.parent_id],
                    times: [span.start, span.duration],
                    error: span.error,
                };
                let mut handle = null_mut();
                ok(ddog_tracer_span_new(&mut handle, &fields));
                for (key, value) in span.meta.iter() {
                    ok(ddog_tracer_span_set_meta(handle, slice(key), slice(value)));
                }
                for (key, value) in span.metrics.iter() {
                    ok(ddog_tracer_span_set_metric(handle, slice(key), *value));
                }
                ok(ddog_tracer_trace_chunks_push_span(chunks, handle));
            }
        }
        let size = dp_trace_chunks_payload(chunks).len;
        ddog_tracer_trace_chunks_free(chunks);
        size
    }
}
