package com.datadog.pipeline.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class JsonTest {
  private static String json(Object value) {
    Json json = new Json();
    json.value(value);
    return new String(json.out.bytes, 0, json.out.len, StandardCharsets.UTF_8);
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
      {"<a&b>", "\"\\u003ca\\u0026b\\u003e\""},
      {"tab\tline\nend", "\"tab\\tline\\nend\""},
      {"\u0001", "\"\\u0001\""},
      {"h\u00e9<", "\"h\u00e9\\u003c\""},
      {"\u2028x", "\"\\u2028x\""},
      {"\u00e9\u00e9", "\"\u00e9\u00e9\""},
      {"\ud83d\ude00 ok", "\"\ud83d\ude00 ok\""},
    };
    for (String[] c : cases) {
      assertEquals(c[1], json(c[0]));
    }
  }
}
