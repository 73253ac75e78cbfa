//! Reads obfuscation settings from JSON. Every name that nobody asks for is an error with its place, so that a typing
//! error does not turn a protection off unnoticed.
//!
//! By hand and not by `serde`: derived, the same is fifty kilobytes of the library.

use super::config::{JsonConfig, ObfuscationConfig, PlanConfig, RedisConfig};
use super::replace::ReplaceRule;
use super::sql::{SqlConfig, SqlMode};
use crate::error::{Error, ErrorKind};
use crate::regexes;
use serde_json::{Map, Value};

/// Settings from the text of a JSON object; `source` is what an error begins with.
pub(super) fn from_json(source: &str, text: &str) -> Result<ObfuscationConfig, Error> {
    let mut config = ObfuscationConfig::agent();
    let mut all = Object::new(source.to_owned(), parse(source, text)?)?;
    all.within("credit_cards", |o| {
        let cards = &mut config.credit_cards;
        o.flag("enabled", &mut cards.enabled)?;
        o.flag("luhn", &mut cards.luhn)?;
        o.list("keep_values", &mut cards.keep_values)
    })?;
    for (name, JsonConfig { enabled, keep_values, obfuscate_sql_values }) in [
        ("elasticsearch", &mut config.elasticsearch),
        ("opensearch", &mut config.opensearch),
        ("mongodb", &mut config.mongodb),
    ] {
        all.within(name, |o| o.document(enabled, keep_values, obfuscate_sql_values))?;
    }
    for (name, PlanConfig { enabled, keep_values, obfuscate_sql_values, tags }) in [
        ("sql_exec_plan", &mut config.sql_exec_plan),
        ("sql_exec_plan_normalize", &mut config.sql_exec_plan_normalize),
    ] {
        all.within(name, |o| {
            o.list("tags", tags)?;
            o.document(enabled, keep_values, obfuscate_sql_values)?;
            let without = || invalid(format!("{} has no effect while `enabled` is false", o.place("tags")));
            if *enabled || tags.is_empty() { Ok(()) } else { Err(without()) }
        })?;
    }
    all.within("http", |o| {
        o.flag("remove_query_string", &mut config.http.remove_query_string)?;
        // The agent's file has one name, what it says of itself has the other.
        o.flag("remove_path_digits", &mut config.http.remove_paths_with_digits)?;
        o.flag("remove_paths_with_digits", &mut config.http.remove_paths_with_digits)?;
        o.text("query_string_regexp", &mut config.http.query_string_regexp)?;
        regexes::check(&config.http.query_string_regexp)
            .map_err(|why| invalid(format!("{}: {why}", o.place("query_string_regexp"))))
    })?;
    all.flag("remove_stack_traces", &mut config.remove_stack_traces)?;
    for (name, RedisConfig { enabled, remove_all_args }) in
        [("redis", &mut config.redis), ("valkey", &mut config.valkey)]
    {
        all.within(name, |o| {
            o.flag("enabled", enabled)?;
            o.flag("remove_all_args", remove_all_args)
        })?;
    }
    all.within("memcached", |o| {
        o.flag("enabled", &mut config.memcached.enabled)?;
        o.flag("keep_command", &mut config.memcached.keep_command)
    })?;
    all.within("sql", |o| o.sql(&mut config.sql))?;
    if let Some(rules) = all.take("replace_tags") {
        config.replace_tags = replace_rules(&all.place("replace_tags"), rules)?;
    }
    all.end()?;
    Ok(config)
}

/// Replace rules from the text of a JSON array.
pub(super) fn rules_from_json(source: &str, text: &str) -> Result<Vec<ReplaceRule>, Error> {
    replace_rules(source, parse(source, text)?)
}

/// A JSON array of strings.
pub(super) fn list_from_json(source: &str, text: &str) -> Result<Vec<String>, Error> {
    strings(source, parse(source, text)?)
}

fn parse(source: &str, text: &str) -> Result<Value, Error> {
    text.parse().map_err(|e: serde_json::Error| invalid(format!("{source}: {e}")))
}

