//! Talking to the agent: requests, headers, connections, what it answers and what it offers. Never looks inside a span.
//!
//! [`Client`] is the way in. It owns an HTTP client (ureq) over transports of ours ([`transport`]), the constant header
//! block ([`headers`]), the policy of trying again ([`retry`]) and the memory of the agent's last answer ([`response`]).
//! What the agent offers is read by [`info`]; who we run inside of by [`entity`].

mod client;
pub(crate) mod discovery;
pub mod entity;
mod exchange;
mod gate;
pub mod headers;
pub mod info;
pub(crate) mod presence;
pub mod response;
pub mod retry;
pub mod sha256;
mod transport;

pub use client::{Client, TraceRequest};
pub use info::Info;
pub use presence::{AgentState, Condition};
pub use response::Reply;
