//! What stats make of spans, case by case: which count, what their key is, which bucket they go to, what the
//! limits do to them, and that none is lost whatever comes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/alloc.rs"]
mod alloc;
#[path = "support/msgpack.rs"]
mod msgpack;
#[path = "support/stats.rs"]
mod stats;

use data_pipeline::stats::{Clock, Collapsed, StatsLimits};
use data_pipeline::trace::Verdict;
use msgpack::*;
use proptest::prelude::*;
use stats::{Counting, Group};

#[global_allocator]
static COUNTING: alloc::Counting = alloc::Counting;

/// A span that is not top level: it has a parent of its service.
fn child(more: impl IntoIterator<Item = Entry>) -> Bytes {
    let fixed = [
        e("service", s("shop")),
        e("trace_id", int(1)),
        e("span_id", int(2)),
        e("parent_id", int(1)),
        e("duration", int(1000)),
    ];
    map(fixed.into_iter().chain(more))
}

/// A parent that is top level, and this child.
fn with_parent(span: Bytes) -> Bytes {
    let parent = map([
        e("service", s("shop")),
        e("resource", s("parent")),
        e("trace_id", int(1)),
        e("span_id", int(1)),
    ]);
    array([array([parent, span])])
}

fn root(more: impl IntoIterator<Item = Entry>) -> Bytes {
    let fixed =
        [e("service", s("shop")), e("trace_id", int(1)), e("span_id", int(1)), e("duration", int(1000))];
    map(fixed.into_iter().chain(more))
}

fn one(span: Bytes, peers: &[&str], additional: &[&str]) -> Group {
    let mut counting = Counting::new(StatsLimits::default(), Clock::Replay, peers, additional);
    counting.add(&array([array([span])]));
    let mut groups = counting.flush();
    assert_eq!(groups.len(), 1, "{groups:?}");
    groups.remove(0)
}

/// Obfuscates to the type, `db.type` and the resource in capitals.
#[derive(Debug)]
struct Capitals;

impl data_pipeline::stats::Obfuscate for Capitals {
    fn resource(&self, span_type: &[u8], resource: &[u8], db_type: &[u8], out: &mut Vec<u8>) -> Verdict {
        for part in [span_type, b" ", db_type, b" ", resource] {
            out.extend_from_slice(&part.to_ascii_uppercase());
        }
        Verdict::Replace
    }
}

#[test]
fn resources_are_obfuscated_by_type_and_dialect_and_then_cut() {
    let long = "x".repeat(300);
    for (span_type, resource, db_type, expected) in [
        ("sql", "a", "mysql", "SQL MYSQL A"),
        ("cassandra", "a", "", "CASSANDRA  A"),
        ("redis", "a", "", "REDIS  A"),
        ("valkey", "a", "", "VALKEY  A"),
        ("SQL", "a", "mysql", "a"),
        ("memcached", "a", "", "a"),
        ("sql", "", "mysql", ""),
        ("sql", &long, "", &format!("SQL  {}", &long.to_uppercase()[..195])),
        ("web", &format!("{}é", &long[..199]), "", &long[..199]),
        (&long, "a", "", "a"),
    ] {
        let mut counting = Counting::replay(&["out.host"]).obfuscating(std::sync::Arc::new(Capitals), 200);
        let span = root([
            e("resource", s(resource)),
            e("type", s(span_type)),
            e("name", s(&long)),
            meta(&[("out.host", "h"), ("db.type", db_type), ("span.kind", "client")]),
        ]);
        // Twice, so that it is remembered.
        (0..2).for_each(|_| counting.add(&array([array([span.clone()])])));
        let groups = counting.flush();
        assert_eq!((groups.len(), groups[0].hits), (1, 2));
        assert_eq!(groups[0].get("Resource"), expected, "{span_type} {resource}");
        assert_eq!(groups[0].get("Type"), &span_type[..span_type.len().min(100)]);
        assert_eq!(groups[0].get("Name"), &long[..100]);
        assert_eq!(groups[0].get("PeerTags"), "out.host:h");
    }
}

