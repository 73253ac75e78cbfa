//! One connection as ureq sees it. Takes a [`Stream`] (socket or pipe) and adds what the agent dialogue needs:
//!
//! - the head of a request is held back until the first part of the body lies behind it, and both leave in one write;
//! - every read and write keeps to the deadline of the request, so an answer that trickles in cannot stretch it;
//! - an agent that answers before it has read everything (413, 408) is heard, although writing to it fails;
//! - a kept connection is looked at with one non-blocking read before it is used again, and not at all on return;
//! - what ureq does not tell its callers is noted in [`Call`]: kept or new, sent whole, answered.

use super::buffers::HoldingBuffers;
use super::call::Call;
use super::fault;
use crate::error::Error;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// A byte stream to the agent. Reads and writes block until the deadline at most and then fail with `TimedOut`.
pub(super) trait Stream: Debug + Send + Sync + 'static {
    /// Writes some bytes. Fails with `WouldBlock` if an answer has arrived while the peer takes nothing more.
    fn write(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<usize>;

    /// Reads some bytes; 0 is the end.
    fn read(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<usize>;

    /// Whether the peer has neither closed nor said anything. Does not block.
    fn is_silent(&mut self) -> bool;
}

/// Where a connection stands between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing of the next request was written.
    Ready,
    /// A request is being written.
    Writing,
    /// The request is out (or was cut short), the answer is awaited or being read.
    Reading,
    /// The answer was read and the connection went back into the pool.
    Kept,
}

/// A [`Stream`] with buffers, deadlines and the joined first write.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    address: Arc<str>,
    buffers: HoldingBuffers,
    stage: Stage,
    /// Writing failed; the rest of the request is not sent, and only an early answer can still save the request.
    broken: Option<Error>,
    ended: bool,
}

impl<S: Stream> Wire<S> {
    pub(super) fn new(stream: S, address: Arc<str>) -> Self {
        let buffers = HoldingBuffers::default();
        Self { stream, address, buffers, stage: Stage::Ready, broken: None, ended: false }
    }

    fn write_out(&mut self, amount: usize) -> Result<(), Error> {
        let call = Call::current();
        let mut rest = self.buffers.take(amount);
        if self.broken.is_some() {
            return Ok(());
        }
        while !rest.is_empty() {
            match self.stream.write(rest, call.deadline) {
                Ok(0) => {
                    self.broken =
                        Some(fault::writing(&self.address, &io::ErrorKind::WriteZero.into(), &call));
                    return Ok(());
                }
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                    return Err(fault::writing(&self.address, &e, &call));
                }
                // The agent may have answered already (413) and closed: let the read find out.
                Err(e) => {
                    self.broken = Some(fault::writing(&self.address, &e, &call));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn read_in(&mut self) -> Result<bool, Error> {
        if self.stage != Stage::Reading {
            self.write_out(0)?;
            self.stage = Stage::Reading;
            if self.broken.is_none() {
                Call::note(|call| call.sent = true);
            }
        }
        let call = Call::current();
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            return Err(fault::answer(&self.address, "a line of it is far too long"));
        }
        match self.stream.read(room, call.deadline) {
            Ok(0) => {
                self.ended = true;
                match self.broken.take() {
                    Some(error) if !call.answered => Err(error),
                    _ if !call.answered => Err(fault::closed(&self.address)),
                    _ => {
                        Call::note(|call| call.broke_off = true);
                        Ok(false)
                    }
                }
            }
            Ok(n) => {
                self.buffers.input_appended(n);
                // A record of TLS: an alert, or a handshake.
                if !call.answered && matches!(self.buffers.input(), [0x15 | 0x16, 0x03, ..]) {
                    return Err(fault::speaks_tls(&self.address));
                }
                let status = match call.status {
                    Some(200..) => None,
                    _ => status_of(self.buffers.input()),
                };
                Call::note(|call| {
                    call.answered = true;
                    call.status = status.or(call.status);
                });
                Ok(true)
            }
            Err(e) => match self.broken.take() {
                Some(error) if !call.answered && fault::ours(&e).is_none() => Err(error),
                _ => {
                    Call::note(|c| c.broke_off = call.answered && e.kind() != io::ErrorKind::TimedOut);
                    Err(fault::reading(&self.address, &e, &call))
                }
            },
        }
    }
}

impl<S: Stream> Transport for Wire<S> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if self.stage == Stage::Ready {
            self.stage = Stage::Writing;
            self.buffers.hold(amount);
            if !self.buffers.is_crowded() {
                return Ok(());
            }
            return self.write_out(0).map_err(wrap);
        }
        self.write_out(amount).map_err(wrap)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.read_in().map_err(wrap)
    }

    fn is_open(&mut self) -> bool {
        if self.broken.is_some() || self.ended {
            return false;
        }
        match self.stage {
            // ureq asks when it puts the connection away and again when it takes it out. Only the second answer counts:
            // whatever arrives in between must be seen then anyway.
            Stage::Reading => {
                self.stage = Stage::Kept;
                true
            }
            Stage::Kept => {
                self.stage = Stage::Ready;
                self.stream.is_silent()
            }
            Stage::Ready | Stage::Writing => false,
        }
    }
}

/// The status of the last head that has begun, by its first bytes. Heads of 100 to 199 may stand before it.
fn status_of(mut heads: &[u8]) -> Option<u16> {
    let mut last = None;
    while let Some(digits) = heads.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5)) {
        last = std::str::from_utf8(digits).ok()?.parse().ok();
        if last.is_none_or(|status: u16| status >= 200) {
            break;
        }
        let Some(end) = memchr::memmem::find(heads, b"\r\n\r\n") else { break };
        heads = heads.get(end + 4..).unwrap_or_default();
    }
    last
}

fn wrap(error: Error) -> ureq::Error {
    ureq::Error::Other(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::status_of;

    #[test]
    fn the_last_head_that_has_begun_says_the_status() {
        for (heads, status) in [
            ("", None),
            ("HTTP/1.1 20", None),
            ("HTTP/1.1 200", Some(200)),
            ("HTTP/1.0 503 X\r\nx: y\r\n\r\nHTTP/1.1 200 OK", Some(503)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 X\r\n", Some(413)),
            ("HTTP/1.1 103 X\r\nlink: a\r\n\r\n", Some(103)),
            ("HTTP/1.1 abc", None),
            ("HTTP/2 200 OK", None),
        ] {
            assert_eq!(status_of(heads.as_bytes()), status, "{heads:?}");
        }
    }
}
