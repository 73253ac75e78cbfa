//! Exporters: make, send, close; what an agent answered; tokens that end the wait for an answer.

use super::chunks::{Chunks, TracerTraceChunks, give_back};
use super::common::{ByteSlice, Slice, is_place, write};
use super::config::{self, TraceExporterConfig};
use super::error::{Code, Fault, TraceExporterError, enter, guard};
use super::handles::{self, as_pointer};
use super::pipeline::{Answer, Tickets};
use super::runtime::Runtime;
use super::{fork, log};
use crate::error::{Error, ErrorKind};
use crate::exporter::{AgentResponse, SendOptions, TraceExporter as Ours};
use crate::settings::{Config, RawConfig};
use parking_lot::{Condvar, Mutex};
use std::convert::Infallible;
use std::ptr;
use std::sync::{Arc, Weak};

/// Takes finished traces and delivers them. Any number of threads may use it at once.
#[derive(Debug)]
pub struct TraceExporter {
    _opaque: (),
}

/// What the agent answered.
#[derive(Debug)]
pub struct TraceExporterResponse {
    _opaque: (),
}

/// Ends the wait of sends for their answers.
#[derive(Debug)]
pub struct TraceExporterCancelToken {
    _opaque: (),
}

/// What a handle of an exporter names.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) exporter: Ours,
    /// What it was made with, or changed to.
    pub(super) settled: Mutex<Settled>,
    pub(super) runtime: Option<Arc<Runtime>>,
    pub(super) tickets: Arc<Tickets>,
}

/// The settings of an exporter, kept for the child of a fork, which makes an exporter of its own from them. Its lock is
/// taken by those who call in only, and none of them is inside while the process forks.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) raw: RawConfig,
    /// How many headers the config had: those behind them are new to it.
    headers: usize,
    /// Directories that the processes before this one have, and hold the locks of.
    theirs: Vec<(String, u64)>,
}

impl Settled {
    pub(super) fn new(raw: RawConfig) -> Self {
        Self { headers: raw.header.len(), raw, theirs: Vec::new() }
    }

    /// For the child of a fork.
    pub(super) fn of_child(&self) -> Self {
        let mut child = Self { raw: self.raw.clone(), headers: self.headers, theirs: self.theirs.clone() };
        child.theirs.extend(self.raw.spool.iter().chain(&self.raw.capture).cloned());
        child.leave_theirs();
        child
    }

    fn leave_theirs(&mut self) {
        for place in [&mut self.raw.spool, &mut self.raw.capture] {
            place.take_if(|place| self.theirs.contains(place));
        }
    }
}

impl Held {
    pub(super) fn new(settled: Settled, runtime: Option<Arc<Runtime>>) -> Result<Arc<Self>, Fault> {
        fork::at_home();
        let exporter = Ours::new(Config::new(settled.raw.clone())?)?;
        let settled = Mutex::new(settled);
        let held = Arc::new(Self { exporter, settled, runtime, tickets: Arc::default() });
        if let Some(runtime) = &held.runtime {
            runtime.attach(&held)?;
        }
        Ok(held)
    }

    /// Changes the settings to these.
    pub(super) fn change(&self, raw: RawConfig) -> Result<(), Fault> {
        let mut settled = self.settled.lock();
        let mut new = Settled { headers: raw.header.len(), raw, theirs: settled.theirs.clone() };
        new.raw.replace_headers(settled.headers);
        new.leave_theirs();
        self.exporter.reconfigure_with(new.raw.clone())?;
        *settled = new;
        Ok(())
    }
}

/// The exporter that a handle names.
pub(super) fn find(exporter: *const TraceExporter) -> Result<Arc<Held>, Fault> {
    let held = handles::EXPORTERS.with(exporter.addr(), |held| held.clone()).flatten();
    held.ok_or_else(|| Fault::stale("exporter"))
}

