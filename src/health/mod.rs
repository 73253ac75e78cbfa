//! What the exporter says about itself: log lines ([`journal`]), metrics ([`dogstatsd`]), instrumentation telemetry
//! ([`telemetry`]) and everything at once ([`explain`]). [`Health`] watches what delivery tells; delivery does not
//! know it.

pub(crate) mod dogstatsd;
pub(crate) mod explain;
pub(crate) mod journal;
pub(crate) mod telemetry;

pub use journal::{LogLine, Severity};

use crate::account::{Counts, DropReason, Metrics, Verdict};
use crate::delivery::outbox::queue::QueueStatus;
use crate::delivery::watch::{Event, Wanted, Watch};
use crate::destination::TelemetryMessage;
use crate::settings::{Config, Metadata};
use dogstatsd::Statsd;
use journal::{Journal, Topic};
use std::time::{Duration, Instant, SystemTime};
use telemetry::Telemetry;

/// Watches one exporter.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) journal: Journal,
    pub(crate) statsd: Option<Statsd>,
    pub(crate) telemetry: Option<Telemetry>,
}

impl Health {
    /// Of an exporter with these settings.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            journal: Journal::default(),
            statsd: config.dogstatsd.clone().map(Statsd::new),
            telemetry: config.telemetry.clone().map(Telemetry::new),
        }
    }
}

impl Watch for Health {
    #[inline]
    fn notify(&self, event: Event<'_>) -> Wanted {
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
            return Wanted::default();
        }
        let begins = self.statsd.as_ref().is_some_and(|statsd| statsd.notify(&event));
        Wanted {
            flush: begins.then_some(dogstatsd::INTERVAL),
            telemetry: self.telemetry.as_ref().and_then(|telemetry| telemetry.notify(&event)),
        }
    }

    #[inline]
    fn names(&self, reason: DropReason) -> bool {
        self.journal.would_detail(Topic::of(reason))
    }

    fn flush(&self, port: Option<u16>, queue: &QueueStatus, account: &Metrics) -> Option<Duration> {
        let statsd = self.statsd.as_ref()?;
        statsd.queue(queue);
        statsd.losses(account);
        statsd.flush(port);
        // While the peer is away nothing else would come back here.
        (queue.payloads > 0).then_some(dogstatsd::INTERVAL)
    }

    fn flush_last(&self, port: Option<u16>, account: &Metrics) {
        if let Some(statsd) = &self.statsd {
            statsd.losses(account);
            statsd.flush_last(port);
        }
    }

    fn telemetry(&self, account: &Metrics, who: &Metadata, at: SystemTime) -> Option<TelemetryMessage> {
        self.telemetry.as_ref()?.message(account, who, at)
    }

    fn told(&self, verdict: Verdict<()>) -> Option<Duration> {
        self.telemetry.as_ref()?.told(verdict)
    }

    fn rest(&self) {
        if let Some(telemetry) = &self.telemetry {
            telemetry.rest();
        }
    }

    fn waits(&self) -> Wanted {
        let has_lines = self.statsd.as_ref().is_some_and(Statsd::waits);
        Wanted {
            flush: has_lines.then_some(dogstatsd::INTERVAL),
            telemetry: self.telemetry.as_ref().and_then(Telemetry::waits),
        }
    }
}