fn replace_rules(place: &str, rules: Value) -> Result<Vec<ReplaceRule>, Error> {
    let Value::Array(rules) = rules else { return Err(wrong(place, "an array of rules")) };
    let read = |(i, rule)| {
        let mut object = Object::new(format!("{place}[{i}]"), rule)?;
        let mut rule = ReplaceRule { name: String::new(), pattern: String::new(), repl: String::new() };
        for (name, into) in [("name", &mut rule.name), ("pattern", &mut rule.pattern)] {
            if !object.text(name, into)? {
                return Err(wrong(&object.place(name), "a text"));
            }
        }
        object.text("repl", &mut rule.repl)?;
        object.end()?;
        // Here the error can say where the rule came from. It does not show the pattern, which may say what is secret.
        regexes::check(&rule.pattern)
            .map_err(|why| invalid(format!("{}: {why}", object.place("pattern"))))?;
        Ok(rule)
    };
    rules.into_iter().enumerate().map(read).collect()
}

fn strings(place: &str, value: Value) -> Result<Vec<String>, Error> {
    let all = match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| if let Value::String(text) = item { Some(text) } else { None })
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    all.ok_or_else(|| wrong(place, "an array of texts"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}

#[cold]
fn wrong(place: &str, expected: &str) -> Error {
    invalid(format!("{place}: {expected} belongs there"))
}

/// An object of which each field is taken out once; what is left at the end is not known.
struct Object {
    place: String,
    fields: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Object {
    fn new(place: String, value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(fields) => Ok(Self { place, fields, asked: Vec::new() }),
            _ => Err(wrong(&place, "an object")),
        }
    }

    fn place(&self, name: &str) -> String {
        let separator = if self.place.contains(": ") { "." } else { ": " };
        format!("{}{separator}{name}", self.place)
    }

    /// A field; null counts as absent.
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn within(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Object) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(value) = self.take(name) else { return Ok(()) };
        let mut object = Object::new(self.place(name), value)?;
        read(&mut object)?;
        object.end()
    }

    fn flag(&mut self, name: &'static str, into: &mut bool) -> Result<(), Error> {
        if let Some(value) = self.take(name) {
            *into = value.as_bool().ok_or_else(|| wrong(&self.place(name), "true or false"))?;
        }
        Ok(())
    }

    /// Whether the text was there.
    fn text(&mut self, name: &'static str, into: &mut String) -> Result<bool, Error> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::String(text)) => {
                *into = text;
                Ok(true)
            }
            Some(_) => Err(wrong(&self.place(name), "a text")),
        }
    }

    fn list(&mut self, name: &'static str, into: &mut Vec<String>) -> Result<(), Error> {
        if let Some(value) = self.take(name) {
            *into = strings(&self.place(name), value)?;
        }
        Ok(())
    }

    fn document(
        &mut self,
        enabled: &mut bool,
        keep_values: &mut Vec<String>,
        obfuscate_sql_values: &mut Vec<String>,
    ) -> Result<(), Error> {
        self.flag("enabled", enabled)?;
        self.list("keep_values", keep_values)?;
        self.list("obfuscate_sql_values", obfuscate_sql_values)
    }

    fn sql(&mut self, sql: &mut SqlConfig) -> Result<(), Error> {
        let mut mode = String::new();
        self.text("obfuscation_mode", &mut mode)?;
        if !mode.is_empty() {
            let known = "normalize_only, obfuscate_only or obfuscate_and_normalize";
            let unknown = || wrong(&self.place("obfuscation_mode"), known);
            sql.obfuscation_mode = Some(SqlMode::named(&mode).ok_or_else(unknown)?);
        }
        self.text("dbms", &mut sql.dbms)?;
        for (name, into) in [
            ("replace_digits", &mut sql.replace_digits),
            ("keep_sql_alias", &mut sql.keep_sql_alias),
            ("dollar_quoted_func", &mut sql.dollar_quoted_func),
            ("table_names", &mut sql.table_names),
            ("keep_null", &mut sql.keep_null),
            ("keep_boolean", &mut sql.keep_boolean),
            ("keep_positional_parameter", &mut sql.keep_positional_parameter),
            ("keep_trailing_semicolon", &mut sql.keep_trailing_semicolon),
            ("keep_identifier_quotation", &mut sql.keep_identifier_quotation),
            ("remove_space_between_parentheses", &mut sql.remove_space_between_parentheses),
            ("replace_bind_parameter", &mut sql.replace_bind_parameter),
            ("keep_json_path", &mut sql.keep_json_path),
            ("keep_comments", &mut sql.keep_comments),
        ] {
            self.flag(name, into)?;
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Error> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => {
                let known = self.asked.join("`, `");
                Err(invalid(format!("{}: unknown field `{name}`, expected one of `{known}`", self.place)))
            }
        }
    }
}
