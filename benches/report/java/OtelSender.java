import com.datadog.pipeline.opentelemetry.DatadogSpanExporter;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.trace.ReadWriteSpan;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * An exporter of OpenTelemetry's SDK: ours, or OTLP over one of its two HTTP clients. Encoding is
 * part of a send.
 */
final class OtelSender implements Sender {
  private static final String PROVIDER = "io.opentelemetry.sdk.common.export.HttpSenderProvider";

  private final SpanExporter exporter;
  private List<SpanData> spans;

  OtelSender(String url, String kind) {
    if (kind.equals("ours")) {
      exporter = DatadogSpanExporter.builder().setEndpoint(url).build();
    } else {
      System.setProperty(
          PROVIDER,
          "io.opentelemetry.exporter.sender."
              + (kind.equals("jdk")
                  ? "jdk.internal.JdkHttpSenderProvider"
                  : "okhttp.internal.OkHttpHttpSenderProvider"));
      exporter = OtlpHttpSpanExporter.builder().setEndpoint(url + "/v1/traces").build();
      System.clearProperty(PROVIDER);
    }
  }

  /** Spans in traces of ten, with the tags of a web request each. */
  @Override
  public void prepare(byte[] payload, int traces, int count) {
    Tracer tracer =
        SdkTracerProvider.builder().addSpanProcessor(new Recording()).build().get("report");
    spans = new ArrayList<>(count);
    Span root = null;
    for (int i = 0; i < count; i++) {
      Context parent = i % 10 == 0 ? Context.root() : Context.root().with(root);
      Span span =
          tracer
              .spanBuilder("GET /api/v1/orders")
              .setParent(parent)
              .setSpanKind(SpanKind.SERVER)
              .startSpan();
      root = i % 10 == 0 ? span : root;
      span.setAttribute("http.request.method", "GET")
          .setAttribute("http.route", "/api/v1/orders/{id}");
      span.setAttribute("url.full", "https://shop.example.com/api/v1/orders/" + i);
      span.setAttribute("http.response.status_code", 200)
          .setAttribute("server.address", "shop.example.com");
      span.setAttribute("user_agent.original", "okhttp/4.12.0")
          .setAttribute("network.peer.address", "10.4.18.7");
      span.setAttribute("thread.name", "http-nio-8080-exec-7").setAttribute("thread.id", 71);
      span.end();
      spans.add(((ReadableSpan) span).toSpanData());
    }
  }

  @Override
  public void send() {
    if (!exporter.export(spans).join(30, TimeUnit.SECONDS).isSuccess()) {
      throw new IllegalStateException("refused");
    }
  }

  @Override
  public void close() {
    exporter.shutdown().join(5, TimeUnit.SECONDS);
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
