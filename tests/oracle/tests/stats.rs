//! Our stats beside the reference's concentrator and sketch: the same groups with the same counts and sums,
//! sketches equal bin by bin. Inputs: the captured payloads, and generated spans with every tag that makes a
//! key.
//!
//! Left out because the reference is not the agent there: negative times, the OpenTelemetry names of method
//! and status, status numbers that are none, a gRPC status as text beside one as number, empty peer tags, an
//! address as base service. `stats_singles.py` asks the agent's concentrator about those.

use data_pipeline::obfuscate::quantize_peer_addresses;
use data_pipeline::settings::Metadata;
use data_pipeline::stats::{Clock, Concentrator, Pending, Rules, STATS_SLOTS, Sketch, StatsLimits};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload, TOP_LEVEL_SLOTS, TopLevel};
use data_pipeline_oracle::{fixtures, libdd};
use libdd_ddsketch::DDSketch;
use libdd_trace_protobuf::pb;
use libdd_trace_stats::span_concentrator::{
    CardinalityLimitConfig, SpanConcentrator, default_stats_eligible_span_kinds,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

const PEER_TAGS: [&str; 5] = ["out.host", "peer.service", "_dd.base_service", "db.name", "messaging.system"];
const ADDITIONAL: [&str; 2] = ["region", "cell"];

type Groups = BTreeMap<String, (Vec<u64>, Vec<u8>, Vec<u8>)>;

fn read(buckets: Vec<pb::ClientStatsBucket>) -> Groups {
    let mut groups = Groups::new();
    for bucket in buckets {
        for mut g in bucket.stats {
            let numbers = vec![g.hits, g.errors, g.duration, g.top_level_hits];
            let sketches = (std::mem::take(&mut g.ok_summary), std::mem::take(&mut g.error_summary));
            (g.hits, g.errors, g.duration, g.top_level_hits) = (0, 0, 0, 0);
            // The reference writes the overflow marker of additional tags with a colon behind it.
            for tag in &mut g.additional_metric_tags {
                if tag == "tracer_blocked_value:" {
                    tag.pop();
                }
            }
            let key = format!("{} {} {g:?}", bucket.start, bucket.duration);
            assert!(groups.insert(key, (numbers, sketches.0, sketches.1)).is_none(), "a group twice");
        }
    }
    groups
}

fn theirs(payloads: &[&[u8]], limits: Option<StatsLimits>) -> Result<Groups, String> {
    let limits = limits.map(|l| CardinalityLimitConfig {
        whole_key_limit: l.whole_key as usize,
        resource_limit: l.resource as usize,
        http_endpoint_limit: l.http_endpoint as usize,
        peer_tags_limit: l.peer_tags as usize,
        additional_tags_limit: l.additional_tags as usize,
    });
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let mut concentrator = SpanConcentrator::new(
        Duration::from_secs(10),
        SystemTime::UNIX_EPOCH,
        default_stats_eligible_span_kinds(),
        strings(&PEER_TAGS),
        limits,
        strings(&ADDITIONAL),
    );
    for bytes in payloads {
        let mut traces = libdd::decode_v04(bytes)?;
        libdd::top_level(&mut traces);
        for span in traces.iter().flatten() {
            if span.start < 0 || span.duration < 0 || span.start.checked_add(span.duration).is_none() {
                return Err("times that the reference gets wrong".to_owned());
            }
            if ["http.request.method", "http.response.status_code"]
                .iter()
                .any(|k| span.meta.get(*k).is_some())
            {
                return Err("an OpenTelemetry name".to_owned());
            }
            concentrator.add_span(span);
        }
    }
    Ok(read(concentrator.flush(SystemTime::now(), true).all_buckets()))
}

fn ours(payloads: &[&[u8]], limits: Option<StatsLimits>) -> Groups {
    let concentrator = Concentrator::new(Duration::from_secs(10), limits.unwrap_or_default(), Clock::Replay);
    let mut interest = Interest::none().slots(STATS_SLOTS).slots(TOP_LEVEL_SLOTS);
    let peers = PEER_TAGS.iter().map(|t| (*t).to_owned());
    let additional = ADDITIONAL.map(str::to_owned);
    let rules = Rules::new(&concentrator, &[], peers, &additional, quantize_peer_addresses, &mut interest);
    let (mut arena, mut pending) = (Arena::new(), Pending::default());
    for bytes in payloads {
        pending.begin();
        let mut payload = Payload::scan(bytes, &mut arena, &interest, OnMalformed::Repair).expect("read");
        TopLevel { mark: true }.apply(&mut payload);
        rules.observe(&payload, &mut pending, Some(&concentrator));
        concentrator.commit(&mut pending);
    }
    let bodies = concentrator.flush(true, &Metadata::default());
    let buckets = bodies.iter().flat_map(|body| {
        let payload: pb::ClientStatsPayload = rmp_serde::from_slice(body).expect("their type reads our body");
        payload.stats
    });
    read(buckets.collect())
}

#[test]
fn the_captured_payloads_make_the_reference_s_groups() {
    let (mut compared, mut groups) = (0, 0);
    for fixture in fixtures::all() {
        let Ok(theirs) = theirs(&[&fixture.bytes], None) else { continue };
        let ours = ours(&[&fixture.bytes], None);
        assert_eq!(ours, theirs, "{}", fixture.name);
        compared += 1;
        groups += ours.len();
    }
    println!("{compared} payloads, {groups} groups");
    assert!(compared >= 25 && groups > 100, "{compared} payloads, {groups} groups");
}

#[derive(Clone, Debug)]
struct Span {
    fields: [u8; 4],
    ids: (u8, u8),
    start: i64,
    duration: i64,
    error: bool,
    meta: Vec<(&'static str, &'static str)>,
    metrics: Vec<(&'static str, f64)>,
}

fn span() -> impl Strategy<Value = Span> {
    let meta = prop_oneof![
        3 => (Just("span.kind"), prop::sample::select(vec!["client", "SERVER", "Producer", "consumer", "internal", "", "odd"])),
        1 => (Just("http.status_code"), prop::sample::select(vec!["200", "+404", "", "x", "-1", "4294967296"])),
        1 => (Just("http.method"), prop::sample::select(vec!["GET", "POST", ""])),
        1 => (Just("http.endpoint"), prop::sample::select(vec!["/e", "/f", ""])),
        1 => (Just("http.route"), prop::sample::select(vec!["/r", "/s", ""])),
        1 => (Just("_dd.svc_src"), prop::sample::select(vec!["m", "opt.x", ""])),
        1 => (Just("_dd.origin"), prop::sample::select(vec!["synthetics", "synthetics-browser", "rum", "lambda"])),
        1 => (Just("_dd.base_service"), prop::sample::select(vec!["base", "another"])),
        1 => (prop::sample::select(vec!["rpc.grpc.status_code", "grpc.code", "rpc.grpc.status.code", "grpc.status.code"]),
              prop::sample::select(vec!["0", "14", "OK", "StatusCode.notfound", "DeadlineExceeded", "canceled", "255", ""])),
        1 => (Just("out.host"), prop::sample::select(vec!["db-1", "10.0.0.1:5432", "10.0.0.1,10.0.0.2,db", "::1", "ip-10-1-2-3.ec2.internal"])),
        1 => (Just("peer.service"), prop::sample::select(vec!["orders", "127.0.0.1", "a name that is longer than thirty-two bytes"])),
        1 => (Just("region"), prop::sample::select(vec!["eu", "us", ""])),
        1 => (Just("cell"), prop::sample::select(vec!["1", "2"])),
        1 => (Just("noise"), prop::sample::select(vec!["1", "2"])),
    ];
    let metrics = prop_oneof![
        (Just("_dd.measured"), prop::sample::select(vec![1.0, 0.0, 2.0])),
        (Just("_top_level"), prop::sample::select(vec![1.0, 0.0])),
        (Just("_dd.top_level"), prop::sample::select(vec![1.0, 0.0])),
        (Just("_dd.partial_version"), prop::sample::select(vec![-1.0, 0.0, 5.0])),
        (Just("http.status_code"), prop::sample::select(vec![200.0, 503.0, -5.0, 0.0])),
        (Just("grpc.code"), prop::sample::select(vec![0.0, 16.0, 255.0, 0.5])),
    ];
    (
        prop::array::uniform4(0u8..3),
        (1u8..6, 0u8..6),
        0i64..40_000_000_000,
        prop_oneof![0i64..5, 0i64..1 << 40],
        any::<bool>(),
        prop::collection::vec(meta, 0..7),
        prop::collection::vec(metrics, 0..3),
    )
        .prop_map(|(fields, ids, start, duration, error, mut meta, mut metrics)| {
            // The reference takes the last of two equal keys as we do, but only where it looks them up.
            let mut seen = std::collections::HashSet::new();
            meta.retain(|(k, _)| seen.insert(*k));
            seen.clear();
            let grpc = meta.iter().any(|(k, _)| k.contains("grpc"));
            metrics.retain(|(k, _)| seen.insert(*k) && !(grpc && k.contains("grpc")));
            Span { fields, ids, start, duration, error, meta, metrics }
        })
}

fn encode(chunks: &[Vec<Span>]) -> Vec<u8> {
    let mut out = Vec::new();
    rmp::encode::write_array_len(&mut out, chunks.len() as u32).unwrap();
    for chunk in chunks {
        rmp::encode::write_array_len(&mut out, chunk.len() as u32).unwrap();
        for s in chunk {
            rmp::encode::write_map_len(&mut out, 12).unwrap();
            for (name, n) in ["service", "name", "resource", "type"].iter().zip(s.fields) {
                rmp::encode::write_str(&mut out, name).unwrap();
                rmp::encode::write_str(&mut out, &format!("{name}{n}")).unwrap();
            }
            let numbers = [
                ("trace_id", 7),
                ("span_id", i64::from(s.ids.0)),
                ("parent_id", i64::from(s.ids.1)),
                ("start", 1_700_000_000_000_000_000 + s.start),
                ("duration", s.duration),
                ("error", i64::from(s.error)),
            ];
            for (name, v) in numbers {
                rmp::encode::write_str(&mut out, name).unwrap();
                rmp::encode::write_sint(&mut out, v).unwrap();
            }
            rmp::encode::write_str(&mut out, "meta").unwrap();
            rmp::encode::write_map_len(&mut out, s.meta.len() as u32).unwrap();
            for (k, v) in &s.meta {
                rmp::encode::write_str(&mut out, k).unwrap();
                rmp::encode::write_str(&mut out, v).unwrap();
            }
            rmp::encode::write_str(&mut out, "metrics").unwrap();
            rmp::encode::write_map_len(&mut out, s.metrics.len() as u32).unwrap();
            for (k, v) in &s.metrics {
                rmp::encode::write_str(&mut out, k).unwrap();
                rmp::encode::write_f64(&mut out, *v).unwrap();
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_spans_make_the_reference_s_groups(chunks in prop::collection::vec(prop::collection::vec(span(), 0..12), 0..8)) {
        let bytes = encode(&chunks);
        prop_assert_eq!(ours(&[&bytes], None), theirs(&[&bytes], None).map_err(TestCaseError::fail)?);
    }

    #[test]
    fn limits_collapse_as_in_the_reference(
        chunks in prop::collection::vec(prop::collection::vec(span(), 0..20), 1..10),
        fields in prop::array::uniform4(1u32..6), more in 1u32..30,
    ) {
        let [resource, http_endpoint, peer_tags, additional_tags] = fields;
        let limits = StatsLimits { whole_key: 6 + more, resource, http_endpoint, peer_tags, additional_tags };
        let bytes = encode(&chunks);
        prop_assert_eq!(ours(&[&bytes], Some(limits)), theirs(&[&bytes], Some(limits)).map_err(TestCaseError::fail)?);
    }

    #[test]
    fn sketches_are_equal_to_the_byte(values in prop::collection::vec(
        prop_oneof![0u64..10, 0..1u64 << 20, 0..1u64 << 40, 0..i64::MAX as u64], 0..300), odd in prop::collection::vec(any::<f64>(), 0..20)) {
        let (mut ours, mut theirs) = (Sketch::default(), DDSketch::default());
        for v in values {
            ours.add(v);
            theirs.add(v as f64).map_err(|e| TestCaseError::fail(e.to_string()))?;
        }
        let mut out = Vec::new();
        ours.encode(&mut out);
        prop_assert_eq!(&out, &theirs.clone().encode_to_vec());
        for v in odd {
            prop_assert_eq!(ours.add_value(v), theirs.add(v).is_ok());
        }
        out.clear();
        ours.encode(&mut out);
        prop_assert_eq!(out, theirs.encode_to_vec());
    }
}
