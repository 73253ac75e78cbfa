//! Stats of one payload: the group that the agent's concentrator makes of its span.

use super::base64;
use data_pipeline::obfuscate::quantize_peer_addresses;
use data_pipeline::settings::Metadata;
use data_pipeline::stats::{Clock, Concentrator, Pending, Rules, STATS_SLOTS, StatsLimits};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload, TOP_LEVEL_SLOTS, TopLevel};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The tags of peers that an agent names in `/info` (7.85).
const AGENT_PEER_TAGS: [&str; 44] = [
    "_dd.base_service",
    "active_record.db.vendor",
    "amqp.destination",
    "amqp.exchange",
    "amqp.queue",
    "aws.queue.name",
    "aws.s3.bucket",
    "bucketname",
    "cassandra.keyspace",
    "db.cassandra.contact.points",
    "db.couchbase.seed.nodes",
    "db.hostname",
    "db.instance",
    "db.name",
    "db.namespace",
    "db.system",
    "db.system.name",
    "db.type",
    "dns.hostname",
    "grpc.host",
    "hostname",
    "http.host",
    "http.server_name",
    "messaging.destination",
    "messaging.destination.name",
    "messaging.kafka.bootstrap.servers",
    "messaging.rabbitmq.exchange",
    "messaging.system",
    "mongodb.db",
    "msmq.queue.path",
    "net.peer.name",
    "network.destination.ip",
    "network.destination.name",
    "out.host",
    "peer.hostname",
    "peer.service",
    "queuename",
    "rpc.service",
    "rpc.system",
    "sequel.db.vendor",
    "server.address",
    "streamname",
    "tablename",
    "topicname",
];

/// Answers a trace: `input` has its spans as JSON, `input_b64` is a v0.4 payload. The value is the first
/// group, or null.
pub(crate) fn group(case: &Value) -> Value {
    let payload = match case.get("input_b64").and_then(Value::as_str) {
        Some(text) => base64::decode(text),
        None => v04(case.get("input").and_then(Value::as_array).map(Vec::as_slice).unwrap_or(&[])),
    };
    let peers = case.get("config").and_then(|c| c.get("peer_tags"));
    let peers: Vec<String> = match peers {
        Some(Value::Array(tags)) => tags.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect(),
        Some(_) => AGENT_PEER_TAGS.map(str::to_owned).to_vec(),
        None => Vec::new(),
    };
    match count(&payload, peers) {
        Ok(bodies) => json!({ "value": bodies.first().and_then(|body| first_group(body)) }),
        Err(error) => json!({ "error": error }),
    }
}

fn count(payload: &[u8], peers: Vec<String>) -> Result<Vec<Vec<u8>>, String> {
    let concentrator = Concentrator::new(Duration::from_secs(10), StatsLimits::default(), Clock::Replay);
    let mut interest = Interest::none().slots(STATS_SLOTS).slots(TOP_LEVEL_SLOTS);
    let rules =
        Rules::new(&concentrator, &[], peers.into_iter(), &[], quantize_peer_addresses, &mut interest);
    let (mut arena, mut pending) = (Arena::new(), Pending::default());
    pending.begin();
    let mut payload =
        Payload::scan(payload, &mut arena, &interest, OnMalformed::Repair).map_err(|e| e.to_string())?;
    TopLevel { mark: false }.apply(&mut payload);
    rules.observe(&payload, &mut pending, None);
    concentrator.commit(&mut pending);
    Ok(concentrator.flush(true, &Metadata::default()))
}

/// The first group of a body for `/v0.6/stats`; what ends in the future counts as now, as with a clock of the
/// present.
fn first_group(body: &[u8]) -> Option<Value> {
    let body = rmpv::decode::read_value(&mut &body[..]).ok()?;
    let bucket = at(&body, "Stats")?.as_array()?.first()?;
    let group = at(bucket, "Stats")?.as_array()?.first()?;
    let number = |name| at(group, name).and_then(rmpv::Value::as_u64).unwrap_or(0);
    let text = |name| at(group, name).and_then(rmpv::Value::as_str).unwrap_or("").to_owned();
    let mut key = Map::new();
    for (name, field) in [
        ("service", "Service"),
        ("name", "Name"),
        ("resource", "Resource"),
        ("type", "Type"),
        ("span_kind", "SpanKind"),
        ("grpc_status", "GRPCStatusCode"),
        ("http_method", "HTTPMethod"),
        ("http_endpoint", "HTTPEndpoint"),
        ("service_source", "srv_src"),
    ] {
        key.insert(name.into(), text(field).into());
    }
    key.insert("http_status".into(), number("HTTPStatusCode").into());
    let root = ["", "TRUE", "FALSE"].get(number("IsTraceRoot") as usize).copied();
    key.insert("is_trace_root".into(), root.into());
    if at(group, "Synthetics").and_then(rmpv::Value::as_bool) == Some(true) {
        key.insert("synthetics".into(), true.into());
    }
    let tags = at(group, "PeerTags").and_then(rmpv::Value::as_array).into_iter().flatten();
    let mut tags: Vec<&str> = tags.filter_map(rmpv::Value::as_str).collect();
    tags.sort_unstable();
    key.insert("peer_tags".into(), json!(tags));
    key.retain(|_, value| !matches!(value, Value::String(s) if s.is_empty()));
    key.retain(|_, value| *value != json!([]) && *value != json!(0));
    let start = at(bucket, "Start")?.as_u64()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some(json!({
        "start": if u128::from(start) > now { json!("now") } else { json!(start) },
        "key": key,
        "hits": number("Hits"),
        "errors": number("Errors"),
        "duration": number("Duration"),
        "top_level_hits": number("TopLevelHits"),
    }))
}

fn at<'v>(map: &'v rmpv::Value, name: &str) -> Option<&'v rmpv::Value> {
    map.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// A trace of these spans as a v0.4 payload.
fn v04(spans: &[Value]) -> Vec<u8> {
    let trace = rmpv::Value::Array(spans.iter().map(span).collect());
    let mut out = Vec::new();
    // A Vec takes everything.
    let _ = rmpv::encode::write_value(&mut out, &rmpv::Value::Array(vec![trace]));
    out
}

fn span(span: &Value) -> rmpv::Value {
    let fields = span.as_object().into_iter().flatten().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("metrics", Value::Object(entries)) => rmpv::Value::Map(
                entries.iter().map(|(k, v)| (k.as_str().into(), rmpv::Value::F64(metric(v)))).collect(),
            ),
            (_, Value::Object(entries)) => rmpv::Value::Map(
                entries.iter().map(|(k, v)| (k.as_str().into(), v.as_str().unwrap_or("").into())).collect(),
            ),
            (_, Value::String(text)) => text.as_str().into(),
            (_, value) => value.as_u64().map_or_else(|| value.as_i64().unwrap_or(0).into(), Into::into),
        };
        (name.as_str().into(), value)
    });
    rmpv::Value::Map(fields.collect())
}

/// JSON has no infinite numbers, so those are texts.
fn metric(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap_or(0.0)
}
