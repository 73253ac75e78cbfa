//! Normalization and obfuscation as a user switches them on: what the agent receives in each format, and what
//! the account says of it.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::DropReason;
use data_pipeline::normalize::Reason;
use data_pipeline::settings::OutputFormat;
use data_pipeline::{ErrorKind, TraceExporter};
use msgpack::*;
use support::{Listen, ScriptedAgent};

fn span(trace_id: i64, span_id: i64) -> Bytes {
    map([
        e("service", s("My Shop")),
        e("name", s("")),
        e("resource", s("select * from users where name = 'MARKER'")),
        e("trace_id", int(trace_id)),
        e("span_id", int(span_id)),
        e("parent_id", int(0)),
        e("start", int(1_767_225_600_000_000_000)),
        e("duration", int(10)),
        e("type", s("sql")),
        e("meta", map([e("db.statement", s("select 'MARKER'")), e("card", s("4111111111111111"))])),
    ])
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|w| w == text.as_bytes())
}

#[test]
fn nothing_is_changed_unless_asked_for() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).build().unwrap();
    let body = array([array([span(1, 1)])]);
    exporter.send(&body).unwrap();
    assert_eq!(agent.requests().pop().unwrap().body, body);
}

#[test]
fn secrets_leave_in_no_format_and_changes_are_counted() {
    for format in [OutputFormat::V04, OutputFormat::V05, OutputFormat::V1] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        let exporter = TraceExporter::builder()
            .url(&agent.url)
            .output_format(format)
            .normalize(true)
            .obfuscate(true)
            .build()
            .unwrap();
        // The second trace has a span without an id, the third one span that is not its own.
        let body = array([
            array([span(1, 1), span(1, 2)]),
            array([span(2, 0)]),
            array([span(3, 1), span(4, 2)]),
            array([]),
        ]);
        let answer = exporter.send(&body).unwrap();
        assert_eq!((answer.traces, answer.spans), (1, 2));
        let sent = agent.requests().pop().unwrap();
        assert!(sent.head.starts_with(&format!("PUT {} ", format.path())), "{}", sent.head);
        assert!(!holds(&sent.body, "MARKER") && !holds(&sent.body, "4111"), "{format:?}");
        assert!(holds(&sent.body, "my_shop") && holds(&sent.body, "select * from users where name = ?"));
        let m = exporter.metrics();
        assert_eq!(m.received, m.accounted_for());
        assert_eq!((m.sent.traces, m.sent.spans), (1, 2));
        let refused = m.dropped_for(DropReason::InvalidTrace);
        assert_eq!((refused.traces, refused.spans), (3, 3));
        // One in each span that was looked at, the span before the foreign one included.
        assert_eq!(m.normalized.get(Reason::SpanNameEmpty), 3);
        assert!(
            exporter.explain().contains(r#""normalized":{"span_name_empty":3}"#),
            "{}",
            exporter.explain()
        );
        let lines = exporter.take_log_lines();
        assert!(lines.iter().any(|l| l.text.contains("span_id_zero")), "{lines:?}");
    }
}

#[test]
fn a_payload_that_is_refused_whole_is_not_sent() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = TraceExporter::builder().url(&agent.url).normalize(true).build().unwrap();
    assert_eq!(exporter.send(&array([array([span(1, 0)])])).unwrap().traces, 0);
    assert!(agent.requests().is_empty());
    let m = exporter.metrics();
    assert_eq!((m.dropped_for(DropReason::InvalidTrace).traces, m.sent.traces), (1, 0));
    assert_eq!(m.received, m.accounted_for());
}

#[test]
fn settings_for_obfuscation_switch_it_on_and_their_errors_name_the_place() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let rule = r#"{"credit_cards": {"enabled": false},
                   "replace_tags": [{"name": "card", "pattern": "4", "repl": "four"}]}"#;
    let exporter = TraceExporter::builder().url(&agent.url).obfuscation(rule).build().unwrap();
    exporter.send(&array([array([span(1, 1)])])).unwrap();
    let body = agent.requests().pop().unwrap().body;
    assert!(holds(&body, "four111111111111111") && holds(&body, "My Shop") && !holds(&body, "MARKER"));
    let off = TraceExporter::builder().url(&agent.url).obfuscation(rule).obfuscate(false).build().unwrap();
    off.send(&array([array([span(1, 1)])])).unwrap();
    assert!(holds(&agent.requests().pop().unwrap().body, "MARKER"));
    for (json, place) in [
        (r#"{"redis": {"enable": true}}"#, "unknown field `enable`"),
        ("{\n\"http\": 1}", "http: an object"),
        ("{\n\"http\": }", "line 2 column 9"),
        (r#"{"replace_tags": [{"name": "a", "pattern": "("}]}"#, "replace_tags[0].pattern"),
    ] {
        for on in [true, false] {
            let error = TraceExporter::builder().obfuscation(json).obfuscate(on).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
            assert!(error.message().contains(place), "{error}");
        }
    }
}
