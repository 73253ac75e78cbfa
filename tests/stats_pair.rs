//! Stats that a real tracer (dd-trace-go 2.12) sent beside every trace it sent: ours, computed again from
//! those traces, are the same, group by group. That tracer obfuscates the resources of SQL, Redis and
//! Cassandra groups, as agreed with its agent, and so do we; its groups have no `HTTPEndpoint`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator, quantize_peer_addresses, resource_for_stats};
use data_pipeline::settings::Metadata;
use data_pipeline::stats::{
    Clock, Concentrator, MAX_RESOURCE, Obfuscate, Pending, Resources, Rules, STATS_SLOTS, StatsLimits,
};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload, TOP_LEVEL_SLOTS, TopLevel, Verdict};
use rmpv::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PEER_TAGS: [&str; 7] = [
    "_dd.base_service",
    "db.name",
    "db.system",
    "messaging.destination.name",
    "messaging.system",
    "network.destination.name",
    "out.host",
];

fn fixtures(what: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/tests/fixtures/stats/pair-go/{what}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "msgpack"));
    paths.sort();
    paths.iter().map(|p| std::fs::read(p).unwrap()).collect()
}

#[derive(Debug)]
struct AsAgreed(Obfuscator);

impl Obfuscate for AsAgreed {
    fn resource(&self, span_type: &[u8], resource: &[u8], db_type: &[u8], out: &mut Vec<u8>) -> Verdict {
        resource_for_stats(span_type, resource, db_type, &self.0, &mut self.0.scratch(), out)
    }
}

fn ours(traces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let concentrator = Concentrator::new(Duration::from_secs(10), StatsLimits::default(), Clock::Replay);
    let mut interest = Interest::none().slots(STATS_SLOTS).slots(TOP_LEVEL_SLOTS);
    let peers = PEER_TAGS.iter().map(|t| (*t).to_owned());
    let rules = Rules::new(&concentrator, &[], peers, &[], quantize_peer_addresses, &mut interest);
    let obfuscate = Arc::new(AsAgreed(Obfuscator::new(&ObfuscationConfig::off()).unwrap()));
    let resources = Resources { obfuscate: Some(obfuscate), max_bytes: MAX_RESOURCE };
    let rules = rules.with_resources(resources, &mut interest);
    let (mut arena, mut pending) = (Arena::new(), Pending::default());
    for bytes in traces {
        pending.begin();
        let mut payload = Payload::scan(bytes, &mut arena, &interest, OnMalformed::Fail).unwrap();
        TopLevel { mark: true }.apply(&mut payload);
        rules.observe(&payload, &mut pending, None);
        concentrator.commit(&mut pending);
    }
    concentrator.flush(true, &Metadata { env: "prod".into(), ..Metadata::default() })
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Group {
    numbers: [u64; 4],
    ok: Vec<u8>,
    errors: Vec<u8>,
}

fn field<'v>(map: &'v Value, name: &str) -> &'v Value {
    map.as_map().unwrap().iter().find(|(k, _)| k.as_str() == Some(name)).map(|(_, v)| v).unwrap()
}

/// Groups by bucket and key.
fn groups(bodies: &[Vec<u8>]) -> BTreeMap<String, Group> {
    let mut found = BTreeMap::new();
    for body in bodies {
        let payload = rmpv::decode::read_value(&mut &body[..]).unwrap();
        assert_eq!(field(&payload, "Env").as_str(), Some("prod"));
        for bucket in field(&payload, "Stats").as_array().unwrap() {
            for group in field(bucket, "Stats").as_array().unwrap() {
                let text = |name| field(group, name).as_str().unwrap().to_owned();
                let kind = text("Type");
                let mut peers: Vec<_> =
                    field(group, "PeerTags").as_array().unwrap().iter().map(Value::to_string).collect();
                peers.sort();
                let key = format!(
                    "{} {}|{}|{}|{kind}|{}|{}|{}|{}|{}|{}|{:?}",
                    field(bucket, "Start"),
                    text("Service"),
                    text("Name"),
                    text("Resource"),
                    field(group, "HTTPStatusCode"),
                    text("SpanKind"),
                    field(group, "IsTraceRoot"),
                    field(group, "Synthetics"),
                    text("GRPCStatusCode"),
                    text("HTTPMethod") + "|" + &text("srv_src"),
                    peers,
                );
                let sum: &mut Group = found.entry(key).or_default();
                for (n, name) in sum.numbers.iter_mut().zip(["Hits", "Errors", "Duration", "TopLevelHits"]) {
                    *n += field(group, name).as_u64().unwrap();
                }
                sum.ok = field(group, "OkSummary").as_slice().unwrap().to_vec();
                sum.errors = field(group, "ErrorSummary").as_slice().unwrap().to_vec();
            }
        }
    }
    found
}

