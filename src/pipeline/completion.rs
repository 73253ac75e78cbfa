//! What settings say of the process and a span does not: its service. Runs before the rules, so that they see what
//! goes out.
//!
//! What payloads say (environment, version, host, process tags) is the encoders' matter: they have the metadata.

use crate::rewrite::{Memory, each_span};
use crate::settings::Metadata;
use crate::trace::{Field, Payload, SpanAccess};
use std::sync::Arc;

/// What spans get that do not say it.
#[derive(Clone, Debug, Default)]
pub(super) struct Completion {
    service: Option<Arc<str>>,
}

impl Completion {
    pub(super) fn new(metadata: &Metadata) -> Self {
        Self { service: (!metadata.service.is_empty()).then(|| metadata.service.as_str().into()) }
    }

    /// Whether a span gets a service that has none.
    pub(super) fn gives_service(&self) -> bool {
        self.service.is_some()
    }

    /// Whether a span of the batch lacks something that it would get.
    pub(super) fn lacks(&self, batch: &Payload<'_>) -> bool {
        self.gives_service() && batch.spans().iter().any(|span| span.has_no_service())
    }

    /// Gives the spans what they lack.
    pub(super) fn apply(&self, batch: &mut Payload<'_>, memory: &mut Memory) {
        let Some(service) = self.service.as_ref().filter(|_| self.lacks(batch)) else { return };
        each_span(batch, memory, |span| {
            if span.field(Field::Service).is_empty() {
                span.set_field(Field::Service, service.as_bytes());
            }
        });
    }
}
