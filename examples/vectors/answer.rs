//! The answer to one case line: which function of the library is asked, and how its answer is written.

mod base64;
mod spans;
mod stats;

use data_pipeline::normalize::{self, Counts, Reason};
use data_pipeline::obfuscate::sql::{SqlConfig, SqlObfuscator};
use data_pipeline::obfuscate::{self, CreditCards, ObfuscationConfig, Obfuscator, TextKind};
use data_pipeline::trace::Verdict;
use serde_json::{Map, Value, json};

/// One case line.
struct Case<'v>(&'v Value);

impl Case<'_> {
    fn input(&self) -> Vec<u8> {
        match self.0.get("input_b64").and_then(Value::as_str) {
            Some(text) => base64::decode(text),
            None => self.0.get("input").and_then(Value::as_str).unwrap_or("").into(),
        }
    }

    fn config(&self, name: &str) -> &Value {
        self.0.get("config").and_then(|c| c.get(name)).unwrap_or(&Value::Null)
    }

    fn flag(&self, name: &str) -> bool {
        self.config(name).as_bool().unwrap_or(false)
    }

    fn text(&self, name: &str) -> &str {
        self.config(name).as_str().unwrap_or("")
    }

    fn int(&self, name: &str) -> i64 {
        self.config(name).as_i64().unwrap_or(0)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let list = self.config(name).as_array().map(Vec::as_slice).unwrap_or(&[]);
        list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }
}

/// Answers one case.
pub(crate) fn answer(case: &Value) -> Value {
    let case = &Case(case);
    let kind = case.0.get("kind").and_then(Value::as_str).unwrap_or("");
    let input = case.input();
    let mut counts = Counts::default();
    let counts = &mut counts;
    let ruled = |rule: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> Verdict| apply(&input, rule);
    let output = match kind {
        "sql" => return statements(case),
        "redis" => ruled(&mut obfuscate::redis_raw_command),
        "redis_remove_all" => ruled(&mut obfuscate::redis_remove_all),
        "redis_quantize" => ruled(&mut obfuscate::quantize_redis),
        "memcached" => {
            ruled(&mut |text, out| obfuscate::memcached_command(text, case.flag("keep_command"), out))
        }
        "mongo" => configured(case, TextKind::Mongo, &input),
        "es" => configured(case, TextKind::Elasticsearch, &input),
        "opensearch" => configured(case, TextKind::OpenSearch, &input),
        "sql_exec_plan" => configured(case, TextKind::SqlExecPlan, &input),
        "http" => configured(case, TextKind::Http, &input),
        "creditcard" => ruled(&mut |text, out| card(case, text, out)),
        "ip" => ruled(&mut obfuscate::quantize_peer_addresses),
        "tag" => ruled(&mut normalize::tag),
        "tag_value" => ruled(&mut normalize::tag_value),
        "service" => {
            let fallback = normalize::fallback(case.text("lang").as_bytes());
            return with_reason(ruled(&mut |t, out| normalize::service(t, &fallback, counts, out)), counts);
        }
        "name" => return with_reason(ruled(&mut |t, out| normalize::name(t, counts, out)), counts),
        "peer_service" => {
            return with_reason(ruled(&mut |t, out| normalize::peer_service(t, counts, out)), counts);
        }
        "truncate" => {
            let limit = usize::try_from(case.int("limit")).unwrap_or(0);
            normalize::truncate::text(&input, limit).to_vec()
        }
        "duration" => {
            let duration = case.int("duration");
            let repaired = normalize::duration(case.int("start"), duration, counts);
            return json!({"value": {"duration": repaired.unwrap_or(duration), "invalid": repaired.is_some()}});
        }
        "stats" => return stats::group(case.0),
        "obfuscate_span" => return spans::span(case.0, &preset(case.text("preset"))),
        "span" => return spans::span(case.0, &ObfuscationConfig::off()),
        "chunk" => return spans::chunk(case.0, &ObfuscationConfig::off()),
        _ => return refused(format!("unknown kind {kind:?}")),
    };
    Value::Object(text_answer(output))
}

