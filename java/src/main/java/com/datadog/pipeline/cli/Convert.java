package com.datadog.pipeline.cli;

import com.datadog.pipeline.Converted;
import com.datadog.pipeline.ErrorCode;
import com.datadog.pipeline.InputFormat;
import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.TraceExporterException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.List;

/** {@code convert}: a payload file in another format. Not thread-safe. */
final class Convert {
  /** In the order of the formats' enums. */
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
    Payloads.Conversion conversion = conversion();
    String to = args.get("-o");
    if (to == null || args.someFiles().size() != 1) {
      throw new Arguments.Bad("convert takes one FILE, and -o OUT");
    }
    String file = args.files().get(0);
    try {
      Converted made = Payloads.convert(Input.of(file), conversion);
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

  private Payloads.Conversion conversion() throws Arguments.Bad {
    String from = args.get("--from");
    if (!FORMATS.contains(args.get("--to"))) {
      throw new Arguments.Bad("convert needs --to v0.4, v0.5 or v1");
    }
    if (from != null && !from.equals("auto") && !FORMATS.contains(from)) {
      throw new Arguments.Bad("--from is " + from + "; it must be auto, v0.4, v0.5 or v1");
    }
    Payloads.Conversion conversion =
        Payloads.Conversion.to(OutputFormat.values()[FORMATS.indexOf(args.get("--to"))]);
    if (from != null && !from.equals("auto")) {
      conversion = conversion.from(InputFormat.values()[FORMATS.indexOf(from)]);
    }
    if (args.has("--top-level")) {
      conversion = conversion.topLevel();
    }
    if (args.has("--drop-p0")) {
      conversion = conversion.dropP0();
    }
    for (String rule : args.all("--filter")) {
      conversion = conversion.filter(rule);
    }
    return conversion;
  }
}
