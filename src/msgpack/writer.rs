//! Writing msgpack to the end of a `Vec`. Integers take their smallest form unless the name says otherwise.

/// A map head.
#[inline]
pub fn map_head(out: &mut Vec<u8>, n: u32) {
    match n {
        0..=15 => out.push(0x80 | n as u8),
        16..=0xffff => out.extend_from_slice(&[0xde, (n >> 8) as u8, n as u8]),
        _ => head32(out, 0xdf, n),
    }
}

/// An array head.
#[inline]
pub fn array_head(out: &mut Vec<u8>, n: u32) {
    match n {
        0..=15 => out.push(0x90 | n as u8),
        16..=0xffff => out.extend_from_slice(&[0xdc, (n >> 8) as u8, n as u8]),
        _ => head32(out, 0xdd, n),
    }
}

fn head32(out: &mut Vec<u8>, marker: u8, n: u32) {
    let b = n.to_be_bytes();
    out.extend_from_slice(&[marker, b[0], b[1], b[2], b[3]]);
}

/// The head of a string of `len` bytes.
#[inline]
pub fn str_head(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=31 => out.push(0xa0 | len as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        0x100..=0xffff => out.extend_from_slice(&[0xda, (len >> 8) as u8, len as u8]),
        _ => head32(out, 0xdb, len as u32),
    }
}

/// A string. The bytes are written as they are.
#[inline]
pub fn str(out: &mut Vec<u8>, text: &[u8]) {
    str_head(out, text.len());
    out.extend_from_slice(text);
}

/// Binary.
pub fn bin(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        n @ 0..=0xff => out.extend_from_slice(&[0xc4, n as u8]),
        n @ 0x100..=0xffff => out.extend_from_slice(&[0xc5, (n >> 8) as u8, n as u8]),
        n => head32(out, 0xc6, n as u32),
    }
    out.extend_from_slice(bytes);
}

/// An unsigned integer.
#[inline]
pub fn uint(out: &mut Vec<u8>, v: u64) {
    match v {
        0..=0x7f => out.push(v as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, v as u8]),
        0x100..=0xffff => out.extend_from_slice(&[0xcd, (v >> 8) as u8, v as u8]),
        0x1_0000..=0xffff_ffff => head32(out, 0xce, v as u32),
        _ => u64_fixed(out, v),
    }
}

/// A signed integer: positive values as unsigned ones.
#[inline]
pub fn int(out: &mut Vec<u8>, v: i64) {
    match v {
        0.. => uint(out, v as u64),
        -32..=-1 => out.push(v as u8),
        -128..=-33 => out.extend_from_slice(&[0xd0, v as u8]),
        -32768..=-129 => out.extend_from_slice(&[0xd1, (v >> 8) as u8, v as u8]),
        -2_147_483_648..=-32769 => head32(out, 0xd2, v as i32 as u32),
        _ => i64_fixed(out, v),
    }
}

/// An unsigned integer in its nine-byte form.
#[inline]
pub fn u64_fixed(out: &mut Vec<u8>, v: u64) {
    nine(out, 0xcf, v);
}

/// A signed integer in its nine-byte form.
#[inline]
pub fn i64_fixed(out: &mut Vec<u8>, v: i64) {
    nine(out, 0xd3, v as u64);
}

/// A 64-bit float.
#[inline]
pub fn f64(out: &mut Vec<u8>, v: f64) {
    nine(out, 0xcb, v.to_bits());
}

#[inline]
fn nine(out: &mut Vec<u8>, marker: u8, v: u64) {
    let mut b = [marker; 9];
    b[1..].copy_from_slice(&v.to_be_bytes());
    out.extend_from_slice(&b);
}

/// A boolean.
pub fn bool(out: &mut Vec<u8>, v: bool) {
    out.push(0xc2 | u8::from(v));
}

#[cfg(test)]
mod tests {
    use super::super::reader;
    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_its_smallest_form() {
        for shift in 0..64 {
            for v in [1i64 << shift, (1i64 << shift).wrapping_sub(1), (1i64 << shift).wrapping_neg()] {
                let mut out = Vec::new();
                int(&mut out, v);
                assert_eq!(reader::int(&out, 0), Ok((v, out.len())));
                let mut out = Vec::new();
                uint(&mut out, v as u64);
                assert_eq!(reader::int_bits(&out, 0), Ok((v as u64, out.len())));
            }
        }
        for len in [0usize, 31, 32, 255, 256, 65535, 65536] {
            let text = vec![b'x'; len];
            let mut out = Vec::new();
            str(&mut out, &text);
            assert_eq!(reader::text(&out, 0), Ok((&text[..], out.len())));
            let mut out = Vec::new();
            bin(&mut out, &text);
            assert_eq!(reader::text(&out, 0), Ok((&text[..], out.len())));
        }
    }
}
