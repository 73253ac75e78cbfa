package com.datadog.pipeline.opentelemetry;

import com.datadog.pipeline.Metrics;
import com.datadog.pipeline.TraceExporter;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.time.Duration;
import java.util.Collection;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
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

  /** What the shutdown says, once there was one. */
  private final AtomicReference<CompletableResultCode> shutdown = new AtomicReference<>();

  /** Exports that never came to the exporter underneath, whose account has the others. */
  private final AtomicLong unsent = new AtomicLong();

  /** How much was lost when somebody was told of it last. */
  private final AtomicLong told = new AtomicLong();

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
    if (shutdown.get() != null) {
      return CompletableResultCode.ofFailure();
    }
    CompletableResultCode result = new CompletableResultCode();
    int counted = 0;
    try {
      if (spans.isEmpty()) {
        return CompletableResultCode.ofSuccess();
      }
      counted = metrics.begin(spans.size());
      int inFlight = counted;
      CompletableFuture<?> answer;
      encoding.lock();
      try {
        Buf payload = encoder.encode(spans);
        answer = exporter.sendAsync(payload.bytes, 0, payload.len);
      } finally {
        encoding.unlock();
      }
      answer.whenComplete((response, failure) -> end(result, inFlight, failure));
    } catch (RuntimeException | Error e) {
      // A span may be of anybody's making, and throw what it likes when it is read.
      unsent.incrementAndGet();
      end(result, counted, e);
    }
    return result;
  }

  private void end(CompletableResultCode result, int inFlight, Throwable failure) {
    metrics.end(inFlight, failure);
    if (failure == null) {
      complained.set(false);
      result.succeed();
    } else {
      complain(failure);
      result.failExceptionally(failure);
    }
  }

  /** One line when trouble begins; the exporter's own metrics count the rest. */
  private void complain(Throwable failure) {
    if (complained.compareAndSet(false, true)) {
      try {
        LOGGER.log(
            Level.WARNING,
            "Spans could not be delivered to the Datadog agent: {0}",
            failure.toString());
      } catch (RuntimeException | Error e) {
        // What a handler does wrong must not leave a result without its end.
        return;
      }
    }
  }

  /**
   * Sends what waits, within the time limit. A success only if everything that was exported since
   * the flush before is delivered; after a shutdown it says what that said.
   */
  @Override
  public CompletableResultCode flush() {
    CompletableResultCode ended = shutdown.get();
    if (ended != null) {
      return ended;
    }
    return later(
        new CompletableResultCode(),
        () -> {
          boolean delivered = exporter.flush(timeout).delivered();
          return nothingLost() && delivered;
        });
  }

  /**
   * Sends what waits and closes, both within one time limit. A success only if everything that was
   * exported since the last flush is delivered; a later call gives the result of the first.
   */
  @Override
  public CompletableResultCode shutdown() {
    CompletableResultCode result = new CompletableResultCode();
    if (!shutdown.compareAndSet(null, result)) {
      return shutdown.get();
    }
    return later(
        result,
        () -> {
          long end = System.nanoTime() + timeout.toNanos();
          boolean delivered = exporter.flush(timeout).delivered();
          Duration rest = Duration.ofNanos(Math.max(0, end - System.nanoTime()));
          boolean complete = exporter.close(rest).complete();
          return nothingLost() && delivered && complete;
        });
  }

  /**
   * Whether nothing was lost since this was asked last. A flush cannot see what was lost before it
   * began, and a batch processor waits for its last export before it shuts the exporter down.
   */
  private boolean nothingLost() {
    Metrics account = exporter.metrics();
    long lost = unsent.get() + account.unreadPayloads();
    for (Metrics.Counts dropped : account.dropped().values()) {
      lost += dropped.traces();
    }
    return told.getAndSet(lost) == lost;
  }

  private interface Work {
    boolean run();
  }

  /** On a thread of its own: the SDK may call from where nobody may wait. */
  private static CompletableResultCode later(CompletableResultCode result, Work work) {
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
