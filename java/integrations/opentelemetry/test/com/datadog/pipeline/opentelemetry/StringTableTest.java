package com.datadog.pipeline.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class StringTableTest {
  private static int number(StringTable table, String text) {
    Buf from = new Buf();
    from.raw(text);
    return table.of(from, from.len);
  }

  @Test
  void textsThatDifferInOneByteHaveNumbersOfTheirOwn() {
    StringTable table = new StringTable();
    table.begin();
    assertEquals(0, number(table, ""));
    StringBuilder want = new StringBuilder("\u00a0");
    int next = 1;
    // More than the table begins with, so that it grows in between.
    for (int length = 1; length <= 31; length++) {
      for (int at = 0; at < length; at++) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
          text.append(i == at ? 'x' : 'a');
        }
        assertEquals(next, number(table, text.toString()), text::toString);
        want.append((char) (0xa0 | length)).append(text);
        next++;
      }
    }
    // The same texts have the same numbers, in the same payload only.
    assertEquals(1, number(table, "x"));
    assertEquals(2, number(table, "xa"));
    Buf spans = new Buf();
    spans.put(0x90);
    Buf payload = table.complete(spans);
    // An array of two, the table as an array of so many, the spans.
    want.insert(0, "\u0092\u00dd\0\0" + (char) (next >> 8) + (char) (next & 0xff)).append('\u0090');
    String written = new String(payload.bytes, 0, payload.len, StandardCharsets.ISO_8859_1);
    assertEquals(want.toString(), written);
    table.begin();
    assertEquals(1, number(table, "xa"));
  }
}
