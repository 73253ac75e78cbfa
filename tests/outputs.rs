//! The same bytes: hashes of everything that the library puts out, beside those that were recorded
//! (`tests/fixtures/outputs.txt`). A refactoring that changes one byte of one output shows here, and which
//! output it was.
//!
//! Inputs are the captured payloads and 2,000 generated ones (`support/generate.rs`, 500 of each kind, from
//! one seed). Outputs are conversions from and to each format, what leaves an exporter with each set of
//! stages, stats bodies, JSON lines, reports, error texts, and the keys of `explain()`. The file is a table:
//! a row an output, a column a group of inputs, in each place a hash.
//!
//! When a change of output is meant: `OUTPUTS_RECORD=1 cargo test --test outputs` writes the file anew; say
//! in the commit which groups changed and why. `OUTPUTS_DETAILS=DIR` writes a file a group with a line a case
//! (hash and the start of what was hashed), to be compared with those of another commit by `diff -r`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/generate.rs"]
mod generate;
#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use generate::{KINDS, Random, damaged, payload};
use rmpv::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use support::{Listen, ScriptedAgent, say};

/// All that this test uses of the library; what moves there, moves here.
mod surface {
    use data_pipeline::convert::Conversion;
    use data_pipeline::settings::{InputFormat, OutputFormat};
    use data_pipeline::trace::{FilterRules, OnMalformed};
    use data_pipeline::{Builder, PayloadStats, TraceExporter};
    use std::time::Duration;

    pub(super) const FORMATS: [&str; 3] = ["v0.4", "v0.5", "v1"];
    pub(super) const POLICIES: [&str; 3] = ["repair", "drop", "fail"];

    fn input(name: &str) -> InputFormat {
        match name {
            "v0.5" => InputFormat::V05,
            "v1" => InputFormat::V1,
            _ => InputFormat::V04,
        }
    }

    fn output(name: &str) -> OutputFormat {
        match name {
            "v0.5" => OutputFormat::V05,
            "v1" => OutputFormat::V1,
            _ => OutputFormat::V04,
        }
    }

    fn policy(name: &str) -> OnMalformed {
        match name {
            "drop" => OnMalformed::Drop,
            "fail" => OnMalformed::Fail,
            _ => OnMalformed::Repair,
        }
    }

    /// One payload converted, with its report; or the error's text.
    pub(super) fn convert(
        bytes: &[u8],
        from: &str,
        to: &str,
        on: &str,
        stages: bool,
    ) -> Result<(Vec<u8>, String), String> {
        let filters = if stages {
            FilterRules {
                require: vec!["language:jvm".to_owned()],
                reject: vec!["http.route:/internal/probe".to_owned()],
                reject_regex: vec!["_dd.origin:^synth".to_owned()],
                ignore_resources: vec!["^GET /healthz".to_owned()],
                ..FilterRules::default()
            }
        } else {
            FilterRules::default()
        };
        let wanted = Conversion {
            from: input(from),
            to: output(to),
            top_level: stages,
            drop_p0: stages,
            filters,
            on_malformed: policy(on),
        };
        let done = data_pipeline::convert::convert(bytes, &wanted).map_err(|e| e.to_string())?;
        let report = done.to_json();
        Ok((done.body, report))
    }

    pub(super) fn json_lines(bytes: &[u8]) -> Result<String, String> {
        let mut out = String::new();
        data_pipeline::show::json_lines(bytes, &mut out).map_err(|e| e.to_string())?;
        Ok(out)
    }

    /// The report of stats without an exporter.
    pub(super) fn payload_stats(bytes: &[u8]) -> Result<String, String> {
        let mut stats = PayloadStats::new(false, true).unwrap();
        stats.add(bytes).map_err(|e| e.to_string())?;
        Ok(stats.report().to_json().to_string())
    }

    /// The sets of stages that an exporter runs with, by name.
    pub(super) const EXPORTERS: [&str; 8] = [
        "exporter default",
        "exporter to v0.5",
        "exporter to v1",
        "exporter normalize",
        "exporter obfuscate",
        "exporter everything",
        "exporter stats",
        "exporter stats, agreed resources, v1",
    ];

