//! Pairs of settings without effect (the table lists them): refused and named, so that nobody believes in a setting
//! that does nothing.

use super::{Destination, RawConfig};
use crate::error::{Error, ErrorKind};

impl RawConfig {
    /// Settings that are about an agent where payloads go to none.
    fn without_agent(&self) -> [(bool, &'static str, &'static str); 4] {
        let none =
            |is: fn(&Destination) -> bool| !self.destination.is_empty() && !self.destination.iter().any(is);
        let no_agent = none(|to| matches!(to, Destination::Agent(_)));
        let no_telemetry = none(|to| matches!(to, Destination::Agent(_) | Destination::Intake(_)));
        let only_lines = none(|to| !matches!(to, Destination::Log(_)));
        [
            (
                no_agent && self.output_format.is_some(),
                "outputFormat",
                "outputFormat has no effect with a destination that is no agent: it has a format of its own",
            ),
            (
                no_agent && self.agent_filters == Some(true),
                "agentFilters",
                "agentFilters has no effect with a destination that is no agent: it has no filters",
            ),
            (
                only_lines && self.compute_stats.is_some(),
                "computeStats",
                "computeStats has no effect with log lines: they have no place for stats",
            ),
            (
                no_telemetry && self.telemetry.is_some(),
                "telemetry",
                "telemetry has no effect with OTLP and log lines: only an agent and Datadog's intake take it",
            ),
        ]
    }

    /// Refuses pairs without effect. A setting that comes from the environment gives way to the caller's: whoever wrote
    /// the variable does not know the program.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        while let Some((_, setting, why)) =
            self.pairs().into_iter().chain(self.without_agent()).find(|(there, ..)| *there)
        {
            let Some(at) = self.origins.iter().position(|(known, _)| known == setting) else {
                return Err(Error::new(ErrorKind::InvalidConfiguration, why));
            };
            let (_, variable) = self.origins.remove(at);
            if let Some(slot) = self.slot(setting) {
                slot.clear();
            }
            self.skipped.push((variable, why.to_owned()));
        }
        Ok(())
    }
}
