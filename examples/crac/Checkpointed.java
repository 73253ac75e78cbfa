import com.datadog.pipeline.FlushResult;
import com.datadog.pipeline.TraceExporter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.crac.Context;
import org.crac.Core;
import org.crac.Resource;

/**
 * An exporter in a process that is checkpointed and restored (CRaC, Lambda SnapStart). Before, it
 * sends what waits, closes its connections and ends its threads; after, it asks who it is and who
 * the agent is once more.
 */
final class Checkpointed implements Resource {
  private static final Duration LIMIT = Duration.ofSeconds(2);

  private final TraceExporter exporter;

  /** The context holds resources weakly: whoever makes one must keep it as long as the exporter. */
  Checkpointed(TraceExporter exporter) {
    this.exporter = exporter;
    Core.getGlobalContext().register(this);
  }

  @Override
  public void beforeCheckpoint(Context<? extends Resource> context) {
    FlushResult result = exporter.suspend(LIMIT);
    // What did not get out in time is part of the snapshot. A resource that wants no snapshot then
    // throws here.
    System.out.println(
        "suspended: sent "
            + result.sent().traces()
            + ", kept "
            + result.pending().traces()
            + ", senders "
            + exporter.metrics().senders());
  }

  @Override
  public void afterRestore(Context<? extends Resource> context) {
    exporter.resume();
    System.out.println("resumed");
  }

  /**
   * Takes the agent's URL: a trace before the checkpoint, one while suspended, one after the
   * restore.
   */
  public static void main(String[] args) throws Exception {
    try (TraceExporter exporter = TraceExporter.builder().url(args[0]).service("crac").build()) {
      Checkpointed resource = new Checkpointed(exporter);
      exporter.offer(trace("before"));
      try {
        Core.checkpointRestore();
      } catch (UnsupportedOperationException e) {
        System.out.println("this JVM has no CRaC: the two steps without a snapshot between them");
        resource.beforeCheckpoint(Core.getGlobalContext());
        exporter.offer(trace("suspended"));
        resource.afterRestore(Core.getGlobalContext());
      }
      exporter.offer(trace("after"));
      FlushResult rest = exporter.flush(LIMIT);
      System.out.println(
          "sent " + exporter.metrics().sent().traces() + ", complete " + rest.complete());
    }
  }

  /** One trace of one span with this name. */
  private static byte[] trace(String name) {
    String span = "\u0091\u0091\u0081\u00a4name" + (char) (0xa0 + name.length()) + name;
    return span.getBytes(StandardCharsets.ISO_8859_1);
  }
}
