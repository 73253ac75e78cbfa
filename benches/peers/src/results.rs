//! Rows as they are written to `build/bench/results.json` and printed.

use serde_json::{Value, json};

/// One entry: our figure against one opponent. Bigger `ratio` is better for us.
#[derive(Default, Clone)]
pub struct Row {
    pub name: String,
    pub payload: String,
    pub unit: &'static str,
    pub ours: Option<f64>,
    pub opponent_name: Option<&'static str>,
    pub opponent: Option<f64>,
    pub ratio: Option<f64>,
    /// Allocations of one call in steady state.
    pub allocations: Option<u64>,
    /// Those of the opponent.
    pub opponent_allocations: Option<u64>,
    /// Median of the paired ratios ours / walk; the same as `ours` / `ours` of the row `walk`.
    pub times_walk: Option<f64>,
    pub bytes_an_item: Option<f64>,
    /// Bytes alive at most in a first call with nothing reused, as a multiple of the payload.
    pub working_memory: Option<f64>,
}

impl Row {
    /// The entry, without keys that have no meaning for it. A row without our side is none.
    pub fn to_json(&self) -> Option<Value> {
        let ours = self.ours?;
        let mut entry = json!({
            "name": self.name, "payload": self.payload, "unit": self.unit, "ours": round(ours),
            "opponent_name": self.opponent_name, "opponent": self.opponent.map(round),
            "ratio": self.ratio.map(round), "allocations": self.allocations,
        });
        if let Some(theirs) = self.opponent_allocations {
            entry["opponent_allocations"] = json!(theirs);
        }
        if let Some(times) = self.times_walk {
            entry["times_walk"] = json!(round(times));
        }
        if let Some(bytes) = self.bytes_an_item {
            entry["mb_per_s"] = json!(round(bytes * 1000.0 / ours));
        }
        if let Some(memory) = self.working_memory {
            entry["working_memory"] = json!(round(memory));
        }
        Some(entry)
    }

    pub fn print(&self) {
        let cell = |value: Option<f64>, suffix: &str| match value {
            Some(v) => format!("{}{suffix}", round(v)),
            None => "-".to_owned(),
        };
        let mut more = String::new();
        if let (Some(bytes), Some(ours)) = (self.bytes_an_item, self.ours) {
            more.push_str(&format!(" {:.0} MB/s", bytes * 1000.0 / ours));
        }
        if let Some(memory) = self.working_memory {
            more.push_str(&format!(" memory {memory:.2}x"));
        }
        println!(
            "{:<26} {:<14} {:>12} {:<10} {:>8}  {:<10} {:>12} {:>9}  {:>6}{more}",
            self.name,
            self.payload,
            cell(self.ours, ""),
            self.unit,
            cell(self.times_walk, "x walk"),
            self.opponent_name.unwrap_or("-"),
            cell(self.opponent, ""),
            cell(self.ratio, "x"),
            self.allocations.map_or("-".to_owned(), |a| a.to_string()),
        );
    }
}

/// Four significant digits: more would be noise.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}
