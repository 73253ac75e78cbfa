//! When a send is tried again, and how long it waits first.
//!
//! Our decision (not the reference's, which repeats every 4xx five times without looking at the clock): only what can
//! succeed is repeated; waits are exponential with full jitter, so that many senders do not come back together;
//! `Retry-After` is honoured; one budget of time covers it all. Everything here is arithmetic on given times, so tests
//! need no clock.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Upper end of the first wait; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Upper end of every later wait: an agent that comes back is noticed soon after.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// With less time than this left, another attempt is not worth starting.
const LEAST_TIME: Duration = Duration::from_millis(20);
/// A `Retry-After` beyond this is taken for a mistake and ignored.
const ABSURD: Duration = Duration::from_secs(24 * 3600);

/// Whether a request that got `status` may succeed when it is sent again.
pub fn repeats_status(status: u16) -> bool {
    // 501 and 505 are 5xx that stay the same however often one asks.
    matches!(status, 408 | 429 | 500..=599) && !matches!(status, 501 | 505)
}

/// Whether enough time is left for another attempt.
pub(crate) fn is_worth_while(now: Instant, end: Instant) -> bool {
    time_for_another(now, end).is_some()
}

/// How long one may wait until another attempt; `None` if its time would not suffice.
fn time_for_another(now: Instant, end: Instant) -> Option<Duration> {
    end.checked_duration_since(now)?.checked_sub(LEAST_TIME)
}

/// The waits of one send.
#[derive(Debug)]
pub struct Schedule {
    end: Instant,
    waits: u32,
    random: Random,
}

impl Schedule {
    /// A send that must be over at `end`. `seed` makes the jitter.
    pub fn new(end: Instant, seed: u64) -> Self {
        Self { end, waits: 0, random: Random(seed) }
    }

    /// How long to wait before the next attempt; `None` if the budget has no room for one, or less than the agent asks
    /// us to stay away.
    pub fn next(&mut self, now: Instant, retry_after: Option<Duration>) -> Option<Duration> {
        let left = time_for_another(now, self.end)?;
        let ceiling = FIRST_WAIT.saturating_mul(1 << self.waits.min(16)).min(LONGEST_WAIT).min(left);
        self.waits += 1;
        let jittered = ceiling.mul_f64(self.random.fraction());
        match retry_after {
            Some(asked) if asked > left => None,
            // A little jitter on top: the agent tells all its clients the same number.
            Some(asked) => Some((asked + jittered).min(left)),
            None => Some(jittered),
        }
    }
}

/// Reads `Retry-After`: seconds, or a date in one of the three forms of RFC 9110. What cannot be read, lies
/// in the past or asks for more than a day is as if it were not there.
pub fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(text.parse().ok()?)
    } else {
        let now_s = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        (UNIX_EPOCH + Duration::from_secs(http_date(text, now_s)?)).duration_since(now).ok()?
    };
    (wait <= ABSURD).then_some(wait)
}

/// Seconds since 1970 of a date: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` (RFC 850) or
/// `Sun Nov  6 08:49:37 1994` (asctime). `now_s`: a year of two digits is not more than 50 years after it.
fn http_date(text: &str, now_s: u64) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', '-']).filter(|word| !word.is_empty()).collect();
    let is_850 = text.contains('-');
    let (day, month, year, time) = match *words.as_slice() {
        [weekday, day, month, year, time, "GMT"] if weekday.ends_with(',') => (day, month, year, time),
        [_, month, day, time, year] if !is_850 => (day, month, year, time),
        _ => return None,
    };
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let day = number(day)?;
    let mut year_number = number(year)?;
    if is_850 {
        if year.len() != 2 {
            return None;
        }
        let this_year = 1970 + now_s / 31_556_952;
        year_number += this_year / 100 * 100;
        if year_number > this_year + 50 {
            year_number -= 100;
        }
    }
    let year = year_number;
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|m| *m == month)? as u64;
    let mut clock = time.split(':').map(|part| number(part).filter(|n| *n < 61));
    let (h, m, s) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || h > 23 || clock.next().is_some() {
        return None;
    }
    // Days before a civil date, counted in years that begin in March, so that the leap day comes last.
    let (y, m_shifted) = if month >= 2 { (year, month - 2) } else { (year - 1, month + 10) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m_shifted + 2) / 5 + day - 1;
    let since_1970 = days.checked_sub(719_468)?;
    Some(since_1970 * 86_400 + h * 3600 + m * 60 + s)
}

