//! Errands of one exporter: what runs beside sends and needs the network. They run on a native thread of that exporter,
//! one after another; the thread is started when something is to be done and ends when nothing is left, so an idle
//! exporter has none.

use parking_lot::{Condvar, Mutex};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// Something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Errand {
    /// Read `/info`.
    Info,
    /// Look whether an agent that was gone is back.
    Probe,
    /// Send health metrics.
    Health,
    /// Send stats.
    Stats,
}

pub(crate) const ERRANDS: [Errand; 4] = [Errand::Info, Errand::Probe, Errand::Health, Errand::Stats];

/// Who does it.
pub(crate) trait Runner: Send + Sync + 'static {
    /// Does it, on the exporter's errand thread.
    fn run(self: Arc<Self>, errand: Errand);
    /// Where its errands are kept.
    fn errands(&self) -> &Errands;
}

/// What is to be done for one exporter.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wanted: [bool; ERRANDS.len()],
    running: bool,
    closed: bool,
}

impl Errands {
    /// Has an errand done soon. One that is wanted already is not done twice.
    pub(crate) fn want<R: Runner>(runner: &Arc<R>, errand: Errand) {
        let mut state = runner.errands().state.lock();
        if state.closed {
            return;
        }
        state.wanted[errand as usize] = true;
        if !state.running {
            let weak = Arc::downgrade(runner);
            // The request runs on this thread with ureq on top; 256 KiB is four times what a debug build was seen to use.
            let thread = std::thread::Builder::new().name("dp-errand".to_owned()).stack_size(256 * 1024);
            // Without a thread it stays wanted, and the next errand brings it along.
            state.running = thread.spawn(move || work(&weak)).is_ok();
        }
    }

    /// Lets nothing start any more, and waits up to `end` for what runs.
    pub(crate) fn close(&self, end: Instant) {
        let mut state = self.state.lock();
        state.closed = true;
        state.wanted = Default::default();
        while state.running && !self.idle.wait_until(&mut state, end).timed_out() {}
    }

    /// Errands may start again.
    pub(crate) fn reopen(&self) {
        self.state.lock().closed = false;
    }

    fn next(&self) -> Option<Errand> {
        let mut state = self.state.lock();
        let next = ERRANDS.into_iter().find(|e| state.wanted[*e as usize]);
        match next {
            Some(errand) => state.wanted[errand as usize] = false,
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
        let Some(errand) = runner.errands().next() else { return };
        let again = Arc::clone(&runner);
        // A panic ends one errand, not the exporter's dialogue.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || again.run(errand)));
    }
}
