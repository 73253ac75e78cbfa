//! The one housekeeping thread of a loaded library. It only keeps time: it sleeps until the next [`Duty`] is due, tells
//! it, and sleeps again. A duty must not block; what takes time it runs on a thread of its own (`delivery::errands`).
//!
//! The thread is there while a duty is registered, and ends with the last. With nothing due it does not wake up at all.

use parking_lot::{Condvar, Mutex};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// Something that is due from time to time.
pub(crate) trait Duty: Send + Sync {
    /// Called when due. Must return at once; says when it is due again.
    fn due(&self, now: Instant) -> Option<Instant>;
}

/// A registration. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Ticket(u64);

struct Entry {
    id: u64,
    at: Option<Instant>,
    duty: Weak<dyn Duty>,
}

struct State {
    entries: Vec<Entry>,
    next_id: u64,
    running: bool,
}

static STATE: Mutex<State> = Mutex::new(State { entries: Vec::new(), next_id: 0, running: false });
static CHANGED: Condvar = Condvar::new();

/// Registers a duty that is due at `at`.
pub(crate) fn register(duty: Weak<dyn Duty>, at: Option<Instant>) -> Ticket {
    let mut state = STATE.lock();
    let id = state.next_id;
    state.next_id += 1;
    state.entries.push(Entry { id, at, duty });
    start(&mut state);
    Ticket(id)
}

impl Ticket {
    /// The duty is due at `at` if not earlier already.
    pub(crate) fn call_by(&self, at: Instant) {
        let mut state = STATE.lock();
        if let Some(entry) = state.entries.iter_mut().find(|e| e.id == self.0)
            && entry.at.is_none_or(|known| at < known)
        {
            entry.at = Some(at);
            start(&mut state);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = STATE.lock();
        // The Weak goes after the lock: it may hold the last bit of the duty's memory.
        let gone = state.entries.iter().position(|e| e.id == self.0).map(|i| state.entries.swap_remove(i));
        CHANGED.notify_one();
        drop(state);
        drop(gone);
    }
}

/// Wakes the thread, or starts it. If the system has no thread left the next call tries again.
fn start(state: &mut State) {
    if state.running {
        CHANGED.notify_one();
        return;
    }
    let thread = std::thread::Builder::new().name("dp-housekeeping".to_owned()).stack_size(256 * 1024);
    state.running = thread.spawn(keep_time).is_ok();
}

fn keep_time() {
    let mut due: Vec<(u64, Arc<dyn Duty>)> = Vec::new();
    loop {
        let now = Instant::now();
        {
            let mut state = STATE.lock();
            if state.entries.is_empty() {
                state.running = false;
                return;
            }
            for entry in &mut state.entries {
                if entry.at.is_some_and(|at| at <= now) {
                    entry.at = None;
                    due.extend(entry.duty.upgrade().map(|duty| (entry.id, duty)));
                }
            }
            if due.is_empty() {
                match state.entries.iter().filter_map(|e| e.at).min() {
                    Some(at) => drop(CHANGED.wait_until(&mut state, at)),
                    None => CHANGED.wait(&mut state),
                }
                continue;
            }
        }
        for (id, duty) in due.drain(..) {
            // A defect of one exporter must not take the time from all others.
            let next = std::panic::catch_unwind(AssertUnwindSafe(|| duty.due(now))).unwrap_or(None);
            // If this is the last reference its exporter ends here, and gives its ticket back: not under the lock.
            drop(duty);
            if let Some(next) = next {
                let mut state = STATE.lock();
                if let Some(entry) = state.entries.iter_mut().find(|e| e.id == id)
                    && entry.at.is_none_or(|known| next < known)
                {
                    entry.at = Some(next);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    struct Counting {
        calls: AtomicU32,
        again: Option<Duration>,
    }

    impl Duty for Counting {
        fn due(&self, now: Instant) -> Option<Instant> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.again.map(|d| now + d)
        }
    }

    fn counting(again: Option<Duration>) -> Arc<Counting> {
        Arc::new(Counting { calls: AtomicU32::new(0), again })
    }

    fn eventually(what: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(5);
        while !what() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn duties_are_called_when_due_and_never_after_their_ticket_is_gone() {
        let (once, often, later) = (counting(None), counting(Some(Duration::from_millis(5))), counting(None));
        let as_duty = |d: &Arc<Counting>| -> Weak<dyn Duty> { Arc::downgrade(d) as Weak<dyn Duty> };
        let _a = register(as_duty(&once), Some(Instant::now()));
        let b = register(as_duty(&often), Some(Instant::now()));
        let c = register(as_duty(&later), None);
        eventually(|| often.calls.load(Ordering::SeqCst) >= 5);
        assert_eq!(once.calls.load(Ordering::SeqCst), 1);
        assert_eq!(later.calls.load(Ordering::SeqCst), 0);
        c.call_by(Instant::now());
        eventually(|| later.calls.load(Ordering::SeqCst) == 1);
        drop(b);
        std::thread::sleep(Duration::from_millis(10));
        let calls = often.calls.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(often.calls.load(Ordering::SeqCst), calls);
    }
}
