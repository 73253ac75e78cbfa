//! One connection as ureq sees it. Takes a [`Stream`] (socket or pipe) and adds what the agent dialogue needs:
//!
//! - the head of a request is held back until the body comes, which writes both: see [`outgoing`];
//! - every read and write keeps to the deadline of the request, so an answer that trickles in cannot stretch it;
//! - an agent that answers before it has read everything (413, 408) is heard, although writing to it fails;
//! - a kept connection is looked at with one non-blocking read before it is used again, and not at all on return;
//! - what ureq does not tell its callers is noted in [`Call`]: kept or new, sent whole, answered.

use super::buffers::WireBuffers;
use super::call::Call;
use super::fault;
use super::outgoing::{self, Outgoing};
use crate::error::Error;
use parking_lot::Mutex;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Instant;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// A byte stream to the agent. Reads and writes block until the deadline at most and then fail with `TimedOut`.
pub(super) trait Stream: Debug + Send + Sync + 'static {
    /// Writes some bytes of `parts`, one after the other. Fails with `WouldBlock` if an answer has arrived while the
    /// peer takes nothing more.
    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize>;

    /// How many bytes it is worth giving it at once.
    fn piece(&self) -> usize;

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
    /// The head of a request is known, nothing of it written.
    Head,
    /// The request is out, or was cut short.
    Sent,
    /// The answer is awaited or being read.
    Reading,
    /// The answer was read and the connection went back into the pool.
    Kept,
}

/// A [`Stream`] with buffers, deadlines and the joined first write.
#[derive(Debug)]
pub(super) struct Wire<S> {
    link: Arc<Mutex<Link<S>>>,
    buffers: WireBuffers,
    ended: bool,
}

/// The part of it that the body of a request writes itself through.
#[derive(Debug)]
struct Link<S> {
    stream: S,
    address: Arc<str>,
    stage: Stage,
    /// The head of the request that comes next.
    head: Vec<u8>,
    /// Writing failed; the rest of the request is not sent, and only an early answer can still save the request.
    broken: Option<Error>,
}

impl<S: Stream> Outgoing for Link<S> {
    fn send(&mut self, body: &[u8]) -> Result<(), Error> {
        let call = Call::current();
        let (mut head, mut body) = (self.head.as_slice(), body);
        let most = self.stream.piece();
        while self.broken.is_none() && !(head.is_empty() && body.is_empty()) {
            let piece = body.get(..most).unwrap_or(body);
            let parts = [IoSlice::new(head), IoSlice::new(piece)];
            match self.stream.write(if head.is_empty() { &parts[1..] } else { &parts }, call.deadline) {
                Ok(0) => {
                    self.broken =
                        Some(fault::writing(&self.address, &io::ErrorKind::WriteZero.into(), &call));
                }
                Ok(n) => {
                    let of_head = n.min(head.len());
                    head = head.get(of_head..).unwrap_or_default();
                    body = body.get(n - of_head..).unwrap_or_default();
                }
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                    return Err(fault::writing(&self.address, &e, &call));
                }
                // The agent may have answered already (413) and closed: let the read find out.
                Err(e) => self.broken = Some(fault::writing(&self.address, &e, &call)),
            }
        }
        self.head.clear();
        self.stage = Stage::Sent;
        Ok(())
    }
}

impl<S: Stream> Wire<S> {
    pub(super) fn new(stream: S, address: Arc<str>) -> Self {
        let link = Link { stream, address, stage: Stage::Ready, head: Vec::new(), broken: None };
        Self { link: Arc::new(Mutex::new(link)), buffers: WireBuffers::default(), ended: false }
    }

