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

/// What a child does; `OOM` says with how much memory: the MB that it takes away beforehand.
fn child(taken: usize) {
    let payload = large(10);
    let mut fates = Vec::new();
    let mut hog: Vec<u8> = Vec::new();
    if hog.try_reserve_exact(taken << 20).is_err() {
        return println!("fate none: it has no more to take");
    }
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
    drop(hog);
    println!("fate of all is told");
    for fate in &fates {
        println!("fate {fate:?}");
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_the_process_lives() {
    if let Ok(taken) = std::env::var("OOM") {
        return child(taken.parse().unwrap());
    }
    let me = std::env::current_exe().unwrap();
    let mut named = 0;
    // In KB of address space, and MB of it that are taken.
    let limit = 600_000;
    for taken in [0, 420, 460, 500, 530, 550, 560, 570] {
        let script = format!("ulimit -v {limit}; exec \"$0\" --exact --nocapture --test-threads 1 \"$@\"");
        let test = "what_does_not_fit_is_an_error_and_the_process_lives";
        let out = Command::new("sh")
            .args(["-c", &script])
            .arg(&me)
            .arg(test)
            .env("OOM", taken.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{limit} KB, {taken} MB taken: {}\n{said}", out.status);
        let without = format!("fate Err({:?})", ErrorKind::OutOfMemory);
        named += said.lines().filter(|line| *line == without).count();
        assert!(said.contains("fate "), "{taken} MB taken: {said}");
    }
    assert!(named > 0, "no limit was small enough");
}
