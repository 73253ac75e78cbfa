//! Which sends are running, and whether new ones may start.

use crate::error::{Error, ErrorKind};
use crate::time::Clock;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The sends of one exporter.
#[derive(Debug)]
pub(crate) struct Sends {
    clock: Clock,
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    closed: bool,
    suspended: bool,
}

/// A send that runs.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Sends);

impl Sends {
    /// None runs yet. The clock is that of the pipeline.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default(), idle: Condvar::new() }
    }

    /// A send starts. While sends are suspended it waits up to `limit`.
    ///
    /// # Errors
    /// `CLOSED`; `TIMED_OUT` if nobody has resumed in time.
    pub(crate) fn begin(&self, limit: Duration) -> Result<Running<'_>, Error> {
        let mut state = self.state.lock();
        if state.suspended {
            let end = self.clock.now() + limit;
            while state.suspended && !state.closed {
                if self.clock.wait(&self.idle, &mut state, end) {
                    return Err(suspended());
                }
            }
        }
        if state.closed {
            return Err(Error::new(ErrorKind::Closed, "the exporter is closed"));
        }
        state.running += 1;
        Ok(Running(self))
    }

    /// Lets no send start until [`Sends::resume`], and waits until none runs; whether that came to be before `end`.
    pub(crate) fn suspend(&self, end: Instant) -> bool {
        let mut state = self.state.lock();
        state.suspended = true;
        self.wait(state, end)
    }

    /// Sends may start again.
    pub(crate) fn resume(&self) {
        self.state.lock().suspended = false;
        self.idle.notify_all();
    }

    /// Lets no send start any more and waits until none runs; gives whether that came to be before `end`.
    pub(crate) fn end(&self, end: Instant) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        self.idle.notify_all();
        self.wait(state, end)
    }

    fn wait(&self, mut state: MutexGuard<'_, State>, end: Instant) -> bool {
        while state.running > 0 {
            if self.clock.wait(&self.idle, &mut state, end) {
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

/// What a send gets that waited in vain for the end of a suspension.
fn suspended() -> Error {
    Error::new(
        ErrorKind::TimedOut,
        "the exporter is suspended and was not resumed in time (`sendBudget`, `resume`)",
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_waits_for_the_end_of_a_suspension_as_long_as_the_clock_says() {
        let clock = Clock::standing();
        let sends = Sends::new(clock.clone());
        assert!(sends.suspend(clock.now()));
        let hour = Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| sends.begin(hour).map(drop).map_err(|e| e.kind()));
            // Whatever the clock is worth it goes on; the machine may have slept.
            while !waiting.is_finished() {
                clock.advance(hour);
                std::thread::yield_now();
            }
            assert_eq!(waiting.join().unwrap(), Err(ErrorKind::TimedOut));
        });
        sends.resume();
        let running = sends.begin(Duration::ZERO).unwrap();
        assert!(!sends.end(clock.now()), "one runs");
        drop(running);
        assert!(sends.end(clock.now()));
    }
}
