//! Reads a [`Destination`] from what callers in other languages hand over: a map of one entry, the kind and its
//! options, or the same as JSON in a text. By hand: what serde would make of the four kinds is 60 KB of the library.

use super::{
    AgentDestination, Destination, IntakeDestination, LogDestination, LogTarget, OtlpDestination, Secret,
};
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(Value::deserialize(from)?).map_err(D::Error::custom)
    }
}

fn read(value: Value) -> Result<Destination, String> {
    let map = match value {
        Value::String(json) => serde_json::from_str(&json).map_err(|e| e.to_string())?,
        Value::Object(map) => map,
        other => return Err(format!("a destination is a map of its kind and options, not {other}")),
    };
    let mut entries = map.into_iter();
    let (Some((kind, Value::Object(map))), None) = (entries.next(), entries.next()) else {
        return Err("a destination is a map of one entry: agent, otlp, intake or log, and a map of options"
            .to_owned());
    };
    let mut of = Options(map);
    let destination = match kind.as_str() {
        "agent" => Destination::Agent(AgentDestination { url: of.text("url")? }),
        "otlp" => Destination::Otlp(OtlpDestination {
            url: of.text("url")?,
            metrics_url: of.text("metricsUrl")?,
            encoding: of.text("encoding")?,
            headers: of.pairs("headers")?,
            compression: of.text("compression")?,
            open_telemetry_semantics: of.flag("openTelemetrySemantics")?,
            max_attributes: of.count("maxAttributes")?,
            site: of.text("site")?,
            api_key: of.text("apiKey")?.map(Secret::new),
            span_mapping: of.text("spanMapping")?,
        }),
        "intake" => Destination::Intake(IntakeDestination {
            site: of.text("site")?,
            api_key: of.text("apiKey")?.map(Secret::new),
            url: of.text("url")?,
            compression: of.text("compression")?,
        }),
        "log" => Destination::Log(LogDestination {
            target: target(of.0.remove("target"))?,
            max_line_bytes: of.count("maxLineBytes")?,
        }),
        other => return Err(format!("{other:?} is no destination; there are agent, otlp, intake and log")),
    };
    match of.0.into_iter().next() {
        Some((name, _)) => Err(format!("the destination {kind} has no option {name:?}")),
        None => Ok(destination),
    }
}

fn target(value: Option<Value>) -> Result<LogTarget, String> {
    match value {
        Some(Value::String(name)) if name == "stdout" => Ok(LogTarget::Stdout),
        Some(Value::String(name)) if name == "host" => Ok(LogTarget::Host),
        Some(Value::Object(mut map)) if map.len() == 1 => match map.remove("file") {
            Some(Value::String(path)) => Ok(LogTarget::File(path.into())),
            _ => Err("the target of a log is a file by its path".to_owned()),
        },
        Some(other) => Err(format!("{other} is no target; there are stdout, host and a file")),
        None => Err("a log needs a target: stdout, host or a file".to_owned()),
    }
}

/// What was not read yet. An option that is null is as if it were not there.
struct Options(Map<String, Value>);

impl Options {
    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name} is a text")),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(format!("{name} is true or false")),
        }
    }

    fn count(&mut self, name: &str) -> Result<Option<u32>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().map(u32::try_from) {
                Some(Ok(count)) => Ok(Some(count)),
                _ => Err(format!("{name} is a whole number up to {}, not {value}", u32::MAX)),
            },
        }
    }

    /// Texts two by two, as lists of two.
    fn pairs(&mut self, name: &str) -> Result<Vec<(String, String)>, String> {
        let wrong = || format!("{name} are pairs of texts");
        let Some(value) = self.0.remove(name) else { return Ok(Vec::new()) };
        let Value::Array(list) = value else { return Err(wrong()) };
        let mut pairs = Vec::with_capacity(list.len());
        for pair in list {
            match pair {
                Value::Array(two) => match <[Value; 2]>::try_from(two) {
                    Ok([Value::String(first), Value::String(second)]) => pairs.push((first, second)),
                    _ => return Err(wrong()),
                },
                _ => return Err(wrong()),
            }
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Each kind with all of its options is read as it was written.
    #[test]
    fn what_is_written_is_read() {
        let all = [
            Destination::agent("http://a:1").into(),
            Destination::Otlp(OtlpDestination {
                url: Some("http://o:2".into()),
                metrics_url: Some("http://m:3".into()),
                encoding: Some("JSON".into()),
                headers: vec![("x-a".into(), "1".into()), ("x-b".into(), String::new())],
                compression: Some("ZSTD".into()),
                open_telemetry_semantics: true,
                max_attributes: Some(u32::MAX),
                site: Some("datadoghq.eu".into()),
                api_key: Some(Secret::new("k")),
                span_mapping: Some("{}".into()),
            }),
            Destination::Otlp(OtlpDestination::default()),
            Destination::intake("s", "k")
                .url("http://i:4")
                .compression(super::super::Compression::Gzip)
                .into(),
            Destination::log(LogTarget::Stdout).max_line_bytes(7).into(),
            Destination::log(LogTarget::File("/var/log/x".into())).into(),
            Destination::log(LogTarget::Host).into(),
        ];
        for destination in all {
            let written = serde_json::to_value(&destination).unwrap();
            assert_eq!(serde_json::from_value::<Destination>(written.clone()).unwrap(), destination);
            let text = Value::String(written.to_string());
            assert_eq!(serde_json::from_value::<Destination>(text).unwrap(), destination);
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (wrong, said) in [
            (json!(7), "not 7"),
            (json!("{"), "EOF"),
            (json!({}), "one entry"),
            (json!({"agent": {}, "log": {}}), "one entry"),
            (json!({"agent": 1}), "a map of options"),
            (json!({"agnt": {}}), "\"agnt\" is no destination"),
            (json!({"agent": {"urll": "x"}}), "agent has no option \"urll\""),
            (json!({"agent": {"url": 1}}), "url is a text"),
            (json!({"otlp": {"headers": [["a"]]}}), "headers are pairs of texts"),
            (json!({"otlp": {"headers": "a"}}), "headers are pairs of texts"),
            (json!({"otlp": {"openTelemetrySemantics": "true"}}), "is true or false"),
            (json!({"otlp": {"maxAttributes": 4_294_967_296_u64}}), "up to 4294967295, not 4294967296"),
            (json!({"otlp": {"maxAttributes": -1}}), "not -1"),
            (json!({"log": {}}), "needs a target"),
            (json!({"log": {"target": "stderr"}}), "\"stderr\" is no target"),
            (json!({"log": {"target": {"file": 1}}}), "by its path"),
        ] {
            let why = serde_json::from_value::<Destination>(wrong).unwrap_err().to_string();
            assert!(why.contains(said), "{why}");
        }
    }
}
