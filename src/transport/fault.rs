//! What an input or output error toward the agent means: a kind, and a sentence that names the address and the setting
//! that helps. One function per situation, because the same errno means different things in different places.

use super::call::Call;
use crate::error::{Error, ErrorKind};
use std::io;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

/// An error of ours that came through an input or output error: TLS knows better what has happened.
pub(crate) fn ours(e: &io::Error) -> Option<Error> {
    e.get_ref()?.downcast_ref::<Error>().cloned()
}

/// Opening a TCP connection failed.
pub(crate) fn tcp_connect(address: &str, e: &io::Error, limit: Duration, knob: &str) -> Error {
    use io::ErrorKind as K;
    let (kind, text) = match e.kind() {
        K::ConnectionRefused => (
            ErrorKind::ConnectionRefused,
            format!("nobody listens at {address}: is the agent running, and is its port the one in `url`?"),
        ),
        K::TimedOut | K::WouldBlock => return connect_timeout(address, limit, knob),
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown | K::AddrNotAvailable => (
            ErrorKind::Unreachable,
            format!("{address} cannot be reached from here ({e}): check the network and `url`"),
        ),
        K::ConnectionReset | K::ConnectionAborted => {
            (ErrorKind::ConnectionReset, format!("{address} ended the connection while it was opened"))
        }
        _ => (ErrorKind::Io, format!("connecting to {address} failed: {e}")),
    };
    Error::new(kind, text)
}

/// Opening a connection took too long.
pub(crate) fn connect_timeout(address: &str, limit: Duration, knob: &str) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!("no connection to {address} within {} ms (`{knob}`)", limit.as_millis()),
    )
}

/// The pipe is there, but each of its instances is taken: by other clients, or by requests of ours that were given up
/// because nobody answered them (their end of the pipe is held until the agent's end closes).
#[cfg_attr(not(any(windows, test)), allow(dead_code))]
pub(crate) fn pipe_busy(name: &str, limit: Duration, knob: &str) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "the agent at the pipe {name} did not answer: each instance of the pipe is in use and none became free \
             within {} ms (`{knob}`)",
            limit.as_millis()
        ),
    )
}

