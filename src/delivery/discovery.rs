//! What is known of the agent by its `/info`, and when to ask again.
//!
//! Only a 200 with valid JSON replaces what is known. Asked is at start, every 300 s, when an answer names another state
//! than the known one, and after failures with growing pauses. The request itself is somebody else's; this is memory and
//! arithmetic. Belongs to one exporter: two exporters toward two agents know two things.

use crate::destination::agent::Info;
use crate::error::{Error, ErrorKind};
use crate::transport::retry;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often `/info` is read anyway.
pub(crate) const REFRESH: Duration = Duration::from_secs(300);
/// First pause after a failure; doubles up to [`REFRESH`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Pause after a failure while somebody waits for the agent.
const WAITED_FOR: Duration = Duration::from_millis(100);
/// An agent whose state never settles (two behind one address) is not asked more often than this.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The memory of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    state: Mutex<State>,
    changed: Condvar,
    /// Failed so far, and not because there is no `/info`.
    missed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    info: Option<Info>,
    /// An agent (or something else) answered, but has no `/info`.
    without: bool,
    last_error: Option<Error>,
    asked: Option<Instant>,
    /// The agent's state that the last request was made for.
    asked_for: Option<Arc<str>>,
    failures: u32,
    waiting: usize,
    requests: u64,
    closed: bool,
}

impl State {
    fn knows(&self, info: &Info) -> bool {
        self.info.as_ref().is_some_and(|known| {
            known.state_hash == info.state_hash && known.container_tags_hash == info.container_tags_hash
        })
    }
}

impl Discovery {
    /// What is known.
    pub(crate) fn info(&self) -> Option<Info> {
        self.state.lock().info.clone()
    }

    /// Whether this is what is known already.
    pub(crate) fn knows(&self, info: &Info) -> bool {
        self.state.lock().knows(info)
    }

    /// The last failure, if the last request failed.
    pub(crate) fn last_error(&self) -> Option<Error> {
        self.state.lock().last_error.clone()
    }

    /// Requests made.
    pub(crate) fn requests(&self) -> u64 {
        self.state.lock().requests
    }

    /// Whether an agent answered that has no `/info`.
    pub(crate) fn is_without(&self) -> bool {
        self.state.lock().without
    }

    /// A request starts.
    pub(crate) fn begin(&self, now: Instant) {
        let mut state = self.state.lock();
        state.asked = Some(now);
        state.requests += 1;
    }

    /// A request is over. Gives when the next is due. Who waits for the agent goes on when `changed` is done with another
    /// `/info` than before, so that it finds what follows from it.
    pub(crate) fn record(
        &self,
        result: Result<Info, Error>,
        now: Instant,
        changed: impl FnOnce(&Info),
    ) -> Instant {
        let mut state = self.state.lock();
        let next = match result {
            Ok(info) => {
                if !state.knows(&info) {
                    changed(&info);
                    state.info = Some(info);
                }
                (state.without, state.last_error, state.failures) = (false, None, 0);
                now + REFRESH
            }
            Err(error) => {
                // An agent that has no /info will have none in a second either.
                let none = matches!(error.status(), Some(404 | 405));
                state.without |= none;
                state.last_error = Some(error);
                state.failures = state.failures.saturating_add(1);
                if none { now + REFRESH } else { now + pause(state.failures, state.waiting > 0) }
            }
        };
        self.missed.store(state.failures > 0 && !state.without && state.info.is_none(), Ordering::Relaxed);
        drop(state);
        self.changed.notify_all();
        next
    }

    /// An answer named the agent's state. Gives when to ask for `/info`, if its state is not the known one.
    ///
    /// A state that was asked for already is left to the regular request: an agent may say another state than its
    /// `/info` has.
    pub(crate) fn saw_state(&self, seen: &Arc<str>, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        if state.info.as_ref().is_some_and(|known| known.state_hash == *seen) {
            return None;
        }
        let asked = state.asked?;
        if state.asked_for.as_ref() == Some(seen) && now < asked + REFRESH && state.failures == 0 {
            return None;
        }
        state.asked_for = Some(Arc::clone(seen));
        Some(now.max(asked + LEAST_INTERVAL))
    }

    /// Whether the agent could not be asked so far.
    #[inline]
    pub(crate) fn has_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// The agent is there, but its `/info` could not be read when it was not. Gives when to ask again.
    pub(crate) fn saw_agent(&self, now: Instant) -> Option<Instant> {
        let state = self.state.lock();
        state.asked.filter(|_| self.has_missed()).map(|asked| now.max(asked + LEAST_INTERVAL))
    }

