//! When a peer is asked what it is and offers (an agent by `/info`), and who waits for its answer.
//!
//! Asked is at start, every 300 s, when an answer names another state than the known one, and after failures
//! with growing pauses. What it says is the destination's matter; this is memory and arithmetic. One for each
//! destination.

use crate::destination::Asked;
use crate::error::{Error, ErrorKind};
use crate::time::Clock;
use crate::transport::retry;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a peer is asked anyway.
pub(crate) const REFRESH: Duration = Duration::from_secs(300);
/// First pause after a failure; doubles up to [`REFRESH`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Pause after a failure while somebody waits for the peer.
const WAITED_FOR: Duration = Duration::from_millis(100);
/// A peer whose state never settles (two behind one address) is not asked more often than this.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The memory of one destination.
#[derive(Debug)]
pub(crate) struct Discovery {
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
    /// Failed so far, and not because the peer has nothing to say.
    missed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// What the peer called its state when it was heard.
    known: Option<Arc<str>>,
    /// It (or something else) answered, but has nothing to say.
    without: bool,
    last_error: Option<Error>,
    asked: Option<Instant>,
    /// A request is under way.
    running: bool,
    /// When it is to be asked again.
    due: Option<Instant>,
    /// The state that the last request was made for.
    asked_for: Option<Arc<str>>,
    failures: u32,
    waiting: usize,
    requests: u64,
    closed: bool,
}

