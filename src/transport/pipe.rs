//! Windows named pipes. A pipe opened like a file blocks without any time limit, and the calls that would cancel it are
//! not in the standard library; so each connection has a thread that does the blocking, and the sender waits for that
//! thread as long as the deadline allows. A thread given up on ends when the agent answers or closes.
//!
//! Differences to a socket: an answer given before the whole request was read is heard only after writing has failed,
//! and whether a kept connection still stands shows only when it is used (the client then repeats at once).

use super::wire::Stream;
use crate::threads;
use parking_lot::{Condvar, Mutex};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;
use ureq::unversioned::transport::ShutdownHandle;

/// How much is read at once.
const READ_SIZE: usize = 16 * 1024;
/// How much is copied to the thread at once.
const PIECE: usize = 256 * 1024;

/// A blocking stream behind a thread.
#[derive(Debug)]
pub(super) struct WorkerStream {
    shared: Arc<Shared>,
    /// Read, but not yet asked for.
    waiting: Vec<u8>,
}

/// What the sender and the thread share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slot: Slot,
    closed: bool,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Idle,
    Todo(Job),
    Working,
    Done(Vec<u8>, io::Result<usize>),
}

#[derive(Debug)]
enum Job {
    Write(Vec<u8>),
    Read(Vec<u8>),
}

impl WorkerStream {
    /// Puts `stream` behind a thread of its own.
    pub(super) fn new(stream: impl Read + Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        threads::start("dp-pipe", 2 << 20, move || work(stream, &theirs))?;
        Ok(Self { shared, waiting: Vec::new() })
    }

