//! Normalization: what the agent would have made of a span's fields before anybody sees them.
//!
//! One file a rule family. A rule takes bytes and says whether they stay ([`Verdict`](crate::trace::Verdict)); the
//! usual text, which is fine, is only looked at. [`Normalizer`] applies the rules to whole spans and chunks and counts
//! each change by the agent's reason ([`Counts`]). The rules are those of the agent 7.85 for v0.4 payloads.

mod chunk;
mod name;
mod peer_service;

mod service;
mod span;
mod status_code;
pub(crate) mod swar;
mod tag;
mod time;
pub mod truncate;
pub(crate) mod unicode;
mod unicode_tables;

pub use crate::account::normalization::{Counts, Reason, Refusal};
pub(crate) use chunk::duplicate_ids;
pub use chunk::{ChunkTags, root, tags};
pub use name::{UNNAMED, name};
pub use peer_service::{base_service, peer_service};
pub use service::{fallback, service};
pub use span::Normalizer;
pub use status_code::http_status_code;
pub use tag::{tag, tag_value};
pub use time::{YEAR_2000_NS, duration, start};
