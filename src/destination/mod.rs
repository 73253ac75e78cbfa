//! Where bodies go, one room a kind of peer.
//!
//! A [`Destination`] knows its peer: endpoint, headers, the largest request, how to split what is larger,
//! what an answer means, and what the peer says of itself. When to send, what to do next and whom to wake is
//! delivery's matter; delivery knows a destination only by this trait. [`agent`] is the first one.

pub mod agent;
mod beyond;
mod intake;
mod learned;
mod log;
mod otlp;
#[cfg(test)]
mod own;
mod reply;
pub(crate) mod split;

pub use reply::Reply;

use crate::account::{DroppedP0, Verdict};
use crate::error::{Error, ErrorKind};
use crate::format::Encoding;
use crate::settings::{Config, Defaults, FilterRules, Peer, StatsForm};
use crate::transport::TlsReport;
use crate::transport::outlet::Outlet;
use agent::Info;
use split::Piece;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One peer that takes bodies. Everything here may be called from any thread; only what sends or asks blocks.
pub(crate) trait Destination: fmt::Debug + Send + Sync {
    /// Its address, as messages show it: no credentials, no query.
    fn address(&self) -> &Arc<str>;

    /// What bodies must be like now. Another one after [`Destination::ask`] has brought news or a format was refused.
    fn offer(&self) -> Arc<Offer>;

    /// How large a body may be now; `size` is what one is about to have. Follows the offer and what refusals
    /// have taught.
    fn largest(&self, size: usize, now: Instant) -> usize;

    /// Sends one body, again and again within its time where that can help, and says what the answer means.
    fn send(&self, request: &Request<'_>) -> Verdict<Reply>;

    /// The peer wanted another format than that of `offer`; the next offer has one.
    fn format_refused(&self, offer: &Offer);

    /// What helps, for people, where a single trace is larger than it takes.
    fn size_knob(&self) -> &'static str {
        "fewer spans a trace"
    }

    /// Smaller parts were of no use: what refusals have taught is forgotten.
    fn forget_refusals(&self) {}

    /// Packs the traces of a body, in their order, into parts of at most `limit` bytes.
    fn split(&self, traces: &[Piece], limit: usize) -> Vec<Range<usize>> {
        split::pack(traces, limit)
    }

    /// Sends a body of stats. `obfuscation_version`: by which of the agreed rules its resources are obfuscated.
    fn send_stats(&self, body: &[u8], obfuscation_version: Option<u32>, budget: Duration) -> Verdict<()>;

    /// Whether it takes instrumentation telemetry.
    fn takes_telemetry(&self) -> bool {
        false
    }

    /// Sends a message of instrumentation telemetry, once.
    fn send_telemetry(&self, _: &TelemetryMessage, _: Duration) -> Verdict<()> {
        Verdict::Lost(Error::new(ErrorKind::Internal, "no telemetry is taken here"))
    }

    /// Whether the peer has something to say of itself, so that it should be asked at start.
    fn is_asked(&self) -> bool {
        false
    }

    /// Asks the peer what it is and offers.
    fn ask(&self, limit: Duration) -> Asked;

    /// What the peer has said of itself, for hosts that feed other products from it.
    fn info(&self) -> Option<Info> {
        None
    }

    /// What the peer called its state when it answered last, refusals included.
    fn last_state(&self) -> Option<Arc<str>> {
        None
    }

    /// How TLS has gone with it, if it is spoken.
    fn tls(&self) -> Option<TlsReport> {
        None
    }

