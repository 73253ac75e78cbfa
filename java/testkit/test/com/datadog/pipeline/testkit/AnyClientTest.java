package com.datadog.pipeline.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Clients that are not ours, and users that are in a hurry. */
class AnyClientTest {
  @RegisterExtension static FakeAgent agent = FakeAgent.start();

  private static final int LIMIT_MS = 20_000;

  /** A trace of one span. */
  private static final byte[] ONE =
      bytes("\u0091\u0091\u0083\u00a7span_id\u0008\u00a8trace_id\u0007\u00a4name\u00a1n");

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static Socket connect(int port) throws IOException {
    Socket socket = new Socket();
    socket.connect(new InetSocketAddress("127.0.0.1", port), LIMIT_MS);
    socket.setSoTimeout(LIMIT_MS);
    return socket;
  }

  private static void write(Socket socket, String head, byte[] body) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.write(bytes(head));
    all.write(body);
    socket.getOutputStream().write(all.toByteArray());
  }

  /** What comes until the agent closes the connection. */
  private static String all(Socket socket) throws IOException {
    InputStream in = socket.getInputStream();
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (int c = in.read(); c >= 0; c = in.read()) {
      text.write(c);
    }
    return text.toString("ISO-8859-1");
  }

  /** The answer to a request after which the agent closes the connection. */
  private static String last(String head, byte[] body) throws IOException {
    try (Socket socket = connect(agent.port())) {
      String rest = "Connection: close\r\nContent-Length: " + body.length + "\r\n\r\n";
      write(socket, head + " HTTP/1.1\r\n" + rest, body);
      return all(socket);
    }
  }

  private static byte[] gzip(byte[] body) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
      out.write(body);
    }
    return packed.toByteArray();
  }

  @Test
  void theConnectionEndsWhereTheClientSaysSo() throws IOException {
    assertTrue(last("GET /info", new byte[0]).endsWith("}"));
    try (Socket socket = connect(agent.port())) {
      write(socket, "GET /info HTTP/1.0\r\n\r\n", new byte[0]);
      assertTrue(all(socket).startsWith("HTTP/1.1 200 "));
    }
  }

  @Test
  void anAnswerToHeadHasNoBody() throws IOException {
    String answer = last("HEAD /info", new byte[0]);
    assertTrue(answer.contains("Content-Length: ") && answer.endsWith("\r\n\r\n"), answer);
  }

  @Test
  void aBodyInGzipIsReadLikeAnyOther() throws IOException {
    String gzip = " HTTP/1.1\r\nContent-Encoding: gzip\r\nX";
    for (String path : new String[] {"/v0.4/traces", "/v0.4/traces?from=test"}) {
      last("PUT " + path + gzip + ":", gzip(ONE));
    }
    agent.assertTraces().hasSize(2).span("n");
    byte[] stats =
        bytes(
            "\u0081\u00a5Stats\u0091\u0081\u00a5Stats\u0091\u0082\u00a4Hits\u0003\u00a6Errors\u0001");
    last("PUT /v0.6/stats" + gzip + ":", gzip(stats));
    agent.assertStats().hasHits(3);
    last("PUT /v0.4/traces" + gzip + ":", ONE);
    Request broken = agent.traceRequests().get(2);
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, broken::traces);
    assertTrue(e.getMessage().contains("gzip"), e.getMessage());
    assertEquals(ONE.length, broken.body().length);
  }

  /** A length that nobody means costs no memory, and no thread its life. */
  @Test
  void roomForABodyIsMadeAsItComes() throws IOException {
    AtomicReference<Throwable> uncaught = new AtomicReference<>();
    Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
    Thread.setDefaultUncaughtExceptionHandler((thread, error) -> uncaught.set(error));
    try (Socket socket = connect(agent.port())) {
      write(socket, "PUT /v0.4/traces HTTP/1.1\r\nContent-Length: 2147483647\r\n\r\n", ONE);
      socket.shutdownOutput();
      assertEquals("", all(socket));
    } finally {
      Thread.setDefaultUncaughtExceptionHandler(before);
    }
    assertNull(uncaught.get());
    byte[] large = new byte[(1 << 22) + 7];
    large[large.length - 1] = 9;
    last("PUT /v0.4/traces", large);
    byte[] body = agent.traceRequests().get(0).body();
    assertEquals(large.length, body.length);
    assertEquals(9, body[body.length - 1]);
  }

  /** Where there is no room to wait, a client stands still for a second, and then for two. */
  @Test
  void manyClientsMayComeAtOnce() throws IOException {
    Listener listener = Listener.tcp(0);
    List<Socket> sockets = new ArrayList<>();
    try {
      for (int i = 0; i < 100; i++) {
        Socket socket = new Socket();
        sockets.add(socket);
        socket.connect(new InetSocketAddress("127.0.0.1", listener.port()), 900);
      }
    } finally {
      for (Socket socket : sockets) {
        socket.close();
      }
      listener.close();
    }
  }

  @Test
  void aConnectionThatCannotBeAcceptedIsNotTheEndOfTheOthers() throws IOException {
    Listener real = Listener.tcp(0);
    AtomicBoolean failed = new AtomicBoolean();
    Listener failing =
        new Listener() {
          @Override
          Connection accept() throws IOException {
            if (failed.compareAndSet(false, true)) {
              throw new IOException("too many open files");
            }
            return real.accept();
          }

          @Override
          String url() {
            return real.url();
          }

          @Override
          int port() {
            return real.port();
          }

          @Override
          void close() throws IOException {
            real.close();
          }
        };
    Server server = new Server(failing, request -> Answer.RATES);
    try (Socket socket = connect(server.port())) {
      write(socket, "GET /info HTTP/1.0\r\n\r\n", new byte[0]);
      assertTrue(all(socket).startsWith("HTTP/1.1 200 "));
    } finally {
      server.stop();
    }
  }

  /** As one may whose client has long gone, after a test that timed out. */
  @Test
  void aRequestThatWaitsTakesNoAnswerOfALaterOne() throws Exception {
    String head = "PUT /v0.4/traces HTTP/1.1\r\nContent-Length: " + ONE.length + "\r\n\r\n";
    agent.delay(Duration.ofSeconds(1));
    try (Socket early = connect(agent.port())) {
      write(early, head, ONE);
      agent.awaitTraceRequests(1, Duration.ofMillis(LIMIT_MS));
      agent.answerNext(1, Answer.status(503));
      // By then the early one has its answer, whichever that was.
      assertTrue(last("PUT /v0.4/traces", ONE).startsWith("HTTP/1.1 503 "));
    }
  }

  @Test
  void whatCannotBeIsSaidAtOnceAndNamesThePlace(@TempDir Path folder) {
    Duration negative = Duration.ofMillis(-1);
    assertThrows(IllegalArgumentException.class, () -> agent.delay(negative));
    int taken = agent.port();
    UncheckedIOException e = assertThrows(UncheckedIOException.class, () -> FakeAgent.start(taken));
    assertTrue(e.getMessage().contains("port " + taken), e.getMessage());
    String version = System.getProperty("java.specification.version");
    assumeTrue(!version.startsWith("1.") && Integer.parseInt(version) >= 16, "no Unix sockets");
    Path nowhere = folder.resolve("none").resolve("apm.socket");
    e = assertThrows(UncheckedIOException.class, () -> FakeAgent.start(nowhere));
    assertTrue(e.getMessage().contains(nowhere.toString()), e.getMessage());
  }

  @Test
  void aRelativePathIsAnAddressToo(@TempDir Path folder) {
    String version = System.getProperty("java.specification.version");
    assumeTrue(!version.startsWith("1.") && Integer.parseInt(version) >= 16, "no Unix sockets");
    assumeTrue(!System.getProperty("os.name").startsWith("Windows"), "paths of another form");
    Path relative =
        Paths.get("").toAbsolutePath().relativize(folder.resolve("apm.socket").toAbsolutePath());
    assertFalse(relative.isAbsolute());
    try (FakeAgent unix = FakeAgent.start(relative)) {
      assertTrue(unix.url().startsWith("unix:///"), unix.url());
    }
  }
}
