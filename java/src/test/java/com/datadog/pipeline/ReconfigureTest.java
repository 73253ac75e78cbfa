package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.FakeAgent;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Settings that change while the exporter lives, and several destinations. */
class ReconfigureTest {
  private static final byte[] PAYLOAD = {(byte) 0x91, (byte) 0x91, (byte) 0x80};

  @Test
  void settingsChangeWithTheNextSendAndTheAccountLivesOn() throws Exception {
    try (FakeAgent one = FakeAgent.start();
        FakeAgent two = FakeAgent.start();
        TraceExporter exporter =
            TraceExporter.builder().url(one.url()).header("X-Key", "s3cret").build()) {
      exporter.send(PAYLOAD);
      exporter.reconfigure(
          settings -> settings.url(two.url()).header("x-key", "s3cret2").service("shop"));
      exporter.send(PAYLOAD);
      assertEquals(2, exporter.metrics().sent().traces());
      assertTrue(exporter.toString().contains("service=shop"), exporter.toString());
      String explained = exporter.explain();
      assertTrue(explained.contains("\"header\"") && !explained.contains("s3cret"), explained);

      TraceExporterException e =
          assertThrows(
              TraceExporterException.class,
              () -> exporter.reconfigure(settings -> settings.queueBytes(1 << 20)));
      assertEquals(ErrorCode.INVALID_CONFIGURATION, e.code());
      assertTrue(e.getMessage().contains("queueBytes: it cannot change"), e.getMessage());
      assertThrows(
          IllegalArgumentException.class,
          () -> exporter.reconfigure(settings -> settings.logListener(line -> {})));
    }
  }

  @Test
  void whatTheFirstDoesNotTakeGoesToTheSecond() throws Exception {
    try (FakeAgent second = FakeAgent.start();
        TraceExporter exporter =
            TraceExporter.builder()
                .destinations(
                    Destination.agent("http://127.0.0.1:9"), Destination.agent(second.url()))
                .sendBudget(Duration.ofSeconds(2))
                .build()) {
      assertEquals(200, exporter.send(PAYLOAD).status());
      assertEquals(1, exporter.metrics().sent().traces());
    }
  }
}
