//! What callers hand in, unchecked.
// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

use super::Overflow;
use super::check::{self, Fault};
use super::slot::Slot;
use super::{AgentUrl, Destination, InputFormat, OnMalformed, OutputChoice, Peer};
use serde::Serialize;
use std::time::Duration;

/// What a caller hands in: every field optional, nothing checked. On the way from other languages it is one msgpack map with
/// the names that settings have there, and times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RawConfig {
    /// Where the agent is: `http://host:port/prefix` or the same with `https`, `unix:///path/to/socket` or
    /// `windows:\\.\pipe\name`.
    pub url: Option<String>,
    /// Where payloads go: an agent, an OTLP endpoint, Datadog's intake or log lines; `url` is short for an agent.
    pub destination: Vec<Destination>,
    /// The service of the process, given to stats and to spans that have none.
    pub service: Option<String>,
    /// The environment, `prod` for instance, given to stats and to converted payloads that have none.
    pub env: Option<String>,
    /// The version of the service, given to stats and to converted payloads that have none.
    pub version: Option<String>,
    /// The host name, given to stats and to converted payloads that have none.
    pub hostname: Option<String>,
    /// The header `Datadog-Meta-Lang`, `java` for instance.
    pub language: Option<String>,
    /// The header `Datadog-Meta-Lang-Version`.
    pub language_version: Option<String>,
    /// The header `Datadog-Meta-Lang-Interpreter`.
    pub language_interpreter: Option<String>,
    /// The header `Datadog-Meta-Lang-Interpreter-Vendor`.
    pub language_vendor: Option<String>,
    /// The header `Datadog-Meta-Tracer-Version`.
    pub tracer_version: Option<String>,
    /// The identity of the process.
    pub runtime_id: Option<String>,
    /// The header `Datadog-Container-ID`.
    pub container_id: Option<String>,
    /// The header `Datadog-Entity-ID`.
    pub entity_id: Option<String>,
    /// The header `Datadog-External-Env`.
    pub external_env: Option<String>,
    /// Whether container and entity id are read from `/proc/self` at build; an id that was set wins.
    pub detect_container: Option<bool>,
    /// The commit that the service was built from.
    pub git_commit_sha: Option<String>,
    /// Process tags, `key:value,key:value`.
    pub process_tags: Option<String>,
    /// One more header on every request; may be called for several.
    pub header: Vec<(String, String)>,
    /// The header `X-Datadog-Test-Session-Token` of Datadog's test agent.
    pub test_session_token: Option<String>,
    /// The format of the payloads that are handed over; AUTO looks at each payload.
    pub input_format: Option<String>,
    /// What goes to the agent: V1 falls back to v0.4 on a 404 in the same call, AUTO is v1 where `/info` lists it,
    /// else v0.4.
    pub output_format: Option<String>,
    /// What becomes of input that the agent would refuse: it is repaired, the trace is dropped, or the payload is
    /// refused.
    pub on_malformed: Option<String>,
    /// Whether spans are normalized as the agent does it, and traces refused that it would refuse.
    pub normalize: Option<bool>,
    /// Whether literals, cards and passwords in spans are hidden as the agent does it.
    pub obfuscate: Option<bool>,
    /// What is obfuscated and how, as JSON: the agent's `apm_config.obfuscation`, with `sql` and `replace_tags`
    /// beside it.
    pub obfuscation: Option<String>,
    /// As `obfuscation`, from the agent's variables that the caller has read; `obfuscation` wins, and nothing is
    /// switched on.
    pub obfuscation_environment: Vec<(String, String)>,
    /// Whether top-level spans are marked in the payload (`_top_level`), and the agent is told so by header.
    pub compute_top_level: Option<bool>,
    /// Whether the agent is told by header that the tracer marked top-level spans itself.
    pub client_computed_top_level: Option<bool>,
    /// Whether traces that sampling gave priority 0 or less are left out and counted as sampled out.
    pub drop_p0: Option<bool>,
    /// Keeps only traces whose root has this tag, `KEY` or `KEY:VALUE`; several must all be there.
    pub require_tag: Vec<String>,
    /// Leaves out traces whose root has this tag, `KEY` or `KEY:VALUE`.
    pub reject_tag: Vec<String>,
    /// As `requireTag`, `KEY` or `KEY:REGEX`: the value a regex in Go's syntax, without anchors.
    pub require_tag_regex: Vec<String>,
    /// As `rejectTag`, `KEY` or `KEY:REGEX`: the value a regex in Go's syntax, without anchors.
    pub reject_tag_regex: Vec<String>,
    /// Leaves out traces whose root's resource matches this regex (Go's syntax, no anchors).
    pub ignore_resource: Vec<String>,
    /// Whether the agent's `/info` is read: at start, every 300 s, and when its state changes.
    pub discovery: Option<bool>,
    /// Whether the trace filters that the agent's `/info` names apply, beside those set here.
    pub agent_filters: Option<bool>,
    /// How many filter rules of the agent's `/info` are used; what is beyond is left out and said once.
    pub agent_filter_rules: Option<u32>,
    /// How much memory the regexes of the agent's `/info` may take together, a single one a sixteenth of it.
    pub agent_filter_bytes: Option<u64>,
    /// The largest request; a larger payload goes in several, and a trace that is larger by itself is dropped.
    pub max_request_bytes: Option<u64>,
    /// A file of certificates (PEM, or one in DER) of authorities that are trusted beside those of the JVM, for
    /// https.
    pub ca_file: Option<String>,
    /// Our own certificate and its private key, for servers that want to see one: two files in PEM, the key without
    /// a password.
    pub client_certificate: Option<(String, String)>,
    /// An HTTP proxy, `http://user:password@host:port`, for OTLP and the intake; agents are never asked through it.
    pub proxy: Option<String>,
    /// Hosts that are asked without `proxy`, with commas or spaces between them: a name, `.suffix`, an address, `*`
    /// for all.
    pub no_proxy: Option<String>,
    /// How long opening one connection may take.
    #[serde(serialize_with = "super::check::millis")]
    pub connect_timeout: Option<Duration>,
    /// How long one attempt may take.
    #[serde(serialize_with = "super::check::millis")]
    pub send_timeout: Option<Duration>,
    /// How long one send may take, retries and waiting included.
    #[serde(serialize_with = "super::check::millis")]
    pub send_budget: Option<Duration>,
    /// How many idle connections are kept between sends.
    pub max_idle_connections: Option<u32>,
    /// How long an idle connection is kept.
    #[serde(serialize_with = "super::check::millis")]
    pub max_idle_age: Option<Duration>,
    /// How long `close()` waits for running sends, for the queue and for stats; zero does not wait.
    #[serde(serialize_with = "super::check::millis")]
    pub close_timeout: Option<Duration>,
    /// How many bytes of payloads wait for the senders at most, those on their way included.
    pub queue_bytes: Option<u64>,
    /// How many payloads wait for the senders at most.
    pub queue_payloads: Option<u32>,
    /// What happens when the queue is full.
    pub overflow: Option<String>,
    /// How long an offer waits for room with BLOCK.
    #[serde(serialize_with = "super::check::millis")]
    pub block_wait: Option<Duration>,
    /// How many native threads send what is queued; each starts when needed and ends when idle.
    pub senders: Option<u32>,
    /// Up to how many bytes queued v0.4 payloads are merged into one request; 0 sends each as it is.
    pub batch_bytes: Option<u64>,
    /// How long a small payload waits in the queue for others to travel with.
    #[serde(serialize_with = "super::check::millis")]
    pub batch_age: Option<Duration>,
    /// How long a queued payload is tried, from the moment it was offered.
    #[serde(serialize_with = "super::check::millis")]
    pub async_budget: Option<Duration>,
    /// A directory, and how many bytes in it, for what the queue cannot hold while the agent is away.
    pub spool: Option<(String, u64)>,
    /// How many bytes of bodies a second the queue and the spool send at most, after compression.
    pub max_bytes_per_second: Option<u64>,
    /// Computes stats in buckets of this length (agents expect 10 s) while the agent takes them, and then drops p0
    /// traces.
    #[serde(serialize_with = "super::check::millis")]
    pub compute_stats: Option<Duration>,
    /// Whether the agent is told by header that the tracer computes stats itself.
    pub client_computed_stats: Option<bool>,
    /// One more tag that describes the peer of a client, producer or consumer span in stats, beside those of
    /// `/info`.
    pub peer_tag: Vec<String>,
    /// One more tag that tells groups of stats apart.
    pub additional_metric_tag: Vec<String>,
    /// How many different groups and values a bucket takes; what is beyond is counted as `tracer_blocked_value`.
    pub stats_limits: Option<[u32; 5]>,
    /// Whether every span is counted in the bucket in which it ended, however long ago, and buckets are sent only
    /// when asked for.
    pub stats_replay: Option<bool>,
    /// Whether resources of stats are obfuscated here when the agent agrees (`obfuscation_version` 1 of its
    /// `/info`), in its SQL mode.
    pub obfuscate_stats: Option<bool>,
    /// Where health metrics go: `udp://host:port` or `unix:///path` (a datagram socket); without a port the one of
    /// `/info`, else 8125.
    pub dogstatsd: Option<String>,
    /// How often what was sent and lost goes to Datadog as instrumentation telemetry, by the agent or beside the
    /// intake.
    #[serde(serialize_with = "super::check::millis")]
    pub telemetry: Option<Duration>,
    /// Whether telemetry says that it is there to look for faults (header `DD-Telemetry-Debug-Enabled`).
    pub telemetry_debug: Option<bool>,
    /// The header `DD-Session-ID` of telemetry.
    pub telemetry_session_id: Option<String>,
    /// The header `DD-Root-Session-ID` of telemetry; left out where it is that of the session.
    pub telemetry_root_session_id: Option<String>,
    /// The header `DD-Parent-Session-ID` of telemetry; left out where it is that of the session.
    pub telemetry_parent_session_id: Option<String>,
    /// A directory, and how many bytes in it, for every request with a body and its answer, one file each; keys are
    /// masked.
    pub capture: Option<(String, u64)>,
    /// Whether everything happens but the sending: what would have gone out counts as dropped for the reason
    /// `DRY_RUN`.
    pub dry_run: Option<bool>,

    /// Settings that were taken from the environment, each with where it comes from.
    pub origins: Vec<(String, String)>,
    /// What was left out of the environment, and why; shown by `explain()` and said once by log line.
    pub skipped: Vec<(String, String)>,
}

