package com.datadog.pipeline.opentelemetry;

/** The agent's normalization of tag values, services and operation names. */
final class Normalize {
  private static final int MAX_TAG = 200;
  private static final int MAX_SERVICE = 100;
  private static final int MAX_NAME = 100;

  private Normalize() {}

  /**
   * Lower case; what is no letter, digit or {@code :./-} becomes one underscore; 200 characters.
   */
  static String tagValue(String value) {
    StringBuilder out = null;
    int n = value.length();
    int chars = 0;
    int bytes = 0;
    boolean cut = false;
    for (int i = 0; i < n; ) {
      int c = value.codePointAt(i);
      int width = Character.charCount(c);
      int lower = lower(c);
      boolean stays = isTagCharacter(lower);
      if (out == null && (!stays || lower != c)) {
        out = new StringBuilder(n).append(value, 0, i);
      }
      if (stays) {
        if (out != null) {
          if (cut) {
            out.append('_');
          }
          out.appendCodePoint(lower);
        }
        cut = false;
      } else {
        cut = true;
      }
      chars++;
      bytes += utf8Length(c);
      i += width;
      if (chars >= MAX_TAG || bytes >= 2 * MAX_TAG) {
        return out == null ? value.substring(0, i) : out.toString();
      }
    }
    return out == null ? value : out.toString();
  }

  private static int lower(int c) {
    if (c < 0x80) {
      return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    if (!Character.isUpperCase(c)) {
      return c;
    }
    int lower = Character.toLowerCase(c);
    return utf8Length(lower) == utf8Length(c) ? lower : c;
  }

  private static boolean isTagCharacter(int c) {
    if (c < 0x80) {
      return c >= 'a' && c <= 'z'
          || c >= '0' && c <= '9'
          || c == ':'
          || c == '.'
          || c == '/'
          || c == '-';
    }
    int type = Character.getType(c);
    return Character.isLetter(c) || type == Character.DECIMAL_DIGIT_NUMBER;
  }

  private static int utf8Length(int c) {
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  }

  /** As a tag value, of at most 100 bytes; what is empty then is the agent's stand-in. */
  static String service(String service) {
    String normalized = tagValue(truncate(service, MAX_SERVICE));
    return normalized.isEmpty() ? "unnamed-service" : normalized;
  }

  /** At most so many bytes of UTF-8, no character cut. */
  static String truncate(String text, int most) {
    if (text.length() * 3L <= most) {
      return text;
    }
    int bytes = 0;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      bytes += utf8Length(c);
      if (bytes > most) {
        return text.substring(0, i);
      }
      i += Character.charCount(c);
    }
    return text;
  }

  /** Letters, digits, underscores and periods, from the first letter on; 100 bytes. */
  static String name(String name) {
    String text = truncate(name, MAX_NAME);
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean letter = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z';
      int end = out.length();
      if (end == 0) {
        if (letter) {
          out.append(c);
        }
        continue;
      }
      char last = out.charAt(end - 1);
      if (letter || c >= '0' && c <= '9') {
        out.append(c);
      } else if (c == '.') {
        if (last == '_') {
          out.setCharAt(end - 1, '.');
        } else {
          out.append('.');
        }
      } else if (last != '.' && last != '_') {
        out.append('_');
      }
    }
    int end = out.length();
    if (end > 0 && out.charAt(end - 1) == '_') {
      out.setLength(end - 1);
    }
    return out.length() == 0 ? "unnamed_operation" : out.toString();
  }
}
