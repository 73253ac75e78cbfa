//! The agent as a [`Destination`]: what its answers mean, the rules of 404 and 413, and the memory of what it said, or
//! of what trying has found where it says nothing.

use super::client::{Client, TELEMETRY_PROXY, TraceRequest};
use super::offer::{Refused, Said, offer};
use super::probe::{self, Found};
use super::{Entity, Info, entity};
use crate::account::{Later, Verdict};
use crate::destination::learned::Learned;
use crate::destination::{Asked, Destination, Offer, Reply, Request, TelemetryMessage};
use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Config};
use crate::transport::TlsReport;
use crate::transport::outlet::Outlet;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One agent, for one exporter.
#[derive(Debug)]
pub(crate) struct Agent {
    config: Arc<Config>,
    url: AgentUrl,
    outlet: Arc<Outlet>,
    address: Arc<str>,
    /// Another one after [`Destination::reopen`].
    client: RwLock<Arc<Client>>,
    known: Mutex<Known>,
    learned: Learned,
}

/// What the agent has said.
#[derive(Debug)]
struct Known {
    info: Option<Info>,
    /// What trying has found, where `/info` does not say it.
    found: Option<Found>,
    refused: Refused,
    /// Its state (`None`: not known then) when it refused.
    refused_at: Option<Arc<str>>,
    offer: Arc<Offer>,
}

impl Known {
    fn renew_offer(&mut self, config: &Config) {
        let said = Said { info: self.info.as_ref(), found: self.found, refused: self.refused };
        self.offer = Arc::new(offer(config, said));
    }
}

impl Agent {
    /// The agent at this address. Opens nothing and waits for nothing.
    ///
    /// # Errors
    /// As [`Client::at`].
    pub(crate) fn new(config: Arc<Config>, url: &AgentUrl, outlet: &Arc<Outlet>) -> Result<Self, Error> {
        let client = Client::at(&config, url, outlet)?;
        let known = Known {
            info: None,
            found: None,
            refused: Refused::Nothing,
            refused_at: None,
            offer: Arc::new(offer(&config, Said::default())),
        };
        Ok(Self {
            url: url.clone(),
            outlet: Arc::clone(outlet),
            address: client.address().into(),
            client: RwLock::new(Arc::new(client)),
            known: Mutex::new(known),
            learned: Learned::default(),
            config,
        })
    }

    #[inline]
    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read())
    }

    /// Something new of the agent; whether it is news. `found`: what trying has found beside it.
    fn learn(&self, info: &Info, found: Option<Found>) -> bool {
        let mut known = self.known.lock();
        let same = known.info.as_ref().is_some_and(|known| {
            known.state_hash == info.state_hash && known.container_tags_hash == info.container_tags_hash
        });
        if same && known.found == found {
            return false;
        }
        // A 404 is forgotten: this may be another agent.
        if known.refused_at.as_ref() != Some(&info.state_hash) {
            known.refused = Refused::Nothing;
        }
        let before = known.offer.max_bytes;
        (known.info, known.found) = (Some(info.clone()), found);
        known.renew_offer(&self.config);
        if before != known.offer.max_bytes {
            self.learned.forget();
        }
        true
    }

    /// The agent says nothing, and this was found by trying; whether it is news.
    fn learn_by_trying(&self, found: Found) -> bool {
        let mut known = self.known.lock();
        if known.info.is_some() || known.found == Some(found) {
            return false;
        }
        // What has refused payloads is believed more than what took an empty one, unless another agent is there now.
        let is_another = known.found.is_some();
        let was_in_vain = known.refused == Refused::All && found != Found::Nothing;
        if is_another || was_in_vain {
            known.refused = Refused::Nothing;
        }
        known.found = Some(found);
        known.renew_offer(&self.config);
        true
    }

    /// Tries which endpoint takes traces, where the caller allows questions.
    fn try_endpoints(&self, client: &Client, end: Instant) -> Result<Option<Found>, Error> {
        if !self.config.discovery {
            return Ok(None);
        }
        let endpoints = probe::candidates(self.config.output_format, self.config.output_auto());
        probe::search(endpoints, |endpoint| {
            client.try_endpoint(endpoint, end.saturating_duration_since(Instant::now()))
        })
        .map(Some)
    }
}

impl Destination for Agent {
    fn address(&self) -> &Arc<str> {
        &self.address
    }

    fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.known.lock().offer)
    }

    #[inline]
    fn largest(&self, size: usize, now: Instant) -> usize {
        let learned = self.learned.target();
        if size > learned { self.learned.target_at(now) } else { learned }
    }

    fn send(&self, request: &Request<'_>) -> Verdict<Reply> {
        let result = self.client().send(&TraceRequest {
            path: request.offer.endpoint,
            body: request.body,
            trace_count: request.traces,
            dropped_p0_traces: request.dropped.traces,
            dropped_p0_spans: request.dropped.spans,
            computed_stats: request.computed_stats,
            computed_top_level: request.computed_top_level,
            budget: request.budget,
            knob: request.knob,
        });
        match result {
            Ok(reply) if reply.is_dry => Verdict::Sent(reply),
            Ok(reply) => {
                self.learned.accepted(request.body.len());
                Verdict::Sent(reply)
            }
            // An answer that began as a success: the agent has taken the payload, only its words are lost.
            Err(error) if super::super::was_taken(&error) => Verdict::Sent(Reply::unread(error)),
            Err(error) if may_be_elsewhere(request.offer, &error) => Verdict::OtherFormat(error),
            Err(error) if error.kind() == ErrorKind::PayloadTooLarge => {
                self.learned.refused(request.body.len(), Instant::now());
                Verdict::TooLarge(error)
            }
            Err(error) if error.is_temporary() || error.kind() == ErrorKind::Closed => {
                Verdict::Later(Later::whole(error))
            }
            Err(error) => Verdict::Lost(error),
        }
    }

    fn size_knob(&self) -> &'static str {
        "apm_config.max_payload_size of the agent, or fewer spans a trace"
    }

    fn forget_refusals(&self) {
        self.learned.forget();
    }

    fn format_refused(&self, refused: &Offer) {
        let mut known = self.known.lock();
        // Unless another send has found out before.
        if known.offer.endpoint == refused.endpoint && known.offer.has_fallback {
            known.refused = Refused::with(refused.endpoint);
            known.refused_at.clone_from(&refused.state);
            known.renew_offer(&self.config);
        }
    }

    fn send_stats(&self, body: &[u8], obfuscation_version: Option<u32>, budget: Duration) -> Verdict<()> {
        once(self.client().post_stats(body, obfuscation_version, budget))
    }

    fn takes_telemetry(&self) -> bool {
        true
    }

    fn send_telemetry(&self, message: &TelemetryMessage, budget: Duration) -> Verdict<()> {
        // An agent that lists what it has says so.
        let lists_none = self.known.lock().info.as_ref().is_some_and(|info| {
            let endpoints = &info.fields.endpoints;
            !endpoints.is_empty() && !endpoints.iter().any(|endpoint| endpoint.starts_with(TELEMETRY_PROXY))
        });
        if lists_none {
            let text = format!("{} lists no {TELEMETRY_PROXY}: it takes no telemetry", self.address);
            return Verdict::Later(Later::whole(Error::new(ErrorKind::HttpStatus, text).with_status(404)));
        }
        once(self.client().post_telemetry(message, budget))
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn ask(&self, limit: Duration) -> Asked {
        let end = Instant::now() + limit;
        let client = self.client();
        match client.fetch_info(limit) {
            Ok(info) => {
                // One that lists endpoints, and none for traces, has perhaps one that it does not list.
                let found = if info.lists_no_traces() { self.try_endpoints(&client, end) } else { Ok(None) };
                match found {
                    Ok(found) => {
                        let changed = self.learn(&info, found);
                        Asked::Heard { state: info.state_hash, changed }
                    }
                    Err(error) => Asked::Failed(error),
                }
            }
            // What an agent has said before stands until it says something else.
            Err(error) if matches!(error.status(), Some(404 | 405)) && self.known.lock().info.is_some() => {
                Asked::Nothing(error)
            }
            Err(error) if matches!(error.status(), Some(404 | 405)) => {
                match self.try_endpoints(&client, end) {
                    Ok(None) => Asked::Nothing(error),
                    Ok(Some(found)) => {
                        let changed = self.learn_by_trying(found);
                        Asked::Tried { error: error.note(&format!("; {found}")), changed }
                    }
                    Err(error) => Asked::Failed(error),
                }
            }
            Err(error) => Asked::Failed(error),
        }
    }

    fn info(&self) -> Option<Info> {
        let known = self.known.lock();
        known.info.clone().or_else(|| Some(Info::probed(known.found?.endpoint()?)))
    }

    fn last_state(&self) -> Option<Arc<str>> {
        self.client().agent_state()
    }

    fn tls(&self) -> Option<TlsReport> {
        self.client().tls()
    }

    fn pause(&self, time: Duration) -> bool {
        self.client().pause(time)
    }

    fn retire(&self) {
        self.client().retire();
    }

    fn close(&self) {
        self.client().shutdown();
    }

    fn reopen(&self) -> Result<(), Error> {
        let client = Arc::new(Client::at(&self.config, &self.url, &self.outlet)?);
        *self.client.write() = client;
        Ok(())
    }
}

