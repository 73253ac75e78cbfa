package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Processes that are killed, and what the next one finds on disk. */
class SpoolTest {
  private static final Duration SOON = Duration.ofSeconds(30);
  private static final int MAX_BYTES = 64 << 20;

  /** Little goes into one request, so that a kill finds a replay half done. */
  private static final int BATCH = 64 << 10;

  private static final int RESOURCE = 4 << 10;

  /** Payloads that the host's queue holds in memory: those are gone with it. */
  private static final int QUEUE = 2;

  @TempDir Path dir;
  private FakeAgent agent;
  private Host.Running host;

  @BeforeEach
  void start() throws IOException {
    agent = FakeAgent.start();
  }

  @AfterEach
  void stop() throws Exception {
    if (host != null) {
      host.kill();
    }
    agent.close();
  }

  private static Builder builder(String url, Path dir) {
    return TraceExporter.builder()
        .url(url)
        .discovery(false)
        .spool(dir, MAX_BYTES)
        .batchBytes(BATCH);
  }

  /** The numbers in what the agent has got, in the order in which it got them. */
  private List<Integer> arrived() {
    List<Integer> numbers = new ArrayList<>();
    for (Request request : agent.traceRequests()) {
      String body = new String(request.body(), StandardCharsets.ISO_8859_1);
      for (Matcher m = Pattern.compile("payload-(\\d{6})").matcher(body); m.find(); ) {
        numbers.add(Integer.parseInt(m.group(1)));
      }
    }
    return numbers;
  }

  private static List<Integer> range(int from, int to) {
    return IntStream.range(from, to).boxed().collect(Collectors.toList());
  }

  private static void until(BooleanSupplier there) throws InterruptedException {
    for (long end = System.nanoTime() + SOON.toNanos(); !there.getAsBoolean(); Thread.sleep(5)) {
      assertTrue(System.nanoTime() < end, "in vain");
    }
  }

  private static void drained(TraceExporter exporter) throws InterruptedException {
    until(() -> exporter.flush(Duration.ofMillis(200)).complete());
    assertEquals(0, exporter.metrics().spooled().traces());
    assertEquals(0, exporter.metrics().droppedTotal().traces(), exporter.metrics().toString());
  }

  /** Starts a host whose agent is away. */
  private void startHost() throws Exception {
    int port = agent.port();
    agent.close();
    host = Host.start("http://127.0.0.1:" + port, dir);
  }

  private void agentIsBack() throws IOException {
    agent = FakeAgent.start(agent.port());
  }

  @Test
  void whatAKilledProcessSpooledArrivesOnceAndInOrder() throws Exception {
    startHost();
    host.awaitOffers(400);
    int offered = host.kill() + 1;
    assertTrue(offered >= 400, "killed in the middle");
    agentIsBack();
    try (TraceExporter exporter = builder(agent.url(), dir).build()) {
      drained(exporter);
    }
    List<Integer> arrived = arrived();
    // The answer to the last offer may have died with the host, before or after the record was
    // whole.
    int last = arrived.get(arrived.size() - 1);
    assertTrue(last == offered - 1 || last == offered, last + " of " + offered);
    assertEquals(range(QUEUE, last + 1), arrived);
  }

  @Test
  void aTornLastRecordCostsOnlyItself() throws Exception {
    startHost();
    host.awaitOffers(20);
    int offered = host.kill() + 1;
    List<Path> segments = segments();
    try (RandomAccessFile file =
        new RandomAccessFile(segments.get(segments.size() - 1).toFile(), "rw")) {
      file.setLength(file.length() - 7);
    }
    agentIsBack();
    try (TraceExporter exporter = builder(agent.url(), dir).build()) {
      long held = exporter.metrics().received().traces();
      assertTrue(held == offered - QUEUE - 1 || held == offered - QUEUE, held + " of " + offered);
      drained(exporter);
      assertEquals(range(QUEUE, QUEUE + (int) held), arrived());
    }
    assertEquals(Arrays.asList(), segments(), "sent and removed");
  }

