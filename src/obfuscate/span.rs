//! Which text of a span is obfuscated how: by the span's type, matched exactly, and for card numbers in every tag.

use super::config::{JsonConfig, ObfuscationConfig, PlanConfig, RedisConfig};
use super::credit_card::CreditCards;
use super::http::UrlOptions;
use super::json::Json;
use super::query::QueryRedaction;
use super::replace::{Growth, ReplaceRule, Replacer};
use super::sql::{NON_PARSABLE, SqlConfig, SqlObfuscator};
use super::{http, ip, memcached, redis};
use crate::error::Error;
use crate::trace::{Field, SpanAccess, Tag, Verdict};

/// Obfuscates spans, stats resources and single texts by one configuration.
#[derive(Debug)]
pub struct Obfuscator {
    cards: Option<CreditCards>,
    elasticsearch: Option<Json>,
    opensearch: Option<Json>,
    mongodb: Option<Json>,
    plan: Option<Json>,
    /// Tags that hold a query plan.
    plan_tags: Vec<Vec<u8>>,
    query: Option<QueryRedaction>,
    url: UrlOptions,
    redis: RedisConfig,
    valkey: RedisConfig,
    memcached: Option<bool>,
    sql: SqlConfig,
    replacer: Replacer,
}

/// Memory to work in, one for each thread: made by [`Obfuscator::scratch`], used again from span to span.
#[derive(Debug, Default)]
pub struct Scratch {
    text: Vec<u8>,
    sql: SqlObfuscator,
    growth: Growth,
}

impl Scratch {
    /// A payload begins.
    pub fn begin(&mut self) {
        self.growth = Growth::default();
    }
}

/// What a single text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// A statement.
    Sql,
    /// A query plan in JSON.
    SqlExecPlan,
    /// Raw commands of Redis or Valkey.
    Redis,
    /// The resource of a Redis or Valkey span.
    RedisResource,
    /// A memcached command.
    Memcached,
    /// A MongoDB query.
    Mongo,
    /// An Elasticsearch body.
    Elasticsearch,
    /// An OpenSearch body.
    OpenSearch,
    /// A URL.
    Http,
    /// A tag's value that may be a card number.
    Card,
    /// A peer tag's value, a list of hosts.
    Ip,
}

impl TextKind {
    /// The kind by the name that the tools use.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sql" => Self::Sql,
            "sql_exec_plan" => Self::SqlExecPlan,
            "redis" | "valkey" => Self::Redis,
            "redis_resource" => Self::RedisResource,
            "memcached" => Self::Memcached,
            "mongo" | "mongodb" => Self::Mongo,
            "es" | "elasticsearch" => Self::Elasticsearch,
            "opensearch" => Self::OpenSearch,
            "http" => Self::Http,
            "card" => Self::Card,
            "ip" => Self::Ip,
            _ => return None,
        })
    }
}

impl Obfuscator {
    /// Prepares everything that `config` asks for.
    ///
    /// # Errors
    /// `InvalidConfiguration` for a replace rule whose pattern cannot be read.
    pub fn new(config: &ObfuscationConfig) -> Result<Self, Error> {
        let json = |c: &JsonConfig| c.enabled.then(|| Json::new(&c.keep_values, &c.obfuscate_sql_values));
        let plan = |c: &PlanConfig| c.enabled.then(|| Json::new(&c.keep_values, &c.obfuscate_sql_values));
        let cards = &config.credit_cards;
        let mut rules = Vec::new();
        if config.remove_stack_traces {
            let rule = |name: &str, pattern: &str, repl: &str| ReplaceRule {
                name: name.into(),
                pattern: pattern.into(),
                repl: repl.into(),
            };
            rules.push(rule("error.stack", "(?s).*", "?"));
        }
        rules.extend_from_slice(&config.replace_tags);
        Ok(Self {
            cards: cards.enabled.then(|| CreditCards::new(cards.luhn, &cards.keep_values)),
            elasticsearch: json(&config.elasticsearch),
            opensearch: json(&config.opensearch),
            mongodb: json(&config.mongodb),
            plan: plan(&config.sql_exec_plan_normalize).or_else(|| plan(&config.sql_exec_plan)),
            plan_tags: plan_tags(config),
            query: QueryRedaction::new(&config.http.query_string_regexp)?,
            url: UrlOptions {
                remove_query_string: config.http.remove_query_string,
                remove_path_digits: config.http.remove_paths_with_digits,
            },
            redis: config.redis,
            valkey: config.valkey,
            memcached: config.memcached.enabled.then_some(config.memcached.keep_command),
            sql: config.sql.clone(),
            replacer: Replacer::new(&rules)?,
        })
    }

