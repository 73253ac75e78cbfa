package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.trace.TraceState;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Values as the agent turns them into text. For what comes once in a while: it makes strings. */
final class Values {
  /** What a threshold of 14 hex digits is a part of. */
  private static final long ALWAYS = 1L << 56;

  private static final int NOT_SAMPLED = -2;

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
    json.structure(value);
    return new String(json.out.bytes, 0, json.out.len, StandardCharsets.UTF_8);
  }

  /** What a text says of analytics: 1, 0, or negative if it is no boolean. */
  static double analytics(String text) {
    switch (text) {
      case "1":
      case "t":
      case "T":
      case "true":
      case "TRUE":
      case "True":
        return 1;
      case "0":
      case "f":
      case "F":
      case "false":
      case "FALSE":
      case "False":
        return 0;
      default:
        return -1;
    }
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

  /** The rate that the entry {@code ot} tells, negative if it tells none or is malformed. */
  static double sampleRate(TraceState state) {
    String ot = state.get("ot");
    if (ot == null || ot.isEmpty() || ot.length() > 256 || ot.endsWith(";")) {
      return -1;
    }
    long threshold = -1;
    int power = -1;
    for (String part : ot.split(";")) {
      int colon = part.indexOf(':');
      if (colon < 1 || !isKey(part, colon)) {
        return -1;
      }
      String value = part.substring(colon + 1);
      switch (part.substring(0, colon)) {
        case "th":
          threshold = digits(value);
          if (threshold < 0) {
            return -1;
          }
          break;
        case "rv":
          if (value.length() != 14 || digits(value) < 0) {
            return -1;
          }
          break;
        case "p":
          power = power == -1 ? power(value) : power;
          break;
        default:
      }
    }
    if (threshold >= 0) {
      return (double) (ALWAYS - threshold) / ALWAYS;
    }
    return power >= 0 ? Math.scalb(1.0, -power) : -1;
  }

  /**
   * A lower-case letter, then these and digits, before the colon; letters and {@code ._-} after.
   */
  private static boolean isKey(String part, int colon) {
    for (int i = 0; i < part.length(); i++) {
      char c = part.charAt(i);
      boolean lower = c >= 'a' && c <= 'z';
      boolean digit = c >= '0' && c <= '9';
      boolean upper = c >= 'A' && c <= 'Z';
      boolean good =
          i < colon
              ? lower || i > 0 && digit
              : i == colon || lower || upper || digit || c == '.' || c == '_' || c == '-';
      if (!good) {
        return false;
      }
    }
    return true;
  }

  /** One to 14 hex digits, as if zeros followed up to 14; negative if they are none. */
  private static long digits(String hex) {
    if (hex.isEmpty() || hex.length() > 14) {
      return -1;
    }
    long sum = 0;
    for (int i = 0; i < 14; i++) {
      int value = i < hex.length() ? Character.digit(hex.charAt(i), 16) : 0;
      if (value < 0) {
        return -1;
      }
      sum = sum << 4 | value;
    }
    return sum;
  }

  /** A power from 0 to 62; 63 says that the span was not sampled. */
  private static int power(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return NOT_SAMPLED;
      }
    }
    try {
      int power = Integer.parseInt(text);
      return power < 63 ? power : NOT_SAMPLED;
    } catch (NumberFormatException e) {
      return NOT_SAMPLED;
    }
  }
}
