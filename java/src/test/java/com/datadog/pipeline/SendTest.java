package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class SendTest {
  /** One chunk with one span that has a name. */
  static final byte[] ONE = {
    (byte) 0x91, (byte) 0x91, (byte) 0x81, (byte) 0xa4, 'n', 'a', 'm', 'e', (byte) 0xa1, 'x'
  };

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
    return bare().url(agent.url());
  }

  @Test
  void theLibraryIsThereAndOfTheVersionOfTheJar() {
    assertNull(TraceExporter.unavailabilityCause());
    assertTrue(TraceExporter.isAvailable());
    assertEquals("0.1.0", TraceExporter.version());
  }

  @Test
  void sendsEveryFormOfPayloadAsTheSameBytes() {
    byte[] padded = new byte[ONE.length + 4];
    System.arraycopy(ONE, 0, padded, 3, ONE.length);
    ByteBuffer direct = ByteBuffer.allocateDirect(32);
    direct.position(5);
    direct.put(ONE).flip().position(5);
    ByteBuffer heap = ByteBuffer.wrap(padded, 3, ONE.length).slice();
    ByteBuffer head = ByteBuffer.allocateDirect(1);
    head.put(0, ONE[0]);
    try (TraceExporter exporter = builder().build()) {
      exporter.send(ONE);
      exporter.send(padded, 3, ONE.length);
      exporter.send(direct);
      exporter.send(heap);
      exporter.send(heap.asReadOnlyBuffer());
      exporter.send(
          new ByteBuffer[] {
            head, ByteBuffer.wrap(ONE, 1, 4), ByteBuffer.wrap(ONE, 5, 5).asReadOnlyBuffer()
          });
    }
    assertEquals(5, direct.position());
    List<Request> requests = agent.traceRequests();
    assertEquals(6, requests.size());
    for (Request request : requests) {
      assertEquals("/v0.4/traces", request.path());
      assertEquals("1", request.header("X-Datadog-Trace-Count"));
      assertEquals("1", request.header("Datadog-Send-Real-Http-Status"));
      assertArrayEquals(ONE, request.body());
    }
  }

  @Test
  void everyRealPayloadArrivesByteForByte() throws IOException {
    List<byte[]> sent = new ArrayList<>();
    try (TraceExporter exporter = builder().build()) {
      for (File file : payloads()) {
        byte[] payload = Files.readAllBytes(file.toPath());
        // Those two carry what the agent refuses; what becomes of them is OnMalformed's matter.
        String path = file.getPath().replace(File.separatorChar, '/');
        if (path.contains("node/003") || path.contains("node/004") || payload.length == 1) {
          continue;
        }
        AgentResponse response = exporter.send(payload);
        assertEquals(200, response.status(), file.getPath());
        sent.add(payload);
      }
    }
    List<Request> arrived = agent.traceRequests();
    assertEquals(sent.size(), arrived.size());
    assertTrue(sent.size() > 40);
    for (int i = 0; i < sent.size(); i++) {
      assertArrayEquals(sent.get(i), arrived.get(i).body());
    }
  }

  static List<File> payloads() {
    List<File> files = new ArrayList<>();
    for (File tracer :
        new File(System.getProperty("fixtures"), "traces").listFiles(File::isDirectory)) {
      for (File file : tracer.listFiles()) {
        if (file.getName().endsWith(".msgpack")) {
          files.add(file);
        }
      }
    }
    files.sort(null);
    return files;
  }

  @Test
  void returnsTheVerySameResponseWhileNothingDiffers() {
    try (TraceExporter exporter = builder().build()) {
      AgentResponse first = exporter.send(ONE);
      assertTrue(first.ratesChanged());
      AgentResponse second = exporter.send(ONE);
      AgentResponse third = exporter.send(ONE);
      assertFalse(second.ratesChanged());
      assertSame(second, third);
      assertEquals(1.0, third.rates().get("service:,env:"));
      assertThrows(UnsupportedOperationException.class, () -> third.rates().clear());
      byte[] two = {(byte) 0x92, (byte) 0x90, (byte) 0x90};
      AgentResponse counts = exporter.send(two);
      assertNotSame(third, counts);
      assertEquals(2, counts.traces());
      assertEquals(0, counts.spans());
      assertSame(third.rates(), counts.rates());
      agent.answer(r -> Answer.json(200, "{\"rate_by_service\":{\"service:a,env:b\":0.25}}"));
      AgentResponse rates = exporter.send(ONE);
      assertTrue(rates.ratesChanged());
      assertEquals(0.25, rates.rates().get("service:a,env:b"));
    }
  }

  @Test
  void anEmptyPayloadNeedsNoRequestUnlessItCarriesDroppedCounts() {
    byte[] empty = {(byte) 0x90};
    try (TraceExporter exporter = builder().build()) {
      AgentResponse nothing = exporter.send(empty);
      assertEquals(0, nothing.status());
      assertEquals(0, nothing.attempts());
      assertEquals(0, agent.traceRequests().size());
      assertEquals(200, exporter.send(empty, 0, 1, 3, 17).status());
      assertEquals("3", agent.traceRequests().get(0).header("Datadog-Client-Dropped-P0-Traces"));
      assertEquals("17", agent.traceRequests().get(0).header("Datadog-Client-Dropped-P0-Spans"));
    }
  }

  @Test
  void whatTheTracerSaysOfOnePayloadIsSaidOfThatOneAlone() throws Exception {
    SendOptions said = SendOptions.none().clientComputedStats(true).droppedP0(3, 17);
    ByteBuffer direct = ByteBuffer.allocateDirect(ONE.length);
    direct.put(ONE).flip();
    ByteBuffer heap = ByteBuffer.wrap(ONE);
    ByteBuffer[] pieces = {ByteBuffer.wrap(ONE, 0, 3), ByteBuffer.wrap(ONE, 3, ONE.length - 3)};
    Duration limit = Duration.ofSeconds(20);
    try (TraceExporter exporter = builder().build()) {
      exporter.send(ONE, 0, ONE.length, said);
      exporter.send(direct, said);
      exporter.send(heap, said);
      exporter.send(pieces, said);
      assertTrue(exporter.offer(ONE, 0, ONE.length, said) && exporter.offer(direct, said));
      assertTrue(exporter.offer(heap, said) && exporter.offer(pieces, said));
      exporter.sendAsync(ONE, 0, ONE.length, said).get(20, TimeUnit.SECONDS);
      exporter.sendAsync(direct, said).get(20, TimeUnit.SECONDS);
      exporter.sendAsync(heap, said).get(20, TimeUnit.SECONDS);
      exporter.sendAsync(pieces, said).get(20, TimeUnit.SECONDS);
      assertTrue(exporter.flush(limit).complete());
      exporter.send(ONE);
      assertTrue(exporter.offer(ONE));
      assertTrue(exporter.flush(limit).complete());
    }
    int alone = 0;
    int told = 0;
    for (Request r : agent.traceRequests()) {
      if ("true".equals(r.header("Datadog-Client-Computed-Stats"))) {
        told += Integer.parseInt(r.header("X-Datadog-Trace-Count"));
        assertEquals(0, Integer.parseInt(r.header("Datadog-Client-Dropped-P0-Traces")) % 3);
        assertEquals(0, Integer.parseInt(r.header("Datadog-Client-Dropped-P0-Spans")) % 17);
      } else {
        alone++;
        assertEquals(null, r.header("Datadog-Client-Dropped-P0-Spans"));
      }
    }
    assertEquals(12, told);
    assertEquals(2, alone);
    assertThrows(IllegalArgumentException.class, () -> said.droppedP0(-1, 0));
  }

  @Test
  void settingsTravelAsHeaders() {
    try (TraceExporter exporter =
        builder()
            .language("java")
            .languageVersion("17")
            .languageInterpreter("vm")
            .languageVendor("vendor")
            .tracerVersion("1.2")
            .containerId("c-1")
            .entityId("in-7")
            .externalEnv("it-false")
            .testSessionToken("secret-token")
            .header("X-More", "hidden-value")
            .clientComputedStats(true)
            .clientComputedTopLevel(true)
            .build()) {
      exporter.send(ONE);
      assertFalse(exporter.toString().contains("secret-token"), exporter.toString());
      assertFalse(exporter.toString().contains("hidden-value"), exporter.toString());
    }
    Request r = agent.traceRequests().get(0);
    String[][] want = {
      {"Datadog-Meta-Lang", "java"},
      {"Datadog-Meta-Lang-Version", "17"},
      {"Datadog-Meta-Lang-Interpreter", "vm"},
      {"Datadog-Meta-Lang-Interpreter-Vendor", "vendor"},
      {"Datadog-Meta-Tracer-Version", "1.2"},
      {"Datadog-Container-ID", "c-1"},
      {"Datadog-Entity-ID", "in-7"},
      {"Datadog-External-Env", "it-false"},
      {"X-Datadog-Test-Session-Token", "secret-token"},
      {"X-More", "hidden-value"},
      {"Datadog-Client-Computed-Stats", "true"},
      {"Datadog-Client-Computed-Top-Level", "true"},
      {"Content-Type", "application/msgpack"},
    };
    for (String[] header : want) {
      assertEquals(header[1], r.header(header[0]), header[0]);
    }
  }

  @Test
  void badInputGetsItsOwnErrorAndTheExporterKeepsWorking() {
    try (TraceExporter exporter = builder().onMalformed(OnMalformed.FAIL).build()) {
      Object[][] cases = {
        {new byte[0], ErrorCode.TRUNCATED_PAYLOAD, "offset 0"},
        {new byte[] {(byte) 0xc0}, ErrorCode.MALFORMED_PAYLOAD, "nil"},
        {"<html>".getBytes(StandardCharsets.US_ASCII), ErrorCode.MALFORMED_PAYLOAD, "offset 0"},
        {Arrays.copyOf(ONE, 7), ErrorCode.TRUNCATED_PAYLOAD, "trace 0, span 0"},
        {new byte[] {(byte) 0xdd, -1, -1, -1, -1}, ErrorCode.TRUNCATED_PAYLOAD, "offset 0"},
        {new byte[] {(byte) 0x91, (byte) 0x91, 5}, ErrorCode.MALFORMED_PAYLOAD, "trace 0, span 0"},
      };
      for (Object[] c : cases) {
        TraceExporterException e =
            assertThrows(TraceExporterException.class, () -> exporter.send((byte[]) c[0]));
        assertEquals(c[1], e.code());
        assertTrue(e.getMessage().contains((String) c[2]), e.getMessage());
      }
      assertThrows(IllegalArgumentException.class, () -> exporter.send((byte[]) null));
      assertThrows(IllegalArgumentException.class, () -> exporter.send(ONE, 5, ONE.length));
      assertThrows(IllegalArgumentException.class, () -> exporter.send(ONE, -1, 2));
      assertEquals(200, exporter.send(ONE).status());
      Metrics m = exporter.metrics();
      assertEquals(
          m.received(),
          m.sent().plus(m.droppedTotal()).plus(m.filtered()).plus(m.sampledOut()).plus(m.queued()));
      assertEquals(1, m.sent().traces());
    }
  }

  @Test
  void theAgentsRefusalHasStatusAndWords() {
    agent.answer(r -> Answer.json(400, "no such thing"));
    try (TraceExporter exporter = builder().build()) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(ONE));
      assertEquals(ErrorCode.HTTP_STATUS, e.code());
      assertEquals(400, e.httpStatus());
      assertEquals(1, e.attempts());
      assertTrue(e.getMessage().contains("no such thing"), e.getMessage());
      assertEquals(1, exporter.metrics().dropped().get(DropReason.REFUSED).traces());
    }
  }

  @Test
  void anAgentThatIsNotThereIsNamedWithTheKnob() throws IOException {
    int port = agent.port();
    agent.close();
    try (TraceExporter exporter =
        bare().url("http://127.0.0.1:" + port).sendBudget(Duration.ofMillis(200)).build()) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(ONE));
      assertEquals(ErrorCode.CONNECTION_REFUSED, e.code());
      assertTrue(e.getMessage().contains("url"), e.getMessage());
    }
  }

  @Test
  void closeIsIdempotentAndWhatComesAfterIsRefused() {
    TraceExporter exporter = builder().build();
    exporter.send(ONE);
    CloseResult result = exporter.close(Duration.ofSeconds(1));
    assertTrue(result.complete());
    assertEquals(1, result.metrics().sent().traces());
    assertSame(result, exporter.close(Duration.ZERO));
    exporter.close();
    assertThrows(IllegalStateException.class, () -> exporter.send(ONE));
    assertThrows(IllegalStateException.class, () -> exporter.send(ByteBuffer.allocateDirect(1)));
    assertEquals(1, exporter.metrics().sent().traces());
  }

  @Test
  void closeDuringAStalledSendIsBounded() throws Exception {
    Object never = new Object();
    agent.answer(
        r -> {
          synchronized (never) {
            try {
              never.wait(5000);
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          }
          return null;
        });
    TraceExporter exporter = builder().build();
    Throwable[] outcome = new Throwable[1];
    Thread sender =
        new Thread(
            () -> {
              try {
                exporter.send(ONE);
              } catch (RuntimeException e) {
                outcome[0] = e;
              }
            });
    sender.start();
    Thread.sleep(100);
    long start = System.nanoTime();
    CloseResult result = exporter.close(Duration.ofMillis(300));
    long millis = (System.nanoTime() - start) / 1_000_000;
    assertTrue(millis < 300 + Patience.patient(150), "close took " + millis + " ms");
    assertFalse(result.complete());
    sender.join(Patience.patient(2000));
    assertTrue(
        outcome[0] instanceof IllegalStateException
            || outcome[0] instanceof TraceExporterException);
    synchronized (never) {
      never.notifyAll();
    }
  }

  @Test
  void anInterruptIsKeptAndDoesNotCutTheSendShort() {
    try (TraceExporter exporter = builder().build()) {
      Thread.currentThread().interrupt();
      assertEquals(200, exporter.send(ONE).status());
      assertTrue(Thread.interrupted());
    }
  }
}
