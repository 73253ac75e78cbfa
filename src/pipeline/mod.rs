//! The pipeline: one payload through every stage that is switched on.
//!
//! [`plan`] says which stages run; their order reads top-down in [`workspace`]'s `stages`. [`stats_resources`] says how
//! resources of stats are obfuscated, [`PayloadStats`] counts payloads without an exporter.

mod payload_stats;
mod plan;
pub(crate) mod stats_resources;
mod workspace;

pub use payload_stats::PayloadStats;
pub(crate) use plan::{Plan, Stats, filters};
pub(crate) use workspace::{Prepared, Workspace};
