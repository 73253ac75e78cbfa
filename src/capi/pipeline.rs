//! What the reference's interface cannot reach (`data-pipeline.h`): every setting, the queue, flush, the account,
//! questions. Handles of configs, exporters and responses are the same.

use super::chunks::{Chunks, TracerTraceChunks};
use super::common::{ByteSlice, CharSlice, Slice, behind, is_place, write, write_if_wanted};
use super::config::{self, TraceExporterConfig};
use super::error::{Code, Fault, c_text, free_text, guard};
use super::exporter::{
    TraceExporter, TraceExporterCancelToken, TraceExporterResponse, find, hand_over, send_chunks,
};
use super::figures::{Account, Flush, Response};
use super::handles;
use super::payloads::{Text, hand_over_text};
use super::{fork, log, slab};
use crate::error::{Error, ErrorKind};
use crate::exporter::{AgentResponse, DroppedP0, SendOptions as Options};
use crate::face::questions;
use crate::settings::BadValues;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a function failed. Null means success. Freed by `dp_error_free`, once.
#[repr(C)]
#[derive(Debug)]
pub struct Failure {
    /// What kind of error it is; the numbers stand in docs/errors.md and are the same in every language.
    pub kind: u32,
    /// The HTTP status that the agent answered, or 0.
    pub status: u32,
    /// How many requests were made.
    pub attempts: u32,
    /// Whether another try may succeed.
    pub is_temporary: bool,
    /// A sentence for a person; ends with a zero.
    pub message: *mut c_char,
}

/// What a tracer says beside one payload. Where it is null, and where all of it is zero, nothing is said.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOptions {
    /// Traces that the tracer has dropped itself: what sampling gave priority 0.
    pub dropped_p0_traces: u64,
    /// Their spans.
    pub dropped_p0_spans: u64,
    /// The tracer has computed stats of this payload's spans: they are not counted here, and the agent is told. The
    /// setting `clientComputedStats` says it of every payload.
    pub client_computed_stats: bool,
}

impl SendOptions {
    fn read(options: *const Self) -> Result<Options, Fault> {
        if options.is_null() {
            return Ok(Options::default());
        }
        let said = behind(options).ok_or_else(|| {
            Fault::new(Code::InvalidArgument, "the options are not aligned for their values")
        })?;
        Ok(Options {
            dropped: DroppedP0 { traces: said.dropped_p0_traces, spans: said.dropped_p0_spans },
            client_computed_stats: said.client_computed_stats,
        })
    }
}

/// What can be asked of an exporter. The answers are JSON unless it is said otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // C has the names
pub enum Question {
    /// The agent's `/info`, asked for now: two lines, its hash of the container's tags (may be empty) and of its state;
    /// then the body as it came.
    FetchInfo = 0,
    /// The same as it is known; null if nothing is.
    KnownInfo = 1,
    /// The same, waited for; null if the agent has none.
    AwaitAgent = 2,
    /// Everything that a person needs to see what the exporter does, and why.
    Explain = 3,
    /// READY, DEGRADED or DOWN, with the last error.
    State = 4,
    /// Lines for a log, each once: milliseconds, severity and text, with tabs between.
    LogLines = 5,
    /// What client-side stats have counted.
    Stats = 6,
    /// Traces as lines, each once, where the destination is lines that the host writes
    /// (`{"log":{"target":"host"}}`). Not JSON as a whole: one object a line.
    TraceLines = 7,
}

/// What a handle of a response names.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: AgentResponse,
}

impl Answer {
    pub(super) fn new(response: AgentResponse) -> Self {
        Self { response }
    }
}

/// Sends whose answers somebody will ask for, of one exporter.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    state: Mutex<TicketState>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct TicketState {
    last: u64,
    /// Numbers that nobody has been told of.
    fresh: VecDeque<u64>,
    results: BTreeMap<u64, Result<AgentResponse, Error>>,
}

impl Tickets {
    fn next(&self) -> u64 {
        let mut state = self.state.lock();
        state.last += 1;
        state.last
    }

    fn complete(&self, ticket: u64, result: Result<AgentResponse, Error>) {
        let mut state = self.state.lock();
        state.fresh.push_back(ticket);
        state.results.insert(ticket, result);
        drop(state);
        self.news.notify_one();
    }

