//! Log lines for the caller's listener: one when trouble begins, a summary every five minutes while it lasts,
//! one when it ends. Each names the setting that helps.
//!
//! Nothing is written anywhere: lines wait in a bounded ring until somebody takes them. While there is no
//! trouble this costs a send one relaxed load.

use crate::account::{Counts, DropReason};
pub use crate::delivery::watch::Severity;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How often a trouble that lasts is mentioned.
const SUMMARY: Duration = Duration::from_secs(300);
/// So many lines wait to be taken; then the oldest go.
const RING: usize = 64;

/// One line for the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it happened.
    pub at: SystemTime,
    /// How serious it is.
    pub severity: Severity,
    /// One line without its end.
    pub text: String,
}

/// What belongs together as one trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Topic {
    /// The agent does not take traces.
    Delivery,
    /// Input that cannot be read.
    Input,
    /// Input that was repaired.
    Repaired,
    /// Too large for the agent.
    Size,
    /// No room in the queue.
    Queue,
    /// Left over at close.
    Closing,
    /// Our own fault.
    Defect,
    /// Traces that the agent would refuse.
    Invalid,
}

const TOPICS: [Topic; 8] = [
    Topic::Delivery,
    Topic::Input,
    Topic::Repaired,
    Topic::Size,
    Topic::Queue,
    Topic::Closing,
    Topic::Defect,
    Topic::Invalid,
];

impl Topic {
    /// The trouble that a reason belongs to.
    pub(crate) fn of(reason: DropReason) -> Self {
        match reason {
            DropReason::Malformed => Self::Input,
            DropReason::PayloadTooLarge => Self::Size,
            DropReason::QueueFull | DropReason::Evicted => Self::Queue,
            DropReason::Closed | DropReason::Forgotten => Self::Closing,
            DropReason::Internal => Self::Defect,
            DropReason::InvalidTrace => Self::Invalid,
            _ => Self::Delivery,
        }
    }

    const fn bit(self) -> usize {
        1 << self as usize
    }

    fn what(self) -> &'static str {
        match self {
            Self::Delivery => "traces do not reach their destination",
            Self::Input => "traces cannot be read",
            Self::Repaired => "traces are repaired",
            Self::Size => "traces are larger than their destination takes",
            Self::Queue => "the queue is full",
            Self::Closing => "traces were left over when the exporter was closed",
            Self::Defect => "traces are lost by a defect of this library",
            Self::Invalid => "traces are refused as the agent would",
        }
    }

    fn knob(self) -> &'static str {
        match self {
            Self::Delivery => "`url`, `sendTimeout`, `sendBudget`",
            Self::Input | Self::Repaired => "`onMalformed`",
            Self::Size => "fewer spans a trace, or apm_config.max_payload_size of an agent",
            Self::Queue => "`queueBytes`, `overflow`",
            Self::Closing => "`closeTimeout`",
            Self::Defect => "please report it",
            Self::Invalid => "`normalize`",
        }
    }
}

/// A trouble that is going on.
#[derive(Debug)]
struct Open {
    since: Instant,
    said: Instant,
    last: Instant,
    /// Payloads concerned since it began, and of them since the last line.
    events: u64,
    unsaid: u64,
    lost: Counts,
}

#[derive(Debug, Default)]
struct Inner {
    open: [Option<Open>; TOPICS.len()],
    ring: VecDeque<LogLine>,
    overrun: u64,
}

/// The lines of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    /// Which troubles are going on, a bit a topic.
    open: AtomicUsize,
    waiting: AtomicUsize,
}

impl Journal {
    /// Something went wrong with a payload. `lost` is what is gone for it; `detail` says how it came about,
    /// and is asked only when a line is written.
    #[cold]
    pub(crate) fn trouble(&self, topic: Topic, lost: Counts, detail: impl FnOnce() -> String, now: Instant) {
        let mut inner = self.inner.lock();
        match &mut inner.open[topic as usize] {
            Some(open) => {
                open.events += 1;
                open.unsaid += 1;
                open.last = now;
                open.lost = open.lost.plus(lost);
            }
            none => {
                *none = Some(Open { since: now, said: now, last: now, events: 1, unsaid: 0, lost });
                self.open.fetch_or(topic.bit(), Ordering::Relaxed);
                let text = format!("{}: {} (knob: {})", topic.what(), detail(), topic.knob());
                self.say(&mut inner, Severity::Warning, text);
            }
        }
        self.summarize(&mut inner, now);
    }

    /// Whether the next trouble of this topic is told with its detail.
    #[inline]
    pub(crate) fn would_detail(&self, topic: Topic) -> bool {
        self.open.load(Ordering::Relaxed) & topic.bit() == 0
    }

    /// The agent has taken a payload.
    #[inline]
    pub(crate) fn delivered(&self, now: impl FnOnce() -> Instant) {
        if self.open.load(Ordering::Relaxed) != 0 {
            self.close(Topic::Delivery, now());
        }
    }

    /// A line that stands for itself.
    #[cold]
    pub(crate) fn note(&self, severity: Severity, text: String) {
        self.say(&mut self.inner.lock(), severity, text);
    }

    /// Whether lines are waiting, without a lock.
    pub(crate) fn has_lines(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }

