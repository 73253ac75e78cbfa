//! Where the lines of exporters go when C asks for it (`log.h`): standard output or error, a file. They are written by
//! the calls that send, never by a thread of this library. Nothing is written unless one of these functions was called.

use super::common::{CharSlice, Error};
use super::error::{Code, Fault, guard};
use super::fork;
use crate::exporter::TraceExporter;
use crate::health::{LogLine, Severity};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// How important a line is at least, to be written.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(dead_code)] // C has the names
pub enum LogEventLevel {
    /// Everything.
    Trace = 0,
    /// Everything.
    Debug = 1,
    /// Everything.
    Info = 2,
    /// Troubles.
    Warn = 3,
    /// Losses.
    Error = 4,
}

/// Where standard lines go.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // C has the names
pub enum StdTarget {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Lines go to standard output or error.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StdConfig {
    /// Which of the two.
    pub target: MaybeUninit<StdTarget>,
}

/// Lines go to a file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FileConfig {
    /// The file.
    pub path: CharSlice,
    /// How many files there are at most, the one that is written included; 0: no limit.
    pub max_files: u64,
    /// From how many bytes on another one is begun; the old one is called PATH.1, the one before PATH.2. 0: never.
    pub max_size_bytes: u64,
}

struct Logger {
    level: u32,
    std: Option<u32>,
    file: Option<Rotating>,
}

struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    max_files: u64,
    max_size: u64,
}

static LOGGER: Mutex<Logger> =
    Mutex::new(Logger { level: LogEventLevel::Info as u32, std: None, file: None });
/// Whether lines go anywhere.
static WANTED: AtomicBool = AtomicBool::new(false);

/// The number of an enum that C handed over, which may be none of its names.
fn number<T>(value: MaybeUninit<T>) -> u32 {
    const { assert!(size_of::<T>() == size_of::<u32>()) };
    // SAFETY: an enum of C has four bytes here (asserted), C has filled them, and any four bytes are a number.
    unsafe { value.as_ptr().cast::<u32>().read() }
}

fn change(body: impl FnOnce(&mut Logger) -> Result<(), Fault>) -> *mut Error {
    let changed = guard(|| {
        let _inside = fork::enter();
        let mut logger = LOGGER.lock().unwrap_or_else(PoisonError::into_inner);
        body(&mut logger)?;
        WANTED.store(logger.std.is_some() || logger.file.is_some(), Ordering::Release);
        Ok(())
    });
    match changed {
        Ok(()) => ptr::null_mut(),
        Err(fault) => Error::owned(&fault.text),
    }
}

/// Writes lines to standard output or error from now on.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_logger_configure_std(config: StdConfig) -> *mut Error {
    change(|logger| match number(config.target) {
        target @ (0 | 1) => {
            logger.std = Some(target);
            Ok(())
        }
        other => Err(Fault::new(Code::InvalidArgument, format!("there is no target {other}"))),
    })
}

/// Writes no lines to standard output or error any more.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_logger_disable_std() -> *mut Error {
    change(|logger| {
        logger.std = None;
        Ok(())
    })
}

/// Writes lines to a file from now on.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_logger_configure_file(config: FileConfig) -> *mut Error {
    change(|logger| {
        let path = config.path.text()?;
        if path.is_empty() {
            return Err(Fault::new(Code::InvalidArgument, "the path is empty"));
        }
        let opened = Rotating::open(PathBuf::from(path), config.max_files, config.max_size_bytes);
        let why = |e: io::Error| Fault::new(Code::IoError, format!("{path} cannot be opened: {e}"));
        logger.file = Some(opened.map_err(why)?);
        Ok(())
    })
}

/// Writes no lines to a file any more, and closes it.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_logger_disable_file() -> *mut Error {
    change(|logger| {
        logger.file = None;
        Ok(())
    })
}

/// Says which lines are written.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_logger_set_log_level(log_level: MaybeUninit<LogEventLevel>) -> *mut Error {
    change(|logger| match number(log_level) {
        level if level <= LogEventLevel::Error as u32 => {
            logger.level = level;
            Ok(())
        }
        other => Err(Fault::new(Code::InvalidArgument, format!("there is no level {other}"))),
    })
}

/// Writes what an exporter has to say, if somebody wants it.
pub(super) fn deliver(exporter: &TraceExporter) {
    if WANTED.load(Ordering::Acquire) && exporter.has_log_lines() {
        let lines = exporter.take_log_lines();
        LOGGER.lock().unwrap_or_else(PoisonError::into_inner).write(&lines);
    }
}

impl Logger {
    /// A line that cannot be written is lost: there is nobody to tell.
    fn write(&mut self, lines: &[LogLine]) {
        for line in lines {
            let level = match line.severity {
                Severity::Info => LogEventLevel::Info,
                Severity::Warning => LogEventLevel::Warn,
            };
            if (level as u32) < self.level {
                continue;
            }
            let since = line.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            let text = line.text.replace(['\n', '\r'], " ");
            let text =
                format!("{}.{:03} {} {text}\n", since.as_secs(), since.subsec_millis(), line.severity.name());
            let _ = match self.std {
                Some(0) => io::stdout().write_all(text.as_bytes()),
                Some(_) => io::stderr().write_all(text.as_bytes()),
                None => Ok(()),
            };
            if let Some(file) = &mut self.file {
                let _ = file.write(text.as_bytes());
            }
        }
    }
}

impl Rotating {
    fn open(path: PathBuf, max_files: u64, max_size: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, max_files, max_size })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.max_size > 0 && self.size > 0 && self.size + line.len() as u64 > self.max_size {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    /// PATH becomes PATH.1, PATH.1 becomes PATH.2, and so on; the last one goes.
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u64| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        let mut last = 0;
        while Path::exists(&numbered(last + 1)) {
            last += 1;
        }
        let keep = if self.max_files == 0 { u64::MAX } else { self.max_files - 1 };
        for n in (1..=last).rev() {
            if n >= keep {
                fs::remove_file(numbered(n))?;
            } else {
                fs::rename(numbered(n), numbered(n + 1))?;
            }
        }
        if keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            fs::rename(&self.path, numbered(1))?;
        }
        *self = Self::open(std::mem::take(&mut self.path), self.max_files, self.max_size)?;
        Ok(())
    }
}
