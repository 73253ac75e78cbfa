//! Bodies of stats. That of `POST /v0.6/stats` is a msgpack map in which every field is present, in the order and
//! by the names of the agent's `ClientStatsPayload` (`spec/reference-behaviour.md` 4.10). Text that is not UTF-8 is
//! repaired here, since the agent would refuse the whole body.

use super::concentrator::Part;
use super::key::{Root, Tags, Text};
use super::sketch::Sketch;
use super::{otlp_metrics, otlp_protobuf};
use crate::msgpack::writer as w;
use crate::settings::{Metadata, OtlpEncoding, StatsForm};
use std::borrow::Cow;

/// Appends a payload of these parts as a peer takes it.
pub(crate) fn encode_as(
    form: StatsForm,
    parts: &[Part],
    bucket_ns: u64,
    metadata: &Metadata,
    sequence: u64,
    out: &mut Vec<u8>,
) {
    match form {
        StatsForm::Agent => encode(parts, bucket_ns, metadata, sequence, out),
        StatsForm::Intake => {
            // What an agent would make of it; there is none, so its name and version are ours.
            w::map_head(out, 6);
            text(out, "AgentHostname", &metadata.hostname);
            text(out, "AgentEnv", &metadata.env);
            w::str(out, b"Stats");
            w::array_head(out, 1);
            encode(parts, bucket_ns, metadata, sequence, out);
            text(out, "AgentVersion", &metadata.tracer_version);
            for flag in ["ClientComputed", "SplitPayload"] {
                w::str(out, flag.as_bytes());
                w::bool(out, flag == "ClientComputed");
            }
        }
        StatsForm::Otlp(encoding) => {
            let request = otlp_metrics::encode(parts, bucket_ns, metadata, &[]);
            match encoding {
                OtlpEncoding::Json => out.extend_from_slice(request.to_string().as_bytes()),
                OtlpEncoding::Protobuf => out.extend(otlp_protobuf::encode(&request)),
            }
        }
    }
}

/// Appends a payload of these parts.
pub(super) fn encode(parts: &[Part], bucket_ns: u64, metadata: &Metadata, sequence: u64, out: &mut Vec<u8>) {
    let env = if metadata.env.is_empty() { "unknown-env" } else { &metadata.env };
    w::map_head(out, 16);
    text(out, "Hostname", &metadata.hostname);
    text(out, "Env", env);
    text(out, "Version", &metadata.version);
    w::str(out, b"Stats");
    w::array_head(out, parts.len() as u32);
    let mut sketch = Vec::new();
    parts.iter().for_each(|part| bucket(part, bucket_ns, &mut sketch, out));
    // The agent knows language and tracer version from the headers, and the container better than we do.
    text(out, "Lang", "");
    text(out, "TracerVersion", "");
    text(out, "RuntimeID", &metadata.runtime_id);
    uint(out, "Sequence", sequence);
    text(out, "AgentAggregation", "");
    text(out, "Service", &metadata.service);
    text(out, "ContainerID", "");
    empty_list(out, "Tags");
    text(out, "GitCommitSha", &metadata.git_commit_sha);
    text(out, "ImageTag", "");
    uint(out, "ProcessTagsHash", 0);
    text(out, "ProcessTags", &metadata.process_tags);
}

fn bucket(part: &Part, bucket_ns: u64, sketch: &mut Vec<u8>, out: &mut Vec<u8>) {
    w::map_head(out, 4);
    uint(out, "Start", part.start);
    uint(out, "Duration", bucket_ns);
    w::str(out, b"Stats");
    w::array_head(out, part.groups.len() as u32);
    for group in &part.groups {
        let key = group.key();
        let facts = key.facts();
        let field = |out: &mut Vec<u8>, name: &str, which| lossy(out, name, key.text(which));
        w::map_head(out, 22);
        field(out, "Service", Text::Service);
        field(out, "Name", Text::Name);
        field(out, "Resource", Text::Resource);
        uint(out, "HTTPStatusCode", u64::from(facts.http_status));
        field(out, "Type", Text::Type);
        text(out, "DBType", "");
        uint(out, "Hits", group.hits());
        uint(out, "Errors", group.error_hits());
        uint(out, "Duration", group.duration());
        summary(out, "OkSummary", &group.ok.sketch, sketch);
        let none = Sketch::default();
        let errors = group.errors.as_ref().map_or(&none, |cell| &cell.sketch);
        summary(out, "ErrorSummary", errors, sketch);
        w::str(out, b"Synthetics");
        w::bool(out, facts.synthetics);
        uint(out, "TopLevelHits", group.top_level);
        field(out, "SpanKind", Text::SpanKind);
        tags(out, "PeerTags", key.peers());
        let root = match facts.root {
            Root::NotSet => 0,
            Root::Yes => 1,
            Root::No => 2,
        };
        uint(out, "IsTraceRoot", root);
        text(out, "GRPCStatusCode", &facts.grpc.map(|code| code.to_string()).unwrap_or_default());
        field(out, "HTTPMethod", Text::HttpMethod);
        field(out, "HTTPEndpoint", Text::HttpEndpoint);
        field(out, "srv_src", Text::ServiceSource);
        empty_list(out, "SpanDerivedPrimaryTags");
        tags(out, "AdditionalMetricTags", key.additional());
    }
    uint(out, "AgentTimeShift", 0);
}

#[inline(never)]
fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    w::str(out, name.as_bytes());
    w::str(out, value.as_bytes());
}

#[inline(never)]
fn lossy(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    text(out, name, &repaired(value));
}

#[inline(never)]
fn uint(out: &mut Vec<u8>, name: &str, value: u64) {
    w::str(out, name.as_bytes());
    w::uint(out, value);
}

fn empty_list(out: &mut Vec<u8>, name: &str) {
    w::str(out, name.as_bytes());
    w::array_head(out, 0);
}

#[inline(never)]
fn tags(out: &mut Vec<u8>, name: &str, list: Tags<'_>) {
    w::str(out, name.as_bytes());
    w::array_head(out, list.count() as u32);
    list.for_each(|tag| w::str(out, repaired(tag).as_bytes()));
}

/// The text, with U+FFFD for each byte that belongs to no character, as the agent's decoder repairs text.
fn repaired(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(text.utf8_chunks().fold(String::new(), |mut out, part| {
            out.push_str(part.valid());
            out.extend(part.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            out
        })),
    }
}

#[inline(never)]
fn summary(out: &mut Vec<u8>, name: &str, sketch: &Sketch, scratch: &mut Vec<u8>) {
    scratch.clear();
    sketch.encode(scratch);
    w::str(out, name.as_bytes());
    w::bin(out, scratch);
}
