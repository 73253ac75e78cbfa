package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What an exporter is where the native library cannot be loaded. */
class WithoutLibraryTest {
  private static final Duration SOON = Duration.ofSeconds(5);
  private static final TraceExporterException CAUSE =
      new TraceExporterException(ErrorCode.LIBRARY_UNAVAILABLE, "not for this machine", null);

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

  /** A builder as on a machine that the library does not fit. */
  static Builder without(WithoutLibrary mode) {
    Builder builder = TraceExporter.builder().withoutLibrary(mode);
    builder.missing = CAUSE;
    return builder;
  }

  private Builder plain() {
    return without(WithoutLibrary.PURE_JAVA).url(agent.url());
  }

  private Builder noop() {
    return without(WithoutLibrary.NOOP).url(agent.url());
  }

  @Test
  void whereTheLibraryIsThereNothingChanges() {
    for (WithoutLibrary mode : WithoutLibrary.values()) {
      try (TraceExporter exporter =
          TraceExporter.builder().url(agent.url()).withoutLibrary(mode).build()) {
        assertEquals(200, exporter.send(SendTest.ONE).status());
        assertFalse(exporter.explain().contains(CAUSE.getMessage()));
        assertTrue(exporter.handle() != 0);
        assertTrue(exporter.toString().contains("withoutLibrary=" + mode), exporter.toString());
      }
    }
    assertThrows(
        IllegalArgumentException.class, () -> TraceExporter.builder().withoutLibrary(null));
  }

  @Test
  void nothingIsSentByOneThatDropsAndAllIsCounted() {
    List<LogLine> lines = new ArrayList<>();
    TraceExporter exporter = noop().normalize(true).logListener(lines::add).build();
    byte[] two = {(byte) 0x92, (byte) 0x90, (byte) 0x90};
    ByteBuffer direct = ByteBuffer.allocateDirect(two.length);
    direct.put(two).flip();
    for (AgentResponse r :
        new AgentResponse[] {
          exporter.send(two),
          exporter.send(new byte[] {0, two[0], 7}, 1, 1),
          exporter.send(direct),
          exporter.send(new ByteBuffer[] {ByteBuffer.wrap(two, 0, 1), ByteBuffer.wrap(two, 1, 2)}),
          exporter.sendAsync(two).join(),
          exporter.sendAsync(direct).join(),
        }) {
      assertEquals(0, r.status());
      assertEquals(0, r.traces());
      assertEquals(0, r.attempts());
      assertEquals(Collections.emptyMap(), r.rates());
    }
    assertFalse(exporter.offer(two));
    assertFalse(exporter.offer(direct));
    assertFalse(exporter.offer(new byte[0]));
    // Nobody looks into a payload that goes nowhere.
    assertEquals(0, exporter.send("<html>".getBytes()).status());
    assertThrows(IllegalArgumentException.class, () -> exporter.send(two, 2, 2));
    Metrics m = exporter.metrics();
    assertEquals(10, m.payloads());
    assertEquals(16, m.received().traces());
    assertEquals(m.received(), m.dropped().get(DropReason.NO_LIBRARY));
    assertEquals(m.received(), m.droppedTotal());
    assertEquals(10, m.unreadPayloads());
    assertTrue(exporter.flush(SOON).complete());
    assertTrue(exporter.suspend(SOON).complete());
    exporter.resume();
    assertNull(exporter.agentInfo());
    assertSame(
        ErrorCode.LIBRARY_UNAVAILABLE,
        assertThrows(TraceExporterException.class, () -> exporter.awaitAgent(SOON)).code());
    assertEquals(AgentState.Condition.DOWN, exporter.state().condition());
    assertEquals(ErrorCode.LIBRARY_UNAVAILABLE, exporter.state().lastError().code());
    assertEquals(0, exporter.stats().counted());
    assertTrue(exporter.flushStats(SOON));
    assertEquals("NOOP", ((Map<?, ?>) Json.parse(exporter.explain())).get("mode"));
    assertEquals(1, lines.size(), lines.toString());
    assertTrue(lines.get(0).text().contains("NO_LIBRARY"));
    CloseResult result = exporter.close(SOON);
    assertTrue(result.complete());
    assertSame(result, exporter.close(Duration.ZERO));
    assertEquals(m, exporter.metrics());
    assertThrows(IllegalStateException.class, () -> exporter.send(two));
    assertThrows(IllegalStateException.class, () -> exporter.offer(two));
    assertEquals(0, agent.traceRequests().size());
  }

