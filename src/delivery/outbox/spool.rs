//! The spool: what the queue cannot hold, on disk, oldest first; it outlives the process.
//!
//! A directory holds segments `SEQUENCE.seg`, a file `position` that says how far they were read, and `lock`. A segment is
//! [`MAGIC`] and records; a record is
//!
//! | bytes | |
//! |---|---|
//! | 4 | [`MARK`] |
//! | 4 | length of what follows the checksum, little-endian like all that follows |
//! | 4 | CRC-32 (IEEE) of it |
//! | 48 | traces, spans, bytes in the account; traces and spans that the tracer dropped; 1 if stats have counted it |
//! | … | the payload |
//!
//! Segments are only appended to, and never by another process than the one that began them. What a `kill -9` leaves
//! torn at the end of one is left out; what is damaged in the middle is skipped up to the next mark whose checksum holds.
//! The position is written after delivery, so that a killed process sends at most its last batch again. Nothing waits for
//! the disk: the system's page cache survives the process, though not a power cut.

use crate::account::Counts;
use crate::delivery::response::DroppedP0;
use crate::error::{Error, ErrorKind};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"DPSPOOL1";
const MARK: [u8; 4] = *b"\xd5REC";
/// Bytes of a record before its payload.
const HEAD: usize = 12 + META;
const META: usize = 48;
/// A segment is closed when it has grown to this; so much is read at a time.
const SEGMENT: u64 = 4 << 20;
const LEAST_SEGMENT: u64 = 128 << 10;

/// The spool of one exporter.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    max_bytes: u64,
    /// Held as long as the spool is open.
    _lock: File,
    position: File,
    segments: VecDeque<Segment>,
    /// The last segment, if it is ours to append to.
    writer: Option<File>,
    next_seq: u64,
    /// How far the first segment was read and confirmed.
    read_to: usize,
    /// How far it was read.
    taken_to: Option<usize>,
    /// The first segment's bytes, as far as they were there when it was read.
    loaded: Vec<u8>,
    lost: Counts,
    damaged: u64,
}

#[derive(Debug)]
struct Segment {
    seq: u64,
    /// Bytes on disk.
    size: u64,
    /// What was written and not given yet.
    rest: Counts,
    records: u64,
}

/// A payload from the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) payload: Vec<u8>,
    /// What stands in the account for it.
    pub(crate) counts: Counts,
    pub(crate) dropped: DroppedP0,
    /// Stats have counted it.
    pub(crate) counted: bool,
}

/// Why something could not be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// The limit is reached.
    Full,
    /// The disk says no.
    Io(String),
}

/// What a directory held when it was opened, or holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) payloads: u64,
    pub(crate) counts: Counts,
    /// On disk, all told.
    pub(crate) disk_bytes: u64,
    /// Records that could not be read.
    pub(crate) damaged: u64,
}

