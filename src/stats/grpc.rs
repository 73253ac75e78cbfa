//! gRPC status codes, as number or by name (`spec/reference-behaviour.md` 4.3).

/// Names without underscores, by code.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALIDARGUMENT",
    "DEADLINEEXCEEDED",
    "NOTFOUND",
    "ALREADYEXISTS",
    "PERMISSIONDENIED",
    "RESOURCEEXHAUSTED",
    "FAILEDPRECONDITION",
    "ABORTED",
    "OUTOFRANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATALOSS",
    "UNAUTHENTICATED",
];

/// Names with underscores, for people and OTLP.
const CANONICAL: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The code that a tag's text names.
pub(crate) fn of_text(text: &[u8]) -> Option<u8> {
    if let Some(code) = number(text) {
        return u8::try_from(code).ok();
    }
    let mut name = text;
    while let Some(rest) = name.strip_prefix(b"StatusCode.") {
        name = rest;
    }
    let is = |known: &[u8]| known.eq_ignore_ascii_case(name);
    if is(b"CANCELED") {
        return Some(1);
    }
    let of = |names: &[&str]| names.iter().position(|n| is(n.as_bytes()));
    of(&NAMES).or_else(|| of(&CANONICAL)).map(|code| code as u8)
}

/// The code that a metric holds.
pub(crate) fn of_number(v: f64) -> Option<u8> {
    (v.floor() == v && (0.0..=255.0).contains(&v)).then_some(v as u8)
}

/// The canonical name of a code.
pub(crate) fn name(code: u8) -> Option<&'static str> {
    CANONICAL.get(usize::from(code)).copied()
}

/// Decimal digits, a plus before them allowed.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |n, d| {
        let d = d.wrapping_sub(b'0');
        if d > 9 { None } else { n.checked_mul(10)?.checked_add(u32::from(d)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_by_number_and_by_name_in_every_spelling() {
        for (text, code) in [
            ("0", Some(0)),
            ("255", Some(255)),
            ("256", None),
            ("OK", Some(0)),
            ("ok", Some(0)),
            ("StatusCode.Unavailable", Some(14)),
            ("StatusCode.StatusCode.NOT_FOUND", Some(5)),
            ("NotFound", Some(5)),
            ("not_found", Some(5)),
            ("Canceled", Some(1)),
            ("CANCELLED", Some(1)),
            ("unauthenticated", Some(16)),
            ("", None),
            ("-1", None),
            ("N\u{d6}T", None),
            ("no such code, and a long one at that to be sure", None),
        ] {
            assert_eq!(of_text(text.as_bytes()), code, "{text}");
        }
        for (v, code) in [(0.0, Some(0)), (13.0, Some(13)), (1.5, None), (-1.0, None), (256.0, None)] {
            assert_eq!(of_number(v), code);
        }
        assert_eq!((of_number(f64::NAN), of_number(f64::INFINITY)), (None, None));
        assert_eq!((name(4), name(17)), (Some("DEADLINE_EXCEEDED"), None));
    }
}
