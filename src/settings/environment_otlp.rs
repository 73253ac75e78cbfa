//! The destination from OpenTelemetry's own variables, `OTEL_EXPORTER_OTLP_*`: those of traces before those of all
//! signals. They count where no variable of Datadog's names an agent, or where `OTEL_TRACES_EXPORTER` is `otlp`.

use super::check::Fault;
use super::destination::{Compression, Destination, OtlpEncoding};
use super::environment::{AGENT, Reading};
use super::{RawConfig, shown};
use crate::error::{Error, ErrorKind};
use std::time::Duration;

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// Where a receiver listens by the specification.
const DEFAULT: &str = "http://localhost:4318";

impl<'a> Reading<'a> {
    /// The value of a variable of traces, else of all signals, with its name.
    fn signal(&self, traces: &'static str, all: &'static str) -> Option<(&'static str, &'a str)> {
        [traces, all].into_iter().find_map(|name| self.get(name).map(|value| (name, value)))
    }

    /// Takes an OTLP endpoint if there is one to be taken; gives whether the destination is said by that.
    pub(super) fn otlp(&mut self) -> Result<bool, Error> {
        let wanted = self.get(EXPORTER).map(|value| value.split(',').any(|one| one.trim() == "otlp"));
        let endpoint = self.signal("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
        let has_agent = AGENT.iter().any(|variable| self.get(variable).is_some());
        let by_setter = |setting: &str, taken: bool, raw: &RawConfig| {
            taken && !raw.origins.iter().any(|(known, _)| known == setting)
        };
        if by_setter("url", self.raw.url.is_some(), self.raw)
            || by_setter("destination", !self.raw.destination.is_empty(), self.raw)
            || wanted == Some(false)
            || wanted.is_none() && (endpoint.is_none() || has_agent)
        {
            return Ok(false);
        }
        let (origin, url) = match endpoint {
            Some((name, url)) if name.contains("TRACES") => (name, url.to_owned()),
            Some((name, url)) => (name, format!("{}/v1/traces", url.trim_end_matches('/'))),
            None => (EXPORTER, DEFAULT.to_owned()),
        };
        let mut to = Destination::otlp(url.clone());
        if let Some((name, protocol)) =
            self.signal("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        {
            to = match protocol {
                "http/protobuf" => to.encoding(OtlpEncoding::Protobuf),
                "http/json" => to.encoding(OtlpEncoding::Json),
                _ => {
                    let why = "it must be http/protobuf or http/json; gRPC is not spoken here".to_owned();
                    self.refuse(ErrorKind::InvalidConfiguration, format!("{name}={protocol:?}"), why)?;
                    return Ok(false);
                }
            };
        }
        if let Some((name, way)) =
            self.signal("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
        {
            match Compression::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(way)) {
                Some((_, compression)) => to = to.compression(*compression),
                None => {
                    let why = "it must be none, gzip or zstd".to_owned();
                    self.refuse(ErrorKind::InvalidConfiguration, format!("{name}={way:?}"), why)?;
                }
            }
        }
        let headers = self.signal("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
        for pair in headers.map_or("", |(_, pairs)| pairs).split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            to = to.header(decoded(name.trim()), decoded(value.trim()));
        }
        if let Some(metrics) = self.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") {
            to = to.metrics_url(metrics);
        }
        let to = Destination::from(to);
        let fault = |fault: Fault| match (fault.setting, headers) {
            // The value may be a credential.
            ("destination.header", Some((name, _))) => (name.to_owned(), fault.why),
            ("destination.metricsUrl", _) => ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT".to_owned(), fault.why),
            _ => (format!("{origin}={:?}", shown::url(&url)), fault.why),
        };
        self.set("destination", origin, false, |raw| raw.destination = vec![to.clone()], fault)?;
        self.otlp_connection()?;
        Ok(!self.raw.destination.is_empty())
    }

