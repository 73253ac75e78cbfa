//! What to obfuscate: the agent's `apm_config.obfuscation`, its `replace_tags` and its SQL options, by the agent's
//! names.
//!
//! What is not given is as in a packaged agent ([`ObfuscationConfig::agent`]). Unknown names are errors, so that a
//! typing error does not turn a protection off unnoticed.

use super::replace::ReplaceRule;
use super::settings;
use super::sql::{SqlConfig, SqlMode};
use crate::error::{Error, ErrorKind};
use serde::Serialize;

/// What to obfuscate, and how.
///
/// Always on, whatever stands here: SQL and Cassandra statements, the resources of Redis and Valkey spans, user and
/// password in `http.url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObfuscationConfig {
    /// Card numbers in all tags and event attributes.
    pub credit_cards: CreditCardsConfig,
    /// Tag `elasticsearch.body`.
    pub elasticsearch: JsonConfig,
    /// Tag `opensearch.body`.
    pub opensearch: JsonConfig,
    /// Tag `mongodb.query`.
    pub mongodb: JsonConfig,
    /// Query plans, in the tags that it names and for the tools.
    pub sql_exec_plan: PlanConfig,
    /// Query plans, normalized.
    pub sql_exec_plan_normalize: PlanConfig,
    /// Tag `http.url`.
    pub http: HttpConfig,
    /// Tag `error.stack` becomes `?`.
    pub remove_stack_traces: bool,
    /// Tag `redis.raw_command`.
    pub redis: RedisConfig,
    /// Tag `valkey.raw_command`.
    pub valkey: RedisConfig,
    /// Tag `memcached.command`.
    pub memcached: MemcachedConfig,
    /// SQL and Cassandra statements.
    pub sql: SqlConfig,
    /// The caller's own rules, in their order.
    pub replace_tags: Vec<ReplaceRule>,
}

/// Card numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreditCardsConfig {
    /// Whether they are looked for.
    pub enabled: bool,
    /// Only numbers whose check digit is right.
    pub luhn: bool,
    /// Keys whose values are left alone.
    pub keep_values: Vec<String>,
}

/// A tag that holds JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JsonConfig {
    /// Whether its values are hidden.
    pub enabled: bool,
    /// Keys whose values stay.
    pub keep_values: Vec<String>,
    /// Keys whose values are SQL and are obfuscated as such.
    pub obfuscate_sql_values: Vec<String>,
}

/// Query plans in JSON; off unless asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanConfig {
    /// Whether their values are hidden.
    pub enabled: bool,
    /// Keys whose values stay.
    pub keep_values: Vec<String>,
    /// Keys whose values are SQL and are obfuscated as such.
    pub obfuscate_sql_values: Vec<String>,
    /// Tags of spans that hold such a plan. The agent has no such option: it sees plans elsewhere.
    pub tags: Vec<String>,
}

/// URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HttpConfig {
    /// The query goes.
    pub remove_query_string: bool,
    /// Path segments with digits become `?`.
    pub remove_paths_with_digits: bool,
    /// What this regex (Go's syntax) matches in a query becomes `<redacted>`, and so does the value of a key in which
    /// it matches; empty for nothing. As tracers do; the agent has no such option.
    pub query_string_regexp: String,
}

/// Raw commands of Redis and Valkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RedisConfig {
    /// Whether arguments that hold values are hidden.
    pub enabled: bool,
    /// Every argument goes.
    pub remove_all_args: bool,
}

/// Memcached commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemcachedConfig {
    /// Whether the tag is changed at all.
    pub enabled: bool,
    /// The command's line stays; else the whole tag is emptied.
    pub keep_command: bool,
}

impl Default for CreditCardsConfig {
    fn default() -> Self {
        Self { enabled: true, luhn: false, keep_values: Vec::new() }
    }
}

impl Default for JsonConfig {
    fn default() -> Self {
        Self { enabled: true, keep_values: Vec::new(), obfuscate_sql_values: Vec::new() }
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { enabled: true, remove_all_args: false }
    }
}

impl Default for MemcachedConfig {
    fn default() -> Self {
        Self { enabled: true, keep_command: false }
    }
}

impl Default for ObfuscationConfig {
    fn default() -> Self {
        Self::agent()
    }
}

impl ObfuscationConfig {
    /// The defaults of a packaged agent: cards (without check digit), JSON bodies, Redis, Valkey and Memcached
    /// commands; URLs keep query and digits.
    pub fn agent() -> Self {
        Self {
            credit_cards: CreditCardsConfig::default(),
            elasticsearch: JsonConfig::default(),
            opensearch: JsonConfig::default(),
            mongodb: JsonConfig::default(),
            sql_exec_plan: PlanConfig::default(),
            sql_exec_plan_normalize: PlanConfig::default(),
            http: HttpConfig::default(),
            remove_stack_traces: false,
            redis: RedisConfig::default(),
            valkey: RedisConfig::default(),
            memcached: MemcachedConfig::default(),
            sql: SqlConfig::default(),
            replace_tags: Vec::new(),
        }
    }

