//! The dialogue with destinations: when they are asked what they offer, when a probe looks for one that is
//! gone, when stats and health metrics go out. Appointments are kept by the one thread of [`crate::time`];
//! what falls due runs on the exporter's own task thread ([`tasks`](super::tasks)).

use super::dispatch::Dispatcher;
use super::target::Target;
use super::tasks::{Runner, TASKS, Task, Tasks};
use super::watch::Severity;
use super::way::Way;
use crate::destination::Asked;
use crate::destination::agent::Info;
use crate::error::{Error, ErrorKind};
use crate::time::{self, Duty, Ticket};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Asking takes no longer.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// How long after a defect of ours a task is tried again.
const AFTER_PANIC: Duration = Duration::from_secs(10);

/// When tasks are due.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    pub(super) at: [Option<Instant>; TASKS.len()],
    pub(super) ticket: Option<Ticket>,
    pub(super) closed: bool,
}

impl Dispatcher {
    /// Asks the preferred destination what it offers, now and on this thread.
    ///
    /// # Errors
    /// What the connection or the peer said.
    pub(crate) fn fetch_info(&self, limit: Duration) -> Result<Option<Info>, Error> {
        let target = self.targets.first();
        match self.ask(&target, limit) {
            Asked::Heard { changed, .. } => {
                if !changed {
                    // To whoever heard it before it was news, and the way may still be in the making.
                    self.renew_way(&target);
                }
                Ok(target.destination.info())
            }
            Asked::Nothing(error) | Asked::Tried { error, .. } | Asked::Failed(error) => Err(error),
        }
    }

    fn ask(&self, target: &Arc<Target>, limit: Duration) -> Asked {
        let began = self.clock.wall();
        target.discovery.begin();
        let asked = target.destination.ask(limit);
        target.presence.discovered(asked.error(), began);
        if asked.error().is_some_and(|error| error.kind() == ErrorKind::Closed) {
            target.discovery.broken_off();
            return asked;
        }
        if let Asked::Tried { error, changed: true } = &asked {
            self.say(Severity::Info, error.message().to_owned());
        }
        if asked.is_news() {
            // Takes as long as the peer's filters need, so no lock is held but the one of making ways.
            let before = target.way();
            let way = self.renew_way(target);
            for why in way.unusable.iter().filter(|why| !before.unusable.contains(why)) {
                self.say(
                    Severity::Warning,
                    format!("of the trace filters of {}, {why}", target.destination.address()),
                );
            }
            self.arrange_stats(true);
        }
        // Who waits for the peer goes on now, and finds what follows from its answer.
        let next = target.discovery.record(&asked);
        if self.config.discovery {
            self.arrange(Task::Ask, next);
        }
        asked
    }

    pub(super) fn renew_way(&self, target: &Target) -> Arc<Way> {
        let metadata = Arc::clone(&self.metadata.read());
        target.renew(self.grounds(&self.live(), &metadata))
    }

    /// Waits until the preferred destination is known. `Ok(None)`: it is there, but has nothing to say of itself.
    pub(crate) fn await_agent(&self, limit: Duration) -> Result<Option<Info>, Error> {
        let target = self.targets.first();
        let call = || self.call_for(&target, self.clock.now());
        let heard = target.discovery.wait(limit, target.destination.address(), call)?;
        Ok(if heard { target.destination.info() } else { None })
    }

    /// Has a destination asked at `at`, or earlier if that is arranged already.
    fn call_for(&self, target: &Target, at: Instant) {
        target.discovery.call_by(at);
        self.arrange(Task::Ask, at);
    }

    /// An answer named a state of the peer that is not the known one.
    #[cold]
    pub(super) fn saw_state(&self, target: &Target, state: &Arc<str>) {
        if self.config.discovery
            && let Some(at) = target.discovery.saw_state(state)
        {
            self.call_for(target, at);
        }
    }

    /// A peer answered that could not be asked before.
    #[cold]
    pub(super) fn saw_peer(&self, target: &Target) {
        if self.config.discovery
            && let Some(at) = target.discovery.saw_peer()
        {
            self.call_for(target, at);
        }
    }

