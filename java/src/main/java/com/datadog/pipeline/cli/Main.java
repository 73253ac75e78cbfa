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
  private Main() {}

  /** Runs a command and ends the JVM with its exit code. */
  public static void main(String[] args) {
    // Java 22 to 24 have a console that is no terminal, unless told otherwise.
    System.setProperty("jdk.console", "java.base");
    PrintStream out = stream(FileDescriptor.out);
    PrintStream err = stream(FileDescriptor.err);
    int code = run(args, out, err);
    if (out.checkError() && code == 0) {
      err.println("standard output could not be written");
      code = 1;
    }
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
    String word = args.length == 0 ? "" : args[0];
    Command command = Command.of(word);
    try {
      if (command == null) {
        throw new Arguments.Bad(
            word.isEmpty() ? "no command was named" : "there is no command " + word);
      }
      if (Arrays.asList(args).subList(1, args.length).contains("--help")) {
        out.println(command.usage());
        return 0;
      }
      return run(command, new Arguments(args, 1, command.flags, command.valued), out, err);
    } catch (Arguments.Bad e) {
      err.println(Input.oneLine(e.getMessage()) + Command.hint(command));
      return 2;
    } catch (OutOfMemoryError e) {
      err.println(word + ": " + Input.HEAP);
      return 1;
    } catch (RuntimeException | Error e) {
      // A trace of the stack helps nobody who only wanted to send a file.
      err.println(word + ": " + Input.oneLine(e.toString()));
      return 1;
    }
  }

  private static int run(Command command, Arguments args, PrintStream out, PrintStream err)
      throws Arguments.Bad {
    switch (command) {
      case DOCTOR:
        return new Doctor(args, out).run();
      case SEND:
        return new Send(args, out, err).run();
      case REPLAY:
        return new Replay(args, out, err).run();
      case STATS:
        return new StatsTable(args, out, err).run();
      case SHOW:
        return new Show(args, out, err).run();
      case CONVERT:
        return new Convert(args, out, err).run();
      case OBFUSCATE:
        return new Obfuscate(args, out, err).run();
      case VERSION:
        args.noFiles("version");
        out.println(TraceExporter.version());
        return 0;
      default:
        Command asked = args.files().isEmpty() ? null : Command.of(args.files().get(0));
        out.println(asked == null ? Command.overview() : asked.usage());
        return 0;
    }
  }
}
