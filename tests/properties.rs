//! What must hold for every input: no panic, nothing secret left, output and time in proportion to the input.

use data_pipeline::normalize::{self, Counts};
use data_pipeline::obfuscate::{self, Json, ObfuscationConfig, Obfuscator, TextKind, UrlOptions};
use data_pipeline::trace::{SpanFields, Verdict};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const KINDS: [TextKind; 11] = [
    TextKind::Sql,
    TextKind::SqlExecPlan,
    TextKind::Redis,
    TextKind::RedisResource,
    TextKind::Memcached,
    TextKind::Mongo,
    TextKind::Elasticsearch,
    TextKind::OpenSearch,
    TextKind::Http,
    TextKind::Card,
    TextKind::Ip,
];

fn apply(text: &[u8], rule: impl FnOnce(&[u8], &mut Vec<u8>) -> Verdict) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let verdict = rule(text, &mut out);
    assert!(out.starts_with(b"before"), "a rule appends");
    match verdict {
        Verdict::Keep => {
            assert_eq!(out, b"before", "what is kept is not written");
            text.to_vec()
        }
        _ => out.split_off(6),
    }
}

/// Bytes that look like something: pieces of all the languages, and rubbish.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        prop::sample::select(
            &[
                "{\"k\":",
                "\"",
                "}",
                "[",
                "]",
                ",",
                ":",
                "http://",
                "u:p@",
                "h",
                "/",
                "%",
                "?",
                "#",
                " ",
                "\n",
                "SET ",
                "ZADD k ",
                "BITFIELD ",
                "\\",
                "4111111111111111",
                "1.2.3.4",
                "ip-",
                "[::1]:",
                "é",
                "_",
                ".",
                "A",
                "...",
                "\r\n",
                "SELECT ",
                "'",
                "$1",
                "--",
                "/*"
            ][..]
        )
        .prop_map(|s| s.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_rule_panic_or_grow(text in soup(), all in any::<bool>()) {
        let mut config = if all { ObfuscationConfig::all() } else { ObfuscationConfig::agent() };
        config.sql_exec_plan.enabled = true;
        let obfuscator = Obfuscator::new(&config).unwrap();
        let mut scratch = obfuscator.scratch();
        for kind in KINDS {
            let out = apply(&text, |t, out| obfuscator.text(kind, t, b"", &mut scratch, out));
            prop_assert!(out.len() <= 6 * text.len() + 64, "{kind:?}: {} from {}", out.len(), text.len());
        }
        let counts = &mut Counts::default();
        prop_assert!(apply(&text, normalize::tag).len() <= text.len());
        prop_assert!(apply(&text, normalize::tag_value).len() <= 2 * 400);
        prop_assert!(apply(&text, |t, out| normalize::service(t, b"unnamed-service", counts, out)).len() <= 100);
        prop_assert!(apply(&text, |t, out| normalize::name(t, counts, out)).len() <= 100);
    }

    #[test]
    fn what_a_rule_has_written_it_keeps(text in soup()) {
        let counts = &mut Counts::default();
        let once = apply(&text, normalize::tag_value);
        // A value cut at its limit may end in what a second look removes.
        if once.len() < 200 {
            prop_assert_eq!(apply(&once, normalize::tag_value), once);
        }
        let once = apply(&text, |t, out| normalize::name(t, counts, out));
        prop_assert_eq!(apply(&once, |t, out| normalize::name(t, counts, out)), once);
        let once = apply(&text, obfuscate::quantize_peer_addresses);
        prop_assert_eq!(apply(&once, obfuscate::quantize_peer_addresses), once);
    }

    #[test]
    fn no_value_of_json_survives(shape in prop::collection::vec(0u8..8, 0..60), cut in 0usize..400) {
        let text = json_of(&shape);
        let text = &text[..cut.min(text.len())];
        let out = apply(text, |t, out| Json::default().obfuscate(t, &mut |_, _| {}, out));
        prop_assert!(!contains(&out, b"SECRET") && !contains(&out, b"777"), "{:?}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn no_password_of_a_url_survives(
        scheme in prop::sample::select(&["http://", "https://", "//", "ftp://", "http:", "jdbc:x://"][..]),
        before in "[a-z%é{ ]{0,4}", after in "[a-z:%`]{0,4}", host in "[a-z\\[\\]:.%0-9]{0,8}", path in "[/a-z0-9?#%]{0,8}",
        query in any::<bool>(), digits in any::<bool>(),
    ) {
        let url = format!("{scheme}{before}:SECRET{after}@{host}/{path}");
        let options = UrlOptions { remove_query_string: query, remove_path_digits: digits };
        let out = apply(url.as_bytes(), |t, out| obfuscate::url(t, options, out));
        prop_assert!(!contains(&out, b"SECRET"), "{url} -> {}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn no_argument_survives_remove_all(command in "[A-Z]{1,9}", args in prop::collection::vec("SECRET[a-z\"\\\\]{0,3}", 1..6)) {
        let text = format!("{command} {}", args.join(" "));
        let out = apply(text.as_bytes(), obfuscate::redis_remove_all);
        prop_assert!(!contains(&out, b"SECRET"));
        let out = apply(format!("SET k {}", args[0]).as_bytes(), obfuscate::redis_raw_command);
        prop_assert_eq!(out, b"SET k ?".to_vec());
    }
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|w| w == what)
}

/// A document whose values are all secret, well-formed as far as it goes.
fn json_of(shape: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    for step in shape {
        let value: &[u8] = match step {
            0 => b"\"SECRET\"",
            1 => b"777",
            2 => b"\"a\\\"SECRET\\u0041\"",
            3 => b"-777.5e7",
            4 => b"{",
            5 => b"[",
            _ => {
                if let Some(close) = open.pop() {
                    out.push(close);
                    out.extend_from_slice(if open.is_empty() { b" " } else { b"" });
                }
                continue;
            }
        };
        if !open.is_empty() && !matches!(out.last(), Some(b'{' | b'[')) {
            out.push(b',');
        }
        if open.last() == Some(&b'}') {
            out.extend_from_slice(b"\"key\" : ");
        }
        out.extend_from_slice(value);
        match step {
            4 => open.push(b'}'),
            5 => open.push(b']'),
            _ if open.is_empty() => out.push(b' '),
            _ => {}
        }
    }
    out
}

/// Time that this thread has spent on a processor, where the system tells; so that other work does not count.
fn busy_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = told.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    busy.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

#[test]
fn time_grows_with_the_text_and_no_faster() {
    let obfuscator = Obfuscator::new(&ObfuscationConfig::all()).unwrap();
    let texts: [(TextKind, &[u8]); 9] = [
        (TextKind::Redis, b"SET k \"v\" x\n"),
        (TextKind::RedisResource, b"get k  \n "),
        (TextKind::Mongo, b"{\"a\":[1,\"\\u00e9\"]} "),
        (TextKind::Mongo, b"[{\"a\":"),
        (TextKind::Http, b"/a%20b/1"),
        (TextKind::Ip, b"10.0.0.1:80,h,"),
        (TextKind::Ip, b"http"),
        (TextKind::Memcached, b"get a\r"),
        (TextKind::Card, b"4 - "),
    ];
    for (kind, unit) in texts {
        let mut scratch = obfuscator.scratch();
        let mut time = |bytes: usize, times: usize| {
            let text = unit.repeat(bytes / unit.len());
            (0..5)
                .map(|_| {
                    let start = busy_time();
                    for _ in 0..times {
                        apply(&text, |t, out| obfuscator.text(kind, t, b"", &mut scratch, out));
                    }
                    busy_time().saturating_sub(start)
                })
                .min()
                .unwrap()
        };
        // As many bytes both times, so that it does not matter how fast the machine is.
        let (small, large) = (time(100_000, 10), time(1_000_000, 1));
        // A quadratic cost takes ten times as long; the system's clock of a thread goes in steps.
        assert!(large < small * 3 + Duration::from_millis(20), "{kind:?} {unit:?}: {small:?} and {large:?}");
    }
}

#[test]
fn a_list_of_many_hosts_is_no_trap() {
    let hosts: Vec<String> = (0..100_000).map(|i| format!("host{i}")).collect();
    let start = Instant::now();
    let text = hosts.join(",");
    assert_eq!(apply(text.as_bytes(), obfuscate::quantize_peer_addresses), text.as_bytes());
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_card_number_is_found_in_any_tag_of_a_span() {
    let obfuscator = Obfuscator::new(&ObfuscationConfig::all()).unwrap();
    let mut span = SpanFields {
        meta: (0..100).map(|i| (format!("tag{i}").into_bytes(), b"4111 1111 1111 1111".to_vec())).collect(),
        ..SpanFields::default()
    };
    obfuscator.span(&mut span, &mut obfuscator.scratch());
    assert!(span.meta.iter().all(|(_, v)| v == b"?"));
}
