package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every kind of destination from Java: its options as they arrive, and what its answers become. */
class DestinationTest {
  private static final String KEY = "0123456789abcdef0123456789abcdef";
  private static final File GO_1 =
      new File(System.getProperty("fixtures"), "traces/go/001.msgpack");

  @TempDir Path folder;
  private FakeAgent peer;
  private byte[] payload;

  @BeforeEach
  void start() throws IOException {
    peer = FakeAgent.start();
    payload = Files.readAllBytes(GO_1.toPath());
  }

  @AfterEach
  void stop() {
    peer.close();
  }

  private static Builder to(Destination destination) {
    return TraceExporter.builder()
        .destination(destination)
        .service("shop")
        .language("java")
        .runtimeId("r-1");
  }

  /** The one request that a send makes. */
  private Request sent(Builder builder) {
    peer.clear();
    try (TraceExporter exporter = builder.build()) {
      AgentResponse r = exporter.send(payload);
      assertTrue(r.traces() > 0 && r.status() / 100 == 2, r.toString());
      Metrics m = exporter.metrics();
      assertEquals(r.traces(), m.sent().traces());
      assertEquals(m.received(), m.sent().plus(m.sampledOut()));
    }
    List<Request> all = new ArrayList<>(peer.requests());
    all.removeIf(request -> request.path().endsWith("/info"));
    assertEquals(1, all.size(), all.toString());
    return all.get(0);
  }

  private static Map<?, ?> json(byte[] body) {
    return (Map<?, ?>) Json.parse(new String(body, StandardCharsets.UTF_8));
  }

