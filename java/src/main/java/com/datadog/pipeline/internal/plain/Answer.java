package com.datadog.pipeline.internal.plain;

import com.datadog.pipeline.ErrorCode;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** One HTTP answer as it is read. Bounded in every part. Not thread-safe. */
final class Answer {
  private static final int MAX_HEAD = 64 << 10;

  /** The largest honest answers are rates of thousands of services, far below. */
  private static final int MAX_BODY = 4 << 20;

  private static final byte[] BEGIN = "HTTP/1.".getBytes(StandardCharsets.US_ASCII);

  private final Connection connection;
  private final long end;
  private final ByteBuffer in = ByteBuffer.allocate(8 << 10);
  private final Map<String, String> headers = new TreeMap<>();
  private int seen;
  private boolean reusable;
  private byte[] body = new byte[0];

  /** 0 until it is known. */
  int status;

  Answer(Connection connection, long end) {
    this.connection = connection;
    this.end = end;
    in.flip();
  }

  /** Whether anything of it has come. */
  boolean began() {
    return seen > 0;
  }

  byte[] body() {
    return body;
  }

  /** The first header of this name in lower case, or null. */
  String header(String name) {
    return headers.get(name);
  }

  /** Whether the connection can carry another request. */
  boolean isReusable() {
    return reusable && !in.hasRemaining();
  }

  private static Failure bad(String why) {
    return new Failure(ErrorCode.INVALID_RESPONSE, why);
  }

  private byte next() throws IOException, Failure {
    if (!in.hasRemaining()) {
      in.clear();
      try {
        connection.read(in, end);
      } finally {
        in.flip();
      }
    }
    byte b = in.get();
    if (seen < BEGIN.length && b != BEGIN[seen]) {
      throw bad("it is not HTTP");
    }
    seen++;
    return b;
  }

  private String line(int most) throws IOException, Failure {
    ByteArrayOutputStream line = new ByteArrayOutputStream(64);
    for (byte b = next(); b != '\n'; b = next()) {
      if (line.size() == most) {
        throw bad("its head is far too long");
      }
      line.write(b);
    }
    String text = new String(line.toByteArray(), StandardCharsets.ISO_8859_1);
    return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
  }

  void read() throws IOException, Failure {
    String first;
    int head = 0;
    do {
      headers.clear();
      seen = began() ? BEGIN.length : 0;
      first = line(MAX_HEAD);
      status(first);
      for (String l = line(MAX_HEAD); !l.isEmpty(); l = line(MAX_HEAD - head)) {
        head += l.length() + 2;
        int colon = l.indexOf(':');
        if (colon <= 0) {
          throw bad("a header has no colon");
        }
        headers.putIfAbsent(
            l.substring(0, colon).trim().toLowerCase(Locale.ROOT), l.substring(colon + 1).trim());
      }
    } while (status < 200);
    String wish = headers.getOrDefault("connection", "").toLowerCase(Locale.ROOT);
    boolean stays = first.startsWith("HTTP/1.1") ? !wish.contains("close") : wish.contains("keep");
    boolean whole = body(headers.getOrDefault("transfer-encoding", "").toLowerCase(Locale.ROOT));
    reusable = stays && whole;
  }

  private void status(String line) throws Failure {
    // HTTP/1.1 200 OK
    boolean shaped = line.length() >= 12 && line.charAt(8) == ' ';
    int number = 0;
    for (int i = 9; shaped && i < 12; i++) {
      char c = line.charAt(i);
      shaped = c >= '0' && c <= '9';
      number = number * 10 + c - '0';
    }
    if (!shaped || number < 100) {
      throw bad("it is not HTTP");
    }
    status = number;
  }

  /** Reads the body; false if only the end of the connection has ended it. */
  private boolean body(String coding) throws IOException, Failure {
    if (status == 204 || status == 304) {
      return true;
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    boolean whole = true;
    String length = headers.get("content-length");
    if (coding.contains("chunked")) {
      for (int n = chunk(); n > 0; n = chunk()) {
        copy(out, n);
        line(2);
      }
      while (!line(MAX_HEAD).isEmpty()) {
        // Trailers say nothing to us.
        continue;
      }
    } else if (length != null) {
      copy(out, size(length, 10));
    } else {
      whole = false;
      try {
        while (true) {
          copy(out, 1);
        }
      } catch (EOFException e) {
        whole = false;
      }
    }
    body = out.toByteArray();
    return whole;
  }

  private int chunk() throws IOException, Failure {
    String line = line(256);
    int semicolon = line.indexOf(';');
    return size((semicolon < 0 ? line : line.substring(0, semicolon)).trim(), 16);
  }

  private static int size(String text, int radix) throws Failure {
    long size;
    try {
      size = Long.parseLong(text, radix);
    } catch (NumberFormatException e) {
      throw bad("a length cannot be read");
    }
    if (size < 0 || size > MAX_BODY) {
      throw bad("its body is larger than " + MAX_BODY + " bytes");
    }
    return (int) size;
  }

  private void copy(ByteArrayOutputStream out, int count) throws IOException, Failure {
    for (int i = 0; i < count; i++) {
      if (out.size() == MAX_BODY) {
        throw bad("its body is larger than " + MAX_BODY + " bytes");
      }
      out.write(next());
    }
  }
}
