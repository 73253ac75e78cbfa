//! The setters of the fluent builder.
// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

use super::check::named;
use super::environment::Form;
use super::{Builder, InputFormat, OnMalformed, Overflow};
use std::time::Duration;

/// Settings that one variable says: the setting, the variable, how it is read.
pub(super) const VARIABLES: &[(&str, &str, Form)] = &[
    ("service", "DD_SERVICE", Form::Text),
    ("env", "DD_ENV", Form::Text),
    ("version", "DD_VERSION", Form::Text),
    ("hostname", "DD_HOSTNAME", Form::Text),
    ("externalEnv", "DD_EXTERNAL_ENV", Form::Text),
    ("gitCommitSha", "DD_GIT_COMMIT_SHA", Form::Text),
    ("proxy", "DD_PROXY_HTTPS", Form::Text),
    ("noProxy", "DD_PROXY_NO_PROXY", Form::Text),
    ("sendTimeout", "DD_TRACE_AGENT_TIMEOUT", Form::Seconds),
    ("dogstatsd", "DD_DOGSTATSD_URL", Form::Text),
];

impl Builder {
    /// Where the agent is: `http://host:port/prefix` or the same with `https`, `unix:///path/to/socket` or
    /// `windows:\\.\pipe\name`. Default: http://127.0.0.1:8126.
    #[must_use]
    pub fn url(mut self, value: impl Into<String>) -> Self {
        self.raw.url = Some(value.into());
        self.made("url")
    }

    /// The service of the process, given to stats and to spans that have none. Default: none.
    #[must_use]
    pub fn service(mut self, value: impl Into<String>) -> Self {
        self.raw.service = Some(value.into());
        self.made("service")
    }

    /// The environment, `prod` for instance, given to stats and to converted payloads that have none. Default:
    /// none.
    #[must_use]
    pub fn env(mut self, value: impl Into<String>) -> Self {
        self.raw.env = Some(value.into());
        self.made("env")
    }

    /// The version of the service, given to stats and to converted payloads that have none. Default: none.
    #[must_use]
    pub fn version(mut self, value: impl Into<String>) -> Self {
        self.raw.version = Some(value.into());
        self.made("version")
    }

    /// The host name, given to stats and to converted payloads that have none. Default: none.
    #[must_use]
    pub fn hostname(mut self, value: impl Into<String>) -> Self {
        self.raw.hostname = Some(value.into());
        self.made("hostname")
    }

    /// The header `Datadog-Meta-Lang`, `java` for instance. Default: none.
    #[must_use]
    pub fn language(mut self, value: impl Into<String>) -> Self {
        self.raw.language = Some(value.into());
        self.made("language")
    }

    /// The header `Datadog-Meta-Lang-Version`. Default: none.
    #[must_use]
    pub fn language_version(mut self, value: impl Into<String>) -> Self {
        self.raw.language_version = Some(value.into());
        self.made("languageVersion")
    }

    /// The header `Datadog-Meta-Lang-Interpreter`. Default: none.
    #[must_use]
    pub fn language_interpreter(mut self, value: impl Into<String>) -> Self {
        self.raw.language_interpreter = Some(value.into());
        self.made("languageInterpreter")
    }

    /// The header `Datadog-Meta-Lang-Interpreter-Vendor`. Default: none.
    #[must_use]
    pub fn language_vendor(mut self, value: impl Into<String>) -> Self {
        self.raw.language_vendor = Some(value.into());
        self.made("languageVendor")
    }

    /// The header `Datadog-Meta-Tracer-Version`. Default: none.
    #[must_use]
    pub fn tracer_version(mut self, value: impl Into<String>) -> Self {
        self.raw.tracer_version = Some(value.into());
        self.made("tracerVersion")
    }

    /// The identity of the process. Default: a random UUID.
    #[must_use]
    pub fn runtime_id(mut self, value: impl Into<String>) -> Self {
        self.raw.runtime_id = Some(value.into());
        self.made("runtimeId")
    }

    /// The header `Datadog-Container-ID`. Default: none.
    #[must_use]
    pub fn container_id(mut self, value: impl Into<String>) -> Self {
        self.raw.container_id = Some(value.into());
        self.made("containerId")
    }

    /// The header `Datadog-Entity-ID`. Default: none.
    #[must_use]
    pub fn entity_id(mut self, value: impl Into<String>) -> Self {
        self.raw.entity_id = Some(value.into());
        self.made("entityId")
    }

