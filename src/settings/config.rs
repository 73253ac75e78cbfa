//! Checked settings, and how they are shown.
// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

use super::check::{self, choose, given, size};
use super::{
    AgentUrl, FilterRules, InputFormat, OnMalformed, OutputFormat, Overflow, Peer, ProxyUrl, RawConfig,
    StatsLimits, StatsdUrl, shown,
};
use crate::error::Error;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Checked settings. Made by [`Config::new`], never changed afterwards.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the agent is: `http://host:port/prefix` or the same with `https`, `unix:///path/to/socket` or
    /// `windows:\\.\pipe\name`.
    pub url: AgentUrl,
    /// Where payloads go: an agent, an OTLP endpoint, Datadog's intake or log lines; `url` is short for an agent.
    pub destinations: Vec<Peer>,
    /// Whether container and entity id are read from `/proc/self` at build; an id that was set wins.
    pub detect_container: bool,
    /// One more header on every request; may be called for several.
    pub headers: Vec<(String, String)>,
    /// The header `X-Datadog-Test-Session-Token` of Datadog's test agent.
    pub test_session_token: String,
    /// The format of the payloads that are handed over; AUTO looks at each payload.
    pub input_format: InputFormat,
    /// What goes to the agent: V1 falls back to v0.4 on a 404 in the same call, AUTO is v1 where `/info` lists it,
    /// else v0.4.
    pub output_format: OutputFormat,
    /// What becomes of input that the agent would refuse: it is repaired, the trace is dropped, or the payload is
    /// refused.
    pub on_malformed: OnMalformed,
    /// Whether spans are normalized as the agent does it, and traces refused that it would refuse.
    pub normalize: Option<bool>,
    /// Whether literals, cards and passwords in spans are hidden as the agent does it.
    pub obfuscate: Option<bool>,
    /// Whether top-level spans are marked in the payload (`_top_level`), and the agent is told so by header.
    pub compute_top_level: bool,
    /// Whether the agent is told by header that the tracer marked top-level spans itself.
    pub client_computed_top_level: bool,
    /// Whether traces that sampling gave priority 0 or less are left out and counted as sampled out.
    pub drop_p0: Option<bool>,
    /// Whether the agent's `/info` is read: at start, every 300 s, and when its state changes.
    pub discovery: bool,
    /// Whether the trace filters that the agent's `/info` names apply, beside those set here.
    pub agent_filters: bool,
    /// How many filter rules of the agent's `/info` are used; what is beyond is left out and said once.
    pub agent_filter_rules: usize,
    /// How much memory the regexes of the agent's `/info` may take together, a single one a sixteenth of it.
    pub agent_filter_bytes: usize,
    /// The largest request; a larger payload goes in several, and a trace that is larger by itself is dropped.
    pub max_request_bytes: Option<usize>,
    /// A file of certificates (PEM, or one in DER) of authorities that are trusted beside those of the JVM, for
    /// https.
    pub ca_file: Option<String>,
    /// Our own certificate and its private key, for servers that want to see one: two files in PEM, the key without
    /// a password.
    pub client_certificate: Option<(String, String)>,
    /// An HTTP proxy, `http://user:password@host:port`, for OTLP and the intake; agents are never asked through it.
    pub proxy: Option<ProxyUrl>,
    /// Hosts that are asked without `proxy`, with commas or spaces between them: a name, `.suffix`, an address, `*`
    /// for all.
    pub no_proxy: String,
    /// How long opening one connection may take.
    pub connect_timeout: Duration,
    /// How long one attempt may take.
    pub send_timeout: Duration,
    /// How long one send may take, retries and waiting included.
    pub send_budget: Duration,
    /// How many idle connections are kept between sends.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    pub max_idle_age: Duration,
    /// How long `close()` waits for running sends, for the queue and for stats; zero does not wait.
    pub close_timeout: Duration,
    /// How many bytes of bodies a second the queue and the spool send at most, after compression.
    pub max_bytes_per_second: Option<usize>,
    /// Whether the agent is told by header that the tracer computes stats itself.
    pub client_computed_stats: bool,
    /// Where health metrics go: `udp://host:port` or `unix:///path` (a datagram socket); without a port the one of
    /// `/info`, else 8125.
    pub dogstatsd: Option<StatsdUrl>,
    /// A directory, and how many bytes in it, for every request with a body and its answer, one file each; keys are
    /// masked.
    pub capture: Option<(PathBuf, u64)>,
    /// Whether everything happens but the sending: what would have gone out counts as dropped for the reason
    /// `DRY_RUN`.
    pub dry_run: bool,
    /// Who sends: goes into headers, stats payloads and converted payloads. Empty means not given.
    pub metadata: Metadata,
    /// Which traces are kept and which are left out.
    pub filters: FilterRules,
    /// Settings of the asynchronous interface.
    pub queue: QueueSettings,
    /// How stats are computed.
    pub stats: Option<StatsSettings>,
    /// How instrumentation telemetry is sent.
    pub telemetry: Option<TelemetrySettings>,
    /// What the caller handed in.
    pub raw: RawConfig,
}

