package com.datadog.pipeline.testkit;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** HTTP/1.1 on a listener, a daemon thread a connection. Thread-safe. */
final class Server {
  private final Listener listener;
  private final Answers answers;
  private final String url;
  private final int port;
  private final List<Listener.Connection> open = new ArrayList<>();
  private final Thread acceptor;
  private volatile boolean stopped;

  Server(Listener listener, Answers answers) {
    this.listener = listener;
    this.answers = answers;
    this.url = listener.url();
    this.port = listener.port();
    this.acceptor = daemon(this::accept);
  }

  String url() {
    return url;
  }

  int port() {
    return port;
  }

  boolean isStopped() {
    return stopped;
  }

  int connections() {
    synchronized (open) {
      return open.size();
    }
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "fake-agent");
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  private void accept() {
    while (!stopped) {
      try {
        Listener.Connection connection = listener.accept();
        synchronized (open) {
          open.add(connection);
        }
        if (stopped) {
          connection.close();
          return;
        }
        daemon(() -> serve(connection));
      } catch (IOException e) {
        // One connection too many is not the end of the others.
        if (!stopped) {
          pause();
        }
      }
    }
  }

  private static void pause() {
    try {
      Thread.sleep(5);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void serve(Listener.Connection connection) {
    try {
      InputStream in = new BufferedInputStream(connection.in(), 1 << 16);
      OutputStream out = connection.out();
      boolean more = true;
      while (more) {
        Request request = read(in, out);
        more =
            request != null
                && write(answers.to(request), request, connection, out)
                && !request.isLast();
      }
    } catch (IOException e) {
      // The other side has gone, or speaks no HTTP: that ends the connection, as it should.
      return;
    } finally {
      synchronized (open) {
        open.remove(connection);
      }
      end(connection);
    }
  }

  private static void end(Listener.Connection connection) {
    try {
      connection.close();
    } catch (IOException e) {
      // It is gone in any case.
      return;
    }
  }

  /** Whether the connection goes on. */
  private static boolean write(
      Answer answer, Request request, Listener.Connection connection, OutputStream out)
      throws IOException {
    if (answer == null) {
      return false;
    }
    if (answer.raw) {
      if (answer.body == null) {
        connection.reset();
      } else {
        out.write(answer.body);
      }
      return false;
    }
    String head = "HTTP/1.1 " + answer.status + " X\r\n" + answer.headers;
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.write(bytes(head + "Content-Length: " + answer.body.length + "\r\n\r\n"));
    if (!request.method().equals("HEAD")) {
      all.write(answer.body);
    }
    all.writeTo(out);
    out.flush();
    return true;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static Request read(InputStream in, OutputStream out) throws IOException {
    String first = line(in);
    if (first == null || first.isEmpty()) {
      return null;
    }
    String[] words = first.split(" ");
    if (words.length != 3 || !words[2].startsWith("HTTP/1.")) {
      throw new IOException("this is no HTTP");
    }
    Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
    for (String l = line(in); l != null && !l.isEmpty(); l = line(in)) {
      int colon = l.indexOf(':');
      if (colon < 0) {
        throw new IOException("this is no header of HTTP");
      }
      headers.put(
          l.substring(0, colon).trim().toLowerCase(Locale.ROOT), l.substring(colon + 1).trim());
    }
    if ("100-continue".equalsIgnoreCase(headers.get("expect"))) {
      out.write(bytes("HTTP/1.1 100 Continue\r\n\r\n"));
      out.flush();
    }
    byte[] body =
        "chunked".equalsIgnoreCase(headers.get("transfer-encoding"))
            ? chunks(in)
            : exactly(in, number(headers.getOrDefault("content-length", "0"), 10));
    // Who says that this is all may wait for the end of the connection.
    String connection = headers.getOrDefault("connection", "").toLowerCase(Locale.ROOT);
    boolean last =
        words[2].equals("HTTP/1.0")
            ? !connection.contains("keep-alive")
            : connection.contains("close");
    return new Request(words[0], words[1], headers, body, last);
  }

  private static int number(String text, int radix) throws IOException {
    try {
      int number = Integer.parseInt(text.trim(), radix);
      if (number >= 0) {
        return number;
      }
    } catch (NumberFormatException e) {
      throw new IOException("this is no length of HTTP: " + text, e);
    }
    throw new IOException("a length of HTTP is not negative: " + text);
  }

  private static byte[] chunks(InputStream in) throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    while (true) {
      String size = String.valueOf(line(in));
      int semicolon = size.indexOf(';');
      int length = number(semicolon < 0 ? size : size.substring(0, semicolon), 16);
      body.write(exactly(in, length));
      for (String l = line(in); length == 0 && l != null && !l.isEmpty(); l = line(in)) {
        // Trailers say nothing that anybody asks for.
        continue;
      }
      if (length == 0) {
        return body.toByteArray();
      }
    }
  }

  /** So many bytes; there is room for them as they come, since a length may be anything. */
  private static byte[] exactly(InputStream in, int length) throws IOException {
    byte[] bytes = new byte[Math.min(length, 1 << 20)];
    for (int at = 0; at < length; ) {
      if (at == bytes.length) {
        bytes = Arrays.copyOf(bytes, (int) Math.min(length, 2L * at));
      }
      int n = in.read(bytes, at, bytes.length - at);
      if (n < 0) {
        throw new EOFException();
      }
      at += n;
    }
    return bytes;
  }

  private static String line(InputStream in) throws IOException {
    StringBuilder s = new StringBuilder();
    for (int c = in.read(); c != '\n'; c = in.read()) {
      if (c < 0) {
        return s.length() == 0 ? null : s.toString();
      }
      if (c != '\r') {
        s.append((char) c);
      }
    }
    return s.toString();
  }

  /** Stops listening and cuts all connections. Nobody listens any more when it returns. */
  void stop() throws IOException {
    stopped = true;
    listener.close();
    try {
      // On some JVMs the socket goes only when the thread has left it.
      acceptor.join(2000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    synchronized (open) {
      for (Listener.Connection connection : open) {
        connection.close();
      }
    }
  }
}