    /// The header `Datadog-External-Env`. Default: none.
    #[must_use]
    pub fn external_env(mut self, value: impl Into<String>) -> Self {
        self.raw.external_env = Some(value.into());
        self.made("externalEnv")
    }

    /// Whether container and entity id are read from `/proc/self` at build; an id that was set wins. Default:
    /// false.
    #[must_use]
    pub fn detect_container(mut self, value: bool) -> Self {
        self.raw.detect_container = Some(value);
        self.made("detectContainer")
    }

    /// The commit that the service was built from. Default: none.
    #[must_use]
    pub fn git_commit_sha(mut self, value: impl Into<String>) -> Self {
        self.raw.git_commit_sha = Some(value.into());
        self.made("gitCommitSha")
    }

    /// Process tags, `key:value,key:value`. Default: none.
    #[must_use]
    pub fn process_tags(mut self, value: impl Into<String>) -> Self {
        self.raw.process_tags = Some(value.into());
        self.made("processTags")
    }

    /// The header `X-Datadog-Test-Session-Token` of Datadog's test agent. Default: none.
    #[must_use]
    pub fn test_session_token(mut self, value: impl Into<String>) -> Self {
        self.raw.test_session_token = Some(value.into());
        self.made("testSessionToken")
    }

    /// The format of the payloads that are handed over; AUTO looks at each payload. Default: V04.
    #[must_use]
    pub fn input_format(mut self, value: InputFormat) -> Self {
        self.raw.input_format = named(value, &InputFormat::ALL);
        self.made("inputFormat")
    }

    /// What becomes of input that the agent would refuse: it is repaired, the trace is dropped, or the payload is
    /// refused. Default: REPAIR.
    #[must_use]
    pub fn on_malformed(mut self, value: OnMalformed) -> Self {
        self.raw.on_malformed = named(value, &OnMalformed::ALL);
        self.made("onMalformed")
    }

    /// Whether spans are normalized as the agent does it, and traces refused that it would refuse. Default: true
    /// where no agent does it.
    #[must_use]
    pub fn normalize(mut self, value: bool) -> Self {
        self.raw.normalize = Some(value);
        self.made("normalize")
    }

    /// Whether literals, cards and passwords in spans are hidden as the agent does it. Default: true if
    /// [`obfuscation`](Self::obfuscation) says how, and where no agent does it.
    #[must_use]
    pub fn obfuscate(mut self, value: bool) -> Self {
        self.raw.obfuscate = Some(value);
        self.made("obfuscate")
    }

    /// What is obfuscated and how, as JSON: the agent's `apm_config.obfuscation`, with `sql` and `replace_tags`
    /// beside it. The names are `credit_cards`, `elasticsearch`, `opensearch`, `mongodb`, `http`,
    /// `remove_stack_traces`, `redis`, `valkey`, `memcached`, `sql` and `replace_tags`. What is not named is as in
    /// a packaged agent. Default: as in a packaged agent.
    #[must_use]
    pub fn obfuscation(mut self, value: impl Into<String>) -> Self {
        self.raw.obfuscation = Some(value.into());
        self.made("obfuscation")
    }

    /// Whether top-level spans are marked in the payload (`_top_level`), and the agent is told so by header.
    /// Conversions and stats mark them in any case, unless
    /// [`client_computed_top_level`](Self::client_computed_top_level) says that the tracer has. Default: false.
    #[must_use]
    pub fn compute_top_level(mut self, value: bool) -> Self {
        self.raw.compute_top_level = Some(value);
        self.made("computeTopLevel")
    }

    /// Whether the agent is told by header that the tracer marked top-level spans itself. Default: false.
    #[must_use]
    pub fn client_computed_top_level(mut self, value: bool) -> Self {
        self.raw.client_computed_top_level = Some(value);
        self.made("clientComputedTopLevel")
    }

    /// Whether traces that sampling gave priority 0 or less are left out and counted as sampled out. Spans that are
    /// to be kept all the same (errors, single-span sampling, analytics) stay. The agent is told how many went.
    /// Default: toward an agent while stats are computed, toward OTLP, else not.
    #[must_use]
    pub fn drop_p0(mut self, value: bool) -> Self {
        self.raw.drop_p0 = Some(value);
        self.made("dropP0")
    }