impl RawConfig {
    /// Checks each setting by itself.
    pub(super) fn check(&self) -> Result<(), Fault> {
        check::agent_url("url", self.url.as_deref())?;
        Peer::all(self, &AgentUrl::default())?;
        check::header_text("language", self.language.as_deref())?;
        check::header_text("languageVersion", self.language_version.as_deref())?;
        check::header_text("languageInterpreter", self.language_interpreter.as_deref())?;
        check::header_text("languageVendor", self.language_vendor.as_deref())?;
        check::header_text("tracerVersion", self.tracer_version.as_deref())?;
        check::header_text("containerId", self.container_id.as_deref())?;
        check::header_text("entityId", self.entity_id.as_deref())?;
        check::header_text("externalEnv", self.external_env.as_deref())?;
        check::headers("header", &self.header)?;
        check::header_text("testSessionToken", self.test_session_token.as_deref())?;
        check::choice("inputFormat", self.input_format.as_deref(), &InputFormat::ALL.map(|(name, _)| name))?;
        check::choice(
            "outputFormat",
            self.output_format.as_deref(),
            &OutputChoice::ALL.map(|(name, _)| name),
        )?;
        check::choice("onMalformed", self.on_malformed.as_deref(), &OnMalformed::ALL.map(|(name, _)| name))?;
        check::tag_rules("requireTag", &self.require_tag)?;
        check::tag_rules("rejectTag", &self.reject_tag)?;
        check::tag_rules("requireTagRegex", &self.require_tag_regex)?;
        check::tag_rules("rejectTagRegex", &self.reject_tag_regex)?;
        check::number(
            "agentFilterRules",
            self.agent_filter_rules.map(u64::from),
            0,
            1000000,
            "0 to 1,000,000",
        )?;
        check::number("agentFilterBytes", self.agent_filter_bytes, 65536, u64::MAX, "64 KiB or more")?;
        check::number("maxRequestBytes", self.max_request_bytes, 1024, u64::MAX, "1,024 or more")?;
        check::file("caFile", self.ca_file.as_deref())?;
        check::certificate("clientCertificate", self.client_certificate.as_ref())?;
        check::proxy_url("proxy", self.proxy.as_deref())?;
        check::duration("connectTimeout", self.connect_timeout, None, 600000, "more than 0, at most 10 min")?;
        check::duration("sendTimeout", self.send_timeout, None, 600000, "more than 0, at most 10 min")?;
        check::duration("sendBudget", self.send_budget, None, 600000, "more than 0, at most 10 min")?;
        check::number("maxIdleConnections", self.max_idle_connections.map(u64::from), 0, 64, "0 to 64")?;
        check::duration("maxIdleAge", self.max_idle_age, None, 600000, "more than 0, at most 10 min")?;
        check::duration("closeTimeout", self.close_timeout, Some(0), 600000, "0 to 10 min")?;
        check::number("queueBytes", self.queue_bytes, 65536, u64::MAX, "64 KiB or more")?;
        check::number("queuePayloads", self.queue_payloads.map(u64::from), 1, 1048576, "1 to 1,048,576")?;
        check::choice("overflow", self.overflow.as_deref(), &Overflow::ALL.map(|(name, _)| name))?;
        check::duration("blockWait", self.block_wait, Some(0), 600000, "0 to 10 min")?;
        check::number("senders", self.senders.map(u64::from), 1, 64, "1 to 64")?;
        check::duration("batchAge", self.batch_age, Some(0), 600000, "0 to 10 min")?;
        check::duration("asyncBudget", self.async_budget, None, 600000, "more than 0, at most 10 min")?;
        check::directory("spool", self.spool.as_ref(), 1048576, "1 MiB or more")?;
        check::number("maxBytesPerSecond", self.max_bytes_per_second, 1024, u64::MAX, "1,024 or more")?;
        check::duration("computeStats", self.compute_stats, Some(1000), 600000, "1 s to 10 min")?;
        check::keys("peerTag", &self.peer_tag, usize::MAX)?;
        check::keys("additionalMetricTag", &self.additional_metric_tag, 4)?;
        check::limits("statsLimits", self.stats_limits)?;
        check::statsd_url("dogstatsd", self.dogstatsd.as_deref())?;
        check::duration("telemetry", self.telemetry, Some(100), 3600000, "100 ms to 60 min")?;
        check::header_text("telemetrySessionId", self.telemetry_session_id.as_deref())?;
        check::header_text("telemetryRootSessionId", self.telemetry_root_session_id.as_deref())?;
        check::header_text("telemetryParentSessionId", self.telemetry_parent_session_id.as_deref())?;
        check::directory("capture", self.capture.as_ref(), 1048576, "1 MiB or more")?;
        Ok(())
    }

