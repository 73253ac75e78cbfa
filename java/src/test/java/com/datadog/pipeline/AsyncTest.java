package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class AsyncTest {
  private static final Duration SOON = Duration.ofSeconds(10);
  private static final byte[] ONE = SendTest.ONE;

  private FakeAgent agent;

  @BeforeEach
  void start() throws IOException {
    agent = FakeAgent.start();
  }

  @AfterEach
  void stop() throws IOException {
    agent.close();
  }

  /** A builder with no setting made. */
  Builder bare() {
    return TraceExporter.builder();
  }

  private Builder builder() {
    return bare().url(agent.url()).discovery(false);
  }

  private static void closed(Metrics m) {
    Metrics.Counts out =
        m.sent().plus(m.droppedTotal()).plus(m.filtered()).plus(m.sampledOut()).plus(m.queued());
    assertEquals(m.received(), out, m.toString());
  }

  private static ByteBuffer direct(byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(bytes.length);
    buffer.put(bytes).flip();
    return buffer;
  }

  @Test
  void whatIsOfferedInAnyFormArrivesMerged() {
    byte[] padded = new byte[ONE.length + 4];
    System.arraycopy(ONE, 0, padded, 3, ONE.length);
    try (TraceExporter exporter = builder().build()) {
      assertTrue(exporter.offer(ONE));
      assertTrue(exporter.offer(padded, 3, ONE.length));
      assertTrue(exporter.offer(direct(ONE)));
      assertTrue(exporter.offer(ByteBuffer.wrap(ONE)));
      assertTrue(exporter.offer(ByteBuffer.wrap(ONE).asReadOnlyBuffer()));
      assertThrows(IllegalArgumentException.class, () -> exporter.offer(ONE, 1, ONE.length));
      assertThrows(IllegalArgumentException.class, () -> exporter.offer((byte[]) null));
      FlushResult result = exporter.flush(SOON);
      assertTrue(result.complete(), result.toString());
      assertEquals(new Metrics.Counts(5, 5, 5 * ONE.length), result.sent());
      assertEquals(0, result.pending().traces());
      assertEquals(0, result.droppedTotal().traces());
      assertEquals(1, agent.traceRequests().size(), "one request");
      assertEquals("5", agent.traceRequests().get(0).header("X-Datadog-Trace-Count"));
      closed(exporter.metrics());
    }
  }

  @Test
  void aFutureGetsTheAgentsAnswer() {
    try (TraceExporter exporter = builder().build()) {
      AgentResponse first = exporter.sendAsync(ONE).join();
      assertEquals(200, first.status());
      assertEquals(1, first.traces());
      first = exporter.sendAsync(ONE).join();
      assertSame(first, exporter.sendAsync(direct(ONE)).join(), "nothing new, no new object");
      assertSame(first, exporter.send(ONE));
    }
  }

  @Test
  void aFutureFailsAsASendDoes() {
    agent.answer(r -> Answer.json(400, "no"));
    try (TraceExporter exporter = builder().build()) {
      TraceExporterException e = failure(exporter.sendAsync(ONE));
      assertEquals(ErrorCode.HTTP_STATUS, e.code());
      assertEquals(400, e.httpStatus());
      assertEquals(ErrorCode.MALFORMED_PAYLOAD, failure(exporter.sendAsync(new byte[] {1})).code());
      assertThrows(IllegalArgumentException.class, () -> exporter.sendAsync(ONE, 1, ONE.length));
      closed(exporter.metrics());
    }
  }

  private static TraceExporterException failure(CompletableFuture<AgentResponse> future) {
    CompletionException e = assertThrows(CompletionException.class, future::join);
    return (TraceExporterException) e.getCause();
  }

  @Test
  void aFullQueueRefusesAtOnceAndSaysSo() throws Exception {
    CountDownLatch hold = new CountDownLatch(1);
    agent.answer(
        r -> {
          await(hold);
          return Answer.RATES;
        });
    try (TraceExporter exporter = builder().queuePayloads(2).build()) {
      assertTrue(exporter.offer(ONE));
      assertTrue(exporter.offer(ONE));
      assertFalse(exporter.offer(ONE));
      assertEquals(ErrorCode.QUEUE_FULL, failure(exporter.sendAsync(ONE)).code());
      Metrics m = exporter.metrics();
      assertEquals(2, m.dropped().get(DropReason.QUEUE_FULL).traces());
      assertEquals(2, m.queuePayloads());
      assertEquals(2 * ONE.length, m.queueBytes());
      assertEquals(2, m.queueRefused());
      assertEquals(2, m.unreadPayloads());
      assertEquals(2, m.unreadTraces());
      assertEquals(2 * ONE.length, m.unreadBytes());
      assertTrue(
          m.toString().endsWith("; unread 2 payloads, 2 traces, " + 2 * ONE.length + " bytes"),
          m.toString());
      closed(m);
      hold.countDown();
      assertTrue(exporter.flush(SOON).complete());
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await(20, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void tenThousandFuturesComplete() {
    try (TraceExporter exporter = builder().queuePayloads(20_000).build()) {
      List<CompletableFuture<AgentResponse>> all = new ArrayList<>();
      for (int i = 0; i < 10_000; i++) {
        all.add(exporter.sendAsync(ONE));
      }
      CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0])).join();
      assertEquals(10_000, exporter.metrics().sent().traces());
    }
  }

  /** As many as a service has that uses them: none holds its carrier, all get their own answer. */
  @Test
  void aSendOnAVirtualThreadDoesNotHoldItsCarrier() throws Exception {
    if (ChildJvm.feature() < 21) {
      return;
    }
    Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
    int senders = 400;
    agent.answer(
        r -> {
          pause(50);
          return Answer.RATES;
        });
    CountDownLatch done = new CountDownLatch(senders);
    AtomicLong late = new AtomicLong();
    AtomicReference<Throwable> wrong = new AtomicReference<>();
    try (TraceExporter exporter = builder().queuePayloads(10).build()) {
      Runnable heartbeat =
          () -> {
            while (done.getCount() > 0) {
              long begin = System.nanoTime();
              pause(10);
              late.accumulateAndGet((System.nanoTime() - begin) / 1_000_000 - 10, Math::max);
            }
          };
      start.invoke(null, heartbeat);
      long begin = System.nanoTime();
      for (int i = 0; i < senders; i++) {
        boolean direct = i % 2 == 0;
        Runnable send =
            () -> {
              try {
                AgentResponse r = direct ? exporter.send(direct(ONE)) : exporter.send(ONE);
                assertEquals(200, r.status());
              } catch (Throwable t) {
                wrong.set(t);
              } finally {
                done.countDown();
              }
            };
        start.invoke(null, send);
      }
      assertTrue(done.await(60, TimeUnit.SECONDS));
      long took = (System.nanoTime() - begin) / 1_000_000;
      assertEquals(null, wrong.get());
      // With carriers held, two processors would take 400 x 50 ms / 2, which is 10 s.
      assertTrue(took < Patience.patient(4_000), took + " ms");
      assertTrue(late.get() < Patience.patient(500), late.get() + " ms late");
      assertEquals(senders, exporter.metrics().sent().traces());
      agent.answer(r -> Answer.json(400, "no"));
      Runnable refused =
          () -> {
            try {
              exporter.send(new ByteBuffer[] {ByteBuffer.wrap(ONE)});
            } catch (Throwable t) {
              wrong.set(t);
            }
          };
      Thread thread = (Thread) start.invoke(null, refused);
      thread.join();
      TraceExporterException e = (TraceExporterException) wrong.get();
      assertEquals(ErrorCode.HTTP_STATUS, e.code());
      assertEquals(400, e.httpStatus());
    }
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** From Java 21 on: more virtual threads wait than there are carriers, and others still run. */
  @Test
  void aVirtualThreadThatWaitsDoesNotPinItsCarrier() throws Exception {
    if (ChildJvm.feature() < 21) {
      return;
    }
    Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
    int waiting = 2 * Runtime.getRuntime().availableProcessors();
    CountDownLatch hold = new CountDownLatch(1);
    CountDownLatch done = new CountDownLatch(waiting);
    agent.answer(
        r -> {
          await(hold);
          return Answer.RATES;
        });
    try (TraceExporter exporter = builder().build()) {
      for (int i = 0; i < waiting; i++) {
        Runnable wait =
            () -> {
              exporter.sendAsync(ONE).join();
              done.countDown();
            };
        start.invoke(null, wait);
      }
      CountDownLatch other = new CountDownLatch(1);
      Runnable run = other::countDown;
      start.invoke(null, run);
      assertTrue(other.await(5, TimeUnit.SECONDS));
      assertEquals(waiting, done.getCount());
      hold.countDown();
      assertTrue(done.await(10, TimeUnit.SECONDS));
    }
  }

  @Test
  void closeCompletesEveryFutureWithAReason() throws Exception {
    CountDownLatch hold = new CountDownLatch(1);
    agent.answer(
        r -> {
          await(hold);
          return Answer.RATES;
        });
    TraceExporter exporter = builder().build();
    List<CompletableFuture<AgentResponse>> all = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      all.add(exporter.sendAsync(ONE));
    }
    long start = System.nanoTime();
    CloseResult result = exporter.close(Duration.ofMillis(200));
    long took = (System.nanoTime() - start) / 1_000_000;
    assertFalse(result.complete());
    assertTrue(took < 200 + Patience.patient(800), took + " ms");
    for (CompletableFuture<AgentResponse> future : all) {
      assertEquals(ErrorCode.CLOSED, failure(future).code());
    }
    assertEquals(100, result.metrics().dropped().get(DropReason.CLOSED).traces());
    closed(result.metrics());
    assertThrows(IllegalStateException.class, () -> exporter.offer(ONE));
    assertThrows(IllegalStateException.class, () -> exporter.sendAsync(ONE));
    assertThrows(IllegalStateException.class, () -> exporter.flush(SOON));
    hold.countDown();
  }

  @Test
  void closeSendsWhatIsQueued() {
    TraceExporter exporter = builder().batchAge(Duration.ofMinutes(1)).build();
    for (int i = 0; i < 20; i++) {
      assertTrue(exporter.offer(ONE));
    }
    CloseResult result = exporter.close(SOON);
    assertTrue(result.complete());
    assertEquals(20, result.metrics().sent().traces());
  }

  @Test
  void anAgentThatRestartsLosesNothing() throws Exception {
    int port = agent.port();
    try (TraceExporter exporter = builder().build()) {
      assertTrue(exporter.offer(ONE));
      assertTrue(exporter.flush(SOON).complete());
      agent.close();
      for (int i = 0; i < 300; i++) {
        assertTrue(exporter.offer(ONE));
        Thread.sleep(1);
      }
      agent = FakeAgent.start(port);
      FlushResult result = exporter.flush(Duration.ofSeconds(30));
      assertTrue(result.complete(), result.toString());
      assertEquals(301, exporter.metrics().sent().traces());
    }
  }

  @Test
  void anInterruptIsKeptWhileAnOfferWaitsForRoom() throws Exception {
    CountDownLatch hold = new CountDownLatch(1);
    agent.answer(
        r -> {
          await(hold);
          return Answer.RATES;
        });
    try (TraceExporter exporter =
        builder()
            .queuePayloads(1)
            .overflow(Overflow.BLOCK)
            .blockWait(Duration.ofMillis(300))
            .build()) {
      assertTrue(exporter.offer(ONE));
      Thread.currentThread().interrupt();
      assertFalse(exporter.offer(ONE));
      assertTrue(Thread.interrupted(), "the interrupt is the caller's");
      hold.countDown();
    }
  }

  @Test
  void suspendedItHoldsWhatIsOffered() throws Exception {
    try (TraceExporter exporter = builder().build()) {
      assertTrue(exporter.offer(ONE));
      assertTrue(exporter.suspend(SOON).complete());
      for (int i = 0; i < 100 && agent.connections() > 0; i++) {
        Thread.sleep(20);
      }
      assertEquals(0, agent.connections());
      assertEquals(0, exporter.metrics().senders());
      CompletableFuture<AgentResponse> meanwhile = exporter.sendAsync(ONE);
      assertFalse(meanwhile.isDone());
      exporter.resume();
      assertEquals(200, meanwhile.join().status());
      assertEquals(2, exporter.metrics().sent().traces());
    }
  }

  @Test
  void noThreadIsLeft() throws Exception {
    try (TraceExporter exporter = builder().build()) {
      exporter.sendAsync(ONE).join();
    }
    for (int i = 0; i < 100; i++) {
      Set<Thread> all = Thread.getAllStackTraces().keySet();
      if (all.stream().noneMatch(t -> t.getName().startsWith("dp-co"))) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError("the completion thread is still there");
  }

  @Test
  void futuresCompleteWhereTheCallerSays() throws Exception {
    CountDownLatch registered = new CountDownLatch(1);
    agent.answer(
        r -> {
          await(registered);
          return Answer.RATES;
        });
    ExecutorService executor =
        Executors.newSingleThreadExecutor(r -> new Thread(r, "of the caller"));
    try (TraceExporter exporter = builder().completionExecutor(executor).build()) {
      CompletableFuture<String> where =
          exporter.sendAsync(ONE).thenApply(r -> Thread.currentThread().getName());
      registered.countDown();
      assertEquals("of the caller", where.get(10, TimeUnit.SECONDS));
      executor.shutdownNow();
      assertEquals(200, exporter.sendAsync(ONE).get(10, TimeUnit.SECONDS).status(), "all the same");
    }
  }

  /** The first continuation sends again and waits for it; others block, or throw what they like. */
  @Test
  void aContinuationThatBlocksDelaysNoOtherFuture() throws Exception {
    // Every continuation is there before its future completes; else it would run here.
    CountDownLatch chained = new CountDownLatch(1);
    CountDownLatch release = new CountDownLatch(1);
    CountDownLatch blocking = new CountDownLatch(5);
    agent.answer(
        r -> {
          await(chained);
          return Answer.RATES;
        });
    try (TraceExporter exporter = builder().build();
        TraceExporter other = builder().build()) {
      CompletableFuture<AgentResponse> again =
          exporter.sendAsync(ONE).thenApply(r -> exporter.sendAsync(ONE).join());
      List<CompletableFuture<Void>> blocked = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        CompletableFuture<AgentResponse> sent = exporter.sendAsync(ONE);
        blocked.add(
            sent.thenAccept(
                r -> {
                  blocking.countDown();
                  await(release);
                }));
      }
      CompletableFuture<Void> failed =
          exporter
              .sendAsync(ONE)
              .thenAccept(
                  r -> {
                    throw new LinkageError("from a continuation");
                  });
      chained.countDown();
      assertTrue(blocking.await(10, TimeUnit.SECONDS), "the later ones wait for the first");
      assertEquals(200, again.get(10, TimeUnit.SECONDS).status());
      assertThrows(ExecutionException.class, () -> failed.get(10, TimeUnit.SECONDS));
      assertEquals(200, other.sendAsync(ONE).get(10, TimeUnit.SECONDS).status());
      assertTrue(blocked.stream().noneMatch(CompletableFuture::isDone));
      release.countDown();
      for (CompletableFuture<Void> b : blocked) {
        b.get(10, TimeUnit.SECONDS);
      }
    }
  }

  @Test
  void aListenerHearsOfLossesOnTheCompletionThread() throws Exception {
    agent.answer(r -> Answer.json(400, "no"));
    CountDownLatch heard = new CountDownLatch(1);
    try (TraceExporter exporter = builder().logListener(line -> heard.countDown()).build()) {
      exporter.sendAsync(ONE);
      assertTrue(heard.await(10, TimeUnit.SECONDS));
    }
  }

  @Test
  void settingsAreCheckedAtOnce() {
    Builder b = TraceExporter.builder();
    assertThrows(IllegalArgumentException.class, () -> b.queueBytes(1));
    assertThrows(IllegalArgumentException.class, () -> b.queuePayloads(0));
    assertThrows(IllegalArgumentException.class, () -> b.senders(65));
    assertThrows(IllegalArgumentException.class, () -> b.batchBytes(-1));
    assertThrows(IllegalArgumentException.class, () -> b.batchAge(Duration.ofMillis(-1)));
    assertThrows(IllegalArgumentException.class, () -> b.asyncBudget(Duration.ZERO));
    assertThrows(IllegalArgumentException.class, () -> b.spool(new File("x").toPath(), 1));
    assertThrows(IllegalArgumentException.class, () -> b.overflow(null));
  }

  /** A host that ends without closing: nothing of ours keeps its JVM. */
  @Test
  void theJvmEndsAtOnceWithAnExporterLeftOpen() throws Exception {
    ChildJvm.Outcome o = host("open");
    assertEquals(0, o.exit, o.toString());
    // Before it, the launcher of Java 8 draws warnings of -Xcheck:jni itself.
    long since = Long.parseLong(o.out.trim().replaceAll("(?s).*\n", ""));
    long took = System.currentTimeMillis() - since;
    assertTrue(took < Patience.patient(1_500), took + " ms from the end of main to ours");
  }

  @Test
  void aShutdownHookSendsWhatIsQueued() throws Exception {
    ChildJvm.Outcome o = host("hook");
    assertEquals(0, o.exit, o.toString());
    assertEquals(1, agent.traceRequests().size());
    assertEquals("7", agent.traceRequests().get(0).header("X-Datadog-Trace-Count"));
  }

  private ChildJvm.Outcome host(String how) throws Exception {
    // A launcher may keep these classes in a loader of its own, beside java.class.path.
    URI classes = Host.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    return new ChildJvm()
        .run(
            "-Xcheck:jni",
            "-cp",
            Jars.JAR + File.pathSeparator + new File(classes),
            Host.class.getName(),
            how,
            agent.url());
  }

  /** A program that offers and ends. */
  public static final class Host {
    private Host() {}

    /** Offers seven payloads; the first argument says whether there is a hook. */
    public static void main(String[] args) {
      boolean hook = args[0].equals("hook");
      Builder b = TraceExporter.builder().url(args[1]).shutdownHook(hook);
      TraceExporter exporter = b.batchAge(Duration.ofMinutes(1)).build();
      for (int i = 0; i < 7; i++) {
        exporter.offer(ONE);
      }
      if (!hook) {
        exporter.sendAsync(ONE).join();
        System.out.println(System.currentTimeMillis());
      }
    }
  }
}
