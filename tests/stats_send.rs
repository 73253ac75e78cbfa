//! Stats from end to end against a scripted agent: on only while the agent takes them, every span counted once and once
//! only, nothing lost by switching, failing or closing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::trace::OnMalformed;
use data_pipeline::{Builder, DroppedP0, ErrorKind, SendOptions, TraceExporter};
use msgpack::*;
use rmpv::Value;
use std::time::{Duration, Instant};
use support::{Listen, Recorded, ScriptedAgent, Step, answer, patient, say};

const CAPABLE: &str = r#"{"version":"7.70.0","endpoints":["/v0.4/traces","/v0.5/traces","/v1.0/traces","/v0.6/stats"],
    "client_drop_p0s":true,"peer_tags":["out.host"],"span_kinds_stats_computed":["server","client"]}"#;
const INCAPABLE: &str =
    r#"{"version":"7.70.1","endpoints":["/v0.4/traces","/v0.6/stats"],"client_drop_p0s":false}"#;
const SECOND: Duration = Duration::from_secs(1);

fn now_ns() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// A trace of a root and a child of the same service; only the root counts.
fn trace(priority: f64, resource: &str, error: i64) -> Bytes {
    let span = |id: i64, parent: i64, resource: &str| {
        map([
            e("service", s("shop")),
            e("name", s("op")),
            e("resource", s(resource)),
            e("trace_id", int(7)),
            e("span_id", int(id)),
            e("parent_id", int(parent)),
            e("start", i64_(now_ns() - 1000)),
            e("duration", int(1000)),
            e("error", int(error)),
            e("meta", map([e("span.kind", s("internal"))])),
            e("metrics", map([e("_sampling_priority_v1", f64_(priority))])),
        ])
    };
    array([span(1, 0, resource), span(2, 1, "child")])
}

fn capable(script: impl IntoIterator<Item = Step>) -> ScriptedAgent {
    let agent = ScriptedAgent::start(Listen::Tcp, script);
    agent.set_info([say(200, CAPABLE)]);
    agent
}

fn exporter(agent: &ScriptedAgent, with: impl FnOnce(Builder) -> Builder) -> TraceExporter {
    let builder = TraceExporter::builder()
        .url(&agent.url)
        .env("prod")
        .close_timeout(20 * SECOND)
        .send_budget(20 * SECOND)
        .compute_stats(10 * SECOND);
    let exporter = with(builder).build().unwrap();
    exporter.await_agent(20 * SECOND).unwrap();
    exporter
}

fn stats_posts(agent: &ScriptedAgent) -> Vec<Recorded> {
    agent.requests().into_iter().filter(|r| r.head.starts_with("POST /v0.6/stats ")).collect()
}

fn field<'v>(map: &'v Value, name: &str) -> &'v Value {
    map.as_map().unwrap().iter().find(|(k, _)| k.as_str() == Some(name)).map(|(_, v)| v).unwrap()
}

/// Hits by resource, over these bodies.
fn hits(posts: &[Recorded]) -> std::collections::BTreeMap<String, u64> {
    let mut sums = std::collections::BTreeMap::new();
    for post in posts {
        for bucket in field(&decode(&post.body), "Stats").as_array().unwrap() {
            for group in field(bucket, "Stats").as_array().unwrap() {
                *sums.entry(field(group, "Resource").as_str().unwrap().to_owned()).or_default() +=
                    field(group, "Hits").as_u64().unwrap();
            }
        }
    }
    sums
}

