package com.datadog.pipeline.demo;

import com.datadog.pipeline.AgentResponse;
import com.datadog.pipeline.Metrics;
import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import com.datadog.pipeline.cli.Show;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Real traces from a Java program through the JAR to an agent: those of a small recorder, and
 * captured payloads of seven tracers. {@code Demo FIXTURES}; {@code DD_TRACE_AGENT_URL} names a
 * real agent instead of the test kit's.
 */
public final class Demo {
  private final PrintStream out = System.out;
  private final List<byte[]> sent = new ArrayList<>();
  private int refused;

  private Demo() {}

  /** Exit 0 only if every trace arrived unchanged (or, with a real agent, was accepted). */
  public static void main(String[] args) throws Exception {
    System.exit(new Demo().run(new File(args[0])) ? 0 : 1);
  }

  private boolean run(File fixtures) throws Exception {
    String real = System.getenv("DD_TRACE_AGENT_URL");
    if (real != null && !real.isEmpty()) {
      return send(fixtures, real) && accepted(real);
    }
    try (FakeAgent agent = FakeAgent.start()) {
      agent.answer(
          request ->
              Answer.json(
                  200,
                  "{\"rate_by_service\":{\"service:,env:\":1.0,\"service:shop,env:demo\":0.5}}"));
      return send(fixtures, agent.url()) && arrived(agent);
    }
  }

  private boolean send(File fixtures, String url) throws Exception {
    out.println("agent " + url + ", library " + TraceExporter.libraryInfo().get("source"));
    Metrics metrics;
    try (TraceExporter exporter =
        TraceExporter.builder()
            .url(url)
            .env("demo")
            .language("java")
            .languageVersion(System.getProperty("java.version"))
            .tracerVersion(TraceExporter.version())
            .build()) {
      Map<String, Double> rates = one(exporter, "recorder", shop()).rates();
      for (File file : captured(fixtures)) {
        one(
            exporter,
            file.getParentFile().getName() + "/" + file.getName(),
            Files.readAllBytes(file.toPath()));
      }
      out.println("\nrates as the tracer got them: " + rates);
      metrics = exporter.metrics();
    }
    out.println(metrics);
    return refused == 0 && metrics.sent().equals(metrics.received());
  }

  /** A few requests of an imaginary shop, one of which fails. */
  private static byte[] shop() throws Exception {
    Recorder recorder = new Recorder("shop");
    for (int i = 0; i < 2; i++) {
      recorder.span(
          "http.request",
          "GET /cart",
          "web",
          () -> {
            recorder.span("redis.command", "GET", "redis", Demo::work);
            return recorder.span("sql.query", "SELECT * FROM cart WHERE id = ?", "sql", Demo::work);
          });
    }
    try {
      recorder.span(
          "http.request",
          "POST /checkout",
          "web",
          () ->
              recorder.span(
                  "payment",
                  "charge",
                  "custom",
                  () -> {
                    throw new IllegalStateException("card refused");
                  }));
    } catch (IllegalStateException e) {
      // The trace has it.
      return recorder.take();
    }
    throw new AssertionError("the checkout should have failed");
  }

  private static Object work() throws InterruptedException {
    Thread.sleep(2);
    return null;
  }

  /** The captured payloads that an agent accepts: two carry what it refuses, one is empty. */
  private static List<File> captured(File fixtures) {
    List<File> files = new ArrayList<>();
    for (File tracer : new File(fixtures, "traces").listFiles(File::isDirectory)) {
      for (File file : tracer.listFiles()) {
        String name = tracer.getName() + "/" + file.getName();
        boolean leave =
            name.equals("node/003.msgpack")
                || name.equals("node/004.msgpack")
                || file.length() <= 1;
        if (name.endsWith(".msgpack") && !leave) {
          files.add(file);
        }
      }
    }
    files.sort(null);
    return files;
  }

  private AgentResponse one(TraceExporter exporter, String name, byte[] payload) {
    try {
      AgentResponse response = exporter.send(payload);
      sent.add(payload);
      out.printf(
          "%-24s %3d traces %4d spans, status %d%n",
          name, response.traces(), response.spans(), response.status());
      return response;
    } catch (TraceExporterException e) {
      out.println(name + ": " + e.getMessage());
      refused++;
      throw e;
    }
  }

  private boolean arrived(FakeAgent agent) throws IOException {
    List<Request> requests = agent.traceRequests();
    boolean same = requests.size() == sent.size();
    out.println(
        "\nwhat arrived (all of the recorder's traces, the first of each captured payload):");
    for (int i = 0; i < requests.size(); i++) {
      same &= i < sent.size() && Arrays.equals(requests.get(i).body(), sent.get(i));
      print(requests.get(i).body(), i == 0);
    }
    out.println(
        "\nsent "
            + sent.size()
            + " payloads, arrived "
            + requests.size()
            + (same ? ", unchanged" : ", CHANGED"));
    return same;
  }

  private boolean accepted(String url) {
    out.println(
        "\nwhat was sent (all of the recorder's traces, the first of each captured payload):");
    for (int i = 0; i < sent.size(); i++) {
      print(sent.get(i), i == 0);
    }
    out.println("\nsent " + sent.size() + " payloads to " + url + ": accepted");
    return true;
  }

  private void print(byte[] payload, boolean all) {
    StringBuilder lines = new StringBuilder();
    for (String line : Payloads.show(payload).split("\n")) {
      if (all || line.startsWith("{\"trace\":0,")) {
        lines.append(line).append('\n');
      }
    }
    Show.tree(lines.toString(), out);
  }
}
