package com.datadog.pipeline.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Another process of the benchmark, spoken to in lines. Not thread-safe. */
final class Peer implements AutoCloseable {
  private final Process process;
  private final PrintStream in;
  private final BufferedReader out;

  Peer(String... command) throws IOException {
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    in = new PrintStream(process.getOutputStream(), true, "UTF-8");
    out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
  }

  /** The command kept on some cores, where the system has a way to say so. */
  static String[] pinned(String cores, String... command) {
    List<String> all = new ArrayList<>();
    if (!cores.isEmpty()) {
      all.addAll(Arrays.asList("taskset", "-c", cores));
    }
    all.addAll(Arrays.asList(command));
    return all.toArray(new String[0]);
  }

  String line() throws IOException {
    String line = out.readLine();
    if (line == null) {
      throw new IOException("the other process has ended");
    }
    return line;
  }

  /** What one call took on average, in nanoseconds. */
  double nanos(String who, String file, int calls) throws IOException {
    in.println(who + " " + file + " " + calls);
    return Double.parseDouble(line()) / calls;
  }

  @Override
  public void close() {
    in.close();
    process.destroy();
  }
}
