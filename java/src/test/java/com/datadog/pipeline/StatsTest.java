package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class StatsTest {
  private static final Duration SOON = Duration.ofSeconds(5);
  private static final Duration BUCKET = Duration.ofSeconds(10);
  private static final File PAIR =
      new File(System.getProperty("fixtures"), "stats/pair-go/traces/002.msgpack");

  private final List<String> posts = Collections.synchronizedList(new ArrayList<>());
  private final List<String> claims = Collections.synchronizedList(new ArrayList<>());
  private volatile int statsStatus = 200;
  private FakeAgent agent;
  private byte[] payload;

  @BeforeEach
  void start() throws IOException {
    payload = Files.readAllBytes(PAIR.toPath());
    agent = FakeAgent.start();
    agent.answer(
        request -> {
          if (!request.path().equals("/v0.6/stats")) {
            return Answer.RATES;
          }
          posts.add(request.header("Content-Type"));
          claims.add(String.valueOf(request.header("Datadog-Obfuscation-Version")));
          return Answer.json(statsStatus, "");
        });
  }

  @AfterEach
  void stop() throws IOException {
    agent.close();
  }

  private TraceExporter exporter() {
    TraceExporter exporter =
        TraceExporter.builder()
            .url(agent.url())
            .computeStats(BUCKET)
            .statsReplay(true)
            .peerTag("out.host", "db.name")
            .additionalMetricTag("region")
            .statsLimits(StatsLimits.of(700, 100, 50, 50, 10))
            .closeTimeout(SOON)
            .build();
    exporter.awaitAgent(SOON);
    return exporter;
  }

  @Test
  void everySpanThatCountsIsCountedShownAndSentAtClose() {
    TraceExporter exporter = exporter();
    exporter.send(payload);
    Stats stats = exporter.stats();
    assertEquals(25, stats.counted());
    assertEquals(25, stats.waiting());
    assertEquals(25, stats.rows().stream().mapToLong(Stats.Row::hits).sum());
    Stats.Row first = stats.rows().get(0);
    assertEquals("shop-go", first.service());
    assertTrue(first.p50() > 0 && first.p50() <= first.p95() && first.p95() <= first.p99());
    assertTrue(
        stats.toString().contains("SERVICE") && stats.toString().contains("GET /orders/{id}"));
    assertEquals("true", agent.traceRequests().get(0).header("Datadog-Client-Computed-Stats"));
    assertTrue(posts.isEmpty());
    exporter.close();
    assertEquals(Collections.singletonList("application/msgpack"), posts);
    assertEquals(0, exporter.stats().waiting(), "as at the end");
    assertThrows(IllegalStateException.class, () -> exporter.flushStats(SOON));
  }

  @Test
  void whatCouldNotBeSentIsKeptAndWhatWasRefusedIsLost() {
    try (TraceExporter exporter = exporter()) {
      exporter.send(payload);
      statsStatus = 404;
      assertFalse(exporter.flushStats(SOON));
      assertEquals(25, exporter.stats().waiting());
      statsStatus = 200;
      assertTrue(exporter.flushStats(SOON));
      assertEquals(25, exporter.stats().sent());
      exporter.send(payload);
      statsStatus = 400;
      assertFalse(exporter.flushStats(SOON));
      Stats stats = exporter.stats();
      assertEquals(25, stats.lost());
      assertEquals(stats.counted(), stats.sent() + stats.lost() + stats.waiting());
    }
  }

  @Test
  void withoutComputeStatsNothingIsCounted() {
    try (TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      exporter.awaitAgent(SOON);
      exporter.send(payload);
      assertEquals(0, exporter.stats().counted());
      assertTrue(exporter.stats().rows().isEmpty());
      assertTrue(exporter.flushStats(SOON));
    }
    assertTrue(posts.isEmpty());
  }

  @Test
  void settingsThatExcludeEachOtherAreRefused() {
    Builder both = TraceExporter.builder().computeStats(BUCKET).clientComputedStats(true);
    TraceExporterException e = assertThrows(TraceExporterException.class, both::build);
    assertEquals(ErrorCode.INVALID_CONFIGURATION, e.code());
    Builder alone = TraceExporter.builder().peerTag("a");
    assertThrows(TraceExporterException.class, alone::build);
    Builder builder = TraceExporter.builder();
    assertThrows(
        IllegalArgumentException.class, () -> builder.computeStats(Duration.ofMillis(999)));
    assertThrows(IllegalArgumentException.class, () -> builder.peerTag(""));
    assertThrows(IllegalArgumentException.class, () -> StatsLimits.of(10, 10, 1, 1, 1));
  }

  @Test
  void resourcesAreObfuscatedByTheToolIfTheAgentAgrees() {
    String[][] cases = {{"1", "1", ""}, {"2", "null", "obfuscation_version is 2"}};
    for (String[] c : cases) {
      claims.clear();
      String info =
          "{\"endpoints\":[\"/v0.4/traces\",\"/v0.6/stats\"],\"client_drop_p0s\":true,"
              + "\"obfuscation_version\":"
              + c[0]
              + "}";
      agent.info(request -> Answer.json(200, info));
      String[] send = {"send", "--url", agent.url(), "--compute-stats", PAIR.getPath()};
      assertEquals(0, ToolTest.tool(send).exit);
      send = Arrays.copyOf(send, send.length + 1);
      send[send.length - 1] = "--obfuscate-stats";
      ChildJvm.Outcome sent = ToolTest.tool(send);
      assertEquals(0, sent.exit, sent.err);
      assertTrue(sent.err.contains(c[2]), sent.err);
      assertEquals(Arrays.asList("null", c[1]), claims);
    }
    String raw = ToolTest.tool("stats", PAIR.getPath()).out;
    String hidden = ToolTest.tool("stats", "--obfuscate-stats", PAIR.getPath()).out;
    assertTrue(raw.contains("O''Brien"), raw);
    assertFalse(hidden.contains("O''Brien"), hidden);
    List<byte[]> payloads = Collections.singletonList(payload);
    assertEquals(
        hidden.trim(),
        Payloads.stats(payloads, Payloads.Counting.whereTheyEnded().obfuscated())
            .toString()
            .trim());
    assertEquals(2, ToolTest.tool("send", "--obfuscate-stats", PAIR.getPath()).exit);
  }

  @Test
  void theToolPrintsATableAndSendsStatsOfWhatItSent() {
    ChildJvm.Outcome table = ToolTest.tool("stats", PAIR.getPath());
    assertEquals(0, table.exit, table.err);
    assertTrue(table.out.startsWith("SERVICE"), table.out);
    ChildJvm.Outcome json = ToolTest.tool("stats", "--json", "--now", PAIR.getPath());
    assertEquals(
        25L, ((Number) ((Map<?, ?>) Json.parse(json.out.trim())).get("counted")).longValue());
    ChildJvm.Outcome sent =
        ToolTest.tool("send", "--url", agent.url(), "--compute-stats", PAIR.getPath());
    assertEquals(0, sent.exit, sent.err);
    assertTrue(sent.out.contains("stats: counted 25 spans, sent 25, lost 0"), sent.out);
    assertEquals(1, posts.size());
    statsStatus = 400;
    assertEquals(
        1, ToolTest.tool("send", "--url", agent.url(), "--compute-stats", PAIR.getPath()).exit);
    for (List<String> bad :
        Arrays.asList(Arrays.asList("stats"), Arrays.asList("send", "--now", PAIR.getPath()))) {
      assertEquals(2, ToolTest.tool(bad.toArray(new String[0])).exit);
    }
  }
}
