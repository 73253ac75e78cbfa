//! The peers that payloads go to, checked: addresses made out, sites turned into hosts, defaults filled in.

use super::check::{self, Fault};
use super::destination::{
    Compression, Destination, IntakeDestination, LogDestination, LogTarget, OtlpDestination, OtlpEncoding,
    Secret,
};
use super::{AgentUrl, RawConfig};
use crate::error::ErrorKind;
use crate::object::object;
use serde_json::Value;

const SETTING: &str = "destination";

/// The longest log line by default: what Amazon CloudWatch takes.
pub(crate) const LINE_BYTES: usize = 262_144;
/// What Datadog's own OTLP intake takes at once.
const DATADOG_OTLP_BYTES: usize = 3_200_000;

/// One peer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Peer {
    /// An agent at this address.
    Agent(AgentUrl),
    /// An OTLP endpoint.
    Otlp(OtlpPeer),
    /// Datadog's intake.
    Intake(IntakePeer),
    /// Log lines.
    Log(LogPeer),
}

/// An OTLP endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpPeer {
    /// Where traces go, the path whole.
    pub url: AgentUrl,
    /// Where metrics go; none if neither the caller nor `url` says it.
    pub metrics_url: Option<AgentUrl>,
    /// How requests are written.
    pub encoding: OtlpEncoding,
    /// Headers of every request.
    pub headers: Vec<(String, Secret)>,
    /// How bodies are compressed.
    pub compression: Compression,
    /// See [`OtlpDestination::open_telemetry_semantics`].
    pub open_telemetry_semantics: bool,
    /// See [`OtlpDestination::max_attributes`].
    pub max_attributes: Option<u32>,
    /// What only Datadog's own OTLP intake wants.
    pub datadog: Option<DatadogOtlp>,
}

/// Datadog's own OTLP intake.
#[derive(Clone, Debug, PartialEq)]
pub struct DatadogOtlp {
    /// The site.
    pub site: String,
    /// The API key.
    pub api_key: Secret,
    /// The header `dd-otel-span-mapping`.
    pub span_mapping: String,
    /// The largest request.
    pub max_bytes: usize,
}

/// Datadog's intake for traces and stats.
#[derive(Clone, Debug, PartialEq)]
pub struct IntakePeer {
    /// The site.
    pub site: String,
    /// The API key.
    pub api_key: Secret,
    /// What stands before `/api/v2/spans`.
    pub url: AgentUrl,
    /// What stands before `/api/v0.2/stats`.
    pub stats_url: AgentUrl,
    /// What stands before `/api/v2/apmtelemetry`.
    pub telemetry_url: AgentUrl,
    /// How bodies are compressed.
    pub compression: Compression,
}

/// Log lines.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPeer {
    /// Where they go.
    pub target: LogTarget,
    /// The longest line, its end included.
    pub max_line_bytes: usize,
}

/// What holds toward a peer where the caller says nothing: an agent does this work itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Whether spans are normalized and obfuscated here.
    pub prepares: bool,
    /// Whether p0 traces are left out; `None`: while stats are computed.
    pub drops_p0: Option<bool>,
}

/// How a body of stats is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatsForm {
    /// `/v0.6/stats` of an agent.
    #[default]
    Agent,
    /// `/api/v0.2/stats` of Datadog's intake: what an agent would send there.
    Intake,
    /// OTLP metrics.
    Otlp(OtlpEncoding),
}

impl Peer {
    /// What holds toward this peer where the caller says nothing.
    pub fn defaults(&self) -> Defaults {
        match self {
            Self::Agent(_) => Defaults::default(),
            Self::Otlp(_) => Defaults { prepares: true, drops_p0: Some(true) },
            Self::Intake(_) | Self::Log(_) => Defaults { prepares: true, drops_p0: Some(false) },
        }
    }

    /// The peers of these settings, in the order in which they are preferred; at least one. `agent` is what `url` says.
    pub(super) fn all(raw: &RawConfig, agent: &AgentUrl) -> Result<Vec<Self>, Fault> {
        if raw.destination.is_empty() {
            return Ok(vec![Self::Agent(agent.clone())]);
        }
        raw.destination.iter().map(Self::of).collect()
    }

    fn of(given: &Destination) -> Result<Self, Fault> {
        Ok(match given {
            Destination::Agent(it) => {
                Self::Agent(check::agent_url(SETTING, it.url.as_deref())?.unwrap_or_default())
            }
            Destination::Otlp(it) => Self::Otlp(otlp(it)?),
            Destination::Intake(it) => Self::Intake(intake(it)?),
            Destination::Log(it) => Self::Log(log(it)?),
        })
    }

