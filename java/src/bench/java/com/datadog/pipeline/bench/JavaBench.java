package com.datadog.pipeline.bench;

import com.datadog.pipeline.AgentResponse;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.internal.Json;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * The rows of {@code make bench} that need a JVM: sends from Java beside the same sends from Rust,
 * a bare POST and a plain socket, all to one agent on loopback; what a send allocates; how long
 * loading takes; how large the JAR is.
 *
 * <p>A machine's speed moves by tens of percent within seconds. So the sides take turns in short
 * slices, and what is kept of a round is the ratio; a row has the median of the ratios.
 *
 * <p>Usage: {@code JavaBench PAYLOADS OUT PEER JAR [MEASURED_CORES OTHER_CORES [ROUNDS]]}.
 */
public final class JavaBench {
  private static final String SEPARATOR = System.lineSeparator();
  private static final double SLICE_NANOS = 10e6;

  /** So many large payloads are offered before the queue is drained. */
  private static final int OFFERS = 4;

  private final String payloads;
  private final String peerProgram;
  private final String jar;
  private final String measuredCores;
  private final String otherCores;
  private final int rounds;
  private final List<Object> rows = new ArrayList<>();

  private JavaBench(String[] args) {
    payloads = args[0];
    peerProgram = args[2];
    jar = args[3];
    measuredCores = args.length > 4 ? args[4] : "";
    otherCores = args.length > 5 ? args[5] : "";
    rounds = args.length > 6 ? Integer.parseInt(args[6]) : 41;
  }

  /** Measures, prints the rows and writes them to the file. */
  public static void main(String[] args) throws Exception {
    JavaBench bench = new JavaBench(args);
    System.out.println("-- java: ours, opponent, ratio = opponent / ours");
    try (Peer agent = new Peer(Peer.pinned(bench.otherCores, bench.peerProgram, "agent"))) {
      String url = agent.line();
      try (Peer peer = new Peer(Peer.pinned(bench.measuredCores, bench.peerProgram, "send", url));
          TraceExporter exporter = TraceExporter.builder().url(url).language("java").build()) {
        for (String name : new String[] {"web_100x10", "body_20k", "body_60k", "body_200k"}) {
          bench.sends("send_java", name, exporter, peer, "rust");
        }
        bench.sends("send_java_1", "web_1x1", exporter, peer, "raw_post", "rust", "plain_socket");
        bench.heap(exporter, url);
      }
      bench.offers(url);
      bench.throughput(url + "/slow");
    }
    bench.load();
    bench.sizes();
    StringBuilder json = new StringBuilder();
    Json.write(json, bench.rows);
    Files.write(Paths.get(args[1]), json.toString().getBytes(StandardCharsets.UTF_8));
  }

  private static void send(TraceExporter exporter, byte[] payload) {
    if (exporter.send(payload).status() != 200) {
      throw new IllegalStateException("the agent refused");
    }
  }

  private static double nanos(TraceExporter exporter, byte[] payload, int calls) {
    send(exporter, payload);
    long start = System.nanoTime();
    for (int i = 0; i < calls; i++) {
      send(exporter, payload);
    }
    return (System.nanoTime() - start) / (double) calls;
  }

  private void sends(
      String row, String payload, TraceExporter exporter, Peer peer, String... opponents)
      throws IOException {
    String file = new File(payloads, payload + ".msgpack").getPath();
    byte[] bytes = Files.readAllBytes(Paths.get(file));
    // Until the compiler has done its work.
    long warm = System.nanoTime();
    double each = 0;
    while (System.nanoTime() - warm < 1_500_000_000L) {
      each = nanos(exporter, bytes, 50);
    }
    int calls = (int) Math.max(10, SLICE_NANOS / each);
    double[] ours = new double[rounds];
    double[][] ratios = new double[opponents.length][rounds];
    for (String opponent : opponents) {
      peer.nanos(opponent, file, 20 * calls);
    }
    for (int round = 0; round < rounds; round++) {
      // We go first in one round and last in the next.
      boolean first = round % 2 == 0;
      double[] theirs = new double[opponents.length];
      if (first) {
        ours[round] = nanos(exporter, bytes, calls);
      }
      for (int i = 0; i < opponents.length; i++) {
        theirs[i] = peer.nanos(opponents[i], file, calls);
      }
      if (!first) {
        ours[round] = nanos(exporter, bytes, calls);
      }
      for (int i = 0; i < opponents.length; i++) {
        ratios[i][round] = theirs[i] / ours[round];
      }
    }
    double micros = median(ours) / 1000;
    for (int i = 0; i < opponents.length; i++) {
      row(row, payload, "us", micros, opponents[i], median(ratios[i]));
    }
  }

