//! What is lost before anybody has read it: traces and bytes of every format are in the account, `unread` says that
//! nobody knows the spans, and the log line names the first trace, whatever way the loss took.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use data_pipeline::account::{Counts, DropReason};
use data_pipeline::convert::{Conversion, convert};
use data_pipeline::settings::{InputFormat, OutputFormat, Overflow};
use data_pipeline::trace::OnMalformed;
use data_pipeline::{Builder, TraceExporter};
use msgpack::*;
use std::time::Duration;
use support::{Listen, ScriptedAgent, say};

const V04: (InputFormat, OutputFormat) = (InputFormat::V04, OutputFormat::V04);
const FORMATS: [(InputFormat, OutputFormat); 6] = [
    V04,
    (InputFormat::V05, OutputFormat::V05),
    (InputFormat::V1, OutputFormat::V1),
    (InputFormat::Auto, OutputFormat::V04),
    (InputFormat::Auto, OutputFormat::V05),
    (InputFormat::Auto, OutputFormat::V1),
];
const TRACES: u64 = 3;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Three traces of one span each, in this format.
fn payload_in(format: OutputFormat) -> Vec<u8> {
    let chunks: Vec<_> = (0..TRACES).map(|_| array([good_span()])).collect();
    let wanted = Conversion { from: InputFormat::V04, to: format, ..Conversion::default() };
    convert(&array(chunks), &wanted).unwrap().body
}

/// Its outer head still says three traces, but none of them can be read.
fn broken(mut payload: Vec<u8>, format: OutputFormat) -> Vec<u8> {
    let chunks = match format {
        OutputFormat::V04 => 0,
        // The last array of three, or the last key 11.
        _ => (0..payload.len()).rev().find(|at| payload[*at] == 0x93).unwrap(),
    };
    payload.truncate(chunks + 1);
    payload.extend_from_slice(&[0xc1; 8]);
    payload
}

fn exporter(agent: &ScriptedAgent, format: InputFormat) -> Builder {
    TraceExporter::builder().url(&agent.url).discovery(false).input_format(format)
}

/// What is offered stays in the queue.
fn stuck(builder: Builder) -> TraceExporter {
    let exporter = builder.build().unwrap();
    exporter.suspend(ms(1));
    exporter
}

fn lost(exporter: &TraceExporter, reason: DropReason, payloads: u64, bytes: usize, what: &str) {
    let m = exporter.metrics();
    let gone = m.dropped_for(reason);
    let (traces, bytes) = (payloads * TRACES, bytes as u64);
    assert_eq!((gone.traces, gone.bytes), (traces, bytes), "{what}: {m:#?}");
    assert_eq!((m.unread.payloads, m.unread.traces, m.unread.bytes), (payloads, traces, bytes), "{what}");
    assert_eq!(m.received, m.accounted_for(), "{what}");
}

/// The one line that tells of it names the first trace.
fn named(exporter: &TraceExporter, what: &str) {
    let lines: Vec<_> = exporter.take_log_lines().into_iter().map(|line| line.text).collect();
    let line = lines.iter().find(|line| line.contains("the first trace: "));
    let line = line.unwrap_or_else(|| panic!("{what}: {lines:#?}"));
    for part in ["service \"", "resource \"", " spans", " bytes"] {
        let told = line.split("the first trace: ").nth(1).unwrap();
        assert!(told.contains(part), "{what}: {line}");
    }
}

#[test]
fn what_the_full_queue_loses_is_counted_in_every_format_and_named() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for (input, format) in FORMATS {
        let payload = payload_in(format);
        for (overflow, reason) in [
            (Overflow::DropNewest, DropReason::QueueFull),
            (Overflow::DropOldest, DropReason::Evicted),
            (Overflow::Block, DropReason::QueueFull),
            (Overflow::Shed, DropReason::Evicted),
        ] {
            let what = format!("{input:?} {format:?} {overflow:?}");
            let mut builder = self::exporter(&agent, input).queue_payloads(2).overflow(overflow);
            if overflow == Overflow::Block {
                builder = builder.block_wait(ms(1));
            }
            let exporter = stuck(builder);
            for _ in 0..4 {
                let _ = exporter.offer(&payload);
            }
            if overflow == Overflow::Shed && format == OutputFormat::V04 {
                // Whoever sheds has read what goes.
                let m = exporter.metrics();
                let gone = Counts { traces: 2 * TRACES, spans: 2 * TRACES, bytes: 2 * payload.len() as u64 };
                assert_eq!(m.dropped_for(reason), gone, "{what}");
                assert_eq!(m.unread.payloads, 0, "{what}");
            } else {
                lost(&exporter, reason, 2, 2 * payload.len(), &what);
            }
            named(&exporter, &what);
        }
    }
}

#[test]
fn a_payload_larger_than_the_queue_is_counted_and_named() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for (input, format) in FORMATS {
        let payload = payload_in(format);
        let exporter = stuck(exporter(&agent, input).queue_bytes(64 << 10));
        // What stands behind a payload belongs to nobody.
        let mut payload = payload;
        payload.resize(65 << 10, 0);
        exporter.offer(&payload).unwrap_err();
        lost(&exporter, DropReason::QueueFull, 1, payload.len(), &format!("{input:?} {format:?}"));
        named(&exporter, &format!("{input:?} {format:?}"));
    }
}

