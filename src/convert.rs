//! Payloads of every format, in and out: which format a payload has, its way to v0.4, which the pipeline works on, and
//! conversions without an exporter.
//!
//! A payload whose format is the one wanted, and that no stage has to look at, is checked and passed on as it came.

use crate::account::{Counts, Outcome};
use crate::error::Error;
use crate::format::{Decoders, Encoding, SCANNED, detect};
use crate::pipeline::{self, Plan, Prepared};
pub use crate::settings::Conversion;
use crate::settings::{InputFormat, Metadata};
use serde_json::json;

/// The memory of one payload's way, from any format; used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    decoders: Decoders,
    stages: pipeline::Workspace,
}

/// Memory that grew beyond this for one unusual payload is given back.
const KEEP_BYTES: usize = 8 << 20;

impl Workspace {
    /// Takes a payload of any format through the pipeline.
    ///
    /// # Errors
    /// As [`pipeline::Workspace::prepare`].
    pub(crate) fn prepare<'w>(
        &'w mut self,
        plan: &Plan,
        bytes: &'w [u8],
        metadata: &Metadata,
    ) -> Result<Prepared<'w>, Error> {
        let format = match plan.input {
            InputFormat::Auto => detect(bytes),
            known => known,
        };
        if plan.passes(format)
            && let Some(found) = self.decoders.check(format, bytes, plan.on_malformed)?
            && (found.without_service == 0 || !plan.gives_service())
        {
            return Ok(passed(bytes, u64::from(found.chunks), found.spans));
        }
        let Some(decoded) = self.decoders.decode(format, bytes, plan.on_malformed)? else {
            return self.stages.prepare(plan, bytes, metadata);
        };
        let v04 = decoded.v04;
        let mut prepared = if plan.passes_whatever(SCANNED) {
            passed(v04, u64::from(decoded.chunks), decoded.spans)
        } else {
            self.stages.prepare(plan, v04, metadata)?
        };
        // The account is in bytes of the input.
        let (len, was) = (bytes.len() as u64, v04.len().max(1) as u64);
        let rest = len.saturating_sub(decoded.malformed_bytes);
        let outcome = &mut prepared.outcome;
        for counts in [
            &mut outcome.filtered,
            &mut outcome.sampled_out,
            &mut outcome.malformed,
            &mut outcome.refused,
            &mut outcome.too_large,
        ] {
            counts.bytes = (u128::from(counts.bytes) * u128::from(rest) / u128::from(was)) as u64;
        }
        let malformed = Counts {
            traces: u64::from(decoded.malformed_chunks),
            spans: decoded.malformed_spans,
            bytes: decoded.malformed_bytes.min(len),
        };
        outcome.malformed = outcome.malformed.plus(malformed);
        outcome.lost_in_conversion += decoded.clamped_times;
        prepared.received = Counts { bytes: len, ..prepared.received.plus(malformed) };
        if let Some(fault) = decoded.first_fault {
            prepared.first_fault.get_or_insert_with(|| fault.message().to_owned());
        }
        Ok(prepared)
    }

    /// Bytes of memory held.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.decoders.capacity_bytes() + self.stages.capacity_bytes()
    }

    /// Gives memory back after an unusually large payload.
    pub(crate) fn trim(&mut self) {
        self.stages.trim();
        if self.decoders.capacity_bytes() > KEEP_BYTES {
            self.decoders = Decoders::default();
        }
    }
}

/// A body that is what came in, or what its decoder has checked.
fn passed(body: &[u8], traces: u64, spans: u64) -> Prepared<'_> {
    Prepared {
        body,
        received: Counts { traces, spans, bytes: body.len() as u64 },
        traces,
        spans,
        outcome: Outcome::default(),
        first_fault: None,
        refusal: None,
        first_refused: &[],
        first_malformed: &[],
    }
}

/// What [`convert`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The format that the payload had.
    pub from: InputFormat,
    /// The payload in the format wanted.
    pub body: Vec<u8>,
    /// What the payload held.
    pub received: Counts,
    /// Traces of the body.
    pub traces: u64,
    /// Spans of the body.
    pub spans: u64,
    /// What was left out, repaired or lost.
    pub outcome: Outcome,
    /// Place and reason of the first fault that was repaired or dropped.
    pub first_fault: Option<String>,
}

impl Converted {
    /// What became of the payload, as one JSON object.
    pub fn to_json(&self) -> String {
        let from = InputFormat::NAMES.iter().find(|(_, format)| *format == self.from);
        let o = &self.outcome;
        json!({
            "from": from.map(|(name, _)| *name),
            "bytes": self.body.len(),
            "traces": self.traces,
            "spans": self.spans,
            "received_bytes": self.received.bytes,
            "received_traces": self.received.traces,
            "received_spans": self.received.spans,
            "filtered": o.filtered.traces,
            "sampled_out": o.sampled_out.traces,
            "malformed": o.malformed.traces,
            "repaired": o.repaired,
            "lost_in_conversion": o.lost_in_conversion,
            "first_fault": self.first_fault,
        })
        .to_string()
    }
}

/// Converts one payload.
///
/// ```
/// use data_pipeline::{Conversion, InputFormat, OutputFormat, convert};
///
/// let v04 = b"\x91\x91\x83\xa8trace_id\x01\xa7span_id\x02\xa4name\xa2op";
/// let wanted = Conversion { to: OutputFormat::V1, ..Conversion::default() };
/// let v1 = convert(v04, &wanted)?;
/// assert_eq!((v1.traces, v1.spans), (1, 1));
/// let wanted = Conversion { from: InputFormat::Auto, ..Conversion::default() };
/// assert_eq!(convert(&v1.body, &wanted)?.spans, 1);
/// # Ok::<(), data_pipeline::Error>(())
/// ```
///
/// # Errors
/// `MALFORMED_PAYLOAD` or `TRUNCATED_PAYLOAD` with the place; `INVALID_CONFIGURATION` for a rule that cannot be used.
pub fn convert(payload: &[u8], wanted: &Conversion) -> Result<Converted, Error> {
    convert_to(payload, &wanted.to.into(), wanted, &Metadata::default())
}

/// Converts one payload into any format, also one of the caller's own; `wanted.to` has no say. `metadata` is for what a
/// payload does not say itself.
///
/// # Errors
/// As [`convert`], and what the format's encoder has.
pub fn convert_to(
    payload: &[u8],
    format: &Encoding,
    wanted: &Conversion,
    metadata: &Metadata,
) -> Result<Converted, Error> {
    let plan = Plan::of_conversion(wanted, format)?;
    let mut workspace = Workspace::default();
    let prepared = workspace.prepare(&plan, payload, metadata)?;
    Ok(Converted {
        from: if wanted.from == InputFormat::Auto { detect(payload) } else { wanted.from },
        body: prepared.body.to_vec(),
        received: prepared.received,
        traces: prepared.traces,
        spans: prepared.spans,
        outcome: prepared.outcome,
        first_fault: prepared.first_fault,
    })
}
