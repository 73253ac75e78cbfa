//! The headers of a request. What never changes is put together once per exporter; a send adds its counts.
//!
//! Names and values are those of dd-trace-java and the Datadog agent: an empty value is left out, `true` is the only
//! value of the "client computed" flags (the agent takes `no` for true as well), counts appear only when there is
//! something to count. The caller's own headers come last and win over ours.

use super::entity::Entity;
use crate::destination::TelemetryMessage;
use crate::settings::Config;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

/// The header blocks of one exporter.
#[derive(Clone, Debug)]
pub struct Headers {
    traces: HeaderMap,
    stats: HeaderMap,
    info: HeaderMap,
    size: usize,
}

/// What a trace request says about itself.
#[derive(Clone, Debug, Default)]
pub(super) struct PerSend {
    pub(super) trace_count: u64,
    pub(super) dropped_p0_traces: u64,
    pub(super) dropped_p0_spans: u64,
    pub(super) computed_stats: bool,
    pub(super) computed_top_level: bool,
    pub(super) rates_version: Option<HeaderValue>,
}

const TRACE_COUNT: HeaderName = HeaderName::from_static("x-datadog-trace-count");
const COMPUTED_STATS: HeaderName = HeaderName::from_static("datadog-client-computed-stats");
const COMPUTED_TOP_LEVEL: HeaderName = HeaderName::from_static("datadog-client-computed-top-level");
const DROPPED_TRACES: HeaderName = HeaderName::from_static("datadog-client-dropped-p0-traces");
const DROPPED_SPANS: HeaderName = HeaderName::from_static("datadog-client-dropped-p0-spans");
const OBFUSCATION: HeaderName = HeaderName::from_static("datadog-obfuscation-version");
/// Sent with the version of the rates we know, answered with the agent's.
pub(super) const RATES_VERSION: HeaderName = HeaderName::from_static("datadog-rates-payload-version");
/// SHA-256 of the agent's `/info`.
pub(super) const AGENT_STATE: HeaderName = HeaderName::from_static("datadog-agent-state");
/// Hash of the container tags that the agent knows.
pub(super) const TAGS_HASH: HeaderName = HeaderName::from_static("datadog-container-tags-hash");

impl Headers {
    /// Puts the constant blocks together. `detected` is what `/proc` says; the caller's own ids win over it.
    pub fn new(config: &Config, detected: &Entity) -> Self {
        let m = &config.metadata;
        let first = |own: &str, detected: &str| -> String {
            if own.is_empty() { detected.to_owned() } else { own.to_owned() }
        };
        let container_id = first(&m.container_id, &detected.container_id);
        let entity_id = first(&m.entity_id, &detected.entity_id);

        let mut common = HeaderMap::with_capacity(24);
        for (name, value) in [
            ("datadog-meta-lang", &m.language),
            ("datadog-meta-lang-version", &m.language_version),
            ("datadog-meta-lang-interpreter", &m.language_interpreter),
            ("datadog-meta-lang-interpreter-vendor", &m.language_vendor),
            ("datadog-meta-tracer-version", &m.tracer_version),
            ("datadog-container-id", &container_id),
            ("datadog-entity-id", &entity_id),
            ("datadog-external-env", &m.external_env),
            ("x-datadog-test-session-token", &config.test_session_token),
        ] {
            insert(&mut common, name, value);
        }
        let msgpack = HeaderValue::from_static("application/msgpack");
        let mut stats = common.clone();
        stats.insert("content-type", msgpack);
        let mut traces = stats.clone();
        // The agent answers 200 and drops under overload unless asked for the real status.
        traces.insert("datadog-send-real-http-status", HeaderValue::from_static("1"));

        let mut info = common;
        for block in [&mut traces, &mut stats, &mut info] {
            add_own(block, &config.headers);
        }
        // Host, lengths and counts come on top of the constant block.
        let size = 512 + traces.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum::<usize>();
        Self { traces, stats, info, size }
    }

    /// Roughly how many bytes a request's head has.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The headers of a trace request.
    pub(super) fn for_traces(&self, send: &PerSend) -> HeaderMap {
        let mut headers = self.traces.clone();
        headers.insert(TRACE_COUNT, HeaderValue::from(send.trace_count));
        for (flag, name) in
            [(send.computed_stats, COMPUTED_STATS), (send.computed_top_level, COMPUTED_TOP_LEVEL)]
        {
            if flag {
                headers.insert(name, HeaderValue::from_static("true"));
            }
        }
        for (count, name) in
            [(send.dropped_p0_traces, DROPPED_TRACES), (send.dropped_p0_spans, DROPPED_SPANS)]
        {
            if count > 0 {
                headers.insert(name, HeaderValue::from(count));
            }
        }
        if let Some(version) = &send.rates_version {
            headers.insert(RATES_VERSION, version.clone());
        }
        headers
    }

