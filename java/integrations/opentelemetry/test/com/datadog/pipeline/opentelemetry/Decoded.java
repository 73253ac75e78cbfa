package com.datadog.pipeline.opentelemetry;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads a v0.5 payload the plain way: every span a map with the field names of v0.4. */
final class Decoded {
  private final ByteBuffer in;
  private final List<String> table = new ArrayList<>();

  private Decoded(byte[] bytes, int length) {
    in = ByteBuffer.wrap(bytes, 0, length);
  }

  static List<List<Map<String, Object>>> read(byte[] bytes, int length) {
    Decoded decoded = new Decoded(bytes, length);
    List<List<Map<String, Object>>> chunks = decoded.payload();
    if (decoded.in.hasRemaining()) {
      throw new IllegalStateException(decoded.in.remaining() + " bytes behind the payload");
    }
    return chunks;
  }

  private List<List<Map<String, Object>>> payload() {
    expect(count() == 2, "two parts");
    long strings = count();
    for (long i = 0; i < strings; i++) {
      table.add((String) value());
    }
    List<List<Map<String, Object>>> chunks = new ArrayList<>();
    long n = count();
    for (long i = 0; i < n; i++) {
      List<Map<String, Object>> chunk = new ArrayList<>();
      long spans = count();
      for (long s = 0; s < spans; s++) {
        chunk.add(span());
      }
      chunks.add(chunk);
    }
    return chunks;
  }

  private Map<String, Object> span() {
    expect(count() == 12, "twelve fields");
    Map<String, Object> span = new LinkedHashMap<>();
    span.put("service", text());
    span.put("name", text());
    span.put("resource", text());
    for (String field : new String[] {"trace_id", "span_id", "parent_id"}) {
      span.put(field, Long.toUnsignedString((Long) value()));
    }
    for (String field : new String[] {"start", "duration", "error"}) {
      span.put(field, value());
    }
    Map<String, Object> meta = new LinkedHashMap<>();
    long n = count();
    for (long i = 0; i < n; i++) {
      String key = text();
      expect(meta.put(key, text()) == null, "one " + key + " in meta");
    }
    span.put("meta", meta);
    Map<String, Object> metrics = new LinkedHashMap<>();
    n = count();
    for (long i = 0; i < n; i++) {
      String key = text();
      expect(metrics.put(key, value()) == null, "one " + key + " in metrics");
    }
    span.put("metrics", metrics);
    span.put("type", text());
    return span;
  }

  private static void expect(boolean holds, String what) {
    if (!holds) {
      throw new IllegalStateException("expected " + what);
    }
  }

  private String text() {
    return table.get(((Long) value()).intValue());
  }

  /** The count of an array or a map. */
  private long count() {
    int head = in.get() & 0xff;
    if (head >= 0x80 && head < 0xa0) {
      return head & 0x0f;
    }
    switch (head) {
      case 0xdc:
      case 0xde:
        return in.getShort() & 0xffff;
      case 0xdd:
      case 0xdf:
        return in.getInt() & 0xffffffffL;
      default:
        throw new IllegalStateException("no container: " + Integer.toHexString(head));
    }
  }

  private Object value() {
    int head = in.get() & 0xff;
    if (head < 0x80) {
      return (long) head;
    }
    if (head >= 0xa0 && head < 0xc0) {
      return string(head & 0x1f);
    }
    switch (head) {
      case 0xcb:
        return in.getDouble();
      case 0xcc:
        return (long) (in.get() & 0xff);
      case 0xcd:
        return (long) (in.getShort() & 0xffff);
      case 0xce:
        return in.getInt() & 0xffffffffL;
      case 0xcf:
      case 0xd3:
        return in.getLong();
      case 0xd9:
        return string(in.get() & 0xff);
      case 0xda:
        return string(in.getShort() & 0xffff);
      case 0xdb:
        return string(in.getInt());
      default:
        throw new IllegalStateException("no value: " + Integer.toHexString(head));
    }
  }

  private String string(int length) {
    byte[] bytes = new byte[length];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
