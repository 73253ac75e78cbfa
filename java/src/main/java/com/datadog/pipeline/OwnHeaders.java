package com.datadog.pipeline;

import java.util.Locale;

// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

/** Headers that the exporter writes itself, or that change how a request is sent. */
final class OwnHeaders {
  /**
   * Names, each followed by the setter that is meant or nothing; a name that ends with {@code -}
   * stands for all that begin so.
   */
  private static final String[] NAMES = {
    "connection", "",
    "content-encoding", "",
    "content-length", "",
    "content-type", "",
    "datadog-client-computed-stats", "clientComputedStats",
    "datadog-client-computed-top-level", "clientComputedTopLevel",
    "datadog-client-dropped-p0-", "",
    "datadog-container-id", "containerId",
    "datadog-entity-id", "entityId",
    "datadog-external-env", "externalEnv",
    "datadog-meta-lang", "language",
    "datadog-meta-lang-interpreter", "languageInterpreter",
    "datadog-meta-lang-interpreter-vendor", "languageVendor",
    "datadog-meta-lang-version", "languageVersion",
    "datadog-meta-tracer-version", "tracerVersion",
    "datadog-obfuscation-version", "",
    "datadog-rates-payload-version", "",
    "datadog-send-real-http-status", "",
    "expect", "",
    "host", "url",
    "keep-alive", "",
    "te", "",
    "trailer", "",
    "transfer-encoding", "",
    "upgrade", "",
    "x-datadog-test-session-token", "testSessionToken",
    "x-datadog-trace-count", "",
  };

  private OwnHeaders() {}

  /** The setter that is meant by a header of our own, empty if there is none; null for others. */
  static String setter(String header) {
    String lower = header.toLowerCase(Locale.ROOT);
    for (int i = 0; i < NAMES.length; i += 2) {
      String own = NAMES[i];
      if (own.endsWith("-") ? lower.startsWith(own) : lower.equals(own)) {
        return NAMES[i + 1];
      }
    }
    return null;
  }
}
