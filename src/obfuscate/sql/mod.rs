//! SQL obfuscation: takes one statement as bytes, gives the statement without its literals, as the agent does it.
//!
//! Two families of rules, both from `pkg/obfuscate` of the agent (7.85.2) as it behaves:
//! - no mode set: the agent's own tokenizer (`tokenizer`, `grouping`); it normalizes as well, ignores the dialect and
//!   **refuses** what it cannot read. The caller then writes [`NON_PARSABLE`], never the raw text;
//! - a [`SqlMode`]: the rules of go-sqllexer (`lexer`, `masking`, `normalizer`), which know dialects and never refuse.
//!
//! Where the agent lets a literal through and hiding it is possible without guessing, we hide it; the places say so.

mod chars;
mod config;
mod ends;
mod grouping;
mod keywords;
mod letters;
mod lexer;
mod masking;
mod normalizer;
mod tokenizer;
mod writer;

pub use config::{Dialect, SqlConfig, SqlMode};
use tokenizer::Reading;

/// What the agent writes in place of a statement that it cannot read.
pub const NON_PARSABLE: &str = "Non-parsable SQL query";

/// What the agent writes into a JSON document (query plan, search body) in place of SQL that it cannot read.
pub const PLAN_NON_PARSABLE: &str =
    "Datadog-agent failed to obfuscate SQL string. Enable agent debug logs for more info.";

/// The statement was refused: unterminated quotes, characters that no token starts with, not UTF-8, or nothing left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{NON_PARSABLE}")]
pub struct SqlError;

/// Obfuscates statements with one configuration, reusing its memory.
///
/// Like the agent's obfuscator it remembers whether backslashes were literal in the last statement for which that
/// mattered, and tries that reading first the next time. One value serves one thread at a time.
#[derive(Debug, Default)]
pub struct SqlObfuscator {
    config: SqlConfig,
    literal_backslashes: bool,
    scratch: Scratch,
}

/// Buffers that are kept from statement to statement.
#[derive(Debug, Default)]
struct Scratch {
    /// The unescaped text of a quoted name, or a name with its digits replaced.
    name: Vec<u8>,
    /// The second buffer of names: a name with its quotes removed.
    bare: Vec<u8>,
    /// The leading expression in parentheses, until it is known whether it stays.
    head: Vec<u8>,
}

impl SqlObfuscator {
    /// Makes an obfuscator for `config`.
    pub fn new(config: SqlConfig) -> Self {
        SqlObfuscator { config, ..Self::default() }
    }

    /// Appends the obfuscated `sql` to `out`, or leaves `out` as it was and refuses.
    ///
    /// `dbms` is the span's `db.type` ("postgresql", "mysql", "mssql", "oracle", "snowflake" and the tracers' other
    /// names for them; all else is generic). It counts only when a mode is set: the agent does not hand it to its own
    /// tokenizer. When it is empty, the configuration's `dbms` holds.
    pub fn obfuscate(&mut self, sql: &[u8], dbms: &str, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let dialect = Dialect::of(self.dbms(dbms));
        self.read_as(dialect, false, sql, out)
    }

    /// As [`obfuscate`](Self::obfuscate), and text in double quotes is hidden where `dbms` says that they hold text
    /// (MySQL, MariaDB, BigQuery, Spark, Hive). The agent shows it, so what was agreed with it is not done this way.
    pub fn hide(&mut self, sql: &[u8], dbms: &str, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let dialect = Dialect::hiding(self.dbms(dbms));
        self.read_as(dialect, dialect.has_quoted_text(), sql, out)
    }

    fn dbms<'d>(&'d self, dbms: &'d str) -> &'d str {
        if dbms.is_empty() { &self.config.dbms } else { dbms }
    }

    fn read_as(
        &mut self,
        dialect: Dialect,
        quoted_text: bool,
        sql: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        let Some(mode) = self.config.obfuscation_mode else {
            return self.tokenize(sql, quoted_text, out);
        };
        match mode {
            SqlMode::ObfuscateOnly => masking::mask(sql, dialect, &self.config, &mut self.scratch, out),
            SqlMode::NormalizeOnly | SqlMode::ObfuscateAndNormalize => {
                normalizer::normalize(sql, dialect, &self.config, &mut self.scratch, out);
            }
        }
        Ok(())
    }

    /// Appends the obfuscated `sql` found as a value in a JSON document to `out`; what is refused becomes
    /// [`PLAN_NON_PARSABLE`]. As in the agent, the result is not escaped again.
    pub fn obfuscate_in_json(&mut self, sql: &[u8], out: &mut Vec<u8>) {
        if self.obfuscate(sql, "", out).is_err() {
            out.extend_from_slice(PLAN_NON_PARSABLE.as_bytes());
        }
    }

    /// Forgets what earlier statements taught about backslashes.
    pub fn forget(&mut self) {
        self.literal_backslashes = false;
    }

    /// The agent's own tokenizer, with a second try if backslashes may have been read the wrong way.
    fn tokenize(&mut self, sql: &[u8], quoted_text: bool, out: &mut Vec<u8>) -> Result<(), SqlError> {
        // The agent's tokenizer stops with an error at the first byte that is not UTF-8, wherever it is.
        let sql = std::str::from_utf8(sql).map_err(|_| SqlError)?.as_bytes();
        let first = self.literal_backslashes;
        let reading = Reading { literal_backslashes: first, quoted_text };
        let Err(refusal) = tokenizer::run(sql, &self.config, reading, &mut self.scratch.name, out) else {
            return Ok(());
        };
        if !refusal.saw_backslash {
            return Err(SqlError);
        }
        let other = Reading { literal_backslashes: !first, ..reading };
        tokenizer::run(sql, &self.config, other, &mut self.scratch.name, out).map_err(|_| SqlError)?;
        self.literal_backslashes = !first;
        Ok(())
    }
}

/// Appends a comment that stays. One to the end of the line would swallow what follows, because a statement becomes one
/// line.
fn push_comment(comment: &[u8], out: &mut Vec<u8>) {
    if comment.starts_with(b"/*") {
        out.extend_from_slice(comment);
        return;
    }
    let mark = if comment.starts_with(b"#") { 1 } else { 2 };
    let text = comment.get(mark..).unwrap_or_default().trim_ascii();
    out.extend_from_slice(b"/* ");
    for (i, &b) in text.iter().enumerate() {
        out.push(b);
        if b == b'*' && text.get(i + 1) == Some(&b'/') {
            out.push(b' ');
        }
    }
    out.extend_from_slice(b" */");
}

/// Appends the obfuscated `sql` to `out` with nothing remembered; see [`SqlObfuscator::obfuscate`].
pub fn obfuscate(sql: &[u8], dbms: &str, config: &SqlConfig, out: &mut Vec<u8>) -> Result<(), SqlError> {
    SqlObfuscator::new(config.clone()).obfuscate(sql, dbms, out)
}
