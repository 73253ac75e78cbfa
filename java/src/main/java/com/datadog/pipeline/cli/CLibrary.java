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

  /** musl has its version as a text of its own. */
  private static final Pattern MUSL_VERSION = Pattern.compile("\\x00(1\\.\\d+\\.\\d+)\\x00");

  private static final Pattern GLIBC = Pattern.compile("glibc (\\d+)\\.(\\d+)");

  private CLibrary() {}

  /** {@code glibc 2.36}, {@code musl 1.2.3}, or why it is not known. */
  static String found() {
    try {
      for (String line :
          Files.readAllLines(Paths.get("/proc/self/maps"), StandardCharsets.ISO_8859_1)) {
        // Alpine calls musl by its loader's name; elsewhere that is a link to a libc.so.
        if (line.contains("/ld-musl-")
            || line.contains("/libc.musl-")
            || line.endsWith("/libc.so")) {
          return said("musl", MUSL_VERSION, line);
        }
        if (line.contains("/libc.so.6") || line.contains("/libc-2")) {
          return said("glibc", OWN_WORDS, line);
        }
      }
      return "unknown";
    } catch (IOException | RuntimeException e) {
      return "not Linux, or unreadable";
    }
  }

  /** The name, and the version that the mapped file says; the name alone if it cannot be read. */
  private static String said(String name, Pattern version, String mapped) {
    try {
      byte[] content = Files.readAllBytes(Paths.get(mapped.substring(mapped.indexOf('/'))));
      Matcher words = version.matcher(new String(content, StandardCharsets.ISO_8859_1));
      return words.find() ? name + " " + words.group(1) : name;
    } catch (IOException e) {
      return name;
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
