//! Answers case lines on standard input: `cargo run --release --example vectors < cases.jsonl`.
//!
//! A line names a kind, an input and a configuration; the answer is one JSON line in the same fields (`output` or
//! `output_b64`, `error`, `value`, `outputs`), in order, so that anybody can compare this library with an agent.

#[path = "answer.rs"]
mod answer;

use std::io::{BufRead, BufWriter, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str(&line) {
            Ok(case) => answer::answer(&case),
            Err(e) => serde_json::json!({ "error": format!("not a case: {e}") }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(out.flush()?)
}
