package com.datadog.pipeline.internal;

/** As the class of the same name for Java 8, on a JVM with modules and virtual threads. */
public final class Jvm {
  private Jvm() {}

  /** Whether the calling thread is a virtual one. */
  public static boolean onVirtualThread() {
    return Thread.currentThread().isVirtual();
  }

  /** What {@code --enable-native-access} must name so that we may load our library. */
  static String nativeAccessName() {
    String name = Jvm.class.getModule().getName();
    return name == null ? "ALL-UNNAMED" : name;
  }
}