#[test]
fn p0_traces_are_counted_and_dropped_and_both_sides_of_the_agent_know() {
    let agent = capable([]);
    let exporter = exporter(&agent, |b| b);
    let payload = array([trace(0.0, "GET /a", 0), trace(1.0, "GET /a", 0), trace(0.0, "GET /b", 1)]);
    let response = exporter.send_with(&payload, DroppedP0 { traces: 4, spans: 9 }).unwrap();
    assert_eq!((response.traces, response.spans), (2, 4), "an error keeps its trace");
    let sent = agent.requests().pop().unwrap();
    assert_eq!(sent.header("datadog-client-computed-stats"), Some("true"));
    assert_eq!(sent.header("datadog-client-computed-top-level"), Some("true"));
    assert_eq!(sent.header("datadog-client-dropped-p0-traces"), Some("5"));
    assert_eq!(sent.header("datadog-client-dropped-p0-spans"), Some("11"));
    let m = exporter.metrics();
    assert_eq!((m.sampled_out.traces, m.sampled_out.spans, m.sent.traces), (1, 2, 2));
    assert_eq!(m.received, m.accounted_for());

    let report = exporter.stats().unwrap();
    assert_eq!((report.counted, report.waiting, report.rows.len()), (3, 3, 2));
    let row = &report.rows[0];
    assert_eq!((&*row.service, &*row.resource, row.hits, row.errors), ("shop", "GET /a", 2, 0));
    assert!((row.p99 as f64 / 1000.0 - 1.0).abs() < 0.01, "{row:?}");

    assert!(exporter.close().complete);
    let posts = stats_posts(&agent);
    assert_eq!(posts.len(), 1);
    assert_eq!(hits(&posts), [("GET /a".to_owned(), 2), ("GET /b".to_owned(), 1)].into());
    let body = decode(&posts[0].body);
    assert_eq!(field(&body, "Env").as_str(), Some("prod"));
    assert_eq!(field(&body, "Sequence").as_u64(), Some(0));
    assert!(posts[0].header("datadog-obfuscation-version").is_none());
    assert_eq!(posts[0].header("content-type"), Some("application/msgpack"));
    let report = exporter.stats().unwrap();
    assert_eq!((report.counted, report.sent, report.lost, report.waiting), (3, 3, 0, 0));
}

#[test]
fn spans_that_the_tracer_has_counted_are_not_counted_again() {
    let agent = capable([]);
    let exporter = exporter(&agent, |b| b);
    let counted = SendOptions { client_computed_stats: true, ..SendOptions::default() };
    let kept = array([trace(1.0, "GET /tracer", 0)]);
    exporter.send_with(&kept, counted).unwrap();
    exporter.offer_with(&kept, counted).unwrap();
    assert!(exporter.flush(20 * SECOND).complete);
    exporter.send(&array([trace(1.0, "GET /here", 0)])).unwrap();
    for request in agent.requests().iter().filter(|r| r.head.contains("/traces ")) {
        assert_eq!(request.header("datadog-client-computed-stats"), Some("true"));
    }
    assert!(exporter.close().complete);
    assert_eq!(hits(&stats_posts(&agent)), [("GET /here".to_owned(), 1)].into());
}

#[test]
fn an_agent_that_does_not_take_stats_gets_every_trace_and_none() {
    let too_old = CAPABLE.replace("7.70.0", "7.64.2");
    for (info, why) in [(INCAPABLE, "client_drop_p0s"), (&too_old, "before 7.65")] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        agent.set_info([say(200, info)]);
        let exporter = exporter(&agent, |b| b);
        let payload = array([trace(0.0, "GET /a", 0)]);
        assert_eq!(exporter.send(&payload).unwrap().traces, 1);
        let sent = agent.requests().pop().unwrap();
        assert_eq!(sent.header("datadog-client-computed-stats"), None);
        assert_eq!(sent.body, payload);
        assert_eq!(exporter.stats().unwrap().counted, 0);
        assert!(exporter.explain().contains(why), "{}", exporter.explain());
        exporter.close();
        assert_eq!(stats_posts(&agent).len(), 0);
    }
}

