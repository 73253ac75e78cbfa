package com.datadog.pipeline.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.spi.internal.DefaultConfigProperties;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.testing.trace.TestSpanData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class ExporterTest {
  private static final long LIMIT_S = 30;

  @RegisterExtension static FakeAgent agent = FakeAgent.start();

  private volatile boolean takesV05 = true;
  private volatile int status = 200;

  @BeforeEach
  void start() {
    String v05 = "\"/v0.5/traces\",";
    agent.info(
        request ->
            Answer.json(200, "{\"endpoints\":[" + (takesV05 ? v05 : "") + "\"/v0.4/traces\"]}"));
    agent.answer(
        request ->
            request.path().equals("/v0.5/traces") && !takesV05
                ? Answer.status(404)
                : Answer.json(status, "{}"));
  }

  private String url() {
    return agent.url();
  }

  /** Where payloads with traces were taken. */
  private String paths() {
    List<String> paths = new ArrayList<>();
    for (Request request : agent.traceRequests()) {
      if (takesV05 || !request.path().equals("/v0.5/traces")) {
        paths.add(request.path());
      }
    }
    return paths.toString();
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
    assertEquals("[/v0.5/traces]", paths());
    byte[] body = agent.traceRequests().get(0).body();
    assertEquals(spans.size(), Decoded.read(body, body.length).stream().mapToInt(List::size).sum());
  }

  @Test
  void anAgentWithoutV05GetsV04() throws Exception {
    takesV05 = false;
    try (DatadogSpanExporter exporter = DatadogSpanExporter.builder().setEndpoint(url()).build()) {
      assertTrue(done(exporter.export(spans())));
    }
    assertEquals("[/v0.4/traces]", paths());
  }

  @Test
  void protocolV04IsWhatGoesOut() throws Exception {
    try (DatadogSpanExporter exporter =
        DatadogSpanExporter.builder().setEndpoint(url()).setProtocol("v0.4").build()) {
      assertTrue(done(exporter.export(spans())));
    }
    assertEquals("[/v0.4/traces]", paths());
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
    agent.stop();
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
    byte[] body = agent.traceRequests().get(0).body();
    Map<String, Object> arrived = Decoded.read(body, body.length).get(0).get(0);
    assertEquals("shop", arrived.get("service"));
    assertEquals("work", arrived.get("resource"));
    assertEquals(span.getSpanContext().getTraceId().substring(0, 16), tid(arrived));
  }

  @Test
  void variablesOfOpenTelemetrysOwnExporterDoNotSayWhereSpansGo() {
    String collector = System.getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    assumeTrue(collector != null, "the build sets it");
    Map<String, String> properties = new HashMap<>();
    properties.put("otel.traces.exporter", "datadog");
    SpanExporter made =
        new DatadogSpanExporterProvider()
            .createExporter(DefaultConfigProperties.createFromMap(properties));
    String all = ((DatadogSpanExporter) made).traceExporter().explain();
    made.shutdown().join(LIMIT_S, TimeUnit.SECONDS);
    assertFalse(all.contains("collector.invalid") || all.contains("/v1/traces"), all);
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
