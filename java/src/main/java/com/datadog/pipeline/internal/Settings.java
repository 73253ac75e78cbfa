package com.datadog.pipeline.internal;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The settings on their way to the native side: one msgpack map. Not thread-safe.
 *
 * <p>Values are text, booleans, non-negative longs, and lists and maps of these.
 */
public final class Settings {
  private final Map<String, Object> values = new LinkedHashMap<>();

  /** Sets a value; null removes it. */
  public void put(String key, Object value) {
    if (value == null) {
      values.remove(key);
    } else {
      values.put(key, value);
    }
  }

  /** The value, or null. */
  public Object get(String key) {
    return values.get(key);
  }

  /** A copy that later changes do not reach. */
  public Map<String, Object> copy() {
    return new LinkedHashMap<>(values);
  }

  /** The map as msgpack. */
  public static byte[] encode(Map<String, Object> values) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(256);
    head(out, 0xde, values.size());
    for (Map.Entry<String, Object> e : values.entrySet()) {
      value(out, e.getKey());
      value(out, e.getValue());
    }
    return out.toByteArray();
  }

  private static void head(ByteArrayOutputStream out, int marker, int n) {
    out.write(marker);
    out.write(n >>> 8);
    out.write(n);
  }

  private static void value(ByteArrayOutputStream out, Object value) {
    if (value instanceof Boolean) {
      out.write((Boolean) value ? 0xc3 : 0xc2);
    } else if (value instanceof Long) {
      long v = (Long) value;
      out.write(0xcf);
      for (int shift = 56; shift >= 0; shift -= 8) {
        out.write((int) (v >>> shift));
      }
    } else if (value instanceof Map) {
      Map<?, ?> map = (Map<?, ?>) value;
      head(out, 0xde, map.size());
      for (Map.Entry<?, ?> e : map.entrySet()) {
        value(out, e.getKey());
        value(out, e.getValue());
      }
    } else if (value instanceof List) {
      List<?> list = (List<?>) value;
      head(out, 0xdc, list.size());
      for (Object o : list) {
        value(out, o);
      }
    } else {
      byte[] text = value.toString().getBytes(StandardCharsets.UTF_8);
      out.write(0xdb);
      for (int shift = 24; shift >= 0; shift -= 8) {
        out.write(text.length >>> shift);
      }
      out.write(text, 0, text.length);
    }
  }
}