fn meta(entries: &[(&str, &str)]) -> Entry {
    e("meta", map(entries.iter().map(|(k, v)| e(k, s(v)))))
}

fn metric(key: &str, v: f64) -> Entry {
    e("metrics", map([e(key, f64_(v))]))
}

#[test]
fn a_span_counts_if_it_is_top_level_or_measured_or_of_a_kind_and_is_whole() {
    for (span, counts) in [
        (child([]), false),
        (child([metric("_dd.measured", 1.0)]), true),
        (child([metric("_dd.measured", 2.0)]), false),
        (child([metric("_dd.measured", f64::NAN)]), false),
        (child([metric("_top_level", 1.0)]), true),
        (child([metric("_dd.top_level", 1.0)]), true),
        (child([meta(&[("span.kind", "server")])]), true),
        (child([meta(&[("span.kind", "CliENT")])]), true),
        (child([meta(&[("span.kind", "internal")])]), false),
        (child([meta(&[("span.kind", "")])]), false),
        (child([meta(&[("span.kind", "client")]), metric("_dd.partial_version", 1.0)]), false),
        (child([meta(&[("span.kind", "client")]), metric("_dd.partial_version", 0.0)]), false),
        (child([meta(&[("span.kind", "client")]), metric("_dd.partial_version", -1.0)]), true),
        (child([e("service", s("other"))]), true),
    ] {
        let mut counting = Counting::replay(&[]);
        counting.add(&with_parent(span.clone()));
        let hits: u64 = counting.flush().iter().map(|g| g.hits).sum();
        assert_eq!(hits, 1 + u64::from(counts), "{:?}", decode(&span));
    }
}

