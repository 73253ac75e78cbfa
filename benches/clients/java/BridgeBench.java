import datadog.communication.ddagent.DDAgentFeaturesDiscovery;
import datadog.communication.http.OkHttpUtils;
import datadog.metrics.api.Monitoring;
import datadog.okhttp3.HttpUrl;
import datadog.okhttp3.OkHttpClient;
import datadog.trace.agent.common.writer.Payload;
import datadog.trace.agent.common.writer.RemoteApi;
import datadog.trace.agent.common.writer.ddagent.DDAgentApi;
import datadog.trace.agent.common.writer.ddagent.TraceMapperV0_4;
import datadog.trace.api.ProtocolVersion;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Field;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * {@code DDAgentApi.sendSerializedTraces} of the published tracer, with the bridge and without, in
 * turn on one object: rows {@code bridge_N} and {@code bridge_heap_1000}. The sides take turns in
 * short slices; a row has the median of the ratios. {@code plain_socket} is what no sender can be
 * faster than: a request of this size written to a socket, the answer read.
 *
 * <p>usage: java -javaagent:data-pipeline-bridge.jar … BridgeBench PORT FOLDER NAME ROUNDS
 * [SOCKET], with the tracer's classes on the class path
 */
public final class BridgeBench {
  private static final com.sun.management.ThreadMXBean THREADS =
      (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();

  private final DDAgentApi api;
  private final Field ready;
  private final SocketChannel plain;
  private final ByteBuffer answer = ByteBuffer.allocateDirect(8192);

  private BridgeBench(String port, String socket) throws Exception {
    HttpUrl at = HttpUrl.get(socket == null ? "http://127.0.0.1:" + port : "http://localhost:8126");
    OkHttpClient client =
        socket == null
            ? OkHttpUtils.buildHttpClient(at, 10_000)
            : OkHttpUtils.buildHttpClient(true, socket, null, 10_000);
    DDAgentFeaturesDiscovery discovery =
        new DDAgentFeaturesDiscovery(
            client, Monitoring.DISABLED, at, ProtocolVersion.V0_4, true, false);
    discovery.discover();
    api = new DDAgentApi(client, at, discovery, Monitoring.DISABLED, true);
    plain =
        socket == null
            ? SocketChannel.open(new InetSocketAddress("127.0.0.1", Integer.parseInt(port)))
            : SocketChannel.open(UnixDomainSocketAddress.of(socket));
    if (socket == null) {
      plain.setOption(StandardSocketOptions.TCP_NODELAY, true);
    }
    ready = Class.forName("com.datadog.bridge.Bridge", true, null).getDeclaredField("ready");
    ready.setAccessible(true);
    for (int i = 0; !ready.getBoolean(null); i++) {
      if (i == 200) {
        throw new IllegalStateException("the bridge is not there");
      }
      Thread.sleep(50);
    }
  }

  public static void main(String[] arguments) throws Exception {
    String socket = arguments.length > 4 ? arguments[4] : null;
    if (socket != null) {
      System.setProperty("dd.trace.agent.url", "unix://" + socket);
    }
    BridgeBench bench = new BridgeBench(arguments[0], socket);
    int rounds = Integer.parseInt(arguments[3]);
    for (int spans : new int[] {1, 100, 1000}) {
      bench.row(Path.of(arguments[1], "spans_" + spans + ".msgpack"), spans, arguments[2], rounds);
    }
    System.exit(0);
  }

  private void row(Path file, int spans, String payload, int rounds) throws Exception {
    byte[] bytes = Files.readAllBytes(file);
    // The tracer's payload writes the head of the array itself.
    int head = (bytes[0] & 0xff) == 0xdc ? 3 : (bytes[0] & 0xff) == 0xdd ? 5 : 1;
    ByteBuffer body = ByteBuffer.wrap(bytes, head, bytes.length - head).slice();
    int traces = Math.max(1, spans / 10);
    slice(true, body, traces, 400);
    slice(false, body, traces, spans == 1 ? 100 : 20);
    int ours = spans == 1 ? 60 : 30;
    int theirs = spans == 1 ? 8 : 4;
    double[] us = new double[rounds];
    double[] stock = new double[rounds];
    double[] ratios = new double[rounds];
    double[] floor = new double[rounds];
    double[] overFloor = new double[rounds];
    ByteBuffer request = request(bytes);
    exchanges(request, 400);
    for (int i = 0; i < rounds; i++) {
      boolean first = i % 2 == 0;
      us[i] = first ? slice(true, body, traces, ours) : 0;
      stock[i] = slice(false, body, traces, theirs);
      us[i] = first ? us[i] : slice(true, body, traces, ours);
      ratios[i] = stock[i] / us[i];
      floor[i] = exchanges(request, ours);
      overFloor[i] = floor[i] / us[i];
    }
    Rows.print(
        "bridge_" + spans,
        payload,
        "us",
        Rows.median(us),
        "stock",
        Rows.median(stock),
        Rows.median(ratios));
    Rows.print(
        "bridge_" + spans,
        payload,
        "us",
        Rows.median(us),
        "plain_socket",
        Rows.median(floor),
        Rows.median(overFloor));
    if (spans == 1000) {
      Rows.print(
          "bridge_heap_1000",
          payload,
          "bytes",
          heap(true, body, traces),
          "stock",
          heap(false, body, traces));
    }
  }

  /** Microseconds a send: the median of the slice, since a preempted one says nothing. */
  private double slice(boolean bridged, ByteBuffer body, int traces, int calls) throws Exception {
    ready.setBoolean(null, bridged);
    double[] each = new double[calls];
    for (int i = 0; i < calls; i++) {
      Payload payload = payload(body, traces);
      long start = System.nanoTime();
      send(payload);
      each[i] = (System.nanoTime() - start) / 1e3;
    }
    return Rows.median(each);
  }

  /** A request of about the size of ours. */
  private static ByteBuffer request(byte[] body) {
    StringBuilder head = new StringBuilder("PUT /v0.4/traces HTTP/1.1\r\nHost: localhost:8126\r\n");
    head.append("Content-Type: application/msgpack\r\nContent-Length: ").append(body.length);
    for (int i = 10; i < 22; i++) {
      head.append("\r\nDatadog-Meta-Header-").append(i).append(": a value of a header");
    }
    byte[] bytes = head.append("\r\n\r\n").toString().getBytes(StandardCharsets.US_ASCII);
    ByteBuffer all = ByteBuffer.allocateDirect(bytes.length + body.length);
    all.put(bytes).put(body).flip();
    return all;
  }

  /** What no sender is faster than: the request written to a socket, its answer read. */
  private double exchanges(ByteBuffer request, int calls) throws IOException {
    double[] each = new double[calls];
    for (int i = 0; i < calls; i++) {
      long start = System.nanoTime();
      for (ByteBuffer out = request.duplicate(); out.hasRemaining(); ) {
        plain.write(out);
      }
      answer.clear();
      do {
        plain.read(answer);
      } while (answer.position() == 0 || answer.get(answer.position() - 1) != '}');
      each[i] = (System.nanoTime() - start) / 1e3;
    }
    return Rows.median(each);
  }

  private static Payload payload(ByteBuffer body, int traces) {
    return new TraceMapperV0_4().newPayload().withBody(traces, body.duplicate());
  }

  private void send(Payload payload) {
    RemoteApi.Response response = api.sendSerializedTraces(payload);
    if (!response.success()) {
      throw new IllegalStateException("refused: " + response.status() + " " + response.exception());
    }
  }

  /** Bytes that the tracer's thread allocates for a send; the payload is made before. */
  private double heap(boolean bridged, ByteBuffer body, int traces) throws Exception {
    ready.setBoolean(null, bridged);
    int calls = 200;
    double[] rounds = new double[9];
    for (int round = 0; round < rounds.length; round++) {
      Payload[] payloads = new Payload[calls];
      for (int i = 0; i < calls; i++) {
        payloads[i] = payload(body, traces);
      }
      long id = Thread.currentThread().getId();
      long before = THREADS.getThreadAllocatedBytes(id);
      for (Payload payload : payloads) {
        send(payload);
      }
      rounds[round] = (THREADS.getThreadAllocatedBytes(id) - before) / (double) calls;
    }
    return Rows.median(rounds);
  }
}
