//! Settings: what callers hand in ([`RawConfig`]) and what the exporter works with ([`Config`], valid by construction).
//!
//! `table.toml` is the only home of a setting: its name, range, default and sentence. From it `scripts/settings` makes
//! `raw.rs`, `config.rs` and `setters.rs`, the Java builder and `docs/settings.md`. Nothing is inferred: a setting that
//! nobody made is absent or has the default named there. Java hands over one msgpack map that becomes a
//! [`RawConfig`]; unknown fields are errors, so a JAR and a library that do not belong together say so at `build`.
//!
//! Settings are plain values. Regexes and obfuscation rules are texts here; who uses them makes them ready.

mod builder;
mod check;
mod config;
mod conversion;
mod destination;
pub(crate) mod environment;
mod environment_otlp;
mod filters;
mod formats;
mod on_malformed;
mod options;
mod overflow;
mod own_headers;
mod pairs;
mod peer;
mod proxy;
mod raw;
mod setters;
pub(crate) mod shown;
mod slot;
mod stats_limits;
mod statsd_url;
mod url;

pub use builder::Builder;
pub use config::{Config, Metadata, QueueSettings, StatsSettings, TelemetrySettings};
pub use conversion::Conversion;
pub use destination::{
    AgentDestination, Compression, Destination, IntakeDestination, LogDestination, LogTarget,
    OtlpDestination, OtlpEncoding, Secret, Writer,
};
pub use environment::BadValues;
pub use filters::FilterRules;
pub use formats::{InputFormat, OtherFormat, OutputChoice, OutputFormat};
pub use on_malformed::OnMalformed;
pub use overflow::Overflow;
pub(crate) use peer::LINE_BYTES;
pub use peer::{DatadogOtlp, Defaults, IntakePeer, LogPeer, OtlpPeer, Peer, StatsForm};
pub use proxy::ProxyUrl;
pub use raw::RawConfig;
pub use stats_limits::StatsLimits;
pub use statsd_url::StatsdUrl;
pub use url::AgentUrl;

use crate::error::{Error, ErrorKind};
use std::time::Duration;

/// Whether the exporter writes a header of this name, so that no caller may.
pub(crate) fn is_own_header(name: &str) -> bool {
    own_headers::setter(name).is_some()
}

/// No time limit may be longer.
pub const MAX_DURATION: Duration = Duration::from_secs(600);

impl RawConfig {
    /// Reads the msgpack map that Java hands over.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` if the map has an unknown field or a value of the wrong type.
    pub fn from_msgpack(bytes: &[u8]) -> Result<Self, Error> {
        rmp_serde::from_slice(bytes).map_err(|e| {
            Error::new(ErrorKind::InvalidConfiguration, format!("the configuration cannot be read: {e}"))
        })
    }
}

impl RawConfig {
    /// The names of settings that are not the same in `other`. Where a value came from makes no difference.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let (mut ours, mut theirs) = (self.clone(), other.clone());
        let differs = |name: &&&str| ours.slot(name) != theirs.slot(name);
        Self::NAMES.iter().filter(differs).map(|&name| name.to_owned()).collect()
    }

    /// Headers from the one numbered `known` on take the place of earlier ones of the same name.
    pub(crate) fn replace_headers(&mut self, known: usize) {
        let new = self.header.split_off(known.min(self.header.len()));
        self.header.retain(|(name, _)| !new.iter().any(|(again, _)| again.eq_ignore_ascii_case(name)));
        self.header.extend(new);
    }
}

impl Metadata {
    /// The same process but for its id.
    pub(crate) fn with_new_runtime_id(&self) -> Self {
        Self { runtime_id: check::random_uuid(), ..self.clone() }
    }
}

impl Config {
    /// What holds toward the preferred peer where the caller says nothing.
    pub(crate) fn first_defaults(&self) -> Defaults {
        self.destinations.first().map(Peer::defaults).unwrap_or_default()
    }

    /// Whether spans are normalized and obfuscated here toward the preferred peer, if the caller says nothing.
    pub(crate) fn prepares(&self) -> bool {
        self.first_defaults().prepares
    }

