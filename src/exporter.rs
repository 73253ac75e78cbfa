//! The facade: build, send, metrics, close. What happens to a payload on its way is in [`crate::pipeline`]; how it
//! travels is in [`crate::agent`]; what became of it is in [`crate::delivery::accounting`].

use crate::agent::{Client, Info, Reply, TraceRequest};
use crate::config::{Builder, Config, MAX_DURATION, OutputFormat};
use crate::delivery::accounting::{Account, Counts, DropReason, Effort, Fate, Metrics, Outcome};
use crate::error::{Error, ErrorKind};
use crate::pipeline::{Plan, Prepared, Workspace};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a tracer dropped itself before it handed over the payload; goes out as headers beside our own counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedP0 {
    /// Chunks of priority 0 and below.
    pub traces: u64,
    /// Their spans.
    pub spans: u64,
}

/// What the agent answered, and what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentResponse {
    /// The agent's answer; status 0 and no attempt when there was nothing to send.
    pub reply: Reply,
    /// Chunks sent.
    pub traces: u64,
    /// Spans sent.
    pub spans: u64,
}

impl AgentResponse {
    /// HTTP status; 0 when there was nothing to send.
    pub fn status(&self) -> u16 {
        self.reply.status
    }

    /// The agent's body as it came. Shared with the last answer while it stays the same.
    pub fn body(&self) -> &Arc<[u8]> {
        &self.reply.body
    }

    /// Requests made.
    pub fn attempts(&self) -> u32 {
        self.reply.attempts
    }
}

/// How `close` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// Whether every send was done in time. If not, the rest was interrupted and counts as dropped.
    pub complete: bool,
    /// The account at the end.
    pub metrics: Metrics,
}

/// Takes finished traces and delivers them. `Send + Sync`: any number of threads may send at once.
///
/// ```no_run
/// use data_pipeline::TraceExporter;
///
/// let exporter = TraceExporter::builder().url("http://127.0.0.1:8126").service("shop").build()?;
/// let payload = [0x90]; // msgpack v0.4: no traces
/// let response = exporter.send(&payload)?;
/// println!("{} traces, status {}", response.traces, response.status());
/// # Ok::<(), data_pipeline::Error>(())
/// ```
#[derive(Debug)]
pub struct TraceExporter {
    config: Config,
    client: Client,
    account: Account,
    plan: Plan,
    /// The way out when the agent does not know v1.
    fallback: Plan,
    v1_refused: AtomicBool,
    workspaces: Mutex<Vec<Box<Workspace>>>,
    sends: Sends,
    empty: Arc<[u8]>,
}

/// How many workspaces are kept for concurrent senders.
const KEPT_WORKSPACES: usize = 4;
/// How long `close` waits for sends that it has interrupted.
const INTERRUPT_GRACE: Duration = Duration::from_millis(40);

