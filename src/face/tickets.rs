//! Futures of a foreign host. The host pulls: a completed send waits here, by the number that the host has given it,
//! until it is fetched. No native thread ever calls the host.

use super::exporters::Exporter;
use crate::delivery::outbox::parcel::Completion;
use crate::error::Error;
use crate::exporter::AgentResponse;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What became of a send, and of which exporter it was.
pub(crate) type Completed = (Arc<Exporter>, Result<AgentResponse, Error>);

struct State {
    /// Numbers that nobody has been told of.
    fresh: VecDeque<i64>,
    results: BTreeMap<i64, Completed>,
}

static STATE: Mutex<State> = Mutex::new(State { fresh: VecDeque::new(), results: BTreeMap::new() });
static NEWS: Condvar = Condvar::new();

/// What becomes of the send with this number waits here.
pub(crate) fn completion(exporter: &Arc<Exporter>, ticket: i64) -> Completion {
    let exporter = Arc::clone(exporter);
    Box::new(move |result| {
        let mut state = STATE.lock();
        state.fresh.push_back(ticket);
        state.results.insert(ticket, (exporter, result));
        drop(state);
        NEWS.notify_one();
    })
}

/// The number of a send that has completed, waiting up to `limit`; 0 if none has. Told once.
pub(crate) fn wait(limit: Duration) -> i64 {
    let end = Instant::now() + limit;
    let mut state = STATE.lock();
    loop {
        if let Some(ticket) = state.fresh.pop_front() {
            return ticket;
        }
        if NEWS.wait_until(&mut state, end).timed_out() {
            return 0;
        }
    }
}

/// What became of the send with this number, once.
pub(crate) fn take(ticket: i64) -> Option<Completed> {
    STATE.lock().results.remove(&ticket)
}
