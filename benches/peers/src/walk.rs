//! The walk: the floor under every figure. Skips each msgpack value by its head and reads nothing else.
//!
//! Its form is fixed, since every bound of the wire and stats rows is a multiple of it: a `match` on the
//! first byte, one counter of values still to come, no recursion, each skip checked against the end; arm by
//! arm that of `walk.c`, since other groupings of the same arms cost up to 10 % more. Three forms of one loop
//! stand side by side: ours in safe Rust, `benches/walk.c` (the yardstick), and the same loop around `rmp`'s
//! `read_marker` (a witness that nobody here wrote).

use rmp::Marker;

/// Skips one value. Gives its length, or `None` where the bytes end early or a head is not msgpack.
#[inline(never)]
pub fn walk(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    let mut left = 1u64;
    while left > 0 {
        let head = *bytes.get(at)?;
        at += 1;
        left -= 1;
        match head {
            // As in walk.c: a fixint moves nothing, so there is nothing to compare with the end.
            0x00..=0x7f | 0xe0..=0xff => continue,
            0xa0..=0xbf => at += usize::from(head & 31),
            0x80..=0x8f => left += 2 * u64::from(head & 15),
            0x90..=0x9f => left += u64::from(head & 15),
            0xc0 | 0xc2 | 0xc3 => {}
            0xcc | 0xd0 => at += 1,
            0xcd | 0xd1 => at += 2,
            0xca | 0xce | 0xd2 => at += 4,
            0xcb | 0xcf | 0xd3 => at += 8,
            0xd4..=0xd8 => at += 1 + (1 << (head - 0xd4)),
            0xc4 | 0xd9 => at += 1 + usize::from(*bytes.get(at)?),
            0xc5 | 0xda => at += 2 + be16(bytes, at)?,
            0xc6 | 0xdb => at += 4 + be32(bytes, at)?,
            0xc7 => at += 2 + usize::from(*bytes.get(at)?),
            0xc8 => at += 3 + be16(bytes, at)?,
            0xc9 => at += 5 + be32(bytes, at)?,
            0xdc => {
                left += be16(bytes, at)? as u64;
                at += 2;
            }
            0xdd => {
                left += be32(bytes, at)? as u64;
                at += 4;
            }
            0xde => {
                left += 2 * be16(bytes, at)? as u64;
                at += 2;
            }
            0xdf => {
                left += 2 * be32(bytes, at)? as u64;
                at += 4;
            }
            0xc1 => return None,
        }
        if at > bytes.len() {
            return None;
        }
    }
    Some(at)
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes([field[0], field[1]])))
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([field[0], field[1], field[2], field[3]]) as usize)
}

/// The same loop with `rmp` reading the heads and the lengths.
#[inline(never)]
pub fn walk_rmp(bytes: &[u8]) -> Option<usize> {
    use rmp::decode::{RmpRead, read_marker};
    let mut rest = bytes;
    let mut left = 1u64;
    while left > 0 {
        left -= 1;
        let skip = match read_marker(&mut rest).ok()? {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
            Marker::FixStr(n) => usize::from(n),
            Marker::FixMap(n) => {
                left += 2 * u64::from(n);
                0
            }
            Marker::FixArray(n) => {
                left += u64::from(n);
                0
            }
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixExt1 => 2,
            Marker::FixExt2 => 3,
            Marker::FixExt4 => 5,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::Str8 | Marker::Bin8 => usize::from(rest.read_data_u8().ok()?),
            Marker::Str16 | Marker::Bin16 => usize::from(rest.read_data_u16().ok()?),
            Marker::Str32 | Marker::Bin32 => rest.read_data_u32().ok()? as usize,
            Marker::Ext8 => 1 + usize::from(rest.read_data_u8().ok()?),
            Marker::Ext16 => 1 + usize::from(rest.read_data_u16().ok()?),
            Marker::Ext32 => 1 + rest.read_data_u32().ok()? as usize,
            Marker::Array16 => {
                left += u64::from(rest.read_data_u16().ok()?);
                0
            }
            Marker::Array32 => {
                left += u64::from(rest.read_data_u32().ok()?);
                0
            }
            Marker::Map16 => {
                left += 2 * u64::from(rest.read_data_u16().ok()?);
                0
            }
            Marker::Map32 => {
                left += 2 * u64::from(rest.read_data_u32().ok()?);
                0
            }
            Marker::Reserved => return None,
        };
        rest = rest.get(skip..)?;
    }
    Some(bytes.len() - rest.len())
}

mod c {
    unsafe extern "C" {
        pub(super) fn walk_c(bytes: *const u8, length: usize) -> usize;
    }
}

/// `benches/walk.c` on the same bytes.
pub fn walk_c(bytes: &[u8]) -> Option<usize> {
    // SAFETY: walk_c reads `length` bytes from the pointer at most (every skip is compared with the end) and
    // keeps nothing but its static `end`; the bench calls it from one thread.
    let taken = unsafe { c::walk_c(bytes.as_ptr(), bytes.len()) };
    (taken > 0).then_some(taken)
}
