//! Our stats of payloads, for the agent's concentrator to be compared with.
//!
//! usage: `stats --peer-tags a,b,c --out DIR FILE...`: counts the spans of each v0.4 file, every span in the
//! bucket in which it ended, writes the bodies for `/v0.6/stats` to `DIR/<folder>-<file>.N` and prints one
//! JSON line a file: `id`, `file`, `ours`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use data_pipeline::obfuscate::quantize_peer_addresses;
use data_pipeline::settings::Metadata;
use data_pipeline::stats::{Clock, Concentrator, Pending, Rules, STATS_SLOTS, StatsLimits};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload, TOP_LEVEL_SLOTS, TopLevel};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("stats: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let (mut peers, mut out, mut files) = (String::new(), String::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let target = match argument.as_str() {
            "--peer-tags" => &mut peers,
            "--out" => &mut out,
            _ => {
                files.push(argument);
                continue;
            }
        };
        *target = arguments.next().ok_or(format!("{argument} needs a value"))?;
    }
    std::fs::create_dir_all(&out).map_err(|e| format!("{out}: {e}"))?;
    for file in files {
        let path = Path::new(&file);
        let name = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let id = format!("{}/{}", name(path.parent().and_then(Path::file_name)), name(path.file_stem()));
        let bytes = std::fs::read(path).map_err(|e| format!("{file}: {e}"))?;
        let mut ours = Vec::new();
        for (n, body) in count(&bytes, &peers).map_err(|e| format!("{file}: {e}"))?.iter().enumerate() {
            let target = Path::new(&out).join(format!("{}.{n}", id.replace('/', "-")));
            std::fs::write(&target, body).map_err(|e| format!("{}: {e}", target.display()))?;
            ours.push(target.display().to_string());
        }
        println!("{}", serde_json::json!({ "id": id, "file": file, "ours": ours }));
    }
    Ok(())
}

fn count(bytes: &[u8], peers: &str) -> Result<Vec<Vec<u8>>, String> {
    let concentrator = Concentrator::new(Duration::from_secs(10), StatsLimits::default(), Clock::Replay);
    let mut interest = Interest::none().slots(STATS_SLOTS).slots(TOP_LEVEL_SLOTS);
    let peers = peers.split(',').map(str::to_owned);
    let rules = Rules::new(&concentrator, &[], peers, &[], quantize_peer_addresses, &mut interest);
    let (mut arena, mut pending) = (Arena::new(), Pending::default());
    pending.begin();
    let mut payload =
        Payload::scan(bytes, &mut arena, &interest, OnMalformed::Repair).map_err(|e| e.to_string())?;
    TopLevel { mark: false }.apply(&mut payload);
    rules.observe(&payload, &mut pending, None);
    concentrator.commit(&mut pending);
    Ok(concentrator.flush(true, &Metadata { env: "prod".into(), ..Metadata::default() }))
}
