//! The door of a client: open until `shutdown`, and the one thing that everybody who waits also waits for, so that
//! closing never has to sit out a back-off or a name lookup.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Open until [`Gate::close`]; waits end early when it closes.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Gate {
    /// Whether the client was shut down.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closes for good and wakes everybody who waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.notify();
    }

    /// Wakes everybody who waits, to look again.
    pub(crate) fn notify(&self) {
        // Taking the lock orders this behind a waiter that has looked but does not wait yet.
        drop(self.lock.lock());
        self.changed.notify_all();
    }

    /// Waits until `done`, the deadline or the closing, whichever comes first. `done` must not take long.
    pub(crate) fn wait_until(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        let mut guard = self.lock.lock();
        while !self.is_closed() && !done() {
            if self.changed.wait_until(&mut guard, deadline).timed_out() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn closing_ends_a_long_wait() {
        let gate = Arc::new(Gate::default());
        let started = Instant::now();
        let waiter = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.wait_until(Instant::now() + Duration::from_secs(30), || false))
        };
        std::thread::sleep(Duration::from_millis(20));
        gate.close();
        waiter.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(gate.is_closed());
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let started = Instant::now();
        Gate::default().wait_until(started + Duration::from_millis(30), || false);
        assert!(started.elapsed() >= Duration::from_millis(30));
    }
}