    /// Whether the agent's offer decides which format goes out.
    pub fn output_auto(&self) -> bool {
        self.raw.output_format.as_deref() == Some("AUTO")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_has_the_documented_defaults() {
        let c = Config::new(RawConfig::default()).unwrap();
        assert_eq!(c.url, AgentUrl::parse("http://127.0.0.1:8126").unwrap());
        assert_eq!(c.send_budget, Duration::from_secs(10));
        assert_eq!(c.max_idle_connections, 1);
        assert_eq!(c.metadata.runtime_id.len(), 36);
        assert_eq!(&c.metadata.runtime_id[14..15], "4");
        let q = c.queue.clone();
        assert_eq!((q.bytes, q.payloads, q.senders), (32 << 20, 65_536, 1));
        let larger = Config::new(Builder::default().queue_bytes(256 << 20).into_raw()).unwrap().queue;
        assert_eq!(larger.payloads, 524_288, "in proportion");
        assert_eq!((q.batch_bytes, q.batch_age), (1 << 20, Duration::from_millis(200)));
        assert_eq!((q.budget, q.overflow, q.spool), (Duration::from_secs(60), Overflow::DropNewest, None));
        assert!(c.stats.is_none() && c.dogstatsd.is_none() && c.discovery && !c.output_auto());
    }

    #[test]
    fn every_value_of_a_choice_is_in_the_table() {
        // The Java setters know the names from there, and the library must take them.
        let table: String = include_str!("table.toml").split_whitespace().collect();
        for names in [
            OutputChoice::ALL.map(|(name, _)| name).to_vec(),
            InputFormat::ALL.map(|(name, _)| name).to_vec(),
            OnMalformed::ALL.map(|(name, _)| name).to_vec(),
            Overflow::ALL.map(|(name, _)| name).to_vec(),
        ] {
            assert!(table.contains(&format!("values=[\"{}\"]", names.join("\",\""))), "{names:?}");
        }
    }

    #[test]
    fn refuses_what_cannot_work_and_names_the_setting_and_its_range() {
        let ms = Duration::from_millis;
        let b = Builder::default;
        let raw = |change: fn(&mut RawConfig)| {
            let mut raw = RawConfig::default();
            change(&mut raw);
            raw
        };
        let cases = [
            (b().send_budget(ms(0)).into_raw(), "sendBudget is 0 ms; it must be more than 0, at most 10 min"),
            (b().connect_timeout(ms(600_001)).into_raw(), "connectTimeout is 600001 ms; it must be more"),
            (b().close_timeout(ms(600_001)).into_raw(), "closeTimeout is 600001 ms; it must be 0 to 10 min"),
            (b().compute_stats(ms(999)).into_raw(), "computeStats is 999 ms; it must be 1 s to 10 min"),
            (b().max_request_bytes(1023).into_raw(), "maxRequestBytes is 1023; it must be 1,024 or more"),
            (b().max_idle_connections(65).into_raw(), "maxIdleConnections is 65; it must be 0 to 64"),
            (b().queue_bytes(1000).into_raw(), "queueBytes is 1000; it must be 64 KiB or more"),
            (b().queue_payloads(0).into_raw(), "queuePayloads is 0; it must be 1 to 1,048,576"),
            (b().senders(65).into_raw(), "senders is 65; it must be 1 to 64"),
            (b().async_budget(ms(0)).into_raw(), "asyncBudget is 0 ms"),
            (b().spool("/x", 5).into_raw(), "spool: the limit is 5 bytes; it must be 1 MiB or more"),
            (b().spool("", 1 << 20).into_raw(), "spool is \"\"; it must be a directory"),
            (b().header("a b", "c").into_raw(), "header: \"a b\" is no header name"),
            (b().header("Host", "c").into_raw(), "header: Host is written by the exporter itself, see url"),
            (b().header("Expect", "c").into_raw(), "header: Expect is written by the exporter itself"),
            (b().header("Datadog-Meta-Lang", "c").into_raw(), "header: Datadog-Meta-Lang is written"),
            (b().header("datadog-client-dropped-p0-spans", "1").into_raw(), "header: datadog-client-dropped"),
            (b().header("x", "a\r\nb: c").into_raw(), "header: the value of x has control"),
            (b().language("a\nb").into_raw(), "language: it goes into an HTTP header"),
            (b().require_tag(" :x").into_raw(), "requireTag: the rule \" :x\" has no key"),
            (
                b().dogstatsd("http://u:s3cret@h/s3cret").into_raw(),
                "dogstatsd is \"http://***@h/***\"; the scheme",
            ),
            (
                raw(|raw| raw.output_format = Some("V07".into())),
                "outputFormat is \"V07\"; it must be one of V04",
            ),
            (raw(|raw| raw.on_malformed = Some("repair".into())), "onMalformed is \"repair\"; it must be"),
            (
                raw(|raw| raw.overflow = Some("drop".into())),
                "overflow is \"drop\"; it must be one of DROP_NEWEST",
            ),
        ];
        for (raw, message) in cases {
            let e = Config::new(raw).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidConfiguration);
            assert!(e.message().starts_with(message), "{e}");
        }
        let stats = || b().compute_stats(ms(10_000));
        let limits = StatsLimits { resource: 7000, ..StatsLimits::default() };
        for (builder, message) in [
            (stats().stats_limits(limits), "statsLimits is 7000 [7000, 512, 512, 100]; each must be"),
            (stats().peer_tag(""), "peerTag: it needs a key"),
            (
                (0..5).fold(stats(), |b, _| b.additional_metric_tag("k")),
                "additionalMetricTag: 5 were given; at most 4",
            ),
        ] {
            let e = Config::new(builder.into_raw()).unwrap_err();
            assert!(e.message().starts_with(message), "{e}");
        }
    }

