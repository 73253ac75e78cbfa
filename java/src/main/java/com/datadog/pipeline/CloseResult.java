package com.datadog.pipeline;

import org.jspecify.annotations.Nullable;

/** How {@link TraceExporter#close(java.time.Duration)} ended. Immutable and thread-safe. */
public final class CloseResult {
  private final boolean complete;
  private final Metrics metrics;

  CloseResult(boolean complete, Metrics metrics) {
    this.complete = complete;
    this.metrics = metrics;
  }

  /**
   * Whether every send was done in time; if not, the rest was interrupted and counts as dropped.
   */
  public boolean complete() {
    return complete;
  }

  /** The account at the end. */
  public Metrics metrics() {
    return metrics;
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof CloseResult
        && ((CloseResult) o).complete == complete
        && ((CloseResult) o).metrics.equals(metrics);
  }

  @Override
  public int hashCode() {
    return metrics.hashCode() * 31 + (complete ? 1 : 0);
  }

  @Override
  public String toString() {
    return "CloseResult{complete=" + complete + ", " + metrics + '}';
  }
}
