package com.datadog.pipeline;

import java.io.OutputStream;
import java.nio.file.Path;
import java.util.Collections;

/** Where log lines go. Immutable and thread-safe. */
public final class LogTarget {
  /** The standard output of the process. Nothing else of this library writes there. */
  public static final LogTarget STDOUT = new LogTarget("stdout", null);

  private final Object value;
  private final OutputStream stream;

  private LogTarget(Object value, OutputStream stream) {
    this.value = value;
    this.stream = stream;
  }

  /** The end of this file, which is made if it is not there. */
  public static LogTarget file(Path file) {
    String path = Payload.notNull("file", file).toString();
    return new LogTarget(Collections.singletonMap("file", path), null);
  }

  /**
   * A stream of the caller's: each line is one write. It is written to on the thread of a call into
   * the exporter, {@code send} and {@code close} for instance, or on the thread that completes
   * futures, never by two at once, and never closed.
   */
  public static LogTarget stream(OutputStream stream) {
    return new LogTarget("host", Payload.notNull("stream", stream));
  }

  /** The stream, or null. */
  OutputStream stream() {
    return stream;
  }

  /** As the native side reads it. */
  Object value() {
    return value;
  }

  @Override
  public String toString() {
    return stream == null ? value.toString() : stream.getClass().getName();
  }
}
