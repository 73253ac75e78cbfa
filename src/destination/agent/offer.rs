//! What an agent wants of bodies: which format and endpoint, which size, which work it leaves to us. Follows from the
//! settings, from its `/info` or what trying has found in its place, and from which endpoints it has refused.

use super::Info;
use super::probe::{Found, V03, V04};
use crate::destination::{Limit, Offer, StatsOffer};
use crate::format::{self, Encoding};
use crate::settings::{Config, Defaults, FilterRules, OutputFormat, StatsForm};
use std::sync::Arc;

/// The largest request when the agent does not say what it takes: the real one's own default.
pub(crate) const DEFAULT_MAX_BYTES: usize = 25 * 1024 * 1024;

/// What is known of an agent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    /// Its `/info`.
    pub(super) info: Option<&'a Info>,
    /// What trying has found where `/info` says nothing.
    pub(super) found: Option<Found>,
    /// Which endpoints it has refused.
    pub(super) refused: Refused,
}

/// How far an agent has refused endpoints: the format wanted, then v0.4, then v0.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Refused {
    #[default]
    Nothing,
    Wanted,
    V04,
    /// All of them: this is no agent, or its APM is switched off. v0.4 is as good as any then.
    All,
}

impl Refused {
    /// What is refused when `endpoint` is.
    pub(super) fn with(endpoint: &str) -> Self {
        match endpoint {
            V04 => Self::V04,
            V03 => Self::All,
            _ => Self::Wanted,
        }
    }
}

/// The offer.
pub(super) fn offer(config: &Config, said: Said<'_>) -> Offer {
    let (format, why) = choose(config, &said);
    let Said { info, .. } = said;
    let (endpoint, has_fallback, why) = match format {
        OutputFormat::V04 => at_v04(&said, why),
        _ => (format.path(), true, why),
    };
    let told = info.and_then(Info::max_request_bytes).and_then(|n| usize::try_from(n).ok());
    let theirs = told.unwrap_or(DEFAULT_MAX_BYTES);
    let (max_bytes, limit) = match config.max_request_bytes {
        Some(ours) if ours < theirs => (ours, Limit::Setting),
        _ if told.is_some() => (theirs, Limit::Peer),
        Some(ours) if ours == theirs => (ours, Limit::Setting),
        _ => (theirs, Limit::Default),
    };
    Offer {
        has_fallback,
        endpoint,
        format: encoding(format, info),
        why,
        max_bytes,
        limit,
        filters: info.map(filters).unwrap_or_default(),
        stats: info.filter(|info| info.offers_stats()).map(stats),
        statsd_port: info.map(|info| info.fields.config.statsd_port).filter(|port| *port > 0),
        state: info.map(|info| Arc::clone(&info.state_hash)),
        defaults: Defaults::default(),
    }
}

/// The encoding. An agent that says what it takes, and not that it reads native span events of v0.4, gets them as
/// text; one that says nothing gets the bytes that came.
fn encoding(format: OutputFormat, info: Option<&Info>) -> Encoding {
    let reads_events = info.is_none_or(|info| info.fields.span_events);
    match format {
        OutputFormat::V04 if !reads_events => format::scanned_without_events(),
        _ => format.into(),
    }
}

/// Where v0.4 goes, whether another endpoint is left if that one refuses it, and why. v0.3 takes the same bytes.
fn at_v04(said: &Said<'_>, why: String) -> (&'static str, bool, String) {
    let lists = |endpoint| said.info.map(|info| info.offers(endpoint));
    let is_listed = lists(V04) == Some(true);
    let only_v03 = said.found == Some(Found::Endpoint(V03)) || (!is_listed && lists(V03) == Some(true));
    match said.refused {
        Refused::V04 => {
            (V03, true, "the agent has no /v0.4/traces, and /v0.3/traces takes the same".to_owned())
        }
        Refused::All => {
            let why = "the agent takes traces at no endpoint, so that this one is as good as any";
            (V04, false, why.to_owned())
        }
        _ if only_v03 => {
            (V03, true, "the agent has only /v0.3/traces, which takes what v0.4 does".to_owned())
        }
        _ => (V04, !is_listed, why),
    }
}