    /// Memory to work in. It also remembers, as an agent's obfuscator does, how backslashes were last to be read in
    /// SQL.
    pub fn scratch(&self) -> Scratch {
        Scratch { sql: SqlObfuscator::new(self.sql.clone()), ..Scratch::default() }
    }

    /// Obfuscates one span. Replace rules come later, after truncation: [`replace`](Self::replace).
    pub fn span<S: SpanAccess>(&self, span: &mut S, scratch: &mut Scratch) {
        let Scratch { text: memory, sql, .. } = scratch;
        if let Some(cards) = &self.cards {
            span.each_event_attribute(memory, |key, value, out| cards.attribute(key, value, out));
            if span.may_hold_card() {
                span.each_tag(memory, |key, value, out| cards.tag(key, value, out));
            }
        }
        if !self.plan_tags.is_empty() {
            span.each_tag(memory, |key, value, out| match self.plan_tags.iter().any(|tag| tag == key) {
                true => json(&self.plan, value, sql, out),
                false => Verdict::Keep,
            });
        }
        match span.field(Field::Type) {
            b"web" | b"http" => tag(span, Tag::HttpUrl, memory, |url, out| self.url(url, out)),
            b"sql" | b"cassandra" => sql_span(span, sql, memory),
            b"redis" => {
                resource(span, memory, redis::quantize);
                command(span, Tag::RedisRawCommand, self.redis, memory);
            }
            b"valkey" => {
                resource(span, memory, redis::quantize);
                command(span, Tag::ValkeyRawCommand, self.valkey, memory);
            }
            b"memcached" => {
                if let Some(keep) = self.memcached {
                    tag(span, Tag::MemcachedCommand, memory, |text, out| memcached::command(text, keep, out));
                }
            }
            b"mongodb" => json_tag(span, Tag::MongoQuery, &self.mongodb, sql, memory),
            b"elasticsearch" | b"opensearch" => {
                json_tag(span, Tag::ElasticBody, &self.elasticsearch, sql, memory);
                json_tag(span, Tag::OpenSearchBody, &self.opensearch, sql, memory);
            }
            _ => {}
        }
    }

    fn url(&self, url: &[u8], out: &mut Vec<u8>) -> Verdict {
        let start = out.len();
        let verdict = http::url(url, self.url, out);
        match &self.query {
            Some(query) => query.then(url, verdict, start, out),
            None => verdict,
        }
    }

    /// Applies the caller's replace rules, and the removal of stack traces.
    pub fn replace<S: SpanAccess>(&self, span: &mut S, scratch: &mut Scratch) {
        self.replacer.span(span, &mut scratch.growth, &mut scratch.text);
    }

    /// How SQL is obfuscated.
    pub fn sql_config(&self) -> &SqlConfig {
        &self.sql
    }

    /// Whether [`replace`](Self::replace) does anything.
    pub fn has_replace_rules(&self) -> bool {
        !self.replacer.is_empty()
    }

