//! `/info`: what the agent is and offers.
//!
//! Fields are those of the Go agent and of libdatadog's reader; all are optional, unknown ones are ignored, and `null`
//! counts as absent, since agents write it for empty lists. The raw bytes stay: hosts read more from them than we do.

use super::headers::TAGS_HASH;
use super::sha256;
use serde_json::{Map, Value};
use std::sync::Arc;
use ureq::http::HeaderMap;

/// One answer of `/info`. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// The parsed fields.
    pub fields: Arc<Fields>,
    /// The body as it came.
    pub raw: Arc<str>,
    /// SHA-256 of the body in hex: what the agent calls its state.
    pub state_hash: Arc<str>,
    /// `Datadog-Container-Tags-Hash` of the answer.
    pub container_tags_hash: Option<Arc<str>>,
}

/// The fields of `/info`, by the agent's own names.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // the agent's names; what is used is explained where it is used
pub struct Fields {
    pub version: String,
    pub git_commit: String,
    pub endpoints: Vec<String>,
    pub feature_flags: Vec<String>,
    pub client_drop_p0s: bool,
    pub span_meta_structs: bool,
    pub long_running_spans: bool,
    pub span_events: bool,
    pub evp_proxy_allowed_headers: Vec<String>,
    pub peer_tags: Vec<String>,
    pub span_kinds_stats_computed: Vec<String>,
    pub obfuscation_version: u32,
    pub filter_tags: FilterTags,
    pub filter_tags_regex: FilterTags,
    pub ignore_resources: Vec<String>,
    pub org_prop_marker: String,
    pub config: AgentConfig,
}

/// Tags a trace's root must have, or must not have: `key` or `key:value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct FilterTags {
    pub require: Vec<String>,
    pub reject: Vec<String>,
}

/// The part of the agent's configuration that it tells.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct AgentConfig {
    pub default_env: String,
    pub target_tps: f64,
    pub max_eps: f64,
    pub receiver_port: u16,
    pub receiver_socket: String,
    pub connection_limit: u64,
    pub receiver_timeout: u64,
    pub max_request_bytes: u64,
    pub statsd_port: u16,
    pub max_memory: f64,
    pub max_cpu: f64,
    pub obfuscation: Obfuscation,
}

/// How the agent obfuscates. Agents before 7.79 spell some names differently; both are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Obfuscation {
    pub elastic_search: bool,
    pub mongo: bool,
    pub sql_exec_plan: bool,
    pub sql_exec_plan_normalize: bool,
    pub sql_obfuscation_mode: String,
    pub remove_stack_traces: bool,
    pub http: HttpObfuscation,
    pub redis: CacheObfuscation,
    pub valkey: CacheObfuscation,
    pub memcached: CacheObfuscation,
}

/// URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HttpObfuscation {
    pub remove_query_string: bool,
    pub remove_path_digits: bool,
}

/// Redis, Valkey and Memcached commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CacheObfuscation {
    pub enabled: bool,
    pub remove_all_args: bool,
    pub keep_command: bool,
}

impl Info {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// Why it is not a JSON object.
    pub(crate) fn parse(body: &[u8], headers: &HeaderMap) -> Result<Self, String> {
        let raw = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
        if !raw.trim_start().starts_with('{') {
            return Err("it is not a JSON object".to_owned());
        }
        let said: Value = serde_json::from_str(raw).map_err(|e| format!("it is not valid JSON ({e})"))?;
        let fields = Fields::read(&said).unwrap_or_default();
        Ok(Self {
            fields: Arc::new(fields),
            raw: Arc::from(raw),
            state_hash: Arc::from(sha256::hex(body)),
            container_tags_hash: headers.get(TAGS_HASH).and_then(|v| v.to_str().ok()).map(Arc::from),
        })
    }

    /// What is known of an agent without `/info` that takes traces at `endpoint`.
    pub(super) fn probed(endpoint: &str) -> Self {
        let fields = Fields { endpoints: vec![endpoint.to_owned()], ..Fields::default() };
        let raw = format!("{{\"endpoints\":[\"{endpoint}\"]}}");
        Self {
            fields: Arc::new(fields),
            raw: Arc::from(raw),
            state_hash: Arc::from(""),
            container_tags_hash: None,
        }
    }

    /// Whether the agent has no `/info`: it was tried which endpoint takes traces, and nothing else is known of it.
    pub fn is_probed(&self) -> bool {
        self.state_hash.is_empty()
    }

