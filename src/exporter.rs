//! The facade: build, send, ask how it goes, close. The way of a payload is in [`crate::delivery`]; what
//! happens to it on that way in [`crate::pipeline`]; how it travels in [`crate::destination::agent`].

use crate::account::{DropReason, Metrics};
use crate::convert::Workspace;
use crate::delivery::dispatch::Dispatcher;
use crate::delivery::outbox::tickets::Tickets;
use crate::delivery::presence::{AgentState, Condition};
pub use crate::delivery::response::{AgentResponse, DroppedP0, LeftOut, SendOptions};
use crate::delivery::sends::Sends;
use crate::delivery::stats::Turn;
use crate::delivery::watch::Watch;
use crate::destination::agent::Info;
use crate::destination::{self, Destination};
use crate::error::{Error, ErrorKind};
use crate::health::{Health, LogLine, Severity, explain};
use crate::memory;
use crate::pipeline::Compiled;
use crate::settings::{BadValues, Builder, Config, MAX_DURATION, Peer, RawConfig, environment};
use crate::stats::StatsReport;
use crate::transport::outlet::Outlet;
use parking_lot::Mutex;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How `close` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// Whether every send was done in time, and nothing lies in the spool. If not, the rest was interrupted
    /// and counts as dropped, but for what the spool keeps (`metrics.spooled`).
    pub complete: bool,
    /// The account at the end.
    pub metrics: Metrics,
}

/// Takes finished traces and delivers them. `Send + Sync`: any number of threads may send at once.
///
/// ```
/// # // An agent for this example: it answers one connection.
/// # use std::io::{Read, Write};
/// # let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let url = format!("http://{}", door.local_addr().unwrap());
/// # std::thread::spawn(move || {
/// #     let (mut peer, _) = door.accept().unwrap();
/// #     let _ = peer.read(&mut [0; 4096]);
/// #     let _ = peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
/// # });
/// use data_pipeline::TraceExporter;
///
/// // `url` is "http://127.0.0.1:8126" for most.
/// let exporter = TraceExporter::builder().url(url).service("shop").discovery(false).build()?;
/// let payload = b"\x91\x91\x83\xa8trace_id\x01\xa7span_id\x02\xa4name\xa2op"; // msgpack v0.4: one span
/// let response = exporter.send(payload)?;
/// assert_eq!((response.status(), response.traces, response.spans), (200, 1, 1));
/// assert_eq!(exporter.close().metrics.sent.spans, 1);
/// # Ok::<(), data_pipeline::Error>(())
/// ```
#[derive(Debug)]
pub struct TraceExporter {
    pub(crate) dispatcher: Arc<Dispatcher>,
    health: Arc<Health>,
    #[allow(clippy::vec_box)] // one goes out and back in with every send
    workspaces: Mutex<Vec<Box<Workspace>>>,
    pub(crate) sends: Sends,
    pub(crate) tickets: Arc<Tickets>,
}

/// How many workspaces are kept for concurrent senders.
const KEPT_WORKSPACES: usize = 4;
/// How long `close` waits for sends that it has interrupted.
const INTERRUPT_GRACE: Duration = Duration::from_millis(40);
/// How long it waits for them if what they have can be kept on disk.
const SPOOL_GRACE: Duration = Duration::from_secs(1);

impl Builder {
    /// Checks the settings and makes the exporter. Opens no connection and waits for nothing.
    ///
    /// # Errors
    /// `INVALID_URL` or `INVALID_CONFIGURATION`; the message names the setting and its range.
    pub fn build(self) -> Result<TraceExporter, Error> {
        TraceExporter::new(Config::new(self.into_raw())?)
    }

    /// Takes what is not set yet from the environment: the variables that `docs/settings.md` lists beside the
    /// settings, and the agent's socket if it is there. Nothing else in this library reads it. Setters have
    /// the last word, whether they are called before or after.
    ///
    /// # Errors
    /// `INVALID_URL` or `INVALID_CONFIGURATION` if a variable has a value that its setter refuses; the
    /// message names the variable.
    #[allow(clippy::wrong_self_convention)] // the name that it has in Java
    pub fn from_environment(self) -> Result<Self, Error> {
        self.from_environment_with(BadValues::Fail)
    }

