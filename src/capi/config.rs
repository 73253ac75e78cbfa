//! Settings of an exporter, as the reference names them. `dp_config_set` reaches the others.

use super::common::{CharSlice, behind, is_place, write_if_wanted};
use super::error::{Code, Fault, TraceExporterError, enter, guard};
use super::fork;
use super::handles::{self, as_pointer};
use super::runtime::{ForkSafeRuntime, Runtime};
use crate::face::by_name::Named;
use crate::settings::{
    BadValues, Builder, Destination, LogTarget, MAX_DURATION, OtlpEncoding, RawConfig, StatsLimits,
};
use std::sync::Arc;
use std::time::Duration;

/// Settings that an exporter is made with. They are copied by `ddog_trace_exporter_new`, and checked there.
#[derive(Debug)]
pub struct TraceExporterConfig {
    _opaque: (),
}

/// How instrumentation telemetry is sent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TelemetryClientConfig {
    /// Milliseconds between two messages, 100 to an hour; what is beyond is the nearest of both, 0 is a minute.
    pub interval: u64,
    /// The process; empty: the one that the exporter has.
    pub runtime_id: CharSlice,
    /// Whether messages are for debugging.
    pub debug_enabled: bool,
    /// The session.
    pub session_id: CharSlice,
    /// The session of the first process.
    pub root_session_id: CharSlice,
    /// The session of the parent.
    pub parent_session_id: CharSlice,
}

/// How often tracers send telemetry.
const DEFAULT_TELEMETRY_MS: u64 = 60_000;

/// How many different groups and values a bucket of stats takes; what is beyond is counted as `tracer_blocked_value`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CardinalityLimitConfig {
    /// Groups.
    pub whole_key_limit: usize,
    /// Resources.
    pub resource_limit: usize,
    /// HTTP endpoints.
    pub http_endpoint_limit: usize,
    /// Lists of peer tags.
    pub peer_tags_limit: usize,
    /// Lists of additional tags.
    pub additional_tags_limit: usize,
}

/// Settings so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) named: Named,
    /// Whether the rest comes from the environment, and what becomes of bad values there.
    pub(super) environment: Option<BadValues>,
    pub(super) runtime: Option<Arc<Runtime>>,
    /// Where OpenTelemetry's protocol is spoken, and whether as JSON.
    otlp: (Option<String>, bool),
    /// The longest line, if traces become lines.
    log: Option<u32>,
}

impl Settings {
    /// What an exporter is made with. Where two settings have no effect together the reference gives way, and ours
    /// are refused.
    pub(super) fn finished(&self) -> Result<RawConfig, Fault> {
        let mut raw = self.named.raw()?;
        if let Some(bad) = self.environment {
            raw = Builder::of(raw).from_environment_with(bad)?.into_raw();
        }
        if let (Some(url), json) = &self.otlp {
            let encoding = if *json { OtlpEncoding::Json } else { OtlpEncoding::Protobuf };
            raw.destination = vec![Destination::otlp(url).encoding(encoding).into()];
        }
        if let Some(most) = self.log {
            let log = Destination::log(LogTarget::Stdout);
            raw.destination = vec![if most > 0 { log.max_line_bytes(most) } else { log }.into()];
        }
        if !raw.destination.is_empty() {
            raw.url = None;
        }
        if raw.compute_stats.is_some() && raw.client_computed_stats == Some(true) {
            raw.client_computed_stats = None;
        }
        if raw.compute_stats.is_none() {
            raw.stats_limits = None;
        }
        Ok(raw)
    }

    /// Makes a setting; without a value it is as if nobody had made it.
    fn make(&mut self, name: &str, value: Option<&str>) -> Result<(), Fault> {
        match value {
            Some(value) => self.named.set(name, value, None)?,
            None => self.named.forget(name),
        }
        Ok(())
    }
}

/// Changes settings. Not made anew for each body, since nobody sets anything often.
fn set(
    config: *mut TraceExporterConfig,
    body: &mut dyn FnMut(&mut Settings) -> Result<(), Fault>,
) -> *mut TraceExporterError {
    enter(|| with(config, body))
}

/// Makes a setting that is a text; an empty one is none.
fn set_text(config: *mut TraceExporterConfig, name: &str, value: CharSlice) -> *mut TraceExporterError {
    set(config, &mut |settings| settings.make(name, Some(value.text()?).filter(|text| !text.is_empty())))
}

