//! Filters, top level and p0 drop: tables of the rules, and generated payloads compared with naive versions
//! of the same rules on decoded values.

#![allow(clippy::unwrap_used)]

mod support {
    #[path = "msgpack.rs"]
    pub mod msgpack;
    #[path = "wire.rs"]
    pub mod wire;
}

use data_pipeline::format::v04;
use data_pipeline::trace::{
    Arena, ChunkState, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Payload, TOP_LEVEL_SLOTS,
    TopLevel, drop_p0,
};
use proptest::prelude::*;
use support::msgpack::*;
use support::wire::{self, Span};

fn interest() -> Interest {
    Interest::none().slots(P0_SLOTS).slots(TOP_LEVEL_SLOTS)
}

fn rules(kind: &str, text: &str) -> FilterRules {
    let one = vec![text.to_owned()];
    let mut rules = FilterRules::default();
    match kind {
        "require" => rules.require = one,
        "reject" => rules.reject = one,
        "require~" => rules.require_regex = one,
        "reject~" => rules.reject_regex = one,
        "ignore" => rules.ignore_resources = one,
        other => panic!("{other}"),
    }
    rules
}

fn keeps(filters: &Filters, body: &[u8]) -> bool {
    let mut arena = Arena::new();
    let mut payload = Payload::scan(body, &mut arena, &Interest::none(), OnMalformed::Fail).unwrap();
    let (traces, spans) = filters.apply(&mut payload);
    let kept = payload.chunks()[0].state() == ChunkState::Kept;
    assert_eq!((traces, spans), if kept { (0, 0) } else { (1, payload.spans().len() as u64) });
    kept
}

#[test]
fn one_rule_against_one_span() {
    let tags = || {
        map([
            e("env", s("prod")),
            e("empty", s("")),
            e("env:", s("odd")),
            e("a b", s("x y")),
            e("url", s("http://x:80/y")),
            e("twice", s("1")),
            e("twice", s("2")),
            e("bad", text_of(b"caf\xe9")),
            (bin(b"binary"), bin(b"v")),
            e("nil", nil()),
        ])
    };
    let body = payload([map([
        e("resource", s("GET /health")),
        e("name", s("web.request")),
        e("meta", tags()),
        e("metrics", map([e("metric", int(1))])),
    ])]);
    for (kind, rule, kept) in [
        ("require", "env", true),
        ("require", "env:prod", true),
        ("require", " env : prod ", true),
        ("require", "env:pro", false),
        ("require", "env:Prod", false),
        ("require", "missing", false),
        ("require", "metric", false),
        ("require", "empty", true),
        // An empty value makes all of it the key, the colon included.
        ("require", "empty:", false),
        ("require", "env:", true),
        ("require", "env: ", true),
        ("require", "url:http://x:80/y", true),
        ("require", "a b:x y", true),
        ("require", "twice:2", true),
        ("require", "twice:1", false),
        ("require", "binary:v", true),
        ("require", "nil", true),
        ("reject", "env", false),
        ("reject", "env:prod", false),
        ("reject", "env:dev", true),
        ("reject", "missing", true),
        ("require~", "env:^pr", true),
        ("require~", "env:ro", true),
        ("require~", "env:^ro", false),
        ("require~", "env", true),
        ("require~", "e.v:prod", false),
        ("require~", "bad:caf.", true),
        ("reject~", "env:^(prod|dev)$", false),
        ("reject~", "url:x:\\d+", false),
        ("reject~", "missing:.*", true),
        ("ignore", "health", false),
        ("ignore", "^GET /health$", false),
        ("ignore", "web", true),
        ("ignore", "^/health", true),
    ] {
        let (filters, bad) = Filters::new(&rules(kind, rule));
        assert!(bad.is_empty(), "{rule}");
        assert_eq!(keeps(&filters, &body), kept, "{kind} {rule}");
    }
}

#[test]
fn rules_that_cannot_be_used_are_left_out_and_named() {
    for (kind, rule) in [
        ("require", ":prod"),
        ("require~", "env:("),
        ("reject~", ":x"),
        ("ignore", "["),
        ("require", ""),
        ("reject", "  "),
    ] {
        let (filters, bad) = Filters::new(&rules(kind, rule));
        assert!(filters.is_empty(), "{rule}");
        assert_eq!(bad.len(), 1);
        assert!(bad[0].contains(&format!("{rule:?}")), "{}", bad[0]);
        assert!(keeps(&filters, &payload([good_span()])));
    }
}

