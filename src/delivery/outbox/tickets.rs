//! Sends whose caller must not hold a thread of the system while it waits (a virtual thread): the payload is copied,
//! and the caller hears the answer by its ticket.
//!
//! A ticket is a send, not an offer: it goes alone, the way of `send`, with its budget counted from the call; no bound
//! of the queue refuses it, since whoever waits sends no more meanwhile. `close` and `suspend` wait for it as for a
//! send. Senders for tickets start when none is free, up to [`SENDERS`], and end when idle. While the exporter is
//! suspended tickets wait; one whose budget is over by then hears so at `resume`.

use super::parcel::{Completion, defect};
use super::queue::{closed, no_memory, sized};
use super::rules::IDLE;
use crate::convert::Workspace;
use crate::delivery::dispatch::Dispatcher;
use crate::delivery::response::SendOptions;
use crate::error::{Error, ErrorKind};
use crate::memory;
use crate::threads;
use crate::time::Clock;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// More are not sent at the same time; the next one waits for the first that is done.
const SENDERS: usize = 64;

/// The tickets of one exporter.
#[derive(Debug)]
pub(crate) struct Tickets {
    clock: Clock,
    state: Mutex<State>,
    work: Condvar,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Ticket>,
    bytes: usize,
    senders: usize,
    /// Senders that wait for something to do.
    resting: usize,
    closed: bool,
    suspended: bool,
}

struct Ticket {
    payload: Vec<u8>,
    options: SendOptions,
    asked: Instant,
    done: Completion,
}

impl Tickets {
    /// None yet. The clock is that of the pipeline.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default(), work: Condvar::new(), changed: Condvar::new() }
    }

    /// Sends a payload of `size` bytes that `fill` copies. `done` hears what `send` would have given.
    ///
    /// # Errors
    /// What `fill` says; nothing is sent then, and `done` hears nothing.
    pub(crate) fn send<E>(
        self: &Arc<Self>,
        dispatcher: &Arc<Dispatcher>,
        size: usize,
        options: SendOptions,
        done: Completion,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let asked = self.clock.now();
        let room = if memory::is_short() { None } else { sized(Vec::new(), size) };
        let Some(mut payload) = room else {
            done(Err(dispatcher.refuse_unseen(size, no_memory(size))));
            return Ok(());
        };
        fill(&mut payload)?;
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            done(Err(dispatcher.refuse(&payload, closed())));
            return Ok(());
        }
        state.bytes += payload.len();
        state.waiting.push_back(Ticket { payload, options, asked, done });
        self.bring_senders(state, dispatcher);
        Ok(())
    }

    /// Wakes or starts senders for what waits.
    fn bring_senders(self: &Arc<Self>, mut state: MutexGuard<'_, State>, dispatcher: &Arc<Dispatcher>) {
        while !state.suspended && state.resting < state.waiting.len() && state.senders < SENDERS {
            let (tickets, weak) = (Arc::clone(self), Arc::downgrade(dispatcher));
            if threads::start("dp-sender", 512 * 1024, move || tickets.work(&weak)).is_err() {
                break;
            }
            state.senders += 1;
            // It takes what it finds, as one does that rests.
            state.resting += 1;
        }
        self.work.notify_all();
        if state.senders > 0 || state.suspended {
            return;
        }
        let stranded = std::mem::take(&mut state.waiting);
        state.bytes = 0;
        drop(state);
        for ticket in stranded {
            let error = Error::new(ErrorKind::Internal, "the system has no thread for a sender");
            (ticket.done)(Err(dispatcher.refuse(&ticket.payload, error)));
        }
    }

    /// One sender's life.
    fn work(&self, weak: &Weak<Dispatcher>) {
        let mut ws = Workspace::default();
        while let Some(ticket) = self.next() {
            let result = match weak.upgrade() {
                None => Err(closed()),
                Some(dispatcher) => catch_unwind(AssertUnwindSafe(|| {
                    dispatcher.process_since(ticket.asked, &mut ws, &ticket.payload, ticket.options)
                }))
                .unwrap_or_else(|_| {
                    dispatcher.tell_of_defect(&ticket.payload);
                    Err(defect())
                }),
            };
            // Whoever hears of it may look at the memory.
            self.state.lock().bytes -= ticket.payload.len();
            (ticket.done)(result);
            ws.trim();
            self.state.lock().resting += 1;
        }
    }

    /// The next ticket; waits for one. `None`: the sender shall end. It rests when it comes here.
    fn next(&self) -> Option<Ticket> {
        let idle_since = self.clock.now();
        let mut state = self.state.lock();
        loop {
            if !state.suspended
                && let Some(ticket) = state.waiting.pop_front()
            {
                state.resting -= 1;
                return Some(ticket);
            }
            let over = state.suspended || state.closed || self.clock.now() >= idle_since + IDLE;
            if over {
                (state.senders, state.resting) = (state.senders - 1, state.resting - 1);
                self.changed.notify_all();
                return None;
            }
            self.changed.notify_all();
            self.clock.wait(&self.work, &mut state, idle_since + IDLE);
        }
    }

    /// Takes none any more, waits up to `end` for those that are there, and drops what waits still. Whether all were
    /// sent.
    pub(crate) fn end(&self, dispatcher: &Dispatcher, end: Instant) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        self.work.notify_all();
        let idle = self.wait(&mut state, end);
        let rest = std::mem::take(&mut state.waiting);
        drop(state);
        for ticket in rest {
            self.state.lock().bytes -= ticket.payload.len();
            (ticket.done)(Err(dispatcher.refuse(&ticket.payload, closed())));
        }
        idle
    }

    /// Lets none start until [`Tickets::resume`], and waits until none runs and no sender is left; whether that came to
    /// be before `end`. What waits is sent before.
    pub(crate) fn suspend(&self, end: Instant) -> bool {
        let mut state = self.state.lock();
        let idle = self.wait(&mut state, end);
        state.suspended = true;
        self.work.notify_all();
        while state.senders > 0 {
            if self.clock.wait(&self.changed, &mut state, end) {
                break;
            }
        }
        idle
    }

    /// They are sent again.
    pub(crate) fn resume(self: &Arc<Self>, dispatcher: &Arc<Dispatcher>) {
        let mut state = self.state.lock();
        state.suspended = false;
        if !state.waiting.is_empty() {
            self.bring_senders(state, dispatcher);
        }
    }

    fn wait(&self, state: &mut MutexGuard<'_, State>, end: Instant) -> bool {
        loop {
            if state.waiting.is_empty() && state.resting == state.senders {
                return true;
            }
            if state.suspended || self.clock.wait(&self.changed, state, end) {
                return false;
            }
        }
    }

    /// Bytes of payloads that wait or are being sent.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("bytes", &self.payload.len()).field("asked", &self.asked).finish()
    }
}
