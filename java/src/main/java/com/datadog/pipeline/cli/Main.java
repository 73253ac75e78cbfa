package com.datadog.pipeline.cli;

import com.datadog.pipeline.TraceExporter;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * {@code java -jar data-pipeline.jar COMMAND}. Exit 0 if all went well, 1 if not, 2 if the
 * arguments are wrong.
 */
public final class Main {
  private static final String USAGE =
      "usage: java -jar data-pipeline.jar COMMAND\n"
          + "  doctor [--url URL] [--send] [--json] [--verbose]\n"
          + "                                                 does it work here? what is missing,"
          + " and which knob helps\n"
          + "  send [--url URL] [--format v0.4|v0.5|v1|auto] [--repeat N] [--threads N]\n"
          + "       [--budget-ms N] [--max-bytes N] FILE...\n"
          + "       [--compute-stats [--now] [--obfuscate-stats]]\n"
          + "                                                 sends payload files (msgpack v0.4)\n"
          + "  stats [--json] [--now] [--obfuscate-stats] FILE...\n"
          + "                                                 a table of services and resources:"
          + " hits, errors, p50, p95, p99\n"
          + "  show [--json] FILE...                          the spans of payload files\n"
          + "  convert --to v0.4|v0.5|v1 [--from auto|v0.4|v0.5|v1] [--top-level] [--drop-p0]\n"
          + "          [--filter RULE]... FILE -o OUT         a payload in another format; - is"
          + " standard input or output;\n"
          + "                                                 RULE: require:KEY[:VALUE],"
          + " reject:KEY[:VALUE], require~:KEY:REGEX,\n"
          + "                                                 reject~:KEY:REGEX, ignore:REGEX"
          + " (resources)\n"
          + "  obfuscate --type sql|redis|memcached|mongo|es|opensearch|http|card|ip [--dbms NAME]"
          + " [--mode MODE]\n"
          + "            [--preset agent|all]                 one text on standard input as it"
          + " would leave\n"
          + "  version\n"
          + "URL: http://host:port, unix:///path, windows:\\\\.\\pipe\\n"
          + "ame; default: DD_TRACE_AGENT_URL, else\n"
          + "http://127.0.0.1:8126";

  private Main() {}

  /** Runs a command and ends the JVM with its exit code. */
  public static void main(String[] args) {
    PrintStream out = stream(FileDescriptor.out);
    PrintStream err = stream(FileDescriptor.err);
    int code = run(args, out, err);
    out.flush();
    err.flush();
    System.exit(code);
  }

  private static PrintStream stream(FileDescriptor fd) {
    try {
      return new PrintStream(new FileOutputStream(fd), false, StandardCharsets.UTF_8.name());
    } catch (IOException e) {
      throw new IllegalStateException("every Java has UTF-8", e);
    }
  }

  /** Runs a command; gives its exit code. */
  public static int run(String[] args, PrintStream out, PrintStream err) {
    String command = args.length == 0 ? "" : args[0];
    if (Arrays.asList(args).contains("--help")) {
      out.println(USAGE);
      return 0;
    }
    try {
      switch (command) {
        case "doctor":
          return new Doctor(new Arguments(args, 1, "--send --json --verbose", "--url"), out).run();
        case "send":
          return new Send(
                  new Arguments(
                      args,
                      1,
                      "--compute-stats --now --obfuscate-stats",
                      "--url --format --repeat --threads --budget-ms --max-bytes"),
                  out,
                  err)
              .run();
        case "stats":
          return new StatsTable(
                  new Arguments(args, 1, "--json --now --obfuscate-stats", ""), out, err)
              .run();
        case "show":
          return new Show(new Arguments(args, 1, "--json", ""), out, err).run();
        case "convert":
          return new Convert(
                  new Arguments(args, 1, "--top-level --drop-p0", "--to --from --filter -o"),
                  out,
                  err)
              .run();
        case "obfuscate":
          return new Obfuscate(
                  new Arguments(args, 1, "", "--type --dbms --mode --preset"), System.in, out, err)
              .run();
        case "version":
        case "--version":
          out.println(TraceExporter.version());
          return 0;
        case "help":
        case "--help":
        case "-h":
          out.println(USAGE);
          return 0;
        case "":
          throw new Arguments.Bad("no command was named");
        default:
          throw new Arguments.Bad("there is no command " + command);
      }
    } catch (Arguments.Bad e) {
      err.println(e.getMessage() + "; `java -jar data-pipeline.jar help` shows what there is");
      return 2;
    } catch (OutOfMemoryError e) {
      err.println(command + ": the Java heap is too small for this; give it more by -Xmx");
      return 1;
    } catch (RuntimeException | Error e) {
      // A trace of the stack helps nobody who only wanted to send a file.
      err.println(command + ": " + e);
      return 1;
    }
  }
}
