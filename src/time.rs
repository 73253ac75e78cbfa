//! The time. [`Clock`] tells it and is handed in, so that what waits can be tested without waiting. And the
//! one thread of a loaded library that keeps it for all exporters: it sleeps until the next [`Duty`] is due,
//! tells it, and sleeps again. A duty must not block; what takes time it runs on a thread of its own
//! (`delivery::tasks`).
//!
//! The thread is there while a duty is registered, and ends with the last. With nothing due it does not wake
//! up at all.

use crate::threads;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

/// Tells the time. Tests have one that they set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    #[cfg(test)]
    set: Option<Arc<Mutex<(Instant, SystemTime)>>>,
}

impl Clock {
    /// Now.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        #[cfg(test)]
        if let Some(set) = &self.set {
            return set.lock().0;
        }
        Instant::now()
    }

    /// Now, as people count it.
    #[inline]
    pub(crate) fn wall(&self) -> SystemTime {
        #[cfg(test)]
        if let Some(set) = &self.set {
            return set.lock().1;
        }
        SystemTime::now()
    }

    /// Waits for news until then; whether it has come to that.
    pub(crate) fn wait<T>(&self, news: &Condvar, guard: &mut MutexGuard<'_, T>, until: Instant) -> bool {
        #[cfg(test)]
        if self.set.is_some() {
            // Nobody is woken by a clock that is set.
            news.wait_for(guard, std::time::Duration::from_millis(1));
            return self.now() >= until;
        }
        news.wait_until(guard, until).timed_out()
    }

    /// A clock that stands still until it is told to go on.
    #[cfg(test)]
    pub(crate) fn standing() -> Self {
        Self { set: Some(Arc::new(Mutex::new((Instant::now(), SystemTime::now())))) }
    }

    /// Lets time pass.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: std::time::Duration) -> Instant {
        let mut set = self.set.as_ref().unwrap().lock();
        (set.0, set.1) = (set.0 + by, set.1 + by);
        set.0
    }
}

/// Something that is due from time to time.
pub(crate) trait Duty: Send + Sync {
    /// Called when due. Must return at once; says when it is due again.
    fn due(&self, now: Instant) -> Option<Instant>;
}

/// A registration. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Ticket(u64);

/// Who is due when. Knows no thread and no clock.
struct Appointments {
    entries: Vec<Entry>,
    next_id: u64,
}

struct Entry {
    id: u64,
    at: Option<Instant>,
    duty: Weak<dyn Duty>,
}

impl Appointments {
    const fn new() -> Self {
        Self { entries: Vec::new(), next_id: 0 }
    }

    fn register(&mut self, duty: Weak<dyn Duty>, at: Option<Instant>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.entries.push(Entry { id, at, duty });
        id
    }

    /// Makes it due at `at` if not earlier already; whether that changes anything.
    fn call_by(&mut self, id: u64, at: Instant) -> bool {
        let entry = self.entries.iter_mut().find(|e| e.id == id && e.at.is_none_or(|known| at < known));
        entry.map(|entry| entry.at = Some(at)).is_some()
    }

    /// Takes an entry out. The Weak is to be dropped outside the lock: it may hold the last bit of the duty's memory.
    fn remove(&mut self, id: u64) -> Option<Entry> {
        self.entries.iter().position(|e| e.id == id).map(|i| self.entries.swap_remove(i))
    }

    /// Those that are due; they have no appointment then.
    fn take_due(&mut self, now: Instant, due: &mut Vec<(u64, Arc<dyn Duty>)>) {
        for entry in self.entries.iter_mut().filter(|e| e.at.is_some_and(|at| at <= now)) {
            entry.at = None;
            due.extend(entry.duty.upgrade().map(|duty| (entry.id, duty)));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|e| e.at).min()
    }
}

struct State {
    appointments: Appointments,
    running: bool,
}

static STATE: Mutex<State> = Mutex::new(State { appointments: Appointments::new(), running: false });
static CHANGED: Condvar = Condvar::new();

/// Registers a duty that is due at `at`.
pub(crate) fn register(duty: Weak<dyn Duty>, at: Option<Instant>) -> Ticket {
    let mut state = STATE.lock();
    let id = state.appointments.register(duty, at);
    start(&mut state);
    Ticket(id)
}