/// Connecting to a Unix socket failed.
#[cfg(unix)]
pub(crate) fn unix_connect(path: &Path, e: &io::Error, limit: Duration, knob: &str) -> Error {
    use io::ErrorKind as K;
    use std::os::unix::fs::FileTypeExt;
    let shown = path.display();
    let is_socket = || std::fs::metadata(path).map(|m| m.file_type().is_socket());
    let wrong_type = || {
        Error::new(
            ErrorKind::SocketWrongType,
            format!("{shown} is not a Unix stream socket: `url` must name the agent's own socket"),
        )
    };
    match e.kind() {
        K::NotFound | K::NotADirectory => Error::new(
            ErrorKind::SocketMissing,
            format!(
                "the socket {shown} does not exist: is the agent running, and is its path mounted here? (`url`)"
            ),
        ),
        K::PermissionDenied => Error::new(
            ErrorKind::SocketDenied,
            format!("this process may not open the socket {shown}: it needs write permission on it (`url`)"),
        ),
        // A path that no socket can have: another try will not make it shorter.
        K::InvalidInput | K::InvalidFilename => Error::new(
            ErrorKind::InvalidUrl,
            format!("the path of the socket {shown} is too long for a socket (`url`): {e}"),
        ),
        _ if e.raw_os_error() == Some(ELOOP) => Error::new(
            ErrorKind::InvalidUrl,
            format!("the socket {shown} cannot be reached: its links lead in a circle (`url`)"),
        ),
        // EPROTOTYPE has no kind of its own in the standard library: a datagram socket.
        _ if matches!(e.raw_os_error(), Some(EPROTOTYPE)) => wrong_type(),
        // Linux refuses a path that is no socket with the errno of a socket nobody listens at.
        K::ConnectionRefused if matches!(is_socket(), Ok(false)) => wrong_type(),
        K::ConnectionRefused => Error::new(
            ErrorKind::ConnectionRefused,
            format!(
                "nobody listens at the socket {shown}: it is left over from an agent that has ended, or `url` \
                 names the wrong one"
            ),
        ),
        _ if e.raw_os_error() == Some(ENOTSOCK) => wrong_type(),
        K::TimedOut | K::WouldBlock => connect_timeout(&format!("the socket {shown}"), limit, knob),
        _ => Error::new(ErrorKind::Io, format!("connecting to the socket {shown} failed: {e}")),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const ELOOP: i32 = 40;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const ELOOP: i32 = 62;
#[cfg(any(target_os = "linux", target_os = "android"))]
const EPROTOTYPE: i32 = 91;
#[cfg(any(target_os = "linux", target_os = "android"))]
const ENOTSOCK: i32 = 88;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const EPROTOTYPE: i32 = 41;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const ENOTSOCK: i32 = 38;

/// Looking up the host name failed.
pub(crate) fn lookup(host: &str, why: &str, knob: &str) -> Error {
    Error::new(
        ErrorKind::NameNotResolved,
        format!("the host name {host:?} has no address ({why}): check `{knob}` and the name service"),
    )
}

/// Writing the request failed.
pub(crate) fn writing(address: &str, e: &io::Error, call: &Call) -> Error {
    use io::ErrorKind as K;
    if let Some(error) = ours(e) {
        return error;
    }
    match e.kind() {
        K::TimedOut => {
            Error::new(ErrorKind::TimedOut, format!("{address} took nothing more {}", within(call)))
        }
        K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted | K::NotConnected | K::WriteZero => {
            Error::new(
                ErrorKind::ConnectionReset,
                format!("{address} closed the connection while the request was written"),
            )
        }
        K::WouldBlock => Error::new(
            ErrorKind::ConnectionReset,
            format!("{address} stopped taking the request and did not answer it either"),
        ),
        _ => Error::new(ErrorKind::Io, format!("writing to {address} failed: {e}")),
    }
}

/// Reading the answer failed.
pub(crate) fn reading(address: &str, e: &io::Error, call: &Call) -> Error {
    use io::ErrorKind as K;
    if let Some(error) = ours(e) {
        return error;
    }
    match e.kind() {
        K::TimedOut if call.answered => {
            Error::new(ErrorKind::TimedOut, format!("{address} did not finish its answer {}", within(call)))
        }
        K::TimedOut => Error::new(ErrorKind::TimedOut, format!("{address} did not answer {}", within(call))),
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::NotConnected if call.answered => {
            answer(address, "the connection was reset in the middle of it")
        }
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::NotConnected => Error::new(
            ErrorKind::ConnectionReset,
            format!("{address} reset the connection before it had answered"),
        ),
        _ => Error::new(ErrorKind::Io, format!("reading from {address} failed: {e}")),
    }
}

/// The agent closed without a byte of an answer.
pub(crate) fn closed(address: &str) -> Error {
    Error::new(ErrorKind::ConnectionReset, format!("{address} closed the connection before it had answered"))
}

/// What answers plain HTTP is TLS.
pub(crate) fn speaks_tls(address: &str) -> Error {
    Error::new(
        ErrorKind::TlsFailed,
        format!("{address} speaks TLS at this port, not plain HTTP: write https:// in `url`"),
    )
}

/// The answer cannot be used.
pub(crate) fn answer(address: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidResponse,
        format!("the answer of {address} cannot be used: {why}; is it an agent that listens there? (`url`)"),
    )
}

fn within(call: &Call) -> String {
    format!("within {} ms (`{}`)", call.limit.as_millis(), call.knob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_whose_instances_are_taken_is_an_agent_that_does_not_answer() {
        let error = pipe_busy(r"\\.\pipe\dd-trace", Duration::from_millis(1500), "connectTimeout");
        assert!(error.is_temporary() && error.kind() == ErrorKind::TimedOut);
        for part in ["did not answer", r"\\.\pipe\dd-trace", "1500 ms", "`connectTimeout`"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}
