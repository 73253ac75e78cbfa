//! Every format that comes in and goes out, listed once: whoever adds one adds a file of this room and a line here.

use super::encoder::Encoding;
use super::from_v1::Decoded;
use super::intake::Encoder as Intake;
use super::log_lines::Encoder as LogLines;
use super::{detect, from_v1, from_v05, otlp, v1, v04, v04_events, v05};
use crate::error::Error;
use crate::settings::{InputFormat, LINE_BYTES, OtherFormat, OtlpEncoding, OutputFormat};
use crate::trace::OnMalformed;
use once_cell::sync::Lazy;

/// The formats that settings name.
static OUT: Lazy<[(OutputFormat, Encoding); 3]> = Lazy::new(|| {
    [
        (
            OutputFormat::V04,
            Encoding::new("v0.4", v04::Encoder::default).same_as(InputFormat::V04).taking_edits(),
        ),
        (OutputFormat::V05, Encoding::new("v0.5", v05::Encoder::default).same_as(InputFormat::V05)),
        (OutputFormat::V1, Encoding::new("v1", v1::Encoder::default).same_as(InputFormat::V1)),
    ]
});

/// The format that scan and stages read: payloads of others are rewritten as it first, and what stages have changed
/// becomes it before it goes to an encoder that takes no edits.
pub const SCANNED: InputFormat = InputFormat::V04;

/// The format that a setting names.
pub fn encoding(format: OutputFormat) -> Encoding {
    OUT[format as usize].1.clone()
}

impl From<OutputFormat> for Encoding {
    fn from(format: OutputFormat) -> Self {
        encoding(format)
    }
}

/// A format for a peer that is no agent, with nothing said of how it wants it.
pub fn other(format: OtherFormat) -> Encoding {
    let otlp = |encoding| otlp::encoding(otlp::Options { encoding, ..otlp::Options::default() });
    match format {
        OtherFormat::OtlpProto => otlp(OtlpEncoding::Protobuf),
        OtherFormat::OtlpJson => otlp(OtlpEncoding::Json),
        OtherFormat::Intake => intake(false),
        OtherFormat::Log => log_lines(LINE_BYTES),
    }
}

/// JSON for Datadog's intake; `stats_computed`: on this side, so that the intake does not have to.
pub fn intake(stats_computed: bool) -> Encoding {
    Encoding::new("JSON of the intake", move || Intake::new(stats_computed))
}

/// Log lines of at most so many bytes.
pub fn log_lines(most: usize) -> Encoding {
    Encoding::new("log lines", move || LogLines::new(most))
}

impl From<OtherFormat> for Encoding {
    fn from(format: OtherFormat) -> Self {
        other(format)
    }
}

/// The format of [`SCANNED`], going out.
pub fn scanned() -> Encoding {
    encoding(OutputFormat::V04)
}

/// The same without native span events, for peers that do not read them.
pub fn scanned_without_events() -> Encoding {
    static WITHOUT: Lazy<Encoding> = Lazy::new(|| {
        let encoding = Encoding::new("v0.4 without native span events", v04_events::Encoder::default);
        encoding.same_as(InputFormat::V04).taking_edits().without_events()
    });
    WITHOUT.clone()
}

/// Readers of the formats that come in, with their memory.
#[derive(Debug, Default)]
pub struct Decoders {
    v05: from_v05::Decoder,
    v1: from_v1::Decoder,
}

/// What a payload that goes on as it is holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Its chunks.
    pub chunks: u32,
    /// Their spans.
    pub spans: u64,
    /// Spans whose service is not there or empty.
    pub without_service: u64,
}

impl Decoders {
    /// Checks a payload that shall go on as it is. `None`: it cannot, something in it has to be repaired or left out;
    /// or the pipeline is the one that checks this format.
    ///
    /// # Errors
    /// With [`OnMalformed::Fail`] the first fault with its place; else only if nothing can be read.
    pub fn check(
        &mut self,
        format: InputFormat,
        bytes: &[u8],
        policy: OnMalformed,
    ) -> Result<Option<Checked>, Error> {
        match format {
            InputFormat::V04 | InputFormat::Auto => Ok(None),
            InputFormat::V05 => match from_v05::check(bytes) {
                Ok(found) => Ok(Some(found)),
                Err(error) if policy == OnMalformed::Fail => Err(error),
                Err(_) => Ok(None),
            },
            InputFormat::V1 => {
                let found = self.v1.to_v04(bytes, policy)?;
                let whole = found.malformed_chunks == 0 && found.clamped_times == 0;
                Ok(whole.then_some(Checked {
                    chunks: found.chunks,
                    spans: found.spans,
                    without_service: found.without_service,
                }))
            }
        }
    }

    /// Rewrites a payload as [`SCANNED`]. `None`: it is that already.
    ///
    /// # Errors
    /// With [`OnMalformed::Fail`] the first fault with its place; else only if nothing can be read.
    pub fn decode(
        &mut self,
        format: InputFormat,
        bytes: &[u8],
        policy: OnMalformed,
    ) -> Result<Option<Decoded<'_>>, Error> {
        match format {
            InputFormat::V04 => Ok(None),
            InputFormat::V05 => self.v05.to_v04(bytes, policy).map(Some),
            InputFormat::V1 => self.v1.to_v04(bytes, policy).map(Some),
            InputFormat::Auto => self.decode(detect(bytes), bytes, policy),
        }
    }

    /// Bytes of memory held.
    pub fn capacity_bytes(&self) -> usize {
        self.v05.capacity_bytes() + self.v1.capacity_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_stands_in_the_order_of_its_names() {
        for (i, (format, encoding)) in OUT.iter().enumerate() {
            assert_eq!(*format as usize, i, "{encoding:?}");
        }
        assert_eq!(OUT.len(), OutputFormat::ALL.len());
        assert!(scanned().is_same_as(SCANNED));
    }
}