    /// Whether it lists endpoints, and none for traces that we know.
    pub(super) fn lists_no_traces(&self) -> bool {
        let endpoints = &self.fields.endpoints;
        let known = ["/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v1.0/traces"];
        !endpoints.is_empty() && !endpoints.iter().any(|endpoint| known.contains(&endpoint.as_str()))
    }

    /// Whether the agent lists `endpoint`.
    pub fn offers(&self, endpoint: &str) -> bool {
        self.fields.endpoints.iter().any(|e| e == endpoint)
    }

    /// Whether stats may be computed on this side: the agent takes them, lets clients drop p0, and is not one
    /// that loses what it is told of them ([`Self::loses_p0`]).
    pub fn offers_stats(&self) -> bool {
        self.fields.client_drop_p0s && self.offers("/v0.6/stats") && !self.loses_p0()
    }

    /// Whether the agent is one before 7.65: those say that clients may drop p0, and lose them. What calls itself by no
    /// number, as test agents do, is taken at its word.
    pub fn loses_p0(&self) -> bool {
        self.version_number().is_some_and(|version| version < (7, 65))
    }

    /// Major and minor version, if the agent calls itself by numbers.
    fn version_number(&self) -> Option<(u32, u32)> {
        let (major, rest) = self.fields.version.trim().trim_start_matches('v').split_once('.')?;
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    /// Whether the agent sets `flag`.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.fields.feature_flags.iter().any(|f| f == flag)
    }

    /// The largest request that the agent takes, where it says so.
    pub fn max_request_bytes(&self) -> Option<u64> {
        Some(self.fields.config.max_request_bytes).filter(|n| *n > 0)
    }
}

/// What can stand in a field. Not derived by serde, whose code for these fields takes 25 KB of the library.
trait Field: Default {
    /// Nothing if the value has another type.
    fn read(value: &Value) -> Option<Self>;

    /// The field by the first of these names that is there. `null` and what has another type than expected count as
    /// absent: one odd field must not hide all others.
    fn of(object: &Map<String, Value>, names: &[&str]) -> Self {
        names.iter().find_map(|name| object.get(*name)).and_then(Self::read).unwrap_or_default()
    }
}

impl Field for bool {
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Field for u64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_u64()
    }
}

