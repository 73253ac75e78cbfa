//! Packs the entries of JARs anew, in place: the same entries in the same order with the same names, times and attributes,
//! but deflated as small as it goes.
//!
//! usage: `repack JAR...`
//!
//! Folders are left out: whoever reads a JAR finds entries by their names. What is left out as well is what a writer adds that
//! cannot go back in its file: the sums behind an entry, which stand before it here. The result depends on the contents of
//! the JAR alone, and a JAR that was packed anew stays as it is.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use libdeflater::{CompressionLvl, Compressor, Decompressor, crc32};

/// What the records of a ZIP file begin with.
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// How long they are, without what has a length of its own.
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
/// Methods of compression.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// A byte of DEFLATE stands for fewer bytes than this.
const MOST_A_BYTE: usize = 1033;
/// Sizes and sum stand behind the entry, not before it.
const DESCRIPTOR: u16 = 1 << 3;
/// The entry is encrypted.
const ENCRYPTED: u16 = 1;

/// Why a JAR was not packed, as a sentence.
type Fault = String;

/// One entry, as the central directory tells it.
struct Entry<'a> {
    made_by: u16,
    flags: u16,
    time: u32,
    internal: u16,
    external: u32,
    name: &'a [u8],
    extra: &'a [u8],
    comment: &'a [u8],
    method: u16,
    sum: u32,
    len: usize,
    /// Its bytes as they stand in the file.
    packed: &'a [u8],
}

impl Entry<'_> {
    fn is_folder(&self) -> bool {
        self.len == 0 && self.name.ends_with(b"/")
    }

    /// The bytes that were packed, compared with their sum.
    fn contents(&self) -> Result<Vec<u8>, Fault> {
        let name = String::from_utf8_lossy(self.name);
        let bytes = match self.method {
            STORED => self.packed.to_vec(),
            DEFLATED => {
                if self.len / MOST_A_BYTE > self.packed.len() {
                    return Err(format!("{name} cannot be as long as it says"));
                }
                let mut bytes = vec![0; self.len];
                let len = Decompressor::new().deflate_decompress(self.packed, &mut bytes);
                let len = len.map_err(|why| format!("{name} cannot be read: {why}"))?;
                bytes.truncate(len);
                bytes
            }
            other => return Err(format!("{name} is packed by method {other}, which no JVM knows")),
        };
        if bytes.len() != self.len || crc32(&bytes) != self.sum {
            return Err(format!("{name} is not what its sum says"));
        }
        Ok(bytes)
    }
}

/// Numbers as a ZIP file has them: little-endian.
fn word(from: &[u8], at: usize) -> Result<u16, Fault> {
    let bytes = from.get(at..at + 2).and_then(|b| b.try_into().ok());
    bytes.map(u16::from_le_bytes).ok_or_else(|| "the file is cut off".into())
}

fn long(from: &[u8], at: usize) -> Result<u32, Fault> {
    let bytes = from.get(at..at + 4).and_then(|b| b.try_into().ok());
    bytes.map(u32::from_le_bytes).ok_or_else(|| "the file is cut off".into())
}

fn part(from: &[u8], at: usize, len: usize) -> Result<&[u8], Fault> {
    from.get(at..).and_then(|rest| rest.get(..len)).ok_or_else(|| "the file is cut off".into())
}

/// The entries of a ZIP file, in the order of its central directory.
fn entries(file: &[u8]) -> Result<Vec<Entry<'_>>, Fault> {
    let end = file.len().checked_sub(END_LEN).ok_or("the file is too short for a JAR")?;
    if long(file, end)? != END {
        return Err("the file does not end as a JAR does".into());
    }
    let count = word(file, end + 10)?;
    let mut at = long(file, end + 16)? as usize;
    if count == u16::MAX || at == u32::MAX as usize {
        return Err("JARs over 4 GB are not known here".into());
    }
    let mut found = Vec::new();
    for _ in 0..count {
        if long(file, at)? != CENTRAL {
            return Err("the central directory is damaged".into());
        }
        let lens =
            [word(file, at + 28)? as usize, word(file, at + 30)? as usize, word(file, at + 32)? as usize];
        let local = long(file, at + 42)? as usize;
        if long(file, local)? != LOCAL {
            return Err("an entry is not where the central directory says".into());
        }
        let start = local + LOCAL_LEN + word(file, local + 26)? as usize + word(file, local + 28)? as usize;
        let name = at + CENTRAL_LEN;
        let entry = Entry {
            made_by: word(file, at + 4)?,
            flags: word(file, at + 8)?,
            method: word(file, at + 10)?,
            time: long(file, at + 12)?,
            sum: long(file, at + 16)?,
            packed: part(file, start, long(file, at + 20)? as usize)?,
            len: long(file, at + 24)? as usize,
            internal: word(file, at + 36)?,
            external: long(file, at + 38)?,
            name: part(file, name, lens[0])?,
            extra: part(file, name + lens[0], lens[1])?,
            comment: part(file, name + lens[0] + lens[1], lens[2])?,
        };
        if entry.flags & ENCRYPTED != 0 {
            return Err(format!("{} is encrypted", String::from_utf8_lossy(entry.name)));
        }
        at = name + lens.iter().sum::<usize>();
        found.push(entry);
    }
    Ok(found)
}

