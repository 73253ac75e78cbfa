//! What the transport must know about the request in progress, and what it found out on the way.
//!
//! ureq hands a transport no more than a time limit per phase, and setting one per request costs it a copy of its whole
//! configuration and us a `setsockopt` per phase. A request runs on the caller's thread from beginning to end, so the
//! rest travels in a thread-local cell: plain data, without a destructor.

use super::outgoing;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Until when something may take, what limit that comes from, and the setting to name if it takes longer.
pub(crate) type Until = (Instant, Duration, &'static str);

/// One request in progress on this thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// When the attempt must end.
    pub(crate) deadline: Instant,
    /// How long the attempt was given, for messages.
    pub(crate) limit: Duration,
    /// The setting that gave `limit`.
    pub(crate) knob: &'static str,
    /// Limit of opening a connection; within `deadline`.
    pub(crate) connect_timeout: Duration,
    /// Roughly how many bytes the head has.
    pub(crate) head_size: usize,
    /// Bytes of the body.
    pub(crate) body_size: usize,
    /// Found out: a new connection was opened, so the request did not go over a kept one.
    pub(crate) fresh: bool,
    /// Found out: the whole request was handed to the kernel.
    pub(crate) sent: bool,
    /// Found out: at least one byte of an answer arrived.
    pub(crate) answered: bool,
    /// Found out: the status that the last head of the answer began with; 100 to 199 are not the last.
    pub(crate) status: Option<u16>,
    /// Found out: the connection ended in the middle of the answer.
    pub(crate) broke_off: bool,
}

impl Call {
    /// A request with nothing found out yet.
    pub(crate) fn new(
        deadline: Instant,
        limit: Duration,
        knob: &'static str,
        connect_timeout: Duration,
        (head_size, body_size): (usize, usize),
    ) -> Self {
        let (fresh, sent, answered, broke_off) = (false, false, false, false);
        Self {
            deadline,
            limit,
            knob,
            connect_timeout,
            head_size,
            body_size,
            fresh,
            sent,
            answered,
            status: None,
            broke_off,
        }
    }

    /// Makes this the request in progress on this thread, runs `f`, and returns its result with what was found out.
    pub(crate) fn run<T>(self, f: impl FnOnce() -> T) -> (T, Self) {
        /// Takes the request off the thread again even if `f` panics.
        struct Clear;
        impl Drop for Clear {
            fn drop(&mut self) {
                CURRENT.set(None);
                outgoing::forget();
            }
        }
        CURRENT.set(Some(self));
        let clear = Clear;
        let result = f();
        let after = CURRENT.get().unwrap_or(self);
        drop(clear);
        (result, after)
    }

    /// Until when a connection may take to open, and the limit and setting to name if it does not.
    pub(crate) fn connect_limit(&self) -> Until {
        let by_connect = Instant::now() + self.connect_timeout;
        if by_connect < self.deadline {
            (by_connect, self.connect_timeout, "connectTimeout")
        } else {
            (self.deadline, self.limit, self.knob)
        }
    }

    /// The request in progress. Without one (which would be a defect) the limits are short, not absent.
    pub(crate) fn current() -> Self {
        CURRENT.get().unwrap_or_else(|| {
            let limit = Duration::from_secs(1);
            Self::new(Instant::now() + limit, limit, "sendTimeout", limit, (0, 0))
        })
    }

    /// Notes something about the request in progress.
    pub(crate) fn note(f: impl FnOnce(&mut Self)) {
        if let Some(mut call) = CURRENT.get() {
            f(&mut call);
            CURRENT.set(Some(call));
        }
    }
}

thread_local! {
    static CURRENT: Cell<Option<Call>> = const { Cell::new(None) };
}
