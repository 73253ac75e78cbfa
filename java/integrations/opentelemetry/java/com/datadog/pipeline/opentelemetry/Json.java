package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.sdk.trace.data.EventData;
import io.opentelemetry.sdk.trace.data.LinkData;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.function.BiConsumer;

/** The agent's JSON of events, links and values that are no plain text, straight into a buffer. */
final class Json implements BiConsumer<AttributeKey<?>, Object> {
  private static final char[] HEX = "0123456789abcdef".toCharArray();
  private static final char[] BASE64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".toCharArray();

  private static final byte[] TIME = bytes("\"time_unix_nano\":");
  private static final byte[] NAME = bytes("\"name\":");
  private static final byte[] SPAN_ID = bytes("\",\"span_id\":\"");
  private static final byte[] DROPPED = bytes("\"dropped_attributes_count\":");
  private static final byte[] ATTRIBUTES = bytes("\"attributes\":{");
  private static final byte[] REDACTED = bytes("\"redacted\"");
  private static final byte[] FIRST_LINK = bytes("{\"trace_id\":\"");
  private static final byte[] NEXT_LINK = bytes(",{\"trace_id\":\"");

  /** ASCII that stands in a text of JSON as it is. */
  private static final boolean[] PLAIN = plain('"', '\\');

  /** The same in events, where what HTML would read is escaped, too. */
  private static final boolean[] PLAIN_IN_EVENTS = plain('"', '\\', '<', '>', '&');

  private static boolean[] plain(char... escaped) {
    boolean[] plain = new boolean[128];
    Arrays.fill(plain, 0x20, 128, true);
    for (char c : escaped) {
      plain[c] = false;
    }
    return plain;
  }

  /** The digits of the numbers below 100. */
  private static final byte[] TENS = new byte[100];

  private static final byte[] ONES = new byte[100];

  static {
    for (int i = 0; i < 100; i++) {
      TENS[i] = (byte) ('0' + i / 10);
      ONES[i] = (byte) ('0' + i % 10);
    }
  }

  final Buf out = new Buf();
  private boolean[] plain = PLAIN;
  private boolean first;
  private boolean asText;

  /** Whether a value held a number that JSON cannot write. */
  private boolean isBroken;

  /** {@code [{"time_unix_nano":N,"name":…,"attributes":{…},"dropped_attributes_count":N}]}. */
  void events(List<EventData> events) {
    plain = PLAIN_IN_EVENTS;
    out.put('[');
    for (int i = 0; i < events.size(); i++) {
      EventData event = events.get(i);
      if (i > 0) {
        out.put(',');
      }
      out.put('{');
      boolean more = false;
      if (event.getEpochNanos() != 0) {
        out.put(TIME);
        number(event.getEpochNanos());
        more = true;
      }
      if (!event.getName().isEmpty()) {
        comma(more);
        out.put(NAME);
        text(event.getName());
        more = true;
      }
      more |= attributes(event.getAttributes(), more, false);
      dropped(event.getDroppedAttributesCount(), more);
      out.put('}');
    }
    out.put(']');
  }

  /** As the agent writes {@code _dd.span_links}, but with texts escaped. */
  void links(List<LinkData> links) {
    plain = PLAIN;
    out.put('[');
    for (int i = 0; i < links.size(); i++) {
      LinkData link = links.get(i);
      out.put(i > 0 ? NEXT_LINK : FIRST_LINK);
      out.ascii(link.getSpanContext().getTraceId());
      out.put(SPAN_ID);
      out.ascii(link.getSpanContext().getSpanId());
      out.put('"');
      if (!link.getSpanContext().getTraceState().isEmpty()) {
        out.ascii(",\"tracestate\":");
        text(Values.traceState(link.getSpanContext().getTraceState()));
      }
      attributes(link.getAttributes(), true, true);
      dropped(link.getTotalAttributeCount() - link.getAttributes().size(), true);
      out.put('}');
    }
    out.put(']');
  }

  private static byte[] bytes(String s) {
    return s.getBytes(StandardCharsets.US_ASCII);
  }

  private void comma(boolean more) {
    if (more) {
      out.put(',');
    }
  }