impl Field for u32 {
    fn read(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Field for u16 {
    fn read(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Field for f64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl Field for String {
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Field for Vec<String> {
    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::read).collect()
    }
}

/// Objects, field by field; an older name of a field behind it.
macro_rules! objects {
    ($($object:ident { $($field:ident $(or $old:literal)?,)* })*) => {$(
        impl Field for $object {
            fn read(value: &Value) -> Option<Self> {
                let object = value.as_object()?;
                Some(Self { $($field: Field::of(object, &[stringify!($field) $(, $old)?]),)* })
            }
        }
    )*};
}

objects! {
    Fields {
        version, git_commit, endpoints, feature_flags, client_drop_p0s, span_meta_structs, long_running_spans,
        span_events, evp_proxy_allowed_headers, peer_tags, span_kinds_stats_computed, obfuscation_version, filter_tags,
        filter_tags_regex, ignore_resources, org_prop_marker, config,
    }
    FilterTags { require, reject, }
    AgentConfig {
        default_env, target_tps, max_eps, receiver_port, receiver_socket, connection_limit, receiver_timeout,
        max_request_bytes, statsd_port, max_memory, max_cpu, obfuscation,
    }
    Obfuscation {
        elastic_search, mongo, sql_exec_plan, sql_exec_plan_normalize, sql_obfuscation_mode, remove_stack_traces, http,
        redis, valkey, memcached,
    }
    HttpObfuscation { remove_query_string, remove_path_digits, }
    CacheObfuscation { enabled or "Enabled", remove_all_args or "RemoveAllArgs", keep_command or "KeepCommand", }
}

/// An answer with this body, for the tests of other rooms.
#[cfg(test)]
pub(crate) fn parse_for_tests(text: &str) -> Info {
    Info::parse(text.as_bytes(), &HeaderMap::new()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Info, String> {
        Info::parse(text.as_bytes(), &HeaderMap::new())
    }

    #[test]
    fn agents_before_7_65_lose_dropped_traces_and_get_no_stats() {
        for (version, capable) in [
            ("7.65.0", true),
            ("7.65.0-rc.1", true),
            ("7.85.2", true),
            ("7.100.0", true),
            ("8.0.0", true),
            ("v7.66", true),
            ("7.64.9", false),
            ("7.64.3-devel+git.12.abc", false),
            ("7.9.0", false),
            ("6.99.0", false),
            ("v7.64.0", false),
            ("", true),
            ("test", true),
            ("nightly.2026", true),
        ] {
            let said =
                format!(r#"{{"version":"{version}","endpoints":["/v0.6/stats"],"client_drop_p0s":true}}"#);
            assert_eq!(parse(&said).unwrap().offers_stats(), capable, "{version}");
        }
    }

    #[test]
    fn reads_what_an_agent_says() {
        let info = parse(
            r#"{"version":"7.85.2","git_commit":"abc","endpoints":["/v0.4/traces","/v0.6/stats","/v1.0/traces"],
            "feature_flags":["big_resource"],"client_drop_p0s":true,"span_events":true,"peer_tags":["db.name"],
            "span_kinds_stats_computed":["client"],"obfuscation_version":1,"long_running_spans":true,
            "filter_tags":{"require":["a:b"],"reject":null},"filter_tags_regex":null,"ignore_resources":["GET /h.*"],
            "something_new":{"x":[1,2,{}]},
            "config":{"default_env":"prod","target_tps":10,"max_eps":200.5,"receiver_port":8126,"receiver_socket":"/s",
            "connection_limit":0,"receiver_timeout":0,"max_request_bytes":26214400,"statsd_port":8125,
            "max_memory":5e8,"max_cpu":0.5,"analyzed_spans_by_service":{},
            "obfuscation":{"elastic_search":true,"mongo":true,"sql_exec_plan":false,"sql_exec_plan_normalize":false,
            "http":{"remove_query_string":true,"remove_path_digits":false},"remove_stack_traces":false,
            "redis":{"Enabled":true,"RemoveAllArgs":false},"memcached":{"enabled":true,"keep_command":true},
            "credit_cards":{"enabled":true}}}}"#,
        )
        .unwrap();
        let f = &info.fields;
        assert!(info.offers_stats() && info.offers("/v1.0/traces") && info.has_flag("big_resource"));
        assert!(!info.offers("/v0.6") && f.span_events && f.long_running_spans && !f.span_meta_structs);
        assert_eq!(f.version, "7.85.2");
        assert_eq!(info.max_request_bytes(), Some(26_214_400));
        assert_eq!((f.config.statsd_port, f.config.max_eps), (8125, 200.5));
        assert_eq!(f.filter_tags, FilterTags { require: vec!["a:b".into()], reject: vec![] });
        assert_eq!(f.filter_tags_regex, FilterTags::default());
        let o = &f.config.obfuscation;
        assert!(
            o.elastic_search && o.http.remove_query_string && o.redis.enabled && o.memcached.keep_command
        );
        assert_eq!(info.state_hash.len(), 64);
    }

    #[test]
    fn nothing_nulls_and_odd_types_are_absent() {
        for text in [
            "{}",
            r#"{"endpoints":null,"config":null,"client_drop_p0s":null,"obfuscation_version":null}"#,
            r#"{"endpoints":"x","config":7,"client_drop_p0s":"yes","obfuscation_version":-1,"peer_tags":[1]}"#,
            r#"{"config":{"statsd_port":99999,"max_request_bytes":-5,"obfuscation":[]}}"#,
        ] {
            let info = parse(text).unwrap();
            assert_eq!(*info.fields, Fields::default(), "{text}");
            assert_eq!(info.max_request_bytes(), None);
        }
    }

    #[test]
    fn a_name_that_comes_twice_and_one_of_an_older_agent_are_read() {
        let info = parse(
            r#"{"version":"1.2","version":"7.80.0","config":{"obfuscation":{"redis":{"KeepCommand":true}}}}"#,
        );
        let fields = info.unwrap().fields;
        assert_eq!(fields.version, "7.80.0");
        assert!(fields.config.obfuscation.redis.keep_command);
    }

    #[test]
    fn the_state_is_the_digest_of_the_bytes() {
        assert_eq!(
            &*parse("{}").unwrap().state_hash,
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        let deep = "{\"a\":".to_owned() + &"[".repeat(100_000);
        for text in ["", "null", "[]", "<html>", "{", "{}}", "{\"endpoints\":[", &deep] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Info::parse(b"{\"version\":\"\xff\"}", &HeaderMap::new()).is_err());
    }
}
