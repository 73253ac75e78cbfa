package com.datadog.pipeline;

/** What happens when the queue is full. Immutable and thread-safe. */
public enum Overflow {
  /** What is offered is refused. */
  DROP_NEWEST,
  /** The oldest payloads make room. */
  DROP_OLDEST,
  /**
   * The offering thread waits for room, see {@link Builder#blockWait}; then the offer is refused.
   */
  BLOCK,
  /**
   * The traces worth least make room: those that sampling rejected first, then those that were kept
   * automatically, those with errors or kept by the user last; of equal worth the oldest.
   */
  SHED
}
