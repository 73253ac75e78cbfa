package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Executor;

// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

/**
 * Collects the settings of a {@link TraceExporter}. Each setter checks at once and throws {@link
 * IllegalArgumentException} for what cannot work, null included; regexes and JSON are checked
 * through the native library where it is there, else by {@link #build()}. Nothing is inferred: what
 * is not set has the default named here. Not thread-safe; {@link #build()} may be called several
 * times.
 */
public final class Builder extends BuilderBase {
  /** Default of {@link #url}. */
  public static final String DEFAULT_URL = "http://127.0.0.1:8126";

  /** Default of {@link #closeTimeout}, in ms. */
  static final long DEFAULT_CLOSE_TIMEOUT_MILLIS = 800;

  Builder() {}

  /**
   * Where the agent is: {@code http://host:port/prefix} or the same with {@code https}, {@code
   * unix:///path/to/socket} or {@code windows:\\.\pipe\name}. Default: http://127.0.0.1:8126.
   */
  public Builder url(String url) {
    return agentUrl("url", url);
  }

  /**
   * The service of the process, given to stats and to spans that have none. Default: none. {@link
   * #fromEnvironment()} takes it from {@code DD_SERVICE}.
   */
  public Builder service(String value) {
    return text("service", value);
  }

  /**
   * The environment, {@code prod} for instance, given to stats and to converted payloads that have
   * none. Default: none. {@link #fromEnvironment()} takes it from {@code DD_ENV}.
   */
  public Builder env(String value) {
    return text("env", value);
  }

  /**
   * The version of the service, given to stats and to converted payloads that have none. Default:
   * none. {@link #fromEnvironment()} takes it from {@code DD_VERSION}.
   */
  public Builder version(String value) {
    return text("version", value);
  }

  /**
   * The host name, given to stats and to converted payloads that have none. Default: none. {@link
   * #fromEnvironment()} takes it from {@code DD_HOSTNAME}.
   */
  public Builder hostname(String value) {
    return text("hostname", value);
  }

  /** The header {@code Datadog-Meta-Lang}, {@code java} for instance. Default: none. */
  public Builder language(String value) {
    return headerText("language", value);
  }

  /** The header {@code Datadog-Meta-Lang-Version}. Default: none. */
  public Builder languageVersion(String value) {
    return headerText("languageVersion", value);
  }

  /** The header {@code Datadog-Meta-Lang-Interpreter}. Default: none. */
  public Builder languageInterpreter(String value) {
    return headerText("languageInterpreter", value);
  }

  /** The header {@code Datadog-Meta-Lang-Interpreter-Vendor}. Default: none. */
  public Builder languageVendor(String value) {
    return headerText("languageVendor", value);
  }

  /** The header {@code Datadog-Meta-Tracer-Version}. Default: none. */
  public Builder tracerVersion(String value) {
    return headerText("tracerVersion", value);
  }

  /** The identity of the process. Default: a random UUID. */
  public Builder runtimeId(String value) {
    return text("runtimeId", value);
  }

  /** The header {@code Datadog-Container-ID}. Default: none. */
  public Builder containerId(String value) {
    return headerText("containerId", value);
  }

  /** The header {@code Datadog-Entity-ID}. Default: none. */
  public Builder entityId(String value) {
    return headerText("entityId", value);
  }

  /**
   * The header {@code Datadog-External-Env}. Default: none. {@link #fromEnvironment()} takes it
   * from {@code DD_EXTERNAL_ENV}.
   */
  public Builder externalEnv(String value) {
    return headerText("externalEnv", value);
  }

  /**
   * Whether container and entity id are read from {@code /proc/self} at build; an id that was set
   * wins. Default: false.
   */
  public Builder detectContainer(boolean value) {
    return put("detectContainer", value);
  }

  /**
   * The commit that the service was built from. Default: none. {@link #fromEnvironment()} takes it
   * from {@code DD_GIT_COMMIT_SHA}.
   */
  public Builder gitCommitSha(String value) {
    return text("gitCommitSha", value);
  }

  /** Process tags, {@code key:value,key:value}. Default: none. */
  public Builder processTags(String value) {
    return text("processTags", value);
  }

  /** The header {@code X-Datadog-Test-Session-Token} of Datadog's test agent. Default: none. */
  public Builder testSessionToken(String value) {
    return headerText("testSessionToken", value);
  }

  /** The format of the payloads that are handed over; AUTO looks at each payload. Default: V04. */
  public Builder inputFormat(InputFormat format) {
    return choice("inputFormat", format);
  }

