package com.datadog.pipeline.testkit;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Traces of v1 payloads: maps with small integers as keys; a text stands where it first occurs, and
 * is a number afterwards. Not thread-safe.
 */
final class V1Decoder {
  private static final String[] KINDS = {
    "unspecified", "internal", "server", "client", "producer", "consumer"
  };

  private final Msgpack in;
  private final List<String> texts = new ArrayList<>();

  private V1Decoder(byte[] payload) {
    in = new Msgpack(payload);
    texts.add("");
  }

  static List<Trace> read(byte[] payload) {
    V1Decoder decoder = new V1Decoder(payload);
    List<Trace> traces = new ArrayList<>();
    for (int n = decoder.in.map(); n > 0; n--) {
      long key = decoder.in.integer();
      if (key == 11) {
        for (int chunks = decoder.in.array(); chunks > 0; chunks--) {
          traces.add(decoder.chunk());
        }
      } else if (key == 10) {
        decoder.attributes(new LinkedHashMap<>());
      } else if (key >= 2 && key <= 9) {
        decoder.text();
      } else {
        throw new IllegalArgumentException("a v1 payload has no key " + key);
      }
    }
    decoder.in.end();
    return traces;
  }

  private String text() {
    if (in.isText()) {
      texts.add(in.text());
      return texts.get(texts.size() - 1);
    }
    long index = in.integer();
    if (index < 0 || index >= texts.size()) {
      throw new IllegalArgumentException("text " + index + " of " + texts.size());
    }
    return texts.get((int) index);
  }

  private Trace chunk() {
    Integer priority = null;
    String origin = null;
    long traceId = 0;
    List<Span> spans = new ArrayList<>();
    for (int n = in.map(); n > 0; n--) {
      long key = in.integer();
      switch ((int) key) {
        case 1:
          priority = (int) in.integer();
          break;
        case 2:
          origin = text();
          break;
        case 3:
          attributes(new LinkedHashMap<>());
          break;
        case 4:
          for (int s = in.array(); s > 0; s--) {
            spans.add(span());
          }
          break;
        case 5:
        case 7:
          in.value();
          break;
        case 6:
          traceId = ByteBuffer.wrap(in.binary()).getLong(8);
          break;
        default:
          throw new IllegalArgumentException("a chunk of v1 has no key " + key);
      }
    }
    for (Span span : spans) {
      span.fields.put("trace_id", traceId);
    }
    return new Trace(spans, priority, origin);
  }

  private Span span() {
    Span span = new Span();
    Map<String, Object> attributes = new LinkedHashMap<>();
    Map<String, String> promoted = new LinkedHashMap<>();
    for (int n = in.map(); n > 0; n--) {
      long key = in.integer();
      switch ((int) key) {
        case 1:
          span.fields.put("service", text());
          break;
        case 2:
          span.fields.put("name", text());
          break;
        case 3:
          span.fields.put("resource", text());
          break;
        case 4:
          span.fields.put("span_id", in.integer());
          break;
        case 5:
          span.fields.put("parent_id", in.integer());
          break;
        case 6:
          span.fields.put("start", in.integer());
          break;
        case 7:
          span.fields.put("duration", in.integer());
          break;
        case 8:
          span.fields.put("error", in.integer());
          break;
        case 9:
          attributes(attributes);
          break;
        case 10:
          span.fields.put("type", text());
          break;
        case 11:
          for (int m = in.array(); m > 0; m--) {
            span.links.add(link());
          }
          break;
        case 12:
          for (int m = in.array(); m > 0; m--) {
            span.events.add(event());
          }
          break;
        case 13:
          promoted.put("env", text());
          break;
        case 14:
          promoted.put("version", text());
          break;
        case 15:
          promoted.put("component", text());
          break;
        case 16:
          int kind = (int) in.integer();
          if (kind > 0 && kind < KINDS.length) {
            promoted.put("span.kind", KINDS[kind]);
          }
          break;
        default:
          throw new IllegalArgumentException("a span of v1 has no key " + key);
      }
    }
    for (Map.Entry<String, String> e : promoted.entrySet()) {
      if (!e.getValue().isEmpty()) {
        span.meta.put(e.getKey(), e.getValue());
      }
    }
    for (Map.Entry<String, Object> e : attributes.entrySet()) {
      Object value = e.getValue();
      if (value instanceof Number) {
        span.metrics.put(e.getKey(), ((Number) value).doubleValue());
      } else if (value instanceof byte[]) {
        span.metaStruct.put(e.getKey(), (byte[]) value);
      } else {
        span.meta.put(e.getKey(), String.valueOf(value));
      }
    }
    return span;
  }

  private Map<String, Object> link() {
    Map<String, Object> link = new LinkedHashMap<>();
    for (int n = in.map(); n > 0; n--) {
      long key = in.integer();
      if (key == 1) {
        ByteBuffer id = ByteBuffer.wrap(in.binary());
        link.put("trace_id_high", id.getLong(0));
        link.put("trace_id", id.getLong(8));
      } else if (key == 2) {
        link.put("span_id", in.integer());
      } else if (key == 3) {
        link.put("attributes", attributes(new LinkedHashMap<>()));
      } else if (key == 4) {
        link.put("tracestate", text());
      } else if (key == 5) {
        link.put("flags", in.integer());
      } else {
        throw new IllegalArgumentException("a link of v1 has no key " + key);
      }
    }
    return link;
  }

  private Map<String, Object> event() {
    Map<String, Object> event = new LinkedHashMap<>();
    for (int n = in.map(); n > 0; n--) {
      long key = in.integer();
      if (key == 1) {
        event.put("time_unix_nano", in.integer());
      } else if (key == 2) {
        event.put("name", text());
      } else if (key == 3) {
        event.put("attributes", attributes(new LinkedHashMap<>()));
      } else {
        throw new IllegalArgumentException("an event of v1 has no key " + key);
      }
    }
    return event;
  }

  /** Attributes are one flat array: key, type, value, and so on. */
  private Map<String, Object> attributes(Map<String, Object> to) {
    for (int n = in.array(); n > 0; n -= 3) {
      String key = text();
      to.put(key, typed());
    }
    return to;
  }

  private Object typed() {
    long type = in.integer();
    switch ((int) type) {
      case 1:
        return text();
      case 2:
      case 3:
      case 4:
      case 5:
        return in.value();
      case 6:
        List<Object> all = new ArrayList<>();
        for (int n = in.array(); n > 0; n -= 2) {
          all.add(typed());
        }
        return all;
      case 7:
        return attributes(new LinkedHashMap<>());
      default:
        throw new IllegalArgumentException("an attribute of v1 has no type " + type);
    }
  }
}