impl TraceExporter {
    /// A builder with no setting made.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// An exporter with checked settings. Opens no connection and waits for nothing.
    ///
    /// # Errors
    /// `INVALID_URL` if the URL does not work on this operating system.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(&config)?,
            account: Account::default(),
            plan: Plan::new(&config, config.output_format),
            fallback: Plan::new(&config, OutputFormat::V04),
            v1_refused: AtomicBool::new(false),
            workspaces: Mutex::new(Vec::new()),
            sends: Sends::default(),
            empty: Arc::from(&[][..]),
            config,
        })
    }

    /// Sends one payload (msgpack v0.4) and waits for the agent's answer.
    ///
    /// # Errors
    /// `MALFORMED_PAYLOAD`, `TRUNCATED_PAYLOAD` with the place; `CLOSED`; what the connection or the agent said. The
    /// payload's traces are dropped then and counted with the reason.
    pub fn send(&self, payload: &[u8]) -> Result<AgentResponse, Error> {
        self.send_with(payload, DroppedP0::default())
    }

    /// As [`TraceExporter::send`], with what the tracer has dropped itself.
    ///
    /// # Errors
    /// As [`TraceExporter::send`].
    pub fn send_with(&self, payload: &[u8], dropped: DroppedP0) -> Result<AgentResponse, Error> {
        let Some(_running) = self.sends.begin() else {
            return Err(self.refuse(payload, Error::new(ErrorKind::Closed, "the exporter is closed")));
        };
        let mut workspace = self.workspaces.lock().pop().unwrap_or_default();
        let result = self.process(&mut workspace, payload, dropped);
        workspace.trim();
        let mut kept = self.workspaces.lock();
        if kept.len() < KEPT_WORKSPACES {
            kept.push(workspace);
        }
        result
    }

    fn process(
        &self,
        workspace: &mut Workspace,
        payload: &[u8],
        dropped: DroppedP0,
    ) -> Result<AgentResponse, Error> {
        let budget = self.config.send_budget;
        let end = Instant::now() + budget;
        // Read once: another send may learn meanwhile that the agent does not know v1.
        let plan = if self.v1_refused.load(Ordering::Relaxed) { &self.fallback } else { &self.plan };
        let prepared = workspace.prepare(plan, payload, &self.config.metadata);
        let prepared = prepared.map_err(|error| self.refuse(payload, error))?;
        let entry = self.account.enter(prepared.received);
        let outcome = prepared.outcome;
        let result = self.deliver(plan, &prepared, dropped, budget);
        let body = prepared.body.len();
        let refused = match &result {
            Err(error) if plan.format == OutputFormat::V1 && error.status() == Some(404) => error.attempts(),
            _ => {
                entry.settle(&outcome, fate(&result), effort(&result, body));
                return result;
            }
        };
        self.v1_refused.store(true, Ordering::Relaxed);
        // Nothing was taken: the same payload goes out again as v0.4, within the same budget, and is received only once.
        let again = match workspace.prepare(&self.fallback, payload, &self.config.metadata) {
            Ok(again) => again,
            Err(error) => {
                let result = Err(error);
                entry.settle(&Outcome::default(), fate(&result), effort(&result, 0));
                return result;
            }
        };
        let (outcome, body) = (again.outcome, again.body.len());
        let result = match self.deliver(
            &self.fallback,
            &again,
            dropped,
            end.saturating_duration_since(Instant::now()),
        ) {
            Ok(mut response) => {
                response.reply.attempts += refused;
                Ok(response)
            }
            Err(error) => {
                let attempts = error.attempts() + refused;
                Err(error.with_attempts(attempts))
            }
        };
        entry.settle(&outcome, fate(&result), effort(&result, body));
        result
    }

    fn deliver(
        &self,
        plan: &Plan,
        prepared: &Prepared<'_>,
        dropped: DroppedP0,
        budget: Duration,
    ) -> Result<AgentResponse, Error> {
        let sampled = prepared.outcome.sampled_out;
        let p0_traces = dropped.traces.saturating_add(sampled.traces);
        let p0_spans = dropped.spans.saturating_add(sampled.spans);
        if prepared.traces == 0 && p0_traces == 0 && p0_spans == 0 {
            return Ok(AgentResponse { reply: self.no_reply(), traces: 0, spans: 0 });
        }
        let reply = self.client.send(&TraceRequest {
            path: plan.format.path(),
            body: prepared.body,
            trace_count: prepared.traces,
            dropped_p0_traces: p0_traces,
            dropped_p0_spans: p0_spans,
            computed_stats: self.config.client_computed_stats,
            computed_top_level: self.config.client_computed_top_level
                || plan.top_level.is_some_and(|t| t.mark),
            budget,
        })?;
        Ok(AgentResponse { reply, traces: prepared.traces, spans: prepared.spans })
    }

    /// Counts a payload that did not even start its way.
    #[cold]
    fn refuse(&self, payload: &[u8], error: Error) -> Error {
        let traces = crate::msgpack::reader::array_head(payload, 0).map_or(0, |(n, _)| u64::from(n));
        let entry = self.account.enter(Counts { traces, spans: 0, bytes: payload.len() as u64 });
        entry.settle(
            &Outcome::default(),
            Fate::Dropped(DropReason::of(error.kind(), None)),
            Effort::default(),
        );
        error
    }

    fn no_reply(&self) -> Reply {
        Reply {
            status: 0,
            body: Arc::clone(&self.empty),
            rates: None,
            rates_changed: false,
            container_tags_hash: None,
            agent_state: None,
            attempts: 0,
            possibly_duplicated: false,
        }
    }

    /// Asks the agent what it offers, now.
    ///
    /// # Errors
    /// What the connection or the agent said; `INVALID_RESPONSE` if the answer is not the JSON that agents give.
    pub fn fetch_info(&self, limit: Duration) -> Result<Info, Error> {
        self.client.fetch_info(limit.min(MAX_DURATION))
    }

    /// The account as it stands.
    pub fn metrics(&self) -> Metrics {
        self.account.snapshot()
    }

    /// Bytes of native memory that the exporter holds for payloads.
    pub fn memory_bytes(&self) -> usize {
        self.workspaces.lock().iter().map(|w| w.capacity_bytes()).sum()
    }

    /// The settings in force, without secrets.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Closes with the configured limit.
    pub fn close(&self) -> CloseReport {
        self.close_within(self.config.close_timeout)
    }

    /// Takes no more payloads, waits up to `limit` for sends that run, then interrupts them. May be called again.
    pub fn close_within(&self, limit: Duration) -> CloseReport {
        let complete = self.sends.end(Instant::now() + limit.min(MAX_DURATION));
        self.client.shutdown();
        if !complete {
            self.sends.end(Instant::now() + INTERRUPT_GRACE);
        }
        self.workspaces.lock().clear();
        CloseReport { complete, metrics: self.metrics() }
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.sends.state.lock().closed
    }
}

fn fate(result: &Result<AgentResponse, Error>) -> Fate {
    match result {
        Ok(_) => Fate::Sent,
        Err(error) => Fate::Dropped(DropReason::of(error.kind(), error.status())),
    }
}

fn effort(result: &Result<AgentResponse, Error>, body: usize) -> Effort {
    match result {
        Ok(r) => Effort {
            requests: u64::from(r.reply.attempts),
            body_bytes: if r.reply.status == 0 { 0 } else { body as u64 },
            possibly_duplicated: r.reply.possibly_duplicated,
        },
        Err(e) => Effort {
            requests: u64::from(e.attempts()),
            body_bytes: 0,
            possibly_duplicated: e.possibly_arrived(),
        },
    }
}

/// Which sends are running, and whether new ones may start.
#[derive(Debug, Default)]
struct Sends {
    state: Mutex<SendState>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct SendState {
    running: usize,
    closed: bool,
}

struct Running<'a>(&'a Sends);

impl Sends {
    fn begin(&self) -> Option<Running<'_>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        state.running += 1;
        Some(Running(self))
    }

    /// Lets no send start any more and waits until none runs; gives whether that came to be before `end`.
    fn end(&self, end: Instant) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        while state.running > 0 {
            if self.idle.wait_until(&mut state, end).timed_out() {
                return state.running == 0;
            }
        }
        true
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.running -= 1;
        if state.running == 0 {
            self.0.idle.notify_all();
        }
    }
}
