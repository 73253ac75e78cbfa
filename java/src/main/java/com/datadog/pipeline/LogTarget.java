package com.datadog.pipeline;

import java.nio.file.Path;
import java.util.Collections;

/** Where log lines go. Immutable and thread-safe. */
public final class LogTarget {
  /** The standard output of the process. Nothing else of this library writes there. */
  public static final LogTarget STDOUT = new LogTarget("stdout");

  private final Object value;

  private LogTarget(Object value) {
    this.value = value;
  }

  /** The end of this file, which is made if it is not there. */
  public static LogTarget file(Path file) {
    String path = Payload.notNull("file", file).toString();
    return new LogTarget(Collections.singletonMap("file", path));
  }

  /** As the native side reads it. */
  Object value() {
    return value;
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