    pub(super) fn exporter(name: &str, url: &str) -> TraceExporter {
        let base = || {
            TraceExporter::builder()
                .url(url)
                .service("svc")
                .env("prod")
                .version("1.2.3")
                .hostname("host-1")
                .language("java")
                .language_version("17.0.1")
                .tracer_version("1.60.0")
                .runtime_id("7c3f9c0e-3b5d-4c8e-9a0b-2f6f1f0f5a11")
                .process_tags("entrypoint.name:main")
                .git_commit_sha("0123456789abcdef")
                .close_timeout(Duration::from_secs(20))
                .send_budget(Duration::from_secs(60))
                .send_timeout(Duration::from_secs(60))
        };
        let stats = |b: Builder| b.compute_stats(Duration::from_secs(10)).stats_replay(true);
        let builder = match name {
            "exporter default" => base(),
            "exporter to v0.5" => base().output_format(OutputFormat::V05),
            "exporter to v1" => base().output_format(OutputFormat::V1),
            "exporter normalize" => base().normalize(true),
            "exporter obfuscate" => base().obfuscate(true),
            "exporter everything" => base()
                .normalize(true)
                .obfuscation(
                    r#"{"elasticsearch":{"enabled":true},"mongodb":{"enabled":true},"opensearch":{"enabled":true},
                        "memcached":{"enabled":true},"valkey":{"enabled":true},"redis":{"enabled":true},
                        "http":{"remove_query_string":true,"remove_paths_with_digits":true},
                        "credit_cards":{"enabled":true,"luhn":true},
                        "replace_tags":[{"name":"component","pattern":"j(.)bc","repl":"J${1}BC"}]}"#,
                )
                .compute_top_level(true)
                .drop_p0(true)
                .reject_tag("http.route:/internal/probe")
                .ignore_resource("^GET /healthz"),
            "exporter stats" => stats(base()).peer_tag("component").additional_metric_tag("version"),
            _ => stats(base()).output_format(OutputFormat::V1).peer_tag("component"),
        };
        let exporter = builder.build().unwrap();
        exporter.await_agent(Duration::from_secs(60)).unwrap();
        exporter
    }
}

const INFO: &str = r#"{"version":"7.70.0","endpoints":["/v0.4/traces","/v0.5/traces","/v1.0/traces","/v0.6/stats"],
    "client_drop_p0s":true,"span_events":true,"obfuscation_version":1,
    "peer_tags":["out.host","peer.hostname","peer.service","db.instance","_dd.base_service"],
    "span_kinds_stats_computed":["server","client","producer","consumer"],
    "config":{"max_request_bytes":26214400}}"#;
const PER_KIND: usize = 500;

/// FNV-1a of 64 bits: of no use against an enemy, and there is none.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// The groups of inputs; what needs none stands in the last column.
const COLUMNS: [&str; 13] = [
    "cpp",
    "go",
    "java",
    "node",
    "python",
    "python-2.21",
    "rust",
    "stats pair",
    "generated plain",
    "generated rules",
    "generated odd",
    "generated damaged",
    "none",
];

/// Hashes of cases by path and inputs, in the order in which they came.
#[derive(Default)]
struct Record {
    groups: BTreeMap<(String, String), Vec<(u64, String)>>,
}

impl Record {
    fn add(&mut self, path: &str, inputs: &str, case: &str, bytes: &[u8]) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).replace(char::is_control, ".");
        let cases = self.groups.entry((path.to_owned(), inputs.to_owned())).or_default();
        cases.push((hash(bytes), format!("{case} {} {shown}", bytes.len())));
    }

    fn add_result(&mut self, path: &str, inputs: &str, case: &str, result: Result<Vec<u8>, String>) {
        match result {
            Ok(bytes) => self.add(path, inputs, case, &bytes),
            Err(error) => {
                self.add(path, inputs, case, b"error");
                self.add("error texts", inputs, &format!("{path} {case}"), error.as_bytes());
            }
        }
    }

    /// The table of the file: a row a path, a column a group of inputs, in each place a hash of all its
    /// cases.
    fn table(&self) -> BTreeMap<String, Vec<String>> {
        let mut rows = BTreeMap::new();
        for ((path, inputs), cases) in &self.groups {
            let column =
                COLUMNS.iter().position(|name| name == inputs).expect("a column for every group of inputs");
            let all: Vec<u8> = cases.iter().flat_map(|(h, _)| h.to_be_bytes()).collect();
            let row = rows.entry(path.clone()).or_insert_with(|| vec!["-".to_owned(); COLUMNS.len()]);
            row[column] = format!("{:08x}", hash(&all) >> 32);
        }
        rows
    }

    fn write_details(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for ((path, inputs), cases) in &self.groups {
            let name =
                format!("{path} {inputs}").replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
            let text = cases.iter().fold(String::new(), |mut text, (hash, shown)| {
                let _ = writeln!(text, "{hash:016x} {shown}");
                text
            });
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
}

/// Payloads by the name of their group.
type Inputs = Vec<(String, Vec<(String, Vec<u8>)>)>;

fn inputs() -> Inputs {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut all = Inputs::new();
    for folder in ["cpp", "go", "java", "node", "python", "python-2.21", "rust"] {
        all.push((folder.to_owned(), read_folder(&root.join("traces").join(folder))));
    }
    all.push(("stats pair".to_owned(), read_folder(&root.join("stats/pair-go/traces"))));
    let mut random = Random(20_261_126);
    for kind in KINDS {
        let made = (0..PER_KIND).map(|n| (n.to_string(), payload(kind, &mut random))).collect();
        all.push((format!("generated {kind:?}").to_lowercase(), made));
    }
    all
}

fn read_folder(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "msgpack"));
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    let read =
        |p: &PathBuf| (p.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(p).unwrap());
    paths.iter().map(read).collect()
}

