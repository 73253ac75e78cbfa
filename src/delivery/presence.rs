//! Whether the agent is there: READY, DEGRADED or DOWN.
//!
//! Once a send has spent its whole budget in vain, the agent counts as gone. Later sends then fail at once instead of
//! each burning its budget, while probes (one at a time, with growing pauses) look whether it is back. A probe that was
//! answered lets one send try; when that succeeds, all may again.

use crate::error::{Error, ErrorKind};
use crate::time::Clock;
use crate::transport::retry;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// First pause before a probe; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// If a probe is so much overdue, nobody makes it (no thread could be started), and a send tries instead.
const OVERDUE: Duration = Duration::from_secs(3);
/// A budget counts as spent when less than this is left: no attempt is started with less.
const REST: Duration = Duration::from_millis(25);

/// What a health endpoint wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The last thing asked of the agent worked, or nothing was asked yet.
    Ready,
    /// The last thing asked of the agent failed; sends are tried.
    Degraded,
    /// The agent counts as gone; sends fail at once until a probe finds it again.
    Down,
}

impl Condition {
    /// The name in upper case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Degraded => "DEGRADED",
            Self::Down => "DOWN",
        }
    }
}

/// The state of the connection to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentState {
    /// In one word.
    pub condition: Condition,
    /// When the agent last accepted something.
    pub last_success: Option<SystemTime>,
    /// When something last failed, and how.
    pub last_error: Option<(SystemTime, Error)>,
}

const READY: u8 = 0;
const DEGRADED: u8 = 1;
const DOWN: u8 = 2;
/// A probe was answered; one send may try.
const TRIAL: u8 = 3;

#[derive(Debug)]
pub(crate) struct Presence {
    clock: Clock,
    mode: AtomicU8,
    last_success_ms: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last_error: Option<(SystemTime, Error)>,
    down_since: Option<Instant>,
    probe_at: Option<Instant>,
    probing: bool,
    trying: bool,
    pauses: u32,
    by_discovery: bool,
}

/// A send that may go. Says how it ended by [`Presence::succeeded`] or [`Presence::failed`]; one that ends without a
/// word (a panic) makes room for the next.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    presence: &'a Presence,
    on_trial: bool,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.on_trial {
            self.presence.inner.lock().trying = false;
        }
    }
}

