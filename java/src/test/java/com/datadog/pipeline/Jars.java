package com.datadog.pipeline;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/** The JAR under test, taken apart and put together differently. */
final class Jars {
  static final File JAR = new File(System.getProperty("jar"));

  private Jars() {}

  /** Decides what becomes of an entry. */
  interface Change {
    /** The new content; null leaves the entry out. */
    byte[] of(String name, byte[] content);
  }

  /** Every entry of the JAR. */
  static Map<String, byte[]> entries() throws IOException {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    try (ZipFile zip = new ZipFile(JAR)) {
      for (Enumeration<? extends ZipEntry> all = zip.entries(); all.hasMoreElements(); ) {
        ZipEntry entry = all.nextElement();
        if (!entry.isDirectory()) {
          entries.put(entry.getName(), read(zip.getInputStream(entry)));
        }
      }
    }
    return entries;
  }

  /** A copy of the JAR in which entries are changed. */
  static Path copy(Path to, Change change) throws IOException {
    return copy(to, UnaryOperator.identity(), change);
  }

  /** As {@link #copy(Path, Change)}, with other names; what has its old name is changed. */
  static Path copy(Path to, UnaryOperator<String> names, Change change) throws IOException {
    try (OutputStream file = Files.newOutputStream(to);
        ZipOutputStream zip = new ZipOutputStream(file)) {
      // Stored: under -Xcheck:jni the JVM copies the whole input for each half kilobyte of output.
      zip.setMethod(ZipOutputStream.STORED);
      for (Map.Entry<String, byte[]> entry : entries().entrySet()) {
        byte[] content = change.of(entry.getKey(), entry.getValue());
        if (content != null) {
          ZipEntry stored = new ZipEntry(names.apply(entry.getKey()));
          CRC32 sum = new CRC32();
          sum.update(content);
          stored.setCrc(sum.getValue());
          stored.setSize(content.length);
          zip.putNextEntry(stored);
          zip.write(content);
          zip.closeEntry();
        }
      }
    }
    return to;
  }

  static boolean isLibrary(String name) {
    return name.startsWith("META-INF/data-pipeline/") && !name.endsWith(".properties");
  }

  /** The library of the platform that the test runs on. */
  static byte[] library() throws IOException {
    Map<String, byte[]> entries = entries();
    String directory = TraceExporter.libraryInfo().get("platform");
    for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
      if (isLibrary(entry.getKey()) && entry.getKey().contains(directory)) {
        return entry.getValue();
      }
    }
    throw new IOException("no library for " + directory + " in " + JAR);
  }

  private static byte[] read(InputStream in) throws IOException {
    try (InputStream from = in) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      byte[] buffer = new byte[1 << 16];
      for (int n = from.read(buffer); n >= 0; n = from.read(buffer)) {
        bytes.write(buffer, 0, n);
      }
      return bytes.toByteArray();
    }
  }

  /** Rewrites the texts of a class file's constant pool, which is what a shading plugin does. */
  static byte[] rewriteTexts(byte[] type, UnaryOperator<String> change) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int count = u2(type, 8);
    out.write(type, 0, 10);
    int at = 10;
    for (int i = 1; i < count; i++) {
      int tag = type[at];
      if (tag == 1) {
        int length = u2(type, at + 1);
        // Class files have their own UTF-8; what is renamed here is ASCII, all else passes as it
        // is.
        String text = new String(type, at + 3, length, StandardCharsets.ISO_8859_1);
        byte[] changed = change.apply(text).getBytes(StandardCharsets.ISO_8859_1);
        out.write(1);
        out.write(changed.length >>> 8);
        out.write(changed.length);
        out.write(changed, 0, changed.length);
        at += 3 + length;
        continue;
      }
      int size =
          tag == 5 || tag == 6 ? 9 : tag == 15 ? 4 : tag == 7 || tag == 8 || tag == 16 ? 3 : 5;
      out.write(type, at, size);
      at += size;
      if (tag == 5 || tag == 6) {
        i++;
      }
    }
    out.write(type, at, type.length - at);
    return out.toByteArray();
  }

  private static int u2(byte[] bytes, int at) {
    return (bytes[at] & 0xff) << 8 | bytes[at + 1] & 0xff;
  }
}
