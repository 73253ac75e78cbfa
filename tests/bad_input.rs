//! Bad input beyond the agent: peers that answer nonsense, addresses and keys that cannot be, sites and proxies that
//! are not there, each in a sentence that names the setting; and payloads that are out of all proportion, in every
//! format that goes to no agent. Certificates of the wrong kind stand in tests/tls.rs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/msgpack.rs"]
mod msgpack;
#[path = "support/otlp.rs"]
mod otlp;
mod support;

use data_pipeline::convert::{Conversion, Converted, convert_to};
use data_pipeline::settings::{InputFormat, Metadata, OtherFormat};
use data_pipeline::{
    Builder, Compression, Destination, DropReason, Error, ErrorKind, OtlpEncoding, TraceExporter,
};
use msgpack::*;
use serde_json::Value;
use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};
use support::{Listen, ScriptedAgent, Step, answer, patient};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Every kind of peer that is no agent, with its address; and the setting that says where it is.
fn peers(url: &str) -> Vec<(&'static str, Destination)> {
    vec![
        ("OTLP", Destination::otlp(url).into()),
        ("OTLP in JSON", Destination::otlp(url).encoding(OtlpEncoding::Json).into()),
        ("Datadog's OTLP", Destination::datadog_otlp("datadoghq.eu", KEY).url(url).into()),
        ("intake", Destination::intake("datadoghq.eu", KEY).url(url).compression(Compression::None).into()),
    ]
}

fn builder(to: Destination) -> Builder {
    TraceExporter::builder().destination(to).send_budget(Duration::from_millis(300))
}

fn send(builder: Builder) -> Result<(u64, data_pipeline::Metrics), Error> {
    let e = builder.build()?;
    let sent = e.send(&payload([good_span()]));
    let explained = e.explain();
    let metrics = e.close().metrics;
    assert_eq!(metrics.received, metrics.accounted_for());
    assert!(!explained.contains(KEY));
    sent.map(|response| (response.traces, metrics))
}