/// Bins (index, count) of a sketch's positive values, its mapping's gamma, its zeros.
fn sketch(bytes: &[u8]) -> (f64, f64, Vec<(i64, f64)>, f64) {
    fn varint(b: &[u8], p: &mut usize) -> u64 {
        let (mut v, mut shift) = (0, 0);
        loop {
            let byte = b[*p];
            *p += 1;
            v |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return v;
            }
        }
    }
    let double = |b: &[u8]| f64::from_le_bytes(b.try_into().unwrap());
    let (mut p, mut gamma, mut offset, mut bins, mut zeros) = (0, 0.0, 0.0, Vec::new(), 0.0);
    while p < bytes.len() {
        let tag = varint(bytes, &mut p);
        if tag == 0x21 {
            zeros = double(&bytes[p..p + 8]);
            p += 8;
            continue;
        }
        let len = varint(bytes, &mut p) as usize;
        let inner = &bytes[p..p + len];
        p += len;
        let (mut q, mut counts, mut first) = (0, Vec::new(), 0i64);
        while q < inner.len() {
            match varint(inner, &mut q) {
                0x09 => (gamma, q) = (double(&inner[q..q + 8]), q + 8),
                0x11 => (offset, q) = (double(&inner[q..q + 8]), q + 8),
                0x12 => {
                    let n = varint(inner, &mut q) as usize;
                    counts = inner[q..q + n].chunks(8).map(double).collect();
                    q += n;
                }
                0x18 => {
                    let z = varint(inner, &mut q);
                    first = (z >> 1) as i64 ^ -((z & 1) as i64);
                }
                other => panic!("field {other:x}"),
            }
        }
        if tag == 0x12 {
            bins = counts.iter().enumerate().map(|(i, n)| (first + i as i64, *n)).collect();
            bins.retain(|(_, n)| *n > 0.0);
        }
    }
    (gamma, offset, bins, zeros)
}

fn quantile(bytes: &[u8], q: f64) -> f64 {
    let (gamma, offset, bins, zeros) = sketch(bytes);
    let count: f64 = bins.iter().map(|(_, n)| n).sum::<f64>() + zeros;
    let rank = q * (count - 1.0);
    let mut seen = zeros;
    for (index, n) in &bins {
        seen += n;
        if seen > rank {
            let low = ((*index as f64 - offset) * gamma.ln()).exp();
            return low * 2.0 * gamma / (1.0 + gamma);
        }
    }
    0.0
}

#[test]
fn stats_computed_again_from_a_tracers_traces_are_those_it_sent() {
    let (theirs, ours) = (groups(&fixtures("stats")), groups(&ours(&fixtures("traces"))));
    let (names, other): (Vec<_>, Vec<_>) = (theirs.keys().collect(), ours.keys().collect());
    assert_eq!(names, other);
    assert!(names.len() >= 40, "{}", names.len());
    assert!(names.iter().filter(|n| n.contains("|sql|")).count() >= 5, "{names:#?}");
    for (key, group) in &theirs {
        assert_eq!(group.numbers, ours[key].numbers, "{key}");
        for (a, b) in [(&group.ok, &ours[key].ok), (&group.errors, &ours[key].errors)] {
            for q in [0.0, 0.5, 0.9, 1.0] {
                if a.is_empty() {
                    continue;
                }
                let (a, b) = (quantile(a, q), quantile(b, q));
                assert!((a - b).abs() <= a * 0.0205, "{key}: {q}: {a} {b}");
            }
        }
    }
}
