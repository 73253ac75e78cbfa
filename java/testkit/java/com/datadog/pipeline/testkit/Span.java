package com.datadog.pipeline.testkit;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One span as it arrived, the same for every format. What v1 has as attributes stands in {@link
 * #meta} (texts, booleans), {@link #metrics} (numbers) and {@link #metaStruct} (bytes). Immutable
 * and thread-safe, as long as nobody writes to the bytes.
 */
public final class Span {
  final Map<String, Object> fields = new LinkedHashMap<>();
  final Map<String, String> meta = new LinkedHashMap<>();
  final Map<String, Double> metrics = new LinkedHashMap<>();
  final Map<String, byte[]> metaStruct = new LinkedHashMap<>();
  final List<Map<String, Object>> links = new ArrayList<>();
  final List<Map<String, Object>> events = new ArrayList<>();

  Span() {}

  private String text(String field) {
    Object value = fields.get(field);
    return value == null ? "" : value.toString();
  }

  private long number(String field) {
    Object value = fields.get(field);
    return value instanceof Number ? ((Number) value).longValue() : 0;
  }

  /** The service; empty if there is none. */
  public String service() {
    return text("service");
  }

  /** The name of the operation. */
  public String name() {
    return text("name");
  }

  /** The resource. */
  public String resource() {
    return text("resource");
  }

  /** The type, {@code web} for instance. */
  public String type() {
    return text("type");
  }

  /** The lower half of the trace id, unsigned. */
  public long traceId() {
    return number("trace_id");
  }

  /** The span id, unsigned. */
  public long spanId() {
    return number("span_id");
  }

  /** The parent's span id, unsigned; 0 if there is none. */
  public long parentId() {
    return number("parent_id");
  }

  /** When it began, in ns since 1970. */
  public long startNanos() {
    return number("start");
  }

  /** How long it took, in ns. */
  public long durationNanos() {
    return number("duration");
  }

  /** Whether it is marked as an error. */
  public boolean isError() {
    return number("error") != 0;
  }

  /** Tags that are texts. */
  public Map<String, String> meta() {
    return Collections.unmodifiableMap(meta);
  }

  /** Tags that are numbers. */
  public Map<String, Double> metrics() {
    return Collections.unmodifiableMap(metrics);
  }

  /** Tags that are structured, as bytes. */
  public Map<String, byte[]> metaStruct() {
    return Collections.unmodifiableMap(metaStruct);
  }

  /** Links: {@code trace_id}, {@code span_id}, {@code attributes}, … */
  public List<Map<String, Object>> links() {
    return Collections.unmodifiableList(links);
  }

  /** Events: {@code time_unix_nano}, {@code name}, {@code attributes}. */
  public List<Map<String, Object>> events() {
    return Collections.unmodifiableList(events);
  }

  @Override
  public String toString() {
    return service()
        + " "
        + name()
        + " \""
        + resource()
        + "\" id "
        + Long.toUnsignedString(spanId())
        + " parent "
        + Long.toUnsignedString(parentId())
        + (isError() ? " ERROR " : " ")
        + meta
        + metrics;
  }
}
