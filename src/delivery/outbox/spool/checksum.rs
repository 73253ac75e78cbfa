//! CRC-32 (IEEE), eight bytes at a time.

const TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
            bit += 1;
        }
        tables[0][i] = c;
        i += 1;
    }
    let mut t = 1;
    while t < 8 {
        let mut i = 0;
        while i < 256 {
            let c = tables[t - 1][i];
            tables[t][i] = tables[0][(c & 0xff) as usize] ^ (c >> 8);
            i += 1;
        }
        t += 1;
    }
    tables
};

/// The checksum of several pieces as if they were one.
pub(super) fn crc32(pieces: &[&[u8]]) -> u32 {
    !pieces.iter().fold(!0, |crc, piece| more(crc, piece))
}

fn more(mut crc: u32, bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    for eight in eights {
        let x = u64::from_le_bytes(*eight) ^ u64::from(crc);
        let at = |n: u32| usize::from((x >> (8 * n)) as u8);
        crc = TABLES[7][at(0)]
            ^ TABLES[6][at(1)]
            ^ TABLES[5][at(2)]
            ^ TABLES[4][at(3)]
            ^ TABLES[3][at(4)]
            ^ TABLES[2][at(5)]
            ^ TABLES[1][at(6)]
            ^ TABLES[0][at(7)];
    }
    rest.iter().fold(crc, |crc, b| TABLES[0][usize::from(crc as u8 ^ b)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one_however_it_is_cut() {
        assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926);
        let text: Vec<u8> = (0..100).collect();
        for cut in 0..100 {
            let (a, b) = text.split_at(cut);
            assert_eq!(crc32(&[a, b]), crc32(&[&text]), "{cut}");
        }
    }
}
