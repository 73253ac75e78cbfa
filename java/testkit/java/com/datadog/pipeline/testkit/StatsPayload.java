package com.datadog.pipeline.testkit;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** The body of a request to {@code /v0.6/stats}. Immutable and thread-safe. */
public final class StatsPayload {
  private final Map<?, ?> fields;
  private final List<StatsGroup> groups;

  private StatsPayload(Map<?, ?> fields, List<StatsGroup> groups) {
    this.fields = fields;
    this.groups = Collections.unmodifiableList(groups);
  }

  static StatsPayload read(byte[] body) {
    Msgpack in = new Msgpack(body);
    Object value = in.value();
    in.end();
    if (!(value instanceof Map)) {
      throw new IllegalArgumentException("stats are a map");
    }
    Map<?, ?> fields = (Map<?, ?>) value;
    List<StatsGroup> groups = new ArrayList<>();
    for (Object bucket : list(fields.get("Stats"))) {
      long start = StatsGroup.number(((Map<?, ?>) bucket).get("Start"));
      for (Object group : list(((Map<?, ?>) bucket).get("Stats"))) {
        groups.add(new StatsGroup(start, (Map<?, ?>) group));
      }
    }
    return new StatsPayload(fields, groups);
  }

  private static List<?> list(Object value) {
    return value instanceof List ? (List<?>) value : Collections.emptyList();
  }

  /** The groups of all buckets. */
  public List<StatsGroup> groups() {
    return groups;
  }

  /** The environment. */
  public String env() {
    return text("Env");
  }

  /** The version of the service. */
  public String version() {
    return text("Version");
  }

  /** The host name. */
  public String hostname() {
    return text("Hostname");
  }

  /** The language of the tracer. */
  public String language() {
    return text("Lang");
  }

  /** A field by its name on the wire, {@code RuntimeID} for instance; null if it is not there. */
  public Object field(String name) {
    return fields.get(name);
  }

  private String text(String name) {
    Object value = fields.get(name);
    return value == null ? "" : value.toString();
  }

  @Override
  public String toString() {
    return groups.toString();
  }
}
