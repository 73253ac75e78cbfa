//! What the fuzz targets check. They live here so that `cargo test` runs what fuzzing has found with the same code.
//!
//! Each takes any bytes and must come back: no panic, no hang, and what goes out is readable by strict decoders.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

use super::msgpack::agent_accepts;
use super::wire;
use data_pipeline::convert::{Conversion, convert};
use data_pipeline::format::{v1, v04, v05};
use data_pipeline::settings::InputFormat;
use data_pipeline::settings::{Metadata, OutputFormat};
use data_pipeline::trace::{
    Arena, ChunkState, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Payload, Scanner,
    TOP_LEVEL_SLOTS, TopLevel, drop_p0,
};

/// The name of a target and its check.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("v04", v04),
    ("v05", v05),
    ("v1", v1),
    ("stages", stages),
    ("v05_in", v05_in),
    ("v1_in", v1_in),
    ("texts", texts),
    ("regexes", regexes),
];

/// The strict reader is recursive and has a limit of its own; deeper input is left to the scan.
const READER_DEPTH: usize = 512;

fn interest() -> Interest {
    Interest::none().slots(P0_SLOTS).slots(TOP_LEVEL_SLOTS)
}

/// How deep the values of a payload nest at most, by a look at container heads alone.
fn too_deep(bytes: &[u8]) -> bool {
    bytes.iter().filter(|b| matches!(b, 0x80..=0x9f | 0xdc..=0xdf)).count() > READER_DEPTH && {
        rmpv::decode::read_value_with_max_depth(&mut &bytes[..], READER_DEPTH)
            .is_err_and(|e| matches!(e, rmpv::decode::Error::DepthLimitExceeded))
    }
}

/// v0.4 out of v0.4 in batches of `limit` spans; `None` if it is refused whole.
fn repaired(bytes: &[u8], policy: OnMalformed, limit: usize) -> Option<Vec<u8>> {
    let mut arena = Arena::new();
    let mut encoder = v04::Encoder::default();
    let interest = interest();
    encoder.begin();
    let mut scanner = Scanner::new(bytes, policy).ok()?;
    while !scanner.is_done() {
        scanner.fill(&mut arena, &interest, limit).ok()?;
        encoder.add(&mut scanner.payload(&mut arena));
    }
    Some(encoder.finish().to_vec())
}

/// The scan agrees with a strict reader, and what it repairs is in order.
pub fn v04(bytes: &[u8]) {
    if too_deep(bytes) {
        let _ = (repaired(bytes, OnMalformed::Fail, 256), repaired(bytes, OnMalformed::Repair, 256));
        return;
    }
    let whole = repaired(bytes, OnMalformed::Fail, 256);
    let accepted = agent_accepts(bytes);
    assert_eq!(whole.is_some(), accepted.is_ok(), "{accepted:?}");
    for policy in [OnMalformed::Repair, OnMalformed::Drop] {
        let Some(body) = repaired(bytes, policy, 256) else { continue };
        assert_eq!(agent_accepts(&body), Ok(()), "{policy:?}");
        assert_eq!(repaired(bytes, policy, 1).as_ref(), Some(&body), "batches differ");
        let again = repaired(&body, OnMalformed::Fail, 256);
        assert_eq!(again.as_ref(), Some(&body), "what was repaired is repaired again");
        if let Some(whole) = &whole {
            assert_eq!(whole, &body, "what is in order was changed");
        }
    }
}

/// v0.5 is readable and has the same spans.
pub fn v05(bytes: &[u8]) {
    let Some(body) = repaired(bytes, OnMalformed::Repair, 256).filter(|body| !too_deep(body)) else { return };
    let mut arena = Arena::new();
    let payload = Payload::scan(&body, &mut arena, &interest(), OnMalformed::Fail).unwrap();
    let mut encoder = v05::Encoder::default();
    encoder.begin();
    encoder.add(&payload);
    let (_, got) = wire::v05(encoder.finish());
    let want = wire::v04(&body);
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(&want) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            let want = want.clone().unwrap_or_default();
            let mut got = got.clone();
            let own = [("_dd.span_links", want.links.is_empty()), ("events", want.events.is_empty())];
            for (key, empty) in own {
                if !want.meta.contains_key(key)
                    && let Some(text) = got.meta.remove(key)
                {
                    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(json.as_array().unwrap().is_empty(), empty, "{key}");
                }
            }
            let want = wire::Span { links: vec![], events: vec![], meta_struct: Default::default(), ..want };
            assert_eq!(got, want);
        }
    }
}