  @Test
  void aProcessKilledInTheReplaySendsAtMostItsLastBatchAgain() throws Exception {
    startHost();
    host.awaitOffers(300);
    agentIsBack();
    agent.answer(
        r -> {
          pause(20);
          return Answer.RATES;
        });
    until(() -> agent.traceRequests().size() >= 5);
    int offered = host.kill() + 1;
    agent.answer(r -> Answer.RATES);
    try (TraceExporter exporter = builder(agent.url(), dir).build()) {
      long held = exporter.metrics().received().traces();
      assertTrue(held > 0, "killed in the middle of the replay");
      drained(exporter);
    }
    List<Integer> arrived = arrived();
    List<Integer> missing = range(0, offered);
    missing.removeAll(arrived);
    assertTrue(missing.size() <= QUEUE, "lost besides the queue: " + missing);
    long again = arrived.size() - arrived.stream().distinct().count();
    assertTrue(again <= BATCH / RESOURCE, again + " came twice");
  }

  @Test
  void aSecondProcessIsToldThatTheSpoolIsInUse() throws Exception {
    startHost();
    host.awaitOffers(10);
    Builder second = builder("http://127.0.0.1:1", dir);
    TraceExporterException e = assertThrows(TraceExporterException.class, second::build);
    assertEquals(ErrorCode.INVALID_CONFIGURATION, e.code());
    assertTrue(e.getMessage().contains("another process or exporter uses it"), e.getMessage());
    assertTrue(e.getMessage().contains(dir.toString()), e.getMessage());
    assertFalse(segments().isEmpty(), "what the first one holds is left alone");
    host.kill();
    second.build().close();
  }

  private List<Path> segments() throws IOException {
    try (Stream<Path> files = Files.list(dir)) {
      return files
          .filter(f -> f.toString().endsWith(".seg"))
          .sorted(Comparator.naturalOrder())
          .collect(Collectors.toList());
    }
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** A program that offers numbered payloads, and says which were taken, until it is killed. */
  public static final class Host {
    private Host() {}

    /** Takes the agent's URL and the spool's directory. */
    public static void main(String[] args) throws Exception {
      Builder b = builder(args[0], new File(args[1]).toPath()).queuePayloads(QUEUE);
      TraceExporter exporter = b.build();
      for (int i = 0; exporter.offer(payload(i)); i++) {
        System.out.println("taken " + i);
        Thread.sleep(1);
      }
      System.out.println("refused");
    }

    /** One trace of one span, some kilobytes long. */
    private static byte[] payload(int number) {
      String name = String.format("payload-%06d", number);
      String head =
          "\u0091\u0091\u0082\u00a4name\u00ae" + name + "\u00a8resource\u00da\u0010\u0000";
      byte[] bytes =
          Arrays.copyOf(head.getBytes(StandardCharsets.ISO_8859_1), head.length() + RESOURCE);
      Arrays.fill(bytes, head.length(), bytes.length, (byte) 'r');
      return bytes;
    }

    static Running start(String url, Path dir) throws Exception {
      URI classes = Host.class.getProtectionDomain().getCodeSource().getLocation().toURI();
      String path = Jars.JAR + File.pathSeparator + new File(classes);
      return new Running(
          new ChildJvm()
              .start("-Xcheck:jni", "-cp", path, Host.class.getName(), url, dir.toString()));
    }

    /** The program as its parent sees it. */
    static final class Running {
      private final Process process;
      private final BufferedReader out;
      private int last = -1;

      Running(Process process) {
        this.process = process;
        this.out =
            new BufferedReader(
                new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
      }

      /** Reads until so many payloads were taken. */
      void awaitOffers(int offers) throws IOException {
        while (last < offers - 1) {
          assertTrue(read(), "the host ended after " + last);
        }
      }

      private boolean read() throws IOException {
        String line = out.readLine();
        assertFalse(line != null && line.contains("com.datadog"), line);
        if (line != null && line.matches("taken \\d+")) {
          last = Integer.parseInt(line.substring(6));
        }
        return line != null;
      }

      /** Kills it; the last one that it said was taken. */
      int kill() throws Exception {
        process.destroyForcibly();
        assertTrue(process.waitFor(20, TimeUnit.SECONDS));
        try {
          while (read()) {}
        } catch (IOException e) {
          // On some JVMs the pipe is closed with the process; what was read counts.
          return last;
        }
        return last;
      }
    }
  }
}