    /// Keeps only traces whose root has this tag, `KEY` or `KEY:VALUE`; several must all be there.
    #[must_use]
    pub fn require_tag(mut self, value: impl Into<String>) -> Self {
        self.raw.require_tag.push(value.into());
        self.made("requireTag")
    }

    /// Leaves out traces whose root has this tag, `KEY` or `KEY:VALUE`.
    #[must_use]
    pub fn reject_tag(mut self, value: impl Into<String>) -> Self {
        self.raw.reject_tag.push(value.into());
        self.made("rejectTag")
    }

    /// As [`require_tag`](Self::require_tag), `KEY` or `KEY:REGEX`: the value a regex in Go's syntax, without
    /// anchors.
    #[must_use]
    pub fn require_tag_regex(mut self, value: impl Into<String>) -> Self {
        self.raw.require_tag_regex.push(value.into());
        self.made("requireTagRegex")
    }

    /// As [`reject_tag`](Self::reject_tag), `KEY` or `KEY:REGEX`: the value a regex in Go's syntax, without
    /// anchors.
    #[must_use]
    pub fn reject_tag_regex(mut self, value: impl Into<String>) -> Self {
        self.raw.reject_tag_regex.push(value.into());
        self.made("rejectTagRegex")
    }

    /// Leaves out traces whose root's resource matches this regex (Go's syntax, no anchors).
    #[must_use]
    pub fn ignore_resource(mut self, value: impl Into<String>) -> Self {
        self.raw.ignore_resource.push(value.into());
        self.made("ignoreResource")
    }

    /// Whether the agent's `/info` is read: at start, every 300 s, and when its state changes. Default: true.
    #[must_use]
    pub fn discovery(mut self, value: bool) -> Self {
        self.raw.discovery = Some(value);
        self.made("discovery")
    }

    /// Whether the trace filters that the agent's `/info` names apply, beside those set here. They apply in any
    /// case while stats are computed: what the agent would reject must not be counted. Default: false.
    #[must_use]
    pub fn agent_filters(mut self, value: bool) -> Self {
        self.raw.agent_filters = Some(value);
        self.made("agentFilters")
    }

    /// How many filter rules of the agent's `/info` are used; what is beyond is left out and said once. 0 to
    /// 1,000,000. Default: 1,000.
    #[must_use]
    pub fn agent_filter_rules(mut self, value: u32) -> Self {
        self.raw.agent_filter_rules = Some(value);
        self.made("agentFilterRules")
    }

    /// How much memory the regexes of the agent's `/info` may take together, a single one a sixteenth of it. 64 KiB
    /// or more. Default: 16 MiB.
    #[must_use]
    pub fn agent_filter_bytes(mut self, value: u64) -> Self {
        self.raw.agent_filter_bytes = Some(value);
        self.made("agentFilterBytes")
    }

    /// The largest request; a larger payload goes in several, and a trace that is larger by itself is dropped.
    /// 1,024 or more. Default: what `/info` says, else 25 MiB.
    #[must_use]
    pub fn max_request_bytes(mut self, value: u64) -> Self {
        self.raw.max_request_bytes = Some(value);
        self.made("maxRequestBytes")
    }

    /// A file of certificates (PEM, or one in DER) of authorities that are trusted beside those of the JVM, for
    /// https. Default: the JVM's trust store alone (Java); nobody (Rust, C).
    #[must_use]
    pub fn ca_file(mut self, value: impl Into<String>) -> Self {
        self.raw.ca_file = Some(value.into());
        self.made("caFile")
    }

    /// An HTTP proxy, `http://user:password@host:port`, for OTLP and the intake; agents are never asked through it.
    /// Default: none.
    #[must_use]
    pub fn proxy(mut self, value: impl Into<String>) -> Self {
        self.raw.proxy = Some(value.into());
        self.made("proxy")
    }

    /// Hosts that are asked without [`proxy`](Self::proxy), with commas or spaces between them: a name, `.suffix`,
    /// an address, `*` for all. Default: none.
    #[must_use]
    pub fn no_proxy(mut self, value: impl Into<String>) -> Self {
        self.raw.no_proxy = Some(value.into());
        self.made("noProxy")
    }

    /// How long opening one connection may take. More than 0, at most 10 min. Default: 1 s.
    #[must_use]
    pub fn connect_timeout(mut self, value: Duration) -> Self {
        self.raw.connect_timeout = Some(value);
        self.made("connectTimeout")
    }

