package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where payloads go: an agent, an OTLP endpoint, Datadog's intake, log lines. The one setting that
 * chooses a mode ({@link Builder#destination}); each has its own options. Immutable and
 * thread-safe: each option gives a new one. {@code toString} shows no header's value, and of a key
 * its last four characters at most.
 *
 * <p>Values are checked by {@link Builder#destination}, which throws {@link
 * IllegalArgumentException}; null is refused at once.
 */
public abstract class Destination {
  private final String kind;
  private final Map<String, Object> values;

  private Destination(String kind, Map<String, Object> values) {
    this.kind = kind;
    this.values = values;
  }

  /** A Datadog agent, by one of the forms of {@link Builder#url}, which is short for this. */
  public static Agent agent(String url) {
    return new Agent(with(Collections.<String, Object>emptyMap(), "url", url));
  }

  /**
   * An OTLP endpoint over HTTP. A URL without a path gets {@code /v1/traces}; one with a path is
   * taken as it is.
   */
  public static Otlp otlp(String url) {
    return new Otlp(with(Collections.<String, Object>emptyMap(), "url", url));
  }

  /** Datadog's own OTLP intake of this site, protobuf only, with an API key. */
  public static Otlp datadogOtlp(String site, String apiKey) {
    return new Otlp(withKey(site, apiKey));
  }

  /** Datadog's intake for traces, without an agent: {@code datadoghq.com} for instance. */
  public static Intake intake(String site, String apiKey) {
    return new Intake(withKey(site, apiKey));
  }

  /** Lines of JSON, for hosts whose output is collected (serverless). */
  public static Log log(LogTarget target) {
    Payload.notNull("target", target);
    return new Log(with(Collections.<String, Object>emptyMap(), "target", target.value()), target);
  }

  /** See {@link Destination#agent}. */
  public static final class Agent extends Destination {
    private Agent(Map<String, Object> values) {
      super("agent", values);
    }
  }

  /** See {@link Destination#otlp}. */
  public static final class Otlp extends Destination {
    private Otlp(Map<String, Object> values) {
      super("otlp", values);
    }

    /** How requests are written. Default: PROTOBUF. */
    public Otlp encoding(OtlpEncoding encoding) {
      return new Otlp(with(values(), "encoding", Payload.notNull("encoding", encoding).name()));
    }

    /** One more header on every request, for credentials for instance. */
    public Otlp header(String name, String value) {
      List<Object> all = new ArrayList<>();
      Object before = values().get("headers");
      if (before != null) {
        all.addAll((List<?>) before);
      }
      all.add(
          Arrays.<Object>asList(Payload.notNull("name", name), Payload.notNull("value", value)));
      return new Otlp(with(values(), "headers", all));
    }

    /** How bodies are compressed. Default: NONE, since it costs more than it saves. */
    public Otlp compression(Compression compression) {
      Payload.notNull("compression", compression);
      return new Otlp(with(values(), "compression", compression.name()));
    }

    /**
     * Where trace metrics go while stats are computed. Default: the URL with {@code /v1/metrics}
     * instead of {@code /v1/traces}.
     */
    public Otlp metricsUrl(String url) {
      return new Otlp(with(values(), "metricsUrl", url));
    }

    /**
     * Leaves out {@code operation.name}, {@code resource.name}, {@code span.type} and what
     * OpenTelemetry has fields for. Default: they stay, so that Datadog makes the same spans again.
     */
    public Otlp openTelemetrySemantics(boolean on) {
      return new Otlp(with(values(), "openTelemetrySemantics", on));
    }

    /**
     * How many attributes a span has at most; what is beyond is left out and counted in the span's
     * {@code dropped_attributes_count}. Default: no limit.
     *
     * @throws IllegalArgumentException if it is negative
     */
    public Otlp maxAttributes(int most) {
      if (most < 0) {
        throw new IllegalArgumentException("maxAttributes is " + most + "; it must be 0 or more");
      }
      return new Otlp(with(values(), "maxAttributes", (long) most));
    }

    /**
     * How Datadog's own OTLP intake makes spans of what it gets, as JSON. Default: {@code
     * {"span_name_as_resource_name":false}}, since the name of our spans is the resource.
     */
    public Otlp spanMapping(String json) {
      return new Otlp(with(values(), "spanMapping", json));
    }

    /** Another address than that of the site, for a proxy that speaks for it. */
    public Otlp url(String url) {
      return new Otlp(with(values(), "url", url));
    }
  }

  /** See {@link Destination#intake}. */
  public static final class Intake extends Destination {
    private Intake(Map<String, Object> values) {
      super("intake", values);
    }

    /** Another address than that of the site, for a proxy that speaks for it. */
    public Intake url(String url) {
      return new Intake(with(values(), "url", url));
    }

    /** How bodies are compressed. Default: ZSTD. */
    public Intake compression(Compression compression) {
      Payload.notNull("compression", compression);
      return new Intake(with(values(), "compression", compression.name()));
    }
  }

  /** See {@link Destination#log}. */
  public static final class Log extends Destination {
    private final LogTarget target;

    private Log(Map<String, Object> values, LogTarget target) {
      super("log", values);
      this.target = target;
    }

    /**
     * The longest line, its end included; a span that is longer by itself is dropped and counted.
     * Default: 262144.
     *
     * @throws IllegalArgumentException if it is negative
     */
    public Log maxLineBytes(int bytes) {
      if (bytes < 0) {
        throw new IllegalArgumentException("maxLineBytes is " + bytes + "; it must be 0 or more");
      }
      return new Log(with(values(), "maxLineBytes", (long) bytes), target);
    }

    LogTarget target() {
      return target;
    }
  }

  final Map<String, Object> values() {
    return values;
  }

  /** As the native side reads it: the kind, and the options by their names. */
  final Map<String, Object> value() {
    return Collections.<String, Object>singletonMap(kind, values);
  }

  @Override
  public final String toString() {
    return shown(Collections.singletonList(value()));
  }

  /** How values of the native form are shown. */
  static String shown(Object destinations) {
    StringBuilder s = new StringBuilder();
    for (Object destination : (List<?>) destinations) {
      for (Map.Entry<?, ?> kind : ((Map<?, ?>) destination).entrySet()) {
        s.append(s.length() == 0 ? "" : ", then ").append(kind.getKey()).append('{');
        String comma = "";
        for (Map.Entry<?, ?> option : ((Map<?, ?>) kind.getValue()).entrySet()) {
          s.append(comma).append(option.getKey()).append('=');
          s.append(shown((String) option.getKey(), option.getValue()));
          comma = ", ";
        }
        s.append('}');
      }
    }
    return s.toString();
  }

  private static Object shown(String option, Object value) {
    switch (option) {
      case "url":
      case "metricsUrl":
        return AgentUrl.shown((String) value);
      case "headers":
        return BuilderBase.namesOf(value);
      case "apiKey":
        String key = (String) value;
        return key.length() < 12 ? "***" : "***" + key.substring(key.length() - 4);
      default:
        return value;
    }
  }

  private static Map<String, Object> withKey(String site, String apiKey) {
    return with(with(Collections.<String, Object>emptyMap(), "site", site), "apiKey", apiKey);
  }

  private static Map<String, Object> with(Map<String, Object> before, String name, Object value) {
    Map<String, Object> after = new LinkedHashMap<>(before);
    after.put(name, Payload.notNull(name, value));
    return Collections.unmodifiableMap(after);
  }
}
