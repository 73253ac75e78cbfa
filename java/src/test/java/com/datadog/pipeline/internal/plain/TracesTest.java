package com.datadog.pipeline.internal.plain;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.ErrorCode;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TracesTest {
  private static byte[] real() throws IOException {
    File file = new File(System.getProperty("fixtures"), "traces/java");
    File[] all = file.listFiles((folder, name) -> name.endsWith(".msgpack"));
    Arrays.sort(all);
    return Files.readAllBytes(all[1].toPath());
  }

  @Test
  void everyPlaceWhereARealPayloadMayBreakOffIsTruncated() throws Exception {
    byte[] real = real();
    Traces whole = Traces.read(real, 0, real.length);
    assertTrue(whole.count() > 0 && whole.spans(0, whole.count()) > 0);
    assertEquals(real.length, whole.offset(0) + whole.size(0, whole.count()));
    for (int length = 0; length < real.length; length++) {
      int cut = length;
      Failure e = assertThrows(Failure.class, () -> Traces.read(real, 0, cut));
      assertEquals(ErrorCode.TRUNCATED_PAYLOAD, e.code, cut + ": " + e.getMessage());
    }
  }

  @Test
  void anythingIsReadOrRefused() throws Exception {
    byte[] real = real();
    long seed = System.nanoTime();
    Random random = new Random(seed);
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = i % 2 == 0 ? real.clone() : new byte[random.nextInt(64)];
      if (i % 2 == 0) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
      } else {
        random.nextBytes(bytes);
        bytes = i % 4 == 1 && bytes.length > 0 ? withHead(bytes) : bytes;
      }
      try {
        Traces traces = Traces.read(bytes, 0, bytes.length);
        assertTrue(traces.count() <= bytes.length, "seed " + seed);
        for (int t = 0; t < traces.count() && t < 3; t++) {
          traces.describe(t);
        }
      } catch (Failure e) {
        assertTrue(
            e.code == ErrorCode.MALFORMED_PAYLOAD || e.code == ErrorCode.TRUNCATED_PAYLOAD,
            "seed " + seed + ": " + e.code);
      }
    }
  }

  private static byte[] withHead(byte[] bytes) {
    bytes[0] = (byte) 0x91;
    return bytes;
  }

  @Test
  void declaredSizesAreNotTrusted() {
    byte[][] all = {
      {(byte) 0xdd, -1, -1, -1, -1},
      {(byte) 0x91, (byte) 0xdd, 127, -1, -1, -1},
      {(byte) 0x91, (byte) 0x91, (byte) 0xdf, -1, -1, -1, -1},
      {(byte) 0x91, (byte) 0x91, (byte) 0x81, (byte) 0xa1, 'a', (byte) 0xdb, -1, -1, -1, -1},
      {(byte) 0x91, (byte) 0x91, (byte) 0x81, (byte) 0xa1, 'a', (byte) 0xdd, 127, -1, -1, -1},
    };
    for (byte[] bytes : all) {
      Failure e = assertThrows(Failure.class, () -> Traces.read(bytes, 0, bytes.length));
      assertEquals(ErrorCode.TRUNCATED_PAYLOAD, e.code, Arrays.toString(bytes));
    }
    assertEquals(0, Traces.declared(all[0], 0, 5));
    assertEquals(0, Traces.declared(new byte[0], 0, 0));
    assertEquals(3, Traces.declared(new byte[] {9, (byte) 0xdc, 0, 3}, 1, 3) + 0);
    assertEquals(1, Traces.declared(all[2], 0, 7));
  }

  @Test
  void nestingCostsNoStack() throws Failure {
    byte[] deep = new byte[1 << 20];
    Arrays.fill(deep, (byte) 0x91);
    byte[] head = {(byte) 0x91, (byte) 0x91, (byte) 0x81, (byte) 0xa1, 'k'};
    System.arraycopy(head, 0, deep, 0, head.length);
    deep[deep.length - 1] = 0;
    assertEquals(1, Traces.read(deep, 0, deep.length).count());
  }

  @Test
  void nilIsAnEmptyTraceOrSpan() throws Failure {
    byte[] nils = {(byte) 0x92, (byte) 0xc0, (byte) 0x91, (byte) 0xc0};
    Traces traces = Traces.read(nils, 0, nils.length);
    assertEquals(2, traces.count());
    assertEquals(1, traces.spans(0, 2));
  }
}
