//! How values are shown to people: without secrets. Of a URL that is its scheme, host and port; of a header its name;
//! of obfuscation everything but the replace rules.

use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

const HIDDEN: &str = "***";

/// A URL, or what was meant to be one, without user, path and query. The path of a Unix socket and the name of a pipe
/// stay: they are the address.
pub(crate) fn url(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None => ("", text),
    };
    let local = ["unix://", "unixgram://"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if local || text.starts_with("windows:") || text.starts_with('/') {
        return text.to_owned();
    }
    // A password may hold any character, so what stands before the last @ is hidden whole.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{HIDDEN}@"), rest),
        None => (String::new(), rest),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = if path.trim_start_matches('/').is_empty() { "" } else { "/***" };
    format!("{scheme}{user}{authority}{path}")
}

/// Settings with whether they were set and their values, in the order in which they come.
pub(super) struct Rows(Vec<(&'static str, bool, Value)>);

impl Rows {
    pub(super) fn with_capacity(most: usize) -> Self {
        Self(Vec::with_capacity(most))
    }

    /// Not inline, for the reason of [`value`].
    #[inline(never)]
    pub(super) fn add(&mut self, name: &'static str, set: bool, value: Value) {
        self.0.push((name, set, value));
    }

    pub(super) fn all(self) -> Vec<(&'static str, bool, Value)> {
        self.0
    }
}

/// A value as it is. Not inline: `json!` in each of ninety rows would be 15 KB more.
#[inline(never)]
pub(super) fn value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

pub(super) fn secret(value: &str) -> Value {
    json!(if value.is_empty() { "" } else { HIDDEN })
}

pub(super) fn peers(peers: &[super::Peer]) -> Value {
    peers.iter().map(super::Peer::shown).collect()
}

pub(super) fn millis(value: Option<Duration>) -> Value {
    json!(value.map(|d| format!("{} ms", d.as_millis())))
}

pub(super) fn headers(headers: &[(String, String)]) -> Value {
    headers.iter().map(|(name, _)| json!(format!("{name}: {HIDDEN}"))).collect()
}

pub(super) fn directory(given: Option<&(String, u64)>) -> Value {
    given.map_or(Value::Null, |(path, bytes)| json!({ "directory": path, "bytes": bytes }))
}

/// Two files: names, not what is in them.
pub(super) fn certificate(given: Option<&(String, String)>) -> Value {
    given.map_or(Value::Null, |(chain, key)| json!({ "certificate": chain, "key": key }))
}

/// Variables, but not those that hold replace rules.
pub(super) fn variables(given: &[(String, String)]) -> Value {
    let shown = |(name, value): &(String, String)| match name.as_str() {
        "DD_APM_REPLACE_TAGS" => json!([name, HIDDEN]),
        "DD_OBFUSCATION_CONFIG" => json!([name, obfuscation(Some(value))]),
        _ => json!([name, value]),
    };
    given.iter().map(shown).collect()
}

/// The JSON as it was given, its replace rules hidden.
pub(super) fn obfuscation(text: Option<&str>) -> Value {
    let Some(text) = text else { return Value::Null };
    match serde_json::from_str::<Value>(text) {
        Ok(mut all) => {
            if let Some(rules) = all.get_mut("replace_tags") {
                *rules = json!(HIDDEN);
            }
            json!(all.to_string())
        }
        Err(_) => json!(HIDDEN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_scheme_host_and_port_are_shown() {
        for (text, expected) in [
            ("http://agent:8126", "http://agent:8126"),
            ("http://agent:8126/", "http://agent:8126"),
            ("http://agent/prefix/s3cret", "http://agent/***"),
            ("http://u:s3cret@agent:8126/x?key=s3cret", "http://***@agent:8126/***"),
            ("http://u:s3c/r@et?@agent:8126", "http://***@agent:8126"),
            ("https://agent?api_key=s3cret", "https://agent/***"),
            ("u:s3cret@agent:8126", "***@agent:8126"),
            ("agent:8126/s3cret", "agent:8126/***"),
            ("unix:///var/run/apm.socket", "unix:///var/run/apm.socket"),
            (r"windows:\\.\pipe\dd", r"windows:\\.\pipe\dd"),
            ("", ""),
        ] {
            assert_eq!(url(text), expected, "{text}");
        }
    }

    #[test]
    fn replace_rules_are_hidden_wherever_they_stand() {
        let rules =
            r#"{"redis":{"enabled":true},"replace_tags":[{"name":"*","pattern":"s3cret","repl":"?"}]}"#;
        let shown = obfuscation(Some(rules)).to_string();
        assert!(shown.contains("redis") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(obfuscation(Some("s3cret")), json!(HIDDEN));
        let given = [("DD_APM_REPLACE_TAGS", "s3cret"), ("DD_OBFUSCATION_CONFIG", rules), ("DD_APM_X", "on")];
        let shown = variables(&given.map(|(n, v)| (n.to_owned(), v.to_owned()))).to_string();
        assert!(shown.contains("\"on\"") && !shown.contains("s3cret"), "{shown}");
    }
}
