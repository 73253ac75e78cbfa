//! The fluent builder of the Rust face. The Java builder has the same setters in camel case.

use super::RawConfig;
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

    text_setters! {
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
        /// Whether to read container and entity id from `/proc/self/cgroup` at build. Default off. An id that was set wins.
        detect_container;
        /// Says by header that the tracer computed stats itself.
        client_computed_stats;
        /// Says by header that the tracer marked top-level spans itself.
        client_computed_top_level;
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
    }
}
