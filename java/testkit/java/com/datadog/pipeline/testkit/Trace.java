package com.datadog.pipeline.testkit;

import java.util.Collections;
import java.util.List;

/** The spans of one chunk of a payload. Immutable and thread-safe. */
public final class Trace {
  private final List<Span> spans;
  private final Integer priority;
  private final String origin;

  Trace(List<Span> spans, Integer priority, String origin) {
    this.spans = Collections.unmodifiableList(spans);
    this.priority = priority;
    this.origin = origin;
  }

  /** The spans in their order. */
  public List<Span> spans() {
    return spans;
  }

  /** The number of spans. */
  public int size() {
    return spans.size();
  }

  /** The first span whose parent is not in this trace, or null if there is none. */
  public Span root() {
    for (Span span : spans) {
      boolean hasParent = false;
      for (Span other : spans) {
        hasParent |= other != span && other.spanId() == span.parentId();
      }
      if (!hasParent) {
        return span;
      }
    }
    return null;
  }

  /** The sampling priority, of the chunk in v1, of a span else; null if there is none. */
  public Integer priority() {
    if (priority != null) {
      return priority;
    }
    for (Span span : spans) {
      Double value = span.metrics().get("_sampling_priority_v1");
      if (value != null) {
        return value.intValue();
      }
    }
    return null;
  }

  /** The origin, {@code synthetics} for instance; null if there is none. */
  public String origin() {
    if (origin != null) {
      return origin;
    }
    for (Span span : spans) {
      if (span.meta().get("_dd.origin") != null) {
        return span.meta().get("_dd.origin");
      }
    }
    return null;
  }

  @Override
  public String toString() {
    return spans.toString();
  }
}
