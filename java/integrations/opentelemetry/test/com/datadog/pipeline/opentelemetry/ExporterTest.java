package com.datadog.pipeline.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.testing.trace.TestSpanData;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ExporterTest {
  private static final long LIMIT_S = 30;

  private HttpServer agent;
  private final ConcurrentLinkedQueue<byte[]> bodies = new ConcurrentLinkedQueue<>();
  private final ConcurrentLinkedQueue<String> paths = new ConcurrentLinkedQueue<>();
  private volatile boolean takesV05 = true;
  private volatile int status = 200;

  @BeforeEach
  void start() throws Exception {
    agent = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    agent.createContext(
        "/",
        exchange -> {
          ByteArrayOutputStream body = new ByteArrayOutputStream();
          InputStream in = exchange.getRequestBody();
          byte[] buffer = new byte[8192];
          for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            body.write(buffer, 0, n);
          }
          String path = exchange.getRequestURI().getPath();
          byte[] answer = "{}".getBytes(StandardCharsets.UTF_8);
          int code = status;
          if (path.equals("/info")) {
            answer =
                "{\"version\":\"7.85.0\",\"endpoints\":[\"/v0.4/traces\"]}"
                    .getBytes(StandardCharsets.UTF_8);
            code = 200;
          } else if (path.equals("/v0.5/traces") && !takesV05) {
            code = 404;
          } else if (code == 200) {
            bodies.add(body.toByteArray());
            paths.add(path);
          }
          exchange.sendResponseHeaders(code, answer.length);
          exchange.getResponseBody().write(answer);
          exchange.close();
        });
    agent.start();
  }

  @AfterEach
  void stop() {
    agent.stop(0);
  }

  private String url() {
    return "http://127.0.0.1:" + agent.getAddress().getPort();
  }

  private static List<SpanData> spans() throws Exception {
    List<SpanData> spans = new ArrayList<>();
    for (Examples example :
        Examples.read(Paths.get(System.getProperty("fixtures"), "otel", "otel-mapping.jsonl"))) {
      spans.addAll(example.spans);
    }
    return spans;
  }

  private static boolean done(CompletableResultCode result) {
    return result.join(LIMIT_S, TimeUnit.SECONDS).isSuccess();
  }

  @Test
  void spansArriveAsOneV05Payload() throws Exception {
    List<SpanData> spans = spans();
    try (DatadogSpanExporter exporter = DatadogSpanExporter.builder().setEndpoint(url()).build()) {
      assertTrue(done(exporter.export(spans)));
      assertTrue(done(exporter.flush()));
    }
    assertEquals("[/v0.5/traces]", paths.toString());
    byte[] body = bodies.peek();
    assertEquals(spans.size(), Decoded.read(body, body.length).stream().mapToInt(List::size).sum());
  }

  @Test
  void anAgentWithoutV05GetsV04() throws Exception {
    takesV05 = false;
    try (DatadogSpanExporter exporter = DatadogSpanExporter.builder().setEndpoint(url()).build()) {
      assertTrue(done(exporter.export(spans())));
    }
    assertEquals("[/v0.4/traces]", paths.toString());
  }

  @Test
  void protocolV04IsWhatGoesOut() throws Exception {
    try (DatadogSpanExporter exporter =
        DatadogSpanExporter.builder().setEndpoint(url()).setProtocol("v0.4").build()) {
      assertTrue(done(exporter.export(spans())));
    }
    assertEquals("[/v0.4/traces]", paths.toString());
    assertThrows(
        IllegalArgumentException.class, () -> DatadogSpanExporter.builder().setProtocol("v0.6"));
  }

  @Test
  void aRefusalIsAFailureAndNothingThrows() throws Exception {
    status = 400;
    DatadogSpanExporter exporter =
        DatadogSpanExporter.builder().setEndpoint(url()).setTimeout(Duration.ofSeconds(5)).build();
    assertFalse(done(exporter.export(spans())));
    exporter.shutdown().join(LIMIT_S, TimeUnit.SECONDS);
    assertFalse(done(exporter.export(spans())), "nothing is taken after a shutdown");
  }

  @Test
  void anAgentThatIsAwayEndsAnExportWithinItsLimit() throws Exception {
    agent.stop(0);
    DatadogSpanExporter exporter =
        DatadogSpanExporter.builder().setEndpoint(url()).setTimeout(Duration.ofSeconds(2)).build();
    CompletableResultCode result = exporter.export(spans());
    result.join(LIMIT_S, TimeUnit.SECONDS);
    assertTrue(result.isDone() && !result.isSuccess());
    exporter.close();
  }

  @Test
  void autoconfigureFindsItByName() throws Exception {
    Map<String, String> properties = new HashMap<>();
    properties.put("otel.traces.exporter", "datadog");
    properties.put("otel.metrics.exporter", "none");
    properties.put("otel.logs.exporter", "none");
    properties.put("otel.exporter.datadog.endpoint", url());
    properties.put("otel.service.name", "shop");
    io.opentelemetry.sdk.OpenTelemetrySdk sdk =
        AutoConfiguredOpenTelemetrySdk.builder()
            .addPropertiesSupplier(() -> properties)
            .disableShutdownHook()
            .build()
            .getOpenTelemetrySdk();
    Tracer tracer = sdk.getTracer("test");
    Span span = tracer.spanBuilder("work").startSpan();
    span.end();
    assertTrue(done(sdk.getSdkTracerProvider().forceFlush()));
    sdk.close();
    byte[] body = bodies.peek();
    Map<String, Object> arrived = Decoded.read(body, body.length).get(0).get(0);
    assertEquals("shop", arrived.get("service"));
    assertEquals("work", arrived.get("resource"));
    assertEquals(span.getSpanContext().getTraceId().substring(0, 16), tid(arrived));
  }

  @SuppressWarnings("unchecked")
  private static Object tid(Map<String, Object> span) {
    return ((Map<String, Object>) span.get("meta")).get("_dd.p.tid");
  }

  @Test
  void anExportMakesNoGarbageOnceItIsWarm() throws Exception {
    com.sun.management.ThreadMXBean threads =
        (com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean();
    List<SpanData> plain = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      plain.add(
          TestSpanData.builder()
              .setName("span")
              .setKind(io.opentelemetry.api.trace.SpanKind.SERVER)
              .setStartEpochNanos(1_700_000_000_000_000_000L)
              .setEndEpochNanos(1_700_000_000_001_000_000L)
              .setStatus(io.opentelemetry.sdk.trace.data.StatusData.unset())
              .setHasEnded(true)
              .setSpanContext(
                  io.opentelemetry.api.trace.SpanContext.create(
                      String.format("5b8efff798038103d269b633813f%04x", i / 10),
                      String.format("eee19b7ec3c1%04x", i + 1),
                      io.opentelemetry.api.trace.TraceFlags.getSampled(),
                      io.opentelemetry.api.trace.TraceState.getDefault()))
              .setAttributes(
                  io.opentelemetry.api.common.Attributes.of(
                      io.opentelemetry.api.common.AttributeKey.stringKey("http.request.method"),
                      "GET",
                      io.opentelemetry.api.common.AttributeKey.stringKey("http.route"),
                      "/a/" + i % 7,
                      io.opentelemetry.api.common.AttributeKey.longKey("http.response.status_code"),
                      200L))
              .build());
    }
    SpanEncoder encoder = new SpanEncoder();
    for (int i = 0; i < 2000; i++) {
      encoder.encode(plain);
    }
    long id = Thread.currentThread().getId();
    long before = threads.getThreadAllocatedBytes(id);
    int rounds = 200;
    for (int i = 0; i < rounds; i++) {
      encoder.encode(plain);
    }
    long each = (threads.getThreadAllocatedBytes(id) - before) / rounds;
    assertTrue(each <= 512, each + " bytes an export of 100 spans");
  }
}
