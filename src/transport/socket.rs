//! A TCP or Unix stream socket with deadlines, shared with the handle that shuts it down from another thread.
//!
//! Time limits are the kernel's (`SO_RCVTIMEO`, `SO_SNDTIMEO`). Setting them costs a system call, and every request has
//! another deadline; so the value in force is kept while it is neither later than the deadline (by more than a moment)
//! nor so short that it would wake us often. When it fires, the deadline decides.

use super::wire::Stream;
use socket2::{SockRef, Socket};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::unversioned::transport::ShutdownHandle;

/// By how much a wait may overrun its deadline, to save a system call per request.
const SLACK: Duration = Duration::from_millis(10);
/// A write that waits wakes this often to see whether the agent has answered meanwhile.
const WRITE_SLICE: Duration = Duration::from_millis(250);
/// Bytes that the kernel gets at once. The limit of a write begins anew with every few KB that the peer takes, so a
/// large piece could hold us far beyond the deadline.
const PIECE: usize = 256 * 1024;
/// The same where the limit is one for the whole write: TCP on Linux. 618 KB need 350 us so, in pieces of 256 KB 550:
/// the peer sleeps between two.
const LONG_PIECE: usize = 1024 * 1024;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod flags {
    /// MSG_NOSIGNAL: a write to a closed socket must not raise SIGPIPE in a host that has not blocked it.
    pub(super) const SEND: i32 = 0x4000;
    /// MSG_PEEK | MSG_DONTWAIT
    pub(super) const PROBE: Option<i32> = Some(0x2 | 0x40);
}
#[cfg(any(target_os = "macos", target_os = "ios"))]
mod flags {
    /// socket2 sets SO_NOSIGPIPE on every socket here.
    pub(super) const SEND: i32 = 0;
    /// MSG_PEEK | MSG_DONTWAIT
    pub(super) const PROBE: Option<i32> = Some(0x2 | 0x80);
}
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios")))]
mod flags {
    pub(super) const SEND: i32 = 0;
    pub(super) const PROBE: Option<i32> = None;
}

/// A socket that another thread can shut down.
#[derive(Debug)]
pub(super) struct SharedSocket(pub(super) Socket);

impl ShutdownHandle for SharedSocket {
    fn shutdown(&self) {
        // An error means that it is closed or not connected: nothing to interrupt.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A connected socket as a [`Stream`].
#[derive(Debug)]
pub(super) struct SocketStream {
    socket: Arc<SharedSocket>,
    piece: usize,
    read_limit: Duration,
    write_limit: Duration,
}

impl SocketStream {
    pub(super) fn tcp(socket: Arc<SharedSocket>) -> Self {
        Self::new(socket, if cfg!(target_os = "linux") { LONG_PIECE } else { PIECE })
    }

    #[cfg(unix)]
    pub(super) fn unix(socket: Arc<SharedSocket>) -> Self {
        Self::new(socket, PIECE)
    }

    fn new(socket: Arc<SharedSocket>, piece: usize) -> Self {
        Self { socket, piece, read_limit: Duration::ZERO, write_limit: Duration::ZERO }
    }

    fn set_read_limit(&mut self, deadline: Instant) -> io::Result<()> {
        let left = time_left(deadline)?;
        if !fits(self.read_limit, left) {
            tolerate_closed(self.socket.0.set_read_timeout(Some(left)))?;
            self.read_limit = left;
        }
        Ok(())
    }

    fn set_write_limit(&mut self, deadline: Instant) -> io::Result<()> {
        let left = time_left(deadline)?.min(WRITE_SLICE);
        if !fits(self.write_limit, left) {
            tolerate_closed(self.socket.0.set_write_timeout(Some(left)))?;
            self.write_limit = left;
        }
        Ok(())
    }

    /// `None` if nothing is there, else how many bytes (0: closed).
    fn probe(&self) -> io::Result<Option<usize>> {
        let mut byte = [MaybeUninit::uninit(); 1];
        let result = match flags::PROBE {
            Some(flags) => self.socket.0.recv_with_flags(&mut byte, flags),
            None => {
                let socket = SockRef::from(&self.socket.0);
                socket.set_nonblocking(true)?;
                let result = socket.peek(&mut byte);
                socket.set_nonblocking(false)?;
                result
            }
        };
        match result {
            Ok(n) => Ok(Some(n)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Stream for SocketStream {
    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        loop {
            self.set_write_limit(deadline)?;
            match self.socket.0.send_vectored_with_flags(parts, flags::SEND) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    if Instant::now() >= deadline {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    if self.probe()?.is_some() {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                other => return other,
            }
        }
    }

    fn piece(&self) -> usize {
        self.piece
    }

    fn read(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            self.set_read_limit(deadline)?;
            match (&self.socket.0).read(into) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    if Instant::now() >= deadline {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                other => return other,
            }
        }
    }

    fn is_silent(&mut self) -> bool {
        matches!(self.probe(), Ok(None))
    }
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    match deadline.checked_duration_since(Instant::now()) {
        // Zero would mean "no limit" to the kernel, and so would what it rounds down to zero.
        Some(left) if !left.is_zero() => Ok(left.max(Duration::from_millis(1))),
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Whether the limit in force serves for a wait of `left`.
fn fits(in_force: Duration, left: Duration) -> bool {
    !in_force.is_zero() && in_force <= left + SLACK && in_force >= left / 4
}

/// macOS refuses to set a limit on a socket that the peer has closed; the read or write then says what happened.
fn tolerate_closed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if cfg!(target_vendor = "apple") && e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_serves_until_it_is_too_late_or_too_short() {
        let ms = Duration::from_millis;
        for (in_force, left, serves) in [
            (0, 100, false),
            (100, 100, true),
            (100, 91, true),
            (100, 80, false),
            (100, 400, true),
            (100, 401, false),
        ] {
            assert_eq!(fits(ms(in_force), ms(left)), serves, "{in_force} for {left}");
        }
    }

    #[test]
    fn a_deadline_in_the_past_is_a_timeout_at_once() {
        assert_eq!(time_left(Instant::now()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
