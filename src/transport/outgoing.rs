//! How a request leaves: its head and its body in one write, the body from where the caller has it.
//!
//! ureq asks a body for bytes, has it copy them into a buffer and hands the buffer to the connection. Here the
//! connection lends what it writes with to the thread that makes the request ([`lend`]), and the [`Body`] writes
//! itself through that when it is first asked. What ureq gets afterwards is only the count; it needs it for its own
//! book-keeping.

use crate::error::{Error, ErrorKind};
use parking_lot::Mutex;
use std::cell::Cell;
use std::fmt::Debug;
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// The writing half of a connection.
pub(super) trait Outgoing: Debug + Send {
    /// Writes the head of the request, which it has kept so far, and the body.
    fn send(&mut self, body: &[u8]) -> Result<(), Error>;
}

/// Lends `half` to the request in progress on this thread.
pub(super) fn lend(half: Arc<Mutex<dyn Outgoing>>) {
    drop(replace(Some(half)));
}

/// Nobody on this thread writes any more.
pub(super) fn forget() {
    drop(replace(None));
}

fn replace(half: Lent) -> Lent {
    ManuallyDrop::into_inner(LENT.replace(ManuallyDrop::new(half)))
}

type Lent = Option<Arc<Mutex<dyn Outgoing>>>;

thread_local! {
    // Not dropped by the thread: a destructor would keep the library in memory. Whoever lends also forgets.
    static LENT: Cell<ManuallyDrop<Lent>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// The body of a request.
pub(super) struct Body<'a> {
    bytes: &'a [u8],
    /// What ureq does not count as sent yet.
    left: usize,
    is_out: bool,
}

impl<'a> Body<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, left: bytes.len(), is_out: false }
    }
}

impl Read for Body<'_> {
    /// Writes the whole body the first time. Nothing is put into `buffer`: the connection does not send it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::replace(&mut self.is_out, true) {
            let half = replace(None)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "a body without a connection"))
                .map_err(io::Error::other)?;
            half.lock().send(self.bytes).map_err(io::Error::other)?;
        }
        let n = self.left.min(buffer.len());
        self.left -= n;
        Ok(n)
    }
}
