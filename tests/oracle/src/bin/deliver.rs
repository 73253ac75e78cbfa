//! Sends v0.4 files to an agent as an exporter that computes stats does.
//!
//! usage: `deliver --url URL FILE...`: waits for the agent's `/info`, sends each file, closes, and prints one
//! JSON object: `counted`, `sent` and `lost` spans of stats, `traces` accepted, `sampled_out` traces.

use std::process::ExitCode;
use std::time::Duration;

use data_pipeline::TraceExporter;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("deliver: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let (Some("--url"), Some(url)) = (arguments.next().as_deref(), arguments.next()) else {
        return Err("usage: deliver --url URL FILE...".to_owned());
    };
    let exporter = TraceExporter::builder()
        .url(url)
        .env("prod")
        .language("go")
        .compute_stats(Duration::from_secs(10))
        .close_timeout(Duration::from_secs(10))
        .build()
        .map_err(|e| e.to_string())?;
    exporter.await_agent(Duration::from_secs(10)).map_err(|e| e.to_string())?;
    for file in arguments {
        let bytes = std::fs::read(&file).map_err(|e| format!("{file}: {e}"))?;
        exporter.send(&bytes).map_err(|e| format!("{file}: {e}"))?;
    }
    let flushed = exporter.flush_stats(Duration::from_secs(10));
    let stats = exporter.stats().ok_or("no stats")?;
    let metrics = exporter.close().metrics;
    println!(
        "{}",
        serde_json::json!({ "counted": stats.counted, "sent": stats.sent, "lost": stats.lost, "flushed": flushed,
            "traces": metrics.sent.traces, "sampled_out": metrics.sampled_out.traces })
    );
    Ok(())
}