/// Makes an exporter; `out_handle` becomes the caller's. The config is copied, and stays the caller's. Waits for
/// nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_new(
    out_handle: *mut *mut TraceExporter,
    config: *const TraceExporterConfig,
) -> *mut TraceExporterError {
    enter(|| {
        if !is_place(out_handle) {
            return write(out_handle, ptr::null_mut());
        }
        let (raw, runtime) = config::with(config, |s| Ok((s.finished()?, s.runtime.clone())))?;
        let _inside = fork::enter();
        let held = Held::new(Settled::new(raw), runtime)?;
        let handle = handles::open(&handles::EXPORTERS, |place| {
            *place = Some(held);
            Ok(())
        })?;
        write(out_handle, as_pointer(handle))
    })
}

/// Closes an exporter within the setting `closeTimeout` (800 ms) and frees it; what could not be sent by then is
/// dropped and counted. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_free(handle: *mut TraceExporter) {
    let _ = guard(|| {
        // First of all: the lock of the handle must not be taken along by a fork.
        let _inside = fork::enter();
        let mut taken = None;
        handles::EXPORTERS.free(handle.addr(), |held| taken = held.take());
        if let Some(held) = taken {
            held.exporter.close();
            log::deliver(&held.exporter);
        }
        Ok(())
    });
}

/// Sends one payload (msgpack v0.4, or what the setting `inputFormat` says) and waits for the agent's answer, which
/// becomes the caller's if `response_out` is not null.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_send(
    handle: *const TraceExporter,
    trace: ByteSlice,
    response_out: *mut *mut TraceExporterResponse,
) -> *mut TraceExporterError {
    enter(|| {
        let payload = trace.values()?;
        let _inside = fork::enter();
        let held = find(handle)?;
        let result = held.exporter.send(payload);
        log::deliver(&held.exporter);
        hand_over(result?, response_out)
    })
}

/// Sends chunks and waits for the agent's answer. The chunks are gone then, after an error, too.
///
/// `cancel`, if it is not null, ends the wait: the error is `IO_ERROR`, and what is under way goes on being sent
/// and is counted, so that nothing is lost for it.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_send_trace_chunks(
    exporter: *const TraceExporter,
    chunks: *mut TracerTraceChunks,
    response_out: *mut *mut TraceExporterResponse,
    cancel: *const TraceExporterCancelToken,
) -> *mut TraceExporterError {
    enter(|| send_chunks(exporter, chunks, Ok(SendOptions::default()), response_out, cancel))
}

/// Sends chunks. They are taken first, so that they are gone whatever is wrong with the rest.
pub(super) fn send_chunks(
    exporter: *const TraceExporter,
    chunks: *mut TracerTraceChunks,
    options: Result<SendOptions, Fault>,
    response_out: *mut *mut TraceExporterResponse,
    cancel: *const TraceExporterCancelToken,
) -> Result<(), Fault> {
    let taken = handles::CHUNKS.close(chunks.addr(), Chunks::take);
    let (buffer, length) = taken.ok_or_else(|| Fault::stale("list of chunks"))?;
    let _inside = fork::enter();
    let result = find(exporter).and_then(|held| {
        let options = options?;
        let payload = buffer.get(..length).unwrap_or(&[]);
        let result = match token(cancel)? {
            None => held.exporter.send_with(payload, options).map_err(Fault::from),
            Some(token) => send_and_watch(&held, payload, options, &token),
        };
        log::deliver(&held.exporter);
        result
    });
    give_back(buffer);
    hand_over(result?, response_out)
}

/// Gives a response to the caller, if he wants it.
pub(super) fn hand_over(response: AgentResponse, out: *mut *mut TraceExporterResponse) -> Result<(), Fault> {
    if is_place(out) {
        let handle = handles::open(&handles::RESPONSES, |place| {
            *place = Some(Answer::new(response));
            Ok(())
        })?;
        write(out, as_pointer(handle))?;
    }
    Ok(())
}

