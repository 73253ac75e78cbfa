//! Settings: what callers hand in ([`RawConfig`]) and what the exporter works with ([`Config`], valid by construction).
//!
//! This is the only home of defaults. Nothing is inferred: a setting that nobody made is absent or has the default named
//! here. Java hands over one msgpack map that serde reads into [`RawConfig`]; unknown fields are errors, so a JAR and a
//! library that do not belong together say so at `build`.

mod builder;
mod conversion;
mod filters;
mod formats;
mod on_malformed;
mod queue;
mod stats;
mod statsd_url;
mod url;

pub use builder::Builder;
pub use conversion::Conversion;
pub use filters::{AGENT_FILTER_BYTES, AGENT_FILTER_RULES, FilterRules};
pub use formats::{InputFormat, OutputFormat};
pub use on_malformed::OnMalformed;
pub use queue::{Overflow, QueueSettings};
pub use stats::StatsSettings;
pub use statsd_url::StatsdUrl;
pub use url::AgentUrl;

use crate::error::{Error, ErrorKind};
use crate::obfuscate::{ObfuscationConfig, Obfuscator};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Where the agent is when nobody says.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8126";
/// Default limit of opening one connection.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Default limit of one attempt, connecting included.
pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Default limit of one synchronous send, retries and waiting included.
pub const DEFAULT_SEND_BUDGET: Duration = Duration::from_secs(10);
/// How many idle connections are kept by default.
pub const DEFAULT_MAX_IDLE_CONNECTIONS: usize = 1;
/// How long an idle connection is kept by default.
pub const DEFAULT_MAX_IDLE_AGE: Duration = Duration::from_secs(10);
/// Default limit of `close`.
pub const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_millis(800);
/// A limit of requests below this would leave no room for a trace.
pub const LEAST_REQUEST_BYTES: u64 = 1024;
/// The value of `outputFormat` that leaves the choice to what the agent offers.
pub const OUTPUT_AUTO: &str = "AUTO";
/// No time limit may be longer.
pub const MAX_DURATION: Duration = Duration::from_secs(600);

/// What a caller hands in: every field optional, nothing checked. Times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are the setters of `Builder`, documented there
pub struct RawConfig {
    pub url: Option<String>,
    pub service: String,
    pub env: String,
    pub version: String,
    pub hostname: String,
    pub language: String,
    pub language_version: String,
    pub language_interpreter: String,
    pub language_vendor: String,
    pub tracer_version: String,
    pub runtime_id: Option<String>,
    pub container_id: String,
    pub entity_id: String,
    pub external_env: String,
    pub detect_container: bool,
    pub git_commit_sha: String,
    pub process_tags: String,
    pub client_computed_stats: bool,
    pub client_computed_top_level: bool,
    pub connect_timeout_ms: Option<u64>,
    pub send_timeout_ms: Option<u64>,
    pub send_budget_ms: Option<u64>,
    pub max_request_bytes: Option<u64>,
    pub max_idle_connections: Option<u32>,
    pub max_idle_age_ms: Option<u64>,
    pub close_timeout_ms: Option<u64>,
    pub headers: Vec<(String, String)>,
    pub test_session_token: String,
    pub input_format: Option<String>,
    pub output_format: Option<String>,
    pub on_malformed: Option<String>,
    pub compute_top_level: bool,
    pub drop_p0: Option<bool>,
    pub require_tags: Vec<String>,
    pub reject_tags: Vec<String>,
    pub require_tag_regexes: Vec<String>,
    pub reject_tag_regexes: Vec<String>,
    pub ignore_resources: Vec<String>,
    pub discovery: Option<bool>,
    pub agent_filters: bool,
    pub compute_stats_ms: Option<u64>,
    pub stats_replay: bool,
    pub peer_tags: Vec<String>,
    pub additional_metric_tags: Vec<String>,
    pub stats_limits: Option<[u32; 5]>,
    pub obfuscate_stats: Option<bool>,
    pub normalize: Option<bool>,
    pub obfuscate: Option<bool>,
    pub obfuscation: Option<String>,
    /// Variables and their values; counts where `obfuscation` was not set.
    pub obfuscation_environment: Vec<(String, String)>,
    pub dogstatsd: String,
    pub queue_bytes: Option<u64>,
    pub queue_payloads: Option<u32>,
    pub senders: Option<u32>,
    pub batch_bytes: Option<u64>,
    pub batch_age_ms: Option<u64>,
    pub async_budget_ms: Option<u64>,
    pub overflow: Option<String>,
    pub block_wait_ms: Option<u64>,
    /// A directory.
    pub spool: Option<String>,
    pub spool_bytes: Option<u64>,
    /// Where a setting was taken from if not from a setter, as pairs of setting and origin; only shown by `explain`.
    pub origins: Vec<(String, String)>,
}

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

