//! `data-pipeline` takes finished traces from a tracer (msgpack, protocol v0.4) and delivers them to Datadog.
//!
//! The crate has three faces: Rust ([`TraceExporter`]), Java (`com.datadog.pipeline.TraceExporter`, feature `jni`)
//! and later C. All three are thin over the same pipeline:
//!
//! ```text
//! bytes --scan--> Payload --filter--> normalize --> obfuscate --> top level --> stats --> drop p0 --> encode --> deliver
//! ```
//!
//! **Threading.** [`TraceExporter`] is `Send + Sync`; `send` works on the caller's thread and any number of threads may
//! call it at once. Native threads never call Java.
//!
//! **Memory.** A payload is never turned into owned spans. One pass over the bytes fills a reused arena with numbers and
//! byte ranges; output is spliced from ranges of the input. Arenas and output buffers belong to the exporter.
//!
//! **What it never does.** Print, install signal handlers, read the environment, or lose a trace without counting it.

pub mod account;
mod asynchronous;
pub mod convert;
pub mod delivery;
pub mod destination;
pub mod error;
pub mod exporter;
mod face;
pub mod format;
pub mod health;
#[cfg(feature = "jni")]
mod jni;
pub mod msgpack;
pub mod normalize;
pub mod obfuscate;
mod pipeline;
pub mod regexes;
pub mod rewrite;
pub mod settings;
pub mod show;
pub mod stats;
mod time;
pub mod trace;
pub mod transport;

pub use asynchronous::{FlushReport, PendingResponse};
pub use delivery::outbox::queue::QueueStatus;
pub use delivery::presence::{AgentState, Condition};
pub use error::{Error, ErrorKind};
pub use exporter::{AgentResponse, DroppedP0, TraceExporter};
pub use health::{LogLine, Severity};
pub use pipeline::PayloadStats;
pub use settings::{Builder, RawConfig};
