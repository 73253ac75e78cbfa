//! Headers that the exporter writes itself, or that change how a request is sent.
// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

/// Names, with the setter that is meant if there is one. A name that ends with `-` stands for all that begin so.
const NAMES: [(&str, &str); 27] = [
    ("connection", ""),
    ("content-encoding", ""),
    ("content-length", ""),
    ("content-type", ""),
    ("datadog-client-computed-stats", "clientComputedStats"),
    ("datadog-client-computed-top-level", "clientComputedTopLevel"),
    ("datadog-client-dropped-p0-", ""),
    ("datadog-container-id", "containerId"),
    ("datadog-entity-id", "entityId"),
    ("datadog-external-env", "externalEnv"),
    ("datadog-meta-lang", "language"),
    ("datadog-meta-lang-interpreter", "languageInterpreter"),
    ("datadog-meta-lang-interpreter-vendor", "languageVendor"),
    ("datadog-meta-lang-version", "languageVersion"),
    ("datadog-meta-tracer-version", "tracerVersion"),
    ("datadog-obfuscation-version", ""),
    ("datadog-rates-payload-version", ""),
    ("datadog-send-real-http-status", ""),
    ("expect", ""),
    ("host", "url"),
    ("keep-alive", ""),
    ("te", ""),
    ("trailer", ""),
    ("transfer-encoding", ""),
    ("upgrade", ""),
    ("x-datadog-test-session-token", "testSessionToken"),
    ("x-datadog-trace-count", ""),
];

/// The setter that is meant by a header of our own, empty if there is none; `None` for others.
pub(super) fn setter(header: &str) -> Option<&'static str> {
    let lower = header.to_ascii_lowercase();
    let own = NAMES.iter().find(|(own, _)| own.ends_with('-') && lower.starts_with(own) || lower == *own);
    own.map(|(_, setter)| *setter)
}
