package com.datadog.pipeline.bench;

import com.datadog.pipeline.TraceExporter;

/** A fresh JVM that prints how many nanoseconds it took from the first call to a ready exporter. */
public final class Load {
  private Load() {}

  /** Prints one number. */
  public static void main(String[] args) {
    long start = System.nanoTime();
    TraceExporter exporter = TraceExporter.builder().build();
    long nanos = System.nanoTime() - start;
    exporter.close();
    System.out.println(nanos);
  }
}
