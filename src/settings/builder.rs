//! The fluent builder of the Rust face. The Java builder has the same setters in camel case.

use super::{InputFormat, OnMalformed, OutputFormat, Overflow, RawConfig};
use std::time::Duration;

/// Collects settings; `build` checks them.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    raw: RawConfig,
}

macro_rules! text_setters {
    ($( $(#[$doc:meta])* $name:ident; )*) => {
        $( $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, value: impl Into<String>) -> Self {
            self.raw.$name = value.into();
            self
        } )*
    };
}

macro_rules! duration_setters {
    ($( $(#[$doc:meta])* $name:ident => $field:ident; )*) => {
        $( $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, value: Duration) -> Self {
            self.raw.$field = Some(u64::try_from(value.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
            self
        } )*
    };
}

macro_rules! list_setters {
    ($( $(#[$doc:meta])* $name:ident => $field:ident; )*) => {
        $( $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, value: impl Into<String>) -> Self {
            self.raw.$field.push(value.into());
            self
        } )*
    };
}

macro_rules! flag_setters {
    ($( $(#[$doc:meta])* $name:ident; )*) => {
        $( $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, value: bool) -> Self {
            self.raw.$name = value;
            self
        } )*
    };
}

impl Builder {
    /// What is handed over to `send`. Default v0.4.
    #[must_use]
    pub fn input_format(mut self, value: InputFormat) -> Self {
        self.raw.input_format =
            InputFormat::ALL.iter().find(|(_, format)| *format == value).map(|(name, _)| (*name).to_owned());
        self
    }

    /// What goes to the agent. Default v0.4.
    #[must_use]
    pub fn output_format(mut self, value: OutputFormat) -> Self {
        self.raw.output_format =
            OutputFormat::ALL.iter().find(|(_, format)| *format == value).map(|(name, _)| (*name).to_owned());
        self
    }

    /// The best format that the agent offers: v1 where `/info` lists it, else v0.4. (v0.5 is never chosen: it cannot carry
    /// everything that v0.4 does.)
    #[must_use]
    pub fn output_format_auto(mut self) -> Self {
        self.raw.output_format = Some(super::OUTPUT_AUTO.to_owned());
        self
    }

    /// Whether the agent's `/info` is read: at start, every 300 s, and when the agent's state changes. Default on.
    #[must_use]
    pub fn discovery(mut self, value: bool) -> Self {
        self.raw.discovery = Some(value);
        self
    }

    /// Whether spans are normalized as the agent does it, and traces refused that it would refuse. Default off: the agent
    /// does it.
    #[must_use]
    pub fn normalize(mut self, value: bool) -> Self {
        self.raw.normalize = Some(value);
        self
    }

    /// Whether spans are obfuscated as the agent does it. Default: if [`obfuscation`](Self::obfuscation) says how; else
    /// off, since the agent does it.
    #[must_use]
    pub fn obfuscate(mut self, value: bool) -> Self {
        self.raw.obfuscate = Some(value);
        self
    }

    /// What is obfuscated and how, as JSON: the agent's `apm_config.obfuscation` with `replace_tags` and `sql` beside it;
    /// see [`ObfuscationConfig`](crate::obfuscate::ObfuscationConfig). What
    /// is not named is as in a packaged agent.
    #[must_use]
    pub fn obfuscation(mut self, json: impl Into<String>) -> Self {
        self.raw.obfuscation = Some(json.into());
        self
    }

    /// As [`obfuscation`](Self::obfuscation), from variables of the environment that the caller has read: the agent's
    /// `DD_APM_OBFUSCATION_*`, `DD_APM_SQL_OBFUSCATION_MODE` and `DD_APM_REPLACE_TAGS`, and `DD_OBFUSCATION_CONFIG`, which
    /// holds JSON. `obfuscation` wins, and obfuscation is not switched on by it.
    #[must_use]
    pub fn obfuscation_environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.raw.obfuscation_environment = variables.into_iter().collect();
        self
    }

    /// What becomes of input that the agent would refuse. Default: repaired where that has one meaning.
    #[must_use]
    pub fn on_malformed(mut self, value: OnMalformed) -> Self {
        self.raw.on_malformed = Some(
            match value {
                OnMalformed::Repair => "REPAIR",
                OnMalformed::Drop => "DROP",
                OnMalformed::Fail => "FAIL",
            }
            .to_owned(),
        );
        self
    }

    /// The settings made so far, unchecked.
    pub fn into_raw(self) -> RawConfig {
        self.raw
    }

    /// Where the agent is. Default [`super::DEFAULT_URL`].
    #[must_use]
    pub fn url(mut self, value: impl Into<String>) -> Self {
        self.raw.url = Some(value.into());
        self
    }

    /// Identity of the process. Default: a random UUID.
    #[must_use]
    pub fn runtime_id(mut self, value: impl Into<String>) -> Self {
        self.raw.runtime_id = Some(value.into());
        self
    }

    /// One more header on every request. May be called for several headers.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.raw.headers.push((name.into(), value.into()));
        self
    }

    /// How many idle connections are kept, 0 to 64. Default 1.
    #[must_use]
    pub fn max_idle_connections(mut self, value: u32) -> Self {
        self.raw.max_idle_connections = Some(value);
        self
    }

    /// Splits payloads into requests of at most so many bytes, even where the agent takes more; 1,024 or more. Default: what
    /// the agent's `/info` says, else 25 MiB.
    #[must_use]
    pub fn max_request_bytes(mut self, value: u64) -> Self {
        self.raw.max_request_bytes = Some(value);
        self
    }

    /// Computes stats in buckets of this length (1 s to 10 min; agents expect 10 s) while the agent takes them, and then
    /// drops the p0 traces that sampling says to drop. Default: nobody computes stats here. Excludes
    /// [`Builder::client_computed_stats`].
    #[must_use]
    pub fn compute_stats(mut self, bucket: Duration) -> Self {
        self.raw.compute_stats_ms = Some(u64::try_from(bucket.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Whether traces that sampling gave priority 0 or less are left out here and counted as sampled out; spans that are to
    /// be kept all the same (errors, single-span sampling, analytics) stay. Default: while stats are computed.
    #[must_use]
    pub fn drop_p0(mut self, value: bool) -> Self {
        self.raw.drop_p0 = Some(value);
        self
    }

    /// Whether the resources of stats are obfuscated here when the agent agrees to that (`obfuscation_version` 1 of its
    /// `/info`), in its SQL mode. Default: yes; else, and with any other agent, it does that itself.
    #[must_use]
    pub fn obfuscate_stats(mut self, value: bool) -> Self {
        self.raw.obfuscate_stats = Some(value);
        self
    }

    /// How many different groups and values a bucket of stats takes; what is beyond is counted as `tracer_blocked_value`.
    #[must_use]
    pub fn stats_limits(mut self, l: crate::stats::StatsLimits) -> Self {
        self.raw.stats_limits =
            Some([l.whole_key, l.resource, l.http_endpoint, l.peer_tags, l.additional_tags]);
        self
    }

    /// How many bytes of payloads wait for the senders at most, those on their way included; 64 KiB or more. Default 32 MiB.
    #[must_use]
    pub fn queue_bytes(mut self, value: u64) -> Self {
        self.raw.queue_bytes = Some(value);
        self
    }

    /// How many payloads wait for the senders at most. Default 4,096.
    #[must_use]
    pub fn queue_payloads(mut self, value: u32) -> Self {
        self.raw.queue_payloads = Some(value);
        self
    }

    /// How many native threads deliver what was offered, 1 to 64. Default 1. They start when needed and end when idle.
    #[must_use]
    pub fn senders(mut self, value: u32) -> Self {
        self.raw.senders = Some(value);
        self
    }

    /// Queued v0.4 payloads are merged into requests of up to so many bytes. Default 1 MiB; 0 merges nothing.
    #[must_use]
    pub fn batch_bytes(mut self, value: u64) -> Self {
        self.raw.batch_bytes = Some(value);
        self
    }

    /// What happens when the queue is full. Default: what is offered is refused.
    #[must_use]
    pub fn overflow(mut self, value: Overflow) -> Self {
        self.raw.overflow =
            Overflow::ALL.iter().find(|(_, policy)| *policy == value).map(|(name, _)| (*name).to_owned());
        self
    }

    /// Keeps on disk, in this directory and within so many bytes (1 MiB or more), what the queue cannot hold while the
    /// agent is away, also beyond the end of the process. Default off.
    #[must_use]
    pub fn spool(mut self, directory: impl Into<String>, bytes: u64) -> Self {
        self.raw.spool = Some(directory.into());
        self.raw.spool_bytes = Some(bytes);
        self
    }

    list_setters! {
        /// One more tag that describes the peer of a client, producer or consumer span in stats, beside those of `/info`.
        peer_tag => peer_tags;
        /// One more tag that tells groups of stats apart; at most four.
        additional_metric_tag => additional_metric_tags;
        /// Keeps only traces whose root has this tag: `KEY` or `KEY:VALUE`. Several must all be there.
        require_tag => require_tags;
        /// Leaves out traces whose root has this tag: `KEY` or `KEY:VALUE`.
        reject_tag => reject_tags;
        /// As `require_tag`, the value a regex in Go's syntax, which need not match the whole value.
        require_tag_regex => require_tag_regexes;
        /// As `reject_tag`, the value a regex in Go's syntax, which need not match the whole value.
        reject_tag_regex => reject_tag_regexes;
        /// Leaves out traces whose root's resource matches this regex: Go's syntax, as the agent reads it.
        ignore_resource => ignore_resources;
    }

    text_setters! {
        /// Where health metrics go: `udp://host:port` or `unix:///path` (a datagram socket). Without a port, the agent's
        /// `/info` says it, else 8125. Default: none are sent.
        dogstatsd;
        /// The service of the process; used where a span or payload has none of its own.
        service;
        /// The environment, `prod` for instance.
        env;
        /// The version of the service.
        version;
        /// The host name.
        hostname;
        /// Header `Datadog-Meta-Lang`, `java` for instance.
        language;
        /// Header `Datadog-Meta-Lang-Version`.
        language_version;
        /// Header `Datadog-Meta-Lang-Interpreter`.
        language_interpreter;
        /// Header `Datadog-Meta-Lang-Interpreter-Vendor`.
        language_vendor;
        /// Header `Datadog-Meta-Tracer-Version`.
        tracer_version;
        /// Header `Datadog-Container-ID`.
        container_id;
        /// Header `Datadog-Entity-ID`.
        entity_id;
        /// Header `Datadog-External-Env`.
        external_env;
        /// The commit the service was built from.
        git_commit_sha;
        /// Process tags, `k:v,k:v`.
        process_tags;
        /// Header `X-Datadog-Test-Session-Token` of Datadog's test agent.
        test_session_token;
    }

    flag_setters! {
        /// Every span is counted in the bucket in which it ended, however long ago, and buckets are sent at close: for old
        /// payloads that are sent again. Default off: what ended before the present buckets goes to the oldest.
        stats_replay;
        /// Applies the trace filters that the agent's `/info` names (`filter_tags`, `filter_tags_regex`, `ignore_resources`).
        agent_filters;
        /// Whether to read container and entity id from `/proc/self/cgroup` at build. Default off. An id that was set wins.
        detect_container;
        /// Says by header that the tracer computed stats itself.
        client_computed_stats;
        /// Says by header that the tracer marked top-level spans itself.
        client_computed_top_level;
        /// Marks top-level spans in the payload (`_top_level`) and says so by header.
        compute_top_level;
    }

    duration_setters! {
        /// Limit of opening one connection; more than zero, at most 10 minutes. Default 1 s.
        connect_timeout => connect_timeout_ms;
        /// Limit of one attempt. Default 10 s.
        send_timeout => send_timeout_ms;
        /// Limit of one synchronous send, retries and waiting included. Default 10 s.
        send_budget => send_budget_ms;
        /// How long an idle connection is kept. Default 10 s.
        max_idle_age => max_idle_age_ms;
        /// Limit of `close`; zero does not wait. Default 800 ms.
        close_timeout => close_timeout_ms;
        /// How long a small payload waits in the queue for others to travel with. Default 200 ms; zero does not wait. What
        /// somebody waits for (`send_async`, `flush`) never waits for this.
        batch_age => batch_age_ms;
        /// How long a queued payload is tried, from the moment it was offered. Default 60 s.
        async_budget => async_budget_ms;
        /// How long an offer waits for room with [`Overflow::Block`]. Default 1 s.
        block_wait => block_wait_ms;
    }
}
