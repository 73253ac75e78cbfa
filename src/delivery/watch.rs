//! What delivery tells of payloads while they go their way. Whoever watches (health) stands above this room;
//! delivery knows only that somebody listens.

use super::outbox::queue::QueueStatus;
use crate::account::{Counts, DropReason, Metrics, Verdict};
use crate::destination::TelemetryMessage;
use crate::error::Error;
use crate::settings::Metadata;
use crate::stats::Collapsed;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good news.
    Info,
    /// Something is lost or was changed.
    Warning,
}

impl Severity {
    /// The name in upper case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
        }
    }
}

/// One request body that was sent or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) traces: u64,
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
    /// What the peer has answered at last; 0: nothing.
    pub(crate) status: u16,
    pub(crate) started: Instant,
}

/// Something that happened.
pub(crate) enum Event<'a> {
    /// A payload was read.
    Read(Counts),
    /// A payload could not be read.
    Unread,
    /// Values of a payload were repaired; the first place and why.
    Repaired(&'a str),
    /// A body was taken.
    Delivered(Body),
    /// A body was not taken, and is given up.
    NotDelivered(Body, &'a Error, DropReason),
    /// This is gone, and why. `first` names the first trace of it, if somebody wants to know.
    Lost { reason: DropReason, counts: Counts, why: &'a str, first: &'a dyn Fn() -> Option<String> },
    /// Spans of stats lost a part of their key to a limit.
    Collapsed(&'a Collapsed),
    /// A sender has started, so there is a queue to tell of.
    SenderStarted,
    /// A line that stands for itself.
    Note(Severity, String),
}

/// After which time whoever watches is to be called again, if he is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// By [`Watch::flush`].
    pub(crate) flush: Option<Duration>,
    /// By [`Watch::telemetry`].
    pub(crate) telemetry: Option<Duration>,
}

/// Whoever wants to know. Called on the threads of sends: must not block.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    /// Something happened.
    fn notify(&self, event: Event<'_>) -> Wanted;

    /// Whether the next loss for this reason is told with the name of its first trace. Costs next to nothing.
    fn names(&self, reason: DropReason) -> bool;

    /// Sends on what has come together; may block for a moment. `port` is what the peer says of its listener.
    /// Gives when to call again, if that is known now.
    fn flush(&self, port: Option<u16>, queue: &QueueStatus, account: &Metrics) -> Option<Duration>;

    /// As [`Watch::flush`] for the last time: blocks for nothing.
    fn flush_last(&self, port: Option<u16>, account: &Metrics);

    /// The message of telemetry that is due, if there is something to tell. What becomes of it is told by
    /// [`Watch::told`], before which there is no other.
    fn telemetry(&self, account: &Metrics, who: &Metadata, at: SystemTime) -> Option<TelemetryMessage>;

    /// What became of the message. Gives when to call [`Watch::telemetry`] again, if that is known now.
    fn told(&self, verdict: Verdict<()>) -> Option<Duration>;

    /// There is nobody to tell.
    fn rest(&self);

    /// What waits for a call: for who has lost his appointments.
    fn waits(&self) -> Wanted;
}
