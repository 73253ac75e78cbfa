//! The bytes of a segment: its head, and the heads of its records. No files here.
//!
//! A segment is [`SEGMENT_HEAD`] bytes and records:
//!
//! | bytes | head of a segment, numbers little-endian like all that follow |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 8 | salt: a random number |
//! | 8 | CRC-32 of both and of the segment's number |
//!
//! | bytes | record |
//! |---|---|
//! | 4 | [`MARK`] |
//! | 4 | CRC-32 of the next 56 bytes, the salt and the record's place in the segment |
//! | 4 | length of the payload |
//! | 4 | CRC-32 of the payload |
//! | 48 | [`Meta`]: what the account has; what the tracer dropped; bits: what lies behind it, and [`DONE`] |
//! | … | the payload |
//!
//! A head has a checksum of its own, so it is believed without its payload being read, and a payload that is damaged
//! costs itself alone. The salt and the place in the checksum keep a payload from holding what looks like a record.

use super::checksum::crc32;
use crate::account::{Counts, DroppedP0, Past};

const MAGIC: [u8; 8] = *b"DPSPOOL2";
/// Where a record may begin.
pub(super) const MARK: [u8; 4] = *b"\xd5REC";
/// Bytes of a segment before its first record.
pub(super) const SEGMENT_HEAD: usize = 24;
/// Bytes of a record before its payload.
pub(super) const HEAD: usize = 64;
/// The record has met its fate, while one before it has not.
const DONE: u64 = 1 << 32;
/// More bytes of input than a payload can stand for.
const ABSURD: u64 = 1 << 40;

/// What is known of a payload besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// What stands in the account for it.
    pub(crate) counts: Counts,
    /// What the tracer dropped itself.
    pub(crate) dropped: DroppedP0,
    /// What it has behind it.
    pub(crate) past: Past,
}

/// A payload with what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) payload: Vec<u8>,
    pub(crate) meta: Meta,
}

/// The head of a record whose checksum holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) meta: Meta,
    pub(super) size: u32,
    pub(super) payload_crc: u32,
    pub(super) done: bool,
}