    /// How long one attempt may take. More than 0, at most 10 min. Default: 10 s.
    #[must_use]
    pub fn send_timeout(mut self, value: Duration) -> Self {
        self.raw.send_timeout = Some(value);
        self.made("sendTimeout")
    }

    /// How long one send may take, retries and waiting included. It counts from the call on and bounds connecting,
    /// attempts, pauses and waiting. The stages before the first attempt are not cut short: they take time in
    /// proportion to the payload, and what they took is missing to the attempts. More than 0, at most 10 min.
    /// Default: 10 s.
    #[must_use]
    pub fn send_budget(mut self, value: Duration) -> Self {
        self.raw.send_budget = Some(value);
        self.made("sendBudget")
    }

    /// How many idle connections are kept between sends. 0 to 64. Default: 1.
    #[must_use]
    pub fn max_idle_connections(mut self, value: u32) -> Self {
        self.raw.max_idle_connections = Some(value);
        self.made("maxIdleConnections")
    }

    /// How long an idle connection is kept. More than 0, at most 10 min. Default: 10 s.
    #[must_use]
    pub fn max_idle_age(mut self, value: Duration) -> Self {
        self.raw.max_idle_age = Some(value);
        self.made("maxIdleAge")
    }

    /// How long `close()` waits for running sends, for the queue and for stats; zero does not wait. 0 to 10 min.
    /// Default: 800 ms.
    #[must_use]
    pub fn close_timeout(mut self, value: Duration) -> Self {
        self.raw.close_timeout = Some(value);
        self.made("closeTimeout")
    }

    /// How many bytes of payloads wait for the senders at most, those on their way included. 64 KiB or more.
    /// Default: 32 MiB.
    #[must_use]
    pub fn queue_bytes(mut self, value: u64) -> Self {
        self.raw.queue_bytes = Some(value);
        self.made("queueBytes")
    }

    /// How many payloads wait for the senders at most. So payloads of 512 bytes and more meet
    /// [`queue_bytes`](Self::queue_bytes) first. One that waits takes some 200 bytes beside its own. 1 to
    /// 1,048,576. Default: one for each 512 bytes of [`queue_bytes`](Self::queue_bytes), so 65,536.
    #[must_use]
    pub fn queue_payloads(mut self, value: u32) -> Self {
        self.raw.queue_payloads = Some(value);
        self.made("queuePayloads")
    }

    /// What happens when the queue is full. Default: DROP_NEWEST.
    #[must_use]
    pub fn overflow(mut self, value: Overflow) -> Self {
        self.raw.overflow = named(value, &Overflow::ALL);
        self.made("overflow")
    }

    /// How long an offer waits for room with BLOCK. 0 to 10 min. Default: 1 s.
    #[must_use]
    pub fn block_wait(mut self, value: Duration) -> Self {
        self.raw.block_wait = Some(value);
        self.made("blockWait")
    }

    /// How many native threads send what is queued; each starts when needed and ends when idle. 1 to 64. Default:
    /// 1.
    #[must_use]
    pub fn senders(mut self, value: u32) -> Self {
        self.raw.senders = Some(value);
        self.made("senders")
    }

    /// Up to how many bytes queued v0.4 payloads are merged into one request; 0 sends each as it is. Default: 1
    /// MiB.
    #[must_use]
    pub fn batch_bytes(mut self, value: u64) -> Self {
        self.raw.batch_bytes = Some(value);
        self.made("batchBytes")
    }

    /// How long a small payload waits in the queue for others to travel with. What somebody waits for (`sendAsync`,
    /// `flush`) never waits for this. Zero merges what waits already. 0 to 10 min. Default: 200 ms.
    #[must_use]
    pub fn batch_age(mut self, value: Duration) -> Self {
        self.raw.batch_age = Some(value);
        self.made("batchAge")
    }

    /// How long a queued payload is tried, from the moment it was offered. More than 0, at most 10 min. Default: 60
    /// s.
    #[must_use]
    pub fn async_budget(mut self, value: Duration) -> Self {
        self.raw.async_budget = Some(value);
        self.made("asyncBudget")
    }

    /// How many bytes of bodies a second the queue and the spool send at most, after compression. What `send` sends
    /// is counted and never held; the queue waits for it. What waits longer than
    /// [`async_budget`](Self::async_budget) is given up, or goes to the [`spool`](Self::spool). 1,024 or more.
    /// Default: no limit.
    #[must_use]
    pub fn max_bytes_per_second(mut self, value: u64) -> Self {
        self.raw.max_bytes_per_second = Some(value);
        self.made("maxBytesPerSecond")
    }

