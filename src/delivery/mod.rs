//! What becomes of a payload between the pipeline and the agent, and the account of it. Never looks inside a span.
//!
//! [`dispatch`] is the way of one payload: the course of the moment ([`course`]), the pipeline, the request, what is tried
//! when the agent refuses, the account ([`crate::account`]). A payload that is too large goes in parts ([`split`]). What runs
//! beside sends, `/info` and probes, is an errand ([`errands`]). What was offered waits in the [`outbox`]; senders
//! take it from there the same way.

pub(crate) mod course;
pub(crate) mod discovery;
pub(crate) mod dispatch;
pub(crate) mod errands;
pub(crate) mod outbox;
pub(crate) mod presence;
pub mod response;
pub(crate) mod sends;
pub(crate) mod split;
pub(crate) mod stats;