fn choose(config: &Config, said: &Said<'_>) -> (OutputFormat, String) {
    let wanted = config.output_format;
    let refused = said.refused != Refused::Nothing;
    // What was found by trying is what there is.
    let found = |format: OutputFormat| said.found.map(|found| found == Found::Endpoint(format.path()));
    let v1 = OutputFormat::V1;
    let offered = found(v1).or_else(|| said.info.map(|info| info.offers(v1.path())));
    let v04 = |why: &str| (OutputFormat::V04, why.to_owned());
    match (config.output_auto(), wanted) {
        (true, _) if refused => v04("`outputFormat` is AUTO; the agent lists v1 but answered 404 to it"),
        (true, _) => match offered {
            Some(true) => (OutputFormat::V1, "`outputFormat` is AUTO and the agent offers v1".to_owned()),
            Some(false) => v04("`outputFormat` is AUTO and the agent offers no v1"),
            None => v04("`outputFormat` is AUTO and what the agent offers is not known"),
        },
        (false, OutputFormat::V04) => v04("`outputFormat` is V04"),
        (false, _) if refused => v04("the agent answered 404 to the format of `outputFormat`"),
        (false, OutputFormat::V1) if offered == Some(false) => {
            v04("`outputFormat` is V1, but the agent does not offer it")
        }
        (false, _) if found(wanted) == Some(false) => {
            v04("the agent does not take the format of `outputFormat`")
        }
        (false, OutputFormat::V1) if offered.is_none() => {
            (wanted, "`outputFormat` is V1; whether the agent offers it is not known".to_owned())
        }
        (false, _) => (wanted, "it is `outputFormat`".to_owned()),
    }
}

fn stats(info: &Info) -> StatsOffer {
    let f = &info.fields;
    StatsOffer {
        peer_tags: f.peer_tags.clone(),
        kinds: f.span_kinds_stats_computed.clone(),
        obfuscation_version: f.obfuscation_version,
        sql_mode: f.config.obfuscation.sql_obfuscation_mode.clone(),
        big_resource: info.has_flag("big_resource"),
        form: StatsForm::Agent,
    }
}

