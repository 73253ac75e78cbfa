package com.datadog.pipeline;

/** The format of the payloads that are handed over. */
public enum InputFormat {
  /** An array of traces, each an array of spans. */
  V04,
  /** A table of strings, and spans of twelve numbers. */
  V05,
  /** Maps of small integer keys. */
  V1,
  /** Looked at: a map is v1, a table of strings v0.5, anything else v0.4. */
  AUTO
}
