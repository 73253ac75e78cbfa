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