  /**
   * What goes to the agent: V1 falls back to v0.4 on a 404 in the same call, AUTO is v1 where
   * {@code /info} lists it, else v0.4. Default: V04.
   */
  public Builder outputFormat(OutputFormat format) {
    return choice("outputFormat", format);
  }

  /**
   * What becomes of input that the agent would refuse: it is repaired, the trace is dropped, or the
   * payload is refused. Default: REPAIR.
   */
  public Builder onMalformed(OnMalformed policy) {
    return choice("onMalformed", policy);
  }

  /**
   * Whether spans are normalized as the agent does it, and traces refused that it would refuse.
   * Default: true where no agent does it.
   */
  public Builder normalize(boolean value) {
    return put("normalize", value);
  }

  /**
   * Whether literals, cards and passwords in spans are hidden as the agent does it. Default: true
   * if {@link #obfuscation} says how, and where no agent does it.
   */
  public Builder obfuscate(boolean value) {
    return put("obfuscate", value);
  }

  /**
   * What is obfuscated and how, as JSON: the agent's {@code apm_config.obfuscation}, with {@code
   * sql} and {@code replace_tags} beside it. The names are {@code credit_cards}, {@code
   * elasticsearch}, {@code opensearch}, {@code mongodb}, {@code http}, {@code remove_stack_traces},
   * {@code redis}, {@code valkey}, {@code memcached}, {@code sql} and {@code replace_tags}. What is
   * not named is as in a packaged agent. Default: as in a packaged agent.
   */
  public Builder obfuscation(String json) {
    return json("obfuscation", json);
  }

  /**
   * Whether top-level spans are marked in the payload ({@code _top_level}), and the agent is told
   * so by header. Conversions and stats mark them in any case, unless {@link
   * #clientComputedTopLevel} says that the tracer has. Default: false.
   */
  public Builder computeTopLevel(boolean value) {
    return put("computeTopLevel", value);
  }

  /**
   * Whether the agent is told by header that the tracer marked top-level spans itself. Default:
   * false.
   */
  public Builder clientComputedTopLevel(boolean value) {
    return put("clientComputedTopLevel", value);
  }

  /**
   * Whether traces that sampling gave priority 0 or less are left out and counted as sampled out.
   * Spans that are to be kept all the same (errors, single-span sampling, analytics) stay. The
   * agent is told how many went. Default: toward an agent while stats are computed, toward OTLP,
   * else not.
   */
  public Builder dropP0(boolean value) {
    return put("dropP0", value);
  }

  /**
   * Keeps only traces whose root has this tag, {@code KEY} or {@code KEY:VALUE}; several must all
   * be there.
   */
  public Builder requireTag(String rule) {
    return rule("requireTag", rule);
  }

  /** Leaves out traces whose root has this tag, {@code KEY} or {@code KEY:VALUE}. */
  public Builder rejectTag(String rule) {
    return rule("rejectTag", rule);
  }

  /**
   * As {@link #requireTag}, {@code KEY} or {@code KEY:REGEX}: the value a regex in Go's syntax,
   * without anchors.
   */
  public Builder requireTagRegex(String rule) {
    return regexRule("requireTagRegex", rule);
  }

  /**
   * As {@link #rejectTag}, {@code KEY} or {@code KEY:REGEX}: the value a regex in Go's syntax,
   * without anchors.
   */
  public Builder rejectTagRegex(String rule) {
    return regexRule("rejectTagRegex", rule);
  }

  /** Leaves out traces whose root's resource matches this regex (Go's syntax, no anchors). */
  public Builder ignoreResource(String regex) {
    return regex("ignoreResource", regex);
  }

  /**
   * Whether the agent's {@code /info} is read: at start, every 300 s, and when its state changes.
   * Default: true.
   */
  public Builder discovery(boolean value) {
    return put("discovery", value);
  }

  /**
   * Whether the trace filters that the agent's {@code /info} names apply, beside those set here.
   * They apply in any case while stats are computed: what the agent would reject must not be
   * counted. Default: false.
   */
  public Builder agentFilters(boolean value) {
    return put("agentFilters", value);
  }

  /**
   * How many filter rules of the agent's {@code /info} are used; what is beyond is left out and
   * said once. Default: 1,000.
   *
   * @param rules 0 to 1,000,000
   * @throws IllegalArgumentException if it is not
   */
  public Builder agentFilterRules(int rules) {
    return number("agentFilterRules", rules, 0, 1000000, "0 to 1,000,000");
  }

