package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Captured requests and what is done with them, dry runs, and the pace of the queue. */
class CaptureTest {
  private static final File TRACES = new File(System.getProperty("fixtures"), "traces");
  private static final File JAVA_1 = new File(TRACES, "java/001.msgpack");
  private static final File GO_1 = new File(TRACES, "go/001.msgpack");
  private static final String KEY = "0123456789abcdef0123456789abcdef";
  private static final long MIB = 1 << 20;

  @TempDir Path folder;
  private FakeAgent agent;
  private Path captured;

  @BeforeEach
  void start() {
    agent = FakeAgent.start();
    captured = folder.resolve("captured");
  }

  @AfterEach
  void stop() {
    agent.close();
  }

  private static byte[] bytes(File file) throws IOException {
    return Files.readAllBytes(file.toPath());
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> all = Files.list(captured)) {
      return all.filter(path -> path.toString().endsWith(".capture"))
          .sorted()
          .collect(Collectors.toList());
    }
  }

  private Builder builder() {
    return TraceExporter.builder().url(agent.url()).discovery(false).capture(captured, 8 * MIB);
  }

  private static Object explained(TraceExporter exporter, String... path) {
    Object at = Json.parse(exporter.explain());
    for (String name : path) {
      at = ((Map<?, ?>) at).get(name);
    }
    return at;
  }

  /** Requests with a body, without the order and spelling of what a header's name is. */
  private static void assertSame(List<Request> expected, List<Request> actual, String... but) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      Request a = expected.get(i);
      Request b = actual.get(i);
      assertEquals(a.method() + a.path(), b.method() + b.path());
      assertArrayEquals(a.body(), b.body());
      Map<String, String> theirs = new java.util.TreeMap<>(b.headers());
      Map<String, String> ours = new java.util.TreeMap<>(a.headers());
      for (String name : but) {
        theirs.remove(name);
        ours.remove(name);
      }
      assertEquals(ours, theirs);
    }
  }

  @Test
  void whatWasCapturedIsReplayedByteForByte() throws IOException {
    try (TraceExporter exporter =
        builder().header("X-Team", "s3cret").language("java").service("shop").build()) {
      exporter.send(bytes(JAVA_1));
      agent.answerNext(1, Answer.json(400, "no\nthanks"));
      assertThrows(TraceExporterException.class, () -> exporter.send(bytes(GO_1)));
      exporter.offer(bytes(JAVA_1));
      assertTrue(exporter.flush(Duration.ofSeconds(20)).complete());
      assertEquals(3L, explained(exporter, "capture", "files"));
      assertEquals(1L, explained(exporter, "capture", "refused"));
      long wire = 2 * JAVA_1.length() + GO_1.length();
      assertEquals(wire, exporter.metrics().wireBytes());
    }
    List<Request> before = agent.traceRequests();
    try (FakeAgent other = FakeAgent.start()) {
      other.answerNext(2, Answer.json(200, "{}"));
      other.answerNext(1, Answer.json(413, "{\"too\":\n\"large\"}"));
      ChildJvm.Outcome o =
          ToolTest.tool(
              "replay", captured.toString(), "--url", other.url(), "--header=X-Team: s3cret");
      assertEquals(1, o.exit, o.toString());
      assertSame(before, other.traceRequests(), "host");
      String[] lines = o.out.split("\\R");
      String bytes = JAVA_1.length() + " bytes";
      assertTrue(
          lines[0].matches(
              ".*0000000000-accepted\\.capture: PUT /v0\\.4/traces, .* status 200, .* ms"),
          o.out);
      assertTrue(lines[0].contains(bytes), o.out);
      assertTrue(lines[2].endsWith(": {\"too\": \"large\"}"), o.out);
      assertEquals(
          "accepted  2 requests, " + (JAVA_1.length() + GO_1.length()) + " bytes", lines[3]);
      assertEquals("refused   1 request, " + bytes, lines[4]);
      assertEquals("", o.err);

      other.clear();
      o =
          ToolTest.tool(
              "replay",
              "--only",
              "refused",
              "--url",
              other.url() + "/v0.4/traces",
              captured.toString());
      assertEquals(0, o.exit, o.toString());
      assertArrayEquals(bytes(GO_1), other.traceRequests().get(0).body());
      assertEquals("/v0.4/traces", other.traceRequests().get(0).path());
      assertTrue(o.err.contains(": x-team is masked and left out (--header)"), o.err);
      assertTrue(o.out.contains("left out  2 requests"), o.out);
    }
  }

  @Test
  void aKeyComesFromTheOptionAndACompressedBodyGoesAsItIs() throws IOException {
    Destination to = Destination.intake("datadoghq.com", KEY).url(agent.url());
    try (TraceExporter exporter =
        TraceExporter.builder().destination(to).capture(captured, MIB).build()) {
      exporter.send(bytes(GO_1));
    }
    Path file = files().get(0);
    String text = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    assertTrue(text.startsWith("data-pipeline capture 1\nnumber: 0\ntime: 20"), text);
    assertTrue(
        text.contains("\nmasked: dd-api-key\n") && text.contains("\ndd-api-key: ***\n"), text);
    assertFalse(text.contains(KEY), text);
    List<Request> before = new ArrayList<>(agent.requests());
    agent.clear();
    ChildJvm.Outcome o =
        ToolTest.tool("replay", file.toString(), "--url", agent.url(), "--api-key", KEY);
    assertEquals(0, o.exit, o.toString());
    assertSame(before, agent.requests());
    assertEquals("zstd", agent.requests().get(0).header("content-encoding"));
    assertFalse((o.out + o.err).contains(KEY));
  }

  @Test
  void showSaysWhatWasAskedAndAnswered() throws IOException {
    try (TraceExporter exporter = builder().header("X-Team", "s3cret").build()) {
      exporter.send(bytes(JAVA_1));
    }
    String file = files().get(0).toString();
    ChildJvm.Outcome o = ToolTest.tool("show", file);
    assertEquals(0, o.exit, o.toString());
    for (String part :
        new String[] {
          "fate: accepted",
          "masked: x-team",
          "PUT /v0.4/traces HTTP/1.1",
          "x-team: ***",
          "HTTP/1.1 200",
          "rate_by_service",
          "(1 span)"
        }) {
      assertTrue(o.out.contains(part), part + "\n" + o.out);
    }
    assertTrue(ToolTest.tool("show", "--json", file).out.startsWith("{\"trace\""));
  }

  @Test
  void whatIsWrongWithAFileIsOneLineThatNamesThePlace() throws IOException {
    try (TraceExporter exporter = builder().build()) {
      exporter.send(bytes(JAVA_1));
    }
    byte[] good = Files.readAllBytes(files().get(0));
    String text = new String(good, StandardCharsets.ISO_8859_1);
    String[][] cases = {
      {"", "byte 0: it is no captured request"},
      {"\u0091\u0090", "byte 0: it is no captured request"},
      {"data-pipeline capture 2\n\n", "line 1: version 2 of the format; this reads 1"},
      {"data-pipeline capture 1\nnumber: 1", "line 2: it ends before the empty line"},
      {"data-pipeline capture 1\nhello\n\n", "line 2: it is \"hello\", not NAME: VALUE"},
      {"data-pipeline capture 1\n\n", "request-head-bytes is null, not a number"},
      {text.replace("\nbody-bytes: ", "\nbody-bytes: -"), ", less than nothing"},
      {text.replace("\nbody-bytes: ", "\nbody-bytes: 9"), ": cut off, of 9"},
      {text.substring(0, text.length() - 1), ": cut off, of " + JAVA_1.length() + " body-bytes "},
      {text + "x", ": 1 bytes behind the body"},
      {text.replace("\nanswer-head-bytes: ", "\nanswer-head-bytes: 0"), ""},
      {text.replace("PUT /", "PUT/"), ""},
    };
    for (String[] c : cases) {
      Path file = folder.resolve("x.capture");
      Files.write(file, c[0].getBytes(StandardCharsets.ISO_8859_1));
      ChildJvm.Outcome o =
          ToolTest.tool("replay", file.toString(), files().get(0).toString(), "--url", agent.url());
      assertTrue(o.exit == 1 || c[1].isEmpty(), c[1] + o);
      assertTrue(o.err.isEmpty() || o.err.startsWith(file + ": "), o.err);
      assertTrue(o.err.contains(c[1]), c[1] + " is not in " + o.err);
      assertTrue(o.err.isEmpty() || o.err.split("\\R").length == 1, o.err);
      assertTrue(o.out.contains("status 200"), "the other one went");
    }
    // Every place at which a file can end.
    for (int size = 0; size < good.length; size += 7) {
      Path file = folder.resolve("cut.capture");
      Files.write(file, Arrays.copyOf(good, size));
      ChildJvm.Outcome o = ToolTest.tool("replay", file.toString(), "--url", agent.url());
      assertEquals(1, o.exit, size + ": " + o);
      assertEquals(1, o.err.split("\\R").length, size + ": " + o.err);
    }
  }

  @Test
  void wrongArgumentsAndPeersThatAreAwayAreOneLine() throws IOException {
    String[][] cases = {
      {"no file was named", "replay"},
      {"--only is all; it must be one of accepted", "replay", "--only", "all", "x"},
      {"--header must be \"NAME: VALUE\"", "replay", "--header", "nonsense", "x"},
      {"--header x has characters", "replay", "--header", "x: a\nb", "x"},
      {"--header Content-Length: the body says", "replay", "--header", "Content-Length: 3", "x"},
      {"the API key has characters", "replay", "--api-key", "a b", "x"},
      {"url is \"ftp://x\"; the scheme is missing", "replay", "--url", "ftp://x", "x"},
      {
        "url: replay does not write to named pipes",
        "replay",
        "--url",
        "windows:\\\\.\\pipe\\x",
        "x"
      },
      {
        "--ca /nowhere: there is no such file",
        "replay",
        "--ca",
        "/nowhere",
        "--url",
        "https://localhost:1",
        "x"
      },
      {"capture: the limit is", "send", "--capture", "", "x"},
    };
    for (String[] c : cases) {
      ChildJvm.Outcome o = ToolTest.tool(Arrays.copyOfRange(c, 1, c.length));
      assertEquals(2, o.exit, Arrays.toString(c) + o);
      if (!c[0].startsWith("capture")) {
        assertTrue(o.err.contains(c[0]), o.toString());
      }
      assertEquals(1, o.err.split("\\R").length, o.err);
    }
    try (TraceExporter exporter = builder().build()) {
      exporter.send(bytes(JAVA_1));
      exporter.send(bytes(JAVA_1));
      exporter.send(bytes(JAVA_1));
    }
    String url = agent.url();
    agent.close();
    ChildJvm.Outcome o = ToolTest.tool("replay", captured.toString(), "--url", url);
    assertEquals(1, o.exit, o.toString());
    String[] lines = o.err.split("\\R");
    assertEquals(2, lines.length, o.err);
    assertTrue(lines[0].contains("nobody listens at "), o.err);
    assertEquals("nobody is there; 2 requests not sent", lines[1]);
    o = ToolTest.tool("replay", folder.toString(), "--url", url);
    assertEquals(1, o.exit);
    assertEquals("there was nothing to send", o.err.trim());
  }

  @Test
  void aDryRunSendsNothingAndSaysWhatWould() throws IOException {
    try (TraceExporter exporter = builder().dryRun(true).build()) {
      AgentResponse response = exporter.send(bytes(GO_1));
      assertEquals(0, response.status());
      assertTrue(response.traces() > 0);
      Metrics m = exporter.metrics();
      assertEquals(m.received(), m.dropped().get(DropReason.DRY_RUN));
      assertEquals(0, m.wireBytes());
      assertEquals(true, explained(exporter, "dry_run", "on"));
      assertEquals(GO_1.length(), explained(exporter, "dry_run", "bytes"));
    }
    assertEquals(0, agent.requests().size());
    try (FakeAgent other = FakeAgent.start()) {
      assertEquals(0, ToolTest.tool("replay", captured.toString(), "--url", other.url()).exit);
      assertArrayEquals(bytes(GO_1), other.traceRequests().get(0).body());
    }
    Builder both = TraceExporter.builder().dryRun(true).spool(folder.resolve("spool"), MIB);
    TraceExporterException e = assertThrows(TraceExporterException.class, both::build);
    assertTrue(e.getMessage().contains("dryRun"), e.getMessage());
  }

  @Test
  void theToolHasDryRunsAndCapturesToo() throws IOException {
    String file = GO_1.getPath();
    ChildJvm.Outcome o =
        ToolTest.tool(
            "send", "--dry-run", "--capture", captured.toString(), "--url", agent.url(), file);
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.out.contains(", not sent, ") && o.out.contains("  DRY_RUN "), o.out);
    assertEquals(0, agent.traceRequests().size());
    assertTrue(files().stream().anyMatch(path -> path.toString().endsWith("-dry.capture")));
    o = ToolTest.tool("send", "--dry-run", "--compute-stats", "--url", agent.url(), file);
    assertEquals(0, o.exit, o.toString());
    assertEquals(0, agent.traceRequests().size());
  }

  @Test
  void theQueueKeepsItsPace() throws IOException {
    byte[] payload = bytes(GO_1);
    long rate = 2L * payload.length;
    try (TraceExporter exporter =
        builder()
            .batchBytes(0)
            .maxBytesPerSecond(rate)
            .closeTimeout(Duration.ofMillis(100))
            .build()) {
      long start = System.nanoTime();
      for (int i = 0; i < 6; i++) {
        exporter.offer(payload);
      }
      assertTrue(exporter.flush(Duration.ofSeconds(60)).complete());
      // Two and a half seconds' worth; the first second comes for nothing, the last body is not
      // waited for.
      assertTrue(System.nanoTime() - start >= 1_400_000_000L, "too fast");
      for (int i = 0; i < 6; i++) {
        exporter.send(payload);
      }
      assertTrue(exporter.metrics().queuePaceMillis() > 1000, "counted, and not held");
      assertEquals(rate, explained(exporter, "bandwidth", "bytes_per_second"));
      exporter.reconfigure(b -> b.maxBytesPerSecond(1 << 30));
      assertEquals(0, exporter.metrics().queuePaceMillis());
    }
    assertThrows(
        IllegalArgumentException.class, () -> TraceExporter.builder().maxBytesPerSecond(1023));
    assertThrows(
        IllegalArgumentException.class, () -> TraceExporter.builder().capture(folder, MIB - 1));
  }
}
