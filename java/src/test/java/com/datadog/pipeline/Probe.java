package com.datadog.pipeline;

import java.io.File;
import java.nio.file.Paths;

/** A program that touches the library as a host would and prints what it gets. */
public final class Probe {
  private Probe() {}

  /** Prints availability, what {@code build()} says, and where the library came from. */
  public static void main(String[] args) {
    if (args.length > 0) {
      TraceExporter.libraryFrom(Paths.get(args[0]));
    }
    System.out.println("available=" + TraceExporter.isAvailable());
    System.out.println("source=" + TraceExporter.libraryInfo().get("source"));
    System.out.println("sha256=" + TraceExporter.libraryInfo().get("sha256"));
    System.out.println("tries=" + TraceExporter.libraryInfo().get("tries"));
    Throwable cause = TraceExporter.unavailabilityCause();
    System.out.println("cause=" + (cause == null ? "none" : cause.getMessage()));
    String temp = System.getProperty("com.datadog.pipeline.native.tmpdir");
    if (temp != null) {
      String[] kept = new File(temp).list((folder, name) -> name.startsWith("data-pipeline-kept-"));
      System.out.println("kept=" + (kept == null ? 0 : kept.length));
    }
    try (TraceExporter exporter = TraceExporter.builder().build()) {
      System.out.println("build=" + exporter);
    } catch (TraceExporterException e) {
      System.out.println("build=" + e.code() + " caused by " + e.getCause().getMessage());
    }
  }
}