impl Presence {
    /// Nothing is known yet, which counts as ready.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            mode: AtomicU8::new(READY),
            last_success_ms: AtomicU64::new(0),
            inner: Mutex::default(),
        }
    }

    /// Whether the peer counts as gone, without a lock.
    #[inline]
    pub(crate) fn is_down(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == DOWN
    }

    /// Whether a send may go.
    pub(crate) fn admit(&self, address: &str) -> Result<Admitted<'_>, Error> {
        match self.mode.load(Ordering::Relaxed) {
            READY | DEGRADED => Ok(Admitted { presence: self, on_trial: false }),
            _ => self.admit_on_trial(address),
        }
    }

    #[cold]
    fn admit_on_trial(&self, address: &str) -> Result<Admitted<'_>, Error> {
        let mut inner = self.inner.lock();
        let now = self.clock.now();
        let mode = self.mode.load(Ordering::Relaxed);
        let overdue = !inner.probing && inner.probe_at.is_none_or(|at| now > at + OVERDUE);
        if mode < DOWN {
            return Ok(Admitted { presence: self, on_trial: false });
        }
        if !inner.trying && (mode == TRIAL || overdue) {
            inner.trying = true;
            return Ok(Admitted { presence: self, on_trial: true });
        }
        let away = inner.down_since.map_or(0, |since| (now - since).as_millis());
        let why = inner.last_error.as_ref().map_or("no answer", |(_, e)| e.message());
        Err(Error::new(
            ErrorKind::AgentDown,
            format!(
                "{address} has been away for {away} ms, so this send was not tried: it is looked for every few seconds \
                 and sends go on as soon as it is back (a send waits for an agent up to `sendBudget` first); \
                 last error: {why}"
            ),
        ))
    }

    /// A send succeeded. Gives whether the agent had been in trouble.
    pub(crate) fn succeeded(&self) -> bool {
        self.last_success_ms.store(self.unix_ms(), Ordering::Relaxed);
        self.mode.load(Ordering::Relaxed) != READY && self.recover()
    }

    #[cold]
    fn recover(&self) -> bool {
        let mut inner = self.inner.lock();
        self.mode.store(READY, Ordering::Relaxed);
        (inner.down_since, inner.probe_at, inner.pauses, inner.by_discovery) = (None, None, 0, false);
        true
    }

    /// A send failed after `took` of its `budget`. Gives when to probe, if the agent counts as gone now.
    #[cold]
    pub(crate) fn failed(&self, error: &Error, took: Duration, budget: Duration) -> Option<Instant> {
        let now = self.clock.now();
        if error.kind() == ErrorKind::Closed {
            return None;
        }
        let in_vain = error.is_temporary();
        let mut inner = self.inner.lock();
        inner.last_error = Some((self.clock.wall(), error.clone()));
        inner.by_discovery = false;
        if in_vain && took + REST >= budget {
            let since = now.checked_sub(took).unwrap_or(now);
            inner.down_since.get_or_insert(since);
            self.mode.store(DOWN, Ordering::Relaxed);
            // Of several sends that gave up together only the first makes the pause longer.
            return Some(match inner.probe_at {
                Some(at) => at,
                None => inner.plan_probe(now),
            });
        }
        // A short failure on trial shows an agent that answers; one that can't even be reached stays down.
        if self.mode.load(Ordering::Relaxed) < DOWN || !in_vain {
            self.mode.store(DEGRADED, Ordering::Relaxed);
            inner.down_since = None;
        }
        None
    }

    /// What failed so went elsewhere after `took`: the peer counts as gone at once. Gives when to probe, and whether it
    /// did not count as gone before.
    #[cold]
    pub(crate) fn give_up(&self, error: &Error, took: Duration) -> (Instant, bool) {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        inner.last_error = Some((self.clock.wall(), error.clone()));
        inner.by_discovery = false;
        let news = inner.down_since.is_none();
        inner.down_since.get_or_insert(now.checked_sub(took).unwrap_or(now));
        self.mode.store(DOWN, Ordering::Relaxed);
        let at = match inner.probe_at {
            Some(at) => at,
            None => inner.plan_probe(now),
        };
        (at, news)
    }

    /// Something failed that cost nothing.
    #[cold]
    pub(crate) fn remember(&self, error: &Error) {
        self.inner.lock().last_error = Some((self.clock.wall(), error.clone()));
    }

    /// Whether a probe is due; it counts as under way then.
    pub(crate) fn begin_probe(&self) -> bool {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        let due = self.mode.load(Ordering::Relaxed) == DOWN
            && !inner.probing
            && inner.probe_at.is_some_and(|at| at <= now);
        inner.probing |= due;
        due
    }

    /// A probe was begun and never ended.
    pub(crate) fn probe_again(&self, at: Instant) {
        let mut inner = self.inner.lock();
        if std::mem::take(&mut inner.probing) {
            inner.probe_at = Some(at);
        }
    }

    /// A probe is over. Gives when the next one is due, if the agent is still gone.
    pub(crate) fn probed(&self, error: Option<&Error>) -> Option<Instant> {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        inner.probing = false;
        if self.mode.load(Ordering::Relaxed) != DOWN {
            return None;
        }
        match error {
            // Whoever answers, with whatever, is there; what it thinks of traces the next send will see.
            Some(error) if error.status().is_none() && error.kind() != ErrorKind::InvalidResponse => {
                inner.last_error = Some((self.clock.wall(), error.clone()));
                Some(inner.plan_probe(now))
            }
            _ => {
                self.mode.store(TRIAL, Ordering::Relaxed);
                inner.probe_at = None;
                None
            }
        }
    }

    /// Whatever was known was known of another time (the process was frozen meanwhile).
    pub(crate) fn forget(&self) {
        let mut inner = self.inner.lock();
        self.mode.store(READY, Ordering::Relaxed);
        *inner = Inner { last_error: inner.last_error.take(), ..Inner::default() };
    }

    /// A request for `/info`, begun at `began`, is over.
    pub(crate) fn discovered(&self, error: Option<&Error>, began: SystemTime) {
        let mut inner = self.inner.lock();
        let mode = self.mode.load(Ordering::Relaxed);
        match error {
            None => {
                self.last_success_ms.fetch_max(self.unix_ms(), Ordering::Relaxed);
                if mode == DEGRADED && inner.by_discovery {
                    self.mode.store(READY, Ordering::Relaxed);
                    inner.by_discovery = false;
                }
            }
            Some(e) if e.status().is_some() || e.kind() == ErrorKind::Closed => {}
            Some(e) => {
                inner.last_error = Some((self.clock.wall(), e.clone()));
                // A send that succeeded meanwhile knows better.
                let heard = Duration::from_millis(self.last_success_ms.load(Ordering::Relaxed));
                if mode == READY && UNIX_EPOCH + heard < began {
                    self.mode.store(DEGRADED, Ordering::Relaxed);
                    inner.by_discovery = true;
                }
            }
        }
    }

    fn unix_ms(&self) -> u64 {
        self.clock.wall().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_millis() as u64)
    }

    /// For health endpoints.
    pub(crate) fn state(&self) -> AgentState {
        let inner = self.inner.lock();
        let ms = self.last_success_ms.load(Ordering::Relaxed);
        AgentState {
            condition: match self.mode.load(Ordering::Relaxed) {
                READY => Condition::Ready,
                DEGRADED | TRIAL => Condition::Degraded,
                _ => Condition::Down,
            },
            last_success: (ms > 0).then(|| UNIX_EPOCH + Duration::from_millis(ms)),
            last_error: inner.last_error.clone(),
        }
    }
}

