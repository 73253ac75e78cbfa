package com.datadog.pipeline.embedder;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.TraceAssert;
import datadog.opentracing.DDTracer;
import io.opentracing.Span;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The published tracer with our writer. */
class ExporterWriterTest {
  @RegisterExtension static FakeAgent agent = FakeAgent.start();

  private static DDTracer tracer(TraceExporter exporter) {
    return new DDTracer.DDTracerBuilder()
        .serviceName("shop")
        .writer(new ExporterWriter(exporter))
        .build();
  }

  private static TraceExporter exporter() {
    return TraceExporter.builder().url(agent.url()).language("java").build();
  }

  private static void checkout(DDTracer tracer) {
    Span request = tracer.buildSpan("http.request").withTag("resource.name", "GET /cart").start();
    Span query = tracer.buildSpan("sql.query").asChildOf(request).start();
    query.setTag("error", true);
    query.finish();
    request.finish();
  }

  @Test
  void tracesOfThePublishedTracerArrive() {
    try (DDTracer tracer = tracer(exporter())) {
      checkout(tracer);
      tracer.flush();
    }
    TraceAssert trace = agent.assertTraces().within(Duration.ofSeconds(20)).hasSize(1).trace(0);
    trace.root().hasService("shop").hasName("http.request").hasResource("GET /cart").isNoError();
    trace.span("sql.query").isChildOf(trace.root()).isError();
    trace.hasPriority(1);
  }

  @Test
  void whatWasWrittenIsSentWithoutAFlushAndAtTheEnd() {
    try (DDTracer tracer = tracer(exporter())) {
      checkout(tracer);
      agent.assertTraces().within(Duration.ofSeconds(20)).hasSize(1);
      checkout(tracer);
      checkout(tracer);
    }
    agent.assertTraces().within(Duration.ofSeconds(20)).hasSize(3);
    assertEquals(6, agent.spans().stream().map(span -> span.spanId()).distinct().count());
  }
}