#[test]
fn a_status_that_is_none_counts_as_missing() {
    for (status, there) in [
        ("200", true),
        ("100", true),
        ("599", true),
        ("99", false),
        ("600", false),
        ("", false),
        ("2xx", false),
        ("200 ", false),
        ("20", false),
        ("2000", false),
    ] {
        let body = payload([span_with("meta", map([e("http.status_code", s(status))]))]);
        let kept = |kind, rule| keeps(&Filters::new(&rules(kind, rule)).0, &body);
        assert_eq!(kept("require", "http.status_code"), there, "{status:?}");
        assert_eq!(kept("reject~", "http.status_code:."), !there, "{status:?}");
    }
}

#[test]
fn an_ignored_name_counts_where_there_is_no_resource() {
    let (filters, _) = Filters::new(&rules("ignore", "request"));
    for (resource, kept) in [(s(""), false), (nil(), false), (s("x"), true), (s("a request"), false)] {
        assert_eq!(keeps(&filters, &payload([span_with("resource", resource)])), kept);
    }
}

#[test]
fn the_root_is_judged() {
    let span = |id: i64, parent: i64, tag: &str| {
        map([e("span_id", int(id)), e("parent_id", int(parent)), e("meta", map([e(tag, s("x"))]))])
    };
    let (filters, _) = Filters::new(&rules("require", "root"));
    for (name, spans, kept) in [
        ("without a parent", vec![span(1, 0, "root"), span(2, 1, "other")], true),
        (
            "the last without a parent",
            vec![span(1, 0, "other"), span(2, 0, "root"), span(3, 2, "other")],
            true,
        ),
        ("the first without a parent is not", vec![span(1, 0, "root"), span(2, 0, "other")], false),
        ("a parent elsewhere", vec![span(1, 9, "root"), span(2, 1, "other")], true),
        (
            "the last whose parent is elsewhere",
            vec![span(1, 8, "other"), span(2, 9, "root"), span(3, 2, "other")],
            true,
        ),
        ("a circle: the last", vec![span(1, 2, "other"), span(2, 1, "root")], true),
        ("its own parent: the last", vec![span(1, 1, "other"), span(2, 2, "root")], true),
        ("the root tag elsewhere", vec![span(1, 0, "other"), span(2, 1, "root")], false),
    ] {
        assert_eq!(keeps(&filters, &payload(spans)), kept, "{name}");
    }
    assert!(keeps(&filters, &array([array([])])), "an empty trace is kept");
}

#[test]
fn reject_before_require_and_several_rules() {
    let body = payload([span_with("meta", map([e("a", s("1")), e("b", s("2"))]))]);
    let all = |require: &[&str], reject: &[&str]| {
        let own = |t: &[&str]| t.iter().map(|t| (*t).to_owned()).collect();
        let (filters, _) = Filters::new(&FilterRules {
            require: own(require),
            reject: own(reject),
            ..FilterRules::default()
        });
        keeps(&filters, &body)
    };
    assert!(all(&["a", "b:2"], &[]));
    assert!(!all(&["a", "b:2", "c"], &[]));
    assert!(!all(&["a"], &["b"]));
    assert!(all(&["a"], &["b:1", "c"]));
}

/// A span as generated.
#[derive(Clone, Debug)]
struct Draft {
    id: u8,
    parent: u8,
    service: &'static str,
    resource: &'static str,
    error: i8,
    meta: Vec<(&'static str, &'static str)>,
    metrics: Vec<(&'static str, Number)>,
    nil: bool,
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i8),
    Float(f64),
    Nil,
}