    /// Takes the lines that are waiting.
    pub(crate) fn take(&self, now: Instant) -> Vec<LogLine> {
        if !self.has_lines() && self.open.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut inner = self.inner.lock();
        self.summarize(&mut inner, now);
        self.waiting.store(0, Ordering::Relaxed);
        let overrun = std::mem::take(&mut inner.overrun);
        let mut lines: Vec<_> = inner.ring.drain(..).collect();
        if overrun > 0 {
            let text = format!("{overrun} older log lines were not taken in time and are gone");
            lines.insert(0, LogLine { at: SystemTime::now(), severity: Severity::Info, text });
        }
        lines
    }

    #[cold]
    fn close(&self, topic: Topic, now: Instant) {
        let mut inner = self.inner.lock();
        if let Some(open) = inner.open[topic as usize].take() {
            self.open.fetch_and(!topic.bit(), Ordering::Relaxed);
            let text = format!(
                "over after {} s: {}; {} lost in {} payloads",
                (now - open.since).as_secs(),
                topic.what(),
                amount(open.lost),
                open.events
            );
            self.say(&mut inner, Severity::Info, text);
        }
        self.summarize(&mut inner, now);
    }

    /// What lasts is mentioned every five minutes; what had no event for so long is over. Trouble with the
    /// agent is over only when the agent takes something.
    fn summarize(&self, inner: &mut Inner, now: Instant) {
        for topic in TOPICS {
            let Some(open) = &mut inner.open[topic as usize] else { continue };
            let ended = topic != Topic::Delivery && now.saturating_duration_since(open.last) >= SUMMARY;
            let due = now.saturating_duration_since(open.said) >= SUMMARY && open.unsaid > 0;
            if !ended && !due {
                continue;
            }
            let (since, lost, events) =
                (now.saturating_duration_since(open.since).as_secs(), amount(open.lost), open.events);
            (open.said, open.unsaid) = (now, 0);
            if ended {
                inner.open[topic as usize] = None;
                self.open.fetch_and(!topic.bit(), Ordering::Relaxed);
                let text = format!(
                    "over since {} s: {}; {lost} lost in {events} payloads",
                    SUMMARY.as_secs(),
                    topic.what()
                );
                self.say(inner, Severity::Info, text);
            } else {
                let text = format!(
                    "for {since} s {}: {lost} lost in {events} payloads (knob: {})",
                    topic.what(),
                    topic.knob()
                );
                self.say(inner, Severity::Warning, text);
            }
        }
    }

    fn say(&self, inner: &mut Inner, severity: Severity, text: String) {
        if inner.ring.len() == RING {
            inner.ring.pop_front();
            inner.overrun += 1;
        }
        inner.ring.push_back(LogLine { at: SystemTime::now(), severity, text });
        self.waiting.store(inner.ring.len(), Ordering::Relaxed);
    }
}

fn amount(lost: Counts) -> String {
    format!("{} traces, {} spans, {} bytes", lost.traces, lost.spans, lost.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Counts = Counts { traces: 2, spans: 20, bytes: 200 };

    fn texts(journal: &Journal, now: Instant) -> Vec<String> {
        journal.take(now).into_iter().map(|l| l.text).collect()
    }

    #[test]
    fn a_trouble_is_one_line_at_its_begin_one_every_five_minutes_one_at_its_end() {
        let (j, t0) = (Journal::default(), Instant::now());
        let at = |s| t0 + Duration::from_secs(s);
        for s in 0..1000 {
            j.trouble(Topic::Delivery, LOST, || "nobody listens".to_owned(), at(s));
        }
        let lines = texts(&j, at(1000));
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[0].contains("nobody listens") && lines[0].contains("`sendBudget`"));
        assert!(
            lines[1].contains("for 300 s") && lines[1].contains("602 traces, 6020 spans"),
            "{}",
            lines[1]
        );
        assert!(lines[3].contains("for 900 s"));
        j.delivered(|| at(1001));
        j.delivered(|| at(1002));
        let lines = texts(&j, at(1002));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("over after 1001 s") && lines[0].contains("2000 traces"), "{}", lines[0]);
        assert!(!j.has_lines());
    }

    #[test]
    fn troubles_of_the_input_end_when_there_are_no_more() {
        let (j, t0) = (Journal::default(), Instant::now());
        let place = || "trace 3, span 7: float for an integer".to_owned();
        j.trouble(Topic::Repaired, Counts::default(), place, t0);
        assert!(texts(&j, t0)[0].contains("trace 3, span 7"));
        j.delivered(|| t0);
        assert!(texts(&j, t0 + SUMMARY / 2).is_empty());
        assert!(texts(&j, t0 + SUMMARY)[0].starts_with("over since 300 s"));
        assert!(texts(&j, t0 + SUMMARY * 2).is_empty());
    }

    #[test]
    fn a_ring_that_nobody_empties_stays_small_and_says_so() {
        let j = Journal::default();
        for n in 0..200 {
            j.note(Severity::Info, format!("line {n}"));
        }
        let lines = texts(&j, Instant::now());
        assert_eq!(lines.len(), RING + 1);
        assert!(lines[0].contains("136 older"), "{}", lines[0]);
    }

    #[test]
    fn every_reason_has_a_topic_and_every_topic_a_knob() {
        for reason in DropReason::ALL {
            assert!(!Topic::of(reason).knob().is_empty());
        }
        for (i, topic) in TOPICS.into_iter().enumerate() {
            assert_eq!(topic as usize, i);
        }
    }
}
