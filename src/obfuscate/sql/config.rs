//! The options of SQL obfuscation, named as the agent names them (`apm_config.obfuscation.sql` and `/info`).

use serde::{Deserialize, Serialize};

/// Options of SQL obfuscation. All off is what an agent with default settings does.
///
/// With no `obfuscation_mode`, only `replace_digits`, `keep_sql_alias`, `dollar_quoted_func`, `table_names` and
/// `keep_comments` count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlConfig {
    /// Which rules of go-sqllexer to apply; none: the agent's own tokenizer.
    #[serde(deserialize_with = "mode_or_none")]
    pub obfuscation_mode: Option<SqlMode>,
    /// The dialect of statements that come without one. Counts only when a mode is set.
    pub dbms: String,
    /// Runs of digits in names become `?`.
    pub replace_digits: bool,
    /// `AS name` stays.
    pub keep_sql_alias: bool,
    /// The text between `$func$` and `$func$` is SQL, to be obfuscated, not hidden as a whole.
    pub dollar_quoted_func: bool,
    /// The token after `FROM`, `JOIN`, `UPDATE` or `INTO` is a table's name, whatever it looks like.
    pub table_names: bool,
    /// Modes: NULL stays.
    pub keep_null: bool,
    /// Modes: TRUE and FALSE stay.
    pub keep_boolean: bool,
    /// Modes: `$1` stays.
    pub keep_positional_parameter: bool,
    /// Normalizing modes: the `;` at the end stays.
    pub keep_trailing_semicolon: bool,
    /// Normalizing modes: quotes around names stay.
    pub keep_identifier_quotation: bool,
    /// Normalizing modes: no space inside of parentheses and brackets.
    pub remove_space_between_parentheses: bool,
    /// Modes: `@p1` (and Oracle's `:p1`) becomes `?`.
    pub replace_bind_parameter: bool,
    /// Modes: a literal right after a JSON operator stays.
    pub keep_json_path: bool,
    /// Comments stay, those to the end of a line between `/*` and `*/`. The agent has no such option.
    pub keep_comments: bool,
}

/// What the rules of go-sqllexer are to do with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlMode {
    /// Spaces, comments, aliases and quotes are brought into one form; literals **stay**.
    NormalizeOnly,
    /// Literals become `?`; all else stays as it is, spaces and comments included.
    ObfuscateOnly,
    /// Both.
    ObfuscateAndNormalize,
}

impl SqlMode {
    /// The mode of that name (`normalize_only`, `obfuscate_only`, `obfuscate_and_normalize`), if it is one.
    pub fn named(name: &str) -> Option<SqlMode> {
        match name {
            "normalize_only" => Some(SqlMode::NormalizeOnly),
            "obfuscate_only" => Some(SqlMode::ObfuscateOnly),
            "obfuscate_and_normalize" => Some(SqlMode::ObfuscateAndNormalize),
            _ => None,
        }
    }
}

/// The agent's configuration writes "no mode" as an empty text.
fn mode_or_none<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<SqlMode>, D::Error> {
    let name: Option<String> = Option::deserialize(input)?;
    match name.as_deref() {
        None | Some("") => Ok(None),
        Some(name) => SqlMode::named(name).map(Some).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "obfuscation_mode is {name:?}, but must be normalize_only, obfuscate_only or obfuscate_and_normalize"
            ))
        }),
    }
}

/// The dialects that go-sqllexer tells apart. PostgreSQL is read like generic SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Everything else.
    #[default]
    Generic,
    /// `[name]`, `#temp`, `$action`; backslashes are literal.
    SqlServer,
    /// `"text"`, `` `name` ``, `# comment`.
    MySql,
    /// `:bind`; backslashes are literal.
    Oracle,
    /// `@stage` is a name.
    Snowflake,
    /// `"text"`: MariaDB, BigQuery, Spark, Hive, of which the agent knows nothing.
    QuotedText,
}

impl Dialect {
    /// The dialect behind a `db.type`, matched exactly as the agent does.
    pub fn of(dbms: &str) -> Dialect {
        match dbms {
            "mssql" | "sql-server" | "sqlserver" => Dialect::SqlServer,
            "mysql" => Dialect::MySql,
            "oracle" => Dialect::Oracle,
            "snowflake" => Dialect::Snowflake,
            _ => Dialect::Generic,
        }
    }

    /// The dialect for hiding what the agent would show: as [`of`](Self::of), but those count too whose double quotes
    /// hold text.
    pub fn hiding(dbms: &str) -> Dialect {
        match dbms {
            "mariadb" | "bigquery" | "spark" | "hive" => Dialect::QuotedText,
            _ => Self::of(dbms),
        }
    }

    /// Whether double quotes hold text, not a name.
    pub(super) fn has_quoted_text(self) -> bool {
        matches!(self, Dialect::MySql | Dialect::QuotedText)
    }
}
