//! A concentrator fed with v0.4 payloads, and its bodies read back.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

use data_pipeline::obfuscate::quantize_peer_addresses;
use data_pipeline::settings::Metadata;
use data_pipeline::stats::{
    Clock, Concentrator, Obfuscate, Pending, Resources, Rules, STATS_SLOTS, StatsLimits,
};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Scanner, TOP_LEVEL_SLOTS, TopLevel};
use rmpv::Value;
use std::time::Duration;

pub struct Counting {
    pub concentrator: Concentrator,
    rules: Rules,
    interest: Interest,
    arena: Arena,
    pending: Pending,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub start: u64,
    /// Every field by its name, numbers and texts as text; lists joined by commas; sketches left out.
    pub fields: std::collections::BTreeMap<String, String>,
    pub hits: u64,
    pub errors: u64,
    pub duration: u64,
    pub top_level: u64,
    pub ok: Vec<u8>,
    pub error: Vec<u8>,
}

impl Group {
    pub fn get(&self, name: &str) -> &str {
        &self.fields[name]
    }
}

impl Counting {
    pub fn new(limits: StatsLimits, clock: Clock, peers: &[&str], additional: &[&str]) -> Self {
        let concentrator = Concentrator::new(Duration::from_secs(10), limits, clock);
        let mut interest = Interest::none().slots(STATS_SLOTS).slots(TOP_LEVEL_SLOTS);
        let peers = peers.iter().map(|t| (*t).to_owned());
        let additional: Vec<String> = additional.iter().map(|t| (*t).to_owned()).collect();
        let rules =
            Rules::new(&concentrator, &[], peers, &additional, quantize_peer_addresses, &mut interest);
        Self { concentrator, rules, interest, arena: Arena::new(), pending: Pending::default() }
    }

    /// The same, with resources as they would be agreed with an agent.
    #[must_use]
    pub fn obfuscating(mut self, by: std::sync::Arc<dyn Obfuscate>, max_bytes: usize) -> Self {
        let resources = Resources { obfuscate: Some(by), max_bytes };
        self.rules = self.rules.with_resources(resources, &mut self.interest);
        self
    }

    pub fn replay(peers: &[&str]) -> Self {
        Self::new(StatsLimits::default(), Clock::Replay, peers, &[])
    }

    /// Counts the spans of a payload, in batches as the exporter does.
    pub fn add(&mut self, bytes: &[u8]) {
        self.pending.begin();
        let mut scanner = Scanner::new(bytes, OnMalformed::Repair).unwrap();
        while !scanner.is_done() {
            scanner.fill(&mut self.arena, &self.interest, 256).unwrap();
            let mut payload = scanner.payload(&mut self.arena);
            TopLevel { mark: false }.apply(&mut payload);
            self.rules.observe(&payload, &mut self.pending, Some(&self.concentrator));
        }
        self.concentrator.commit(&mut self.pending);
    }

    /// Forgets what earlier payloads have taught about keys.
    pub fn forget(&mut self) {
        self.pending = Pending::default();
    }

    pub fn flush(&self) -> Vec<Group> {
        groups(&self.concentrator.flush(true, &Metadata::default()))
    }
}

pub fn groups(bodies: &[Vec<u8>]) -> Vec<Group> {
    let mut found = Vec::new();
    for body in bodies {
        let payload = rmpv::decode::read_value(&mut &body[..]).unwrap();
        for bucket in field(&payload, "Stats").as_array().unwrap() {
            for group in field(bucket, "Stats").as_array().unwrap() {
                found.push(read(field(bucket, "Start").as_u64().unwrap(), group));
            }
        }
    }
    found
}

fn field<'v>(map: &'v Value, name: &str) -> &'v Value {
    map.as_map().unwrap().iter().find(|(k, _)| k.as_str() == Some(name)).map(|(_, v)| v).unwrap()
}

fn read(start: u64, value: &Value) -> Group {
    let mut group = Group { start, ..Group::default() };
    for (name, value) in value.as_map().unwrap() {
        let number = || value.as_u64().unwrap();
        match name.as_str().unwrap() {
            "Hits" => group.hits = number(),
            "Errors" => group.errors = number(),
            "Duration" => group.duration = number(),
            "TopLevelHits" => group.top_level = number(),
            "OkSummary" => group.ok = value.as_slice().unwrap().to_vec(),
            "ErrorSummary" => group.error = value.as_slice().unwrap().to_vec(),
            name => {
                let text = match value {
                    Value::String(s) => s.as_str().unwrap().to_owned(),
                    Value::Array(items) => {
                        items.iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>().join(",")
                    }
                    other => other.to_string(),
                };
                group.fields.insert(name.to_owned(), text);
            }
        }
    }
    group
}