/// Whether a refusal is about the endpoint, and another one is left. Formats other than v0.4 are given up for a 404
/// only; v0.4 and what is older read the same, so that nothing is lost by trying where it goes.
fn may_be_elsewhere(offer: &Offer, error: &Error) -> bool {
    let is_v04 = matches!(offer.endpoint, probe::V04 | probe::V03);
    let means_it = |status| if is_v04 { probe::is_elsewhere(status) } else { status == 404 };
    offer.has_fallback && error.status().is_some_and(means_it)
}

/// What became of a body that must not be counted twice.
fn once(result: Result<Reply, Error>) -> Verdict<()> {
    match result {
        Ok(_) => Verdict::Sent(()),
        // The agent took it; only its words were lost.
        Err(error) if super::super::is_success(&error) => Verdict::Sent(()),
        // Sending again would be in vain, or might count twice.
        Err(error) if error.possibly_arrived() || is_final(&error) => Verdict::Lost(error),
        Err(error) => Verdict::Later(Later::whole(error)),
    }
}

/// Statuses of stats that stay what they are. An agent that has no such endpoint now, or wants to know who we
/// are, may get over it.
fn is_final(error: &Error) -> bool {
    error.status().is_some_and(|s| (400..500).contains(&s) && ![401, 403, 404, 408, 429].contains(&s))
}

/// Who we run inside of, if the caller wants that to be found out.
pub(super) fn detected(config: &Config) -> Entity {
    if config.detect_container { entity::detect() } else { Entity::default() }
}

#[cfg(test)]
mod tests {
    use super::super::info::parse_for_tests as info;
    use super::*;
    use crate::settings::RawConfig;

    const WITH: &str = r#"{"endpoints":["/v0.4/traces","/v1.0/traces"]}"#;

    #[test]
    fn a_refusal_is_remembered_until_the_agent_says_otherwise() {
        let raw = RawConfig { output_format: Some("V1".to_owned()), ..RawConfig::default() };
        let agent =
            Agent::new(Arc::new(Config::new(raw).unwrap()), &AgentUrl::default(), &Arc::default()).unwrap();
        let format = || agent.offer().endpoint;
        let refuse = || {
            agent.format_refused(&agent.offer());
            format()
        };
        assert_eq!(refuse(), "/v0.4/traces");
        assert!(agent.learn(&info(WITH), None));
        assert_eq!(format(), "/v1.0/traces", "it says that it has v1");
        assert_eq!(refuse(), "/v0.4/traces", "it lied");
        assert!(!agent.learn(&info(WITH), None), "and says the same again");
        assert_eq!(format(), "/v0.4/traces");
        assert!(agent.learn(&info(r#"{"version":"2","endpoints":["/v1.0/traces"]}"#), None));
        assert_eq!(format(), "/v1.0/traces");
    }

    #[test]
    fn one_endpoint_after_the_other_is_refused_until_something_new_is_known() {
        let agent = Agent::new(
            Arc::new(Config::new(RawConfig::default()).unwrap()),
            &AgentUrl::default(),
            &Arc::default(),
        )
        .unwrap();
        let refuse = || {
            agent.format_refused(&agent.offer());
            agent.offer().endpoint
        };
        let stale = agent.offer();
        assert_eq!(refuse(), "/v0.3/traces");
        agent.format_refused(&stale);
        assert_eq!(agent.offer().endpoint, "/v0.3/traces", "known already");
        assert_eq!(refuse(), "/v0.4/traces");
        assert!(!agent.offer().has_fallback);
        assert_eq!(refuse(), "/v0.4/traces");
        assert!(agent.learn_by_trying(Found::Nothing));
        assert!(!agent.offer().has_fallback && agent.info().is_none());
        assert!(agent.learn_by_trying(Found::Endpoint(probe::V03)), "it may be another one");
        assert_eq!(agent.offer().endpoint, "/v0.3/traces");
        let info = agent.info().unwrap();
        assert!(info.is_probed() && info.offers("/v0.3/traces") && !info.offers_stats());
        assert!(!agent.learn_by_trying(Found::Endpoint(probe::V03)));
        assert!(agent.learn(&self::info(WITH), None));
        assert_eq!(agent.offer().endpoint, "/v0.4/traces");
        assert!(!agent.learn_by_trying(Found::Endpoint(probe::V03)), "what it has said stands");
        assert_eq!(agent.offer().endpoint, "/v0.4/traces");
    }

    #[test]
    fn another_limit_makes_what_was_learned_void() {
        let agent = Agent::new(
            Arc::new(Config::new(RawConfig::default()).unwrap()),
            &AgentUrl::default(),
            &Arc::default(),
        )
        .unwrap();
        let now = Instant::now();
        agent.learned.refused(1000, now);
        assert_eq!(agent.largest(9999, now), 500);
        agent.learn(&info(r#"{"version":"1"}"#), None);
        assert_eq!(agent.largest(9999, now), 500);
        agent.learn(&info(r#"{"config":{"max_request_bytes":5000}}"#), None);
        assert_eq!(agent.largest(9999, now), usize::MAX);
    }
}