    fn read_in(&mut self) -> Result<bool, Error> {
        let link = &mut *self.link.lock();
        if link.stage != Stage::Reading {
            if link.stage == Stage::Head {
                link.send(&[])?;
            }
            link.stage = Stage::Reading;
            if link.broken.is_none() {
                Call::note(|call| call.sent = true);
            }
        }
        let call = Call::current();
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            return Err(fault::answer(&link.address, "a line of it is far too long"));
        }
        match link.stream.read(room, call.deadline) {
            Ok(0) => {
                self.ended = true;
                match link.broken.take() {
                    Some(error) if !call.answered => Err(error),
                    _ if !call.answered => Err(fault::closed(&link.address)),
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
                    return Err(fault::speaks_tls(&link.address));
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
            Err(e) => match link.broken.take() {
                Some(error) if !call.answered && fault::ours(&e).is_none() => Err(error),
                _ => {
                    Call::note(|c| c.broke_off = call.answered && e.kind() != io::ErrorKind::TimedOut);
                    Err(fault::reading(&link.address, &e, &call))
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
        let mut link = self.link.lock();
        if link.stage == Stage::Ready {
            link.stage = Stage::Head;
            outgoing::lend(Arc::clone(&self.link) as _);
        }
        if link.stage == Stage::Head {
            link.head.extend_from_slice(self.buffers.written(amount));
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.read_in().map_err(wrap)
    }

    fn is_open(&mut self) -> bool {
        let mut link = self.link.lock();
        if link.broken.is_some() || self.ended {
            return false;
        }
        match link.stage {
            // ureq asks when it puts the connection away and again when it takes it out. Only the second answer counts:
            // whatever arrives in between must be seen then anyway.
            Stage::Reading => {
                link.stage = Stage::Kept;
                true
            }
            Stage::Kept => {
                link.stage = Stage::Ready;
                link.stream.is_silent()
            }
            Stage::Ready | Stage::Head | Stage::Sent => false,
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
    use super::*;
    use crate::transport::outgoing::Body;
    use std::io::Read;
    use std::time::Duration;

    /// Takes so many bytes at once, and at the end fails as told.
    #[derive(Debug)]
    struct Taker {
        taken: Vec<u8>,
        writes: usize,
        at_once: usize,
        most: usize,
        then: io::ErrorKind,
    }

    impl Stream for Taker {
        fn write(&mut self, parts: &[IoSlice<'_>], _: Instant) -> io::Result<usize> {
            self.writes += 1;
            let before = self.taken.len();
            let room = self.at_once.min(self.most - before);
            self.taken.extend(parts.iter().flat_map(|part| part.iter()).take(room));
            let n = self.taken.len() - before;
            if n > 0 || room > 0 { Ok(n) } else { Err(self.then.into()) }
        }

        fn piece(&self) -> usize {
            1000
        }

        fn read(&mut self, _: &mut [u8], _: Instant) -> io::Result<usize> {
            Ok(0)
        }

        fn is_silent(&mut self) -> bool {
            true
        }
    }

    /// A request with `body` as ureq makes it; what its body said first, and the connection.
    fn request(body: &[u8], taker: Taker) -> (io::Result<usize>, Wire<Taker>) {
        let limit = Duration::from_secs(5);
        let call = Call::new(Instant::now() + limit, limit, "sendTimeout", limit, (100, body.len()));
        let mut wire = Wire::new(taker, "there".into());
        let never = ureq::unversioned::transport::time::Duration::NotHappening;
        let reason = ureq::Timeout::Global;
        let forever = NextTimeout { after: never, reason, per_read: None, per_write: None };
        let (first, _) = call.run(|| {
            for part in ["POST / HTTP/1.1\r\n", "\r\n"] {
                wire.buffers().output()[..part.len()].copy_from_slice(part.as_bytes());
                wire.transmit_output(part.len(), forever).unwrap();
            }
            assert_eq!(wire.link.lock().stream.writes, 0, "the head waits for the body");
            let mut body = Body::new(body);
            let mut left = body.read(&mut [0; 64]);
            let first = left.as_ref().map(|n| *n).map_err(|e| io::Error::other(e.to_string()));
            while let Ok(1..) = left {
                wire.transmit_output(*left.as_ref().unwrap(), forever).unwrap();
                left = body.read(&mut [0; 64]);
            }
            first
        });
        (first, wire)
    }

    #[test]
    fn head_and_body_leave_together_however_little_the_peer_takes() {
        let body: Vec<u8> = (0..5000).map(|i| i as u8).collect();
        for (at_once, writes) in [(1, 5019), (7, 717), (18, 279), (19, 265), (1000, 6), (1_000_000, 5)] {
            let taker =
                Taker { taken: Vec::new(), writes: 0, at_once, most: 1 << 20, then: io::ErrorKind::Other };
            let (first, wire) = request(&body, taker);
            assert_eq!(first.unwrap(), 64);
            let link = wire.link.lock();
            assert!(link.broken.is_none() && link.head.is_empty() && link.stage == Stage::Sent);
            assert_eq!(
                link.stream.taken,
                [b"POST / HTTP/1.1\r\n\r\n".as_slice(), &body].concat(),
                "{at_once}"
            );
            assert_eq!(link.stream.writes, writes, "{at_once}");
        }
    }

    #[test]
    fn a_write_that_fails_leaves_the_word_to_the_answer_and_one_that_takes_too_long_does_not() {
        for most in [0, 5, 19, 100] {
            for (then, ends) in [
                (io::ErrorKind::WouldBlock, false),
                (io::ErrorKind::BrokenPipe, false),
                (io::ErrorKind::TimedOut, true),
            ] {
                let taker = Taker { taken: Vec::new(), writes: 0, at_once: 64, most, then };
                let (first, wire) = request(&[7; 500], taker);
                assert_eq!(first.is_err(), ends, "{most} {then}");
                assert_eq!(wire.link.lock().broken.is_some(), !ends, "{most} {then}");
            }
        }
    }

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
