//! HTTP and gRPC status of a span, as the agent's stats find them (`pkg/trace/semantics`: attribute by attribute, each
//! by several names, as text in `meta` or as number in `metrics`).

use super::place::slot_place;
use crate::trace::{Arena, Slot, Span};

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

/// Where an HTTP status may stand, in the order in which it is looked for.
const HTTP: [(Slot, Slot); 2] =
    [(Slot::HttpStatusNumber, Slot::HttpStatusText), (Slot::HttpResponseNumber, Slot::HttpResponseText)];

/// Where a gRPC status may stand, in the order in which it is looked for.
const GRPC: [(Slot, Slot); 5] = [
    (Slot::GrpcText0, Slot::GrpcNumber0),
    (Slot::GrpcText1, Slot::GrpcNumber1),
    (Slot::GrpcText2, Slot::GrpcNumber2),
    (Slot::GrpcText3, Slot::GrpcNumber3),
    (Slot::GrpcText4, Slot::GrpcNumber4),
];

/// The first name whose value can be read decides, number before text. What is out of range is then 0.
#[inline(never)]
pub(super) fn http(bytes: &[u8], arena: &Arena, span: &Span) -> u32 {
    HTTP.into_iter()
        .find_map(|(number, text)| {
            let found = arena.slot_number(bytes, span, number).and_then(whole);
            found.or_else(|| whole_text(slot_place(bytes, arena, span, text).text()))
        })
        .and_then(|code| u32::try_from(code).ok())
        .unwrap_or(0)
}

/// The first name with a text or a whole number decides, text before number, whether the value is a code or not.
#[inline(never)]
pub(super) fn grpc(bytes: &[u8], arena: &Arena, span: &Span) -> Option<u32> {
    let text = |slot| slot_place(bytes, arena, span, slot).text();
    for (in_meta, in_metrics) in GRPC {
        if in_meta == Slot::GrpcText4 && !is_grpc(text(Slot::RpcSystemName), text(Slot::RpcSystem)) {
            continue;
        }
        match text(in_meta) {
            b"" => {}
            named => return grpc_code(named),
        }
        if let Some(code) = arena.slot_number(bytes, span, in_metrics).and_then(whole) {
            return u32::try_from(code).ok();
        }
    }
    None
}

/// Whether `rpc.response.status_code` is a gRPC status: other systems have other codes.
fn is_grpc(system_name: &[u8], system: &[u8]) -> bool {
    system_name == b"grpc" || system_name.is_empty() && system == b"grpc"
}

/// The code that a text names.
pub(crate) fn grpc_code(text: &[u8]) -> Option<u32> {
    if text.iter().all(u8::is_ascii_digit) {
        return digits(text).and_then(|code| u32::try_from(code).ok());
    }
    let name = text.strip_prefix(b"StatusCode.").unwrap_or(text);
    if !name.is_ascii() {
        // The only two letters beyond ASCII whose capitals are within it.
        let name = std::str::from_utf8(name).ok()?.replace('ſ', "S").replace('ı', "I");
        return name.is_ascii().then(|| code_of(name.as_bytes()))?;
    }
    code_of(name)
}

fn code_of(name: &[u8]) -> Option<u32> {
    let is = |known: &[u8]| known.eq_ignore_ascii_case(name);
    if is(b"CANCELED") {
        return Some(1);
    }
    let of = |names: &[&str]| names.iter().position(|n| is(n.as_bytes()));
    of(&NAMES).or_else(|| of(&CANONICAL)).map(|code| code as u32)
}

/// The canonical name of a gRPC code.
pub(crate) fn grpc_name(code: u32) -> Option<&'static str> {
    CANONICAL.get(code as usize).copied()
}

/// A number without a fraction, if 64 bits hold it.
fn whole(v: f64) -> Option<i64> {
    // -2^63 is a number of 64 bits, 2^63 is not.
    const END: f64 = 9_223_372_036_854_775_808.0;
    (v.floor() == v && (-END..END).contains(&v)).then_some(v as i64)
}