  @Test
  void whatMustNotLeaveAsItIsIsRefused() {
    Object[][] refused = {
      {plain().obfuscate(true), "obfuscate"},
      {plain().obfuscation("{}"), "obfuscation"},
      {plain().normalize(true), "normalize"},
      {plain().rejectTag("a:b"), "rejectTag"},
      {plain().requireTagRegex("a:b"), "requireTagRegex"},
      {plain().ignoreResource("x"), "ignoreResource"},
      {plain().agentFilters(true), "agentFilters"},
      {plain().inputFormat(InputFormat.V1), "inputFormat"},
      {
        plain().destination(Destination.otlp("http://127.0.0.1:4318")).env("x"), "destination",
      },
    };
    for (Object[] one : refused) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> ((Builder) one[0]).build());
      assertEquals(ErrorCode.INVALID_CONFIGURATION, e.code());
      assertTrue(e.getMessage().contains("built with " + one[1] + ";"), e.getMessage());
      assertTrue(e.getMessage().contains("not for this machine"), e.getMessage());
    }
    for (String url : new String[] {"windows:\\\\.\\pipe\\dd", "https://127.0.0.1:1"}) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> plain().url(url).build());
      assertEquals(ErrorCode.INVALID_URL, e.code());
    }
    plain().obfuscation("{}").obfuscate(false).normalize(false).build().close();
  }

  @Test
  void whatItGoesWithoutIsNamed() throws Exception {
    List<LogLine> lines = new ArrayList<>();
    try (TraceExporter exporter =
        plain()
            .service("shop")
            .computeStats(Duration.ofSeconds(10))
            .overflow(Overflow.SHED)
            .header("X-Key", "s3cret")
            .logListener(lines::add)
            .build()) {
      exporter.send(SendTest.ONE);
      Map<?, ?> all = (Map<?, ?>) Json.parse(exporter.explain());
      assertEquals("PURE_JAVA", all.get("mode"));
      assertEquals(Arrays.asList("service", "computeStats", "overflow"), all.get("without_effect"));
      assertTrue(((List<?>) all.get("without")).size() > 3);
      assertTrue(all.get("why").toString().contains("not for this machine"));
      Map<?, ?> service = (Map<?, ?>) ((Map<?, ?>) all.get("configuration")).get("service");
      assertEquals("shop", service.get("value"));
      assertFalse(exporter.explain().contains("s3cret"));
      assertEquals(0, exporter.stats().counted());
    }
    assertEquals(1, lines.size(), lines.toString());
    assertTrue(lines.get(0).text().contains("computeStats"), lines.toString());
  }

  @Test
  void aDryRunSendsNothingAndSaysWhatWould() {
    List<LogLine> lines = new ArrayList<>();
    try (TraceExporter exporter =
        plain().dryRun(true).maxRequestBytes(1700).logListener(lines::add).build()) {
      assertEquals("7.70.0", exporter.awaitAgent(SOON).version(), "what it offers is asked");
      byte[] four = FaultsTest.traces(4, 700);
      AgentResponse r = exporter.send(four);
      assertEquals(0, r.status());
      assertEquals(0, r.attempts());
      assertEquals(4, r.traces());
      assertTrue(exporter.offer(SendTest.ONE));
      assertEquals(0, exporter.sendAsync(SendTest.ONE).join().status());
      assertTrue(exporter.flush(SOON).complete());
      Metrics m = exporter.metrics();
      assertEquals(m.received(), m.dropped().get(DropReason.DRY_RUN));
      assertEquals(m.received(), m.droppedTotal());
      assertEquals(0, m.wireBytes());
      Map<?, ?> dry = (Map<?, ?>) ((Map<?, ?>) Json.parse(exporter.explain())).get("dry_run");
      assertEquals(true, dry.get("on"));
      assertTrue((Long) dry.get("bodies") >= 3, dry + ": as many as the limit makes of it");
      assertTrue((Long) dry.get("bytes") >= four.length, dry.toString());
      assertTrue(lines.stream().anyMatch(line -> line.text().contains("`dryRun`")));
    }
    assertEquals(0, agent.traceRequests().size());
  }

  @Test
  void theQueueKeepsItsPaceAndSendsAreOnlyCounted() {
    byte[] payload = FaultsTest.traces(1, 4000);
    try (TraceExporter exporter =
        plain().batchBytes(0).maxBytesPerSecond(2L * payload.length).build()) {
      long start = System.nanoTime();
      for (int i = 0; i < 6; i++) {
        assertTrue(exporter.offer(payload));
      }
      assertTrue(exporter.flush(Duration.ofSeconds(60)).complete());
      // The first second's worth comes for nothing, the last body is not waited for.
      assertTrue(System.nanoTime() - start >= 1_400_000_000L, "too fast");
      start = System.nanoTime();
      for (int i = 0; i < 6; i++) {
        exporter.send(payload);
      }
      Metrics m = exporter.metrics();
      assertEquals(12L * payload.length, m.wireBytes());
      assertTrue(m.queuePaceMillis() > 1000, "counted, and not held");
      Map<?, ?> all = (Map<?, ?>) Json.parse(exporter.explain());
      Map<?, ?> bandwidth = (Map<?, ?>) all.get("bandwidth");
      assertEquals(2L * payload.length, bandwidth.get("bytes_per_second"));
      assertEquals(m.wireBytes(), bandwidth.get("wire_bytes"));
    }
    // Who waits for an answer gets one in time.
    try (TraceExporter exporter =
        plain().batchBytes(0).maxBytesPerSecond(1024).asyncBudget(Duration.ofMillis(300)).build()) {
      exporter.send(FaultsTest.traces(1, 8000));
      long start = System.nanoTime();
      exporter.sendAsync(SendTest.ONE).handle((answer, failure) -> answer).join();
      assertTrue(System.nanoTime() - start < 5_000_000_000L);
      assertEquals(0, exporter.metrics().queued().traces());
    }
  }

  @Test
  void aCaptureIsNamedAmongWhatItGoesWithout() {
    try (TraceExporter exporter = plain().capture(folder.resolve("captured"), 1 << 20).build()) {
      exporter.send(SendTest.ONE);
      Map<?, ?> all = (Map<?, ?>) Json.parse(exporter.explain());
      assertEquals(Arrays.asList("capture"), all.get("without_effect"));
      assertTrue(all.get("without").toString().contains("captures of requests"));
    }
    assertFalse(Files.exists(folder.resolve("captured")));
  }

  @Test
  void theDialogueIsTheSame() throws IOException {
    agent.info(
        r ->
            Answer.json(200, "{\"version\":\"7.77.0\",\"config\":{\"max_request_bytes\":1700}}")
                .header("Datadog-Container-Tags-Hash", "h-1"));
    try (TraceExporter exporter = plain().sendBudget(Duration.ofMillis(150)).build()) {
      assertEquals("7.77.0", exporter.awaitAgent(SOON).version());
      assertEquals("h-1", exporter.agentInfo().containerTagsHash());
      assertEquals(64, exporter.fetchAgentInfo(SOON).stateHash().length());
      assertEquals(4, exporter.send(FaultsTest.traces(4, 700)).traces());
      assertEquals(2, agent.traceRequests().size(), "as many bytes as the agent says");
      assertEquals(AgentState.Condition.READY, exporter.state().condition());
      assertNotNull(exporter.state().lastSuccess());
      int port = agent.port();
      agent.close();
      assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      assertEquals(AgentState.Condition.DOWN, exporter.state().condition());
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      assertEquals(ErrorCode.AGENT_DOWN, e.code());
      agent = FakeAgent.start(port);
      AgentResponse response = null;
      for (int i = 0; response == null && i < 1000; i++) {
        try {
          response = exporter.send(SendTest.ONE);
        } catch (TraceExporterException still) {
          assertEquals(ErrorCode.AGENT_DOWN, still.code(), still.getMessage());
          pause();
        }
      }
      assertEquals(200, response.status());
      assertEquals(AgentState.Condition.READY, exporter.state().condition());
    }
    agent.info(r -> Answer.json(404, "no"));
    try (TraceExporter exporter = plain().build()) {
      assertNull(exporter.awaitAgent(SOON));
      assertNull(exporter.agentInfo());
    }
  }

  /** On Java 8 one that hits a channel at work costs that connection, and another attempt. */
  @Test
  void interruptsAreKeptForTheCaller() throws Exception {
    int[] asked = new int[1];
    agent.answer(r -> asked[0]++ < 4 ? Answer.json(503, "starting") : Answer.RATES);
    try (TraceExporter exporter = plain().build()) {
      Thread sender = Thread.currentThread();
      Thread nuisance =
          new Thread(
              () -> {
                for (int i = 0; i < 200 && asked[0] < 5; i++) {
                  sender.interrupt();
                  pause();
                }
              });
      nuisance.start();
      AgentResponse response = exporter.send(SendTest.ONE);
      assertTrue(Thread.interrupted());
      while (nuisance.isAlive()) {
        Thread.yield();
      }
      Thread.interrupted();
      assertEquals(200, response.status());
      int attempts = response.attempts();
      assertTrue(attempts == 5 || attempts > 5 && ChildJvm.feature() < 11, attempts + " attempts");
      sender.interrupt();
      assertEquals("7.70.0", exporter.fetchAgentInfo(SOON).version());
      assertTrue(Thread.interrupted());
    }
  }

  private static void pause() {
    try {
      Thread.sleep(10);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void troubleIsToldWhenItBeginsAndWhenItEnds() {
    List<LogLine> lines = new ArrayList<>();
    agent.answer(r -> Answer.json(400, "no such thing"));
    try (TraceExporter exporter = plain().logListener(lines::add).build()) {
      for (int i = 0; i < 3; i++) {
        assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      }
      assertEquals(2, lines.size(), lines.toString());
      assertTrue(lines.get(1).text().contains("no such thing"), lines.toString());
      agent.answer(r -> Answer.RATES);
      exporter.send(SendTest.ONE);
      assertEquals(LogLine.Severity.INFO, lines.get(2).severity());
    }
  }

  @Test
  void oneBadPayloadOfABatchCostsOnlyItself() {
    byte[] bad = FaultsTest.trace("bad", "one", 3);
    agent.answer(
        r -> {
          String text = new String(r.body(), java.nio.charset.StandardCharsets.ISO_8859_1);
          return text.contains("bad") ? Answer.json(400, "no") : Answer.RATES;
        });
    try (TraceExporter exporter = plain().build()) {
      exporter.offer(SendTest.ONE);
      exporter.offer(bad);
      exporter.offer(SendTest.ONE);
      assertTrue(exporter.flush(SOON).complete());
      Metrics m = exporter.metrics();
      assertEquals(2, m.sent().traces());
      assertEquals(1, m.dropped().get(DropReason.REFUSED).traces());
      assertEquals(m.received(), m.sent().plus(m.droppedTotal()));
    }
  }

  @Test
  void oldPayloadsMakeRoomWhereThatIsSaid() {
    try (TraceExporter exporter =
        plain()
            .queuePayloads(2)
            .batchAge(Duration.ofMinutes(1))
            .overflow(Overflow.DROP_OLDEST)
            .build()) {
      for (int i = 0; i < 5; i++) {
        assertTrue(exporter.offer(SendTest.ONE));
      }
      Metrics m = exporter.metrics();
      assertEquals(3, m.dropped().get(DropReason.EVICTED).traces());
      assertEquals(3, m.queueEvicted());
      assertEquals(2, m.queued().traces());
      assertTrue(exporter.flush(SOON).complete());
    }
  }

  @Test
  void oneThatIsForgottenIsClosed() throws Exception {
    List<LogLine> lines = Collections.synchronizedList(new ArrayList<>());
    plain().logListener(lines::add).build().send(SendTest.ONE);
    for (int i = 0; i < 100 && lines.size() < 2; i++) {
      System.gc();
      plain().discovery(false).build().close();
      Thread.sleep(20);
    }
    assertEquals(2, lines.size(), lines.toString());
    assertTrue(lines.get(1).text().contains("call close()"), lines.toString());
  }

  /** From Java 16 on; before, the address is refused at once. */
  @Test
  void anAgentWithOnlyV03GetsTheSameBytesThere() {
    try (FakeAgent old = FakeAgent.builder().onlyV03().start();
        TraceExporter exporter = plain().url(old.url()).build()) {
      assertEquals(2, exporter.send(SendTest.ONE).attempts());
      assertEquals(1, exporter.send(SendTest.ONE).attempts());
      List<Request> requests = old.traceRequests();
      assertEquals("/v0.4/traces", requests.get(0).path());
      for (Request request : requests.subList(1, 3)) {
        assertEquals("/v0.3/traces", request.path());
        assertArrayEquals(SendTest.ONE, request.body());
      }
      assertEquals(2, exporter.metrics().sent().traces());
    }
  }

  @Test
  void anAgentWithoutAnEndpointForTracesIsARefusal() {
    agent.answer(r -> Answer.json(404, "no"));
    agent.info(r -> Answer.json(404, "no"));
    try (TraceExporter exporter = plain().url(agent.url()).build()) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      assertEquals(404, e.httpStatus());
      assertEquals(2, e.attempts());
      assertEquals(1, exporter.metrics().dropped().get(DropReason.REFUSED).traces());
    }
  }

  @Test
  void aUnixSocketIsAnAddressWhereJavaHasThem() throws Exception {
    Path socket = folder.resolve("apm.socket");
    Builder builder = without(WithoutLibrary.PURE_JAVA).url("unix://" + socket);
    builder.sendBudget(Duration.ofMillis(500)).maxIdleConnections(2);
    if (ChildJvm.feature() < 16) {
      TraceExporterException e = assertThrows(TraceExporterException.class, builder::build);
      assertEquals(ErrorCode.INVALID_URL, e.code());
      assertTrue(e.getMessage().contains("Java 16"), e.getMessage());
      return;
    }
    try (TraceExporter exporter = builder.build()) {
      assertEquals(ErrorCode.SOCKET_MISSING, failure(exporter));
    }
    Files.createFile(socket);
    try (TraceExporter exporter = builder.build()) {
      assertEquals(ErrorCode.SOCKET_WRONG_TYPE, failure(exporter));
    }
    Files.delete(socket);
    try (UnixBridge bridge = new UnixBridge(socket, agent.port());
        TraceExporter exporter = builder.build()) {
      assertEquals("7.70.0", exporter.awaitAgent(SOON).version());
      for (int i = 0; i < 5; i++) {
        assertEquals(200, exporter.send(SendTest.ONE).status());
      }
      assertEquals(200, exporter.sendAsync(SendTest.ONE).join().status());
      byte[] large = FaultsTest.traces(15, 60_000);
      assertEquals(15, exporter.send(large).traces());
      assertArrayEquals(large, agent.traceRequests().get(6).body());
      assertTrue(bridge.connections() <= 3, bridge.connections() + " connections");
    }
  }

  private static ErrorCode failure(TraceExporter exporter) {
    TraceExporterException e =
        assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
    return e.code();
  }

  /** A JVM that really has no library. */
  @Test
  void aProgramWithoutALibrarySendsAllTheSame() throws Exception {
    URI classes = Host.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    String path = Jars.JAR + File.pathSeparator + new File(classes);
    String none = "-Dcom.datadog.pipeline.native.path=/nowhere/libdata_pipeline.so";
    for (String mode : new String[] {"PURE_JAVA", "NOOP", "FAIL"}) {
      ChildJvm.Outcome o =
          new ChildJvm().run(none, "-cp", path, Host.class.getName(), mode, agent.url());
      assertEquals(0, o.exit, o.toString());
      String expected =
          mode.equals("FAIL")
              ? "LIBRARY_UNAVAILABLE"
              : mode.equals("NOOP") ? "status 0" : "status 200";
      assertTrue(o.out.contains("available false") && o.out.contains(expected), o.toString());
    }
    assertEquals(1, agent.traceRequests().size());
  }

  /** Sends one payload. */
  public static final class Host {
    private Host() {}

    /** Takes what is done without a library, and where the agent is. */
    public static void main(String[] args) {
      System.out.println("available " + TraceExporter.isAvailable());
      WithoutLibrary mode = WithoutLibrary.valueOf(args[0]);
      try (TraceExporter exporter =
          TraceExporter.builder().url(args[1]).withoutLibrary(mode).build()) {
        System.out.println("status " + exporter.send(SendTest.ONE).status());
      } catch (TraceExporterException e) {
        System.out.println(e.code());
      }
    }
  }
}
