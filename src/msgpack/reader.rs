//! Reading msgpack from a byte slice: heads, numbers, skipping. Every function takes the buffer and a position and
//! gives the position behind what it read; nothing is copied and nothing is allocated.
//!
//! Positions are byte offsets, so an error can name the place. Lengths that the buffer declares are never trusted: a
//! container with more entries than bytes remain is [`Bad::Truncated`] at once.

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// The buffer ends inside the value.
    Truncated,
    /// The value is of another family.
    Type,
    /// The value is a number outside the range asked for.
    Range,
}

/// The result of reading: a value and the position behind it.
pub type Read<T> = Result<(T, usize), Bad>;

/// What msgpack value starts with this byte, in words for an error message.
pub fn family(marker: u8) -> &'static str {
    match marker {
        0x00..=0x7f | 0xcc..=0xcf => "an unsigned integer",
        0xe0..=0xff | 0xd0..=0xd3 => "a signed integer",
        0x80..=0x8f | 0xde | 0xdf => "a map",
        0x90..=0x9f | 0xdc | 0xdd => "an array",
        0xa0..=0xbf | 0xd9..=0xdb => "a string",
        0xc0 => "nil",
        0xc1 => "the byte c1, which msgpack never uses",
        0xc2 | 0xc3 => "a boolean",
        0xc4..=0xc6 => "binary",
        0xc7..=0xc9 | 0xd4..=0xd8 => "an extension",
        0xca => "a 32-bit float",
        0xcb => "a 64-bit float",
    }
}

/// The byte at `p`.
#[inline(always)]
pub fn byte(buf: &[u8], p: usize) -> Result<u8, Bad> {
    buf.get(p).copied().ok_or(Bad::Truncated)
}

macro_rules! fixed {
    ($($name:ident, $ty:ty, $n:literal;)*) => { $(
        #[inline(always)]
        fn $name(buf: &[u8], p: usize) -> Result<$ty, Bad> {
            match buf.get(p..p + $n).and_then(|b| b.try_into().ok()) {
                Some(b) => Ok(<$ty>::from_be_bytes(b)),
                None => Err(Bad::Truncated),
            }
        }
    )* };
}
fixed! { be16, u16, 2; be32, u32, 4; be64, u64, 8; }

/// Head of a string: where its text starts and how long it is; the position behind is `start + len`, unchecked.
#[inline(always)]
pub fn str_head(buf: &[u8], p: usize) -> Result<(usize, usize), Bad> {
    let b = byte(buf, p)?;
    match b {
        0xa0..=0xbf => Ok((p + 1, (b & 0x1f) as usize)),
        0xd9 => Ok((p + 2, byte(buf, p + 1)? as usize)),
        0xda => Ok((p + 3, be16(buf, p + 1)? as usize)),
        0xdb => Ok((p + 5, be32(buf, p + 1)? as usize)),
        _ => Err(Bad::Type),
    }
}

/// Head of binary: like [`str_head`].
#[inline]
pub fn bin_head(buf: &[u8], p: usize) -> Result<(usize, usize), Bad> {
    match byte(buf, p)? {
        0xc4 => Ok((p + 2, byte(buf, p + 1)? as usize)),
        0xc5 => Ok((p + 3, be16(buf, p + 1)? as usize)),
        0xc6 => Ok((p + 5, be32(buf, p + 1)? as usize)),
        _ => Err(Bad::Type),
    }
}

/// Text as the agent takes it: a string, binary, or nil for empty. Checked to lie inside the buffer.
#[inline]
pub fn text(buf: &[u8], p: usize) -> Read<&[u8]> {
    let (start, len) = match str_head(buf, p) {
        Err(Bad::Type) if byte(buf, p)? == 0xc0 => return Ok((&[], p + 1)),
        Err(Bad::Type) => bin_head(buf, p)?,
        other => other?,
    };
    match buf.get(start..start + len) {
        Some(t) => Ok((t, start + len)),
        None => Err(Bad::Truncated),
    }
}

/// Head of an array: number of elements, position of the first.
#[inline(always)]
pub fn array_head(buf: &[u8], p: usize) -> Read<u32> {
    array_head_of(buf, p, buf.len())
}