/// The body that the agent answered. It lives as long as the response. An empty slice if that is null or was freed.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_response_get_body(response: *const TraceExporterResponse) -> ByteSlice {
    let body = |answer: &mut Option<Answer>| answer.as_ref().map(|a| Slice::of(a.response.body()));
    handles::RESPONSES.with(response.addr(), body).flatten().unwrap_or(Slice::of(&[]))
}

/// Frees a response. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_response_free(response: *mut TraceExporterResponse) {
    handles::RESPONSES.free(response.addr(), |answer| *answer = None);
}

/// What a token stands for: whether it was used, and who waits.
#[derive(Debug, Default)]
pub(super) struct Token {
    state: Mutex<(bool, Vec<Weak<Waiting>>)>,
}

/// A send that somebody waits for.
#[derive(Debug, Default)]
struct Waiting {
    state: Mutex<Wait>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wait {
    result: Option<Result<AgentResponse, Error>>,
    cancelled: bool,
}

impl Waiting {
    fn change(&self, body: impl FnOnce(&mut Wait)) {
        body(&mut self.state.lock());
        self.changed.notify_all();
    }
}

impl Token {
    fn cancel(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        for waiting in waiting.iter().filter_map(Weak::upgrade) {
            waiting.change(|wait| wait.cancelled = true);
        }
    }

    /// A send is waited for from now on; whether the token was not used before.
    fn watch(&self, waiting: &Arc<Waiting>) -> bool {
        let mut state = self.state.lock();
        state.1.retain(|known| known.strong_count() > 0);
        state.1.push(Arc::downgrade(waiting));
        !state.0
    }
}

fn token(handle: *const TraceExporterCancelToken) -> Result<Option<Arc<Token>>, Fault> {
    if handle.is_null() {
        return Ok(None);
    }
    let token = handles::TOKENS.with(handle.addr(), |token| token.clone()).flatten();
    token.map(Some).ok_or_else(|| Fault::stale("cancel token"))
}

/// Sends on a thread of this library, so that the caller's can leave before the answer is there.
fn send_and_watch(
    held: &Arc<Held>,
    payload: &[u8],
    options: SendOptions,
    token: &Token,
) -> Result<AgentResponse, Fault> {
    let waiting = Arc::new(Waiting::default());
    if !token.watch(&waiting) {
        let text = "the send was cancelled before it began; its traces are dropped, and counted";
        let error = held.exporter.dispatcher.refuse(payload, Error::new(ErrorKind::Closed, text));
        return Err(Fault { code: Code::IoError, ..Fault::from(error) });
    }
    let theirs = Arc::clone(&waiting);
    let done = Box::new(move |result| theirs.change(|wait| wait.result = Some(result)));
    let copy = |to: &mut [u8]| {
        to.copy_from_slice(payload);
        Ok::<(), Infallible>(())
    };
    match held.exporter.send_by_ticket(payload.len(), options, done, copy) {
        Ok(()) => {}
        Err(never) => match never {},
    }
    let mut wait = waiting.state.lock();
    loop {
        if let Some(result) = wait.result.take() {
            return result.map_err(Fault::from);
        }
        if wait.cancelled {
            let text = "the wait was cancelled; the traces go on being sent, and are counted";
            return Err(Fault::new(Code::IoError, text));
        }
        waiting.changed.wait(&mut wait);
    }
}

/// Makes a token. Null if there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_cancel_token_new() -> *mut TraceExporterCancelToken {
    let made = guard(|| {
        handles::open(&handles::TOKENS, |token| {
            *token = Some(Arc::default());
            Ok(())
        })
    });
    as_pointer(made.unwrap_or(0))
}

/// Ends the waits of all sends that were given this token, and of those that will be. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_cancel_token_cancel(token: *const TraceExporterCancelToken) {
    let _ = guard(|| {
        if let Some(token) = self::token(token)? {
            token.cancel();
        }
        Ok(())
    });
}

/// Frees a token; sends that have it go on. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_cancel_token_drop(token: *mut TraceExporterCancelToken) {
    handles::TOKENS.free(token.addr(), |token| *token = None);
}
