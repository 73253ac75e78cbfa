package com.datadog.pipeline;

import java.lang.instrument.Instrumentation;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.jar.JarFile;

/** An agent that puts our JAR on the boot class path. Knows our classes by name only. */
public final class BootAgent {
  private BootAgent() {}

  /** Takes {@code HOW,JAR}. */
  public static void premain(String options, Instrumentation instrumentation) throws Exception {
    String how = options.substring(0, options.indexOf(','));
    Path jar = Paths.get(options.substring(how.length() + 1));
    if (!how.equals("manifest")) {
      instrumentation.appendToBootstrapClassLoaderSearch(new JarFile(jar.toFile()));
    }
    Class<?> type = Class.forName("com.datadog.pipeline.TraceExporter", true, null);
    if (!how.equals("say nothing")) {
      type.getMethod("libraryFrom", Path.class).invoke(null, jar);
    }
    System.out.println(
        "loader "
            + type.getClassLoader()
            + " available "
            + type.getMethod("isAvailable").invoke(null)
            + " cause "
            + type.getMethod("unavailabilityCause").invoke(null));
  }

  /** Has nothing to do. */
  public static void main(String[] args) {}
}
