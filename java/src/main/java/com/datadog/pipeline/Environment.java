package com.datadog.pipeline;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;

/**
 * Takes settings from {@code DD_*} variables. The precedence is written down at {@link
 * Builder#fromEnvironment()}. Stateless, thread-safe.
 */
final class Environment {
  private static final String STATS = "DD_TRACE_STATS_COMPUTATION_ENABLED";
  private static final Duration BUCKET = Duration.ofSeconds(10);

  static final String SOCKET = "/var/run/datadog/apm.socket";

  private Environment() {}

  /** One setting and the variable it is taken from. */
  private interface Setter {
    void set(String value);
  }

  static void take(Builder to, Map<String, String> from, Path socket) {
    url(to, from, socket);
    one(to, from, "service", "service", "DD_SERVICE", to::service);
    one(to, from, "env", "env", "DD_ENV", to::env);
    one(to, from, "version", "version", "DD_VERSION", to::version);
    one(to, from, "hostname", "hostname", "DD_HOSTNAME", to::hostname);
    one(to, from, "sendTimeout", "send_timeout_ms", "DD_TRACE_AGENT_TIMEOUT", s -> timeout(to, s));
    one(to, from, "dogstatsd", "dogstatsd", "DD_DOGSTATSD_URL", to::dogstatsd);
    one(to, from, "externalEnv", "external_env", "DD_EXTERNAL_ENV", to::externalEnv);
    one(to, from, "gitCommitSha", "git_commit_sha", "DD_GIT_COMMIT_SHA", to::gitCommitSha);
    one(to, from, "computeStats", "compute_stats_ms", STATS, s -> computeStats(to, s));
    obfuscation(to, from);
  }

  private static void url(Builder to, Map<String, String> from, Path socket) {
    if (given(from, "DD_TRACE_AGENT_URL")) {
      one(to, from, "url", "url", "DD_TRACE_AGENT_URL", to::url);
    } else if (given(from, "DD_AGENT_HOST") || given(from, "DD_TRACE_AGENT_PORT")) {
      boolean both = given(from, "DD_AGENT_HOST") && given(from, "DD_TRACE_AGENT_PORT");
      String origin =
          both
              ? "DD_AGENT_HOST, DD_TRACE_AGENT_PORT"
              : given(from, "DD_AGENT_HOST") ? "DD_AGENT_HOST" : "DD_TRACE_AGENT_PORT";
      set(to, "url", "url", origin, address(from), to::url);
    } else if (Files.exists(socket)) {
      set(to, "url", "url", socket.toString(), "unix://" + socket, to::url);
    }
  }

  private static String address(Map<String, String> from) {
    String host = given(from, "DD_AGENT_HOST") ? from.get("DD_AGENT_HOST").trim() : "127.0.0.1";
    if (host.startsWith("unix://")) {
      return host;
    }
    String port =
        given(from, "DD_TRACE_AGENT_PORT") ? from.get("DD_TRACE_AGENT_PORT").trim() : "8126";
    boolean bare = host.indexOf(':') >= 0 && !host.startsWith("[");
    return "http://" + (bare ? "[" + host + "]" : host) + ":" + port;
  }

  private static void timeout(Builder to, String seconds) {
    try {
      to.sendTimeout(Duration.ofMillis((long) (Double.parseDouble(seconds) * 1000)));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("it is no number of seconds", e);
    }
  }

  /** "false" leaves stats off, as they are without it. */
  private static void computeStats(Builder to, String enabled) {
    boolean on = enabled.equalsIgnoreCase("true") || enabled.equals("1");
    if (!on && !enabled.equalsIgnoreCase("false") && !enabled.equals("0")) {
      throw new IllegalArgumentException("it is neither true nor false");
    }
    if (on && !Boolean.TRUE.equals(to.settings.get("client_computed_stats"))) {
      to.computeStats(BUCKET);
    }
  }

  /** What the variables say is checked at build, which names the variable too. */
  private static void obfuscation(Builder to, Map<String, String> from) {
    Map<String, String> variables = new TreeMap<>();
    for (Map.Entry<String, String> e : from.entrySet()) {
      if (Builder.isObfuscation(e.getKey()) && given(from, e.getKey())) {
        variables.put(e.getKey(), e.getValue());
      }
    }
    if (!variables.isEmpty()) {
      String origin = String.join(", ", variables.keySet());
      set(
          to,
          "obfuscationEnvironment",
          "obfuscation_environment",
          origin,
          "",
          s -> to.obfuscationEnvironment(variables));
    }
  }

  private static boolean given(Map<String, String> from, String variable) {
    String value = from.get(variable);
    return value != null && !value.trim().isEmpty();
  }

  private static void one(
      Builder to, Map<String, String> from, String setting, String key, String variable, Setter s) {
    if (given(from, variable)) {
      set(to, setting, key, variable, from.get(variable).trim(), s);
    }
  }

  private static void set(
      Builder to, String setting, String key, String origin, String value, Setter setter) {
    if (to.settings.get(key) != null && !to.origins.containsKey(key)) {
      return; // An explicit setter has the last word.
    }
    try {
      setter.set(value);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(origin + "=" + value + ": " + e.getMessage(), e);
    }
    if (to.settings.get(key) != null) {
      to.origins.put(key, new String[] {setting, origin});
    }
  }
}
