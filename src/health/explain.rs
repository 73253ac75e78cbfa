//! `explain()`: everything a person needs to see what an exporter does and why, as one JSON object. Never
//! holds secrets: of headers and session tokens only the names.

use super::Health;
use crate::account::{Counts, DropReason, Metrics};
use crate::delivery::dispatch::Dispatcher;
use crate::delivery::live::Live;
use crate::delivery::target::Target;
use crate::destination::{Limit, Offer};
use crate::error::Error;
use crate::normalize::Reason;
use crate::object::object;
use crate::settings::{Config, OutputFormat};
use crate::transport::{TlsReport, trust};
use serde_json::{Map, Value};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Puts it together.
pub(crate) fn explain(d: &Dispatcher, health: &Health, memory_bytes: usize, closed: bool) -> String {
    let live = d.live();
    let target = d.targets.first();
    let way = target.way();
    let state = target.presence.state();
    let learned = target.destination.largest(0, Instant::now());
    let known = target.destination.info();
    let found = known.as_ref().filter(|info| info.is_probed()).and_then(|info| info.fields.endpoints.first());
    let info = known.as_ref().filter(|info| !info.is_probed());
    object! {
        "version": env!("CARGO_PKG_VERSION"),
        "closed": closed,
        "configuration": configuration(&live.config),
        "reconfigured": reconfigured(&live),
        "skipped": skipped(&live.config),
        "agent": object! {
            "url": &**target.destination.address(),
            "state": state.condition.name(),
            "last_success": state.last_success.map(seconds),
            "last_error": state.last_error.as_ref().map(|(at, e)| failure(e, Some(*at))),
            "tls": target.destination.tls().map(tls),
            "info": object! {
                "known": info.is_some(),
                "requests": target.discovery.requests(),
                "absent": target.discovery.is_without(),
                "found_by_trying": found.map(String::as_str),
                "last_error": target.discovery.last_error().as_ref().map(|e| failure(e, None)),
                "version": info.map(|i| i.fields.version.as_str()),
                "state_hash": info.map(|i| &*i.state_hash),
                "container_tags_hash": info.and_then(|i| i.container_tags_hash.as_deref()),
                "raw": info.and_then(|i| serde_json::from_str::<Value>(&i.raw).ok()),
            },
        },
        "destinations": d.targets.all().iter().map(|it| destination(it)).collect::<Value>(),
        "format": object! { "chosen": format_name(&way.offer), "why": way.offer.why.as_str() },
        "request_limit": object! {
            "bytes": way.offer.max_bytes,
            "source": match way.offer.limit {
                Limit::Setting => "maxRequestBytes",
                Limit::Peer => "config.max_request_bytes of /info",
                Limit::Default => "default",
            },
            "learned_bytes": (learned != usize::MAX).then_some(learned),
        },
        "filters": object! { "active": !way.plan.filters.is_empty(), "unusable": way.unusable.clone() },
        "health_metrics": health_metrics(d, health),
        "telemetry": telemetry(d, health),
        "queue": queue(d),
        "bandwidth": bandwidth(d),
        "dry_run": dry_run(d),
        "capture": capture(d),
        "stats": stats(d),
        "memory_bytes": memory_bytes,
        "account": account(&d.account.snapshot()),
    }
    .to_string()
}

/// How often settings have changed, and what the last time.
fn reconfigured(live: &Live) -> Value {
    let (at, what) =
        live.changed.as_ref().map_or((None, &[][..]), |(at, what)| (Some(seconds(*at)), what.as_slice()));
    object! { "times": live.changes, "last_at": at, "last": what.to_vec() }
}

/// One of the destinations, and what it has taken.
fn destination(target: &Target) -> Value {
    let state = target.presence.state();
    let [requests, traces, bytes] = target.taken.read();
    object! {
        "address": &**target.destination.address(),
        "state": state.condition.name(),
        "last_error": state.last_error.as_ref().map(|(at, e)| failure(e, Some(*at))),
        "taken": object! { "requests": requests, "traces": traces, "body_bytes": bytes },
    }
}

/// Handshakes, and whom we trust.
fn tls(report: TlsReport) -> Value {
    let trusted = trust::report();
    object! {
        "handshakes": report.handshakes,
        "resumed": report.resumed,
        "client_certificate_wanted": report.asked,
        "authorities_of_the_host": trusted.authorities,
        "unusable": trusted.unusable,
        "bytes": trusted.bytes,
        "read_in_ms": trusted.took.as_millis() as u64,
    }
}

/// Address of health metrics, lines sent, lines lost.
fn health_metrics(d: &Dispatcher, health: &Health) -> Value {
    let Some(statsd) = &health.statsd else { return Value::Null };
    let (to, sent, lost) = statsd.status(d.statsd_port());
    object! { "to": to, "lines_sent": sent, "lines_lost": lost }
}

/// Where telemetry goes, messages sent, messages that were not.
fn telemetry(d: &Dispatcher, health: &Health) -> Value {
    let Some(telemetry) = &health.telemetry else { return Value::Null };
    let report = telemetry.report();
    let targets = d.targets.all();
    let to = targets.iter().find(|target| target.destination.takes_telemetry());
    object! {
        "to": to.map(|target| &**target.destination.address()),
        "messages_sent": report.sent,
        "messages_failed": report.failed,
        "last_error": report.last_error.as_ref().map(|e| failure(e, None)),
    }
}

