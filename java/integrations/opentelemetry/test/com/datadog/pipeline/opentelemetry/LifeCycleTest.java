package com.datadog.pipeline.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import io.opentelemetry.api.metrics.MeterProvider;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.spi.ConfigurationException;
import io.opentelemetry.sdk.autoconfigure.spi.internal.DefaultConfigProperties;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.metrics.SdkMeterProvider;
import io.opentelemetry.sdk.metrics.data.LongPointData;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.testing.exporter.InMemoryMetricReader;
import io.opentelemetry.sdk.testing.trace.TestSpanData;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.DelegatingSpanData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.data.StatusData;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What an exporter says of its end, of losses, of settings, and to a meter provider. */
class LifeCycleTest {
  private static final long LIMIT_S = 60;

  @RegisterExtension static FakeAgent agent = FakeAgent.start();

  private static final SpanData SPAN =
      TestSpanData.builder()
          .setName("span")
          .setKind(SpanKind.SERVER)
          .setStartEpochNanos(1_700_000_000_000_000_000L)
          .setEndEpochNanos(1_700_000_000_001_000_000L)
          .setStatus(StatusData.unset())
          .setHasEnded(true)
          .build();
  private static final List<SpanData> ONE = Collections.singletonList(SPAN);

  private static DatadogSpanExporterBuilder builder() {
    return DatadogSpanExporter.builder().setEndpoint(agent.url()).setTimeout(Duration.ofSeconds(2));
  }

  private static boolean done(CompletableResultCode result) {
    assertTrue(result.join(LIMIT_S, TimeUnit.SECONDS).isDone(), "it has no end");
    return result.isSuccess();
  }

  @Test
  void aLossIsToldByTheNextFlushAndNoOther() {
    DatadogSpanExporter exporter = builder().build();
    agent.failWith(400);
    assertFalse(done(exporter.export(ONE)));
    agent.heal();
    assertFalse(done(exporter.flush()), "what was exported before is lost");
    assertTrue(done(exporter.export(ONE)));
    assertTrue(done(exporter.flush()), "it was told");
    assertTrue(done(exporter.shutdown()));
  }

  /**
   * The processor waits for its last export; what shuts down after that has nothing to wait for.
   */
  @Test
  void aProviderThatIsShutDownHearsThatItsLastBatchIsLost() {
    agent.stop();
    SdkTracerProvider provider =
        SdkTracerProvider.builder()
            .addSpanProcessor(BatchSpanProcessor.builder(builder().build()).build())
            .build();
    provider.get("test").spanBuilder("lost").startSpan().end();
    assertFalse(done(provider.shutdown()));
  }

  @Test
  void aSecondShutdownAndAFlushAfterItSayWhatTheFirstSaid() {
    DatadogSpanExporter good = builder().build();
    assertTrue(done(good.export(ONE)));
    assertTrue(done(good.shutdown()));
    assertTrue(done(good.shutdown()));
    assertTrue(done(good.flush()));

    DatadogSpanExporter bad = builder().build();
    agent.stop();
    CompletableResultCode export = bad.export(ONE);
    CompletableResultCode first = bad.shutdown();
    assertFalse(done(bad.shutdown()));
    assertFalse(done(first));
    assertFalse(done(export));
    assertFalse(done(bad.flush()));
  }

  /** Also beside an agent that takes traces and has no answer to stats. */
  @Test
  void aShutdownHasOneTimeLimit() throws Exception {
    CountDownLatch over = new CountDownLatch(1);
    agent.answer(
        request -> {
          try {
            return request.isStats() && !over.await(LIMIT_S, TimeUnit.SECONDS)
                ? null
                : Answer.RATES;
          } catch (InterruptedException e) {
            return null;
          }
        });
    Duration limit = Duration.ofSeconds(6);
    DatadogSpanExporter exporter =
        builder()
            .setTimeout(limit)
            .configure(settings -> settings.computeStats(Duration.ofSeconds(10)))
            .build();
    exporter.traceExporter().awaitAgent(Duration.ofSeconds(LIMIT_S));
    assertTrue(done(exporter.export(ONE)));
    long start = System.nanoTime();
    assertFalse(done(exporter.shutdown()));
    long took = (System.nanoTime() - start) / 1_000_000;
    over.countDown();
    assertTrue(took < 2 * limit.toMillis() - 1000, took + " ms");
  }

  @Test
  void anExportNeverThrowsAndAlwaysEnds() {
    SpanData broken =
        new DelegatingSpanData(SPAN) {
          @Override
          public String getName() {
            throw new StackOverflowError("too deep");
          }
        };
    DatadogSpanExporter exporter = builder().build();
    for (Collection<SpanData> spans :
        Arrays.<Collection<SpanData>>asList(
            null, Collections.singletonList(null), Arrays.asList(SPAN, broken))) {
      assertFalse(done(exporter.export(spans)));
      assertFalse(done(exporter.flush()));
      assertTrue(done(exporter.export(ONE)), "what was wrong is over");
    }
    assertTrue(done(exporter.export(Collections.emptyList())));
    assertTrue(done(exporter.shutdown()));
    assertFalse(done(exporter.export(Collections.emptyList())));
  }