    fn wait(&self, limit: Duration) -> u64 {
        let end = Instant::now() + limit;
        let mut state = self.state.lock();
        loop {
            if let Some(ticket) = state.fresh.pop_front() {
                return ticket;
            }
            if self.news.wait_until(&mut state, end).timed_out() {
                return state.fresh.pop_front().unwrap_or(0);
            }
        }
    }
}

pub(super) fn enter(body: impl FnOnce() -> Result<(), Fault>) -> *mut Failure {
    let Err(fault) = guard(body) else { return ptr::null_mut() };
    let error = fault.error.unwrap_or_else(|| Box::new(Error::new(ErrorKind::InvalidArgument, &*fault.text)));
    Box::into_raw(Box::new(Failure {
        kind: error.kind().code(),
        status: error.status().map_or(0, u32::from),
        attempts: error.attempts(),
        is_temporary: error.is_temporary(),
        message: c_text(error.message()),
    }))
}

/// A limit in milliseconds, ten minutes at most.
fn limit(millis: u64) -> Duration {
    Duration::from_millis(millis).min(crate::settings::MAX_DURATION)
}

/// The version of this library.
#[unsafe(no_mangle)]
pub extern "C" fn dp_version() -> CharSlice {
    CharSlice::of_text(env!("CARGO_PKG_VERSION"))
}

/// How often something was freed that was not there, or was freed before.
#[unsafe(no_mangle)]
pub extern "C" fn dp_freed_in_vain() -> u64 {
    slab::freed_in_vain()
}

/// Frees an error, once: it is a plain struct, and nothing can tell that it was freed before. Null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn dp_error_free(error: *mut Failure) {
    if error.is_null() {
        return;
    }
    // SAFETY: the headers say that only errors of this library come here, and each once; `enter` made it from a box and
    // its text by `c_text`.
    unsafe {
        let error = Box::from_raw(error);
        free_text(error.message);
    }
}

/// Makes a setting of docs/settings.md by its name. A flag is `true` or `false`; a duration has a unit (`5 s`,
/// `800 ms`, `1 min`) or is milliseconds; bytes may have one (`64 MiB`); a destination is JSON. Settings that take
/// several values get one more each time. Ranges are checked when the exporter is made.
#[unsafe(no_mangle)]
pub extern "C" fn dp_config_set(
    config: *mut TraceExporterConfig,
    name: CharSlice,
    value: CharSlice,
) -> *mut Failure {
    enter(|| {
        let (name, value) = (name.text()?, value.text()?);
        config::with(config, |settings| Ok(settings.named.set(name, value, None)?))
    })
}

/// Makes a setting of two values: `header` and `obfuscationEnvironment` (name, value), `spool` and `capture`
/// (directory, bytes), `clientCertificate` (file of the certificate, file of its key).
#[unsafe(no_mangle)]
pub extern "C" fn dp_config_set_pair(
    config: *mut TraceExporterConfig,
    name: CharSlice,
    first: CharSlice,
    second: CharSlice,
) -> *mut Failure {
    enter(|| {
        let (name, first, second) = (name.text()?, first.text()?, second.text()?);
        config::with(config, |settings| Ok(settings.named.set(name, first, Some(second))?))
    })
}

/// Takes what is not set from the environment when the exporter is made, as docs/settings.md says. A bad value is an
/// error then, or left out with a log line if `skip_bad`.
#[unsafe(no_mangle)]
pub extern "C" fn dp_config_from_environment(
    config: *mut TraceExporterConfig,
    skip_bad: bool,
) -> *mut Failure {
    enter(|| {
        config::with(config, |settings| {
            settings.environment = Some(if skip_bad { BadValues::Skip } else { BadValues::Fail });
            Ok(())
        })
    })
}

/// As `ddog_trace_exporter_send`, with what the tracer says beside the payload; `options` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_send(
    exporter: *const TraceExporter,
    payload: ByteSlice,
    options: *const SendOptions,
    response_out: *mut *mut TraceExporterResponse,
) -> *mut Failure {
    enter(|| {
        let (payload, options) = (payload.values()?, SendOptions::read(options)?);
        let _inside = fork::enter();
        let held = find(exporter)?;
        let result = held.exporter.send_with(payload, options);
        log::deliver(&held.exporter);
        hand_over(result?, response_out)
    })
}

