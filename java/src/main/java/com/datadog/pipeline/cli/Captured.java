package com.datadog.pipeline.cli;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A captured request, as the library's setting {@code capture} writes it: lines about it, then the
 * request's head, the answer's head, the answer's body and the request's body, each of the length
 * that its line says and with a line end behind it that does not count, but for the last.
 * Immutable.
 */
final class Captured {
  /** Not such a file, or only a part of one: where, and why. */
  static final class Bad extends Exception {
    private static final long serialVersionUID = 1L;

    Bad(String message) {
      super(message);
    }
  }

  /** One header. Immutable. */
  static final class Header {
    final String name;
    final String value;

    Header(String name, String value) {
      this.name = name;
      this.value = value;
    }
  }

  private static final String MAGIC = "data-pipeline capture ";
  private static final String VERSION = "1";

  /** Stands where something may be a secret. */
  private static final String MASK = "***";

  private static final List<String> PARTS =
      Arrays.asList("request-head-bytes", "answer-head-bytes", "answer-body-bytes", "body-bytes");

  private final Map<String, String> about;
  private final String requestHead;
  private final String answerHead;
  private final byte[] said;

  final String method;

  /** The path that was asked for; the peer's address may have had one before it. */
  final String path;

  /** In their order. Unmodifiable. */
  final List<Header> headers;

  /** Names of headers whose values are not there, in lower case. Unmodifiable. */
  final List<String> masked;

  /** As it was sent. */
  final byte[] body;

  private Captured(Map<String, String> about, byte[][] parts) throws Bad {
    this.about = about;
    requestHead = new String(parts[0], StandardCharsets.ISO_8859_1);
    answerHead = new String(parts[1], StandardCharsets.ISO_8859_1);
    said = parts[2];
    body = parts[3];
    String[] lines = requestHead.split("\n");
    String[] first = lines[0].split(" ");
    if (first.length != 3 || !first[2].equals("HTTP/1.1") || first[0].isEmpty()) {
      throw new Bad("the request's first line is \"" + lines[0] + "\", which is none of HTTP");
    }
    method = first[0];
    path = first[1].startsWith(MASK) ? first[1].substring(MASK.length()) : first[1];
    List<Header> found = new ArrayList<>();
    for (int i = 1; i < lines.length; i++) {
      int colon = lines[i].indexOf(": ");
      if (colon < 1) {
        throw new Bad("header " + i + " of the request has no name");
      }
      found.add(new Header(lines[i].substring(0, colon), lines[i].substring(colon + 2)));
    }
    headers = Collections.unmodifiableList(found);
    String names = about.getOrDefault("masked", "").toLowerCase(Locale.ROOT);
    masked =
        names.isEmpty()
            ? Collections.<String>emptyList()
            : Collections.unmodifiableList(Arrays.asList(names.split(", ")));
  }

  /** Whether it begins as such a file does. */
  static boolean isOne(byte[] file) {
    byte[] magic = MAGIC.getBytes(StandardCharsets.US_ASCII);
    return file.length >= magic.length && Arrays.equals(Arrays.copyOf(file, magic.length), magic);
  }

  /** Reads a file. */
  static Captured read(byte[] file) throws Bad {
    if (!isOne(file)) {
      throw new Bad("byte 0: it is no captured request: it does not begin with " + MAGIC.trim());
    }
    Map<String, String> about = new LinkedHashMap<>();
    int at = 0;
    for (int line = 1; ; line++) {
      int end = at;
      while (end < file.length && file[end] != '\n') {
        end++;
      }
      if (end == file.length) {
        throw new Bad("line " + line + ": it ends before the empty line that ends its head");
      }
      String text = new String(file, at, end - at, StandardCharsets.UTF_8);
      at = end + 1;
      if (text.isEmpty()) {
        break;
      }
      if (line == 1) {
        if (!text.equals(MAGIC + VERSION)) {
          String version = text.substring(MAGIC.length());
          throw new Bad("line 1: version " + version + " of the format; this reads " + VERSION);
        }
        continue;
      }
      int colon = text.indexOf(": ");
      if (colon < 1) {
        throw new Bad("line " + line + ": it is \"" + text + "\", not NAME: VALUE");
      }
      about.put(text.substring(0, colon), text.substring(colon + 2));
    }
    byte[][] parts = new byte[PARTS.size()][];
    for (int i = 0; i < parts.length; i++) {
      String name = PARTS.get(i);
      long size = size(about.get(name), name);
      long there = file.length - (long) at;
      if (size > there) {
        throw new Bad(
            "byte " + at + ": cut off, of " + size + " " + name + " " + there + " are there");
      }
      parts[i] = Arrays.copyOfRange(file, at, at + (int) size);
      at += (int) size;
      if (i < parts.length - 1) {
        if (at >= file.length || file[at] != '\n') {
          throw new Bad("byte " + at + ": no line end behind " + size + " " + name);
        }
        at++;
      }
    }
    if (at != file.length) {
      throw new Bad("byte " + at + ": " + (file.length - at) + " bytes behind the body");
    }
    return new Captured(about, parts);
  }

  private static long size(String text, String name) throws Bad {
    try {
      long size = Long.parseLong(String.valueOf(text));
      if (size >= 0) {
        return size;
      }
    } catch (NumberFormatException e) {
      throw new Bad(name + " is " + text + ", not a number");
    }
    throw new Bad(name + " is " + text + ", less than nothing");
  }

  /** What became of it. */
  String fate() {
    return about.getOrDefault("fate", "unknown");
  }

  /** The value of a header, or null. */
  String header(String name) {
    for (Header header : headers) {
      if (header.name.equalsIgnoreCase(name)) {
        return header.value;
      }
    }
    return null;
  }

  /** Whether the body holds traces that can be shown. */
  boolean hasTraces() {
    return path.endsWith("/traces")
        && path.startsWith("/v")
        && "application/msgpack".equals(header("content-type"))
        && header("content-encoding") == null;
  }

  /** Everything but the body, for people. */
  String text() {
    StringBuilder s = new StringBuilder();
    for (Map.Entry<String, String> line : about.entrySet()) {
      if (!PARTS.contains(line.getKey())) {
        s.append(line.getKey()).append(": ").append(line.getValue()).append('\n');
      }
    }
    s.append('\n').append(requestHead);
    s.append("(").append(body.length).append(" bytes)\n\n");
    s.append(answerHead.isEmpty() ? "no answer\n" : answerHead);
    return s.append(printable(said, 2000)).toString();
  }

  /** Bytes as text on one line, cut after so many characters. */
  static String printable(byte[] bytes, int most) {
    int size = Math.min(bytes.length, 4 * most);
    String text = new String(bytes, 0, size, StandardCharsets.UTF_8);
    text = text.replaceAll("\\p{Cntrl}+", " ").trim();
    return text.length() > most ? text.substring(0, most) + "..." : text;
  }
}
