package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
import com.datadog.pipeline.internal.Settings;
import java.io.OutputStream;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;

/**
 * What the setters of {@link Builder} stand on: values and checks, setters with a form of their
 * own, the environment. Written by hand; the plain setters are made from the table of settings.
 */
abstract class BuilderBase {
  /** No time limit may be longer, in ms. */
  static final long MAX_MILLIS = 600_000;

  static final String HIDDEN = "***";

  /** What the library is told, by the names of the settings. */
  final Settings settings = new Settings();

  /** What stays in Java. */
  private final Map<String, Object> own = new LinkedHashMap<>();

  /** Settings that the environment has made, each with where it comes from. */
  final Map<String, String> origins = new LinkedHashMap<>();

  /** What was left out of the environment, and why: pairs. */
  final List<Object> skipped = new ArrayList<>();

  /**
   * Why a setter refused its value last, without name and value: the environment has a name of its
   * own.
   */
  private String lastRefusal = "";

  /** Where log lines go that the host writes itself, or null. */
  LineStream stream;

  /** For tests: as if this were why there is no library. */
  TraceExporterException missing;

  /** A setting has a value that cannot work. */
  final IllegalArgumentException refused(String setting, Object value, String why) {
    lastRefusal = why;
    return new IllegalArgumentException(
        value == null ? setting + ": " + why : setting + " is " + value + "; " + why);
  }

  final String lastRefusal() {
    return lastRefusal;
  }

  /** How a value is shown: without secrets. */
  abstract Object shown(String setting, Object value);

  /** Takes the settings that one variable says. */
  abstract void takeVariables(Environment from);

  /**
   * Makes the exporter. Opens no connection and waits for nothing.
   *
   * @throws TraceExporterException {@code LIBRARY_UNAVAILABLE} if the native library could not be
   *     loaded and {@link Builder#withoutLibrary} does not say what else, {@code INVALID_URL} or
   *     {@code INVALID_CONFIGURATION} if the settings do not go together
   */
  public TraceExporter build() {
    return new TraceExporter(
        values(),
        this,
        (LogListener) own.get("logListener"),
        (Executor) own.get("completionExecutor"),
        Boolean.TRUE.equals(own.get("jmx")),
        Boolean.TRUE.equals(own.get("shutdownHook")));
  }

  /** Begins with the settings of an exporter. */
  final void startFrom(Map<String, Object> values) {
    for (Map.Entry<String, Object> e : values.entrySet()) {
      if (e.getKey().equals("origins")) {
        for (Object pair : (List<?>) e.getValue()) {
          origins.put((String) ((List<?>) pair).get(0), (String) ((List<?>) pair).get(1));
        }
      } else if (e.getKey().equals("skipped")) {
        skipped.addAll((List<?>) e.getValue());
      } else {
        settings.put(e.getKey(), e.getValue());
      }
    }
  }

  /** The settings to put in force instead of those before. */
  final Map<String, Object> changed(Map<String, Object> before) {
    if (!own.isEmpty()) {
      String name = own.keySet().iterator().next();
      throw refused(
          name, null, "it cannot change while the exporter lives; build another exporter");
    }
    Map<String, Object> values = values();
    List<?> headers = (List<?>) values.get("header");
    int known = before.containsKey("header") ? ((List<?>) before.get("header")).size() : 0;
    if (headers != null && headers.size() > known) {
      List<Object> kept = new ArrayList<>();
      List<?> added = headers.subList(known, headers.size());
      for (Object old : headers.subList(0, known)) {
        boolean again = false;
        for (Object header : added) {
          String name = (String) ((List<?>) header).get(0);
          again |= name.equalsIgnoreCase((String) ((List<?>) old).get(0));
        }
        if (!again) {
          kept.add(old);
        }
      }
      kept.addAll(added);
      values.put("header", kept);
    }
    return values;
  }

  private Map<String, Object> values() {
    Map<String, Object> values = settings.copy();
    if (!origins.isEmpty()) {
      List<Object> pairs = new ArrayList<>();
      for (Map.Entry<String, String> origin : origins.entrySet()) {
        pairs.add(Arrays.asList(origin.getKey(), origin.getValue()));
      }
      values.put("origins", pairs);
    }
    if (!skipped.isEmpty()) {
      values.put("skipped", new ArrayList<>(skipped));
    }
    return values;
  }

