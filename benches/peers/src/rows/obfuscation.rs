//! Group `obfuscation`: the obfuscators on the corpora, cards and normalization on the web payload. An item is a line of
//! the corpus, or a span.

use libdd_trace_normalization::normalizer::normalize_trace;
use libdd_trace_obfuscation::obfuscation_config::{DbmsKind, JsonObfuscatorConfig, SqlConfig};
use libdd_trace_obfuscation::{credit_cards, http, json, redis, sql};

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::payloads::{Payload, Payloads};

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let web = payloads.v04("web_100x10");
    bench.run_walk(&web, Vec::new());
    corpora(bench, payloads, &web);
    cards(bench, &web);
    normalize(bench, &web);
}

fn corpora(bench: &mut Bench, payloads: &Payloads, web: &Payload) {
    let config = SqlConfig::default();
    let lines = payloads.corpus("sql");
    bench.run(
        per_line("sql", web, &lines)
            .against("libdd", each(&lines, |line| sql::obfuscate_sql(line, &config, DbmsKind::Generic))),
    );
    let lines = payloads.corpus("redis");
    bench.run(per_line("redis", web, &lines).against("libdd", each(&lines, redis::obfuscate_redis_string)));
    let lines = payloads.corpus("json");
    let obfuscator = json::JsonObfuscator::new(JsonObfuscatorConfig::enabled());
    let mut output = String::new();
    let mut scratch = json::JsonObfuscationScratch::new();
    bench.run(per_line("json", web, &lines).against("libdd", move || {
        for line in &lines {
            // Its form for a hot path: output and scratch are the caller's.
            let _ = obfuscator.obfuscate_into(line, &mut output, &mut scratch, |value| {
                Ok::<_, ()>(std::borrow::Cow::Borrowed(value))
            });
            std::hint::black_box(&output);
        }
    }));
    let lines = payloads.corpus("url");
    bench.run(
        per_line("url", web, &lines)
            .against("libdd", each(&lines, |line| http::obfuscate_url_string(line, true, true))),
    );
}

fn per_line<'a>(name: &'a str, web: &'a Payload, lines: &[String]) -> Case<'a> {
    Case::per_item(name, web, "ns/item", lines.len() as f64).bytes(lines.iter().map(String::len).sum())
}

fn each<'a, R>(lines: &'a [String], work: impl Fn(&'a str) -> R + 'a) -> impl FnMut() + 'a {
    move || {
        for line in lines {
            std::hint::black_box(work(line));
        }
    }
}

/// Every meta value whose key is not one of Datadog's own, none of which looks like a card.
fn cards(bench: &mut Bench, web: &Payload) {
    let decoded = libdd::decode_v04(&web.bytes);
    bench.run(Case::per_span("cards", web).against("libdd", move || {
        let tags = decoded.iter().flatten().flat_map(|span| span.meta.iter());
        let found = tags
            .filter(|(key, _)| !key.starts_with('_'))
            .filter(|(_, value)| credit_cards::obfuscate_card_number(value, false).is_some());
        assert_eq!(found.count(), 0, "the web payload has no card numbers");
    }));
}

/// The second pass over spans, so nothing changes any more.
fn normalize(bench: &mut Bench, web: &Payload) {
    let mut owned = libdd::owned(&libdd::decode_v04(&web.bytes));
    bench.run(Case::per_span("normalize", web).against("libdd", move || {
        for trace in &mut owned {
            normalize_trace(trace).expect("the web payload is well formed");
        }
    }));
}
