package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.sdk.autoconfigure.spi.ConfigProperties;
import io.opentelemetry.sdk.autoconfigure.spi.traces.ConfigurableSpanExporterProvider;
import io.opentelemetry.sdk.trace.export.SpanExporter;

/**
 * {@code otel.traces.exporter=datadog}, with {@code otel.exporter.datadog.endpoint}, {@code
 * otel.exporter.datadog.protocol} and {@code otel.exporter.datadog.timeout}.
 */
public final class DatadogSpanExporterProvider implements ConfigurableSpanExporterProvider {
  /** For the service loader. */
  public DatadogSpanExporterProvider() {}

  @Override
  public String getName() {
    return "datadog";
  }

  @Override
  public SpanExporter createExporter(ConfigProperties config) {
    DatadogSpanExporterBuilder builder = DatadogSpanExporter.builder();
    String endpoint = config.getString("otel.exporter.datadog.endpoint");
    if (endpoint != null) {
      builder.setEndpoint(endpoint);
    }
    builder.setProtocol(config.getString("otel.exporter.datadog.protocol", "auto"));
    if (config.getDuration("otel.exporter.datadog.timeout") != null) {
      builder.setTimeout(config.getDuration("otel.exporter.datadog.timeout"));
    }
    return builder.build();
  }
}
