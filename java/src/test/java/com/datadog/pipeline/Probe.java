package com.datadog.pipeline;

/** A program that touches the library as a host would and prints what it gets. */
public final class Probe {
  private Probe() {}

  /** Prints availability, what {@code build()} says, and where the library came from. */
  public static void main(String[] args) {
    System.out.println("available=" + TraceExporter.isAvailable());
    System.out.println("source=" + TraceExporter.libraryInfo().get("source"));
    System.out.println("sha256=" + TraceExporter.libraryInfo().get("sha256"));
    Throwable cause = TraceExporter.unavailabilityCause();
    System.out.println("cause=" + (cause == null ? "none" : cause.getMessage()));
    try (TraceExporter exporter = TraceExporter.builder().build()) {
      System.out.println("build=" + exporter);
    } catch (TraceExporterException e) {
      System.out.println("build=" + e.code() + " caused by " + e.getCause().getMessage());
    }
  }
}
