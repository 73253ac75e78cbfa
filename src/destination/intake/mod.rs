//! Datadog's intake for traces and stats, without an agent. What is known of it is what Datadog's own tracers and test
//! agent do: none of it is documented.

use super::beyond::{Endpoint, insert, insert_own};
use super::{Asked, Destination, Offer, Reply, Request, StatsOffer, TelemetryMessage};
use crate::account::Verdict;
use crate::error::{Error, ErrorKind};
use crate::format;
use crate::settings::{Compression, Config, FilterRules, IntakePeer, Peer, StatsForm};
use crate::transport::TlsReport;
use crate::transport::outlet::Outlet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, HeaderValue};

/// No limit is published; Datadog's JavaScript tracer sends no more at once.
const MAX_BYTES: usize = 8 << 20;
const SPANS: &str = "/api/v2/spans";
const STATS: &str = "/api/v0.2/stats";
const TELEMETRY: &str = "/api/v2/apmtelemetry";

/// The intake of one site, for one exporter.
#[derive(Debug)]
pub(super) struct Intake {
    peer: IntakePeer,
    spans: Endpoint,
    stats: Endpoint,
    /// Only where it is wanted.
    telemetry: Option<Endpoint>,
    offer: Arc<Offer>,
    empty: Arc<[u8]>,
}

impl Intake {
    /// Opens nothing and waits for nothing.
    ///
    /// # Errors
    /// As [`Endpoint::new`].
    pub(super) fn new(config: Arc<Config>, peer: IntakePeer, outlet: &Arc<Outlet>) -> Result<Self, Error> {
        let json = headers(&config, &peer, "application/json");
        let msgpack = headers(&config, &peer, "application/msgpack");
        let endpoint =
            |to, compression, headers| Endpoint::new(Arc::clone(&config), to, compression, headers, outlet);
        let spans = endpoint((&peer.url, SPANS), peer.compression, json)?;
        let stats = endpoint((&peer.stats_url, STATS), Compression::None, msgpack)?;
        let telemetry = config.telemetry.is_some().then(|| {
            let json = headers(&config, &peer, "application/json");
            endpoint((&peer.telemetry_url, TELEMETRY), Compression::None, json)
        });
        let (max_bytes, limit) = spans.limit(MAX_BYTES);
        let computed = config.client_computed_stats || config.stats.is_some();
        let offer = Offer {
            format: format::intake(computed),
            endpoint: SPANS,
            has_fallback: false,
            why: "`destination` is Datadog's intake".to_owned(),
            max_bytes,
            limit,
            filters: FilterRules::default(),
            stats: Some(StatsOffer { form: StatsForm::Intake, ..StatsOffer::default() }),
            statsd_port: None,
            state: None,
            defaults: Peer::Intake(peer.clone()).defaults(),
        };
        let telemetry = telemetry.transpose()?;
        Ok(Self { peer, spans, stats, telemetry, offer: Arc::new(offer), empty: Arc::from(&[][..]) })
    }

    /// What a status asks for.
    fn advice(&self, status: u16) -> String {
        let (site, key) = (&self.peer.site, self.peer.api_key.shown());
        match status {
            401 | 403 => format!(
                "check site {site} and the API key that ends in {key} (`destination`): the key must be one of that \
                 site's organisations"
            ),
            404 => format!("site {site} has no such intake: check the site (`destination`)"),
            400 => "it could not read the request: please report it".to_owned(),
            413 => "the request is larger than it takes (`maxRequestBytes`)".to_owned(),
            429 => "it limits how much it takes: send less".to_owned(),
            500..=599 => "the intake, or a proxy in front of it, is in trouble".to_owned(),
            _ => "that is no answer the intake gives: check `destination` and `proxy`".to_owned(),
        }
    }
}

fn headers(config: &Config, peer: &IntakePeer, content_type: &'static str) -> HeaderMap {
    let m = &config.metadata;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", content_type),
        ("datadog-meta-lang", &m.language),
        ("datadog-meta-lang-version", &m.language_version),
        ("datadog-meta-lang-interpreter", &m.language_interpreter),
        ("datadog-meta-lang-interpreter-vendor", &m.language_vendor),
        ("datadog-meta-tracer-version", &m.tracer_version),
        ("datadog-container-id", &m.container_id),
        ("datadog-entity-id", &m.entity_id),
        ("datadog-external-env", &m.external_env),
        ("x-datadog-test-session-token", &config.test_session_token),
    ] {
        insert(&mut headers, name, value);
    }
    insert_own(&mut headers, config.headers.iter().map(|(name, value)| (&**name, &**value)));
    insert(&mut headers, "dd-api-key", peer.api_key.reveal());
    headers
}

impl Destination for Intake {
    fn address(&self) -> &Arc<str> {
        self.spans.address()
    }

    fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.offer)
    }

    fn largest(&self, size: usize, now: Instant) -> usize {
        self.spans.largest(size, now)
    }

    fn send(&self, request: &Request<'_>) -> Verdict<Reply> {
        let traces = request.traces;
        self.spans.send(
            request,
            &|status| self.advice(status),
            |headers| drop(headers.insert("x-datadog-trace-count", HeaderValue::from(traces))),
            |delivered| {
                let (status, empty) = (delivered.answer.status(), Arc::clone(&self.empty));
                let mut reply = Reply::without_words(status, delivered.attempts, empty);
                reply.possibly_duplicated = delivered.possibly_duplicated;
                reply
            },
        )
    }

    fn format_refused(&self, _: &Offer) {}

    fn forget_refusals(&self) {
        self.spans.learned.forget();
    }

    fn send_stats(&self, body: &[u8], _: Option<u32>, budget: Duration) -> Verdict<()> {
        self.stats.send_stats(body, budget, &|status| self.advice(status))
    }

    fn takes_telemetry(&self) -> bool {
        self.telemetry.is_some()
    }

    fn send_telemetry(&self, message: &TelemetryMessage, budget: Duration) -> Verdict<()> {
        match &self.telemetry {
            Some(endpoint) => endpoint.send_telemetry(message, budget, &|status| self.advice(status)),
            None => Verdict::Lost(Error::new(ErrorKind::Internal, "telemetry is off")),
        }
    }

    fn ask(&self, limit: Duration) -> Asked {
        self.spans.ask(limit)
    }

    fn pause(&self, time: Duration) -> bool {
        self.spans.pause(time)
    }

    fn tls(&self) -> Option<TlsReport> {
        self.spans.tls()
    }

    fn retire(&self) {
        self.spans.retire();
        self.stats.retire();
        self.telemetry.iter().for_each(Endpoint::retire);
    }

    fn close(&self) {
        self.spans.close();
        self.stats.close();
        self.telemetry.iter().for_each(Endpoint::close);
    }

    fn reopen(&self) -> Result<(), Error> {
        self.stats.reopen()?;
        self.telemetry.iter().try_for_each(Endpoint::reopen)?;
        self.spans.reopen()
    }
}
