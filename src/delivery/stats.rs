//! How stats reach the agent: every bucket length the task thread sends what is due; `close` sends the rest
//! within its budget. What surely did not arrive is kept and goes out with the next turn, merged by bucket;
//! what the agent refuses, or perhaps has, is lost and counted, since a span counted twice is worse than one
//! missing.

use super::dispatch::Dispatcher;
use super::tasks::Task;
use super::watch::{Event, Severity};
use crate::account::{Later, Verdict};
use crate::error::{Error, ErrorKind};
use crate::pipeline::stats_resources::OBFUSCATION_VERSION;
use crate::stats::{Concentrator, encode_as, next_payload};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One payload of stats takes no longer.
const POST_LIMIT: Duration = Duration::from_secs(3);
/// With less time left nothing is tried.
const LEAST_TIME: Duration = Duration::from_millis(5);

/// What a turn does with buckets that are still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// They stay.
    Due,
    /// They go out too.
    All,
    /// They go out too, and what does not arrive is lost.
    Last,
}

impl Dispatcher {
    /// Arranges the next turn, if stats are on or something is left from when they were. `at_once`: the agent says
    /// something new of itself.
    pub(crate) fn arrange_stats(&self, at_once: bool) {
        let Some(concentrator) = &self.concentrator else { return };
        let on = self.targets.first().way().plan.stats.is_some();
        let now = self.clock.now();
        if on {
            self.arrange(Task::Stats, now + Duration::from_nanos(concentrator.bucket_ns()));
        } else if !concentrator.is_empty() {
            // Switched off: what was counted is sent at once, since nothing is added to it.
            let pause = if at_once { Duration::ZERO } else { Duration::from_nanos(concentrator.bucket_ns()) };
            self.arrange(Task::Stats, now + pause);
        }
    }

    /// A turn on the task thread.
    pub(crate) fn stats_task(&self) {
        let on = self.targets.first().way().plan.stats.is_some();
        // While the agent is away nothing is tried; the concentrator keeps what it has room for.
        if !self.targets.first().presence.is_down() {
            let turn = if on { Turn::Due } else { Turn::All };
            self.send_stats(turn, self.clock.now() + POST_LIMIT);
        }
        if let Some(concentrator) = &self.concentrator {
            self.report_displaced(concentrator);
        }
        self.arrange_stats(false);
    }

    /// Sends stats until `end`. Gives whether nothing is left that should have gone.
    pub(crate) fn send_stats(&self, turn: Turn, end: Instant) -> bool {
        let Some(concentrator) = &self.concentrator else { return true };
        // One turn at a time, so that no bucket overtakes itself. The last one must not be kept waiting.
        let Some(_turn) = self.stats_turn.try_lock_until(end) else {
            return turn == Turn::Last && self.lose_stats(concentrator);
        };
        self.report_collapsed(concentrator);
        let metadata = Arc::clone(&self.metadata.read());
        let form =
            self.targets.first().way().offer.stats.as_ref().map(|stats| stats.form).unwrap_or_default();
        let mut parts = concentrator.take_due(turn != Turn::Due);
        let mut body = Vec::new();
        let mut failure = None;
        let mut lost = 0;
        while !parts.is_empty() {
            let payload = next_payload(&mut parts);
            body.clear();
            encode_as(
                form,
                &payload,
                concentrator.bucket_ns(),
                &metadata,
                concentrator.next_sequence(),
                &mut body,
            );
            // Claimed only for bodies in which every resource was treated as the agent does it.
            let claim = payload.iter().all(|part| part.agreed).then_some(OBFUSCATION_VERSION);
            match self.post_stats(&body, claim, end) {
                // Nobody has them, and nothing has gone wrong.
                Verdict::Sent(()) if self.outlet.is_dry() => drop(concentrator.lose(&payload)),
                Verdict::Sent(()) => concentrator.delivered(&payload),
                Verdict::Later(later) => {
                    parts.extend(payload);
                    failure = Some(later.error);
                    break;
                }
                Verdict::Lost(error)
                | Verdict::Unreadable(error)
                | Verdict::OtherFormat(error)
                | Verdict::TooLarge(error) => {
                    lost += concentrator.lose(&payload);
                    failure = Some(error);
                }
            }
        }
        let complete = parts.is_empty() && lost == 0;
        if turn == Turn::Last {
            lost += concentrator.lose(&parts);
        } else {
            concentrator.give_back(parts);
        }
        if let Some(error) = failure {
            self.note_stats(lost, &error);
        }
        complete
    }

    /// Nothing more will be sent: what is left is lost.
    pub(crate) fn lose_stats(&self, concentrator: &Concentrator) -> bool {
        let parts = concentrator.take_due(true);
        concentrator.lose(&parts) == 0
    }

    fn post_stats(&self, body: &[u8], claim: Option<u32>, end: Instant) -> Verdict<()> {
        let left = end.saturating_duration_since(self.clock.now()).min(POST_LIMIT);
        if left < LEAST_TIME {
            let text = "no time was left to send stats (`closeTimeout`)";
            return Verdict::Later(Later::whole(Error::new(ErrorKind::TimedOut, text)));
        }
        let verdict = self.targets.first().destination.send_stats(body, claim, left);
        self.tell_of_capture();
        verdict
    }

    #[cold]
    fn note_stats(&self, lost: u64, error: &Error) {
        let text = if lost > 0 {
            format!("the stats of {lost} spans are lost: {} (knob: `computeStats`)", error.message())
        } else {
            format!("stats could not be sent and are kept: {}", error.message())
        };
        self.say(Severity::Warning, text);
    }

    fn report_displaced(&self, concentrator: &Concentrator) {
        let lost = concentrator.displaced_news();
        if lost > 0 {
            let text = format!(
                "the stats of {lost} spans are lost: {} takes none, and no more than two full buckets are kept \
                 (knobs: `computeStats`, `statsLimits`)",
                self.targets.first().destination.address()
            );
            self.say(Severity::Warning, text);
        }
    }

    fn report_collapsed(&self, concentrator: &Concentrator) {
        let news = concentrator.collapsed_news();
        if news.total() == 0 {
            return;
        }
        self.notify(Event::Collapsed(&news));
        let text = format!(
            "stats have too many different groups: {} spans were counted in the overflow group, {} lost a field \
             of their key (stats.collapsed_spans; knob: `statsLimits`, or fewer different resources)",
            news.whole_key,
            news.fields.iter().sum::<u64>()
        );
        self.say(Severity::Warning, text);
    }
}
