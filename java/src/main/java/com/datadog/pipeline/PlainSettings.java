package com.datadog.pipeline;

import com.datadog.pipeline.internal.plain.Client;
import com.datadog.pipeline.internal.plain.UnixSockets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The settings as an exporter in Java reads them: what it honours, what it goes without, and what
 * it refuses. Defaults are those of {@code src/settings/table.toml}. Immutable and thread-safe.
 */
final class PlainSettings {
  static final String COMPUTED_STATS = "datadog-client-computed-stats: true\r\n";

  /** What such an exporter never does, for people. */
  static final List<String> LACKS =
      Collections.unmodifiableList(
          Arrays.asList(
              "formats other than v0.4",
              "repair of payloads: one with a broken structure is refused whole, what values mean"
                  + " is left to the agent",
              "normalization, obfuscation, filters, top-level marks, dropping of p0 traces",
              "client-side stats",
              "captures of requests, the spool on disk, the overflow policy SHED (it drops the"
                  + " oldest), health metrics, detection of the container",
              "destinations other than an agent, https, named pipes, and Unix sockets before Java"
                  + " 16"));

  /** Honoured, or of use only beside a setting that is not. */
  private static final List<String> HONOURED =
      Arrays.asList(
          "url",
          "language",
          "languageVersion",
          "languageInterpreter",
          "languageVendor",
          "tracerVersion",
          "containerId",
          "entityId",
          "externalEnv",
          "header",
          "testSessionToken",
          "inputFormat",
          "clientComputedTopLevel",
          "clientComputedStats",
          "discovery",
          "maxRequestBytes",
          "connectTimeout",
          "sendTimeout",
          "sendBudget",
          "maxIdleConnections",
          "maxIdleAge",
          "closeTimeout",
          "queueBytes",
          "queuePayloads",
          "overflow",
          "blockWait",
          "senders",
          "batchBytes",
          "batchAge",
          "asyncBudget",
          "maxBytesPerSecond",
          "dryRun",
          "origins",
          "skipped");

  /**
   * Payloads leave the same without these, or at least none leaves that should not. What stands in
   * neither list is refused, so that a setting of tomorrow is not ignored by mistake.
   */
  private static final List<String> GONE_WITHOUT =
      Arrays.asList(
          "service",
          "env",
          "version",
          "hostname",
          "runtimeId",
          "gitCommitSha",
          "processTags",
          "detectContainer",
          "outputFormat",
          "onMalformed",
          "obfuscationEnvironment",
          "computeTopLevel",
          "dropP0",
          "agentFilterRules",
          "agentFilterBytes",
          "spool",
          "capture",
          "computeStats",
          "peerTag",
          "additionalMetricTag",
          "statsLimits",
          "statsReplay",
          "obfuscateStats",
          "dogstatsd",
          "telemetry",
          "telemetryDebug",
          "telemetrySessionId",
          "telemetryRootSessionId",
          "telemetryParentSessionId");

  private final Map<String, Object> values;

  /** Settings that were made and have no effect. */
  final List<String> withoutEffect;

  /** Throws {@code INVALID_CONFIGURATION} or {@code INVALID_URL} for what must not be ignored. */
  PlainSettings(Map<String, Object> values, TraceExporterException cause) {
    this.values = values;
    List<String> refused = new ArrayList<>();
    List<String> ignored = new ArrayList<>();
    for (Map.Entry<String, Object> setting : values.entrySet()) {
      String name = setting.getKey();
      Object value = setting.getValue();
      boolean v04 = value.equals("V04") || value.equals("AUTO");
      boolean off = Boolean.FALSE.equals(value) || name.equals("outputFormat") && v04;
      boolean unused = name.equals("obfuscation") && Boolean.FALSE.equals(values.get("obfuscate"));
      boolean honoured = HONOURED.contains(name) && (v04 || !name.equals("inputFormat"));
      if (value.equals(Overflow.SHED.name()) || GONE_WITHOUT.contains(name) && !off) {
        ignored.add(name);
      } else if (!honoured && !off && !unused) {
        refused.add(name);
      }
    }
    withoutEffect = Collections.unmodifiableList(ignored);
    if (!refused.isEmpty()) {
      String message =
          "withoutLibrary: an exporter in Java passes payloads on as they are, so it must not be"
              + " built with "
              + String.join(", ", refused)
              + "; the native library, which could, is not there: "
              + cause.getMessage();
      throw new TraceExporterException(ErrorCode.INVALID_CONFIGURATION, message, cause);
    }
    boolean unix = url().startsWith("unix://");
    boolean http = url().toLowerCase(Locale.ROOT).startsWith("http://");
    if (unix ? !UnixSockets.available() : !http) {
      String why = unix ? "Unix sockets need Java 16" : "https and named pipes cannot be had";
      String message = "url: " + why + " where there is no native library: " + cause.getMessage();
      throw new TraceExporterException(ErrorCode.INVALID_URL, message, cause);
    }
  }

