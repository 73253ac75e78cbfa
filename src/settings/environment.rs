//! Settings from `DD_*` variables, when a caller asks for it. Setters have the last word, whether they are called
//! before or after. The Java builder reads the same variables in the same way.

use super::check::Fault;
use super::setters::VARIABLES;
use super::slot::Slot;
use super::{Builder, RawConfig, shown};
use crate::error::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// What becomes of a variable with a value that its setter refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadValues {
    /// It is an error that names the variable.
    #[default]
    Fail,
    /// It is left out, with a log line; `explain()` lists it.
    Skip,
}

/// How a variable is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it stands there.
    Text,
    /// A number of seconds, perhaps with a fraction.
    Seconds,
}

/// The agent's socket where it is installed on the same machine.
pub(crate) const SOCKET: &str = "/var/run/datadog/apm.socket";
const STATS: &str = "DD_TRACE_STATS_COMPUTATION_ENABLED";
const URL: &str = "DD_TRACE_AGENT_URL";
const HOST: &str = "DD_AGENT_HOST";
const PORT: &str = "DD_TRACE_AGENT_PORT";
/// Variables that name an agent.
pub(super) const AGENT: [&str; 3] = [URL, HOST, PORT];
const BUCKET: Duration = Duration::from_secs(10);

/// Whether a variable says how to obfuscate.
pub(crate) fn is_obfuscation(variable: &str) -> bool {
    variable.starts_with("DD_APM_OBFUSCATION_")
        || ["DD_APM_SQL_OBFUSCATION_MODE", "DD_APM_REPLACE_TAGS", "DD_OBFUSCATION_CONFIG"].contains(&variable)
}

/// A check of one variable that says how to obfuscate: settings do not know how.
pub(crate) type CheckObfuscation = fn(&str, &str) -> Result<(), Error>;

impl Builder {
    /// Takes what is not set yet from these variables.
    pub(crate) fn take_variables(
        mut self,
        variables: &[(String, String)],
        socket: &Path,
        bad: BadValues,
        obfuscation: CheckObfuscation,
    ) -> Result<Self, Error> {
        let mut reading = Reading { variables, bad, raw: &mut self.raw };
        if !reading.otlp()? {
            reading.url(socket)?;
        }
        for (setting, variable, form) in VARIABLES {
            reading.one(setting, variable, *form)?;
        }
        reading.stats()?;
        reading.obfuscation(obfuscation)?;
        Ok(self)
    }
}

pub(super) struct Reading<'a> {
    variables: &'a [(String, String)],
    bad: BadValues,
    pub(super) raw: &'a mut RawConfig,
}

