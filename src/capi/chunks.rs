//! Chunks of spans: one buffer, a payload in v0.4 at every moment. Heads of lists have the form with four bytes, so
//! that they can be counted up where they stand.

use super::common::{is_place, write};
use super::entries::room;
use super::error::{Code, Fault, TraceExporterError, enter};
use super::handles::{self, as_pointer};
use super::span::{Span, TracerSpan};
use std::ptr;
use std::sync::Mutex;

/// Chunks that are being built.
#[derive(Debug)]
pub struct TracerTraceChunks {
    _opaque: (),
}

/// Buffers of payloads that were sent. Nobody ever waits for the lock: whoever does not get it does without.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// So many are kept for concurrent senders.
const KEPT_BUFFERS: usize = 4;

/// The head of a list with this number, in the form with four bytes.
const HEAD: [u8; 5] = [0xdd, 0, 0, 0, 0];
/// More memory than this is not kept for the next payload.
const KEEP_BYTES: usize = 4 << 20;

/// The payload so far.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    bytes: Vec<u8>,
    chunks: u32,
    /// Where the open chunk begins.
    open: Option<usize>,
    /// Spans of the open chunk.
    spans: u32,
}

impl Chunks {
    fn begin(&mut self) -> Result<(), Fault> {
        self.clear();
        if self.bytes.capacity() == 0
            && let Ok(mut spare) = SPARE.try_lock()
        {
            self.bytes = spare.pop().unwrap_or_default();
        }
        room(&mut self.bytes, HEAD.len())?;
        self.bytes.extend_from_slice(&HEAD);
        Ok(())
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        if self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        (self.chunks, self.open, self.spans) = (0, None, 0);
    }

    /// The next spans stand in another chunk. One without spans is not kept.
    fn begin_chunk(&mut self) -> Result<(), Fault> {
        if self.open.is_some() && self.spans == 0 {
            return Ok(());
        }
        room(&mut self.bytes, HEAD.len())?;
        self.open = Some(self.bytes.len());
        self.spans = 0;
        self.bytes.extend_from_slice(&HEAD);
        Ok(())
    }

    fn push(&mut self, span: &Span) -> Result<(), Fault> {
        let Some(open) = self.open else {
            return Err(Fault::new(Code::InvalidArgument, "no chunk was begun"));
        };
        span.write_to(&mut self.bytes)?;
        self.spans += 1;
        if self.spans == 1 {
            self.chunks += 1;
            count(&mut self.bytes, 0, self.chunks);
        }
        count(&mut self.bytes, open, self.spans);
        Ok(())
    }

    /// The payload; a chunk without spans is no part of it.
    pub(super) fn payload(&self) -> &[u8] {
        let end = self.open.filter(|_| self.spans == 0).unwrap_or(self.bytes.len());
        self.bytes.get(..end).unwrap_or(&[])
    }

    /// Takes the payload's buffer out, with the payload's length.
    pub(super) fn take(&mut self) -> (Vec<u8>, usize) {
        let length = self.payload().len();
        (std::mem::take(&mut self.bytes), length)
    }
}

/// Keeps a buffer that was taken out for the next payload.
pub(super) fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= KEEP_BYTES
        && let Ok(mut spare) = SPARE.try_lock()
        && spare.len() < KEPT_BUFFERS
    {
        buffer.clear();
        spare.push(buffer);
    }
}

/// Writes a number into the head at `at`.
fn count(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(place) = bytes.get_mut(at + 1..at + 5) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

/// Begins a payload; `out_handle` becomes the caller's. `capacity` is how many chunks there will be, and only a hint.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_trace_chunks_new(
    capacity: usize,
    out_handle: *mut *mut TracerTraceChunks,
) -> *mut TraceExporterError {
    // Memory follows from what comes, not from what is announced.
    let _ = capacity;
    enter(|| {
        if !is_place(out_handle) {
            return write(out_handle, ptr::null_mut());
        }
        let handle = handles::open(&handles::CHUNKS, Chunks::begin)?;
        write(out_handle, as_pointer(handle))
    })
}

/// Frees chunks that were not sent. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_trace_chunks_free(handle: *mut TracerTraceChunks) {
    handles::CHUNKS.free(handle.addr(), Chunks::clear);
}

/// Begins a chunk. `capacity` is how many spans there will be, and only a hint.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_trace_chunks_begin_chunk(
    handle: *mut TracerTraceChunks,
    capacity: usize,
) -> *mut TraceExporterError {
    let _ = capacity;
    enter(|| {
        let begun = handles::CHUNKS.with(handle.addr(), Chunks::begin_chunk);
        begun.unwrap_or_else(|| Err(Fault::stale("list of chunks")))
    })
}

/// Puts a span into the chunk that was begun last. The span is gone then, after an error, too.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_trace_chunks_push_span(
    handle: *mut TracerTraceChunks,
    span: *mut TracerSpan,
) -> *mut TraceExporterError {
    enter(|| {
        let pushed = handles::SPANS.close(span.addr(), |span| {
            let push = |chunks: &mut Chunks| chunks.push(span);
            let pushed = handles::CHUNKS.with(handle.addr(), push);
            span.clear();
            pushed.unwrap_or_else(|| Err(Fault::stale("list of chunks")))
        });
        pushed.unwrap_or_else(|| Err(Fault::stale("span")))
    })
}