/// v1 is readable and has the same spans.
pub fn v1(bytes: &[u8]) {
    let Some(body) = repaired(bytes, OnMalformed::Repair, 256).filter(|body| !too_deep(body)) else { return };
    let mut arena = Arena::new();
    let payload = Payload::scan(&body, &mut arena, &interest(), OnMalformed::Fail).unwrap();
    let mut encoder = v1::Encoder::default();
    encoder.begin();
    encoder.add(&payload);
    let metadata = Metadata { language: "java".into(), env: "prod".into(), ..Metadata::default() };
    let got = wire::v1(encoder.finish(&body, &metadata));
    let want = wire::v04(&body);
    assert_eq!(got.fields.get(&7).map(String::as_str), Some("prod"));
    assert_eq!(got.chunks.len(), want.len());
    for (got, want) in got.chunks.iter().zip(&want) {
        let want: Vec<_> = want.iter().flatten().collect();
        assert_eq!(got.spans.len(), want.len());
        for (got, want) in got.spans.iter().zip(want) {
            // An attribute has one value: of a key in several maps the last one counts, as the formats differ there.
            let mut want = want.clone();
            let structs: Vec<String> = want.meta_struct.keys().cloned().collect();
            want.trace_id = 0;
            want.start = want.start.max(0);
            want.duration = want.duration.max(0);
            want.error = i32::from(want.error != 0);
            assert_eq!(got.span, want, "{structs:?}");
        }
    }
}

/// v0.5 in: what comes out is in order in every format, and the policies agree where there is no fault.
pub fn v05_in(bytes: &[u8]) {
    rewritten(bytes, InputFormat::V05, OutputFormat::V05);
}

/// v1 in, likewise.
pub fn v1_in(bytes: &[u8]) {
    rewritten(bytes, InputFormat::V1, OutputFormat::V1);
}

fn rewritten(bytes: &[u8], from: InputFormat, same: OutputFormat) {
    let to = |bytes: &[u8], from, to, on_malformed| {
        convert(bytes, &Conversion { from, to, on_malformed, ..Conversion::default() })
    };
    let whole = to(bytes, from, OutputFormat::V04, OnMalformed::Fail);
    let repaired = to(bytes, from, OutputFormat::V04, OnMalformed::Repair);
    let unchanged = to(bytes, from, same, OnMalformed::Fail);
    assert_eq!(unchanged.is_ok(), whole.is_ok(), "checking and rewriting differ: {unchanged:?}, {whole:?}");
    if let Ok(unchanged) = unchanged {
        let clamped = whole.as_ref().is_ok_and(|w| w.outcome.lost_in_conversion > 0);
        assert!(clamped || unchanged.body == bytes, "what is in order was changed");
    }
    let Ok(repaired) = repaired else {
        assert!(whole.is_err());
        return;
    };
    if let Ok(whole) = &whole {
        assert_eq!(whole.body, repaired.body, "policies differ where there is no fault");
    }
    assert_eq!(repaired.traces + repaired.outcome.malformed.traces, repaired.received.traces);
    if too_deep(&repaired.body) {
        return;
    }
    assert_eq!(agent_accepts(&repaired.body), Ok(()));
    for format in [OutputFormat::V05, OutputFormat::V1] {
        let there = to(&repaired.body, InputFormat::V04, format, OnMalformed::Fail).unwrap();
        assert_eq!((there.traces, there.spans), (repaired.traces, repaired.spans), "{format:?}");
    }
}

