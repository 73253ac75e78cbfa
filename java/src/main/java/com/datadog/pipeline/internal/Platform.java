package com.datadog.pipeline.internal;

import java.util.Locale;

/** Names operating system and processor as the JAR's resources do. Immutable and thread-safe. */
public final class Platform {
  private final String os;
  private final String arch;

  /** From the values of the system properties {@code os.name} and {@code os.arch}. */
  public Platform(String osName, String osArch) {
    String name = osName.toLowerCase(Locale.ROOT);
    if (name.contains("mac") || name.contains("darwin")) {
      os = "macos";
    } else if (name.contains("win")) {
      os = "windows";
    } else if (name.contains("linux")) {
      os = "linux";
    } else {
      os = name.replaceAll("[^a-z0-9]", "");
    }
    String cpu = osArch.toLowerCase(Locale.ROOT);
    if (cpu.equals("amd64") || cpu.equals("x86_64") || cpu.equals("x64")) {
      arch = "x86_64";
    } else if (cpu.equals("aarch64") || cpu.equals("arm64")) {
      arch = "aarch64";
    } else {
      arch = cpu.replaceAll("[^a-z0-9_]", "");
    }
  }

  /** The one we run on. */
  public static Platform current() {
    return new Platform(property("os.name"), property("os.arch"));
  }

  /**
   * The name of a property of ours. Put together here: a build that relocates our classes changes
   * texts that begin with our package, and with them would change what users have to say.
   */
  static String propertyName(String last) {
    return "com.datadog".concat(".pipeline.native.").concat(last);
  }

  /** An environment variable; empty if it is not set or a security manager hides it. */
  static String environment(String name) {
    try {
      String value = System.getenv(name);
      return value == null ? "" : value;
    } catch (SecurityException e) {
      return "";
    }
  }

  /** A system property; empty if it is not set or a security manager hides it. */
  static String property(String name) {
    try {
      return System.getProperty(name, "");
    } catch (SecurityException e) {
      return "";
    }
  }

  /** {@code linux-x86_64} for instance. */
  public String directory() {
    return os + "-" + arch;
  }

  /** The path of a file that belongs to the library, as a resource of a JAR. */
  String resource(String file) {
    return "META-INF/data-pipeline/" + directory() + "/" + file;
  }

  /** The library's file name. */
  public String libraryFile() {
    switch (os) {
      case "windows":
        return "data_pipeline.dll";
      case "macos":
        return "libdata_pipeline.dylib";
      default:
        return "libdata_pipeline.so";
    }
  }

  /** Whether a loaded library's file can be deleted. */
  boolean unlinksLoadedFiles() {
    return !os.equals("windows");
  }

  @Override
  public String toString() {
    return directory();
  }
}