    /// Whether it is an agent.
    pub fn is_agent(&self) -> bool {
        matches!(self, Self::Agent(_))
    }

    /// What it is, for people.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::Agent(url) => object! { "kind": "agent", "url": url.to_string() },
            Self::Otlp(it) => object! {
                "kind": "otlp",
                "url": it.url.to_string(),
                "metrics_url": it.metrics_url.as_ref().map(ToString::to_string),
                "encoding": check::named(it.encoding, &OtlpEncoding::ALL),
                "headers": it.headers.iter().map(|(name, _)| format!("{name}: ***")).collect::<Vec<_>>(),
                "compression": check::named(it.compression, &Compression::ALL),
                "open_telemetry_semantics": it.open_telemetry_semantics,
                "max_attributes": it.max_attributes,
                "site": it.datadog.as_ref().map(|datadog| &*datadog.site),
                "api_key": it.datadog.as_ref().map(|datadog| datadog.api_key.shown()),
            },
            Self::Intake(it) => object! {
                "kind": "intake",
                "site": &*it.site,
                "api_key": it.api_key.shown(),
                "url": it.url.to_string(),
                "compression": check::named(it.compression, &Compression::ALL),
            },
            Self::Log(it) => object! {
                "kind": "log",
                "target": match &it.target {
                    LogTarget::Stdout => "stdout".to_owned(),
                    LogTarget::File(path) => path.display().to_string(),
                    LogTarget::Writer(_) | LogTarget::Host => "a stream of the caller's".to_owned(),
                },
                "max_line_bytes": it.max_line_bytes,
            },
        }
    }
}

fn otlp(given: &OtlpDestination) -> Result<OtlpPeer, Fault> {
    check::choice("destination.encoding", given.encoding.as_deref(), &OtlpEncoding::ALL.map(|(n, _)| n))?;
    check::headers("destination.header", &given.headers)?;
    let datadog = match (&given.site, &given.api_key) {
        (None, None) => None,
        (site, key) => Some(DatadogOtlp {
            site: check_site(site.as_deref())?,
            api_key: check_key(key.as_ref())?,
            span_mapping: mapping(given.span_mapping.as_deref())?,
            max_bytes: DATADOG_OTLP_BYTES,
        }),
    };
    if datadog.is_none() && given.span_mapping.is_some() {
        return Err(fault(
            "only Datadog's own OTLP intake reads a span mapping",
            ErrorKind::InvalidConfiguration,
        ));
    }
    let encoding = check::choose(given.encoding.as_deref(), &OtlpEncoding::ALL);
    if datadog.is_some() && encoding == OtlpEncoding::Json {
        return Err(fault("Datadog's own OTLP intake takes protobuf only", ErrorKind::InvalidConfiguration));
    }
    let url = match (&given.url, &datadog) {
        (Some(url), _) => endpoint(url)?,
        (None, Some(datadog)) => https(&format!("otlp.{}", datadog.site), "/v1/traces"),
        (None, None) => return Err(fault("an OTLP endpoint needs a URL", ErrorKind::InvalidUrl)),
    };
    let metrics_url = match &given.metrics_url {
        Some(url) => http("destination.metricsUrl", url).map(Some)?,
        None => url
            .prefix()
            .strip_suffix("/v1/traces")
            .and_then(|base| url.with_path(&format!("{base}/v1/metrics"))),
    };
    Ok(OtlpPeer {
        url,
        metrics_url,
        encoding,
        headers: given.headers.iter().map(|(name, value)| (name.clone(), Secret::new(value))).collect(),
        compression: compression(given.compression.as_deref(), Compression::None)?,
        open_telemetry_semantics: given.open_telemetry_semantics,
        max_attributes: given.max_attributes,
        datadog,
    })
}

fn intake(given: &IntakeDestination) -> Result<IntakePeer, Fault> {
    let site = check_site(given.site.as_deref())?;
    let api_key = check_key(given.api_key.as_ref())?;
    let [url, stats_url, telemetry_url] = match &given.url {
        Some(url) => {
            let url = http("destination.url", url)?;
            [url.clone(), url.clone(), url]
        }
        None => [
            https(&intake_host(&site), ""),
            https(&format!("trace.agent.{site}"), ""),
            https(&format!("instrumentation-telemetry-intake.{site}"), ""),
        ],
    };
    let compression = compression(given.compression.as_deref(), Compression::Zstd)?;
    Ok(IntakePeer { site, api_key, url, stats_url, telemetry_url, compression })
}

