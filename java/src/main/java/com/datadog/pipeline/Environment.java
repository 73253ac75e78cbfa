package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * Takes settings from {@code DD_*} variables, in the way of the native side ({@code
 * src/settings/environment.rs}). The precedence is written down at {@link
 * Builder#fromEnvironment()}. Not thread-safe.
 */
final class Environment {
  private static final String URL = "DD_TRACE_AGENT_URL";
  private static final String HOST = "DD_AGENT_HOST";
  private static final String PORT = "DD_TRACE_AGENT_PORT";
  private static final String STATS = "DD_TRACE_STATS_COMPUTATION_ENABLED";
  private static final String SERVICE = "tcp://";
  private static final Duration BUCKET = Duration.ofSeconds(10);

  static final String SOCKET = "/var/run/datadog/apm.socket";

  private final Builder to;
  private final Map<String, String> from;
  private final BadValues bad;

  private Environment(Builder to, Map<String, String> from, BadValues bad) {
    this.to = to;
    this.from = from;
    this.bad = bad;
  }

  /** Sets one setting. */
  interface Setter<T> {
    void set(T value);
  }

  /** What to say of a value that was refused: the variable with what was set, and the reason. */
  private interface Blame {
    String of(String why);
  }

  static void take(Builder to, Map<String, String> from, Path socket, BadValues bad) {
    Environment environment = new Environment(to, from, bad);
    if (!environment.otlp()) {
      environment.url(socket);
    }
    environment.others();
  }

  /** As {@link #take}, but OpenTelemetry's variables are somebody else's: the peer is an agent. */
  static void takeForAgent(Builder to, Map<String, String> from, Path socket, BadValues bad) {
    Environment environment = new Environment(to, from, bad);
    environment.url(socket);
    environment.others();
  }

  private void others() {
    to.takeVariables(this);
    stats();
    obfuscation();
  }

  /**
   * The destination from OpenTelemetry's own variables, those of traces before those of all
   * signals, as {@code src/settings/environment_otlp.rs} has it. Gives whether it is said by that.
   */
  private boolean otlp() {
    String exporter = get("OTEL_TRACES_EXPORTER");
    boolean wanted =
        exporter != null && Arrays.asList(exporter.split("\\s*,\\s*")).contains("otlp");
    String endpoint = signal("ENDPOINT");
    boolean agent = get(URL) != null || get(HOST) != null || get(PORT) != null;
    if (bySetter("url")
        || bySetter("destination")
        || exporter != null && !wanted
        || exporter == null && (endpoint == null || agent)) {
      return false;
    }
    String origin = endpoint == null ? "OTEL_TRACES_EXPORTER" : endpoint;
    String url = endpoint == null ? "http://localhost:4318" : get(endpoint);
    if (endpoint != null && !endpoint.contains("TRACES")) {
      url = url.replaceAll("/+$", "") + "/v1/traces";
    }
    Destination.Otlp otlp = Destination.otlp(url);
    String protocol = signal("PROTOCOL");
    if (protocol != null) {
      boolean json = get(protocol).equals("http/json");
      if (!json && !get(protocol).equals("http/protobuf")) {
        bad(protocol, "it must be http/protobuf or http/json; gRPC is not spoken here");
        return false;
      }
      otlp = otlp.encoding(json ? OtlpEncoding.JSON : OtlpEncoding.PROTOBUF);
    }
    String compression = signal("COMPRESSION");
    if (compression != null) {
      Compression way = null;
      for (Compression known : Compression.values()) {
        way = known.name().equalsIgnoreCase(get(compression)) ? known : way;
      }
      if (way == null) {
        bad(compression, "it must be none, gzip or zstd");
      } else {
        otlp = otlp.compression(way);
      }
    }
    String headers = signal("HEADERS");
    if (headers != null) {
      for (String pair : get(headers).split(",")) {
        int equals = pair.indexOf('=');
        if (!pair.trim().isEmpty()) {
          String name = equals < 0 ? pair : pair.substring(0, equals);
          String value = equals < 0 ? "" : pair.substring(equals + 1);
          otlp = otlp.header(decoded(name.trim()), decoded(value.trim()));
        }
      }
    }
    if (get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") != null) {
      otlp = otlp.metricsUrl(get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"));
    }
    Destination.Otlp made = otlp;
    String address = AgentUrl.shown(url);
    Blame blame =
        why ->
            why.contains("header") || why.startsWith("the value of")
                ? headers
                : origin + "=\"" + address + '"';
    set("destination", origin, blame, () -> to.destination(made));
    String timeout = signal("TIMEOUT");
    if (timeout != null) {
      set("sendTimeout", timeout, why -> said(timeout), () -> to.sendTimeout(millis(get(timeout))));
    }
    String ca = signal("CERTIFICATE");
    if (ca != null) {
      set("caFile", ca, why -> said(ca), () -> to.caFile(Paths.get(get(ca))));
    }
    String chain = signal("CLIENT_CERTIFICATE");
    String key = signal("CLIENT_KEY");
    if (chain != null && key != null) {
      set(
          "clientCertificate",
          chain,
          why -> said(chain),
          () -> to.clientCertificate(Paths.get(get(chain)), Paths.get(get(key))));
    }
    return to.settings.get("destination") != null;
  }

  /** The variable of traces that is set, else that of all signals, else null. */
  private String signal(String name) {
    String traces = "OTEL_EXPORTER_OTLP_TRACES_" + name;
    String all = "OTEL_EXPORTER_OTLP_" + name;
    return get(traces) != null ? traces : get(all) != null ? all : null;
  }

  private boolean bySetter(String setting) {
    return to.settings.get(setting) != null && !to.origins.containsKey(setting);
  }

  private void bad(String variable, String why) {
    attempt(
        to,
        w -> said(variable),
        () -> {
          throw to.refused("destination", null, why);
        });
  }

  private Duration millis(String text) {
    try {
      return Duration.ofMillis(Long.parseLong(text));
    } catch (NumberFormatException e) {
      throw to.refused("sendTimeout", null, "it is no number of milliseconds");
    }
  }

  /** A text with {@code %xx} for bytes; what is none of that stays. */
  private static String decoded(String text) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < bytes.length; i++) {
      int high = bytes[i] == '%' && i + 2 < bytes.length ? Character.digit(bytes[i + 1], 16) : -1;
      int low = high < 0 ? -1 : Character.digit(bytes[i + 2], 16);
      out.write(low < 0 ? bytes[i] : high << 4 | low);
      i += low < 0 ? 0 : 2;
    }
    return new String(out.toByteArray(), StandardCharsets.UTF_8);
  }

  /** A setting that is taken as the variable has it. */
  void text(String setting, String variable, Setter<String> setter) {
    String value = get(variable);
    if (value != null) {
      set(setting, variable, why -> said(variable), () -> setter.set(value));
    }
  }

  /** A time in seconds, perhaps with a fraction. */
  void seconds(String setting, String variable, Setter<Duration> setter) {
    String value = get(variable);
    if (value != null) {
      set(setting, variable, why -> said(variable), () -> setter.set(duration(setting, value)));
    }
  }

  private Duration duration(String setting, String seconds) {
    double value;
    try {
      value = Double.parseDouble(seconds);
    } catch (NumberFormatException e) {
      value = Double.NaN;
    }
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      throw to.refused(setting, null, "it is no number of seconds");
    }
    return Duration.ofMillis((long) (value * 1000));
  }

  private void url(Path socket) {
    String host = get(HOST);
    String port = get(PORT);
    if (get(URL) != null) {
      text("url", URL, to::url);
    } else if (host != null && host.startsWith("unix://")) {
      text("url", HOST, to::url);
    } else if (host != null || port != null) {
      String origin = host == null ? PORT : port == null ? HOST : HOST + ", " + PORT;
      Blame blame = why -> said(host == null || why.startsWith("the port") ? PORT : HOST);
      set("url", origin, blame, () -> to.url(address(host, port)));
    } else if (Files.exists(socket)) {
      set("url", socket.toString(), why -> socket.toString(), () -> to.url("unix://" + socket));
    }
  }

  /**
   * Kubernetes sets the port to {@code tcp://host:port} where a service is called {@code
   * dd-trace-agent}; that says the host too, unless its own variable does.
   */
  private static String address(String host, String port) {
    String service = null;
    int colon = port != null && port.startsWith(SERVICE) ? port.lastIndexOf(':') : -1;
    if (colon >= SERVICE.length()) {
      service = port.substring(SERVICE.length(), colon);
    }
    String h = host != null ? host : service != null ? service : "127.0.0.1";
    String p = port == null ? "8126" : service == null ? port : port.substring(colon + 1);
    boolean bare = h.indexOf(':') >= 0 && !h.startsWith("[");
    return "http://" + (bare ? "[" + h + "]" : h) + ":" + p;
  }

  /** "false" leaves stats off, as they are without it. */
  private void stats() {
    String value = get(STATS);
    if (value == null || value.equalsIgnoreCase("false") || value.equals("0")) {
      return;
    }
    boolean on = value.equalsIgnoreCase("true") || value.equals("1");
    set(
        "computeStats",
        STATS,
        why -> said(STATS),
        () -> {
          if (!on) {
            throw to.refused("computeStats", null, "it is neither true nor false");
          }
          to.computeStats(BUCKET);
        });
  }

  static boolean isObfuscation(String variable) {
    return variable.startsWith("DD_APM_OBFUSCATION_")
        || variable.equals("DD_APM_SQL_OBFUSCATION_MODE")
        || variable.equals("DD_APM_REPLACE_TAGS")
        || variable.equals("DD_OBFUSCATION_CONFIG");
  }

  /** Each is checked alone, so that a bad one does not cost the others. */
  private void obfuscation() {
    Map<String, String> variables = new TreeMap<>();
    for (String name : from.keySet()) {
      if (!isObfuscation(name) || get(name) == null) {
        continue;
      }
      Map<String, String> one = Collections.singletonMap(name, get(name));
      // The value is not shown: it may hold rules.
      Builder alone = new Builder();
      if (attempt(alone, why -> name, () -> alone.obfuscationEnvironment(one))) {
        variables.put(name, get(name));
      }
    }
    if (!variables.isEmpty()) {
      String origin = String.join(", ", variables.keySet());
      set(
          "obfuscationEnvironment",
          origin,
          why -> origin,
          () -> to.obfuscationEnvironment(variables));
    }
  }

  /** The value without spaces around it; one that is empty counts as absent. */
  private String get(String variable) {
    String value = from.get(variable);
    return value == null || value.trim().isEmpty() ? null : value.trim();
  }

  private String said(String variable) {
    return variable + "=\"" + AgentUrl.shown(get(variable)) + '"';
  }

  private void set(String setting, String origin, Blame blame, Runnable setter) {
    if (to.settings.get(setting) != null && !to.origins.containsKey(setting)) {
      return; // An explicit setter has the last word.
    }
    if (attempt(to, blame, setter)) {
      to.origins.put(setting, origin);
    }
  }

  private boolean attempt(Builder builder, Blame blame, Runnable setter) {
    try {
      setter.run();
      return true;
    } catch (IllegalArgumentException e) {
      String refusal = builder.lastRefusal();
      String variable = blame.of(refusal);
      String prefix = variable + ": ";
      String why = refusal.startsWith(prefix) ? refusal.substring(prefix.length()) : refusal;
      if (bad == BadValues.FAIL) {
        throw new IllegalArgumentException(prefix + why);
      }
      to.skipped.add(Arrays.asList(variable, why));
      return false;
    }
  }
}
