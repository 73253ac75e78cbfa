package com.datadog.pipeline;

import com.datadog.pipeline.internal.Json;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What client-side stats have counted, for people: {@code counted = sent + lost + waiting}, in
 * spans, and the groups of the current buckets. Immutable and thread-safe.
 */
public final class Stats {
  /** All spans of one resource of a service in the current buckets. */
  public static final class Row {
    private final String service;
    private final String resource;
    private final long[] numbers;

    private Row(Map<?, ?> json) {
      service = String.valueOf(json.get("service"));
      resource = String.valueOf(json.get("resource"));
      numbers =
          new long[] {
            number(json, "hits"),
            number(json, "errors"),
            number(json, "p50"),
            number(json, "p95"),
            number(json, "p99")
          };
    }

    /** The service. */
    public String service() {
      return service;
    }

    /** The resource. */
    public String resource() {
      return resource;
    }

    /** Spans. */
    public long hits() {
      return numbers[0];
    }

    /** Spans with an error. */
    public long errors() {
      return numbers[1];
    }

    /** Half of the spans took no longer; in ns. */
    public long p50() {
      return numbers[2];
    }

    /** Of 20 spans 19 took no longer; in ns. */
    public long p95() {
      return numbers[3];
    }

    /** Of 100 spans 99 took no longer; in ns. */
    public long p99() {
      return numbers[4];
    }

    @Override
    public boolean equals(@Nullable Object o) {
      return o instanceof Row
          && ((Row) o).service.equals(service)
          && ((Row) o).resource.equals(resource)
          && Arrays.equals(((Row) o).numbers, numbers);
    }

    @Override
    public int hashCode() {
      return (service.hashCode() * 31 + resource.hashCode()) * 31 + Arrays.hashCode(numbers);
    }

    @Override
    public String toString() {
      return service + " " + resource + " hits=" + hits() + " errors=" + errors();
    }
  }

  private final String text;
  private final Map<?, ?> json;
  private final List<Row> rows;

  Stats(String text) {
    this.text = text;
    json = (Map<?, ?>) Json.parse(text);
    List<Row> all = new ArrayList<>();
    for (Object row : (List<?>) json.get("rows")) {
      all.add(new Row((Map<?, ?>) row));
    }
    rows = Collections.unmodifiableList(all);
  }

  private static long number(Map<?, ?> json, String key) {
    return ((Number) json.get(key)).longValue();
  }

  /** Spans counted. */
  public long counted() {
    return number(json, "counted");
  }

  /** Spans whose stats the agent has taken. */
  public long sent() {
    return number(json, "sent");
  }

  /** Spans whose stats were refused, may have arrived, or were too many to be kept. */
  public long lost() {
    return number(json, "lost");
  }

  /** Spans whose stats are not sent yet. */
  public long waiting() {
    return number(json, "waiting");
  }

  /** Spans that lost a part of their key to {@link StatsLimits}. */
  public long collapsedSpans() {
    return number(json, "collapsed_spans");
  }

  /** The groups of the current buckets, the one with most spans first. Unmodifiable. */
  public List<Row> rows() {
    return rows;
  }

  /** All of it as JSON. */
  public String json() {
    return text;
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof Stats && ((Stats) o).json.equals(json);
  }

  @Override
  public int hashCode() {
    return json.hashCode();
  }

  /** The rows as a table with a head. */
  @Override
  public String toString() {
    int service = "SERVICE".length();
    int resource = "RESOURCE".length();
    for (Row row : rows) {
      service = Math.max(service, cut(row.service, 30).length());
      resource = Math.max(resource, cut(row.resource, 60).length());
    }
    String form = "%-" + service + "s  %-" + resource + "s  %9s %7s %11s %11s %11s";
    StringBuilder s = new StringBuilder();
    s.append(
        String.format(
            Locale.ROOT, form, "SERVICE", "RESOURCE", "HITS", "ERRORS", "P50", "P95", "P99"));
    for (Row row : rows) {
      s.append(System.lineSeparator())
          .append(
              String.format(
                  Locale.ROOT,
                  form,
                  cut(row.service, 30),
                  cut(row.resource, 60),
                  row.hits(),
                  row.errors(),
                  duration(row.p50()),
                  duration(row.p95()),
                  duration(row.p99())));
    }
    return s.toString();
  }

  private static String cut(String text, int most) {
    String line = text.replaceAll("\\p{Cntrl}", " ");
    return line.length() > most ? line.substring(0, most - 3) + "..." : line;
  }

  private static String duration(long nanos) {
    return nanos < 1_000_000
        ? String.format(Locale.ROOT, "%.1f us", nanos / 1e3)
        : String.format(Locale.ROOT, "%.1f ms", nanos / 1e6);
  }
}
