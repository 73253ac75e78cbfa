//! What goes in beside a payload, and what comes back for it.

pub use crate::account::DroppedP0;
use crate::account::{Counts, Outcome};
use crate::destination::Reply;
use std::sync::Arc;

/// What a tracer says beside one payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// What the tracer has dropped itself.
    pub dropped: DroppedP0,
    /// The tracer has computed stats of this payload's spans: they are not counted here, and the agent is told, as with
    /// the setting of this name, which says it of every payload. The attribute of OTLP and the intake that says the
    /// same follows the setting.
    pub client_computed_stats: bool,
}

impl From<DroppedP0> for SendOptions {
    fn from(dropped: DroppedP0) -> Self {
        Self { dropped, ..Self::default() }
    }
}

/// What the agent answered, and what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentResponse {
    /// The agent's answer; status 0 and no attempt when there was nothing to send.
    pub reply: Reply,
    /// Chunks sent.
    pub traces: u64,
    /// Spans sent.
    pub spans: u64,
    /// What of the payload was not sent, and why.
    pub left_out: LeftOut,
}

/// What the stages took out of a payload before it was sent, and what they had to repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// What trace filters rejected.
    pub filtered: Counts,
    /// What sampling dropped.
    pub sampled_out: Counts,
    /// Chunks that could not be read.
    pub malformed: Counts,
    /// Chunks that the agent would refuse.
    pub invalid: Counts,
    /// Values repaired.
    pub repaired: u64,
}

impl From<&Outcome> for LeftOut {
    fn from(outcome: &Outcome) -> Self {
        Self {
            filtered: outcome.filtered,
            sampled_out: outcome.sampled_out,
            malformed: outcome.malformed,
            invalid: outcome.refused,
            repaired: outcome.repaired,
        }
    }
}

impl AgentResponse {
    /// HTTP status; 0 when there was nothing to send.
    pub fn status(&self) -> u16 {
        self.reply.status
    }

    /// The agent's body as it came. Shared with the last answer while it stays the same.
    pub fn body(&self) -> &Arc<[u8]> {
        &self.reply.body
    }

    /// Requests made.
    pub fn attempts(&self) -> u32 {
        self.reply.attempts
    }
}
