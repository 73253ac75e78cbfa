import java.io.File;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What a person sees of an exporter from a JVM; every line that begins with an open brace is a row.
 *
 * <ul>
 *   <li>{@code latency URL FOLDER SECONDS}: every sender in turn, send by send, for 1 to 10,000
 *       spans
 *   <li>{@code threads URL FOLDER SECONDS}: how many payloads 1 to 64 threads of one exporter
 *       deliver
 *   <li>{@code application URL SENDER FOLDER SECONDS AWAY}: a program that makes garbage, with a
 *       sender or {@code none}: pauses, safepoints, memory
 *   <li>{@code start URL SENDER FOLDER}: from the first call to a sender that is ready, in this
 *       fresh JVM
 *   <li>{@code names URL}: who is there
 * </ul>
 */
public final class Views {
  private static final com.sun.management.ThreadMXBean THREADS =
      (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final com.sun.management.OperatingSystemMXBean SYSTEM =
      (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private Views() {}

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "latency":
        latency(args[1], args[2], Double.parseDouble(args[3]));
        break;
      case "threads":
        threads(args[1], args[2], Double.parseDouble(args[3]));
        break;
      case "application":
        application(
            args[1], args[2], args[3], Double.parseDouble(args[4]), Boolean.parseBoolean(args[5]));
        break;
      case "start":
        start(args[1], args[2], args[3]);
        break;
      case "names":
        Senders.names(args[1]).forEach(System.out::println);
        break;
      default:
        throw new IllegalArgumentException(args[0]);
    }
    // Some clients keep threads that would hold the JVM.
    System.exit(0);
  }

  private static byte[] body(String folder, int spans) throws IOException {
    Path file = Paths.get(folder, "spans_" + spans + ".msgpack");
    return Files.readAllBytes(file);
  }

  private static int traces(int spans) {
    return Math.max(1, spans / 10);
  }

  // Latency.

  private static void latency(String url, String folder, double seconds) throws Exception {
    for (int spans : new int[] {1, 10, 100, 1_000, 10_000}) {
      byte[] payload = body(folder, spans);
      compare("send", Senders.bodies(url), payload, spans, seconds);
      compare("export", Senders.spans(url), payload, spans, seconds);
    }
  }

  /** One send each in turn, until the time is over: whatever the machine does meets all of them. */
  private static void compare(
      String row, Map<String, Sender> all, byte[] payload, int spans, double seconds)
      throws Exception {
    Map<String, Samples> found = new LinkedHashMap<>();
    for (Map.Entry<String, Sender> each : all.entrySet()) {
      each.getValue().prepare(payload, traces(spans), spans);
      found.put(each.getKey(), new Samples());
    }
    int rounds = 0;
    long begin = System.nanoTime();
    long warm = begin + (long) (seconds * 0.4e9);
    long end = begin + (long) (seconds * 1e9);
    // Slow peers get time for some sends at least.
    long last = end + (long) (seconds * 2e9);
    Samples first = found.values().iterator().next();
    for (long now = begin; now < end || now < last && first.count < 25; now = System.nanoTime()) {
      for (Map.Entry<String, Sender> each : all.entrySet()) {
        Samples samples = found.get(each.getKey());
        long heap = THREADS.getThreadAllocatedBytes(Thread.currentThread().getId());
        long cpu = SYSTEM.getProcessCpuTime();
        long start = System.nanoTime();
        each.getValue().send();
        long took = System.nanoTime() - start;
        if (now >= warm && rounds++ >= 2 * all.size()) {
          samples.add(
              took,
              SYSTEM.getProcessCpuTime() - cpu,
              THREADS.getThreadAllocatedBytes(Thread.currentThread().getId()) - heap);
        }
      }
    }
    for (Map.Entry<String, Sender> each : all.entrySet()) {
      print(row, each.getKey(), spans, found.get(each.getKey()).summary(spans));
      each.getValue().close();
    }
  }

  /** Times of sends, in nanoseconds, and what they took beside. */
  private static final class Samples {
    private long[] nanos = new long[1 << 12];
    private int count;
    private double cpu;
    private double heap;

    void add(long took, long cpuNanos, long heapBytes) {
      if (count == nanos.length) {
        nanos = Arrays.copyOf(nanos, 2 * count);
      }
      nanos[count++] = took;
      cpu += cpuNanos;
      heap += heapBytes;
    }

    Map<String, Double> summary(int spans) {
      long[] sorted = Arrays.copyOf(nanos, count);
      Arrays.sort(sorted);
      Map<String, Double> all = new LinkedHashMap<>();
      if (count == 0) {
        return all;
      }
      double sum = Arrays.stream(sorted).sum();
      all.put("samples", (double) count);
      all.put("p25_us", at(sorted, 0.25));
      all.put("median_us", at(sorted, 0.5));
      all.put("p75_us", at(sorted, 0.75));
      all.put("p99_us", at(sorted, 0.99));
      all.put("p999_us", at(sorted, 0.999));
      all.put("spans_per_s", spans * count / (sum / 1e9));
      // The clock of a process ticks in microseconds to milliseconds: over many sends that evens
      // out.
      all.put("cpu_s_per_million_spans", cpu / count / spans / 1e3);
      all.put("heap_bytes_per_span", heap / count / spans);
      return all;
    }

