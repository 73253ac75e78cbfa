//! Talking to the agent: requests, headers, connections, what it answers and what it offers. Never looks inside a span.
//!
//! [`Client`] is the way in. It owns an HTTP client (ureq) over transports of ours ([`crate::transport`]), the constant header
//! block ([`headers`]), the policy of trying again ([`crate::transport::retry`]) and the memory of the agent's last answer ([`response`]).
//! What the agent offers is read by [`info`]; who we run inside of by [`entity`].

mod client;
pub mod entity;
pub mod headers;
pub mod info;
pub mod response;
pub mod sha256;

pub use client::{Client, TraceRequest};
pub use info::Info;
pub use response::Reply;