/// A whole number in a text, as Go's `strconv.ParseInt` reads it, or else as `strconv.ParseFloat` does.
fn whole_text(text: &[u8]) -> Option<i64> {
    match usual_http(text) {
        Some(code) => Some(i64::from(code)),
        None if text.is_empty() => None,
        None => odd_number(text),
    }
}

/// A status as it nearly always comes: three digits.
#[inline(always)]
pub(super) fn usual_http(text: &[u8]) -> Option<u32> {
    let &[a, b, c] = text else { return None };
    let [a, b, c] = [a, b, c].map(|d| u32::from(d.wrapping_sub(b'0')));
    (a < 10 && b < 10 && c < 10).then_some(a * 100 + b * 10 + c)
}

#[cold]
fn odd_number(text: &[u8]) -> Option<i64> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if !unsigned.is_empty()
        && let Some(v) = digits(unsigned)
        && let Ok(v) = i64::try_from(if negative { -v } else { v })
    {
        return Some(v);
    }
    let v = if let [b'0', b'x' | b'X', hex @ ..] = unsigned {
        hex_float(hex)?
    } else {
        std::str::from_utf8(&without_separators(unsigned, false)?).ok()?.parse().ok()?
    };
    // Rust takes a second sign, Go does not.
    unsigned.first().filter(|b| !matches!(b, b'+' | b'-'))?;
    whole(if negative { -v } else { v })
}

/// Digits and nothing else. `None` also beyond 64 bits and a sign.
fn digits(text: &[u8]) -> Option<i128> {
    const BEYOND: i128 = 1 << 64;
    text.iter().try_fold(0i128, |n, d| {
        let d = d.wrapping_sub(b'0');
        if d > 9 || n > BEYOND { None } else { Some(n * 10 + i128::from(d)) }
    })
}

/// The text without underscores, which may stand between two digits (behind `0x` also before the first one).
fn without_separators(text: &[u8], hex: bool) -> Option<Vec<u8>> {
    let is_digit = |at: Option<usize>| match at.map(|at| text.get(at)) {
        Some(Some(b)) => {
            if hex {
                b.is_ascii_hexdigit()
            } else {
                b.is_ascii_digit()
            }
        }
        Some(None) => false,
        None => hex,
    };
    let mut out = Vec::with_capacity(text.len());
    for (at, b) in text.iter().enumerate() {
        match b {
            b'_' if is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)) => {}
            b'_' => return None,
            _ => out.push(*b),
        }
    }
    Some(out)
}