/// Who sends: goes into headers, stats payloads and converted payloads. Empty means not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The service of the process, given to stats and to spans that have none.
    pub service: String,
    /// The environment, `prod` for instance, given to stats and to converted payloads that have none.
    pub env: String,
    /// The version of the service, given to stats and to converted payloads that have none.
    pub version: String,
    /// The host name, given to stats and to converted payloads that have none.
    pub hostname: String,
    /// The header `Datadog-Meta-Lang`, `java` for instance.
    pub language: String,
    /// The header `Datadog-Meta-Lang-Version`.
    pub language_version: String,
    /// The header `Datadog-Meta-Lang-Interpreter`.
    pub language_interpreter: String,
    /// The header `Datadog-Meta-Lang-Interpreter-Vendor`.
    pub language_vendor: String,
    /// The header `Datadog-Meta-Tracer-Version`.
    pub tracer_version: String,
    /// The identity of the process.
    pub runtime_id: String,
    /// The header `Datadog-Container-ID`.
    pub container_id: String,
    /// The header `Datadog-Entity-ID`.
    pub entity_id: String,
    /// The header `Datadog-External-Env`.
    pub external_env: String,
    /// The commit that the service was built from.
    pub git_commit_sha: String,
    /// Process tags, `key:value,key:value`.
    pub process_tags: String,
}

/// Settings of the asynchronous interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// How many bytes of payloads wait for the senders at most, those on their way included.
    pub bytes: usize,
    /// How many payloads wait for the senders at most.
    pub payloads: usize,
    /// What happens when the queue is full.
    pub overflow: Overflow,
    /// How long an offer waits for room with BLOCK.
    pub block_wait: Duration,
    /// How many native threads send what is queued; each starts when needed and ends when idle.
    pub senders: usize,
    /// Up to how many bytes queued v0.4 payloads are merged into one request; 0 sends each as it is.
    pub batch_bytes: usize,
    /// How long a small payload waits in the queue for others to travel with.
    pub batch_age: Duration,
    /// How long a queued payload is tried, from the moment it was offered.
    pub budget: Duration,
    /// A directory, and how many bytes in it, for what the queue cannot hold while the agent is away.
    pub spool: Option<(PathBuf, u64)>,
}

/// How stats are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSettings {
    /// Computes stats in buckets of this length (agents expect 10 s) while the agent takes them, and then drops p0
    /// traces.
    pub bucket: Duration,
    /// One more tag that describes the peer of a client, producer or consumer span in stats, beside those of
    /// `/info`.
    pub peer_tags: Vec<String>,
    /// One more tag that tells groups of stats apart.
    pub additional_metric_tags: Vec<String>,
    /// How many different groups and values a bucket takes; what is beyond is counted as `tracer_blocked_value`.
    pub limits: StatsLimits,
    /// Whether every span is counted in the bucket in which it ended, however long ago, and buckets are sent only
    /// when asked for.
    pub replay: bool,
    /// Whether resources of stats are obfuscated here when the agent agrees (`obfuscation_version` 1 of its
    /// `/info`), in its SQL mode.
    pub obfuscate: bool,
}

/// How instrumentation telemetry is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// How often what was sent and lost goes to Datadog as instrumentation telemetry, by the agent or beside the
    /// intake.
    pub interval: Duration,
    /// Whether telemetry says that it is there to look for faults (header `DD-Telemetry-Debug-Enabled`).
    pub debug: bool,
    /// The header `DD-Session-ID` of telemetry.
    pub session_id: String,
    /// The header `DD-Root-Session-ID` of telemetry; left out where it is that of the session.
    pub root_session_id: String,
    /// The header `DD-Parent-Session-ID` of telemetry; left out where it is that of the session.
    pub parent_session_id: String,
}