/// As [`array_head`], of a value of which only the beginning is at hand; the whole has `size` bytes.
#[inline(always)]
pub fn array_head_of(buf: &[u8], p: usize, size: usize) -> Read<u32> {
    let b = byte(buf, p)?;
    let (n, q) = match b {
        0x90..=0x9f => (u32::from(b & 0x0f), p + 1),
        0xdc => (u32::from(be16(buf, p + 1)?), p + 3),
        0xdd => (be32(buf, p + 1)?, p + 5),
        _ => return Err(Bad::Type),
    };
    if n as usize > size.saturating_sub(q) {
        return Err(Bad::Truncated);
    }
    Ok((n, q))
}

/// Head of a map: number of entries, position of the first key.
#[inline(always)]
pub fn map_head(buf: &[u8], p: usize) -> Read<u32> {
    let b = byte(buf, p)?;
    let (n, q) = match b {
        0x80..=0x8f => (u32::from(b & 0x0f), p + 1),
        0xde => (u32::from(be16(buf, p + 1)?), p + 3),
        0xdf => (be32(buf, p + 1)?, p + 5),
        _ => return Err(Bad::Type),
    };
    if n as usize > buf.len().saturating_sub(q) / 2 {
        return Err(Bad::Truncated);
    }
    Ok((n, q))
}

/// An integer of any width and sign, as its 64 bits (an unsigned 2^64-1 and a signed -1 have the same).
#[inline]
pub fn int_bits(buf: &[u8], p: usize) -> Read<u64> {
    let b = byte(buf, p)?;
    Ok(match b {
        0x00..=0x7f => (u64::from(b), p + 1),
        0xe0..=0xff => (i64::from(b as i8) as u64, p + 1),
        0xcc => (u64::from(byte(buf, p + 1)?), p + 2),
        0xcd => (u64::from(be16(buf, p + 1)?), p + 3),
        0xce => (u64::from(be32(buf, p + 1)?), p + 5),
        0xcf | 0xd3 => (be64(buf, p + 1)?, p + 9),
        0xd0 => (i64::from(byte(buf, p + 1)? as i8) as u64, p + 2),
        0xd1 => (i64::from(be16(buf, p + 1)? as i16) as u64, p + 3),
        0xd2 => (i64::from(be32(buf, p + 1)? as i32) as u64, p + 5),
        _ => return Err(Bad::Type),
    })
}

/// A signed integer: any width; an unsigned one above 2^63-1 is out of range.
#[inline]
pub fn int(buf: &[u8], p: usize) -> Read<i64> {
    let (bits, q) = int_bits(buf, p)?;
    if byte(buf, p)? == 0xcf && bits > i64::MAX as u64 {
        return Err(Bad::Range);
    }
    Ok((bits as i64, q))
}

/// A number: any integer, or a float of either width.
#[inline]
pub fn number(buf: &[u8], p: usize) -> Read<f64> {
    Ok(match byte(buf, p)? {
        0xcb => (f64::from_bits(be64(buf, p + 1)?), p + 9),
        0xca => (f64::from(f32::from_bits(be32(buf, p + 1)?)), p + 5),
        0xcf => {
            let (v, q) = int_bits(buf, p)?;
            (v as f64, q)
        }
        _ => {
            let (v, q) = int_bits(buf, p)?;
            (v as i64 as f64, q)
        }
    })
}