fn log(given: &LogDestination) -> Result<LogPeer, Fault> {
    let most = given.max_line_bytes.map_or(LINE_BYTES as u64, u64::from);
    check::number("destination.maxLineBytes", Some(most), 1024, 1 << 30, "1,024 to 1,073,741,824")?;
    if let LogTarget::File(path) = &given.target
        && path.as_os_str().is_empty()
    {
        return Err(fault("a log file needs a path", ErrorKind::InvalidConfiguration));
    }
    Ok(LogPeer { target: given.target.clone(), max_line_bytes: check::size(most) })
}

/// The host of the intake. One template for all sites would lose the spans of some: they have hosts of their own.
fn intake_host(site: &str) -> String {
    match site.split_once('.') {
        Some(("datadoghq", "com" | "eu")) => format!("public-trace-http-intake.logs.{site}"),
        Some((region @ ("us3" | "us5"), "datadoghq.com")) => {
            format!("trace.browser-intake-{region}-datadoghq.com")
        }
        _ => match site.rsplit_once('.') {
            Some((name, tld)) => format!("browser-intake-{}.{tld}", name.replace('.', "-")),
            None => site.to_owned(),
        },
    }
}

fn https(host: &str, path: &str) -> AgentUrl {
    AgentUrl::Http { tls: true, host: host.to_owned(), port: 443, prefix: path.to_owned() }
}

fn endpoint(url: &str) -> Result<AgentUrl, Fault> {
    let url = http("destination.url", url)?;
    let whole = if url.prefix().is_empty() { url.with_path("/v1/traces") } else { None };
    Ok(whole.unwrap_or(url))
}

fn http(setting: &'static str, url: &str) -> Result<AgentUrl, Fault> {
    match check::agent_url(setting, Some(url))? {
        Some(url @ AgentUrl::Http { .. }) => Ok(url),
        _ => Err(Fault {
            setting,
            ..fault("it must be http://host:port/path or https://host:port/path", ErrorKind::InvalidUrl)
        }),
    }
}

fn compression(given: Option<&str>, default: Compression) -> Result<Compression, Fault> {
    check::choice("destination.compression", given, &Compression::ALL.map(|(name, _)| name))?;
    Ok(given.map_or(default, |_| check::choose(given, &Compression::ALL)))
}

fn check_site(site: Option<&str>) -> Result<String, Fault> {
    let site = site.unwrap_or_default();
    let named = site.contains('.')
        && site
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    if named {
        return Ok(site.to_ascii_lowercase());
    }
    Err(Fault {
        kind: ErrorKind::InvalidConfiguration,
        setting: "destination.site",
        value: format!("{:?}", super::shown::url(site)),
        why: "it must be a site of Datadog's, datadoghq.com or us5.datadoghq.com for instance".to_owned(),
    })
}

/// A key with spaces is one that was copied badly, and the intake's 403 would not say so.
fn check_key(key: Option<&Secret>) -> Result<Secret, Fault> {
    let key = key.cloned().unwrap_or_default();
    let why = match key.reveal() {
        "" => "an API key is needed",
        text if text.bytes().any(|b| b <= 0x20 || b >= 0x7f) => {
            "the key has spaces or characters that no API key has: copy it again"
        }
        _ => return Ok(key),
    };
    Err(Fault { setting: "destination.apiKey", ..fault(why, ErrorKind::InvalidConfiguration) })
}

