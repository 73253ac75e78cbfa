//! An OTLP endpoint over HTTP, Datadog's own included. Any 2xx is a success; what a partial success rejects is lost and
//! not sent again. Tried again are 429, 502, 503 and 504 alone, as the protocol says.

mod answer;

use super::beyond::{Endpoint, insert, insert_own};
use super::{Asked, Destination, Offer, Reply, Request, StatsOffer};
use crate::account::Verdict;
use crate::error::{Error, ErrorKind};
use crate::format::otlp::{self, Options};
use crate::settings::{Compression, Config, FilterRules, OtlpEncoding, OtlpPeer, Peer, StatsForm};
use crate::transport::TlsReport;
use crate::transport::http::Delivered;
use crate::transport::outlet::Outlet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::header::CONTENT_ENCODING;
use ureq::http::{HeaderMap, HeaderValue};

/// What a collector takes at once, unless it is told otherwise.
const MAX_BYTES: usize = 20 << 20;

/// One endpoint, for one exporter.
#[derive(Debug)]
pub(super) struct Otlp {
    peer: OtlpPeer,
    traces: Endpoint,
    metrics: Option<Endpoint>,
    offer: Arc<Offer>,
    empty: Arc<[u8]>,
}

impl Otlp {
    /// Opens nothing and waits for nothing.
    ///
    /// # Errors
    /// As [`Endpoint::new`].
    pub(super) fn new(config: Arc<Config>, peer: OtlpPeer, outlet: &Arc<Outlet>) -> Result<Self, Error> {
        let headers = headers(&config, &peer);
        let endpoint = |url, compression| {
            Endpoint::new(Arc::clone(&config), (url, ""), compression, headers.clone(), outlet)
        };
        let traces = endpoint(&peer.url, peer.compression)?;
        let metrics = match &peer.metrics_url {
            Some(url) if config.stats.is_some() => Some(endpoint(url, Compression::None)?),
            _ => None,
        };
        let stats_computed = config.client_computed_stats || metrics.is_some();
        let options = Options {
            encoding: peer.encoding,
            open_telemetry_semantics: peer.open_telemetry_semantics,
            max_attributes: peer.max_attributes,
            stats_computed,
        };
        let theirs = peer.datadog.as_ref().map_or(MAX_BYTES, |datadog| datadog.max_bytes);
        let (max_bytes, limit) = traces.limit(theirs);
        let offer = Offer {
            format: otlp::encoding(options),
            endpoint: "/v1/traces",
            has_fallback: false,
            why: "`destination` is an OTLP endpoint".to_owned(),
            max_bytes,
            limit,
            filters: FilterRules::default(),
            stats: metrics
                .as_ref()
                .map(|_| StatsOffer { form: StatsForm::Otlp(peer.encoding), ..StatsOffer::default() }),
            statsd_port: None,
            state: None,
            defaults: Peer::Otlp(peer.clone()).defaults(),
        };
        Ok(Self { peer, traces, metrics, offer: Arc::new(offer), empty: Arc::from(&[][..]) })
    }

    /// What a status asks for.
    fn advice(&self, status: u16) -> String {
        let datadog = self.peer.datadog.as_ref();
        match (status, datadog) {
            (401 | 403, Some(it)) => format!(
                "check site {} and the API key that ends in {} (`destination`): the key must be one of that site's, \
                 and of an organisation that may use this intake",
                it.site,
                it.api_key.shown()
            ),
            (401 | 403, None) => "it wants credentials: `header` of the destination".to_owned(),
            (404 | 405, _) => {
                "it takes no OTLP over HTTP at this path: check the URL of `destination` (usually port 4318 and \
                 /v1/traces)"
                    .to_owned()
            }
            (400, _) => "it could not read the request".to_owned(),
            (413, _) => "the request is larger than it takes (`maxRequestBytes`)".to_owned(),
            (415, _) => "it does not take this content: `encoding` or `compression` of the destination".to_owned(),
            (429, _) => "it is overloaded, or limits how much it takes: send less, or give it more".to_owned(),
            (500..=599, _) => "it, or a proxy in front of it, is in trouble: its own log says more".to_owned(),
            _ => "that is no answer an OTLP receiver gives: check the URL of `destination`".to_owned(),
        }
    }

