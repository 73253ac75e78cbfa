//! How many traces a payload says it has, by its outer head alone: for payloads that wait unread, or leave so.
//!
//! v0.4 says it in its first bytes, v0.5 behind its table of strings, v1 at the key of its chunks. What stands before
//! is passed over, not read. A number is believed only if as many bytes follow it.

use super::detect;
use crate::msgpack::reader::{self, Bad};
use crate::settings::InputFormat;

/// The key of a v1 payload whose value is its chunks.
const CHUNKS: u64 = 11;

/// The traces that a payload declares; 0 if its head cannot be read.
pub(crate) fn declared_traces(format: InputFormat, payload: &[u8]) -> u64 {
    match format {
        InputFormat::V04 => reader::array_head(payload, 0).map_or(0, |(n, _)| u64::from(n)),
        InputFormat::V05 => v05(payload).unwrap_or(0),
        InputFormat::V1 => v1(payload),
        InputFormat::Auto => declared_traces(detect(payload), payload),
    }
}

/// `[strings, traces]`.
fn v05(payload: &[u8]) -> Result<u64, Bad> {
    let (2, at) = reader::array_head(payload, 0)? else { return Err(Bad::Type) };
    let strings = reader::skip(payload, at)?;
    reader::array_head(payload, strings).map(|(n, _)| u64::from(n))
}

/// A map with numbers as keys. Behind the chunks, which nearly always come last, nothing is read if there is no other
/// key.
fn v1(payload: &[u8]) -> u64 {
    let Ok((keys, mut at)) = reader::map_head(payload, 0) else { return 0 };
    let mut traces = 0;
    for left in (0..keys).rev() {
        let Ok((key, value)) = reader::int_bits(payload, at) else { break };
        if key == CHUNKS {
            traces += reader::array_head(payload, value).map_or(0, |(n, _)| u64::from(n));
        }
        if left == 0 {
            break;
        }
        let Ok(end) = reader::skip(payload, value) else { break };
        at = end;
    }
    traces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_says_how_many_traces_it_has() {
        let v04 = &b"\x92\x91\x80\x90"[..];
        let v05 = &b"\x92\x93\xa0\xd9\x01a\xc4\x01b\x93\x90\x90\x90"[..];
        let v1 = &b"\x83\x02\xa4name\x0a\x93\xa1a\x04\x01\x0b\x94\x80\x80\x80\x80"[..];
        for (format, payload, traces) in
            [(InputFormat::V04, v04, 2), (InputFormat::V05, v05, 3), (InputFormat::V1, v1, 4)]
        {
            assert_eq!(declared_traces(format, payload), traces, "{format:?}");
            assert_eq!(declared_traces(InputFormat::Auto, payload), traces, "{format:?}");
            // A payload that ends early says nothing, or what it has said already; nothing panics.
            for end in 0..payload.len() {
                assert!(declared_traces(format, &payload[..end]) <= traces);
            }
        }
    }

    #[test]
    fn the_chunks_of_v1_may_stand_anywhere_and_twice() {
        assert_eq!(declared_traces(InputFormat::V1, b"\x82\x0b\x92\x80\x80\x02\xa1a"), 2);
        assert_eq!(declared_traces(InputFormat::V1, b"\x82\x0b\x92\x80\x80\x0b\x91\x80"), 3);
        assert_eq!(declared_traces(InputFormat::V1, b"\x81\x02\xa1a"), 0);
    }

    #[test]
    fn no_size_is_believed() {
        for (format, payload) in [
            (InputFormat::V04, &b"\xdd\xff\xff\xff\xff\x80"[..]),
            (InputFormat::V05, b"\x92\xdd\xff\xff\xff\xff\xa0\x91\x90"),
            (InputFormat::V05, b"\x92\x91\xa0\xdd\x00\x00\xff\xff\x90"),
            (InputFormat::V05, b"\x93\x91\xa0\x91\x90\x90"),
            (InputFormat::V1, b"\xdf\xff\xff\xff\xff\x0b\x91\x80"),
            (InputFormat::V1, b"\x81\x0b\xdd\xff\xff\xff\xff\x80"),
            (InputFormat::V1, b"\x82\x02\xdb\xff\xff\xff\xff\x0b\x91\x80"),
        ] {
            assert_eq!(declared_traces(format, payload), 0, "{payload:x?}");
        }
    }
}
