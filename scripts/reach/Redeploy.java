import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.stream.Stream;

/**
 * An application that is deployed again and again in one JVM, each time with a class loader of its
 * own: Redeploy.java JAR URL PAYLOAD. A thread of the server, which lives on, builds, sends and
 * closes. Prints how much the resident memory has grown from the 10th to the 60th time.
 */
final class Redeploy {
  private static final int WARM = 10;
  private static final int TIMES = 50;

  private Redeploy() {}

  public static void main(String[] args) throws Exception {
    URL jar = new File(args[0]).toURI().toURL();
    byte[] payload = Files.readAllBytes(Paths.get(args[2]));
    long before = 0;
    for (int i = 0; i < WARM + TIMES; i++) {
      deploy(jar, args[1], payload, i == 0);
      collect();
      if (i == WARM - 1) {
        before = resident();
      }
    }
    long grown = resident() - before;
    System.out.printf(
        "redeployed %d times: %d KiB more, %d mapped copies of the library%n",
        TIMES, grown, copies());
    System.exit(grown > Long.getLong("limit", 2048) ? 1 : 0);
  }

  private static void deploy(URL jar, String url, byte[] payload, boolean first) throws Exception {
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
    type.getMethod("send", byte[].class).invoke(exporter, (Object) payload);
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
