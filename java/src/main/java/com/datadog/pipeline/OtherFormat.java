package com.datadog.pipeline;

/** Formats for peers that are no agents. Immutable and thread-safe. */
public enum OtherFormat {
  /** OTLP as protobuf. */
  OTLP_PROTO,
  /** OTLP as JSON. */
  OTLP_JSON,
  /** JSON for Datadog's intake without an agent. */
  INTAKE,
  /** Lines of JSON. */
  LOG
}