    /// Everything that can be switched on by a yes: as [`agent`](Self::agent), with URLs losing query and digits, card
    /// numbers only with a right check digit, the line of a Memcached command kept. Stack traces stay, and so do the
    /// arguments of Redis commands that hold no values.
    pub fn all() -> Self {
        let mut config = Self::agent();
        config.credit_cards.luhn = true;
        config.http.remove_query_string = true;
        config.http.remove_paths_with_digits = true;
        config.memcached.keep_command = true;
        config
    }

    /// Only what is always on.
    pub fn off() -> Self {
        let mut config = Self::agent();
        config.credit_cards.enabled = false;
        for json in [&mut config.elasticsearch, &mut config.opensearch, &mut config.mongodb] {
            json.enabled = false;
        }
        config.redis.enabled = false;
        config.valkey.enabled = false;
        config.memcached.enabled = false;
        config
    }

    /// One of the sets above by name: `agent`, `all` or `off`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "agent" => Some(Self::agent()),
            "all" => Some(Self::all()),
            "off" => Some(Self::off()),
            _ => None,
        }
    }

    /// Reads settings from a JSON object.
    ///
    /// # Errors
    /// `InvalidConfiguration` with the place: for text that is no JSON, an unknown name, a value of the wrong type, an
    /// unknown mode.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        settings::from_json("obfuscation", json)
    }

    /// Reads the agent's environment variables: `DD_APM_OBFUSCATION_*`, `DD_APM_SQL_OBFUSCATION_MODE`,
    /// `DD_APM_REPLACE_TAGS`; `look_up` gives a variable's value. What is not set is as in a packaged agent, or as
    /// `DD_OBFUSCATION_CONFIG` says, JSON as for [`from_json`](Self::from_json).
    ///
    /// # Errors
    /// `InvalidConfiguration` with the variable's name.
    pub fn from_environment(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut config = match look_up("DD_OBFUSCATION_CONFIG").filter(|json| !json.trim().is_empty()) {
            Some(json) => settings::from_json("DD_OBFUSCATION_CONFIG", &json)?,
            None => Self::agent(),
        };
        let env = Environment(&look_up);
        env.cards(&mut config.credit_cards)?;
        for (name, json) in [
            ("ELASTICSEARCH", &mut config.elasticsearch),
            ("OPENSEARCH", &mut config.opensearch),
            ("MONGODB", &mut config.mongodb),
        ] {
            env.flag(&format!("{name}_ENABLED"), &mut json.enabled)?;
            env.list(&format!("{name}_KEEP_VALUES"), &mut json.keep_values)?;
            env.list(&format!("{name}_OBFUSCATE_SQL_VALUES"), &mut json.obfuscate_sql_values)?;
        }
        for (name, plan) in [
            ("SQL_EXEC_PLAN", &mut config.sql_exec_plan),
            ("SQL_EXEC_PLAN_NORMALIZE", &mut config.sql_exec_plan_normalize),
        ] {
            env.flag(&format!("{name}_ENABLED"), &mut plan.enabled)?;
            env.list(&format!("{name}_KEEP_VALUES"), &mut plan.keep_values)?;
            env.list(&format!("{name}_OBFUSCATE_SQL_VALUES"), &mut plan.obfuscate_sql_values)?;
        }
        env.flag("HTTP_REMOVE_QUERY_STRING", &mut config.http.remove_query_string)?;
        env.flag("HTTP_REMOVE_PATHS_WITH_DIGITS", &mut config.http.remove_paths_with_digits)?;
        env.flag("REMOVE_STACK_TRACES", &mut config.remove_stack_traces)?;
        for (name, redis) in [("REDIS", &mut config.redis), ("VALKEY", &mut config.valkey)] {
            env.flag(&format!("{name}_ENABLED"), &mut redis.enabled)?;
            env.flag(&format!("{name}_REMOVE_ALL_ARGS"), &mut redis.remove_all_args)?;
        }
        env.flag("MEMCACHED_ENABLED", &mut config.memcached.enabled)?;
        env.flag("MEMCACHED_KEEP_COMMAND", &mut config.memcached.keep_command)?;
        if let Some(mode) = look_up("DD_APM_SQL_OBFUSCATION_MODE").filter(|m| !m.is_empty()) {
            let unknown = || invalid(format!("DD_APM_SQL_OBFUSCATION_MODE: {mode:?} is no mode"));
            config.sql.obfuscation_mode = Some(SqlMode::named(&mode).ok_or_else(unknown)?);
        }
        if let Some(rules) = look_up("DD_APM_REPLACE_TAGS").filter(|r| !r.trim().is_empty()) {
            config.replace_tags = settings::rules_from_json("DD_APM_REPLACE_TAGS", &rules)?;
        }
        Ok(config)
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}

/// `DD_APM_OBFUSCATION_*`.
struct Environment<'l, L>(&'l L);

