//! Client-side stats: every span that counts, counted once, in groups of ten-second buckets, as agent and backend take
//! them (`/v0.6/stats`). Rules: `spec/reference-behaviour.md` 4.
//!
//! [`Rules::observe`] reads the spans of a batch into [`Pending`], without a lock; [`Concentrator::commit`] counts them
//! once a payload; `payload` writes what is due. Nothing here talks to the agent.

mod bucket;
mod concentrator;
mod key;
mod memo;
mod observe;
mod otlp_metrics;
mod otlp_protobuf;
mod payload;
mod pending;
mod place;
mod recall;
mod resources;
mod sketch;
mod status;
mod table;

pub use bucket::{Collapsed, StatsLimits};
pub(crate) use concentrator::next_payload;
pub use concentrator::{Clock, Concentrator, MAX_GROUPS_PER_PAYLOAD, StatsReport};
pub use observe::{DEFAULT_KINDS, MAX_ADDITIONAL, Quantize, Rules, STATS_SLOTS};
pub(crate) use payload::encode_as;
pub use pending::Pending;
pub use resources::{MAX_BIG_RESOURCE, MAX_RESOURCE, Obfuscate, Resources};
pub use sketch::{GAMMA, MAX_BINS, RELATIVE_ACCURACY, Sketch, value_of};
pub use table::Row;