impl Spool {
    /// Opens a directory, making it if need be.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` if it cannot be used: another process (or exporter) has it, no permission, read-only.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> Result<Self, Error> {
        let refuse = |what: &str, e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::InvalidConfiguration, format!("spool: {}: {what}: {e}", dir.display()))
        };
        make(dir).map_err(|e| refuse("the directory cannot be made", &e))?;
        let lock = private(OpenOptions::new().write(true).create(true).truncate(false), &dir.join("lock"))
            .map_err(|e| refuse("it cannot be written to", &e))?;
        lock.try_lock().map_err(|e| refuse("another process or exporter uses it", &e))?;
        let position =
            private(OpenOptions::new().write(true).create(true).truncate(false), &dir.join("position"))
                .map_err(|e| refuse("it cannot be written to", &e))?;
        let mut spool = Self {
            dir: dir.to_owned(),
            max_bytes,
            _lock: lock,
            position,
            segments: VecDeque::new(),
            writer: None,
            next_seq: 0,
            read_to: MAGIC.len(),
            taken_to: None,
            loaded: Vec::new(),
            lost: Counts::default(),
            damaged: 0,
        };
        spool.recover().map_err(|e| refuse("it cannot be read", &e))?;
        Ok(spool)
    }

    /// Finds the segments of earlier processes.
    fn recover(&mut self) -> io::Result<()> {
        let mut found: Vec<u64> = fs::read_dir(&self.dir)?
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let name = name.to_str()?.strip_suffix(".seg")?;
                (name.len() == 16).then(|| u64::from_str_radix(name, 16).ok()).flatten()
            })
            .collect();
        found.sort_unstable();
        let (at_seq, at) = self.read_position().unwrap_or((0, MAGIC.len()));
        for seq in found {
            self.next_seq = seq.saturating_add(1);
            let from = if seq == at_seq { at } else { MAGIC.len() };
            let bytes = fs::read(self.path(seq))?;
            let mut segment = Segment { seq, size: bytes.len() as u64, rest: Counts::default(), records: 0 };
            if seq >= at_seq && bytes.starts_with(&MAGIC) {
                let mut p = from;
                // Checksums are looked at when a record is given; a claim that cannot be true is none.
                while let Some((at, record)) = next_record(&bytes, p, false) {
                    segment.rest = segment.rest.plus(record.counts);
                    segment.records += 1;
                    p = at;
                }
            }
            if segment.records == 0 {
                // Read to its end, or never written. A file that is not ours is left alone.
                if bytes.is_empty() || bytes.starts_with(&MAGIC) {
                    let _ = fs::remove_file(self.path(seq));
                }
                continue;
            }
            if self.segments.is_empty() {
                self.read_to = from;
            }
            self.segments.push_back(segment);
        }
        Ok(())
    }

    fn read_position(&mut self) -> Option<(u64, usize)> {
        let bytes = fs::read(self.dir.join("position")).ok()?;
        let (seq, at, crc) = (word(&bytes, 0)?, word(&bytes, 8)?, word(&bytes, 16)?);
        let known = bytes.get(..16).map(|b| u64::from(crc32(b)))?;
        (crc == known).then_some((seq, usize::try_from(at).ok()?))
    }

    /// Appends a payload.
    ///
    /// # Errors
    /// It is not there then, and nothing else is harmed.
    pub(crate) fn push(&mut self, record: &Record) -> Result<(), PushError> {
        let size = (HEAD + record.payload.len()) as u64;
        let used: u64 = self.segments.iter().map(|s| s.size).sum();
        let head = if self.has_room_in_segment(size) { 0 } else { MAGIC.len() as u64 };
        if used + size + head > self.max_bytes {
            return Err(PushError::Full);
        }
        let io = |e: io::Error| PushError::Io(e.to_string());
        if head > 0 {
            let path = self.path(self.next_seq);
            let mut file = private(OpenOptions::new().write(true).create_new(true), &path).map_err(io)?;
            if let Err(e) = file.write_all(&MAGIC) {
                let _ = fs::remove_file(path);
                return Err(io(e));
            }
            let (seq, size) = (self.next_seq, MAGIC.len() as u64);
            self.segments.push_back(Segment { seq, size, rest: Counts::default(), records: 0 });
            self.next_seq += 1;
            self.writer = Some(file);
        }
        let (Some(file), Some(segment)) = (&mut self.writer, self.segments.back_mut()) else {
            return Err(PushError::Io("there is no segment".to_owned()));
        };
        let head = head_of(record);
        if let Err(e) = file.write_all(&head).and_then(|()| file.write_all(&record.payload)) {
            // What is torn must not stand before what comes next.
            let cut = file.set_len(segment.size).and_then(|()| file.seek(SeekFrom::Start(segment.size)));
            if cut.is_err() {
                self.writer = None;
            }
            return Err(io(e));
        }
        segment.size += size;
        segment.rest = segment.rest.plus(record.counts);
        segment.records += 1;
        Ok(())
    }

    fn has_room_in_segment(&self, size: u64) -> bool {
        let limit = (self.max_bytes / 16).clamp(LEAST_SEGMENT, SEGMENT);
        self.writer.is_some() && self.segments.back().is_some_and(|s| s.size + size <= limit.max(size + 8))
    }

    /// The oldest records, up to so many bytes of payload but at least one. What was taken before must have been
    /// confirmed or returned.
    pub(crate) fn take(&mut self, max_bytes: usize) -> Vec<Record> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while !self.segments.is_empty() {
            let from = self.taken_to.unwrap_or(self.read_to);
            let next = self.next_in_first(from);
            match next {
                Some((end, record)) => {
                    let size = record.payload.len();
                    if !taken.is_empty() && bytes + size > max_bytes {
                        break;
                    }
                    bytes += size;
                    self.taken_to = Some(end);
                    taken.push(record);
                }
                None if !taken.is_empty() => break,
                None => {
                    // The first segment has nothing more to give.
                    if self.segments.len() == 1 && self.segments.front().is_some_and(|s| s.records == 0) {
                        self.drop_first();
                        break;
                    }
                    self.drop_first();
                }
            }
        }
        if let Some(first) = self.segments.front_mut() {
            for record in &taken {
                first.rest = first.rest.minus(record.counts);
                first.records = first.records.saturating_sub(1);
            }
        }
        taken
    }

    /// The record at or behind `from` in the first segment, and where it ends.
    fn next_in_first(&mut self, from: usize) -> Option<(usize, Record)> {
        if let Some(found) = next_record(&self.loaded, from, true) {
            return Some(found);
        }
        let first = self.segments.front()?;
        if self.loaded.len() as u64 != first.size {
            self.loaded = fs::read(self.path(first.seq)).unwrap_or_default();
            self.loaded.truncate(usize::try_from(first.size).unwrap_or(usize::MAX));
        }
        next_record(&self.loaded, from, true)
    }

    /// The first segment is done. What it still owes is lost.
    fn drop_first(&mut self) {
        let Some(first) = self.segments.pop_front() else { return };
        if first.records > 0 {
            self.lost = self.lost.plus(first.rest);
            self.damaged += first.records;
        }
        if self.segments.is_empty() {
            self.writer = None;
        }
        let _ = fs::remove_file(self.path(first.seq));
        self.loaded = Vec::new();
        self.taken_to = None;
        self.read_to = MAGIC.len();
        self.write_position();
    }

    /// What was taken has met its fate.
    pub(crate) fn confirm(&mut self) {
        let Some(end) = self.taken_to.take() else { return };
        self.read_to = end;
        // What follows the last record of an earlier process is torn.
        let torn = self.writer.is_none();
        if self.segments.front().is_some_and(|s| s.records == 0 && (torn || s.size == end as u64)) {
            self.drop_first();
        } else {
            self.write_position();
        }
    }

    /// What was taken is to be taken again.
    pub(crate) fn put_back(&mut self, taken: &[Record]) {
        self.taken_to = None;
        if let Some(first) = self.segments.front_mut() {
            for record in taken {
                first.rest = first.rest.plus(record.counts);
                first.records += 1;
            }
        }
    }

    fn write_position(&mut self) {
        let seq = self.segments.front().map_or(self.next_seq, |s| s.seq);
        let mut bytes = [0_u8; 24];
        let at = self.read_to as u64;
        bytes[..8].copy_from_slice(&seq.to_le_bytes());
        bytes[8..16].copy_from_slice(&at.to_le_bytes());
        let crc = u64::from(crc32(&bytes[..16]));
        bytes[16..].copy_from_slice(&crc.to_le_bytes());
        // If the disk says no, something is sent twice after a restart, and nothing is lost.
        let _ = self.position.seek(SeekFrom::Start(0)).and_then(|_| self.position.write_all(&bytes));
    }

    /// What it holds: what was pushed and not given yet.
    pub(crate) fn held(&self) -> Held {
        let mut held = Held { damaged: self.damaged, ..Held::default() };
        for segment in &self.segments {
            held.payloads += segment.records;
            held.counts = held.counts.plus(segment.rest);
            held.disk_bytes += segment.size;
        }
        held
    }

    /// What could not be read since the last time this was asked.
    pub(crate) fn lost(&mut self) -> Counts {
        std::mem::take(&mut self.lost)
    }

    fn path(&self, seq: u64) -> PathBuf {
        self.dir.join(format!("{seq:016x}.seg"))
    }
}

