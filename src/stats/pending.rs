//! What [`super::Rules::observe`] leaves for [`super::Concentrator::commit`]: a record a span that counts, and its key.

use super::key::KeyWriter;
use super::memo::Memo;
use super::recall::{Described, Recall};
use super::resources::Known;

/// In the place of a key: it is in [`Pending::recall`].
pub(super) const RECALLED: u32 = 1 << 31;

/// One span that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) hash: u64,
    /// In the keys of this payload, or with [`RECALLED`] in those that were met before.
    pub(super) key_at: u32,
    pub(super) key_len: u32,
    pub(crate) end: u64,
    pub(crate) duration: u64,
    pub(crate) error: bool,
    pub(crate) top_level: bool,
}

/// Spans of one payload that are recorded and not counted yet. Its memory is used again for the next payload.
#[derive(Debug, Default)]
pub struct Pending {
    pub(super) records: Vec<Record>,
    pub(super) keys: KeyWriter,
    /// Peer tags of one span: their place in the order, and where the value is.
    pub(super) found: Vec<(u16, u32)>,
    pub(super) scratch: Vec<u8>,
    pub(super) memo: Memo,
    pub(super) known: Known,
    pub(super) recall: Recall,
    pub(super) described: Described,
    /// Spans that count, met in this pass, and how many of them are counted already (in this pass or one before).
    pub(super) seen: u64,
    pub(super) done: u64,
}

/// A payload that records more than this is counted in parts: what is counted soon is still in the processor's cache.
const MANY_BYTES: usize = 64 << 10;

impl Pending {
    /// A new payload.
    pub fn begin(&mut self) {
        self.restart();
        self.done = 0;
    }

    /// The same payload again, from its first chunk. What was counted is not counted twice.
    pub(crate) fn restart(&mut self) {
        self.records.clear();
        self.keys.clear();
        self.seen = 0;
    }

    /// Whether it is time to count what has come together.
    pub(crate) fn is_much(&self) -> bool {
        self.keys.len() + self.records.len() * size_of::<Record>() > MANY_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records with their keys.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&Record, &[u8])> {
        let (written, recalled) = (self.keys.written(), self.recall.texts());
        self.records.iter().map(move |r| {
            let keys = if r.key_at & RECALLED == 0 { written } else { recalled };
            let at = (r.key_at & !RECALLED) as usize;
            (r, keys.get(at..at + r.key_len as usize).unwrap_or(&[]))
        })
    }

    /// What was recorded has been counted.
    pub(crate) fn counted(&mut self) {
        self.done = self.done.max(self.seen);
        self.records.clear();
        self.keys.clear();
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record>()
            + self.keys.capacity_bytes()
            + self.known.capacity_bytes()
            + self.recall.capacity_bytes()
    }
}
