package com.datadog.pipeline.opentelemetry;

/**
 * What the first span of a chunk says for all of it: the sampling priority, and who decided. Any
 * span may name a priority and the last one counts, so both are put right behind the last span. Not
 * thread-safe.
 */
final class Decision {
  private static final int NONE = -1;

  private int priority;
  private boolean isNamed;

  // Where in the payload they stand.
  private int priorityAt;
  private int metaCountAt;
  private int pairAt;
  private int valueAt;
  private int pairEnd;

  private int metaCount;
  private int own;

  /** A new chunk: it is kept, by default. */
  void begin() {
    priority = 1;
    isNamed = false;
    own = NONE;
  }

  /** A span names a priority. */
  void name(Number value) {
    priority = value.intValue();
    isNamed = true;
  }

  /**
   * The first span, its scope or its resource says itself who decided, as a number of the table.
   * The first that is not empty counts, and only if nobody decides to keep the chunk.
   */
  void own(int text) {
    if (own <= 0) {
      own = text;
    }
  }

  /** Writes who decided into the meta of the first span, whose count stands there. */
  void pair(Buf spans, int countAt, int key, int value) {
    metaCountAt = countAt;
    pairAt = spans.len;
    spans.unsigned(key);
    valueAt = spans.put32(0xce, value);
    pairEnd = spans.len;
  }

  /** The first span is complete. */
  void first(int metaCount, int priorityAt) {
    this.metaCount = metaCount;
    this.priorityAt = priorityAt;
  }

  /** The chunk is complete. {@code byUser} is what says that a span decided. */
  void settle(Buf spans, StringTable table, Tag byUser, long payload) {
    if (!isNamed) {
      return;
    }
    spans.set64(priorityAt, Double.doubleToRawLongBits(priority));
    if (priority > 0) {
      spans.set32(valueAt, byUser.number(table, payload));
    } else if (own != NONE) {
      spans.set32(valueAt, own);
    } else {
      // Nobody decided to keep it: the pair goes.
      System.arraycopy(spans.bytes, pairEnd, spans.bytes, pairAt, spans.len - pairEnd);
      spans.len -= pairEnd - pairAt;
      spans.set32(metaCountAt, metaCount - 1);
    }
  }
}
