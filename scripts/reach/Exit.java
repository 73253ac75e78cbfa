import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.time.Duration;

/**
 * A program that ends while an exporter is open and busy: Exit.java URL PAYLOAD WAY, where WAY is
 * end (main returns), exit (System.exit with the exporter's own hook) or hook (a hook of the
 * program sends and closes); bare makes no exporter. Prints "ends" as the last thing that it does.
 */
final class Exit {
  private Exit() {}

  public static void main(String[] args) throws Exception {
    if (args[2].equals("bare")) {
      System.out.println("ends");
      System.out.flush();
      return;
    }
    byte[] payload = Files.readAllBytes(Paths.get(args[1]));
    TraceExporter exporter =
        TraceExporter.builder()
            .url(args[0])
            .sendBudget(Duration.ofMillis(200))
            .shutdownHook(args[2].equals("exit"))
            .build();
    for (int i = 0; i < 20; i++) {
      exporter.offer(payload);
      exporter.sendAsync(payload);
    }
    if (args[2].equals("hook")) {
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(
                  () -> {
                    try {
                      exporter.send(payload);
                    } catch (TraceExporterException e) {
                      // There is no agent: closing is what counts.
                    }
                    exporter.close();
                  }));
    }
    System.out.println("ends");
    System.out.flush();
    if (args[2].equals("exit")) {
      System.exit(3);
    }
  }
}
