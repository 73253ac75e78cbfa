//! The formats that payloads come in and go out in, by name.

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
    /// Looked at: see `format::detect`.
    Auto,
}

impl InputFormat {
    /// The names in settings.
    pub const ALL: [(&'static str, InputFormat); 4] =
        [("V04", Self::V04), ("V05", Self::V05), ("V1", Self::V1), ("AUTO", Self::Auto)];

    /// The names in the tool.
    pub(crate) const NAMES: [(&'static str, InputFormat); 4] =
        [("v0.4", Self::V04), ("v0.5", Self::V05), ("v1", Self::V1), ("auto", Self::Auto)];
}

/// What goes to the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// `/v0.4/traces`.
    #[default]
    V04,
    /// `/v0.5/traces`.
    V05,
    /// `/v1.0/traces`; v0.4 for agents that answer 404.
    V1,
}

impl OutputFormat {
    /// The names in settings.
    pub const ALL: [(&'static str, OutputFormat); 3] =
        [("V04", Self::V04), ("V05", Self::V05), ("V1", Self::V1)];

    /// For [`Builder::output_format`](super::Builder::output_format): the best format that the agent offers, v1 where
    /// `/info` lists it, else v0.4. (v0.5 is never chosen: it cannot carry everything that v0.4 does.)
    pub const AUTO: OutputChoice = OutputChoice::Auto;

    /// The agent's endpoint.
    pub fn path(self) -> &'static str {
        match self {
            Self::V04 => "/v0.4/traces",
            Self::V05 => "/v0.5/traces",
            Self::V1 => "/v1.0/traces",
        }
    }
}

/// Formats for peers that are no agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherFormat {
    /// OTLP as protobuf.
    OtlpProto,
    /// OTLP as JSON.
    OtlpJson,
    /// JSON for Datadog's intake without an agent.
    Intake,
    /// Lines of JSON.
    Log,
}

impl OtherFormat {
    /// The names in the tool.
    pub const NAMES: [(&'static str, OtherFormat); 4] = [
        ("otlp-proto", Self::OtlpProto),
        ("otlp-json", Self::OtlpJson),
        ("intake", Self::Intake),
        ("log", Self::Log),
    ];
}

/// What goes to the agent, or that the agent's offer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputChoice {
    /// This format.
    Of(OutputFormat),
    /// See [`OutputFormat::AUTO`].
    Auto,
}

impl OutputChoice {
    /// The names in settings.
    pub const ALL: [(&'static str, OutputChoice); 4] = [
        ("V04", Self::Of(OutputFormat::V04)),
        ("V05", Self::Of(OutputFormat::V05)),
        ("V1", Self::Of(OutputFormat::V1)),
        ("AUTO", Self::Auto),
    ];
}

impl From<OutputFormat> for OutputChoice {
    fn from(format: OutputFormat) -> Self {
        Self::Of(format)
    }
}