    /// Computes stats in buckets of this length (agents expect 10 s) while the agent takes them, and then drops p0
    /// traces. The agent takes them when its `/info` has `client_drop_p0s` and `/v0.6/stats`. 1 s to 10 min.
    /// Default: stats are not computed here.
    #[must_use]
    pub fn compute_stats(mut self, value: Duration) -> Self {
        self.raw.compute_stats = Some(value);
        self.made("computeStats")
    }

    /// Whether the agent is told by header that the tracer computes stats itself. Default: false.
    #[must_use]
    pub fn client_computed_stats(mut self, value: bool) -> Self {
        self.raw.client_computed_stats = Some(value);
        self.made("clientComputedStats")
    }

    /// One more tag that describes the peer of a client, producer or consumer span in stats, beside those of
    /// `/info`.
    #[must_use]
    pub fn peer_tag(mut self, value: impl Into<String>) -> Self {
        self.raw.peer_tag.push(value.into());
        self.made("peerTag")
    }

    /// One more tag that tells groups of stats apart.
    #[must_use]
    pub fn additional_metric_tag(mut self, value: impl Into<String>) -> Self {
        self.raw.additional_metric_tag.push(value.into());
        self.made("additionalMetricTag")
    }

    /// Whether every span is counted in the bucket in which it ended, however long ago, and buckets are sent only
    /// when asked for. Default: false.
    #[must_use]
    pub fn stats_replay(mut self, value: bool) -> Self {
        self.raw.stats_replay = Some(value);
        self.made("statsReplay")
    }

    /// Whether resources of stats are obfuscated here when the agent agrees (`obfuscation_version` 1 of its
    /// `/info`), in its SQL mode. Default: true.
    #[must_use]
    pub fn obfuscate_stats(mut self, value: bool) -> Self {
        self.raw.obfuscate_stats = Some(value);
        self.made("obfuscateStats")
    }

    /// Where health metrics go: `udp://host:port` or `unix:///path` (a datagram socket); without a port the one of
    /// `/info`, else 8125. Default: none.
    #[must_use]
    pub fn dogstatsd(mut self, value: impl Into<String>) -> Self {
        self.raw.dogstatsd = Some(value.into());
        self.made("dogstatsd")
    }

    /// How often what was sent and lost goes to Datadog as instrumentation telemetry, by the agent or beside the
    /// intake. Never beside a tracer that sends its own: the service would be counted twice. 60 s is what tracers
    /// do. 100 ms to 60 min. Default: no telemetry is sent.
    #[must_use]
    pub fn telemetry(mut self, value: Duration) -> Self {
        self.raw.telemetry = Some(value);
        self.made("telemetry")
    }

    /// Whether telemetry says that it is there to look for faults (header `DD-Telemetry-Debug-Enabled`). Default:
    /// false.
    #[must_use]
    pub fn telemetry_debug(mut self, value: bool) -> Self {
        self.raw.telemetry_debug = Some(value);
        self.made("telemetryDebug")
    }

    /// The header `DD-Session-ID` of telemetry. Default: none.
    #[must_use]
    pub fn telemetry_session_id(mut self, value: impl Into<String>) -> Self {
        self.raw.telemetry_session_id = Some(value.into());
        self.made("telemetrySessionId")
    }

    /// The header `DD-Root-Session-ID` of telemetry; left out where it is that of the session. Default: none.
    #[must_use]
    pub fn telemetry_root_session_id(mut self, value: impl Into<String>) -> Self {
        self.raw.telemetry_root_session_id = Some(value.into());
        self.made("telemetryRootSessionId")
    }

    /// The header `DD-Parent-Session-ID` of telemetry; left out where it is that of the session. Default: none.
    #[must_use]
    pub fn telemetry_parent_session_id(mut self, value: impl Into<String>) -> Self {
        self.raw.telemetry_parent_session_id = Some(value.into());
        self.made("telemetryParentSessionId")
    }

    /// Whether everything happens but the sending: what would have gone out counts as dropped for the reason
    /// `DRY_RUN`. Default: false.
    #[must_use]
    pub fn dry_run(mut self, value: bool) -> Self {
        self.raw.dry_run = Some(value);
        self.made("dryRun")
    }
}
