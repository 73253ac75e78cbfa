package consumer;

import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.testkit.FakeAgent;
import java.nio.charset.StandardCharsets;

/** One trace to an agent, with what the build has put on the class path. */
public final class Main {
  private static final byte[] ONE =
      "\u0091\u0091\u0083\u00a7span_id\u0008\u00a8trace_id\u0007\u00a4name\u00a8consumer"
          .getBytes(StandardCharsets.ISO_8859_1);

  private Main() {}

  /** Exit 0 only if the trace has arrived. */
  public static void main(String[] args) {
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      exporter.send(ONE);
      agent.assertTraces().hasSize(1).span("consumer");
      System.out.println("arrived through " + TraceExporter.class.getName());
    }
  }
}
