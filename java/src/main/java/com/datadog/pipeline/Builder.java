package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
import com.datadog.pipeline.internal.Settings;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

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
  private static final List<String> OWN_HEADERS =
      Arrays.asList("content-length", "transfer-encoding", "content-type", "host", "connection");

  final Settings settings = new Settings();

  /** Of what was taken from the environment: the setting's name and where it comes from, by key. */
  final Map<String, String[]> origins = new LinkedHashMap<>();

  private LogListener logListener;
  private boolean jmx;
  private boolean shutdownHook;

  Builder() {}

  /**
   * Makes the exporter. Opens no connection and waits for nothing.
   *
   * @throws TraceExporterException {@code LIBRARY_UNAVAILABLE} if the native library could not be
   *     loaded, {@code INVALID_URL} or {@code INVALID_CONFIGURATION} if the settings do not go
   *     together
   */
  public TraceExporter build() {
    Map<String, Object> values = settings.copy();
    if (!origins.isEmpty()) {
      List<Object> pairs = new ArrayList<>();
      for (String[] origin : origins.values()) {
        pairs.add(Arrays.asList(origin));
      }
      values.put("origins", pairs);
    }
    return new TraceExporter(values, logListener, jmx, shutdownHook);
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
    return text("runtimeId", "runtime_id", runtimeId);
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
    return text("gitCommitSha", "git_commit_sha", sha);
  }

  /** Sets process tags, {@code key:value,key:value}. Default: none. */
  public Builder processTags(String tags) {
    return text("processTags", "process_tags", tags);
  }

  /** Says by header that the tracer computes stats itself. Default: false. */
  public Builder clientComputedStats(boolean computed) {
    if (computed && origins.remove("compute_stats_ms") != null) {
      settings.put("compute_stats_ms", null); // The environment's wish, not the caller's.
    }
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
   * Sets whether traces that sampling gave priority 0 or less are left out here and counted as
   * sampled out; spans that are to be kept all the same (errors, single-span sampling, analytics)
   * stay. The agent is told how many. Default: while {@link #computeStats} is in force.
   */
  public Builder dropP0(boolean drop) {
    return put("drop_p0", drop);
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
    check(isToken(notNull("header name", name)), "header: %s is no header name", name);
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

  /**
   * Sets whether the agent's {@code /info} is read: at start, every 300 s, and when the agent's
   * state changes. Default: true. Without it the agent gets the format that was set.
   */
  public Builder discovery(boolean discovery) {
    return put("discovery", discovery);
  }

  /**
   * Applies the trace filters that the agent's {@code /info} names. Default: false. Those of this
   * builder hold beside them.
   */
  public Builder agentFilters(boolean apply) {
    return put("agent_filters", apply);
  }

  /**
   * Splits payloads into requests of at most so many bytes, even where the agent takes more. A
   * trace that is larger by itself is dropped as {@code PAYLOAD_TOO_LARGE}. Default: what the
   * agent's {@code /info} says, else 25 MiB.
   *
   * @param bytes at least 1,024
   * @throws IllegalArgumentException if it is less
   */
  public Builder maxRequestBytes(long bytes) {
    check(bytes >= 1024, "maxRequestBytes is %s; it must be 1024 or more", bytes);
    return put("max_request_bytes", bytes);
  }

  /**
   * Sends health metrics to a DogStatsD server, {@code udp://host:port} or {@code unix:///path} (a
   * datagram socket). Without a port it is the one that the agent's {@code /info} says, else 8125.
   * Default: none are sent.
   *
   * @throws IllegalArgumentException if it is neither
   */
  public Builder dogstatsd(String url) {
    String fault = AgentUrl.statsdFault(notNull("dogstatsd", url));
    check(fault == null, "dogstatsd %s: %s", url, fault);
    return put("dogstatsd", url);
  }

  /** Sets who gets the log lines. Default: nobody, and then they cost nothing. */
  public Builder logListener(LogListener listener) {
    this.logListener = notNull("logListener", listener);
    return this;
  }

  /**
   * Registers a {@link TraceExporterMXBean} with the platform's server of beans at build, until the
   * exporter is closed. Default: false.
   */
  public Builder jmx(boolean register) {
    this.jmx = register;
    return this;
  }

  /**
   * Takes what is not set yet from the environment. Nothing else in this library reads it. Setters
   * have the last word, whether they are called before or after. Taken are, in this order:
   *
   * <ul>
   *   <li>{@code url}: {@code DD_TRACE_AGENT_URL}; else {@code DD_AGENT_HOST} and {@code
   *       DD_TRACE_AGENT_PORT}, one of which may be missing; else the socket {@code
   *       /var/run/datadog/apm.socket} if it is there
   *   <li>{@code service}, {@code env}, {@code version}, {@code hostname}: {@code DD_SERVICE},
   *       {@code DD_ENV}, {@code DD_VERSION}, {@code DD_HOSTNAME}
   *   <li>{@code sendTimeout}: {@code DD_TRACE_AGENT_TIMEOUT}, in seconds
   *   <li>{@code dogstatsd}: {@code DD_DOGSTATSD_URL}
   *   <li>{@code externalEnv}: {@code DD_EXTERNAL_ENV}; {@code gitCommitSha}: {@code
   *       DD_GIT_COMMIT_SHA}
   *   <li>{@code computeStats} with buckets of 10 s, if {@code DD_TRACE_STATS_COMPUTATION_ENABLED}
   *       is {@code true} or {@code 1} and {@link #clientComputedStats} was not set
   *   <li>{@link #obfuscationEnvironment}: {@code DD_APM_OBFUSCATION_*}, {@code
   *       DD_APM_SQL_OBFUSCATION_MODE}, {@code DD_APM_REPLACE_TAGS}, {@code DD_OBFUSCATION_CONFIG}
   * </ul>
   *
   * <p>A variable that is empty counts as absent. What was taken: {@link #takenFromEnvironment()},
   * {@link #toString()}, and {@link TraceExporter#explain()}.
   *
   * @throws IllegalArgumentException if a variable has a value that its setter refuses; the message
   *     names the variable
   */
  public Builder fromEnvironment() {
    Map<String, String> variables;
    try {
      variables = System.getenv();
    } catch (SecurityException e) {
      // A host that hides its environment has none for us.
      variables = Collections.emptyMap();
    }
    Environment.take(this, variables, Paths.get(Environment.SOCKET));
    return this;
  }

  /** Settings taken from the environment, each with where it comes from. Unmodifiable. */
  public Map<String, String> takenFromEnvironment() {
    Map<String, String> taken = new LinkedHashMap<>();
    for (String[] origin : origins.values()) {
      taken.put(origin[0], origin[1]);
    }
    return Collections.unmodifiableMap(taken);
  }

  /** The settings made so far, without secrets, and which of them the environment has made. */
  @Override
  public String toString() {
    StringBuilder s = new StringBuilder("Builder{");
    Settings.describe(s, settings.copy());
    return s.append("; from the environment: ")
        .append(takenFromEnvironment())
        .append('}')
        .toString();
  }

  /** Sets the format of the payloads that are handed over. Default: {@link InputFormat#V04}. */
  public Builder inputFormat(InputFormat format) {
    return put("input_format", notNull("inputFormat", format).name());
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
    return rule("requireTag", "require_tags", rule);
  }

  /** Leaves out traces whose root has this tag, {@code KEY} or {@code KEY:VALUE}. */
  public Builder rejectTag(String rule) {
    return rule("rejectTag", "reject_tags", rule);
  }

  /**
   * As {@link #requireTag}, the value a regex in Go's syntax, as the agent reads it; it need not
   * match the whole value.
   */
  public Builder requireTagRegex(String rule) {
    return regexRule("requireTagRegex", "require_tag_regexes", rule);
  }

  /**
   * As {@link #rejectTag}, the value a regex in Go's syntax, as the agent reads it; it need not
   * match the whole value.
   */
  public Builder rejectTagRegex(String rule) {
    return regexRule("rejectTagRegex", "reject_tag_regexes", rule);
  }

  /**
   * Leaves out traces whose root's resource matches this regex: Go's syntax, as the agent reads it;
   * it need not match the whole resource.
   *
   * @throws IllegalArgumentException if it cannot be read as one
   */
  public Builder ignoreResource(String regex) {
    regex("ignoreResource", notNull("ignoreResource", regex));
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
      if (isObfuscation(e.getKey())) {
        variables.add(Arrays.asList(e.getKey(), e.getValue()));
      }
    }
    return put("obfuscation_environment", variables);
  }

  static boolean isObfuscation(String variable) {
    return variable.startsWith("DD_APM_OBFUSCATION_")
        || variable.equals("DD_APM_SQL_OBFUSCATION_MODE")
        || variable.equals("DD_APM_REPLACE_TAGS")
        || variable.equals("DD_OBFUSCATION_CONFIG");
  }

  /**
   * Sets how many bytes of payloads wait for the senders at most, those on their way included; 64
   * KiB or more. Default: 32 MiB.
   */
  public Builder queueBytes(long bytes) {
    check(bytes >= 65_536, "queueBytes is %s; it must be 65536 or more", bytes);
    return put("queue_bytes", bytes);
  }

  /** Sets how many payloads wait for the senders at most, 1 to 1,048,576. Default: 4,096. */
  public Builder queuePayloads(int payloads) {
    check(
        payloads > 0 && payloads <= 1 << 20,
        "queuePayloads is %s; it must be 1 to 1048576",
        payloads);
    return put("queue_payloads", (long) payloads);
  }

  /**
   * Sets how many native threads deliver what was offered, 1 to 64. They start when needed and end
   * when idle. Default: 1.
   */
  public Builder senders(int senders) {
    check(senders > 0 && senders <= 64, "senders is %s; it must be 1 to 64", senders);
    return put("senders", (long) senders);
  }

  /**
   * Sets up to how many bytes queued v0.4 payloads are merged into one request; 0 merges nothing.
   * Default: 1 MiB.
   */
  public Builder batchBytes(long bytes) {
    check(bytes >= 0, "batchBytes is %s; it must not be negative", bytes);
    return put("batch_bytes", bytes);
  }

  /**
   * Sets how long a small payload waits in the queue for others to travel with; zero does not wait.
   * What somebody waits for ({@code sendAsync}, {@code flush}) never waits for this. Default: 200
   * ms.
   */
  public Builder batchAge(Duration age) {
    return durationOrZero("batchAge", "batch_age_ms", age);
  }

  /**
   * Sets how long a queued payload is tried, from the moment it was offered: so long the agent may
   * be away without a loss. More than zero, at most 10 minutes. Default: 60 seconds.
   */
  public Builder asyncBudget(Duration budget) {
    return duration("asyncBudget", "async_budget_ms", budget);
  }

  /** Sets what happens when the queue is full. Default: {@link Overflow#DROP_NEWEST}. */
  public Builder overflow(Overflow policy) {
    return put("overflow", notNull("overflow", policy).name());
  }

  /** Sets how long an offer waits for room with {@link Overflow#BLOCK}. Default: 1 second. */
  public Builder blockWait(Duration limit) {
    return durationOrZero("blockWait", "block_wait_ms", limit);
  }

  /**
   * Keeps on disk, in this directory and within so many bytes (1 MiB or more), what the queue
   * cannot hold while the agent is away; it is sent when the agent is back, by a later process if
   * need be. One process at a time may use a directory. Default: off.
   */
  public Builder spool(Path directory, long maxBytes) {
    check(
        maxBytes >= 1 << 20, "spool: the limit is %s bytes; it must be 1048576 or more", maxBytes);
    put("spool_bytes", maxBytes);
    return put("spool", notNull("spool", directory).toString());
  }

  /**
   * Sets whether the exporter is closed when the JVM shuts down, within {@link #closeTimeout}.
   * Default: false; who does not close then loses what is queued.
   */
  public Builder shutdownHook(boolean close) {
    shutdownHook = close;
    return this;
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

  /**
   * Sets whether the resources of stats are obfuscated here when the agent agrees to that ({@code
   * obfuscation_version} 1 of its {@code /info}), in its SQL mode. Default: true; else, and with
   * any other agent, the agent does it.
   */
  public Builder obfuscateStats(boolean obfuscate) {
    return put("obfuscate_stats", obfuscate);
  }

  private Builder rule(String name, String key, String rule) {
    String trimmed = notNull(name, rule).trim();
    check(
        !trimmed.isEmpty() && !trimmed.startsWith(":"),
        "%s: the rule '%s' has no key; it is written KEY or KEY:VALUE",
        name,
        rule);
    return add(key, rule);
  }

  private Builder regexRule(String name, String key, String rule) {
    rule(name, key, rule);
    int colon = rule.trim().indexOf(':');
    String value = colon < 0 ? "" : rule.trim().substring(colon + 1).trim();
    if (!value.isEmpty()) {
      regex(name, value);
    }
    return this;
  }

  /** The library reads it as the agent would. Where there is none, {@code build()} does. */
  private static void regex(String name, String regex) {
    String why = TraceExporter.checkRegex(regex);
    check(why == null, "%s: the regex '%s' cannot be used: %s", name, regex, why);
  }

  private Builder text(String name, String value) {
    return text(name, name, value);
  }

  private Builder text(String name, String key, String value) {
    return put(key, notNull(name, value));
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

  private Builder durationOrZero(String name, String key, Duration value) {
    return notNull(name, value).isZero() ? put(key, 0L) : duration(name, key, value);
  }

  private Builder put(String key, Object value) {
    settings.put(key, value);
    origins.remove(key);
    return this;
  }

  private Builder add(String key, Object value) {
    List<Object> all = new ArrayList<>();
    Object before = settings.get(key);
    all.addAll(before == null ? Collections.emptyList() : (List<?>) before);
    all.add(value);
    return put(key, all);
  }

  private static boolean isToken(String name) {
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      boolean alphanumeric = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9';
      if (!alphanumeric && "!#$%&'*+-.^_`|~".indexOf(c) < 0) {
        return false;
      }
    }
    return !name.isEmpty();
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
