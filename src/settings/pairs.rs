//! Pairs of settings without effect (the table lists them): refused and named, so that nobody believes in a setting
//! that does nothing.

use super::RawConfig;
use crate::error::{Error, ErrorKind};

impl RawConfig {
    /// Refuses pairs without effect. A setting that comes from the environment gives way to the caller's: whoever wrote
    /// the variable does not know the program.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        while let Some((_, setting, why)) = self.pairs().into_iter().find(|(there, ..)| *there) {
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
