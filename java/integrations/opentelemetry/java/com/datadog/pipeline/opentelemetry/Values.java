package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.trace.TraceState;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Values as the agent turns them into text. For what comes once in a while: it makes strings. */
final class Values {
  private Values() {}

  /** A value as text: a list or a map as JSON, bytes as base64. */
  static String text(Object value) {
    if (value instanceof String) {
      return (String) value;
    }
    if (value instanceof Value) {
      Value<?> typed = (Value<?>) value;
      switch (typed.getType()) {
        case KEY_VALUE_LIST:
        case ARRAY:
          return json(value);
        default:
          return text(typed.getValue());
      }
    }
    if (value instanceof Double) {
      return Json.number((Double) value);
    }
    if (value instanceof ByteBuffer) {
      return Json.base64((ByteBuffer) value);
    }
    return value instanceof java.util.List ? json(value) : String.valueOf(value);
  }

  private static String json(Object value) {
    Json json = new Json();
    json.value(value);
    return new String(json.out.bytes, 0, json.out.len, StandardCharsets.UTF_8);
  }

  /** As the header {@code tracestate} has it. */
  static String traceState(TraceState state) {
    StringBuilder out = new StringBuilder();
    state.forEach(
        (key, value) -> {
          if (out.length() > 0) {
            out.append(',');
          }
          out.append(key).append('=').append(value);
        });
    return out.toString();
  }

  /** The rate that the entry {@code ot} tells, negative if it tells none. */
  static double sampleRate(TraceState state) {
    String ot = state.get("ot");
    if (ot == null) {
      return -1;
    }
    for (String part : ot.split(";")) {
      if (part.startsWith("th:") && part.length() > 3 && part.length() <= 3 + 14) {
        double threshold = 0;
        double digit = 1.0 / 16;
        for (int i = 3; i < part.length(); i++) {
          int value = Character.digit(part.charAt(i), 16);
          if (value < 0) {
            return -1;
          }
          threshold += value * digit;
          digit /= 16;
        }
        return 1 - threshold;
      }
      if (part.startsWith("p:")) {
        try {
          int power = Integer.parseInt(part.substring(2));
          return power >= 0 && power < 63 ? Math.pow(2, -power) : -1;
        } catch (NumberFormatException e) {
          return -1;
        }
      }
    }
    return -1;
  }
}
