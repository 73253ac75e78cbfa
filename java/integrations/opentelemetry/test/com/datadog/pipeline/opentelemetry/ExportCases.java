package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Exports the spans of a file, a hundred cases at a time. usage: ExportCases CASES.jsonl URL, from
 * tests/oracle/otel_delivery.py
 */
final class ExportCases {
  private ExportCases() {}

  public static void main(String[] arguments) throws Exception {
    List<Examples> cases = Examples.read(Paths.get(arguments[0]));
    try (DatadogSpanExporter exporter =
        DatadogSpanExporter.builder().setEndpoint(arguments[1]).build()) {
      for (int i = 0; i < cases.size(); i += 100) {
        List<SpanData> spans = new ArrayList<>();
        for (Examples one : cases.subList(i, Math.min(i + 100, cases.size()))) {
          spans.addAll(one.spans);
        }
        CompletableResultCode result = exporter.export(spans).join(10, TimeUnit.SECONDS);
        if (!result.isSuccess()) {
          throw new IllegalStateException("export " + i / 100, result.getFailureThrowable());
        }
      }
    }
  }
}
