package com.datadog.pipeline.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.datadog.pipeline.Builder;
import com.datadog.pipeline.ErrorCode;
import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import java.io.File;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** The kit as a user has it: an extension in a static field. */
class FakeAgentTest {
  @RegisterExtension static FakeAgent agent = FakeAgent.start();

  private static final File GO_1 =
      new File(System.getProperty("fixtures"), "traces/go/001.msgpack");

  private static byte[] payload() throws IOException {
    return Files.readAllBytes(GO_1.toPath());
  }

  private static Builder builder() {
    return TraceExporter.builder().url(agent.url()).sendBudget(Duration.ofSeconds(10));
  }

  @Test
  void whatArrivesIsThereAsObjectsInEveryFormat() throws IOException {
    for (OutputFormat format :
        new OutputFormat[] {OutputFormat.V04, OutputFormat.V05, OutputFormat.V1}) {
      agent.clear();
      try (TraceExporter exporter = builder().outputFormat(format).build()) {
        exporter.send(payload());
      }
      Trace trace = agent.traces().get(0);
      Span root = trace.root();
      agent.assertTraces().hasSize(agent.traces().size()).hasNoSpan("no such span");
      TraceAssert first = agent.assertTraces().trace(0).hasSize(trace.size());
      first.root().hasService(root.service()).hasName(root.name()).hasNoParent().isNoError();
      assertEquals(1, agent.requests().stream().filter(Request::isTraces).count());
      assertEquals("POST", agent.traceRequests().get(0).method().replace("PUT", "POST"));
      assertFalse(root.service().isEmpty() || root.name().isEmpty() || root.resource().isEmpty());
    }
  }

  /** A client that speaks TLS, say, loses its connection and nothing else; no thread dies of it. */
  @Test
  void whatIsNoHttpEndsItsConnection() throws IOException {
    AtomicReference<Throwable> uncaught = new AtomicReference<>();
    Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
    Thread.setDefaultUncaughtExceptionHandler((thread, error) -> uncaught.set(error));
    String head = "POST /v0.4/traces HTTP/1.1\r\n";
    try {
      for (String text :
          new String[] {
            "\u0016\u0003\u0001\n\n",
            head + "no colon\r\n\r\n",
            head + "Content-Length: many\r\n\r\n",
            head + "Content-Length: -1\r\n\r\n",
            head + "Transfer-Encoding: chunked\r\n\r\nmany\r\n",
          }) {
        URI url = URI.create(agent.url());
        try (Socket socket = new Socket(url.getHost(), url.getPort())) {
          socket.setSoTimeout(10_000);
          socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
          assertEquals(-1, socket.getInputStream().read(), text);
        }
      }
    } finally {
      Thread.setDefaultUncaughtExceptionHandler(before);
    }
    assertNull(uncaught.get());
    try (TraceExporter exporter = builder().build()) {
      assertEquals(200, exporter.send(payload()).status());
    }
  }

  @Test
  void whatIsNotAsExpectedIsAnErrorThatShowsWhatIsThere() throws IOException {
    try (TraceExporter exporter = builder().build()) {
      exporter.send(payload());
    }
    String name = agent.spans().get(0).name();
    TracesAssert traces = agent.assertTraces();
    AssertionError e = assertThrows(AssertionError.class, () -> traces.hasSize(99));
    assertTrue(e.getMessage().startsWith("expected 99 traces, found: "), e.getMessage());
    assertTrue(e.getMessage().contains(name), e.getMessage());
    SpanAssert span = traces.span(name);
    e = assertThrows(AssertionError.class, () -> span.hasService("other"));
    assertTrue(e.getMessage().startsWith("expected service other, found "), e.getMessage());
    assertThrows(AssertionError.class, () -> span.hasTag("no.such.tag", "x"));
    assertThrows(AssertionError.class, () -> span.hasMetric("no.such.metric", 1));
    assertThrows(AssertionError.class, span::isError);
    assertThrows(AssertionError.class, () -> traces.hasNoSpan(name));
    assertThrows(AssertionError.class, () -> traces.span("no such span"));
    assertThrows(AssertionError.class, () -> traces.trace(0).hasPriority(99));
    Duration soon = Duration.ofMillis(20);
    assertThrows(AssertionError.class, () -> agent.awaitTraceRequests(2, soon));
    assertThrows(AssertionError.class, () -> agent.assertStats().hasHits(1));
  }

