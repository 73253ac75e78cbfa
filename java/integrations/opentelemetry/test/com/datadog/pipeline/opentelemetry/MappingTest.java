package com.datadog.pipeline.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class MappingTest {
  private static final long HOUR = 3_600_000_000_000L;

  /** OpenTelemetry Java has no such kind, and the agent does not escape texts of links. */
  private static final List<String> NOT_REACHABLE =
      java.util.Arrays.asList("kind-unspecified", "link-quotes");

  @Test
  void everyExampleBecomesWhatTheAgentMakesOfIt() throws Exception {
    List<String> wrong = new ArrayList<>();
    int tried = 0;
    SpanEncoder encoder = new SpanEncoder();
    for (Examples example :
        Examples.read(Paths.get(System.getProperty("fixtures"), "otel", "otel-mapping.jsonl"))) {
      if (NOT_REACHABLE.contains(example.id)) {
        continue;
      }
      tried++;
      // Twice: what an export leaves behind must not show in the next.
      for (int round = 0; round < 2; round++) {
        String difference = difference(encoder, example);
        if (difference != null) {
          wrong.add(example.id + ": " + difference);
          break;
        }
      }
    }
    assertEquals(Collections.emptyList(), wrong);
    assertTrue(tried >= 44, tried + " examples");
  }

  /**
   * Cases of tests/oracle/otel_cases.py with the answers of the agent's receiver. {@code
   * -DotelCases} names others: {@code scripts/oracle.sh otel} makes them anew.
   */
  @Test
  void generatedCasesBecomeWhatTheAgentMakesOfThem() throws Exception {
    String fixture = System.getProperty("fixtures") + "/otel/generated.jsonl.gz";
    List<Examples> cases = Examples.read(Paths.get(System.getProperty("otelCases", fixture)));
    List<String> wrong = new ArrayList<>();
    SpanEncoder encoder = new SpanEncoder();
    int spans = 0;
    for (Examples one : cases) {
      String difference = difference(encoder, one);
      if (difference != null) {
        wrong.add(one.id + ": " + difference);
      }
      spans += one.spans.size();
    }
    System.out.println(spans + " generated spans, " + wrong.size() + " cases differ");
    assertEquals(Collections.emptyList(), wrong);
    assertTrue(cases.size() >= 300, cases.size() + " cases");
  }

  @Test
  void allExamplesInOneExportAreTheSameSpans() throws Exception {
    List<SpanData> all = new ArrayList<>();
    List<Examples> examples =
        Examples.read(Paths.get(System.getProperty("fixtures"), "otel", "otel-mapping.jsonl"));
    for (Examples example : examples) {
      all.addAll(example.spans);
    }
    Buf payload = new SpanEncoder().encode(all);
    int spans = 0;
    for (List<Map<String, Object>> chunk : Decoded.read(payload.bytes, payload.len)) {
      spans += chunk.size();
    }
    assertEquals(all.size(), spans);
  }

  @SuppressWarnings("unchecked")
  static String difference(SpanEncoder encoder, Examples example) {
    long before = System.currentTimeMillis() * 1_000_000L - 60_000_000_000L;
    Buf payload = encoder.encode(example.spans);
    List<List<Map<String, Object>>> ours = Decoded.read(payload.bytes, payload.len);
    if (ours.size() != example.chunks.size()) {
      return ours.size() + " chunks";
    }
    ours.sort((a, b) -> Long.compareUnsigned(id(a), id(b)));
    for (int c = 0; c < ours.size(); c++) {
      Map<String, Object> expected = example.chunks.get(c);
      List<Map<String, Object>> spans = (List<Map<String, Object>>) expected.get("spans");
      if (spans.size() != ours.get(c).size()) {
        return ours.get(c).size() + " spans";
      }
      for (int s = 0; s < spans.size(); s++) {
        Map<String, Object> span = new LinkedHashMap<>(ours.get(c).get(s));
        Map<String, Object> meta = (Map<String, Object>) span.get("meta");
        Map<String, Object> metrics = (Map<String, Object>) span.get("metrics");
        Map<String, Object> agents = new LinkedHashMap<>(spans.get(s));
        if (s == 0) {
          // v0.4 says on the first span what OTLP says of the chunk and of the whole id.
          Object priority = metrics.get("_sampling_priority_v1");
          if (!number(expected.get("priority")).equals(number(priority))) {
            return "priority " + priority;
          }
          metrics.remove("_sampling_priority_v1");
          agents.put("metrics", without(agents.get("metrics"), "_sampling_priority_v1"));
        }
        // The trace id says it, and only on the first span: attributes of this name are left out.
        assertEquals(s > 0 || high(example, span) == 0, meta.remove("_dd.p.tid") == null);
        agents.put("meta", without(agents.get("meta"), "_dd.p.tid"));
        String difference = compare(span, agents, before);
        if (difference != null) {
          return "span " + s + ", " + difference;
        }
      }
    }
    return null;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> without(Object map, String key) {
    Map<String, Object> copy =
        new LinkedHashMap<>(map == null ? new LinkedHashMap<>() : (Map<String, Object>) map);
    copy.remove(key);
    return copy;
  }

  private static long high(Examples example, Map<String, Object> span) {
    for (SpanData one : example.spans) {
      if (Long.parseUnsignedLong(one.getSpanId(), 16)
          == Long.parseUnsignedLong((String) span.get("span_id"))) {
        return Long.parseUnsignedLong(one.getTraceId().substring(0, 16), 16);
      }
    }
    throw new AssertionError("no span " + span.get("span_id"));
  }

  private static long id(List<Map<String, Object>> chunk) {
    return Long.parseUnsignedLong((String) chunk.get(0).get("trace_id"));
  }

  /** A number, of which the sign of zero is lost on the way; text where JSON has no number. */
  private static Double number(Object value) {
    return value == null
        ? null
        : value instanceof Number
            ? ((Number) value).doubleValue() + 0.0
            : Double.valueOf(value.toString().replace("Inf", "Infinity"));
  }

  /** What a tag with JSON says: attributes may have its name and be anything. */
  private static Object parsed(Object value) {
    try {
      return value instanceof String ? Json.parse((String) value) : value;
    } catch (IllegalArgumentException e) {
      return value;
    }
  }

  @SuppressWarnings("unchecked")
  private static String compare(
      Map<String, Object> ours, Map<String, Object> expected, long before) {
    for (Map.Entry<String, Object> field : expected.entrySet()) {
      String name = field.getKey();
      Object mine = ours.get(name);
      Object theirs = field.getValue();
      if (name.equals("meta") || name.equals("metrics")) {
        TreeMap<String, Object> a = new TreeMap<>((Map<String, Object>) mine);
        TreeMap<String, Object> b =
            new TreeMap<>(theirs == null ? new TreeMap<>() : (Map<String, Object>) theirs);
        for (Map<String, Object> map : java.util.Arrays.asList(a, b)) {
          map.replaceAll((key, value) -> name.equals("metrics") ? number(value) : value);
          for (String json : new String[] {"events", "_dd.span_links"}) {
            map.computeIfPresent(json, (key, value) -> parsed(value));
          }
        }
        if (!a.equals(b)) {
          TreeMap<String, Object> more = new TreeMap<>(a);
          b.forEach((key, value) -> more.remove(key, value));
          TreeMap<String, Object> less = new TreeMap<>(b);
          a.forEach((key, value) -> less.remove(key, value));
          return name + ": ours " + more + ", the agent's " + less;
        }
      } else if ("now".equals(theirs)) {
        long start = ((Number) mine).longValue();
        long end = start + ((Number) ours.get("duration")).longValue();
        if (start < before && end < before || Math.min(start, end) > before + HOUR) {
          return name + " is " + mine;
        }
      } else if (theirs instanceof Number
          ? !number(theirs).equals(number(mine))
          : !theirs.equals(mine)) {
        return name + ": ours " + mine + ", the agent's " + theirs;
      }
    }
    return null;
  }
}
