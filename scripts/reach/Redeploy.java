import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * An application that is deployed again and again in one JVM, each time with a class loader of its
 * own: Redeploy.java JAR URL PAYLOAD. Threads of the server build, send and close. Most live on, some end when the library that they
 * have been in is gone already, some while it goes. Prints how much the resident memory has grown
 * from the 10th to the 60th time.
 */
final class Redeploy {
  private static final int WARM = 10;
  private static final int TIMES = 50;
  private static final int SENDERS = 3;

  private Redeploy() {}

  public static void main(String[] args) throws Exception {
    URL jar = new File(args[0]).toURI().toURL();
    byte[] payload = Files.readAllBytes(Paths.get(args[2]));
    long before = 0;
    ExecutorService server = Executors.newFixedThreadPool(SENDERS);
    for (int i = 0; i < WARM + TIMES; i++) {
      deploy(jar, args[1], payload, i == 0, server);
      if (i % 3 == 1) {
        server.shutdown();
      }
      collect();
      if (i % 3 > 0) {
        server.shutdown();
        if (!server.awaitTermination(10, TimeUnit.SECONDS)) {
          System.out.println("a thread of the server does not end");
          System.exit(1);
        }
        server = Executors.newFixedThreadPool(SENDERS);
      }
      if (i == WARM - 1) {
        before = resident();
      }
    }
    server.shutdown();
    long grown = resident() - before;
    long copies = copies();
    System.out.printf(
        "redeployed %d times: %d KiB more, %d mapped copies of the library%n", TIMES, grown, copies);
    System.exit(grown > Long.getLong("limit", 2048) || copies > 1 ? 1 : 0);
  }

  private static void deploy(
      URL jar, String url, byte[] payload, boolean first, ExecutorService server) throws Exception {
    URLClassLoader loader =
        new URLClassLoader(new URL[] {jar}, ClassLoader.getSystemClassLoader().getParent());
    Class<?> type = loader.loadClass("com.datadog.pipeline.TraceExporter");
    type.getMethod("isAvailable").invoke(null);
    if (first && ours() > 0) {
      System.out.println("loading has started " + ours() + " threads");
      System.exit(1);
    }
    Object builder = type.getMethod("builder").invoke(null);
    Method set = builder.getClass().getMethod("url", String.class);
    set.invoke(builder, url);
    Object exporter = builder.getClass().getMethod("build").invoke(builder);
    Method send = type.getMethod("send", byte[].class);
    send.invoke(exporter, (Object) payload);
    Method offer = type.getMethod("offer", byte[].class);
    List<Future<?>> sends = new ArrayList<>();
    for (int i = 0; i < SENDERS; i++) {
      sends.add(
          server.submit(
              () -> {
                offer.invoke(exporter, (Object) payload);
                return send.invoke(exporter, (Object) payload);
              }));
    }
    for (Future<?> one : sends) {
      one.get();
    }
    type.getMethod("close").invoke(exporter);
    loader.close();
  }

  private static void collect() throws InterruptedException {
    for (int i = 0; i < 3; i++) {
      System.gc();
      Thread.sleep(10);
    }
  }

  private static long resident() throws IOException {
    for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    return 0;
  }

  private static long copies() throws IOException {
    return Files.readAllLines(Paths.get("/proc/self/maps")).stream()
        .filter(line -> line.contains("data_pipeline") && line.contains("r-xp"))
        .count();
  }

  /** Native threads of ours have names that begin with dp-. */
  private static long ours() throws IOException {
    long count = 0;
    try (Stream<Path> tasks = Files.list(Paths.get("/proc/self/task"))) {
      for (Path task : (Iterable<Path>) tasks::iterator) {
        count += Files.readAllLines(task.resolve("comm")).get(0).startsWith("dp-") ? 1 : 0;
      }
    }
    return count;
  }
}