fn filters(info: &Info) -> FilterRules {
    let f = &info.fields;
    FilterRules {
        require: f.filter_tags.require.clone(),
        reject: f.filter_tags.reject.clone(),
        require_regex: f.filter_tags_regex.require.clone(),
        reject_regex: f.filter_tags_regex.reject.clone(),
        ignore_resources: f.ignore_resources.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::info::parse_for_tests as info;
    use super::*;
    use crate::settings::RawConfig;

    fn config(format: &str) -> Config {
        Config::new(RawConfig { output_format: Some(format.to_owned()), ..RawConfig::default() }).unwrap()
    }

    const WITH: &str = r#"{"endpoints":["/v0.4/traces","/v1.0/traces"]}"#;
    const WITHOUT: &str = r#"{"endpoints":["/v0.4/traces"]}"#;

    #[test]
    fn the_format_follows_setting_offer_and_refusal() {
        use OutputFormat::{V1, V04, V05};
        for (setting, said, refused, format) in [
            ("V04", Some(WITH), false, V04),
            ("V05", Some(WITH), false, V05),
            ("V05", None, true, V04),
            ("V1", None, false, V1),
            ("V1", Some(WITH), false, V1),
            ("V1", Some(WITHOUT), false, V04),
            ("V1", Some(WITH), true, V04),
            ("V1", None, true, V04),
            ("AUTO", None, false, V04),
            ("AUTO", Some(WITH), false, V1),
            ("AUTO", Some(WITHOUT), false, V04),
            ("AUTO", Some(WITH), true, V04),
        ] {
            let info = said.map(info);
            let refused = if refused { Refused::Wanted } else { Refused::Nothing };
            let offer = offer(&config(setting), Said { info: info.as_ref(), refused, ..Said::default() });
            assert_eq!(offer.endpoint, format.path(), "{setting} {said:?} {refused:?}");
            // Only of an agent that lists v0.4 is it known that nothing older is needed.
            assert_eq!(offer.has_fallback, format != V04 || said.is_none());
            assert!(offer.why.contains("outputFormat"), "{}", offer.why);
        }
    }

    #[test]
    fn the_endpoint_follows_what_is_listed_what_trying_has_found_and_what_was_refused() {
        let only_v03 = r#"{"endpoints":["/v0.3/traces"]}"#;
        let at = Found::Endpoint;
        for (setting, listed, found, refused, endpoint, has_fallback) in [
            ("V04", None, None, Refused::Nothing, V04, true),
            ("V04", None, Some(at(V04)), Refused::Nothing, V04, true),
            ("V04", None, Some(at(V03)), Refused::Nothing, V03, true),
            ("V04", None, Some(Found::Nothing), Refused::Nothing, V04, true),
            ("V04", None, None, Refused::V04, V03, true),
            ("V04", None, Some(at(V03)), Refused::All, V04, false),
            ("V04", Some(only_v03), None, Refused::Nothing, V03, true),
            ("V04", Some(WITH), None, Refused::Nothing, V04, false),
            ("V05", None, Some(at("/v0.5/traces")), Refused::Nothing, "/v0.5/traces", true),
            ("V05", None, Some(at(V04)), Refused::Nothing, V04, true),
            ("V05", None, Some(at(V03)), Refused::Nothing, V03, true),
            ("V1", None, Some(at("/v1.0/traces")), Refused::Nothing, "/v1.0/traces", true),
            ("V1", None, Some(at(V03)), Refused::Nothing, V03, true),
            ("V1", Some(only_v03), None, Refused::Nothing, V03, true),
            ("V1", None, None, Refused::All, V04, false),
            ("AUTO", None, Some(at(V04)), Refused::Nothing, V04, true),
            ("AUTO", Some(only_v03), None, Refused::Nothing, V03, true),
        ] {
            let info = listed.map(info);
            let offer = offer(&config(setting), Said { info: info.as_ref(), found, refused });
            let case = format!("{setting} {listed:?} {found:?} {refused:?}: {}", offer.why);
            assert_eq!((offer.endpoint, offer.has_fallback), (endpoint, has_fallback), "{case}");
            assert!(offer.stats.is_none() && offer.filters == FilterRules::default(), "{case}");
            // Events become text for an agent that says what it takes, and not that it takes them.
            if endpoint == V04 || endpoint == V03 {
                assert_eq!(offer.format == format::scanned_without_events(), listed.is_some(), "{case}");
            }
        }
    }

    #[test]
    fn the_largest_request_is_the_agents_or_its_default() {
        let limit = |ours: Option<u64>, said: Option<&str>| {
            let config = Config::new(RawConfig { max_request_bytes: ours, ..RawConfig::default() }).unwrap();
            let info = said.map(info);
            let offer = offer(&config, Said { info: info.as_ref(), ..Said::default() });
            (offer.max_bytes, offer.limit)
        };
        let says = |n: u64| format!(r#"{{"config":{{"max_request_bytes":{n}}}}}"#);
        assert_eq!(limit(None, None), (25 << 20, Limit::Default));
        assert_eq!(limit(None, Some(&says(1000))), (1000, Limit::Peer));
        assert_eq!(limit(Some(2000), Some(&says(5000))), (2000, Limit::Setting));
        assert_eq!(limit(Some(9000), Some(&says(5000))), (5000, Limit::Peer));
        assert_eq!(limit(Some(2000), None), (2000, Limit::Setting));
    }
}