#[test]
fn what_close_leaves_over_is_counted_and_named() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for (input, format) in FORMATS {
        let payload = payload_in(format);
        let exporter = stuck(exporter(&agent, input));
        exporter.offer(&payload).unwrap();
        exporter.offer(&payload).unwrap();
        exporter.close_within(ms(1));
        let what = format!("{input:?} {format:?}");
        named(&exporter, &what);
        let left_over = exporter.metrics();
        exporter.offer(&payload).unwrap_err();
        exporter.send(&payload).unwrap_err();
        let m = exporter.metrics();
        let gone = m.dropped_for(DropReason::Closed);
        assert_eq!((gone.traces, gone.bytes), (4 * TRACES, 4 * payload.len() as u64), "{what}");
        assert_eq!(m.unread.payloads, left_over.unread.payloads + 2, "{what}");
        // A sender may have read what it could not send any more; each trace has one span.
        assert_eq!(gone.spans + m.unread.traces, gone.traces, "{what}: {m:#?}");
        assert_eq!(m.received, m.accounted_for(), "{what}");
    }
}

#[test]
fn what_cannot_be_read_counts_the_traces_that_it_declares() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for (input, format) in FORMATS {
        let payload = broken(payload_in(format), format);
        let what = format!("{input:?} {format:?}");
        for policy in [OnMalformed::Repair, OnMalformed::Drop, OnMalformed::Fail] {
            let build = || exporter(&agent, input).on_malformed(policy).build().unwrap();
            let exporter = build();
            exporter.send(&payload).unwrap_err();
            lost(&exporter, DropReason::Malformed, 1, payload.len(), &format!("send {what} {policy:?}"));
            let exporter = build();
            exporter.send_async(&payload).wait(Duration::from_secs(20)).unwrap().unwrap_err();
            lost(&exporter, DropReason::Malformed, 1, payload.len(), &format!("offer {what} {policy:?}"));
        }
    }
}

#[test]
fn what_the_agent_refuses_and_what_it_does_not_take_in_time_is_named() {
    for (input, format) in FORMATS {
        let payload = payload_in(format);
        let what = format!("{input:?} {format:?}");
        let agent = ScriptedAgent::start(Listen::Tcp, [say(400, "no"), say(400, "no")]);
        let exporter = self::exporter(&agent, input).build().unwrap();
        exporter.send(&payload).unwrap_err();
        named(&exporter, &format!("send {what}"));
        let exporter = self::exporter(&agent, input).build().unwrap();
        exporter.send_async(&payload).wait(Duration::from_secs(20)).unwrap().unwrap_err();
        named(&exporter, &format!("async {what}"));
        assert_eq!(exporter.metrics().unread.payloads, 0, "{what}: somebody has read it");
    }
}

#[test]
fn a_trace_that_normalization_refuses_or_that_is_malformed_is_named() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    let exporter = self::exporter(&agent, InputFormat::V04).normalize(true).build().unwrap();
    let mut span = fields();
    for (key, value) in &mut span {
        if *key == s("span_id") {
            *value = int(0);
        }
    }
    exporter.send(&array([array([good_span()]), array([map(span)])])).unwrap();
    assert_eq!(exporter.metrics().dropped_for(DropReason::InvalidTrace).traces, 1);
    named(&exporter, "invalid");

    let exporter = self::exporter(&agent, InputFormat::V04).on_malformed(OnMalformed::Drop).build().unwrap();
    let broken = span_with("error", s("no number"));
    exporter.send(&array([array([good_span()]), array([broken])])).unwrap();
    assert_eq!(exporter.metrics().dropped_for(DropReason::Malformed).traces, 1);
    named(&exporter, "malformed");
}

#[test]
fn a_payload_in_another_format_is_shed_whole_or_not_at_all() {
    let agent = ScriptedAgent::start(Listen::Tcp, []);
    for (input, format) in FORMATS.into_iter().filter(|(_, format)| *format != OutputFormat::V04) {
        let mut payload = payload_in(format);
        payload.resize(20 << 10, 0);
        let builder = exporter(&agent, input).queue_bytes(64 << 10).overflow(Overflow::Shed);
        let exporter = stuck(builder.output_format(format));
        for _ in 0..5 {
            let _ = exporter.offer(&payload);
        }
        let m = exporter.metrics();
        let gone = m.dropped_for(DropReason::Evicted);
        assert_eq!(gone.bytes, m.unread.payloads * payload.len() as u64, "{input:?} {format:?}: {m:#?}");
        let left = 5 - m.unread.payloads;
        agent.set_info([]);
        let before = agent.request_count();
        exporter.resume().unwrap();
        assert!(exporter.flush(support::patient(Duration::from_secs(5))).complete);
        assert_eq!(agent.request_count() - before, left as usize);
        let m = exporter.metrics();
        assert_eq!(
            (m.sent.traces, m.dropped_total().bytes),
            (left * TRACES, gone.bytes),
            "{input:?} {format:?}"
        );
        assert!(left > 0);
    }
}