/// The smallest way to pack these bytes, and its method. The way they are packed already stays if none is smaller.
fn pack<'a>(
    entry: &'a Entry<'_>,
    contents: &'a [u8],
    compressor: &mut Compressor,
    room: &'a mut Vec<u8>,
) -> (u16, &'a [u8]) {
    room.resize(compressor.deflate_compress_bound(contents.len()), 0);
    let mut best = (entry.method, entry.packed);
    if contents.len() <= best.1.len() {
        best = (STORED, contents);
    }
    match compressor.deflate_compress(contents, room) {
        Ok(len) if len < best.1.len() => (DEFLATED, &room[..len]),
        _ => best,
    }
}

/// What a local header and a line of the central directory have in common, from the version that reads the entry to the lengths.
fn common(entry: &Entry<'_>, method: u16, len: usize) -> Result<Vec<u8>, Fault> {
    let needs: u16 = if method == DEFLATED { 20 } else { 10 };
    let mut out = Vec::with_capacity(CENTRAL_LEN);
    for number in [needs, entry.flags & !DESCRIPTOR, method] {
        out.extend(number.to_le_bytes());
    }
    let short = |len: usize| u32::try_from(len).map_err(|_| "an entry is over 4 GB".to_string());
    for number in [entry.time, entry.sum, short(len)?, short(entry.len)?] {
        out.extend(number.to_le_bytes());
    }
    for number in [entry.name.len(), entry.extra.len()] {
        out.extend(u16::try_from(number).map_err(|_| "a name is over 64 KB")?.to_le_bytes());
    }
    Ok(out)
}

/// The file with every entry packed anew.
fn repack(file: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let (mut out, mut central, mut count) = (Vec::with_capacity(file.len()), Vec::new(), 0u16);
    let mut room = Vec::new();
    for entry in entries(file)?.iter().filter(|e| !e.is_folder()) {
        let contents = entry.contents()?;
        let (method, packed) = pack(entry, &contents, &mut compressor, &mut room);
        let common = common(entry, method, packed.len())?;
        let place = u32::try_from(out.len()).map_err(|_| "the JAR is over 4 GB")?;
        out.extend(LOCAL.to_le_bytes());
        for bytes in [&common, entry.name, entry.extra, packed] {
            out.extend(bytes);
        }
        central.extend(CENTRAL.to_le_bytes());
        central.extend(entry.made_by.to_le_bytes());
        central.extend(&common);
        // The disk is always the first.
        for number in [entry.comment.len() as u16, 0, entry.internal] {
            central.extend(number.to_le_bytes());
        }
        for number in [entry.external, place] {
            central.extend(number.to_le_bytes());
        }
        for bytes in [entry.name, entry.extra, entry.comment] {
            central.extend(bytes);
        }
        count += 1;
    }
    let place = u32::try_from(out.len()).map_err(|_| "the JAR is over 4 GB")?;
    let len = u32::try_from(central.len()).map_err(|_| "the central directory is over 4 GB")?;
    out.extend(central);
    out.extend(END.to_le_bytes());
    for number in [0, 0, count, count] {
        out.extend(number.to_le_bytes());
    }
    for number in [len, place] {
        out.extend(number.to_le_bytes());
    }
    out.extend(0u16.to_le_bytes());
    Ok(out)
}

/// Packs one JAR in place: whoever looks sees the old file or the new one.
fn repack_file(path: &Path) -> Result<(), Fault> {
    let old = fs::read(path).map_err(|why| why.to_string())?;
    let new = repack(&old)?;
    if new == old {
        return Ok(());
    }
    let mut beside = PathBuf::from(path).into_os_string();
    beside.push(".new");
    fs::write(&beside, new).and_then(|()| fs::rename(&beside, path)).map_err(|why| why.to_string())
}

