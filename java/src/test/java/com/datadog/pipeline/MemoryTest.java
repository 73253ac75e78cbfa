package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class MemoryTest {
  private static final byte[] TWO = {(byte) 0x92, (byte) 0x90, (byte) 0x90};

  /** Bytes of Java heap that a call allocates on this thread, by the JVM's own account. */
  private static long allocated(int calls, Runnable call) {
    java.lang.management.ThreadMXBean bean = ManagementFactory.getThreadMXBean();
    assumeTrue(
        bean instanceof com.sun.management.ThreadMXBean, "this JVM does not count allocations");
    com.sun.management.ThreadMXBean counting = (com.sun.management.ThreadMXBean) bean;
    long id = Thread.currentThread().getId();
    for (int i = 0; i < 50; i++) {
      call.run();
    }
    counting.getThreadAllocatedBytes(id);
    long before = counting.getThreadAllocatedBytes(id);
    for (int i = 0; i < calls; i++) {
      call.run();
    }
    return (counting.getThreadAllocatedBytes(id) - before) / calls;
  }

  @Test
  void aSendWhoseAnswerIsTheLastOneAllocatesNothing() throws Exception {
    ByteBuffer direct = ByteBuffer.allocateDirect(SendTest.ONE.length);
    direct.put(SendTest.ONE);
    direct.flip();
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      assertEquals(0, allocated(500, () -> exporter.send(SendTest.ONE)));
      assertEquals(0, allocated(500, () -> exporter.send(direct)));
    }
  }

  @Test
  void anOfferAllocatesNothingAndAFutureLittle() throws Exception {
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      assertEquals(0, allocated(500, () -> exporter.offer(SendTest.ONE)));
      exporter.flush(Duration.ofSeconds(5));
      long future = allocated(500, () -> exporter.sendAsync(SendTest.ONE));
      assertTrue(future <= 200, future + " bytes");
      exporter.flush(Duration.ofSeconds(5));
    }
  }

  @Test
  void countsAloneCostASmallObjectAndANewBodyItsBytes() throws Exception {
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      boolean[] turn = new boolean[1];
      long counts = allocated(500, () -> exporter.send((turn[0] = !turn[0]) ? SendTest.ONE : TWO));
      assertTrue(counts <= 64, counts + " bytes");
      AtomicInteger n = new AtomicInteger();
      agent.answer(
          r ->
              Answer.json(
                  200,
                  "{\"rate_by_service\":{\"service:,env:\":0." + (n.incrementAndGet() % 9) + "}}"));
      long body = allocated(500, () -> exporter.send(SendTest.ONE));
      assertTrue(body > 0 && body <= 512, body + " bytes");
    }
  }

  /** Says whether connections of an exporter are still open, which only its end closes. */
  @Test
  void aForgottenExporterIsClosedAtALaterBuild() throws Exception {
    try (FakeAgent agent = FakeAgent.start()) {
      Builder builder =
          TraceExporter.builder()
              .url(agent.url())
              .discovery(false)
              .maxIdleAge(Duration.ofMinutes(9));
      try (TraceExporter kept = builder.build()) {
        kept.send(SendTest.ONE);
        forget(builder);
        assertEquals(2, agent.connections());
        for (int i = 0; i < 100 && agent.connections() > 1; i++) {
          System.gc();
          builder.build().close();
          Thread.sleep(20);
        }
        // That of the one that is still in use stays.
        assertEquals(1, agent.connections());
        assertEquals(200, kept.send(SendTest.ONE).status());
      }
    }
  }

  private static void forget(Builder builder) {
    builder.build().send(SendTest.ONE);
  }
}