  private static byte[] unzipped(byte[] body) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(body))) {
      for (int b = in.read(); b >= 0; b = in.read()) {
        out.write(b);
      }
    }
    return out.toByteArray();
  }

  @Test
  void anAgentIsWhatUrlIsShortFor() {
    Request request = sent(to(Destination.agent(peer.url())));
    assertEquals("/v0.4/traces", request.path());
    assertEquals(
        request.headers(),
        sent(TraceExporter.builder()
                .service("shop")
                .language("java")
                .runtimeId("r-1")
                .url(peer.url()))
            .headers());
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> to(Destination.agent("ftp://x")));
    assertTrue(e.getMessage().contains("scheme"), e.getMessage());
  }

  @Test
  void otlpGoesAsItsOptionsSay() throws IOException {
    Destination.Otlp otlp = Destination.otlp(peer.url());
    Request request = sent(to(otlp.header("X-Team", "cart")));
    assertEquals("POST /v1/traces", request.method() + " " + request.path());
    assertEquals("application/x-protobuf", request.header("content-type"));
    assertEquals("cart", request.header("x-team"));

    request = sent(to(Destination.otlp(peer.url() + "/own").encoding(OtlpEncoding.JSON)));
    assertEquals("/own", request.path());
    Map<?, ?> all = json(request.body());
    byte[] plain = request.body();

    Destination.Otlp json = otlp.encoding(OtlpEncoding.JSON);
    request = sent(to(json.compression(Compression.GZIP)));
    assertEquals("gzip", request.header("content-encoding"));
    assertEquals(all, json(unzipped(request.body())));
    request = sent(to(json.compression(Compression.ZSTD)));
    assertEquals("zstd", request.header("content-encoding"));
    assertTrue(request.body().length < plain.length / 3);
    assertEquals((byte) 0x28, request.body()[0], "zstd's first byte");

    String text = new String(sent(to(json.maxAttributes(1))).body(), StandardCharsets.UTF_8);
    assertTrue(text.contains("droppedAttributesCount"), text);
    text = new String(plain, StandardCharsets.UTF_8);
    assertTrue(text.contains("resource.name"), text);
    request = sent(to(json.openTelemetrySemantics(true)));
    text = new String(request.body(), StandardCharsets.UTF_8);
    assertFalse(text.contains("\"resource.name\""), text);
  }

  @Test
  void whatAPartialSuccessRejectsStandsInTheAccount() {
    peer.answerNext(
        1,
        Answer.json(200, "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"no\"}}"));
    Destination.Otlp otlp = Destination.otlp(peer.url()).encoding(OtlpEncoding.JSON);
    try (TraceExporter exporter = to(otlp).build()) {
      exporter.send(payload);
      Metrics m = exporter.metrics();
      assertEquals(2, m.dropped().get(DropReason.REJECTED_BY_PEER).spans());
      peer.answerNext(1, Answer.json(503, "busy"));
      assertEquals(2, exporter.send(payload).attempts());
      peer.answerNext(1, Answer.json(500, "broken"));
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(payload));
      assertEquals(500, e.httpStatus());
      assertEquals(1, e.attempts());
    }
  }

  @Test
  void datadogsOwnOtlpIntakeGetsKeyAndMapping() {
    peer.answer(r -> Answer.json(202, ""));
    Destination.Otlp otlp = Destination.datadogOtlp("datadoghq.eu", KEY).url(peer.url());
    Request request = sent(to(otlp));
    assertEquals(KEY, request.header("dd-api-key"));
    assertEquals("{\"span_name_as_resource_name\":false}", request.header("dd-otel-span-mapping"));
    assertEquals("true", request.header("compute_stats"));
    request = sent(to(otlp.spanMapping("{\"x\":1}")));
    assertEquals("{\"x\":1}", request.header("dd-otel-span-mapping"));
    assertThrows(IllegalArgumentException.class, () -> to(otlp.encoding(OtlpEncoding.JSON)));
  }

  @Test
  void theIntakeGetsJsonAndARefusalNamesSiteAndTheEndOfTheKey() {
    peer.answer(r -> Answer.json(202, ""));
    Destination.Intake intake =
        Destination.intake("us5.datadoghq.com", KEY).url(peer.url()).compression(Compression.NONE);
    Request request = sent(to(intake));
    assertEquals("POST /api/v2/spans", request.method() + " " + request.path());
    assertEquals(KEY, request.header("dd-api-key"));
    assertTrue(json(request.body()).get("traces") instanceof List);
    assertEquals(
        "zstd",
        sent(to(Destination.intake("datadoghq.com", KEY).url(peer.url())))
            .header("content-encoding"));
    peer.answer(r -> Answer.json(403, "Forbidden"));
    List<LogLine> lines = new ArrayList<>();
    try (TraceExporter exporter = to(intake).logListener(lines::add).build()) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(payload));
      assertTrue(e.getMessage().contains("us5.datadoghq.com"), e.getMessage());
      assertTrue(e.getMessage().contains("***cdef"), e.getMessage());
      String all = e + exporter.explain() + exporter + lines + intake;
      assertFalse(all.contains(KEY), all);
      assertTrue(intake.toString().contains("***cdef"), intake.toString());
    }
  }

  @Test
  void eachLogLineIsOneWriteIntoTheStreamOfTheCaller() throws Exception {
    List<String> writes = Collections.synchronizedList(new ArrayList<>());
    int[] flushes = new int[1];
    int[] closes = new int[1];
    boolean[] broken = new boolean[1];
    OutputStream stream =
        new OutputStream() {
          @Override
          public void write(int b) {
            throw new AssertionError("byte by byte");
          }

          @Override
          public void write(byte[] bytes, int from, int length) throws IOException {
            if (broken[0]) {
              throw new IOException("the disk is full");
            }
            writes.add(new String(bytes, from, length, StandardCharsets.UTF_8));
          }

          @Override
          public void flush() {
            flushes[0]++;
          }

          @Override
          public void close() {
            closes[0]++;
          }
        };
    Destination.Log log = Destination.log(LogTarget.stream(stream)).maxLineBytes(4096);
    List<LogLine> lines = new ArrayList<>();
    try (TraceExporter exporter = to(log).logListener(lines::add).build()) {
      AgentResponse r = exporter.send(payload);
      long spans = 0;
      for (String line : writes) {
        assertTrue(line.endsWith("]]}\n") && line.length() <= 4096, line);
        for (Object trace : (List<?>) json(line.getBytes(StandardCharsets.UTF_8)).get("traces")) {
          spans += ((List<?>) trace).size();
        }
      }
      assertTrue(writes.size() > 1 && flushes[0] > 0, writes.size() + " writes");
      assertEquals(r.spans(), spans);
      int before = writes.size();
      assertTrue(exporter.offer(payload));
      assertTrue(exporter.flush(Duration.ofSeconds(20)).complete());
      assertEquals(2 * before, writes.size());
      assertEquals(exporter.sendAsync(payload).join().spans(), r.spans());
      // The thread that completes futures writes them, or the next call does.
      long end = System.nanoTime() + Patience.patient(5_000) * 1_000_000;
      while (writes.size() < 3 * before && System.nanoTime() < end) {
        exporter.metrics();
        Thread.sleep(5);
      }
      assertEquals(3 * before, writes.size());
      Metrics m = exporter.metrics();
      assertEquals(m.received(), m.sent().plus(m.droppedTotal()));
      broken[0] = true;
      exporter.send(payload);
      assertTrue(lines.toString().contains("the disk is full"), lines.toString());
    }
    assertEquals(0, closes[0], "it is the caller's");
  }

  @Test
  void linesGoToAFileAndToStandardOutputWhereThatIsAsked() throws Exception {
    Path file = folder.resolve("spans.jsonl");
    Files.write(file, "before\n".getBytes(StandardCharsets.UTF_8));
    try (TraceExporter exporter = to(Destination.log(LogTarget.file(file))).build()) {
      assertTrue(exporter.send(payload).traces() > 0);
    }
    List<String> lines = Files.readAllLines(file, StandardCharsets.UTF_8);
    assertEquals("before", lines.get(0));
    assertTrue(lines.get(1).startsWith("{\"traces\":[[{"), lines.get(1));
    ChildJvm.Outcome o =
        new ChildJvm().run("-jar", Jars.JAR.getPath(), "send", "--to", "log", GO_1.getPath());
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.out.startsWith("{\"traces\":[[{\"trace_id\":\""), o.out);
    Destination.Log nowhere = Destination.log(LogTarget.file(folder.resolve("no/such/x")));
    try (TraceExporter exporter = to(nowhere).build()) {
      TraceExporterException e =
          assertThrows(TraceExporterException.class, () -> exporter.send(payload));
      assertEquals(ErrorCode.IO, e.code());
      assertTrue(e.getMessage().contains("destination"), e.getMessage());
    }
  }

  @Test
  void theSecondGetsWhatTheFirstDoesNotTake() {
    Destination nobody = Destination.agent("http://127.0.0.1:9");
    Destination second = Destination.otlp(peer.url());
    try (TraceExporter exporter =
        TraceExporter.builder()
            .destinations(nobody, second)
            .sendBudget(Duration.ofSeconds(5))
            .build()) {
      assertEquals(200, exporter.send(payload).status());
      assertEquals("/v1/traces", peer.requests().get(0).path());
    }
  }

  @Test
  void whatCannotBeIsRefusedBySetterWithoutTellingSecrets() {
    Destination.Otlp otlp = Destination.otlp(peer.url());
    Object[][] cases = {
      {otlp.header("x\ny", "s3cret"), "header"},
      {otlp.header("x", "s3cret\r\ny: z"), "header"},
      {otlp.header("", "s3cret"), "header"},
      {otlp.metricsUrl("ftp://x"), "metricsUrl"},
      {Destination.otlp("collector:4318"), "scheme"},
      {Destination.otlp("unix:///x"), ""},
      {Destination.intake("datadoghq.com", "s3cret s3cret s3cret"), "apiKey"},
      {Destination.intake("datadoghq.com", "s3cret\n"), "apiKey"},
      {Destination.intake("datadoghq.com", ""), "apiKey"},
      {Destination.intake("", KEY), "site"},
      {Destination.intake("datadoghq.com/x", KEY), "site"},
      {Destination.intake("data doghq.com", KEY), "site"},
      {Destination.datadogOtlp("http://datadoghq.com", KEY), "site"},
      {Destination.log(LogTarget.STDOUT).maxLineBytes(0), "maxLineBytes"},
    };
    for (Object[] c : cases) {
      Builder builder = TraceExporter.builder();
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> builder.destination((Destination) c[0]),
              c[0].toString());
      assertTrue(e.getMessage().contains(c[1].toString()), c[0] + ": " + e.getMessage());
      assertFalse((e.getMessage() + c[0] + builder).contains("s3cret"), e.getMessage());
      assertEquals(1, e.getMessage().split("\\R").length, e.getMessage());
    }
    for (Runnable none :
        Arrays.<Runnable>asList(
            () -> Destination.agent(null),
            () -> Destination.otlp(null),
            () -> Destination.intake(null, KEY),
            () -> Destination.intake("x", null),
            () -> Destination.log(null),
            () -> LogTarget.stream(null),
            () -> LogTarget.file(null),
            () -> otlp.encoding(null),
            () -> otlp.compression(null),
            () -> otlp.maxAttributes(-1),
            () -> Destination.log(LogTarget.STDOUT).maxLineBytes(-1),
            () -> otlp.header(null, "x"))) {
      assertThrows(IllegalArgumentException.class, none::run);
    }
  }

  @Test
  void aDestinationShowsNoSecret() {
    Destination.Otlp otlp =
        Destination.otlp("https://u:s3cret@h:1/s3cret?x=s3cret").header("Authorization", "s3cret");
    assertFalse(otlp.toString().contains("s3cret"), otlp.toString());
    assertTrue(otlp.toString().contains("Authorization"), otlp.toString());
    Builder builder = to(Destination.otlp(peer.url()).header("Authorization", "s3cret"));
    try (TraceExporter exporter = builder.build()) {
      String all = builder + exporter.toString() + exporter.explain();
      assertFalse(all.contains("s3cret"), all);
    }
  }
}
