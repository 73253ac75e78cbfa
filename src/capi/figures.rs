//! The account and what else is told in numbers, as C has them (`data-pipeline.h`).

use crate::account::{self, Metrics};
use crate::asynchronous::FlushReport;
use crate::exporter::{AgentResponse, TraceExporter};
use std::time::Duration;

/// Traces, spans and bytes of input.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Traces.
    pub traces: u64,
    /// Spans.
    pub spans: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The account: `received = sent + dropped + filtered + sampled_out + queued`, at every moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Payloads that entered.
    pub payloads: u64,
    /// All that entered.
    pub received: Counts,
    /// What the agent accepted.
    pub sent: Counts,
    /// What was dropped; `dp_exporter_ask` with EXPLAIN has the reasons.
    pub dropped: Counts,
    /// What trace filters rejected.
    pub filtered: Counts,
    /// What sampling dropped.
    pub sampled_out: Counts,
    /// What is on its way, or waits for it.
    pub queued: Counts,
    /// Payloads that the agent may have twice.
    pub possibly_duplicated: u64,
    /// Payloads that count as dropped although the agent may have them.
    pub possibly_arrived: u64,
    /// Values that were repaired.
    pub repaired: u64,
    /// Requests made for traces.
    pub requests: u64,
    /// Bytes of request bodies that the agent accepted.
    pub body_bytes: u64,
    /// Bytes of memory that the exporter holds for payloads.
    pub memory_bytes: u64,
    /// What of `queued` lies on disk.
    pub spooled: Counts,
    /// Payloads of `dropped` that nobody has read: how many spans they had is not known, and no figure has them.
    pub unread_payloads: u64,
    /// Traces that they declared.
    pub unread_traces: u64,
    /// Their bytes.
    pub unread_bytes: u64,
    /// Spans that the output format could not carry whole.
    pub lost_in_conversion: u64,
    /// Bytes of request bodies that went out, compressed, stats included, each as often as it was sent.
    pub wire_bytes: u64,
    /// How many milliseconds the queue waits for its pace (`maxBytesPerSecond`); 0 if it does not.
    pub queue_pace_millis: u64,
}

/// What became of the queue while a flush waited.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Flush {
    /// Whether everything that was offered before has met its fate.
    pub complete: bool,
    /// What the agent accepted meanwhile.
    pub sent: Counts,
    /// What still waits.
    pub pending: Counts,
    /// What trace filters and sampling took out meanwhile.
    pub left_out: Counts,
    /// What was dropped meanwhile.
    pub dropped: Counts,
}

/// What a response says beside its body.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Response {
    /// The HTTP status, 0 if there was nothing to send.
    pub status: u32,
    /// Requests made.
    pub attempts: u32,
    /// Traces sent.
    pub traces: u64,
    /// Spans sent.
    pub spans: u64,
    /// Whether the sampling rates are news.
    pub rates_changed: bool,
    /// Values that were repaired.
    pub repaired: u64,
    /// What trace filters rejected.
    pub filtered: Counts,
    /// What sampling dropped.
    pub sampled_out: Counts,
    /// Traces that could not be read.
    pub malformed: Counts,
    /// Traces that the agent would refuse.
    pub invalid: Counts,
}

fn total(counts: &[account::Counts]) -> Counts {
    counts.iter().fold(account::Counts::default(), |sum, c| sum.plus(*c)).into()
}

impl From<account::Counts> for Counts {
    fn from(c: account::Counts) -> Self {
        Self { traces: c.traces, spans: c.spans, bytes: c.bytes }
    }
}

impl Account {
    /// Of an exporter as it stands.
    pub(super) fn now(exporter: &TraceExporter) -> Self {
        Self::new(&exporter.metrics(), exporter.memory_bytes(), exporter.queue().pace_wait)
    }

    /// Of one that is closed.
    pub(super) fn last(metrics: &Metrics) -> Self {
        Self::new(metrics, 0, Duration::ZERO)
    }

    fn new(m: &Metrics, memory: usize, pace: Duration) -> Self {
        Self {
            payloads: m.payloads,
            received: m.received.into(),
            sent: m.sent.into(),
            dropped: total(&m.dropped),
            filtered: m.filtered.into(),
            sampled_out: m.sampled_out.into(),
            queued: m.queued.into(),
            possibly_duplicated: m.possibly_duplicated,
            possibly_arrived: m.possibly_arrived,
            repaired: m.repaired,
            requests: m.requests,
            body_bytes: m.body_bytes,
            memory_bytes: memory as u64,
            spooled: m.spooled.into(),
            unread_payloads: m.unread.payloads,
            unread_traces: m.unread.traces,
            unread_bytes: m.unread.bytes,
            lost_in_conversion: m.lost_in_conversion,
            wire_bytes: m.wire_bytes,
            queue_pace_millis: u64::try_from(pace.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl From<FlushReport> for Flush {
    fn from(report: FlushReport) -> Self {
        Self {
            complete: report.complete,
            sent: report.sent.into(),
            pending: report.pending.into(),
            left_out: report.left_out.into(),
            dropped: total(&report.dropped),
        }
    }
}

impl From<&AgentResponse> for Response {
    fn from(response: &AgentResponse) -> Self {
        let left_out = &response.left_out;
        Self {
            status: u32::from(response.status()),
            attempts: response.attempts(),
            traces: response.traces,
            spans: response.spans,
            rates_changed: response.reply.rates_changed,
            repaired: left_out.repaired,
            filtered: left_out.filtered.into(),
            sampled_out: left_out.sampled_out.into(),
            malformed: left_out.malformed.into(),
            invalid: left_out.invalid.into(),
        }
    }
}