/// The next whole record at or behind `p`, and its end. `check`: its checksum must hold, too.
fn next_record(bytes: &[u8], mut p: usize, check: bool) -> Option<(usize, Record)> {
    loop {
        let at = p + memchr::memmem::find(bytes.get(p..)?, &MARK)?;
        if let Some(found) = record_at(bytes, at, check) {
            return Some(found);
        }
        p = at + 1;
    }
}

fn record_at(bytes: &[u8], at: usize, check: bool) -> Option<(usize, Record)> {
    let size = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(at + 8..at + 12)?.try_into().ok()?);
    let body = bytes.get(at + 12..(at + 12).checked_add(size)?)?;
    let payload = body.get(META..)?;
    if check && crc32(body) != crc {
        return None;
    }
    let record = Record {
        payload: if check { payload.to_vec() } else { Vec::new() },
        counts: Counts { traces: word(body, 0)?, spans: word(body, 8)?, bytes: word(body, 16)? },
        dropped: DroppedP0 { traces: word(body, 24)?, spans: word(body, 32)? },
        counted: word(body, 40)? != 0,
    };
    Some((at + 12 + size, record))
}

fn head_of(record: &Record) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let words = [
        record.counts.traces,
        record.counts.spans,
        record.counts.bytes,
        record.dropped.traces,
        record.dropped.spans,
        u64::from(record.counted),
    ];
    for (to, word) in head[12..].chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    let crc = !crc32_more(crc32_more(!0, &head[12..]), &record.payload);
    head[..4].copy_from_slice(&MARK);
    head[4..8].copy_from_slice(&((META + record.payload.len()) as u32).to_le_bytes());
    head[8..12].copy_from_slice(&crc.to_le_bytes());
    head
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(unix)]
fn make(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Opens a file that, if it is new, only its owner can read.
fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
            bit += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
};

