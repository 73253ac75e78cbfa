//! Which format a payload has, by its first bytes.

use crate::msgpack::reader;
use crate::settings::InputFormat;

/// The format of a payload: a map is v1; an array of two whose first is an array that begins with a text is v0.5;
/// anything else v0.4.
pub fn detect(payload: &[u8]) -> InputFormat {
    if reader::map_head(payload, 0).is_ok() {
        return InputFormat::V1;
    }
    let table = match reader::array_head(payload, 0) {
        Ok((2, at)) => at,
        _ => return InputFormat::V04,
    };
    let first = match reader::array_head(payload, table) {
        Ok((n, at)) if n > 0 => at,
        _ => return InputFormat::V04,
    };
    match payload.get(first) {
        Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6) => InputFormat::V05,
        _ => InputFormat::V04,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_known_by_its_first_bytes() {
        for (bytes, format) in [
            (&b"\x80"[..], InputFormat::V1),
            (b"\xdf\0\0\0\0", InputFormat::V1),
            (b"\x92\x91\xa0\x90", InputFormat::V05),
            (b"\x92\xdd\0\0\0\x01\xd9\x01a\x90", InputFormat::V05),
            (b"\x92\x91\xc4\x01a\x90", InputFormat::V05),
            (b"\x92\x90\x90", InputFormat::V04),
            (b"\x92\x91\x80\x91\x80", InputFormat::V04),
            (b"\x91\x91\xa0", InputFormat::V04),
            (b"\x90", InputFormat::V04),
            (b"\xc0", InputFormat::V04),
            (b"", InputFormat::V04),
        ] {
            assert_eq!(detect(bytes), format, "{bytes:x?}");
        }
    }
}
