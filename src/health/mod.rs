//! What the exporter says about itself: log lines ([`journal`]), metrics ([`dogstatsd`]) and everything at once
//! ([`explain`]). [`Health`] watches what delivery tells; delivery does not know it.

pub(crate) mod dogstatsd;
pub(crate) mod explain;
pub(crate) mod journal;

pub use journal::{LogLine, Severity};

use crate::account::{Counts, DropReason};
use crate::delivery::outbox::queue::QueueStatus;
use crate::delivery::watch::{Event, Watch};
use crate::settings::StatsdUrl;
use dogstatsd::Statsd;
use journal::{Journal, Topic};
use std::time::{Duration, Instant};

/// Watches one exporter.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) journal: Journal,
    pub(crate) statsd: Option<Statsd>,
}

impl Health {
    /// Health metrics go to `dogstatsd`, if anywhere.
    pub(crate) fn new(dogstatsd: Option<StatsdUrl>) -> Self {
        Self { journal: Journal::default(), statsd: dogstatsd.map(Statsd::new) }
    }
}

impl Watch for Health {
    #[inline]
    fn notify(&self, event: Event<'_>) -> Option<Duration> {
        match &event {
            Event::Delivered(_) => self.journal.delivered(Instant::now),
            Event::Repaired(place) => {
                let place = || (*place).to_owned();
                self.journal.trouble(Topic::Repaired, Counts::default(), place, Instant::now());
            }
            Event::Lost { reason, counts, why, first } => {
                let detail = || match first() {
                    Some(first) => format!("{why}; the first trace: {first}"),
                    None => (*why).to_owned(),
                };
                self.journal.trouble(Topic::of(*reason), *counts, detail, Instant::now());
            }
            Event::Note(..)
            | Event::Read(_)
            | Event::Unread
            | Event::NotDelivered(..)
            | Event::Collapsed(_)
            | Event::SenderStarted => {}
        }
        if let Event::Note(severity, text) = event {
            self.journal.note(severity, text);
            return None;
        }
        let begins = self.statsd.as_ref()?.notify(&event);
        begins.then_some(dogstatsd::INTERVAL)
    }

    #[inline]
    fn names(&self, reason: DropReason) -> bool {
        self.journal.would_detail(Topic::of(reason))
    }

    fn flush(&self, port: Option<u16>, queue: &QueueStatus) -> Option<Duration> {
        let statsd = self.statsd.as_ref()?;
        statsd.queue(queue);
        statsd.flush(port);
        // While the peer is away nothing else would come back here.
        (queue.payloads > 0).then_some(dogstatsd::INTERVAL)
    }

    fn flush_last(&self, port: Option<u16>) {
        if let Some(statsd) = &self.statsd {
            statsd.flush_last(port);
        }
    }

    fn waits(&self) -> Option<Duration> {
        self.statsd.as_ref()?.has_lines().then_some(dogstatsd::INTERVAL)
    }
}
