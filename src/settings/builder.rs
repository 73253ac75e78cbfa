//! The fluent builder of the Rust face. Most setters are made from the table ([`super::setters`]); those with a form of
//! their own stand here. The Java builder has the same in camel case.

use super::check::named;
use super::{Destination, OutputChoice, RawConfig, StatsLimits};

/// Collects settings; `build` checks them.
///
/// ```
/// use data_pipeline::{ErrorKind, OutputFormat, TraceExporter};
/// use std::time::Duration;
///
/// let settings = TraceExporter::builder().output_format(OutputFormat::V1).send_budget(Duration::from_secs(5));
/// let exporter = settings.clone().build()?;
/// assert_eq!(exporter.config().send_budget, Duration::from_secs(5));
/// let error = settings.senders(1000).build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
/// assert!(error.message().contains("senders is 1000; it must be 1 to 64"));
/// # Ok::<(), data_pipeline::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    pub(super) raw: RawConfig,
}

impl From<RawConfig> for Builder {
    fn from(raw: RawConfig) -> Self {
        Self { raw }
    }
}

impl Builder {
    /// A builder that goes on with these settings.
    #[cfg(feature = "capi")]
    pub(crate) fn of(raw: RawConfig) -> Self {
        Self { raw }
    }

    /// The settings made so far, unchecked.
    pub fn into_raw(self) -> RawConfig {
        self.raw
    }

    /// Settings taken from the environment, each with where it comes from.
    pub fn taken_from_environment(&self) -> &[(String, String)] {
        &self.raw.origins
    }

    /// A setter has the last word: what the environment said of this setting is forgotten.
    pub(super) fn made(mut self, setting: &str) -> Self {
        self.raw.origins.retain(|(known, _)| known != setting);
        self
    }

    /// Where payloads go: an agent, an OTLP endpoint, Datadog's intake or log lines. [`url`](Self::url) is short for an
    /// agent at that address. Default: the agent of `url`.
    #[must_use]
    pub fn destination(mut self, destination: impl Into<Destination>) -> Self {
        self.raw.destination = vec![destination.into()];
        self.made("destination")
    }

    /// Several of them, the most preferred first. When one counts as gone, what is sent or queued goes to the next that
    /// is there, each payload to one of them, and back when it answers.
    #[must_use]
    pub fn destinations<D: Into<Destination>>(
        mut self,
        first: impl Into<Destination>,
        then: impl IntoIterator<Item = D>,
    ) -> Self {
        self.raw.destination =
            std::iter::once(first.into()).chain(then.into_iter().map(Into::into)).collect();
        self.made("destination")
    }

    /// What goes to the agent: a format, or [`OutputFormat::AUTO`](super::OutputFormat::AUTO). V1 falls back to v0.4 on
    /// a 404 in the same call. Default: v0.4.
    #[must_use]
    pub fn output_format(mut self, value: impl Into<OutputChoice>) -> Self {
        self.raw.output_format = named(value.into(), &OutputChoice::ALL);
        self.made("outputFormat")
    }

    /// One more header on every request. May be called for several headers. Not for headers that the exporter writes.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.raw.header.push((name.into(), value.into()));
        self.made("header")
    }

    /// As [`obfuscation`](Self::obfuscation), from variables of the environment that the caller has read: the agent's
    /// `DD_APM_OBFUSCATION_*`, `DD_APM_SQL_OBFUSCATION_MODE` and `DD_APM_REPLACE_TAGS`, and `DD_OBFUSCATION_CONFIG`,
    /// which holds JSON. `obfuscation` wins, and obfuscation is not switched on by it.
    #[must_use]
    pub fn obfuscation_environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.raw.obfuscation_environment = variables.into_iter().collect();
        self.made("obfuscationEnvironment")
    }

    /// How many different groups and values a bucket of stats takes; what is beyond is counted as
    /// `tracer_blocked_value`.
    #[must_use]
    pub fn stats_limits(mut self, limits: StatsLimits) -> Self {
        self.raw.stats_limits = Some(limits.values());
        self.made("statsLimits")
    }

    /// Our own certificate and its private key, for servers that want to see one: two files in PEM, the key without a
    /// password. Default: none.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.raw.client_certificate = Some((certificate.into(), key.into()));
        self.made("clientCertificate")
    }

    /// Keeps on disk, in this directory and within so many bytes (1 MiB or more), what the queue cannot hold while the
    /// agent is away, also beyond the end of the process. Default: off.
    #[must_use]
    pub fn spool(mut self, directory: impl Into<String>, bytes: u64) -> Self {
        self.raw.spool = Some((directory.into(), bytes));
        self.made("spool")
    }

    /// Keeps every request with a body and its answer in this directory, one file each and within so many bytes (1 MiB
    /// or more). What is refused is kept longest; keys and headers of the caller's are masked. Default: off.
    #[must_use]
    pub fn capture(mut self, directory: impl Into<String>, bytes: u64) -> Self {
        self.raw.capture = Some((directory.into(), bytes));
        self.made("capture")
    }
}
