//! Answers case lines with the reference's obfuscation and normalization crates, in the form of `examples/vectors`, so
//! that they stand in the same table as we do. Kinds that they do not have are answered with an error.

use libdd_trace_normalization::{normalize_utils, normalizer};
use libdd_trace_obfuscation::json::{JsonObfuscationScratch, JsonObfuscator};
use libdd_trace_obfuscation::obfuscate::obfuscate_pb_span;
use libdd_trace_obfuscation::obfuscation_config::{
    DbmsKind, JsonObfuscatorConfig, ObfuscationConfig, SqlConfig,
};
use libdd_trace_obfuscation::{credit_cards, http, ip_address, memcached, redis, sql};
use libdd_trace_protobuf::pb;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufWriter, Write};

fn main() -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line?).unwrap_or_default();
        // A panic of theirs is an answer like any other: a wrong one.
        let answer =
            std::panic::catch_unwind(|| answer(&case)).unwrap_or_else(|_| json!({ "error": "panic" }));
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(case: &Value) -> Value {
    let config = case.get("config").unwrap_or(&Value::Null);
    let flag = |name: &str| config[name].as_bool().unwrap_or(false);
    let kind = case["kind"].as_str().unwrap_or("");
    if !KINDS.contains(&kind) || case["chain"].is_array() {
        return json!({ "error": "they have no such kind" });
    }
    // They take text only.
    let Some(input) = case["input"].as_str().or(case["input"].is_object().then_some("")) else {
        return json!({ "error": "not UTF-8" });
    };
    let output = match kind {
        "sql" => return statement(input, config),
        "redis" => redis::obfuscate_redis_string(input),
        "redis_remove_all" => redis::remove_all_redis_args(input),
        "redis_quantize" => redis::quantize_redis_string(input),
        "memcached" => memcached::obfuscate_memcached(input, flag("keep_command")).unwrap_or_default(),
        "mongo" | "es" | "opensearch" => document(input, config),
        "http" => http::obfuscate_url_string(input, flag("remove_query_string"), flag("remove_path_digits")),
        "creditcard" => {
            credit_cards::obfuscate_card_number(input, flag("luhn")).unwrap_or_else(|| input.to_owned())
        }
        "ip" => ip_address::quantize_peer_ip_addresses(input).into_owned(),
        "tag" => normalize_utils::normalize_tag_cloned(input),
        "service" => changed(input, normalize_utils::normalize_service),
        "name" => changed(input, normalize_utils::normalize_name),
        "span" | "obfuscate_span" => return span(&case["input"], config),
        _ => return json!({ "error": "not answered" }),
    };
    json!({ "output": output })
}

const KINDS: [&str; 16] = [
    "sql",
    "redis",
    "redis_remove_all",
    "redis_quantize",
    "memcached",
    "mongo",
    "es",
    "opensearch",
    "http",
    "creditcard",
    "ip",
    "tag",
    "service",
    "name",
    "span",
    "obfuscate_span",
];

fn changed(input: &str, rule: impl FnOnce(&mut String)) -> String {
    let mut text = input.to_owned();
    rule(&mut text);
    text
}

fn statement(input: &str, config: &Value) -> Value {
    let options: SqlConfig = serde_json::from_value(config.clone()).unwrap_or_default();
    let dbms = DbmsKind::try_from(config["dbms"].as_str().unwrap_or("")).unwrap_or_default();
    match sql::obfuscate_sql(input, &options, dbms) {
        Ok(output) => json!({ "output": output }),
        Err(e) => json!({ "error": e.to_string() }),
    }
}

fn document(input: &str, config: &Value) -> String {
    let keys = |name: &str| {
        let list = config[name].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(|k| k.as_str().map(str::to_owned)).collect()
    };
    let mut options = JsonObfuscatorConfig::enabled();
    options.keep_keys = keys("keep_values");
    options.transform_keys = keys("obfuscate_sql_values");
    let mut output = String::new();
    let _ = JsonObfuscator::new(options).obfuscate_into(
        input,
        &mut output,
        &mut JsonObfuscationScratch::new(),
        |value| {
            sql::obfuscate_sql(value, &SqlConfig::default(), DbmsKind::Generic).map(std::borrow::Cow::Owned)
        },
    );
    output
}

fn span(input: &Value, config: &Value) -> Value {
    let text = |key: &str| input[key].as_str().unwrap_or("").to_owned();
    let id = |key: &str| input[key].as_u64().unwrap_or_else(|| input[key].as_i64().unwrap_or(0) as u64);
    let entries = |key: &str| input[key].as_object().cloned().unwrap_or_default();
    let mut spans = [pb::Span {
        service: text("service"),
        name: text("name"),
        resource: text("resource"),
        trace_id: id("trace_id"),
        span_id: id("span_id"),
        parent_id: id("parent_id"),
        start: input["start"].as_i64().unwrap_or(0),
        duration: input["duration"].as_i64().unwrap_or(0),
        error: input["error"].as_i64().unwrap_or(0) as i32,
        meta: entries("meta").into_iter().map(|(k, v)| (k, v.as_str().unwrap_or("").to_owned())).collect(),
        metrics: entries("metrics").into_iter().map(|(k, v)| (k, v.as_f64().unwrap_or(0.0))).collect(),
        r#type: text("type"),
        ..Default::default()
    }];
    if normalizer::normalize_trace(&mut spans).is_err() {
        return json!({ "output": null });
    }
    if let Some(options) = preset(config["preset"].as_str()) {
        obfuscate_pb_span(&mut spans[0], &options);
    }
    let s = &spans[0];
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
    let start = match () {
        () if input["start"].as_i64() == Some(s.start) => json!(s.start),
        () if now - s.start < 3_600_000_000_000 => json!("now"),
        () => json!("now-duration"),
    };
    let meta: Map<String, Value> = s.meta.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let metrics: Map<String, Value> = s.metrics.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    json!({ "output": {
        "service": s.service, "name": s.name, "resource": s.resource, "trace_id": s.trace_id, "span_id": s.span_id,
        "parent_id": s.parent_id, "start": start, "duration": s.duration, "error": s.error, "meta": meta,
        "metrics": metrics, "type": s.r#type,
    } })
}

fn preset(name: Option<&str>) -> Option<ObfuscationConfig> {
    let mut config = ObfuscationConfig::default();
    let on = matches!(name?, "agent" | "all");
    let all = name? == "all";
    config.redis.enabled = on;
    config.valkey.enabled = on;
    config.memcached.enabled = on;
    config.memcached.keep_command = all;
    config.credit_cards.enabled = on;
    config.credit_cards.luhn = all;
    config.http.remove_query_string = all;
    config.http.remove_path_digits = all;
    let json = || if on { JsonObfuscatorConfig::enabled() } else { JsonObfuscatorConfig::disabled() };
    config.elasticsearch = JsonObfuscator::new(json());
    config.opensearch = JsonObfuscator::new(json());
    config.mongodb = JsonObfuscator::new(json());
    Some(config)
}
