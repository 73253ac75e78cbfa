//! Opens connections to a Unix stream socket. Connecting blocks while the listener's queue is full (a stopped
//! agent), so it gets the send limit of the socket, which Linux applies to it, in slices: a shutdown of the
//! socket does not wake it.

use super::call::Until;
use super::fault;
use super::socket::SharedSocket;
use crate::error::Error;
use crate::transport::gate::Gate;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one wait for a place in the listener's queue lasts.
const SLICE: Duration = Duration::from_millis(50);

/// Connects to the socket at `path`. `register` is told of the socket before it connects.
pub(super) fn connect(
    path: &Path,
    gate: &Gate,
    (deadline, limit, knob): Until,
    register: impl Fn(&Arc<SharedSocket>) -> Result<(), Error>,
) -> Result<Arc<SharedSocket>, Error> {
    let failed = |e: io::Error| fault::unix_connect(path, &e, limit, knob);

    let address = SockAddr::unix(path).map_err(failed)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    let socket = Arc::new(SharedSocket(socket));
    register(&socket)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || gate.is_closed() {
            return Err(failed(io::ErrorKind::TimedOut.into()));
        }
        socket.0.set_write_timeout(Some(left.clamp(Duration::from_millis(1), SLICE))).map_err(failed)?;
        match socket.0.connect(&address) {
            Ok(()) => return Ok(socket),
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(e) => return Err(failed(e)),
        }
    }
}
