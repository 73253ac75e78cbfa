package com.datadog.pipeline;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How many different groups and values a bucket of client-side stats takes. What is beyond is
 * counted all the same, as {@code tracer_blocked_value}. Immutable and thread-safe.
 */
public final class StatsLimits {
  /** The limits of an exporter that is told none. */
  public static final StatsLimits DEFAULT = new StatsLimits(7000, 1024, 512, 512, 100);

  private final List<Object> values;

  private StatsLimits(
      long wholeKey, long resource, long httpEndpoint, long peerTags, long additionalTags) {
    values = Arrays.<Object>asList(wholeKey, resource, httpEndpoint, peerTags, additionalTags);
  }

  /**
   * Limits of a bucket.
   *
   * @param wholeKey groups; at most 1,000,000, and more than each of the others
   * @param resource different resources; at least 1, as the others
   * @param httpEndpoint different HTTP endpoints
   * @param peerTags different lists of peer tags
   * @param additionalTags different lists of additional tags
   * @throws IllegalArgumentException if one is out of its range
   */
  public static StatsLimits of(
      int wholeKey, int resource, int httpEndpoint, int peerTags, int additionalTags) {
    for (int limit : new int[] {resource, httpEndpoint, peerTags, additionalTags}) {
      if (limit < 1 || limit >= wholeKey || wholeKey > 1_000_000) {
        throw new IllegalArgumentException(
            "each limit must be at least 1, and that of the whole key the largest, at most"
                + " 1000000");
      }
    }
    return new StatsLimits(wholeKey, resource, httpEndpoint, peerTags, additionalTags);
  }

  /** In the order of the native side. */
  List<Object> values() {
    return values;
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof StatsLimits && ((StatsLimits) o).values.equals(values);
  }

  @Override
  public int hashCode() {
    return values.hashCode();
  }

  @Override
  public String toString() {
    return "StatsLimits" + values;
  }
}