#[test]
fn the_key_is_read_from_where_the_rules_say() {
    for (entries, name, value) in [
        (vec![meta(&[("http.status_code", "404")])], "HTTPStatusCode", "404"),
        (vec![meta(&[("http.status_code", "+404")])], "HTTPStatusCode", "404"),
        (vec![meta(&[("http.status_code", "4O4")])], "HTTPStatusCode", "0"),
        (vec![meta(&[("http.status_code", "99999999999")])], "HTTPStatusCode", "0"),
        (vec![metric("http.status_code", 503.0)], "HTTPStatusCode", "503"),
        (vec![metric("http.status_code", -1.0)], "HTTPStatusCode", "0"),
        (vec![metric("http.status_code", f64::NAN)], "HTTPStatusCode", "0"),
        (vec![metric("http.status_code", f64::INFINITY)], "HTTPStatusCode", "0"),
        (
            vec![meta(&[("http.status_code", "404")]), metric("http.status_code", 200.0)],
            "HTTPStatusCode",
            "200",
        ),
        (vec![meta(&[("grpc.code", "StatusCode.NOT_FOUND")])], "GRPCStatusCode", "5"),
        (vec![metric("rpc.grpc.status_code", 14.0)], "GRPCStatusCode", "14"),
        (vec![meta(&[("grpc.code", "odd")]), metric("grpc.status.code", 3.0)], "GRPCStatusCode", ""),
        (vec![meta(&[("grpc.code", "")]), metric("grpc.status.code", 3.0)], "GRPCStatusCode", "3"),
        (vec![meta(&[("rpc.response.status_code", "OK")])], "GRPCStatusCode", ""),
        (vec![meta(&[("rpc.response.status_code", "OK"), ("rpc.system", "grpc")])], "GRPCStatusCode", "0"),
        (
            vec![meta(&[
                ("rpc.response.status_code", "OK"),
                ("rpc.system", "grpc"),
                ("rpc.system.name", "thrift"),
            ])],
            "GRPCStatusCode",
            "",
        ),
        (vec![], "GRPCStatusCode", ""),
        (vec![meta(&[("http.method", "PUT")])], "HTTPMethod", "PUT"),
        (vec![meta(&[("http.route", "/r"), ("http.endpoint", "/e")])], "HTTPEndpoint", "/e"),
        (vec![meta(&[("http.route", "/r")])], "HTTPEndpoint", "/r"),
        (vec![meta(&[("_dd.svc_src", "m")])], "srv_src", "m"),
        (vec![meta(&[("_dd.origin", "synthetics-browser")])], "Synthetics", "true"),
        (vec![meta(&[("_dd.origin", "rum")])], "Synthetics", "false"),
        (vec![], "IsTraceRoot", "1"),
        (vec![e("parent_id", int(9))], "IsTraceRoot", "2"),
        (vec![e("service", s(""))], "Service", ""),
        (vec![e("type", s("web"))], "Type", "web"),
        (vec![e("name", bin(b"op\xff"))], "Name", "op\u{fffd}"),
        (vec![e("name", bin(b"op\xe6\x97"))], "Name", "op\u{fffd}\u{fffd}"),
        (vec![meta(&[("span.kind", "Client"), ("b", "2"), ("a", "1")])], "PeerTags", "a:1,b:2"),
        (vec![meta(&[("span.kind", "server"), ("a", "1")])], "PeerTags", ""),
        (
            vec![meta(&[("span.kind", "consumer"), ("a", "10.1.2.3:80")])],
            "PeerTags",
            "a:blocked-ip-address:80",
        ),
        (vec![meta(&[("span.kind", "producer"), ("a", "")])], "PeerTags", ""),
        (vec![meta(&[("span.kind", "cl\u{130}ent"), ("a", "1")])], "PeerTags", "a:1"),
        (vec![meta(&[("_dd.base_service", "base"), ("a", "1")])], "PeerTags", "_dd.base_service:base"),
        (vec![meta(&[("_dd.base_service", "10.1.2.3")])], "PeerTags", "_dd.base_service:blocked-ip-address"),
        (vec![meta(&[("_dd.base_service", "base"), ("span.kind", "server")])], "PeerTags", ""),
        (vec![meta(&[("region", "eu"), ("cell", "")])], "AdditionalMetricTags", "region:eu"),
    ] {
        let shown = format!("{entries:?}");
        let group = one(root(entries), &["a", "b", "_dd.base_service"], &["region", "cell", "region"]);
        assert_eq!(group.get(name), value, "{shown}");
    }
    let base = one(root([meta(&[("_dd.base_service", "base")])]), &[], &[]);
    assert_eq!(base.get("PeerTags"), "", "no peer tag was asked for");
    let long = "x".repeat(201);
    let group = one(root([meta(&[("region", &long)])]), &[], &["region"]);
    assert_eq!(group.get("AdditionalMetricTags"), "region:tracer_blocked_value");
    let exact = "\u{e9}".repeat(200);
    let group = one(root([meta(&[("region", &exact)])]), &[], &["region"]);
    assert_eq!(group.get("AdditionalMetricTags"), format!("region:{exact}"));
}

#[test]
fn times_at_the_limits_make_no_stray_bucket_and_no_wrong_sum() {
    let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000_000_000, i64::MAX];
    let mut counting = Counting::new(StatsLimits::default(), Clock::Wall, &[], &[]);
    for start in times {
        for duration in times {
            counting.add(&array([array([root([e("start", i64_(start)), e("duration", i64_(duration))])])]));
        }
    }
    let groups = counting.flush();
    // All of them are in the past or in the future; a new bucket may have begun meanwhile.
    assert!((1..=2).contains(&groups.len()), "{groups:?}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    assert!(groups[0].start <= now && now - groups[0].start < 30_000_000_000);
    assert_eq!(groups.iter().map(|g| g.hits).sum::<u64>(), 36);
    assert!(groups.iter().map(|g| g.duration).sum::<u64>() >= i64::MAX as u64);
}