    /// As [`from_environment`](Self::from_environment), saying what becomes of bad values.
    ///
    /// # Errors
    /// None with [`BadValues::Skip`].
    #[allow(clippy::wrong_self_convention)]
    pub fn from_environment_with(self, bad: BadValues) -> Result<Self, Error> {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let variables: Vec<_> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        self.take_variables(&variables, Path::new(environment::SOCKET), bad, Compiled::check_variable)
    }
}

/// Checks settings as `build` does, and makes nothing of them.
pub(crate) fn check(raw: RawConfig) -> Result<(), Error> {
    Compiled::new(&Config::new(raw)?).map(drop)
}

/// The destinations of these settings, the most preferred first; at least one.
fn destinations(config: &Arc<Config>, outlet: &Arc<Outlet>) -> Result<Vec<Arc<dyn Destination>>, Error> {
    if config.destinations.is_empty() {
        return Ok(vec![destination::of(config, &Peer::Agent(config.url.clone()), outlet)?]);
    }
    config.destinations.iter().map(|peer| destination::of(config, peer, outlet)).collect()
}

impl TraceExporter {
    /// A builder with no setting made.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// An exporter with checked settings. Waits for nothing; what the agent offers is read meanwhile.
    ///
    /// # Errors
    /// `INVALID_URL` if the URL does not work on this operating system; `INVALID_CONFIGURATION` for a directory, a
    /// regex or obfuscation rules that cannot be used, naming the setter or the variable.
    pub fn new(config: Config) -> Result<Self, Error> {
        let config = Arc::new(config);
        let outlet = Outlet::new(&config)?;
        let mut all = destinations(&config, &outlet)?;
        let first = all.remove(0);
        Self::toward(config, outlet, first, all)
    }

    /// An exporter toward any destinations, in the order in which they are preferred; bodies go out by `outlet`.
    ///
    /// # Errors
    /// As [`Dispatcher::new`].
    pub(crate) fn toward(
        config: Arc<Config>,
        outlet: Arc<Outlet>,
        first: Arc<dyn Destination>,
        others: Vec<Arc<dyn Destination>>,
    ) -> Result<Self, Error> {
        let health = Arc::new(Health::new(&config));
        let watch: Arc<dyn Watch> = health.clone();
        for (variable, why) in &config.raw.skipped {
            health.journal.note(Severity::Warning, format!("{variable} is left out: {why}"));
        }
        let dispatcher = Dispatcher::new(config, outlet, first, others, watch)?;
        let clock = dispatcher.clock.clone();
        Ok(Self {
            dispatcher,
            health,
            workspaces: Mutex::new(Vec::new()),
            sends: Sends::new(clock.clone()),
            tickets: Arc::new(Tickets::new(clock)),
        })
    }

    /// Sends one payload (msgpack v0.4) and waits for the agent's answer.
    ///
    /// A payload that is larger than the agent takes goes in several requests. Then it is a success only if
    /// all of them were; otherwise the error says how many traces were sent all the same, and so does the
    /// account.
    ///
    /// # Errors
    /// `MALFORMED_PAYLOAD`, `TRUNCATED_PAYLOAD` with the place; `PAYLOAD_TOO_LARGE` naming a trace that is
    /// too large by itself; `AGENT_DOWN` at once if earlier sends have spent their budget in vain; `CLOSED`;
    /// what the connection or the agent said. The payload's traces are dropped then and counted with the
    /// reason.
    pub fn send(&self, payload: &[u8]) -> Result<AgentResponse, Error> {
        self.send_with(payload, SendOptions::default())
    }