  String url() {
    return text("url", Builder.DEFAULT_URL);
  }

  private String text(String name, String otherwise) {
    Object value = values.get(name);
    return value == null ? otherwise : value.toString();
  }

  private long number(String name, long otherwise) {
    Object value = values.get(name);
    return value == null ? otherwise : ((Number) value).longValue();
  }

  private boolean flag(String name, boolean otherwise) {
    Object value = values.get(name);
    return value == null ? otherwise : (Boolean) value;
  }

  Client.Limits limits() {
    return new Client.Limits(
        number("connectTimeout", 1_000),
        number("sendTimeout", 10_000),
        (int) number("maxIdleConnections", 1),
        number("maxIdleAge", 10_000));
  }

  boolean discovery() {
    return flag("discovery", true);
  }

  /** 0 if nobody has said one. */
  long maxRequestBytes() {
    return number("maxRequestBytes", 0);
  }

  long sendTimeoutMillis() {
    return number("sendTimeout", 10_000);
  }

  long sendBudgetMillis() {
    return number("sendBudget", 10_000);
  }

  long asyncBudgetMillis() {
    return number("asyncBudget", 60_000);
  }

  long queueBytes() {
    return number("queueBytes", 32 << 20);
  }

  long queuePayloads() {
    return number("queuePayloads", Math.max(1, Math.min(queueBytes() / 512, 1 << 20)));
  }

  /** SHED needs to know what traces are worth: the oldest go instead. */
  Overflow overflow() {
    Overflow policy = Overflow.valueOf(text("overflow", Overflow.DROP_NEWEST.name()));
    return policy == Overflow.SHED ? Overflow.DROP_OLDEST : policy;
  }

  long blockWaitMillis() {
    return number("blockWait", 1_000);
  }

  /** 0 if nobody has said one. */
  long maxBytesPerSecond() {
    return number("maxBytesPerSecond", 0);
  }

  boolean dryRun() {
    return flag("dryRun", false);
  }

  int senders() {
    return (int) number("senders", 1);
  }

  long batchBytes() {
    return number("batchBytes", 1 << 20);
  }

  long batchAgeMillis() {
    return number("batchAge", 200);
  }

  /** The lines that every request has. */
  String commonHeaders() {
    StringBuilder lines = new StringBuilder();
    Map<String, String> named = new LinkedHashMap<>();
    named.put("datadog-meta-lang", "language");
    named.put("datadog-meta-lang-version", "languageVersion");
    named.put("datadog-meta-lang-interpreter", "languageInterpreter");
    named.put("datadog-meta-lang-interpreter-vendor", "languageVendor");
    named.put("datadog-meta-tracer-version", "tracerVersion");
    named.put("datadog-container-id", "containerId");
    named.put("datadog-entity-id", "entityId");
    named.put("datadog-external-env", "externalEnv");
    named.put("x-datadog-test-session-token", "testSessionToken");
    for (Map.Entry<String, String> header : named.entrySet()) {
      String value = text(header.getValue(), "");
      if (!value.isEmpty()) {
        lines.append(header.getKey()).append(": ").append(value).append("\r\n");
      }
    }
    Object own = values.get("header");
    if (own instanceof List) {
      for (Object pair : (List<?>) own) {
        List<?> header = (List<?>) pair;
        lines.append(header.get(0)).append(": ").append(header.get(1)).append("\r\n");
      }
    }
    return lines.toString();
  }

  /** Whether the tracer computes stats of every payload. */
  boolean clientComputedStats() {
    return flag("clientComputedStats", false);
  }

  /** The lines that every request with traces has. */
  String traceHeaders() {
    String lines = "content-type: application/msgpack\r\ndatadog-send-real-http-status: 1\r\n";
    if (clientComputedStats()) {
      lines += COMPUTED_STATS;
    }
    if (flag("clientComputedTopLevel", false)) {
      lines += "datadog-client-computed-top-level: true\r\n";
    }
    return lines + commonHeaders();
  }
}
