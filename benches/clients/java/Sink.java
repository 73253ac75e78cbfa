import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The agent that both sides of a comparison send to, in a process of its own: on TCP and on a Unix
 * socket it reads each request to its end, throws it away and answers 200. {@code GET /bytes} says
 * how many bytes bodies had since it was asked before.
 *
 * <p>usage: Sink SOCKET; prints the TCP port; ends with its standard input.
 */
public final class Sink {
  private static final String INFO =
      "{\"version\":\"7.85.0\",\"endpoints\":[\"/v0.4/traces\",\"/v0.5/traces\",\"/v0.6/stats\"],"
          + "\"client_drop_p0s\":true}";
  private static final String RATES = "{\"rate_by_service\":{\"service:,env:\":1}}";
  private static final AtomicLong BYTES = new AtomicLong();

  private Sink() {}

  public static void main(String[] arguments) throws Exception {
    ServerSocketChannel tcp = ServerSocketChannel.open();
    tcp.bind(new InetSocketAddress("127.0.0.1", 0));
    ServerSocketChannel unix = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    unix.bind(UnixDomainSocketAddress.of(Path.of(arguments[0])));
    start(() -> accept(tcp));
    start(() -> accept(unix));
    System.out.println(((InetSocketAddress) tcp.getLocalAddress()).getPort());
    while (System.in.read() >= 0) {}
    System.exit(0);
  }

  private static void start(Runnable work) {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    thread.start();
  }

  private static void accept(ServerSocketChannel door) {
    try {
      while (true) {
        SocketChannel peer = door.accept();
        start(() -> serve(peer));
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void serve(SocketChannel peer) {
    try (peer;
        InputStream in = new BufferedInputStream(Channels.newInputStream(peer), 256 * 1024)) {
      byte[] ignored = new byte[256 * 1024];
      while (true) {
        String head = head(in);
        if (head == null) {
          return;
        }
        String path = head.split(" ", 3)[1];
        long size = 0;
        String lower = head.toLowerCase(Locale.ROOT);
        int at = lower.indexOf("content-length:");
        if (at >= 0) {
          size = Long.parseLong(lower.substring(at + 15, lower.indexOf('\r', at)).trim());
          skip(in, ignored, size);
        } else if (lower.contains("transfer-encoding: chunked")) {
          for (long chunk = chunk(in); ; chunk = chunk(in)) {
            skip(in, ignored, chunk + 2);
            size += chunk;
            if (chunk == 0) {
              break;
            }
          }
        }
        String body = path.equals("/info") ? INFO : path.startsWith("/v1/") ? "" : RATES;
        if (path.equals("/bytes")) {
          body = Long.toString(BYTES.getAndSet(0));
        } else {
          BYTES.addAndGet(size);
        }
        String type = path.startsWith("/v1/") ? "application/x-protobuf" : "application/json";
        String answer =
            "HTTP/1.1 200 OK\r\nContent-Type: "
                + type
                + "\r\nDatadog-Agent-State: "
                + state()
                + "\r\nContent-Length: "
                + body.length()
                + "\r\n\r\n"
                + body;
        peer.write(ByteBuffer.wrap(answer.getBytes(StandardCharsets.US_ASCII)));
      }
    } catch (IOException e) {
      // The peer went away.
    }
  }

  private static String state;

  /** The hash of {@code /info}, as agents have it: with another one peers ask again each time. */
  private static synchronized String state() {
    if (state == null) {
      try {
        StringBuilder hex = new StringBuilder();
        byte[] info = INFO.getBytes(StandardCharsets.US_ASCII);
        for (byte b : MessageDigest.getInstance("SHA-256").digest(info)) {
          hex.append(String.format("%02x", b));
        }
        state = hex.toString();
      } catch (java.security.NoSuchAlgorithmException e) {
        throw new IllegalStateException(e);
      }
    }
    return state;
  }

  private static String head(InputStream in) throws IOException {
    StringBuilder head = new StringBuilder();
    while (head.length() < 4 || !head.substring(head.length() - 4).equals("\r\n\r\n")) {
      int b = in.read();
      if (b < 0) {
        return null;
      }
      head.append((char) b);
    }
    return head.toString();
  }

  private static long chunk(InputStream in) throws IOException {
    StringBuilder size = new StringBuilder();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      size.append((char) b);
    }
    return Long.parseLong(size.toString().trim(), 16);
  }

  private static void skip(InputStream in, byte[] ignored, long size) throws IOException {
    for (long left = size; left > 0; ) {
      int n = in.read(ignored, 0, (int) Math.min(ignored.length, left));
      if (n < 0) {
        throw new IOException("the body ended early");
      }
      left -= n;
    }
  }
}
