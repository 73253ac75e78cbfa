//! What can go wrong: a kind with a stable number, and a sentence that names the place and the knob.
//!
//! The numbers are a contract: `ErrorCode` in Java (and the C enum) carries the same ones, and a test compares the
//! lists. New kinds get new numbers; numbers are never reused.

use std::fmt;
use std::time::Instant;

macro_rules! error_kinds {
    ($( $(#[$doc:meta])* $name:ident = $code:literal, $text:literal; )*) => {
        /// The kind of an [`Error`]. `code()` is stable across versions and faces.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum ErrorKind { $( $(#[$doc])* $name = $code, )* }

        impl ErrorKind {
            /// Every kind, in the order of its number.
            pub const ALL: &'static [ErrorKind] = &[ $( ErrorKind::$name, )* ];

            /// The stable name in upper snake case, as Java and C spell it.
            pub const fn name(self) -> &'static str {
                match self { $( ErrorKind::$name => $text, )* }
            }
        }
    };
}

error_kinds! {
    /// An argument is out of its range (null, negative length, a buffer that is not direct).
    InvalidArgument = 1, "INVALID_ARGUMENT";
    /// Settings contradict each other, or one has a value that cannot work.
    InvalidConfiguration = 2, "INVALID_CONFIGURATION";
    /// The agent URL cannot be used.
    InvalidUrl = 3, "INVALID_URL";
    /// The payload is not what its format says; the message names trace, span, key and offset.
    MalformedPayload = 10, "MALFORMED_PAYLOAD";
    /// The payload ends before its declared content does.
    TruncatedPayload = 11, "TRUNCATED_PAYLOAD";
    /// The payload (or one chunk of it) is larger than the agent takes.
    PayloadTooLarge = 12, "PAYLOAD_TOO_LARGE";
    /// Nobody listens at the agent's address.
    ConnectionRefused = 20, "CONNECTION_REFUSED";
    /// The agent's host name has no address.
    NameNotResolved = 21, "NAME_NOT_RESOLVED";
    /// The agent's address cannot be reached (no route, network down).
    Unreachable = 22, "UNREACHABLE";
    /// The Unix socket (or named pipe) does not exist.
    SocketMissing = 23, "SOCKET_MISSING";
    /// The process may not open the Unix socket (or named pipe).
    SocketDenied = 24, "SOCKET_DENIED";
    /// The path is not a stream socket.
    SocketWrongType = 25, "SOCKET_WRONG_TYPE";
    /// The agent closed or reset the connection before it had answered.
    ConnectionReset = 26, "CONNECTION_RESET";
    /// A time limit passed.
    TimedOut = 27, "TIMED_OUT";
    /// The answer is not HTTP, or breaks off.
    InvalidResponse = 28, "INVALID_RESPONSE";
    /// Earlier sends spent their whole budget in vain; this one was refused at once between two probes.
    AgentDown = 29, "AGENT_DOWN";
    /// The agent answered with a status that is not a success.
    HttpStatus = 30, "HTTP_STATUS";
    /// Any other input or output error.
    Io = 31, "IO";
    /// TLS could not be agreed on: a certificate that cannot be accepted, here or there, or no TLS at all.
    TlsFailed = 32, "TLS_FAILED";
    /// The proxy does not let us through.
    ProxyRefused = 33, "PROXY_REFUSED";
    /// The queue had no room.
    QueueFull = 40, "QUEUE_FULL";
    /// The payload was taken out of the queue again to make room.
    Evicted = 41, "EVICTED";
    /// The exporter was closed before the payload could be delivered.
    Closed = 50, "CLOSED";
    /// A defect of this library that it noticed itself.
    Internal = 60, "INTERNAL";
    /// A panic inside the library, caught at its border.
    Panic = 61, "PANIC";
    /// The memory that a payload asks for is not there; nothing of it is kept.
    OutOfMemory = 62, "OUT_OF_MEMORY";
    /// The native library could not be loaded (Java only).
    LibraryUnavailable = 70, "LIBRARY_UNAVAILABLE";
    /// The native library is of another version than the JAR (Java only).
    VersionMismatch = 71, "VERSION_MISMATCH";
}

impl ErrorKind {
    /// The stable number.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// Whether what failed so may succeed when it is tried again, unless the error knows better (an answer's status
    /// does: `transport::retry`). A request that failed before its answer is sent again by this list, too.
    const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::ConnectionRefused
                | Self::NameNotResolved
                | Self::Unreachable
                | Self::SocketMissing
                | Self::ConnectionReset
                | Self::TimedOut
                | Self::AgentDown
                | Self::Io
        )
    }
}

/// An error with its kind, a sentence for a person, and the HTTP status where the agent answered one. Whoever makes it
/// decides whether it is temporary; nobody guesses later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    attempts: u32,
    possibly_arrived: bool,
    temporary: bool,
    retry_at: Option<Instant>,
}

impl Error {
    /// An error of `kind`; `message` names the place and, where there is one, the setting that helps.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            status: None,
            attempts: 0,
            possibly_arrived: false,
            temporary: kind.is_temporary(),
            retry_at: None,
        }
    }

    /// The memory for `what` is not there.
    #[cold]
    pub fn out_of_memory(what: &str) -> Self {
        Self::new(ErrorKind::OutOfMemory, format!("there is no memory for {what}"))
    }

    /// The same error with the HTTP status that the agent answered.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same error with the number of requests that were made before giving up.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The same error, saying whether the agent may have taken the payload although the send failed.
    #[must_use]
    pub fn with_possibly_arrived(mut self, possibly: bool) -> Self {
        self.possibly_arrived = possibly;
        self
    }

    /// The same error, saying whether another try may succeed. Without it, its kind decides.
    #[must_use]
    pub fn with_temporary(mut self, temporary: bool) -> Self {
        self.temporary = temporary;
        self
    }

    /// The same error, saying that the peer does not want to be asked again before `at`.
    #[must_use]
    pub fn with_retry_at(mut self, at: Option<Instant>) -> Self {
        self.retry_at = at;
        self
    }

    /// The same error in other words.
    #[must_use]
    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.message = message;
        self
    }

    /// The same error with more said at its end.
    #[must_use]
    pub fn note(mut self, more: &str) -> Self {
        self.message.push_str(more);
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence without the kind.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status, if the agent answered.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// How many requests were made.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the agent may have taken the payload: it was written whole, and no answer said that it was refused.
    pub fn possibly_arrived(&self) -> bool {
        self.possibly_arrived
    }

    /// Whether another try may succeed.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Before when the peer does not want to be asked again, if it said so.
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_rise() {
        let codes: Vec<u32> = ErrorKind::ALL.iter().map(|k| k.code()).collect();
        assert!(codes.windows(2).all(|w| w[0] < w[1]), "{codes:?}");
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        for kind in ErrorKind::ALL {
            // Refused, no name, unreachable, no socket, reset, timed out, gone, another input or output error.
            let expected =
                matches!(kind.code(), 20 | 21 | 22 | 23 | 26 | 27 | 31) || *kind == ErrorKind::AgentDown;
            assert_eq!(Error::new(*kind, "").is_temporary(), expected, "{kind:?}");
        }
    }
}
