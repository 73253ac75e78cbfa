package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.sdk.trace.data.SpanData;
import java.util.Arrays;
import java.util.Collection;

/**
 * The spans of one export, grouped into traces by the low half of the trace id, in the order in
 * which they came. Its memory is used again. Not thread-safe.
 */
final class Batch {
  /** After the last span of a trace. */
  static final int END = -1;

  private static final int SPANS = 64;
  private static final int GROUPS = 128;
  private static final byte[] HEX_VALUES = new byte[128];

  static {
    for (int i = 0; i < 16; i++) {
      HEX_VALUES["0123456789abcdef".charAt(i)] = (byte) i;
      HEX_VALUES["0123456789ABCDEF".charAt(i)] = (byte) i;
    }
  }

  private SpanData[] spans = new SpanData[SPANS];
  private int size;

  /** Of each span the place of the next one in its trace, counted from 1; 0 is the end. */
  private int[] next = new int[SPANS];

  // A hash table of traces, by their ids: the first and the last span, counted from 1.
  private long[] traceIds = new long[GROUPS];
  private int[] firsts = new int[GROUPS];
  private int[] lasts = new int[GROUPS];
  private int[] counts = new int[GROUPS];

  /** Where in the table the traces are, in their order. */
  private int[] order = new int[GROUPS];

  /** Takes the spans of an export; gives how many traces there are. */
  int take(Collection<SpanData> collection) {
    if (spans.length < collection.size()) {
      int room = Integer.highestOneBit(collection.size()) * 2;
      spans = new SpanData[room];
      next = new int[room];
    }
    for (SpanData span : collection) {
      spans[size++] = span;
    }
    return group();
  }

  private int group() {
    int room = Math.max(GROUPS, Integer.highestOneBit(Math.max(1, size)) * 4);
    if (firsts.length < room) {
      table(room);
    }
    Arrays.fill(firsts, 0);
    int mask = firsts.length - 1;
    int groups = 0;
    for (int i = 0; i < size; i++) {
      long id = hex(spans[i].getTraceId(), 16);
      int at = (int) (id ^ id >>> 32) * 0x9E3779B9 >>> 16 & mask;
      while (firsts[at] != 0 && traceIds[at] != id) {
        at = at + 1 & mask;
      }
      if (firsts[at] == 0) {
        traceIds[at] = id;
        firsts[at] = i + 1;
        counts[at] = 0;
        order[groups++] = at;
      } else {
        next[lasts[at] - 1] = i + 1;
      }
      lasts[at] = i + 1;
      next[i] = 0;
      counts[at]++;
    }
    return groups;
  }

  private void table(int room) {
    traceIds = new long[room];
    firsts = new int[room];
    lasts = new int[room];
    counts = new int[room];
    order = new int[room];
  }

  /** The low half of the id of this trace. */
  long traceId(int trace) {
    return traceIds[order[trace]];
  }

  /** How many spans this trace has. */
  int count(int trace) {
    return counts[order[trace]];
  }

  /** The place of the first span of this trace. */
  int first(int trace) {
    return firsts[order[trace]] - 1;
  }

  /** The place of the span that follows in its trace, or {@link #END}. */
  int after(int place) {
    return next[place] - 1;
  }

  /** The span at this place. */
  SpanData span(int place) {
    return spans[place];
  }

  /** Forgets the spans; memory for an unusually large export is given back. */
  void clear() {
    Arrays.fill(spans, 0, size, null);
    size = 0;
    if (spans.length > 1 << 16) {
      spans = new SpanData[SPANS];
      next = new int[SPANS];
      table(GROUPS);
    }
  }

  /** Sixteen hexadecimal digits of an id, from this one on. */
  static long hex(String id, int from) {
    long value = 0;
    int end = Math.min(id.length(), from + 16);
    for (int i = from; i < end; i++) {
      value = value << 4 | HEX_VALUES[id.charAt(i) & 127];
    }
    return value;
  }
}
