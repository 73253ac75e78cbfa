package com.datadog.pipeline.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which C library this process runs on, and which the native library needs. Stateless. */
final class CLibrary {
  /** As every glibc says it of itself: {@code GNU C Library … stable release version 2.36.} */
  private static final Pattern OWN_WORDS =
      Pattern.compile("GNU C Library [^\\n]*release version (\\d+\\.\\d+)");

  private static final Pattern GLIBC = Pattern.compile("glibc (\\d+)\\.(\\d+)");

  private CLibrary() {}

  /** {@code glibc 2.36}, {@code musl}, or why it is not known. */
  static String found() {
    try {
      for (String line :
          Files.readAllLines(Paths.get("/proc/self/maps"), StandardCharsets.ISO_8859_1)) {
        if (line.contains("/ld-musl-") || line.contains("/libc.musl-")) {
          return "musl";
        }
        if (line.contains("/libc.so.6") || line.contains("/libc-2")) {
          return ("glibc " + version(line.substring(line.indexOf('/')))).trim();
        }
      }
      return "unknown";
    } catch (IOException | RuntimeException e) {
      return "not Linux, or unreadable";
    }
  }

  /** The version that the file of a glibc says; empty if it cannot be read. */
  private static String version(String file) {
    try {
      byte[] content = Files.readAllBytes(Paths.get(file));
      Matcher words = OWN_WORDS.matcher(new String(content, StandardCharsets.ISO_8859_1));
      return words.find() ? words.group(1) : "";
    } catch (IOException e) {
      return "";
    }
  }

  /**
   * What the JAR's library for a platform needs, {@code glibc 2.17 or musl}; empty if it has none.
   */
  static String needed(String platform) {
    String name = "/META-INF/data-pipeline/" + platform + "/native.properties";
    try (InputStream in = CLibrary.class.getResourceAsStream(name)) {
      Properties properties = new Properties();
      if (in != null) {
        properties.load(in);
      }
      return properties.getProperty("libc", "");
    } catch (IOException | IllegalArgumentException e) {
      return "";
    }
  }

  /** Whether both are versions of glibc and the one found is older. */
  static boolean isTooOld(String found, String needed) {
    Matcher has = GLIBC.matcher(found);
    Matcher wants = GLIBC.matcher(needed);
    if (!has.find() || !wants.find()) {
      return false;
    }
    int major = Integer.compare(number(has, 1), number(wants, 1));
    return (major == 0 ? Integer.compare(number(has, 2), number(wants, 2)) : major) < 0;
  }

  private static int number(Matcher version, int group) {
    return Integer.parseInt(version.group(group));
  }
}
