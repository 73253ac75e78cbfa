//! The agent as a [`Destination`]: what its answers mean, the rules of 404 and 413, and the memory of what it said.

use super::client::{Client, TraceRequest};
use super::offer::offer;
use super::{Entity, Info, entity};
use crate::account::{Later, Verdict};
use crate::destination::learned::Learned;
use crate::destination::{Asked, Destination, Offer, Reply, Request};
use crate::error::{Error, ErrorKind};
use crate::settings::{AgentUrl, Config};
use crate::transport::TlsReport;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One agent, for one exporter.
#[derive(Debug)]
pub(crate) struct Agent {
    config: Arc<Config>,
    url: AgentUrl,
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
    /// Its state (`None`: not known then) when it answered 404 to the format wanted.
    refused_at: Option<Option<Arc<str>>>,
    offer: Arc<Offer>,
}

impl Agent {
    /// The agent at this address. Opens nothing and waits for nothing.
    ///
    /// # Errors
    /// As [`Client::at`].
    pub(crate) fn new(config: Arc<Config>, url: &AgentUrl) -> Result<Self, Error> {
        let client = Client::at(&config, url)?;
        let known = Known { info: None, refused_at: None, offer: Arc::new(offer(&config, None, false)) };
        Ok(Self {
            url: url.clone(),
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

    /// Something new of the agent; whether it is news.
    fn learn(&self, info: &Info) -> bool {
        let mut known = self.known.lock();
        let same = known.info.as_ref().is_some_and(|known| {
            known.state_hash == info.state_hash && known.container_tags_hash == info.container_tags_hash
        });
        if same {
            return false;
        }
        // A 404 is forgotten: this may be another agent.
        if known.refused_at.as_ref().is_some_and(|at| at.as_ref() != Some(&info.state_hash)) {
            known.refused_at = None;
        }
        let new = offer(&self.config, Some(info), known.refused_at.is_some());
        if new.max_bytes != known.offer.max_bytes {
            self.learned.forget();
        }
        known.offer = Arc::new(new);
        known.info = Some(info.clone());
        true
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
            Ok(reply) => {
                self.learned.accepted(request.body.len());
                Verdict::Sent(reply)
            }
            // An answer that began as a success: the agent has taken the payload, only its words are lost.
            Err(error) if super::super::was_taken(&error) => Verdict::Sent(Reply::unread(error)),
            Err(error) if request.offer.has_fallback && error.status() == Some(404) => {
                Verdict::OtherFormat(error)
            }
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

    fn forget_refusals(&self) {
        self.learned.forget();
    }

    fn format_refused(&self, refused: &Offer) {
        let mut known = self.known.lock();
        // Unless another send has found out before.
        if known.offer.has_fallback {
            known.refused_at = Some(refused.state.clone());
            known.offer = Arc::new(offer(&self.config, known.info.as_ref(), true));
        }
    }

    fn send_stats(&self, body: &[u8], obfuscation_version: Option<u32>, budget: Duration) -> Verdict<()> {
        match self.client().post_stats(body, obfuscation_version, budget) {
            Ok(_) => Verdict::Sent(()),
            // The agent took it; only its words were lost.
            Err(error) if super::super::is_success(&error) => Verdict::Sent(()),
            // Sending again would be in vain, or might count spans twice.
            Err(error) if error.possibly_arrived() || is_final(&error) => Verdict::Lost(error),
            Err(error) => Verdict::Later(Later::whole(error)),
        }
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn ask(&self, limit: Duration) -> Asked {
        match self.client().fetch_info(limit) {
            Ok(info) => {
                let changed = self.learn(&info);
                Asked::Heard { state: info.state_hash, changed }
            }
            Err(error) if matches!(error.status(), Some(404 | 405)) => Asked::Nothing(error),
            Err(error) => Asked::Failed(error),
        }
    }

    fn info(&self) -> Option<Info> {
        self.known.lock().info.clone()
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
        let client = Arc::new(Client::at(&self.config, &self.url)?);
        *self.client.write() = client;
        Ok(())
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
        let agent = Agent::new(Arc::new(Config::new(raw).unwrap()), &AgentUrl::default()).unwrap();
        let format = || agent.offer().endpoint;
        let refuse = || {
            agent.format_refused(&agent.offer());
            format()
        };
        assert_eq!(refuse(), "/v0.4/traces");
        assert!(agent.learn(&info(WITH)));
        assert_eq!(format(), "/v1.0/traces", "it says that it has v1");
        assert_eq!(refuse(), "/v0.4/traces", "it lied");
        assert!(!agent.learn(&info(WITH)), "and says the same again");
        assert_eq!(format(), "/v0.4/traces");
        assert!(agent.learn(&info(r#"{"version":"2","endpoints":["/v1.0/traces"]}"#)));
        assert_eq!(format(), "/v1.0/traces");
    }

    #[test]
    fn another_limit_makes_what_was_learned_void() {
        let agent =
            Agent::new(Arc::new(Config::new(RawConfig::default()).unwrap()), &AgentUrl::default()).unwrap();
        let now = Instant::now();
        agent.learned.refused(1000, now);
        assert_eq!(agent.largest(9999, now), 500);
        agent.learn(&info(r#"{"version":"1"}"#));
        assert_eq!(agent.largest(9999, now), 500);
        agent.learn(&info(r#"{"config":{"max_request_bytes":5000}}"#));
        assert_eq!(agent.largest(9999, now), usize::MAX);
    }
}
