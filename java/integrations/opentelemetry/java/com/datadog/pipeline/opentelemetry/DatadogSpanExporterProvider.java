package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.metrics.MeterProvider;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.spi.ConfigProperties;
import io.opentelemetry.sdk.autoconfigure.spi.ConfigurationException;
import io.opentelemetry.sdk.autoconfigure.spi.internal.AutoConfigureListener;
import io.opentelemetry.sdk.autoconfigure.spi.traces.ConfigurableSpanExporterProvider;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * {@code otel.traces.exporter=datadog}, with {@code otel.exporter.datadog.endpoint}, {@code
 * otel.exporter.datadog.protocol} and {@code otel.exporter.datadog.timeout}. Metrics of the
 * exporter go to the SDK's own meter provider, once that is there.
 */
public final class DatadogSpanExporterProvider
    implements ConfigurableSpanExporterProvider, AutoConfigureListener {
  private static final String PREFIX = "otel.exporter.datadog.";

  private volatile MeterProvider meters = MeterProvider.noop();

  /** For the service loader. */
  public DatadogSpanExporterProvider() {}

  @Override
  public String getName() {
    return "datadog";
  }

  /**
   * Makes an exporter.
   *
   * @throws ConfigurationException for a value that cannot work; it names the property or variable
   */
  @Override
  public SpanExporter createExporter(ConfigProperties config) {
    DatadogSpanExporterBuilder builder =
        DatadogSpanExporter.builder().setMeterProvider(() -> meters);
    set("endpoint", text(config, "endpoint"), builder::setEndpoint);
    set("protocol", text(config, "protocol"), builder::setProtocol);
    Duration timeout = config.getDuration(PREFIX + "timeout");
    set("timeout", timeout, builder::setTimeout);
    try {
      return builder.build();
    } catch (IllegalArgumentException e) {
      // One of the DD_* variables: of other errors the SDK says no more than that there was one.
      throw new ConfigurationException(e.getMessage(), e);
    }
  }

  @Override
  public void afterAutoConfigure(OpenTelemetrySdk sdk) {
    meters = sdk.getMeterProvider();
  }

  /** Null also if it is empty: OpenTelemetry has it that such a variable is not set. */
  private static String text(ConfigProperties config, String name) {
    String value = config.getString(PREFIX + name);
    return value == null || value.isEmpty() ? null : value;
  }

  private static <T> void set(String name, T value, Consumer<T> setter) {
    try {
      if (value != null) {
        setter.accept(value);
      }
    } catch (IllegalArgumentException e) {
      throw new ConfigurationException(PREFIX + name + ": " + e.getMessage(), e);
    }
  }
}