impl<L: Fn(&str) -> Option<String>> Environment<'_, L> {
    fn get(&self, name: &str) -> Option<(String, String)> {
        let name = format!("DD_APM_OBFUSCATION_{name}");
        let value = (self.0)(&name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| (name, value.to_owned()))
    }

    fn flag(&self, name: &str, flag: &mut bool) -> Result<(), Error> {
        let Some((name, value)) = self.get(name) else { return Ok(()) };
        *flag = match value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => return Err(invalid(format!("{name}: {value:?} is neither true nor false"))),
        };
        Ok(())
    }

    /// A JSON array of strings, or words with spaces between them.
    fn list(&self, name: &str, list: &mut Vec<String>) -> Result<(), Error> {
        let Some((name, value)) = self.get(name) else { return Ok(()) };
        *list = if value.starts_with('[') {
            settings::list_from_json(&name, &value)?
        } else {
            value.split_whitespace().map(str::to_owned).collect()
        };
        Ok(())
    }

    fn cards(&self, cards: &mut CreditCardsConfig) -> Result<(), Error> {
        self.flag("CREDIT_CARDS_ENABLED", &mut cards.enabled)?;
        self.flag("CREDIT_CARDS_LUHN", &mut cards.luhn)?;
        self.list("CREDIT_CARDS_KEEP_VALUES", &mut cards.keep_values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_as_in_a_packaged_agent() {
        let config = ObfuscationConfig::from_json(r#"{"credit_cards": {"luhn": true}, "http": {}}"#).unwrap();
        let mut expected = ObfuscationConfig::agent();
        expected.credit_cards.luhn = true;
        assert_eq!(config, expected);
        assert!(config.credit_cards.enabled && config.mongodb.enabled && !config.sql_exec_plan.enabled);
        let round = serde_json::to_string(&ObfuscationConfig::all()).unwrap();
        assert_eq!(ObfuscationConfig::from_json(&round).unwrap(), ObfuscationConfig::all());
    }

    #[test]
    fn errors_name_the_place() {
        for (json, place) in [
            (r#"{"credit_card": {}}"#, "unknown field `credit_card`"),
            (
                "{\n \"redis\": {\"enable\": true}}",
                "obfuscation: redis: unknown field `enable`, expected one of `enabled`, `remove_all_args`",
            ),
            (r#"{"http": 1}"#, "obfuscation: http: an object belongs there"),
            (r#"{"http": {"remove_query_string": 1}}"#, "http.remove_query_string: true or false belongs"),
            (r#"{"mongodb": {"keep_values": ["a", 1]}}"#, "mongodb.keep_values: an array of texts"),
            ("{\n \"http\": }", "line 2 column 10"),
            (r#"{"sql": {"obfuscation_mode": "x"}}"#, "sql.obfuscation_mode: normalize_only"),
            (r#"{"replace_tags": [{"name": "a", "patern": ""}]}"#, "replace_tags[0].pattern: a text"),
            (r#"{"replace_tags": [{"name": "a", "pattern": "", "reps": ""}]}"#, "unknown field `reps`"),
        ] {
            let error = ObfuscationConfig::from_json(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
            assert!(error.message().contains(place), "{json}: {error}");
        }
    }

    #[test]
    fn reads_the_environment_of_the_agent() {
        let read = |set: &[(&str, &str)]| {
            ObfuscationConfig::from_environment(|name| {
                set.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned())
            })
        };
        let config = read(&[
            ("DD_APM_OBFUSCATION_CREDIT_CARDS_LUHN", "1"),
            ("DD_APM_OBFUSCATION_MONGODB_ENABLED", "false"),
            ("DD_APM_OBFUSCATION_OPENSEARCH_KEEP_VALUES", r#"["a", "b"]"#),
            ("DD_APM_OBFUSCATION_CREDIT_CARDS_KEEP_VALUES", "x y"),
            ("DD_APM_OBFUSCATION_HTTP_REMOVE_PATHS_WITH_DIGITS", "true"),
            ("DD_APM_REPLACE_TAGS", r#"[{"name": "*", "pattern": "a", "repl": "b"}]"#),
        ])
        .unwrap();
        assert!(config.credit_cards.luhn && !config.mongodb.enabled && config.http.remove_paths_with_digits);
        assert_eq!(config.opensearch.keep_values, ["a", "b"]);
        assert_eq!(config.credit_cards.keep_values, ["x", "y"]);
        assert_eq!(config.replace_tags.len(), 1);
        assert_eq!(read(&[]).unwrap(), ObfuscationConfig::agent());
        let config = read(&[
            (
                "DD_OBFUSCATION_CONFIG",
                r#"{"redis": {"enabled": false}, "http": {"remove_query_string": true}}"#,
            ),
            ("DD_APM_OBFUSCATION_REDIS_ENABLED", "true"),
        ])
        .unwrap();
        assert!(config.redis.enabled && config.http.remove_query_string);
        let error = read(&[("DD_OBFUSCATION_CONFIG", r#"{"redi": 1}"#)]).unwrap_err();
        assert!(error.message().contains("DD_OBFUSCATION_CONFIG: unknown field `redi`"), "{error}");
        let error = read(&[("DD_APM_OBFUSCATION_REDIS_ENABLED", "yes")]).unwrap_err();
        assert!(error.message().starts_with("DD_APM_OBFUSCATION_REDIS_ENABLED"), "{error}");
        assert!(read(&[("DD_APM_REPLACE_TAGS", "{")]).is_err());
    }
}