/// Every pair of formats; v0.5 and v1 as input are what v0.4 was converted to, whole and damaged.
fn conversions(record: &mut Record, group: &str, payloads: &[(String, Vec<u8>)]) {
    let mut random = Random(hash(group.as_bytes()));
    let mut convert =
        |case: &str, bytes: &[u8], from: &str, to: &str, policy: &str, stages: bool, how: &str| {
            let done = surface::convert(bytes, from, to, policy, stages);
            let path = format!("{from} to {to}{how}");
            if let Ok((_, report)) = &done {
                record.add(&format!("{path}, report"), group, case, report.as_bytes());
            }
            record.add_result(&path, group, case, done.map(|(body, _)| body));
        };
    for (case, v04) in payloads {
        let others = surface::FORMATS.map(|to| surface::convert(v04, "v0.4", to, "repair", false));
        for (from, made) in surface::FORMATS.iter().zip(&others) {
            let input = if *from == "v0.4" { Some(v04) } else { made.as_ref().ok().map(|(body, _)| body) };
            let Some(input) = input else { continue };
            let damaged = damaged(input.clone(), &mut random);
            for to in surface::FORMATS {
                convert(case, input, from, to, "repair", false, "");
                convert(case, input, from, to, "repair", true, ", stages");
                for policy in surface::POLICIES {
                    convert(case, &damaged, from, to, policy, false, &format!(", damaged, {policy}"));
                }
            }
        }
    }
    for (case, v04) in payloads {
        record.add_result("json lines", group, case, surface::json_lines(v04).map(String::into_bytes));
        record.add_result("stats report", group, case, surface::payload_stats(v04).map(|t| sorted_rows(&t)));
    }
}

/// The rows of a report in an order that does not depend on where a table happened to put them.
fn sorted_rows(report: &str) -> Vec<u8> {
    let mut report: serde_json::Value = serde_json::from_str(report).unwrap();
    if let Some(rows) = report.get_mut("rows").and_then(|rows| rows.as_array_mut()) {
        rows.sort_by_cached_key(ToString::to_string);
    }
    report.to_string().into_bytes()
}

/// The headers that tell of the body; others tell of the run.
const HEADERS: [&str; 8] = [
    "content-type",
    "x-datadog-trace-count",
    "datadog-client-computed-stats",
    "datadog-client-computed-top-level",
    "datadog-client-dropped-p0-traces",
    "datadog-client-dropped-p0-spans",
    "datadog-obfuscation-version",
    "datadog-meta-lang",
];

/// What leaves an exporter, and what it says of it.
fn exporters(record: &mut Record, group: &str, payloads: &[(String, Vec<u8>)]) {
    for path in surface::EXPORTERS {
        for (n, part) in payloads.chunks(100).enumerate() {
            let agent = ScriptedAgent::start(Listen::Tcp, []);
            agent.set_info([say(200, INFO)]);
            let exporter = surface::exporter(path, &agent.url);
            let mut names = Vec::new();
            for (case, bytes) in part {
                let before = agent.request_count();
                let answer = match exporter.send(bytes) {
                    Ok(response) => format!("{} traces {} spans", response.traces, response.spans),
                    Err(error) => error.to_string(),
                };
                record.add(&format!("{path}, answers"), group, case, answer.as_bytes());
                names.resize(names.len() + agent.request_count() - before, case);
            }
            exporter.close();
            let account = exporter.metrics();
            let numbers = [
                account.received,
                account.sent,
                account.filtered,
                account.sampled_out,
                account.dropped_total(),
            ]
            .map(|c| (c.traces, c.spans, c.bytes));
            record.add(&format!("{path}, account"), group, &n.to_string(), format!("{numbers:?}").as_bytes());
            for (i, request) in agent.requests().into_iter().enumerate() {
                let line = request.head.lines().next().unwrap_or_default().to_owned();
                let headers = HEADERS.map(|name| format!("{name}: {:?}", request.header(name))).join("\n");
                if line.contains("/v0.6/stats") {
                    let body = canonical(rmpv::decode::read_value(&mut &request.body[..]).unwrap());
                    let mut bytes = Vec::new();
                    rmpv::encode::write_value(&mut bytes, &body).unwrap();
                    record.add(&format!("{path}, stats bodies"), group, &n.to_string(), &bytes);
                    record.add(&format!("{path}, stats headers"), group, &n.to_string(), headers.as_bytes());
                } else {
                    let case = names.get(i).map_or("?", |name| name);
                    record.add(
                        &format!("{path}, headers"),
                        group,
                        case,
                        format!("{line}\n{headers}").as_bytes(),
                    );
                    record.add(&format!("{path}, bodies"), group, case, &without_now(request.body));
                }
            }
        }
    }
}

