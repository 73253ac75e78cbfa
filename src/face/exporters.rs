//! The exporters that a foreign host holds by handle, each with buffers for payloads that it copies and the last
//! answer that it knows.
//!
//! **No garbage when nothing is new.** A host hands over the number of the last answer that it has. If the agent
//! answered the same and the counts are equal, it may keep that object; if only the counts differ, one that shares the
//! rest with it.

use super::handle::Handles;
use crate::error::{Error, ErrorKind};
use crate::exporter::{self, AgentResponse, TraceExporter};
use crate::settings::{Config, RawConfig};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// How many payload buffers are kept for concurrent senders.
const KEPT_BUFFERS: usize = 4;
/// A buffer that grew beyond this for one unusual payload is given back.
const KEEP_BYTES: usize = 4 << 20;

/// What a host holds.
pub(crate) struct Exporter {
    pub(crate) exporter: TraceExporter,
    buffers: Mutex<Vec<Vec<u8>>>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    id: i64,
    response: Option<AgentResponse>,
}

/// How an answer differs from the last one, with the number of the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// In nothing.
    None,
    /// In the counts.
    Counts(i64),
    /// In more than that, or the host does not know the last one.
    All(i64),
}

static EXPORTERS: Handles<Exporter> = Handles::new();

/// A handle of a new exporter with these settings, one msgpack map.
pub(crate) fn open(settings: &[u8]) -> Result<i64, Error> {
    let exporter = TraceExporter::new(Config::new(RawConfig::from_msgpack(settings)?)?)?;
    Ok(EXPORTERS.insert(Arc::new(Exporter { exporter, buffers: Mutex::default(), last: Mutex::default() })))
}

/// Why settings cannot be used, in the form of [`open`]; none if they can.
pub(crate) fn why_not(settings: &[u8]) -> Result<Option<Error>, Error> {
    Ok(exporter::check(RawConfig::from_msgpack(settings)?).err())
}

/// The exporter, borrowed for a call.
pub(crate) fn find(handle: i64) -> Option<Arc<Exporter>> {
    EXPORTERS.get(handle)
}

/// Takes the handle away: later calls find nothing.
pub(crate) fn take(handle: i64) -> Option<Arc<Exporter>> {
    EXPORTERS.remove(handle)
}

/// Closes whatever nobody has closed.
pub(crate) fn close_all() {
    for forgotten in EXPORTERS.take_all() {
        forgotten.exporter.close_within(Duration::ZERO);
    }
}

impl Exporter {
    /// Lends a payload buffer. Which one does not matter; a concurrent send gets another.
    pub(crate) fn with_buffer<R>(&self, body: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut buffer = self.buffers.lock().pop().unwrap_or_default();
        let result = body(&mut buffer);
        let mut kept = self.buffers.lock();
        if kept.len() < KEPT_BUFFERS && buffer.capacity() <= KEEP_BYTES {
            kept.push(buffer);
        }
        result
    }

    /// What is new in an answer for a host that has the one numbered `known`, or none.
    pub(crate) fn news(&self, response: &AgentResponse, known: Option<i64>) -> News {
        let mut last = self.last.lock();
        let known = known == Some(last.id);
        let same = last.response.as_ref().is_some_and(|old| same_answer(old, response));
        if known && same && last.response.as_ref().is_some_and(|old| same_counts(old, response)) {
            return News::None;
        }
        last.id += 1;
        last.response = Some(response.clone());
        if known && same { News::Counts(last.id) } else { News::All(last.id) }
    }
}

/// Makes room for `length` bytes. A host that is short of memory gets an error; an allocation that fails elsewhere
/// would end its process.
pub(crate) fn grow<T: Clone + Default>(buffer: &mut Vec<T>, length: usize) -> Result<(), Error> {
    if buffer.try_reserve(length.saturating_sub(buffer.len())).is_err() {
        let bytes = length.saturating_mul(size_of::<T>());
        let message = format!("there is no native memory for a payload of {bytes} bytes");
        return Err(Error::new(ErrorKind::OutOfMemory, message));
    }
    buffer.resize(length, T::default());
    Ok(())
}

/// Checks offset and length against what they are a part of.
pub(crate) fn bounds(offset: i32, length: i32, of: usize) -> Result<(usize, usize), Error> {
    match (usize::try_from(offset), usize::try_from(length)) {
        (Ok(o), Ok(n)) if o.checked_add(n).is_some_and(|end| end <= of) => Ok((o, n)),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("offset {offset} and length {length} are not within the {of} bytes of the payload"),
        )),
    }
}

fn same_counts(a: &AgentResponse, b: &AgentResponse) -> bool {
    (a.traces, a.spans, a.left_out) == (b.traces, b.spans, b.left_out)
}

/// Whether all but the counts is equal. Bodies are shared while they stay the same, so pointers decide.
fn same_answer(a: &AgentResponse, b: &AgentResponse) -> bool {
    let same = |x: &Option<Arc<[u8]>>, y: &Option<Arc<[u8]>>| match (x, y) {
        (Some(x), Some(y)) => Arc::ptr_eq(x, y),
        (None, None) => true,
        _ => false,
    };
    let (x, y) = (&a.reply, &b.reply);
    x.status == y.status
        && x.attempts == y.attempts
        && x.rates_changed == y.rates_changed
        && Arc::ptr_eq(&x.body, &y.body)
        && same(&x.rates, &y.rates)
        && x.container_tags_hash == y.container_tags_hash
}
