import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
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
    try (peer) {
      Reader in = new Reader(peer);
      ByteBuffer answer = ByteBuffer.allocateDirect(4096);
      for (String head = in.head(); head != null; head = in.head()) {
        String path =
            head.substring(head.indexOf(' ') + 1, head.indexOf(' ', head.indexOf(' ') + 1));
        long size = 0;
        String length = field(head, "content-length:");
        if (length != null) {
          size = Long.parseLong(length);
          in.skip(size);
        } else if (field(head, "transfer-encoding:") != null) {
          for (long chunk = in.chunk(); chunk > 0; chunk = in.chunk()) {
            in.skip(chunk + 2);
            size += chunk;
          }
          in.skip(2);
        }
        byte[] bytes;
        if (path.equals("/bytes")) {
          bytes = answer("application/json", Long.toString(BYTES.getAndSet(0)));
        } else {
          BYTES.addAndGet(size);
          bytes = path.equals("/info") ? INFO_ANSWER : path.startsWith("/v1/") ? OTLP : TAKEN;
        }
        answer.clear();
        answer.put(bytes).flip();
        while (answer.hasRemaining()) {
          peer.write(answer);
        }
      }
    } catch (IOException e) {
      // The peer went away.
    }
  }

  /** The value of a header, whose name is in lower case; null if it is not there. */
  private static String field(String head, String name) {
    for (int at = head.indexOf('\n') + 1; at > 0; at = head.indexOf('\n', at) + 1) {
      if (head.regionMatches(true, at, name, 0, name.length())) {
        return head.substring(at + name.length(), head.indexOf('\r', at)).trim();
      }
    }
    return null;
  }

  private static final byte[] INFO_ANSWER = answer("application/json", INFO);
  private static final byte[] TAKEN = answer("application/json", RATES);
  private static final byte[] OTLP = answer("application/x-protobuf", "");

  private static byte[] answer(String type, String body) {
    return ("HTTP/1.1 200 OK\r\nContent-Type: "
            + type
            + "\r\nDatadog-Agent-State: "
            + state()
            + "\r\nContent-Length: "
            + body.length()
            + "\r\n\r\n"
            + body)
        .getBytes(StandardCharsets.US_ASCII);
  }

  /** One connection's bytes. */
  private static final class Reader {
    private final SocketChannel from;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(256 * 1024).flip();

    Reader(SocketChannel from) {
      this.from = from;
    }

    /** Reads more behind what is there; false at the end. */
    private boolean more() throws IOException {
      buffer.compact();
      int read = from.read(buffer);
      buffer.flip();
      return read > 0;
    }

    /** A request's head; null at the end. */
    String head() throws IOException {
      int seen = 0;
      while (true) {
        int start = buffer.position();
        for (int i = Math.max(start, start + seen - 3); i + 3 < buffer.limit(); i++) {
          if (buffer.getInt(i) == 0x0d0a0d0a) {
            byte[] head = new byte[i + 4 - start];
            buffer.get(head);
            return new String(head, StandardCharsets.ISO_8859_1);
          }
        }
        seen = buffer.remaining();
        if (!more()) {
          return null;
        }
      }
    }

    /** The size of the next chunk. */
    long chunk() throws IOException {
      StringBuilder size = new StringBuilder();
      for (char c = next(); c != '\n'; c = next()) {
        size.append(c);
      }
      return Long.parseLong(size.toString().trim(), 16);
    }

    private char next() throws IOException {
      if (!buffer.hasRemaining() && !more()) {
        throw new IOException("the body ended early");
      }
      return (char) (buffer.get() & 0xff);
    }

    void skip(long count) throws IOException {
      for (long left = count; left > 0; ) {
        if (!buffer.hasRemaining() && !more()) {
          throw new IOException("the body ended early");
        }
        int step = (int) Math.min(left, buffer.remaining());
        buffer.position(buffer.position() + step);
        left -= step;
      }
    }
  }

  /** The hash of {@code /info}, as agents have it: with another one peers ask again each time. */
  private static String state() {
    try {
      StringBuilder hex = new StringBuilder();
      byte[] info = INFO.getBytes(StandardCharsets.US_ASCII);
      for (byte b : MessageDigest.getInstance("SHA-256").digest(info)) {
        hex.append(String.format("%02x", b));
      }
      return hex.toString();
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
