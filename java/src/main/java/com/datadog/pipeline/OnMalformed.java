package com.datadog.pipeline;

/** What becomes of input that the agent would refuse whole. Immutable and thread-safe. */
public enum OnMalformed {
  /**
   * Repair what has one obvious meaning, leave out the entry otherwise, drop a trace that cannot be
   * read. Counted.
   */
  REPAIR,
  /** Drop the trace that has the fault. Counted. */
  DROP,
  /** Refuse the payload with the place of its first fault. */
  FAIL
}