fn apply(input: &[u8], rule: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> Verdict) -> Vec<u8> {
    let mut out = Vec::new();
    match rule(input, &mut out) {
        Verdict::Keep => input.to_vec(),
        Verdict::Replace => out,
        Verdict::Remove => Vec::new(),
    }
}

fn text_answer(output: Vec<u8>) -> Map<String, Value> {
    let (key, text) = match String::from_utf8(output) {
        Ok(text) => ("output", text),
        Err(e) => ("output_b64", base64::encode(e.as_bytes())),
    };
    Map::from_iter([(key.to_owned(), Value::String(text))])
}

fn refused(why: String) -> Value {
    json!({ "error": why })
}

/// The reason beside the output, in the words of the agent's package.
fn with_reason(output: Vec<u8>, counts: &Counts) -> Value {
    let mut answer = text_answer(output);
    if let Some(reason) = Reason::ALL.into_iter().find(|r| counts.get(*r) > 0) {
        let words = match reason.label().rsplit('_').next() {
            Some("empty") => "empty",
            Some("truncate") => "too long",
            _ => "invalid",
        };
        answer.insert("error".into(), words.into());
    }
    Value::Object(answer)
}

fn card(case: &Case<'_>, text: &[u8], out: &mut Vec<u8>) -> Verdict {
    let cards = CreditCards::new(case.flag("luhn"), &case.list("keep_values"));
    match case.config("key").as_str() {
        Some(key) => cards.tag(key.as_bytes(), text, out),
        None if cards.is_card(text) => {
            out.push(b'?');
            Verdict::Replace
        }
        None => Verdict::Keep,
    }
}

fn preset(name: &str) -> ObfuscationConfig {
    ObfuscationConfig::preset(name).unwrap_or_default()
}

/// A text under the configuration of its case.
fn configured(case: &Case<'_>, kind: TextKind, input: &[u8]) -> Vec<u8> {
    let mut config = ObfuscationConfig::agent();
    for json in [&mut config.mongodb, &mut config.elasticsearch, &mut config.opensearch] {
        json.keep_values = case.list("keep_values");
        json.obfuscate_sql_values = case.list("obfuscate_sql_values");
    }
    config.sql_exec_plan.enabled = true;
    config.sql_exec_plan.keep_values = case.list("keep_values");
    config.sql_exec_plan.obfuscate_sql_values = case.list("obfuscate_sql_values");
    config.http.remove_query_string = case.flag("remove_query_string");
    config.http.remove_paths_with_digits = case.flag("remove_path_digits");
    match Obfuscator::new(&config) {
        Ok(obfuscator) => {
            apply(input, &mut |text, out| obfuscator.text(kind, text, b"", &mut obfuscator.scratch(), out))
        }
        Err(_) => Vec::new(),
    }
}

/// SQL: one statement, or several through one obfuscator that remembers.
fn statements(case: &Case<'_>) -> Value {
    let dbms = case.text("dbms");
    let mut config = case.0.get("config").cloned().unwrap_or_else(|| json!({}));
    if let Some(options) = config.as_object_mut() {
        options.remove("dbms");
    }
    let mut sql = match serde_json::from_value::<SqlConfig>(config) {
        Ok(config) => SqlObfuscator::new(config),
        Err(e) => return refused(e.to_string()),
    };
    let mut one = |text: &[u8]| {
        let mut out = Vec::new();
        sql.obfuscate(text, dbms, &mut out).map(|()| out)
    };
    if let Some(chain) = case.0.get("chain").and_then(Value::as_array) {
        let answers = chain.iter().map(|text| match one(text.as_str().unwrap_or("").as_bytes()) {
            Ok(out) => String::from_utf8_lossy(&out).into_owned(),
            Err(e) => format!("ERROR: {e}"),
        });
        return json!({ "outputs": answers.collect::<Vec<_>>() });
    }
    match one(&case.input()) {
        Ok(out) => Value::Object(text_answer(out)),
        Err(e) => refused(e.to_string()),
    }
}
