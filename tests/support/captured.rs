//! The captured payloads of seven tracers.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::{Path, PathBuf};

/// Every captured payload, with its path.
pub fn captured() -> Vec<(String, Vec<u8>)> {
    fn walk(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, all);
            } else if entry.extension().is_some_and(|e| e == "msgpack") {
                all.push(entry);
            }
        }
    }
    let mut all = Vec::new();
    walk(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces"), &mut all);
    all.sort();
    all.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}