  private void dropped(int count, boolean more) {
    if (count > 0) {
      comma(more);
      out.put(DROPPED);
      number(count);
    }
  }

  private boolean attributes(Attributes attributes, boolean more, boolean text) {
    if (attributes.isEmpty()) {
      return false;
    }
    comma(more);
    out.put(ATTRIBUTES);
    first = true;
    asText = text;
    attributes.forEach(this);
    out.put('}');
    return true;
  }

  @Override
  public void accept(AttributeKey<?> key, Object value) {
    name(key.getKey());
    if (!asText) {
      int at = out.len;
      isBroken = false;
      value(value);
      if (isBroken) {
        out.len = at;
        out.put(REDACTED);
      }
    } else if (value instanceof String) {
      text((String) value);
    } else if (value instanceof Long || value instanceof Boolean) {
      out.put('"');
      value(value);
      out.put('"');
    } else {
      text(Values.text(value));
    }
  }

  /** A list or a map as a tag has it; nothing if one of its numbers cannot be written. */
  void structure(Object value) {
    plain = PLAIN;
    out.clear();
    isBroken = false;
    value(value);
    if (isBroken) {
      out.clear();
    }
  }

  /** A value with its type. */
  private void value(Object value) {
    if (value instanceof String) {
      text((String) value);
    } else if (value instanceof Long || value instanceof Integer) {
      number(((Number) value).longValue());
    } else if (value instanceof Double) {
      double number = (Double) value;
      isBroken |= Double.isNaN(number) || Double.isInfinite(number);
      out.ascii(number(number));
    } else if (value instanceof Boolean) {
      out.ascii((Boolean) value ? "true" : "false");
    } else if (value instanceof List) {
      list((List<?>) value);
    } else if (value instanceof ByteBuffer && !((ByteBuffer) value).hasRemaining()) {
      out.ascii("null");
    } else if (value instanceof ByteBuffer) {
      out.put('"');
      out.ascii(base64((ByteBuffer) value));
      out.put('"');
    } else if (value instanceof Value) {
      typed((Value<?>) value);
    } else {
      out.ascii("null");
    }
  }

  private void typed(Value<?> value) {
    Object inner = value.getValue();
    switch (value.getType()) {
      case KEY_VALUE_LIST:
        map((List<?>) inner);
        break;
      default:
        value(inner);
    }
  }

  private void list(List<?> values) {
    out.put('[');
    for (int i = 0; i < values.size(); i++) {
      comma(i > 0);
      value(values.get(i));
    }
    out.put(']');
  }

  private void map(List<?> pairs) {
    List<KeyValue> sorted = new ArrayList<>(pairs.size());
    for (Object pair : pairs) {
      sorted.add((KeyValue) pair);
    }
    Collections.sort(sorted, Comparator.comparing(KeyValue::getKey));
    out.put('{');
    boolean more = false;
    for (KeyValue pair : sorted) {
      comma(more);
      more = true;
      text(pair.getKey());
      out.put(':');
      typed(pair.getValue());
    }
    out.put('}');
  }

  private void number(long value) {
    if (value == Long.MIN_VALUE) {
      out.ascii("-9223372036854775808");
      return;
    }
    if (value < 0) {
      out.put('-');
      value = -value;
    }
    int digits = 1;
    for (long bound = 10; digits < 19 && value >= bound; bound *= 10) {
      digits++;
    }
    out.reserve(digits);
    byte[] bytes = out.bytes;
    int at = out.len + digits;
    // Divisions of ints are cheaper; a timestamp takes four of them for each of a long.
    while (value > Integer.MAX_VALUE) {
      long rest = value / 100_000_000;
      int eight = (int) (value - rest * 100_000_000);
      for (int i = 0; i < 4; i++) {
        int next = eight / 100;
        at = two(bytes, at, eight - next * 100);
        eight = next;
      }
      value = rest;
    }
    int small = (int) value;
    for (; small >= 100; small /= 100) {
      at = two(bytes, at, small % 100);
    }
    if (small >= 10) {
      two(bytes, at, small);
    } else {
      bytes[--at] = (byte) ('0' + small);
    }
    out.len += digits;
  }

