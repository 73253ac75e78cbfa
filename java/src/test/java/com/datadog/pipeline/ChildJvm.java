package com.datadog.pipeline;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Runs a JVM like the one of the test: what a static initialiser did here cannot be undone. */
final class ChildJvm {
  /** What a JVM printed, and how it ended. */
  static final class Outcome {
    final int exit;
    final String out;
    final String err;

    Outcome(int exit, String out, String err) {
      this.exit = exit;
      this.out = out;
      this.err = err;
    }

    @Override
    public String toString() {
      return "exit " + exit + "\nout: " + out + "\nerr: " + err;
    }
  }

  private final Map<String, String> environment = new HashMap<>();
  private final List<String> before = new ArrayList<>();

  ChildJvm environment(String name, String value) {
    environment.put(name, value);
    return this;
  }

  /** Runs the JVM by means of another command. */
  ChildJvm through(String... command) {
    before.addAll(Arrays.asList(command));
    return this;
  }

  /** Runs {@code java ARGUMENTS}. */
  Outcome run(String... arguments) throws IOException, InterruptedException {
    List<String> command = command(arguments);
    Process process = process(command).start();
    process.getOutputStream().close();
    String[] err = new String[1];
    Thread reader = new Thread(() -> err[0] = read(process.getErrorStream()), "stderr");
    reader.start();
    String out = read(process.getInputStream());
    reader.join();
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new IOException("the JVM did not end: " + command);
    }
    return new Outcome(process.exitValue(), out, err[0]);
  }

  /** Starts {@code java ARGUMENTS}; what it prints, on whichever stream, is its output. */
  Process start(String... arguments) throws IOException {
    return process(command(arguments)).redirectErrorStream(true).start();
  }

  private List<String> command(String... arguments) {
    List<String> command = new ArrayList<>(before);
    command.add(new File(System.getProperty("java.home"), "bin/java").getPath());
    // Starting is most of what such a JVM does.
    command.addAll(Arrays.asList("-Xshare:auto", "-XX:TieredStopAtLevel=1"));
    if (feature() >= 24) {
      command.add("--enable-native-access=ALL-UNNAMED");
    }
    command.addAll(Arrays.asList(arguments));
    return command;
  }

  private ProcessBuilder process(List<String> command) {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().keySet().removeIf(name -> name.startsWith("DD_"));
    builder.environment().remove("JAVA_TOOL_OPTIONS");
    builder.environment().putAll(environment);
    return builder;
  }

  /** 8, 11, 17 and so on. */
  static int feature() {
    String version = System.getProperty("java.specification.version");
    return Integer.parseInt(version.startsWith("1.") ? version.substring(2) : version);
  }

  private static String read(InputStream in) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    byte[] buffer = new byte[8192];
    try {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        bytes.write(buffer, 0, n);
      }
    } catch (IOException e) {
      return "unreadable: " + e;
    }
    return new String(bytes.toByteArray(), StandardCharsets.UTF_8);
  }
}