/// How the queue stands, and the spool.
fn queue(d: &Dispatcher) -> Value {
    let q = d.queue.status();
    object! {
        "payloads": q.payloads,
        "bytes": q.bytes,
        "oldest_ms": q.oldest.as_millis() as u64,
        "refused": q.refused,
        "evicted": q.evicted,
        "senders": q.senders,
        "spool": d.queue.spooled().map(|held| object! {
            "payloads": held.payloads,
            "traces": held.counts.traces,
            "disk_bytes": held.disk_bytes,
            "damaged": held.damaged,
        }),
    }
}

/// Bytes of bodies that went out, and how fast those of the queue may.
fn bandwidth(d: &Dispatcher) -> Value {
    let wait = d.queue.status().pace_wait;
    object! {
        "wire_bytes": d.outlet.bytes(),
        "bytes_per_second": d.outlet.pace.rate(),
        "queue_waits_ms": wait.as_millis() as u64,
    }
}

/// Whether nothing is sent, and what would have been.
fn dry_run(d: &Dispatcher) -> Value {
    let (bodies, bytes) = d.outlet.held_back();
    object! { "on": d.outlet.is_dry(), "bodies": bodies, "bytes": bytes }
}

/// What was written of requests and answers, and what could not be.
fn capture(d: &Dispatcher) -> Value {
    let Some(capture) = d.outlet.report() else { return Value::Null };
    object! {
        "directory": capture.directory,
        "max_bytes": capture.max_bytes,
        "bytes": capture.bytes,
        "files": capture.files,
        "refused": capture.refused,
        "written": capture.written,
        "overwritten": capture.overwritten,
        "failures": capture.failures,
        "last_failure": capture.last_failure,
    }
}

/// Whether stats are computed, and what became of them.
fn stats(d: &Dispatcher) -> Value {
    let Some(concentrator) = &d.concentrator else { return Value::Null };
    let report = concentrator.report();
    let target = d.targets.first();
    let way = target.way();
    let stage = way.plan.stats.as_ref();
    object! {
        "on": stage.is_some(),
        "why": match target.destination.info() {
            _ if stage.is_some() => "the peer takes stats",
            None => "the agent has not said yet whether it takes stats",
            Some(info) if info.is_probed() => "an agent without /info does not say whether it takes stats",
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
    }
}

fn failure(e: &Error, at: Option<SystemTime>) -> Value {
    object! { "at": at.map(seconds), "kind": e.kind().name(), "status": e.status(), "message": e.message() }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as f64 / 1000.0
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
    object! {
        "payloads": m.payloads,
        "received": counts(m.received),
        "sent": counts(m.sent),
        "dropped": dropped,
        "filtered": counts(m.filtered),
        "sampled_out": counts(m.sampled_out),
        "queued": counts(m.queued),
        "spooled": counts(m.spooled),
        "unread": object! { "payloads": m.unread.payloads, "traces": m.unread.traces, "bytes": m.unread.bytes },
        "possibly_duplicated": m.possibly_duplicated,
        "possibly_arrived": m.possibly_arrived,
        "repaired": m.repaired,
        "lost_in_conversion": m.lost_in_conversion,
        "requests": m.requests,
        "body_bytes": m.body_bytes,
        "normalized": normalized,
    }
}

fn counts(c: Counts) -> Value {
    object! { "traces": c.traces, "spans": c.spans, "bytes": c.bytes }
}

/// Every setting with its value and where that comes from.
fn configuration(c: &Config) -> Value {
    let mut out = Map::new();
    for (setting, set, value) in c.rows() {
        let origin =
            c.raw.origins.iter().find(|(name, _)| name == setting).map(|(_, origin)| origin.as_str());
        let source = origin.unwrap_or(if set { "set" } else { "default" });
        out.insert(setting.to_owned(), object! { "value": value, "source": source });
    }
    Value::Object(out)
}

/// What was left out of the environment, and why.
fn skipped(c: &Config) -> Value {
    c.raw
        .skipped
        .iter()
        .map(|(variable, why)| object! { "variable": variable.as_str(), "why": why.as_str() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Builder;
    use serde_json::json;

    #[test]
    fn settings_say_where_they_come_from_and_hide_secrets() {
        let rules = r#"{"replace_tags":[{"name":"*","pattern":"s3cret","repl":"?"}]}"#;
        let mut raw = Builder::default()
            .url("http://agent:1/s3cret")
            .service("shop")
            .send_budget(Duration::from_secs(10))
            .env("prod")
            .header("X-Key", "s3cret")
            .test_session_token("s3cret")
            .obfuscation(rules)
            .obfuscation_environment([("DD_APM_REPLACE_TAGS".to_owned(), "s3cret".to_owned())])
            .into_raw();
        raw.origins = vec![("env".into(), "DD_ENV".into())];
        let all = configuration(&Config::new(raw).unwrap());
        for (setting, source, value) in [
            ("service", "set", json!("shop")),
            ("env", "DD_ENV", json!("prod")),
            ("sendBudget", "set", json!("10000 ms")),
            ("sendTimeout", "default", json!("10000 ms")),
            ("url", "set", json!("http://agent:1/***")),
            ("header", "set", json!(["X-Key: ***"])),
        ] {
            assert_eq!(all[setting], json!({ "value": value, "source": source }), "{setting}");
        }
        assert!(!all.to_string().contains("s3cret"));
    }
}
