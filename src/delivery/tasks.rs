//! What runs beside sends and needs the network: one thread of that exporter does it, one after another. It
//! is started when something is to be done and ends when nothing is left, so an idle exporter has none.

use crate::threads;
use parking_lot::{Condvar, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// Something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Task {
    /// Ask what the peer offers.
    Ask,
    /// Look whether a peer that was gone is back.
    Probe,
    /// Send health metrics.
    Health,
    /// Send stats.
    Stats,
    /// Send telemetry.
    Telemetry,
}

pub(crate) const TASKS: [Task; 5] = [Task::Ask, Task::Probe, Task::Health, Task::Stats, Task::Telemetry];

/// Who does it.
pub(crate) trait Runner: Send + Sync + 'static {
    /// Does it, on the exporter's task thread.
    fn run(self: Arc<Self>, task: Task);
    /// It ended in a panic, so it has not arranged for its next time.
    fn failed(self: Arc<Self>, task: Task);
    /// Where its tasks are kept.
    fn tasks(&self) -> &Tasks;
}

/// What is to be done for one exporter.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    state: Mutex<State>,
    idle: Condvar,
    /// Something waits for a thread that the system did not have.
    stuck: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    wanted: [bool; TASKS.len()],
    running: bool,
    closed: bool,
}

impl Tasks {
    /// Has something done soon. What is wanted already is not done twice.
    pub(crate) fn want<R: Runner>(runner: &Arc<R>, task: Task) {
        let mut state = runner.tasks().state.lock();
        if !state.closed {
            state.wanted[task as usize] = true;
            Self::start(runner, &mut state);
        }
    }

    /// Whether something waits for a thread, without a lock.
    #[inline]
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Tries again to start the thread, if it is missing.
    pub(crate) fn unstick<R: Runner>(runner: &Arc<R>) {
        let mut state = runner.tasks().state.lock();
        if !state.closed && state.wanted.contains(&true) {
            Self::start(runner, &mut state);
        }
    }

    fn start<R: Runner>(runner: &Arc<R>, state: &mut State) {
        if !state.running {
            let weak = Arc::downgrade(runner);
            // The request runs on this thread with ureq on top; 256 KiB is four times what a debug build was
            // seen to use.
            state.running = threads::start("dp-tasks", 256 * 1024, move || work(&weak)).is_ok();
            runner.tasks().stuck.store(!state.running, Ordering::Relaxed);
        }
    }

    /// Lets nothing start any more, and waits up to `end` for what runs.
    pub(crate) fn close(&self, end: Instant) {
        let mut state = self.state.lock();
        state.closed = true;
        state.wanted = Default::default();
        self.stuck.store(false, Ordering::Relaxed);
        while state.running && !self.idle.wait_until(&mut state, end).timed_out() {}
    }

    /// Tasks may start again.
    pub(crate) fn reopen(&self) {
        self.state.lock().closed = false;
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        let next = TASKS.into_iter().find(|task| state.wanted[*task as usize]);
        match next {
            Some(task) => state.wanted[task as usize] = false,
            None => {
                state.running = false;
                self.idle.notify_all();
            }
        }
        next
    }
}

/// Holds its exporter only while it does something for it.
fn work<R: Runner>(runner: &Weak<R>) {
    while let Some(runner) = runner.upgrade() {
        let Some(task) = runner.tasks().next() else { return };
        let again = Arc::clone(&runner);
        // A panic ends this time, not the next ones.
        if catch_unwind(AssertUnwindSafe(move || again.run(task))).is_err() {
            let _ = catch_unwind(AssertUnwindSafe(move || runner.failed(task)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Panicking {
        tasks: Tasks,
        seen: Mutex<Vec<(Task, bool)>>,
    }

    impl Runner for Panicking {
        fn run(self: Arc<Self>, task: Task) {
            self.seen.lock().push((task, true));
            std::panic::resume_unwind(Box::new("not this time"));
        }

        fn failed(self: Arc<Self>, task: Task) {
            self.seen.lock().push((task, false));
        }

        fn tasks(&self) -> &Tasks {
            &self.tasks
        }
    }

    #[test]
    fn a_panic_ends_one_time_and_the_next_is_arranged() {
        let runner = Arc::new(Panicking::default());
        Tasks::want(&runner, Task::Stats);
        runner.tasks.close(Instant::now() + std::time::Duration::from_secs(30));
        // Closing takes what has not begun away; what has begun was told of.
        let seen = runner.seen.lock();
        assert!(seen.is_empty() || *seen == [(Task::Stats, true), (Task::Stats, false)], "{seen:?}");
    }

    #[test]
    fn nothing_starts_once_it_is_closed() {
        let runner = Arc::new(Panicking::default());
        runner.tasks.close(Instant::now());
        Tasks::want(&runner, Task::Ask);
        Tasks::unstick(&runner);
        assert!(runner.seen.lock().is_empty() && !runner.tasks.is_stuck());
    }
}
