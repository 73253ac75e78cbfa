//! A directory that is ours and stays ours (the spool, the capture), and the only place that opens files in it.
//!
//! Ours means: a directory, not a link to one; of this user; closed to all others (mode 0700). It is made so if it is
//! not there. Only regular files are opened in it, and no link is followed. While it is open we hold a lock on the file
//! `lock`, the very file that stands in the directory: whoever removes or moves the directory, or puts another file
//! there, is noticed by [`Directory::is_ours`].

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A directory that is ours.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
    /// The process that holds the lock.
    process: u32,
}

/// Somebody may put another file in the place of `lock` between our opening and locking it. Not for ever.
const LOCK_TRIES: u32 = 8;

impl Directory {
    /// Makes it if need be, checks that it is ours, and locks it.
    ///
    /// # Errors
    /// Why it cannot be used, for a person.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let why = |what: &'static str| move |e: io::Error| format!("{what}: {e}");
        make(path).map_err(why("the directory cannot be made"))?;
        let known = fs::symlink_metadata(path).map_err(why("it cannot be read"))?;
        if known.is_symlink() {
            return Err("it is a link; name the directory itself".to_owned());
        }
        if !known.is_dir() {
            return Err("it is no directory".to_owned());
        }
        check_rights(&known)?;
        for _ in 0..LOCK_TRIES {
            let lock = open(&path.join("lock"), OpenOptions::new().write(true).create(true).truncate(false))
                .map_err(why("it cannot be written to"))?;
            check_owner(&known, &lock)?;
            lock.try_lock().map_err(|e| format!("another process or exporter uses it: {e}"))?;
            let directory = Self { path: path.to_owned(), lock, process: std::process::id() };
            if directory.is_ours() {
                return Ok(directory);
            }
        }
        Err("its lock file is replaced again and again".to_owned())
    }

    /// Whether the directory is still there, and the file that we have locked still stands in it.
    pub(crate) fn is_ours(&self) -> bool {
        let now = fs::symlink_metadata(self.path.join("lock"));
        now.is_ok_and(|now| self.lock.metadata().is_ok_and(|held| is_same(&held, &now)))
    }

    /// Opens a file that is there, to be read and written.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        open(&self.path.join(name), OpenOptions::new().read(true).write(true))
    }

    /// Opens a file to be read and written, making it if it is not there.
    pub(crate) fn open_or_make(&self, name: &str) -> io::Result<File> {
        open(&self.path.join(name), OpenOptions::new().read(true).write(true).create(true).truncate(false))
    }

    /// Makes a file that is not there yet.
    pub(crate) fn make(&self, name: &str) -> io::Result<File> {
        private(OpenOptions::new().read(true).write(true).create_new(true)).open(self.path.join(name))
    }

    /// Whether a file that we have open is still the one of this name.
    pub(crate) fn has(&self, name: &str, file: &File) -> bool {
        let now = fs::symlink_metadata(self.path.join(name));
        now.is_ok_and(|now| file.metadata().is_ok_and(|held| is_same(&held, &now)))
    }

    /// Removes a file. If that fails it is found again by a later process, and its content is done with.
    pub(crate) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path.join(name));
    }

    /// The regular files in it, with their sizes.
    pub(crate) fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let Ok(entry) = entry else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Does not follow links.
            if let Ok(known) = entry.metadata()
                && known.is_file()
            {
                files.push((name, known.len()));
            }
        }
        Ok(files)
    }
}

impl Drop for Directory {
    /// A child that the process is about to start has our open files until it runs its own program, and would keep the
    /// lock with them: whoever opens the directory next would be refused. So the lock is given back by name. Not by a
    /// copy of the process, whose lock is still its parent's.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            let _ = self.lock.unlock();
        }
    }
}

/// Opens a regular file. A pipe would make us wait for its other end, and a link leads out of the directory.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let refuse =
        || io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no regular file", path.display()));
    match fs::symlink_metadata(path) {
        Ok(known) if !known.is_file() => return Err(refuse()),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let file = private(options).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refuse()) }
}

/// A new file can be read by its owner only.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
fn make(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(()),
        Err(_) => fs::DirBuilder::new().recursive(true).mode(0o700).create(path),
    }
}

#[cfg(not(unix))]
fn make(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn check_rights(known: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = known.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(format!(
        "others than its owner may enter it (mode {mode:o}), and it holds payloads: `chmod 700` it, or name a \
         directory below it that is not there yet"
    ))
}

#[cfg(unix)]
fn check_owner(known: &Metadata, ours: &File) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    // A process's own entry belongs to its effective user; where there is no such entry, a file of ours does.
    let me = fs::metadata("/proc/self").or_else(|_| ours.metadata()).map(|m| m.uid());
    match me {
        Ok(me) if me != known.uid() => {
            Err(format!("it belongs to user {}, and this process is user {me}", known.uid()))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn check_rights(_: &Metadata) -> Result<(), String> {
    // A directory below the user's own is closed to others by its list of rights.
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Metadata, _: &File) -> Result<(), String> {
    Ok(())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    // A file that is open cannot be removed or replaced there.
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_a_child_has_inherited_ends_with_us_and_not_with_the_child() {
        let path = std::env::temp_dir().join(format!("dp-directory-{}", std::process::id()));
        let directory = Directory::open(&path).unwrap();
        // As between fork and exec: the same open file, held by another.
        let inherited = directory.lock.try_clone().unwrap();
        let parent = directory.process;
        // A copy of the process that ends.
        let copy =
            Directory { path: path.clone(), lock: directory.lock.try_clone().unwrap(), process: parent + 1 };
        drop(copy);
        assert!(Directory::open(&path).unwrap_err().contains("another process"));
        drop(directory);
        let next = Directory::open(&path).unwrap();
        drop((inherited, next));
        fs::remove_dir_all(&path).unwrap();
    }
}
