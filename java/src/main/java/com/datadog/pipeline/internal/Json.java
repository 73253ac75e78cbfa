package com.datadog.pipeline.internal;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A small JSON reader and writer for what agents answer and tools print. Stateless, thread-safe.
 *
 * <p>Objects become {@code Map<String, Object>}, arrays {@code List<Object>}, numbers {@code
 * Double} or {@code Long}.
 */
public final class Json {
  private static final int MAX_DEPTH = 64;

  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /**
   * Reads one JSON value.
   *
   * @throws IllegalArgumentException if the text is not one; the message has the offset
   */
  public static Object parse(String text) {
    Json json = new Json(text);
    Object value = json.value(0);
    json.space();
    if (json.at != text.length()) {
      throw json.bad("something stands behind the value");
    }
    return value;
  }

  private IllegalArgumentException bad(String why) {
    return new IllegalArgumentException("not JSON at offset " + at + ": " + why);
  }

  private void space() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private boolean take(char c) {
    space();
    if (at < text.length() && text.charAt(at) == c) {
      at++;
      return true;
    }
    return false;
  }

  private Object value(int depth) {
    space();
    if (depth > MAX_DEPTH) {
      throw bad("nested too deeply");
    }
    if (at >= text.length()) {
      throw bad("it ends");
    }
    char c = text.charAt(at);
    switch (c) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string();
      case 't':
        return word("true", Boolean.TRUE);
      case 'f':
        return word("false", Boolean.FALSE);
      case 'n':
        return word("null", null);
      default:
        return number();
    }
  }

  private Object word(String word, Object value) {
    if (!text.startsWith(word, at)) {
      throw bad("unknown word");
    }
    at += word.length();
    return value;
  }

  private Map<String, Object> object(int depth) {
    Map<String, Object> map = new LinkedHashMap<>();
    at++;
    if (take('}')) {
      return map;
    }
    do {
      space();
      if (at >= text.length() || text.charAt(at) != '"') {
        throw bad("a key is missing");
      }
      String key = string();
      if (!take(':')) {
        throw bad("a colon is missing");
      }
      map.put(key, value(depth + 1));
    } while (take(','));
    if (!take('}')) {
      throw bad("a brace is missing");
    }
    return map;
  }

  private List<Object> array(int depth) {
    List<Object> list = new ArrayList<>();
    at++;
    if (take(']')) {
      return list;
    }
    do {
      list.add(value(depth + 1));
    } while (take(','));
    if (!take(']')) {
      throw bad("a bracket is missing");
    }
    return list;
  }

  private String string() {
    StringBuilder s = new StringBuilder();
    at++;
    while (true) {
      if (at >= text.length()) {
        throw bad("a string does not end");
      }
      char c = text.charAt(at++);
      if (c == '"') {
        return s.toString();
      }
      if (c != '\\') {
        s.append(c);
        continue;
      }
      char e = at < text.length() ? text.charAt(at++) : 0;
      int i = "\"\\/bfnrt".indexOf(e);
      if (e == 'u' && at + 4 <= text.length()) {
        try {
          s.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
        } catch (NumberFormatException x) {
          throw bad("a bad escape");
        }
        at += 4;
      } else if (e != 0 && i >= 0) {
        s.append("\"\\/\b\f\n\r\t".charAt(i));
      } else {
        throw bad("a bad escape");
      }
    }
  }

  private Object number() {
    int start = at;
    while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    String s = text.substring(start, at);
    try {
      if (s.indexOf('.') < 0 && s.indexOf('e') < 0 && s.indexOf('E') < 0) {
        try {
          return Long.valueOf(s);
        } catch (NumberFormatException e) {
          // More than a long holds: an id of 64 bits without a sign, for instance.
          return Double.valueOf(s);
        }
      }
      return Double.valueOf(s);
    } catch (NumberFormatException e) {
      at = start;
      throw bad("not a number");
    }
  }

  /** Appends a JSON string. */
  public static void quote(StringBuilder out, String s) {
    out.append('"');
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < 0x20) {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    out.append('"');
  }

  /** Appends a value: null, text, number, boolean, map or iterable. */
  public static void write(StringBuilder out, Object value) {
    if (value == null || value instanceof Number || value instanceof Boolean) {
      out.append(value);
    } else if (value instanceof Map) {
      char separator = '{';
      for (Map.Entry<?, ?> e : ((Map<?, ?>) value).entrySet()) {
        out.append(separator);
        quote(out, String.valueOf(e.getKey()));
        out.append(':');
        write(out, e.getValue());
        separator = ',';
      }
      out.append(separator == '{' ? "{}" : "}");
    } else if (value instanceof Iterable) {
      char separator = '[';
      for (Object o : (Iterable<?>) value) {
        out.append(separator);
        write(out, o);
        separator = ',';
      }
      out.append(separator == '[' ? "[]" : "]");
    } else {
      quote(out, value.toString());
    }
  }
}
