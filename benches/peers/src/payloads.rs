//! Payloads and corpora that `benches/gen_payloads.py` wrote.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::walk::walk;

/// A body with its number of spans.
pub struct Payload {
    pub name: String,
    pub bytes: Vec<u8>,
    pub spans: usize,
    pub traces: usize,
}

/// The folder with `index.json` in it.
pub struct Payloads {
    folder: PathBuf,
    index: Vec<Value>,
}

impl Payloads {
    pub fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join("index.json");
        let text = std::fs::read(&path)
            .map_err(|e| format!("{}: {e} (benches/gen_payloads.py writes it)", path.display()))?;
        let index = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { folder: folder.to_owned(), index })
    }

    pub fn has(&self, name: &str) -> bool {
        self.index.iter().any(|entry| entry["name"] == name)
    }

    /// The v0.4 body of that name.
    pub fn v04(&self, name: &str) -> Payload {
        self.read(name, "")
    }

    /// Its v0.5 twin.
    pub fn v05(&self, name: &str) -> Payload {
        self.read(name, "_v05")
    }

    fn read(&self, name: &str, suffix: &str) -> Payload {
        let entry =
            self.index.iter().find(|e| e["name"] == name).unwrap_or_else(|| panic!("no payload {name}"));
        let path = self.folder.join(format!("{name}{suffix}.msgpack"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(walk(&bytes), Some(bytes.len()), "{} is not one msgpack value", path.display());
        let count = |key: &str| entry[key].as_u64().unwrap_or(0) as usize;
        Payload { name: name.to_owned(), bytes, spans: count("spans"), traces: count("traces") }
    }

    /// The lines of a corpus, e.g. `sql`.
    pub fn corpus(&self, name: &str) -> Vec<String> {
        let path = self.folder.join(format!("{name}_corpus.jsonl"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        text.lines()
            .map(|line| {
                let value: Value =
                    serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                value["text"].as_str().unwrap_or_default().to_owned()
            })
            .collect()
    }
}

impl Payload {
    /// The chunks that `good` likes, each asked as a payload of one, as a payload of the same name.
    pub fn only(self, good: impl Fn(&[u8]) -> bool) -> Payload {
        let head = head_of(&self.bytes);
        let (mut at, mut traces, mut spans) = (head, 0, 0);
        let mut body = Vec::with_capacity(self.bytes.len());
        for _ in 0..self.traces {
            let length = walk(&self.bytes[at..]).expect("the whole payload walks");
            let chunk = &self.bytes[at..at + length];
            at += length;
            if good(&[&[0x91], chunk].concat()) {
                body.extend_from_slice(chunk);
                (traces, spans) = (traces + 1, spans + items_of(chunk));
            }
        }
        let mut bytes = vec![0xdd];
        bytes.extend((traces as u32).to_be_bytes());
        bytes.extend(body);
        Payload { name: self.name, bytes, spans, traces }
    }

    /// The first `traces` chunks as a payload of their own.
    pub fn first(&self, traces: usize) -> Payload {
        assert!(traces <= self.traces);
        let head = head_of(&self.bytes);
        let mut at = head;
        let mut spans = 0;
        for _ in 0..traces {
            let chunk = &self.bytes[at..];
            spans += items_of(chunk);
            at += walk(chunk).expect("the whole payload walks");
        }
        let mut bytes = vec![0xdd];
        bytes.extend((traces as u32).to_be_bytes());
        bytes.extend(&self.bytes[head..at]);
        Payload { name: format!("web_{traces}x{}", spans / traces.max(1)), bytes, spans, traces }
    }
}

/// Bytes of an array's head.
fn head_of(array: &[u8]) -> usize {
    match array[0] {
        0x90..=0x9f => 1,
        0xdc => 3,
        _ => 5,
    }
}

/// How many elements an array has.
fn items_of(array: &[u8]) -> usize {
    match array[0] {
        b @ 0x90..=0x9f => usize::from(b & 15),
        0xdc => usize::from(u16::from_be_bytes([array[1], array[2]])),
        _ => u32::from_be_bytes([array[1], array[2], array[3], array[4]]) as usize,
    }
}
