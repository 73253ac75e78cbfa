package com.datadog.pipeline;

import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What became of the queue while {@link TraceExporter#flush} waited. Immutable and thread-safe. */
public final class FlushResult {
  private final long[] numbers;
  private final Map<DropReason, Metrics.Counts> dropped;

  /** The numbers stand as {@link Numbers} says. */
  FlushResult(long[] numbers) {
    this.numbers = numbers;
    Map<DropReason, Metrics.Counts> reasons = new EnumMap<>(DropReason.class);
    int at = Numbers.FLUSH_DROPPED;
    for (DropReason reason : DropReason.values()) {
      reasons.put(reason, counts(at));
      at += 3;
    }
    this.dropped = Collections.unmodifiableMap(reasons);
  }

  private Metrics.Counts counts(int at) {
    return new Metrics.Counts(numbers[at], numbers[at + 1], numbers[at + 2]);
  }

  /**
   * Whether everything that was offered before has met its fate, stats (if any) have arrived, and
   * nothing lies in the spool or is on its way from there. What was dropped has met its fate, too:
   * see {@link #dropped()}.
   */
  public boolean complete() {
    return numbers[Numbers.FLUSH_COMPLETE] != 0;
  }

  /** What the agent accepted meanwhile, sends of other threads included. */
  public Metrics.Counts sent() {
    return counts(Numbers.FLUSH_SENT);
  }

  /** What still waits or is on its way. */
  public Metrics.Counts pending() {
    return counts(Numbers.FLUSH_PENDING);
  }

  /** What trace filters and sampling took out meanwhile. */
  public Metrics.Counts leftOut() {
    return counts(Numbers.FLUSH_LEFT_OUT);
  }

  /** What was dropped meanwhile, by reason; every reason is a key. Unmodifiable. */
  public Map<DropReason, Metrics.Counts> dropped() {
    return dropped;
  }

  /** What was dropped meanwhile for any reason. */
  public Metrics.Counts droppedTotal() {
    Metrics.Counts sum = new Metrics.Counts(0, 0, 0);
    for (Metrics.Counts c : dropped.values()) {
      sum = sum.plus(c);
    }
    return sum;
  }

  /** Whether all that was offered before is with the agent: nothing dropped, nothing pending. */
  public boolean delivered() {
    Metrics.Counts none = new Metrics.Counts(0, 0, 0);
    return complete() && pending().equals(none) && droppedTotal().equals(none);
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof FlushResult && Arrays.equals(((FlushResult) o).numbers, numbers);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(numbers);
  }

  @Override
  public String toString() {
    return "FlushResult{complete="
        + complete()
        + ", sent "
        + sent()
        + "; pending "
        + pending()
        + "; dropped "
        + droppedTotal()
        + '}';
  }
}