    /// How long a request may take, and what TLS needs.
    fn otlp_connection(&mut self) -> Result<(), Error> {
        if let Some((name, text)) =
            self.signal("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
        {
            let said = format!("{name}={text:?}");
            match text.parse() {
                Ok(millis) => {
                    let (time, taken) = (Duration::from_millis(millis), self.raw.send_timeout.is_some());
                    let fault = |fault: Fault| (said.clone(), fault.why);
                    self.set("sendTimeout", name, taken, |raw| raw.send_timeout = Some(time), fault)?;
                }
                Err(_) => {
                    let why = "it is no number of milliseconds".to_owned();
                    self.refuse(ErrorKind::InvalidConfiguration, said, why)?;
                }
            }
        }
        if let Some((name, file)) =
            self.signal("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
        {
            let taken = self.raw.ca_file.is_some();
            let fault = |fault: Fault| (format!("{name}={file:?}"), fault.why);
            self.set("caFile", name, taken, |raw| raw.ca_file = Some(file.to_owned()), fault)?;
        }
        let chain = self
            .signal("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
        let key = self.signal("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY");
        if let (Some((name, chain)), Some((_, key))) = (chain, key) {
            let taken = self.raw.client_certificate.is_some();
            let both = (chain.to_owned(), key.to_owned());
            let fault = |fault: Fault| (format!("{name}={chain:?}"), fault.why);
            let make = |raw: &mut RawConfig| raw.client_certificate = Some(both.clone());
            self.set("clientCertificate", name, taken, make, fault)?;
        }
        Ok(())
    }
}

/// A text with `%xx` for bytes; what is none of that stays.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((b, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.filter(|_| *b == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = behind.get(2..).unwrap_or(&[]);
            }
            None => {
                out.push(*b);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{BadValues, Builder, Config, Peer};
    use super::*;
    use std::path::Path;

    fn take(pairs: &[(&str, &str)], bad: BadValues) -> Result<RawConfig, Error> {
        let variables: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let none = Path::new("/no/such/socket");
        Ok(Builder::default().take_variables(&variables, none, bad, |_, _| Ok(()))?.into_raw())
    }

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/");
    const TRACES: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1/own");
    const AGENT: (&str, &str) = ("DD_AGENT_HOST", "agent");
    const OTLP: (&str, &str) = ("OTEL_TRACES_EXPORTER", "otlp");

    #[test]
    fn the_endpoint_follows_its_precedence() {
        for (pairs, address) in [
            (&[ALL][..], Some("http://all:4318 /v1/traces")),
            (&[ALL, TRACES], Some("http://traces:1 /own")),
            (&[TRACES, AGENT], None),
            (&[TRACES, AGENT, OTLP], Some("http://traces:1 /own")),
            (&[OTLP], Some("http://localhost:4318 /v1/traces")),
            (&[ALL, ("OTEL_TRACES_EXPORTER", "console")], None),
            (&[], None),
        ] {
            let config = Config::new(take(pairs, BadValues::Fail).unwrap()).unwrap();
            let found = match &config.destinations[0] {
                Peer::Otlp(it) => Some(format!("http://{} {}", it.url.host_header(), it.url.prefix())),
                _ => None,
            };
            assert_eq!(found.as_deref(), address, "{pairs:?}");
        }
    }

    #[test]
    fn what_else_they_say_is_taken_and_bad_values_name_their_variable() {
        let raw = take(
            &[
                ALL,
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c, authorization=Basic%20x"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ],
            BadValues::Fail,
        )
        .unwrap();
        assert_eq!(
            (raw.send_timeout, raw.ca_file.as_deref()),
            (Some(Duration::from_millis(1500)), Some("/ca.pem"))
        );
        let Peer::Otlp(it) = Config::new(raw).unwrap().destinations.remove(0) else { panic!() };
        assert_eq!((it.encoding, it.compression), (OtlpEncoding::Json, Compression::Gzip));
        let headers: Vec<_> = it.headers.iter().map(|(name, value)| (&**name, value.reveal())).collect();
        assert_eq!(headers, [("a", "b c"), ("authorization", "Basic x")]);
        for (pairs, message) in [
            (
                &[ALL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..],
                "OTEL_EXPORTER_OTLP_PROTOCOL=\"grpc\": it must",
            ),
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x")],
                "OTEL_EXPORTER_OTLP_ENDPOINT=\"ftp://x/***\": the scheme",
            ),
            (
                &[ALL, ("OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cret")],
                "OTEL_EXPORTER_OTLP_HEADERS: \"a b\" is no",
            ),
            (&[ALL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")], "OTEL_EXPORTER_OTLP_TIMEOUT=\"soon\": it is no"),
        ] {
            let e = take(pairs, BadValues::Fail).unwrap_err();
            assert!(e.message().starts_with(message) && !e.message().contains("s3cret"), "{e}");
            assert_eq!(take(pairs, BadValues::Skip).unwrap().skipped.len(), 1);
        }
    }
}
