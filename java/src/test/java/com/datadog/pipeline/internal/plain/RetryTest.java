package com.datadog.pipeline.internal.plain;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.ErrorCode;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The rules of {@code src/transport/retry.rs}, and its cases. */
class RetryTest {
  @Test
  void onlyWhatCanSucceedIsRepeated() {
    for (int status : new int[] {408, 429, 500, 502, 503, 504, 599}) {
      assertTrue(Retry.repeatsStatus(status), status + "");
    }
    for (int status :
        new int[] {
          101, 204, 301, 304, 400, 401, 403, 404, 405, 413, 415, 422, 499, 501, 505, 600
        }) {
      assertFalse(Retry.repeatsStatus(status), status + "");
    }
    List<Integer> repeated = Arrays.asList(20, 21, 22, 23, 26, 27, 31);
    for (ErrorCode code : ErrorCode.values()) {
      assertEquals(repeated.contains(code.number()), Retry.repeatsKind(code), code.name());
    }
  }

  @Test
  void waitsGrowAreSpreadAndStayWithinTheirCeiling() {
    double[] sums = new double[8];
    for (int i = 0; i < 400; i++) {
      Retry retry = new Retry();
      for (int n = 0; n < sums.length; n++) {
        long wait = retry.next(600_000, -1);
        assertTrue(wait >= 0 && wait <= Math.min(100 << n, 1_000), n + ": " + wait);
        sums[n] += wait / 400.0;
      }
    }
    // Full jitter: the mean is half the ceiling.
    double[] ceilings = {100, 200, 400, 800, 1000, 1000, 1000, 1000};
    for (int n = 0; n < sums.length; n++) {
      assertEquals(0.5, sums[n] / ceilings[n], 0.08, Arrays.toString(sums));
    }
  }

  @Test
  void theBudgetAndTheAgentBoundEverything() {
    Retry retry = new Retry();
    for (int i = 0; i < 100; i++) {
      assertTrue(retry.next(500, -1) <= 480);
    }
    assertEquals(-1, retry.next(19, -1));
    assertEquals(-1, retry.next(-5, -1));
    long wait = new Retry().next(5_000, 2_000);
    assertTrue(wait >= 2_000 && wait <= 2_100, wait + "");
    assertEquals(-1, new Retry().next(5_000, 4_990));
    assertTrue(new Retry().next(5_000, 0) >= 0);
  }

  @Test
  void readsSecondsAndDatesAndIgnoresNonsense() {
    Object[][] cases = {
      {"0", 0L, 0L},
      {" 120 ", 0L, 120L},
      {"86400", 0L, 86400L},
      {"86401", 0L, -1L},
      {"99999999999999999999999", 0L, -1L},
      {"-1", 0L, -1L},
      {"1.5", 0L, -1L},
      {"soon", 0L, -1L},
      {"", 0L, -1L},
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770L, 7L},
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784_111_778L, -1L},
      {"Sunday, 06-Nov-94 08:49:37 GMT", 784_111_770L, 7L},
      {"Sun Nov  6 08:49:37 1994", 784_111_770L, 7L},
      {"Wed Nov 16 08:49:37 1994", 784_975_770L, 7L},
      {"Sunday, 06-Nov-44 08:49:37 GMT", 2_362_034_970L, 7L},
      {"Sun Nov  6 08:49:37", 784_111_770L, -1L},
      {"Sun, 06 Nov 1994 08:49:37 UTC", 784_111_770L, -1L},
      {"Thu, 01 Jan 1970 00:00:05 GMT", 0L, 5L},
      {"Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_799L, 1L},
      {"Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_199L, 1L},
      {"Fri, 31 Dec 9999 23:59:59 GMT", 0L, -1L},
      {"Sun, 06 Foo 1994 08:49:37 GMT", 0L, -1L},
      {"Sun, 06 Nov 1994 08:49 GMT", 0L, -1L},
    };
    for (Object[] c : cases) {
      long wait = Retry.retryAfter((String) c[0], (Long) c[1] * 1000);
      assertEquals(c[2], wait < 0 ? -1L : wait / 1000, c[0] + " at " + c[1]);
    }
    assertEquals(-1, Retry.retryAfter(null, 0));
  }
}
