package com.datadog.pipeline.cli;

import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.Stats;
import com.datadog.pipeline.TraceExporterException;
import java.io.PrintStream;
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
    Input input = new Input(args, err);
    input.eachReadable(args.someFiles(), (name, payload) -> payloads.add(payload));
    boolean now = args.has("--now");
    boolean obfuscate = args.has("--obfuscate-stats");
    try {
      Payloads.Counting counting =
          now ? Payloads.Counting.asAnExporter() : Payloads.Counting.whereTheyEnded();
      Stats stats = Payloads.stats(payloads, obfuscate ? counting.obfuscated() : counting);
      out.println(args.has("--json") ? stats.json() : stats.toString());
      return input.failures() == 0 ? 0 : 1;
    } catch (TraceExporterException e) {
      err.println(e.getMessage());
      return 1;
    }
  }
}
