//! Payloads of every format, in and out: which format a payload has, its way to v0.4, which the pipeline works on, and
//! conversions without an exporter.
//!
//! A payload whose format is the one wanted, and that no stage has to look at, is checked and passed on as it came.

use crate::config::{Metadata, OutputFormat};
use crate::delivery::accounting::{Counts, Outcome};
use crate::error::{Error, ErrorKind};
use crate::format::{from_v1, from_v05};
use crate::msgpack::reader;
use crate::pipeline::{self, Plan, Prepared};
use crate::trace::{FilterRules, OnMalformed};
use serde_json::json;

/// What the tracer hands over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputFormat {
    /// An array of traces, each an array of spans.
    #[default]
    V04,
    /// A table of strings, and spans of twelve numbers.
    V05,
    /// Maps of small integer keys.
    V1,
    /// Looked at: see [`detect`].
    Auto,
}

impl InputFormat {
    /// The names in settings.
    pub const ALL: [(&'static str, InputFormat); 4] =
        [("V04", Self::V04), ("V05", Self::V05), ("V1", Self::V1), ("AUTO", Self::Auto)];

    /// The names in the tool.
    const NAMES: [(&'static str, InputFormat); 4] =
        [("v0.4", Self::V04), ("v0.5", Self::V05), ("v1", Self::V1), ("auto", Self::Auto)];

    /// Whether payloads come in the format they go out in.
    pub(crate) fn is(self, format: OutputFormat) -> bool {
        matches!(
            (self, format),
            (Self::V04, OutputFormat::V04) | (Self::V05, OutputFormat::V05) | (Self::V1, OutputFormat::V1)
        )
    }
}

/// The format of a payload: a map is v1; an array of two whose first is an array that begins with a text is v0.5;
/// anything else v0.4.
pub fn detect(payload: &[u8]) -> InputFormat {
    if reader::map_head(payload, 0).is_ok() {
        return InputFormat::V1;
    }
    let table = match reader::array_head(payload, 0) {
        Ok((2, at)) => at,
        _ => return InputFormat::V04,
    };
    let first = match reader::array_head(payload, table) {
        Ok((n, at)) if n > 0 => at,
        _ => return InputFormat::V04,
    };
    match payload.get(first) {
        Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6) => InputFormat::V05,
        _ => InputFormat::V04,
    }
}

/// The memory of one payload's way, from any format; used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    v05: from_v05::Decoder,
    v1: from_v1::Decoder,
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
        let decoded = match format {
            InputFormat::V04 | InputFormat::Auto => return self.stages.prepare(plan, bytes, metadata),
            InputFormat::V05 => {
                if plan.passes(OutputFormat::V05) {
                    match from_v05::check(bytes) {
                        Ok(found) => return Ok(passed(bytes, u64::from(found.chunks), found.spans)),
                        Err(error) if plan.on_malformed == OnMalformed::Fail => return Err(error),
                        Err(_) => {}
                    }
                }
                self.v05.to_v04(bytes, plan.on_malformed)?
            }
            InputFormat::V1 => self.v1.to_v04(bytes, plan.on_malformed)?,
        };
        let whole = decoded.malformed_chunks == 0 && decoded.clamped_times == 0;
        if format == InputFormat::V1 && whole && plan.passes(OutputFormat::V1) {
            return Ok(passed(bytes, u64::from(decoded.chunks), decoded.spans));
        }
        let v04 = decoded.v04;
        let mut prepared = if plan.passes(OutputFormat::V04) {
            passed(v04, u64::from(decoded.chunks), decoded.spans)
        } else {
            self.stages.prepare(plan, v04, metadata)?
        };
        // The account is in bytes of the input.
        let (len, was) = (bytes.len() as u64, v04.len().max(1) as u64);
        let rest = len.saturating_sub(decoded.malformed_bytes);
        let outcome = &mut prepared.outcome;
        for counts in
            [&mut outcome.filtered, &mut outcome.sampled_out, &mut outcome.malformed, &mut outcome.refused]
        {
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
        self.v05.capacity_bytes() + self.v1.capacity_bytes() + self.stages.capacity_bytes()
    }

    /// Gives memory back after an unusually large payload.
    pub(crate) fn trim(&mut self) {
        self.stages.trim();
        if self.v05.capacity_bytes() + self.v1.capacity_bytes() > KEEP_BYTES {
            self.v05 = from_v05::Decoder::default();
            self.v1 = from_v1::Decoder::default();
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
    }
}

/// What [`convert`] shall do.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// The format of the payload.
    pub from: InputFormat,
    /// The format wanted.
    pub to: OutputFormat,
    /// Mark top-level spans (`_top_level`).
    pub top_level: bool,
    /// Leave out what sampling has rejected.
    pub drop_p0: bool,
    /// Traces to leave out.
    pub filters: FilterRules,
    /// What becomes of input that an agent would refuse.
    pub on_malformed: OnMalformed,
}

impl Conversion {
    /// Reads what a command line asks for: `from=` and `to=` with `v0.4`, `v0.5`, `v1` (or `from=auto`), `top-level`, `drop-p0`,
    /// `filter=` with a rule ([`FilterRules::add`]).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for anything else.
    pub fn read<'t>(words: impl Iterator<Item = &'t str>) -> Result<Self, Error> {
        let mut wanted = Self { from: InputFormat::Auto, ..Self::default() };
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("from", name) => wanted.from = format_named(name, &InputFormat::NAMES)?,
                ("to", name) => {
                    wanted.to = match format_named(name, &InputFormat::NAMES[..3])? {
                        InputFormat::V05 => OutputFormat::V05,
                        InputFormat::V1 => OutputFormat::V1,
                        _ => OutputFormat::V04,
                    }
                }
                ("filter", rule) => wanted.filters.add(rule)?,
                ("top-level", "") => wanted.top_level = true,
                ("drop-p0", "") => wanted.drop_p0 = true,
                _ => {
                    return Err(Error::new(ErrorKind::InvalidArgument, format!("{word:?} is no option")));
                }
            }
        }
        Ok(wanted)
    }
}

