package com.datadog.bridge;

import com.datadog.pipeline.AgentResponse;
import com.datadog.pipeline.Builder;
import com.datadog.pipeline.InputFormat;
import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.SendOptions;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/**
 * One exporter for each way in which the tracer sends: its agent, and the format of its bodies.
 * What it says of a payload, its stats among that, goes with the payload. The tracer sends from one
 * thread; calls are made one after another all the same.
 */
final class Senders {
  /** How long a blocked agent may hold the tracer's only sender thread. */
  private static final Duration HOLD = Duration.ofSeconds(2);

  /** How long the first payload waits for what the agent offers, when stats are computed here. */
  private static final Duration AGENT = Duration.ofSeconds(2);

  private static final int BEAN_ATTEMPTS = 3;
  private static final Duration PAUSE = Duration.ofMillis(100);
  private static final Duration BUCKET = Duration.ofSeconds(10);
  private static final SendOptions COUNTED = SendOptions.none().clientComputedStats(true);

  private final Map<String, TraceExporter> exporters = new HashMap<>();
  private final Pieces pieces = new Pieces();
  private WeakReference<Object> known = new WeakReference<>(null);
  private Tracer tracer;
  private boolean ratesGiven;
  private volatile boolean shuttingDown;

  /** The way that the last payload went, so that finding it again costs nothing. */
  private String lastBase;

  private String lastEndpoint;

  /** An https agent that the library cannot speak to. */
  private String withoutTls;

  private AgentResponse lastResponse;
  private String lastBody;
  private TraceExporter lastExporter;

  /** Null: the tracer shall send it itself. */
  synchronized Object send(Object api, Object payload) throws ReflectiveOperationException {
    if (known.get() != api) {
      if (tracer == null || tracer.api != api.getClass()) {
        tracer = new Tracer(api.getClass());
      }
      known = new WeakReference<>(api);
      ratesGiven = false;
      lastExporter = null;
    }
    boolean ours = Bridge.isNativeStats() && !tracer.wantsStats(api);
    TraceExporter exporter = exporter(api, tracer.url(api), tracer.endpoint(api), ours);
    if (exporter == null) {
      return null;
    }
    try {
      tracer.write(payload, pieces);
      boolean counted = !ours && tracer.computesStats(api);
      SendOptions said = counted ? COUNTED : SendOptions.none();
      long droppedTraces = tracer.droppedTraces(payload);
      long droppedSpans = tracer.droppedSpans(payload);
      if (droppedTraces != 0 || droppedSpans != 0) {
        said = said.droppedP0(droppedTraces, droppedSpans);
      }
      return deliver(api, exporter, tracer.traces(payload), said);
    } finally {
      pieces.giveBack();
    }
  }

  private Object deliver(Object api, TraceExporter exporter, int traces, SendOptions said)
      throws ReflectiveOperationException {
    int bytes = pieces.bytes();
    AgentResponse response;
    try {
      response = exporter.send(pieces.pieces(), said);
    } catch (TraceExporterException e) {
      return instead(api, exporter, e, traces, bytes, said);
    }
    // It has arrived: whatever fails from here on, the tracer must not send it once more.
    tell(api, response);
    return accepted(api, exporter, traces, bytes, response);
  }

  /** What the agent did not take now may wait in the queue; what it refused is refused. */
  private Object instead(
      Object api,
      TraceExporter exporter,
      TraceExporterException e,
      int traces,
      int bytes,
      SendOptions said)
      throws ReflectiveOperationException {
    switch (e.code()) {
      case CONNECTION_REFUSED:
      case NAME_NOT_RESOLVED:
      case UNREACHABLE:
      case SOCKET_MISSING:
      case SOCKET_DENIED:
      case CONNECTION_RESET:
      case TIMED_OUT:
      case AGENT_DOWN:
      case IO:
        break;
      case HTTP_STATUS:
        if (e.httpStatus() != 429 && e.httpStatus() != 408 && e.httpStatus() < 500) {
          return tracer.failed(api, traces, bytes, e.httpStatus());
        }
        break;
      case PAYLOAD_TOO_LARGE:
        return tracer.failed(api, traces, bytes, 413);
      default:
        return null;
    }
    if (!offer(exporter, bytes, said)) {
      return null;
    }
    return accepted(api, exporter, traces, bytes, null);
  }

