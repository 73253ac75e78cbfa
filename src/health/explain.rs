//! `explain()`: everything a person needs to see what an exporter does and why, as one JSON object. Never holds secrets:
//! of headers and session tokens only the names.

use super::Health;
use crate::account::{Counts, DropReason, Metrics};
use crate::delivery::dispatch::Dispatcher;
use crate::destination::{Limit, Offer};
use crate::error::Error;
use crate::normalize::Reason;
use crate::settings::{Config, OutputFormat, RawConfig};
use crate::trace::OnMalformed;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Puts it together.
pub(crate) fn explain(d: &Dispatcher, health: &Health, memory_bytes: usize, closed: bool) -> String {
    let target = d.targets.first();
    let way = target.way();
    let state = target.presence.state();
    let learned = target.destination.largest(0, Instant::now());
    let info = target.destination.info();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "closed": closed,
        "configuration": configuration(&d.config),
        "agent": {
            "url": &**target.destination.address(),
            "state": state.condition.name(),
            "last_success": state.last_success.map(seconds),
            "last_error": state.last_error.as_ref().map(|(at, e)| failure(e, Some(*at))),
            "info": {
                "known": info.is_some(),
                "requests": target.discovery.requests(),
                "absent": target.discovery.is_without(),
                "last_error": target.discovery.last_error().as_ref().map(|e| failure(e, None)),
                "version": info.as_ref().map(|i| i.fields.version.as_str()),
                "state_hash": info.as_ref().map(|i| &*i.state_hash),
                "container_tags_hash": info.as_ref().and_then(|i| i.container_tags_hash.as_deref()),
                "raw": info.as_ref().and_then(|i| serde_json::from_str::<Value>(&i.raw).ok()),
            },
        },
        "format": { "chosen": format_name(&way.offer), "why": way.offer.why },
        "request_limit": {
            "bytes": way.offer.max_bytes,
            "source": match way.offer.limit {
                Limit::Setting => "maxRequestBytes",
                Limit::Peer => "config.max_request_bytes of /info",
                Limit::Default => "default",
            },
            "learned_bytes": (learned != usize::MAX).then_some(learned),
        },
        "filters": { "active": !way.plan.filters.is_empty(), "unusable": way.unusable },
        "health_metrics": health_metrics(d, health),
        "queue": queue(d),
        "stats": stats(d),
        "memory_bytes": memory_bytes,
        "account": account(&d.account.snapshot()),
    })
    .to_string()
}

/// Address of health metrics, lines sent, lines lost.
fn health_metrics(d: &Dispatcher, health: &Health) -> Value {
    let Some(statsd) = &health.statsd else { return Value::Null };
    let (to, sent, lost) = statsd.status(d.statsd_port());
    json!({ "to": to, "lines_sent": sent, "lines_lost": lost })
}

/// How the queue stands, and the spool.
fn queue(d: &Dispatcher) -> Value {
    let q = d.queue.status();
    json!({
        "payloads": q.payloads,
        "bytes": q.bytes,
        "oldest_ms": q.oldest.as_millis() as u64,
        "refused": q.refused,
        "evicted": q.evicted,
        "senders": q.senders,
        "spool": d.queue.spooled().map(|held| json!({
            "payloads": held.payloads,
            "traces": held.counts.traces,
            "disk_bytes": held.disk_bytes,
            "damaged": held.damaged,
        })),
    })
}

/// Whether stats are computed, and what became of them.
fn stats(d: &Dispatcher) -> Value {
    let Some(concentrator) = &d.concentrator else { return Value::Null };
    let report = concentrator.report();
    let target = d.targets.first();
    let way = target.way();
    let stage = way.plan.stats.as_ref();
    json!({
        "on": stage.is_some(),
        "why": match target.destination.info() {
            None => "the agent has not said yet whether it takes stats",
            Some(_) if stage.is_some() => "the agent takes stats",
            Some(info) if info.loses_p0() => "agents before 7.65 lose traces that a client drops",
            Some(_) => "the agent does not offer /v0.6/stats and client_drop_p0s",
        },
        "resources_obfuscated": stage.is_some_and(|stage| stage.rules.agreed()),
        "counted": report.counted,
        "sent": report.sent,
        "lost": report.lost,
        "waiting": report.waiting,
        "collapsed_spans": report.collapsed.total(),
        "memory_bytes": concentrator.memory_bytes(),
    })
}

fn failure(e: &Error, at: Option<SystemTime>) -> Value {
    json!({ "at": at.map(seconds), "kind": e.kind().name(), "status": e.status(), "message": e.message() })
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as f64 / 1000.0
}

