//! Settings of client-side stats, checked.

use super::{RawConfig, invalid};
use crate::error::Error;
use crate::stats::{Clock, MAX_ADDITIONAL, StatsLimits};
use std::time::Duration;

/// How stats are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSettings {
    /// How long a bucket lasts.
    pub bucket: Duration,
    /// Peer tags beside those that the agent names.
    pub peer_tags: Vec<String>,
    /// Tags that tell groups apart beside the fixed fields, at most [`MAX_ADDITIONAL`].
    pub additional_metric_tags: Vec<String>,
    /// Limits of a bucket.
    pub limits: StatsLimits,
    /// Which bucket a span belongs to.
    pub clock: Clock,
    /// Whether resources are obfuscated here when the agent agrees.
    pub obfuscate: bool,
}

/// A bucket lasts no longer.
const LONGEST: u64 = 600_000;

/// Checks what the caller wants of stats. `None`: we compute none.
pub(super) fn settings(raw: &RawConfig) -> Result<Option<StatsSettings>, Error> {
    let Some(ms) = raw.compute_stats_ms else {
        let unused = [
            ("peerTag", !raw.peer_tags.is_empty()),
            ("additionalMetricTag", !raw.additional_metric_tags.is_empty()),
            ("statsLimits", raw.stats_limits.is_some()),
            ("statsReplay", raw.stats_replay),
            ("obfuscateStats", raw.obfuscate_stats.is_some()),
        ];
        return match unused.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(invalid(format!("{name} has no effect without computeStats"))),
            None => Ok(None),
        };
    };
    if raw.client_computed_stats {
        return Err(invalid(
            "clientComputedStats and computeStats exclude each other: every span would be counted twice"
                .to_owned(),
        ));
    }
    if !(1000..=LONGEST).contains(&ms) {
        return Err(invalid(format!("computeStats is {ms} ms; a bucket lasts 1000 to {LONGEST} ms")));
    }
    if raw.additional_metric_tags.len() > MAX_ADDITIONAL {
        return Err(invalid(format!(
            "additionalMetricTag: {} were given; at most {MAX_ADDITIONAL} are used",
            raw.additional_metric_tags.len()
        )));
    }
    let keys = raw.peer_tags.iter().chain(&raw.additional_metric_tags);
    if keys.into_iter().any(String::is_empty) {
        return Err(invalid("peerTag and additionalMetricTag need a key".to_owned()));
    }
    let limits = match raw.stats_limits {
        None => StatsLimits::default(),
        Some([whole_key, fields @ ..]) => {
            if fields.iter().any(|limit| !(1..whole_key).contains(limit)) || whole_key > 1_000_000 {
                return Err(invalid(format!(
                    "statsLimits are {whole_key} {fields:?}; each must be at least 1, and that of the whole key the largest, \
                     at most 1000000"
                )));
            }
            let [resource, http_endpoint, peer_tags, additional_tags] = fields;
            StatsLimits { whole_key, resource, http_endpoint, peer_tags, additional_tags }
        }
    };
    Ok(Some(StatsSettings {
        bucket: Duration::from_millis(ms),
        peer_tags: raw.peer_tags.clone(),
        additional_metric_tags: raw.additional_metric_tags.clone(),
        limits,
        clock: if raw.stats_replay { Clock::Replay } else { Clock::Wall },
        obfuscate: raw.obfuscate_stats.unwrap_or(true),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_computed_by_us_or_by_the_tracer_or_by_nobody() {
        let raw = RawConfig::default;
        assert_eq!(settings(&raw()).unwrap(), None);
        assert_eq!(settings(&RawConfig { client_computed_stats: true, ..raw() }).unwrap(), None);
        let ours = settings(&RawConfig { compute_stats_ms: Some(10_000), ..raw() }).unwrap().unwrap();
        assert_eq!((ours.bucket, ours.limits.whole_key), (Duration::from_secs(10), 7000));
        for (bad, word) in [
            (
                RawConfig { client_computed_stats: true, compute_stats_ms: Some(10_000), ..raw() },
                "clientComputedStats",
            ),
            (RawConfig { compute_stats_ms: Some(999), ..raw() }, "computeStats"),
            (RawConfig { compute_stats_ms: Some(600_001), ..raw() }, "computeStats"),
            (RawConfig { peer_tags: vec!["a".into()], ..raw() }, "peerTag"),
            (
                RawConfig {
                    compute_stats_ms: Some(10_000),
                    stats_limits: Some([7000, 7000, 1, 1, 1]),
                    ..raw()
                },
                "statsLimits",
            ),
            (
                RawConfig {
                    compute_stats_ms: Some(10_000),
                    additional_metric_tags: vec!["k".into(); 5],
                    ..raw()
                },
                "additionalMetricTag",
            ),
        ] {
            let e = settings(&bad).unwrap_err();
            assert!(e.message().contains(word), "{e}");
        }
    }
}
