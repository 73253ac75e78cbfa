package com.datadog.bridge;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Tries whether a tracer starts on this Java, in a JVM of its own that does nothing else. Nothing
 * is sent: the agent's port is one where nobody listens, and what else a tracer sends is off.
 */
final class TracerStart {
  /** What a tracer logs, with the exception behind it, when it has failed to instrument. */
  private static final String FAILED = "while installing the Datadog Agent";

  private static final String CAUSE = "Caused by: ";
  private static final long LIMIT_SECONDS = 60;

  /** Of its environment the trial shall have nothing: no agent of the user's, and no options. */
  private static final List<String> NOT_INHERITED =
      Arrays.asList("DD_", "_DD_", "OTEL_", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_");

  private TracerStart() {}

  /** The main class of the trial. */
  static final class Trial {
    private Trial() {}

    /** Ends without what a tracer does at an end: it has started, or it never will. */
    public static void main(String[] arguments) {
      Runtime.getRuntime().halt(0);
    }
  }

  /**
   * Why a tracer does not start, null if it does.
   *
   * @throws IOException if it could not be tried
   */
  static String failure(File tracer) throws IOException {
    // Bound without a listener: whoever connects is refused, and nobody else can have the port.
    try (Socket nobody = new Socket()) {
      InetAddress local = InetAddress.getByAddress(new byte[] {127, 0, 0, 1});
      nobody.bind(new InetSocketAddress(local, 0));
      return run(command(tracer, nobody.getLocalPort()));
    }
  }

  private static List<String> command(File tracer, int port) throws IOException {
    List<String> command = new ArrayList<>();
    String home = System.getProperty("java.home");
    command.add(home + File.separator + "bin" + File.separator + "java");
    command.add("-javaagent:" + tracer.getPath());
    command.add("-Ddd.trace.agent.url=http://127.0.0.1:" + port);
    String[] off = {
      "instrumentation.telemetry",
      "remote_config",
      "jmxfetch",
      "trace.health.metrics",
      "trace.startup.logs",
      "profiling",
      "crashtracking",
      "appsec",
      "civisibility"
    };
    for (String part : off) {
      command.add(
          "-Ddd." + part + (part.equals("trace.startup.logs") ? "" : ".enabled") + "=false");
    }
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Trial.class.getName());
    return command;
  }

  private static String run(List<String> command) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    removeInherited(builder.environment());
    Process process = builder.start();
    try {
      process.getOutputStream().close();
      List<String> lines = Collections.synchronizedList(new ArrayList<>());
      Thread reading = new Thread(() -> read(process.getInputStream(), lines), "dp-bridge-doctor");
      reading.setDaemon(true);
      reading.start();
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        return "it is not there after " + LIMIT_SECONDS + " s";
      }
      reading.join(TimeUnit.SECONDS.toMillis(LIMIT_SECONDS));
      return judge(process.exitValue(), lines);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } finally {
      process.destroyForcibly();
    }
  }

  private static void removeInherited(Map<String, String> environment) {
    environment.keySet().removeIf(name -> NOT_INHERITED.stream().anyMatch(name::startsWith));
  }

  private static void read(InputStream from, List<String> lines) {
    try (BufferedReader in = new BufferedReader(new InputStreamReader(from))) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        lines.add(line);
      }
    } catch (IOException e) {
      lines.add(e.toString());
    }
  }

  /** The last cause is the one to know: those before it say where it was met. */
  static String judge(int exit, List<String> lines) {
    String cause = null;
    boolean failed = exit != 0;
    for (String line : lines.toArray(new String[0])) {
      if (line.contains(FAILED)) {
        failed = true;
        cause = null;
      } else if (failed && line.startsWith(CAUSE)) {
        cause = line.substring(CAUSE.length());
      }
    }
    if (!failed) {
      return null;
    }
    if (cause != null) {
      return cause;
    }
    return exit != 0 ? "the JVM ended with " + exit + last(lines) : "it says no cause";
  }

  private static String last(List<String> lines) {
    return lines.isEmpty() ? "" : ": " + lines.get(lines.size() - 1);
  }
}
