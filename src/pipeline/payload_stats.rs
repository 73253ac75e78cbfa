//! Stats of payloads without an exporter.

use super::stats_resources::Terms;
use super::{Compiled, Plan, Stats, Workspace};
use crate::error::{Error, ErrorKind};
use crate::format;
use crate::settings::{Config, Defaults, Metadata, RawConfig};
use crate::stats::{Clock, Concentrator, StatsReport};
use crate::trace::Filters;
use std::sync::Arc;
use std::time::Duration;

/// Stats of payloads (msgpack v0.4) without an exporter: for tools.
///
/// ```
/// use data_pipeline::PayloadStats;
///
/// let mut stats = PayloadStats::new(true, false)?;
/// stats.add(b"\x91\x91\x83\xa8trace_id\x01\xa7span_id\x02\xa4name\xa2op")?;
/// println!("{}", stats.report().to_json());
/// # Ok::<(), data_pipeline::Error>(())
/// ```
#[derive(Debug)]
pub struct PayloadStats {
    plan: Plan,
    concentrator: Arc<Concentrator>,
    workspace: Workspace,
}

impl PayloadStats {
    /// `now`: spans that ended long ago are counted in the current bucket, as an exporter does it; else every span in
    /// the bucket in which it ended. `obfuscate`: resources as they would be agreed with an agent.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(now: bool, obfuscate: bool) -> Result<Self, Error> {
        let raw = RawConfig {
            compute_stats: Some(Duration::from_secs(10)),
            stats_replay: Some(!now),
            on_malformed: Some("FAIL".to_owned()),
            ..RawConfig::default()
        };
        let config = Config::new(raw)?;
        let Some(settings) = &config.stats else {
            return Err(Error::new(ErrorKind::Internal, "stats are not computed"));
        };
        let concentrator =
            Arc::new(Concentrator::new(settings.bucket, settings.limits, Clock::of(settings.replay)));
        let terms = obfuscate.then(Terms::default);
        let stats = Stats { settings, concentrator: &concentrator, peer_tags: &[], kinds: &[], terms };
        let none = Compiled::default();
        let plan = Plan::new(
            &config,
            &none,
            format::scanned(),
            Some(&stats),
            (Filters::default(), Defaults::default()),
        );
        Ok(Self { plan, concentrator, workspace: Workspace::default() })
    }

    /// Counts the spans of a payload.
    ///
    /// # Errors
    /// `MALFORMED_PAYLOAD` or `TRUNCATED_PAYLOAD` with the place; nothing of it is counted then.
    pub fn add(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.workspace.prepare(&self.plan, payload, &Metadata::default()).map(drop)
    }

    /// What was counted so far.
    pub fn report(&self) -> StatsReport {
        self.concentrator.report()
    }
}
