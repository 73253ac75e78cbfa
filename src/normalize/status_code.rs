//! `http.status_code` in `meta`: decimal digits from 100 to 599, else the tag is removed.

use crate::account::normalization::{Counts, Reason};
use crate::trace::Verdict;

/// Says whether the tag stays. A sign, a space or an empty text make it invalid; leading zeros do not.
pub fn http_status_code(text: &[u8], counts: &mut Counts) -> Verdict {
    if is_valid(text) {
        return Verdict::Keep;
    }
    counts.add(Reason::InvalidHttpStatusCode);
    Verdict::Remove
}

#[inline]
fn is_valid(text: &[u8]) -> bool {
    let mut code: u32 = 0;
    for &b in text {
        if !b.is_ascii_digit() {
            return false;
        }
        // Beyond 599 it stays beyond 599, so there is no need to count on.
        code = (code * 10 + u32::from(b - b'0')).min(10_000);
    }
    (100..600).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_in_range_stay() {
        let mut counts = Counts::default();
        for text in ["200", "100", "599", "000404"] {
            assert_eq!(http_status_code(text.as_bytes(), &mut counts), Verdict::Keep, "{text}");
        }
        for text in ["", "99", "600", "+200", "2e2", " 200", "18446744073709551816", "٢٠٠"] {
            assert_eq!(http_status_code(text.as_bytes(), &mut counts), Verdict::Remove, "{text}");
        }
        assert_eq!(counts.get(Reason::InvalidHttpStatusCode), 8);
    }
}
