//! JSON into an [`Out`]: texts, ids, numbers. Every JSON format writes with these.

use super::json;
use super::out::Out;
use super::source::{Source, escape_bits, is_plain};

/// Two hex digits of each byte.
const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = [DIGITS[i >> 4], DIGITS[i & 15]];
        i += 1;
    }
    table
};

/// Eight decimal digits of a number below 10^8, the first one lowest.
#[inline(always)]
fn eight_digits(v: u64) -> u64 {
    // Two numbers of four digits, then four of two, then eight of one, each division a multiplication in its lane.
    let fours = (v / 10_000) | ((v % 10_000) << 32);
    let hundreds = (fours * 5243) >> 19 & 0x7f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = (twos * 103) >> 10 & 0x0f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

/// Where the first byte stands that JSON escapes.
#[inline(always)]
fn first_escape(bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<16>();
    for (i, block) in blocks.iter().enumerate() {
        let bits = escape_bits(block);
        if bits != 0 {
            return Some(i * 16 + bits.trailing_zeros() as usize);
        }
    }
    let at = rest.iter().position(|b| !is_plain(*b) && *b < 0x80)?;
    Some(blocks.len() * 16 + at)
}

const ZEROS: u64 = 0x3030_3030_3030_3030;
const EIGHT: u64 = 100_000_000;

/// Writes a number in decimal digits and gives how many it has.
#[inline(always)]
pub(super) fn decimal(v: u64, to: &mut [u8; 24]) -> usize {
    if v < 10 {
        to[0] = b'0' + v as u8;
        1
    } else {
        long_decimal(v, to)
    }
}

#[inline(never)]
fn long_decimal(v: u64, to: &mut [u8; 24]) -> usize {
    // The first up to eight digits begin at the first that is not zero; eight more each follow.
    let (first, more) = match v {
        0..EIGHT => (v, 0),
        EIGHT..10_000_000_000_000_000 => (v / EIGHT, 1),
        _ => (v / (EIGHT * EIGHT), 2),
    };
    let digits = eight_digits(first);
    let missing = (digits.trailing_zeros() / 8).min(7);
    let word = ((digits | ZEROS) >> (8 * missing)).to_le_bytes();
    to[..8].copy_from_slice(&word);
    let mut len = 8 - missing as usize;
    for behind in (0..more).rev() {
        let part = if behind == 1 { v / EIGHT % EIGHT } else { v % EIGHT };
        if let Some(to) = to.get_mut(len..len + 8) {
            to.copy_from_slice(&(eight_digits(part) | ZEROS).to_le_bytes());
        }
        len += 8;
    }
    len
}

impl Out {
    /// A text in quotes; a byte that belongs to no character becomes U+FFFD.
    #[inline(always)]
    pub(super) fn json_text(&mut self, text: Source<'_>) {
        self.byte(b'"');
        self.json_inside(text);
        self.byte(b'"');
    }

    /// The same without quotes.
    #[inline(always)]
    pub(super) fn json_inside(&mut self, text: Source<'_>) {
        if text.is_plain() {
            self.copy(text.buf, text.at, text.len);
        } else {
            self.escaped(text.bytes());
        }
    }

    #[inline(never)]
    fn escaped(&mut self, bytes: &[u8]) {
        if bytes.is_ascii() {
            return self.escape(bytes);
        }
        for chunk in bytes.utf8_chunks() {
            self.escape(chunk.valid().as_bytes());
            for _ in chunk.invalid() {
                self.bytes("\u{fffd}".as_bytes());
            }
        }
    }

    /// UTF-8 with what JSON escapes escaped.
    fn escape(&mut self, mut rest: &[u8]) {
        while let Some((before, from)) = first_escape(rest).and_then(|at| rest.split_at_checked(at)) {
            self.bytes(before);
            self.room(16);
            let Some((b, behind)) = from.split_first() else { break };
            match b {
                b'"' | b'\\' => self.word(u64::from(b'\\') | u64::from(*b) << 8, 2),
                b'\n' => self.word(u64::from_le_bytes(*b"\\n\0\0\0\0\0\0"), 2),
                b'\r' => self.word(u64::from_le_bytes(*b"\\r\0\0\0\0\0\0"), 2),
                b'\t' => self.word(u64::from_le_bytes(*b"\\t\0\0\0\0\0\0"), 2),
                _ => {
                    let [high, low] = HEX[usize::from(*b)];
                    self.word(u64::from_le_bytes([b'\\', b'u', b'0', b'0', high, low, 0, 0]), 6);
                }
            }
            rest = behind;
        }
        self.bytes(rest);
    }

    /// An id: sixteen hex digits.
    #[inline(always)]
    pub(super) fn hex(&mut self, id: u64) {
        self.fixed(&hex(id), 16);
    }

    /// A number in decimal digits.
    #[inline(always)]
    pub(super) fn decimal(&mut self, v: u64) {
        match self.window() {
            Some(to) => {
                let len = decimal(v, to);
                self.advance(len);
            }
            None => self.late_decimal(v),
        }
    }

    #[cold]
    fn late_decimal(&mut self, v: u64) {
        let mut digits = [0; 24];
        let len = decimal(v, &mut digits);
        self.bytes(digits.get(..len).unwrap_or(&[]));
    }

    /// A signed number in decimal digits.
    pub(super) fn signed(&mut self, v: i64) {
        if v < 0 {
            self.byte(b'-');
        }
        self.decimal(v.unsigned_abs());
    }

    /// A finite number, one that is an integer with `.0` behind it.
    pub(super) fn json_number(&mut self, v: f64) {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let int = v as i64;
        if int as f64 == v && v.abs() < EXACT && (v != 0.0 || v.is_sign_positive()) {
            self.signed(int);
            self.bytes(b".0");
        } else {
            self.room(32);
            json::number(self, v);
        }
    }

    /// Bytes as standard base64.
    pub(super) fn base64(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (triples, rest) = bytes.as_chunks::<3>();
        let digit = |v: u32, shift: u32| DIGITS[(v >> shift) as usize & 63];
        self.room(bytes.len() / 3 * 4 + 8);
        for [a, b, c] in triples {
            let v = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
            self.word(u64::from(u32::from_le_bytes([18, 12, 6, 0].map(|shift| digit(v, shift)))), 4);
        }
        let last = match *rest {
            [a] => {
                let v = u32::from(a) << 16;
                [digit(v, 18), digit(v, 12), b'=', b'=']
            }
            [a, b] => {
                let v = u32::from(a) << 16 | u32::from(b) << 8;
                [digit(v, 18), digit(v, 12), digit(v, 6), b'=']
            }
            _ => return,
        };
        self.word(u64::from(u32::from_le_bytes(last)), 4);
    }

    /// A few bytes of our own, in one store.
    #[inline(always)]
    pub(super) fn piece<const N: usize>(&mut self, piece: &[u8; N]) {
        let mut block = [0; 32];
        if let Some(to) = block.get_mut(..N) {
            to.copy_from_slice(piece);
            self.block(&block, N);
        } else {
            self.bytes(piece);
        }
    }

    /// Takes back the last byte if it is a comma.
    #[inline(always)]
    pub(super) fn drop_comma(&mut self) {
        if self.written().last() == Some(&b',') {
            self.truncate(self.len() - 1);
        }
    }
}

/// The sixteen hex digits of an id.
pub(super) fn hex(id: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (to, b) in digits.as_chunks_mut::<2>().0.iter_mut().zip(id.to_be_bytes()) {
        *to = HEX[usize::from(b)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Out)) -> String {
        let mut out = Out::default();
        write(&mut out);
        String::from_utf8(out.written().to_vec()).unwrap()
    }

    #[test]
    fn texts_are_escaped_and_repaired() {
        for (text, json) in [
            (&b"plain"[..], "\"plain\""),
            (b"", "\"\""),
            (b"a\"b\\c\n\r\t\x01\x7f", "\"a\\\"b\\\\c\\n\\r\\t\\u0001\x7f\""),
            ("\u{e9}\u{1f600}".as_bytes(), "\"\u{e9}\u{1f600}\""),
            (b"a\xe6\x97", "\"a\u{fffd}\u{fffd}\""),
        ] {
            assert_eq!(written(|out| out.json_text(Source::whole(text))), json);
            let long = [text, &[b'x'; 50]].concat();
            let read: String =
                serde_json::from_str(&written(|out| out.json_text(Source::whole(&long)))).unwrap();
            let plain: String = serde_json::from_str(json).unwrap();
            assert_eq!(read, plain + &"x".repeat(50));
        }
        for odd in ["\"", "\\", "\u{1f}", "\n", "\u{e9}\"", "\u{e9}"] {
            for place in 0..70 {
                let text = "y".repeat(place) + odd + &"z".repeat(40) + odd;
                let json = written(|out| out.json_text(Source::whole(text.as_bytes())));
                assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            }
        }
    }

    #[test]
    fn numbers_ids_and_bytes_read_as_they_were() {
        for shift in (0..64).step_by(if cfg!(miri) { 9 } else { 1 }) {
            for v in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                assert_eq!(written(|out| out.decimal(v)), v.to_string());
                assert_eq!(written(|out| out.signed(v as i64)), (v as i64).to_string());
                assert_eq!(written(|out| out.hex(v)), format!("{v:016x}"));
            }
        }
        for power in (0..20).map(|power| 10u64.pow(power)) {
            for v in [power - 1, power, power + 1, power / 9 * 7] {
                assert_eq!(written(|out| out.decimal(v)), v.to_string());
            }
        }
        for v in [0.0, -0.0, 1.0, -7.0, 0.1, 1e15, 9.1e15, 1e21, -2.5e-7, f64::MAX, f64::MIN_POSITIVE] {
            let text = written(|out| out.json_number(v));
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), v.to_bits(), "{text}");
            assert!(text.contains(['.', 'e']), "{text}");
        }
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"\xff\xfe\xfd\xfc", "//79/A=="),
        ] {
            assert_eq!(written(|out| out.base64(bytes)), text);
        }
    }
}