  /**
   * Where payloads go: an agent, an OTLP endpoint, Datadog's intake or log lines. {@link
   * Builder#url} is short for an agent at that address. Default: the agent of {@code url}.
   *
   * @throws IllegalArgumentException if one of its options cannot work
   */
  public Builder destination(Destination destination) {
    return destinations(destination);
  }

  private static LineStream streamOf(Destination destination) {
    OutputStream out =
        destination instanceof Destination.Log
            ? ((Destination.Log) destination).target().stream()
            : null;
    return out == null ? null : new LineStream(out);
  }

  /**
   * Several destinations, the most preferred first. When one counts as gone, what is sent or queued
   * goes to the next that is there, each payload to one of them, and back when it answers; {@code
   * explain()} says what each has taken.
   */
  public Builder destinations(Destination first, Destination... then) {
    List<Object> all = new ArrayList<>();
    all.add(notNull("destination", first).value());
    for (Destination next : notNull("destination", then)) {
      all.add(notNull("destination", next).value());
    }
    byLibrary("destination", all);
    stream = streamOf(first);
    for (Destination next : then) {
      stream = stream == null ? streamOf(next) : stream;
    }
    return put("destination", all);
  }

  /**
   * Adds a header to every request. May be called for several.
   *
   * @throws IllegalArgumentException if the name is no header name, is one that the exporter writes
   *     itself ({@code Expect} and what changes how a request is sent included), or the value has
   *     control characters
   */
  public Builder header(String name, String value) {
    if (!isToken(notNull("header", name))) {
      throw refused("header", null, name + " is no header name");
    }
    String setter = OwnHeaders.setter(name);
    if (setter != null) {
      String see = setter.isEmpty() ? "" : ", see " + setter;
      throw refused("header", null, name + " is written by the exporter itself" + see);
    }
    if (!printable(notNull("header", value))) {
      throw refused("header", null, "the value of " + name + " has control characters");
    }
    return add("header", Arrays.asList(name, value));
  }

  /**
   * Our own certificate and its private key, for servers that want to see one: two files in PEM,
   * the key without a password. Default: none.
   */
  public Builder clientCertificate(Path certificate, Path key) {
    String chain = notNull("clientCertificate", certificate).toString();
    return put(
        "clientCertificate", Arrays.asList(chain, notNull("clientCertificate", key).toString()));
  }

  /**
   * Keeps on disk, in this directory and within so many bytes (1 MiB or more), what the queue
   * cannot hold while the agent is away; it is sent when the agent is back, by a later process if
   * need be. One process at a time may use a directory. Default: off.
   */
  public Builder spool(Path directory, long maxBytes) {
    return directory("spool", directory, maxBytes);
  }

  private Builder directory(String setting, Path directory, long maxBytes) {
    String path = notNull(setting, directory).toString();
    if (path.isEmpty()) {
      throw refused(setting, "\"\"", "it must be a directory");
    }
    if (maxBytes < 1 << 20) {
      String why = "the limit is " + maxBytes + " bytes; it must be 1 MiB or more";
      throw refused(setting, null, why);
    }
    return put(setting, Arrays.asList(path, maxBytes));
  }

  /**
   * Keeps every request with a body and its answer in this directory, one file each and within so
   * many bytes (1 MiB or more): the newest, and what was refused longest. Keys and headers of the
   * caller's are masked. What the disk refuses costs no trace. {@code java -jar … replay} sends
   * such files again. One exporter at a time may use a directory. Default: off.
   */
  public Builder capture(Path directory, long maxBytes) {
    return directory("capture", directory, maxBytes);
  }

  /**
   * As {@link Builder#obfuscation}, from variables of the environment that the caller has read: the
   * agent's {@code DD_APM_OBFUSCATION_*}, {@code DD_APM_SQL_OBFUSCATION_MODE} and {@code
   * DD_APM_REPLACE_TAGS}, and {@code DD_OBFUSCATION_CONFIG}, which holds JSON. Others are left
   * alone. {@code obfuscation} wins, and obfuscation is not switched on by it.
   */
  public Builder obfuscationEnvironment(Map<String, String> environment) {
    List<Object> variables = new ArrayList<>();
    for (Map.Entry<String, String> e : notNull("obfuscationEnvironment", environment).entrySet()) {
      String name = notNull("obfuscationEnvironment", e.getKey());
      if (Environment.isObfuscation(name)) {
        variables.add(
            Arrays.asList(name, notNull("obfuscationEnvironment: " + name, e.getValue())));
      }
    }
    byLibrary("obfuscationEnvironment", variables);
    return put("obfuscationEnvironment", variables);
  }

