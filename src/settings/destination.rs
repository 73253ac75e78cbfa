//! Where payloads go, as callers say it: an agent, an OTLP endpoint, Datadog's intake, log lines. Each has its own
//! options, so none can be made that does nothing. `Config` has the checked form, [`Peer`](super::Peer).

use serde::Serialize;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Where payloads go: the one setting that chooses a mode. Nothing is checked before `build`.
///
/// ```
/// use data_pipeline::{Destination, OtlpEncoding, TraceExporter};
///
/// let gateway = Destination::otlp("http://gateway:4318").encoding(OtlpEncoding::Json).header("x-team", "shop");
/// let exporter = TraceExporter::builder().destination(gateway).build()?;
/// # drop(exporter);
/// # Ok::<(), data_pipeline::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Destination {
    /// A Datadog agent.
    Agent(AgentDestination),
    /// An OTLP endpoint over HTTP.
    Otlp(OtlpDestination),
    /// Datadog's intake, without an agent.
    Intake(IntakeDestination),
    /// Lines of JSON.
    Log(LogDestination),
}

impl Destination {
    /// A Datadog agent, by one of the forms of [`Builder::url`](super::Builder::url), which is short for this.
    pub fn agent(url: impl Into<String>) -> AgentDestination {
        AgentDestination { url: Some(url.into()) }
    }

    /// An OTLP endpoint over HTTP. A URL without a path gets `/v1/traces`; one with a path is taken as it is.
    pub fn otlp(url: impl Into<String>) -> OtlpDestination {
        OtlpDestination { url: Some(url.into()), ..OtlpDestination::default() }
    }

    /// Datadog's own OTLP intake (`https://otlp.SITE/v1/traces`), protobuf only, with an API key.
    pub fn datadog_otlp(site: impl Into<String>, api_key: impl Into<String>) -> OtlpDestination {
        let api_key = Some(Secret::new(api_key));
        OtlpDestination { site: Some(site.into()), api_key, ..OtlpDestination::default() }
    }

    /// Datadog's intake for traces, without an agent: `datadoghq.com` for instance, and an API key.
    pub fn intake(site: impl Into<String>, api_key: impl Into<String>) -> IntakeDestination {
        let api_key = Some(Secret::new(api_key));
        IntakeDestination { site: Some(site.into()), api_key, ..IntakeDestination::default() }
    }

    /// Lines of JSON, for hosts whose output is collected (serverless).
    pub fn log(target: LogTarget) -> LogDestination {
        LogDestination { target, max_line_bytes: None }
    }
}

/// See [`Destination::agent`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AgentDestination {
    /// Its address.
    pub url: Option<String>,
}

/// See [`Destination::otlp`].
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OtlpDestination {
    /// Where traces go.
    pub url: Option<String>,
    /// Where metrics go.
    pub metrics_url: Option<String>,
    /// PROTOBUF or JSON.
    pub encoding: Option<String>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// NONE, GZIP or ZSTD.
    pub compression: Option<String>,
    /// Whether attributes that only Datadog knows are left out.
    pub open_telemetry_semantics: bool,
    /// How many attributes a span has at most.
    pub max_attributes: Option<u32>,
    /// Datadog's site, if it is Datadog's own OTLP intake.
    pub site: Option<String>,
    /// The API key for it.
    pub api_key: Option<Secret>,
    /// How that intake makes spans of what it gets, as JSON.
    pub span_mapping: Option<String>,
}

impl OtlpDestination {
    /// How requests are written. Default: protobuf.
    #[must_use]
    pub fn encoding(mut self, encoding: OtlpEncoding) -> Self {
        self.encoding = name_of(encoding, &OtlpEncoding::ALL);
        self
    }