/// Checked settings. Made by [`Config::new`], never changed afterwards.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // one line per field would repeat `Builder`
pub struct Config {
    pub url: AgentUrl,
    pub metadata: Metadata,
    pub detect_container: bool,
    pub client_computed_stats: bool,
    pub client_computed_top_level: bool,
    pub connect_timeout: Duration,
    pub send_timeout: Duration,
    pub send_budget: Duration,
    /// The caller's own limit, below that of the agent.
    pub max_request_bytes: Option<usize>,
    pub max_idle_connections: usize,
    pub max_idle_age: Duration,
    pub close_timeout: Duration,
    pub headers: Vec<(String, String)>,
    pub test_session_token: String,
    pub input_format: InputFormat,
    pub output_format: OutputFormat,
    pub on_malformed: OnMalformed,
    pub compute_top_level: bool,
    /// `None`: while stats are computed.
    pub drop_p0: Option<bool>,
    pub filters: FilterRules,
    /// The best format that the agent offers is used instead of `output_format`.
    pub output_auto: bool,
    pub discovery: bool,
    pub agent_filters: bool,
    /// Stats are computed while the agent takes them.
    pub stats: Option<StatsSettings>,
    pub normalize: bool,
    /// What hides secrets, if anything shall.
    pub obfuscator: Option<Arc<Obfuscator>>,
    pub dogstatsd: Option<StatsdUrl>,
    /// The asynchronous interface.
    pub queue: QueueSettings,
    /// What the caller handed in.
    pub raw: RawConfig,
}

/// Who sends: goes into headers, stats payloads and converted payloads. Empty means not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // see `Builder`
pub struct Metadata {
    pub service: String,
    pub env: String,
    pub version: String,
    pub hostname: String,
    pub language: String,
    pub language_version: String,
    pub language_interpreter: String,
    pub language_vendor: String,
    pub tracer_version: String,
    pub runtime_id: String,
    pub container_id: String,
    pub entity_id: String,
    pub external_env: String,
    pub git_commit_sha: String,
    pub process_tags: String,
}

impl Metadata {
    /// The same process but for its id.
    pub(crate) fn with_new_runtime_id(&self) -> Self {
        Self { runtime_id: random_uuid(), ..self.clone() }
    }
}

