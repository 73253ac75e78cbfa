package com.datadog.pipeline;

/**
 * What an exporter is where the native library cannot be loaded. Where it can, this says nothing.
 * Immutable and thread-safe.
 */
public enum WithoutLibrary {
  /** {@link Builder#build()} fails with {@code LIBRARY_UNAVAILABLE}. */
  FAIL,
  /**
   * An exporter that drops every payload with the reason {@link DropReason#NO_LIBRARY}, and never
   * fails. It makes no connection and no thread.
   */
  NOOP,
  /**
   * An exporter in Java that passes v0.4 payloads on as they are: over TCP, from Java 16 on over
   * Unix sockets, with the same errors, retries, bounds of the queue, futures and account. What it
   * lacks stands under {@code without} in {@link TraceExporter#explain()}. Settings whose lack
   * would let something out that they keep in are refused by {@link Builder#build()}: obfuscation,
   * normalization, filters, an input that is not v0.4.
   */
  PURE_JAVA
}
