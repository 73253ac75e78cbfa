//! The way of the moment: the plan of stages and the format, which follow from the settings and from what the
//! destination offers. Put together when one of them changes, and swapped as a whole, so that a send sees one
//! state.

use super::target::Grounds;
use crate::destination::{Offer, StatsOffer};
use crate::pipeline::stats_resources::{OBFUSCATION_VERSION, Terms};
use crate::pipeline::{self, Plan, Stats};
use crate::regexes::Budget;
use crate::settings::Metadata;
use std::sync::Arc;

/// How payloads go out.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) plan: Plan,
    pub(crate) offer: Arc<Offer>,
    /// Who sends.
    pub(crate) metadata: Arc<Metadata>,
    /// Filters of the peer that cannot be used, and why.
    pub(crate) unusable: Vec<String>,
    /// Whether the peer's filters are in force.
    takes_filters: bool,
}

impl Way {
    /// The way for these settings and this offer. What `before` has in common with it is not made again.
    pub(crate) fn new(grounds: Grounds<'_>, offer: Arc<Offer>, before: Option<&Way>) -> Self {
        let Grounds { config, metadata, compiled, concentrator } = grounds;
        let stats = match (&config.stats, concentrator, &offer.stats) {
            (Some(settings), Some(concentrator), Some(said)) => Some(Stats {
                settings,
                concentrator,
                peer_tags: &said.peer_tags,
                kinds: &said.kinds,
                terms: settings.obfuscate.then(|| terms(said)).flatten(),
            }),
            _ => None,
        };
        // What the peer would reject must not be counted.
        let takes_filters = (config.agent_filters || stats.is_some()) && offer.state.is_some();
        let same =
            before.filter(|way| way.takes_filters == takes_filters && way.offer.filters == offer.filters);
        let (filters, unusable) = match same {
            Some(before) => (before.plan.filters.clone(), before.unusable.clone()),
            None if takes_filters => {
                let budget = Budget::new(config.agent_filter_rules, config.agent_filter_bytes);
                let (theirs, unusable) = pipeline::filters(&offer.filters, budget);
                (compiled.filters.and(&theirs), unusable)
            }
            None => (compiled.filters.clone(), Vec::new()),
        };
        let plan =
            Plan::new(config, compiled, offer.format.clone(), stats.as_ref(), (filters, offer.defaults));
        Self { plan, offer, metadata: Arc::clone(metadata), unusable, takes_filters }
    }
}

/// What a peer says of resources in stats. `None`: it obfuscates them itself, or in a way that is not known here.
fn terms(said: &StatsOffer) -> Option<Terms<'_>> {
    (said.obfuscation_version == OBFUSCATION_VERSION)
        .then(|| Terms { sql_mode: &said.sql_mode, big_resource: said.big_resource })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Limit;
    use crate::pipeline::Compiled;
    use crate::settings::{Config, FilterRules, OutputFormat, RawConfig};

    fn offer(filters: FilterRules) -> Arc<Offer> {
        Arc::new(Offer {
            format: OutputFormat::V04.into(),
            endpoint: "/traces",
            has_fallback: false,
            why: String::new(),
            max_bytes: 1 << 20,
            limit: Limit::Default,
            filters,
            stats: None,
            statsd_port: None,
            state: Some(Arc::from("a")),
            defaults: Default::default(),
        })
    }

    #[test]
    fn filters_of_the_peer_are_taken_only_on_request_and_beside_ours() {
        let rules = FilterRules {
            reject: vec!["a".into()],
            require_regex: vec!["b:(".into()],
            ignore_resources: vec!["x".into()],
            ..FilterRules::default()
        };
        for on in [false, true] {
            let config = Config::new(RawConfig { agent_filters: Some(on), ..RawConfig::default() }).unwrap();
            let metadata = Arc::default();
            let compiled = Compiled::default();
            let grounds =
                Grounds { config: &config, metadata: &metadata, compiled: &compiled, concentrator: None };
            let way = Way::new(grounds, offer(rules.clone()), None);
            assert_eq!(way.plan.filters.is_empty(), !on);
            assert_eq!(way.unusable.len(), usize::from(on), "{:?}", way.unusable);
            let next = Way::new(grounds, offer(rules.clone()), Some(&way));
            assert_eq!(next.unusable, way.unusable);
            let none = Way::new(grounds, offer(FilterRules::default()), Some(&way));
            assert!(none.plan.filters.is_empty());
        }
    }
}