/// All stages, every format, and the result scanned again.
pub fn stages(bytes: &[u8]) {
    let rules = FilterRules {
        require_regex: vec!["env:.".into()],
        reject: vec!["http.status_code:500".into()],
        ignore_resources: vec!["health".into()],
        ..FilterRules::default()
    };
    // The first byte of the input chooses what runs.
    let (choice, bytes) = bytes.split_first().map_or((0, bytes), |(c, rest)| (*c, rest));
    let filters = if choice & 1 != 0 { Filters::new(&rules).0 } else { Filters::default() };
    let policy = if choice & 2 != 0 { OnMalformed::Repair } else { OnMalformed::Drop };
    let limit = if choice & 4 != 0 { 1 } else { 256 };
    let mut arena = Arena::new();
    let mut encoder = v04::Encoder::default();
    let interest = interest();
    encoder.begin();
    let Ok(mut scanner) = Scanner::new(bytes, policy) else { return };
    let (mut kept, mut spans) = (0u32, 0u64);
    while !scanner.is_done() {
        if scanner.fill(&mut arena, &interest, limit).is_err() {
            return;
        }
        let mut payload = scanner.payload(&mut arena);
        filters.apply(&mut payload);
        TopLevel { mark: choice & 8 != 0 }.apply(&mut payload);
        if choice & 16 != 0 {
            drop_p0(&mut payload);
        }
        for chunk in payload.chunks().iter().filter(|c| c.state() == ChunkState::Kept) {
            kept += 1;
            spans += payload.chunk_spans(chunk).iter().filter(|s| !s.is_dropped()).count() as u64;
        }
        encoder.add(&mut payload);
    }
    assert_eq!(encoder.counts(), (kept, spans));
    let body = encoder.finish().to_vec();
    if too_deep(&body) {
        return;
    }
    assert_eq!(agent_accepts(&body), Ok(()));
    let again = Payload::scan(&body, &mut arena, &interest, OnMalformed::Fail).unwrap();
    assert_eq!((again.chunks().len(), again.spans().len()), (kept as usize, spans as usize));
    if choice & 8 != 0 && choice & 16 == 0 {
        // Marked once, marked for good: a second time changes nothing.
        let mut again = again;
        TopLevel { mark: true }.apply(&mut again);
        let mut second = v04::Encoder::default();
        second.begin();
        second.add(&mut again);
        assert_eq!(second.finish(), body, "marks are not stable");
    }
    v05(&body);
    v1(&body);
}

/// Any text through every obfuscator of single texts, with every preset; the first byte chooses kind and dialect. What
/// is hidden stays hidden: a second time leaves it alone where the rule promises that.
pub fn texts(bytes: &[u8]) {
    use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator, TextKind};
    const KINDS: [&str; 11] = [
        "sql",
        "sql_exec_plan",
        "redis",
        "redis_resource",
        "memcached",
        "mongo",
        "es",
        "opensearch",
        "http",
        "card",
        "ip",
    ];
    const DIALECTS: [&[u8]; 6] = [b"", b"mysql", b"mssql", b"oracle", b"snowflake", b"hive"];
    let Some((first, text)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(*first) % KINDS.len()];
    let dialect = DIALECTS[usize::from(*first) / KINDS.len() % DIALECTS.len()];
    let kind = TextKind::named(kind).unwrap();
    for preset in ["agent", "all"] {
        for mode in ["", "obfuscate_only", "obfuscate_and_normalize", "normalize_only"] {
            let mut config = ObfuscationConfig::preset(preset).unwrap();
            config.sql_exec_plan.enabled = true;
            config.sql.obfuscation_mode = data_pipeline::obfuscate::sql::SqlMode::named(mode);
            config.sql.keep_comments = preset == "all";
            let obfuscator = Obfuscator::new(&config).unwrap();
            let mut out = b"before".to_vec();
            let verdict = obfuscator.text(kind, text, dialect, &mut obfuscator.scratch(), &mut out);
            assert!(out.starts_with(b"before"), "what was there stays");
            if verdict == data_pipeline::trace::Verdict::Keep {
                assert_eq!(out, b"before", "nothing is written when the text stays");
            }
            // The longest thing that is put in for a byte is an escape of three.
            assert!(out.len() <= 64 + 16 * text.len(), "{} of {}", out.len(), text.len());
        }
    }
}

/// A pattern and a text, a NUL between them: refused or used, never a panic, and never text that is not UTF-8.
pub fn regexes(bytes: &[u8]) {
    use data_pipeline::regexes::{Budget, Template};
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (pattern, text) = bytes.split_at(at);
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    let Ok(pattern) = Budget::new(1, 1 << 20).compile(pattern) else { return };
    pattern.is_match(text);
    let mut out = Vec::new();
    if pattern.replace(text, &Template::new("<$1>", &pattern), 4096, &mut out) {
        assert!(out.len() <= text.len().max(4096) && std::str::from_utf8(&out).is_ok());
    }
}
