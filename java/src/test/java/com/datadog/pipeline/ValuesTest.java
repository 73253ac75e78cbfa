package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What values are equal to, what a closed exporter says, and what an argument must be. */
class ValuesTest {
  private static final byte[] ONE = SendTest.ONE;

  @Test
  void closedItTellsTheLastStateAndTakesNothing() throws Exception {
    try (FakeAgent agent = FakeAgent.start()) {
      TraceExporter exporter =
          TraceExporter.builder().url(agent.url()).computeStats(Duration.ofSeconds(1)).build();
      exporter.send(ONE);
      exporter.close();
      assertEquals(1, exporter.metrics().sent().traces());
      assertEquals(exporter.metrics(), exporter.close(Duration.ZERO).metrics());
      assertEquals(AgentState.Condition.READY, exporter.state().condition());
      assertEquals(exporter.state(), exporter.state());
      assertTrue(exporter.explain().contains(agent.url()), exporter.explain());
      assertEquals(exporter.stats(), exporter.stats());
      Executable[] calls = {
        () -> exporter.send(ONE),
        () -> exporter.send(ByteBuffer.wrap(ONE)),
        () -> exporter.offer(ONE),
        () -> exporter.sendAsync(ONE),
        () -> exporter.flush(Duration.ZERO),
        () -> exporter.flushStats(Duration.ZERO),
        () -> exporter.suspend(Duration.ZERO),
        exporter::resume,
        exporter::agentInfo,
        () -> exporter.fetchAgentInfo(Duration.ZERO),
        () -> exporter.awaitAgent(Duration.ZERO),
      };
      for (int i = 0; i < calls.length; i++) {
        assertThrows(IllegalStateException.class, calls[i], "call " + i);
      }
    }
  }

  @Test
  void anAnswerIsEqualToAnEqualOne() throws Exception {
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter a = TraceExporter.builder().url(agent.url()).build();
        TraceExporter b = TraceExporter.builder().url(agent.url()).build()) {
      AgentResponse first = a.send(ONE);
      assertEquals(first, b.send(ONE));
      assertEquals(first.hashCode(), b.send(ONE).hashCode());
      agent.answer(r -> Answer.json(200, "{}"));
      assertNotEquals(first, b.send(ONE));
      assertEquals(
          a.fetchAgentInfo(Duration.ofSeconds(5)), b.fetchAgentInfo(Duration.ofSeconds(5)));
      FlushResult flushed = a.flush(Duration.ofSeconds(5));
      assertEquals(flushed, a.flush(Duration.ofSeconds(5)));
      assertTrue(flushed.complete() && flushed.delivered(), flushed.toString());
      agent.answer(r -> Answer.json(400, "no"));
      a.offer(ONE);
      FlushResult dropped = a.flush(Duration.ofSeconds(5));
      assertTrue(dropped.complete(), dropped.toString());
      assertFalse(dropped.delivered(), dropped.toString());
    }
    assertEquals(StatsLimits.of(9, 1, 2, 3, 4), StatsLimits.of(9, 1, 2, 3, 4));
    assertEquals(
        Payloads.Conversion.to(OutputFormat.V1).dropP0(),
        Payloads.Conversion.to(OutputFormat.V1).dropP0());
  }

  @Test
  void anAnswerSaysWhatWasLeftOut() throws Exception {
    byte[] two = new byte[2 * ONE.length - 1];
    System.arraycopy(ONE, 0, two, 0, ONE.length);
    System.arraycopy(ONE, 1, two, ONE.length, ONE.length - 1);
    two[0] = (byte) 0x92;
    byte[] cut = Arrays.copyOf(two, two.length - 3);
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build();
        TraceExporter picky =
            TraceExporter.builder().url(agent.url()).requireTag("no.such.tag").build()) {
      AgentResponse all = exporter.send(two);
      assertEquals(2, all.traces());
      assertEquals(new Metrics.Counts(0, 0, 0), all.malformed());
      AgentResponse part = exporter.send(cut);
      assertEquals(1, part.traces());
      assertEquals(1, part.malformed().traces());
      assertNotEquals(all, part);
      assertTrue(part.toString().contains("malformed=1"), part.toString());
      AgentResponse none = picky.send(two);
      assertEquals(0, none.traces());
      assertEquals(2, none.filtered().traces());
      assertEquals(0, none.repaired());
    }
  }

  @Test
  void aPayloadInPiecesCanBeQueued() throws Exception {
    ByteBuffer direct = ByteBuffer.allocateDirect(ONE.length - 3);
    direct.put(ONE, 3, ONE.length - 3).flip();
    ByteBuffer[] pieces = {ByteBuffer.wrap(ONE, 0, 2), ByteBuffer.wrap(ONE, 2, 1), direct};
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      assertTrue(exporter.offer(pieces));
      assertEquals(200, exporter.sendAsync(pieces).join().status());
      assertTrue(exporter.flush(Duration.ofSeconds(10)).delivered());
      assertEquals(2, exporter.metrics().sent().traces());
      assertEquals(2 * ONE.length, exporter.metrics().sent().bytes());
      assertEquals(direct.capacity(), direct.remaining());
    }
  }

  @Test
  void anArgumentThatIsWrongIsNamed() throws Exception {
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      ByteBuffer[] hole = {ByteBuffer.wrap(ONE), null};
      Object[][] cases = {
        {"payload", (Executable) () -> exporter.send((byte[]) null)},
        {"payload", (Executable) () -> exporter.send((ByteBuffer) null)},
        {"payload", (Executable) () -> exporter.send((ByteBuffer[]) null)},
        {"payload[1]", (Executable) () -> exporter.send(hole)},
        {"payload", (Executable) () -> exporter.offer((byte[]) null)},
        {"payload[1]", (Executable) () -> exporter.offer(hole)},
        {"payload", (Executable) () -> exporter.sendAsync((ByteBuffer) null)},
        {"payload[1]", (Executable) () -> exporter.sendAsync(hole)},
        {"offset 1", (Executable) () -> exporter.send(ONE, 1, ONE.length)},
        {"droppedP0Traces is -1", (Executable) () -> exporter.send(ONE, 0, ONE.length, -1, 0)},
        {"droppedP0Spans is -2", (Executable) () -> exporter.offer(ONE, 0, ONE.length, 0, -2)},
        {"limit", (Executable) () -> exporter.flush(null)},
        {"limit", (Executable) () -> exporter.awaitAgent(null)},
        {"payload", (Executable) () -> Payloads.show(null)},
        {"conversion", (Executable) () -> Payloads.convert(ONE, null)},
        {"format", (Executable) () -> Payloads.Conversion.to(OutputFormat.AUTO)},
        {
          "payloads[1]",
          (Executable)
              () -> Payloads.stats(Arrays.asList(ONE, null), Payloads.Counting.whereTheyEnded())
        },
        {"counting", (Executable) () -> Payloads.stats(Collections.singletonList(ONE), null)},
        {"text", (Executable) () -> Payloads.obfuscate((String) null, null)},
        {"preset", (Executable) () -> Payloads.Obfuscation.of(Payloads.TextKind.SQL).preset(null)},
      };
      for (Object[] c : cases) {
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, (Executable) c[1], (String) c[0]);
        assertTrue(e.getMessage().startsWith((String) c[0]), e.getMessage());
      }
      assertEquals(0, exporter.metrics().payloads());
    }
  }
}
