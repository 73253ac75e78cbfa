//! Why something was changed or refused, and how often: the agent's reasons by the agent's names.

/// Why a span was repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // `label` says it in the agent's words
pub enum Reason {
    DuplicateSpanId,
    ServiceEmpty,
    ServiceTruncate,
    ServiceInvalid,
    PeerServiceTruncate,
    PeerServiceInvalid,
    BaseServiceTruncate,
    BaseServiceInvalid,
    SpanNameEmpty,
    SpanNameTruncate,
    SpanNameInvalid,
    ResourceEmpty,
    TypeTruncate,
    InvalidStartDate,
    InvalidDuration,
    InvalidHttpStatusCode,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Reason; 16] = [
        Reason::DuplicateSpanId,
        Reason::ServiceEmpty,
        Reason::ServiceTruncate,
        Reason::ServiceInvalid,
        Reason::PeerServiceTruncate,
        Reason::PeerServiceInvalid,
        Reason::BaseServiceTruncate,
        Reason::BaseServiceInvalid,
        Reason::SpanNameEmpty,
        Reason::SpanNameTruncate,
        Reason::SpanNameInvalid,
        Reason::ResourceEmpty,
        Reason::TypeTruncate,
        Reason::InvalidStartDate,
        Reason::InvalidDuration,
        Reason::InvalidHttpStatusCode,
    ];

    /// The agent's name for it.
    pub const fn label(self) -> &'static str {
        match self {
            Reason::DuplicateSpanId => "duplicate_span_id",
            Reason::ServiceEmpty => "service_empty",
            Reason::ServiceTruncate => "service_truncate",
            Reason::ServiceInvalid => "service_invalid",
            Reason::PeerServiceTruncate => "peer_service_truncate",
            Reason::PeerServiceInvalid => "peer_service_invalid",
            Reason::BaseServiceTruncate => "base_service_truncate",
            Reason::BaseServiceInvalid => "base_service_invalid",
            Reason::SpanNameEmpty => "span_name_empty",
            Reason::SpanNameTruncate => "span_name_truncate",
            Reason::SpanNameInvalid => "span_name_invalid",
            Reason::ResourceEmpty => "resource_empty",
            Reason::TypeTruncate => "type_truncate",
            Reason::InvalidStartDate => "invalid_start_date",
            Reason::InvalidDuration => "invalid_duration",
            Reason::InvalidHttpStatusCode => "invalid_http_status_code",
        }
    }
}

/// How often each [`Reason`] applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Reason::ALL.len()]);

impl Counts {
    /// One more.
    #[cold]
    pub fn add(&mut self, reason: Reason) {
        self.add_many(reason, 1);
    }

    /// `n` more.
    pub fn add_many(&mut self, reason: Reason, n: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += n;
        }
    }

    /// How often `reason` applied.
    pub fn get(&self, reason: Reason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds another count to this one.
    pub fn merge(&mut self, other: &Counts) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// Why a whole chunk is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no spans.
    EmptyTrace,
    /// A span has trace id 0.
    TraceIdZero,
    /// A span has span id 0.
    SpanIdZero,
    /// Its spans belong to different traces (64 bits of the id, or both have `_dd.p.tid` and these differ).
    ForeignSpan,
}

impl Refusal {
    /// The agent's name for it.
    pub const fn label(self) -> &'static str {
        match self {
            Refusal::EmptyTrace => "empty_trace",
            Refusal::TraceIdZero => "trace_id_zero",
            Refusal::SpanIdZero => "span_id_zero",
            Refusal::ForeignSpan => "foreign_span",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_count() {
        let mut counts = Counts::default();
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(i, reason as usize);
            counts.add_many(reason, i as u64 + 1);
        }
        assert!(Reason::ALL.into_iter().enumerate().all(|(i, r)| counts.get(r) == i as u64 + 1));
    }
}
