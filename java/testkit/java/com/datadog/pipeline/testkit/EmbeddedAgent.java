package com.datadog.pipeline.testkit;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * A small agent on the loopback address for tests and demos: it keeps every request and answers as
 * told. Thread-safe.
 */
public final class EmbeddedAgent implements AutoCloseable {
  /** One request as it came. Immutable and thread-safe, as long as nobody writes to the body. */
  public static final class Request {
    private final String method;
    private final String path;
    private final Map<String, String> headers;
    private final byte[] body;

    Request(String method, String path, Map<String, String> headers, byte[] body) {
      this.method = method;
      this.path = path;
      this.headers = Collections.unmodifiableMap(headers);
      this.body = body;
    }

    /** The method. */
    public String method() {
      return method;
    }

    /** The path. */
    public String path() {
      return path;
    }

    /** A header by its name in any case, or null. */
    public String header(String name) {
      return headers.get(name);
    }

    /** The body. */
    public byte[] body() {
      return body;
    }
  }

  /** Decides an answer. */
  public interface Answers {
    /** The answer to a request; null closes the connection without one. */
    Answer to(Request request);
  }

  /** One answer. Immutable and thread-safe. */
  public static final class Answer {
    private final int status;
    private final String headers;
    private final byte[] body;
    private final boolean raw;

    private Answer(int status, String headers, byte[] body, boolean raw) {
      this.status = status;
      this.headers = headers;
      this.body = body;
      this.raw = raw;
    }

    /** An answer with a body of JSON. */
    public static Answer json(int status, String body) {
      return new Answer(
          status,
          "Content-Type: application/json\r\n",
          body.getBytes(StandardCharsets.UTF_8),
          false);
    }

    /** These bytes as they are, after which the connection is closed. */
    public static Answer raw(String bytes) {
      return new Answer(0, "", bytes.getBytes(StandardCharsets.ISO_8859_1), true);
    }

    /** A reset of the connection instead of an answer. */
    public static Answer reset() {
      return new Answer(0, "", null, true);
    }

    /** The same answer with one more header. */
    public Answer header(String name, String value) {
      return new Answer(status, headers + name + ": " + value + "\r\n", body, false);
    }
  }

  /** What an agent says that has nothing to say. */
  public static final Answer RATES =
      Answer.json(200, "{\"rate_by_service\":{\"service:,env:\":1.0}}");

  private static final String INFO =
      "{\"version\":\"embedded\",\"endpoints\":[\"/v0.4/traces\",\"/v0.5/traces\",\"/v1.0/traces\",\"/v0.6/stats\"],"
          + "\"client_drop_p0s\":true,\"span_events\":true,\"config\":{\"max_request_bytes\":26214400}}";

  private final ServerSocket listener;
  private final List<Request> requests = new ArrayList<>();
  private final List<Socket> open = new ArrayList<>();
  private volatile Answers answers = request -> RATES;
  private volatile Answers info = request -> Answer.json(200, INFO);
  private Thread acceptor;
  private volatile boolean closed;

  private EmbeddedAgent(ServerSocket listener) {
    this.listener = listener;
  }

  /** Starts an agent on a free port. */
  public static EmbeddedAgent start() throws IOException {
    return start(0);
  }

  /** Starts an agent on this port. */
  public static EmbeddedAgent start(int port) throws IOException {
    EmbeddedAgent agent =
        new EmbeddedAgent(new ServerSocket(port, 50, InetAddress.getByName("127.0.0.1")));
    agent.acceptor = agent.daemon(agent::accept);
    return agent;
  }

  /** Sets the answers to everything but {@code /info}. */
  public void answer(Answers answers) {
    this.answers = answers;
  }

  /** Sets the answers to {@code /info}. */
  public void info(Answers answers) {
    this.info = answers;
  }

  /** How many connections are open. */
  public int connections() {
    synchronized (open) {
      return open.size();
    }
  }

  /** Where it listens. */
  public String url() {
    return "http://127.0.0.1:" + listener.getLocalPort();
  }

  /** The port. */
  public int port() {
    return listener.getLocalPort();
  }

  /** The requests so far that carried traces. */
  public List<Request> traces() {
    List<Request> found = new ArrayList<>();
    synchronized (requests) {
      for (Request r : requests) {
        if (r.path().endsWith("/traces")) {
          found.add(r);
        }
      }
    }
    return found;
  }

  private Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "embedded-agent");
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  private void accept() {
    while (!closed) {
      try {
        Socket socket = listener.accept();
        if (closed) {
          socket.close();
          return;
        }
        socket.setTcpNoDelay(true);
        synchronized (open) {
          open.add(socket);
        }
        daemon(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(Socket socket) {
    try (Socket s = socket) {
      InputStream in = new BufferedInputStream(s.getInputStream(), 1 << 16);
      OutputStream out = s.getOutputStream();
      for (Request request = read(in); request != null; request = read(in)) {
        synchronized (requests) {
          requests.add(request);
        }
        Answer answer = (request.path().endsWith("/info") ? info : answers).to(request);
        if (answer == null) {
          return;
        }
        if (answer.raw) {
          if (answer.body == null) {
            s.setSoLinger(true, 0);
          } else {
            out.write(answer.body);
          }
          return;
        }
        String head =
            "HTTP/1.1 "
                + answer.status
                + " X\r\n"
                + answer.headers
                + "Content-Length: "
                + answer.body.length;
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write((head + "\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
        all.write(answer.body);
        all.writeTo(out);
        out.flush();
      }
    } catch (IOException e) {
      // The other side has gone: that ends the connection, as it should.
      return;
    } finally {
      synchronized (open) {
        open.remove(socket);
      }
    }
  }

  private static Request read(InputStream in) throws IOException {
    String first = line(in);
    if (first == null || first.isEmpty()) {
      return null;
    }
    String[] words = first.split(" ");
    Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
    for (String l = line(in); l != null && !l.isEmpty(); l = line(in)) {
      int colon = l.indexOf(':');
      headers.put(
          l.substring(0, colon).trim().toLowerCase(Locale.ROOT), l.substring(colon + 1).trim());
    }
    int length = Integer.parseInt(headers.getOrDefault("content-length", "0"));
    byte[] body = new byte[length];
    for (int at = 0; at < length; ) {
      int n = in.read(body, at, length - at);
      if (n < 0) {
        throw new EOFException();
      }
      at += n;
    }
    return new Request(words[0], words[1], headers, body);
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
  @Override
  public void close() throws IOException {
    closed = true;
    listener.close();
    try {
      // On some JVMs the socket goes only when the thread has left it.
      acceptor.join(2000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    synchronized (open) {
      for (Socket socket : open) {
        socket.close();
      }
    }
  }
}