  private boolean offer(TraceExporter exporter, int bytes, SendOptions said) {
    byte[] whole = new byte[bytes];
    int at = 0;
    for (ByteBuffer piece : pieces.pieces()) {
      ByteBuffer from = piece.duplicate();
      int n = from.remaining();
      from.get(whole, at, n);
      at += n;
    }
    return exporter.offer(whole, 0, bytes, said);
  }

  /**
   * The tracer's response for a payload that the agent has answered, or that is in our hands. Never
   * throws.
   */
  private Object accepted(
      Object api, TraceExporter exporter, int traces, int bytes, AgentResponse response) {
    Object answer = tracer.accepted;
    try {
      int status = 202;
      String body = "";
      if (response != null) {
        status = Math.max(200, response.status());
        if (response != lastResponse) {
          lastBody = response.body();
          lastResponse = response;
        }
        body = lastBody;
      }
      answer = tracer.succeeded(api, traces, bytes, status, body);
      if (shuttingDown) {
        flush(exporter);
      }
      tracer.discover(api);
    } catch (Throwable e) {
      Bridge.say("the tracer could not be told everything: ", e);
    }
    return answer;
  }

  /** Sampling rates go to the sampler when they change. Never throws. */
  private void tell(Object api, AgentResponse response) {
    if (ratesGiven && !response.ratesChanged()) {
      return;
    }
    try {
      Map<String, Double> rates = response.rates();
      if (!rates.isEmpty()) {
        Map<String, Number> numbers = new HashMap<>(rates);
        tracer.rates(
            api, lastBase + lastEndpoint, Collections.singletonMap("rate_by_service", numbers));
        ratesGiven = true;
      }
    } catch (Throwable e) {
      Bridge.say("the agent's sampling rates did not reach the tracer: ", e);
    }
  }

  /** The format of bodies for an endpoint, null if the bridge leaves it to the tracer. */
  private static InputFormat format(String endpoint) {
    if (endpoint == null) {
      return null;
    }
    switch (endpoint) {
      case "v0.3/traces":
      // The same bodies. The tracer takes it when it starts before the agent; for an agent that has
      // nothing else the exporter takes it too.
      case "v0.4/traces":
        return InputFormat.V04;
      case "v0.5/traces":
        return InputFormat.V05;
      case "v1.0/traces":
      case "v1/traces":
        return InputFormat.V1;
      default:
        return null;
    }
  }

  /** Null if this way is left to the tracer. */
  private TraceExporter exporter(Object api, String base, String endpoint, boolean ours)
      throws ReflectiveOperationException {
    if (lastExporter != null && base.equals(lastBase) && lastEndpoint.equals(endpoint)) {
      return lastExporter;
    }
    InputFormat format = format(endpoint);
    if (format == null || base.equals(withoutTls)) {
      return null;
    }
    String key = base + ' ' + format + ' ' + ours;
    TraceExporter exporter = exporters.get(key);
    if (exporter == null) {
      try {
        exporter = build(api, endpoint, format, ours);
      } catch (TraceExporterException e) {
        // A library without TLS, or roots that cannot be read: that stays so.
        withoutTls = base.startsWith("https") ? base : withoutTls;
        throw e;
      }
      if (exporter == null) {
        return null;
      }
      exporters.put(key, exporter);
      if (ours) {
        // The first payload is counted too, so what the agent offers must be known before.
        try {
          exporter.awaitAgent(AGENT);
        } catch (TraceExporterException e) {
          // It will be counted by the agent, which gets it without the header.
        }
      }
    }
    lastBase = base;
    lastEndpoint = endpoint;
    lastExporter = exporter;
    return exporter;
  }

