//! Which sends are running, and whether new ones may start.

use parking_lot::{Condvar, Mutex};
use std::time::Instant;

/// The sends of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    closed: bool,
}

/// A send that runs.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Sends);

impl Sends {
    /// A send starts, unless the exporter is closed.
    pub(crate) fn begin(&self) -> Option<Running<'_>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        state.running += 1;
        Some(Running(self))
    }

    /// Lets no send start any more and waits until none runs; gives whether that came to be before `end`.
    pub(crate) fn end(&self, end: Instant) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        while state.running > 0 {
            if self.idle.wait_until(&mut state, end).timed_out() {
                return state.running == 0;
            }
        }
        true
    }

    /// Whether [`Sends::end`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.running -= 1;
        if state.running == 0 {
            self.0.idle.notify_all();
        }
    }
}
