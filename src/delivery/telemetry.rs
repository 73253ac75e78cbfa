//! How health metrics and telemetry get their time, and telemetry its way: on the task thread, to the first destination
//! that takes it, once an interval in which something has happened. What fails costs nothing but the numbers; `close`
//! sends the last message within its limit.

use super::dispatch::Dispatcher;
use super::tasks::Task;
use super::watch::Wanted;
use crate::account::{Later, Verdict};
use crate::error::{Error, ErrorKind};
use std::time::{Duration, Instant};

/// One message takes no longer.
const LIMIT: Duration = Duration::from_secs(3);
/// With less time left nothing is tried.
const LEAST_TIME: Duration = Duration::from_millis(5);

impl Dispatcher {
    /// Arranges what whoever watches wants.
    #[inline]
    pub(super) fn arrange_watch(&self, wanted: Wanted) {
        if let Some(after) = wanted.flush {
            self.arrange(Task::Health, self.clock.now() + after);
        }
        if let Some(after) = wanted.telemetry {
            self.arrange(Task::Telemetry, self.clock.now() + after);
        }
    }

    /// Sends health metrics.
    pub(super) fn send_health(&self) {
        let flush = self.watch.flush(self.statsd_port(), &self.queue.status(), &self.account.snapshot());
        self.arrange_watch(Wanted { flush, telemetry: None });
    }

    /// The last words: what was lost while the exporter closed is among them.
    pub(crate) fn say_farewell(&self) {
        self.watch.flush_last(self.statsd_port(), &self.account.snapshot());
    }

    /// A turn on the task thread.
    pub(super) fn telemetry_task(&self) {
        let telemetry = self.send_telemetry(self.clock.now() + LIMIT);
        self.arrange_watch(Wanted { flush: None, telemetry });
    }

    /// Sends what there is to tell until `end`. Gives when to try again, if that is known now.
    pub(crate) fn send_telemetry(&self, end: Instant) -> Option<Duration> {
        let targets = self.targets.all();
        let Some(target) = targets.iter().find(|target| target.destination.takes_telemetry()) else {
            self.watch.rest();
            return None;
        };
        // While it is away nobody is asked in vain.
        if target.presence.is_down() {
            return self.watch.waits().telemetry;
        }
        let metadata = self.metadata.read().clone();
        let message = self.watch.telemetry(&self.account.snapshot(), &metadata, self.clock.wall())?;
        let left = end.saturating_duration_since(self.clock.now()).min(LIMIT);
        let verdict = if left < LEAST_TIME {
            let text = "no time was left to send telemetry (`closeTimeout`)";
            Verdict::Later(Later::whole(Error::new(ErrorKind::TimedOut, text)))
        } else {
            target.destination.send_telemetry(&message, left)
        };
        self.watch.told(verdict)
    }
}