    /// One more header on every request, for credentials for instance; its value is never shown.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How bodies are compressed. Default: not at all, since that costs more than it saves on a short way.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = name_of(compression, &Compression::ALL);
        self
    }

    /// Where trace metrics go while stats are computed. Default: `url` with `/v1/metrics` instead of `/v1/traces`.
    #[must_use]
    pub fn metrics_url(mut self, url: impl Into<String>) -> Self {
        self.metrics_url = Some(url.into());
        self
    }

    /// Leaves out `operation.name`, `resource.name`, `span.type` and what OpenTelemetry has fields for, so that spans
    /// look as an OpenTelemetry SDK would have made them. Default: they stay, so that Datadog makes the same spans
    /// again.
    #[must_use]
    pub fn open_telemetry_semantics(mut self, on: bool) -> Self {
        self.open_telemetry_semantics = on;
        self
    }

    /// How many attributes a span has at most; what is beyond is left out and counted in `dropped_attributes_count`.
    /// Default: no limit, since the protocol has none.
    #[must_use]
    pub fn max_attributes(mut self, most: u32) -> Self {
        self.max_attributes = Some(most);
        self
    }

    /// How Datadog's OTLP intake makes spans of what it gets: the header `dd-otel-span-mapping`, JSON. Default:
    /// `{"span_name_as_resource_name":false}`, since the name of our spans is the resource.
    #[must_use]
    pub fn span_mapping(mut self, json: impl Into<String>) -> Self {
        self.span_mapping = Some(json.into());
        self
    }

    /// Another address than that of the site, for a proxy that speaks for it.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }
}

/// Without the values of headers.
impl fmt::Debug for OtlpDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("OtlpDestination")
            .field("url", &self.url.as_deref().map(super::shown::url))
            .field("encoding", &self.encoding)
            .field("headers", &headers)
            .field("compression", &self.compression)
            .field("site", &self.site)
            .field("api_key", &self.api_key)
            .finish_non_exhaustive()
    }
}

/// See [`Destination::intake`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IntakeDestination {
    /// Datadog's site.
    pub site: Option<String>,
    /// The API key.
    pub api_key: Option<Secret>,
    /// Another address than that of the site.
    pub url: Option<String>,
    /// NONE, GZIP or ZSTD.
    pub compression: Option<String>,
}

impl IntakeDestination {
    /// Another address than that of the site, for a proxy that speaks for it.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// How bodies are compressed. Default: zstd.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = name_of(compression, &Compression::ALL);
        self
    }
}

/// See [`Destination::log`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LogDestination {
    /// Where lines go.
    pub target: LogTarget,
    /// The longest line.
    pub max_line_bytes: Option<u32>,
}

impl LogDestination {
    /// The longest line, its end included; a span that is longer by itself is dropped and counted. Default: 262,144, as
    /// much as Amazon CloudWatch takes at once.
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: u32) -> Self {
        self.max_line_bytes = Some(bytes);
        self
    }
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LogTarget {
    /// The process's standard output. Nothing else of this library writes there.
    Stdout,
    /// The end of this file, which is made if it is not there.
    File(PathBuf),
    /// A writer of the caller's. One call of `write_all` and one of `flush` a payload, never two at once.
    #[serde(skip)]
    Writer(Writer),
    /// The host takes the lines itself and writes them where it likes.
    #[doc(hidden)]
    Host,
}

impl LogTarget {
    /// A writer of the caller's.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self::Writer(Writer(Arc::new(parking_lot::Mutex::new(Box::new(writer)))))
    }
}

/// A writer of the caller's; the same only as its clones.
#[derive(Clone)]
pub struct Writer(pub(crate) Arc<parking_lot::Mutex<Box<dyn Write + Send>>>);

impl PartialEq for Writer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a writer")
    }
}

macro_rules! into_destination {
    ($($from:ident $to:ident;)*) => { $(
        impl From<$from> for Destination {
            fn from(it: $from) -> Self {
                Self::$to(it)
            }
        }
    )* };
}
into_destination! { AgentDestination Agent; OtlpDestination Otlp; IntakeDestination Intake; LogDestination Log; }

/// How OTLP requests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpEncoding {
    /// `application/x-protobuf`.
    #[default]
    Protobuf,
    /// `application/json`.
    Json,
}

impl OtlpEncoding {
    /// The names in settings.
    pub const ALL: [(&'static str, OtlpEncoding); 2] = [("PROTOBUF", Self::Protobuf), ("JSON", Self::Json)];
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, level 1.
    Gzip,
    /// Zstandard, level 1.
    Zstd,
}

impl Compression {
    /// The names in settings.
    pub const ALL: [(&'static str, Compression); 3] =
        [("NONE", Self::None), ("GZIP", Self::Gzip), ("ZSTD", Self::Zstd)];
}

/// An API key. Shown are its last four characters at most.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// This text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the request.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// `***` and the last four characters, if there are enough others before them.
    pub fn shown(&self) -> String {
        let last = self.0.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        match self.0.get(last..) {
            Some(four) if last >= 8 => format!("***{four}"),
            _ => "***".to_owned(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

fn name_of<T: Copy + PartialEq>(value: T, known: &[(&str, T)]) -> Option<String> {
    super::check::named(value, known)
}
