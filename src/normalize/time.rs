//! Start and duration, in ns. A duration that is negative or would overflow becomes 0; a start before the year 2000 is
//! taken for garbage and becomes "now, less the duration".

use crate::account::normalization::{Counts, Reason};

/// 2000-01-01T00:00:00Z in ns since 1970.
pub const YEAR_2000_NS: i64 = 946_684_800_000_000_000;

/// The repaired duration, or `None` if it is fine. With a start before 1970 every duration counts as overflowing, as
/// the agent computes it.
#[inline]
pub fn duration(start_ns: i64, duration_ns: i64, counts: &mut Counts) -> Option<i64> {
    let fine = duration_ns >= 0 && duration_ns <= i64::MAX.wrapping_sub(start_ns);
    if fine {
        return None;
    }
    counts.add(Reason::InvalidDuration);
    Some(0)
}

/// The repaired start, or `None` if it is fine; `duration_ns` must be repaired already.
#[inline]
pub fn start(start_ns: i64, duration_ns: i64, now_ns: i64, counts: &mut Counts) -> Option<i64> {
    if start_ns >= YEAR_2000_NS {
        return None;
    }
    counts.add(Reason::InvalidStartDate);
    let repaired = now_ns.wrapping_sub(duration_ns);
    Some(if repaired < 0 { now_ns } else { repaired })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_durations_that_cannot_be() {
        let mut counts = Counts::default();
        for (start, ns, expected) in [
            (5, 0, None),
            (5, -2, Some(0)),
            (5, i64::MAX, Some(0)),
            (5, i64::MAX - 5, None),
            (-1, 0, Some(0)),
        ] {
            assert_eq!(duration(start, ns, &mut counts), expected, "{start} {ns}");
        }
        assert_eq!(counts.get(Reason::InvalidDuration), 3);
    }

    #[test]
    fn repairs_starts_before_2000() {
        let mut counts = Counts::default();
        assert_eq!(start(YEAR_2000_NS, 7, 100, &mut counts), None);
        assert_eq!(start(YEAR_2000_NS - 1, 7, 100, &mut counts), Some(93));
        assert_eq!(start(0, 101, 100, &mut counts), Some(100));
        assert_eq!(counts.get(Reason::InvalidStartDate), 2);
    }
}