    /// Pairs of settings without effect: whether it is there, the setting, the sentence.
    pub(super) fn pairs(&self) -> [(bool, &'static str, &'static str); 22] {
        [
            (
                self.url.is_some() && !self.destination.is_empty(),
                "url",
                "url has no effect with destination: it is short for destination(agent(url))",
            ),
            (
                self.compute_stats.is_some() && self.client_computed_stats == Some(true),
                "computeStats",
                "computeStats has no effect with clientComputedStats(true): every span would be counted twice",
            ),
            (
                self.compute_stats.is_some() && self.discovery == Some(false),
                "computeStats",
                "computeStats has no effect with discovery(false): the agent's /info says whether it takes stats",
            ),
            (
                self.agent_filters == Some(true) && self.discovery == Some(false),
                "agentFilters",
                "agentFilters has no effect with discovery(false): the filters are in the agent's /info",
            ),
            (
                self.output_format.as_deref() == Some("AUTO") && self.discovery == Some(false),
                "outputFormat",
                "outputFormat(AUTO) has no effect with discovery(false): the agent's /info says what it offers",
            ),
            (
                self.compute_top_level == Some(true) && self.client_computed_top_level == Some(true),
                "computeTopLevel",
                "computeTopLevel has no effect with clientComputedTopLevel(true): spans that the tracer has marked are left alone",
            ),
            (
                self.max_idle_age.is_some() && self.max_idle_connections == Some(0),
                "maxIdleAge",
                "maxIdleAge has no effect with maxIdleConnections(0): no connection is kept",
            ),
            (
                self.no_proxy.is_some() && self.proxy.is_none(),
                "noProxy",
                "noProxy has no effect without proxy",
            ),
            (
                self.block_wait.is_some() && self.overflow.as_deref() != Some("BLOCK"),
                "blockWait",
                "blockWait has no effect without overflow(BLOCK): no offer waits",
            ),
            (
                self.batch_age.is_some() && self.batch_bytes == Some(0),
                "batchAge",
                "batchAge has no effect with batchBytes(0): nothing is merged",
            ),
            (
                self.batch_bytes.is_some() && self.input_format.as_deref().is_some_and(|v| v != "V04"),
                "batchBytes",
                "batchBytes has no effect without inputFormat(V04): only v0.4 is merged",
            ),
            (
                self.batch_age.is_some() && self.input_format.as_deref().is_some_and(|v| v != "V04"),
                "batchAge",
                "batchAge has no effect without inputFormat(V04): only v0.4 is merged",
            ),
            (
                self.dry_run == Some(true) && self.spool.is_some(),
                "dryRun",
                "dryRun has no effect with spool: what lies there would be lost",
            ),
            (
                !self.peer_tag.is_empty() && self.compute_stats.is_none(),
                "peerTag",
                "peerTag has no effect without computeStats",
            ),
            (
                !self.additional_metric_tag.is_empty() && self.compute_stats.is_none(),
                "additionalMetricTag",
                "additionalMetricTag has no effect without computeStats",
            ),
            (
                self.stats_limits.is_some() && self.compute_stats.is_none(),
                "statsLimits",
                "statsLimits has no effect without computeStats",
            ),
            (
                self.stats_replay == Some(true) && self.compute_stats.is_none(),
                "statsReplay",
                "statsReplay has no effect without computeStats",
            ),
            (
                self.obfuscate_stats.is_some() && self.compute_stats.is_none(),
                "obfuscateStats",
                "obfuscateStats has no effect without computeStats",
            ),
            (
                self.telemetry_debug == Some(true) && self.telemetry.is_none(),
                "telemetryDebug",
                "telemetryDebug has no effect without telemetry",
            ),
            (
                self.telemetry_session_id.is_some() && self.telemetry.is_none(),
                "telemetrySessionId",
                "telemetrySessionId has no effect without telemetry",
            ),
            (
                self.telemetry_root_session_id.is_some() && self.telemetry_session_id.is_none(),
                "telemetryRootSessionId",
                "telemetryRootSessionId has no effect without telemetrySessionId",
            ),
            (
                self.telemetry_parent_session_id.is_some() && self.telemetry_session_id.is_none(),
                "telemetryParentSessionId",
                "telemetryParentSessionId has no effect without telemetrySessionId",
            ),
        ]
    }

