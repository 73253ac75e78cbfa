package com.datadog.pipeline;

/**
 * What becomes of a variable of the environment with a value that its setter refuses. Immutable and
 * thread-safe.
 */
public enum BadValues {
  /** It is an error that names the variable. */
  FAIL,
  /** It is left out, with a log line; {@link TraceExporter#explain()} lists it. */
  SKIP
}