fn name(format: OutputFormat) -> &'static str {
    OutputFormat::ALL.iter().find(|(_, f)| *f == format).map_or("", |(name, _)| name)
}

fn format_name(offer: &Offer) -> &'static str {
    let named = OutputFormat::ALL.iter().find(|(_, format)| format.path() == offer.endpoint);
    named.map_or(offer.format.name(), |(name, _)| name)
}

fn account(m: &Metrics) -> Value {
    let dropped: Map<String, Value> = DropReason::ALL
        .into_iter()
        .filter(|reason| m.dropped_for(*reason) != Counts::default())
        .map(|reason| (reason.name().to_owned(), counts(m.dropped_for(reason))))
        .collect();
    let normalized: Map<String, Value> = Reason::ALL
        .into_iter()
        .filter(|reason| m.normalized.get(*reason) > 0)
        .map(|reason| (reason.label().to_owned(), m.normalized.get(reason).into()))
        .collect();
    json!({
        "payloads": m.payloads,
        "received": counts(m.received),
        "sent": counts(m.sent),
        "dropped": dropped,
        "filtered": counts(m.filtered),
        "sampled_out": counts(m.sampled_out),
        "queued": counts(m.queued),
        "spooled": counts(m.spooled),
        "unread": { "payloads": m.unread.payloads, "traces": m.unread.traces, "bytes": m.unread.bytes },
        "possibly_duplicated": m.possibly_duplicated,
        "possibly_arrived": m.possibly_arrived,
        "repaired": m.repaired,
        "lost_in_conversion": m.lost_in_conversion,
        "requests": m.requests,
        "body_bytes": m.body_bytes,
        "normalized": normalized,
    })
}

fn counts(c: Counts) -> Value {
    json!({ "traces": c.traces, "spans": c.spans, "bytes": c.bytes })
}

/// Every setting with its value and where that comes from.
fn configuration(c: &Config) -> Value {
    let (given, defaults) = (fields(&c.raw), fields(&RawConfig::default()));
    let mut out = Map::new();
    for (setting, value) in effective(c) {
        let field = raw_field(setting);
        let origin =
            c.raw.origins.iter().find(|(name, _)| name == setting).map(|(_, origin)| origin.as_str());
        let set = given.get(field.as_str()) != defaults.get(field.as_str());
        let source = origin.unwrap_or(if set { "set" } else { "default" });
        out.insert(setting.to_owned(), json!({ "value": value, "source": source }));
    }
    Value::Object(out)
}

