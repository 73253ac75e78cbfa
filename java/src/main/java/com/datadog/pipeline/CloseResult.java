package com.datadog.pipeline;

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
  public String toString() {
    return "CloseResult{complete=" + complete + ", " + metrics + '}';
  }
}
