//! The door through which every body of one exporter goes out, whatever its destination: counted, paced, captured, or
//! kept back because it is only tried (`dryRun`). All destinations of an exporter share one, and settings change it
//! while they send.
//!
//! With nothing of that on, a body costs two loads and an addition more.

use super::capture::record::{Fate, Record};
use super::capture::{Capture, CaptureReport};
use super::pace::Pace;
use crate::error::{Error, ErrorKind};
use crate::settings::Config;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};
use ureq::http::{HeaderMap, Method};

/// One exporter's. Thread-safe.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    pub(crate) pace: Pace,
    is_dry: AtomicBool,
    capture: RwLock<Option<Arc<Capture>>>,
    /// Something of the capture should be told.
    news: AtomicBool,
    /// Bytes of bodies that went out.
    bytes: AtomicU64,
    /// Bodies that would have gone out, and their bytes.
    dry_bodies: AtomicU64,
    dry_bytes: AtomicU64,
}

impl Outlet {
    /// As the settings say.
    ///
    /// # Errors
    /// As [`Outlet::prepare`].
    pub(crate) fn new(config: &Config) -> Result<Arc<Self>, Error> {
        let outlet = Self::default();
        let capture = outlet.prepare(config)?;
        outlet.put_in_force(config, capture);
        Ok(Arc::new(outlet))
    }

    /// Opens what other settings need. Nothing has changed yet.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` if the directory of `capture` cannot be used.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Option<Arc<Capture>>, Error> {
        let Some((path, max_bytes)) = &config.capture else { return Ok(None) };
        if let Some(open) = self.capture().filter(|open| open.path().components().eq(path.components())) {
            return Ok(Some(open));
        }
        let opened = Capture::open(path, *max_bytes).map_err(|why| {
            Error::new(ErrorKind::InvalidConfiguration, format!("capture: {}: {why}", path.display()))
        })?;
        Ok(Some(Arc::new(opened)))
    }

    /// Puts settings in force. `capture` is what they need.
    pub(crate) fn put_in_force(&self, config: &Config, capture: Option<Arc<Capture>>) {
        if let (Some(capture), Some((_, max_bytes))) = (&capture, &config.capture) {
            capture.set_max_bytes(*max_bytes);
        }
        self.pace.set(config.max_bytes_per_second.map(|rate| rate as u64));
        self.is_dry.store(config.dry_run, Ordering::Release);
        let before = std::mem::replace(&mut *self.capture.write(), capture);
        // Freed, or its last files written, outside the lock.
        drop(before);
    }

    /// Whether nothing is sent.
    #[inline]
    pub(crate) fn is_dry(&self) -> bool {
        self.is_dry.load(Ordering::Acquire)
    }

    /// Where requests are written to, if anywhere.
    #[inline]
    pub(crate) fn capture(&self) -> Option<Arc<Capture>> {
        self.capture.read().clone()
    }

    /// A body goes out. `waits`: it has waited for its turn.
    #[inline]
    pub(crate) fn passes(&self, bytes: usize, waits: bool) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.pace.pay(bytes as u64, waits, Instant::now);
    }

    /// A body would have gone out.
    pub(crate) fn holds_back(&self, bytes: usize, waits: bool) {
        self.dry_bodies.fetch_add(1, Ordering::Relaxed);
        self.dry_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.pace.pay(bytes as u64, waits, Instant::now);
    }

    /// Bytes of bodies that went out, after compression, each as often as it went.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bodies that would have gone out, and their bytes.
    pub(crate) fn held_back(&self) -> (u64, u64) {
        (self.dry_bodies.load(Ordering::Relaxed), self.dry_bytes.load(Ordering::Relaxed))
    }

    /// Writes a request and its answer.
    #[cold]
    pub(crate) fn keep(&self, capture: &Capture, record: &Record<'_>) {
        if capture.keep(record) {
            self.news.store(true, Ordering::Release);
        }
    }

    /// Lines that were written, not sent.
    pub(crate) fn keep_lines(&self, peer: &str, lines: &[u8], began: SystemTime, failure: Option<&Error>) {
        let Some(capture) = self.capture() else { return };
        let Ok(method) = Method::from_bytes(b"WRITE") else { return };
        let (fate, attempt) = match failure {
            _ if self.is_dry() => (Fate::Dry, 0),
            None => (Fate::Accepted, 1),
            Some(_) => (Fate::Failed, 1),
        };
        let record = Record {
            peer,
            method: &method,
            path: ("lines", ""),
            host: "",
            headers: &HeaderMap::new(),
            body: lines,
            began,
            took: began.elapsed().unwrap_or_default(),
            attempt,
            fate,
            answer: None,
            failure,
        };
        self.keep(&capture, &record);
    }

    /// What somebody should hear of, once.
    #[inline]
    pub(crate) fn trouble(&self) -> Option<String> {
        if !self.news.load(Ordering::Relaxed) {
            return None;
        }
        self.news.store(false, Ordering::Release);
        self.capture()?.trouble()
    }

    /// How the capture stands.
    pub(crate) fn report(&self) -> Option<CaptureReport> {
        Some(self.capture()?.report())
    }

    /// Gives the directory of the capture back.
    pub(crate) fn release(&self) {
        if let Some(capture) = self.capture() {
            capture.release();
        }
    }

    /// Takes it again.
    ///
    /// # Errors
    /// Why it cannot be used, for a person.
    pub(crate) fn attach(&self) -> Result<(), String> {
        self.capture().map_or(Ok(()), |capture| capture.attach())
    }
}