  /**
   * How much memory the regexes of the agent's {@code /info} may take together, a single one a
   * sixteenth of it. Default: 16 MiB.
   *
   * @param bytes 64 KiB or more
   * @throws IllegalArgumentException if it is not
   */
  public Builder agentFilterBytes(long bytes) {
    return number("agentFilterBytes", bytes, 65536, Long.MAX_VALUE, "64 KiB or more");
  }

  /**
   * The largest request; a larger payload goes in several, and a trace that is larger by itself is
   * dropped. Default: what {@code /info} says, else 25 MiB.
   *
   * @param bytes 1,024 or more
   * @throws IllegalArgumentException if it is not
   */
  public Builder maxRequestBytes(long bytes) {
    return number("maxRequestBytes", bytes, 1024, Long.MAX_VALUE, "1,024 or more");
  }

  /**
   * A file of certificates (PEM, or one in DER) of authorities that are trusted beside those of the
   * JVM, for https. Default: the JVM's trust store alone (Java); nobody (Rust, C).
   */
  public Builder caFile(Path file) {
    return file("caFile", file);
  }

  /**
   * An HTTP proxy, {@code http://user:password@host:port}, for OTLP and the intake; agents are
   * never asked through it. Default: none. {@link #fromEnvironment()} takes it from {@code
   * DD_PROXY_HTTPS}.
   */
  public Builder proxy(String url) {
    return proxyUrl("proxy", url);
  }

  /**
   * Hosts that are asked without {@link #proxy}, with commas or spaces between them: a name, {@code
   * .suffix}, an address, {@code *} for all. Default: none. {@link #fromEnvironment()} takes it
   * from {@code DD_PROXY_NO_PROXY}.
   */
  public Builder noProxy(String hosts) {
    return text("noProxy", hosts);
  }

  /**
   * How long opening one connection may take. Default: 1 s.
   *
   * @param limit more than 0, at most 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder connectTimeout(Duration limit) {
    return duration("connectTimeout", limit, 1, 600000, "more than 0, at most 10 min");
  }

  /**
   * How long one attempt may take. Default: 10 s. {@link #fromEnvironment()} takes it from {@code
   * DD_TRACE_AGENT_TIMEOUT}, in seconds.
   *
   * @param limit more than 0, at most 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder sendTimeout(Duration limit) {
    return duration("sendTimeout", limit, 1, 600000, "more than 0, at most 10 min");
  }

  /**
   * How long one send may take, retries and waiting included. It counts from the call on and bounds
   * connecting, attempts, pauses and waiting. The stages before the first attempt are not cut
   * short: they take time in proportion to the payload, and what they took is missing to the
   * attempts. Default: 10 s.
   *
   * @param budget more than 0, at most 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder sendBudget(Duration budget) {
    return duration("sendBudget", budget, 1, 600000, "more than 0, at most 10 min");
  }

  /**
   * How many idle connections are kept between sends. Default: 1.
   *
   * @param connections 0 to 64
   * @throws IllegalArgumentException if it is not
   */
  public Builder maxIdleConnections(int connections) {
    return number("maxIdleConnections", connections, 0, 64, "0 to 64");
  }

  /**
   * How long an idle connection is kept. Default: 10 s.
   *
   * @param age more than 0, at most 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder maxIdleAge(Duration age) {
    return duration("maxIdleAge", age, 1, 600000, "more than 0, at most 10 min");
  }

  /**
   * How long {@code close()} waits for running sends, for the queue and for stats; zero does not
   * wait. Default: 800 ms.
   *
   * @param limit 0 to 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder closeTimeout(Duration limit) {
    return duration("closeTimeout", limit, 0, 600000, "0 to 10 min");
  }

  /**
   * How many bytes of payloads wait for the senders at most, those on their way included. Default:
   * 32 MiB.
   *
   * @param bytes 64 KiB or more
   * @throws IllegalArgumentException if it is not
   */
  public Builder queueBytes(long bytes) {
    return number("queueBytes", bytes, 65536, Long.MAX_VALUE, "64 KiB or more");
  }

  /**
   * How many payloads wait for the senders at most. So payloads of 512 bytes and more meet {@link
   * #queueBytes} first. One that waits takes some 200 bytes beside its own. Default: one for each
   * 512 bytes of {@link #queueBytes}, so 65,536.
   *
   * @param payloads 1 to 1,048,576
   * @throws IllegalArgumentException if it is not
   */
  public Builder queuePayloads(int payloads) {
    return number("queuePayloads", payloads, 1, 1048576, "1 to 1,048,576");
  }

