package com.datadog.pipeline;

/** Why traces were dropped. Immutable and thread-safe. The order is that of the native library. */
public enum DropReason {
  /** The payload, or a trace of it, could not be read. Knob: {@link Builder#onMalformed}. */
  MALFORMED,
  /** Larger than the agent takes. */
  PAYLOAD_TOO_LARGE,
  /** The agent refused it with a status that no repetition can change. */
  REFUSED,
  /** The agent was there but did not take it in time. Knob: {@link Builder#sendBudget}. */
  OVERLOADED,
  /** The agent could not be reached. Knob: {@link Builder#url}. */
  UNREACHABLE,
  /** A time limit passed. Knobs: {@link Builder#sendTimeout}, {@link Builder#sendBudget}. */
  TIMED_OUT,
  /** Refused at once because the agent has been away for long. */
  AGENT_DOWN,
  /** The queue was full. */
  QUEUE_FULL,
  /** Taken out of the queue to make room. */
  EVICTED,
  /** The exporter was closed. Knob: {@link Builder#closeTimeout}. */
  CLOSED,
  /** The exporter was collected without having been closed. */
  FORGOTTEN,
  /** A defect of this library. */
  INTERNAL,
  /**
   * Normalization refused the trace as the agent would: an id is 0, its spans are of several
   * traces, it has none. Knob: {@link Builder#normalize}.
   */
  INVALID_TRACE,
  /** What lay on disk could not be read. Knob: {@link Builder#spool}. */
  SPOOL_DAMAGED,
  /** There was no native memory for it. */
  OUT_OF_MEMORY,
  /** There is no native library here. Knob: {@link Builder#withoutLibrary}. */
  NO_LIBRARY,
  /**
   * The peer took the request and rejected these spans of it (OTLP's partial success); they are not
   * sent again.
   */
  REJECTED_BY_PEER,
  /**
   * It would have been sent, and was not, since the caller only wants to see what would be. Knob:
   * {@link Builder#dryRun}.
   */
  DRY_RUN
}