    /// The peer has refused the format of `way`, or its endpoint, with `refusal`. Gives the way to take instead.
    pub(super) fn format_refused(&self, target: &Target, way: &Arc<Way>, refusal: &Error) -> Arc<Way> {
        // What the peer offers is not what was thought.
        if self.config.discovery {
            self.call_for(target, self.clock.now() + Duration::from_secs(1));
        }
        let current = target.way();
        if current.offer.endpoint != way.offer.endpoint {
            // Another send has found out before.
            return current;
        }
        target.destination.format_refused(&way.offer);
        let instead = self.renew_way(target);
        let text = format!(
            "{} answered {} to {}; {} is used instead (knob: `outputFormat`)",
            target.destination.address(),
            refusal.status().unwrap_or_default(),
            way.offer.endpoint,
            instead.offer.endpoint
        );
        self.say(Severity::Info, text);
        instead
    }

    /// Has a task done at `at`, or earlier if that is arranged already.
    pub(super) fn arrange(&self, task: Task, at: Instant) {
        let mut timers = self.timers.lock();
        if timers.closed || timers.at[task as usize].is_some_and(|known| known <= at) {
            return;
        }
        timers.at[task as usize] = Some(at);
        match &timers.ticket {
            Some(ticket) => ticket.call_by(at),
            None => {
                let me: Weak<dyn Duty> = self.me.clone();
                timers.ticket = Some(time::register(me, Some(at)));
            }
        }
    }

    /// Makes sure that somebody keeps the time, if the system had no thread for it before.
    pub(super) fn keep_time(&self) {
        if self.timers.lock().ticket.is_some() {
            time::is_kept();
        }
    }

    fn ask_who_is_due(&self, limit: Duration) {
        let targets = self.targets.all();
        for target in targets.iter().filter(|target| target.discovery.is_due()) {
            self.ask(target, limit);
        }
        if let Some(next) = targets.iter().filter_map(|target| target.discovery.due()).min() {
            self.arrange(Task::Ask, next);
        }
    }

    fn probe_who_is_gone(&self, limit: Duration) {
        for target in self.targets.all() {
            if !target.presence.begin_probe() {
                continue;
            }
            let asked = target.destination.ask(limit);
            if let Some(at) = target.presence.probed(asked.error()) {
                self.arrange(Task::Probe, at);
            } else if asked.is_news() || matches!(asked, Asked::Heard { .. }) {
                if asked.is_news() {
                    self.renew_way(&target);
                }
                // Whatever it missed while the peer was away.
                if self.config.discovery {
                    self.call_for(&target, self.clock.now());
                }
            }
        }
    }

    /// Where the preferred destination takes health metrics, if it says so.
    pub(crate) fn statsd_port(&self) -> Option<u16> {
        self.targets.first().way().offer.statsd_port
    }
}

impl Duty for Dispatcher {
    fn due(&self, now: Instant) -> Option<Instant> {
        let me = self.me.upgrade()?;
        let mut due = [false; TASKS.len()];
        let next = {
            let mut timers = self.timers.lock();
            for (slot, due) in timers.at.iter_mut().zip(&mut due) {
                *due = slot.is_some_and(|at| at <= now);
                if *due {
                    *slot = None;
                }
            }
            timers.at.iter().flatten().min().copied()
        };
        for task in TASKS {
            if due[task as usize] {
                Tasks::want(&me, task);
            }
        }
        next
    }
}

impl Runner for Dispatcher {
    fn run(self: Arc<Self>, task: Task) {
        let limit = ASK_LIMIT.min(self.live().config.send_timeout);
        match task {
            Task::Ask => self.ask_who_is_due(limit),
            Task::Probe => self.probe_who_is_gone(limit),
            Task::Stats => self.stats_task(),
            Task::Health => self.send_health(),
            Task::Telemetry => self.telemetry_task(),
        }
    }

    fn failed(self: Arc<Self>, task: Task) {
        let text = format!(
            "a defect of this library ended {task:?} early; it is tried again in {} s (please report it)",
            AFTER_PANIC.as_secs()
        );
        self.say(Severity::Warning, text);
        let at = self.clock.now() + AFTER_PANIC;
        match task {
            Task::Ask => self.targets.all().iter().for_each(|target| target.discovery.call_by(at)),
            Task::Probe => self.targets.all().iter().for_each(|target| target.presence.probe_again(at)),
            Task::Stats | Task::Health | Task::Telemetry => {}
        }
        self.arrange(task, at);
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }
}