impl Discovery {
    /// Nothing is known yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default(), changed: Condvar::new(), missed: AtomicBool::new(false) }
    }

    /// The last failure, if the last request failed.
    pub(crate) fn last_error(&self) -> Option<Error> {
        self.state.lock().last_error.clone()
    }

    /// Requests made.
    pub(crate) fn requests(&self) -> u64 {
        self.state.lock().requests
    }

    /// Whether a peer answered that has nothing to say of itself.
    pub(crate) fn is_without(&self) -> bool {
        self.state.lock().without
    }

    /// It is to be asked at `at`, if not earlier already.
    pub(crate) fn call_by(&self, at: Instant) {
        self.state.lock().call_by(at);
    }

    /// Whether it is to be asked now.
    pub(crate) fn is_due(&self) -> bool {
        self.state.lock().due.is_some_and(|at| at <= self.clock.now())
    }

    /// When it is to be asked, if it is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.state.lock().due
    }

    /// A request starts.
    pub(crate) fn begin(&self) {
        let mut state = self.state.lock();
        state.due = None;
        state.asked = Some(self.clock.now());
        state.running = true;
        state.requests += 1;
    }

    /// A request was broken off, and says nothing of the peer.
    pub(crate) fn broken_off(&self) {
        self.state.lock().running = false;
    }

    /// A request is over, and all that follows from it is done. Gives when the next is due.
    pub(crate) fn record(&self, asked: &Asked) -> Instant {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.running = false;
        let next = match asked {
            Asked::Heard { state: heard, .. } => {
                state.known = Some(Arc::clone(heard));
                (state.without, state.last_error, state.failures) = (false, None, 0);
                now + REFRESH
            }
            // A peer that has nothing to say will have nothing in a second either.
            Asked::Nothing(error) | Asked::Tried { error, .. } => {
                state.without = true;
                state.last_error = Some(error.clone());
                state.failures = state.failures.saturating_add(1);
                now + REFRESH
            }
            Asked::Failed(error) => {
                state.last_error = Some(error.clone());
                state.failures = state.failures.saturating_add(1);
                now + pause(state.failures, state.waiting > 0)
            }
        };
        state.call_by(next);
        self.missed.store(state.failures > 0 && !state.without && state.known.is_none(), Ordering::Relaxed);
        drop(state);
        self.changed.notify_all();
        next
    }

    /// An answer named the peer's state. Gives when to ask, if that is not the known one.
    ///
    /// A state that was asked for already is left to the regular request: a peer may say another state than it has.
    pub(crate) fn saw_state(&self, seen: &Arc<str>) -> Option<Instant> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if state.known.as_ref() == Some(seen) {
            return None;
        }
        let asked = state.asked?;
        if state.asked_for.as_ref() == Some(seen) && now < asked + REFRESH && state.failures == 0 {
            return None;
        }
        state.asked_for = Some(Arc::clone(seen));
        Some(now.max(asked + LEAST_INTERVAL))
    }

    /// Whether the peer could not be asked so far.
    #[inline]
    pub(crate) fn has_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// The peer is there, but could not be asked when it was not. Gives when to ask again.
    pub(crate) fn saw_peer(&self) -> Option<Instant> {
        let now = self.clock.now();
        let state = self.state.lock();
        state.asked.filter(|_| self.has_missed()).map(|asked| now.max(asked + LEAST_INTERVAL))
    }

    /// Waits until the peer is known, and has it asked by `call` unless it is being asked. `Ok(false)`: it answered,
    /// but has nothing to say.
    pub(crate) fn wait(&self, limit: Duration, address: &str, call: impl FnOnce()) -> Result<bool, Error> {
        let end = self.clock.now() + limit;
        let mut state = self.state.lock();
        // A request under way that fails is followed by another one soon, now that somebody waits.
        state.waiting += 1;
        if state.known.is_none() && !state.without && !state.running && !state.closed {
            drop(state);
            call();
            state = self.state.lock();
        }
        let mut timed_out = false;
        let result = loop {
            if let Some(answer) = state.answer(timed_out.then_some(limit), address) {
                break answer;
            }
            timed_out = self.changed.wait_until(&mut state, end).timed_out();
        };
        state.waiting -= 1;
        result
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

impl State {
    fn call_by(&mut self, at: Instant) {
        if self.due.is_none_or(|known| at < known) {
            self.due = Some(at);
        }
    }

    /// What somebody who waits is told; `None`: he waits on. `over`: he has waited for so long and will not any more.
    fn answer(&self, over: Option<Duration>, address: &str) -> Option<Result<bool, Error>> {
        if self.closed {
            let text = format!("the exporter was closed while it waited for {address}");
            return Some(Err(Error::new(ErrorKind::Closed, text)));
        }
        if self.known.is_some() || self.without {
            return Some(Ok(self.known.is_some()));
        }
        over.map(|limit| {
            let why = self.last_error.as_ref().map_or("it has not answered yet", |e| e.message());
            let text = format!("{address} did not answer within {} ms: {why}", limit.as_millis());
            Err(Error::new(ErrorKind::TimedOut, text))
        })
    }
}

/// Half to all of a pause that doubles, so that many exporters do not come together.
fn pause(failures: u32, waited_for: bool) -> Duration {
    if waited_for {
        return WAITED_FOR;
    }
    let ceiling = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(REFRESH);
    ceiling / 2 + (ceiling / 2).mul_f64(retry::fraction())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> (Discovery, Clock) {
        let clock = Clock::standing();
        (Discovery::new(clock.clone()), clock)
    }

    fn failed() -> Asked {
        Asked::Failed(Error::new(ErrorKind::ConnectionRefused, "nobody listens"))
    }

    fn nothing() -> Asked {
        Asked::Nothing(Error::new(ErrorKind::HttpStatus, "404").with_status(404))
    }

    fn heard(state: &str) -> Asked {
        Asked::Heard { state: Arc::from(state), changed: true }
    }

    #[test]
    fn only_an_answer_makes_known_and_it_is_asked_again_every_five_minutes() {
        let (d, clock) = standing();
        d.begin();
        assert_eq!(d.record(&heard("1")), clock.now() + REFRESH);
        let is_known = || d.wait(Duration::ZERO, "", || unreachable!("it is known")).unwrap();
        assert!(is_known() && !d.is_without());
        for asked in [failed(), nothing()] {
            d.record(&asked);
            assert!(is_known() && d.last_error().is_some());
        }
        assert_eq!(d.record(&nothing()), clock.now() + REFRESH);
        d.record(&heard("1"));
        assert!(d.last_error().is_none() && !d.is_due());
        clock.advance(REFRESH);
        assert!(d.is_due());
        d.begin();
        assert!(!d.is_due());
    }

    #[test]
    fn pauses_grow_and_end_at_the_regular_interval() {
        let (d, clock) = standing();
        for n in 0..20 {
            let pause = d.record(&failed()) - clock.now();
            let ceiling = FIRST_PAUSE.saturating_mul(1 << n.min(10)).min(REFRESH);
            assert!(pause >= ceiling / 2 && pause <= ceiling, "{n}: {pause:?}");
        }
    }

    #[test]
    fn another_state_asks_once_and_not_too_often() {
        let (d, clock) = standing();
        let (known, a): (Arc<str>, Arc<str>) = (Arc::from("known"), Arc::from("a"));
        assert_eq!(d.saw_state(&a), None, "the first request is on its way");
        d.begin();
        d.record(&heard("known"));
        assert_eq!(d.saw_state(&known), None);
        assert_eq!(d.saw_state(&a), Some(clock.now() + LEAST_INTERVAL));
        clock.advance(LEAST_INTERVAL);
        d.begin();
        d.record(&heard("known"));
        assert_eq!(d.saw_state(&a), None, "asked for that one already");
        assert!(d.saw_state(&Arc::from("b")).is_some());
        clock.advance(REFRESH);
        assert!(d.saw_state(&a).is_some());
    }

    #[test]
    fn a_peer_that_was_missed_is_asked_when_it_shows() {
        let (d, clock) = standing();
        d.begin();
        assert_eq!(d.saw_peer(), None, "not known to have failed");
        d.record(&failed());
        assert!(d.has_missed());
        assert_eq!(d.saw_peer(), Some(clock.now() + LEAST_INTERVAL));
        d.record(&nothing());
        assert!(!d.has_missed());
    }

    #[test]
    fn a_wait_ends_with_an_answer_an_absence_the_limit_or_a_close() {
        let (d, _) = standing();
        let limit = Duration::from_secs(9);
        let answer = |over| d.state.lock().answer(over, "http://h:1");
        assert!(answer(None).is_none());
        d.record(&failed());
        assert!(answer(None).is_none(), "a failure is no answer");
        let e = answer(Some(limit)).unwrap().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TimedOut);
        assert!(
            e.message().contains("nobody listens")
                && e.message().contains("http://h:1 did not answer within 9000 ms"),
            "{e}"
        );
        d.record(&nothing());
        let wait = |limit| d.wait(limit, "a", || unreachable!("it has answered"));
        assert!(!wait(limit).unwrap());
        d.record(&heard("1"));
        assert!(wait(Duration::ZERO).unwrap());
        d.close();
        assert_eq!(wait(limit).unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn whoever_waits_has_the_peer_asked_unless_it_is_being_asked() {
        let (d, _) = standing();
        let is_called = || {
            let mut called = false;
            assert!(d.wait(Duration::ZERO, "a", || called = true).is_err());
            called
        };
        assert!(is_called());
        d.begin();
        assert!(!is_called());
        d.record(&failed());
        assert!(is_called());
        d.begin();
        d.broken_off();
        assert!(is_called());
    }
}
