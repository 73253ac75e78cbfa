//! One file of the spool: what is in it, as far as that is known, and how it is read.

use super::record::{self, HEAD, Head, Record, SEGMENT_HEAD};
use crate::account::Counts;
use crate::directory::Directory;
use std::fs::File;
use std::io;

/// Heads of small payloads are read together, this much at a time.
const WINDOW: usize = 16 << 10;
/// So much is searched at a time for the end of what is damaged.
const SEARCH: usize = 256 << 10;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) seq: u64,
    /// Bytes on disk.
    pub(super) size: u64,
    /// What stands before this is in `records` and `rest`; what is behind it nobody has looked at.
    pub(super) known_to: u64,
    /// What is there, and neither done nor taken.
    pub(super) records: u64,
    pub(super) rest: Counts,
    /// Its file while it is open, and its salt.
    file: Option<(File, u64)>,
}

/// What stands at some place.
pub(super) enum Found {
    Record(Head),
    /// No record begins here.
    Nothing,
}

/// What opening found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Ours,
    /// It does not begin as a segment does.
    Foreign,
    /// It began to, and was cut off.
    Torn,
}

impl Segment {
    /// One that was found.
    pub(super) fn found(seq: u64, size: u64) -> Self {
        let known_to = SEGMENT_HEAD as u64;
        Self { seq, size, known_to, records: 0, rest: Counts::default(), file: None }
    }

    /// A new one.
    pub(super) fn make(directory: &Directory, seq: u64, salt: u64) -> io::Result<Self> {
        let file = directory.make(&name(seq))?;
        if let Err(e) = write_at(&file, &record::segment_head(seq, salt), 0) {
            directory.remove(&name(seq));
            return Err(e);
        }
        let mut segment = Self::found(seq, SEGMENT_HEAD as u64);
        segment.file = Some((file, salt));
        Ok(segment)
    }

    /// Opens its file if it is not open.
    pub(super) fn open(&mut self, directory: &Directory) -> io::Result<Opened> {
        if self.file.is_some() {
            return Ok(Opened::Ours);
        }
        let file = directory.open_file(&name(self.seq))?;
        let mut head = [0; SEGMENT_HEAD];
        let n = read_at(&file, &mut head, 0)?;
        let head = head.get(..n).unwrap_or(&[]);
        Ok(match record::salt_of(self.seq, head) {
            Some(salt) => {
                self.file = Some((file, salt));
                Opened::Ours
            }
            None if record::is_torn_segment_head(head) => Opened::Torn,
            None => Opened::Foreign,
        })
    }

    /// Closes its file.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Counts the records from `from` on by their heads, up to the first place where there is none.
    pub(super) fn survey(&mut self, from: u64) -> io::Result<()> {
        let Some((file, salt)) = &self.file else { return Ok(()) };
        let mut window = vec![0; WINDOW];
        let (mut begin, mut end) = (0, 0);
        let (mut at, mut wanted) = (from.max(SEGMENT_HEAD as u64), WINDOW);
        while at + HEAD as u64 <= self.size {
            if at < begin || at + HEAD as u64 > end {
                let n = read_at(file, window.get_mut(..wanted).unwrap_or(&mut []), at)?;
                (begin, end) = (at, at + n as u64);
            }
            let bytes = window.get((at - begin) as usize..(end - begin) as usize).unwrap_or(&[]);
            let Some(head) = Head::read(bytes, *salt, at).filter(|h| h.end(at) <= self.size) else { break };
            if !head.done {
                self.records += 1;
                self.rest = self.rest.plus(head.meta.counts);
            }
            at = head.end(at);
            // The heads of large payloads lie far apart.
            wanted = if head.size as usize > WINDOW { HEAD } else { WINDOW };
        }
        self.known_to = at;
        Ok(())
    }

    /// What stands at `at`. A payload may have up to `most` bytes.
    pub(super) fn at(&self, at: u64, most: u64) -> io::Result<Found> {
        let Some((file, salt)) = &self.file else { return Ok(Found::Nothing) };
        let mut head = [0; HEAD];
        let n = read_at(file, &mut head, at)?;
        let head = Head::read(head.get(..n).unwrap_or(&[]), *salt, at);
        let head = head.filter(|h| h.end(at) <= self.size && u64::from(h.size) <= most);
        Ok(head.map_or(Found::Nothing, Found::Record))
    }

    /// Looks for a record from `at` on, a bounded way: where the next look must begin, and whether a record stands
    /// there.
    pub(super) fn search(&self, at: u64) -> io::Result<u64> {
        let Some((file, salt)) = &self.file else { return Ok(self.size) };
        let mut window = vec![0; SEARCH.min(usize::try_from(self.size.saturating_sub(at)).unwrap_or(SEARCH))];
        let n = read_at(file, &mut window, at)?;
        window.truncate(n);
        Ok(match record::find(&window, *salt, at) {
            Some((found, _)) => found,
            None if at + n as u64 >= self.size || n < HEAD => self.size,
            None => at + (n - HEAD + 1) as u64,
        })
    }

    /// Reads a payload. `None`: it is not what was written.
    pub(super) fn payload(&self, at: u64, head: &Head) -> io::Result<Option<Vec<u8>>> {
        let Some((file, _)) = &self.file else { return Ok(None) };
        let size = head.size as usize;
        let mut payload = Vec::new();
        payload.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
        payload.resize(size, 0);
        let whole = read_at(file, &mut payload, at + HEAD as u64)? == size;
        Ok((whole && head.is_of(&payload)).then_some(payload))
    }

    /// Appends a record. What could not be written whole is cut off again; `Err` with `true`: that failed, too.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), (io::Error, bool)> {
        let Some((file, salt)) = &self.file else {
            return Err((io::Error::from(io::ErrorKind::NotFound), true));
        };
        let head = Head::new(record).write(*salt, self.size);
        let written = write_at(file, &record.payload, self.size + HEAD as u64)
            // The head last: a record that is not there whole is none.
            .and_then(|()| write_at(file, &head, self.size));
        if let Err(e) = written {
            return Err((e, file.set_len(self.size).is_err()));
        }
        self.size += (HEAD + record.payload.len()) as u64;
        self.known_to = self.size;
        self.records += 1;
        self.rest = self.rest.plus(record.meta.counts);
        Ok(())
    }

    /// Writes the head of a record that is there anew.
    pub(super) fn rewrite(&self, at: u64, head: &Head) -> io::Result<()> {
        let Some((file, salt)) = &self.file else { return Ok(()) };
        write_at(file, &head.write(*salt, at), at)
    }

    /// Whether its open file still stands in the directory.
    pub(super) fn is_there(&self, directory: &Directory) -> bool {
        self.file.as_ref().is_some_and(|(file, _)| directory.has(&name(self.seq), file))
    }
}

/// A segment's file.
pub(super) fn name(seq: u64) -> String {
    format!("{seq:016x}.seg")
}

/// The number of a segment's file.
pub(super) fn seq_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|d| d.len() == 16)?;
    let seq = u64::from_str_radix(digits, 16).ok()?;
    (self::name(seq) == name).then_some(seq)
}

/// Reads as much as there is, up to the whole of `to`.
pub(super) fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = to.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, rest, at + filled as u64);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, rest, at + filled as u64);
        match read {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Writes all of `bytes`.
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, at);
    #[cfg(windows)]
    {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match std::os::windows::fs::FileExt::seek_write(file, rest, at + written as u64) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