#[test]
fn a_span_whose_time_cannot_be_does_not_spoil_the_sum_of_its_group() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stats/cases/");
    for name in ["stats_duration_overflow.mp", "stats_duration_negstart.mp"] {
        let mut counting = Counting::replay(&[]);
        counting.add(&std::fs::read(format!("{cases}{name}")).unwrap());
        let groups = counting.flush();
        assert_eq!((groups.len(), groups[0].hits, groups[0].duration), (1, 1, 0), "{name}");
    }
    let start = 1_700_000_000_000_000_000;
    let mut counting = Counting::replay(&[]);
    for (start, duration) in [
        (start, 1000),
        (start, i64::MAX - start + 1),
        (start, -1000),
        (-1, 1000),
        (i64::MIN, 0),
        (0, 7),
        (i64::MAX, 0),
        (i64::MAX, 1),
    ] {
        counting.add(&array([array([root([e("start", i64_(start)), e("duration", i64_(duration))])])]));
    }
    let groups = counting.flush();
    assert_eq!(groups.iter().map(|g| (g.hits, g.duration)).collect::<Vec<_>>(), [(3, 7), (3, 1000), (2, 0)]);
    // The agent adds floats.
    let long = one(root([e("start", int(0)), e("duration", i64_((1 << 53) + 1))]), &[], &[]);
    assert_eq!(long.duration, 1 << 53);
}

#[test]
fn odd_keys_are_read_as_the_agent_reads_them_in_one_payload_too() {
    let mut counting = Counting::replay(&["peer.hostname"]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stats/cases/single.msgpack");
    counting.add(&std::fs::read(path).unwrap());
    let mut groups = counting.flush();
    groups.sort_by_key(|g| g.get("Resource")[1..].parse::<u32>().unwrap());
    let fields = |name| groups.iter().map(|g: &Group| g.get(name)).collect::<Vec<_>>();
    let http = ["404", "404", "200", "0", "0", "404", "201", "0", "0", "0", "0", "0", "0", "0"];
    assert_eq!(fields("HTTPStatusCode"), http);
    assert_eq!(fields("GRPCStatusCode"), ["", "", "", "", "", "", "", "5", "", "256", "", "", "", ""]);
    assert_eq!(fields("PeerTags")[12..], ["", "_dd.base_service:blocked-ip-address"]);
}

#[test]
fn any_error_but_zero_is_an_error() {
    for (error, expected) in [(0, 0), (1, 1), (2, 1), (-1, 1)] {
        assert_eq!(one(root([e("error", int(error))]), &[], &[]).errors, expected);
    }
}

#[test]
fn limits_collapse_what_is_new_and_lose_no_span() {
    let limits =
        StatsLimits { whole_key: 20, resource: 5, http_endpoint: 19, peer_tags: 19, additional_tags: 19 };
    let mut counting = Counting::new(limits, Clock::Replay, &[], &[]);
    for i in 0..100 {
        let resource = format!("GET /{}", i % 50);
        let method = format!("M{}", i / 4);
        counting
            .add(&array([array([root([e("resource", s(&resource)), meta(&[("http.method", &method)])])])]));
    }
    let report = counting.concentrator.report();
    let groups = counting.flush();
    assert_eq!(groups.iter().map(|g| g.hits).sum::<u64>(), 100);
    assert_eq!(groups.len(), 21);
    let over: Vec<_> = groups.iter().filter(|g| g.get("Service") == "tracer_blocked_value").collect();
    assert_eq!(over.len(), 1);
    for (name, value) in [
        ("Name", "tracer_blocked_value"),
        ("HTTPMethod", "tracer_blocked_value"),
        ("PeerTags", "tracer_blocked_value"),
        ("AdditionalMetricTags", "tracer_blocked_value"),
        ("IsTraceRoot", "0"),
        ("GRPCStatusCode", ""),
        ("Synthetics", "false"),
    ] {
        assert_eq!(over[0].get(name), value);
    }
    assert_eq!(report.collapsed.whole_key, over[0].hits);
    let blocked = report.collapsed.fields[1];
    assert_eq!(
        report.collapsed,
        Collapsed {
            whole_key: over[0].hits,
            fields: {
                let mut f = [0; 16];
                f[1] = blocked;
                f
            }
        }
    );
    assert_eq!(blocked, 90, "five resources are known, each comes twice");
}

#[test]
fn seven_thousand_groups_and_a_flood_of_a_million_resources_stay_small() {
    let mut counting = Counting::replay(&[]);
    let span = |i: u32, resource: u32, start: i64| {
        let resource = format!("GET /api/v2/accounts/{resource}/orders");
        let name = format!("servlet.request.{i}");
        root([
            e("resource", s(&resource)),
            e("name", s(&name)),
            e("start", i64_(start)),
            e("duration", int(i64::from(i) * 977)),
        ])
    };
    for i in 0..7000u32 {
        counting.add(&array([array([span(i % 7, i % 1000, 0), span(i, i % 1000, 0)])]));
    }
    let bytes = counting.concentrator.memory_bytes();
    assert!(counting.concentrator.report().rows.len() >= 1000);
    assert!(bytes < 6_000_000, "{bytes}");
    let mut flood = Counting::replay(&[]);
    for part in 0..1000u32 {
        flood.add(&array([array((0..1000).map(|i| span(0, part * 1000 + i, 0)))]));
    }
    let report = flood.concentrator.report();
    assert_eq!((report.counted, report.waiting), (1_000_000, 1_000_000));
    assert_eq!(report.collapsed.fields[1], 1_000_000 - 1024);
    assert!(flood.concentrator.memory_bytes() < 10_000_000);
    assert_eq!(flood.flush().iter().map(|g| g.hits).sum::<u64>(), 1_000_000);
}

#[test]
fn a_payload_of_stats_has_at_most_four_thousand_groups() {
    let mut counting = Counting::replay(&[]);
    for i in 0..6500i64 {
        let name = format!("op{}", i % 3500);
        counting
            .add(&array([array([root([e("name", s(&name)), e("start", i64_(i / 3500 * 20_000_000_000))])])]));
    }
    let bodies = counting.concentrator.flush(true, &Default::default());
    let sizes: Vec<usize> = bodies.iter().map(|b| stats::groups(std::slice::from_ref(b)).len()).collect();
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (2, 6500));
    assert!(sizes.iter().all(|n| *n <= 4000), "{sizes:?}");
}

