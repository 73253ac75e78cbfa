package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What goes wrong most, through the JAR; the whole matrix is the native side's. */
class FaultsTest {
  @TempDir Path folder;
  private FakeAgent agent;

  @BeforeEach
  void start() throws IOException {
    agent = FakeAgent.start();
  }

  @AfterEach
  void stop() throws IOException {
    agent.close();
  }

  /** One trace with one span, a tag, and a resource of so many bytes. */
  static byte[] trace(String tag, String value, int resource) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(0x91);
    chunk(out, tag, value, resource);
    return out.toByteArray();
  }

  /** So many of them. */
  static byte[] traces(int count, int resource) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(0x90 | count);
    for (int i = 0; i < count; i++) {
      chunk(out, "k", "v", resource);
    }
    return out.toByteArray();
  }

  private static void chunk(ByteArrayOutputStream out, String tag, String value, int resource) {
    out.write(0x91);
    out.write(0x84);
    text(out, "service");
    text(out, "shop");
    text(out, "name");
    text(out, "x");
    text(out, "resource");
    char[] letters = new char[resource];
    Arrays.fill(letters, 'r');
    text(out, new String(letters));
    text(out, "meta");
    out.write(0x81);
    text(out, tag);
    text(out, value);
  }

  private static void text(ByteArrayOutputStream out, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    out.write(0xda);
    out.write(bytes.length >>> 8);
    out.write(bytes.length);
    out.write(bytes, 0, bytes.length);
  }

  /** A builder with no setting made. */
  Builder bare() {
    return TraceExporter.builder();
  }

  private Builder builder(long budgetMillis) {
    return bare().url(agent.url()).sendBudget(Duration.ofMillis(budgetMillis));
  }

  /** The send fails so, and the account says where every trace is. */
  private static TraceExporterException fails(
      TraceExporter exporter, byte[] payload, ErrorCode code, DropReason reason) {
    TraceExporterException e =
        assertThrows(TraceExporterException.class, () -> exporter.send(payload));
    assertEquals(code, e.code(), e.getMessage());
    assertTrue(
        exporter.metrics().dropped().get(reason).traces() > 0, exporter.metrics().toString());
    balanced(exporter.metrics());
    return e;
  }

  private static void balanced(Metrics m) {
    assertEquals(
        m.received(),
        m.sent().plus(m.droppedTotal()).plus(m.filtered()).plus(m.sampledOut()).plus(m.queued()));
    assertEquals(0, m.queued().traces());
  }

  private static void arrives(TraceExporter exporter, int attempts) {
    AgentResponse response = exporter.send(SendTest.ONE);
    assertEquals(200, response.status());
    assertEquals(attempts, response.attempts());
    balanced(exporter.metrics());
  }

  @Test
  void anAgentThatComesLateIsWaitedFor() throws Exception {
    int port = agent.port();
    agent.close();
    Thread later =
        new Thread(
            () -> {
              try {
                Thread.sleep(700);
                agent = FakeAgent.start(port);
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    try (TraceExporter exporter = builder(8_000).build()) {
      later.start();
      assertEquals(200, exporter.send(SendTest.ONE).status());
      balanced(exporter.metrics());
    }
    later.join();
    assertEquals(1, agent.traceRequests().size());
  }

  @Test
  void nobodyListens() throws IOException {
    agent.close();
    try (TraceExporter exporter = builder(800).build()) {
      TraceExporterException e =
          fails(exporter, SendTest.ONE, ErrorCode.CONNECTION_REFUSED, DropReason.UNREACHABLE);
      assertTrue(e.getMessage().contains("`url`"), e.getMessage());
    }
  }

  @Test
  void aResetIsTriedAgain() {
    AtomicInteger n = new AtomicInteger();
    agent.answer(r -> n.getAndIncrement() < 2 ? Answer.reset() : Answer.RATES);
    try (TraceExporter exporter = builder(8_000).build()) {
      assertEquals(200, exporter.send(SendTest.ONE).status());
      Metrics m = exporter.metrics();
      assertEquals(1, m.sent().traces());
      assertEquals(1, m.possiblyDuplicated());
      balanced(m);
    }
    assertEquals(3, agent.traceRequests().size());
  }

  @Test
  void aStalledAgentCostsTheBudgetAndNoMore() {
    CountDownLatch never = new CountDownLatch(1);
    agent.answer(r -> stall(never));
    try (TraceExporter exporter = builder(400).build()) {
      long start = System.nanoTime();
      TraceExporterException e =
          fails(exporter, SendTest.ONE, ErrorCode.TIMED_OUT, DropReason.TIMED_OUT);
      long millis = (System.nanoTime() - start) / 1_000_000;
      assertTrue(millis >= 350 && millis < 400 + Patience.patient(800), millis + " ms");
      assertTrue(e.getMessage().contains("sendBudget"), e.getMessage());
      assertEquals(1, exporter.metrics().possiblyArrived());
      // Later sends do not burn their budget on an agent that is gone.
      start = System.nanoTime();
      fails(exporter, SendTest.ONE, ErrorCode.AGENT_DOWN, DropReason.AGENT_DOWN);
      assertTrue((System.nanoTime() - start) / 1_000_000 < Patience.patient(200));
    }
    never.countDown();
  }

  private static Answer stall(CountDownLatch until) {
    try {
      until.await(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return null;
  }

  @Test
  void whatIsTooLargeGoesInParts() {
    agent.answer(r -> r.body().length > 2_000 ? Answer.json(413, "too large") : Answer.RATES);
    try (TraceExporter exporter = builder(8_000).build()) {
      AgentResponse response = exporter.send(traces(8, 400));
      assertEquals(8, response.traces());
      assertEquals(8, exporter.metrics().sent().traces());
      balanced(exporter.metrics());
      TraceExporterException e =
          fails(
              exporter,
              trace("k", "v", 3_000),
              ErrorCode.PAYLOAD_TOO_LARGE,
              DropReason.PAYLOAD_TOO_LARGE);
      assertTrue(e.getMessage().contains("shop"), e.getMessage());
    }
  }

  @Test
  void anOverloadedAgentSaysWhenToComeAgain() {
    AtomicInteger n = new AtomicInteger();
    agent.answer(
        r ->
            n.getAndIncrement() == 0
                ? Answer.json(429, "busy").header("Retry-After", "1")
                : Answer.RATES);
    try (TraceExporter exporter = builder(8_000).build()) {
      long start = System.nanoTime();
      arrives(exporter, 2);
      long millis = (System.nanoTime() - start) / 1_000_000;
      assertTrue(millis >= 950, "came again after " + millis + " ms");
    }
  }

  @Test
  void anAgentThatIsNotReadyIsTriedAgain() {
    AtomicInteger n = new AtomicInteger();
    agent.answer(r -> n.getAndIncrement() < 2 ? Answer.json(503, "starting") : Answer.RATES);
    try (TraceExporter exporter = builder(8_000).build()) {
      arrives(exporter, 3);
    }
    // One that will not be ready inside the budget is not waited for.
    agent.answer(r -> Answer.json(503, "starting").header("Retry-After", "60"));
    try (TraceExporter exporter = builder(8_000).build()) {
      TraceExporterException e =
          fails(exporter, SendTest.ONE, ErrorCode.HTTP_STATUS, DropReason.OVERLOADED);
      assertEquals(503, e.httpStatus());
    }
  }

  @Test
  void aSocketThatIsNotThereIsNamed() {
    Path socket = folder.resolve("apm.socket");
    try (TraceExporter exporter =
        bare().url("unix://" + socket).sendBudget(Duration.ofMillis(800)).build()) {
      TraceExporterException e =
          fails(exporter, SendTest.ONE, ErrorCode.SOCKET_MISSING, DropReason.UNREACHABLE);
      assertTrue(e.getMessage().contains(socket.toString()), e.getMessage());
    }
  }

  @Test
  void whatIsNoAnswerIsSaidToBeNone() {
    agent.answer(r -> Answer.raw("SSH-2.0-OpenSSH_9.2\r\n"));
    try (TraceExporter exporter = builder(8_000).build()) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      assertEquals(ErrorCode.INVALID_RESPONSE, e.code(), e.getMessage());
      balanced(exporter.metrics());
      assertEquals(1, exporter.metrics().droppedTotal().traces());
    }
  }

  @Test
  void closeDuringAStallIsBoundedAndAccountsForTheSend() throws Exception {
    CountDownLatch never = new CountDownLatch(1);
    CountDownLatch there = new CountDownLatch(1);
    agent.answer(
        r -> {
          there.countDown();
          return stall(never);
        });
    TraceExporter exporter = builder(9_000).build();
    Throwable[] outcome = new Throwable[1];
    Thread sender =
        new Thread(
            () -> {
              try {
                exporter.send(SendTest.ONE);
              } catch (RuntimeException e) {
                outcome[0] = e;
              }
            });
    sender.start();
    assertTrue(there.await(20, TimeUnit.SECONDS));
    long start = System.nanoTime();
    CloseResult result = exporter.close(Duration.ofMillis(200));
    long millis = (System.nanoTime() - start) / 1_000_000;
    assertTrue(millis < 200 + Patience.patient(300), "close took " + millis + " ms");
    assertEquals(false, result.complete());
    sender.join(Patience.patient(3000));
    assertEquals(ErrorCode.CLOSED, ((TraceExporterException) outcome[0]).code());
    Metrics m = result.metrics();
    assertEquals(1, m.received().traces());
    assertEquals(1, m.dropped().get(DropReason.CLOSED).traces() + m.queued().traces());
    never.countDown();
  }
}