  /**
   * Takes what is not set yet from the environment. Nothing else in this library reads it. Setters
   * have the last word, whether they are called before or after. Taken are, in this order:
   *
   * <ul>
   *   <li>{@code url}: {@code DD_TRACE_AGENT_URL}; else {@code DD_AGENT_HOST} and {@code
   *       DD_TRACE_AGENT_PORT}, one of which may be missing, and the latter may be {@code
   *       tcp://host:port} as Kubernetes sets it; else the socket {@code
   *       /var/run/datadog/apm.socket} if it is there
   *   <li>{@code destination}: {@code OTEL_EXPORTER_OTLP_*}, where none of these names an agent or
   *       {@code OTEL_TRACES_EXPORTER} is {@code otlp}; {@link #agentFromEnvironment} leaves it out
   *   <li>the settings that name a variable of their own, {@code service} for instance
   *   <li>{@code computeStats} with buckets of 10 s, if {@code DD_TRACE_STATS_COMPUTATION_ENABLED}
   *       is {@code true} or {@code 1}; it gives way to a setter that it does not go together with
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
    return fromEnvironment(BadValues.FAIL);
  }

  /**
   * As {@link #fromEnvironment()}, saying what becomes of bad values.
   *
   * @throws IllegalArgumentException if {@code badValues} is null, or a value is bad and it is
   *     {@link BadValues#FAIL}
   */
  public Builder fromEnvironment(BadValues badValues) {
    notNull("badValues", badValues);
    Environment.take(self(), environment(), Paths.get(Environment.SOCKET), badValues);
    return self();
  }

  /**
   * As {@link #fromEnvironment(BadValues)}, for a host that sends to an agent and nowhere else: it
   * takes no destination from {@code OTEL_*} variables, which are there for OpenTelemetry's own
   * exporters.
   *
   * @throws IllegalArgumentException as {@link #fromEnvironment(BadValues)}
   */
  public Builder agentFromEnvironment(BadValues badValues) {
    notNull("badValues", badValues);
    Environment.takeForAgent(self(), environment(), Paths.get(Environment.SOCKET), badValues);
    return self();
  }

  private static Map<String, String> environment() {
    try {
      return System.getenv();
    } catch (SecurityException e) {
      // A host that hides its environment has none for us.
      return Collections.emptyMap();
    }
  }

  /** Settings taken from the environment, each with where it comes from. Unmodifiable. */
  public Map<String, String> takenFromEnvironment() {
    return Collections.unmodifiableMap(new LinkedHashMap<>(origins));
  }

  /** The settings made so far, without secrets, and which of them the environment has made. */
  @Override
  public String toString() {
    String taken = origins.isEmpty() ? "" : "; from the environment: " + origins;
    return "Builder{" + described() + taken + '}';
  }

  /** The settings that were made, without secrets. */
  final String described() {
    StringBuilder s = new StringBuilder();
    for (Map.Entry<String, Object> e : settings.copy().entrySet()) {
      s.append(s.length() == 0 ? "" : ", ");
      s.append(e.getKey()).append('=').append(shown(e.getKey(), e.getValue()));
    }
    for (Map.Entry<String, Object> e : own.entrySet()) {
      Object value = e.getValue();
      s.append(s.length() == 0 ? "" : ", ").append(e.getKey()).append('=');
      boolean plain = value instanceof Boolean || value instanceof Enum;
      s.append(plain ? value : value.getClass().getName());
    }
    return s.toString();
  }

  /** The settings that were made, without secrets, each with where it comes from. */
  final Map<String, Object> explained() {
    Map<String, Object> all = new LinkedHashMap<>();
    for (Map.Entry<String, Object> e : settings.copy().entrySet()) {
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("value", shown(e.getKey(), e.getValue()));
      String origin = origins.get(e.getKey());
      one.put("source", origin == null ? "set" : origin);
      all.put(e.getKey(), one);
    }
    return all;
  }

  final WithoutLibrary withoutLibrary() {
    Object mode = own.get("withoutLibrary");
    return mode == null ? WithoutLibrary.FAIL : (WithoutLibrary) mode;
  }

  final Builder put(String setting, Object value) {
    settings.put(setting, value);
    origins.remove(setting);
    return self();
  }

  final Builder own(String setting, Object value) {
    own.put(setting, notNull(setting, value));
    return self();
  }