/// As `ddog_trace_exporter_send_trace_chunks`, with what the tracer says beside the payload; `options` may be null. The
/// chunks are gone afterwards, whatever happened.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_send_trace_chunks(
    exporter: *const TraceExporter,
    chunks: *mut TracerTraceChunks,
    options: *const SendOptions,
    response_out: *mut *mut TraceExporterResponse,
    cancel: *const TraceExporterCancelToken,
) -> *mut Failure {
    enter(|| send_chunks(exporter, chunks, SendOptions::read(options), response_out, cancel))
}

/// Queues a payload and returns at once; nobody waits for the answer. `options` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_offer(
    exporter: *const TraceExporter,
    payload: ByteSlice,
    options: *const SendOptions,
) -> *mut Failure {
    enter(|| {
        let (payload, options) = (payload.values()?, SendOptions::read(options)?);
        let _inside = fork::enter();
        let held = find(exporter)?;
        let result = held.exporter.offer_with(payload, options);
        log::deliver(&held.exporter);
        Ok(result?)
    })
}

/// Queues a payload and gives it a number; `dp_exporter_next_completed` says when it is done. Fetch every answer:
/// what nobody fetches stays.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_send_async(
    exporter: *const TraceExporter,
    payload: ByteSlice,
    options: *const SendOptions,
    ticket_out: *mut u64,
) -> *mut Failure {
    enter(|| {
        if !is_place(ticket_out) {
            return write(ticket_out, 0);
        }
        let (payload, options) = (payload.values()?, SendOptions::read(options)?);
        let _inside = fork::enter();
        let held = find(exporter)?;
        let ticket = held.tickets.next();
        write(ticket_out, ticket)?;
        let tickets = Arc::clone(&held.tickets);
        let done = Box::new(move |result| tickets.complete(ticket, result));
        // If it is not taken its ticket has heard why.
        let _ = held.exporter.enqueue(payload, options, Some(done));
        Ok(())
    })
}

/// The number of a send that is done, waiting up to so many milliseconds; 0 if none is. Each is told once.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_next_completed(exporter: *const TraceExporter, wait_millis: u64) -> u64 {
    let next = || {
        // Whoever waits for answers is not inside, so that a fork need not wait for him.
        let inside = fork::enter();
        let held = find(exporter)?;
        log::deliver(&held.exporter);
        let tickets = Arc::clone(&held.tickets);
        drop((held, inside));
        Ok(tickets.wait(limit(wait_millis)))
    };
    guard(next).unwrap_or(0)
}

/// What became of a send that is done, once: its error, or its response.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_take_completed(
    exporter: *const TraceExporter,
    ticket: u64,
    response_out: *mut *mut TraceExporterResponse,
) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        let result = find(exporter)?.tickets.state.lock().results.remove(&ticket);
        let none = || Error::new(ErrorKind::InvalidArgument, format!("there is no completed send {ticket}"));
        hand_over(result.ok_or_else(none)??, response_out)
    })
}

/// Sends what waits, and stats, within so many milliseconds. `report_out` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_flush(
    exporter: *const TraceExporter,
    limit_millis: u64,
    report_out: *mut Flush,
) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        let held = find(exporter)?;
        let report = held.exporter.flush(limit(limit_millis));
        log::deliver(&held.exporter);
        if is_place(report_out) {
            write(report_out, Flush::from(report))?;
        }
        Ok(())
    })
}

/// Sends the stats of all buckets now, the current one included, within so many milliseconds; with the setting
/// `statsReplay` nothing else sends them. `arrived_out`, which may be null, says whether all of them arrived; what did
/// not is kept for later, as far as that can be.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_flush_stats(
    exporter: *const TraceExporter,
    limit_millis: u64,
    arrived_out: *mut bool,
) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        let held = find(exporter)?;
        let arrived = held.exporter.flush_stats(limit(limit_millis));
        log::deliver(&held.exporter);
        write_if_wanted(arrived_out, arrived);
        Ok(())
    })
}

