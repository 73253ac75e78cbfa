//! What became of a payload, or of a part of it, as one value. Everything that delivers gives it, everything
//! that accounts takes it; whoever gets one matches it.

use super::Counts;
use crate::error::Error;

/// What a tracer dropped itself before it handed over the payload; goes out as headers beside our own counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedP0 {
    /// Chunks of priority 0 and below.
    pub traces: u64,
    /// Their spans.
    pub spans: u64,
}

impl DroppedP0 {
    /// The sum.
    #[must_use]
    pub fn plus(self, traces: u64, spans: u64) -> Self {
        Self { traces: self.traces.saturating_add(traces), spans: self.spans.saturating_add(spans) }
    }
}

/// What became of a payload or a part of it.
#[derive(Debug)]
pub enum Verdict<T> {
    /// The peer has it, or nothing of it was left to send.
    Sent(T),
    /// It is gone for good. The error says why, and [`DropReason::of_error`](super::DropReason::of_error) how
    /// it counts.
    Lost(Error),
    /// It did not arrive, and may another time.
    Later(Box<Later>),
    /// It cannot be read, so it never set out.
    Unreadable(Error),
    /// The peer wants another format.
    OtherFormat(Error),
    /// The peer does not take so much at once.
    TooLarge(Error),
}

impl<T> Verdict<T> {
    /// The error, if it is none but [`Verdict::Sent`].
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Sent(_) => None,
            Self::Later(later) => Some(&later.error),
            Self::Lost(e) | Self::Unreadable(e) | Self::OtherFormat(e) | Self::TooLarge(e) => Some(e),
        }
    }
}

/// What is left of a payload that is to be tried another time.
#[derive(Debug)]
pub struct Later {
    /// Why it did not arrive; [`Error::retry_at`] says before when it need not be tried.
    pub error: Error,
    /// What is left, as the account has it under `queued`.
    pub counts: Counts,
    /// What it has behind it.
    pub past: Past,
    /// What the tracer dropped beside it, as far as the peer has not heard of it.
    pub dropped: DroppedP0,
    /// What is left when a part has arrived: a v0.4 payload that went through the stages (`past.staged`). `None`: all.
    pub rest: Option<Vec<u8>>,
}

impl Later {
    /// A payload of which nothing has arrived, and that the account knows nothing new of.
    pub fn whole(error: Error) -> Box<Self> {
        Box::new(Self {
            error,
            counts: Counts::default(),
            past: Past::default(),
            dropped: DroppedP0::default(),
            rest: None,
        })
    }
}

/// What a payload that is tried again has behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Stats have counted its spans, or the tracer has.
    pub counted: bool,
    /// All stages have seen it: it is v0.4 whatever came in, and only an encoder is to come.
    pub staged: bool,
    /// A request was written whole and got no answer: the peer may have it.
    pub possibly_arrived: bool,
}

impl Past {
    /// As one byte, for what is kept on disk.
    pub const fn to_bits(self) -> u8 {
        self.counted as u8 | (self.staged as u8) << 1 | (self.possibly_arrived as u8) << 2
    }

    /// From the byte; bits that are not known are as if they were not there.
    pub const fn from_bits(bits: u8) -> Self {
        Self { counted: bits & 1 != 0, staged: bits & 2 != 0, possibly_arrived: bits & 4 != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_survives_a_byte() {
        for bits in 0..8 {
            assert_eq!(Past::from_bits(bits).to_bits(), bits);
        }
    }
}
