//! Values of `metrics`, for formats that tell integers from other numbers.

use super::source::Source;
use super::string_at;
use crate::msgpack::reader;
use crate::trace::MapView;

/// A value of `metrics`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    /// What OTLP tells: its integers are for what is one, and -0.0 is one there.
    #[inline(always)]
    pub(super) fn as_it_is(self) -> Self {
        match self {
            Number::Double(0.0) => Number::Int(0),
            other => other,
        }
    }

    pub(super) fn as_double(self) -> f64 {
        match self {
            Number::Int(v) => v as f64,
            Number::Double(v) => v,
        }
    }
}

/// The number at `p` and the position behind it: an integer if it is one that fits, else a double. Nil is 0, as
/// with the agent.
#[inline(always)]
pub(super) fn number(buf: &[u8], p: usize) -> (Number, usize) {
    match buf.get(p..).and_then(<[u8]>::first_chunk).and_then(usual) {
        Some((value, width)) => (value, p + width),
        None => odd_number(buf, p),
    }
}

/// The number that these bytes begin with and how many it takes, if it is of a usual kind.
#[inline(always)]
pub(super) fn usual(bytes: &[u8; 9]) -> Option<(Number, usize)> {
    let [marker, bits @ ..] = *bytes;
    let bits = u64::from_be_bytes(bits);
    let int = |v: u64, width| Some((Number::Int(v as i64), width));
    match marker {
        0..=0x7f => int(u64::from(marker), 1),
        0xcb => Some((integral(f64::from_bits(bits)), 9)),
        0xcc => int(bits >> 56, 2),
        0xcd => int(bits >> 48, 3),
        0xce => int(bits >> 32, 5),
        _ => None,
    }
}

#[inline(never)]
fn odd_number(buf: &[u8], p: usize) -> (Number, usize) {
    if let Ok((v, end)) = reader::int(buf, p) {
        return (Number::Int(v), end);
    }
    match reader::number(buf, p) {
        Ok((v, end)) => (integral(v), end),
        Err(_) => (Number::Int(0), reader::skip(buf, p).unwrap_or(buf.len())),
    }
}

#[inline(always)]
fn integral(v: f64) -> Number {
    let int = v as i64;
    // 2^63 becomes the largest integer, which is not it; -0.0 would lose its sign.
    let exact = int as f64 == v && int != i64::MAX && (int != 0 || v.is_sign_positive());
    if exact { Number::Int(int) } else { Number::Double(v) }
}

/// The last value of a key in `metrics`.
pub(super) fn number_of(buf: &[u8], map: MapView, key: &[u8]) -> Option<f64> {
    let (mut p, mut found) = (map.first as usize, None);
    for _ in 0..map.len {
        let (at, len) = string_at(buf, p);
        let (value, end) = number(buf, at + len);
        p = end;
        if Source::new(buf, at, len).bytes() == key {
            found = Some(value.as_double());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_integers_where_they_are_and_fit() {
        for (v, number) in [
            (0.0, Number::Int(0)),
            (-0.0, Number::Double(-0.0)),
            (-1.0, Number::Int(-1)),
            (1.5, Number::Double(1.5)),
            (9_007_199_254_740_992.0, Number::Int(1 << 53)),
            (-9_223_372_036_854_775_808.0, Number::Int(i64::MIN)),
            (9_223_372_036_854_775_808.0, Number::Double(9_223_372_036_854_775_808.0)),
            (f64::INFINITY, Number::Double(f64::INFINITY)),
            (1e300, Number::Double(1e300)),
        ] {
            assert_eq!(integral(v), number, "{v}");
        }
        assert!(matches!(integral(f64::NAN), Number::Double(v) if v.is_nan()));
    }
}
