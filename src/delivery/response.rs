//! What goes in beside a payload, and what comes back for it.

pub use crate::account::DroppedP0;
use crate::destination::agent::Reply;
use std::sync::Arc;

/// What the agent answered, and what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentResponse {
    /// The agent's answer; status 0 and no attempt when there was nothing to send.
    pub reply: Reply,
    /// Chunks sent.
    pub traces: u64,
    /// Spans sent.
    pub spans: u64,
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