#[test]
fn stats_that_were_counted_go_out_when_the_agent_no_longer_takes_them() {
    let agent = capable([]);
    let exporter = exporter(&agent, |b| b);
    exporter.send(&array([trace(0.0, "GET /a", 0)])).unwrap();
    agent.set_info([say(200, INCAPABLE)]);
    exporter.fetch_info(SECOND).unwrap();
    assert_eq!(exporter.send(&array([trace(0.0, "GET /b", 0)])).unwrap().traces, 1, "p0 is sent again");
    let end = Instant::now() + 20 * SECOND;
    while stats_posts(&agent).is_empty() {
        assert!(Instant::now() < end, "nothing was sent when stats were switched off");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(hits(&stats_posts(&agent)), [("GET /a".to_owned(), 1)].into());
    exporter.close();
    assert_eq!(hits(&stats_posts(&agent)), [("GET /a".to_owned(), 1)].into());
}

#[test]
fn stats_that_did_not_arrive_are_kept_and_merged_and_those_that_may_have_are_not_sent_twice() {
    let agent = capable([]);
    let exporter = exporter(&agent, |b| b);
    exporter.send(&array([trace(1.0, "GET /a", 0)])).unwrap();
    agent.push(Step::Say(answer(404, &[], b"")));
    assert!(!exporter.flush_stats(20 * SECOND));
    let report = exporter.stats().unwrap();
    assert_eq!((report.counted, report.sent, report.lost, report.waiting), (1, 0, 0, 1));
    assert_eq!(report.rows[0].hits, 1, "it is still shown");
    exporter.send(&array([trace(1.0, "GET /a", 0)])).unwrap();
    let before = stats_posts(&agent).len();
    assert!(exporter.flush_stats(20 * SECOND));
    let posts = &stats_posts(&agent)[before..];
    assert_eq!(posts.len(), 1);
    assert_eq!(hits(posts), [("GET /a".to_owned(), 2)].into());

    exporter.send(&array([trace(1.0, "GET /b", 0)])).unwrap();
    // The first is taken for a kept connection that had grown old.
    agent.push(Step::CloseAfterBody);
    agent.push(Step::CloseAfterBody);
    assert!(!exporter.flush_stats(20 * SECOND));
    let report = exporter.stats().unwrap();
    assert_eq!((report.lost, report.waiting), (1, 0));
    assert_eq!(report.counted, report.sent + report.lost);
    assert!(exporter.take_log_lines().iter().any(|l| l.text.contains("stats of 1 spans are lost")));
}

#[test]
fn with_fail_nothing_counts_of_a_payload_that_is_bad_at_its_end() {
    let agent = capable([]);
    let exporter = exporter(&agent, |b| b.on_malformed(OnMalformed::Fail));
    let mut traces: Vec<Bytes> = (0..400).map(|_| trace(1.0, "GET /a", 0)).collect();
    traces.push(array([int(3)]));
    let error = exporter.send(&array(traces)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MalformedPayload);
    assert_eq!(exporter.stats().unwrap().counted, 0);
}

#[test]
fn a_span_counts_once_whatever_happens_to_its_payload() {
    use data_pipeline::settings::OutputFormat;
    // Split after a 413; repaired on its way to v0.5; sent again as v0.4 after a 404.
    let big: Vec<Bytes> = (0..300).map(|_| trace(1.0, "GET /a", 0)).collect();
    let mut repaired: Vec<Bytes> = (0..300).map(|_| trace(1.0, "GET /a", 0)).collect();
    repaired.push(array([span_with("duration", f64_(1000.0))]));
    for (format, script, payload, expected) in [
        (OutputFormat::V04, vec![say(413, "")], array(big.clone()), 300),
        (OutputFormat::V05, vec![], array(repaired), 301),
        (OutputFormat::V1, vec![say(404, "")], array(big), 300),
    ] {
        let agent = capable(script);
        let exporter = exporter(&agent, |b| b.output_format(format));
        exporter.send(&payload).unwrap();
        let requests = agent.requests();
        assert!(requests.iter().all(|r| r.header("datadog-client-computed-stats") == Some("true")));
        assert_eq!(exporter.stats().unwrap().counted, expected, "{format:?}");
        exporter.close();
        let total: u64 = hits(&stats_posts(&agent)).values().sum();
        assert_eq!(total, expected, "{format:?}");
    }
}

#[test]
fn buckets_go_out_by_themselves_when_they_are_two_buckets_old() {
    let agent = capable([]);
    let exporter = exporter(&agent, |b| b.compute_stats(SECOND));
    exporter.send(&array([trace(0.0, "GET /a", 0)])).unwrap();
    let end = Instant::now() + 30 * SECOND;
    while stats_posts(&agent).is_empty() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(hits(&stats_posts(&agent)), [("GET /a".to_owned(), 1)].into());
    assert_eq!(exporter.stats().unwrap().rows.len(), 0);
}

#[test]
fn close_keeps_its_limit_when_the_agent_stalls_and_counts_what_is_lost() {
    let agent = capable([]);
    let exporter = exporter(&agent, |b| b);
    exporter.send(&array([trace(0.0, "GET /a", 0)])).unwrap();
    agent.push(Step::Stall);
    let started = Instant::now();
    exporter.close_within(Duration::from_millis(300));
    assert!(started.elapsed() < patient(SECOND), "{:?}", started.elapsed());
    let report = exporter.stats().unwrap();
    assert_eq!((report.counted, report.sent, report.lost, report.waiting), (1, 0, 1, 0));
}

#[test]
fn old_spans_keep_their_buckets_only_in_a_replay() {
    let old = |id: i64| {
        map([
            e("service", s("shop")),
            e("resource", s("GET /old")),
            e("span_id", int(id)),
            e("trace_id", int(id)),
            e("start", i64_(1_700_000_000_000_000_000 + id * 10_000_000_000)),
            e("duration", int(1000)),
        ])
    };
    for (replay, buckets) in [(true, 5), (false, 1)] {
        let agent = capable([]);
        let exporter = exporter(&agent, |b| b.stats_replay(replay));
        exporter.send(&array((1..=5).map(|id| array([old(id)])))).unwrap();
        exporter.close();
        let posts = stats_posts(&agent);
        let body = decode(&posts[0].body);
        let starts: Vec<u64> = field(&body, "Stats")
            .as_array()
            .unwrap()
            .iter()
            .map(|b| field(b, "Start").as_u64().unwrap())
            .collect();
        assert_eq!(starts.len(), buckets);
        assert_eq!(starts[0] == 1_700_000_010_000_000_000, replay, "{starts:?}");
        assert_eq!(hits(&posts), [("GET /old".to_owned(), 5)].into());
    }
}

const AGREEING: &str = r#"{"version":"7.85.2","endpoints":["/v0.4/traces","/v0.6/stats"],"client_drop_p0s":true,
    "obfuscation_version":1}"#;

