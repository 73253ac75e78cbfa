package com.datadog.pipeline.opentelemetry;

import com.datadog.pipeline.TraceExporter;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.time.Duration;
import java.util.Collection;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Sends spans of OpenTelemetry to a Datadog agent, as the agent's own OTLP receiver would have read
 * them, in Datadog's own formats.
 *
 * <p>{@link #export} encodes the spans and hands them to the exporter's bounded queue. Its result
 * is a success once the agent has taken them, a failure once they are lost. Thread-safe.
 */
public final class DatadogSpanExporter implements SpanExporter {
  private static final Logger LOGGER = Logger.getLogger(DatadogSpanExporter.class.getName());

  private final TraceExporter exporter;
  private final Duration timeout;
  private final ExporterMetrics metrics;
  private final SpanEncoder encoder = new SpanEncoder();
  private final ReentrantLock encoding = new ReentrantLock();
  private final AtomicBoolean shutDown = new AtomicBoolean();
  private final AtomicBoolean complained = new AtomicBoolean();

  DatadogSpanExporter(TraceExporter exporter, Duration timeout, ExporterMetrics metrics) {
    this.exporter = exporter;
    this.timeout = timeout;
    this.metrics = metrics;
  }

  /** A builder with no setting made. */
  public static DatadogSpanExporterBuilder builder() {
    return new DatadogSpanExporterBuilder();
  }

  /** An exporter for the agent at the usual place. */
  public static DatadogSpanExporter create() {
    return builder().build();
  }

  /** Never throws. The result is complete within the time limit. */
  @Override
  public CompletableResultCode export(Collection<SpanData> spans) {
    if (shutDown.get()) {
      return CompletableResultCode.ofFailure();
    }
    int count = spans.size();
    if (count == 0) {
      return CompletableResultCode.ofSuccess();
    }
    metrics.begin(count);
    CompletableResultCode result = new CompletableResultCode();
    try {
      CompletableFuture<?> answer;
      encoding.lock();
      try {
        Buf payload = encoder.encode(spans);
        answer = exporter.sendAsync(payload.bytes, 0, payload.len);
      } finally {
        encoding.unlock();
      }
      answer.whenComplete(
          (response, failure) -> {
            metrics.end(count, failure == null);
            if (failure == null) {
              complained.set(false);
              result.succeed();
            } else {
              complain(failure);
              result.failExceptionally(failure);
            }
          });
    } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
      metrics.end(count, false);
      complain(e);
      result.failExceptionally(e);
    }
    return result;
  }

  /** One line when trouble begins; the exporter's own metrics count the rest. */
  private void complain(Throwable failure) {
    if (complained.compareAndSet(false, true)) {
      LOGGER.log(
          Level.WARNING,
          "Spans could not be delivered to the Datadog agent: {0}",
          failure.toString());
    }
  }

  /** A success only if everything exported so far was delivered. */
  @Override
  public CompletableResultCode flush() {
    return later(() -> exporter.flush(timeout).delivered());
  }

  /** Sends what waits, within the time limit, and closes. A success only if nothing was lost. */
  @Override
  public CompletableResultCode shutdown() {
    if (!shutDown.compareAndSet(false, true)) {
      return CompletableResultCode.ofSuccess();
    }
    return later(
        () -> {
          boolean delivered = exporter.flush(timeout).delivered();
          return exporter.close(timeout).complete() && delivered;
        });
  }

  private interface Work {
    boolean run();
  }

  /** On a thread of its own: the SDK may call from where nobody may wait. */
  private static CompletableResultCode later(Work work) {
    CompletableResultCode result = new CompletableResultCode();
    Thread thread =
        new Thread(
            () -> {
              try {
                if (work.run()) {
                  result.succeed();
                } else {
                  result.fail();
                }
              } catch (RuntimeException | Error e) {
                result.failExceptionally(e);
              }
            },
            "dp-otel-flush");
    thread.setDaemon(true);
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      result.failExceptionally(e);
    }
    return result;
  }

  /** The exporter underneath: its account, its state, what the agent says of itself. */
  public TraceExporter traceExporter() {
    return exporter;
  }

  @Override
  public String toString() {
    return "DatadogSpanExporter{" + exporter + ", timeout=" + timeout + "}";
  }
}