/// Skips one value of any family. No recursion: nesting costs a counter, not stack, and a container that declares more
/// entries than bytes remain ends at once.
pub fn skip(buf: &[u8], mut p: usize) -> Result<usize, Bad> {
    let mut open: usize = 1;
    while open > 0 {
        open -= 1;
        let b = byte(buf, p)?;
        let children = match b {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => {
                p += 1;
                0
            }
            0xa0..=0xbf => {
                p += 1 + (b & 0x1f) as usize;
                0
            }
            0x80..=0x8f | 0xde | 0xdf => {
                let (n, q) = map_head(buf, p)?;
                p = q;
                n as usize * 2
            }
            0x90..=0x9f | 0xdc | 0xdd => {
                let (n, q) = array_head(buf, p)?;
                p = q;
                n as usize
            }
            0xcc | 0xd0 => {
                p += 2;
                0
            }
            0xcd | 0xd1 => {
                p += 3;
                0
            }
            0xce | 0xd2 | 0xca => {
                p += 5;
                0
            }
            0xcf | 0xd3 | 0xcb => {
                p += 9;
                0
            }
            0xd9..=0xdb => {
                let (start, len) = str_head(buf, p)?;
                p = start + len;
                0
            }
            0xc4..=0xc6 => {
                let (start, len) = bin_head(buf, p)?;
                p = start + len;
                0
            }
            0xd4..=0xd8 => {
                p += 2 + (1 << (b - 0xd4));
                0
            }
            0xc7 => {
                p += 3 + byte(buf, p + 1)? as usize;
                0
            }
            0xc8 => {
                p += 4 + be16(buf, p + 1)? as usize;
                0
            }
            0xc9 => {
                p += 6 + be32(buf, p + 1)? as usize;
                0
            }
            0xc1 => return Err(Bad::Type),
        };
        open += children;
        if open > buf.len().saturating_sub(p) {
            return Err(Bad::Truncated);
        }
    }
    if p > buf.len() { Err(Bad::Truncated) } else { Ok(p) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_every_family_and_refuses_each_cut() {
        let values: &[&[u8]] = &[
            &[0x05],
            &[0xff],
            &[0xc0],
            &[0xc2],
            &[0xa2, b'a', b'b'],
            &[0xd9, 1, b'x'],
            &[0xda, 0, 1, b'x'],
            &[0xdb, 0, 0, 0, 1, b'x'],
            &[0xc4, 1, 9],
            &[0xc5, 0, 1, 9],
            &[0xc6, 0, 0, 0, 1, 9],
            &[0xcc, 1],
            &[0xcd, 0, 1],
            &[0xce, 0, 0, 0, 1],
            &[0xcf, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0xd0, 1],
            &[0xd1, 0, 1],
            &[0xd2, 0, 0, 0, 1],
            &[0xd3, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0xca, 0, 0, 0, 0],
            &[0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x92, 1, 2],
            &[0xdc, 0, 2, 1, 2],
            &[0xdd, 0, 0, 0, 2, 1, 2],
            &[0x81, 1, 2],
            &[0xde, 0, 1, 1, 2],
            &[0xdf, 0, 0, 0, 1, 1, 2],
            &[0xd4, 0, 1],
            &[0xd8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            &[0xc7, 1, 0, 9],
            &[0xc8, 0, 1, 0, 9],
            &[0xc9, 0, 0, 0, 1, 0, 9],
            &[0x81, 0x91, 0x81, 1, 2, 0x90],
        ];
        for v in values {
            assert_eq!(skip(v, 0), Ok(v.len()), "{v:x?}");
            for cut in 0..v.len() {
                assert_eq!(skip(&v[..cut], 0), Err(Bad::Truncated), "{v:x?} cut at {cut}");
            }
        }
        assert_eq!(skip(&[0xc1], 0), Err(Bad::Type));
    }

    #[test]
    fn a_nesting_bomb_costs_neither_stack_nor_memory() {
        let bomb = vec![0x91; if cfg!(miri) { 1 << 10 } else { 1 << 20 }];
        assert_eq!(skip(&bomb, 0), Err(Bad::Truncated));
        assert_eq!(skip(&[0xdd, 0xff, 0xff, 0xff, 0xff], 0), Err(Bad::Truncated));
        assert_eq!(skip(&[0xdf, 0xff, 0xff, 0xff, 0xff, 1], 0), Err(Bad::Truncated));
    }

    #[test]
    fn reads_integers_of_every_width() {
        for (bytes, want) in [
            (&[0x7f][..], 127i64),
            (&[0xe0], -32),
            (&[0xcc, 0xff], 255),
            (&[0xd0, 0x80], -128),
            (&[0xcd, 1, 0], 256),
            (&[0xd1, 0x80, 0], -32768),
            (&[0xce, 0xff, 0xff, 0xff, 0xff], 4_294_967_295),
            (&[0xd2, 0x80, 0, 0, 0], -2_147_483_648),
            (&[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -1),
        ] {
            assert_eq!(int(bytes, 0), Ok((want, bytes.len())));
        }
        assert_eq!(int(&[0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0], 0), Err(Bad::Range));
        assert_eq!(int(&[0xcb, 0, 0, 0, 0, 0, 0, 0, 0], 0), Err(Bad::Type));
    }
}
