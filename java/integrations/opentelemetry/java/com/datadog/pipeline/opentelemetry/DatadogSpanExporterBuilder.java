package com.datadog.pipeline.opentelemetry;

import com.datadog.pipeline.BadValues;
import com.datadog.pipeline.Builder;
import com.datadog.pipeline.InputFormat;
import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.TraceExporter;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.metrics.MeterProvider;
import io.opentelemetry.sdk.resources.Resource;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** Builds a {@link DatadogSpanExporter}. Not thread-safe. */
public final class DatadogSpanExporterBuilder {
  private static final Duration MOST = Duration.ofMinutes(10);

  /**
   * What the SDK hangs on a result is short, so it runs on the thread that hears of the answer: a
   * thread more would cost as much as encoding a hundred spans.
   */
  private final Builder builder =
      TraceExporter.builder().outputFormat(OutputFormat.V05).completionExecutor(Runnable::run);

  private Duration timeout = Duration.ofSeconds(10);
  private boolean hasEndpoint;
  private Supplier<MeterProvider> meters = MeterProvider::noop;

  DatadogSpanExporterBuilder() {}

  /**
   * Where the agent is: {@code http://host:port}, {@code unix:///path} or {@code
   * windows:\\.\pipe\name}. Default: what the {@code DD_*} variables say, else {@code
   * http://127.0.0.1:8126}.
   */
  public DatadogSpanExporterBuilder setEndpoint(String endpoint) {
    builder.url(endpoint);
    hasEndpoint = true;
    return this;
  }

  /**
   * What goes to the agent: {@code v0.4}, {@code v0.5}, or {@code auto}, the default, which is v0.5
   * where the agent takes it, else v0.4.
   */
  public DatadogSpanExporterBuilder setProtocol(String protocol) {
    switch (Objects.requireNonNull(protocol, "protocol")) {
      case "v0.4":
        builder.outputFormat(OutputFormat.V04);
        break;
      case "v0.5":
      case "auto":
        builder.outputFormat(OutputFormat.V05);
        break;
      default:
        throw new IllegalArgumentException(
            "the protocol is \"" + protocol + "\"; it must be v0.4, v0.5 or auto");
    }
    return this;
  }

  /** How long an export, a flush and a shutdown may take; up to 10 minutes. Default 10 s. */
  public DatadogSpanExporterBuilder setTimeout(Duration limit) {
    Objects.requireNonNull(limit, "limit");
    if (limit.isZero() || limit.isNegative() || limit.compareTo(MOST) > 0) {
      throw new IllegalArgumentException(
          "the timeout is " + limit + "; it must be more than 0 and at most 10 minutes");
    }
    timeout = limit;
    return this;
  }

  /** Where metrics of the exporter go. Default: nowhere. */
  public DatadogSpanExporterBuilder setMeterProvider(Supplier<MeterProvider> provider) {
    meters = Objects.requireNonNull(provider, "provider");
    return this;
  }

  /** Any other setting of the exporter underneath: its queue, a spool, stats, obfuscation. */
  public DatadogSpanExporterBuilder configure(Consumer<Builder> settings) {
    settings.accept(builder);
    return this;
  }

  /**
   * Checks the settings and makes the exporter. Opens no connection and waits for nothing.
   *
   * @throws com.datadog.pipeline.TraceExporterException if the native library is not there
   */
  public DatadogSpanExporter build() {
    builder.inputFormat(InputFormat.V05).asyncBudget(timeout).language("java");
    String sdk =
        Resource.getDefault().getAttribute(AttributeKey.stringKey("telemetry.sdk.version"));
    builder.tracerVersion("otlp-" + (sdk == null ? "" : sdk));
    if (!hasEndpoint) {
      // OTEL_EXPORTER_OTLP_* speak to OpenTelemetry's own exporter, which may run beside this one.
      builder.agentFromEnvironment(BadValues.FAIL);
    }
    return new DatadogSpanExporter(builder.build(), timeout, new ExporterMetrics(meters));
  }
}
