//! A process with little address space: what does not fit is an error with its name, and the process lives. The test
//! runs itself again under `ulimit -v`, since the limit is the process's.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use data_pipeline::settings::{InputFormat, OutputFormat};
use data_pipeline::{ErrorKind, TraceExporter};
use std::process::Command;
use std::time::Duration;

/// A real payload, so often that it has this many MB.
fn large(mb: usize) -> Vec<u8> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces/java/004.msgpack");
    let one = std::fs::read(path).unwrap();
    let (head, chunks) = match one[0] {
        0xdc => (3, u32::from(one[1]) << 8 | u32::from(one[2])),
        short => (1, u32::from(short & 15)),
    };
    let times = (mb << 20) / one.len();
    let mut all = Vec::with_capacity(times * one.len() + 5);
    all.push(0xdd);
    all.extend_from_slice(&(chunks * times as u32).to_be_bytes());
    for _ in 0..times {
        all.extend_from_slice(&one[head..]);
    }
    all
}

/// What a child does: all memory is taken but so many blocks of 4 MB.
fn child(left: usize) {
    let payload = large(10);
    let mut fates = Vec::with_capacity(64);
    let mut taken: Vec<Vec<u8>> = Vec::with_capacity(1024);
    loop {
        let mut block = Vec::new();
        if block.try_reserve_exact(4 << 20).is_err() {
            break;
        }
        taken.push(block);
    }
    taken.truncate(taken.len().saturating_sub(left));
    for (input, output, rules) in [
        (InputFormat::V04, OutputFormat::V04, false),
        (InputFormat::V04, OutputFormat::V04, true),
        (InputFormat::V04, OutputFormat::V05, false),
        (InputFormat::V04, OutputFormat::V1, false),
        (InputFormat::V04, OutputFormat::V1, true),
    ] {
        // Nobody listens there: what is of interest happens before.
        let builder = TraceExporter::builder().url("http://127.0.0.1:1").input_format(input);
        let builder = builder.output_format(output).discovery(false).send_budget(Duration::from_millis(50));
        let builder = builder.normalize(rules).obfuscate(rules).compute_top_level(true);
        let Ok(exporter) = builder.build() else { continue };
        for _ in 0..2 {
            fates.push(exporter.send(&payload).map(|_| ()).map_err(|e| e.kind()));
        }
        let m = exporter.metrics();
        assert_eq!(m.received, m.accounted_for());
        exporter.close();
    }
    drop(taken);
    println!("fate of all is told");
    for fate in &fates {
        println!("fate {fate:?}");
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_the_process_lives() {
    if let Ok(left) = std::env::var("OOM") {
        return child(left.parse().unwrap());
    }
    let me = std::env::current_exe().unwrap();
    let mut named = 0;
    // In KB of address space, and blocks of it that are left.
    let limit = 600_000;
    for left in [1, 2, 3, 4, 8, 16] {
        let script = format!("ulimit -v {limit}; exec \"$0\" --exact --nocapture --test-threads 1 \"$@\"");
        let test = "what_does_not_fit_is_an_error_and_the_process_lives";
        let out = Command::new("sh")
            .args(["-c", &script])
            .arg(&me)
            .arg(test)
            .env("OOM", left.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{left} blocks left: {}\n{said}", out.status);
        let without = format!("fate Err({:?})", ErrorKind::OutOfMemory);
        let wrong = said.lines().find(|line| line.contains("Malformed") || line.contains("Internal"));
        assert_eq!(wrong, None, "{left} blocks left");
        named += said.lines().filter(|line| *line == without).count();
        assert!(said.contains("fate "), "{left} blocks left: {said}");
    }
    assert!(named > 0, "no limit was small enough");
}