/// A root span of this type with a resource to hide.
fn query(span_type: &str, resource: &str, db_type: &str) -> Bytes {
    array([map([
        e("service", s("shop")),
        e("resource", s(resource)),
        e("type", s(span_type)),
        e("span_id", int(1)),
        e("trace_id", int(1)),
        e("start", i64_(now_ns() - 1000)),
        e("duration", int(1000)),
        e("meta", map([e("db.type", s(db_type)), e("db.statement", s(resource))])),
    ])])
}

/// Resources of the bodies that claim to be obfuscated, and of those that do not.
fn by_claim(agent: &ScriptedAgent) -> [Vec<String>; 2] {
    let posts = stats_posts(agent);
    let claimed = |post: &Recorded| match post.header("datadog-obfuscation-version") {
        Some(version) => {
            assert_eq!(version, "1");
            true
        }
        None => false,
    };
    let (claimed, raw): (Vec<_>, Vec<_>) = posts.into_iter().partition(claimed);
    [&claimed, &raw].map(|posts| hits(posts).into_keys().collect())
}

#[test]
fn resources_are_obfuscated_only_if_the_agent_agrees_and_then_that_is_claimed() {
    let queries = [
        ("sql", "SELECT a FROM t WHERE a IN (1, 2)", "postgres"),
        ("cassandra", "SELECT 'x'", ""),
        ("redis", "SET k v", ""),
        ("valkey", "GET k", ""),
        ("web", "GET /1", ""),
    ];
    let raw: Vec<&str> =
        vec!["GET /1", "GET k", "SELECT 'x'", "SELECT a FROM t WHERE a IN (1, 2)", "SET k v"];
    let done = vec!["GET", "GET /1", "SELECT ?", "SELECT a FROM t WHERE a IN ( ? )", "SET"];
    let only = vec!["GET", "GET /1", "SELECT ?", "SELECT a FROM t WHERE a IN (?, ?)", "SET"];
    let none: Vec<&str> = vec![];
    let mode = |mode: &str| format!(r#","config":{{"obfuscation":{{"sql_obfuscation_mode":"{mode}"}}}}"#);
    for (version, more, wanted, expected) in [
        ("1", String::new(), true, [&done, &none]),
        ("1", mode(""), true, [&done, &none]),
        ("1", mode("obfuscate_only"), true, [&only, &none]),
        ("1", mode("obfuscate_and_more"), true, [&none, &raw]),
        ("1", String::new(), false, [&none, &raw]),
        ("0", String::new(), true, [&none, &raw]),
        ("2", String::new(), true, [&none, &raw]),
        ("99", String::new(), true, [&none, &raw]),
        ("null", String::new(), true, [&none, &raw]),
    ] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        let version = format!("\"obfuscation_version\":{version}{more}");
        agent.set_info([say(200, &AGREEING.replace("\"obfuscation_version\":1", &version))]);
        let exporter = exporter(&agent, |b| b.obfuscate_stats(wanted));
        let traces = queries.map(|(span_type, resource, db_type)| query(span_type, resource, db_type));
        let payload = array(traces.clone().into_iter().chain(traces));
        exporter.send(&payload).unwrap();
        assert_eq!(exporter.explain().contains("\"resources_obfuscated\":true"), expected[1].is_empty());
        exporter.close();
        assert_eq!(
            by_claim(&agent),
            expected.map(|e| e.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>()),
            "{version}"
        );
        assert_eq!(hits(&stats_posts(&agent)).into_values().collect::<Vec<_>>(), [2; 5]);
        let sent = agent.requests().into_iter().find(|r| r.head.contains("/v0.4/traces")).unwrap();
        assert!(sent.body.windows(9).any(|w| w == b"IN (1, 2)"), "spans stay as they are");
    }
}

