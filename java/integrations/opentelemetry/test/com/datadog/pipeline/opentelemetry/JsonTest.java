package com.datadog.pipeline.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.sdk.trace.data.EventData;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import org.junit.jupiter.api.Test;

class JsonTest {
  private static String json(Object value) {
    Json json = new Json();
    json.structure(value);
    return text(json);
  }

  private static String text(Json json) {
    return new String(json.out.bytes, 0, json.out.len, StandardCharsets.UTF_8);
  }

  private static String event(Attributes attributes) {
    Json json = new Json();
    json.events(Collections.singletonList(EventData.create(0, "<e&>", attributes)));
    return text(json);
  }

  @Test
  void numbersHaveAllTheirDigits() {
    long[] edges = {
      0, 7, Integer.MAX_VALUE, Integer.MAX_VALUE + 1L, Long.MAX_VALUE, Long.MIN_VALUE
    };
    for (long edge : edges) {
      assertEquals(Long.toString(edge), json(edge));
    }
    for (long power = 1; power <= 1_000_000_000_000_000_000L; power *= 10) {
      for (long value : new long[] {power - 1, power, power + 1, -power, 3 * power}) {
        assertEquals(Long.toString(value), json(value));
      }
      if (power == 1_000_000_000_000_000_000L) {
        break;
      }
    }
    assertEquals("1700000000000000000", json(1_700_000_000_000_000_000L));
  }

  @Test
  void textsAreEscapedAsGoDoesIt() {
    String[][] cases = {
      {"", "\"\""},
      {"plain", "\"plain\""},
      {"a\"b", "\"a\\\"b\""},
      {"\\", "\"\\\\\""},
      {"<a&b>", "\"<a&b>\""},
      {"\b\f", "\"\\b\\f\""},
      {"tab\tline\nend", "\"tab\\tline\\nend\""},
      {"\u0001", "\"\\u0001\""},
      {"h\u00e9<", "\"h\u00e9<\""},
      {"\u2028x", "\"\\u2028x\""},
      {"\u00e9\u00e9", "\"\u00e9\u00e9\""},
      {"\ud83d\ude00 ok", "\"\ud83d\ude00 ok\""},
    };
    for (String[] c : cases) {
      assertEquals(c[1], json(c[0]));
    }
  }

  @Test
  void eventsEscapeWhatHtmlWouldRead() {
    assertEquals(
        "[{\"name\":\"\\u003ce\\u0026\\u003e\",\"attributes\":{\"k\":\"h\u00e9\\u003c\"}}]",
        event(Attributes.of(AttributeKey.stringKey("k"), "h\u00e9<")));
  }

  @Test
  void aNumberThatJsonCannotWriteDoesNotBreakTheRest() {
    assertEquals("", json(Arrays.asList(1.0, Double.NaN)));
    assertEquals("[1,2]", json(Arrays.asList(1.0, 2.0)));
    Attributes attributes =
        Attributes.builder().put("a", Double.NaN).put("b", 1.0, Double.POSITIVE_INFINITY).build();
    assertEquals(
        "[{\"name\":\"\\u003ce\\u0026\\u003e\",\"attributes\":{\"a\":\"redacted\",\"b\":\"redacted\"}}]",
        event(attributes));
  }
}