    private static double at(long[] sorted, double share) {
      return sorted[(int) Math.min(sorted.length - 1, share * sorted.length)] / 1e3;
    }
  }

  // Threads.

  private static void threads(String url, String folder, double seconds) throws Exception {
    byte[] payload = body(folder, 10);
    for (int threads : new int[] {1, 2, 4, 8, 16, 32, 64}) {
      for (Map.Entry<String, Sender> each : Senders.bodies(url).entrySet()) {
        Sender sender = each.getValue();
        // One socket carries one request at a time.
        if (each.getKey().equals("raw_socket") && threads > 1) {
          sender.close();
          continue;
        }
        sender.prepare(payload, 1, 10);
        // The first connection, the first compilation.
        for (int i = 0; i < 100; i++) {
          sender.send();
        }
        long end = System.nanoTime() + (long) (seconds * 1e9);
        long[] sent = new long[threads];
        Thread[] all = new Thread[threads];
        for (int i = 0; i < threads; i++) {
          int mine = i;
          all[i] =
              new Thread(
                  () -> {
                    try {
                      while (System.nanoTime() < end) {
                        sender.send();
                        sent[mine]++;
                      }
                    } catch (Exception e) {
                      throw new IllegalStateException(e);
                    }
                  });
          all[i].start();
        }
        for (Thread thread : all) {
          thread.join();
        }
        Map<String, Double> row = new LinkedHashMap<>();
        row.put("threads", (double) threads);
        row.put("payloads_per_s", Arrays.stream(sent).sum() / seconds);
        print("threads", each.getKey(), 10, row);
        sender.close();
      }
    }
  }

  // An application.

  /** Keeps what it makes for a while, so that collections have something to copy. */
  private static Object[] kept = new Object[1 << 14];

  private static void application(
      String url, String name, String folder, double seconds, boolean away) throws Exception {
    Map<String, Double> row = new LinkedHashMap<>();
    System.gc();
    row.put("rss_before_mb", resident());
    Sender sender = name.equals("none") ? null : Senders.named(name, url);
    row.put("rss_at_rest_mb", resident());
    if (sender != null) {
      sender.prepare(body(folder, 1_000), 100, 1_000);
    }
    long pauses = collections(true);
    long count = collections(false);
    long end = System.nanoTime() + (long) (seconds * 1e9);
    long failed = 0;
    long sends = 0;
    double most = 0;
    int place = 0;
    long cpu = SYSTEM.getProcessCpuTime();
    // By the clock: a send while the agent is away may take two seconds.
    for (long next = System.nanoTime(); next < end && System.nanoTime() < end; next += 10_000_000) {
      for (int i = 0; i < 2_000; i++) {
        kept[place++ & (kept.length - 1)] = new byte[256 + (i & 1023)];
      }
      if (sender != null && sends * 50_000_000 <= next - end + (long) (seconds * 1e9)) {
        sends++;
        try {
          sender.send();
        } catch (Exception refused) {
          failed++;
        }
      }
      most = Math.max(most, sends % 8 == 0 ? resident() : 0);
      long rest = next + 10_000_000 - System.nanoTime();
      if (rest > 0) {
        Thread.sleep(rest / 1_000_000, (int) (rest % 1_000_000));
      }
    }
    row.put("cpu_s", (SYSTEM.getProcessCpuTime() - cpu) / 1e9);
    row.put("rss_most_mb", Math.max(most, resident()));
    row.put("gc_count", (double) (collections(false) - count));
    row.put("gc_ms", (double) (collections(true) - pauses));
    row.put("sends", (double) sends);
    row.put("failed", (double) failed);
    row.put("seconds", seconds);
    print(away ? "application_away" : "application", name, 1_000, row);
  }

  private static long collections(boolean time) {
    List<GarbageCollectorMXBean> beans = ManagementFactory.getGarbageCollectorMXBeans();
    return beans.stream()
        .mapToLong(b -> time ? b.getCollectionTime() : b.getCollectionCount())
        .sum();
  }

  /** Resident memory of this process in MB; NaN where the system does not tell. */
  private static double resident() throws IOException {
    File status = new File("/proc/self/status");
    if (!status.exists()) {
      return Double.NaN;
    }
    for (String line : Files.readAllLines(status.toPath())) {
      if (line.startsWith("VmRSS:")) {
        return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
      }
    }
    return Double.NaN;
  }

  // Start.

  private static void start(String url, String name, String folder) throws Exception {
    byte[] payload = body(folder, 1);
    long begin = System.nanoTime();
    Sender sender = Senders.named(name, url);
    double ready = (System.nanoTime() - begin) / 1e6;
    Map<String, Double> row = new LinkedHashMap<>();
    row.put("ready_ms", ready);
    sender.prepare(payload, 1, 1);
    begin = System.nanoTime();
    sender.send();
    row.put("first_send_ms", (System.nanoTime() - begin) / 1e6);
    print("start", name, 1, row);
  }

  private static void print(String row, String sender, int spans, Map<String, Double> values) {
    List<String> parts = new ArrayList<>();
    parts.add(String.format("\"row\": \"%s\", \"who\": \"%s\", \"spans\": %d", row, sender, spans));
    values.forEach(
        (key, value) -> {
          if (!value.isNaN()) {
            parts.add(String.format(Locale.ROOT, "\"%s\": %.4f", key, value));
          }
        });
    System.out.println("{" + String.join(", ", parts) + "}");
  }
}