impl Inner {
    fn plan_probe(&mut self, now: Instant) -> Instant {
        let ceiling = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(16)).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        let at = now + ceiling / 2 + (ceiling / 2).mul_f64(retry::fraction());
        self.probe_at = Some(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(1);

    fn refused() -> Error {
        Error::new(ErrorKind::ConnectionRefused, "nobody listens")
    }

    fn standing() -> (Presence, Clock) {
        let clock = Clock::standing();
        (Presence::new(clock.clone()), clock)
    }

    fn down() -> (Presence, Clock, Instant) {
        let (p, clock) = standing();
        let probe = p.failed(&refused(), BUDGET, BUDGET).unwrap();
        (p, clock, probe)
    }

    fn wait_for(clock: &Clock, at: Instant) {
        clock.advance(at.saturating_duration_since(clock.now()));
    }

    #[test]
    fn only_a_budget_spent_in_vain_makes_the_agent_gone() {
        let http = |status: u16| {
            Error::new(ErrorKind::HttpStatus, "x").with_status(status).with_temporary(status == 503)
        };
        for (error, took, expected) in [
            (refused(), BUDGET, Condition::Down),
            (refused(), BUDGET / 2, Condition::Degraded),
            (http(503), BUDGET, Condition::Down),
            (http(400), BUDGET, Condition::Degraded),
            (Error::new(ErrorKind::Closed, ""), BUDGET, Condition::Ready),
        ] {
            let (p, _) = standing();
            assert_eq!(p.failed(&error, took, BUDGET).is_some(), expected == Condition::Down);
            assert_eq!(p.state().condition, expected, "{error}");
            assert_eq!(p.is_down(), expected == Condition::Down);
            p.succeeded();
            assert_eq!(p.state().condition, Condition::Ready);
            assert!(p.state().last_success.is_some());
        }
    }

    #[test]
    fn an_agent_that_is_gone_is_probed_one_at_a_time_and_then_tried_by_one_send() {
        let (p, clock, probe) = down();
        let e = p.admit("http://h:1").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::AgentDown);
        assert!(e.message().contains("nobody listens") && e.message().contains("sendBudget"), "{e}");
        assert!(!p.begin_probe(), "not yet");
        wait_for(&clock, probe);
        assert!(p.begin_probe() && !p.begin_probe());
        let next = p.probed(Some(&refused())).unwrap();
        assert!(next > probe);
        wait_for(&clock, next);
        assert!(p.begin_probe());
        assert_eq!(p.probed(None), None);
        assert_eq!(p.state().condition, Condition::Degraded);
        let trial = p.admit("a").unwrap();
        assert!(p.admit("a").is_err(), "one at a time");
        drop(trial);
        let trial = p.admit("a").unwrap();
        p.succeeded();
        assert!(p.admit("a").is_ok());
        drop(trial);
    }

    #[test]
    fn a_probe_that_nobody_makes_is_replaced_by_a_send() {
        let (p, clock, probe) = down();
        wait_for(&clock, probe + OVERDUE);
        assert!(p.admit("a").is_err());
        clock.advance(Duration::from_millis(1));
        assert!(p.admit("a").is_ok());
    }

    #[test]
    fn a_trial_that_fails_again_waits_longer() {
        let (p, clock, mut probe) = down();
        for n in 0..12u32 {
            wait_for(&clock, probe);
            assert!(p.begin_probe());
            assert_eq!(p.probed(None), None);
            let _trial = p.admit("a").unwrap();
            let next = p.failed(&refused(), BUDGET, BUDGET).unwrap();
            assert!(
                next - probe <= LONGEST_PAUSE
                    && next - probe >= FIRST_PAUSE.saturating_mul(1 << n).min(LONGEST_PAUSE) / 2
            );
            probe = next;
        }
    }

    #[test]
    fn an_answer_of_whatever_kind_is_a_sign_of_life() {
        for error in [
            Error::new(ErrorKind::HttpStatus, "").with_status(404),
            Error::new(ErrorKind::InvalidResponse, ""),
        ] {
            let (p, clock, probe) = down();
            wait_for(&clock, probe);
            assert!(p.begin_probe());
            assert_eq!(p.probed(Some(&error)), None);
            assert!(p.admit("a").is_ok());
        }
    }

    #[test]
    fn a_failed_discovery_degrades_until_something_works() {
        let (p, clock) = standing();
        let began = clock.wall();
        p.discovered(Some(&refused()), began);
        assert_eq!(p.state().condition, Condition::Degraded);
        p.discovered(None, began);
        assert_eq!(p.state().condition, Condition::Ready);
        p.discovered(Some(&refused()), began - Duration::from_secs(5));
        assert_eq!(p.state().condition, Condition::Ready, "it was heard of since");
    }
}
