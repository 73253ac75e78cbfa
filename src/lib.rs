//! `data-pipeline` takes finished traces from a tracer (msgpack, protocol v0.4) and delivers them to Datadog.
//!
//! The crate has three faces: Rust ([`TraceExporter`], whose page begins with an example), Java (feature `jni`,
//! `com.datadog.pipeline.TraceExporter`) and C (feature `capi`, headers under `include/`). All three are thin over the
//! same pipeline:
//!
//! ```text
//! bytes --scan--> Payload --filter--> normalize --> obfuscate --> top level --> stats --> drop p0 --> encode -->
//! deliver
//! ```
//!
//! **Threading.** [`TraceExporter`] is `Send + Sync`; `send` works on the caller's thread and any number of threads may
//! call it at once. Native threads never call Java.
//!
//! **Memory.** A payload is never turned into owned spans. One pass over the bytes fills a reused arena with numbers
//! and byte ranges; output is spliced from ranges of the input. Arenas and output buffers belong to the exporter.
//!
//! **What is public.** What a user needs stands here, what a builder of a pipeline of one's own needs in [`stages`].
//! The rooms of the crate are private; the feature `parts` opens them for this crate's own tests, benches and oracles,
//! and promises nothing.
//!
//! **Features.** `jni` (on by default) is the Java boundary; Rust programs switch it off. `capi` is the C boundary.
//! `tls` adds https and client certificates, `webpki-roots` Mozilla's list of authorities, `gzip` and `zstd` compressed
//! bodies; `full` is `tls`, `gzip` and `zstd`. `reserve` is for libraries that a foreign host loads: it sets the global
//! allocator (the system's, with a reserve for small allocations). `parts` is for this crate's own tests.
//!
//! **Versions.** Rust 1.90 or newer. What the public surface promises holds within a minor version until 1.0; a higher
//! `rust-version` is a minor version.
//!
//! **What it never does.** Print, install signal handlers, read the environment, or lose a trace without counting it.

// What only tests and benches use is not used without them.
#![cfg_attr(not(feature = "parts"), allow(unreachable_pub, dead_code, unused_imports))]

#[cfg(not(feature = "parts"))]
mod account;
#[cfg(feature = "parts")]
pub mod account;
mod asynchronous;
#[cfg(feature = "capi")]
mod capi;
#[cfg(not(feature = "parts"))]
mod convert;
#[cfg(feature = "parts")]
pub mod convert;
#[cfg(not(feature = "parts"))]
mod delivery;
#[cfg(feature = "parts")]
pub mod delivery;
#[cfg(not(feature = "parts"))]
mod destination;
#[cfg(feature = "parts")]
pub mod destination;
mod directory;
#[cfg(not(feature = "parts"))]
mod error;
#[cfg(feature = "parts")]
pub mod error;
#[cfg(not(feature = "parts"))]
mod exporter;
#[cfg(feature = "parts")]
pub mod exporter;
mod face;
#[cfg(not(feature = "parts"))]
mod format;
#[cfg(feature = "parts")]
pub mod format;
#[cfg(not(feature = "parts"))]
mod health;
#[cfg(feature = "parts")]
pub mod health;
#[cfg(feature = "jni")]
mod jni;
mod memory;
#[cfg(not(feature = "parts"))]
mod msgpack;
#[cfg(feature = "parts")]
pub mod msgpack;
#[cfg(not(feature = "parts"))]
mod normalize;
#[cfg(feature = "parts")]
pub mod normalize;
#[cfg(not(feature = "parts"))]
mod obfuscate;
#[cfg(feature = "parts")]
pub mod obfuscate;
mod object;
mod pipeline;
#[cfg(not(feature = "parts"))]
mod regexes;
#[cfg(feature = "parts")]
pub mod regexes;
#[cfg(not(feature = "parts"))]
mod rewrite;
#[cfg(feature = "parts")]
pub mod rewrite;
#[cfg(not(feature = "parts"))]
mod settings;
#[cfg(feature = "parts")]
pub mod settings;
#[cfg(not(feature = "parts"))]
mod show;
#[cfg(feature = "parts")]
pub mod show;
pub mod stages;
#[cfg(not(feature = "parts"))]
mod stats;
#[cfg(feature = "parts")]
pub mod stats;
mod threads;
mod time;
#[cfg(not(feature = "parts"))]
mod trace;
#[cfg(feature = "parts")]
pub mod trace;
#[cfg(not(feature = "parts"))]
mod transport;
#[cfg(feature = "parts")]
pub mod transport;

// The exporter.
pub use asynchronous::{FlushReport, PendingResponse};
pub use delivery::outbox::queue::QueueStatus;
pub use delivery::presence::{AgentState, Condition};
pub use error::{Error, ErrorKind};
pub use exporter::{AgentResponse, CloseReport, DroppedP0, LeftOut, SendOptions, TraceExporter};
pub use health::{LogLine, Severity};

// Its settings, and what their values are.
pub use settings::{
    AgentDestination, BadValues, Builder, Compression, Config, Destination, FilterRules, InputFormat,
    IntakeDestination, LogDestination, LogTarget, Metadata, OnMalformed, OtherFormat, OtlpDestination,
    OtlpEncoding, OutputChoice, OutputFormat, Overflow, RawConfig, Secret, StatsLimits, Writer,
};

// What became of payloads.
pub use account::{Counts, DropReason, Metrics, Outcome};
pub use destination::agent::Info as AgentInfo;
pub use stats::StatsReport;

// Payloads without an exporter.
pub use convert::{Converted, convert, convert_to};
pub use pipeline::PayloadStats;
pub use settings::Conversion;
pub use show::json_lines;