/// The name of our OTLP spans is the resource, which that intake would take for the operation.
fn mapping(given: Option<&str>) -> Result<String, Fault> {
    let Some(text) = given else { return Ok(r#"{"span_name_as_resource_name":false}"#.to_owned()) };
    let is_object = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
    if is_object && !text.contains(['\r', '\n']) {
        return Ok(text.to_owned());
    }
    let setting = "destination.spanMapping";
    Err(Fault { setting, ..fault("it must be a JSON object on one line", ErrorKind::InvalidConfiguration) })
}

fn fault(why: &str, kind: ErrorKind) -> Fault {
    Fault { kind, setting: SETTING, value: String::new(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Builder, Config};

    fn peer(given: impl Into<Destination>) -> Result<Peer, String> {
        let config = Config::new(Builder::default().destination(given).into_raw());
        config.map(|config| config.destinations[0].clone()).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn every_site_has_its_host() {
        for (site, host) in [
            ("datadoghq.com", "public-trace-http-intake.logs.datadoghq.com"),
            ("datadoghq.eu", "public-trace-http-intake.logs.datadoghq.eu"),
            ("us3.datadoghq.com", "trace.browser-intake-us3-datadoghq.com"),
            ("US5.datadoghq.com", "trace.browser-intake-us5-datadoghq.com"),
            ("ap1.datadoghq.com", "browser-intake-ap1-datadoghq.com"),
            ("ap2.datadoghq.com", "browser-intake-ap2-datadoghq.com"),
            ("uk1.datadoghq.com", "browser-intake-uk1-datadoghq.com"),
            ("ddog-gov.com", "browser-intake-ddog-gov.com"),
        ] {
            let Ok(Peer::Intake(it)) = peer(Destination::intake(site, "k")) else { panic!("{site}") };
            assert_eq!(it.url.to_string(), format!("https://{host}:443"));
            assert_eq!(it.stats_url.to_string(), format!("https://trace.agent.{}:443", site.to_lowercase()));
            let telemetry = format!("https://instrumentation-telemetry-intake.{}:443", site.to_lowercase());
            assert_eq!(it.telemetry_url.to_string(), telemetry);
            assert_eq!(it.compression, Compression::Zstd);
        }
    }

    #[test]
    fn an_otlp_url_without_a_path_gets_the_usual_one() {
        for (url, traces, metrics) in [
            ("http://h:4318", "/v1/traces", Some("/v1/metrics")),
            ("http://h:4318/", "/v1/traces", Some("/v1/metrics")),
            ("http://h:4318/x/v1/traces", "/x/v1/traces", Some("/x/v1/metrics")),
            ("https://h/api/otlp", "/api/otlp", None),
        ] {
            let Ok(Peer::Otlp(it)) = peer(Destination::otlp(url)) else { panic!("{url}") };
            assert_eq!(it.url.prefix(), traces);
            assert_eq!(it.metrics_url.as_ref().map(AgentUrl::prefix), metrics, "{url}");
        }
        let Ok(Peer::Otlp(it)) = peer(Destination::datadog_otlp("us5.datadoghq.com", "k")) else { panic!() };
        assert_eq!(
            (it.url.host_header(), it.url.prefix()),
            ("otlp.us5.datadoghq.com:443".to_owned(), "/v1/traces")
        );
    }

    #[test]
    fn what_cannot_work_is_refused_and_no_key_is_shown() {
        let key = "0123456789abcdef0123456789abcdef";
        for (given, message) in [
            (
                Destination::intake("datadoghq", key).into(),
                "destination.site is \"datadoghq\"; it must be a site",
            ),
            (
                Destination::intake("https://u:s3cret@x.y/s3cret", key).into(),
                "destination.site is \"https://***@x.y/***\"",
            ),
            (Destination::intake("datadoghq.com", "a b").into(), "destination.apiKey: the key has spaces"),
            (Destination::intake("datadoghq.com", "").into(), "destination.apiKey: an API key is needed"),
            (Destination::otlp("unix:///x").into(), "destination.url: it must be http://host:port/path"),
            (Destination::otlp("h:4318").into(), "destination.url is \"h:4318\"; the scheme is missing"),
            (
                Destination::otlp("http://h").header("a", "b\r\nc").into(),
                "destination.header: the value of a has",
            ),
            (Destination::otlp("http://h").span_mapping("{}").into(), "destination: only Datadog's own OTLP"),
            (
                Destination::datadog_otlp("datadoghq.com", key).encoding(OtlpEncoding::Json).into(),
                "destination: Datadog's own OTLP intake takes protobuf only",
            ),
            (
                Destination::log(LogTarget::Stdout).max_line_bytes(9).into(),
                "destination.maxLineBytes is 9; it must",
            ),
        ] as [(Destination, &str); 10]
        {
            let e = peer(given.clone()).unwrap_err();
            assert!(e.starts_with(message), "{e}");
            assert!(!e.contains("s3cret") && !format!("{given:?}").contains(key), "{e} {given:?}");
        }
        let shown = peer(Destination::intake("datadoghq.com", key)).unwrap();
        assert!(format!("{shown:?}").contains("***cdef") && !format!("{shown:?}").contains(key), "{shown:?}");
        let short = peer(Destination::intake("datadoghq.com", "s3cret")).unwrap();
        assert!(!format!("{short:?} {}", short.shown()).contains("s3cret"));
    }
}
