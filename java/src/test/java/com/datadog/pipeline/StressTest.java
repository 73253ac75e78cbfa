package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.FakeAgent;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class StressTest {
  private static final int ROUNDS = 2_000;
  private static final int SENDERS = 8;

  /** What the sends of a run came to. */
  private static final class Outcomes {
    final AtomicLong sent = new AtomicLong();
    final AtomicLong refused = new AtomicLong();
    final AtomicLong failed = new AtomicLong();
    final AtomicReference<Throwable> unexpected = new AtomicReference<>();
  }

  /** Each sender sends whatever exporter is the current one; two others close it. */
  @Test
  void sendersMeetClosersForTwoThousandRounds() throws Exception {
    Outcomes outcomes = new Outcomes();
    AtomicReference<TraceExporter> current = new AtomicReference<>();
    AtomicInteger round = new AtomicInteger();
    Metrics.Counts nothing = new Metrics.Counts(0, 0, 0);
    Metrics.Counts received = nothing;
    Metrics.Counts sent = nothing;
    Metrics.Counts dropped = nothing;
    Metrics.Counts pending = nothing;
    try (FakeAgent agent = FakeAgent.start()) {
      Builder builder =
          TraceExporter.builder().url(agent.url()).discovery(false).maxIdleConnections(8);
      current.set(builder.build());
      List<Thread> senders = new ArrayList<>();
      for (int i = 0; i < SENDERS; i++) {
        int kind = i;
        Thread sender = new Thread(() -> send(current, round, kind, outcomes), "sender-" + i);
        senders.add(sender);
        sender.start();
      }
      for (int n = 0; n < ROUNDS; n++) {
        TraceExporter exporter = current.get();
        long before = outcomes.sent.get();
        for (int spin = 0; spin < 100 && outcomes.sent.get() == before; spin++) {
          Thread.sleep(0, 50_000);
        }
        // Two threads at once, now and then without a limit: every sort of end is seen.
        Duration limit = n % 3 == 0 ? Duration.ZERO : Duration.ofMillis(200);
        AtomicReference<CloseResult> other = new AtomicReference<>();
        Thread second = new Thread(() -> other.set(exporter.close(limit)), "closer");
        second.start();
        CloseResult result = exporter.close(limit);
        second.join();
        assertEquals(result, other.get());
        Metrics m = result.metrics();
        pending = pending.plus(m.queued());
        received = received.plus(m.received());
        sent = sent.plus(m.sent());
        dropped = dropped.plus(m.droppedTotal());
        round.set(n + 1);
        current.set(n + 1 < ROUNDS ? builder.build() : null);
      }
      for (Thread sender : senders) {
        sender.join(20_000);
        assertTrue(!sender.isAlive(), "a sender hangs");
      }
      if (outcomes.unexpected.get() != null) {
        throw new AssertionError("a send ended in a way of its own", outcomes.unexpected.get());
      }
      String all =
          "received "
              + received
              + "; sent "
              + sent
              + "; dropped "
              + dropped
              + "; pending "
              + pending
              + "; callers saw "
              + outcomes.sent
              + " sent, "
              + outcomes.failed
              + " failed, "
              + outcomes.refused
              + " refused as closed; arrived "
              + agent.traceRequests().size();
      // Nothing is unaccounted for. What close did not wait for is pending in its account and may
      // still
      // have been sent; all else is what the callers saw, to the trace.
      assertEquals(received, sent.plus(dropped).plus(pending), all);
      assertTrue(outcomes.sent.get() >= sent.traces(), all);
      assertTrue(outcomes.sent.get() <= sent.traces() + pending.traces(), all);
      assertTrue(agent.traceRequests().size() >= sent.traces(), all);
      assertTrue(outcomes.sent.get() > ROUNDS / 2, all);
      assertTrue(outcomes.refused.get() > 0, all);
    }
  }

  private static void send(
      AtomicReference<TraceExporter> current, AtomicInteger round, int kind, Outcomes outcomes) {
    Set<ErrorCode> expected = EnumSet.of(ErrorCode.CLOSED, ErrorCode.CONNECTION_RESET);
    ByteBuffer direct = ByteBuffer.allocateDirect(SendTest.ONE.length);
    direct.put(SendTest.ONE);
    direct.flip();
    ByteBuffer[] pieces = {
      ByteBuffer.wrap(SendTest.ONE, 0, 3), ByteBuffer.wrap(SendTest.ONE, 3, SendTest.ONE.length - 3)
    };
    byte[] payload = Arrays.copyOf(SendTest.ONE, SendTest.ONE.length);
    for (TraceExporter e = current.get(); e != null; e = current.get()) {
      try {
        AgentResponse response =
            kind % 4 == 0 ? e.send(direct) : kind % 4 == 1 ? e.send(pieces) : e.send(payload);
        if (response.status() != 200 || response.traces() != 1 || response.spans() != 1) {
          throw new AssertionError(response);
        }
        outcomes.sent.incrementAndGet();
      } catch (IllegalStateException closed) {
        outcomes.refused.incrementAndGet();
        // The next exporter is not there yet; on a small machine it needs this thread's time.
        Thread.yield();
      } catch (TraceExporterException failed) {
        outcomes.failed.incrementAndGet();
        if (!expected.contains(failed.code())) {
          outcomes.unexpected.compareAndSet(null, failed);
        }
      } catch (Throwable t) {
        outcomes.unexpected.compareAndSet(null, t);
      }
    }
    assertTrue(round.get() == ROUNDS);
  }
}
