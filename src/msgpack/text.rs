//! Text that is not UTF-8, where a format demands text.

/// What stands for a byte that belongs to no character.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Hands `bytes` over as UTF-8, in pieces: each byte that belongs to no character becomes one U+FFFD, as with the
/// agent. (The standard library writes one for a character that is cut short, however many of its bytes are there.)
pub fn repair(bytes: &[u8], mut piece: impl FnMut(&[u8])) {
    for chunk in bytes.utf8_chunks() {
        piece(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            piece(REPLACEMENT);
        }
    }
}

/// The same, as a text of its own.
pub fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    repair(bytes, |piece| out.extend_from_slice(piece));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_byte_is_replaced_by_one_mark() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            ("\u{e9}\u{1f600}".as_bytes(), "\u{e9}\u{1f600}"),
            (b"a\xe6\x97", "a\u{fffd}\u{fffd}"),
            (b"a\xf0\x9f\x98z", "a\u{fffd}\u{fffd}\u{fffd}z"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"", ""),
        ] {
            assert_eq!(repaired(bytes), text.as_bytes(), "{bytes:x?}");
        }
    }
}
