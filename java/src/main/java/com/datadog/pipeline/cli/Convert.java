package com.datadog.pipeline.cli;

import com.datadog.pipeline.Converted;
import com.datadog.pipeline.ErrorCode;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** {@code convert}: a payload file in another format. Not thread-safe. */
final class Convert {
  private static final List<String> FORMATS = Arrays.asList("v0.4", "v0.5", "v1");

  private final Arguments args;
  private final PrintStream out;
  private final PrintStream err;

  Convert(Arguments args, PrintStream out, PrintStream err) {
    this.args = args;
    this.out = out;
    this.err = err;
  }

  int run() throws Arguments.Bad {
    List<String> options = options();
    String to = args.get("-o");
    if (to == null || args.someFiles().size() != 1) {
      throw new Arguments.Bad("convert takes one FILE, and -o OUT");
    }
    String file = args.files().get(0);
    try {
      Converted made = TraceExporter.convert(Input.of(file), options);
      byte[] body = made.body();
      if (to.equals("-")) {
        out.write(body, 0, body.length);
      } else {
        Files.write(Paths.get(to), body);
      }
      err.println(file + ": to " + args.get("--to") + " " + made);
      return made.malformed() == 0 ? 0 : 1;
    } catch (IllegalArgumentException e) {
      throw new Arguments.Bad(e.getMessage());
    } catch (TraceExporterException e) {
      if (e.code() == ErrorCode.INVALID_CONFIGURATION) {
        throw new Arguments.Bad(e.getMessage());
      }
      err.println(file + ": " + e.getMessage());
    } catch (NoSuchFileException e) {
      err.println(e.getMessage() + ": there is no such file");
    } catch (IOException e) {
      err.println(file + " to " + to + ": " + e);
    }
    return 1;
  }

  private List<String> options() throws Arguments.Bad {
    List<String> options = new ArrayList<>();
    String from = args.get("--from");
    if (!FORMATS.contains(args.get("--to"))) {
      throw new Arguments.Bad("convert needs --to v0.4, v0.5 or v1");
    }
    if (from != null && !from.equals("auto") && !FORMATS.contains(from)) {
      throw new Arguments.Bad("--from is " + from + "; it must be auto, v0.4, v0.5 or v1");
    }
    options.add("to=" + args.get("--to"));
    options.add("from=" + (from == null ? "auto" : from));
    for (String flag : new String[] {"top-level", "drop-p0"}) {
      if (args.has("--" + flag)) {
        options.add(flag);
      }
    }
    for (String rule : args.all("--filter")) {
      options.add("filter=" + rule);
    }
    return options;
  }
}
