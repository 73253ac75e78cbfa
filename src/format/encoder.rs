//! The one shape of a format that goes out.
//!
//! An [`Encoding`] says what it is and what it asks of the pipeline; its [`Encoder`] takes the batches of one payload
//! in their order and gives the body. The pipeline, conversions and delivery hold an encoding and know no format by
//! name, so a new one is a file here and a line in the list (`list.rs`), or a value of the caller's own.
//!
//! Encoders are called once a batch (128 spans), so that a call through a pointer costs nothing that can be measured.

use crate::account::Counts;
use crate::error::Error;
use crate::settings::{InputFormat, Metadata};
use crate::trace::Payload;
use std::fmt;
use std::sync::Arc;

/// What a payload held that the target format has no place for. Counted in spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Spans whose `meta_struct` could not be carried.
    pub meta_structs: u64,
    /// Spans with a negative start or duration that became 0, because the format has only unsigned ones.
    pub clamped_times: u64,
    /// Spans with a metric that is not finite, which JSON cannot say.
    pub numbers: u64,
    /// Spans that the format has no room for, left out whole, and chunks of which nothing is left then.
    pub too_large: Counts,
}

impl Lost {
    /// Spans that are not what they were.
    pub fn spans(self) -> u64 {
        self.meta_structs + self.clamped_times + self.numbers
    }
}

/// Puts the body of one payload together from its batches; keeps its memory for the next payload.
pub trait Encoder: fmt::Debug + Send {
    /// Starts a body; what the last one held is gone. `metadata` is what the settings say of the process.
    fn begin(&mut self, metadata: &Metadata);

    /// Adds the chunks of a batch that are kept. All batches of one body are of the same bytes. A batch with edits
    /// ([`Payload::has_edits`]) comes only to an encoder whose encoding [takes them](Encoding::taking_edits).
    fn add(&mut self, batch: &mut Payload<'_>);

    /// Chunks and spans in the body so far.
    fn counts(&self) -> (u32, u64);

    /// What the payload held so far that the format cannot carry.
    fn lost(&self) -> Lost;

    /// Ends the body and gives it. `source` is the bytes that the batches were of: an encoder may have kept places in
    /// it.
    ///
    /// # Errors
    /// As the format has them; the body is lost then.
    fn finish(&mut self, source: &[u8], metadata: &Metadata) -> Result<&[u8], Error>;

    /// Bytes of memory held.
    fn capacity_bytes(&self) -> usize;
}

/// A format that payloads go out in: what it is called, how an encoder of it is made, and what it asks of the pipeline.
/// Cheap to clone; the same only as its clones.
#[derive(Clone)]
pub struct Encoding(Arc<Facts>);

#[derive(Clone)]
struct Facts {
    name: &'static str,
    encoder: Arc<dyn Fn() -> Box<dyn Encoder> + Send + Sync>,
    same_as: Option<InputFormat>,
    takes_edits: bool,
    without_events: bool,
}

impl Encoding {
    /// A format of this name, for people; `encoder` makes encoders that have held nothing yet.
    pub fn new<E: Encoder + 'static>(
        name: &'static str,
        encoder: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self {
        let encoder = Arc::new(move || Box::new(encoder()) as Box<dyn Encoder>);
        Self(Arc::new(Facts { name, encoder, same_as: None, takes_edits: false, without_events: false }))
    }

    /// The same format; payloads that come as `input` are bodies of it as they are.
    #[must_use]
    pub fn same_as(self, input: InputFormat) -> Self {
        Self(Arc::new(Facts { same_as: Some(input), ..(*self.0).clone() }))
    }

    /// The same format, whose encoders carry out edits themselves. For one that does not, the changed payload is made
    /// first and scanned again: rare, and it keeps encoders simple.
    #[must_use]
    pub fn taking_edits(self) -> Self {
        Self(Arc::new(Facts { takes_edits: true, ..(*self.0).clone() }))
    }

    /// The same format, but native span events have no place in it: they become something else. A payload that has
    /// some is no body as it is, and its edits are carried out first.
    #[must_use]
    pub fn without_events(self) -> Self {
        Self(Arc::new(Facts { without_events: true, ..(*self.0).clone() }))
    }

    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// An encoder that has held nothing yet.
    pub fn encoder(&self) -> Box<dyn Encoder> {
        (self.0.encoder)()
    }

    /// Whether payloads that come as `input` are bodies of this format as they are.
    pub fn is_same_as(&self, input: InputFormat) -> bool {
        self.0.same_as == Some(input)
    }

    /// Whether an encoder takes this batch as it is, its edits included.
    pub fn takes(&self, batch: &Payload<'_>) -> bool {
        !batch.has_edits() || self.0.takes_edits && self.leaves(batch)
    }

    /// Whether native span events have no place in it.
    pub fn has_no_events(&self) -> bool {
        self.0.without_events
    }

    /// Whether a batch of a payload that comes in this format may go on as it is.
    pub fn leaves(&self, batch: &Payload<'_>) -> bool {
        !self.0.without_events || batch.spans().iter().all(|span| !span.has_events())
    }
}

impl PartialEq for Encoding {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Encoding {}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Encoders with their memory, one a format that was asked for.
#[derive(Debug, Default)]
pub struct Encoders(Vec<(Encoding, Box<dyn Encoder>)>);

/// Formats change rarely: an exporter needs its own and the one that it falls back to.
const KEPT: usize = 3;

impl Encoders {
    /// The encoder of a format.
    pub fn of(&mut self, encoding: &Encoding) -> &mut dyn Encoder {
        let known = self.0.iter().position(|(known, _)| known == encoding);
        let at = known.unwrap_or_else(|| {
            if self.0.len() == KEPT {
                self.0.remove(0);
            }
            self.0.push((encoding.clone(), encoding.encoder()));
            self.0.len() - 1
        });
        &mut *self.0[at].1
    }

    /// Bytes of memory held.
    pub fn capacity_bytes(&self) -> usize {
        self.0.iter().map(|(_, encoder)| encoder.capacity_bytes()).sum()
    }
}
