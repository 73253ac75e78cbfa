package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.sdk.common.InstrumentationScopeInfo;

/** The pairs that spans of one scope, kind and status have in common, in one payload. */
final class Frame {
  private static final int MOST = 6;

  final Tag[] names = new Tag[MOST];

  /** The values, as numbers of the table. */
  final int[] values = new int[MOST];

  int count;

  /** All of them as they stand in the payload. */
  final byte[] pairs = new byte[MOST * 10];

  int length;

  private InstrumentationScopeInfo scope;
  private long payload;

  boolean isFor(InstrumentationScopeInfo scope, long payload) {
    return this.scope == scope && this.payload == payload;
  }

  void begin(InstrumentationScopeInfo scope, long payload) {
    this.scope = scope;
    this.payload = payload;
    count = 0;
  }

  void add(Tag name, int value) {
    names[count] = name;
    values[count++] = value;
  }
}
