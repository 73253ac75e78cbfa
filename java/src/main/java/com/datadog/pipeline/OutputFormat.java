package com.datadog.pipeline;

/** What goes to the agent. Immutable and thread-safe. */
public enum OutputFormat {
  /**
   * {@code /v0.4/traces}; a well-formed payload leaves as the bytes it came. Only span events
   * become JSON in {@code meta} where the agent's {@code /info} is known and lacks {@code
   * span_events}.
   */
  V04,
  /** {@code /v0.5/traces}: a string table. */
  V05,
  /** {@code /v1.0/traces}; v0.4 for agents that answer 404. */
  V1,
  /** The best format that the agent offers: v1 where its {@code /info} lists it, else v0.4. */
  AUTO
}
