//! How fast what waits goes out: so many bytes a second (`maxBytesPerSecond`). A bucket of tokens, told as the time at
//! which it is not in debt any more, so it is arithmetic on given times and needs no thread.
//!
//! A body pays when it goes out, whatever is in the bucket: its size after compression is not known before. Who waits
//! (the queue, the spool) asks first and lets nothing go while there is debt; who does not wait (`send`, stats) only
//! pays. So over any longer time the rate holds, and a body larger than the bucket goes all the same.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What comes together while nothing is sent.
const BURST: Duration = Duration::from_secs(1);
/// What does not wait puts the others no further back than this.
const LONGEST_DEBT: Duration = Duration::from_secs(10);

/// The pace of one exporter. Thread-safe.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Bytes a second; 0: as fast as it goes.
    rate: AtomicU64,
    /// When the bucket is not in debt any more; long ago, or never anything said: it is full.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    /// Sets bytes a second. Another rate begins with a full bucket.
    pub(crate) fn set(&self, rate: Option<u64>) {
        let mut paid = self.paid.lock();
        if self.rate() != rate {
            self.rate.store(rate.unwrap_or(0), Ordering::Relaxed);
            *paid = None;
        }
    }

    /// Bytes a second.
    pub(crate) fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// So many bytes go out. `waits`: they have waited for their turn. The time is asked for only if there is a rate.
    #[inline]
    pub(crate) fn pay(&self, bytes: u64, waits: bool, now: impl FnOnce() -> Instant) {
        if self.rate().is_some() {
            self.pay_at(bytes, waits, now());
        }
    }

    fn pay_at(&self, bytes: u64, waits: bool, now: Instant) {
        let mut paid = self.paid.lock();
        let Some(rate) = self.rate() else { return };
        let full = now.checked_sub(BURST).unwrap_or(now);
        let before = paid.map_or(full, |paid| paid.max(full));
        let after = before + time_of(bytes, rate);
        // Whatever was owed before stays.
        let most = if waits { after } else { before.max(now + LONGEST_DEBT) };
        *paid = Some(after.min(most));
    }

    /// When what waits may go. `None`: now.
    pub(crate) fn ready_at(&self, now: Instant) -> Option<Instant> {
        self.rate()?;
        self.paid.lock().filter(|paid| *paid > now)
    }
}

/// How long so many bytes take. Longer than a day is a day: no time overflows.
fn time_of(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(Duration::from_secs(24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clock;

    fn pace(rate: u64) -> Pace {
        let pace = Pace::default();
        pace.set(Some(rate));
        pace
    }

    /// Sends bodies as soon as they may go, and gives how long that took.
    fn drain(pace: &Pace, clock: &Clock, sizes: impl Iterator<Item = u64>) -> Duration {
        let begin = clock.now();
        for size in sizes {
            if let Some(at) = pace.ready_at(clock.now()) {
                clock.advance(at - clock.now());
            }
            assert_eq!(pace.ready_at(clock.now()), None);
            pace.pay_at(size, true, clock.now());
        }
        clock.now() - begin
    }

    #[test]
    fn a_backlog_takes_its_bytes_by_the_rate_whatever_its_bodies_are() {
        let mut random = 20_261_126u64;
        for rate in [1024, 100_000, 1 << 30, u64::MAX] {
            for largest in [1, 1000, 40_000, 5 << 20] {
                let (pace, clock) = (pace(rate), Clock::standing());
                let mut sent = 0;
                let sizes: Vec<u64> = (0..300)
                    .map(|_| {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (random >> 33) % largest
                    })
                    .inspect(|size| sent += size)
                    .collect();
                let took = drain(&pace, &clock, sizes.iter().copied()).as_secs_f64();
                // The burst comes for nothing, the last body is not waited for.
                let least = (sent as f64 - rate as f64 - largest as f64) / rate as f64;
                let most = sent as f64 / rate as f64 + 0.001;
                assert!(took >= least - 0.001 && took <= most, "{rate} {largest}: {least} {took} {most}");
            }
        }
    }

    #[test]
    fn what_was_not_used_comes_together_for_a_second_and_no_longer() {
        let (pace, clock) = (pace(1000), Clock::standing());
        pace.pay_at(1000, true, clock.now());
        assert_eq!(pace.ready_at(clock.now()), None, "a full bucket");
        pace.pay_at(500, true, clock.now());
        assert_eq!(pace.ready_at(clock.now()), Some(clock.now() + Duration::from_millis(500)));
        clock.advance(Duration::from_secs(3600));
        pace.pay_at(1500, true, clock.now());
        assert_eq!(pace.ready_at(clock.now()), Some(clock.now() + Duration::from_millis(500)));
    }

    #[test]
    fn what_does_not_wait_is_counted_and_starves_nobody_for_long() {
        let (pace, clock) = (pace(1000), Clock::standing());
        pace.pay_at(3000, false, clock.now());
        assert_eq!(pace.ready_at(clock.now()), Some(clock.now() + Duration::from_secs(2)));
        for _ in 0..100 {
            pace.pay_at(1 << 30, false, clock.now());
        }
        assert_eq!(pace.ready_at(clock.now()), Some(clock.now() + LONGEST_DEBT));
        // What has waited owes all that it took, and nothing takes that away.
        pace.pay_at(50_000, true, clock.now());
        pace.pay_at(50_000, false, clock.now());
        assert_eq!(pace.ready_at(clock.now()), Some(clock.now() + Duration::from_secs(60)));
    }

    #[test]
    fn without_a_rate_nothing_waits_and_another_rate_begins_anew() {
        let (pace, clock) = (Pace::default(), Clock::standing());
        pace.pay_at(u64::MAX, true, clock.now());
        assert_eq!((pace.ready_at(clock.now()), pace.rate()), (None, None));
        pace.set(Some(1));
        pace.pay_at(u64::MAX, true, clock.now());
        assert!(pace.ready_at(clock.now()).is_some());
        pace.set(Some(1));
        assert!(pace.ready_at(clock.now()).is_some(), "the same");
        pace.set(Some(2));
        assert_eq!(pace.ready_at(clock.now()), None);
    }
}
