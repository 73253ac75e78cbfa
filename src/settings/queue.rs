//! Settings of the asynchronous interface: the queue, its senders, what happens when it is full.

use super::{RawConfig, choice, duration, invalid};
use crate::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Default bound of the queue in bytes.
pub(super) const DEFAULT_QUEUE_BYTES: usize = 32 << 20;
/// Default bound of the queue in payloads.
pub(super) const DEFAULT_QUEUE_PAYLOADS: usize = 4096;
/// Default number of senders.
pub(super) const DEFAULT_SENDERS: usize = 1;
/// Small payloads are merged up to this size by default.
pub(super) const DEFAULT_BATCH_BYTES: usize = 1 << 20;
/// A batch waits no longer than this by default.
pub(super) const DEFAULT_BATCH_AGE: Duration = Duration::from_millis(200);
/// How long a queued payload is tried by default.
pub(super) const DEFAULT_ASYNC_BUDGET: Duration = Duration::from_secs(60);
/// How long an offer waits for room by default, if it waits.
pub(super) const DEFAULT_BLOCK_WAIT: Duration = Duration::from_secs(1);
/// No more senders than this.
const MOST_SENDERS: u32 = 64;
/// A smaller queue could not hold a payload worth sending.
const LEAST_QUEUE_BYTES: u64 = 64 << 10;
/// A spool below this could not hold a queue's worth.
const LEAST_SPOOL_BYTES: u64 = 1 << 20;

/// What happens when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// What is offered is refused.
    #[default]
    DropNewest,
    /// The oldest payloads make room.
    DropOldest,
    /// The offering thread waits for room, up to `blockWait`; then what is offered is refused.
    Block,
    /// The traces worth least make room: sampled-out ones first, then those that were kept automatically, those with errors
    /// or kept by the user last; of equal worth the oldest.
    Shed,
}

impl Overflow {
    /// The names in settings.
    pub const ALL: [(&'static str, Overflow); 4] = [
        ("DROP_NEWEST", Self::DropNewest),
        ("DROP_OLDEST", Self::DropOldest),
        ("BLOCK", Self::Block),
        ("SHED", Self::Shed),
    ];
}

/// Checked settings of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // see `Builder`
pub struct QueueSettings {
    pub bytes: usize,
    pub payloads: usize,
    pub senders: usize,
    pub batch_bytes: usize,
    pub batch_age: Duration,
    /// How long a queued payload is tried.
    pub budget: Duration,
    pub overflow: Overflow,
    pub block_wait: Duration,
    /// Where the queue's overflow is kept while the agent is away, and how many bytes that may take.
    pub spool: Option<(PathBuf, u64)>,
}

pub(super) fn settings(raw: &RawConfig) -> Result<QueueSettings, Error> {
    let size =
        |n: Option<u64>, default: usize| n.map_or(default, |n| usize::try_from(n).unwrap_or(usize::MAX));
    if let Some(n) = raw.queue_bytes.filter(|n| *n < LEAST_QUEUE_BYTES) {
        return Err(invalid(format!("queueBytes is {n}; it must be {LEAST_QUEUE_BYTES} or more")));
    }
    if let Some(n) = raw.queue_payloads.filter(|n| !(1..=1 << 20).contains(n)) {
        return Err(invalid(format!("queuePayloads is {n}; it must be 1 to {}", 1 << 20)));
    }
    if let Some(n) = raw.senders.filter(|n| !(1..=MOST_SENDERS).contains(n)) {
        return Err(invalid(format!("senders is {n}; it must be 1 to {MOST_SENDERS}")));
    }
    let zero_or =
        |name, ms, default| if ms == Some(0) { Ok(Duration::ZERO) } else { duration(name, ms, default) };
    let spool = match (&raw.spool, raw.spool_bytes) {
        (None, None) => None,
        (Some(path), Some(bytes)) if bytes >= LEAST_SPOOL_BYTES && !path.is_empty() => {
            Some((PathBuf::from(path), bytes))
        }
        _ => {
            return Err(invalid(format!(
                "spool needs a directory and a limit of {LEAST_SPOOL_BYTES} bytes or more"
            )));
        }
    };
    Ok(QueueSettings {
        bytes: size(raw.queue_bytes, DEFAULT_QUEUE_BYTES),
        payloads: raw.queue_payloads.map_or(DEFAULT_QUEUE_PAYLOADS, |n| n as usize),
        senders: raw.senders.map_or(DEFAULT_SENDERS, |n| n as usize),
        batch_bytes: size(raw.batch_bytes, DEFAULT_BATCH_BYTES),
        batch_age: zero_or("batchAge", raw.batch_age_ms, DEFAULT_BATCH_AGE)?,
        budget: duration("asyncBudget", raw.async_budget_ms, DEFAULT_ASYNC_BUDGET)?,
        overflow: choice("overflow", raw.overflow.as_deref(), &Overflow::ALL)?,
        block_wait: zero_or("blockWait", raw.block_wait_ms, DEFAULT_BLOCK_WAIT)?,
        spool,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Config;

    #[test]
    fn defaults_are_the_documented_ones_and_nonsense_is_refused_by_name() {
        let c = Config::new(RawConfig::default()).unwrap().queue;
        assert_eq!((c.bytes, c.payloads, c.senders), (32 << 20, 4096, 1));
        assert_eq!((c.batch_bytes, c.batch_age), (1 << 20, Duration::from_millis(200)));
        assert_eq!((c.budget, c.overflow, c.spool), (Duration::from_secs(60), Overflow::DropNewest, None));
        for (raw, word) in [
            (RawConfig { queue_bytes: Some(1000), ..RawConfig::default() }, "queueBytes"),
            (RawConfig { queue_payloads: Some(0), ..RawConfig::default() }, "queuePayloads"),
            (RawConfig { senders: Some(65), ..RawConfig::default() }, "senders"),
            (RawConfig { async_budget_ms: Some(0), ..RawConfig::default() }, "asyncBudget"),
            (RawConfig { overflow: Some("drop".into()), ..RawConfig::default() }, "DROP_NEWEST"),
            (RawConfig { spool: Some("/x".into()), ..RawConfig::default() }, "spool"),
            (RawConfig { spool_bytes: Some(1), ..RawConfig::default() }, "spool"),
        ] {
            let e = Config::new(raw).unwrap_err();
            assert!(e.message().contains(word), "{e}");
        }
    }
}