impl Config {
    /// Checks `raw` and fills in the defaults. Texts that a room above makes something of (regexes, JSON) are checked there,
    /// when the exporter is built.
    ///
    /// # Errors
    /// `INVALID_URL` or `INVALID_CONFIGURATION`; the message names the setting or the variable it comes from, and its range.
    pub fn new(mut raw: RawConfig) -> Result<Self, Error> {
        raw.check()?;
        raw.settle()?;
        Ok(Self {
            url: check::agent_url("url", raw.url.as_deref())?.unwrap_or_default(),
            destinations: Peer::all(&raw, &check::agent_url("url", raw.url.as_deref())?.unwrap_or_default())?,
            detect_container: raw.detect_container.unwrap_or(false),
            headers: raw.header.clone(),
            test_session_token: given(&raw.test_session_token).unwrap_or_default(),
            input_format: choose(raw.input_format.as_deref(), &InputFormat::ALL),
            output_format: choose(raw.output_format.as_deref(), &OutputFormat::ALL),
            on_malformed: choose(raw.on_malformed.as_deref(), &OnMalformed::ALL),
            normalize: raw.normalize,
            obfuscate: raw.obfuscate,
            compute_top_level: raw.compute_top_level.unwrap_or(false),
            client_computed_top_level: raw.client_computed_top_level.unwrap_or(false),
            drop_p0: raw.drop_p0,
            discovery: raw.discovery.unwrap_or(true),
            agent_filters: raw.agent_filters.unwrap_or(false),
            agent_filter_rules: raw.agent_filter_rules.unwrap_or(1000) as usize,
            agent_filter_bytes: size(raw.agent_filter_bytes.unwrap_or(16777216)),
            max_request_bytes: raw.max_request_bytes.map(size),
            ca_file: raw.ca_file.clone(),
            client_certificate: raw.client_certificate.clone(),
            proxy: check::proxy_url("proxy", raw.proxy.as_deref())?,
            no_proxy: given(&raw.no_proxy).unwrap_or_default(),
            connect_timeout: raw.connect_timeout.unwrap_or(Duration::from_millis(1000)),
            send_timeout: raw.send_timeout.unwrap_or(Duration::from_millis(10000)),
            send_budget: raw.send_budget.unwrap_or(Duration::from_millis(10000)),
            max_idle_connections: raw.max_idle_connections.unwrap_or(1) as usize,
            max_idle_age: raw.max_idle_age.unwrap_or(Duration::from_millis(10000)),
            close_timeout: raw.close_timeout.unwrap_or(Duration::from_millis(800)),
            max_bytes_per_second: raw.max_bytes_per_second.map(size),
            client_computed_stats: raw.client_computed_stats.unwrap_or(false),
            dogstatsd: check::statsd_url("dogstatsd", raw.dogstatsd.as_deref())?,
            capture: raw.capture.clone().map(|(path, bytes)| (PathBuf::from(path), bytes)),
            dry_run: raw.dry_run.unwrap_or(false),
            metadata: Metadata {
                service: given(&raw.service).unwrap_or_default(),
                env: given(&raw.env).unwrap_or_default(),
                version: given(&raw.version).unwrap_or_default(),
                hostname: given(&raw.hostname).unwrap_or_default(),
                language: given(&raw.language).unwrap_or_default(),
                language_version: given(&raw.language_version).unwrap_or_default(),
                language_interpreter: given(&raw.language_interpreter).unwrap_or_default(),
                language_vendor: given(&raw.language_vendor).unwrap_or_default(),
                tracer_version: given(&raw.tracer_version).unwrap_or_default(),
                runtime_id: given(&raw.runtime_id).unwrap_or_else(check::random_uuid),
                container_id: given(&raw.container_id).unwrap_or_default(),
                entity_id: given(&raw.entity_id).unwrap_or_default(),
                external_env: given(&raw.external_env).unwrap_or_default(),
                git_commit_sha: given(&raw.git_commit_sha).unwrap_or_default(),
                process_tags: given(&raw.process_tags).unwrap_or_default(),
            },
            filters: FilterRules {
                require: raw.require_tag.clone(),
                reject: raw.reject_tag.clone(),
                require_regex: raw.require_tag_regex.clone(),
                reject_regex: raw.reject_tag_regex.clone(),
                ignore_resources: raw.ignore_resource.clone(),
            },
            queue: QueueSettings {
                bytes: size(raw.queue_bytes.unwrap_or(33554432)),
                payloads: raw
                    .queue_payloads
                    .map_or(check::payloads(raw.queue_bytes.unwrap_or(32 << 20)), |n| n as usize),
                overflow: choose(raw.overflow.as_deref(), &Overflow::ALL),
                block_wait: raw.block_wait.unwrap_or(Duration::from_millis(1000)),
                senders: raw.senders.unwrap_or(1) as usize,
                batch_bytes: size(raw.batch_bytes.unwrap_or(1048576)),
                batch_age: raw.batch_age.unwrap_or(Duration::from_millis(200)),
                budget: raw.async_budget.unwrap_or(Duration::from_millis(60000)),
                spool: raw.spool.clone().map(|(path, bytes)| (PathBuf::from(path), bytes)),
            },
            stats: match raw.compute_stats {
                None => None,
                Some(bucket) => Some(StatsSettings {
                    bucket,
                    peer_tags: raw.peer_tag.clone(),
                    additional_metric_tags: raw.additional_metric_tag.clone(),
                    limits: raw.stats_limits.map_or_else(StatsLimits::default, StatsLimits::from),
                    replay: raw.stats_replay.unwrap_or(false),
                    obfuscate: raw.obfuscate_stats.unwrap_or(true),
                }),
            },
            telemetry: match raw.telemetry {
                None => None,
                Some(interval) => Some(TelemetrySettings {
                    interval,
                    debug: raw.telemetry_debug.unwrap_or(false),
                    session_id: given(&raw.telemetry_session_id).unwrap_or_default(),
                    root_session_id: given(&raw.telemetry_root_session_id).unwrap_or_default(),
                    parent_session_id: given(&raw.telemetry_parent_session_id).unwrap_or_default(),
                }),
            },
            raw,
        })
    }