impl Config {
    /// Checks `raw` and fills in the defaults.
    ///
    /// # Errors
    /// `INVALID_URL` or `INVALID_CONFIGURATION`; the message names the setting and its range.
    pub fn new(raw: RawConfig) -> Result<Self, Error> {
        let as_given = raw.clone();
        for (name, value) in &raw.headers {
            check_header(name, value)?;
        }
        for (setting, value) in [
            ("language", &raw.language),
            ("languageVersion", &raw.language_version),
            ("languageInterpreter", &raw.language_interpreter),
            ("languageVendor", &raw.language_vendor),
            ("tracerVersion", &raw.tracer_version),
            ("containerId", &raw.container_id),
            ("entityId", &raw.entity_id),
            ("externalEnv", &raw.external_env),
            ("testSessionToken", &raw.test_session_token),
        ] {
            if !is_header_value(value) {
                return Err(invalid(format!(
                    "{setting} goes into an HTTP header and must not have control characters"
                )));
            }
        }
        Ok(Self {
            url: AgentUrl::parse(raw.url.as_deref().unwrap_or(DEFAULT_URL))?,
            metadata: Metadata {
                service: raw.service,
                env: raw.env,
                version: raw.version,
                hostname: raw.hostname,
                language: raw.language,
                language_version: raw.language_version,
                language_interpreter: raw.language_interpreter,
                language_vendor: raw.language_vendor,
                tracer_version: raw.tracer_version,
                runtime_id: raw.runtime_id.filter(|id| !id.is_empty()).unwrap_or_else(random_uuid),
                container_id: raw.container_id,
                entity_id: raw.entity_id,
                external_env: raw.external_env,
                git_commit_sha: raw.git_commit_sha,
                process_tags: raw.process_tags,
            },
            detect_container: raw.detect_container,
            client_computed_stats: raw.client_computed_stats,
            client_computed_top_level: raw.client_computed_top_level,
            connect_timeout: duration("connectTimeout", raw.connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT)?,
            send_timeout: duration("sendTimeout", raw.send_timeout_ms, DEFAULT_SEND_TIMEOUT)?,
            send_budget: duration("sendBudget", raw.send_budget_ms, DEFAULT_SEND_BUDGET)?,
            max_request_bytes: match raw.max_request_bytes {
                Some(n) if n < LEAST_REQUEST_BYTES => {
                    return Err(invalid(format!(
                        "maxRequestBytes is {n}; it must be {LEAST_REQUEST_BYTES} or more"
                    )));
                }
                n => n.and_then(|n| usize::try_from(n).ok()),
            },
            max_idle_connections: match raw.max_idle_connections {
                None => DEFAULT_MAX_IDLE_CONNECTIONS,
                Some(n) if n <= 64 => n as usize,
                Some(n) => return Err(invalid(format!("maxIdleConnections is {n}; it must be 0 to 64"))),
            },
            max_idle_age: duration("maxIdleAge", raw.max_idle_age_ms, DEFAULT_MAX_IDLE_AGE)?,
            close_timeout: match raw.close_timeout_ms {
                Some(0) => Duration::ZERO,
                ms => duration("closeTimeout", ms, DEFAULT_CLOSE_TIMEOUT)?,
            },
            headers: raw.headers,
            test_session_token: raw.test_session_token,
            input_format: choice("inputFormat", raw.input_format.as_deref(), &InputFormat::ALL)?,
            output_format: match raw.output_format.as_deref() {
                Some(OUTPUT_AUTO) => OutputFormat::V04,
                name => choice("outputFormat", name, &OutputFormat::ALL)?,
            },
            output_auto: raw.output_format.as_deref() == Some(OUTPUT_AUTO),
            discovery: raw.discovery.unwrap_or(true),
            agent_filters: raw.agent_filters,
            stats: stats::settings(&as_given)?,
            normalize: raw.normalize.unwrap_or(false),
            obfuscator: obfuscator(raw.obfuscate, raw.obfuscation.as_deref(), &raw.obfuscation_environment)?,
            dogstatsd: match raw.dogstatsd.as_str() {
                "" => None,
                url => Some(StatsdUrl::parse(url)?),
            },
            queue: queue::settings(&as_given)?,
            on_malformed: choice("onMalformed", raw.on_malformed.as_deref(), &ON_MALFORMED)?,
            compute_top_level: raw.compute_top_level,
            drop_p0: raw.drop_p0,
            filters: filters(FilterRules {
                require: raw.require_tags,
                reject: raw.reject_tags,
                require_regex: raw.require_tag_regexes,
                reject_regex: raw.reject_tag_regexes,
                ignore_resources: raw.ignore_resources,
            })?,
            raw: as_given,
        })
    }
}

const ON_MALFORMED: [(&str, OnMalformed); 3] =
    [("REPAIR", OnMalformed::Repair), ("DROP", OnMalformed::Drop), ("FAIL", OnMalformed::Fail)];

fn choice<T: Copy + Default>(setting: &str, text: Option<&str>, known: &[(&str, T)]) -> Result<T, Error> {
    let Some(text) = text else { return Ok(T::default()) };
    known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        invalid(format!("{setting} is {text:?}; it must be one of {}", names.join(", ")))
    })
}