    /// What there is, as [`slot`](Self::slot) knows it; where a value comes from is no setting.
    pub(super) const NAMES: [&'static str; 75] = [
        "url",
        "destination",
        "service",
        "env",
        "version",
        "hostname",
        "language",
        "languageVersion",
        "languageInterpreter",
        "languageVendor",
        "tracerVersion",
        "runtimeId",
        "containerId",
        "entityId",
        "externalEnv",
        "detectContainer",
        "gitCommitSha",
        "processTags",
        "header",
        "testSessionToken",
        "inputFormat",
        "outputFormat",
        "onMalformed",
        "normalize",
        "obfuscate",
        "obfuscation",
        "obfuscationEnvironment",
        "computeTopLevel",
        "clientComputedTopLevel",
        "dropP0",
        "requireTag",
        "rejectTag",
        "requireTagRegex",
        "rejectTagRegex",
        "ignoreResource",
        "discovery",
        "agentFilters",
        "agentFilterRules",
        "agentFilterBytes",
        "maxRequestBytes",
        "caFile",
        "clientCertificate",
        "proxy",
        "noProxy",
        "connectTimeout",
        "sendTimeout",
        "sendBudget",
        "maxIdleConnections",
        "maxIdleAge",
        "closeTimeout",
        "queueBytes",
        "queuePayloads",
        "overflow",
        "blockWait",
        "senders",
        "batchBytes",
        "batchAge",
        "asyncBudget",
        "spool",
        "maxBytesPerSecond",
        "computeStats",
        "clientComputedStats",
        "peerTag",
        "additionalMetricTag",
        "statsLimits",
        "statsReplay",
        "obfuscateStats",
        "dogstatsd",
        "telemetry",
        "telemetryDebug",
        "telemetrySessionId",
        "telemetryRootSessionId",
        "telemetryParentSessionId",
        "capture",
        "dryRun",
    ];

