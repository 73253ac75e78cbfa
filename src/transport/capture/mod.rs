//! What went out, and what was answered: one file a request in a directory of ours, within a bound of bytes
//! (`capture`). The newest are kept; what a peer refused is kept before all that it took. A file is a [`record`].
//!
//! Files are written by the thread that sent, after the answer. An error of the disk costs the file and nothing else:
//! it is told once and counted. Files of an earlier process belong to the ring as if they were ours.

pub(super) mod record;

use crate::directory::Directory;
use parking_lot::Mutex;
use record::{Fate, Record};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file takes on disk at least: small ones count as much.
const BLOCK: u64 = 4096;

/// The ring of one exporter. Thread-safe.
#[derive(Debug)]
pub(crate) struct Capture {
    path: PathBuf,
    next: AtomicU64,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    /// `None`: released.
    directory: Option<Arc<Directory>>,
    max_bytes: u64,
    /// Bytes of all files, those included that are being written.
    bytes: u64,
    /// Oldest first.
    refused: VecDeque<Kept>,
    others: VecDeque<Kept>,
    report: Counts,
    trouble: Trouble,
}

/// A file.
#[derive(Clone, Copy, Debug)]
struct Kept {
    number: u64,
    fate: Fate,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    written: u64,
    overwritten: u64,
    failures: u64,
}

/// What went wrong, and whether somebody has heard of it.
#[derive(Debug, Default)]
struct Trouble {
    last: Option<String>,
    told: bool,
}

/// How it stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaptureReport {
    pub(crate) directory: String,
    pub(crate) max_bytes: u64,
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    /// Those of them that were refused.
    pub(crate) refused: u64,
    pub(crate) written: u64,
    pub(crate) overwritten: u64,
    /// Requests of which there is no file.
    pub(crate) failures: u64,
    pub(crate) last_failure: Option<String>,
}

impl Capture {
    /// Opens a directory, making it if need be.
    ///
    /// # Errors
    /// Why it cannot be used, for a person.
    pub(crate) fn open(path: &Path, max_bytes: u64) -> Result<Self, String> {
        let ring = Ring {
            directory: None,
            max_bytes,
            bytes: 0,
            refused: VecDeque::new(),
            others: VecDeque::new(),
            report: Counts::default(),
            trouble: Trouble::default(),
        };
        // Without a slash at its end, behind which a link would be followed.
        let path = path.components().collect();
        let capture = Self { path, next: AtomicU64::new(0), ring: Mutex::new(ring) };
        capture.attach()?;
        Ok(capture)
    }

    /// Takes the directory, again after [`Capture::release`]: what is there counts.
    ///
    /// # Errors
    /// Why it cannot be used, for a person.
    pub(crate) fn attach(&self) -> Result<(), String> {
        let mut ring = self.ring.lock();
        if ring.directory.is_some() {
            return Ok(());
        }
        let directory = Directory::open(&self.path)?;
        let files = directory.files().map_err(|e| format!("it cannot be read: {e}"))?;
        let mut found: Vec<Kept> = files.iter().filter_map(|(name, size)| kept(name, *size)).collect();
        found.sort_unstable_by_key(|kept| kept.number);
        ring.bytes = found.iter().map(|kept| kept.bytes).sum();
        if let Some(last) = found.last() {
            self.next.fetch_max(last.number.saturating_add(1), Ordering::Relaxed);
        }
        let (refused, others) = found.into_iter().partition(|kept| kept.fate == Fate::Refused);
        (ring.refused, ring.others) = (refused, others);
        ring.directory = Some(Arc::new(directory));
        ring.make_room(0);
        Ok(())
    }

