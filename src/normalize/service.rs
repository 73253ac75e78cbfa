//! Service names: a tag value of at most 100 bytes; a span without one gets the language's stand-in.

use super::{tag, truncate};
use crate::account::normalization::{Counts, Reason};
use crate::trace::Verdict;

pub(crate) const MAX_BYTES: usize = 100;

/// The stand-in for a service that is missing or has nothing left: `unnamed-java-service`, without a language
/// `unnamed-service`.
pub fn fallback(language: &[u8]) -> Vec<u8> {
    if language.is_empty() {
        return b"unnamed-service".to_vec();
    }
    [&b"unnamed-"[..], language, b"-service"].concat()
}

/// Normalizes a service; `fallback` is what [`fallback`] gave for the tracer's language.
pub fn service(text: &[u8], fallback: &[u8], counts: &mut Counts, out: &mut Vec<u8>) -> Verdict {
    if !text.is_empty() && text.len() <= MAX_BYTES && tag::is_normal(text) {
        return Verdict::Keep;
    }
    if text.is_empty() {
        counts.add(Reason::ServiceEmpty);
        out.extend_from_slice(fallback);
        return Verdict::Replace;
    }
    let start = out.len();
    let verdict = cut_value(text, Reason::ServiceTruncate, Reason::ServiceInvalid, counts, out);
    if verdict == Verdict::Replace && out.len() == start {
        out.extend_from_slice(fallback);
    }
    verdict
}

/// Cuts to 100 bytes and normalizes as a tag value; what has nothing left becomes empty and counts as invalid.
pub(crate) fn cut_value(
    text: &[u8],
    too_long: Reason,
    invalid: Reason,
    counts: &mut Counts,
    out: &mut Vec<u8>,
) -> Verdict {
    let start = out.len();
    let cut = truncate::text(text, MAX_BYTES);
    let mut verdict = tag::tag_value(cut, out);
    if cut.len() < text.len() && verdict == Verdict::Keep {
        out.extend_from_slice(cut);
        verdict = Verdict::Replace;
    }
    if verdict == Verdict::Replace && out.len() == start {
        counts.add(invalid);
    } else if cut.len() < text.len() {
        counts.add(too_long);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, language: &str) -> (String, Counts) {
        let (mut counts, mut out) = (Counts::default(), Vec::new());
        let verdict = service(text.as_bytes(), &fallback(language.as_bytes()), &mut counts, &mut out);
        (if verdict == Verdict::Keep { text.into() } else { String::from_utf8(out).unwrap() }, counts)
    }

    #[test]
    fn a_service_without_anything_left_gets_the_stand_in_of_its_language() {
        for (text, language, expected, reason) in [
            ("", "java", "unnamed-java-service", Some(Reason::ServiceEmpty)),
            ("!!", "java", "unnamed-java-service", Some(Reason::ServiceInvalid)),
            ("", "", "unnamed-service", Some(Reason::ServiceEmpty)),
            ("9Lives", "java", "9lives", None),
            (&"x".repeat(101), "", &"x".repeat(100), Some(Reason::ServiceTruncate)),
            (&"!".repeat(101), "", "unnamed-service", Some(Reason::ServiceInvalid)),
        ] {
            let (out, counts) = of(text, language);
            assert_eq!(out, expected);
            assert_eq!(counts.total(), u64::from(reason.is_some()));
            assert!(reason.is_none_or(|r| counts.get(r) == 1));
        }
    }
}