/// What stands behind `0x`: digits with or without a point, and an exponent of two, which must be there.
fn hex_float(text: &[u8]) -> Option<f64> {
    let text = without_separators(text, true)?;
    let at = text.iter().position(|b| b.eq_ignore_ascii_case(&b'p'))?;
    let (mantissa, exponent) = (text.get(..at)?, text.get(at + 1..)?);
    let (sign, power) = match exponent {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, exponent),
    };
    if power.is_empty() {
        return None;
    }
    // Beyond this everything is infinite or 0.
    const MOST: i64 = 100_000;
    let mut power = power
        .iter()
        .try_fold(0i64, |n, d| d.is_ascii_digit().then(|| (n * 10 + i64::from(d - b'0')).min(MOST)))?
        * sign;
    let (mut bits, mut digits, mut behind_point) = (0u64, 0, false);
    for b in mantissa {
        if *b == b'.' {
            if std::mem::replace(&mut behind_point, true) {
                return None;
            }
            continue;
        }
        let digit = u64::from(char::from(*b).to_digit(16)?);
        digits += 1;
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            power -= if behind_point { 4 } else { 0 };
        } else {
            // Too far behind to count, but it tells a number from the middle between two.
            bits |= u64::from(digit != 0);
            power += if behind_point { 0 } else { 4 };
        }
    }
    // In two steps, since 2^-1074 is a number and the inverse of 2^1074 is none.
    let power = power.clamp(-3000, 3000) as i32;
    let half = |power| 2f64.powi(power / 2);
    let value = if bits == 0 { 0.0 } else { bits as f64 * half(power) * half(power + power % 2) };
    (digits > 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_codes_are_read_by_number_and_by_name_in_every_spelling() {
        for (text, code) in [
            ("0", Some(0)),
            ("00005", Some(5)),
            ("256", Some(256)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("OK", Some(0)),
            ("ok", Some(0)),
            ("StatusCode.Unavailable", Some(14)),
            ("StatusCode.NOT_FOUND", Some(5)),
            ("StatusCode.StatusCode.NOT_FOUND", None),
            ("statuscode.OK", None),
            ("StatusCode.5", None),
            ("StatusCode.", None),
            ("NotFound", Some(5)),
            ("not_found", Some(5)),
            ("NOT FOUND", None),
            ("Canceled", Some(1)),
            ("CANCELLED", Some(1)),
            ("unauthenticated", Some(16)),
            ("ınternal", Some(13)),
            ("DATA_LOſS", Some(15)),
            ("-1", None),
            ("+5", None),
            ("5.0", None),
            (" 5", None),
            ("N\u{d6}T", None),
            ("no such code, and a long one at that to be sure", None),
        ] {
            assert_eq!(grpc_code(text.as_bytes()), code, "{text}");
        }
        assert_eq!(grpc_code(b"\xff"), None);
        assert_eq!((grpc_name(4), grpc_name(17)), (Some("DEADLINE_EXCEEDED"), None));
    }

    #[test]
    fn whole_numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("200", Some(200)),
            ("0200", Some(200)),
            ("+200", Some(200)),
            ("-200", Some(-200)),
            ("200.0", Some(200)),
            ("200.", Some(200)),
            (".2e3", Some(200)),
            ("2e2", Some(200)),
            ("2E+2", Some(200)),
            ("-.5e1", Some(-5)),
            ("1_000", Some(1000)),
            ("1_0e0_1", Some(100)),
            ("0x1p4", Some(16)),
            ("0x_1p4", Some(16)),
            ("0X1.8P3", Some(12)),
            ("0x.8p4", Some(8)),
            ("-0x1p-0", Some(-1)),
            ("0x1.00000000000000000001p0", Some(1)),
            ("0xfffffffffffffffffp-60", Some(256)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("1e-400", Some(0)),
            ("9223372036854775808", None),
            ("99999999999999999999999999999999999999999999", None),
            ("200.5", None),
            ("4O4", None),
            ("1e400", None),
            ("0x1p99999999999999999999", None),
            ("0x0p99999999999999999999", Some(0)),
            ("0x1p-99999999999999999999", Some(0)),
            ("0x1p-1074", None),
            ("0x1p5", Some(32)),
            ("0x80p-5", Some(4)),
            ("inf", None),
            ("-Infinity", None),
            ("NaN", None),
            ("", None),
            ("+", None),
            ("++1", None),
            ("-+1.0", None),
            (".", None),
            ("1e", None),
            (" 200", None),
            ("200 ", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1_.0", None),
            ("1e_1", None),
            ("0x10", None),
            ("0x1.", None),
            ("0x1p", None),
            ("0xp1", None),
            ("0x1..p1", None),
            ("0b11", None),
            ("\u{662}\u{660}\u{660}", None),
        ] {
            assert_eq!(whole_text(text.as_bytes()), value, "{text}");
        }
        for (v, expected) in [
            (404.0, Some(404)),
            (-0.0, Some(0)),
            (503.9, None),
            (1e20, None),
            (-9_223_372_036_854_775_808.0, Some(i64::MIN)),
            (9_223_372_036_854_775_808.0, None),
            (f64::INFINITY, None),
            (f64::NAN, None),
        ] {
            assert_eq!(whole(v), expected, "{v}");
        }
    }
}
