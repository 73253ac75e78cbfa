package com.datadog.pipeline.cli;

import com.datadog.pipeline.Converted;
import com.datadog.pipeline.ErrorCode;
import com.datadog.pipeline.InputFormat;
import com.datadog.pipeline.OtherFormat;
import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.TraceExporterException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.InvalidPathException;
import java.util.Arrays;
import java.util.List;

/** {@code convert}: a payload file in another format. Not thread-safe. */
final class Convert {
  /** In the order of the formats' enums. */
  private static final List<String> FORMATS = Arrays.asList("v0.4", "v0.5", "v1");

  /** In the order of their enum. */
  private static final List<String> OTHERS =
      Arrays.asList("otlp-proto", "otlp-json", "intake", "log");

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
    String name = Input.named(file);
    Converted made;
    try {
      made = Payloads.convert(Input.of(file), conversion);
    } catch (IllegalArgumentException e) {
      throw new Arguments.Bad(e.getMessage());
    } catch (TraceExporterException e) {
      if (e.code() == ErrorCode.INVALID_CONFIGURATION) {
        throw new Arguments.Bad(e.getMessage());
      }
      err.println(name + ": " + e.getMessage());
      return 1;
    } catch (IOException e) {
      err.println(name + ": " + Input.why(e));
      return 1;
    }
    try {
      Input.write(to, made.body(), out);
    } catch (IOException | InvalidPathException e) {
      err.println(to + ": " + Input.why(e));
      return 1;
    }
    err.println(name + ": to " + args.get("--to") + " " + made);
    return made.malformed() == 0 ? 0 : 1;
  }

  private Payloads.Conversion conversion() throws Arguments.Bad {
    String from = args.get("--from");
    int to = FORMATS.indexOf(args.get("--to"));
    int other = OTHERS.indexOf(args.get("--to"));
    if (to < 0 && other < 0) {
      throw new Arguments.Bad(
          "convert needs --to v0.4, v0.5, v1, otlp-proto, otlp-json, intake or log");
    }
    if (from != null && !from.equals("auto") && !FORMATS.contains(from)) {
      throw new Arguments.Bad("--from is " + from + "; it must be auto, v0.4, v0.5 or v1");
    }
    Payloads.Conversion conversion =
        to < 0
            ? Payloads.Conversion.to(OtherFormat.values()[other])
            : Payloads.Conversion.to(OutputFormat.values()[to]);
    if (from != null && !from.equals("auto")) {
      conversion = conversion.from(InputFormat.values()[FORMATS.indexOf(from)]);
    }
    conversion = conversion.onMalformed(Input.policy(args));
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
