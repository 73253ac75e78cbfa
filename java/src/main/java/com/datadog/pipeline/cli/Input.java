package com.datadog.pipeline.cli;

import com.datadog.pipeline.Converted;
import com.datadog.pipeline.OnMalformed;
import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.TraceExporterException;
import com.datadog.pipeline.internal.Words;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import java.util.Locale;

/**
 * Payloads from files and standard input. What is wrong with one is said in a line that names it,
 * and the next one follows. Not thread-safe.
 */
final class Input {
  static final String HEAP = "the Java heap is too small for this; give it more by -Xmx";

  private final PrintStream err;
  private final OnMalformed policy;
  private int failures;
  private boolean standardInputRead;

  /** What is done with a payload. */
  interface Work {
    void on(String name, byte[] payload);
  }

  Input(Arguments args, PrintStream err) throws Arguments.Bad {
    this.err = err;
    this.policy = policy(args);
  }

  /** {@code --on-malformed}, by default as the library has it. */
  static OnMalformed policy(Arguments args) throws Arguments.Bad {
    String name = args.get("--on-malformed");
    for (OnMalformed policy : OnMalformed.values()) {
      if (name == null || policy.name().toLowerCase(Locale.ROOT).equals(name)) {
        return policy;
      }
    }
    throw new Arguments.Bad("--on-malformed is " + name + "; it must be repair, drop or fail");
  }

  /** How many files had something wrong. */
  int failures() {
    return failures;
  }

  /** Does the work with the content of each file. */
  void each(List<String> files, Work work) {
    for (String file : files) {
      String name = named(file);
      try {
        work.on(name, content(file));
      } catch (TraceExporterException e) {
        failed(name + ": " + e.getMessage());
      } catch (IOException | InvalidPathException e) {
        failed(name + ": " + why(e));
      } catch (OutOfMemoryError e) {
        failed(name + ": " + HEAP);
      }
    }
  }

  /** As {@link #each}, with what an agent would refuse repaired, left out or refused as asked. */
  void eachReadable(List<String> files, Work work) {
    each(files, (name, payload) -> work.on(name, readable(name, payload)));
  }

  /** A payload with what an agent would refuse repaired, left out or refused as asked. */
  byte[] readable(String name, byte[] payload) {
    Converted read = read(payload);
    if (read.malformed() > 0) {
      failures++;
    }
    fault(name, read);
    return read.body();
  }

  private Converted read(byte[] payload) {
    return Payloads.convert(payload, Payloads.Conversion.to(OutputFormat.V04).onMalformed(policy));
  }

  /** Says what was repaired or left out of a payload, and where, if anything was. */
  void fault(String name, byte[] payload) {
    fault(name, read(payload));
  }

  private void fault(String name, Converted read) {
    if (read.firstFault() == null) {
      return;
    }
    StringBuilder line = new StringBuilder(name).append(": ");
    if (read.malformed() > 0) {
      line.append(Words.count(read.malformed(), "trace")).append(" malformed");
    }
    if (read.repaired() > 0) {
      line.append(read.malformed() > 0 ? ", " : "");
      line.append(Words.count(read.repaired(), "value")).append(" repaired");
    }
    err.println(line.append("; first fault: ").append(read.firstFault()));
  }

  void failed(String line) {
    failures++;
    err.println(oneLine(line));
  }

  /** Says something that is no failure. */
  void note(String line) {
    err.println(oneLine(line));
  }

  /** Standard input has a name of its own. */
  static String named(String file) {
    return file.equals("-") ? "standard input" : file;
  }

  /** The content of a file; {@code -} is standard input, once. */
  private byte[] content(String file) throws IOException {
    if (!file.equals("-")) {
      return of(file);
    }
    if (standardInputRead) {
      throw new IOException("it was named twice, and can be read once");
    }
    standardInputRead = true;
    return of(file);
  }

  /** The content of a file; {@code -} is standard input. */
  static byte[] of(String file) throws IOException {
    if (file.equals("-")) {
      return all(System.in);
    }
    Path path = Paths.get(file);
    if (Files.isDirectory(path)) {
      throw new IOException("it is a directory");
    }
    return Files.readAllBytes(path);
  }

  /** Writes a file whole; {@code -} is standard output. */
  static void write(String file, byte[] content, PrintStream out) throws IOException {
    if (file.equals("-")) {
      out.write(content, 0, content.length);
      return;
    }
    Path path = Paths.get(file);
    Path parent = path.getParent();
    if (Files.isDirectory(path)) {
      throw new IOException("it is a directory");
    }
    if (parent != null && !Files.isDirectory(parent)) {
      throw new IOException("there is no directory " + parent);
    }
    Files.write(path, content);
  }

  /** What went wrong with a file, in words. */
  static String why(Exception e) {
    if (e instanceof NoSuchFileException) {
      return "there is no such file";
    }
    if (e instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (e instanceof FileSystemException && ((FileSystemException) e).getReason() != null) {
      return oneLine(((FileSystemException) e).getReason());
    }
    return oneLine(e.getMessage() == null ? e.toString() : e.getMessage());
  }

  /** Names and messages may have line ends in them. */
  static String oneLine(String text) {
    return String.valueOf(text).replaceAll("\\s*[\\r\\n]\\s*", " ");
  }

  /** Everything up to the end. */
  private static byte[] all(InputStream in) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    byte[] buffer = new byte[1 << 16];
    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
      bytes.write(buffer, 0, n);
    }
    return bytes.toByteArray();
  }
}
