//! No literal survives obfuscation: statements put together from literals that hold a marker and from what surrounds
//! them, in every dialect and mode; the cases of `fixtures/cases/obfuscate`; what can be switched on beside the agent.

#![allow(clippy::unwrap_used)]

use data_pipeline::obfuscate::sql::{SqlConfig, SqlMode, SqlObfuscator};
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator, TextKind};
use data_pipeline::trace::{SpanFields, Verdict};
use proptest::prelude::*;
use serde_json::Value;

const MODES: [Option<SqlMode>; 3] =
    [None, Some(SqlMode::ObfuscateOnly), Some(SqlMode::ObfuscateAndNormalize)];
const DIALECTS: [&str; 10] =
    ["", "postgresql", "mysql", "mariadb", "bigquery", "spark", "hive", "mssql", "oracle", "snowflake"];
/// Dialects whose double quotes hold text.
const QUOTED_TEXT: [&str; 5] = ["mysql", "mariadb", "bigquery", "spark", "hive"];

/// What stands between literals: words, signs, dollars that open nothing, comments that end.
const AROUND: [&str; 44] = [
    "SELECT",
    "a",
    "FROM",
    "t",
    "WHERE",
    "b =",
    "AND",
    "IN (",
    ")",
    ",",
    "(",
    "VALUES (",
    "LIKE",
    "UPDATE",
    "SET",
    "x =",
    "INSERT INTO t",
    "$x",
    "${x}",
    "$",
    "a$b",
    "$1",
    "@p",
    "@@v",
    "1",
    "2.5e3",
    "\"name\"",
    "\"a\".\"b\"",
    "-- c\n",
    "/* c */",
    ";",
    "->",
    "->>",
    "||",
    "NULL",
    "TRUE",
    "AS",
    "SAVEPOINT",
    "LIMIT",
    "::text",
    "{x}",
    "EXTRACT(YEAR FROM",
    "é",
    "\n",
];
const LITERALS: [&str; 11] = [
    "'MARKER'",
    "'it''s MARKER'",
    "N'MARKER'",
    "E'MARKER'",
    "$$MARKER$$",
    "$q$MARKER$q$",
    "$q$ 'MARKER' $q$",
    "''",
    "'MARKER é'",
    "(1, 'MARKER')",
    "'%MARKER%'",
];

fn statement() -> impl Strategy<Value = String> {
    let around = prop::sample::select(&AROUND[..]);
    let literal = prop::sample::select(&LITERALS[..]);
    let piece = prop_oneof![3 => around, 2 => literal];
    prop::collection::vec(piece, 1..14).prop_map(|pieces| pieces.join(" "))
}

