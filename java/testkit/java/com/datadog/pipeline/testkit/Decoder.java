package com.datadog.pipeline.testkit;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Traces of payloads, v0.4 and v0.5; {@link V1Decoder} reads v1. Not thread-safe. */
final class Decoder {
  private static final String[] V05_FIELDS = {
    "service", "name", "resource", "trace_id", "span_id", "parent_id", "start", "duration", "error"
  };

  private final Msgpack in;

  private Decoder(byte[] payload) {
    in = new Msgpack(payload);
  }

  /** A payload of any format: a map is v1, an array that begins with an array of texts v0.5. */
  static List<Trace> any(byte[] payload) {
    Msgpack first = new Msgpack(payload);
    int head = first.peek();
    if (head >= 0x80 && head < 0x90 || head == 0xde || head == 0xdf) {
      return V1Decoder.read(payload);
    }
    boolean table = first.array() == 2 && isArray(first.peek()) && first.array() > 0;
    return table && first.isText() ? v05(payload) : v04(payload);
  }

  private static boolean isArray(int head) {
    return head >= 0x90 && head < 0xa0 || head == 0xdc || head == 0xdd;
  }

  static List<Trace> v04(byte[] payload) {
    Decoder decoder = new Decoder(payload);
    List<Trace> traces = new ArrayList<>();
    for (int chunks = decoder.in.array(); chunks > 0; chunks--) {
      List<Span> spans = new ArrayList<>();
      for (int n = decoder.in.array(); n > 0; n--) {
        spans.add(decoder.span());
      }
      traces.add(new Trace(spans, null, null));
    }
    decoder.in.end();
    return traces;
  }

  private Span span() {
    Span span = new Span();
    for (int n = in.map(); n > 0; n--) {
      String key = in.text();
      switch (key) {
        case "meta":
          for (int m = in.map(); m > 0; m--) {
            span.meta.put(in.text(), in.text());
          }
          break;
        case "metrics":
          for (int m = in.map(); m > 0; m--) {
            span.metrics.put(in.text(), in.number().doubleValue());
          }
          break;
        case "meta_struct":
          for (int m = in.map(); m > 0; m--) {
            span.metaStruct.put(in.text(), in.binary());
          }
          break;
        case "span_links":
          maps(in.value(), span.links);
          break;
        case "span_events":
          maps(in.value(), span.events);
          break;
        default:
          span.fields.put(key, in.value());
      }
    }
    return span;
  }

  @SuppressWarnings("unchecked")
  private static void maps(Object value, List<Map<String, Object>> to) {
    for (Object one : value instanceof List ? (List<?>) value : new ArrayList<>()) {
      to.add((Map<String, Object>) one);
    }
  }

  static List<Trace> v05(byte[] payload) {
    Decoder decoder = new Decoder(payload);
    Msgpack in = decoder.in;
    expect(in.array() == 2, "a v0.5 payload has two parts");
    List<String> table = new ArrayList<>();
    for (int n = in.array(); n > 0; n--) {
      table.add(in.text());
    }
    List<Trace> traces = new ArrayList<>();
    for (int chunks = in.array(); chunks > 0; chunks--) {
      List<Span> spans = new ArrayList<>();
      for (int n = in.array(); n > 0; n--) {
        spans.add(decoder.span(table));
      }
      traces.add(new Trace(spans, null, null));
    }
    in.end();
    return traces;
  }

  private Span span(List<String> table) {
    expect(in.array() == 12, "a span of v0.5 has twelve fields");
    Span span = new Span();
    for (int i = 0; i < V05_FIELDS.length; i++) {
      span.fields.put(V05_FIELDS[i], i < 3 ? text(table) : (Object) in.integer());
    }
    for (int n = in.map(); n > 0; n--) {
      span.meta.put(text(table), text(table));
    }
    for (int n = in.map(); n > 0; n--) {
      span.metrics.put(text(table), in.number().doubleValue());
    }
    span.fields.put("type", text(table));
    return span;
  }

  private String text(List<String> table) {
    long index = in.integer();
    expect(index >= 0 && index < table.size(), "text " + index + " of " + table.size());
    return table.get((int) index);
  }

  private static void expect(boolean holds, String what) {
    if (!holds) {
      throw new IllegalArgumentException(what);
    }
  }
}