/// The first bytes of segment `seq`.
pub(super) fn segment_head(seq: u64, salt: u64) -> [u8; SEGMENT_HEAD] {
    let mut head = [0; SEGMENT_HEAD];
    head[..8].copy_from_slice(&MAGIC);
    head[8..16].copy_from_slice(&salt.to_le_bytes());
    let crc = u64::from(crc32(&[&head[..16], &seq.to_le_bytes()]));
    head[16..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// The salt of segment `seq`, if these are its first bytes.
pub(super) fn salt_of(seq: u64, head: &[u8]) -> Option<u64> {
    let salt = word(head, 8)?;
    (head.get(..SEGMENT_HEAD)? == segment_head(seq, salt)).then_some(salt)
}

/// Whether a file that ends so early was ours to become a segment.
pub(super) fn is_torn_segment_head(bytes: &[u8]) -> bool {
    bytes.len() < SEGMENT_HEAD && bytes.iter().zip(MAGIC).all(|(b, m)| *b == m)
}

impl Head {
    /// The head of a record.
    pub(super) fn new(record: &Record) -> Self {
        let payload_crc = crc32(&[&record.payload]);
        Self { meta: record.meta, size: record.payload.len() as u32, payload_crc, done: false }
    }

    /// As it stands at `at` in a segment with this salt.
    pub(super) fn write(&self, salt: u64, at: u64) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        let Meta { counts, dropped, past } = self.meta;
        let bits = u64::from(past.to_bits()) | if self.done { DONE } else { 0 };
        let words = [counts.traces, counts.spans, counts.bytes, dropped.traces, dropped.spans, bits];
        out[8..12].copy_from_slice(&self.size.to_le_bytes());
        out[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        for (to, word) in out[16..].chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let crc = checksum(&out, salt, at);
        out[..4].copy_from_slice(&MARK);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the head that stands at `at`, if there is one. One whose counts no payload can have is none.
    pub(super) fn read(bytes: &[u8], salt: u64, at: u64) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEAD>()?;
        if bytes[..4] != MARK || half(bytes, 4)? != checksum(bytes, salt, at) {
            return None;
        }
        let size = half(bytes, 8)?;
        let bits = word(bytes, 56)?;
        let counts = Counts { traces: word(bytes, 16)?, spans: word(bytes, 24)?, bytes: word(bytes, 32)? };
        let dropped = DroppedP0 { traces: word(bytes, 40)?, spans: word(bytes, 48)? };
        // A trace and a span take a byte each at least.
        let possible = counts.traces.max(counts.spans) <= u64::from(size) && counts.bytes < ABSURD;
        possible.then_some(Self {
            meta: Meta { counts, dropped, past: Past::from_bits(bits as u8) },
            size,
            payload_crc: half(bytes, 12)?,
            done: bits & DONE != 0,
        })
    }

    /// Where a record that begins at `at` ends.
    pub(super) fn end(&self, at: u64) -> u64 {
        at + HEAD as u64 + u64::from(self.size)
    }

    /// Whether these are the payload's bytes.
    pub(super) fn is_of(&self, payload: &[u8]) -> bool {
        crc32(&[payload]) == self.payload_crc
    }
}

/// The place and the head that stands at or behind the beginning of `bytes`, which are at `at` in their segment.
pub(super) fn find(bytes: &[u8], salt: u64, at: u64) -> Option<(u64, Head)> {
    memchr::memmem::find_iter(bytes, &MARK)
        .find_map(|i| Some((at + i as u64, Head::read(bytes.get(i..)?, salt, at + i as u64)?)))
}

fn checksum(head: &[u8; HEAD], salt: u64, at: u64) -> u32 {
    crc32(&[&head[8..], &salt.to_le_bytes(), &at.to_le_bytes()])
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The file `position`: the first segment that is not done with, and how far it is.
pub(super) fn position(seq: u64, at: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&seq.to_le_bytes());
    bytes[8..16].copy_from_slice(&at.to_le_bytes());
    let crc = u64::from(crc32(&[&bytes[..16]]));
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Segment and place, if these are the bytes of a position.
pub(super) fn read_position(bytes: &[u8]) -> Option<(u64, u64)> {
    let (seq, at) = (word(bytes, 0)?, word(bytes, 8)?);
    (bytes == position(seq, at)).then_some((seq, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64, size: usize) -> Record {
        let counts = Counts { traces: n, spans: n, bytes: size as u64 };
        let meta =
            Meta { counts, dropped: DroppedP0 { traces: u64::MAX, spans: n }, past: Past::from_bits(5) };
        Record { payload: vec![n as u8; size], meta }
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_only_there() {
        let head = Head { done: true, ..Head::new(&record(7, 100)) };
        let bytes = head.write(99, 24);
        assert_eq!(Head::read(&bytes, 99, 24), Some(head));
        assert_eq!(Head::read(&bytes, 98, 24), None, "of another segment");
        assert_eq!(Head::read(&bytes, 99, 25), None, "at another place");
        for at in 0..HEAD * 8 {
            let mut bytes = bytes;
            bytes[at / 8] ^= 1 << (at % 8);
            assert_eq!(Head::read(&bytes, 99, 24), None, "bit {at}");
        }
        assert_eq!(Head::read(&bytes[..HEAD - 1], 99, 24), None);
        assert!(head.is_of(&[7; 100]) && !head.is_of(&[7; 99]));
        assert_eq!(head.end(24), 24 + 64 + 100);
    }

    #[test]
    fn counts_that_no_payload_has_are_not_believed_even_behind_a_right_checksum() {
        for counts in [
            Counts { traces: 101, spans: 0, bytes: 0 },
            Counts { traces: 0, spans: u64::MAX, bytes: 0 },
            Counts { traces: 0, spans: 0, bytes: u64::MAX },
        ] {
            let mut record = record(1, 100);
            record.meta.counts = counts;
            assert_eq!(Head::read(&Head::new(&record).write(1, 24), 1, 24), None, "{counts:?}");
        }
    }

    #[test]
    fn a_record_is_found_behind_what_is_damaged() {
        let mut bytes = MARK.repeat(50);
        bytes.extend(b"\xd5RE");
        let at = bytes.len() as u64;
        bytes.extend(Head::new(&record(1, 3)).write(5, 1000 + at));
        assert_eq!(find(&bytes, 5, 1000), Some((1000 + at, Head::new(&record(1, 3)))));
        assert_eq!(find(&bytes, 5, 1001), None);
    }

    #[test]
    fn heads_of_segments_and_positions_know_themselves() {
        let head = segment_head(3, 77);
        assert_eq!((salt_of(3, &head), salt_of(4, &head), salt_of(3, &head[..23])), (Some(77), None, None));
        assert!(
            is_torn_segment_head(&head[..5]) && is_torn_segment_head(b"") && !is_torn_segment_head(b"DPX")
        );
        assert!(!is_torn_segment_head(&head));
        assert_eq!(read_position(&position(3, 4)), Some((3, 4)));
        assert_eq!(read_position(b"nonsense"), None);
    }
}
