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
mod grouping;
mod keywords;
mod letters;
mod lexer;
mod masking;
mod normalizer;
mod tokenizer;
mod writer;

pub use config::{Dialect, SqlConfig, SqlMode};

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
        let Some(mode) = self.config.obfuscation_mode else {
            return self.tokenize(sql, out);
        };
        let dialect = Dialect::of(if dbms.is_empty() { &self.config.dbms } else { dbms });
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
    fn tokenize(&mut self, sql: &[u8], out: &mut Vec<u8>) -> Result<(), SqlError> {
        // The agent's tokenizer stops with an error at the first byte that is not UTF-8, wherever it is.
        let sql = std::str::from_utf8(sql).map_err(|_| SqlError)?.as_bytes();
        let first = self.literal_backslashes;
        let Err(refusal) = tokenizer::run(sql, &self.config, first, &mut self.scratch.name, out) else {
            return Ok(());
        };
        if !refusal.saw_backslash {
            return Err(SqlError);
        }
        tokenizer::run(sql, &self.config, !first, &mut self.scratch.name, out).map_err(|_| SqlError)?;
        self.literal_backslashes = !first;
        Ok(())
    }
}

/// Appends the obfuscated `sql` to `out` with nothing remembered; see [`SqlObfuscator::obfuscate`].
pub fn obfuscate(sql: &[u8], dbms: &str, config: &SqlConfig, out: &mut Vec<u8>) -> Result<(), SqlError> {
    SqlObfuscator::new(config.clone()).obfuscate(sql, dbms, out)
}
