package com.datadog.pipeline.cli;

import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.Stats;
import com.datadog.pipeline.TraceExporterException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;

/** {@code stats}: what client-side stats make of payload files. Not thread-safe. */
final class StatsTable {
  private final Arguments args;
  private final PrintStream out;
  private final PrintStream err;

  StatsTable(Arguments args, PrintStream out, PrintStream err) {
    this.args = args;
    this.out = out;
    this.err = err;
  }

  int run() throws Arguments.Bad {
    List<byte[]> payloads = new ArrayList<>();
    for (String file : args.someFiles()) {
      try {
        payloads.add(Input.of(file));
      } catch (NoSuchFileException e) {
        err.println(file + ": there is no such file");
        return 1;
      } catch (IOException e) {
        err.println(file + ": " + e);
        return 1;
      }
    }
    boolean now = args.has("--now");
    boolean obfuscate = args.has("--obfuscate-stats");
    try {
      Payloads.Counting counting =
          now ? Payloads.Counting.asAnExporter() : Payloads.Counting.whereTheyEnded();
      Stats stats = Payloads.stats(payloads, obfuscate ? counting.obfuscated() : counting);
      out.println(args.has("--json") ? stats.json() : stats.toString());
      return 0;
    } catch (TraceExporterException e) {
      err.println(e.getMessage());
      return 1;
    }
  }
}
