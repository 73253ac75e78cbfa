package com.datadog.pipeline.testkit;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What was counted of one kind of span in one bucket of time. Immutable and thread-safe. */
public final class StatsGroup {
  private final long start;
  private final Map<?, ?> fields;

  StatsGroup(long start, Map<?, ?> fields) {
    this.start = start;
    this.fields = fields;
  }

  static long number(Object value) {
    return value instanceof Number ? ((Number) value).longValue() : 0;
  }

  private String text(String name) {
    Object value = fields.get(name);
    return value == null ? "" : value.toString();
  }

  /** When the bucket begins, in ns since 1970. */
  public long bucketStartNanos() {
    return start;
  }

  /** The service. */
  public String service() {
    return text("Service");
  }

  /** The name of the operation. */
  public String name() {
    return text("Name");
  }

  /** The resource. */
  public String resource() {
    return text("Resource");
  }

  /** The type. */
  public String type() {
    return text("Type");
  }

  /** The kind of span, {@code server} for instance. */
  public String kind() {
    return text("SpanKind");
  }

  /** The HTTP status, 0 if there is none. */
  public long httpStatus() {
    return number(fields.get("HTTPStatusCode"));
  }

  /** Spans. */
  public long hits() {
    return number(fields.get("Hits"));
  }

  /** Spans that are errors. */
  public long errors() {
    return number(fields.get("Errors"));
  }

  /** Spans at the top level of their service. */
  public long topLevelHits() {
    return number(fields.get("TopLevelHits"));
  }

  /** The sum of their durations, in ns. */
  public long durationNanos() {
    return number(fields.get("Duration"));
  }

  /** Tags of the peer, {@code key:value}. */
  public List<String> peerTags() {
    List<String> tags = new ArrayList<>();
    Object value = fields.get("PeerTags");
    for (Object tag : value instanceof List ? (List<?>) value : new ArrayList<>()) {
      tags.add(tag.toString());
    }
    return tags;
  }

  /** A field by its name on the wire, {@code OkSummary} for instance; null if it is not there. */
  public Object field(String name) {
    return fields.get(name);
  }

  @Override
  public String toString() {
    return service()
        + " "
        + name()
        + " \""
        + resource()
        + "\" "
        + hits()
        + " hits "
        + errors()
        + " errors";
  }
}