  /** What happens when the queue is full. Default: DROP_NEWEST. */
  public Builder overflow(Overflow policy) {
    return choice("overflow", policy);
  }

  /**
   * How long an offer waits for room with BLOCK. Default: 1 s.
   *
   * @param limit 0 to 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder blockWait(Duration limit) {
    return duration("blockWait", limit, 0, 600000, "0 to 10 min");
  }

  /**
   * How many native threads send what is queued; each starts when needed and ends when idle.
   * Default: 1.
   *
   * @param senders 1 to 64
   * @throws IllegalArgumentException if it is not
   */
  public Builder senders(int senders) {
    return number("senders", senders, 1, 64, "1 to 64");
  }

  /**
   * Up to how many bytes queued v0.4 payloads are merged into one request; 0 sends each as it is.
   * Default: 1 MiB.
   */
  public Builder batchBytes(long bytes) {
    return number("batchBytes", bytes, 0, Long.MAX_VALUE, "0 or more");
  }

  /**
   * How long a small payload waits in the queue for others to travel with. What somebody waits for
   * ({@code sendAsync}, {@code flush}) never waits for this. Zero merges what waits already.
   * Default: 200 ms.
   *
   * @param age 0 to 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder batchAge(Duration age) {
    return duration("batchAge", age, 0, 600000, "0 to 10 min");
  }

  /**
   * How long a queued payload is tried, from the moment it was offered. Default: 60 s.
   *
   * @param budget more than 0, at most 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder asyncBudget(Duration budget) {
    return duration("asyncBudget", budget, 1, 600000, "more than 0, at most 10 min");
  }

  /**
   * How many bytes of bodies a second the queue and the spool send at most, after compression. What
   * {@code send} sends is counted and never held; the queue waits for it. What waits longer than
   * {@link #asyncBudget} is given up, or goes to the {@link #spool}. Default: no limit.
   *
   * @param bytes 1,024 or more
   * @throws IllegalArgumentException if it is not
   */
  public Builder maxBytesPerSecond(long bytes) {
    return number("maxBytesPerSecond", bytes, 1024, Long.MAX_VALUE, "1,024 or more");
  }

  /**
   * Whether the exporter is closed when the JVM shuts down, within {@link #closeTimeout}. Default:
   * false.
   */
  public Builder shutdownHook(boolean value) {
    return own("shutdownHook", value);
  }

  /**
   * Where futures of {@code sendAsync} complete and run what is chained to them. Default: threads
   * of this library, at most 256.
   */
  public Builder completionExecutor(Executor executor) {
    return own("completionExecutor", executor);
  }

  /**
   * What is built where the native library cannot be loaded: nothing, an exporter that drops, or
   * one in Java. Default: FAIL.
   */
  public Builder withoutLibrary(WithoutLibrary mode) {
    return own("withoutLibrary", mode);
  }

  /**
   * Computes stats in buckets of this length (agents expect 10 s) while the agent takes them, and
   * then drops p0 traces. The agent takes them when its {@code /info} has {@code client_drop_p0s}
   * and {@code /v0.6/stats}. Default: stats are not computed here.
   *
   * @param bucket 1 s to 10 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder computeStats(Duration bucket) {
    return duration("computeStats", bucket, 1000, 600000, "1 s to 10 min");
  }

  /** Whether the agent is told by header that the tracer computes stats itself. Default: false. */
  public Builder clientComputedStats(boolean value) {
    return put("clientComputedStats", value);
  }

  /**
   * One more tag that describes the peer of a client, producer or consumer span in stats, beside
   * those of {@code /info}.
   */
  public Builder peerTag(String... keys) {
    return keys("peerTag", Integer.MAX_VALUE, keys);
  }

  /** One more tag that tells groups of stats apart. */
  public Builder additionalMetricTag(String... keys) {
    return keys("additionalMetricTag", 4, keys);
  }

  /**
   * How many different groups and values a bucket takes; what is beyond is counted as {@code
   * tracer_blocked_value}. Default: 7,000 groups; 1,024 resources, 512 HTTP endpoints, 512 lists of
   * peer tags, 100 of additional tags.
   */
  public Builder statsLimits(StatsLimits limits) {
    return limits("statsLimits", limits);
  }

  /**
   * Whether every span is counted in the bucket in which it ended, however long ago, and buckets
   * are sent only when asked for. Default: false.
   */
  public Builder statsReplay(boolean value) {
    return put("statsReplay", value);
  }