  /** Two digits that end here; gives where they begin. */
  private static int two(byte[] bytes, int end, int value) {
    bytes[end - 1] = ONES[value];
    bytes[end - 2] = TENS[value];
    return end - 2;
  }

  /** The name of an attribute, with the comma before it and the colon behind. */
  private void name(String s) {
    out.reserve(s.length() + 4);
    if (!first) {
      out.bytes[out.len++] = ',';
    }
    first = false;
    text(s);
    out.put(':');
  }

  /** In quotes, escaped as the agent does it. */
  private void text(String s) {
    int n = s.length();
    out.reserve(n + 2);
    byte[] bytes = out.bytes;
    boolean[] good = plain;
    int at = out.len;
    bytes[at++] = '"';
    int i = 0;
    for (; i < n; i++) {
      char c = s.charAt(i);
      if (c >= 128 || !good[c]) {
        break;
      }
      bytes[at++] = (byte) c;
    }
    if (i == n) {
      bytes[at++] = '"';
      out.len = at;
      return;
    }
    out.len = at;
    rest(s, i);
    out.put('"');
  }

  /** What has something to be escaped, or is not ASCII. */
  private void rest(String s, int from) {
    int n = s.length();
    for (int i = from; i < n; i++) {
      char c = s.charAt(i);
      if (c < 128 ? plain[c] : c != '\u2028' && c != '\u2029') {
        continue;
      }
      if (i > from) {
        out.raw(s.substring(from, i));
      }
      from = i + 1;
      escape(c);
    }
    if (from < n) {
      out.raw(s.substring(from));
    }
  }

  private void escape(char c) {
    out.put('\\');
    switch (c) {
      case '"':
      case '\\':
        out.put(c);
        break;
      case '\b':
        out.put('b');
        break;
      case '\f':
        out.put('f');
        break;
      case '\n':
        out.put('n');
        break;
      case '\r':
        out.put('r');
        break;
      case '\t':
        out.put('t');
        break;
      default:
        out.put('u');
        for (int shift = 12; shift >= 0; shift -= 4) {
          out.put(HEX[c >>> shift & 15]);
        }
    }
  }

  /** As Go writes it: shortest, plain from 1e-6 to 1e21, else with an exponent. */
  static String number(double d) {
    if (Double.isNaN(d) || Double.isInfinite(d)) {
      return Double.toString(d);
    }
    if (d == 0) {
      return 1 / d < 0 ? "-0" : "0";
    }
    BigDecimal shortest = shortest(d);
    double size = Math.abs(d);
    if (size >= 1e-6 && size < 1e21) {
      return shortest.stripTrailingZeros().toPlainString();
    }
    BigDecimal stripped = shortest.stripTrailingZeros();
    String digits = stripped.unscaledValue().abs().toString();
    int exponent = digits.length() - 1 - stripped.scale();
    StringBuilder out = new StringBuilder();
    if (d < 0) {
      out.append('-');
    }
    out.append(digits.charAt(0));
    if (digits.length() > 1) {
      out.append('.').append(digits, 1, digits.length());
    }
    return out.append('e').append(exponent < 0 ? '-' : '+').append(Math.abs(exponent)).toString();
  }

  /** JVMs before 19 sometimes print a digit too many. */
  private static BigDecimal shortest(double d) {
    BigDecimal known = new BigDecimal(Double.toString(d));
    for (int digits = known.precision() - 1; digits > 0; digits--) {
      BigDecimal shorter = known.round(new MathContext(digits));
      if (shorter.doubleValue() != d) {
        return known;
      }
      known = shorter;
    }
    return known;
  }

  static String base64(ByteBuffer bytes) {
    ByteBuffer b = bytes.duplicate();
    StringBuilder out = new StringBuilder((b.remaining() + 2) / 3 * 4);
    while (b.hasRemaining()) {
      int left = Math.min(3, b.remaining());
      int word = 0;
      for (int i = 0; i < 3; i++) {
        word = word << 8 | (i < left ? b.get() & 0xff : 0);
      }
      for (int i = 0; i < 4; i++) {
        out.append(i <= left ? BASE64[word >>> 18 - 6 * i & 63] : '=');
      }
    }
    return out.toString();
  }
}
