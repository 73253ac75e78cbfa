package com.datadog.pipeline.cli;

import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.TraceExporterException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.InvalidPathException;
import java.util.Arrays;
import java.util.Locale;

/** {@code obfuscate}: one text as it would leave. Not thread-safe. */
final class Obfuscate {
  private final Arguments args;
  private final PrintStream out;
  private final PrintStream err;

  Obfuscate(Arguments args, PrintStream out, PrintStream err) {
    this.args = args;
    this.out = out;
    this.err = err;
  }

  int run() throws Arguments.Bad {
    if (args.get("--type") == null || args.files().size() > 1) {
      throw new Arguments.Bad(
          "obfuscate needs --type, and one text on standard input or in a FILE");
    }
    String file = args.files().isEmpty() ? "-" : args.files().get(0);
    try {
      byte[] text = withoutLineEnd(Input.of(file));
      byte[] hidden = Payloads.obfuscate(text, how());
      out.write(hidden, 0, hidden.length);
      out.println();
      return 0;
    } catch (InvalidPathException | IOException e) {
      err.println(Input.named(file) + ": " + Input.why(e));
      return 1;
    } catch (IllegalArgumentException e) {
      throw new Arguments.Bad(e.getMessage());
    } catch (TraceExporterException e) {
      err.println(e.getMessage());
      return 1;
    }
  }

  private Payloads.Obfuscation how() {
    Payloads.Obfuscation how = Payloads.Obfuscation.of(Payloads.TextKind.named(args.get("--type")));
    if (args.get("--dbms") != null) {
      how = how.dbms(args.get("--dbms"));
    }
    if (args.get("--mode") != null) {
      how = how.mode(named("mode", Payloads.SqlMode.values(), args.get("--mode")));
    }
    if (args.get("--preset") != null) {
      how = how.preset(named("preset", Payloads.Preset.values(), args.get("--preset")));
    }
    return how;
  }

  private static <E extends Enum<E>> E named(String what, E[] all, String name) {
    for (E one : all) {
      if (one.name().toLowerCase(Locale.ROOT).equals(name)) {
        return one;
      }
    }
    throw new IllegalArgumentException("there is no " + what + " \"" + name + '"');
  }

  /** The shell's line end is not part of the text. */
  private static byte[] withoutLineEnd(byte[] text) {
    int end = text.length;
    if (end > 0 && text[end - 1] == '\n') {
      end -= end > 1 && text[end - 2] == '\r' ? 2 : 1;
    }
    return Arrays.copyOf(text, end);
  }
}
