package com.datadog.pipeline.internal;

/** Counts in words. Stateless, thread-safe. */
public final class Words {
  private Words() {}

  /** {@code 1 trace}, {@code 2 traces}. */
  public static String count(long n, String noun) {
    return n + " " + noun + (n == 1 ? "" : "s");
  }
}
