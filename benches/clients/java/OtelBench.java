import com.datadog.pipeline.opentelemetry.DatadogSpanExporter;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.ReadWriteSpan;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Our exporter for OpenTelemetry beside OTLP over HTTP, protobuf, with either of its senders: CPU
 * of all Java threads an export, Java heap, bytes on the wire. The sides take turns in short
 * slices; a row has the median of the ratios against the better of the two.
 *
 * <p>usage: OtelBench PORT JVM ROUNDS
 */
public final class OtelBench {
  private static final String PROVIDER = "io.opentelemetry.sdk.common.export.HttpSenderProvider";
  private static final com.sun.management.ThreadMXBean THREADS =
      (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();

  private final SpanExporter[] exporters;
  private final String url;

  private OtelBench(String url) {
    this.url = url;
    exporters =
        new SpanExporter[] {
          DatadogSpanExporter.builder().setEndpoint(url).build(),
          otlp(url, "okhttp.internal.OkHttpHttpSenderProvider"),
          otlp(url, "jdk.internal.JdkHttpSenderProvider")
        };
  }

  private static SpanExporter otlp(String url, String provider) {
    System.setProperty(PROVIDER, "io.opentelemetry.exporter.sender." + provider);
    SpanExporter made = OtlpHttpSpanExporter.builder().setEndpoint(url + "/v1/traces").build();
    System.clearProperty(PROVIDER);
    return made;
  }

  public static void main(String[] arguments) throws Exception {
    OtelBench bench = new OtelBench("http://127.0.0.1:" + arguments[0]);
    int rounds = Integer.parseInt(arguments[2]);
    for (String kind : new String[] {"plain", "rich"}) {
      for (int spans : new int[] {1, 100, 1000}) {
        bench.row(spans, kind.equals("rich"), kind + "_" + arguments[1], rounds);
      }
    }
    System.exit(0);
  }

  private void row(int count, boolean rich, String payload, int rounds) throws Exception {
    List<SpanData> spans = spans(count, rich);
    int calls = Math.max(3, 600 / (count + 5));
    for (SpanExporter exporter : exporters) {
      export(exporter, spans, count == 1000 ? 150 : 1500);
    }
    double[][] cpu = new double[3][rounds];
    double[] ratios = new double[rounds];
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < 3; i++) {
        // Each is first, last and in between.
        int who = (round + i) % 3;
        Map<Long, Long> before = cpu();
        export(exporters[who], spans, calls);
        cpu[who][round] = since(before) / 1e3 / calls;
      }
    }
    int better = Rows.median(cpu[1]) <= Rows.median(cpu[2]) ? 1 : 2;
    for (int round = 0; round < rounds; round++) {
      ratios[round] = cpu[better][round] / cpu[0][round];
    }
    double ours = Rows.median(cpu[0]);
    double theirs = Rows.median(cpu[better]);
    Rows.print("otel_" + count, payload, "us", ours, "otlp", theirs, Rows.median(ratios));
    if (count == 1000) {
      double bytes = bytes(exporters[0], spans);
      Rows.print("otel_heap_1000", payload, "bytes", heap(0, spans), "otlp", heap(better, spans));
      Rows.print(
          "otel_bytes_1000", payload, "bytes", bytes, "otlp", bytes(exporters[better], spans));
    }
  }

  private static void export(SpanExporter exporter, List<SpanData> spans, int calls) {
    for (int i = 0; i < calls; i++) {
      if (!exporter.export(spans).join(30, TimeUnit.SECONDS).isSuccess()) {
        throw new IllegalStateException("refused");
      }
    }
  }

  /** What each thread has used so far. */
  private static Map<Long, Long> cpu() {
    Map<Long, Long> all = new HashMap<>();
    for (long id : THREADS.getAllThreadIds()) {
      all.put(id, THREADS.getThreadCpuTime(id));
    }
    return all;
  }

  /** By all threads together; one that has ended meanwhile takes nothing away. */
  private static long since(Map<Long, Long> before) {
    long sum = 0;
    for (Map.Entry<Long, Long> each : cpu().entrySet()) {
      sum += Math.max(0, each.getValue() - before.getOrDefault(each.getKey(), 0L));
    }
    return sum;
  }

  private double heap(int who, List<SpanData> spans) {
    double[] rounds = new double[9];
    for (int round = 0; round < rounds.length; round++) {
      long before = allocated();
      export(exporters[who], spans, 20);
      rounds[round] = (allocated() - before) / 20.0;
    }
    return Rows.median(rounds);
  }

  private static long allocated() {
    long sum = 0;
    for (long bytes : THREADS.getThreadAllocatedBytes(THREADS.getAllThreadIds())) {
      sum += Math.max(0, bytes);
    }
    return sum;
  }

  private double bytes(SpanExporter exporter, List<SpanData> spans) throws Exception {
    asked();
    export(exporter, spans, 1);
    return asked();
  }

  private double asked() throws Exception {
    try (BufferedReader in =
        new BufferedReader(
            new InputStreamReader(URI.create(url + "/bytes").toURL().openStream()))) {
      return Double.parseDouble(in.readLine());
    }
  }

  /** Spans in traces of ten with twelve attributes each, perhaps with two events and a link. */
  private static List<SpanData> spans(int count, boolean rich) {
    Resource resource =
        Resource.getDefault()
            .merge(
                Resource.create(
                    Attributes.builder()
                        .put("service.name", "shop")
                        .put("service.version", "1.4.2")
                        .put("service.namespace", "retail")
                        .put("deployment.environment.name", "prod")
                        .put("host.name", "node-17")
                        .put("host.arch", "amd64")
                        .put("os.type", "linux")
                        .put("os.description", "Linux 6.1.0-28-amd64")
                        .put("process.pid", 4711)
                        .put("process.executable.path", "/usr/lib/jvm/java-17/bin/java")
                        .put("process.runtime.name", "OpenJDK Runtime Environment")
                        .put("process.runtime.version", "17.0.15+6")
                        .put("k8s.pod.name", "shop-6d4cf56db6-x7k2p")
                        .put("k8s.namespace.name", "retail")
                        .put("container.id", "0123456789abcdef0123456789abcdef")
                        .build()));
    Tracer tracer =
        SdkTracerProvider.builder()
            .setResource(resource)
            .addSpanProcessor(new Recording())
            .build()
            .get("bench", "1.0");
    SpanContext linked =
        SpanContext.create(
            "5b8efff798038103d269b633813fc60c",
            "eee19b7ec3c1b174",
            TraceFlags.getSampled(),
            TraceState.getDefault());
    Attributes event =
        Attributes.of(
            AttributeKey.stringKey("cart.id"), "8842", AttributeKey.longKey("cart.items"), 7L);
    List<SpanData> spans = new ArrayList<>(count);
    Span root = null;
    for (int i = 0; i < count; i++) {
      Context parent = i % 10 == 0 ? Context.root() : Context.root().with(root);
      io.opentelemetry.api.trace.SpanBuilder builder =
          tracer
              .spanBuilder("GET /api/v1/orders/{id}")
              .setParent(parent)
              .setSpanKind(i % 10 == 0 ? SpanKind.SERVER : SpanKind.INTERNAL);
      if (rich) {
        builder.addLink(linked, event);
      }
      Span span = builder.startSpan();
      root = i % 10 == 0 ? span : root;
      span.setAttribute("http.request.method", "GET")
          .setAttribute("http.route", "/api/v1/orders/{id}")
          .setAttribute("url.scheme", "https")
          .setAttribute("url.path", "/api/v1/orders/" + i)
          .setAttribute("http.response.status_code", 200)
          .setAttribute("server.address", "shop.example.com")
          .setAttribute("server.port", 443)
          .setAttribute("network.protocol.version", "1.1")
          .setAttribute("user_agent.original", "okhttp/4.12.0")
          .setAttribute("network.peer.address", "10.4.18." + i % 50)
          .setAttribute("thread.name", "http-nio-8080-exec-" + i % 16)
          .setAttribute("thread.id", i % 16);
      if (rich) {
        span.addEvent("cart loaded", event);
        span.addEvent("payment asked", event);
      }
      span.end();
      spans.add(((ReadableSpan) span).toSpanData());
    }
    return spans;
  }

  /** Without any processor the SDK records nothing. */
  private static final class Recording implements SpanProcessor {
    @Override
    public void onStart(Context parent, ReadWriteSpan span) {}

    @Override
    public boolean isStartRequired() {
      return true;
    }

    @Override
    public void onEnd(ReadableSpan span) {}

    @Override
    public boolean isEndRequired() {
      return false;
    }
  }
}
