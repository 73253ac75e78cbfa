//! A second way: with several destinations, what the first does not take goes to the next one, whole, and back to the
//! first as soon as it answers.
//!
//! A destination that is not the last hope gets a part of a payload's time. When it has spent that in vain, or cannot
//! be reached at all, it counts as gone: probes look for it, and payloads go where somebody is. Nothing is split over
//! two: a payload is prepared anew for the other one, and spans that stats have counted are not counted again.

use super::dispatch::{Dispatcher, Run};
use super::target::{Target, Targets};
use super::tasks::Task;
use super::watch::Severity;
use crate::account::{DropReason, Effort, Entry};
use crate::error::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

impl Dispatcher {
    /// The destination to try instead of `target`, which has failed with `error`. `None`: there is none, or it would
    /// not help.
    #[cold]
    pub(super) fn instead(
        &self,
        target: &Arc<Target>,
        run: &mut Run,
        error: &Error,
        entry: &mut Entry<'_>,
    ) -> Option<Arc<Target>> {
        if self.targets.has_replaced(target) && is_gone(error) && !run.is_over() {
            // It had its time, and others are meant now.
            run.note_turn(error);
            entry.note(Effort { requests: u64::from(error.attempts()), ..Effort::default() });
            return Some(self.targets.current());
        }
        if !is_gone(error) || run.is_over() || run.turns + 1 >= self.targets.count() {
            return None;
        }
        let other = self.targets.instead_of(target)?;
        run.note_turn(error);
        entry.note(Effort { requests: u64::from(error.attempts()), ..Effort::default() });
        // It was not even asked, since it is known to be away.
        if error.kind() != ErrorKind::AgentDown {
            let (at, news) =
                target.presence.give_up(error, self.clock.now().saturating_duration_since(run.started));
            self.arrange(Task::Probe, at);
            if news {
                let (from, to) = (target.destination.address(), other.destination.address());
                let text = format!(
                    "{from} counts as gone, payloads go to {to} until it is back: {}",
                    error.message()
                );
                self.say(Severity::Warning, text);
            }
        }
        Some(other)
    }

    /// How long `target` may have for a payload: all the time that is left, unless another one could be tried.
    pub(super) fn share(&self, target: &Arc<Target>, run: &Run) -> Duration {
        let left = run.left();
        match self.targets.count() {
            0 | 1 => left,
            _ if self.targets.instead_of(target).is_none() => left,
            _ => (left / 2).min(self.live().config.send_budget),
        }
    }

    /// A destination that had been in trouble has taken something.
    #[cold]
    pub(super) fn is_back(&self, target: &Target) {
        if self.targets.count() > 1 {
            self.say(Severity::Info, format!("{} takes payloads again", target.destination.address()));
        }
    }
}

impl Run {
    /// The payload goes elsewhere after this.
    fn note_turn(&mut self, error: &Error) {
        self.turns += 1;
        self.possibly_arrived |= error.possibly_arrived();
        self.attempts += error.attempts();
    }
}

/// Whether another destination may do better: this one is not there, or not for us.
fn is_gone(error: &Error) -> bool {
    error.kind() != ErrorKind::Closed
        && (error.is_temporary() || DropReason::of_error(error) == DropReason::Unreachable)
}

impl Targets {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        1 + self.list.read().others.len()
    }

    /// Whether `target` is none of them any more.
    pub(super) fn has_replaced(&self, target: &Arc<Target>) -> bool {
        let list = self.list.read();
        !std::iter::once(&list.first).chain(&list.others).any(|known| Arc::ptr_eq(known, target))
    }

    /// The most preferred one that is not `target` and does not count as gone.
    pub(super) fn instead_of(&self, target: &Arc<Target>) -> Option<Arc<Target>> {
        let list = self.list.read();
        let mut all = std::iter::once(&list.first).chain(&list.others);
        all.find(|other| !Arc::ptr_eq(other, target) && !other.presence.is_down()).cloned()
    }
}
