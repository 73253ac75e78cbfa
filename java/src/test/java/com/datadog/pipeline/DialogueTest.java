package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.management.MBeanServer;
import javax.management.ObjectName;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DialogueTest {
  private static final Duration SOON = Duration.ofSeconds(5);
  private static final String INFO =
      "{\"version\":\"7.77.0\",\"endpoints\":[\"/v0.4/traces\",\"/v1.0/traces\"],"
          + "\"feature_flags\":[\"a\"],\"client_drop_p0s\":true,\"span_events\":true,"
          + "\"peer_tags\":[\"db.name\"],\"obfuscation_version\":1,"
          + "\"filter_tags\":{\"reject\":[\"drop:me\"]},\"ignore_resources\":[\"x\"],"
          + "\"config\":{\"max_request_bytes\":5000,\"statsd_port\":8125,\"default_env\":\"prod\"}}";

  private FakeAgent agent;

  @BeforeEach
  void start() throws IOException {
    agent = FakeAgent.start();
    agent.info(r -> Answer.json(200, INFO).header("Datadog-Container-Tags-Hash", "h-1"));
  }

  @AfterEach
  void stop() throws IOException {
    agent.close();
  }

  private Builder builder() {
    return TraceExporter.builder().url(agent.url());
  }

  @Test
  void theAgentsInfoIsGivenWithItsTextAndHashes() {
    try (TraceExporter exporter = builder().build()) {
      AgentInfo info = exporter.awaitAgent(SOON);
      for (AgentInfo i :
          new AgentInfo[] {info, exporter.agentInfo(), exporter.fetchAgentInfo(SOON)}) {
        assertEquals("7.77.0", i.version());
        assertEquals(INFO, i.json());
        assertEquals("h-1", i.containerTagsHash());
        assertEquals(64, i.stateHash().length());
        assertTrue(i.offers("/v1.0/traces"));
        assertFalse(i.offers("/v0.5/traces"));
        assertEquals(Collections.singletonList("a"), i.featureFlags());
        assertEquals(Collections.singletonList("db.name"), i.peerTags());
        assertTrue(i.clientDropP0s() && i.spanEvents() && !i.longRunningSpans());
        assertEquals(1, i.obfuscationVersion());
        assertEquals(5000, i.maxRequestBytes());
        assertEquals(8125, i.statsdPort());
        assertEquals("prod", i.defaultEnv());
        assertThrows(UnsupportedOperationException.class, () -> i.endpoints().clear());
      }
    }
  }

  @Test
  void anAgentWithoutInfoIsAnAgentAllTheSame() {
    agent.info(r -> Answer.json(404, "no"));
    try (TraceExporter exporter = builder().build()) {
      assertNull(exporter.awaitAgent(SOON));
      AgentInfo info = exporter.agentInfo();
      assertTrue(info.isProbed() && info.stateHash().isEmpty() && info.version().isEmpty());
      assertEquals(Collections.singletonList("/v0.4/traces"), info.endpoints());
      assertEquals(200, exporter.send(SendTest.ONE).status());
    }
    List<Request> probes = agent.requests();
    probes.removeIf(request -> !request.isProbe());
    assertEquals(1, probes.size(), probes.toString());
    assertEquals("PUT /v0.4/traces, 3 bytes", probes.get(0).toString());
    assertEquals("application/msgpack", probes.get(0).header("Content-Type"));
  }

  @Test
  void anAgentWithOnlyV03GetsTheSameBytesThere() {
    try (FakeAgent old = FakeAgent.builder().onlyV03().start();
        TraceExporter exporter = TraceExporter.builder().url(old.url()).build()) {
      assertNull(exporter.awaitAgent(SOON));
      AgentInfo info = exporter.agentInfo();
      assertTrue(info.isProbed() && info.offers("/v0.3/traces") && !info.offers("/v0.4/traces"));
      assertEquals(200, exporter.send(SendTest.ONE).status());
      Request request = old.traceRequests().get(0);
      assertEquals("/v0.3/traces", request.path());
      assertArrayEquals(SendTest.ONE, request.body());
      Map<?, ?> agent = (Map<?, ?>) ((Map<?, ?>) Json.parse(exporter.explain())).get("agent");
      assertEquals("/v0.3/traces", ((Map<?, ?>) agent.get("info")).get("found_by_trying"));
    }
  }

  @Test
  void withoutDiscoveryNothingIsProbedAndV03IsFoundByTheSend() {
    try (FakeAgent old = FakeAgent.builder().onlyV03().start();
        TraceExporter exporter = TraceExporter.builder().url(old.url()).discovery(false).build()) {
      assertEquals(2, exporter.send(SendTest.ONE).attempts());
      assertEquals(1, exporter.send(SendTest.ONE).attempts());
      List<String> paths = new ArrayList<>();
      old.requests().forEach(request -> paths.add(request.path()));
      assertEquals(Arrays.asList("/v0.4/traces", "/v0.3/traces", "/v0.3/traces"), paths);
      assertNull(exporter.agentInfo());
    }
  }

  @Test
  void waitingForAnAgentThatIsNotThereEndsInTime() throws IOException {
    agent.close();
    try (TraceExporter exporter = builder().build()) {
      long start = System.nanoTime();
      TraceExporterException e =
          assertThrows(
              TraceExporterException.class, () -> exporter.awaitAgent(Duration.ofMillis(200)));
      assertEquals(ErrorCode.TIMED_OUT, e.code());
      assertTrue((System.nanoTime() - start) / 1_000_000 < Patience.patient(1000));
    }
  }

  @Test
  void closeEndsWaitingForTheAgent() throws Exception {
    agent.close();
    TraceExporter exporter = builder().build();
    Throwable[] outcome = new Throwable[1];
    Thread waiting =
        new Thread(
            () -> {
              try {
                exporter.awaitAgent(Duration.ofMinutes(1));
              } catch (RuntimeException e) {
                outcome[0] = e;
              }
            });
    waiting.start();
    Thread.sleep(100);
    exporter.close();
    waiting.join(Patience.patient(3000));
    assertEquals(ErrorCode.CLOSED, ((TraceExporterException) outcome[0]).code());
  }

  @Test
  void autoTakesTheBestThatIsOffered() {
    try (TraceExporter exporter = builder().outputFormat(OutputFormat.AUTO).build()) {
      exporter.awaitAgent(SOON);
      exporter.send(SendTest.ONE);
    }
    assertEquals("/v1.0/traces", agent.traceRequests().get(0).path());
    agent.info(r -> Answer.json(200, "{\"endpoints\":[\"/v0.4/traces\"]}"));
    try (TraceExporter exporter = builder().outputFormat(OutputFormat.AUTO).build()) {
      exporter.awaitAgent(SOON);
      exporter.send(SendTest.ONE);
    }
    assertEquals("/v0.4/traces", agent.traceRequests().get(1).path());
  }

  @Test
  void theAgentsFiltersAreAppliedOnRequestOnly() {
    byte[] marked = FaultsTest.trace("drop", "me", 0);
    for (boolean on : new boolean[] {true, false}) {
      try (TraceExporter exporter = builder().agentFilters(on).build()) {
        exporter.awaitAgent(SOON);
        exporter.send(marked);
        assertEquals(on ? 1 : 0, exporter.metrics().filtered().traces());
      }
    }
  }

  @Test
  void withoutDiscoveryNobodyAsksForInfo() throws Exception {
    boolean[] asked = new boolean[1];
    agent.info(
        r -> {
          asked[0] = true;
          return Answer.json(200, INFO);
        });
    try (TraceExporter exporter = builder().discovery(false).build()) {
      exporter.send(SendTest.ONE);
      Thread.sleep(100);
      assertNull(exporter.agentInfo());
    }
    assertFalse(asked[0]);
  }

  @Test
  void theStateFollowsWhatHappens() throws IOException {
    try (TraceExporter exporter = builder().sendBudget(Duration.ofMillis(150)).build()) {
      exporter.awaitAgent(SOON);
      exporter.send(SendTest.ONE);
      AgentState state = exporter.state();
      assertEquals(AgentState.Condition.READY, state.condition());
      assertNotNull(state.lastSuccess());
      agent.close();
      assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      state = exporter.state();
      assertEquals(AgentState.Condition.DOWN, state.condition());
      assertEquals(ErrorCode.CONNECTION_REFUSED, state.lastError().code());
      assertNotNull(state.lastErrorTime());
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      assertEquals(ErrorCode.AGENT_DOWN, e.code());
    }
  }

  @Test
  void explainNamesSourcesAndHidesSecrets() {
    try (TraceExporter exporter = builder().service("shop").header("X-Key", "s3cret").build()) {
      exporter.awaitAgent(SOON);
      exporter.send(SendTest.ONE);
      Map<?, ?> all = (Map<?, ?>) Json.parse(exporter.explain());
      Map<?, ?> configuration = (Map<?, ?>) all.get("configuration");
      assertEquals("set", ((Map<?, ?>) configuration.get("service")).get("source"));
      assertEquals("default", ((Map<?, ?>) configuration.get("sendBudget")).get("source"));
      assertTrue(all.containsKey("account") && all.containsKey("format"), all.toString());
      assertFalse(exporter.explain().contains("s3cret"));
    }
  }

  @Test
  void linesReachTheListenerOnTheThreadOfTheSend() {
    List<LogLine> lines = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    agent.answer(r -> Answer.json(400, "no such thing"));
    try (TraceExporter exporter =
        builder()
            .logListener(
                line -> {
                  lines.add(line);
                  threads.add(Thread.currentThread());
                  throw new IllegalStateException("a listener's own fault");
                })
            .build()) {
      exporter.awaitAgent(SOON);
      for (int i = 0; i < 3; i++) {
        assertThrows(TraceExporterException.class, () -> exporter.send(SendTest.ONE));
      }
      // The trouble is told when it begins, not with every send.
      assertEquals(1, lines.size(), lines.toString());
      assertEquals(LogLine.Severity.WARNING, lines.get(0).severity());
      assertTrue(lines.get(0).text().contains("knob"), lines.toString());
      agent.answer(r -> Answer.RATES);
      exporter.send(SendTest.ONE);
      assertEquals(2, lines.size(), lines.toString());
      assertEquals(LogLine.Severity.INFO, lines.get(1).severity());
    }
    assertEquals(
        Collections.nCopies(threads.size(), Thread.currentThread()), threads, lines.toString());
  }

  @Test
  void aForgottenExporterIsToldToItsListener() throws Exception {
    List<LogLine> lines = Collections.synchronizedList(new ArrayList<>());
    forget(builder().logListener(lines::add));
    for (int i = 0; i < 100 && lines.isEmpty(); i++) {
      System.gc();
      TraceExporter.builder().discovery(false).build().close();
      Thread.sleep(20);
    }
    assertEquals(1, lines.size());
    assertTrue(lines.get(0).text().contains("call close()"), lines.toString());
  }

  private static void forget(Builder builder) {
    builder.build().send(SendTest.ONE);
  }

  @Test
  void theBeanLivesAsLongAsTheExporter() throws Exception {
    MBeanServer server = ManagementFactory.getPlatformMBeanServer();
    ObjectName ours = new ObjectName("com.datadog.pipeline:type=TraceExporter,*");
    assertEquals(0, server.queryNames(ours, null).size());
    try (TraceExporter exporter = builder().jmx(true).build();
        TraceExporter second = builder().jmx(true).build()) {
      exporter.send(SendTest.ONE);
      Set<ObjectName> names = server.queryNames(ours, null);
      assertEquals(2, names.size());
      long sent = 0;
      for (ObjectName name : names) {
        assertEquals(agent.url(), server.getAttribute(name, "Url"));
        assertEquals("READY", server.getAttribute(name, "State"));
        assertEquals("", server.getAttribute(name, "LastError"));
        sent += (Long) server.getAttribute(name, "SentTraces");
        assertNotNull(server.getAttribute(name, "Account"));
        assertTrue(
            ((String) server.invoke(name, "explain", null, null)).contains("\"configuration\""));
      }
      assertEquals(1, sent);
      assertEquals(0, second.metrics().sent().traces());
    }
    assertEquals(0, server.queryNames(ours, null).size());
  }

  /** Asks for a bean where there are none. */
  static final class WithoutBeans {
    private WithoutBeans() {}

    public static void main(String[] arguments) {
      try {
        TraceExporter.builder().jmx(true).build();
      } catch (TraceExporterException e) {
        System.out.println(e.getMessage());
      }
      TraceExporter.builder().jmx(false).build().close();
    }
  }

  @Test
  void aRuntimeWithoutBeansIsAnErrorOfConfiguration() throws Exception {
    assumeTrue(ChildJvm.feature() >= 9, "this JVM has no modules");
    URI classes = DialogueTest.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    String path = Jars.JAR + File.pathSeparator + new File(classes);
    ChildJvm.Outcome o =
        new ChildJvm()
            .run("--limit-modules", "java.base", "-cp", path, WithoutBeans.class.getName());
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.out.startsWith("INVALID_CONFIGURATION: jmx: "), o.toString());
  }

  @Test
  void healthMetricsGoWhereTheySay() throws Exception {
    try (java.net.DatagramSocket socket = new java.net.DatagramSocket()) {
      socket.setSoTimeout(5000);
      try (TraceExporter exporter =
          builder().dogstatsd("udp://127.0.0.1:" + socket.getLocalPort()).build()) {
        exporter.send(SendTest.ONE);
      }
      java.net.DatagramPacket packet = new java.net.DatagramPacket(new byte[9000], 9000);
      socket.receive(packet);
      String text = new String(packet.getData(), 0, packet.getLength(), "UTF-8");
      assertTrue(text.contains(":1|c"), text);
    }
    for (String bad :
        new String[] {
          "", "localhost", "localhost:8125", "http://h:1", "udp://h:0", "udp://", "unix://x", "a b"
        }) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> TraceExporter.builder().dogstatsd(bad));
      assertTrue(e.getMessage().startsWith("dogstatsd"), e.getMessage());
    }
    String local = File.separatorChar == '/' ? "unixgram:///s" : "udp://127.0.0.1:8125";
    for (String good : new String[] {"udp://localhost", "udp://[::1]:9", local}) {
      TraceExporter.builder().dogstatsd(good).build().close();
    }
  }

  @Test
  void requestsAreSplitAtTheCallersLimit() {
    byte[] payload = FaultsTest.traces(4, 700);
    try (TraceExporter exporter = builder().maxRequestBytes(1700).build()) {
      exporter.send(payload);
      assertEquals(4, exporter.metrics().sent().traces());
    }
    assertEquals(2, agent.traceRequests().size());
    assertThrows(
        IllegalArgumentException.class, () -> TraceExporter.builder().maxRequestBytes(1023));
  }
}