    /// The resource of a stats group, by the span's type and `db.type`. Replace rules are not applied.
    pub fn stats_resource(
        &self,
        span_type: &[u8],
        resource: &[u8],
        db_type: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Verdict {
        match span_type {
            b"sql" | b"cassandra" => statement(&mut scratch.sql, resource, db_type, true, out),
            b"redis" | b"valkey" => redis::quantize(resource, out),
            _ => Verdict::Keep,
        }
    }

    /// One text by its kind; `db_type` counts for SQL only. A kind that the configuration has off stays as it is.
    pub fn text(
        &self,
        kind: TextKind,
        text: &[u8],
        db_type: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let sql = &mut scratch.sql;
        match kind {
            TextKind::Sql => statement(sql, text, db_type, false, out),
            TextKind::SqlExecPlan => json(&self.plan, text, sql, out),
            TextKind::Redis if !self.redis.enabled => Verdict::Keep,
            TextKind::Redis if self.redis.remove_all_args => redis::remove_all(text, out),
            TextKind::Redis => redis::raw_command(text, out),
            TextKind::RedisResource => redis::quantize(text, out),
            TextKind::Memcached => {
                self.memcached.map_or(Verdict::Keep, |keep| memcached::command(text, keep, out))
            }
            TextKind::Mongo => json(&self.mongodb, text, sql, out),
            TextKind::Elasticsearch => json(&self.elasticsearch, text, sql, out),
            TextKind::OpenSearch => json(&self.opensearch, text, sql, out),
            TextKind::Http => self.url(text, out),
            TextKind::Card => self.cards.as_ref().map_or(Verdict::Keep, |cards| cards.tag(b"", text, out)),
            TextKind::Ip => ip::quantize(text, out),
        }
    }
}

/// The tags of the plans that are on.
fn plan_tags(config: &ObfuscationConfig) -> Vec<Vec<u8>> {
    let plans = [&config.sql_exec_plan, &config.sql_exec_plan_normalize];
    let on = plans.into_iter().filter(|plan| plan.enabled);
    on.flat_map(|plan| plan.tags.iter().map(|tag| tag.clone().into_bytes())).collect()
}

/// A statement, or what stands for one that cannot be read. `agreed`: as the agent writes it, to the letter.
fn statement(
    sql: &mut SqlObfuscator,
    text: &[u8],
    db_type: &[u8],
    agreed: bool,
    out: &mut Vec<u8>,
) -> Verdict {
    if text.is_empty() {
        return Verdict::Keep;
    }
    let start = out.len();
    // A dialect that is not even text is none that anybody knows.
    let db_type = std::str::from_utf8(db_type).unwrap_or("");
    let read = if agreed { sql.obfuscate(text, db_type, out) } else { sql.hide(text, db_type, out) };
    if read.is_err() {
        out.truncate(start);
        out.extend_from_slice(NON_PARSABLE.as_bytes());
    }
    if out.get(start..) == Some(text) {
        out.truncate(start);
        return Verdict::Keep;
    }
    Verdict::Replace
}

/// JSON, if the configuration asks for it.
fn json(json: &Option<Json>, text: &[u8], sql: &mut SqlObfuscator, out: &mut Vec<u8>) -> Verdict {
    match json {
        Some(json) => json.obfuscate(text, &mut |text, out| sql.obfuscate_in_json(text, out), out),
        None => Verdict::Keep,
    }
}

fn json_tag<S: SpanAccess>(
    span: &mut S,
    key: Tag,
    rules: &Option<Json>,
    sql: &mut SqlObfuscator,
    memory: &mut Vec<u8>,
) {
    if rules.is_some() {
        tag(span, key, memory, |text, out| json(rules, text, sql, out));
    }
}

/// The resource, and the tags that carry the statement, each on its own.
fn sql_span<S: SpanAccess>(span: &mut S, sql: &mut SqlObfuscator, memory: &mut Vec<u8>) {
    memory.clear();
    let db_type = span.tag(Tag::DbType).unwrap_or(&[]);
    let resource = statement(sql, span.field(Field::Resource), db_type, false, memory);
    let end = memory.len();
    for key in [Tag::SqlQuery, Tag::DbStatement, Tag::DbQueryText] {
        let Some(text) = span.tag(key) else { continue };
        if text.is_empty() {
            if key == Tag::SqlQuery {
                // The intake then takes the statement from the resource.
                span.remove_tag(key);
            }
            continue;
        }
        if text == span.field(Field::Resource) {
            if resource == Verdict::Replace {
                span.set_tag(key, memory.get(..end).unwrap_or(&[]));
            }
            continue;
        }
        memory.truncate(end);
        let db_type = span.tag(Tag::DbType).unwrap_or(&[]);
        if statement(sql, text, db_type, false, memory) == Verdict::Replace {
            span.set_tag(key, memory.get(end..).unwrap_or(&[]));
        }
    }
    if resource == Verdict::Replace {
        span.set_field(Field::Resource, memory.get(..end).unwrap_or(&[]));
    }
}

fn resource<S: SpanAccess>(
    span: &mut S,
    scratch: &mut Vec<u8>,
    rule: impl FnOnce(&[u8], &mut Vec<u8>) -> Verdict,
) {
    scratch.clear();
    if rule(span.field(Field::Resource), scratch) == Verdict::Replace {
        span.set_field(Field::Resource, scratch);
    }
}

/// Applies a rule to a tag that is there and not empty.
fn tag<S: SpanAccess>(
    span: &mut S,
    key: Tag,
    scratch: &mut Vec<u8>,
    rule: impl FnOnce(&[u8], &mut Vec<u8>) -> Verdict,
) {
    let Some(text) = span.tag(key).filter(|t| !t.is_empty()) else { return };
    scratch.clear();
    if rule(text, scratch) == Verdict::Replace {
        span.set_tag(key, scratch);
    }
}

fn command<S: SpanAccess>(span: &mut S, key: Tag, config: RedisConfig, scratch: &mut Vec<u8>) {
    if config.enabled {
        let rule = if config.remove_all_args { redis::remove_all } else { redis::raw_command };
        tag(span, key, scratch, rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::SpanFields;

    fn span(span_type: &str, resource: &str, meta: &[(&str, &str)]) -> SpanFields {
        SpanFields {
            span_type: span_type.into(),
            resource: resource.into(),
            meta: meta.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect(),
            ..SpanFields::default()
        }
    }

    fn run(config: &ObfuscationConfig, mut s: SpanFields) -> SpanFields {
        let obfuscator = Obfuscator::new(config).unwrap();
        let mut scratch = obfuscator.scratch();
        obfuscator.span(&mut s, &mut scratch);
        obfuscator.replace(&mut s, &mut scratch);
        s
    }

    #[test]
    fn types_are_matched_exactly() {
        let agent = ObfuscationConfig::agent();
        let meta =
            [("redis.raw_command", "SET k v"), ("http.url", "http://u:p@h/"), ("memcached.command", "get a")];
        let s = run(&agent, span("redis", "set k v", &meta));
        assert_eq!(
            (s.resource.as_slice(), s.meta(b"redis.raw_command")),
            (&b"SET"[..], Some(&b"SET k ?"[..]))
        );
        assert_eq!(s.meta(b"http.url"), Some(&b"http://u:p@h/"[..]));
        let s = run(&agent, span("Redis", "set k v", &meta));
        assert_eq!(s.resource, b"set k v");
        let s = run(&agent, span("http", "r", &meta));
        assert_eq!(s.meta(b"http.url"), Some(&b"http://h/"[..]));
        let s = run(&agent, span("memcached", "r", &meta));
        assert_eq!(s.meta(b"memcached.command"), Some(&b""[..]), "there, but empty");
    }

    #[test]
    fn off_leaves_what_is_always_on() {
        let off = ObfuscationConfig::off();
        let meta = [("valkey.raw_command", "SET k v"), ("card", "4111111111111111")];
        let s = run(&off, span("valkey", "set k v", &meta));
        assert_eq!(s.resource, b"SET");
        assert_eq!(s.meta(b"valkey.raw_command"), Some(&b"SET k v"[..]));
        assert_eq!(s.meta(b"card"), Some(&b"4111111111111111"[..]));
    }

    #[test]
    fn stack_traces_and_rules_come_last() {
        let mut config = ObfuscationConfig::agent();
        config.remove_stack_traces = true;
        let rule = ReplaceRule { name: "*".into(), pattern: "[?]".into(), repl: "!".into() };
        config.replace_tags.push(rule);
        let s =
            run(&config, span("web", "r", &[("error.stack", "at a\nat b"), ("card", "4111111111111111")]));
        assert_eq!(s.meta(b"error.stack"), Some(&b"!"[..]));
        assert_eq!(s.meta(b"card"), Some(&b"!"[..]));
    }

    #[test]
    fn every_tag_with_a_statement_is_obfuscated_on_its_own() {
        let meta = [("sql.query", ""), ("db.statement", "select 1"), ("db.query.text", "select 'a")];
        let s = run(&ObfuscationConfig::off(), span("sql", "select 1", &meta));
        assert_eq!((s.resource.as_slice(), s.meta(b"sql.query")), (&b"select ?"[..], None));
        assert_eq!(s.meta(b"db.statement"), Some(&b"select ?"[..]));
        assert_eq!(s.meta(b"db.query.text"), Some(NON_PARSABLE.as_bytes()));
        let s = run(&ObfuscationConfig::off(), span("cassandra", "", &[("db.statement", "select 1")]));
        assert_eq!((s.resource.as_slice(), s.meta(b"db.statement")), (&b""[..], Some(&b"select ?"[..])));
    }

    #[test]
    fn both_bodies_of_a_search_span_are_hidden() {
        let meta = [("elasticsearch.body", r#"{"a":1}"#), ("opensearch.body", r#"{"b":1}"#)];
        let s = run(&ObfuscationConfig::agent(), span("opensearch", "r", &meta));
        assert_eq!(s.meta(b"elasticsearch.body"), Some(&br#"{"a":"?"}"#[..]));
        assert_eq!(s.meta(b"opensearch.body"), Some(&br#"{"b":"?"}"#[..]));
    }
}