/// Changes settings while the exporter lives: to all those that `config` has now. Best the one that the exporter was
/// made with, with some made anew; a header that is set again takes the place of the one before. Destination,
/// headers, filters, time limits and what else does not say how the queue, the spool or stats are laid out can change;
/// else it is an error that names the setting, and nothing has changed. Sends that have begun end as they began. The
/// runtime stays the one that it was.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_reconfigure(
    exporter: *const TraceExporter,
    config: *const TraceExporterConfig,
) -> *mut Failure {
    enter(|| {
        let raw = config::with(config, |settings| settings.finished())?;
        let _inside = fork::enter();
        let held = find(exporter)?;
        let result = held.change(raw);
        log::deliver(&held.exporter);
        result
    })
}

/// Reads the account.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_account(
    exporter: *const TraceExporter,
    account_out: *mut Account,
) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        let held = find(exporter)?;
        write(account_out, Account::now(&held.exporter))
    })
}

/// Asks something; `answer_out` becomes the caller's and may come out null. FETCH_INFO and AWAIT_AGENT wait up to so
/// many milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_ask(
    exporter: *const TraceExporter,
    question: i32,
    limit_millis: u64,
    answer_out: *mut *mut Text,
) -> *mut Failure {
    enter(|| {
        if !is_place(answer_out) {
            return write(answer_out, ptr::null_mut());
        }
        let _inside = fork::enter();
        let held = find(exporter)?;
        let answer = if question == Question::Stats as i32 {
            Some(held.exporter.stats().unwrap_or_default().to_json())
        } else {
            // Six is taken by the stats here.
            let question =
                if question == Question::TraceLines as i32 { questions::TRACE_LINES } else { question };
            questions::answer(&held.exporter, question, limit(limit_millis))?
        };
        match answer {
            Some(text) => hand_over_text(text.into_bytes(), answer_out),
            None => write(answer_out, ptr::null_mut()),
        }
    })
}

/// Closes an exporter within so many milliseconds; its handle stays, and can be asked. `account_out` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_close(
    exporter: *const TraceExporter,
    limit_millis: u64,
    account_out: *mut Account,
) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        let held = find(exporter)?;
        let report = held.exporter.close_within(limit(limit_millis));
        log::deliver(&held.exporter);
        if is_place(account_out) {
            write(account_out, Account::last(&report.metrics))?;
        }
        Ok(())
    })
}

/// Before a snapshot of the process: sends what waits within so many milliseconds, closes connections, ends threads.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_suspend(exporter: *const TraceExporter, limit_millis: u64) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        find(exporter)?.exporter.suspend(limit(limit_millis));
        Ok(())
    })
}

/// After a snapshot was restored: goes on.
#[unsafe(no_mangle)]
pub extern "C" fn dp_exporter_resume(exporter: *const TraceExporter) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        Ok(find(exporter)?.exporter.resume()?)
    })
}

/// What a response says beside its body.
#[unsafe(no_mangle)]
pub extern "C" fn dp_response_read(
    response: *const TraceExporterResponse,
    response_out: *mut Response,
) -> *mut Failure {
    enter(|| {
        let read =
            |answer: &mut Option<Answer>| answer.as_ref().map(|answer| Response::from(&answer.response));
        let read = handles::RESPONSES.with(response.addr(), read).flatten();
        write(response_out, read.ok_or_else(|| Fault::stale("response"))?)
    })
}

/// The last sampling rates of the agent, as JSON. They live as long as the response; empty if there are none.
#[unsafe(no_mangle)]
pub extern "C" fn dp_response_rates(response: *const TraceExporterResponse) -> ByteSlice {
    let rates = |answer: &mut Option<Answer>| {
        answer.as_ref().and_then(|a| a.response.reply.rates.as_ref()).map(|rates| Slice::of(rates))
    };
    handles::RESPONSES.with(response.addr(), rates).flatten().unwrap_or(Slice::of(&[]))
}

/// The payload that chunks are so far, in v0.4. It lives until the next call with these chunks.
#[unsafe(no_mangle)]
pub extern "C" fn dp_trace_chunks_payload(chunks: *const TracerTraceChunks) -> ByteSlice {
    let payload = |chunks: &mut Chunks| Slice::of(chunks.payload());
    handles::CHUNKS.with(chunks.addr(), payload).unwrap_or(Slice::of(&[]))
}
