//! Instrumentation telemetry: what this library has done, as metrics that Datadog keeps of tracers. Only where the
//! caller asks for it, and never beside a tracer that sends its own: the service would be counted twice.
//!
//! Names and shape are those of the reference (`libdd-telemetry`, its flavour for metrics, which announces no start and
//! no end): a `message-batch` with `generate-metrics` and `sketches`, in which what is zero is left out. Beside them go
//! our own losses by reason, as `datadog.tracer.*`.
//!
//! Counts are the account's, as the difference to what was told last: nothing is told twice, and what surely did not
//! arrive is told the next time. What the account does not know (answers by status, sizes of bodies) comes together
//! here. When to tell and to whom is delivery's matter.

use crate::account::{Counts, DropReason, Metrics, Verdict};
use crate::delivery::watch::Event;
use crate::destination::TelemetryMessage;
use crate::error::{Error, ErrorKind};
use crate::object::{Fields, object};
use crate::settings::{Metadata, TelemetrySettings};
use crate::stats::{Collapsed, Sketch};
use crate::transport::proxy::base64;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NAMESPACE: &str = "tracers";
/// Whose metrics these are, beside those of others with the same names.
const LIBRARY: &str = "src_library:data-pipeline";

/// The telemetry of one exporter.
#[derive(Debug)]
pub(crate) struct Telemetry {
    settings: TelemetrySettings,
    /// Something has happened since the last message, and the next one is arranged.
    arranged: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    news: News,
    /// The account as it was told.
    told: Metrics,
    /// What is on its way.
    going: Option<(News, Metrics)>,
    sequence: u64,
    report: TelemetryReport,
}

/// What the account does not know.
#[derive(Clone, Debug, Default)]
struct News {
    chunks_sent: u64,
    network: u64,
    timeout: u64,
    status_code: u64,
    responses: BTreeMap<u16, u64>,
    bytes: Sketch,
    collapsed: Collapsed,
}

/// How telemetry has gone, for `explain()`.
#[derive(Clone, Debug, Default)]
pub(crate) struct TelemetryReport {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) last_error: Option<Error>,
}