  @Test
  void statsAreThereAsObjects() throws IOException {
    try (TraceExporter exporter = builder().computeStats(Duration.ofSeconds(10)).build()) {
      exporter.awaitAgent(Duration.ofSeconds(10));
      exporter.send(payload());
      assertTrue(exporter.flushStats(Duration.ofSeconds(10)));
    }
    StatsGroup group = agent.stats().get(0);
    assertTrue(group.hits() > 0 && group.durationNanos() >= 0, group.toString());
    agent
        .assertStats()
        .hasHits(agent.stats().stream().mapToLong(StatsGroup::hits).sum())
        .hasErrors(group.service(), group.resource(), group.errors());
  }

  @Test
  void faultsAreMadeOnRequestAndEnd() throws IOException {
    agent.failWith(400);
    assertEquals(ErrorCode.HTTP_STATUS, error());
    agent.heal();
    agent.limit(10);
    assertEquals(ErrorCode.PAYLOAD_TOO_LARGE, error());
    agent.heal();
    agent.delay(Duration.ofSeconds(10));
    assertEquals(ErrorCode.TIMED_OUT, error());
    agent.heal();
    agent.resetConnections();
    assertEquals(ErrorCode.CONNECTION_RESET, error());
    agent.heal();
    agent.clear();
    agent.answerNext(1, Answer.status(503));
    try (TraceExporter exporter = builder().build()) {
      assertEquals(200, exporter.send(payload()).status());
    }
    assertEquals(2, agent.traceRequests().size());
  }

  /** What a send ends in. An exporter of its own: one that was refused for long does not try. */
  private static ErrorCode error() throws IOException {
    byte[] payload = payload();
    try (TraceExporter exporter = builder().sendBudget(Duration.ofSeconds(2)).build()) {
      return assertThrows(TraceExporterException.class, () -> exporter.send(payload)).code();
    }
  }

  @Test
  void anAgentThatIsStartedAgainListensWhereItDid() throws IOException {
    String url = agent.url();
    try (TraceExporter exporter = builder().build()) {
      exporter.send(payload());
      agent.restart();
      assertEquals(url, agent.url());
      exporter.send(payload());
    }
    agent.stop();
    assertEquals(ErrorCode.CONNECTION_REFUSED, error());
    agent.resume();
    try (TraceExporter exporter = builder().build()) {
      exporter.send(payload());
    }
    assertEquals(3, agent.traceRequests().size());
  }

  @Test
  void whatInfoSaysIsChosen() throws IOException {
    agent.info("{\"version\":\"7.1.2\",\"endpoints\":[\"/v0.4/traces\"]}");
    try (TraceExporter exporter = builder().outputFormat(OutputFormat.AUTO).build()) {
      assertEquals("7.1.2", exporter.awaitAgent(Duration.ofSeconds(10)).version());
      exporter.send(payload());
    }
    assertEquals("/v0.4/traces", agent.traceRequests().get(0).path());
    try (FakeAgent old = FakeAgent.builder().withoutInfo().start();
        TraceExporter exporter = TraceExporter.builder().url(old.url()).build()) {
      TraceExporterException e =
          assertThrows(
              TraceExporterException.class, () -> exporter.fetchAgentInfo(Duration.ofSeconds(10)));
      assertEquals(404, e.httpStatus());
    }
  }

  @Test
  void aUnixSocketIsThereOnNewerJvms(@TempDir Path folder) throws IOException {
    Path socket = folder.resolve("apm.socket");
    String version = System.getProperty("java.specification.version");
    if (version.startsWith("1.") || Integer.parseInt(version) < 16) {
      assertThrows(UnsupportedOperationException.class, () -> FakeAgent.start(socket));
      return;
    }
    assumeTrue(!System.getProperty("os.name").startsWith("Windows"), "paths of another form");
    try (FakeAgent unix = FakeAgent.start(socket);
        TraceExporter exporter = TraceExporter.builder().url(unix.url()).build()) {
      assertEquals("unix://" + socket, unix.url());
      exporter.send(payload());
      unix.restart();
      exporter.send(payload());
      assertEquals(2, unix.traceRequests().size());
    }
    assertFalse(Files.exists(socket));
  }

  /** Each test sees what arrived in it, also those nested in the class. */
  @Nested
  class NestedOne {
    @Test
    void nothingOfOtherTestsIsLeft() throws IOException {
      agent.assertTraces().isEmpty();
      try (TraceExporter exporter = builder().build()) {
        exporter.send(payload());
      }
      agent.assertTraces().within(Duration.ofSeconds(1)).hasSize(agent.traces().size());
    }
  }
}
