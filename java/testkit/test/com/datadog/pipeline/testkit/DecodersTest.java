package com.datadog.pipeline.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.internal.Json;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The kit's own decoders beside the library's, on payloads of real tracers. */
class DecodersTest {
  private static List<File> captured() {
    List<File> files = new ArrayList<>();
    for (File tracer : new File(System.getProperty("fixtures"), "traces").listFiles()) {
      File[] payloads = tracer.listFiles((dir, name) -> name.endsWith(".msgpack"));
      files.addAll(Arrays.asList(payloads == null ? new File[0] : payloads));
    }
    files.sort(null);
    assertTrue(files.size() > 20, files.toString());
    return files;
  }

  @Test
  void bothReadTheSameFromEveryFormat() throws IOException {
    for (File file : captured()) {
      byte[] payload = Files.readAllBytes(file.toPath());
      if (payload.length < 2) {
        continue;
      }
      for (OutputFormat format :
          new OutputFormat[] {OutputFormat.V04, OutputFormat.V05, OutputFormat.V1}) {
        byte[] body = Payloads.convert(payload, Payloads.Conversion.to(format)).body();
        ListExporter exporter = new ListExporter();
        exporter.accept(body);
        compare(file + " " + format, Payloads.show(body), exporter.spans(), format);
      }
    }
  }

  private static void compare(String of, String lines, List<Span> spans, OutputFormat format) {
    String[] all = lines.split("\n");
    assertEquals(all.length, spans.size(), of);
    for (int i = 0; i < all.length; i++) {
      Map<?, ?> line = (Map<?, ?>) Json.parse(all[i]);
      Span span = spans.get(i);
      String where = of + " span " + i + ": " + span;
      assertEquals(line.get("service"), span.service(), where);
      assertEquals(line.get("name"), span.name(), where);
      assertEquals(line.get("resource"), span.resource(), where);
      assertEquals(line.get("type"), span.type(), where);
      assertEquals(line.get("trace_id"), Long.toUnsignedString(span.traceId()), where);
      assertEquals(line.get("span_id"), Long.toUnsignedString(span.spanId()), where);
      assertEquals(line.get("parent_id"), Long.toUnsignedString(span.parentId()), where);
      assertEquals(line.get("start"), span.startNanos(), where);
      assertEquals(line.get("duration"), span.durationNanos(), where);
      assertEquals((Long) line.get("error") != 0, span.isError(), where);
      Map<?, ?> meta = (Map<?, ?>) line.get("meta");
      Map<?, ?> metrics = (Map<?, ?>) line.get("metrics");
      if (format != OutputFormat.V1) {
        assertEquals(meta.size(), span.meta().size(), where);
        assertEquals(metrics.size(), span.metrics().size(), where);
      }
      // What v1 says of a chunk or payload is put on its first span by the library.
      span.meta().forEach((k, v) -> assertEquals(plain(meta.get(k)), plain(v), where + k));
      span.metrics().forEach((k, v) -> same(v, metrics.get(k), where + k));
    }
  }

  /** Java has one sign for several bytes that are no text, the library one for each. */
  private static String plain(Object text) {
    return String.valueOf(text).replaceAll("\uFFFD+", "?");
  }

  /** JSON has no number that is not finite: the library writes null there. */
  private static void same(Double value, Object shown, String where) {
    boolean finite = !value.isNaN() && !value.isInfinite();
    assertEquals(
        finite ? value : null, shown == null ? null : ((Number) shown).doubleValue(), where);
  }

  @Test
  void whatIsNoPayloadIsAnErrorWithItsPlace() {
    String[] bad = {
      "",
      "\u0091",
      "\u0091\u0091\u0005",
      "no payload",
      "\u00dd\u007f\u00ff\u00ff\u00ff",
      "\u0091\u0091\u0081\u00a4meta\u00df\u00ff\u00ff\u00ff\u00ff",
      "\u0092\u0091\u00a1x\u0091\u0091\u0090"
    };
    for (String text : bad) {
      ListExporter exporter = new ListExporter();
      exporter.accept(text.getBytes(StandardCharsets.ISO_8859_1));
      RuntimeException e = assertThrows(RuntimeException.class, exporter::traces, text);
      assertEquals(IllegalArgumentException.class, e.getClass(), text + e);
    }
  }

  @Test
  void aSinkFailsOnRequest() {
    ListExporter exporter = new ListExporter();
    exporter.failWith(new IllegalStateException("full"));
    assertThrows(IllegalStateException.class, () -> exporter.accept(new byte[] {(byte) 0x90}));
    exporter.failWith(null);
    exporter.accept(new byte[] {(byte) 0x90});
    exporter.assertTraces().isEmpty();
    assertEquals(1, exporter.payloads().size());
    exporter.clear();
    assertEquals(0, exporter.payloads().size());
  }
}