/// A seed that differs from send to send and from process to process.
pub fn seed() -> u64 {
    // The standard library seeds this from the operating system.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// A random number from 0 up to, not including, 1.
pub(crate) fn fraction() -> f64 {
    Random(seed()).fraction()
}

/// SplitMix64: small, and good enough for spreading waits.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// A number from 0 up to, not including, 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn only_what_can_succeed_is_repeated() {
        for status in [408, 429, 500, 502, 503, 504, 599] {
            assert!(repeats_status(status), "{status}");
        }
        for status in [101, 204, 301, 304, 400, 401, 403, 404, 405, 413, 415, 422, 499, 501, 505, 600] {
            assert!(!repeats_status(status), "{status}");
        }
    }

    #[test]
    fn waits_grow_are_spread_and_stay_within_their_ceiling() {
        let now = Instant::now();
        let mut sums = [0.0; 8];
        for seed in 0..400 {
            let mut s = Schedule::new(now + Duration::from_secs(600), seed);
            for (i, sum) in sums.iter_mut().enumerate() {
                let wait = s.next(now, None).unwrap();
                assert!(wait <= (FIRST_WAIT * (1 << i)).min(LONGEST_WAIT));
                *sum += wait.as_secs_f64() / 400.0;
            }
        }
        // Full jitter: the mean is half the ceiling.
        for (sum, ceiling) in sums.iter().zip([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]) {
            assert!((sum / ceiling - 0.5).abs() < 0.06, "{sums:?}");
        }
    }

    #[test]
    fn the_budget_bounds_everything() {
        let now = Instant::now();
        let mut s = Schedule::new(now + ms(500), 1);
        for _ in 0..100 {
            assert!(s.next(now, None).unwrap() <= ms(480));
        }
        assert_eq!(s.next(now + ms(481), None), None);
        assert_eq!(s.next(now + ms(9999), None), None);
    }

    #[test]
    fn the_agent_is_given_the_time_it_asks_for_or_the_send_ends() {
        let now = Instant::now();
        let mut s = Schedule::new(now + ms(5000), 1);
        let wait = s.next(now, Some(ms(2000))).unwrap();
        assert!(wait >= ms(2000) && wait <= ms(2100), "{wait:?}");
        assert_eq!(s.next(now, Some(ms(4990))), None);
        assert!(s.next(now, Some(ms(0))).is_some());
    }

    #[test]
    fn reads_seconds_and_dates_and_ignores_nonsense() {
        let at = |s| UNIX_EPOCH + Duration::from_secs(s);
        for (value, now, wait) in [
            ("0", 0, Some(0)),
            (" 120 ", 0, Some(120)),
            ("86400", 0, Some(86400)),
            ("86401", 0, None),
            ("99999999999999999999999", 0, None),
            ("-1", 0, None),
            ("1.5", 0, None),
            ("soon", 0, None),
            ("", 0, None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770, Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_778, None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_770, Some(7)),
            ("Sun Nov  6 08:49:37 1994", 784_111_770, Some(7)),
            ("Thu Nov 16 08:49:37 1994", 784_975_770, Some(7)),
            // Fifty years ahead at most: in 1994 this was 2044, in 2044 it is.
            ("Sunday, 06-Nov-44 08:49:37 GMT", 784_111_770, None),
            ("Sunday, 06-Nov-44 08:49:37 GMT", 2_362_034_970, Some(7)),
            ("Sunday, 06-Nov-1994 08:49:37 GMT", 784_111_770, None),
            ("Sun Nov  6 08:49:37", 784_111_770, None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", 784_111_770, None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", 784_111_770, None),
            ("Thu, 01 Jan 1970 00:00:05 GMT", 0, Some(5)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_799, Some(1)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_199, Some(1)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 0, None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", 0, None),
            ("Sun, 06 Nov 1994 08:49 GMT", 0, None),
            ("Sun, 00 Jan 0000 00:00:00 GMT", 0, None),
        ] {
            assert_eq!(retry_after(value.as_bytes(), at(now)), wait.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(b"\xff", at(0)), None);
    }
}
