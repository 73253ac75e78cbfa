//! Connections to a peer for ureq: TCP, Unix socket, named pipe; through a proxy, and under TLS.
//!
//! ureq runs the HTTP dialogue and keeps idle connections; this module opens them and carries the bytes. It goes around
//! ureq in three places, each for a measured reason: name lookup happens here and only for a new connection (ureq looks
//! up before it asks its pool), deadlines travel in [`Call`] (per-request settings cost ureq a copy of its
//! configuration), and the head of a request leaves together with its body, which is not copied (ureq writes one after
//! the other, through a buffer): see [`outgoing`].

mod buffers;
mod call;
pub(crate) mod capture;
pub(crate) mod compress;
pub(crate) mod exchange;
pub(crate) mod fault;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod lookup;
mod outgoing;
pub(crate) mod outlet;
pub(crate) mod pace;
#[cfg(any(windows, test))]
#[cfg_attr(not(windows), allow(dead_code))]
mod pipe;
pub(crate) mod proxy;
pub mod retry;
mod secrets;
mod socket;
mod tcp;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod trust;
#[cfg(unix)]
mod unix;
mod wire;

use call::{Call, Until};

use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Config};
use gate::Gate;
use lookup::Lookup;
use proxy::Proxy;
use socket::{SharedSocket, SocketStream};
use std::sync::{Arc, Weak};
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, ShutdownHandle, Transport};
use wire::{Stream, Wire};

/// Opens connections to one peer.
#[derive(Debug)]
struct Connections {
    url: AgentUrl,
    address: Arc<str>,
    lookup: Arc<Lookup>,
    gate: Arc<Gate>,
    proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<tls::Tls>>,
}

/// A socket is registered before it connects, so that a shutdown can interrupt even that.
type Register<'a> = &'a dyn Fn(&Arc<SharedSocket>) -> Result<(), Error>;

impl Connections {
    /// `beyond`: the peer is one that `proxy` is for.
    ///
    /// # Errors
    /// `INVALID_URL` if there are no such connections on this operating system, or in this build;
    /// `INVALID_CONFIGURATION` if what TLS needs cannot be used.
    fn new(url: &AgentUrl, config: &Config, beyond: bool, gate: Arc<Gate>) -> Result<Self, Error> {
        check_url(url)?;
        let (host, is_secure) = match url {
            AgentUrl::Http { host, tls, .. } => (host.as_str(), *tls),
            _ => ("", false),
        };
        #[cfg(not(feature = "tls"))]
        let _ = is_secure;
        Ok(Self {
            url: url.clone(),
            address: url.to_string().into(),
            lookup: Lookup::new(host, "url"),
            gate,
            proxy: if beyond { Proxy::of(config, url) } else { None },
            #[cfg(feature = "tls")]
            tls: if is_secure { Some(Arc::new(tls::Tls::new(host, config)?)) } else { None },
        })
    }

    fn open(&self, details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, Error> {
        Call::note(|call| call.fresh = true);
        let until = Call::current().connect_limit();
        let register =
            |handle: Weak<dyn ShutdownHandle>| (details.register_shutdown)(handle).map_err(|_| closed());
        let register_socket = |socket: &Arc<SharedSocket>| {
            let weak = Arc::downgrade(socket);
            register(weak)
        };
        let result = match &self.url {
            AgentUrl::Http { .. } => self.open_tcp(until, &register_socket),
            #[cfg(unix)]
            AgentUrl::Unix { path } => unix::connect(path, &self.gate, until, register_socket)
                .map(|s| self.plain(SocketStream::unix(s))),
            #[cfg(windows)]
            AgentUrl::Pipe { name } => {
                let register = |shared: &Arc<pipe::Shared>| {
                    let weak = Arc::downgrade(shared);
                    register(weak)
                };
                pipe::connect(name, &self.gate, register).map(|stream| self.plain(stream))
            }
            other => Err(Error::new(
                ErrorKind::InvalidUrl,
                format!("{other} cannot be used on this operating system (`url`)"),
            )),
        };
        if self.gate.is_closed() { Err(closed()) } else { result }
    }

    /// To the peer, or to the proxy and through it; under TLS if the URL says so.
    fn open_tcp(&self, until: Until, register: Register<'_>) -> Result<Box<dyn Transport>, Error> {
        let stream = match (&self.proxy, &self.url) {
            (Some(proxy), _) => {
                let socket =
                    tcp::connect(&proxy.lookup, proxy.port, &proxy.address, &self.gate, until, register)
                        .map_err(|e| e.note(" (`proxy`)"))?;
                let mut stream = SocketStream::tcp(socket);
                proxy.pass(&mut stream, until)?;
                stream
            }
            (None, AgentUrl::Http { port, .. }) => SocketStream::tcp(tcp::connect(
                &self.lookup,
                *port,
                &self.address,
                &self.gate,
                until,
                register,
            )?),
            _ => return Err(Error::new(ErrorKind::Internal, "no TCP toward what has no port")),
        };
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let stream = tls::TlsStream::new(stream, tls, &self.address, until)?;
            return Ok(self.plain(stream));
        }
        Ok(self.plain(stream))
    }

    fn plain(&self, stream: impl Stream) -> Box<dyn Transport> {
        Box::new(Wire::new(stream, Arc::clone(&self.address)))
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
        AgentUrl::Http { tls: true, .. } if cfg!(not(feature = "tls")) => {
            "needs TLS, which this build of the library does not have"
        }
        AgentUrl::Unix { .. } if !cfg!(unix) => "cannot be used on this operating system",
        AgentUrl::Pipe { .. } if !cfg!(windows) => "cannot be used on this operating system",
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidUrl, format!("url: {url} {why}")))
}

/// How TLS has gone, for `explain()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TlsReport {
    /// Handshakes that came to their end.
    pub(crate) handshakes: u64,
    /// Those of them that resumed an earlier session.
    pub(crate) resumed: u64,
    /// The server wants to see a client certificate.
    pub(crate) asked: bool,
}

/// What a send gets that a shutdown interrupted.
pub(crate) fn closed() -> Error {
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