    /// Takes what the host is to write where it likes.
    fn take_lines(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Waits a moment; `false` at once if it is closed.
    fn pause(&self, time: Duration) -> bool;

    /// Another one has taken its place: what runs may end, nothing is tried again.
    fn retire(&self) {}

    /// Ends everything: requests in flight and waits fail with `CLOSED`, connections are closed, later sends
    /// fail at once.
    fn close(&self);

    /// After a close: new connections, in a process that may have become another one (a snapshot was restored).
    ///
    /// # Errors
    /// As when it was made.
    fn reopen(&self) -> Result<(), Error>;
}

fn is_success(error: &Error) -> bool {
    error.status().is_some_and(|s| (200..300).contains(&s))
}

/// Whether the answer began as a success: the peer has the body, only its words are lost.
fn was_taken(error: &Error) -> bool {
    error.possibly_arrived() && is_success(error)
}

/// The destination of a peer that settings name, whose bodies go out by `outlet`. Opens nothing and waits for nothing.
///
/// # Errors
/// `INVALID_URL` if its address cannot be used here.
pub(crate) fn of(
    config: &Arc<Config>,
    peer: &Peer,
    outlet: &Arc<Outlet>,
) -> Result<Arc<dyn Destination>, Error> {
    Ok(match peer {
        Peer::Agent(url) => Arc::new(agent::Agent::new(Arc::clone(config), url, outlet)?),
        Peer::Otlp(to) => Arc::new(otlp::Otlp::new(Arc::clone(config), to.clone(), outlet)?),
        Peer::Intake(to) => Arc::new(intake::Intake::new(Arc::clone(config), to.clone(), outlet)?),
        Peer::Log(to) => Arc::new(log::Log::new(to.clone(), outlet)?),
    })
}

/// What a peer wants of bodies, and what of our work it leaves to us. Plain values: delivery makes a plan of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    /// What bodies are written in.
    pub(crate) format: Encoding,
    /// Where they go.
    pub(crate) endpoint: &'static str,
    /// Whether another format is left if the peer refuses this one.
    pub(crate) has_fallback: bool,
    /// Why this format, for people.
    pub(crate) why: String,
    /// The largest body.
    pub(crate) max_bytes: usize,
    /// Who says so.
    pub(crate) limit: Limit,
    /// Filters that the peer has itself.
    pub(crate) filters: FilterRules,
    /// What it says about stats, if it takes them from us.
    pub(crate) stats: Option<StatsOffer>,
    /// Where it takes health metrics, if it says so.
    pub(crate) statsd_port: Option<u16>,
    /// What the peer calls the state that this follows from. `None`: it has said nothing yet.
    pub(crate) state: Option<Arc<str>>,
    /// What of our work it leaves to us, where the caller says nothing.
    pub(crate) defaults: Defaults,
}

/// Who says how large a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The caller.
    Setting,
    /// The peer.
    Peer,
    /// Nobody: what such peers take as a rule.
    Default,
}

/// What a peer that takes stats says about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StatsOffer {
    /// Tags that belong to the keys.
    pub(crate) peer_tags: Vec<String>,
    /// Kinds of spans that are counted.
    pub(crate) kinds: Vec<String>,
    /// By which rules resources may be obfuscated here; 0: not here.
    pub(crate) obfuscation_version: u32,
    /// How SQL is obfuscated, by its name.
    pub(crate) sql_mode: String,
    /// It takes longer resources.
    pub(crate) big_resource: bool,
    /// How a body of them is written.
    pub(crate) form: StatsForm,
}

/// One body to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The offer that it was made for.
    pub(crate) offer: &'a Offer,
    /// The body.
    pub(crate) body: &'a [u8],
    /// Chunks in it.
    pub(crate) traces: u64,
    /// What sampling dropped, here and at the tracer.
    pub(crate) dropped: DroppedP0,
    /// Stats were computed on this side.
    pub(crate) computed_stats: bool,
    /// Top-level spans were marked on this side.
    pub(crate) computed_top_level: bool,
    /// How long the send may take, repetitions and waiting included.
    pub(crate) budget: Duration,
    /// The setting that says so.
    pub(crate) knob: &'static str,
}

/// A message of instrumentation telemetry.
#[derive(Clone, Debug)]
pub(crate) struct TelemetryMessage {
    /// JSON.
    pub(crate) body: Vec<u8>,
    /// Headers that belong to it, beside those of the peer. An empty value is left out.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// What asking a peer has brought.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It has answered. `changed`: something else than before.
    Heard {
        /// What it calls its state.
        state: Arc<str>,
        /// Whether that is news.
        changed: bool,
    },
    /// It is there, and has nothing to say of itself.
    Nothing(Error),
    /// Likewise, and trying has found what it takes. `changed`: something else than before.
    Tried {
        /// Why nothing was heard, and what was found.
        error: Error,
        /// Whether that is news.
        changed: bool,
    },
    /// It was not heard of, or not understood.
    Failed(Error),
}

impl Asked {
    /// Whether the next offer is another one.
    pub(crate) fn is_news(&self) -> bool {
        matches!(self, Self::Heard { changed: true, .. } | Self::Tried { changed: true, .. })
    }

    /// Why nothing was heard.
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::Heard { .. } => None,
            Self::Nothing(error) | Self::Tried { error, .. } | Self::Failed(error) => Some(error),
        }
    }
}