/// Normalization puts the present time where a span's start is impossible; that moment is no part of the
/// output.
fn without_now(mut body: Vec<u8>) -> Vec<u8> {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let key = b"\xa5start";
    let mut at = 0;
    while let Some(found) = body[at..].windows(key.len()).position(|w| w == key) {
        at += found + key.len();
        if let Some(value) = body.get_mut(at + 1..at + 9)
            && now.abs_diff(u64::from_be_bytes(value.try_into().unwrap())) < HOUR_NS
        {
            value.fill(0);
        }
    }
    body
}

/// Lists of maps (buckets, groups) in an order that does not depend on where a table happened to put them.
fn canonical(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let maps = items.iter().any(Value::is_map);
            let mut items: Vec<Value> = items.into_iter().map(canonical).collect();
            if maps {
                items.sort_by_cached_key(ToString::to_string);
            }
            Value::Array(items)
        }
        Value::Map(entries) => Value::Map(entries.into_iter().map(|(k, v)| (k, canonical(v))).collect()),
        other => other,
    }
}

/// Each path of keys in what `explain` says; places in lists do not count.
fn explain_keys(record: &mut Record) {
    fn walk(value: &serde_json::Value, path: &str, out: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => {
                map.iter().for_each(|(key, value)| walk(value, &format!("{path}.{key}"), out));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|v| walk(v, &format!("{path}[]"), out)),
            _ => drop(out.insert(path.to_owned())),
        }
    }
    for name in ["exporter default", "exporter everything", "exporter stats"] {
        let agent = ScriptedAgent::start(Listen::Tcp, []);
        agent.set_info([say(200, INFO)]);
        let exporter = surface::exporter(name, &agent.url);
        exporter.send(&[0x90]).unwrap();
        let text: serde_json::Value = serde_json::from_str(&exporter.explain()).unwrap();
        for (section, value) in text.as_object().unwrap() {
            let mut keys = std::collections::BTreeSet::new();
            walk(value, section, &mut keys);
            for key in keys {
                record.add(&format!("explain keys, {name}, {section}"), "none", "", key.as_bytes());
            }
        }
    }
}

#[test]
fn every_output_is_what_was_recorded() {
    let mut record = Record::default();
    explain_keys(&mut record);
    std::thread::scope(|scope| {
        let work = |(group, payloads): (String, Vec<(String, Vec<u8>)>)| {
            let mut part = Record::default();
            for (case, bytes) in &payloads {
                part.add("input", &group, case, bytes);
            }
            conversions(&mut part, &group, &payloads);
            exporters(&mut part, &group, &payloads);
            part
        };
        let parts: Vec<_> = inputs().into_iter().map(|input| scope.spawn(move || work(input))).collect();
        parts.into_iter().for_each(|part| record.groups.extend(part.join().unwrap().groups));
    });
    if let Some(folder) = std::env::var_os("OUTPUTS_DETAILS") {
        record.write_details(Path::new(&folder));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/outputs.txt");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let table = record.table();
    if std::env::var_os("OUTPUTS_RECORD").is_some() {
        let mut out: String = text.lines().filter(|l| l.starts_with('#')).map(|l| format!("{l}\n")).collect();
        for (path, row) in &table {
            let _ = writeln!(
                out,
                "{} | {path}",
                row.iter().map(|h| format!("{h:8}")).collect::<Vec<_>>().join(" ")
            );
        }
        std::fs::write(&file, out).unwrap();
        return;
    }
    let kept: BTreeMap<String, Vec<String>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" | "))
        .map(|(row, path)| (path.to_owned(), row.split_whitespace().map(str::to_owned).collect()))
        .collect();
    let mut changed = String::new();
    for path in kept.keys().chain(table.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (was, is) = (kept.get(path), table.get(path));
        let at =
            |row: Option<&Vec<String>>, n: usize| row.and_then(|row| row.get(n)).cloned().unwrap_or_default();
        let differ: Vec<&str> =
            (0..COLUMNS.len()).filter(|n| at(was, *n) != at(is, *n)).map(|n| COLUMNS[n]).collect();
        if !differ.is_empty() {
            let _ = writeln!(changed, "{path}: {}", differ.join(", "));
        }
    }
    assert!(
        changed.is_empty(),
        "these outputs are not what was recorded:\n{changed}\
         Which case: OUTPUTS_DETAILS=DIR here and at the commit before, then diff -r. If it is meant: OUTPUTS_RECORD=1."
    );
}
