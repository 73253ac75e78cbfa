//! What was offered and waits, in memory and on disk, and the senders that empty both.
//!
//! [`rules`] says what happens and when, and knows neither locks nor a clock. [`queue`] and [`batches`] do it, between
//! threads. Payloads wait in a [`store`]: the [`line`] in memory, or the [`spool`] on disk. [`courier`] is what senders
//! do. Sends that must not hold their caller's thread go by [`tickets`], beside the queue.

mod batches;
pub(crate) mod courier;
mod line;
pub(crate) mod parcel;
pub(crate) mod queue;
#[cfg(test)]
mod queue_tests;
mod rules;
pub(crate) mod spool;
mod store;
pub(crate) mod tickets;
