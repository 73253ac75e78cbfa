//! OTLP traces out, protobuf and JSON: one `ResourceSpans` with one `ScopeSpans` that holds the spans of all chunks
//! in their order.
//!
//! What a span becomes is written once (`walk.rs`) and read by both encodings (`protobuf.rs`, `json.rs`). The
//! mapping is that of Datadog's SDKs, so that an agent or Datadog's intake makes of it the span that it was: the
//! name is the resource; operation name, type and resource name are attributes, and so is every entry of `meta`
//! (text), `metrics` (an integer if it is one, else a double) and `meta_struct` (bytes). Differences, on purpose:
//! - no limit of attributes unless one is set: the protocol has none;
//! - a key that comes twice counts once, the last one, as everywhere with v0.4; our own four come last;
//! - the end of a span cannot overflow; NaN and infinities are text in JSON, since null is refused whole.

mod json;
mod kinds;
mod protobuf;
mod walk;

use super::encoder::Encoding;
use crate::settings::{Metadata, OtlpEncoding};
use std::sync::Arc;

/// What an OTLP endpoint wants of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How requests are written.
    pub encoding: OtlpEncoding,
    /// Whether spans shall look as an OpenTelemetry SDK would have made them.
    pub open_telemetry_semantics: bool,
    /// How many attributes a span has at most.
    pub max_attributes: Option<u32>,
    /// Whether stats are computed on this side, so that nobody else has to.
    pub stats_computed: bool,
}

/// The format that these options describe.
pub fn encoding(options: Options) -> Encoding {
    let options = Arc::new(options);
    match options.encoding {
        OtlpEncoding::Json => {
            Encoding::new("OTLP JSON", move || walk::Encoder::<json::Json>::new(Arc::clone(&options)))
        }
        OtlpEncoding::Protobuf => Encoding::new("OTLP protobuf", move || {
            walk::Encoder::<protobuf::Protobuf>::new(Arc::clone(&options))
        }),
    }
}

/// The name of our instrumentation scope.
pub(crate) const SCOPE: &str = "data-pipeline";

/// Attributes of the resource: who sends.
fn resource<'m>(metadata: &'m Metadata, options: &Options) -> [(&'static str, &'m str); 10] {
    [
        ("service.name", &metadata.service),
        ("deployment.environment.name", &metadata.env),
        ("service.version", &metadata.version),
        ("telemetry.sdk.name", "datadog"),
        ("telemetry.sdk.language", &metadata.language),
        ("telemetry.sdk.version", &metadata.tracer_version),
        ("runtime-id", &metadata.runtime_id),
        ("_dd.stats_computed", if options.stats_computed { "true" } else { "" }),
        ("_dd.sdk.otlp_export", "true"),
        ("datadog.sdk.semantics", if options.open_telemetry_semantics { "otel" } else { "datadog" }),
    ]
}