    /// The handle that a shutdown interrupts us by.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn run(&self, job: Job, deadline: Instant) -> io::Result<(Vec<u8>, usize)> {
        let mut state = self.shared.state.lock();
        if state.closed || !matches!(state.slot, Slot::Idle) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        state.slot = Slot::Todo(job);
        self.shared.changed.notify_all();
        loop {
            if state.closed {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if matches!(state.slot, Slot::Done(..)) {
                let Slot::Done(buffer, result) = std::mem::take(&mut state.slot) else {
                    return Err(io::ErrorKind::Other.into());
                };
                return result.map(|n| (buffer, n));
            }
            if self.shared.changed.wait_until(&mut state, deadline).timed_out()
                && !matches!(state.slot, Slot::Done(..))
            {
                // The thread may be stuck for long: nobody uses this connection again.
                state.closed = true;
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Stream for WorkerStream {
    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        self.run(Job::Write(bytes), deadline).map(|(_, n)| n)
    }

    fn piece(&self) -> usize {
        PIECE
    }

    fn read(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if self.waiting.is_empty() {
            let (mut buffer, n) = self.run(Job::Read(vec![0; READ_SIZE]), deadline)?;
            buffer.truncate(n);
            self.waiting = buffer;
        }
        let n = self.waiting.len().min(into.len());
        into[..n].copy_from_slice(&self.waiting[..n]);
        self.waiting.drain(..n);
        Ok(n)
    }

    fn is_silent(&mut self) -> bool {
        self.waiting.is_empty() && !self.shared.state.lock().closed
    }
}

impl Drop for WorkerStream {
    fn drop(&mut self) {
        self.shared.shutdown();
    }
}

impl ShutdownHandle for Shared {
    fn shutdown(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

fn work(mut stream: impl Read + Write, shared: &Shared) {
    loop {
        let job = {
            let mut state = shared.state.lock();
            loop {
                if state.closed {
                    return;
                }
                match std::mem::take(&mut state.slot) {
                    Slot::Todo(job) => {
                        state.slot = Slot::Working;
                        break job;
                    }
                    other => state.slot = other,
                }
                shared.changed.wait(&mut state);
            }
        };
        let (buffer, result) = match job {
            Job::Write(bytes) => {
                let result = stream.write(&bytes);
                (bytes, result)
            }
            Job::Read(mut buffer) => {
                let result = stream.read(&mut buffer);
                (buffer, result)
            }
        };
        // The peer's end of a pipe closes with an error of its own where a socket says 0.
        let result = match result {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(0),
            other => other,
        };
        shared.state.lock().slot = Slot::Done(buffer, result);
        shared.changed.notify_all();
    }
}

#[cfg(windows)]
pub(super) use open::connect;

#[cfg(windows)]
mod open {
    use super::super::call::Call;
    use super::super::fault;
    use super::{Shared, WorkerStream};
    use crate::error::{Error, ErrorKind};
    use crate::transport::gate::Gate;
    use std::fs::OpenOptions;
    use std::io;
    use std::os::windows::fs::OpenOptionsExt;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// All instances of the pipe are in use.
    const ERROR_PIPE_BUSY: i32 = 231;
    /// The server may not impersonate us.
    const SECURITY_ANONYMOUS: u32 = 0;

    /// Opens the pipe; waits for a free instance until the connect limit.
    pub(in super::super) fn connect(
        name: &str,
        gate: &Gate,
        register: impl Fn(&Arc<Shared>) -> Result<(), Error>,
    ) -> Result<WorkerStream, Error> {
        let call = Call::current();
        let (deadline, limit, knob) = call.connect_limit();
        loop {
            let opened =
                OpenOptions::new().read(true).write(true).security_qos_flags(SECURITY_ANONYMOUS).open(name);
            match opened.and_then(WorkerStream::new) {
                Ok(stream) => {
                    register(stream.shared())?;
                    return Ok(stream);
                }
                Err(e) if e.raw_os_error() == Some(ERROR_PIPE_BUSY) => {
                    if Instant::now() >= deadline || gate.is_closed() {
                        return Err(fault::pipe_busy(name, limit, knob));
                    }
                    gate.wait_until((Instant::now() + Duration::from_millis(10)).min(deadline), || false);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Err(Error::new(
                        ErrorKind::SocketMissing,
                        format!("the pipe {name} does not exist: is the agent running? (`url`)"),
                    ));
                }
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(Error::new(
                        ErrorKind::SocketDenied,
                        format!("this process may not open the pipe {name} (`url`)"),
                    ));
                }
                Err(e) => {
                    return Err(Error::new(ErrorKind::Io, format!("opening the pipe {name} failed: {e}")));
                }
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn carries_bytes_both_ways_and_sees_the_end() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let mut stream = WorkerStream::new(a).unwrap();
        assert_eq!(stream.write(&[IoSlice::new(b"pi"), IoSlice::new(b"ng")], soon()).unwrap(), 4);
        let mut got = [0; 4];
        b.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"ping");
        b.write_all(b"pong").unwrap();
        assert_eq!(stream.read(&mut got[..3], soon()).unwrap(), 3);
        assert!(!stream.is_silent());
        assert_eq!(stream.read(&mut got[3..], soon()).unwrap(), 1);
        assert_eq!(&got, b"pong");
        assert!(stream.is_silent());
        drop(b);
        assert_eq!(stream.read(&mut got, soon()).unwrap(), 0);
    }

    #[test]
    fn a_stalled_peer_costs_the_deadline_and_the_connection() {
        let (a, _b) = UnixStream::pair().unwrap();
        let mut stream = WorkerStream::new(a).unwrap();
        let started = Instant::now();
        let e = stream.read(&mut [0; 4], started + Duration::from_millis(40)).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(2));
        assert!(!stream.is_silent());
        assert!(stream.write(&[IoSlice::new(b"x")], soon()).is_err());
    }

    #[test]
    fn a_shutdown_interrupts_the_wait() {
        let (a, _b) = UnixStream::pair().unwrap();
        let mut stream = WorkerStream::new(a).unwrap();
        let handle = Arc::clone(stream.shared());
        let waiter = std::thread::spawn(move || stream.read(&mut [0; 4], soon()).unwrap_err().kind());
        std::thread::sleep(Duration::from_millis(30));
        handle.shutdown();
        assert_eq!(waiter.join().unwrap(), io::ErrorKind::ConnectionAborted);
    }
}