impl Ticket {
    /// The duty is due at `at` if not earlier already.
    pub(crate) fn call_by(&self, at: Instant) {
        let mut state = STATE.lock();
        if state.appointments.call_by(self.0, at) || !state.running {
            start(&mut state);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let gone = STATE.lock().appointments.remove(self.0);
        CHANGED.notify_one();
        drop(gone);
    }
}

/// Whether the thread runs, or is started now. It does not if the system had no thread when one was needed.
pub(crate) fn is_kept() -> bool {
    let mut state = STATE.lock();
    if !state.running && !state.appointments.entries.is_empty() {
        start(&mut state);
    }
    state.running
}

/// Whether the thread is there.
#[cfg(feature = "capi")]
pub(crate) fn is_running() -> bool {
    STATE.lock().running
}

/// In the child of a fork, where neither the thread is nor those whom it told the time.
#[cfg(feature = "capi")]
pub(crate) fn begin_again() {
    let mut state = STATE.lock();
    // Left alone: what they point to may hold locks of threads that are not there.
    std::mem::forget(std::mem::take(&mut state.appointments.entries));
    state.running = false;
}

/// Wakes the thread, or starts it. If the system has no thread left the next call tries again.
fn start(state: &mut State) {
    if state.running {
        CHANGED.notify_one();
        return;
    }
    state.running = threads::start("dp-time", 256 * 1024, keep_time).is_ok();
}

fn keep_time() {
    let mut due: Vec<(u64, Arc<dyn Duty>)> = Vec::new();
    loop {
        let now = Instant::now();
        {
            let mut state = STATE.lock();
            if state.appointments.entries.is_empty() {
                state.running = false;
                return;
            }
            state.appointments.take_due(now, &mut due);
            if due.is_empty() {
                match state.appointments.next() {
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
                STATE.lock().appointments.call_by(id, next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Counting(AtomicU32);

    impl Duty for Counting {
        fn due(&self, _: Instant) -> Option<Instant> {
            self.0.fetch_add(1, Ordering::SeqCst);
            None
        }
    }

    fn as_duty(duty: &Arc<Counting>) -> Weak<dyn Duty> {
        Arc::downgrade(duty) as Weak<dyn Duty>
    }

    #[test]
    fn duties_are_due_once_at_their_time_and_never_after_they_are_gone() {
        let clock = Clock::standing();
        let (a, b) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
        let mut appointments = Appointments::new();
        let second = Duration::from_secs(1);
        let first = appointments.register(as_duty(&a), Some(clock.now() + second));
        let other = appointments.register(as_duty(&b), None);
        let due_now = |appointments: &mut Appointments, clock: &Clock| {
            let mut due = Vec::new();
            appointments.take_due(clock.now(), &mut due);
            due.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(due_now(&mut appointments, &clock), [0; 0]);
        assert_eq!(appointments.next(), Some(clock.now() + second));
        assert!(appointments.call_by(other, clock.now() + second * 3));
        assert!(!appointments.call_by(other, clock.now() + second * 4), "not later");
        assert!(appointments.call_by(other, clock.now() + second * 2), "but earlier");
        clock.advance(second);
        assert_eq!(due_now(&mut appointments, &clock), [first]);
        assert_eq!(due_now(&mut appointments, &clock), [0; 0]);
        assert_eq!(appointments.next(), Some(clock.now() + second));
        drop(b);
        clock.advance(second);
        assert_eq!(due_now(&mut appointments, &clock), [0; 0], "its exporter is gone");
        assert!(appointments.remove(other).is_some() && appointments.remove(other).is_none());
        assert!(!appointments.call_by(other, clock.now()));
    }

    #[test]
    fn the_thread_calls_what_is_due() {
        let duty = Arc::new(Counting::default());
        let ticket = register(as_duty(&duty), Some(Instant::now()));
        let end = Instant::now() + Duration::from_secs(30);
        while duty.0.load(Ordering::SeqCst) == 0 && Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!(duty.0.load(Ordering::SeqCst), 1);
        assert!(is_kept());
        drop(ticket);
    }
}