  /** What an offer costs its caller, beside a bare copy of the same bytes to native memory. */
  private void offers(String url) throws IOException {
    for (String name : new String[] {"web_100x10", "web_1x1"}) {
      byte[] payload = Files.readAllBytes(Paths.get(payloads, name + ".msgpack"));
      ByteBuffer[] natives = new ByteBuffer[OFFERS];
      for (int i = 0; i < OFFERS; i++) {
        natives[i] = ByteBuffer.allocateDirect(payload.length);
      }
      try (TraceExporter exporter = TraceExporter.builder().url(url).discovery(false).build()) {
        double[] ours = new double[2 * rounds];
        double[] ratios = new double[2 * rounds];
        for (int round = -20; round < ours.length; round++) {
          long start = System.nanoTime();
          for (int i = 0; i < OFFERS; i++) {
            if (!exporter.offer(payload)) {
              throw new IllegalStateException("the queue is full");
            }
          }
          long offered = System.nanoTime() - start;
          if (!exporter.flush(Duration.ofSeconds(10)).complete()) {
            throw new IllegalStateException("the queue did not drain");
          }
          start = System.nanoTime();
          for (ByteBuffer to : natives) {
            to.clear();
            to.put(payload);
          }
          long copied = System.nanoTime() - start;
          if (round >= 0) {
            ours[round] = offered / 1000.0 / OFFERS;
            ratios[round] = copied / (double) offered;
          }
        }
        row("offer_java", name, "us", median(ours), "copy", median(ratios));
      }
    }
  }