    /// Gives the directory back. Nothing is kept until [`Capture::attach`].
    pub(crate) fn release(&self) {
        self.ring.lock().directory = None;
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Another bound.
    pub(crate) fn set_max_bytes(&self, max_bytes: u64) {
        let mut ring = self.ring.lock();
        ring.max_bytes = max_bytes;
        ring.make_room(0);
    }

    /// Writes a request and its answer. Whether that is the first time that it fails: somebody should hear of it.
    #[must_use]
    pub(crate) fn keep(&self, record: &Record<'_>) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let head = record.head(number);
        let bytes = blocks((head.len() + record.body.len()) as u64);
        let file = Kept { number, fate: record.fate, bytes };
        let directory = {
            let mut ring = self.ring.lock();
            let Some(directory) = ring.directory.clone() else { return false };
            if !ring.make_room(bytes) {
                let text = format!("a request of {bytes} bytes does not fit into {}", ring.max_bytes);
                return ring.failed(text);
            }
            ring.bytes += bytes;
            directory
        };
        let written = write(&directory, &file, &head, record.body);
        let mut ring = self.ring.lock();
        match written {
            Ok(()) => {
                ring.report.written += 1;
                ring.line(file.fate).push_back(file);
                false
            }
            Err(error) => {
                ring.bytes -= bytes;
                ring.failed(error.to_string())
            }
        }
    }

    /// What somebody should hear of, once.
    pub(crate) fn trouble(&self) -> Option<String> {
        let mut ring = self.ring.lock();
        let last = ring.trouble.last.clone().filter(|_| !ring.trouble.told)?;
        ring.trouble.told = true;
        Some(format!(
            "a request could not be captured, and was sent all the same; others may follow, explain() counts them: \
             {last} (`capture`: {})",
            self.path.display()
        ))
    }

    /// How it stands.
    pub(crate) fn report(&self) -> CaptureReport {
        let ring = self.ring.lock();
        CaptureReport {
            directory: self.path.display().to_string(),
            max_bytes: ring.max_bytes,
            bytes: ring.bytes,
            files: (ring.refused.len() + ring.others.len()) as u64,
            refused: ring.refused.len() as u64,
            written: ring.report.written,
            overwritten: ring.report.overwritten,
            failures: ring.report.failures,
            last_failure: ring.trouble.last.clone(),
        }
    }
}

impl Ring {
    /// Removes files until so many bytes fit: the oldest, refused ones last. Whether they do.
    fn make_room(&mut self, bytes: u64) -> bool {
        let Some(directory) = self.directory.clone() else { return false };
        if bytes > self.max_bytes {
            return false;
        }
        while self.bytes + bytes > self.max_bytes {
            let Some(oldest) = self.others.pop_front().or_else(|| self.refused.pop_front()) else {
                // All that there is is being written.
                return false;
            };
            directory.remove(&name(oldest.number, oldest.fate));
            self.bytes -= oldest.bytes;
            self.report.overwritten += 1;
        }
        true
    }

    fn line(&mut self, fate: Fate) -> &mut VecDeque<Kept> {
        if fate == Fate::Refused { &mut self.refused } else { &mut self.others }
    }

    fn failed(&mut self, why: String) -> bool {
        self.report.failures += 1;
        self.trouble.last = Some(why);
        !self.trouble.told
    }
}

/// Writes a file that is not there yet; what is there of it after an error is removed.
fn write(directory: &Directory, file: &Kept, head: &[u8], body: &[u8]) -> io::Result<()> {
    if !directory.is_ours() {
        return Err(io::Error::other("the directory has vanished, or was replaced"));
    }
    let name = name(file.number, file.fate);
    let mut to = directory.make(&name)?;
    to.write_all(head).and_then(|()| to.write_all(body)).inspect_err(|_| directory.remove(&name))
}

fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK) * BLOCK
}

fn name(number: u64, fate: Fate) -> String {
    format!("{number:010}-{}.capture", fate.name())
}

/// A file by its name.
fn kept(file: &str, size: u64) -> Option<Kept> {
    let (number, fate) = file.strip_suffix(".capture")?.split_once('-')?;
    let fate = Fate::ALL.into_iter().find(|known| known.name() == fate)?;
    let number = number.parse().ok()?;
    (name(number, fate) == file).then_some(Kept { number, fate, bytes: blocks(size) })
}

#[cfg(test)]
mod tests;