fn format_named(name: &str, known: &[(&str, InputFormat)]) -> Result<InputFormat, Error> {
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|(_, format)| *format).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let text = format!("the format {name:?} is none of {}", names.join(", "));
        Error::new(ErrorKind::InvalidArgument, text)
    })
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
/// use data_pipeline::config::OutputFormat;
/// use data_pipeline::convert::{Conversion, InputFormat, convert};
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
    let plan = Plan::of_conversion(wanted)?;
    let mut workspace = Workspace::default();
    let prepared = workspace.prepare(&plan, payload, &Metadata::default())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_read_or_named() {
        let read = |words: &str| Conversion::read(words.split_terminator(' '));
        let plain = read("to=v1").unwrap();
        assert_eq!((plain.from, plain.to), (InputFormat::Auto, OutputFormat::V1));
        assert!(!plain.top_level && !plain.drop_p0 && plain.filters.is_empty());
        let all = read("to=v0.5 from=v0.4 top-level drop-p0 filter=reject:a=b filter=ignore:x").unwrap();
        assert_eq!((all.from, all.to), (InputFormat::V04, OutputFormat::V05));
        assert!(all.top_level && all.drop_p0);
        assert_eq!((&all.filters.reject[0][..], &all.filters.ignore_resources[0][..]), ("a=b", "x"));
        for (words, why) in [
            ("to=auto", "the format \"auto\" is none of v0.4, v0.5, v1"),
            ("to=V1", "the format \"V1\" is none of v0.4, v0.5, v1"),
            ("from=", "the format \"\" is none of v0.4, v0.5, v1, auto"),
            ("drop-p0=no", "\"drop-p0=no\" is no option"),
            ("filter=keep:a", "the rule \"keep:a\" is none of require:KEY"),
        ] {
            let e = read(words).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument);
            assert!(e.message().starts_with(why), "{e}");
        }
    }

    #[test]
    fn a_payload_is_known_by_its_first_bytes() {
        for (bytes, format) in [
            (&b"\x80"[..], InputFormat::V1),
            (b"\xdf\0\0\0\0", InputFormat::V1),
            (b"\x92\x91\xa0\x90", InputFormat::V05),
            (b"\x92\xdd\0\0\0\x01\xd9\x01a\x90", InputFormat::V05),
            (b"\x92\x91\xc4\x01a\x90", InputFormat::V05),
            (b"\x92\x90\x90", InputFormat::V04),
            (b"\x92\x91\x80\x91\x80", InputFormat::V04),
            (b"\x91\x91\xa0", InputFormat::V04),
            (b"\x90", InputFormat::V04),
            (b"\xc0", InputFormat::V04),
            (b"", InputFormat::V04),
        ] {
            assert_eq!(detect(bytes), format, "{bytes:x?}");
        }
    }
}