    /// As [`TraceExporter::send`], with what the tracer says beside the payload: [`SendOptions`], or only what it has
    /// dropped itself.
    ///
    /// # Errors
    /// As [`TraceExporter::send`].
    pub fn send_with(&self, payload: &[u8], options: impl Into<SendOptions>) -> Result<AgentResponse, Error> {
        let begun = if memory::is_short() {
            Err(Error::out_of_memory("another payload"))
        } else {
            self.sends.begin(self.config().send_budget)
        };
        let _running = match begun {
            Ok(running) => running,
            Err(error) => return Err(self.dispatcher.refuse(payload, error)),
        };
        let mut workspace = self.workspaces.lock().pop().unwrap_or_default();
        let result = self.dispatcher.process(&mut workspace, payload, options.into());
        workspace.trim();
        let mut kept = self.workspaces.lock();
        if kept.len() < KEPT_WORKSPACES {
            kept.push(workspace);
        }
        result
    }

    /// What the agent says of itself, as far as it is known; of one without `/info` the endpoint that was found
    /// ([`Info::is_probed`]).
    pub fn agent_info(&self) -> Option<Info> {
        self.dispatcher.targets.first().destination.info()
    }

    /// Waits until the agent is there and what it offers is known. `None`: an agent answered that has no
    /// `/info`; [`agent_info`](Self::agent_info) has what was found in its place.
    ///
    /// # Errors
    /// `TIMED_OUT` with the last reason; `CLOSED`.
    pub fn await_agent(&self, limit: Duration) -> Result<Option<Info>, Error> {
        self.dispatcher.await_agent(limit.min(MAX_DURATION))
    }

    /// Asks the agent what it offers, now.
    ///
    /// # Errors
    /// What the connection or the agent said; `INVALID_RESPONSE` if the answer is not the JSON that agents give.
    pub fn fetch_info(&self, limit: Duration) -> Result<Info, Error> {
        let info = self.dispatcher.fetch_info(limit.min(MAX_DURATION))?;
        info.ok_or_else(|| Error::new(ErrorKind::InvalidResponse, "what answered is no agent"))
    }

    /// What client-side stats have counted, and the groups of the current buckets as readable rows. `None`
    /// when stats are not computed here.
    pub fn stats(&self) -> Option<StatsReport> {
        self.dispatcher.concentrator.as_ref().map(|c| c.report())
    }

    /// Sends the stats of all buckets now, the current one included. Gives whether all of them arrived within `limit`;
    /// what did not is kept for later, as far as that can be.
    pub fn flush_stats(&self, limit: Duration) -> bool {
        self.dispatcher.send_stats(Turn::All, self.now() + limit.min(MAX_DURATION))
    }

    /// READY, DEGRADED or DOWN, for health endpoints.
    pub fn state(&self) -> AgentState {
        self.dispatcher.targets.first().presence.state()
    }

    /// The account as it stands.
    pub fn metrics(&self) -> Metrics {
        Metrics { wire_bytes: self.dispatcher.outlet.bytes(), ..self.dispatcher.account.snapshot() }
    }

    /// Everything a person needs to see what the exporter does and why, as one JSON object: settings with the source of
    /// each, the agent's `/info`, the format and why it was chosen, the last error, the state, memory, the account.
    pub fn explain(&self) -> String {
        explain::explain(&self.dispatcher, &self.health, self.memory_bytes(), self.sends.is_closed())
    }

    /// Whether [`TraceExporter::take_log_lines`] has something to give. Costs one load.
    pub fn has_log_lines(&self) -> bool {
        self.health.journal.has_lines()
    }

    /// Takes the log lines that have come up since the last time: one when trouble begins, a summary every
    /// five minutes, one when it ends. At most the last 64 are kept.
    pub fn take_log_lines(&self) -> Vec<LogLine> {
        self.health.journal.take(self.now())
    }

    /// Takes the lines that the host writes itself ([`LogTarget::Host`](crate::settings::LogTarget)).
    pub(crate) fn take_lines(&self) -> Vec<u8> {
        self.dispatcher.targets.all().iter().flat_map(|target| target.destination.take_lines()).collect()
    }