impl Draft {
    fn bytes(&self) -> Bytes {
        if self.nil {
            return nil();
        }
        let metrics = self.metrics.iter().map(|(k, v)| match v {
            Number::Int(i) => e(k, int((*i).into())),
            Number::Float(f) => e(k, f64_(*f)),
            Number::Nil => e(k, nil()),
        });
        let mut all = vec![
            e("trace_id", int(1)),
            e("span_id", int(self.id.into())),
            e("parent_id", int(self.parent.into())),
            e("service", s(self.service)),
            e("resource", s(self.resource)),
            e("error", int(self.error.into())),
            e("meta", map(self.meta.iter().map(|(k, v)| e(k, s(v))))),
        ];
        if !self.metrics.is_empty() {
            all.push(e("metrics", map(metrics)));
        }
        map(all)
    }
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        4 => (-2i8..=8).prop_map(Number::Int),
        2 => prop::sample::select(vec![0.0, 1.0, 8.0, -1.0, 0.5, -0.0, 2.0, f64::NAN]).prop_map(Number::Float),
        1 => Just(Number::Nil),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let meta = prop::collection::vec(
        (
            prop::sample::select(vec!["env", "k", "http.status_code"]),
            prop::sample::select(vec!["prod", "dev", "200", "1", ""]),
        ),
        0..4,
    );
    let keys = vec![
        "_sampling_priority_v1",
        "_dd.span_sampling.mechanism",
        "_dd1.sr.eausr",
        "_top_level",
        "_dd.top_level",
        "other",
    ];
    let metrics = prop::collection::vec((prop::sample::select(keys), number()), 0..4);
    (
        (0u8..12, 0u8..12),
        prop::sample::select(vec!["a", "b", ""]),
        prop::sample::select(vec!["GET /x", "health", ""]),
        prop_oneof![8 => Just(0i8), 1 => Just(1), 1 => Just(-1)],
        meta,
        metrics,
        prop::bool::weighted(0.05),
    )
        .prop_map(|((id, parent), service, resource, error, meta, metrics, nil)| Draft {
            id,
            parent,
            service,
            resource,
            error,
            meta,
            metrics,
            nil,
        })
}

/// Traces of few spans, and some that are larger than what is searched span by span.
fn drafts() -> impl Strategy<Value = Vec<Vec<Draft>>> {
    let chunk = prop_oneof![
        9 => prop::collection::vec(draft(), 0..7),
        1 => prop::collection::vec(draft(), 60..90),
    ];
    prop::collection::vec(chunk, 0..5)
}

fn encode(drafts: &[Vec<Draft>]) -> Bytes {
    array(drafts.iter().map(|c| array(c.iter().map(Draft::bytes))))
}

