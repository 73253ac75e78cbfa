package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
import com.datadog.pipeline.internal.Settings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Collects the settings of a {@link TraceExporter}. Each setter checks at once. Nothing is
 * inferred: what is not set has the default named here. Not thread-safe; {@link #build()} may be
 * called several times.
 */
public final class Builder {
  /** Where the agent is when nobody says. */
  public static final String DEFAULT_URL = "http://127.0.0.1:8126";

  /** Default of {@link #connectTimeout}, in ms. */
  public static final long DEFAULT_CONNECT_TIMEOUT_MILLIS = 1_000;

  /** Default of {@link #sendTimeout}, in ms. */
  public static final long DEFAULT_SEND_TIMEOUT_MILLIS = 10_000;

  /** Default of {@link #sendBudget}, in ms. */
  public static final long DEFAULT_SEND_BUDGET_MILLIS = 10_000;

  /** Default of {@link #maxIdleConnections}. */
  public static final int DEFAULT_MAX_IDLE_CONNECTIONS = 1;

  /** Default of {@link #maxIdleAge}, in ms. */
  public static final long DEFAULT_MAX_IDLE_AGE_MILLIS = 10_000;

  /** Default of {@link #closeTimeout}, in ms. */
  public static final long DEFAULT_CLOSE_TIMEOUT_MILLIS = 800;

  /** No time limit may be longer, in ms. */
  public static final long MAX_MILLIS = 600_000;

  private static final Duration LONGEST = Duration.ofMillis(MAX_MILLIS);
  private static final Pattern HEADER_NAME = Pattern.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+");
  private static final List<String> OWN_HEADERS =
      Arrays.asList("content-length", "transfer-encoding", "content-type", "host", "connection");

  final Settings settings = new Settings();

  Builder() {}

  /**
   * Makes the exporter. Opens no connection and waits for nothing.
   *
   * @throws TraceExporterException {@code LIBRARY_UNAVAILABLE} if the native library could not be
   *     loaded, {@code INVALID_URL} or {@code INVALID_CONFIGURATION} if the settings do not go
   *     together
   */
  public TraceExporter build() {
    return new TraceExporter(settings.copy());
  }

  /**
   * Sets where the agent is. Default: {@value #DEFAULT_URL}.
   *
   * @param url {@code http://host:port/prefix}, {@code unix:///path/to/socket} or {@code
   *     windows:\\.\pipe\name}
   * @throws IllegalArgumentException if it is none of these
   */
  public Builder url(String url) {
    String fault = AgentUrl.fault(notNull("url", url));
    check(fault == null, "%s", fault);
    return put("url", url);
  }

  /** Sets the service of the process, used where a payload has none of its own. Default: none. */
  public Builder service(String service) {
    return text("service", service);
  }

  /** Sets the environment, {@code prod} for instance. Default: none. */
  public Builder env(String env) {
    return text("env", env);
  }

  /** Sets the version of the service. Default: none. */
  public Builder version(String version) {
    return text("version", version);
  }

  /** Sets the host name. Default: none. */
  public Builder hostname(String hostname) {
    return text("hostname", hostname);
  }

  /** Sets the header {@code Datadog-Meta-Lang}, {@code java} for instance. Default: none. */
  public Builder language(String language) {
    return headerText("language", "language", language);
  }

  /** Sets the header {@code Datadog-Meta-Lang-Version}. Default: none. */
  public Builder languageVersion(String version) {
    return headerText("languageVersion", "language_version", version);
  }

  /** Sets the header {@code Datadog-Meta-Lang-Interpreter}. Default: none. */
  public Builder languageInterpreter(String interpreter) {
    return headerText("languageInterpreter", "language_interpreter", interpreter);
  }

  /** Sets the header {@code Datadog-Meta-Lang-Interpreter-Vendor}. Default: none. */
  public Builder languageVendor(String vendor) {
    return headerText("languageVendor", "language_vendor", vendor);
  }

  /** Sets the header {@code Datadog-Meta-Tracer-Version}. Default: none. */
  public Builder tracerVersion(String version) {
    return headerText("tracerVersion", "tracer_version", version);
  }

  /** Sets the identity of the process. Default: a random UUID. */
  public Builder runtimeId(String runtimeId) {
    return text("runtime_id", runtimeId);
  }

  /** Sets the header {@code Datadog-Container-ID}. Default: none. */
  public Builder containerId(String containerId) {
    return headerText("containerId", "container_id", containerId);
  }

  /** Sets the header {@code Datadog-Entity-ID}. Default: none. */
  public Builder entityId(String entityId) {
    return headerText("entityId", "entity_id", entityId);
  }

  /** Sets the header {@code Datadog-External-Env}. Default: none. */
  public Builder externalEnv(String externalEnv) {
    return headerText("externalEnv", "external_env", externalEnv);
  }

  /**
   * Sets whether container and entity id are read from {@code /proc/self/cgroup} at build. Default:
   * false. An id that was set wins.
   */
  public Builder detectContainer(boolean detect) {
    return put("detect_container", detect);
  }

  /** Sets the commit that the service was built from. Default: none. */
  public Builder gitCommitSha(String sha) {
    return text("git_commit_sha", sha);
  }

  /** Sets process tags, {@code key:value,key:value}. Default: none. */
  public Builder processTags(String tags) {
    return text("process_tags", tags);
  }

  /** Says by header that the tracer computes stats itself. Default: false. */
  public Builder clientComputedStats(boolean computed) {
    return put("client_computed_stats", computed);
  }

  /** Says by header that the tracer marks top-level spans itself. Default: false. */
  public Builder clientComputedTopLevel(boolean computed) {
    return put("client_computed_top_level", computed);
  }

  /**
   * Marks top-level spans in the payload ({@code _top_level}) and says so by header. Default:
   * false.
   */
  public Builder computeTopLevel(boolean compute) {
    return put("compute_top_level", compute);
  }

  /**
   * Sets how long opening one connection may take. Default: {@value
   * #DEFAULT_CONNECT_TIMEOUT_MILLIS} ms.
   *
   * @param limit more than zero; at most 10 minutes
   * @throws IllegalArgumentException if it is not
   */
  public Builder connectTimeout(Duration limit) {
    return duration("connectTimeout", "connect_timeout_ms", limit);
  }

  /**
   * Sets how long one attempt may take. Default: {@value #DEFAULT_SEND_TIMEOUT_MILLIS} ms.
   *
   * @param limit more than zero; at most 10 minutes
   * @throws IllegalArgumentException if it is not
   */
  public Builder sendTimeout(Duration limit) {
    return duration("sendTimeout", "send_timeout_ms", limit);
  }

  /**
   * Sets how long one send may take, retries and waiting included. Default: {@value
   * #DEFAULT_SEND_BUDGET_MILLIS} ms.
   *
   * @param budget more than zero; at most 10 minutes
   * @throws IllegalArgumentException if it is not
   */
  public Builder sendBudget(Duration budget) {
    return duration("sendBudget", "send_budget_ms", budget);
  }

  /**
   * Sets how many idle connections are kept. Default: {@value #DEFAULT_MAX_IDLE_CONNECTIONS}.
   *
   * @param connections 0 to 64
   * @throws IllegalArgumentException if it is not
   */
  public Builder maxIdleConnections(int connections) {
    check(
        connections >= 0 && connections <= 64,
        "maxIdleConnections is %s; it must be 0 to 64",
        connections);
    return put("max_idle_connections", (long) connections);
  }

  /**
   * Sets how long an idle connection is kept. Default: {@value #DEFAULT_MAX_IDLE_AGE_MILLIS} ms.
   *
   * @param age more than zero; at most 10 minutes
   * @throws IllegalArgumentException if it is not
   */
  public Builder maxIdleAge(Duration age) {
    return duration("maxIdleAge", "max_idle_age_ms", age);
  }

  /**
   * Sets how long {@link TraceExporter#close()} may wait for sends that run. Default: {@value
   * #DEFAULT_CLOSE_TIMEOUT_MILLIS} ms.
   *
   * @param limit zero to wait not at all; at most 10 minutes
   * @throws IllegalArgumentException if it is negative or longer
   */
  public Builder closeTimeout(Duration limit) {
    boolean valid = !notNull("closeTimeout", limit).isNegative() && limit.compareTo(LONGEST) <= 0;
    check(valid, "closeTimeout is %s; it must be 0 to 10 minutes", limit);
    return put("close_timeout_ms", limit.plusNanos(999_999).toMillis());
  }

  /**
   * Adds a header to every request. May be called for several.
   *
   * @throws IllegalArgumentException if the name is no header name, is one that the exporter writes
   *     itself, or the value has control characters
   */
  public Builder header(String name, String value) {
    check(
        HEADER_NAME.matcher(notNull("header name", name)).matches(),
        "header: %s is no header name",
        name);
    check(
        !OWN_HEADERS.contains(name.toLowerCase(Locale.ROOT)),
        "header: %s is written by the exporter itself",
        name);
    check(
        printable(notNull("header value", value)),
        "header: the value of %s has control characters",
        name);
    return add("headers", Arrays.asList(name, value));
  }

  /**
   * Sets the header {@code X-Datadog-Test-Session-Token} of Datadog's test agent. Default: none.
   */
  public Builder testSessionToken(String token) {
    return headerText("testSessionToken", "test_session_token", token);
  }

  /** Sets what goes to the agent. Default: {@link OutputFormat#V04}. */
  public Builder outputFormat(OutputFormat format) {
    return put("output_format", notNull("outputFormat", format).name());
  }

  /**
   * Sets what becomes of input that the agent would refuse. Default: {@link OnMalformed#REPAIR}.
   */
  public Builder onMalformed(OnMalformed policy) {
    return put("on_malformed", notNull("onMalformed", policy).name());
  }

  /**
   * Keeps only traces whose root has this tag, {@code KEY} or {@code KEY:VALUE}. Several must all
   * be there.
   */
  public Builder requireTag(String rule) {
    return rule("require_tags", rule);
  }

  /** Leaves out traces whose root has this tag, {@code KEY} or {@code KEY:VALUE}. */
  public Builder rejectTag(String rule) {
    return rule("reject_tags", rule);
  }

  /** As {@link #requireTag}, the value a regex without anchors. */
  public Builder requireTagRegex(String rule) {
    return rule("require_tag_regexes", rule);
  }

  /** As {@link #rejectTag}, the value a regex without anchors. */
  public Builder rejectTagRegex(String rule) {
    return rule("reject_tag_regexes", rule);
  }

  /**
   * Leaves out traces whose root's resource matches this regex (no anchors, no Unicode classes).
   *
   * @throws IllegalArgumentException if it cannot be read as one
   */
  public Builder ignoreResource(String regex) {
    try {
      Pattern.compile(notNull("ignoreResource", regex));
    } catch (PatternSyntaxException e) {
      throw new IllegalArgumentException("ignoreResource: " + e.getMessage(), e);
    }
    return add("ignore_resources", regex);
  }

  /**
   * Sets whether spans are normalized as the agent does it, and traces refused that it would
   * refuse. Default: false, the agent does it.
   */
  public Builder normalize(boolean normalize) {
    return put("normalize", normalize);
  }

  /**
   * Sets whether spans are obfuscated as the agent does it. Default: true if {@link #obfuscation}
   * says how, else false, the agent does it.
   */
  public Builder obfuscate(boolean obfuscate) {
    return put("obfuscate", obfuscate);
  }

  /**
   * Sets what is obfuscated and how, as JSON: the agent's {@code apm_config.obfuscation} ({@code
   * credit_cards}, {@code elasticsearch}, {@code opensearch}, {@code mongodb}, {@code http}, {@code
   * remove_stack_traces}, {@code redis}, {@code valkey}, {@code memcached}), with {@code sql} and
   * {@code replace_tags} beside them. What is not named is as in a packaged agent. What is wrong in
   * it is an error of {@link #build()} that names the place.
   */
  public Builder obfuscation(String json) {
    return put("obfuscation", notNull("obfuscation", json));
  }

  /**
   * As {@link #obfuscation}, from variables of the environment that the caller has read: the
   * agent's {@code DD_APM_OBFUSCATION_*}, {@code DD_APM_SQL_OBFUSCATION_MODE} and {@code
   * DD_APM_REPLACE_TAGS}, and {@code DD_OBFUSCATION_CONFIG}, which holds JSON. Others are left
   * alone. {@link #obfuscation} wins, and obfuscation is not switched on by it.
   */
  public Builder obfuscationEnvironment(Map<String, String> environment) {
    List<Object> variables = new ArrayList<>();
    for (Map.Entry<String, String> e : notNull("environment", environment).entrySet()) {
      String name = e.getKey();
      if (name.startsWith("DD_APM_OBFUSCATION_")
          || name.equals("DD_APM_SQL_OBFUSCATION_MODE")
          || name.equals("DD_APM_REPLACE_TAGS")
          || name.equals("DD_OBFUSCATION_CONFIG")) {
        variables.add(Arrays.asList(name, e.getValue()));
      }
    }
    return put("obfuscation_environment", variables);
  }

  /**
   * Computes stats in buckets of this length while the agent takes them ({@code client_drop_p0s}
   * and {@code /v0.6/stats} of its {@code /info}), and then drops the traces that sampling says to
   * drop. Excludes {@link #clientComputedStats}. Default: stats are not computed here.
   *
   * @param bucket 1 second to 10 minutes; agents expect 10 seconds
   */
  public Builder computeStats(Duration bucket) {
    boolean valid =
        notNull("bucket", bucket).compareTo(Duration.ofSeconds(1)) >= 0
            && bucket.compareTo(LONGEST) <= 0;
    check(valid, "computeStats is %s; it must be 1 second to 10 minutes", bucket);
    return put("compute_stats_ms", bucket.toMillis());
  }

  /**
   * Adds tags that describe the peer of a client, producer or consumer span in stats, beside those
   * that the agent names.
   */
  public Builder peerTag(String... keys) {
    for (String key : keys) {
      check(!notNull("key", key).isEmpty(), "a peer tag needs a key");
      add("peer_tags", key);
    }
    return this;
  }

  /** Adds tags that tell groups of stats apart, at most four in all. */
  public Builder additionalMetricTag(String... keys) {
    for (String key : keys) {
      check(!notNull("key", key).isEmpty(), "an additional metric tag needs a key");
      add("additional_metric_tags", key);
    }
    return this;
  }

  /** Sets how many different groups a bucket of stats takes. */
  public Builder statsLimits(StatsLimits limits) {
    return put("stats_limits", notNull("limits", limits).values());
  }

  /**
   * Sets whether every span is counted in the bucket in which it ended, however long ago, and
   * buckets are sent only by {@link TraceExporter#flushStats} and {@link TraceExporter#close()}:
   * for old payloads that are sent again. Default: false, what ended long ago is counted now.
   */
  public Builder statsReplay(boolean replay) {
    return put("stats_replay", replay);
  }

  private Builder rule(String key, String rule) {
    String name = notNull("rule", rule).trim();
    check(!name.isEmpty() && !name.startsWith(":"), "the filter rule %s has no key", rule);
    return add(key, rule);
  }

  private Builder text(String key, String value) {
    return put(key, notNull(key, value));
  }

  private Builder headerText(String name, String key, String value) {
    check(
        printable(notNull(name, value)),
        "%s goes into an HTTP header and must not have control characters",
        name);
    return put(key, value);
  }

  private Builder duration(String name, String key, Duration value) {
    boolean valid =
        !notNull(name, value).isNegative() && !value.isZero() && value.compareTo(LONGEST) <= 0;
    check(valid, "%s is %s; it must be more than zero and at most 10 minutes", name, value);
    return put(key, value.plusNanos(999_999).toMillis());
  }

  private Builder put(String key, Object value) {
    settings.put(key, value);
    return this;
  }

  private Builder add(String key, Object value) {
    List<Object> all = new ArrayList<>();
    Object before = settings.get(key);
    all.addAll(before == null ? Collections.emptyList() : (List<?>) before);
    all.add(value);
    return put(key, all);
  }

  private static boolean printable(String value) {
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c != '\t' && (c < 0x20 || c == 0x7f)) {
        return false;
      }
    }
    return true;
  }

  private static <T> T notNull(String name, T value) {
    if (value == null) {
      throw new NullPointerException(name + " must not be null");
    }
    return value;
  }

  private static void check(boolean valid, String message, Object... args) {
    if (!valid) {
      throw new IllegalArgumentException(String.format(Locale.ROOT, message, args));
    }
  }
}
