//! One text by names, as tools ask for it: what kind of text it is, and under which settings.

use super::config::ObfuscationConfig;
use super::span::{Obfuscator, Scratch, TextKind};
use super::sql::SqlMode;
use crate::error::{Error, ErrorKind};
use crate::trace::Verdict;

/// What to do with one text. Empty names are those that were not given.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // see the variants that the names stand for
pub struct Request<'r> {
    /// See [`TextKind::named`].
    pub kind: &'r str,
    /// SQL: the dialect, as in a span's `db.type`.
    pub dbms: &'r str,
    /// SQL: see [`SqlMode::named`].
    pub mode: &'r str,
    /// See [`ObfuscationConfig::preset`]; `agent` if not given.
    pub preset: &'r str,
}

/// The text as it would leave the process.
///
/// # Errors
/// `INVALID_ARGUMENT` for a name that is none.
pub fn one_text(request: Request<'_>, text: &[u8]) -> Result<Vec<u8>, Error> {
    let unknown = |what: &str, name: &str| {
        Error::new(ErrorKind::InvalidArgument, format!("there is no {what} {name:?}"))
    };
    let kind = TextKind::named(request.kind).ok_or_else(|| unknown("type", request.kind))?;
    let preset = if request.preset.is_empty() { "agent" } else { request.preset };
    let mut config = ObfuscationConfig::preset(preset).ok_or_else(|| unknown("preset", preset))?;
    // Asked for by name, they are not to be left alone.
    config.sql_exec_plan.enabled = true;
    if !request.mode.is_empty() {
        let mode = SqlMode::named(request.mode).ok_or_else(|| unknown("mode", request.mode))?;
        config.sql.obfuscation_mode = Some(mode);
    }
    let obfuscator = Obfuscator::new(&config)?;
    let mut out = Vec::new();
    let dbms = request.dbms.as_bytes();
    Ok(match obfuscator.text(kind, text, dbms, &mut obfuscator.scratch(), &mut out) {
        Verdict::Keep => text.to_vec(),
        Verdict::Replace => out,
        Verdict::Remove => Vec::new(),
    })
}

/// The resource of a stats group as an agent would write it, by the span's type and `db.type`: SQL and Cassandra
/// statements, commands of Redis and Valkey; everything else stays. Cutting it to its limit comes afterwards. The
/// settings are those of
/// `obfuscator`, which the caller makes from what was agreed with the agent.
pub fn resource_for_stats(
    span_type: &[u8],
    resource: &[u8],
    db_type: &[u8],
    obfuscator: &Obfuscator,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Verdict {
    obfuscator.stats_resource(span_type, resource, db_type, scratch, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_the_rules() {
        for (kind, dbms, mode, preset, text, expected) in [
            ("sql", "", "", "", "select 'a' -- b", "select ?"),
            ("sql", "mssql", "obfuscate_only", "", "select [a] , 1", "select [a] , ?"),
            ("sql", "", "", "", "select 'a", "Non-parsable SQL query"),
            ("redis", "", "", "", "SET k v", "SET k ?"),
            ("memcached", "", "", "agent", "set a 0 0 1\r\nv", ""),
            ("memcached", "", "", "all", "set a 0 0 1\r\nv", "set a 0 0 1"),
            ("mongo", "", "", "", r#"{"a": 1}"#, r#"{"a":"?"}"#),
            ("es", "", "", "", r#"{"a": 1}"#, r#"{"a":"?"}"#),
            ("opensearch", "", "", "", r#"{"a": 1}"#, r#"{"a":"?"}"#),
            ("http", "", "", "agent", "http://u:p@h/a/1?q=1", "http://h/a/1?q=1"),
            ("http", "", "", "all", "http://u:p@h/a/1?q=1", "http://h/a/??"),
            ("card", "", "", "", "4111 1111 1111 1111", "?"),
            ("ip", "", "", "", "10.1.2.3", "blocked-ip-address"),
        ] {
            let out = one_text(Request { kind, dbms, mode, preset }, text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{kind} {text}");
        }
    }

    #[test]
    fn names_that_are_none_are_errors() {
        for (request, word) in [
            (Request { kind: "sqll", ..Request::default() }, "type \"sqll\""),
            (Request { kind: "sql", mode: "all", ..Request::default() }, "mode \"all\""),
            (Request { kind: "sql", preset: "none", ..Request::default() }, "preset \"none\""),
        ] {
            assert!(one_text(request, b"").unwrap_err().message().contains(word));
        }
    }

    #[test]
    fn resources_of_stats_are_obfuscated_by_type() {
        let obfuscator = Obfuscator::new(&ObfuscationConfig::off()).unwrap();
        let mut scratch = obfuscator.scratch();
        for (span_type, resource, expected) in [
            ("sql", "select 1", Some("select ?")),
            ("cassandra", "select 1", Some("select ?")),
            ("redis", "set k v", Some("SET")),
            ("valkey", "GET", None),
            ("web", "GET /1", None),
        ] {
            let mut out = Vec::new();
            let verdict = resource_for_stats(
                span_type.as_bytes(),
                resource.as_bytes(),
                b"",
                &obfuscator,
                &mut scratch,
                &mut out,
            );
            assert_eq!(verdict == Verdict::Replace, expected.is_some(), "{span_type}");
            assert_eq!(out, expected.unwrap_or("").as_bytes());
        }
    }
}
