//! The pipeline: one payload through every stage that is switched on.
//!
//! [`plan`] says which stages run; their order reads top-down in [`workspace`]'s `stages`. [`stats_resources`] says how
//! resources of stats are obfuscated, [`Compiled`] what settings say as text, [`PayloadStats`] counts payloads without
//! an exporter.

mod compiled;
mod completion;
mod payload_stats;
mod plan;
pub(crate) mod stats_resources;
mod workspace;

pub(crate) use compiled::Compiled;
pub use payload_stats::PayloadStats;
pub(crate) use plan::{Plan, Stats, filters};
pub(crate) use workspace::{Prepared, Workspace};
