//! What answers of 413 have taught of a peer's limit. Only ever makes parts smaller; whether a single
//! chunk is too large, the peer says itself.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A learned limit is tried again after this; a proxy's 413 need not last.
const FORGET: Duration = Duration::from_secs(300);

/// The largest request by experience.
#[derive(Debug)]
pub(super) struct Learned {
    /// No request should be larger; `usize::MAX` when nothing was learned.
    target: AtomicUsize,
    since: Mutex<Option<Instant>>,
}

impl Default for Learned {
    fn default() -> Self {
        Self { target: AtomicUsize::new(usize::MAX), since: Mutex::new(None) }
    }
}

impl Learned {
    /// How large a request should be at most.
    #[inline]
    pub(super) fn target(&self) -> usize {
        self.target.load(Ordering::Relaxed)
    }

    /// As [`Learned::target`], forgetting what is old. For requests that are larger than that.
    #[cold]
    pub(super) fn target_at(&self, now: Instant) -> usize {
        let mut since = self.since.lock();
        if since.is_some_and(|at| now.saturating_duration_since(at) >= FORGET) {
            *since = None;
            self.target.store(usize::MAX, Ordering::Relaxed);
        }
        self.target()
    }

    /// The peer refused a request of `size` bytes. The limit lies somewhere below; half is tried next.
    #[cold]
    pub(super) fn refused(&self, size: usize, now: Instant) {
        *self.since.lock() = Some(now);
        self.target.fetch_min(size / 2, Ordering::Relaxed);
    }

    /// The peer took a request of `size` bytes.
    #[inline]
    pub(super) fn accepted(&self, size: usize) {
        if size > self.target() {
            self.target.fetch_max(size, Ordering::Relaxed);
        }
    }

    /// The agent says something new of itself.
    pub(super) fn forget(&self) {
        *self.since.lock() = None;
        self.target.store(usize::MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_learned_raised_and_forgotten() {
        let (l, now) = (Learned::default(), Instant::now());
        assert_eq!(l.target_at(now), usize::MAX);
        l.refused(1000, now);
        l.refused(5000, now);
        assert_eq!(l.target(), 500);
        l.accepted(400);
        l.accepted(700);
        assert_eq!(l.target_at(now + FORGET / 2), 700);
        assert_eq!(l.target_at(now + FORGET), usize::MAX);
    }
}
