//! Connections to the agent for ureq: TCP, Unix socket, named pipe.
//!
//! ureq runs the HTTP dialogue and keeps idle connections; this module opens them and carries the bytes. It goes around
//! ureq in three places, each for a measured reason: name lookup happens here and only for a new connection (ureq looks
//! up before it asks its pool), deadlines travel in [`Call`] (per-request settings cost ureq a copy of its
//! configuration), and the head of a request waits for its body (ureq writes them one by one).

mod buffers;
mod call;
pub(crate) mod exchange;
pub(crate) mod fault;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod lookup;
#[cfg(any(windows, test))]
#[cfg_attr(not(windows), allow(dead_code))]
mod pipe;
pub mod retry;
mod socket;
mod tcp;
#[cfg(unix)]
mod unix;
mod wire;

use buffers::PAGE;
use call::Call;

use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Config};
use gate::Gate;
use lookup::Lookup;
use socket::{SharedSocket, SocketStream};
use std::sync::{Arc, Weak};
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, ShutdownHandle, Transport};
use wire::Wire;

/// Opens connections to one peer.
#[derive(Debug)]
struct Connections {
    url: AgentUrl,
    address: Arc<str>,
    lookup: Arc<Lookup>,
    gate: Arc<Gate>,
}

impl Connections {
    /// # Errors
    /// `INVALID_URL` if there are no such connections on this operating system.
    fn new(url: &AgentUrl, _: &Config, gate: Arc<Gate>) -> Result<Self, Error> {
        check_url(url)?;
        let host = match url {
            AgentUrl::Http { host, .. } => host.as_str(),
            _ => "",
        };
        Ok(Self { url: url.clone(), address: url.to_string().into(), lookup: Lookup::new(host), gate })
    }

    fn open(&self, details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, Error> {
        Call::note(|call| call.fresh = true);
        let register =
            |handle: Weak<dyn ShutdownHandle>| (details.register_shutdown)(handle).map_err(|_| closed());
        let register_socket = |socket: &Arc<SharedSocket>| {
            let weak = Arc::downgrade(socket);
            register(weak)
        };
        let opened = match &self.url {
            AgentUrl::Http { port, .. } => {
                tcp::connect(&self.lookup, *port, &self.address, &self.gate, register_socket)
            }
            #[cfg(unix)]
            AgentUrl::Unix { path } => unix::connect(path, &self.gate, register_socket),
            #[cfg(windows)]
            AgentUrl::Pipe { name } => {
                let register = |shared: &Arc<pipe::Shared>| {
                    let weak = Arc::downgrade(shared);
                    register(weak)
                };
                let stream = pipe::connect(name, &self.gate, register)?;
                return Ok(Box::new(Wire::new(stream, Arc::clone(&self.address))));
            }
            other => {
                return Err(Error::new(
                    ErrorKind::InvalidUrl,
                    format!("{other} cannot be used on this operating system (`url`)"),
                ));
            }
        };
        if self.gate.is_closed() {
            return Err(closed());
        }
        Ok(Box::new(Wire::new(SocketStream::new(opened?), Arc::clone(&self.address))))
    }
}

impl Connector for Connections {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.open(details).map(Some).map_err(|e| ureq::Error::Other(Box::new(e)))
    }
}

fn check_url(url: &AgentUrl) -> Result<(), Error> {
    let why = match url {
        AgentUrl::Http { tls: true, .. } => "needs TLS, which this build of the library does not have",
        AgentUrl::Unix { .. } if !cfg!(unix) => "cannot be used on this operating system",
        AgentUrl::Pipe { .. } if !cfg!(windows) => "cannot be used on this operating system",
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidUrl, format!("url: {url} {why}")))
}

/// What a send gets that a shutdown interrupted.
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the exporter was closed before the payload could be delivered")
}

/// Answers nothing: names are looked up by the connector, and only when it opens a connection.
#[derive(Debug)]
struct NoLookup;

impl Resolver for NoLookup {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}
