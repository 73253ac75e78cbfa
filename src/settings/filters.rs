//! Rules of trace filters as text. `trace` makes them ready to use.

use crate::error::{Error, ErrorKind};

/// Rules as text, as `/info` or the caller gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterRules {
    /// Every one of these tags must be there.
    pub require: Vec<String>,
    /// None of these tags may be there.
    pub reject: Vec<String>,
    /// As `require`, the value a regex.
    pub require_regex: Vec<String>,
    /// As `reject`, the value a regex.
    pub reject_regex: Vec<String>,
    /// Regexes of resources to leave out.
    pub ignore_resources: Vec<String>,
}

impl FilterRules {
    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Adds one rule as a command line has it: `require:KEY[:VALUE]`, `reject:KEY[:VALUE]`, `require~:` and `reject~:`
    /// with a regex as the value, `ignore:REGEX` for resources.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for anything else.
    pub fn add(&mut self, rule: &str) -> Result<(), Error> {
        let (kind, rest) = rule.split_once(':').unwrap_or((rule, ""));
        let rules = match kind {
            _ if rest.trim().is_empty() => None,
            "require" => Some(&mut self.require),
            "reject" => Some(&mut self.reject),
            "require~" => Some(&mut self.require_regex),
            "reject~" => Some(&mut self.reject_regex),
            "ignore" => Some(&mut self.ignore_resources),
            _ => None,
        };
        let wrong = || {
            let rule = format!(
                "the rule {rule:?} is none of require:KEY[:VALUE], reject:KEY[:VALUE], require~:KEY[:REGEX], \
                 reject~:KEY[:REGEX], ignore:REGEX"
            );
            Error::new(ErrorKind::InvalidArgument, rule)
        };
        rules.ok_or_else(wrong)?.push(rest.to_owned());
        Ok(())
    }

    /// These rules and those of `other`.
    pub fn extend(&mut self, other: &FilterRules) {
        self.require.extend_from_slice(&other.require);
        self.reject.extend_from_slice(&other.reject);
        self.require_regex.extend_from_slice(&other.require_regex);
        self.reject_regex.extend_from_slice(&other.reject_regex);
        self.ignore_resources.extend_from_slice(&other.ignore_resources);
    }

    /// The lists, with the setters that fill them and whether their values are regexes.
    pub(crate) fn lists(&self) -> [(&'static str, &[String], bool); 5] {
        [
            ("requireTag", &self.require, false),
            ("rejectTag", &self.reject, false),
            ("requireTagRegex", &self.require_regex, true),
            ("rejectTagRegex", &self.reject_regex, true),
            ("ignoreResource", &self.ignore_resources, true),
        ]
    }

    /// The key and the value of a rule about a tag: cut at the first colon, trimmed; without a value any will do.
    ///
    /// # Errors
    /// Why it is no rule.
    pub fn split(rule: &str) -> Result<(&str, Option<&str>), &'static str> {
        let whole = rule.trim();
        let (key, value) = match whole.split_once(':') {
            Some((key, value)) if !value.trim().is_empty() => (key.trim(), Some(value.trim())),
            _ => (whole, None),
        };
        if key.is_empty() || key.starts_with(':') { Err("it has no key") } else { Ok((key, value)) }
    }
}