    /// Every setting with its name, whether it was set, and its value as `explain()` shows it: without secrets.
    pub fn rows(&self) -> Vec<(&'static str, bool, Value)> {
        let mut rows = shown::Rows::with_capacity(75);
        rows.add("url", self.raw.url.is_some(), shown::value(&self.url.to_string()));
        rows.add("destination", !self.raw.destination.is_empty(), shown::peers(&self.destinations));
        rows.add("service", self.raw.service.is_some(), shown::value(&self.metadata.service));
        rows.add("env", self.raw.env.is_some(), shown::value(&self.metadata.env));
        rows.add("version", self.raw.version.is_some(), shown::value(&self.metadata.version));
        rows.add("hostname", self.raw.hostname.is_some(), shown::value(&self.metadata.hostname));
        rows.add("language", self.raw.language.is_some(), shown::value(&self.metadata.language));
        rows.add(
            "languageVersion",
            self.raw.language_version.is_some(),
            shown::value(&self.metadata.language_version),
        );
        rows.add(
            "languageInterpreter",
            self.raw.language_interpreter.is_some(),
            shown::value(&self.metadata.language_interpreter),
        );
        rows.add(
            "languageVendor",
            self.raw.language_vendor.is_some(),
            shown::value(&self.metadata.language_vendor),
        );
        rows.add(
            "tracerVersion",
            self.raw.tracer_version.is_some(),
            shown::value(&self.metadata.tracer_version),
        );
        rows.add("runtimeId", self.raw.runtime_id.is_some(), shown::value(&self.metadata.runtime_id));
        rows.add("containerId", self.raw.container_id.is_some(), shown::value(&self.metadata.container_id));
        rows.add("entityId", self.raw.entity_id.is_some(), shown::value(&self.metadata.entity_id));
        rows.add("externalEnv", self.raw.external_env.is_some(), shown::value(&self.metadata.external_env));
        rows.add(
            "detectContainer",
            self.raw.detect_container.is_some(),
            shown::value(&self.detect_container),
        );
        rows.add(
            "gitCommitSha",
            self.raw.git_commit_sha.is_some(),
            shown::value(&self.metadata.git_commit_sha),
        );
        rows.add("processTags", self.raw.process_tags.is_some(), shown::value(&self.metadata.process_tags));
        rows.add("header", !self.raw.header.is_empty(), shown::headers(&self.raw.header));
        rows.add(
            "testSessionToken",
            self.raw.test_session_token.is_some(),
            shown::secret(&self.test_session_token),
        );
        rows.add(
            "inputFormat",
            self.raw.input_format.is_some(),
            shown::value(&self.raw.input_format.as_deref().unwrap_or("V04")),
        );
        rows.add(
            "outputFormat",
            self.raw.output_format.is_some(),
            shown::value(&self.raw.output_format.as_deref().unwrap_or("V04")),
        );
        rows.add(
            "onMalformed",
            self.raw.on_malformed.is_some(),
            shown::value(&self.raw.on_malformed.as_deref().unwrap_or("REPAIR")),
        );
        rows.add(
            "normalize",
            self.raw.normalize.is_some(),
            shown::value(&self.normalize.unwrap_or_else(|| self.prepares())),
        );
        rows.add(
            "obfuscate",
            self.raw.obfuscate.is_some(),
            shown::value(
                &self.obfuscate.unwrap_or_else(|| self.raw.obfuscation.is_some() || self.prepares()),
            ),
        );
        rows.add(
            "obfuscation",
            self.raw.obfuscation.is_some(),
            shown::obfuscation(self.raw.obfuscation.as_deref()),
        );
        rows.add(
            "obfuscationEnvironment",
            !self.raw.obfuscation_environment.is_empty(),
            shown::variables(&self.raw.obfuscation_environment),
        );
        rows.add(
            "computeTopLevel",
            self.raw.compute_top_level.is_some(),
            shown::value(&self.compute_top_level),
        );
        rows.add(
            "clientComputedTopLevel",
            self.raw.client_computed_top_level.is_some(),
            shown::value(&self.client_computed_top_level),
        );
        rows.add(
            "dropP0",
            self.raw.drop_p0.is_some(),
            shown::value(&self.drop_p0.or(self.first_defaults().drops_p0).unwrap_or(self.stats.is_some())),
        );
        rows.add("requireTag", !self.raw.require_tag.is_empty(), shown::value(&self.filters.require));
        rows.add("rejectTag", !self.raw.reject_tag.is_empty(), shown::value(&self.filters.reject));
        rows.add(
            "requireTagRegex",
            !self.raw.require_tag_regex.is_empty(),
            shown::value(&self.filters.require_regex),
        );
        rows.add(
            "rejectTagRegex",
            !self.raw.reject_tag_regex.is_empty(),
            shown::value(&self.filters.reject_regex),
        );
        rows.add(
            "ignoreResource",
            !self.raw.ignore_resource.is_empty(),
            shown::value(&self.filters.ignore_resources),
        );
        rows.add("discovery", self.raw.discovery.is_some(), shown::value(&self.discovery));
        rows.add("agentFilters", self.raw.agent_filters.is_some(), shown::value(&self.agent_filters));
        rows.add(
            "agentFilterRules",
            self.raw.agent_filter_rules.is_some(),
            shown::value(&self.agent_filter_rules),
        );
        rows.add(
            "agentFilterBytes",
            self.raw.agent_filter_bytes.is_some(),
            shown::value(&self.agent_filter_bytes),
        );
        rows.add(
            "maxRequestBytes",
            self.raw.max_request_bytes.is_some(),
            shown::value(&self.max_request_bytes),
        );
        rows.add("caFile", self.raw.ca_file.is_some(), shown::value(&self.ca_file));
        rows.add(
            "clientCertificate",
            self.raw.client_certificate.is_some(),
            shown::certificate(self.raw.client_certificate.as_ref()),
        );
        rows.add(
            "proxy",
            self.raw.proxy.is_some(),
            shown::value(&self.proxy.as_ref().map(ToString::to_string)),
        );
        rows.add("noProxy", self.raw.no_proxy.is_some(), shown::value(&self.no_proxy));
        rows.add(
            "connectTimeout",
            self.raw.connect_timeout.is_some(),
            shown::millis(Some(self.connect_timeout)),
        );
        rows.add("sendTimeout", self.raw.send_timeout.is_some(), shown::millis(Some(self.send_timeout)));
        rows.add("sendBudget", self.raw.send_budget.is_some(), shown::millis(Some(self.send_budget)));
        rows.add(
            "maxIdleConnections",
            self.raw.max_idle_connections.is_some(),
            shown::value(&self.max_idle_connections),
        );
        rows.add("maxIdleAge", self.raw.max_idle_age.is_some(), shown::millis(Some(self.max_idle_age)));
        rows.add("closeTimeout", self.raw.close_timeout.is_some(), shown::millis(Some(self.close_timeout)));
        rows.add("queueBytes", self.raw.queue_bytes.is_some(), shown::value(&self.queue.bytes));
        rows.add("queuePayloads", self.raw.queue_payloads.is_some(), shown::value(&self.queue.payloads));
        rows.add(
            "overflow",
            self.raw.overflow.is_some(),
            shown::value(&self.raw.overflow.as_deref().unwrap_or("DROP_NEWEST")),
        );
        rows.add("blockWait", self.raw.block_wait.is_some(), shown::millis(Some(self.queue.block_wait)));
        rows.add("senders", self.raw.senders.is_some(), shown::value(&self.queue.senders));
        rows.add("batchBytes", self.raw.batch_bytes.is_some(), shown::value(&self.queue.batch_bytes));
        rows.add("batchAge", self.raw.batch_age.is_some(), shown::millis(Some(self.queue.batch_age)));
        rows.add("asyncBudget", self.raw.async_budget.is_some(), shown::millis(Some(self.queue.budget)));
        rows.add("spool", self.raw.spool.is_some(), shown::directory(self.raw.spool.as_ref()));
        rows.add(
            "maxBytesPerSecond",
            self.raw.max_bytes_per_second.is_some(),
            shown::value(&self.max_bytes_per_second),
        );
        rows.add(
            "computeStats",
            self.raw.compute_stats.is_some(),
            shown::millis(self.stats.as_ref().map(|it| it.bucket)),
        );
        rows.add(
            "clientComputedStats",
            self.raw.client_computed_stats.is_some(),
            shown::value(&self.client_computed_stats),
        );
        rows.add("peerTag", !self.raw.peer_tag.is_empty(), shown::value(&self.raw.peer_tag));
        rows.add(
            "additionalMetricTag",
            !self.raw.additional_metric_tag.is_empty(),
            shown::value(&self.raw.additional_metric_tag),
        );
        rows.add(
            "statsLimits",
            self.raw.stats_limits.is_some(),
            shown::value(&self.stats.as_ref().map(|it| it.limits).map(StatsLimits::values)),
        );
        rows.add(
            "statsReplay",
            self.raw.stats_replay.is_some(),
            shown::value(&self.stats.as_ref().is_some_and(|it| it.replay)),
        );
        rows.add(
            "obfuscateStats",
            self.raw.obfuscate_stats.is_some(),
            shown::value(&self.stats.as_ref().is_some_and(|it| it.obfuscate)),
        );
        rows.add(
            "dogstatsd",
            self.raw.dogstatsd.is_some(),
            shown::value(&self.dogstatsd.as_ref().map(ToString::to_string)),
        );
        rows.add(
            "telemetry",
            self.raw.telemetry.is_some(),
            shown::millis(self.telemetry.as_ref().map(|it| it.interval)),
        );
        rows.add(
            "telemetryDebug",
            self.raw.telemetry_debug.is_some(),
            shown::value(&self.telemetry.as_ref().is_some_and(|it| it.debug)),
        );
        rows.add(
            "telemetrySessionId",
            self.raw.telemetry_session_id.is_some(),
            shown::value(&self.telemetry.as_ref().map(|it| it.session_id.as_str())),
        );
        rows.add(
            "telemetryRootSessionId",
            self.raw.telemetry_root_session_id.is_some(),
            shown::value(&self.telemetry.as_ref().map(|it| it.root_session_id.as_str())),
        );
        rows.add(
            "telemetryParentSessionId",
            self.raw.telemetry_parent_session_id.is_some(),
            shown::value(&self.telemetry.as_ref().map(|it| it.parent_session_id.as_str())),
        );
        rows.add("capture", self.raw.capture.is_some(), shown::directory(self.raw.capture.as_ref()));
        rows.add("dryRun", self.raw.dry_run.is_some(), shown::value(&self.dry_run));
        rows.all()
    }
}
