package com.datadog.pipeline.testkit;

import java.time.Duration;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** Waits for what arrives in its own time. Stateless, thread-safe. */
final class Wait {
  private Wait() {}

  /** What was found once it is as wanted. */
  static <T> T until(Supplier<T> found, Predicate<T> wanted, Duration limit, String what) {
    long end = System.nanoTime() + limit.toNanos();
    T last = found.get();
    while (!wanted.test(last)) {
      if (System.nanoTime() - end >= 0) {
        throw new AssertionError("expected " + what + ", found: " + last);
      }
      try {
        Thread.sleep(5);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new AssertionError("interrupted while waiting for " + what);
      }
      last = found.get();
    }
    return last;
  }
}
