//! What a peer answered to a body that it has taken.

use crate::error::Error;
use std::sync::Arc;

/// A success. What only agents say is absent in the answers of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status, 200 to 299; 0 when there was nothing to send.
    pub status: u16,
    /// The body as it came.
    pub body: Arc<[u8]>,
    /// The last body that carried `rate_by_service`, this one or an earlier one.
    pub rates: Option<Arc<[u8]>>,
    /// Whether `rates` is news.
    pub rates_changed: bool,
    /// `Datadog-Container-Tags-Hash`.
    pub container_tags_hash: Option<Arc<str>>,
    /// What the peer calls its state (`Datadog-Agent-State`: SHA-256 of the agent's `/info`). Another one
    /// than that of what is known of it means that it should be asked again.
    pub agent_state: Option<Arc<str>>,
    /// Requests made, the successful one included; a repetition on a connection that had gone stale does not count.
    pub attempts: u32,
    /// An earlier attempt was written whole and got no answer, so the peer may have the payload twice.
    pub possibly_duplicated: bool,
    /// Spans of the request that the peer has rejected, although it took the request.
    pub rejected_spans: u64,
    /// Nothing was sent: this is a dry run (`dryRun`).
    pub is_dry: bool,
    /// Why the answer could not be read, although it said that the payload was taken.
    pub fault: Option<Error>,
}

impl Reply {
    /// A success without words; `body` is empty.
    pub(crate) fn without_words(status: u16, attempts: u32, body: Arc<[u8]>) -> Self {
        Self {
            status,
            body,
            rates: None,
            rates_changed: false,
            container_tags_hash: None,
            agent_state: None,
            attempts,
            possibly_duplicated: attempts > 1,
            rejected_spans: 0,
            is_dry: false,
            fault: None,
        }
    }

    /// The answer of nobody: a dry run.
    pub(crate) fn dry() -> Self {
        Self { is_dry: true, ..Self::without_words(0, 0, Arc::from(&[][..])) }
    }

    /// The success of an answer that began as one and could not be read.
    pub(crate) fn unread(error: Error) -> Self {
        let reply = Self::without_words(error.status().unwrap_or(200), error.attempts(), Arc::from(&[][..]));
        Self { fault: Some(error), ..reply }
    }
}
