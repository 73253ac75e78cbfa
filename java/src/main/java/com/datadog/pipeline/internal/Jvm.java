package com.datadog.pipeline.internal;

/**
 * What only newer JVMs can say. The multi-release JAR holds this class again for Java 9 and 21;
 * this one is for those that know neither modules nor virtual threads.
 */
public final class Jvm {
  private Jvm() {}

  /** Whether the calling thread is a virtual one. */
  public static boolean onVirtualThread() {
    return false;
  }

  /** What {@code --enable-native-access} must name so that we may load our library. */
  static String nativeAccessName() {
    return "ALL-UNNAMED";
  }
}
