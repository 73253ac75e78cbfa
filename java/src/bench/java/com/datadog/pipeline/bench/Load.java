package com.datadog.pipeline.bench;

import com.datadog.pipeline.TraceExporter;

/**
 * A fresh JVM that prints how many nanoseconds it took from the first call to a ready exporter; or,
 * with a file as its argument, how long the JVM needs to load that.
 */
public final class Load {
  private Load() {}

  /** Prints one number. */
  public static void main(String[] args) {
    long start = System.nanoTime();
    if (args.length > 0) {
      System.load(args[0]);
      System.out.println(System.nanoTime() - start);
      return;
    }
    TraceExporter exporter = TraceExporter.builder().build();
    long nanos = System.nanoTime() - start;
    exporter.close();
    System.out.println(nanos);
  }
}
