//! Times SQL obfuscation on lines of `{"text": ...}` from a file: `sql_speed FILE [MODE]`.

use std::time::Instant;

use data_pipeline::obfuscate::sql::{SqlConfig, SqlMode, SqlObfuscator};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: sql_speed FILE [MODE]")?;
    let mode = args.next().and_then(|name| SqlMode::named(&name));
    let file = std::fs::read_to_string(path)?;
    let texts: Vec<String> = file
        .lines()
        .map(|line| {
            Ok(serde_json::from_str::<serde_json::Value>(line)?["text"].as_str().unwrap_or("").to_string())
        })
        .collect::<Result<_, serde_json::Error>>()?;
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut obfuscator = SqlObfuscator::new(SqlConfig { obfuscation_mode: mode, ..SqlConfig::default() });
    let (mut out, mut best) = (Vec::new(), f64::MAX);
    for _ in 0..40 {
        let start = Instant::now();
        for text in &texts {
            out.clear();
            let _ = obfuscator.obfuscate(text.as_bytes(), "", &mut out);
            std::hint::black_box(&out);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{} statements of {} bytes: {:.0} ns each, {:.0} MB/s",
        texts.len(),
        bytes / texts.len(),
        best * 1e9 / texts.len() as f64,
        bytes as f64 / best / 1e6
    );
    Ok(())
}
