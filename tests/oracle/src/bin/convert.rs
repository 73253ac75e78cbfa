//! Converts v0.4 files for the agent oracle.
//!
//! usage: `convert --by ours|libdd --to v0.4|v0.5|v1.0|rewritten --out DIR FILE...`: writes
//! `DIR/<folder>-<file>` for each file and prints one line `FILE<tab>OUT` each; a file that is refused gets
//! `FILE<tab>-<tab>why`.

use std::path::Path;
use std::process::ExitCode;

use data_pipeline_oracle::{libdd, ours};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("convert: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let (mut by, mut to, mut out, mut files) = (String::new(), String::new(), String::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let target = match argument.as_str() {
            "--by" => &mut by,
            "--to" => &mut to,
            "--out" => &mut out,
            _ => {
                files.push(argument);
                continue;
            }
        };
        *target = arguments.next().ok_or(format!("{argument} needs a value"))?;
    }
    let convert: fn(&[u8], &str) -> Result<Vec<u8>, String> = match by.as_str() {
        "ours" => ours::convert,
        "libdd" => by_libdd,
        other => return Err(format!("--by {other}: ours or libdd")),
    };
    std::fs::create_dir_all(&out).map_err(|e| format!("{out}: {e}"))?;
    for file in files {
        let path = Path::new(&file);
        let bytes = std::fs::read(path).map_err(|e| format!("{file}: {e}"))?;
        let folder =
            path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let converted = match to.as_str() {
            "rewritten" => ours::rewritten(&bytes, &language(path)),
            _ => convert(&bytes, &to),
        };
        match converted {
            Ok(converted) => {
                let target = Path::new(&out).join(format!("{folder}-{name}"));
                std::fs::write(&target, converted).map_err(|e| format!("{}: {e}", target.display()))?;
                println!("{file}\t{}", target.display());
            }
            Err(why) => println!("{file}\t-\t{why}"),
        }
    }
    Ok(())
}

/// What the tracer said when the payload was captured.
fn language(payload: &Path) -> String {
    let headers = std::fs::read_to_string(payload.with_extension("headers.json")).unwrap_or_default();
    let captured: serde_json::Value = serde_json::from_str(&headers).unwrap_or_default();
    let pairs = captured["headers"].as_array().into_iter().flatten();
    let named =
        |p: &&serde_json::Value| p[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case("datadog-meta-lang"));
    pairs.clone().find(named).and_then(|p| p[1].as_str()).unwrap_or_default().to_owned()
}

fn by_libdd(bytes: &[u8], to: &str) -> Result<Vec<u8>, String> {
    let traces = libdd::decode_v04(bytes)?;
    match to {
        "v0.4" => Ok(libdd::encode_v04(&traces)),
        "v0.5" => libdd::encode_v05(&traces),
        "v1.0" => Ok(libdd::encode_v1(&traces)),
        other => Err(format!("no format {other}")),
    }
}
