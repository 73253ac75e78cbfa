//! `bench`: measures our crate beside the reference's crates and writes `build/bench/parts/<group>.json`.
//!
//! usage: `bench [--payloads DIR] [--out DIR] [--rounds N] [--only ROW] [GROUP...]`, groups: main wire
//! dialogue flat stats real obfuscation bindings beyond; none = all.
//! `scripts/bench.sh` calls it and joins the parts (other programs add theirs) to `build/bench/results.json`.
//! How a figure comes about: `measure.rs`. Which rows there are: `rows/`. The opponents: `libdd.rs`.

mod alloc;
mod libdd;
mod measure;
mod ours;
mod payloads;
mod peer_tags;
mod pin;
mod results;
mod rows;
mod sink;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use measure::Bench;
use payloads::Payloads;

type Group = (&'static str, fn(&mut Bench, &Payloads));

const GROUPS: [Group; 9] = [
    ("main", |bench, payloads| {
        rows::walk::run(bench, payloads);
        rows::send::run(bench, payloads);
    }),
    ("wire", rows::wire::run),
    ("dialogue", rows::dialogue::run),
    ("flat", rows::flat::run),
    ("stats", rows::stats::run),
    ("real", rows::real::run),
    ("obfuscation", rows::obfuscation::run),
    ("bindings", rows::bindings::run),
    ("beyond", |bench, payloads| {
        rows::beyond::run(bench, payloads);
        rows::tls::run(bench, payloads);
    }),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("bench: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut payloads = PathBuf::from("build/bench/payloads");
    let mut out = PathBuf::from("build/bench/parts");
    let mut rounds = 15;
    let mut only = None;
    let mut asked = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--payloads" => payloads = value()?.into(),
            "--out" => out = value()?.into(),
            "--only" => only = Some(value()?),
            "--rounds" => rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?,
            group if GROUPS.iter().any(|(name, _)| *name == group) => asked.push(argument),
            other => return Err(format!("no group or option {other}")),
        }
    }
    let payloads = Payloads::open(&payloads)?;
    std::fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    pin::to_last();
    for (group, run) in GROUPS {
        if !asked.is_empty() && !asked.iter().any(|name| name == group) {
            continue;
        }
        let mut bench = Bench::new(rounds, only.clone());
        run(&mut bench, &payloads);
        let rows = bench.rows();
        println!("-- {group}: ours, opponent, ratio = opponent / ours, allocations a call");
        rows.iter().for_each(results::Row::print);
        let entries: Vec<_> = rows.iter().filter_map(results::Row::to_json).collect();
        let path = out.join(format!("{group}.json"));
        let text = serde_json::to_string_pretty(&entries).map_err(|e| e.to_string())?;
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}
