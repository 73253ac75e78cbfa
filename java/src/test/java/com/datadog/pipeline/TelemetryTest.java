package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Instrumentation telemetry through the JAR. */
class TelemetryTest {
  /** So long that only {@code close} sends. */
  private static final Duration LONG = Duration.ofMinutes(60);

  private FakeAgent agent;

  @BeforeEach
  void start() {
    agent =
        FakeAgent.builder()
            .info("{\"endpoints\":[\"/v0.4/traces\",\"/telemetry/proxy/\"]}")
            .start();
  }

  @AfterEach
  void stop() {
    agent.close();
  }

  private List<Request> messages() {
    List<Request> found = agent.requests();
    found.removeIf(request -> !request.path().endsWith("/apmtelemetry"));
    return found;
  }

  @Test
  void whatWasSentAndLostIsTold() {
    agent.answerNext(1, Answer.json(400, "no"));
    try (TraceExporter exporter =
        TraceExporter.builder()
            .url(agent.url())
            .service("shop")
            .language("java")
            .tracerVersion("1.2.3")
            .telemetry(LONG)
            .telemetrySessionId("s")
            .build()) {
      assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      exporter.send(SendTest.ONE);
    }
    assertEquals(1, messages().size());
    Request request = messages().get(0);
    assertEquals("/telemetry/proxy/api/v2/apmtelemetry", request.path());
    assertEquals("message-batch", request.header("DD-Telemetry-Request-Type"));
    assertEquals("v2", request.header("DD-Telemetry-API-Version"));
    assertEquals("java", request.header("DD-Client-Library-Language"));
    assertEquals("s", request.header("DD-Session-ID"));
    String text = new String(request.body(), StandardCharsets.UTF_8);
    Map<?, ?> message = (Map<?, ?>) Json.parse(text);
    assertEquals("shop", ((Map<?, ?>) message.get("application")).get("service_name"));
    List<String> told = new ArrayList<>();
    Map<?, ?> metrics = (Map<?, ?>) ((List<?>) message.get("payload")).get(0);
    assertEquals("generate-metrics", metrics.get("request_type"));
    for (Object serie : (List<?>) ((Map<?, ?>) metrics.get("payload")).get("series")) {
      told.add(((Map<?, ?>) serie).get("metric") + " " + ((Map<?, ?>) serie).get("tags"));
    }
    assertTrue(told.contains("trace_chunks_sent [src_library:data-pipeline]"), told.toString());
    assertTrue(
        told.contains("trace_chunks_dropped [src_library:data-pipeline, reason:send_failure]"),
        told.toString());
    assertTrue(
        told.contains(
            "datadog.tracer.exporter.dropped.traces [src_library:data-pipeline, reason:refused]"),
        told.toString());
  }

  @Test
  void withoutTheSettingNobodyIsTold() {
    try (TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      exporter.send(SendTest.ONE);
      assertNull(((Map<?, ?>) Json.parse(exporter.explain())).get("telemetry"));
    }
    assertTrue(messages().isEmpty(), messages().toString());
  }

  @Test
  void whatHasNoEffectIsRefused() {
    for (Builder builder :
        new Builder[] {
          TraceExporter.builder().telemetryDebug(true),
          TraceExporter.builder().telemetry(LONG).telemetryRootSessionId("r"),
          TraceExporter.builder().destination(Destination.otlp("http://h:1")).telemetry(LONG),
        }) {
      TraceExporterException e = assertThrows(TraceExporterException.class, builder::build);
      assertEquals(ErrorCode.INVALID_CONFIGURATION, e.code());
      assertTrue(e.getMessage().contains("telemetry"), e.getMessage());
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> TraceExporter.builder().telemetry(Duration.ofMillis(99)));
  }
}
