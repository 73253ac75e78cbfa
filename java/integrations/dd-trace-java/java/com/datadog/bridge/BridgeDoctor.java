package com.datadog.bridge;

import com.datadog.pipeline.TraceExporter;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.Enumeration;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/** Says whether the bridge would work with this JVM, and with a tracer's JAR. */
final class BridgeDoctor {
  private static final String USAGE =
      "usage: java -jar data-pipeline-bridge.jar doctor [dd-java-agent.jar]";

  private BridgeDoctor() {}

  static int run(String[] arguments, PrintStream out) {
    if (arguments.length == 0 || !arguments[0].equals("doctor") || arguments.length > 2) {
      out.println(USAGE);
      return 2;
    }
    boolean library = TraceExporter.isAvailable();
    out.println(
        library
            ? "library: works, version " + TraceExporter.version()
            : "library: does not work: " + TraceExporter.unavailabilityCause().getMessage());
    boolean seam = true;
    if (arguments.length == 2) {
      String found;
      try {
        found = look(new File(arguments[1]));
      } catch (IOException | RuntimeException e) {
        found = "cannot be read: " + e.getMessage();
      }
      seam = found.startsWith("fits");
      out.println("tracer: " + found);
    }
    boolean works = library && seam;
    out.println(
        works
            ? "the bridge would work"
            : "the bridge would not work; the tracer would send itself");
    return works ? 0 : 1;
  }

  private static String look(File jar) throws IOException {
    try (JarFile file = new JarFile(jar)) {
      for (Enumeration<JarEntry> all = file.entries(); all.hasMoreElements(); ) {
        JarEntry entry = all.nextElement();
        String name = entry.getName();
        int dot = name.lastIndexOf('.');
        if (dot < 0 || !name.substring(0, dot).endsWith(Transformer.SENDER)) {
          continue;
        }
        try (InputStream in = file.getInputStream(entry)) {
          Patch.apply(all(in));
          return "fits: " + name;
        } catch (Patch.Misfit e) {
          return "does not fit: " + name + ": " + e.getMessage();
        }
      }
    }
    return "does not fit: it has no class that ends with " + Transformer.SENDER;
  }

  private static byte[] all(InputStream in) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    byte[] buffer = new byte[8192];
    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
      bytes.write(buffer, 0, n);
    }
    return bytes.toByteArray();
  }
}