impl<'a> Reading<'a> {
    /// A variable that is empty counts as absent.
    pub(super) fn get(&self, variable: &str) -> Option<&'a str> {
        let found = self.variables.iter().find(|(known, _)| known == variable)?;
        Some(found.1.trim()).filter(|value| !value.is_empty())
    }

    /// Makes a setting in an empty configuration, checks it there, and takes it over.
    pub(super) fn set(
        &mut self,
        setting: &'static str,
        origin: &str,
        taken: bool,
        make: impl Fn(&mut RawConfig),
        fault: impl Fn(Fault) -> (String, String),
    ) -> Result<(), Error> {
        if taken && !self.raw.origins.iter().any(|(known, _)| known == setting) {
            return Ok(()); // A setter was called before.
        }
        let mut trial = RawConfig::default();
        make(&mut trial);
        match trial.check() {
            Ok(()) => {
                make(self.raw);
                self.raw.origins.retain(|(known, _)| known != setting);
                self.raw.origins.push((setting.to_owned(), origin.to_owned()));
                Ok(())
            }
            Err(found) => {
                let kind = found.kind;
                let (variable, why) = fault(found);
                self.refuse(kind, variable, why)
            }
        }
    }

    pub(super) fn refuse(&mut self, kind: ErrorKind, variable: String, why: String) -> Result<(), Error> {
        match self.bad {
            BadValues::Fail => Err(Error::new(kind, format!("{variable}: {why}"))),
            BadValues::Skip => {
                self.raw.skipped.push((variable, why));
                Ok(())
            }
        }
    }

    fn one(&mut self, setting: &'static str, variable: &'static str, form: Form) -> Result<(), Error> {
        let Some(value) = self.get(variable) else { return Ok(()) };
        let said = || format!("{variable}={:?}", shown::url(value));
        let fault = |fault: Fault| (said(), fault.why);
        match form {
            Form::Text => {
                let taken = matches!(self.raw.slot(setting), Some(Slot::Text(Some(_))));
                let make = |raw: &mut RawConfig| {
                    if let Some(Slot::Text(text)) = raw.slot(setting) {
                        *text = Some(value.to_owned());
                    }
                };
                self.set(setting, variable, taken, make, fault)
            }
            Form::Seconds => {
                let seconds = value.parse::<f64>().ok().filter(|s| s.is_finite());
                let Some(seconds) = seconds else {
                    let why = "it is no number of seconds".to_owned();
                    return self.refuse(ErrorKind::InvalidConfiguration, said(), why);
                };
                let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
                let taken = self.raw.send_timeout.is_some();
                self.set(setting, variable, taken, |raw| raw.send_timeout = Some(time), fault)
            }
        }
    }

    /// The address: a URL, else host and port, else the socket if it is there.
    fn url(&mut self, socket: &Path) -> Result<(), Error> {
        if self.get(URL).is_some() {
            return self.one("url", URL, Form::Text);
        }
        let taken = self.raw.url.is_some();
        let (host, port) = (self.get(HOST), self.get(PORT));
        if host.is_none() && port.is_none() {
            if socket.exists() {
                let path = socket.display().to_string();
                let url = format!("unix://{path}");
                let make = |raw: &mut RawConfig| raw.url = Some(url.clone());
                return self.set("url", &path, taken, make, |fault| (path.clone(), fault.why));
            }
            return Ok(());
        }
        let address = Address::of(host, port);
        let origin = match (host, port) {
            (Some(_), Some(_)) if address.port_counts => format!("{HOST}, {PORT}"),
            (Some(_), _) => HOST.to_owned(),
            _ => PORT.to_owned(),
        };
        let fault = |fault: Fault| {
            let about_port = host.is_none() || fault.why.starts_with("the port");
            let (variable, value) = if about_port { (PORT, port) } else { (HOST, host) };
            (format!("{variable}={:?}", shown::url(value.unwrap_or_default())), fault.why)
        };
        self.set("url", &origin, taken, |raw| raw.url = Some(address.url.clone()), fault)
    }

    /// `false` leaves stats off, as they are without it.
    fn stats(&mut self) -> Result<(), Error> {
        let Some(value) = self.get(STATS) else { return Ok(()) };
        let is = |words: [&str; 2]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
        if is(["false", "0"]) {
            return Ok(());
        }
        if !is(["true", "1"]) {
            let why = "it is neither true nor false".to_owned();
            return self.refuse(ErrorKind::InvalidConfiguration, format!("{STATS}={value:?}"), why);
        }
        let taken = self.raw.compute_stats.is_some();
        let make = |raw: &mut RawConfig| raw.compute_stats = Some(BUCKET);
        self.set("computeStats", STATS, taken, make, |fault| (STATS.to_owned(), fault.why))
    }

    fn obfuscation(&mut self, check: CheckObfuscation) -> Result<(), Error> {
        let mut taken = Vec::new();
        let mut known: Vec<_> = self.variables.iter().filter(|(name, _)| is_obfuscation(name)).collect();
        known.sort();
        for (variable, _) in known {
            let Some(value) = self.get(variable) else { continue };
            match check(variable, value) {
                Ok(()) => taken.push((variable.clone(), value.to_owned())),
                // The message names the variable itself, and no rule.
                Err(error) => match error.message().strip_prefix(&format!("{variable}: ")) {
                    Some(why) => self.refuse(error.kind(), variable.clone(), why.to_owned())?,
                    None => self.refuse(error.kind(), variable.clone(), error.message().to_owned())?,
                },
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let origin = taken.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let set = !self.raw.obfuscation_environment.is_empty();
        let make = |raw: &mut RawConfig| raw.obfuscation_environment.clone_from(&taken);
        self.set("obfuscationEnvironment", &origin, set, make, |fault| (origin.clone(), fault.why))
    }
}

/// An address put together from host and port.
struct Address {
    url: String,
    port_counts: bool,
}

impl Address {
    /// Kubernetes sets `DD_TRACE_AGENT_PORT` to `tcp://host:port` where a service is called `dd-trace-agent`; that says
    /// the host too, unless `DD_AGENT_HOST` does.
    fn of(host: Option<&str>, port: Option<&str>) -> Self {
        if let Some(socket) = host.filter(|host| host.starts_with("unix://")) {
            return Self { url: socket.to_owned(), port_counts: false };
        }
        let service = port.and_then(|port| port.strip_prefix("tcp://")).and_then(|s| s.rsplit_once(':'));
        let (host, port) = match service {
            Some((service, port)) => (host.unwrap_or(service), port),
            None => (host.unwrap_or("127.0.0.1"), port.unwrap_or("8126")),
        };
        let bare = host.contains(':') && !host.starts_with('[');
        let host = if bare { format!("[{host}]") } else { host.to_owned() };
        Self { url: format!("http://{host}:{port}"), port_counts: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn take(builder: Builder, pairs: &[(&str, &str)], bad: BadValues) -> Result<Builder, Error> {
        let variables: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let check = |name: &str, value: &str| match value {
            "bad" => Err(Error::new(ErrorKind::InvalidConfiguration, format!("{name}: it is bad"))),
            _ => Ok(()),
        };
        builder.take_variables(&variables, Path::new("/no/such/socket"), bad, check)
    }

    fn taken(pairs: &[(&str, &str)]) -> RawConfig {
        take(Builder::default(), pairs, BadValues::Fail).unwrap().into_raw()
    }

    #[test]
    fn the_address_follows_its_precedence() {
        for (pairs, url, origin) in [
            (&[(URL, "http://a:1"), (HOST, "b")][..], Some("http://a:1"), URL),
            (&[(HOST, "b")], Some("http://b:8126"), HOST),
            (&[(PORT, "9")], Some("http://127.0.0.1:9"), PORT),
            (&[(HOST, " b "), (PORT, "9")], Some("http://b:9"), "DD_AGENT_HOST, DD_TRACE_AGENT_PORT"),
            (&[(HOST, "::1")], Some("http://[::1]:8126"), HOST),
            (&[(HOST, "unix:///x"), (PORT, "9")], Some("unix:///x"), HOST),
            (&[(PORT, "tcp://10.43.0.7:8127")], Some("http://10.43.0.7:8127"), PORT),
            (
                &[(HOST, "b"), (PORT, "tcp://10.43.0.7:8127")],
                Some("http://b:8127"),
                "DD_AGENT_HOST, DD_TRACE_AGENT_PORT",
            ),
            (&[(URL, " ")], None, ""),
        ] {
            let raw = taken(pairs);
            assert_eq!(raw.url.as_deref(), url, "{pairs:?}");
            assert_eq!(raw.origins.first().map_or("", |(_, origin)| origin), origin);
        }
        let socket = std::env::temp_dir();
        let builder =
            Builder::default().take_variables(&[], &socket, BadValues::Fail, |_, _| Ok(())).unwrap();
        assert_eq!(builder.into_raw().url, Some(format!("unix://{}", socket.display())));
        let set = Builder::default().url("http://mine:1");
        let none: PathBuf = "/no/such".into();
        let variables = [(URL.to_owned(), "http://a:1".to_owned())];
        let raw = set.take_variables(&variables, &none, BadValues::Fail, |_, _| Ok(())).unwrap().into_raw();
        assert_eq!((raw.url.as_deref(), raw.origins.len()), (Some("http://mine:1"), 0));
    }

    #[test]
    fn a_bad_value_is_shown_as_it_was_set_and_names_its_variable() {
        for (pairs, message) in [
            (&[(URL, "ftp://u:s3cret@x")][..], "DD_TRACE_AGENT_URL=\"ftp://***@x\": the scheme"),
            (&[(HOST, "a b"), (PORT, "9")], "DD_AGENT_HOST=\"a b\": it has spaces"),
            (&[(HOST, "b"), (PORT, "many")], "DD_TRACE_AGENT_PORT=\"many\": the port must be 1 to 65535"),
            (&[(PORT, "tcp://x:0")], "DD_TRACE_AGENT_PORT=\"tcp://x:0\": the port"),
            (&[("DD_TRACE_AGENT_TIMEOUT", "soon")], "DD_TRACE_AGENT_TIMEOUT=\"soon\": it is no number"),
            (
                &[("DD_TRACE_AGENT_TIMEOUT", "1e99")],
                "DD_TRACE_AGENT_TIMEOUT=\"1e99\": it must be more than 0",
            ),
            (&[("DD_TRACE_AGENT_TIMEOUT", "-1")], "DD_TRACE_AGENT_TIMEOUT=\"-1\": it must be more than 0"),
            (&[("DD_DOGSTATSD_URL", "http://x/s3cret")], "DD_DOGSTATSD_URL=\"http://x/***\": the scheme"),
            (&[("DD_EXTERNAL_ENV", "a\nb")], "DD_EXTERNAL_ENV=\"a\\nb\": it goes into an HTTP header"),
            (&[(STATS, "yes")], "DD_TRACE_STATS_COMPUTATION_ENABLED=\"yes\": it is neither"),
            (&[("DD_APM_REPLACE_TAGS", "bad")], "DD_APM_REPLACE_TAGS: it is bad"),
        ] {
            let e = take(Builder::default(), pairs, BadValues::Fail).unwrap_err();
            assert!(e.message().starts_with(message), "{e}");
            assert!(!e.message().contains("s3cret"), "{e}");
            let more = [pairs, &[("DD_SERVICE", "shop")]].concat();
            let raw = take(Builder::default(), &more, BadValues::Skip).unwrap().into_raw();
            assert_eq!((raw.service.as_deref(), raw.skipped.len()), (Some("shop"), 1), "{pairs:?}");
            let (variable, why) = &raw.skipped[0];
            assert!(format!("{variable}: {why}").starts_with(message), "{variable} {why}");
        }
    }

    #[test]
    fn setters_have_the_last_word_and_what_cannot_go_together_gives_way() {
        let stats = [(STATS, "true")];
        let raw = taken(&[stats[0], ("DD_TRACE_AGENT_TIMEOUT", "2.5")]);
        assert_eq!((raw.compute_stats, raw.send_timeout), (Some(BUCKET), Some(Duration::from_millis(2500))));
        assert!(taken(&[(STATS, "False")]).compute_stats.is_none());
        let before = take(Builder::default().client_computed_stats(true), &stats, BadValues::Fail).unwrap();
        let after = take(Builder::default(), &stats, BadValues::Fail).unwrap().client_computed_stats(true);
        for builder in [before, after] {
            let config = super::super::Config::new(builder.into_raw()).unwrap();
            assert!(config.stats.is_none());
            assert_eq!(config.raw.skipped[0].0, STATS);
        }
        let mine = Duration::from_secs(20);
        let set = take(Builder::default().compute_stats(mine), &stats, BadValues::Fail).unwrap();
        assert_eq!(set.into_raw().compute_stats, Some(mine));
    }
}