#[test]
fn odd_input_is_counted_all_the_same() {
    let long = "r".repeat(100_000);
    assert_eq!(one(root([e("resource", s(&long))]), &[], &[]).get("Resource"), long);
    let keys: Vec<String> = (0..10_000).map(|i| format!("peer.{i}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut tags: Vec<(&str, &str)> = keys.iter().rev().map(|k| (*k, "v")).collect();
    tags.push(("span.kind", "client"));
    let group = one(root([meta(&tags)]), &keys, &[]);
    assert_eq!(group.get("PeerTags").split(',').count(), 10_000);
    assert!(group.get("PeerTags").starts_with("peer.0:v,peer.1:v,"));
    // A key twice: the last counts, and is there once.
    let group = one(root([meta(&[("span.kind", "client"), ("a", "1"), ("a", "2")])]), &["a"], &["a"]);
    assert_eq!((group.get("PeerTags"), group.get("AdditionalMetricTags")), ("a:2", "a:2"));
}

#[test]
fn a_payload_whose_groups_are_known_allocates_nothing() {
    let spans: Vec<Bytes> = (0..40)
        .map(|i| {
            array([root([
                e("resource", s(&format!("GET /{i}"))),
                e("duration", int(i * 1000)),
                meta(&[("span.kind", "client"), ("out.host", "db.internal"), ("http.status_code", "200")]),
            ])])
        })
        .collect();
    let bytes = array(spans);
    let mut counting = Counting::replay(&["out.host"]);
    counting.add(&bytes);
    counting.add(&bytes);
    let allocations = alloc::allocations(|| (0..10).for_each(|_| counting.add(&bytes)));
    assert_eq!(allocations, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A key that is known from an earlier span is the key that would be written for this one.
    #[test]
    fn known_keys_are_those_that_would_be_written(
        payloads in prop::collection::vec(prop::collection::vec((0usize..7, 0usize..7, 0usize..7, 0u8..32, any::<bool>()), 0..40), 1..6),
        is_obfuscated in any::<bool>(),
    ) {
        let long = |end: &str| format!("{}{end}", "x".repeat(28));
        let texts: [String; 7] = [
            String::new(), "a".into(), "b".into(), "eight ab".into(), long("1234"), long("1235"), long("a longer one, with another end"),
        ];
        let mut countings = [(); 2].map(|()| {
            let counting = Counting::new(StatsLimits::default(), Clock::Replay, &["peer", "other"], &["more"]);
            if is_obfuscated { counting.obfuscating(std::sync::Arc::new(Capitals), 20) } else { counting }
        });
        for spans in &payloads {
            let spans = spans.iter().map(|&(resource, peer, kind, which, root_span)| {
                let mut tags = vec![("span.kind", ["client", "Client", "server", "internal", "", "producer", "odd"][kind].to_owned())];
                for (bit, key) in ["peer", "more", "other", "http.status_code", "peer"].into_iter().enumerate() {
                    if which >> bit & 1 == 1 {
                        tags.push((key, texts[(peer + bit) % 7].clone()));
                    }
                }
                let tags: Vec<(&str, &str)> = tags.iter().map(|(k, v)| (*k, v.as_str())).collect();
                array([map([
                    e("service", s("shop")),
                    e("resource", s(&texts[resource])),
                    e("name", s(&texts[peer])),
                    e("type", s(["sql", "web"][resource % 2])),
                    e("trace_id", int(1)),
                    e("span_id", int(2)),
                    e("parent_id", int(i64::from(!root_span))),
                    e("duration", int(resource as i64)),
                    meta(&tags),
                ])])
            });
            let chunks = spans.collect::<Vec<_>>();
            let [alone, together] = &mut countings;
            for chunk in &chunks {
                alone.forget();
                alone.add(&array([chunk.clone()]));
            }
            together.add(&array(chunks));
        }
        let [alone, together] = countings.map(|counting| {
            let mut groups = counting.flush();
            groups.sort_by(|a, b| a.fields.cmp(&b.fields));
            groups
        });
        prop_assert_eq!(alone, together);
    }

    /// Hits over all groups are the spans that count, whatever limits, flushes and times do.
    #[test]
    fn no_span_is_lost_and_none_counts_twice(
        payloads in prop::collection::vec(prop::collection::vec((0u8..30, 0u8..30, any::<i64>(), any::<i64>(), 0u8..4), 0..60), 1..6),
        replay in any::<bool>(),
        whole in 2u32..40,
    ) {
        let limits = StatsLimits { whole_key: whole, resource: 7.min(whole - 1), http_endpoint: 3.min(whole - 1), peer_tags: 1, additional_tags: 1 };
        let clock = if replay { Clock::Replay } else { Clock::Wall };
        let mut counting = Counting::new(limits, clock, &["peer"], &["more"]);
        let (mut expected, mut duration, mut errors, mut got) = (0u64, 0u64, 0u64, Vec::new());
        for spans in payloads {
            let spans = spans.into_iter().map(|(resource, peer, start, length, error)| {
                expected += 1;
                // Small enough for the sum to be exact.
                let length = length >> 20;
                // A span that begins before 1970 or ends beyond 64 bits has no duration that counts, as with the agent.
                let possible = start >= 0 && (0..=i64::MAX - start).contains(&length);
                duration += if possible { length as u64 } else { 0 };
                errors += u64::from(error != 0);
                array([root([
                    e("resource", s(&format!("r{resource}"))),
                    e("start", i64_(start)),
                    e("duration", i64_(length)),
                    e("error", int(i64::from(error))),
                    meta(&[("span.kind", "client"), ("peer", &format!("p{peer}")), ("more", &format!("m{peer}")), ("http.route", &format!("/{resource}"))]),
                ])])
            });
            counting.add(&array(spans.collect::<Vec<_>>()));
            got.extend(stats::groups(&counting.concentrator.flush(false, &Default::default())));
        }
        got.extend(counting.flush());
        prop_assert_eq!(got.iter().map(|g| g.hits).sum::<u64>(), expected);
        prop_assert_eq!(got.iter().map(|g| g.top_level).sum::<u64>(), expected);
        prop_assert_eq!(got.iter().map(|g| g.errors).sum::<u64>(), errors);
        prop_assert_eq!(got.iter().map(|g| g.duration).sum::<u64>(), duration);
        let report = counting.concentrator.report();
        prop_assert_eq!((report.counted, report.sent, report.lost, report.waiting), (expected, expected, 0, 0));
    }
}
