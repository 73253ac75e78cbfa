//! What the settings say as text, made ready to use: regexes of filters, obfuscation rules.

use super::filters;
use crate::error::Error;
use crate::obfuscate::{ObfuscationConfig, Obfuscator};
use crate::regexes::Budget;
use crate::settings::Config;
use crate::trace::Filters;
use std::sync::Arc;

/// Made once, when an exporter is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    /// The caller's filters.
    pub(crate) filters: Filters,
    /// What hides secrets, if anything shall.
    pub(crate) obfuscator: Option<Arc<Obfuscator>>,
}

impl Compiled {
    /// # Errors
    /// `INVALID_CONFIGURATION`; the message names the setter or the variable.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        Filters::check(&config.filters)?;
        let filters = filters(&config.filters, Budget::unbounded()).0;
        Ok(Self { filters, obfuscator: obfuscator(config)? })
    }
}

impl Compiled {
    /// Checks one variable that says how to obfuscate.
    pub(crate) fn check_variable(variable: &str, value: &str) -> Result<(), Error> {
        let rules = ObfuscationConfig::from_environment(|name| (name == variable).then(|| value.to_owned()))?;
        Obfuscator::new(&rules).map(drop)
    }
}

/// What is said of obfuscation is checked also while it is off, so that switching it on is no surprise.
fn obfuscator(config: &Config) -> Result<Option<Arc<Obfuscator>>, Error> {
    let beyond = config.destinations.iter().any(|peer| peer.defaults().prepares);
    let wanted = config.obfuscate.unwrap_or(beyond || config.raw.obfuscation.is_some());
    let variables = &config.raw.obfuscation_environment;
    let rules = match &config.raw.obfuscation {
        Some(json) => ObfuscationConfig::from_json(json)?,
        None if !wanted && variables.is_empty() => return Ok(None),
        None => ObfuscationConfig::from_environment(|name| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })?,
    };
    let obfuscator = Obfuscator::new(&rules)?;
    Ok(wanted.then(|| Arc::new(obfuscator)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::settings::{Builder, RawConfig};

    fn error_of(builder: Builder) -> Error {
        let config = Config::new(builder.into_raw()).unwrap();
        Compiled::new(&config).unwrap_err()
    }

    #[test]
    fn a_text_that_cannot_be_used_names_its_setter_or_variable() {
        let builder = Builder::default;
        let variable = |value: &str| vec![("DD_APM_OBFUSCATION_REDIS_ENABLED".to_owned(), value.to_owned())];
        for (bad, word) in [
            (builder().require_tag_regex("a:("), "requireTagRegex"),
            (builder().reject_tag_regex("a:("), "rejectTagRegex"),
            (builder().ignore_resource("("), "ignoreResource"),
            (builder().obfuscation(r#"{"redis": {"on": 1}}"#), "obfuscation"),
            (builder().obfuscation("{").obfuscate(false), "obfuscation"),
            (builder().obfuscation_environment(variable("maybe")), "DD_APM_OBFUSCATION_REDIS_ENABLED"),
        ] {
            let e = error_of(bad);
            assert_eq!(e.kind(), ErrorKind::InvalidConfiguration);
            assert!(e.message().starts_with(word), "{e}");
        }
        let none = Compiled::new(&Config::new(RawConfig::default()).unwrap()).unwrap();
        assert!(none.filters.is_empty() && none.obfuscator.is_none());
    }
}
