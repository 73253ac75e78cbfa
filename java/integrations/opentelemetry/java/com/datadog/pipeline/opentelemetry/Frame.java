package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.sdk.common.InstrumentationScopeInfo;

/**
 * Pairs that spans of one scope, kind and status have in common, as they stand in a payload: made
 * once, then copied. Not thread-safe.
 */
final class Frame {
  /** Two numbers of at most five bytes each. */
  private static final int MOST = 6;

  private final byte[] pairs = new byte[MOST * 10];
  private final Tag[] tags = new Tag[MOST];
  private int length;
  private int count;

  private InstrumentationScopeInfo scope;
  private long payload;
  private long resource;

  /** Whether the resource has one of these names. */
  private boolean conflict;

  boolean isFor(InstrumentationScopeInfo scope, long payload, long resource) {
    return this.scope == scope && this.payload == payload && this.resource == resource;
  }

  /** Begins anew, for what follows. */
  void begin(InstrumentationScopeInfo scope, long payload, long resource) {
    this.scope = scope;
    this.payload = payload;
    this.resource = resource;
    count = 0;
  }

  /** One of its names. */
  void has(Tag tag) {
    tags[count++] = tag;
  }

  /** Takes what has been written since that place. */
  void take(Buf from, int at, boolean conflict) {
    length = from.len - at;
    System.arraycopy(from.bytes, at, pairs, 0, length);
    this.conflict = conflict;
  }

  /** Writes the pairs and marks their names as the span's; gives how many they are. */
  int put(Buf to, long serial) {
    to.put(pairs, 0, length);
    for (int i = 0; i < count; i++) {
      tags[i].inMeta = serial;
    }
    return count;
  }

  boolean hasConflict() {
    return conflict;
  }
}