#[test]
fn a_peer_that_answers_nonsense_is_a_sentence_or_a_success() {
    let html = ("Content-Type", "text/html; charset=utf-8");
    let json = ("Content-Type", "application/json");
    let bad: [(&str, Step, ErrorKind, &[&str]); 4] = [
        (
            "a web page",
            Step::Say(answer(200, &[html], b"<!DOCTYPE html><html>login</html>")),
            ErrorKind::InvalidResponse,
            &["web page", "`destination`"],
        ),
        (
            "a redirect",
            Step::Say(answer(301, &[("Location", "https://elsewhere.example/s3cret")], b"")),
            ErrorKind::HttpStatus,
            &["redirects are not followed", "`destination`"],
        ),
        (
            "another protocol",
            Step::SayAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            ErrorKind::InvalidResponse,
            &[],
        ),
        ("404", Step::Say(answer(404, &[], b"no such page")), ErrorKind::HttpStatus, &["404"]),
    ];
    for (name, step, kind, words) in bad {
        for (of, _) in peers("http://x") {
            let script = (0..1000).map(|_| step.clone());
            let peer = ScriptedAgent::start(Listen::Tcp, script).info_in_script();
            let to = peers(&peer.url).into_iter().find(|(kind, _)| *kind == of).unwrap().1;
            let error = send(builder(to)).expect_err(name);
            assert_eq!(error.kind(), kind, "{name} from {of}: {error}");
            for word in words {
                assert!(error.message().contains(word), "{name} from {of}: {error}");
            }
            assert!(
                error.message().contains(&peer.url) || error.message().contains("datadoghq.eu"),
                "{error}"
            );
            assert!(!error.message().contains("s3cret") && !error.message().contains(KEY), "{error}");
        }
    }
    // The status says that it was taken; nobody needs the rest.
    let good: [(&str, Vec<u8>); 4] = [
        ("garbage", answer(200, &[json], b"\xff\x00garbage")),
        ("garbage without a type", answer(202, &[], b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
        (
            "gzip that nobody asked for",
            answer(200, &[json, ("Content-Encoding", "gzip")], b"\x1f\x8b\x08\x00"),
        ),
        (
            "gzip of protobuf",
            answer(
                200,
                &[("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")],
                b"\x1f\x8b\x08\x00\x00",
            ),
        ),
    ];
    for (name, said) in good {
        for (of, _) in peers("http://x") {
            let peer = ScriptedAgent::start(Listen::Tcp, [Step::Say(said.clone())]).info_in_script();
            let to = peers(&peer.url).into_iter().find(|(kind, _)| *kind == of).unwrap().1;
            let (traces, metrics) = send(builder(to)).unwrap_or_else(|e| panic!("{name} from {of}: {e}"));
            assert_eq!((traces, metrics.sent.traces, peer.request_count()), (1, 1, 1), "{name} from {of}");
        }
    }
}

#[test]
fn what_no_request_may_hold_is_refused_when_the_exporter_is_built() {
    let otlp = || Destination::otlp("http://127.0.0.1:4318");
    let cases: [(Destination, &str); 12] = [
        (otlp().header("x-a\r\nx-b", "s3cret").into(), "header"),
        (otlp().header("x-a", "s3cret\r\nx-b: 1").into(), "header"),
        (otlp().header("x-a", "s3cret\n").into(), "header"),
        (otlp().header("x a", "s3cret").into(), "header"),
        (otlp().header("", "s3cret").into(), "header"),
        (Destination::datadog_otlp("datadoghq.com", KEY).span_mapping("{\n\"s3cret\"").into(), "spanMapping"),
        (Destination::intake("datadoghq.com", "s3cret s3cret s3cret s3cret").into(), "apiKey"),
        (Destination::intake("datadoghq.com", "s3cret\r\n").into(), "apiKey"),
        (Destination::datadog_otlp("datadoghq.com", " ").into(), "apiKey"),
        (Destination::intake("datadog hq.com", KEY).into(), "site"),
        (Destination::intake("https://datadoghq.com", KEY).into(), "site"),
        (Destination::intake("datadoghq.com\r\nx", KEY).into(), "site"),
    ];
    for (to, word) in cases {
        let error = TraceExporter::builder().destination(to).build().unwrap_err();
        let is_ours = matches!(error.kind(), ErrorKind::InvalidConfiguration | ErrorKind::InvalidUrl);
        assert!(is_ours && error.message().contains(word), "{error}");
        assert!(!error.message().contains("s3cret") && !error.message().contains('\n'), "{error}");
    }
    let error = TraceExporter::builder().header("x", "s3cret\ny: z").build().unwrap_err();
    assert!(error.message().contains("header") && !error.message().contains("s3cret"), "{error}");
}

/// Whether an error names the setting. Where the resolver of this machine takes its time to say that there is no such
/// name, it names the time that ran out.
fn names(error: &Error, setting: &str) -> bool {
    let text = error.message();
    text.contains(setting) || error.kind() == ErrorKind::TimedOut && text.contains('`') && resolver_is_slow()
}

fn resolver_is_slow() -> bool {
    let began = Instant::now();
    let found = ("no-such-host.invalid", 80).to_socket_addrs();
    found.is_err() && began.elapsed() > Duration::from_millis(50)
}

#[test]
fn a_site_that_does_not_exist_is_named() {
    for to in [
        Destination::from(Destination::intake("no-such-site.invalid", KEY)),
        Destination::datadog_otlp("no-such-site.invalid", KEY).into(),
    ] {
        let builder = TraceExporter::builder().destination(to).send_budget(Duration::from_millis(500));
        let error = match builder.build() {
            // Without TLS there is no intake, and that is said.
            Err(error) => {
                assert!(error.message().contains("https") || error.message().contains("caFile"), "{error}");
                continue;
            }
            Ok(e) => e.send(&payload([good_span()])).unwrap_err(),
        };
        assert!(
            matches!(error.kind(), ErrorKind::NameNotResolved | ErrorKind::TimedOut),
            "{:?} {error}",
            error.kind()
        );
        assert!(error.message().contains("no-such-site") && error.message().contains('`'), "{error}");
    }
    // The same by an address of one's own, which needs no TLS.
    let to = Destination::intake("datadoghq.com", KEY).url("http://no-such-host.invalid:80");
    let error = send(builder(to.into()).send_budget(Duration::from_secs(2))).unwrap_err();
    assert!(error.message().contains("no-such-host.invalid") && names(&error, "`destination`"), "{error}");
}

#[test]
fn a_proxy_that_refuses_or_hangs_or_is_not_there_is_named() {
    for (step, words) in [
        (Step::Say(answer(407, &[], b"who?")), "does not know this user"),
        (Step::Say(answer(403, &[], b"no")), "`noProxy`"),
        (Step::Stall, "did not open the way"),
    ] {
        let proxy = ScriptedAgent::start(Listen::Tcp, (0..20).map(|_| step.clone())).info_in_script();
        let through = format!("http://me:s3cret@127.0.0.1:{}", proxy.port);
        for (of, to) in peers("http://peer.example:4318") {
            let builder = builder(to).proxy(&through).connect_timeout(Duration::from_millis(100));
            let error = send(builder).unwrap_err();
            let text = error.message();
            assert!(text.contains("`proxy`") && text.contains(words), "{of}: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
    for (of, to) in peers("http://peer.example:4318") {
        let error = send(builder(to).proxy("http://no-such-proxy.invalid:3128")).unwrap_err();
        assert!(
            error.message().contains("no-such-proxy.invalid") && names(&error, "`proxy`"),
            "{of}: {error}"
        );
    }
    let error = TraceExporter::builder()
        .destination(Destination::otlp("http://127.0.0.1:4318"))
        .proxy("socks5://127.0.0.1:1080")
        .build()
        .unwrap_err();
    assert!(error.message().contains("proxy"), "{error}");
}

const FORMATS: [OtherFormat; 4] =
    [OtherFormat::OtlpProto, OtherFormat::OtlpJson, OtherFormat::Intake, OtherFormat::Log];

fn made(payload: &[u8], format: OtherFormat) -> Converted {
    let wanted = Conversion { from: InputFormat::V04, ..Conversion::default() };
    convert_to(payload, &format.into(), &wanted, &Metadata::default()).unwrap()
}

/// The one span of a body, as JSON of the format's own; OTLP in the form of `tests/support/otlp.rs`.
fn span_of(body: &[u8], format: OtherFormat) -> Option<Value> {
    match format {
        OtherFormat::OtlpProto => otlp::from_protobuf(body).1.pop(),
        OtherFormat::OtlpJson => otlp::from_json(body).1.pop(),
        _ if body.is_empty() => None,
        _ => {
            let mut whole: Value = serde_json::from_slice(body).unwrap();
            let chunk = &mut whole["traces"][0];
            let spans = if format == OtherFormat::Intake { &mut chunk["spans"] } else { chunk };
            Some(spans[0].take())
        }
    }
}

/// What it may take, at the slowness of a machine that is at work: a quadratic way would take hours.
fn within(limit: u64, name: &str, work: impl FnOnce()) {
    let started = Instant::now();
    work();
    let took = started.elapsed();
    assert!(took < patient(Duration::from_secs(limit)), "{name} took {took:?}");
}

#[test]
fn an_attribute_of_ten_megabytes_goes_whole_or_is_counted_as_too_large() {
    let large = "v\u{e4}".repeat(10 << 20).chars().take(10 << 20).collect::<String>();
    let payload = payload([span_with("meta", map([e("large", s(&large)), e("small", s("x"))]))]);
    for format in FORMATS {
        within(10, &format!("{format:?}"), || {
            let converted = made(&payload, format);
            let Some(span) = span_of(&converted.body, format) else {
                // A line has its limit; a span that is larger is left out and counted.
                assert_eq!((format, converted.spans, converted.traces), (OtherFormat::Log, 0, 0));
                return;
            };
            let got = match format {
                OtherFormat::Intake | OtherFormat::Log => &span["meta"]["large"],
                _ => &span["attributes"]["large"]["s"],
            };
            assert!(got.as_str() == Some(&large), "{format:?}");
        });
    }
}

#[test]
fn a_hundred_thousand_links_all_arrive() {
    let link =
        |i: u64| map([e("trace_id", u64_(i + 1)), e("span_id", u64_(i + 2)), e("tracestate", s("a=b"))]);
    let payload = payload([span_with("span_links", array((0..100_000).map(link)))]);
    for format in FORMATS {
        within(10, &format!("{format:?}"), || {
            let converted = made(&payload, format);
            let Some(span) = span_of(&converted.body, format) else {
                assert_eq!((format, converted.spans), (OtherFormat::Log, 0));
                return;
            };
            let key = if format == OtherFormat::Intake { "span_links" } else { "links" };
            let links = span[key].as_array().unwrap();
            assert_eq!(links.len(), 100_000, "{format:?}");
            let id = links[99_999][if format == OtherFormat::Intake { "span_id" } else { "span" }].as_str();
            assert_eq!(id, Some(&*format!("{:016x}", 100_001)), "{format:?}");
        });
    }
}

#[test]
fn a_million_tags_all_arrive() {
    let tags = map((0..1_000_000).map(|i| (s(&format!("tag.{i}")), s("v"))));
    let metrics = map((0..1000).map(|i| (s(&format!("metric.{i}")), f64_(f64::from(i) + 0.5))));
    let span = map([
        e("service", s("a")),
        e("name", s("b")),
        e("resource", s("c")),
        e("trace_id", int(1)),
        e("span_id", int(2)),
        e("meta", tags),
        e("metrics", metrics),
    ]);
    let payload = payload([span]);
    for format in FORMATS {
        let started = Instant::now();
        let converted = made(&payload, format);
        let took = started.elapsed();
        println!("{format:?}: {took:?}");
        assert!(took < patient(Duration::from_secs(10)), "{format:?} took {took:?}");
        if format == OtherFormat::Log {
            assert_eq!(converted.spans, 0, "no line is as long");
            continue;
        }
        // Reading all of it would take longer than writing did.
        let keys = |part: &[u8]| memchr::memmem::find_iter(&converted.body, part).count();
        assert_eq!((converted.spans, keys(b"tag."), keys(b"metric.")), (1, 1_000_000, 1000), "{format:?}");
        assert_eq!(keys(b"tag.999999"), 1);
    }
}

#[test]
fn numbers_that_are_none_and_broken_values_cost_only_themselves() {
    let metrics = map([
        e("nan", f64_(f64::NAN)),
        e("inf", f64_(f64::INFINITY)),
        e("minus", f64_(f64::NEG_INFINITY)),
        e("one", f64_(1.5)),
    ]);
    let structs = map([
        e("good", bin(b"\x81\xa1k\xa1v")),
        e("empty", bin(b"")),
        e("cut", bin(b"\x81\xa1k")),
        e("more", bin(b"\x01\x02")),
        e("huge", bin(b"\xdf\xff\xff\xff\xff")),
        e("never", bin(b"\xc1")),
        e("deep", bin(&vec![0x91; 10_000])),
    ]);
    let mut span: Vec<_> = fields();
    span.retain(|(key, _)| ![s("metrics"), s("meta_struct")].contains(key));
    span.extend([e("metrics", metrics), e("meta_struct", structs)]);
    let payload = payload([map(span)]);
    for format in FORMATS {
        let converted = made(&payload, format);
        let span = span_of(&converted.body, format).unwrap();
        assert_eq!((converted.spans, converted.traces), (1, 1));
        match format {
            OtherFormat::OtlpProto | OtherFormat::OtlpJson => {
                let d = |key: &str| span["attributes"][key]["d"].as_str().unwrap().to_owned();
                assert_eq!((&*d("nan"), &*d("inf"), &*d("minus"), &*d("one")), ("NaN", "inf", "-inf", "1.5"));
                // Bytes are bytes to OTLP, whatever they say.
                assert_eq!(span["attributes"]["never"]["x"], "c1");
            }
            _ => {
                let numbers: Vec<_> =
                    span["metrics"].as_object().unwrap().keys().map(String::as_str).collect();
                // The intake's root has a mark.
                assert_eq!(numbers[numbers.len() - 1], "one");
                assert!(numbers.len() == 1 || numbers[0] == "_trace_root", "{numbers:?}");
                assert_eq!(span["metrics"]["one"], 1.5);
                if format == OtherFormat::Intake {
                    let structs = span["meta_struct"].as_object().unwrap();
                    assert_eq!(structs.len(), 1, "{structs:?}");
                    assert_eq!(structs["good"]["k"], "v");
                }
            }
        }
    }
    // The exporter counts what was left out, and sends the rest.
    let peer = ScriptedAgent::start(Listen::Tcp, []).info_in_script();
    let to = Destination::intake("datadoghq.com", KEY).url(&peer.url).compression(Compression::None);
    let e = builder(to.into()).build().unwrap();
    let response = e.send(&payload).unwrap();
    assert_eq!((response.traces, response.spans), (1, 1));
    let m = e.close().metrics;
    assert_eq!((m.sent.spans, m.dropped_for(DropReason::Malformed).spans), (1, 0));
    assert_eq!(m.lost_in_conversion, 2, "numbers and values of one span");
}
