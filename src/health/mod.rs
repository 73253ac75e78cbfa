//! What the exporter says about itself: log lines ([`journal`]), metrics ([`dogstatsd`]) and everything at once
//! ([`explain`]). All of it comes from what `delivery` books into its account.

pub(crate) mod dogstatsd;
pub(crate) mod explain;
pub(crate) mod journal;

pub use journal::{LogLine, Severity};