  /** Null if the tracer goes by a pipe or a proxy. */
  private TraceExporter build(Object api, String endpoint, InputFormat format, boolean ours)
      throws ReflectiveOperationException {
    String socket = tracer.socket(api);
    if (socket == null && !tracer.isDirect(api)) {
      return null;
    }
    Builder builder = TraceExporter.builder();
    builder.url(socket != null ? "unix://" + socket : tracer.base(api, endpoint));
    builder.inputFormat(format);
    builder.outputFormat(
        format == InputFormat.V04
            ? OutputFormat.V04
            : format == InputFormat.V05 ? OutputFormat.V05 : OutputFormat.V1);
    builder.sendBudget(HOLD);
    Object timeout = tracer.config("getAgentTimeout");
    if (timeout instanceof Integer && (Integer) timeout > 0) {
      builder.sendTimeout(Duration.ofSeconds(Math.min(600, (Integer) timeout)));
    }
    builder.clientComputedTopLevel(true);
    if (ours) {
      builder.computeStats(BUCKET);
      service(builder, "getServiceName", "getEnv", "getVersion");
    } else {
      builder.discovery(false);
    }
    for (String[] pair : tracer.headers(api)) {
      header(builder, pair[0], pair[1]);
    }
    return withBean(builder);
  }

  /**
   * The server of beans may be in the making on another thread, and then it fails; without a bean
   * everything else works.
   */
  private static TraceExporter withBean(Builder builder) {
    TraceExporterException why = null;
    for (int i = 0; i < BEAN_ATTEMPTS; i++) {
      try {
        return builder.jmx(true).build();
      } catch (TraceExporterException e) {
        why = e;
        LockSupport.parkNanos(PAUSE.toNanos());
      }
    }
    TraceExporter exporter = builder.jmx(false).build();
    Bridge.say("sends, but its numbers are not in JMX: ", why.getMessage());
    return exporter;
  }

  private void service(Builder builder, String service, String env, String version) {
    Object name = tracer.config(service);
    if (name instanceof String) {
      builder.service((String) name);
    }
    Object environment = tracer.config(env);
    if (environment instanceof String) {
      builder.env((String) environment);
    }
    Object release = tracer.config(version);
    if (release instanceof String) {
      builder.version((String) release);
    }
    Object runtime = tracer.config("getRuntimeId");
    if (runtime instanceof String && !((String) runtime).isEmpty()) {
      builder.runtimeId((String) runtime);
    }
  }

  /** A header that the tracer would send becomes the setting that sends it. */
  private static void header(Builder builder, String name, String value) {
    switch (name.toLowerCase(Locale.ROOT)) {
      case "datadog-meta-lang":
        builder.language(value);
        break;
      case "datadog-meta-lang-version":
        builder.languageVersion(value);
        break;
      case "datadog-meta-lang-interpreter":
        builder.languageInterpreter(value);
        break;
      case "datadog-meta-lang-interpreter-vendor":
        builder.languageVendor(value);
        break;
      case "datadog-meta-tracer-version":
        builder.tracerVersion(value);
        break;
      case "datadog-container-id":
        builder.containerId(value);
        break;
      case "datadog-entity-id":
        builder.entityId(value);
        break;
      case "datadog-external-env":
        builder.externalEnv(value);
        break;
      case "datadog-client-computed-top-level":
      case "datadog-client-computed-stats":
      case "content-type":
      case "content-length":
      case "host":
      case "connection":
      case "accept-encoding":
      case "user-agent":
        break;
      default:
        try {
          builder.header(name, value);
        } catch (IllegalArgumentException e) {
          // One that the exporter writes itself.
        }
    }
  }

  /** The JVM ends. The tracer sends its last payloads before or after this, as it happens. */
  void shutDown() {
    try {
      shuttingDown = true;
      TraceExporter[] all;
      synchronized (this) {
        all = exporters.values().toArray(new TraceExporter[0]);
      }
      for (TraceExporter exporter : all) {
        flush(exporter);
      }
    } catch (Throwable e) {
      Bridge.say("not everything could be sent at the end: ", e);
    }
  }

  private static void flush(TraceExporter exporter) {
    exporter.flush(HOLD);
  }
}