    /// The headers of a stats request; with a version, the agent leaves the resources as they are.
    pub(super) fn for_stats(&self, obfuscation_version: Option<u32>) -> HeaderMap {
        let mut headers = self.stats.clone();
        if let Some(version) = obfuscation_version {
            headers.insert(OBFUSCATION, HeaderValue::from(version));
        }
        headers
    }

    /// The headers of a payload without traces that tries an endpoint. It counts nothing, as that of the Java tracer.
    pub(super) fn for_trying(&self) -> HeaderMap {
        self.stats.clone()
    }

    /// The headers of a message of telemetry.
    pub(super) fn for_telemetry(&self, message: &TelemetryMessage) -> HeaderMap {
        let mut headers = self.info.clone();
        message.headers.iter().for_each(|(name, value)| insert(&mut headers, name, value));
        headers
    }

    /// The headers of `GET /info`.
    pub(super) fn for_info(&self) -> HeaderMap {
        self.info.clone()
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if value.is_empty() {
        return;
    }
    // `Config` has refused what no header may hold, so nothing is lost here.
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn add_own(headers: &mut HeaderMap, own: &[(String, String)]) {
    for (i, (name, value)) in own.iter().enumerate() {
        let (Ok(key), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        else {
            continue;
        };
        let again = own.iter().take(i).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name));
        if again {
            headers.append(key, value);
        } else {
            headers.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Builder, RawConfig};

    fn headers(raw: RawConfig, detected: &Entity) -> Headers {
        Headers::new(&Config::new(raw).unwrap(), detected)
    }

    fn text(map: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> =
            map.iter().map(|(n, v)| format!("{n}: {}", String::from_utf8_lossy(v.as_bytes()))).collect();
        lines.sort();
        lines
    }

    #[test]
    fn an_exporter_without_metadata_sends_no_empty_headers() {
        let h = headers(RawConfig::default(), &Entity::default());
        assert_eq!(
            text(&h.for_traces(&PerSend::default())),
            [
                "content-type: application/msgpack",
                "datadog-send-real-http-status: 1",
                "x-datadog-trace-count: 0"
            ]
        );
        assert_eq!(text(&h.for_stats(None)), ["content-type: application/msgpack"]);
        assert_eq!(text(&h.for_info()), [] as [&str; 0]);
    }

    #[test]
    fn a_send_says_what_it_carries_and_nothing_else() {
        let h = headers(RawConfig::default(), &Entity::default());
        let send = PerSend {
            trace_count: 7,
            dropped_p0_traces: 3,
            dropped_p0_spans: 0,
            computed_stats: true,
            computed_top_level: false,
            rates_version: Some(HeaderValue::from_static("abc")),
        };
        assert_eq!(
            text(&h.for_traces(&send)),
            [
                "content-type: application/msgpack",
                "datadog-client-computed-stats: true",
                "datadog-client-dropped-p0-traces: 3",
                "datadog-rates-payload-version: abc",
                "datadog-send-real-http-status: 1",
                "x-datadog-trace-count: 7"
            ]
        );
        assert!(text(&h.for_stats(Some(1))).contains(&"datadog-obfuscation-version: 1".to_owned()));
    }

    #[test]
    fn given_ids_win_over_detected_ones_and_appear_once() {
        let detected = Entity { container_id: "found".into(), entity_id: "ci-found".into() };
        let h = headers(Builder::default().container_id("given").into_raw(), &detected);
        for block in [h.for_traces(&PerSend::default()), h.for_stats(None), h.for_info()] {
            assert_eq!(block.get_all("datadog-container-id").iter().collect::<Vec<_>>(), ["given"]);
            assert_eq!(block.get_all("datadog-entity-id").iter().collect::<Vec<_>>(), ["ci-found"]);
        }
    }

    #[test]
    fn own_headers_and_the_session_token_go_on_every_request() {
        let builder = Builder::default().header("X-One", "a").header("x-one", "b").test_session_token("tok");
        let h = headers(builder.into_raw(), &Entity::default());
        for block in [h.for_traces(&PerSend::default()), h.for_stats(None), h.for_info()] {
            assert_eq!(block.get_all("x-one").iter().collect::<Vec<_>>(), ["a", "b"]);
            assert_eq!(block["x-datadog-test-session-token"], "tok");
        }
    }
}