fn hidden(sql: &str, dbms: &str, mode: Option<SqlMode>) -> String {
    let config = SqlConfig { obfuscation_mode: mode, ..SqlConfig::default() };
    let mut out = Vec::new();
    match SqlObfuscator::new(config).hide(sql.as_bytes(), dbms, &mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_marker_survives_in_sql(sql in statement()) {
        for mode in MODES {
            for dbms in DIALECTS {
                // SQL Server knows no dollar quotes: `$q` is a name there.
                if dbms == "mssql" && mode.is_some() && sql.contains("$q$") {
                    continue;
                }
                let out = hidden(&sql, dbms, mode);
                prop_assert!(!out.contains("MARKER"), "{dbms:?} {mode:?}: {sql} -> {out}");
            }
        }
    }

    #[test]
    fn no_marker_survives_in_double_quotes_that_hold_text(before in statement(), after in statement()) {
        let sql = format!("{before} \"MARKER\" {after}");
        for mode in MODES {
            for dbms in QUOTED_TEXT {
                let out = hidden(&sql, dbms, mode);
                prop_assert!(!out.contains("MARKER"), "{dbms} {mode:?}: {sql} -> {out}");
            }
        }
    }
}

fn cases(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("tests/fixtures/cases/obfuscate/{name}.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(obfuscator: &Obfuscator, kind: TextKind, text: &str, dbms: &str) -> String {
    let mut out = Vec::new();
    match obfuscator.text(kind, text.as_bytes(), dbms.as_bytes(), &mut obfuscator.scratch(), &mut out) {
        Verdict::Replace => String::from_utf8(out).unwrap(),
        _ => text.to_owned(),
    }
}

#[test]
fn what_the_agent_shows_by_accident_is_hidden() {
    let obfuscator = Obfuscator::new(&ObfuscationConfig::agent()).unwrap();
    for case in cases("http_kept") {
        let kind = TextKind::named(case["kind"].as_str().unwrap()).unwrap();
        assert_eq!(text(&obfuscator, kind, case["input"].as_str().unwrap(), ""), case["output"], "{case}");
    }
    for case in cases("sql_modes_hide") {
        let config: SqlConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let mut out = Vec::new();
        SqlObfuscator::new(config)
            .obfuscate(case["input"].as_str().unwrap().as_bytes(), "", &mut out)
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains(case["must_not_contain"].as_str().unwrap()), "{out}");
    }
}

/// Dollars that may pair otherwise than they seem refuse a statement. The second reading of backslashes must not take
/// it then: its quotes would be inside out, and literals stand where names are.
#[test]
fn a_refusal_for_dollars_is_final() {
    for sql in [
        r"SELECT 'it\'s' FROM t WHERE x IN ('@b', $a b$it\'s$a b$, '$1')",
        r"SELECT X'it\'s', $$a$$ FROM t WHERE x IN ('@b', $a b$it\'s$a b$), ('$1', 5)",
    ] {
        let mut out = Vec::new();
        let result = SqlObfuscator::new(SqlConfig::default()).obfuscate(sql.as_bytes(), "", &mut out);
        assert!(result.is_err() && out.is_empty(), "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn dollars_that_open_nothing_do_not_make_it_slow() {
    let names: String = (0..60_000).map(|i| format!("$x{i}, ")).collect();
    let sql = format!("SELECT {names} $$MARKER$$, '$MARKER'");
    for mode in &MODES[1..] {
        let out = hidden(&sql, "postgresql", *mode);
        assert!(!out.contains("MARKER") && out.contains("$x59999"), "{}", &out[..80]);
    }
}

fn span(span_type: &str, resource: &str, meta: &[(&str, &str)]) -> SpanFields {
    SpanFields {
        span_type: span_type.into(),
        resource: resource.into(),
        meta: meta.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect(),
        ..SpanFields::default()
    }
}

#[test]
fn quoted_text_is_hidden_in_spans_and_stays_in_what_was_agreed() {
    let obfuscator = Obfuscator::new(&ObfuscationConfig::agent()).unwrap();
    let sql = "SELECT a FROM t WHERE b LIKE \"Paris\"";
    for (db_type, shown) in [("mysql", false), ("hive", false), ("postgresql", true), ("", true)] {
        let mut span = span("sql", sql, &[("db.type", db_type), ("db.statement", sql)]);
        obfuscator.span(&mut span, &mut obfuscator.scratch());
        let statement = span.meta(b"db.statement").unwrap();
        assert_eq!(statement, span.resource);
        let expected =
            if shown { "SELECT a FROM t WHERE b LIKE Paris" } else { "SELECT a FROM t WHERE b LIKE ?" };
        assert_eq!(String::from_utf8_lossy(statement), expected, "{db_type}");
        let mut out = Vec::new();
        let verdict = obfuscator.stats_resource(
            b"sql",
            sql.as_bytes(),
            db_type.as_bytes(),
            &mut obfuscator.scratch(),
            &mut out,
        );
        assert_eq!((verdict, &out[..]), (Verdict::Replace, &b"SELECT a FROM t WHERE b LIKE Paris"[..]));
    }
}

#[test]
fn more_than_the_agent_has_can_be_switched_on() {
    let json = r#"{"http": {"query_string_regexp": "(?i)token"}, "sql": {"keep_comments": true},
        "sql_exec_plan": {"enabled": true, "tags": ["db.plan"], "keep_values": ["cost"]}}"#;
    let obfuscator = Obfuscator::new(&ObfuscationConfig::from_json(json).unwrap()).unwrap();
    let plan = r#"{"cost": 7, "filter": "name = 'Paris'"}"#;
    let url = "http://u:p@h/p?Token=x&a=1#f";
    let mut web = span("web", "GET /", &[("http.url", url), ("db.plan", plan)]);
    obfuscator.span(&mut web, &mut obfuscator.scratch());
    assert_eq!(web.meta(b"http.url"), Some(&b"http://h/p?Token=<redacted>&a=1#f"[..]));
    assert_eq!(web.meta(b"db.plan"), Some(&br#"{"cost":7,"filter":"?"}"#[..]));
    assert_eq!(text(&obfuscator, TextKind::Http, url, ""), "http://h/p?Token=<redacted>&a=1#f");
    let sql = "/* svc='a' */ SELECT 1 -- to the */ end\nFROM t # x\n WHERE b IN (1, /* c */ 2) AND c = /* d */ \"x\"";
    assert_eq!(
        text(&obfuscator, TextKind::Sql, sql, ""),
        "/* svc='a' */ SELECT ? /* to the * / end */ FROM t /* x */ WHERE b IN ( ? /* c */ ) AND c = /* d */ ?"
    );
    let modes = r#"{"sql": {"keep_comments": true, "obfuscation_mode": "obfuscate_and_normalize"}}"#;
    let obfuscator = Obfuscator::new(&ObfuscationConfig::from_json(modes).unwrap()).unwrap();
    assert_eq!(
        text(&obfuscator, TextKind::Sql, "/* a */ SELECT 1 -- b\nFROM t", ""),
        "/* a */ SELECT ? /* b */ FROM t"
    );
    for (json, why) in [
        (
            r#"{"sql_exec_plan": {"tags": ["a"]}}"#,
            "sql_exec_plan.tags has no effect while `enabled` is false",
        ),
        (
            r#"{"http": {"query_string_regexp": "geheim("}}"#,
            "http.query_string_regexp: missing closing ) at byte 7",
        ),
    ] {
        let error = ObfuscationConfig::from_json(json).unwrap_err();
        assert!(error.message().contains(why) && !error.message().contains("geheim"), "{error}");
    }
}