  /**
   * Whether resources of stats are obfuscated here when the agent agrees ({@code
   * obfuscation_version} 1 of its {@code /info}), in its SQL mode. Default: true.
   */
  public Builder obfuscateStats(boolean value) {
    return put("obfuscateStats", value);
  }

  /**
   * Who gets a line when a trouble begins, every 5 minutes, and when it ends; on the thread of a
   * call, or the completion thread. Default: nobody, and then log lines cost nothing.
   */
  public Builder logListener(LogListener listener) {
    return own("logListener", listener);
  }

  /**
   * Whether a {@code TraceExporterMXBean} is registered with the platform's server of beans until
   * the exporter is closed. Default: false.
   */
  public Builder jmx(boolean value) {
    return own("jmx", value);
  }

  /**
   * Where health metrics go: {@code udp://host:port} or {@code unix:///path} (a datagram socket);
   * without a port the one of {@code /info}, else 8125. Default: none. {@link #fromEnvironment()}
   * takes it from {@code DD_DOGSTATSD_URL}.
   */
  public Builder dogstatsd(String url) {
    return statsdUrl("dogstatsd", url);
  }

  /**
   * How often what was sent and lost goes to Datadog as instrumentation telemetry, by the agent or
   * beside the intake. Never beside a tracer that sends its own: the service would be counted
   * twice. 60 s is what tracers do. Default: no telemetry is sent.
   *
   * @param interval 100 ms to 60 min
   * @throws IllegalArgumentException if it is not
   */
  public Builder telemetry(Duration interval) {
    return duration("telemetry", interval, 100, 3600000, "100 ms to 60 min");
  }

  /**
   * Whether telemetry says that it is there to look for faults (header {@code
   * DD-Telemetry-Debug-Enabled}). Default: false.
   */
  public Builder telemetryDebug(boolean value) {
    return put("telemetryDebug", value);
  }

  /** The header {@code DD-Session-ID} of telemetry. Default: none. */
  public Builder telemetrySessionId(String value) {
    return headerText("telemetrySessionId", value);
  }

  /**
   * The header {@code DD-Root-Session-ID} of telemetry; left out where it is that of the session.
   * Default: none.
   */
  public Builder telemetryRootSessionId(String value) {
    return headerText("telemetryRootSessionId", value);
  }

  /**
   * The header {@code DD-Parent-Session-ID} of telemetry; left out where it is that of the session.
   * Default: none.
   */
  public Builder telemetryParentSessionId(String value) {
    return headerText("telemetryParentSessionId", value);
  }

  /**
   * Whether everything happens but the sending: what would have gone out counts as dropped for the
   * reason {@code DRY_RUN}. Default: false.
   */
  public Builder dryRun(boolean value) {
    return put("dryRun", value);
  }

  /** Settings that one variable says. */
  @Override
  void takeVariables(Environment from) {
    from.text("service", "DD_SERVICE", this::service);
    from.text("env", "DD_ENV", this::env);
    from.text("version", "DD_VERSION", this::version);
    from.text("hostname", "DD_HOSTNAME", this::hostname);
    from.text("externalEnv", "DD_EXTERNAL_ENV", this::externalEnv);
    from.text("gitCommitSha", "DD_GIT_COMMIT_SHA", this::gitCommitSha);
    from.text("proxy", "DD_PROXY_HTTPS", this::proxy);
    from.text("noProxy", "DD_PROXY_NO_PROXY", this::noProxy);
    from.seconds("sendTimeout", "DD_TRACE_AGENT_TIMEOUT", this::sendTimeout);
    from.text("dogstatsd", "DD_DOGSTATSD_URL", this::dogstatsd);
  }

  /** How a value is shown: without secrets. */
  @Override
  Object shown(String setting, Object value) {
    switch (setting) {
      case "url":
      case "proxy":
      case "dogstatsd":
        return AgentUrl.shown((String) value);
      case "destination":
        return Destination.shown(value);
      case "header":
      case "obfuscationEnvironment":
        return namesOf(value);
      case "testSessionToken":
      case "obfuscation":
        return HIDDEN;
      case "connectTimeout":
      case "sendTimeout":
      case "sendBudget":
      case "maxIdleAge":
      case "closeTimeout":
      case "blockWait":
      case "batchAge":
      case "asyncBudget":
      case "computeStats":
      case "telemetry":
        return value + " ms";
      default:
        return value;
    }
  }
}
