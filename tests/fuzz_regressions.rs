//! Everything that fuzzing has found, and the seeds it starts from, through the checks of the fuzz targets.

#![allow(clippy::unwrap_used)]

#[path = "support/mod_fuzz.rs"]
mod support;

use std::path::{Path, PathBuf};
use support::fuzz::TARGETS;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(dir).map_or(vec![], |d| d.flatten().map(|f| f.path()).collect());
    all.sort();
    all
}

#[test]
fn what_fuzzing_has_found_stays_mended() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    for (target, check) in TARGETS {
        for file in files(&root.join(target)) {
            println!("{}", file.display());
            check(&std::fs::read(file).unwrap());
        }
    }
}

#[test]
fn real_payloads_pass_every_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let mut n = 0;
    for file in files(&root).iter().flat_map(|dir| files(dir)) {
        if file.extension().is_some_and(|e| e == "msgpack") {
            let bytes = std::fs::read(&file).unwrap();
            n += 1;
            for (_, check) in &TARGETS[..3] {
                check(&bytes);
            }
            for choice in [0, 3, 10, 27, 31] {
                support::fuzz::stages(&[&[choice][..], &bytes].concat());
            }
        }
    }
    assert!(n > 40);
}

#[test]
fn texts_and_patterns_pass_their_targets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut n = 0;
    for file in files(&root.join("vectors/obfuscate")).iter().chain(&files(&root.join("regexes"))) {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(text) = case["input"].as_str() {
                n += 1;
                support::fuzz::texts(&[&[n as u8][..], text.as_bytes()].concat());
            }
            if let Some(pattern) = case["pattern"].as_str() {
                n += 1;
                let text = case["text"].as_str().unwrap_or("");
                support::fuzz::regexes(&[pattern.as_bytes(), &[0], text.as_bytes()].concat());
            }
        }
    }
    assert!(n > 1000, "{n}");
}