/// A nil span has no fields, as an empty one.
fn chunks(body: &[u8]) -> Vec<Vec<Span>> {
    wire::v04(body).into_iter().map(|c| c.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

fn naive_root(chunk: &[Span]) -> Option<&Span> {
    let no_parent = chunk.iter().rev().find(|s| s.parent_id == 0);
    let foreign = || chunk.iter().rev().find(|s| !chunk.iter().any(|p| p.span_id == s.parent_id));
    no_parent.or_else(foreign).or(chunk.last())
}

/// The rules of the property test, written out.
fn naive_filter(chunk: &[Span]) -> bool {
    let Some(root) = naive_root(chunk) else { return true };
    if root.resource.contains("health") {
        return false;
    }
    let status =
        root.meta.get("http.status_code").filter(|v| v.parse().is_ok_and(|n: u16| (100..600).contains(&n)));
    let rejected =
        root.meta.get("k").is_some_and(|v| v == "dev") || status.is_some_and(|v| v.starts_with('2'));
    !rejected && root.meta.get("env").is_some_and(|v| v.contains("prod") || v.contains("dev") || v.is_empty())
}

fn metric(span: &Span, key: &str) -> Option<f64> {
    span.metrics.get(key).map(|b| f64::from_bits(*b))
}

fn naive_top_level(chunk: &[Span], span: &Span) -> bool {
    // Of several spans with one id the last counts.
    let parent = chunk.iter().rev().find(|p| p.span_id == span.parent_id);
    span.parent_id == 0 || parent.is_none_or(|p| p.service != span.service)
}

/// What is left of a chunk, or nothing.
fn naive_p0(chunk: &[Span]) -> Option<Vec<usize>> {
    let all: Vec<usize> = (0..chunk.len()).collect();
    if chunk.is_empty() || chunk.iter().any(|s| s.error != 0) {
        return Some(all);
    }
    let first = chunk.iter().find_map(|s| metric(s, "_sampling_priority_v1"));
    if !first.is_some_and(|p| p <= 0.0) {
        return Some(all);
    }
    let single = |s: &Span| {
        metric(s, "_dd.span_sampling.mechanism") == Some(8.0) || metric(s, "_dd1.sr.eausr").is_some()
    };
    let left: Vec<usize> = all.into_iter().filter(|i| single(&chunk[*i])).collect();
    (!left.is_empty()).then_some(left)
}

/// What the spans of `chunk` that count say of it, given to those that are left.
fn naive_hand_over(chunk: &[Span], counts: impl Fn(usize) -> bool, left: &mut [Span]) {
    let spans = || chunk.iter().enumerate().filter(|(i, _)| counts(*i)).map(|(_, span)| span);
    for tag in ["_dd.p.tid", "_dd.p.dm", "_dd.origin", "env", "version", "language", "_dd.hostname"] {
        if let Some(value) = spans().filter_map(|s| s.meta.get(tag)).next_back() {
            left[0].meta.entry(tag.into()).or_insert(value.clone());
        }
    }
    let (mut priority, mut root) = (None, None);
    for span in spans() {
        priority = metric(span, "_sampling_priority_v1").or(priority);
        root = priority.filter(|_| span.parent_id == 0).or(root);
        priority = root.or(priority);
    }
    let Some(priority) = priority else { return };
    for (i, span) in left.iter_mut().enumerate() {
        let own = metric(span, "_sampling_priority_v1");
        if own.map_or(i == 0, |own| own as i32 != priority as i32) {
            span.metrics.insert("_sampling_priority_v1".into(), priority.to_bits());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stages_do_what_the_naive_ones_do(drafts in drafts()) {
        let body = encode(&drafts);
        let before = chunks(&body);
        let nil = |c: usize, i: usize| drafts[c][i].nil;
        let (filters, _) = Filters::new(&FilterRules {
            reject: vec!["k:dev".into()],
            reject_regex: vec!["http.status_code:^2".into()],
            require: vec!["env".into()],
            require_regex: vec!["env:^(prod|dev)?$".into()],
            ignore_resources: vec!["health".into()],
        });
        let mut arena = Arena::new();
        let mut payload = Payload::scan(&body, &mut arena, &interest(), OnMalformed::Fail).unwrap();
        let filtered = filters.apply(&mut payload);
        TopLevel { mark: true }.apply(&mut payload);
        let sampled = drop_p0(&mut payload);
        let mut encoder = v04::Encoder::default();
        encoder.begin();
        encoder.add(&mut payload);

        let (mut want, mut gone) = (Vec::new(), (0, 0, 0, 0));
        for (c, chunk) in before.iter().enumerate() {
            if !chunk.is_empty() && !naive_filter(chunk) {
                gone.0 += 1;
                gone.1 += chunk.len() as u64;
                continue;
            }
            let left = naive_p0(chunk);
            gone.3 += (chunk.len() - left.as_ref().map_or(0, Vec::len)) as u64;
            let Some(left) = left else {
                gone.2 += 1;
                continue;
            };
            let in_part = left.len() < chunk.len();
            let mut left = left.into_iter().map(|i| {
                let mut span = chunk[i].clone();
                if naive_top_level(chunk, &span) && !nil(c, i) {
                    span.metrics.insert("_top_level".into(), 1f64.to_bits());
                }
                span
            }).collect::<Vec<_>>();
            if in_part {
                naive_hand_over(chunk, |i| !nil(c, i), &mut left);
            }
            want.push(left);
        }
        prop_assert_eq!(filtered, (gone.0, gone.1));
        prop_assert_eq!((sampled.traces, sampled.spans), (gone.2, gone.3));
        let counts = (want.len() as u32, want.iter().map(Vec::len).sum::<usize>() as u64);
        prop_assert_eq!(encoder.counts(), counts);
        let got = encoder.finish().to_vec();
        prop_assert_eq!(agent_accepts(&got), Ok(()));
        prop_assert_eq!(chunks(&got), want);
    }

    /// Any bytes whatever: no panic, and what is repaired is in order.
    #[test]
    fn damaged_payloads_are_repaired_or_refused(drafts in drafts(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut body = encode(&drafts);
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let mut arena = Arena::new();
        let fail = Payload::scan(&body, &mut arena, &interest(), OnMalformed::Fail).map(drop);
        // Lengths that reach beyond the end are something that the reader of values does not say apart.
        if fail.is_ok() {
            prop_assert_eq!(agent_accepts(&body), Ok(()));
        } else {
            prop_assert!(agent_accepts(&body).is_err(), "{}", fail.unwrap_err());
        }
        if let Ok(mut payload) = Payload::scan(&body, &mut arena, &interest(), OnMalformed::Repair) {
            let mut encoder = v04::Encoder::default();
            encoder.begin();
            encoder.add(&mut payload);
            let repaired = encoder.finish().to_vec();
            prop_assert_eq!(agent_accepts(&repaired), Ok(()));
            let again = Payload::scan(&repaired, &mut arena, &interest(), OnMalformed::Fail);
            prop_assert!(again.is_ok(), "{}", again.unwrap_err());
        }
    }
}
