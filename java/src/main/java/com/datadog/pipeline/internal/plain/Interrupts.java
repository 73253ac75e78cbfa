package com.datadog.pipeline.internal.plain;

/**
 * Interrupts that came while a send ran: they wait for the caller, since channels of old JVMs close
 * when an interrupted thread uses them. Thread-safe.
 */
public final class Interrupts {
  private static final ThreadLocal<Boolean> KEPT = new ThreadLocal<>();

  private Interrupts() {}

  static void keep() {
    KEPT.set(true);
  }

  /** Takes the interrupt of this thread away, if there is one. */
  public static void hold() {
    if (Thread.interrupted()) {
      keep();
    }
  }

  /** Gives back what was taken away. */
  public static void restore() {
    if (KEPT.get() != null) {
      KEPT.remove();
      Thread.currentThread().interrupt();
    }
  }
}
