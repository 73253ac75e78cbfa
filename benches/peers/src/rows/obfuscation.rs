//! Group `obfuscation`: the obfuscators on the corpora, cards and normalization on the web payload. An item
//! is a line of the corpus, or a span.

use libdd_trace_normalization::normalizer::normalize_trace;
use libdd_trace_obfuscation::obfuscation_config::{DbmsKind, JsonObfuscatorConfig, SqlConfig};
use libdd_trace_obfuscation::{credit_cards, http, json, redis, sql};

use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::{CreditCards, ObfuscationConfig, Obfuscator, TextKind};
use data_pipeline::rewrite::Rewriter;

use crate::libdd;
use crate::measure::{Bench, Case};
use crate::ours::{Engine, Rules, obfuscator};
use crate::payloads::{Payload, Payloads};

pub fn run(bench: &mut Bench, payloads: &Payloads) {
    let web = payloads.v04("web_100x10");
    bench.run_walk(&web, Vec::new());
    corpora(bench, payloads, &web);
    cards(bench, &web);
    normalize(bench, &web);
    whole(bench, &web);
}

fn corpora(bench: &mut Bench, payloads: &Payloads, web: &Payload) {
    let config = SqlConfig::default();
    let obfuscator = obfuscator();
    let lines = payloads.corpus("sql");
    bench.run(
        per_line("sql", web, &lines)
            .ours(ours(&obfuscator, TextKind::Sql, &lines))
            .against("libdd", each(&lines, |line| sql::obfuscate_sql(line, &config, DbmsKind::Generic))),
    );
    let lines = payloads.corpus("redis");
    bench.run(
        per_line("redis", web, &lines)
            .ours(ours(&obfuscator, TextKind::Redis, &lines))
            .against("libdd", each(&lines, redis::obfuscate_redis_string)),
    );
    let lines = payloads.corpus("json");
    let theirs = json::JsonObfuscator::new(JsonObfuscatorConfig::enabled());
    let mut output = String::new();
    let mut scratch = json::JsonObfuscationScratch::new();
    bench.run(per_line("json", web, &lines).ours(ours(&obfuscator, TextKind::Mongo, &lines)).against(
        "libdd",
        || {
            for line in &lines {
                // Its form for a hot path: output and scratch are the caller's.
                let _ = theirs.obfuscate_into(line, &mut output, &mut scratch, |value| {
                    Ok::<_, ()>(std::borrow::Cow::Borrowed(value))
                });
                std::hint::black_box(&output);
            }
        },
    ));
    let lines = payloads.corpus("url");
    let all = Obfuscator::new(&ObfuscationConfig::all()).expect("the preset is right");
    bench.run(
        per_line("url", web, &lines)
            .ours(ours(&all, TextKind::Http, &lines))
            .against("libdd", each(&lines, |line| http::obfuscate_url_string(line, true, true))),
    );
}

/// Our side: every line into one buffer, which is emptied before each.
fn ours<'a>(obfuscator: &'a Obfuscator, kind: TextKind, lines: &'a [String]) -> impl FnMut() + 'a {
    let mut scratch = obfuscator.scratch();
    let mut out = Vec::new();
    move || {
        for line in lines {
            out.clear();
            let verdict = obfuscator.text(kind, line.as_bytes(), b"", &mut scratch, &mut out);
            let _ = std::hint::black_box((verdict, &out));
        }
    }
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
    let keep: [&str; 0] = [];
    let (cards, mut rules) = (CreditCards::new(false, &keep), Rules::new(&web.bytes));
    let ours = || rules.each_tag(&web.bytes, |key, value, out| cards.tag(key, value, out));
    bench.run(Case::per_span("cards", web).ours(unchanged(ours)).against("libdd", move || {
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
    let rewriter = Rewriter::new(Some(Normalizer::new(b"java")), None).expect("one of the two");
    let mut rules = Rules::new(&web.bytes);
    let ours = || rules.apply(&web.bytes, &rewriter);
    bench.run(Case::per_span("normalize", web).ours(unchanged(ours)).against("libdd", move || {
        for trace in &mut owned {
            normalize_trace(trace).expect("the web payload is well formed");
        }
    }));
}

/// A figure for spans that nothing changes must not come from some that it does.
fn unchanged(mut work: impl FnMut() -> bool) -> impl FnMut() {
    move || assert!(!work(), "a rule changed the web payload")
}

/// Normalization and obfuscation with the other stages around them and v0.4 out, beside the same without. A
/// good third of the web payload's spans are SQL, a quarter Redis.
fn whole(bench: &mut Bench, web: &Payload) {
    let mut engine = Engine::obfuscated();
    bench.run(
        Case::per_span("v04_whole_obfuscated", web)
            .ours(|| engine.run_stages(&web.bytes).len())
            .cold(|| Engine::obfuscated().run_stages(&web.bytes).len()),
    );
    let mut engine = Engine::stages();
    bench.run(Case::per_span("v04_stages_beside", web).ours(|| engine.run_stages(&web.bytes).len()));
}
