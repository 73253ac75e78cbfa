package com.datadog.bridge;

import com.datadog.pipeline.TraceExporter;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Enumeration;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/** Says whether the bridge would work with this JVM, and with a tracer's JAR. */
final class BridgeDoctor {
  /** What {@link Tracer} looks up by name: the end of a class's name, then of its members. */
  private static final String[][] NAMES = {
    {
      Transformer.SENDER,
      Patch.METHOD,
      "responseListeners",
      "featuresDiscovery",
      "agentUrl",
      "httpClient",
      "headers",
      "nativeMetricsEnabled|metricsEnabled"
    },
    {
      "/common/writer/RemoteApi",
      "totalTraces",
      "receivedTraces",
      "sentTraces",
      "countAndLogSuccessfulSend",
      "countAndLogFailedSend"
    },
    {"/common/writer/RemoteApi$Response", "success", "failed"},
    {"/common/writer/RemoteResponseListener", "onResponse"},
    {"/common/writer/Payload", "traceCount", "droppedTraces", "droppedSpans", "writeTo"},
    {
      "/communication/ddagent/DDAgentFeaturesDiscovery",
      "getTraceEndpoint",
      "supportsMetrics",
      "discoverIfOutdated"
    },
    {"/communication/http/OkHttpUtils", "prepareRequest"},
  };

  private static final String WORKS = "the bridge would work";
  private static final String SENDS_ITSELF =
      "the bridge would not work; the tracer would send itself";
  private static final String NO_TRACER =
      "the bridge would not work: take a newer dd-java-agent, or an older Java";

  private static final String USAGE =
      "usage: java -jar data-pipeline-bridge.jar doctor [dd-java-agent.jar]";

  private BridgeDoctor() {}

  static int run(String[] arguments, PrintStream out) {
    if (arguments.length == 0 || !arguments[0].equals("doctor") || arguments.length > 2) {
      out.println(USAGE);
      return 2;
    }
    out.println(
        "java: "
            + System.getProperty("java.version")
            + " ("
            + System.getProperty("java.vm.name")
            + ")");
    boolean library = TraceExporter.isAvailable();
    out.println(
        library
            ? "library: works, version " + TraceExporter.version()
            : "library: does not work: " + TraceExporter.unavailabilityCause().getMessage());
    String verdict = library ? WORKS : SENDS_ITSELF;
    if (arguments.length == 2) {
      File tracer = new File(arguments[1]);
      String found;
      try {
        found = look(tracer);
      } catch (IOException | RuntimeException e) {
        found = "cannot be read: " + e.getMessage();
      }
      out.println("tracer: " + found);
      if (!found.startsWith("fits")) {
        verdict = SENDS_ITSELF;
      } else if (!starts(tracer, out)) {
        verdict = NO_TRACER;
      }
    }
    out.println(verdict);
    return verdict.equals(WORKS) ? 0 : 1;
  }

  /** Whether the tracer starts on this Java; yes if that could not be tried. */
  private static boolean starts(File tracer, PrintStream out) {
    String failure;
    try {
      failure = TracerStart.failure(tracer);
    } catch (IOException | RuntimeException e) {
      out.println("start: could not be tried: " + e.getMessage());
      return true;
    }
    out.println(
        failure == null
            ? "start: this tracer starts on this Java"
            : "start: this tracer does not start on this Java, without the bridge either: "
                + failure);
    return failure == null;
  }

  private static String look(File jar) throws IOException {
    try (JarFile file = new JarFile(jar)) {
      StringBuilder missing = new StringBuilder();
      String sender = null;
      for (String[] names : NAMES) {
        JarEntry entry = entry(file, names[0]);
        if (entry == null) {
          return "does not fit: it has no class that ends with " + names[0];
        }
        byte[] classFile;
        try (InputStream in = file.getInputStream(entry)) {
          classFile = all(in);
        }
        if (names[0].equals(Transformer.SENDER)) {
          sender = entry.getName();
          Patch.apply(classFile);
        }
        for (int i = 1; i < names.length; i++) {
          if (!hasOneOf(classFile, names[i])) {
            missing.append(missing.length() == 0 ? "" : ", ").append(entry.getName());
            missing.append('.').append(names[i]);
          }
        }
      }
      return missing.length() == 0 ? "fits: " + sender : "does not fit: it lacks " + missing;
    } catch (Patch.Misfit e) {
      return "does not fit: its sender is not what is known: " + e.getMessage();
    }
  }

  private static JarEntry entry(JarFile file, String end) {
    for (Enumeration<JarEntry> all = file.entries(); all.hasMoreElements(); ) {
      JarEntry entry = all.nextElement();
      String name = entry.getName();
      int dot = name.lastIndexOf('.');
      if (dot >= 0 && name.substring(dot).startsWith(".class")) {
        if (('/' + name.substring(0, dot)).endsWith(end)) {
          return entry;
        }
      }
    }
    return null;
  }

  /** Whether a class file has one of these texts among its constants. */
  private static boolean hasOneOf(byte[] classFile, String names) {
    String file = new String(classFile, StandardCharsets.ISO_8859_1);
    for (String name : names.split("\\|")) {
      if (file.contains("\1\0" + (char) name.length() + name)) {
        return true;
      }
    }
    return false;
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