    /// Bytes of native memory that the exporter holds for payloads.
    pub fn memory_bytes(&self) -> usize {
        let workspaces: usize = self.workspaces.lock().iter().map(|w| w.capacity_bytes()).sum();
        workspaces + self.dispatcher.queue.memory_bytes() + self.tickets.memory_bytes()
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.dispatcher.live().config)
    }

    /// Changes settings while the exporter lives: destination, headers, API key, service, env, version, filters, time
    /// limits and what else does not say how the queue, the spool or stats are laid out. These and the account live on;
    /// sends that have begun end as they began. A header that is set again takes the place of the one before.
    ///
    /// ```no_run
    /// # let exporter = data_pipeline::TraceExporter::builder().build()?;
    /// exporter.reconfigure(|settings| settings.url("http://other:8126").env("prod"))?;
    /// # Ok::<(), data_pipeline::Error>(())
    /// ```
    ///
    /// # Errors
    /// As `build`, and `INVALID_CONFIGURATION` naming a setting that cannot change; `CLOSED`. Nothing has changed then.
    pub fn reconfigure(&self, change: impl FnOnce(Builder) -> Builder) -> Result<(), Error> {
        let before = self.config().raw.clone();
        let known = before.header.len();
        let mut raw = change(Builder::from(before)).into_raw();
        raw.replace_headers(known);
        self.reconfigure_with(raw)
    }

    /// As [`TraceExporter::reconfigure`], all settings at once.
    pub(crate) fn reconfigure_with(&self, raw: RawConfig) -> Result<(), Error> {
        self.dispatcher.reconfigure(raw, destinations)
    }

    /// Closes with the configured limit.
    pub fn close(&self) -> CloseReport {
        self.close_within(self.config().close_timeout)
    }

    /// Takes no more payloads, waits up to `limit` for sends that run and for what is queued, then interrupts
    /// and drops the rest; what is left of `limit` goes to the stats of all buckets. With a spool it waits
    /// for no agent that is away: what is queued goes to disk, and what lies there stays for the next
    /// exporter. May be called again.
    pub fn close_within(&self, limit: Duration) -> CloseReport {
        let end = self.now() + limit.min(MAX_DURATION);
        let queue = &self.dispatcher.queue;
        queue.begin_close();
        self.dispatcher.start_senders();
        let mut complete = self.sends.end(end);
        complete &= self.tickets.end(&self.dispatcher, end);
        complete &= queue.wait_settled(u64::MAX, end);
        // What comes from the disk and is being sent to an agent that answers need not be sent twice.
        let state = self.dispatcher.targets.current().presence.state();
        if state.last_success.is_some() && state.condition == Condition::Ready {
            queue.wait_batches(end);
        }
        self.dispatcher.send_stats(Turn::Last, end);
        self.dispatcher.close_queue(DropReason::Closed);
        self.dispatcher.send_telemetry(end);
        self.dispatcher.shutdown();
        let grace = self.now() + INTERRUPT_GRACE;
        if !complete {
            self.sends.end(grace);
            self.tickets.end(&self.dispatcher, grace);
        }
        // A sender that was interrupted puts what it has on disk, and needs nothing but the processor for that.
        queue.wait_batches(self.now() + if queue.has_spool() { SPOOL_GRACE } else { INTERRUPT_GRACE });
        queue.wait_senders(grace);
        complete &= self.dispatcher.leave_spool();
        self.dispatcher.say_farewell();
        self.workspaces.lock().clear();
        CloseReport { complete, metrics: self.metrics() }
    }

    /// Now, by the clock of the pipeline.
    pub(crate) fn now(&self) -> Instant {
        self.dispatcher.clock.now()
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.sends.is_closed()
    }
}

impl Drop for TraceExporter {
    /// An exporter that nobody closed ends its dialogue at once.
    fn drop(&mut self) {
        if !self.sends.is_closed() {
            self.tickets.end(&self.dispatcher, self.now());
            self.dispatcher.close_queue(DropReason::Forgotten);
            self.dispatcher.shutdown();
            self.dispatcher.queue.close_disk();
            self.dispatcher.say_farewell();
        }
    }
}
