//! JSON into an [`Out`]: texts, ids, numbers. Every JSON format writes with these.

use super::json;
use super::out::Out;
use super::source::{Source, is_plain};

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

/// Two decimal digits of each number below 100.
const DECIMAL: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        table[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    table
};

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
        for chunk in bytes.utf8_chunks() {
            let mut rest = chunk.valid().as_bytes();
            while let Some(at) = rest.iter().position(|b| !is_plain(*b) && *b < 0x80) {
                let (before, from) = rest.split_at(at);
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
            for _ in chunk.invalid() {
                self.bytes("\u{fffd}".as_bytes());
            }
        }
    }

    /// An id: sixteen hex digits.
    #[inline(always)]
    pub(super) fn hex(&mut self, id: u64) {
        self.fixed(&hex(id), 16);
    }

    /// A number in decimal digits.
    pub(super) fn decimal(&mut self, mut v: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut put = |at: usize, two: [u8; 2]| {
            if let Some(to) = digits.get_mut(at..at + 2) {
                to.copy_from_slice(&two);
            }
        };
        while v >= 100 {
            at -= 2;
            put(at, DECIMAL[(v % 100) as usize]);
            v /= 100;
        }
        at -= 2;
        put(at, DECIMAL[(v % 100) as usize]);
        at += usize::from(v < 10);
        self.room(32);
        for digit in digits.get(at..).unwrap_or(&[]) {
            self.byte(*digit);
        }
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
    }

    #[test]
    fn numbers_ids_and_bytes_read_as_they_were() {
        for shift in 0..64 {
            for v in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                assert_eq!(written(|out| out.decimal(v)), v.to_string());
                assert_eq!(written(|out| out.signed(v as i64)), (v as i64).to_string());
                assert_eq!(written(|out| out.hex(v)), format!("{v:016x}"));
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