    /// Waits until the agent is known. `Ok(None)`: it answered, but has no `/info`.
    pub(crate) fn wait(&self, limit: Duration) -> Result<Option<Info>, Error> {
        let end = Instant::now() + limit;
        let mut state = self.state.lock();
        state.waiting += 1;
        let mut timed_out = false;
        let result = loop {
            if state.closed {
                break Err(Error::new(
                    ErrorKind::Closed,
                    "the exporter was closed while it waited for the agent",
                ));
            } else if let Some(info) = &state.info {
                break Ok(Some(info.clone()));
            } else if state.without {
                break Ok(None);
            } else if timed_out {
                let why = state.last_error.as_ref().map_or("it has not answered yet", |e| e.message());
                let text = format!("the agent did not answer within {} ms: {why}", limit.as_millis());
                break Err(Error::new(ErrorKind::TimedOut, text));
            }
            timed_out = self.changed.wait_until(&mut state, end).timed_out();
        };
        state.waiting -= 1;
        result
    }

    /// Whether [`Discovery::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
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
    use ureq::http::HeaderMap;

    fn info(text: &str) -> Info {
        Info::parse(text.as_bytes(), &HeaderMap::new()).unwrap()
    }

    fn failed(status: Option<u16>) -> Error {
        let e = Error::new(ErrorKind::ConnectionRefused, "nobody listens");
        match status {
            Some(status) => e.with_status(status),
            None => e,
        }
    }

    /// Whether it was news, and when the next request is due.
    fn record(d: &Discovery, result: Result<Info, Error>, now: Instant) -> (bool, Instant) {
        let mut news = false;
        let next = d.record(result, now, |_| news = true);
        (news, next)
    }

    #[test]
    fn only_an_answer_replaces_what_is_known() {
        let (d, now) = (Discovery::default(), Instant::now());
        d.begin(now);
        let (news, next) = record(&d, Ok(info("{\"version\":\"1\"}")), now);
        assert!(news);
        assert_eq!(next, now + REFRESH);
        for e in [failed(None), failed(Some(500)), failed(Some(404))] {
            assert!(!record(&d, Err(e), now).0);
            assert_eq!(d.info().unwrap().fields.version, "1");
        }
        assert!(!record(&d, Ok(info("{\"version\":\"1\"}")), now).0);
        assert!(record(&d, Ok(info("{\"version\":\"2\"}")), now).0);
    }

    #[test]
    fn pauses_grow_and_end_at_the_regular_interval() {
        let (d, now) = (Discovery::default(), Instant::now());
        for n in 0..20 {
            let (_, next) = record(&d, Err(failed(None)), now);
            let ceiling = FIRST_PAUSE.saturating_mul(1 << n.min(10)).min(REFRESH);
            assert!(next - now >= ceiling / 2 && next - now <= ceiling, "{n}: {:?}", next - now);
        }
        assert_eq!(record(&d, Err(failed(Some(404))), now).1, now + REFRESH);
    }

    #[test]
    fn another_state_asks_once_and_not_too_often() {
        let (d, now) = (Discovery::default(), Instant::now());
        let a: Arc<str> = Arc::from("a");
        assert_eq!(d.saw_state(&a, now), None, "the first request is on its way");
        d.begin(now);
        record(&d, Ok(info("{}")), now);
        let known = d.info().unwrap().state_hash;
        assert_eq!(d.saw_state(&known, now), None);
        assert_eq!(d.saw_state(&a, now), Some(now + LEAST_INTERVAL));
        let later = now + LEAST_INTERVAL;
        d.begin(later);
        record(&d, Ok(info("{}")), later);
        assert_eq!(d.saw_state(&a, later), None, "asked for that one already");
        assert!(d.saw_state(&Arc::from("b"), later).is_some());
        assert!(d.saw_state(&a, later + REFRESH).is_some());
    }

    #[test]
    fn a_wait_ends_with_an_answer_an_absence_the_limit_or_a_close() {
        let d = Discovery::default();
        record(&d, Err(failed(None)), Instant::now());
        let e = d.wait(Duration::from_millis(10)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TimedOut);
        assert!(e.message().contains("nobody listens"), "{e}");
        record(&d, Err(failed(Some(404))), Instant::now());
        assert_eq!(d.wait(Duration::from_secs(9)).unwrap(), None);
        record(&d, Ok(info("{}")), Instant::now());
        assert!(d.wait(Duration::ZERO).unwrap().is_some());
        d.close();
        assert_eq!(d.wait(Duration::from_secs(9)).unwrap_err().kind(), ErrorKind::Closed);
    }
}
