package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.metrics.LongCounter;
import io.opentelemetry.api.metrics.LongUpDownCounter;
import io.opentelemetry.api.metrics.Meter;
import io.opentelemetry.api.metrics.MeterProvider;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * The SDK's own metrics of an exporter: {@code otel.sdk.exporter.span.inflight} and {@code
 * otel.sdk.exporter.span.exported}. Instruments are made with the first export, since the meter
 * provider of an SDK that is being built does not answer before. Thread-safe.
 */
final class ExporterMetrics {
  private static final AtomicInteger NUMBERS = new AtomicInteger();

  private final Supplier<MeterProvider> provider;
  private final Attributes taken;
  private final Attributes failed;
  private volatile LongUpDownCounter inFlight;
  private volatile LongCounter exported;

  ExporterMetrics(Supplier<MeterProvider> provider) {
    this.provider = provider;
    AttributeKey<String> type = AttributeKey.stringKey("otel.component.type");
    AttributeKey<String> name = AttributeKey.stringKey("otel.component.name");
    String kind = "datadog_span_exporter";
    taken = Attributes.of(type, kind, name, kind + "/" + NUMBERS.getAndIncrement());
    failed = taken.toBuilder().put("error.type", "rejected").build();
  }

  private void make() {
    if (exported == null) {
      Meter meter = provider.get().get("com.datadog.pipeline.opentelemetry");
      inFlight =
          meter.upDownCounterBuilder("otel.sdk.exporter.span.inflight").setUnit("{span}").build();
      exported = meter.counterBuilder("otel.sdk.exporter.span.exported").setUnit("{span}").build();
    }
  }

  void begin(int spans) {
    make();
    inFlight.add(spans, taken);
  }

  void end(int spans, boolean delivered) {
    inFlight.add(-spans, taken);
    exported.add(spans, delivered ? taken : failed);
  }
}