#[test]
fn what_was_counted_under_another_agent_is_not_claimed_with_the_rest() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    agent.set_info([say(200, AGREEING)]);
    let exporter = exporter(&agent, |b| b);
    let send = |number: u32| {
        exporter
            .send(&array([query("sql", &format!("select {number}"), ""), trace(1.0, "GET /a", 0)]))
            .unwrap();
    };
    send(1);
    for (info, number) in [(CAPABLE, 2), (AGREEING, 3)] {
        agent.set_info([say(200, info)]);
        exporter.fetch_info(SECOND).unwrap();
        send(number);
    }
    assert_eq!(exporter.stats().unwrap().counted, 6);
    // What could not be sent keeps its state.
    agent.push(Step::Say(answer(404, &[], b"")));
    assert!(!exporter.flush_stats(20 * SECOND));
    let failed = stats_posts(&agent).len();
    exporter.close();
    let posts = stats_posts(&agent).split_off(failed);
    assert_eq!(posts.len(), 2);
    for post in posts {
        let expected = match post.header("datadog-obfuscation-version") {
            Some(_) => [("GET /a".to_owned(), 2), ("select ?".to_owned(), 2)],
            None => [("GET /a".to_owned(), 1), ("select 2".to_owned(), 1)],
        };
        assert_eq!(hits(&[post]), expected.into());
    }
}

#[test]
fn resources_of_spans_that_are_obfuscated_already_are_claimed_and_cut_but_not_obfuscated_again() {
    // Obfuscated twice, this one would change twice.
    let statement = format!("SELECT \"a\" FROM {}", "t, ".repeat(3000));
    for (settings, claimed) in [("{}", true), (r#"{"sql":{"obfuscation_mode":"obfuscate_only"}}"#, false)] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        agent.set_info([say(200, AGREEING)]);
        let exporter = exporter(&agent, |b| b.obfuscation(settings));
        exporter.send(&array([query("sql", &statement, "mysql")])).unwrap();
        let sent = agent.requests().into_iter().find(|r| r.head.contains("/v0.4/traces")).unwrap();
        let span = decode(&sent.body).as_array().unwrap()[0].as_array().unwrap()[0].clone();
        let of_span = field(&span, "resource").as_str().unwrap().to_owned();
        exporter.close();
        let [done, raw] = by_claim(&agent);
        let of_stats = if claimed { &of_span[..5000] } else { &of_span };
        let (with, without) = if claimed { (&done, &raw) } else { (&raw, &done) };
        assert_eq!((with, without.len()), (&vec![of_stats.to_owned()], 0), "{settings}");
    }
}

#[test]
fn what_sampling_rejects_is_dropped_with_stats_unless_the_caller_says_otherwise() {
    let agent = capable([]);
    for (stats, wanted, dropped) in [
        (false, None, false),
        (false, Some(true), true),
        (true, None, true),
        (true, Some(false), false),
        (true, Some(true), true),
    ] {
        let before = agent.requests().len();
        let mut builder = TraceExporter::builder().url(&agent.url).close_timeout(2 * SECOND);
        if stats {
            builder = builder.compute_stats(10 * SECOND);
        }
        if let Some(wanted) = wanted {
            builder = builder.drop_p0(wanted);
        }
        let exporter = builder.build().unwrap();
        exporter.await_agent(5 * SECOND).unwrap();
        exporter
            .send(&array([trace(1.0, "GET /a", 0), trace(0.0, "GET /a", 0), trace(0.0, "GET /a", 1)]))
            .unwrap();
        let m = exporter.metrics();
        let expected = if dropped { (2, 1) } else { (3, 0) };
        assert_eq!((m.sent.traces, m.sampled_out.traces), expected, "{stats} {wanted:?}");
        let sent =
            agent.requests().split_off(before).into_iter().find(|r| r.head.contains("/v0.4/traces")).unwrap();
        let said = sent.header("datadog-client-dropped-p0-traces").map(|n| n.parse().unwrap());
        assert_eq!(said, dropped.then_some(1));
        let counted = exporter.stats().map_or(0, |report| report.counted);
        assert_eq!(counted, if stats { 3 } else { 0 });
    }
}
