import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import java.util.concurrent.TimeUnit;

/**
 * What a restart of the agent costs OpenTelemetry's exporter with its default settings; the
 * counterpart of {@code benches/peers/src/losses.rs}: {@code java -cp ... Losses.java URL SECONDS}.
 */
final class Losses {
  private static final int SPANS = 10;
  private static final long EVERY_NANOS = 5_000_000;

  public static void main(String[] args) throws InterruptedException {
    OtlpHttpSpanExporter exporter =
        OtlpHttpSpanExporter.builder().setEndpoint(args[0] + "/v1/traces").build();
    SdkTracerProvider provider =
        SdkTracerProvider.builder()
            .addSpanProcessor(BatchSpanProcessor.builder(exporter).build())
            .build();
    Tracer tracer = provider.get("losses");
    long time = TimeUnit.SECONDS.toNanos(Long.parseLong(args[1]));
    System.out.println("go");
    long started = System.nanoTime();
    int traces = 0;
    while (System.nanoTime() - started < time) {
      offer(tracer, ++traces);
      long ahead = started + traces * EVERY_NANOS - System.nanoTime();
      TimeUnit.NANOSECONDS.sleep(Math.max(0, ahead));
    }
    provider.forceFlush().join(60, TimeUnit.SECONDS);
    provider.shutdown().join(60, TimeUnit.SECONDS);
    System.out.println(traces * SPANS);
    System.exit(0);
  }

  private static void offer(Tracer tracer, int trace) {
    Span root = span(tracer, Context.root(), trace, 1);
    for (int i = 2; i <= SPANS; i++) {
      span(tracer, Context.root().with(root), trace, i).end();
    }
    root.end();
  }

  private static Span span(Tracer tracer, Context parent, int trace, int number) {
    return tracer
        .spanBuilder("web")
        .setParent(parent)
        .setAttribute("mark", String.format("mark-%06d-%02d", trace, number))
        .startSpan();
  }
}