    #[test]
    fn pairs_without_effect_are_refused_and_named() {
        let b = Builder::default;
        let (second, limits) = (Duration::from_secs(1), StatsLimits::default());
        for (bad, message) in [
            (
                b().compute_stats(second).client_computed_stats(true),
                "computeStats has no effect with clientComputedStats(true)",
            ),
            (
                b().compute_stats(second).discovery(false),
                "computeStats has no effect with discovery(false): the agent's",
            ),
            (b().agent_filters(true).discovery(false), "agentFilters has no effect with discovery(false)"),
            (
                b().output_format(OutputFormat::AUTO).discovery(false),
                "outputFormat(AUTO) has no effect with discovery(false)",
            ),
            (
                b().compute_top_level(true).client_computed_top_level(true),
                "computeTopLevel has no effect with clientComputedTopLevel(true)",
            ),
            (
                b().max_idle_age(second).max_idle_connections(0),
                "maxIdleAge has no effect with maxIdleConnections(0)",
            ),
            (b().block_wait(second), "blockWait has no effect without overflow(BLOCK)"),
            (
                b().block_wait(second).overflow(Overflow::Shed),
                "blockWait has no effect without overflow(BLOCK)",
            ),
            (b().batch_age(second).batch_bytes(0), "batchAge has no effect with batchBytes(0)"),
            (
                b().batch_bytes(1).input_format(InputFormat::V1),
                "batchBytes has no effect without inputFormat(V04)",
            ),
            (
                b().batch_age(second).input_format(InputFormat::Auto),
                "batchAge has no effect without inputFormat(V04)",
            ),
            (b().peer_tag("a"), "peerTag has no effect without computeStats"),
            (b().additional_metric_tag("a"), "additionalMetricTag has no effect without computeStats"),
            (b().stats_limits(limits), "statsLimits has no effect without computeStats"),
            (b().stats_replay(true), "statsReplay has no effect without computeStats"),
            (b().obfuscate_stats(true), "obfuscateStats has no effect without computeStats"),
            (b().obfuscate_stats(false), "obfuscateStats has no effect without computeStats"),
        ] {
            let e = Config::new(bad.into_raw()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidConfiguration);
            assert!(e.message().starts_with(message), "{e}");
        }
        // What switches off something that is off does no harm, nor does a pair that works.
        for good in [
            b().discovery(false).agent_filters(false),
            b().client_computed_top_level(true).compute_top_level(false),
            b().block_wait(second).overflow(Overflow::Block),
            b().batch_age(second).batch_bytes(1000).input_format(InputFormat::V04),
            b().stats_replay(false),
            b().discovery(false).output_format(OutputFormat::V1),
        ] {
            Config::new(good.into_raw()).unwrap();
        }
    }

    #[test]
    fn settings_travel_under_their_own_names() {
        let raw = Builder::default()
            .send_budget(Duration::from_micros(1_500))
            .peer_tag("a")
            .header("X", "1")
            .spool("/x", 1 << 20)
            .stats_limits(StatsLimits::default())
            .drop_p0(true)
            .into_raw();
        let bytes = rmp_serde::to_vec_named(&raw).unwrap();
        let mut back = RawConfig::from_msgpack(&bytes).unwrap();
        assert_eq!(back.send_budget.take(), Some(Duration::from_millis(2)), "rounded up");
        assert_eq!(back, RawConfig { send_budget: None, ..raw });
        for name in ["sendBudget", "peerTag", "header", "spool", "statsLimits", "dropP0"] {
            assert!(String::from_utf8_lossy(&bytes).contains(name), "{name}");
        }
    }

    #[test]
    fn an_unknown_field_is_an_error_that_names_it() {
        // {"nonsense": 1}
        let bytes = [&[0x81, 0xa8][..], b"nonsense", &[0x01]].concat();
        let e = RawConfig::from_msgpack(&bytes).unwrap_err();
        assert!(e.message().contains("nonsense"), "{e}");
    }
}
