//! What is agreed with an agent about resources in stats: who obfuscates them, and how (DESIGN.md 5).
//!
//! An agent that says `obfuscation_version` 1 knows resources that were obfuscated by a client as it would do it
//! itself, and leaves them alone when a body says so. Its SQL mode is the one thing that it lets a client choose for
//! it. An agent with other settings says another version; then, or with a mode that is not known here, resources stay
//! raw.

use crate::obfuscate::{ObfuscationConfig, Obfuscator, Scratch, resource_for_stats, sql::SqlMode};
use crate::stats::{MAX_BIG_RESOURCE, MAX_RESOURCE, Obfuscate, Resources};
use crate::trace::Verdict;
use parking_lot::Mutex;
use std::sync::Arc;

/// The version of the agent's rules that is known here; a body says it in `Datadog-Obfuscation-Version`.
pub(crate) const OBFUSCATION_VERSION: u32 = 1;

/// What an agent of this version says about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms<'a> {
    /// By its name; empty: the default tokenizer.
    pub(crate) sql_mode: &'a str,
    /// It takes longer resources.
    pub(crate) big_resource: bool,
}

/// What the stats stage does about resources. `by_span`: the spans are obfuscated before. `None`: nothing is claimed,
/// and the agent does it.
pub(crate) fn resources(terms: Terms<'_>, by_span: Option<&Obfuscator>) -> Option<Resources> {
    let mut config = ObfuscationConfig::off();
    if !terms.sql_mode.is_empty() {
        config.sql.obfuscation_mode = Some(SqlMode::named(terms.sql_mode)?);
    }
    let obfuscate: Option<Arc<dyn Obfuscate>> = match by_span {
        // Spans of another form are not what was agreed; the agent makes spans and stats alike.
        Some(other) if *other.sql_config() != config.sql => return None,
        Some(_) => None,
        None => {
            let obfuscator = Obfuscator::new(&config).ok()?;
            Some(Arc::new(ByType { obfuscator, free: Mutex::default() }))
        }
    };
    let max_bytes = if terms.big_resource { MAX_BIG_RESOURCE } else { MAX_RESOURCE };
    Some(Resources { obfuscate, max_bytes })
}

/// Obfuscates on any thread; memory to work in is lent.
#[derive(Debug)]
struct ByType {
    obfuscator: Obfuscator,
    free: Mutex<Vec<Scratch>>,
}

impl Obfuscate for ByType {
    fn resource(&self, span_type: &[u8], resource: &[u8], db_type: &[u8], out: &mut Vec<u8>) -> Verdict {
        let mut scratch = self.free.lock().pop().unwrap_or_else(|| self.obfuscator.scratch());
        let verdict = resource_for_stats(span_type, resource, db_type, &self.obfuscator, &mut scratch, out);
        self.free.lock().push(scratch);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(resources: &Resources, resource: &str, db_type: &str) -> String {
        let mut out = Vec::new();
        let by = resources.obfuscate.as_ref().unwrap();
        match by.resource(b"sql", resource.as_bytes(), db_type.as_bytes(), &mut out) {
            Verdict::Replace => String::from_utf8(out).unwrap(),
            _ => resource.to_owned(),
        }
    }

    #[test]
    fn the_agents_sql_mode_is_followed() {
        let statement = "SELECT * FROM t AS u WHERE a IN (1, 2) -- c";
        for (sql_mode, expected) in [
            ("", "SELECT * FROM t WHERE a IN ( ? )"),
            ("obfuscate_only", "SELECT * FROM t AS u WHERE a IN (?, ?) -- c"),
            ("obfuscate_and_normalize", "SELECT * FROM t WHERE a IN ( ? )"),
            ("normalize_only", "SELECT * FROM t WHERE a IN ( 1, 2 )"),
        ] {
            let agreed = resources(Terms { sql_mode, big_resource: false }, None).unwrap();
            assert_eq!(written(&agreed, statement, "postgres"), expected, "{sql_mode}");
            assert_eq!(agreed.max_bytes, 5000);
        }
        assert!(resources(Terms { sql_mode: "new", big_resource: false }, None).is_none());
        let big = resources(Terms { sql_mode: "", big_resource: true }, None).unwrap();
        assert_eq!(big.max_bytes, 15_000);
    }

    #[test]
    fn spans_that_are_obfuscated_already_are_not_touched_again() {
        let mut config = ObfuscationConfig::all();
        let same = Obfuscator::new(&config).unwrap();
        let agreed = resources(Terms::default(), Some(&same)).unwrap();
        assert!(agreed.obfuscate.is_none(), "nothing is left to do, and that is claimed");
        config.sql.obfuscation_mode = Some(SqlMode::ObfuscateOnly);
        let other = Obfuscator::new(&config).unwrap();
        assert!(resources(Terms::default(), Some(&other)).is_none(), "done, but not as agreed");
        let terms = Terms { sql_mode: "obfuscate_only", big_resource: false };
        assert!(resources(terms, Some(&other)).unwrap().obfuscate.is_none());
    }
}
