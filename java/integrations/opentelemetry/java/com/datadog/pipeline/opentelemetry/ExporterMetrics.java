package com.datadog.pipeline.opentelemetry;

import com.datadog.pipeline.TraceExporterException;
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
 * provider of an SDK that is being built does not answer before; exports until there is one are not
 * counted. A provider that throws costs a count and no span. Thread-safe.
 */
final class ExporterMetrics {
  private static final AtomicInteger NUMBERS = new AtomicInteger();

  private final Supplier<MeterProvider> provider;
  private final Attributes taken;
  private volatile LongUpDownCounter inFlight;
  private volatile LongCounter exported;

  ExporterMetrics(Supplier<MeterProvider> provider) {
    this.provider = provider;
    AttributeKey<String> type = AttributeKey.stringKey("otel.component.type");
    AttributeKey<String> name = AttributeKey.stringKey("otel.component.name");
    String kind = "datadog_span_exporter";
    taken = Attributes.of(type, kind, name, kind + "/" + NUMBERS.getAndIncrement());
  }

  /** Whether there are instruments. */
  private boolean make() {
    if (exported == null) {
      MeterProvider meters = provider.get();
      if (meters == MeterProvider.noop()) {
        return false;
      }
      Meter meter = meters.get("com.datadog.pipeline.opentelemetry");
      inFlight =
          meter.upDownCounterBuilder("otel.sdk.exporter.span.inflight").setUnit("{span}").build();
      exported = meter.counterBuilder("otel.sdk.exporter.span.exported").setUnit("{span}").build();
    }
    return true;
  }

  /** Counts spans that are on their way; gives how many {@link #end} is to count. */
  int begin(int spans) {
    try {
      if (make()) {
        inFlight.add(spans, taken);
        return spans;
      }
    } catch (RuntimeException | LinkageError e) {
      // It is the provider's fault, and no reason to lose spans.
      return 0;
    }
    return 0;
  }

  /** Counts spans that are there, or lost for this reason. */
  void end(int spans, Throwable failure) {
    if (spans == 0) {
      return;
    }
    try {
      inFlight.add(-spans, taken);
      exported.add(spans, failure == null ? taken : failed(failure));
    } catch (RuntimeException | LinkageError e) {
      // As above.
      return;
    }
  }

  /** What the conventions ask for: the status where there was one, else a name of few. */
  private Attributes failed(Throwable failure) {
    String type = failure.getClass().getName();
    if (failure instanceof TraceExporterException) {
      TraceExporterException known = (TraceExporterException) failure;
      int status = known.httpStatus();
      type = status > 0 ? Integer.toString(status) : known.code().name();
    }
    return taken.toBuilder().put("error.type", type).build();
  }
}
