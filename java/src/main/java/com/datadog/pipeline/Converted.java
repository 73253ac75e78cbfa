package com.datadog.pipeline;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.internal.Words;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What {@link Payloads#convert} made of a payload. Immutable and thread-safe. */
public final class Converted {
  private final byte[] body;
  private final Map<?, ?> facts;

  /** Takes what the native side answers: a line of JSON, then the body. */
  Converted(byte[] answer) {
    int line = 0;
    while (answer[line] != '\n') {
      line++;
    }
    this.facts = (Map<?, ?>) Json.parse(new String(answer, 0, line, StandardCharsets.UTF_8));
    this.body = Arrays.copyOfRange(answer, line + 1, answer.length);
  }

  /** The payload in the format wanted. A copy. */
  public byte[] body() {
    return body.clone();
  }

  /** The format that the payload had: {@code v0.4}, {@code v0.5} or {@code v1}. */
  public String from() {
    return (String) facts.get("from");
  }

  /** Traces of the body. */
  public long traces() {
    return number("traces");
  }

  /** Spans of the body. */
  public long spans() {
    return number("spans");
  }

  /** Traces that the rules left out. */
  public long filtered() {
    return number("filtered");
  }

  /** Traces left out because sampling had rejected them. */
  public long sampledOut() {
    return number("sampled_out");
  }

  /** Traces left out because they could not be read. */
  public long malformed() {
    return number("malformed");
  }

  /** Values repaired. */
  public long repaired() {
    return number("repaired");
  }

  /** Spans that the format could not carry whole. */
  public long lostInConversion() {
    return number("lost_in_conversion");
  }

  /** Place and reason of the first fault that was repaired or left out, or null. */
  public @Nullable String firstFault() {
    return (String) facts.get("first_fault");
  }

  private long number(String key) {
    return (Long) facts.get(key);
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof Converted
        && Arrays.equals(((Converted) o).body, body)
        && ((Converted) o).facts.equals(facts);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(body) * 31 + facts.hashCode();
  }

  /** The counts, those that are not zero. */
  @Override
  public String toString() {
    StringBuilder s = new StringBuilder("from ").append(from());
    s.append(": ").append(Words.count(number("received_traces"), "trace")).append(", ");
    s.append(Words.count(number("received_spans"), "span")).append(", ");
    s.append(Words.count(number("received_bytes"), "byte")).append("; made ");
    s.append(Words.count(traces(), "trace")).append(", ");
    s.append(Words.count(spans(), "span")).append(", ");
    s.append(Words.count(number("bytes"), "byte"));
    count(s, filtered(), "trace", " filtered");
    count(s, sampledOut(), "trace", " sampled out");
    count(s, malformed(), "trace", " malformed");
    count(s, repaired(), "value", " repaired");
    count(s, lostInConversion(), "span", " not carried whole");
    if (firstFault() != null) {
      s.append("; first fault: ").append(firstFault());
    }
    return s.toString();
  }

  private static void count(StringBuilder s, long n, String noun, String what) {
    if (n != 0) {
      s.append(", ").append(Words.count(n, noun)).append(what);
    }
  }
}
