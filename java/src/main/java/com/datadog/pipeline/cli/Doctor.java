package com.datadog.pipeline.cli;

import com.datadog.pipeline.AgentResponse;
import com.datadog.pipeline.Builder;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import com.datadog.pipeline.internal.AgentUrl;
import com.datadog.pipeline.internal.Json;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** {@code doctor}: would traces arrive from here? Not thread-safe. */
final class Doctor {
  private final Arguments args;
  private final PrintStream out;
  private final Map<String, Object> facts = new LinkedHashMap<>();
  private final List<String> problems = new ArrayList<>();

  Doctor(Arguments args, PrintStream out) {
    this.args = args;
    this.out = out;
  }

  int run() throws Arguments.Bad {
    args.noFiles("doctor");
    // A bad address in the environment is a finding, one in the arguments a slip.
    String fault = args.get("--url") == null ? null : AgentUrl.fault(args.get("--url"));
    if (fault != null) {
      throw new Arguments.Bad("url is \"" + AgentUrl.shown(args.get("--url")) + "\"; " + fault);
    }
    Builder builder = TraceExporter.builder();
    Target.tls(args, builder);
    facts.put("version", TraceExporter.version());
    facts.put(
        "java",
        System.getProperty("java.version") + " (" + System.getProperty("java.vm.name") + ")");
    facts.put("os", System.getProperty("os.name") + " " + System.getProperty("os.version"));
    facts.put("arch", System.getProperty("os.arch"));
    facts.put("libc", CLibrary.found());
    facts.put("libc_needed", CLibrary.needed(TraceExporter.libraryInfo().get("platform")));
    facts.put("jvm_flags", flags());
    if (library()) {
      agent(builder);
    }
    facts.put("problems", problems);
    facts.put("ok", problems.isEmpty());
    print();
    return problems.isEmpty() ? 0 : 1;
  }

  private boolean library() {
    boolean available = TraceExporter.isAvailable();
    facts.put("library", TraceExporter.libraryInfo());
    if (!available) {
      problems.add(TraceExporter.unavailabilityCause().getMessage());
      String found = (String) facts.get("libc");
      String needed = (String) facts.get("libc_needed");
      if (CLibrary.isTooOld(found, needed)) {
        problems.add("the library needs " + needed + "; this process runs on " + found);
      }
    }
    return available;
  }

  private void agent(Builder builder) {
    String url = args.url();
    facts.put("url", AgentUrl.shown(url));
    try (TraceExporter exporter =
        builder
            .url(url)
            .language("java")
            .tracerVersion(TraceExporter.version())
            .sendBudget(Duration.ofSeconds(2))
            .build()) {
      info(exporter);
      if (args.has("--send")) {
        send(exporter);
      }
      facts.put("explain", Json.parse(exporter.explain()));
    } catch (IllegalArgumentException | TraceExporterException e) {
      problems.add(e.getMessage());
    }
  }

  private void info(TraceExporter exporter) {
    try {
      Object info = Json.parse(exporter.fetchAgentInfo(Duration.ofSeconds(2)).json());
      Map<String, Object> offers = new LinkedHashMap<>();
      if (info instanceof Map) {
        for (String key :
            new String[] {
              "version", "endpoints", "client_drop_p0s", "span_events", "feature_flags"
            }) {
          offers.put(key, ((Map<?, ?>) info).get(key));
        }
      }
      facts.put("agent_info", offers);
    } catch (TraceExporterException e) {
      facts.put("agent_info", null);
      // An agent without /info takes v0.4 all the same; one that cannot be reached takes nothing.
      if (e.httpStatus() != 404) {
        problems.add("the agent does not answer /info: " + e.getMessage());
      }
    }
  }

  private void send(TraceExporter exporter) {
    long start = System.nanoTime();
    try {
      AgentResponse response = exporter.send(oneSpan());
      Map<String, Object> check = new LinkedHashMap<>();
      check.put("status", response.status());
      check.put("micros", (System.nanoTime() - start) / 1000);
      facts.put("send", check);
    } catch (TraceExporterException e) {
      problems.add("the one-span check was not accepted: " + e.getMessage());
    }
  }

  /** A trace of one span, named after what it is. */
  private static byte[] oneSpan() {
    long id = System.nanoTime() | 1;
    java.io.ByteArrayOutputStream span = new java.io.ByteArrayOutputStream();
    span.write(0x91);
    span.write(0x91);
    span.write(0x88);
    for (String text :
        new String[] {"service", "data-pipeline", "name", "doctor", "resource", "doctor --send"}) {
      byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
      span.write(0xa0 | bytes.length);
      span.write(bytes, 0, bytes.length);
    }
    number(span, "trace_id", 0xcf, id);
    number(span, "span_id", 0xcf, id);
    number(span, "start", 0xd3, System.currentTimeMillis() * 1_000_000);
    number(span, "duration", 0xd3, 1000);
    number(span, "error", 0xd3, 0);
    return span.toByteArray();
  }

  private static void number(java.io.ByteArrayOutputStream out, String key, int marker, long v) {
    byte[] bytes = key.getBytes(StandardCharsets.US_ASCII);
    out.write(0xa0 | bytes.length);
    out.write(bytes, 0, bytes.length);
    out.write(marker);
    for (int shift = 56; shift >= 0; shift -= 8) {
      out.write((int) (v >>> shift));
    }
  }

  private static List<String> flags() {
    List<String> matter = new ArrayList<>();
    try {
      for (String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
        if (flag.contains("native-access")
            || flag.contains("Xcheck:jni")
            || flag.contains("data-pipeline")
            || flag.contains("com.datadog.pipeline")
            || flag.contains("java.io.tmpdir")) {
          matter.add(flag);
        }
      }
    } catch (LinkageError e) {
      matter.add("unknown: this runtime has no java.management");
    }
    return matter;
  }

  /** One line a value; what is nested has its path before it. */
  private void print(String path, Object value) {
    if (!(value instanceof Map)) {
      out.printf("%-22s %s%n", path, value);
      return;
    }
    Map<?, ?> map = (Map<?, ?>) value;
    if (map.size() == 2 && map.containsKey("value") && map.containsKey("source")) {
      out.printf("%-22s %s (%s)%n", path, map.get("value"), map.get("source"));
      return;
    }
    for (Map.Entry<?, ?> inner : map.entrySet()) {
      // What /info says is printed as agent_info already.
      if (!(inner.getKey().equals("raw") && path.endsWith(".info"))) {
        print(path + "." + inner.getKey(), inner.getValue());
      }
    }
  }

  private void print() {
    if (args.has("--json")) {
      StringBuilder json = new StringBuilder();
      Json.write(json, facts);
      out.println(json);
      return;
    }
    out.println(problems.isEmpty() ? "traces would arrive" : "traces would not arrive");
    for (String problem : problems) {
      out.println("PROBLEM: " + problem);
    }
    if (!args.has("--verbose")) {
      out.println("(doctor --verbose shows what was found)");
      return;
    }
    for (Map.Entry<String, Object> fact : facts.entrySet()) {
      if (!fact.getKey().equals("problems") && !fact.getKey().equals("ok")) {
        print(fact.getKey(), fact.getValue());
      }
    }
  }
}
