//! Talking to the agent: requests, headers, connections, what it answers and what it offers. Never looks
//! inside a span.
//!
//! [`peer`] is the agent as delivery sees it: a [`Destination`](super::Destination). It stands on [`Client`],
//! which owns an HTTP client (ureq) over transports of ours ([`crate::transport`]), the constant header block
//! ([`headers`]), the policy of trying again ([`crate::transport::retry`]) and the memory of the agent's last
//! answer ([`response`]). What the agent says of itself is read by [`info`], what follows from it is
//! [`offer`]; an agent that says nothing is tried by [`probe`]; who we run inside of is found by [`entity`].

mod client;
pub mod entity;
pub mod headers;
pub mod info;
mod offer;
mod peer;
mod probe;
pub mod response;
pub mod sha256;

pub use client::{Client, TraceRequest};
pub use entity::Entity;
pub use info::Info;
pub(crate) use peer::Agent;
pub use response::Reply;