fn fields(raw: &RawConfig) -> Map<String, Value> {
    match serde_json::to_value(raw) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The name that a setting has in [`RawConfig`]: snake case, with the unit of durations and the plural of lists.
fn raw_field(setting: &str) -> String {
    let mut field = String::new();
    for c in setting.chars() {
        if c.is_ascii_uppercase() {
            field.push('_');
        }
        field.push(c.to_ascii_lowercase());
    }
    match setting {
        "connectTimeout" | "sendTimeout" | "sendBudget" | "maxIdleAge" | "closeTimeout" | "computeStats"
        | "batchAge" | "asyncBudget" | "blockWait" => field + "_ms",
        "peerTag" | "additionalMetricTag" | "requireTag" | "rejectTag" | "ignoreResource" | "header" => {
            field + "s"
        }
        "requireTagRegex" | "rejectTagRegex" => field + "es",
        _ => field,
    }
}

fn effective(c: &Config) -> Vec<(&'static str, Value)> {
    let ms = |d: Duration| Value::String(format!("{} ms", d.as_millis()));
    let m = &c.metadata;
    let hidden = |name: &str| format!("{name}: ***");
    vec![
        ("url", json!(c.url.to_string())),
        ("service", json!(m.service)),
        ("env", json!(m.env)),
        ("version", json!(m.version)),
        ("hostname", json!(m.hostname)),
        ("language", json!(m.language)),
        ("languageVersion", json!(m.language_version)),
        ("languageInterpreter", json!(m.language_interpreter)),
        ("languageVendor", json!(m.language_vendor)),
        ("tracerVersion", json!(m.tracer_version)),
        ("runtimeId", json!(m.runtime_id)),
        ("containerId", json!(m.container_id)),
        ("entityId", json!(m.entity_id)),
        ("externalEnv", json!(m.external_env)),
        ("detectContainer", json!(c.detect_container)),
        ("gitCommitSha", json!(m.git_commit_sha)),
        ("processTags", json!(m.process_tags)),
        ("clientComputedStats", json!(c.client_computed_stats)),
        ("clientComputedTopLevel", json!(c.client_computed_top_level)),
        ("connectTimeout", ms(c.connect_timeout)),
        ("sendTimeout", ms(c.send_timeout)),
        ("sendBudget", ms(c.send_budget)),
        ("maxRequestBytes", json!(c.max_request_bytes)),
        ("maxIdleConnections", json!(c.max_idle_connections)),
        ("maxIdleAge", ms(c.max_idle_age)),
        ("closeTimeout", ms(c.close_timeout)),
        ("header", json!(c.headers.iter().map(|(name, _)| hidden(name)).collect::<Vec<_>>())),
        ("testSessionToken", json!(if c.test_session_token.is_empty() { "" } else { "***" })),
        ("inputFormat", json!(c.raw.input_format.as_deref().unwrap_or("V04"))),
        (
            "outputFormat",
            json!(if c.output_auto { crate::settings::OUTPUT_AUTO } else { name(c.output_format) }),
        ),
        (
            "onMalformed",
            json!(match c.on_malformed {
                OnMalformed::Repair => "REPAIR",
                OnMalformed::Drop => "DROP",
                OnMalformed::Fail => "FAIL",
            }),
        ),
        ("computeTopLevel", json!(c.compute_top_level)),
        ("dropP0", json!(c.drop_p0.unwrap_or(c.stats.is_some()))),
        ("requireTag", json!(c.filters.require)),
        ("rejectTag", json!(c.filters.reject)),
        ("requireTagRegex", json!(c.filters.require_regex)),
        ("rejectTagRegex", json!(c.filters.reject_regex)),
        ("ignoreResource", json!(c.filters.ignore_resources)),
        ("discovery", json!(c.discovery)),
        ("agentFilters", json!(c.agent_filters)),
        ("computeStats", c.stats.as_ref().map_or(Value::Null, |s| ms(s.bucket))),
        ("statsReplay", json!(c.raw.stats_replay)),
        (
            "statsLimits",
            json!(c.stats.as_ref().map(|s| {
                let l = s.limits;
                [l.whole_key, l.resource, l.http_endpoint, l.peer_tags, l.additional_tags]
            })),
        ),
        ("obfuscateStats", json!(c.stats.as_ref().is_some_and(|s| s.obfuscate))),
        ("peerTag", json!(c.raw.peer_tags)),
        ("additionalMetricTag", json!(c.raw.additional_metric_tags)),
        ("normalize", json!(c.normalize)),
        ("obfuscate", json!(c.obfuscator.is_some())),
        ("obfuscation", json!(c.raw.obfuscation)),
        ("obfuscationEnvironment", json!(c.raw.obfuscation_environment)),
        ("queueBytes", json!(c.queue.bytes)),
        ("queuePayloads", json!(c.queue.payloads)),
        ("senders", json!(c.queue.senders)),
        ("batchBytes", json!(c.queue.batch_bytes)),
        ("batchAge", ms(c.queue.batch_age)),
        ("asyncBudget", ms(c.queue.budget)),
        ("overflow", json!(c.raw.overflow.as_deref().unwrap_or("DROP_NEWEST"))),
        ("blockWait", ms(c.queue.block_wait)),
        ("spool", json!(c.raw.spool)),
        ("spoolBytes", json!(c.raw.spool_bytes)),
        ("dogstatsd", json!(c.dogstatsd.as_ref().map(ToString::to_string))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_explained() {
        let config = Config::new(RawConfig::default()).unwrap();
        let explained: Vec<String> = effective(&config).iter().map(|(name, _)| raw_field(name)).collect();
        let defaults = fields(&RawConfig::default());
        for field in defaults.keys().filter(|f| *f != "origins") {
            assert!(explained.contains(field), "{field} is missing");
        }
        for field in &explained {
            assert!(defaults.contains_key(field), "{field} is no field of RawConfig");
        }
    }

    #[test]
    fn settings_say_where_they_come_from_and_hide_secrets() {
        let raw = RawConfig {
            service: "shop".into(),
            send_budget_ms: Some(10_000),
            env: "prod".into(),
            headers: vec![("X-Key".into(), "s3cret".into())],
            test_session_token: "s3cret".into(),
            origins: vec![("env".into(), "DD_ENV".into())],
            ..RawConfig::default()
        };
        let all = configuration(&Config::new(raw).unwrap());
        for (setting, source, value) in [
            ("service", "set", json!("shop")),
            ("env", "DD_ENV", json!("prod")),
            ("sendBudget", "set", json!("10000 ms")),
            ("sendTimeout", "default", json!("10000 ms")),
            ("url", "default", json!("http://127.0.0.1:8126")),
            ("header", "set", json!(["X-Key: ***"])),
        ] {
            assert_eq!(all[setting], json!({ "value": value, "source": source }), "{setting}");
        }
        assert!(!all.to_string().contains("s3cret"));
    }
}