    /// The place of a setting by its name.
    pub(super) fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "url" => Slot::Text(&mut self.url),
            "destination" => Slot::Destinations(&mut self.destination),
            "service" => Slot::Text(&mut self.service),
            "env" => Slot::Text(&mut self.env),
            "version" => Slot::Text(&mut self.version),
            "hostname" => Slot::Text(&mut self.hostname),
            "language" => Slot::Text(&mut self.language),
            "languageVersion" => Slot::Text(&mut self.language_version),
            "languageInterpreter" => Slot::Text(&mut self.language_interpreter),
            "languageVendor" => Slot::Text(&mut self.language_vendor),
            "tracerVersion" => Slot::Text(&mut self.tracer_version),
            "runtimeId" => Slot::Text(&mut self.runtime_id),
            "containerId" => Slot::Text(&mut self.container_id),
            "entityId" => Slot::Text(&mut self.entity_id),
            "externalEnv" => Slot::Text(&mut self.external_env),
            "detectContainer" => Slot::Flag(&mut self.detect_container),
            "gitCommitSha" => Slot::Text(&mut self.git_commit_sha),
            "processTags" => Slot::Text(&mut self.process_tags),
            "header" => Slot::Pairs(&mut self.header),
            "testSessionToken" => Slot::Text(&mut self.test_session_token),
            "inputFormat" => Slot::Text(&mut self.input_format),
            "outputFormat" => Slot::Text(&mut self.output_format),
            "onMalformed" => Slot::Text(&mut self.on_malformed),
            "normalize" => Slot::Flag(&mut self.normalize),
            "obfuscate" => Slot::Flag(&mut self.obfuscate),
            "obfuscation" => Slot::Text(&mut self.obfuscation),
            "obfuscationEnvironment" => Slot::Pairs(&mut self.obfuscation_environment),
            "computeTopLevel" => Slot::Flag(&mut self.compute_top_level),
            "clientComputedTopLevel" => Slot::Flag(&mut self.client_computed_top_level),
            "dropP0" => Slot::Flag(&mut self.drop_p0),
            "requireTag" => Slot::Texts(&mut self.require_tag),
            "rejectTag" => Slot::Texts(&mut self.reject_tag),
            "requireTagRegex" => Slot::Texts(&mut self.require_tag_regex),
            "rejectTagRegex" => Slot::Texts(&mut self.reject_tag_regex),
            "ignoreResource" => Slot::Texts(&mut self.ignore_resource),
            "discovery" => Slot::Flag(&mut self.discovery),
            "agentFilters" => Slot::Flag(&mut self.agent_filters),
            "agentFilterRules" => Slot::Count(&mut self.agent_filter_rules),
            "agentFilterBytes" => Slot::Bytes(&mut self.agent_filter_bytes),
            "maxRequestBytes" => Slot::Bytes(&mut self.max_request_bytes),
            "caFile" => Slot::Text(&mut self.ca_file),
            "clientCertificate" => Slot::Certificate(&mut self.client_certificate),
            "proxy" => Slot::Text(&mut self.proxy),
            "noProxy" => Slot::Text(&mut self.no_proxy),
            "connectTimeout" => Slot::Duration(&mut self.connect_timeout),
            "sendTimeout" => Slot::Duration(&mut self.send_timeout),
            "sendBudget" => Slot::Duration(&mut self.send_budget),
            "maxIdleConnections" => Slot::Count(&mut self.max_idle_connections),
            "maxIdleAge" => Slot::Duration(&mut self.max_idle_age),
            "closeTimeout" => Slot::Duration(&mut self.close_timeout),
            "queueBytes" => Slot::Bytes(&mut self.queue_bytes),
            "queuePayloads" => Slot::Count(&mut self.queue_payloads),
            "overflow" => Slot::Text(&mut self.overflow),
            "blockWait" => Slot::Duration(&mut self.block_wait),
            "senders" => Slot::Count(&mut self.senders),
            "batchBytes" => Slot::Bytes(&mut self.batch_bytes),
            "batchAge" => Slot::Duration(&mut self.batch_age),
            "asyncBudget" => Slot::Duration(&mut self.async_budget),
            "spool" => Slot::Directory(&mut self.spool),
            "maxBytesPerSecond" => Slot::Bytes(&mut self.max_bytes_per_second),
            "computeStats" => Slot::Duration(&mut self.compute_stats),
            "clientComputedStats" => Slot::Flag(&mut self.client_computed_stats),
            "peerTag" => Slot::Texts(&mut self.peer_tag),
            "additionalMetricTag" => Slot::Texts(&mut self.additional_metric_tag),
            "statsLimits" => Slot::Limits(&mut self.stats_limits),
            "statsReplay" => Slot::Flag(&mut self.stats_replay),
            "obfuscateStats" => Slot::Flag(&mut self.obfuscate_stats),
            "dogstatsd" => Slot::Text(&mut self.dogstatsd),
            "telemetry" => Slot::Duration(&mut self.telemetry),
            "telemetryDebug" => Slot::Flag(&mut self.telemetry_debug),
            "telemetrySessionId" => Slot::Text(&mut self.telemetry_session_id),
            "telemetryRootSessionId" => Slot::Text(&mut self.telemetry_root_session_id),
            "telemetryParentSessionId" => Slot::Text(&mut self.telemetry_parent_session_id),
            "capture" => Slot::Directory(&mut self.capture),
            "dryRun" => Slot::Flag(&mut self.dry_run),
            "origins" => Slot::Pairs(&mut self.origins),
            "skipped" => Slot::Pairs(&mut self.skipped),
            _ => return None,
        })
    }
}
