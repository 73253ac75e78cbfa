import com.datadog.pipeline.TraceExporter;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Who takes part. A peer whose classes are not on the class path is left out, and the report says
 * so.
 */
final class Senders {
  private Senders() {}

  /**
   * Those that need no peer's classes: {@code ours}, {@code ours_queue} (offers only) and {@code
   * raw_socket}.
   */
  static Sender own(String name, String url) throws IOException {
    return name.equals("raw_socket") ? new Plain(url) : new Ours(url, name.equals("ours_queue"));
  }

  /** All that take a ready v0.4 body. */
  static Map<String, Sender> bodies(String url) throws Exception {
    Map<String, Sender> all = new LinkedHashMap<>();
    all.put("ours", own("ours", url));
    all.put("raw_socket", own("raw_socket", url));
    add(all, "dd_trace_java", "DdSender", url);
    return all;
  }

  /** All that take OpenTelemetry's finished spans and encode them first. */
  static Map<String, Sender> spans(String url) {
    Map<String, Sender> all = new LinkedHashMap<>();
    for (String kind : new String[] {"ours", "okhttp", "jdk"}) {
      String name = kind.equals("ours") ? "ours_otel" : "otlp_" + kind;
      add(all, name, "OtelSender", url, kind);
    }
    return all;
  }

  /** One of {@link #names}. */
  static Sender named(String name, String url) throws Exception {
    if (name.equals("raw_socket") || name.equals("ours") || name.equals("ours_queue")) {
      return own(name, url);
    }
    Map<String, Sender> all = new LinkedHashMap<>();
    if (name.equals("dd_trace_java")) {
      add(all, name, "DdSender", url);
    } else {
      add(
          all,
          name,
          "OtelSender",
          url,
          name.equals("ours_otel") ? "ours" : name.substring("otlp_".length()));
    }
    if (all.isEmpty()) {
      throw new IllegalArgumentException("nobody is called " + name);
    }
    return all.get(name);
  }

  private static void add(Map<String, Sender> all, String name, String type, String... args) {
    try {
      Class<?>[] kinds = new Class<?>[args.length];
      java.util.Arrays.fill(kinds, String.class);
      all.put(
          name,
          (Sender) Class.forName(type).getDeclaredConstructor(kinds).newInstance((Object[]) args));
    } catch (ReflectiveOperationException | LinkageError e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      System.err.println("report: " + name + " is left out: " + cause);
    }
  }

  private static final class Ours implements Sender {
    private final TraceExporter exporter;
    private final boolean queued;
    private byte[] payload;

    Ours(String url, boolean queued) {
      this.queued = queued;
      exporter = TraceExporter.builder().url(url).language("java").build();
    }

    @Override
    public void prepare(byte[] payload, int traces, int spans) {
      this.payload = payload;
    }

    @Override
    public void send() {
      if (queued ? !exporter.offer(payload) : exporter.send(payload).status() != 200) {
        throw new IllegalStateException("refused");
      }
    }

    @Override
    public void close() {
      exporter.close();
    }
  }

  /** The floor: header and body in one write on a kept socket. */
  private static final class Plain implements Sender {
    private final Socket socket;
    private final OutputStream out;
    private final InputStream in;
    private final byte[] answer = new byte[4096];
    private byte[] request;

    Plain(String url) throws IOException {
      URI at = URI.create(url);
      socket = new Socket(at.getHost(), at.getPort());
      socket.setTcpNoDelay(true);
      out = socket.getOutputStream();
      in = socket.getInputStream();
    }

    @Override
    public void prepare(byte[] payload, int traces, int spans) {
      String head =
          "POST /v0.4/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/msgpack\r\n"
              + "X-Datadog-Trace-Count: "
              + traces
              + "\r\nContent-Length: "
              + payload.length
              + "\r\n\r\n";
      byte[] bytes = head.getBytes(StandardCharsets.US_ASCII);
      request = java.util.Arrays.copyOf(bytes, bytes.length + payload.length);
      System.arraycopy(payload, 0, request, bytes.length, payload.length);
    }

    @Override
    public void send() throws IOException {
      out.write(request);
      // The agent writes its short answer at once, and it ends with its body's closing brace.
      int got = 0;
      do {
        int n = in.read(answer, got, answer.length - got);
        if (n < 0) {
          throw new IOException("the agent has gone");
        }
        got += n;
      } while (answer[got - 1] != '}');
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  /** Names that {@link #named} knows, as far as their classes are there. */
  static List<String> names(String url) throws Exception {
    Map<String, Sender> all = bodies(url);
    all.putAll(spans(url));
    List<String> names = new ArrayList<>(all.keySet());
    for (Sender sender : all.values()) {
      sender.close();
    }
    return names;
  }
}
