package com.datadog.pipeline.internal;

import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** Puts into words why a library could not be loaded. */
final class LoadErrors {
  private LoadErrors() {}

  static String explain(Throwable why) {
    // IllegalCallerException does not exist on Java 8.
    if (why.getClass().getName().equals("java.lang.IllegalCallerException")) {
      return "this JVM does not let the JAR load native code; start it with"
          + " --enable-native-access="
          + Jvm.nativeAccessName();
    }
    if (why instanceof AccessDeniedException) {
      return "permission denied: " + why.getMessage();
    }
    if (why instanceof NoSuchFileException) {
      return "no such file or directory: " + why.getMessage();
    }
    if (why instanceof FileSystemException) {
      FileSystemException e = (FileSystemException) why;
      return (e.getReason() == null ? e.getClass().getSimpleName() : e.getReason())
          + ": "
          + e.getFile();
    }
    if (why instanceof SecurityException) {
      return "the security manager does not allow it: " + why.getMessage();
    }
    String text = why.getClass().getSimpleName() + ": " + why.getMessage();
    return why instanceof LinkageError ? text + hint(text) : text;
  }

  /** What the words of the dynamic linkers of glibc, musl, Windows and macOS mean. */
  private static String hint(String text) {
    if (text.contains("GLIBC_") || text.contains("GLIBCXX_")) {
      return " (this system's C library is older than the library needs)";
    }
    boolean symbols = text.contains("Error relocating") || text.contains("undefined symbol");
    boolean missing =
        text.contains("cannot open shared object file")
            || text.contains("Error loading shared library");
    if (symbols || missing) {
      return " (a library for another C library)";
    }
    boolean foreign =
        text.contains("wrong ELF class")
            || text.contains("invalid ELF header")
            || text.contains("Exec format error")
            || text.contains("Can't load ")
            || text.contains("not a valid Win32 application")
            || text.contains("incompatible architecture");
    return foreign ? " (a library for another processor or C library)" : "";
  }
}
