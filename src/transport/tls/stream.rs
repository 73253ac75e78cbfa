//! A [`Stream`] under TLS. Keeps the promises of a stream: every call ends at its deadline, a write fails with
//! `WouldBlock` once an answer has arrived while the peer takes nothing more, and whether the peer is silent is seen
//! without waiting. What the peer says to TLS itself (tickets, new keys) is no answer.

use super::{Tls, fault};
use crate::error::Error;
use crate::transport::wire::Stream;
use rustls::{ClientConnection, HandshakeKind};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes read at once: a record and its head.
const READ: usize = 18 * 1024;
/// Plain bytes encrypted at once, two records: while the peer decrypts them the next ones are encrypted. 618 KB need
/// 520 us so, and 650 in pieces of 256 KB.
const PIECE: usize = 32 * 1024;
/// What has arrived is read within this; it is there already.
const AT_ONCE: Duration = Duration::from_millis(1);

/// A stream, as something to write into until `deadline`.
struct Timed<'a, S> {
    stream: &'a mut S,
    deadline: Instant,
}

impl<S: Stream> Write for Timed<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(&[IoSlice::new(bytes)], self.deadline)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write(parts, self.deadline)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
pub(in crate::transport) struct TlsStream<S> {
    stream: S,
    connection: ClientConnection,
    tls: Arc<Tls>,
    address: Arc<str>,
    input: Vec<u8>,
    /// Something was heard that is no part of the handshake.
    answered: bool,
    ended: bool,
}

impl<S: Stream> TlsStream<S> {
    /// Shakes hands over a connection that has just been opened, until `deadline`.
    pub(in crate::transport) fn new(
        stream: S,
        tls: &Arc<Tls>,
        address: &Arc<str>,
        (deadline, limit, knob): (Instant, Duration, &'static str),
    ) -> Result<Self, Error> {
        let connection = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
        let mut connection = connection.map_err(|e| fault::set_up(&e))?;
        connection.set_buffer_limit(Some(PIECE));
        let mut this = Self {
            stream,
            connection,
            tls: Arc::clone(tls),
            address: Arc::clone(address),
            input: Vec::new(),
            answered: false,
            ended: false,
        };
        this.shake_hands(deadline).map_err(|e| match fault::ours(&e) {
            Some(error) => error,
            None => fault::handshake(address, &e, limit, knob, tls.lacks_certificate()),
        })?;
        Ok(this)
    }

    fn shake_hands(&mut self, deadline: Instant) -> io::Result<()> {
        loop {
            self.push(deadline)?;
            if !self.connection.is_handshaking() {
                break;
            }
            self.pull(deadline)?;
            if self.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.tls.shook_hands(self.connection.handshake_kind() == Some(HandshakeKind::Resumed));
        Ok(())
    }

    /// Writes everything that TLS has ready, from where TLS has it.
    fn push(&mut self, deadline: Instant) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Timed { stream: &mut self.stream, deadline }) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.pull(deadline)?;
                    if self.has_heard() {
                        return Err(e);
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads what comes next, and lets TLS have it.
    fn pull(&mut self, deadline: Instant) -> io::Result<()> {
        self.input.resize(READ, 0);
        let n = self.stream.read(&mut self.input, deadline)?;
        let mut rest = self.input.get(..n).unwrap_or(&[]);
        self.ended |= rest.is_empty();
        if self.connection.is_handshaking()
            && let Some(error) = fault::not_tls(&self.address, rest)
        {
            return Err(io::Error::other(error));
        }
        loop {
            self.connection.read_tls(&mut rest)?;
            if let Err(e) = self.connection.process_new_packets() {
                let error = fault::tls(&self.address, &e, self.tls.lacks_certificate());
                // The peer hears why; whether it does changes nothing.
                let _ = self.connection.write_tls(&mut Timed { stream: &mut self.stream, deadline });
                return Err(io::Error::other(error));
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether the peer has said something, or has ended.
    fn has_heard(&mut self) -> bool {
        // Nothing new comes of this; it says what there is.
        let state = self.connection.process_new_packets();
        self.ended || state.is_ok_and(|s| s.plaintext_bytes_to_read() > 0 || s.peer_has_closed())
    }

    /// A connection that ends before an answer, although it had been opened: where the server has asked for a
    /// certificate, that is why.
    fn explained(&self, e: io::Error) -> io::Error {
        let gone = matches!(
            e.kind(),
            io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::UnexpectedEof
        );
        if gone && !self.answered && self.tls.lacks_certificate() {
            return io::Error::other(fault::certificate_required(&self.address));
        }
        e
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        self.push(deadline)?;
        let n = self.connection.writer().write_vectored(parts)?;
        self.push(deadline)?;
        Ok(n)
    }

    fn piece(&self) -> usize {
        PIECE
    }

    fn read(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(into) {
                // The end of TCP without a word of TLS: HTTP sees whether something is missing.
                Ok(0) => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // Answers of TLS to what it has read. Who does not take them has perhaps said something.
                    let _ = self.push(deadline);
                    self.pull(deadline).map_err(|e| self.explained(e))?;
                    continue;
                }
                Ok(n) => {
                    self.answered = true;
                    return Ok(n);
                }
                Err(e) => return Err(e),
            }
            let end = self.explained(io::ErrorKind::UnexpectedEof.into());
            return if fault::ours(&end).is_some() { Err(end) } else { Ok(0) };
        }
    }

    fn is_silent(&mut self) -> bool {
        // Tickets may have come after the last answer.
        while !self.stream.is_silent() {
            if self.pull(Instant::now() + AT_ONCE).is_err() || self.ended {
                return false;
            }
        }
        !self.has_heard()
    }
}
