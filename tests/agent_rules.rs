//! Rules that come from an agent's world mean here what they mean there: the cases of `fixtures/cases/replace` and
//! `fixtures/cases/filters`, whose answers are the agent's own.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::obfuscate::{MAX_GROWTH, ObfuscationConfig, Obfuscator};
use data_pipeline::regexes::{self, Pattern, Template};
use data_pipeline::rewrite::{Memory, Rewriter};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload};
use data_pipeline::{ErrorKind, TraceExporter};
use msgpack::*;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, say};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("tests/fixtures/cases/{name}")).unwrap()
}

fn lines(name: &str) -> Vec<Value> {
    let text = String::from_utf8(fixture(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A payload after the rules: `replace_tags` as JSON.
fn replaced(body: &[u8], rules: &Value) -> Vec<u8> {
    let config = format!("{{\"replace_tags\": {rules}}}");
    let config = ObfuscationConfig {
        replace_tags: ObfuscationConfig::from_json(&config).unwrap().replace_tags,
        ..ObfuscationConfig::off()
    };
    let rewriter = Rewriter::new(None, Some(Arc::new(Obfuscator::new(&config).unwrap()))).unwrap();
    let mut arena = Arena::new();
    let interest = Rewriter::interest(Interest::none());
    let mut payload = Payload::scan(body, &mut arena, &interest, OnMalformed::Fail).unwrap();
    let mut memory = Memory::default();
    memory.begin();
    rewriter.apply(&mut payload, &mut memory);
    let mut encoder = data_pipeline::format::v04::Encoder::default();
    encoder.begin();
    encoder.add(&mut payload);
    encoder.finish().to_vec()
}

#[test]
fn a_pattern_replaces_what_go_replaces() {
    for case in lines("replace/replace.jsonl") {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pattern = Pattern::new(&text(&case["config"]["pattern"])).unwrap();
        let template = Template::new(&text(&case["config"]["repl"]), &pattern);
        let mut out = Vec::new();
        assert!(pattern.replace(
            text(&case["input"]).as_bytes(),
            &template,
            regexes::MAX_REPLACED_BYTES,
            &mut out
        ));
        assert_eq!(String::from_utf8(out).unwrap(), text(&case["output"]), "{case}");
    }
}

#[test]
fn replace_rules_make_of_a_span_what_the_agent_makes() {
    let body = fixture("replace/replace_in.mp");
    for case in lines("replace/replace_tags_case_insensitive.jsonl") {
        let expected = &case["agent"];
        if !expected["error"].is_null() {
            let json = format!("{{\"replace_tags\": {}}}", case["replace_tags"]);
            let error = TraceExporter::builder().obfuscation(json).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
            assert!(error.message().starts_with("obfuscation: replace_tags[0].pattern: "), "{error}");
            continue;
        }
        let out = replaced(&body, &case["replace_tags"]);
        let span = rmpv::decode::read_value(&mut &out[..]).unwrap()[0][0].clone();
        assert_eq!(span["resource"].as_str(), expected["resource"].as_str(), "{case}");
        for (key, value) in expected["meta"].as_object().unwrap() {
            assert_eq!(span["meta"][key.as_str()].as_str(), value.as_str(), "{key}: {case}");
        }
        assert_eq!(span["metrics"]["num"].as_f64(), expected["num"].as_f64(), "{case}");
    }
}

#[test]
fn errors_of_replace_rules_name_their_source_and_not_their_text() {
    let rules = r#"[{"name": "a", "pattern": "x"}, {"name": "b", "pattern": "geheim(", "repl": "geheim"}]"#;
    let variables = vec![("DD_APM_REPLACE_TAGS".to_owned(), rules.to_owned())];
    let builder = || TraceExporter::builder();
    for (result, source) in [
        (
            builder().obfuscation(format!("{{\"replace_tags\":{rules}}}")).build(),
            "obfuscation: replace_tags[1].pattern: ",
        ),
        (builder().obfuscation_environment(variables).build(), "DD_APM_REPLACE_TAGS[1]: pattern: "),
    ] {
        let error = result.unwrap_err();
        assert!(error.message().starts_with(&format!("{source}missing closing ) at byte 7")), "{error}");
        assert!(!error.message().contains("geheim"), "{error}");
    }
}

#[test]
fn filters_of_the_builder_are_refused_with_their_setter() {
    let builder = || TraceExporter::builder();
    for (result, setter) in [
        (builder().ignore_resource(r"\u00e9").build(), "ignoreResource: "),
        (builder().require_tag_regex("a:x{1001}").build(), "requireTagRegex: "),
        (builder().reject_tag_regex("a:(?=b)").build(), "rejectTagRegex: "),
        (builder().reject_tag(":b").build(), "rejectTag: "),
        (builder().require_tag(" ").build(), "requireTag: "),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.message().starts_with(setter), "{error}");
    }
}

/// The resources that are left of the traces of `filters_in.mp`.
fn kept(info: &str) -> Vec<String> {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    agent.set_info([say(200, info)]);
    let exporter = TraceExporter::builder()
        .url(&agent.url)
        .compute_stats(Duration::from_secs(10))
        .drop_p0(false)
        .build()
        .unwrap();
    exporter.await_agent(Duration::from_secs(10)).unwrap();
    let said: Value = serde_json::from_str(&exporter.explain()).unwrap();
    assert_eq!(said["filters"]["unusable"], serde_json::json!([]));
    exporter.send(&fixture("filters/filters_in.mp")).unwrap();
    let sent = agent.requests().into_iter().rfind(|r| r.head.starts_with("PUT /v0.4/traces"));
    let Some(sent) = sent else { return Vec::new() };
    let body = rmpv::decode::read_value(&mut &sent.body[..]).unwrap();
    let resource = |chunk: &rmpv::Value| chunk[0]["resource"].as_str().unwrap().to_owned();
    body.as_array().unwrap().iter().map(resource).collect()
}

#[test]
fn filters_of_an_agent_reject_what_it_would_reject() {
    let info = |name: &str| String::from_utf8(fixture(&format!("filters/{name}.json"))).unwrap();
    assert_eq!(kept(&info("filters_info_ci")), ["GET /cart"]);
    assert_eq!(kept(&info("filters_info_g1")), ["get /healthz"]);
    assert_eq!(kept(&info("filters_info_g2")), ["GET /Healthz", "get /healthz"]);
    assert_eq!(kept(&info("filters_info_g5")), Vec::<String>::new());
}

#[test]
fn filters_of_an_agent_that_cannot_be_used_are_left_out_and_named_once() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let rules = r#""filter_tags_regex":{"reject":["a:(?=b)"]},"ignore_resources":["\\u00e9","GET"]}"#;
    agent.set_info([
        say(200, &format!("{{\"version\":\"1\",{rules}")),
        say(200, &format!("{{\"version\":\"2\",{rules}")),
    ]);
    let exporter = TraceExporter::builder().url(&agent.url).agent_filters(true).build().unwrap();
    exporter.await_agent(Duration::from_secs(10)).unwrap();
    let said: Value = serde_json::from_str(&exporter.explain()).unwrap();
    let unusable = said["filters"]["unusable"].as_array().unwrap().clone();
    assert!(
        unusable[0]
            .as_str()
            .unwrap()
            .starts_with("filter_tags_regex.reject: the rule \"a:(?=b)\" is left out: ")
    );
    assert!(
        unusable[1].as_str().unwrap().starts_with(r#"ignore_resources: the rule "\\u00e9" is left out: "#)
    );
    assert_eq!((unusable.len(), said["filters"]["active"].as_bool()), (2, Some(true)));
    // Another state of the agent, the same rules: said already.
    assert_eq!(exporter.fetch_info(Duration::from_secs(10)).unwrap().fields.version, "2");
    let lines = exporter.take_log_lines();
    let warned = lines.iter().filter(|line| line.text.contains("is left out")).count();
    assert_eq!(warned, 2, "{lines:?}");
}

/// Regexes that take long to compile: seconds for 600.
fn heavy(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("(?:\\\\pL{{80}}|[a-z]{{90}}){{9}}x{i}")).collect()
}

/// Of two who ask at once one hears news, and makes of it what follows; the other must not go on before that.
#[test]
fn who_fetches_what_an_agent_says_goes_on_when_it_is_in_force() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let list = heavy(100).join("\",\"");
    agent.set_info([say(200, &format!("{{\"version\":\"1\",\"ignore_resources\":[\"{list}\"]}}"))]);
    let exporter = TraceExporter::builder().url(&agent.url).agent_filters(true).build().unwrap();
    let began = Instant::now();
    while exporter.agent_info().is_none() && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    exporter.fetch_info(Duration::from_secs(10)).unwrap();
    let said: Value = serde_json::from_str(&exporter.explain()).unwrap();
    // The rules are too large to be used, which is known when they have been tried.
    assert!(!said["filters"]["unusable"].as_array().unwrap().is_empty(), "{}", said["filters"]);
}