impl Telemetry {
    pub(crate) fn new(settings: TelemetrySettings) -> Self {
        Self { settings, arranged: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Something happened. Gives after which time it is to be told, if that is not arranged yet.
    pub(super) fn notify(&self, event: &Event<'_>) -> Option<Duration> {
        match event {
            Event::Delivered(body) => {
                let mut state = self.state.lock();
                let news = &mut state.news;
                news.chunks_sent += body.traces;
                news.bytes.add_value(body.bytes as f64);
                if body.status > 0 {
                    *news.responses.entry(body.status).or_default() += 1;
                }
            }
            Event::NotDelivered(_, error, _) => self.state.lock().news.failed(error),
            Event::Collapsed(collapsed) => self.state.lock().news.collapsed.add(collapsed),
            Event::Read(_) | Event::Unread | Event::Lost { .. } => {}
            Event::Repaired(_) | Event::SenderStarted | Event::Note(..) => return None,
        }
        let is_first = !self.arranged.load(Ordering::Relaxed) && !self.arranged.swap(true, Ordering::Relaxed);
        is_first.then_some(self.settings.interval)
    }

    /// Whether something waits, and how long it may.
    pub(super) fn waits(&self) -> Option<Duration> {
        self.arranged.load(Ordering::Relaxed).then_some(self.settings.interval)
    }

    /// Nobody is there to be told. What comes next arranges for it anew.
    pub(super) fn rest(&self) {
        self.arranged.store(false, Ordering::Relaxed);
    }

    /// The next message, if there is something to tell and none is on its way.
    pub(super) fn message(&self, now: &Metrics, who: &Metadata, at: SystemTime) -> Option<TelemetryMessage> {
        self.arranged.store(false, Ordering::Relaxed);
        let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let mut state = self.state.lock();
        if state.going.is_some() {
            return None;
        }
        let interval = self.settings.interval.as_secs().max(1);
        let counts = counts(&state.news, now, &state.told);
        let series: Vec<Value> = counts
            .iter()
            .map(|(name, tags, value)| {
                object! {
                    "namespace": NAMESPACE,
                    "metric": *name,
                    "points": vec![Value::from(vec![Value::from(seconds), Value::from(*value as f64)])],
                    "tags": tags.clone(),
                    "common": true,
                    "type": "count",
                    "interval": interval,
                }
            })
            .collect();
        let mut batch = Vec::new();
        if !series.is_empty() {
            batch.push(part("generate-metrics", series));
        }
        if state.news.bytes.count() > 0 {
            batch.push(part("sketches", vec![sketch("trace_api.bytes", &state.news.bytes, interval)]));
        }
        if batch.is_empty() {
            return None;
        }
        state.sequence += 1;
        let body = object! {
            "api_version": "v2",
            "tracer_time": seconds,
            "runtime_id": who.runtime_id.as_str(),
            "seq_id": state.sequence,
            "application": application(who),
            "host": host(who),
            "request_type": "message-batch",
            "payload": batch,
        };
        let news = std::mem::take(&mut state.news);
        state.going = Some((news, now.clone()));
        Some(TelemetryMessage { body: body.to_string().into_bytes(), headers: self.headers(who) })
    }

    /// What became of the message. Gives after which time there is something to tell again.
    pub(super) fn told(&self, verdict: Verdict<()>) -> Option<Duration> {
        let mut state = self.state.lock();
        let (news, account) = state.going.take()?;
        match verdict {
            Verdict::Sent(()) => {
                state.told = account;
                state.report.sent += 1;
                state.report.last_error = None;
                None
            }
            // It goes with the next one.
            Verdict::Later(later) => {
                state.news.merge(&news);
                state.report.failed += 1;
                state.report.last_error = Some(later.error);
                self.arranged.store(true, Ordering::Relaxed);
                Some(self.settings.interval)
            }
            // It may have arrived, or never will: a count that is told twice is worse than one that is missing.
            Verdict::Lost(e) | Verdict::Unreadable(e) | Verdict::OtherFormat(e) | Verdict::TooLarge(e) => {
                state.told = account;
                state.report.failed += 1;
                state.report.last_error = Some(e);
                None
            }
        }
    }

    /// How it has gone.
    pub(crate) fn report(&self) -> TelemetryReport {
        self.state.lock().report.clone()
    }

    fn headers(&self, who: &Metadata) -> Vec<(&'static str, String)> {
        let of = |name: &'static str, value: &str| (name, value.to_owned());
        let mut headers = vec![
            of("content-type", "application/json"),
            of("dd-telemetry-request-type", "message-batch"),
            of("dd-telemetry-api-version", "v2"),
            of("dd-client-library-language", &who.language),
            of("dd-client-library-version", &who.tracer_version),
        ];
        if self.settings.debug {
            headers.push(of("dd-telemetry-debug-enabled", "true"));
        }
        let session = &self.settings.session_id;
        if !session.is_empty() {
            headers.push(of("dd-session-id", session));
            for (name, id) in [
                ("dd-root-session-id", &self.settings.root_session_id),
                ("dd-parent-session-id", &self.settings.parent_session_id),
            ] {
                if !id.is_empty() && id != session {
                    headers.push(of(name, id));
                }
            }
        }
        headers
    }
}

impl News {
    /// A body was given up. What was not even asked is no error of the peer's.
    fn failed(&mut self, error: &Error) {
        if let Some(status) = error.status() {
            self.status_code += 1;
            *self.responses.entry(status).or_default() += 1;
        } else if error.attempts() > 0 {
            match error.kind() {
                ErrorKind::TimedOut => self.timeout += 1,
                _ => self.network += 1,
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.chunks_sent += other.chunks_sent;
        self.network += other.network;
        self.timeout += other.timeout;
        self.status_code += other.status_code;
        for (status, n) in &other.responses {
            *self.responses.entry(*status).or_default() += n;
        }
        self.bytes.merge(&other.bytes);
        self.collapsed.add(&other.collapsed);
    }
}

/// A metric, its tags, and by how much it has risen.
type Count = (&'static str, Vec<String>, u64);

/// All that is not zero.
fn counts(news: &News, now: &Metrics, told: &Metrics) -> Vec<Count> {
    let ours = |tag: &str| match tag {
        "" => vec![LIBRARY.to_owned()],
        tag => vec![LIBRARY.to_owned(), tag.to_owned()],
    };
    let rise = |of: fn(&Metrics) -> u64| of(now).saturating_sub(of(told));
    let dropped = |reason| now.dropped_for(reason).minus(told.dropped_for(reason));
    let (mut unwritten, mut unsent) = (Counts::default(), Counts::default());
    for reason in DropReason::ALL {
        let sum = if is_before_sending(reason) { &mut unwritten } else { &mut unsent };
        *sum = sum.plus(dropped(reason));
    }
    let mut all: Vec<Count> = vec![
        ("trace_api.requests", ours(""), rise(|m| m.requests)),
        ("trace_api.errors", ours("type:network"), news.network),
        ("trace_api.errors", ours("type:timeout"), news.timeout),
        ("trace_api.errors", ours("type:status_code"), news.status_code),
        ("trace_chunks_sent", ours(""), news.chunks_sent),
        ("trace_chunks_dropped", ours("reason:p0_drop"), rise(|m| m.sampled_out.traces)),
        ("trace_chunks_dropped", ours("reason:trace_filters"), rise(|m| m.filtered.traces)),
        ("trace_chunks_dropped", ours("reason:serialization_error"), unwritten.traces),
        ("trace_chunks_dropped", ours("reason:send_failure"), unsent.traces),
        ("spans_enqueued_for_serialization", Vec::new(), rise(|m| m.received.spans)),
        ("spans_dropped", vec!["reason:serialization_error".to_owned()], unwritten.spans),
        ("spans_dropped", vec!["reason:api_error".to_owned()], unsent.spans),
        ("stats_collapsed_spans", vec!["collapsed_spans:whole_key".to_owned()], news.collapsed.whole_key),
    ];
    for (status, n) in &news.responses {
        all.push(("trace_api.responses", ours(&format!("status_code:{status}")), *n));
    }
    for (bits, n) in news.collapsed.fields.into_iter().enumerate() {
        let fields = Collapsed::FIELDS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        let tags = fields.map(|(_, field)| format!("collapsed_spans:{field}")).collect();
        all.push(("stats_collapsed_spans", tags, n));
    }
    for reason in DropReason::ALL {
        let Counts { traces, spans, .. } = dropped(reason);
        let tags = || ours(&format!("reason:{}", reason.name()));
        all.push(("datadog.tracer.exporter.dropped.traces", tags(), traces));
        all.push(("datadog.tracer.exporter.dropped.spans", tags(), spans));
    }
    all.retain(|(_, _, value)| *value > 0);
    all
}

/// Whether what is dropped for this reason never became a request.
fn is_before_sending(reason: DropReason) -> bool {
    use DropReason::{Internal, InvalidTrace, Malformed, OutOfMemory};
    matches!(reason, Malformed | InvalidTrace | OutOfMemory | Internal)
}

fn part(kind: &str, series: Vec<Value>) -> Value {
    object! { "request_type": kind, "payload": object! { "series": series } }
}

fn sketch(name: &str, values: &Sketch, interval: u64) -> Value {
    let (mut bytes, mut text) = (Vec::new(), String::new());
    values.encode(&mut bytes);
    base64(&bytes, &mut text);
    object! {
        "namespace": NAMESPACE,
        "metric": name,
        "tags": vec![LIBRARY],
        "sketch_b64": text,
        "common": true,
        "interval": interval,
        "type": "distribution",
    }
}

fn application(who: &Metadata) -> Value {
    let mut all = vec![
        ("service_name", who.service.as_str()),
        ("language_name", &who.language),
        ("language_version", &who.language_version),
        ("tracer_version", &who.tracer_version),
    ];
    for optional in [
        ("service_version", who.version.as_str()),
        ("env", &who.env),
        ("runtime_name", &who.language_interpreter),
        ("process_tags", &who.process_tags),
    ] {
        all.extend(Some(optional).filter(|(_, value)| !value.is_empty()));
    }
    texts(&all)
}

fn host(who: &Metadata) -> Value {
    let mut all = vec![
        ("hostname", who.hostname.as_str()),
        ("os", std::env::consts::OS),
        ("architecture", std::env::consts::ARCH),
    ];
    all.extend(Some(("container_id", who.container_id.as_str())).filter(|(_, value)| !value.is_empty()));
    texts(&all)
}

fn texts(all: &[(&str, &str)]) -> Value {
    let mut fields = Fields::default();
    all.iter().for_each(|(name, value)| fields.put(name, *value));
    fields.done()
}
