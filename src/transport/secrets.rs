//! Values of headers that nobody may see, and where else they may stand: peers like to repeat what they refuse.
//!
//! Shown are values that are ours and known to be harmless; all that callers set is secret, keys and credentials with
//! it.

use crate::settings::is_own_header;
use memchr::memmem;
use ureq::http::HeaderMap;

/// What stands in the place of a secret.
pub(crate) const MASK: &str = "***";
/// Shorter values are no secrets, and would be found everywhere.
const LEAST_VALUE: usize = 4;
/// So is a word of a value: of `Bearer abc` the second.
const LEAST_WORD: usize = 8;
/// Headers of ours that no caller is kept from setting himself, and that are harmless all the same.
const HARMLESS: [&str; 10] = [
    "accept",
    "accept-encoding",
    "compute_stats",
    "dd-client-library-language",
    "dd-client-library-version",
    "dd-otel-span-mapping",
    "dd-telemetry-api-version",
    "dd-telemetry-debug-enabled",
    "dd-telemetry-request-type",
    "user-agent",
];

/// Paths that an address may have without being a secret.
pub(crate) const WELL_KNOWN: [&str; 2] = ["/v1/traces", "/v1/metrics"];

/// Whether the value of a header of a request may be seen.
pub(crate) fn is_shown(name: &str) -> bool {
    HARMLESS.contains(&name) || is_own_header(name) && name != "x-datadog-test-session-token"
}

/// What is to be hidden.
#[derive(Debug)]
pub(crate) struct Secrets<'a>(Vec<&'a [u8]>);

impl<'a> Secrets<'a> {
    /// Those of a request's headers.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in headers {
            if !is_shown(name.as_str()) {
                let value = value.as_bytes();
                let words = value.split(u8::is_ascii_whitespace).filter(|word| word.len() >= LEAST_WORD);
                secrets.extend([value].into_iter().filter(|value| value.len() >= LEAST_VALUE).chain(words));
            }
        }
        Self(secrets)
    }

    /// The path that an address has, unless it is one that many have.
    pub(crate) fn add_path(&mut self, path: &'a str) {
        if path.len() >= LEAST_VALUE && !WELL_KNOWN.contains(&path) {
            self.0.push(path.as_bytes());
        }
    }

    /// The text without them. `None`: there is none in it.
    pub(crate) fn hidden(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut out: Option<Vec<u8>> = None;
        for secret in &self.0 {
            let now = out.as_deref().unwrap_or(text);
            if memmem::find(now, secret).is_none() {
                continue;
            }
            let mut clean = Vec::with_capacity(now.len());
            let mut from = 0;
            for at in memmem::find_iter(now, secret) {
                clean.extend_from_slice(now.get(from..at).unwrap_or(&[]));
                clean.extend_from_slice(MASK.as_bytes());
                from = at + secret.len();
            }
            clean.extend_from_slice(now.get(from..).unwrap_or(&[]));
            out = Some(clean);
        }
        out
    }

    /// The text without them.
    pub(crate) fn hide(&self, text: &[u8]) -> Vec<u8> {
        self.hidden(text).unwrap_or_else(|| text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer s3cret-token"));
        headers.insert("datadog-meta-lang", HeaderValue::from_static("java-language"));
        headers.insert("x-id", HeaderValue::from_static("abc"));
        let mut secrets = Secrets::of(&headers);
        secrets.add_path("/prefix");
        secrets.add_path("/v1/traces");
        let text = "s3cret-token, Bearer s3cret-token; s3cret-toke java-language abc /prefix/x";
        let hidden = String::from_utf8(secrets.hide(text.as_bytes())).unwrap();
        assert_eq!(hidden, "***, ***; s3cret-toke java-language abc ***/x");
        assert_eq!(secrets.hidden(b"nothing"), None);
    }
}
