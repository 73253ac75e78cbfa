//! The real payloads of seven tracers, in `tests/fixtures/traces`.

use std::path::{Path, PathBuf};

/// A captured body and its short name, e.g. `java/004`.
pub struct Fixture {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// All captured bodies, in the order of their names.
pub fn all() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/traces");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap_or_else(|e| panic!("{}: {e}", root.display()))
        .flatten()
        .filter(|folder| folder.path().is_dir())
        .flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten())
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|e| e == "msgpack"))
        .collect();
    found.sort();
    assert!(found.len() >= 40, "only {} captured payloads under {}", found.len(), root.display());
    found
        .into_iter()
        .map(|path| {
            let short = path.strip_prefix(&root).unwrap_or(&path).with_extension("");
            let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            Fixture { name: short.to_string_lossy().into_owned(), bytes }
        })
        .collect()
}