fn crc32(bytes: &[u8]) -> u32 {
    !crc32_more(!0, bytes)
}

fn crc32_more(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, b| CRC_TABLE[usize::from(crc as u8 ^ b)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory of its own, gone with the test.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let n = NEXT.fetch_add(1, Ordering::SeqCst);
            Self(std::env::temp_dir().join(format!("dp-spool-{}-{n}", std::process::id())))
        }

        fn open(&self) -> Spool {
            Spool::open(&self.0, 2 << 20).unwrap()
        }

        fn segments(&self) -> Vec<PathBuf> {
            let mut all: Vec<_> = fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().path()).collect();
            all.retain(|p| p.extension().is_some_and(|e| e == "seg"));
            all.sort();
            all
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn record(n: u64, size: usize) -> Record {
        Record {
            payload: vec![n as u8; size],
            counts: Counts { traces: n, spans: n / 2, bytes: size as u64 },
            dropped: DroppedP0 { traces: n + 1, spans: n + 2 },
            counted: n % 2 == 1,
        }
    }

    fn one(spool: &mut Spool) -> Option<Record> {
        let mut all = spool.take(1);
        assert!(all.len() <= 1);
        all.pop()
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_goes_in_comes_out_oldest_first_also_in_a_later_process() {
        let dir = Dir::new();
        let mut spool = dir.open();
        for n in 0..50 {
            spool.push(&record(n, 10_000)).unwrap();
        }
        assert!(dir.segments().len() > 2);
        assert_eq!(spool.held().payloads, 50);
        for n in 0..20 {
            assert_eq!(one(&mut spool), Some(record(n, 10_000)));
            spool.confirm();
        }
        assert_eq!(one(&mut spool), Some(record(20, 10_000)), "taken and never confirmed");
        drop(spool);
        let mut spool = dir.open();
        let held = spool.held();
        assert_eq!((held.payloads, held.counts.bytes), (30, 300_000));
        spool.push(&record(50, 10)).unwrap();
        for n in 20..50 {
            assert_eq!(one(&mut spool), Some(record(n, 10_000)));
            spool.confirm();
        }
        assert_eq!(one(&mut spool), Some(record(50, 10)));
        spool.confirm();
        assert_eq!(one(&mut spool), None);
        assert_eq!((spool.held(), dir.segments().len()), (Held::default(), 0));
        spool.push(&record(51, 1)).unwrap();
        assert_eq!(one(&mut spool), Some(record(51, 1)));
    }

    #[test]
    fn several_are_taken_and_put_back_together() {
        let dir = Dir::new();
        let mut spool = dir.open();
        for n in 0..10 {
            spool.push(&record(n, 100)).unwrap();
        }
        let taken = spool.take(450);
        assert_eq!(taken.len(), 4);
        assert_eq!(spool.held().payloads, 6);
        spool.put_back(&taken);
        assert_eq!(spool.held().payloads, 10);
        assert_eq!(spool.take(450), taken);
        spool.confirm();
        assert_eq!(spool.take(usize::MAX).len(), 6);
    }

    #[test]
    fn a_torn_last_record_costs_only_itself() {
        let whole = HEAD + 100;
        for cut in 1..=whole {
            let dir = Dir::new();
            let mut spool = dir.open();
            for n in 0..3 {
                spool.push(&record(n, 100)).unwrap();
            }
            drop(spool);
            let path = dir.segments().pop().unwrap();
            let size = fs::metadata(&path).unwrap().len();
            OpenOptions::new().write(true).open(&path).unwrap().set_len(size - cut as u64).unwrap();
            let mut spool = dir.open();
            assert_eq!(spool.held().payloads, 2, "cut {cut}");
            if cut % 2 == 0 {
                assert_eq!(spool.take(usize::MAX).len(), 2);
                spool.confirm();
                assert_eq!(dir.segments().len(), 0, "cut {cut}");
                continue;
            }
            spool.push(&record(7, 5)).unwrap();
            let all: Vec<_> = std::iter::from_fn(|| {
                let next = one(&mut spool);
                spool.confirm();
                next
            })
            .collect();
            assert_eq!(all, [record(0, 100), record(1, 100), record(7, 5)], "cut {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_costs_only_its_record_and_is_counted() {
        let size = MAGIC.len() + 3 * (HEAD + 100);
        for at in MAGIC.len()..size {
            let dir = Dir::new();
            let mut spool = dir.open();
            for n in 0..3 {
                spool.push(&record(n, 100)).unwrap();
            }
            let path = dir.segments().pop().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            let hit = (at - MAGIC.len()) / (HEAD + 100);
            let mut left = Vec::new();
            while let Some(next) = one(&mut spool) {
                spool.confirm();
                left.push(next.counts.traces);
            }
            let expected: Vec<u64> = (0..3).filter(|n| *n != hit as u64).collect();
            assert_eq!(left, expected, "byte {at}");
            assert_eq!(spool.held().damaged, 1);
            assert_eq!(spool.lost(), Counts { spans: hit as u64 / 2, ..record(hit as u64, 100).counts });
        }
    }

    #[test]
    fn a_damaged_position_sends_again_and_loses_nothing() {
        let dir = Dir::new();
        let mut spool = dir.open();
        for n in 0..3 {
            spool.push(&record(n, 100)).unwrap();
        }
        one(&mut spool);
        spool.confirm();
        drop(spool);
        fs::write(dir.0.join("position"), b"nonsense").unwrap();
        assert_eq!(dir.open().held().payloads, 3);
    }

    #[test]
    fn the_limit_counts_everything_on_disk() {
        let dir = Dir::new();
        let mut spool = Spool::open(&dir.0, 1 << 20).unwrap();
        let mut random = 7_u64;
        let mut expected = VecDeque::new();
        for n in 0..5_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let size = (random >> 33) as usize % 30_000;
            if random >> 62 == 0 {
                match one(&mut spool) {
                    Some(next) => {
                        spool.confirm();
                        assert_eq!(Some(next), expected.pop_front());
                    }
                    None => assert!(expected.is_empty()),
                }
            } else if random >> 61 == 7 {
                drop(spool);
                spool = Spool::open(&dir.0, 1 << 20).unwrap();
            } else {
                match spool.push(&record(n, size)) {
                    Ok(()) => expected.push_back(record(n, size)),
                    Err(e) => assert_eq!(e, PushError::Full),
                }
            }
            let disk: u64 = dir.segments().iter().map(|p| fs::metadata(p).unwrap().len()).sum();
            assert!(disk <= 1 << 20);
            assert_eq!(disk, spool.held().disk_bytes);
            assert_eq!(spool.held().payloads, expected.len() as u64);
        }
    }

    #[test]
    fn a_directory_is_used_once_at_a_time_and_foreign_files_stay() {
        let dir = Dir::new();
        let spool = dir.open();
        let error = Spool::open(&dir.0, 2 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.message().contains("another process"), "{error}");
        drop(spool);
        fs::write(dir.0.join("0000000000000000.seg"), b"somebody else's").unwrap();
        fs::write(dir.0.join("notes.txt"), b"mine").unwrap();
        let mut spool = dir.open();
        spool.push(&record(1, 10)).unwrap();
        assert_eq!(one(&mut spool), Some(record(1, 10)));
        spool.confirm();
        assert_eq!(fs::read(dir.0.join("0000000000000000.seg")).unwrap(), b"somebody else's");
        assert!(dir.0.join("notes.txt").exists());
        fs::write(dir.0.join("file"), b"").unwrap();
        assert!(Spool::open(&dir.0.join("file"), 2 << 20).is_err(), "a file is no directory");
    }

    /// Root may write anywhere, so a full disk is played by a small file system where one can be mounted.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_or_read_only_disk_refuses_and_harms_nothing() {
        let dir = Dir::new();
        fs::create_dir_all(&dir.0).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(&dir.0)
            .stderr(std::process::Stdio::null())
            .status();
        if !mount.is_ok_and(|s| s.success()) {
            return;
        }
        {
            let mut spool = Spool::open(&dir.0, 2 << 20).unwrap();
            let mut kept = 0;
            for n in 0..100 {
                match spool.push(&record(n, 7_000)) {
                    Ok(()) => kept += 1,
                    Err(PushError::Io(_)) => break,
                    Err(PushError::Full) => panic!("the disk is full, not the spool"),
                }
            }
            assert!((10..40).contains(&kept), "{kept}");
            for n in 0..kept {
                assert_eq!(one(&mut spool), Some(record(n, 7_000)));
                spool.confirm();
            }
            assert_eq!(one(&mut spool), None);
            spool.push(&record(3, 7_000)).unwrap();
            assert_eq!(one(&mut spool), Some(record(3, 7_000)));
        }
        let read_only = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&dir.0).status();
        if read_only.is_ok_and(|s| s.success()) {
            let error = Spool::open(&dir.0, 2 << 20).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
            assert!(error.message().contains(&*dir.0.to_string_lossy()), "{error}");
        }
        let _ = std::process::Command::new("umount").arg(&dir.0).status();
    }
}