  @Test
  void aMeterProviderOrALogHandlerThatThrowsCostsNoSpan() {
    for (Supplier<MeterProvider> provider :
        Arrays.<Supplier<MeterProvider>>asList(
            () -> null,
            () -> {
              throw new IllegalStateException("no meters");
            })) {
      DatadogSpanExporter exporter = builder().setMeterProvider(provider).build();
      assertTrue(done(exporter.export(ONE)));
      assertTrue(done(exporter.shutdown()));
    }
    Logger logger = Logger.getLogger(DatadogSpanExporter.class.getName());
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            throw new IllegalStateException("no disk");
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    logger.addHandler(handler);
    java.util.logging.Level level = logger.getLevel();
    logger.setLevel(java.util.logging.Level.ALL);
    try {
      agent.failWith(400);
      DatadogSpanExporter exporter = builder().build();
      assertFalse(done(exporter.export(ONE)));
      assertFalse(done(exporter.export(null)));
      exporter.shutdown().join(LIMIT_S, TimeUnit.SECONDS);
    } finally {
      logger.removeHandler(handler);
      logger.setLevel(level);
    }
  }

  private static SpanExporter made(String property, String value) {
    Map<String, String> properties = new HashMap<>();
    properties.put("otel.exporter.datadog." + property, value);
    return new DatadogSpanExporterProvider()
        .createExporter(DefaultConfigProperties.createFromMap(properties));
  }

  @Test
  void aValueThatCannotWorkIsRefusedByTheNameOfItsProperty() {
    for (String[] bad :
        new String[][] {
          {"endpoint", "localhost:8126"},
          {"endpoint", "http://h:99999"},
          {"endpoint", "unix://relative"},
          {"protocol", "v0.6"},
          {"timeout", "0"},
          {"timeout", "700s"},
          {"timeout", "soon"},
        }) {
      ConfigurationException e =
          assertThrows(ConfigurationException.class, () -> made(bad[0], bad[1]));
      assertTrue(e.getMessage().contains("otel.exporter.datadog." + bad[0]), e.getMessage());
    }
  }

  /** Makes an exporter in a process of its own, and says what the SDK would. */
  static final class Child {
    public static void main(String[] arguments) {
      try {
        made("endpoint", "");
      } catch (ConfigurationException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void aVariableThatCannotWorkIsRefusedByItsName() throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
            Paths.get(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Child.class.getName());
    builder.environment().put("DD_AGENT_HOST", "127.0.0.1");
    builder.environment().put("DD_TRACE_AGENT_PORT", "many");
    Process child = builder.redirectErrorStream(true).start();
    String said =
        new BufferedReader(new InputStreamReader(child.getInputStream()))
            .lines()
            .collect(Collectors.joining("\n"));
    assertEquals(0, child.waitFor(), said);
    assertTrue(said.contains("DD_TRACE_AGENT_PORT"), said);
  }

  @Test
  void aPropertyThatIsEmptyIsNotSet() {
    for (String name : new String[] {"endpoint", "protocol", "timeout"}) {
      assertTrue(done(made(name, "").shutdown()), name);
    }
  }

  /** The sums of our metrics: {@code name error.type} and the value. */
  private static Map<String, Long> sums(InMemoryMetricReader reader) {
    Map<String, Long> sums = new TreeMap<>();
    for (MetricData metric : reader.collectAllMetrics()) {
      if (metric.getName().startsWith("otel.sdk.exporter.span.")) {
        for (LongPointData point : metric.getLongSumData().getPoints()) {
          Object error =
              point
                  .getAttributes()
                  .get(io.opentelemetry.api.common.AttributeKey.stringKey("error.type"));
          String name = metric.getName().substring("otel.sdk.exporter.span.".length());
          sums.put(error == null ? name : name + " " + error, point.getValue());
        }
      }
    }
    return sums;
  }

  @Test
  void metricsSayWhatBecameOfSpansAndWhy() {
    InMemoryMetricReader reader = InMemoryMetricReader.create();
    SdkMeterProvider meters = SdkMeterProvider.builder().registerMetricReader(reader).build();
    DatadogSpanExporter exporter = builder().setMeterProvider(() -> meters).build();
    assertTrue(done(exporter.export(Arrays.asList(SPAN, SPAN))));
    agent.answer(request -> Answer.status(400));
    assertFalse(done(exporter.export(ONE)));
    agent.stop();
    assertFalse(done(exporter.export(ONE)));
    exporter.shutdown().join(LIMIT_S, TimeUnit.SECONDS);
    assertEquals(
        "{exported=2, exported 400=1, exported CONNECTION_REFUSED=1, inflight=0}",
        sums(reader).toString());
  }

  @Test
  void autoconfiguredItReportsToTheSdksOwnMeterProvider() {
    Map<String, String> properties = new HashMap<>();
    properties.put("otel.traces.exporter", "datadog");
    properties.put("otel.metrics.exporter", "none");
    properties.put("otel.logs.exporter", "none");
    properties.put("otel.exporter.datadog.endpoint", agent.url());
    InMemoryMetricReader reader = InMemoryMetricReader.create();
    OpenTelemetrySdk sdk =
        AutoConfiguredOpenTelemetrySdk.builder()
            .addPropertiesSupplier(() -> properties)
            .addMeterProviderCustomizer((meters, config) -> meters.registerMetricReader(reader))
            .disableShutdownHook()
            .build()
            .getOpenTelemetrySdk();
    sdk.getTracer("test").spanBuilder("work").startSpan().end();
    assertTrue(done(sdk.getSdkTracerProvider().forceFlush()));
    assertEquals("{exported=1, inflight=0}", sums(reader).toString());
    sdk.close();
  }
}
