package com.datadog.pipeline.testkit;

import java.util.Objects;

/** What is expected of a span; each method throws {@link AssertionError} if it is not so. */
public final class SpanAssert {
  private final Span span;

  SpanAssert(Span span) {
    this.span = span;
  }

  /** The span. */
  public Span span() {
    return span;
  }

  private SpanAssert is(String what, Object wanted, Object found) {
    if (!Objects.equals(wanted, found)) {
      throw new AssertionError(
          "expected " + what + " " + wanted + ", found " + found + ": " + span);
    }
    return this;
  }

  /** It has this service. */
  public SpanAssert hasService(String service) {
    return is("service", service, span.service());
  }

  /** It has this name. */
  public SpanAssert hasName(String name) {
    return is("name", name, span.name());
  }

  /** It has this resource. */
  public SpanAssert hasResource(String resource) {
    return is("resource", resource, span.resource());
  }

  /** It has this type. */
  public SpanAssert hasType(String type) {
    return is("type", type, span.type());
  }

  /** It has this tag. */
  public SpanAssert hasTag(String key, String value) {
    return is("tag " + key, value, span.meta().get(key));
  }

  /** It has this tag that is a number. */
  public SpanAssert hasMetric(String key, double value) {
    return is("metric " + key, value, span.metrics().get(key));
  }

  /** It has no tag of this name, neither text nor number nor structure. */
  public SpanAssert hasNoTag(String key) {
    is("tag " + key, null, span.meta().get(key));
    is("metric " + key, null, span.metrics().get(key));
    return is("structured tag " + key, null, span.metaStruct().get(key));
  }

  /** It is an error. */
  public SpanAssert isError() {
    return is("error", true, span.isError());
  }

  /** It is no error. */
  public SpanAssert isNoError() {
    return is("error", false, span.isError());
  }

  /** It has no parent. */
  public SpanAssert hasNoParent() {
    return is("parent", 0L, span.parentId());
  }

  /** Its parent is this span. */
  public SpanAssert isChildOf(Span parent) {
    is("parent", parent.spanId(), span.parentId());
    return is("trace", parent.traceId(), span.traceId());
  }

  /** Its parent is this span. */
  public SpanAssert isChildOf(SpanAssert parent) {
    return isChildOf(parent.span());
  }

  /** It has so many links. */
  public SpanAssert hasLinks(int count) {
    return is("number of links", count, span.links().size());
  }

  /** It has so many events. */
  public SpanAssert hasEvents(int count) {
    return is("number of events", count, span.events().size());
  }
}
