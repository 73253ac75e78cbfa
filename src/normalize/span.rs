//! The rules for a whole span, in the agent's order.

use super::{name, peer_service, service, status_code, tag, time, truncate};
use crate::account::normalization::{Counts, Reason, Refusal};
use crate::trace::{Entries, Field, SpanAccess, Tag, Verdict};

/// Repairs spans and says which chunks cannot be repaired.
#[derive(Clone, Debug)]
pub struct Normalizer {
    fallback_service: Vec<u8>,
    resource_limit: usize,
}

impl Normalizer {
    /// `language` is the tracer's (`java`), for the stand-in of a missing service; empty if unknown.
    pub fn new(language: &[u8]) -> Self {
        Self { fallback_service: service::fallback(language), resource_limit: truncate::RESOURCE }
    }

    /// Repairs one span. `now_ns` stands in for a start that cannot be; `scratch` is memory to write in.
    ///
    /// # Errors
    /// A [`Refusal`] for ids that are 0; the whole chunk goes then.
    pub fn span<S: SpanAccess>(
        &self,
        span: &mut S,
        now_ns: i64,
        counts: &mut Counts,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if span.trace_id() == 0 {
            return Err(Refusal::TraceIdZero);
        }
        if span.span_id() == 0 {
            return Err(Refusal::SpanIdZero);
        }
        field(span, Field::Service, scratch, |text, out| {
            service::service(text, &self.fallback_service, counts, out)
        });
        tag_if_set(span, Tag::PeerService, scratch, |text, out| {
            peer_service::peer_service(text, counts, out)
        });
        tag_if_set(span, Tag::BaseService, scratch, |text, out| {
            peer_service::base_service(text, counts, out)
        });
        field(span, Field::Name, scratch, |text, out| name::name(text, counts, out));
        if span.field(Field::Resource).is_empty() {
            counts.add(Reason::ResourceEmpty);
            scratch.clear();
            scratch.extend_from_slice(span.field(Field::Name));
            span.set_field(Field::Resource, scratch);
        }
        if span.parent_id() == span.trace_id() && span.parent_id() == span.span_id() {
            span.set_parent_id(0);
        }
        if let Some(ns) = time::duration(span.start_ns(), span.duration_ns(), counts) {
            span.set_duration_ns(ns);
        }
        if let Some(ns) = time::start(span.start_ns(), span.duration_ns(), now_ns, counts) {
            span.set_start_ns(ns);
        }
        field(span, Field::Type, scratch, |text, out| {
            let verdict = truncate::span_type(text, out);
            if verdict != Verdict::Keep {
                counts.add(Reason::TypeTruncate);
            }
            verdict
        });
        tag_if_set(span, Tag::Env, scratch, tag::tag_value);
        if span.tag(Tag::HttpStatusCode).map(|code| status_code::http_status_code(code, counts))
            == Some(Verdict::Remove)
        {
            span.remove_tag(Tag::HttpStatusCode);
        }
        span.each_link_attribute(scratch, |key, text, out| {
            if key == b"link.name" { name::name_uncounted(text, out) } else { Verdict::Keep }
        });
        Ok(())
    }

    /// Cuts text that is over the agent's limits. Comes after obfuscation.
    pub fn truncate<S: SpanAccess>(&self, span: &mut S, scratch: &mut Vec<u8>) {
        field(span, Field::Resource, scratch, |text, out| truncate::resource(text, self.resource_limit, out));
        if span.may_be_long(truncate::KEY, truncate::VALUE) {
            span.each_tag(scratch, truncate::meta_value);
            span.each_key(Entries::Meta, scratch, truncate::meta_key);
            span.each_key(Entries::Metrics, scratch, truncate::metrics_key);
        }
    }
}

fn field<S: SpanAccess>(
    span: &mut S,
    field: Field,
    scratch: &mut Vec<u8>,
    rule: impl FnOnce(&[u8], &mut Vec<u8>) -> Verdict,
) {
    scratch.clear();
    if rule(span.field(field), scratch) == Verdict::Replace {
        span.set_field(field, scratch);
    }
}

/// Applies a rule to a tag that is there and not empty.
fn tag_if_set<S: SpanAccess>(
    span: &mut S,
    tag: Tag,
    scratch: &mut Vec<u8>,
    rule: impl FnOnce(&[u8], &mut Vec<u8>) -> Verdict,
) {
    let Some(text) = span.tag(tag).filter(|t| !t.is_empty()) else { return };
    scratch.clear();
    if rule(text, scratch) == Verdict::Replace {
        span.set_tag(tag, scratch);
    }
}