  /** Delivered traces a second: four threads that offer, beside one that sends, to a slow agent. */
  private void throughput(String url) throws Exception {
    byte[] payload = Files.readAllBytes(Paths.get(payloads, "web_1x1.msgpack"));
    double one;
    try (TraceExporter exporter = TraceExporter.builder().url(url).discovery(false).build()) {
      nanos(exporter, payload, 100);
      one = 1e9 / nanos(exporter, payload, 500);
    }
    try (TraceExporter exporter = TraceExporter.builder().url(url).discovery(false).build()) {
      long start = System.nanoTime();
      Thread[] threads = new Thread[4];
      for (int i = 0; i < threads.length; i++) {
        threads[i] =
            new Thread(
                () -> {
                  while (System.nanoTime() - start < 2_000_000_000L) {
                    exporter.offer(payload);
                  }
                });
        threads[i].start();
      }
      for (Thread thread : threads) {
        thread.join();
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      double delivered = exporter.metrics().sent().traces() / seconds;
      row("offer_throughput", "web_1x1", "traces/s", delivered, "one_sender", one / delivered);
    }
  }

  private void heap(TraceExporter exporter, String url) throws IOException {
    byte[] payload = Files.readAllBytes(Paths.get(payloads, "web_100x10.msgpack"));
    byte[] other = Files.readAllBytes(Paths.get(payloads, "web_1x1.msgpack"));
    double unchanged = allocated(() -> exporter.send(payload));
    row("java_heap_unchanged", "web_100x10", "bytes", unchanged, null, 0);
    try (TraceExporter quiet = TraceExporter.builder().url(url).queuePayloads(100_000).build()) {
      double offer = allocated(() -> quiet.offer(other));
      row("java_heap_offer", "web_1x1", "bytes", offer, null, 0);
      quiet.flush(Duration.ofSeconds(10));
      double future = allocated(() -> quiet.sendAsync(other));
      row("java_heap_send_async", "web_1x1", "bytes", future, null, 0);
      quiet.flush(Duration.ofSeconds(10));
    }
    byte[][] both = {payload, other};
    int[] turn = new int[1];
    double counts = allocated(() -> exporter.send(both[turn[0]++ & 1]));
    row("java_heap_counts", "web_100x10", "bytes", counts, null, 0);
    try (TraceExporter changing = TraceExporter.builder().url(url + "/alternate").build()) {
      AgentResponse one = changing.send(other);
      if (one.body().equals(changing.send(other).body())) {
        throw new IllegalStateException("the agent does not alternate");
      }
      double body = allocated(() -> changing.send(other));
      row("java_heap_changed", "web_100x10", "bytes", body, null, 0);
    }
  }

  /** Bytes of Java heap a call, by the JVM's own account. */
  private static double allocated(Runnable call) {
    com.sun.management.ThreadMXBean bean =
        (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long id = Thread.currentThread().getId();
    int calls = 2_000;
    for (int i = 0; i < calls; i++) {
      call.run();
    }
    bean.getThreadAllocatedBytes(id);
    long before = bean.getThreadAllocatedBytes(id);
    for (int i = 0; i < calls; i++) {
      call.run();
    }
    return (bean.getThreadAllocatedBytes(id) - before) / (double) calls;
  }

  /**
   * From the first call to a ready exporter, in fresh JVMs, beside a bare load of the same file: as
   * a JVM is started, and on one core, which its compilers and collector want, too.
   */
  private void load() throws IOException {
    File library = File.createTempFile("bench-", ".library");
    try (ZipFile zip = new ZipFile(jar)) {
      for (ZipEntry e : libraries(zip)) {
        try (InputStream in = zip.getInputStream(e)) {
          Files.copy(in, library.toPath(), StandardCopyOption.REPLACE_EXISTING);
        }
      }
    }
    if (measuredCores.isEmpty()) {
      load("load_ms", library.getPath(), "");
    } else {
      load("load_ms", library.getPath(), otherCores + "," + measuredCores);
      load("load_ms_one_core", library.getPath(), measuredCores);
    }
    Files.delete(library.toPath());
  }

  private void load(String name, String library, String cores) throws IOException {
    double[] ours = new double[15];
    double[] bare = new double[15];
    for (int i = -2; i < ours.length; i++) {
      double millis = loadMillis(cores);
      double bareMillis = loadMillis(cores, library);
      if (i >= 0) {
        ours[i] = millis;
        bare[i] = bareMillis;
      }
    }
    row(name, null, "ms", median(ours), "System.load", median(bare) / median(ours));
  }

  private static double loadMillis(String cores, String... arguments) throws IOException {
    String java = Paths.get(System.getProperty("java.home"), "bin", "java").toString();
    List<String> command = new ArrayList<>();
    Collections.addAll(
        command, java, "-cp", System.getProperty("java.class.path"), Load.class.getName());
    Collections.addAll(command, arguments);
    try (Peer jvm = new Peer(Peer.pinned(cores, command.toArray(new String[0])))) {
      return Double.parseDouble(jvm.line()) / 1e6;
    }
  }

  /** The library of this platform. */
  private static List<ZipEntry> libraries(ZipFile zip) {
    String platform = TraceExporter.libraryInfo().get("platform");
    List<ZipEntry> found = new ArrayList<>();
    for (Enumeration<? extends ZipEntry> all = zip.entries(); all.hasMoreElements(); ) {
      ZipEntry e = all.nextElement();
      boolean ours = e.getName().startsWith("META-INF/data-pipeline/" + platform + "/");
      if (ours && e.getName().contains("data_pipeline")) {
        found.add(e);
      }
    }
    return found;
  }

  private void sizes() throws IOException {
    row("jar_bytes", null, "bytes", new File(jar).length(), null, 0);
    try (ZipFile zip = new ZipFile(jar)) {
      for (ZipEntry e : libraries(zip)) {
        row("library_bytes", null, "bytes", e.getSize(), null, 0);
      }
    }
  }

  private void row(
      String name, String payload, String unit, double ours, String opponent, double ratio) {
    Map<String, Object> row = new LinkedHashMap<>();
    row.put("name", name);
    row.put("payload", payload);
    row.put("unit", unit);
    row.put("ours", rounded(ours));
    row.put("opponent_name", opponent);
    row.put("opponent", opponent == null ? null : rounded(ours * ratio));
    row.put("ratio", opponent == null ? null : rounded(ratio));
    row.put("allocations", null);
    rows.add(row);
    String against =
        opponent == null
            ? ""
            : String.format(Locale.ROOT, " %12.2f %-14s %6.2fx", ours * ratio, opponent, ratio);
    System.out.printf(
        Locale.ROOT, "%-22s %-12s %12.2f %-6s%s%s", name, payload, ours, unit, against, SEPARATOR);
  }

  private static Object rounded(double value) {
    return value == Math.rint(value) ? (Object) (long) value : Math.round(value * 1e4) / 1e4;
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}