/// Works with settings.
pub(super) fn with<R>(
    config: *const TraceExporterConfig,
    body: impl FnOnce(&mut Settings) -> Result<R, Fault>,
) -> Result<R, Fault> {
    handles::CONFIGS.with(config.addr(), body).unwrap_or_else(|| Err(Fault::stale("config")))
}

/// A text as a setting; an empty one is none.
fn text(slice: CharSlice) -> Result<Option<String>, Fault> {
    let text = slice.text()?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Makes settings without a setting; `out_handle` becomes the caller's.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_new(out_handle: *mut *mut TraceExporterConfig) {
    if !is_place(out_handle) {
        return;
    }
    let made = guard(|| {
        handles::open(&handles::CONFIGS, |settings| {
            *settings = Settings::default();
            Ok(())
        })
    });
    write_if_wanted(out_handle, as_pointer(made.unwrap_or(0)));
}

/// Frees settings. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_free(handle: *mut TraceExporterConfig) {
    handles::CONFIGS.free(handle.addr(), |settings| *settings = Settings::default());
}

/// Sets where the agent is: `http://host:port`, `unix:///path` or `windows:\\.\pipe\name`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_url(
    config: *mut TraceExporterConfig,
    url: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "url", url)
}

/// Sets the header `Datadog-Meta-Tracer-Version`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_tracer_version(
    config: *mut TraceExporterConfig,
    version: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "tracerVersion", version)
}

/// Sets the header `Datadog-Meta-Lang`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_language(
    config: *mut TraceExporterConfig,
    lang: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "language", lang)
}

/// Sets the header `Datadog-Meta-Lang-Version`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_lang_version(
    config: *mut TraceExporterConfig,
    version: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "languageVersion", version)
}

/// Sets the header `Datadog-Meta-Lang-Interpreter`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_lang_interpreter(
    config: *mut TraceExporterConfig,
    interpreter: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "languageInterpreter", interpreter)
}

/// Sets the host name.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_hostname(
    config: *mut TraceExporterConfig,
    hostname: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "hostname", hostname)
}

/// Sets the environment, `prod` for instance.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_env(
    config: *mut TraceExporterConfig,
    env: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "env", env)
}

/// Sets the version of the service.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_version(
    config: *mut TraceExporterConfig,
    version: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "version", version)
}

/// Sets the service of the process.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_service(
    config: *mut TraceExporterConfig,
    service: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "service", service)
}

/// Accepted; health metrics go out as soon as the setting `dogstatsd` says where to (`dp_config_set`).
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_enable_health_metrics(
    config: *mut TraceExporterConfig,
    is_enabled: bool,
) -> *mut TraceExporterError {
    let _ = is_enabled;
    set(config, &mut |_| Ok(()))
}

/// Sends instrumentation telemetry. Null, or never called: none is sent.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_enable_telemetry(
    config: *mut TraceExporterConfig,
    telemetry_cfg: *const TelemetryClientConfig,
) -> *mut TraceExporterError {
    set(config, &mut |settings| {
        let Some(t) = behind(telemetry_cfg) else { return settings.make("telemetry", None) };
        let texts = [
            ("telemetrySessionId", &t.session_id),
            ("telemetryRootSessionId", &t.root_session_id),
            ("telemetryParentSessionId", &t.parent_session_id),
        ];
        // Every text is looked at before one of them is taken.
        let mut values = Vec::new();
        for (name, slice) in texts {
            values.push((name, Some(slice.text()?).filter(|text| !text.is_empty())));
        }
        let runtime_id = t.runtime_id.text()?;
        let has_session = !t.session_id.text()?.is_empty();
        let interval = if t.interval == 0 { DEFAULT_TELEMETRY_MS } else { t.interval.clamp(100, 3_600_000) };
        settings.make("telemetry", Some(&format!("{interval} ms")))?;
        settings.make("telemetryDebug", t.debug_enabled.then_some("true"))?;
        for (name, value) in values {
            // As the reference: without a session there is no relation to others.
            settings.make(name, value.filter(|_| has_session))?;
        }
        if !runtime_id.is_empty() {
            settings.make("runtimeId", Some(runtime_id))?;
        }
        Ok(())
    })
}

/// Computes stats in buckets of ten seconds while the agent takes them.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_compute_stats(
    config: *mut TraceExporterConfig,
    is_enabled: bool,
) -> *mut TraceExporterError {
    set(config, &mut |settings| settings.make("computeStats", is_enabled.then_some("10 s")))
}

