package com.datadog.pipeline.testkit;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * What is expected of traces; each method throws {@link AssertionError} with what is there instead.
 * What is expected of the traces holds for those that are there when it is said, unless {@link
 * #within} gives them time. Not thread-safe.
 */
public final class TracesAssert {
  private final Supplier<List<Trace>> traces;
  private Duration limit = Duration.ZERO;

  TracesAssert(Supplier<List<Trace>> traces) {
    this.traces = traces;
  }

  /** Waits up to so long for what is expected next. */
  public TracesAssert within(Duration limit) {
    this.limit = limit;
    return this;
  }

  private List<Trace> until(Predicate<List<Trace>> wanted, String what) {
    return Wait.until(traces, wanted, limit, what);
  }

  /** There are so many traces. */
  public TracesAssert hasSize(int count) {
    until(found -> found.size() == count, count + " traces");
    return this;
  }

  /** There is no trace. */
  public TracesAssert isEmpty() {
    return hasSize(0);
  }

  /** There are so many spans in all. */
  public TracesAssert hasSpans(int count) {
    until(found -> spans(found).size() == count, count + " spans");
    return this;
  }

  /** The trace at this place, counted from 0. */
  public TraceAssert trace(int index) {
    return new TraceAssert(until(found -> found.size() > index, "a trace " + index).get(index));
  }

  /** The first span with this name. */
  public SpanAssert span(String name) {
    return span(span -> span.name().equals(name), "a span named " + name);
  }

  /** The first span of which this holds; {@code what} is said if there is none. */
  public SpanAssert span(Predicate<Span> wanted, String what) {
    List<Trace> all = until(found -> spans(found).stream().anyMatch(wanted), what);
    return new SpanAssert(spans(all).stream().filter(wanted).findFirst().get());
  }

  /** There is no span with this name. */
  public TracesAssert hasNoSpan(String name) {
    until(
        found -> spans(found).stream().noneMatch(span -> span.name().equals(name)),
        "no span named " + name);
    return this;
  }

  private static List<Span> spans(List<Trace> traces) {
    List<Span> all = new ArrayList<>();
    for (Trace trace : traces) {
      all.addAll(trace.spans());
    }
    return all;
  }
}