fn main() {
    for path in env::args_os().skip(1).map(PathBuf::from) {
        if let Err(why) = repack_file(&path) {
            eprintln!("repack: {}: {why}", path.display());
            process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of one entry of a JAR.
    type Told = (Vec<u8>, u32, u32, Vec<u8>);

    fn told(file: &[u8]) -> Vec<Told> {
        let told = |e: &Entry<'_>| (e.name.to_vec(), e.time, e.external, e.contents().unwrap());
        entries(file).unwrap().iter().map(told).collect()
    }

    /// A JAR as a writer makes it that cannot go back: sizes and sums stand behind the entries.
    fn jar(contents: &[(&str, u16, Vec<u8>)]) -> Vec<u8> {
        let (mut out, mut central) = (Vec::new(), Vec::new());
        for (name, method, bytes) in contents {
            let mut packed = bytes.clone();
            if *method == DEFLATED {
                let mut worst = Compressor::new(CompressionLvl::new(1).unwrap());
                packed = vec![0; worst.deflate_compress_bound(bytes.len())];
                let len = worst.deflate_compress(bytes, &mut packed).unwrap();
                packed.truncate(len);
            }
            let place = out.len() as u32;
            let head = |sum: u32, packed: usize, len: usize| {
                let mut head = Vec::new();
                for number in [20, DESCRIPTOR | 1 << 11, *method] {
                    head.extend(number.to_le_bytes());
                }
                for number in [0x1234_5678, sum, packed as u32, len as u32, name.len() as u32] {
                    head.extend(number.to_le_bytes());
                }
                head
            };
            out.extend(LOCAL.to_le_bytes());
            out.extend(head(0, 0, 0));
            out.extend(name.as_bytes());
            out.extend(&packed);
            out.extend(0x0807_4b50_u32.to_le_bytes());
            for number in [crc32(bytes), packed.len() as u32, bytes.len() as u32] {
                out.extend(number.to_le_bytes());
            }
            central.extend(CENTRAL.to_le_bytes());
            central.extend(20u16.to_le_bytes());
            central.extend(head(crc32(bytes), packed.len(), bytes.len()));
            central.extend([0; 6]);
            for number in [0o100_644 << 16, place] {
                central.extend(number.to_le_bytes());
            }
            central.extend(name.as_bytes());
        }
        let (place, len, count) = (out.len() as u32, central.len() as u32, contents.len() as u16);
        out.extend(central);
        out.extend(END.to_le_bytes());
        for number in [0, 0, count, count] {
            out.extend(number.to_le_bytes());
        }
        for number in [len, place] {
            out.extend(number.to_le_bytes());
        }
        out.extend([0; 2]);
        out
    }

    fn sample() -> Vec<u8> {
        let text = "the same words, and the same words again; ".repeat(200).into_bytes();
        let noise: Vec<u8> = (0..500u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        jar(&[
            ("META-INF/", STORED, vec![]),
            ("META-INF/MANIFEST.MF", DEFLATED, b"Manifest-Version: 1.0\r\n\r\n".to_vec()),
            ("a/", STORED, vec![]),
            ("a/text", DEFLATED, text.clone()),
            ("a/stored", STORED, text),
            ("a/noise", DEFLATED, noise),
            ("a/empty", STORED, vec![]),
        ])
    }

    #[test]
    fn entries_stay_what_they_are_without_folders_and_what_stood_behind_them() {
        let old = sample();
        let new = repack(&old).unwrap();
        let mut expected = told(&old);
        expected.retain(|(name, ..)| !name.ends_with(b"/"));
        assert_eq!(told(&new), expected);
        assert!(new.len() < old.len());
        for entry in entries(&new).unwrap() {
            assert_eq!(entry.flags, 1 << 11);
            assert!(entry.packed.len() <= entry.len);
        }
    }

    #[test]
    fn what_was_packed_anew_stays_as_it_is() {
        let once = repack(&sample()).unwrap();
        assert!(repack(&once).unwrap() == once);
    }

    #[test]
    fn a_damaged_jar_is_refused_or_has_the_contents_that_its_sums_say() {
        let good = sample();
        for cut in 0..good.len() {
            assert!(repack(&good[..cut]).is_err());
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            if let Ok(packed) = repack(&bad) {
                told(&packed);
            }
        }
    }
}