    fn reply(&self, delivered: &Delivered) -> Reply {
        let answer = &delivered.answer;
        let mut reply = Reply::without_words(answer.status(), delivered.attempts, Arc::clone(&self.empty));
        reply.possibly_duplicated = delivered.possibly_duplicated;
        // Nobody asked for an encoding; what was answered cannot be read then, and the request was taken.
        if answer.body().is_empty() || answer.parts.headers.contains_key(CONTENT_ENCODING) {
            return reply;
        }
        match answer::read(&answer.parts.headers, answer.body()) {
            Ok(partial) => {
                reply.rejected_spans = partial.rejected;
                reply.body = Arc::from(answer.body());
                if partial.rejected > 0 || !partial.message.is_empty() {
                    let text = format!(
                        "{} rejected {} spans of a request that it took: {:?}",
                        self.traces.address(),
                        partial.rejected,
                        partial.message
                    );
                    reply.fault = Some(Error::new(ErrorKind::HttpStatus, text).with_status(answer.status()));
                }
            }
            Err(why) => {
                let text = format!(
                    "{} answered {} with what is no OTLP answer ({why}); the request counts as taken",
                    self.traces.address(),
                    answer.status()
                );
                reply.fault = Some(Error::new(ErrorKind::InvalidResponse, text).with_status(answer.status()));
            }
        }
        reply
    }
}

fn headers(config: &Config, peer: &OtlpPeer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(
        &mut headers,
        "content-type",
        match peer.encoding {
            OtlpEncoding::Protobuf => "application/x-protobuf",
            OtlpEncoding::Json => "application/json",
        },
    );
    insert(&mut headers, "x-datadog-test-session-token", &config.test_session_token);
    insert_own(&mut headers, config.headers.iter().map(|(name, value)| (&**name, &**value)));
    insert_own(&mut headers, peer.headers.iter().map(|(name, value)| (&**name, value.reveal())));
    if let Some(datadog) = &peer.datadog {
        insert(&mut headers, "dd-api-key", datadog.api_key.reveal());
        insert(&mut headers, "dd-otel-span-mapping", &datadog.span_mapping);
        if config.stats.is_none() && !config.client_computed_stats {
            insert(&mut headers, "compute_stats", "true");
        }
    }
    headers
}

impl Destination for Otlp {
    fn address(&self) -> &Arc<str> {
        self.traces.address()
    }

    fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.offer)
    }

    fn largest(&self, size: usize, now: Instant) -> usize {
        self.traces.largest(size, now)
    }

    fn send(&self, request: &Request<'_>) -> Verdict<Reply> {
        self.traces.send(
            request,
            &|status| self.advice(status),
            |headers| {
                if request.computed_stats {
                    headers.insert("datadog-client-computed-stats", HeaderValue::from_static("yes"));
                }
            },
            |delivered| self.reply(delivered),
        )
    }

    fn format_refused(&self, _: &Offer) {}

    fn forget_refusals(&self) {
        self.traces.learned.forget();
    }

    fn send_stats(&self, body: &[u8], _: Option<u32>, budget: Duration) -> Verdict<()> {
        let Some(metrics) = &self.metrics else {
            return Verdict::Lost(Error::new(ErrorKind::Internal, "no address of metrics is known"));
        };
        metrics.send_stats(body, budget, &|status| self.advice(status))
    }

    fn ask(&self, limit: Duration) -> Asked {
        self.traces.ask(limit)
    }

    fn pause(&self, time: Duration) -> bool {
        self.traces.pause(time)
    }

    fn tls(&self) -> Option<TlsReport> {
        self.traces.tls()
    }

    fn retire(&self) {
        self.traces.retire();
        if let Some(metrics) = &self.metrics {
            metrics.retire();
        }
    }

    fn close(&self) {
        self.traces.close();
        if let Some(metrics) = &self.metrics {
            metrics.close();
        }
    }

    fn reopen(&self) -> Result<(), Error> {
        self.metrics.as_ref().map_or(Ok(()), Endpoint::reopen)?;
        self.traces.reopen()
    }
}