/// 600 regexes that take seconds to compile, and a hundred times as many that would take none.
#[test]
fn nobody_waits_for_regexes_of_an_agent() {
    let light: Vec<String> = (0..60_000).map(|i| format!("a{i}")).collect();
    for rules in [heavy(600), light] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        let list = rules.join("\",\"");
        agent.set_info([say(200, &format!("{{\"version\":\"1\",\"ignore_resources\":[\"{list}\"]}}"))]);
        let exporter = TraceExporter::builder().url(&agent.url).agent_filters(true).build().unwrap();
        let began = Instant::now();
        while agent.info_requests() == 0 && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let asked = Instant::now();
        let mut slowest = Duration::ZERO;
        // Who waits for the agent waits for its filters too.
        while exporter.await_agent(Duration::from_millis(1)).is_err()
            && asked.elapsed() < Duration::from_secs(60)
        {
            let call = Instant::now();
            exporter.explain();
            exporter.agent_info();
            exporter.send(&array([])).unwrap();
            slowest = slowest.max(call.elapsed());
        }
        assert!(slowest < support::patient(Duration::from_secs(1)), "{slowest:?}");
        let said: Value = serde_json::from_str(&exporter.explain()).unwrap();
        let unusable = said["filters"]["unusable"].as_array().unwrap();
        assert!(!unusable.is_empty() && unusable.len() <= 21, "{}", unusable.len());
        exporter.close_within(Duration::from_millis(800));
    }
}

#[test]
fn what_rules_write_has_a_limit() {
    let rules = serde_json::json!(vec![
        serde_json::json!({"name": "*", "pattern": "(?s)^(.*)$", "repl": "$1".repeat(16)});
        3
    ]);
    // One long value, and many short ones.
    let one = array([array([map([e("meta", map([e("a", s(&"x".repeat(46_000)))]))])])]);
    let out = replaced(&one, &rules);
    assert!(out.len() < 3 * regexes::MAX_REPLACED_BYTES, "{}", out.len());
    let many: Vec<_> = (0..5_000).map(|i| e(&format!("k{i}"), s("0123456789"))).collect();
    let many = array([array([map([e("meta", map(many))])])]);
    let out = replaced(&many, &rules);
    assert!(out.len() < many.len() + MAX_GROWTH + 5_000 * 4, "{}", out.len());
    assert!(out.len() > MAX_GROWTH, "{}", out.len());
}
