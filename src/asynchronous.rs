//! The asynchronous face of [`TraceExporter`]: offer and forget, send and wait later, flush, suspend and
//! resume.
//!
//! What is offered is copied into a queue that is bounded in bytes and payloads (`delivery::outbox::queue`);
//! native senders take it from there (`delivery::outbox::courier`) and try it until `asyncBudget` is over, so
//! an agent that restarts costs nothing. What the queue cannot hold goes by
//! [`Overflow`](crate::settings::Overflow) and is counted with its reason.

use crate::account::{Counts, DropReason, Metrics};
use crate::delivery::outbox::parcel::Completion;
use crate::delivery::outbox::queue::{Offer, QueueStatus};
use crate::delivery::stats::Turn;
use crate::error::Error;
use crate::exporter::{AgentResponse, SendOptions, TraceExporter};
use crate::settings::MAX_DURATION;
use parking_lot::{Condvar, Mutex};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What became of the queue while [`TraceExporter::flush`] waited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// Whether everything that was offered before has met its fate, stats (if any) have arrived, and nothing
    /// lies on disk or is on its way from there. What was dropped has met its fate, too: see `dropped`.
    pub complete: bool,
    /// What the agent accepted meanwhile, other threads' sends included.
    pub sent: Counts,
    /// What still waits or is on its way.
    pub pending: Counts,
    /// What trace filters and sampling took out meanwhile.
    pub left_out: Counts,
    /// What was dropped meanwhile, by the index of the reason in [`DropReason::ALL`].
    pub dropped: [Counts; DropReason::ALL.len()],
}

impl FlushReport {
    fn between(before: &Metrics, after: &Metrics, complete: bool) -> Self {
        let mut dropped = after.dropped;
        for (now, was) in dropped.iter_mut().zip(before.dropped) {
            *now = now.minus(was);
        }
        Self {
            complete,
            sent: after.sent.minus(before.sent),
            pending: after.queued,
            left_out: after.filtered.plus(after.sampled_out).minus(before.filtered.plus(before.sampled_out)),
            dropped,
        }
    }

    /// What was dropped for any reason.
    pub fn dropped_total(&self) -> Counts {
        self.dropped.iter().fold(Counts::default(), |sum, c| sum.plus(*c))
    }
}

/// The answer to [`TraceExporter::send_async`], once it is there: wait for it, or await it.
pub struct PendingResponse {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Answer>,
    there: Condvar,
}

#[derive(Default)]
struct Answer {
    result: Option<Result<AgentResponse, Error>>,
    waker: Option<Waker>,
}

impl PendingResponse {
    fn new() -> (Self, Completion) {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let completion: Completion = Box::new(move |result| {
            let mut answer = theirs.state.lock();
            answer.result = Some(result);
            let waker = answer.waker.take();
            drop(answer);
            theirs.there.notify_all();
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        (Self { shared }, completion)
    }

    /// Waits up to `limit`. `None`: it is not there yet.
    pub fn wait(&self, limit: Duration) -> Option<Result<AgentResponse, Error>> {
        let end = Instant::now() + limit.min(MAX_DURATION);
        let mut answer = self.shared.state.lock();
        while answer.result.is_none() {
            if self.shared.there.wait_until(&mut answer, end).timed_out() {
                break;
            }
        }
        answer.result.clone()
    }
}

impl Future for PendingResponse {
    type Output = Result<AgentResponse, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = self.shared.state.lock();
        match &answer.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                answer.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for PendingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingResponse").field("result", &self.shared.state.lock().result).finish()
    }
}

impl TraceExporter {
    /// Queues one payload and returns at once; nobody waits for the answer.
    ///
    /// ```
    /// use data_pipeline::TraceExporter;
    /// use std::time::Duration;
    ///
    /// // Nobody listens there: what is offered waits, and is counted.
    /// let exporter = TraceExporter::builder().url("http://127.0.0.1:1").build()?;
    /// exporter.offer(b"\x91\x91\x83\xa8trace_id\x01\xa7span_id\x02\xa4name\xa2op")?;
    /// let report = exporter.flush(Duration::from_millis(20));
    /// assert!(!report.complete && report.pending.traces == 1);
    /// assert_eq!(exporter.close_within(Duration::ZERO).metrics.dropped_total().traces, 1);
    /// # Ok::<(), data_pipeline::Error>(())
    /// ```
    ///
    /// # Errors
    /// Why it was not taken: `QUEUE_FULL`, `EVICTED` (worth less than all that waits), `CLOSED`. It is
    /// counted as dropped.
    pub fn offer(&self, payload: &[u8]) -> Result<(), Error> {
        self.offer_with(payload, SendOptions::default())
    }

    /// As [`TraceExporter::offer`], with what the tracer says beside the payload.
    ///
    /// # Errors
    /// As [`TraceExporter::offer`].
    pub fn offer_with(&self, payload: &[u8], options: impl Into<SendOptions>) -> Result<(), Error> {
        self.enqueue(payload, options.into(), None)
    }