/// Tells the agent that the tracer computes stats. Without effect while this library computes them.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_client_computed_stats(
    config: *mut TraceExporterConfig,
    client_computed_stats: bool,
) -> *mut TraceExporterError {
    let told = if client_computed_stats { "true" } else { "false" };
    set(config, &mut |settings| settings.make("clientComputedStats", Some(told)))
}

/// Sets process tags, `key:value,key:value`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_process_tags(
    config: *mut TraceExporterConfig,
    process_tags: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "processTags", process_tags)
}

/// Sets the header `X-Datadog-Test-Session-Token`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_test_session_token(
    config: *mut TraceExporterConfig,
    token: CharSlice,
) -> *mut TraceExporterError {
    set_text(config, "testSessionToken", token)
}

/// Sets how many milliseconds one attempt may take, up to ten minutes; 0 is the default.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_connection_timeout(
    config: *mut TraceExporterConfig,
    timeout_ms: u64,
) -> *mut TraceExporterError {
    let timeout = Duration::from_millis(timeout_ms).min(MAX_DURATION);
    let timeout = timeout.as_millis().to_string();
    set(config, &mut |settings| settings.make("sendTimeout", Some(&*timeout).filter(|_| timeout_ms > 0)))
}

/// The exporter belongs to this runtime: `ddog_shared_runtime_shutdown` closes it. The runtime may be freed before.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_shared_runtime(
    config: *mut TraceExporterConfig,
    handle: *mut ForkSafeRuntime,
) -> *mut TraceExporterError {
    enter(|| {
        let _inside = fork::enter();
        with(config, |settings| {
            let runtime = handles::RUNTIMES.with(handle.addr(), |runtime| runtime.clone()).flatten();
            settings.runtime = Some(runtime.ok_or_else(|| Fault::stale("runtime"))?);
            Ok(())
        })
    })
}

/// Sets where OpenTelemetry's protocol is spoken, in place of an agent. Empty: nowhere.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_otlp_endpoint(
    config: *mut TraceExporterConfig,
    url: CharSlice,
) -> *mut TraceExporterError {
    set(config, &mut |settings| {
        settings.otlp.0 = text(url)?;
        Ok(())
    })
}

/// Sets the form of OpenTelemetry's protocol: `http/protobuf` or `http/json`.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_otlp_protocol(
    config: *mut TraceExporterConfig,
    protocol: CharSlice,
) -> *mut TraceExporterError {
    set(config, &mut |settings| {
        settings.otlp.1 = match protocol.text()? {
            "http/protobuf" => false,
            "http/json" => true,
            other => {
                let text = format!("the protocol {other:?} is none of http/protobuf, http/json");
                return Err(Fault::new(Code::InvalidArgument, text));
            }
        };
        Ok(())
    })
}

/// Accepted and checked; the scope that this library writes is its own.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_otlp_instrumentation_scope(
    config: *mut TraceExporterConfig,
    name: CharSlice,
    version: CharSlice,
) -> *mut TraceExporterError {
    set(config, &mut |_| {
        name.text()?;
        version.text()?;
        Ok(())
    })
}

/// Sets how many groups and values a bucket of stats takes.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_stats_cardinality_limit(
    config: *mut TraceExporterConfig,
    limits: CardinalityLimitConfig,
) -> *mut TraceExporterError {
    set(config, &mut |s| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let limits = StatsLimits {
            whole_key: number(limits.whole_key_limit),
            resource: number(limits.resource_limit),
            http_endpoint: number(limits.http_endpoint_limit),
            peer_tags: number(limits.peer_tags_limit),
            additional_tags: number(limits.additional_tags_limit),
        };
        s.make("statsLimits", Some(&limits.values().map(|n| n.to_string()).join(",")))
    })
}

/// The limits that hold when none were set.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_default_stats_cardinality_limit() -> CardinalityLimitConfig {
    let [whole_key_limit, resource_limit, http_endpoint_limit, peer_tags_limit, additional_tags_limit] =
        StatsLimits::default().values().map(|n| n as usize);
    CardinalityLimitConfig {
        whole_key_limit,
        resource_limit,
        http_endpoint_limit,
        peer_tags_limit,
        additional_tags_limit,
    }
}

/// Writes traces as lines to standard output instead of sending them; a line has at most so many bytes, 0 is the
/// default. It is the one function after which this library writes there.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_config_set_output_to_log(
    config: *mut TraceExporterConfig,
    max_line_size: usize,
) -> *mut TraceExporterError {
    set(config, &mut |settings| {
        settings.log = Some(u32::try_from(max_line_size).unwrap_or(u32::MAX));
        Ok(())
    })
}
