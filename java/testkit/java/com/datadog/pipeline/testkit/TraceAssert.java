package com.datadog.pipeline.testkit;

import java.util.Objects;

/** What is expected of a trace; each method throws {@link AssertionError} if it is not so. */
public final class TraceAssert {
  private final Trace trace;

  TraceAssert(Trace trace) {
    this.trace = trace;
  }

  /** The trace. */
  public Trace trace() {
    return trace;
  }

  private TraceAssert holds(boolean condition, String what, Object found) {
    if (!condition) {
      throw new AssertionError("expected " + what + ", found " + found + ": " + trace);
    }
    return this;
  }

  /** It has so many spans. */
  public TraceAssert hasSize(int spans) {
    return holds(trace.size() == spans, spans + " spans", trace.size());
  }

  /** It has this sampling priority. */
  public TraceAssert hasPriority(int priority) {
    return holds(
        Objects.equals(trace.priority(), priority), "priority " + priority, trace.priority());
  }

  /** It has this origin; null for none. */
  public TraceAssert hasOrigin(String origin) {
    return holds(Objects.equals(trace.origin(), origin), "origin " + origin, trace.origin());
  }

  /** Its root. */
  public SpanAssert root() {
    holds(trace.root() != null, "a root", null);
    return new SpanAssert(trace.root());
  }

  /** The span at this place, counted from 0. */
  public SpanAssert span(int index) {
    holds(trace.size() > index, "a span " + index, trace.size());
    return new SpanAssert(trace.spans().get(index));
  }

  /** The first span with this name. */
  public SpanAssert span(String name) {
    for (Span span : trace.spans()) {
      if (span.name().equals(name)) {
        return new SpanAssert(span);
      }
    }
    throw new AssertionError("expected a span named " + name + ": " + trace);
  }
}
