//! What becomes of a payload between the pipeline and its destination, and the account of it. Never looks
//! inside a span.
//!
//! [`dispatch`] is the way of one payload: the way of the moment ([`way`]), the pipeline, the request, the
//! account ([`crate::account`]). What is refused as it is goes another way ([`fallback`]); what is told of
//! fates stands in [`booking`]; where there are several destinations, [`failover`] says whose turn it is. What
//! is known of a destination is a [`target`]; when it is asked, probed, and sent stats is the [`dialogue`], whose
//! [`tasks`] run on a thread of the exporter; [`life`] is beginning and end, [`live`] settings that change in
//! between. What was offered waits in the [`outbox`]; its senders take it from there the same way. Whoever wants
//! to know of it all [`watch`]es.

mod booking;
mod dialogue;
pub(crate) mod discovery;
pub(crate) mod dispatch;
mod failover;
mod fallback;
mod life;
pub(crate) mod live;
pub(crate) mod outbox;
pub(crate) mod presence;
pub mod response;
pub(crate) mod sends;
pub(crate) mod stats;
pub(crate) mod target;
mod tasks;
mod telemetry;
pub mod watch;
pub(crate) mod way;
