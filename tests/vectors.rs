//! The answers of the agent's own code to the cases in `fixtures/vectors`, against ours: all of them, but for
//! those where the agent lets something secret through (`fixtures/vectors_except.txt`).

#![allow(clippy::unwrap_used)]

#[path = "../examples/vectors/answer.rs"]
mod answer;

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

#[test]
fn every_answer_is_the_agents() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let except = std::fs::read_to_string(root.join("vectors_except.txt")).unwrap();
    let (mut wrong, mut cases, mut excepted) = (Vec::new(), 0, 0);
    let mut kinds = std::collections::BTreeSet::new();
    for file in files(&root.join("vectors")) {
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            cases += 1;
            kinds.insert(case["kind"].as_str().unwrap().to_owned());
            let ours = answer::answer(&question(&case));
            if told(&ours) == told(&case) {
                continue;
            }
            if is_excepted(&except, &case) {
                excepted += 1;
            } else {
                wrong.push(format!("{}: {line}\n  ours: {ours}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 1_350, "only {cases} cases found");
    for kind in ["sql", "obfuscate_span", "chunk", "http", "stats"] {
        assert!(kinds.contains(kind), "no case of {kind}");
    }
    let listed = except.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
    assert!(excepted <= listed, "an exception is for one case");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect();
    files.sort();
    files
}

const ANSWERS: [&str; 5] = ["output", "output_b64", "error", "value", "outputs"];

/// The case without its answer, so that nothing can be copied from it.
fn question(case: &Value) -> Value {
    let mut case = case.as_object().unwrap().clone();
    for key in ANSWERS.iter().chain(&["converted", "chunk", "metadata"]) {
        case.remove(*key);
    }
    Value::Object(case)
}

/// The part of an answer that counts: a refusal by itself (whatever its words), else everything but the
/// reason.
fn told(answer: &Value) -> Value {
    let has = |key: &str| answer.get(key).is_some();
    if has("error") && !has("output") && !has("output_b64") {
        return "refused".into();
    }
    let told = ANSWERS
        .iter()
        .filter(|k| **k != "error")
        .filter_map(|k| Some(((*k).to_owned(), plain(answer.get(*k)?))));
    Value::Object(told.collect())
}

/// Fields that are empty, zero or null count as absent; numbers are equal as numbers.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(k, v)| (k.clone(), plain(v))).filter(|(_, v)| !is_nothing(v));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Number(n) if n.is_f64() && n.as_f64().is_some_and(|f| f.fract() == 0.0 && f.abs() < 9e15) => {
            Value::from(n.as_f64().unwrap() as i64)
        }
        Value::String(s) if s.starts_with("ERROR") => "ERROR".into(),
        other => other.clone(),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

/// Whether the list names the case, by kind and input.
fn is_excepted(except: &str, case: &Value) -> bool {
    let named = format!(" {} {} ", case["kind"].as_str().unwrap(), case["input"]);
    except.lines().any(|line| !line.starts_with('#') && line.contains(&named))
}