/// The agent's own rules may be wrong and are then left out; the caller's must be right.
fn filters(rules: FilterRules) -> Result<FilterRules, Error> {
    rules.check()?;
    Ok(rules)
}

/// Who says how to obfuscate wants it, unless he says no. Then the settings are checked all the same, so that switching it
/// on is no surprise.
fn obfuscator(
    on: Option<bool>,
    json: Option<&str>,
    variables: &[(String, String)],
) -> Result<Option<Arc<Obfuscator>>, Error> {
    let on = on.unwrap_or(json.is_some());
    let config = match json {
        Some(json) => ObfuscationConfig::from_json(json)?,
        None if !on && variables.is_empty() => return Ok(None),
        None => ObfuscationConfig::from_environment(|name| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })?,
    };
    let obfuscator = Obfuscator::new(&config)?;
    Ok(on.then(|| Arc::new(obfuscator)))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}

fn duration(setting: &str, millis: Option<u64>, default: Duration) -> Result<Duration, Error> {
    let Some(ms) = millis else { return Ok(default) };
    let limit = MAX_DURATION.as_millis();
    if ms == 0 || u128::from(ms) > limit {
        return Err(invalid(format!("{setting} is {ms} ms; it must be more than 0 and at most {limit} ms")));
    }
    Ok(Duration::from_millis(ms))
}

/// Headers that the exporter writes itself, so a caller's `header` may not name them.
const OWN_HEADERS: [&str; 5] = ["content-length", "transfer-encoding", "content-type", "host", "connection"];

fn check_header(name: &str, value: &str) -> Result<(), Error> {
    let token = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !token {
        return Err(invalid(format!("header: {name:?} is not an HTTP header name")));
    }
    if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(invalid(format!("header: {name} is written by the exporter itself")));
    }
    if !is_header_value(value) {
        return Err(invalid(format!("header: the value of {name} has control characters")));
    }
    Ok(())
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| b == b'\t' || (b >= 0x20 && b != 0x7f))
}

/// A random UUID (version 4), for a runtime id that nobody gave.
fn random_uuid() -> String {
    use std::hash::{BuildHasher, Hasher};
    // std seeds each RandomState from the operating system; two of them give 128 bits.
    let word = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    let (hi, lo) = (word(), word());
    let hi = (hi & !0xf000) | 0x4000;
    let lo = (lo & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        hi >> 32,
        (hi >> 16) & 0xffff,
        hi & 0xffff,
        lo >> 48,
        lo & 0xffff_ffff_ffff
    )
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
    }

    #[test]
    fn refuses_what_cannot_work_and_names_the_setting() {
        let cases = [
            (RawConfig { send_budget_ms: Some(0), ..RawConfig::default() }, "sendBudget"),
            (RawConfig { connect_timeout_ms: Some(600_001), ..RawConfig::default() }, "connectTimeout"),
            (RawConfig { max_request_bytes: Some(1023), ..RawConfig::default() }, "maxRequestBytes"),
            (RawConfig { max_idle_connections: Some(65), ..RawConfig::default() }, "maxIdleConnections"),
            (RawConfig { headers: vec![("a b".into(), "c".into())], ..RawConfig::default() }, "header"),
            (RawConfig { headers: vec![("Host".into(), "c".into())], ..RawConfig::default() }, "Host"),
            (
                RawConfig { headers: vec![("x".into(), "a\r\nb: c".into())], ..RawConfig::default() },
                "control",
            ),
            (RawConfig { output_format: Some("V07".into()), ..RawConfig::default() }, "outputFormat"),
            (RawConfig { on_malformed: Some("repair".into()), ..RawConfig::default() }, "REPAIR"),
            (RawConfig { reject_tag_regexes: vec!["a:(".into()], ..RawConfig::default() }, "a:("),
            (
                RawConfig { obfuscation: Some("{\"redis\": {\"on\": 1}}".into()), ..RawConfig::default() },
                "`on`",
            ),
            (RawConfig { language: "a\nb".into(), ..RawConfig::default() }, "language"),
        ];
        for (raw, word) in cases {
            let e = Config::new(raw).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidConfiguration);
            assert!(e.message().contains(word), "{e}");
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
