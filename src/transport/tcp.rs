//! Opens TCP connections: the name is looked up anew for each one, every address is tried, Nagle is off.

use super::call::Until;
use super::fault;
use super::lookup::Lookup;
use super::socket::SharedSocket;
use crate::error::{Error, ErrorKind};
use crate::transport::gate::Gate;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connects to the first address of `host` that answers. `register` is told of each socket before it connects, so that
/// a shutdown can interrupt even that.
pub(super) fn connect(
    lookup: &Arc<Lookup>,
    port: u16,
    address: &str,
    gate: &Gate,
    (deadline, limit, knob): Until,
    register: impl Fn(&Arc<SharedSocket>) -> Result<(), Error>,
) -> Result<Arc<SharedSocket>, Error> {
    let addresses = lookup.addresses(deadline, gate)?.ok_or_else(|| {
        Error::new(
            ErrorKind::TimedOut,
            format!("looking up the name of {address} took more than {} ms (`{knob}`)", limit.as_millis()),
        )
    })?;

    let mut last = None;
    for (i, ip) in addresses.iter().enumerate() {
        if gate.is_closed() {
            break;
        }
        // What is left is shared out, so that a first address that swallows packets leaves time for the next.
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
        let share = left / others;
        if share < Duration::from_millis(1) {
            break;
        }
        match connect_one(&SockAddr::from(std::net::SocketAddr::new(*ip, port)), share, &register)? {
            Ok(socket) => return Ok(socket),
            Err(e) => last = Some(e),
        }
    }
    Err(match last {
        Some(e) => fault::tcp_connect(address, &e, limit, knob),
        None => fault::connect_timeout(address, limit, knob),
    })
}

fn connect_one(
    address: &SockAddr,
    limit: Duration,
    register: impl Fn(&Arc<SharedSocket>) -> Result<(), Error>,
) -> Result<io::Result<Arc<SharedSocket>>, Error> {
    let open = || {
        let socket =
            Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        Ok(Arc::new(SharedSocket(socket)))
    };
    let socket = match open() {
        Ok(socket) => socket,
        Err(e) => return Ok(Err(e)),
    };
    register(&socket)?;
    Ok(socket.0.connect_timeout(address, limit).map(|()| socket))
}
