//! Log lines: to standard output, a file or a writer of the caller's, and only because the caller asked for it. Each
//! line is one write, so that lines of several writers do not mix; writes of one exporter never run side by side.

use super::{Asked, Destination, Limit, Offer, Reply, Request};
use crate::account::{Later, Verdict};
use crate::error::{Error, ErrorKind};
use crate::format;
use crate::settings::{FilterRules, LogPeer, LogTarget, Peer};
use crate::transport::gate::Gate;
use crate::transport::http::QUEUED;
use crate::transport::outlet::Outlet;
use parking_lot::{Mutex, RwLock};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Where lines go, for one exporter.
#[derive(Debug)]
pub(super) struct Log {
    peer: LogPeer,
    address: Arc<str>,
    outlet: Arc<Outlet>,
    offer: Arc<Offer>,
    empty: Arc<[u8]>,
    /// The file, once it is open. Held while lines are written.
    open: Mutex<Option<File>>,
    /// Another one after [`Destination::reopen`].
    gate: RwLock<Arc<Gate>>,
    /// Lines that the host has not taken yet.
    waiting: Mutex<Vec<u8>>,
}

/// So many bytes wait for the host at most.
const MOST_WAITING: usize = 32 << 20;

impl Log {
    /// Opens nothing.
    ///
    /// # Errors
    /// None so far.
    pub(super) fn new(peer: LogPeer, outlet: &Arc<Outlet>) -> Result<Self, Error> {
        let address = match &peer.target {
            LogTarget::Stdout => "standard output".to_owned(),
            LogTarget::File(path) => path.display().to_string(),
            LogTarget::Writer(_) | LogTarget::Host => "a stream of the caller's".to_owned(),
        };
        let offer = Offer {
            format: format::log_lines(peer.max_line_bytes),
            endpoint: "",
            has_fallback: false,
            why: "`destination` is log lines".to_owned(),
            max_bytes: usize::MAX,
            limit: Limit::Default,
            filters: FilterRules::default(),
            stats: None,
            statsd_port: None,
            state: None,
            defaults: Peer::Log(peer.clone()).defaults(),
        };
        Ok(Self {
            peer,
            address: address.into(),
            outlet: Arc::clone(outlet),
            offer: Arc::new(offer),
            empty: Arc::from(&[][..]),
            open: Mutex::default(),
            gate: RwLock::default(),
            waiting: Mutex::default(),
        })
    }

    /// Writes the lines, each at once. Gives how many bytes were written whole lines of.
    fn write(&self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut open = self.open.lock();
        match &self.peer.target {
            LogTarget::Stdout => each_line(&mut io::stdout().lock(), lines),
            LogTarget::Writer(writer) => each_line(&mut *writer.0.lock(), lines),
            LogTarget::File(path) => {
                let file = match &mut *open {
                    Some(file) => file,
                    None => {
                        let file = File::options().create(true).append(true).open(path);
                        open.insert(file.map_err(|error| (0, error))?)
                    }
                };
                let written = each_line(file, lines);
                if written.is_err() {
                    *open = None;
                }
                written
            }
            LogTarget::Host => {
                let mut waiting = self.waiting.lock();
                if waiting.len() + lines.len() > MOST_WAITING {
                    let full = io::Error::other("the host has not taken the lines before");
                    return Err((0, full));
                }
                waiting.extend_from_slice(lines);
                Ok(())
            }
        }
    }

    fn closed(&self) -> Option<Error> {
        self.gate.read().is_closed().then(crate::transport::closed)
    }
}

fn each_line(to: &mut dyn Write, lines: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut done = 0;
    for line in lines.split_inclusive(|b| *b == b'\n') {
        to.write_all(line).map_err(|error| (done, error))?;
        done += line.len();
    }
    to.flush().map_err(|error| (done, error))
}

impl Destination for Log {
    fn address(&self) -> &Arc<str> {
        &self.address
    }

    fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.offer)
    }

    fn largest(&self, _: usize, _: Instant) -> usize {
        usize::MAX
    }

    fn send(&self, request: &Request<'_>) -> Verdict<Reply> {
        if let Some(error) = self.closed() {
            return Verdict::Later(Later::whole(error));
        }
        let (lines, began, waits) = (request.body, SystemTime::now(), request.knob == QUEUED);
        if self.outlet.is_dry() {
            self.outlet.holds_back(lines.len(), waits);
            self.outlet.keep_lines(&self.address, lines, began, None);
            return Verdict::Sent(Reply::dry());
        }
        self.outlet.passes(lines.len(), waits);
        match self.write(lines) {
            Ok(()) => {
                self.outlet.keep_lines(&self.address, lines, began, None);
                Verdict::Sent(Reply::without_words(200, 1, Arc::clone(&self.empty)))
            }
            Err((done, error)) => {
                let text = format!(
                    "log lines could not be written to {} ({error}): check the target of `destination`",
                    self.address
                );
                let error = Error::new(ErrorKind::Io, text).with_attempts(1).with_possibly_arrived(done > 0);
                self.outlet.keep_lines(&self.address, lines, began, Some(&error));
                Verdict::Lost(error)
            }
        }
    }

    fn format_refused(&self, _: &Offer) {}

    fn send_stats(&self, _: &[u8], _: Option<u32>, _: Duration) -> Verdict<()> {
        Verdict::Lost(Error::new(ErrorKind::Internal, "log lines take no stats"))
    }

    fn take_lines(&self) -> Vec<u8> {
        std::mem::take(&mut *self.waiting.lock())
    }

    fn ask(&self, _: Duration) -> Asked {
        let text = format!("{} has nothing to say of itself", self.address);
        Asked::Nothing(Error::new(ErrorKind::HttpStatus, text).with_status(204))
    }

    fn pause(&self, time: Duration) -> bool {
        let gate = Arc::clone(&self.gate.read());
        gate.wait_until(Instant::now() + time, || false);
        !gate.is_closed()
    }

    fn close(&self) {
        self.gate.read().close();
        *self.open.lock() = None;
    }

    fn reopen(&self) -> Result<(), Error> {
        *self.gate.write() = Arc::default();
        Ok(())
    }
}