    /// Queues one payload; the answer comes later. Small payloads that are merged share one answer, with the counts of
    /// their request.
    pub fn send_async(&self, payload: &[u8]) -> PendingResponse {
        self.send_async_with(payload, SendOptions::default())
    }

    /// As [`TraceExporter::send_async`], with what the tracer says beside the payload.
    pub fn send_async_with(&self, payload: &[u8], options: impl Into<SendOptions>) -> PendingResponse {
        let (pending, completion) = PendingResponse::new();
        // If it is not taken the completion has heard why.
        let _ = self.enqueue(payload, options.into(), Some(completion));
        pending
    }

    /// Sends one payload as [`TraceExporter::send_with`] does, but holds no thread of the caller's while it
    /// waits: `fill` copies the payload into `size` bytes, `done` hears the answer. No bound of the queue
    /// refuses it.
    ///
    /// # Errors
    /// What `fill` says; nothing is sent then, and `done` hears nothing.
    pub(crate) fn send_by_ticket<E>(
        &self,
        size: usize,
        options: SendOptions,
        done: Completion,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.tickets.send(&self.dispatcher, size, options, done, fill)
    }

    /// As [`TraceExporter::send`], for callers that await the answer instead of blocking their thread: same
    /// answer, same errors, the same budget, and never refused because the queue is full.
    pub fn send_in_background(&self, payload: &[u8]) -> PendingResponse {
        let (pending, completion) = PendingResponse::new();
        let copy = |to: &mut [u8]| {
            to.copy_from_slice(payload);
            Ok::<(), Infallible>(())
        };
        match self.send_by_ticket(payload.len(), SendOptions::default(), completion, copy) {
            Ok(()) => pending,
            Err(never) => match never {},
        }
    }

    /// Queues one payload; `done`, if there is one, hears what becomes of it in any case.
    pub(crate) fn enqueue(
        &self,
        payload: &[u8],
        options: SendOptions,
        done: Option<Completion>,
    ) -> Result<(), Error> {
        let head = payload.get(..5).unwrap_or(payload);
        let offer = Offer { size: payload.len(), head, options, done };
        let copy = |to: &mut [u8]| {
            to.copy_from_slice(payload);
            Ok::<(), Infallible>(())
        };
        match self.dispatcher.offer(offer, copy) {
            Ok(result) => result,
            Err(never) => match never {},
        }
    }

    /// Sends what waits now, without waiting for batches to fill, and what lies in the spool, and then the stats of all
    /// buckets. Waits up to `limit`.
    pub fn flush(&self, limit: Duration) -> FlushReport {
        let end = self.now() + limit.min(MAX_DURATION);
        let before = self.metrics();
        let mark = self.dispatcher.queue.hurry();
        self.dispatcher.start_senders();
        let settled =
            self.dispatcher.queue.wait_settled(mark, end) && self.dispatcher.queue.wait_drained(end);
        let stats = self.dispatcher.send_stats(Turn::All, end);
        let after = self.metrics();
        let all = settled && stats && !self.dispatcher.queue.spool_holds();
        FlushReport::between(&before, &after, all)
    }

    /// Before a snapshot of the process (CRaC, SnapStart): sends what waits up to `limit`, then closes every
    /// connection and ends every thread. Until [`TraceExporter::resume`] payloads may be offered and wait in
    /// the queue; `send` waits, too, up to `sendBudget`.
    ///
    /// What could not be sent in time stays in the queue and is part of the snapshot.
    pub fn suspend(&self, limit: Duration) -> FlushReport {
        let end = self.now() + limit.min(MAX_DURATION);
        let idle = self.sends.suspend(end) & self.tickets.suspend(end);
        let report = self.flush(end.saturating_duration_since(self.now()));
        self.dispatcher.suspend(end);
        FlushReport { complete: report.complete && idle, pending: self.metrics().queued, ..report }
    }

    /// After a snapshot was restored: reads the container's id (if `detectContainer`) and the agent's `/info`
    /// again, and sends go on.
    ///
    /// # Errors
    /// `INVALID_URL` as at build, which cannot happen to an exporter that was built.
    pub fn resume(&self) -> Result<(), Error> {
        self.go_on(true)
    }

    /// Before the process forks: no send starts any more, and every thread and connection ends by `end`. Nothing is
    /// flushed; what waits, waits.
    #[cfg(feature = "capi")]
    pub(crate) fn park(&self, end: Instant) {
        self.sends.suspend(end);
        self.tickets.suspend(end);
        self.dispatcher.suspend(end);
    }

    /// After the fork, in the process that was there before: sends go on.
    ///
    /// # Errors
    /// `CLOSED`.
    #[cfg(feature = "capi")]
    pub(crate) fn unpark(&self) -> Result<(), Error> {
        self.go_on(false)
    }

    fn go_on(&self, another_process: bool) -> Result<(), Error> {
        self.dispatcher.resume(another_process)?;
        self.sends.resume();
        self.tickets.resume(&self.dispatcher);
        Ok(())
    }

    /// How the queue stands.
    pub fn queue(&self) -> QueueStatus {
        self.dispatcher.queue.status()
    }
}
