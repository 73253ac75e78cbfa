//! Card numbers in tags: 12 to 16 digits with spaces and dashes between them, beginning like an issuer's numbers.
//!
//! The ranges of issuers and the keys whose values never are card numbers are the agent's.

use crate::trace::{Scalar, ScalarVerdict, Verdict};
use hashbrown::HashSet;
use std::io::Write;

/// Finds values that look like card numbers.
#[derive(Clone, Debug, Default)]
pub struct CreditCards {
    luhn: bool,
    keep: HashSet<Vec<u8>, foldhash::fast::RandomState>,
}

impl CreditCards {
    /// `luhn`: only numbers whose check digit is right count. `keep_values`: keys whose values are left alone.
    pub fn new<K: AsRef<[u8]>>(luhn: bool, keep_values: &[K]) -> Self {
        Self { luhn, keep: keep_values.iter().map(|k| k.as_ref().to_vec()).collect() }
    }

    /// A tag's value: `?` if it looks like a card number and its key does not say that it is none.
    #[inline]
    pub fn tag(&self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Verdict {
        if may_be_card(value) { self.looked_at(key, value, out) } else { Verdict::Keep }
    }

    /// Apart from the loop over all tags: few values come here.
    #[cold]
    #[inline(never)]
    fn looked_at(&self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Verdict {
        if self.is_card(value) && self.is_checked(key) {
            out.push(b'?');
            return Verdict::Replace;
        }
        Verdict::Keep
    }

    /// An attribute of a span event: numbers count by their decimal text.
    pub fn attribute(&self, key: &[u8], value: Scalar<'_>, out: &mut Vec<u8>) -> ScalarVerdict {
        let start = out.len();
        let is_card = match value {
            Scalar::Bool(_) => false,
            Scalar::Text(text) => may_be_card(text) && self.is_card(text),
            Scalar::Int(_) | Scalar::Double(_) => {
                // Writing to memory does not fail.
                let _ = match value {
                    Scalar::Int(i) => write!(out, "{i}"),
                    Scalar::Double(d) => write!(out, "{d}"),
                    _ => Ok(()),
                };
                out.get(start..).is_some_and(|text| may_be_card(text) && self.is_card(text))
            }
        };
        out.truncate(start);
        if is_card && self.is_checked(key) {
            out.push(b'?');
            return ScalarVerdict::Text;
        }
        ScalarVerdict::Keep
    }

    /// Whether values under this key are looked at.
    pub fn is_checked(&self, key: &[u8]) -> bool {
        !key.starts_with(b"_") && !is_safe(key) && !self.keep.contains(key)
    }

    /// Whether a text looks like a card number.
    pub fn is_card(&self, text: &[u8]) -> bool {
        let mut digits = [0u8; 16];
        let mut count = 0;
        let (mut prefix, mut issuer) = (0u32, Issuer::Open);
        for &b in text {
            match b {
                b' ' | b'-' => continue,
                b'0'..=b'9' => {}
                _ => return false,
            }
            let Some(place) = digits.get_mut(count) else { return false };
            *place = b - b'0';
            count += 1;
            if issuer == Issuer::Open {
                prefix = prefix * 10 + u32::from(b - b'0');
                issuer = issuer_of(prefix, count);
                if issuer == Issuer::Unknown {
                    return false;
                }
            }
        }
        count >= 12
            && issuer == Issuer::Known
            && (!self.luhn || digits.get(..count).is_some_and(has_luhn_check))
    }
}

/// Whether it is worth a look: most values end here.
#[inline]
fn may_be_card(text: &[u8]) -> bool {
    text.len() >= 12 && matches!(text.first(), Some(b' ' | b'-' | b'0'..=b'9'))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issuer {
    Known,
    /// More digits will tell.
    Open,
    Unknown,
}

/// What the first `count` digits say. The shortest decisive prefix counts.
fn issuer_of(prefix: u32, count: usize) -> Issuer {
    let within = |ranges: &[(u32, u32)]| ranges.iter().any(|&(first, last)| (first..=last).contains(&prefix));
    let Some((known, open)) = ISSUERS.get(count - 1) else { return Issuer::Unknown };
    if within(known) {
        Issuer::Known
    } else if within(open) {
        Issuer::Open
    } else {
        Issuer::Unknown
    }
}

type Ranges = &'static [(u32, u32)];

/// For prefixes of one digit, two, and so on: which are an issuer's, and which may become one.
static ISSUERS: [(Ranges, Ranges); 6] = [
    (&[(1, 1), (4, 4)], &[(2, 3), (5, 6)]),
    (&[(34, 39), (51, 55), (62, 62), (65, 65)], &[(22, 27), (30, 30), (50, 50), (56, 58), (60, 69)]),
    (
        &[(300, 305), (309, 309), (636, 636), (644, 649)],
        &[(222, 272), (352, 358), (500, 509), (560, 589), (600, 699)],
    ),
    (&[(3528, 3589), (5019, 5019), (6011, 6011)], &[(2221, 2720), (5000, 5099), (5600, 5899), (6000, 6999)]),
    (&[], &[(22210, 27209), (50000, 50999), (56000, 58999), (60000, 69999)]),
    (&[(222_100, 272_099), (500_000, 509_999), (560_000, 589_999), (600_000, 699_999)], &[]),
];

/// The Luhn sum: every second digit from the right counts twice, digit by digit.
fn has_luhn_check(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &d)| match (i % 2, u32::from(d)) {
            (1, d @ 5..) => d * 2 - 9,
            (1, d) => d * 2,
            (_, d) => d,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Keys whose values are known and are not card numbers.
fn is_safe(key: &[u8]) -> bool {
    matches!(
        key,
        b"account_id"
            | b"aws_account"
            | b"error"
            | b"error.msg"
            | b"error.type"
            | b"error.stack"
            | b"env"
            | b"graphql.field"
            | b"graphql.query"
            | b"graphql.type"
            | b"graphql.operation.name"
            | b"grpc.code"
            | b"grpc.method"
            | b"grpc.request"
            | b"http.status_code"
            | b"http.method"
            | b"runtime-id"
            | b"out.host"
            | b"out.port"
            | b"sampling.priority"
            | b"span.type"
            | b"span.name"
            | b"service.name"
            | b"service"
            | b"sql.query"
            | b"version"
            | b"databricks_job_id"
            | b"databricks_job_run_id"
            | b"databricks_task_run_id"
            | b"config.spark_app_startTime"
            | b"config.spark_databricks_job_parentRunId"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_by_issuer_and_length() {
        let plain = CreditCards::new::<&str>(false, &[]);
        let luhn = CreditCards::new::<&str>(true, &[]);
        for (text, looks, checks) in [
            ("4111 1111 1111 1111", true, true),
            ("4111-1111-1111-1112", true, false),
            (" 378282246310005", true, true),
            ("3528000700000000", true, true),
            ("12345678901", false, false),
            ("4111111111111111x", false, false),
            ("41111111111111111", false, false),
            ("0111111111111111", false, false),
            ("7111111111111111", false, false),
            ("2720999999999996", true, true),
            ("2721000000000004", false, false),
            ("            4", false, false),
        ] {
            assert_eq!(plain.is_card(text.as_bytes()), looks, "{text}");
            assert_eq!(luhn.is_card(text.as_bytes()), checks, "{text}");
        }
    }

    #[test]
    fn safe_and_kept_keys_are_left_alone() {
        let cards = CreditCards::new(false, &["kept"]);
        let card = b"4111111111111111";
        for (key, hidden) in [("a", true), ("kept", false), ("_x", false), ("runtime-id", false), ("", true)]
        {
            let mut out = Vec::new();
            assert_eq!(cards.tag(key.as_bytes(), card, &mut out) == Verdict::Replace, hidden, "{key}");
            assert_eq!(out == b"?", hidden);
        }
        let mut out = Vec::new();
        assert_eq!(cards.attribute(b"a", Scalar::Int(4_111_111_111_111_111), &mut out), ScalarVerdict::Text);
        assert_eq!(out, b"?");
        assert_eq!(cards.attribute(b"a", Scalar::Double(4_111_111_111_111.5), &mut out), ScalarVerdict::Keep);
        assert_eq!(cards.attribute(b"a", Scalar::Bool(true), &mut out), ScalarVerdict::Keep);
        assert_eq!(out, b"?");
    }
}