  final Builder add(String setting, Object value) {
    Object before = settings.get(setting);
    List<Object> all = new ArrayList<>();
    all.addAll(before == null ? Collections.emptyList() : (List<?>) before);
    all.add(value);
    return put(setting, all);
  }

  final Builder text(String setting, String value) {
    return put(setting, notNull(setting, value));
  }

  final Builder headerText(String setting, String value) {
    if (!printable(notNull(setting, value))) {
      String why = "it goes into an HTTP header and must not have control characters";
      throw refused(setting, null, why);
    }
    return put(setting, value);
  }

  final Builder number(String setting, long value, long least, long most, String range) {
    if (value < least || value > most) {
      throw refused(setting, value, "it must be " + range);
    }
    return put(setting, value);
  }

  /** Limits in ms; part of one counts as a whole. */
  final Builder duration(String setting, Duration value, long least, long most, String range) {
    boolean valid = !notNull(setting, value).isNegative() && value.getSeconds() <= most / 1000;
    long millis = valid ? value.plusNanos(999_999).toMillis() : -1;
    if (millis < least || millis > most) {
      throw refused(setting, value, "it must be " + range);
    }
    return put(setting, millis);
  }

  final Builder choice(String setting, Enum<?> value) {
    return put(setting, notNull(setting, value).name());
  }

  final Builder rule(String setting, String rule) {
    return add(setting, checkedRule(setting, rule));
  }

  final Builder regexRule(String setting, String rule) {
    byLibrary(setting, Collections.singletonList(checkedRule(setting, rule)));
    return add(setting, rule);
  }

  final Builder regex(String setting, String regex) {
    byLibrary(setting, Collections.singletonList(notNull(setting, regex)));
    return add(setting, regex);
  }

  final Builder json(String setting, String json) {
    byLibrary(setting, notNull(setting, json));
    return put(setting, json);
  }

  final Builder keys(String setting, int most, String[] keys) {
    List<?> before = (List<?>) settings.get(setting);
    int count = notNull(setting, keys).length + (before == null ? 0 : before.size());
    for (String key : keys) {
      if (notNull(setting, key).isEmpty()) {
        throw refused(setting, null, "it needs a key");
      }
    }
    if (count > most) {
      throw refused(setting, null, count + " were given; at most " + most + " are used");
    }
    for (String key : keys) {
      add(setting, key);
    }
    return self();
  }

  final Builder limits(String setting, StatsLimits limits) {
    return put(setting, notNull(setting, limits).values());
  }

  final Builder agentUrl(String setting, String url) {
    return address(setting, url, AgentUrl.fault(notNull(setting, url)));
  }

  final Builder file(String setting, Path file) {
    String path = notNull(setting, file).toString();
    if (path.isEmpty()) {
      throw refused(setting, "\"\"", "it must be a file");
    }
    return put(setting, path);
  }

  final Builder proxyUrl(String setting, String url) {
    return address(setting, url, AgentUrl.proxyFault(notNull(setting, url)));
  }

  final Builder statsdUrl(String setting, String url) {
    return address(setting, url, AgentUrl.statsdFault(notNull(setting, url)));
  }

  private Builder address(String setting, String url, String fault) {
    if (fault != null) {
      throw refused(setting, '"' + AgentUrl.shown(url) + '"', fault);
    }
    return put(setting, url);
  }

  /** The names in a list of pairs, for values that are secret. */
  static String namesOf(Object pairs) {
    List<Object> names = new ArrayList<>();
    for (Object pair : (List<?>) pairs) {
      names.add(((List<?>) pair).get(0) + "=" + HIDDEN);
    }
    return names.toString();
  }

  final <T> T notNull(String setting, T value) {
    if (value == null) {
      throw refused(setting, null, "it must not be null");
    }
    return value;
  }

  /**
   * Lets the library check what only it can read. Where it is not there, {@link #build()} says so.
   */
  private void byLibrary(String setting, Object value) {
    String fault = TraceExporter.settingFault(setting, value);
    if (fault != null) {
      String name = setting + ": ";
      boolean named = fault.startsWith(name);
      throw refused(setting, null, named ? fault.substring(name.length()) : fault);
    }
  }

  private String checkedRule(String setting, String rule) {
    String trimmed = notNull(setting, rule).trim();
    if (trimmed.isEmpty() || trimmed.startsWith(":")) {
      String why = "the rule \"" + rule + "\" has no key; it is written KEY or KEY:VALUE";
      throw refused(setting, null, why);
    }
    return rule;
  }

  private Builder self() {
    return (Builder) this;
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
}
