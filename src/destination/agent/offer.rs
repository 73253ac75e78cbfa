//! What an agent wants of bodies: which format, which size, which work it leaves to us. Follows from the
//! settings, from its `/info`, and from whether it has refused the format wanted.

use super::Info;
use crate::destination::{Limit, Offer, StatsOffer};
use crate::format::{self, Encoding};
use crate::settings::{Config, Defaults, FilterRules, OutputFormat, StatsForm};
use std::sync::Arc;

/// The largest request when the agent does not say what it takes: the real one's own default.
pub(crate) const DEFAULT_MAX_BYTES: usize = 25 * 1024 * 1024;

/// The offer. `refused`: the agent answered 404 to the format wanted.
pub(super) fn offer(config: &Config, info: Option<&Info>, refused: bool) -> Offer {
    let (format, why) = choose(config, info, refused);
    let said = info.and_then(Info::max_request_bytes).and_then(|n| usize::try_from(n).ok());
    let theirs = said.unwrap_or(DEFAULT_MAX_BYTES);
    let (max_bytes, limit) = match config.max_request_bytes {
        Some(ours) if ours < theirs => (ours, Limit::Setting),
        _ if said.is_some() => (theirs, Limit::Peer),
        Some(ours) if ours == theirs => (ours, Limit::Setting),
        _ => (theirs, Limit::Default),
    };
    Offer {
        has_fallback: format != OutputFormat::V04,
        endpoint: format.path(),
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

/// The encoding. An agent that is known and does not say that it reads native span events of v0.4 gets them as text.
fn encoding(format: OutputFormat, info: Option<&Info>) -> Encoding {
    match (format, info) {
        (OutputFormat::V04, Some(info)) if !info.fields.span_events => format::scanned_without_events(),
        _ => format.into(),
    }
}

fn choose(config: &Config, info: Option<&Info>, refused: bool) -> (OutputFormat, String) {
    let wanted = config.output_format;
    let offered = info.map(|i| i.offers(OutputFormat::V1.path()));
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
            let offer = offer(&config(setting), said.map(info).as_ref(), refused);
            assert_eq!(offer.endpoint, format.path(), "{setting} {said:?} {refused}");
            assert_eq!(offer.has_fallback, format != V04);
            assert!(offer.why.contains("outputFormat"), "{}", offer.why);
        }
    }

    #[test]
    fn the_largest_request_is_the_agents_or_its_default() {
        let limit = |ours: Option<u64>, said: Option<&str>| {
            let config = Config::new(RawConfig { max_request_bytes: ours, ..RawConfig::default() }).unwrap();
            let offer = offer(&config, said.map(info).as_ref(), false);
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
