//! Settings that change while the exporter lives. Queue, spool, account and stats stay; what follows from the settings
//! is made anew: the ways of payloads always, the destinations only if they are concerned. Sends that have begun end
//! where they began.

use super::dispatch::Dispatcher;
use super::life::{DRY, Life};
use super::target::{Grounds, Target};
use super::watch::Severity;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind};
use crate::pipeline::Compiled;
use crate::settings::{Config, RawConfig};
use crate::transport::outlet::Outlet;
use std::sync::Arc;
use std::time::SystemTime;

/// The settings in force.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) config: Arc<Config>,
    /// The caller's filters and obfuscation, ready to use.
    pub(crate) compiled: Compiled,
    /// When they were changed last, and what was.
    pub(crate) changed: Option<(SystemTime, Vec<String>)>,
    /// How often they were.
    pub(crate) changes: u64,
}

/// What queue, stats and health stand on from the beginning.
const FIXED: [&str; 23] = [
    "inputFormat",
    "discovery",
    "closeTimeout",
    "queueBytes",
    "queuePayloads",
    "overflow",
    "blockWait",
    "senders",
    "batchBytes",
    "batchAge",
    "asyncBudget",
    "spool",
    "computeStats",
    "statsLimits",
    "statsReplay",
    "dogstatsd",
    "telemetry",
    "telemetryDebug",
    "telemetrySessionId",
    "telemetryRootSessionId",
    "telemetryParentSessionId",
    "runtimeId",
    "detectContainer",
];

/// What no destination knows: its connections and what it has said of itself may stay.
const NOT_OF_DESTINATIONS: [&str; 23] = [
    "service",
    "env",
    "version",
    "hostname",
    "gitCommitSha",
    "processTags",
    "requireTag",
    "rejectTag",
    "requireTagRegex",
    "rejectTagRegex",
    "ignoreResource",
    "onMalformed",
    "normalize",
    "obfuscate",
    "obfuscation",
    "obfuscationEnvironment",
    "computeTopLevel",
    "clientComputedTopLevel",
    "dropP0",
    "sendBudget",
    "maxBytesPerSecond",
    "capture",
    "dryRun",
];

impl Dispatcher {
    /// The settings in force.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read())
    }

    /// Puts other settings in force. `make` makes the destinations that they name.
    ///
    /// # Errors
    /// As at build; `INVALID_CONFIGURATION` naming a setting that cannot change; `CLOSED`. Nothing has changed then.
    pub(crate) fn reconfigure(
        self: &Arc<Self>,
        raw: RawConfig,
        make: impl Fn(&Arc<Config>, &Arc<Outlet>) -> Result<Vec<Arc<dyn Destination>>, Error>,
    ) -> Result<(), Error> {
        // One after the other.
        let _changing = self.changing.lock();
        if *self.life.lock() == Life::Closed {
            return Err(Error::new(ErrorKind::Closed, "the exporter is closed"));
        }
        let before = self.live();
        let changed = before.config.raw.differences(&raw);
        if let Some(fixed) = changed.iter().find(|name| FIXED.contains(&name.as_str())) {
            let text = format!("{fixed}: it cannot change while the exporter lives; build another exporter");
            return Err(Error::new(ErrorKind::InvalidConfiguration, text));
        }
        if changed.is_empty() {
            return Ok(());
        }
        let mut config = Config::new(raw)?;
        config.metadata.runtime_id.clone_from(&self.metadata.read().runtime_id);
        let config = Arc::new(config);
        let compiled = Compiled::new(&config)?;
        let capture = self.outlet.prepare(&config)?;
        let metadata = Arc::new(config.metadata.clone());
        let grounds = Grounds {
            config: &config,
            metadata: &metadata,
            compiled: &compiled,
            concentrator: self.concentrator.as_ref(),
        };
        let others = !changed.iter().all(|name| NOT_OF_DESTINATIONS.contains(&name.as_str()));
        let new = if others {
            let known = self.targets.all();
            let made = make(&config, &self.outlet)?.into_iter().map(|destination| {
                // The same address goes on counting.
                let same = known.iter().find(|it| it.destination.address() == destination.address());
                let taken = same.map(|it| Arc::clone(&it.taken)).unwrap_or_default();
                Target::taking(destination, grounds, &self.clock, taken)
            });
            Some(made.collect::<Vec<_>>())
        } else {
            None
        };
        self.outlet.put_in_force(&config, capture);
        // Whoever waits for the pace of before.
        self.queue.look_again();
        if config.dry_run && !before.config.dry_run {
            self.say(Severity::Info, DRY.to_owned());
        }
        let text = format!("settings have changed: {}", changed.join(", "));
        let changes = before.changes + 1;
        *self.metadata.write() = Arc::clone(&metadata);
        let changed = Some((self.clock.wall(), changed));
        *self.live.write() = Arc::new(Live { config: Arc::clone(&config), compiled, changed, changes });
        match new {
            Some(new) => {
                self.targets.replace_all(new);
                self.begin_dialogue();
            }
            None => self.targets.all().iter().for_each(|target| drop(self.renew_way(target))),
        }
        self.arrange_stats(false);
        self.say(Severity::Info, text);
        Ok(())
    }
}
